"""What the trial of a split found. Undefined numbers are ``None`` and never a sentinel; shares lie in 0..1, durations are days."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from segmentor.wording import Message

# What stands in results as a code is the same in every language.
Verdict = Literal["separates", "equivalent", "inconclusive", "untestable"]
Source = Literal["declared", "enumerated", "clustered"]
Compared = Literal["ratio", "share back"]
Tail = Literal["type III", "chi-square", "joint normal", "permutation", "exact"]
Method = Literal["kmeans", "gmm", "hdbscan"]
Unit = Literal["money", "items", "share"]
Stage = Literal["declared", "discovery", "confirmation"]
Correction = Literal["Holm", "min-P", "Benjamini-Yekutieli", "none"]
Outcome = Literal["significant", "not significant", "promoted", "not promoted", "not tested"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: In the unit of its field; ``None`` where it cannot be told.
        ci_low: Lower bound of the 95 % interval; ``None`` where the estimate has no variance.
        ci_high: Upper bound.
    """

    estimate: float | None
    ci_low: float | None
    ci_high: float | None

    @classmethod
    def of(cls, estimate: float, ci_low: float, ci_high: float) -> Self:
        """From computed numbers, of which those that are not finite are undefined."""
        return cls(*(float(value) if math.isfinite(value) else None for value in (estimate, ci_low, ci_high)))


@dataclass(frozen=True, slots=True)
class Curve:
    """Share back by day of a typical customer, with its pointwise 95 % band.

    Attributes:
        days: Days since the last purchase, 0 first.
        share_back: 1 - S(day), same length.
        ci_low: Lower bound of the band.
        ci_high: Upper bound of the band.
        at_risk: Customers still observed and not yet back, same length.
    """

    days: tuple[int, ...]
    share_back: tuple[float, ...]
    ci_low: tuple[float, ...]
    ci_high: tuple[float, ...]
    at_risk: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShareBack:
    """Share of typical customers back by a day.

    Attributes:
        day: Days after a purchase.
        share: Of customers who have bought again by then.
    """

    day: int
    share: Interval


@dataclass(frozen=True, slots=True)
class GroupEffect:
    """One group of a split: how many, how many come back and how soon.

    Attributes:
        name: The group.
        customers: Customers in the group, of both halves.
        cycles: Gaps that ended in a return, before any cut.
        share_back: Share back by the trial's horizon.
        shares_back: Share back by each of the config's ``return_days`` within the horizon.
        mean_cycle_days: Mean cycle of those back by the horizon.
        restricted_mean_days: Area under S to the horizon.
        median_days: Day by which half are back; ``None`` where not reached.
        curve: Return curve to the horizon; ``None`` for a group too small for one.
    """

    name: str
    customers: int
    cycles: int
    share_back: Interval | None = None
    shares_back: tuple[ShareBack, ...] = ()
    mean_cycle_days: Interval | None = None
    restricted_mean_days: Interval | None = None
    median_days: float | None = None
    curve: Curve | None = None


@dataclass(frozen=True, slots=True)
class PairEffect:
    """Second group against first: simultaneous 95 % intervals over all pairs of the split.

    Attributes:
        first: Name of the first group.
        second: Name of the second group.
        ratio: Mean cycle of those back by the horizon, second over first.
        difference_days: The same as a difference, second minus first.
        share_difference: Share back by the horizon, second minus first.
        share_differences: The same by each of ``return_days``.
        separated: The interval of the ratio or of the share difference passes the config's minimum effect.
        equivalent: Every 90 % interval lies within the config's margins (two one-sided tests).
    """

    first: str
    second: str
    ratio: Interval
    difference_days: Interval
    share_difference: Interval
    share_differences: tuple[ShareBack, ...]
    separated: bool
    equivalent: bool


@dataclass(frozen=True, slots=True)
class CohortCount:
    """Labelled customers of one cohort by group.

    Attributes:
        name: Month (``2024-03``) or quarter (``2024-Q1``) of time zero; ``all`` where there are no cohorts.
        customers: In the order of the trial's groups.
    """

    name: str
    customers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparability:
    """Whether the groups can be compared at all: do they share cohorts, follow-up and season?

    Attributes:
        share: Share of labelled customers in cohorts that hold two groups or more.
        cohorts: Customers by cohort and group, in order of time.
        follow_up_days: Median days from time zero to the end of observation by group; ``None`` for an empty group.
    """

    share: float
    cohorts: tuple[CohortCount, ...]
    follow_up_days: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Cutpoint:
    """The threshold of a numeric attribute that discovery customers chose.

    Attributes:
        column: The attribute.
        threshold: The first group has values up to it, the second those above.
        tried: Thresholds tried: observed values with 10 % to 90 % of the customers at or below.
        statistic: Largest standardised sum over thresholds and scores.
        low: Lower end of the middle 80 % of the cutpoints chosen in resamples of the discovery customers.
        high: Upper end.
        chosen_again: Share of the resamples that chose this threshold.
    """

    column: str
    threshold: float
    tried: int
    statistic: float
    low: float
    high: float
    chosen_again: float


