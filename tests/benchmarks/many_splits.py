"""Times many splits against one log-rank test of lifelines and one of statsmodels: 100,000 customers, a million gaps.

    python tests/benchmarks/many_splits.py
    python tests/benchmarks/many_splits.py --peers FOLDER    # keep their environment there, and use it again
    python tests/benchmarks/many_splits.py --customers 10000 --pairs 3

The peers run in an environment of their own, which is made in a temporary folder (`python -m venv`, `pip install`), and test one split of all
gaps as if these were independent. They get arrays of floats and labels that they need no conversion of. Ours tests whole customers within
twelve cohorts:

- one split: scores from the gaps, group sums, type III tail;
- 10,000 splits: each value against the rest in 200 columns of 50 values, coded in bytes beforehand; group sums of every split by cohort,
  permutation moments, type III tails, and with four scores the joint p. From the gaps too: scores are made within the time;
- all thresholds of one number with some 80,000 distinct values: sorted, summed and scaled, within the time; from scores made before (the time of
  the scores stands beside).

Everything is timed in turn, so that a noisy machine is as noisy for all. Printed are medians of seconds, and medians of ratios to the lifelines
test of the same turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segmentor.statistics.linear import GroupSums
from segmentor.statistics.score_tests import test_scores as run_test
from segmentor.statistics.screening import screen_values
from segmentor.statistics.survival import LifeTable, customer_sums, day_by_which, gehan_values, logrank_values
from segmentor.statistics.thresholds import threshold_scan

COLUMNS, VALUES, COHORTS = 200, 50, 12

PEERS = """
import sys, time
import numpy as np
from lifelines.statistics import logrank_test
from statsmodels.duration.survfunc import survdiff

gaps = np.load(sys.argv[1])
durations, events, groups = gaps["durations"], gaps["events"], gaps["groups"]
first = groups == 0
one, other = (durations[first], durations[~first]), (events[first], events[~first])
work = {
    "lifelines": lambda: logrank_test(*one, *other),
    "statsmodels": lambda: survdiff(durations, events, groups),
}
for name in work:
    work[name]()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    work[line.strip()]()
    print(time.perf_counter() - start, flush=True)
"""


class Shop:
    """Customers of unequal rates, their gaps in whole days, and attributes that nothing depends on."""

    def __init__(self, customers: int) -> None:
        generator = np.random.default_rng(1)
        entry = generator.integers(0, 360, customers)
        rate = 0.02 * np.exp(0.6 * generator.standard_normal(customers)) / np.exp(0.18)
        purchases = 1 + generator.poisson(rate * (730 - entry))
        owner = np.repeat(np.arange(customers), purchases)
        first = np.concatenate([[True], owner[1:] != owner[:-1]])
        day = entry[owner] + np.where(first, 0, (generator.random(len(owner)) * (730 - entry[owner])).astype(int))
        order = np.lexsort([day, owner])
        owner, day = owner[order], day[order]
        again = np.concatenate([[True], (owner[1:] != owner[:-1]) | (day[1:] != day[:-1])])
        owner, day = owner[again], day[again]
        self.events = np.concatenate([owner[1:] == owner[:-1], [False]])
        self.durations = np.where(self.events, np.concatenate([day[1:], [0]]) - day, 730 - day)
        self.customers = owner
        complete = np.bincount(owner, self.events, customers)
        kept = self.events | (complete[owner] == 0)
        self.weights = (np.ones(len(owner)), np.where(kept, 1 / np.maximum(complete[owner], 1), 0.0))
        self.cohorts = entry // (360 // COHORTS)
        self.groups = (generator.random(customers) < 0.3).astype(np.int64)
        self.columns = [generator.integers(0, VALUES, customers).astype(np.uint8) for _ in range(COLUMNS)]
        self.number = np.round(generator.gamma(2, 50, customers), 3)

    def scores(self, count: int) -> np.ndarray:
        """One score (log-rank, every gap alike), or all four."""
        tau = day_by_which(np.bincount(self.durations, self.events), 0.9)
        found = []
        for weights in self.weights[: 1 + (count > 1)]:
            table = LifeTable.from_gaps(self.durations, self.events, weights=weights).cut(tau)
            gaps = {
                "customers": self.customers,
                "durations": self.durations,
                "events": self.events,
                "weights": weights,
            }
            found += [
                customer_sums(values(table), **gaps) for values in (logrank_values, gehan_values)[: 1 + (count > 1)]
            ]
        return np.stack(found)


class Peers:
    """lifelines and statsmodels in a process and an environment of their own."""

    def __init__(self, folder: Path, shop: Shop, scratch: Path) -> None:
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "lifelines", "statsmodels"], check=True)
        gaps = scratch / "gaps.npz"
        np.savez(
            gaps,
            durations=shop.durations.astype(np.float64),
            events=shop.events.astype(np.int64),
            groups=shop.groups[shop.customers],
        )
        self.process = subprocess.Popen(
            [python, "-c", PEERS, str(gaps)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the peers' process ended")
        return line

    def seconds(self, name: str) -> float:
        """What one test takes."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def seconds(work: Callable[[], object]) -> float:
    """What some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Makes the shop, runs everything in turn, and prints medians and ratios beside the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--peers", type=Path)
    arguments = parser.parse_args()
    shop = Shop(arguments.customers)
    one, four = shop.scores(1), shop.scores(4)
    splits = len(screen_values(one, shop.columns, shop.cohorts).p_value)
    thresholds = len(threshold_scan(one, shop.number, shop.cohorts).thresholds)
    goals = {
        "one split, four scores": None,
        "scores alone, one": None,
        "scores alone, four": None,
        f"{splits:,} splits, one score": 3.0,
        f"{splits:,} splits, four scores": 12.0,
        f"{thresholds:,} thresholds, one score": 0.5,
        f"{thresholds:,} thresholds, four scores": 2.0,
    }
    work: list[Callable[[], object]] = [
        lambda: run_test(GroupSums.from_scores(shop.scores(4), shop.groups, shop.cohorts)),
        lambda: shop.scores(1),
        lambda: shop.scores(4),
        lambda: screen_values(shop.scores(1), shop.columns, shop.cohorts),
        lambda: screen_values(shop.scores(4), shop.columns, shop.cohorts),
        lambda: threshold_scan(one, shop.number, shop.cohorts),
        lambda: threshold_scan(four, shop.number, shop.cohorts),
    ]
    with tempfile.TemporaryDirectory() as name:
        peers = Peers(arguments.peers or Path(name) / "peers", shop, Path(name))
        turns = np.array(
            [
                [peers.seconds("lifelines"), peers.seconds("statsmodels"), *(seconds(each) for each in work)]
                for _ in range(arguments.pairs)
            ]
        )
        peers.close()
    print(f"{arguments.customers:,} customers, {len(shop.durations):,} gaps, {arguments.pairs} turns")
    print(f"{'':36}{'seconds':>10}{'of lifelines':>14}{'goal':>8}")
    medians, ratios = np.median(turns, axis=0), np.median(turns / turns[:, :1], axis=0)
    for label, median, ratio in zip(("lifelines", "statsmodels", *goals), medians, ratios, strict=True):
        goal = goals.get(label)
        print(f"{label:36}{median:10.3f}{ratio:14.2f}{'' if goal is None else f'{goal:8.1f}'}")


if __name__ == "__main__":
    main()
