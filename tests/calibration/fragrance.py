"""Fragrance shops straight from the simulation to their trials, many of them: what calibration counts.

Run as a program it prints the table for more shops than the tests take:

    python tests/calibration/fragrance.py --shops 200 --customers 2000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import kstest

sys.path.insert(0, str(Path(__file__).parent.parent))

from shops import engine_of_tables

from segmentor.config import ExperimentConfig, load_config
from segmentor.cycles import build_cycles
from segmentor.example import config_folder
from segmentor.result import EVERYBODY, Trial
from segmentor.splits import declared_splits, make_label_sources
from segmentor.synthetic import FragranceShop, FragranceWorld, simulate_fragrance
from segmentor.trials import run_trials

TRANSACTIONS = {"ordered_at": "timestamp", "quantity": "decimal(18,4)", "amount": "decimal(18,4)"}


def fragrance_config(*overrides: str) -> ExperimentConfig:
    """The config of the fragrance example."""
    return load_config(config_folder() / "fragrance.yaml", overrides)


def trials_of(shop: FragranceShop, config: ExperimentConfig) -> dict[str, Trial]:
    """The trials of the declared splits by name, from canonical tables: no file is written or read."""
    tables = {"transactions": shop.transactions, "products": shop.products, "customers": shop.customers}
    with engine_of_tables(tables, {"transactions": TRANSACTIONS}) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        tried = run_trials(
            engine, config, columns, splits, observed_until=summary.observed_until, progress=lambda _: None
        )
    return {trial.split: trial for trial in tried.trials if trial.segment == EVERYBODY}


def null_trials(shops: int, *, customers: int, rate_sd: float = 0.6) -> list[dict[str, Trial]]:
    """Trials of shops in which nothing separates, with seeds 1, 2, ..., drawn by two processes."""
    world = replace(FragranceWorld().null(), rate_sd=rate_sd)
    return _tried(world, customers, range(1, shops + 1))


def true_trials(seeds: Iterable[int], *, customers: int) -> list[dict[str, Trial]]:
    """Trials of shops of the published world."""
    return _tried(FragranceWorld(), customers, seeds)


def _tried(world: FragranceWorld, customers: int, seeds: Iterable[int]) -> list[dict[str, Trial]]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_try_one, world, customers), seeds))


def _try_one(world: FragranceWorld, customers: int, seed: int) -> dict[str, Trial]:
    return trials_of(simulate_fragrance(world, customers=customers, seed=seed), fragrance_config())


def null_rates(trials: list[dict[str, Trial]]) -> dict[str, float]:
    """Share of shops with a split declared real, ours and naive, and how uniform the p-values of each split are."""
    rates = {
        "separates": float(np.mean([any(trial.verdict == "separates" for trial in shop.values()) for shop in trials])),
        "any adjusted p below 0.05": float(
            np.mean([min(trial.p_adjusted or 1 for trial in shop.values()) < 0.05 for shop in trials])
        ),
    }
    # Merged groups are tried only in shops where their split is significant.
    for split in [name for name in trials[0] if all(name in shop for shop in trials)]:
        tests = [test for shop in trials if (test := shop[split].test) is not None]
        p_values = np.array([test.p_value for test in tests])
        rates[f"{split}: p below 0.05"] = float((p_values < 0.05).mean())
        rates[f"{split}: naive log-rank below 0.05"] = float(
            np.mean([(test.naive_p_value or 1) < 0.05 for test in tests])
        )
        rates[f"{split}: p of uniformity"] = float(kstest(p_values, "uniform").pvalue)
    return rates


def main() -> None:
    """Prints the rates."""
    parser = argparse.ArgumentParser(
        description="Error rates of the whole pipeline on fragrance shops in which nothing separates."
    )
    parser.add_argument("--shops", type=int, default=200)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--rate-sd", type=float, default=0.6)
    arguments = parser.parse_args()
    trials = null_trials(arguments.shops, customers=arguments.customers, rate_sd=arguments.rate_sd)
    for name, rate in null_rates(trials).items():
        print(f"{name:45s} {rate:7.3f}")


if __name__ == "__main__":
    main()
