"""What the usual ways report for gaps taken as independent, against R, and that they are wrong for repeat buyers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segmentor.errors import StatisticsError
from segmentor.statistics.naive import (
    greenwood_errors,
    hazard_errors,
    naive_logrank,
    naive_logrank_p,
    restricted_mean_error,
)
from segmentor.statistics.survival import (
    LifeTable,
    cumulative_hazard,
    customer_sums,
    last_day,
    restricted_mean,
    restricted_mean_influence,
    survival,
    survival_band,
)

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
INDEPENDENT = [
    case for case in json.loads((REFERENCE / "survival.json").read_text())["cases"] if "independent_gaps" in case
]
LOGRANK = [
    case for case in json.loads((REFERENCE / "logrank.json").read_text())["cases"] if "survdiff_all_gaps" in case
]
DEGENERATE = json.loads((REFERENCE / "degenerate.json").read_text())["cases"]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def _counts(gaps, groups, strata):
    """Returns and numbers at risk by group, with strata and days side by side."""
    counts = np.zeros((2, max(groups) + 1, max(strata) + 1, len(gaps.times)))
    np.add.at(counts, (gaps.events, groups[gaps.customers], strata[gaps.customers], gaps.ends), 1)
    at_risk = np.flip(np.cumsum(np.flip(counts.sum(axis=0), axis=-1), axis=-1), axis=-1)
    return counts[1].reshape(len(at_risk), -1), at_risk.reshape(len(at_risk), -1)


def _codes(labels):
    return np.unique(labels, return_inverse=True)[1]


def _assert_survdiff(events, at_risk, expected):
    """Every field of a `survdiff` is reproduced."""
    test = naive_logrank(events, at_risk)
    np.testing.assert_allclose(test.observed, expected["observed"], **TOLERANCE)
    np.testing.assert_allclose(test.expected, expected["expected"], **TOLERANCE)
    np.testing.assert_allclose(test.covariance, expected["covariance"], rtol=1e-12, atol=1e-11)
    assert test.statistic == pytest.approx(expected["statistic"], rel=1e-11, abs=1e-12)
    assert test.degrees_of_freedom == expected["df"]
    assert test.p_value == pytest.approx(expected["p"], rel=1e-10, abs=1e-12)
    assert naive_logrank_p(events, at_risk) == test.p_value


@pytest.mark.parametrize(
    "case", LOGRANK, ids=lambda case: f"{case['dataset']}-{case['split']}-{case['stratified_by_cohort']}"
)
@pytest.mark.parametrize("field", ["survdiff_all_gaps", "survdiff_first_gaps"])
def test_logrank_equals_survdiff(case, field, shop):
    """logrank.json `survdiff_all_gaps`, `survdiff_first_gaps`: `levels`, `observed`, `expected`, `covariance`, `statistic`, `df`, `p`.

    R: `survdiff(Surv(duration, event) ~ split + strata(cohort))`; strata lie side by side.
    """
    gaps = shop(case["dataset"], "typical_gap")
    assert np.unique(gaps.attributes[case["split"]]).tolist() == case[field]["levels"]
    if field == "survdiff_first_gaps":
        gaps = gaps.first_gaps()
    strata = _codes(gaps.attributes["cohort"]) * case["stratified_by_cohort"]
    _assert_survdiff(*_counts(gaps, _codes(gaps.attributes[case["split"]]), strata), case[field])


@pytest.mark.parametrize(
    "name", [name for name, case in DEGENERATE.items() if "survdiff_first_gaps" in case["expected"]]
)
def test_degenerate_first_gaps_equal_survdiff_or_are_refused(name, degenerate_shop):
    """degenerate.json `survdiff_first_gaps`: `levels`, `observed`, `expected`, `covariance`, `statistic`, `df`, `p`.

    With a `failure` or without a statistic there is no test.
    """
    expected, gaps = DEGENERATE[name]["expected"]["survdiff_first_gaps"], degenerate_shop(name, "typical_gap")
    groups = _codes(gaps.attributes["group"])
    gaps = gaps.first_gaps()
    events, at_risk = _counts(gaps, groups, np.zeros_like(groups))
    if expected.get("statistic") is None:
        with pytest.raises(StatisticsError):
            naive_logrank(events, at_risk)
        return
    assert np.unique(gaps.attributes["group"]).tolist() == expected["levels"]
    _assert_survdiff(events, at_risk, expected)


@pytest.mark.parametrize("case", INDEPENDENT, ids=lambda case: case["dataset"])
def test_errors_of_independent_gaps_equal_survfit(case, shop, numbers):
    """survival.json `independent_gaps`: `days`, `survival`, `survival_se`, `survival_ci_low`, `survival_ci_high`, `cumulative_hazard`, `cumulative_hazard_se`.

    R: `survfit(Surv(duration, event) ~ 1, conf.type = "log-log")` without weights and cluster.
    """
    gaps, expected = shop(case["dataset"], "typical_gap"), case["independent_gaps"]
    table = gaps.table
    places = [gaps.place(day) for day in expected["days"] if day <= gaps.times[last_day(table)]]
    known = len(places)
    assert known >= 2
    curve, errors = survival(table)[places], greenwood_errors(table)[places]
    low, high = survival_band(curve, errors)
    computed = {
        "survival": curve,
        "survival_se": errors,
        "survival_ci_low": low,
        "survival_ci_high": high,
        "cumulative_hazard": cumulative_hazard(table)[places],
        "cumulative_hazard_se": hazard_errors(table)[places],
    }
    for field, values in computed.items():
        np.testing.assert_allclose(values, numbers(expected[field])[:known], **TOLERANCE, err_msg=field)


@pytest.mark.parametrize(
    "case", [case for case in INDEPENDENT if case["dataset"] != "continuous_150"], ids=lambda case: case["dataset"]
)
def test_error_of_the_restricted_mean_equals_survfit(case, shop):
    """survival.json `independent_gaps.restricted_mean_se` is R's `summary(fit, rmean = tau)`."""
    gaps = shop(case["dataset"], "typical_gap")
    error = restricted_mean_error(gaps.table, case["horizon_days"])
    assert error == pytest.approx(case["independent_gaps"]["restricted_mean_se"], rel=1e-12)


