"""Lift, its test and its interval, against numbers from R, against a bootstrap, and under a null of dependent occasions."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlxtend.frequent_patterns import association_rules, fpgrowth
from scipy.special import chdtrc
from scipy.stats import hypergeom

from segmentor.statistics import association
from segmentor.statistics.association import (
    Estimate,
    Lift,
    Partner,
    RuleCounts,
    beyond_habit,
    clustered_lift,
    clustered_ratio,
    counts_by_habit,
    lifts_beyond_habit,
    mean_estimate,
    relative_rates,
)
from segmentor.statistics.two_sample import cramers_v

# Counted in base R 4.2.2; log_lift_se_by_customer is the root of the sum over customers of the squared sums of
# 1{xy}/n_xy - 1{x}/n_x - 1{y}/n_y + 1/n, and lift_within_months is n_xy over the sum over months of n_x n_y / n.
REFERENCE = json.loads((Path(__file__).parents[1] / "data/reference/association_rules.json").read_text())["tables"]


def lift_of_rule(name: str, rule: dict[str, Any], *, by_month: bool) -> Lift:
    """The lift of a reference rule over the baskets of its table, within months or over all.

    With the shares p and q of a stratum's baskets that hold x and y, a basket's influence on the expected number, the sum of
    n_x n_y / n over strata, is q 1{x} + p 1{y} - p q.
    """
    table = REFERENCE[name]
    baskets = [set(items.split()) for items in table["items"]]
    customer, stratum = np.array(table["customer"]), np.array(table["month"]) * by_month
    x = np.array([basket.issuperset(rule["antecedent"]) for basket in baskets], dtype=float)
    y = np.array([rule["consequent"] in basket for basket in baskets], dtype=float)
    p, q = ((np.bincount(stratum, held) / np.bincount(stratum).clip(min=1))[stratum] for held in (x, y))
    return clustered_lift(np.bincount(customer, x * y), np.bincount(customer, q * x + p * y - p * q))


def lift_of_occasions(customer: np.ndarray, antecedent: np.ndarray, consequent: np.ndarray, *rates: np.ndarray) -> Lift:
    """The lift from what each occasion holds; rates are equal unless given."""
    antecedent_rates, consequent_rates = rates or (np.ones(customer.size), np.ones(customer.size))
    return clustered_lift(
        *counts_by_habit(
            customer,
            kind=np.arange(customer.size),
            antecedent_rates=antecedent_rates,
            consequent_rates=consequent_rates,
            antecedent=np.flatnonzero(antecedent),
            consequent=np.flatnonzero(consequent),
            both=np.flatnonzero(antecedent & consequent),
        )
    )


def heavy_buyers(rng: np.random.Generator, customers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer of each occasion, and two items that customers with a large appetite both buy more often."""
    appetite = rng.lognormal(sigma=0.6, size=customers)
    customer = np.repeat(np.arange(customers), 1 + rng.poisson(5, customers))
    share = np.minimum(0.15 * appetite[customer], 1.0)
    return customer, rng.random(customer.size) < share, rng.random(customer.size) < share


def _table_of(rule: dict[str, Any]) -> np.ndarray:
    """Occasions with the antecedent and without, by consequent and not."""
    n, n_x, n_y, n_xy = (rule[field] for field in ("n", "n_antecedent", "n_consequent", "n_both"))
    return np.array([[n_xy, n_x - n_xy], [n_y - n_xy, n - n_x - n_y + n_xy]])


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


@pytest.mark.parametrize("name", REFERENCE)
def test_counts_are_those_of_the_baskets(name: str) -> None:
    """association_rules.json `n`, `n_antecedent`, `n_consequent`, `n_both`, `n_customers_with_both` are recounted from the baskets."""
    table = REFERENCE[name]
    baskets = list(zip(table["customer"], map(set, map(str.split, table["items"])), strict=True))
    for rule in table["rules"]:
        with_x = [(who, items) for who, items in baskets if items.issuperset(rule["antecedent"])]
        with_both = [who for who, items in with_x if rule["consequent"] in items]
        assert rule["n"] == len(baskets)
        assert rule["n_antecedent"] == len(with_x)
        assert rule["n_consequent"] == sum(rule["consequent"] in items for _, items in baskets)
        assert rule["n_both"] == len(with_both)
        assert rule["n_customers_with_both"] == len(set(with_both))


