"""All splits that the columns of one node suggest, of whatever kind, tested side by side: which is the least likely by chance?"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csc_array, csr_array
from scipy.special import ndtri_exp

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.column_tests import Candidate, Kind, Test, log_joint, tests_of
from segmentor.statistics.columns import Category, Column, columns_of, on_a_grid, order_of
from segmentor.statistics.multiplicity import benjamini_yekutieli, max_step_down
from segmentor.statistics.screening import CohortMoments
from segmentor.statistics.thresholds import returned, shuffles

__all__ = ["Candidate", "Category", "Correction", "chosen_again", "screen_candidates"]

Correction = Literal["min_p", "benjamini_yekutieli"]

_TIE = 1e-9
"""Logarithms of p-values this close are equal."""

_KNOTS = 97
"""Lengths at which a p-value is tabulated."""

_SURE = 1e-12
"""Negative logarithm of the largest p-value, which is short of 1."""

_TAIL = 30.0
"""Negative logarithm of a p-value below which -log(1 - p) is p to the last digit."""

_NUMBERS = 2**21
"""Scores held at a time while relabelling."""

_CELLS = 128
"""Most cells of the table of several columns that are summed as one; what a column of more values has by itself."""

_ROWS = 4_000
"""Cells that are summed side by side: their sums stay in the processor's cache."""

_WORKERS = 2
"""Threads that sum relabelled scores: most of it runs without the interpreter."""

_BEHIND = 5.0
"""Standardised size by which a candidate is behind the first too far to overtake it when customers are drawn anew."""


def screen_candidates(
    scores: FloatArray,
    categories: Sequence[Category],
    numbers: Sequence[FloatArray],
    cohorts: IntArray,
    *,
    min_group: int,
    resamples: int = 2_000,
    seed: int,
    correction: Correction,
) -> tuple[Candidate, ...]:
    """Tests every split of every column, and adjusts over all of them.

    A score's single p-value is a type III tail (two groups), that times the price of the search (thresholds), or the
    tail of a gamma variable with the mean and variance of the quadratic form (several groups); a candidate's p-value
    is that of the smallest over the scores by their joint normal law.

    Min-P relabels customers within cohorts, the same for all candidates; those of whom a column is not known are left
    out of its relabelling. A candidate's smallest single p-value p0 is put on a scale that all have in common,

        p = 1 - (1 - p0)^m  with  1 / m = mean of -log(1 - p0) over all relabellings, the labels seen among them:

    m is the number of independent tests that the scores amount to, and makes -log(1 - p) a standard exponential
    variable. It is smooth, so that candidates are told apart beyond the number of relabellings, and treats the labels
    seen as any other, so that the level holds whatever the quality of p0. The smallest p over the candidates not yet
    rejected is judged by its share among the relabellings.

    The order of customers and of columns does not matter, nor does that of the codes.

    Args:
        scores: Shape (n_scores, n_customers).
        categories: Their columns of values.
        numbers: Columns of shape (n_customers,), not finite where not known; thresholds are tried that leave a tenth of
            the known customers on either side, 100 at most.
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        min_group: Customers in a value and in its rest, on both sides of a threshold, and in two of all values, without
            which a split is not tried.
        resamples: Number of relabellings B; an adjusted p-value is (b + 1) / (B + 1).
        seed: Of the relabellings.
        correction: Min-P by relabelling, or Benjamini and Yekutieli's.

    Returns:
        Candidates that can be tested within cohorts: by category all values, then each, then by number.

    References:
        Westfall & Young (1993), Resampling-Based Multiple Testing, Wiley.
    """
    columns = columns_of(categories, numbers, min_group)
    scores = on_a_grid(scores)
    order = order_of(scores, columns, cohorts)
    scores, cohorts = scores[:, order], cohorts[order]
    columns = [replace(column, codes=column.codes[order]) for column in columns]
    moments = CohortMoments.of(scores, cohorts)
    tests = [tuple(tests_of(moments, column)) for column in columns]
    if not any(tests):
        return ()
    log_p = log_joint([test for own in tests for test in own])
    if correction == "min_p":
        drawn = np.concatenate(list(_relabelled(scores, columns, cohorts, tests, resamples=resamples, seed=seed)))
        common = _common(drawn)
        adjusted = max_step_down(common[0], [common[1:] + _TIE])[2]
    else:
        adjusted = benjamini_yekutieli(np.exp(log_p))
    stubs = [candidate for own in tests for test in own for candidate in test.candidates]
    return tuple(
        replace(stub, log_p=float(single), p_adjusted=float(over_all))
        for stub, single, over_all in zip(stubs, log_p, adjusted, strict=True)
    )


