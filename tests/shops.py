"""Small shops in memory for tests: lines as tuples, a config as text, and an engine that holds the canonical tables."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

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


def day(number: int, hour: int = 12) -> datetime.datetime:
    """Noon, or another hour, of the day that many days after 2024-01-01."""
    return datetime.datetime(2024, 1, 1, hour) + datetime.timedelta(days=number)


def read_config(folder: Path, text: str) -> ExperimentConfig:
    """The config as read from a file in ``folder``."""
    path = folder / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@contextmanager
def engine_with(
    lines: Sequence[Line], tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[object]]]] | None = None
) -> Iterator[Engine]:
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
