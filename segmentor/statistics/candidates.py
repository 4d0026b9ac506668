"""All splits that the columns of one node suggest, of whatever kind, tested side by side: which is the least likely by chance?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import csc_array
from scipy.special import ndtri_exp

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.linear import GroupSums, linear_statistic, quadratic_variances, whiteners
from segmentor.statistics.multiplicity import benjamini_yekutieli, max_step_down
from segmentor.statistics.score_tests import (
    log_gamma_tail,
    log_type_iii_p,
)
from segmentor.statistics.screening import CohortMoments, TwoGroups, rounding, smallest_p_values
from segmentor.statistics.thresholds import log_search_price, returned, shuffles

Kind = Literal["whole", "value", "threshold"]
Correction = Literal["min_p", "benjamini_yekutieli"]

_TIE = 1e-9
"""Logarithms of p-values this close are equal."""

_CUTS = 100
"""Thresholds of a number that are looked at; of more than these, the ones nearest to evenly spaced shares."""

_LEAST = 0.1
"""Share of the customers on either side of a threshold."""

_KNOTS = 97
_REACH = 12.0
"""Standardised length beyond what a score's law expects up to which p-values are tabulated; from there they go straight."""

_SURE = 1e-12
"""Negative logarithm of the largest p-value, which is short of 1."""

_TAIL = 30.0
"""Negative logarithm of a p-value below which -log(1 - p) is p to the last digit."""

_NEGLIGIBLE = -600.0
"""Logarithm of a p-value below which the joint law of the scores is taken at this one."""

_NUMBERS = 2**21
"""Scores held at a time while relabelling."""

_DIGITS = 52
"""Bits of a number."""

