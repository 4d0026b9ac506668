"""Notices: what looks odd in tables that can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shop_files import loaded, loaded_text, shop_config

COLUMNS = {"customer": "customer", "time": "time", "order": "order"}


def _warnings(folder: Path, text: str, **settings: Any) -> str:
    with loaded_text(folder, text, **settings) as shop:
        return "\n".join(map(str, shop.intake.warnings))


def test_clean_shop_has_none(tmp_path: Path) -> None:
    """Ids that only look odd, and lines that differ, are not remarked on."""
    assert _warnings(tmp_path, "customer,time\n1e5,2024-01-01\n1e5,2024-01-02\n007,2024-01-01\n") == ""


@pytest.mark.parametrize("name", ["1.23457E+15", "4E+07", "1.5e+20"])
def test_rounded_ids_are_remarked_on(tmp_path: Path, name: str) -> None:
    """An id in the form that a spreadsheet gives long numbers is said to be rounded."""
    text = _warnings(tmp_path, f"customer,time\n{name},2024-01-01\nb,2024-01-01\n")
    assert str(text).startswith(
        "1 row of transactions has a customer id such as 1.23457E+15: a spreadsheet has rounded it"
    )


def test_spaces_around_ids_are_remarked_on(tmp_path: Path) -> None:
    """Ids that begin or end with a space are counted."""
    text = _warnings(tmp_path, "customer,time\n a,2024-01-01\na ,2024-01-01\nb,2024-01-01\n")
    assert str(text).startswith("2 rows of transactions have a customer id that begins or ends with a space")


def test_identical_lines_are_counted_and_kept(tmp_path: Path) -> None:
    """Lines that are the same in all columns stay, and are counted beyond the first."""
    with loaded_text(tmp_path, "customer,time\n" + "a,2024-01-01\n" * 3 + "b,2024-01-01\n") as shop:
        assert shop.account() == (4, 4, 0, 0)
        [text] = shop.intake.warnings
        assert str(text).startswith("Lines of transactions that are the same as another one in all columns: 2.")


def test_orders_of_several_customers_are_counted(tmp_path: Path) -> None:
    """An order id that two customers have is remarked on; lines without an order are not."""
    text = "customer,time,order\na,2024-01-01,1\nb,2024-01-01,1\nc,2024-01-01,\nd,2024-01-01,\ne,2024-01-01,2\n"
    assert _warnings(tmp_path, text, columns=COLUMNS).startswith("1 order id is shared by several customers")


def test_day_with_a_large_share_of_lines_is_named(tmp_path: Path) -> None:
    """A day with more than a fifth of a hundred lines or more is asked about."""
    days = [f"{n},2024-01-{n % 28 + 1:02d}\n" for n in range(75)]
    for same, expected in ((25, True), (18, False)):
        text = "customer,time\n" + "".join(days) + "".join(f"x{n},2024-06-01\n" for n in range(same))
        found = "25% of the lines of transactions are dated 2024-06-01" in _warnings(tmp_path, text)
        assert found == expected


@pytest.mark.parametrize(("hour", "remarks"), [("00:00:00", 1), ("03:00:00", 0)])
def test_days_that_are_shifted_as_times_are_remarked_on(tmp_path: Path, hour: str, remarks: int) -> None:
    """When every time is midnight in another zone than the shop's, the shift to another day is pointed out."""
    text = f"customer,time\na,2024-01-01 00:00:00\nb,2024-01-02 {hour}\n"
    zones = {"timezone": "America/New_York", "source_timezone": "UTC"}
    assert _warnings(tmp_path, text, data=zones).count("All times of transactions are midnight in UTC") == remarks


def test_rows_without_a_partner_are_counted(tmp_path: Path) -> None:
    """Lines of unknown products and customers, and customers without a line, are counted."""
    (tmp_path / "t.csv").write_text("customer,time,product\na,2024-01-01,p\nb,2024-01-02,q\nb,2024-01-03,q\n")
    (tmp_path / "p.csv").write_text("product\np\nz\n")
    (tmp_path / "c.csv").write_text("who\na\nx\ny\n")
    data = {
        "products": {"path": "p.csv", "columns": {"product": "product"}},
        "customers": {"path": "c.csv", "columns": {"customer": "who"}},
    }
    columns = {"customer": "customer", "time": "time", "product": "product"}
    with loaded(shop_config(tmp_path, data=data, columns=columns)) as shop:
        assert tuple(map(str, shop.intake.warnings)) == (
            "2 rows of transactions have a product that is not in products; its columns are missing there.",
            "2 rows of transactions have a customer that is not in customers; its columns are missing there.",
            "2 rows of customers have no transaction; they are in no group.",
        )
