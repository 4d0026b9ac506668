"""What is bought after what: does an item go before a customer's first purchase of another more often than by its habit?

The customer is its own control, as in a case-crossover study: the occasions in the days before its first purchase of the
consequent are compared with its earlier ones. Occasions after that purchase are left out: whoever has the consequent may need
less of the antecedent, or more, and such a change would pass for a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from segmentor.statistics.arrays import FloatArray, IntArray, sums_by
from segmentor.statistics.association import (
    Lift,
    beyond_margins,
    clustered_ratio,
    relative_rates,
    size_classes,
    standardised,
)
from segmentor.statistics.heterogeneity import Scores
from segmentor.statistics.survival import LifeTable, survival

BoolArray = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""Days to what was not observed."""

_REFITS = 3
"""Times that relative rates and odds ratio are fitted to each other."""

_FARTHEST = 12.0
"""The log of an odds ratio is looked for within this distance of 0."""

_ROUNDING = 1e-9
"""Share of the observed count below which a spread is rounding error and not variance."""

_TINY = 1e-300
"""Stands for 0 where nothing is divided by nothing."""


@dataclass(frozen=True, eq=False)
class Occasions:
    """Occasions of customers in the order of time, and how far they are followed.

    Attributes:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        day: Day of each occasion, ascending and no two alike for one customer; same shape.
        month: Calendar month of each occasion, 0, 1, ...; same shape.
        within: Days after an occasion in which a later one counts, the last of them included.
        last_day: Last day of observation.
    """

    customer: IntArray
    day: IntArray
    month: IntArray
    within: int
    last_day: int

    def days_until_first(self, bought: IntArray) -> IntArray:
        """Days from each occasion to the customer's first one with an item: 0 on it, negative after it; `NEVER` without one.

        Args:
            bought: Indices of the occasions with the item, ascending.
        """
        buyer, occasion = _firsts(self.customer, bought)
        first: IntArray = np.full(1 + self.customer.max(initial=-1), NEVER)
        first[buyer] = self.day[occasion]
        first_day = first[self.customer]
        return np.where(first_day == NEVER, NEVER, first_day - self.day)

    def margins(self, appetite: IntArray) -> tuple[IntArray, ...]:
        """Levels on which the rate of an item may depend for one and the same customer, each of shape (n_occasions,).

        The month, the appetite, the class of the number of the customer's later occasions within the days, and that of its
        earlier ones: what makes customers come back sooner is no rule, nor is what they buy at first.

        Args:
            appetite: Class of each occasion by the number of its other items; same shape.
        """
        return self.month, appetite, *self._later_and_earlier

    @cached_property
    def _later_and_earlier(self) -> tuple[IntArray, IntArray]:
        row, keys = np.arange(self.customer.size), self.keys()
        later = np.searchsorted(keys, keys + self.within, side="right") - row - 1
        earlier = row - np.searchsorted(self.customer, self.customer)
        return size_classes(later), size_classes(earlier)

    def keys(self) -> IntArray:
        """A number for each occasion, ascending, by which those of one customer differ as days do and others by more than the days."""
        span = self.day.max(initial=0) - self.day.min(initial=0) + self.within + 1
        return np.asarray(self.customer * span + self.day)


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """One item after another, by customers who are new to the second.

    Attributes:
        lift: Occasions with the antecedent that are followed by the first purchase of the consequent within the days, against
            those expected from the customers' habits.
        customers: Customers with such an occasion.
        support: Share of all occasions that hold the antecedent and are so followed; of those whose days were all observed, as is
            the confidence.
        confidence: Share of the antecedent's occasions, of customers new to the consequent, that are so followed; ``nan``
            without any.
        confidence_se: Its standard error, clustered by customer.
        share: Of customers new to the consequent, the share who have bought it by day 0, 1, ... after their first occasion with
            the antecedent; shape (within + 1,), ``nan`` on days when nobody was observed any more.
        usual: The same had the antecedent nothing to do with it; same shape.
    """

    lift: Lift
    customers: int
    support: float
    confidence: float
    confidence_se: float
    share: FloatArray
    usual: FloatArray

    def days_by(self, share: float) -> int | None:
        """Day by which a share of those have come who come within the days; ``None`` where nobody comes, or it is not known."""
        if not self.share[-1] > 0.0:
            return None
        return int(np.argmax(self.share >= share * self.share[-1] * (1 - _ROUNDING)))


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """Ordered pairs of items that enough customers followed; a row a pair, ordered by its items.

    Attributes:
        items: Numbers of the antecedent and the consequent; shape (n_pairs, 2).
        customers: Customers with an occasion with the antecedent that the first purchase of the consequent follows within the
            days; shape (n_pairs,).
        p_values: One-sided, against a lift of at most 1; 1 where nothing varies; same shape.
    """

    items: IntArray
    customers: IntArray
    p_values: FloatArray


