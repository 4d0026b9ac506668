"""Names and sentences as people read them; what comes from the data is escaped, isolated and cut to length."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from segmentor.report.numbers import (
    DAYS,
    NO_BREAK,
    PERCENT,
    POINTS,
    RATIO,
    SIGNED_POINTS,
    count,
    estimate,
    probability,
    quantity,
    shown_count,
    shown_counts,
)
from segmentor.result import (
    CrossSellRule,
    GroupEffect,
    Interval,
    PairEffect,
    Rule,
    RunResult,
    SplitTest,
    Trial,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """A verdict for people: a sign that needs no colour, a label, and what it means."""

    sign: str
    label: str
    meaning: str


VERDICTS: dict[Verdict, VerdictWords] = {
    "separates": VerdictWords(
        "≠", "Separates", "The groups differ in how many customers come back or in how soon, by enough to act on."
    ),
    "equivalent": VerdictWords(
        "=", "Does not matter", "The groups were shown to be alike: what difference there is, is too small to act on."
    ),
    "inconclusive": VerdictWords(
        "?", "Cannot tell yet", "Neither a difference nor its absence could be shown with these customers."
    ),
    "untestable": VerdictWords("×", "Cannot be tested", "These data cannot answer the question as it was asked."),
}
"""In the order in which splits are shown."""

REASONS = {
    "circular": "The groups are made from the same purchases as the cycles; they would differ whatever customers do.",
    "not comparable": "The groups began in different periods: season or tenure cannot be told from the split.",
    "not significant": "A difference as large as this one also comes about by chance.",
    "not promoted": "Screening found nothing in it that was worth a confirming test.",
    "one group": "All customers are in one group: there is nothing to compare.",
    "too few events": "Too few customers came back to compare anything.",
    "too few customers": "Too few customers are in the groups.",
}
"""Reason codes in words; another code is shown as it is."""

NOTHING_SEPARATES = (
    "Nothing separates: no split showed a difference, in how many customers come back or in how soon, "
    "that is both sure and large enough to act on."
)

MOST_ROWS = 200
"""Rows of a table on the page; longer ones are cut and say where the rest is."""

GLOSSARY = (
    ("Occasion", "All that one customer bought on one day of the shop."),
    ("Cycle", "The days from one occasion of a customer to the next. The last one is open: it had not ended yet."),
    ("Split", "A way to part customers into groups, with a statement of when a customer's group is known."),
    ("Share back", "Share of typical customers who have bought again by a day, counted from a purchase."),
    ("Mean cycle of those back", "How many days those customers took, on average, who were back by that day."),
    ("Ratio", "Mean cycle of the second group over that of the first: 1.18 means cycles that are 18 % longer."),
    ("Interval", "Where the true value lies, 95 times in 100. Customers are the unit: one customer counts once."),
    ("Typical customer", "Every customer weighs the same, however often he or she buys."),
    ("p", "How often chance alone gives a difference this large. Adjusted: for the number of splits asked about."),
    ("Cohort", "Customers who began in the same period. Groups are compared within cohorts only."),
    ("Halves", "Customers are parted in two at random by the seed; a finding must point the same way in both."),
)


def name(text: str) -> Markup:
    """A name from the data: escaped, kept from turning the text around it, cut to a line."""
    return Markup("<bdi>{}</bdi>").format(cut(text, 60))


def names(texts: Sequence[str]) -> Markup:
    """Names in a row: ``a, b and c``."""
    return listed([name(text) for text in texts])


def listed(parts: Sequence[Markup], joint: str = "and") -> Markup:
    """Parts in a row: ``a, b and c``."""
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{} {} {}").format(Markup(", ").join(parts[:-1]), joint, parts[-1])


def prose(text: str) -> Markup:
    """A sentence of the run, which may hold names from the data."""
    return Markup('<bdi dir="ltr">{}</bdi>').format(cut(text, 1000))


def code(text: str) -> Markup:
    """A condition as the config has it."""
    return Markup('<code dir="ltr">{}</code>').format(cut(text, 400))


def cut(text: str, length: int) -> str:
    """Text of at most so many characters, without those that are invisible or turn the direction of text."""
    harmless = _UNWANTED.sub("\N{REPLACEMENT CHARACTER}", text)
    return harmless if len(harmless) <= length else harmless[: length - 1] + "…"


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
    splits = [Markup("<strong>{}</strong>").format(name(split)) for split in _unique(t.split for t in result.trials)]
    if not splits:
        return Markup("No split of customers was asked about.")
    if len(splits) == 1:
        return Markup("Does {} tell apart customers who come back differently: more of them, or sooner?").format(
            splits[0]
        )
    return Markup("Which of these tell apart customers who come back differently, more of them or sooner: {}?").format(
        listed(splits, "or")
    )


def purchases_asked(result: RunResult) -> Markup:
    """Which purchases count."""
    condition = setting(result, "cycle", "purchase")
    return code(str(condition)) if condition else Markup("All purchases")


def answers(result: RunResult) -> list[tuple[Verdict, Markup]]:
    """The answer in three sentences: what separates, what does not, and what cannot be told."""
    by_verdict: dict[Verdict, list[Trial]] = {verdict: [] for verdict in VERDICTS}
    for trial in result.trials:
        by_verdict[trial.verdict].append(trial)
    still_open = by_verdict["inconclusive"] + by_verdict["untestable"]
    return [
        (
            "separates",
            _what_separates(by_verdict["separates"], tested=len(result.trials) > len(by_verdict["untestable"])),
        ),
        ("equivalent", _what_does_not(by_verdict["equivalent"], result)),
        ("inconclusive" if by_verdict["inconclusive"] or not still_open else "untestable", _what_is_open(still_open)),
    ]


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Trials as they are shown: by verdict, then as asked."""
    order = list(VERDICTS)
    return sorted(trials, key=lambda trial: order.index(trial.verdict))


