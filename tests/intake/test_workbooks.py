"""Sheets of workbooks: the same rows as the same table in CSV, exact values, rows named by their number, and files that are none."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import Workbook, load_workbook
from shop_files import loaded, loaded_text, shop_config

from segmentor.errors import DataError
from segmentor.intake import workbooks

ROLES = {"customer": "customer", "time": "time", "product": "product", "amount": "amount"}
TABLE = "customer,time,product,amount,note\n00123,2024-01-31 10:00:00,7,0.1,a b\n1e5,2024-02-29 23:59:59,8,-2,\n"
ROWS: list[list[object]] = [
    ["customer", "time", "product", "amount", "note"],
    ["00123", datetime(2024, 1, 31, 10), 7, 0.1, "a\nb"],
    ["1e5", datetime(2024, 2, 29, 23, 59, 59), 8, -2, None],
]


def write_workbook(path: Path, *sheets: list[list[object]]) -> None:
    """A workbook of these sheets, named A, B, ..."""
    book = Workbook()
    book.remove(book.active)
    for place, rows in enumerate(sheets):
        sheet = book.create_sheet(chr(ord("A") + place))
        for row in rows:
            sheet.append(row)
    book.save(path)


def test_a_sheet_gives_the_rows_of_the_same_table_in_csv(tmp_path: Path) -> None:
    """Ids keep their zeros, whole numbers have no point, times are times, a line end in a cell is a space; the fingerprint is the same."""
    write_workbook(tmp_path / "t.xlsx", ROWS)
    book = shop_config(tmp_path, path="t.xlsx", columns=ROLES)
    with loaded_text(tmp_path, TABLE, columns=ROLES) as text, loaded(book) as sheet:
        query = "SELECT * FROM transactions ORDER BY ALL"
        assert sheet.engine.rows(query) == text.engine.rows(query)
        assert sheet.intake.inputs == text.intake.inputs


def test_a_bad_row_is_named_by_its_number_in_the_sheet(tmp_path: Path) -> None:
    """Rows above the header, empty rows and line ends within cells count or do not count as a person who looks at the sheet would count them."""
    rows = [[], *ROWS, [], ["x", "no time", 9, 1, None]]
    write_workbook(tmp_path / "t.xlsx", rows)
    config = shop_config(tmp_path, path="t.xlsx", columns=ROLES)
    with loaded(config) as shop:
        assert shop.account() == (3, 2, 0, 1)
        assert [line.split(",")[:2] for line in shop.quarantined()] == [["t.xlsx", "6"]]


def test_the_first_visible_sheet_with_rows_is_read(tmp_path: Path) -> None:
    """Empty and hidden sheets before it are passed over."""
    write_workbook(tmp_path / "t.xlsx", [], [["hidden"], [1]], ROWS)
    book = load_workbook(tmp_path / "t.xlsx")
    book["B"].sheet_state = "hidden"
    book.active = 2
    book.save(tmp_path / "t.xlsx")
    with loaded(shop_config(tmp_path, path="t.xlsx", columns=ROLES)) as shop:
        assert shop.account() == (2, 2, 0, 0)


def test_a_day_is_a_day_and_a_truth_is_a_word(tmp_path: Path) -> None:
    """Cells of days, truth values and numbers beyond the digits of a double are written so that nothing is made up."""
    write_workbook(
        tmp_path / "t.xlsx", [["customer", "time", "ok", "n"], ["a", date(2024, 1, 31), True, 123456789012345678]]
    )
    roles = {"customer": "customer", "time": "time"}
    with loaded(shop_config(tmp_path, path="t.xlsx", columns=roles)) as shop:
        assert shop.engine.rows("SELECT time, ok, n FROM transactions") == [
            (datetime(2024, 1, 31), "true", "1.234567890123457e+17")
        ]


def _damaged(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 cut off")


def _of_another_kind(path: Path) -> None:
    path.write_bytes(b"customer,time\n")


def _empty(path: Path) -> None:
    write_workbook(path, [], [])


def _no_workbook(path: Path) -> None:
    with ZipFile(path, "w") as parts:
        parts.writestr("notes.txt", "customer,time\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_damaged, r"t\.xlsx: cannot be read as a workbook \(.*\); save its sheet as CSV UTF-8"),
        (_no_workbook, r"t\.xlsx: cannot be read as a workbook"),
        (_of_another_kind, r"t\.xlsx is not an Excel workbook or zip archive, whatever its name says"),
        (_empty, r"t\.xlsx: none of its sheets has rows"),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, make: object, message: str) -> None:
    """Damaged files, archives, renamed text and empty workbooks are errors that name the file and the mend."""
    assert callable(make)
    make(tmp_path / "t.xlsx")
    with (
        pytest.raises(DataError, match=message),
        loaded(shop_config(tmp_path, path="t.xlsx", columns=ROLES)),
    ):
        pass


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workbook whose parts are larger than a table can be is refused before it is read."""
    write_workbook(tmp_path / "t.xlsx", ROWS)
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 100)
    with (
        pytest.raises(DataError, match=r"t\.xlsx: unpacks to [0-9,]+ bytes, more than a workbook's 100"),
        loaded(shop_config(tmp_path, path="t.xlsx", columns=ROLES)),
    ):
        pass


def test_without_its_reader_a_workbook_is_refused_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads workbooks is an extra; the message says how to have it, or do without."""
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    write_workbook(tmp_path / "t.xlsx", ROWS)
    with (
        pytest.raises(DataError, match=r"t\.xlsx: workbooks are read by .*: pip install 'segmentor\[excel\]', or save"),
        loaded(shop_config(tmp_path, path="t.xlsx", columns=ROLES)),
    ):
        pass


def test_sheets_that_are_not_read_are_named(tmp_path: Path) -> None:
    """Other sheets with rows are told, so that nobody takes a part for the whole; empty ones are not."""
    write_workbook(tmp_path / "t.xlsx", ROWS, [["more"], [1]], [])
    with loaded(shop_config(tmp_path, path="t.xlsx", columns=ROLES)) as shop:
        (warning,) = [str(each) for each in shop.intake.warnings if "sheet" in str(each)]
    assert warning.startswith("Of t.xlsx only the first sheet with rows was read. Others hold rows too: B.")
