"""The test of a split: from sums of scores by group and cohort to one p-value for the largest of several statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from scipy.special import chdtrc, chdtri, gammainc, gammaincc, gammaln, log_ndtr, ndtr, ndtri

from segmentor.errors import StatisticsError
from segmentor.statistics.arrays import FloatArray
from segmentor.statistics.linear import GroupSums, LinearStatistic, linear_statistic, whitener

Tail = Literal["type III", "chi-square", "joint normal", "permutation", "exact"]

_NORMAL_BELOW = 0.002
"""Skewness below which the type III tail is taken as normal; at 5 standard deviations they are within 0.1 %."""

_SKEWED = 0.5
"""Skewness of a sum above which its type III tail is more than a fifth off at 1 %."""

NEAR_LEVELS = (0.001, 0.1)
"""Between these a p-value is near the usual levels, and one of a skewed sum is had by relabelling."""

_DRAWS = 20_000

_UNDERFLOW = 1e-290
"""Tails below this are had from their logarithm."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTests:
    """Tests of one split by several scores, and the joint one: how often the smallest p would be as small.

    A score without variance has `nan` for its p-value and takes no part.

    Attributes:
        statistics: Quadratic forms, shape (n_scores,).
        degrees_of_freedom: Their ranks, shape (n_scores,).
        p_values: Of each score alone, shape (n_scores,).
        z: Standardised sum of the first group that can vary, shape (n_scores,): positive where it comes back earlier;
            `None` with more than two groups.
        skewness: Of that sum under the null law, shape (n_scores,); `None` with more than two groups.
        p_value: Of the smallest of `p_values`.
        tail: How the null law was had.
    """

    statistics: FloatArray
    degrees_of_freedom: tuple[int, ...]
    p_values: FloatArray
    z: FloatArray | None
    skewness: FloatArray | None
    p_value: float
    tail: Tail


@dataclass(frozen=True, slots=True, eq=False)
class NullLaw:
    """The law of the group sums when labels are exchanged within cohorts.

    Attributes:
        whiteners: One a score: takes deviations of the group sums to independent standard ones, (n_groups, rank).
        covariance: Of the standardised deviations of all scores side by side, identity in the diagonal blocks.
        skewness: Of each score's sum in the first group that can vary, shape (n_scores,); `None` where a rank is
            above 1, as it is with three groups or more.
    """

    whiteners: tuple[FloatArray, ...]
    covariance: FloatArray
    skewness: FloatArray | None

    @property
    def degrees_of_freedom(self) -> tuple[int, ...]:
        """Rank of each score's covariance."""
        return tuple(standard.shape[1] for standard in self.whiteners)

    def lengths(self, deviations: FloatArray) -> FloatArray:
        """Standardised lengths, whose squares are the quadratic forms: (..., n_scores) of (..., n_scores, n_groups)."""
        return np.stack(
            [_lengths(deviations[..., score, :] @ standard) for score, standard in enumerate(self.whiteners)], axis=-1
        )

    def p_values(self, lengths: FloatArray) -> FloatArray:
        """Single p-values of standardised lengths, same shape: type III for two groups, else chi-square."""
        degrees = np.array(self.degrees_of_freedom)
        if self.skewness is None:
            p_values = chdtrc(np.maximum(degrees, 1), np.square(lengths))
        else:
            p_values = type_iii_p(lengths, self.skewness)
        return np.where(degrees > 0, p_values, np.nan)

    def lengths_at(self, p_value: float) -> FloatArray:
        """Standardised lengths at which each score's single p-value is the given one, infinite without variance."""
        degrees = np.array(self.degrees_of_freedom)
        low, high = np.zeros(len(degrees)), np.ones(len(degrees))
        while (beyond := self.p_values(high) > p_value).any():
            low, high = np.where(beyond, high, low), np.where(beyond, 2 * high, high)
        for _ in range(60):
            middle = (low + high) / 2
            beyond = self.p_values(middle) > p_value
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        return np.where(degrees > 0, high, np.inf)


