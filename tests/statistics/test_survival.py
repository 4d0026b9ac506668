"""Curves, means, medians, scores and influence functions against R and against slow, obvious computations."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentor.errors import StatisticsError
from segmentor.statistics.survival import (
    LifeTable,
    cumulative_hazard,
    customer_sums,
    day_by_which,
    gehan_values,
    hazard_influence,
    last_day,
    logrank_values,
    mean_cycle,
    mean_cycle_influence,
    median_day,
    quantile_day,
    restricted_mean,
    restricted_mean_influence,
    survival,
    survival_band,
    survival_influence,
)

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CASES = json.loads((REFERENCE / "survival.json").read_text())["cases"]
DEGENERATE = json.loads((REFERENCE / "degenerate.json").read_text())["cases"]
PERMUTATION = json.loads((REFERENCE / "permutation.json").read_text())["cases"]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def _name_of(case):
    return "-".join(str(case[key]) for key in ("dataset", "rows", "weighting", "group") if key in case)


def _gaps_of(case, shop):
    whole = shop(case["dataset"], case["weighting"], case["rows"])
    return whole if case["group"] == "all" else whole.among(whole.attributes["group"] == case["group"])


@pytest.mark.parametrize("case", CASES, ids=_name_of)
def test_counts_and_curve_on_given_days_equal_survfit(case, shop, numbers):
    """survival.json `n_customers`, `n_gaps`, `weighted_events`, `last_time` and `at.*` are those of the table, as far as the data reach."""
    gaps, at = _gaps_of(case, shop), case["at"]
    table = gaps.table
    places = [gaps.place(day) for day in at["days"] if day <= case["last_time"]]
    curve = survival(table)[places]
    errors = np.array([gaps.error(survival_influence(table, place)) for place in places])
    known = len(places)
    assert (len(np.unique(gaps.customers)), len(gaps.ends)) == (case["n_customers"], case["n_gaps"])
    assert gaps.times[last_day(table)] == pytest.approx(case["last_time"], rel=1e-12)
    np.testing.assert_allclose(table.events.sum(), case["weighted_events"], **TOLERANCE)
    np.testing.assert_allclose(curve, at["survival"][:known], **TOLERANCE)
    np.testing.assert_allclose(errors, at["survival_se"][:known], **TOLERANCE)
    np.testing.assert_allclose(cumulative_hazard(table)[places], at["cumulative_hazard"][:known], **TOLERANCE)
    hazard_errors = [gaps.error(hazard_influence(table, place)) for place in places]
    np.testing.assert_allclose(hazard_errors, at["cumulative_hazard_se"][:known], **TOLERANCE)
    low, high = survival_band(curve, errors)
    np.testing.assert_allclose(low, numbers(at["survival_ci_low"][:known]), **TOLERANCE)
    np.testing.assert_allclose(high, numbers(at["survival_ci_high"][:known]), **TOLERANCE)


@pytest.mark.parametrize("case", [case for case in CASES if case["dataset"] != "continuous_150"], ids=_name_of)
def test_means_and_quantiles_equal_survfit(case, shop):
    """survival.json `restricted_mean`, `restricted_mean_se`, `median` with its interval, `quartile_25` and `quartile_75` are reproduced."""
    gaps = _gaps_of(case, shop)
    table = gaps.table
    curve, horizon = survival(table), case["horizon_days"]
    assert restricted_mean(curve, horizon) == pytest.approx(case["restricted_mean"], rel=1e-12)
    error = gaps.error(restricted_mean_influence(table, horizon))
    assert error == pytest.approx(case["restricted_mean_se"], rel=1e-12, abs=1e-12)
    quantiles = [quantile_day(curve, share) for share in (0.25, 0.5, 0.75)]
    assert quantiles == [case["quartile_25"], case["median"], case["quartile_75"]]
    known = range(last_day(table) + 1)
    errors = np.array([gaps.error(survival_influence(table, day)) for day in known])
    for band, bound in zip(
        survival_band(curve[: len(known)], errors), ("median_ci_low", "median_ci_high"), strict=True
    ):
        reached = np.flatnonzero(band <= 0.5)
        assert (float(reached[0]) if reached.size else None) == case[bound]


@pytest.mark.parametrize("case", [case for case in CASES if case["dataset"] == "continuous_150"], ids=_name_of)
def test_durations_that_are_no_whole_days_equal_survfit(case, shop):
    """survival.json `restricted_mean`, `restricted_mean_se`, `quartile_25`, `median`, `quartile_75`, `median_ci_low`, `median_ci_high` of `continuous_150`."""
    gaps = _gaps_of(case, shop)
    table = gaps.table
    curve, known = survival(table), last_day(table) + 1
    assert gaps.restricted_mean(case["horizon_days"]) == pytest.approx(
        (case["restricted_mean"], case["restricted_mean_se"]), rel=1e-12
    )
    quantiles = [gaps.times[int(quantile_day(curve, share))] for share in (0.25, 0.5, 0.75)]
    assert quantiles == [case["quartile_25"], case["median"], case["quartile_75"]]
    errors = np.array([gaps.error(survival_influence(table, place)) for place in range(known)])
    reached = [gaps.times[np.flatnonzero(band <= 0.5)[0]] for band in survival_band(curve[:known], errors)]
    assert reached == [case["median_ci_low"], case["median_ci_high"]]


@pytest.mark.parametrize("case", [case for case in CASES if "curve" in case], ids=_name_of)
def test_whole_curve_equals_survfit(case, shop, numbers):
    """survival.json `curve`: `at_risk`, `events`, `survival`, `survival_se`, `cumulative_hazard`, `cumulative_hazard_se` at every distinct `time`."""
    gaps = _gaps_of(case, shop)
    ends = gaps.times[np.unique(gaps.ends[gaps.ends > 0])]
    np.testing.assert_allclose(case["curve"]["time"], ends, rtol=1e-12)
    _assert_curve(gaps, case["curve"], numbers)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_curves_equal_survfit(name, degenerate_shop, numbers):
    """degenerate.json `expected`: `n_gaps_used`, `weights`, `scores`, `median` and `curve` are reproduced.

    Of the curve `at_risk`, `events`, `survival`, `survival_se`, `cumulative_hazard`, `cumulative_hazard_se` at every `time`.
    """
    gaps, expected = degenerate_shop(name), DEGENERATE[name]["expected"]
    assert len(gaps.ends) == expected["n_gaps_used"]
    np.testing.assert_allclose(gaps.weights, expected["weights"], **TOLERANCE)
    np.testing.assert_allclose(gaps.sums(logrank_values(gaps.table)), expected["scores"], **TOLERANCE)
    assert median_day(survival(gaps.table)) == expected["median"]
    _assert_curve(gaps, expected["curve"], numbers)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_restricted_means_are_never_extended(name, degenerate_shop):
    """degenerate.json `expected.restricted_mean` and `restricted_mean_se` are reproduced where the data reach the horizon, else refused."""
    gaps, case = degenerate_shop(name), DEGENERATE[name]
    table, horizon = gaps.table, case["horizon_days"]
    curve = survival(table)
    if curve[last_day(table)] > 0 and last_day(table) < horizon:
        with pytest.raises(StatisticsError, match=f"day {horizon} is past the last day"):
            restricted_mean(curve, horizon)
        with pytest.raises(StatisticsError, match=f"day {horizon} is past the last day"):
            restricted_mean_influence(table, horizon)
        return
    assert restricted_mean(curve, horizon) == pytest.approx(case["expected"]["restricted_mean"], rel=1e-12)
    error = gaps.error(restricted_mean_influence(table, horizon))
    assert error == pytest.approx(case["expected"]["restricted_mean_se"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("case", PERMUTATION, ids=_name_of)
def test_logrank_scores_of_customers_equal_the_reference(case, shop):
    """permutation.json `cases[].scores` are the customers' sums of uncut log-rank values."""
    gaps = shop(case["dataset"], case["weighting"])
    np.testing.assert_allclose(gaps.sums(logrank_values(gaps.table)), case["scores"], **TOLERANCE)


