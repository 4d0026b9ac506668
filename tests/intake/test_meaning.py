"""Fields that one line of an order fills in for the others, values wrapped for a spreadsheet, and amounts that are computed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from shop_files import GOOD, loaded, loaded_text, shop_config

from segmentor.cycles import build_cycles, common_table_expressions, line_queries, table_columns
from segmentor.errors import ConfigError, DataError
from segmentor.intake.unwrapping import unwrapped, unwrapped_sql

ROLES = {"customer": "email", "time": "day", "order": "order", "product": "item"}
ORDERS = """order,email,day,status,item,note
1,a,2024-01-01,paid,p,
1,,,,q,x
2,,,,p,
2,b,2024-01-02,void,r,
3,c,2024-01-03,,p,
3,d,2024-01-03,,q,
,e,2024-01-04,paid,p,
,,,,q,
4,f,2024-01-05,paid,s,y
"""
FILL = ["email", "day", "status"]


@pytest.mark.parametrize("order", [1, -1])
def test_fields_take_the_only_value_of_their_order(tmp_path: Path, order: int) -> None:
    """Lines of an order take what one of them says, whichever stands first; two values, no order and columns not named stay."""
    header, *lines = ORDERS.splitlines()
    text = "\n".join([header, *lines[::order]]) + "\n"
    with loaded_text(tmp_path, text, columns=ROLES, fill_from_order=FILL) as shop:
        rows = shop.engine.rows(
            'select "order", email, cast(cast(day as date) as text), status, item, note from transactions order by all'
        )
        assert rows == [
            ("1", "a", "2024-01-01", "paid", "p", None),
            ("1", "a", "2024-01-01", "paid", "q", "x"),
            ("2", "b", "2024-01-02", "void", "p", None),
            ("2", "b", "2024-01-02", "void", "r", None),
            ("3", "c", "2024-01-03", None, "p", None),
            ("3", "d", "2024-01-03", None, "q", None),
            ("4", "f", "2024-01-05", "paid", "s", "y"),
            (None, "e", "2024-01-04", "paid", "p", None),
        ]
        assert shop.account() == (9, 8, 0, 1)
        assert shop.quarantined() == [f't.csv,{9 if order == 1 else 3},missing_customer,",,,,q,"']


def test_conditions_see_what_was_filled_in(tmp_path: Path) -> None:
    """A status on the first line of an order leaves out all its lines."""
    condition = "coalesce(status, '') <> 'void' and email is not null"
    with loaded_text(tmp_path, ORDERS, columns=ROLES, fill_from_order=FILL, where=condition) as shop:
        assert shop.values("email") == ["a", "a", "c", "d", "e", "f"]
        assert shop.account() == (9, 6, 3, 0)


def test_fingerprint_and_quarantine_hold_what_stands_in_the_file(tmp_path: Path) -> None:
    """Filling in and unwrapping change neither the fingerprint nor the rejected rows."""
    text = ORDERS + '5,"=""g""",never,paid,p,\n'
    with loaded_text(tmp_path, text, columns=ROLES) as shop:
        as_it_stands = shop.intake.inputs["transactions"].fingerprint
    with loaded_text(tmp_path, text, columns=ROLES, fill_from_order=FILL, unwrap=True) as shop:
        assert shop.intake.inputs["transactions"].fingerprint == as_it_stands
        assert '"5,""=""""g"""""",never,paid,p,"' in shop.quarantined()[-1]


