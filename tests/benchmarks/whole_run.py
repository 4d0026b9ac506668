"""Times one whole run, files to report: a million lines, 50,000 customers, twenty declared splits.

    python tests/benchmarks/whole_run.py                 # 1 M lines as CSV
    python tests/benchmarks/whole_run.py --parquet
    python tests/benchmarks/whole_run.py --customers 5000 --lines 100000

Prints wall and CPU seconds, rows per second and the largest resident set of the run's process. Machines are noisy: compare runs of one
session, and quote ratios.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from timed_run import made_elsewhere, timed_run

GOAL_SECONDS = 60
GOAL_MEBIBYTES = 1024

COLUMNS = {
    "colour": 3,
    "size": 2,
    "brand": 6,
    "material": 4,
    "tier": 3,
    "origin": 5,
    "season": 4,
    "channel": 3,
    "device": 2,
    "gift": 2,
}
"""Columns of the lines by whose first value customers are split, with their number of values."""

CONFIG = """
experiment: benchmark
data:
  transactions:
    path: {path}
    columns: {{customer: customer, order: order, time: time, product: product, quantity: quantity, amount: amount}}
cycle: {{observed_until: 2024-12-31}}
splits:
  declared:
{splits}
"""


def make_shop(folder: Path, *, customers: int, lines: int, parquet: bool) -> Path:
    """Writes lines of customers of unequal rates, and a config with two splits a column: by value, and of two purchases."""
    generator = np.random.default_rng(1)
    rate = np.exp(0.8 * generator.standard_normal(customers))
    customer = generator.choice(customers, size=lines, p=rate / rate.sum())
    entry = generator.integers(0, 400, customers)
    day = entry[customer] + (generator.random(lines) * (731 - entry[customer])).astype(int)
    shop = pd.DataFrame(
        {
            "customer": np.char.add("C", np.char.zfill(customer.astype(str), 6)),
            "order": np.char.add(np.char.add(customer.astype(str), "-"), day.astype(str)),
            "time": (np.datetime64("2023-01-01") + day.astype("timedelta64[D]")).astype("datetime64[s]"),
            "product": np.char.add("P", generator.integers(0, 5000, lines).astype(str)),
            "quantity": generator.integers(1, 4, lines),
            "amount": np.round(generator.gamma(2, 10, lines), 2),
        }
        | {
            name: np.char.add(name, generator.integers(0, several, lines).astype(str))
            for name, several in COLUMNS.items()
        }
    )
    path = folder / ("transactions.parquet" if parquet else "transactions.csv")
    if parquet:
        duckdb.sql(f"copy (from shop) to '{path}' (format parquet)")
    else:
        shop.to_csv(path, index=False)
    first = [f"    - {{name: {name}, known: first_purchase, by: {name}}}" for name in COLUMNS]
    early = [
        f"    - {{name: early {name}, known: {{first_purchases: 2}}, groups: {{yes: \"{name} = '{name}0'\", no: {{all: \"{name} <> '{name}0'\"}}}}}}"
        for name in COLUMNS
    ]
    config = folder / "benchmark.yaml"
    config.write_text(CONFIG.format(path=path.name, splits="\n".join(first + early)), encoding="utf-8")
    return config


def main() -> None:
    """Makes the shop, runs the command on it, and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--parquet", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        making = partial(
            make_shop, folder, customers=arguments.customers, lines=arguments.lines, parquet=arguments.parquet
        )
        taken = timed_run(made_elsewhere(making), folder / "out")
    print(
        f"{arguments.lines:,} lines, {arguments.customers:,} customers, {2 * len(COLUMNS)} splits, {'Parquet' if arguments.parquet else 'CSV'}"
    )
    rate = arguments.lines / taken.wall
    print(f"wall {taken.wall:.1f} s (goal {GOAL_SECONDS}), CPU {taken.cpu:.1f} s, {rate:,.0f} rows a second")
    print(f"largest resident set {taken.memory:,.0f} MiB (goal {GOAL_MEBIBYTES})")


if __name__ == "__main__":
    main()
