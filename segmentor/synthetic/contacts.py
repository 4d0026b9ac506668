"""Who was written to: from histories to one row per contact, half of them held out at random.

A contact raises the share back within 30 days, and yet the published law of the gaps stays exactly as it is. Both
hold because the histories are drawn first and the arms after them, from the joint law of a randomised experiment
whose outcomes are those histories. For a customer who comes back with probability p given all that happened until
the contact,

    P(treated | comes back or not) = 1/2 + b (came back - p)

has mean 1/2 given that past, so the arms are randomised; and P(back | treated) - P(back | control) = 4 b p (1 - p),
so b follows from the points wanted. The gaps of the world are those of the shop as it runs, campaigns included:
treated customers return more often than these gaps say, held-out ones less, by half the points each. Those whose
return is in the balance are moved most, lapsed and certain ones little; the points are the mean of all contacted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from segmentor.synthetic.histories import FloatArray, Histories, IntArray, People, code_of, operational_time
from segmentor.synthetic.world import FragranceWorld

_TINY = np.finfo(float).tiny

SEND_HOUR = 6
"""Hour at which an e-mail leaves: before the shop opens, so that what is bought on that day is bought after it."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """Contacts, one row each, sorted by day and customer; key (customer, day).

    Attributes:
        customer: Position of the customer among the people.
        day: Days since the world's start.
        treated: False for those who were held out.
        opened: False where held out.
        clicked: Only where opened.
    """

    customer: IntArray
    day: IntArray
    treated: NDArray[np.bool_]
    opened: NDArray[np.bool_]
    clicked: NDArray[np.bool_]


def draw_contacts(world: FragranceWorld, people: People, *, histories: Histories, rng: np.random.Generator) -> Contacts:
    """An e-mail on the first Tuesday of each month to every customer so far, where its days can be observed."""
    customers, days, arms = [], [], []
    treated_on = np.full(len(people.entry), -world.days)
    for day in send_days(world):
        customer = np.flatnonzero(people.entry < day)
        tilt = _tilt(world, people, histories=histories, customer=customer, day=day, recent=day - treated_on[customer])
        treated = rng.random(len(customer)) < 0.5 + tilt
        treated_on[customer[treated]] = day
        customers.append(customer)
        days.append(np.full(len(customer), day))
        arms.append(treated)
    treated = np.concatenate([np.zeros(0, bool), *arms])
    opened = treated & (rng.random(len(treated)) < world.contact_opened)
    clicked = opened & (rng.random(len(treated)) < world.contact_clicked)
    none = np.zeros(0, np.int64)
    return Contacts(np.concatenate([none, *customers]), np.concatenate([none, *days]), treated, opened, clicked)


def send_days(world: FragranceWorld) -> list[int]:
    """First Tuesdays of the months from the second on, in days since the start, whose return days are observed."""
    months = np.datetime64(world.start, "M") + np.arange(1, world.days // 28).astype("timedelta64[M]")
    firsts = (months.astype("datetime64[D]") - np.datetime64(world.start)).astype(int)
    tuesdays = [int(first) + (1 - date.weekday(world.start) - int(first)) % 7 for first in firsts]
    return [day for day in tuesdays if day + world.contact_return_days <= world.days]


def _tilt(
    world: FragranceWorld, people: People, *, histories: Histories, customer: IntArray, day: int, recent: IntArray
) -> FloatArray:
    """The term b (came back - p) of each contacted customer; ``recent`` is days since its last treated contact.

    The arms answer to a return before the next e-mail can leave, 28 days later, so that they never depend on each
    other's outcomes; b is set so that the share back by ``contact_return_days`` differs by the points wanted.
    """
    own_days = min(28, world.contact_return_days)
    now, own, whole = operational_time(world, world.days)[[day, day + own_days, day + world.contact_return_days]]
    last = np.searchsorted(histories.keys(world.days), customer * world.days + day) - 1
    follows = np.append(histories.customer[1:] == histories.customer[:-1], False)[last]
    came_back = follows & (np.append(histories.day[1:], 0)[last] < day + own_days)
    p = _return_probability(world, people, histories=histories, last=last, now=now, until=own)
    spread = p * (1 - _return_probability(world, people, histories=histories, last=last, now=now, until=whole))
    points = np.where(
        people.size[customer] == code_of(world.sizes, "sample"), world.contact_points_sample, world.contact_points_other
    )
    fatigue = np.where(recent <= world.contact_return_days, world.contact_fatigue, 1.0)
    wanted = points * fatigue / np.maximum(4 * _mean_by(np.stack([people.factor[customer], points]), spread), _TINY)
    return np.minimum(wanted, 0.5) * (came_back - p)


def _return_probability(
    world: FragranceWorld, people: People, *, histories: Histories, last: IntArray, now: float, until: float
) -> FloatArray:
    """Probability of an occasion between two operational times, given the history up to the first of them."""
    customer = histories.customer[last]
    gap_scale = world.mean_gap_days / world.gamma_shape * people.factor[customer] / people.rate[customer]
    still_out, later = (
        gammaincc(world.gamma_shape, np.maximum(time - histories.clock[last], 0) / gap_scale) for time in (now, until)
    )
    stays = (1 - world.leaves) * np.where(histories.number[last] == 0, 1 - world.buys_once, 1.0)
    return stays * (still_out - later) / (stays * still_out + 1 - stays)


def _mean_by(keys: FloatArray, values: FloatArray) -> FloatArray:
    """Mean of the values over entries with the same column of keys, one for each entry."""
    _, group = np.unique(keys, axis=1, return_inverse=True)
    return (np.bincount(group, values) / np.bincount(group))[group]
