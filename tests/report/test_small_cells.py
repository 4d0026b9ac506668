"""Counts of customers: small ones hidden, and none to be had from totals."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentor.report.small_cells import is_exact, shown_count, shown_counts, shown_table


@pytest.mark.parametrize(("number", "written"), [(0, "0"), (1, "fewer than 10"), (9, "fewer than 10"), (10, "10")])
def test_a_small_count_is_hidden(number: int, written: str) -> None:
    """Counts from 1 to 9 are hidden; that there is nobody is not."""
    assert shown_count(number, 10) == written


def test_a_lone_small_count_cannot_be_had_from_the_total() -> None:
    """Beside one hidden count the smallest other is rounded."""
    assert shown_counts([501, 3, 905, 0], 10) == ["about 500", "fewer than 10", "905", "0"]
    assert shown_counts([501, 3, 7, 0], 10) == ["501", "fewer than 10", "fewer than 10", "0"]
    assert shown_counts([12, 3], 10) == ["about 20", "fewer than 10"]


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=8), st.integers(0, 20))
def test_never_is_exactly_one_count_hidden_beside_others(counts: list[int], min_cell: int) -> None:
    """Counts are all exact, or two or more are not, or only one is above zero."""
    hidden = sum(not shown.replace(",", "").isdigit() for shown in shown_counts(counts, min_cell))
    assert hidden != 1 or sum(number > 0 for number in counts) == 1


def test_a_hidden_count_of_a_table_cannot_be_had_from_rows_and_columns() -> None:
    """Beside one hidden count the smallest other of its row and of its column is said roughly, and so on in theirs."""
    assert shown_table([[120, 4, 90], [80, 60, 70], [300, 200, 100]], 10) == [
        ["120", "fewer than 10", "about 80"],
        ["80", "about 60", "about 80"],
        ["300", "200", "100"],
    ]


def test_a_hidden_count_of_a_diagonal_cannot_be_had_from_its_total() -> None:
    """Where the total of the diagonal is known, a second count on it is said roughly too."""
    rows = [[4, 5, 90], [6, 7, 70], [300, 200, 100]]
    assert shown_table(rows, 10)[2][2] == "100"
    assert shown_table([[4, 50, 90], [60, 70, 80], [300, 200, 100]], 10, diagonal=True)[1][1] == "about 80"


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(st.integers(0, 60), min_size=width, max_size=width), min_size=1, max_size=5)
    ),
    st.integers(0, 20),
)
def test_no_line_of_a_table_has_one_count_that_is_not_exact(rows: list[list[int]], min_cell: int) -> None:
    """In rows, columns and the diagonal none or at least two counts are not exact, unless only one is above zero."""
    shown = shown_table(rows, min_cell, diagonal=True)
    columns = range(len(rows[0]))
    lines = [
        *([(i, j) for j in columns] for i in range(len(rows))),
        *([(i, j) for i in range(len(rows))] for j in columns),
        [(i, i) for i in range(min(len(rows), len(rows[0])))],
    ]
    for line in lines:
        hidden = sum(not is_exact(shown[i][j]) for i, j in line)
        assert hidden != 1 or sum(rows[i][j] > 0 for i, j in line) == 1
    for number, text in zip(itertools.chain(*rows), itertools.chain(*shown), strict=True):
        assert not 0 < number < min_cell or text == f"fewer than {min_cell}"
