"""Whether the shares of a population's parts have moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from segmentor.statistics.arrays import IntArray

NOTABLE = 0.1
"""Index from which on a population is commonly said to have shifted; 0.25 is a large shift (Siddiqi 2006)."""


@dataclass(frozen=True, slots=True)
class Stability:
    """The population stability index of two sets of counts, and what it may be by chance alone.

    Attributes:
        index: Sum over parts of (share now - share before) log(share now / share before), 0 where nothing moved.
        by_chance: Its 95 % point where both sets are samples of one population.
    """

    index: float
    by_chance: float

    @property
    def moved(self) -> bool:
        """Whether the sizes moved by more than chance, and by enough to matter."""
        return self.index > max(self.by_chance, NOTABLE)


def population_stability(before: IntArray, now: IntArray) -> Stability:
    """Compares the sizes of the same parts at two times.

    Half a customer is added to every part, so that empty ones have a logarithm.

    Args:
        before: Customers by part, shape (n_parts,).
        now: The same later.

    References:
        Siddiqi, N. (2006). Credit Risk Scorecards. Wiley.
        Yurdakul, B. (2018). Statistical properties of population stability index. Western Michigan University: the index over
        (1 / n + 1 / m) is chi-square with n_parts - 1 degrees of freedom.
    """
    first, second = (counts.astype(np.float64) + 0.5 for counts in (before, now))
    shares = first / first.sum(), second / second.sum()
    index = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    spread = 1 / first.sum() + 1 / second.sum()
    return Stability(index, float(spread * chdtri(len(before) - 1, 0.05)) if len(before) > 1 else 0.0)