@pytest.mark.parametrize("name", REFERENCE)
def test_tests_of_four_cells_equal_those_of_r(name: str) -> None:
    """association_rules.json `chi_square`, `chi_square_p` are those of V's test, `odds_ratio`, `fisher_p_greater` follow from the counts."""
    for rule in REFERENCE[name]["rules"]:
        table = _table_of(rule)
        test = cramers_v(table)
        assert test.statistic == pytest.approx(_number(rule["chi_square"]), rel=1e-12, abs=1e-12, nan_ok=True)
        assert test.p_value == pytest.approx(_number(rule["chi_square_p"]), rel=1e-12, abs=1e-12, nan_ok=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds_ratio = np.float64(table[0, 0] * table[1, 1]) / (table[0, 1] * table[1, 0])
        assert odds_ratio == pytest.approx(_number(rule["odds_ratio"]), rel=1e-12, nan_ok=True)
        tail = hypergeom.sf(rule["n_both"] - 1, rule["n"], rule["n_antecedent"], rule["n_consequent"])
        assert tail == pytest.approx(rule["fisher_p_greater"], rel=1e-10)


@pytest.mark.parametrize("name", REFERENCE)
def test_stratified_tables_equal_mantelhaen_test(name: str) -> None:
    """association_rules.json `mantel_haenszel_odds_ratio`, `mantel_haenszel_statistic`, `mantel_haenszel_p` over months in which both vary.

    R: `mantelhaen.test(correct = FALSE)`.
    """
    for rule in REFERENCE[name]["rules"]:
        tables = np.array(
            [table for table in _tables_by_month(name, rule) if table.sum(axis=0).all() and table.sum(axis=1).all()]
        )
        if len(tables) < 2:
            assert rule["mantel_haenszel_p"] is None
            continue
        n = tables.sum(axis=(1, 2))
        x, y = tables.sum(axis=2), tables.sum(axis=1)
        variance = (x.prod(axis=1) * y.prod(axis=1) / (n**2 * (n - 1))).sum()
        statistic = (tables[:, 0, 0] - x[:, 0] * y[:, 0] / n).sum() ** 2 / variance
        assert statistic == pytest.approx(rule["mantel_haenszel_statistic"], rel=1e-11, abs=1e-12)
        assert chdtrc(1, statistic) == pytest.approx(rule["mantel_haenszel_p"], rel=1e-11)
        concordant, discordant = tables[:, 0, 0] * tables[:, 1, 1] / n, tables[:, 0, 1] * tables[:, 1, 0] / n
        with np.errstate(divide="ignore"):
            common = concordant.sum() / discordant.sum()
        assert common == pytest.approx(_number(rule["mantel_haenszel_odds_ratio"]), rel=1e-11)


def _tables_by_month(name: str, rule: dict[str, Any]) -> list[np.ndarray]:
    """The four cells of a rule in each month."""
    table = REFERENCE[name]
    tables = {month: np.zeros((2, 2)) for month in sorted(set(table["month"]))}
    for month, items in zip(table["month"], map(str.split, table["items"]), strict=True):
        tables[month][int(not set(rule["antecedent"]) <= set(items)), int(rule["consequent"] not in items)] += 1
    return list(tables.values())


@pytest.mark.parametrize("name", REFERENCE)
def test_ratios_equal_those_of_r(name: str) -> None:
    """association_rules.json `support`, `confidence`, `lift`, `leverage` and `conviction` of every rule are R's."""
    for rule in REFERENCE[name]["rules"]:
        counts = RuleCounts(rule["n"], rule["n_antecedent"], rule["n_consequent"], rule["n_both"])
        for ratio in ("support", "confidence", "lift", "leverage", "conviction"):
            expected = _number(rule[ratio])
            assert getattr(counts, ratio) == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True), ratio


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
@pytest.mark.parametrize("name", REFERENCE)
def test_ratios_equal_those_of_mlxtend(name: str) -> None:
    """Rules of mlxtend's itemsets have our ratios, but for a consequent of every occasion, whose conviction we leave undefined."""
    items = [set(items.split()) for items in REFERENCE[name]["items"]]
    letters = sorted(set.union(*items))
    held = pd.DataFrame([[letter in basket for letter in letters] for basket in items], columns=letters)
    rules = association_rules(fpgrowth(held, min_support=1e-9, use_colnames=True), metric="support", min_threshold=0.0)
    assert len(rules)
    for _, rule in rules.iterrows():
        sides = (list(rule["antecedents"]), list(rule["consequents"]))
        antecedent, consequent = (held[side].all(axis=1) for side in sides)
        counts = RuleCounts(len(held), antecedent.sum(), consequent.sum(), (antecedent & consequent).sum())
        for ratio in ("support", "confidence", "lift", "leverage"):
            assert getattr(counts, ratio) == pytest.approx(rule[ratio], rel=1e-12, abs=1e-12), ratio
        if not consequent.all():
            assert counts.conviction == pytest.approx(rule["conviction"], rel=1e-12)


