"""Enumerated candidates: every attribute of the shop, with each customer's group as the split itself would give it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shop_files import loaded
from shops import CONFIG, Line, day, engine_with, read_config

from segmentor.config import DeclaredSplit, load_config
from segmentor.cycles import Columns, build_cycles, common_table_expressions
from segmentor.engine.duckdb import Engine
from segmentor.errors import ConfigError
from segmentor.result import SAME_GROUPS, LeftOut
from segmentor.splits import Attribute, compiled, enumerate_attributes, replay_queries
from segmentor.splits.candidates import Writer, group_names
from segmentor.synthetic import FragranceWorld, simulate_fragrance, write_fragrance
from segmentor.wording import Message

SHOP = (
    CONFIG
    + "  products: {path: products.csv, columns: {product: product_id, category: Kind}}\n"
    + "  customers: {path: customers.csv, columns: {customer: id}}\n"
    + "trial: {min_group: 4}\n"
)
KINDS = ['it\'s "odd"', "香水", "香水 ", "mixed", "A | B", "a / b", "Soap", "soap", None, "rest\nof it", ""]


def shop(seed: int, customers: int = 120) -> tuple[list[Line], dict[str, Any]]:
    """Random baskets of products with hostile values and gaps, and customers with gaps too."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for customer in range(customers):
        name = f"c{customer:03d}"
        liked = generator.integers(0, 24 if customer % 4 else 3, 3)
        for order in range(int(generator.integers(1, 5))):
            at = day(int(generator.integers(0, 60)) + 60 * order, int(generator.integers(24)))
            several = 1 if generator.random() < 0.6 else 3
            for product in generator.choice(liked, several):
                amount = None if generator.random() < 0.1 else float(generator.integers(1, 9))
                lines.append((name, f"{name}-{order}", at, f"p{product}", 1, amount))
    products = [
        (f"p{n}", KINDS[n % len(KINDS)], ["red", "blue", "blue", "green"][n % 4], f"{n % 5}.5", f"sku{n}")
        for n in range(24)
    ]
    people = [
        (
            f"c{n:03d}",
            ["north", "south", None, "it's"][n % 4],
            str(20 + n % 40) if n % 7 else None,
            f"2023-01-{1 + n % 28:02d}",
            f"{n}@x",
            "yes" if n % 3 else "no",
        )
        for n in range(customers)
    ]
    return lines, {
        "products": (("product_id", "Kind", "colour", "ounces", "sku"), products),
        "customers": (("id", "region", "age", "joined", "mail", "member"), people),
    }


def enumerated(
    engine: Engine, folder: Path, enumerated: str, text: str = SHOP
) -> tuple[tuple[Attribute, ...], tuple[LeftOut, ...], Any, Columns]:
    """What is found, with the config and the columns."""
    config = read_config(folder, f"{text}splits: {{enumerated: {enumerated}}}\n")
    columns, _ = build_cycles(engine, config, progress=lambda _: None)
    return *enumerate_attributes(engine, config, columns), config, columns


def labels_of(engine: Engine, select: str) -> dict[str, Any]:
    """Group of each customer by a split's own SQL."""
    return dict(engine.rows(f"select customer, segment_group from ({select})"))


def expected(attribute: Attribute, at: int, customers: list[str]) -> dict[str, Any]:
    """Group of each customer by the attribute's codes: of the whole, or of a value against the rest."""
    split = (attribute.whole, *attribute.by_value)[at]
    assert split is not None
    if attribute.numbers is not None:
        known = ~np.isnan(attribute.numbers)
        return {customers[number]: attribute.numbers[number] for number in np.flatnonzero(known)}
    assert attribute.codes is not None
    codes = attribute.codes if at == 0 else np.where(attribute.codes < 0, -1, attribute.codes != at - 1)
    return {customers[number]: split.groups[codes[number]] for number in np.flatnonzero(codes >= 0)}


WHEN = ["first_purchase", "{first_purchases: 2}", "{until: 2024-05-01}", "entry"]


