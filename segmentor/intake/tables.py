"""One declared table: its files -> rows of typed roles in the engine, and the account of every row read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from segmentor.config.values import nearest, shown
from segmentor.engine.conditions import columns_of, rewritten
from segmentor.engine.duckdb import quote
from segmentor.errors import DataError, ExpressionError
from segmentor.intake.files import InputFile, refuse_changed
from segmentor.intake.meaning import meant
from segmentor.intake.quarantine import refuse_too_many, reject_rows, write_quarantine
from segmentor.intake.raw import RawTable, read_raw
from segmentor.intake.roles import TimeRules, TypedRole, judge, typed_roles
from segmentor.intake.workbooks import sheets_not_read
from segmentor.result import InputQuality
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig, Table
    from segmentor.engine.duckdb import Engine


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked of a table.

    Attributes:
        typed: Roles whose columns get a type.
        required: Those without which a row cannot be used.
        key: The role that tells its rows apart; ``None`` where rows may repeat.
    """

    typed: tuple[str, ...]
    required: tuple[str, ...]
    key: str | None = None


SHAPES = {
    "transactions": Shape(("customer", "time", "order", "product", "quantity", "amount"), ("customer", "time")),
    "products": Shape(("product",), ("product",), key="product"),
    "customers": Shape(("customer",), ("customer",), key="customer"),
}


def load_table(
    engine: Engine, config: ExperimentConfig, table: str, files: Sequence[InputFile], *, quarantine: Path
) -> tuple[InputQuality, list[Message]]:
    """Make one table, named as in the config; one row per row of its files that can be used and fulfils ``where``.

    A row that ``where`` leaves out counts as filtered, whether it could have been used or not.

    Args:
        engine: Where to make it.
        config: The experiment.
        table: A key of ``SHAPES``.
        files: Its files.
        quarantine: File of the rows that cannot be used.

    Returns:
        The account of its rows, and sentences on rows that repeat.

    Raises:
        DataError: The table cannot be used as declared.
    """
    section: Table = getattr(config.data, table)
    raw = read_raw(engine, files, section, key=f"data.{table}")
    refuse_changed(files)
    values = meant(engine, raw, section)
    typed = _typed(config, table, section, values)
    judge(engine, typed)
    _let_go(engine, table, section, values, typed)
    if "timezone" not in config.data.model_fields_set:
        _refuse_offsets(engine, raw, typed)
    rejected = reject_rows(engine, raw)
    write_quarantine(engine, raw, quarantine)
    refuse_too_many(engine, raw, section, typed, rejected, table=table, most=config.data.max_quarantined)
    warnings = [*_other_sheets(files), *_midnights(engine, config, table, typed)]
    kept, filtered, repeated = _keep(engine, table, section, values, typed)
    fingerprint, twins = _fingerprint(engine, raw)
    reasons = {reason.reason: reason.rows for reason in sorted(rejected, key=lambda reason: reason.reason)}
    quality = InputQuality(raw.records, kept, filtered, sum(reasons.values()), reasons, fingerprint)
    _check_account(table, quality)
    for scaffold in ("_raw", "_rejected", "_judged"):
        engine.execute(f"DROP TABLE {scaffold}")
    return quality, [*warnings, *_repeats(table, repeated, twins)]


def _typed(config: ExperimentConfig, table: str, section: Table, raw: RawTable) -> tuple[TypedRole, ...]:
    shape, zone = SHAPES[table], config.data.timezone
    times = TimeRules(
        zone=zone,
        source_zone=config.data.source_timezone or zone,
        date_format=section.date_format,
        last_day=config.cycle.observed_until or _today(zone),
    )
    roles = {role: name for role, name in section.columns.items() if role in shape.typed and name not in section.derive}
    return typed_roles(raw, roles, required=shape.required, times=times, decimal=section.decimal, key=f"data.{table}")


def _today(zone: str) -> date:
    return datetime.now(ZoneInfo(zone)).date()


