"""The tree of splits: what stands below what, what discovery may see of the others, and what is said where nothing stands."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shops import CONFIG, Line, day, engine_with, read_config

from segmentor.cycles import TimeZero, build_cycles
from segmentor.discovery import Candidate, merged_codes, tenths, without_aliases
from segmentor.echo import conditional_p
from segmentor.populations import later
from segmentor.pruning import explain
from segmentor.result import Trial, Verdict
from segmentor.segments import Branch, find_segments
from segmentor.splits import Attribute, Split, declared_splits, make_label_sources
from segmentor.tree import Grown, Node
from segmentor.trials import Tried, run_trials
from segmentor.wording import Message

UNTIL = 500

PRODUCT = "    - {name: product, known: first_purchase, groups: {p: \"product_id = 'p'\", q: \"product_id = 'q'\"}}\n"
BASKET = "    - {name: basket, known: first_purchase, groups: {small: amount <= 10, large: amount > 10}}\n"


def shop(customers: int, *, product: float = 1.0, basket_within_p: float = 1.0, seed: int = 1) -> list[Line]:
    """Customers whose gaps are ``product`` times as long where the first is q, and ``basket_within_p`` times after a large first p."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for number in range(customers):
        first, amount = "pq"[generator.integers(2)], float(generator.integers(1, 21))
        factor = product if first == "q" else basket_within_p if amount > 10 else 1.0
        scale = 12 * factor * np.exp(0.5 * generator.standard_normal())
        at = int(generator.integers(0, 150))
        while at <= UNTIL:
            lines.append((f"c{number:05d}", f"o{len(lines)}", day(at), first, 1, amount))
            at += max(1, round(generator.gamma(2, scale)))
            first, amount = "pq"[generator.integers(2)], float(generator.integers(1, 21))
            if generator.random() < 0.1:
                break
    return lines


def grown(
    folder: Path, lines: list[Line], splits: str = PRODUCT + BASKET, *, more: str = "", purchase: str = ""
) -> tuple[Tried, list[str]]:
    """What was tried of the declared splits, and the names of the segments."""
    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL)
    config = read_config(
        folder, f"{CONFIG}cycle: {{observed_until: {last}{purchase}}}\nsplits:\n  declared:\n{splits}{more}"
    )
    with engine_with(lines) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        declared = declared_splits(config, columns)
        make_label_sources(engine, config, columns, declared)
        tried = run_trials(
            engine, config, columns, declared, observed_until=summary.observed_until, progress=lambda _: None
        )
        return tried, [segment.name for segment in find_segments(engine, tried.branches)]


def test_a_split_that_holds_in_one_group_alone_stands_below_it(tmp_path: Path) -> None:
    """Baskets matter only after a first p: they divide p and not q, and the leaf below says both conditions."""
    tried, segments = grown(tmp_path, shop(3000, product=1.8, basket_within_p=1.8))
    assert segments == ["p / small", "p / large", "q", "not yet known"]
    nodes = {node.segment: node for node in tried.nodes}
    assert (nodes["all"].split, nodes["p"].split, nodes["q"].split) == ("product", "basket", None)
    assert (nodes["p"].held, nodes["q"].held, nodes["q"].ended) == (True, False, "nothing passed")
    (below,) = (trial for trial in tried.trials if trial.segment == "p")
    assert (below.split, below.verdict) == ("basket", "separates")
    assert below.p_adjusted is not None
    assert below.p_discovery_adjusted is not None
    assert sum(group.customers for group in below.groups) <= nodes["p"].customers


def test_where_nothing_separates_the_root_stands_alone(tmp_path: Path) -> None:
    """A shop without any effect is one segment, and the root says that nothing passed."""
    tried, segments = grown(tmp_path, shop(1200))
    assert segments == ["all"]
    assert tried.branches == ()
    assert [(node.segment, node.split, node.ended) for node in tried.nodes] == [("all", None, "nothing passed")]


def test_what_only_repeats_the_split_of_the_tree_is_explained_by_it(tmp_path: Path) -> None:
    """Baskets that are larger where the first product is q separate customers as the products do, and within p and q no longer."""
    lines = [(*line[:5], (line[5] or 0) + 9 * (line[3] == "q")) for line in shop(2500, product=1.8)]
    tried, _ = grown(tmp_path, lines)
    product, basket = tried.trials
    assert (product.verdict, basket.verdict) == ("separates", "separates")
    assert (product.explained_by, basket.explained_by) == (None, "product")


def test_customers_who_never_bought_what_is_looked_at_are_in_no_node(tmp_path: Path) -> None:
    """Of customers with other purchases alone the root counts none: its groups are all that it has."""
    others: list[Line] = [(f"x{number}", f"x{number}", day(number), "other", 1, 1.0) for number in range(300)]
    lines = shop(800, product=2.0) + others
    tried, _ = grown(tmp_path, lines, PRODUCT, purchase=", purchase: \"product_id <> 'other'\"")
    assert {node.segment: node.customers for node in tried.nodes}["all"] == 800
    assert sum(node.customers for node in tried.nodes if node.parent == "all") == 800


