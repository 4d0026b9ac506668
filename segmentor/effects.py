"""Labelled customers -> how many of each group come back and how soon, with intervals clustered by customer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.errors import StatisticsError
from segmentor.gap_sums import WeightedGaps, weighted_gaps
from segmentor.populations import Population
from segmentor.result import Curve, GroupEffect, Interval, PairEffect, ShareBack
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.effects import PairIntervals, pair_intervals
from segmentor.statistics.naive import naive_logrank_p
from segmentor.statistics.survival import (
    DayValues,
    LifeTable,
    mean_cycle,
    mean_cycle_influence,
    median_day,
    restricted_mean,
    restricted_mean_influence,
    survival,
    survival_band,
    survival_influence,
)

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

MIN_AT_RISK = 50
"""Customers at risk in the group with least support, below which a curve is not read."""

CURVE_POINTS = 24

NORMAL_975 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class HalfEffects:
    """Effects of the pairs in the two halves, to see whether they point the same way.

    Attributes:
        log_ratios: Log ratio of mean cycles, shape (2, n_pairs).
        share_differences: Difference in share back by the horizon, same shape.
    """

    log_ratios: FloatArray
    share_differences: FloatArray


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects of a split.

    Attributes:
        groups: The groups, those with enough customers with their curve.
        pairs: All pairs of groups that have a curve.
        log_ratios: Of the mean cycles of those back, in the order of ``pairs``.
        shares: Of the shares back by the horizon, in the same order.
        horizon_days: Day at which they are read.
        halves: By seed of the halves, the config's first; empty where it was not asked.
    """

    groups: tuple[GroupEffect, ...]
    pairs: tuple[PairEffect, ...]
    log_ratios: PairIntervals
    shares: PairIntervals
    horizon_days: int
    halves: tuple[HalfEffects, ...]


@dataclass(frozen=True, slots=True)
class _Estimates:
    """Of one group: survival at ``days``, then mean cycle and restricted mean at the horizon; ``errors`` are standard errors."""

    days: tuple[int, ...]
    survival: FloatArray
    survival_errors: FloatArray
    mean_cycle: float
    mean_cycle_error: float
    restricted_mean: float
    restricted_mean_error: float
    median: float | None


def measure_effects(
    engine: Engine,
    config: ExperimentConfig,
    population: Population,
    groups: Sequence[GroupEffect],
    *,
    significant: bool,
) -> Effects | None:
    """Return curves of a typical customer in each group, standardised over the cohorts that all groups share.

    Args:
        engine: Holds ``labels`` and the population's tables.
        config: The experiment.
        population: The labelled customers' population.
        groups: The groups with their sizes.
        significant: Whether the split's test is; where its effects then separate, each half is measured too, under this seed of
            the halves and the others.

    Returns:
        ``None`` where fewer than two groups hold ``MIN_AT_RISK`` customers in cohorts that they share.
    """
    curves = _standardise(_labelled_gaps(engine, config, population, n_groups=len(groups)), config)
    if curves is None:
        return None
    horizon = min(population.tau_days, curves.support)
    return_days = tuple(day for day in sorted(set(config.trial.return_days)) if day <= curves.support)
    grid = np.unique(np.rint(np.linspace(0, horizon, min(CURVE_POINTS, horizon) + 1)).astype(int)).tolist()
    days = tuple(sorted({*grid, *return_days, horizon}))

    lives = curves.lives(half=0)
    estimates = _estimate(curves, lives, days=days, horizon=horizon)
    described = list(groups)
    for number, estimate in estimates.items():
        at_risk = curves.returns.at_risk[number]
        described[number] = _describe(
            groups[number], estimate, at_risk, grid=grid, return_days=return_days, horizon=horizon
        )
    level = 1 - config.trial.level
    several = list(estimates.values())
    log_ratios, lengths, shares = _differences(several, {horizon, *return_days}, equivalence_level=level)
    names = [groups[number].name for number in estimates]
    pairs = _pairs(config, names, log_ratios, lengths=lengths, shares=shares, return_days=return_days, horizon=horizon)
    halves: tuple[HalfEffects, ...] = ()
    if significant and any(pair.separated for pair in pairs):
        several_lives = (lives, *(curves.lives(half=half) for half in range(1, OTHER_SEEDS + 1)))
        halves = tuple(_half_effects(curves, one, horizon) for one in several_lives)
    return Effects(
        groups=tuple(described),
        pairs=pairs,
        log_ratios=log_ratios,
        shares=shares[horizon],
        horizon_days=horizon,
        halves=halves,
    )


