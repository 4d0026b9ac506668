"""Columns of files: names as they are, and what is refused before a row is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop_files import GOOD, loaded, loaded_text, shop_config, write_parquet

from segmentor.errors import DataError

ODD_NAMES = ["select", "a;b", "a b", 'say "x"', "顾客", "🛒", "rowid", "it's", "file_no", "c0", "_reason"]


def _refusal(folder: Path, text: str | bytes, **settings: object) -> str:
    with pytest.raises(DataError) as caught, loaded_text(folder, text, **settings):
        pass
    return str(caught.value)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_columns_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Words of SQL, punctuation, emoji and our own names are names like any other, for roles and for other columns."""
    header = '"' + name.replace('"', '""') + '"'
    with loaded_text(
        tmp_path, f"{header},time,x\na,2024-01-01,1\n", columns={"customer": name, "time": "time"}
    ) as shop:
        assert shop.engine.columns("transactions") == (name, "time", "x")
        assert shop.engine.rows("FROM transactions")[0][0] == "a"


def test_columns_without_a_name_are_called_by_their_place(tmp_path: Path) -> None:
    """The unnamed first column of an index that was exported too is kept under a name of its own."""
    with loaded_text(tmp_path, ",customer,time,\n0,a,2024-01-01,x\n") as shop:
        assert shop.engine.columns("transactions") == ("column 1", "customer", "time", "column 4")


@pytest.mark.parametrize("second", ["amount", "Amount"])
def test_twin_columns_are_refused(tmp_path: Path, second: str) -> None:
    """Two columns of one name, or of names that differ in case alone, are refused by name."""
    assert _refusal(tmp_path, f"customer,time,amount,{second}\na,2024-01-01,1,2\n").startswith(
        f"t.csv: has the columns 'amount' and '{second}'"
    )


def test_missing_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    """Every missing column is named with its key, the nearest name and the names that there are."""
    assert _refusal(tmp_path, "Customer,times\na,2024-01-01\n").splitlines() == [
        "data.transactions.columns.customer: t.csv has no column 'customer'; did you mean 'Customer'?",
        "data.transactions.columns.time: t.csv has no column 'time'; did you mean 'times'?",
        "The columns are: Customer, times",
    ]


@pytest.mark.parametrize(("sign", "shown"), [(";", '";"'), ("\t", r'"\t"'), ("|", '"|"')])
def test_other_delimiter_is_recognised_and_read_when_declared(tmp_path: Path, sign: str, shown: str) -> None:
    """A header in one piece says which delimiter to declare, and that reads the file."""
    text = f"customer{sign}time\na{sign}2024-01-01\n"
    assert _refusal(tmp_path, text).endswith(f"write delimiter: {shown}")
    with loaded_text(tmp_path, text, delimiter=sign) as shop:
        assert shop.values("customer") == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"customer,time\n", "data.transactions: t.csv: no data rows below the header"),
        (b"customer,time\n\n \n", "data.transactions: t.csv: no data rows below the header"),
        (b" ", "t.csv: holds no header and no rows"),
        (
            "顾客,time\n".encode("gbk"),
            "t.csv:1: byte 0xb9 at offset 0 is not utf-8; write the encoding that the file has",
        ),
        ("customer,time\na,b\n".encode("utf-16-le"), "t.csv:1: the header holds NUL characters; if the file is UTF-16"),
    ],
)
def test_files_without_rows_or_header_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """A header alone, nothing at all, and a header that cannot be read each have their message."""
    assert _refusal(tmp_path, content).startswith(message)


def test_files_of_a_list_are_joined_by_column_name(tmp_path: Path) -> None:
    """Files may order their columns differently, and one of several may have no rows."""
    (tmp_path / "t1.csv").write_text("customer,time,x\na,2024-01-01,1\n")
    (tmp_path / "t2.csv").write_text("x,time,customer\n2,2024-01-02,b\n")
    (tmp_path / "t3.csv").write_text("x,time,customer\n")
    with loaded(shop_config(tmp_path, path="t*.csv")) as shop:
        assert shop.engine.rows("SELECT customer, x FROM transactions ORDER BY 1") == [("a", "1"), ("b", "2")]
        assert shop.account() == (2, 2, 0, 0)


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    """Files of one table that do not have the same columns are named with what each has alone."""
    (tmp_path / "t1.csv").write_text("customer,time,x\na,2024-01-01,1\n")
    (tmp_path / "t2.csv").write_text("customer,time,y,z\n")
    with (
        pytest.raises(DataError, match=r"different columns: t1\.csv alone has x; t2\.csv alone has y, z"),
        loaded(shop_config(tmp_path, path=["t1.csv", "t2.csv"])),
    ):
        pass


