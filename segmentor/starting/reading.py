"""A file of which nothing is known -> how it is written, and its first lines as a table of text in the engine."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segmentor.engine.duckdb import literal, quote
from segmentor.errors import DataError, printable
from segmentor.intake.delimited import MAX_ROW, Dialect, Scan, first_bad_byte, open_bytes, read_batches, read_header
from segmentor.intake.files import InputFile, find_files
from segmentor.intake.raw import checked_header
from segmentor.intake.unwrapping import WRAPPED, unwrapped_sql
from segmentor.starting.headings import meaning
from segmentor.starting.reasons import Values
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

LOOKED_AT = 200_000
"""Lines of a table that are looked at in all their columns."""

MAX_CELLS = 4_000_000
"""Fields that are looked at: of a wide table fewer lines."""

LOOKED_THROUGH = 2_000_000
"""Lines of which single columns are looked at."""

MIN_WRAPPED = 0.5
"""Share of a column's values that are wrapped for a spreadsheet where its file is."""

_HEAD = 1 << 18
_TO_DECODE = 1 << 26
_FOREIGN_LINES = 500
_SURE = 0.8
_MOSTLY = 0.9
_DELIMITERS = (",", ";", "\t", "|")
_WESTERN = frozenset("äöüÄÖÜßéèêëàâáãîïíìôóòõûùúçñÉÈÀÇÑÁÍÓÚ€£°´’‘“”–—«»®©½²")


@dataclass(frozen=True, slots=True)
class Guess:
    """A value, and the reason for it.

    Attributes:
        value: What was guessed.
        reason: Why; ``None`` where it is the default and needs none.
    """

    value: str
    reason: Message | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table that was looked at.

    Attributes:
        name: Its name.
        sql: Column of the engine's table that holds its values as text, NULL where it is empty.
        type: Its type in Parquet; ``VARCHAR`` in text files.
    """

    name: str
    sql: str
    type: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A table that was looked at.

    Attributes:
        table: Name of the engine's table.
        path: The path as given.
        files: Its files.
        fields: Its columns.
        rows: Lines looked at.
        whole: Whether these are all.
        encoding: Of text files.
        delimiter: Of text files.
        unwrap: What shows that values are wrapped for a spreadsheet; ``None`` where they are not.
    """

    table: str
    path: str
    files: tuple[InputFile, ...]
    fields: tuple[Field, ...]
    rows: int
    whole: bool
    encoding: Guess
    delimiter: Guess
    unwrap: Message | None = None

    @property
    def label(self) -> str:
        """The files in words."""
        return self.files[0].label if len(self.files) == 1 else f"{self.files[0].label} and {len(self.files) - 1} more"


def found_files(path: str, *, option: str) -> tuple[InputFile, ...]:
    """The files of a path or glob as a user writes it, from the working folder on.

    Raises:
        DataError: There is none, or of a kind that cannot be read.
    """
    return find_files((path,), Path(), key=option)


