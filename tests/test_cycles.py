"""Cycles: the engine's occasions and gaps against a slow and obvious second computation."""

from __future__ import annotations

import collections
import datetime
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shops import CONFIG, Line, day, engine_with, read_config

from segmentor.config import ExperimentConfig
from segmentor.cycles import WEIGHT_UNIT, TimeZero, build_cycles, build_population, day_number
from segmentor.engine.duckdb import Engine
from segmentor.errors import ConfigError, DataError

LAST_DAY = datetime.date(2024, 4, 9)


def built(engine: Engine, config: ExperimentConfig) -> dict[str, list[int]]:
    """Start days of each customer's occasions, counted from 2024-01-01."""
    build_cycles(engine, config, progress=lambda _: None)
    found: dict[str, list[int]] = collections.defaultdict(list)
    for customer, start in engine.rows("select _customer, _start from _occasions order by _customer, _number"):
        found[customer].append(start - day_number(datetime.date(2024, 1, 1)))
    return dict(found)


def obvious_occasions(lines: list[Line], merge: int) -> dict[str, list[int]]:
    """Start days by the definitions, line by line: net the returns, take the days, merge from each first day on."""
    orders = collections.defaultdict(list)
    for customer, order, at, product, quantity, amount in lines:
        units = 1.0 if quantity is None else quantity
        if amount is not None and amount < 0:
            units = -abs(units)
        orders[customer, order, product].append(((at - day(0, 0)).days, units, amount))
    days = collections.defaultdict(set)
    for (customer, _, _), parts in orders.items():
        returned = any(units < 0 for _, units, _ in parts)
        if returned and sum(units for _, units, _ in parts) <= 0:
            continue
        days[customer] |= {at for at, units, amount in parts if units > 0 or (units == 0 and (amount or 0) > 0)}
    occasions = {}
    for customer, several in days.items():
        starts: list[int] = []
        for at in sorted(several):
            if not starts or at >= starts[-1] + merge:
                starts.append(at)
        if starts:
            occasions[customer] = starts
    return occasions


