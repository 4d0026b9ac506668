"""``trials.csv``, ``habits.csv``, ``ledger.csv``, ``cross_sell.csv``, ``bundles.csv``: the columns of the contract, in order, and cells that no spreadsheet runs."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

import pytest

from segmentor.result import (
    Bundle,
    ClusterRule,
    CrossSellRule,
    CycleSummary,
    GroupEffect,
    Habit,
    Interval,
    LedgerEntry,
    PairEffect,
    Quality,
    RunResult,
    ScoreTest,
    SplitTest,
    Trial,
    Worth,
)
from segmentor.tables import bundles_csv, cross_sell_csv, habits_csv, ledger_csv, trials_csv
from segmentor.wording import Message

NONE = Interval(None, None, None)
TESTED = Trial(
    segment="all",
    split="size",
    source="declared",
    known="first_purchases: 2",
    definition=(),
    groups=(
        GroupEffect("small", 70, 200, Interval(0.6, 0.5, 0.7), (), Interval(46.5, 40.0, 50.0)),
        GroupEffect("large", 50, 90, Interval(0.5, 0.4, 0.6), (), NONE),
        GroupEffect("huge", 9, 3),
    ),
    not_known=4,
    verdict="separates",
    reasons=("significant", "large enough"),
    sentence=Message("They differ."),
    horizon_days=120,
    pairs=(
        PairEffect("small", "huge", NONE, NONE, NONE, (), separated=False, equivalent=False),
        PairEffect(
            "small",
            "large",
            Interval(1.18, 1.05, 1.33),
            Interval(8.0, 2.0, 14.0),
            Interval(-0.1, -0.2, -0.01),
            (),
            separated=True,
            equivalent=False,
        ),
    ),
    verdict_pair=1,
    test=SplitTest((ScoreTest("typical_gap Gehan", 3.0, 2, 0.2),), 1e-05, "permutation"),
    p_adjusted=0.1 + 0.2,
)
UNTESTED = Trial("all", "habit", "declared", "lifetime", (), (), 0, "untestable", ("circular",), "Circular.")
RULE = CrossSellRule(
    antecedent=("a", "b"),
    consequent="c",
    kind="attach",
    mode="same_occasion",
    segment="all",
    customers=60,
    support=0.1,
    confidence=0.25,
    lift=Interval(2.0, 1.5, None),
    p_confirmation_adjusted=0.03,
    valid=True,
)
WORTH = Worth(40, Interval(12.5, 8.0, 17.0), Interval(99.0, 60.0, 140.0))


def result(*trials: Trial, rules: tuple[CrossSellRule, ...] | None = ()) -> RunResult:
    """A run with these trials and rules."""
    quality = Quality({}, CycleSummary(1, 1, 1, 1, 0, "2017-01-01", "2017-12-31", 0))
    return RunResult("x", "X", "en", 1, {}, quality, trials, (), (), rules, 10)


def rows(text: str) -> list[dict[str, str]]:
    """Rows of a CSV text by column."""
    return list(csv.DictReader(StringIO(text)))


def test_trials_have_the_columns_of_the_contract() -> None:
    """The header of ``trials.csv`` is the published one, in order."""
    assert trials_csv(result()) == (
        "segment,split,source,known,groups,customers,customers_by_group,verdict,reason,verdict_groups,ratio,ratio_ci_low,"
        "ratio_ci_high,difference_days,mean_cycle_days_by_group,share_back_by_group,share_difference,share_difference_ci_low,"
        "share_difference_ci_high,horizon_days,p_value,p_discovery_adjusted,p_confirmation_adjusted,customers_needed,attribute,aliases,explained_by,rule_stability,"
        "rule_coverage,rule_precision,echo_p_value\n"
    )


def test_a_trial_is_one_row_with_the_effects_of_its_verdict_pair() -> None:
    """Groups are joined in order, effects are of the pair that carries the verdict, floats are in full."""
    assert trials_csv(result(TESTED)).splitlines()[1] == (
        'all,size,declared,first_purchases: 2,small|large|huge,129,70|50|9,separates,"significant; large enough",small|large,'
        "1.18,1.05,1.33,8.0,46.5||,0.6|0.5|,-0.1,-0.2,-0.01,120,1e-05,,0.30000000000000004,,,,,,,,"
    )


def test_a_clustered_trial_has_the_figures_of_its_rule_and_its_other_names() -> None:
    """What the groups are values of, aliases with ``|`` between, what explains it, and the rule's figures stand in the last columns."""
    rule = ClusterRule("kmeans", 2, 4, 150, 0.71, 0.84, 0.79, 0.61)
    found = replace(TESTED, source="clustered", attribute="kmeans 2", aliases=("form: POWDER", "=1"), cluster=rule)
    found = replace(found, explained_by="size")
    row, declared = rows(trials_csv(result(found, TESTED)))
    names = (
        "attribute",
        "aliases",
        "explained_by",
        "rule_stability",
        "rule_coverage",
        "rule_precision",
        "echo_p_value",
    )
    assert [row[name] for name in names] == ["kmeans 2", "form: POWDER|'=1", "size", "0.71", "0.84", "0.79", "0.61"]
    assert not any(declared[name] for name in names)