@pytest.mark.parametrize("name", ["two_groups_120", "weekly_160", "staggered_240"])
def test_gehan_scores_count_the_gaps_that_a_gap_outlives(name, shop):
    """The Gehan score of a gap times n is Gehan's count over all pairs: outliving gaps minus those it outlives for sure."""
    gaps = shop(name, "typical_gap")
    slow = np.zeros(len(gaps.ends))
    for one, (end, event) in enumerate(zip(gaps.ends, gaps.events, strict=True)):
        for other_end, other_event in zip(gaps.ends, gaps.events, strict=True):
            outlived = other_event == 1 and (end > other_end or (end == other_end and event == 0))
            outliving = event == 1 and (other_end > end or (other_end == end and other_event == 0))
            slow[one] += int(outliving) - int(outlived)
    fast = customer_sums(
        gehan_values(gaps.table),
        customers=np.arange(len(gaps.ends)),
        durations=gaps.ends,
        events=gaps.events,
        weights=gaps.weights,
    )
    np.testing.assert_allclose(fast * len(gaps.ends), slow, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("weighting", ["typical_customer", "typical_gap"])
@pytest.mark.parametrize(("name", "tau"), [("staggered_240", 45), ("truncated_180", 60), ("truncated_240_kinds", 250)])
def test_cut_scores_follow_their_definition_gap_by_gap(name, tau, weighting, shop):
    """Both scores of a customer, cut at tau with late entry, are the plain sums over gaps and days of their formulas."""
    gaps = shop(name, weighting)
    ends, events = np.minimum(gaps.ends, tau), gaps.events * (gaps.ends <= tau)
    logrank, gehan = np.zeros(len(gaps.attributes["customer"])), np.zeros(len(gaps.attributes["customer"]))
    for day in range(1, tau + 1):
        at_risk = (gaps.entry_ages < day) & (day <= ends)
        back = at_risk & (ends == day) & (events == 1)
        numbers = gaps.weights[at_risk].sum()
        hazard = gaps.weights[back].sum() / numbers if numbers > 0 else 0.0
        part = np.bincount(gaps.customers, gaps.weights * (back - at_risk * hazard), len(logrank))
        logrank += part
        gehan += part * numbers / gaps.weights.sum()
    table = gaps.table.cut(tau)
    np.testing.assert_allclose(gaps.sums(logrank_values(table)), logrank, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(gaps.sums(gehan_values(table)), gehan, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("weighting", ["typical_customer", "typical_gap"])
@pytest.mark.parametrize("name", ["staggered_240", "sparse_200", "truncated_180"])
def test_influence_on_the_mean_cycle_is_its_derivative(name, weighting, shop):
    """A customer's influence on the mean cycle is the change of the mean cycle by an infinitesimal more weight."""
    gaps = shop(name, weighting)
    influence, step = gaps.sums(mean_cycle_influence(gaps.table, 60)), 1e-5
    for customer in range(0, len(influence), 17):
        means = []
        for sign in (1, -1):
            factors = np.ones(len(influence))
            factors[customer] += sign * step
            means.append(mean_cycle(survival(gaps.among(factors > 0, factors).table), 60))
        assert influence[customer] == pytest.approx((means[0] - means[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_mean_cycle_is_the_mean_of_the_days_of_those_back(shop):
    """Where nothing is censored before the horizon the mean cycle is the weighted mean of the days of the returns by then."""
    gaps = shop("all_complete")
    back = gaps.ends <= 40
    mean = np.average(gaps.ends[back], weights=gaps.weights[back])
    assert mean_cycle(survival(gaps.table), 40) == pytest.approx(mean, rel=1e-12)


def test_mean_cycle_is_undefined_where_nobody_is_back(degenerate_shop):
    """Without a return by the horizon the mean cycle is `nan` and its influence is refused."""
    table = degenerate_shop("nobody_returns").table
    assert np.isnan(mean_cycle(survival(table), 20))
    with pytest.raises(StatisticsError, match="nobody is back by day 20"):
        mean_cycle_influence(table, 20)


def test_curve_is_not_known_past_the_last_day(degenerate_shop):
    """Survival is `nan` after the last gap at risk unless it has reached 0, where it stays."""
    censored, empty = (survival(degenerate_shop(name).table) for name in ("one_customer_censored", "all_gaps_equal"))
    longer = survival(degenerate_shop("one_customer_censored").table + LifeTable(*np.zeros((3, 70))))
    assert np.all(censored == 1)
    assert np.isnan(longer[51:]).all()
    assert not np.isnan(longer[:51]).any()
    assert restricted_mean(empty, 500) == 30


def test_last_day_with_support(shop):
    """The last day with at least 50 customers at risk is the last on which 50 of them have not ended."""
    gaps = shop("two_groups_120")
    day = last_day(gaps.table, at_risk=50)
    assert gaps.table.at_risk[day] >= 50 > gaps.table.at_risk[day + 1]
    assert last_day(gaps.table, at_risk=1e6) is None


def test_day_by_which_a_share_of_returns_happened():
    """The horizon is the first day by which nine in ten returns happened, and it takes a return."""
    assert day_by_which(np.array([0, 5, 0, 4, 1]), 0.9) == 3
    assert day_by_which(np.array([0, 0, 10]), 0.9) == 2
    with pytest.raises(StatisticsError, match="no return"):
        day_by_which(np.zeros(5), 0.9)


@given(
    gaps=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 12), st.booleans()), min_size=2, max_size=40),
    order=st.randoms(use_true_random=False),
    part=st.integers(1, 39),
)
@settings(deadline=None)
def test_tables_do_not_depend_on_order_and_add(gaps, order, part):
    """The table of all gaps is that of the shuffled gaps, and the sum of the tables of two parts of them."""
    shuffled = list(gaps)
    order.shuffle(shuffled)
    parts = [rows for rows in (gaps[:part], gaps[part:]) if rows]
    whole = _table_of(gaps)
    summed = parts and _table_of(parts[0])
    for rows in parts[1:]:
        summed = summed + _table_of(rows)
    for other in (_table_of(shuffled), summed):
        np.testing.assert_array_equal(whole.events, other.events)
        np.testing.assert_array_equal(whole.at_risk, other.at_risk)


@given(gaps=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 12), st.booleans()), min_size=1, max_size=40))
@settings(deadline=None)
def test_scores_sum_to_zero_and_curves_fall(gaps):
    """Both scores sum to zero over the population, and survival falls from 1, whatever the gaps."""
    table = _table_of(gaps)
    ends, events, entries = (np.array(column) for column in zip(*_rows_of(gaps), strict=True))
    for values in (logrank_values(table), gehan_values(table)):
        sums = customer_sums(
            values,
            customers=np.zeros(len(ends), dtype=int),
            durations=ends,
            events=events,
            weights=np.ones(len(ends)),
            entry_ages=entries,
        )
        assert sums.sum() == pytest.approx(0, abs=1e-9)
    curve = survival(table)
    known = curve[~np.isnan(curve)]
    assert all(later <= earlier for earlier, later in pairwise([1.0, *known]))


def _rows_of(gaps):
    return [(entry + length, int(event), entry) for entry, length, event in gaps]


def _table_of(gaps):
    ends, events, entries = (np.array(column) for column in zip(*_rows_of(gaps), strict=True))
    return LifeTable.from_gaps(ends, events, weights=np.ones(len(ends)), entry_ages=entries)


def _assert_curve(gaps, expected, numbers):
    """At every time of the curve, counts, survival and hazard with their clustered errors are as expected."""
    table = gaps.table
    places = [gaps.place(time) for time in expected["time"]]
    computed = {
        "at_risk": table.at_risk[places],
        "events": table.events[places],
        "survival": survival(table)[places],
        "cumulative_hazard": cumulative_hazard(table)[places],
        "survival_se": [gaps.error(survival_influence(table, place)) for place in places],
        "cumulative_hazard_se": [gaps.error(hazard_influence(table, place)) for place in places],
    }
    for field, values in computed.items():
        np.testing.assert_allclose(values, np.nan_to_num(numbers(expected[field])), **TOLERANCE, err_msg=field)
