"""Two runs -> what changed: verdicts, effects, sizes of segments, and where their customers went."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from segmentor.engine.duckdb import literal, open_engine
from segmentor.errors import InputError
from segmentor.report.small_cells import Counts, is_exact
from segmentor.result import FORMAT, Interval, PairEffect, RunResult, Trial, from_json


@dataclass(frozen=True, slots=True)
class Effects:
    """An effect in both runs.

    Attributes:
        before: In the first run; ``None`` where it has none, or the groups are too small to be shown.
        after: In the second.
        overlap: Whether the 95 % intervals overlap, so that the difference may be chance; ``None`` where there are not both.
    """

    before: Interval | None
    after: Interval | None
    overlap: bool | None


@dataclass(frozen=True, slots=True)
class ComparedSplit:
    """A split in both runs.

    Attributes:
        segment: Where it was tried.
        split: Its name.
        before: Verdict of the first run; ``None`` where it was not tried.
        after: Verdict of the second.
        groups: The pair of groups whose effects are compared, first and second; ``None`` where no pair carries a verdict.
        ratio: Mean cycle of those back, second group over first.
        share_difference: Share back by the horizon, second less first.
    """

    segment: str
    split: str
    before: str | None
    after: str | None
    groups: tuple[str, str] | None
    ratio: Effects
    share_difference: Effects


@dataclass(frozen=True, slots=True)
class ComparedSegment:
    """A segment in both runs.

    Attributes:
        name: Its name.
        change: ``stayed``, ``came`` or ``went``.
        before: Customers in the first run, small counts hidden; ``None`` where there is no such segment.
        after: In the second.
        share_before: Share of the customers of the run; ``None`` also where the count is hidden.
        share_after: In the second.
    """

    name: str
    change: str
    before: str | None
    after: str | None
    share_before: float | None
    share_after: float | None


@dataclass(frozen=True, slots=True)
class Migration:
    """Customers by segment of both runs.

    Attributes:
        rows: Segments of the first run, then ``NOT_IN_IT``: customers of the second run alone.
        columns: Segments of the second run, then ``NOT_IN_IT``: customers of the first run alone.
        customers: By row and column, small counts hidden.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    customers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one run to another.

    Attributes:
        splits: In the order of the second run, then those that only the first tried.
        segments: In the order of the second run, then those that went.
        migration: ``None`` where a run keeps no ``assigned.csv``.
    """

    splits: tuple[ComparedSplit, ...]
    segments: tuple[ComparedSegment, ...]
    migration: Migration | None


NOT_IN_IT = "not in this run"
"""Stands for the segment, in a run, of customers who are in the other run alone."""

ASSIGNED = "assigned.csv"
"""The file of a run that has the segment of each customer."""


def compare(before: Path, after: Path) -> Comparison:
    """Compares two runs. Splits are matched by where they were tried and their names, segments by their names.

    Args:
        before: Folder of a run.
        after: Folder of another one.

    Raises:
        InputError: A folder holds no run, or one of another format.
    """
    first, second = _read_run(before), _read_run(after)
    pairs = _pairs_of_segments(before / ASSIGNED, after / ASSIGNED)
    return Comparison(tuple(_splits(first, second)), *_segments(first, second, pairs))


def comparison_json(comparison: Comparison) -> str:
    """The comparison for programs; counts that may not be told are ``null``."""
    content = asdict(comparison)
    for one in content["segments"]:
        one["before"], one["after"] = _told(one["before"]), _told(one["after"])
    if content["migration"] is not None:
        content["migration"]["customers"] = [[_told(cell) for cell in row] for row in content["migration"]["customers"]]
    return json.dumps({"format": FORMAT, **content}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _told(shown: str | None) -> int | None:
    return int("".join(filter(str.isdigit, shown))) if shown is not None and is_exact(shown) else None


def _read_run(folder: Path) -> RunResult:
    path = folder / "results.json"
    if not (folder / "manifest.json").is_file() or not path.is_file():
        raise InputError(
            f"{folder}: is no folder of a finished run (no manifest.json); give the folder that segmentor run wrote"
        )
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); change its permissions, or give another folder"
        ) from None
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None


def _splits(first: RunResult, second: RunResult) -> Iterator[ComparedSplit]:
    before, after = ({(trial.segment, trial.split): trial for trial in run.trials} for run in (first, second))
    min_cell = max(first.min_cell, second.min_cell)
    for key in dict.fromkeys([*after, *before]):
        old, new = before.get(key), after.get(key)
        carrier = _verdict_pair(new) or _verdict_pair(old)
        groups = None if carrier is None else (carrier.first, carrier.second)
        pairs = [_pair_of(trial, groups, min_cell) for trial in (old, new)]
        yield ComparedSplit(
            *key,
            None if old is None else old.verdict,
            None if new is None else new.verdict,
            groups,
            _effects([None if pair is None else pair.ratio for pair in pairs]),
            _effects([None if pair is None else pair.share_difference for pair in pairs]),
        )


def _verdict_pair(trial: Trial | None) -> PairEffect | None:
    return None if trial is None or trial.verdict_pair is None else trial.pairs[trial.verdict_pair]


def _pair_of(trial: Trial | None, groups: tuple[str, str] | None, min_cell: int) -> PairEffect | None:
    """The effect of a pair of groups, unless one is so small that it would tell of single customers."""
    if trial is None or groups is None:
        return None
    sizes = {group.name: group.customers for group in trial.groups}
    if any(sizes.get(group, 0) < min_cell for group in groups):
        return None
    return next((pair for pair in trial.pairs if (pair.first, pair.second) == groups), None)


def _effects(intervals: Sequence[Interval | None]) -> Effects:
    before, after = intervals
    bounds = [(one.ci_low, one.ci_high) for one in (before, after) if one is not None]
    overlap = None
    if len(bounds) == 2:
        (low, high), (other_low, other_high) = bounds
        if low is not None and high is not None and other_low is not None and other_high is not None:
            overlap = low <= other_high and other_low <= high
    return Effects(before, after, overlap)


def _pairs_of_segments(before: Path, after: Path) -> dict[tuple[str | None, str | None], int] | None:
    """Customers by their segments in both runs, ``None`` for who is not in one; ``None`` where a file is missing."""
    if not before.is_file() or not after.is_file():
        return None
    with (
        tempfile.TemporaryDirectory(prefix="segmentor-") as scratch,
        open_engine(scratch=Path(scratch), inputs=[before.resolve(), after.resolve()]) as engine,
    ):
        first, second = (_read_assigned(path.resolve()) for path in (before, after))
        rows = engine.rows(
            f"select b.segment, a.segment, count(*)\nfrom {first} b full join {second} a using (customer)\ngroup by all"
        )
    return {(old, new): customers for old, new, customers in rows}


def _read_assigned(path: Path) -> str:
    columns = "{'customer': 'varchar', 'segment': 'varchar', 'known_since': 'varchar'}"
    form = "header = true, delim = ',', quote = '\"', escape = '\"', auto_detect = false, force_not_null = ['customer', 'segment']"
    return f"(select customer, segment from read_csv({literal(str(path))}, columns = {columns}, {form}))"


def _segments(
    first: RunResult, second: RunResult, pairs: dict[tuple[str | None, str | None], int] | None
) -> tuple[tuple[ComparedSegment, ...], Migration | None]:
    """Sizes and migration, in which together no small count can be had from others."""
    rows, columns = ({one.name: one.customers for one in run.segments} for run in (first, second))
    table = [[(pairs or {}).get((old, new), 0) for new in (*columns, None)] for old in (*rows, None)]
    lines: list[Sequence[int]] = [list(rows.values()), list(columns.values())]
    if pairs is not None:
        # Who is in one run alone adds up to no size that is shown.
        lines += ([*size, *cells] for size, cells in zip([*([each] for each in rows.values()), []], table, strict=True))
        across = zip(*table, strict=True)
        lines += (
            [*size, *cells] for size, cells in zip([*([each] for each in columns.values()), []], across, strict=True)
        )
    counts = Counts.of(lines, max(first.min_cell, second.min_cell))
    compared = tuple(
        ComparedSegment(
            name,
            "stayed" if name in rows and name in columns else "came" if name in columns else "went",
            counts(rows[name]) if name in rows else None,
            counts(columns[name]) if name in columns else None,
            _share(rows, name, counts),
            _share(columns, name, counts),
        )
        for name in dict.fromkeys([*columns, *rows])
    )
    if pairs is None:
        return compared, None
    told = tuple(tuple(map(counts, cells)) for cells in table)
    return compared, Migration((*rows, NOT_IN_IT), (*columns, NOT_IN_IT), told)


def _share(sizes: dict[str, int], name: str, counts: Counts) -> float | None:
    """Share of all customers, where the count itself is shown."""
    if name not in sizes or not counts.exact(sizes[name]):
        return None
    return sizes[name] / max(1, sum(sizes.values()))
