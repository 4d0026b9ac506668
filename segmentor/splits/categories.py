"""The values of a column -> groups of customers: who has which, and the conditions that say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segmentor.config.values import MIXED
from segmentor.engine.duckdb import literal, quote
from segmentor.splits.attribute import NOT_KNOWN, Codes
from segmentor.splits.candidates import REST, group_names, written

OTHER, MISSING = "other", "missing"
"""Groups of the customers with a rare value, and of those with none."""


@dataclass(frozen=True, slots=True)
class Category:
    """A column whose values are groups.

    Attributes:
        column: Its name.
        kind: Of its values.
        values: Those that stand for themselves, the most frequent first.
        gaps: Whether the table has rows without a value.
        constant: Whether a customer has one value at most.
    """

    column: str
    kind: str
    values: tuple[str, ...]
    gaps: bool
    constant: bool


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of an attribute, in the order of their codes.

    Attributes:
        names: Unlike each other.
        conditions: In words of the config.
        stands: Whether the group against the rest says something: it is one value, or none.
        joint: Of the groups that are values, conditions that can be joined with those of other attributes.
    """

    names: tuple[str, ...]
    conditions: tuple[Any, ...]
    stands: tuple[bool, ...]
    joint: tuple[str, ...]


_MIXED, _MISSING = 1, 2
"""Places of several values and of none among the numbers after those of the values; 0 is another value."""


class _Conditions:
    """Conditions on which a customer is in the groups of a column.

    Of a column without gaps all lines say it; of one with gaps the share of those of which it is known, so that a gap is no value.
    """

    def __init__(self, category: Category) -> None:
        self._category = category
        self._column = written(category.column)

    def of(self, value: str) -> Any:
        """One value and no other."""
        if self._category.constant:
            return self._is(value)
        return f"{self._share(value)} = 1" if self._category.gaps else {"all": self._is(value)}

    def mixed(self) -> str:
        """Some value that stands for itself, beside others."""
        values = self._category.values
        if self._category.gaps:
            return f"{' + '.join(self._share(value) for value in values)} > 0"
        return f"{self._column} in ({', '.join(self._literal(value) for value in values)})"

    def missing(self) -> Any:
        """No value at all."""
        if self._category.constant:
            return f"{self._column} is null"
        return f"{self._share(self._category.values[0])} is null"

    def joint(self) -> tuple[str, ...]:
        """The conditions of the values, for joining with those of other attributes of the same time."""
        values = self._category.values
        if self._category.constant:
            return tuple(self._is(value) for value in values)
        return tuple(f"{self._share(value)} = 1" for value in values)

    def _is(self, value: str) -> str:
        return f"{self._column} = {self._literal(value)}"

    def _share(self, value: str) -> str:
        return quote(f"{self._category.column}: {value}")

    def _literal(self, value: str) -> str:
        return literal(value) if self._category.kind == "text" else value


def number_of_group(category: Category) -> str:
    """SQL aggregate over a customer's rows: number of the one value, or after all of them another, several, none."""
    text, n = f"cast({quote(category.column)} as text)", len(category.values)
    whens = " ".join(f"when {literal(value)} then {at}" for at, value in enumerate(category.values))
    code = f"case when {text} is not null then case {text} {whens} else {n} end end"
    return (
        f"cast(case when min({code}) is null then {n + _MISSING} when min({code}) = max({code}) then min({code})\n"
        f"    else {n + _MIXED} end as smallint)"
    )


def groups_of(category: Category, raw: Codes, *, least: int) -> tuple[Codes, Groups]:
    """Groups in the order of their codes: the values, then several of them, none, and whoever is left.

    Of the last three those of fewer than ``least`` customers are one, ``OTHER``.

    Args:
        category: The column.
        raw: By ``customer_no``, what ``number_of_group`` gives, ``NOT_KNOWN`` where there is no row.
        least: Customers.
    """
    n = len(category.values)
    sizes = np.bincount(raw[raw >= 0], minlength=n + 3)
    own = [group for group in (n + _MIXED, n + _MISSING) if sizes[group] >= least]
    left = int(sizes[n:].sum() - sum(sizes[group] for group in own))
    order = [*range(n), *own]
    code_of = np.full(n + 3, len(order), dtype=np.int16)
    code_of[order] = np.arange(len(order))
    codes = np.where(raw < 0, NOT_KNOWN, code_of[raw]).astype(np.int16)
    further = {n + _MIXED: MIXED, n + _MISSING: MISSING}
    words = _Conditions(category)
    unique = [unlike(further[group], category.values) for group in own] + (
        [unlike(OTHER, category.values)] if left else []
    )
    names = [*group_names(category.values, unique), *unique]
    conditions: list[Any] = [words.of(value) for value in category.values]
    conditions += [words.mixed() if group == n + _MIXED else words.missing() for group in own]
    conditions += [REST] if left else []
    stands = [True] * n + [group == n + _MISSING for group in own] + [False] * bool(left)
    return codes, Groups(tuple(names), tuple(conditions), tuple(stands), words.joint())


def unlike(name: str, taken: Iterable[str]) -> str:
    """The name, or a longer one where a value is called so."""
    lower = {one.lower() for one in taken}
    while name in lower:
        name = f"{name} values"
    return name