_BEHIND = 5.0
"""Standardised size by which a candidate is behind the first too far to overtake it when customers are drawn anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Category:
    """A column of values, and which of its splits are tried.

    Attributes:
        codes: Of any integer type, 0 first, -1 where not known, shape (n_customers,).
        whole: Whether the split into all values is.
        by_value: By code, whether the value against the others is.
    """

    codes: IntArray
    whole: bool
    by_value: np.ndarray


@dataclass(frozen=True, slots=True)
class Candidate:
    """A split that could be tested, and its test.

    Attributes:
        column: Place among the categories, or of a threshold among the numbers.
        kind: Into all values, one value against the others, or at a threshold.
        value: Code of the one value, else ``None``.
        threshold: The best one: customers at or below are the first group; else ``None``.
        tried: Number of thresholds among which this is the best, else 1.
        customers: By group: by code, with the value and without, or at or below and above.
        length: Largest standardised length over the scores: |z|, or the root of a quadratic form.
        log_p: Natural logarithm of the p-value, in which the choice among scores and thresholds is paid for.
        p_adjusted: Over all candidates.
    """

    column: int
    kind: Kind
    value: int | None
    threshold: float | None
    tried: int
    customers: tuple[int, ...]
    length: float
    log_p: float
    p_adjusted: float

    @property
    def p_value(self) -> float:
        """The p-value, 0 where it is below the smallest number."""
        return float(np.exp(self.log_p))


def screen_candidates(
    scores: FloatArray,
    categories: Sequence[Category],
    numbers: Sequence[FloatArray],
    cohorts: IntArray,
    *,
    min_group: int,
    resamples: int = 2_000,
    seed: int,
    correction: Correction,
) -> tuple[Candidate, ...]:
    """Tests every split of every column, and adjusts over all of them.

    A score's single p-value is a type III tail (two groups), that times the price of the search (thresholds), or the
    tail of a gamma variable with the mean and variance of the quadratic form (several groups); a candidate's p-value
    is that of the smallest over the scores by their joint normal law.

    Min-P relabels customers within cohorts, the same for all candidates; those of whom a column is not known are left
    out of its relabelling. A candidate's smallest single p-value p0 is put on a scale that all have in common,

        p = 1 - (1 - p0)^m  with  1 / m = mean of -log(1 - p0) over all relabellings, the labels seen among them:

    m is the number of independent tests that the scores amount to, and makes -log(1 - p) a standard exponential
    variable. It is smooth, so that candidates are told apart beyond the number of relabellings, and treats the labels
    seen as any other, so that the level holds whatever the quality of p0. The smallest p over the candidates not yet
    rejected is judged by its share among the relabellings.

    The order of customers and of columns does not matter, nor does that of the codes.

    Args:
        scores: Shape (n_scores, n_customers).
        categories: Their columns of values.
        numbers: Columns of shape (n_customers,), not finite where not known; thresholds are tried that leave a tenth of
            the known customers on either side, 100 at most.
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        min_group: Customers in a value and in its rest, on both sides of a threshold, and in two of all values, without
            which a split is not tried.
        resamples: Number of relabellings B; an adjusted p-value is (b + 1) / (B + 1).
        seed: Of the relabellings.
        correction: Min-P by relabelling, or Benjamini and Yekutieli's.

    Returns:
        Candidates that can be tested within cohorts: by category all values, then each, then by number.

    References:
        Westfall & Young (1993), Resampling-Based Multiple Testing, Wiley.
    """
    columns = _columns(categories, numbers, min_group)
    scores = _on_a_grid(scores)
    order = _order(scores, columns, cohorts)
    scores, cohorts = scores[:, order], cohorts[order]
    columns = [replace(column, codes=column.codes[order]) for column in columns]
    moments = CohortMoments.of(scores, cohorts)
    tests = [tuple(_tests(moments, column)) for column in columns]
    if not any(tests):
        return ()
    log_p = _log_joint([test for own in tests for test in own])
    if correction == "min_p":
        drawn = np.concatenate(list(_relabelled(scores, columns, cohorts, tests, resamples=resamples, seed=seed)))
        common = _common(drawn)
        adjusted = max_step_down(common[0], [common[1:] + _TIE])[2]
    else:
        adjusted = benjamini_yekutieli(np.exp(log_p))
    stubs = [candidate for own in tests for test in own for candidate in test.candidates]
    return tuple(
        replace(stub, log_p=float(single), p_adjusted=float(over_all))
        for stub, single, over_all in zip(stubs, log_p, adjusted, strict=True)
    )


def chosen_again(
    scores: FloatArray,
    categories: Sequence[Category],
    numbers: Sequence[FloatArray],
    cohorts: IntArray,
    candidates: Sequence[Candidate],
    *,
    min_group: int,
    resamples: int = 50,
    seed: int,
) -> FloatArray:
    """How often each candidate has the smallest single p-value when customers are drawn anew with replacement.

    Args:
        scores: As screened.
        categories: As screened.
        numbers: As screened; a number counts as chosen at whatever threshold.
        cohorts: As screened.
        candidates: What `screen_candidates` found.
        min_group: As screened.
        resamples: Number of draws of as many customers.
        seed: Of the draws.

    Returns:
        Shares of the draws, shape (n_candidates,); candidates five standard deviations behind the first are not tried.
    """
    columns = _columns(categories, numbers, min_group)
    scores = _on_a_grid(scores)
    order = _order(scores, columns, cohorts)
    n = len(order)
    places = _contenders(candidates)
    columns = [own for column in columns if (own := _only(column, places)) is not None]
    chosen = np.zeros(len(candidates))
    generator = np.random.default_rng(seed)
    for _ in range(resamples if places else 0):
        drawn = np.repeat(order, np.bincount(generator.integers(n, size=n), minlength=n))
        moments = CohortMoments.of(scores[:, drawn], cohorts[drawn])
        smallest = np.full(len(candidates), np.inf)
        for column in columns:
            for test in _tests(moments, replace(column, codes=column.codes[drawn])):
                for stub, log_p in zip(test.candidates, test.log_single(test.seen).min(axis=-1), strict=True):
                    smallest[places[stub.column, stub.kind, stub.value]] = log_p
        chosen[int(np.argmin(smallest))] += 1 / resamples
    return chosen


def _contenders(candidates: Sequence[Candidate]) -> dict[tuple[int, Kind, int | None], int]:
    """Places of the candidates that are not too far behind the first to come out first in a resample."""
    if not candidates:
        return {}
    sizes = -ndtri_exp(np.array([candidate.log_p for candidate in candidates]) - np.log(2))
    return {
        (candidate.column, candidate.kind, candidate.value): place
        for place, candidate in enumerate(candidates)
        if sizes[place] >= sizes.max() - _BEHIND
    }


def _only(column: _Column, places: dict[tuple[int, Kind, int | None], int]) -> _Column | None:
    """The column with those of its splits alone that have a place, if any."""
    if column.thresholds.size:
        return column if (column.place, "threshold", None) in places else None
    whole = column.whole and (column.place, "whole", None) in places
    values = np.array([code for code in column.values.tolist() if (column.place, "value", code) in places], dtype=int)
    return replace(column, whole=whole, values=values) if whole or values.size else None


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A category, or a number in bins between its thresholds.

    Attributes:
        place: Among the categories, or among the numbers.
        codes: Value or bin, -1 where not known, shape (n_customers,).
        n_values: Number of values or bins.
        whole: Whether the split into all values is tried.
        values: Codes of those tried against the others.
        thresholds: Upper ends of all bins but the last; empty for a category.
    """

    place: int
    codes: IntArray
    n_values: int
    whole: bool
    values: IntArray
    thresholds: FloatArray


