"""Lift, its test and its interval, against numbers from R, against a bootstrap, and under a null of dependent occasions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentor.statistics.association import (
    CustomerSums,
    Lift,
    RuleCounts,
    clustered_lift,
    lift_beyond_habit,
    sums_by_customer,
)

# Counted in base R 4.2.2; log_lift_se_by_customer is the root of the sum over customers of the squared sums of
# 1{xy}/n_xy - 1{x}/n_x - 1{y}/n_y + 1/n, and lift_within_months is n_xy over the sum over months of n_x n_y / n.
REFERENCE = json.loads((Path(__file__).parents[1] / "data/reference/association_rules.json").read_text())["tables"]


def lift_of_rule(name: str, rule: dict[str, Any], *, by_month: bool) -> Lift:
    """The lift of a reference rule over the baskets of its table, with months or nothing as strata."""
    table = REFERENCE[name]
    baskets = [set(items.split()) for items in table["items"]]
    month = np.array(table["month"])
    antecedent = np.array([basket.issuperset(rule["antecedent"]) for basket in baskets])
    consequent = np.array([rule["consequent"] in basket for basket in baskets])
    sums = sums_of_occasions(np.array(table["customer"]), month if by_month else 0 * month, antecedent, consequent)
    return clustered_lift(sums.observed, sums.expected)


def sums_of_occasions(
    customer: np.ndarray, stratum: np.ndarray, antecedent: np.ndarray, consequent: np.ndarray
) -> CustomerSums:
    """Sums of customers, from what each occasion holds."""
    return sums_by_customer(
        customer,
        stratum,
        antecedent=np.flatnonzero(antecedent),
        consequent=np.flatnonzero(consequent),
        both=np.flatnonzero(antecedent & consequent),
    )


def heavy_buyers(rng: np.random.Generator, customers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer of each occasion, and two items that customers with a large appetite both buy more often."""
    appetite = rng.lognormal(sigma=0.6, size=customers)
    customer = np.repeat(np.arange(customers), 1 + rng.poisson(5, customers))
    share = np.minimum(0.15 * appetite[customer], 1.0)
    return customer, rng.random(customer.size) < share, rng.random(customer.size) < share


@pytest.mark.parametrize("name", REFERENCE)
def test_ratios_equal_those_of_r(name: str) -> None:
    """Support, confidence and lift of every rule are R's."""
    for rule in REFERENCE[name]["rules"]:
        counts = RuleCounts(rule["n"], rule["n_antecedent"], rule["n_consequent"], rule["n_both"])
        assert counts.support == pytest.approx(rule["support"], rel=1e-12)
        assert counts.confidence == pytest.approx(rule["confidence"], rel=1e-12)
        assert counts.lift == pytest.approx(rule["lift"], rel=1e-12)


def test_ratios_of_nothing_are_undefined() -> None:
    """A ratio over no occasion is nan, neither 0 nor an error."""
    counts = RuleCounts(occasions=0, antecedent=0, consequent=0, both=0)
    assert all(map(math.isnan, (counts.support, counts.confidence, counts.lift)))


@pytest.mark.parametrize("name", REFERENCE)
def test_one_stratum_gives_the_plain_lift_and_its_clustered_standard_error(name: str) -> None:
    """Without strata the lift is n n_xy / (n_x n_y), and its standard error is the one that R sums by customer."""
    for rule in REFERENCE[name]["rules"]:
        lift = lift_of_rule(name, rule, by_month=False)
        assert lift.lift == pytest.approx(rule["lift"], rel=1e-12)
        expected = rule["log_lift_se_by_customer"]
        assert lift.log_se == pytest.approx(
            math.nan if expected is None else expected, rel=1e-10, abs=1e-12, nan_ok=True
        )


@pytest.mark.parametrize("name", REFERENCE)
def test_lift_within_months_equals_that_of_r(name: str) -> None:
    """With months as strata the lift is observed over the sum of each month's expectation."""
    for rule in REFERENCE[name]["rules"]:
        assert lift_of_rule(name, rule, by_month=True).lift == pytest.approx(rule["lift_within_months"], rel=1e-12)


def test_an_item_of_every_occasion_proves_nothing() -> None:
    """Where one margin is full nothing can vary: no z, p = 1, lift 1."""
    customer = np.repeat(np.arange(50), 3)
    lift = lift_beyond_habit(
        sums_of_occasions(customer, customer % 7, np.arange(150) % 2 == 0, np.ones(150, dtype=bool))
    )
    assert math.isnan(lift.z)
    assert lift.p_value == 1.0
    assert lift.lift == pytest.approx(1.0)


