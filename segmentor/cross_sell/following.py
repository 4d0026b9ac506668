"""What customers buy next, and had not bought before: rules found in discovery, tested once in confirmation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segmentor.cross_sell.items import Assortment, Baskets
from segmentor.cross_sell.mining import Rule
from segmentor.statistics.following import Following, Occasions, following, screen_pairs
from segmentor.statistics.multiplicity import holm


@dataclass(frozen=True, slots=True, eq=False)
class NextPurchase:
    """A promoted rule: who buys the antecedent later buys the consequent for the first time.

    Attributes:
        rule: Of two items.
        customers: Customers of both halves who have done so within the days.
        found: What confirmation says.
    """

    rule: Rule
    customers: int
    found: Following


def next_purchases(
    items: Assortment, *, within: int, last_day: int, min_customers: int, level: float, progress: Callable[[str], None]
) -> list[NextPurchase]:
    """The rules that hold in discovery, each with its one test in confirmation, not yet adjusted for the others.

    Every ordered pair of items is tried that at least ``min_customers`` discovery customers have followed; Holm's adjustment over
    all tried promotes. What nobody in confirmation can tell of is left out.

    Args:
        items: The items and their occasions; related ones make no pair.
        within: Days after an occasion in which a next purchase counts.
        last_day: Last day of observation, days since 1970-01-01.
        min_customers: Fewest customers of discovery with an occasion that is followed.
        level: Of the tests in discovery.
        progress: Told what is being done.
    """
    discovery = _occasions(items.discovery, within=within, last_day=last_day)
    confirmation = _occasions(items.confirmation, within=within, last_day=last_day)
    screened = screen_pairs(
        discovery,
        sold=items.discovery.sold,
        appetite=[items.discovery.appetite((item,)) for item in range(len(items))],
    )
    tried = [
        Rule((first,), second)
        for first, second in np.argwhere(screened.customers >= min_customers).tolist()
        if (min(first, second), max(first, second)) not in items.related
    ]
    progress(f"{len(tried)} pairs in the order of time")
    p_values = np.array([screened.p_values[rule.antecedent[0], rule.consequent] for rule in tried])
    promoted = [rule for rule, p in zip(tried, holm(p_values), strict=True) if p <= level]
    progress(f"{len(promoted)} next purchases in the other half")
    found = []
    for rule in promoted:
        test = _following(items.confirmation, confirmation, rule)
        if test.lift.expected > 0.0:
            found.append(
                NextPurchase(rule, int(screened.customers[rule.antecedent[0], rule.consequent]) + test.customers, test)
            )
    return found


def _following(baskets: Baskets, occasions: Occasions, rule: Rule) -> Following:
    return following(
        occasions,
        appetite=baskets.appetite(rule.items),
        antecedent=baskets.holding(rule.antecedent),
        consequent=baskets.holding((rule.consequent,)),
    )


def _occasions(baskets: Baskets, *, within: int, last_day: int) -> Occasions:
    return Occasions(baskets.customer, baskets.day, baskets.month, within=within, last_day=last_day)
