"""What the discovery half of the customers suggests: where to cut a number, and which groups to take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from segmentor.cycles import told_of
from segmentor.effects import Effects, measure_effects
from segmentor.evidence import gather
from segmentor.labelling import group_sums, label_customers, made_of_purchases
from segmentor.populations import SCORE_UNIT, Population
from segmentor.result import Cutpoint
from segmentor.splits import Split
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.multiplicity import benjamini_yekutieli
from segmentor.statistics.thresholds import cutpoint_stability, threshold_screen

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.statistics.arrays import FloatArray, IntArray

SCREENING_RESAMPLES = 2_000

OTHER_RESAMPLES = 500
"""For the other seeds of the halves, of which only the verdict is looked at."""

STABILITY_RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A split that discovery customers chose, to be confirmed by the others.

    Attributes:
        split: The split, with groups.
        p_value: Of its screening, the search for it taken into account.
        p_adjusted: Adjusted over all that was screened.
        promoted: Whether it goes to confirmation.
        cutpoint: Where a number is cut; ``None`` for merged groups.
        effects: In discovery, to see whether confirmation points the same way; ``None`` where they cannot be measured.
    """

    split: Split
    p_value: float
    p_adjusted: float
    promoted: bool
    cutpoint: Cutpoint | None
    effects: Effects | None


def suggest(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[tuple[Split, Population]],
    *,
    describe: bool = True,
) -> tuple[Suggestion | None, ...]:
    """Screens numbers for thresholds, and groups that cannot be told apart for how to merge them.

    Args:
        engine: Holds the splits' sources and the populations' tables.
        config: The experiment.
        splits: Splits to cut (``to_cut``) or to merge, each with its population's discovery half.
        describe: Look at the stability of cutpoints too, and relabel more often.

    Returns:
        One suggestion a split, in their order; ``None`` where there is nothing to suggest: no threshold leaves a tenth of the
        customers on both sides, or all groups or none can be told apart.
    """
    found: dict[int, Suggestion] = {}
    families: dict[Population, list[int]] = {}
    for number, (split, population) in enumerate(splits):
        if split.to_cut:
            families.setdefault(population, []).append(number)
    for population, numbers in families.items():
        if population.tau_days:
            cut = _cut(engine, config, [splits[number][0] for number in numbers], population, describe=describe)
            found |= {number: one for number, one in zip(numbers, cut, strict=True) if one is not None}
    for number, (split, population) in enumerate(splits):
        if not split.to_cut and (merged := _merge(engine, config, split, population)) is not None:
            found[number] = merged
    screened = _adjust(config, found, families=len(families))
    return tuple(screened.get(number) for number in range(len(splits)))


