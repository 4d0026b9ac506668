"""P-values by relabelling against coin's Monte Carlo and exact ones."""

from __future__ import annotations

import json
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from segmentor.errors import StatisticsError
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.permutation import _mixed, _relabelled, drawn_p, exact_tails, permutation_p
from segmentor.statistics.score_tests import null_law
from segmentor.statistics.score_tests import test_scores as run_test

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = json.loads((REFERENCE / "permutation.json").read_text())["cases"]
FIELDS = [
    (case, split, field)
    for case in CASES
    for split in ("group", "kind")
    for field in ("plain_monte_carlo", "within_cohorts_monte_carlo")
    if field in case[split]
]
EXACT = [(case, field) for case in CASES for field in ("plain_exact", "within_cohorts_exact") if field in case["group"]]
RESAMPLES = 20_000


def _codes(labels):
    return np.unique(labels, return_inverse=True)[1]


def _noise(p, *resamples):
    return 4 * np.sqrt(p * (1 - p) * sum(1 / number for number in resamples)) + 1e-4


@pytest.mark.parametrize(
    ("case", "split", "field"), FIELDS, ids=lambda value: value["dataset"] if isinstance(value, dict) else value
)
def test_relabelling_agrees_with_coin(case, split, field, shop):
    """permutation.json `*_monte_carlo.p` is met within the Monte Carlo error of both, or of coin's where ours is exact."""
    attributes, expected = shop(case["dataset"], case["weighting"]).attributes, case[split][field]
    cohorts = _codes(attributes["cohort"]) * field.startswith("within")
    p, tail = permutation_p(
        np.array([case["scores"]]), _codes(attributes[split]), cohorts, resamples=RESAMPLES, enough=RESAMPLES, seed=1
    )
    drawn = [expected["resamples"]] if tail == "exact" else [RESAMPLES, expected["resamples"]]
    assert p == pytest.approx(expected["p"], abs=_noise(expected["p"], *drawn))


@pytest.mark.parametrize(
    ("case", "field"), EXACT, ids=lambda value: value["dataset"] if isinstance(value, dict) else value
)
def test_all_arrangements_are_counted_as_in_r(case, field, shop):
    """permutation.json `*_exact`: all tails to 1e-12, of scores (`p_two_sided_coin` too) and of their mid-ranks."""
    attributes, expected = shop(case["dataset"], case["weighting"]).attributes, case["group"][field]
    scores, groups = np.array(case["scores"]), _codes(attributes["group"])
    cohorts = _codes(attributes["cohort"]) * field.startswith("within")
    tails = exact_tails(scores, groups, cohorts)
    ranked = exact_tails(rankdata(scores), groups, cohorts)
    assert tails.p_two_sided == pytest.approx(expected["p_two_sided"], rel=0, abs=1e-12)
    assert tails.p_two_sided == pytest.approx(expected.get("p_two_sided_coin", tails.p_two_sided), rel=0, abs=1e-12)
    assert tails.p_lower == pytest.approx(expected["p_lower"], rel=0, abs=1e-12)
    assert tails.p_upper == pytest.approx(expected["p_upper"], rel=0, abs=1e-12)
    assert ranked.p_two_sided == pytest.approx(expected["p_two_sided_of_ranks"], rel=0, abs=1e-12)
    assert permutation_p(scores[None], groups, cohorts, seed=1) == (tails.p_two_sided, "exact")


def test_three_groups_are_enumerated():
    """All 1,800 arrangements of three groups in two cohorts are as a plain loop finds them, one score or two."""
    generator = np.random.default_rng(2)
    scores = generator.integers(0, 5, (2, 11)).astype(float)
    groups, cohorts = np.array([0, 0, 1, 2, 2, 2, 0, 1, 1, 2, 2]), np.repeat([0, 1], [6, 5])
    arrangements = [
        np.array([*first, *last])
        for first in sorted(set(permutations(groups[:6])))
        for last in sorted(set(permutations(groups[6:])))
    ]
    for chosen in ([0], [0, 1]):
        sums = [GroupSums.from_scores(scores[chosen], labels, cohorts) for labels in arrangements]
        linear = [linear_statistic(one) for one in sums]
        law = null_law(linear[0])
        smallest = np.array([law.p_values(law.lengths(one.deviation)).min() for one in linear])
        seen = smallest[[np.array_equal(labels, groups) for labels in arrangements].index(True)]
        expected = (smallest <= seen * (1 + 1e-9)).mean()
        assert len(arrangements) == 1800
        assert permutation_p(scores[chosen], groups, cohorts, seed=1) == (pytest.approx(expected, abs=1e-15), "exact")


