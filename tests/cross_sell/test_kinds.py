"""Kinds of rules: what is known of items, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segmentor.cross_sell.items import Assortment, load_items
from segmentor.cross_sell.kinds import ItemFacts, kind_of_rule
from segmentor.engine.duckdb import Engine, open_engine

CHEAP_SHAMPOO = ItemFacts("shampoo", "Alba", tier=1, price=2.0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine without tables."""
    with open_engine(scratch=tmp_path, inputs=[], threads=1) as engine:
        yield engine


@pytest.mark.parametrize(
    ("offered", "kind"),
    [
        pytest.param(ItemFacts("soap", "Alba", tier=1, price=2.0), "cross_category", id="another category"),
        pytest.param(ItemFacts("soap", None, tier=None, price=None), "cross_category", id="all else unknown"),
        pytest.param(ItemFacts("shampoo", "Alba", tier=2, price=4.0), "upsell", id="a higher tier of the brand"),
        pytest.param(ItemFacts("shampoo", "Bora", tier=3, price=9.0), "upsell", id="a higher tier of another brand"),
        pytest.param(ItemFacts("shampoo", "Bora", tier=1, price=2.5), "lateral", id="another brand in the tier"),
        pytest.param(ItemFacts("shampoo", "Alba", tier=1, price=2.5), "attach", id="the same brand in the tier"),
        pytest.param(ItemFacts("shampoo", None, tier=1, price=2.5), "attach", id="a brand that is not known"),
        pytest.param(ItemFacts("shampoo", "Bora", tier=None, price=None), "attach", id="a tier that is not known"),
        pytest.param(ItemFacts(None, "Bora", tier=2, price=4.0), "attach", id="a category that is not known"),
    ],
)
def test_kind_follows_from_category_tier_and_brand(offered: ItemFacts, kind: str) -> None:
    """Beside a cheap shampoo, each offer is of the kind that its category, then its tier, then its brand tell."""
    assert kind_of_rule([CHEAP_SHAMPOO], offered) == kind


def test_a_lower_tier_is_no_upsell() -> None:
    """Who has the dear one is attached the cheap one."""
    assert kind_of_rule([ItemFacts("shampoo", "Bora", tier=3, price=9.0)], CHEAP_SHAMPOO) == "attach"


def test_a_longer_rule_is_of_the_kind_of_all_its_pairs() -> None:
    """Two antecedent items that the consequent stands to in one way give their kind; in different ways, attach."""
    soap, comb = ItemFacts("soap", "Alba", 1, 1.0), ItemFacts("comb", "Alba", 1, 3.0)
    assert kind_of_rule([soap, comb], CHEAP_SHAMPOO) == "cross_category"
    assert kind_of_rule([soap, ItemFacts("shampoo", "Bora", 1, 2.0)], CHEAP_SHAMPOO) == "attach"


def load(
    engine: Engine, lines: Sequence[tuple[str, str | None, str, str, float, float]], *levels: str, tiers: bool = False
) -> Assortment:
    """Items of lines of sku, category, brand, tier, quantity and amount, each of a customer of its own.

    Args:
        engine: Where to put them.
        lines: The lines.
        levels: What is an item.
        tiers: Whether the tier is a role.
    """
    columns = dict(zip(("sku", "sort", "maker", "grade", "pieces", "money"), zip(*lines, strict=True), strict=True))
    number = np.arange(len(lines))
    texts = {name: np.array(columns[name], dtype=object) for name in ("sku", "sort", "maker", "grade")}
    numbers = {name: np.array(columns[name], dtype=float) for name in ("pieces", "money")}
    engine.put("_basket_lines", {"_customer_no": number, "_day_no": 0 * number, **texts, **numbers})
    engine.put("_halves", {"_customer_no": number, "half": 0 * number})
    roles = {"product": "sku", "category": "sort", "brand": "maker"} | ({"price_tier": "grade"} if tiers else {})
    config: Any = SimpleNamespace(
        cycle=SimpleNamespace(observed_until=None),
        data=SimpleNamespace(
            products=SimpleNamespace(columns=roles),
            transactions=SimpleNamespace(columns={"quantity": "pieces", "amount": "money"}),
        ),
    )
    return load_items(engine, config, levels=levels, min_customers=1)


