"""Thousands of two-group splits at once: each value of a coded column against the rest, from the same group sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.linear import GroupSums, centre
from segmentor.statistics.score_tests import NullLaw, lattice, smallest_p_value, type_iii_p

_CONFOUNDED = 1e-12
"""Variances below this share of the score's in all customers are zero but for rounding."""

_NEAR = 0.12
"""Angles between scores, in radians, within which the joint law of one split serves another."""

_DEGREE = 16
"""Of the polynomial along the size of z that stands for a joint law."""

_FAR = 37.0
"""Standardised size beyond which p-values underflow."""

_POINTS = 4_000
"""Of the lattice for a joint law that serves many splits, and for its slopes."""

_DRAWS = 1_000
"""The same for a joint law of one split."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueSplits:
    """Tests of many splits, each a value of a column against its other values; unknown customers take no part.

    A split without variance within cohorts has `nan` for its p-values.

    Attributes:
        columns: Place of the column, shape (n_splits,).
        values: Code of the value, shape (n_splits,).
        customers: Number with the value and number with another, shape (n_splits, 2).
        z: Standardised sum of scores of those with the value, shape (n_scores, n_splits).
        deviations: Standard deviation of that sum, shape (n_scores, n_splits).
        skewness: Of that sum, shape (n_scores, n_splits).
        p_values: Of each score, two-sided with a type III tail, shape (n_scores, n_splits).
        p_value: Of the smallest of a split's p-values, shape (n_splits,).
    """

    columns: IntArray
    values: IntArray
    customers: IntArray
    z: FloatArray
    deviations: FloatArray
    skewness: FloatArray
    p_values: FloatArray
    p_value: FloatArray


def screen_values(scores: FloatArray, columns: Sequence[IntArray], cohorts: IntArray) -> ValueSplits:
    """Tests each value of every column against the column's other values.

    Of a column with two values the second is left out: it is the same split. A column is read once a score, whatever
    the number of its values.

    Args:
        scores: Shape (n_scores, n_customers).
        columns: Codes of any integer type, 0 first, -1 where not known, each of shape (n_customers,).
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
    """
    moments = CohortMoments.of(scores, cohorts)
    least = rounding(moments)
    places, parts = [], []
    for number, codes in enumerate(columns):
        sums = moments.group_sums(codes, int(codes.max()) + 1)
        inside = sums.customers.sum(axis=1)
        kept = np.flatnonzero((inside > 0) & (inside < inside.sum()))
        kept = kept[: 1 if len(kept) == 2 else None]
        rest = inside.sum() - inside[kept]
        places.append(np.stack([np.full(len(kept), number), kept, inside[kept], rest], axis=1))
        parts.append(TwoGroups.of(sums.customers[kept], sums.deviations[:, kept].sum(axis=2), sums, least))
    where = np.concatenate(places)
    p_values = np.concatenate([part.p_values for part in parts])
    return ValueSplits(
        columns=where[:, 0],
        values=where[:, 1],
        customers=where[:, 2:],
        z=np.concatenate([part.z for part in parts]).T,
        deviations=np.concatenate([part.deviations for part in parts]).T,
        skewness=np.concatenate([part.skewness for part in parts]).T,
        p_values=p_values.T,
        p_value=smallest_p_values(p_values, np.concatenate([part.correlations for part in parts])),
    )


def smallest_p_values(p_values: FloatArray, correlations: FloatArray) -> FloatArray:
    """How often the smallest of a split's p-values would be as small, for many two-group splits at once.

    The ratio of that chance to the smallest p is a smooth function of the p and of the correlations between scores,
    which are nearly those of any other split of the same customers. Where many splits are near one of them, the ratio
    is a polynomial in the size of the normal equivalent, with its slopes in the angles between scores (Plackett's
    identity); where few are, each has its own.

    Args:
        p_values: Two-sided, `nan` without variance, shape (n_splits, n_scores).
        correlations: Of the standardised sums of the scores, shape (n_splits, n_scores, n_scores).

    Returns:
        Shape (n_splits,), within 2 % of `smallest_p_value`; `nan` where no score has variance.

    References:
        Plackett (1954), Biometrika 41, 351-360.
    """
    joint = np.full(len(p_values), np.nan)
    patterns, pattern = np.unique(~np.isnan(p_values), axis=0, return_inverse=True)
    for number, able in enumerate(patterns):
        chosen = np.flatnonzero(pattern == number)
        if able.any():
            smallest = p_values[np.ix_(chosen, able)].min(axis=1)
            joint[chosen] = _joint(smallest, correlations[chosen][:, able][:, :, able])
    return joint


@dataclass(frozen=True, slots=True, eq=False)
class CohortMoments:
    """Scores centred in their cohort, and their sums over each cohort.

    Attributes:
        centred: Shape (n_scores, n_customers).
        cohorts: Shape (n_customers,).
        customers: Shape (n_cohorts,).
        means: Of the scores before they were centred, shape (n_scores, n_cohorts).
        products: Shape (n_scores, n_scores, n_cohorts).
        cubes: Shape (n_scores, n_cohorts).
        fourths: Sums of fourth powers, shape (n_scores, n_cohorts).
    """

    centred: FloatArray
    cohorts: IntArray
    customers: FloatArray
    means: FloatArray
    products: FloatArray
    cubes: FloatArray
    fourths: FloatArray

    @classmethod
    def of(cls, scores: FloatArray, cohorts: IntArray) -> CohortMoments:
        """Moments of scores, shape (n_scores, n_customers)."""
        n_cohorts = int(cohorts.max()) + 1
        customers = np.bincount(cohorts, minlength=n_cohorts).astype(np.float64)
        totals = np.stack([sums_by(cohorts, row, n_cohorts) for row in scores])
        centred = centre(scores, cohorts)
        products, cubes = _products_and_cubes(centred, cohorts, n_cohorts)
        fourths = np.stack([sums_by(cohorts, np.square(np.square(row)), n_cohorts) for row in centred])
        return cls(centred, cohorts, customers, totals / np.maximum(customers, 1), products, cubes, fourths)

    def group_sums(self, codes: IntArray, n_values: int) -> GroupSums:
        """Sums by value of a column of those of whom it is known; they are read once a score.

        Args:
            codes: Of any integer type, 0 first, -1 where not known, shape (n_customers,).
            n_values: Number of values, above the largest code.
        """
        n_cohorts, unknown = len(self.customers), int(codes.min()) < 0
        size = (n_values + unknown) * n_cohorts
        cells = codes * np.int64(n_cohorts)
        cells += self.cohorts
        if unknown:
            cells += n_cohorts
        customers = np.bincount(cells, minlength=size).reshape(-1, n_cohorts)[unknown:]
        sums = np.stack([sums_by(cells, row, size).reshape(-1, n_cohorts)[unknown:] for row in self.centred])
        means, products, cubes = self.means, self.products, self.cubes
        if unknown:
            everyone = customers.sum(axis=0).astype(np.float64)
            without = codes < 0
            lost, bent = _products_and_cubes(self.centred[:, without], self.cohorts[without], n_cohorts)
            moved = sums.sum(axis=1) / np.maximum(everyone, 1)
            sums = sums - customers * moved[:, None]
            means = means + moved
            raw = products - lost
            squares = np.einsum("kkc->kc", raw)
            products = raw - everyone * moved[:, None] * moved
            cubes = cubes - bent - 3 * moved * squares + 2 * everyone * moved**3
        return GroupSums(customers=customers, deviations=sums, means=means, covariances=products, cubes=cubes)


@dataclass(frozen=True, slots=True, eq=False)
class TwoGroups:
    """Permutation moments of many splits of the same customers, each some of them against the rest.

    Attributes:
        z: Standardised sum of the scores of the chosen, `nan` without variance within cohorts, shape (n_splits, n_scores).
        deviations: Standard deviation of that sum, same shape.
        skewness: Of that sum, same shape.
        correlations: Between the scores' sums, shape (n_splits, n_scores, n_scores).
    """

    z: FloatArray
    deviations: FloatArray
    skewness: FloatArray
    correlations: FloatArray

    @classmethod
    def of(cls, customers: IntArray, sums: FloatArray, everyone: GroupSums, least: FloatArray) -> TwoGroups:
        """Moments of splits.

        Args:
            customers: The chosen by cohort, shape (n_splits, n_cohorts).
            sums: Of their centred scores, shape (n_scores, n_splits).
            everyone: Of the customers that are split, by any groups.
            least: Variance of each score that is zero but for rounding, shape (n_scores,).
        """
        n = everyone.customers.sum(axis=0).astype(np.float64)
        chosen, rest = customers.astype(np.float64), n - customers
        exchanged = chosen * rest / np.maximum(n * (n - 1), 1)
        bent = exchanged * (rest - chosen) / np.maximum(n - 2, 1)
        products = everyone.covariances
        covariance = (exchanged @ products.reshape(-1, len(n)).T).reshape(-1, *products.shape[:2])
        variance = np.einsum("skk->sk", covariance)
        spread = np.sqrt(np.where(variance > least, variance, np.nan))
        return cls(
            z=sums.T / spread,
            deviations=spread,
            skewness=bent @ everyone.cubes.T / spread**3,
            correlations=covariance / (spread[:, :, None] * spread[:, None, :]),
        )

    @property
    def p_values(self) -> FloatArray:
        """Of each score, two-sided with a type III tail, `nan` without variance, shape (n_splits, n_scores)."""
        return np.where(np.isnan(self.z), np.nan, type_iii_p(self.z, self.skewness))


def rounding(moments: CohortMoments) -> FloatArray:
    """Variance of each score's sums that is zero but for rounding, shape (n_scores,)."""
    return np.asarray(_CONFOUNDED * np.einsum("kkc->k", moments.products), dtype=np.float64)


