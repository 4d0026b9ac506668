"""Comparison of two runs: verdicts, effects, segments and where customers went, with small counts hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from segmentor import console
from segmentor.cli import main
from segmentor.comparison import NOT_IN_IT, compare
from segmentor.result import (
    CycleSummary,
    GroupEffect,
    Interval,
    PairEffect,
    Quality,
    RunResult,
    Segment,
    Trial,
    Verdict,
    to_json,
)
from segmentor.tables import assigned_csv
from segmentor.wording import Message


def trial_of(
    split: str,
    verdict: Verdict,
    ratio: tuple[float, float, float] | None = None,
    *,
    customers: int = 100,
    segment: str = "all",
) -> Trial:
    """A trial of two groups, with the effect of the pair where one is given."""
    pairs: tuple[PairEffect, ...] = ()
    if ratio is not None:
        nothing = Interval(0.0, -0.01, 0.01)
        pairs = (PairEffect("a", "b", Interval(*ratio), nothing, nothing, (), separated=True, equivalent=False),)
    groups = (GroupEffect("a", 100, 50), GroupEffect("b", customers, 50))
    known = "first_purchase"
    return Trial(
        segment,
        split,
        "declared",
        known,
        (),
        groups,
        0,
        verdict,
        ("r",),
        Message("s"),
        pairs=pairs,
        verdict_pair=0 if pairs else None,
    )


def write_run(folder: Path, trials: Sequence[Trial], places: Mapping[str, str], *, min_cell: int = 5) -> Path:
    """The folder of a run with these trials and the segment of each customer."""
    folder.mkdir()
    names = dict.fromkeys(places.values())
    sizes = {name: list(places.values()).count(name) for name in names}
    quality = Quality({}, CycleSummary(120, 300, 180, 120, 0, "2017-01-01", "2017-12-31", 20))
    segments = tuple(Segment(name, name, "all", (), size) for name, size in sizes.items())
    result = RunResult("x", "A shop", "en", 1, {}, quality, tuple(trials), (), segments, None, min_cell)
    (folder / "results.json").write_text(to_json(result), encoding="utf-8")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    rows = [(customer, segment, "2024-01-01") for customer, segment in sorted(places.items())]
    (folder / "assigned.csv").write_text(assigned_csv(rows), encoding="utf-8", newline="\n")
    return folder


def places(**customers: int) -> dict[str, str]:
    """That many customers in each segment."""
    numbers = iter(range(10_000))
    return {f"c{next(numbers):04}": name for name, size in customers.items() for _ in range(size)}


def test_verdicts_and_effects_stand_side_by_side(tmp_path: Path) -> None:
    """A split is matched by place and name; its effects are of the same pair, and it is told whether their intervals overlap."""
    before = [
        trial_of("size", "inconclusive", (1.0, 0.9, 1.1)),
        trial_of("gone", "equivalent", (1.0, 0.9, 1.1)),
        trial_of("size", "separates", (2.0, 1.9, 2.1), segment="men"),
    ]
    after = [trial_of("size", "separates", (1.3, 1.2, 1.4)), trial_of("new", "untestable")]
    found = compare(write_run(tmp_path / "a", before, places(x=50)), write_run(tmp_path / "b", after, places(x=50)))
    assert [(one.segment, one.split, one.before, one.after) for one in found.splits] == [
        ("all", "size", "inconclusive", "separates"),
        ("all", "new", None, "untestable"),
        ("all", "gone", "equivalent", None),
        ("men", "size", "separates", None),
    ]
    size, new, gone, _ = found.splits
    assert size.ratio.before == Interval(1.0, 0.9, 1.1)
    assert size.ratio.after == Interval(1.3, 1.2, 1.4)
    assert (size.ratio.overlap, size.share_difference.overlap) == (False, True)
    assert new.groups is None
    assert (gone.ratio.before, gone.ratio.after, gone.ratio.overlap) == (Interval(1.0, 0.9, 1.1), None, None)


def test_effects_of_few_customers_are_not_shown(tmp_path: Path) -> None:
    """A group below the smallest cell of either run has no effect in the comparison."""
    runs = [
        write_run(
            tmp_path / "a", [trial_of("size", "separates", (2.0, 1.9, 2.1), customers=7)], places(x=50), min_cell=5
        ),
        write_run(tmp_path / "b", [trial_of("size", "separates", (2.0, 1.9, 2.1))], places(x=50), min_cell=8),
    ]
    (size,) = compare(*runs).splits
    assert size.ratio.before is None
    assert size.ratio.after is not None


def test_customers_are_followed_from_segment_to_segment(tmp_path: Path) -> None:
    """The table counts customers by both segments, and apart those whom only one run has; ids may hold anything."""
    wild = {f'"{number}",\n=\\N\r': "x" for number in range(20)} | {"\\N": "x", "NULL": "x", " ": "x"}
    before = {**places(x=100, y=60), **wild}
    after = {
        customer: "z" if number < 40 else segment
        for number, (customer, segment) in enumerate(before.items())
        if number >= 10
    } | {f"new {number}": "y" for number in range(30)}
    found = compare(write_run(tmp_path / "a", [], before), write_run(tmp_path / "b", [], after))
    assert found.migration is not None
    table = {
        (row, column): cell
        for row, cells in zip(found.migration.rows, found.migration.customers, strict=True)
        for column, cell in zip(found.migration.columns, cells, strict=True)
    }
    assert {place: cell for place, cell in table.items() if cell != "0"} == {
        ("x", "z"): "30",
        ("x", "x"): "83",
        ("x", NOT_IN_IT): "10",
        ("y", "y"): "60",
        (NOT_IN_IT, "y"): "30",
    }
    assert [(one.name, one.change, one.before, one.after) for one in found.segments] == [
        ("z", "came", None, "30"),
        ("x", "stayed", "123", "83"),
        ("y", "stayed", "60", "90"),
    ]


def test_no_small_count_can_be_had_from_the_others(tmp_path: Path) -> None:
    """A small cell is hidden, and so much of what it adds up with is said roughly that no sum gives it away."""
    before, after = places(x=100, y=60), places(x=97, y=63)
    runs = write_run(tmp_path / "a", [], before, min_cell=10), write_run(tmp_path / "b", [], after, min_cell=2)
    found = compare(*runs)
    assert found.migration is not None
    shown = dict(zip(found.migration.rows, found.migration.customers, strict=True))
    assert shown["x"][1] == "fewer than 10"
    hidden = [not cell[0].isdigit() for cell in shown["x"]]
    size = next(one for one in found.segments if one.name == "x")
    assert sum(hidden) + (size.before is not None and not size.before[0].isdigit()) >= 2
    column = [cells[1] for cells in found.migration.customers]
    after_y = next(one.after for one in found.segments if one.name == "y")
    assert sum(not cell[0].isdigit() for cell in [*column, after_y or ""]) >= 2


def test_a_run_without_its_customers_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a run keeps no customers the rest is compared all the same, and that is said."""
    runs = [write_run(tmp_path / name, [trial_of("size", "separates")], places(x=50)) for name in "ab"]
    (runs[1] / "assigned.csv").unlink()
    assert main(["compare", *map(str, runs)]) == 0
    printed = capsys.readouterr().out
    assert "no table of migration" in printed
    assert re.search("^size +before +separates", printed, re.MULTILINE)