def test_large_p_stops_early_and_keeps_its_level():
    """Stopping after ten as extreme leaves p valid: over 600 null labels it is below 5 % and 20 % as often at most."""
    generator = np.random.default_rng(5)
    scores, cohorts = generator.gamma(0.5, 1, (2, 60)), np.zeros(60, dtype=int)
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    found = np.array(
        [
            permutation_p(scores, generator.permutation(labels), cohorts, resamples=199, enough=10, seed=seed)[0]
            for seed in range(600)
        ]
    )
    assert set(np.unique(found[found <= 0.05] * 200).round(9)) <= set(range(1, 11))
    for level in (0.05, 0.2):
        assert (found <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 600))


@pytest.mark.parametrize(("n", "size"), [(5000, 3), (46, 23)])
def test_too_many_arrangements_are_drawn(n, size):
    """Where even halves are too many to hold, `exact_tails` refuses and `permutation_p` draws."""
    scores, chosen = np.random.default_rng(1).random(n), (np.arange(n) < size).astype(int)
    with pytest.raises(StatisticsError, match="too many"):
        exact_tails(scores, chosen, chosen * 0)
    assert permutation_p(scores[None], chosen, chosen * 0, resamples=99, seed=1)[1] == "permutation"


def test_ties_count():
    """With few distinct scores p is the share of all choices whose sum is as far from its mean, equal ones included."""
    scores, group = np.array([1.0, 1, 0, 0, 0, 0.1, 0.1, 0.3]) / 3, 3
    labels = (np.arange(8) >= group).astype(int)
    sums = np.array([scores[list(chosen)].sum() for chosen in combinations(range(8), group)])
    distance = np.abs(sums - sums.mean())
    exact = (distance >= distance[0] - 1e-9).mean()
    assert permutation_p(scores[None], labels, np.zeros(8, dtype=int), seed=1) == (pytest.approx(exact), "exact")


def test_several_scores_are_judged_by_the_smallest_p():
    """Over all choices of a group, p is the share in which the smaller of two single p-values is as small."""
    generator = np.random.default_rng(4)
    scores = generator.gamma(0.6, 1, (2, 12))
    scores[:, :4] += 0.5
    labels = (np.arange(12) >= 4).astype(int)
    cohorts = np.zeros(12, dtype=int)
    law = null_law(linear_statistic(GroupSums.from_scores(scores, labels, cohorts)))
    chosen = scores[:, list(combinations(range(12), 4))].sum(axis=-1).T - 4 * scores.mean(axis=1)
    smallest = law.p_values(law.lengths(np.stack([chosen, -chosen], axis=-1))).min(axis=1)
    exact = (smallest <= smallest[0] * (1 + 1e-9)).mean()
    assert permutation_p(scores, labels, cohorts, seed=1) == (pytest.approx(exact), "exact")
    drawn = np.concatenate(list(_relabelled(*_mixed(scores, cohorts, np.array([[4], [8]])), RESAMPLES, generator)))
    as_small = law.p_values(law.lengths(drawn)).min(axis=1) <= smallest[0] * (1 + 1e-9)
    assert as_small.mean() == pytest.approx(exact, abs=_noise(exact, RESAMPLES))


@pytest.mark.parametrize("sizes", [(0.5, 0.5), (0.4, 0.3, 0.3)])
def test_closed_form_agrees_with_relabelling(sizes):
    """For groups of hundreds the joint closed-form p of three scores is that of relabelling within cohorts."""
    generator = np.random.default_rng(len(sizes))
    groups = generator.choice(len(sizes), 1200, p=sizes)
    cohorts = np.minimum(generator.poisson(1 + groups), 4)
    scores = generator.gamma(1, 1, (3, 1200)) + generator.gamma(1, 1, 1200)
    scores[0] -= 0.2 * (groups == 0)
    p, _ = permutation_p(scores, groups, cohorts, resamples=RESAMPLES, enough=RESAMPLES, seed=2)
    closed = run_test(GroupSums.from_scores(scores, groups, cohorts)).p_value
    assert 0.005 < p < 0.2
    assert closed == pytest.approx(p, rel=0.1)


