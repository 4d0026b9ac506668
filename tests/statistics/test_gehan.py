"""Gehan-Wilcoxon scores and their permutation test against a second computation in exact fractions and loops."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import chdtrc

from segmentor.statistics.linear import GroupSums, linear_statistic, quadratic_form
from segmentor.statistics.permutation import exact_tails
from segmentor.statistics.survival import LifeTable, customer_sums, day_by_which, gehan_values

FOLDER = Path(__file__).parents[1] / "data" / "reference"
REFERENCE = json.loads((FOLDER / "gehan.json").read_text())
SHOPS = json.loads((FOLDER / "datasets.json").read_text())["datasets"]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
TESTS = [
    (case, split, field)
    for case in REFERENCE["cases"]
    for split in ("group", "kind")
    for field in ("plain", "within_cohorts")
]


def _codes(labels):
    return np.unique(labels, return_inverse=True)[1]


def _scores_of(case, shop):
    gaps = shop(case["dataset"], case["weighting"])
    return gaps.sums(gehan_values(gaps.table.cut(case["tau"])))


def _name_of(value):
    return f"{value['dataset']}-{value.get('weighting', value['tau'])}" if isinstance(value, dict) else value


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=_name_of)
def test_horizon_is_the_day_by_which_nine_in_ten_returned(case, shop):
    """gehan.json `cases[].tau` is that day, counted over the returns one by one."""
    assert day_by_which(shop(case["dataset"], "typical_gap").table.events, 0.9) == case["tau"]


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=_name_of)
def test_scores_equal_sums_over_gaps_and_days(case, shop):
    """gehan.json `cases[].scores`, with either weighting, ties, late entry and the cut at tau, are the customers' sums."""
    np.testing.assert_allclose(_scores_of(case, shop), case["scores"], **TOLERANCE)


@pytest.mark.parametrize(("case", "split", "field"), TESTS, ids=_name_of)
def test_permutation_test_equals_the_loops(case, split, field, shop):
    """gehan.json `plain` and `within_cohorts`: `levels`, `linear_statistic`, `expectation`, `covariance`, `statistic`, `df`, `p`."""
    expected, attributes = case[split][field], shop(case["dataset"]).attributes
    assert np.unique(attributes[split]).tolist() == expected["levels"]
    cohorts = _codes(attributes["cohort"]) * (field == "within_cohorts")
    linear = linear_statistic(GroupSums.from_scores(_scores_of(case, shop)[None], _codes(attributes[split]), cohorts))
    np.testing.assert_allclose(linear.statistic[0], expected["linear_statistic"], **TOLERANCE)
    np.testing.assert_allclose(linear.expectation[0], expected["expectation"], **TOLERANCE)
    np.testing.assert_allclose(linear.covariance[0, 0], expected["covariance"], **TOLERANCE)
    statistic, degrees = quadratic_form(linear.deviation[0], linear.covariance[0, 0])
    assert statistic == pytest.approx(expected["statistic"], rel=1e-12, abs=1e-12)
    assert degrees == expected["df"]
    assert chdtrc(degrees, statistic) == pytest.approx(expected["p"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("field", ["plain_exact", "within_cohorts_exact"])
@pytest.mark.parametrize("case", [case for case in REFERENCE["cases"] if "plain_exact" in case["group"]], ids=_name_of)
def test_every_arrangement_of_the_smallest_shop(case, field, shop):
    """gehan.json `plain_exact`, `within_cohorts_exact`: `level`, `arrangements`, `variance`, `third_central_moment`, `p_two_sided`, `p_lower`, `p_upper`."""
    expected, attributes = case["group"][field], shop(case["dataset"]).attributes
    scores, cohorts = _scores_of(case, shop), _codes(attributes["cohort"]) * (field == "within_cohorts_exact")
    chosen = (attributes["group"] == expected["level"]).astype(np.int64)
    linear = linear_statistic(GroupSums.from_scores(scores[None], chosen, cohorts))
    assert linear.covariance[0, 0, 1, 1] == pytest.approx(expected["variance"], rel=1e-12)
    assert linear.third[0, 1] == pytest.approx(expected["third_central_moment"], rel=1e-11)
    tails = exact_tails(scores, chosen, cohorts)
    assert tails.p_two_sided == pytest.approx(expected["p_two_sided"], rel=1e-12)
    assert tails.p_lower == pytest.approx(expected["p_lower"], rel=1e-12)
    assert tails.p_upper == pytest.approx(expected["p_upper"], rel=1e-12)
    whole = np.array([tails.p_two_sided, tails.p_lower, tails.p_upper]) * expected["arrangements"]
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-6)


@pytest.mark.parametrize("case", REFERENCE["pairs"], ids=_name_of)
def test_scores_of_single_gaps_are_the_count_over_pairs(case, shop):
    """gehan.json `pairs[].scores` and `counts`: a first gap's score times n is Gehan's count of it against each other customer."""
    gaps = shop(case["dataset"], "typical_gap").first_gaps()
    scores = gaps.sums(gehan_values(gaps.table.cut(case["tau"])))
    np.testing.assert_allclose(scores, case["scores"], **TOLERANCE)
    np.testing.assert_allclose(scores * len(scores), case["counts"], rtol=1e-12, atol=1e-9)


def test_late_entry_past_the_horizon_counts_in_n_alone():
    """A gap that enters after tau has score 0, and every other score is as much smaller as n is larger."""
    ends, events, entries = np.array([3, 5, 8, 30]), np.array([1, 0, 1, 1]), np.array([0, 0, 0, 20])
    few, all_four = (
        customer_sums(
            gehan_values(LifeTable.from_gaps(ends[:n], events[:n], weights=np.ones(n), entry_ages=entries[:n]).cut(10)),
            customers=np.arange(n),
            durations=ends[:n],
            events=events[:n],
            weights=np.ones(n),
            entry_ages=entries[:n],
        )
        for n in (3, 4)
    )
    assert all_four[3] == 0
    np.testing.assert_allclose(all_four[:3], few * 3 / 4, **TOLERANCE)


def test_script_makes_the_committed_numbers():
    """Run again on small shops, one of them with late entry, `make_gehan.py` gives the numbers of `gehan.json` to the last digit."""
    specification = importlib.util.spec_from_file_location("make_gehan", FOLDER / "make_gehan.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    committed = {(case["dataset"], case["weighting"]): case for case in REFERENCE["cases"]}
    for name, weighting in (
        ("small_36_cohorts", "typical_customer"),
        ("one_gap_80", "typical_gap"),
        ("truncated_180", "typical_gap"),
    ):
        assert script.case(name, SHOPS[name], weighting) == committed[name, weighting]
    assert script.pairs("one_gap_80", SHOPS["one_gap_80"], cut=True) == REFERENCE["pairs"][1]
    assert {case["dataset"] for case in REFERENCE["cases"]} == set(script.SHOPS)


def test_second_computation_knows_nothing_of_the_package():
    """`make_gehan.py` names neither this package nor numpy: the numbers are independent."""
    source = (FOLDER / "make_gehan.py").read_text()
    assert "segmentor" not in source
    assert "numpy" not in source
