"""A first config for data of which nothing is known: roles by heading and content, reasons, refusals."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_exports import GOODS, csv_text, made_up_orders
from shop_files import write_parquet

from segmentor.cli import main
from segmentor.config import ExperimentConfig, load_config
from segmentor.engine.duckdb import Engine, open_engine
from segmentor.errors import DataError, InputError
from segmentor.starting import start
from segmentor.starting.columns import profile
from segmentor.starting.headings import KINDS
from segmentor.starting.lines import decide
from segmentor.starting.reading import found_files, look

Row = dict[str, str]
ROLES = ("customer", "order", "time", "product", "quantity", "amount")
KIND = {role: role for role in ROLES} | {"amount": "line amount"}


def plain_rows(customers: int = 60) -> list[Row]:
    """Lines of a shop with a column for each role, named for it."""
    return [
        {
            "customer": f"K{order.customer:05}",
            "order": f"{order.number}",
            "time": f"{order.at:%Y-%m-%d %H:%M:%S}",
            "product": GOODS[good][0],
            "quantity": str(pieces),
            "amount": f"{float(GOODS[good][3]) * pieces:.2f}",
        }
        for order in made_up_orders(customers=customers)
        for good, pieces in order.lines
    ]


LINES = plain_rows()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One engine for all that reads text."""
    with tempfile.TemporaryDirectory() as scratch, open_engine(scratch=Path(scratch), inputs=[], threads=1) as opened:
        yield opened


def _roles(engine: Engine, text: str, **asked: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_text(text, encoding="utf-8")
        looked = look(engine, str(path), found_files(str(path), option="--transactions"), table="looked", encoding=None)
        return decide(engine, looked, profile(engine, looked), asked=asked, partners={}).roles


def _text(rows: Sequence[Row], headings: Mapping[str, str], order: Sequence[str]) -> str:
    renamed = [{headings[name]: value for name, value in row.items()} for row in rows]
    return csv_text([headings[name] for name in order], renamed)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_roles_depend_on_neither_order_nor_spelling(engine: Engine, data: st.DataObject) -> None:
    """Any order of columns and rows, and any known word for a heading, in any of the languages, give the same roles."""
    headings = {role: data.draw(st.sampled_from(KINDS[KIND[role]])) for role in ROLES}
    rows = data.draw(st.randoms(use_true_random=False)).sample(LINES, len(LINES))
    found = _roles(engine, _text(rows, headings, data.draw(st.permutations(ROLES))))
    assert {role: found.get(role) for role in ROLES} == headings


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(ROLES), seed=st.integers(0, 99))
def test_content_alone_tells_the_roles_of_a_plain_table(engine: Engine, order: list[str], seed: int) -> None:
    """Where the headings say nothing, who, when, what, how many and how much follow from the values."""
    headings = {role: f"f{place}" for place, role in enumerate(order)}
    rows = random.Random(seed).sample(LINES, len(LINES))
    assert _roles(engine, _text(rows, headings, order)) == headings


def test_content_overrules_headings(engine: Engine) -> None:
    """A date without dates, a customer who never comes back, an order at many times and an amount with signs are refused."""
    rows = [
        row
        | {
            "date": f"week {place % 50}",
            "customer_id": f"{place}",
            "order_id": row["product"],
            "sku": "one",
            "qty": f"{70_000 + place}",
            "line_total": f"€ {row['amount']}",
        }
        for place, row in enumerate(LINES)
    ]
    names = {"customer": "a", "order": "b", "time": "c", "product": "d", "quantity": "e", "amount": "f"}
    renamed = [{names.get(name, name): value for name, value in row.items()} for row in rows]
    assert _roles(engine, csv_text(list(renamed[0]), renamed)) == {
        "customer": "a",
        "order": "b",
        "time": "c",
        "product": "d",
    }


def test_creation_comes_before_later_times(engine: Engine) -> None:
    """Of several times the one that every order has is taken, and none of what happened later."""
    rows = [
        row
        | {
            "paid at": row["time"] if place % 9 else "",
            "shipped at": row["time"].replace(" ", " "),
            "birthday": "1980-01-31" if place % 2 else "1990-02-01",
        }
        for place, row in enumerate(LINES)
    ]
    renamed = [{("created at" if name == "time" else name): value for name, value in row.items()} for row in rows]
    assert _roles(engine, csv_text(list(renamed[0]), renamed))["time"] == "created at"


