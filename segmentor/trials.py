"""Splits and cycles -> trials: the engine sums over gaps and customers, and what comes back is small enough to hold."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import day_number, told_of
from segmentor.effects import MIN_AT_RISK, measure_effects, naive_p_value
from segmentor.errors import StatisticsError
from segmentor.populations import SCORE_UNIT, Population, prepare_population
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, Comparability, GroupEffect, ScoreTest, SplitTest, Trial
from segmentor.splits import MAX_GROUPS, Split
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.multiplicity import holm
from segmentor.statistics.permutation import permutation_p
from segmentor.statistics.score_tests import needs_permutation, test_scores
from segmentor.verdicts import Evidence, judge

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

MIN_CYCLES = 20
"""Returns among labelled customers below which no test is tried."""

MIN_COMPARABLE = 0.2
"""Share of labelled customers who must be in cohorts that hold two groups."""

RESERVED_NAMES = {NOT_YET_KNOWN, EVERYBODY}
"""Names of segments that no value of a column may take."""

RESAMPLES = 10_000


def run_trials(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[Split],
    *,
    observed_until: str,
    progress: Callable[[str], None],
) -> tuple[Trial, ...]:
    """Tries every declared split once on all customers, Holm-adjusted over those that can be tested.

    Args:
        engine: Holds the tables of ``cycles`` and of the splits' label sources.
        config: The experiment.
        splits: What to try.
        observed_until: Last day of observation, ISO.
        progress: Told what is being done.

    Returns:
        One trial a split, in their order.
    """
    tried = _with_populations(engine, config, splits, observed_until=observed_until, progress=progress)
    gathered = [gather(engine, config, split, population) for split, population in tried]
    p_values = {number: evidence.test.p_value for number, evidence in enumerate(gathered) if evidence.test is not None}
    adjusted = dict(zip(p_values, holm(np.array(list(p_values.values()))).tolist(), strict=True))
    return tuple(judge(evidence, config, p_adjusted=adjusted.get(number)) for number, evidence in enumerate(gathered))


def gather_sizes(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[Split],
    *,
    observed_until: str,
    progress: Callable[[str], None],
) -> Iterator[tuple[Split, tuple[GroupEffect, ...], tuple[str, str] | None]]:
    """The splits' groups with their sizes, and what stands in the way of a test before any is made."""
    for split, population in _with_populations(
        engine, config, splits, observed_until=observed_until, progress=progress
    ):
        groups = () if split.labels is None else _label(engine, config, split, population)[0]
        yield split, groups, split.untestable or _obstacle(groups, population)


def gather(engine: Engine, config: ExperimentConfig, split: Split, population: Population) -> Evidence:
    """What the verdict on a split rests on: its test and its effects, or what stands in their way."""
    evidence = Evidence(split=split, tau_days=population.tau_days or None)
    if split.labels is None:
        return replace(evidence, obstacle=split.untestable)
    groups, no_follow_up = _label(engine, config, split, population)
    labelled = sum(group.customers for group in groups)
    evidence = replace(evidence, groups=groups, not_known=population.members - labelled, no_follow_up=no_follow_up)
    if split.untestable is not None:
        return replace(evidence, obstacle=split.untestable)
    if (obstacle := _obstacle(groups, population)) is not None:
        return replace(evidence, obstacle=obstacle)
    sums, comparable = _group_sums(engine, population, len(groups))
    evidence = replace(evidence, comparability=Comparability(comparable, (), ()))
    if comparable < MIN_COMPARABLE:
        return replace(
            evidence,
            obstacle=(
                "not comparable",
                (
                    "the groups hardly share a month of first purchase, so that season or tenure cannot be told from the split; "
                    "look at a period in which there were customers of both"
                ),
            ),
        )
    try:
        test = _test(engine, config, population, sums)
    except StatisticsError:
        return replace(
            evidence,
            obstacle=("no variance", "customers of one cohort all behave alike; use a longer period or more customers"),
        )
    effects = measure_effects(engine, config, population, groups, significant=test.p_value <= config.trial.level)
    if effects is None:
        return replace(
            evidence,
            obstacle=(
                "too few customers",
                (
                    f"fewer than two groups hold {MIN_AT_RISK} customers in the months of first purchase that the groups share; "
                    "use fewer and larger groups, cycle.advanced.cohort: quarter, or more data"
                ),
            ),
        )
    return replace(
        evidence, test=replace(test, naive_p_value=naive_p_value(engine, population, len(groups))), effects=effects
    )


def _with_populations(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[Split],
    *,
    observed_until: str,
    progress: Callable[[str], None],
) -> Iterator[tuple[Split, Population]]:
    """Each split with the population of its time zero, which is prepared once."""
    last = day_number(datetime.date.fromisoformat(observed_until))
    populations: dict[int, Population] = {}
    for split in splits:
        progress(f"trial of {split.name}")
        if split.purchases not in populations:
            populations[split.purchases] = prepare_population(engine, config, split.purchases, observed_until=last)
        yield split, populations[split.purchases]