def test_no_group_applies_to_as_many_in_the_trial_as_in_the_tree(tmp_path: Path) -> None:
    """Who is seen for the first time on the last day is in no test, and still is of a group or of none: two counts that differ would tell of them."""
    none: list[Line] = [(f"r{number}", f"r{number}", day(number), "r", 1, 1.0) for number in range(60)]
    last: list[Line] = [(f"l{number}", f"l{number}", day(UNTIL), "pr"[number > 3], 1, 1.0) for number in range(7)]
    tried, _ = grown(tmp_path, shop(800, product=2.0) + none + last, PRODUCT)
    (trial,) = tried.trials
    root, *below = tried.nodes
    assert (trial.verdict, trial.not_known, trial.no_follow_up) == ("separates", 63, 4)
    assert root.customers - sum(node.customers for node in below) == 63
    assert sum(group.customers for group in trial.groups) + 63 + 4 == root.customers == 867


def screened(segment: str, parent: int | None, promoted: dict[str, str], others: dict[str, str]) -> Grown:
    """A node in which some splits passed and others did not: name of the split to that of its attribute."""
    node = Node(0, segment, parent, 0, None, np.ones(3, dtype=bool))
    found = [
        Candidate(
            attribute(of, [0, 1, 1]), attribute(name, [0, 1, 1]).splits[0], np.zeros(3, dtype=np.int16), 0.1, -2.3, p
        )
        for several, p in ((promoted, 0.05), (others, 0.06))
        for name, of in several.items()
    ]
    return Grown(node, tuple(found))


def test_what_is_left_below_the_root_is_not_explained() -> None:
    """Of trials at the root those that are significant, and of which neither they nor a value passed in any node below, are explained."""
    brand, other = "brand", "brand: x"
    size = attribute("size, merged", [0, 1, 1]).splits[0]
    root = Branch("all", replace(size, merged_from="size"), trial_of("size, merged", merged_from="size"), TimeZero())
    nodes = [
        screened("all", None, {name: name for name in ("size", "brand", "form", "region")}, {}),
        screened("a", 0, {"brand: y": "brand"}, {"form": "form", "region": "region"}),
        screened("b", 0, {"region": "region"}, {"form": "form", other: brand}),
        screened("c", 0, {}, {}),
        screened("a / x", 1, {"form": "form"}, {}),
    ]
    trials = [
        trial_of("size"),
        trial_of("size, merged", merged_from="size"),
        trial_of("size: small"),
        trial_of(brand),
        trial_of(other),
        trial_of("form"),
        trial_of("form, merged", merged_from="form"),
        trial_of("region"),
        trial_of("not shown to matter", verdict="inconclusive"),
        trial_of("shown not to matter", verdict="equivalent"),
        trial_of("not significant", verdict="inconclusive", p_adjusted=0.2),
        trial_of("not tested", verdict="inconclusive", p_adjusted=None),
        trial_of("form", segment="a / x"),
    ]
    explained = [trial.explained_by for trial in explain(trials, nodes, [root], level=0.05)]
    by = "size, merged"
    assert explained == [None, None, by, None, by, by, by, None, by, None, None, None, None]
    assert explain(trials, nodes, [], level=0.05) == trials
    assert explain(trials, nodes[:1], [root], level=0.05) == trials


def trial_of(
    split: str,
    *,
    segment: str = "all",
    verdict: Verdict = "separates",
    merged_from: str | None = None,
    p_adjusted: float | None = 0.001,
) -> Trial:
    """A trial of which only names, verdict and p matter."""
    return Trial(
        segment,
        split,
        "enumerated",
        "entry",
        (),
        (),
        0,
        verdict,
        (),
        Message("none"),
        merged_from=merged_from,
        p_adjusted=p_adjusted,
    )


def test_depth_ends_the_tree(tmp_path: Path) -> None:
    """With a depth of one there is nothing below the root's groups."""
    lines = shop(3000, product=1.8, basket_within_p=1.8)
    tried, segments = grown(tmp_path, lines, more="segments: {max_depth: 1}\n")
    assert segments == ["p", "q", "not yet known"]
    assert {node.segment: node.ended for node in tried.nodes} == {"all": None, "p": "max_depth", "q": "max_depth"}


def test_a_group_that_cannot_hold_two_ends_the_tree(tmp_path: Path) -> None:
    """Below twice the smallest group nothing is tried."""
    tried, _ = grown(tmp_path, shop(700, product=2.5), more="trial: {min_group: 250}\n")
    assert {node.ended for node in tried.nodes if node.segment != "all"} == {"too few customers"}


