"""Labelled customers -> how many of each group come back and how soon, with intervals clustered by customer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.errors import StatisticsError
from segmentor.gap_sums import GroupedGaps, from_day_on, gaps_in_engine
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

Detail = Literal["curves", "intervals", "direction"]
"""How much of an effect is measured: curves with all that a report shows, the same without curves, or the pairs' estimates alone."""


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
    detail: Detail = "curves",
) -> Effects | None:
    """The effects of a split whose labelled customers stand in the table ``labels``; see ``effects_of``."""
    gaps = gaps_in_engine(engine, config, population, n_groups=len(groups))
    return effects_of(gaps, config, population, groups, significant=significant, detail=detail)


def effects_of(
    gaps: Sequence[GroupedGaps],
    config: ExperimentConfig,
    population: Population,
    groups: Sequence[GroupEffect],
    *,
    significant: bool,
    detail: Detail = "curves",
) -> Effects | None:
    """Return curves of a typical customer in each group, standardised over the cohorts that all groups share.

    Args:
        gaps: What tells the share back and what tells the cycle; one where they are the same.
        config: The experiment.
        population: The labelled customers' population.
        groups: The groups with their sizes.
        significant: Whether the split's test is; where its effects then separate, each half is measured too, under this seed of
            the halves and the others.
        detail: How much is measured; what is left out is ``None``, and the groups of a direction are as they were given.

    Returns:
        ``None`` where fewer than two groups hold ``MIN_AT_RISK`` customers in cohorts that they share.
    """
    curves = _standardise(gaps, config)
    if curves is None:
        return None
    horizon = min(population.tau_days, curves.support)
    return_days = tuple(day for day in sorted(set(config.trial.return_days)) if day <= curves.support)
    grid = _grid(horizon) if detail == "curves" else []
    days = tuple(sorted({*grid, *return_days, horizon}))

    lives = curves.lives()
    estimates = _estimate(curves, lives, days=days, horizon=horizon, with_errors=detail != "direction")
    described = list(groups)
    if detail != "direction":
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
        halves = tuple(_half_effects(curves, curves.lives(half=half), horizon) for half in range(OTHER_SEEDS + 1))
    return Effects(
        groups=tuple(described),
        pairs=pairs,
        log_ratios=log_ratios,
        shares=shares[horizon],
        horizon_days=horizon,
        halves=halves,
    )


def _grid(horizon: int) -> list[int]:
    """Days at which a curve is drawn."""
    points: list[int] = np.unique(np.rint(np.linspace(0, horizon, min(CURVE_POINTS, horizon) + 1)).astype(int)).tolist()
    return points


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
    at_risk = from_day_on(counts[0] + counts[1] - counts[2])
    try:
        return naive_logrank_p(counts[1], at_risk)
    except StatisticsError:
        return None


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

    gaps: GroupedGaps
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

    def lives(self, *, half: int | None = None) -> tuple[IntArray, IntArray]:
        """Weights of the gaps of both, see ``GroupedGaps.life``."""
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


def _standardise(several: Sequence[GroupedGaps], config: ExperimentConfig) -> _Curves | None:
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


def _standard(gaps: GroupedGaps, at_risk: IntArray, shown: IntArray) -> _Standard:
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
    curves: _Curves, lives: tuple[IntArray, IntArray], *, days: tuple[int, ...], horizon: int, with_errors: bool
) -> dict[int, _Estimates]:
    """Estimates with standard errors, whose squares are summed over customers; without them, errors are ``nan``."""
    of_returns, of_cycles = curves.returns.tables(lives[0].sum(axis=0)), curves.cycles.tables(lives[1].sum(axis=0))
    errors = dict.fromkeys(of_returns, np.full(len(days) + 2, np.nan))
    if with_errors:
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
        )
        if grid
        else None,
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
