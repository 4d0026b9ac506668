"""Rules of one occasion: longer sets are screened only as far as they hold, and come out as if all their tests were made."""

from __future__ import annotations

import numpy as np

from segmentor.cross_sell import attach
from segmentor.cross_sell.items import Baskets
from segmentor.cross_sell.mining import Rule
from segmentor.statistics.association import clustered_lift, counts_by_habit
from segmentor.statistics.multiplicity import holm

LEVEL = 0.05


def shop(rng: np.random.Generator, customers: int) -> Baskets:
    """Seven items of which the first three call for each other, the fourth only for the third."""
    customer = np.repeat(np.arange(customers), 2 + rng.poisson(8, customers))
    day = 19_723 + np.arange(customer.size) % 180
    held = rng.random((customer.size, 7)) < np.linspace(0.1, 0.3, 7)
    moved = rng.random(customer.size) < 0.08
    held[:, :3] |= moved[:, np.newaxis] & (rng.random((customer.size, 3)) < 0.9)
    held[:, 3] |= held[:, 2] & (rng.random(customer.size) < 0.5)
    return Baskets(
        customer,
        day=day,
        month=(day - 19_723) // 30,
        size=held.sum(axis=1),
        sold=tuple(np.flatnonzero(item) for item in held.T),
    )


def test_longer_sets_hold_as_if_all_their_tests_were_made() -> None:
    """Holm's adjustment over the largest p-value of each rule's tests leaves the same rules, some of them and not all."""
    baskets = shop(np.random.default_rng(1), 500)
    rules = [
        Rule((first, second), third)
        for third in range(7)
        for first in range(7)
        for second in range(first + 1, 7)
        if third not in (first, second)
    ]
    largest = [max(test.p_value for test in attach._associations(baskets, rule)) for rule in rules]
    expected = [rule for rule, p in zip(rules, holm(np.array(largest)), strict=True) if p <= LEVEL]
    assert attach._screen_longer(baskets, rules, level=LEVEL) == expected
    assert 1 < len(expected) < len(rules) / 2


def test_no_longer_sets_are_none() -> None:
    """Nothing to try is nothing found."""
    assert attach._screen_longer(shop(np.random.default_rng(2), 20), [], level=LEVEL) == []


def test_pairs_are_screened_as_one_by_one() -> None:
    """P-values of all ordered pairs, in their order, are those of each pair with the rates of its two items."""
    baskets = shop(np.random.default_rng(3), 200)
    pairs = [Rule((first,), second) for second in range(7) for first in range(7) if first != second]
    rates = [
        attach.rates_by_kind(baskets, held, appetite=baskets.appetite((item,)))
        for item, held in enumerate(baskets.sold)
    ]
    expected = [
        clustered_lift(
            *counts_by_habit(
                baskets.customer,
                kind=baskets.month * baskets.classes + baskets.appetite(pair.items),
                antecedent_rates=rates[pair.antecedent[0]],
                consequent_rates=rates[pair.consequent],
                antecedent=baskets.sold[pair.antecedent[0]],
                consequent=baskets.sold[pair.consequent],
                both=baskets.holding(pair.items),
            )
        ).p_value
        for pair in pairs
    ]
    np.testing.assert_allclose(attach._screen_pairs(baskets, pairs), expected, rtol=1e-9)


def test_appetite_is_that_of_a_recount() -> None:
    """Classes of appetite go by the number of items other than those left out, however many of these an occasion holds."""
    baskets = shop(np.random.default_rng(4), 50)
    for items in ((), (2,), (0, 3), (1, 2, 6)):
        held = sum(np.isin(np.arange(baskets.size.size), baskets.sold[item]) for item in items)
        assert (baskets.appetite(items) == baskets.appetites[baskets.size - held]).all()
        assert (baskets.kinds(items) == baskets.month * baskets.classes + baskets.appetite(items)).all()
