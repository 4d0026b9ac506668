"""Rows that cannot be used: judged, written to a file with place and reason, and too many of them refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segmentor.config.values import shown
from segmentor.engine.duckdb import literal
from segmentor.errors import DataError

if TYPE_CHECKING:
    from segmentor.config import Table
    from segmentor.engine.duckdb import Engine
    from segmentor.intake.raw import Column, RawTable
    from segmentor.intake.roles import TypedRole

_FORMULA = r"""^([\t\r\n]|[\s"']*[=+\-@＝＋－＠])"""
"""What a spreadsheet may run: a formula sign first, also after space or quotes, also at full width (OWASP)."""

_AMBIGUOUS = r"(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4}|\d{2})([ T].*)?"

_MENDS = {
    "wrong_field_count": "has another number of fields than the header; is the delimiter right, and are texts with it in quotes?",
    "undecodable_bytes": "write the encoding that the file has, such as encoding: gb18030",
    "nul_byte": "if the file is UTF-16, write encoding: utf-16",
    "unreadable_date": "write dates as 2024-01-31, or give their date_format",
    "future_date": "days after cycle.observed_until, or after today, are not used; leave them out with where, or correct the date",
    "unreadable_amount": 'numbers are read as 1234.50, without signs between thousands; write decimal: "," for 1234,50',
    "unreadable_quantity": 'numbers are read as 1234.50, without signs between thousands; write decimal: "," for 1234,50',
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """How many rows were rejected for one reason, and the first of them.

    Attributes:
        reason: Reason code.
        rows: How many.
        file_no: File of the first.
        line_no: Its line.
    """

    reason: str
    rows: int
    file_no: int
    line_no: int


def reject_rows(engine: Engine, raw: RawTable) -> tuple[Rejected, ...]:
    """Add the rows of ``_judged`` that cannot be used to ``_rejected``.

    Returns:
        Every reason in ``_rejected``, the most frequent first.
    """
    engine.execute(
        f"INSERT INTO _rejected SELECT file_no, line_no, _reason, {_csv_row_sql(raw.columns)} "
        "FROM _judged WHERE _reason IS NOT NULL"
    )
    rows = engine.rows(
        "SELECT reason, count(*), min((file_no, line_no)) AS first FROM _rejected GROUP BY reason ORDER BY 2 DESC, 1"
    )
    return tuple(Rejected(reason, count, *first) for reason, count, first in rows)


def write_quarantine(engine: Engine, raw: RawTable, path: Path) -> None:
    """Write ``_rejected`` as CSV: ``file``, ``line``, ``reason``, ``row``, in the order of the files.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    labels = ", ".join(f"({number}, {literal(file.label)})" for number, file in enumerate(raw.files))
    staged = engine.scratch / "quarantine.csv"
    engine.execute(
        f"COPY (SELECT {_safe_sql('label')} AS file, line_no AS line, reason, {_safe_sql('row')} AS row "
        f"FROM _rejected JOIN (VALUES {labels}) AS files(file_no, label) USING (file_no) ORDER BY file_no, line_no, row) "
        f"TO {literal(str(staged))} (FORMAT csv, HEADER)"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(staged, path)


def refuse_too_many(
    engine: Engine,
    raw: RawTable,
    section: Table,
    typed: Sequence[TypedRole],
    rejected: Sequence[Rejected],
    *,
    table: str,
    most: float,
) -> None:
    """Check that not more than the share ``most`` of the rows was rejected.

    Raises:
        DataError: More were: it says why, where, and what may mend it.
    """
    count = sum(reason.rows for reason in rejected)
    if count <= most * raw.records:
        return
    _refuse_ambiguous_dates(engine, raw, section, typed, table=table, most=most)
    share = f"{count:,} of {raw.records:,} rows ({count / raw.records:.1%})"
    lines = [f"{table}: {share} cannot be used, more than data.max_quarantined ({most:.1%}):"]
    for reason in rejected:
        mend = f"; {_MENDS[reason.reason]}" if reason.reason in _MENDS else ""
        lines.append(
            f"  {reason.rows:,} {reason.reason}, the first at {raw.place(reason.file_no, reason.line_no)}{mend}"
        )
    if raw.bad_byte:
        lines.append(raw.bad_byte)
    lines.append(f"To see them all, run with --set data.max_quarantined=1: they are then in quarantine/{table}.csv")
    raise DataError("\n".join(lines))


def _csv_row_sql(columns: Sequence[Column]) -> str:

    fields = []
    for column in columns:
        text = f"coalesce({column.sql}::VARCHAR, '')"
        quoted = f"""'"' || replace({text}, '"', '""') || '"'"""
        fields.append(f"""CASE WHEN regexp_matches({text}, '[",\\r\\n]') THEN {quoted} ELSE {text} END""")
    return f"concat_ws(',', {', '.join(fields)})"


def _safe_sql(cell: str) -> str:
    return f"CASE WHEN regexp_matches({cell}, {literal(_FORMULA)}) THEN '''' || {cell} ELSE {cell} END"


def _refuse_ambiguous_dates(
    engine: Engine, raw: RawTable, section: Table, typed: Sequence[TypedRole], *, table: str, most: float
) -> None:
    """Dates such as 03/04/2024, of which nobody but the user knows whether day or month come first."""
    time = next((role for role in typed if role.role == "time"), None)
    if time is None or time.column.type != "VARCHAR" or section.date_format is not None:
        return
    text = f"trim({time.column.sql})"
    count, first = engine.rows(
        f"SELECT count(*), min((file_no, line_no, {text})) FROM _raw WHERE regexp_full_match({text}, {literal(_AMBIGUOUS)})"
    )[0]
    if count <= most * raw.records:
        return
    file_no, line_no, value = first
    found = re.fullmatch(_AMBIGUOUS, value)
    sign, year, clock = (found[2], found[4], found[5]) if found else ("/", "2024", None)
    rest = f"{sign}%{'Y' if len(year) == 4 else 'y'}{_clock_format(clock)}"
    raise DataError(
        f"{raw.place(file_no, line_no)}: ambiguous dates such as {shown(value)}: is the day first, or the month? Write "
        f'data.{table}.date_format: "%d{sign}%m{rest}" or "%m{sign}%d{rest}"'
    )


def _clock_format(clock: str | None) -> str:
    if not clock:
        return ""
    return f"{clock[0]}%H:%M:%S" if clock.count(":") > 1 else f"{clock[0]}%H:%M"