def _columns(categories: Sequence[Category], numbers: Sequence[FloatArray], min_group: int) -> list[_Column]:
    """Columns with a split to try."""
    columns = []
    for place, category in enumerate(categories):
        n_values = max(len(category.by_value), int(category.codes.max()) + 1)
        customers = np.bincount(category.codes[category.codes >= 0], minlength=n_values)
        large = customers >= min_group
        whole = category.whole and large.sum() >= 2
        by_value = np.flatnonzero(category.by_value)
        values = by_value[large[by_value] & (customers.sum() - customers[by_value] >= min_group)]
        if (customers > 0).sum() == 2:
            # All three splits are the same.
            values = values[: 0 if whole else 1]
        if whole or values.size:
            columns.append(
                _Column(
                    place=place,
                    codes=category.codes.astype(np.int64),
                    n_values=n_values,
                    whole=whole,
                    values=values,
                    thresholds=np.empty(0),
                )
            )
    for place, x in enumerate(numbers):
        known = np.isfinite(x)
        thresholds = _thresholds(x[known], min_group)
        if thresholds.size:
            columns.append(
                _Column(
                    place=place,
                    codes=np.where(known, np.searchsorted(thresholds, x), -1).astype(np.int64),
                    n_values=len(thresholds) + 1,
                    whole=False,
                    values=np.empty(0, dtype=np.int64),
                    thresholds=thresholds,
                )
            )
    return columns


def _thresholds(x: FloatArray, min_group: int) -> FloatArray:
    """Values that leave enough customers at or below and above, no more than are looked at."""
    values, customers = np.unique(x, return_counts=True)
    ends = np.cumsum(customers)[:-1]
    fits = (ends >= max(_LEAST * len(x), min_group)) & (len(x) - ends >= max(_LEAST * len(x), min_group))
    values, ends = values[:-1][fits], ends[fits]
    if len(ends) <= _CUTS:
        return values
    wanted = np.linspace(ends[0], ends[-1], _CUTS)
    after = np.clip(np.searchsorted(ends, wanted), 1, len(ends) - 1)
    nearest = after - (wanted - ends[after - 1] < ends[after] - wanted)
    return np.asarray(values[np.unique(nearest)], dtype=np.float64)


def _on_a_grid(scores: FloatArray) -> FloatArray:
    """Scores in whole multiples of a power of 2 so small that all their sums are exact, in whatever order."""
    largest = np.abs(scores).max(axis=1, keepdims=True) * scores.shape[1]
    unit = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1))) - _DIGITS)
    return np.asarray(np.rint(scores / unit) * unit, dtype=np.float64)


