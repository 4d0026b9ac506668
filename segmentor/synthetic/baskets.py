"""What customers buy: from occasions to the fragrance and the other categories in each, planted rules included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentor.synthetic.histories import FloatArray, Histories, IntArray, People, draw_codes, month_of
from segmentor.synthetic.world import FragranceWorld, PlantedRule, Shares

BoolArray = NDArray[np.bool_]

_TINY = np.finfo(float).tiny


@dataclass(frozen=True, slots=True)
class Baskets:
    """Contents of the occasions, in their order.

    Attributes:
        gender: Code of the fragrance's gender.
        size: Code of the fragrance's size.
        others: Whether each of the world's categories is in the occasion, shape (n_occasions, n_categories).
        expected: For each rule of the world the number of occasions that would follow it by chance: with both
            categories, or with X and a later Y within the days of the rule.
    """

    gender: IntArray
    size: IntArray
    others: BoolArray
    expected: Mapping[PlantedRule, float]


def draw_baskets(world: FragranceWorld, people: People, *, histories: Histories, rng: np.random.Generator) -> Baskets:
    """Contents of every occasion.

    Categories are independent given the customer's appetite and the month, apart from the planted rules. No rule
    changes how often a category is bought, given appetite and month.
    """
    gender = _kept_or_redrawn(world.genders, people.gender, keep=world.keep_gender, histories=histories, rng=rng)
    size = _kept_or_redrawn(world.sizes, people.size, keep=world.keep_size, histories=histories, rng=rng)
    share = category_shares(world, people, histories=histories)
    others = rng.random(share.shape) < share
    expected: dict[PlantedRule, float] = {}
    column = {category.name: number for number, category in enumerate(world.categories)}
    for rule in world.rules:
        x, y = column[rule.antecedent], column[rule.consequent]
        if rule.mode == "same_occasion":
            others[:, y] = _attached(rule.lift, x=share[:, x], y=share[:, y], has_x=others[:, x], rng=rng)
            expected[rule] = float(share[:, x] @ share[:, y])
        else:
            chance, follows = _new_within(
                world.rule_within_days, share=share[:, y], bought=others[:, y], histories=histories
            )
            others[:, x] = _followed(rule.lift, x=share[:, x], chance=chance, follows=follows, rng=rng)
            expected[rule] = float(share[:, x] @ chance)
    return Baskets(gender, size, others, expected)


def category_shares(world: FragranceWorld, people: People, *, histories: Histories) -> FloatArray:
    """Probability of each category in each occasion given appetite and month, shape (n_occasions, n_categories)."""
    month = month_of(np.datetime64(world.start) + histories.day.astype("timedelta64[D]"))
    by_month = np.array(
        [
            [
                category.share * (world.basket_season_factor if number in category.months else 1.0)
                for number in range(13)
            ]
            for category in world.categories
        ]
    ).T
    share = people.appetite[histories.customer, np.newaxis] * by_month[month]
    limited: FloatArray = np.minimum(share, world.max_category_share)
    return limited


def _kept_or_redrawn(
    shares: Shares, first: IntArray, *, keep: float, histories: Histories, rng: np.random.Generator
) -> IntArray:
    """Label of each occasion: the first one's at number 0, later kept with probability ``keep``, else drawn anew."""
    size = len(histories.customer)
    kept = (histories.number == 0) | (rng.random(size) < keep)
    return np.where(kept, first[histories.customer], draw_codes(shares, size, rng=rng))


def _attached(lift: float, *, x: FloatArray, y: FloatArray, has_x: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Whether Y is bought, so that P(X and Y) = lift x y while P(Y) stays y."""
    return rng.random(len(y)) < np.where(has_x, lift * y, y * (1 - lift * x) / (1 - x))


def _followed(
    lift: float, *, x: FloatArray, chance: FloatArray, follows: BoolArray, rng: np.random.Generator
) -> BoolArray:
    """Whether X is bought, so that P(X and W) = lift x P(W) while P(X) stays x.

    W, a new Y within the days of the rule, is drawn first, and X given W by Bayes' rule. The joint law is that of X
    raising W, and occasions keep their days. Where W is so likely that no such law exists, the lift is 1 / P(W).
    """
    possible = np.minimum(lift, 1 / np.maximum(chance, _TINY))
    without = (1 - possible * chance) / np.maximum(1 - chance, _TINY)
    return rng.random(len(x)) < x * np.where(follows, possible, without)


def _new_within(
    days: int, *, share: FloatArray, bought: BoolArray, histories: Histories
) -> tuple[FloatArray, BoolArray]:
    """Chance and fact, for each occasion, of a later Y within ``days`` by a customer new to Y; 0 if Y is known."""
    row = np.arange(len(bought))
    key = histories.keys(stride=int(histories.day.max()) + days + 1)
    end = np.searchsorted(key, key + days, side="right")
    count = np.concatenate([[0], np.cumsum(bought)])
    log_none = np.concatenate([[0.0], np.cumsum(np.log1p(-share))])
    new = count[row + 1] == count[row - histories.number]
    chance = -np.expm1(log_none[end] - log_none[row + 1])
    return np.where(new, np.maximum(chance, 0.0), 0.0), new & (count[end] > count[row + 1])
