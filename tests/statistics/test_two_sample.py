"""Effect sizes of two groups against R, against scipy where it has them, and what their intervals must not do."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import chi2_contingency, fisher_exact, mannwhitneyu, nct, norm
from scipy.stats.contingency import association, expected_freq, odds_ratio

from segmentor.statistics.two_sample import (
    Sample,
    cohens_d,
    cramers_v,
    hedges_correction,
    hedges_g,
    kappa,
    noncentrality_interval,
    share_difference,
    welch_difference,
    wilson_interval,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "reference" / "two_sample.json").read_text())
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
BOUNDS = {"rtol": 1e-8, "atol": 1e-8}


@pytest.fixture(params=REFERENCE["proportions"])
def shares(request):
    """A pair of shares, with the counts behind it as a table of 2 rows."""
    case = REFERENCE["proportions"][request.param]
    return case, np.array([[case[f"x{one}"], case[f"n{one}"] - case[f"x{one}"]] for one in (1, 2)])


@pytest.fixture(params=REFERENCE["tables"])
def table(request):
    """A table of counts."""
    return REFERENCE["tables"][request.param]


@pytest.fixture(params=REFERENCE["means"])
def means(request):
    """A pair of samples: the case, and a before b."""
    case = REFERENCE["means"][request.param]
    return case, *(Sample.from_values(np.array(case[name])) for name in ("a", "b"))


def test_shares_and_their_intervals_equal_prop_test(shares):
    """two_sample.json `proportions.*`: `proportion_1`, `proportion_2`, `difference`, `wilson_ci_95_1`, `wilson_ci_95_2`, `newcombe_ci_95`."""
    case, _ = shares
    for one in ("1", "2"):
        share = wilson_interval(case[f"x{one}"], case[f"n{one}"])
        assert share.value == pytest.approx(case[f"proportion_{one}"], rel=1e-12)
        np.testing.assert_allclose([share.low, share.high], case[f"wilson_ci_95_{one}"], **TOLERANCE)
    apart = share_difference((case["x2"], case["x1"]), (case["n2"], case["n1"]))
    assert apart.value == pytest.approx(case["difference"], rel=1e-12, abs=1e-12)
    np.testing.assert_allclose([apart.low, apart.high], case["newcombe_ci_95"], **TOLERANCE)


def test_tests_of_shares_equal_prop_test_and_fisher_test(shares):
    """two_sample.json `statistic`, `p`, `statistic_corrected`, `p_corrected` are V's test and scipy's; `fisher_p_two_sided` is scipy's."""
    case, counts = shares
    ours, corrected = cramers_v(counts), chi2_contingency(counts, correction=True)
    assert ours.statistic == pytest.approx(case["statistic"], rel=1e-12, abs=1e-12)
    assert ours.p_value == pytest.approx(case["p"], rel=1e-12, abs=1e-12)
    assert corrected.statistic == pytest.approx(case["statistic_corrected"], rel=1e-12, abs=1e-12)
    assert corrected.pvalue == pytest.approx(case["p_corrected"], rel=1e-12, abs=1e-12)
    assert fisher_exact(counts).pvalue == pytest.approx(case["fisher_p_two_sided"], rel=1e-9)


def test_wald_intervals_equal_prop_test(shares):
    """two_sample.json `wald_ci_95`, `wald_ci_95_corrected`: d +- z se, plus at most half a customer in each group, within -1..1."""
    case, _ = shares
    n = np.array([case["n1"], case["n2"]])
    p = np.array([case["proportion_1"], case["proportion_2"]])
    reach = ndtri(0.975) * np.sqrt((p * (1 - p) / n).sum())
    correction = min(0.5, abs(case["difference"]) / (1 / n).sum()) * (1 / n).sum()
    for width, field in ((reach, "wald_ci_95"), (reach + correction, "wald_ci_95_corrected")):
        bounds = np.clip(case["difference"] + np.array([-width, width]), -1, 1)
        np.testing.assert_allclose(bounds, case[field], **TOLERANCE)