def following(occasions: Occasions, *, appetite: IntArray, antecedent: IntArray, consequent: IntArray) -> Following:
    """Whether, how often and how soon customers who are new to one item buy it after another.

    An occasion is *followed* if the customer first buys the consequent on a later one within the days; the same occasion
    is none. Only occasions before that purchase count: on them the customer is new to the consequent. Without a rule
    the antecedent is on them by the customer's habit, with rates s relative to those of its other occasions by `Occasions.margins`:
    with n antecedents in all, n s / S are expected on each, S being the sum of s. The test takes the differences, each times
    what of being followed neither the customer nor a margin explains, so that it does not depend on how well s is known.

    With a rule, the antecedent raises the odds of being followed from those of a chance c by a factor R. So by Bayes'
    rule the antecedent is R / (1 - c + R c) times as frequent on followed occasions, and 1 / (1 - c + R c) times on others.
    As R raises c to the confidence p, these are p + (1 - p) R and 1 - p + p / R, and p is observed: it is that of the
    occasions with about as many later ones. R makes as many followed antecedents expected as were observed, with s times these
    factors for s, in turn with the fit of s beside them. Without the factors the same habits give the number
    expected without the rule: the lift is observed over expected, its standard error by influence, clustered by customer.

    The lift is somewhat large where the chances of customers to buy the consequent differ much more than their numbers of later
    occasions tell; it is never further from 1 than R.

    Args:
        occasions: All occasions.
        appetite: Class of each occasion by the number of its items other than the two; shape (n_occasions,).
        antecedent: Indices of the occasions with the antecedent, ascending.
        consequent: Indices of the occasions with the consequent, ascending.

    References:
        Maclure (1991), Am. J. Epidemiol. 133, 144-153 (a case's own earlier times as controls); Navidi (1998), Biometrics 54,
        596-605 (when later times will do: where the event changes no exposure); Suissa (1995), Epidemiology 6, 248-253 (trends
        of the exposure from others' times); Wooldridge (1999), J. Econometrics 90, 77-97 (rates of each unit's own need no Poisson).
    """
    trail = _trail(occasions, appetite, antecedent=antecedent, consequent=consequent)
    lift, expected = _against_habit(trail)
    met = trail.held & trail.followed
    observed = np.cumsum(np.bincount(trail.days[met], minlength=occasions.within + 1))
    share = _share_by_day(trail)
    whole = trail.left >= occasions.within
    confidence, confidence_se = clustered_ratio(trail.sums(whole & met), trail.sums(whole & trail.held))
    ratio = np.divide(np.cumsum(expected), observed, out=np.zeros(observed.size), where=observed > 0)
    return Following(
        lift=lift,
        customers=int(np.unique(trail.customer[met]).size),
        support=float((met & whole).sum())
        / max(1, int((occasions.last_day - occasions.day >= occasions.within).sum())),
        confidence=confidence,
        confidence_se=confidence_se,
        share=share,
        usual=np.maximum.accumulate(share * ratio),
    )


