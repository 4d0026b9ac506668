"""CSV files of any encoding, and sheets of workbooks -> batches of text fields with the line they stand in, and the rows that do not fit.

Nothing is guessed: a field is text until a role gives it a type. Records are counted twice: by the reader (Python's csv
module) and, apart from it, by quotes and line ends alone.
"""

from __future__ import annotations

import base64
import codecs
import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, cast

from segmentor.errors import DataError
from segmentor.intake.files import InputFile
from segmentor.intake.workbooks import sheet_as_csv

MAX_ROW = 2_000_000
"""Characters of a row that can be used; a longer one is quarantined, cut to ``MAX_SHOWN``."""

MAX_SHOWN = 100_000

MAX_RECORD = 50_000_000
"""Characters of a record above which a file is no table, but something else, such as a decompression bomb."""

BATCH_ROWS = 20_000

_BLOCK = 1 << 20
_MARKED = "segmentor-marked"
_MARK = re.compile("[\udc00-\udcff]")
_BLANK = re.compile(r'(?: *+|" *+" *+)[\r\n]*+\Z')
_REST_OF_QUOTED = re.compile(r'[^"]*+(?:""[^"]*+)*+"')
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the text files of a table are written.

    Attributes:
        encoding: Name of a text encoding; that of a workbook's sheet is ours.
        delimiter: Character between fields; ``None`` for a comma, a tab in ``.tsv`` files. Likewise.
    """

    encoding: str
    delimiter: str | None

    def delimiter_of(self, file: InputFile) -> str:
        """The character between the fields of one file."""
        if file.is_workbook:
            return ","
        return self.delimiter or ("\t" if file.extension == ".tsv" else ",")

    def encoding_of(self, file: InputFile) -> str:
        """The encoding of one file."""
        return "utf-8" if file.is_workbook else self.encoding


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known of a file before its rows are read.

    Attributes:
        header: Names of the columns as written.
        records: Records below the header; blank lines are none.
        has_nul: A NUL character occurs.
        has_bad_bytes: Bytes occur that the encoding does not know.
        longest: Length in characters of the longest record.
    """

    header: tuple[str, ...]
    records: int
    has_nul: bool
    has_bad_bytes: bool
    longest: int

    @property
    def suspect(self) -> bool:
        """Whether each row has to be looked at."""
        return self.has_nul or self.has_bad_bytes or self.longest > MAX_ROW


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be used as it stands in the file.

    Attributes:
        line: Line in which it begins, from 1.
        reason: ``wrong_field_count``, ``undecodable_bytes``, ``nul_byte``, ``row_too_long`` or ``repeated_header``.
        row: Its fields as CSV text, or ``base64:`` and its bytes where a text file could not hold them.
    """

    line: int
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, in its order.

    Attributes:
        lines: Line in which each row begins, from 1.
        fields: The fields of all rows, one row after the other, in the order of the header.
        rejects: Rows in between that do not fit.
    """

    lines: list[int]
    fields: list[str]
    rejects: list[Reject]


def scan(file: InputFile, dialect: Dialect) -> Scan:
    """Look through a file once: header, number of records, and what could make rows unusable.

    Raises:
        DataError: The file cannot be decoded at all, holds no header, or a quoted field never ends.
    """
    counter = _RecordCounter(dialect.delimiter_of(file))
    has_nul = has_bad_bytes = False
    with _open_text(file, dialect.encoding_of(file)) as stream:
        for block in _whole_lines(stream):
            has_nul = has_nul or "\0" in block
            has_bad_bytes = has_bad_bytes or not (block.isascii() or _MARK.search(block) is None)
            counter.add(block)
            if max(counter.longest, len(block)) > MAX_RECORD:
                raise DataError(
                    f"{file.label}: has a record of more than {MAX_RECORD:,} characters; is this a text file?"
                )
    if counter.opened is not None:
        raise DataError(f"{file.label}:{counter.opened}: a quoted field begins here and never ends; close the quote")
    return Scan(read_header(file, dialect), counter.records - 1, has_nul, has_bad_bytes, counter.longest)


