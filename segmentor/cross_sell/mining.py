"""What enough customers of discovery bought together -> the rules worth a test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, permutations

from segmentor.cross_sell.items import Assortment, Baskets, Items
from segmentor.statistics.itemsets import frequent_itemsets, frequent_pairs


@dataclass(frozen=True, slots=True)
class Rule:
    """Who buys the antecedent buys the consequent too.

    Attributes:
        antecedent: One item or more.
        consequent: Another item.
    """

    antecedent: Items
    consequent: int

    @property
    def items(self) -> Items:
        """All items of the rule."""
        return tuple(sorted((*self.antecedent, self.consequent)))


def pair_rules(items: Assortment, *, min_customers: int) -> list[Rule]:
    """One rule for each pair of items that enough customers of discovery bought on one occasion.

    The direction is that of highest confidence: the antecedent is what is bought on fewer occasions.

    Args:
        items: The items; related ones make no pair.
        min_customers: Fewest customers with an occasion that holds both.
    """
    baskets = items.discovery
    pairs = frequent_pairs(baskets.sold, customer=baskets.customer, least=min_customers)
    rules = []
    for first, second in map(tuple, pairs.items.tolist()):
        if (first, second) not in items.related:
            rarer, commoner = sorted((first, second), key=lambda item: (baskets.sold[item].size, item))
            rules.append(Rule((rarer,), commoner))
    return rules


def longer_rules(items: Assortment, pairs: Iterable[Rule], *, min_customers: int, max_items: int) -> list[Rule]:
    """One rule for each longer set of items that enough customers of discovery bought on one occasion.

    The direction is that of highest confidence, and there is a rule only if the pair of each item of the antecedent with the
    consequent is among those given: so sets are looked for among the partners of one item and its occasions.

    Args:
        items: The items; related ones stand in no set together.
        pairs: Rules of two items.
        min_customers: Fewest customers with an occasion that holds the set.
        max_items: Most items in a set.
    """
    baskets = items.discovery
    partners: defaultdict[int, set[int]] = defaultdict(set)
    for pair in pairs:
        for one, other in permutations(pair.items):
            partners[one].add(other)
    rules = []
    for consequent, others in partners.items():
        known = sorted(others)
        beside = baskets.given((consequent,), keep=known)
        occasions = {
            tuple(known[place] for place in places): count
            for places, count in frequent_itemsets(beside.sold, least=min_customers, most_items=max_items - 1).items()
        }
        rules += [
            Rule(antecedent, consequent)
            for antecedent in occasions
            if len(antecedent) > 1
            and items.related.isdisjoint(combinations(antecedent, 2))
            and _rarest(antecedent, consequent, baskets=baskets, occasions=occasions)
            and baskets.customers((*antecedent, consequent)) >= min_customers
        ]
    return sorted(rules, key=lambda rule: rule.items)


def _rarest(antecedent: Items, consequent: int, *, baskets: Baskets, occasions: dict[Items, int]) -> bool:
    """Whether no other way to leave one item out of the set leaves a rarer antecedent.

    Args:
        antecedent: Two items or more.
        consequent: The item left out.
        baskets: All occasions.
        occasions: How many of the consequent's occasions hold a part of the antecedent.
    """
    own = (baskets.holding(antecedent).size, antecedent)
    return all(
        own < (occasions[part], tuple(sorted((*part, consequent))))
        for part in combinations(antecedent, len(antecedent) - 1)
    )