def _label(
    engine: Engine, config: ExperimentConfig, split: Split, population: Population
) -> tuple[tuple[GroupEffect, ...], int]:
    """Makes ``labels``: a row a labelled customer with a gap, with ``group_no`` and what the sums need.

    Returns:
        The groups with their sizes, in the order of the config (by value where there is none), and the number of labelled customers
        without a gap.
    """
    with told_of(config, f"the groups of {split.name!r}"):
        engine.execute(f"create or replace table labelled as {split.labels}")
    counts: dict[str, int] = dict(
        engine.rows(
            "select segment_group, count(*) from labelled where segment_group is not null group by 1 order by 1"
        )
    )
    names = list(split.groups or counts)
    engine.put(
        "group_names",
        {"segment_group": np.array(names, dtype=object), "group_no": np.arange(len(names), dtype=np.int32)},
    )
    suffix = population.suffix
    engine.execute(
        "create or replace table labels as\n"
        "select m.customer_no, n.group_no, m.cohort, m.cycles, m.weight, e.* exclude (customer_no, customer)\n"
        f"from labelled l join group_names n using (segment_group) join everyone e using (customer) join members_{suffix} m using (customer_no)"
    )
    sizes = {
        number: (customers, cycles)
        for number, customers, cycles in engine.rows(
            "select group_no, count(*), cast(sum(cycles) as bigint) from labels group by 1"
        )
    }
    groups = tuple(GroupEffect(name, *sizes.get(number, (0, 0))) for number, name in enumerate(names))
    return groups, sum(counts.values()) - sum(group.customers for group in groups)


def _obstacle(groups: Sequence[GroupEffect], population: Population) -> tuple[str, str] | None:
    if len(groups) > MAX_GROUPS:
        return "too many groups", f"{len(groups)} values make no split; name a few groups with conditions"
    if not any(group.customers for group in groups):
        return "nobody observed", "no customer of any group was observed after the purchase; use a longer period"
    if reserved := [group.name for group in groups if group.name in RESERVED_NAMES or "|" in group.name]:
        return (
            "reserved name",
            f"the value {reserved[0]!r} has a meaning of its own in results; name the groups with conditions",
        )
    if sum(group.customers > 0 for group in groups) < 2:
        return "one group", "all labelled customers are in one group; look at the conditions of the others"
    if sum(group.customers >= MIN_AT_RISK for group in groups) < 2:
        return (
            "too few customers",
            f"fewer than two groups hold {MIN_AT_RISK} customers; use larger groups or more data",
        )
    if population.tau_days == 0 or sum(group.cycles for group in groups) < MIN_CYCLES:
        return "too few events", f"fewer than {MIN_CYCLES} returns were seen; use a longer period or more customers"
    return None


def _group_sums(engine: Engine, population: Population, n_groups: int) -> tuple[GroupSums, float]:
    """Power sums of the customers' scores by group and cohort, and the share of customers in cohorts that hold two groups."""
    count = len(population.scores)
    sums = [f"sum(s{i})" for i in range(count)]
    products = [f"sum(cast(s{i} as hugeint) * s{j})" for i in range(count) for j in range(i, count)]
    cubes = [f"sum(cast(s{i} as hugeint) * s{i} * s{i})" for i in range(count)]
    rows = engine.rows(
        f"select l.cohort, l.group_no, count(*), {', '.join(sums + products + cubes)}\n"
        f"from labels l join scores_{population.suffix} s using (customer_no) group by 1, 2 order by 1, 2"
    )
    cohorts = sorted({row[0] for row in rows})
    index = {cohort: number for number, cohort in enumerate(cohorts)}
    customers = np.zeros((n_groups, len(cohorts)), dtype=np.int64)
    score_sums = np.zeros((count, n_groups, len(cohorts)), dtype=object)
    product_sums = np.zeros((count, count, len(cohorts)), dtype=object)
    cube_sums = np.zeros((count, len(cohorts)), dtype=object)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    for cohort, group, n, *values in rows:
        k = index[cohort]
        customers[group, k] = n
        score_sums[:, group, k] = values[:count]
        for (i, j), value in zip(pairs, values[count : count + len(pairs)], strict=True):
            product_sums[i, j, k] += value
            if i != j:
                product_sums[j, i, k] += value
        cube_sums[:, k] += np.array(values[count + len(pairs) :], dtype=object)
    shared = customers[:, (customers > 0).sum(axis=0) >= 2].sum()
    return GroupSums.from_power_sums(customers, score_sums, product_sums, cube_sums, scale=SCORE_UNIT), float(
        shared / customers.sum()
    )


def _test(engine: Engine, config: ExperimentConfig, population: Population, sums: GroupSums) -> SplitTest:
    """The largest of the scores' statistics; by permutation where the closed forms are not good enough."""
    closed = test_scores(sums)
    scores = tuple(
        ScoreTest(name, float(statistic), int(df), float(p))
        for name, statistic, df, p in zip(
            population.scores, closed.statistics, closed.degrees_of_freedom, closed.p_values, strict=True
        )
    )
    if not needs_permutation(sums, closed):
        return SplitTest(scores=scores, p_value=closed.p_value, tail=closed.tail)
    columns = ", ".join(f"s{i}" for i in range(len(population.scores)))
    table = engine.arrays(
        f"select l.group_no, l.cohort, {columns} from labels l join scores_{population.suffix} s using (customer_no) order by customer_no"
    )
    values = np.stack([table[f"s{i}"] / SCORE_UNIT for i in range(len(population.scores))])
    cohorts = np.unique(table["cohort"], return_inverse=True)[1]
    p, tail = permutation_p(values, table["group_no"], cohorts, resamples=RESAMPLES, seed=config.seed)
    return SplitTest(scores=scores, p_value=p, tail=tail)