def test_error_of_the_restricted_mean_of_durations_that_are_no_whole_days(shop):
    """survival.json `independent_gaps.restricted_mean_se` of `continuous_150`: each time's part of Greenwood's sum times the area left."""
    case = next(case for case in INDEPENDENT if case["dataset"] == "continuous_150")
    gaps = shop("continuous_150", "typical_gap")
    places = gaps.times < case["horizon_days"]
    curve, errors = survival(gaps.table)[places], greenwood_errors(gaps.table)[places]
    left = np.cumsum((curve * np.diff([*gaps.times[places], case["horizon_days"]]))[::-1])[::-1]
    parts = np.diff(np.square(errors / curve), prepend=0)
    error = np.sqrt((parts * np.square(left)).sum())
    assert error == pytest.approx(case["independent_gaps"]["restricted_mean_se"], rel=1e-12)


def test_usual_error_is_too_small_for_repeat_buyers():
    """Where customers' rates differ, the restricted mean spreads over shops as its clustered error says, not the usual one."""
    rng = np.random.default_rng(6)
    means, usual, clustered = [], [], []
    for _ in range(200):
        customers = np.repeat(np.arange(300), 6)
        lengths = rng.gamma(2, 15 * rng.lognormal(sigma=0.8, size=300)[customers])
        ends = np.clip(np.ceil(lengths), 1, 90).astype(np.int64)
        events, ones = (lengths <= 90).astype(np.int64), np.ones(1800)
        table = LifeTable.from_gaps(ends, events, weights=ones)
        means.append(restricted_mean(survival(table), 60))
        usual.append(restricted_mean_error(table, 60))
        influence = restricted_mean_influence(table, 60)
        sums = customer_sums(influence, customers=customers, durations=ends, events=events, weights=ones)
        clustered.append(np.sqrt(np.square(sums).sum()))
    assert np.std(means) > 1.5 * np.mean(usual)
    assert np.mean(clustered) == pytest.approx(np.std(means), rel=0.2)
