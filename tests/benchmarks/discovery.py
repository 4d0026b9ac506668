"""Times the search for splits in one whole run, files to report: a million lines, 50,000 customers, nothing declared.

    python tests/benchmarks/discovery.py                    # k-means, mixtures, and HDBSCAN on a UMAP embedding
    python tests/benchmarks/discovery.py --without-umap     # k-means and mixtures
    python tests/benchmarks/discovery.py --lines 20000 --customers 1000

Half of the customers suggest candidates of more than 500 (fewer where there are few customers): every column, value, number, feature and
frequent first basket, and the rules of clusters. Two splits are true: the size of the first product, and within full sizes a channel; so
the tree is grown, confirmed, looked at under other halves and in parts. Customers have one of three tastes, which are clusters.

Prints wall and CPU seconds and the largest resident set of the run's process, how many candidates were tried, promoted and confirmed, and the
share of each stage, read from the run's own log. A stage lasts until the next one is told: loading UMAP and compiling it count for
its embedding, which is told apart from the clusters in it. Machines are noisy: compare runs of one session.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from timed_run import made_elsewhere, timed_run

from segmentor.report.ledger import sieves
from segmentor.result import from_json

GOAL_SECONDS = {True: 300, False: 120}
"""With UMAP and without."""

GOAL_MEBIBYTES = 2048

DAYS, LAST_ENTRY, UNTIL = 730, 540, "2024-01-01"

CATEGORIES, SIZES, ALIKE = 12, ("full", "sample", "travel"), 80
"""Products are ``ALIKE`` of each category and size."""

TRAITS, NUMBERS, LABELS = 36, 20, 8
"""Columns of customers by values and by numbers, and columns of products, which nothing depends on."""

CONFIG = """
experiment: discovery
data:
  transactions:
    path: transactions.csv
    columns: {{customer: customer, order: order, time: time, product: product, quantity: quantity, amount: amount, discount: discount, channel: channel}}
  products:
    path: products.csv
    columns: {{product: product, category: category, brand: brand, size: size, price_tier: tier}}
  customers: {{path: customers.csv, columns: {{customer: customer}}}}
cycle: {{observed_until: 2024-12-30}}
splits:
  declared: []
  enumerated: {{known: first_purchase}}
  clustered: {{known: {{until: {until}}}, methods: [{methods}]}}
