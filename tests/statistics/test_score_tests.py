"""Tails of single scores and the joint law of several, against exact distributions, quadrature and relabelling."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import chdtrc, ndtr, ndtri
from scipy.stats import pearson3

from segmentor.errors import StatisticsError
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.permutation import _mixed, _relabelled
from segmentor.statistics.score_tests import (
    NullLaw,
    log_gamma_tail,
    log_type_iii_p,
    needs_permutation,
    null_law,
    smallest_p_value,
    type_iii_p,
)
from segmentor.statistics.score_tests import test_scores as run_test

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = json.loads((REFERENCE / "permutation.json").read_text())["cases"]


def _skewed_shop(sizes, *, customers=600, seed=5):
    """Four correlated skewed scores, groups of about the given shares, and six cohorts of unlike mix."""
    generator = np.random.default_rng(seed)
    habit = generator.gamma(0.5, 1, customers)
    noise = generator.gamma(1, 1, (3, customers))
    scores = np.stack([habit, habit + noise[0], habit + noise[0] * noise[1], noise[2] - habit])
    groups = generator.choice(len(sizes), customers, p=sizes)
    cohorts = np.minimum(generator.poisson(1 + groups), 5)
    return scores, groups, cohorts


def _chances_of_sums(scores, group):
    """Chance of each sum of the scores of a group, over all choices of its customers."""
    ways = np.zeros((group + 1, np.sort(scores)[-group:].sum() + 1))
    ways[0, 0] = 1
    for score in scores:
        ways[1:, score:] += ways[:-1, : ways.shape[1] - score].copy()
        ways /= ways.max()
    return ways[group] / ways[group].sum()


def _law_of_two(correlation):
    return NullLaw((np.ones((2, 1)),) * 2, np.array([[1, correlation], [correlation, 1]], dtype=float), np.zeros(2))


@pytest.mark.parametrize("group", [30, 125])
def test_type_iii_tail_is_close_to_the_exact_one(group):
    """For log-rank scores of 500 customers the tail is within 7 % of the exact one at 1 % and, below, never too small."""
    case = next(case for case in CASES if (case["dataset"], case["weighting"]) == ("tree_500_region", "typical_gap"))
    scores = np.round((np.array(case["scores"]) - min(case["scores"])) * 5).astype(int)
    chances = _chances_of_sums(scores, group)
    labels = (np.arange(500) >= group).astype(int)
    linear = linear_statistic(GroupSums.from_scores(scores[None].astype(float), labels, np.zeros(500, dtype=int)))
    mean, variance, third = linear.expectation[0, 0], linear.covariance[0, 0, 0, 0], linear.third[0, 0]
    sums = np.arange(len(chances)) - mean
    assert sums**2 @ chances == pytest.approx(variance, rel=1e-9)
    assert sums**3 @ chances == pytest.approx(third, rel=1e-6)
    for p, nearest in ((0.1, 0.02), (0.01, 0.07), (0.001, 0.25), (0.0001, 0.5)):
        distance = next(far for far in range(len(chances)) if chances[np.abs(sums) >= far].sum() < p)
        exact = chances[np.abs(sums) >= distance].sum()
        tail = type_iii_p(np.array((distance - 0.25) / np.sqrt(variance)), np.array(third / variance**1.5))
        assert 1 - min(nearest, 0.05) < tail / exact < 1 + nearest


@pytest.mark.parametrize("skewness", [-3.0, -0.5, -0.01, 0.0021, 0.004, 0.05, 1.0])
def test_type_iii_tails_are_those_of_pearson_three(skewness):
    """Both tails together equal those of scipy's Pearson type III distribution, of either sign."""
    z = np.array([0.0, 0.3, 1.0, 2.5, 4.0, 6.0])
    expected = pearson3.sf(z, skewness) + pearson3.cdf(-z, skewness)
    np.testing.assert_allclose(type_iii_p(-z, np.array(skewness)), expected, rtol=1e-4)


