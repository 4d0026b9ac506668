"""Features: each says what it claims, from the lines of the label alone, and alike in DuckDB and SQLite."""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import duckdb
import numpy as np
import pytest
from shops import CONFIG, Line, day, engine_with, read_config, replayed

from segmentor.config import ExperimentConfig
from segmentor.cycles import TimeZero, build_cycles, common_table_expressions, day_number, window_queries
from segmentor.engine.duckdb import Engine, quote
from segmentor.errors import ConfigError
from segmentor.features import FEATURES, PURCHASES, SEVERAL, feature_names, feature_queries, find_feature, meaning_of
from segmentor.splits import declared_splits, make_label_sources, replay_queries

PRODUCTS = "  products: {path: products.csv, columns: {product: product_id, category: kind}}\n"
CUSTOMERS = "  customers: {path: customers.csv, columns: {customer: id}}\n"
SHOP = CONFIG + PRODUCTS + CUSTOMERS
KINDS = {
    "p0": "candles",
    "p1": "soap",
    "p2": 'it\'s "odd"',
    "p3": None,
    "p4": "soap",
}
DATE = day(120)


def shop(seed: int, customers: int = 40) -> tuple[list[Line], dict[str, Any]]:
    """Random lines with returns, unknown products and missing numbers, around a leap day."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for _ in range(10 * customers):
        customer = f"c{generator.integers(customers):03d}"
        at = day(int(generator.integers(40, 140)), int(generator.integers(24)))
        quantity = generator.choice([1, 2, 3, -1, None], p=[0.6, 0.1, 0.1, 0.1, 0.1])
        amount = generator.choice([5.25, 7.1, 0.01, None], p=[0.5, 0.2, 0.2, 0.1])
        sign = -1 if quantity is not None and quantity < 0 and amount is not None else 1
        lines.append(
            (
                customer,
                f"{customer}-{at:%j}",
                at,
                f"p{generator.integers(6)}",
                quantity,
                amount and float(sign * amount),
            )
        )
    customers_table = [(f"c{number:03d}", ["north", "south", None][number % 3]) for number in range(customers)]
    return lines, {
        "products": (("product_id", "kind"), list(KINDS.items())),
        "customers": (("id", "region"), customers_table),
    }


def features_of(
    engine: Engine, config: ExperimentConfig, zero: TimeZero, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Value of each feature by customer."""
    columns, _ = build_cycles(engine, config, progress=lambda _: None)
    if zero.until is not None:
        engine.execute("create table _customers as select * from customers")
    for name, select in (
        *window_queries(config, columns, zero, columns.customers),
        *feature_queries(config, columns, zero, names),
    ):
        engine.execute(f"create table {name} as {select}")
    kind = "until" if zero.until is not None else "first_purchases" if zero.purchases > 1 else "first_purchase"
    found = [find_feature(config, columns, name, kind=kind) for name in names]
    values = ", ".join(quote(one.column) for one in found if one is not None)
    rows = engine.rows(f"select _customer, {values} from _features_{zero.suffix}")
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


BY_HAND = [
    *("recency", "frequency", "tenure", "regularity", "money", "order_amount", "basket_size", "basket_products"),
    *("weekend_share", "returns_share", "category: soap", 'category: it\'s "odd"', "kind_entropy", "category_entropy"),
    *("weekday: Saturday", "weekday: Monday", "hour: night", "hour: evening"),
]