@pytest.mark.parametrize("known", WHEN)
def test_the_codes_of_every_candidate_are_the_labels_of_its_own_sql(tmp_path: Path, known: str) -> None:
    """Whatever a column holds (gaps, quotes, names of our own groups, values that differ in case), codes and SQL agree on everybody."""
    lines, tables = shop(1)
    with engine_with(lines, tables) as engine:
        found, _, _, _ = enumerated(engine, tmp_path, f"{{known: {known}, pairs: true, max_groups: 8}}")
        customers = [name for (name,) in engine.rows("select customer from everyone order by customer_no")]
        seen = 0
        for attribute in found:
            for at, split in enumerate((attribute.whole, *attribute.by_value)):
                if split is not None:
                    labels = {
                        name: group for name, group in labels_of(engine, split.labels).items() if group is not None
                    }
                    assert labels == expected(attribute, at, customers), split.definition
                    seen += 1
    assert seen >= (8 if known == "entry" else 20)
    assert "Kind" in {attribute.name for attribute in found} or known == "entry"
    names = [split.name for attribute in found for split in attribute.splits]
    assert len(set(names)) == len(names)
    assert all(len(set(split.groups)) == len(split.groups) for attribute in found for split in attribute.splits)


def test_a_found_split_is_read_again_and_replays_in_sqlite(tmp_path: Path) -> None:
    """The words of every candidate with its cut, written as JSON and read again, give each customer the same group from the raw tables."""
    lines, tables = shop(2)
    with engine_with(lines, tables) as engine:
        found, _, config, columns = enumerated(engine, tmp_path, "{known: first_purchase, pairs: true}")
        splits = [split for attribute in found for split in attribute.splits if not split.to_cut]
        expected_labels = {split.name: labels_of(engine, split.labels) for split in splits}
    connection = sqlite3.connect(":memory:")
    names = ("customer_id", "order_id", "ordered_at", "product_id", "quantity", "amount")
    connection.execute(f"create table transactions ({', '.join(names)})")
    rows = [(*line[:2], line[2].isoformat(sep=" "), *line[3:]) for line in lines]
    connection.executemany("insert into transactions values (?, ?, ?, ?, ?, ?)", rows)
    for name, (heads, several) in tables.items():
        connection.execute(f"create table {name} ({', '.join(heads)})")
        connection.executemany(f"insert into {name} values ({', '.join('?' * len(heads))})", several)
    for split in splits[::4]:
        assert split.declared is not None
        again = DeclaredSplit.found(json.loads(json.dumps(split.declared.model_dump(mode="json", exclude_none=True))))
        same = compiled(config, columns, again, key="again")
        same = same if split.threshold is None else same.cut_at(split.threshold)
        assert same == split
        queries = [*replay_queries(config, columns, (same,)), ("_labelled", same.labels)]
        sql = f"{common_table_expressions(queries)}\nselect customer, segment_group from _labelled"
        assert dict(connection.execute(sql).fetchall()) == expected_labels[split.name], split.definition
    connection.close()


def test_what_is_found_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    """Names, definitions, codes and reasons are the same for shuffled tables."""
    lines, tables = shop(3)
    generator = np.random.default_rng(0)
    results = []
    for shuffled in (False, True):
        some = [lines[n] for n in generator.permutation(len(lines))] if shuffled else lines
        others = {
            name: (heads, [rows[n] for n in generator.permutation(len(rows))] if shuffled else rows)
            for name, (heads, rows) in tables.items()
        }
        with engine_with(some, others) as engine:
            found, left_out, _, _ = enumerated(engine, tmp_path, "{known: first_purchase, pairs: true}")
        results.append(
            (
                [
                    (one.name, [(split.name, split.definition) for split in one.splits], dict(one.aliases))
                    for one in found
                ],
                [(one.numbers if one.codes is None else one.codes).tobytes() for one in found],  # type: ignore[union-attr]
                left_out,
            )
        )
    assert results[0] == results[1]