def test_scores(sums: GroupSums) -> ScoreTests:
    """Test of a split by all its scores, from closed-form moments.

    Raises:
        StatisticsError: No score has variance within cohorts that hold two groups.
    """
    linear = linear_statistic(sums)
    law = null_law(linear)
    lengths = law.lengths(linear.deviation)
    p_values = law.p_values(lengths)
    two_groups = law.skewness is not None
    tail: Tail = (
        "type III"
        if two_groups
        else "chi-square"
        if sum(rank > 0 for rank in law.degrees_of_freedom) == 1
        else "joint normal"
    )
    first = linear.deviation[:, _first_group(linear)]
    return ScoreTests(
        statistics=np.square(lengths),
        degrees_of_freedom=law.degrees_of_freedom,
        p_values=p_values,
        z=np.copysign(lengths, first) if two_groups else None,
        skewness=law.skewness,
        p_value=smallest_p_value(float(np.nanmin(p_values)), law),
        tail=tail,
    )


def null_law(linear: LinearStatistic) -> NullLaw:
    """Null law of the group sums.

    Raises:
        StatisticsError: No score has variance within cohorts that hold two groups.
    """
    whiteners = tuple(whitener(linear.covariance[score, score]) for score in range(len(linear.deviation)))
    ranks = [standard.shape[1] for standard in whiteners]
    if max(ranks) == 0:
        raise StatisticsError("no cohort holds two groups whose customers differ in their scores")
    blocks = [
        [one.T @ linear.covariance[row, column] @ other for column, other in enumerate(whiteners)]
        for row, one in enumerate(whiteners)
    ]
    return NullLaw(whiteners, np.block(blocks), _skewness(linear) if max(ranks) == 1 else None)


def type_iii_p(z: FloatArray, skewness: FloatArray) -> FloatArray:
    """Two-sided p-value of a standardised sum, the sum of both tails of Pearson's type III curve.

    Args:
        z: Standardised sums; only their size counts.
        skewness: Of the null law, of a shape that broadcasts with z.

    Returns:
        P(|Z| >= |z|) for a shifted gamma variable Z with mean 0, variance 1 and that skewness.
    """
    size, bend = np.abs(z), np.maximum(np.abs(skewness), _NORMAL_BELOW)
    shape = 4 / np.square(bend)
    reach = size * np.sqrt(shape)
    gamma = gammaincc(shape, shape + reach) + gammainc(shape, np.maximum(shape - reach, 0))
    tails: FloatArray = np.where(np.abs(skewness) < _NORMAL_BELOW, 2 * ndtr(-size), gamma)
    return tails


def log_type_iii_p(z: FloatArray, skewness: FloatArray) -> FloatArray:
    """Logarithm of `type_iii_p`, also where that underflows; same arguments."""
    z, skewness = np.broadcast_arrays(z, skewness)
    size, bend = np.abs(z), np.maximum(np.abs(skewness), _NORMAL_BELOW)
    p_values = type_iii_p(size, skewness)
    tails = np.log(np.maximum(p_values, _UNDERFLOW))
    far = p_values < _UNDERFLOW
    if far.any():
        shape = 4 / np.square(bend[far])
        bent = _log_far_tail(shape, shape + size[far] * np.sqrt(shape))
        tails[far] = np.where(np.abs(skewness[far]) < _NORMAL_BELOW, np.log(2) + log_ndtr(-size[far]), bent)
    return tails


