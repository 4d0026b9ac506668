"""What stands beside a verdict: said rightly, and without telling of few customers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from segmentor.report import beside, ledger
from segmentor.report.small_cells import Counts
from segmentor.result import (
    CohortCount,
    Comparability,
    Crossover,
    CrossoverCell,
    Cutpoint,
    DealtLabels,
    GroupEffect,
    Habit,
    Interval,
    RunResult,
    Subset,
    Trial,
)


def trial_of(result: RunResult, split: str) -> Trial:
    """The trial of a split."""
    return next(trial for trial in result.trials if trial.split == split)


def plain(text: str) -> str:
    """A sentence as it is read."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]*>", "", str(text)).replace("\N{NO-BREAK SPACE}", " ").replace("&lt;", "<")
    )


def test_a_found_threshold_is_told_with_its_search_and_both_halves(discovered: RunResult) -> None:
    """How many thresholds were tried, how stable the choice is, and what either half said."""
    basket = trial_of(discovered, "first basket")
    said = plain(" ".join(beside.how_found(basket, discovered)))
    assert said == (
        "The data chose where to cut order_amount: of 212 thresholds tried in one half of the customers, 40.5 parted their cycles "
        "most. Over resamples of that half the choice falls between 31 and 44.25 in 8 of 10 cases, and on this very value in 34 %. "
        "Chosen in one half of the customers (p = 0.021, adjusted for all that was tried there) and tested once in the other, which had "
        "no part in the choice (p = 0.012, adjusted for all that was tested there). The effects are those of the other half."
    )
    unsure = replace(basket, p_discovery_adjusted=0.4, p_adjusted=None)
    assert "not sure enough there to be tested" in plain(" ".join(beside.how_found(unsure, discovered)))


def test_merged_groups_are_named(discovered: RunResult) -> None:
    """Which groups could not be told apart is said by their own names; unknown ones are not guessed."""
    merged = trial_of(discovered, "region, merged")
    assert (
        plain(beside.how_found(merged, discovered)[0])
        == "Of region, north and east could not be told apart and were merged."
    )
    alone = replace(discovered, trials=(merged,))
    assert plain(beside.how_found(merged, alone)[0]) == "Groups of region that could not be told apart were merged."


def test_what_the_data_suggested_is_found(laundry: RunResult) -> None:
    """A threshold, a merger and an enumerated split are found; a split as it was declared is not."""
    size = trial_of(laundry, "package size")
    cut = Cutpoint("x", 1.0, 2, 3.0, 1.0, 1.0, 1.0)
    suggested = [replace(size, cutpoint=cut), replace(size, merged_from="x"), replace(size, source="enumerated")]
    assert [beside.was_found(each) for each in (size, *suggested)] == [False, True, True, True]


@pytest.mark.parametrize(("significant", "warnings"), [(18, 1), (5, 1), (4, 0), (0, 0)])
def test_a_dealt_label_is_a_warning_where_it_is_significant_too_often(
    significant: int, warnings: int, laundry: RunResult
) -> None:
    """Of twenty deals one is significant by chance; the warning begins well above that."""
    found = DealtLabels(20, significant, 0.9, 0.1)
    assert beside.separates_by_itself(found, laundry) == bool(warnings)
    tested, circular = (
        plain(beside.dealt(replace(trial_of(laundry, split), dealt=found), laundry))
        for split in ("package size", "only small packages")
    )
    assert tested.count("separates by itself:") == warnings
    assert f"significant in {significant} of 20 deals" in tested
    assert tested.count("Read the effect as") == warnings
    assert "Read the effect as" not in circular


def test_the_cohorts_in_which_groups_could_be_compared_are_named(discovered: RunResult) -> None:
    """Of groups that are not comparable the periods that hold two of them are named, or that there is none."""
    campaign = trial_of(discovered, "campaign")
    assert plain(beside.where_comparable(campaign)).startswith(
        "Customers of two groups began in 2017-04 and 2017-05 only"
    )
    assert campaign.comparability is not None
    apart = replace(
        campaign.comparability, share=0.0, cohorts=(CohortCount("2017-Q1", (200, 0)), CohortCount("2017-Q2", (0, 90)))
    )
    assert plain(beside.where_comparable(replace(campaign, comparability=apart))).startswith(
        "In no quarter did customers of two"
    )


def test_a_few_customers_without_others_of_their_cohort_are_not_counted(
    laundry: RunResult, counts_for: Callable[[Trial], Counts]
) -> None:
    """A share that stands for fewer customers than may be told is said in words."""
    size = trial_of(laundry, "package size")
    few = [replace(size, comparability=Comparability(share, (), ())) for share in (0.995, 0.005, 0.5)]
    assert [beside.comparable(each, counts_for(each)).split(" began")[0] for each in few] == [
        "All but a few customers",
        "Only a few customers",
        "50\N{NO-BREAK SPACE}% of the customers",
    ]