def closest_groups(sums: GroupSums, *, level: float) -> tuple[tuple[int, ...], ...]:
    """Groups that cannot be told apart, taken together: the closest pair is merged until every pair differs.

    Two groups differ where the largest standardised difference of their mean scores, over all scores, is significant at the level,
    Bonferroni-adjusted over all pairs of the groups and over the scores. Groups that share no cohort were never compared and are not merged.

    Args:
        sums: Of the split, with customers in all groups.
        level: Of the tests.

    Returns:
        The numbers of the groups that are one, in order.
    """
    linear = linear_statistic(sums)
    customers = sums.customers.sum(axis=1).astype(np.float64)
    parts: list[tuple[int, ...]] = [(number,) for number in np.flatnonzero(customers).tolist()]
    tests = len(parts) * (len(parts) - 1) / 2 * len(linear.deviation)

    def distance(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> float:
        one, other = (sums.customers[list(part)].sum(axis=0) for part in pair)
        if not (np.minimum(one, other) > 0).any():
            return np.inf
        contrast = np.zeros(len(customers))
        for part, sign in zip(pair, (1, -1), strict=True):
            contrast[list(part)] = sign / customers[list(part)].sum()
        variance = np.einsum("g,kkgh,h->k", contrast, linear.covariance, contrast)
        z = np.divide(
            np.abs(linear.deviation @ contrast), np.sqrt(variance), out=np.zeros(len(variance)), where=variance > 0
        )
        return float(z.max())

    while len(parts) > 1:
        nearest = min(combinations(parts, 2), key=distance)
        if 2 * ndtr(-distance(nearest)) * tests <= level:
            break
        parts = sorted([part for part in parts if part not in nearest] + [tuple(sorted(nearest[0] + nearest[1]))])
    return tuple(parts)


def check_numbers(
    engine: Engine, config: ExperimentConfig, split: Split, population: Population
) -> tuple[str, str] | None:
    """Reads the numbers of a split that is to be cut; replaces the table ``labels``.

    Returns:
        Reason code for which they cannot be used, and what to do; ``None`` where they can.

    Raises:
        ExpressionError: A value is no number.
    """
    _make_numbers(engine, config, split, "numbers_0")
    if not split.is_of_a_snapshot:
        return None
    engine.execute(
        "create or replace table labels as select m.customer_no, m.cohort, m.cycles,\n"
        f"  10 * (rank() over (order by n.segment_group) - 1) // count(*) over () as group_no from numbers_0 n\n"
        f"join everyone e using (customer) join members_{population.suffix} m using (customer_no) where n.segment_group is not null"
    )
    return made_of_purchases(engine, split) if engine.scalar("select count(*) from labels") else None


def _cut(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[Split],
    population: Population,
    *,
    describe: bool,
) -> list[Suggestion | None]:
    """The best threshold of each number, all tested with the same relabellings of customers."""
    scores, numbers, cohorts = _numbers(engine, config, splits, population)
    screen = threshold_screen(
        scores, numbers, cohorts, resamples=SCREENING_RESAMPLES if describe else OTHER_RESAMPLES, seed=config.seed
    )
    found: list[Suggestion | None] = [None] * len(splits)
    for j in np.flatnonzero(screen.tried).tolist():
        threshold = float(screen.thresholds[j])
        known = np.isfinite(numbers[j])
        chosen = (
            cutpoint_stability(
                scores[:, known], numbers[j][known], cohorts[known], resamples=STABILITY_RESAMPLES, seed=config.seed
            )
            if describe
            else np.array([threshold])
        )
        low, high = np.quantile(chosen, [0.1, 0.9], method="inverted_cdf").tolist()
        split = splits[j].cut_at(threshold)
        found[j] = Suggestion(
            split=split,
            p_value=float(screen.p_values[j]),
            p_adjusted=float(screen.adjusted[j]),
            promoted=False,
            cutpoint=Cutpoint(
                column=str(split.by),
                threshold=threshold,
                tried=int(screen.tried[j]),
                statistic=float(screen.statistics[j]),
                low=low,
                high=high,
                chosen_again=float((chosen == threshold).mean()),
            ),
            effects=_effects(engine, config, split, population),
        )
    return found


def _effects(engine: Engine, config: ExperimentConfig, split: Split, population: Population) -> Effects | None:
    """Of a split whose test is known already."""
    labelled = label_customers(engine, config, split, population)
    if labelled.obstacle is not None:
        return None
    return measure_effects(engine, config, population, labelled.groups, significant=False)


def _numbers(
    engine: Engine, config: ExperimentConfig, splits: Sequence[Split], population: Population
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Scores, the splits' numbers (``nan`` where unknown) and cohorts of the population's customers, in their order."""
    joins, values = [], []
    for number, split in enumerate(splits):
        _make_numbers(engine, config, split, f"numbers_{number}")
        values.append(f"cast(n{number}.segment_group as double) as x{number}")
        joins.append(f"left join numbers_{number} n{number} on n{number}.customer = e.customer")
    names = [f"s{i}" for i in range(len(population.scores))]
    table = engine.arrays(
        f"select m.cohort, {', '.join(names + values)} from members_{population.suffix} m join scores_{population.suffix} s using (customer_no)\n"
        f"join everyone e using (customer_no) {' '.join(joins)} order by m.customer_no"
    )
    scores = np.stack([table[name] / SCORE_UNIT for name in names])
    numbers = np.stack([np.ma.filled(table[f"x{number}"], np.nan) for number in range(len(splits))])
    return scores, numbers.astype(np.float64), np.unique(table["cohort"], return_inverse=True)[1]


def _make_numbers(engine: Engine, config: ExperimentConfig, split: Split, table: str) -> None:
    with told_of(config, f"{split.by!r} of the split {split.name!r}"):
        engine.execute(f"create or replace table {table} as {split.labels}")


def _merge(engine: Engine, config: ExperimentConfig, split: Split, population: Population) -> Suggestion | None:
    labelled = label_customers(engine, config, split, population)
    if labelled.obstacle is not None:
        return None
    parts = closest_groups(group_sums(engine, population, len(labelled.groups)), level=config.trial.level)
    if len(parts) < 2 or all(len(part) == 1 for part in parts):
        return None
    # Groups of whom discovery has nobody stay as they are.
    empty = [(number,) for number, group in enumerate(labelled.groups) if not group.customers]
    merged = split.merged([[labelled.groups[number].name for number in part] for part in (*parts, *empty)])
    evidence = gather(engine, config, merged, population, halves=False)
    if evidence.test is None:
        return None
    p = evidence.test.p_value
    return Suggestion(split=merged, p_value=p, p_adjusted=p, promoted=False, cutpoint=None, effects=evidence.effects)


def _adjust(config: ExperimentConfig, found: dict[int, Suggestion], *, families: int) -> dict[int, Suggestion]:
    """Over all that was screened: min-P within each population times their number, or Benjamini and Yekutieli's over all.

    Merged groups come after a significant test of the groups that they are made of, and need no other adjustment.
    """
    cuts = [number for number, one in found.items() if one.cutpoint is not None]
    if config.trial.advanced.screening == "min_p":
        adjusted = [min(1.0, found[number].p_adjusted * families) for number in cuts]
    else:
        adjusted = benjamini_yekutieli(np.array([found[number].p_value for number in cuts])).tolist()
    over_all = {number: one.p_adjusted for number, one in found.items()} | dict(zip(cuts, adjusted, strict=True))
    return {
        number: replace(one, p_adjusted=over_all[number], promoted=over_all[number] <= config.trial.level)
        for number, one in found.items()
    }
