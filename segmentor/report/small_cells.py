"""Tables of customers -> what of them may be shown: no small count, and none that could be had from totals.

A count is hidden where it is small, and said roughly where it would give a hidden one away. A line is a set of counts whose total
may be known: a row, a column, the diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

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

    No line has exactly one count that is not exact, unless the others in it are zero.

    Args:
        rows: Customers by row and column.
        min_cell: Counts from 1 to below it are hidden.
        diagonal: Whether the total of the diagonal may be known too.

    Returns:
        Of each count ``612``, ``about 600`` or ``fewer than 10``.
    """
    places = [[(i, j) for j in range(len(row))] for i, row in enumerate(rows)]
    lines = [*places, *(list(column) for column in zip(*places, strict=True))]
    if diagonal:
        lines.append([(i, i) for i in range(min(len(rows), len(rows[0]) if rows else 0))])
    veiled = {(i, j) for i, row in enumerate(rows) for j, number in enumerate(row) if 0 < number < min_cell}
    while more := {place for line in lines if (place := _to_veil(line, rows, veiled)) is not None}:
        veiled |= more
    return [
        [
            _about(number, min_cell) if (i, j) in veiled and number >= min_cell else shown_count(number, min_cell)
            for j, number in enumerate(row)
        ]
        for i, row in enumerate(rows)
    ]


def is_exact(shown: str) -> bool:
    """Whether a shown count is the count itself."""
    return shown[:1].isdigit()


def _about(number: int, min_cell: int) -> str:
    """A count said so roughly that a small one cannot be had as a total less it."""
    step = 2 * min_cell
    return f"about {count(max(round(number / step), 1) * step)}"


def _to_veil(
    line: Sequence[tuple[int, int]], rows: Sequence[Sequence[int]], veiled: set[tuple[int, int]]
) -> tuple[int, int] | None:
    """The count that has to be said roughly, so that the one in the line that is not exact cannot be had from the total."""
    exact = [(rows[i][j], i, j) for i, j in line if rows[i][j] > 0 and (i, j) not in veiled]
    if len([place for place in line if place in veiled]) != 1 or not exact:
        return None
    _, i, j = min(exact)
    return i, j
