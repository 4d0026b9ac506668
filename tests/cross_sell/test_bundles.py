"""Bundles: pairs that are rules, larger sets that sell beyond their pairs, and money that can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segmentor.cross_sell.attach import Attachment
from segmentor.cross_sell.bundles import Together, find_bundles, sets_beyond_pairs
from segmentor.cross_sell.items import Assortment, Baskets, Items, load_items
from segmentor.cross_sell.mining import Rule
from segmentor.engine.duckdb import Engine, open_engine
from segmentor.result import Bundle, Interval
from segmentor.statistics.association import Lift

NOTHING: Any = ()


def half(rng: np.random.Generator, customers: int, *, together: Items, meals: float, pairs: float = 1.0) -> Baskets:
    """Occasions of customers with tastes of their own for six items.

    Args:
        rng: Source of chance.
        customers: Number of customers.
        together: Items that are bought together beyond their pairs.
        meals: Share of the occasions on which they are, each with 3 in 4.
        pairs: By how much item 0 raises items 1 and 2, and item 1 raises item 2.
    """
    customer = np.repeat(np.arange(customers), 3 + rng.poisson(9, customers))
    month = np.sort(rng.integers(0, 12, customer.size))
    taste = rng.gamma(2.0, 0.5, (customers, 6)) * rng.lognormal(sigma=0.4, size=(customers, 1))
    season = np.where(month < 2, 1.5, 1.0)[:, np.newaxis]
    share = np.minimum(0.07 * taste[customer] * season, 0.4)
    chance = rng.random(share.shape)
    held = chance < share
    held[:, 1] = chance[:, 1] < share[:, 1] * np.where(held[:, 0], pairs, 1.0)
    held[:, 2] = chance[:, 2] < share[:, 2] * np.where(held[:, 0], pairs, 1.0) * np.where(held[:, 1], pairs, 1.0)
    meal = np.flatnonzero(rng.random(customer.size) < meals)
    for item in together:
        held[meal, item] |= rng.random(meal.size) < 0.75
    sold = tuple(np.flatnonzero(item) for item in held.T)
    return Baskets(customer, day=np.arange(customer.size), month=month, size=held.sum(axis=1), sold=sold)


def shop(seed: int, customers: int, *, together: Items = (), meals: float = 0.0, pairs: float = 1.0) -> Assortment:
    """A shop of two such halves."""
    rng = np.random.default_rng(seed)
    halves = [half(rng, customers, together=together, meals=meals, pairs=pairs) for _ in range(2)]
    return Assortment(tuple("abcdef"), NOTHING, frozenset(), *halves, last_day=10**5)


def beyond_pairs(
    items: Assortment, pairs: Sequence[Items], *, max_items: int = 4, min_customers: int = 10
) -> list[Together]:
    """Sets promoted, of the given pairs."""
    return sets_beyond_pairs(
        items, pairs, min_customers=min_customers, max_items=max_items, level=0.05, progress=lambda _: None
    )


ALL_PAIRS = list(combinations(range(6), 2))


def test_a_planted_set_of_three_is_the_only_one() -> None:
    """Three items that are cooked together on one occasion in 40 are a bundle, and no other three or four are."""
    items = shop(1, 600, together=(1, 3, 4), meals=0.025)
    assert [one.items for one in beyond_pairs(items, ALL_PAIRS) if one.holds(0.05)] == [(1, 3, 4)]


def test_pairs_make_no_set() -> None:
    """Of 40 shops in which three pairs go together and tastes differ, at most 5 have a set that holds."""
    shops = (shop(100 + seed, 200, pairs=2.0) for seed in range(40))
    assert sum(any(one.holds(0.05) for one in beyond_pairs(items, ALL_PAIRS)) for items in shops) <= 5


def test_four_items_need_room_for_four() -> None:
    """Four items that are bought together are a bundle of four where the config allows four, else their threes are."""
    items = shop(2, 1200, together=(0, 1, 3, 4), meals=0.012)
    pairs = list(combinations((0, 1, 3, 4), 2))
    four = {one.items for one in beyond_pairs(items, pairs, max_items=4) if one.holds(0.05)}
    three = {one.items for one in beyond_pairs(items, pairs, max_items=3)}
    assert (0, 1, 3, 4) in four
    assert three
    assert {len(found) for found in three} == {3}


def test_a_set_needs_all_its_pairs_and_its_customers() -> None:
    """Without one of its pairs, or with more customers asked for than have bought it, the set is not tried."""
    items = shop(1, 600, together=(1, 3, 4), meals=0.025)
    customers = items.discovery.customers((1, 3, 4))
    own = [(1, 3), (1, 4), (3, 4)]
    assert [one.items for one in beyond_pairs(items, own, min_customers=customers)] == [(1, 3, 4)]
    assert beyond_pairs(items, own, min_customers=customers + 1) == []
    assert beyond_pairs(items, own[:2]) == []


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine without tables."""
    with open_engine(scratch=tmp_path, inputs=[], threads=1) as engine:
        yield engine


CONFIG: Any = SimpleNamespace(
    cross_sell=SimpleNamespace(
        level=("sort",), min_customers=1, within_days=60, max_items=3, bundle_discount=0.05, margin=0.3
    ),
    cycle=SimpleNamespace(observed_until=None),
    trial=SimpleNamespace(level=0.05),
    data=SimpleNamespace(
        products=SimpleNamespace(columns={"product": "sku"}),
        transactions=SimpleNamespace(
            columns={"customer": "who", "time": "at", "amount": "money", "quantity": "pieces", "discount": "off"}
        ),
    ),
)

