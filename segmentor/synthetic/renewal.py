"""Shops of one product or two whose law is known to the last figure: customers who come back by a renewal process.

A world and a generator become customers and the days on which they buy; nothing else is made up, so that thousands of shops
can be tried. The truth of a world is the share back by day of a typical customer, from customers followed to the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

GapLaw = Literal["gamma", "log-normal"]

YEAR = 365.25

_SHAPE = 2.0
_LOG_SD = 0.8
_TRUE_GAPS = 4
"""Gaps of a customer that the truth is read from: more add little, a customer's gaps being of one law."""

_CHUNK = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalWorld:
    """A shop as it truly is; its customers are of group 0 or 1, which differ by what is planted and by nothing else.

    Attributes:
        days: Length of the observed period.
        entry_days: First purchases are uniform over this many days; 1 lets all begin together and be observed equally long.
        rate_sd: Standard deviation of the log of a customer's rate; the median rate is 1.
        gap_law: Of a customer's gaps: gamma of shape 2, or log-normal of log sd 0.8.
        mean_gap_days: Mean gap of a customer of rate 1.
        buys_once: Share of customers who never come back.
        leaves: Probability of leaving for good after any purchase.
        season: Size of a yearly wave in the pace of time, 0 to below 1: purchases come (1 + season) times as often at its height.
        group_share: Share of customers in group 1.
        factor: Gaps of group 1 are times this.
        buys_once_more: Share of customers who never come back in group 1, minus that in group 0.
    """

    days: int = 365
    entry_days: int = 270
    rate_sd: float = 0.5
    gap_law: GapLaw = "gamma"
    mean_gap_days: float = 45.0
    buys_once: float = 0.0
    leaves: float = 0.0
    season: float = 0.0
    group_share: float = 0.5
    factor: float = 1.0
    buys_once_more: float = 0.0


@dataclass(frozen=True, slots=True)
class RenewalShop:
    """Purchases of a shop, a row each, in order of customer and day; a customer never has two on one day.

    Attributes:
        group: Group of each customer, shape (n_customers,).
        customer: Position of the customer, shape (n_purchases,).
        day: Days since the world's start, same shape.
    """

    group: IntArray
    customer: IntArray
    day: IntArray


@dataclass(frozen=True, slots=True)
class TrueCurve:
    """What is true of a typical customer of a group.

    Attributes:
        share_back: Share back by day 0, 1, ..., shape (n_days,).
    """

    share_back: FloatArray

    def mean_cycle(self, horizon: int) -> float:
        """Mean days to the return of those back by the horizon."""
        waiting = self.share_back[horizon] - self.share_back[:horizon]
        return float(waiting.sum() / self.share_back[horizon])

    def restricted_mean(self, horizon: int) -> float:
        """Mean days to the return, or to the horizon where that is earlier."""
        return float((1 - self.share_back[:horizon]).sum())


def draw_shop(world: RenewalWorld, customers: int, *, rng: np.random.Generator) -> RenewalShop:
    """All purchases before day ``world.days``; two of a customer never share a day: the later one moves to the next day."""
    group = (rng.random(customers) < world.group_share).astype(np.int64)
    entry = rng.uniform(0, world.entry_days, customers)
    return _histories(world, group, entry, end=world.days, gaps=world.days, rng=rng)


def true_curves(
    world: RenewalWorld, *, days: int, customers: int = 1_000_000, seed: int = 0
) -> tuple[TrueCurve, TrueCurve]:
    """Curves of the two groups from uncensored histories: each customer counts once, whatever the number of its gaps.

    The same draws are used for every world, so that curves change smoothly with its figures.

    Args:
        world: Any world without a season, where a gap has one law all the year.
        days: Last day of the curves.
        customers: Customers simulated for each group.
        seed: Of the simulation.
    """
    first, second = (_true_curve(world, group, days=days, customers=customers, seed=seed) for group in (0, 1))
    return first, second


def _true_curve(world: RenewalWorld, group: int, *, days: int, customers: int, seed: int) -> TrueCurve:
    rng = np.random.default_rng(seed)
    back = np.zeros(days + 2)
    endless = replace(world, season=0.0)
    for start in range(0, customers, _CHUNK):
        count = min(_CHUNK, customers - start)
        shop = _histories(
            endless, np.full(count, group), rng.uniform(0, 1, count), end=np.inf, gaps=_TRUE_GAPS, rng=rng
        )
        same = shop.customer[1:] == shop.customer[:-1]
        customer, gap = shop.customer[1:][same], np.diff(shop.day)[same]
        back += np.bincount(
            np.minimum(gap, days + 1), 1 / np.bincount(customer, minlength=count)[customer], minlength=days + 2
        )
    return TrueCurve(np.cumsum(back)[:-1] / customers)


def _histories(
    world: RenewalWorld, group: IntArray, entry: FloatArray, *, end: float, gaps: int, rng: np.random.Generator
) -> RenewalShop:
    """Purchases from each customer's entry to the end, at most ``gaps`` after the first.

    Gaps are drawn on a clock of which the calendar is a function, so that a season moves purchases and leaves the law of the gaps.
    """
    rate = np.exp(world.rate_sd * rng.standard_normal(len(group)))
    scale = world.mean_gap_days * np.where(group == 1, world.factor, 1.0) / rate
    customer, clock, day = np.arange(len(group)), _clock(world, entry), entry.astype(np.int64)
    rounds = [(customer, day)]
    returns = rng.random(len(group)) >= world.buys_once + world.buys_once_more * group
    customer, clock, day = customer[returns], clock[returns], day[returns]
    for _ in range(gaps):
        stays = rng.random(len(customer)) >= world.leaves
        customer, clock, day = customer[stays], clock[stays], day[stays]
        clock = clock + scale[customer] * _gaps(world.gap_law, len(customer), rng=rng)
        day = np.maximum(np.floor(_calendar(world, clock)).astype(np.int64), day + 1)
        observed = day < end
        customer, clock, day = customer[observed], clock[observed], day[observed]
        if not len(customer):
            break
        rounds.append((customer, day))
    customer, day = (np.concatenate(parts) for parts in zip(*rounds, strict=True))
    order = np.argsort(customer, kind="stable")
    return RenewalShop(group, customer[order], day[order])


def _gaps(law: GapLaw, count: int, *, rng: np.random.Generator) -> FloatArray:
    """Gaps of mean 1."""
    if law == "gamma":
        return rng.standard_gamma(_SHAPE, count) / _SHAPE
    return np.exp(_LOG_SD * rng.standard_normal(count) - _LOG_SD**2 / 2)


def _clock(world: RenewalWorld, day: FloatArray) -> FloatArray:
    """Time on the clock of the gaps: its pace is 1 + season * sin(2 pi day / year)."""
    return day + world.season * YEAR / (2 * np.pi) * (1 - np.cos(2 * np.pi * day / YEAR))


def _calendar(world: RenewalWorld, clock: FloatArray) -> FloatArray:
    """The day at which the clock shows that time; times past the observed period are past it in both."""
    if world.season == 0:
        return clock
    days = np.arange(world.days + 2, dtype=np.float64)
    return np.interp(clock, _clock(world, days), days)
