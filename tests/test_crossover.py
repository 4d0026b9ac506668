"""Crossover: how often the label of the first purchases is that of the next, against a known truth and an obvious count."""

from __future__ import annotations

import datetime
import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from shops import CONFIG, TRANSACTIONS, Line, day, engine_of_tables, engine_with, read_config

from segmentor.config import ExperimentConfig
from segmentor.crossover import measure_crossover
from segmentor.cycles import build_cycles, day_number
from segmentor.engine.duckdb import Engine
from segmentor.labelling import label_customers
from segmentor.populations import prepare_population
from segmentor.result import Crossover
from segmentor.splits import declared_splits, make_label_sources
from segmentor.synthetic.shop import simulate_fragrance
from segmentor.synthetic.world import FragranceWorld

UNTIL = 400

GENDER = "    - {name: gender, known: first_purchase, groups: {men: gender = 'men', women: gender = 'women', unisex: gender = 'unisex'}}\n"
SIZE = "    - {name: size, known: first_purchase, groups: {sample: size = 'sample', other: \"size in ('full', 'travel')\"}}\n"


def crossovers(engine: Engine, config: ExperimentConfig) -> list[Crossover | None]:
    """Of every declared split."""
    columns, summary = build_cycles(engine, config, progress=lambda _: None)
    splits = declared_splits(config, columns)
    make_label_sources(engine, config, columns, splits)
    last = day_number(datetime.date.fromisoformat(summary.observed_until))
    populations = {
        zero: prepare_population(engine, config, zero, observed_until=last)
        for zero in {split.time_zero for split in splits}
    }
    found = []
    for split in splits:
        groups = label_customers(engine, config, split, populations[split.time_zero]).groups
        found.append(measure_crossover(engine, config, split, groups))
    return found


def of_lines(folder: Path, lines: list[Line], splits: str, *, cycle: str = "") -> list[Crossover | None]:
    """Of every split over a shop in memory."""
    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL)
    text = CONFIG + f"cycle: {{observed_until: {last}{cycle}}}\nsplits:\n  declared:\n{splits}"
    with engine_with(lines) as engine:
        return crossovers(engine, read_config(folder, text))


def in_fragrance(folder: Path, world: FragranceWorld, *, customers: int) -> list[Crossover | None]:
    """Of gender and size in a shop of that world."""
    shop = simulate_fragrance(world, customers=customers, seed=1)
    text = (
        CONFIG
        + "  products: {path: products.csv, columns: {product: product_id}}\n"
        + f"splits:\n  declared:\n{GENDER}{SIZE}"
    )
    tables = {"transactions": shop.transactions, "products": shop.products}
    with engine_of_tables(tables, {"transactions": TRANSACTIONS}) as engine:
        return crossovers(engine, read_config(folder, text))


def test_a_planted_transition_is_recovered(tmp_path: Path) -> None:
    """Where half keep their gender and 70 % their size, the shares of each row are those of the world, within their intervals."""
    world = FragranceWorld()
    gender, size = in_fragrance(tmp_path, world, customers=6000)
    assert gender is not None
    assert size is not None
    assert gender.purchases == 1
    assert gender.customers > 3000
    shares = dict(world.genders)
    for cell in gender.cells:
        truth = 0.5 * (cell.first == cell.second) + 0.5 * shares[cell.second]
        assert cell.share.estimate is not None
        error = np.sqrt(truth * (1 - truth) / (cell.customers / cell.share.estimate))
        assert abs(cell.share.estimate - truth) < 3 * error
        assert cell.lift is not None
        assert (cell.lift > 1) == (cell.first == cell.second)
    assert gender.stickiness.ci_low is not None
    assert gender.stickiness.ci_high is not None
    assert gender.stickiness.ci_low < 0.5 < gender.stickiness.ci_high
    assert gender.p_value is not None
    assert gender.p_value < 1e-50
    kept = next(cell for cell in size.cells if cell.first == cell.second == "sample")
    assert kept.share.estimate == pytest.approx(0.7 + 0.3 * 0.45, abs=0.03)
    assert gender.same_share > gender.expected_same_share + 0.2


def test_a_label_drawn_anew_each_time_is_not_sticky(tmp_path: Path) -> None:
    """Where nothing is kept, kappa's interval holds 0, lifts are near 1, and the test says nothing."""
    for found in in_fragrance(tmp_path, FragranceWorld(keep_gender=0.0, keep_size=0.0), customers=3000):
        assert found is not None
        assert found.stickiness.ci_low is not None
        assert found.stickiness.ci_high is not None
        assert found.stickiness.ci_low < 0 < found.stickiness.ci_high
        assert found.p_value is not None
        assert found.p_value > 0.01
        assert found.same_share == pytest.approx(found.expected_same_share, abs=0.03)
        assert all(cell.lift == pytest.approx(1, abs=0.2) for cell in found.cells)


