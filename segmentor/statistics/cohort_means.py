"""From numbers and sums by group and cohort to the means of groups as if all had the same cohorts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segmentor.statistics.arrays import FloatArray, IntArray

_TINY = 1e-9
"""Entries of a projection below this are rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class CohortMeans:
    """Means of groups, adjusted for cohorts by least squares: a value is that of its cohort plus that of its group.

    The differences of two groups have the sign of their permutation statistic, for they rest on the same deviations
    from the cohorts' means. The mean over all customers stays what it was.

    Attributes:
        means: One a group, shape (n_groups,); `nan` for an empty one.
        variances: Within groups and cohorts, same shape; `nan` where there is nothing to have it from.
        comparable: Whether two groups are joined by cohorts that hold both, or by others in between,
            shape (n_groups, n_groups).
        effective: For each pair the number of customers of the first group whose plain mean would be as sure as its part
            in the difference, shape (n_groups, n_groups); 0 where the two are not comparable.
    """

    means: FloatArray
    variances: FloatArray
    comparable: np.ndarray
    effective: FloatArray


def cohort_means(customers: IntArray, sums: FloatArray, squares: FloatArray) -> CohortMeans:
    """Adjusted means of groups.

    Args:
        customers: Number of customers, shape (n_groups, n_cohorts).
        sums: Sum of their values, same shape.
        squares: Sum over the group of squared deviations from the mean of group and cohort, shape (n_groups,).
    """
    in_cohort = np.maximum(customers.sum(axis=0), 1)
    in_group = customers.sum(axis=1)
    shares = customers / in_cohort
    design = np.diag(in_group) - shares @ customers.T
    inverse = np.linalg.pinv(design, rcond=1e-10, hermitian=True)
    effects = inverse @ (sums - customers * (sums.sum(axis=0) / in_cohort)).sum(axis=1)
    # The design says nothing of the level of a set of groups that share no cohort with the others.
    joined = np.eye(len(design)) - design @ inverse > _TINY
    level = (joined @ (sums.sum(axis=1) - in_group * effects)) / np.maximum(joined @ in_group, 1)
    degrees = in_group - (customers > 0).sum(axis=1)
    return CohortMeans(
        means=np.where(in_group > 0, effects + level, np.nan),
        variances=np.where(degrees > 0, squares / np.maximum(degrees, 1), np.nan),
        comparable=joined & ~np.eye(len(design), dtype=np.bool_),
        effective=_effective(customers, shares, inverse, joined),
    )


def _effective(customers: IntArray, shares: FloatArray, inverse: FloatArray, joined: np.ndarray) -> FloatArray:
    """Inverse of the sum of squared weights with which a group enters the difference, half those of third groups included."""
    n_groups = len(customers)
    effective = np.zeros((n_groups, n_groups))
    for first, second in zip(*np.nonzero(joined), strict=True):
        if first != second:
            weights = inverse[:, second] - inverse[:, first]
            parts = (customers * np.square(weights[:, None] - weights @ shares)).sum(axis=1)
            others = parts.sum() - parts[first] - parts[second]
            effective[first, second] = 1 / (parts[first] + others / 2)
    return effective
