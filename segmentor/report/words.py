"""Sentences of the page, made from a result's records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from segmentor.report.names import code, cut, either, name, prose
from segmentor.report.numbers import (
    DAYS,
    NO_BREAK,
    PERCENT,
    POINTS,
    RATIO,
    SIGNED_POINTS,
    count,
    day,
    probability,
    quantity,
)
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import (
    ECHO,
    HOW_DECIDED,
    HOW_ESTIMATED,
    HOW_TESTED,
    REASONS,
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
        candidates = count(result.search.tried, "candidate that the data suggest", "candidates that the data suggest")
        also = Markup(", and does any of {}").format(candidates) if splits else Markup("")
        if not splits:
            return Markup("Does any of {} tell who comes back, and how soon?").format(candidates)
        return Markup("Which of these tell who comes back, and how soon: {}{}?").format(either(few(splits)), also)
    if not splits:
        return Markup("No split of customers was asked about.")
    if len(splits) == 1:
        return Markup("Does {} tell who comes back, and how soon?").format(splits[0])
    return Markup("Which of these tell who comes back, and how soon: {}?").format(either(few(splits)))


def purchases_asked(result: RunResult) -> Markup:
    """Which purchases count."""
    condition = setting(result, "cycle", "purchase")
    return code(str(condition)) if condition else Markup("All purchases")


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
        return "with" if group == split else "without"
    return group


def few(parts: Sequence[Markup], *, most: int = 6) -> list[Markup]:
    """Parts of a sentence that can still be read: the first, and how many more there are."""
    return (
        [*parts] if len(parts) <= most else [*parts[: most - 1], Markup("{} more").format(count(len(parts) - most + 1))]
    )


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
    return name(text[:1].upper() + text[1:], length=length)


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


def reason(code_: str) -> Markup:
    """A reason code in words."""
    return escape(REASONS[code_]) if code_ in REASONS else prose(code_[:1].upper() + code_[1:] + ".")


def known(when: str) -> Markup:
    """When a customer's group is known: ``from the first 2 purchases on``."""
    kind, _, detail = when.partition(": ")
    phrases = {
        "entry": Markup("known when a customer arrives"),
        "first_purchase": Markup("known from the first purchase on"),
        "first_purchases": Markup("known from the first {} purchases on").format(prose(detail)),
        "until": Markup("known from the purchases before {}").format(prose(detail)),
        "lifetime": Markup("made from the customer's whole history"),
    }
    return phrases.get(kind) or prose(when)


def since(trial: Trial) -> str | None:
    """The day from which a split known until a date is followed; ``None`` for any other."""
    kind, _, detail = trial.known.partition(": ")
    try:
        return day(detail) if kind == "until" else None
    except ValueError:
        return None


def share_title(trial: Trial) -> str:
    """What the share back is counted from."""
    within = f"Back within {quantity(trial.horizon_days, DAYS)}"
    start = since(trial)
    return f"{within} of {start}" if start else within


def cycle_title(trial: Trial) -> str:
    """Which cycles the mean is of."""
    start = since(trial)
    return f"Mean cycle begun since {start}" if start else "Mean cycle of those back"


def score(text: str) -> tuple[str, str]:
    """What a score looks for, and what weighs the same in it."""
    weighting, _, kind = text.partition(" ")
    kinds = {"log-rank": "throughout (log-rank)", "Gehan": "early on (Gehan)"}
    weightings = {"typical_gap": "every cycle", "typical_customer": "every customer"}
    return kinds.get(kind, cut(kind, 40)), weightings.get(weighting, cut(weighting, 40))