def verdict_pair(trial: Trial) -> PairEffect | None:
    """The pair of groups that carries the verdict."""
    return None if trial.verdict_pair is None else trial.pairs[trial.verdict_pair]


def reason(code_: str) -> Markup:
    """A reason code in words."""
    return escape(REASONS[code_]) if code_ in REASONS else prose(code_[:1].upper() + code_[1:] + ".")


def known(when: str) -> Markup:
    """When a customer's group is known: ``from the first 2 purchases on``."""
    kind, _, detail = when.partition(": ")
    phrases = {
        "entry": "known when a customer arrives",
        "first_purchase": "known from the first purchase on",
        "first_purchases": f"known from the first {detail} purchases on",
        "until": f"known from the purchases before {detail}",
        "lifetime": "made from a customer's whole history",
    }
    return escape(cut(phrases.get(kind, when), 80))


def score(text: str) -> str:
    """The name of a score: ``every cycle alike, log-rank``."""
    weighting, _, kind = text.partition(" ")
    weightings = {"typical_gap": "every cycle weighs the same", "typical_customer": "every customer weighs the same"}
    kinds = {"log-rank": "differences throughout (log-rank)", "Gehan": "early differences (Gehan)"}
    return f"{kinds.get(kind, kind)}, {weightings.get(weighting, weighting)}"


def curve_caption(trial: Trial, shown: Sequence[GroupEffect]) -> Markup:
    """What to see in the return curves."""
    ranked = sorted(shown, key=_share, reverse=True)
    high, low = ranked[0], ranked[-1]
    seen = {
        "separates": "The curves part",
        "equivalent": "The curves run together",
        "inconclusive": "The curves may differ by chance alone",
        "untestable": "The curves are shown as they are and were not compared",
    }[trial.verdict]
    ends = Markup("")
    if len(ranked) > 1:
        ends = Markup(": by day {}, {} of customers are back in {} and {} in {}").format(
            trial.horizon_days,
            quantity(_share(high), PERCENT),
            name(high.name),
            quantity(_share(low), PERCENT),
            name(low.name),
        )
    return Markup("{}{}. Shaded: 95{}% interval at each day.").format(seen, ends, NO_BREAK)


def curve_text(group: GroupEffect) -> str:
    """A return curve in words, for those who cannot see it."""
    points = [(share.day, share.share.estimate) for share in group.shares_back]
    if group.curve is not None and group.curve.days[-1] not in [at for at, _ in points]:
        points.append((group.curve.days[-1], group.curve.share_back[-1]))
    steps = ", ".join(f"{quantity(share, PERCENT)} by day {at}" for at, share in points)
    return f"{cut(group.name, 60)}: {steps} are back."


def rule(conditions: Sequence[Rule]) -> Markup:
    """The definition of a segment in words."""
    if not conditions:
        return Markup("Every customer")
    parts = [
        Markup("{} is {}, {}").format(name(condition.split), name(condition.group), known(condition.known))
        for condition in conditions
    ]
    return Markup("Customers whose {}").format(listed(parts, "and whose"))


def contact(contact_days: tuple[int, int] | None) -> str:
    """When to write to the customers of a segment."""
    if contact_days is None:
        return "Too few came back to say when to write."
    first, last = contact_days
    return f"Write between day {first} and day {last} after a purchase: the middle half of returns falls there."


