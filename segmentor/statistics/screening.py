"""Thousands of two-group splits at once: each value of a coded column against the rest, from the same group sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.linear import centre
from segmentor.statistics.multiplicity import max_step_down
from segmentor.statistics.score_tests import NullLaw, lattice, smallest_p_value, type_iii_p
from segmentor.statistics.thresholds import returned, shuffles

_TIE = 1e-9
"""Standardised statistics this close are equal."""

_CONFOUNDED = 1e-12
"""Variances below this share of the score's in all customers are zero but for rounding."""

_NEAR = 0.12
"""Angles between scores, in radians, within which the joint law of one split serves another."""

_DEGREE = 16
"""Of the polynomial along the size of z that stands for a joint law."""

_FAR = 37.0
"""Standardised size beyond which p-values underflow."""

_POINTS = 4_000
"""Of the lattice for the slopes of a joint law."""

_BLOCK = 2**22
"""Numbers held at a time while relabelling."""


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
    moments = _Moments.of(scores, cohorts)
    parts = [_moments_by_value(moments, number, codes) for number, codes in enumerate(columns)]
    places = np.concatenate([part.places for part in parts])
    sums = np.concatenate([part.sums for part in parts])
    covariance = np.concatenate([part.covariance for part in parts])
    third = np.concatenate([part.third for part in parts])
    variance = np.einsum("skk->sk", covariance)
    least = _CONFOUNDED * np.einsum("kkc->k", moments.products)
    spread = np.sqrt(np.where(variance > least, variance, np.nan))
    z, skewness = sums / spread, third / spread**3
    p_values = np.where(np.isnan(z), np.nan, type_iii_p(z, skewness))
    correlation = covariance / (spread[:, :, None] * spread[:, None, :])
    return ValueSplits(
        columns=places[:, 0],
        values=places[:, 1],
        customers=places[:, 2:],
        z=z.T,
        deviations=spread.T,
        skewness=skewness.T,
        p_values=p_values.T,
        p_value=smallest_p_values(p_values, correlation),
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


def relabelled_p(
    scores: FloatArray,
    columns: Sequence[IntArray],
    cohorts: IntArray,
    splits: ValueSplits,
    *,
    resamples: int = 2_000,
    seed: int,
) -> FloatArray:
    """Single, single-step and step-down adjusted p-values of the largest |z| of each split, by relabelling.

    All splits see the same relabellings of customers within cohorts; those of a column that is not known of all are
    relabelled among those of whom it is known. The order of the customers does not matter.

    Args:
        scores: Shape (n_scores, n_customers).
        columns: As given to `screen_values`.
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        splits: What that found.
        resamples: Number of relabellings B; a p-value is (b + 1) / (B + 1).
        seed: Of the relabellings.

    Returns:
        Shape (3, n_splits), `nan` for splits without variance.

    References:
        Westfall & Young (1993), Resampling-Based Multiple Testing, Wiley.
    """
    found = np.full((3, len(splits.columns)), np.nan)
    usable = np.flatnonzero(~np.isnan(splits.z).all(axis=0))
    if usable.size:
        order = np.lexsort([*columns, *scores, cohorts])
        drawn = _relabelled(
            scores[:, order],
            [codes[order] for codes in columns],
            cohorts[order],
            splits,
            resamples=resamples,
            seed=seed,
        )
        found[:, usable] = max_step_down(
            np.nanmax(np.abs(splits.z[:, usable]), axis=0), (block[:, usable] + _TIE for block in drawn)
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Scores centred in their cohort, and their sums over each cohort.

    Attributes:
        centred: Shape (n_scores, n_customers).
        cohorts: Shape (n_customers,).
        customers: Shape (n_cohorts,).
        products: Shape (n_scores, n_scores, n_cohorts).
        cubes: Shape (n_scores, n_cohorts).
    """

    centred: FloatArray
    cohorts: IntArray
    customers: FloatArray
    products: FloatArray
    cubes: FloatArray

    @classmethod
    def of(cls, scores: FloatArray, cohorts: IntArray) -> _Moments:
        return cls.sums(centre(scores, cohorts), cohorts, int(cohorts.max()) + 1)

    @classmethod
    def sums(cls, centred: FloatArray, cohorts: IntArray, n_cohorts: int) -> _Moments:
        products = np.empty((len(centred), len(centred), n_cohorts))
        for one, other in zip(*np.triu_indices(len(centred)), strict=True):
            products[one, other] = products[other, one] = sums_by(cohorts, centred[one] * centred[other], n_cohorts)
        return cls(
            centred=centred,
            cohorts=cohorts,
            customers=np.bincount(cohorts, minlength=n_cohorts).astype(np.float64),
            products=products,
            cubes=np.stack([sums_by(cohorts, row**3, n_cohorts) for row in centred]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _ColumnMoments:
    """Moments of the splits of one column, each by split.

    Attributes:
        places: Column, value, customers with it, customers with another, shape (n_splits, 4).
        sums: Sum of the scores minus its expectation, shape (n_splits, n_scores).
        covariance: Shape (n_splits, n_scores, n_scores).
        third: Third central moment, shape (n_splits, n_scores).
    """

    places: IntArray
    sums: FloatArray
    covariance: FloatArray
    third: FloatArray


def _moments_by_value(moments: _Moments, column: int, codes: IntArray) -> _ColumnMoments:
    n_cohorts, unknown = len(moments.customers), int(codes.min()) < 0
    n_values = int(codes.max()) + 1
    size = (n_values + unknown) * n_cohorts
    cells = codes * np.int64(n_cohorts)
    cells += moments.cohorts
    if unknown:
        cells += n_cohorts
    counts = np.bincount(cells, minlength=size).reshape(-1, n_cohorts)[unknown:]
    sums = np.stack([sums_by(cells, row, size).reshape(-1, n_cohorts)[unknown:] for row in moments.centred], axis=1)
    everyone, products, cubes = moments.customers, moments.products, moments.cubes
    if unknown:
        everyone = counts.sum(axis=0).astype(np.float64)
        without = codes < 0
        out = _Moments.sums(moments.centred[:, without], moments.cohorts[without], n_cohorts)
        means = sums.sum(axis=0) / np.maximum(everyone, 1)
        sums = sums - counts[:, None] * means
        raw = products - out.products
        squares = np.einsum("kkc->kc", raw)
        products = raw - everyone * means[:, None] * means
        cubes = cubes - out.cubes - 3 * means * squares + 2 * everyone * means**3
    inside = counts.sum(axis=1)
    places = np.stack([np.full(n_values, column), np.arange(n_values), inside, inside.sum() - inside], axis=1)
    kept = (inside > 0) & (inside < inside.sum())
    if kept.sum() == 2:
        kept[np.flatnonzero(kept)[1]] = False
    one, rest = counts[kept].astype(np.float64), everyone - counts[kept]
    exchanged = one * rest / np.maximum(everyone * (everyone - 1), 1)
    bent = exchanged * (rest - one) / np.maximum(everyone - 2, 1)
    return _ColumnMoments(
        places=places[kept],
        sums=sums[kept].sum(axis=2),
        covariance=(exchanged @ products.reshape(-1, n_cohorts).T).reshape(-1, *products.shape[:2]),
        third=bent @ cubes.T,
    )


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
            ratios[near] = [_ratio(smallest[place], correlations[place]) for place in near]
        else:
            sizes = np.minimum(-ndtri(smallest[near] / 2), _FAR)
            ratios[near] = _ratios_near(sizes, angles[near] - angles[anchor], correlations[anchor])
    joint: FloatArray = np.clip(smallest * ratios, smallest, np.minimum(n_scores * smallest, 1))
    return joint


def _ratio(smallest: float, correlation: FloatArray) -> float:
    """Chance of any of the scores' tails over that of one."""
    if smallest == 0:
        return float(len(correlation))
    law = NullLaw((np.ones((1, 1)),) * len(correlation), correlation, np.zeros(len(correlation)))
    return smallest_p_value(float(smallest), law) / float(smallest)


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
    level = np.array([_ratio(2 * float(ndtr(-knot)), correlation) for knot in knots])
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


def _relabelled(
    scores: FloatArray,
    columns: Sequence[IntArray],
    cohorts: IntArray,
    splits: ValueSplits,
    *,
    resamples: int,
    seed: int,
) -> Iterator[FloatArray]:
    """Largest |z| of every split under relabelling, in blocks of shape (n, n_splits); customers in order of cohort."""
    families = list(_families(scores, columns, cohorts, splits))
    rows = max(1, _BLOCK // len(cohorts))
    places = shuffles(cohorts, resamples, np.random.default_rng(seed))
    for start in range(0, resamples, rows):
        drawn = [next(places).copy() for _ in range(min(rows, resamples - start))]
        largest = np.zeros((len(drawn), len(splits.columns)))
        for family in families:
            sources = np.stack([returned(one, family.known, family.members) for one in drawn])
            permuted = [row[sources] for row in family.centred]
            for part, labels in family.blocks():
                for row, spread in zip(permuted, splits.deviations, strict=True):
                    largest[:, part] = np.fmax(largest[:, part], np.abs(row @ labels) / spread[part])
        yield largest


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """Splits of columns that are known of the same customers.

    Attributes:
        known: Whether the columns are known, shape (n_customers,).
        members: The customers of whom they are.
        centred: Scores of all customers, centred among the known of the cohort, shape (n_scores, n_customers).
        splits: Places of the splits, shape (n,).
        codes: Of the members, by column.
        labels: Column and value of each split.
    """

    known: np.ndarray
    members: IntArray
    centred: FloatArray
    splits: IntArray
    codes: dict[int, IntArray]
    labels: list[tuple[int, int]]

    def blocks(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Places of some of the splits, and who has their value, shape (n_members, n)."""
        size = max(1, _BLOCK // len(self.members))
        for start in range(0, len(self.splits), size):
            block = self.labels[start : start + size]
            labels = np.stack([self.codes[column] == value for column, value in block], axis=1)
            yield self.splits[start : start + size], labels.astype(np.float64)


def _families(
    scores: FloatArray, columns: Sequence[IntArray], cohorts: IntArray, splits: ValueSplits
) -> Iterator[_Family]:
    alike: dict[bytes, list[int]] = {}
    for number, codes in enumerate(columns):
        alike.setdefault(np.packbits(codes >= 0).tobytes(), []).append(number)
    for numbers in alike.values():
        own = np.flatnonzero(np.isin(splits.columns, numbers))
        if own.size:
            known = columns[numbers[0]] >= 0
            centred = np.zeros_like(scores)
            centred[:, known] = centre(scores[:, known], cohorts[known])
            yield _Family(
                known=known,
                members=np.flatnonzero(known),
                centred=centred,
                splits=own,
                codes={number: columns[number][known] for number in numbers},
                labels=list(zip(splits.columns[own].tolist(), splits.values[own].tolist(), strict=True)),
            )