def _refuse_offsets(engine: Engine, raw: RawTable, typed: Sequence[TypedRole]) -> None:
    """Times with an offset from UTC fall on a day only in a zone that somebody has stated."""
    if not any(role.role == "time" for role in typed):
        return
    first = engine.scalar("SELECT min((file_no, line_no)) FROM _judged WHERE _kind = 'offset'")
    if first is not None:
        raise DataError(
            f"{raw.place(*first)}: a time with an offset from UTC, on which day of the shop? Write data.timezone, such as "
            "Europe/Paris"
        )


def _other_sheets(files: Sequence[InputFile]) -> Iterator[Message]:
    """Sheets of workbooks that hold rows and were not read."""
    for file in files:
        if file.is_workbook and (others := sheets_not_read(file)):
            yield Message(
                "Of {file} only the first sheet with rows was read. Others hold rows too: {sheets}. To read one, save it as a file of its own.",
                {"file": file.label, "sheets": others},
            )


def _midnights(engine: Engine, config: ExperimentConfig, table: str, typed: Sequence[TypedRole]) -> list[Message]:
    """Days that were exported as times are shifted, when zones differ, to the evening before or the morning after."""
    zone, source = config.data.timezone, config.data.source_timezone
    if source is None or source == zone or not any(role.role == "time" for role in typed):
        return []
    naive, midnight = engine.rows(
        "SELECT count(*), count(*) FILTER (_stated::TIME = TIME '00:00:00') FROM _judged "
        "WHERE _kind = 'naive' AND _reason IS NULL"
    )[0]
    if not naive or midnight < naive:
        return []
    return [
        Message(
            "All times of {table} are midnight in {source} and were turned into those of {zone}. If they are days, write them "
            "without a time, or set data.source_timezone to the zone of the shop.",
            {"table": table, "source": source, "zone": zone},
        )
    ]


def _let_go(engine: Engine, table: str, section: Table, raw: RawTable, typed: Sequence[TypedRole]) -> None:
    """Take the reason from rows that ``where`` leaves out for certain: what is wrong with them does not matter."""
    if section.where is None:
        return
    condition = _where(section, raw, table)
    # An expression that cannot be computed of a row that cannot be used says nothing; one of the wrong types is told below.
    with suppress(ExpressionError):
        engine.execute(
            "CREATE OR REPLACE TEMP TABLE _let_go AS SELECT _file_no, _line_no FROM (\n"
            f"  SELECT file_no AS _file_no, line_no AS _line_no, {_fields(raw, typed)} FROM _judged WHERE _reason IS NOT NULL)\n"
            f"WHERE TRY({condition}) IS FALSE"
        )
        engine.execute("UPDATE _judged SET _reason = NULL FROM _let_go WHERE file_no = _file_no AND line_no = _line_no")
        engine.execute("DROP TABLE _let_go")


def _fields(raw: RawTable, typed: Sequence[TypedRole]) -> str:
    """SQL of the columns of the table over ``_judged``."""
    values = {role.column.name: f"_value_{role.role}" for role in typed}
    return ", ".join(f"{values.get(column.name, column.sql)} AS {quote(column.name)}" for column in raw.columns)


def _keep(
    engine: Engine, table: str, section: Table, raw: RawTable, typed: Sequence[TypedRole]
) -> tuple[int, int, int]:
    """Make the table; how many rows it has, how many were left out, and how many of these only repeat another row."""
    usable = f"SELECT {_fields(raw, typed)} FROM _judged WHERE _reason IS NULL"
    condition = _where(section, raw, table)
    try:
        left_out = int(engine.scalar(f"SELECT count(*) FROM ({usable}) WHERE ({condition}) IS NOT TRUE"))
        distinct = "" if SHAPES[table].key is None else "DISTINCT"
        engine.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT {distinct} * FROM ({usable}) WHERE {condition}")
    except ExpressionError as error:
        raise DataError(f"data.{table}.where: {shown(section.where)} cannot be computed: {error}") from None
    kept = int(engine.scalar(f"SELECT count(*) FROM {table}"))
    if SHAPES[table].key is None:
        return kept, left_out, 0
    _refuse_twin_keys(engine, table, section, raw)
    repeated = int(engine.scalar(f"SELECT count(*) FROM ({usable}) WHERE {condition}")) - kept
    return kept, left_out + repeated, repeated


