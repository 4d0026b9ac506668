"""What is decided about purchase lines, and counts of the lines by the values of a column, on which decisions rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segmentor.engine.duckdb import literal
from segmentor.starting.columns import Column
from segmentor.starting.reading import Looked
from segmentor.starting.times import TimeColumn
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

FEW = 0.01
"""Share of exceptions that does not refuse a column."""

GUESTS = (
    *("0", "-1", "guest", "guest checkout", "gast", "invite", "invité", "invitado", "ospite", "anonymous", "anonym"),
    *(
        "unknown",
        "none",
        "null",
        "n/a",
        "na",
        "nan",
        "walk-in",
        "-",
        "--",
        "游客",
        "匿名",
        "匿名买家",
        "散客",
        "非会员",
    ),
)
"""What stands in the place of a customer's id where there is none."""


def is_nobody(column: Column) -> str:
    """SQL for whether one of ``GUESTS`` stands in a column."""
    return f"lower({column.sql}) IN ({', '.join(literal(word) for word in GUESTS)})"


@dataclass(frozen=True, slots=True)
class Choice:
    """A column for a role.

    Attributes:
        role: The role.
        column: Its column.
        reason: Why.
    """

    role: str
    column: str
    reason: Message


@dataclass(slots=True)
class Lines:
    """What was decided about purchase lines.

    Attributes:
        looked: The table.
        columns: Its columns.
        decimal: Their decimal sign.
        time: The time of purchase.
        choices: Roles with their columns, in the order of the config.
        notes: Why roles were left out, by role.
        derive: Name to SQL expression of a column to compute, with the reason.
    """

    looked: Looked
    columns: tuple[Column, ...]
    decimal: str
    time: TimeColumn
    choices: list[Choice] = field(default_factory=list)
    notes: dict[str, Message] = field(default_factory=dict)
    derive: dict[str, tuple[str, Message]] = field(default_factory=dict)

    def column(self, role: str) -> Column | None:
        """The column of a role; ``None`` where it has none, or one that is computed."""
        name = self.roles.get(role)
        return next((one for one in self.columns if one.name == name), None)

    @property
    def roles(self) -> dict[str, str]:
        """Role to column."""
        return {choice.role: choice.column for choice in self.choices}

    @property
    def taken(self) -> frozenset[str]:
        """Columns with a role."""
        return frozenset(self.roles.values())


@dataclass(frozen=True, slots=True)
class Groups:
    """The lines by the values of a column.

    Attributes:
        values: Different values.
        returning: Those that occur on two days or more.
        several_times: Those with two different times.
        several_lines: Those with two lines or more.
    """

    values: int
    returning: int
    several_times: int
    several_lines: int


@dataclass(slots=True)
class Grouped:
    """The lines by the values of their columns, each column counted once.

    Attributes:
        engine: Holds the table.
        looked: The table.
        time: The time of purchase.
    """

    engine: Engine
    looked: Looked
    time: TimeColumn
    _found: dict[str, Groups] = field(default_factory=dict)

    def by(self, column: Column) -> Groups:
        """Counts of the values of a column."""
        if column.name not in self._found:
            day, time, value = self.time.day_sql, self.time.time_sql, column.sql
            row = self.engine.rows(
                "SELECT count(*), count(*) FILTER (days > 1), count(*) FILTER (times > 1), count(*) FILTER (lines > 1) FROM (\n"
                f"  SELECT count(DISTINCT {day}) AS days, count(DISTINCT {time}) AS times, count(*) AS lines FROM {self.looked.table}\n"
                f"  WHERE {value} IS NOT NULL GROUP BY {value})"
            )[0]
            self._found[column.name] = Groups(*row)
        return self._found[column.name]

    def mixed(self, key: Column, column: Column) -> float:
        """Share of the values of ``key`` that have several of ``column``."""
        groups, mixed = self.engine.rows(
            f"SELECT count(*), count(*) FILTER (n > 1) FROM (SELECT count(DISTINCT {column.sql}) AS n FROM {self.looked.table} "
            f"WHERE {key.sql} IS NOT NULL GROUP BY {key.sql})"
        )[0]
        return mixed / groups if groups else 1.0
