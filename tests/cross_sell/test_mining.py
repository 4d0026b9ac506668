"""Rules worth a test: all sets that enough customers bought, each once, in its direction of highest confidence."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from segmentor.cross_sell.items import Assortment, Baskets, Items
from segmentor.cross_sell.kinds import ItemFacts
from segmentor.cross_sell.mining import Rule, longer_rules, pair_rules


def assortment(held: np.ndarray, customer: np.ndarray, *, related: frozenset[Items] = frozenset()) -> Assortment:
    """A shop whose two halves are one: which items each occasion holds, shape (n_occasions, n_items), and whose it is."""
    each = 0 * customer
    sold = tuple(np.flatnonzero(item) for item in held.T)
    baskets = Baskets(customer, day=each, month=each, size=held.sum(axis=1), sold=sold)
    names = tuple(f"item {number}" for number in range(held.shape[1]))
    unknown = (ItemFacts(None, None, None, None),) * len(names)
    return Assortment(names, unknown, related, discovery=baskets, confirmation=baskets, last_day=0)


def recount(held: np.ndarray, customer: np.ndarray, *, size: int, min_customers: int) -> list[Rule]:
    """One rule for each set that enough customers bought: the item that is left out leaves the fewest occasions."""
    rules = []
    for items in combinations(range(held.shape[1]), size):
        if np.unique(customer[held[:, items].all(axis=1)]).size >= min_customers:
            parts = combinations(items, size - 1)
            antecedent = min(parts, key=lambda part: (held[:, part].all(axis=1).sum(), part))
            (consequent,) = set(items) - set(antecedent)
            rules.append(Rule(antecedent, consequent))
    return rules


@pytest.fixture(scope="module")
def held() -> np.ndarray:
    """Nine items of rising shares on 600 occasions."""
    shop: np.ndarray = np.random.default_rng(5).random((600, 9)) < np.linspace(0.1, 0.6, 9)
    return shop


CUSTOMER = np.arange(600) // 6


def test_pairs_are_those_that_enough_customers_bought(held: np.ndarray) -> None:
    """Every pair with an occasion of 30 customers or more is one rule, from the rarer item to the commoner one."""
    rules = pair_rules(assortment(held, CUSTOMER), min_customers=30)
    assert rules == recount(held, CUSTOMER, size=2, min_customers=30)
    assert 0 < len(rules) < 36


def test_related_items_make_no_rule(held: np.ndarray) -> None:
    """A pair that describes one line is no rule, nor is a set that holds it."""
    items = assortment(held, CUSTOMER, related=frozenset({(7, 8)}))
    pairs = pair_rules(items, min_customers=10)
    assert {rule.items for rule in pairs} == set(combinations(range(9), 2)) - {(7, 8)}
    longer = longer_rules(items, pairs, min_customers=10, max_items=3)
    assert longer
    assert not any({7, 8} <= set(rule.items) for rule in longer)


def test_longer_rules_are_all_sets_whose_pairs_are_known(held: np.ndarray) -> None:
    """With every pair known, the rules of three and four items are those of a recount."""
    items = assortment(held, CUSTOMER)
    expected = [rule for size in (3, 4) for rule in recount(held, CUSTOMER, size=size, min_customers=12)]
    rules = longer_rules(items, pair_rules(items, min_customers=1), min_customers=12, max_items=4)
    assert rules == sorted(expected, key=lambda rule: rule.items)
    assert {len(rule.items) for rule in rules} == {3, 4}


def test_longer_rules_need_the_pairs_of_their_consequent(held: np.ndarray) -> None:
    """A set is tried only where each antecedent item is known to go with the consequent."""
    items = assortment(held, CUSTOMER)
    pairs = [rule for rule in pair_rules(items, min_customers=1) if 8 in rule.items]
    rules = longer_rules(items, pairs, min_customers=12, max_items=3)
    expected = recount(held, CUSTOMER, size=3, min_customers=12)
    assert rules == [rule for rule in expected if rule.consequent == 8]
    assert 0 < len(rules) < len(expected)


def test_pairs_are_all_there_is_with_sets_of_two(held: np.ndarray) -> None:
    """With at most two items in a rule there is no longer one."""
    items = assortment(held, CUSTOMER)
    assert longer_rules(items, pair_rules(items, min_customers=1), min_customers=1, max_items=2) == []
