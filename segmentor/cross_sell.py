"""Baskets -> association rules: found among the customers of one half, tested once among those of the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import hmine
from scipy.sparse import csc_array

from segmentor.engine.duckdb import literal, quote
from segmentor.errors import ConfigError
from segmentor.result import CrossSellRule, Interval
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import Lift, RuleCounts, lift_beyond_habit, relative_rates
from segmentor.statistics.multiplicity import holm

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

CLASSES_A_DOUBLING = 2
"""Classes of appetite, the number of other items on an occasion, for each doubling of it."""

Items = tuple[int, ...]
"""Item numbers, ascending."""

Rates = tuple[FloatArray, FloatArray]
"""Relative rates by month and by class of appetite."""


def find_rules(
    engine: Engine, config: ExperimentConfig, *, progress: Callable[[str], None]
) -> tuple[CrossSellRule, ...]:
    """Attach rules: what goes with what on the same occasion, beyond season and how much is bought anyway.

    A rule's lift is against what the customer's own habits lead to expect, with the month and the appetite of the occasion, the
    number of other items on it: neither heavy buyers, nor big trips, nor a season make a rule.

    Every set of items that at least ``min_customers`` discovery customers have bought on one occasion is tried once, in its
    direction of highest confidence. Holm's adjustment over all pairs tried promotes; longer sets are tried, Holm over them, where each
    antecedent item was promoted with the consequent. What is promoted is tested once in confirmation, Holm over all of it.
    A longer rule takes the largest p-value of its own and of each antecedent item among the occasions with its other ones,
    so that it holds only if it beats its shorter rules.

    Args:
        engine: Holds ``_basket_lines``, one row per purchased line with ``_customer_no``, ``_day_no`` (the day in the shop) and the
            columns of transactions and products, and ``_halves`` with ``_customer_no`` and ``half`` (0 discovery, 1 confirmation).
        config: The experiment; its ``cross_sell`` section says what an item is.
        progress: Told what is being done.

    Returns:
        The promoted rules, valid ones first, by falling lift; empty where there is none or the section is off.

    Raises:
        ConfigError: ``cross_sell.level`` names no column of the baskets.

    References:
        Webb (2007), Machine Learning 68, 1-33 (hold-out evaluation of rules, and against their shorter rules).
    """
    settings, level = config.cross_sell, config.trial.level
    if settings is None:
        return ()
    progress("items and occasions")
    columns = _item_columns(engine, config, settings.level)
    names = _number_items(engine, columns, min_customers=settings.min_customers)
    if len(names) < 2:
        return ()
    discovery, confirmation = (_load_half(engine, half, items=len(names)) for half in (0, 1))
    progress(f"sets of {len(names)} items")
    occasions = frequent_sets(discovery, min_customers=settings.min_customers, max_items=settings.max_items)
    promoted = _promote(
        discovery, occasions, min_customers=settings.min_customers, related=_on_one_line(engine, columns), level=level
    )
    testable = [rule for rule in promoted if confirmation.holding(rule.antecedent).size]
    progress(f"{len(testable)} rules in the other half")
    return _confirm(testable, names, discovery=discovery, confirmation=confirmation, level=level)


@dataclass(frozen=True, slots=True, eq=False)
class Baskets:
    """The occasions of the customers of one half.

    Attributes:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        month: Calendar month of each occasion, 0, 1, ...; same shape.
        size: Number of items on each occasion, rare ones too; same shape.
        sold: For each item the occasions that hold it, ascending.
    """

    customer: IntArray
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
        return int(np.unique(self.customer[self.holding(items)]).size)

    def given(self, items: Items) -> Baskets:
        """Only the occasions that hold all the items."""
        among = self.holding(items)
        number = np.full(self.customer.size, -1)
        number[among] = np.arange(among.size)
        sold = tuple(rows[rows >= 0] for rows in (number[held] for held in self.sold))
        return Baskets(self.customer[among], self.month[among], self.size[among], sold)

    def appetite(self, items: Items) -> IntArray:
        """Class of each occasion by the number of its items other than these; shape (n_occasions,)."""
        others = self.size.copy()
        for item in items:
            others[self.sold[item]] -= 1
        classes = np.floor(CLASSES_A_DOUBLING * np.log2(1 + np.arange(1 + self.size.max(initial=0))))
        return np.asarray(classes, dtype=np.int64)[others]


def frequent_sets(baskets: Baskets, *, min_customers: int, max_items: int) -> dict[Items, int]:
    """Sets of up to ``max_items`` items on ``min_customers`` occasions or more, with the number of their occasions.

    So no set with that many customers is lost. Mined by mlxtend's H-Mine, which finds the sets of its FP-growth; for pairs of
    224 items on 64,000 occasions in 1 s instead of 58 s.
    """
    occasions, items = baskets.customer.size, len(baskets.sold)
    row = np.concatenate(baskets.sold)
    column = np.repeat(np.arange(items), [len(sold) for sold in baskets.sold])
    held = csc_array((np.ones(row.size, dtype=np.bool_), (row, column)), shape=(occasions, items))
    frame = pd.DataFrame.sparse.from_spmatrix(held)  # type: ignore[attr-defined]  # the stubs leave the accessor out
    # Half an occasion less: the miner multiplies the share back into a count, where rounding must not add one.
    mined = hmine(frame, min_support=(min_customers - 0.5) / occasions, max_len=max_items)
    return {
        tuple(sorted(found)): round(support * occasions)
        for found, support in zip(mined["itemsets"], mined["support"], strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Rule:
    antecedent: Items
    consequent: int

    @property
    def items(self) -> Items:
        """All items of the rule."""
        return tuple(sorted((*self.antecedent, self.consequent)))

    @property
    def pairs(self) -> set[Items]:
        """Each item of the antecedent with the consequent."""
        return {(min(item, self.consequent), max(item, self.consequent)) for item in self.antecedent}


def _promote(
    baskets: Baskets, occasions: dict[Items, int], *, min_customers: int, related: set[Items], level: float
) -> list[_Rule]:
    """The rules that hold in discovery, pairs first."""
    frequent = [items for items in sorted(occasions) if related.isdisjoint(combinations(items, 2))]
    pairs = [
        _best_rule(items, occasions)
        for items in frequent
        if len(items) == 2 and baskets.customers(items) >= min_customers
    ]
    promoted = _held(pairs, _screen_pairs(baskets, pairs), level=level)
    known = {rule.items for rule in promoted}
    longer = [
        rule
        for rule in (_best_rule(items, occasions) for items in frequent if len(items) > 2)
        if known.issuperset(rule.pairs) and baskets.customers(rule.items) >= min_customers
    ]
    return promoted + _held(longer, [_p_value(baskets, rule, hopeless=level) for rule in longer], level=level)


def _screen_pairs(baskets: Baskets, pairs: Sequence[_Rule]) -> list[float]:
    """P-values of pairs, with rates fitted once an item: its partner is among the other items then, near enough to screen."""
    rates = [_rates(baskets, held, baskets.appetite((item,))) for item, held in enumerate(baskets.sold)]
    return [_association(baskets, rule, rates=rates).p_value for rule in pairs]


def _held(rules: Sequence[_Rule], p_values: Sequence[float], *, level: float) -> list[_Rule]:
    return [rule for rule, p in zip(rules, holm(np.array(p_values)), strict=True) if p <= level]


def _best_rule(items: Items, occasions: dict[Items, int]) -> _Rule:
    """The direction of highest confidence: the antecedent is what is bought least often."""
    antecedent = min(combinations(items, len(items) - 1), key=lambda some: (occasions[some], some))
    (consequent,) = set(items).difference(antecedent)
    return _Rule(antecedent, consequent)


def _confirm(
    rules: Sequence[_Rule], names: Sequence[str], *, discovery: Baskets, confirmation: Baskets, level: float
) -> tuple[CrossSellRule, ...]:
    tests = [list(_associations(confirmation, rule)) for rule in rules]
    adjusted = holm(np.array([max(test.p_value for test in of_rule) for of_rule in tests]))
    confirmed = []
    for rule, (*_, association), p in zip(rules, tests, adjusted.tolist(), strict=True):
        counts = _counts(confirmation, rule)
        low, high = association.interval()
        confirmed.append(
            CrossSellRule(
                antecedent=tuple(names[item] for item in rule.antecedent),
                consequent=names[rule.consequent],
                kind="attach",
                mode="same_occasion",
                segment="all",
                customers=discovery.customers(rule.items) + confirmation.customers(rule.items),
                support=counts.support,
                confidence=counts.confidence,
                lift=Interval(_defined(association.lift), _defined(low), _defined(high)),
                p_confirmation_adjusted=p,
                valid=p <= level and low > 1.0,
            )
        )
    return tuple(sorted(confirmed, key=_rank))


def _rank(rule: CrossSellRule) -> tuple[bool, float, tuple[str, ...], str]:
    return not rule.valid, -(rule.lift.estimate or 0.0), rule.antecedent, rule.consequent


def _p_value(baskets: Baskets, rule: _Rule, *, hopeless: float) -> float:
    """The largest p-value of the rule's tests; those that remain are left out once one is above ``hopeless``."""
    largest = 0.0
    for association in _associations(baskets, rule):
        largest = max(largest, association.p_value)
        if largest > hopeless:
            break
    return largest


