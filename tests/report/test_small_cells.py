"""Counts of customers: small ones hidden, and none to be had from others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentor.report.small_cells import Counts, is_exact


def shown(*counts: int) -> list[str]:
    """Counts of one line as they are shown where fewer than 10 are hidden."""
    return list(map(Counts.of([counts], 10), counts))


@pytest.mark.parametrize(("number", "written"), [(0, "0"), (1, "fewer than 10"), (9, "fewer than 10"), (10, "10")])
def test_a_small_count_is_hidden(number: int, written: str) -> None:
    """Counts from 1 to 9 are hidden; that there is nobody is not."""
    assert Counts.of((), 10)(number) == written


def test_a_lone_small_count_cannot_be_had_from_the_total() -> None:
    """Beside one hidden count the smallest other is rounded."""
    assert shown(501, 3, 905, 0) == ["about 500", "fewer than 10", "905", "0"]
    assert shown(501, 3, 7, 0) == ["501", "fewer than 10", "fewer than 10", "0"]
    assert shown(12, 3) == ["about 20", "fewer than 10"]


def test_a_count_that_is_rough_in_one_table_is_rough_in_all() -> None:
    """The size of a group beside a small one is said roughly where the group stands against all others too, and so are these."""
    counts = Counts.of([[9_000, 900, 7], [900, 9_007], [9_000, 907], [7, 9_900]], 10)
    assert [counts(number) for number in (900, 9_007, 9_900)] == ["about 900", "about 9,000", "about 9,900"]
    assert [counts(number) for number in (9_000, 907)] == ["9,000", "907"]


def test_a_hidden_count_of_a_table_cannot_be_had_from_rows_and_columns() -> None:
    """Beside one hidden count the smallest other of its row and of its column is said roughly, and so on in theirs."""
    rows = [[120, 4, 90], [80, 60, 70], [300, 200, 100]]
    counts = Counts.of([*rows, *zip(*rows, strict=True)], 10)
    assert [[counts(number) for number in row] for row in rows] == [
        ["120", "fewer than 10", "about 80"],
        ["80", "about 60", "about 80"],
        ["300", "200", "100"],
    ]


@given(st.lists(st.lists(st.integers(0, 60), max_size=6), max_size=8), st.integers(0, 20))
def test_no_line_has_one_count_that_is_not_exact(lines: list[list[int]], min_cell: int) -> None:
    """In each of many lines none or at least two counts are not exact, unless only one is above zero; small ones are always hidden."""
    counts = Counts.of(lines, min_cell)
    for line in lines:
        texts = list(map(counts, line))
        assert sum(not is_exact(text) for text in texts) != 1 or sum(number > 0 for number in line) == 1
        for number, text in zip(line, texts, strict=True):
            assert not 0 < number < min_cell or text == f"fewer than {min_cell}"
            assert is_exact(text) == counts.exact(number)


@given(st.lists(st.lists(st.integers(0, 60), max_size=6), max_size=8), st.randoms())
def test_the_order_of_lines_and_counts_says_nothing(lines: list[list[int]], random: object) -> None:
    """The same lines in another order show the same counts."""
    mixed = [random.sample(line, len(line)) for line in random.sample(lines, len(lines))]  # type: ignore[attr-defined]
    assert Counts.of(mixed, 10) == Counts.of(lines, 10)
