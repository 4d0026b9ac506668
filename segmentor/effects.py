"""Labelled customers -> how many of each group come back and how soon, with intervals clustered by customer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.populations import Population
from segmentor.result import Curve, GroupEffect, Interval, PairEffect, ShareBack
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

CURVE_POINTS = 30

NORMAL_975 = 1.959963984540054

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
    with_halves: bool,
) -> Effects | None:
    """Return curves of a typical customer in each group, standardised over the cohorts that all groups share.

    Args:
        engine: Holds ``labels`` and the population's tables.
        config: The experiment.
        population: The labelled customers' population.
        groups: The groups with their sizes.
        with_halves: Also measure each half, under this seed and the others.

    Returns:
        ``None`` where fewer than two groups hold ``MIN_AT_RISK`` customers or share a cohort.
    """
    at_risk = _customers_at_risk(engine, config, population, len(groups))
    shown = _shown_groups(at_risk[:, 1], config.trial.min_group)
    life = _life(engine, config, population, len(groups), half=0)
    weights = _standardisation(engine, len(groups), shown, life.cohorts)
    if len(shown) < 2 or not weights.any():
        return None
    support = int(np.min([np.flatnonzero(at_risk[group] >= MIN_AT_RISK)[-1] for group in shown]))
    horizon = min(population.tau_days, support)
    return_days = tuple(day for day in sorted(set(config.trial.return_days)) if day <= support)
    grid = np.unique(np.rint(np.linspace(0, horizon, min(CURVE_POINTS, horizon) + 1)).astype(int))
    days = tuple(sorted({*grid.tolist(), *return_days, horizon}))

    tables = {group: _standardised(life.counts.sum(axis=0)[group], weights[group]) for group in shown}
    estimates = _estimate(engine, config, population, tables, weights, life.cohorts, days, horizon)
    described = tuple(
        _describe(group, estimates[number], at_risk[number], grid.tolist(), return_days, horizon)
        if number in estimates
        else group
        for number, group in enumerate(groups)
    )
    several = [estimates[number] for number in shown]
    log_ratios, lengths, shares = _differences(several, {horizon, *return_days}, level=1 - config.trial.level)
    halves: tuple[HalfEffects, ...] = ()
    if with_halves:
        lives = (
            life,
            *(_life(engine, config, population, len(groups), half=half) for half in range(1, OTHER_SEEDS + 1)),
        )
        halves = tuple(_half_effects(one, weights, shown, horizon) for one in lives)
    return Effects(
        groups=described,
        pairs=_pairs(
            config, [groups[number].name for number in shown], log_ratios, lengths, shares, return_days, horizon
        ),
        log_ratios=log_ratios,
        shares=shares[horizon],
        horizon_days=horizon,
        halves=halves,
    )


def _shown_groups(customers: IntArray, min_group: int) -> IntArray:
    """Groups of ``min_group``, or where there are no two such, of ``MIN_AT_RISK``: a small group would shorten the curves of all."""
    large = np.flatnonzero(customers >= max(min_group, MIN_AT_RISK))
    return large if len(large) > 1 else np.flatnonzero(customers >= MIN_AT_RISK)


def naive_p_value(engine: Engine, population: Population, n_groups: int) -> float | None:
    """Log-rank test on all gaps as if they were independent: what the usual way would say."""
    rows = engine.arrays(
        "select l.group_no, g.duration as day, g.event_observed, count(*) as gaps\n"
        f"from gaps_{population.suffix} g join labels l using (customer_no) group by all"
    )
    counts = np.zeros((2, n_groups, int(rows["day"].max()) + 1))
    counts[rows["event_observed"].astype(int), rows["group_no"], rows["day"]] = rows["gaps"]
    at_risk = np.flip(np.cumsum(np.flip(counts.sum(axis=0), axis=1), axis=1), axis=1)
    return naive_logrank_p(counts[1], at_risk)


@dataclass(frozen=True, slots=True)
class _Life:
    """Weights of gaps, shape (half, group, cohort, day, ended with a return), with the cohorts' codes."""

    counts: FloatArray
    cohorts: FloatArray


def _life(engine: Engine, config: ExperimentConfig, population: Population, n_groups: int, *, half: int) -> _Life:
    weight = f"case when {_kept(config)} then {_weight(config)} else 0 end"
    rows = engine.arrays(
        f"select l.half_{half} as half, l.group_no, l.cohort, least(g.duration, {population.last_day}) as day,\n"
        f"  g.event_observed and g.duration <= {population.last_day} as returned, cast(sum({weight}) as bigint) as weight\n"
        f"from gaps_{population.suffix} g join labels l using (customer_no) group by all"
    )
    cohorts, cohort = np.unique(rows["cohort"], return_inverse=True)
    counts = np.zeros((2, n_groups, len(cohorts), population.last_day + 1, 2))
    counts[rows["half"], rows["group_no"], cohort, rows["day"], rows["returned"].astype(int)] = (
        rows["weight"] / WEIGHT_UNIT
    )
    return _Life(counts, cohorts)