def look(engine: Engine, path: str, files: Sequence[InputFile], *, table: str, encoding: str | None) -> Looked:
    """Make the table of the first lines.

    Args:
        engine: Where to make it; it may read the files that are Parquet.
        path: The path as given.
        files: The files, of one kind.
        table: Name of the table.
        encoding: Of text files, where it was said.

    Raises:
        DataError: The files cannot be read, or nobody can tell how they are written.
    """
    if files[0].kind == "parquet":
        return _look_at_parquet(engine, path, files, table)
    file = files[0]
    chosen = _encoding(file) if encoding is None else Guess(encoding, Message("as asked for by --encoding"))
    delimiter = _delimiter(file, chosen.value)
    dialect = Dialect(chosen.value, delimiter.value)
    header = read_header(file, dialect)
    plain = checked_header(file, header, dialect, unwrap=False)
    most = max(1, min(LOOKED_AT, MAX_CELLS // len(plain)))
    written = _Written(tuple(files), dialect, header)
    rows, whole = _put(engine, table, written, range(len(plain)), most=most)
    if not rows:
        raise DataError(
            f"{file.label}: no data rows below the header that have as many fields as it; is its first line the header?"
        )
    names, unwrap = plain, None
    # Addresses and telephone numbers are often wrapped alone, and nobody reads them.
    wrapped = _wrapped(
        engine, table, [at for at, name in enumerate(plain) if meaning(name).kind not in ("person", "phone")]
    )
    if wrapped is not None:
        names = checked_header(file, header, dialect, unwrap=True)
        place, value = wrapped
        said = {"column": names[place], "value": value}
        unwrap = Message("values of {column} are written as {value}, so that a spreadsheet leaves them alone", said)
    cleaned = ", ".join(
        f"nullif({unwrapped_sql(f'c{at}') if unwrap else f'trim(c{at})'}, '') AS c{at}" for at in range(len(names))
    )
    engine.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT {cleaned} FROM {table}")
    fields = tuple(Field(name, f"c{at}", "VARCHAR") for at, name in enumerate(names))
    return Looked(table, path, tuple(files), fields, rows, whole, chosen, delimiter, unwrap)


def look_through(engine: Engine, looked: Looked, fields: Sequence[Field], *, table: str) -> Looked:
    """The same of a few columns and of many more lines; the table itself where all were looked at.

    Args:
        engine: Where to make it.
        looked: What was looked at.
        fields: The columns that are wanted.
        table: Name of the table to make.
    """
    if looked.whole:
        return looked
    places = [looked.fields.index(field) for field in fields]
    if looked.files[0].kind == "parquet":
        rows, whole = _put_parquet(engine, table, looked.files, [(f.name, f.sql) for f in fields], LOOKED_THROUGH)
        return replace(looked, table=table, fields=tuple(fields), rows=rows, whole=whole)
    dialect = Dialect(looked.encoding.value, looked.delimiter.value)
    written = _Written(looked.files, dialect, read_header(looked.files[0], dialect))
    rows, whole = _put(engine, table, written, places, most=LOOKED_THROUGH)
    cleaned = ", ".join(
        f"nullif({unwrapped_sql(f'c{at}') if looked.unwrap else f'trim(c{at})'}, '') AS c{at}" for at in places
    )
    engine.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT {cleaned} FROM {table}")
    return replace(looked, table=table, fields=tuple(fields), rows=rows, whole=whole)


@dataclass(frozen=True, slots=True)
class _Written:
    """Text files of one table.

    Attributes:
        files: The files.
        dialect: How they are written.
        header: Columns of the first one as written.
    """

    files: tuple[InputFile, ...]
    dialect: Dialect
    header: tuple[str, ...]


def _put(engine: Engine, table: str, written: _Written, places: Sequence[int], *, most: int) -> tuple[int, bool]:
    """Make a table of columns of the first lines as ``c<place>``; how many lines, and whether these are all. Each file gives as many."""
    engine.execute(f"CREATE OR REPLACE TABLE {table} ({', '.join(f'c{at} VARCHAR' for at in places)})")
    total, whole, each = 0, True, -(-most // len(written.files))
    for file in written.files:
        own = read_header(file, written.dialect)
        order = [own.index(written.header[at]) if written.header[at] in own else at for at in places]
        # What has to be looked for in each row is not known, so that all of it is.
        found = Scan(own, 0, has_nul=True, has_bad_bytes=True, longest=MAX_ROW)
        rows = 0
        for batch in read_batches(file, found, written.dialect):
            taken = min(len(batch.lines), each - rows)
            fields = batch.fields[: taken * len(own)]
            if taken:
                columns = {
                    f"c{at}": np.array(fields[here :: len(own)], dtype=object)
                    for at, here in zip(places, order, strict=True)
                }
                engine.append(table, columns)
            rows += taken
            if taken < len(batch.lines) or rows == each:
                whole = False
                break
        total += rows
    return total, whole


def _look_at_parquet(engine: Engine, path: str, files: Sequence[InputFile], table: str) -> Looked:
    source = f"read_parquet({literal(str(files[0].path))}, hive_partitioning = false, binary_as_string = true)"
    described = engine.rows(f"DESCRIBE SELECT * FROM {source}")
    fields = tuple(Field(str(row[0]), f"c{at}", str(row[1])) for at, row in enumerate(described))
    most = max(1, min(LOOKED_AT, MAX_CELLS // len(fields)))
    rows, whole = _put_parquet(engine, table, files, [(field.name, field.sql) for field in fields], most)
    if not rows:
        raise DataError(f"{files[0].label}: no rows; export it again, or name another file")
    return Looked(table, path, tuple(files), fields, rows, whole, Guess("utf-8"), Guess(","))


def _put_parquet(
    engine: Engine, table: str, files: Sequence[InputFile], fields: Sequence[tuple[str, str]], most: int
) -> tuple[int, bool]:
    columns = ", ".join(f"nullif(trim(CAST({quote(name)} AS VARCHAR)), '') AS {column}" for name, column in fields)
    each = -(-most // len(files))
    parts, total = [], 0
    for file in files:
        path = literal(str(file.path))
        total += int(engine.scalar(f"SELECT sum(num_rows) FROM parquet_file_metadata({path})"))
        parts.append(
            f"SELECT {columns} FROM read_parquet({path}, hive_partitioning = false, binary_as_string = true, "
            f"file_row_number = true) WHERE file_row_number < {each}"
        )
    engine.execute(f"CREATE OR REPLACE TABLE {table} AS {' UNION ALL '.join(parts)}")
    rows = int(engine.scalar(f"SELECT count(*) FROM {table}"))
    return rows, rows == total


def _wrapped(engine: Engine, table: str, places: Sequence[int]) -> tuple[int, str | Message] | None:
    """A column whose values are mostly wrapped for a spreadsheet, and the shape of one; ``None`` where there is none."""
    pattern = literal(WRAPPED)
    parts = [
        f"count(nullif(trim(c{at}), '')), count(*) FILTER (regexp_matches(c{at}, {pattern})), "
        f"min(c{at}) FILTER (regexp_matches(c{at}, {pattern}))"
        for at in places
    ]
    (row,) = engine.rows(f"SELECT {', '.join(parts)} FROM {table}")
    for number, at in enumerate(places):
        known, wrapped, example = row[3 * number : 3 * number + 3]
        if known and wrapped > MIN_WRAPPED * known:
            return at, '="..."' if '="' in example else "'..." if "'" in example else Message("... and a tab")
    return None


def _encoding(file: InputFile) -> Guess:
    """The encoding that the bytes bear out.

    Raises:
        DataError: None does.
    """
    head = next(_blocks(file), b"")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Guess("utf-16", Message("the file begins with its byte order mark"))
    if head.startswith(codecs.BOM_UTF8):
        return Guess("utf-8")
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 1 and head[place::2].count(0) > len(head) // 4:
            return Guess(name, Message("every other byte is 0, as in text of that encoding"))
    bad = first_bad_byte(file, "utf-8")
    if bad is None:
        return Guess("utf-8")
    lines = _foreign_lines(file)
    if sum(_decodes(line, "utf-8") for line in lines) >= _MOSTLY * len(lines):
        return Guess("utf-8", Message("but for single bytes, the first of them in line {line}", {"line": bad[0]}))
    shares = {name: _likely(lines, name) for name in ("euc-kr", "gb18030", "big5", "shift_jis", "cp1252")}
    # Headings that are words of shops in an encoding are no accident.
    scores = {name: share + 0.05 * min(_known_words(lines[0], name), 4) for name, share in shares.items()}
    if shares["euc-kr"] < 0.99 or len(b"".join(lines)) < 200:
        scores["euc-kr"] -= 0.05
    best = max(scores, key=lambda name: scores[name])
    if shares[best] < _SURE:
        line, _, byte = bad
        raise DataError(
            f"{file.label}:{line}: byte {byte:#04x} is not UTF-8, and no other encoding fits; name it: --encoding gb18030, or "
            "save the file as CSV UTF-8"
        )
    others = tuple(f"{name} {share:.0%}" for name, share in shares.items() if name != best)
    said: Values = {"share": shares[best], "others": others}
    if best == "cp1252":
        return Guess(
            best,
            Message(
                "it is not UTF-8, and read so {share:.0%} of its signs are common letters of Western Europe ({others})",
                said,
            ),
        )
    return Guess(
        best, Message("it is not UTF-8, and read so {share:.0%} of its signs are common characters ({others})", said)
    )


def _blocks(file: InputFile) -> Iterator[bytes]:
    with open_bytes(file) as stream:
        read = 0
        while read < _TO_DECODE and (block := stream.read(1 << 20)):
            read += len(block)
            yield block


def _foreign_lines(file: InputFile) -> list[bytes]:
    """Some lines that hold more than ASCII, the first ones."""
    found: list[bytes] = []
    rest = b""
    for block in _blocks(file):
        *lines, rest = (rest + block).splitlines(keepends=True)
        found += [line for line in lines if not line.isascii()]
        if len(found) >= _FOREIGN_LINES:
            return found[:_FOREIGN_LINES]
    return [*found, *([] if rest.isascii() else [rest])]


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _likely(lines: Sequence[bytes], encoding: str) -> float:
    """Share of the characters beyond ASCII that are common ones of the encoding's languages; those that cannot be decoded are not."""
    foreign = [sign for line in lines for sign in line.decode(encoding, errors="replace") if not sign.isascii()]
    telling = [sign for sign in foreign if not _is_neutral(sign)]
    return sum(_is_common(sign, encoding) for sign in telling) / max(1, len(telling))


def _known_words(line: bytes, encoding: str) -> int:
    """Headings in a line that are words of shops."""
    words = re.split(r"[,;\t|\"]", line.decode(encoding, errors="replace"))
    return sum(meaning(word).score > 0 for word in words if not word.isascii())


def _is_neutral(character: str) -> bool:
    """Punctuation and full-width signs, which say nothing about the language."""
    return "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef" or "\u2010" <= character <= "\u2030"


def _is_common(character: str, encoding: str) -> bool:
    if encoding == "cp1252":
        return character in _WESTERN
    if encoding == "euc-kr":
        return "\uac00" <= character <= "\ud7a3"
    if encoding == "shift_jis":
        return "\u3041" <= character <= "\u30ff"
    try:
        first = character.encode("gb2312" if encoding == "gb18030" else "big5")
    except UnicodeEncodeError:
        return False
    # The first levels of both sets hold the some 4,000 and 5,400 characters in use.
    low, high = (0xB0, 0xD7) if encoding == "gb18030" else (0xA4, 0xC6)
    return len(first) == 2 and low <= first[0] <= high and "\u4e00" <= character <= "\u9fff"


def _delimiter(file: InputFile, encoding: str) -> Guess:
    """The character by which the first records have most fields, and as many in each.

    Raises:
        DataError: None parts the lines.
    """
    head = next(_blocks(file), b"")[:_HEAD]
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    text = decoder.decode(head).removeprefix("\ufeff")
    found: dict[str, tuple[float, int]] = {}
    for delimiter in _DELIMITERS:
        rows = [row for row in _records(text, delimiter) if any(field.strip() for field in row)]
        if rows and len(rows[0]) > 1:
            same = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
            found[delimiter] = (same, len(rows[0]))
    usable = {delimiter: width for delimiter, (same, width) in found.items() if same >= _SURE}
    if not usable:
        first = printable(text.splitlines()[0][:80]) if text.strip() else ""
        raise DataError(
            f"{file.label}:1: the first line is no header of the lines below it: {first!r}; delete the lines above the header, "
            "if there are any, and save the file with commas, semicolons or tabs between the fields"
        )
    best = max(usable, key=lambda delimiter: usable[delimiter])
    default = "\t" if file.extension == ".tsv" else ","
    if best == default:
        return Guess(best)
    said = {"number": usable[best]}
    parted = {
        "\t": Message("a tab parts the first lines into {number} fields each", said),
        ";": Message("a semicolon parts the first lines into {number} fields each", said),
        "|": Message("a bar parts the first lines into {number} fields each", said),
        ",": Message("a comma parts the first lines into {number} fields each", said),
    }
    return Guess(best, parted[best])


def _records(text: str, delimiter: str, *, most: int = 200) -> list[list[str]]:
    """The first records, without the last one, which may be cut off."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) > most:
                break
    except csv.Error:
        return []
    return rows[:-1] if len(text) >= _HEAD // 4 and len(rows) > 1 else rows
