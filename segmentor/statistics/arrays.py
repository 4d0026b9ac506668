"""The two kinds of arrays in which the statistics speak, sums of one by the other, and ranges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def sums_by(places: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sum of `values` by place, shape (size,).

    Args:
        places: Place of each value, 0 first, shape (n,).
        values: Shape (n,).
        size: Number of places, above the largest.
    """
    return np.asarray(np.bincount(places, values, size), dtype=np.float64)


def ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """The numbers start, start + 1, ... of each range, one range after the other, shape (sum of lengths,).

    Args:
        starts: First number of each range, shape (n_ranges,).
        lengths: How many numbers it has, 0 or more; same shape.
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
