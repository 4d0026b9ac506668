"""What sells as a set: pairs that are rules, and sets of three or four that sell together beyond what their pairs explain."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cross_sell.attach import Attachment, rates_by_kind
from segmentor.cross_sell.items import Assortment, Baskets, Items, level_columns, lines_items
from segmentor.cross_sell.kinds import role_columns
from segmentor.result import Bundle, Interval
from segmentor.statistics.arrays import FloatArray
from segmentor.statistics.association import Lift
from segmentor.statistics.itemsets import frequent_itemsets
from segmentor.statistics.multiplicity import holm
from segmentor.statistics.together import lift_together, screen_together

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

MOST_ITEMS = 4
"""Most items in a bundle: more of them nobody buys at once."""

DAYS_A_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Together:
    """Items that were tried as a bundle.

    Attributes:
        items: Two to four.
        lift: Confirmation. Of two items that of their rule; of more the smallest over the items, of each with all the others.
        p_value: Adjusted for all that were tried beside it.
    """

    items: Items
    lift: Lift
    p_value: float

    def holds(self, level: float) -> bool:
        """Whether it is a bundle."""
        return self.p_value <= level and self.lift.interval()[0] > 1.0


def find_bundles(
    engine: Engine,
    config: ExperimentConfig,
    items: Assortment,
    attached: Sequence[Attachment],
    p_values: Sequence[float],
    *,
    progress: Callable[[str], None],
) -> tuple[Bundle, ...]:
    """The pairs that are rules and the larger sets that were promoted, with their money.

    Args:
        engine: Holds ``_basket_lines`` and ``_items``, see ``load_items``.
        config: The experiment, with cross-sell.
        items: The items and their occasions.
        attached: Rules of the same occasion, with their adjusted p-values.
        p_values: One a rule.
        progress: Told what is being done.

    Returns:
        Those that hold first; by falling margin a year, or orders where money is not known.
    """
    settings, level = config.cross_sell, config.trial.level
    assert settings is not None
    pairs = [
        Together(one.rule.items, one.lift, p)
        for one, p in zip(attached, p_values, strict=True)
        if len(one.rule.items) == 2
    ]
    larger = sets_beyond_pairs(
        items,
        [pair.items for pair in pairs],
        min_customers=settings.min_customers,
        max_items=min(settings.max_items, MOST_ITEMS),
        level=level,
        progress=progress,
    )
    tried = [*(pair for pair in pairs if pair.holds(level)), *larger]
    discounts = usual_discounts(engine, config, [one.items for one in tried], levels=settings.level)
    found = []
    for one, discount in zip(tried, discounts, strict=True):
        price = _price(items, one.items)
        found.append(
            Bundle(
                items=tuple(items.names[item] for item in one.items),
                customers=sum(half.customers(one.items) for half in items.halves),
                lift=Interval.of(one.lift.lift, *one.lift.interval()),
                p_confirmation_adjusted=one.p_value,
                valid=one.holds(level),
                orders_a_year=orders_a_year(items, one.items),
                price=price,
                usual_discount=discount,
                bundle_price=None if price is None else price * (1.0 - settings.bundle_discount),
                margin_an_order=None if price is None else price * (settings.margin - settings.bundle_discount),
                break_even=settings.margin / (settings.margin - settings.bundle_discount),
            )
        )
    return tuple(sorted(found, key=_rank))


def sets_beyond_pairs(
    items: Assortment,
    pairs: Iterable[Items],
    *,
    min_customers: int,
    max_items: int,
    level: float,
    progress: Callable[[str], None],
) -> list[Together]:
    """Sets of three items or more that sell together in discovery beyond what their pairs explain, each tested in confirmation.

    A set is tried if enough customers of discovery have an occasion with it and each of its pairs is among those given. It holds
    only if each of its items does: if the item is bought more often with all the others together than each of them by itself
    explains. So its p-value is the largest over its items, adjusted by Holm over the sets tried, and in confirmation over those
    promoted.

    Args:
        items: The items and their occasions.
        pairs: Pairs of items, promoted as rules.
        min_customers: Fewest customers of discovery with an occasion that holds the set.
        max_items: Most items in a set.
        level: Of the tests in discovery.
        progress: Told what is being done.
    """
    tried = list(_frequent_sets(items, set(pairs), min_customers=min_customers, max_items=max_items))
    if not tried:
        return []
    progress(f"{len(tried)} sets of three items or more")
    p_values = _screened(items.discovery, tried, hopeless=level)
    promoted = [one for one, p in zip(tried, holm(np.array(p_values)), strict=True) if p <= level]
    lifts = [_lifts(items.confirmation, one) for one in promoted]
    adjusted = holm(np.array([max(lift.p_value for lift in several) for several in lifts])).tolist()
    return [
        Together(one, min(several, key=_weakness), p) for one, several, p in zip(promoted, lifts, adjusted, strict=True)
    ]


def orders_a_year(items: Assortment, bundle: Items) -> float:
    """Occasions a year that hold the items, both halves; the first occasion of all begins the time that was observed."""
    occasions = sum(half.holding(bundle).size for half in items.halves)
    first = min(int(half.day.min()) for half in items.halves if half.day.size)
    return occasions * DAYS_A_YEAR / (items.last_day - first + 1)


def usual_discounts(
    engine: Engine, config: ExperimentConfig, bundles: Sequence[Items], *, levels: Sequence[str]
) -> list[float | None]:
    """Mean share of discount in the price of a bundle's items, over the occasions that hold them all.

    The price is what was paid and what was taken off. ``None`` where the lines tell no discount, or no amount.

    Args:
        engine: Holds ``_basket_lines`` and ``_items``, see ``load_items``.
        config: The experiment, for the roles of columns.
        bundles: Item numbers of each.
        levels: What an item is, as for ``load_items``.
    """
    columns = role_columns(engine, config)
    if not bundles or not {"amount", "discount"} <= set(columns):
        return [None] * len(bundles)
    sizes = np.array([len(bundle) for bundle in bundles])
    rows_of = np.repeat(np.arange(sizes.size), sizes)
    engine.put("_bundles", {"bundle": rows_of, "item_no": np.concatenate(bundles), "items": sizes[rows_of]})
    # Some shops write what is taken off with a minus. Sums of decimals are exact, and so the same in whatever order the rows come.
    lines = "\n  union all ".join(
        f"select _customer_no, _day_no, {item} as item, cast({columns['amount']} as decimal(38, 4)) as paid,\n"
        f"    abs(try_cast({columns['discount']} as decimal(18, 4))) as off from _basket_lines l"
        for item in lines_items(level_columns(engine, config, levels), of="l")
    )
    rows = engine.rows(
        f"with sums as (\n  select _customer_no, _day_no, item_no, sum(paid) as paid, sum(off) as off from (\n  {lines})\n"
        "  join _items using (item) where item_no in (select item_no from _bundles) group by all),\n"
        "together as (\n"
        "  select bundle, cast(sum(paid) as double) as paid, cast(sum(off) as double) as off from sums join _bundles using (item_no)\n"
        "  group by bundle, _customer_no, _day_no having count(*) = min(items))\n"
        "select bundle, cast(sum(cast(off / (paid + off) as decimal(38, 15))) as double) / count(*)\n"
        "from together where off is not null and paid >= 0 and paid + off > 0 group by bundle"
    )
    shares = dict(rows)
    return [shares.get(number) for number in range(len(bundles))]


def _frequent_sets(items: Assortment, pairs: set[Items], *, min_customers: int, max_items: int) -> Iterator[Items]:
    """Sets of three items or more with all their pairs among the given ones, in the order of their items."""
    later: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in sorted(pairs):
        later[first].append(second)
    for first, partners in sorted(later.items()):
        beside = items.discovery.given((first,), keep=partners)
        for places in frequent_itemsets(beside.sold, least=min_customers, most_items=max_items - 1):
            bundle = (first, *(partners[place] for place in places))
            known = len(bundle) > 2 and pairs.issuperset(combinations(bundle, 2))
            if known and items.discovery.customers(bundle) >= min_customers:
                yield bundle


def _screened(baskets: Baskets, bundles: Sequence[Items], *, hopeless: float) -> list[float]:
    """The largest p-value over a bundle's items; those that remain are left out once one is above ``hopeless``.

    Rates are fitted once an item: its partners are among the other items then, near enough to screen.
    """

    @cache
    def rates(item: int) -> FloatArray:
        return rates_by_kind(baskets, baskets.sold[item], appetite=baskets.appetite((item,)))

    p_values = []
    for bundle in bundles:
        largest = 0.0
        for item, others in _each_with_others(bundle):
            sold = [baskets.sold[other] for other in others]
            rate = rates(item)[baskets.kinds((item,))]
            p_value = screen_together(baskets.customer, rate=rate, held=baskets.sold[item], others=sold)
            largest = max(largest, p_value)
            if largest > hopeless:
                break
        p_values.append(largest)
    return p_values


def _lifts(baskets: Baskets, bundle: Items) -> list[Lift]:
    """That of each item with all the others."""
    margins = (baskets.month, baskets.appetite(bundle))
    return [
        lift_together(
            baskets.customer,
            margins=margins,
            held=baskets.sold[item],
            others=[baskets.sold[other] for other in others],
        )
        for item, others in _each_with_others(bundle)
    ]


def _each_with_others(bundle: Items) -> Iterator[tuple[int, Items]]:
    for item in bundle:
        yield item, tuple(other for other in bundle if other != item)


def _weakness(lift: Lift) -> tuple[bool, float]:
    """Lowest for what cannot be told, then for the smallest lift."""
    known = not math.isnan(lift.log_se)
    return known, lift.lift if known else 0.0


def _price(items: Assortment, bundle: Items) -> float | None:
    prices = [items.facts[item].price for item in bundle]
    return None if None in prices else math.fsum(price for price in prices if price is not None)


def _rank(bundle: Bundle) -> tuple[bool, float, float, Items | tuple[str, ...]]:
    money = bundle.margin_an_order
    return not bundle.valid, -(money or 0.0) * bundle.orders_a_year, -bundle.orders_a_year, bundle.items
