"""What acting on a rule could bring: whom it reaches, how many orders and how much money more; how soon it comes, and is due again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cross_sell.attach import Attachment
from segmentor.cross_sell.following import NextPurchase
from segmentor.cross_sell.items import Assortment, Baskets, level_columns, lines_items
from segmentor.cross_sell.kinds import role_columns
from segmentor.cross_sell.mining import Rule
from segmentor.result import CrossSellRule, Interval, NextCurve, Worth
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import Estimate, mean_estimate
from segmentor.statistics.survival import LifeTable, median_day, survival

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

MOST = 0.8
"""Share of those who come within the days by which most have come."""


def value_rules(
    engine: Engine,
    config: ExperimentConfig,
    items: Assortment,
    found: Sequence[Attachment | NextPurchase],
    rules: Iterable[CrossSellRule],
) -> list[CrossSellRule]:
    """The rules with their worth and their days.

    What a rule is worth is what offers of the consequent would bring, did they work as the antecedent does by itself: to each of the
    customers who can be reached, the share of occasions with the antecedent on which the consequent comes beyond habit. Only customers
    held out from an offer tell what it brings.

    Args:
        engine: Holds ``_basket_lines`` and ``_items``, see ``load_items``.
        config: The experiment, with cross-sell.
        items: The items and their occasions.
        found: What was found, by rule.
        rules: Its records, in the same order.
    """
    assert config.cross_sell is not None
    within = config.cross_sell.within_days
    money = money_an_occasion(engine, config, items, levels=config.cross_sell.level)
    again = cache(lambda item: repeat_days(items, item))
    valued = []
    for one, rule in zip(found, rules, strict=True):
        later = one.found if isinstance(one, NextPurchase) else None
        valued.append(
            replace(
                rule,
                worth=worth(items, one, within=within, money=money[one.rule.consequent]) if rule.valid else None,
                most_days=None if later is None else later.days_by(MOST),
                curve=NextCurve(_days(later.share), _days(later.usual)) if later is not None and rule.valid else None,
                repeat_days=again(one.rule.consequent),
            )
        )
    return valued


def worth(items: Assortment, found: Attachment | NextPurchase, *, within: int, money: float | None) -> Worth | None:
    """What acting on a rule could bring in the next days.

    Each customer who can be reached is taken for one more occasion with the antecedent of a next purchase. Beside which the same
    occasion's consequent is offered are the occasions with the antecedent to come: as many a customer as in the last days of those
    who could have been reached before them.

    Args:
        items: The items and their occasions.
        found: The rule and what confirmation says; its lift is above 1.
        within: How many days.
        money: Mean amount of the consequent on an occasion with it, taken for known; ``None`` where amounts are not known.

    Returns:
        ``None`` where the occasions to come cannot be told: the history is shorter than twice the days, or nobody could have been
        reached that long ago.
    """
    customers = sum(_reachable(half, found.rule, by=items.last_day, within=within).size for half in items.halves)
    gain = found.gain
    if isinstance(found, Attachment):
        again = _antecedents_to_come(items, found.rule, within=within)
        if again is None:
            return None
        gain = gain.by(again)
    orders = gain.times(customers)
    return Worth(
        reachable=customers,
        orders=_interval(orders),
        amount=None if money is None else _interval(orders.times(money)),
    )


def repeat_days(items: Assortment, item: int) -> float | None:
    """Median days from an occasion with an item to the customer's next one with it; ``None`` where it is not reached.

    Kaplan-Meier over all such gaps of both halves, the last of each customer censored at the last day of observation.
    """
    gaps, ended = (
        np.concatenate(parts)
        for parts in zip(*(_gaps(half, item, last_day=items.last_day) for half in items.halves), strict=True)
    )
    if not gaps.size:
        return None
    return median_day(survival(LifeTable.from_gaps(gaps, ended, weights=np.ones(gaps.size))))


def money_an_occasion(
    engine: Engine, config: ExperimentConfig, items: Assortment, *, levels: Sequence[str]
) -> tuple[float | None, ...]:
    """Mean amount of each item on an occasion with it, over both halves; ``None`` where amounts are not known.

    Args:
        engine: Holds ``_basket_lines`` and ``_items``, see ``load_items``.
        config: The experiment, for the roles of columns.
        items: The items.
        levels: What an item is, as for ``load_items``.
    """
    amount = role_columns(engine, config).get("amount")
    if amount is None:
        return (None,) * len(items)
    # Sums of decimals are exact, and so the same in whatever order the rows come.
    lines = "\n  union all ".join(
        f"select {item} as item, cast({amount} as decimal(38, 4)) as amount from _basket_lines l"
        for item in lines_items(level_columns(engine, config, levels), of="l")
    )
    sums = engine.rows(
        f"select cast(sum(amount) as double) from _items join (\n  {lines}\n) using (item) group by item_no order by item_no"
    )
    occasions = (sum(half.sold[item].size for half in items.halves) for item in range(len(items)))
    return tuple(None if total is None else total / number for (total,), number in zip(sums, occasions, strict=True))


def _reachable(baskets: Baskets, rule: Rule, *, by: int, within: int) -> IntArray:
    """Customers who bought the antecedent within the days up to a day, and never the consequent up to it, ascending."""
    held, sold = baskets.holding(rule.antecedent), baskets.sold[rule.consequent]
    lately = held[(baskets.day[held] <= by) & (baskets.day[held] > by - within)]
    return np.setdiff1d(baskets.customer[lately], baskets.customer[sold[baskets.day[sold] <= by]])


def _antecedents_to_come(items: Assortment, rule: Rule, *, within: int) -> Estimate | None:
    """Occasions with the antecedent in the days after, of a customer who can be reached: those of the last days, of those before."""
    before = items.last_day - within
    first_day = min((int(half.day.min()) for half in items.halves if half.day.size), default=items.last_day)
    if first_day > before - within + 1:
        return None
    numbers = []
    for half in items.halves:
        held = half.holding(rule.antecedent)
        since = half.a_customer(held[(half.day[held] > before) & (half.day[held] <= items.last_day)])
        numbers.append(since[_reachable(half, rule, by=before, within=within)])
    each = np.concatenate(numbers)
    return mean_estimate(each) if each.size else None


def _gaps(baskets: Baskets, item: int, *, last_day: int) -> tuple[IntArray, IntArray]:
    """Days from each occasion with an item to the customer's next, or to the last day; and 1 where there is a next."""
    sold = baskets.sold[item]
    sold = sold[baskets.day[sold] <= last_day]
    customer, day = baskets.customer[sold], baskets.day[sold]
    ended = np.append(np.diff(customer) == 0, np.zeros(min(1, sold.size), dtype=np.bool_))
    following = np.append(day[1:], day[-1:])
    return np.where(ended, following, last_day) - day, ended.astype(np.int64)


def _interval(estimate: Estimate) -> Interval:
    return Interval.of(estimate.value, estimate.low, estimate.high)


def _days(shares: FloatArray) -> tuple[float | None, ...]:
    return tuple(share if math.isfinite(share) else None for share in shares.tolist())
