"""The columns of a table that was looked at -> what their values are like, by which a heading is borne out or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.engine.duckdb import literal
from segmentor.starting.headings import Meaning, meaning
from segmentor.starting.reading import Field, Looked

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

POINT = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?"
COMMA = r"[+-]?\d+(,\d+)?"
_THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+"
_WHOLE = r"[+-]?\d+([.,]0*)?"
_MONEY = r"[^\d]{0,4}\d[\d.,' ]*[^\d]{0,4}"
_DATED = (
    r"['\s]*(\d{1,4}[-/.年]\s?\d{1,2}[-/.月]\s?\d{1,4}.*|\d{8}|\d{14}|\d{1,2}[ -]\p{L}{3,9}\.?[ -]\d{2,4}.*|"
    r"\p{L}{3,9} \d{1,2}, \d{4}.*)"
)
_FRACTION = r"[+-]?\d*[.,]\d*[1-9]\d*"
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_PHONE = r"['\s]*[+(]?\d[\d ()./-]{6,20}"
_NUMBER = "try_cast(replace(v, ',', '.') AS DOUBLE)"

_COUNTED = (
    *("known", "different", "numbers", "commas", "thousands", "whole", "fractions", "negative", "money", "dated"),
    *("emails", "phones"),
)

NUMBERS = 0.99
"""Share of a column's values that must be numbers for it to be one of numbers."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column with what its values are like; counts are of lines.

    Attributes:
        field: Where it is.
        meaning: What its heading says.
        known: Lines with a value.
        different: Different values.
        numbers: Values that are numbers with a decimal point.
        commas: Values that are numbers with a decimal comma.
        thousands: Values such as 1,234 that are either.
        whole: Values that are whole numbers.
        fractions: Values with a fraction other than 0.
        negative: Values that begin with a minus.
        money: Values that hold a number and signs.
        dated: Values that look like days.
        emails: Values that look like e-mail addresses.
        phones: Values that look like telephone numbers.
        length: Mean length.
        largest: Largest number; ``None`` where there is none.
        middle: Their median.
    """

    field: Field
    meaning: Meaning
    known: int
    different: int
    numbers: int
    commas: int
    thousands: int
    whole: int
    fractions: int
    negative: int
    money: int
    dated: int
    emails: int
    phones: int
    length: float
    largest: float | None
    middle: float | None

    @property
    def name(self) -> str:
        """Its heading."""
        return self.field.name

    @property
    def sql(self) -> str:
        """Its values in the engine."""
        return self.field.sql

    @property
    def kind(self) -> str:
        """What its heading says."""
        return self.meaning.kind

    def is_number(self, decimal: str) -> bool:
        """Whether its values are numbers with that decimal sign."""
        return 0 < NUMBERS * self.known <= (self.numbers if decimal == "." else self.commas)

    @property
    def is_measured(self) -> bool:
        """Whether many of its values are numbers with a fraction, as no id is."""
        return self.fractions > 0.05 * self.known

    @property
    def is_email(self) -> bool:
        """Whether its values are e-mail addresses."""
        return self.emails > 0.8 * self.known > 0


def profile(engine: Engine, looked: Looked) -> tuple[Column, ...]:
    """Every column of a table with what its values are like."""
    # Patterns are compiled once for all columns, and looked for once in each value.
    values = " UNION ALL ".join(
        f"SELECT {place} AS place, {field.sql} AS v, count(*) AS n FROM {looked.table} WHERE {field.sql} IS NOT NULL GROUP BY 2"
        for place, field in enumerate(looked.fields)
    )
    patterns = (POINT, COMMA, _THOUSANDS, _WHOLE, _FRACTION, "-.*", _MONEY, _DATED, _EMAIL, _PHONE)
    counts = ", ".join(
        f"CAST(coalesce(sum(n) FILTER (regexp_full_match(v, {literal(pattern)})), 0) AS BIGINT)" for pattern in patterns
    )
    rows = engine.rows(
        f"SELECT place, CAST(sum(n) AS BIGINT), count(*), {counts}, CAST(sum(n * length(v)) / sum(n) AS DOUBLE), "
        f"max({_NUMBER}) FILTER (isfinite({_NUMBER})) FROM ({values}) GROUP BY place"
    )
    found = {row[0]: row[1:] for row in rows}
    middles = _middles(engine, looked)
    columns = []
    for place, field in enumerate(looked.fields):
        *numbers, length, largest = found.get(place, (*(0 for _ in _COUNTED), 0.0, None))
        counted = dict(zip(_COUNTED, numbers, strict=True))
        columns.append(
            Column(field, meaning(field.name), **counted, length=length, largest=largest, middle=middles[place])
        )
    return tuple(columns)


def _middles(engine: Engine, looked: Looked) -> tuple[float | None, ...]:
    """Median of the numbers of each column."""
    numbers = [_NUMBER.replace("(v,", f"({field.sql},") for field in looked.fields]
    parts = ", ".join(f"median({number}) FILTER (isfinite({number}))" for number in numbers)
    return tuple(engine.rows(f"SELECT {parts} FROM {looked.table}")[0])


def values_of(engine: Engine, looked: Looked, column: str, *, most: int) -> list[tuple[str, int]]:
    """The most frequent values with their lines, most first."""
    return engine.rows(
        f"SELECT {column}, count(*) FROM {looked.table} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most}"
    )


def decimal_of(columns: Sequence[Column]) -> str:
    """The decimal sign of a table: a comma where columns with fractions are only so numbers, else a point."""
    points = [one for one in columns if one.is_measured and one.is_number(".")]
    commas = [one for one in columns if one.is_measured and one.is_number(",") and one.thousands < 0.9 * one.fractions]
    return "," if len(commas) > len(points) else "."