def _order(scores: FloatArray, columns: Sequence[_Column], cohorts: IntArray) -> IntArray:
    """Order of the customers by cohort, scores, and what they are in all columns, whatever the order and the codes of these."""
    marks = np.zeros(len(cohorts), dtype=np.uint64)
    odd = np.uint64(0x9E3779B97F4A7C15)
    for column in columns:
        codes = column.codes + 1
        sums = [np.bincount(codes).astype(np.float64), *(np.bincount(codes, row) + 0.0 for row in scores)]
        own = np.zeros(len(sums[0]), dtype=np.uint64)
        for part in sums:
            own = (own ^ part.view(np.uint64)) * odd
            own ^= own >> np.uint64(29)
        marks += own[codes]
    return np.lexsort([marks, *scores, cohorts])


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """Splits of a column in two: values against their rest, or both values that there are.

    Attributes:
        candidates: What is tested, without its p-values.
        seen: Standardised lengths, shape (n_splits, n_scores).
        values: Code of the first group of each split.
        groups: Permutation moments.
    """

    candidates: tuple[Candidate, ...]
    seen: FloatArray
    values: IntArray
    groups: TwoGroups

    def lengths(self, sums: FloatArray) -> FloatArray:
        """Standardised lengths, shape (n_splits, n_draws, n_scores), of deviations (n_values, n_draws, n_scores)."""
        found: FloatArray = np.abs(sums[self.values]) / _or_infinite(self.groups.deviations)[:, None]
        return found

    def log_single(self, lengths: FloatArray) -> FloatArray:
        """Single p-values of lengths, shape (n_splits, ..., n_scores)."""
        skewness = np.nan_to_num(self.groups.skewness)
        return log_type_iii_p(lengths, skewness.reshape(len(skewness), *[1] * (lengths.ndim - 2), -1))

    @property
    def correlations(self) -> FloatArray:
        """Between the scores' sums, `nan` without variance, shape (n_splits, n_scores, n_scores)."""
        return self.groups.correlations

    @property
    def reach(self) -> FloatArray:
        """Length up to which p-values are of interest under relabelling, by split."""
        return np.full(len(self.values), _REACH)


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """The split of a column into all its values, three or more.

    Attributes:
        candidates: The one, without its p-value.
        seen: Standardised lengths, shape (1, n_scores).
        correlations: Between the scores' sums, over all groups, `nan` without variance, shape (1, n_scores, n_scores).
        standards: Take deviations of the sums to independent standard ones, shape (n_scores, n_values, n_values).
        ranks: Of the quadratic forms, at least 1, shape (n_scores,).
        shapes: Of the gamma variables that the quadratic forms are taken for, shape (n_scores,).
    """

    candidates: tuple[Candidate, ...]
    seen: FloatArray
    correlations: FloatArray
    standards: FloatArray
    ranks: IntArray
    shapes: FloatArray

    def lengths(self, sums: FloatArray) -> FloatArray:
        """As of `_Values`."""
        standard = sums.transpose(2, 1, 0) @ self.standards
        found: FloatArray = np.sqrt(np.square(standard).sum(axis=2)).T[None]
        return found

    def log_single(self, lengths: FloatArray) -> FloatArray:
        """As of `_Values`."""
        return log_gamma_tail(self.shapes, np.square(lengths) * self.shapes / self.ranks)

    @property
    def reach(self) -> FloatArray:
        """As of `_Values`."""
        return np.array([np.sqrt(self.ranks.max()) + _REACH])


@dataclass(frozen=True, slots=True, eq=False)
class _Scan:
    """The best threshold of a number.

    Attributes:
        candidates: The one, without its p-value.
        seen: Standardised lengths, each score's at its own best threshold, shape (1, n_scores).
        groups: Permutation moments at every threshold.
        places: Of these thresholds among those of the column.
        best: Place among them of the best over all scores.
        steps: 1 minus the correlation with the next threshold, shape (n_scores, n_thresholds - 1).
        skewness: Root of its mean square over the thresholds, shape (n_scores,).
    """

    candidates: tuple[Candidate, ...]
    seen: FloatArray
    groups: TwoGroups
    places: IntArray
    best: int
    steps: FloatArray
    skewness: FloatArray

    def lengths(self, sums: FloatArray) -> FloatArray:
        """As of `_Values`."""
        running = np.cumsum(sums, axis=0)[self.places]
        running /= _or_infinite(self.groups.deviations)[:, None]
        found: FloatArray = np.abs(running, out=running).max(axis=0)[None]
        return found

    def log_single(self, lengths: FloatArray) -> FloatArray:
        """As of `_Values`."""
        price = np.stack(
            [log_search_price(lengths[..., score], steps) for score, steps in enumerate(self.steps)], axis=-1
        )
        log_rate = log_type_iii_p(lengths, self.skewness) + price
        rate = np.exp(np.maximum(log_rate, _NEGLIGIBLE))
        return np.asarray(log_rate + np.log(-np.expm1(-rate) / rate), dtype=np.float64)

    @property
    def correlations(self) -> FloatArray:
        """As of `_Values`, at the best threshold."""
        return self.groups.correlations[self.best : self.best + 1]

    @property
    def reach(self) -> FloatArray:
        """As of `_Values`."""
        return np.array([_REACH])


_Test = _Values | _Whole | _Scan


