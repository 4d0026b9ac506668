"""When customers buy: from a world and its customers to one row per occasion.

Gaps are independent gamma variables in *operational* time, which runs faster in the season and on busy weekdays.
A day of the calendar is where an operational time falls, so that season and weekday move purchases without
touching the law of the gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from segmentor.synthetic.world import FragranceWorld, Shares

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """Customers as they truly are, one entry each; names of labels are codes into the world's shares.

    Attributes:
        entry: Time of the first purchase in days since the world's start, float64.
        rate: How often a customer buys, median 1.
        appetite: How much else it buys, median 1.
        gender: Code of the first fragrance's gender.
        size: Code of the first fragrance's size.
        channel: Code of the channel.
        region: Code of the region.
        factor: What its gaps are multiplied by: the planted effect of its labels.
    """

    entry: FloatArray
    rate: FloatArray
    appetite: FloatArray
    gender: IntArray
    size: IntArray
    channel: IntArray
    region: IntArray
    factor: FloatArray


@dataclass(frozen=True, slots=True)
class Histories:
    """Occasions, one row each, sorted by customer and day; key (customer, number).

    Attributes:
        customer: Position of the customer among the people.
        number: 0 for the first purchase.
        day: Days since the world's start; strictly increasing within a customer.
        clock: Operational time of the purchase.
    """

    customer: IntArray
    number: IntArray
    day: IntArray
    clock: FloatArray

    def keys(self, stride: int) -> IntArray:
        """Sorted numbers ``customer * stride + day``, to find a customer's occasion by day."""
        return self.customer * stride + self.day


def draw_people(world: FragranceWorld, customers: int, *, rng: np.random.Generator) -> People:
    """Customers with labels that are independent of each other and of everything else."""
    entry = rng.uniform(0, world.entry_days, customers)
    rate = np.exp(rng.normal(0, world.rate_sd, customers))
    appetite = np.exp(rng.normal(0, world.appetite_sd, customers))
    gender, size, channel = (
        draw_codes(shares, customers, rng=rng) for shares in (world.genders, world.sizes, world.channels)
    )
    region = rng.integers(0, world.n_regions, customers)
    return People(entry, rate, appetite, gender, size, channel, region, gap_factor(world, size=size, channel=channel))


def draw_codes(shares: Shares, count: int, *, rng: np.random.Generator) -> IntArray:
    """As many codes 0, 1, ... drawn with the given shares."""
    cumulative = np.cumsum([share for _, share in shares])[:-1]
    return np.searchsorted(cumulative, rng.random(count), side="right")


def code_of(shares: Shares, name: str) -> int:
    """Code of a name among shares."""
    return [known for known, _ in shares].index(name)


def gap_factor(world: FragranceWorld, *, size: IntArray, channel: IntArray) -> FloatArray:
    """What the gaps of customers with these first sizes and channels are multiplied by."""
    sample = size == code_of(world.sizes, "sample")
    full_store = (size == code_of(world.sizes, "full")) & (channel == code_of(world.channels, "store"))
    return np.where(sample, world.sample_factor, 1.0) * np.where(full_store, world.full_store_factor, 1.0)


def operational_time(world: FragranceWorld, days: int) -> FloatArray:
    """Operational time at the beginning of day 0, 1, ..., ``days`` since the world's start; shape (days + 1,)."""
    calendar = np.datetime64(world.start) + np.arange(days).astype("timedelta64[D]")
    pace = np.asarray(world.weekdays)[weekday_of(world.start, days)]
    season = np.isin(month_of(calendar), world.season_months)
    return np.concatenate([[0.0], np.cumsum(pace * np.where(season, world.season_factor, 1.0))])


def weekday_of(start: date, days: int) -> IntArray:
    """Weekday, Monday 0, of each of the days from ``start``."""
    return (start.weekday() + np.arange(days)) % 7


def month_of(calendar: NDArray[np.datetime64]) -> IntArray:
    """Month 1..12 of days."""
    return calendar.astype("datetime64[M]").astype(np.int64) % 12 + 1


def draw_histories(world: FragranceWorld, people: People, *, rng: np.random.Generator) -> Histories:
    """All occasions before day ``world.days``.

    Two purchases of a customer never share a day: the later one moves to the next day.
    """
    time = operational_time(world, world.days)
    calendar = np.arange(world.days + 1, dtype=np.float64)
    customer = np.arange(len(people.entry))
    clock, day = np.interp(people.entry, calendar, time), people.entry.astype(np.int64)
    rounds = [(customer, clock, day)]
    buys_again = rng.random(len(customer)) >= world.buys_once
    customer, clock, day = customer[buys_again], clock[buys_again], day[buys_again]
    scale = world.mean_gap_days / world.gamma_shape * people.factor / people.rate
    while len(customer):
        stays = rng.random(len(customer)) >= world.leaves
        customer, clock, day = customer[stays], clock[stays], day[stays]
        clock = clock + rng.standard_gamma(world.gamma_shape, len(customer)) * scale[customer]
        day = np.maximum(np.interp(clock, time, calendar).astype(np.int64), day + 1)
        observed = day < world.days
        customer, clock, day = customer[observed], clock[observed], day[observed]
        rounds.append((customer, clock, day))
    return _sorted_by_customer(rounds)


def _sorted_by_customer(rounds: list[tuple[IntArray, FloatArray, IntArray]]) -> Histories:
    customer = np.concatenate([part[0] for part in rounds])
    number = np.repeat(np.arange(len(rounds)), [len(part[0]) for part in rounds])
    clock = np.concatenate([part[1] for part in rounds])
    day = np.concatenate([part[2] for part in rounds])
    order = np.argsort(customer, kind="stable")
    return Histories(customer[order], number[order], day[order], clock[order])