def test_guests_are_no_customer(engine: Engine) -> None:
    """An id that is 0 for guests gives way to an e-mail that they left."""
    rows = [
        row
        | {
            "customer": "0" if int(row["order"]) % 5 == 0 else row["customer"],
            "email": f"{row['customer']}@mail.example",
        }
        for row in LINES
    ]
    assert _roles(engine, csv_text(list(rows[0]), rows))["customer"] == "email"
    both = [row | {"email": "" if int(row["order"]) % 2 else row["email"]} for row in rows]
    assert _roles(engine, csv_text(list(both[0]), both))["customer"] == "customer"


def _started(folder: Path, text: str | bytes, *columns: str, name: str = "t.csv", **others: str) -> ExperimentConfig:
    """The config for a file, which loads; its comments are in ``shop/shop.yaml`` below the folder."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    files = {"transactions": str(folder / name), **{table: str(folder / other) for table, other in others.items()}}
    return load_config(start(folder / "shop", files, columns=columns, progress=lambda _: None).config)


def _written(folder: Path) -> str:
    return (folder / "shop" / "shop.yaml").read_text(encoding="utf-8")


def _dated(form: str, **options: Any) -> str:
    rows = [row | {"time": datetime.fromisoformat(row["time"]).strftime(form)} for row in LINES]
    return csv_text(ROLES, rows, **options)


@pytest.mark.parametrize(
    ("form", "expected", "reason"),
    [
        ("%Y-%m-%d", None, ""),
        ("%Y/%m/%d %H:%M", None, ""),
        ("%Y-%m-%dT%H:%M:%SZ", None, ""),
        ("%d/%m/%Y", "%d/%m/%Y", "the day stands first"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M", "the month stands first"),
        ("%d.%m.%y %H:%M:%S", "%d.%m.%y %H:%M:%S", "the day stands first"),
        ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M %p", "the month stands first"),
        ("%b %d, %Y", "%b %d, %Y", "dates are written as"),
        ("%Y年%m月%d日", "%Y年%m月%d日", "dates are written as"),
        ("%Y%m%d", "%Y%m%d", "dates are written as"),
        ("01/%m/%Y", "%d/%m/%Y", "AMBIGUOUS"),
    ],
)
def test_formats_of_days_are_found(tmp_path: Path, form: str, expected: str | None, reason: str) -> None:
    """The data decide whether the day or the month stands first; where they cannot, the comment says so."""
    config = _started(tmp_path, _dated(form))
    assert config.data.transactions.date_format == expected
    assert reason in _written(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "words", "guessed"),
    [
        ("utf-8-sig", ("Grüner Tee", "Schwarzer Tee"), "utf-8"),
        ("utf-16", ("Grüner Tee", "Schwarzer Tee"), "utf-16"),
        ("gb18030", ("绿茶一百克装", "红茶一百克装"), "gb18030"),
        ("big5", ("綠茶一百克裝", "紅茶一百克裝"), "big5"),
        ("euc-kr", ("녹차 백 그램", "홍차 백 그램"), "euc-kr"),
        ("shift_jis", ("みどりのおちゃ", "こうちゃのはこ"), "shift_jis"),
        ("cp1252", ("Grüner Tee für dich", "Schöner heißer Tee"), "cp1252"),
    ],
)
def test_encodings_are_borne_out(tmp_path: Path, encoding: str, words: tuple[str, str], guessed: str) -> None:
    """An encoding is taken for which the bytes speak, and the comment says how clearly."""
    rows = [row | {"product": words[place % 2]} for place, row in enumerate(LINES)]
    config = _started(tmp_path, csv_text(ROLES, rows).encode(encoding))
    assert config.data.transactions.encoding == guessed
    assert ("it is not UTF-8, and read so" in _written(tmp_path)) == (guessed not in ("utf-8", "utf-16"))


def test_bytes_of_no_encoding_are_refused_unless_it_is_named(tmp_path: Path) -> None:
    """Nothing is decoded wrongly without a word: the error names the byte and the option."""
    text = csv_text(
        ROLES, [row | {"product": f"\u0416\u0438\u0432\u043e{place % 3}"} for place, row in enumerate(LINES)]
    )
    (tmp_path / "t.csv").write_bytes(text.encode("koi8-r"))
    files = {"transactions": str(tmp_path / "t.csv")}
    with pytest.raises(DataError, match=r"t\.csv:2: byte 0x\w\w is not UTF-8.*--encoding"):
        start(tmp_path / "shop", files, progress=lambda _: None)
    assert not (tmp_path / "shop").exists()
    started = start(tmp_path / "shop", files, encoding="koi8-r", progress=lambda _: None)
    assert load_config(started.config).data.transactions.encoding == "koi8-r"


def test_parquet_is_looked_at(tmp_path: Path) -> None:
    """Types of Parquet files are taken as they are, and times in UTC ask for the shop's zone."""
    select = (
        "SELECT 'c' || (range % 150) AS user_id, range AS order_id, TIMESTAMPTZ '2023-01-01 10:00:00+00' + INTERVAL (range) HOUR AS created_at, "
        "['tea', 'pot'][1 + (range % 150) % 2] AS category, (range % 7)::DECIMAL(9,2) + 0.5 AS amount FROM range(3000)"
    )
    write_parquet(tmp_path / "t.parquet", select)
    files = {"transactions": str(tmp_path / "t.parquet")}
    config = load_config(start(tmp_path / "shop", files, progress=lambda _: None).config)
    assert dict(config.data.transactions.columns) == {
        "customer": "user_id",
        "order": "order_id",
        "time": "created_at",
        "amount": "amount",
    }
    assert config.data.timezone == "UTC"
    assert "write the zone of the shop" in _written(tmp_path)


