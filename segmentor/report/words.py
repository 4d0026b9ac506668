"""Sentences of the page, made from a result's records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from segmentor.report.names import called, code, cut, either, name, prose, told, worded
from segmentor.report.numbers import (
    DAYS,
    PERCENT,
    POINTS,
    RATIO,
    SIGNED_POINTS,
    count,
    day,
    estimate,
    probability,
    quantity,
)
from segmentor.report.saying import say, say_many
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import (
    CARRYING,
    ECHO,
    HOW_DECIDED,
    HOW_ESTIMATED,
    HOW_TESTED,
    INPUTS,
    OUTCOMES,
    REASONS,
    REJECTED,
    TAILS,
    VERDICTS,
    WHY_NOT_NAIVE,
)
from segmentor.result import (
    EVERYBODY,
    NOT_YET_KNOWN,
    GroupEffect,
    InputQuality,
    Interval,
    PairEffect,
    RunResult,
    Segment,
    SplitTest,
    Trial,
)
from segmentor.result.standing import defined
from segmentor.wording import Message, gettext, pgettext


def config_text(result: RunResult) -> str:
    """The config as resolved."""
    return cut(json.dumps(result.config, ensure_ascii=False, indent=2, sort_keys=True), 100_000)


def setting(result: RunResult, *keys: str) -> object:
    """One value of the config; ``None`` where it has none."""
    found: object = result.config
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def question(result: RunResult) -> Markup:
    """What was asked, in one sentence."""
    asked = _unique(trial.split for trial in result.trials if trial.source == "declared")
    splits = [Markup("<strong>{}</strong>").format(name(split)) for split in asked]
    if result.search is not None:
        tried = count(result.search.tried, "candidate that the data suggest", "candidates that the data suggest")
        if not splits:
            return say("Does any of {candidates} tell who comes back, and how soon?", candidates=tried)
        return say(
            "Which of these tell who comes back, and how soon: {splits}, and does any of {candidates}?",
            splits=either(few(splits)),
            candidates=tried,
        )
    if not splits:
        return say("No split of customers was asked about.")
    if len(splits) == 1:
        return say("Does {split} tell who comes back, and how soon?", split=splits[0])
    return say("Which of these tell who comes back, and how soon: {splits}?", splits=either(few(splits)))


def purchases_asked(result: RunResult) -> Markup:
    """Which purchases count."""
    condition = setting(result, "cycle", "purchase")
    return code(str(condition)) if condition else say("All purchases")


def of_tree(result: RunResult) -> set[tuple[str, str | None]]:
    """Splits that make the tree, by where they were tried and their names."""
    return {(node.segment, node.split) for node in result.tree if node.held}


def seen_elsewhere(result: RunResult) -> dict[str, Trial]:
    """By column, a split that separates: no value of such a column may be called one that does not matter."""
    found: dict[str, Trial] = {}
    for trial in tree_first(result):
        if trial.verdict == "separates":
            found.setdefault(column(trial), trial)
    return found


def column(trial: Trial) -> str:
    """What the groups of a split are values of."""
    return trial.attribute or trial.split


def was_asked(trial: Trial) -> bool:
    """Whether somebody waits for the answer: the split was declared, or found and good enough for a test in the other half."""
    return trial.source == "declared" or trial.p_adjusted is not None or is_echo(trial)


def is_echo(trial: Trial) -> bool:
    """Whether nothing is left of a split among customers who bought as often and as recently."""
    return ECHO in trial.reasons


def titled(trial: Trial, *, length: int = 80) -> Markup:
    """A split's name at the head of a line, with the segment where it was tried unless that is all customers."""
    return within_segment(heading(trial.split, length=length), trial)


def short_group(split: str, group: str) -> str:
    """A group's name beside that of its split, which it need not say again: ``with`` and ``without`` the same products."""
    if split.startswith("with ") and group in (split, f"without{split.removeprefix('with')}"):
        return pgettext("products", "with") if group == split else pgettext("products", "without")
    return group


def few(parts: Sequence[Markup], *, most: int = 6) -> list[Markup]:
    """Parts of a sentence that can still be read: the first, and how many more there are."""
    if len(parts) <= most:
        return [*parts]
    return [*parts[: most - 1], say("{number} more", number=count(len(parts) - most + 1))]


def excludes(interval: Interval, value: float) -> bool:
    """Whether an interval leaves a value out."""
    if interval.ci_low is None or interval.ci_high is None:
        return False
    return not interval.ci_low <= value <= interval.ci_high


def level(result: RunResult) -> float:
    """The level of the tests."""
    stated = setting(result, "trial", "level")
    return stated if isinstance(stated, float) else 0.05


def heading(text: str, *, length: int = 80) -> Markup:
    """A name that opens a line: with a capital."""
    own = called(text)
    return name(own[:1].upper() + own[1:], length=length)


