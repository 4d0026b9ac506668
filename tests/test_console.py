"""What the commands show in a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rules import TOGETHER

from segmentor import console
from segmentor.result import (
    ClusterRule,
    CrossSellRule,
    Cutpoint,
    CycleSummary,
    GroupEffect,
    Interval,
    LedgerEntry,
    PairEffect,
    Quality,
    RunResult,
    Search,
    Segment,
    TreeNode,
    Trial,
    Worth,
)
from segmentor.wording import Message

EVERYBODY = Segment("all", "all", None, (), 120)
BASKET = Trial(
    segment="all",
    split="first basket",
    source="declared",
    known="first_purchase",
    definition=(),
    groups=(GroupEffect("<= 40.5", 70, 90), GroupEffect("> 40.5", 50, 80)),
    not_known=0,
    verdict="separates",
    reasons=("significant and larger than the minimum effect",),
    sentence=Message("They differ."),
    pairs=(
        PairEffect(
            "<= 40.5",
            "> 40.5",
            Interval(0.84, 0.75, 0.95),
            Interval(-8.0, -14.0, -2.0),
            Interval(0.1, 0.02, 0.18),
            (),
            separated=True,
            equivalent=False,
        ),
    ),
    verdict_pair=0,
    p_adjusted=0.012,
)


def shown(capsys: pytest.CaptureFixture[str], *trials: Trial) -> list[str]:
    """Lines that a run of these trials ends with."""
    quality = Quality({}, CycleSummary(120, 300, 180, 120, 0, "2017-01-01", "2017-12-31", 20))
    console.show_verdicts(RunResult("x", "A shop", "en", 1, {}, quality, trials, (), (EVERYBODY,), None, 10))
    return capsys.readouterr().out.splitlines()


def test_a_split_as_declared_has_its_row_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A declared split that was decided needs no line of its own."""
    lines = shown(capsys, BASKET)
    assert [line.split()[0] for line in lines if line] == ["A", "verdict", "separates", "1"]
    assert "0.84 (0.75 to 0.95)" in lines[-2]


