"""The levels that the config names -> items, and what each occasion of either half holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cross_sell.kinds import ItemFacts, load_facts
from segmentor.cycles import day_number
from segmentor.engine.duckdb import literal, quote
from segmentor.errors import ConfigError
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import size_classes

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

CLASSES_A_DOUBLING = 2
"""Classes of appetite, the number of other items on an occasion, for each doubling of it."""

Items = tuple[int, ...]
"""Item numbers, ascending."""


@dataclass(frozen=True, eq=False)
class Baskets:
    """The occasions of the customers of one half, by customer and day.

    Attributes:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        day: Day of each occasion, days since 1970-01-01, ascending for each customer; same shape.
        month: Calendar month of each occasion, 0, 1, ...; same shape.
        size: Number of items on each occasion, rare ones too; same shape.
        sold: For each item the occasions that hold it, ascending.
    """

    customer: IntArray
    day: IntArray
    month: IntArray
    size: IntArray
    sold: tuple[IntArray, ...]

    def holding(self, items: Items) -> IntArray:
        """Occasions that hold all the items, one or more, ascending."""
        rarest, *others = sorted((self.sold[item] for item in items), key=len)
        for other in others:
            held = np.zeros(self.customer.size, dtype=np.bool_)
            held[other] = True
            rarest = rarest[held[rarest]]
        return rarest

    def customers(self, items: Items) -> int:
        """Customers with an occasion that holds all the items."""
        return int(np.count_nonzero(np.diff(self.customer[self.holding(items)], prepend=-1)))

    def a_customer(self, occasions: IntArray) -> FloatArray:
        """How many of some occasions each customer has; shape (n_customers,)."""
        customers = 1 + int(self.customer[-1]) if self.customer.size else 0
        return np.bincount(self.customer[occasions], minlength=customers).astype(np.float64)

    def given(self, items: Items, *, keep: Sequence[int]) -> Baskets:
        """Only the occasions that hold all the items, and of what was sold only some items, numbered as they stand in ``keep``."""
        return self._only(self.holding(items), [self.sold[item] for item in keep])

    def only(self, occasions: IntArray) -> Baskets:
        """Only some of the occasions, which are given ascending."""
        return self._only(occasions, self.sold)

    def _only(self, occasions: IntArray, sold: Sequence[IntArray]) -> Baskets:
        number = np.full(self.customer.size, -1)
        number[occasions] = np.arange(occasions.size)
        kept = tuple(rows[rows >= 0] for rows in (number[item] for item in sold))
        customer, day, month, size = (column[occasions] for column in (self.customer, self.day, self.month, self.size))
        return Baskets(customer, day, month, size, kept)

    @cached_property
    def appetites(self) -> IntArray:
        """Class of appetite, 0, 1, ..., of an occasion with 0, 1, ... other items, up to the largest occasion's number."""
        return size_classes(np.arange(1 + self.size.max(initial=0)), a_doubling=CLASSES_A_DOUBLING)

    def appetite(self, items: Items) -> IntArray:
        """Class of each occasion by the number of its items other than these; shape (n_occasions,)."""
        return self.kinds(items) - self._month_kinds

    def kinds(self, items: Items) -> IntArray:
        """Month and class of appetite of each occasion in one number, these items left out; shape (n_occasions,)."""
        others, kinds = self.size.copy(), self._all_kinds.copy()
        for item in items:
            others[self.sold[item]] -= 1
        for item in items:
            kinds[self.sold[item]] = self.kinds_of(self.sold[item], others=others[self.sold[item]])
        return kinds

    def kinds_of(self, occasions: IntArray, *, others: IntArray) -> IntArray:
        """The same of some occasions with so many other items; shape (n_some,)."""
        return self._month_kinds[occasions] + self.appetites[others]

    @cached_property
    def classes(self) -> int:
        """Number of classes of appetite."""
        return 1 + int(self.appetites[-1])

    @cached_property
    def _month_kinds(self) -> IntArray:
        return self.month * self.classes

    @cached_property
    def _all_kinds(self) -> IntArray:
        """Kind of each occasion by the number of all its items."""
        return self._month_kinds + self.appetites[self.size]


@dataclass(frozen=True, slots=True, eq=False)
class Assortment:
    """The items that enough customers of discovery have bought, and who bought them.

    Attributes:
        names: Name of each item, in alphabetical order: items are numbered by it.
        facts: What is known of each item.
        related: Pairs of items that describe one and the same purchased line, such as a product and its brand: no cross-sell.
        discovery: Occasions of the half that suggests rules.
        confirmation: Occasions of the half that tests them.
        last_day: Last day of observation, days since 1970-01-01.
    """

    names: tuple[str, ...]
    facts: tuple[ItemFacts, ...]
    related: frozenset[Items]
    discovery: Baskets
    confirmation: Baskets
    last_day: int

    @property
    def halves(self) -> tuple[Baskets, Baskets]:
        """Discovery and confirmation."""
        return self.discovery, self.confirmation

    def __len__(self) -> int:
        """Number of items."""
        return len(self.names)


