"""Many two-group splits at once against one at a time, against coin's maximum tests, and under the null."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.multiplicity import max_step_down
from segmentor.statistics.score_tests import NullLaw, smallest_p_value
from segmentor.statistics.score_tests import test_scores as run_test
from segmentor.statistics.screening import screen_values, smallest_p_values

RESAMPLES = 5_000
REFERENCE = Path(__file__).parents[1] / "data" / "reference"
MAX_T = json.loads((REFERENCE / "multiplicity.json").read_text())["max_t"]
SCORES = {
    (case["dataset"], case["weighting"]): case["scores"]
    for case in json.loads((REFERENCE / "permutation.json").read_text())["cases"]
}


@pytest.fixture(params=MAX_T, ids=lambda case: f"{case['dataset']}-{'within' if case['within_cohorts'] else 'plain'}")
def coin(request, shop):
    """Scores, two-valued columns and cohorts of a case, and what coin says of them."""
    expected = request.param
    name = expected["dataset"], expected["weighting"]
    cohorts = np.unique(shop(*name).attributes["cohort"], return_inverse=True)[1] * expected["within_cohorts"]
    columns = [np.unique(labels, return_inverse=True)[1] for labels in expected["splits"].values()]
    return np.array([SCORES[name]]), columns, cohorts, expected


def _world(customers=3000, *, seed=1, unknown=0.0, scores=4):
    """Correlated skewed scores whose correlation differs by cohort, and columns of unequal values."""
    generator = np.random.default_rng(seed)
    cohorts = np.minimum(generator.poisson(2, customers), 5)
    habit = generator.gamma(0.5, 1, customers)
    noise = generator.gamma(1, 1, (4, customers)) * (1 + cohorts / 3)
    made = np.stack([habit + 0.3 * noise[0], habit + 0.6 * noise[0], habit - noise[2], habit * noise[3]])[:scores]
    columns = [np.minimum(generator.geometric(0.2, customers) - 1, 12) for _ in range(4)]
    columns = [np.where(generator.random(customers) < unknown * (made[0] > 1), -1, codes) for codes in columns]
    return made, [*columns, (columns[0] > 3).astype(np.int64)], cohorts


def _law(correlation):
    return NullLaw((np.ones((2, 1)),) * len(correlation), correlation, np.zeros(len(correlation)))


@pytest.mark.parametrize("unknown", [0.0, 0.7])
@pytest.mark.parametrize("scores", [1, 4])
def test_each_split_is_tested_as_it_would_be_alone(scores, unknown):
    """Sizes, z and p of every value against the rest, unknown customers left out, are those of `test_scores`."""
    made, columns, cohorts = _world(unknown=unknown, scores=scores)
    splits = screen_values(made, columns, cohorts)
    assert len(splits.columns) == sum(len(np.unique(codes[codes >= 0])) for codes in columns[:4]) + 1
    for place, (column, value) in enumerate(zip(splits.columns, splits.values, strict=True)):
        known = columns[column] >= 0
        groups = (columns[column][known] != value).astype(int)
        tests = run_test(GroupSums.from_scores(made[:, known], groups, cohorts[known]))
        np.testing.assert_array_equal(splits.customers[place], np.bincount(groups))
        np.testing.assert_allclose(splits.z[:, place], tests.z, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(splits.p_values[:, place], tests.p_values, rtol=1e-8)
        assert splits.p_value[place] == pytest.approx(tests.p_value, rel=0.02)


def test_small_codes_are_as_good_as_large_ones():
    """Codes in bytes give the same as codes in eight bytes."""
    made, columns, cohorts = _world(unknown=0.3)
    wide, narrow = (screen_values(made, [c.astype(kind) for c in columns], cohorts) for kind in (np.int64, np.int8))
    np.testing.assert_array_equal(wide.p_value, narrow.p_value)


def test_a_split_that_is_a_cohort_has_no_p_value():
    """A value whose customers are a whole cohort has `nan`; the other values do not."""
    made, columns, _ = _world(600)
    cohorts = (columns[0] == 2).astype(int)
    splits = screen_values(made, columns[:1], cohorts)
    np.testing.assert_array_equal(np.isnan(splits.p_value), splits.values == 2)


def test_a_score_without_variance_takes_no_part():
    """A constant score beside another leaves that one's p; a column of one value has no split."""
    made, columns, cohorts = _world(600, scores=1)
    with_constant = np.concatenate([made, np.ones_like(made)])
    splits = screen_values(with_constant, [*columns, np.zeros(600, dtype=int)], cohorts)
    assert np.isnan(splits.p_values[1]).all()
    np.testing.assert_array_equal(splits.p_value, splits.p_values[0])
    assert splits.columns.max() == len(columns) - 1