def test_tail_without_skewness_is_normal():
    """At skewness 0 the p-value is the normal one, and it changes by under 0.1 % where the two curves meet."""
    z = np.array([0.0, 1.0, 3.0, 5.0])
    np.testing.assert_allclose(type_iii_p(z, np.array(0.0)), 2 * ndtr(-z), rtol=1e-15)
    np.testing.assert_allclose(type_iii_p(z, np.array(0.00200001)), 2 * ndtr(-z), rtol=1e-3)


@pytest.mark.parametrize("p", [0.3, 0.01, 1e-6, 1e-12, 1e-100])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95, -0.9, 1.0])
def test_joint_tail_of_two_scores_equals_quadrature(correlation, p):
    """The chance of either of two correlated normal scores in its tail is within 1 % of quadrature, however small."""
    bound = -ndtri(p / 2)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    z = bound + (nodes + 1) * 6 / max(1, bound)
    spread = np.sqrt(max(1 - correlation**2, 1e-30))
    other_inside = 1 - ndtr((correlation * z - bound) / spread) - ndtr((-correlation * z - bound) / spread)
    only_one = np.average(other_inside, weights=weights * np.exp(-(z**2 - bound**2) / 2))
    assert smallest_p_value(p, _law_of_two(correlation)) == pytest.approx(p * (1 + only_one), rel=0.01)


@pytest.mark.parametrize("sizes", [(0.9, 0.1), (0.5, 0.3, 0.2)])
def test_joint_p_is_uniform_under_relabelling(sizes):
    """Over 20,000 relabellings within cohorts the joint p of four skewed scores is below 5 % in 5 % of them."""
    scores, groups, cohorts = _skewed_shop(sizes, customers=1500)
    sums = GroupSums.from_scores(scores, groups, cohorts)
    law = null_law(linear_statistic(sums))
    low, high = 0.0, 0.05
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (middle, high) if smallest_p_value(middle, law) < 0.05 else (low, middle)
    blocks = _relabelled(*_mixed(scores, cohorts, sums.customers), 20_000, np.random.default_rng(8))
    smallest = np.concatenate([law.p_values(law.lengths(block)).min(axis=1) for block in blocks])
    assert (smallest <= high).mean() == pytest.approx(0.05, abs=0.006)


def test_joint_p_of_several_groups_equals_simulation():
    """With three groups the joint p of four scores is that of normal group sums with the permutation covariance."""
    scores, groups, cohorts = _skewed_shop((0.4, 0.3, 0.3))
    linear = linear_statistic(GroupSums.from_scores(scores, groups, cohorts))
    law = null_law(linear)
    covariance = linear.covariance.transpose(0, 2, 1, 3).reshape(12, 12)
    generator = np.random.default_rng(3)
    draws = generator.multivariate_normal(np.zeros(12), covariance, 100_000, method="eigh").reshape(-1, 4, 3)
    smallest = law.p_values(law.lengths(draws)).min(axis=1)
    for p in (0.2, 0.02):
        assert smallest_p_value(p, law) == pytest.approx((smallest <= p).mean(), rel=0.05)
    assert 1e-12 < smallest_p_value(1e-12, law) < 4e-12


def test_single_scores_are_chi_square_or_type_iii():
    """With three groups a score's p is its chi-square tail; with two its type III tail; one score needs no joint law."""
    scores, groups, cohorts = _skewed_shop((0.4, 0.3, 0.3))
    several = run_test(GroupSums.from_scores(scores, groups, cohorts))
    assert (several.tail, several.degrees_of_freedom, several.z) == ("joint normal", (2, 2, 2, 2), None)
    np.testing.assert_allclose(several.p_values, chdtrc(2, several.statistics), rtol=1e-12)
    sums = GroupSums.from_scores(scores[:1], np.minimum(groups, 1), cohorts)
    two, linear = run_test(sums), linear_statistic(sums)
    skewness = linear.third[0, 0] / linear.covariance[0, 0, 0, 0] ** 1.5
    assert two.tail == "type III"
    assert two.z[0] == pytest.approx(linear.deviation[0, 0] / np.sqrt(linear.covariance[0, 0, 0, 0]), rel=1e-12)
    assert two.p_value == two.p_values[0] == pytest.approx(type_iii_p(two.z[0], skewness), rel=1e-12)