def test_a_pair_never_met_has_lift_zero_and_no_interval() -> None:
    """Lift 0 has no logarithm: its bounds are nan, and its one-sided p is above one half."""
    antecedent = np.arange(120) % 4 < 2
    lift = lift_beyond_habit(
        sums_of_occasions(np.arange(120) // 4, np.zeros(120, dtype=np.int64), antecedent, ~antecedent)
    )
    assert lift.lift == 0.0
    assert all(map(math.isnan, lift.interval()))
    assert lift.p_value > 0.5


def test_one_occasion_a_customer_proves_nothing() -> None:
    """Where nobody came twice habit cannot be told from association: no lift and p = 1."""
    both = np.arange(100) % 2 == 0
    lift = lift_beyond_habit(sums_of_occasions(np.arange(100), np.zeros(100, dtype=np.int64), both, both))
    assert math.isnan(lift.lift)
    assert lift.p_value == 1.0


def test_habit_is_what_different_occasions_of_a_customer_show() -> None:
    """With one stratum the expected number is the mean, over other occasions, of x on one and y on another, in a recount."""
    customer, antecedent, consequent = heavy_buyers(np.random.default_rng(7), 40)
    expected = 0.0
    for one in np.unique(customer):
        x, y = antecedent[customer == one], consequent[customer == one]
        if x.size > 1:
            expected += sum(x[i] & y[j] for i in range(x.size) for j in range(x.size) if i != j) / (x.size - 1)
    lift = lift_beyond_habit(sums_of_occasions(customer, np.zeros_like(customer), antecedent, consequent))
    assert lift.expected == pytest.approx(expected)


def test_standard_error_equals_a_bootstrap_of_customers() -> None:
    """The standard error of log(lift) is the spread over resampled customers, within 6 %."""
    rng = np.random.default_rng(3)
    customer, antecedent, consequent = heavy_buyers(rng, 1000)
    stratum = customer % 4
    occasions_of = np.split(np.arange(customer.size), np.flatnonzero(np.diff(customer)) + 1)
    logs = []
    for _ in range(1200):
        drawn = [occasions_of[one] for one in rng.integers(0, 1000, 1000)]
        line, again = np.concatenate(drawn), np.repeat(np.arange(1000), [len(occasions) for occasions in drawn])
        logs.append(lift_beyond_habit(sums_of_occasions(again, stratum[line], antecedent[line], consequent[line])).lift)
    lift = lift_beyond_habit(sums_of_occasions(customer, stratum, antecedent, consequent))
    assert lift.log_se == pytest.approx(np.std(np.log(logs)), rel=0.06)


def test_interval_is_symmetric_in_ratios() -> None:
    """The 95 % interval reaches 1.96 standard errors of log(lift) to either side, the 90 % interval 1.645."""
    customer, antecedent, consequent = heavy_buyers(np.random.default_rng(8), 300)
    lift = lift_beyond_habit(sums_of_occasions(customer, customer % 4, antecedent, consequent))
    low, high = lift.interval()
    assert math.log(high / lift.lift) == pytest.approx(1.959964 * lift.log_se, rel=1e-6)
    assert math.log(lift.lift / low) == pytest.approx(1.959964 * lift.log_se, rel=1e-6)
    assert math.log(lift.interval(0.90)[1] / lift.lift) == pytest.approx(1.644854 * lift.log_se, rel=1e-6)


def test_z_is_standard_normal_for_independent_items_of_heavy_buyers() -> None:
    """However much customers differ, z has mean 0 and standard deviation 1; without the habit part its mean is above 2."""
    rng = np.random.default_rng(4)
    beyond_habit, habit_left_in = [], []
    for _ in range(400):
        customer, antecedent, consequent = heavy_buyers(rng, 800)
        sums = sums_of_occasions(customer, rng.integers(0, 12, customer.size), antecedent, consequent)
        beyond_habit.append(lift_beyond_habit(sums).z)
        habit_left_in.append(clustered_lift(sums.observed, sums.expected).z)
    assert np.mean(habit_left_in) > 2.0
    assert np.mean(beyond_habit) == pytest.approx(0.0, abs=4 / math.sqrt(400))
    assert np.std(beyond_habit) == pytest.approx(1.0, abs=4 / math.sqrt(800))


def test_strata_take_away_what_a_season_feigns() -> None:
    """Two independent items that sell in the same months are associated over the year and not within months."""
    rng = np.random.default_rng(5)
    customer, month = np.repeat(np.arange(2000), 6), np.tile(np.arange(6), 2000)
    share = np.where(month < 2, 0.4, 0.05)
    antecedent, consequent = rng.random(customer.size) < share, rng.random(customer.size) < share
    assert lift_beyond_habit(sums_of_occasions(customer, 0 * month, antecedent, consequent)).p_value < 1e-6
    assert lift_beyond_habit(sums_of_occasions(customer, month, antecedent, consequent)).p_value > 0.05
