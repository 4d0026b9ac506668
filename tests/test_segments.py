"""Segments: each customer is in one, and the SQL that replays them puts it there in DuckDB, in SQLite and in every dialect."""

from __future__ import annotations

import csv
import datetime
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from shops import CONFIG, Line, day, engine_with, read_config, replayed
from sqlglot import exp

from segmentor.assignment import assign_all
from segmentor.config import ExperimentConfig
from segmentor.cycles import Columns, build_cycles
from segmentor.engine.duckdb import Engine
from segmentor.result import NOT_YET_KNOWN, Curve, GroupEffect, Interval, Trial
from segmentor.segments import (
    Branch,
    Fork,
    below,
    find_segments,
    leaves_of,
    make_members,
    segments_json,
    segments_sql,
    translations,
)
from segmentor.segments.definitions import _slug
from segmentor.splits import Split, declared_splits, make_label_sources
from segmentor.wording import Message

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
        ("p2", "b", "32", "it's / so"),
        ("p3", "b", None, None),
        ("p4", "c", "25", "red"),
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


@dataclass(frozen=True)
class Opened:
    """A shop whose purchases and label sources are made, with splits in the order in which they were given."""

    engine: Engine
    config: ExperimentConfig
    columns: Columns
    splits: tuple[Split, ...]

    def fork(self, segment: str, split: Split) -> Fork:
        """The split below a segment, with the groups that the data have."""
        values = self.engine.rows(
            f"select distinct segment_group from ({split.labels}) where segment_group is not null"
        )
        return Fork(segment, split, split.groups or tuple(sorted(value for (value,) in values)))


@contextmanager
def opened(
    folder: Path, declared: Sequence[str], lines: list[Line], tables: dict, *, merge: int = 1, products: str = ""
) -> Iterator[Opened]:
    """The shop with declared splits in words of the config."""
    text = (
        f"{CONFIG}{products or PRODUCTS}{CUSTOMERS}"
        f"cycle: {{merge_within_days: {merge}, purchase: \"kind <> 'c' or kind is null\"}}\n"
        f"splits: {{declared: [{', '.join(declared)}]}}\n"
    )
    config = read_config(folder, text)
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        yield Opened(engine, config, columns, splits)


def expected_places(engine: Engine, forks: Sequence[Fork]) -> dict[str, tuple[str, str]]:
    """Segment of every customer and the day since when it is known, by going down the tree one customer at a time."""
    labels = {fork.segment: {row[0]: row[1:] for row in engine.rows(fork.split.labels)} for fork in forks}
    by_segment = {fork.segment: fork for fork in forks}
    (last_day,) = engine.rows("select max(_day) from _sold")[0]
    places = {}
    for (customer,) in engine.rows("select customer from everyone"):
        segment, known, dates = "all", [], [-1]
        while segment in by_segment:
            fork = by_segment[segment]
            group, since = labels[segment].get(customer, (None, 0))
            date = fork.split.time_zero.until
            known.append(since)
            dates.append(-1 if date is None else date)
            late = (max(dates) >= 0 and max(known) > max(dates)) or max(known) > last_day
            segment = NOT_YET_KNOWN if late or group not in fork.groups else below(segment, group)
        first = datetime.date(1970, 1, 1)
        day_known = "" if segment == NOT_YET_KNOWN else (first + datetime.timedelta(days=max(known))).isoformat()
        places[customer] = (segment, day_known)
    return places


def branch_of(fork: Fork, **effects: GroupEffect) -> Branch:
    """A node whose split holds, with as much evidence as segments look at."""
    groups = tuple(effects.get(name, GroupEffect(name, 5, 3)) for name in fork.groups)
    trial = Trial(
        fork.segment,
        fork.split.name,
        "declared",
        fork.split.known,
        fork.split.definition,
        groups,
        0,
        "separates",
        ("r",),
        Message("{split} holds.", {"split": fork.split.name}),
        horizon_days=90,
    )
    return Branch(fork.segment, fork.split, trial, fork.split.time_zero)


