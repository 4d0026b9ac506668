"""Differences, ratios and equivalence of groups against the reference, and simultaneous intervals against known quantiles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import studentized_range

from segmentor.statistics.effects import (
    customers_for_equivalence,
    customers_for_separation,
    pair_intervals,
    simultaneous_quantile,
)
from segmentor.statistics.survival import (
    last_day,
    restricted_mean,
    restricted_mean_influence,
    survival,
    survival_influence,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "reference" / "effects.json").read_text())


def _groups_of(case, shop):
    whole = shop(case["dataset"], case["weighting"], case["rows"])
    return [whole.among(whole.attributes[case["split"]] == case[name]) for name in ("a", "b")]


def _means(gaps, horizon):
    if not np.equal(np.mod(gaps[0].times, 1), 0).all():
        return np.array([part.restricted_mean(horizon) for part in gaps]).T
    means = np.array([restricted_mean(survival(part.table), horizon) for part in gaps])
    return means, np.array([part.error(restricted_mean_influence(part.table, horizon)) for part in gaps])


@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda case: f"{case['dataset']}-{case['split']}-{case['a']}{case['b']}"
)
def test_differences_and_ratios_equal_the_reference(case, shop):
    """effects.json `cases[]`: restricted means, difference, ratio, their standard errors, intervals and p are reproduced."""
    means, errors = _means(_groups_of(case, shop), case["horizon_days"])
    np.testing.assert_allclose(means, [case["restricted_mean_a"], case["restricted_mean_b"]], rtol=1e-12)
    np.testing.assert_allclose(errors, [case["restricted_mean_a_se"], case["restricted_mean_b_se"]], rtol=1e-12)
    days = pair_intervals(means, errors)
    assert days.difference[0] == pytest.approx(case["difference_days"], rel=1e-11, abs=1e-12)
    assert days.standard_error[0] == pytest.approx(case["difference_days_se"], rel=1e-12)
    np.testing.assert_allclose([days.low[0], days.high[0]], case["difference_days_ci_95"], rtol=1e-11, atol=1e-12)
    ratio = pair_intervals(np.log(means), errors / means)
    assert ratio.difference[0] == pytest.approx(case["log_ratio"], rel=1e-11, abs=1e-12)
    assert ratio.standard_error[0] == pytest.approx(case["log_ratio_se"], rel=1e-12)
    np.testing.assert_allclose(np.exp([ratio.low[0], ratio.high[0]]), case["ratio_ci_95"], rtol=1e-12)
    np.testing.assert_allclose(
        np.exp([ratio.equivalence_low[0], ratio.equivalence_high[0]]), case["ratio_ci_90"], rtol=1e-12
    )
    z = days.difference[0] / days.standard_error[0]
    assert z == pytest.approx(case["difference_z"], rel=1e-11, abs=1e-12)
    assert 2 * ndtr(-abs(z)) == pytest.approx(case["difference_p"], rel=1e-11)
    assert np.exp(ratio.difference[0]) == pytest.approx(case["ratio"], rel=1e-12)
    assert 2 * ndtr(-abs(ratio.difference[0] / ratio.standard_error[0])) == pytest.approx(case["ratio_p"], rel=1e-11)


@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda case: f"{case['dataset']}-{case['split']}-{case['a']}{case['b']}"
)
def test_two_one_sided_tests_equal_the_reference(case, shop):
    """effects.json `tost[]`: `z_above_low`, `z_below_high`, `p_above_low`, `p_below_high`, `p`, and `equivalent_at_5_percent` from the interval alone."""
    means, errors = _means(_groups_of(case, shop), case["horizon_days"])
    ratio = pair_intervals(np.log(means), errors / means)
    for test in case["tost"]:
        bound = np.log1p(test["margin"])
        inside = -bound < ratio.equivalence_low[0] and ratio.equivalence_high[0] < bound
        assert inside == test["equivalent_at_5_percent"]
        above, below = (ratio.difference[0] + sign * bound for sign in (1, -1))
        assert above / ratio.standard_error[0] == pytest.approx(test["z_above_low"], rel=1e-11)
        assert below / ratio.standard_error[0] == pytest.approx(test["z_below_high"], rel=1e-11)
        tails = [ndtr(-above / ratio.standard_error[0]), ndtr(below / ratio.standard_error[0])]
        assert tails == pytest.approx([test["p_above_low"], test["p_below_high"]], rel=1e-10, abs=1e-12)
        assert max(tails) == pytest.approx(test["p"], rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda case: f"{case['dataset']}-{case['split']}-{case['a']}{case['b']}"
)
def test_shares_back_equal_the_reference(case, shop):
    """effects.json `cases[].back_within`: shares back, their difference and its interval, as far as both curves are known."""
    gaps, expected = _groups_of(case, shop), case["back_within"]
    last = min(part.times[last_day(part.table)] for part in gaps)
    for number, day in enumerate(day for day in expected["days"] if day <= last):
        places = [part.place(day) for part in gaps]
        shares = np.array([1 - survival(part.table)[place] for part, place in zip(gaps, places, strict=True)])
        errors = np.array(
            [part.error(survival_influence(part.table, place)) for part, place in zip(gaps, places, strict=True)]
        )
        pair = pair_intervals(shares, errors)
        computed = [*shares, pair.difference[0], pair.standard_error[0], pair.low[0], pair.high[0]]
        fields = ("share_a", "share_b", "difference", "difference_se", "difference_ci_95_low", "difference_ci_95_high")
        np.testing.assert_allclose(computed, [expected[field][number] for field in fields], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", REFERENCE["standardised_over_cohorts"], ids=lambda case: case["dataset"])
@pytest.mark.parametrize("group", ["a", "b"])
def test_standardised_means_equal_the_reference(case, group, shop):
    """effects.json `standardised_over_cohorts`: by cohort, averaged, and by reweighted customers, with their errors."""
    whole, expected, horizon = shop(case["dataset"]), case[group], case["horizon_days"]
    cohorts, member = whole.attributes["cohort"], whole.attributes["group"] == group
    shares = np.array(expected["cohort_shares"])
    by_cohort = [whole.among(member & (cohorts == cohort)) for cohort in expected["cohorts"]]
    means, errors = _means(by_cohort, horizon)
    np.testing.assert_allclose(means, expected["restricted_mean_by_cohort"], rtol=1e-12)
    np.testing.assert_allclose(errors, expected["restricted_mean_by_cohort_se"], rtol=1e-12)
    assert shares @ means == pytest.approx(expected["averaged_over_cohorts"], rel=1e-12)
    assert np.hypot.reduce(shares * errors) == pytest.approx(expected["averaged_over_cohorts_se"], rel=1e-12)
    factors = np.zeros(len(cohorts))
    for cohort, share in zip(expected["cohorts"], shares, strict=True):
        factors[cohorts == cohort] = share / (cohorts[member] == cohort).mean()
    means, errors = _means([whole.among(member, factors)], horizon)
    assert means[0] == pytest.approx(expected["reweighted"], rel=1e-12)
    assert errors[0] == pytest.approx(expected["reweighted_se"], rel=1e-12)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n_groups", [2, 3, 4, 8])
def test_equal_errors_give_the_studentised_range(n_groups, level):
    """With equal standard errors the quantile is that of the studentised range over the root of 2."""
    expected = studentized_range.ppf(level, n_groups, np.inf) / np.sqrt(2)
    assert simultaneous_quantile(np.full(n_groups, 0.3), level=level) == pytest.approx(expected, rel=1e-3)


def test_unequal_errors_cover_together():
    """Of normal estimates with unlike errors, all pairs are within their intervals in 95 of 100 draws."""
    errors = np.array([0.1, 3.0, 0.7, 0.7])
    quantile = simultaneous_quantile(errors, level=0.95)
    draws = np.random.default_rng(1).standard_normal((100_000, 4)) * errors
    first, second = np.triu_indices(4, k=1)
    largest = np.abs((draws[:, second] - draws[:, first]) / np.hypot(errors[first], errors[second])).max(axis=1)
    assert (largest <= quantile).mean() == pytest.approx(0.95, abs=0.004)


def test_pairs_come_in_order_second_minus_first():
    """Pairs are (0, 1), (0, 2), (1, 2), differences are second minus first, and simultaneous intervals are the wider ones."""
    pairs = pair_intervals(np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.2, 0.2]))
    assert list(zip(pairs.first, pairs.second, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    np.testing.assert_allclose(pairs.difference, [1, 3, 2])
    assert np.all(pairs.high - pairs.low > 2 * ndtri(0.975) * pairs.standard_error)
    np.testing.assert_allclose(pairs.equivalence_high - pairs.difference, ndtri(0.95) * pairs.standard_error)


def test_a_group_without_estimate_leaves_the_other_pairs_alone():
    """Pairs of a group whose estimate or error is not known have no bounds; the others are as without it."""
    alone = pair_intervals(np.array([1.0, 2.0]), np.array([0.1, 0.2]))
    for estimate, error in ((np.nan, 0.1), (1.5, np.nan)):
        pairs = pair_intervals(np.array([1.0, estimate, 2.0]), np.array([0.1, error, 0.2]))
        assert np.isnan(pairs.low).tolist() == [True, False, True]
        assert (pairs.low[1], pairs.equivalence_high[1]) == (alone.low[0], alone.equivalence_high[0])


def test_groups_without_variance():
    """Two groups without variance have no interval between them; a third has the intervals of its own error with both."""
    pairs = pair_intervals(np.array([1.0, 2.0, 5.0]), np.array([0.0, 0.0, 0.5]))
    assert np.isnan(pairs.low).tolist() == [True, False, False]
    np.testing.assert_allclose(pairs.high[1:] - pairs.difference[1:], ndtri(0.975) * 0.5, rtol=0.01)
    assert np.isnan(pair_intervals(np.zeros(3), np.zeros(3)).high).all()


@given(
    groups=st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 5)), min_size=3, max_size=5),
    order=st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=8)
def test_order_of_groups_does_not_matter(groups, order):
    """Other orders of the groups give the same intervals, turned round where a pair is."""
    places = list(range(len(groups)))
    order.shuffle(places)
    one = pair_intervals(*np.array(groups).T)
    other = pair_intervals(*np.array([groups[place] for place in places]).T)
    of_pair = {(a, b): (low, high) for a, b, low, high in zip(one.first, one.second, one.low, one.high, strict=True)}
    for first, second, low, high in zip(other.first, other.second, other.low, other.high, strict=True):
        pair = (places[first], places[second])
        expected = of_pair[pair] if pair in of_pair else tuple(-bound for bound in of_pair[pair[::-1]])[::-1]
        assert (low, high) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_customers_for_separation_give_the_power():
    """With as many customers as said, a difference as seen passes its 95 % interval with probability 0.8."""
    needed = customers_for_separation(1000, -0.2, 0.15)
    error = 0.15 * np.sqrt(1000 / needed)
    assert ndtr(0.2 / error - ndtri(0.975)) == pytest.approx(0.8, abs=1e-6)
    assert customers_for_separation(1000, 0.0, 0.15) == float("inf")


def test_customers_for_equivalence_give_the_power():
    """With as many customers as said, equal groups have their 90 % interval within the margin with probability 0.8."""
    needed = customers_for_equivalence(1000, np.log(1.1), 0.15)
    error = 0.15 * np.sqrt(1000 / needed)
    assert 2 * ndtr(np.log(1.1) / error - ndtri(0.95)) - 1 == pytest.approx(0.8, abs=1e-6)