def exceeds(intervals: PairIntervals, k: int, margin: float) -> bool:
    """The interval of the k-th pair excludes no difference, and its estimate lies beyond the margin."""
    excluded = intervals.low[k] > 0 or intervals.high[k] < 0
    return bool(excluded and abs(intervals.difference[k]) > margin)


def naive_p_value(engine: Engine, population: Population, n_groups: int) -> float | None:
    """Log-rank test on all gaps as if they were independent: what the usual way would say; ``None`` where it is undefined."""
    rows = engine.arrays(
        "select l.group_no, g.duration as day, g.event_observed, g.entry_age, count(*) as gaps\n"
        f"from gaps_{population.suffix} g join labels l using (customer_no) group by all"
    )
    counts = np.zeros((3, n_groups, int(rows["day"].max()) + 1))
    np.add.at(counts, (rows["event_observed"].astype(int), rows["group_no"], rows["day"]), rows["gaps"])
    late = rows["entry_age"] > 0
    np.add.at(counts[2], (rows["group_no"][late], rows["entry_age"][late]), rows["gaps"][late])
    at_risk = _from_day_on(counts[0] + counts[1] - counts[2])
    try:
        return naive_logrank_p(counts[1], at_risk)
    except StatisticsError:
        return None


@dataclass(frozen=True, slots=True)
class _LabelledGaps:
    """Weighted gaps summed by group and cohort.

    Attributes:
        gaps: Where they lie and what they weigh.
        n_groups: Number of groups.
        cohorts: Codes of the labelled customers' cohorts, ascending, shape (n_cohorts,).
    """

    gaps: WeightedGaps
    n_groups: int
    cohorts: IntArray

    def life(self, *, half: int) -> IntArray:
        """Weights of gaps in fixed point, shape (half, group, cohort, day, ended with a return); ``half`` numbers the seed of the halves."""
        rows = self.gaps.weights([f"half_{half}", "group_no", "cohort"])
        weights = np.zeros((2, self.n_groups, len(self.cohorts), self.gaps.last_day + 1, 2), dtype=np.int64)
        cohort = np.searchsorted(self.cohorts, rows["cohort"])
        ended = rows["returned"].astype(int)
        weights[rows[f"half_{half}"], rows["group_no"], cohort, rows["day"], ended] = rows["weight"]
        return weights

    def customers_at_risk(self) -> IntArray:
        """Customers with a gap that reaches a day, shape (group, cohort, day)."""
        rows = self.gaps.longest(["group_no", "cohort"])
        ends = np.zeros((self.n_groups, len(self.cohorts), self.gaps.last_day + 1), dtype=np.int64)
        ends[rows["group_no"], np.searchsorted(self.cohorts, rows["cohort"]), rows["longest"]] = rows["customers"]
        return _from_day_on(ends)

    def sums_of_squares(self, values: dict[int, list[DayValues]]) -> dict[int, FloatArray]:
        """Sum over the customers of each group and cohort of the square of their sum of day values.

        Returns:
            By group, shape (n_values, n_cohorts).
        """
        squares = {group: np.zeros((len(own), len(self.cohorts))) for group, own in values.items()}
        for (cohort, group), sums in self.gaps.sums_of_squares(values, group="group_no", by="cohort").items():
            squares[group][:, np.searchsorted(self.cohorts, cohort)] = sums
        return squares


