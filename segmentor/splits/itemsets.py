"""What many customers bought first -> splits by frequent itemsets: who bought X and Y first, and who did not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import hmine

from segmentor.cycles import TimeZero
from segmentor.engine.duckdb import quote
from segmentor.features import column_of_lines, discounted, find_feature
from segmentor.splits.attribute import NOT_KNOWN, Attribute
from segmentor.splits.candidates import REST, Writer

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig, Known
    from segmentor.cycles import Columns
    from segmentor.engine.duckdb import Engine

ROLES = ("category", "brand", "size", "price_tier")
"""What an item may be a value of, by role or by a column of that name."""

MIN_SUPPORT = 0.05
"""Share of the customers who must have bought an itemset."""

MAX_ITEMS = 200
MAX_ITEMSETS = 300
MAX_LENGTH = 3

MAX_VALUE = 60
"""Characters of a value that is an item."""


@dataclass(frozen=True, slots=True)
class _Item:
    """Something that a line may be.

    Attributes:
        name: As a feature that is above 0 for who bought it.
        column: SQL of the value over lines.
        value: Which value; ``None`` for a line at a discount.
        customers: Customers who bought it.
    """

    name: str
    column: str
    value: str | None
    customers: int


def itemset_attributes(
    engine: Engine, config: ExperimentConfig, columns: Columns, writer: Writer, *, known: Known, customers: int
) -> Iterator[Attribute]:
    """One attribute of two groups for each frequent itemset, those that most customers bought first.

    Args:
        engine: Holds the window of the label and ``everyone``.
        config: The experiment.
        columns: Columns of its tables.
        writer: Of the splits.
        known: When it is known: by a number of purchases.
        customers: Rows of ``everyone``.
    """
    zero = TimeZero.of(known)
    table = f"_window_{zero.suffix}"
    whom = engine.arrays(f"select distinct e.customer_no from {table} join everyone e on e.customer = _customer")
    members = np.sort(whom["customer_no"])
    least = max(MIN_SUPPORT * len(members), config.trial.min_group)
    items = _items(engine, config, columns, known=known, table=table, least=least, most=len(members) - least)
    if not items:
        return
    bought = np.zeros((customers, len(items)), dtype=bool)
    for column in dict.fromkeys(item.column for item in items):
        for number, who in _buyers(engine, table, column, items):
            bought[who, number] = True
    frame = pd.DataFrame(bought[members], columns=range(len(items)))
    mined = hmine(frame, min_support=least / len(members), max_len=MAX_LENGTH)
    counts = {
        frozenset(one): round(support * len(members))
        for support, one in zip(mined["support"], mined["itemsets"], strict=True)
    }
    # One that all buyers of fewer of its items bought is these fewer items under another name.
    sets = sorted(
        (-count, len(one), tuple(sorted(items[number].name for number in one)), tuple(sorted(one)))
        for one, count in counts.items()
        if all(counts.get(one - {number}) != count for number in one)
    )
    for _, _, names, numbers in sets[:MAX_ITEMSETS]:
        codes = np.full(customers, NOT_KNOWN, dtype=np.int16)
        codes[members] = np.where(bought[members][:, list(numbers)].all(axis=1), 0, 1)
        about = " and ".join("discount" if one == "discount_share" else one for one in names)
        name = writer.named(f"with {about}")
        condition = " and ".join(f"{quote(one)} > 0" if ":" in one else f"{one} > 0" for one in names)
        split = writer.groups(name, known, {name: condition, f"without{name.removeprefix('with')}": REST})
        yield Attribute(name, "enumerated", zero, codes=codes, numbers=None, whole=split, kind="itemset")


def _items(
    engine: Engine, config: ExperimentConfig, columns: Columns, *, known: Known, table: str, least: float, most: float
) -> list[_Item]:
    """The most frequent ones that enough customers bought and enough did not, in the order of their names."""
    found: list[_Item] = []
    for role in ROLES:
        column = column_of_lines(columns, role)
        if column is None:
            continue
        text = f"cast({column} as text)"
        rows = engine.rows(
            f"select {text}, count(distinct _customer) from {table} where length({text}) between 1 and {MAX_VALUE}\n"
            f"group by 1 having count(distinct _customer) >= {least} order by 2 desc, 1 limit {MAX_ITEMS}"
        )
        found += [_Item(f"{role}: {value}", text, value, count) for value, count in rows]
    if condition := discounted(config, columns):
        count = engine.scalar(f"select count(distinct _customer) from {table} where {condition}")
        found += [_Item("discount_share", condition, None, count)] if count >= least else []
    found = [
        item
        for item in found
        if item.customers <= most
        and item.name.isprintable()
        and find_feature(config, columns, item.name, kind=known.kind) is not None
    ]
    largest = sorted(found, key=lambda item: (-item.customers, item.name))[:MAX_ITEMS]
    return sorted(largest, key=lambda item: item.name)


def _buyers(engine: Engine, table: str, column: str, items: list[_Item]) -> Iterator[tuple[int, np.ndarray]]:
    """Number of each item of a column with the ``customer_no`` of those who bought it."""
    own = {item.value: number for number, item in enumerate(items) if item.column == column}
    if None in own:
        rows = engine.arrays(
            f"select distinct e.customer_no from {table} join everyone e on e.customer = _customer where {column}"
        )
        yield own[None], rows["customer_no"]
        return
    names = np.array(list(own), dtype=object)
    engine.put("_items", {"value": names, "item_no": np.array(list(own.values()), dtype=np.int32)})
    rows = engine.arrays(
        f"select distinct e.customer_no, i.item_no from {table} join everyone e on e.customer = _customer\n"
        f"join _items i on i.value = {column}"
    )
    for number in own.values():
        yield number, rows["customer_no"][rows["item_no"] == number]
