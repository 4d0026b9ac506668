"""Typed roles: which texts are times, numbers and ids, and with what reason the others leave."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from shop_files import loaded, loaded_text, shop_config, write_parquet

from segmentor.errors import DataError

ZONES = {"timezone": "America/New_York", "source_timezone": "UTC"}


def _time(folder: Path, text: str, **settings: object) -> str:
    """The time that a text becomes, or the reason why it becomes none."""
    with loaded_text(folder, f'customer,time\na,2024-05-05\nb,"{text}"\n', **settings) as shop:
        [reason] = shop.reasons() or [""]
        return reason or str(shop.engine.scalar("SELECT time FROM transactions WHERE customer = 'b'"))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-02-29", "2024-02-29 00:00:00"),
        ("2024/2/9", "2024-02-09 00:00:00"),
        (" 2024-01-02 ", "2024-01-02 00:00:00"),
        ("2024-01-02 10:11", "2024-01-02 10:11:00"),
        ("2024-01-02T10:11:12", "2024-01-02 10:11:12"),
        ("2024-01-02 10:11:12.345", "2024-01-02 10:11:12.345000"),
        ("2024/01/02 10:11:12,5", "2024-01-02 10:11:12.500000"),
    ],
)
def test_iso_times_are_read(tmp_path: Path, text: str, time: str) -> None:
    """Days and times in ISO order are read, with dashes or slashes, and stay as they are in the shop's own zone."""
    assert _time(tmp_path, text) == time


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing_time"),
        ("  ", "missing_time"),
        ("yesterday", "unreadable_date"),
        ("2024-02-30", "unreadable_date"),
        ("2023-02-29", "unreadable_date"),
        ("20240102", "unreadable_date"),
        ("45352", "unreadable_date"),
        ("1706745600", "unreadable_date"),
        ("03/04/2024", "unreadable_date"),
        ("2024-01-02 25:00:00", "unreadable_date"),
        ("infinity", "unreadable_date"),
        ("epoch", "unreadable_date"),
        ("now", "unreadable_date"),
        ("1900-01-01", "placeholder_date"),
        ("1899-12-30 00:00:00", "placeholder_date"),
        ("1970-01-01", "placeholder_date"),
        ("1970-01-01 00:00:00", "placeholder_date"),
        ("0001-01-01", "placeholder_date"),
        ("9999-12-31 23:59:59", "placeholder_date"),
        ("0000-00-00", "placeholder_date"),
        ("1970-01-01 00:00:01", "date_out_of_range"),
        ("2567-01-01", "date_out_of_range"),
        ("0113-05-05", "date_out_of_range"),
        ("2025-01-01", "future_date"),
        ("2025-01-01 00:00:00", "future_date"),
    ],
)
def test_other_times_leave_with_their_reason(tmp_path: Path, text: str, reason: str) -> None:
    """What is no time, stands for none, or lies outside of the observed years is quarantined by name."""
    assert _time(tmp_path, text) == reason


def test_today_is_the_last_day_when_none_is_declared(tmp_path: Path) -> None:
    """Without an observed end a row of the day after tomorrow is future, one of yesterday is not."""
    now = dt.datetime.now(dt.UTC).date()
    days = [now + dt.timedelta(days=2), now - dt.timedelta(days=1)]
    text = "customer,time\n" + "".join(f"a,{day}\n" for day in days)
    with loaded_text(tmp_path, text, cycle={"merge_within_days": 1}) as shop:
        assert shop.reasons() == {"future_date": 1}


@pytest.mark.parametrize(
    ("text", "date_format", "time"),
    [
        ("03/04/2024", "%d/%m/%Y", "2024-04-03 00:00:00"),
        ("03/04/2024", "%m/%d/%Y", "2024-03-04 00:00:00"),
        ("20240102", "%Y%m%d", "2024-01-02 00:00:00"),
        ("2024年1月2日", "%Y年%m月%d日", "2024-01-02 00:00:00"),
        ("31.01.24 17:05", "%d.%m.%y %H:%M", "2024-01-31 17:05:00"),
        ("2024-01-02 10:00 +0800", "%Y-%m-%d %H:%M %z", "2024-01-02 02:00:00"),
    ],
)
def test_declared_format_is_the_only_one(tmp_path: Path, text: str, date_format: str, time: str) -> None:
    """With a format, times are read by it and by nothing else: the ISO day of the other row is none."""
    with loaded_text(
        tmp_path, f"customer,time\na,2024-05-05\nb,{text}\n", date_format=date_format, data={"timezone": "UTC"}
    ) as shop:
        assert [str(found) for found in shop.values("time")] == [time]
        assert shop.reasons() == {"unreadable_date": 1}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-02 03:00:00", "2024-01-01 22:00:00"),
        ("2024-07-02 03:00:00", "2024-07-01 23:00:00"),
        ("2024-01-02", "2024-01-02 00:00:00"),
        ("2024-01-02T03:00:00Z", "2024-01-01 22:00:00"),
        ("2024-01-02 03:00:00+08:00", "2024-01-01 14:00:00"),
        ("2024-01-02 03:00:00 +0800", "2024-01-01 14:00:00"),
    ],
)
def test_times_become_those_of_the_shop(tmp_path: Path, text: str, time: str) -> None:
    """Naive times are of the source's zone, offsets count, summer time too; a day alone is never shifted."""
    assert _time(tmp_path, text, data=ZONES) == time