def _tests(moments: CohortMoments, column: _Column) -> Iterator[_Test]:
    """The tests of a column that are possible within cohorts."""
    sums = moments.group_sums(column.codes, column.n_values)
    least = rounding(moments)
    if column.thresholds.size:
        yield from _scan(column, sums, least)
        return
    customers = sums.customers.sum(axis=1)
    present = np.flatnonzero(customers)
    if column.whole and len(present) == 2:
        yield from _values(column, sums, least, present[:1], "whole")
    elif column.whole and len(present) > 2:
        yield from _whole(moments, column, sums, least)
    values = column.values[(customers[column.values] > 0) & (customers[column.values] < customers.sum())]
    if values.size:
        yield from _values(column, sums, least, values, "value")


def _values(
    column: _Column, sums: GroupSums, least: FloatArray, values: IntArray, kind: Literal["whole", "value"]
) -> Iterator[_Values]:
    groups = TwoGroups.of(sums.customers[values], sums.deviations[:, values].sum(axis=2), sums, least)
    able = ~np.isnan(groups.z).all(axis=1)
    if not able.any():
        return
    values = values[able]
    groups = TwoGroups(groups.z[able], groups.deviations[able], groups.skewness[able], groups.correlations[able])
    customers = sums.customers.sum(axis=1)
    seen = np.nan_to_num(np.abs(groups.z))
    yield _Values(
        candidates=tuple(
            _candidate(
                column,
                kind,
                length=length,
                value=value if kind == "value" else None,
                customers=(customers[value], customers.sum() - customers[value]) if kind == "value" else customers,
            )
            for value, length in zip(values.tolist(), seen.max(axis=1), strict=True)
        ),
        seen=seen,
        values=values,
        groups=groups,
    )


def _whole(moments: CohortMoments, column: _Column, sums: GroupSums, least: FloatArray) -> Iterator[_Whole]:
    linear = linear_statistic(sums)
    total = np.einsum("klgg->kl", linear.covariance)
    able = total.diagonal() > least
    if not able.any():
        return
    own = np.einsum("kkgh->kgh", linear.covariance)
    standards = whiteners(np.where(able[:, None, None], own, 0))
    ranks = (standards != 0).any(axis=1).sum(axis=1)
    variances = quadratic_variances(
        sums.customers, np.einsum("kkc->kc", sums.covariances), _fourths(moments, column, sums), standards
    )
    spread = np.sqrt(np.where(able, total.diagonal(), np.nan))
    seen = np.sqrt(np.square(linear.deviation[:, None] @ standards).sum(axis=(1, 2)))[None]
    yield _Whole(
        candidates=(_candidate(column, "whole", length=seen.max(), customers=sums.customers.sum(axis=1)),),
        seen=seen,
        correlations=(total / (spread * spread[:, None]))[None],
        standards=standards,
        ranks=np.maximum(ranks, 1),
        shapes=np.where(able, ranks**2 / np.maximum(variances, _TIE), 1.0),
    )


def _fourths(moments: CohortMoments, column: _Column, sums: GroupSums) -> FloatArray:
    """Fourth powers of centred scores of those of whom the column is known, by cohort, shape (n_scores, n_cohorts)."""
    known = column.codes >= 0
    if known.all():
        return moments.fourths
    cohorts = moments.cohorts[known]
    centred = moments.centred[:, known] - (sums.means - moments.means)[:, cohorts]
    return np.stack([sums_by(cohorts, np.square(np.square(row)), sums.customers.shape[1]) for row in centred])


def _scan(column: _Column, sums: GroupSums, least: FloatArray) -> Iterator[_Scan]:
    low = np.cumsum(sums.customers, axis=0)[:-1]
    running = np.cumsum(sums.deviations.sum(axis=2), axis=1)[:, :-1]
    every = TwoGroups.of(low, running, sums, least)
    places = np.flatnonzero(~np.isnan(every.z).all(axis=1))
    if not places.size:
        return
    low = low[places]
    groups = TwoGroups(every.z[places], every.deviations[places], every.skewness[places], every.correlations[places])
    n = np.maximum(sums.customers.sum(axis=0), 1)
    variances = np.einsum("kkc->kc", sums.covariances) / np.maximum(n - 1, 1)
    shared = variances @ (low[:-1] * (n - low[1:]) / n).T
    spread = _or_infinite(groups.deviations).T
    z = np.nan_to_num(np.abs(groups.z))
    largest = z.max(axis=1)
    best = int(np.argmax(largest >= largest.max() - _TIE))
    customers = int(low[best].sum())
    yield _Scan(
        candidates=(
            _candidate(
                column,
                "threshold",
                length=largest[best],
                threshold=float(column.thresholds[places[best]]),
                tried=len(places),
                customers=(customers, int(sums.customers.sum()) - customers),
            ),
        ),
        seen=z.max(axis=0)[None],
        groups=groups,
        places=places,
        best=best,
        steps=np.clip(1 - shared / (spread[:, :-1] * spread[:, 1:]), 0, 1),
        skewness=np.sqrt(np.nan_to_num(np.square(groups.skewness)).mean(axis=0)),
    )


