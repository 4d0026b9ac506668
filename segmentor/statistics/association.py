"""Association of two events over occasions, with the customer as the unit: counts in, lift with its test and interval out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from segmentor.statistics.arrays import FloatArray, IntArray

_ROUNDING = 1e-9
"""Share of the observed count below which a spread is rounding error and not variance."""


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """How often an antecedent and a consequent occur: the four integers behind every ratio of a rule.

    Attributes:
        occasions: All occasions.
        antecedent: Occasions with the antecedent.
        consequent: Occasions with the consequent.
        both: Occasions with both.
    """

    occasions: int
    antecedent: int
    consequent: int
    both: int

    @property
    def support(self) -> float:
        """Share of occasions with both; ``nan`` without occasions."""
        return _ratio(self.both, self.occasions)

    @property
    def confidence(self) -> float:
        """Share of the antecedent's occasions that hold the consequent; ``nan`` without antecedent."""
        return _ratio(self.both, self.antecedent)

    @property
    def lift(self) -> float:
        """Confidence over the share of all occasions with the consequent; ``nan`` where a margin is empty."""
        return _ratio(self.both * self.occasions, self.antecedent * self.consequent)


@dataclass(frozen=True, slots=True)
class Lift:
    """Occasions with both, against those expected without association; a customer's occasions are one observation.

    Attributes:
        observed: Occasions with both.
        expected: Their number without association.
        z: Sum of the customers' scores over the root of their sum of squares; ``nan`` without variance.
        log_se: Standard error of log(lift), clustered by customer; ``nan`` where the lift is 0 or undefined.
    """

    observed: float
    expected: float
    z: float
    log_se: float

    @property
    def lift(self) -> float:
        """Observed over expected; ``nan`` where nothing is expected."""
        return _ratio(self.observed, self.expected)

    @property
    def p_value(self) -> float:
        """One-sided p-value against a lift of at most 1; a test without variance proves nothing and gives 1."""
        return 1.0 if np.isnan(self.z) else float(ndtr(-self.z))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal interval of the lift on the log scale; ``nan`` bounds where the standard error is undefined."""
        margin = float(ndtri(0.5 + level / 2.0)) * self.log_se
        return self.lift * float(np.exp(-margin)), self.lift * float(np.exp(margin))


@dataclass(frozen=True, slots=True, eq=False)
class CustomerSums:
    """What each customer adds to the association of two events within strata; all arrays of shape (n_customers,).

    With p and q the shares of a stratum's occasions that hold the antecedent x and the consequent y:

    Attributes:
        occasions: Occasions of the customer.
        observed: Those with both.
        expected: Sum of q 1{x} + p 1{y} - p q, the influence of its occasions on the number expected with both; over all
            customers the sum of n_x n_y / n over strata.
        antecedent_excess: Sum of 1{x} - p.
        consequent_excess: Sum of 1{y} - q.
    """

    occasions: FloatArray
    observed: FloatArray
    expected: FloatArray
    antecedent_excess: FloatArray
    consequent_excess: FloatArray


def sums_by_customer(
    customer: IntArray, stratum: IntArray, *, antecedent: IntArray, consequent: IntArray, both: IntArray
) -> CustomerSums:
    """Sums of each customer over its occasions.

    Args:
        customer: Customer of each occasion, 0, 1, ...; shape (n_occasions,).
        stratum: Stratum of each occasion, 0, 1, ...; same shape.
        antecedent: Indices of the occasions with the antecedent.
        consequent: Indices of the occasions with the consequent.
        both: Indices of the occasions with both.
    """
    n = np.bincount(stratum).clip(min=1)
    p = (np.bincount(stratum[antecedent], minlength=n.size) / n)[stratum]
    q = (np.bincount(stratum[consequent], minlength=n.size) / n)[stratum]
    occasions = _sums(customer)
    antecedents, consequents = (_sums(customer[held], size=occasions.size) for held in (antecedent, consequent))
    expected_at_antecedents = _sums(customer[antecedent], q[antecedent], size=occasions.size)
    expected_at_consequents = _sums(customer[consequent], p[consequent], size=occasions.size)
    return CustomerSums(
        occasions=occasions,
        observed=_sums(customer[both], size=occasions.size),
        expected=expected_at_antecedents + expected_at_consequents - _sums(customer, p * q),
        antecedent_excess=antecedents - _sums(customer, p),
        consequent_excess=consequents - _sums(customer, q),
    )


def lift_beyond_habit(sums: CustomerSums) -> Lift:
    """Lift within strata and beyond each customer's own habits, over customers with two occasions or more.

    A customer who likes two things often has both, though one does not call for the other. But a habit shows across
    occasions too: with the residuals 1{x} - p and 1{y} - q of *different* occasions of one customer, the sum
    of their products over n - 1 is expected to be what habits add to the occasions with both. A customer's expected part
    grows by that; what remains has mean 0 without association, however much customers differ. With one stratum it is
    (n_x n_y - n_xy) / (n - 1). Habits of a customer with a single occasion cannot be told from association.

    References:
        Neuhaus & Kalbfleisch (1998), Biometrics 54, 638-645 (effects between and within clusters).
    """
    several = sums.occasions > 1.0
    n, observed, expected = sums.occasions[several], sums.observed[several], sums.expected[several]
    products = sums.antecedent_excess[several] * sums.consequent_excess[several]
    habit = (products - (observed - expected)) / (n - 1.0)
    return clustered_lift(observed, expected + habit)


def clustered_lift(observed: FloatArray, expected: FloatArray) -> Lift:
    """Lift from each customer's part in the observed and in the expected number of occasions with both.

    The score of a customer is observed - expected; z is the sum of scores over the root of their sum of squares. The
    influence of a customer on log(O / E) is observed / O - expected / E; the sum of its squares is the variance.

    Args:
        observed: Shape (n_customers,).
        expected: Same shape.

    References:
        Deville (1999), Survey Methodology 25, 193-203 (variance by influence).
    """
    total_observed, total_expected = float(observed.sum()), float(expected.sum())
    return Lift(
        observed=total_observed,
        expected=total_expected,
        z=_standardised(observed - expected, scale=total_observed + abs(total_expected)),
        log_se=_log_ratio_se(observed, expected),
    )


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0.0 else float("nan")


def _sums(customer: IntArray, values: FloatArray | None = None, *, size: int = 0) -> FloatArray:
    """Sums of values, or numbers of occasions, by customer."""
    return np.asarray(np.bincount(customer, values, size), dtype=np.float64)


def _standardised(scores: FloatArray, *, scale: float) -> float:
    spread = float(np.sqrt(scores @ scores))
    return float(scores.sum()) / spread if spread > _ROUNDING * scale else float("nan")


def _log_ratio_se(observed: FloatArray, expected: FloatArray) -> float:
    if observed.sum() <= 0.0 or expected.sum() <= 0.0:
        return float("nan")
    influence = observed / observed.sum() - expected / expected.sum()
    return float(np.sqrt(influence @ influence))