def test_keys_dates_and_columns_of_one_value_make_no_candidate(tmp_path: Path) -> None:
    """What names a customer, a day or nothing is left out with the reason, and the columns of roles are not looked at."""
    lines, tables = shop(4)
    tables["products"] = (
        (*tables["products"][0], "shop", "id_like", "week"),
        [(*row, "one", str(number), None) for number, row in enumerate(tables["products"][1])],
    )
    derived = SHOP.replace(
        "quantity: quantity, amount: amount}",
        "quantity: quantity, amount: amount}\n    derive: {weeks: \"cast(extract('year' from ordered_at) * 366 + extract('month' from ordered_at) * 31 + extract('day' from ordered_at) as integer)\"}",
    )
    with engine_with(lines, tables) as engine:
        found, left_out, _, _ = enumerated(engine, tmp_path, "{known: first_purchase}", derived)
    reasons = {one.name: str(one.reason) for one in left_out}
    assert reasons["mail"] == "is a key: 120 values for 120 customers"
    assert reasons["joined"] == "is a date or time"
    assert reasons["shop"] == "has one value"
    assert reasons["week"] == "has no values"
    assert reasons["weeks"].startswith("follows the calendar")
    assert not {"customer_id", "order_id", "ordered_at", "product_id", "id"} & {one.name for one in found}


def test_rare_values_are_one_group_and_none_is_a_group_of_its_own(tmp_path: Path) -> None:
    """Of five values three may stand: the rest are ``other``, gaps are ``missing``, and each large one is tried against all others."""
    sizes = {"a": 40, "b": 30, "c": 20, "d": 9, "e": 8, None: 12}
    values = [value for value, size in sizes.items() for _ in range(size)]
    lines: list[Line] = [(f"c{n:03d}", f"o{n}", day(n % 50), "p", 1, 1) for n in range(len(values))]
    people = [(f"c{n:03d}", value) for n, value in enumerate(values)]
    text = CONFIG + "  customers: {path: customers.csv, columns: {customer: id}}\ntrial: {min_group: 8}\n"
    with engine_with(lines, {"customers": (("id", "letter"), people)}) as engine:
        found, _, _, _ = enumerated(engine, tmp_path, "{known: entry, max_groups: 4}", text)
    (letter,) = found
    assert letter.whole is not None
    assert letter.whole.groups == ("a", "b", "c", "missing", "other")
    assert np.bincount(letter.codes).tolist() == [40, 30, 20, 12, 17]  # type: ignore[arg-type]
    assert [split and split.groups[0] for split in letter.by_value] == ["a", "b", "c", "missing", None]


def test_a_value_called_as_one_of_our_groups_keeps_apart(tmp_path: Path) -> None:
    """Customers who bought the value ``mixed`` are not those with several values, nor ``missing`` those with none."""
    lines: list[Line] = []
    for n in range(60):
        several = ([0], [1], [0, 1], [2])[n % 4]
        lines += [(f"c{n:03d}", f"o{n}", day(n % 30), f"p{product}", 1, 1) for product in several]
    products = [("p0", "mixed"), ("p1", "missing"), ("p2", None)]
    text = CONFIG + "  products: {path: p.csv, columns: {product: product_id}}\ntrial: {min_group: 8}\n"
    with engine_with(lines, {"products": (("product_id", "kind"), products)}) as engine:
        found, _, _, _ = enumerated(engine, tmp_path, "{known: first_purchase, columns: [kind]}", text)
    (kind,) = found
    assert kind.whole is not None
    assert np.bincount(kind.codes).tolist() == [15, 15, 15, 15]  # type: ignore[arg-type]
    assert len({group.lower() for group in kind.whole.groups}) == 4


def test_groups_get_names_that_results_can_hold() -> None:
    """No two names are the same, none is one of ours, and none holds what separates names in results."""
    values = ["a | b", "a/ b", "a / b", "all", "All", "Mixed", "not known", "x\ny", " ", "missing"]
    names = group_names(values, ["mixed", "missing"])
    assert len({name.lower() for name in names}) == len(values)
    assert not {"all", "mixed", "missing", "not known"} & {name.lower() for name in names}
    assert not [name for name in names if "|" in name or " / " in name or "\n" in name or not name.strip()]


def test_the_same_partition_under_another_name_is_tried_once(tmp_path: Path) -> None:
    """A column that says the same in other words, and amounts of one purchase, are aliases of the one with the simplest words."""
    lines, tables = shop(5)
    heads, rows = tables["customers"]
    tables["customers"] = (
        (*heads, "region_in_full"),
        [(*row, None if row[1] is None else f"the {row[1]} of the land") for row in rows],
    )
    with engine_with(lines, tables) as engine:
        found, left_out, _, _ = enumerated(engine, tmp_path, "{known: first_purchase}")
    attributes = {one.name: one for one in found}
    assert attributes["region"].aliases["region"] == ("region_in_full",)
    assert LeftOut("region_in_full", "column", Message(SAME_GROUPS, {"split": "region"})) in left_out
    partitions = [
        (split.time_zero, one.codes.tobytes())
        for one in found
        for split in [one.whole]
        if split and one.codes is not None
    ]
    assert len(set(partitions)) == len(partitions)