def chosen_again(
    scores: FloatArray,
    categories: Sequence[Category],
    numbers: Sequence[FloatArray],
    cohorts: IntArray,
    candidates: Sequence[Candidate],
    *,
    min_group: int,
    resamples: int = 50,
    seed: int,
) -> FloatArray:
    """How often each candidate has the smallest single p-value when customers are drawn anew with replacement.

    Args:
        scores: As screened.
        categories: As screened.
        numbers: As screened; a number counts as chosen at whatever threshold.
        cohorts: As screened.
        candidates: What `screen_candidates` found.
        min_group: As screened.
        resamples: Number of draws of as many customers.
        seed: Of the draws.

    Returns:
        Shares of the draws, shape (n_candidates,); candidates five standard deviations behind the first are not tried.
    """
    columns = columns_of(categories, numbers, min_group)
    scores = on_a_grid(scores)
    order = order_of(scores, columns, cohorts)
    n = len(order)
    places = _contenders(candidates)
    columns = [own for column in columns if (own := _only(column, places)) is not None]
    chosen = np.zeros(len(candidates))
    generator = np.random.default_rng(seed)
    for _ in range(resamples if places else 0):
        drawn = np.repeat(order, np.bincount(generator.integers(n, size=n), minlength=n))
        moments = CohortMoments.of(scores[:, drawn], cohorts[drawn])
        smallest = np.full(len(candidates), np.inf)
        for column in columns:
            for test in tests_of(moments, replace(column, codes=column.codes[drawn])):
                for stub, log_p in zip(test.candidates, test.log_single(test.seen).min(axis=-1), strict=True):
                    smallest[places[stub.column, stub.kind, stub.value]] = log_p
        chosen[int(np.argmin(smallest))] += 1 / resamples
    return chosen


def _contenders(candidates: Sequence[Candidate]) -> dict[tuple[int, Kind, int | None], int]:
    """Places of the candidates that are not too far behind the first to come out first in a resample."""
    if not candidates:
        return {}
    sizes = -ndtri_exp(np.array([candidate.log_p for candidate in candidates]) - np.log(2))
    return {
        (candidate.column, candidate.kind, candidate.value): place
        for place, candidate in enumerate(candidates)
        if sizes[place] >= sizes.max() - _BEHIND
    }


def _only(column: Column, places: dict[tuple[int, Kind, int | None], int]) -> Column | None:
    """The column with those of its splits alone that have a place, if any."""
    if column.thresholds.size:
        return column if (column.place, "threshold", None) in places else None
    whole = column.whole and (column.place, "whole", None) in places
    values = np.array([code for code in column.values.tolist() if (column.place, "value", code) in places], dtype=int)
    return replace(column, whole=whole, values=values) if whole or values.size else None


def _common(drawn: FloatArray) -> FloatArray:
    """Negative logarithms of smallest single p-values on the common scale, monotone in p; shape (n_draws, n_candidates)."""
    size = np.maximum(drawn, _SURE)
    exponential = -np.log1p(-np.exp(-size))
    # Far into the tail the exponential variable is the p-value itself.
    log = np.where(size > _TAIL, -size, np.log(np.maximum(exponential, np.exp(-2 * _TAIL))))
    return np.asarray(np.log(exponential.mean(axis=0)) - log, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """Negative logarithms of single p-values by standardised length, in a table.

    Attributes:
        steps: Between knots, by candidate.
        values: At the knots, flat, of shape (n_candidates, n_scores, _KNOTS).
    """

    steps: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, tests: Sequence[Test]) -> _Curves:
        steps, values = [], []
        for test in tests:
            step = test.reach / (_KNOTS - 1)
            lengths = np.repeat((step[:, None] * np.arange(_KNOTS))[:, :, None], test.seen.shape[1], axis=2)
            steps.append(step)
            values.append(-test.log_single(lengths).transpose(0, 2, 1).ravel())
        return cls(np.concatenate(steps), np.concatenate(values))

    def smallest(self, lengths: FloatArray) -> FloatArray:
        """Of the smallest p-value over the scores, shape (n_candidates, n_draws), of lengths (n_candidates, n_draws, n_scores)."""
        n, _, n_scores = lengths.shape
        places = lengths / self.steps[:, None, None]
        before = np.minimum(places.astype(np.int64), _KNOTS - 2)
        places -= before
        before += _KNOTS * (n_scores * np.arange(n)[:, None, None] + np.arange(n_scores))
        left = self.values[before]
        return np.asarray((left + places * (self.values[before + 1] - left)).max(axis=2), dtype=np.float64)


