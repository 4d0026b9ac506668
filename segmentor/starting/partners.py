"""Tables of products and customers that were looked at -> their key, their roles, and which of their columns a split may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segmentor.starting.columns import Column
from segmentor.starting.goods import JOINED
from segmentor.starting.grouped import Choice
from segmentor.starting.reading import Looked
from segmentor.starting.reasons import Values
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

PRODUCT_KINDS = {"category": "category", "brand": "brand", "size": "size", "price tier": "price_tier"}
"""Kinds of headings that are roles of the products' table."""


@dataclass(slots=True)
class Partner:
    """A table of products or customers.

    Attributes:
        looked: The table; ``None`` where there is none.
        columns: Its columns.
        key: The column that its rows are joined by.
        partner: Column of the lines that has the same values.
        joined: Share of the lines' values that are among its own.
        choices: Its roles.
        refused: Why it cannot be used; ``None`` where it can.
        missing: Share of its rows without a key.
    """

    looked: Looked
    columns: tuple[Column, ...]
    key: Column | None = None
    partner: str = ""
    joined: float = 0.0
    choices: list[Choice] = field(default_factory=list)
    refused: Message | None = None
    missing: float = 0.0


def shares(
    engine: Engine, looked: Looked, columns: tuple[Column, ...], lines: Looked, of_lines: tuple[Column, ...]
) -> dict[tuple[str, str], float]:
    """Share of the different values of each column of lines that are among those of each column that could be a key.

    Columns that could be: of many values, without fractions, hardly any of which stands twice.
    """
    found: dict[tuple[str, str], float] = {}
    keys = [
        one
        for one in columns
        if one.known > 0.5 * looked.rows
        and one.different > 0.9 * one.known
        and one.different > 1
        and not one.is_measured
    ]
    for key in keys:
        for one in of_lines:
            if one.different < 2 or one.is_measured or one.length > 100:
                continue
            shared, of = engine.rows(
                f"SELECT count(*) FILTER (v IN (SELECT {key.sql} FROM {looked.table})), count(*) FROM "
                f"(SELECT DISTINCT {one.sql} AS v FROM {lines.table} WHERE {one.sql} IS NOT NULL)"
            )[0]
            if shared:
                found[key.name, one.name] = shared / of
    return found


def best_shares(found: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """By column of the lines the largest of its shares."""
    best: dict[str, float] = {}
    for (_, name), share in found.items():
        best[name] = max(share, best.get(name, 0.0))
    return best


def decide_partner(
    engine: Engine,
    looked: Looked,
    columns: tuple[Column, ...],
    found: Mapping[tuple[str, str], float],
    *,
    role: str,
    of_lines: str | None,
) -> Partner:
    """Decide the key and the roles of a table of products or customers.

    Args:
        engine: Holds the table.
        looked: The table.
        columns: Its columns.
        found: What ``shares`` found.
        role: ``product`` or ``customer``.
        of_lines: Column of the lines that has this role; ``None`` where none has.
    """
    partner = Partner(looked, columns, partner=of_lines or "")
    if of_lines is None:
        partner.refused = {
            "product": Message("no column of the lines names a product"),
            "customer": Message("no column of the lines names a customer"),
        }[role]
        return partner
    by_key = {key: share for (key, name), share in found.items() if name == of_lines}
    if not by_key:
        partner.refused = Message(
            "none of its columns that could be a key has values of {column}", {"column": of_lines}
        )
        return partner
    best = max(by_key, key=lambda key: (by_key[key], key))
    partner.key = next(one for one in columns if one.name == best)
    partner.joined = by_key[best]
    said: Values = {"share": partner.joined, "column": of_lines, "key": best}
    if partner.joined < JOINED:
        partner.refused = Message("only {share:.0%} of {column} are in its column {key}", said)
        return partner
    partner.missing = 1 - partner.key.known / looked.rows
    twins = _twins(engine, looked, partner.key)
    if twins:
        partner.refused = Message(
            "{number:,} values of {key} stand in several different rows, by which a join would multiply lines; keep one row for each",
            {"number": twins, "key": best},
        )
        return partner
    partner.choices.append(Choice(role, best, Message("{share:.0%} of {column} on the lines are here", said)))
    if role == "product":
        partner.choices += list(_roles(columns, best))
    return partner


def _twins(engine: Engine, looked: Looked, key: Column) -> int:
    """Keys with several different rows."""
    fields = ", ".join(field.sql for field in looked.fields)
    return int(
        engine.scalar(
            f"SELECT count(*) FROM (SELECT {key.sql} FROM (SELECT DISTINCT {fields} FROM {looked.table}) "
            f"WHERE {key.sql} IS NOT NULL GROUP BY 1 HAVING count(*) > 1)"
        )
    )


def _roles(columns: tuple[Column, ...], key: str) -> list[Choice]:
    chosen = []
    for kind, role in PRODUCT_KINDS.items():
        found = [one for one in columns if one.kind == kind and one.name != key and one.different >= 2]
        best = max(found, key=lambda one: (one.meaning.score, one.known, one.name), default=None)
        if best is not None:
            chosen.append(Choice(role, best.name, Message("{values:,} values", {"values": best.different})))
    return chosen
