"""The test and the effects of a split -> its verdict, with reasons, a sentence, and what would decide it where nothing does."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from segmentor.cycles import OTHER_SEEDS, seeds
from segmentor.effects import Effects, HalfEffects, exceeds
from segmentor.result import EVERYBODY, GroupEffect, Interval, SeedVerdict, Trial, Verdict
from segmentor.result.codes import reason_in_words, too_small
from segmentor.result.trial import Compared
from segmentor.splits import MISSING, MIXED, OTHER
from segmentor.statistics.effects import PairIntervals, customers_for_equivalence, customers_for_separation
from segmentor.wording import Message, in_sequence, marked

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.discovery import Suggestion
    from segmentor.evidence import Evidence
    from segmentor.labelling import Labelled

COMPARISONS: tuple[Compared, ...] = ("ratio", "share back")
"""What may carry a verdict."""

LEFT_OVER = (MIXED, MISSING, OTHER)
"""Groups of a found split that hold the customers whom its values leave."""

CANNOT_BE_TESTED = marked("This cannot be tested as it stands ({reason}): {restate}.")

OTHER_HALF_CANNOT = marked("The other half cannot test this ({reason}): {restate}.")

REALLY_DIFFER = marked("These customers really differ: {facts}.")

NOT_DECIDED = marked("Not decided ({reason}): {facts}.")

MONTH = re.compile(r"\d{4}-\d{2}")
"""Name of a monthly cohort."""


def judge_declared(evidence: Evidence, config: ExperimentConfig, *, p_adjusted: float | None) -> Trial:
    """The trial of a split that was declared as it stands.

    Args:
        evidence: Its test and effects on all customers, or its obstacle.
        config: Holds the level, the minimum effects and the smallest group.
        p_adjusted: p of the test, adjusted over all declared splits; ``None`` for an untestable one.
    """
    effects = evidence.effects
    if evidence.test is None or effects is None or p_adjusted is None:
        return _untestable(evidence)
    carrying = carrying_pair(effects, config)
    agree = [_same_direction(carrying, half) for half in effects.halves]
    verdicts = [_verdict(evidence.groups, effects, config, p_adjusted, same_direction=same) for same in agree or [True]]
    verdict, reasons = verdicts[0]
    others = [verdict for verdict, _ in verdicts[1:]] or [verdict] * OTHER_SEEDS
    trial = _judged(
        evidence,
        effects,
        config,
        (verdict, reasons),
        carrying=carrying,
        p_value=evidence.test.p_value,
        p_adjusted=p_adjusted,
    )
    return replace(
        trial,
        same_direction=agree[0] if agree else None,
        other_seeds=tuple(SeedVerdict(seed, other) for seed, other in zip(seeds(config)[1:], others, strict=True)),
    )


def judge_found(
    evidence: Evidence,
    config: ExperimentConfig,
    *,
    suggestion: Suggestion,
    sizes: Labelled,
    p_adjusted: float | None,
) -> Trial:
    """The trial of a split that the discovery half suggested.

    Args:
        evidence: Of the confirmation half.
        config: Holds the level, the minimum effects and the smallest group.
        suggestion: What discovery said of it.
        sizes: Its groups in both halves.
        p_adjusted: p of the confirmation, adjusted over all that was promoted; ``None`` where it was not.
    """
    evidence = _of_both_halves(evidence, sizes)
    effects = evidence.effects
    if evidence.test is None or effects is None:
        trial = _untestable(evidence, OTHER_HALF_CANNOT)
    else:
        carrying = carrying_pair(effects, config)
        same = _points_alike(effects, suggestion.effects, carrying)
        verdict = _verdict(
            evidence.groups,
            effects,
            config,
            1.0 if p_adjusted is None else p_adjusted,
            same_direction=same,
            unclaimed=LEFT_OVER,
        )
        if p_adjusted is None and verdict[0] == "inconclusive":
            verdict = ("inconclusive", ("not promoted", *verdict[1][1:]))
        trial = replace(
            _judged(
                evidence,
                effects,
                config,
                verdict,
                carrying=carrying,
                p_value=evidence.test.p_value,
                p_adjusted=p_adjusted,
            ),
            same_direction=same,
        )
    return replace(trial, p_discovery_adjusted=suggestion.p_adjusted, cutpoint=suggestion.cutpoint)


def judge_screened(
    evidence: Evidence, config: ExperimentConfig, *, sizes: Labelled, p_value: float, p_adjusted: float
) -> Trial:
    """The trial of a split that discovery did not promote: its intervals in the confirmation half may still show that it does not matter.

    Args:
        evidence: Of the confirmation half, without a test.
        config: Holds the margins and the smallest group.
        sizes: Its groups in both halves.
        p_value: Of its screening, before adjustment.
        p_adjusted: Of its screening.
    """
    evidence = _of_both_halves(evidence, sizes)
    effects = evidence.effects
    if effects is None:
        trial = _untestable(evidence)
    else:
        verdict, reasons = _verdict(evidence.groups, effects, config, 1.0, same_direction=True, unclaimed=LEFT_OVER)
        if verdict == "inconclusive":
            reasons = ("not promoted", *reasons[1:])
        carrying = carrying_pair(effects, config)
        trial = _judged(evidence, effects, config, (verdict, reasons), carrying=carrying, p_value=p_value)
    return replace(trial, p_discovery_adjusted=p_adjusted)


def carrying_pair(effects: Effects, config: ExperimentConfig) -> tuple[int, int]:
    """The comparison that carries the verdict: of those that exceed their margin, or of all, the one furthest from no difference.

    Returns:
        Index of the pair, and 0 where its ratio carries or 1 where its share back does.
    """

    def strength(place: tuple[int, int]) -> tuple[bool, float]:
        pair, which = place
        intervals, margin = _comparisons(effects, config)[which]
        distance = abs(intervals.difference[pair]) / intervals.standard_error[pair]
        return exceeds(intervals, pair, margin), float(np.nan_to_num(distance))

    return max(((pair, which) for pair in range(len(effects.pairs)) for which in (0, 1)), key=strength)


def weighed_against_deals(trial: Trial) -> Trial:
    """The trial, undecided where a label dealt at random separates in most deals, and in some as strongly as this one.

    Such a label tells how often somebody bought before, and nothing of what.
    """
    dealt = trial.dealt
    if trial.verdict != "separates" or dealt is None or not dealt.as_strong or 2 * dealt.significant <= dealt.deals:
        return trial
    return _left_open(trial, "labels dealt at random separate as much")


def _of_both_halves(evidence: Evidence, sizes: Labelled) -> Evidence:
    """The evidence of one half with the sizes of both."""
    both = {group.name: group for group in sizes.groups}
    effects = evidence.effects
    return replace(
        evidence,
        groups=_with_sizes(evidence.groups, both),
        not_known=sizes.not_known,
        no_follow_up=sizes.no_follow_up,
        effects=effects and replace(effects, groups=_with_sizes(effects.groups, both)),
    )


def called_an_echo(trial: Trial, p_value: float, *, level: float) -> Trial:
    """The trial of a split of timing or amount, undecided where nothing of it is left among customers of like past.

    Args:
        trial: The trial.
        p_value: Of the same test within strata of past frequency and recency.
        level: Of the test.
    """
    cluster = trial.cluster and replace(trial.cluster, echo_p_value=p_value)
    trial = replace(trial, cluster=cluster)
    if trial.verdict != "separates" or p_value <= level:
        return trial
    return _left_open(trial, "echo of past frequency")


def _left_open(trial: Trial, reason: str) -> Trial:
    """The trial of a split that separates, and is not decided all the same."""
    facts = trial.sentence.values["facts"]
    return replace(
        trial,
        verdict="inconclusive",
        reasons=(reason, *trial.reasons),
        sentence=Message(NOT_DECIDED, {"reason": reason_in_words(reason), "facts": facts}),
    )


def _with_sizes(groups: Sequence[GroupEffect], both: Mapping[str, GroupEffect]) -> tuple[GroupEffect, ...]:
    """Groups with their numbers of customers and cycles in both halves."""
    return tuple(
        replace(group, customers=both[group.name].customers, cycles=both[group.name].cycles)
        if group.name in both
        else group
        for group in groups
    )


def _untestable(evidence: Evidence, sentence: str = CANNOT_BE_TESTED) -> Trial:
    assert evidence.obstacle is not None
    reason, restate = evidence.obstacle
    said = Message(sentence, {"reason": reason_in_words(reason), "restate": restate})
    return replace(
        _told(evidence, "untestable", (reason,), said),
        restate=restate,
        restated=evidence.split.restated,
    )


def _told(evidence: Evidence, verdict: Verdict, reasons: tuple[str, ...], sentence: Message) -> Trial:
    """The trial as far as it needs no test."""
    split = evidence.split
    return Trial(
        segment=EVERYBODY,
        split=split.name,
        source="declared",
        known=split.known,
        definition=split.definition,
        groups=evidence.groups,
        not_known=evidence.not_known,
        no_follow_up=evidence.no_follow_up,
        comparability=evidence.comparability,
        tau_days=evidence.tau_days,
        merged_from=split.merged_from,
        verdict=verdict,
        reasons=reasons,
        sentence=sentence,
    )


def _judged(
    evidence: Evidence,
    effects: Effects,
    config: ExperimentConfig,
    verdict: tuple[Verdict, tuple[str, ...]],
    *,
    carrying: tuple[int, int],
    p_value: float,
    p_adjusted: float | None = None,
) -> Trial:
    """The trial with its verdict, in numbers and words."""
    name, reasons = verdict
    customers = sum(group.customers for group in evidence.groups)
    needed = (
        _customers_needed(p_value, max(p_adjusted or p_value, p_value), effects, config, customers)
        if name == "inconclusive"
        else None
    )
    months = None if needed is None else _months_needed(evidence, customers, needed)
    sentence = _sentence(
        name,
        reasons[0],
        effects,
        carrying=carrying[0],
        config=config,
        since=evidence.split.since,
        needed=needed,
        months=months,
    )
    return replace(
        _told(evidence, name, reasons, sentence),
        groups=effects.groups,
        horizon_days=effects.horizon_days,
        pairs=effects.pairs,
        verdict_pair=carrying[0],
        carried_by=COMPARISONS[carrying[1]],
        test=evidence.test,
        p_adjusted=p_adjusted,
        customers_needed=needed,
        months_needed=months,
    )


def _verdict(
    groups: Sequence[GroupEffect],
    effects: Effects,
    config: ExperimentConfig,
    p_adjusted: float,
    *,
    same_direction: bool,
    unclaimed: Collection[str] = (MIXED,),
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict with its reasons, the one that carries it first."""
    trial = config.trial
    significant = p_adjusted <= trial.level
    separated = any(pair.separated for pair in effects.pairs)
    # A group that nobody is in claims nothing, and neither does one that we made of those whom the others leave.
    claimed = [group for group in groups if group.customers and group.name not in unclaimed]
    small = tuple(
        too_small(group.name, least=trial.min_group) for group in claimed if group.customers < trial.min_group
    )
    compared = {name for pair in effects.pairs for name in (pair.first, pair.second)}
    if all(pair.equivalent for pair in effects.pairs) and compared >= {group.name for group in claimed}:
        return "equivalent", ("every difference lies within the margins",)
    if not significant:
        return "inconclusive", ("not significant", *small)
    if not separated:
        return "inconclusive", ("significant, and not shown to exceed the minimum effect", *small)
    if small:
        return "inconclusive", small
    if not same_direction:
        return "inconclusive", ("the two halves of customers point in different directions",)
    return "separates", ("significant and larger than the minimum effect",)