@pytest.mark.parametrize("merge", [1, 5])
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_the_sql_replays_to_the_same_label_for_every_customer(tmp_path: Path, split: str, merge: int) -> None:
    """Run, DuckDB and SQLite agree on each customer, missing values, returns, leap day and year's end included."""
    lines, tables = shop(merge)
    with opened(tmp_path, [split], lines, tables, merge=merge) as of:
        forks = [of.fork("all", as_found(of.splits[0], merged="by: colour" in split and merge == 5))]
        expected = {customer: segment for customer, (segment, _) in expected_places(of.engine, forks).items()}
        sql = segments_sql(of.config, of.columns, forks)
    assert set(expected) == {line[0] for line in lines}
    assert len(set(expected.values())) >= 3
    assert dict(replayed(duckdb, sql, lines, tables)) == expected
    assert dict(replayed(sqlite3, sql, lines, tables)) == expected


OUNCES = "{name: ounces, known: first_purchase, groups: {small: ounces <= 24, large: ounces > 24}}"
RED = "{name: red, known: {first_purchases: 2}, groups: {red: \"colour = 'red'\", rest: 'true'}}"
EARLY = "{name: early, known: {until: 2024-03-04}, groups: {only red: {all: \"colour = 'red'\"}, rest: 'true'}}"
LATE = "{name: late, known: {until: 2024-12-29}, groups: {north: \"region = 'north'\", rest: 'true'}}"
CUT = "{name: cut, known: {first_purchases: 2}, by: order_amount, thresholds: auto}"
HOSTILE = r"""{name: "o'clock --", known: first_purchase, groups: {"a/b": ounces <= 8, "it's; \\ \"x\"": ounces <= 24, a: ounces > 24}}"""

HABITS = (
    "{name: habits, known: {until: 2024-12-29}, groups: {often: 'frequency > 2 and recency < 9', irregular: regularity > 0.5, "
    "wide: colour_entropy > 0, monday: '\"weekday: Monday\" > 0.3', red: '\"colour: red\" > 0.2', rest: 'true'}}"
)

TREES = {
    "features below purchases": [("all", OUNCES), ("small", HABITS)],
    "values below groups": [
        ("all", OUNCES),
        ("small", "{name: colour, known: first_purchase, by: colour}"),
        ("large", "{name: region, known: entry, by: region}"),
    ],
    "known later and later": [("all", OUNCES), ("small", RED), ("small / rest", EARLY)],
    "purchases before a date": [("all", EARLY), ("rest", RED), ("rest / red", OUNCES)],
    "a cut below two dates": [("all", EARLY), ("rest", LATE), ("rest / rest", CUT)],
    "a later date below": [("all", RED), ("red", EARLY), ("rest", LATE), ("red / rest", LATE)],
    "hostile names": [("all", HOSTILE), ("a", "{name: colour, known: {first_purchases: 2}, by: colour}")],
}


def grown(of: Opened, tree: Sequence[tuple[str, str]], *, merged: bool) -> list[Fork]:
    """The tree's forks, as a run may have found them."""
    return [
        of.fork(segment, as_found(split, merged=merged and split.by == "colour"))
        for (segment, _), split in zip(tree, of.splits, strict=True)
    ]


def named(tree: Sequence[tuple[str, str]]) -> list[str]:
    """The tree's splits, each under a name of its own."""
    return [re.sub("name: (\\w+)", rf"name: \g<1> {number}", split, count=1) for number, (_, split) in enumerate(tree)]