def _where(section: Table, raw: RawTable, table: str) -> str:
    if section.where is None:
        return "TRUE"
    names = {column.name.lower() for column in raw.columns}
    roles = {
        role.lower(): name
        for role, name in section.columns.items()
        if role.lower() not in names and name.lower() in names
    }
    unknown = [name for name in columns_of(section.where) if name.lower() not in names | roles.keys()]
    if unknown:
        guess = nearest(unknown[0], [*names, *roles])
        mend = f"did you mean {shown(guess)}?" if guess else f"the columns are {', '.join(sorted(names))}"
        raise DataError(f"data.{table}.where: there is no column {shown(unknown[0])}; {mend}")
    return f"({rewritten(section.where, roles)})"


def _refuse_twin_keys(engine: Engine, table: str, section: Table, raw: RawTable) -> None:
    role = SHAPES[table].key or ""
    key = quote(section.columns[role])
    twins = f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1"
    count = engine.scalar(f"SELECT count(*) FROM ({twins})")
    if count:
        first = engine.scalar(
            f"SELECT min((file_no, line_no)) FROM _judged WHERE _reason IS NULL AND _value_{role} IN ({twins})"
        )
        raise DataError(
            f"data.{table}: a join would multiply rows: keys with several different rows: {count:,}, one of them at "
            f"{raw.place(*first)}; keep one row for each {role}, or leave the others out with where"
        )


def _fingerprint(engine: Engine, raw: RawTable) -> tuple[str, int]:
    """Hash of the rows whatever their order and their files; and how many rows repeat another one in all columns."""
    columns = sorted(raw.columns, key=lambda column: column.name)
    fields = ", ".join(f"coalesce({column.sql}::VARCHAR, chr(30))" for column in columns)
    sums = "count(*), sum((hash >> 64)::HUGEINT), sum((hash & 18446744073709551615)::HUGEINT), count(DISTINCT hash)"
    rows = engine.rows(f"SELECT {sums} FROM (SELECT md5_number(concat_ws(chr(31), {fields})) AS hash FROM _raw)")[0]
    unread = engine.rows(
        f"SELECT {sums} FROM (SELECT md5_number(row) AS hash FROM _rejected ANTI JOIN _raw USING (file_no, line_no))"
    )[0]
    names = [column.name for column in columns]
    return hashlib.sha256(repr((names, rows[:3], unread[:3])).encode()).hexdigest(), rows[0] - rows[3]


def _check_account(table: str, quality: InputQuality) -> None:
    used = quality.kept + quality.filtered + quality.quarantined
    if quality.read != used:
        raise DataError(
            f"data.{table}: {quality.read:,} records were counted in the files, but {used:,} rows came out of reading them "
            f"({quality.kept:,} kept, {quality.filtered:,} filtered, {quality.quarantined:,} quarantined); is a quote "
            "misplaced, or the delimiter another one?"
        )
    if not quality.kept:
        raise DataError(
            f"data.{table}: no row is left of {quality.read:,} ({quality.filtered:,} left out by where, "
            f"{quality.quarantined:,} quarantined); correct where, or name another file"
        )


def _repeats(table: str, repeated: int, twins: int) -> list[Message]:
    if repeated:
        return [
            Message(
                "Rows of {table} that repeat another one in all columns, and were left out: {rows:,}.",
                {"table": table, "rows": repeated},
            )
        ]
    if twins and SHAPES[table].key is None:
        return [
            Message(
                "Lines of {table} that are the same as another one in all columns: {rows:,}. They are kept; make sure that nothing "
                "was exported twice.",
                {"table": table, "rows": twins},
            )
        ]
    return []
