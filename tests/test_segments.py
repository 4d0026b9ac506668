"""Segments: the SQL that replays them gives every customer the label that the run gave, in DuckDB and in SQLite."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import duckdb
import numpy as np
import pytest
from shops import CONFIG, Line, day, engine_with, read_config

from segmentor.cycles import Columns, TimeZero, build_cycles
from segmentor.engine.duckdb import Engine
from segmentor.result import NOT_YET_KNOWN, GroupEffect, ScoreTest, SplitTest, Trial
from segmentor.segments import _slug, find_segments, segments_json, segments_sql
from segmentor.splits import Split, declared_splits, make_label_sources

PRODUCTS = '  products: {path: products.csv, columns: {product: product_id, category: kind}, derive: {ounces: "cast(size as double)"}}\n'
CUSTOMERS = "  customers: {path: customers.csv, columns: {customer: id}}\n"

SPLITS = {
    "first purchase, any": "{name: s, known: first_purchase, groups: {small: ounces <= 24, large: ounces > 24}}",
    "first purchase, all": "{name: s, known: first_purchase, groups: {large: {all: ounces > 24}, other: ounces <= 24 or size is null}}",
    "first two purchases": "{name: s, known: {first_purchases: 2}, groups: {red: \"colour = 'red'\", none: {all: colour is null}}}",
    "by a column": "{name: s, known: first_purchase, by: colour}",
    "entry": "{name: s, known: entry, groups: {north: \"region = 'north'\", unknown: region is null}}",
    "entry, by": "{name: s, known: entry, by: region}",
    "until a date": "{name: s, known: {until: 2024-03-04}, groups: {only red: {all: \"colour = 'red'\"}, north: \"region = 'north'\", rest: 'true'}}",
    "cut": "{name: s, known: first_purchase, by: ounces, thresholds: auto}",
    "cut amounts": "{name: s, known: {first_purchases: 2}, by: order_amount, thresholds: auto}",
}


def shop(seed: int) -> tuple[list[Line], dict[str, tuple[tuple[str, ...], list[tuple[str | None, ...]]]]]:
    """Random lines with returns, samples, unknown products and missing numbers; days around a leap day and a year's end."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for _ in range(400):
        customer = f"00{generator.integers(60)}"
        at = day(
            int(generator.integers(50, 70)) if generator.random() < 0.5 else int(generator.integers(360, 372)),
            int(generator.integers(24)),
        )
        quantity = generator.choice([1, 2, -1, 0, None], p=[0.6, 0.1, 0.15, 0.05, 0.1])
        amount = generator.choice([5.25, 0, -5.25, None], p=[0.7, 0.1, 0.1, 0.1])
        lines.append(
            (customer, f"{customer}-{generator.integers(4)}", at, f"p{generator.integers(7)}", quantity, amount)
        )
    lines.append(("only a return", "x", day(61), "p1", -1, -5))
    products = [
        ("p0", "a", "8", "red"),
        ("p1", "a", "24", "blue"),
        ("p2", "b", "32", None),
        ("p3", "b", None, "red"),
        ("p4", "c", "25", "it's"),
    ]
    customers = [(f"00{number}", ["north", "south", None][number % 3]) for number in range(50)]
    return lines, {
        "products": (("product_id", "kind", "size", "colour"), products),
        "customers": (("id", "region"), customers),
    }


def as_found(split: Split, *, merged: bool) -> Split:
    """The split as a run may have found it: cut at a value that the data have, or with two groups as one."""
    if split.to_cut:
        return split.cut_at(24.0 if split.by == "ounces" else 5.25)
    return split.merged([["red", "mixed"], ["blue"]]) if merged else split


def labelled(engine: Engine, split: Split) -> dict[str, str]:
    """Segment of every customer as the run sees it."""
    rows = engine.rows(
        f"select e.customer, coalesce(l.segment_group, '{NOT_YET_KNOWN}') from everyone e left join ({split.labels}) l using (customer)"
    )
    return dict(rows)


def replayed_in_duckdb(sql: str, lines: list[Line], tables: dict) -> dict[str, str]:
    """The statement over typed raw tables."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table transactions (customer_id varchar, order_id varchar, ordered_at timestamp, product_id varchar, quantity double, amount double)"
        )
        connection.executemany("insert into transactions values (?, ?, ?, ?, ?, ?)", lines)
        for name, (columns, rows) in tables.items():
            connection.execute(f"create table {name} (" + ", ".join(f"{column} varchar" for column in columns) + ")")
            connection.executemany(f"insert into {name} values ({', '.join('?' * len(columns))})", rows)
        return dict(connection.execute(sql).fetchall())


def replayed_in_sqlite(sql: str, lines: list[Line], tables: dict) -> dict[str, str]:
    """The statement over tables of text and numbers, times as ISO text."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(
            "create table transactions (customer_id, order_id, ordered_at, product_id, quantity, amount)"
        )
        rows = [
            tuple(value.isoformat(sep=" ") if hasattr(value, "isoformat") else value for value in line)
            for line in lines
        ]
        connection.executemany("insert into transactions values (?, ?, ?, ?, ?, ?)", rows)
        for name, (columns, several) in tables.items():
            connection.execute(f"create table {name} ({', '.join(columns)})")
            connection.executemany(f"insert into {name} values ({', '.join('?' * len(columns))})", several)
        return dict(connection.execute(sql).fetchall())
    finally:
        connection.close()