def lift_of_following(
    occasions: Occasions, *, appetite: IntArray, antecedent: IntArray, consequent: IntArray
) -> tuple[Lift, int]:
    """The lift of `following`, of the same arguments, and the customers with a followed occasion; without their shares by day."""
    trail = _trail(occasions, appetite, antecedent=antecedent, consequent=consequent)
    if not trail.customer.size:
        return Lift(0.0, 0.0, float("nan"), float("nan")), 0
    return _against_habit(trail)[0], int(np.unique(trail.customer[trail.held & trail.followed]).size)


def pull_scores(
    occasions: Occasions, *, appetite: IntArray, antecedent: IntArray, consequent: IntArray, log_odds: float
) -> Scores:
    """Each customer's score of the pull that `following` fits, the log of the odds ratio, at a value of it.

    Args:
        occasions: All occasions.
        appetite: As for `following`, as are the two that follow.
        antecedent: Occasions with the antecedent.
        consequent: Occasions with the consequent.
        log_odds: The value.
    """
    trail = _trail(occasions, appetite, antecedent=antecedent, consequent=consequent)
    tilt, slope = _tilted(trail, log_odds)
    fitted = _by_habit(trail, tilt * _rates(trail.customer, np.flatnonzero(trail.held), trail.margins, given=tilt))
    beyond = _beyond_margins(trail, trail.followed.astype(np.float64), fitted)
    return Scores(trail.sums((trail.held - fitted) * beyond), float((fitted * beyond * slope).sum()))