def test_observed_end_counts_in_the_zone_of_the_shop(tmp_path: Path) -> None:
    """A time of 1 January in UTC that is 31 December in the shop is within the year."""
    assert _time(tmp_path, "2025-01-01 02:00:00", data=ZONES) == "2024-12-31 21:00:00"


def test_offsets_need_a_declared_zone(tmp_path: Path) -> None:
    """A time with an offset is refused, with its line, where nobody said in which zone the shop is."""
    with pytest.raises(DataError, match=r"t\.csv:3: a time with an offset .* Write data\.timezone"):
        _time(tmp_path, "2024-01-02T03:00:00Z")


def test_skipped_hour_keeps_its_day(tmp_path: Path) -> None:
    """A time in the hour that summer time skips stays on its calendar day."""
    zones = {"timezone": "Europe/Paris", "source_timezone": "America/New_York"}
    assert _time(tmp_path, "2024-03-10 02:30:00", data=zones).startswith("2024-03-10")


def _number(folder: Path, text: str, role: str = "amount", decimal: str = ".") -> Decimal | str | None:
    """The number that a text becomes, or the reason why it becomes none."""
    columns = {"customer": "customer", "time": "time", role: "n"}
    content = f'customer,time,n\na,2024-05-05,1\nb,2024-05-05,"{text}"\n'
    with loaded_text(folder, content, columns=columns, decimal=decimal) as shop:
        [reason] = shop.reasons() or [""]
        return reason or shop.engine.scalar("SELECT n FROM transactions WHERE customer = 'b'")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10.5", "10.5"), ("-3", "-3"), ("+4", "4"), (" 7 ", "7"), (".5", "0.5"), ("5.", "5"), ("1e2", "100"),
        ("-0.0", "0"), ("1e-320", "0"), ("1.23456", "1.2346"), ("99999999999999.9999", "99999999999999.9999"),
    ],
)  # fmt: skip
def test_numbers_are_exact_to_four_digits(tmp_path: Path, text: str, number: str) -> None:
    """Plain and scientific numbers become decimals, rounded at the fourth digit."""
    assert _number(tmp_path, text) == Decimal(number)


def test_missing_numbers_are_allowed(tmp_path: Path) -> None:
    """A line without an amount stays, without one."""
    assert _number(tmp_path, "") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "non_finite_amount"),
        ("-Infinity", "non_finite_amount"),
        ("inf", "non_finite_amount"),
        ("1e400", "amount_out_of_range"),
        ("100000000000000", "amount_out_of_range"),
        ("10,50", "unreadable_amount"),
        ("1,234.50", "unreadable_amount"),
        ("1 234", "unreadable_amount"),
        ("1_000", "unreadable_amount"),
        ("0x10", "unreadable_amount"),
        ("€5", "unreadable_amount"),
        ("(10.00)", "unreadable_amount"),
        ("１２", "unreadable_amount"),
        ("NULL", "unreadable_amount"),
    ],
)
def test_other_numbers_leave_with_their_reason(tmp_path: Path, text: str, reason: str) -> None:
    """What is no number, no finite one or too large is quarantined by name, for amounts and quantities alike."""
    assert _number(tmp_path, text) == reason
    assert _number(tmp_path, text, role="quantity") == reason.replace("amount", "quantity")


@pytest.mark.parametrize(
    ("text", "number"), [("10,50", Decimal("10.5")), ("10.50", "unreadable_amount"), ("3", Decimal(3))]
)
def test_decimal_comma_is_declared(tmp_path: Path, text: str, number: Decimal | str) -> None:
    """With a decimal comma a comma is the decimal sign, and a point is none."""
    assert _number(tmp_path, text, decimal=",") == number


IDS = [
    "00123",
    "123",
    "1e5",
    "T",
    "NA",
    "NULL",
    "nan",
    "12345678901234567890",
    " a ",
    "é",
    "１",
    "=1+1",
    "'; DROP TABLE t",
    "1_0",
]


def test_ids_are_exact_text(tmp_path: Path) -> None:
    """Leading zeros, exponents, logical values, words for missing, long numbers and spaces stay what they are."""
    text = "customer,time\n" + "".join(f"{name},2024-01-01\n" for name in IDS)
    with loaded_text(tmp_path, text) as shop:
        assert shop.values("customer") == sorted(IDS, key=str.encode)