def _candidate(
    column: _Column,
    kind: Kind,
    *,
    length: float,
    customers: Sequence[int] | IntArray,
    value: int | None = None,
    threshold: float | None = None,
    tried: int = 1,
) -> Candidate:
    """What is tested, its p-values still to come."""
    return Candidate(
        column=column.place,
        kind=kind,
        value=value,
        threshold=threshold,
        tried=tried,
        customers=tuple(map(int, customers)),
        length=float(length),
        log_p=np.nan,
        p_adjusted=np.nan,
    )


def _or_infinite(deviations: FloatArray) -> FloatArray:
    """Standard deviations, infinite without variance."""
    return np.where(np.isnan(deviations), np.inf, deviations)


def _log_joint(tests: Sequence[_Test]) -> FloatArray:
    """P-values of all candidates: of the smallest over the scores, by their joint law.

    That of several quadratic forms is taken for that of sums of two groups whose correlations are the mean ones.
    """
    singles = np.concatenate([test.log_single(test.seen) for test in tests])
    correlations = np.concatenate([test.correlations for test in tests])
    p_values = np.exp(np.maximum(singles, _NEGLIGIBLE))
    p_values[np.isnan(np.einsum("skk->sk", correlations))] = np.nan
    ratio = smallest_p_values(p_values, correlations) / np.nanmin(p_values, axis=1)
    return np.asarray(np.minimum(0.0, singles.min(axis=1) + np.log(ratio)), dtype=np.float64)


def _common(drawn: FloatArray) -> FloatArray:
    """Negative logarithms of smallest single p-values on the common scale, monotone in p; shape (n_draws, n_candidates)."""
    size = np.maximum(drawn, _SURE)
    exponential = -np.log1p(-np.exp(-size))
    # Far into the tail the exponential variable is the p-value itself.
    log = np.where(size > _TAIL, -size, np.log(np.maximum(exponential, np.exp(-2 * _TAIL))))
    return np.asarray(np.log(exponential.mean(axis=0)) - log, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """Negative logarithms of single p-values by standardised length, in a table.

    Attributes:
        steps: Between knots, by candidate.
        values: At the knots, flat, of shape (n_candidates, n_scores, _KNOTS).
    """

    steps: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, tests: Sequence[_Test]) -> _Curves:
        steps, values = [], []
        for test in tests:
            step = test.reach / (_KNOTS - 1)
            lengths = np.repeat((step[:, None] * np.arange(_KNOTS))[:, :, None], test.seen.shape[1], axis=2)
            steps.append(step)
            values.append(-test.log_single(lengths).transpose(0, 2, 1).ravel())
        return cls(np.concatenate(steps), np.concatenate(values))

    def smallest(self, lengths: FloatArray) -> FloatArray:
        """Of the smallest p-value over the scores, shape (n_candidates, n_draws), of lengths (n_candidates, n_draws, n_scores)."""
        n, _, n_scores = lengths.shape
        places = lengths / self.steps[:, None, None]
        before = np.minimum(places.astype(np.int64), _KNOTS - 2)
        places -= before
        before += _KNOTS * (n_scores * np.arange(n)[:, None, None] + np.arange(n_scores))
        left = self.values[before]
        return np.asarray((left + places * (self.values[before + 1] - left)).max(axis=2), dtype=np.float64)


