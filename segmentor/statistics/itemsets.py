"""Items that are bought together: frequent itemsets by bitmaps, and pairs with the customers who bought them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from segmentor.statistics.arrays import IntArray, ranges

Itemset = tuple[int, ...]
"""Item numbers, ascending."""

Bitmaps = NDArray[np.uint64]
"""A row an item, a bit an occasion."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of items that were bought on one occasion, ordered by their items; a row a pair.

    Attributes:
        items: Numbers of the two items, ascending; shape (n_pairs, 2).
        occasions: Occasions with both; shape (n_pairs,).
        customers: Customers with such an occasion; same shape.
    """

    items: IntArray
    occasions: IntArray
    customers: IntArray


def frequent_itemsets(sold: Sequence[IntArray], *, least: int, most_items: int) -> dict[Itemset, int]:
    """Every set of items that ``least`` occasions or more hold, with the number of these occasions; in the order of the sets.

    Depth first: the occasions of a set with one item more are the bits that two sets with all but one item in common share. The
    first item of a set is its rarest, and bits stand for that item's occasions only.

    Args:
        sold: For each item the occasions that hold it, ascending.
        least: Fewest occasions, 1 or more.
        most_items: Most items in a set.

    References:
        Zaki (2000), IEEE Transactions on Knowledge and Data Engineering 12, 372-390 (Eclat).
    """
    found: dict[Itemset, int] = {}
    for item, others, held in _sold_with(sold, least=least):
        found[(item,)] = sold[item].size
        found.update(_grown((item,), others, _packed(held), least=least, room=most_items - 1))
    return dict(sorted(found.items()))


def frequent_pairs(sold: Sequence[IntArray], *, customer: IntArray, least: int) -> Pairs:
    """Every pair of items that ``least`` customers or more bought on one occasion.

    Args:
        sold: For each item the occasions that hold it, ascending.
        customer: Customer of each occasion, ascending; shape (n_occasions,).
        least: Fewest customers, 1 or more.
    """
    blocks = []
    for item, others, held in _sold_with(sold, least=least):
        starts = np.flatnonzero(np.diff(customer[sold[item]], prepend=-1))
        customers = np.count_nonzero(np.logical_or.reduceat(held, starts, axis=1), axis=1)
        pair = np.sort(np.column_stack([np.full(others.size, item), others]))
        blocks.append(np.column_stack([pair, np.count_nonzero(held, axis=1), customers])[customers >= least])
    table = np.concatenate(blocks) if blocks else np.empty((0, 4), dtype=np.int64)
    table = table[np.lexsort([table[:, 1], table[:, 0]])]
    return Pairs(table[:, :2], occasions=table[:, 2], customers=table[:, 3])


def _sold_with(sold: Sequence[IntArray], *, least: int) -> Iterator[tuple[int, IntArray, NDArray[np.bool_]]]:
    """Each item on ``least`` occasions or more, rarest first, with the commoner items that are on as many of its occasions.

    One row at a time of the product of occasions by items with itself: no more of it is held than the other items on the
    occasions of one item. What is yielded has no more cells than there are items on all occasions.

    Yields:
        The item; the others, shape (n_others,); whether they are on its occasions, shape (n_others, n_occasions_of_item).
    """
    often = np.array([rows.size for rows in sold], dtype=np.int64)
    order = np.argsort(often, kind="stable")
    order = order[often[order] >= least]
    if not order.size:
        return
    rows = np.concatenate([sold[item] for item in order])
    ends = np.concatenate([[0], np.cumsum(often[order])])
    baskets = csc_array((np.ones(rows.size, dtype=np.bool_), rows, ends), shape=(rows.max() + 1, order.size)).tocsr()
    starts = baskets.indptr[:-1].copy()
    for item in order.tolist():
        occasions = sold[item]
        starts[occasions] += 1  # Behind the item itself: the commoner ones.
        lengths = baskets.indptr[1:][occasions] - starts[occasions]
        others = baskets.indices[ranges(starts[occasions], lengths)]
        common = np.bincount(others, minlength=order.size) >= least
        place = np.cumsum(common) - 1
        kept = common[others]
        held = np.zeros((int(common.sum()), occasions.size), dtype=np.bool_)
        held[place[others[kept]], np.repeat(np.arange(occasions.size), lengths)[kept]] = True
        yield item, order[common], held


def _grown(stem: Itemset, items: IntArray, bitmaps: Bitmaps, *, least: int, room: int) -> Iterator[tuple[Itemset, int]]:
    """The stem with one item and more, up to ``room``, of those given, and the occasions of each set.

    Args:
        stem: Items that are on all the occasions.
        items: Items on ``least`` of the occasions or more, shape (n_items,).
        bitmaps: Which of the occasions hold them, shape (n_items, n_words).
        least: Fewest occasions.
        room: Most items to add.
    """
    if room < 1:
        return
    for place, (item, occasions) in enumerate(zip(items.tolist(), _bits(bitmaps).tolist(), strict=True)):
        grown = (*stem, item)
        yield tuple(sorted(grown)), occasions
        if room > 1:
            both = bitmaps[place] & bitmaps[place + 1 :]
            kept = np.flatnonzero(_bits(both) >= least)
            yield from _grown(grown, items[place + 1 :][kept], both[kept], least=least, room=room - 1)


def _packed(held: NDArray[np.bool_]) -> Bitmaps:
    octets = np.packbits(held, axis=1)
    return np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8))).view(np.uint64)


def _bits(bitmaps: Bitmaps) -> IntArray:
    """Number of occasions in each row."""
    return np.asarray(np.bitwise_count(bitmaps).sum(axis=1, dtype=np.int64))
