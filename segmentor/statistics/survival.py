"""From the numbers of gaps that end on each day to curves, mean cycles, and what each customer adds to them.

Durations are whole days, so that counts by day are all that any estimator here needs. Scores and influence functions
are linear in a customer's gaps: they come as values by day (`DayValues`), which are summed wherever the gaps lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from segmentor.errors import StatisticsError
from segmentor.statistics.arrays import FloatArray, IntArray, sums_by

_NOTHING = 1e-12
"""A number at risk below this share of all gaps is none: sums of weights such as 1/3 do not cancel exactly."""

_LEVEL = 1.5e-8
"""A curve within this distance of a level is at that level."""


@dataclass(frozen=True, eq=False)
class LifeTable:
    """Weighted numbers of gaps by day: all that survival curves and scores need. Tables of disjoint gaps add.

    A gap that enters at age a and ends on day t is at risk on the days u with a < u <= t; one censored on day t is
    at risk on day t. Gaps that last longer than the table does are censored on its last day.

    Attributes:
        events: Sum of the weights of the gaps that end in a return on that day, shape (n_days,), day 0 first.
        censored: The same for gaps that are censored on that day.
        entered: The same for gaps that enter the risk set at that age, late entries (age above 0) only.
    """

    events: FloatArray
    censored: FloatArray
    entered: FloatArray

    @classmethod
    def from_gaps(
        cls,
        durations: IntArray,
        events: IntArray,
        *,
        weights: FloatArray,
        entry_ages: IntArray | None = None,
    ) -> LifeTable:
        """Table of single gaps.

        Args:
            durations: Days from one occasion to the next, or to the end of observation, shape (n_gaps,).
            events: 1 where the gap ended in a return, 0 where it is censored.
            weights: Weight of each gap.
            entry_ages: Age in days at which the gap enters the risk set; 0 everywhere where not given.
        """
        n_days = int(durations.max(initial=0)) + 1
        returned = np.asarray(events, dtype=bool)
        late = np.zeros_like(durations) if entry_ages is None else entry_ages
        return cls(
            events=sums_by(durations[returned], weights[returned], n_days),
            censored=sums_by(durations[~returned], weights[~returned], n_days),
            entered=sums_by(late[late > 0], weights[late > 0], n_days),
        )

    def __add__(self, other: LifeTable) -> LifeTable:
        n_days = max(self.n_days, other.n_days)
        first, second = _longer(self, n_days), _longer(other, n_days)
        return LifeTable(first.events + second.events, first.censored + second.censored, first.entered + second.entered)

    @property
    def n_days(self) -> int:
        """Number of days, day 0 included."""
        return len(self.events)

    @property
    def weight(self) -> float:
        """Sum of the weights of all gaps."""
        return float(self.events.sum() + self.censored.sum())

    # Every curve and influence starts from these: they are worked out once a table.
    @cached_property
    def at_risk(self) -> FloatArray:
        """Weighted number of gaps at risk by day, shape (n_days,)."""
        ends = self.events + self.censored
        numbers = _from_day_on(ends) - _from_day_on(self.entered)
        return _fixed(np.where(numbers > _NOTHING * self.weight, numbers, 0.0))

    @cached_property
    def hazard(self) -> FloatArray:
        """Share of those at risk who return on the day, shape (n_days,)."""
        numbers = self.at_risk
        return _fixed(np.divide(self.events, numbers, out=np.zeros_like(numbers), where=numbers > 0))

    @cached_property
    def staying(self) -> FloatArray:
        """At risk and not back on that day, shape (n_days,); exactly 0 where all at risk return."""
        staying = self.at_risk - self.events
        return _fixed(np.where(staying > 1e-9 * self.at_risk, staying, 0.0))

    @cached_property
    def survival(self) -> FloatArray:
        """Kaplan-Meier estimate of the share not yet back by day, shape (n_days,); see ``survival``."""
        numbers = self.at_risk
        daily = np.divide(self.staying, numbers, out=np.ones_like(numbers), where=numbers > 0)
        curve = np.cumprod(daily, dtype=np.float64)
        last = last_day(self)
        known = 0 if last is None else last + 1
        curve[known:] = np.where(curve[known:] > 0, np.nan, 0.0)
        return _fixed(curve)

    def cut(self, day: int) -> LifeTable:
        """The table as seen on `day`: gaps that end later are censored then. Shape (day + 1,) at most."""
        if day + 1 >= self.n_days:
            return self
        censored, entered = self.censored[: day + 1].copy(), self.entered[: day + 1].copy()
        censored[day] += self.events[day + 1 :].sum() + self.censored[day + 1 :].sum()
        entered[day] += self.entered[day + 1 :].sum()
        return LifeTable(self.events[: day + 1], censored, entered)


@dataclass(frozen=True, slots=True, eq=False)
class DayValues:
    """A quantity to which each gap adds by the day on which it ends, and from which its late entry is taken off.

    A gap that enters at age a and ends on day t adds weight * (event[t] - censored[a]) where it ended in a return,
    else weight * (censored[t] - censored[a]). Ages and days past the last one count as that one, and a gap that ends
    past the last day as censored then.

    Attributes:
        event: Value of a gap that ends in a return on that day, shape (n_days,), day 0 first.
        censored: Value of a gap that is censored on that day; 0 on day 0.
    """

    event: FloatArray
    censored: FloatArray


def customer_sums(
    values: DayValues,
    *,
    customers: IntArray,
    durations: IntArray,
    events: IntArray,
    weights: FloatArray,
    entry_ages: IntArray | None = None,
) -> FloatArray:
    """Sums of `values` over each customer's gaps.

    Args:
        values: What a gap adds, by day.
        customers: Number of the gap's customer, 0 first, shape (n_gaps,).
        durations: Days, as in `LifeTable.from_gaps`.
        events: 1 where the gap ended in a return.
        weights: Weight of each gap.
        entry_ages: Ages at late entry, in days.

    Returns:
        One sum a customer, shape (n_customers,).
    """
    last = values.event.shape[0] - 1
    ends = np.minimum(durations, last)
    returned = np.asarray(events, dtype=bool) & (durations <= last)
    by_gap = np.where(returned, values.event[ends], values.censored[ends])
    if entry_ages is not None:
        by_gap = by_gap - values.censored[np.minimum(entry_ages, last)]
    return sums_by(customers, weights * by_gap, int(customers.max(initial=-1)) + 1)


def day_by_which(numbers: FloatArray | IntArray, share: float) -> int:
    """First day by which a share of all has happened; with 0.9 and the numbers of returns the horizon of the scores.

    Args:
        numbers: Numbers by day, shape (n_days,).
        share: Between 0 and 1.

    Raises:
        StatisticsError: Nothing happened.
    """
    so_far = np.cumsum(numbers)
    if so_far.size == 0 or so_far[-1] <= 0:
        raise StatisticsError("no return was observed")
    return int(np.argmax(so_far >= share * so_far[-1] * (1 - _NOTHING)))


def last_day(table: LifeTable, *, at_risk: float = 0.0) -> int | None:
    """Last day with a gap at risk, or with at least `at_risk` of them by weight; `None` where there is no such day."""
    numbers = table.at_risk
    supported = np.flatnonzero((numbers > 0) & (numbers >= at_risk * (1 - _NOTHING)))
    return int(supported[-1]) if supported.size else None


def cumulative_hazard(table: LifeTable) -> FloatArray:
    """Nelson-Aalen estimate of the cumulative hazard by day, shape (n_days,)."""
    return np.cumsum(table.hazard, dtype=np.float64)


def survival(table: LifeTable) -> FloatArray:
    """Kaplan-Meier estimate of the share not yet back by day, shape (n_days,).

    A return on a day counts in that day's value. Where the risk set empties with the curve above 0, the curve is not
    known afterwards: `nan`.
    """
    return table.survival


def survival_band(
    share: FloatArray, standard_error: FloatArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Interval for survival on the scale of log(-log S), which keeps within 0..1; `nan` where S is 0 or 1.

    Args:
        share: Survival, any shape.
        standard_error: Its standard error, same shape.
        level: Coverage.

    Returns:
        Lower and upper bounds, same shape.
    """
    inside = (share > 0) & (share < 1)
    log_share = np.log(share, out=np.full_like(share, np.nan), where=inside)
    width = ndtri((1 + level) / 2) * standard_error / (share * log_share)
    return np.exp(log_share * np.exp(-width)), np.exp(log_share * np.exp(width))