def by_hand(lines: list[Line], until: int) -> dict[str, float | None]:
    """The features of one customer's lines, computed from their definitions."""
    before = [line for line in lines if (line[2] - day(0, 0)).days < until]
    taken_back: Counter[tuple[str, str]] = Counter()
    for line in lines:
        taken_back[line[1], line[3]] += 1 if line[4] is None else int(line[4])
    returned = {(line[1], line[3]) for line in lines if (line[4] or 1) < 0}
    kept = [
        line
        for line in before
        if (line[4] or 1) > 0 and not ((line[1], line[3]) in returned and taken_back[line[1], line[3]] <= 0)
    ]
    days = sorted({(line[2] - day(0, 0)).days for line in kept})
    gaps = [later - earlier for earlier, later in pairwise(days)]
    kinds = [KINDS[line[3]] for line in kept if KINDS.get(line[3]) is not None]
    shares = [count / len(kinds) for count in Counter(kinds).values()]
    amounts = [line[5] for line in kept if line[5] is not None]
    visits = len(days)
    orders = {line[1]: line[2].hour for line in kept}
    weekdays = Counter((day(number).weekday()) for number in days)
    share = {kind: kinds.count(kind) / len(kinds) if kinds else None for kind in ("soap", 'it\'s "odd"')}
    entropy = -sum(part * math.log(part) for part in shares) if kinds else None
    return {
        "recency": until - days[-1],
        "frequency": visits,
        "tenure": until - days[0],
        "regularity": stdev(gaps) / mean(gaps) if len(gaps) > 1 else None,
        "money": sum(amounts) if amounts else None,
        "order_amount": sum(amounts) / visits if amounts else None,
        "basket_size": sum(1 if line[4] is None else line[4] for line in kept) / visits,
        "basket_products": len({(line[2].date(), line[3]) for line in kept}) / visits,
        "weekend_share": (weekdays[5] + weekdays[6]) / visits,
        "returns_share": sum((line[4] or 1) < 0 for line in before) / len(before),
        "category: soap": share["soap"],
        'category: it\'s "odd"': share['it\'s "odd"'],
        "kind_entropy": entropy,
        "category_entropy": entropy,
        "weekday: Saturday": weekdays[5] / visits,
        "weekday: Monday": weekdays[0] / visits,
        "hour: night": sum(hour < 6 for hour in orders.values()) / len(orders),
        "hour: evening": sum(hour >= 18 for hour in orders.values()) / len(orders),
    }


def one_time_an_order(lines: list[Line]) -> list[Line]:
    """The lines with the same time for all of an order."""
    first: dict[str, Any] = {}
    return [(*line[:2], first.setdefault(line[1], line[2]), *line[3:]) for line in lines]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_feature_is_what_its_definition_says(tmp_path: Path, seed: int) -> None:
    """Each feature of each customer agrees with plain Python over the raw lines before the date, missing values included."""
    lines, tables = shop(seed)
    lines = one_time_an_order(lines)
    config = read_config(tmp_path, SHOP)
    until = day_number(DATE.date())
    with engine_with(lines, tables) as engine:
        found = features_of(engine, config, TimeZero(until=until), BY_HAND)
    first = day_number(day(0).date())
    assert len(found) > 30
    for customer, features in found.items():
        expected = by_hand([line for line in lines if line[0] == customer], until - first)
        assert features == {
            name: value if value is None else pytest.approx(value, abs=2e-6) for name, value in expected.items()
        }


def test_a_feature_sees_nothing_after_its_time_zero(tmp_path: Path) -> None:
    """Lines on the date or later change no feature of anybody."""
    lines, tables = shop(4)
    config = read_config(tmp_path, SHOP)
    zero = TimeZero(until=day_number(DATE.date()))
    seen = []
    for some in (lines, [line for line in lines if line[2].date() < DATE.date()]):
        with engine_with(some, tables) as engine:
            seen.append(features_of(engine, config, zero, BY_HAND))
    assert seen[0] == seen[1]


def test_the_first_purchases_make_the_features_of_the_first_purchases(tmp_path: Path) -> None:
    """For two purchases there are two occasions, and the tenure is the days between them."""
    lines, tables = shop(5)
    config = read_config(tmp_path, SHOP)
    with engine_with(lines, tables) as engine:
        found = features_of(engine, config, TimeZero(purchases=2), ["frequency", "tenure", "category: soap"])
        second = dict(
            engine.rows(
                "select _customer, max(_start) - min(_start) from _occasions where _number <= 2 group by 1 having count(*) = 2"
            )
        )
    assert {customer: one["tenure"] for customer, one in found.items()} == second
    assert {one["frequency"] for one in found.values()} == {2}


