"""Tables of customers -> what of them may be shown: no small count, and none that could be had from totals.

A count is hidden where it is small, and said roughly where it would give a hidden one away. A line is a set of counts whose total
may be known: a row, a column, the diagonal, a part of the tree with those below it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from segmentor.report.numbers import count


def shown_count(number: int, min_cell: int) -> str:
    """A count of customers, or that it is below ``min_cell``."""
    return f"fewer than {min_cell}" if 0 < number < min_cell else count(number)


def shown_counts(counts: Sequence[int], min_cell: int) -> list[str]:
    """Counts of customers that add up to a known total, small ones hidden.

    A single small count could be had as the total less the others; so the smallest of the others is rounded too.

    Args:
        counts: Customers by part.
        min_cell: Counts from 1 to below it are hidden.
    """
    return shown_table([counts], min_cell)[0]


def shown_table(rows: Sequence[Sequence[int]], min_cell: int, *, diagonal: bool = False) -> list[list[str]]:
    """Counts of customers by row and column, whose totals may be known, small ones hidden.

    Args:
        rows: Customers by row and column, all rows as long.
        min_cell: Counts from 1 to below it are hidden.
        diagonal: Whether the total of the diagonal may be known too.

    Returns:
        Of each count ``612``, ``about 600`` or ``fewer than 10``.
    """
    width = len(rows[0]) if rows else 0
    places = [range(i * width, (i + 1) * width) for i in range(len(rows))]
    lines = [*places, *zip(*places, strict=True)]
    if diagonal:
        lines.append([places[i][i] for i in range(min(len(rows), width))])
    shown = shown_lines([number for row in rows for number in row], lines, min_cell)
    return [[shown[place] for place in row] for row in places]


def shown_lines(
    counts: Sequence[int], lines: Sequence[Sequence[int]], min_cell: int, *, rough: Collection[int] = ()
) -> list[str]:
    """Counts of customers of which some add up to known totals, small ones hidden.

    No line has exactly one count that is not exact, unless the others in it are zero.

    Args:
        counts: Customers.
        lines: Places of the counts whose total may be known, or of which one is the total of the others.
        min_cell: Counts from 1 to below it are hidden.
        rough: Places of counts that are said roughly elsewhere.

    Returns:
        Of each count ``612``, ``about 600`` or ``fewer than 10``.
    """
    veiled = {place for place, number in enumerate(counts) if 0 < number < min_cell} | set(rough)
    while more := {place for line in lines if (place := _to_veil(line, counts, veiled)) is not None}:
        veiled |= more
    return [
        _about(number, min_cell) if place in veiled and number >= min_cell else shown_count(number, min_cell)
        for place, number in enumerate(counts)
    ]


def is_exact(shown: str) -> bool:
    """Whether a shown count is the count itself."""
    return shown[:1].isdigit()


def _about(number: int, min_cell: int) -> str:
    """A count said so roughly that a small one cannot be had as a total less it."""
    step = 2 * min_cell
    return f"about {count(max(round(number / step), 1) * step)}"


def _to_veil(line: Sequence[int], counts: Sequence[int], veiled: Collection[int]) -> int | None:
    """The count that has to be said roughly, so that the one in the line that is not exact cannot be had from the total."""
    exact = [(counts[place], place) for place in line if counts[place] > 0 and place not in veiled]
    if sum(place in veiled for place in line) != 1 or not exact:
        return None
    return min(exact)[1]
