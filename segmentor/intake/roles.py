"""The columns that have a role -> SQL of their typed values, and of the reason why a row cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from segmentor.config.values import shown
from segmentor.engine.duckdb import literal
from segmentor.errors import DataError

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine
    from segmentor.intake.raw import Column, RawTable

IDS = ("customer", "order", "product")
NUMBERS = ("quantity", "amount")
NUMBER_TYPE = "DECIMAL(18,4)"

FIRST_YEAR, LAST_YEAR = 1980, 2200
"""Years that a purchase may lie in; the calendars of Thailand and Taiwan lie outside."""

_PLACEHOLDERS = ("0001-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "9999-12-31")
_DAY = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_CLOCK = r"[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?"
_OFFSET = r" ?(Z|[+-]\d{2}(:?\d{2})?)"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?"
_NON_FINITE = r"(?i)[+-]?(nan|inf|infinity)"
_NESTED = re.compile(r"STRUCT|MAP|UNION|.*\[\d*\]$|LIST|VARIANT|JSON")


@dataclass(frozen=True, slots=True)
class TimeRules:
    """How the times of a table are read.

    Attributes:
        zone: Time zone of the shop.
        source_zone: Time zone of times written without one.
        date_format: Format of dates written as text; ``None`` for ISO dates.
        last_day: Last day that a row may lie on.
    """

    zone: str
    source_zone: str
    date_format: str | None
    last_day: date


@dataclass(frozen=True, slots=True)
class TypedRole:
    """A role's value, and why it may have none.

    Attributes:
        role: The role.
        column: The column that has it.
        value: SQL of the typed value, which may name the columns of ``parts``.
        parts: Name to SQL of intermediate values.
        reasons: Reason codes, each with the SQL condition under which it holds; the first that holds counts.
    """

    role: str
    column: Column
    value: str
    parts: Mapping[str, str]
    reasons: tuple[tuple[str, str], ...]


def typed_roles(
    raw: RawTable, roles: Mapping[str, str], *, required: Sequence[str], times: TimeRules, decimal: str, key: str
) -> tuple[TypedRole, ...]:
    """The roles of ``required`` and those of them that have a type, in a fixed order.

    Args:
        raw: The table as read.
        roles: Role to column name.
        required: Roles without which a row cannot be used; ids among them, and ``time``.
        times: How times are read.
        decimal: Decimal sign of numbers written as text.
        key: Key of the table in the config, such as ``data.transactions``.

    Raises:
        DataError: A column's type cannot have its role, or one column has two roles of different types.
    """
    typed: list[TypedRole] = []
    for role in ("customer", "time", *IDS[1:], *NUMBERS):
        if role not in roles:
            continue
        column = raw.column(roles[role])
        _refuse_nested(column, f"{key}.columns.{role}")
        if role in IDS:
            typed.append(_id(role, column, required=role in required))
        elif role in NUMBERS:
            typed.append(_number(role, column, decimal, f"{key}.columns.{role}"))
        else:
            typed.append(_time(column, times, f"{key}.columns.{role}"))
    _refuse_conflicts(typed, key)
    return tuple(typed)


def judge(engine: Engine, typed: Sequence[TypedRole]) -> None:
    """Make the table ``_judged`` of ``_raw``: one row each, with ``_value_<role>`` and ``_reason``.

    ``_reason`` is NULL for a row that can be used; the columns of ``_raw`` are kept.
    """
    parts = [f"{sql} AS {name}" for role in typed for name, sql in role.parts.items()]
    values = [f"{role.value} AS _value_{role.role}" for role in typed]
    reasons = [f"WHEN {condition} THEN {literal(code)}" for role in typed for code, condition in role.reasons]
    engine.execute(f"""
        CREATE OR REPLACE TEMP TABLE _judged AS
        WITH parts AS (SELECT {", ".join(["*", *parts])} FROM _raw),
        valued AS (SELECT {", ".join(["*", *values])} FROM parts)
        SELECT *, CASE {" ".join(reasons)} END AS _reason FROM valued""")


def _id(role: str, column: Column, *, required: bool) -> TypedRole:
    value = column.sql
    if column.type in ("FLOAT", "DOUBLE"):
        # A whole number that went through a float, as ids beside missing ones do in pandas.
        whole = f"{value} = floor({value}) AND abs({value}) < 9e15"
        value = f"CASE WHEN {whole} THEN {value}::BIGINT::VARCHAR WHEN isfinite({value}) THEN {value}::VARCHAR END"
    elif column.type != "VARCHAR":
        value = f"{value}::VARCHAR"
    missing = ((f"missing_{role}", f"_value_{role} IS NULL OR trim(_value_{role}) = ''"),) if required else ()
    return TypedRole(role, column, value if required else f"nullif({value}, '')", {}, missing)


def _number(role: str, column: Column, decimal: str, key: str) -> TypedRole:
    value = f"_value_{role}"
    if column.type == "VARCHAR":
        text = f"_text_{role}"
        written = f"nullif(trim({column.sql}), '')"
        if decimal == ",":
            written = f"replace(replace({written}, '.', '?'), ',', '.')"
        number = f"regexp_full_match({text}, {literal(_NUMBER)})"
        return TypedRole(
            role,
            column,
            f"CASE WHEN {number} THEN TRY_CAST({text} AS {NUMBER_TYPE}) END",
            {text: written},
            (
                (f"non_finite_{role}", f"regexp_full_match({text}, {literal(_NON_FINITE)})"),
                (f"unreadable_{role}", f"NOT {number}"),
                (f"{role}_out_of_range", f"{text} IS NOT NULL AND {value} IS NULL"),
            ),
        )
    if column.type.startswith(("DATE", "TIME", "BOOLEAN", "BLOB", "UUID", "INTERVAL")):
        raise DataError(
            f"{key}: column {shown(column.name)} holds {column.type} and no numbers; name another column, or derive one"
        )
    non_finite = f"NOT isfinite({column.sql})" if column.type in ("FLOAT", "DOUBLE") else "FALSE"
    return TypedRole(
        role,
        column,
        f"TRY_CAST({column.sql} AS {NUMBER_TYPE})",
        {},
        (
            (f"non_finite_{role}", non_finite),
            (f"{role}_out_of_range", f"{column.sql} IS NOT NULL AND {value} IS NULL"),
        ),
    )


def _time(column: Column, rules: TimeRules, key: str) -> TypedRole:
    """``_stated`` is the time as written (in UTC where it was written with an offset), ``_kind`` what it was written as."""
    written, stated, kind = _stated(column, rules, key)
    naive, zone = literal(rules.source_zone), literal(rules.zone)
    value = f"""CASE _kind WHEN 'day' THEN _stated
        WHEN 'naive' THEN {"_stated" if naive == zone else f"_stated AT TIME ZONE {naive} AT TIME ZONE {zone}"}
        WHEN 'offset' THEN _stated AT TIME ZONE 'UTC' AT TIME ZONE {zone} END"""
    placeholders = ", ".join(f"DATE {literal(day)}" for day in _PLACEHOLDERS)
    is_placeholder = f"_stated::DATE IN ({placeholders}) OR _stated = TIMESTAMP '1970-01-01 00:00:00'"
    reasons = (
        ("missing_time", "_written IS NULL"),
        ("placeholder_date", f"{is_placeholder} OR starts_with(_written, '0000-00-00')"),
        ("unreadable_date", "_value_time IS NULL OR NOT isfinite(_value_time)"),
        ("date_out_of_range", f"year(_value_time) NOT BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"),
        ("future_date", f"_value_time >= TIMESTAMP '{rules.last_day + timedelta(days=1)} 00:00:00'"),
    )
    return TypedRole("time", column, value, {"_written": written, "_kind": kind, "_stated": stated}, reasons)


def _stated(column: Column, rules: TimeRules, key: str) -> tuple[str, str, str]:
    """SQL of the text of a time, of its value as written, and of ``day``, ``naive`` or ``offset``."""
    sql, written = column.sql, f"nullif(trim({column.sql}::VARCHAR), '')"
    is_text = column.type == "VARCHAR" or (rules.date_format is not None and "INT" in column.type)
    if is_text and rules.date_format is not None:
        return written, *_formatted(f"trim({sql}::VARCHAR)", rules.date_format)
    if is_text:
        return written, *_iso(f"trim({sql})")
    if column.type == "DATE":
        return written, f"TRY_CAST({sql} AS TIMESTAMP)", "'day'"
    if "TIME ZONE" in column.type:
        return written, f"{sql} AT TIME ZONE 'UTC'", "'offset'"
    if column.type.startswith("TIMESTAMP"):
        return written, f"TRY_CAST({sql} AS TIMESTAMP)", "'naive'"
    raise DataError(
        f"{key}: column {shown(column.name)} holds {column.type} and no times; write it as a timestamp or as text, "
        "or give date_format where it holds days such as 20240131"
    )


def _iso(text: str) -> tuple[str, str]:
    normal = f"replace(replace(replace({text}, '/', '-'), 'T', ' '), ',', '.')"
    kind = f"""CASE WHEN regexp_full_match({text}, {literal(_DAY)}) THEN 'day'
        WHEN regexp_full_match({text}, {literal(_DAY + _CLOCK)}) THEN 'naive'
        WHEN regexp_full_match({text}, {literal(_DAY + _CLOCK + _OFFSET)}) THEN 'offset' END"""
    joined = rf"regexp_replace({normal}, ' ([Z+-])', '\1')"
    stated = f"""CASE WHEN _kind = 'offset' THEN TRY_CAST({joined} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
        WHEN _kind IS NOT NULL THEN TRY_CAST({normal} AS TIMESTAMP) END"""
    return stated, kind


def _formatted(text: str, date_format: str) -> tuple[str, str]:
    letters = set(re.findall("%(.)", date_format))
    parsed = f"try_strptime({text}, {literal(date_format)})"
    if letters & set("zZ"):
        return f"{parsed} AT TIME ZONE 'UTC'", "'offset'"
    return parsed, "'naive'" if letters & set("HI") else "'day'"


def _refuse_nested(column: Column, key: str) -> None:
    if _NESTED.match(column.type):
        raise DataError(
            f"{key}: column {shown(column.name)} holds {column.type}; a role needs single values: name another column, or derive one"
        )


def _refuse_conflicts(typed: Sequence[TypedRole], key: str) -> None:
    seen: dict[str, str] = {}
    for role in typed:
        kind = "id" if role.role in IDS else "number" if role.role in NUMBERS else "time"
        if seen.setdefault(role.column.name, kind) != kind:
            raise DataError(
                f"{key}.columns.{role.role}: column {shown(role.column.name)} has another role of another type; name another column, or derive a copy under another name"
            )