@pytest.mark.parametrize("merge", [1, 5])
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_each_customer_is_in_one_leaf_of_the_tree_everywhere(
    tmp_path: Path, tree: list[tuple[str, str]], merge: int
) -> None:
    """Sizes, `assigned.csv`, DuckDB, SQLite and each dialect read back agree with a walk down the tree, customer by customer."""
    lines, tables = shop(10 + merge)
    with opened(tmp_path, named(tree), lines, tables, merge=merge) as of:
        forks = grown(of, tree, merged=merge == 5)
        branches = [branch_of(fork) for fork in forks]
        expected = expected_places(of.engine, forks)
        sql = segments_sql(of.config, of.columns, forks)
        segments = find_segments(of.engine, branches)
        rows = list(csv.reader(assign_all(of.engine, branches).splitlines()))
    places = {customer: segment for customer, (segment, _) in expected.items()}
    assert len(set(places.values())) >= 4
    assert {one.name: one.customers for one in segments} == {
        name: list(places.values()).count(name) for name in (*(leaf.name for leaf in leaves_of(forks)), NOT_YET_KNOWN)
    }
    assert {customer: (segment, since) for customer, segment, since in rows[1:]} == expected
    assert dict(replayed(duckdb, sql, lines, tables)) == places
    assert dict(replayed(sqlite3, sql, lines, tables)) == places
    for name, text in translations(sql).items():
        (back,) = sqlglot.transpile(text, read=name.split(".")[1], write="duckdb", comments=False)
        assert dict(replayed(duckdb, back, lines, tables)) == places, name


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_other_systems_get_sql_of_their_own(tmp_path: Path, tree: list[tuple[str, str]]) -> None:
    """Each file is one statement of its dialect, with the same texts and numbers, without words that only DuckDB has."""
    foreign = {
        "spark": r"::|//|\bTEXT\b|\bVARCHAR\b|\bEXCLUDE\b|\"",
        "postgres": r"::|//|\bTRY_CAST\b|\bDOUBLE\b(?! PRECISION)|\bEXCLUDE\b|`",
        "bigquery": r"::|//|\bTRY_CAST\b|\bTEXT\b|\bDOUBLE\b|\bVARCHAR\b|\bEXCLUDE\b|\bINTEGER\b",
        "snowflake": r"::|//|\bEXCLUDE\b|`",
    }
    lines, tables = shop(3)
    with opened(tmp_path, named(tree), lines, tables, merge=2) as of:
        sql = segments_sql(of.config, of.columns, grown(of, tree, merged=True))
    ours = sorted(one.this for one in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Literal))
    texts = translations(sql)
    assert set(texts) == {f"segments.{dialect}.sql" for dialect in foreign}
    for dialect, words in foreign.items():
        text = texts[f"segments.{dialect}.sql"]
        (parsed,) = sqlglot.parse(text, read=dialect)
        assert isinstance(parsed, exp.Select)
        assert sorted(one.this for one in parsed.find_all(exp.Literal)) == ours
        code = re.sub(r"'(?:[^'\\]|''|\\.)*'", "''", re.sub("^--.*$", "", text, flags=re.MULTILINE))
        assert not re.search(words, code.replace('"', "") if dialect in ("bigquery", "spark") else code)
    assert "WITH RECURSIVE" in texts["segments.spark.sql"].split("\n--")[-1]


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("try_cast(size as double)", {"postgres"}),
        ("try_cast(regexp_extract(size, '([0-9]+)', 1) as double)", {"postgres"}),
        ("cast(length(regexp_extract(size, '(a)(b)', 2)) as double)", {"spark", "postgres", "bigquery", "snowflake"}),
        ("case when regexp_matches(size, '^2') then 24 else 8 end", {"snowflake"}),
        ("greatest(cast(size as double), 2)", {"bigquery"}),
        ("round(cast(size as double), 1)", {"postgres"}),
        ("case when contains(size, '2') then 24 else 8 end", {"postgres", "bigquery"}),
        ("case when size like '2' || '%' then 24 else 8 end", {"spark", "postgres", "bigquery", "snowflake"}),
    ],
)
def test_what_a_system_cannot_say_is_said_instead_of_wrong_sql(
    tmp_path: Path, expression: str, refused: set[str]
) -> None:
    """A file holds a statement, or names the expression that has no equal in its system and holds none."""
    products = PRODUCTS.replace("cast(size as double)", expression)
    lines, tables = shop(3)
    tables["products"] = (tables["products"][0], [row for row in tables["products"][1] if row[2] is not None])
    with opened(tmp_path, [OUNCES], lines, tables, products=products) as of:
        sql = segments_sql(of.config, of.columns, [of.fork("all", of.splits[0])])
    expected = dict(replayed(duckdb, sql, lines, tables))
    for name, text in translations(sql).items():
        dialect = name.split(".")[1]
        parsed = sqlglot.parse(text, read=dialect)
        assert (parsed == [None]) == (dialect in refused), name
        if dialect in refused:
            assert all(line.startswith("-- ") for line in text.splitlines())
            assert re.search("size", text, re.IGNORECASE)
        else:
            (back,) = sqlglot.transpile(text, read=dialect, write="duckdb", comments=False)
            assert dict(replayed(duckdb, back, lines, tables)) == expected


