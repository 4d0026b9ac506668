"""The label of the first purchases against that of the next: do buyers of one come back for the other?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import lines_of_occasions, told_of
from segmentor.result import Crossover, CrossoverCell, Interval
from segmentor.statistics.arrays import IntArray
from segmentor.statistics.two_sample import cramers_v, kappa, wilson_interval

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.result import GroupEffect
    from segmentor.splits import Split

MIN_BOTH = 50
"""Customers with both labels below whom there is no table."""

MIN_PER_CELL = 10
"""Least square of the number of customers over the number of cells for which the chi-square law is near enough."""


def measure_crossover(
    engine: Engine, config: ExperimentConfig, split: Split, groups: Sequence[GroupEffect]
) -> Crossover | None:
    """The groups by purchases 1 to n against the groups that the same conditions give by purchases n + 1 to 2n.

    It describes those who came back that often: of the others nobody knows what they would have bought. Each customer counts
    once. Customers whose next purchases are in no group of the split (a value that nobody began with) are left out.

    Args:
        engine: Holds the tables of ``cycles`` and the table ``labels`` (``customer_no``, ``group_no``) of the split.
        config: The experiment.
        split: The split.
        groups: Its groups, in the order of their numbers.

    Returns:
        The table; ``None`` for a label that is fixed at entry, known until a date or over the whole history, and where
        fewer than ``MIN_BOTH`` customers have both or all have the same first one.

    Raises:
        ExpressionError: A condition cannot be computed over the next purchases.

    References:
        Koehler & Larntz (1980), J. Amer. Statist. Assoc. 75, 336-344 (chi-square with few customers a cell).
    """
    if not split.source.startswith("_window") or split.time_zero.until is not None:
        return None
    counts = _counts(engine, config, split, groups)
    customers, first, second = int(counts.sum()), counts.sum(axis=1), counts.sum(axis=0)
    if customers < MIN_BOTH or np.count_nonzero(first) < 2:
        return None
    p_value = cramers_v(counts).p_value
    cells = np.count_nonzero(first) * np.count_nonzero(second)
    return Crossover(
        purchases=split.time_zero.purchases,
        customers=customers,
        cells=tuple(
            CrossoverCell(
                first=group.name,
                second=other.name,
                customers=int(counts[row, column]),
                share=Interval.of(*wilson_interval(int(counts[row, column]), int(first[row]))),
                lift=_lift(int(counts[row, column]), int(first[row]), int(second[column]), customers),
            )
            for row, group in enumerate(groups)
            for column, other in enumerate(groups)
        ),
        same_share=int(np.trace(counts)) / customers,
        expected_same_share=int(first @ second) / customers**2,
        stickiness=Interval.of(*kappa(counts)),
        p_value=p_value if np.isfinite(p_value) and customers**2 >= MIN_PER_CELL * cells else None,
    )


def _counts(engine: Engine, config: ExperimentConfig, split: Split, groups: Sequence[GroupEffect]) -> IntArray:
    """Customers by first and next group, shape (n_groups, n_groups)."""
    number = {group.name: place for place, group in enumerate(groups)}
    counts = np.zeros((len(groups), len(groups)), dtype=np.int64)
    with told_of(config, f"the groups of {split.name!r}"):
        rows = engine.rows(
            f"with nexts as ({split.labels_of(_next_window(engine, config, split.time_zero.purchases))})\n"
            "select l.group_no, n.segment_group, count(*) from labels l join everyone e using (customer_no)\n"
            "join nexts n on n.customer = e.customer where n.segment_group is not null group by 1, 2"
        )
    for first, name, customers in rows:
        if name in number:
            counts[first, number[name]] = customers
    return counts


def _next_window(engine: Engine, config: ExperimentConfig, purchases: int) -> str:
    """Makes ``_next_window_<n>``: the lines of occasions n + 1 to 2n, of customers who have 2n, like ``_window_<n>``."""
    name = f"_next_window_{purchases}"
    lines = lines_of_occasions(config, purchases + 1, 2 * purchases)
    engine.execute(f"create table if not exists {name} as {lines}")
    return name


def _lift(count: int, first: int, second: int, customers: int) -> float | None:
    return count * customers / (first * second) if first and second else None
