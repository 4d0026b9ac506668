"""Paths and globs of a config -> the files to read, each a plain local file of a kind that can be read."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segmentor.errors import DataError, printable

Kind = Literal["delimited", "parquet"]

_DELIMITED = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_WORKBOOKS = {
    ".xlsx": "an Excel workbook or zip archive",
    ".xlsm": "an Excel workbook or zip archive",
    ".ods": "an Excel workbook or zip archive",
    ".xls": "Excel",
}
"""Workbooks that are read, with what they begin as."""

_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst")

_MAGIC = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "an Excel workbook or zip archive",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "Excel",
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Attributes:
        path: Where it is.
        label: How messages and the quarantine name it; never an absolute path.
        kind: How it is read.
        version: Size in bytes and time of change in nanoseconds when it was found.
    """

    path: Path
    label: str
    kind: Kind
    version: tuple[int, int]

    @property
    def extension(self) -> str:
        """Lower-case extension without ``.gz``, such as ``.csv``."""
        return _extension(self.path)

    @property
    def is_workbook(self) -> bool:
        """Whether its rows stand in a sheet of a workbook."""
        return self.extension in _WORKBOOKS

    @property
    def zipped(self) -> bool:
        """Whether it is compressed with gzip."""
        return self.path.name.lower().endswith(".gz")


def find_files(declared: Sequence[str], folder: Path, *, key: str) -> tuple[InputFile, ...]:
    """The files of a table, in the order of the config; those of a glob by name.

    Args:
        declared: Paths or globs; relative ones start from ``folder``.
        folder: Folder of the config.
        key: Key of the config to name in messages, such as ``data.transactions.path``.

    Raises:
        DataError: A path is missing, not a plain file, or of a kind that cannot be read; files of two kinds; a file given twice.
    """
    paths = [path for text in declared for path in _expanded(text, folder, key)]
    files = tuple(
        _input_file(path, label, key) for path, label in zip(paths, _labels(declared, paths, folder), strict=True)
    )
    if len({file.kind for file in files}) > 1:
        raise DataError(
            f"{key}: text and Parquet files cannot be mixed in one table: {', '.join(f.label for f in files)}"
        )
    _refuse_repeats(files, key)
    return files


def refuse_changed(files: Sequence[InputFile]) -> None:
    """Check that no file was written while it was read.

    Raises:
        DataError: A file has another size or time of change than when it was found, or is gone.
    """
    for file in files:
        try:
            version = _version(file.path.stat())
        except OSError:
            version = None
        if version != file.version:
            raise DataError(f"{file.label}: changed while it was being read; run again when nothing writes it")


def _expanded(declared: str, folder: Path, key: str) -> list[Path]:
    path = folder / declared
    if not glob.has_magic(declared) or os.path.lexists(path):
        return [path]
    pattern, anchor = str(declared), Path(declared).anchor
    found = Path(anchor).glob(pattern.removeprefix(anchor)) if anchor else folder.glob(pattern)
    matches = sorted(match for match in found if not match.is_dir())
    if not matches:
        raise DataError(f"{key}: no file matches {_shown(declared)}")
    return matches


def _labels(declared: Sequence[str], paths: Sequence[Path], folder: Path) -> list[str]:
    """Relative to the config's folder; where the config says absolute paths, relative to what these have in common."""
    base = folder
    if any(Path(text).is_absolute() for text in declared):
        base = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    return [printable(Path(os.path.relpath(path, base)).as_posix()) for path in paths]


def _input_file(path: Path, label: str, key: str) -> InputFile:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"{key}: there is no file {label}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: {label} cannot be read: {_cause(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        what = (
            "a folder; write folder/*.csv for all files in it" if stat.S_ISDIR(status.st_mode) else "not a plain file"
        )
        raise DataError(f"{key}: {label} is {what}")
    file = InputFile(path.absolute(), label, _kind(path, label, key), _version(status))
    _refuse_wrong_content(file, key)
    return file


def _kind(path: Path, label: str, key: str) -> Kind:
    extension = _extension(path)
    if extension in _DELIMITED or path.suffix.lower() in _WORKBOOKS:
        return "delimited"
    if path.name.lower().endswith(_PARQUET):
        return "parquet"
    if path.name.lower().endswith(_ARCHIVES):
        raise DataError(f"{key}: {label} is an archive; unpack it, or compress single files with gzip (.csv.gz)")
    raise DataError(
        f"{key}: {label} has no known extension; .csv, .tsv, .txt (also with .gz), .xlsx, .xls, .ods and .parquet are read"
    )


def _refuse_wrong_content(file: InputFile, key: str) -> None:
    try:
        with file.path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise DataError(f"{key}: {file.label} cannot be read: {_cause(error)}") from None
    if not start:
        raise DataError(f"{key}: {file.label} is empty (0 bytes)")
    expected = "Parquet" if file.kind == "parquet" else "gzip" if file.zipped else _WORKBOOKS.get(file.extension)
    found = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    if found != expected:
        content = found or f"not {expected}"
        raise DataError(
            f"{key}: {file.label} is {content}, whatever its name says; give it the right extension, or export it again"
        )


def _refuse_repeats(files: Sequence[InputFile], key: str) -> None:
    sizes = Counter(file.version[0] for file in files)
    seen: dict[bytes, InputFile] = {}
    for file in files:
        if sizes[file.version[0]] == 1:
            continue
        first = seen.setdefault(_digest(file), file)
        if first is not file:
            raise DataError(f"{key}: {first.label} and {file.label} hold the same data; keep one of the two")


def _digest(file: InputFile) -> bytes:
    with file.path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _extension(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _shown(declared: str) -> str:
    return printable(Path(declared).name if Path(declared).is_absolute() else declared)


def _cause(error: Exception) -> str:
    return (error.strerror or "unknown cause").lower() if isinstance(error, OSError) else str(error)