def test_ratios_of_shares_equal_the_reference(shares, numbers):
    """two_sample.json `odds_ratio`, `log_odds_ratio_se`, `risk_ratio`, `log_risk_ratio_se` are those of the counts."""
    case, counts = shares
    with np.errstate(divide="ignore", invalid="ignore"):
        computed = {
            "odds_ratio": np.float64(counts[0, 0] * counts[1, 1]) / (counts[0, 1] * counts[1, 0]),
            "log_odds_ratio_se": np.sqrt((1 / counts).sum()),
            "risk_ratio": np.float64(case["x1"] * case["n2"]) / (case["n1"] * case["x2"]),
            "log_risk_ratio_se": np.sqrt(1 / counts[0, 0] - 1 / case["n1"] + 1 / counts[1, 0] - 1 / case["n2"]),
        }
    for field, value in computed.items():
        assert value == pytest.approx(float(numbers(case[field])), rel=1e-12), field
    if counts.all():
        assert odds_ratio(counts, kind="sample").statistic == pytest.approx(case["odds_ratio"], rel=1e-12)


def test_association_equals_chisq_test(table):
    """two_sample.json `tables.*`: `n`, `statistic`, `df`, `p`, `cramers_v`, `cramers_v_bias_corrected` are R's, and V is scipy's."""
    ours = cramers_v(table["counts"])
    assert np.sum(table["counts"]) == table["n"]
    assert ours.statistic == pytest.approx(table["statistic"], rel=1e-12)
    assert ours.degrees_of_freedom == table["df"]
    assert ours.p_value == pytest.approx(table["p"], rel=1e-12, abs=1e-12)
    assert ours.v.value == pytest.approx(table["cramers_v"], rel=1e-12)
    assert ours.v.value == pytest.approx(association(np.array(table["counts"])), rel=1e-12)
    assert ours.v_bias_corrected == pytest.approx(table["cramers_v_bias_corrected"], rel=1e-12, abs=1e-12)


def test_intervals_of_association_equal_the_reference(table):
    """two_sample.json `noncentrality_ci_95` and `cramers_v_ci_95` are found without a search."""
    ours = cramers_v(table["counts"])
    bounds = noncentrality_interval(table["statistic"], table["df"])
    np.testing.assert_allclose(bounds, table["noncentrality_ci_95"], **BOUNDS)
    np.testing.assert_allclose([ours.v.low, ours.v.high], table["cramers_v_ci_95"], **BOUNDS)


def test_cells_of_tables_equal_chisq_test(table):
    """two_sample.json `expected` is scipy's, `standardised_residuals` are (O - E) / sqrt(E (1 - row share) (1 - column share))."""
    counts = np.array(table["counts"])
    expected = expected_freq(counts)
    np.testing.assert_allclose(expected, table["expected"], **TOLERANCE)
    rest = np.outer(1 - counts.sum(axis=1) / counts.sum(), 1 - counts.sum(axis=0) / counts.sum())
    np.testing.assert_allclose(
        (counts - expected) / np.sqrt(expected * rest), table["standardised_residuals"], **TOLERANCE
    )


@pytest.mark.parametrize("name", [name for name, case in REFERENCE["tables"].items() if "statistic_yates" in case])
def test_four_cells_equal_chisq_test_and_fisher_test(name):
    """two_sample.json `statistic_yates`, `p_yates`, `fisher_p_two_sided`, `fisher_p_greater` of 2 x 2 tables are scipy's."""
    case = REFERENCE["tables"][name]
    yates = chi2_contingency(case["counts"], correction=True)
    assert yates.statistic == pytest.approx(case["statistic_yates"], rel=1e-12)
    assert yates.pvalue == pytest.approx(case["p_yates"], rel=1e-12)
    assert fisher_exact(case["counts"]).pvalue == pytest.approx(case["fisher_p_two_sided"], rel=1e-12)
    greater = fisher_exact(case["counts"], alternative="greater").pvalue
    assert greater == pytest.approx(case["fisher_p_greater"], rel=1e-12)


def test_moments_equal_the_reference(means):
    """two_sample.json `means.*`: `mean_a`, `mean_b`, `sd_a`, `sd_b`, `pooled_sd`, `difference_by_average_variance`."""
    case, a, b = means
    np.testing.assert_allclose([a.mean, b.mean], [case["mean_a"], case["mean_b"]], **TOLERANCE)
    np.testing.assert_allclose(np.sqrt([a.variance, b.variance]), [case["sd_a"], case["sd_b"]], **TOLERANCE)
    pooled = np.sqrt(((a.n - 1) * a.variance + (b.n - 1) * b.variance) / (a.n + b.n - 2))
    assert pooled == pytest.approx(case["pooled_sd"], rel=1e-12)
    by_average = (a.mean - b.mean) / np.sqrt((a.variance + b.variance) / 2)
    assert by_average == pytest.approx(case["difference_by_average_variance"], rel=1e-11)


