"""Assignment: customers of any day by the definitions of a run, with why some are not known and whether sizes moved."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from shop_files import loaded

from segmentor.assignment import assign, assign_all
from segmentor.cli import main
from segmentor.config import ExperimentConfig, load_config
from segmentor.cycles import build_cycles
from segmentor.result import GroupEffect, Trial
from segmentor.segments import Branch, find_segments, segments_json
from segmentor.splits import declared_splits, make_label_sources
from segmentor.wording import Message

CONFIG = """
experiment: shop
data:
  timezone: Asia/Shanghai
  transactions:
    path: t.csv
    columns: {customer: customer, time: at, amount: amount}
splits:
  declared:
    - {name: size, known: first_purchase, groups: {small: "pack = 'small'", large: "pack = 'large'"}}
    - {name: second, known: {first_purchases: 2}, groups: {web: "channel = 'web'", elsewhere: 'true'}}
    - {name: june, known: {until: 2024-06-01}, groups: {"web, early": {all: "channel = 'web'"}, rest: 'true'}}
"""

LINES = (
    # The evening of the 28th in London is the leap day in Shanghai.
    ("twice", "2024-02-28T20:00:00Z", "small", "store", 5),
    ("twice", "2024-03-31T10:00:00Z", "small", "web", 5),
    ("once", "2024-03-01T00:00:00Z", "small", "web", 5),
    ("other pack", "2024-03-01T00:00:00Z", "medium", "web", 5),
    ("no pack", "2024-03-01T00:00:00Z", "", "web", 5),
    ("returns", "2024-03-01T00:00:00Z", "small", "web", -5),
    ("early", "2024-02-10T00:00:00+08:00", "large", "web", 5),
    ("both", "2024-02-10T00:00:00Z", "large", "web", 5),
    ("both", "2024-05-31T15:59:00Z", "large", "store", 5),
    ("late", "2024-06-30T00:00:00Z", "large", "store", 5),
    ('"a", =b', "2024-04-01T00:00:00Z", "large", "web", 5),
)


def write_lines(folder: Path, lines: Sequence[tuple[object, ...]] = LINES) -> Path:
    """The shop's files in a folder."""
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("customer", "at", "pack", "channel", "amount"), *lines])
    config = folder / "shop.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return config


