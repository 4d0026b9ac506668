"""From gaps of customers in groups to the log-rank score test and hazard ratios clustered by customer: the better usual way.

It holds for repeat buyers, in large groups, without permutations; it is shown beside ours and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import chdtrc

from segmentor.errors import StatisticsError
from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.linear import whitener

_NOTHING = 1e-12
"""A number at risk below this share of all gaps is none: sums of weights such as 1/3 do not cancel exactly."""

_ROUNDING = 1e-12
"""A customer's score below this share of its weight is rounding."""

_ROUNDS = 40
_SETTLED = 1e-12
_STRIDE = 2.0
"""Longest step of a log hazard."""

_SLACK = 1e-9
"""A log likelihood that falls by less than this share has not fallen but for rounding."""

_FAR = 20.0
"""A log hazard ratio beyond this is on its way to infinity."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupedGaps:
    """Gaps by their place in a table of strata, groups, returned or not, and days: all that the tests see of them.

    Attributes:
        customers: Number of the gap's customer, 0 first, shape (n_gaps,).
        weights: Weight of each gap, same shape.
        places: Place of the gap in the table, flat, same shape.
        late: Numbers of the gaps that enter late, shape (n_late,).
        entries: Place of a gap that were censored at that age, same shape as `late`.
        table_shape: (n_strata, n_groups, 2, n_days).
    """

    customers: IntArray
    weights: FloatArray
    places: IntArray
    late: IntArray
    entries: IntArray
    table_shape: tuple[int, int, int, int]

    @classmethod
    def from_gaps(
        cls,
        durations: IntArray,
        events: IntArray,
        *,
        weights: FloatArray,
        customers: IntArray,
        groups: IntArray,
        strata: IntArray | None = None,
        entry_ages: IntArray | None = None,
    ) -> Self:
        """Single gaps in their places.

        Args:
            durations: Days, as in `LifeTable.from_gaps`, shape (n_gaps,).
            events: 1 where the gap ended in a return.
            weights: Weight of each gap.
            customers: Number of the gap's customer, 0 first.
            groups: Number of the customer's group, 0 first, shape (n_customers,).
            strata: Number of the customer's stratum, same shape; all are one stratum where not given.
            entry_ages: Ages at late entry, in days, shape (n_gaps,); 0 everywhere where not given.

        Raises:
            StatisticsError: There are not two groups.
        """
        n_groups, n_days = int(groups.max(initial=0)) + 1, int(durations.max(initial=0)) + 1
        if n_groups < 2:
            raise StatisticsError("there is one group only")
        n_strata = 1 if strata is None else int(strata.max(initial=0)) + 1
        starts = ((groups if strata is None else strata * n_groups + groups) * (2 * n_days))[customers]
        ages = np.zeros(0, dtype=np.int64) if entry_ages is None else entry_ages
        late = np.flatnonzero(ages)
        return cls(
            customers=customers,
            weights=weights,
            places=starts + events * n_days + durations,
            late=late,
            entries=starts[late] + np.minimum(ages[late], n_days - 1),
            table_shape=(n_strata, n_groups, 2, n_days),
        )

    def counts(self) -> GroupCounts:
        """Weighted numbers by group and day, strata side by side."""
        n_strata, n_groups, _, n_days = self.table_shape
        size = n_strata * n_groups * 2 * n_days
        table = sums_by(self.places, self.weights, size).reshape(self.table_shape)
        entered = sums_by(self.entries, self.weights[self.late], size).reshape(self.table_shape)
        ends = table.sum(axis=2) - entered[:, :, 0]
        numbers = np.cumsum(ends[:, :, ::-1], axis=2)[:, :, ::-1]
        numbers = np.where(numbers > _NOTHING * table.sum(), numbers, 0.0)
        return GroupCounts(events=table[:, :, 1].swapaxes(0, 1), at_risk=numbers.swapaxes(0, 1))

    def customer_sums(self, values: FloatArray) -> FloatArray:
        """Sums by customer of what a gap adds by its place, less what it had at its late entry.

        Args:
            values: Of the shape of the table.

        Returns:
            Shape (n_customers,).
        """
        flat, size = values.ravel(), int(self.customers.max(initial=-1)) + 1
        sums = sums_by(self.customers, flat[self.places] * self.weights, size)
        if len(self.late):
            before = flat[self.entries] * self.weights[self.late]
            sums = sums - sums_by(self.customers[self.late], before, size)
        return sums


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """Weighted numbers of gaps by group, stratum and day: all that the model without clusters needs.

    Attributes:
        events: Gaps that end in a return on that day, shape (n_groups, n_strata, n_days).
        at_risk: Gaps at risk on that day, same shape.
    """

    events: FloatArray
    at_risk: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredLogrank:
    """Score test of equal hazards. All arrays are of the groups but the first.

    Attributes:
        score: Returns observed minus expected, shape (n_groups - 1,).
        covariance: Clustered by customer, shape (n_groups - 1, n_groups - 1).
        statistic: Quadratic form of the score in that covariance.
        degrees_of_freedom: Its rank.
        p_value: Of the statistic.
        naive_covariance: As if all gaps were independent, shape as `covariance`.
        naive_statistic: Quadratic form of the score in it.
        naive_p_value: Of the naive statistic; invalid for repeat buyers.
    """

    score: FloatArray
    covariance: FloatArray
    statistic: float
    degrees_of_freedom: int
    p_value: float
    naive_covariance: FloatArray
    naive_statistic: float
    naive_p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class HazardRatios:
    """Hazards of the groups but the first, over that of the first, on the scale of logarithms.

    Attributes:
        log_ratios: Shape (n_groups - 1,).
        covariance: Clustered by customer, shape (n_groups - 1, n_groups - 1).
        naive_covariance: As if all gaps were independent, same shape.
    """

    log_ratios: FloatArray
    covariance: FloatArray
    naive_covariance: FloatArray


def clustered_logrank(gaps: GroupedGaps) -> ClusteredLogrank:
    """Log-rank test of groups of repeat buyers, within strata where there are any.

    Raises:
        StatisticsError: No customer's score varies: no return while two groups are at risk, or all return at once.

    References:
        Wei, Lin & Weissfeld (1989), J. Amer. Statist. Assoc. 84, 1065-1073; Lee, Wei & Amato (1992), in Survival Analysis:
        State of the Art, 237-247; Breslow (1974), Biometrics 30, 89-99 (ties).
    """
    counts, equal = gaps.counts(), np.zeros(gaps.table_shape[1])
    score, information = _score_and_information(counts, equal)
    covariance = _clustered_covariance(gaps, counts, equal)
    statistic, degrees = _quadratic_form(score, covariance)
    naive_statistic, naive_degrees = _quadratic_form(score, information)
    return ClusteredLogrank(
        score=score,
        covariance=covariance,
        statistic=statistic,
        degrees_of_freedom=degrees,
        p_value=float(chdtrc(degrees, statistic)),
        naive_covariance=information,
        naive_statistic=naive_statistic,
        naive_p_value=float(chdtrc(naive_degrees, naive_statistic)),
    )


def hazard_ratios(gaps: GroupedGaps) -> HazardRatios:
    """Proportional hazards of groups of repeat buyers, within strata where there are any.

    Raises:
        StatisticsError: A ratio is infinite or unknown: wherever two groups are at risk, only one of them returns.

    References:
        Lin & Wei (1989), J. Amer. Statist. Assoc. 84, 1074-1078 (covariance); Breslow (1974), Biometrics 30, 89-99 (ties).
    """
    counts = gaps.counts()
    log_hazards = _fit(counts)
    inverse: FloatArray = np.asarray(np.linalg.inv(_score_and_information(counts, log_hazards)[1]), dtype=np.float64)
    clustered = _clustered_covariance(gaps, counts, log_hazards)
    return HazardRatios(log_ratios=log_hazards[1:], covariance=inverse @ clustered @ inverse, naive_covariance=inverse)


def _fit(counts: GroupCounts) -> FloatArray:
    """Log hazards with the largest partial likelihood, that of the first group 0, by Newton's steps."""
    log_hazards: FloatArray = np.zeros(len(counts.events))
    likelihood = _log_likelihood(counts, log_hazards)
    for _ in range(_ROUNDS):
        score, information = _score_and_information(counts, log_hazards)
        if np.linalg.matrix_rank(information, hermitian=True) < len(score):
            break
        step = np.concatenate([[0.0], np.linalg.solve(information, score)])
        step = step * min(1.0, _STRIDE / max(np.abs(step).max(), _SETTLED))
        while (reached := _log_likelihood(counts, log_hazards + step)) < likelihood - _SLACK * abs(likelihood):
            step = step / 2
        log_hazards, likelihood = log_hazards + step, reached
        if np.abs(log_hazards).max() > _FAR:
            break
        if np.abs(step).max() <= _SETTLED * max(1.0, np.abs(log_hazards).max()):
            return log_hazards
    raise StatisticsError("no finite hazard ratio: wherever two groups are at risk, only one of them returns")


