"""The quarantine: every row that cannot be used, with its place and its reason, and no more of them than agreed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from shop_files import GOOD, loaded, loaded_text, shop_config

from segmentor.errors import DataError


def _refusal(folder: Path, text: str | bytes, most: float = 0.01, **settings: object) -> str:
    with pytest.raises(DataError) as caught, loaded_text(folder, text, data={"max_quarantined": most}, **settings):
        pass
    return str(caught.value)


def test_quarantine_names_file_line_reason_and_row(tmp_path: Path) -> None:
    """Rows that do not fit and rows whose values cannot be used stand together, in the order of the file."""
    text = 'customer,time,note\n,2024-01-01,"x, ""y"""\na,2024-01-02,ok\nshort\nb,never,\n'
    with loaded_text(tmp_path, text) as shop:
        assert (shop.quarantine / "transactions.csv").read_text(encoding="utf-8") == (
            "file,line,reason,row\n"
            't.csv,2,missing_customer,",2024-01-01,""x, """"y"""""""\n'
            "t.csv,4,wrong_field_count,short\n"
            't.csv,5,unreadable_date,"b,never,"\n'
        )
        assert shop.account() == (4, 1, 0, 3)


def test_quarantined_rows_read_back_as_they_were(tmp_path: Path) -> None:
    """The cell of a row is CSV that gives its fields again."""
    fields = ["", "a,b", 'say "x"', "two\nlines", "cr\rhere", " spaces "]
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["customer", "time", "c", "d", "e", "f"], fields, ["a", "2024-01-01", *"cdef"]])
    with loaded(shop_config(tmp_path)) as shop, (shop.quarantine / "transactions.csv").open(newline="") as stream:
        _, [*_, row] = csv.reader(stream)
        assert list(csv.reader(io.StringIO(row, newline=""))) == [fields]


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "＝1"])
def test_quarantine_runs_no_formulas(tmp_path: Path, start: str) -> None:
    """A row that a spreadsheet would take for a formula begins with an apostrophe."""
    with loaded_text(tmp_path, GOOD + f"{start},never\n") as shop:
        [line] = csv.reader(shop.quarantined())
        assert line[3] == f"'{start},never"


def test_quarantine_is_there_when_nothing_is_in_it(tmp_path: Path) -> None:
    """A table without rejected rows has a quarantine of a header alone."""
    with loaded_text(tmp_path, GOOD) as shop:
        assert shop.quarantined() == []
        assert shop.reasons() == {}


def test_too_many_rejected_rows_stop_the_run(tmp_path: Path) -> None:
    """Above the agreed share the run stops and says why, how often and where first; at the share it does not."""
    text = GOOD + ",2024-01-01\nx,never\n,2024-01-01\n"
    assert _refusal(tmp_path, text, most=0.1).splitlines() == [
        "transactions: 3 of 23 rows (13.0%) cannot be used, more than data.max_quarantined (10.0%):",
        "  2 missing_customer, the first at t.csv:22",
        "  1 unreadable_date, the first at t.csv:23; write dates as 2024-01-31, or give their date_format",
        "To see them all, run with --set data.max_quarantined=1: they are then in quarantine/transactions.csv",
    ]
    with loaded_text(tmp_path, text, data={"max_quarantined": 3 / 23}) as shop:
        assert shop.account() == (23, 20, 0, 3)


def test_wrong_encoding_is_named_with_its_first_byte(tmp_path: Path) -> None:
    """A GBK file that is read as UTF-8 is refused with line, offset and value of the first bad byte."""
    content = b"customer,time\n" + "".join(f"顾客{n},2024-01-01\n" for n in range(9)).encode("gbk")
    assert "t.csv:2: byte 0xb9 at offset 14 is not utf-8" in _refusal(tmp_path, content)
    with loaded_text(tmp_path, content, encoding="gbk") as shop:
        assert shop.values("customer")[0] == "顾客0"


@pytest.mark.parametrize(
    ("value", "day_first", "month_first"),
    [
        ("03/04/2024", "%d/%m/%Y", "%m/%d/%Y"),
        ("3.4.24", "%d.%m.%y", "%m.%d.%y"),
        ("03-04-2024 10:11", "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M"),
        ("03/04/2024 10:11:12", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"),
    ],
)
def test_ambiguous_dates_are_refused_with_both_readings(
    tmp_path: Path, value: str, day_first: str, month_first: str
) -> None:
    """Days and months of which nobody knows the order stop the run with the two formats to choose from, which both read it."""
    text = f"customer,time\na,{value}\n"
    assert _refusal(tmp_path, text) == (
        f"t.csv:2: ambiguous dates such as '{value}': is the day first, or the month? Write "
        f'data.transactions.date_format: "{day_first}" or "{month_first}"'
    )
    for date_format, month in ((day_first, 4), (month_first, 3)):
        with loaded_text(tmp_path, text, date_format=date_format) as shop:
            assert shop.values("time")[0].month == month


def test_files_are_told_apart(tmp_path: Path) -> None:
    """Each rejected row is named with its own file, first file first."""
    (tmp_path / "b.csv").write_text("customer,time\n,2024-01-01\na,2024-01-01\n")
    (tmp_path / "a.csv").write_text("customer,time\nx,2024-01-01\n,2024-01-02\n")
    with loaded(shop_config(tmp_path, path=["b.csv", "a.csv"])) as shop:
        assert [line.split(",")[:2] for line in shop.quarantined()] == [["b.csv", "2"], ["a.csv", "3"]]