def _relabelled(
    scores: FloatArray,
    columns: Sequence[_Column],
    cohorts: IntArray,
    tests: Sequence[Sequence[_Test]],
    *,
    resamples: int,
    seed: int,
) -> Iterator[FloatArray]:
    """Negative logarithms of each candidate's smallest single p-value: as seen, then under relabelling.

    Scores are relabelled, not columns, so that one relabelling serves all columns known of the same customers.

    Args:
        scores: On a grid, customers in order of cohort.
        columns: Of these customers.
        cohorts: Of these customers.
        tests: By column.
        resamples: Number of relabellings.
        seed: Of the relabellings.

    Yields:
        Blocks of shape (n_draws, n_candidates).
    """
    families = list(_families(scores, columns, cohorts, tests))
    curves = _Curves.of([test for own in tests for test in own])
    n_candidates = [sum(len(test.candidates) for test in own) for own in tests]
    ends = np.cumsum(n_candidates)
    table = np.ascontiguousarray(scores.T)
    places = shuffles(cohorts, resamples, np.random.default_rng(seed))
    n_sums = sum(column.n_values for column in columns)
    rows = max(1, min(_NUMBERS // ((len(cohorts) + n_sums) * len(scores)), resamples + 1))
    for start in range(0, resamples + 1, rows):
        block = np.empty((len(cohorts), min(rows, resamples + 1 - start)), dtype=np.int64)
        for draw in range(block.shape[1]):
            block[:, draw] = next(places) if start + draw else np.arange(len(cohorts))
        lengths = np.empty((int(ends[-1]), block.shape[1], len(scores)))
        for family in families:
            for number, sums in family.sums(table, block):
                first = ends[number] - n_candidates[number]
                for test in tests[number]:
                    after = first + len(test.candidates)
                    lengths[first:after] = test.lengths(sums)
                    first = after
        yield curves.smallest(lengths).T


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """Columns that are known of the same customers.

    Their values lie side by side as the rows of one sparse matrix, by which relabelled scores are summed. The most
    frequent value of a column has no entries: its sum is what the others leave.

    Attributes:
        known: Whether the columns are known, shape (n_customers,).
        members: The customers of whom they are.
        matrix: Shape (n_rows, n_members).
        numbers: Which columns, and of each the rows and the most frequent value.
        expected: Expected sum of the scores, shape (n_rows, n_scores).
    """

    known: np.ndarray
    members: IntArray
    matrix: csc_array
    numbers: tuple[tuple[int, slice, int], ...]
    expected: FloatArray

    def sums(self, table: FloatArray, block: IntArray) -> Iterator[tuple[int, FloatArray]]:
        """Deviations of the sums of relabelled scores by value, shape (n_values, n_draws, n_scores), of each column.

        Args:
            table: Scores, shape (n_customers, n_scores).
            block: Relabellings, shape (n_customers, n_draws).
        """
        sources = block if len(self.members) == len(block) else returned(block, self.known, self.members)
        relabelled = np.take(table, sources, axis=0, mode="clip").reshape(len(self.members), -1)
        summed = (self.matrix @ relabelled).reshape(len(self.expected), block.shape[1], -1)
        for number, rows, frequent in self.numbers:
            own = summed[rows] - self.expected[rows, None]
            own[frequent] = 0
            own[frequent] = -own.sum(axis=0)
            yield number, own


def _families(
    scores: FloatArray, columns: Sequence[_Column], cohorts: IntArray, tests: Sequence[Sequence[_Test]]
) -> Iterator[_Family]:
    alike: dict[bytes, list[int]] = {}
    for number, column in enumerate(columns):
        if tests[number]:
            alike.setdefault(np.packbits(column.codes >= 0).tobytes(), []).append(number)
    for numbers in alike.values():
        known = columns[numbers[0]].codes >= 0
        means = _means(scores[:, known], cohorts[known])
        places, rows, n_rows, expected = [], [], 0, []
        for number in numbers:
            column, codes = columns[number], columns[number].codes[known]
            frequent = int(np.bincount(codes).argmax())
            rows.append((number, slice(n_rows, n_rows + column.n_values), frequent))
            places.append(np.where(codes == frequent, -1, codes + n_rows).astype(np.int32))
            expected.append(np.stack([sums_by(codes, row, column.n_values) for row in means], axis=1))
            n_rows += column.n_values
        stacked = np.stack(places, axis=1)
        entries = stacked >= 0
        indices = stacked[entries]
        starts = np.concatenate([[0], np.cumsum(entries.sum(axis=1))]).astype(np.int32)
        matrix = csc_array((np.ones(len(indices)), indices, starts), shape=(n_rows, int(known.sum())))
        yield _Family(known, np.flatnonzero(known), matrix, tuple(rows), np.concatenate(expected))


def _means(scores: FloatArray, cohorts: IntArray) -> FloatArray:
    """Mean score of the customer's cohort, same shape."""
    customers = np.maximum(np.bincount(cohorts), 1)
    return np.stack([(sums_by(cohorts, row, len(customers)) / customers)[cohorts] for row in scores])