def test_a_label_until_a_date_is_followed_by_all_from_the_same_day(
    discovered: RunResult, counts_for: Callable[[Trial], Counts]
) -> None:
    """Whose label is known on a date did not begin then: the page says from when all are followed."""
    ever = trial_of(discovered, "samples before July")
    assert plain(beside.comparable(ever, counts_for(ever))) == "All are followed from 30 June 2017 on"


def test_a_size_that_is_hidden_is_not_the_total_of_its_column(counts_for: Callable[[Trial], Counts]) -> None:
    """Where a group's size is said roughly, so is a count in its column of cohorts, and the total of its parts."""
    trial = Trial(
        "all", "x", "declared", "entry", (), (GroupEffect("a", 260, 1), GroupEffect("b", 710, 1)), 0, "inconclusive", (), "",
        no_follow_up=4, comparability=Comparability(1.0, (CohortCount("all", (260, 710)),), (90.0, 90.0)),
        robustness=(
            Subset("half of customers", "discovery", 480, None, None, None, None),
            Subset("half of customers", "confirmation", 490, None, None, None, None),
        ),
    )  # fmt: skip
    row = beside.cohort_rows(trial, counts_for(trial))[0]
    assert (row.name, row.customers) == ("everybody", ["about 260", "about 720"])
    assert [part.customers for part in beside.parts(trial, counts_for(trial))[0][1]] == ["about 480", "490"]


def test_the_effect_of_a_found_split_is_that_of_the_half_that_tested_it(
    laundry: RunResult, counts_for: Callable[[Trial], Counts]
) -> None:
    """Groups are counted in both halves, and the effect and its parts in one: the row above the parts says in which, and how many it holds."""
    size = trial_of(laundry, "package size")
    whole = beside.whole(size, counts_for(size))
    assert whole is not None
    assert (whole.name, whole.customers) == ("All customers", "1,110")
    found = replace(
        size, source="enumerated", comparability=Comparability(1.0, (CohortCount("2017-01", (300, 250)),), ())
    )
    whole = beside.whole(found, counts_for(found))
    assert whole is not None
    assert (whole.name, whole.customers) == ("The half that tested it", "550")


def test_the_follow_up_of_a_small_group_is_not_shown(laundry: RunResult, counts_for: Callable[[Trial], Counts]) -> None:
    """A median over few customers is hidden."""
    size = trial_of(laundry, "package size")
    size = replace(size, groups=(replace(size.groups[0], customers=7), size.groups[1]))
    assert [text[:3] for text in beside.follow_up(size, counts_for(size))] == ["–", "236"]


def test_habits_that_differ_are_told_from_those_that_do_not(laundry: RunResult) -> None:
    """Only what is sure after adjustment is in the table; the others are named and counted."""
    size = trial_of(laundry, "package size")
    assert plain(beside.habits_answer(size, laundry)) == "4 of 6 habits differ: order value, items per order and 2 more"
    assert plain(beside.alike(size, laundry)) == "Not shown to differ: weekend share and discount share."
    assert [row.name for row in beside.habit_rows(size, laundry)][:2] == ["order value", "items per order"]


def test_a_share_that_stands_for_few_customers_is_hidden_with_its_difference(laundry: RunResult) -> None:
    """Of a share of 0.9 % of 612 customers the page says only that it is below what may be told."""
    rows = {row.name: row for row in beside.habit_rows(trial_of(laundry, "package size"), laundry)}
    islands, north = rows["region: islands"], rows["region: north"]
    assert [plain(mean) for _, mean in islands.means] == ["below 1.6 %", "4.2 %"]
    assert (islands.difference, islands.standardised) == ("–", "–")
    assert [plain(mean) for _, mean in north.means] == ["31 %", "42 %"]


def test_a_share_cannot_be_had_as_what_others_leave(laundry: RunResult) -> None:
    """Where the shares of all regions are known, another one is said roughly beside a hidden one."""
    size = trial_of(laundry, "package size")

    def region(name: str, mean: float) -> Habit:
        return Habit(
            f"region: {name}",
            "share",
            1_110,
            (mean, 0.4),
            "small",
            "large",
            Interval(0.1, 0.09, 0.11),
            Interval(0.1, 0.09, 0.11),
            0.001,
            0.001,
        )

    regions = (region("north", 0.592), region("south", 0.4), region("islands", 0.008))
    rows = beside.habit_rows(replace(size, habits=regions), laundry)
    assert [plain(row.means[0][1]) for row in rows] == ["59 %", "about 39 %", "below 1.6 %"]
    lone = beside.habit_rows(replace(size, habits=(region("north", 0.995),)), laundry)
    assert plain(lone[0].means[0][1]) == "above 98 %"


