"""Columns that look like days -> the format in which the config has to read them, and the zone of the shop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from segmentor.engine.duckdb import literal
from segmentor.intake.raw import Column as RawColumn
from segmentor.intake.raw import RawTable
from segmentor.intake.roles import TimeRules, typed_roles
from segmentor.starting.columns import Column
from segmentor.starting.reading import Looked
from segmentor.starting.reasons import Values
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

READABLE = 0.99
"""Share of a column's values that must be times."""

_TRIED = 3_000
"""Different values on which formats are tried."""

_TASTED = 20
"""Different values on which formats are tried first."""

_DAYS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y"),
    *("%m.%d.%Y", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y"),
    *("%d-%b-%y", "%Y-%d-%m"),
)
_CLOCKS = (
    *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", ", %H:%M", ", %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %I:%M %p"),
    *(", %I:%M:%S %p", " %H:%M:%S %z", " %H:%M %z", "T%H:%M:%S", "%H%M%S"),
)

_ZONES = (
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "America/New_York", "America/Chicago"),
    *("America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Toronto", "America/Sao_Paulo"),
    *("America/Mexico_City", "America/Bogota", "America/Halifax", "America/Anchorage", "Pacific/Honolulu"),
    *("Asia/Shanghai", "Asia/Tokyo", "Asia/Kolkata", "Asia/Dubai", "Asia/Jakarta", "Asia/Karachi", "Asia/Dhaka"),
    *("Africa/Johannesburg", "Africa/Lagos", "Australia/Sydney", "Australia/Brisbane", "Australia/Adelaide"),
    *("Australia/Perth", "Pacific/Auckland", "Asia/Jerusalem", "Asia/Kathmandu", "UTC"),
)
"""Zones that are tried, the more likely of those with the same offsets first."""


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column of times.

    Attributes:
        column: The column.
        date_format: What the config has to say; ``None`` where its values are read without.
        reason: Why that format; ``None`` where there is none.
        day_sql: SQL of the day as written, over the table that was looked at.
        time_sql: SQL of the time as written.
        readable: Lines with a time that can be read.
        days: Different days.
        first: First day.
        last: Last day.
        with_offset: Times written with an offset from UTC.
    """

    column: Column
    date_format: str | None
    reason: Message | None
    day_sql: str
    time_sql: str
    readable: int
    days: int
    first: dt.date
    last: dt.date
    with_offset: int


def time_column(engine: Engine, looked: Looked, column: Column, *, month_first: bool) -> TimeColumn | str:
    """A column's times, or why it has none.

    Args:
        engine: Holds the table.
        looked: The table.
        column: The column.
        month_first: Which order of day and month to take where the values allow both.
    """
    typed = column.field.type
    if column.known == 0:
        return "is empty"
    if typed.startswith(("DATE", "TIMESTAMP")) or _share(engine, looked, column, None) >= READABLE:
        return _measured(engine, looked, column, None, None)
    if column.dated < READABLE * column.known:
        numbers = column.whole == column.known and (column.middle or 0) > 1e8
        seconds = ", but whole numbers, perhaps seconds since 1970: export them as 2024-01-31 10:15" if numbers else ""
        return (
            f"holds no dates{seconds}"
            if not column.dated or seconds
            else f"holds dates in only {column.dated / column.known:.0%} of its values"
        )
    formats = _fitting(engine, looked, column)
    if not formats:
        return "holds dates in no single format that can be read"
    best, reason = _chosen(engine, looked, column, formats, month_first=month_first)
    if _share(engine, looked, column, best) < READABLE:
        return f"holds dates, but fewer than {READABLE:.0%} of them as {best}"
    return _measured(engine, looked, column, best, reason)


def _fitting(engine: Engine, looked: Looked, column: Column) -> list[str]:
    """Formats in which the values can be read."""
    few = [value for (value,) in engine.rows(f"{_distinct(looked, column)} LIMIT {_TASTED}")]
    tried = [one for day, clock in product(_DAYS, _CLOCKS) if _is_likely(one := f"{day}{clock}", few)]
    if not tried:
        return []
    last = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    read = ", ".join(
        f"count(*) FILTER (CAST(try_strptime(v, {literal(one)}) AS TIMESTAMP) BETWEEN TIMESTAMP '1980-01-01' AND TIMESTAMP '{last} 23:59:59')"
        for one in tried
    )
    values = f"{_distinct(looked, column)} LIMIT {_TRIED}"
    total, *counts = engine.rows(f"SELECT count(*), {read} FROM ({values})")[0]
    return [one for one, count in zip(tried, counts, strict=True) if count >= READABLE * total]


def _distinct(looked: Looked, column: Column) -> str:
    """SELECT of the different values in an order that is none of theirs."""
    return (
        f"SELECT DISTINCT trim({column.sql}) AS v FROM {looked.table} WHERE {column.sql} IS NOT NULL ORDER BY md5(v), v"
    )


def _is_likely(date_format: str, values: Sequence[str]) -> bool:
    """Whether Python reads most of some values so; whether the engine reads all of them so costs more."""
    return 2 * sum(_reads(value, date_format) for value in values) > len(values)


def _reads(value: str, date_format: str) -> bool:
    try:
        dt.datetime.strptime(value, date_format)  # noqa: DTZ007 - only whether it can be read is asked
    except ValueError:
        return False
    return True


def _chosen(
    engine: Engine, looked: Looked, column: Column, formats: Sequence[str], *, month_first: bool
) -> tuple[str, Message]:
    """The format of several that fit, and why."""
    (example,) = engine.rows(f"SELECT min({column.sql}) FROM {looked.table}")[0]
    if len(formats) == 1:
        return formats[0], _decided(formats[0], example)
    days = [one for one in formats if one.startswith(("%d", "%Y-%d"))]
    months = [one for one in formats if one.startswith(("%m", "%Y-%m"))]
    if days and months:
        said = {"column": column.name, "example": example, "other": (days if month_first else months)[0]}
        if month_first:
            return months[0], Message(
                'AMBIGUOUS: no day above 12 in {column}, such as {example}; read with the month first. If that is wrong, write "{other}"',
                said,
            )
        return days[0], Message(
            'AMBIGUOUS: no day above 12 in {column}, such as {example}; read with the day first. If that is wrong, write "{other}"',
            said,
        )
    return formats[0], _decided(formats[0], example)


def _decided(date_format: str, example: str) -> Message:
    said = {"example": example}
    if date_format.startswith("%d") and "%m" in date_format:
        return Message("the day stands first: {example} and others cannot be read otherwise", said)
    if date_format.startswith("%m"):
        return Message("the month stands first: {example} and others cannot be read otherwise", said)
    return Message("dates are written as {example}", said)


def _parts(looked: Looked, column: Column, date_format: str | None) -> tuple[str, str, str]:
    """SELECT of the table with what intake makes of the column, its time as written, and the condition that it can be read."""
    kind = column.field.type if "INT" in column.field.type and date_format else "VARCHAR"
    raw = RawTable(looked.files, (RawColumn(column.name, kind, column.sql),), looked.rows)
    last = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    times = TimeRules(zone="UTC", source_zone="UTC", date_format=date_format, last_day=last)
    (typed,) = typed_roles(
        raw, {"time": column.name}, required=("time",), times=times, decimal=".", key=f"data.{looked.table}"
    )
    parts = ", ".join(f"{sql} AS {name}" for name, sql in typed.parts.items())
    select = f"SELECT *, {typed.value} AS _value_time FROM (SELECT *, {parts} FROM {looked.table})"
    bad = " OR ".join(f"coalesce({condition}, FALSE)" for _, condition in typed.reasons)
    return select, typed.value, f"NOT ({bad})"


def _share(engine: Engine, looked: Looked, column: Column, date_format: str | None) -> float:
    """Share of the column's values that intake reads as times."""
    select, _, readable = _parts(looked, column, date_format)
    return int(engine.scalar(f"SELECT count(*) FROM ({select}) WHERE {readable}")) / column.known


