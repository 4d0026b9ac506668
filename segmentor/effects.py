"""Labelled customers -> how many of each group come back and how soon, with intervals clustered by customer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.errors import StatisticsError
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
    gaps = _LabelledGaps.of(engine, config, population, n_groups=len(groups))
    standard = _standardise(gaps, config)
    if standard is None:
        return None
    horizon = min(population.tau_days, standard.support)
    return_days = tuple(day for day in sorted(set(config.trial.return_days)) if day <= standard.support)
    grid = np.unique(np.rint(np.linspace(0, horizon, min(CURVE_POINTS, horizon) + 1)).astype(int)).tolist()
    days = tuple(sorted({*grid, *return_days, horizon}))

    life = gaps.life(half=0)
    estimates = _estimate(gaps, standard, standard.tables(life.sum(axis=0)), days=days, horizon=horizon)
    described = list(groups)
    for number, estimate in estimates.items():
        described[number] = _describe(
            groups[number], estimate, standard.at_risk[number], grid=grid, return_days=return_days, horizon=horizon
        )
    level = 1 - config.trial.level
    several = list(estimates.values())
    log_ratios, lengths, shares = _differences(several, {horizon, *return_days}, level=level)
    names = [groups[number].name for number in estimates]
    pairs = _pairs(config, names, log_ratios, lengths=lengths, shares=shares, return_days=return_days, horizon=horizon)
    halves: tuple[HalfEffects, ...] = ()
    if significant and any(pair.separated for pair in pairs):
        lives = (life, *(gaps.life(half=half) for half in range(1, OTHER_SEEDS + 1)))
        halves = tuple(_half_effects(standard, one, horizon) for one in lives)
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
        "select l.group_no, g.duration as day, g.event_observed, count(*) as gaps\n"
        f"from gaps_{population.suffix} g join labels l using (customer_no) group by all"
    )
    counts = np.zeros((2, n_groups, int(rows["day"].max()) + 1))
    counts[rows["event_observed"].astype(int), rows["group_no"], rows["day"]] = rows["gaps"]
    at_risk = np.flip(np.cumsum(np.flip(counts.sum(axis=0), axis=1), axis=1), axis=1)
    try:
        return naive_logrank_p(counts[1], at_risk)
    except StatisticsError:
        return None


@dataclass(frozen=True, slots=True)
class _LabelledGaps:
    """The gaps of the labelled customers in the engine, each day past ``last_day`` cut there.

    Attributes:
        engine: Holds ``labels`` and the population's tables.
        table: Name of the table of gaps.
        last_day: Last day at which an effect may be read.
        n_groups: Number of groups.
        kept: SQL condition on gaps that count.
        weight: SQL of a gap's weight, fixed point.
        divisor: SQL of what a customer's sum over gaps is divided by.
        cohorts: Codes of the labelled customers' cohorts, ascending, shape (n_cohorts,).
    """

    engine: Engine
    table: str
    last_day: int
    n_groups: int
    kept: str
    weight: str
    divisor: str
    cohorts: IntArray

    @classmethod
    def of(cls, engine: Engine, config: ExperimentConfig, population: Population, *, n_groups: int) -> _LabelledGaps:
        typical_gap = config.cycle.advanced.effect == "typical_gap"
        return cls(
            engine=engine,
            table=f"gaps_{population.suffix}",
            last_day=population.last_day,
            n_groups=n_groups,
            kept="true" if typical_gap else "(g.event_observed or l.cycles = 0)",
            weight=str(WEIGHT_UNIT) if typical_gap else "l.weight",
            divisor="1" if typical_gap else "greatest(l.cycles, 1)",
            cohorts=engine.arrays("select distinct cohort from labels order by cohort")["cohort"],
        )

    @property
    def day(self) -> str:
        """SQL of the day on which a gap ends, and whether it ends in a return, once cut."""
        return f"least(g.duration, {self.last_day})"

    @property
    def returned(self) -> str:
        """SQL of whether a gap ends in a return by ``last_day``."""
        return f"(g.event_observed and g.duration <= {self.last_day})"

    def life(self, *, half: int) -> FloatArray:
        """Weights of gaps, shape (half, group, cohort, day, ended with a return); ``half`` numbers the seed of the halves."""
        rows = self.engine.arrays(
            f"select l.half_{half} as half, l.group_no, l.cohort, {self.day} as day, {self.returned} as returned,\n"
            f"  cast(sum({self.weight}) as bigint) as weight\n"
            f"from {self.table} g join labels l using (customer_no) where {self.kept} group by all"
        )
        weights = np.zeros((2, self.n_groups, len(self.cohorts), self.last_day + 1, 2))
        cohort = np.searchsorted(self.cohorts, rows["cohort"])
        weights[rows["half"], rows["group_no"], cohort, rows["day"], rows["returned"].astype(int)] = rows["weight"]
        return weights / WEIGHT_UNIT

    def customers_at_risk(self) -> IntArray:
        """Customers with a gap that reaches a day, shape (group, cohort, day)."""
        rows = self.engine.arrays(
            "select group_no, cohort, longest, count(*) as customers from (\n"
            f"  select l.group_no, l.cohort, max({self.day}) as longest\n"
            f"  from {self.table} g join labels l using (customer_no) where {self.kept}\n"
            "  group by l.customer_no, l.group_no, l.cohort)\n"
            "group by all"
        )
        ends = np.zeros((self.n_groups, len(self.cohorts), self.last_day + 1), dtype=np.int64)
        ends[rows["group_no"], np.searchsorted(self.cohorts, rows["cohort"]), rows["longest"]] = rows["customers"]
        return np.flip(np.cumsum(np.flip(ends, axis=-1), axis=-1), axis=-1)

    def sums_of_squares(self, values: dict[int, list[DayValues]]) -> dict[int, FloatArray]:
        """Sum over the customers of each group and cohort of the square of their sum of day values.

        Values are summed in fixed point, each with a power of two of its own as unit.

        Returns:
            By group, shape (n_values, n_cohorts).
        """
        count = len(next(iter(values.values())))
        length = self.last_day + 1
        stacked = np.array(
            [[np.concatenate([v.censored[:length], v.event[:length]]) for v in own] for own in values.values()]
        )
        largest = np.abs(stacked).max(axis=2)
        units = 2.0 ** (30 - np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
        fixed = np.rint(stacked * units[:, :, None]).astype(np.int32)
        # One integer finds the values of a gap: this join is most of what a trial takes.
        place = np.arange(2 * length, dtype=np.int32)
        lookup = {"place": np.concatenate([2 * length * np.int32(group) + place for group in values])}
        self.engine.put("influence", lookup | {f"v{k}": fixed[:, k].ravel() for k in range(count)})
        sums = ", ".join(f"cast(sum(i.v{k}) as bigint) as x{k}" for k in range(count))
        shares = ", ".join(f"x{k} // {self.divisor} as x{k}" for k in range(count))
        squares = ", ".join(f"sum(cast(x{k} as hugeint) * x{k})" for k in range(count))
        rows = self.engine.rows(
            "with placed as (\n"
            f"  select g.customer_no, l.group_no * {2 * length} + {self.day}\n"
            f"    + case when {self.returned} then {length} else 0 end as place\n"
            f"  from {self.table} g join labels l using (customer_no) where {self.kept}),\n"
            f"summed as (select customer_no, {sums} from placed join influence i using (place) group by customer_no),\n"
            f"customers as (select l.group_no, l.cohort, {shares} from summed join labels l using (customer_no))\n"
            f"select group_no, cohort, {squares} from customers group by 1, 2"
        )
        totals = {group: np.zeros((count, len(self.cohorts))) for group in values}
        for group, cohort, *several in rows:
            totals[group][:, np.searchsorted(self.cohorts, cohort)] = [float(value) for value in several]
        return {group: totals[group] / units[number][:, None] ** 2 for number, group in enumerate(values)}


@dataclass(frozen=True, slots=True)
class _Standard:
    """What makes the groups comparable.

    Attributes:
        weights: Weight of a customer by group and cohort, 0 outside of the shared cohorts, shape (group, cohort).
        shown: Numbers of the groups with a curve.
        at_risk: Customers at risk in the shared cohorts, shape (group, day).
        support: Last day with ``MIN_AT_RISK`` customers in each shown group.
    """

    weights: FloatArray
    shown: tuple[int, ...]
    at_risk: IntArray
    support: int

    def tables(self, life: FloatArray) -> dict[int, LifeTable]:
        """Standardised life tables of the shown groups from weights of shape (group, cohort, day, ended with a return)."""
        tables = {}
        for group in self.shown:
            weighted = np.tensordot(self.weights[group], life[group], axes=1)
            tables[group] = LifeTable(events=weighted[:, 1], censored=weighted[:, 0], entered=np.zeros(len(weighted)))
        return tables


def _standardise(gaps: _LabelledGaps, config: ExperimentConfig) -> _Standard | None:
    """Weighs customers so that each group has the mix of cohorts of all: the cohort's share of all over its share of the group.

    Groups are shown that hold ``min_group`` customers, or where there are no two such, ``MIN_AT_RISK``: a small group would shorten
    the curves of all. Cohorts count that all shown groups have.
    """
    at_risk = gaps.customers_at_risk()
    customers = at_risk[:, :, 0]
    sizes = customers.sum(axis=1)
    shown = np.flatnonzero(sizes >= max(config.trial.min_group, MIN_AT_RISK))
    if len(shown) < 2:
        shown = np.flatnonzero(sizes >= MIN_AT_RISK)
    shared = (customers[shown] > 0).all(axis=0)
    in_shared = at_risk[:, shared].sum(axis=1)
    if len(shown) < 2 or in_shared[shown, 1].min() < MIN_AT_RISK:
        return None
    kept = np.where(shared, customers, 0)[shown].astype(np.float64)
    weights = np.zeros(customers.shape)
    share_of_group = kept / kept.sum(axis=1, keepdims=True)
    weights[shown] = np.divide(
        kept.sum(axis=0) / kept.sum(), share_of_group, out=np.zeros_like(kept), where=share_of_group > 0
    )
    support = min(int(np.flatnonzero(in_shared[group] >= MIN_AT_RISK)[-1]) for group in shown)
    return _Standard(weights=weights, shown=tuple(shown.tolist()), at_risk=in_shared, support=support)


def _estimate(
    gaps: _LabelledGaps, standard: _Standard, tables: dict[int, LifeTable], *, days: tuple[int, ...], horizon: int
) -> dict[int, _Estimates]:
    """Curves with standard errors: the root of the sum over customers of their squared influence, summed in the engine."""
    values = {
        group: [
            *(survival_influence(table, day) for day in days),
            _mean_influence(table, horizon),
            restricted_mean_influence(table, horizon),
        ]
        for group, table in tables.items()
    }
    squares = gaps.sums_of_squares(values)
    estimates = {}
    for group, table in tables.items():
        curve = survival(table)
        *survival_errors, mean_error, restricted_error = np.sqrt(squares[group] @ np.square(standard.weights[group]))
        estimates[group] = _Estimates(
            days=days,
            survival=curve[list(days)],
            survival_errors=np.array(survival_errors),
            mean_cycle=mean_cycle(curve, horizon),
            mean_cycle_error=float(mean_error),
            restricted_mean=restricted_mean(curve, horizon),
            restricted_mean_error=float(restricted_error),
            median=median_day(curve),
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
        mean_cycle_days=_interval(
            mean, mean * np.exp(-NORMAL_975 * error / mean), mean * np.exp(NORMAL_975 * error / mean)
        ),
        restricted_mean_days=_interval(restricted, restricted - spread, restricted + spread),
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
    return {day: _interval(1 - share, 1 - above, 1 - below) for day, share, below, above in bounds}


def _differences(
    estimates: Sequence[_Estimates], days: Collection[int], *, level: float
) -> tuple[PairIntervals, PairIntervals, dict[int, PairIntervals]]:
    """All pairs' differences of log mean cycles, of mean cycles, and of shares back by each of the days."""
    means = np.array([e.mean_cycle for e in estimates])
    errors = np.array([e.mean_cycle_error for e in estimates])
    backs = 1 - np.array([e.survival for e in estimates])
    back_errors = np.array([e.survival_errors for e in estimates])
    return (
        pair_intervals(np.log(means), errors / means, level=level),
        pair_intervals(means, errors, level=level),
        {
            day: pair_intervals(backs[:, at], back_errors[:, at], level=level)
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
            ratio=_interval(*np.exp([ratios.difference[k], ratios.low[k], ratios.high[k]])),
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


def _half_effects(standard: _Standard, life: FloatArray, horizon: int) -> HalfEffects:
    """Ratios and share differences within each half, standardised as the whole; ``nan`` where a half's curve ends before the horizon."""
    means, shares = np.full((2, len(standard.shown)), np.nan), np.full((2, len(standard.shown)), np.nan)
    for half in (0, 1):
        for number, table in enumerate(standard.tables(life[half]).values()):
            curve = survival(table)
            if not np.isnan(curve[horizon]):
                means[half, number], shares[half, number] = mean_cycle(curve, horizon), 1 - curve[horizon]
    first, second = np.triu_indices(len(standard.shown), k=1)
    return HalfEffects(np.log(means[:, second] / means[:, first]), shares[:, second] - shares[:, first])


def _nth(intervals: PairIntervals, k: int) -> Interval:
    return _interval(intervals.difference[k], intervals.low[k], intervals.high[k])


def _interval(estimate: float, low: float, high: float) -> Interval:
    """Undefined numbers become ``None``."""
    return Interval(*(float(value) if np.isfinite(value) else None for value in (estimate, low, high)))
