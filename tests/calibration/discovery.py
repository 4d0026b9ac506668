"""Fragrance shops of which nothing is declared, many of them: does the search find what is true, and nothing where nothing is?

Run as a program it prints the rates for more shops than the tests take:

    python tests/calibration/discovery.py --shops 100 --customers 20000
    python tests/calibration/discovery.py --shops 200 --customers 2000 --null --pairs --cluster kmeans gmm
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from fragrance import TRANSACTIONS, fragrance_config
from shops import engine_of_tables, read_config

from segmentor.candidates import find_candidates
from segmentor.config import ExperimentConfig
from segmentor.cycles import build_cycles
from segmentor.result import EVERYBODY
from segmentor.splits import make_label_sources
from segmentor.statistics.naive import naive_logrank_p
from segmentor.synthetic import FragranceShop, FragranceWorld, simulate_fragrance
from segmentor.synthetic.renewal import RenewalShop, RenewalWorld, draw_shop
from segmentor.trials import Tried, run_trials

ENUMERATED = ("splits.declared=[]", "splits.enumerated={known: first_purchase}")

PAIRS = "splits.enumerated={known: first_purchase, pairs: true}"

TIMING = """
experiment: timing
data:
  transactions:
    path: transactions.csv
    columns: {customer: customer, time: time}
splits:
  clustered: {known: {until: MIDDLE}, methods: [kmeans], features: [recency, frequency]}
"""


def clustered(methods: Sequence[str]) -> str:
    """Override of the config that clusters customers by what they bought before the middle of the period."""
    return f"splits.clustered={{known: {{until: 2025-01-01}}, methods: [{', '.join(methods)}]}}"


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to in one shop.

    Attributes:
        candidates: Splits that were screened at the root.
        standing: Segment and split of the nodes that stand, the root first.
        separating: Splits with the verdict, wherever they were tried.
    """

    candidates: int
    standing: tuple[tuple[str, str], ...]
    separating: tuple[str, ...]

    @property
    def has_size_at_the_root(self) -> bool:
        """Size, in whatever groups."""
        return any(segment == EVERYBODY and split.startswith("size") for segment, split in self.standing)

    @property
    def has_channel_within_full(self) -> bool:
        """Channel among those who bought full sizes first, alone or with others."""
        return any("full" in segment and split.startswith("channel") for segment, split in self.standing)

    @property
    def others(self) -> tuple[str, ...]:
        """Splits that stand and are neither by size nor by channel."""
        return tuple(split for _, split in self.standing if not split.startswith(("size", "channel")))


def search(shop: FragranceShop, config: ExperimentConfig) -> Tried:
    """All trials of a shop, from canonical tables: no file is written or read."""
    # Intake reads an empty cell as unknown.
    products = {name: np.where(values == "", None, values) for name, values in shop.products.items()}
    tables = {"transactions": shop.transactions, "products": products, "customers": shop.customers}
    with engine_of_tables(tables, {"transactions": TRANSACTIONS}) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        found = find_candidates(engine, config, columns, progress=lambda _: None)
        make_label_sources(engine, config, columns, found.splits)
        return run_trials(
            engine,
            config,
            columns,
            (),
            attributes=found.attributes,
            observed_until=summary.observed_until,
            progress=lambda _: None,
        )


def searches(
    world: FragranceWorld, seeds: Iterable[int], *, customers: int, overrides: Sequence[str] = ()
) -> Iterator[Search]:
    """Searches of shops of a world, drawn by two processes, in the order of the seeds."""
    one = partial(_search_one, world, customers, (*ENUMERATED, *overrides))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield from pool.map(one, seeds)


def rates(searches: Iterable[Search]) -> dict[str, float]:
    """Shares of the shops."""
    found = list(searches)
    n = len(found)
    return {
        "size at the root": sum(one.has_size_at_the_root for one in found) / n,
        "channel within full size": sum(one.has_channel_within_full for one in found) / n,
        "both": sum(one.has_size_at_the_root and one.has_channel_within_full for one in found) / n,
        "any other split in the tree": sum(bool(one.others) for one in found) / n,
        "anything separates": sum(bool(one.separating or one.standing) for one in found) / n,
        "candidates, fewest": float(min(one.candidates for one in found)),
    }


@dataclass(frozen=True, slots=True)
class TimingCluster:
    """A cluster of past timing, as we and as the usual way see it.

    Attributes:
        stability: Mean Jaccard similarity over resamples.
        verdict: Ours, on later gaps of other customers.
        reasons: Of the verdict.
        usual_p: Log-rank test of the rule on all gaps of the period that made it: the usual way.
    """

    stability: float
    verdict: str
    reasons: tuple[str, ...]
    usual_p: float