def test_facts_of_a_product_are_those_of_its_lines(engine: Engine) -> None:
    """Category and brand are its own, the price is the median of money a piece, over lines with pieces."""
    lines = [
        ("a", "soap", "Alba", "x", 1.0, 3.0),
        ("a", "soap", "Alba", "x", 2.0, 10.0),
        ("a", "soap", "Alba", "x", 4.0, 16.0),
        ("a", "soap", "Alba", "x", 0.0, 99.0),
        ("b", None, "Bora", "x", 1.0, 7.0),
    ]
    items = load(engine, lines, "product")
    assert items.names == ("a", "b")
    assert items.facts == (ItemFacts("soap", "Alba", 3, 4.0), ItemFacts(None, "Bora", None, 7.0))


def test_tiers_are_thirds_of_the_category_by_price(engine: Engine) -> None:
    """Six prices make three tiers of two, two products of one price share theirs, and other categories do not count."""
    prices = {"a": 6.0, "b": 1.0, "c": 2.0, "d": 3.0, "e": 4.0, "f": 5.0}
    lines = [(sku, "soap", "Alba", "x", 1.0, price) for sku, price in prices.items()]
    lines += [(sku, "comb", "Alba", "x", 1.0, 0.5) for sku in ("g", "h")]
    items = load(engine, lines, "product")
    tiers = {name: facts.tier for name, facts in zip(items.names, items.facts, strict=True)}
    assert tiers == {"b": 1, "c": 1, "d": 2, "e": 2, "f": 3, "a": 3, "g": 3, "h": 3}


def test_named_tiers_stand_in_the_order_of_their_prices(engine: Engine) -> None:
    """Where the shop names tiers, the cheapest by median unit price is the first, whatever its name."""
    lines = [
        ("a", "soap", "Alba", "gold", 1.0, 9.0),
        ("b", "soap", "Alba", "zinc", 1.0, 2.0),
        ("c", "comb", "Bora", "iron", 1.0, 5.0),
        ("d", "comb", "Bora", "zinc", 2.0, 6.0),
    ]
    items = load(engine, lines, "product", tiers=True)
    assert [facts.tier for facts in items.facts] == [3, 1, 2, 1]


def test_an_item_of_several_categories_has_none(engine: Engine) -> None:
    """A brand in two categories has none; a category is its own, and of several brands has no brand."""
    lines = [
        ("a", "soap", "Alba", "x", 1.0, 1.0),
        ("b", "comb", "Alba", "x", 1.0, 2.0),
        ("c", "comb", "Bora", "x", 1.0, 3.0),
    ]
    items = load(engine, lines, "category", "brand")
    known = {name: (facts.category, facts.brand) for name, facts in zip(items.names, items.facts, strict=True)}
    assert known == {
        "brand=Alba": (None, "Alba"),
        "brand=Bora": ("comb", "Bora"),
        "category=comb": ("comb", None),
        "category=soap": ("soap", "Alba"),
    }


def test_rules_between_categories_cross_them(engine: Engine) -> None:
    """At the level of categories, any two items are of different ones."""
    items = load(engine, [("a", "soap", "Alba", "x", 1.0, 1.0), ("b", "comb", "Alba", "x", 1.0, 2.0)], "category")
    assert kind_of_rule(items.facts[:1], items.facts[1]) == "cross_category"


def test_without_roles_nothing_is_known(engine: Engine) -> None:
    """Lines of a shop that tells only what was bought give items without facts, and rules that attach."""
    engine.put(
        "_basket_lines", {"_customer_no": np.arange(2), "_day_no": np.zeros(2, int), "sku": np.array(["a", "b"])}
    )
    engine.put("_halves", {"_customer_no": np.arange(2), "half": np.zeros(2, int)})
    config: Any = SimpleNamespace(
        cycle=SimpleNamespace(observed_until=None),
        data=SimpleNamespace(products=None, transactions=SimpleNamespace(columns={"product": "sku"})),
    )
    items = load_items(engine, config, levels=("product",), min_customers=1)
    assert items.facts == (ItemFacts(None, None, None, None),) * 2
    assert kind_of_rule(items.facts[:1], items.facts[1]) == "attach"
