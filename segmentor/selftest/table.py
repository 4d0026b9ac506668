"""Results of cells as one table: JSON that is its own checkpoint, short tables for the terminal, and the same in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from segmentor.errors import InputError
from segmentor.selftest.cells import LEVELS, Kind
from segmentor.selftest.counts import CellResult, Row

FORMAT = 1

Size = Literal["quick", "full"]

TITLES: dict[Kind, str] = {
    "null": "Nothing separates: how often a group of 5 % or 50 % is found real, over the level of the test; all enter at once (equal) or "
    "over months (unequal), sd is that of the log of customers' rates. Last the usual ways on all gaps: log-rank, and Cox by customer",
    "coverage": "95 % intervals: how often they hold the truth; usual is Kaplan-Meier with Greenwood's interval on all gaps",
    "power": "Something separates: how often it is found, with two equal groups",
    "verdict": "Verdicts on 20,000 customers in two equal groups",
    "lifetime": "Nothing separates, and the label is made of the whole history: refused, and the same question of the first purchase",
}


MEANING: dict[Size, str] = {
    "quick": "With so few shops a rate is `outside` where it is 4 standard errors away from the limits.",
    "full": "A rate is `outside` where it is outside of the limits itself.",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A calibration, or as much of it as was done.

    Attributes:
        seed: Of all that was drawn.
        size: ``quick`` or ``full``.
        complete: Whether every cell is in it.
        cells: Results in the order of the catalogue.
    """

    seed: int
    size: Size
    complete: bool
    cells: tuple[CellResult, ...]

    def to_json(self) -> str:
        """The table as JSON text; the same table gives the same bytes."""
        content = {"format": FORMAT, **asdict(self)}
        for cell in content["cells"]:
            for row in cell["rows"]:
                row["rate"] = row["hits"] / row["tries"]
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Table:
        """The table of a JSON text.

        Raises:
            InputError: It is none, or of another version.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise InputError(f"a table of format {content['format']}, this version writes {FORMAT}: make it anew")
            cells = tuple(_cell(cell) for cell in content["cells"])
            return cls(content["seed"], content["size"], content["complete"], cells)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("no table of segmentor selftest") from error

    def outside(self) -> list[str]:
        """Names of the rates outside of their limits."""
        return [
            f"{_name(cell, row)}, {row.measure}" for cell in self.cells for row in cell.rows if row.status == "outside"
        ]


def write_table(table: Table, path: Path) -> None:
    """Puts the table into a file, whole or not at all, and beside it the same for reading, as Markdown."""
    for target, text in ((path, table.to_json()), (path.with_suffix(".md"), markdown(table))):
        staged = target.with_name(f".{target.name}.part")
        staged.write_text(text, encoding="utf-8")
        staged.replace(target)


@dataclass(frozen=True, slots=True)
class Section:
    """A table to be shown, all cells as text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sections(table: Table) -> list[Section]:
    """One table a kind of cell: a row a case and a column a measure; of coverage, which has many measures, the other way round."""
    kinds = dict.fromkeys(cell.kind for cell in table.cells)
    return [_section(kind, [cell for cell in table.cells if cell.kind == kind]) for kind in kinds]


def markdown(table: Table) -> str:
    """The table for reading."""
    state = "" if table.complete else ", not complete"
    parts = [f"Size {table.size}, seed {table.seed}{state}. Limits stand in brackets. {MEANING[table.size]}"]
    for section in sections(table):
        lines = [section.header, ["---"] * len(section.header), *section.rows]
        parts.append(f"## {section.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _section(kind: Kind, cells: Sequence[CellResult]) -> Section:
    if kind == "coverage":
        return _by_measure(kind, cells)
    entries = [(cell, case) for cell in cells for case in dict.fromkeys(row.case for row in cell.rows)]
    measures = list(dict.fromkeys(row.measure for cell in cells for row in cell.rows))
    common = {measure: _common_target(measure, cells) for measure in measures}
    lines = []
    for cell, case in entries:
        rows = {row.measure: row for row in cell.rows if row.case == case}
        shown = [_shown(rows[measure]) if measure in rows else "" for measure in measures]
        lines.append((_name(cell, next(iter(rows.values()))), *shown, _judged(list(rows.values()), common)))
    header = ("", *(_titled(measure, common[measure]) for measure in measures), "")
    return Section(TITLES[kind], header, tuple(lines))


def _by_measure(kind: Kind, cells: Sequence[CellResult]) -> Section:
    measures = list(dict.fromkeys(row.measure for cell in cells for row in cell.rows))
    lines = []
    for measure in measures:
        target = _common_target(measure, cells)
        by_cell = [next((row for row in cell.rows if row.measure == measure), None) for cell in cells]
        shown = ["" if row is None else _shown(row) for row in by_cell]
        limits = "" if target is None else _limits(measure, target)
        lines.append((measure, limits, *shown, _judged([row for row in by_cell if row], {measure: target})))
    return Section(TITLES[kind], ("", "", *(_short(cell) for cell in cells), ""), tuple(lines))


def _common_target(measure: str, cells: Sequence[CellResult]) -> tuple[float, float] | None:
    """The limits of a measure where all cells have the same."""
    targets = {row.target for cell in cells for row in cell.rows if row.measure == measure}
    return targets.pop() if len(targets) == 1 else None


def _titled(measure: str, target: tuple[float, float] | None) -> str:
    return measure if target is None else f"{measure} {_limits(measure, target)}"


def _limits(measure: str, target: tuple[float, float]) -> str:
    if measure in LEVELS:
        return f"[{target[0] / LEVELS[measure]:g} to {target[1] / LEVELS[measure]:g}]"
    low, high = (f"{100 * bound:g}" for bound in target)
    return f"[{low} %]" if low == high else f"[{low} to {high} %]"


def _shown(row: Row) -> str:
    if row.measure in LEVELS:
        rate, low, high = (value / LEVELS[row.measure] for value in (row.rate, row.low, row.high))
        return f"{rate:.2f} ({low:.2f} to {high:.2f})"
    return f"{100 * row.rate:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f})"


def _judged(rows: Sequence[Row], common: dict[str, tuple[float, float] | None]) -> str:
    """The worst of the rows, and whose it is; limits that are not in the header."""
    judged = [row for row in rows if row.status]
    own = [
        f"{row.measure} {_limits(row.measure, row.target)}" for row in judged if row.target and not common[row.measure]
    ]
    for status in ("outside", "ok"):
        found = [row.measure for row in judged if row.status == status]
        if found:
            which = "" if status == "ok" or own else ": " + ", ".join(dict.fromkeys(found))
            return "; ".join([f"{status}{which}", *own])
    return ""


def _name(cell: CellResult, row: Row) -> str:
    return _short(cell) + (f", {row.case}" if row.case else "")


def _short(cell: CellResult) -> str:
    """A cell's name without its kind, which the section says."""
    return cell.name.removeprefix(f"{cell.kind}: ")


def _cell(content: dict[str, Any]) -> CellResult:
    rows = tuple(
        Row(**{name: value for name, value in row.items() if name not in ("rate", "target")}, target=_target(row))
        for row in content["rows"]
    )
    sample = tuple((case, measure, hits, tries) for case, measure, hits, tries in content["sample"])
    return CellResult(content["name"], content["kind"], content["runs"], rows, sample)


def _target(row: dict[str, Any]) -> tuple[float, float] | None:
    return None if row["target"] is None else (row["target"][0], row["target"][1])
