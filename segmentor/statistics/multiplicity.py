"""From several p-values to adjusted ones."""

from __future__ import annotations

import numpy as np

from segmentor.statistics.arrays import FloatArray


def holm(p_values: FloatArray) -> FloatArray:
    """Step-down adjusted p-values that control the chance of any false rejection, in the order given.

    Args:
        p_values: Shape (n,), one a hypothesis.

    References:
        Holm (1979), Scand. J. Statist. 6, 65-70.
    """
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(1, np.maximum.accumulate((n - np.arange(n)) * p_values[order]))
    return adjusted


def benjamini_yekutieli(p_values: FloatArray) -> FloatArray:
    """Adjusted p-values that control the expected share of false rejections under any dependence, in the order given.

    Args:
        p_values: Shape (n,), one a hypothesis.

    References:
        Benjamini & Yekutieli (2001), Ann. Statist. 29, 1165-1188.
    """
    n = len(p_values)
    order = np.argsort(-p_values, kind="stable")
    ranks = n - np.arange(n)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(
        1, np.minimum.accumulate((1 / np.arange(1, n + 1)).sum() * n / ranks * p_values[order])
    )
    return adjusted
