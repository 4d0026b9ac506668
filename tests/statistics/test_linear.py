"""Permutation moments of group sums against coin, and what they must not depend on."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import permutations
from math import comb, prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import chdtrc

from segmentor.errors import StatisticsError
from segmentor.statistics.linear import (
    GroupSums,
    centre,
    linear_statistic,
    quadratic_form,
    quadratic_variances,
    whitener,
    whiteners,
)

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = json.loads((REFERENCE / "permutation.json").read_text())["cases"]
DEGENERATE = json.loads((REFERENCE / "degenerate.json").read_text())["cases"]
MAX_T = json.loads((REFERENCE / "multiplicity.json").read_text())["max_t"]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
UNIT = 2**40


def _codes(labels):
    return np.unique(labels, return_inverse=True)[1]


def _power_sums(scores, groups, cohorts):
    """Raw integer sums of scores times `UNIT`, as an engine would make them."""
    whole = [[round(score * UNIT) for score in row] for row in scores]
    n_scores, n_groups, n_cohorts = len(whole), max(groups) + 1, max(cohorts) + 1
    customers = np.zeros((n_groups, n_cohorts), dtype=np.int64)
    sums = np.zeros((n_scores, n_groups, n_cohorts), dtype=object)
    products = np.zeros((n_scores, n_scores, n_cohorts), dtype=object)
    cubes = np.zeros((n_scores, n_cohorts), dtype=object)
    for number, (group, cohort) in enumerate(zip(groups, cohorts, strict=True)):
        customers[group, cohort] += 1
        for one, row in enumerate(whole):
            sums[one, group, cohort] += row[number]
            cubes[one, cohort] += row[number] ** 3
            for other, other_row in enumerate(whole):
                products[one, other, cohort] += row[number] * other_row[number]
    return customers, sums, products, cubes


def _assert_test(scores, groups, cohorts, expected):
    """The linear statistic, its moments, quadratic form, degrees of freedom and p are coin's."""
    linear = linear_statistic(GroupSums.from_scores(np.array([scores]), _codes(groups), cohorts))
    assert np.unique(groups).tolist() == expected["levels"]
    shown = slice(0, 1) if len(expected["levels"]) == 2 else slice(None)
    np.testing.assert_allclose(linear.statistic[0, shown], expected["linear_statistic"], **TOLERANCE)
    np.testing.assert_allclose(linear.expectation[0, shown], expected["expectation"], **TOLERANCE)
    np.testing.assert_allclose(linear.covariance[0, 0, shown, shown], expected["covariance"], **TOLERANCE)
    if expected["df"] == 0:
        with pytest.raises(StatisticsError, match="covariance is zero"):
            quadratic_form(linear.deviation[0], linear.covariance[0, 0])
        return
    statistic, degrees = quadratic_form(linear.deviation[0], linear.covariance[0, 0])
    assert degrees == expected["df"]
    assert statistic == pytest.approx(expected["statistic"], rel=1e-12, abs=1e-12)
    assert chdtrc(degrees, statistic) == pytest.approx(expected["p"], rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("split", ["group", "kind"])
@pytest.mark.parametrize("stratified", ["plain", "within_cohorts"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dataset']}-{case['weighting']}")
def test_permutation_moments_equal_coin(case, stratified, split, shop):
    """permutation.json `group` and `kind`, `plain` and `within_cohorts`: `levels`, `linear_statistic`, `expectation`, `covariance`, `statistic`, `df`, `p`."""
    attributes = shop(case["dataset"], case["weighting"]).attributes
    cohorts = _codes(attributes["cohort"]) * (stratified == "within_cohorts")
    _assert_test(case["scores"], attributes[split], cohorts, case[split][stratified])


@pytest.mark.parametrize(
    "case", [case for case in CASES if "sums_within_cohorts" in case["group"]], ids=lambda case: case["dataset"]
)
def test_group_sums_equal_the_reference(case, shop):
    """permutation.json `sums_within_cohorts`: `n`, `sum` by `group` and `stratum`, and each stratum's sums of `sum_of_squares`."""
    attributes, expected = shop(case["dataset"]).attributes, case["group"]["sums_within_cohorts"]
    scores = np.array([case["scores"]])
    sums = GroupSums.from_scores(scores, _codes(attributes["group"]), _codes(attributes["cohort"]))
    filled = sums.customers.T > 0
    np.testing.assert_array_equal(sums.customers.T[filled], expected["n"])
    totals = (sums.deviations + sums.means[:, None] * sums.customers)[0]
    np.testing.assert_allclose(totals.T[filled], expected["sum"], **TOLERANCE)
    squares = np.bincount(_codes(expected["stratum"]), expected["sum_of_squares"])
    own = sums.covariances[0, 0] + sums.customers.sum(axis=0) * sums.means[0] ** 2
    np.testing.assert_allclose(own, squares, **TOLERANCE)


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("field", ["permutation", "permutation_within_cohorts"])
def test_degenerate_splits_equal_coin_or_are_refused(name, field, degenerate_shop):
    """degenerate.json `permutation` and `permutation_within_cohorts`: `levels`, `linear_statistic`, `expectation`, `covariance`, `statistic`, `df`, `p`.

    Where coin stops with a `failure`, so does the test, or it leaves out what it may.
    """
    case, expected = DEGENERATE[name], DEGENERATE[name]["expected"]
    attributes = degenerate_shop(name).attributes
    cohorts = _codes(attributes["cohort"]) * (field == "permutation_within_cohorts")
    wanted = expected[field]
    if "failure" not in wanted:
        _assert_test(expected["scores"], attributes["group"], cohorts, wanted)
        return
    linear = linear_statistic(
        GroupSums.from_scores(np.array([expected["scores"]]), _codes(attributes["group"]), cohorts)
    )
    if f"{field}_of_two_or_more" in expected:
        reduced = expected[f"{field}_of_two_or_more"]
        assert quadratic_form(linear.deviation[0], linear.covariance[0, 0]) == (
            pytest.approx(reduced["statistic"], rel=1e-12),
            reduced["df"],
        )
        return
    assert case["about"].startswith(("one customer", "all customers in a"))
    with pytest.raises(StatisticsError, match="no cohort holds two groups"):
        quadratic_form(linear.deviation[0], linear.covariance[0, 0])


@pytest.mark.parametrize(
    "name",
    [name for name, case in DEGENERATE.items() if "permutation_within_cohorts_of_two_or_more" in case["expected"]],
)
def test_cohorts_of_one_left_out_equal_coin(name, degenerate_shop):
    """degenerate.json `permutation_within_cohorts_of_two_or_more`: `levels`, `linear_statistic`, `expectation`, `covariance`, `statistic`, `df`, `p`."""
    expected, attributes = DEGENERATE[name]["expected"], degenerate_shop(name).attributes
    cohorts = _codes(attributes["cohort"])
    kept = np.bincount(cohorts)[cohorts] > 1
    assert not kept.all()
    _assert_test(
        np.array(expected["scores"])[kept],
        attributes["group"][kept],
        _codes(cohorts[kept]),
        expected["permutation_within_cohorts_of_two_or_more"],
    )


@pytest.mark.parametrize(
    "case", [case for case in CASES if "coin_logrank_test_z" in case["group"]], ids=lambda case: case["dataset"]
)
def test_standardised_sum_is_the_logrank_test_of_coin(case, shop):
    """permutation.json `group.coin_logrank_test_z` is the standardised sum of single gaps, with the sign of H - d."""
    attributes = shop(case["dataset"], case["weighting"]).attributes
    scores, cohorts = np.array([case["scores"]]), np.zeros(len(case["scores"]), dtype=int)
    linear = linear_statistic(GroupSums.from_scores(scores, _codes(attributes["group"]), cohorts))
    z = linear.deviation[0, 0] / np.sqrt(linear.covariance[0, 0, 0, 0])
    assert -z == pytest.approx(case["group"]["coin_logrank_test_z"], rel=1e-12)


@pytest.mark.parametrize("field", ["plain_exact", "within_cohorts_exact"])
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if {"plain_exact", "within_cohorts_exact"} & set(case["group"])],
    ids=lambda case: case["dataset"],
)
def test_arrangements_are_counted_by_cohort(case, field, shop):
    """permutation.json `plain_exact.arrangements` and `within_cohorts_exact.arrangements` are products of binomial coefficients."""
    attributes = shop(case["dataset"], case["weighting"]).attributes
    cohorts = _codes(attributes["cohort"]) * (field == "within_cohorts_exact")
    sums = GroupSums.from_scores(np.array([case["scores"]]), _codes(attributes["group"]), cohorts)
    number = prod(comb(int(both.sum()), int(both[0])) for both in sums.customers.T)
    assert field not in case["group"] or number == case["group"][field]["arrangements"]


@pytest.mark.parametrize("case", MAX_T, ids=lambda case: f"{case['dataset']}-{case['within_cohorts']}")
def test_standardised_sums_equal_coin(case, shop):
    """multiplicity.json `max_t[].standardised` is the standardised sum of the first group of each split."""
    attributes = shop(case["dataset"], case["weighting"]).attributes
    by_name = {(one["dataset"], one["weighting"]): one["scores"] for one in CASES}
    scores = np.array([by_name[case["dataset"], case["weighting"]]])
    cohorts = _codes(attributes["cohort"]) * case["within_cohorts"]
    for labels, expected in zip(case["splits"].values(), case["standardised"], strict=True):
        linear = linear_statistic(GroupSums.from_scores(scores, _codes(labels), cohorts))
        z = linear.deviation[0, 0] / np.sqrt(linear.covariance[0, 0, 0, 0])
        assert z == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_moments_are_those_of_all_relabellings():
    """Expectation, covariance between groups and scores, and third moment equal those over every arrangement of labels."""
    scores = np.array([[3.0, -1.0, 0.5, 2.0, 7.0], [1.0, 4.0, -2.0, 0.0, 1.5]])
    groups, cohorts = np.array([0, 0, 1, 1, 2]), np.zeros(5, dtype=int)
    linear = linear_statistic(GroupSums.from_scores(scores, groups, cohorts))
    every = np.array([[np.bincount(labels, row, 3) for row in scores] for labels in permutations(groups)])
    centred = every - every.mean(axis=0)
    np.testing.assert_allclose(linear.expectation, every.mean(axis=0), **TOLERANCE)
    np.testing.assert_allclose(
        linear.covariance, np.einsum("nkg,nlh->klgh", centred, centred) / len(every), **TOLERANCE
    )
    np.testing.assert_allclose(linear.third, (centred**3).mean(axis=0), rtol=1e-11, atol=1e-11)


CUSTOMERS = st.lists(
    st.tuples(st.integers(-300, 300), st.integers(-300, 300), st.integers(0, 2), st.integers(0, 2)),
    min_size=4,
    max_size=40,
)


def _columns(customers):
    first, second, groups, cohorts = (np.array(column) for column in zip(*customers, strict=True))
    return np.stack([first, second]) / 64, groups, cohorts


@given(customers=CUSTOMERS, order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_moments_do_not_depend_on_the_order_of_customers(customers, order):
    """Shuffling the customers changes nothing."""
    shuffled = list(customers)
    order.shuffle(shuffled)
    _assert_same(_linear_of(customers), _linear_of(shuffled))


@given(customers=CUSTOMERS, renamed=st.permutations([0, 1, 2]))
@settings(deadline=None)
def test_renaming_groups_and_cohorts_renames_the_moments(customers, renamed):
    """Other numbers for groups and cohorts give the same moments in their new places."""
    every = [*customers, *((0, 0, place, place) for place in range(3))]
    places = np.argsort(renamed)
    other = _linear_of([(one, two, renamed[group], renamed[cohort]) for one, two, group, cohort in every])
    linear = _linear_of(every)
    np.testing.assert_allclose(other.deviation, linear.deviation[:, places], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.covariance, linear.covariance[:, :, places][:, :, :, places], rtol=1e-9, atol=1e-9)


@given(customers=CUSTOMERS, factor=st.sampled_from([-8.0, 0.125, 1024.0]), shift=st.integers(-50, 50))
@settings(deadline=None)
def test_scale_and_origin_of_scores_do_not_matter(customers, factor, shift):
    """Scores times a factor plus a constant scale the deviation, its covariance and third moment, and shift nothing."""
    scores, groups, cohorts = _columns(customers)
    one = linear_statistic(GroupSums.from_scores(scores, groups, cohorts))
    other = linear_statistic(GroupSums.from_scores(scores * factor + shift, groups, cohorts))
    np.testing.assert_allclose(other.deviation, one.deviation * factor, rtol=1e-9, atol=1e-9 * abs(factor))
    np.testing.assert_allclose(other.covariance, one.covariance * factor**2, rtol=1e-9, atol=1e-9 * factor**2)
    np.testing.assert_allclose(other.third, one.third * factor**3, rtol=1e-7, atol=1e-7 * abs(factor) ** 3)


@given(customers=CUSTOMERS, part=st.integers(1, 39))
@settings(deadline=None)
def test_raw_sums_of_disjoint_customers_add(customers, part):
    """Integer power sums of two parts of the customers add up to sums that give the moments of all."""
    every = [*customers, (1, 2, 2, 2)]
    scores, groups, cohorts = _columns(every)
    whole = linear_statistic(GroupSums.from_scores(scores, groups, cohorts))
    halves = [chosen for chosen in (every[:part], every[part:]) if chosen]
    padded = [_power_sums(*_columns([*chosen, (0, 0, 2, 2)])) for chosen in halves]
    extra = _power_sums(*_columns([(0, 0, 2, 2)]))
    added = [sum(parts) - len(halves) * spare for *parts, spare in zip(*padded, extra, strict=True)]
    _assert_same(linear_statistic(GroupSums.from_power_sums(*added, scale=UNIT)), whole)


def test_power_sums_are_centred_exactly():
    """A mean a million times the spread costs no digit: moments equal those in rational arithmetic."""
    whole = [10**15 + step for step in (0, 3, 11, -7, 2, 5)]
    groups, cohorts = np.array([0, 1, 0, 1, 1, 0]), np.zeros(6, dtype=int)
    customers, sums, products, cubes = _power_sums([[value / UNIT for value in whole]], groups, cohorts)
    linear = linear_statistic(GroupSums.from_power_sums(customers, sums, products, cubes, scale=UNIT))
    mean = Fraction(sum(whole), 6)
    deviation = float((sum(whole[i] for i in (0, 2, 5)) - 3 * mean) / UNIT)
    variance = float(sum((value - mean) ** 2 for value in whole) / 5 * Fraction(3, 2) / UNIT**2)
    assert linear.deviation[0, 0] == pytest.approx(deviation, rel=1e-15)
    assert linear.covariance[0, 0, 0, 0] == pytest.approx(variance, rel=1e-15)


def _linear_of(customers):
    return linear_statistic(GroupSums.from_scores(*_columns(customers)))


def _assert_same(one, other):
    for field in ("statistic", "expectation", "deviation", "covariance", "third"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-9, atol=1e-9, err_msg=field)


@pytest.mark.parametrize("sizes", [(7,), (5, 3), (4, 2, 1)])
def test_variance_of_the_quadratic_form_is_that_of_all_relabellings(sizes):
    """Over every arrangement within cohorts, of three, two and one customers too, mean and variance are rank and closed form."""
    generator = np.random.default_rng(len(sizes))
    cohorts = np.repeat(np.arange(len(sizes)), sizes)
    scores, groups = generator.gamma(0.5, 1, (2, sum(sizes))), np.array([0, 1, 2, 0, 2, 1, 0, 1])[: sum(sizes)]
    sums = GroupSums.from_scores(scores, groups, cohorts)
    linear, centred = linear_statistic(sums), centre(scores, cohorts)
    standards = whiteners(np.stack([linear.covariance[score, score] for score in (0, 1)]))
    fourths = np.stack([np.bincount(cohorts, row**4) for row in centred])
    squares = np.stack([np.bincount(cohorts, row**2) for row in centred])
    found = quadratic_variances(sums.customers, squares, fourths, standards)
    orders = [()]
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        orders = [one + other for one in orders for other in permutations(range(start, start + size))]
    for row, standard, variance in zip(centred, standards, found, strict=True):
        drawn = np.stack([row[np.array(orders)][:, groups == group].sum(axis=1) for group in range(3)], axis=1)
        forms = np.square(drawn @ standard).sum(axis=1)
        assert forms.mean() == pytest.approx((standard != 0).any(axis=0).sum(), rel=1e-9)
        assert forms.var() == pytest.approx(variance, rel=1e-9)


def test_whiteners_are_those_of_each_covariance():
    """Of any rank: the same inverse, with columns of zeros beyond the rank."""
    generator = np.random.default_rng(1)
    roots = generator.standard_normal((3, 5, 5)) * (np.arange(5) < np.array([5, 3, 0])[:, None, None])
    covariances = roots @ roots.transpose(0, 2, 1)
    for covariance, standard, rank in zip(covariances, whiteners(covariances), (5, 3, 0), strict=True):
        alone = whitener(covariance)
        np.testing.assert_allclose(standard @ standard.T, alone @ alone.T, rtol=1e-9, atol=1e-12)
        assert (standard != 0).any(axis=0).sum() == rank