def test_one_score_of_several_groups_is_a_plain_chi_square():
    """With three groups and one score that can vary the tail is named chi-square, and p is that of the score."""
    scores, groups, cohorts = _skewed_shop((0.4, 0.3, 0.3))
    alone = run_test(GroupSums.from_scores(scores[:1], groups, cohorts))
    beside = run_test(GroupSums.from_scores(np.stack([scores[0], np.ones(len(groups))]), groups, cohorts))
    assert (alone.tail, beside.tail) == ("chi-square", "chi-square")
    assert alone.p_value == beside.p_value == pytest.approx(chdtrc(2, alone.statistics[0]), rel=1e-14)


@pytest.mark.parametrize("sizes", [(0.9, 0.1), (0.4, 0.3, 0.3)])
def test_lengths_at_a_p_value_have_that_p_value(sizes):
    """The single p of each score at its length is the p that was asked for, from 1 to 1e-200."""
    scores, groups, cohorts = _skewed_shop(sizes)
    law = null_law(linear_statistic(GroupSums.from_scores(scores, groups, cohorts)))
    for p in (1.0, 0.3, 1e-3, 1e-12, 1e-200):
        np.testing.assert_allclose(law.p_values(law.lengths_at(p)), p, rtol=1e-10)


def test_a_score_without_variance_takes_no_part():
    """A constant score has `nan` for its p, and the joint p is that of the others; with none left the test is refused."""
    scores, groups, cohorts = _skewed_shop((0.7, 0.3))
    constant = np.full_like(scores[:1], 0.1)
    tests = run_test(GroupSums.from_scores(np.concatenate([scores[:1], constant]), groups, cohorts))
    alone = run_test(GroupSums.from_scores(scores[:1], groups, cohorts))
    assert tests.degrees_of_freedom == (1, 0)
    assert np.isnan(tests.p_values[1])
    assert tests.p_value == alone.p_value
    with pytest.raises(StatisticsError, match="no cohort holds two groups"):
        run_test(GroupSums.from_scores(constant, groups, cohorts))
    with pytest.raises(StatisticsError, match="no cohort holds two groups"):
        run_test(GroupSums.from_scores(scores, groups, groups))


def test_a_group_alone_in_its_cohorts_changes_nothing():
    """A third group that shares no cohort with the others, or is empty, leaves the test of two groups as it is."""
    scores, groups, cohorts = _skewed_shop((0.7, 0.3))
    two = run_test(GroupSums.from_scores(scores, groups, cohorts))
    more = np.concatenate([scores, scores[:, :50] * 2], axis=1)
    three = run_test(GroupSums.from_scores(more, np.append(groups, np.full(50, 2)), np.append(cohorts, np.full(50, 9))))
    empty = run_test(GroupSums.from_scores(scores, groups * 2, cohorts))
    for other in (three, empty):
        assert other.tail == "type III"
        assert other.p_value == pytest.approx(two.p_value, rel=1e-9)
        np.testing.assert_allclose(other.z, two.z, rtol=1e-9)


def test_z_is_positive_where_the_first_group_comes_back_earlier():
    """A first group with more returns than expected has a positive z."""
    scores = np.array([[0.5, 0.8, 0.2, -0.5, -0.3, -0.7]])
    tests = run_test(GroupSums.from_scores(scores, np.array([0, 0, 0, 1, 1, 1]), np.zeros(6, dtype=int)))
    assert tests.z[0] > 0