def shop(customers: int, *, seed: int = 1) -> list[Line]:
    """Customers who mostly buy what they bought before, on one to nine days."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for number in range(customers):
        at, product = int(generator.integers(0, 150)), "pq"[generator.integers(2)]
        for _ in range(generator.integers(1, 10)):
            lines.append((f"c{number}", f"o{len(lines)}", day(at), product, 1, 10))
            product = product if generator.random() < 0.6 else "pqr"[generator.integers(3)]
            at += int(generator.integers(1, 25))
    return lines


@pytest.mark.parametrize(("purchases", "merge"), [(1, 1), (2, 1), (2, 7), (3, 4)])
def test_counts_are_those_of_an_obvious_loop(tmp_path: Path, purchases: int, merge: int) -> None:
    """For any number of purchases and days merged, the cells equal a count over each customer's occasions in turn."""
    lines = shop(300)
    split = (
        f"    - {{name: only, known: {{first_purchases: {purchases}}}, "
        "groups: {only p: {all: \"product_id = 'p'\"}, some q: \"product_id = 'q'\"}}\n"
    )
    (found,) = of_lines(tmp_path, lines, split, cycle=f", merge_within_days: {merge}")
    bought = defaultdict(list)
    for customer, _, time, product, *_ in lines:
        bought[customer].append(((time - day(0)).days, product))

    def label(products: set[str]) -> str | None:
        return "only p" if products == {"p"} else "some q" if "q" in products else None

    expected: Counter[tuple[str | None, str | None]] = Counter()
    for several in bought.values():
        occasions: list[tuple[int, set[str]]] = []
        for at, product in sorted(several):
            if not occasions or at >= occasions[-1][0] + merge:
                occasions.append((at, set()))
            occasions[-1][1].add(product)
        if len(occasions) >= 2 * purchases:
            sets = [products for _, products in occasions]
            first, second = set().union(*sets[:purchases]), set().union(*sets[purchases : 2 * purchases])
            expected[label(first), label(second)] += 1
    assert found is not None
    assert found.purchases == purchases
    names = ("only p", "some q")
    assert [(cell.first, cell.second, cell.customers) for cell in found.cells] == [
        (first, second, expected[first, second]) for first, second in itertools.product(names, names)
    ]
    assert found.customers == sum(cell.customers for cell in found.cells) >= 50


def test_a_value_that_nobody_began_with_is_left_out(tmp_path: Path) -> None:
    """Customers whose next purchase is of a value that is no group of the split are in no cell."""
    lines = shop(300)
    later: Counter[str] = Counter()
    for _, several in itertools.groupby(lines, key=lambda line: line[0]):
        products = [line[3] for line in several]
        if len(products) > 1:
            later[products[1]] += 1
    (found,) = of_lines(tmp_path, lines, "    - {name: first, known: first_purchase, by: product_id}\n")
    assert found is not None
    assert later["r"] > 0
    assert {cell.second for cell in found.cells} == {"p", "q"}
    assert found.customers == later["p"] + later["q"]


@pytest.mark.parametrize("known", ["{until: 2024-05-01}", "lifetime"])
def test_a_label_that_is_no_first_purchase_has_no_crossover(tmp_path: Path, known: str) -> None:
    """Labels known at a date or over the whole history have no next purchases to be compared with."""
    assert of_lines(tmp_path, shop(300), f"    - {{name: a, known: {known}, by: product_id}}\n") == [None]


def test_few_who_came_back_make_no_table(tmp_path: Path) -> None:
    """With fewer than 50 customers who have both labels, nobody at all, or one first label only, there is nothing to show."""
    once: list[Line] = [(f"c{n}", f"o{n}", day(n % 90), "pq"[n % 2], 1, 10) for n in range(200)]
    splits = "    - {name: first, known: first_purchase, by: product_id}\n"
    assert of_lines(tmp_path, once, splits) == [None]
    again: list[Line] = [
        (customer, "again" + order, time + datetime.timedelta(days=5), product, 1, 10)
        for customer, order, time, product, *_ in once
    ]
    assert of_lines(tmp_path, [*once, *again[:49]], splits) == [None]
    (found,) = of_lines(tmp_path, [*once, *again[:50]], splits)
    assert found is not None
    assert (found.customers, found.same_share) == (50, 1.0)
    nobody = "    - {name: a, known: first_purchase, groups: {z: \"product_id = 'z'\", both: \"product_id in ('p', 'q')\"}}\n"
    assert of_lines(tmp_path, [*once, *again], nobody) == [None]


def test_too_many_groups_for_the_law_have_no_p_value(tmp_path: Path) -> None:
    """With fewer than ten squared customers a cell the chi-square law is no law, and the table stands without a p."""
    lines: list[Line] = [
        (f"c{n}", f"o{n}{at}", day(at + n % 9), f"p{n * at % 23}", 1, 10) for n in range(60) for at in (1, 20)
    ]
    (found,) = of_lines(tmp_path, lines, "    - {name: first, known: first_purchase, by: product_id}\n")
    assert found is not None
    assert found.p_value is None
    assert len(found.cells) == 23**2


def test_the_order_of_rows_and_hostile_names_do_not_matter(tmp_path: Path) -> None:
    """The same lines in another order give the same record, and groups may be called anything."""
    name = 'o\'neill \\"x\\"; --'
    splits = f'    - {{name: a, known: first_purchase, groups: {{"{name}": "product_id = \'p\'", q: "product_id = \'q\'"}}}}\n'
    lines = shop(200)
    shuffled = [lines[place] for place in np.random.default_rng(1).permutation(len(lines))]
    (found,) = of_lines(tmp_path, lines, splits)
    assert found is not None
    assert found.cells[0].first == 'o\'neill "x"; --'
    assert of_lines(tmp_path, shuffled, splits) == [found]
