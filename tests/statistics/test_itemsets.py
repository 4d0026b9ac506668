"""Frequent itemsets and pairs: those of mlxtend, and those of a recount."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mlxtend.frequent_patterns import fpgrowth

from segmentor.statistics.arrays import IntArray
from segmentor.statistics.itemsets import Itemset, frequent_itemsets, frequent_pairs

Held = np.ndarray
"""Which items each occasion holds, shape (n_occasions, n_items)."""

shops = st.tuples(st.integers(20, 150), st.integers(1, 7)).flatmap(lambda shape: arrays(np.bool_, shape))
"""Shops of 20 to 150 occasions, so that bitmaps take one to three words."""


def sold(held: Held) -> list[IntArray]:
    """For each item the occasions that hold it."""
    return [np.flatnonzero(item) for item in held.T]


def recount(held: Held, *, most_items: int) -> Counter[Itemset]:
    """Occasions of every set of items, one occasion after the other."""
    return Counter(
        items
        for occasion in held
        for size in range(1, most_items + 1)
        for items in combinations(np.flatnonzero(occasion).tolist(), size)
    )


@given(held=shops, least=st.integers(1, 20), most_items=st.integers(1, 7))
@settings(deadline=None)
def test_itemsets_are_those_of_mlxtend(held: Held, least: int, most_items: int) -> None:
    """Whatever the baskets, the sets and their counts are those of mlxtend's FP-growth."""
    # Half an occasion less: mlxtend multiplies the share back into a count, where rounding must not add one.
    reference = fpgrowth(pd.DataFrame(held), min_support=(least - 0.5) / len(held), max_len=most_items)
    assert frequent_itemsets(sold(held), least=least, most_items=most_items) == {
        tuple(sorted(items)): round(support * len(held))
        for items, support in zip(reference["itemsets"], reference["support"], strict=True)
    }


def test_itemsets_are_those_of_a_recount_for_every_threshold() -> None:
    """Every set of up to three items is found with its count, down to the very last occasion asked for."""
    held = np.random.default_rng(12).random((997, 8)) < np.linspace(0.05, 0.6, 8)
    counts = recount(held, most_items=3)
    for least in sorted(set(counts.values())):
        found = frequent_itemsets(sold(held), least=least, most_items=3)
        assert found == {items: count for items, count in counts.items() if count >= least}
        assert list(found) == sorted(found)


@given(
    held=shops,
    customers=st.lists(st.integers(0, 20), min_size=150, max_size=150).map(sorted),
    least=st.integers(1, 8),
)
@settings(deadline=None)
def test_pairs_are_those_of_a_recount_by_customer(held: Held, customers: list[int], least: int) -> None:
    """Whatever the baskets, pairs are counted in occasions and in customers, and kept by their customers."""
    customer = np.array(customers[: len(held)])
    expected = []
    for pair in combinations(range(held.shape[1]), 2):
        both = held[:, pair].all(axis=1)
        expected.append((*pair, both.sum(), np.unique(customer[both]).size))
    pairs = frequent_pairs(sold(held), customer=customer, least=least)
    found = np.column_stack([pairs.items, pairs.occasions, pairs.customers])
    assert list(map(tuple, found)) == [row for row in expected if row[-1] >= least]


def test_occasions_of_pairs_are_the_product_of_baskets_with_themselves() -> None:
    """For occasions of one customer each, pairs are the upper triangle of X'X."""
    held = np.random.default_rng(3).random((500, 30)) < np.linspace(0.01, 0.4, 30)
    pairs = frequent_pairs(sold(held), customer=np.arange(500), least=1)
    product = np.triu(held.T.astype(int) @ held, k=1)
    assert (product[tuple(pairs.items.T)] == pairs.occasions).all()
    assert product.sum() == pairs.occasions.sum()
    assert (pairs.customers == pairs.occasions).all()


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no items"),
        pytest.param([[]], id="an item never sold"),
        pytest.param([[0, 1], [2, 3]], id="nothing together"),
        pytest.param([[0, 1, 2]], id="one item"),
    ],
)
def test_baskets_without_pairs_have_none(rows: list[list[int]]) -> None:
    """Where no two items meet there is no pair and no set of two, and no error."""
    items = [np.array(row, dtype=np.int64) for row in rows]
    assert frequent_pairs(items, customer=np.arange(4), least=1).items.shape == (0, 2)
    assert frequent_itemsets(items, least=1, most_items=3) == {
        (number,): row.size for number, row in enumerate(items) if row.size
    }