def test_the_crossover_answers_who_comes_back_for_what(
    laundry: RunResult, counts_for: Callable[[Trial], Counts]
) -> None:
    """The most frequent change is said with its interval and against all customers, and how much of the label stays."""
    size = trial_of(laundry, "package size")
    assert plain(beside.crossover_answer(size, counts_for(size))) == (
        "Do customers who begin in large come back in small? 29 % do (25 to 33 %), 0.50 times as often as all customers are in that "
        "group next."
    )
    assert plain(beside.stickiness(size, counts_for(size))).startswith(
        "75 % are in the same group next, where 52 % would be"
    )


def test_small_cells_of_a_crossover_show_nothing_that_would_count_them(
    laundry: RunResult, counts_for: Callable[[Trial], Counts]
) -> None:
    """Beside a cell of eight no share of its row, its column or the diagonal is shown, and no stickiness in numbers."""
    form = trial_of(laundry, "form")
    rows = beside.crossover_rows(form, counts_for(form))
    assert [cell.customers for _, row in rows for cell in row] == [
        "about 700",
        "fewer than 10",
        "about 60",
        "about 300",
    ]
    assert {cell.share for _, row in rows for cell in row} == {"–"}
    assert not [cell.lift for _, row in rows for cell in row if cell.lift]
    assert beside.stickiness(form, counts_for(form)) == ""
    assert (
        plain(beside.crossover_answer(form, counts_for(form)))
        == "Too few customers changed from one group to another to say more."
    )


def test_customers_without_a_next_label_cannot_be_counted_either(
    laundry: RunResult, counts_for: Callable[[Trial], Counts]
) -> None:
    """Where all but a few of a group have a next label, its row is not exact."""
    size = trial_of(laundry, "package size")
    assert size.crossover is not None
    cells = [
        replace(cell, customers=number) for cell, number in zip(size.crossover.cells, (400, 208, 74, 181), strict=True)
    ]
    nearly_all = replace(size, crossover=replace(size.crossover, cells=tuple(cells)))
    assert [cell.customers for cell in beside.crossover_rows(nearly_all, counts_for(nearly_all))[0][1]] != [
        "400",
        "208",
    ]


@pytest.mark.parametrize(
    ("kappa", "said"),
    [
        (Interval(0.02, -0.03, 0.07), "does not visibly depend"),
        (Interval(-0.2, -0.3, -0.1), "tend to change"),
        (Interval(0.1, 0.05, 0.15), "hardly sticks"),
        (Interval(0.4, 0.3, 0.5), "sticks in part"),
        (Interval(0.8, 0.7, 0.9), "The label sticks"),
        (Interval(None, None, None), "does not visibly depend"),
    ],
)
def test_how_sticky_a_label_is_has_words(kappa: Interval, said: str) -> None:
    """Stickiness is said in words, and where it may be none that is said."""
    found = Crossover(1, 0, (CrossoverCell("a", "a", 0, Interval(None, None, None), None),), 0.0, 0.0, kappa, None)
    assert said in beside.sticks(found)


def test_an_effect_that_separates_is_counted_where_it_points_the_same_way(laundry: RunResult) -> None:
    """Parts that agree are counted among those that can be told; small ones and unknown ones are counted apart."""
    size = trial_of(laundry, "package size")
    assert (
        plain(beside.parts_answer(size, laundry))
        == "The effect points the same way in 9 of 10 parts; in 2 more it cannot be told"
    )
    alike = replace(size, verdict="equivalent")
    assert plain(beside.parts_answer(alike, laundry)) == (
        "Taken alone, 10 of 10 parts would be significant; chance makes about 1 in 20 so"
    )


def test_a_small_part_shows_nothing_but_its_name(laundry: RunResult, counts_for: Callable[[Trial], Counts]) -> None:
    """Of a region of six customers there is no size, no estimate and no drawing, and the rest does not give the size away."""
    parts = {
        part.name: part
        for _, rows in beside.parts(trial_of(laundry, "package size"), counts_for(trial_of(laundry, "package size")))
        for part in rows
    }
    islands = parts["islands"]
    assert (islands.customers, islands.ratio, islands.share_difference, islands.mark) == ("fewer than 10", "–", "–", "")
    assert parts["south"].customers == "about 500"
    assert parts["north"].mark.startswith("<svg")


def test_the_ledger_is_told_by_stage(discovered: RunResult) -> None:
    """Each stage says how many tests were adjusted together, how, and what came of them."""
    stages = [(plain(stage.title), plain(stage.summary), len(stage.entries)) for stage in ledger.stages(discovered)]
    assert stages == [
        (
            "Declared splits, tested once on all customers",
            "2 tests, adjusted for one another by Holm: 2 significant and 1 not tested.",
            3,
        ),
        (
            "Found splits, screened in one half of the customers",
            "213 tests, adjusted for one another by min-P: 2 promoted and 211 not promoted.",
            213,
        ),
        (
            "Found splits that were promoted, tested once in the other half",
            "2 tests, adjusted for one another by Holm: 2 significant.",
            2,
        ),
    ]