@pytest.mark.parametrize(("n_scores", "spread"), [(2, 0.02), (2, 0.15), (4, 0.02), (4, 0.05), (3, 0.05)])
def test_joint_p_of_many_splits_is_that_of_each(n_scores, spread):
    """For correlations that differ between splits, and p from 1 to 1e-14, the joint p is within 2 % of the sampler's."""
    generator = np.random.default_rng(n_scores)
    factors = generator.standard_normal((n_scores, n_scores)) * 0.5 + 1
    factors = factors + spread * generator.standard_normal((150, n_scores, n_scores))
    correlations = factors @ factors.transpose(0, 2, 1)
    size = np.sqrt(np.einsum("skk->sk", correlations))
    correlations = correlations / (size[:, :, None] * size[:, None, :])
    p = 10 ** -generator.uniform(0, 14, 150)
    p_values = np.maximum(p[:, None], generator.random((150, n_scores)))
    p_values[:, -1] = p
    expected = [smallest_p_value(one, _law(own)) for one, own in zip(p_values.min(axis=1), correlations, strict=True)]
    np.testing.assert_allclose(smallest_p_values(p_values, correlations), expected, rtol=0.02)


def test_joint_p_of_equal_scores_is_that_of_one():
    """Scores that are the same, as where everybody has one gap, cost nothing; opposite ones neither."""
    correlation = np.array([[1.0, 1, -1], [1, 1, -1], [-1, -1, 1]])
    p = 10 ** -np.linspace(0, 12, 50)
    joint = smallest_p_values(np.repeat(p[:, None], 3, axis=1), np.repeat(correlation[None], 50, axis=0))
    np.testing.assert_allclose(joint, p, rtol=0.005)


def test_joint_p_keeps_to_its_bounds():
    """From the single p to that of independent scores at most, also where p underflows."""
    correlations = np.repeat(np.eye(2)[None], 40, axis=0)
    p = np.concatenate([10.0 ** -np.arange(38), [1e-310, 0.0]])
    joint = smallest_p_values(np.stack([p, np.ones(40)], axis=1), correlations)
    assert (joint >= p).all()
    assert (joint <= np.minimum(1, 2 * p)).all()
    assert joint[-1] == 0


def test_splits_equal_those_of_coin(coin):
    """multiplicity.json `max_t.standardised` and `p_unadjusted_asymptotic` (normal) are reproduced."""
    scores, columns, cohorts, expected = coin
    z = screen_values(scores, columns, cohorts).z[0]
    np.testing.assert_allclose(z, expected["standardised"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(2 * ndtr(-np.abs(z)), expected["p_unadjusted_asymptotic"], rtol=1e-12, atol=1e-12)


def test_largest_statistic_has_the_joint_normal_law_of_coin(coin):
    """multiplicity.json `max_t.correlation` and `p_single_step_asymptotic` follow from the covariance of crossed groups."""
    scores, columns, cohorts, expected = coin
    cells, crossed = np.unique(np.stack(columns), axis=1, return_inverse=True)
    linear = linear_statistic(GroupSums.from_scores(scores, crossed, cohorts))
    first = (cells == 0).astype(float)
    covariance = first @ linear.covariance[0, 0] @ first.T
    spread = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(spread, spread)
    np.testing.assert_allclose(correlation, expected["correlation"], rtol=1e-12, atol=1e-12)
    for z, wanted in zip(expected["standardised"], expected["p_single_step_asymptotic"], strict=True):
        p = smallest_p_value(2 * ndtr(-abs(z)), _law(correlation), draws=2**19 if wanted > 0.3 else 2**16)
        assert p == pytest.approx(wanted, rel=0, abs=1e-4)


def test_relabelled_p_values_agree_with_coin(coin):
    """multiplicity.json `max_t`: p_unadjusted_monte_carlo, p_single_step_monte_carlo, p_step_down_monte_carlo within the error of both.

    The scores are shuffled within cohorts one relabelling at a time, and summed over the first group.
    """
    scores, columns, cohorts, expected = coin
    splits = screen_values(scores, columns, cohorts)
    first = np.stack([columns[column] == value for column, value in zip(splits.columns, splits.values, strict=True)])
    means = np.bincount(cohorts, scores[0]) / np.bincount(cohorts)
    centred = scores[0] - means[cohorts]
    generator = np.random.default_rng(1)
    inside = [np.flatnonzero(cohorts == cohort) for cohort in np.unique(cohorts)]
    drawn = np.empty((RESAMPLES, len(first)))
    for row in drawn:
        shuffled = centred.copy()
        for own in inside:
            shuffled[own] = generator.permutation(centred[own])
        row[:] = np.abs(first @ shuffled) / splits.deviations[0]
    found = max_step_down(np.abs(splits.z[0]), [drawn + 1e-9])
    names = ("p_unadjusted_monte_carlo", "p_single_step_monte_carlo", "p_step_down_monte_carlo")
    for name, p in zip(names, found, strict=True):
        wanted = np.array(expected[name])
        noise = 4 * np.sqrt(wanted * (1 - wanted) * (1 / RESAMPLES + 1 / expected["resamples"])) + 1e-3
        assert (np.abs(p - wanted) <= noise).all()