def test_an_untestable_trial_has_empty_cells() -> None:
    """What was not computed is empty."""
    row = rows(trials_csv(result(UNTESTED)))[0]
    assert row["reason"] == "circular"
    assert {name for name, cell in row.items() if cell} == {
        "segment",
        "split",
        "source",
        "known",
        "customers",
        "verdict",
        "reason",
    }


def test_rules_have_the_columns_of_the_contract() -> None:
    """A rule is one row under the published header; true and false are words."""
    assert cross_sell_csv(result(rules=(replace(RULE, worth=WORTH), replace(RULE, valid=False, median_days=23.0)))) == (
        "antecedent,consequent,kind,mode,segment,customers,support,confidence,lift,lift_ci_low,lift_ci_high,"
        "p_confirmation_adjusted,valid,median_days,expected_extra_orders,expected_extra_amount\n"
        "a|b,c,attach,same_occasion,all,60,0.1,0.25,2.0,1.5,,0.03,true,,12.5,99.0\n"
        "a|b,c,attach,same_occasion,all,60,0.1,0.25,2.0,1.5,,0.03,false,23.0,,\n"
    )


def test_bundles_have_their_columns() -> None:
    """A bundle is one row, its items with a bar between; money that is not known is empty."""
    known = Bundle(
        ("a", "b"), 60, Interval(2.0, 1.5, None), 0.03, valid=True, orders_a_year=90.5, price=10.0, usual_discount=0.02,
        bundle_price=9.5, margin_an_order=2.5, break_even=1.2,
    )  # fmt: skip
    unknown = replace(known, price=None, usual_discount=None, bundle_price=None, margin_an_order=None, valid=False)
    assert bundles_csv(replace(result(), bundles=(known, unknown))) == (
        "items,customers,lift,lift_ci_low,lift_ci_high,p_confirmation_adjusted,valid,orders_a_year,price,usual_discount,"
        "bundle_price,margin_an_order,break_even\n"
        "a|b,60,2.0,1.5,,0.03,true,90.5,10.0,0.02,9.5,2.5,1.2\n"
        "a|b,60,2.0,1.5,,0.03,false,90.5,,,,,1.2\n"
    )


@pytest.mark.parametrize("bundles", [None, ()])
def test_without_bundles_there_is_a_header_only(bundles: tuple[Bundle, ...] | None) -> None:
    """A run without cross-sell or without bundles writes the header."""
    assert bundles_csv(replace(result(), bundles=bundles)).count("\n") == 1


@pytest.mark.parametrize("rules", [None, ()])
def test_without_rules_there_is_a_header_only(rules: tuple[CrossSellRule, ...] | None) -> None:
    """A run without cross-sell or without rules writes the header."""
    assert cross_sell_csv(result(rules=rules)).count("\n") == 1


@pytest.mark.parametrize(
    "name",
    ["=cmd|'/c calc'!A1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", '"=1', "'=1", "＝1", "＋1", "－1", "＠x"],
)
def test_a_text_that_a_spreadsheet_could_run_is_led_by_an_apostrophe(name: str) -> None:
    """A formula in a name is text in the table, and else unchanged."""
    assert rows(trials_csv(result(replace(TESTED, split=name))))[0]["split"] == "'" + name