def curve_caption(trial: Trial, shown: Sequence[GroupEffect]) -> Markup:
    """What to see in the return curves."""
    seen = {
        "separates": "The curves part",
        "equivalent": "The curves run together",
        "inconclusive": "The curves may differ by chance alone",
        "untestable": "The curves are shown as they are and were not compared",
    }[trial.verdict]
    if trial.verdict == "inconclusive" and trial.reasons[:1] not in (("not significant",), ("not promoted",)):
        seen = "The curves differ, which is not enough here"
    pair = verdict_pair(trial)
    if trial.verdict == "separates" and pair is not None and not excludes(pair.share_difference, 0.0):
        sooner = pair.first if (pair.ratio.estimate or 1.0) > 1 else pair.second
        seen = Markup("The curve of {} rises sooner").format(name(sooner))
    ranked = sorted(shown, key=share_back, reverse=True)
    ends = Markup("")
    if len(ranked) > 1:
        ends = Markup(": by day {}, {} of customers are back in {} and {} in {}").format(
            trial.horizon_days,
            quantity(share_back(ranked[0]), PERCENT),
            name(ranked[0].name),
            quantity(share_back(ranked[-1]), PERCENT),
            name(ranked[-1].name),
        )
    start = since(trial)
    counted = (
        f" The curves are the wait from {start} to the next purchase, one a customer, with those who never came back; mean cycle "
        "and ratio are of the cycles begun from that day on."
        if start
        else ""
    )
    return Markup("{}{}.{} Shaded: 95{}% interval at each day.").format(seen, ends, counted, NO_BREAK)


def curve_text(group: GroupEffect) -> str:
    """A return curve in words, for those who cannot see it."""
    points = [(share.day, share.share.estimate) for share in group.shares_back]
    if group.curve is not None and group.curve.days[-1] not in [at for at, _ in points]:
        points.append((group.curve.days[-1], group.curve.share_back[-1]))
    steps = ", ".join(f"{quantity(share, PERCENT)} by day {at}" for at, share in points)
    return f"{cut(group.name, 60)}: {steps} are back."


def rule(segment: Segment) -> Markup:
    """The definition of a segment in words."""
    if not segment.rule:
        return escape("Every customer" if segment.parent is None else "Customers to whom no group applies (yet)")
    return heading(str(segment.words or ""), length=600)


def in_segments(result: RunResult, counts: Counts) -> str:
    """Where every customer is, and who is in no segment of those that a definition makes."""
    segments = count(len(defined(result)), "segment")
    unknown = next((each.customers for each in result.segments if each.name == NOT_YET_KNOWN), 0)
    if not unknown:
        return f"Every customer is in exactly one of these {segments}."
    never = f", {counts(result.never_bought)} of them without a purchase that counts" if result.never_bought else ""
    return (
        f"Every customer is in exactly one of these {segments}, or not yet known: {counts(unknown)} customers{never}."
    )


def evidence(segment: Segment, result: RunResult) -> Markup:
    """Why a segment stands; of a split with several groups, that it speaks of two of them."""
    if not segment.evidence or segment.name == NOT_YET_KNOWN:
        return Markup("")
    last = segment.rule[-1].split if segment.rule else ""
    made_by = next((each for each in result.trials if (each.segment, each.split) == (segment.parent, last)), None)
    return prose(segment.evidence) + ("" if made_by is None else of_pairs(made_by))


def of_pairs(trial: Trial) -> str:
    """That the sentence of a split with several groups is about two of them; empty where there are only two."""
    if verdict_pair(trial) is None or len(trial.groups) < 3:
        return ""
    return f" That is one pair of its {len(trial.groups)} groups, the one that carries the verdict."


def contact(contact_days: tuple[int, int]) -> str:
    """When to write to the customers of a segment."""
    first, last = contact_days
    return f"Write between day {first} and day {last} after a purchase: the middle half of returns falls there."


def shown_groups(trial: Trial, counts: Counts) -> list[GroupEffect]:
    """Groups whose estimates may be shown: those of few customers would tell of single ones."""
    return [group for group in trial.groups if group.customers >= counts.min_cell and group.share_back is not None]


def left_out(trial: Trial, counts: Counts) -> str:
    """Who is in no group and who could not be followed."""
    parts = []
    if trial.not_known:
        parts.append(f"No group applies to {counts(trial.not_known)} customers.")
    if trial.no_follow_up:
        parts.append(
            f"Left out, because nothing was observed after their purchase: {counts(trial.no_follow_up)} customers."
        )
    return " ".join(parts)


def return_days(groups: Sequence[GroupEffect]) -> list[int]:
    """Days by which shares back are given for some group."""
    return sorted({share.day for group in groups for share in group.shares_back})


def share_by(group: GroupEffect, by_day: int) -> Interval | None:
    """Share of a group back by a day."""
    return next((share.share for share in group.shares_back if share.day == by_day), None)


def halves(trial: Trial) -> str:
    """Whether the two halves of the customers agree."""
    return (
        "Both halves of the customers, taken alone, point the same way."
        if trial.same_direction
        else "The two halves of the customers point in opposite ways."
    )


