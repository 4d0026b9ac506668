"""The tree of segments as it is drawn: what stands, what was dropped, what was tried, and no small count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

from segmentor.report import render_report, tree
from segmentor.report.lines import counts_of
from segmentor.report.small_cells import is_exact
from segmentor.report.tree import Branch
from segmentor.result import RunResult, TreeNode


def text(markup: str) -> str:
    """What a reader sees of a piece of a page."""
    parsed = ElementTree.fromstring(f"<x>{markup}</x>")  # noqa: S314 - our own page
    return " ".join("".join(parsed.itertext()).split())


def walk(branch: Branch, depth: int = 0) -> Iterator[tuple[int, Branch]]:
    """A branch and those below it, each with its depth."""
    yield depth, branch
    for each in branch.below:
        yield from walk(each, depth + 1)


def root_of(result: RunResult) -> Branch | None:
    """The tree of a result with its counts as they may be shown."""
    return tree.root(result, counts_of(result))


@pytest.fixture
def drawn(grown: RunResult) -> list[tuple[int, Branch]]:
    """Nodes of the tree of two levels."""
    found = root_of(grown)
    assert found is not None
    return list(walk(found))


def test_nodes_stand_below_their_parent_with_the_customers_of_no_group(drawn: list[tuple[int, Branch]]) -> None:
    """Groups come in their order, then those not yet known; nothing stands below a split that was not confirmed."""
    assert [(depth, text(branch.name)) for depth, branch in drawn] == [
        (0, "All customers"),
        (1, "Small"),
        (1, "Large"),
        (2, "Store"),
        (2, "Other channels"),
        (2, "Not yet known"),
        (1, "Not yet known"),
    ]


def test_leaves_alone_have_estimates_and_lead_to_their_segment(drawn: list[tuple[int, Branch]]) -> None:
    """Share back and mean cycle stand at the ends, where the split is, the split."""
    by_name = {text(branch.name): branch for _, branch in drawn}
    assert {name for name, branch in by_name.items() if branch.back} == {"Small", "Store", "Other channels"}
    assert by_name["Store"].back.replace("\N{NO-BREAK SPACE}", " ") == "41 % back within 120 days"
    assert by_name["Store"].tile == "segment-2"
    assert {text(branch.split) for branch in by_name.values()} == {"Package size", "Channel: store", ""}


def test_a_split_that_was_not_confirmed_is_shown_with_what_fell_with_it(drawn: list[tuple[int, Branch]]) -> None:
    """A dropped split has its groups, why it was dropped, and how many splits below went with it."""
    (pruned,) = [branch.pruned for _, branch in drawn if branch.pruned]
    assert text(pruned.split) == "First basket: DRYER SHEETS"
    assert text(pruned.groups) == "has it and has it not"
    assert text(pruned.why) == "not confirmed, and with it 1 split further down"


def test_a_node_tells_what_was_tried_and_how_sure_it_is(drawn: list[tuple[int, Branch]]) -> None:
    """Candidates tried, both adjusted p with the effect, the crossover, and the choice of resamples stand at the node."""
    by_name = {text(branch.name): branch for _, branch in drawn}
    told = [text(fact) for fact in by_name["Large"].facts]
    assert told == [
        "96 candidates tried here.",
        (
            "One half of the customers chose channel: store (adjusted for all of them p = 0.0071); in the other half it holds, other "
            "channels against store with a ratio of 0.79 and +14 points of the share back (adjusted p = 0.012)."
        ),
    ]
    declared = [text(fact) for fact in by_name["All customers"].facts]
    assert declared[1].startswith("Package size was declared before looking; it holds, large against small")
    assert declared[2].startswith("Do customers who begin in large come back in small?")
    assert [text(fact) for fact in by_name["Store"].facts][
        1
    ] == "It ends here: too few customers to be parted once more."
    assert next((text(chosen.split), chosen.share) for chosen in by_name["Large"].again) == (
        "channel: store",
        "64\N{NO-BREAK SPACE}%",
    )


def test_where_no_candidate_could_be_tried_none_is_said_to_have_failed(grown: RunResult) -> None:
    """A node in which no groups are large enough says so, and not that candidates did not stand out."""
    nodes = tuple(
        replace(node, tried=0, ended="nothing passed") if node.segment == "large / store" else node
        for node in grown.tree
    )
    root = root_of(replace(grown, tree=nodes))
    assert root is not None
    (store,) = [branch for _, branch in walk(root) if text(branch.name) == "Store"]
    assert [text(fact) for fact in store.facts] == [
        "Nothing was tried here: no candidate makes two groups that are large enough."
    ]


def test_the_tree_says_who_suggested_its_splits_and_on_whom_they_were_tested(grown: RunResult) -> None:
    """A declared split was tested on all customers, a found one in the half that did not suggest it."""
    found, declared = (
        "What one half of the customers suggested held in the other half",
        "What was declared was tested on all",
    )
    said = tree.came_about(grown)
    assert found in said
    assert declared in said
    assert found not in tree.came_about(replace(grown, tree=grown.tree[:1]))


def test_no_small_count_can_be_had_from_those_around_it(drawn: list[tuple[int, Branch]], grown: RunResult) -> None:
    """Where the customers of no group are few, they and another count beside them are not exact, in the list of segments too."""
    by_place = [(depth, text(branch.name), branch.customers) for depth, branch in drawn]
    assert (2, "Not yet known", "fewer than 10") in by_place
    beside = [branch.customers for depth, branch in drawn if depth == 2]
    assert sum(not is_exact(customers) for customers in beside) >= 2
    counts = counts_of(grown)
    assert {segment.name: counts(segment.customers) for segment in grown.segments} == {
        "small": "612",
        "large / store": "about 140",
        "large / other channels": "352",
        "not yet known": "about 300",
    }


def test_a_small_leaf_has_no_estimate(grown: RunResult) -> None:
    """Of a leaf of 7 customers the tree says only that it is small."""
    nodes = tuple(replace(node, customers=7) if node.segment == "large / store" else node for node in grown.tree)
    segments = tuple(
        replace(segment, customers=7) if segment.name == "large / store" else segment for segment in grown.segments
    )
    root = root_of(replace(grown, tree=nodes, segments=segments))
    assert root is not None
    (small,) = [branch for _, branch in walk(root) if text(branch.name) == "Store"]
    assert (small.customers, small.back, small.cycle, small.bar) == ("fewer than 10", "", "", "")


def test_a_group_with_a_stroke_keeps_its_name(grown: RunResult) -> None:
    """A stroke that is doubled in the name of a segment is a single one again in the name of the group."""
    nodes = (
        replace(grown.tree[0], groups=("a / b", "c")),
        TreeNode("a // b", "all", 700, 0, ended="max_depth"),
        TreeNode("c", "all", 710, 0, ended="max_depth"),
    )
    root = root_of(replace(grown, tree=nodes, segments=()))
    assert root is not None
    assert [text(branch.name) for branch in root.below] == ["A / b", "C"]


def test_groups_that_stand_as_declared_are_leaves_though_nothing_was_tried_there(grown: RunResult) -> None:
    """Where only the merged groups failed in confirmation, the groups of the split are drawn and what was below the merged is not."""
    nodes = (
        replace(grown.tree[0], groups=("small", "large")),
        TreeNode("small + large", "all", 1_110, 9, "form", ("a", "b"), 0.01, None, ended="above was not confirmed"),
    )
    segments = (
        grown.segments[0],
        replace(grown.segments[0], name="large", customers=498),
        replace(grown.segments[-1], customers=300),
    )
    root = root_of(replace(grown, tree=nodes, segments=segments))
    assert root is not None
    assert [(text(branch.name), branch.customers, bool(branch.back)) for branch in root.below] == [
        ("Small", "612", True),
        ("Large", "498", True),
        ("Not yet known", "300", False),
    ]


def test_a_run_without_a_tree_has_none(laundry: RunResult) -> None:
    """Nothing is drawn where there is nothing to draw."""
    assert root_of(laundry) is None


def test_a_root_alone_says_what_came_nearest(undivided: RunResult) -> None:
    """Where nothing passed, the smallest adjusted p with its effect and the wavering choice of resamples are told."""
    assert tree.splits_nothing(undivided)
    said = text(tree.nearest(undivided))
    assert said.startswith("The nearest was category 460, has it not against has 460 with a ratio of 0.98 and +1 point")
    assert "category 41 would have been chosen most often, in 9 % of the draws" in said


def test_a_root_that_was_not_confirmed_says_so(undivided: RunResult) -> None:
    """A candidate that discovery chose for all customers and confirmation did not bear out is told with both p."""
    root = replace(
        undivided.tree[0],
        split="category 470",
        groups=("has 470", "has it not"),
        p_discovery_adjusted=0.02,
        p_adjusted=0.4,
        ended="not confirmed",
    )
    pruned = replace(undivided, tree=(root,))
    said = text(tree.nearest(pruned)).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith("The strongest candidate was category 470, has it not against has 470 with a ratio of 0.98")
    assert "; adjusted p = 0.020 in the half that suggested it and p = 0.40 in the half that tested it." in said
    drawn = root_of(pruned)
    assert drawn is not None
    assert drawn.pruned is not None
    assert text(drawn.pruned.why) == "not confirmed"


def test_a_split_that_could_not_be_tested_is_not_said_to_be_refuted(grown: RunResult) -> None:
    """Where the other half was too small for a test, the dropped split says so, and so does the summary."""
    nodes = tuple(replace(node, p_adjusted=None) if node.ended == "not confirmed" else node for node in grown.tree)
    trials = tuple(
        replace(trial, verdict="untestable", reasons=("too few customers",), p_adjusted=None)
        if trial.split == "first basket: DRYER SHEETS"
        else trial
        for trial in grown.trials
    )
    result = replace(grown, tree=nodes, trials=trials)
    root = root_of(result)
    assert root is not None
    (pruned,) = [branch.pruned for _, branch in walk(root) if branch.pruned]
    assert text(pruned.why).startswith("it could not be tested in the other half (too few customers), and with it")
    assert "was too small to be tested in the other, and is grey" in text(tree.summary(result))
    assert "not borne out" not in text(tree.summary(result))


def test_the_root_tells_who_has_a_purchase_from_who_is_in_the_data(grown: RunResult) -> None:
    """Customers without a purchase that counts are no part of any test: the root says how many it is about, and of how many."""
    *leaves, unknown = grown.segments
    some_never_bought = replace(grown, segments=(*leaves, replace(unknown, customers=unknown.customers + 1_059)))
    root = root_of(some_never_bought)
    assert root is not None
    assert (root.customers, root.others) == ("1,410", "with a purchase that counts, of 2,469 in the data")
    drawn = root_of(grown)
    assert drawn is not None
    assert (drawn.customers, drawn.others) == ("1,410", "")


def test_few_customers_without_a_purchase_cannot_be_had_from_the_root(grown: RunResult) -> None:
    """Where only a few have no purchase that counts, how many are in the data is said roughly."""
    *leaves, unknown = grown.segments
    root = root_of(replace(grown, segments=(*leaves, replace(unknown, customers=unknown.customers + 4))))
    assert root is not None
    assert (root.customers, root.others) == ("1,410", "with a purchase that counts, of about 1,420 in the data")


TOLD = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],  # in the data
        [0, 1, 1, 1, 1, 1, 1],  # at the root
        [0, 1, 1, 0, 0, 0, 0],  # the groups in the tree and among the segments
        [0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 1],  # those in none of them, in the tree and in the card
        [1, 0, 0, 0, 0, 1, 1],  # among the segments
        [0, 1, 0, 0, 0, 0, 0],  # the groups in the card
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 1, 0, 1, 0, 0],
        [1, 0, 0, 0, 0, 0, 0],  # below the segments
    ]
)
"""Which customers each count of a page is of: who never bought; then of small, of large and of no group those followed and those not."""


def of_sizes(laundry: RunResult, customers: np.ndarray) -> RunResult:
    """A run of one split that holds, with so many customers of each kind, in the order of ``TOLD``."""
    told = (TOLD @ customers).tolist()
    size = next(trial for trial in laundry.trials if trial.split == "package size")
    groups = tuple(replace(group, customers=n) for group, n in zip(size.groups, told[6:8], strict=True))
    trial = replace(size, groups=groups, not_known=told[4], no_follow_up=told[8])
    leaves = zip(laundry.segments, ("small", "large", "not yet known"), (told[2], told[3], told[5]), strict=True)
    cycle = replace(laundry.quality.cycle, customers=told[1], censored=told[1], customers_once=told[1])
    return replace(
        laundry,
        trials=(replace(trial, comparability=None, crossover=None, robustness=(), habits=()),),
        rules=None,
        segments=tuple(replace(segment, name=name, customers=n) for segment, name, n in leaves),
        tree=(
            TreeNode("all", None, told[1], 1, "package size", ("small", "large"), None, 0.001, held=True),
            TreeNode("small", "all", told[2], 0),
            TreeNode("large", "all", told[3], 0),
        ),
        quality=replace(laundry.quality, cycle=cycle),
    )


def test_no_small_count_can_be_had_by_subtraction(laundry: RunResult) -> None:
    """Whatever sums and differences are made of the counts of a page that are exact, none is a count of customers that is small."""
    generator = np.random.default_rng(1)
    for _ in range(400):
        few = generator.random(7) < [0.5, 0.1, 0.7, 0.1, 0.7, 0.5, 0.7]
        customers = np.where(few, generator.integers(0, 13, 7), generator.integers(30, 600, 7))
        result = of_sizes(laundry, customers)
        counts = counts_of(result)
        known = TOLD[[counts.exact(n) or row == 1 for row, n in enumerate((TOLD @ customers).tolist())]]
        rank = np.linalg.matrix_rank(known)
        for secret in (*np.eye(7), *TOLD):
            if 0 < secret @ customers < result.min_cell:
                assert np.linalg.matrix_rank(np.vstack([known, secret])) > rank, (customers, secret)


def test_the_counts_of_a_page_are_those_that_are_shown_so_everywhere(laundry: RunResult) -> None:
    """All counts that a page of one split says exactly are among those that subtraction is tried on, and no other is there."""
    customers = np.array([1_151, 392, 2, 380, 4, 538, 3])
    result = of_sizes(laundry, customers)
    counts, told = counts_of(result), (TOLD @ customers).tolist()
    page = unescape(re.sub(r"(?s)^.*?<body[^>]*>|<svg.*?</svg>|<[^>]*>", "", render_report(result)))
    shown = set(re.findall(r"(?<!about )(?<!than )(?<![\d,])[\d,]*\d(?= customers| of them| in the data)", page))
    assert shown == {counts(n) for n in told if counts.exact(n)}
    assert "2,470 in the data" in page


def test_a_group_that_is_rough_in_the_tree_is_rough_in_its_card(pages: dict[str, str]) -> None:
    """The same customers are not exact in one table of the page and rough in another."""
    page = pages["grown"].replace("\N{NO-BREAK SPACE}", " ")
    assert "about 500 customers" in page
    assert not re.search(r"(?<![\d.])498(?!\d)", page)
    assert "about 140 customers" in page
    assert "140 customers" not in page.replace("about 140", "")