def _products_and_cubes(centred: FloatArray, cohorts: IntArray, n_cohorts: int) -> tuple[FloatArray, FloatArray]:
    products = np.empty((len(centred), len(centred), n_cohorts))
    for one, other in zip(*np.triu_indices(len(centred)), strict=True):
        products[one, other] = products[other, one] = sums_by(cohorts, centred[one] * centred[other], n_cohorts)
    return products, np.stack([sums_by(cohorts, row**3, n_cohorts) for row in centred])


def _joint(smallest: FloatArray, correlations: FloatArray) -> FloatArray:
    """Chance that the smallest of several scores' p-values is as small, all scores with variance."""
    n_scores = correlations.shape[1]
    if n_scores == 1:
        return smallest
    one, other = np.triu_indices(n_scores, 1)
    angles = np.arccos(np.clip(correlations[:, one, other], -1, 1))
    ratios = np.empty(len(smallest))
    left = np.arange(len(smallest))
    while left.size:
        centre_of_all = np.median(angles[left], axis=0)
        anchor = left[np.argmin(np.abs(angles[left] - centre_of_all).max(axis=1))]
        close = np.abs(angles[left] - angles[anchor]).max(axis=1) <= _NEAR
        near = left[close]
        left = left[~close]
        if near.size <= _DEGREE:
            ratios[near] = [_ratio(smallest[place], correlations[place], draws=_DRAWS) for place in near]
        else:
            sizes = np.minimum(-ndtri(smallest[near] / 2), _FAR)
            ratios[near] = _ratios_near(sizes, angles[near] - angles[anchor], correlations[anchor])
    joint: FloatArray = np.clip(smallest * ratios, smallest, np.minimum(n_scores * smallest, 1))
    return joint