@pytest.mark.parametrize("merge", [1, 5])
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_the_sql_replays_to_the_same_label_for_every_customer(tmp_path: Path, split: str, merge: int) -> None:
    """Run, DuckDB and SQLite agree on each customer, missing values, returns, leap day and year's end included."""
    lines, tables = shop(merge)
    text = (
        CONFIG
        + PRODUCTS
        + CUSTOMERS
        + f"cycle: {{merge_within_days: {merge}, purchase: \"kind <> 'c' or kind is null\"}}\nsplits: {{declared: [{split}]}}\n"
    )
    config = read_config(tmp_path, text)
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        (declared,) = declared_splits(config, columns)
        make_label_sources(engine, config, columns, (declared,))
        declared = as_found(declared, merged="by: colour" in split and merge == 5)
        expected = labelled(engine, declared)
        sql = segments_sql(config, columns, declared)
    assert set(expected) == {line[0] for line in lines}
    assert len(set(expected.values())) >= 3
    assert replayed_in_duckdb(sql, lines, tables) == expected
    assert replayed_in_sqlite(sql, lines, tables) == expected


def trial_of(name: str, verdict: str, p: float) -> Trial:
    """A trial as far as segments look at it."""
    group = GroupEffect("red", 5, 3)
    test = SplitTest((ScoreTest("typical_gap log-rank", 4.0, 1, p),), p, "type III")
    return Trial(
        "all", name, "declared", "first_purchase", (), (group,), 0, verdict, ("r",), "s", test=test, p_adjusted=2 * p
    )  # type: ignore[arg-type]


def split_of(name: str) -> Split:
    """A split whose label is red for customers a and b."""
    label = "max(case when _customer in ('a', 'b') then 'red' end)"
    return Split(name, "first_purchase", TimeZero(), (("red", "colour = 'red'"),), ("red",), label, "marked")


def test_the_strongest_separating_split_makes_the_segments(tmp_path: Path) -> None:
    """Of the separating splits the one with the smallest p is applied, and each customer falls in exactly one segment."""
    config = read_config(tmp_path, CONFIG)
    with engine_with([(name, name, day(0), "p", 1, 1) for name in "abc"]) as engine:
        build_cycles(engine, config, progress=lambda _: None)
        engine.execute("create view marked as select distinct _customer, 0 as _known_since from _occasions")
        splits = [split_of(name) for name in ("one", "two", "three")]
        trials = [
            trial_of("one", "separates", 0.01),
            trial_of("two", "separates", 0.001),
            trial_of("three", "equivalent", 0.0001),
        ]
        segments, chosen = find_segments(engine, splits, trials)
    assert chosen is splits[1]
    assert [(one.name, one.customers) for one in segments] == [("red", 2), (NOT_YET_KNOWN, 1)]
    assert segments[0].rule[0].condition == "colour = 'red'"


def test_nothing_separates_leaves_everybody_in_one_segment(tmp_path: Path) -> None:
    """No separating split is a full result: one leaf, and SQL that says so of each customer."""
    config = read_config(tmp_path, CONFIG)
    lines: list[Line] = [(name, name, day(0), "p", 1, 1) for name in "abc"]
    with engine_with(lines) as engine:
        columns: Columns = build_cycles(engine, config, progress=lambda _: None)[0]
        segments, chosen = find_segments(engine, [split_of("one")], [trial_of("one", "inconclusive", 0.2)])
        sql = segments_sql(config, columns, None)
    assert chosen is None
    assert [(one.name, one.customers) for one in segments] == [("all", 3)]
    assert replayed_in_duckdb(sql, lines, {}) == dict.fromkeys("abc", "all")
    assert json.loads(segments_json(segments, config, None))["split"] is None


@pytest.mark.parametrize(("name", "plain"), [("full size", "full-size"), ("small", "small"), ("24 oz", "24-oz")])
def test_plain_names_are_their_own_ids(name: str, plain: str) -> None:
    """A simple name is its own id."""
    assert _slug(name) == plain


def test_other_names_have_ids_that_differ() -> None:
    """Names that lose characters keep apart by a hash, whatever they hold."""
    ids = {_slug(name) for name in ("香水", "香氛", "a/b", "a.b", "../x", "a b", "A B")}
    assert len(ids) == 7
    assert all(one.replace("-", "").replace("_", "").isalnum() and len(one) <= 80 for one in ids)


def test_the_sql_leaves_out_the_customers_that_a_run_leaves_out(tmp_path: Path) -> None:
    """A condition on rows of the customers' table, which intake applies, stands in the statement over the shop's own table."""
    lines, tables = shop(2)
    columns_of, rows = tables["customers"]
    customers = CUSTOMERS.replace("}}", "}, where: \"region <> 'south'\"}")
    text = CONFIG + PRODUCTS + customers + "splits: {declared: [{name: s, known: entry, by: region}]}\n"
    config = read_config(tmp_path, text)
    kept = {**tables, "customers": (columns_of, [row for row in rows if row[1] == "north"])}
    with engine_with(lines, kept) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        (declared,) = declared_splits(config, columns)
        make_label_sources(engine, config, columns, (declared,))
        expected = labelled(engine, declared)
        sql = segments_sql(config, columns, declared)
    assert set(expected.values()) == {"north", NOT_YET_KNOWN}
    assert replayed_in_duckdb(sql, lines, tables) == expected
    assert replayed_in_sqlite(sql, lines, tables) == expected