def shown_groups(trial: Trial, min_cell: int) -> list[GroupEffect]:
    """Groups whose estimates may be shown: those of few customers would tell of single ones."""
    return [group for group in trial.groups if group.customers >= min_cell and group.share_back is not None]


def trial_counts(trial: Trial, min_cell: int) -> list[str]:
    """Customers of each group, then without a group, then without follow-up; small ones hidden."""
    parts = [*(group.customers for group in trial.groups), trial.not_known, trial.no_follow_up]
    return shown_counts(parts, min_cell)


def left_out(trial: Trial, counts: Sequence[str]) -> str:
    """Who is in no group and who could not be followed."""
    parts = []
    if trial.not_known:
        parts.append(f"No group applies to {counts[-2]} customers.")
    if trial.no_follow_up:
        parts.append(f"Left out, because nothing was observed after their purchase: {counts[-1]} customers.")
    return " ".join(parts)


def return_days(groups: Sequence[GroupEffect]) -> list[int]:
    """Days by which shares back are given for some group."""
    return sorted({share.day for group in groups for share in group.shares_back})


def share_by(group: GroupEffect, by_day: int) -> Interval | None:
    """Share of a group back by a day."""
    return next((share.share for share in group.shares_back if share.day == by_day), None)


def robustness(trial: Trial) -> list[str]:
    """What else speaks for or against the verdict."""
    found = []
    if trial.same_direction is not None:
        found.append(
            "Both halves of the customers, taken alone, point the same way."
            if trial.same_direction
            else "The two halves of the customers point in opposite ways."
        )
    if trial.comparable_share is not None:
        share = quantity(trial.comparable_share, PERCENT)
        found.append(f"{share} of the customers began in a period in which others of another group began too.")
    if trial.customers_needed is not None:
        found.append(f"About {count(_rounded(trial.customers_needed), 'customer')} in all would decide it.")
    return found


def test(trial: Trial, result: RunResult) -> Markup:
    """What the test says, beside the effect that it is about."""
    if trial.test is None:
        return Markup("")
    pair = verdict_pair(trial)
    effect = Markup("")
    if pair is not None:
        effect = Markup(
            "The largest effect is between {} and {}: {} of the share back and a ratio of cycles of {}. "
        ).format(
            name(pair.first),
            name(pair.second),
            quantity(pair.share_difference.estimate, SIGNED_POINTS),
            quantity(pair.ratio.estimate, RATIO),
        )
    adjusted = ""
    if trial.p_adjusted is not None:
        declared = sum(each.test is not None and each.source == "declared" for each in result.trials)
        adjusted = f"; adjusted for {count(declared, 'split')} asked about, p = {probability(trial.p_adjusted)}"
    return effect + Markup(
        "Chance alone gives as much with p = {}{}. The largest of the scores below counts ({})."
    ).format(probability(trial.test.p_value), adjusted, cut(trial.test.tail, 40))


def naive(found: SplitTest, result: RunResult) -> Markup:
    """The p-value of the usual wrong way, and why it decides nothing."""
    level = setting(result, "trial", "level")
    limit = level if isinstance(level, float) else 0.05
    misled = found.naive_p_value is not None and found.naive_p_value <= limit < found.p_value
    return Markup("{}A log-rank test of all cycles as if independent would say p = {}. It decides nothing: {}").format(
        Markup("<strong>Not to be trusted:</strong> ") if misled else "",
        probability(found.naive_p_value),
        "one customer's cycles resemble each other, and groups that began at different times differ anyway, so that "
        "in shops without any difference it often finds one.",
    )


def lift(found: CrossSellRule) -> Markup:
    """How much more often than by chance."""
    return Markup("{} times").format(estimate(found.lift, RATIO))


def when(found: CrossSellRule) -> str:
    """When the consequent is bought."""
    if found.mode == "same_occasion":
        return "on the same occasion"
    return (
        f"later, half of them within {quantity(found.median_days, DAYS)}"
        if found.median_days
        else "at a later purchase"
    )


def strongest(rules: Iterable[CrossSellRule]) -> list[CrossSellRule]:
    """Rules, those first that are surest to beat chance by much."""
    return sorted(rules, key=lambda found: (-(found.lift.ci_low or 0.0), found.antecedent, found.consequent))


