"""Next purchases: the planted one is found in its direction, few customers and related items make none, and counts are a recount's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from segmentor.cross_sell.following import NextPurchase, next_purchases
from segmentor.cross_sell.items import Assortment, Baskets

LAST = 20_000
WITHIN = 60
SHARES = np.array([0.15, 0.05, 0.1, 0.1, 0.05, 0.2])


def half(rng: np.random.Generator, customers: int) -> Baskets:
    """Six items of heavy buyers; within 60 days of item 0, item 1 is bought three times as often."""
    appetite = rng.lognormal(sigma=0.4, size=customers)
    came = np.repeat(np.arange(customers), 2 + rng.poisson(8, customers))
    customer, day = np.unique(np.stack([came, LAST - rng.integers(0, 400, came.size)]), axis=1)
    share = np.minimum(SHARES * appetite[customer, np.newaxis], 0.3)
    held = rng.random(share.shape) < share
    key = customer * 2 * LAST + day
    lately = np.searchsorted(key[held[:, 0]], key) > np.searchsorted(key[held[:, 0]], key - WITHIN)
    held[:, 1] |= lately & (rng.random(day.size) < 2 * share[:, 1])
    months = day.astype("datetime64[D]").astype("datetime64[M]")
    return Baskets(
        customer,
        day=day,
        month=np.unique(months, return_inverse=True)[1],
        size=held.sum(axis=1),
        sold=tuple(np.flatnonzero(item) for item in held.T),
    )


def found_in(items: Assortment, *, min_customers: int = 20, within: int = WITHIN) -> list[NextPurchase]:
    """The next purchases of a shop."""
    return next_purchases(items, within=within, min_customers=min_customers, level=0.05, progress=lambda _: None)


def sides(found: list[NextPurchase]) -> list[tuple[int, int]]:
    """First and second item of each."""
    return [(*one.rule.antecedent, one.rule.consequent) for one in found]


@pytest.fixture(scope="module")
def items() -> Assortment:
    """A shop of 3,000 customers."""
    rng = np.random.default_rng(1)
    unknown: Any = ()
    return Assortment(tuple("abcdef"), unknown, frozenset(), half(rng, 1500), half(rng, 1500), last_day=LAST)


def followed(baskets: Baskets) -> set[int]:
    """Customers with item 0 who first buy item 1 on a later day within the days, by going through their occasions."""
    first = {int(baskets.customer[row]): int(baskets.day[row]) for row in reversed(baskets.sold[1])}
    days = [(int(baskets.customer[row]), int(baskets.day[row])) for row in baskets.sold[0]]
    return {who for who, day in days if 0 < first.get(who, 0) - day <= WITHIN}


def test_the_planted_rule_is_found_and_no_other(items: Assortment) -> None:
    """Item 1 after item 0 is promoted, alone, is significant in the other half, and counts the customers of both."""
    (found,) = found_in(items)
    assert sides([found]) == [(0, 1)]
    assert found.found.lift.p_value < 0.001
    assert found.found.lift.interval()[0] > 1.5
    assert found.customers == len(followed(items.discovery)) + len(followed(items.confirmation))


def test_enough_customers_are_enough(items: Assortment) -> None:
    """A rule that as many discovery customers follow as are asked for is tried, and with one more asked for it is not."""
    enough = len(followed(items.discovery))
    assert sides(found_in(items, min_customers=enough)) == [(0, 1)]
    assert found_in(items, min_customers=enough + 1) == []


def test_related_items_make_no_rule(items: Assortment) -> None:
    """Items that describe one line are not tried, in either order."""
    assert found_in(replace(items, related=frozenset({(0, 1)}))) == []


def test_a_half_without_customers_makes_no_rule(items: Assortment) -> None:
    """Where nobody is in discovery nothing is promoted; where nobody is in confirmation nothing is told of."""
    none = np.array([], dtype=np.int64)
    empty = Baskets(none, day=none, month=none, size=none, sold=(none,) * 6)
    assert found_in(replace(items, discovery=empty)) == []
    assert found_in(replace(items, confirmation=empty)) == []