def test_ratios_of_nothing_are_undefined() -> None:
    """A ratio over no occasion is nan, neither 0 nor an error."""
    counts = RuleCounts(occasions=0, antecedent=0, consequent=0, both=0)
    ratios = (counts.support, counts.confidence, counts.lift, counts.leverage, counts.conviction)
    assert all(map(math.isnan, ratios))


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
    lift = lift_of_occasions(np.repeat(np.arange(50), 3), np.arange(150) % 2 == 0, np.ones(150, dtype=bool))
    assert math.isnan(lift.z)
    assert lift.p_value == 1.0
    assert lift.lift == pytest.approx(1.0)


def test_a_pair_never_met_has_lift_zero_and_no_interval() -> None:
    """Lift 0 has no logarithm: its bounds are nan, and its one-sided p is above one half."""
    antecedent = np.arange(120) % 4 < 2
    lift = lift_of_occasions(np.arange(120) // 4, antecedent, ~antecedent)
    assert lift.lift == 0.0
    assert all(map(math.isnan, lift.interval()))
    assert lift.p_value > 0.5


def test_one_occasion_a_customer_proves_nothing() -> None:
    """Where nobody came twice habit cannot be told from association: no lift and p = 1."""
    both = np.arange(100) % 2 == 0
    lift = lift_of_occasions(np.arange(100), both, both)
    assert math.isnan(lift.lift)
    assert lift.p_value == 1.0


@pytest.mark.parametrize("equal", [True, False])
def test_habit_is_what_different_occasions_of_a_customer_show(*, equal: bool) -> None:
    """The expected number is that of pairs of different occasions with x and y, times the ratio of their rates, in a recount."""
    rng = np.random.default_rng(7)
    customer, antecedent, consequent = heavy_buyers(rng, 40)
    s, t = np.ones((2, customer.size)) if equal else rng.uniform(0.5, 2.0, (2, customer.size))
    expected = 0.0
    for one in np.unique(customer):
        own = np.flatnonzero(customer == one)
        different = list(permutations(own, 2))
        if different:
            met = sum(antecedent[first] & consequent[second] for first, second in different)
            expected += met * sum(s[own] * t[own]) / sum(s[first] * t[second] for first, second in different)
    assert lift_of_occasions(customer, antecedent, consequent, s, t).expected == pytest.approx(expected)


@pytest.mark.parametrize("together", [1, 2, 1_000_000])
def test_lifts_of_many_partners_are_those_of_each(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One antecedent with nine partners, however many at once, has the lifts of nine tests; also where it or they are on one occasion, or none."""
    rng = np.random.default_rng(11)
    customer = np.repeat(np.arange(150), 1 + rng.poisson(3, 150))
    kind, rates = rng.integers(0, 4, customer.size), rng.uniform(0.5, 2.0, (10, 4))
    for share in (0.0, 0.01, 0.2, 1.0):
        antecedent, partners, expected = rng.random(customer.size) < share, [], []
        for number in range(9):
            consequent = rng.random(customer.size) < number * 0.05
            changed = np.where(consequent, rng.integers(0, 4, customer.size), kind)
            held = np.flatnonzero(consequent)
            partners.append(Partner(held, kind=changed[held], both=antecedent[held], rates=rates[number]))
            expected.append(
                clustered_lift(
                    *counts_by_habit(
                        customer,
                        kind=changed,
                        antecedent_rates=rates[9],
                        consequent_rates=rates[number],
                        antecedent=np.flatnonzero(antecedent),
                        consequent=held,
                        both=np.flatnonzero(antecedent & consequent),
                    )
                )
            )
        monkeypatch.setattr(association, "_CELLS", together * np.unique(customer[antecedent]).size)
        found = lifts_beyond_habit(
            customer, kind=kind, rates=rates[9], antecedent=np.flatnonzero(antecedent), partners=partners
        )
        for one, other in zip(found, expected, strict=True):
            assert astuple(one) == pytest.approx(astuple(other), rel=1e-11, abs=1e-11, nan_ok=True)


def test_standard_error_equals_a_bootstrap_of_customers() -> None:
    """The standard error of log(lift) is the spread over resampled customers, within 6 %."""
    rng = np.random.default_rng(3)
    customer, antecedent, consequent = heavy_buyers(rng, 1000)
    occasions_of = np.split(np.arange(customer.size), np.flatnonzero(np.diff(customer)) + 1)
    logs = []
    for _ in range(1200):
        drawn = [occasions_of[one] for one in rng.integers(0, 1000, 1000)]
        line, again = np.concatenate(drawn), np.repeat(np.arange(1000), [len(occasions) for occasions in drawn])
        logs.append(math.log(lift_of_occasions(again, antecedent[line], consequent[line]).lift))
    assert lift_of_occasions(customer, antecedent, consequent).log_se == pytest.approx(np.std(logs), rel=0.06)


def test_interval_is_symmetric_in_ratios() -> None:
    """The 95 % interval reaches 1.96 standard errors of log(lift) to either side, the 90 % interval 1.645."""
    lift = lift_of_occasions(*heavy_buyers(np.random.default_rng(8), 300))
    low, high = lift.interval()
    assert math.log(high / lift.lift) == pytest.approx(1.959964 * lift.log_se, rel=1e-6)
    assert math.log(lift.lift / low) == pytest.approx(1.959964 * lift.log_se, rel=1e-6)
    assert math.log(lift.interval(0.90)[1] / lift.lift) == pytest.approx(1.644854 * lift.log_se, rel=1e-6)


def test_interval_covers_a_planted_lift() -> None:
    """The 95 % interval covers the lift of items that call for each other in 92 to 98 of 100 shops of heavy buyers."""
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(400):
        appetite = rng.lognormal(sigma=0.6, size=600)
        customer = np.repeat(np.arange(600), 1 + rng.poisson(6, 600))
        share = np.minimum(0.1 * appetite[customer], 0.5)
        antecedent = rng.random(customer.size) < share
        consequent = rng.random(customer.size) < share * np.where(antecedent, 1.8, 1.0)
        # A customer's share of y is s (1 + 0.8 s): over customers with n s of x each, O / E is known in full.
        truth = np.sum(1.8 * share**2) / np.sum(share**2 * (1 + 0.8 * share))
        low, high = lift_of_occasions(customer, antecedent, consequent).interval()
        covered += low < truth < high
    assert 0.92 < covered / 400 < 0.98


def test_z_is_standard_normal_for_independent_items_of_heavy_buyers_in_season() -> None:
    """With relative rates fitted, z has mean 0 and standard deviation 1; over all occasions alike its mean is above 3."""
    rng = np.random.default_rng(4)
    fitted, plain = [], []
    for _ in range(300):
        appetite = rng.lognormal(sigma=0.6, size=800)
        customer = np.repeat(np.arange(800), 1 + rng.poisson(5, 800))
        month = rng.integers(0, 6, customer.size)
        share = np.minimum(0.1 * appetite[customer] * np.where(month == 5, 3.0, 1.0), 1.0)
        antecedent, consequent = rng.random(customer.size) < share, rng.random(customer.size) < share
        rates = [
            relative_rates(customer, np.flatnonzero(held), margins=(month, 0 * month))[0][month]
            for held in (antecedent, consequent)
        ]
        fitted.append(lift_of_occasions(customer, antecedent, consequent, *rates).z)
        plain.append(lift_of_occasions(customer, antecedent, consequent).z)
    assert np.mean(plain) > 3.0
    assert np.mean(fitted) == pytest.approx(0.0, abs=4 / math.sqrt(300))
    assert np.std(fitted) == pytest.approx(1.0, abs=4 / math.sqrt(600))


def test_relative_rates_are_those_within_customers() -> None:
    """Planted effects of two factors are recovered, though heavy buyers come at one of their levels more often."""
    rng = np.random.default_rng(10)
    heavy = np.repeat([False, True], 2000)
    customer = np.repeat(np.arange(4000), 20)
    weekend = (rng.random(customer.size) < np.where(heavy[customer], 0.8, 0.2)).astype(np.int64)
    month = rng.integers(0, 4, customer.size)
    share = np.where(heavy[customer], 0.3, 0.05) * np.array([1.0, 0.7])[weekend] * np.array([1.0, 1.0, 1.0, 2.0])[month]
    held = np.flatnonzero(rng.random(customer.size) < share)
    by_month, by_weekend = relative_rates(customer, held, margins=(month, weekend))
    assert by_weekend[1] / by_weekend[0] == pytest.approx(0.7, rel=0.05)
    assert by_month / by_month[0] == pytest.approx([1.0, 1.0, 1.0, 2.0], rel=0.06)


def test_levels_without_occasions_have_rate_one() -> None:
    """What was never observed is neutral, and so is everything for an item that nobody bought."""
    customer, level = np.repeat(np.arange(30), 4), np.tile([0, 3, 3, 0], 30)
    by_month, _ = relative_rates(customer, np.arange(0, 120, 3), margins=(level, 0 * level))
    assert (by_month[1:3] == 1.0).all()
    by_month, by_appetite = relative_rates(customer, np.array([], dtype=np.int64), margins=(level, level))
    assert (by_month == 1.0).all()
    assert (by_appetite == 1.0).all()


@pytest.mark.parametrize("occasions_a_cell", [1, 1_000_000])
def test_relative_rates_are_observed_over_expected_numbers(
    occasions_a_cell: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each level of three margins the rate is observed over expected without it, cells that never occur left out or not."""
    monkeypatch.setattr(association, "_OCCASIONS_A_CELL", occasions_a_cell)
    rng = np.random.default_rng(14)
    customer = np.repeat(np.arange(400), 1 + rng.poisson(20, 400))
    margins = [
        rng.integers(0, 5, customer.size),
        rng.integers(2, 6, customer.size),
        rng.binomial(12, 0.2, customer.size),
    ]
    given = rng.uniform(0.5, 2.0, customer.size)
    share = 0.1 * given * (1 + margins[0] / 4) * (1 + margins[2] / 12)
    held = rng.random(customer.size) < share * rng.lognormal(sigma=0.4, size=400)[customer]
    fitted = relative_rates(customer, np.flatnonzero(held), margins=margins, given=given)
    rate = given * np.prod([rates[levels] for rates, levels in zip(fitted, margins, strict=True)], axis=0)
    expected = (np.bincount(customer, held) / np.bincount(customer, rate))[customer] * rate
    for levels, rates in zip(margins, fitted, strict=True):
        observed, alike = np.bincount(levels, held), np.bincount(levels, expected / rates[levels])
        assert rates == pytest.approx((observed + 0.5) / (alike * observed.sum() / alike.sum() + 0.5), rel=0.005)


def test_ratio_of_sums_has_the_spread_of_its_customers() -> None:
    """Of 1 of 2, 2 of 4 and 4 of 4 occasions 0.7 hold it; deviations are -0.4, -0.8 and 1.2 of ten; nobody's are none."""
    ratio, standard_error = clustered_ratio(np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 4.0]))
    assert ratio == pytest.approx(0.7)
    assert standard_error == pytest.approx(math.sqrt(0.4**2 + 0.8**2 + 1.2**2) / 10)
    assert np.isnan(clustered_ratio(np.zeros(2), np.zeros(2))).all()