def _labelled_gaps(
    engine: Engine, config: ExperimentConfig, population: Population, *, n_groups: int
) -> tuple[_LabelledGaps, ...]:
    """What tells the share back and what tells the cycle; one where they are the same."""
    cohorts = engine.arrays("select distinct cohort from labels order by cohort")["cohort"]
    several = dict.fromkeys(weighted_gaps(engine, config, population))
    return tuple(_LabelledGaps(gaps, n_groups, cohorts) for gaps in several)


@dataclass(frozen=True, slots=True)
class _Standard:
    """Gaps of groups made comparable.

    Attributes:
        gaps: The gaps.
        weights: Weight of a customer by group and cohort, 0 outside of the shared cohorts, shape (group, cohort).
        shown: Numbers of the groups with a curve.
        at_risk: Customers at risk in the shared cohorts, shape (group, day).
        support: Last day with ``MIN_AT_RISK`` customers in each shown group.
    """

    gaps: _LabelledGaps
    weights: FloatArray
    shown: tuple[int, ...]
    at_risk: IntArray
    support: int

    def tables(self, life: IntArray) -> dict[int, LifeTable]:
        """Standardised life tables of the shown groups from weights in fixed point, shape (group, cohort, day, ended with a return)."""
        tables = {}
        for group in self.shown:
            weighted = np.tensordot(self.weights[group], life[group] / WEIGHT_UNIT, axes=1)
            tables[group] = LifeTable(events=weighted[:, 1], censored=weighted[:, 0], entered=np.zeros(len(weighted)))
        return tables

    def errors(self, values: dict[int, list[DayValues]]) -> dict[int, FloatArray]:
        """Standard errors of each shown group: the root of the sum over customers of their squared influence."""
        squares = self.gaps.sums_of_squares(values)
        return {group: np.sqrt(squares[group] @ np.square(self.weights[group])) for group in values}


@dataclass(frozen=True, slots=True)
class _Curves:
    """What tells the share back, and what tells the cycle of those back; ``returns is cycles`` but for labels known until a date."""

    returns: _Standard
    cycles: _Standard

    @property
    def support(self) -> int:
        """Last day at which both may be read."""
        return min(self.returns.support, self.cycles.support)

    def lives(self, *, half: int) -> tuple[IntArray, IntArray]:
        """Weights of the gaps of both, see ``_LabelledGaps.life``."""
        life = self.returns.gaps.life(half=half)
        return life, life if self.returns is self.cycles else self.cycles.gaps.life(half=half)

    def errors(
        self, of_returns: dict[int, list[DayValues]], of_cycles: dict[int, list[DayValues]]
    ) -> dict[int, FloatArray]:
        """Standard errors of the shown groups, those of the returns first."""
        if self.returns is self.cycles:
            return self.returns.errors({group: [*own, *of_cycles[group]] for group, own in of_returns.items()})
        both = self.returns.errors(of_returns), self.cycles.errors(of_cycles)
        return {group: np.concatenate([part[group] for part in both]) for group in of_returns}


def _standardise(several: Sequence[_LabelledGaps], config: ExperimentConfig) -> _Curves | None:
    """Weighs customers so that each group has the mix of cohorts of all: the cohort's share of all over its share of the group.

    Groups are shown that hold ``min_group`` customers, or where there are no two such, ``MIN_AT_RISK``: a small group would shorten
    the curves of all. Cohorts count that all shown groups have.
    """
    at_risk = [gaps.customers_at_risk() for gaps in several]
    sizes = np.array([numbers[:, :, 0].sum(axis=1) for numbers in at_risk])
    read = (sizes >= MIN_AT_RISK).all(axis=0)
    shown = np.flatnonzero(read & (sizes[0] >= config.trial.min_group))
    if len(shown) < 2:
        shown = np.flatnonzero(read)
    if len(shown) < 2:
        return None
    standards = [_standard(gaps, numbers, shown) for gaps, numbers in zip(several, at_risk, strict=True)]
    if any(standard.at_risk[shown, 1].min() < MIN_AT_RISK for standard in standards):
        return None
    return _Curves(standards[0], standards[-1])