def test_days_of_one_occasion_are_one_occasion(tmp_path: Path) -> None:
    """Where purchases within a week are one occasion, amounts are of the week and its products are counted once."""
    lines: list[Line] = [("a", f"o{at}", day(at), "p1", 1, 10) for at in (0, 3, 30)]
    config = read_config(tmp_path, CONFIG + "cycle: {merge_within_days: 7}\n")
    names = ["frequency", "order_amount", "basket_products", "recency"]
    with engine_with(lines, {"customers": (("id",), [("a",)])}) as engine:
        found = features_of(engine, config, TimeZero(until=day_number(day(40).date())), names)
    assert found["a"] == {"frequency": 2, "order_amount": 15.0, "basket_products": 1.0, "recency": 10}


@pytest.mark.parametrize(
    ("discounts", "share"),
    [(["0", "0.00", None, "1.5"], 0.25), (["no", "None", "SUMMER10", "yes"], 0.5), (["-2", "", " ", "0"], 0.25)],
)
def test_the_share_of_discounts_reads_numbers_and_words(
    tmp_path: Path, discounts: list[str | None], share: float
) -> None:
    """Zero, nothing and words for none are no discount."""
    lines: list[Line] = [("a", "o", day(0), f"p{number}", 1, 1) for number in range(4)]
    products = [(f"p{number}", discount) for number, discount in enumerate(discounts)]
    config = read_config(tmp_path, CONFIG + "  products: {path: p.csv, columns: {product: product_id}}\n")
    with engine_with(lines, {"products": (("product_id", "discount"), products)}) as engine:
        found = features_of(engine, config, TimeZero(), ["discount_share"])
    assert found["a"]["discount_share"] == share


SPLITS = {
    "share of a value": "{known: first_purchase, groups: {soap: '\"category: soap\" = 1', mixed in: '\"category: soap\" is not null', none: 'true'}}",
    "a hostile value": "{known: {until: 2024-04-30}, groups: {odd: '\"kind: it''s \"\"odd\"\"\" > 0.2', rest: 'true'}}",
    "entropy": "{known: {until: 2024-04-30}, groups: {one: 'kind_entropy = 0', some: 'kind_entropy < 0.7', many: 'kind_entropy >= 0.7'}}",
    "features and customers": "{known: {until: 2024-04-30}, groups: {a: \"frequency >= 6 and region = 'north'\", b: 'regularity > 0.8', c: {all: recency < 20}}}",
    "features and lines": "{known: {until: 2024-04-30}, groups: {a: weekend_share > 0.3, b: \"kind = 'soap'\"}}",
    "hours and days": "{known: {first_purchases: 2}, groups: {a: '\"hour: night\" + \"hour: morning\" > 0.4', b: '\"weekday: Friday\" > 0', c: 'true'}}",
    "returns": "{known: {until: 2024-04-30}, groups: {a: returns_share > 0.1, b: returns_share <= 0.1}}",
    "money": "{known: {until: 2024-04-30}, by: money, thresholds: auto}",
    "basket": "{known: {first_purchases: 2}, by: basket_size, thresholds: auto}",
    "products": "{known: {until: 2024-04-30}, by: basket_products, thresholds: auto}",
}


@pytest.mark.parametrize("merge", [1, 4])
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_a_split_of_features_replays_to_the_same_label_for_every_customer(
    tmp_path: Path, split: str, merge: int
) -> None:
    """Run, DuckDB and SQLite over the shop's raw tables agree on each customer."""
    lines, tables = shop(merge + 5)
    declared = split.replace("{known", "{name: s, known", 1)
    config = read_config(
        tmp_path, SHOP + f"cycle: {{merge_within_days: {merge}}}\nsplits: {{declared: [{declared}]}}\n"
    )
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        (found,) = declared_splits(config, columns)
        make_label_sources(engine, config, columns, (found,))
        if found.to_cut:
            found = found.cut_at(float(np.median([row[1] for row in engine.rows(found.labels) if row[1] is not None])))
        expected = dict(engine.rows(f"select customer, segment_group from ({found.labels})"))
        queries = [*replay_queries(config, columns, (found,)), ("_labelled", found.labels)]
    sql = f"{common_table_expressions(queries)}\nselect customer, segment_group from _labelled"
    assert len({name for name in expected.values() if name is not None}) >= 2
    assert dict(replayed(duckdb, sql, lines, tables)) == expected
    assert dict(replayed(sqlite3, sql, lines, tables)) == expected