def _ratio(smallest: float, correlation: FloatArray, *, draws: int) -> float:
    """Chance of any of the scores' tails over that of one."""
    if smallest == 0:
        return float(len(correlation))
    law = NullLaw((np.ones((1, 1)),) * len(correlation), correlation, np.zeros(len(correlation)))
    return smallest_p_value(float(smallest), law, draws=draws) / float(smallest)


def _ratios_near(sizes: FloatArray, turns: FloatArray, correlation: FloatArray) -> FloatArray:
    """Ratios of splits whose correlations are near the given one.

    Args:
        sizes: Normal equivalents of the smallest p-values, shape (n,).
        turns: Angles between scores minus those of the given correlation, shape (n, n_pairs).
        correlation: Shape (n_scores, n_scores).
    """
    domain = [float(sizes.min()), max(float(sizes.max()), float(sizes.min()) + 0.1)]
    along = np.polynomial.chebyshev.chebpts1(_DEGREE + 1)
    knots = np.maximum((domain[1] - domain[0]) * (along + 1) / 2 + domain[0], 0)
    level = np.array([_ratio(2 * float(ndtr(-knot)), correlation, draws=_POINTS) for knot in knots])
    slopes = _slopes(knots, correlation)
    weights = np.polynomial.chebyshev.chebvander(along, _DEGREE)
    coefficients = np.linalg.solve(weights, np.column_stack([level, slopes]))
    scaled = 2 * (sizes - domain[0]) / (domain[1] - domain[0]) - 1
    curves = np.polynomial.chebyshev.chebvander(scaled, _DEGREE) @ coefficients
    ratios: FloatArray = curves[:, 0] + (curves[:, 1:] * turns).sum(axis=1)
    return ratios


def _slopes(sizes: FloatArray, correlation: FloatArray) -> FloatArray:
    """Derivatives of the ratio in each angle between two scores, shape (n_sizes, n_pairs).

    A turn moves mass where both scores are at the bound and all others within: the density of the two there, times
    the chance of the others given the two.
    """
    n_scores = len(correlation)
    single = np.log(2) + log_ndtr(-sizes)
    points = ndtri(lattice(_POINTS, n_scores - 2)) if n_scores > 2 else np.empty((1, 0))
    slopes = []
    for one, other in combinations(range(n_scores), 2):
        rest = [number for number in range(n_scores) if number not in (one, other)]
        about = np.zeros(len(sizes))
        alike, unlike = 1 + correlation[one, other], 1 - correlation[one, other]
        both = correlation[rest, one] + correlation[rest, other]
        apart = correlation[rest, one] - correlation[rest, other]
        alike, unlike = max(alike, 1e-9), max(unlike, 1e-9)
        spread = (
            correlation[np.ix_(rest, rest)] - np.outer(both, both) / (2 * alike) - np.outer(apart, apart) / (2 * unlike)
        )
        values, vectors = np.linalg.eigh(spread)
        drawn = points @ (vectors * np.sqrt(np.maximum(values, 0))).T
        for sign, along, room in ((1, both / alike, alike), (-1, apart / unlike, unlike)):
            others = drawn + (sizes[:, None] * along)[:, None, :]
            within = (np.abs(others) <= sizes[:, None, None]).all(axis=2).mean(axis=1)
            about = about + sign * within * np.exp(-np.square(sizes) / room - single) / np.pi
        slopes.append(about)
    return np.stack(slopes, axis=1)