IDLE = "try_cast(regexp_extract(size, '([0-9]+)', 1) as integer)"
READING = {
    "a condition": ("ounces <= 24", "true"),
    "a value's share": ('"ounces: 24.0" = 1', "true"),
    "a role": ("kind = 'b'", "true"),
    "the purchase": ("size = '24'", "ounces < 30"),
}


@pytest.mark.parametrize(("condition", "purchase"), READING.values(), ids=READING)
def test_derived_columns_that_nothing_reads_are_not_replayed(tmp_path: Path, condition: str, purchase: str) -> None:
    """The statement derives what the label or the purchase reads, by any name, and nothing that would keep a system from it."""
    lines, tables = shop(6)
    tables["products"] = (tables["products"][0], [row for row in tables["products"][1] if row[2] is not None])
    split = f"{{name: s, known: first_purchase, groups: {{yes: {condition!r}, no: 'true'}}}}".replace("\\'", "''")
    text = (
        f"{CONFIG}  products: {{path: products.csv, columns: {{product: product_id, category: kind}}, derive: "
        f'{{loads: "{IDLE}", ounces: "cast(size as double)", idle: "{IDLE}"}}}}\n'
        f"cycle: {{purchase: {purchase!r}}}\nsplits: {{declared: [{split}]}}\n"
    )
    config = read_config(tmp_path, text)
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        forks = [Fork("all", splits[0], ("yes", "no"))]
        expected = {customer: segment for customer, (segment, _) in expected_places(engine, forks).items()}
        sql = segments_sql(config, columns, forks)
    assert "idle" not in sql
    assert "TRY_CAST" not in sql.upper()
    assert dict(replayed(duckdb, sql, lines, tables)) == expected
    assert dict(replayed(sqlite3, sql, lines, tables)) == expected
    assert all("Segments cannot be told" not in text for text in translations(sql).values())


def test_a_leaf_has_the_estimates_of_its_own_splits_trial(tmp_path: Path) -> None:
    """Parent, rule, words and estimates of a leaf of the second level are those of its path and of the trial below the root."""
    lines, tables = shop(4)
    curve = Curve((0, 10, 20, 90), (0.0, 0.2, 0.5, 0.6), (0.0,) * 4, (0.0,) * 4, (9,) * 4)
    effect = GroupEffect(
        "red", 40, 60, share_back=Interval(0.6, 0.5, 0.7), mean_cycle_days=Interval(31.0, 28, 34), curve=curve
    )
    with opened(tmp_path, [OUNCES, RED], lines, tables) as of:
        forks = [of.fork("all", of.splits[0]), of.fork("small", of.splits[1])]
        branches = [branch_of(forks[0], small=GroupEffect("small", 1, 1, share_back=Interval(0.1, 0, 1)))]
        branches.append(branch_of(forks[1], red=effect))
        segments = find_segments(of.engine, branches)
        content = json.loads(segments_json(segments, of.config, branches))
    assert [(one.name, one.parent) for one in segments] == [
        ("small / red", "small"),
        ("small / rest", "small"),
        ("large", "all"),
        (NOT_YET_KNOWN, "all"),
    ]
    red, rest = segments[:2]
    assert (red.share_back, red.mean_cycle_days, red.horizon_days, red.contact_days) == (0.6, 31.0, 90, (10, 20))
    assert [(rule.split, rule.group, rule.known, rule.condition) for rule in red.rule] == [
        ("ounces", "small", "first_purchase", "ounces <= 24"),
        ("red", "red", "first_purchases: 2", "colour = 'red'"),
    ]
    assert str(red.words) == "first purchase: a line with ounces at most 24; first 2 purchases: a line with colour red"
    assert str(rest.words) == "first purchase: a line with ounces at most 24; first 2 purchases: not red"
    assert str(red.evidence) == "red holds."
    assert [(row["segment"], row["split"], row["groups"]) for row in content["splits"]] == [
        ("all", "ounces", ["small", "large"]),
        ("small", "red", ["red", "rest"]),
    ]
    assert content["splits"][1]["declared"]["known"] == {"first_purchases": 2}
    assert content["segments"][0]["words"] == str(red.words)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (SPLITS["first purchase, all"], "first purchase: all lines with ounces above 24"),
        (SPLITS["entry"], "at entry: region north"),
        (SPLITS["entry, by"], "at entry: region: north"),
        (SPLITS["until a date"], "before 2024-03-04: all lines with colour red"),
        (SPLITS["cut"], "first purchase: ounces at most 24"),
        (
            "{name: s, known: first_purchase, groups: {a: \"colour in ('red', 'blue', 'it''s')\", b: 'true'}}",
            "first purchase: a line with colour red, blue or it's",
        ),
        (
            "{name: s, known: first_purchase, groups: {a: \"ounces between 2 and 9 and (kind is not null or not colour <> 'red')\", b: 'true'}}",
            "first purchase: a line with ounces from 2 to 9 and (kind known or not colour other than red)",
        ),
        (
            "{name: s, known: first_purchase, groups: {a: \"lower(colour) like 'r%'\", b: 'true'}}",
            "first purchase: a line with LOWER(colour) LIKE 'r%'",
        ),
    ],
)
def test_words_say_the_condition(tmp_path: Path, split: str, words: str) -> None:
    """The words of the first group follow its condition, with its quantifier and when it is known."""
    lines, tables = shop(5)
    with opened(tmp_path, [split], lines, tables) as of:
        fork = of.fork("all", as_found(of.splits[0], merged=False))
        segments = find_segments(of.engine, [branch_of(fork)])
    assert str(segments[0].words) == words


