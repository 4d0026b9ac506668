"""The declared files -> tables of typed rows in the engine, a quarantine of rows that cannot be used, an account of all.

``files`` finds them, ``delimited`` reads text files, ``workbooks`` makes text of a sheet, ``raw`` puts their rows into the engine as they stand, ``roles`` gives
columns with a role their type, ``quarantine`` keeps what does not fit, ``tables`` joins these for one table, ``notices``
says what looks odd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segmentor.intake.files import InputFile, find_files
from segmentor.intake.notices import notices
from segmentor.intake.tables import SHAPES, load_table
from segmentor.result import InputQuality
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

__all__ = ["Intake", "input_files", "load_tables"]


@dataclass(frozen=True, slots=True)
class Intake:
    """What was read.

    Attributes:
        inputs: Account of each declared table.
        warnings: Sentences on what looks odd.
    """

    inputs: dict[str, InputQuality]
    warnings: tuple[Message, ...]


def input_files(config: ExperimentConfig) -> tuple[Path, ...]:
    """The files that the engine itself reads, and so has to be allowed: those in Parquet.

    Raises:
        DataError: A declared file is missing or of a kind that cannot be read.
    """
    return tuple(file.path for files in _found(config).values() for file in files if file.kind == "parquet")


def load_tables(
    engine: Engine, config: ExperimentConfig, *, quarantine: Path, progress: Callable[[str], None]
) -> Intake:
    """Make the tables ``transactions``, ``products`` and ``customers``, as far as they are declared.

    Each has one row per row of its files that can be used and fulfils ``where``, under the files' column names. Ids are
    exact text, ``time`` is a TIMESTAMP in the zone of the shop, ``quantity`` and ``amount`` are DECIMAL(18,4) and may be
    NULL. Other columns are text as it stands, or have their Parquet type. ``products`` and ``customers`` have one row a key;
    rows that repeat another one in all columns count as filtered.

    A row dated later than ``cycle.observed_until`` cannot be used; where that is not set, one dated later than today in the
    shop. So set ``observed_until`` for a run that never looks at the clock.

    Args:
        engine: Opened with ``input_files`` of the same config.
        config: The experiment.
        quarantine: Folder for ``<table>.csv``, the rows that cannot be used; made if need be.
        progress: Told what is being read.

    Raises:
        DataError: The data cannot be used as declared.
    """
    inputs: dict[str, InputQuality] = {}
    warnings: list[Message] = []
    for table, files in _found(config).items():
        progress(f"reading {table}")
        inputs[table], repeats = load_table(engine, config, table, files, quarantine=quarantine / f"{table}.csv")
        warnings += repeats
    return Intake(inputs, (*warnings, *notices(engine, config)))


def _found(config: ExperimentConfig) -> dict[str, tuple[InputFile, ...]]:
    """The files of each declared table."""
    sections = {table: getattr(config.data, table) for table in SHAPES}
    return {
        table: find_files(section.path, config.folder, key=f"data.{table}.path")
        for table, section in sections.items()
        if section is not None
    }