def screen_pairs(
    occasions: Occasions, *, sold: Sequence[IntArray], appetite: Iterable[IntArray], least: int
) -> Screening:
    """The test of `following` for every ordered pair of items, with relative rates fitted once an item, to all its occasions.

    The occasions before a purchase follow each other, so that sums over them are differences of running sums: what a pair costs
    goes with the customers of its consequent, not with the occasions.

    Args:
        occasions: All occasions.
        sold: For each item the occasions that hold it, ascending.
        appetite: For each item the class of each occasion by the number of its other items; shape (n_occasions,) each.
        least: Fewest customers of a pair who have followed it, 1 or more.
    """
    runs, blocks = (
        _runs(occasions, sold),
        [(np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))],
    )
    for item, (held, classes) in enumerate(zip(sold, appetite, strict=True)):
        first: IntArray = np.full(1 + occasions.customer.max(initial=-1), occasions.customer.size)
        buyer, occasion = _firsts(occasions.customer, held)
        first[buyer] = occasion
        own = runs.chosen(np.flatnonzero((first[runs.customer] < runs.stop) & (runs.item != item)))
        so_far = _running(np.bincount(held, minlength=occasions.customer.size))
        observed = so_far[own.stop] - so_far[own.low]
        customers = np.bincount(own.item[observed > 0], minlength=len(sold))
        tried = np.flatnonzero(customers >= least)
        if tried.size:
            told = np.flatnonzero((customers >= least)[own.item])
            own, observed = own.chosen(told), observed[told]
            rate_so_far = _running(_rates(occasions.customer, held, occasions.margins(classes)))
            share = (rate_so_far[own.stop] - rate_so_far[own.low]) / (rate_so_far[own.stop] - rate_so_far[own.start])
            score = observed - (so_far[own.stop] - so_far[own.start]) * share
            followed, total, squares = (
                sums_by(own.item, values, len(sold))[tried] for values in (observed, score, np.square(score))
            )
            spread = np.sqrt(squares)
            z = np.divide(total, spread, out=np.full(tried.size, -np.inf), where=spread > _ROUNDING * followed)
            blocks.append((np.column_stack([np.full(tried.size, item), tried]), customers[tried], ndtr(-z)))
    return Screening(*map(np.concatenate, zip(*blocks, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Occasions before the first purchase of an item, a run for each customer: from start to stop, from low within the days."""

    customer: IntArray
    item: IntArray
    start: IntArray
    low: IntArray
    stop: IntArray

    def chosen(self, runs: IntArray) -> _Runs:
        """Some of them."""
        return _Runs(self.customer[runs], self.item[runs], self.start[runs], self.low[runs], self.stop[runs])


def _runs(occasions: Occasions, sold: Sequence[IntArray]) -> _Runs:
    keys, runs = occasions.keys(), [np.zeros((5, 0), dtype=np.int64)]
    for item, bought in enumerate(sold):
        buyer, stop = _firsts(occasions.customer, bought)
        start = np.searchsorted(occasions.customer, buyer)
        low = np.maximum(start, np.searchsorted(keys, keys[stop] - occasions.within))
        runs.append(np.stack([buyer, np.full(stop.size, item), start, low, stop]))
    return _Runs(*np.concatenate(runs, axis=1))


def _firsts(customer: IntArray, bought: IntArray) -> tuple[IntArray, IntArray]:
    """Customers with an item, ascending, and the first occasion of each that holds it."""
    buyer, place = np.unique(customer[bought], return_index=True)
    return buyer, bought[place]


@dataclass(frozen=True, slots=True, eq=False)
class _Trail:
    """Occasions of customers new to the consequent who bought the antecedent on one of them.

    Attributes:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_trail,), as of all that follow.
        held: Whether it holds the antecedent.
        days: Days to the consequent, 1 or more; `NEVER` where that was not observed.
        followed: Whether these are within the days.
        left: Days of observation after it.
        margins: Levels as of `Occasions.margins`.
        confidence: Share of the antecedent's occasions that are followed, of those with about as many later ones.
        within: Days in which the consequent counts.
    """

    customer: IntArray
    held: BoolArray
    days: IntArray
    followed: BoolArray
    left: IntArray
    margins: tuple[IntArray, ...]
    confidence: FloatArray
    within: int

    def sums(self, values: FloatArray | BoolArray) -> FloatArray:
        """Sums by customer."""
        return np.asarray(np.bincount(self.customer, values), dtype=np.float64)


def _trail(occasions: Occasions, appetite: IntArray, *, antecedent: IntArray, consequent: IntArray) -> _Trail:
    days = occasions.days_until_first(consequent)
    held = np.bincount(antecedent, minlength=days.size) > 0
    buys = np.bincount(occasions.customer, held & (days > 0)) > 0
    row = np.flatnonzero((days > 0) & buys[occasions.customer])
    held, days = held[row], days[row]
    followed = days <= occasions.within
    month, appetite, later, earlier = (levels[row] for levels in occasions.margins(appetite))
    among = np.bincount(later[held], minlength=1 + later.max(initial=0))
    met = np.bincount(later[held & followed], minlength=among.size)
    return _Trail(
        customer=np.unique(occasions.customer[row], return_inverse=True)[1],
        held=held,
        days=days,
        followed=followed,
        left=occasions.last_day - occasions.day[row],
        margins=(month, appetite, later, earlier),
        confidence=(met / np.maximum(among, 1))[later],
        within=occasions.within,
    )


def _against_habit(trail: _Trail) -> tuple[Lift, FloatArray]:
    """The lift, and the number of followed occasions with the antecedent expected by habit, by the days to the consequent."""
    bought, observed = np.flatnonzero(trail.held), int((trail.held & trail.followed).sum())
    rate = _rates(trail.customer, bought, trail.margins)
    expected, log_se = _by_habit(trail, rate), float("nan")
    residual = (trail.held - expected) * _beyond_margins(trail, trail.followed.astype(np.float64), expected)
    z = standardised(trail.sums(residual), scale=observed)
    log_odds = None if np.isnan(z) else _log_odds_ratio(trail, rate)
    if log_odds is not None:
        for _ in range(_REFITS):
            rate = _rates(trail.customer, bought, trail.margins, given=_tilted(trail, log_odds)[0])
            log_odds = _log_odds_ratio(trail, rate) or log_odds
        tilt, slope = _tilted(trail, log_odds)
        fitted = _by_habit(trail, rate * tilt)
        expected, log_se = fitted / tilt, _log_se(trail, fitted, tilt=tilt, slope=slope)
    by_day = sums_by(trail.days[trail.followed], expected[trail.followed], trail.within + 1)
    return Lift(observed, float(by_day.sum()), z, log_se), by_day


def _log_se(trail: _Trail, fitted: FloatArray, *, tilt: FloatArray, slope: FloatArray) -> float:
    """Standard error of log(lift) by influence: on the two numbers, and through odds ratio and relative rates on the expected one.

    Args:
        trail: The occasions.
        fitted: Expected number of antecedents on each with the rule, shape (n_trail,).
        tilt: What the rule makes of that without, same shape.
        slope: Slope of its logarithm by that of the odds ratio, same shape.
    """
    residual, ahead = trail.held - fitted, trail.followed / tilt
    beyond = _beyond_margins(trail, trail.followed.astype(np.float64), fitted)
    explained = ahead - _beyond_margins(trail, ahead, fitted)
    on_odds = trail.sums(residual * beyond) / (fitted * beyond * slope).sum()
    on_expected = trail.sums(fitted * ahead + residual * explained) - (fitted * explained * slope).sum() * on_odds
    observed = trail.sums(trail.held & trail.followed)
    influence = observed / observed.sum() - on_expected / (fitted * ahead).sum()
    return float(np.sqrt(np.square(influence).sum()))


def _by_habit(trail: _Trail, rate: FloatArray) -> FloatArray:
    """A customer's occasions with the antecedent, spread over all of its own in proportion to the rate."""
    return (trail.sums(trail.held) / trail.sums(rate))[trail.customer] * rate


def _beyond_margins(trail: _Trail, values: FloatArray, weight: FloatArray) -> FloatArray:
    """What neither the customer nor a margin explains of the values."""
    return beyond_margins(values, (*trail.margins, trail.customer), weight=weight)


def _rates(
    customer: IntArray, held: IntArray, margins: Sequence[IntArray], given: FloatArray | None = None
) -> FloatArray:
    """Relative rate of an item on each occasion, without what is given."""
    fitted = relative_rates(customer, held, margins=margins, given=given)
    return np.asarray(np.prod([rates[levels] for rates, levels in zip(fitted, margins, strict=True)], axis=0))


def _log_odds_ratio(trail: _Trail, rate: FloatArray) -> float | None:
    """Log of the odds ratio; ``None`` where no customer with occasions before the days and within them tells of one."""
    bought, observed = trail.sums(trail.held), int((trail.held & trail.followed).sum())

    def surplus(log_odds: float) -> float:
        weight = rate * _tilted(trail, log_odds)[0]
        return observed - float((bought * trail.sums(weight * trail.followed) / trail.sums(weight)).sum())

    if not surplus(-_FARTHEST) > 0.0 > surplus(_FARTHEST):
        return None
    return float(brentq(surplus, -_FARTHEST, _FARTHEST, xtol=1e-10))


def _tilted(trail: _Trail, log_odds: float) -> tuple[FloatArray, FloatArray]:
    """How many times as frequent a rule makes the antecedent on each occasion; slope of its logarithm by that of the odds ratio."""
    ratio, confidence = float(np.exp(log_odds)), trail.confidence
    tilt = np.where(trail.followed, confidence + (1 - confidence) * ratio, 1 - confidence + confidence / ratio)
    slope = np.where(trail.followed, (1 - confidence) * ratio, -confidence / ratio)
    return tilt, slope / tilt


def _share_by_day(trail: _Trail) -> FloatArray:
    """Share of customers who have bought the consequent by day 0, 1, ... after their first occasion with the antecedent."""
    held = np.flatnonzero(trail.held)
    first = held[np.unique(trail.customer[held], return_index=True)[1]]
    days, left = trail.days[first], trail.left[first]
    table = LifeTable.from_gaps(np.minimum(days, left), (days <= left).astype(np.int64), weights=np.ones(first.size))
    share = 1.0 - survival(table.cut(trail.within))
    return np.pad(share, (0, trail.within + 1 - share.size), constant_values=1.0 if share[-1] == 1.0 else np.nan)


def _running(values: FloatArray | IntArray) -> FloatArray:
    """Sums of the first 0, 1, ... values."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
