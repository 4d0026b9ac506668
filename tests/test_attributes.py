"""Attributes: which column of a shop says what, by role and by heading, and the values that customers have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from shops import TRANSACTIONS, day, engine_of_tables, read_config

from segmentor.attributes import MAX_VALUES, OTHER, customer_attribute, discount_condition, line_column
from segmentor.config import ExperimentConfig
from segmentor.cycles import Columns, build_cycles
from segmentor.engine.duckdb import Engine


@contextmanager
def opened(
    folder: Path,
    lines: Mapping[str, Sequence[object]],
    *,
    customers: Mapping[str, Sequence[object]] | None = None,
    products: Mapping[str, Sequence[object]] | None = None,
    roles: str = "",
) -> Iterator[tuple[Engine, ExperimentConfig, Columns]]:
    """A shop whose customer c<n> buys product p<n> on day n, with these further columns; tables by column."""
    size = len(next(iter(lines.values()))) if lines else len(next(iter((customers or {}).values())))
    transactions = {
        "customer_id": [f"c{n}" for n in range(size)],
        "order_id": [f"o{n}" for n in range(size)],
        "ordered_at": [str(day(n)) for n in range(size)],
        "product_id": [f"p{n}" for n in range(size)],
        "quantity": ["1"] * size,
        "amount": ["10"] * size,
        **lines,
    }
    tables: dict[str, Mapping[str, Sequence[object]]] = {"transactions": transactions}
    text = (
        "experiment: shop\ndata:\n  transactions:\n    path: t.csv\n    columns: {customer: customer_id, order: order_id,"
        f" time: ordered_at, product: product_id, quantity: quantity, amount: amount{roles}}}\n"
    )
    if customers is not None:
        tables["customers"] = {"id": [f"c{n}" for n in range(size)], **customers}
        text += "  customers: {path: c.csv, columns: {customer: id}}\n"
    if products is not None:
        tables["products"] = {"product_id": [f"p{n}" for n in range(size)], **products}
        text += "  products: {path: p.csv, columns: {product: product_id}}\n"
    config = read_config(folder, text)
    arrays = {
        name: {
            column: np.array([None if v is None else str(v) for v in values], dtype=object)
            for column, values in table.items()
        }
        for name, table in tables.items()
    }
    with engine_of_tables(arrays, {"transactions": TRANSACTIONS}) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        yield engine, config, columns


def values_of(engine: Engine, table: str) -> list[str]:
    """Values in the order of the customers' numbers."""
    return [value for (value,) in engine.rows(f"select value from {table} order by customer_no")]


@pytest.mark.parametrize(
    "heading", ["region", "State", "SHIPPING_STATE", "customerCountry", "Billing City", "省份", "客户所在城市", "国家"]
)
def test_a_region_is_found_by_its_heading(tmp_path: Path, heading: str) -> None:
    """English and Chinese headings of the customers' table say where a customer lives, whatever their case."""
    with opened(tmp_path, {}, customers={heading: ["north", "south", " north "]}) as (engine, config, columns):
        found = customer_attribute(engine, config, columns, "region")
        assert found is not None
        assert found.column == heading
        assert values_of(engine, found.table) == ["north", "south", "north"]


@pytest.mark.parametrize("heading", ["order_state", "regional manager", "velocity", "estate"])
def test_a_heading_that_only_looks_like_one_is_none(tmp_path: Path, heading: str) -> None:
    """The state of an order, or a word that holds a heading, is no region."""
    with opened(tmp_path, {}, customers={heading: ["a", "b", "a"]}) as (engine, config, columns):
        assert customer_attribute(engine, config, columns, "region") is None


def test_a_column_of_one_value_gives_way_to_the_next(tmp_path: Path) -> None:
    """A region that is the same for everybody tells nothing; the city does."""
    customers: Mapping[str, Sequence[object]] = {"region": ["x", "x", "x"], "city": ["a", "b", None]}
    with opened(tmp_path, {}, customers=customers) as (engine, config, columns):
        found = customer_attribute(engine, config, columns, "region")
        assert found is not None
        assert found.column == "city"
        assert values_of(engine, found.table) == ["a", "b"]


def test_a_column_of_transactions_counts_only_where_it_is_fixed_for_a_customer(tmp_path: Path) -> None:
    """A channel that moves with the order is no attribute of the customer; one that does not is."""
    lines = {"customer_id": ["a", "a", "b"], "region": ["n", "n", "s"], "channel": ["web", "store", "web"]}
    with opened(tmp_path, lines) as (engine, config, columns):
        region = customer_attribute(engine, config, columns, "region")
        assert region is not None
        assert values_of(engine, region.table) == ["n", "s"]
        assert customer_attribute(engine, config, columns, "channel") is None
        assert line_column(config, columns, "channel") == "channel"


