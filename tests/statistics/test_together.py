"""Several items at once: habits and pairs make no set, a planted one is measured, and the screening is the same test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from segmentor.statistics.association import Lift
from segmentor.statistics.together import lift_together, screen_together


def one_month(customer: np.ndarray) -> tuple[np.ndarray]:
    """Margins that tell nothing."""
    return (np.zeros_like(customer),)


def trips(rng: np.random.Generator, customers: int, *, lift: float, bought: float = 1.0) -> tuple[np.ndarray, ...]:
    """Occasions of customers with tastes of their own, who buy b rather with a, and c rather with a and with b.

    Args:
        rng: Source of chance.
        customers: Number of customers.
        lift: By how much a and b together raise c beyond what each does.
        bought: How often things are bought, relatively.

    Returns:
        Customer and month of each occasion, and whether it holds a, b, c.
    """
    customer = np.repeat(np.arange(customers), 2 + rng.poisson(9, customers))
    month = rng.integers(0, 12, customer.size)
    taste = rng.gamma(2.0, 0.5, (customers, 3)) * rng.lognormal(sigma=0.4, size=(customers, 1))
    season = np.where(month < 2, 1.5, 1.0)[:, np.newaxis]
    share = np.minimum(bought * np.array([0.08, 0.08, 0.03]) * taste[customer] * season, [0.4, 0.3, 0.1])
    a = rng.random(customer.size) < share[:, 0]
    b = rng.random(customer.size) < share[:, 1] * np.where(a, 2.0, 1.0)
    raised = share[:, 2] * np.where(a, 1.5, 1.0) * np.where(b, 1.5, 1.0) * np.where(a & b, lift, 1.0)
    return customer, month, a, b, rng.random(customer.size) < raised


def lift_of_c(shop: tuple[np.ndarray, ...]) -> Lift:
    """Lift of c with a and b."""
    customer, month, a, b, c = shop
    sold = [np.flatnonzero(item) for item in (a, b, c)]
    return lift_together(customer, margins=(month,), held=sold[2], others=sold[:2])


def test_tastes_and_pairs_make_no_set() -> None:
    """Where pairs go together and tastes differ, but nothing is beyond pairs, 5 % of 150 tests are significant at 5 %, on both sides."""
    rng = np.random.default_rng(1)
    p_values = np.array([lift_of_c(trips(rng, 250, lift=1.0, bought=1.5)).p_value for _ in range(150)])
    most = binom.ppf(0.995, 150, 0.05)
    assert (p_values < 0.05).sum() <= most
    assert (p_values > 0.95).sum() <= most


def test_a_planted_lift_is_measured() -> None:
    """Of 40 shops in which a and b together double c, intervals hold the 2 in 35 at least, and the mean is near."""
    rng = np.random.default_rng(2)
    found = [lift_of_c(trips(rng, 1000, lift=2.0)) for _ in range(40)]
    held = sum(low < 2.0 < high for low, high in (lift.interval() for lift in found))
    assert held >= 35
    assert np.mean([np.log(lift.lift) for lift in found]) == pytest.approx(np.log(2.0), abs=0.1)


def test_customers_who_are_alike_are_told_by_a_ratio_of_ratios() -> None:
    """With shares 0.1 without others, 0.2 and 0.3 with one and 0.9 with both, the lift is 0.9 x 0.1 / (0.2 x 0.3) = 1.5."""
    bought = np.concatenate([np.arange(count) < held for count, held in ((400, 40), (100, 20), (100, 30), (100, 90))])
    has_a = np.repeat([False, True, False, True], [400, 100, 100, 100])
    has_b = np.repeat([False, False, True, True], [400, 100, 100, 100])
    held, a, b = (np.flatnonzero(np.tile(item, 50)) for item in (bought, has_a, has_b))
    customer = np.repeat(np.arange(50), 700)
    lift = lift_together(customer, margins=one_month(customer), held=held, others=[a, b])
    assert lift.observed == 50 * 90
    assert lift.lift == pytest.approx(1.5, rel=0.005)


def test_the_screening_is_the_same_test() -> None:
    """With a rate that is 1 everywhere the screening has the p-value of the test without margins, up to the fit of its factors."""
    customer, _, a, b, c = trips(np.random.default_rng(3), 300, lift=1.5)
    sold = [np.flatnonzero(item) for item in (a, b, c)]
    test = lift_together(customer, margins=one_month(customer), held=sold[2], others=sold[:2])
    screened = screen_together(customer, rate=np.ones(customer.size), held=sold[2], others=sold[:2])
    assert 0.0 < screened < 1.0
    assert screened == pytest.approx(test.p_value, rel=2e-3)


@pytest.mark.parametrize("held", [[], [0, 4]], ids=["nobody buys it", "never with the others"])
def test_what_is_never_together_has_no_interval(held: list[int]) -> None:
    """Without an occasion with all of them there is no interval; where nobody has the item the p-value is 1."""
    customer = np.repeat(np.arange(2), 4)
    others = [np.array([1, 2, 5]), np.array([1, 3, 5])]
    lift = lift_together(customer, margins=one_month(customer), held=np.array(held, dtype=int), others=others)
    assert lift.observed == 0.0
    assert lift.p_value == 1.0 or held
    assert np.isnan(lift.log_se)