def _standard(gaps: _LabelledGaps, at_risk: IntArray, shown: IntArray) -> _Standard:
    customers = at_risk[:, :, 0]
    shared = (customers[shown] > 0).all(axis=0)
    in_shared = at_risk[:, shared].sum(axis=1)
    weights = np.zeros(customers.shape)
    weights[shown] = cohort_weights(np.where(shared, customers, 0)[shown])
    support = min(int(np.flatnonzero(in_shared[group] >= MIN_AT_RISK).max(initial=0)) for group in shown)
    return _Standard(gaps=gaps, weights=weights, shown=tuple(shown.tolist()), at_risk=in_shared, support=support)


def cohort_weights(customers: IntArray) -> FloatArray:
    """Weight of a customer that gives every group the mix of cohorts of all: the cohort's share of all over its share of the group.

    Args:
        customers: Number by group and cohort, shape (..., n_groups, n_cohorts); every group has one, and cohorts that not all of them
            have are 0 in all.
    """
    numbers = customers.astype(np.float64)
    share_of_group = numbers / numbers.sum(axis=-1, keepdims=True)
    share_of_all = numbers.sum(axis=-2, keepdims=True) / numbers.sum(axis=(-2, -1), keepdims=True)
    weights = np.zeros_like(numbers)
    np.divide(np.broadcast_to(share_of_all, numbers.shape), share_of_group, out=weights, where=share_of_group > 0)
    return weights


def _estimate(
    curves: _Curves, lives: tuple[IntArray, IntArray], *, days: tuple[int, ...], horizon: int
) -> dict[int, _Estimates]:
    """Estimates with standard errors, whose squares are summed over customers in the engine."""
    of_returns, of_cycles = curves.returns.tables(lives[0].sum(axis=0)), curves.cycles.tables(lives[1].sum(axis=0))
    errors = curves.errors(
        {group: [survival_influence(table, day) for day in days] for group, table in of_returns.items()},
        {
            group: [_mean_influence(table, horizon), restricted_mean_influence(table, horizon)]
            for group, table in of_cycles.items()
        },
    )
    estimates = {}
    for group, table in of_returns.items():
        cycles = survival(of_cycles[group])
        *survival_errors, mean_error, restricted_error = errors[group]
        estimates[group] = _Estimates(
            days=days,
            survival=survival(table)[list(days)],
            survival_errors=np.array(survival_errors),
            mean_cycle=mean_cycle(cycles, horizon),
            mean_cycle_error=float(mean_error),
            restricted_mean=restricted_mean(cycles, horizon),
            restricted_mean_error=float(restricted_error),
            median=median_day(cycles),
        )
    return estimates


def _mean_influence(table: LifeTable, horizon: int) -> DayValues:
    """Influence on the mean cycle, which is undefined, and has none, where nobody is back."""
    if not table.events[: horizon + 1].any():
        return DayValues(np.zeros(table.n_days), np.zeros(table.n_days))
    return mean_cycle_influence(table, horizon)


def _describe(
    group: GroupEffect,
    estimates: _Estimates,
    at_risk: IntArray,
    *,
    grid: Sequence[int],
    return_days: Sequence[int],
    horizon: int,
) -> GroupEffect:
    back = _shares_back(estimates)
    mean, error = estimates.mean_cycle, estimates.mean_cycle_error
    restricted, spread = estimates.restricted_mean, NORMAL_975 * estimates.restricted_mean_error
    curve = [back[day] for day in grid]
    return replace(
        group,
        share_back=back[horizon],
        shares_back=tuple(ShareBack(day, back[day]) for day in return_days),
        mean_cycle_days=Interval.of(
            mean, mean * np.exp(-NORMAL_975 * error / mean), mean * np.exp(NORMAL_975 * error / mean)
        ),
        restricted_mean_days=Interval.of(restricted, restricted - spread, restricted + spread),
        median_days=estimates.median,
        curve=Curve(
            days=tuple(grid),
            share_back=tuple(point.estimate or 0.0 for point in curve),
            ci_low=tuple(point.ci_low or 0.0 for point in curve),
            ci_high=tuple(point.ci_high or 0.0 for point in curve),
            at_risk=tuple(int(at_risk[day]) for day in grid),
        ),
    )


