"""Lines of baskets in an engine, for tests of cross-sell: heavy buyers in a year with a winter, with rules planted or none."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from segmentor.cross_sell import find_rules
from segmentor.engine.duckdb import Engine
from segmentor.result import CrossSellRule

ITEMS = np.array([f"item {letter}" for letter in "ABCDEFGHIJZ"])

Pairs = Mapping[tuple[int, int], float]

ROLES = {"product": "sku", "category": "sort"}
"""What columns of products stand for what."""


def rules_of(
    engine: Engine,
    *,
    level: tuple[str, ...] = ("sort",),
    min_customers: int = 20,
    max_items: int = 2,
    roles: Mapping[str, str] = ROLES,
) -> tuple[CrossSellRule, ...]:
    """The rules of the engine's baskets."""
    config: Any = SimpleNamespace(
        cross_sell=SimpleNamespace(
            level=level,
            min_customers=min_customers,
            within_days=60,
            max_items=max_items,
            bundle_discount=0.05,
            margin=0.4,
        ),
        cycle=SimpleNamespace(observed_until=None),
        trial=SimpleNamespace(level=0.05),
        data=SimpleNamespace(
            products=SimpleNamespace(columns=roles),
            transactions=SimpleNamespace(columns={"customer": "who", "time": "at", "amount": "money"}),
        ),
    )
    return find_rules(engine, config, progress=print)[0]


def items_of(rule: CrossSellRule) -> tuple[str, ...]:
    """All items of a rule, sorted."""
    return tuple(sorted((*rule.antecedent, rule.consequent)))


def held_items(
    rng: np.random.Generator, customers: int, *, planted: Pairs
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Occasions of heavy buyers in a year with a winter in which all sells better; the last item is on every one of them.

    Args:
        rng: Source of chance.
        customers: Number of customers.
        planted: Antecedent and consequent, with the factor by which the one raises the share of the other.

    Returns:
        Customer and day of each occasion, and which items it holds, shape (n_occasions, n_items).
    """
    appetite = rng.lognormal(sigma=0.6, size=customers)
    customer = np.repeat(np.arange(customers), 3 + rng.poisson(9, customers))
    day = rng.integers(0, 365, customer.size)
    winter = np.where((day < 59) | (day > 304), 1.5, 1.0)
    share = np.minimum(np.linspace(0.06, 0.2, len(ITEMS) - 1) * (appetite[customer] * winter)[:, None], 0.5)
    chance = rng.random(share.shape)
    held = chance < share
    for (antecedent, consequent), factor in planted.items():
        raised = np.where(held[:, antecedent], factor, 1.0)
        held[:, consequent] = chance[:, consequent] < share[:, consequent] * raised
    return customer, 19_723 + day, np.column_stack([held, np.ones(customer.size, dtype=bool)])


def fill(engine: Engine, customer: np.ndarray, day: np.ndarray, held: np.ndarray) -> None:
    """Puts a line for each item held in place; customers are in turn of the one half and of the other."""
    occasion, item = np.nonzero(held)
    put(engine, {"_customer_no": customer[occasion], "_day_no": day[occasion], "sort": ITEMS[item]})


def put(engine: Engine, lines: dict[str, np.ndarray]) -> None:
    """Puts the lines in place; customers are in turn of the one half and of the other."""
    engine.put("_basket_lines", lines)
    customers = np.unique(lines["_customer_no"])
    engine.put("_halves", {"_customer_no": customers, "half": customers % 2})