def _comparisons(effects: Effects, config: ExperimentConfig) -> tuple[tuple[PairIntervals, float], ...]:
    """What a verdict may rest on, with the smallest difference that matters."""
    return (effects.log_ratios, float(np.log1p(config.trial.minimum_effect))), (
        effects.shares,
        config.trial.minimum_share,
    )


def _same_direction(carrying: tuple[int, int], half: HalfEffects) -> bool:
    """Whether the comparison that carries the verdict has the same sign in discovery and confirmation."""
    pair, which = carrying
    both = (half.log_ratios, half.share_differences)[which][:, pair]
    return bool(np.isfinite(both).all() and both[0] * both[1] > 0)


def _points_alike(confirmed: Effects, suggested: Effects | None, carrying: tuple[int, int]) -> bool:
    """Whether the comparison that carries the verdict has the same sign in discovery as in confirmation."""
    if suggested is None:
        return False
    pair, which = carrying
    names = [(each.first, each.second) for each in suggested.pairs]
    wanted = (confirmed.pairs[pair].first, confirmed.pairs[pair].second)
    if wanted not in names:
        return False
    there = (suggested.log_ratios, suggested.shares)[which].difference[names.index(wanted)]
    here = (confirmed.log_ratios, confirmed.shares)[which].difference[pair]
    return bool(here * there > 0)