@pytest.mark.parametrize(
    ("sizes", "shift", "wanted"),
    [((29, 500), 0, True), ((30, 500), 5, False), ((290, 400, 400), 5, True), ((290, 400, 400), 0, False),
     ((300, 400, 400), 5, False), ((29, 400, 400), 0, True)],
)  # fmt: skip
def test_permutation_is_asked_for_tiny_groups_and_small_ones_of_several(sizes, shift, wanted):
    """Any group below 30, or of three and more one below 300 with p below 0.01, needs permutations."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    scores = np.tile([-1.0, 1.0], 600)[None, : len(groups)] + shift * (groups == 0)
    sums = GroupSums.from_scores(scores, groups, np.zeros_like(groups))
    assert needs_permutation(sums, run_test(sums)) is wanted


@pytest.mark.parametrize(
    ("shape", "group", "shift", "wanted"),
    [(0.05, 50, 0.6, True), (0.05, 50, 0.0, False), (0.05, 50, 3.0, False), (50, 50, 0.5, False), (0.05, 300, 0.2, False)],
)  # fmt: skip
def test_permutation_is_asked_for_skewed_sums_near_the_usual_levels(shape, group, shift, wanted):
    """Of two groups a small one with skewed scores needs permutations, where p is between 0.001 and 0.1."""
    generator = np.random.default_rng(3)
    scores = generator.gamma(shape, 1, 900)
    groups = (generator.permutation(900) < group).astype(int)
    sums = GroupSums.from_scores(scores[None] + shift * groups * scores.std(), groups, np.zeros(900, dtype=int))
    tests = run_test(sums)
    assert (0.001 < tests.p_value < 0.1) == (shift in (0.2, 0.5, 0.6))
    assert needs_permutation(sums, tests) is wanted


@given(
    order=st.permutations(range(40)),
    factors=st.tuples(st.sampled_from([-4.0, 0.001, 1e6]), st.floats(-100, 100)),
    renamed=st.permutations([0, 1, 2]),
)
@settings(deadline=None, max_examples=12)
def test_p_values_do_not_depend_on_order_names_or_scale(order, factors, renamed):
    """Shuffled customers, renamed groups and linearly changed scores have the same single p-values."""
    scores, groups, cohorts = _skewed_shop((0.4, 0.3, 0.3), customers=40)
    factor, shift = factors
    tests = run_test(GroupSums.from_scores(scores, groups, cohorts))
    other = run_test(
        GroupSums.from_scores(
            (scores * factor + shift)[:, order], np.array(renamed)[groups][order], (5 - cohorts)[order]
        )
    )
    np.testing.assert_allclose(other.p_values, tests.p_values, rtol=1e-6)
    assert other.p_value == pytest.approx(tests.p_value, rel=0.02)


def test_logarithms_of_tails_go_on_where_the_tails_underflow():
    """They are those of the p-values down to 1e-290; from there their slopes go on smoothly, for shapes from 0.5 to a million."""
    z = np.linspace(0, 36, 100)
    for skewness in (0.0, 0.01, 0.3, 2.0):
        np.testing.assert_allclose(log_type_iii_p(z, np.array(skewness)), np.log(type_iii_p(z, np.array(skewness))))
    for shape in (0.5, 3.0, 40.0, 1e3, 1e6):
        spread = np.sqrt(shape)
        x = shape + spread * np.linspace(0, 700, 14_001) * max(1, 1 / spread)
        logs = log_gamma_tail(np.array(shape), x)
        slopes = np.diff(logs) / np.diff(x)
        assert logs[-1] < -680
        assert (slopes < 0).all()
        # Far out the slope is that of the density, (shape - 1) / x - 1, and less than 1 / (x - shape) steeper.
        far = logs[1:] < -300
        middle = (x[1:] + x[:-1])[far] / 2
        np.testing.assert_allclose(slopes[far], (shape - 1) / middle - 1, atol=2 / (middle - shape).min())


def test_the_far_tail_of_an_exponential_variable_is_known():
    """A gamma variable of shape 1 is above x with probability exp(-x), however large x is."""
    x = np.array([1.0, 100.0, 1e3, 1e6])
    np.testing.assert_allclose(log_gamma_tail(np.array(1.0), x), -x, rtol=1e-9)


def test_the_far_tail_of_a_chi_square_variable_is_that_of_two_normal_tails():
    """With one degree of freedom at z squared, from 5 to 1,000 standard deviations."""
    z = np.array([5.0, 20.0, 40.0, 1000.0])
    expected = log_type_iii_p(z, np.array(0.0))
    np.testing.assert_allclose(log_gamma_tail(np.array(0.5), z**2 / 2), expected, rtol=1e-6)