PRODUCTS = "code;Warengruppe;Marke\n" + "".join(
    f"{sku};{'Kanne' if 'POT' in sku else 'Tee'};{vendor}\n" for sku, _, vendor, _ in GOODS
)


def test_tables_of_products_and_customers_join(tmp_path: Path) -> None:
    """Keys are found by their values; what is fixed at entry is declared with a warning, what moves is left to a comment."""
    rows = plain_rows(customers=250)
    people = "no,Region,Loyalty tier,total_spent\n" + "".join(
        f"K{number:05},{('north', 'south')[number % 2]},{('gold', 'silver')[number // 125]},{number}\n"
        for number in range(250)
    )
    (tmp_path / "p.csv").write_text(PRODUCTS)
    (tmp_path / "c.csv").write_text(people)
    config = _started(tmp_path, csv_text(ROLES, rows), products="p.csv", customers="c.csv")
    assert config.data.products is not None
    assert config.data.customers is not None
    assert dict(config.data.products.columns) == {"product": "code", "category": "Warengruppe", "brand": "Marke"}
    assert config.data.products.delimiter == ";"
    assert dict(config.data.customers.columns) == {"customer": "no"}
    declared = {split.by: str(split.known) for split in config.splits.declared}
    assert declared == {"Marke": "first_purchase", "Region": "entry"}
    written = _written(tmp_path)
    assert "it must be what it was before the first purchase" in written
    assert re.search(r"Not used: Loyalty tier", written)
    assert config.splits.enumerated is not None
    assert not {"Loyalty tier", "total_spent"} & set(config.splits.enumerated.columns)
    assert config.cross_sell is not None
    assert config.cross_sell.level == ("Warengruppe",)
    assert config.data.products.path == ("../p.csv",)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("code,kind\nx,1\ny,2\n", "none of its columns that could be a key has values of product"),
        ("code,kind\n" + "".join(f"{sku},{n}\n" for sku, *_ in GOODS for n in range(2)), "could be a key"),
    ],
)
def test_a_table_that_does_not_join_is_left_out(tmp_path: Path, table: str, reason: str) -> None:
    """A table without a usable key is named in a comment with the reason, and the config runs without it."""
    (tmp_path / "p.csv").write_text(table)
    assert _started(tmp_path, csv_text(ROLES, LINES), products="p.csv").data.products is None
    assert reason in _written(tmp_path).replace("\n  # ", " ")


