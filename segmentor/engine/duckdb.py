"""SQL on one machine: a DuckDB database in a scratch folder that can read nothing but the declared inputs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from segmentor.errors import EngineError, ExpressionError, InputError, ResourceError

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig

MAX_FETCHED_ROWS = 50_000_000
"""Rows that ``Engine.arrays`` fetches at most, unless asked for another bound."""


class Engine:
    """One connection to the database; made by ``open_engine``.

    Every method raises ``EngineError``, with the failing SQL, when the database refuses, and ``KeyboardInterrupt`` when it was
    interrupted.

    Attributes:
        scratch: Private folder of the database, where other temporary files may lie too.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self._connection = connection
        self.scratch = scratch

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement for its effect."""
        with _errors_of(sql):
            self._connection.execute(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query with a small result."""
        with _errors_of(sql):
            return self._connection.execute(sql, parameters).fetchall()

    def scalar(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        """The first value of the first row; ``None`` where there is no row."""
        with _errors_of(sql):
            rows = self._connection.execute(sql, parameters).fetchall()
        return rows[0][0] if rows else None

    def arrays(self, sql: str, *, limit: int = MAX_FETCHED_ROWS) -> dict[str, np.ndarray]:
        """The result as one array a column, masked where it holds NULL.

        Args:
            sql: A query without a trailing semicolon.
            limit: Rows that are fetched at most.

        Raises:
            EngineError: The result has more rows than ``limit``: an unbounded fetch would not heed the memory limit.
        """
        with _errors_of(sql):
            columns = self._connection.execute(f"SELECT * FROM (\n{sql}\n) LIMIT {limit + 1}").fetchnumpy()
        if any(len(column) > limit for column in columns.values()):
            raise EngineError(f"a result of more than {limit} rows is not fetched into memory:\n{sql}")
        return {name: _plain_array(column) for name, column in columns.items()}

    def put(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Make the temporary table ``name`` of arrays of one length, in place of an earlier one.

        Args:
            name: Name of the table.
            columns: Column name to array of shape (n_rows,); text as an object or ``str`` array. Masked
                values, ``None`` and NaN become NULL.
        """
        self._with_arrays(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS", columns)

    def append(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Add rows to the table ``name``, by column name; see ``put`` for ``columns``."""
        self._with_arrays(f"INSERT INTO {quote(name)} BY NAME", columns)

    def columns(self, table: str) -> tuple[str, ...]:
        """Column names of a table or view in their order; empty where there is no such table."""
        rows = self.rows("SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table])
        return tuple(name for (name,) in rows)

    def interrupt(self) -> None:
        """Stop the statement that another thread is running."""
        self._connection.interrupt()

    def close(self) -> None:
        """End the connection; the engine cannot be used any more."""
        self._connection.close()

    def _with_arrays(self, statement: str, columns: Mapping[str, np.ndarray]) -> None:
        sql = f"{statement} SELECT {_typed_columns(columns)} FROM _arrays"
        with _errors_of(sql):
            self._connection.register("_arrays", {name: _registrable(values) for name, values in columns.items()})
            try:
                self._connection.execute(sql)
            finally:
                self._connection.unregister("_arrays")


@contextmanager
def open_engine(
    *, scratch: Path, inputs: Sequence[Path], threads: int | None = None, memory_limit: str | None = None
) -> Iterator[Engine]:
    """A hardened engine whose database lies in ``scratch``.

    It reads the files of ``inputs`` and what lies in ``scratch``, and nothing else; it loads no extension, sees no Python
    variable, and its settings are locked.

    Args:
        scratch: Existing private folder; the caller removes it.
        inputs: Files that the engine itself reads. They are named one by one: all of an allowed folder could be written.
        threads: Number of threads; by default ``SEGMENTOR_THREADS``, else one a core.
        memory_limit: Such as ``4GB``; by default ``SEGMENTOR_MEMORY_LIMIT``, else DuckDB's own, 80 % of the memory.

    Raises:
        EngineError: The database cannot be made there, or a setting makes no sense.
    """
    threads_wanted = threads if threads is not None else os.environ.get("SEGMENTOR_THREADS")
    memory_wanted = memory_limit if memory_limit is not None else os.environ.get("SEGMENTOR_MEMORY_LIMIT")
    database = scratch / "segmentor.duckdb"
    with _errors_of(f"open {database.name}"):
        connection = duckdb.connect(str(database))
    engine = Engine(connection, scratch)
    try:
        _harden(engine, inputs, threads_wanted, memory_wanted)
        yield engine
    finally:
        engine.close()


def refuse_unbuilt(config: ExperimentConfig) -> None:
    """Refuses a config that asks for another engine.

    Raises:
        InputError: It does.
    """
    if config.data.engine != "duckdb":
        raise InputError(
            f"{config.source}: data.engine: {config.data.engine} is not built in this version; write duckdb"
        )


def quote(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _harden(engine: Engine, inputs: Sequence[Path], threads: int | str | None, memory_limit: str | None) -> None:
    """Close every door; the order matters: a setting can be made only while those that it needs are open."""
    allowed = ", ".join(literal(str(path)) for path in inputs)
    settings = [
        f"temp_directory = {literal(str(engine.scratch))}",
        f"allowed_paths = [{allowed}]",
        "python_enable_replacements = false",
        "enable_progress_bar = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "allow_community_extensions = false",
        "TimeZone = 'UTC'",
        "preserve_insertion_order = false",
    ]
    if memory_limit is not None:
        settings.append(f"memory_limit = {literal(memory_limit)}")
    if threads is not None:
        settings.append(f"threads = {literal(str(threads))}")
    for setting in (*settings, "enable_external_access = false", "lock_configuration = true"):
        engine.execute(f"SET {setting}")


@contextmanager
def _errors_of(sql: str) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except (duckdb.BinderException, duckdb.ConversionException) as error:
        raise ExpressionError(
            f"{str(error).splitlines()[0]}; in an expression write try_cast(column as double)"
        ) from error
    except duckdb.Error as error:
        if "KeyboardInterrupt" in str(error):
            raise KeyboardInterrupt from error
        mend = _mend(error)
        kind = ResourceError if mend else EngineError
        raise kind(f"{mend}{error}\nThe statement was:\n{sql}") from error
    except RuntimeError as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def _mend(error: duckdb.Error) -> str:
    text = str(error)
    if "max_temp_directory_size" in text or "No space left" in text:
        return (
            "The disk of the temporary folder is full: free some space, or set TMPDIR to a folder on a larger disk.\n"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return "Not enough memory: raise SEGMENTOR_MEMORY_LIMIT (such as 8GB) or lower SEGMENTOR_THREADS.\n"
    return ""


def _typed_columns(columns: Mapping[str, np.ndarray]) -> str:
    return ", ".join(
        f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" if values.dtype.kind in "OU" else quote(name)
        for name, values in columns.items()
    )


def _registrable(values: np.ndarray) -> np.ndarray:
    """The array as DuckDB reads it: it takes fixed-width text for an enumeration, and knows neither days nor reversed views."""
    if values.dtype.kind == "U":
        return values.astype(object)
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    return values if values.flags.c_contiguous else values.copy()


def _plain_array(column: Any) -> np.ndarray:
    return column if isinstance(column, np.ndarray) else np.asarray(column, dtype=object)
