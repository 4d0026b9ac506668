"""The best threshold of a numeric attribute: all are tried by running sums, and the search is paid for in the p-value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.linear import centre

_TIE = 1e-9
"""Standardised statistics this close are equal."""

_CONFOUNDED = 1e-12
"""Variances below this share of the largest are zero but for rounding."""

_NODES = 3.0
"""Quadrature nodes in a standard deviation of the narrowest step of the chain."""


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdScan:
    """Statistics of every threshold of an attribute that leaves a tenth of the customers or more on either side.

    Attributes:
        thresholds: Values of the attribute, ascending, shape (m,); a customer is on the low side at or below.
        shares: Share of the customers at or below, shape (m,).
        standardised: Sum of scores at or below, centred and scaled by its permutation moments within cohorts, shape
            (n_scores, m); 0 where no cohort is cut.
    """

    thresholds: FloatArray
    shares: FloatArray
    standardised: FloatArray

    @property
    def best(self) -> int:
        """Place of the threshold with the largest statistic of any score, the lowest of equal ones."""
        largest = np.abs(self.standardised).max(axis=0)
        return int(np.argmax(largest >= largest.max() - _TIE))


def threshold_scan(scores: FloatArray, x: FloatArray, cohorts: IntArray) -> ThresholdScan:
    """Statistics of all thresholds of a numeric attribute, in the time that it takes to sort it.

    Args:
        scores: Shape (n_scores, n_customers).
        x: Finite values, shape (n_customers,).
        cohorts: Number of the customer's cohort, shape (n_customers,).

    References:
        Hothorn & Lausen (2003), Comput. Statist. Data Anal. 43, 121-137.
    """
    order = np.argsort(x)
    return _scan(centre(scores, cohorts)[:, order], x[order], cohorts[order])


def selected_p(statistic: float, shares: FloatArray) -> float:
    """How often the largest of a single score's statistics over all thresholds is as large, without cohorts.

    Along the thresholds the standardised sums form a Markov chain of normal variables. The chance of its first leaving
    the band is added up by Gauss-Legendre quadrature, all terms positive, so that small ones keep their digits. The
    time grows with the square of the number of thresholds: a second for a thousand.

    Args:
        statistic: The largest absolute standardised sum seen.
        shares: Share of the customers at or below each threshold, ascending, shape (m,).
    """
    if statistic <= 0:
        return 1.0
    low, high = shares[:-1], shares[1:]
    spreads = np.sqrt((high - low) / (high * (1 - low)))
    slopes = np.sqrt(low * (1 - high) / (high * (1 - low)))
    count = 24 + int(np.ceil(_NODES * statistic / spreads.min(initial=1.0)))
    nodes, weights = np.polynomial.legendre.leggauss(count)
    z = (nodes + 1) * statistic / 2
    # Of the absolute value: the chain is symmetric about 0.
    inside = weights * statistic / 2 * np.sqrt(2 / np.pi) * np.exp(-np.square(z) / 2)
    p = 2 * float(ndtr(-statistic))
    for slope, spread in zip(slopes, spreads, strict=True):
        near, far = (slope * z - statistic) / spread, (-slope * z - statistic) / spread
        p += float(inside @ (ndtr(near) + ndtr(far)))
        ahead, opposite = (z[:, None] - slope * z) / spread, (z[:, None] + slope * z) / spread
        kernel = np.exp(-np.square(ahead) / 2) + np.exp(-np.square(opposite) / 2)
        inside = weights * (statistic / 2 / (spread * np.sqrt(2 * np.pi))) * (kernel @ inside)
    return min(1.0, p)


def log_search_price(statistics: FloatArray, steps: FloatArray) -> FloatArray:
    """Logarithm of how many times likelier than at one threshold a statistic is at the best of several.

    The expected number of times that the standardised sums, which wander along the thresholds like a diffusion seen
    at some of its times, come above the statistic from below. Far out, where such times are rare, this is the ratio of
    chances, within a tenth of `selected_p`, with cohorts or without; above p of 0.1 it is larger.

    Args:
        statistics: Absolute standardised sums, of any shape.
        steps: 1 minus the correlation of the standardised sums at each threshold with those at the next, shape (m - 1,).

    Returns:
        Same shape as `statistics`.

    References:
        Siegmund (1985), Sequential Analysis, Springer, section 4.
        Siegmund & Yakir (2007), The Statistics of Gene Mapping, Springer, section 5.
    """
    size = np.maximum(statistics, _TIE)[..., None]
    reach = size * np.sqrt(2 * steps)
    overshoot = (ndtr(reach / 2) - 0.5) / ((reach / 2) * ndtr(reach / 2) + _density(reach / 2)) * 2
    ups = size[..., 0] * np.sum(steps / np.maximum(reach, _TIE) * overshoot, axis=-1)
    # The density over the chance of a normal tail; both underflow far out.
    ratio = np.exp(-np.square(size[..., 0]) / 2 - log_ndtr(-size[..., 0])) / np.sqrt(2 * np.pi)
    return np.asarray(np.log1p(ups * ratio), dtype=np.float64)


def cutpoint_stability(
    scores: FloatArray, x: FloatArray, cohorts: IntArray, *, resamples: int = 200, seed: int
) -> FloatArray:
    """The best thresholds when customers are drawn anew with replacement, shape (resamples,) or less.

    A draw in which one value holds too many customers to be cut has no threshold and is left out.

    Args:
        scores: Shape (n_scores, n_customers).
        x: Finite values, shape (n_customers,).
        cohorts: Number of the customer's cohort, shape (n_customers,).
        resamples: Number of draws of as many customers.
        seed: Of the draws.
    """
    order = np.lexsort([*scores, cohorts, x])
    scores, x, cohorts = scores[:, order], x[order], cohorts[order]
    generator = np.random.default_rng(seed)
    chosen = []
    for _ in range(resamples):
        times = np.bincount(generator.integers(len(x), size=len(x)), minlength=len(x))
        drawn = np.repeat(np.arange(len(x)), times)
        scan = _scan(centre(scores[:, drawn], cohorts[drawn]), x[drawn], cohorts[drawn])
        if scan.thresholds.size:
            chosen.append(scan.thresholds[scan.best])
    return np.array(chosen, dtype=np.float64)


def shuffles(cohorts: IntArray, resamples: int, generator: np.random.Generator) -> Iterator[IntArray]:
    """Random relabellings of customers in order of cohort: one array, shuffled again and again within cohorts."""
    places = np.arange(len(cohorts))
    parts = np.split(places, np.flatnonzero(np.diff(cohorts)) + 1)
    for _ in range(resamples):
        for part in parts:
            generator.shuffle(part)
        yield places


def returned(places: IntArray, known: np.ndarray, members: IntArray) -> IntArray:
    """Where a relabelling takes customers with a value when it is followed until it meets one with a value.

    Of a random relabelling of all customers this is a random relabelling of those with a value.

    Args:
        places: The relabelling, shape (n_customers,), or several side by side, shape (n_customers, n).
        known: Whether the customer has a value, shape (n_customers,).
        members: Customers with a value, in any order.
    """
    source = places[members]
    elsewhere = np.nonzero(~known[source])
    while elsewhere[0].size:
        source[elsewhere] = places[source[elsewhere], *elsewhere[1:]]
        still = ~known[source[elsewhere]]
        elsewhere = tuple(place[still] for place in elsewhere)
    return source


def _density(z: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.square(z) / 2) / np.sqrt(2 * np.pi), dtype=np.float64)


def _scan(centred: FloatArray, x: FloatArray, cohorts: IntArray) -> ThresholdScan:
    """Scan of customers in order of x, with scores centred in their cohort."""
    ends = _ends(x)
    sums = np.cumsum(centred, axis=1)[:, ends - 1]
    return ThresholdScan(x[ends - 1], ends / max(1, len(x)), sums / _spreads(centred, cohorts, ends))


def _ends(x: FloatArray) -> IntArray:
    """Numbers of customers at or below each threshold, of ascending x."""
    ends = np.flatnonzero(x[1:] != x[:-1]) + 1
    return ends[(10 * ends >= len(x)) & (10 * ends <= 9 * len(x))]


def _spreads(centred: FloatArray, cohorts: IntArray, ends: IntArray) -> FloatArray:
    """Permutation standard deviation of the sum of the first customers, infinite where it is zero.

    With r of a cohort's n customers before it, one more changes r (n - r) / n by (n - 2 r - 1) / n.
    """
    if not ends.size:
        return np.empty((len(centred), 0))
    in_cohort = np.bincount(cohorts)
    by_cohort = np.argsort(cohorts.astype(np.min_scalar_type(len(in_cohort))), kind="stable")
    starts = np.cumsum(in_cohort) - in_cohort
    before = np.empty(len(cohorts))
    before[by_cohort] = np.arange(len(cohorts)) - np.repeat(starts, in_cohort)
    n = in_cohort[cohorts]
    change = (n - 2 * before - 1) / n
    spreads = np.empty((len(centred), len(ends)))
    for row, own in zip(centred, spreads, strict=True):
        variances = sums_by(cohorts, np.square(row), len(in_cohort)) / np.maximum(in_cohort - 1, 1)
        running = np.cumsum(change * variances[cohorts])[ends - 1]
        cut = running > _CONFOUNDED * running.max(initial=0.0)
        own[:] = np.where(cut, np.sqrt(np.maximum(running, 0)), np.inf)
    return spreads
