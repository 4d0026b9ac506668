"""The best threshold of a numeric attribute against R's maxstat, plain loops, and simulation."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from segmentor.statistics.candidates import screen_candidates
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.score_tests import NullLaw, smallest_p_value
from segmentor.statistics.thresholds import (
    cutpoint_stability,
    log_search_price,
    returned,
    selected_p,
    shuffles,
    threshold_scan,
)

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = [
    (case, field, strata)
    for case in json.loads((REFERENCE / "permutation.json").read_text())["cases"]
    for field in ("x_threshold", "age_threshold", "discount_share_threshold")
    for strata in case.get(field, ())
]
RESAMPLES = 5_000


def _name(value):
    return value["dataset"] if isinstance(value, dict) else value


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(_name, case)))
def maxstat(request, shop):
    """Scores, values and cohorts of a case, and what coin::maxstat_test says of them."""
    case, field, strata = request.param
    attributes = shop(case["dataset"], case["weighting"]).attributes
    cohorts = np.unique(attributes["cohort"], return_inverse=True)[1] * (strata == "within_cohorts")
    x = attributes[field.removesuffix("_threshold")].astype(float)
    return np.array([case["scores"]]), x, cohorts, case[field][strata]


def _chain(shares):
    """Correlation of the standardised sums at thresholds with these shares at or below, without cohorts."""
    low, high = np.minimum.outer(shares, shares), np.maximum.outer(shares, shares)
    return np.sqrt(low * (1 - high) / (high * (1 - low)))


def _skewed(customers, seed, *, cohorts=4):
    generator = np.random.default_rng(seed)
    scores = generator.gamma(0.5, 1, (2, customers)) + generator.gamma(0.5, 1, customers)
    return generator, scores, generator.integers(0, cohorts, customers)


def test_scan_equals_maxstat(maxstat):
    """permutation.json `*_threshold`: `thresholds`, `standardised`, `statistic` and `threshold`, with and without strata."""
    scores, x, cohorts, expected = maxstat
    scan = threshold_scan(scores, x, cohorts)
    # The labels of the thresholds are rounded to three digits in R.
    np.testing.assert_allclose(scan.thresholds, expected["thresholds"], rtol=0, atol=0.0005)
    np.testing.assert_allclose(scan.standardised[0], expected["standardised"], rtol=1e-12, atol=1e-12)
    assert abs(scan.standardised[0, scan.best]) == pytest.approx(expected["statistic"], rel=1e-12)
    assert scan.thresholds[scan.best] == pytest.approx(expected["threshold"], abs=0.0005)


def test_asymptotic_p_equals_quadrature_and_mvtnorm(maxstat):
    """permutation.json `*_threshold.plain`: `p_asymptotic_quadrature` to 1e-10; `p_asymptotic` to 1e-4 with and without strata."""
    scores, x, cohorts, expected = maxstat
    if "p_asymptotic_quadrature" in expected:
        p = selected_p(expected["statistic"], threshold_scan(scores, x, cohorts).shares)
        assert p == pytest.approx(expected["p_asymptotic_quadrature"], rel=0, abs=1e-10)
    else:
        correlation = _correlation(scores, x, cohorts, expected["thresholds"])
        law = NullLaw((np.ones((2, 1)),) * len(correlation), correlation, np.zeros(len(correlation)))
        p = smallest_p_value(2 * ndtr(-expected["statistic"]), law, draws=2**17)
    assert p == pytest.approx(expected["p_asymptotic"], abs=1e-4)


def _correlation(scores, x, cohorts, thresholds):
    """Permutation correlation of the sums at or below the thresholds: of the indicators, centred within cohorts."""
    low = (x <= np.array(thresholds)[:, None]).astype(float)
    sizes = np.bincount(cohorts)
    variances = np.array([scores[0, cohorts == cohort].var(ddof=1) for cohort in range(len(sizes))])
    low -= np.stack([np.bincount(cohorts, row) for row in low])[:, cohorts] / sizes[cohorts]
    covariance = (low * variances[cohorts]) @ low.T
    spread = np.sqrt(np.diag(covariance))
    return covariance / np.outer(spread, spread)


def test_relabelled_p_agrees_with_coin(maxstat):
    """permutation.json `*_threshold.*.p_monte_carlo` is met within the Monte Carlo error of both."""
    scores, x, cohorts, expected = maxstat
    (found,) = screen_candidates(scores, [], [x], cohorts, min_group=1, resamples=RESAMPLES, seed=1, correction="min_p")
    wanted = expected["p_monte_carlo"]
    noise = 4 * np.sqrt(max(wanted, 1e-6) * (1 - wanted) * (1 / RESAMPLES + 1e-5)) + 1e-4
    assert found.p_adjusted == pytest.approx(wanted, abs=noise + 1 / RESAMPLES)
    assert found.tried == len(expected["thresholds"])
    assert found.length == pytest.approx(expected["statistic"], rel=1e-9)
    assert found.threshold == pytest.approx(expected["threshold"], abs=0.0005)


@given(seed=st.integers(0, 999), cohorts=st.sampled_from([1, 3]), values=st.sampled_from([3, 20, 10**6]))
@settings(deadline=None, max_examples=20)
def test_every_threshold_is_the_test_of_its_two_groups(seed, cohorts, values):
    """The standardised sum of each score at each threshold is that of the linear statistic of low against high."""
    generator, scores, strata = _skewed(50, seed, cohorts=cohorts)
    x = generator.integers(0, values, 50).astype(float)
    scan = threshold_scan(scores, x, strata)
    shares = np.array([(x <= threshold).mean() for threshold in np.unique(x)])
    tried = (shares > 0.1 - 1e-9) & (shares < 0.9 + 1e-9)
    np.testing.assert_array_equal(scan.thresholds, np.unique(x)[tried])
    np.testing.assert_allclose(scan.shares, shares[tried])
    for threshold, found in zip(scan.thresholds, scan.standardised.T, strict=True):
        linear = linear_statistic(GroupSums.from_scores(scores, (x > threshold).astype(int), strata))
        expected = linear.deviation[:, 0] / np.sqrt(np.einsum("kk->k", linear.covariance[:, :, 0, 0]))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_threshold_between_cohorts_has_no_statistic():
    """Where every cohort is wholly at or below a threshold or wholly above it, the statistic is 0."""
    _, scores, _ = _skewed(60, 1)
    cohorts = np.repeat([0, 1], 30)
    x = np.repeat([1.0, 2.0, 3.0, 4.0], 15)
    scan = threshold_scan(scores, x, cohorts)
    np.testing.assert_array_equal(scan.thresholds, [1, 2, 3])
    np.testing.assert_array_equal(scan.standardised[:, 1], 0)
    assert np.abs(scan.standardised[:, [0, 2]]).min() > 0


@pytest.mark.parametrize("statistic", [0.5, 2.0, 5.0, 8.0])
@pytest.mark.parametrize("shares", [[0.5], [0.3, 0.7], [0.1, 0.35, 0.36, 0.6, 0.9]])
def test_quadrature_equals_the_joint_normal_law(shares, statistic):
    """The chance is that of the chain's correlation matrix by importance sampling, within 0.5 % down to 1e-15."""
    correlation = _chain(np.array(shares))
    law = NullLaw((np.ones((2, 1)),) * len(shares), correlation, np.zeros(len(shares)))
    expected = smallest_p_value(2 * ndtr(-statistic), law, draws=2**16)
    assert selected_p(statistic, np.array(shares)) == pytest.approx(expected, rel=0.005)


