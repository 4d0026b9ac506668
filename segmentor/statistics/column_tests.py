"""The tests of the splits of one column: each value, all values, the best threshold, with p-values that never underflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.columns import Column
from segmentor.statistics.linear import GroupSums, linear_statistic, quadratic_variances, whiteners
from segmentor.statistics.score_tests import log_gamma_tail, log_type_iii_p
from segmentor.statistics.screening import CohortMoments, TwoGroups, rounding, smallest_p_values
from segmentor.statistics.thresholds import log_search_price

Kind = Literal["whole", "value", "threshold"]

_TIE = 1e-9
"""Standardised statistics this close are equal."""

_REACH = 12.0
"""Standardised length beyond what a score's law expects up to which p-values are tabulated; from there they go straight."""

_NEGLIGIBLE = -600.0
"""Logarithm of a p-value below which the joint law of the scores is taken at this one."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Splits of a column in two: values against their rest, or both values that there are.

    Attributes:
        candidates: What is tested, without its p-values.
        seen: Standardised lengths, shape (n_splits, n_scores).
        values: Code of the first group of each split.
        groups: Permutation moments.
        spread: Their standard deviations, infinite without variance, shape (n_splits, 1, n_scores).
    """

    candidates: tuple[Candidate, ...]
    seen: FloatArray
    values: IntArray
    groups: TwoGroups
    spread: FloatArray

    def lengths(self, sums: FloatArray) -> FloatArray:
        """Standardised lengths, shape (n_splits, n_draws, n_scores), of deviations (n_values, n_draws, n_scores)."""
        found: FloatArray = np.abs(sums[self.values]) / self.spread
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
class Whole:
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
        """As of `Values`."""
        standard = sums.transpose(2, 1, 0) @ self.standards
        found: FloatArray = np.sqrt(np.square(standard).sum(axis=2)).T[None]
        return found

    def log_single(self, lengths: FloatArray) -> FloatArray:
        """As of `Values`."""
        return log_gamma_tail(self.shapes, np.square(lengths) * self.shapes / self.ranks)

    @property
    def reach(self) -> FloatArray:
        """As of `Values`."""
        return np.array([np.sqrt(self.ranks.max()) + _REACH])


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """The best threshold of a number.

    Attributes:
        candidates: The one, without its p-value.
        seen: Standardised lengths, each score's at its own best threshold, shape (1, n_scores).
        groups: Permutation moments at every threshold.
        spread: Their standard deviations, infinite without variance, shape (n_thresholds, 1, n_scores).
        places: Of these thresholds among those of the column.
        best: Place among them of the best over all scores.
        steps: 1 minus the correlation with the next threshold, shape (n_scores, n_thresholds - 1).
        skewness: Root of its mean square over the thresholds, shape (n_scores,).
    """

    candidates: tuple[Candidate, ...]
    seen: FloatArray
    groups: TwoGroups
    spread: FloatArray
    places: IntArray
    best: int
    steps: FloatArray
    skewness: FloatArray

    def lengths(self, sums: FloatArray) -> FloatArray:
        """As of `Values`."""
        running = np.cumsum(sums, axis=0)[self.places]
        running /= self.spread
        found: FloatArray = np.abs(running, out=running).max(axis=0)[None]
        return found

    def log_single(self, lengths: FloatArray) -> FloatArray:
        """As of `Values`."""
        price = np.stack(
            [log_search_price(lengths[..., score], steps) for score, steps in enumerate(self.steps)], axis=-1
        )
        log_rate = log_type_iii_p(lengths, self.skewness) + price
        rate = np.exp(np.maximum(log_rate, _NEGLIGIBLE))
        return np.asarray(log_rate + np.log(-np.expm1(-rate) / rate), dtype=np.float64)

    @property
    def correlations(self) -> FloatArray:
        """As of `Values`, at the best threshold."""
        return self.groups.correlations[self.best : self.best + 1]

    @property
    def reach(self) -> FloatArray:
        """As of `Values`."""
        return np.array([_REACH])


Test = Values | Whole | Scan


def tests_of(moments: CohortMoments, column: Column) -> Iterator[Test]:
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
    column: Column, sums: GroupSums, least: FloatArray, values: IntArray, kind: Literal["whole", "value"]
) -> Iterator[Values]:
    groups = TwoGroups.of(sums.customers[values], sums.deviations[:, values].sum(axis=2), sums, least)
    able = ~np.isnan(groups.z).all(axis=1)
    if not able.any():
        return
    values = values[able]
    groups = TwoGroups(groups.z[able], groups.deviations[able], groups.skewness[able], groups.correlations[able])
    customers = sums.customers.sum(axis=1)
    seen = np.nan_to_num(np.abs(groups.z))
    yield Values(
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
        spread=_or_infinite(groups.deviations)[:, None],
    )


def _whole(moments: CohortMoments, column: Column, sums: GroupSums, least: FloatArray) -> Iterator[Whole]:
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
    yield Whole(
        candidates=(_candidate(column, "whole", length=seen.max(), customers=sums.customers.sum(axis=1)),),
        seen=seen,
        correlations=(total / (spread * spread[:, None]))[None],
        standards=standards,
        ranks=np.maximum(ranks, 1),
        shapes=np.where(able, ranks**2 / np.maximum(variances, _TIE), 1.0),
    )


def _fourths(moments: CohortMoments, column: Column, sums: GroupSums) -> FloatArray:
    """Fourth powers of centred scores of those of whom the column is known, by cohort, shape (n_scores, n_cohorts)."""
    known = column.codes >= 0
    if known.all():
        return moments.fourths
    cohorts = moments.cohorts[known]
    centred = moments.centred[:, known] - (sums.means - moments.means)[:, cohorts]
    return np.stack([sums_by(cohorts, np.square(np.square(row)), sums.customers.shape[1]) for row in centred])


def _scan(column: Column, sums: GroupSums, least: FloatArray) -> Iterator[Scan]:
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
    yield Scan(
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
        spread=spread.T[:, None],
        places=places,
        best=best,
        steps=np.clip(1 - shared / (spread[:, :-1] * spread[:, 1:]), 0, 1),
        skewness=np.sqrt(np.nan_to_num(np.square(groups.skewness)).mean(axis=0)),
    )


def _candidate(
    column: Column,
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


def log_joint(tests: Sequence[Test]) -> FloatArray:
    """P-values of all candidates: of the smallest over the scores, by their joint law.

    That of several quadratic forms is taken for that of sums of two groups whose correlations are the mean ones.
    """
    singles = np.concatenate([test.log_single(test.seen) for test in tests])
    correlations = np.concatenate([test.correlations for test in tests])
    p_values = np.exp(np.maximum(singles, _NEGLIGIBLE))
    p_values[np.isnan(np.einsum("skk->sk", correlations))] = np.nan
    ratio = smallest_p_values(p_values, correlations) / np.nanmin(p_values, axis=1)
    return np.asarray(np.minimum(0.0, singles.min(axis=1) + np.log(ratio)), dtype=np.float64)
