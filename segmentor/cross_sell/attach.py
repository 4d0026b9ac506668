"""What goes with what on the same occasion: rules found in discovery, tested once in confirmation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from segmentor.cross_sell.items import Assortment, Baskets
from segmentor.cross_sell.mining import Rule
from segmentor.result import CrossSellRule, Interval
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import Lift, RuleCounts, lift_beyond_habit, relative_rates
from segmentor.statistics.multiplicity import holm

Rates = tuple[FloatArray, ...]
"""Relative rates by month and by class of appetite."""


def attach_rules(
    items: Assortment, candidates: Sequence[Rule], *, level: float, progress: Callable[[str], None]
) -> list[CrossSellRule]:
    """The candidates that hold in discovery, with their test in confirmation.

    Holm's adjustment over all pairs tried promotes; longer sets are tried, Holm over them, where each antecedent item was promoted
    with the consequent. What is promoted is tested once in confirmation, Holm over all of it. A longer rule takes the largest
    p-value of its own and of each antecedent item among the occasions with its other ones, so that it holds only if it beats its
    shorter rules.

    Args:
        items: The items and their occasions.
        candidates: Rules of two items and more, one a set.
        level: Of the tests in both halves.
        progress: Told what is being done.
    """
    promoted = _promote(items.discovery, candidates, level=level)
    testable = [rule for rule in promoted if items.confirmation.holding(rule.antecedent).size]
    progress(f"{len(testable)} rules in the other half")
    return _confirm(items, testable, level=level)


def _promote(baskets: Baskets, candidates: Sequence[Rule], *, level: float) -> list[Rule]:
    """The rules that hold in discovery, pairs first."""
    pairs = [rule for rule in candidates if len(rule.antecedent) == 1]
    promoted = _held(pairs, _screen_pairs(baskets, pairs), level=level)
    known = {rule.items for rule in promoted}
    longer = [rule for rule in candidates if len(rule.antecedent) > 1 and known.issuperset(rule.pairs)]
    return promoted + _held(longer, [_p_value(baskets, rule, hopeless=level) for rule in longer], level=level)


def _screen_pairs(baskets: Baskets, pairs: Sequence[Rule]) -> list[float]:
    """P-values of pairs, with rates fitted once an item: its partner is among the other items then, near enough to screen."""
    rates = [_rates(baskets, held, baskets.appetite((item,))) for item, held in enumerate(baskets.sold)]
    return [_association(baskets, rule, rates=rates).p_value for rule in pairs]


def _held(rules: Sequence[Rule], p_values: Sequence[float], *, level: float) -> list[Rule]:
    return [rule for rule, p in zip(rules, holm(np.array(p_values)), strict=True) if p <= level]


def _confirm(items: Assortment, rules: Sequence[Rule], *, level: float) -> list[CrossSellRule]:
    tests = [list(_associations(items.confirmation, rule)) for rule in rules]
    adjusted = holm(np.array([max(test.p_value for test in of_rule) for of_rule in tests]))
    confirmed = []
    for rule, (*_, association), p in zip(rules, tests, adjusted.tolist(), strict=True):
        counts = _counts(items.confirmation, rule)
        low, high = association.interval()
        confirmed.append(
            CrossSellRule(
                antecedent=tuple(items.names[item] for item in rule.antecedent),
                consequent=items.names[rule.consequent],
                kind="attach",
                mode="same_occasion",
                segment="all",
                customers=items.discovery.customers(rule.items) + items.confirmation.customers(rule.items),
                support=counts.support,
                confidence=counts.confidence,
                lift=Interval(_defined(association.lift), _defined(low), _defined(high)),
                p_confirmation_adjusted=p,
                valid=p <= level and low > 1.0,
            )
        )
    return confirmed


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
            yield _association(baskets.given(others), Rule((item,), rule.consequent))
    yield _association(baskets, rule)


def _association(baskets: Baskets, rule: Rule, *, rates: Sequence[Rates] | None = None) -> Lift:
    """The association of a rule's two sides; with the given rates of items, or rates fitted to this very rule."""
    antecedent, consequent = baskets.holding(rule.antecedent), baskets.holding((rule.consequent,))
    appetite = baskets.appetite(rule.items)
    if rates is None:
        sides = [_rates(baskets, held, appetite) for held in (antecedent, consequent)]
    else:
        sides = [rates[item] for item in (*rule.antecedent, rule.consequent)]
    antecedent_rate, consequent_rate = (
        by_month[baskets.month] * by_appetite[appetite] for by_month, by_appetite in sides
    )
    return lift_beyond_habit(
        baskets.customer,
        antecedent_rate=antecedent_rate,
        consequent_rate=consequent_rate,
        antecedent=antecedent,
        consequent=consequent,
        both=baskets.holding(rule.items),
    )


def _rates(baskets: Baskets, held: IntArray, appetite: IntArray) -> Rates:
    return relative_rates(baskets.customer, held, margins=(baskets.month, appetite))


def _counts(baskets: Baskets, rule: Rule) -> RuleCounts:
    return RuleCounts(
        occasions=baskets.customer.size,
        antecedent=baskets.holding(rule.antecedent).size,
        consequent=baskets.holding((rule.consequent,)).size,
        both=baskets.holding(rule.items).size,
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
