"""A fragrance shop as tables and files: from a world, a number of customers and a seed to what a shop exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segmentor.errors import InputError
from segmentor.example import placed_files, stage_config
from segmentor.synthetic.baskets import Baskets, draw_baskets
from segmentor.synthetic.contacts import SEND_HOUR, Contacts, draw_contacts
from segmentor.synthetic.histories import Histories, IntArray, People, draw_histories, draw_people
from segmentor.synthetic.truth import fragrance_truth
from segmentor.synthetic.world import FragranceWorld, PlantedRule

Table = dict[str, NDArray[np.generic]]
"""Columns by name, all of the same length."""

_NO_LABEL = ""
"""Gender and size of what is no fragrance; an empty field, which reads as NULL."""

_SIZE_PRICE = {"full": 1.0, "sample": 0.1, "travel": 0.4}


@dataclass(frozen=True, slots=True)
class FragranceShop:
    """What the shop knows, and what only its world knows.

    Attributes:
        world: The parameters.
        seed: The seed.
        transactions: One row a line, sorted by time: ``order_id``, ``customer_id``, ``ordered_at`` (local time,
            datetime64[s]), ``product_id``, ``quantity``, ``amount`` (paid), ``discount`` (money).
        products: ``product_id``, ``category``, ``brand``, ``gender``, ``size``, ``price_tier``; the two labels are
            empty where the product is no fragrance.
        customers: ``customer_id``, ``region``, ``channel``.
        contacts: One row a contact: ``customer_id``, ``campaign``, ``time`` (datetime64[s]), ``channel``, ``arm``
            (``treated`` or ``control``), ``cost``, ``opened``, ``clicked`` (``true``, ``false``, empty for control).
        people: The customers as they truly are, in the order of ``customers``.
        histories: Their occasions.
        expected: For each planted rule the occasions that would follow it by chance.
    """

    world: FragranceWorld
    seed: int
    transactions: Table
    products: Table
    customers: Table
    contacts: Table
    people: People
    histories: Histories
    expected: Mapping[PlantedRule, float]


def simulate_fragrance(world: FragranceWorld, *, customers: int, seed: int) -> FragranceShop:
    """Draws a shop; the same world, customers and seed give the same shop.

    Raises:
        InputError: No customers, or a negative seed.
    """
    if customers < 1:
        raise InputError(f"customers: {customers} is not a number of customers; write 1 or more")
    if seed < 0:
        raise InputError(f"seed: {seed} is negative; write 0 or more")
    rng, basket_rng, line_rng, contact_rng = np.random.default_rng(seed).spawn(4)
    people = draw_people(world, customers, rng=rng)
    histories = draw_histories(world, people, rng=rng)
    baskets = draw_baskets(world, people, histories=histories, rng=basket_rng)
    contacts = draw_contacts(world, people, histories=histories, rng=contact_rng)
    catalogue = _catalogue(world)
    names = _numbered("C", customers, width=6)
    return FragranceShop(
        world=world,
        seed=seed,
        transactions=_transactions(world, histories, baskets, catalogue=catalogue, names=names, rng=line_rng),
        products=catalogue.table,
        customers={
            "customer_id": names,
            "region": _numbered("region ", world.n_regions, width=1)[people.region],
            "channel": np.array([name for name, _ in world.channels])[people.channel],
        },
        contacts=_contacts(world, contacts, names=names),
        people=people,
        histories=histories,
        expected=baskets.expected,
    )


def write_fragrance(
    shop: FragranceShop, folder: Path, *, truth: bool = True, progress: Callable[[str], None] | None = None
) -> Path:
    """Writes the shop's tables as CSV, a ready config and what is true.

    Args:
        shop: The shop.
        folder: Where to; made if missing. All files lie in it: ``transactions.csv``, ``products.csv``,
            ``customers.csv``, ``contacts.csv``, ``truth.json``, ``fragrance.yaml``.
        truth: Whether to write ``truth.json``.
        progress: Told a sentence before each file.

    Returns:
        Path of the config.

    Raises:
        InputError: The folder cannot be written.
    """
    tell = progress or (lambda _: None)
    tables = {name: getattr(shop, name) for name in ("transactions", "products", "customers", "contacts")}
    with placed_files(folder) as stage:
        for name, table in tables.items():
            tell(f"writing {name}.csv")
            _write_csv(table, stage / f"{name}.csv")
        if truth:
            tell("computing truth.json")
            text = json.dumps(_truth_of(shop), indent=1, allow_nan=False)
            (stage / "truth.json").write_text(text + "\n", encoding="utf-8")
        stage_config("fragrance.yaml", stage, data_prefix="data/fragrance/")
    return folder / "fragrance.yaml"


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """Products, and where to find one.

    Attributes:
        table: The products' table.
        cents: Price of each product.
        fragrance: Row of a fragrance by brand, gender and size.
        other: Row of another product by category and brand.
    """

    table: Table
    cents: IntArray
    fragrance: IntArray
    other: IntArray


def _catalogue(world: FragranceWorld) -> _Catalogue:
    brands = _numbered("brand ", world.n_brands, width=2)
    tier = np.arange(world.n_brands) % world.n_tiers
    rows = [
        ("fragrance", brand, gender, size, world.fragrance_price * _SIZE_PRICE.get(size, 1.0))
        for brand in range(world.n_brands)
        for gender, _ in world.genders
        for size, _ in world.sizes
    ]
    fragrances = len(rows)
    rows += [
        (category.name, brand, _NO_LABEL, _NO_LABEL, category.price)
        for category in world.categories
        for brand in range(world.n_brands)
    ]
    category, brand, gender, size, price = (np.array(column) for column in zip(*rows, strict=True))
    table = {
        "product_id": _numbered("P", len(rows), width=5),
        "category": category,
        "brand": brands[brand],
        "gender": gender,
        "size": size,
        "price_tier": _numbered("tier ", world.n_tiers, width=1)[tier[brand]],
    }
    tier_price = 1 + 0.4 * (tier[brand] - (world.n_tiers - 1) / 2) / max((world.n_tiers - 1) / 2, 1)
    shape = (world.n_brands, len(world.genders), len(world.sizes))
    return _Catalogue(
        table,
        cents=np.rint(100 * price * tier_price).astype(np.int64),
        fragrance=np.arange(fragrances).reshape(shape),
        other=np.arange(fragrances, len(rows)).reshape(len(world.categories), world.n_brands),
    )


def _transactions(
    world: FragranceWorld,
    histories: Histories,
    baskets: Baskets,
    *,
    catalogue: _Catalogue,
    names: NDArray[np.str_],
    rng: np.random.Generator,
) -> Table:
    """One row a line: the fragrance first, then the other categories; orders numbered by time."""
    occasions = len(histories.day)
    # Orders come in from eight to ten, most of them in the afternoon.
    second = (8 * 3600 + 14 * 3600 * rng.beta(2, 2, occasions)).astype(np.int64)
    by_time = np.argsort(histories.day * 86_400 + second, kind="stable")
    order = np.empty(occasions, np.int64)
    order[by_time] = np.arange(occasions)

    other_occasion, category = np.nonzero(baskets.others)
    occasion = np.concatenate([np.arange(occasions), other_occasion])
    brand = _draw_brands(world, len(occasion), rng)
    fragrance = catalogue.fragrance[brand[:occasions], baskets.gender, baskets.size]
    item = np.concatenate([fragrance, catalogue.other[category, brand[occasions:]]])
    lines = np.argsort(order[occasion], kind="stable")
    occasion, item = occasion[lines], item[lines]

    quantity = 1 + (rng.random(len(item)) < world.buys_two)
    full_cents = catalogue.cents[item] * quantity
    has_discount = rng.random(len(item)) < world.discounted
    discount_cents = np.where(has_discount, np.rint(full_cents * world.discount_rate), 0).astype(np.int64)
    time = np.datetime64(world.start, "s") + (histories.day * 86_400 + second).astype("timedelta64[s]")
    return {
        "order_id": _numbered("O", occasions, width=7)[order[occasion]],
        "customer_id": names[histories.customer[occasion]],
        "ordered_at": time[occasion],
        "product_id": catalogue.table["product_id"][item],
        "quantity": quantity,
        "amount": (full_cents - discount_cents) / 100,
        "discount": discount_cents / 100,
    }


def _draw_brands(world: FragranceWorld, size: int, rng: np.random.Generator) -> IntArray:
    """Brands, the first ones more popular."""
    popularity = np.cumsum(1 / np.arange(3, world.n_brands + 3))
    return np.searchsorted(popularity[:-1] / popularity[-1], rng.random(size), side="right")


def _contacts(world: FragranceWorld, contacts: Contacts, *, names: NDArray[np.str_]) -> Table:
    time = np.datetime64(world.start, "s") + ((contacts.day * 24 + SEND_HOUR) * 3600).astype("timedelta64[s]")
    month = np.datetime_as_string(np.datetime64(world.start) + contacts.day.astype("timedelta64[D]"), unit="M")
    return {
        "customer_id": names[contacts.customer],
        "campaign": np.char.add("newsletter ", month),
        "time": time,
        "channel": np.full(len(time), "email"),
        "arm": np.where(contacts.treated, "treated", "control"),
        "cost": np.where(contacts.treated, world.contact_cost, 0.0),
        "opened": np.where(contacts.treated, np.where(contacts.opened, "true", "false"), ""),
        "clicked": np.where(contacts.treated, np.where(contacts.clicked, "true", "false"), ""),
    }


def _numbered(prefix: str, count: int, *, width: int) -> NDArray[np.str_]:
    """``prefix`` with 1, 2, ..., zero-padded to ``width`` digits or as many as the last one needs."""
    width = max(width, len(str(count)))
    return np.array([f"{prefix}{number:0{width}d}" for number in range(1, count + 1)])


def _truth_of(shop: FragranceShop) -> dict[str, object]:
    truth = fragrance_truth(shop.world)
    rules = [
        {
            "antecedent": rule.antecedent,
            "consequent": rule.consequent,
            "mode": rule.mode,
            "within_days": shop.world.rule_within_days if rule.mode == "next_purchase" else None,
            "lift": rule.lift,
            "expected_by_chance": round(expected, 1),
        }
        for rule, expected in shop.expected.items()
    ]
    return {"seed": shop.seed, "customers": len(shop.people.entry), "rules": rules, **truth}


def _write_csv(table: Table, path: Path) -> None:
    """Writes a table of which no value needs quoting."""
    texts = [_texts(column) for column in table.values()]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(table) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*texts, strict=True))


def _texts(column: NDArray[np.generic]) -> list[str]:
    """Values as they stand in a CSV: money with cents, times as YYYY-MM-DD HH:MM:SS."""
    if column.dtype.kind == "U":
        return list(column.tolist())
    values, where = np.unique(column, return_inverse=True)
    if column.dtype.kind == "f":
        texts = [f"{value:.2f}" for value in values.tolist()]
    elif column.dtype.kind == "M":
        texts = [text.replace("T", " ") for text in np.datetime_as_string(values, unit="s").tolist()]
    else:
        texts = [str(value) for value in values.tolist()]
    return [texts[position] for position in where.tolist()]