MONTH_ENDS = [day(number, hour) for number in (-1, 30, 58, 59, 60, 90, 120, 365) for hour in (0, 23)]
"""First and last hour of last days of months and of two years, of 28 and 29 February 2024, and of 1 March."""

INSTANCES = {
    "weekday: <value>": "weekday: Wednesday",
    "hour: <value>": "hour: night",
    "<column>: <value>": 'category: it\'s "odd"',
    "<column>_entropy": "kind_entropy",
}
"""A feature for each name that has a column or a value in it."""


@pytest.mark.parametrize(
    "known",
    ["first_purchase", "{first_purchases: 2}", "{until: 2024-02-29}", "{until: 2024-03-01}", "{until: 2024-05-01}"],
)
def test_every_feature_replays_to_the_same_number_for_every_customer(tmp_path: Path, known: str) -> None:
    """Run, DuckDB and SQLite agree to the last bit on NULLs, the ends of months and the leap day, as lines and as the date."""
    generator = np.random.default_rng(7)
    lines, tables = shop(7)
    moments = [MONTH_ENDS[at] for at in generator.integers(len(MONTH_ENDS), size=len(lines))]
    lines = [(*line[:2], moment, *line[3:]) for line, moment in zip(lines, moments, strict=True)]
    discounts = ["0", "1.5", None, "no", "SUMMER"]
    products = [(key, kind, discount) for (key, kind), discount in zip(KINDS.items(), discounts, strict=True)]
    tables["products"] = (("product_id", "kind", "discount"), products)
    probe = f"{{name: probe, known: {known}, groups: {{a: 'true', b: 'false'}}}}"
    config = read_config(tmp_path, SHOP + f"splits: {{declared: [{probe}]}}\n")
    kind = config.splits.declared[0].known.kind
    named = {INSTANCES.get(feature.name, feature.name): feature for feature in FEATURES if kind in feature.known}
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        queries = list(feature_queries(config, columns, splits[0].time_zero, list(named)))
        found = [find_feature(config, columns, name, kind=kind) for name in named]
        values = ", ".join(quote(one.column) for one in found if one is not None)
        select = f"select _customer, {values} from {queries[-1][0]}"
        expected = sorted(engine.rows(f"{common_table_expressions(queries)}\n{select}"))
        sql = f"{common_table_expressions([*replay_queries(config, columns, splits), *queries])}\n{select}"
    assert len(expected) > 20
    _, *numbers = zip(*expected, strict=True)
    constant = {name for name, column in zip(named, numbers, strict=True) if len(set(column)) < 2}
    assert constant == ({"frequency", "regularity"} if kind == "first_purchases" else set())
    assert sorted(replayed(duckdb, sql, lines, tables)) == expected
    assert sorted(replayed(sqlite3, sql, lines, tables)) == expected


def test_a_column_wins_over_a_feature_of_its_name(tmp_path: Path) -> None:
    """Where the shop has a column ``money``, that is what a condition reads."""
    lines: list[Line] = [("a", "o", day(0), "p1", 1, 100), ("b", "o2", day(0), "p2", 1, 100)]
    text = CONFIG + "  products: {path: p.csv, columns: {product: product_id}}\n"
    split = "{name: s, known: first_purchase, groups: {low: \"money = '1'\", high: \"money = '2'\"}}"
    config = read_config(tmp_path, f"{text}splits: {{declared: [{split}]}}\n")
    with engine_with(lines, {"products": (("product_id", "money"), [("p1", "1"), ("p2", "2")])}) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        (found,) = declared_splits(config, columns)
        make_label_sources(engine, config, columns, (found,))
        assert dict(row[:2] for row in engine.rows(found.labels)) == {"a": "low", "b": "high"}
    assert not found.features


