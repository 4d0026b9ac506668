"""From sums of customers' scores by group and cohort to their permutation mean, covariance and third moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from segmentor.errors import StatisticsError
from segmentor.statistics.arrays import FloatArray, IntArray, sums_by

_SAME = 1e-13
"""A score this close to its cohort's mean, relative to the largest score, is at the mean."""

_RANK = 1.5e-8
"""Eigenvalues above this share of the largest count for the rank."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupSums:
    """Sums of customers' scores by group and cohort: all that the test of a split needs.

    Attributes:
        customers: Number of labelled customers, shape (n_groups, n_cohorts).
        deviations: Sum of scores, each minus the mean of its cohort, shape (n_scores, n_groups, n_cohorts).
        means: Mean score of the cohort's labelled customers, shape (n_scores, n_cohorts).
        covariances: Sum over the cohort of products of two centred scores, shape (n_scores, n_scores, n_cohorts).
        cubes: Sum over the cohort of cubes of the centred score, shape (n_scores, n_cohorts).
    """

    customers: IntArray
    deviations: FloatArray
    means: FloatArray
    covariances: FloatArray
    cubes: FloatArray

    @classmethod
    def from_scores(cls, scores: FloatArray, groups: IntArray, cohorts: IntArray) -> GroupSums:
        """Sums of single customers' scores.

        Args:
            scores: Shape (n_scores, n_customers).
            groups: Number of the customer's group, 0 first, shape (n_customers,).
            cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        """
        n_groups, n_cohorts = int(groups.max()) + 1, int(cohorts.max()) + 1
        in_cohort = np.bincount(cohorts, minlength=n_cohorts)
        cells = groups * n_cohorts + cohorts
        totals = np.stack([sums_by(cohorts, row, n_cohorts) for row in scores])
        centred = centre(scores, cohorts)
        deviations = np.stack([sums_by(cells, row, n_groups * n_cohorts) for row in centred])
        return cls(
            customers=np.bincount(cells, minlength=n_groups * n_cohorts).reshape(n_groups, n_cohorts),
            deviations=deviations.reshape(-1, n_groups, n_cohorts),
            means=totals / np.maximum(in_cohort, 1),
            covariances=np.stack(
                [np.stack([sums_by(cohorts, one * other, n_cohorts) for other in centred]) for one in centred]
            ),
            cubes=np.stack([sums_by(cohorts, row**3, n_cohorts) for row in centred]),
        )

    @classmethod
    def from_power_sums(
        cls, customers: ArrayLike, sums: ArrayLike, products: ArrayLike, cubes: ArrayLike, *, scale: int
    ) -> GroupSums:
        """Sums from raw integer sums of fixed-point scores, centred exactly. Raw sums of disjoint customers add.

        Args:
            customers: Number of labelled customers, shape (n_groups, n_cohorts).
            sums: Sum of fixed-point scores (score * scale), shape (n_scores, n_groups, n_cohorts).
            products: Sum over the cohort of products of two of them, shape (n_scores, n_scores, n_cohorts).
            cubes: Sum over the cohort of their cubes, shape (n_scores, n_cohorts).
            scale: Fixed-point units in a score of 1.
        """
        numbers, raw, squares, thirds = (np.asarray(part, dtype=object) for part in (customers, sums, products, cubes))
        n = np.maximum(numbers.sum(axis=0), 1)
        totals = raw.sum(axis=1)
        own = squares[np.arange(len(raw)), np.arange(len(raw))]
        return cls(
            customers=numbers.astype(np.int64),
            deviations=_ratio(raw * n - numbers * totals[:, None], n * scale),
            means=_ratio(totals, n * scale),
            covariances=_ratio(squares * n - totals[:, None] * totals, n * scale**2),
            cubes=_ratio(thirds * n**2 - 3 * n * totals * own + 2 * totals**3, n**2 * scale**3),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinearStatistic:
    """Group sums of scores with their moments when labels are exchanged among the customers of each cohort.

    Attributes:
        statistic: Sum of scores, shape (n_scores, n_groups).
        expectation: Its permutation mean, same shape.
        deviation: statistic - expectation, computed from centred scores.
        covariance: Permutation covariance, shape (n_scores, n_scores, n_groups, n_groups).
        third: Third central permutation moment, shape (n_scores, n_groups).
    """

    statistic: FloatArray
    expectation: FloatArray
    deviation: FloatArray
    covariance: FloatArray
    third: FloatArray


def linear_statistic(sums: GroupSums) -> LinearStatistic:
    """Permutation moments of the group sums; a cohort of one customer or one group adds its mean and no variance.

    References:
        Strasser & Weber (1999), Math. Methods Statist. 8, 220-250.
    """
    in_group = sums.customers.astype(np.float64)
    in_cohort = in_group.sum(axis=0)
    expectation = np.einsum("gc,kc->kg", in_group, sums.means)
    deviation = sums.deviations.sum(axis=-1)
    exchanged = np.eye(len(in_group))[:, :, None] * in_group - _share(in_group[:, None] * in_group, in_cohort)
    cubed = in_group * (in_cohort - in_group) * (in_cohort - 2 * in_group)
    third = _share(cubed, in_cohort * (in_cohort - 1) * (in_cohort - 2))
    return LinearStatistic(
        statistic=expectation + deviation,
        expectation=expectation,
        deviation=deviation,
        covariance=np.einsum("ghc,klc->klgh", exchanged, _share(sums.covariances, in_cohort - 1)),
        third=np.einsum("gc,kc->kg", third, sums.cubes),
    )


def quadratic_form(deviation: FloatArray, covariance: FloatArray) -> tuple[float, int]:
    """Squared length of a deviation in the metric of its covariance, and the rank: chi-square and its degrees.

    Args:
        deviation: Shape (n,).
        covariance: Shape (n, n), of any rank.

    Raises:
        StatisticsError: The covariance has rank zero, as where no cohort holds two groups or all scores are equal.
    """
    standard = whitener(covariance)
    if standard.shape[1] == 0:
        raise StatisticsError("the permutation covariance is zero: no cohort holds two groups with different scores")
    return float(np.square(deviation @ standard).sum()), standard.shape[1]


def quadratic_variances(
    customers: IntArray, squares: FloatArray, fourths: FloatArray, standards: FloatArray
) -> FloatArray:
    """Permutation variance of each score's quadratic form, whose mean is its rank; a chi-square variable's is twice the rank.

    Sums of small groups have heavier tails than the normal law, which shows in this variance. Fourth cumulants of
    cohorts, which are independent, add up; a cohort's is had from the sums over distinct customers of the products of
    four scores and of four labels.

    Args:
        customers: Number of labelled customers, shape (n_groups, n_cohorts).
        squares: Sum over the cohort of squared centred scores, shape (n_scores, n_cohorts).
        fourths: Sum over the cohort of their fourth powers, same shape.
        standards: Take deviations of the group sums to independent standard ones, shape (n_scores, n_groups, n_groups);
            columns beyond the rank are zero.

    Returns:
        Shape (n_scores,).

    References:
        Kazi-Aoual, Hitier, Sabatier & Lebreton (1995), Comput. Statist. Data Anal. 20, 643-656 (one cohort).
    """
    in_group = customers.astype(np.float64)
    n = in_group.sum(axis=0)
    single, pairs, threes, fours = _share(
        np.ones((4, len(n))), np.cumprod([n, np.maximum(n - 1, 0), np.maximum(n - 2, 0), np.maximum(n - 3, 0)], axis=0)
    )
    shares = (in_group * single).T
    labels = standards[:, None] - (shares @ standards)[:, :, None]
    weighted = labels * in_group.T[:, :, None]
    spread = weighted.swapaxes(2, 3) @ labels
    length = np.square(np.trace(spread, axis1=2, axis2=3))
    crossed = np.square(spread).sum(axis=(2, 3))
    powers = (in_group.T * np.square(np.square(labels).sum(axis=3))).sum(axis=2)
    both, square = length + 2 * crossed, np.square(squares)
    mean_square = (
        fourths * powers * single
        + (4 * fourths * powers + (square - fourths) * (both - 3 * powers)) * pairs
        + (2 * fourths - square) * (12 * powers - 2 * both) * threes
        + (3 * square - 6 * fourths) * (both - 6 * powers) * fours
    )
    normal = square * both * np.square(n * pairs)
    ranks = (standards != 0).any(axis=1).sum(axis=1)
    return np.asarray(2 * ranks + (mean_square - normal).sum(axis=1), dtype=np.float64)


def whitener(covariance: FloatArray) -> FloatArray:
    """Matrix W with W W' the pseudo-inverse of the covariance and W' V W the identity, shape (n, rank)."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(_RANK * values[-1], np.finfo(np.float64).tiny)
    standard: FloatArray = vectors[:, kept] / np.sqrt(values[kept])
    return standard


def whiteners(covariances: FloatArray) -> FloatArray:
    """What `whitener` gives for each score, with columns of zeros beyond its rank.

    Args:
        covariances: Shape (n_scores, n, n).

    Returns:
        Same shape.
    """
    values, vectors = np.linalg.eigh(covariances)
    kept = values > np.maximum(_RANK * values[:, -1:], np.finfo(np.float64).tiny)
    return np.asarray(vectors * np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)[:, None], dtype=np.float64)


def centre(scores: FloatArray, cohorts: IntArray) -> FloatArray:
    """Scores minus the mean of their cohort, exactly 0 where they equal it but for rounding; same shape."""
    in_cohort = np.maximum(np.bincount(cohorts), 1)
    means = np.stack([sums_by(cohorts, row, len(in_cohort)) for row in scores]) / in_cohort
    centred = scores - means[:, cohorts]
    largest = np.abs(scores).max(axis=1, keepdims=True)
    return np.where(np.abs(centred) > _SAME * largest, centred, 0.0)


def _share(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    positive = np.broadcast_to(denominator > 0, numerator.shape)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=positive)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> FloatArray:
    """Quotients of Python integers, each rounded once."""
    return np.asarray(numerator / denominator, dtype=np.float64)
