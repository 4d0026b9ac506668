"""A workbook as text: the sheet that it opens with, as saving it as CSV would give it, but with values in full and not as they are shown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, is_zipfile

from segmentor.errors import DataError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

    from segmentor.intake.files import InputFile

MAX_UNPACKED = 2_000_000_000
"""Bytes of a workbook's parts above which it is no table, but something else, such as a decompression bomb."""


def sheet_as_csv(file: InputFile) -> bytes:
    """The first sheet that has rows, as CSV in UTF-8 with a line for each of its rows, so that lines and rows have the same numbers.

    Numbers are written in full, whole ones without a point; times as ISO text; line ends within a cell become spaces; of a formula its value
    counts.

    Raises:
        DataError: The file cannot be read as a workbook, no sheet has rows, or what reads workbooks is not installed.
    """
    return _read(file)[0]


def sheets_not_read(file: InputFile) -> tuple[str, ...]:
    """Names of the other sheets with rows."""
    return _read(file)[1]


@lru_cache(maxsize=2)
def _read(file: InputFile) -> tuple[bytes, tuple[str, ...]]:
    """The sheet as CSV, and the names of the others; kept, since a file is gone through several times."""
    written = io.StringIO()
    write = csv.writer(written, lineterminator="\n").writerow
    sheet, *others = _sheets_with_rows(file)
    for row in sheet.to_python(skip_empty_area=False):
        fields = [_text(cell) for cell in row]
        write(fields if any(fields) else ())
    return written.getvalue().encode(), tuple(other.name for other in others)


def _sheets_with_rows(file: InputFile) -> list[CalamineSheet]:
    try:
        from python_calamine import CalamineError  # noqa: PLC0415 - text files need none of it
    except ImportError:
        raise DataError(
            f"{file.label}: workbooks are read by the package python-calamine: pip install 'segmentor[excel]', or save its sheet as "
            "CSV UTF-8 and give that file"
        ) from None
    try:
        found = list(_worksheets(_opened(file)))
    except CalamineError as error:
        raise DataError(
            f"{file.label}: cannot be read as a workbook ({error}); save its sheet as CSV UTF-8 and give that file"
        ) from None
    if not found:
        raise DataError(f"{file.label}: none of its sheets has rows; name another file")
    return found


def _opened(file: InputFile) -> CalamineWorkbook:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415

    if is_zipfile(file.path):
        try:
            with ZipFile(file.path) as parts:
                unpacked = sum(part.file_size for part in parts.infolist())
        except BadZipFile:
            unpacked = 0
        if unpacked > MAX_UNPACKED:
            raise DataError(
                f"{file.label}: unpacks to {unpacked:,} bytes, more than a workbook's {MAX_UNPACKED:,}; save its sheet as CSV UTF-8"
            )
    return CalamineWorkbook.from_path(file.path)


def _worksheets(workbook: CalamineWorkbook) -> Iterator[CalamineSheet]:
    """Those that people see and that hold something."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415

    for known in workbook.sheets_metadata:
        if known.typ == SheetTypeEnum.WorkSheet and known.visible == SheetVisibleEnum.Visible:
            sheet = workbook.get_sheet_by_name(known.name)
            if sheet.height:
                yield sheet


def _text(cell: object) -> str:
    """A cell as text."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    return " ".join(str(cell).splitlines())