def test_statement_over_the_shops_own_tables_fills_in_too(tmp_path: Path) -> None:
    """DuckDB and SQLite make the same lines of the raw rows as intake does."""
    (tmp_path / "t.csv").write_text(ORDERS)
    config = shop_config(tmp_path, columns=ROLES, fill_from_order=FILL)
    fields = "_customer, _order, _day, _product, status, note"
    with loaded(config) as shop:
        columns, _ = build_cycles(shop.engine, config, progress=lambda _: None)
        expected = shop.engine.rows(f"select {fields} from _lines order by all")
    sql = f"{common_table_expressions(list(line_queries(config, columns, raw=True)))}\nselect {fields} from _lines order by 1, 2, 3, 4"
    header, *rows = (line.split(",") for line in ORDERS.splitlines())
    lines = [[order or None, *others] for order, *others in rows]
    for connection in (duckdb.connect(":memory:"), sqlite3.connect(":memory:")):
        with closing(connection):
            names = ", ".join(f'"{name}" varchar' for name in header)
            connection.execute(f"create table transactions ({names})")
            connection.executemany(f"insert into transactions values ({', '.join('?' * len(header))})", lines)
            found = connection.execute(sql).fetchall()
            assert [tuple(value or None for value in row) for row in found] == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('="00123"', "00123"),
        ("'00123", "00123"),
        ("'+49 170", "+49 170"),
        ("2024-01-01 \t", "2024-01-01"),
        ('="00123\t"', "00123"),
        ("'t Hooft", "'t Hooft"),
        ('="a"b"', 'a"b'),
        ("=1+1", "=1+1"),
        ('=""', ""),
        (" \t", ""),
        ("plain text", "plain text"),
    ],
)
def test_wrapped_values_are_taken_out(written: str, meant: str) -> None:
    """Marks for a spreadsheet and blanks go, and nothing else; Python and SQL agree."""
    assert unwrapped(written) == meant
    assert duckdb.execute(f"select {unwrapped_sql('$1')}", [written]).fetchall() == [(meant,)]


def test_wrapped_files_are_read(tmp_path: Path) -> None:
    """Headings, ids and days with marks are those without; an empty one is missing."""
    lines = "".join(f'"=""{n:03}""",2024-01-{n:02d}\t\n' for n in range(1, 21))
    with loaded_text(tmp_path, f'"=""customer""",time\t\n{lines}"=""""",2024-01-01\n', unwrap=True) as shop:
        assert shop.values("customer") == [f"{n:03}" for n in range(1, 21)]
        assert shop.reasons() == {"missing_customer": 1}


def test_amount_may_be_computed(tmp_path: Path) -> None:
    """A derived column can be the amount: price times pieces counts as money and tells returns."""
    lines = "customer,time,order,price,n\na,2024-01-01,1,2.50,2\nb,2024-01-02,2,4,1\nb,2024-01-03,3,4,-1\n"
    roles = {"customer": "customer", "time": "time", "order": "order", "quantity": "n", "amount": "paid"}
    derive = {"paid": "try_cast(price as double) * try_cast(n as double)"}
    (tmp_path / "t.csv").write_text(lines)
    config = shop_config(tmp_path, columns=roles, derive=derive)
    with loaded(config) as shop:
        assert "paid" in table_columns(shop.engine, config).transactions
        _, cycle = build_cycles(shop.engine, config, progress=lambda _: None)
        assert shop.engine.rows("select _customer, paid, _return from _lines order by all") == [
            ("a", 5.0, False),
            ("b", -4.0, True),
            ("b", 4.0, False),
        ]
    assert (cycle.occasions, cycle.returns) == (2, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fill_from_order": ["time"]}, "needs to know which lines are one order"),
        (
            {"fill_from_order": ["customer", "time"], "columns": {"customer": "x", "time": "y", "order": "time"}},
            "own column",
        ),
        ({"fill_from_order": []}, "is an empty list"),
    ],
)
def test_filling_in_needs_an_order(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    """Without the order's column, or with that column itself, the config is refused."""
    with pytest.raises(ConfigError, match=message):
        shop_config(tmp_path, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"fill_from_order": ["tiem"], "columns": {"customer": "customer", "time": "time", "order": "customer"}},
            r"transactions\.fill_from_order: t\.csv has no column 'tiem'; did you mean 'time'\?",
        ),
        (
            {"columns": {"customer": "id", "time": "time"}, "derive": {"id": "lower(customer)"}},
            r"columns\.customer: t\.csv has no column 'id'",
        ),
    ],
)
def test_columns_that_are_not_in_the_file_are_told(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    """A column to fill in must be there, and ids and times cannot be computed."""
    with pytest.raises(DataError, match=message), loaded_text(tmp_path, GOOD, **settings):
        pass