def quantile_day(curve: FloatArray, share: float) -> float | None:
    """Day by which a share is back: half-way where the curve is flat at exactly that level; `None` if not reached.

    Args:
        curve: Survival by day, as of `survival`.
        share: Share back, between 0 and 1.
    """
    level = 1 - share
    reached = np.flatnonzero(curve <= level + _LEVEL)
    if not reached.size:
        return None
    first = int(reached[0])
    if curve[first] < level - _LEVEL:
        return float(first)
    below = np.flatnonzero(curve < level - _LEVEL)
    end = below[0] if below.size else np.flatnonzero(curve >= level - _LEVEL)[-1]
    return float(first + end) / 2


def median_day(curve: FloatArray) -> float | None:
    """Day by which half are back; `None` if that is not reached."""
    return quantile_day(curve, 0.5)


def restricted_mean(curve: FloatArray, horizon: int) -> float:
    """Mean days to the return, or to the horizon where that is earlier: the area under the curve.

    Args:
        curve: Survival by day, as of `survival`.
        horizon: Days.

    Raises:
        StatisticsError: The curve is not known up to the horizon.
    """
    return float(_until(curve, horizon)[:horizon].sum())


def mean_cycle(curve: FloatArray, horizon: int) -> float:
    """Mean days to the return of those who are back by the horizon; `nan` where nobody is.

    Args:
        curve: Survival by day, as of `survival`.
        horizon: Days.

    Raises:
        StatisticsError: The curve is not known up to the horizon.
    """
    known = _until(curve, horizon)
    back = 1 - known[horizon]
    return float((known[:horizon] - known[horizon]).sum() / back) if back > 0 else float("nan")


