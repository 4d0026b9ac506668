"""Do groups of timing or amount say more than how often, how long and how recently somebody bought before?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segmentor.errors import StatisticsError
from segmentor.labelling import labelled_scores
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.permutation import permutation_p
from segmentor.statistics.score_tests import needs_permutation, test_scores

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import TimeZero
    from segmentor.engine.duckdb import Engine
    from segmentor.populations import Population
    from segmentor.statistics.arrays import FloatArray, IntArray

PER_STRATUM = 10
"""Customers in a stratum: few, so that customers of one stratum are as good as alike."""

RESAMPLES = 10_000


def echo_p_value(engine: Engine, config: ExperimentConfig, population: Population, zero: TimeZero) -> float | None:
    """The test of the customers in the table ``labels`` once more, within strata of past frequency and recency.

    Customers buy at rates of their own, so that any label made of how often they bought before also tells how soon they come back. For
    customers with gaps of one law and rates of their own, the number of purchases, the days since the first and those since the last
    are all that the past tells of the rate; a label that still separates among customers who agree in the three is more than its echo.

    Args:
        engine: Holds ``labels`` and the tables of ``cycles``.
        config: The experiment.
        population: The labelled customers' population.
        zero: Its time zero.

    Returns:
        The p-value, 1 where no stratum holds two groups; ``None`` where a label is known at the first purchase, which has no past.
    """
    if zero.until is None and zero.purchases == 1:
        return None
    scores, groups, cohorts = labelled_scores(engine, population)
    inside = f"o._start < {zero.until}" if zero.until is not None else f"o._number <= {zero.purchases}"
    end = str(zero.until) if zero.until is not None else "max(o._start)"
    past = engine.arrays(
        f"select l.customer_no, count(*) as purchases, {end} - min(o._start) as tenure, {end} - max(o._start) as recency\n"
        "from labels l join everyone e using (customer_no) join _occasions o on o._customer = e.customer\n"
        f"where {inside} and l.customer_no in (select customer_no from scores_{population.suffix}) group by 1 order by 1"
    )
    strata = nested_strata(cohorts, [past[name].astype(np.float64) for name in ("purchases", "tenure", "recency")])
    try:
        sums = GroupSums.from_scores(scores, groups, strata)
        closed = test_scores(sums)
    except StatisticsError:
        return 1.0
    if not needs_permutation(sums, closed):
        return closed.p_value
    return permutation_p(scores, groups, strata, resamples=RESAMPLES, seed=config.seed)[0]


def nested_strata(cohorts: IntArray, columns: list[FloatArray]) -> IntArray:
    """Customers alike in several numbers: each is cut into parts of like size within the parts of those before it.

    Args:
        cohorts: The parts to begin with, shape (n,).
        columns: Numbers of shape (n,); equal ones stay together.

    Returns:
        Number of the stratum, 0 first, shape (n,), of about ``PER_STRATUM`` customers each where numbers differ.
    """
    strata = np.unique(cohorts, return_inverse=True)[1]
    sizes = np.bincount(strata)
    parts = np.maximum(1, np.rint((sizes / PER_STRATUM) ** (1 / len(columns)))).astype(np.int64)[strata]
    for column in columns:
        order = np.lexsort([column, strata])
        first = np.flatnonzero(np.r_[True, np.diff(strata[order]) != 0])
        size = np.diff(np.r_[first, len(order)])
        place = np.arange(len(order)) - np.repeat(first, size)
        new = np.r_[True, (np.diff(strata[order]) != 0) | (np.diff(column[order]) != 0)]
        place = place[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
        part = np.empty(len(order), dtype=np.int64)
        part[order] = place * parts[order] // np.repeat(size, size)
        strata = np.unique(strata * (int(parts.max()) + 1) + part, return_inverse=True)[1]
    return strata
