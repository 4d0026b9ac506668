"""The usual log-rank test, which takes all gaps as independent: shown beside ours, decides nothing."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from segmentor.statistics.arrays import FloatArray
from segmentor.statistics.linear import quadratic_form


def naive_logrank_p(events: FloatArray, at_risk: FloatArray) -> float:
    """P-value of the log-rank test; invalid for repeat buyers, whose gaps are dependent.

    Args:
        events: Number of returns by group and day, shape (n_groups, n_days); strata may lie side by side as days.
        at_risk: Number of gaps at risk, same shape.

    Raises:
        StatisticsError: No day has returns while two groups are at risk.

    References:
        Mantel (1966), Cancer Chemother. Rep. 50, 163-170.
    """
    counts = np.maximum(at_risk.sum(axis=0), 1)
    returned = events.sum(axis=0)
    share = at_risk / counts
    variance = returned * (counts - returned) / np.maximum(counts - 1, 1)
    covariance = np.eye(len(share)) * (share @ variance) - (share * variance) @ share.T
    statistic, degrees = quadratic_form((events - share * returned).sum(axis=1), covariance)
    return float(chdtrc(degrees, statistic))