def _months_needed(evidence: Evidence, customers: int, needed: int) -> int | None:
    """Months until as many customers are there, at the rate at which those of the split came; ``None`` without months."""
    months = {cohort.name for cohort in evidence.comparability.cohorts} if evidence.comparability else set()
    if len(months) < 2 or not all(MONTH.fullmatch(name) for name in months):
        return None
    first, last = (int(name[:4]) * 12 + int(name[5:]) for name in (min(months), max(months)))
    return int(np.ceil((needed - customers) / (customers / (last - first + 1))))


def _customers_needed(
    p_value: float, p_adjusted: float, effects: Effects, config: ExperimentConfig, customers: int
) -> int | None:
    """Customers in all, of the same mix, with whom the trial would probably have been decided.

    Where a difference exceeds its margin: as many as would show it and make the test significant after its adjustment; else as many
    as would show equivalence. Two digits, rounded up; ``None`` where no difference has a standard error, or
    where more customers are not what is missing.
    """
    level = 1 - config.trial.level
    showing, excluding = [], []
    for intervals, margin in _comparisons(effects, config):
        for difference, error in zip(intervals.difference, intervals.standard_error, strict=True):
            if np.isfinite(error):
                excluding.append(customers_for_equivalence(customers, margin, error, level=level))
                if abs(difference) > margin:
                    showing.append(customers_for_separation(customers, difference, error, level=level))
    if showing:
        adjusted_level = 1 - config.trial.level * p_value / max(p_adjusted, p_value)
        significant = customers_for_separation(customers, float(ndtri(1 - p_value / 2)), 1.0, level=adjusted_level)
        needed = max(min(showing), significant)
    else:
        needed = max(excluding, default=np.inf)
    if not np.isfinite(needed):
        return None
    step: int = 10 ** max(0, len(str(int(needed))) - 2)
    wanted = step * int(np.ceil(needed / step))
    return wanted if wanted > customers else None


