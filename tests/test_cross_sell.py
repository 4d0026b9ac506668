"""Cross-sell rules: planted ones are found, feigned ones are not, and every number is a recount's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from baskets import ITEMS, fill, held_items, items_of, put, rules_of

from segmentor.cross_sell import attach
from segmentor.cross_sell import items as items_of_shop
from segmentor.engine.duckdb import Engine, open_engine
from segmentor.errors import ConfigError


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine without tables."""
    with open_engine(scratch=tmp_path, inputs=[], threads=1) as engine:
        yield engine


def test_planted_pairs_are_found_and_no_others(engine: Engine) -> None:
    """Two planted pairs are the valid rules, the rarer item first, with lifts as planted; what heavy buyers do is no rule."""
    planted = {(0, 3): 2.0, (1, 6): 1.6}
    fill(engine, *held_items(np.random.default_rng(1), 3000, planted=planted))
    valid = [rule for rule in rules_of(engine) if rule.valid]
    assert {(rule.antecedent, rule.consequent) for rule in valid} == {
        ((ITEMS[first],), ITEMS[second]) for first, second in planted
    }
    for rule in valid:
        # P(y | x) / P(y) for the factor k is k / (1 + (k - 1) P(x)); among buyers of x, P(x) is about 0.15.
        factor = planted[tuple(int(np.flatnonzero(item == ITEMS)[0]) for item in (*rule.antecedent, rule.consequent))]
        assert rule.lift.estimate == pytest.approx(factor / (1 + 0.15 * (factor - 1)), rel=0.08)
        assert 1.0 < rule.lift.ci_low < rule.lift.estimate < rule.lift.ci_high


def test_shops_without_rules_show_none(engine: Engine) -> None:
    """Of 100 shops of independent items with heavy buyers and a winter, at most 8 show a valid rule."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(100):
        fill(engine, *held_items(rng, 500, planted={}))
        false += any(rule.valid for rule in rules_of(engine))
    assert false <= 8


def test_lift_over_all_occasions_alike_makes_rules_of_heavy_buyers(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the same independent items every pair is a false rule when customers, months and appetite are not looked at."""

    def plain_counts(customer: np.ndarray, **sides: Any) -> tuple[np.ndarray, np.ndarray]:
        occasions = np.bincount(customer)
        both = np.bincount(customer[sides["both"]], minlength=occasions.size)
        share = sides["antecedent"].size * sides["consequent"].size / customer.size**2
        return both.astype(float), share * occasions

    monkeypatch.setattr(attach, "_screen_pairs", lambda _, pairs: [0.0] * len(pairs))
    monkeypatch.setattr(attach, "counts_by_habit", plain_counts)
    fill(engine, *held_items(np.random.default_rng(2), 3000, planted={}))
    assert sum(rule.valid for rule in rules_of(engine)) == 45