def _associations(baskets: Baskets, rule: _Rule) -> Iterator[Lift]:
    """That of each item of a longer antecedent, given the others; last the rule's own."""
    if len(rule.antecedent) > 1:
        for item in rule.antecedent:
            others = tuple(other for other in rule.antecedent if other != item)
            yield _association(baskets.given(others), _Rule((item,), rule.consequent))
    yield _association(baskets, rule)


def _association(baskets: Baskets, rule: _Rule, *, rates: Sequence[Rates] | None = None) -> Lift:
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
    return relative_rates(baskets.customer, held, month=baskets.month, appetite=appetite)


def _counts(baskets: Baskets, rule: _Rule) -> RuleCounts:
    return RuleCounts(
        occasions=baskets.customer.size,
        antecedent=baskets.holding(rule.antecedent).size,
        consequent=baskets.holding((rule.consequent,)).size,
        both=baskets.holding(rule.items).size,
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _item_columns(engine: Engine, config: ExperimentConfig, levels: Sequence[str]) -> dict[str, str]:
    """Each level as the config names it, with its column of the baskets."""
    roles = {} if config.data.products is None else config.data.products.columns
    known = [column for column in engine.columns("_basket_lines") if not column.startswith("_")]
    columns = {level: roles.get(level, level) for level in levels}
    for level, column in columns.items():
        if column not in known:
            raise ConfigError([f"cross_sell.level: there is no column {level!r}; there are {', '.join(known)}"])
    return columns


def _number_items(engine: Engine, columns: dict[str, str], *, min_customers: int) -> tuple[str, ...]:
    """Makes the tables of purchased items; returns the items with enough discovery customers, in the order of their numbers.

    ``_items_bought``: one row per occasion and item, or NULL for lines without; key (_customer_no, _day_no, item).
    ``_items``: one row per item with enough customers; key item; item_no 0, 1, ... in alphabetical order.
    ``_item_occasions``: one row per occasion; key (_customer_no, _day_no); its half, its number in the half and of its items.
    """
    union = "\n  union all ".join(
        f"select _customer_no, _day_no, {_item(columns, level, of='_basket_lines')} as item from _basket_lines"
        for level in columns
    )
    engine.execute(
        f"create or replace temp table _items_bought as\nselect distinct _customer_no, _day_no, item from (\n  {union}\n)"
    )
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
    ends = np.searchsorted(bought["item_no"], np.arange(1, items))
    return Baskets(
        np.unique(occasions["_customer_no"], return_inverse=True)[1],
        month=np.unique(months, return_inverse=True)[1],
        size=occasions["items"],
        sold=tuple(np.split(bought["occasion_no"], ends)),
    )


def _on_one_line(engine: Engine, columns: dict[str, str]) -> set[Items]:
    """Pairs of items that describe one and the same purchased line, such as a product and its brand: no cross-sell."""
    pairs: set[Items] = set()
    for one, other in combinations(columns, 2):
        pairs.update(
            engine.rows(
                "select distinct least(a.item_no, b.item_no), greatest(a.item_no, b.item_no) from _basket_lines\n"
                f"join _items a on a.item = {_item(columns, one, of='_basket_lines')}\n"
                f"join _items b on b.item = {_item(columns, other, of='_basket_lines')}"
            )
        )
    return pairs


def _item(columns: dict[str, str], level: str, *, of: str) -> str:
    """The item of a line as text: its value, after the level's name where there are several levels."""
    value = f"cast({of}.{quote(columns[level])} as varchar)"
    return value if len(columns) == 1 else f"{literal(level + '=')} || {value}"
