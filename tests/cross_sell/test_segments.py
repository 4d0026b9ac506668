"""A rule within segments: segments of first baskets feign no difference, a rule of one segment is found, little support is silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from segmentor.cross_sell.attach import Attachment
from segmentor.cross_sell.following import NextPurchase
from segmentor.cross_sell.items import Assortment, Baskets
from segmentor.cross_sell.mining import Rule
from segmentor.cross_sell.segments import ENOUGH, InSegments, rule_in_segments, within_segments
from segmentor.engine.duckdb import Engine, open_engine
from segmentor.result import CrossSellRule, Interval

LAST = 20_000
WITHIN = 60
NOTHING: Any = ()


def attachment(*items: int) -> Attachment:
    """A rule of the same occasion; of the rest nothing is read."""
    rule = Rule(tuple(items[:-1]), items[-1])
    return Attachment(rule, customers=0, counts=NOTHING, confidence_se=0.0, lift=NOTHING, p_value=0.0)


def next_purchase(first: int, second: int) -> NextPurchase:
    """A rule of the next purchase; of the rest nothing is read."""
    return NextPurchase(Rule((first,), second), customers=0, found=NOTHING)


def shop(rng: np.random.Generator, customers: int, *, lift: np.ndarray, ahead: np.ndarray | None = None) -> Assortment:
    """Customers with tastes of their own for three items, in confirmation.

    Args:
        rng: Source of chance.
        customers: Number of customers.
        lift: By how much item 0 raises item 1 on the same occasion; shape (customers,).
        ahead: By how much item 0 raises item 2 in the days after it; same shape.
    """
    came = np.repeat(np.arange(customers), 3 + rng.poisson(9, customers))
    customer, day = np.unique(np.stack([came, LAST - rng.integers(0, 400, came.size)]), axis=1)
    taste = rng.gamma(2.0, 0.5, (customers, 3))[customer]
    share = np.minimum(np.array([0.2, 0.2, 0.12]) * taste, 0.4)
    held = rng.random(share.shape) < share
    held[:, 1] = rng.random(day.size) < share[:, 1] * np.where(held[:, 0], lift[customer], 1.0)
    if ahead is not None:
        key = customer * 2 * LAST + day
        lately = np.searchsorted(key[held[:, 0]], key) > np.searchsorted(key[held[:, 0]], key - WITHIN)
        held[:, 2] = rng.random(day.size) < share[:, 2] * np.where(lately, ahead[customer], 1.0)
    sold = tuple(np.flatnonzero(item) for item in held.T)
    month = np.unique(day.astype("datetime64[D]").astype("datetime64[M]"), return_inverse=True)[1]
    baskets = Baskets(customer, day=day, month=month, size=held.sum(axis=1), sold=sold)
    return Assortment(("a", "b", "c"), NOTHING, frozenset(), baskets, baskets, last_day=LAST)


def first_occasions(items: Assortment) -> np.ndarray:
    """The first occasion of each customer."""
    return np.flatnonzero(np.diff(items.confirmation.customer, prepend=-1))


def by_first_basket(items: Assortment, *of: int, later_only: bool = True) -> list[np.ndarray]:
    """Occasions of customers whose first one holds a single one of some items, and of the others."""
    customer, first = items.confirmation.customer, first_occasions(items)
    holds = (sum(np.isin(first, items.confirmation.sold[item]).astype(int) for item in of) == 1)[customer]
    counts = np.ones(customer.size, dtype=bool)
    counts[first] = not later_only
    return [np.flatnonzero(holds & counts), np.flatnonzero(~holds & counts)]


def by_number(items: Assortment, *, of: int) -> list[np.ndarray]:
    """All occasions of customers, who are in turn of one segment and the next."""
    return [np.flatnonzero(items.confirmation.customer % of == number) for number in range(of)]


def p_of(tested: InSegments) -> float:
    """The p-value, which there must be."""
    assert tested.p_value is not None
    return tested.p_value


def test_segments_of_first_baskets_feign_no_difference() -> None:
    """One lift for all: segments by the first basket differ in 5 % of 120 shops at 5 %; in many more, did that basket count."""
    rng = np.random.default_rng(1)
    p_values, naive = [], []
    for _ in range(120):
        items = shop(rng, 300, lift=np.full(300, 1.5))
        for later_only, found in ((True, p_values), (False, naive)):
            occasions = by_first_basket(items, 0, 1, later_only=later_only)
            found.append(p_of(rule_in_segments(items, attachment(0, 1), occasions, within=WITHIN)))
    assert (np.array(p_values) < 0.05).sum() <= binom.ppf(0.995, 120, 0.05)
    assert (np.array(naive) < 0.05).sum() > binom.ppf(0.9999, 120, 0.05)


def test_next_purchases_of_first_basket_segments_feign_no_difference() -> None:
    """One pull for all: the next purchase differs at 5 % between segments by the first basket in 5 % of 25 shops."""
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(25):
        items = shop(rng, 1500, lift=np.ones(1500), ahead=np.full(1500, 2.0))
        tested = rule_in_segments(items, next_purchase(0, 2), by_first_basket(items, 0), within=WITHIN)
        p_values.append(p_of(tested))
    assert (np.array(p_values) < 0.05).sum() <= binom.ppf(0.995, 25, 0.05)


def test_a_rule_of_one_segment_is_found() -> None:
    """Of three segments the one with the rule holds it, the others do not, and they differ.

    P(b | a) / P(b) for a factor of 2 is 2 / (1 + P(a)), and among buyers of a P(a) is about a quarter.
    """
    lift = np.where(np.arange(1500) % 3 == 1, 2.0, 1.0)
    items = shop(np.random.default_rng(3), 1500, lift=lift)
    tested = rule_in_segments(items, attachment(0, 1), by_number(items, of=3), within=WITHIN)
    assert [one.interval()[0] > 1.0 for one, _ in tested.lifts] == [False, True, False]
    assert tested.lifts[1][0].lift == pytest.approx(2.0 / 1.25, rel=0.1)
    assert p_of(tested) < 1e-4


def test_a_next_purchase_of_one_segment_is_found() -> None:
    """A pull in one of two segments is seen in its lift, not in the other's, and they differ."""
    ahead = np.where(np.arange(3000) % 2 == 0, 3.0, 1.0)
    items = shop(np.random.default_rng(4), 3000, lift=np.ones(3000), ahead=ahead)
    tested = rule_in_segments(items, next_purchase(0, 2), by_number(items, of=2), within=WITHIN)
    (some, _), (none, _) = tested.lifts
    assert some.interval()[0] > 1.3
    assert none.interval()[0] < 1.0 < none.interval()[1]
    assert p_of(tested) < 0.001