@pytest.mark.parametrize("known", ["first_purchase", "{first_purchases: 2}"])
def test_what_single_lines_say_is_asked_once(tmp_path: Path, known: str) -> None:
    """Of purchases of one line each, who bought a value is who bought nothing else, and a share is none or all: one split each."""
    products = [(f"p{n}", ["red", "blue", None][n % 3], "0" if n < 4 else "1.50") for n in range(6)]
    generator = np.random.default_rng(10)
    lines: list[Line] = []
    for n in range(240):
        product = f"p{generator.integers(6)}"
        lines += [(f"c{n:03d}", f"{n}-{order}", day(n % 40 + 30 * order), product, 1, 1) for order in range(2)]
    text = CONFIG + "  products: {path: p.csv, columns: {product: product_id}}\ntrial: {min_group: 10}\n"
    with engine_with(lines, {"products": (("product_id", "brand", "discount"), products)}) as engine:
        found, left_out, _, _ = enumerated(engine, tmp_path, f"{{known: {known}}}", text)
    names = {split.name for one in found for split in one.splits}
    aliases = {name: set(others) for one in found for name, others in one.aliases.items()}
    assert aliases["brand: red"] == {"with brand: red"}
    assert aliases["brand: blue"] == {"with brand: blue"}
    assert {"discount_share", "discount"} <= aliases["with discount"]
    assert not {"with brand: red", "with brand: blue", "discount_share", "discount"} & names
    assert LeftOut("discount_share", "column", Message(SAME_GROUPS, {"split": "with discount"})) in left_out
    assert {one.kind for one in left_out if one.name.startswith("with ")} == {"itemset"}


