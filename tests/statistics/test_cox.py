"""The clustered log-rank test and hazard ratios against R's coxph, against plain loops, and what they must not depend on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentor.errors import StatisticsError
from segmentor.statistics.cox import GroupedGaps, clustered_logrank, hazard_ratios

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = json.loads((REFERENCE / "logrank.json").read_text())["cases"]
DEGENERATE = json.loads((REFERENCE / "degenerate.json").read_text())["cases"]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def _codes(labels):
    return np.unique(labels, return_inverse=True)[1]


def _gaps_of(shop, split, *, stratified=False):
    return GroupedGaps.from_gaps(
        shop.ends,
        shop.events,
        weights=shop.weights,
        customers=shop.customers,
        groups=_codes(shop.attributes[split]),
        strata=_codes(shop.attributes["cohort"]) if stratified else None,
        entry_ages=shop.entry_ages,
    )


def _name_of(case):
    return f"{case['dataset']}-{case['split']}-{case['stratified_by_cohort']}"


@pytest.mark.parametrize("weighting", ["typical_customer", "typical_gap"])
@pytest.mark.parametrize("case", CASES, ids=_name_of)
def test_clustered_score_test_equals_coxph(case, weighting, shop):
    """logrank.json `typical_customer` and `typical_gap`: `levels`, `score`, `score_covariance_clustered`, `statistic`, `df`, `p`, `naive_statistic`.

    R: `coxph(Surv(...) ~ split + cluster(customer), weights = w, ties = "breslow")`, its `summary()$robscore` and `$sctest`.
    """
    expected, gaps = case[weighting], shop(case["dataset"], weighting)
    assert np.unique(gaps.attributes[case["split"]]).tolist() == expected["levels"]
    test = clustered_logrank(_gaps_of(gaps, case["split"], stratified=case["stratified_by_cohort"]))
    np.testing.assert_allclose(test.score, expected["score"], **TOLERANCE)
    np.testing.assert_allclose(test.covariance, expected["score_covariance_clustered"], **TOLERANCE)
    assert test.statistic == pytest.approx(expected["statistic"], rel=1e-12, abs=1e-12)
    assert test.degrees_of_freedom == expected["df"]
    assert test.p_value == pytest.approx(expected["p"], rel=1e-12, abs=1e-12)
    assert test.naive_statistic == pytest.approx(expected["naive_statistic"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("weighting", ["typical_customer", "typical_gap"])
@pytest.mark.parametrize("case", CASES, ids=_name_of)
def test_hazard_ratios_equal_coxph(case, weighting, shop):
    """logrank.json `log_hazard_ratio`, `log_hazard_ratio_covariance_clustered` and `log_hazard_ratio_covariance_naive` to 1e-8."""
    expected, gaps = case[weighting], shop(case["dataset"], weighting)
    ratios = hazard_ratios(_gaps_of(gaps, case["split"], stratified=case["stratified_by_cohort"]))
    np.testing.assert_allclose(ratios.log_ratios, expected["log_hazard_ratio"], rtol=1e-8)
    np.testing.assert_allclose(ratios.covariance, expected["log_hazard_ratio_covariance_clustered"], rtol=1e-8)
    np.testing.assert_allclose(ratios.naive_covariance, expected["log_hazard_ratio_covariance_naive"], rtol=1e-8)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_score_tests_equal_coxph_or_are_refused(name, degenerate_shop):
    """degenerate.json `expected.score_test`: `statistic`, `df`, `p`; where R has a `failure` or no statistic, there is no test."""
    expected = DEGENERATE[name]["expected"]["score_test"]
    if expected.get("statistic") is None:
        with pytest.raises(StatisticsError, match=r"one group only|do not vary"):
            clustered_logrank(_gaps_of(degenerate_shop(name), "group"))
        return
    test = clustered_logrank(_gaps_of(degenerate_shop(name), "group"))
    assert test.statistic == pytest.approx(expected["statistic"], rel=1e-12)
    assert test.degrees_of_freedom == expected["df"]
    assert test.p_value == pytest.approx(expected["p"], rel=1e-12)


@pytest.mark.parametrize("name", ["perfect_separation", "group_of_one_censored_first", "nobody_returns"])
def test_infinite_hazard_ratios_are_refused(name, degenerate_shop):
    """Where the groups never return on days on which both are at risk, no ratio is given, though the score is finite."""
    with pytest.raises(StatisticsError, match="no finite hazard ratio"):
        hazard_ratios(_gaps_of(degenerate_shop(name), "group"))


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case["stratified_by_cohort"] and "survdiff_all_gaps" in case], ids=_name_of
)
def test_score_is_observed_minus_expected_of_survdiff(case, shop):
    """The score of the gaps as they are is `observed` minus `expected` of `survdiff_all_gaps`, group by group."""
    survdiff = case["survdiff_all_gaps"]
    test = clustered_logrank(_gaps_of(shop(case["dataset"], "typical_gap"), case["split"]))
    observed = np.subtract(survdiff["observed"], survdiff["expected"])
    np.testing.assert_allclose(test.score, observed[1:], rtol=1e-9, atol=1e-9)


def test_hazard_ratio_of_two_exponential_groups_is_found():
    """With gaps of rates 1/20 and 1/30 the log hazard ratio is log(2/3) within 4 of its standard errors."""
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1], 4000)
    customers = np.repeat(np.arange(8000), 3)
    lengths = np.ceil(rng.exponential(np.where(groups == 0, 20, 30)[customers] * 50)).astype(np.int64)
    ends, events = np.minimum(lengths, 3000), (lengths <= 3000).astype(np.int64)
    gaps = GroupedGaps.from_gaps(ends, events, weights=np.ones(24_000), customers=customers, groups=groups)
    ratios = hazard_ratios(gaps)
    assert abs(ratios.log_ratios[0] - np.log(2 / 3)) < 4 * np.sqrt(ratios.covariance[0, 0])
    np.testing.assert_allclose(ratios.covariance, ratios.naive_covariance, rtol=0.1)


ROWS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 5), st.integers(1, 8), st.booleans(), st.sampled_from([0.5, 1.0, 2.0])),
    min_size=8,
    max_size=40,
)
GROUPS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
STRATA = np.array([0, 0, 0, 0, 1, 1, 1, 1])


@given(rows=ROWS)
@settings(deadline=None)
def test_score_and_covariance_follow_their_definition_gap_by_gap(rows):
    """Score and clustered covariance are the plain sums over gaps and days, with strata, weights, ties and late entry."""
    by_customer = np.zeros((8, 3))
    for day in range(1, 14):
        for stratum in (0, 1):
            risk = [row for row in rows if STRATA[row[0]] == stratum and row[1] < day <= row[1] + row[2]]
            back = [row for row in risk if row[1] + row[2] == day and row[3]]
            if not back:
                continue
            total = sum(row[4] for row in risk)
            share = np.array([sum(row[4] for row in risk if GROUPS[row[0]] == group) for group in range(3)]) / total
            for row in risk:
                returned = (row in back) - sum(one[4] for one in back) / total
                by_customer[row[0]] += row[4] * returned * (np.eye(3)[GROUPS[row[0]]] - share)
    gaps = _gaps_of_rows(rows)
    covariance = (by_customer.T @ by_customer)[1:, 1:]
    if not np.any(np.abs(by_customer) > 1e-9):
        with pytest.raises(StatisticsError):
            clustered_logrank(gaps)
        return
    try:
        test = clustered_logrank(gaps)
    except StatisticsError:
        np.testing.assert_allclose(covariance, 0, atol=1e-18)
        return
    np.testing.assert_allclose(test.score, by_customer.sum(axis=0)[1:], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(test.covariance, covariance, rtol=1e-9, atol=1e-9)


@given(rows=ROWS, order=st.randoms(use_true_random=False), renamed=st.permutations([0, 1, 2]))
@settings(deadline=None)
def test_order_names_and_stretched_days_do_not_matter(rows, order, renamed):
    """Shuffled gaps, other numbers of the groups and days twice as long give the same statistic."""
    try:
        test = clustered_logrank(_gaps_of_rows(rows))
    except StatisticsError:
        return
    shuffled = [(customer, 2 * entry, 2 * length, event, weight) for customer, entry, length, event, weight in rows]
    order.shuffle(shuffled)
    other = clustered_logrank(_gaps_of_rows(shuffled, groups=np.array(renamed)[GROUPS]))
    assert other.degrees_of_freedom == test.degrees_of_freedom
    assert other.statistic == pytest.approx(test.statistic, rel=1e-6, abs=1e-9)
    assert other.naive_statistic == pytest.approx(test.naive_statistic, rel=1e-6, abs=1e-9)


def _gaps_of_rows(rows, groups=GROUPS):
    customers, entries, lengths, events, weights = (np.array(column) for column in zip(*rows, strict=True))
    return GroupedGaps.from_gaps(
        entries + lengths,
        events.astype(np.int64),
        weights=weights,
        customers=customers,
        groups=groups,
        strata=STRATA,
        entry_ages=entries,
    )