def test_a_threshold_is_told_with_how_often_it_was_chosen_and_both_halves(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a found threshold one line tells the cut, out of how many, how stable it is, and the p of both halves."""
    cut = Cutpoint("order_amount", 1040.5, 212, 3.8, 31.0, 44.0, 0.34)
    assert (
        "found: first basket: order_amount cut at 1,040.5, the best of 212 thresholds in one half of the customers "
        "(again so in 34% of its resamples); adjusted p: 0.021 there, 0.012 in the other half"
    ) in shown(capsys, replace(BASKET, cutpoint=cut, p_discovery_adjusted=0.021))


def test_merged_groups_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Of merged groups one line tells of which split they are, and that they were not promoted."""
    groups = (GroupEffect("north + east", 70, 90), GroupEffect("islands", 50, 80))
    merged = replace(
        BASKET, split="region, merged", merged_from="region", groups=groups, p_discovery_adjusted=0.2, p_adjusted=None
    )
    assert (
        "found: region, merged: groups of region that could not be told apart as one: north + east | islands; "
        "adjusted p: 0.2 there, not tested in the other half"
    ) in shown(capsys, merged)


@pytest.mark.parametrize(("months", "said"), [(None, ""), (1, ", or 1 month more"), (14, ", or 14 months more")])
def test_what_would_decide_an_open_split_is_told(
    months: int | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An open split has a line with the customers in all, and the months where they are known, that would decide it."""
    trial = replace(BASKET, verdict="inconclusive", customers_needed=5_400, months_needed=months)
    assert f"not decided: first basket: about 5,400 customers in all{said}" in shown(capsys, trial)


def test_a_restated_split_is_pointed_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the report holds a split restated, the terminal says so."""
    trial = Trial(
        "all", "habit", "declared", "lifetime", (), (), 0, "untestable", ("circular",), "", restated="- name: x"
    )
    assert (
        "cannot be tested as it stands: habit: the report holds it restated, to be copied into the config"
    ) in shown(capsys, trial)


def test_of_500_candidates_only_those_that_separate_have_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Candidates that were screened out are counted and not listed; declared splits always are."""
    found = replace(BASKET, source="enumerated", segment="large", split="channel: store", p_discovery_adjusted=0.001)
    screened = [
        replace(BASKET, source="enumerated", split=f"category {number}", verdict="inconclusive", customers_needed=9)
        for number in range(500)
    ]
    declared = replace(BASKET, verdict="inconclusive", split="brand")
    lines = shown(capsys, declared, found, *screened)
    assert [line.split()[0] for line in lines[:4]] == ["A", "verdict", "inconclusive", "separates"]
    assert "channel: store (in large)" in lines[3]
    assert lines[4] == "… and 500 more: see trials.csv"
    assert not [line for line in lines if "category" in line]


def test_many_separating_candidates_are_cut_to_the_surest(capsys: pytest.CaptureFixture[str]) -> None:
    """Of more separating candidates than there is room for, those with the smallest adjusted p are listed, in the order of the run."""
    many = [
        replace(BASKET, source="enumerated", split=f"candidate-{number}", p_adjusted=number / 1000)
        for number in reversed(range(console.MOST_VERDICTS + 5))
    ]
    lines = shown(capsys, *many)
    listed = [line.split()[1] for line in lines if line.startswith("separates")]
    assert listed == [f"candidate-{number}" for number in reversed(range(console.MOST_VERDICTS))]
    assert "… and 5 more: see trials.csv" in lines


TREE = (
    TreeNode("all", None, 1_410, 212, "size", ("small", "large"), None, 0.001, held=True),
    TreeNode("small", "all", 612, 104, "basket", ("yes", "no"), 0.03, 0.42, ended="not confirmed"),
    TreeNode("small / yes", "small", 130, 0, ended="above was not confirmed"),
    TreeNode("large", "all", 498, 96, "channel", ("store", "web"), 0.007, 0.01, held=True),
    TreeNode("large / store", "large", 140, 0, ended="too few customers"),
    TreeNode("large / web", "large", 352, 60, ended="nothing passed"),
)


def test_the_tree_is_a_list_in_which_groups_stand_under_their_parent(capsys: pytest.CaptureFixture[str]) -> None:
    """Each node has its size, its split and who is in no group of it, so that sizes add up; below a split that was not confirmed nothing stands."""
    quality = Quality({}, CycleSummary(1_410, 3_000, 1_590, 1_410, 0, "2017-01-01", "2017-12-31", 20))
    segments = tuple(
        Segment(name, name, "all", (), customers)
        for name, customers in (("small", 612), ("large / store", 140), ("large / web", 352), ("not yet known", 1_365))
    )
    console.show_verdicts(RunResult("x", "A shop", "en", 1, {}, quality, (), (), segments, None, 10, tree=TREE))
    assert capsys.readouterr().out.splitlines() == [
        "A shop",
        "all  1,410 customers with a purchase that counts, of 2,469 in the data, by size",
        "  small  612 customers (by basket: not confirmed)",
        "  large  498 customers, by channel",
        "    store  140 customers",
        "    web  352 customers: nothing passed, 60 tried",
        "    not yet known  6 customers",
        "  not yet known  300 customers",
        "3 segments, 1,365 customers not yet known (1,059 of them without a purchase that counts)",
    ]


def test_how_many_candidates_were_tried_promoted_and_confirmed_stands_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Candidates among all customers and those within segments are counted apart; a declared split is none."""
    found = replace(BASKET, source="enumerated", p_discovery_adjusted=0.001)
    trials = (
        BASKET,
        *(replace(found, split=f"held {number}") for number in range(3)),
        replace(found, split="gone", verdict="inconclusive"),
        replace(found, split="screened out", verdict="inconclusive", p_adjusted=None),
        replace(found, split="deeper", segment="large"),
    )
    entry = LedgerEntry("large", "deeper", "discovery", "min-P", 0.001, 1, 41, 0.01, "promoted")
    quality = Quality({}, CycleSummary(120, 300, 180, 120, 0, "2017-01-01", "2017-12-31", 20))
    result = RunResult("x", "A shop", "en", 1, {}, quality, trials, (entry,), (EVERYBODY,), None, 10, search=Search(5))
    console.show_verdicts(result)
    assert (
        "candidates: 5 tried, 4 promoted to a test in the other half, 3 confirmed there (within segments 41, 1 and 1)"
    ) in capsys.readouterr().out.splitlines()


def test_names_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No control character of a name reaches the terminal, neither in the table nor in the lines below."""
    wild = "a\x1b]0;\x07\n"
    groups = tuple(replace(group, name=wild) for group in BASKET.groups)
    lines = shown(capsys, replace(BASKET, split=wild, merged_from=wild, groups=groups, restated=wild))
    assert not [line for line in lines if set(line) & {"\x1b", "\x07"}]
    assert sum(line.startswith("found: ") for line in lines) == 1


def test_a_split_that_could_not_be_tested_is_not_said_to_be_refuted(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the other half was too small to test a split, the tree says so, and not that it was not confirmed."""
    quality = Quality({}, CycleSummary(1_410, 3_000, 1_800, 1_410, 0, "2017-01-01", "2017-12-31", 20))
    root = TreeNode("all", None, 1_410, 212, "size", ("small", "large"), 0.001, None, ended="not confirmed")
    console.show_tree(RunResult("x", "A shop", "en", 1, {}, quality, (), (), (EVERYBODY,), None, 10, tree=(root,)))
    assert capsys.readouterr().out == "all  1,410 customers (by size: too few to be tested)\n"


def test_splits_that_repeat_the_tree_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What separates only because it repeats a split of the tree has no row; a declared one keeps its own."""
    found = replace(BASKET, source="enumerated", split="with samples", p_discovery_adjusted=0.001)
    repeating = [replace(found, split=f"with sample {number}", explained_by="size") for number in range(12)]
    declared = replace(BASKET, explained_by="size")
    lines = shown(capsys, declared, found, *repeating)
    assert [line.split()[1] for line in lines if line.startswith("separates")] == ["first", "with"]
    assert "12 more differ only because they repeat 'size'" in lines
    assert not [line for line in lines if "see trials.csv" in line]


def test_a_cluster_is_named_with_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The number of a cluster says nothing: its rule stands beside it, in words of the config."""
    cluster = replace(
        BASKET,
        source="clustered",
        split="kmeans cluster 2 of 3",
        definition=(("kmeans cluster 2 of 3", '"size: sample" > 0.5'), ("not kmeans cluster 2 of 3", "true")),
        cluster=ClusterRule("kmeans", 2, 3, 60, 0.9, 0.9, 0.9),
    )
    lines = shown(capsys, cluster)
    start, end = (lines[1].index(title) for title in ("split", "customers"))
    said = " ".join(line[start:end].strip() for line in lines[2:5])
    assert said.startswith("kmeans cluster 2 of 3: share of size: sample > 0.5")


def test_a_narrow_terminal_loses_columns_and_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the line is short the least needed columns go first; names are broken, intervals are not."""
    name = "with price_tier: tier 1 and category: shower gel and size: sample"
    groups = (GroupEffect(name, 70, 90), GroupEffect(f"without{name[4:]}", 50, 80))
    pair = replace(BASKET.pairs[0], first=groups[0].name, second=groups[1].name)
    lost = []
    for width in (140, 110, 90):
        monkeypatch.setattr(console, "PLAIN_WIDTH", width)
        lines = shown(capsys, replace(BASKET, split=name, groups=groups, pairs=(pair,)))
        assert max(map(len, lines)) <= width
        assert "0.84 (0.75 to 0.95)" in lines[2]
        lost.append(["customers" not in lines[1], "without / with" not in lines[2]])
    assert lost == [[False, False], [True, False], [True, True]]


NEXT = replace(
    TOGETHER,
    antecedent=("sun care", "towel"),
    consequent="face mask",
    mode="next_purchase",
    median_days=19.4,
    worth=Worth(412, Interval(5.25, 4.0, 6.0), None),
)


def offered(capsys: pytest.CaptureFixture[str], *rules: CrossSellRule, days: int | None = 60) -> list[str]:
    """Lines about offers that a run with these rules ends with."""
    quality = Quality({}, CycleSummary(120, 300, 180, 120, 0, "2017-01-01", "2017-12-31", 20))
    settings: dict[str, object] = {"cross_sell": {"within_days": days}}
    result = RunResult("x", "A shop", "en", 1, settings, quality, (), (), (EVERYBODY,), rules, 10)
    console.show_verdicts(result)
    return [line for line in capsys.readouterr().out.splitlines() if "offer" in line]


def test_the_best_three_offers_are_told_in_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line says what, to whom, when and worth; those that did not hold have none, and more are counted."""
    more = [replace(NEXT, consequent=name, worth=None) for name in ("serum", "soap")]
    assert offered(capsys, *more, NEXT, TOGETHER, replace(TOGETHER, valid=False)) == [
        (
            "offer lipstick with mascara, to 344 customers who never bought it: could bring 21 more orders, about 1,380 in money, in 60 "
            "days; 3.02 times as often as by habit"
        ),
        (
            "offer face mask after sun care and towel, to 412 customers who never bought it, half come within 19 days: could bring 5.2 "
            "more orders in 60 days; 3.02 times as often as by habit"
        ),
        (
            "offer serum after sun care and towel, to customers who never bought it, half come within 19 days; 3.02 times as often as by "
            "habit"
        ),
        "\N{HORIZONTAL ELLIPSIS} and 1 more offer: see the report",
    ]


def test_without_valid_rules_no_offer_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Rules that did not hold make no line."""
    assert offered(capsys, replace(NEXT, valid=False)) == []


def test_offers_to_few_customers_tell_no_count(capsys: pytest.CaptureFixture[str]) -> None:
    """Of fewer customers than are shown in a report nothing is counted, and names stay on their line."""
    wild = replace(NEXT, consequent="a\x1b]0;\x07\nb", worth=Worth(9, Interval(7.77, 7.0, 8.0), None))
    (line,) = offered(capsys, wild, days=None)
    assert "to customers who never bought it" in line
    assert "7.77" not in line
    assert not set(line) & {"\x1b", "\x07"}
