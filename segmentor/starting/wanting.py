"""What the data of a config do not allow, and what would have to be added to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segmentor.attributes import line_column

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns
    from segmentor.result import CycleSummary

FEW_RETURNS = 0.2
"""Share of customers who came back below which little can be said about cycles."""


def wanting(config: ExperimentConfig, columns: Columns, cycle: CycleSummary) -> tuple[str, ...]:
    """Sentences on what cannot be asked of these data, each with what would make it possible.

    Args:
        config: The experiment.
        columns: Columns of its tables.
        cycle: What its cycles are made of.
    """
    roles, data = config.data.transactions.columns, config.data
    found = []
    if "product" not in roles:
        found.append(
            "no product: which products are bought together or next, and splits by what was bought first; name a column as product"
        )
    elif data.products is None and line_column(config, columns, "category") is None:
        found.append(
            "no categories: splits and cross-sell by category, brand or size; add a table of products as data.products"
        )
    if data.customers is None:
        found.append(
            "no table of customers: splits by what is known at entry, such as region, age or how they came; add one as data.customers"
        )
    if "order" not in roles:
        found.append("no order: several orders on a day count as one basket; name a column as order")
    if "amount" not in roles:
        found.append(
            "no amount: order value, money and returns by amount; name a column as amount, or compute it with derive"
        )
    if "quantity" not in roles and "amount" not in roles:
        found.append(
            "no quantity: returns cannot be told from purchases; name a column as quantity, negative for a return"
        )
    once = cycle.customers_once or 0
    least = 2 * config.trial.min_group
    if cycle.customers < least:
        found.append(
            f"few customers: {cycle.customers:,}, and two groups need {config.trial.min_group} each; add more, or lower trial.min_group"
        )
    if cycle.customers and cycle.customers - once < FEW_RETURNS * cycle.customers:
        found.append(
            f"few come back: {cycle.customers - once:,} of {cycle.customers:,} customers bought on two days or more; a longer period tells more"
        )
    return tuple(found)