def test_terminal_and_json_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both hold verdicts, effects, sizes and the table; JSON has no count that the terminal hides."""
    runs = [
        write_run(tmp_path / "a", [trial_of("size", "inconclusive", (1.0, 0.9, 1.1))], places(x=100, y=60)),
        write_run(tmp_path / "b", [trial_of("size", "separates", (1.3, 1.2, 1.4))], places(x=97, z=63)),
    ]
    assert main(["compare", *map(str, runs)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^size +before +inconclusive +b / a +1.00 \(0.90 to 1.10\)", printed, re.MULTILINE)
    assert re.search(r"^ +after +separates +1.30 \(1.20 to 1.40\)", printed, re.MULTILINE)
    assert "moved: size in all: the intervals of the cycle ratio do not overlap" in printed
    assert re.search("^z +came", printed, re.MULTILINE)
    assert re.search("^y +went", printed, re.MULTILINE)
    assert "fewer than 5" in printed
    assert main(["compare", *map(str, runs), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["splits"][0]["ratio"] == {
        "before": {"estimate": 1.0, "ci_low": 0.9, "ci_high": 1.1},
        "after": {"estimate": 1.3, "ci_low": 1.2, "ci_high": 1.4},
        "overlap": False,
    }
    row = dict(zip(content["migration"]["columns"], content["migration"]["customers"][0], strict=True))
    assert row["z"] is None
    assert not set(re.findall(r"\d+", json.dumps(content["migration"]["customers"]))) & {"3", "4"}


def test_what_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a run and a run of another format exit 2 with the folder and the mend."""
    good = write_run(tmp_path / "a", [], places(x=50))
    assert main(["compare", str(good), str(tmp_path)]) == 2
    assert f"{tmp_path}: is no folder of a finished run" in capsys.readouterr().err
    old = write_run(tmp_path / "old", [], places(x=50))
    text = (old / "results.json").read_text(encoding="utf-8")
    (old / "results.json").write_text(json.dumps({**json.loads(text), "format": 1}), encoding="utf-8")
    assert main(["compare", str(old), str(good)]) == 2
    assert f"{old}: results.json: format 1 is not one that this version reads" in capsys.readouterr().err


def test_a_long_comparison_tells_what_changed_on_lines_that_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many splits those that changed or separate have rows, the others are counted; no line is wider than where it is printed."""
    monkeypatch.setattr(console, "PLAIN_WIDTH", 120)
    long = "with price_tier: tier 1 and category: shower gel and size: sample"
    before = [trial_of(f"{long} {number}", "equivalent", (1.0, 0.9, 1.1)) for number in range(40)]
    after = [*before[1:], trial_of(f"{long} 0", "separates", (1.3, 1.2, 1.4), segment="all")]
    runs = [write_run(tmp_path / name, trials, places(x=50)) for name, trials in (("a", before), ("b", after))]
    assert main(["compare", *map(str, runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("moved: ")) <= 120
    rows = [line for line in lines if " before " in line and "customers" not in line]
    assert ["equivalent" in row for row in rows] == [True]
    assert any(line.startswith("… and 39 more, with the same verdict in both") for line in lines)