def test_parquet_rows_are_numbered_from_one(tmp_path: Path) -> None:
    """A Parquet row is named by its place in its file."""
    path = tmp_path / "t.parquet"
    write_parquet(path, "SELECT unnest(['a', 'b', NULL]) AS customer, DATE '2024-01-01' AS time")
    with loaded(shop_config(tmp_path, path="t.parquet")) as shop:
        assert shop.account() == (3, 2, 0, 1)
        assert shop.quarantined() == ['t.parquet,3,missing_customer,",2024-01-01"']


def test_parquet_columns_keep_their_types(tmp_path: Path) -> None:
    """Columns without a role stay what they are, lists and structures too."""
    write_parquet(
        tmp_path / "t.parquet",
        "SELECT 'a' AS customer, DATE '2024-01-01' AS time, [1, 2] AS l, {'x': 1, 'y': {'z': 2}} AS s, 1.5::DECIMAL(5,1) AS d",
    )
    with loaded(shop_config(tmp_path, path="t.parquet")) as shop:
        assert shop.engine.rows("SELECT l, s, d::VARCHAR FROM transactions") == [
            ([1, 2], {"x": 1, "y": {"z": 2}}, "1.5")
        ]


def test_parquet_files_of_other_types_are_refused(tmp_path: Path) -> None:
    """A column that is a number in one file and text in the next is refused with both files."""
    write_parquet(tmp_path / "t1.parquet", "SELECT 1 AS customer, DATE '2024-01-01' AS time")
    write_parquet(tmp_path / "t2.parquet", "SELECT '01' AS customer, DATE '2024-01-01' AS time")
    with (
        pytest.raises(DataError, match=r"column 'customer' is INTEGER in t1\.parquet and VARCHAR in t2\.parquet"),
        loaded(shop_config(tmp_path, path="t*.parquet")),
    ):
        pass


@pytest.mark.parametrize("cut", [6, 200, -6])
def test_damaged_parquet_is_refused(tmp_path: Path, cut: int) -> None:
    """A Parquet file that is cut off is refused by name, without its absolute path."""
    path = tmp_path / "t.parquet"
    write_parquet(path, "SELECT range::VARCHAR AS customer, DATE '2024-01-01' AS time FROM range(1000)")
    path.write_bytes(path.read_bytes()[:cut])
    with (
        pytest.raises(DataError, match=r"t\.parquet: cannot be read as Parquet") as caught,
        loaded(shop_config(tmp_path, path="t.parquet")),
    ):
        pass
    assert str(tmp_path) not in str(caught.value)


def test_two_kinds_of_columns_of_parquet_twins_are_refused(tmp_path: Path) -> None:
    """Parquet columns whose names differ in case alone are refused, with structures before them too."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"s": [{"b": 1, "B": 2}], "customer": ["a"], "time": ["2024-01-01"], "b": [1], "B": [2]})
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has the columns 'b' and 'B'"), loaded(shop_config(tmp_path, path="t.parquet")):
        pass


def test_table_is_the_same_whatever_its_files(tmp_path: Path) -> None:
    """One file, two files and rows in another order have the same fingerprint; other rows have another one."""
    header, *rows = GOOD.splitlines(keepends=True)
    fingerprints = []
    for parts in ([rows], [rows[::-1]], [rows[5:], rows[:5]], [rows[1:]]):
        for old in tmp_path.glob("t*.csv"):
            old.unlink()
        for number, part in enumerate(parts):
            (tmp_path / f"t{number}.csv").write_text(header + "".join(part))
        with loaded(shop_config(tmp_path, path="t*.csv")) as shop:
            fingerprints.append(shop.intake.inputs["transactions"].fingerprint)
    assert fingerprints[0] == fingerprints[1] == fingerprints[2] != fingerprints[3]