def read_header(file: InputFile, dialect: Dialect) -> tuple[str, ...]:
    """Names of the columns as written, without looking any further.

    Raises:
        DataError: The file holds none.
    """
    with _rows(file, dialect) as rows:
        _, header = next(rows, (1, None))
    if header is None:
        raise DataError(f"{file.label}: holds no header and no rows; export it again, or name another file")
    return tuple(header)


def read_batches(file: InputFile, found: Scan, dialect: Dialect) -> Iterator[Batch]:
    """All rows of a file below its header, some thousands at a time."""
    header, width, suspect = list(found.header), len(found.header), found.suspect
    with _rows(file, dialect) as rows:
        next(rows)
        while True:
            # One flat list of fields: a list kept for each row would keep the garbage collector busy most of the time.
            batch = Batch([], [], [])
            for line, row in islice(rows, BATCH_ROWS):
                if len(row) == width and row != header and not (suspect and _is_unusable(row)):
                    batch.lines.append(line)
                    batch.fields.extend(row)
                else:
                    batch.rejects.append(Reject(line, _reason(row, header), _raw(row, dialect.encoding_of(file))))
            if not (batch.lines or batch.rejects):
                return
            yield batch


def first_bad_byte(file: InputFile, encoding: str) -> tuple[int, int, int] | None:
    """Line, offset in the (unzipped) file and value of the first byte that the encoding does not know."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    before, line = 0, 1
    with open_bytes(file) as stream:
        while True:
            chunk = stream.read(_BLOCK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode(encoding, errors="ignore")
                offset = before + len(chunk) - len(error.object) + error.start
                return line + _line_ends(good), offset, error.object[error.start]
            if not chunk:
                return None
            before += len(chunk)
            line += _line_ends(text)


def csv_text(fields: Sequence[str]) -> str:
    """Fields as one line of CSV, without a line end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(fields)
    return buffer.getvalue()


class _RecordCounter:
    """Counts records in lines of text by quotes and line ends.

    A quote opens a field only at the field's beginning; anywhere else in an unquoted field it is a character.

    Attributes:
        records: Records so far.
        longest: Characters of the longest so far.
        opened: Line in which the quoted field opened that the last line leaves open; ``None`` where none is.
    """

    def __init__(self, delimiter: str) -> None:
        start = f"(?<![^{re.escape(delimiter)}\r\n])"
        self._opening = re.compile(f'{start}"')
        self._quoted = re.compile(f'{start}"{_REST_OF_QUOTED.pattern}')
        self._quoted_in_line = re.compile(rf'{start}"[^"\r\n]*+(?:""[^"\r\n]*+)*+"')
        self._line = 0
        self._length = 0
        self.records = 0
        self.longest = 0
        self.opened: int | None = None

    def add(self, block: str) -> None:
        """Count on; ``block`` is whole lines."""
        lines = io.StringIO(block, newline="").readlines()
        plain = self.opened is None and (
            '"' not in block or self._opening.search(self._quoted_in_line.sub("q", block)) is None
        )
        if plain:
            self.records += len(lines) - sum(1 for line in lines if _BLANK.match(line))
            self.longest = max(self.longest, *map(len, lines))
            self._line += len(lines)
            return
        for line in lines:
            self._line += 1
            self._add_line(line)

    def _add_line(self, line: str) -> None:
        if self.opened is None:
            if _BLANK.match(line):
                return
            self.records += 1
            self._length = 0
        self._length += len(line)
        self.longest = max(self.longest, self._length)
        if self.opened is not None:
            closing = _REST_OF_QUOTED.match(line)
            if closing is None:
                return
            self.opened = None
            line = "q" + line[closing.end() :]
        if self._opening.search(self._quoted.sub("q", line)):
            self.opened = self._line


def _is_unusable(row: Sequence[str]) -> bool:
    text = "".join(row)
    return "\0" in text or len(text) > MAX_ROW or (not text.isascii() and _MARK.search(text) is not None)