def _measured(
    engine: Engine, looked: Looked, column: Column, date_format: str | None, reason: Message | None
) -> TimeColumn | str:
    """The column's times; makes its columns ``t<column>`` (as written where there is no offset, else UTC) and ``d<column>``."""
    select, _, readable = _parts(looked, column, date_format)
    time, day = f"t{column.sql}", f"d{column.sql}"
    engine.execute(
        f"CREATE OR REPLACE TABLE {looked.table} AS SELECT * EXCLUDE (_written, _kind, _stated, _value_time), "
        f"CASE WHEN {readable} THEN _value_time END AS {time}, CASE WHEN {readable} THEN CAST(_stated AS DATE) END AS {day}, "
        f"_kind = 'offset' AS o{column.sql} FROM ({select})"
    )
    count, days, first, last, offsets = engine.rows(
        f"SELECT count({time}), count(DISTINCT {day}), min({day}), max({day}), count(*) FILTER (o{column.sql}) FROM {looked.table}"
    )[0]
    if count < READABLE * column.known:
        return f"holds dates, but only {count / column.known:.0%} of them can be read"
    if days < 2:
        return "has the same day on every line"
    return TimeColumn(column, date_format, reason, day, time, count, days, first, last, offsets)


def zone_of(engine: Engine, looked: Looked, time: TimeColumn) -> tuple[str, Message]:
    """A zone whose offsets are those of the times, and the reason for it."""
    offset = f"regexp_extract({time.column.sql}, '([+-]\\d\\d):?(\\d\\d)?$|Z$', 0)"
    hours = (
        f"SELECT DISTINCT date_trunc('hour', {time.time_sql}) AS hour, {offset} AS stated FROM {looked.table} "
        f"WHERE o{time.column.sql} AND {time.time_sql} IS NOT NULL"
    )
    rows = engine.rows(f"SELECT hour, stated FROM ({hours}) ORDER BY md5(CAST(hour AS VARCHAR)), 1, 2 LIMIT {_TRIED}")
    stated = [(moment, _minutes(text)) for moment, text in rows]
    said: Values = {"column": time.column.name}
    if all(minutes == 0 for _, minutes in stated):
        return "UTC", Message(
            "all times of {column} are in UTC; write the zone of the shop, whose calendar days count", said
        )
    for zone in _zones(stated):
        if all(_offset(zone, moment) == minutes for moment, minutes in stated):
            said |= {"offsets": tuple(sorted({text or "Z" for _, text in rows}))}
            return zone, Message(
                "the offsets of {column} ({offsets}) are those of this zone on each day looked at", said
            )
    return "UTC", Message(
        "the offsets of {column} fit no single zone; write that of the shop, whose calendar days count", said
    )


def _zones(stated: Sequence[tuple[dt.datetime, int]]) -> Iterator[str]:
    yield from _ZONES
    minutes = stated[0][1] if stated else 0
    if minutes % 60 == 0 and abs(minutes) <= 12 * 60:
        yield f"Etc/GMT{-minutes // 60:+d}"


def _offset(zone: str, moment: dt.datetime) -> int | None:
    shift = moment.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return None if shift is None else int(shift.total_seconds()) // 60


def _minutes(text: str) -> int:
    digits = text.replace(":", "").removesuffix("Z")
    if not digits:
        return 0
    sign = -1 if digits[0] == "-" else 1
    return sign * (60 * int(digits[1:3]) + int(digits[3:5] or 0))
