"""From counts, means and variances of two groups of customers to effect sizes with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chndtrinc, nctdtr, ndtri, poch, stdtr, stdtrit

from segmentor.statistics.arrays import FloatArray

_NAN = float("nan")

_FAR = 5e4
"""A difference of so many of its standard errors has no interval: the noncentral t law is not computed that far out."""


class Estimate(NamedTuple):
    """An estimate and its interval; `nan` where the data do not define them.

    Attributes:
        value: The estimate.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What a comparison of means needs of the values of one group.

    Attributes:
        n: Number of values.
        mean: Their mean.
        variance: Their variance, with n - 1.
    """

    n: int
    mean: float
    variance: float

    @classmethod
    def from_values(cls, values: FloatArray) -> Sample:
        """Sample of single values, shape (n,); mean or variance are `nan` where there are too few."""
        n = len(values)
        mean = float(values.mean()) if n else _NAN
        return cls(n, mean, float(np.square(values - mean).sum() / (n - 1)) if n > 1 else _NAN)


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """Difference of two means whose variances may differ, second minus first; `nan` where neither group varies.

    Attributes:
        difference: With its interval.
        t: Difference over its standard error.
        degrees_of_freedom: Of t, approximate.
        p_value: Two-sided.
    """

    difference: Estimate
    t: float
    degrees_of_freedom: float
    p_value: float


@dataclass(frozen=True, slots=True)
class TableAssociation:
    """How strongly rows and columns of a table of counts go together; `nan` with fewer than two of either.

    Attributes:
        statistic: Pearson's chi-square, without continuity correction.
        degrees_of_freedom: (rows - 1) * (columns - 1), empty ones left out.
        p_value: Of the statistic.
        v: Cramer's V with its interval, between 0 and 1.
        v_bias_corrected: The same without what chance alone adds, on average.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    v: Estimate
    v_bias_corrected: float


def wilson_interval(count: int, n: int, *, level: float = 0.95) -> Estimate:
    """Share with its score interval.

    References:
        Wilson (1927), J. Amer. Statist. Assoc. 22, 209-212.
    """
    if n == 0:
        return Estimate(_NAN, _NAN, _NAN)
    share, square = count / n, float(ndtri((1 + level) / 2)) ** 2
    centre = (count + square / 2) / (n + square)
    reach = float(np.sqrt(square * (count * (n - count) / n + square / 4))) / (n + square)
    return Estimate(share, min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach)))


def share_difference(counts: tuple[int, int], n: tuple[int, int], *, level: float = 0.95) -> Estimate:
    """Difference of two shares, second minus first, with the interval made of both score intervals.

    Args:
        counts: How many of the first and of the second group.
        n: Sizes of both groups.
        level: Coverage.

    References:
        Newcombe (1998), Statist. Med. 17, 873-890 (method 10).
    """
    first, second = (wilson_interval(count, size, level=level) for count, size in zip(counts, n, strict=True))
    difference = second.value - first.value
    return Estimate(
        difference,
        difference - float(np.hypot(second.value - second.low, first.high - first.value)),
        difference + float(np.hypot(second.high - second.value, first.value - first.low)),
    )


def welch_difference(first: Sample, second: Sample, *, level: float = 0.95) -> MeanDifference:
    """Difference of means, second minus first, without supposing equal variances.

    References:
        Welch (1947), Biometrika 34, 28-35.
    """
    difference = second.mean - first.mean
    parts = [sample.variance / sample.n if sample.n else _NAN for sample in (first, second)]
    error = float(np.sqrt(sum(parts)))
    if not error > 0:
        return MeanDifference(Estimate(difference, _NAN, _NAN), _NAN, _NAN, _NAN)
    shares = [part / sum(parts) for part in parts]
    degrees = 1 / sum(share**2 / (sample.n - 1) for share, sample in zip(shares, (first, second), strict=True))
    t, reach = difference / error, float(stdtrit(degrees, (1 + level) / 2)) * error
    return MeanDifference(
        Estimate(difference, difference - reach, difference + reach), t, degrees, 2 * float(stdtr(degrees, -abs(t)))
    )


def hedges_g(first: Sample, second: Sample, *, level: float = 0.95) -> Estimate:
    """Difference of means in pooled standard deviations, second minus first, free of bias, with its exact interval.

    The bounds are those of the noncentral t law for normal values of equal variance: `nan` where neither group varies, or
    so little that the means are tens of thousands of standard errors apart.

    References:
        Hedges (1981), J. Educ. Statist. 6, 107-128; Steiger & Fouladi (1997), in What If There Were No Significance
        Tests?, 221-257 (interval).
    """
    n, degrees = first.n + second.n, first.n + second.n - 2
    d, root = cohens_d(first, second), float(np.sqrt(first.n * second.n / max(n, 1)))
    if not abs(d * root) < _FAR:
        return Estimate(hedges_correction(degrees) * d, _NAN, _NAN)
    low, high = (bound / root for bound in _t_noncentrality(d * root, degrees, level=level))
    return Estimate(hedges_correction(degrees) * d, low, high)


def cohens_d(first: Sample, second: Sample) -> float:
    """Difference of means in pooled standard deviations, second minus first; `nan` where neither group varies."""
    degrees = first.n + second.n - 2
    if min(first.n, second.n) == 0 or degrees < 1:
        return _NAN
    squares = sum((sample.n - 1) * sample.variance for sample in (first, second) if sample.n > 1)
    return (second.mean - first.mean) / float(np.sqrt(squares / degrees)) if squares > 0 else _NAN