def segment_title(segment: Segment) -> Markup:
    """The name of a segment at the head of a line."""
    return say("All customers") if segment.name == EVERYBODY else heading(segment.name)


def inhabited(result: RunResult) -> list[Segment]:
    """The segments, without that of those not yet known where nobody is in it."""
    return [segment for segment in result.segments if segment.customers or segment.name != NOT_YET_KNOWN]


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Trials as they are shown: by verdict, then as asked."""
    order = list(VERDICTS)
    return sorted(trials, key=lambda trial: order.index(trial.verdict))


def verdict_pair(trial: Trial) -> PairEffect | None:
    """The pair of groups that carries the verdict."""
    return None if trial.verdict_pair is None else trial.pairs[trial.verdict_pair]


def shown_pairs(trial: Trial, shown: Sequence[GroupEffect]) -> list[PairEffect]:
    """Pairs of groups whose estimates may be shown."""
    visible = {group.name for group in shown}
    return [pair for pair in trial.pairs if pair.first in visible and pair.second in visible]


def against(pair: PairEffect) -> Markup:
    """The two groups of a difference."""
    return say("{second} against {first}", second=name(pair.second), first=name(pair.first))


def at_a_glance(trial: Trial, counts: Counts) -> list[Markup]:
    """The effect of a split in three lines; of one without an effect that may be shown, why."""
    pair = verdict_pair(trial)
    if pair is None or trial.horizon_days is None or pair not in shown_pairs(trial, shown_groups(trial, counts)):
        return [reason(trial.reasons[0])] if trial.reasons else []
    share = estimate(pair.share_difference, SIGNED_POINTS)
    return [
        Markup('<span class="quiet">{}</span>').format(against(pair)),
        say("Share back within {days}: {points}", points=share, days=quantity(trial.horizon_days, DAYS)),
        say("Ratio of the mean cycles: {ratio}", ratio=estimate(pair.ratio, RATIO)),
    ]


def pair_says(pair: PairEffect, *, carries: bool) -> Markup:
    """What the intervals of a pair say, and whether it carries the verdict."""
    if pair.separated:
        return say("differs, carries the verdict") if carries else say("differs")
    if pair.equivalent:
        return say("alike, carries the verdict") if carries else say("alike")
    return say("open, carries the verdict") if carries else say("open")


def reason(code_: Message | str) -> Markup:
    """A reason code in words."""
    if isinstance(code_, str) and code_ in REASONS:
        return escape(gettext(REASONS[code_]))
    text = str(code_)
    said = told(text, {form: gettext(words) for form, words in CARRYING.items()})
    return prose(text[:1].upper() + text[1:] + "." if said is None else said)


def outcome(code_: str) -> Markup:
    """What became of a test."""
    return escape(gettext(OUTCOMES[code_])) if code_ in OUTCOMES else name(code_)


def input_name(input_: str) -> Markup:
    """An input: the transactions, the products, the customers."""
    return name(gettext(INPUTS[input_]) if input_ in INPUTS else input_)


def why_rejected(rows: InputQuality) -> Markup:
    """Why rows of an input were rejected, and how many for each reason; empty where none was."""
    return Markup(pgettext("between clauses", "; ")).join(
        say("{reason}: {rows:,}", reason=_rejected(code_), rows=number)
        for code_, number in sorted(rows.reasons.items())
    )


def _rejected(code_: str) -> Markup:
    """A reason for which rows are rejected, with the code that the file of these rows has."""
    return (
        say("{reason} {code}", reason=gettext(REJECTED[code_]), code=code(code_)) if code_ in REJECTED else name(code_)
    )


def known(when: str) -> Markup:
    """When a customer's group is known, as a sentence."""
    kind, _, detail = when.partition(": ")
    said = {
        "entry": say("A customer's group is known when a customer arrives."),
        "first_purchase": say("A customer's group is known from the first purchase on."),
        "first_purchases": say(
            "A customer's group is known from the first {purchases} purchases on.", purchases=prose(detail)
        ),
        "until": say("A customer's group is known from the purchases before {date}.", date=prose(detail)),
        "lifetime": say("A customer's group is made from the customer's whole history."),
    }
    return said.get(kind) or say("A customer's group is {when}.", when=prose(when))


def since(trial: Trial) -> str | None:
    """The day from which a split known until a date is followed; ``None`` for any other."""
    kind, _, detail = trial.known.partition(": ")
    try:
        return day(detail) if kind == "until" else None
    except ValueError:
        return None


def share_title(trial: Trial) -> str:
    """What the share back is counted from."""
    days, start = quantity(trial.horizon_days, DAYS), since(trial)
    if start:
        return gettext("Back within {days} of {date}").format(days=days, date=start)
    return gettext("Back within {days}").format(days=days)