WRONG = {
    "a feature of the date at the first purchase": (
        "{known: first_purchase, by: recency, thresholds: auto}",
        r"by: there is no column 'recency'; there are ",
    ),
    "a feature at entry": ("{known: entry, by: basket_size, thresholds: auto}", "there is no column 'basket_size'"),
    "a misspelt feature": (
        "{known: first_purchase, by: discont_share, thresholds: auto}",
        r"there is no column 'discont_share'; .*; did you mean discount_share\?",
    ),
    "a misspelt column": (
        "{known: first_purchase, groups: {a: \"knid = 'x'\", b: 'true'}}",
        r"groups\.a: there is no column 'knid'; .*; did you mean kind\?",
    ),
    "a feature beside a column of lines": (
        "{known: first_purchase, groups: {a: \"basket_size > 1 and kind = 'x'\", b: 'true'}}",
        "'basket_size' is a feature of customers; a condition that names one may name features, not 'kind'",
    ),
    "values of a feature": (
        "{known: first_purchase, by: basket_size}",
        "by: 'basket_size' is a number; write thresholds: auto",
    ),
}


@pytest.mark.parametrize(("split", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_name_is_told_with_what_may_have_been_meant(tmp_path: Path, split: str, message: str) -> None:
    """Names that stand for nothing, or not for what they are used as, are errors of the config with the nearest name."""
    lines, tables = shop(1, customers=5)
    products = (("product_id", "kind", "discount"), [(key, kind, "0") for key, kind in KINDS.items()])
    config = read_config(tmp_path, SHOP + f"splits: {{declared: [{split.replace('{known', '{name: s, known', 1)}]}}\n")
    with engine_with(lines, {**tables, "products": products}) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        with pytest.raises(ConfigError, match=message):
            declared_splits(config, columns)


def test_names_that_differ_in_case_alone_are_different_features(tmp_path: Path) -> None:
    """A database does not tell ``A`` from ``a`` in the names of columns; the values of a shop differ in just that."""
    lines: list[Line] = [("a", "o", day(0), "p1", 1, 1), ("b", "o2", day(0), "p2", 1, 1)]
    text = CONFIG + "  products: {path: p.csv, columns: {product: product_id}}\n"
    split = "{name: s, known: first_purchase, groups: {small: '\"kind: a\" = 1', large: '\"kind: A\" = 1'}}"
    config = read_config(tmp_path, f"{text}splits: {{declared: [{split}]}}\n")
    with engine_with(lines, {"products": (("product_id", "kind"), [("p1", "a"), ("p2", "A")])}) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        (found,) = declared_splits(config, columns)
        make_label_sources(engine, config, columns, (found,))
        assert dict(row[:2] for row in engine.rows(found.labels)) == {"a": "small", "b": "large"}


def test_every_feature_has_a_meaning_and_a_family(tmp_path: Path) -> None:
    """What a name means is known for each, also for those with a column and a value in it."""
    config = read_config(tmp_path, SHOP)
    lines, tables = shop(1, customers=5)
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
    fixed = {feature.name: feature for feature in FEATURES if "<" not in feature.name}
    assert set(feature_names(config, columns, "until")) == fixed.keys() - {"discount_share"}
    assert set(feature_names(config, columns, "entry")) == set()
    assert all(meaning_of(name) == feature.meaning for name, feature in fixed.items())
    assert meaning_of("category: soap") == "share of lines whose category is soap, of those of which it is known"
    assert meaning_of("weekday: Friday") == "share of occasions on a Friday"
    found = find_feature(config, columns, "category: soap", kind="first_purchase")
    assert found is not None
    assert (found.feature.family, found.feature.timing) == ("category", False)
    money = find_feature(config, columns, "money", kind="until")
    assert money is not None
    assert money.feature.timing


def test_the_readme_lists_the_features_as_they_are() -> None:
    """The table of the documentation is that of the package: names, meanings, units, when they are known, and no row more."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    several, until = "several purchases, until a date", "until a date"
    known = {("until",): until, SEVERAL: several, PURCHASES: f"any purchases, {until}"}
    assert [line for line in readme.splitlines() if re.match(r"\| `[^`]+` \| .* \| (?:.*purchases|until)", line)] == [
        f"| `{one.name}` | {one.meaning} | {one.unit} | {known[one.known]} |" for one in FEATURES
    ]