LINES: dict[str, list[Any]] = {
    # Customers 0 and 1 are of discovery, 2 and 3 of confirmation.
    "_customer_no": [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3],
    "_day_no": [100, 100, 200, 200, 100, 100, 300, 300, 300, 465, 465],
    "sort": ["bread", "wine", "wine", "cups", "bread", "wine", "bread", "bread", "wine", "bread", "cups"],
    "money": [2.0, 9.0, 6.0, 5.0, 6.0, 8.0, 1.0, 2.0, 9.0, 2.0, 5.0],
    "pieces": [1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1],
    "off": ["0", "1", "4", "0", None, "-2", "1", "0", "3", "0", "0"],
}


def put(engine: Engine, lines: dict[str, list[Any]], *, order: Sequence[int] | None = None) -> None:
    """Puts the lines in place, in some order."""
    order = range(len(lines["sort"])) if order is None else order
    rows = {name: np.array([column[row] for row in order], dtype=object) for name, column in lines.items()}
    for name in ("_customer_no", "_day_no", "pieces"):
        if name in rows:
            rows[name] = rows[name].astype(np.int64)
    if "money" in rows:
        rows["money"] = rows["money"].astype(np.float64)
    engine.put("_basket_lines", rows)
    engine.put("_halves", {"_customer_no": np.arange(4), "half": np.array([0, 0, 1, 1])})


def attached(*items: int, lift: Lift) -> Attachment:
    """A rule of the same occasion; of the rest nothing is read."""
    rule = Rule(items[:-1], items[-1])
    return Attachment(rule, customers=0, counts=NOTHING, confidence_se=0.0, lift=lift, p_value=0.0)


STRONG = Lift(observed=200.0, expected=100.0, z=5.0, log_se=0.1)


def bundles_of(engine: Engine, *rules: Attachment, p_values: Sequence[float] = (0.01,)) -> tuple[Bundle, ...]:
    """Bundles of the rules."""
    items = load_items(engine, CONFIG, levels=("sort",), min_customers=1)
    return find_bundles(engine, CONFIG, items, rules, p_values, progress=lambda _: None)


def test_money_of_a_bundle_is_that_of_a_recount(engine: Engine) -> None:
    """Median prices, mean share of discount, orders a year and what is left of the margin are as counted by hand."""
    put(engine, LINES)
    (bundle,) = bundles_of(engine, attached(0, 2, lift=STRONG))
    assert bundle.items == ("bread", "wine")
    assert bundle.customers == 3
    assert bundle.valid
    assert bundle.lift == Interval(2.0, *STRONG.interval())
    assert bundle.p_confirmation_adjusted == 0.01
    # Bread a piece: 2, 2, 1, 2, 2; wine: 9, 6, 8, 9.
    assert bundle.price == 2.0 + 8.5
    # Off: 1 of 12, 2 of 16, 4 of 16.
    assert bundle.usual_discount == pytest.approx((1 / 12 + 2 / 16 + 4 / 16) / 3, abs=1e-12)
    # Three occasions on the days 100 to 465.
    assert bundle.orders_a_year == pytest.approx(3 * 365.25 / 366)
    assert bundle.bundle_price == pytest.approx(10.5 * 0.95)
    assert bundle.margin_an_order == pytest.approx(10.5 * 0.25)
    assert bundle.break_even == pytest.approx(1.2)


def test_order_of_lines_means_nothing(engine: Engine) -> None:
    """Lines in another order give the same bundles to the last bit."""
    put(engine, LINES)
    bundles = bundles_of(engine, attached(0, 2, lift=STRONG))
    put(engine, LINES, order=np.random.default_rng(1).permutation(11).tolist())
    assert bundles_of(engine, attached(0, 2, lift=STRONG)) == bundles


@pytest.mark.parametrize("lost", ["money", "off"])
def test_without_its_column_money_is_not_known(engine: Engine, lost: str) -> None:
    """Without discounts the usual discount is not known, without amounts no money is; orders are."""
    put(engine, {name: column for name, column in LINES.items() if name != lost})
    (bundle,) = bundles_of(engine, attached(0, 2, lift=STRONG))
    assert bundle.usual_discount is None
    assert (bundle.price is None) == (bundle.bundle_price is None) == (bundle.margin_an_order is None)
    assert (bundle.price is None) == (lost == "money")
    assert bundle.orders_a_year > 2.9


def test_only_rules_that_hold_are_pairs(engine: Engine) -> None:
    """Of rules of two items those that are not significant, or whose interval reaches 1, are no bundle; nor is a longer rule."""
    put(engine, LINES)
    weak = Lift(observed=100.0, expected=90.0, z=2.0, log_se=0.1)
    rules = attached(0, 2, lift=STRONG), attached(1, 2, lift=weak), attached(0, 1, 2, lift=STRONG)
    assert bundles_of(engine, *rules, p_values=(0.2, 0.01, 0.01)) == ()


def test_what_earns_most_stands_first(engine: Engine) -> None:
    """Of two pairs that hold the one with the larger margin a year is the first."""
    put(engine, LINES)
    rules = attached(0, 1, lift=STRONG), attached(0, 2, lift=STRONG)
    found = bundles_of(engine, *rules, p_values=(0.01, 0.02))
    assert [bundle.items for bundle in found] == [("bread", "wine"), ("bread", "cups")]