def _kept(config: ExperimentConfig) -> str:
    return "true" if config.cycle.advanced.effect == "typical_gap" else "(g.event_observed or l.cycles = 0)"


def _weight(config: ExperimentConfig) -> str:
    return str(WEIGHT_UNIT) if config.cycle.advanced.effect == "typical_gap" else "l.weight"


def _customers_at_risk(engine: Engine, config: ExperimentConfig, population: Population, n_groups: int) -> FloatArray:
    """Customers with a gap that reaches a day, shape (n_groups, last_day + 1)."""
    rows = engine.arrays(
        f"select group_no, longest, count(*) as customers from (\n"
        f"  select l.group_no, least(max(g.duration), {population.last_day}) as longest\n"
        f"  from gaps_{population.suffix} g join labels l using (customer_no) where {_kept(config)} group by l.customer_no, l.group_no)\n"
        "group by all"
    )
    ends = np.zeros((n_groups, population.last_day + 1), dtype=np.int64)
    ends[rows["group_no"], rows["longest"]] = rows["customers"]
    return np.flip(np.cumsum(np.flip(ends, axis=1), axis=1), axis=1)


def _standardisation(engine: Engine, n_groups: int, shown: FloatArray, cohorts: FloatArray) -> FloatArray:
    """Weight of a customer by group and cohort: the cohort's share of all over its share of the group, in cohorts that all shown groups have."""
    rows = engine.arrays("select group_no, cohort, count(*) as customers from labels group by all")
    customers = np.zeros((n_groups, len(cohorts)))
    customers[rows["group_no"], np.searchsorted(cohorts, rows["cohort"])] = rows["customers"]
    kept = np.zeros_like(customers)
    kept[shown] = customers[shown]
    kept[:, (kept[shown] == 0).any(axis=0)] = 0
    if not kept.any():
        return kept
    share_of_all = kept.sum(axis=0) / kept.sum()
    share_of_group = kept / np.maximum(kept.sum(axis=1, keepdims=True), 1)
    return np.divide(
        np.broadcast_to(share_of_all, kept.shape), share_of_group, out=np.zeros_like(kept), where=share_of_group > 0
    )


def _standardised(counts: FloatArray, weights: FloatArray) -> LifeTable:
    weighted = np.tensordot(weights, counts, axes=1)
    return LifeTable(events=weighted[:, 1], censored=weighted[:, 0], entered=np.zeros(len(weighted)))


def _estimate(
    engine: Engine,
    config: ExperimentConfig,
    population: Population,
    tables: dict[int, LifeTable],
    weights: FloatArray,
    cohorts: FloatArray,
    days: tuple[int, ...],
    horizon: int,
) -> dict[int, _Estimates]:
    """Curves with standard errors from influence functions summed by customer in the engine."""
    values = {
        group: [
            *(survival_influence(table, day) for day in days),
            _mean_influence(table, horizon),
            restricted_mean_influence(table, horizon),
        ]
        for group, table in tables.items()
    }
    errors = _clustered_errors(engine, config, population, values, weights, cohorts)
    estimates = {}
    for group, table in tables.items():
        curve = survival(table)
        estimates[group] = _Estimates(
            days=days,
            survival=curve[list(days)],
            survival_errors=errors[group][:-2],
            mean_cycle=mean_cycle(curve, horizon),
            mean_cycle_error=errors[group][-2],
            restricted_mean=restricted_mean(curve, horizon),
            restricted_mean_error=errors[group][-1],
            median=median_day(curve),
        )
    return estimates


def _mean_influence(table: LifeTable, horizon: int) -> DayValues:
    """Influence on the mean cycle, which is undefined, and has none, where nobody is back."""
    if not table.events[: horizon + 1].any():
        return DayValues(np.zeros(table.n_days), np.zeros(table.n_days))
    return mean_cycle_influence(table, horizon)