def test_words_of_merged_groups_say_each(tmp_path: Path) -> None:
    """Groups taken together are said one after the other, and what a later group leaves out is named."""
    split = "{name: s, known: first_purchase, groups: {a: ounces <= 8, b: ounces <= 24, c: 'true'}}"
    lines, tables = shop(5)
    with opened(tmp_path, [split], lines, tables) as of:
        merged = of.splits[0].merged([["a", "c"], ["b"]])
        first, second, _ = find_segments(of.engine, [branch_of(of.fork("all", merged))])
    assert str(first.words) == "first purchase: a line with ounces at most 8 or neither a nor b"
    assert str(second.words) == "first purchase: a line with ounces at most 24, but not a"


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (
            ("'\"colour: red\" = 1'", "'\"colour: blue\" = 1'"),
            ("all lines with colour red", "all lines with colour blue"),
        ),
        (
            ("'\"colour: red\" > 0'", "'\"colour: blue\" > 0.25'"),
            ("some lines with colour red", "above 25 % of lines with colour blue, but not a"),
        ),
        (
            ("'\"weekday: Sunday\" >= 0.5 and frequency > 1'", "'true'"),
            ("at least 50 % of purchases with weekday Sunday and frequency above 1", "not a"),
        ),
    ],
)
def test_words_of_shares_speak_of_lines_and_bar_only_what_could_hold_too(
    tmp_path: Path, groups: tuple[str, str], words: tuple[str, str]
) -> None:
    """A share of the lines is said as so many lines; a group before it is barred unless nobody can be in both."""
    split = f"{{name: s, known: {{until: 2024-03-04}}, groups: {{a: {groups[0]}, b: {groups[1]}}}}}"
    lines, tables = shop(5)
    with opened(tmp_path, [split], lines, tables) as of:
        first, second, _ = find_segments(of.engine, [branch_of(of.fork("all", of.splits[0]))])
    assert (str(first.words), str(second.words)) == tuple(f"before 2024-03-04: {each}" for each in words)


def test_nothing_separates_leaves_everybody_in_one_segment(tmp_path: Path) -> None:
    """No split that holds is a full result: one leaf, and files that say so of each customer."""
    config = read_config(tmp_path, CONFIG)
    lines: list[Line] = [(name, name, day(0), "p", 1, 1) for name in "abc"]
    with engine_with(lines) as engine:
        columns: Columns = build_cycles(engine, config, progress=lambda _: None)[0]
        segments = find_segments(engine, [])
        sql = segments_sql(config, columns, [])
        assigned = assign_all(engine, [])
    assert [(one.name, one.customers, str(one.words)) for one in segments] == [("all", 3, "every customer")]
    assert dict(replayed(duckdb, sql, lines, {})) == dict.fromkeys("abc", "all")
    assert dict(replayed(sqlite3, sql, lines, {})) == dict.fromkeys("abc", "all")
    assert assigned == "customer,segment,known_since\na,all,\nb,all,\nc,all,\n"
    assert json.loads(segments_json(segments, config, []))["splits"] == []