def test(trial: Trial, result: RunResult) -> Markup:
    """What the test says, beside the effect that it is about."""
    pair = verdict_pair(trial)
    if trial.test is None or pair is None:
        return Markup("")
    adjusted = ""
    if trial.p_adjusted is not None:
        adjusted = f", adjusted{_for_many(trial, result)} {probability(trial.p_adjusted, 'p')}"
    return Markup(
        "From {} to {} the share back changes by {} and the mean cycle by a factor of {}. If the groups did not matter, "
        "differences as large would come about with {}{}. The largest of the scores below counts; how large it gets by "
        "chance is taken from {}."
    ).format(
        name(pair.first),
        name(pair.second),
        quantity(pair.share_difference.estimate, SIGNED_POINTS),
        quantity(pair.ratio.estimate, RATIO),
        probability(trial.test.p_value, "p"),
        adjusted,
        TAILS.get(trial.test.tail, cut(trial.test.tail, 40)),
    )


def misleads(trial: Trial, result: RunResult) -> bool:
    """Whether the usual wrong test would find a difference that is not there."""
    level = setting(result, "trial", "level")
    found = trial.test
    if found is None or found.naive_p_value is None or not isinstance(level, float):
        return False
    return found.naive_p_value <= level < found.p_value


def naive(found: SplitTest) -> str:
    """The p-value of the usual wrong way, and why it decides nothing."""
    return f"A log-rank test that takes all cycles as independent would say {probability(found.naive_p_value, 'p')}. {WHY_NOT_NAIVE}"


def inputs(result: RunResult) -> list[tuple[str, InputQuality]]:
    """Inputs with their accounts, transactions first."""
    return sorted(result.quality.inputs.items(), key=lambda each: (each[0] != "transactions", each[0]))


def cycles(result: RunResult, counts: Counts) -> str:
    """What the cycles were made of."""
    made = result.quality.cycle
    taken_back = f" {count(made.returns, 'line was a return', 'lines were returns')}, each set against its own order."
    return (
        f"{counts(made.customers)} customers bought on {count(made.occasions, 'occasion', 'occasions')}. That makes "
        f"{count(made.cycles, 'cycle', 'cycles')} that ended in a return; {counts(made.censored)} were still open at "
        f"the end of the period, and {counts(made.customers_once)} customers bought once only."
        f"{taken_back if made.returns else ''}"
    )


def method(result: RunResult) -> list[str]:
    """The method in short."""
    effect, share, level = (setting(result, "trial", key) for key in ("minimum_effect", "minimum_share", "level"))
    limits = ""
    if isinstance(effect, float) and isinstance(share, float) and isinstance(level, float):
        limits = (
            f" Here a difference counts from {quantity(effect, PERCENT)} of the cycle or {quantity(share, POINTS)} of the "
            f"share back, at a level of {quantity(level, PERCENT)}."
        )
    return [HOW_TESTED, HOW_DECIDED + limits, HOW_ESTIMATED]


def _for_many(trial: Trial, result: RunResult) -> str:
    """How many tests the p of a trial is adjusted for, by the ledger."""
    for entry in result.ledger:
        if (entry.segment, entry.split) == (trial.segment, trial.split) and entry.stage != "discovery":
            return f" for {count(entry.of, 'test', 'tests')} in this run"
    return ""


def but_see(trial: Trial) -> Markup:
    """Where the column of a split that does not matter separates all the same."""
    return Markup("see {}").format(within_segment(name(trial.split), trial))


def tree_first(result: RunResult) -> list[Trial]:
    """Trials of the tree first, then the declared."""
    held = of_tree(result)
    return sorted(
        result.trials, key=lambda trial: ((trial.segment, trial.split) not in held, trial.source != "declared")
    )


def within_segment(split: Markup, trial: Trial) -> Markup:
    """A split's name with the segment where it was tried, below the root."""
    """A split and, where it was tried among some customers only, which."""
    return split if trial.segment == EVERYBODY else Markup("{} within {}").format(split, name(trial.segment))


def share_back(group: GroupEffect) -> float:
    """Share back of a group, to sort by and to say; 0 where it cannot be told."""
    return 0.0 if group.share_back is None or group.share_back.estimate is None else group.share_back.estimate


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