def logrank_values(table: LifeTable) -> DayValues:
    """Log-rank scores: observed minus expected returns, positive for customers who come back early.

    Args:
        table: Of the whole population, cut at the horizon of the scores.
    """
    return _compensated(table, np.ones(table.n_days))


def gehan_values(table: LifeTable) -> DayValues:
    """Gehan-Wilcoxon scores: each return, and what was expected of it, counts by the share still at risk.

    Args:
        table: Of the whole population, cut at the horizon of the scores.

    References:
        Gehan (1965), Biometrika 52, 203-223.
    """
    return _compensated(table, table.at_risk / max(table.weight, np.finfo(np.float64).tiny))


def hazard_influence(table: LifeTable, day: int) -> DayValues:
    """Influence of a customer's gaps on the cumulative hazard by `day`.

    The standard error is the root of the sum of squares of the customers' sums.
    """
    numbers = table.at_risk
    jump = np.divide(1.0, numbers, out=np.zeros_like(numbers), where=numbers > 0)
    return _compensated(table, _through(jump, day))


def survival_influence(table: LifeTable, day: int) -> DayValues:
    """Influence of a customer's gaps on survival at `day`; the share back has the opposite sign.

    Raises:
        StatisticsError: The curve is not known on that day.
    """
    return _compensated(table, _survival_jump(table, day))


def restricted_mean_influence(table: LifeTable, horizon: int) -> DayValues:
    """Influence of a customer's gaps on the restricted mean.

    Raises:
        StatisticsError: The curve is not known up to the horizon.
    """
    return _compensated(table, _area_jump(table, horizon))


def mean_cycle_influence(table: LifeTable, horizon: int) -> DayValues:
    """Influence of a customer's gaps on the mean cycle of those back by the horizon (delta method).

    Raises:
        StatisticsError: The curve is not known up to the horizon, or nobody is back by then.
    """
    curve = survival(table)
    mean = mean_cycle(curve, horizon)
    if np.isnan(mean):
        raise StatisticsError(f"nobody is back by day {horizon}")
    back = 1 - _until(curve, horizon)[horizon]
    jump = (_area_jump(table, horizon) + (mean - horizon) * _survival_jump(table, horizon)) / back
    return _compensated(table, jump)


def _compensated(table: LifeTable, jump: FloatArray) -> DayValues:
    """Sum over days of jump * (return - at risk * hazard): the form that all scores and influences share."""
    expected = np.cumsum(jump * table.hazard)
    return DayValues(event=jump - expected, censored=-expected)


def _survival_jump(table: LifeTable, day: int) -> FloatArray:
    staying = table.staying
    at_day = _until(survival(table), day)[day]
    return _through(np.divide(-at_day, staying, out=np.zeros_like(staying), where=staying > 0), day)


def _area_jump(table: LifeTable, horizon: int) -> FloatArray:
    staying = table.staying
    areas = np.zeros(max(table.n_days, horizon))
    areas[:horizon] = _from_day_on(_until(survival(table), horizon)[:horizon])
    return np.divide(-areas[: table.n_days], staying, out=np.zeros_like(staying), where=staying > 0)


def _fixed(values: FloatArray) -> FloatArray:
    """The array, closed to writing: more than one reader holds it."""
    values.flags.writeable = False
    return values


def _until(curve: FloatArray, day: int) -> FloatArray:
    """The curve on days 0 to `day`: a curve that has reached 0 stays there, any other ends where it is last known."""
    longer = np.full(max(0, day + 1 - curve.shape[0]), 0.0 if curve[-1] == 0 else np.nan)
    known = np.concatenate([curve, longer])[: day + 1]
    if np.isnan(known[-1]):
        raise StatisticsError(f"day {day} is past the last day on which anybody was observed; choose an earlier one")
    return known


def _from_day_on(numbers: FloatArray) -> FloatArray:
    return np.cumsum(numbers[::-1])[::-1]


def _through(numbers: FloatArray, day: int) -> FloatArray:
    return np.where(np.arange(numbers.shape[0]) <= day, numbers, 0.0)


def _longer(table: LifeTable, n_days: int) -> LifeTable:
    more = (0, n_days - table.n_days)
    return LifeTable(np.pad(table.events, more), np.pad(table.censored, more), np.pad(table.entered, more))