def test_a_first_config_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a config lies already nothing is read and nothing written; the exit code is 2."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.yaml").write_text("mine")
    assert main(["init", str(tmp_path / "shop"), "--transactions", str(tmp_path / "none.csv")]) == 2
    assert "is there already and is not overwritten" in capsys.readouterr().err
    assert _written(tmp_path) == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n" + "".join(f"{n},{n % 9}\n" for n in range(200)),
            r"no column tells of a purchase when it was \(time\)",
        ),
        (
            "who,date\n" + "".join(f"w{n},2024-01-{1 + n % 28:02}\n" for n in range(200)),
            r"no column tells of a line who bought \(customer\):\n  date: holds times\n  who: no value of it stands on two days.*\n.*--column customer=NAME",
        ),
        ("Report of May\n\n" + csv_text(ROLES, LINES), r"the first line is no header"),
        ("only\n1\n2\n", r"the first line is no header"),
        ("customer,customer,date\na,b,2024-01-01\n", r"has the columns 'customer' and 'customer'"),
    ],
)
def test_files_that_cannot_be_used_are_told(tmp_path: Path, text: str, message: str) -> None:
    """An error names the columns, why each was refused, and how to name the right one; nothing is written."""
    with pytest.raises(DataError, match=message):
        _started(tmp_path, text)
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("customer", r"write ROLE=NAME"),
        ("custmer=customer", r"'custmer' is not a role; did you mean customer\?"),
        ("customer=custmer", r"has no column 'custmer'; did you mean 'customer'\?"),
        ("time=product", r"--column time=product: .*: the column holds no dates"),
    ],
)
def test_wrong_columns_are_told(tmp_path: Path, column: str, message: str) -> None:
    """A role or a column that is not there is refused with the nearest one."""
    with pytest.raises(InputError, match=message):
        _started(tmp_path, csv_text(ROLES, LINES), column)


def test_columns_may_be_said(tmp_path: Path) -> None:
    """What the user says of a column holds, whatever its heading."""
    rows = [row | {"other": f"x{row['customer']}"} for row in LINES]
    config = _started(tmp_path, csv_text([*ROLES, "other"], rows), "customer=other")
    assert config.data.transactions.columns["customer"] == "other"


def test_hostile_headings_and_values_stay_comments(tmp_path: Path) -> None:
    """Headings and statuses with quotes, brackets, colons and line ends cannot become keys or conditions of the config."""
    hostile = 'x": {#\n'.strip() + "'"
    rows = [
        row | {"status": "ok" if place % 3 else "cancelled", hostile: ("a: b", "# c")[int(row["customer"][-1]) % 2]}
        for place, row in enumerate(plain_rows(customers=240))
    ]
    config = _started(tmp_path, csv_text([*ROLES, "status", hostile], rows))
    assert config.data.transactions.where == "coalesce(\"status\", '') not in ('cancelled')"
    assert set(config.data.transactions.columns) == set(ROLES)
    assert config.splits.enumerated is not None
    assert hostile in config.splits.enumerated.columns


def test_a_total_repeated_on_lines_is_no_amount(tmp_path: Path) -> None:
    """An order's total that stands on all its lines is refused, and named; without a price the amount stays out."""
    totals: dict[str, float] = {}
    for row in LINES:
        totals[row["order"]] = totals.get(row["order"], 0.0) + float(row["amount"])
    rows = [
        {**{k: v for k, v in row.items() if k != "amount"}, "Total": f"{totals[row['order']]:.2f}"} for row in LINES
    ]
    config = _started(tmp_path, csv_text(list(rows[0]), rows))
    assert "amount" not in config.data.transactions.columns
    assert "Total is that of the order, repeated on its lines" in _written(tmp_path).replace("\n      # ", " ")


def test_a_discount_is_a_lines_own_or_no_role(engine: Engine) -> None:
    """What was taken off a whole order, on one of its lines or on all, is no line's discount; what differs within orders is."""
    own = [row | {"discount": ("0", "1.50")[place % 2]} for place, row in enumerate(LINES)]
    assert _roles(engine, csv_text(list(own[0]), own))["discount"] == "discount"
    repeated = [row | {"discount": "5.00" if int(row["order"]) % 3 else "0"} for row in LINES]
    assert "discount" not in _roles(engine, csv_text(list(repeated[0]), repeated))