def test_confirmation_customers_do_not_touch_what_discovery_grows(tmp_path: Path) -> None:
    """Other later purchases of the confirmation half change no choice and no screening p of the tree."""
    lines = shop(3000, product=1.8, basket_within_p=1.8)
    half = "8" + "0" * 31
    first: dict[str, Line] = {}
    for line in lines:
        first.setdefault(line[0], line)
    more: list[Line] = [
        (name, f"more {name} {gap}", line[2] + (day(gap) - day(0)), "p", 1, 15.0)
        for name, line in first.items()
        for gap in (4, 9)
        if hashlib.md5(f"1:{name}".encode(), usedforsecurity=False).hexdigest() < half
    ]
    # Declared splits are tested on everybody; what passes in discovery below them is discovery's alone.
    one, other = (
        {node.segment: (node.split, node.p_discovery_adjusted, node.chosen_again) for node in tried.nodes}
        for tried, _ in (grown(tmp_path, lines), grown(tmp_path, lines + more))
    )
    assert one["p"] == other["p"]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (TimeZero(), TimeZero(purchases=3), TimeZero(purchases=3)),
        (TimeZero(until=10), TimeZero(purchases=3), TimeZero(until=10)),
        (TimeZero(until=10), TimeZero(until=12), TimeZero(until=12)),
    ],
)
def test_two_labels_are_known_when_the_later_one_is(one: TimeZero, other: TimeZero, both: TimeZero) -> None:
    """The later of two counts, or a date where there is one."""
    assert later(one, other) == later(other, one) == both


def test_a_label_made_of_the_past_says_nothing_else() -> None:
    """A label that is a function of the numbers is an echo whatever the scores; one that is drawn beside them is tested like any other."""
    generator = np.random.default_rng(1)
    numbers = generator.gamma(2, 1, size=(2, 1500))
    scores = np.stack([np.log(numbers[0]), numbers[0] - numbers[1] ** 2]) + generator.standard_normal((2, 1500))
    made = (numbers[0] > 1.5).astype(np.int64)
    assert conditional_p(scores, made, numbers, seed=1) == 1.0
    partly = (numbers[0] + generator.standard_normal(1500) > 1.5).astype(np.int64)
    assert conditional_p(scores, partly, numbers, seed=1) > 0.05
    assert conditional_p(scores + 0.5 * partly, partly, numbers, seed=1) < 1e-4


@pytest.mark.slow
def test_a_label_that_leans_on_the_past_is_called_more_at_the_level() -> None:
    """Labels drawn with a chance that follows the numbers, as the scores do, are significant given them in about 5 of 100 worlds."""
    found = []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        numbers = generator.gamma(2, 1, size=(2, 1500))
        scores = np.stack([np.log(numbers[0]), numbers[0] - numbers[1]]) + generator.standard_normal((2, 1500))
        labels = (numbers[0] + generator.standard_normal(1500) > 1.5).astype(np.int64)
        found.append(conditional_p(scores, labels, numbers, seed=1) <= 0.05)
    assert sum(found) <= 12


def attribute(name: str, codes: list[int], *, by_value: int = 0) -> Attribute:
    """An attribute of groups with splits that are told apart by their names alone."""
    split = Split(name, "entry", TimeZero(), (), tuple(map(str, sorted(set(codes) - {-1}))), "x", "_attributes")
    values = tuple(
        Split(f"{name}: {value}", "entry", TimeZero(), (), ("a", "b"), "x", "_attributes") for value in range(by_value)
    )
    return Attribute(name, "enumerated", TimeZero(), np.array(codes, dtype=np.int16), None, split, values)


def test_what_was_declared_is_not_tried_again_under_another_name() -> None:
    """A split with the groups of a declared one, in whatever order, is its alias; another column of the same attribute stays."""
    known = attribute("declared", [0, 1, 1, -1, 0])
    same, other = attribute("same", [1, 0, 0, -1, 1]), attribute("other", [0, 1, 2, -1, 0], by_value=3)
    left, aliases = without_aliases([known], [same, other])
    assert [one.name for one in left] == ["other"]
    assert aliases == {"declared": ("same", "other: 0")}
    assert [split is None for split in left[0].by_value] == [True, False, False]


def test_groups_taken_together_keep_who_is_not_known() -> None:
    """Codes of parts are their numbers, and -1 stays -1."""
    codes = np.array([0, 1, 2, 3, -1, 1], dtype=np.int16)
    assert merged_codes(codes, [[0, 2], [1], [3]]).tolist() == [0, 1, 0, 2, -1, 1]


def test_tenths_are_of_like_size() -> None:
    """Ranks of a number make ten groups, and what is unknown stays so."""
    codes = tenths(np.array([*range(100), np.nan]))
    assert np.bincount(codes[:-1]).tolist() == [10] * 10
    assert codes[-1] == -1
