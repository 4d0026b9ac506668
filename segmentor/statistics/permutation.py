"""The p-value of a split by exchanging labels among the customers of each cohort, all scores together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.linear import GroupSums, centre, linear_statistic
from segmentor.statistics.score_tests import Tail, null_law

_TIE = 1e-9
"""Standardised statistics this close are equal."""

_BLOCK = 2**21
"""Positions shuffled at a time."""


def permutation_p(
    scores: FloatArray, groups: IntArray, cohorts: IntArray, *, resamples: int = 10_000, seed: int
) -> tuple[float, Tail]:
    """Share of relabellings whose smallest single p-value is at or below the one seen, the one seen included.

    Every relabelling exchanges whole customers, so that the dependence of the scores is kept. The order of the
    customers does not matter.

    Args:
        scores: Shape (n_scores, n_customers).
        groups: Number of the customer's group, 0 first, shape (n_customers,).
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        resamples: Number of random relabellings B; the answer is (b + 1) / (B + 1).
        seed: Of the relabellings.

    Returns:
        The p-value, and how it was had: ``exact`` or ``permutation``.

    Raises:
        StatisticsError: No score has variance within cohorts that hold two groups.
    """
    sums = GroupSums.from_scores(scores, groups, cohorts)
    linear = linear_statistic(sums)
    law = null_law(linear)
    seen = float(np.nanmin(law.p_values(law.lengths(linear.deviation))))
    generator = np.random.default_rng(seed)
    as_small = sum(
        int((np.nanmin(law.p_values(law.lengths(deviations) + _TIE), axis=-1) <= seen).sum())
        for deviations in _relabelled(scores, sums.customers, cohorts, resamples, generator)
    )
    return (as_small + 1) / (resamples + 1), "permutation"


def _relabelled(
    scores: FloatArray, customers: IntArray, cohorts: IntArray, resamples: int, generator: np.random.Generator
) -> Iterator[FloatArray]:
    """Deviations of the group sums under random labels, in blocks of shape (n, n_scores, n_groups)."""
    order = np.lexsort([*scores, cohorts])
    in_cohort = customers.sum(axis=0)
    parts = np.split(centre(scores, cohorts)[:, order], np.cumsum(in_cohort)[:-1], axis=1)
    mixed = [cohort for cohort in range(len(in_cohort)) if (customers[:, cohort] > 0).sum() > 1]
    size = max(1, _BLOCK // max(_width(customers[:, cohort]) for cohort in mixed))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        deviations = np.zeros((rows, len(scores), len(customers)))
        for cohort in mixed:
            deviations += _shuffled(parts[cohort], customers[:, cohort], rows, generator)
        yield deviations


def _shuffled(scores: FloatArray, customers: IntArray, rows: int, generator: np.random.Generator) -> FloatArray:
    """Group sums of one cohort's centred scores, dealt at random to groups of the given sizes.

    The largest group is what the others leave: the scores sum to zero.
    """
    deviations = np.zeros((rows, len(scores), len(customers)))
    dealt = _deal(customers, rows, generator)
    largest, start = int(customers.argmax()), 0
    for group in np.flatnonzero(np.arange(len(customers)) != largest):
        end = start + customers[group]
        deviations[:, :, group] = scores[:, dealt[:, start:end]].sum(axis=-1).T
        start = end
    deviations[:, :, largest] = -deviations.sum(axis=-1)
    return deviations


def _deal(customers: IntArray, rows: int, generator: np.random.Generator) -> IntArray:
    """Places of distinct customers in random order for all groups but the largest, shape (rows, n) or wider.

    A few among many are drawn with replacement, and again where one comes twice.
    """
    everyone, width = int(customers.sum()), _width(customers)
    if width == everyone:
        return generator.permuted(np.tile(np.arange(everyone), (rows, 1)), axis=1)
    dealt = np.empty((rows, width), dtype=np.int64)
    again = np.arange(rows)
    while again.size:
        dealt[again] = generator.integers(everyone, size=(again.size, width))
        again = again[(np.diff(np.sort(dealt[again], axis=1), axis=1) == 0).any(axis=1)]
    return dealt


def _width(customers: IntArray) -> int:
    """Number of customers to draw in a cohort: those outside its largest group, or all where these are not few."""
    everyone = int(customers.sum())
    outside = everyone - int(customers.max())
    return outside if outside**2 < everyone else everyone
