"""The truth of a fragrance world: from its parameters to curves of return, their ratios and differences."""

from __future__ import annotations

import dataclasses
from datetime import date
from itertools import product

import numpy as np

from segmentor.synthetic.histories import FloatArray, Histories, code_of, draw_histories, draw_people, gap_factor
from segmentor.synthetic.world import FragranceWorld, Shares

FORMAT = 1
"""Version of ``truth.json``."""

TRUTH_DAYS = 365
"""The curves are given for day 1 to this one."""

_FOLLOWED_DAYS = 3650
"""Days for which every customer is followed: ten times as long as the curves, so that none of them is censored."""

_CHUNK = 50_000

_DEFINITIONS = {
    "share_back": "share of typical customers back by day 1, 2, ...: each of a customer's m gaps counts as 1/m",
    "mean_cycle_days": "mean gap of those back by that day; null where nobody is",
    "ratio": "mean cycle of those back by that day, second group over first",
    "share_difference": "share back by that day, second group minus first",
    "lift": "P(X and Y) / (P(X) P(Y)) within strata of month and appetite",
    "contacts": "mean of what a contact adds to the share back within return_days, over all contacted",
}


def fragrance_truth(world: FragranceWorld, *, simulated: int = 200_000) -> dict[str, object]:
    """What a run on a shop of this world should find, as JSON values.

    Labels act on gaps through a factor alone. So ``simulated`` customers are followed for ten years once for every
    factor, and a group's curve is the mixture of the factors in it: groups that do not differ have one curve. A
    typical customer is one of Wang and Chang's weights: each of its m complete gaps counts as 1/m; one without any,
    who buys once or leaves after the first purchase, is never back. Later gaps count as the first one does because
    first gaps alone begin more often in the first half of the year, away from the season.

    Args:
        world: The parameters.
        simulated: Customers for every factor.

    Returns:
        ``format``, ``definitions``, ``parameters``, ``contacts``, ``pairs``, and ``groups`` by split and group.
    """
    curves = _curves_by_factor(world, simulated)
    groups = {
        split: {name: _mixture(world, curves, where) for name, where in members.items()}
        for split, members in _groups(world).items()
    }
    pairs = [("gender", "men", "women"), ("size", "full", "sample")]
    return {
        "format": FORMAT,
        "world": "fragrance",
        "definitions": _DEFINITIONS,
        "simulated_customers": simulated,
        "parameters": _parameters(world),
        "contacts": {
            "return_days": world.contact_return_days,
            "points": {"sample": world.contact_points_sample, "other": world.contact_points_other},
            "fatigue": world.contact_fatigue,
        },
        "pairs": [
            {"split": split, "first": first, "second": second, **_compared(groups[split][first], groups[split][second])}
            for split, first, second in pairs
        ],
        "groups": {
            split: {name: _described(curve) for name, curve in members.items()} for split, members in groups.items()
        },
    }


_Where = dict[str, str]
"""Labels that a group fixes: ``gender``, ``size`` or ``channel`` to a name."""


def _groups(world: FragranceWorld) -> dict[str, dict[str, _Where]]:
    return {
        "all": {"all": {}},
        "gender": {name: {"gender": name} for name, _ in world.genders},
        "size": {name: {"size": name} for name, _ in world.sizes},
        "channel": {name: {"channel": name} for name, _ in world.channels},
        "channel within size full": {name: {"channel": name, "size": "full"} for name, _ in world.channels},
    }


def _curves_by_factor(world: FragranceWorld, simulated: int) -> dict[float, FloatArray]:
    """For each factor on gaps the probability that a typical gap is of 1, 2, ... days, shape (TRUTH_DAYS,)."""
    followed = dataclasses.replace(world, days=world.entry_days + _FOLLOWED_DAYS)
    rng = np.random.default_rng(0)
    return {factor: _curve(followed, factor, simulated=simulated, rng=rng) for factor in _factors(world)}


def _curve(world: FragranceWorld, factor: float, *, simulated: int, rng: np.random.Generator) -> FloatArray:
    curve = np.zeros(TRUTH_DAYS)
    for start in range(0, simulated, _CHUNK):
        people = draw_people(world, min(_CHUNK, simulated - start), rng=rng)
        people = dataclasses.replace(people, factor=np.full_like(people.factor, factor))
        curve += typical_gaps(draw_histories(world, people, rng=rng))
    return curve / simulated


def typical_gaps(histories: Histories) -> FloatArray:
    """Gaps of 1, 2, ... TRUTH_DAYS days, each of a customer's m complete gaps counted as 1/m; sums to those ever back."""
    same = histories.customer[1:] == histories.customer[:-1]
    customer, duration = histories.customer[1:][same], np.diff(histories.day)[same]
    weight = 1 / np.bincount(customer)[customer]
    by_duration = np.zeros(TRUTH_DAYS + 2)
    np.add.at(by_duration, np.minimum(duration, TRUTH_DAYS + 1), weight)
    return by_duration[1:-1]


def _factors(world: FragranceWorld) -> list[float]:
    return sorted({_factor(world, size, channel) for (size, _), (channel, _) in product(world.sizes, world.channels)})


def _factor(world: FragranceWorld, size: str, channel: str) -> float:
    size_code, channel_code = np.array([code_of(world.sizes, size)]), np.array([code_of(world.channels, channel)])
    return float(gap_factor(world, size=size_code, channel=channel_code)[0])


def _mixture(world: FragranceWorld, curves: dict[float, FloatArray], where: _Where) -> FloatArray:
    """Probability that a typical gap is of 1, 2, ... days in a group."""
    mixed = np.zeros(TRUTH_DAYS)
    for size, size_share in _within(world.sizes, where.get("size")):
        for channel, channel_share in _within(world.channels, where.get("channel")):
            mixed += size_share * channel_share * curves[_factor(world, size, channel)]
    return mixed


def _within(shares: Shares, name: str | None) -> Shares:
    return shares if name is None else ((name, 1.0),)


def _share_and_mean(curve: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share back and mean cycle of those back by day."""
    share = np.cumsum(curve)
    days = np.cumsum(curve * np.arange(1, len(curve) + 1))
    return share, np.divide(days, share, out=np.full(len(curve), np.nan), where=share > 0)


def _described(curve: FloatArray) -> dict[str, list[float | None]]:
    share, mean = _share_and_mean(curve)
    return {"share_back": _numbers(share), "mean_cycle_days": _numbers(mean)}


def _compared(first: FloatArray, second: FloatArray) -> dict[str, list[float | None]]:
    (first_share, first_mean), (second_share, second_mean) = _share_and_mean(first), _share_and_mean(second)
    return {"ratio": _numbers(second_mean / first_mean), "share_difference": _numbers(second_share - first_share)}


def _numbers(values: FloatArray) -> list[float | None]:
    return [round(value, 6) if np.isfinite(value) else None for value in values.tolist()]


def _parameters(world: FragranceWorld) -> dict[str, object]:
    values = dataclasses.asdict(world)
    shares = {name: dict(values[name]) for name in ("genders", "sizes", "channels")}
    return {
        name: value.isoformat() if isinstance(value, date) else value for name, value in {**values, **shares}.items()
    }
