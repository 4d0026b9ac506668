"""The declared files -> tables of typed rows in the engine, a quarantine of those that cannot be used, and an account of all.

``files`` finds them, ``delimited`` reads text files, ``raw`` makes the all-text table, ``roles`` gives columns with a role
their type, ``quarantine`` keeps what does not fit, ``notices`` says what looks odd.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from segmentor.config.values import nearest, shown
from segmentor.engine.conditions import columns_of, rewritten
from segmentor.engine.duckdb import quote
from segmentor.errors import DataError, EngineError, ResourceError
from segmentor.intake.files import InputFile, find_files, refuse_changed
from segmentor.intake.notices import notices
from segmentor.intake.quarantine import refuse_too_many, reject_rows, write_quarantine
from segmentor.intake.raw import RawTable, read_raw
from segmentor.intake.roles import TimeRules, TypedRole, judge, typed_roles
from segmentor.result import InputQuality

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig, Table
    from segmentor.engine.duckdb import Engine

__all__ = ["Intake", "input_files", "load_tables"]

_KEYS = {"products": "product", "customers": "customer"}
"""Tables that lines are joined with, and the role by which."""

_TYPED = {
    "transactions": ("customer", "time", "order", "product", "quantity", "amount"),
    "products": ("product",),
    "customers": ("customer",),
}
_REQUIRED = {"transactions": ("customer", "time"), "products": ("product",), "customers": ("customer",)}


@dataclass(frozen=True, slots=True)
class Intake:
    """What was read.

    Attributes:
        inputs: Account of each declared table.
        warnings: Sentences on what looks odd.
    """

    inputs: dict[str, InputQuality]
    warnings: tuple[str, ...]


def input_files(config: ExperimentConfig) -> tuple[Path, ...]:
    """The files that the engine itself reads, and so has to be allowed: those in Parquet.

    Raises:
        DataError: A declared file is missing or of a kind that cannot be read.
    """
    found = (_files(config, table, section) for table, section in _declared(config).items())
    return tuple(file.path for files in found for file in files if file.kind == "parquet")


def load_tables(
    engine: Engine, config: ExperimentConfig, *, quarantine: Path, progress: Callable[[str], None]
) -> Intake:
    """Make the tables ``transactions``, ``products`` and ``customers``, as far as they are declared.

    Each has one row per row of its files that can be used and fulfils ``where``, under the files' column names. Ids are
    exact text, ``time`` is a TIMESTAMP in the zone of the shop, ``quantity`` and ``amount`` are DECIMAL(18,4) and may be
    NULL. Other columns are text as it stands, or have their Parquet type. ``products`` and ``customers`` have one row a key;
    rows that repeat another one in all columns count as filtered.

    A row dated later than ``cycle.observed_until`` cannot be used; where that is not set, one dated later than today in the
    shop. So set ``observed_until`` for a run that never looks at the clock.

    Args:
        engine: Opened with ``input_files`` of the same config.
        config: The experiment.
        quarantine: Folder for ``<table>.csv``, the rows that cannot be used; made if need be.
        progress: Told what is being read.

    Raises:
        DataError: The data cannot be used as declared.
    """
    inputs: dict[str, InputQuality] = {}
    warnings: list[str] = []
    for table, section in _declared(config).items():
        progress(f"reading {table}")
        inputs[table], found = _load(engine, config, table, section, quarantine / f"{table}.csv")
        warnings += found
    return Intake(inputs, (*warnings, *notices(engine, config)))


def _declared(config: ExperimentConfig) -> dict[str, Table]:
    sections: dict[str, Table | None] = {
        "transactions": config.data.transactions,
        "products": config.data.products,
        "customers": config.data.customers,
    }
    return {table: section for table, section in sections.items() if section is not None}


def _files(config: ExperimentConfig, table: str, section: Table) -> tuple[InputFile, ...]:
    return find_files(section.path, config.folder, key=f"data.{table}.path")


def _load(
    engine: Engine, config: ExperimentConfig, table: str, section: Table, quarantine: Path
) -> tuple[InputQuality, list[str]]:
    files = _files(config, table, section)
    raw = read_raw(engine, files, section, key=f"data.{table}")
    refuse_changed(files)
    typed = typed_roles(
        raw,
        {role: name for role, name in section.columns.items() if role in _TYPED[table]},
        required=_REQUIRED[table],
        times=_time_rules(config, section),
        decimal=section.decimal,
        key=f"data.{table}",
    )
    judge(engine, typed)
    _refuse_zoneless(engine, config, raw, typed)
    rejected = reject_rows(engine, raw)
    write_quarantine(engine, raw, quarantine)
    refuse_too_many(engine, raw, section, typed, rejected, table=table, most=config.data.max_quarantined)
    filtered, repeated = _keep(engine, table, section, raw, typed)
    kept = int(engine.scalar(f"SELECT count(*) FROM {table}"))
    fingerprint, twins = _fingerprint(engine, raw)
    quality = InputQuality(
        read=raw.records,
        kept=kept,
        filtered=filtered,
        quarantined=sum(reason.rows for reason in rejected),
        reasons={reason.reason: reason.rows for reason in sorted(rejected, key=lambda reason: reason.reason)},
        fingerprint=fingerprint,
    )
    _check_account(table, quality)
    for scaffold in ("_raw", "_rejected", "_judged"):
        engine.execute(f"DROP TABLE {scaffold}")
    return quality, _repeats(table, twins, repeated)


def _keep(engine: Engine, table: str, section: Table, raw: RawTable, typed: tuple[TypedRole, ...]) -> tuple[int, int]:
    """Make the table of the rows that can be used; how many were filtered, and how many of these repeat another row."""
    by_column = {role.column.name: f"_value_{role.role}" for role in typed}
    fields = ", ".join(f"{by_column.get(column.name, column.sql)} AS {quote(column.name)}" for column in raw.columns)
    usable = f"SELECT {fields} FROM _judged WHERE _reason IS NULL"
    condition = _where(section, raw, table)
    distinct = "DISTINCT" if table in _KEYS else ""
    try:
        engine.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT {distinct} * FROM ({usable}) WHERE {condition}")
        passed, left_out = engine.rows(
            f"SELECT count(*) FILTER ({condition}), count(*) FILTER (({condition}) IS NOT TRUE) FROM ({usable})"
        )[0]
    except ResourceError:
        raise
    except EngineError as error:
        if section.where is None:
            raise
        raise DataError(f"data.{table}.where: {shown(section.where)} fails: {str(error).splitlines()[0]}") from None
    repeated = 0
    if table in _KEYS:
        _refuse_twin_keys(engine, table, section, raw)
        repeated = passed - int(engine.scalar(f"SELECT count(*) FROM {table}"))
    return left_out + repeated, repeated


def _where(section: Table, raw: RawTable, table: str) -> str:
    if section.where is None:
        return "TRUE"
    names = {column.name.lower() for column in raw.columns}
    roles = {role.lower(): name for role, name in section.columns.items() if role.lower() not in names}
    key = f"data.{table}.where"
    try:
        used = columns_of(section.where)
        condition = rewritten(section.where, roles)
    except ValueError as error:
        raise DataError(f"{key}: {error}") from None
    for name in used:
        if name.lower() not in names and name.lower() not in roles:
            guess = nearest(name, [*names, *roles])
            mend = f"; did you mean {shown(guess)}?" if guess else f"; the columns are {', '.join(sorted(names))}"
            raise DataError(f"{key}: there is no column {shown(name)}{mend}")
    return f"({condition})"


def _refuse_twin_keys(engine: Engine, table: str, section: Table, raw: RawTable) -> None:
    key = quote(section.columns[_KEYS[table]])
    twins = engine.scalar(f"SELECT count(*) FROM (SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1)")
    if not twins:
        return
    value = f"_value_{_KEYS[table]}"
    first = engine.scalar(
        f"SELECT min((file_no, line_no)) FROM _judged WHERE _reason IS NULL AND {value} IN "
        f"(SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1)"
    )
    raise DataError(
        f"data.{table}: a join would multiply rows: {twins:,} {'key has' if twins == 1 else 'keys have'} several different "
        f"rows, one of them at {raw.place(*first)}; keep one row for each {_KEYS[table]}, or leave the others out with where"
    )


def _time_rules(config: ExperimentConfig, section: Table) -> TimeRules:
    zone = config.data.timezone
    return TimeRules(
        zone=zone,
        source_zone=config.data.source_timezone or zone,
        date_format=section.date_format,
        last_day=config.cycle.observed_until or _today(zone),
    )


def _today(zone: str) -> date:
    return datetime.now(ZoneInfo(zone)).date()


def _refuse_zoneless(engine: Engine, config: ExperimentConfig, raw: RawTable, typed: tuple[TypedRole, ...]) -> None:
    if "timezone" in config.data.model_fields_set or not any(role.role == "time" for role in typed):
        return
    first = engine.scalar("SELECT min((file_no, line_no)) FROM _judged WHERE _kind = 'offset'")
    if first is not None:
        raise DataError(
            f"{raw.place(*first)}: a time with an offset from UTC: whose day is it? Write data.timezone, the zone of the shop, "
            "such as Europe/Paris"
        )


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
            f"{quality.quarantined:,} quarantined)"
        )


def _fingerprint(engine: Engine, raw: RawTable) -> tuple[str, int]:
    """Hash of the rows whatever their order and their files; and how many rows repeat another one in all columns."""
    columns = sorted(raw.columns, key=lambda column: column.name)
    row = f"concat_ws(chr(31), {', '.join(f'coalesce({column.sql}::VARCHAR, chr(30))' for column in columns)})"
    sums = (
        "count(*), sum((digest >> 64)::HUGEINT), sum((digest & 18446744073709551615)::HUGEINT), count(DISTINCT digest)"
    )
    rows = engine.rows(f"SELECT {sums} FROM (SELECT md5_number({row}) AS digest FROM _raw)")[0]
    rejects = engine.rows(f"SELECT {sums} FROM (SELECT md5_number(row) AS digest FROM _rejected)")[0]
    names = [column.name for column in columns]
    return hashlib.sha256(repr((names, rows[:3], rejects[:3])).encode()).hexdigest(), rows[0] - rows[3]


def _repeats(table: str, twins: int, repeated: int) -> list[str]:
    if repeated:
        return [f"Rows of {table} that repeat another one in all columns, and were left out: {repeated:,}."]
    if twins and table not in _KEYS:
        mend = "They are kept; make sure that nothing was exported twice."
        return [f"Lines of {table} that are the same as another one in all columns: {twins:,}. {mend}"]
    return []
