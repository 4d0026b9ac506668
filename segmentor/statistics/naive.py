"""The usual log-rank test and standard errors, which take all gaps as independent: shown beside ours, decide nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from segmentor.statistics.arrays import FloatArray
from segmentor.statistics.linear import quadratic_form
from segmentor.statistics.survival import LifeTable, restricted_mean, survival


@dataclass(frozen=True, slots=True, eq=False)
class NaiveLogrank:
    """Log-rank test of gaps taken as independent.

    Attributes:
        observed: Returns by group, shape (n_groups,).
        expected: Their number if all groups were alike, same shape.
        covariance: Hypergeometric, shape (n_groups, n_groups).
        statistic: Quadratic form of observed - expected.
        degrees_of_freedom: Rank of the covariance.
        p_value: Of the statistic; invalid for repeat buyers, whose gaps are dependent.
    """

    observed: FloatArray
    expected: FloatArray
    covariance: FloatArray
    statistic: float
    degrees_of_freedom: int
    p_value: float


def naive_logrank(events: FloatArray, at_risk: FloatArray) -> NaiveLogrank:
    """Log-rank test of groups.

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
    several = (at_risk > 0).sum(axis=0) > 1
    variance = several * returned * (counts - returned) / np.maximum(counts - 1, 1)
    covariance = np.eye(len(share)) * (share @ variance) - (share * variance) @ share.T
    observed, expected = events.sum(axis=1), (share * returned).sum(axis=1)
    statistic, degrees = quadratic_form((events - share * returned).sum(axis=1), covariance)
    return NaiveLogrank(observed, expected, covariance, statistic, degrees, float(chdtrc(degrees, statistic)))


def naive_logrank_p(events: FloatArray, at_risk: FloatArray) -> float:
    """P-value of `naive_logrank`.

    Raises:
        StatisticsError: No day has returns while two groups are at risk.
    """
    return naive_logrank(events, at_risk).p_value


def greenwood_errors(table: LifeTable) -> FloatArray:
    """Standard errors of survival by day, as if all gaps were independent, shape (n_days,); `nan` where survival is 0 or not known.

    Args:
        table: Of gaps of weight 1.

    References:
        Greenwood (1926), Reports on Public Health and Medical Subjects 33.
    """
    curve = survival(table)
    return np.where(curve > 0, curve * np.sqrt(np.cumsum(_variances(table))), np.nan)


def hazard_errors(table: LifeTable) -> FloatArray:
    """Standard errors of the cumulative hazard by day, as if all gaps were independent, shape (n_days,).

    Args:
        table: Of gaps of weight 1.

    References:
        Aalen (1978), Ann. Statist. 6, 701-726.
    """
    numbers = table.at_risk
    errors: FloatArray = np.sqrt(
        np.cumsum(np.divide(table.events, np.square(numbers), out=np.zeros_like(numbers), where=numbers > 0))
    )
    return errors


def restricted_mean_error(table: LifeTable, horizon: int) -> float:
    """Standard error of the restricted mean, as if all gaps were independent.

    Args:
        table: Of gaps of weight 1.
        horizon: Days.

    Raises:
        StatisticsError: The curve is not known up to the horizon.

    References:
        Klein & Moeschberger (2003), Survival Analysis, section 4.5.
    """
    curve = survival(table)
    whole, days = restricted_mean(curve, horizon), min(horizon, table.n_days)
    rest = whole - np.cumsum(curve[:days]) + curve[:days]
    return float(np.sqrt((np.square(rest) * _variances(table)[:days]).sum()))


def _variances(table: LifeTable) -> FloatArray:
    """What each day adds to the variance of log survival; nothing where all at risk return, after which survival is 0."""
    numbers = table.at_risk
    staying = numbers - table.events
    return np.divide(table.events, numbers * staying, out=np.zeros_like(numbers), where=staying > 0)