lines_of_shops = st.lists(
    st.builds(
        lambda customer, order, at, product, quantity, amount: (
            customer,
            f"{customer}{order}",
            day(at),
            product,
            quantity,
            amount,
        ),
        st.sampled_from(["001", "01", "1e5", "Ünal", "NULL"]),
        st.integers(0, 6),
        st.integers(0, 60),
        st.sampled_from(["p1", "p2"]),
        st.sampled_from([1.0, 2.0, -1.0, -2.0, 0.0, None]),
        st.sampled_from([9.5, 0.0, -9.5, None]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=lines_of_shops, merge=st.sampled_from([1, 2, 7]))
def test_occasions_equal_their_definition(lines: list[Line], merge: int) -> None:
    """Netting, days and merging in SQL give the start days that the definitions give."""
    expected = obvious_occasions(lines, merge)
    with tempfile.TemporaryDirectory() as name:
        config = read_config(
            Path(name), CONFIG + f"cycle: {{observed_until: {LAST_DAY}, merge_within_days: {merge}}}\n"
        )
        with engine_with(lines) as engine:
            if expected:
                assert built(engine, config) == expected
            else:
                with pytest.raises(DataError, match="no line counts"):
                    built(engine, config)


def test_a_gap_is_censored_at_the_end_and_weighs_by_its_customer(tmp_path: Path) -> None:
    """Gaps run from occasion to occasion, the last to the end; one that begins on the last day is dropped."""
    lines: list[Line] = [("a", "1", day(0), "p", 1, 5), ("a", "2", day(10), "p", 1, 5), ("a", "3", day(30), "p", 1, 5)]
    lines += [("b", "4", day(99), "p", 1, 5), ("c", "5", day(40), "p", 1, 5)]
    config = read_config(tmp_path, CONFIG + f"cycle: {{observed_until: {LAST_DAY}}}\n")
    with engine_with(lines) as engine:
        build_cycles(engine, config, progress=lambda _: None)
        build_population(engine, config, TimeZero(1), observed_until=day_number(LAST_DAY))
        build_population(engine, config, TimeZero(2), observed_until=day_number(LAST_DAY))
        gaps = (
            "select e.customer, duration, event_observed from gaps_{} join everyone e using (customer_no) order by all"
        )
        assert engine.rows(gaps.format(1)) == [("a", 10, True), ("a", 20, True), ("a", 69, False), ("c", 59, False)]
        assert engine.rows(gaps.format(2)) == [("a", 20, True), ("a", 69, False)]
        members = (
            "select e.customer, cohort, cycles, weight from members_{} join everyone e using (customer_no) order by all"
        )
        january = 2024 * 12
        assert engine.rows(members.format(1)) == [
            ("a", january, 2, WEIGHT_UNIT // 2),
            ("c", january + 1, 0, WEIGHT_UNIT),
        ]
        assert engine.rows(members.format(2)) == [("a", january, 1, WEIGHT_UNIT)]


def test_a_purchase_filter_makes_category_cycles(tmp_path: Path) -> None:
    """Only lines of the category begin and end gaps; the products' roles and columns both name it."""
    lines: list[Line] = [
        ("a", "1", day(0), "p1", 1, 5),
        ("a", "2", day(10), "p2", 1, 5),
        ("a", "3", day(30), "p1", 1, 5),
    ]
    products = {"products": (("product_id", "kind"), [("p1", "catsup"), ("p2", "eggs")])}
    section = "  products: {path: products.csv, columns: {product: product_id, category: kind}}\n"
    for name in ("kind", "category"):
        config = read_config(tmp_path, CONFIG + section + f"cycle: {{purchase: \"{name} = 'catsup'\"}}\n")
        with engine_with(lines, products) as engine:
            assert built(engine, config) == {"a": [0, 30]}


def test_days_before_observed_from_do_not_count(tmp_path: Path) -> None:
    """A customer's first purchase is the first one that is observed."""
    lines: list[Line] = [("a", "1", day(0), "p", 1, 5), ("a", "2", day(10), "p", 1, 5)]
    config = read_config(tmp_path, CONFIG + "cycle: {observed_from: 2024-01-05}\n")
    with engine_with(lines) as engine:
        assert built(engine, config) == {"a": [10]}


def test_a_purchase_filter_over_an_unknown_column_names_its_key(tmp_path: Path) -> None:
    """The error says which key holds the condition, what is missing and what there is."""
    config = read_config(tmp_path, CONFIG + "cycle: {purchase: \"colour = 'red'\"}\n")
    with (
        engine_with([("a", "1", day(0), "p", 1, 5)]) as engine,
        pytest.raises(ConfigError, match=r"cycle\.purchase: there is no column 'colour'; there are customer_id, "),
    ):
        built(engine, config)


def test_a_name_that_two_tables_have_is_asked_back(tmp_path: Path) -> None:
    """A condition over a column of transactions and of products is refused, and a derived one under its own name is not."""
    lines: list[Line] = [("a", "1", day(0), "p1", 1, 5)]
    products = {"products": (("product_id", "amount"), [("p1", "3")])}
    for derived, filtered, message in (
        ("", "amount > 1", r"'amount' is a column of transactions and of products"),
        (', derive: {price: "cast(amount as double)"}', "price > 1", None),
    ):
        section = f"  products: {{path: products.csv, columns: {{product: product_id}}{derived}}}\n"
        config = read_config(tmp_path, CONFIG + section + f"cycle: {{purchase: {filtered}}}\n")
        with engine_with(lines, products) as engine:
            if message is None:
                assert built(engine, config) == {"a": [0]}
            else:
                with pytest.raises(ConfigError, match=message):
                    built(engine, config)


def test_a_column_named_like_ours_is_refused(tmp_path: Path) -> None:
    """A column whose name our queries need is named, with what to do."""
    products = {"products": (("product_id", "_day"), [("p1", "3")])}
    section = "  products: {path: products.csv, columns: {product: product_id}}\n"
    config = read_config(tmp_path, CONFIG + section)
    with (
        engine_with([("a", "1", day(0), "p1", 1, 5)], products) as engine,
        pytest.raises(DataError, match=r"data\.products: the column '_day' .*rename it"),
    ):
        built(engine, config)