def test_big_trips_make_no_rules(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent items of trips that differ in size tenfold give no rule in fifty; with trips taken alike most pairs are rules."""
    rng = np.random.default_rng(13)
    customer, day = np.repeat(np.arange(400), 20), 19_723 + np.tile(np.arange(20) * 7, 400)
    size = rng.lognormal(sigma=0.8, size=customer.size)
    occasion, item = np.nonzero(rng.random((customer.size, 40)) < np.minimum(0.2 * size, 0.8)[:, None])
    put(engine, {"_customer_no": customer[occasion], "_day_no": day[occasion], "sort": np.char.mod("item %02d", item)})
    pairs = 40 * 39 / 2
    assert sum(rule.valid for rule in rules_of(engine)) < 0.02 * pairs
    monkeypatch.setattr(items_of_shop, "CLASSES_A_DOUBLING", 0)
    assert sum(rule.valid for rule in rules_of(engine)) > 0.5 * pairs


def test_numbers_of_a_rule_are_those_of_a_recount(engine: Engine) -> None:
    """Support and confidence count confirmation occasions, with those that hold no item; customers are of both halves."""
    customer, day, held = held_items(np.random.default_rng(3), 1500, planted={(0, 3): 3.0})
    day = 19_723 + np.arange(customer.size) % 360  # a day an occasion, so that none merge
    put_all = {"_customer_no": np.repeat(customer, 11), "_day_no": np.repeat(day, 11)}
    put(engine, put_all | {"sort": np.where(held, ITEMS, None).ravel()})
    rule = rules_of(engine)[0]
    confirmed = customer % 2 == 1
    antecedent, both = held[:, 0], held[:, 0] & held[:, 3]
    assert items_of(rule) == ("item A", "item D")
    assert rule.support == both[confirmed].mean()
    assert rule.confidence == both[confirmed].sum() / antecedent[confirmed].sum()
    assert rule.customers == np.unique(customer[both]).size
    share = held[confirmed, 3].mean()
    assert rule.leverage == pytest.approx(rule.support - antecedent[confirmed].mean() * share)
    assert rule.conviction == pytest.approx((1 - share) / (1 - rule.confidence))


def test_a_longer_rule_that_adds_to_its_parts_is_valid(engine: Engine) -> None:
    """Where two items together call for a third more than either alone, the rule of three is valid."""
    customer, day, held = held_items(np.random.default_rng(4), 3000, planted={(0, 9): 1.5, (1, 9): 1.5, (0, 1): 2.0})
    together = held[:, 0] & held[:, 1]
    held[together, 9] |= np.random.default_rng(5).random(together.sum()) < 0.5
    fill(engine, customer, day, held)
    longer = {(rule.antecedent, rule.consequent) for rule in rules_of(engine, max_items=3) if rule.valid}
    assert (("item A", "item B"), "item J") in longer


def test_a_longer_rule_that_adds_nothing_is_not_valid(engine: Engine) -> None:
    """Where B and C both follow from A and nothing else, the three pairs are rules and no set of three is."""
    customer, day, held = held_items(np.random.default_rng(6), 3000, planted={(0, 1): 3.0, (0, 2): 3.0})
    fill(engine, customer, day, held)
    valid = {items_of(rule) for rule in rules_of(engine, max_items=3) if rule.valid}
    assert {("item A", "item B"), ("item A", "item C")} <= valid
    assert all(len(items) == 2 for items in valid)


def test_order_of_rows_means_nothing(engine: Engine) -> None:
    """Shuffled and repeated lines give the same rules to the last bit."""
    customer, day, held = held_items(np.random.default_rng(7), 1000, planted={(0, 3): 3.0, (1, 6): 2.5})
    fill(engine, customer, day, held)
    rules = rules_of(engine)
    occasion, item = np.nonzero(held)
    order = np.random.default_rng(8).permutation(np.concatenate([np.arange(occasion.size), np.arange(500)]))
    line, item = occasion[order], item[order]
    put(engine, {"_customer_no": customer[line], "_day_no": day[line], "sort": ITEMS[item]})
    assert rules
    assert rules_of(engine) == rules


def test_category_stands_for_its_column(engine: Engine) -> None:
    """The level may be a role of the products' columns."""
    fill(engine, *held_items(np.random.default_rng(9), 1000, planted={(0, 3): 3.0}))
    assert rules_of(engine, level=("category",)) == rules_of(engine, level=("sort",))


def test_items_of_several_levels_never_describe_one_line(engine: Engine) -> None:
    """With two levels items carry the level's name, and a product's sort and its maker make no rule together."""
    customer, day, held = held_items(np.random.default_rng(10), 1000, planted={(0, 3): 3.0})
    occasion, item = np.nonzero(held)
    maker = np.array([f"maker {number // 2}" for number in range(11)])
    put(
        engine,
        {"_customer_no": customer[occasion], "_day_no": day[occasion], "sort": ITEMS[item], "maker": maker[item]},
    )
    rules = {items_of(rule) for rule in rules_of(engine, level=("sort", "maker")) if rule.valid}
    assert ("sort=item A", "sort=item D") in rules
    assert ("maker=maker 1", "sort=item A") in rules
    own = {(f"maker={maker[number]}", f"sort={ITEMS[number]}") for number in range(11)}
    assert not own & rules


def test_each_rule_has_its_kind(engine: Engine) -> None:
    """Of four planted pairs one crosses categories, one goes up a tier, one to another brand of the tier, and one attaches."""
    planted = {(0, 3): 3.0, (1, 6): 3.0, (2, 5): 3.0, (4, 7): 3.0}
    customer, day, held = held_items(np.random.default_rng(14), 1500, planted=planted)
    occasion, item = np.nonzero(held)
    shelf = np.array(["rice", "oil", "tea", "wine", "jam", "tea", "oil", "jam", *["bags"] * 3])
    maker = np.array(["Alba", "Alba", "Alba", "Alba", "Alba", "Bora", "Bora", "Alba", *["Cima"] * 3])
    price = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    columns = {"sort": ITEMS, "shelf": shelf, "maker": maker, "money": price, "grade": np.where(price > 1, "a", "b")}
    lines = {name: column[item] for name, column in columns.items()}
    put(engine, {"_customer_no": customer[occasion], "_day_no": day[occasion], **lines})
    roles = {"product": "sku", "category": "shelf", "brand": "maker", "price_tier": "grade"}
    kinds = {items_of(rule): rule.kind for rule in rules_of(engine, roles=roles) if rule.valid}
    assert kinds == {
        ("item A", "item D"): "cross_category",
        ("item B", "item G"): "upsell",
        ("item C", "item F"): "lateral",
        ("item E", "item H"): "attach",
    }


def test_an_unknown_level_is_an_error_that_names_the_columns(engine: Engine) -> None:
    """The message says which level was not found and what there is."""
    fill(engine, *held_items(np.random.default_rng(11), 50, planted={}))
    with pytest.raises(ConfigError, match=r"cross_sell\.level: there is no column 'shelf'; there are .*sort"):
        rules_of(engine, level=("shelf",))


@pytest.mark.parametrize(
    ("customer", "sort"),
    [
        pytest.param([], [], id="no lines"),
        pytest.param([0, 1, 2, 3], [None] * 4, id="no items"),
        pytest.param([0, 0, 1, 1], ["tea"] * 4, id="one item"),
        pytest.param([0, 0, 2, 2], ["tea", "milk"] * 2, id="nobody in confirmation"),
        pytest.param([1, 1, 3, 3], ["tea", "milk"] * 2, id="nobody in discovery"),
        pytest.param([0, 1, 2, 3], ["tea", "milk", "milk", "tea"], id="nothing together"),
        pytest.param([0, 0, 1, 1], ["tea", "milk"] * 2, id="everything together"),
    ],
)
def test_data_without_rules_give_none(engine: Engine, customer: list[int], sort: list[str]) -> None:
    """Where nothing can be learned there is no rule and no error."""
    put(
        engine,
        {
            "_customer_no": np.array(customer, dtype=np.int64),
            "_day_no": np.full(len(customer), 19_723),
            "sort": np.array(sort, dtype=object),
        },
    )
    assert rules_of(engine, min_customers=1) == ()