def test_who_has_bought_it_before_is_not_new_to_it() -> None:
    """Customers with the consequent on the first occasion, which does not count, have no next purchase of it later."""
    items = shop(np.random.default_rng(5), 400, lift=np.ones(400), ahead=np.full(400, 2.0))
    had, had_not = by_first_basket(items, 2)
    tested = rule_in_segments(items, next_purchase(0, 2), [had, had_not], within=WITHIN)
    assert tested.lifts[0][1] == 0
    assert tested.lifts[1][1] > 0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine without tables."""
    with open_engine(scratch=tmp_path, inputs=[], threads=1) as engine:
        yield engine


def told(engine: Engine, items: Assortment, segment: np.ndarray, *, valid: Sequence[bool]) -> list[CrossSellRule]:
    """Rules of items 0 and 1 with their segments, of which the customers of the third are few, and entry customers of the first."""
    baskets = items.confirmation
    key = {"_customer_no": baskets.customer, "_day_no": baskets.day}
    engine.put(
        "_item_occasions", {**key, "half": np.ones_like(baskets.day), "occasion_no": np.arange(baskets.day.size)}
    )
    days = np.where(segment == 0, 0, baskets.day[first_occasions(items)] + 1)
    engine.put("_segment_members", {"_customer_no": np.arange(segment.size), "segment_no": segment, "_first_day": days})
    record = CrossSellRule(
        *(("a",), "b", "attach", "same_occasion", "all", 9, 0.1, 0.1), Interval(2.0, 1.5, 2.5), 0.01, valid=True
    )
    rules = [record if one else CrossSellRule(**{**_fields(record), "valid": False}) for one in valid]
    found = [attachment(0, 1)] * len(rules)
    return within_segments(engine, items, found, rules, segments=("x", "y", "few"), within=WITHIN)


def _fields(rule: CrossSellRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in CrossSellRule.__slots__}


def test_valid_rules_are_told_by_segment(engine: Engine) -> None:
    """A valid rule has each segment by name, with its customers of the days that count; few have no lift; others have nothing."""
    items = shop(np.random.default_rng(6), 500, lift=np.full(500, 1.8))
    segment = np.arange(500) % 2
    segment[:8] = 2
    valid, other = told(engine, items, segment, valid=[True, False])
    assert other.segments == ()
    assert other.p_segments_adjusted is None
    assert [one.segment for one in valid.segments] == ["x", "y", "few"]
    assert [one.holds for one in valid.segments] == [True, True, False]
    assert valid.segments[2].lift == Interval(None, None, None)
    baskets = items.confirmation
    both = np.intersect1d(baskets.sold[0], baskets.sold[1])
    assert valid.segments[0].customers == np.unique(baskets.customer[both][segment[baskets.customer[both]] == 0]).size
    later = np.setdiff1d(both, first_occasions(items))
    assert valid.segments[1].customers == np.unique(baskets.customer[later][segment[baskets.customer[later]] == 1]).size
    of_x, of_y = (np.flatnonzero(segment[baskets.customer] == number) for number in (0, 1))
    counted = [of_x, np.setdiff1d(of_y, first_occasions(items))]
    expected = rule_in_segments(items, attachment(0, 1), counted, within=WITHIN)
    assert valid.p_segments_adjusted == expected.p_value
    assert min(lift.expected for lift, _ in expected.lifts) > ENOUGH


def test_rules_are_adjusted_for_each_other(engine: Engine) -> None:
    """Of two valid rules that are the same the smaller p-value is doubled, as is the other by its bound."""
    items = shop(np.random.default_rng(7), 500, lift=np.full(500, 1.8))
    (alone,) = told(engine, items, np.arange(500) % 2, valid=[True])
    first, second = told(engine, items, np.arange(500) % 2, valid=[True, True])
    assert alone.p_segments_adjusted is not None
    assert first.p_segments_adjusted == second.p_segments_adjusted == min(1.0, 2 * alone.p_segments_adjusted)


def test_where_one_segment_can_tell_none_differs(engine: Engine) -> None:
    """With everybody in one segment the rule has its lift there and no p-value."""
    items = shop(np.random.default_rng(8), 300, lift=np.full(300, 1.8))
    (rule,) = told(engine, items, np.zeros(300, dtype=int), valid=[True])
    assert rule.segments[0].holds
    assert [one.customers for one in rule.segments[1:]] == [0, 0]
    assert rule.p_segments_adjusted is None