def test_product_of_estimates_has_the_bounds_of_both() -> None:
    """Logarithms of two lognormal estimates add, their standard errors as squares; a certain factor changes nothing but the scale."""
    first, second = (
        Estimate(value, value * math.exp(-1.96 * se), value * math.exp(1.96 * se)) for value, se in ((2, 0.3), (5, 0.4))
    )
    product = first.by(second)
    assert product.value == 10.0
    assert math.log(product.high / 10) == pytest.approx(1.96 * 0.5)
    assert math.log(10 / product.low) == pytest.approx(1.96 * 0.5)
    certain = first.by(Estimate(3.0, 3.0, 3.0))
    assert (certain.low, certain.high) == pytest.approx((first.times(3.0).low, first.times(3.0).high))


def test_product_with_a_bound_of_nothing_may_be_nothing() -> None:
    """A lower bound of 0 stays 0 in a product; with an estimate of 0 there is no interval."""
    assert Estimate(2.0, 0.0, 3.0).by(Estimate(1.0, 0.5, 2.0)).low == 0.0
    product = Estimate(2.0, 1.0, 3.0).by(mean_estimate(np.zeros(4)))
    assert product.value == 0.0
    assert math.isnan(product.low)
    assert math.isnan(product.high)


def test_what_habit_explains_is_taken_off() -> None:
    """Confidence 0.6 at a lift of 3 leaves 0.4; where the lift may be 1 the lower bound is 0; certainty of the share leaves the lift's."""
    found = beyond_habit(0.6, 0.05, Lift(30.0, 10.0, 5.0, 0.1))
    assert found.value == pytest.approx(0.4)
    assert 0.0 < found.low < 0.4 < found.high < 0.6
    assert beyond_habit(0.6, 0.05, Lift(12.0, 10.0, 1.0, 0.2)).low == 0.0
    always = beyond_habit(1.0, 0.0, Lift(20.0, 10.0, 5.0, 0.0))
    assert (always.low, always.value, always.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("factor", [1.4, 1.8, 3.0])
def test_interval_covers_what_a_rule_adds(factor: float) -> None:
    """The 95 % interval of confidence x (1 - 1 / lift) covers its true value in 94 % or more of 300 shops of heavy buyers."""
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(300):
        appetite = rng.lognormal(sigma=0.6, size=600)
        customer = np.repeat(np.arange(600), 1 + rng.poisson(6, 600))
        share = np.minimum(0.1 * appetite[customer], 0.3)
        antecedent = rng.random(customer.size) < share
        consequent = rng.random(customer.size) < share * np.where(antecedent, factor, 1.0)
        # Over customers with n s of x each, the confidence and O / E are known in full.
        lift = factor * np.sum(share**2) / np.sum(share**2 * (1 + (factor - 1) * share))
        truth = factor * np.sum(share**2) / np.sum(share) * (1 - 1 / lift)
        both, bought = np.bincount(customer, antecedent & consequent), np.bincount(customer, antecedent)
        confidence = clustered_ratio(both, bought)
        found = beyond_habit(*confidence, lift_of_occasions(customer, antecedent, consequent))
        covered += found.low <= truth <= found.high
    assert covered >= 0.94 * 300