def _relabelled(
    scores: FloatArray,
    columns: Sequence[Column],
    cohorts: IntArray,
    tests: Sequence[Sequence[Test]],
    *,
    resamples: int,
    seed: int,
) -> Iterator[FloatArray]:
    """Negative logarithms of each candidate's smallest single p-value: as seen, then under relabelling.

    Scores are relabelled, not columns, so that one relabelling serves all columns known of the same customers.

    Args:
        scores: On a grid, customers in order of cohort.
        columns: Of these customers.
        cohorts: Of these customers.
        tests: By column.
        resamples: Number of relabellings.
        seed: Of the relabellings.

    Yields:
        Blocks of shape (n_draws, n_candidates).
    """
    families = list(_families(scores, columns, cohorts, tests))
    curves = _Curves.of([test for own in tests for test in own])
    n_candidates = [sum(len(test.candidates) for test in own) for own in tests]
    ends = np.cumsum(n_candidates)
    table = np.ascontiguousarray(scores.T)
    places = shuffles(cohorts, resamples, np.random.default_rng(seed))
    n_sums = sum(column.n_values for column in columns)
    rows = max(1, min(_NUMBERS // ((len(cohorts) + n_sums) * len(scores)), resamples + 1))

    def blocks() -> Iterator[IntArray]:
        for start in range(0, resamples + 1, rows):
            block = np.empty((len(cohorts), min(rows, resamples + 1 - start)), dtype=np.int64)
            for draw in range(block.shape[1]):
                block[:, draw] = next(places) if start + draw else np.arange(len(cohorts))
            yield block

    def smallest(block: IntArray) -> FloatArray:
        lengths = np.empty((int(ends[-1]), block.shape[1], len(scores)))
        for family in families:
            for number, sums in family.sums(table, block):
                first = ends[number] - n_candidates[number]
                for test in tests[number]:
                    after = first + len(test.candidates)
                    lengths[first:after] = test.lengths(sums)
                    first = after
        return curves.smallest(lengths).T

    waiting = blocks()
    with ThreadPoolExecutor(_WORKERS) as pool:
        # A few blocks at a time: all relabellings at once would fill the memory. One more than threads, so that none waits for it.
        under_way = deque(pool.submit(smallest, block) for block in islice(waiting, _WORKERS + 1))
        while under_way:
            yield under_way.popleft().result()
            under_way.extend(pool.submit(smallest, block) for block in islice(waiting, 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """Columns that are known of the same customers.

    Columns of few values are summed together: a customer is in one cell of their table, whose margins are the sums by value.
    Relabelled scores are summed by a sparse matrix with a row for each cell. The most frequent cell of a table has no
    entries: the sums of the values that meet in it are what the others leave.

    Attributes:
        known: Whether the columns are known, shape (n_customers,).
        members: The customers of whom they are.
        matrix: Shape (n_cells, n_members).
        margins: Takes cells to values, shape (n_rows, n_cells).
        numbers: Which columns.
        starts: First row of each column, and the number of rows.
        frequent: Row of each column's value in the most frequent cell.
        expected: Expected sum of the scores, shape (n_rows, n_scores).
    """

    known: np.ndarray
    members: IntArray
    matrix: csc_array
    margins: csr_array
    numbers: tuple[int, ...]
    starts: IntArray
    frequent: IntArray
    expected: FloatArray

    def sums(self, table: FloatArray, block: IntArray) -> Iterator[tuple[int, FloatArray]]:
        """Deviations of the sums of relabelled scores by value, shape (n_values, n_draws, n_scores), of each column.

        Args:
            table: Scores, shape (n_customers, n_scores).
            block: Relabellings, shape (n_customers, n_draws).
        """
        sources = block if len(self.members) == len(block) else returned(block, self.known, self.members)
        relabelled = np.take(table, sources, axis=0, mode="clip").reshape(len(self.members), -1)
        summed = (self.margins @ (self.matrix @ relabelled)).reshape(len(self.expected), block.shape[1], -1)
        summed -= self.expected[:, None]
        summed[self.frequent] = 0
        summed[self.frequent] = -np.add.reduceat(summed, self.starts[:-1], axis=0)
        for number, first, after in zip(self.numbers, self.starts[:-1], self.starts[1:], strict=True):
            yield number, summed[first:after]


def _families(
    scores: FloatArray, columns: Sequence[Column], cohorts: IntArray, tests: Sequence[Sequence[Test]]
) -> Iterator[_Family]:
    alike: dict[bytes, list[int]] = {}
    for number, column in enumerate(columns):
        if tests[number]:
            alike.setdefault(np.packbits(column.codes >= 0).tobytes(), []).append(number)
    for numbers in alike.values():
        known = columns[numbers[0]].codes >= 0
        means = _means(scores[:, known], cohorts[known])
        for several in _side_by_side(columns, numbers):
            yield _family(means, columns, known, several)


def _side_by_side(columns: Sequence[Column], numbers: Sequence[int]) -> Iterator[list[list[int]]]:
    """Columns in tables of few cells, and tables as many as are summed side by side."""
    tables: list[list[int]] = []
    cells = [0]
    for number in numbers:
        values = columns[number].n_values
        if tables and cells[-1] * values <= _CELLS:
            tables[-1].append(number)
            cells[-1] *= values
            continue
        if sum(cells) > _ROWS:
            yield tables
            tables, cells = [], []
        tables.append([number])
        cells.append(values)
    if tables:
        yield tables


def _family(
    means: FloatArray, columns: Sequence[Column], known: np.ndarray, tables: Sequence[Sequence[int]]
) -> _Family:
    """Tables of columns that are known of the same customers, with these customers' mean scores, shape (n_scores, n_members)."""
    in_cell, of_cell, expected = [], [], []
    starts, frequent = [0], []
    n_cells = 0
    for numbers in tables:
        codes = [columns[number].codes[known] for number in numbers]
        shape = [columns[number].n_values for number in numbers]
        cells = np.ravel_multi_index(codes, shape)
        left_out = np.bincount(cells).argmax()
        in_cell.append(np.where(cells == left_out, -1, cells + n_cells).astype(np.int32))
        places = np.arange(n_cells, n_cells + math.prod(shape))
        for own, n_values, values in zip(codes, shape, np.unravel_index(places - n_cells, shape), strict=True):
            of_cell.append((starts[-1] + values, places))
            frequent.append(starts[-1] + int(values[left_out]))
            expected.append(np.stack([sums_by(own, row, n_values) for row in means], axis=1))
            starts.append(starts[-1] + n_values)
        n_cells += len(places)
    stacked = np.stack(in_cell, axis=1)
    entries = stacked >= 0
    ends = np.concatenate([[0], np.cumsum(entries.sum(axis=1))]).astype(np.int32)
    margins = np.concatenate(of_cell, axis=1)
    return _Family(
        known=known,
        members=np.flatnonzero(known),
        matrix=csc_array((np.ones(ends[-1]), stacked[entries], ends), shape=(n_cells, len(stacked))),
        margins=coo_array((np.ones(margins.shape[1]), margins), shape=(starts[-1], n_cells)).tocsr(),
        numbers=tuple(number for numbers in tables for number in numbers),
        starts=np.array(starts),
        frequent=np.array(frequent),
        expected=np.concatenate(expected),
    )


def _means(scores: FloatArray, cohorts: IntArray) -> FloatArray:
    """Mean score of the customer's cohort, same shape."""
    customers = np.maximum(np.bincount(cohorts), 1)
    return np.stack([(sums_by(cohorts, row, len(customers)) / customers)[cohorts] for row in scores])
