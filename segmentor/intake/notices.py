"""What looks odd in tables that were kept, in sentences for the reader of the report; never a customer's id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from segmentor.engine.duckdb import quote
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig, Table
    from segmentor.engine.duckdb import Engine

_MANY_ROWS = 100
_LARGE_SHARE = 0.2
_ROUNDED = r"\d(\.\d+)?[eE]\+\d\d"
"""How a spreadsheet shows a long number in a narrow column, and saves it so."""


def notices(engine: Engine, config: ExperimentConfig) -> Iterator[Message]:
    """Sentences on the tables ``transactions``, ``products`` and ``customers``, as far as they are declared."""
    data = config.data
    tables: dict[str, Table | None] = {
        "transactions": data.transactions,
        "products": data.products,
        "customers": data.customers,
    }
    for table, section in tables.items():
        if section is not None:
            yield from _ids(engine, table, section)
    yield from _days(engine, data.transactions)
    yield from _orders(engine, data.transactions)
    for table, role, what in (("products", "product", "product"), ("customers", "customer", "customer")):
        section = tables[table]
        if section is not None and role in data.transactions.columns:
            yield from _partners(engine, table, data.transactions.columns[role], section.columns[role], what)


def _ids(engine: Engine, table: str, section: Table) -> Iterator[Message]:
    for role in ("customer", "order", "product"):
        if role not in section.columns:
            continue
        name = section.columns[role]
        rounded, spaced = engine.rows(
            f"SELECT count(*) FILTER (regexp_full_match({quote(name)}, '{_ROUNDED}')), "
            f"count(*) FILTER ({quote(name)} <> trim({quote(name)})) FROM {table}"
        )[0]
        if rounded:
            yield Message(
                "{number:,} row of {table} has a {role} id such as 1.23457E+15: a spreadsheet has rounded it, and different ids "
                "may have become one. Export the ids as text.",
                {"number": rounded, "table": table, "role": role},
                many="{number:,} rows of {table} have a {role} id such as 1.23457E+15: a spreadsheet has rounded it, and "
                "different ids may have become one. Export the ids as text.",
            )
        if spaced:
            yield Message(
                "{number:,} row of {table} has a {role} id that begins or ends with a space; ids are compared as they stand.",
                {"number": spaced, "table": table, "role": role},
                many="{number:,} rows of {table} have a {role} id that begins or ends with a space; ids are compared as they "
                "stand.",
            )


def _days(engine: Engine, section: Table) -> Iterator[Message]:
    time = quote(section.columns["time"])
    day, lines, of = engine.rows(
        f"SELECT day, lines, sum(lines) OVER () FROM (SELECT {time}::DATE AS day, count(*) AS lines FROM transactions GROUP BY 1) "
        "ORDER BY lines DESC, day LIMIT 1"
    )[0]
    if of >= _MANY_ROWS and lines > _LARGE_SHARE * of:
        yield Message(
            "{share:.0%} of the lines of transactions are dated {day}: is it a placeholder for an unknown date, or the day of a "
            "migration? If so, leave them out with where.",
            {"share": lines / of, "day": str(day)},
        )


def _orders(engine: Engine, section: Table) -> Iterator[Message]:
    if "order" not in section.columns:
        return
    order, customer = quote(section.columns["order"]), quote(section.columns["customer"])
    shared = engine.scalar(
        f"SELECT count(*) FROM (SELECT {order} FROM transactions WHERE {order} IS NOT NULL GROUP BY {order} "
        f"HAVING min({customer}) <> max({customer}))"
    )
    if shared:
        yield Message(
            "{number:,} order id is shared by several customers; an order counts for each of them.",
            {"number": shared},
            many="{number:,} order ids are shared by several customers; an order counts for each of them.",
        )


def _partners(engine: Engine, table: str, ours: str, theirs: str, what: str) -> Iterator[Message]:
    """Rows of transactions without a partner in a table of products or customers, and the other way round."""
    lines = engine.scalar(
        f"SELECT count(*) FROM transactions ANTI JOIN {table} ON transactions.{quote(ours)} = {table}.{quote(theirs)}"
    )
    if lines:
        yield Message(
            "{number:,} row of transactions has a {what} that is not in {table}; its columns are missing there.",
            {"number": lines, "what": what, "table": table},
            many="{number:,} rows of transactions have a {what} that is not in {table}; its columns are missing there.",
        )
    alone = engine.scalar(
        f"SELECT count(*) FROM {table} ANTI JOIN transactions ON transactions.{quote(ours)} = {table}.{quote(theirs)}"
    )
    if alone and what == "customer":
        yield Message(
            "{number:,} row of customers has no transaction; they are in no group.",
            {"number": alone},
            many="{number:,} rows of customers have no transaction; they are in no group.",
        )
