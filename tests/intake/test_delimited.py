"""Text files: what is a record, what is a field, and which rows do not fit."""

from __future__ import annotations

import base64
import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shop_files import GOOD, loaded_text

from segmentor.errors import DataError
from segmentor.intake import delimited
from segmentor.intake.delimited import Dialect, read_batches, scan
from segmentor.intake.files import find_files

UTF8 = Dialect("utf-8", None)


def _read(
    folder: Path, content: str | bytes, dialect: Dialect = UTF8
) -> tuple[int, list[list[str]], list[tuple[int, str, str]]]:
    """Records counted, rows that fit, and (line, reason, row) of those that do not."""
    (folder / "f.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    (file,) = find_files(["f.csv"], folder, key="data.x.path")
    found = scan(file, dialect)
    rows, rejects = [], []
    for batch in read_batches(file, found, dialect):
        width = len(found.header)
        rows += [batch.fields[at : at + width] for at in range(0, len(batch.fields), width)]
        rejects += [(reject.line, reject.reason, reject.row) for reject in batch.rejects]
    return found.records, rows, rejects


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_is_read(tmp_path: Path, end: str) -> None:
    """LF, CR LF and CR alone each end a row."""
    assert _read(tmp_path, end.join(["a,b", "1,2", "3,4"])) == (2, [["1", "2"], ["3", "4"]], [])


def test_mixed_line_ends_are_read(tmp_path: Path) -> None:
    """A file may mix the three line ends."""
    assert _read(tmp_path, "a,b\r\n1,2\n3,4\r5,6") == (3, [["1", "2"], ["3", "4"], ["5", "6"]], [])


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    """Empty lines and lines of spaces are neither counted nor read, before the header too."""
    assert _read(tmp_path, "\n\na,b\n\n1,2\n   \n\n3,4\n\n") == (2, [["1", "2"], ["3", "4"]], [])


def test_quoted_fields_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    """A quoted field is read as it was written."""
    text = 'a,b\n"x, ""y""","1\n\n2"\nz,w\n'
    assert _read(tmp_path, text) == (2, [['x, "y"', "1\n\n2"], ["z", "w"]], [])


def test_quote_inside_an_unquoted_field_is_a_character(tmp_path: Path) -> None:
    """Inches in an unquoted field open no quoted field."""
    assert _read(tmp_path, 'a,b\n5" nail,1\n6",2\n') == (2, [['5" nail', "1"], ['6"', "2"]], [])


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    """A row is named by the line in which it begins, behind blank lines and multi-line fields too."""
    text = 'a,b\n"1\n1",2\n\nshort\n"x\ny",2,3\n'
    assert [reject[:2] for reject in _read(tmp_path, text)[2]] == [(5, "wrong_field_count"), (6, "wrong_field_count")]


def test_unclosed_quote_is_named_where_it_opens(tmp_path: Path) -> None:
    """A quoted field that never ends stops the run with the line in which it opens."""
    with pytest.raises(DataError, match=r"f\.csv:3: a quoted field begins here and never ends"):
        _read(tmp_path, 'a,b\n1,2\n3,"4\n5,6\n')


def test_rows_that_do_not_fit_are_kept_as_written(tmp_path: Path) -> None:
    """Short rows, long rows and a repeated header leave the data with line, reason and text."""
    assert _read(tmp_path, "a,b\n1\n1,2,3\na,b\n4,5\n") == (
        4,
        [["4", "5"]],
        [(2, "wrong_field_count", "1"), (3, "wrong_field_count", "1,2,3"), (4, "repeated_header", "a,b")],
    )


def test_undecodable_bytes_cost_one_row(tmp_path: Path) -> None:
    """A byte that is not UTF-8 loses its row only, which is kept byte for byte."""
    records, rows, rejects = _read(tmp_path, b"a,b\n1,2\nx\xff\xc3,\xe4\xb8\xad\n3,4\n")
    assert (records, rows) == (3, [["1", "2"], ["3", "4"]])
    [(line, reason, row)] = rejects
    assert (line, reason) == (3, "undecodable_bytes")
    assert base64.b64decode(row.removeprefix("base64:")) == b"x\xff\xc3,\xe4\xb8\xad"


def test_undecodable_bytes_of_other_encodings_are_kept(tmp_path: Path) -> None:
    """The bytes of a broken GB18030 row come back in GB18030."""
    broken = "中".encode("gb18030") + b",\xff"
    _, _, rejects = _read(tmp_path, b"a,b\n" + broken + b"\n", Dialect("gb18030", None))
    assert base64.b64decode(rejects[0][2].removeprefix("base64:")) == broken


def test_nul_characters_cost_one_row(tmp_path: Path) -> None:
    """A NUL in a text loses its row only."""
    records, rows, [(line, reason, row)] = _read(tmp_path, "a,b\n1,2\nx\0y,3\n")
    assert (records, rows, line, reason) == (2, [["1", "2"]], 3, "nul_byte")
    assert base64.b64decode(row.removeprefix("base64:")) == b"x\0y,3"


def test_long_fields_are_read_and_endless_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field of a million characters is read; a row above the limit is quarantined, cut."""
    assert len(_read(tmp_path, "a,b\n1," + "x" * 1_000_000 + "\n")[1][0][1]) == 1_000_000
    monkeypatch.setattr(delimited, "MAX_ROW", 100)
    monkeypatch.setattr(delimited, "MAX_SHOWN", 10)
    assert _read(tmp_path, "a,b\n1,2\n1," + "x" * 200 + "\n")[1:] == ([["1", "2"]], [(3, "row_too_long", "1,xxxxxxxx")])


@pytest.mark.parametrize(
    "encoding", ["gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be", "utf-8", "shift_jis", "utf-32"]
)
def test_declared_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    """Text comes out the same from every encoding that is declared."""
    content = "a,b\r\n中文,1\r\n".encode(encoding)
    assert _read(tmp_path, content, Dialect(encoding, None)) == (1, [["中文", "1"]], [])


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le"])
def test_byte_order_mark_is_no_part_of_the_header(tmp_path: Path, encoding: str) -> None:
    """A byte order mark is dropped, before a quoted name too."""
    content = '\ufeff"a",b\n1,2\n'.encode(encoding)
    (tmp_path / "f.csv").write_bytes(content)
    (file,) = find_files(["f.csv"], tmp_path, key="k")
    assert scan(file, Dialect(encoding, None)).header == ("a", "b")


def test_undeclared_utf_16_is_named(tmp_path: Path) -> None:
    """A UTF-16 file that is not declared is refused by its byte order mark, with the line to write."""
    with pytest.raises(DataError, match=r"f\.csv: is encoded in utf-16 and not in utf-8; write encoding: utf-16"):
        _read(tmp_path, "a,b\n1,2\n".encode("utf-16"))


def test_gzip_is_read_and_damage_is_named(tmp_path: Path) -> None:
    """A gzip file reads as its content; one that is cut off is refused."""
    packed = gzip.compress(b"a,b\n1,2\n" * 1000)
    (tmp_path / "f.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1,5\t2\n"))
    (file,) = find_files(["f.tsv.gz"], tmp_path, key="k")
    assert scan(file, UTF8).header == ("a", "b")
    (tmp_path / "g.csv.gz").write_bytes(packed[:-10])
    (file,) = find_files(["g.csv.gz"], tmp_path, key="k")
    with pytest.raises(DataError, match=r"g\.csv\.gz: the gzip file is damaged or cut off"):
        scan(file, UTF8)


def test_first_bad_byte_is_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line and offset of the first bad byte hold wherever the file is cut into blocks."""
    content = ("中,b\n" * 50).encode() + b"x\xff\n"
    (tmp_path / "f.csv").write_bytes(content)
    (file,) = find_files(["f.csv"], tmp_path, key="k")
    for block in (1, 2, 3, 7, 1000):
        monkeypatch.setattr(delimited, "_BLOCK", block)
        assert delimited.first_bad_byte(file, "utf-8") == (51, content.index(b"\xff"), 0xFF)


TEXTS = st.lists(
    st.sampled_from(['"', ",", "\n", "\r", "\r\n", "a", " ", '""', '"a"', ',"', '",', "x,y\n"]), max_size=40
).map("".join)


@given(TEXTS)
@example('"a""b",c\n"","\r\n"\n')
@example('"a"b"c,d\n"e\n')
@example('a, "b\n"c",d\n')
@example('" "\n""\n"a\n\n"\n')
def test_the_two_counts_agree_on_any_text(text: str) -> None:
    """The independent count finds the records that the csv module finds, and an unclosed quote exactly where there is one."""
    counter = delimited._RecordCounter(",")
    lines = io.StringIO(text + "\n", newline="").readlines()
    for start in range(0, len(lines), 3):
        counter.add("".join(lines[start : start + 3]))
    rows = [row for row in csv.reader([*lines, "end"]) if len(row) > 1 or (row and row[0].strip(" "))]
    closed = rows[-1] == ["end"]
    assert (counter.opened is None) == closed
    assert counter.records == len(rows) - closed


def test_separators_of_other_alphabets_end_no_line(tmp_path: Path) -> None:
    """Unicode line and paragraph separators, form feeds and the like are characters of a field."""
    text = "a,b\n1,x\u2028y\u0085z\x0b\x0c\x1cw\n"
    assert _read(tmp_path, text) == (1, [["1", "x\u2028y\u0085z\x0b\x0c\x1cw"]], [])


@pytest.mark.parametrize("block", [1, 2, 3, 5, 8, 1000])
def test_counts_hold_wherever_the_text_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Records are counted alike however long the pieces are in which the file is read."""
    monkeypatch.setattr(delimited, "_BLOCK", block)
    text = 'a,b\r\n1,2\r\n\r\n"x\r\ny",2\r3,"4""5"\n\n6,7'
    assert _read(tmp_path, text) == (4, [["1", "2"], ["x\r\ny", "2"], ["3", '4"5'], ["6", "7"]], [])


@pytest.mark.parametrize("text", ["x" * 99, '"' + "x\n" * 60 + '"', "a,b\n" + "x" * 60 + "\n1,2"])
def test_endless_records_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A line or a quoted field that goes on and on is refused before it fills the memory."""
    monkeypatch.setattr(delimited, "MAX_RECORD", 50)
    monkeypatch.setattr(delimited, "_BLOCK", 10)
    with pytest.raises(DataError, match=r"f\.csv: has a record of more than 50 characters; is this a text file\?"):
        _read(tmp_path, text)


def test_rows_come_in_batches_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row comes once however many fill a batch."""
    monkeypatch.setattr(delimited, "BATCH_ROWS", 3)
    with loaded_text(tmp_path, GOOD + "short\n" + GOOD) as shop:
        assert shop.account() == (42, 40, 0, 2)
        assert shop.reasons() == {"repeated_header": 1, "wrong_field_count": 1}