def test_quadrature_has_converged_far_out():
    """At p of 1e-12 and below, twice the nodes change nothing to nine digits, and 1e-300 is no problem."""
    shares = np.arange(10, 91, 3) / 100
    for statistic in (7.6, 12.0, 36.0):
        p = selected_p(statistic, shares)
        assert p == pytest.approx(_finer(statistic, shares), rel=1e-9)
        assert 2 * ndtr(-statistic) < p < 2 * len(shares) * ndtr(-statistic)


def _finer(statistic, shares):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segmentor.statistics.thresholds._NODES", 6.0)
        return selected_p(statistic, shares)


@pytest.mark.parametrize("shares", [[0.5], [0.3, 0.31, 0.7], np.linspace(0.1, 0.9, 9), np.linspace(0.1, 0.9, 101)])
def test_the_price_of_the_search_is_that_of_quadrature(shares):
    """Times the chance at one threshold it is within a tenth of the chance at the best, from p of 0.15 to 1e-200."""
    shares = np.asarray(shares)
    steps = 1 - np.diagonal(_chain(shares), 1)
    for statistic in (2.5, 3.0, 4.0, 6.0, 10.0, 30.0):
        p = 2 * ndtr(-statistic) * np.exp(log_search_price(np.array(statistic), steps))
        assert p == pytest.approx(selected_p(statistic, shares), rel=0.1)
    assert np.isfinite(log_search_price(np.array([0.0, 1e3]), steps)).all()


def test_no_statistic_is_no_evidence():
    """A statistic of 0 has p = 1."""
    assert selected_p(0.0, np.array([0.3, 0.5])) == 1.0


def test_relabelling_of_those_with_a_value_is_uniform():
    """Relabellings stay within cohorts; followed until they meet a customer with a value, they make all orders of these equally likely."""
    known = np.array([True, True, True, False, False, False, True])
    cohorts = np.array([0, 0, 0, 0, 0, 0, 1])
    orders = [
        tuple(returned(places, known, np.flatnonzero(known)).tolist())
        for places in shuffles(cohorts, 6000, np.random.default_rng(3))
    ]
    seen, counts = np.unique(orders, axis=0, return_counts=True)
    assert sorted(map(tuple, seen.tolist())) == [(*order, 6) for order in sorted(permutations(range(3)))]
    np.testing.assert_allclose(counts / 6000, 1 / 6, atol=0.03)


def test_order_of_customers_does_not_matter():
    """Shuffled customers have the same stability, to the last byte."""
    generator, scores, cohorts = _skewed(120, 4)
    x, order = generator.random(120), generator.permutation(120)
    chosen = cutpoint_stability(scores, x, cohorts, resamples=20, seed=6)
    again = cutpoint_stability(scores[:, order], x[order], cohorts[order], resamples=20, seed=6)
    np.testing.assert_array_equal(again, chosen)


def test_a_strong_threshold_is_chosen_again():
    """Resampled customers choose the planted threshold almost always, and any threshold where there is none."""
    generator, scores, cohorts = _skewed(800, 8)
    x = generator.integers(1, 13, 800).astype(float)
    strong = cutpoint_stability(scores + 2 * (x <= 6), x, cohorts, resamples=60, seed=1)
    none = cutpoint_stability(scores, x, cohorts, resamples=60, seed=1)
    assert (strong == 6).mean() > 0.95
    assert len(np.unique(none)) >= 5


def test_draws_without_a_threshold_are_left_out():
    """With a low group of 10 % about half of the draws hold too few of it to be cut."""
    _, scores, cohorts = _skewed(100, 9)
    x = (np.arange(100) >= 10).astype(float)
    chosen = cutpoint_stability(scores, x, cohorts, resamples=60, seed=1)
    assert 15 < len(chosen) < 55
    assert set(chosen) == {0.0}