def test_standardised_differences_equal_the_reference(means):
    """two_sample.json `cohens_d`, `cohens_d_se`, `cohens_d_ci_95_normal`, `hedges_correction`, `hedges_g`, `cohens_d_ci_95_noncentral_t`."""
    case, a, b = means
    d, g = cohens_d(b, a), hedges_g(b, a)
    assert d == pytest.approx(case["cohens_d"], rel=1e-11)
    assert hedges_correction(a.n + b.n - 2) == pytest.approx(case["hedges_correction"], rel=1e-12)
    assert g.value == pytest.approx(case["hedges_g"], rel=1e-11)
    np.testing.assert_allclose([g.low, g.high], case["cohens_d_ci_95_noncentral_t"], **BOUNDS)
    error = math.sqrt((a.n + b.n) / (a.n * b.n) + d**2 / (2 * (a.n + b.n)))
    assert error == pytest.approx(case["cohens_d_se"], rel=1e-12)
    np.testing.assert_allclose(norm.interval(0.95, d, error), case["cohens_d_ci_95_normal"], rtol=1e-11)


def test_differences_of_means_equal_t_test(means):
    """two_sample.json `welch_t`, `welch_df`, `welch_p`, `difference_ci_95_welch` are reproduced from n, mean and variance."""
    case, a, b = means
    welch = welch_difference(b, a)
    assert welch.t == pytest.approx(case["welch_t"], rel=1e-11)
    assert welch.degrees_of_freedom == pytest.approx(case["welch_df"], rel=1e-12)
    assert welch.p_value == pytest.approx(case["welch_p"], rel=1e-11)
    np.testing.assert_allclose(
        [welch.difference.low, welch.difference.high], case["difference_ci_95_welch"], rtol=1e-12
    )


def test_rank_sums_equal_wilcox_test(means):
    """two_sample.json `wilcoxon_w`, `wilcoxon_p_normal` are scipy's, with the correction for continuity."""
    case, _, _ = means
    ranks = mannwhitneyu(case["a"], case["b"], method="asymptotic", use_continuity=True)
    assert ranks.statistic == case["wilcoxon_w"]
    assert ranks.pvalue == pytest.approx(case["wilcoxon_p_normal"], rel=1e-11)


def test_a_sample_has_the_moments_of_its_values():
    """Number, mean and variance with n - 1, however far from 0."""
    assert Sample.from_values(np.array([3.0, 7, 7, 12, 1]) + 10**9) == Sample(5, 10**9 + 6.0, 18.0)


def test_too_few_values_are_undefined_not_wrong():
    """No values, one value and values without variance give `nan` where nothing can be said, and no warning."""
    none, one, same, more = (
        Sample.from_values(np.array([])),
        Sample.from_values(np.array([4.0])),
        Sample(9, 4.0, 0.0),
        Sample(9, 1.0, 2.0),
    )
    assert (one.mean, math.isnan(one.variance), math.isnan(none.mean)) == (4.0, True, True)
    for first, second in ((none, more), (same, same), (one, one), (none, none)):
        assert math.isnan(hedges_g(first, second).value)
        assert math.isnan(hedges_g(first, second).low)
        assert math.isnan(welch_difference(first, second).p_value)
        assert math.isnan(welch_difference(first, second).difference.low)
    assert hedges_g(one, more).low < hedges_g(one, more).value < hedges_g(one, more).high
    assert welch_difference(same, more).difference.value == -3.0
    assert math.isnan(hedges_g(Sample(50, 0.0, 1.0), Sample(50, 1e9, 1.0)).low)


def test_tables_of_one_row_are_undefined_and_empty_rows_change_nothing():
    """Nothing goes with a single row; rows and columns without counts are as if they were not there."""
    assert math.isnan(cramers_v([[5, 6]]).v.value)
    assert math.isnan(cramers_v([[0, 0], [5, 6]]).p_value)
    assert math.isnan(cramers_v(np.zeros((2, 2))).v.low)
    assert cramers_v([[5, 0, 6], [0, 0, 0], [9, 0, 2]]) == cramers_v([[5, 6], [9, 2]])
    assert cramers_v([[5, 0], [0, 5]]).v.value == 1.0


def test_shares_of_nobody_are_undefined():
    """A group of nobody has no share, and no difference from another group."""
    assert math.isnan(wilson_interval(0, 0).value)
    assert math.isnan(share_difference((0, 3), (0, 9)).high)


