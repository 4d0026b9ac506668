"""From several p-values to adjusted ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from segmentor.statistics.arrays import FloatArray, IntArray


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


def max_step_down(seen: FloatArray, drawn: Iterable[FloatArray]) -> FloatArray:
    """Single, single-step and step-down adjusted p-values of statistics whose laws are alike, as two-group |z| are.

    Args:
        seen: Statistics, larger ones against their hypothesis, shape (n,).
        drawn: The same under relabelling, in blocks of shape (resamples, n).

    Returns:
        Single, single-step and step-down adjusted p-values, each a share of the relabellings, the labels seen being one
        of them, shape (3, n).

    References:
        Westfall & Young (1993), Resampling-Based Multiple Testing, Wiley.
    """
    order = np.argsort(-seen, kind="stable")
    as_large, resamples = np.ones((3, len(seen))), 1
    for block in drawn:
        resamples += len(block)
        largest = _largest_of_the_rest(block, order)
        as_large[0] += (block >= seen).sum(axis=0)
        as_large[1] += len(block) - np.searchsorted(np.sort(largest[:, 0]), seen, side="left")
        as_large[2, order] += (largest >= seen[order]).sum(axis=0)
    as_large[2, order] = np.maximum.accumulate(as_large[2, order])
    return as_large / resamples


def _largest_of_the_rest(statistics: FloatArray, order: IntArray) -> FloatArray:
    """Largest statistic of each hypothesis in this order and all that come after it, shape (resamples, n)."""
    return np.asarray(np.maximum.accumulate(statistics[:, order[::-1]], axis=1)[:, ::-1], dtype=np.float64)