def _reason(row: Sequence[str], header: Sequence[str]) -> str:
    text = "".join(row)
    if row == header:
        return "repeated_header"
    if _MARK.search(text):
        return "undecodable_bytes"
    if "\0" in text:
        return "nul_byte"
    return "row_too_long" if len(text) > MAX_ROW else "wrong_field_count"


def _raw(row: Sequence[str], encoding: str) -> str:
    """The row as CSV text; as ``base64:`` of its bytes where a text file could not hold it."""
    text = csv_text(row)[:MAX_SHOWN]
    if "\0" not in text and _MARK.search(text) is None:
        return text
    known = "utf-8" if encoding.lower().startswith(("utf-8", "utf8", "u8")) else encoding
    parts = re.split("([\udc00-\udcff])", text)
    raw = b"".join(
        bytes([ord(part) - 0xDC00]) if _MARK.fullmatch(part) else _encoded(part, known) for part in parts if part
    )
    return "base64:" + base64.b64encode(raw).decode("ascii")


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes of a piece of text, without the byte order mark that some encodings put first."""
    return text.encode(encoding).removeprefix("".encode(encoding))


@contextmanager
def _rows(file: InputFile, dialect: Dialect) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Every record that is not blank, with the line that it begins in, counted from 1; the header is the first."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with _open_text(file, dialect.encoding_of(file)) as stream:
            yield _numbered(csv.reader(stream, delimiter=dialect.delimiter_of(file)))
    except csv.Error as error:
        raise DataError(
            f"{file.label}: cannot be read as CSV ({error}); export it again, with its texts in quotes"
        ) from None
    finally:
        csv.field_size_limit(limit)


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    line = 1
    for row in reader:
        if len(row) > 1 or (row and row[0].strip(" ")):
            yield line, row
        line = reader.line_num + 1


def _whole_lines(stream: io.TextIOWrapper) -> Iterator[str]:
    """The text in pieces that end with a line; a piece grows beyond ``MAX_RECORD`` only by a line that long."""
    rest = ""
    while piece := stream.read(_BLOCK):
        text = rest + piece
        # A CR at the very end may be half of a CR LF.
        end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        if not end and len(text) <= MAX_RECORD:
            rest = text
            continue
        yield text[: end or None]
        rest = text[end:] if end else ""
    if rest:
        yield rest


@contextmanager
def _open_text(file: InputFile, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The decoded text without a byte order mark, line ends as they are; bytes that are none are marked."""
    with open_bytes(file) as raw:
        _refuse_undeclared(file, encoding, raw)
        stream = io.TextIOWrapper(raw, encoding=encoding, errors=_MARKED, newline="")
        if stream.read(1) != "\ufeff":
            stream.seek(0)
        try:
            yield stream
        except UnicodeError as error:
            raise DataError(
                f"{file.label}: cannot be decoded as {encoding} ({error}); write the encoding that the file has, such as encoding: gb18030"
            ) from None


@contextmanager
def open_bytes(file: InputFile) -> Iterator[BinaryIO]:
    """The bytes of a text file, unzipped; of a workbook those of its sheet as CSV.

    Raises:
        DataError: The file is damaged.
    """
    if file.is_workbook:
        yield io.BytesIO(sheet_as_csv(file))
        return
    try:
        with cast("BinaryIO", gzip.open(file.path, "rb") if file.zipped else file.path.open("rb")) as raw:
            yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{file.label}: the gzip file is damaged or cut off ({error}); copy it again") from None


def _refuse_undeclared(file: InputFile, encoding: str, raw: BinaryIO) -> None:
    start = raw.read(4)
    raw.seek(0)
    found = next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
    if found and not encoding.lower().replace("_", "-").startswith((found, found.replace("-", ""))):
        raise DataError(f"{file.label}: is encoded in {found} and not in {encoding}; write encoding: {found}")


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Put a lone surrogate for each byte that cannot be decoded, so that only its row is lost."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


codecs.register_error(_MARKED, _marked)
