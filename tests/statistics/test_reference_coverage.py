"""Every field of the reference numbers is reproduced by a test that names it, or is an input, or is left out for a reason."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
TESTS = Path(__file__).parent
FILES = sorted(path.name for path in REFERENCE.glob("*.json"))

MEMBERS = {
    "datasets.json": {"datasets"},
    "degenerate.json": {"cases"},
    "two_sample.json": {"proportions", "tables", "means"},
    "association_rules.json": {"tables"},
    "multiplicity.json": {"adjusted", "splits"},
}
"""Objects whose keys are names of cases and not of fields; they are written `*` in paths."""

PERMUTATION_TEST = "{levels,linear_statistic,expectation,covariance,statistic,df,p}"
SURVDIFF = "{levels,observed,expected,covariance,statistic,df,p}"
CURVE = "{time,at_risk,events,survival,survival_se,cumulative_hazard,cumulative_hazard_se}"

REPRODUCED = {
    "test_survival.py::test_counts_and_curve_on_given_days_equal_survfit": [
        "survival.json cases[].{n_customers,n_gaps,weighted_events,last_time}",
        "survival.json cases[].at.{survival,survival_se,survival_ci_low,survival_ci_high,cumulative_hazard,cumulative_hazard_se}",
    ],
    "test_survival.py::test_means_and_quantiles_equal_survfit": [
        "survival.json cases[].{restricted_mean,restricted_mean_se,median,median_ci_low,median_ci_high,quartile_25,quartile_75}",
    ],
    "test_survival.py::test_durations_that_are_no_whole_days_equal_survfit": [
        "survival.json cases[].{restricted_mean,restricted_mean_se,median,median_ci_low,median_ci_high,quartile_25,quartile_75}",
    ],
    "test_survival.py::test_whole_curve_equals_survfit": ["survival.json cases[].curve." + CURVE],
    "test_survival.py::test_degenerate_curves_equal_survfit": [
        "degenerate.json cases.*.expected.{n_gaps_used,weights,scores,median}",
        "degenerate.json cases.*.expected.curve." + CURVE,
    ],
    "test_survival.py::test_degenerate_restricted_means_are_never_extended": [
        "degenerate.json cases.*.expected.{restricted_mean,restricted_mean_se}",
    ],
    "test_survival.py::test_logrank_scores_of_customers_equal_the_reference": ["permutation.json cases[].scores"],
    "test_naive.py::test_errors_of_independent_gaps_equal_survfit": [
        "survival.json cases[].independent_gaps.{survival,survival_se,survival_ci_low,survival_ci_high}",
        "survival.json cases[].independent_gaps.{cumulative_hazard,cumulative_hazard_se}",
    ],
    "test_naive.py::test_error_of_the_restricted_mean_equals_survfit": [
        "survival.json cases[].independent_gaps.restricted_mean_se",
    ],
    "test_naive.py::test_error_of_the_restricted_mean_of_durations_that_are_no_whole_days": [
        "survival.json cases[].independent_gaps.restricted_mean_se",
    ],
    "test_naive.py::test_logrank_equals_survdiff": [
        "logrank.json cases[].{survdiff_all_gaps,survdiff_first_gaps}." + SURVDIFF,
    ],
    "test_naive.py::test_degenerate_first_gaps_equal_survdiff_or_are_refused": [
        "degenerate.json cases.*.expected.survdiff_first_gaps." + SURVDIFF,
        "degenerate.json cases.*.expected.survdiff_first_gaps.failure",
    ],
    "test_cox.py::test_clustered_score_test_equals_coxph": [
        "logrank.json cases[].{typical_customer,typical_gap}.{levels,score,score_covariance_clustered,statistic,df,p,naive_statistic}",
    ],
    "test_cox.py::test_hazard_ratios_equal_coxph": [
        "logrank.json cases[].{typical_customer,typical_gap}.{log_hazard_ratio,log_hazard_ratio_covariance_clustered}",
        "logrank.json cases[].{typical_customer,typical_gap}.log_hazard_ratio_covariance_naive",
    ],
    "test_cox.py::test_degenerate_score_tests_equal_coxph_or_are_refused": [
        "degenerate.json cases.*.expected.score_test.{statistic,df,p,failure}",
    ],
    "test_linear.py::test_permutation_moments_equal_coin": [
        "permutation.json cases[].{group,kind}.{plain,within_cohorts}." + PERMUTATION_TEST,
    ],
    "test_linear.py::test_standardised_sum_is_the_logrank_test_of_coin": [
        "permutation.json cases[].group.coin_logrank_test_z",
    ],
    "test_linear.py::test_group_sums_equal_the_reference": [
        "permutation.json cases[].group.sums_within_cohorts.{group,stratum,n,sum,sum_of_squares}",
    ],
    "test_linear.py::test_arrangements_are_counted_by_cohort": [
        "permutation.json cases[].group.{plain_exact,within_cohorts_exact}.arrangements",
    ],
    "test_linear.py::test_degenerate_splits_equal_coin_or_are_refused": [
        "degenerate.json cases.*.expected.{permutation,permutation_within_cohorts}." + PERMUTATION_TEST,
        "degenerate.json cases.*.expected.{permutation,permutation_within_cohorts}.failure",
    ],
    "test_linear.py::test_cohorts_of_one_left_out_equal_coin": [
        "degenerate.json cases.*.expected.permutation_within_cohorts_of_two_or_more." + PERMUTATION_TEST,
    ],
    "test_permutation.py::test_all_arrangements_are_counted_as_in_r": [
        "permutation.json cases[].group.{plain_exact,within_cohorts_exact}.{p_two_sided,p_lower,p_upper,p_two_sided_of_ranks}",
        "permutation.json cases[].group.plain_exact.p_two_sided_coin",
    ],
    "test_permutation.py::test_relabelling_agrees_with_coin": [
        "permutation.json cases[].{group,kind}.{plain_monte_carlo,within_cohorts_monte_carlo}.p",
    ],
    "test_thresholds.py::test_scan_equals_maxstat": [
        "permutation.json cases[].{age_threshold,discount_share_threshold}.plain.{thresholds,standardised,statistic,threshold}",
        "permutation.json cases[].x_threshold.{plain,within_cohorts}.{thresholds,standardised,statistic,threshold}",
    ],
    "test_thresholds.py::test_asymptotic_p_equals_quadrature_and_mvtnorm": [
        "permutation.json cases[].{x_threshold,age_threshold,discount_share_threshold}.plain.{p_asymptotic,p_asymptotic_quadrature}",
        "permutation.json cases[].x_threshold.within_cohorts.p_asymptotic",
    ],
    "test_thresholds.py::test_relabelled_p_agrees_with_coin": [
        "permutation.json cases[].{x_threshold,age_threshold,discount_share_threshold}.plain.p_monte_carlo",
        "permutation.json cases[].x_threshold.within_cohorts.p_monte_carlo",
    ],
    "test_multiplicity.py::test_holm_equals_r_to_the_last_bit": ["multiplicity.json adjusted.*.holm"],
    "test_multiplicity.py::test_benjamini_yekutieli_equals_r_to_the_last_bits": ["multiplicity.json adjusted.*.by"],
    "test_multiplicity.py::test_corrections_that_the_package_does_without": [
        "multiplicity.json adjusted.*.{bonferroni,hochberg,bh}",
    ],
    "test_screening.py::test_splits_equal_those_of_coin": [
        "multiplicity.json max_t[].{standardised,p_unadjusted_asymptotic}",
    ],
    "test_screening.py::test_largest_statistic_has_the_joint_normal_law_of_coin": [
        "multiplicity.json max_t[].{correlation,p_single_step_asymptotic}",
    ],
    "test_screening.py::test_relabelled_p_values_agree_with_coin": [
        "multiplicity.json max_t[].{p_unadjusted_monte_carlo,p_single_step_monte_carlo,p_step_down_monte_carlo}",
    ],
    "test_trees.py::test_association_with_every_attribute_equals_ctree": [
        "trees.json cases[].{statistic,df,p,p_adjusted_by_ctree,p_bonferroni}",
    ],
    "test_trees.py::test_first_split_equals_that_of_ctree": [
        "trees.json cases[].split.{attribute,threshold,left_levels,n_left,n_right,mean_score_left,mean_score_right}",
        "trees.json cases[].split.statistic_of_binary_split",
    ],
    "test_effects.py::test_differences_and_ratios_equal_the_reference": [
        "effects.json cases[].{restricted_mean_a,restricted_mean_a_se,restricted_mean_b,restricted_mean_b_se}",
        "effects.json cases[].{difference_days,difference_days_se,difference_days_ci_95,difference_z,difference_p}",
        "effects.json cases[].{log_ratio,log_ratio_se,ratio,ratio_ci_95,ratio_ci_90,ratio_p}",
    ],
    "test_effects.py::test_two_one_sided_tests_equal_the_reference": [
        "effects.json cases[].tost[].{z_above_low,z_below_high,p_above_low,p_below_high,p,equivalent_at_5_percent}",
    ],
    "test_effects.py::test_shares_back_equal_the_reference": [
        "effects.json cases[].back_within.{share_a,share_b,difference,difference_se}",
        "effects.json cases[].back_within.{difference_ci_95_low,difference_ci_95_high}",
    ],
    "test_effects.py::test_standardised_means_equal_the_reference": [
        "effects.json standardised_over_cohorts[].{a,b}.{restricted_mean_by_cohort,restricted_mean_by_cohort_se}",
        "effects.json standardised_over_cohorts[].{a,b}.{averaged_over_cohorts,averaged_over_cohorts_se}",
        "effects.json standardised_over_cohorts[].{a,b}.{reweighted,reweighted_se}",
    ],
    "test_two_sample.py::test_shares_and_their_intervals_equal_prop_test": [
        "two_sample.json proportions.*.{proportion_1,proportion_2,difference,wilson_ci_95_1,wilson_ci_95_2,newcombe_ci_95}",
    ],
    "test_two_sample.py::test_tests_of_shares_equal_prop_test_and_fisher_test": [
        "two_sample.json proportions.*.{statistic,p,statistic_corrected,p_corrected,fisher_p_two_sided}",
    ],
    "test_two_sample.py::test_wald_intervals_equal_prop_test": [
        "two_sample.json proportions.*.{wald_ci_95,wald_ci_95_corrected}",
    ],
    "test_two_sample.py::test_ratios_of_shares_equal_the_reference": [
        "two_sample.json proportions.*.{odds_ratio,log_odds_ratio_se,risk_ratio,log_risk_ratio_se}",
    ],
    "test_two_sample.py::test_association_equals_chisq_test": [
        "two_sample.json tables.*.{n,statistic,df,p,cramers_v,cramers_v_bias_corrected}",
    ],
    "test_two_sample.py::test_intervals_of_association_equal_the_reference": [
        "two_sample.json tables.*.{noncentrality_ci_95,cramers_v_ci_95}",
    ],
    "test_two_sample.py::test_cells_of_tables_equal_chisq_test": [
        "two_sample.json tables.*.{expected,standardised_residuals}",
    ],
    "test_two_sample.py::test_four_cells_equal_chisq_test_and_fisher_test": [
        "two_sample.json tables.*.{statistic_yates,p_yates,fisher_p_two_sided,fisher_p_greater}",
    ],
    "test_two_sample.py::test_moments_equal_the_reference": [
        "two_sample.json means.*.{mean_a,mean_b,sd_a,sd_b,pooled_sd,difference_by_average_variance}",
    ],
    "test_two_sample.py::test_standardised_differences_equal_the_reference": [
        "two_sample.json means.*.{cohens_d,cohens_d_se,cohens_d_ci_95_normal,cohens_d_ci_95_noncentral_t}",
        "two_sample.json means.*.{hedges_correction,hedges_g}",
    ],
    "test_two_sample.py::test_differences_of_means_equal_t_test": [
        "two_sample.json means.*.{welch_t,welch_df,welch_p,difference_ci_95_welch}",
    ],
    "test_two_sample.py::test_rank_sums_equal_wilcox_test": ["two_sample.json means.*.{wilcoxon_w,wilcoxon_p_normal}"],
    "test_association.py::test_counts_are_those_of_the_baskets": [
        "association_rules.json tables.*.rules[].{n,n_antecedent,n_consequent,n_both,n_customers_with_both}",
    ],
    "test_association.py::test_ratios_equal_those_of_r": [
        "association_rules.json tables.*.rules[].{support,confidence,lift,leverage,conviction}",
    ],
    "test_association.py::test_tests_of_four_cells_equal_those_of_r": [
        "association_rules.json tables.*.rules[].{odds_ratio,chi_square,chi_square_p,fisher_p_greater}",
    ],
    "test_association.py::test_one_stratum_gives_the_plain_lift_and_its_clustered_standard_error": [
        "association_rules.json tables.*.rules[].log_lift_se_by_customer",
    ],
    "test_association.py::test_lift_within_months_equals_that_of_r": [
        "association_rules.json tables.*.rules[].lift_within_months",
    ],
    "test_association.py::test_stratified_tables_equal_mantelhaen_test": [
        "association_rules.json tables.*.rules[].mantel_haenszel_{odds_ratio,statistic,p}",
    ],
    "test_gehan.py::test_horizon_is_the_day_by_which_nine_in_ten_returned": ["gehan.json cases[].tau"],
    "test_gehan.py::test_scores_equal_sums_over_gaps_and_days": ["gehan.json cases[].scores"],
    "test_gehan.py::test_permutation_test_equals_the_loops": [
        "gehan.json cases[].{group,kind}.{plain,within_cohorts}." + PERMUTATION_TEST,
    ],
    "test_gehan.py::test_every_arrangement_of_the_smallest_shop": [
        "gehan.json cases[].group.{plain_exact,within_cohorts_exact}.{level,arrangements,variance,third_central_moment}",
        "gehan.json cases[].group.{plain_exact,within_cohorts_exact}.{p_two_sided,p_lower,p_upper}",
    ],
    "test_gehan.py::test_scores_of_single_gaps_are_the_count_over_pairs": ["gehan.json pairs[].{scores,counts}"],
}
"""Test to the fields that it reproduces; braces hold alternatives."""

NOT_REPRODUCED = {
    "names the data of a case or how they were weighted and split": [
        "survival.json cases[].{dataset,rows,weighting,group}",
        "logrank.json cases[].{dataset,split,stratified_by_cohort}",
        "permutation.json cases[].{dataset,weighting}",
        "multiplicity.json max_t[].{dataset,weighting,within_cohorts}",
        "trees.json cases[].{dataset,weighting}",
        "effects.json cases[].{dataset,rows,weighting,split,a,b}",
        "effects.json standardised_over_cohorts[].dataset",
        "gehan.json {cases,pairs}[].dataset",
        "gehan.json cases[].weighting",
        "datasets.json datasets.*.{about,seed,truncated}",
        "degenerate.json cases.*.about",
    ],
    "an input": [
        "datasets.json datasets.*.customers.{customer,entry_day,cohort,group,kind,x}",
        "datasets.json datasets.*.customers.{gender,region,channel,age,order_amount,discount_share}",
        "datasets.json datasets.*.gaps.{customer,entry_age,duration,event_observed}",
        "degenerate.json cases.*.customers.{customer,cohort,group}",
        "degenerate.json cases.*.gaps.{customer,entry_age,duration,event_observed}",
        "multiplicity.json adjusted.*.p",
        "multiplicity.json max_t[].splits.*",
        "trees.json cases[].attributes",
        "two_sample.json proportions.*.{x1,n1,x2,n2}",
        "two_sample.json tables.*.counts",
        "two_sample.json means.*.{a,b}",
        "association_rules.json tables.*.{customer,month,items}",
        "association_rules.json tables.*.rules[].{antecedent,consequent}",
    ],
    "the day, margin or share at which the numbers beside it are taken": [
        "{datasets.json datasets,degenerate.json cases}.*.horizon_days",
        "survival.json cases[].horizon_days",
        "survival.json cases[].{at,independent_gaps}.days",
        "effects.json {cases,standardised_over_cohorts}[].horizon_days",
        "effects.json cases[].back_within.days",
        "effects.json cases[].tost[].margin",
        "effects.json standardised_over_cohorts[].{a,b}.{cohorts,cohort_shares}",
        "gehan.json pairs[].tau",
    ],
    "how many relabellings coin drew, which sets the tolerance of its p": [
        "permutation.json cases[].{group,kind}.{plain_monte_carlo,within_cohorts_monte_carlo}.resamples",
        "multiplicity.json max_t[].resamples",
    ],
    "interval of a Monte Carlo p, which its tolerance stands for": [
        "permutation.json cases[].{group,kind}.{plain_monte_carlo,within_cohorts_monte_carlo}.{p_ci_low_99,p_ci_high_99}",
        "permutation.json cases[].{x_threshold,age_threshold,discount_share_threshold}.plain.p_monte_carlo_ci_99",
        "permutation.json cases[].x_threshold.within_cohorts.p_monte_carlo_ci_99",
    ],
    "error term of a randomised lattice, which is no bound": [
        "permutation.json cases[].{x_threshold,age_threshold,discount_share_threshold}.plain.p_asymptotic_error",
        "permutation.json cases[].x_threshold.within_cohorts.p_asymptotic_error",
    ],
}
"""Reason to the fields that no test reproduces."""


def _fields(value: object, path: str, members: set[str]) -> Iterator[str]:
    """Paths of all values that are no object and no list of objects."""
    if isinstance(value, dict):
        named = path.rpartition(".")[2] in members
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{'*' if named else key}".removeprefix("."), members)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for inner in value:
            yield from _fields(inner, f"{path}[]", members)
    else:
        yield path


@cache
def _fields_of(file: str) -> set[str]:
    """Fields of a file, with its name; what it was made with is none, nor is an object that is absent in one case."""
    paths = set(_fields(json.loads((REFERENCE / file).read_text()), "", MEMBERS.get(file, set())))
    return {
        f"{file} {path}"
        for path in paths
        if not path.startswith("made_with") and not any(other.startswith(f"{path}.") for other in paths)
    }


def _expanded(pattern: str) -> set[str]:
    """All paths that a pattern with alternatives in braces stands for."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    return {"".join(choice) for choice in product(*parts)}


