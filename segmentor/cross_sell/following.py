"""What customers buy next, and had not bought before: rules found in discovery, tested once in confirmation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segmentor.cross_sell.items import Assortment, Baskets
from segmentor.cross_sell.mining import Rule
from segmentor.statistics.association import Estimate, Lift, beyond_habit
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

    @property
    def lift(self) -> Lift:
        """Beyond habit."""
        return self.found.lift

    @property
    def p_value(self) -> float:
        """One-sided, not yet adjusted."""
        return self.found.lift.p_value

    @property
    def gain(self) -> Estimate:
        """Of occasions with the antecedent, the share that a first purchase of the consequent follows beyond habit."""
        return beyond_habit(self.found.confidence, self.found.confidence_se, self.found.lift)


def next_purchases(
    items: Assortment, *, within: int, min_customers: int, level: float, progress: Callable[[str], None]
) -> list[NextPurchase]:
    """The rules that hold in discovery, each with its one test in confirmation, not yet adjusted for the others.

    Every ordered pair of items is tried that at least ``min_customers`` discovery customers have followed; Holm's adjustment over
    all tried promotes. What nobody in confirmation can tell of is left out.

    Args:
        items: The items and their occasions; related ones make no pair.
        within: Days after an occasion in which a next purchase counts.
        min_customers: Fewest customers of discovery with an occasion that is followed.
        level: Of the tests in discovery.
        progress: Told what is being done.
    """
    discovery, confirmation = (
        Occasions(half.customer, half.day, half.month, within=within, last_day=items.last_day)
        for half in (items.discovery, items.confirmation)
    )
    screened = screen_pairs(
        discovery,
        sold=items.discovery.sold,
        appetite=(items.discovery.appetite((item,)) for item in range(len(items))),
        least=min_customers,
    )
    pairs = zip(screened.items.tolist(), screened.customers.tolist(), screened.p_values.tolist(), strict=True)
    tried = [
        (Rule((first,), second), customers, p)
        for (first, second), customers, p in pairs
        if (min(first, second), max(first, second)) not in items.related
    ]
    progress(f"{len(tried)} pairs in the order of time")
    adjusted = holm(np.array([p for *_, p in tried])).tolist()
    promoted = [(rule, customers) for (rule, customers, _), p in zip(tried, adjusted, strict=True) if p <= level]
    progress(f"{len(promoted)} next purchases in the other half")
    found = []
    for rule, customers in promoted:
        test = _following(items.confirmation, confirmation, rule)
        if test.lift.expected > 0.0 and not math.isnan(test.confidence):
            found.append(NextPurchase(rule, customers + test.customers, test))
    return found


def _following(baskets: Baskets, occasions: Occasions, rule: Rule) -> Following:
    return following(
        occasions,
        appetite=baskets.appetite(rule.items),
        antecedent=baskets.holding(rule.antecedent),
        consequent=baskets.holding((rule.consequent,)),
    )