def _shares_back(estimates: _Estimates) -> dict[int, Interval]:
    """Share back by each day; where S is 0 or 1 it has no variance, and its interval is the point."""
    low, high = survival_band(estimates.survival, estimates.survival_errors)
    low, high = (np.where(np.isnan(bound), estimates.survival, bound) for bound in (low, high))
    bounds = zip(estimates.days, estimates.survival, low, high, strict=True)
    return {day: Interval.of(1 - share, 1 - above, 1 - below) for day, share, below, above in bounds}


def _differences(
    estimates: Sequence[_Estimates], days: Collection[int], *, equivalence_level: float
) -> tuple[PairIntervals, PairIntervals, dict[int, PairIntervals]]:
    """All pairs' differences of log mean cycles, of mean cycles, and of shares back by each of the days."""
    means = np.array([e.mean_cycle for e in estimates])
    errors = np.array([e.mean_cycle_error for e in estimates])
    backs = 1 - np.array([e.survival for e in estimates])
    back_errors = np.array([e.survival_errors for e in estimates])
    return (
        pair_intervals(np.log(means), errors / means, equivalence_level=equivalence_level),
        pair_intervals(means, errors, equivalence_level=equivalence_level),
        {
            day: pair_intervals(backs[:, at], back_errors[:, at], equivalence_level=equivalence_level)
            for at, day in enumerate(estimates[0].days)
            if day in days
        },
    )


def _pairs(
    config: ExperimentConfig,
    names: Sequence[str],
    ratios: PairIntervals,
    *,
    lengths: PairIntervals,
    shares: dict[int, PairIntervals],
    return_days: Sequence[int],
    horizon: int,
) -> tuple[PairEffect, ...]:
    """The differences as records, with what the config's margins say of them."""
    share_margin = config.trial.minimum_share
    margin = float(np.log1p(config.trial.minimum_effect))
    return tuple(
        PairEffect(
            first=names[first],
            second=names[second],
            ratio=Interval.of(*np.exp([ratios.difference[k], ratios.low[k], ratios.high[k]])),
            difference_days=_nth(lengths, k),
            share_difference=_nth(shares[horizon], k),
            share_differences=tuple(ShareBack(day, _nth(shares[day], k)) for day in return_days),
            separated=exceeds(ratios, k, margin) or exceeds(shares[horizon], k, share_margin),
            equivalent=_within(ratios, k, margin)
            and all(_within(shares[day], k, share_margin) for day in {horizon, *return_days}),
        )
        for k, (first, second) in enumerate(zip(ratios.first, ratios.second, strict=True))
    )


def _within(intervals: PairIntervals, k: int, margin: float) -> bool:
    """Two one-sided tests show the difference to lie within the margins."""
    return bool(-margin < intervals.equivalence_low[k] and intervals.equivalence_high[k] < margin)


def _half_effects(curves: _Curves, lives: tuple[IntArray, IntArray], horizon: int) -> HalfEffects:
    """Ratios and share differences within each half, standardised as the whole; ``nan`` where a half's curve ends before the horizon."""
    shown = len(curves.returns.shown)
    means, shares = np.full((2, shown), np.nan), np.full((2, shown), np.nan)
    for half in (0, 1):
        for number, table in enumerate(curves.cycles.tables(lives[1][half]).values()):
            curve = survival(table)
            means[half, number] = np.nan if np.isnan(curve[horizon]) else mean_cycle(curve, horizon)
        for number, table in enumerate(curves.returns.tables(lives[0][half]).values()):
            shares[half, number] = 1 - survival(table)[horizon]
    first, second = np.triu_indices(shown, k=1)
    return HalfEffects(np.log(means[:, second] / means[:, first]), shares[:, second] - shares[:, first])


def _nth(intervals: PairIntervals, k: int) -> Interval:
    return Interval.of(intervals.difference[k], intervals.low[k], intervals.high[k])


def _from_day_on(numbers: FloatArray | IntArray) -> np.ndarray:
    return np.flip(np.cumsum(np.flip(numbers, axis=-1), axis=-1), axis=-1)
