"""Small shops in memory for tests: lines as tuples, a config as text, and an engine that holds the canonical tables."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import numpy as np

from segmentor.config import ExperimentConfig, load_config
from segmentor.engine.duckdb import Engine, open_engine, quote

TRANSACTIONS = {
    "customer_id": "varchar",
    "order_id": "varchar",
    "ordered_at": "timestamp",
    "product_id": "varchar",
    "quantity": "decimal(18,4)",
    "amount": "decimal(18,4)",
}

CONFIG = """
experiment: shop
data:
  transactions:
    path: transactions.csv
    columns: {customer: customer_id, order: order_id, time: ordered_at, product: product_id, quantity: quantity, amount: amount}
"""

Line = tuple[str, str, datetime.datetime, str, float | None, float | None]

Tables = Mapping[str, tuple[Sequence[str], Sequence[Sequence[object]]]]
"""Other tables by name: columns and rows."""


def day(number: int, hour: int = 12) -> datetime.datetime:
    """Noon, or another hour, of the day that many days after 2024-01-01."""
    return datetime.datetime(2024, 1, 1, hour) + datetime.timedelta(days=number)


def read_config(folder: Path, text: str) -> ExperimentConfig:
    """The config as read from a file in ``folder``."""
    path = folder / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def replayed(engine: ModuleType, sql: str, lines: Sequence[Line], tables: Tables) -> list[tuple[Any, ...]]:
    """Rows of a statement over the shop's own tables in ``duckdb``, with types, or in ``sqlite3``, without and with times as ISO text."""
    typed = engine is duckdb
    kinds = ("varchar", "varchar", "timestamp", "varchar", "double", "double") if typed else ("",) * 6
    heads = ", ".join(f"{name} {kind}" for name, kind in zip(TRANSACTIONS, kinds, strict=True))
    rows = [line if typed else (*line[:2], line[2].isoformat(sep=" "), *line[3:]) for line in lines]
    with closing(engine.connect(":memory:")) as connection:
        connection.execute(f"create table transactions ({heads})")
        connection.executemany("insert into transactions values (?, ?, ?, ?, ?, ?)", rows)
        for name, (columns, several) in tables.items():
            own = ", ".join(f"{column}{' varchar' if typed else ''}" for column in columns)
            connection.execute(f"create table {name} ({own})")
            connection.executemany(f"insert into {name} values ({', '.join('?' * len(columns))})", several)
        found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
    return found


@contextmanager
def engine_with(lines: Sequence[Line], tables: Tables | None = None) -> Iterator[Engine]:
    """An engine with ``transactions`` as intake would leave them, and text tables by name: columns and rows."""
    given = {
        "transactions": (
            tuple(TRANSACTIONS),
            [[None if value is None else str(value) for value in line] for line in lines],
        )
    }
    arrays = {
        name: {column: np.array([row[at] for row in rows], dtype=object) for at, column in enumerate(columns)}
        for name, (columns, rows) in {**given, **(tables or {})}.items()
    }
    with engine_of_tables(arrays, {"transactions": TRANSACTIONS}) as engine:
        yield engine


@contextmanager
def engine_of_tables(
    tables: Mapping[str, Mapping[str, np.ndarray]], types: Mapping[str, Mapping[str, str]]
) -> Iterator[Engine]:
    """An engine with tables of arrays, as text where ``types`` names no type for a column."""
    with tempfile.TemporaryDirectory() as scratch, open_engine(scratch=Path(scratch), inputs=[]) as engine:
        for name, columns in tables.items():
            engine.put("given", columns)
            kinds = types.get(name, {})
            select = ", ".join(
                f"cast({quote(column)} as {kinds.get(column, 'varchar')}) as {quote(column)}" for column in columns
            )
            engine.execute(f"create table {quote(name)} as select {select} from given")
        yield engine
