"""From estimates of independent groups to intervals for all their pairs, and to how many customers would decide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import chdtr, gammaln, ndtri

from segmentor.statistics.arrays import FloatArray, IntArray

_DIRECTIONS = 20_000
_FEW = 16
"""Of so many directions one tells where to look with all of them."""
_SEED = 19530831
_NEAR = 1e-8
"""How near to the root Halley's method is trusted to be."""
_LEAST = 1e-6
"""A standard error below this share of the largest is taken as this share, so that all directions are defined."""


@dataclass(frozen=True, slots=True, eq=False)
class PairIntervals:
    """Differences of all pairs of groups, second minus first, in the order (0, 1), (0, 2), ..., (1, 2), ...

    All arrays have shape (n_pairs,); all but the difference are `nan` where a group has no estimate or
    neither has a variance.

    Attributes:
        first: Number of the first group.
        second: Number of the second group.
        difference: Estimate of the second minus that of the first.
        standard_error: Of the difference.
        low: Lower bound of the interval, simultaneous over the pairs.
        high: Its upper bound.
        equivalence_low: Lower bound of the plain interval for two one-sided tests.
        equivalence_high: Its upper bound.
    """

    first: IntArray
    second: IntArray
    difference: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray
    equivalence_low: FloatArray
    equivalence_high: FloatArray


def pair_intervals(
    estimates: FloatArray, standard_errors: FloatArray, *, level: float = 0.95, equivalence_level: float = 0.95
) -> PairIntervals:
    """Intervals for the differences of independent groups.

    Ratios are differences of logarithms. The interval for two one-sided tests covers 2 * equivalence_level - 1.

    Args:
        estimates: One a group, shape (n_groups,); `nan` where there is none.
        standard_errors: Same shape.
        level: Coverage of all simultaneous intervals together.
        equivalence_level: 1 - level of each of the two one-sided tests.

    References:
        Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657-680 (two one-sided tests).
    """
    first, second = _pairs(len(estimates))
    difference = estimates[second] - estimates[first]
    usable = np.isfinite(estimates) & np.isfinite(standard_errors)
    error = np.hypot(standard_errors[first], standard_errors[second])
    error = np.where(usable[first] & usable[second] & (error > 0), error, np.nan)
    reach = simultaneous_quantile(standard_errors[usable], level=level) * error
    plain = ndtri(equivalence_level) * error
    return PairIntervals(
        first=first,
        second=second,
        difference=difference,
        standard_error=error,
        low=difference - reach,
        high=difference + reach,
        equivalence_low=difference - plain,
        equivalence_high=difference + plain,
    )


def simultaneous_quantile(standard_errors: FloatArray, *, level: float) -> float:
    """Quantile of the largest standardised difference, in size, over all pairs of independent normal estimates.

    The differences are a length times a direction; the length is integrated exactly, the direction over a fixed
    sample. For two groups it is the two-sided normal quantile.

    Args:
        standard_errors: One a group, shape (n_groups,).
        level: Probability that all differences are within the quantile.
    """
    spread = np.sort(standard_errors)
    first, second = _pairs(len(spread))
    first, second = first[spread[second] > 0], second[spread[second] > 0]
    if len(first) < 2:
        return float(ndtri((1 + level) / 2))
    spread = np.maximum(spread, _LEAST * spread[-1])
    normal = _normal(len(spread))
    common = 1 / spread / np.linalg.norm(1 / spread)
    normal = normal - np.outer(normal @ common, common)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    scaled = np.ascontiguousarray(normal.T) * spread[:, None]
    largest, apart = np.zeros(len(normal)), np.empty(len(normal))
    for one, other, width in zip(first, second, np.hypot(spread[first], spread[second]), strict=True):
        np.abs(np.divide(np.subtract(scaled[other], scaled[one], out=apart), width, out=apart), out=apart)
        np.maximum(largest, apart, out=largest)
    low, high = 0.0, float(ndtri(1 - (1 - level) / 2 / len(first)))
    near = _root(largest[::_FEW], len(spread) - 1, level=level, start=high)
    root = _root(largest, len(spread) - 1, level=level, start=near)
    # Each step of the bisection is that of the function itself, which is looked at only where the root leaves it in doubt.
    while high - low > 1e-6:
        middle = (low + high) / 2
        if abs(middle - root) > _NEAR:
            below = middle < root
        else:
            below = chdtr(len(spread) - 1, np.square(middle / largest)).mean() < level
        low, high = (middle, high) if below else (low, middle)
    return high


@lru_cache(maxsize=32)
def _pairs(n: int) -> tuple[IntArray, IntArray]:
    """Numbers of the first and of the second group of each pair."""
    first, second = np.triu_indices(n, k=1)
    first.flags.writeable = second.flags.writeable = False
    return first, second


@lru_cache(maxsize=8)
def _normal(n: int) -> FloatArray:
    normal: FloatArray = np.random.default_rng(_SEED).standard_normal((_DIRECTIONS, n))
    normal.flags.writeable = False
    return normal


def _root(largest: FloatArray, degrees: int, *, level: float, start: float) -> float:
    """Where the mean over directions of the chi distribution of the length reaches the level, by Halley's method.

    ``nan``, which is near to nothing and leaves every step in doubt, where it does not settle.
    """
    scale = (1 - degrees / 2) * np.log(2) - gammaln(degrees / 2)
    at = start
    for _ in range(20):
        ratio = at / largest
        density = np.exp(scale + (degrees - 1) * np.log(ratio) - np.square(ratio) / 2) / largest
        slope, bend = density.mean(), (density * ((degrees - 1) / at - ratio / largest)).mean()
        newton = (chdtr(degrees, np.square(ratio)).mean() - level) / slope
        step = newton / (1 - newton * bend / (2 * slope))
        at -= step
        if abs(step) < 1e-3:
            # The error is cubed by each step.
            return float(at)
        if not 0 < at < np.inf:
            break
    return float("nan")


def customers_for_separation(
    customers: int, difference: float, standard_error: float, *, level: float = 0.95, power: float = 0.8
) -> float:
    """Customers in all with which a difference as seen would be significant with that power.

    Args:
        customers: Customers in all on whom the standard error was had.
        difference: The difference seen; 0 takes infinitely many.
        standard_error: Its standard error, taken to fall with the root of the customers.
        level: Of the two-sided interval.
        power: Probability to exclude 0.
    """
    reach = ndtri((1 + level) / 2) + ndtri(power)
    return customers * (reach * standard_error / abs(difference)) ** 2 if difference else float("inf")


def customers_for_equivalence(
    customers: int, margin: float, standard_error: float, *, level: float = 0.95, power: float = 0.8
) -> float:
    """Customers in all with which groups that do not differ at all would be shown equivalent with that power.

    Args:
        customers: Customers in all on whom the standard error was had.
        margin: Largest difference that does not matter, on the scale of the standard error.
        standard_error: Of the difference, taken to fall with the root of the customers.
        level: 1 - level of each of the two one-sided tests.
        power: Probability that both reject.
    """
    reach = ndtri(level) + ndtri((1 + power) / 2)
    return float(customers * (reach * standard_error / margin) ** 2)