@pytest.mark.parametrize("name", ["a,b", 'say "x"', "two\nlines", "x;=1", "香水 🌸", "a=b", "00123", ""])
def test_other_texts_are_read_back_as_they_are(name: str) -> None:
    """Commas, quotes, line feeds and other scripts survive."""
    assert rows(trials_csv(result(replace(TESTED, split=name))))[0]["split"] == name


def test_a_separator_of_another_locale_stays_inside_its_cell() -> None:
    """A text with a semicolon is quoted, so that a spreadsheet that splits there sees one cell."""
    assert '"x;=1"' in trials_csv(result(replace(TESTED, split="x;=1")))


def test_negative_numbers_stay_numbers() -> None:
    """Only text is led by an apostrophe."""
    assert rows(trials_csv(result(TESTED)))[0]["share_difference"] == "-0.1"


def test_the_screening_p_of_a_found_split_stands_beside_the_confirmed_one() -> None:
    """A found split has both of its adjusted p; a declared one has only that of its one test."""
    found = replace(TESTED, p_discovery_adjusted=0.02, p_adjusted=0.04)
    row, declared = rows(trials_csv(result(found, TESTED)))
    assert (row["p_discovery_adjusted"], row["p_confirmation_adjusted"]) == ("0.02", "0.04")
    assert declared["p_discovery_adjusted"] == ""


def test_a_name_reads_the_same_in_every_cell() -> None:
    """A group that a spreadsheet could run is led by an apostrophe wherever it stands, first in its cell or not."""
    first, second = "=SUM(A1)", "@x"
    groups = (
        replace(TESTED.groups[0], name="plain"),
        replace(TESTED.groups[1], name=first),
        replace(TESTED.groups[2], name=second),
    )
    pairs = (
        replace(TESTED.pairs[0], first="plain", second=first),
        replace(TESTED.pairs[1], first=first, second=second),
    )
    both = [replace(TESTED, groups=groups, pairs=pairs, verdict_pair=place) for place in (0, 1)]
    listed = rows(trials_csv(result(*both)))
    assert listed[0]["groups"] == "plain|'=SUM(A1)|'@x"
    assert [row["verdict_groups"] for row in listed] == ["plain|'=SUM(A1)", "'=SUM(A1)|'@x"]
    assert {name for row in listed for name in row["verdict_groups"].split("|")} <= set(listed[0]["groups"].split("|"))


def test_a_habit_is_one_row_with_its_means_by_group() -> None:
    """Means stand in the order of the groups, unknown ones empty, negative ones as numbers."""
    habit = Habit(
        "order value",
        "money",
        120,
        (-12.5, 18.0, None),
        "small",
        "large",
        Interval(30.5, 20.0, 41.0),
        NONE,
        0.001,
        0.008,
    )
    assert habits_csv(result(replace(TESTED, habits=(habit,)), UNTESTED)) == (
        "segment,split,groups,habit,unit,customers,mean_by_group,first,second,difference,difference_ci_low,difference_ci_high,"
        "standardised,standardised_ci_low,standardised_ci_high,p_value,p_adjusted\n"
        "all,size,small|large|huge,order value,money,120,-12.5|18.0|,small,large,30.5,20.0,41.0,,,,0.001,0.008\n"
    )


def test_the_ledger_has_a_row_a_test() -> None:
    """Each test stands with its place; what was not tested has empty cells."""
    entries = (
        LedgerEntry("all", "=1", "discovery", "min-P", 0.001, 1, 212, 0.02, "promoted"),
        LedgerEntry("all", "habit", "declared", "Holm", None, None, 3, None, "not tested"),
    )
    assert ledger_csv(replace(result(), ledger=entries)) == (
        "segment,split,stage,correction,p_value,place,of,p_adjusted,outcome\n"
        'all,"\'=1",discovery,min-P,0.001,1,212,0.02,promoted\n'
        "all,habit,declared,Holm,,,3,,not tested\n"
    )