def cycles(result: RunResult) -> str:
    """What the cycles were made of."""
    made = result.quality.cycle
    return (
        f"{shown_count(made.customers, result.min_cell)} customers bought on {count(made.occasions, 'occasion')}. That makes "
        f"{count(made.cycles, 'cycle')} that ended in a return; {shown_count(made.censored, result.min_cell)} were still open at "
        f"the end of the period, and {shown_count(made.customers_once, result.min_cell)} customers bought once only. "
        f"{count(made.returns, 'line')} given back were taken off."
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
    return [_HOW_TESTED, _HOW_DECIDED + limits, _HOW_ESTIMATED]


def _what_separates(trials: Sequence[Trial], *, tested: bool) -> Markup:
    if not trials:
        return escape(NOTHING_SEPARATES if tested else "Nothing is known to separate, for nothing could be tested.")
    found = [Markup("<strong>{}</strong>{}").format(name(trial.split), _effect_in_brackets(trial)) for trial in trials]
    return Markup("Customers come back differently by {}.").format(listed(found, "and by"))


def _what_does_not(trials: Sequence[Trial], result: RunResult) -> Markup:
    if not trials:
        return Markup("No split was shown to make no difference.")
    one = len(trials) == 1
    return Markup("{} {} not matter: customers of {} groups come back alike{}, so do not segment on {}.").format(
        _split_names(trials),
        "does" if one else "do",
        "its" if one else "their",
        _margins(result),
        "it" if one else "them",
    )


def _what_is_open(trials: Sequence[Trial]) -> Markup:
    if not trials:
        return Markup("No question was left open.")
    unknown = [trial for trial in trials if trial.verdict == "inconclusive"]
    sentences = []
    if unknown:
        found = [Markup("<strong>{}</strong>{}").format(name(trial.split), _needed(trial)) for trial in unknown]
        sentences.append(Markup("It cannot be told yet whether customers differ by {}.").format(listed(found, "or by")))
    untested = [trial for trial in trials if trial.verdict == "untestable"]
    if untested:
        sentences.append(
            Markup("{} could not be tested; the card below says how to ask again.").format(_split_names(untested))
        )
    return Markup(" ").join(sentences)


def _split_names(trials: Sequence[Trial]) -> Markup:
    return listed([Markup("<strong>{}</strong>").format(name(trial.split)) for trial in trials])


def _effect_in_brackets(trial: Trial) -> Markup:
    pair = verdict_pair(trial)
    if pair is None or trial.horizon_days is None:
        return Markup("")
    groups = [group for group in trial.groups if group.name in (pair.first, pair.second)]
    shown = [Markup("{} {}").format(name(group.name), _back_and_after(group)) for group in groups]
    return Markup(" (back within {}: {})").format(quantity(trial.horizon_days, DAYS), Markup(", ").join(shown))


def _back_and_after(group: GroupEffect) -> str:
    share = quantity(_share(group), PERCENT)
    if group.mean_cycle_days is None or group.mean_cycle_days.estimate is None:
        return share
    return f"{share}, after {quantity(group.mean_cycle_days.estimate, DAYS)} on average"


def _needed(trial: Trial) -> str:
    if trial.customers_needed is None:
        return ""
    return f" (about {count(_rounded(trial.customers_needed), 'customer')} in all would decide it)"


def _margins(result: RunResult) -> str:
    effect, share = setting(result, "trial", "minimum_effect"), setting(result, "trial", "minimum_share")
    if not isinstance(effect, float) or not isinstance(share, float):
        return ""
    return f" to within {quantity(effect, PERCENT)} of the cycle and {quantity(share, POINTS)} of the share back"


def _rounded(number: int) -> int:
    """A number to two digits, upwards: an order of magnitude is all that it claims."""
    step: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // step) * step


def _share(group: GroupEffect) -> float:
    return 0.0 if group.share_back is None or group.share_back.estimate is None else group.share_back.estimate


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, those that turn the direction of text, halves of characters, and no characters."""

_HOW_TESTED = (
    "Each customer's cycles become a few scores that say whether the customer comes back sooner or later than others. "
    "The test of a split asks whether the scores of its groups differ by more than they would had the groups been dealt "
    "out at random among customers who began in the same period. So the number of a customer's purchases, and their "
    "likeness to each other, cannot pass for a difference between groups."
)
_HOW_DECIDED = (
    "A split separates when its test holds after adjustment for all splits asked about, when both halves of the "
    "customers point the same way, and when the effect is large enough to act on. It does not matter when the effect "
    "was shown to be smaller than that."
)
_HOW_ESTIMATED = (
    "Shares and cycles are of typical customers, by survival curves that take open cycles for what they are, within "
    "the period that was observed; nothing is extended beyond it. All groups are weighted to the same mix of beginnings."
)