def test_missing_customer_comes_before_other_reasons(tmp_path: Path) -> None:
    """A row has one reason: the customer's, then the time's, then the numbers'."""
    columns = {"customer": "customer", "time": "time", "amount": "n", "quantity": "q"}
    text = (
        "customer,time,n,q\n,x,x,x\na,x,x,x\nb,2024-01-01,x,x\nc,2024-01-01,x,1\nd,2024-01-01,1,1\n  ,2024-01-01,1,1\n"
    )
    with loaded_text(tmp_path, text, columns=columns) as shop:
        assert [line.split(",")[2] for line in shop.quarantined()] == [
            "missing_customer", "unreadable_date", "unreadable_quantity", "unreadable_amount", "missing_customer",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12345678901234567::BIGINT", "12345678901234567"),
        ("12::DOUBLE", "12"),
        ("1.5::FLOAT", "1.5"),
        ("'007'", "007"),
        ("99999999999999999999999999999999999999::DECIMAL(38,0)", "99999999999999999999999999999999999999"),
        ("true", "true"),
        ("'00000000-0000-0000-0000-000000000001'::UUID", "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_parquet_ids_become_exact_text(tmp_path: Path, value: str, text: str) -> None:
    """Whole numbers lose neither digits nor gain a point, whatever the type they are kept in."""
    write_parquet(tmp_path / "t.parquet", f"SELECT {value} AS customer, DATE '2024-01-01' AS time")
    with loaded(shop_config(tmp_path, path="t.parquet")) as shop:
        assert shop.values("customer") == [text]


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("DATE '2024-01-02'", "2024-01-02 00:00:00"),
        ("TIMESTAMP '2024-01-02 03:00:00'", "2024-01-01 22:00:00"),
        ("TIMESTAMP_NS '2024-01-02 03:00:00.123456'", "2024-01-01 22:00:00.123456"),
        ("TIMESTAMPTZ '2024-01-02 03:00:00+08:00'", "2024-01-01 14:00:00"),
        ("'2024-01-02T03:00:00Z'", "2024-01-01 22:00:00"),
    ],
)
def test_parquet_times_become_those_of_the_shop(tmp_path: Path, value: str, time: str) -> None:
    """Days stay, naive times are of the source's zone, times with a zone are turned into the shop's."""
    write_parquet(tmp_path / "t.parquet", f"SELECT 'a' AS customer, {value} AS time")
    with loaded(shop_config(tmp_path, path="t.parquet", data=ZONES)) as shop:
        assert [str(found) for found in shop.values("time")] == [time]


def test_parquet_numbers_are_checked(tmp_path: Path) -> None:
    """Floats that are not finite or too large leave, the others are decimals."""
    write_parquet(
        tmp_path / "t.parquet",
        "SELECT 'a' AS customer, DATE '2024-01-01' AS time, unnest([1.5, 'nan', 'inf', 1e300, NULL]::DOUBLE[]) AS n",
    )
    columns = {"customer": "customer", "time": "time", "amount": "n"}
    with loaded(shop_config(tmp_path, path="t.parquet", columns=columns)) as shop:
        assert shop.values("n") == [Decimal("1.5"), None]
        assert shop.reasons() == {"amount_out_of_range": 1, "non_finite_amount": 2}


@pytest.mark.parametrize(
    ("role", "value", "message"),
    [
        ("customer", "[1, 2]", r"columns\.customer: column 'x' holds INTEGER\[\]; a role needs"),
        ("customer", "{'a': 1}", r"columns\.customer: column 'x' holds STRUCT"),
        ("time", "20240101::BIGINT", r"columns\.time: column 'x' holds BIGINT and no times"),
        ("amount", "DATE '2024-01-01'", r"columns\.amount: column 'x' holds DATE and no numbers"),
    ],
)
def test_types_that_cannot_have_a_role_are_refused(tmp_path: Path, role: str, value: str, message: str) -> None:
    """Lists and structures are no ids, whole numbers no times, days no amounts."""
    write_parquet(tmp_path / "t.parquet", f"SELECT 'a' AS customer, DATE '2024-01-01' AS time, {value} AS x")
    columns = {"customer": "customer", "time": "time", role: "x"}
    with pytest.raises(DataError, match=message), loaded(shop_config(tmp_path, path="t.parquet", columns=columns)):
        pass


def test_parquet_days_as_whole_numbers_are_read_by_format(tmp_path: Path) -> None:
    """20240131 as a number is a day where the format says so."""
    write_parquet(tmp_path / "t.parquet", "SELECT 'a' AS customer, 20240131 AS time")
    with loaded(shop_config(tmp_path, path="t.parquet", date_format="%Y%m%d")) as shop:
        assert [str(time) for time in shop.values("time")] == ["2024-01-31 00:00:00"]


def test_one_column_has_one_type(tmp_path: Path) -> None:
    """A column cannot be a time and an id at once."""
    columns = {"customer": "customer", "time": "time", "order": "time"}
    with (
        pytest.raises(DataError, match=r"columns\.order: column 'time' has another role of another type"),
        loaded_text(tmp_path, "customer,time\na,2024-01-01\n", columns=columns),
    ):
        pass