def cycle_title(trial: Trial) -> str:
    """Which cycles the mean is of."""
    start = since(trial)
    return gettext("Mean cycle begun since {date}").format(date=start) if start else gettext("Mean cycle of those back")


def score(text: str) -> tuple[str, str]:
    """What a score looks for, and what weighs the same in it."""
    weighting, _, kind = text.partition(" ")
    kinds = {"log-rank": gettext("throughout (log-rank)"), "Gehan": gettext("early on (Gehan)")}
    weightings = {"typical_gap": gettext("every cycle"), "typical_customer": gettext("every customer")}
    return kinds.get(kind, cut(kind, 40)), weightings.get(weighting, cut(weighting, 40))


def rule(segment: Segment) -> Markup:
    """The definition of a segment in words, as a sentence; empty where it has none but its name."""
    if segment.rule:
        words = worded(segment.words or "")
        return say("{rule}.", rule=prose(words[:1].upper() + words[1:])) if words else Markup("")
    if segment.parent is None:
        return say("Every customer.")
    return say("Customers to whom no group applies (yet).")


def in_segments(result: RunResult, counts: Counts) -> Markup:
    """Where every customer is, and who is in no segment of those that a definition makes."""
    segments = len(defined(result))
    unknown = next((each.customers for each in result.segments if each.name == NOT_YET_KNOWN), 0)
    if not unknown:
        return say(
            "Every customer is in exactly one of these {segments}.", segments=count(segments, "segment", "segments")
        )
    if not result.never_bought:
        return say(
            "Every customer is in exactly one of these {segments}, or not yet known: {unknown} customers.",
            segments=count(segments, "segment", "segments"),
            unknown=counts(unknown),
        )
    return say(
        "Every customer is in exactly one of these {segments}, or not yet known: {unknown} customers, {never} of them without a "
        "purchase that counts.",
        segments=count(segments, "segment", "segments"),
        unknown=counts(unknown),
        never=counts(result.never_bought),
    )


def evidence(segment: Segment, result: RunResult) -> Markup:
    """Why a segment stands; of a split with several groups, that it speaks of two of them."""
    if not segment.evidence or segment.name == NOT_YET_KNOWN:
        return Markup("")
    last = segment.rule[-1].split if segment.rule else ""
    made_by = next((each for each in result.trials if (each.segment, each.split) == (segment.parent, last)), None)
    return Markup(" ").join(filter(None, [prose(segment.evidence), of_pairs(made_by) if made_by is not None else ""]))


def of_pairs(trial: Trial) -> Markup:
    """That the sentence of a split with several groups is about two of them; empty where there are only two."""
    if verdict_pair(trial) is None or len(trial.groups) < 3:
        return Markup("")
    return say("That is one pair of its {groups} groups, the one that carries the verdict.", groups=len(trial.groups))


def contact(contact_days: tuple[int, int]) -> Markup:
    """When to write to the customers of a segment."""
    first, last = contact_days
    return say(
        "Write between day {first} and day {last} after a purchase: the middle half of returns falls there.",
        first=first,
        last=last,
    )


def shown_groups(trial: Trial, counts: Counts) -> list[GroupEffect]:
    """Groups whose estimates may be shown: those of few customers would tell of single ones."""
    return [group for group in trial.groups if group.customers >= counts.min_cell and group.share_back is not None]


def left_out(trial: Trial, counts: Counts) -> Markup:
    """Who is in no group and who could not be followed."""
    said = []
    if trial.not_known:
        said.append(say("No group applies to {customers} customers.", customers=counts(trial.not_known)))
    if trial.no_follow_up:
        said.append(
            say(
                "Left out, because nothing was observed after their purchase: {customers} customers.",
                customers=counts(trial.no_follow_up),
            )
        )
    return Markup(" ").join(said)


def sized(groups: Sequence[tuple[Markup, str]]) -> Markup:
    """Groups with how many customers each has, in a row."""
    shown = [Markup('{}&nbsp;<span class="quiet">{}</span>').format(group, customers) for group, customers in groups]
    return Markup(pgettext("between names", ", ")).join(shown)


def halves(trial: Trial) -> Markup:
    """Whether the two halves of the customers agree."""
    if trial.same_direction:
        return say("Both halves of the customers, taken alone, point the same way.")
    return say("The two halves of the customers point in opposite ways.")