@pytest.mark.parametrize("n_groups", [2, 3])
def test_order_of_customers_does_not_matter(n_groups):
    """Shuffled customers have exactly the same p."""
    generator = np.random.default_rng(6)
    scores = generator.integers(-9, 9, (2, 60)) / 8
    groups, cohorts = generator.integers(0, n_groups, 60), generator.integers(0, 4, 60)
    order = generator.permutation(60)
    p, _ = permutation_p(scores, groups, cohorts, resamples=500, seed=3)
    assert permutation_p(scores[:, order], groups[order], cohorts[order], resamples=500, seed=3)[0] == p


@pytest.mark.parametrize("small", [60, 12])
def test_large_groups_may_be_drawn_as_normal(small, monkeypatch):
    """With one small group and two large ones the tail is the same whether large ones are dealt or drawn."""
    generator = np.random.default_rng(7)
    groups = np.repeat([0, 1, 2], [700, 900, small])
    scores, cohorts = generator.gamma(0.4, 1, (2, len(groups))), generator.integers(0, 3, len(groups))
    sums = GroupSums.from_scores(scores, groups, cohorts)
    law = null_law(linear_statistic(sums))
    smallest = []
    for many in (20_000, 0):
        monkeypatch.setattr("segmentor.statistics.permutation._MANY", many)
        blocks = _relabelled(*_mixed(scores, cohorts, sums.customers), 60_000, generator)
        smallest.append(np.concatenate([law.p_values(law.lengths(block)).min(axis=1) for block in blocks]))
    for level in (0.05, 0.005):
        dealt, drawn = ((p <= level).mean() for p in smallest)
        assert drawn == pytest.approx(dealt, abs=4 * np.sqrt(2 * dealt / 60_000))


def test_p_is_never_zero():
    """Where no relabelling comes near, p is 1 / (B + 1)."""
    scores = np.concatenate([np.zeros(100), np.ones(100)])[None]
    groups = np.repeat([0, 1], 100)
    assert permutation_p(scores, groups, np.zeros(200, dtype=int), resamples=999, seed=1) == (0.001, "permutation")


def test_relabelling_without_mixed_cohorts_is_refused():
    """Groups that are cohorts cannot be relabelled."""
    groups = np.repeat([0, 1], 5)
    with pytest.raises(StatisticsError, match="no cohort holds two groups"):
        permutation_p(np.arange(10.0)[None], groups, groups, resamples=99, seed=1)


@pytest.mark.parametrize("many", [20_000, 0])
@pytest.mark.parametrize("shares", [(0.6, 0.3, 0.1), (0.97, 0.015, 0.015), (0.45, 0.1, 0.45)])
def test_groups_keep_their_sizes_in_every_cohort(shares, many, monkeypatch):
    """Relabelled group sums have the permutation mean and covariance, large groups dealt or drawn as normal."""
    monkeypatch.setattr("segmentor.statistics.permutation._MANY", many)
    monkeypatch.setattr("segmentor.statistics.permutation._LARGE", 100)
    generator = np.random.default_rng(9)
    groups, cohorts = generator.choice(3, 400, p=shares), generator.integers(0, 3, 400)
    scores = generator.gamma(1, 1, (2, 400))
    sums = GroupSums.from_scores(scores, groups, cohorts)
    linear = linear_statistic(sums)
    drawn = np.concatenate(list(_relabelled(*_mixed(scores, cohorts, sums.customers), 20_000, generator)))
    spread = np.sqrt(np.einsum("kkgg->kg", linear.covariance))
    np.testing.assert_allclose(drawn.mean(axis=0) / spread, 0, atol=0.03)
    covariance = np.einsum("nkg,nlh->klgh", drawn, drawn) / len(drawn)
    scale = spread[:, None, :, None] * spread[None, :, None, :]
    np.testing.assert_allclose(covariance / scale, linear.covariance / scale, atol=0.04)


def test_several_labels_share_one_set_of_relabellings():
    """Labels with the same group sizes have the p-values that each has alone, to the last bit."""
    generator = np.random.default_rng(3)
    cohorts = generator.integers(3, size=300)
    scores = generator.gamma(0.3, size=(2, 300))
    first = (generator.random(300) < 0.2).astype(int)
    several = [first]
    for _ in range(4):
        other = first.copy()
        for cohort in range(3):
            own = cohorts == cohort
            other[own] = generator.permutation(first[own])
        several.append(other)
    alone = [permutation_p(scores, groups, cohorts, resamples=2000, enough=100, seed=7) for groups in several]
    assert {tail for _, tail in alone} == {"permutation"}
    assert drawn_p(scores, several, cohorts, resamples=2000, enough=100, seed=7) == [p for p, _ in alone]
    assert len(set(alone)) > 1