@given(
    first=st.tuples(st.integers(2, 10**6), st.floats(0.01, 100)),
    second=st.tuples(st.integers(2, 10**6), st.floats(0.01, 100)),
    apart=st.floats(-3, 3),
    level=st.sampled_from([0.8, 0.95, 0.999]),
)
@settings(deadline=None, max_examples=60)
def test_bounds_of_hedges_g_have_their_probabilities(first, second, apart, level):
    """At its bounds the noncentral t law puts the observed t at the given quantiles; groups turned round turn them round."""
    one, other = Sample(first[0], 0.0, first[1]), Sample(second[0], apart, second[1])
    g, turned = hedges_g(one, other, level=level), hedges_g(other, one, level=level)
    assert (g.value, g.low, g.high) == pytest.approx((-turned.value, -turned.high, -turned.low), rel=1e-9, abs=1e-9)
    root = math.sqrt(one.n * other.n / (one.n + other.n))
    t, degrees = cohens_d(one, other) * root, one.n + other.n - 2
    for bound, below in ((g.low, (1 + level) / 2), (g.high, (1 - level) / 2)):
        assert nct.cdf(t, degrees, bound * root) == pytest.approx(below, abs=1e-6)


@given(counts=st.tuples(st.integers(0, 60), st.integers(0, 60)), more=st.tuples(st.integers(0, 60), st.integers(0, 60)))
@settings(deadline=None)
def test_intervals_of_shares_stay_in_range(counts, more):
    """Shares are within their bounds and these within 0..1, differences within -1..1, and turning round turns the sign."""
    sizes = tuple(count + other + 1 for count, other in zip(counts, more, strict=True))
    for count, n in zip(counts, sizes, strict=True):
        share = wilson_interval(count, n)
        assert 0 <= share.low <= share.value <= share.high <= 1
    apart, turned = share_difference(counts, sizes), share_difference(counts[::-1], sizes[::-1])
    assert -1 <= apart.low <= apart.value <= apart.high <= 1
    assert (apart.value, apart.low, apart.high) == pytest.approx((-turned.value, -turned.high, -turned.low), abs=1e-15)


TABLES = st.integers(2, 4).flatmap(
    lambda size: st.lists(st.lists(st.integers(1, 40), min_size=size, max_size=size), min_size=size, max_size=size)
)


@given(counts=TABLES)
@settings(deadline=None)
def test_error_of_kappa_is_that_of_the_delta_method(counts):
    """The variance of kappa is the multinomial variance of its derivatives by the cells, taken by finite differences."""
    table = np.array(counts, dtype=float)
    n, size = table.sum(), len(table)
    gradient = np.zeros_like(table)
    for cell in np.ndindex(size, size):
        step = np.zeros_like(table)
        step[cell] = 1e-5
        gradient[cell] = (_kappa_of(table / n + step) - _kappa_of(table / n - step)) / 2e-5
    shares = table / n
    variance = ((gradient**2 * shares).sum() - (gradient * shares).sum() ** 2) / n
    estimate = kappa(counts, level=0.5)
    assert estimate.value == pytest.approx(_kappa_of(shares), abs=1e-12)
    assert (estimate.high - estimate.low) / 2 == pytest.approx(ndtri(0.75) * math.sqrt(variance), rel=1e-5, abs=1e-7)


def test_kappa_of_known_tables():
    """Cohen's kappa is 0.4 where 35 of 50 agree and 25 would by chance, 1 where all do, `nan` where all are alike."""
    assert kappa([[20, 5], [10, 15]]).value == pytest.approx(0.4)
    assert (kappa([[20, 0], [0, 15]]).value, kappa([[20, 0], [0, 15]]).low) == (1.0, 1.0)
    assert math.isnan(kappa([[20, 0], [0, 0]]).value)
    assert math.isnan(kappa(np.zeros((2, 2))).value)


def test_kappa_covers_its_truth():
    """The 95 % interval covers the kappa of a known table in 93 to 97 of 100 samples of 400 customers."""
    shares = np.array([[0.35, 0.10, 0.05], [0.05, 0.20, 0.05], [0.02, 0.03, 0.15]])
    draws = np.random.default_rng(5).multinomial(400, shares.ravel(), 1000).reshape(-1, 3, 3)
    estimates = [kappa(table) for table in draws]
    assert 0.93 < np.mean([one.low < _kappa_of(shares) < one.high for one in estimates]) < 0.97


def _kappa_of(table):
    """Kappa of a table of shares that need not add to one."""
    shares = table / table.sum()
    by_chance = shares.sum(axis=1) @ shares.sum(axis=0)
    return (np.trace(shares) - by_chance) / (1 - by_chance)