def timing_clusters(world: RenewalWorld, *, customers: int, seed: int) -> tuple[list[TimingCluster], int]:
    """Clusters of recency and frequency in the middle of a shop's period, and how many nodes of its tree stand."""
    shop = draw_shop(world, customers, rng=np.random.default_rng(seed))
    first = np.datetime64("2024-01-01T12:00:00")
    tables = {
        "transactions": {
            "customer": np.char.zfill(shop.customer.astype(str), 6).astype(object),
            "time": (first + shop.day.astype("timedelta64[D]")).astype(str).astype(object),
        }
    }
    middle = world.days // 2
    date = str((first + np.timedelta64(middle, "D")).astype("datetime64[D]"))
    with (
        tempfile.TemporaryDirectory() as folder,
        engine_of_tables(tables, {"transactions": {"time": "timestamp"}}) as engine,
    ):
        config = read_config(Path(folder), TIMING.replace("MIDDLE", date))
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        found = find_candidates(engine, config, columns, progress=lambda _: None)
        make_label_sources(engine, config, columns, found.splits)
        tried = run_trials(
            engine,
            config,
            columns,
            (),
            attributes=found.attributes,
            observed_until=summary.observed_until,
            progress=lambda _: None,
        )
    trials = {trial.split: trial for trial in tried.trials if trial.segment == EVERYBODY}
    clusters = [
        TimingCluster(
            stability=0.0 if one.cluster is None else one.cluster.stability,
            verdict=trials[one.name].verdict,
            reasons=trials[one.name].reasons,
            usual_p=_usual_p(shop, middle, one.codes),
        )
        for one in found.attributes
        if one.codes is not None
    ]
    return clusters, len(tried.branches)


def _usual_p(shop: RenewalShop, until: int, codes: np.ndarray) -> float:
    """Log-rank test of all gaps before a day as if independent, between the groups that they made."""
    customer, day = shop.customer[shop.day < until], shop.day[shop.day < until]
    last = np.append(customer[1:] != customer[:-1], True)
    duration = np.where(last, until, np.append(day[1:], 0)) - day
    known = codes[customer] >= 0
    counts = np.zeros((2, 2, until + 1))
    np.add.at(counts, (last[known].astype(int), codes[customer][known], duration[known]), 1)
    at_risk = counts.sum(axis=0)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return naive_logrank_p(counts[0], at_risk)


def _search_one(world: FragranceWorld, customers: int, overrides: Sequence[str], seed: int) -> Search:
    tried = search(simulate_fragrance(world, customers=customers, seed=seed), fragrance_config(*overrides))
    return Search(
        candidates=tried.nodes[0].tried,
        standing=tuple((node.segment, str(node.split)) for node in tried.nodes if node.held),
        separating=tuple(trial.split for trial in tried.trials if trial.verdict == "separates"),
    )


def main() -> None:
    """Prints the rates."""
    parser = argparse.ArgumentParser(
        description="What the search for splits finds in fragrance shops of which nothing is declared."
    )
    parser.add_argument("--shops", type=int, default=100)
    parser.add_argument(
        "--first-seed", type=int, default=1, help="seed of the first shop, to go on where a run stopped"
    )
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--rate-sd", type=float, default=0.6)
    parser.add_argument("--buy-once", type=float, default=0.2)
    parser.add_argument("--null", action="store_true", help="nothing separates")
    parser.add_argument("--pairs", action="store_true", help="try two columns at once too")
    parser.add_argument("--cluster", nargs="*", default=[], choices=("kmeans", "gmm", "hdbscan"))
    arguments = parser.parse_args()
    world = FragranceWorld().null() if arguments.null else FragranceWorld()
    world = replace(world, rate_sd=arguments.rate_sd, buys_once=arguments.buy_once)
    overrides = [PAIRS] if arguments.pairs else []
    if arguments.cluster:
        overrides.append(clustered(arguments.cluster))
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.shops)
    found: list[Search] = []
    for seed, one in zip(
        seeds, searches(world, seeds, customers=arguments.customers, overrides=overrides), strict=True
    ):
        found.append(one)
        tree = [f"{split} in {segment}" for segment, split in one.standing] or ["nothing"]
        print(f"seed {seed}, {one.candidates} candidates: {'; '.join(tree)}", flush=True)
    for name, rate in rates(found).items():
        print(f"{name:45s} {rate:7.3f}")


if __name__ == "__main__":
    main()
