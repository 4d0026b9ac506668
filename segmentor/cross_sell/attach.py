"""What goes with what on the same occasion: rules found in discovery, tested once in confirmation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segmentor.cross_sell.items import Assortment, Baskets, Items
from segmentor.cross_sell.mining import Rule, longer_rules, pair_rules
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import (
    Estimate,
    Lift,
    RuleCounts,
    beyond_habit,
    clustered_ratio,
    counts_by_habit,
    lift_beyond_habit,
    relative_rates,
)
from segmentor.statistics.multiplicity import holm


@dataclass(frozen=True, slots=True)
class Attachment:
    """A promoted rule: who buys the antecedent buys the consequent on the same occasion.

    Attributes:
        rule: Of two items or more.
        customers: Customers of both halves with an occasion that holds them all.
        counts: Occasions of confirmation.
        confidence_se: Standard error of their confidence, clustered by customer.
        lift: Beyond habit, in confirmation.
        p_value: Of confirmation. A longer rule takes the largest of its own and of that of each antecedent item among the
            occasions with its other ones, so that it holds only if it beats its shorter rules.
    """

    rule: Rule
    customers: int
    counts: RuleCounts
    confidence_se: float
    lift: Lift
    p_value: float

    @property
    def gain(self) -> Estimate:
        """Of occasions with the antecedent, the share that hold the consequent beyond habit."""
        return beyond_habit(self.counts.confidence, self.confidence_se, self.lift)


def attach_rules(
    items: Assortment, *, min_customers: int, max_items: int, level: float, progress: Callable[[str], None]
) -> list[Attachment]:
    """The rules that hold in discovery, each with its one test in confirmation, not yet adjusted for the others.

    Holm's adjustment over all pairs tried promotes; longer sets are tried, Holm over them, where each antecedent item was promoted
    with the consequent. What nobody in confirmation can tell of is left out.

    Args:
        items: The items and their occasions.
        min_customers: Fewest customers of discovery with an occasion that holds the items of a rule.
        max_items: Most items in a rule.
        level: Of the tests in both halves.
        progress: Told what is being done.
    """
    pairs = pair_rules(items, min_customers=min_customers)
    progress(f"{len(pairs)} pairs")
    promoted = _held(pairs, _screen_pairs(items.discovery, pairs), level=level)
    longer = longer_rules(items, promoted, min_customers=min_customers, max_items=max_items)
    progress(f"{len(longer)} longer sets")
    promoted += _held(longer, [_p_value(items.discovery, rule, hopeless=level) for rule in longer], level=level)
    testable = [rule for rule in promoted if items.confirmation.holding(rule.antecedent).size]
    progress(f"{len(testable)} rules in the other half")
    return [_confirmed(items, rule) for rule in testable]


def _screen_pairs(baskets: Baskets, pairs: Sequence[Rule]) -> list[float]:
    """P-values of pairs, with rates fitted once an item: its partner is among the other items then, near enough to screen."""
    partnered = {item for rule in pairs for item in rule.items}
    rates = {item: rates_by_kind(baskets, baskets.sold[item], (item,)) for item in partnered}
    return [
        _association(baskets, rule, rates=(rates[rule.antecedent[0]], rates[rule.consequent])).p_value for rule in pairs
    ]


def _held(rules: Sequence[Rule], p_values: Sequence[float], *, level: float) -> list[Rule]:
    return [rule for rule, p in zip(rules, holm(np.array(p_values)), strict=True) if p <= level]


def _confirmed(items: Assortment, rule: Rule) -> Attachment:
    baskets = items.confirmation
    *_, last = tests = list(_associations(baskets, rule))
    antecedent, both = baskets.holding(rule.antecedent), baskets.holding(rule.items)
    return Attachment(
        rule,
        customers=items.discovery.customers(rule.items) + baskets.customers(rule.items),
        counts=RuleCounts(
            occasions=baskets.customer.size,
            antecedent=antecedent.size,
            consequent=baskets.sold[rule.consequent].size,
            both=both.size,
        ),
        confidence_se=clustered_ratio(baskets.a_customer(both), baskets.a_customer(antecedent))[1],
        lift=last,
        p_value=max(test.p_value for test in tests),
    )


def _p_value(baskets: Baskets, rule: Rule, *, hopeless: float) -> float:
    """The largest p-value of the rule's tests; those that remain are left out once one is above ``hopeless``."""
    largest = 0.0
    for association in _associations(baskets, rule):
        largest = max(largest, association.p_value)
        if largest > hopeless:
            break
    return largest


def _associations(baskets: Baskets, rule: Rule) -> Iterator[Lift]:
    """That of each item of a longer antecedent, given the others; last the rule's own."""
    if len(rule.antecedent) > 1:
        for item in rule.antecedent:
            others = tuple(other for other in rule.antecedent if other != item)
            yield _association(baskets.given(others, keep=(item, rule.consequent)), Rule((0,), 1))
    yield _association(baskets, rule)


def each_beyond_habit(baskets: Baskets, rule: Rule) -> tuple[FloatArray, FloatArray]:
    """Occasions with both sides of a rule, and their number by habit, of each customer who tells of it; shape (n_customers,) each."""
    return counts_by_habit(baskets.customer, **_sides(baskets, rule))


def _association(baskets: Baskets, rule: Rule, *, rates: tuple[FloatArray, FloatArray] | None = None) -> Lift:
    """The association of a rule's two sides; with the given rates of these, or rates fitted to this very rule."""
    return lift_beyond_habit(baskets.customer, **_sides(baskets, rule, rates=rates))


def _sides(baskets: Baskets, rule: Rule, *, rates: tuple[FloatArray, FloatArray] | None = None) -> dict[str, Any]:
    """Occasions of a rule's two sides and of both, and rates by kind of occasion."""
    antecedent, consequent = baskets.holding(rule.antecedent), baskets.sold[rule.consequent]
    if rates is None:
        rates = (rates_by_kind(baskets, antecedent, rule.items), rates_by_kind(baskets, consequent, rule.items))
    return {
        "kind": kinds(baskets, rule.items),
        "antecedent_rates": rates[0],
        "consequent_rates": rates[1],
        "antecedent": antecedent,
        "consequent": consequent,
        "both": baskets.holding(rule.items),
    }


def kinds(baskets: Baskets, items: Items) -> IntArray:
    """Kind of each occasion: its month and its class of appetite, the number of items other than these."""
    return baskets.month * _classes(baskets) + baskets.appetite(items)


def rates_by_kind(baskets: Baskets, held: IntArray, items: Items) -> FloatArray:
    """Relative rates on occasions of each of the ``kinds``; shape (n_months * n_classes,)."""
    margins = (baskets.month, baskets.appetite(items))
    by_month, by_appetite = relative_rates(baskets.customer, held, margins=margins)
    unseen = _classes(baskets) - by_appetite.size
    return np.outer(by_month, np.pad(by_appetite, (0, unseen), constant_values=1.0)).ravel()


def _classes(baskets: Baskets) -> int:
    return 1 + int(baskets.appetites[-1])