def load_items(engine: Engine, config: ExperimentConfig, *, levels: Sequence[str], min_customers: int) -> Assortment:
    """Makes the tables of items and fetches them as arrays.

    Args:
        engine: Holds ``_basket_lines`` and ``_halves``, see ``find_rules``.
        config: The experiment, for the roles of columns.
        levels: What an item is: roles of the products' or the transactions' columns, or columns.
        min_customers: Fewest customers of discovery who must have bought an item.

    Raises:
        ConfigError: A level names no column of the baskets.
    """
    columns = level_columns(engine, config, levels)
    make_items_bought(engine, columns)
    names = _number_items(engine, min_customers=min_customers)
    facts = load_facts(engine, config, levels=lines_items(columns, of="l"))
    discovery, confirmation = (_load_half(engine, half, items=len(names)) for half in (0, 1))
    related, last = _on_one_line(engine, columns), last_day(engine, config)
    return Assortment(names, facts, related, discovery, confirmation, last_day=last)


def last_day(engine: Engine, config: ExperimentConfig) -> int:
    """Last day of observation, days since 1970-01-01: as the config says, else the last with a purchased line."""
    declared = config.cycle.observed_until
    last = engine.scalar("select max(_day_no) from _basket_lines") if declared is None else day_number(declared)
    return last or 0


def level_columns(engine: Engine, config: ExperimentConfig, levels: Sequence[str]) -> dict[str, str]:
    """Each level as the config names it, with its column of the baskets.

    Raises:
        ConfigError: It names none.
    """
    products = {} if config.data.products is None else config.data.products.columns
    roles = {**products, **config.data.transactions.columns}
    known = [column for column in engine.columns("_basket_lines") if not column.startswith("_")]
    columns = {level: roles.get(level, level) for level in levels}
    for level, column in columns.items():
        if column not in known:
            raise ConfigError([f"cross_sell.level: there is no column {level!r}; there are {', '.join(known)}"])
    return columns


def make_items_bought(engine: Engine, columns: Mapping[str, str]) -> None:
    """Makes ``_items_bought``: one row per occasion and item, or NULL for lines without; key (_customer_no, _day_no, item).

    Args:
        engine: Holds ``_basket_lines``.
        columns: Each level with its column, as of ``level_columns``.
    """
    union = "\n  union all ".join(
        f"select _customer_no, _day_no, {item} as item from _basket_lines"
        for item in lines_items(columns, of="_basket_lines")
    )
    engine.execute(
        f"create or replace temp table _items_bought as\nselect distinct _customer_no, _day_no, item from (\n  {union}\n)"
    )


def lines_items(columns: Mapping[str, str], *, of: str) -> list[str]:
    """SQL of the item of a line, a level each, as of ``level_columns``; lines are named as given."""
    return [_item(columns, level, of=of) for level in columns]


def _number_items(engine: Engine, *, min_customers: int) -> tuple[str, ...]:
    """Makes the tables of items; returns those with enough discovery customers, in the order of their numbers.

    ``_items``: one row per item with enough customers; key item; item_no 0, 1, ... in alphabetical order.
    ``_item_occasions``: one row per occasion; key (_customer_no, _day_no); its half, its number in the half and of its items.
    """
    engine.execute(
        "create or replace temp table _items as\n"
        "select item, row_number() over (order by item) - 1 as item_no\n"
        "from _items_bought join _halves using (_customer_no)\n"
        f"where half = 0 and item is not null group by item having count(distinct _customer_no) >= {min_customers}"
    )
    engine.execute(
        "create or replace temp table _item_occasions as\n"
        "select _customer_no, _day_no, half, count(item) as items,\n"
        "  row_number() over (partition by half order by _customer_no, _day_no) - 1 as occasion_no\n"
        "from _items_bought join _halves using (_customer_no) group by _customer_no, _day_no, half"
    )
    return tuple(item for (item,) in engine.rows("select item from _items order by item_no"))


def _load_half(engine: Engine, half: int, *, items: int) -> Baskets:
    occasions = engine.arrays(
        f"select _customer_no, _day_no, items from _item_occasions where half = {half} order by occasion_no"
    )
    bought = engine.arrays(
        "select item_no, occasion_no from _items_bought join _items using (item)\n"
        f"join _item_occasions using (_customer_no, _day_no) where half = {half} order by item_no, occasion_no"
    )
    months = occasions["_day_no"].astype("datetime64[D]").astype("datetime64[M]")
    starts = np.searchsorted(bought["item_no"], np.arange(items))
    return Baskets(
        np.unique(occasions["_customer_no"], return_inverse=True)[1],
        day=occasions["_day_no"],
        month=np.unique(months, return_inverse=True)[1],
        size=occasions["items"],
        sold=tuple(np.split(bought["occasion_no"], starts)[1:]),
    )


def _on_one_line(engine: Engine, columns: dict[str, str]) -> frozenset[Items]:
    pairs: set[Items] = set()
    for one, other in combinations(columns, 2):
        pairs.update(
            engine.rows(
                "select distinct least(a.item_no, b.item_no), greatest(a.item_no, b.item_no) from _basket_lines\n"
                f"join _items a on a.item = {_item(columns, one, of='_basket_lines')}\n"
                f"join _items b on b.item = {_item(columns, other, of='_basket_lines')}"
            )
        )
    return frozenset(pairs)


def _item(columns: Mapping[str, str], level: str, *, of: str) -> str:
    """The item of a line as text: its value, after the level's name where there are several levels."""
    value = f"cast({of}.{quote(columns[level])} as varchar)"
    return value if len(columns) == 1 else f"{literal(level + '=')} || {value}"
