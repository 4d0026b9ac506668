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

TRANSACTIONS = {"customer_id": "varchar", "order_id": "varchar", "ordered_at": "timestamp", "product_id": "varchar", "quantity": "decimal(18,4)", "amount": "decimal(18,4)"}

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
    return datetime.datetime(2024, 1, 1, hour) + datetime.timedelta(days=number)  # noqa: DTZ001  # the shop's own naive time


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
    with tempfile.TemporaryDirectory() as scratch, open_engine(scratch=Path(scratch), inputs=[]) as engine:
        texts = [[None if value is None else str(value) for value in line] for line in lines]
        _make(engine, "transactions", TRANSACTIONS, texts)
        for name, (columns, rows) in (tables or {}).items():
            _make(engine, name, dict.fromkeys(columns, "varchar"), rows)
        yield engine


def _make(engine: Engine, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[object]]) -> None:
    engine.put("given", {column: np.array([row[at] for row in rows], dtype=object) for at, column in enumerate(columns)})
    select = ", ".join(f"cast({quote(column)} as {kind}) as {quote(column)}" for column, kind in columns.items())
    engine.execute(f"create table {quote(name)} as select {select} from given")