def write_definitions(config: ExperimentConfig, path: Path, tree: Sequence[tuple[str, str]]) -> str:
    """The definitions of a run whose tree is these segments with their splits; returns its `assigned.csv`."""
    with loaded(config) as shop:
        columns, _ = build_cycles(shop.engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(shop.engine, config, columns, splits)
        by_name = {split.name: split for split in splits}
        branches = []
        for segment, name in tree:
            split = by_name[name]
            groups = tuple(GroupEffect(group, 1, 1) for group in split.groups)
            trial = Trial(segment, name, "declared", split.known, (), groups, 0, "separates", ("r",), Message("s"))
            branches.append(Branch(segment, split, trial, split.time_zero))
        path.write_text(segments_json(find_segments(shop.engine, branches), config, branches), encoding="utf-8")
        return assign_all(shop.engine, branches)


TREE = [("all", "size"), ("small", "second"), ("large", "june")]


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    """`segments.json` of a tree of three splits, beside the shop's files and its `assigned.csv`."""
    config = load_config(write_lines(tmp_path))
    (tmp_path / "assigned.csv").write_text(write_definitions(config, tmp_path / "segments.json", TREE), newline="\n")
    return tmp_path / "segments.json"


def test_each_customer_gets_its_leaf_and_the_day_since_when(definitions: Path) -> None:
    """The file has the leaf of each customer with the latest day of its conditions in the shop's zone, and is the run's `assigned.csv`."""
    folder = definitions.parent
    out = folder / "out.csv"
    config = load_config(folder / "shop.yaml")
    assign(definitions, config, as_of=None, out=out, progress=lambda _: None)
    rows = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
    assert rows == [
        ["customer", "segment", "known_since"],
        ['"a", =b', "large / web, early", "2024-06-01"],
        ["both", "large / rest", "2024-06-01"],
        ["early", "large / web, early", "2024-06-01"],
        ["late", "not yet known", ""],
        ["no pack", "not yet known", ""],
        ["once", "not yet known", ""],
        ["other pack", "not yet known", ""],
        ["returns", "not yet known", ""],
        ["twice", "small / web", "2024-03-31"],
    ]
    assert out.read_bytes() == (folder / "assigned.csv").read_bytes()
    parquet = folder / "out.parquet"
    assign(definitions, config, as_of=None, out=parquet, progress=lambda _: None)
    stored = duckdb.sql(f"select customer, segment, coalesce(known_since, '') from '{parquet}' order by 1").fetchall()
    assert [list(row) for row in stored] == rows[1:]


def test_customers_not_known_are_counted_by_reason(definitions: Path) -> None:
    """Each customer without a segment is counted once, under what keeps it out at the deepest split that it reached."""
    folder = definitions.parent
    config = load_config(folder / "shop.yaml")
    found = assign(definitions, config, as_of=None, out=folder / "out.csv", progress=lambda _: None)
    assert dict(found.not_known) == {
        "no group of size applies": 2,
        "has not bought yet": 1,
        "has not bought before 2024-06-01, the date of june": 1,
        "too few purchases for second (first_purchases: 2)": 1,
    }
    assert [(one.name, one.customers, one.in_the_run) for one in found.segments] == [
        ("small / web", 1, 1),
        ("small / elsewhere", 0, 0),
        ("large / web, early", 2, 2),
        ("large / rest", 1, 1),
        ("not yet known", 5, 5),
    ]


def test_a_date_to_come_is_a_reason_of_its_own(definitions: Path) -> None:
    """As of a day before the date of a split, who waits for it is told so, and later purchases count nowhere."""
    folder = definitions.parent
    config = load_config(folder / "shop.yaml")
    day = config.splits.declared[2].known.date.replace(month=3, day=30)  # type: ignore[union-attr]
    found = assign(definitions, config, as_of=day, out=folder / "out.csv", progress=lambda _: None)
    assert dict(found.not_known) == {
        "no group of size applies": 2,
        "june is known only from 2024-06-01 on": 2,
        "too few purchases for second (first_purchases: 2)": 2,
        "has not bought yet": 1,
    }


def test_a_group_of_several_values_that_a_run_found_is_read_again(definitions: Path) -> None:
    """A split that the search wrote may have the group `mixed`, which no config may declare."""
    text = definitions.read_text(encoding="utf-8")
    definitions.write_text(text.replace('"elsewhere"', '"mixed"'), encoding="utf-8")
    folder = definitions.parent
    config = load_config(write_lines(folder, [("x", f"2024-03-0{day}", "small", "store", 5) for day in (1, 2)]))
    assign(definitions, config, as_of=None, out=folder / "out.csv", progress=lambda _: None)
    (row,) = list(csv.reader((folder / "out.csv").read_text(encoding="utf-8").splitlines()))[1:]
    assert row[:2] == ["x", "small / mixed"]


def test_purchases_after_the_date_above_them_come_too_late(tmp_path: Path) -> None:
    """Below a split of a date, a second purchase after that date leaves the customer not known, with the date as its reason."""
    lines = [*LINES, ("early", "2024-07-01T00:00:00Z", "large", "web", 5)]
    config = load_config(write_lines(tmp_path, lines))
    path = tmp_path / "segments.json"
    write_definitions(config, path, [("all", "june"), ("web, early", "second")])
    found = assign(path, config, as_of=None, out=tmp_path / "out.csv", progress=lambda _: None)
    reasons = dict(found.not_known)
    assert reasons["known only after 2024-06-01, the date of a split"] == 1
    assert reasons["has not bought before 2024-06-01, the date of june"] == 1
    sizes = {one.name: one.customers for one in found.segments}
    assert sum(sizes.values()) == len({line[0] for line in lines})
    assert sizes["not yet known"] == sum(reasons.values())


def test_sizes_stand_beside_the_runs_and_a_move_is_told(
    definitions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command prints shares of both with their difference and the reasons, and warns where other customers come."""
    folder = definitions.parent
    monkeypatch.chdir(folder)
    words = ["assign", "segments.json", "--config", "shop.yaml", "--out", "out.csv"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "large / web, early" in printed
    assert "22.2%" in printed
    assert "+0.0" in printed
    assert "not yet known: 2: no group of size applies" in printed
    assert "warning" not in printed
    write_lines(folder, [(f"new {number}", "2024-03-01T00:00:00Z", "small", "web", 5) for number in range(400)])
    content = json.loads(definitions.read_text(encoding="utf-8"))
    for one in content["segments"]:
        one["customers"] *= 50
    definitions.write_text(json.dumps(content), encoding="utf-8")
    assert main(words) == 0
    assert (
        "warning: the sizes of segments have moved since the run (population stability index" in capsys.readouterr().out
    )


def test_another_engine_is_refused_as_by_run(definitions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`data.engine: spark` is an error of `assign` too, and nothing is written."""
    folder = definitions.parent
    config = folder / "shop.yaml"
    config.write_text(CONFIG.replace("  timezone:", "  engine: spark\n  timezone:"), encoding="utf-8")
    assert main(["assign", str(definitions), "--config", str(config), "--out", str(folder / "out.csv")]) == 2
    assert "data.engine: spark is not built" in capsys.readouterr().err
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, "is no segments.json of this version"),
        ("segments", None, "is no segments.json of this version"),
        ("splits", [{}], "is no segments.json of this version"),
        ("threshold", "nan", "is no segments.json of this version"),
        ("merged", ["ab"], "is no segments.json of this version"),
        ("declared", {"name": "x"}, "is no segments.json of this version"),
        ("segment", "medium", "no group is the segment 'medium'"),
        ("pack", "parcel", "its splits do not fit the data of shop.yaml"),
    ],
)
def test_definitions_that_are_none_are_the_users_mistake(
    definitions: Path, key: str, value: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged file, a tree that is none, and splits of other data are one message each, and nothing is written."""
    content = json.loads(definitions.read_text(encoding="utf-8"))
    if key in content:
        content[key] = value
    elif key in content["splits"][1]:
        content["splits"][1][key] = value
    text = json.dumps(content)
    definitions.write_text(text.replace("pack =", f"{value} =") if key == "pack" else text, encoding="utf-8")
    folder = definitions.parent
    words = ["assign", str(definitions), "--config", str(folder / "shop.yaml"), "--out", str(folder / "out.csv")]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert not (folder / "out.csv").exists()