@dataclass(frozen=True, slots=True)
class Habit:
    """Something else in which groups may differ: the test of the split with another score.

    Attributes:
        name: ``order value``, ``items per order``, ``weekend share``, ..., see ``HABITS``; or ``category: socks``, ``region: north``,
            ``channel: web``.
        unit: ``money``, ``items`` or ``share``.
        customers: Customers of whom it is known.
        means: Mean over customers by group, adjusted for cohorts, in the order of the trial's groups; ``None`` for a group with few
            customers of whom it is known.
        first: Name of the first group of the pair that is furthest apart.
        second: Name of the second.
        difference: Second minus first with its 95 % interval, in the unit.
        standardised: The same in standard deviations (Hedges' g) with its 95 % interval.
        p_value: Of the linear statistic within cohorts; with a small one among several groups, that of the surest group
            against the others where it is larger.
        p_adjusted: Adjusted over all habits of all splits of the run (Benjamini-Yekutieli).
    """

    name: str
    unit: Unit
    customers: int
    means: tuple[float | None, ...]
    first: str
    second: str
    difference: Interval
    standardised: Interval
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """A cluster of customers, said as a short rule: the rule is what was tried.

    Attributes:
        method: ``kmeans``, ``gmm`` or ``hdbscan``.
        cluster: Number of the cluster in its clustering, the largest 1.
        clusters: Clusters of that clustering.
        customers: Discovery customers in the cluster.
        stability: Mean Jaccard similarity to the most similar cluster of resamples of customers (Hennig 2007), 0 to 1.
        coverage: Share of the cluster's customers whom the rule takes.
        precision: Share of the customers whom the rule takes who are in the cluster.
        echo_p_value: p of the confirming test within strata of past frequency and recency, for rules of timing or amount; ``None``
            for any other, and where it was not tested.
    """

    method: Method
    cluster: int
    clusters: int
    customers: int
    stability: float
    coverage: float
    precision: float
    echo_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class CrossoverCell:
    """Customers with one label first and another next.

    Attributes:
        first: Group by the purchases that gave the label.
        second: Group by as many purchases after them.
        customers: Customers with both.
        share: Share of the customers of ``first`` who are ``second`` next, with its 95 % interval.
        lift: That share over the share of ``second`` among all.
    """

    first: str
    second: str
    customers: int
    share: Interval
    lift: float | None


