"""The two kinds of arrays in which the statistics speak, and sums of one by the other."""

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
