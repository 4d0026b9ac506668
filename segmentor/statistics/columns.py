"""Columns by which the customers of one node can be split: values, or numbers cut at their thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmentor.statistics.arrays import FloatArray, IntArray

_CUTS = 100
"""Thresholds of a number that are looked at; of more than these, the ones nearest to evenly spaced shares."""

_LEAST = 0.1
"""Share of the customers on either side of a threshold."""

_DIGITS = 52
"""Bits of a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Category:
    """A column of values, and which of its splits are tried.

    Attributes:
        codes: Of any integer type, 0 first, -1 where not known, shape (n_customers,).
        whole: Whether the split into all values is.
        by_value: By code, whether the value against the others is.
    """

    codes: IntArray
    whole: bool
    by_value: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A category, or a number in bins between its thresholds.

    Attributes:
        place: Among the categories, or among the numbers.
        codes: Value or bin, -1 where not known, shape (n_customers,).
        n_values: Number of values or bins.
        whole: Whether the split into all values is tried.
        values: Codes of those tried against the others.
        thresholds: Upper ends of all bins but the last; empty for a category.
    """

    place: int
    codes: IntArray
    n_values: int
    whole: bool
    values: IntArray
    thresholds: FloatArray


def columns_of(categories: Sequence[Category], numbers: Sequence[FloatArray], min_group: int) -> list[Column]:
    """Columns with a split to try."""
    columns = []
    for place, category in enumerate(categories):
        n_values = max(len(category.by_value), int(category.codes.max()) + 1)
        customers = np.bincount(category.codes[category.codes >= 0], minlength=n_values)
        large = customers >= min_group
        whole = category.whole and large.sum() >= 2
        by_value = np.flatnonzero(category.by_value)
        values = by_value[large[by_value] & (customers.sum() - customers[by_value] >= min_group)]
        if (customers > 0).sum() == 2:
            # All three splits are the same.
            values = values[: 0 if whole else 1]
        if whole or values.size:
            columns.append(
                Column(
                    place=place,
                    codes=category.codes.astype(np.int64),
                    n_values=n_values,
                    whole=whole,
                    values=values,
                    thresholds=np.empty(0),
                )
            )
    for place, x in enumerate(numbers):
        known = np.isfinite(x)
        thresholds = _thresholds(x[known], min_group)
        if thresholds.size:
            columns.append(
                Column(
                    place=place,
                    codes=np.where(known, np.searchsorted(thresholds, x), -1).astype(np.int64),
                    n_values=len(thresholds) + 1,
                    whole=False,
                    values=np.empty(0, dtype=np.int64),
                    thresholds=thresholds,
                )
            )
    return columns


def _thresholds(x: FloatArray, min_group: int) -> FloatArray:
    """Values that leave enough customers at or below and above, no more than are looked at."""
    values, customers = np.unique(x, return_counts=True)
    ends = np.cumsum(customers)[:-1]
    fits = (ends >= max(_LEAST * len(x), min_group)) & (len(x) - ends >= max(_LEAST * len(x), min_group))
    values, ends = values[:-1][fits], ends[fits]
    if len(ends) <= _CUTS:
        return values
    wanted = np.linspace(ends[0], ends[-1], _CUTS)
    after = np.clip(np.searchsorted(ends, wanted), 1, len(ends) - 1)
    nearest = after - (wanted - ends[after - 1] < ends[after] - wanted)
    return np.asarray(values[np.unique(nearest)], dtype=np.float64)


def on_a_grid(scores: FloatArray) -> FloatArray:
    """Scores in whole multiples of a power of 2 so small that all their sums are exact, in whatever order."""
    largest = np.abs(scores).max(axis=1, keepdims=True) * scores.shape[1]
    unit = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1))) - _DIGITS)
    return np.asarray(np.rint(scores / unit) * unit, dtype=np.float64)


def order_of(scores: FloatArray, columns: Sequence[Column], cohorts: IntArray) -> IntArray:
    """Order of the customers by cohort, scores, and what they are in all columns, whatever the order and the codes of these."""
    marks = np.zeros(len(cohorts), dtype=np.uint64)
    odd = np.uint64(0x9E3779B97F4A7C15)
    for column in columns:
        codes = column.codes + 1
        sums = [np.bincount(codes).astype(np.float64), *(np.bincount(codes, row) + 0.0 for row in scores)]
        own = np.zeros(len(sums[0]), dtype=np.uint64)
        for part in sums:
            own = (own ^ part.view(np.uint64)) * odd
            own ^= own >> np.uint64(29)
        marks += own[codes]
    return np.lexsort([marks, *scores, cohorts])