@dataclass(frozen=True, slots=True)
class Crossover:
    """The label of the first purchases against that of the next: do buyers of one come back for the other?

    Attributes:
        purchases: Purchases that make a label: the first n, and the n after them.
        customers: Customers with both labels.
        cells: By first, then second group, in the order of the trial's groups.
        same_share: Share of them whose two labels agree.
        expected_same_share: What it would be if the second did not depend on the first.
        stickiness: Cohen's kappa, 0 where the second does not depend on the first and 1 where it never changes.
        p_value: Chi-square test that the second label does not depend on the first; ``None`` where customers are too few.
    """

    purchases: int
    customers: int
    cells: tuple[CrossoverCell, ...]
    same_share: float
    expected_same_share: float
    stickiness: Interval
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Subset:
    """The effect again among some of the customers or in some of the time.

    Attributes:
        kind: ``cohort``, ``season``, ``region``, ``half of customers``, ``half of period`` or ``largest customers``.
        name: Which one: ``2024-Q1``, ``winter``, ``north``, ``discovery``, ``earlier``, ``without the 10 largest``; see ``SUBSETS``.
        customers: Labelled customers in it.
        ratio: Of the pair that carries the verdict; ``None`` where it cannot be told.
        share_difference: Of the same pair, by the trial's horizon.
        p_value: Of the split's test in it; ``None`` where two groups are too small, and for a half of the period.
        agrees: Whether it points the same way as the whole; ``None`` where it cannot be told.
    """

    kind: str
    name: str
    customers: int
    ratio: Interval | None
    share_difference: Interval | None
    p_value: float | None
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class DealtLabels:
    """What the label would show if products meant nothing: baskets dealt at random among the orders that make it.

    Attributes:
        deals: How often they were dealt.
        significant: In how many the split's test was below the level all the same.
        ratio: Median ratio of the pair that carries the verdict.
        share_difference: Median difference in share back of that pair.
        as_strong: In how many the comparison that carries the verdict was at least as strong, in the same direction; ``None``
            where the split itself was not tested.
    """

    deals: int
    significant: int
    ratio: float | None
    share_difference: float | None
    as_strong: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One test of the run and its place in the correction for many.

    Attributes:
        segment: Where it was tried.
        split: Name of the split.
        stage: ``declared``, ``discovery`` or ``confirmation``.
        correction: ``Holm``, ``min-P``, ``Benjamini-Yekutieli``, or ``none`` for merged groups, which come after a significant test.
        p_value: Before adjustment; ``None`` where it was not tested.
        place: 1 for the smallest p of its stage; ``None`` where it was not tested.
        of: Tests that the stage adjusts for.
        p_adjusted: After adjustment.
        outcome: ``significant``, ``not significant``, ``promoted``, ``not promoted`` or ``not tested``.
    """

    segment: str
    split: str
    stage: Stage
    correction: Correction
    p_value: float | None
    place: int | None
    of: int
    p_adjusted: float | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """One of the scores that the test of a split looks at.

    Attributes:
        score: ``typical_gap`` or ``typical_customer``, then ``log-rank`` or ``Gehan``: ``typical_gap log-rank``.
        statistic: Quadratic form of the group sums.
        degrees_of_freedom: Rank of its covariance.
        p_value: Of this score alone.
    """

    score: str
    statistic: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True, slots=True)
class SplitTest:
    """The test of a split: the largest of its score tests, with its joint null law.

    Attributes:
        scores: The single score tests.
        p_value: Of the largest.
        tail: How the null law was had: ``type III``, ``chi-square``, ``joint normal``, ``permutation`` or ``exact``.
        naive_p_value: Log-rank test on all gaps as if independent: shown to be compared, decides nothing.
    """

    scores: tuple[ScoreTest, ...]
    p_value: float
    tail: Tail
    naive_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class SeedVerdict:
    """The verdict had the halves been drawn with another seed.

    Attributes:
        seed: That seed.
        verdict: The verdict of the same split then.
    """

    seed: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """The test of one candidate split in one population.

    Attributes:
        segment: Where it was tried; ``all`` at the root.
        split: Name of the split.
        source: ``declared``, ``enumerated`` or ``clustered``.
        known: When its label is known: ``entry``, ``first_purchase``, ``first_purchases: 2``, ``until: 2024-07-01`` or ``lifetime``.
        definition: The groups' conditions in words of the config, one a group.
        groups: The groups, in the order of the config.
        not_known: Customers to whom no group applies, of those who made the purchases, or bought before the date, by which it is known.
        no_follow_up: Labelled customers left out because they were not observed after time zero.
        comparability: Whether the groups share cohorts and follow-up; ``None`` where there are no groups, or far too many.
        verdict: What the trial says.
        reasons: Reason codes, such as ``not significant``, see ``REASONS``; the first carries the verdict.
        sentence: The verdict in plain words.
        restate: How to ask again so that it can be answered; ``None`` where it was.
        restated: The declared split as YAML, restated so that it can be tested; ``None`` where there is no such text.
        merged_from: Name of the split whose indistinguishable groups were merged; ``None`` for any other.
        attribute: What the groups of a found split are values of; ``None`` for a declared one.
        aliases: Other splits that make the same groups, and were not tried again.
        explained_by: The tree's split of the same customers, where this one is significant too and nothing of it was left in the groups
            of that one; ``None`` for any other.
        cluster: Where the rule of a clustered split came from; ``None`` for any other.
        cutpoint: The threshold that the data chose; ``None`` for groups that were named.
        horizon_days: Day at which effects are read; ``None`` where there is none.
        tau_days: Day at which scores are cut.
        pairs: Effects of all pairs of groups.
        verdict_pair: Index in ``pairs`` of the pair that carries the verdict.
        carried_by: Which of its comparisons does: ``ratio`` or ``share back``.
        test: The test; ``None`` for an untestable split.
        p_discovery_adjusted: Of the screening in discovery; ``None`` for a split that was declared as it stands.
        p_adjusted: Holm-adjusted over the declared splits, or over the found ones that were promoted to confirmation.
        customers_needed: Customers in all that would decide an inconclusive trial.
        months_needed: Months of the shop's present growth that would bring them.
        same_direction: Whether the pair points the same way in both halves; ``None`` where it was not asked.
        other_seeds: Verdicts over other seeds of the halves; of a found split where it separates.
        habits: What else differs, the surest first.
        crossover: The label against that of the next purchases; ``None`` where it is not made of the first purchases, or
            too few customers have both.
        robustness: The effect in parts of the customers and of the time.
        dealt: What the label shows with products dealt at random; ``None`` where it was not asked.
    """

    segment: str
    split: str
    source: Source
    known: str
    definition: tuple[tuple[str, str], ...]
    groups: tuple[GroupEffect, ...]
    not_known: int
    verdict: Verdict
    reasons: tuple[str, ...]
    sentence: Message
    restate: Message | None = None
    restated: str | None = None
    merged_from: str | None = None
    attribute: str | None = None
    aliases: tuple[str, ...] = ()
    explained_by: str | None = None
    cluster: ClusterRule | None = None
    cutpoint: Cutpoint | None = None
    no_follow_up: int = 0
    comparability: Comparability | None = None
    horizon_days: int | None = None
    tau_days: int | None = None
    pairs: tuple[PairEffect, ...] = ()
    verdict_pair: int | None = None
    carried_by: Compared | None = None
    test: SplitTest | None = None
    p_discovery_adjusted: float | None = None
    p_adjusted: float | None = None
    customers_needed: int | None = None
    months_needed: int | None = None
    same_direction: bool | None = None
    other_seeds: tuple[SeedVerdict, ...] = ()
    habits: tuple[Habit, ...] = ()
    crossover: Crossover | None = None
    robustness: tuple[Subset, ...] = ()
    dealt: DealtLabels | None = None
