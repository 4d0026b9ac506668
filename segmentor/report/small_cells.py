"""Counts of customers -> what of them may be shown: no small count, and none that could be had from others.

A count is hidden where it is small, and said roughly where it would give a hidden one away. What gives away is told by lines: a line
is a set of counts of which one is the sum of the others, or whose total may be known: a row, a column, the groups of a split, a part of
the tree with those below it. One rule holds for all tables of a page: the size of a group that is said roughly in one is said so in
every other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from segmentor.report.numbers import count
from segmentor.wording import gettext


@dataclass(frozen=True, slots=True)
class Counts:
    """How counts of customers are shown: ``612``, ``about 600`` or ``fewer than 10``.

    Attributes:
        min_cell: Counts from 1 to below it are hidden.
        rough: Counts that are said roughly wherever they stand.
    """

    min_cell: int
    rough: frozenset[int]

    @classmethod
    def of(cls, lines: Iterable[Sequence[int]], min_cell: int, *, rough: Collection[int] = ()) -> Self:
        """The rule for counts that stand in these lines.

        No line has exactly one count that is not exact, unless the others in it are zero: the smallest of the others is then said
        roughly too, here and in all lines that hold it.

        Args:
            lines: Counts that add up.
            min_cell: Counts from 1 to below it are hidden.
            rough: Counts that are said roughly elsewhere.
        """
        distinct = {tuple(sorted(number for number in line if number > 0)) for line in lines}
        veiled = set(rough)
        while more := {number for line in distinct if (number := _to_veil(line, veiled, min_cell)) is not None}:
            veiled |= more
        return cls(min_cell, frozenset(veiled))

    def __call__(self, number: int) -> str:
        """A count as it may be shown."""
        if 0 < number < self.min_cell:
            return gettext("fewer than {number}").format(number=self.min_cell)
        return count(number) if self.exact(number) else _about(number, self.min_cell)

    def exact(self, number: int) -> bool:
        """Whether the count itself is shown."""
        return number == 0 or (number >= self.min_cell and number not in self.rough)


def is_exact(shown: str) -> bool:
    """Whether a shown count is the count itself."""
    return shown[:1].isdigit()


def _about(number: int, min_cell: int) -> str:
    """A count said so roughly that a small one cannot be had as a total less it."""
    step = 2 * min_cell
    return gettext("about {number}").format(number=count(max(round(number / step), 1) * step))


def _to_veil(line: Sequence[int], rough: Collection[int], min_cell: int) -> int | None:
    """The count that has to be said roughly, so that the one in the line that is not exact cannot be had from the total."""
    exact = [number for number in line if number >= min_cell and number not in rough]
    return min(exact) if exact and len(line) - len(exact) == 1 else None