def _log_likelihood(counts: GroupCounts, log_hazards: FloatArray) -> float:
    returned = counts.events.sum(axis=0)
    total = np.einsum("g,gsd->sd", np.exp(log_hazards), counts.at_risk)
    logs = np.log(total, out=np.zeros_like(total), where=returned > 0)
    of_returns = (counts.events.sum(axis=(1, 2)) * log_hazards).sum()
    return float(of_returns - (returned * logs).sum())


def _score_and_information(counts: GroupCounts, log_hazards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Derivative of the log likelihood by the log hazards but the first, and minus the second one."""
    returned = counts.events.sum(axis=0)
    share, _ = _shares_and_hazard(counts, log_hazards)
    expected = share * returned
    information = np.diag(expected.sum(axis=(1, 2))) - np.einsum("gsd,hsd->gh", expected, share)
    return (counts.events - expected).sum(axis=(1, 2))[1:], information[1:, 1:]


def _clustered_covariance(gaps: GroupedGaps, counts: GroupCounts, log_hazards: FloatArray) -> FloatArray:
    """Sum over customers of products of their scores."""
    share, hazard = _shares_and_hazard(counts, log_hazards)
    own, shared = np.cumsum(hazard, axis=-1), np.cumsum(share * hazard, axis=-1)
    values = np.empty(gaps.table_shape)
    sums = []
    for group in range(1, len(share)):
        in_group = np.arange(len(share)) == group
        for other, ratio in enumerate(np.exp(log_hazards)):
            expected = ratio * (in_group[other] * own - shared[group])
            values[:, other, 0] = -expected
            values[:, other, 1] = in_group[other] - share[group] - expected
        sums.append(gaps.customer_sums(values))
    scores = np.stack(sums)
    weight = sums_by(gaps.customers, gaps.weights, scores.shape[1])
    scores = np.where(np.abs(scores) > _ROUNDING * weight, scores, 0.0)
    covariance: FloatArray = np.einsum("gc,hc->gh", scores, scores)
    return covariance


def _shares_and_hazard(counts: GroupCounts, log_hazards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """On days with returns each group's share of the risk, (n_groups, n_strata, n_days), and the hazard of the first group."""
    returned = counts.events.sum(axis=0)
    risk = np.exp(log_hazards)[:, None, None] * counts.at_risk
    total = risk.sum(axis=0)
    some = (returned > 0) & (total > 0)
    share = np.divide(risk, total, out=np.zeros_like(risk), where=some)
    return share, np.divide(returned, total, out=np.zeros_like(total), where=some)


def _quadratic_form(score: FloatArray, covariance: FloatArray) -> tuple[float, int]:
    standard = whitener(covariance)
    if standard.shape[1] == 0:
        raise StatisticsError("the scores of customers do not vary: no return while two groups are at risk")
    return float(np.square(score @ standard).sum()), standard.shape[1]