def log_gamma_tail(shape: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of the chance that a gamma variable of scale 1 is above x, also where that underflows.

    Args:
        shape: Of the variable, of a shape that broadcasts with x.
        x: Bounds.
    """
    shape, x = np.broadcast_arrays(shape, x)
    p_values = gammaincc(shape, x)
    tails = np.log(np.maximum(p_values, _UNDERFLOW))
    far = p_values < _UNDERFLOW
    if far.any():
        tails[far] = _log_far_tail(shape[far], x[far])
    return np.asarray(tails, dtype=np.float64)


def _log_far_tail(shape: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of a gamma variable's tail below 1e-290, by the first terms of Legendre's continued fraction."""
    ahead = x - shape
    fraction = ahead + 1 + (shape - 1) / (ahead + 3 + 2 * (shape - 2) / (ahead + 5))
    return np.asarray(shape * np.log(x) - x - gammaln(shape) - np.log(fraction), dtype=np.float64)


def smallest_p_value(smallest: float, law: NullLaw, *, draws: int = _DRAWS) -> float:
    """How often the smallest of the scores' p-values is at or below `smallest` under the joint normal law.

    The union of the scores' tails is sampled from: a tail is drawn, a point in it, and weighed by the number of
    tails that hold it. The draws are points of a lattice, the same ones each time; the relative error is below 0.5 %,
    mostly 0.1 %, however small the p-value.

    Args:
        smallest: The smallest p-value that was seen.
        law: The null law of the split.
        draws: Points a tail.

    References:
        Owen, Maximov & Chertkov (2019), Electron. J. Statist. 13, 231-254.
        Richtmyer (1951), Report LA-1342, Los Alamos (the lattice).
    """
    degrees = [rank for rank in law.degrees_of_freedom if rank > 0]
    if len(degrees) == 1 or smallest == 0:
        return smallest
    values, vectors = np.linalg.eigh(law.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    places = lattice(draws, 1 + len(values))
    shares, points = smallest * places[:, 0], ndtri(places[:, 1:]) @ root
    reached = {rank: _tail_length(rank, shares) for rank in set(degrees)}
    bounds = np.array([float(_tail_length(rank, np.float64(smallest))) for rank in degrees]) * (1 - 1e-12)
    ends = np.cumsum(degrees)
    tails = 0.0
    for end, rank in zip(ends, degrees, strict=True):
        own = slice(end - rank, end)
        stretch = reached[rank] / _lengths(points[:, own]) - 1
        moved = points + (points[:, own] * stretch[:, None]) @ law.covariance[own]
        lengths = np.stack([_lengths(part) for part in np.split(moved, ends[:-1], axis=1)], axis=1)
        tails += float((1 / np.maximum((lengths >= bounds).sum(axis=1), 1)).mean())
    return min(1.0, smallest * tails)


@cache
def lattice(n: int, dimensions: int) -> FloatArray:
    """Points that fill the unit cube evenly: multiples of the square roots of primes, folded, shape (n, dimensions)."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < dimensions:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    folded = 1 - np.abs(2 * (np.arange(1, n + 1)[:, None] * np.sqrt(primes) % 1) - 1)
    points = np.asarray(np.clip(folded, 2.0**-52, 1 - 2.0**-52), dtype=np.float64)
    points.setflags(write=False)
    return points


def needs_permutation(sums: GroupSums, tests: ScoreTests) -> bool:
    """Whether closed forms are too rough: a tiny group, or a small one beside which the p-value matters.

    Of several groups a small one matters where p is small. Of two, where its sum is so skewed that the type III tail
    comes out up to three times too large, and p is near the usual levels; far below them relabellings are too few to
    tell more.

    Args:
        sums: Of the split.
        tests: Its closed-form tests.
    """
    customers = sums.customers.sum(axis=1)
    customers = customers[customers > 0]
    smaller = np.minimum(customers, customers.sum() - customers).min()
    if tests.skewness is None:
        rough = tests.p_value < 0.01
    else:
        rough = NEAR_LEVELS[0] <= tests.p_value < NEAR_LEVELS[1] and np.abs(tests.skewness).max() > _SKEWED
    return bool(smaller < 30 or (smaller < 300 and rough))


def _first_group(linear: LinearStatistic) -> int:
    """First group whose sum can vary."""
    return int(np.argmax(np.einsum("kkgg->g", linear.covariance) > 0))


def _skewness(linear: LinearStatistic) -> FloatArray:
    first = _first_group(linear)
    variance = np.einsum("kk->k", linear.covariance[:, :, first, first])
    skewness = np.divide(linear.third[:, first], variance**1.5, out=np.zeros_like(variance), where=variance > 0)
    return np.asarray(skewness, dtype=np.float64)


def _tail_length(rank: int, share: FloatArray | np.float64) -> FloatArray:
    """Length that a standard normal vector exceeds with probability `share`."""
    return np.asarray(-ndtri(share / 2) if rank == 1 else np.sqrt(chdtri(rank, share)), dtype=np.float64)


def _lengths(vectors: FloatArray) -> FloatArray:
    """Length of each row."""
    return np.asarray(np.sqrt(np.square(vectors).sum(axis=-1)), dtype=np.float64)