def test_splits_that_make_no_tree_are_refused(tmp_path: Path) -> None:
    """A split below a segment that there is not, or that is divided twice, is an error and not an empty leaf."""
    lines, tables = shop(5)
    with opened(tmp_path, [OUNCES, RED], lines, tables) as of:
        root, other = of.fork("all", of.splits[0]), of.fork("medium", of.splits[1])
    with pytest.raises(ValueError, match="'medium'"):
        leaves_of([root, other])
    with pytest.raises(ValueError, match="same segment"):
        leaves_of([root, root])


@given(st.lists(st.lists(st.text("/ ab", min_size=1, max_size=5), min_size=1, max_size=3), min_size=2, max_size=2))
def test_two_paths_of_groups_never_share_a_name(paths: list[list[str]]) -> None:
    """Whatever strokes and spaces the names of groups hold, different ways down the tree end in differently named segments."""
    names = []
    for path in paths:
        segment = "all"
        for group in path:
            segment = below(segment, group)
        names.append(segment)
    assert (names[0] == names[1]) == (paths[0] == paths[1])


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
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        forks = [Fork("all", splits[0], ("north",))]
        expected = {customer: segment for customer, (segment, _) in expected_places(engine, forks).items()}
        sql = segments_sql(config, columns, forks)
    assert set(expected.values()) == {"north", NOT_YET_KNOWN}
    assert dict(replayed(duckdb, sql, lines, tables)) == expected
    assert dict(replayed(sqlite3, sql, lines, tables)) == expected


@pytest.mark.parametrize("name", SPLITS)
def test_members_count_from_the_day_after_their_label(name: str, tmp_path: Path) -> None:
    """Each customer in a leaf counts from the first day that the label was not made of, and from ever where that is known at entry."""
    lines, tables = shop(3)
    with opened(tmp_path, [SPLITS[name]], lines, tables, merge=2) as made:
        forks = [made.fork("all", as_found(made.splits[0], merged=False))]
        leaves = make_members(made.engine, made.config, forks)
        rows = made.engine.rows(
            "select customer, segment_no, _first_day from _segment_members join everyone on customer_no = _customer_no"
        )
        members = {customer: (leaves[number], first) for customer, number, first in rows}
        expected = {}
        for customer, (segment, since) in expected_places(made.engine, forks).items():
            if segment != NOT_YET_KNOWN:
                known = (datetime.date.fromisoformat(since) - datetime.date(1970, 1, 1)).days
                expected[customer] = (segment, known + (0 if name == "until a date" else 2))
    assert leaves == tuple(leaf.name for leaf in leaves_of(forks))
    if name.startswith("entry"):
        assert {customer: segment for customer, (segment, _) in members.items()} == {
            customer: segment for customer, (segment, _) in expected.items()
        }
        assert all(first < 0 for _, first in members.values())
    else:
        assert members == expected
    assert members


def test_members_of_two_splits_count_from_the_later_label(tmp_path: Path) -> None:
    """Below a split that is known at entry, one of the first purchase decides from when on a customer counts."""
    lines, tables = shop(4)
    declared = [SPLITS["entry, by"], SPLITS["first purchase, any"].replace("name: s", "name: t")]
    with opened(tmp_path, declared, lines, tables) as made:
        forks = [made.fork("all", made.splits[0]), made.fork("north", made.splits[1])]
        leaves = make_members(made.engine, made.config, forks)
        rows = made.engine.rows("select distinct segment_no, _first_day < 0 from _segment_members order by 1")
    assert {leaves[number]: ever for number, ever in rows} == {
        "north / small": False,
        "north / large": False,
        "south": True,
    }


def test_without_a_tree_nobody_is_a_member(tmp_path: Path) -> None:
    """Where there is one segment, there are no leaves to look at."""
    lines, tables = shop(5)
    with opened(tmp_path, [SPLITS["entry"]], lines, tables) as made:
        assert make_members(made.engine, made.config, []) == ()
