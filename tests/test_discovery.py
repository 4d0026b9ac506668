"""Found splits: thresholds and merged groups are chosen in one half of the customers and confirmed in the other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import Line, day
from test_trials import UNTIL, shop, tried, tried_whole

from segmentor.cycles import TimeZero
from segmentor.discovery import closest_groups
from segmentor.errors import ConfigError, ExpressionError
from segmentor.splits import Split
from segmentor.statistics.linear import GroupSums

BASKET = "    - {name: basket, known: first_purchase, by: order_amount, thresholds: auto}\n"


def shop_of_baskets(customers: int, *, ratio: float = 1.0, seed: int = 1) -> list[Line]:
    """Customers of unequal rates whose first basket costs 1 to 40; where it is above 25, gaps are ``ratio`` times as long."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for number in range(customers):
        amount = float(generator.integers(1, 41))
        rate = np.exp(0.4 * generator.standard_normal()) / (ratio if amount > 25 else 1)
        at = int(generator.integers(0, 200))
        while at <= UNTIL:
            lines.append((f"c{number:05d}", f"o{len(lines)}", day(at), "p", 1, amount))
            at += max(1, round(generator.gamma(2, 20 / rate)))
            amount = float(generator.integers(1, 41))
            if generator.random() < 0.15:
                break
    return lines


def in_confirmation(customer: str) -> bool:
    """The half of a customer under seed 1, from the definition: an md5 in the lower half of its range."""
    return hashlib.md5(f"1:{customer}".encode(), usedforsecurity=False).hexdigest() < "8" + "0" * 31


def test_a_planted_threshold_is_found_and_confirmed(tmp_path: Path) -> None:
    """The cut of first baskets at 25 is found within its resampled range, confirmed in the other half, and both p are shown."""
    (trial,) = tried(tmp_path, shop_of_baskets(1500, ratio=2.0), BASKET)
    assert trial.verdict == "separates"
    cut = trial.cutpoint
    assert cut is not None
    assert 22 <= cut.threshold <= 28
    assert cut.low <= cut.threshold <= cut.high
    assert cut.low <= 25 <= cut.high
    assert [group.name for group in trial.groups] == [f"<= {cut.threshold:.0f}", f"> {cut.threshold:.0f}"]
    assert trial.p_discovery_adjusted is not None
    assert trial.p_discovery_adjusted < 0.05
    assert trial.p_adjusted is not None
    assert trial.p_adjusted < 0.05
    assert trial.same_direction is True
    assert sum(group.customers for group in trial.groups) + trial.not_known + trial.no_follow_up == 1500


def test_the_confirmation_half_cannot_touch_what_discovery_does(tmp_path: Path) -> None:
    """Other purchases of the confirmation customers leave the cutpoint, its stability and its p as they were."""
    lines = shop_of_baskets(1200)
    first: dict[str, Line] = {}
    for line in lines:
        first.setdefault(line[0], line)
    confirming = [line for name, line in first.items() if in_confirmation(name)]
    assert 0.4 < len(confirming) / len(first) < 0.6
    more: list[Line] = [
        (line[0], f"more {line[1]} {gap}", line[2] + (day(gap) - day(0)), "p", 1, 500)
        for line in confirming
        for gap in (3, 9, 300)
        if (line[2] - day(0)).days + gap < UNTIL
    ]
    (before,), (after,) = tried(tmp_path, lines, BASKET), tried(tmp_path, lines + more, BASKET)
    assert before.cutpoint == after.cutpoint
    assert before.p_discovery_adjusted == after.p_discovery_adjusted
    assert before.pairs != after.pairs


def test_a_candidate_that_was_not_promoted_says_so(tmp_path: Path) -> None:
    """Where discovery finds nothing, the verdict rests on the intervals of confirmation alone."""
    trials = [tried(tmp_path, shop_of_baskets(1500, seed=seed), BASKET)[0] for seed in range(2)]
    not_promoted = [one for one in trials if one.p_discovery_adjusted is not None and one.p_discovery_adjusted > 0.05]
    assert not_promoted
    for trial in not_promoted:
        assert trial.p_adjusted is None
        assert trial.verdict in ("inconclusive", "equivalent")
        assert trial.verdict == "equivalent" or trial.reasons[0] == "not promoted"


def test_a_number_with_one_value_has_no_threshold(tmp_path: Path) -> None:
    """A column that is the same for nearly all cannot be cut, and says so."""
    (trial,) = tried(tmp_path, shop(200), BASKET)
    assert (trial.verdict, trial.reasons) == ("untestable", ("no threshold",))


@pytest.mark.slow
def test_null_thresholds_separate_at_most_at_the_level(tmp_path: Path) -> None:
    """Of 60 shops in which the basket means nothing at most 6 declare a threshold, of any effect size, and about 5 % are promoted."""
    trials = [tried(tmp_path, shop_of_baskets(500, seed=seed), BASKET)[0] for seed in range(60)]
    promoted = sum(one.p_discovery_adjusted is not None and one.p_discovery_adjusted <= 0.05 for one in trials)
    assert promoted <= 9
    assert sum(one.verdict == "separates" for one in trials) <= 2


def sums_of(means: list[float], customers: int, seed: int) -> GroupSums:
    """Two correlated scores of groups with the given means, in three cohorts."""
    generator = np.random.default_rng(seed)
    groups = np.arange(customers) % len(means)
    base = generator.standard_normal(customers) + np.array(means)[groups]
    scores = np.stack([base, base + 0.5 * generator.standard_normal(customers)])
    return GroupSums.from_scores(scores, groups, generator.integers(3, size=customers))