def test_the_largest_values_stand_and_the_rest_are_other(tmp_path: Path) -> None:
    """Of thirteen values or more the eleven largest stand, ties by name, whatever the order of the rows."""
    of_customers = [f"v{n:02d}" for n in range(15) for _ in range(2 if n > 5 else 1)]
    seen = []
    for turn in (1, -1):
        with opened(tmp_path, {}, customers={"region": of_customers[::turn]}) as (engine, config, columns):
            found = customer_attribute(engine, config, columns, "region")
            assert found is not None
            seen.append(sorted(values_of(engine, found.table)))
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == MAX_VALUES
    assert set(seen[0]) == {OTHER, *(f"v{n:02d}" for n in range(6, 15)), "v00", "v01"}


def test_derived_and_hostile_columns_are_read(tmp_path: Path) -> None:
    """A derived region is computed; quotes in a name or a value break nothing."""
    hostile = 'o\'neill "x"; drop table everyone --'
    text = (
        "experiment: shop\ndata:\n  transactions: {path: t.csv, columns: {customer: customer_id, time: ordered_at}}\n"
        '  customers: {path: c.csv, columns: {customer: id}, derive: {region: "upper(\\"a\\"\\"b\\")"}}\n'
    )
    config = read_config(tmp_path, text)
    arrays = {
        "transactions": {
            "customer_id": np.array(["c0", "c1"], dtype=object),
            "ordered_at": np.array([str(day(0)), str(day(1))], dtype=object),
        },
        "customers": {"id": np.array(["c0", "c1"], dtype=object), 'a"b': np.array([hostile, "y"], dtype=object)},
    }
    with engine_of_tables(arrays, {"transactions": TRANSACTIONS}) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        found = customer_attribute(engine, config, columns, "region")
        assert found is not None
        assert values_of(engine, found.table) == [hostile.upper(), "Y"]


@pytest.mark.parametrize(
    ("heading", "values", "expected"),
    [
        ("discount", ["0.00", "1.5", None, "0", "-2"], [False, True, False, False, True]),
        ("coupon_code", ["", "SUMMER", "none", "N/A", "无"], [False, True, False, False, False]),
        ("Promotion", ["true", "false", "Yes", "no", "F"], [True, False, True, False, False]),
        ("折扣", ["0%", "10%", "0,00", "0,50", "nan"], [False, True, False, True, False]),
        ("list_price", ["10", "12", "10.01", "oops", None], [False, True, False, False, False]),
    ],
)
def test_a_discounted_line_is_told(tmp_path: Path, heading: str, values: list[str], expected: list[bool]) -> None:
    """Numbers other than zero, words other than no, and a list price above the price paid are discounts."""
    with opened(tmp_path, {heading: values}) as (engine, config, columns):
        condition = discount_condition(config, columns)
        assert condition is not None
        assert [row[0] for row in engine.rows(f"select {condition} from _purchases order by _customer")] == expected


def test_a_list_price_is_for_one_piece(tmp_path: Path) -> None:
    """Three pieces at the list price are no discount, and two for the price of one and a half are."""
    lines = {"quantity": [3, 2], "amount": [30, 15], "list_price": [10, 10]}
    with opened(tmp_path, lines) as (engine, config, columns):
        condition = discount_condition(config, columns)
        assert condition is not None
        assert [row[0] for row in engine.rows(f"select {condition} from _purchases order by _customer")] == [
            False,
            True,
        ]


def test_roles_come_before_headings(tmp_path: Path) -> None:
    """A column that the config gives a role is taken, whatever another one is called."""
    lines = {"off": ["1", "0"], "discount": ["0", "0"], "via": ["a", "b"], "channel": ["c", "c"]}
    with opened(tmp_path, lines, roles=", discount: off, channel: via") as (engine, config, columns):
        condition = discount_condition(config, columns)
        assert condition is not None
        assert '"off"' in condition
        assert line_column(config, columns, "channel") == "via"
        found = customer_attribute(engine, config, columns, "channel")
        assert found is not None
        assert found.column == "via"


def test_a_shop_without_such_columns_has_none(tmp_path: Path) -> None:
    """Where no column fits nothing is made up."""
    with opened(tmp_path, {"colour": ["red", "blue"]}, products={"weight": ["1", "2"]}) as (engine, config, columns):
        assert customer_attribute(engine, config, columns, "region") is None
        assert customer_attribute(engine, config, columns, "channel") is None
        assert discount_condition(config, columns) is None
        assert line_column(config, columns, "category") is None


def test_a_category_of_products_is_found(tmp_path: Path) -> None:
    """The category may be a column of the products' table."""
    with opened(tmp_path, {"colour": ["r", "b"]}, products={"类目": ["x", "y"]}) as (_, config, columns):
        assert line_column(config, columns, "category") == "类目"
