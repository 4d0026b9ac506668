"""The files of a table -> the table ``_raw`` of their rows as they stand, and ``_rejected`` of those that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentor.config.values import nearest, shown
from segmentor.engine.duckdb import literal, quote
from segmentor.errors import DataError, EngineError, ExpressionError, ResourceError, printable
from segmentor.intake.delimited import Batch, Dialect, first_bad_byte, read_batches, scan
from segmentor.intake.unwrapping import unwrapped

if TYPE_CHECKING:
    from segmentor.config import Table
    from segmentor.engine.duckdb import Engine
    from segmentor.intake.files import InputFile

_OTHER_DELIMITERS = {";": '";"', "\t": r'"\t"', "|": '"|"', ",": '","'}

OF_THE_FILES = ("customer", "time", "order", "product")
"""Roles whose columns stand in the files; any other may be that of a derived column."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``_raw``.

    Attributes:
        name: Its name in the files; one without a name is called by its place, such as ``column 3``.
        type: DuckDB's type; ``VARCHAR`` for every column of a text file.
        sql: Expression of its value; an empty field of a text file is NULL.
    """

    name: str
    type: str
    sql: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """What was read into ``_raw`` and ``_rejected``.

    ``_raw`` has one row per readable row; key (``file_no``, ``line_no``): place of the file in ``files`` and line, from 1,
    in which the row begins (in Parquet files its place); the other columns are those of ``columns``.
    ``_rejected`` has one row per row that cannot be used; same key, ``reason``, and ``row``, its fields as CSV text.

    Attributes:
        files: The files.
        columns: Their columns, in the order of the first file.
        records: Rows in the files, by a count independent of the reader.
        bad_byte: Place and value of the first byte that could not be decoded, in words; empty where all could.
    """

    files: tuple[InputFile, ...]
    columns: tuple[Column, ...]
    records: int
    bad_byte: str = ""

    def column(self, name: str) -> Column:
        """The column of a name that is known to be there."""
        return next(column for column in self.columns if column.name == name)

    def place(self, file_no: int, line_no: int) -> str:
        """A row as a message names it: ``file:line``."""
        return f"{self.files[file_no].label}:{line_no}"


def read_raw(engine: Engine, files: Sequence[InputFile], section: Table, *, key: str) -> RawTable:
    """Make ``_raw`` and ``_rejected`` of files of one kind.

    Args:
        engine: Where to make them.
        files: The files of the table.
        section: The table's section of the config.
        key: Its key, such as ``data.transactions``.

    Raises:
        DataError: A file cannot be read, its columns are not those of the config or of the other files, or it has no rows.
    """
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE _rejected (file_no INTEGER, line_no BIGINT, reason VARCHAR, row VARCHAR)"
    )
    read = _read_delimited if files[0].kind == "delimited" else _read_parquet
    raw = read(engine, files, section, key)
    if not raw.records:
        raise DataError(
            f"{key}: {', '.join(file.label for file in files)}: no data rows below the header; export the rows too, or name another file"
        )
    return raw


def _read_delimited(engine: Engine, files: Sequence[InputFile], section: Table, key: str) -> RawTable:
    dialect = Dialect(section.encoding, section.delimiter)
    scans = [scan(file, dialect) for file in files]
    headers = [
        checked_header(file, found.header, dialect, unwrap=section.unwrap)
        for file, found in zip(files, scans, strict=True)
    ]
    _refuse_unlike(files, headers, key)
    _refuse_missing(files[0], headers[0], section, key, dialect.delimiter_of(files[0]))
    columns = _columns(headers[0], empty_is_null=True)
    _create(engine, columns)
    bad_byte = ""
    for number, (file, found, header) in enumerate(zip(files, scans, headers, strict=True)):
        places = {f"c{place}": header.index(column.name) for place, column in enumerate(columns)}
        for batch in read_batches(file, found, dialect):
            _append(engine, batch, places, file_no=number)
        if found.has_bad_bytes and not bad_byte:
            bad_byte = _bad_byte(file, dialect.encoding)
    return RawTable(tuple(files), columns, sum(found.records for found in scans), bad_byte)


def _append(engine: Engine, batch: Batch, places: Mapping[str, int], *, file_no: int) -> None:
    if batch.lines:
        width = len(places)
        fields = {name: np.array(batch.fields[place::width], dtype=object) for name, place in places.items()}
        file_nos = np.full(len(batch.lines), file_no, dtype=np.int32)
        engine.append("_raw", {"file_no": file_nos, "line_no": np.array(batch.lines), **fields})
    if batch.rejects:
        rejects = batch.rejects
        columns = {
            "file_no": np.full(len(rejects), file_no, dtype=np.int32),
            "line_no": np.array([reject.line for reject in rejects]),
            "reason": np.array([reject.reason for reject in rejects], dtype=object),
            "row": np.array([reject.row for reject in rejects], dtype=object),
        }
        engine.append("_rejected", columns)


def checked_header(file: InputFile, header: Sequence[str], dialect: Dialect, *, unwrap: bool) -> tuple[str, ...]:
    """Names of the columns of a text file; one without a name is called by its place.

    Raises:
        DataError: The header cannot be decoded, or two columns have one name.
    """
    text = "".join(header)
    if "\0" in text:
        raise DataError(
            f"{file.label}:1: the header holds NUL characters; if the file is UTF-16, write encoding: utf-16"
        )
    if not _encodes(text):
        raise DataError(
            f"{_bad_byte(file, dialect.encoding)}; write the encoding that the file has, such as encoding: gb18030"
        )
    written = [unwrapped(name) for name in header] if unwrap else header
    names = tuple(name if name.strip() else f"column {place}" for place, name in enumerate(written, start=1))
    _refuse_twins(file, names)
    return names


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_byte(file: InputFile, encoding: str) -> str:
    found = first_bad_byte(file, encoding)
    if found is None:
        return ""
    line, offset, byte = found
    return f"{file.label}:{line}: byte {byte:#04x} at offset {offset} is not {encoding}"


def _read_parquet(engine: Engine, files: Sequence[InputFile], section: Table, key: str) -> RawTable:
    layouts = [_parquet_layout(engine, file) for file in files]
    _refuse_unlike(files, [list(layout) for layout in layouts], key)
    _refuse_other_types(files, layouts, key)
    names = tuple(layouts[0])
    _refuse_missing(files[0], names, section, key)
    columns = _columns(names, types=layouts[0])
    _create(engine, columns)
    records = 0
    for number, file in enumerate(files):
        fields = ", ".join(f"{quote(name)} AS c{place}" for place, name in enumerate(names))
        with _unreadable(file):
            engine.execute(
                f"INSERT INTO _raw BY NAME SELECT {number} AS file_no, file_row_number + 1 AS line_no, {fields} "
                f"FROM {_parquet_source(file, 'file_row_number = true')}"
            )
            records += int(engine.scalar(f"SELECT sum(num_rows) FROM parquet_file_metadata({literal(str(file.path))})"))
    return RawTable(tuple(files), columns, records)


def _parquet_layout(engine: Engine, file: InputFile) -> dict[str, str]:
    """Name to type of the columns of a Parquet file."""
    path = literal(str(file.path))
    with _unreadable(file):
        nodes = engine.rows(f"SELECT name, num_children FROM parquet_schema({path})")
        described = engine.rows(f"DESCRIBE SELECT * FROM {_parquet_source(file)}")
    _refuse_twins(file, _top_level(nodes))
    return {str(row[0]): str(row[1]) for row in described}


def _top_level(nodes: Sequence[tuple[str, int | None]]) -> list[str]:
    """Names below the root of a schema that is listed depth first, the root first."""
    names: list[str] = []
    open_children = [nodes[0][1] or 0]
    for name, children in nodes[1:]:
        while open_children[-1] == 0:
            open_children.pop()
        if len(open_children) == 1:
            names.append(name)
        open_children[-1] -= 1
        open_children.append(children or 0)
    return names


def _parquet_source(file: InputFile, options: str = "file_row_number = false") -> str:
    return f"read_parquet({literal(str(file.path))}, hive_partitioning = false, binary_as_string = true, {options})"


def _columns(
    names: Sequence[str], *, types: Mapping[str, str] | None = None, empty_is_null: bool = False
) -> tuple[Column, ...]:
    sql = "nullif(c{}, '')" if empty_is_null else "c{}"
    return tuple(
        Column(name, "VARCHAR" if types is None else types[name], sql.format(place)) for place, name in enumerate(names)
    )


def _create(engine: Engine, columns: Sequence[Column]) -> None:
    fields = ", ".join(f"c{place} {column.type}" for place, column in enumerate(columns))
    engine.execute(f"CREATE OR REPLACE TEMP TABLE _raw (file_no INTEGER, line_no BIGINT, {fields})")


@contextmanager
def _unreadable(file: InputFile) -> Iterator[None]:
    try:
        yield
    except ResourceError:
        raise
    except (EngineError, ExpressionError) as error:
        reason = printable(str(error).splitlines()[0].replace(str(file.path), file.label))
        raise DataError(
            f"{file.label}: cannot be read as Parquet ({reason}); it may be damaged or cut off: copy or export it again"
        ) from None


def _refuse_twins(file: InputFile, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first is not name:
            raise DataError(
                f"{file.label}: has the columns {shown(first)} and {shown(name)}, which differ at most in upper and lower "
                "case; rename one of the two"
            )


def _refuse_unlike(files: Sequence[InputFile], headers: Sequence[Sequence[str]], key: str) -> None:
    for file, header in zip(files[1:], headers[1:], strict=True):
        if set(header) != set(headers[0]):
            only = (
                [f"{files[0].label} alone has {_listed(_without(headers[0], header))}"]
                if _without(headers[0], header)
                else []
            )
            only += (
                [f"{file.label} alone has {_listed(_without(header, headers[0]))}"]
                if _without(header, headers[0])
                else []
            )
            raise DataError(f"{key}: its files have different columns: {'; '.join(only)}")


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in names if name not in others]


def _refuse_other_types(files: Sequence[InputFile], layouts: Sequence[Mapping[str, str]], key: str) -> None:
    for file, layout in zip(files[1:], layouts[1:], strict=True):
        for name, kind in layouts[0].items():
            if layout[name] != kind:
                raise DataError(
                    f"{key}: column {shown(name)} is {kind} in {files[0].label} and {layout[name]} in {file.label}; "
                    "write the files with one type"
                )


def _refuse_missing(
    file: InputFile, header: Sequence[str], section: Table, key: str, delimiter: str | None = None
) -> None:
    if delimiter is not None and len(header) == 1:
        other = next((sign for sign in _OTHER_DELIMITERS if sign != delimiter and sign in header[0]), None)
        if other is not None:
            raise DataError(
                f"{file.label}:1: the header is one column, {shown(header[0])}; write delimiter: {_OTHER_DELIMITERS[other]}"
            )
    wanted = [
        (f"columns.{role}", name)
        for role, name in section.columns.items()
        if role in OF_THE_FILES or name not in section.derive
    ]
    wanted += [("fill_from_order", name) for name in getattr(section, "fill_from_order", None) or ()]
    missing = [(what, name) for what, name in wanted if name not in header]
    if missing:
        lines = [
            f"{key}.{what}: {file.label} has no column {shown(name)}{_guess(name, header)}" for what, name in missing
        ]
        raise DataError("\n".join([*lines, f"The columns are: {_listed(header)}"]))


def _guess(name: str, header: Sequence[str]) -> str:
    guess = nearest(name, header)
    return "" if guess is None else f"; did you mean {shown(guess)}?"


def _listed(names: Sequence[str], *, most: int = 40) -> str:
    listed = ", ".join(printable(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