def test_a_number_of_two_values_is_its_two_groups(tmp_path: Path) -> None:
    """Baskets of one or two products are two groups with nothing to search for; a number of more values is still to be cut."""
    lines: list[Line] = []
    for n in range(120):
        lines += [(f"c{n:03d}", f"o{n}", day(n % 50), f"p{product}", 1, n % 7) for product in range(1 + n % 3 // 2)]
    with engine_with(lines) as engine:
        found, _, _, _ = enumerated(engine, tmp_path, "{known: first_purchase}", CONFIG + "trial: {min_group: 8}\n")
        attributes = {one.name: one for one in found}
        size, amount = attributes["basket_size"], attributes["order_amount"]
        assert size.whole is not None
        labels = labels_of(engine, size.whole.labels)
    assert (size.numbers, size.whole.to_cut, size.whole.groups) == (None, False, ("<= 1", "> 1"))
    assert labels == {f"c{n:03d}": "> 1" if n % 3 == 2 else "<= 1" for n in range(120)}
    assert np.bincount(size.codes).tolist() == [80, 40]  # type: ignore[arg-type]
    assert size.aliases["basket_size"] == ("basket_products",)
    assert amount.codes is None
    assert amount.whole is not None
    assert amount.whole.to_cut


def test_long_names_keep_what_tells_them_apart(tmp_path: Path) -> None:
    """Names that begin alike for longer than a name may be end each in its own way."""
    writer = Writer(read_config(tmp_path, CONFIG), Columns((), (), (), {}))
    names = [writer.named(f"with {150 * 'a'} and {150 * 'b'} and {end}") for end in ("soap", "cream", "cream")]
    assert [name.rpartition(" and ")[2] for name in names] == ["soap", "cream", "cream (2)"]
    assert all(len(name) <= 200 for name in names)


def test_an_itemset_is_what_was_bought_first(tmp_path: Path) -> None:
    """Who bought candles and soap in the first basket, in whatever lines, is in the first group, and nobody else."""
    generator = np.random.default_rng(6)
    lines: list[Line] = []
    wanted = {}
    for n in range(200):
        kinds = [kind for kind, share in (("p0", 0.5), ("p1", 0.4), ("p2", 0.9)) if generator.random() < share] or [
            "p2"
        ]
        wanted[f"c{n:03d}"] = {"p0", "p1"} <= set(kinds)
        lines += [(f"c{n:03d}", f"o{n}", day(n % 50), kind, 1, 1) for kind in kinds]
        lines += [(f"c{n:03d}", f"later{n}", day(90), kind, 1, 1) for kind in ("p0", "p1")]
    products = (("product_id", "category"), [("p0", "candles"), ("p1", "soap"), ("p2", "cream")])
    text = CONFIG + "  products: {path: p.csv, columns: {product: product_id}}\ntrial: {min_group: 10}\n"
    with engine_with(lines, {"products": products}) as engine:
        found, _, _, _ = enumerated(engine, tmp_path, "{known: first_purchase}", text)
        (both,) = [one for one in found if one.name == "with category: candles and category: soap"]
        customers = [name for (name,) in engine.rows("select customer from everyone order by customer_no")]
    assert both.whole is not None
    assert both.whole.definition[0][1] == '"category: candles" > 0 and "category: soap" > 0'
    assert {name: code == 0 for name, code in zip(customers, both.codes, strict=True)} == wanted  # type: ignore[arg-type]


def test_only_listed_columns_and_features_are_gone_through(tmp_path: Path) -> None:
    """A list names columns, roles and features; timing is marked, so that it can be tested for an echo."""
    lines, tables = shop(7)
    with engine_with(lines, tables) as engine:
        found, _, _, _ = enumerated(
            engine, tmp_path, "{known: {until: 2024-05-01}, columns: [colour, category, frequency, Kind_entropy, age]}"
        )
    assert {one.name: one.timing for one in found} == {
        "colour": False,
        "Kind": False,
        "frequency": True,
        "Kind_entropy": False,
        "age": False,
    }


def test_thresholds_can_be_left_out(tmp_path: Path) -> None:
    """Without thresholds no number is cut."""
    lines, tables = shop(8)
    with engine_with(lines, tables) as engine:
        found, _, _, _ = enumerated(engine, tmp_path, "{known: first_purchase, thresholds: false}")
    assert found
    assert all(one.numbers is None for one in found)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "{known: first_purchase, columns: [color]}",
            "'color' is no column to go through and no feature; did you mean colour",
        ),
        ("{known: first_purchase, columns: [recency]}", "'recency' is no column"),
        ("{known: first_purchase, columns: [customer_id]}", "'customer_id' is no column to go through"),
        ("{known: lifetime}", "never validated"),
    ],
)
def test_what_cannot_be_gone_through_is_an_error_of_the_config(tmp_path: Path, asked: str, message: str) -> None:
    """A wrong name, a feature of another time, a key and a label over the lifetime are refused with what to write."""
    lines, tables = shop(9, customers=20)
    with engine_with(lines, tables) as engine, pytest.raises(ConfigError, match=message):
        enumerated(engine, tmp_path, asked)


def test_the_fragrance_world_is_gone_through_by_its_own_names(tmp_path: Path) -> None:
    """Size of the first purchase and channel come out under their names, with the groups that the world has, and no key does."""
    path = write_fragrance(simulate_fragrance(FragranceWorld(), customers=1500, seed=1), tmp_path, truth=False)
    text = path.read_text(encoding="utf-8")
    start, end = text.index("\nsplits:"), text.index("\ncross_sell:")
    path.write_text(f"{text[:start]}\nsplits: {{enumerated: {{known: first_purchase}}}}{text[end:]}", encoding="utf-8")
    config = load_config(path)
    with loaded(config) as data:
        columns, _ = build_cycles(data.engine, config, progress=lambda _: None)
        found, _ = enumerate_attributes(data.engine, config, columns)
    groups = {one.name: set(one.whole.groups) for one in found if one.whole is not None and one.codes is not None}
    assert groups["size"] == {"full", "sample", "travel"}
    assert groups["channel"] == {"search", "social", "store"}
    assert {one.name: one.whole.known for one in found if one.whole}["channel"] == "entry"
    plain = {one.name for one in found if not one.name.startswith("with ")}
    assert plain <= {
        *("size", "channel", "region", "gender", "category", "brand", "price_tier", "discount", "order_amount"),
        *("basket_size", "basket_products", "discount_share", "weekend_share"),
    }