def _sentence(
    verdict: Verdict,
    reason: str,
    effects: Effects,
    *,
    carrying: int,
    config: ExperimentConfig,
    since: str | None,
    needed: int | None,
    months: int | None,
) -> Message:
    """The verdict in plain words, with its effect and interval; ``since`` is the date until which the label is known."""
    facts = _facts(effects, carrying, since=since)
    if verdict == "separates":
        return Message(REALLY_DIFFER, {"facts": facts})
    if verdict == "equivalent":
        return Message(
            "Shown not to matter: differences above {cycle:g} % in cycle and {share:g} points in share back are ruled out; {facts}.",
            {
                "cycle": 100 * config.trial.minimum_effect,
                "share": 100 * config.trial.minimum_share,
                "facts": facts,
            },
        )
    said = [Message(NOT_DECIDED, {"reason": reason_in_words(reason), "facts": facts})]
    share = effects.pairs[carrying].share_difference
    if (
        since is not None
        and share.ci_low is not None
        and share.ci_high is not None
        and share.ci_low * share.ci_high > 0
    ):
        said.append(
            Message("The shares also tell when customers had last bought before the date, for which the test allows.")
        )
    if needed is not None:
        said.append(_needed(needed, months))
    return in_sequence(*said)


def _facts(effects: Effects, carrying: int, *, since: str | None) -> Message:
    """How many of the pair's groups come back and how soon."""
    pair = effects.pairs[carrying]
    first, second = (
        next(group for group in effects.groups if group.name == name) for name in (pair.first, pair.second)
    )
    values: dict[str, Message | str | int] = {
        "first": first.name,
        "first_share": _percent(first.share_back),
        "first_time": _days(first.mean_cycle_days),
        "second": second.name,
        "second_share": _percent(second.share_back),
        "second_time": _days(second.mean_cycle_days),
        "horizon": effects.horizon_days,
        "ratio": _ratio(pair.ratio),
    }
    if since is None:
        return Message(
            "{first_share} of {first} and {second_share} of {second} are back within {horizon} days; those back took {first_time} and "
            "{second_time} on average (ratio {ratio})",
            values,
        )
    return Message(
        "{first_share} of {first} and {second_share} of {second} are back within {horizon} days of {date}; cycles begun since then "
        "took {first_time} and {second_time} on average (ratio {ratio})",
        {**values, "date": since},
    )


def _needed(customers: int, months: int | None) -> Message:
    """What would decide an open trial."""
    if months is None:
        return Message("About {customers:,} customers in all would probably decide it.", {"customers": customers})
    return Message(
        "About {customers:,} customers in all would probably decide it, which at the present rate takes {number:,} more month.",
        {"customers": customers, "number": months},
        many="About {customers:,} customers in all would probably decide it, which at the present rate takes {number:,} more months.",
    )


def _percent(interval: Interval | None) -> Message:
    if interval is None or interval.estimate is None:
        return Message("an unknown share")
    return Message("{percent:.0f} %", {"percent": 100 * interval.estimate})


def _days(interval: Interval | None) -> Message:
    if interval is None or interval.estimate is None:
        return Message("an unknown time")
    if interval.estimate >= 10:
        return Message("{days:.0f} days", {"days": interval.estimate})
    return Message("{days:.1f} days", {"days": interval.estimate})


def _ratio(interval: Interval) -> Message:
    if interval.estimate is None or interval.ci_low is None or interval.ci_high is None:
        return Message("not known")
    return Message(
        "{ratio:.2f}, 95 % interval {low:.2f} to {high:.2f}",
        {"ratio": interval.estimate, "low": interval.ci_low, "high": interval.ci_high},
    )