def hedges_correction(degrees_of_freedom: int) -> float:
    """Factor by which a difference in pooled standard deviations is too large on average, inverted.

    The gamma function of half a degree is infinite: one degree of freedom has the factor 0.
    """
    if degrees_of_freedom < 2:
        return 0.0
    half = degrees_of_freedom / 2
    return float(poch(half - 0.5, 0.5) / np.sqrt(half))


def cramers_v(table: ArrayLike, *, level: float = 0.95) -> TableAssociation:
    """Association of the rows and columns of a table.

    Args:
        table: Counts, shape (n_rows, n_columns); rows and columns without counts are left out.
        level: Coverage of the interval of V.

    References:
        Smithson (2003), Confidence Intervals, 39-41 (interval); Bergsma (2013), J. Korean Statist. Soc. 42, 323-328 (bias).
    """
    counts = np.asarray(table, dtype=np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    rows, columns = counts.shape
    if min(rows, columns) < 2:
        return TableAssociation(_NAN, 0, _NAN, Estimate(_NAN, _NAN, _NAN), _NAN)
    n, degrees, smaller = float(counts.sum()), (rows - 1) * (columns - 1), min(rows, columns) - 1
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    statistic = float((np.square(counts - expected) / expected).sum())
    low, high = (
        min(1.0, float(np.sqrt(bound / (n * smaller))))
        for bound in noncentrality_interval(statistic, degrees, level=level)
    )
    beyond_chance = max(0.0, statistic / n - degrees / (n - 1)) if n > 1 else _NAN
    corrected = min(size - 1 - (size - 1) ** 2 / (n - 1) for size in (rows, columns))
    return TableAssociation(
        statistic=statistic,
        degrees_of_freedom=degrees,
        p_value=float(chdtrc(degrees, statistic)),
        v=Estimate(min(1.0, float(np.sqrt(statistic / (n * smaller)))), low, high),
        v_bias_corrected=min(1.0, float(np.sqrt(beyond_chance / corrected))) if corrected > 0 else _NAN,
    )


def noncentrality_interval(statistic: float, degrees_of_freedom: int, *, level: float = 0.95) -> tuple[float, float]:
    """Bounds of the noncentrality of a chi-square statistic; 0 where even the central law makes it no larger.

    Args:
        statistic: At least 0.
        degrees_of_freedom: Of the statistic.
        level: Coverage.
    """
    upper = float(chdtrc(degrees_of_freedom, statistic))
    low, high = (
        float(chndtrinc(statistic, degrees_of_freedom, below)) if 1 - upper > below else 0.0
        for below in ((1 + level) / 2, (1 - level) / 2)
    )
    return low, high


def kappa(table: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Cohen's kappa: agreement of rows and columns beyond chance, 1 where all agree, 0 where no more than by chance.

    Args:
        table: Counts, the same categories in rows and in columns, shape (n_categories, n_categories).
        level: Coverage of the interval, normal with the large-sample standard error and at most 1.

    References:
        Cohen (1960), Educ. Psychol. Meas. 20, 37-46; Fleiss, Cohen & Everitt (1969), Psychol. Bull. 72, 323-327 (error).
    """
    counts = np.asarray(table, dtype=np.float64)
    n = float(counts.sum())
    shares = counts / max(n, 1.0)
    rows, columns, same = shares.sum(axis=1), shares.sum(axis=0), np.diag(shares)
    by_chance = float((rows * columns).sum())
    if n == 0 or by_chance >= 1:
        return Estimate(_NAN, _NAN, _NAN)
    value = (float(same.sum()) - by_chance) / (1 - by_chance)
    apart = 1 - value
    on_diagonal = (same * np.square(1 - (rows + columns) * apart)).sum()
    squares = shares * np.square(columns[:, None] + rows[None, :])
    off_diagonal = apart**2 * (squares.sum() - np.trace(squares))
    variance = (on_diagonal + off_diagonal - (value - by_chance * apart) ** 2) / n / (1 - by_chance) ** 2
    reach = float(ndtri((1 + level) / 2) * np.sqrt(max(0.0, variance)))
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))


def _t_noncentrality(t: float, degrees: int, *, level: float) -> tuple[float, float]:
    """Noncentralities at which the probability of a t up to this one is (1 + level) / 2 and (1 - level) / 2."""
    if t < 0:
        low, high = _t_noncentrality(-t, degrees, level=level)
        return -high, -low
    low, high = (_noncentrality_of_t(t, degrees, below) for below in ((1 + level) / 2, (1 - level) / 2))
    return low, high


def _noncentrality_of_t(t: float, degrees: int, below: float) -> float:
    """Noncentrality at which P(T <= t) is `below`, for t of at least 0; the search goes no further than it must."""
    normal, spread = float(ndtri(below)), float(np.sqrt(1 + t * t / (2 * degrees)))
    least = -normal - 1e-6
    low = high = max(least, t - normal * spread)
    step = spread / 8
    while low > least and nctdtr(degrees, low, t) <= below:
        low, step = max(least, low - step), 2 * step
    step = spread / 8
    while nctdtr(degrees, high, t) >= below:
        high, step = high + step, 2 * step
    while high - low > 1e-12 * max(1.0, abs(high)):
        middle = (low + high) / 2
        low, high = (middle, high) if nctdtr(degrees, middle, t) > below else (low, middle)
    return high