@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)))
@settings(max_examples=25, deadline=None)
def test_like_groups_are_taken_together_whatever_their_order(seed: int, order: list[int]) -> None:
    """Of four groups the two of each level are merged; equal ones are one, and far ones stay apart."""
    levels = [0.0, 2.0, 0.0, 2.0]
    parts = closest_groups(sums_of([levels[place] for place in order], 1200, seed), level=0.001)
    assert sorted(sorted(order[place] for place in part) for part in parts) == [[0, 2], [1, 3]]
    assert closest_groups(sums_of([0.0] * 4, 1200, seed), level=1e-6) == ((0, 1, 2, 3),)
    assert len(closest_groups(sums_of([0.0, 2.0, 4.0, 6.0], 1200, seed), level=0.05)) == 4


def test_a_column_of_words_cannot_be_cut_and_is_named(tmp_path: Path) -> None:
    """A value that is no number is the user's to mend: column, split and the cast are named."""
    with pytest.raises(ExpressionError, match=r"'product_id' of the split 'basket': .*try_cast\(column as double\)"):
        tried(tmp_path, shop(120), BASKET.replace("order_amount", "product_id"))


def test_the_value_of_an_order_is_not_fixed_at_entry(tmp_path: Path) -> None:
    """``order_amount`` of what is known at entry is told like any column that there is not, with its key."""
    with pytest.raises(ConfigError, match=r"splits\.declared\.0\.by: there is no column 'order_amount'; there are "):
        tried(tmp_path, shop(120), BASKET.replace("first_purchase", "entry"))


@pytest.mark.parametrize(
    ("threshold", "short", "exact"),
    [
        (32.0, "32", "32"),
        (0.0, "0", "0"),
        (0.25, "0.25", "0.25"),
        (1 / 6, "0.166667", repr(1 / 6)),
        (2e9, "2000000000", "2000000000"),
    ],
)
def test_a_cut_is_named_as_people_write_numbers(threshold: float, short: str, exact: str) -> None:
    """Names of groups are rounded to the millionth, and the conditions cut where the label does."""
    split = Split("x", "entry", TimeZero(), (("by", "x"),), (), "x", "_attributes", by="x", to_cut=True)
    cut = split.cut_at(threshold)
    assert cut.groups == (f"<= {short}", f"> {short}")
    assert cut.definition == ((f"<= {short}", f"x <= {exact}"), (f"> {short}", f"x > {exact}"))
    assert float(exact) == threshold
    assert cut.label.startswith(f"case when x <= {threshold!r} then")


@pytest.mark.parametrize(
    "groups",
    [[["a", "b"], ["a + b"]], [["a + b"], ["a", "b"]], [["a", "b + c"], ["a + b", "c"]], [["a", "b"], ["c"]]],
)
def test_merged_groups_have_names_of_their_own(groups: list[list[str]]) -> None:
    """Groups that a column's values already join in words are told apart: no two have a name in common."""
    split = Split("kit", "entry", TimeZero(), (("by", "kit"),), (), "min(kit)", "_attributes", by="kit")
    merged = split.merged(groups)
    assert len(set(merged.groups)) == len(groups)
    for name, several in zip(merged.groups, groups, strict=True):
        assert len(several) > 1 or name == several[0]
        assert all(f"when '{one}' then '{name}'" in merged.label for one in several)


def test_a_split_may_not_have_the_name_of_the_merged_groups_of_another(tmp_path: Path) -> None:
    """``basket, merged`` beside ``basket`` would be two splits of one name."""
    with pytest.raises(ConfigError, match=r"splits\.declared\.1\.name: 'basket, merged' is what we call merged groups"):
        tried(tmp_path, shop(120), BASKET + BASKET.replace("basket", "'basket, merged'"))


def test_groups_that_were_never_compared_are_not_taken_together() -> None:
    """Two groups that are each alone in their cohort are not told apart by anything, and stay two."""
    groups = np.repeat([0, 1, 2, 3], 100)
    cohorts = np.repeat([0, 1, 2, 2], 100)
    scores = np.random.default_rng(1).standard_normal((1, 400)) + np.array([9.0, -9.0, 0.0, 0.0])[groups]
    assert closest_groups(GroupSums.from_scores(scores, groups, cohorts), level=0.05) == ((0,), (1,), (2, 3))


def test_the_ledger_says_how_each_found_split_was_corrected(tmp_path: Path) -> None:
    """Cut numbers are screened by min-P, merged groups are not adjusted, and what was promoted is confirmed under Holm."""
    lines = [
        (*line[:5], float(number % 37)) for number, line in enumerate(shop(1500, ratio=1.8, groups=("p", "q", "r")))
    ]
    by_product = "    - {name: first, known: first_purchase, by: product_id}\n"
    ledger = tried_whole(tmp_path, lines, BASKET + by_product).ledger
    told = {(entry.split, entry.stage): entry for entry in ledger}
    assert told["first", "declared"].correction == "Holm"
    assert told["basket", "discovery"].correction == "min-P"
    assert told["first, merged", "discovery"].correction == "none"
    assert told["first, merged", "confirmation"].correction == "Holm"
    promoted = [entry for entry in ledger if entry.outcome == "promoted"]
    confirmed = [entry for entry in ledger if entry.stage == "confirmation"]
    assert {entry.split for entry in promoted} == {entry.split for entry in confirmed}
    assert all(entry.of == len(confirmed) for entry in confirmed)
    assert [entry.place for entry in confirmed] == list(range(1, len(confirmed) + 1))
