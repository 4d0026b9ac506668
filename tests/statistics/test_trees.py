"""The first split of R's conditional inference trees from the package's linear statistics."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.special import chdtrc

from segmentor.statistics.linear import GroupSums, linear_statistic, quadratic_form

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = json.loads((REFERENCE / "trees.json").read_text())["cases"]
SCORES = {
    (case["dataset"], case["weighting"]): case["scores"]
    for case in json.loads((REFERENCE / "permutation.json").read_text())["cases"]
}
NUMERIC = {"age", "order_amount", "discount_share"}
CLOSED = {"rtol": 1e-12, "atol": 1e-12}
LEAST = 15


def _name(case):
    return f"{case['dataset']}-{case['weighting']}-{len(case['attributes'])}"


@pytest.fixture
def root(shop):
    """Scores and attributes at the root of a tree."""
    return lambda *name: (np.array(SCORES[name]), shop(*name).attributes)


def _linear(scores, codes):
    return linear_statistic(GroupSums.from_scores(scores[None], codes, np.zeros(len(codes), dtype=int)))


def _association(scores, values, *, numeric):
    """Chi-square and its degrees of freedom: of the levels, or of the sum of scores times the number."""
    distinct, codes = np.unique(values, return_inverse=True)
    linear = _linear(scores, codes)
    weights = distinct[:, None].astype(float) if numeric else np.eye(len(distinct))
    return quadratic_form(linear.deviation[0] @ weights, weights.T @ linear.covariance[0, 0] @ weights)


def _binary_statistic(scores, left):
    linear = _linear(scores, left.astype(int))
    return linear.deviation[0, 0] ** 2 / linear.covariance[0, 0, 0, 0]


def _best_split(scores, values, *, numeric):
    """Who goes left in the best threshold, or the best two-part partition of the levels, with 15 or more on each side."""
    levels = np.unique(values)
    if numeric:
        tried = [values <= level for level in levels[:-1]]
    else:
        tried = [
            np.isin(values, chosen)
            for size in range(1, len(levels))
            for chosen in combinations(levels, size)
            if levels[0] in chosen
        ]
    return max(
        (left for left in tried if min(left.sum(), (~left).sum()) >= LEAST),
        key=lambda left: _binary_statistic(scores, left),
    )


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_association_with_every_attribute_equals_ctree(case, root):
    """trees.json `statistic`, `df`, `p`, `p_adjusted_by_ctree` and `p_bonferroni` are reproduced."""
    scores, attributes = root(case["dataset"], case["weighting"])
    tests = [_association(scores, attributes[name], numeric=name in NUMERIC) for name in case["attributes"]]
    statistics, degrees = map(np.array, zip(*tests, strict=True))
    p, n = chdtrc(degrees, statistics), len(tests)
    np.testing.assert_allclose(statistics, case["statistic"], **CLOSED)
    np.testing.assert_array_equal(degrees, case["df"])
    np.testing.assert_allclose(p, case["p"], **CLOSED)
    np.testing.assert_allclose(-np.expm1(n * np.log1p(-p)), case["p_adjusted_by_ctree"], **CLOSED)
    np.testing.assert_allclose(np.minimum(1, n * p), case["p_bonferroni"], **CLOSED)
    assert (case["split"] is None) == (-np.expm1(n * np.log1p(-p.min())) >= 0.05)


@pytest.mark.parametrize("case", [case for case in CASES if case["split"] is not None], ids=_name)
def test_first_split_equals_that_of_ctree(case, root):
    """trees.json `split.*`: attribute, threshold or levels, sizes, mean scores and `statistic_of_binary_split`."""
    (scores, attributes), split = root(case["dataset"], case["weighting"]), case["split"]
    p = [chdtrc(*_association(scores, attributes[name], numeric=name in NUMERIC)[::-1]) for name in case["attributes"]]
    chosen = case["attributes"][int(np.argmin(p))]
    values = attributes[chosen]
    left = _best_split(scores, values, numeric=chosen in NUMERIC)
    assert chosen == split["attribute"]
    if split["threshold"] is not None:
        assert values[left].max() == split["threshold"]
    else:
        left = left if set(values[left]) == set(split["left_levels"]) else ~left
        assert set(values[left]) == set(split["left_levels"])
    assert (left.sum(), (~left).sum()) == (split["n_left"], split["n_right"])
    assert scores[left].mean() == pytest.approx(split["mean_score_left"], rel=1e-12)
    assert scores[~left].mean() == pytest.approx(split["mean_score_right"], rel=1e-12)
    assert _binary_statistic(scores, left) == pytest.approx(split["statistic_of_binary_split"], rel=1e-12)
