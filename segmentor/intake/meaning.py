"""Fields as they stand -> values as the config says they are meant: unwrapped, and filled in from the order's other lines.

What stands in the files stays beside it, for the quarantine and the fingerprint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from segmentor.intake.unwrapping import unwrapped_sql

if TYPE_CHECKING:
    from segmentor.config import Table
    from segmentor.engine.duckdb import Engine
    from segmentor.intake.raw import Column, RawTable


def meant(engine: Engine, raw: RawTable, section: Table) -> RawTable:
    """The table with columns that give the values meant; adds to ``_raw`` what it takes from other lines.

    Args:
        engine: Holds ``_raw``.
        raw: The table as read.
        section: The table's section of the config.
    """
    columns = raw.columns
    if section.unwrap:
        columns = tuple(_unwrapped(column) if raw.files[0].kind == "delimited" else column for column in columns)
    names = getattr(section, "fill_from_order", None)
    if names:
        columns = _filled(engine, columns, names, section.columns["order"])
    return replace(raw, columns=columns)


def _unwrapped(column: Column) -> Column:
    return replace(column, sql=f"nullif({unwrapped_sql(column.sql)}, '')")


def _filled(engine: Engine, columns: tuple[Column, ...], names: tuple[str, ...], order: str) -> tuple[Column, ...]:
    """The columns, those of ``names`` filled in on lines where they are empty by the only value that their order has."""
    key = next(column.sql for column in columns if column.name == order)
    places = {column.name: place for place, column in enumerate(columns) if column.name in names}
    only = ", ".join(
        f"CASE WHEN min({columns[place].sql}) = max({columns[place].sql}) THEN min({columns[place].sql}) END AS f{place}"
        for place in places.values()
    )
    added = ", ".join(f"f{place}" for place in places.values())
    engine.execute(f"CREATE OR REPLACE TEMP TABLE _orders AS SELECT {key} AS order_id, {only} FROM _raw GROUP BY ALL")
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE _filled AS SELECT _raw.*, {added} FROM _raw LEFT JOIN _orders ON {key} = order_id"
    )
    engine.execute("DROP TABLE _orders")
    engine.execute("DROP TABLE _raw")
    engine.execute("ALTER TABLE _filled RENAME TO _raw")
    return tuple(
        replace(column, sql=f"coalesce({column.sql}, f{places[column.name]})") if column.name in places else column
        for column in columns
    )
