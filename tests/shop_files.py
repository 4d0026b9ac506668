"""Small shops as files, read the way a run reads them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from segmentor.config import ExperimentConfig, load_config
from segmentor.engine.duckdb import Engine, open_engine
from segmentor.intake import Intake, input_files, load_tables

COLUMNS = {"customer": "customer", "time": "time"}
GOOD = "customer,time\n" + "".join(f"c{n},2024-01-{n:02d}\n" for n in range(1, 21))
"""A header and twenty rows that can be used."""


@dataclass(frozen=True)
class Loaded:
    """What intake made of a shop."""

    intake: Intake
    engine: Engine
    quarantine: Path

    def account(self, table: str = "transactions") -> tuple[int, int, int, int]:
        """Rows read, kept, filtered and quarantined."""
        quality = self.intake.inputs[table]
        return quality.read, quality.kept, quality.filtered, quality.quarantined

    def reasons(self, table: str = "transactions") -> dict[str, int]:
        """Reason codes of the quarantine with their counts."""
        return self.intake.inputs[table].reasons

    def quarantined(self, table: str = "transactions") -> list[str]:
        """Lines of the quarantine file below its header."""
        return (self.quarantine / f"{table}.csv").read_text(encoding="utf-8").splitlines()[1:]

    def values(self, column: str, table: str = "transactions") -> list[Any]:
        """A column's values, sorted."""
        return [row[0] for row in self.engine.rows(f'SELECT "{column}" FROM {table} ORDER BY ALL')]


def shop_config(
    folder: Path, *, data: Mapping[str, Any] | None = None, cycle: Any = None, **transactions: Any
) -> ExperimentConfig:
    """The config of a shop in ``folder``; by default ``t.csv`` with the columns customer and time, any share quarantined."""
    settings = {
        "experiment": "shop",
        "data": {
            "max_quarantined": 1.0,
            **(data or {}),
            "transactions": {"path": "t.csv", "columns": dict(COLUMNS), **transactions},
        },
        "cycle": cycle or {"observed_until": "2024-12-31"},
    }
    path = folder / "shop.yaml"
    with path.open("w", encoding="utf-8") as stream:
        YAML().dump(settings, stream)
    return load_config(path)


def write_parquet(path: Path, select: str) -> None:
    """Write the rows of a query as Parquet."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_engine(scratch=Path(scratch), inputs=[path], threads=1) as engine,
    ):
        engine.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")


@contextmanager
def loaded(config: ExperimentConfig, *, threads: int = 1) -> Iterator[Loaded]:
    """The shop, read into an engine."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_engine(scratch=Path(scratch), inputs=input_files(config), threads=threads) as engine,
    ):
        quarantine = config.folder / "quarantine"
        yield Loaded(load_tables(engine, config, quarantine=quarantine, progress=lambda _: None), engine, quarantine)


@contextmanager
def loaded_text(folder: Path, text: str | bytes, **settings: Any) -> Iterator[Loaded]:
    """A shop whose transactions are ``text``."""
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "t.csv").write_bytes(content)
    with loaded(shop_config(folder, **settings)) as shop:
        yield shop
