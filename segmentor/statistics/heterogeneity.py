"""Is one parameter the same in several parts of the customers? Scores in, p-value out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc

from segmentor.statistics.arrays import FloatArray

_ROUNDS = 25
"""Steps towards the common parameter at most."""

_SETTLED = 1e-4
"""Change of the common parameter below which it is found."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a part of the customers says of a parameter.

    Attributes:
        each: Each customer's score, of mean 0 at the true parameter; shape (n_customers,).
        slope: What a small growth of the parameter takes from their sum, per unit of it.
    """

    each: FloatArray
    slope: float


def differ(scores_at: Callable[[float], Sequence[Scores]]) -> float:
    """P-value of the parts having one parameter; 1 with fewer than two parts or without variance.

    Where they have, the parts' sums of scores are each of mean 0 at the common parameter. Their squares, each over its
    variance by customers, are small in sum there; what the parameter itself could have made of them is taken off. As with the
    weighted squares of the parts' own estimates about their mean, of which this is the score form, it is a chi-squared of one
    less than the parts. A part in which nothing was observed but much expected counts as any other.

    Scores of counts are skewed: where a small part's sum is low, so is the variance that its customers show. So half of the
    variance is the part's share, by slope, in that of all.

    Args:
        scores_at: The scores of each part at a value of the parameter, found from 0 on.

    References:
        Cochran (1954), Biometrics 10, 101-129 (estimates about their weighted mean); Hansen (1982), Econometrica 50, 1029-1054
        (more moments than parameters); Boos (1992), Am. Statist. 46, 327-333 (score tests that need no variance model).
    """
    parameter, parts = 0.0, scores_at(0.0)
    if len(parts) < 2:
        return 1.0
    for _ in range(_ROUNDS):
        slope = sum(part.slope for part in parts)
        step = sum(float(part.each.sum()) for part in parts) / slope if slope > 0.0 else float("nan")
        if not np.isfinite(step):
            return 1.0
        parameter += min(max(step, -1.0), 1.0)
        parts = scores_at(parameter)
        if abs(step) < _SETTLED:
            break
    total = np.array([part.each.sum() for part in parts])
    slopes = np.array([part.slope for part in parts])
    own = np.array([np.square(part.each).sum() for part in parts])
    variance = (own + own.sum() * slopes / slopes.sum()) / 2.0
    if not (variance > 0.0).all():
        return 1.0
    shared = (total * slopes / variance).sum() ** 2 / (slopes**2 / variance).sum()
    statistic = max(0.0, float((total**2 / variance).sum() - shared))
    return float(gammaincc((len(parts) - 1) / 2.0, statistic / 2.0))