def _clustered_errors(
    engine: Engine,
    config: ExperimentConfig,
    population: Population,
    values: dict[int, list[DayValues]],
    weights: FloatArray,
    cohorts: FloatArray,
) -> dict[int, FloatArray]:
    """Root of the sum over customers of the squared influence; each value in fixed point with a power of two of its own as unit."""
    count = len(next(iter(values.values())))
    last = population.last_day
    stacked = np.array(
        [
            [np.concatenate([v.event[: last + 1], v.censored[: last + 1]]) for v in several]
            for several in values.values()
        ]
    )
    largest = np.abs(stacked).max(axis=2)
    units = 2.0 ** (30 - np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
    fixed = np.rint(stacked * units[:, :, None]).astype(np.int64)
    lookup: dict[str, np.ndarray] = {
        "group_no": np.repeat(np.array(list(values), dtype=np.int32), 2 * (last + 1)),
        "day": np.tile(np.arange(last + 1, dtype=np.int32), 2 * len(values)),
        "returned": np.tile(np.repeat(np.array([True, False]), last + 1), len(values)),
    }
    lookup.update({f"v{i}": fixed[:, i].ravel() for i in range(count)})
    engine.put("influence", lookup)
    share = "1" if config.cycle.advanced.effect == "typical_gap" else "greatest(l.cycles, 1)"
    sums = ", ".join(f"cast(sum(i.v{k}) as bigint) // {share} as x{k}" for k in range(count))
    squares = ", ".join(f"sum(cast(x{k} as hugeint) * x{k})" for k in range(count))
    rows = engine.rows(
        f"with customers as (\n  select l.group_no, l.cohort, {sums}\n"
        f"  from gaps_{population.suffix} g join labels l using (customer_no)\n"
        f"  join influence i on i.group_no = l.group_no and i.day = least(g.duration, {last})\n"
        f"    and i.returned = (g.event_observed and g.duration <= {last})\n"
        f"  where {_kept(config)} group by l.customer_no, l.group_no, l.cohort, l.cycles)\n"
        f"select group_no, cohort, {squares} from customers group by 1, 2 order by 1, 2"
    )
    variance = {group: np.zeros(count) for group in values}
    for group, cohort, *sum_of_squares in rows:
        variance[group] += weights[group, np.searchsorted(cohorts, cohort)] ** 2 * np.array(
            [float(value) for value in sum_of_squares]
        )
    return {group: np.sqrt(variance[group]) / units[number] for number, group in enumerate(values)}


def _describe(
    group: GroupEffect,
    estimates: _Estimates,
    at_risk: FloatArray,
    grid: Sequence[int],
    return_days: Sequence[int],
    horizon: int,
) -> GroupEffect:
    back = _shares_back(estimates)
    mean, error = estimates.mean_cycle, estimates.mean_cycle_error
    spread = NORMAL_975 * estimates.restricted_mean_error
    curve = [back[day] for day in grid]
    return replace(
        group,
        share_back=back[horizon],
        shares_back=tuple(ShareBack(day, back[day]) for day in return_days),
        mean_cycle_days=_interval(
            mean, mean * np.exp(-NORMAL_975 * error / mean), mean * np.exp(NORMAL_975 * error / mean)
        ),
        restricted_mean_days=_interval(
            estimates.restricted_mean, estimates.restricted_mean - spread, estimates.restricted_mean + spread
        ),
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


def exceeds(intervals: PairIntervals, k: int, margin: float) -> bool:
    """The interval of the k-th pair excludes no difference, and its estimate lies beyond the margin."""
    excluded = intervals.low[k] > 0 or intervals.high[k] < 0
    return bool(excluded and abs(intervals.difference[k]) > margin)


def _within(intervals: PairIntervals, k: int, margin: float) -> bool:
    """Two one-sided tests show the difference to lie within the margins."""
    return bool(-margin < intervals.equivalence_low[k] and intervals.equivalence_high[k] < margin)


def _half_effects(life: _Life, weights: FloatArray, shown: FloatArray, horizon: int) -> HalfEffects:
    means, shares = np.full((2, len(shown)), np.nan), np.full((2, len(shown)), np.nan)
    for half in (0, 1):
        for number, group in enumerate(shown):
            curve = survival(_standardised(life.counts[half, group], weights[group]))
            if horizon < len(curve) and not np.isnan(curve[horizon]):
                means[half, number], shares[half, number] = mean_cycle(curve, horizon), 1 - curve[horizon]
    first, second = np.triu_indices(len(shown), k=1)
    return HalfEffects(np.log(means[:, second] / means[:, first]), shares[:, second] - shares[:, first])


def _nth(intervals: PairIntervals, k: int) -> Interval:
    return _interval(intervals.difference[k], intervals.low[k], intervals.high[k])


def _interval(estimate: float, low: float, high: float) -> Interval:
    """Undefined numbers become ``None``."""
    return Interval(*(float(value) if np.isfinite(value) else None for value in (estimate, low, high)))