def _table(side: dict[str, list[str]]) -> set[str]:
    return {path for patterns in side.values() for pattern in patterns for path in _expanded(pattern)}


@pytest.mark.parametrize("file", FILES)
def test_every_field_is_reproduced_or_has_a_reason(file: str) -> None:
    """Each field of the file stands in the table, on one of its sides."""
    reproduced, reasons = _table(REPRODUCED), _table(NOT_REPRODUCED)
    assert not reproduced & reasons
    assert not sorted(_fields_of(file) - reproduced - reasons)


def test_table_names_no_field_that_is_not_there() -> None:
    """Each field of the table is in a file."""
    assert not sorted((_table(REPRODUCED) | _table(NOT_REPRODUCED)) - set().union(*map(_fields_of, FILES)))


@pytest.mark.parametrize("test", REPRODUCED)
def test_named_test_mentions_its_fields(test: str) -> None:
    """The test of the table exists, and its docstring or code names every field that it is said to reproduce, and the file."""
    path, _, name = test.partition("::")
    source = (TESTS / path).read_text()
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    text = ast.get_source_segment(source, function) or ""
    fields = {field.rpartition(".")[2] for pattern in REPRODUCED[test] for field in _expanded(pattern)}
    assert not {field for field in fields if not re.search(rf"(?<!\w){field}(?!\w)", text)}
    assert {pattern.partition(" ")[0] for pattern in REPRODUCED[test]} <= set(re.findall(r"\w+\.json", source))