"""

STAGES = {
    "start, and reading the config": "",
    "intake": "reading ",
    "purchases and cycles": "purchases and occasions",
    "features and candidates": "candidates among the attributes",
    "k-means": "clusters by kmeans",
    "mixtures": "clusters by gmm",
    "UMAP, compiled and embedded": "clusters by hdbscan: umap",
    "HDBSCAN": "clusters by hdbscan",
    "screening and tree": "search in ",
    "confirmation": "confirmation of ",
    "beside the verdicts": "habits",
    "other halves": "the same under other halves",
    "effects of what was not promoted": "effects of split",
    "report and definitions": "report",
}
"""What a stage is called here, and how what the run tells of it begins; the first that fits, and ``REST`` where none does."""

REST = "labels dealt at random, and else"


def make_shop(folder: Path, *, customers: int, lines: int, umap: bool) -> Path:
    """Writes transactions, products and customers with two true splits, and a config that searches for them."""
    generator = np.random.default_rng(1)
    first_size = generator.choice(3, customers, p=[0.45, 0.45, 0.1])
    channel = generator.choice(3, customers, p=[0.4, 0.35, 0.25])
    slower = np.where(first_size == 1, 1.35, np.where((first_size == 0) & (channel == 2), 1.4, 1.0))
    customer, day = _orders(generator, slower, orders=lines // 2)
    line_order = np.sort(np.concatenate([np.arange(len(day)), generator.integers(0, len(day), lines - len(day))]))
    owner = customer[line_order]
    first = np.concatenate([[True], customer[1:] != customer[:-1]])[line_order]
    taste = generator.integers(0, 3, customers)
    category = np.where(
        generator.random(lines) < 0.7,
        4 * taste[owner] + generator.integers(0, 4, lines),
        generator.integers(0, 12, lines),
    )
    size = np.where(first, first_size[owner], generator.integers(0, 3, lines))
    transactions = {
        "customer": _names("C", owner),
        "order": _names("O", line_order),
        "time": np.datetime64("2023-01-01") + day[line_order].astype("timedelta64[D]"),
        "product": _names("P", (category * len(SIZES) + size) * ALIKE + generator.integers(0, ALIKE, lines)),
        "quantity": generator.integers(1, 4, lines),
        "amount": np.round(generator.gamma(2, 10, lines), 2),
        "discount": np.where(generator.random(lines) < 0.2, 1.5, 0.0),
        "channel": np.array(["search", "social", "store"])[channel[owner]],
    }
    products = np.arange(CATEGORIES * len(SIZES) * ALIKE)
    about_products = {
        "product": _names("P", products),
        "category": _names("category ", products // (len(SIZES) * ALIKE)),
        "size": np.array(SIZES)[products // ALIKE % len(SIZES)],
        "brand": _names("brand ", generator.integers(0, 12, len(products))),
        "tier": _names("tier ", generator.integers(0, 3, len(products))),
        **{f"label_{n}": _names("label ", generator.integers(0, 10, len(products))) for n in range(LABELS)},
    }
    about_customers = {
        "customer": _names("C", np.arange(customers)),
        **{f"trait_{n}": _names("trait ", generator.integers(0, 10, customers)) for n in range(TRAITS)},
        **{f"count_{n}": np.round(generator.gamma(2, 50, customers), 2) for n in range(NUMBERS)},
    }
    tables = {"transactions": transactions, "products": about_products, "customers": about_customers}
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
    methods = ["kmeans", "gmm", *(["hdbscan"] if umap else [])]
    config = folder / "discovery.yaml"
    config.write_text(CONFIG.format(until=UNTIL, methods=", ".join(methods)), encoding="utf-8")
    return config


def _orders(generator: np.random.Generator, slower: np.ndarray, *, orders: int) -> tuple[np.ndarray, np.ndarray]:
    """About so many orders of customers of unequal rates, by customer and day: number of the customer, day."""
    customers = len(slower)
    pace = slower * np.exp(0.6 * generator.standard_normal(customers))
    entry = generator.integers(0, LAST_ENTRY, customers)
    mean = (DAYS - entry.mean()) * (1 / pace).mean() / max(orders / customers - 1, 0.1)
    number, day = [np.arange(customers)], [entry]
    while len(number[-1]):
        gap = 1 + generator.gamma(2, mean * pace[number[-1]] / 2).astype(int)
        stays = (day[-1] + gap < DAYS) & (generator.random(len(gap)) > 0.02)
        day.append((day[-1] + gap)[stays])
        number.append(number[-1][stays])
    customer, days = np.concatenate(number), np.concatenate(day)
    order = np.lexsort([days, customer])
    return customer[order], days[order]


def _names(prefix: str, numbers: np.ndarray) -> np.ndarray:
    return np.char.add(prefix, np.char.zfill(numbers.astype(str), len(str(int(numbers.max())))))


def shares(log: str, wall: float) -> dict[str, float]:
    """Seconds of each stage that took any, from the text of ``run.log``; what it does not tell, of the whole wall time, is the start."""
    taken = dict.fromkeys([*STAGES, REST], 0.0)
    told = [(float(seconds), words) for seconds, words in re.findall(r"^ *([\d.]+) s  (.+)$", log, re.MULTILINE)]
    *stages, (total, _) = told
    taken["start, and reading the config"] = wall - total
    for seconds, words in stages:
        stage = next((name for name, begins in STAGES.items() if begins and words.startswith(begins)), REST)
        taken[stage] += seconds
    return {name: seconds for name, seconds in taken.items() if seconds > 0}


def main() -> None:
    """Makes the shop, runs the command on it, and prints what it took and found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines of transactions, at least 3 a customer")
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--without-umap", action="store_true", help="k-means and mixtures alone")
    arguments = parser.parse_args()
    if arguments.lines < 3 * arguments.customers:
        parser.error("at least 3 lines a customer")
    umap = not arguments.without_umap
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "out"
        making = partial(make_shop, folder, customers=arguments.customers, lines=arguments.lines, umap=umap)
        taken = timed_run(made_elsewhere(making), out)
        log = (out / "run.log").read_text(encoding="utf-8")
        result = from_json((out / "results.json").read_text(encoding="utf-8"))
    assert result.search is not None
    root, _ = sieves(result)
    print(f"{arguments.lines:,} lines, {arguments.customers:,} customers, {'with' if umap else 'without'} UMAP")
    print(f"{root.tried:,} candidates tried, {root.promoted} promoted, {root.confirmed} confirmed", end="; ")
    print(f"segments: {', '.join(segment.name for segment in result.segments)}")
    for one in result.search.clusterings:
        print(f"{one.method}: {one.clusters} clusters of {one.customers:,} customers by {len(one.features)} features")
    print(f"wall {taken.wall:.1f} s (goal {GOAL_SECONDS[umap]}), CPU {taken.cpu:.1f} s")
    print(f"largest resident set {taken.memory:,.0f} MiB (goal {GOAL_MEBIBYTES:,})")
    for stage, seconds in shares(log, taken.wall).items():
        print(f"{stage:36}{seconds:8.1f} s{100 * seconds / taken.wall:6.1f} %")


if __name__ == "__main__":
    main()