def test(trial: Trial, result: RunResult) -> Markup:
    """What the test says, beside the effect that it is about."""
    pair = verdict_pair(trial)
    if trial.test is None or pair is None:
        return Markup("")
    changes = say(
        "From {first} to {second} the share back changes by {share} and the mean cycle by a factor of {ratio}.",
        first=name(pair.first),
        second=name(pair.second),
        share=quantity(pair.share_difference.estimate, SIGNED_POINTS),
        ratio=quantity(pair.ratio.estimate, RATIO),
    )
    law = say(
        "The largest of the scores below counts; how large it gets by chance is taken from {law}.",
        law=gettext(TAILS[trial.test.tail]) if trial.test.tail in TAILS else cut(trial.test.tail, 40),
    )
    return Markup(" ").join([changes, _by_chance(trial, trial.test, result), law])


def _by_chance(trial: Trial, found: SplitTest, result: RunResult) -> Markup:
    """How often chance alone makes such a difference, before and after adjustment for the tests of the run, by the ledger."""
    p_value, adjusted = probability(found.p_value, "p"), probability(trial.p_adjusted, "p")
    if trial.p_adjusted is None:
        return say("If the groups did not matter, differences as large would come about with {p}.", p=p_value)
    for entry in result.ledger:
        if (entry.segment, entry.split) == (trial.segment, trial.split) and entry.stage != "discovery":
            return say_many(
                "If the groups did not matter, differences as large would come about with {p}, adjusted for "
                "{number:,}\N{NO-BREAK SPACE}test in this run {adjusted}.",
                "If the groups did not matter, differences as large would come about with {p}, adjusted for "
                "{number:,}\N{NO-BREAK SPACE}tests in this run {adjusted}.",
                entry.of,
                p=p_value,
                adjusted=adjusted,
            )
    return say(
        "If the groups did not matter, differences as large would come about with {p}, adjusted {adjusted}.",
        p=p_value,
        adjusted=adjusted,
    )


def misleads(trial: Trial, result: RunResult) -> bool:
    """Whether the usual wrong test would find a difference that is not there."""
    level = setting(result, "trial", "level")
    found = trial.test
    if found is None or found.naive_p_value is None or not isinstance(level, float):
        return False
    return found.naive_p_value <= level < found.p_value


def naive(found: SplitTest) -> Markup:
    """The p-value of the usual wrong way, and why it decides nothing."""
    would = say(
        "A log-rank test that takes all cycles as independent would say {p}.", p=probability(found.naive_p_value, "p")
    )
    return Markup(" ").join([would, gettext(WHY_NOT_NAIVE)])


def inputs(result: RunResult) -> list[tuple[str, InputQuality]]:
    """Inputs with their accounts, transactions first."""
    return sorted(result.quality.inputs.items(), key=lambda each: (each[0] != "transactions", each[0]))


def cycles(result: RunResult, counts: Counts) -> Markup:
    """What the cycles were made of."""
    made = result.quality.cycle
    said = [
        say(
            "{customers} customers bought on {occasions}.",
            customers=counts(made.customers),
            occasions=count(made.occasions, "occasion", "occasions"),
        ),
        say(
            "That makes {cycles} that ended in a return; {open} were still open at the end of the period, and {once} customers bought "
            "once only.",
            cycles=count(made.cycles, "cycle", "cycles"),
            open=counts(made.censored),
            once=counts(made.customers_once),
        ),
    ]
    if made.returns:
        said.append(
            say_many(
                "{number:,}\N{NO-BREAK SPACE}line was a return, each set against its own order.",
                "{number:,}\N{NO-BREAK SPACE}lines were returns, each set against its own order.",
                made.returns,
            )
        )
    return Markup(" ").join(said)


def method(result: RunResult) -> list[Markup]:
    """The method in short."""
    effect, share, level = (setting(result, "trial", key) for key in ("minimum_effect", "minimum_share", "level"))
    decided = escape(gettext(HOW_DECIDED))
    if isinstance(effect, float) and isinstance(share, float) and isinstance(level, float):
        decided += " " + say(
            "Here a difference counts from {effect} of the cycle or {share} of the share back, at a level of {level}.",
            effect=quantity(effect, PERCENT),
            share=quantity(share, POINTS),
            level=quantity(level, PERCENT),
        )
    return [escape(gettext(HOW_TESTED)), decided, escape(gettext(HOW_ESTIMATED))]


def tree_first(result: RunResult) -> list[Trial]:
    """Trials of the tree first, then the declared."""
    held = of_tree(result)
    return sorted(
        result.trials, key=lambda trial: ((trial.segment, trial.split) not in held, trial.source != "declared")
    )


def within_segment(split: Markup, trial: Trial) -> Markup:
    """A split and, where it was tried among some customers only, which."""
    if trial.segment == EVERYBODY:
        return split
    return say("{split} within {segment}", split=split, segment=name(trial.segment))


def share_back(group: GroupEffect) -> float:
    """Share back of a group, to sort by and to say; 0 where it cannot be told."""
    return 0.0 if group.share_back is None or group.share_back.estimate is None else group.share_back.estimate


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
