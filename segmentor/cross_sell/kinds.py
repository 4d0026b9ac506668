"""What a rule is to a shop: an attachment, a better product, another brand of the same, or something of another category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.engine.duckdb import quote

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

ATTACH = "attach"
UPSELL = "upsell"
LATERAL = "lateral"
CROSS_CATEGORY = "cross_category"

TIERS = 3
"""Tiers of price within a category, where the shop names none."""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What the lines of an item tell of it.

    Attributes:
        category: Category; ``None`` where lines tell none, or several.
        brand: Brand; ``None`` likewise.
        tier: Price tier, 1 the cheapest; ``None`` where it is not known.
        price: Median money a piece; ``None`` where amounts are not known.
    """

    category: str | None
    brand: str | None
    tier: int | None
    price: float | None


def kind_of_rule(antecedent: Sequence[ItemFacts], consequent: ItemFacts) -> str:
    """One of the four kinds; that of a longer rule is the kind which all its antecedent items share with the consequent.

    Same category: ``upsell`` to a higher price tier, ``lateral`` to another brand in the same tier. Other categories:
    ``cross_category``. ``attach`` is what is none of these, or of which not enough is known.

    Args:
        antecedent: Facts of one item or more.
        consequent: Facts of another item.
    """
    kinds = {_kind_of_pair(item, consequent) for item in antecedent}
    return kinds.pop() if len(kinds) == 1 else ATTACH


def _kind_of_pair(item: ItemFacts, offered: ItemFacts) -> str:
    if item.category is None or offered.category is None:
        return ATTACH
    if item.category != offered.category:
        return CROSS_CATEGORY
    if item.tier is None or offered.tier is None:
        return ATTACH
    if offered.tier > item.tier:
        return UPSELL
    named = item.brand is not None and offered.brand is not None
    return LATERAL if named and offered.tier == item.tier and offered.brand != item.brand else ATTACH


def load_facts(engine: Engine, config: ExperimentConfig, *, levels: Sequence[str]) -> tuple[ItemFacts, ...]:
    """Facts of each item, in the order of their numbers.

    Price tiers are the shop's own, in the order of their median unit price, where ``price_tier`` is a role of the products; else
    thirds of the category's items at the same level by median unit price, items of one price in one tier.

    Args:
        engine: Holds ``_basket_lines`` and ``_items``, see ``load_items``.
        config: The experiment, for the roles of columns.
        levels: SQL of a line's item, a level each; lines are named ``l``.
    """
    columns = role_columns(engine, config)
    category, brand, tier = (
        f"cast({columns.get(role, 'null')} as varchar)" for role in ("category", "brand", "price_tier")
    )
    amount = f"cast({columns.get('amount', 'null')} as double)"
    pieces = f"cast({columns.get('quantity', '1')} as double)"
    sold = "\n  union all ".join(
        f"select {number} as level, {item} as item, {category} as category, {brand} as brand, {tier} as tier,\n"
        f"    case when {pieces} > 0 then {amount} / {pieces} end as price from _basket_lines l"
        for number, item in enumerate(levels)
    )
    third = f"ceil({TIERS} * cume_dist() over (partition by level, category, price is null order by price))"
    third = f"case when category is not null and price is not null then cast({third} as integer) end"
    rows = engine.rows(
        f"with sold as (\n  {sold}),\n"
        "tiers as (select tier, dense_rank() over (order by middle) as place from (\n"
        "  select tier, median(price) as middle from sold where level = 0 and tier is not null group by tier) where middle is not null),\n"
        f"facts as (select item_no, level, {_only('category')}, {_only('brand')}, {_only('tier')}, median(price) as price\n"
        "  from _items join sold using (item) group by item_no, level)\n"
        f"select category, brand, {'place' if 'price_tier' in columns else third}, price from facts left join tiers using (tier) order by item_no"
    )
    return tuple(ItemFacts(*row) for row in rows)


def role_columns(engine: Engine, config: ExperimentConfig) -> dict[str, str]:
    """Each role that a column of ``_basket_lines`` stands for, with that of a line named ``l``."""
    products = {} if config.data.products is None else config.data.products.columns
    known = {name.lower() for name in engine.columns("_basket_lines")}
    roles = {**products, **config.data.transactions.columns}
    return {role: f"l.{quote(column)}" for role, column in roles.items() if column.lower() in known}


def _only(column: str) -> str:
    return f"case when count(distinct {column}) = 1 then min({column}) end as {column}"
