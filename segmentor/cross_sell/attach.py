"""What goes with what on the same occasion: rules found in discovery, tested once in confirmation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from segmentor.cross_sell.items import Assortment, Baskets, Items
from segmentor.cross_sell.mining import Rule, longer_rules, pair_rules
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import (
    Estimate,
    Lift,
    Partner,
    RuleCounts,
    beyond_habit,
    clustered_lift,
    clustered_ratio,
    counts_by_habit,
    lifts_beyond_habit,
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
    promoted += _screen_longer(items.discovery, longer, level=level)
    testable = [rule for rule in promoted if items.confirmation.holding(rule.antecedent).size]
    progress(f"{len(testable)} rules in the other half")
    return [_confirmed(items, rule) for rule in testable]


def _screen_pairs(baskets: Baskets, pairs: Sequence[Rule]) -> list[float]:
    """P-values of pairs, with rates fitted once an item: its partner is among the other items then, near enough to screen."""
    rates = {
        item: rates_by_kind(baskets, baskets.sold[item], appetite=baskets.appetite((item,)))
        for item in {item for rule in pairs for item in rule.items}
    }
    partners: defaultdict[int, list[int]] = defaultdict(list)
    for rule in pairs:
        partners[rule.antecedent[0]].append(rule.consequent)
    p_values: dict[Items, float] = {}
    for item, others in partners.items():
        held = np.bincount(baskets.sold[item], minlength=baskets.size.size) > 0
        lifts = lifts_beyond_habit(
            baskets.customer,
            kind=baskets.kinds((item,)),
            rates=rates[item],
            antecedent=baskets.sold[item],
            partners=[_partner(baskets, other, held=held, rates=rates[other]) for other in others],
        )
        p_values |= {(item, other): lift.p_value for other, lift in zip(others, lifts, strict=True)}
    return [p_values[rule.antecedent[0], rule.consequent] for rule in pairs]


def _partner(baskets: Baskets, item: int, *, held: NDArray[np.bool_], rates: FloatArray) -> Partner:
    """An item beside another one that these occasions hold."""
    occasions = baskets.sold[item]
    both = held[occasions]
    kind = baskets.kinds_of(occasions, others=baskets.size[occasions] - 1 - both)
    return Partner(occasions, kind=kind, both=both, rates=rates)


def _screen_longer(baskets: Baskets, rules: Sequence[Rule], *, level: float) -> list[Rule]:
    """The longer rules that hold, each by the largest p-value of its tests.

    The tests are made in turn, the next one only of rules that hold by those made: further ones make no p-value smaller, so that
    what Holm's adjustment has left out it leaves out in the end.
    """
    tests = [_associations(baskets, rule) for rule in rules]
    largest = np.zeros(len(rules))
    while True:
        held = np.flatnonzero(holm(largest) <= level).tolist()
        made = [(place, test.p_value) for place in held for test in islice(tests[place], 1)]
        if not made:
            return [rules[place] for place in held]
        for place, p in made:
            largest[place] = max(largest[place], p)


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


def _associations(baskets: Baskets, rule: Rule) -> Iterator[Lift]:
    """That of each item of a longer antecedent, given the others; last the rule's own."""
    if len(rule.antecedent) > 1:
        for item in rule.antecedent:
            others = tuple(other for other in rule.antecedent if other != item)
            yield _association(baskets.given(others, keep=(item, rule.consequent)), Rule((0,), 1))
    yield _association(baskets, rule)


def each_beyond_habit(baskets: Baskets, rule: Rule) -> tuple[FloatArray, FloatArray]:
    """Occasions with both sides of a rule, and their number by habit, of each customer who tells of it; shape (n_customers,) each.

    The rates of both sides are fitted to this very rule.
    """
    antecedent, consequent = baskets.holding(rule.antecedent), baskets.sold[rule.consequent]
    appetite = baskets.appetite(rule.items)
    return counts_by_habit(
        baskets.customer,
        kind=baskets.kinds(rule.items),
        antecedent_rates=rates_by_kind(baskets, antecedent, appetite=appetite),
        consequent_rates=rates_by_kind(baskets, consequent, appetite=appetite),
        antecedent=antecedent,
        consequent=consequent,
        both=baskets.holding(rule.items),
    )


def _association(baskets: Baskets, rule: Rule) -> Lift:
    return clustered_lift(*each_beyond_habit(baskets, rule))


def rates_by_kind(baskets: Baskets, held: IntArray, *, appetite: IntArray) -> FloatArray:
    """Relative rates by month and class of appetite of what is held, by `Baskets.kinds`; shape (n_months * n_classes,)."""
    by_month, by_appetite = relative_rates(baskets.customer, held, margins=(baskets.month, appetite))
    unseen = baskets.classes - by_appetite.size
    return np.outer(by_month, np.pad(by_appetite, (0, unseen), constant_values=1.0)).ravel()
