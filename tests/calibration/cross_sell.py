"""Fragrance shops with planted rules, and shops without any: are the rules found, are their lifts true, and is anything else a rule?

Run as a program it prints the rates for more shops than the tests take:

    python tests/calibration/cross_sell.py --shops 100 --customers 20000
    python tests/calibration/cross_sell.py --shops 200 --customers 4000 --null
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from fragrance import TRANSACTIONS, fragrance_config
from shops import engine_of_tables

from segmentor.config import ExperimentConfig
from segmentor.cross_sell import find_rules
from segmentor.cycles import build_cycles
from segmentor.result import CrossSellRule
from segmentor.statistics.association import RuleCounts
from segmentor.statistics.following import Occasions
from segmentor.synthetic import FragranceShop, FragranceWorld, PlantedRule, simulate_fragrance

ENOUGH = 100
"""Occasions that would follow a planted rule by chance, from which on it should be found."""

PLAIN_LIFT = 1.2
"""From which on the usual way calls a pair a rule."""

Name = tuple[str, str, str]
"""Mode, and the two items: in the order of time, or of the alphabet on the same occasion."""


@dataclass(frozen=True, slots=True)
class Planted:
    """What became of a planted rule.

    Attributes:
        rule: The rule.
        enough: Whether it can be expected to be found.
        valid: Whether it was found and is valid.
        interval: Of its lift; ``None`` where it was not promoted.
    """

    rule: PlantedRule
    enough: bool
    valid: bool
    interval: tuple[float, float] | None

    @property
    def covered(self) -> bool:
        """Whether the interval holds the planted lift."""
        return self.interval is not None and self.interval[0] <= self.rule.lift <= self.interval[1]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shop shows.

    Attributes:
        planted: Its planted rules.
        valid: Rules that were declared valid, those of two items.
        plain: Pairs whose plain lift is above ``PLAIN_LIFT``.
        true: Names of the planted rules.
    """

    planted: tuple[Planted, ...]
    valid: frozenset[Name]
    plain: frozenset[Name]
    true: frozenset[Name]


def outcomes(world: FragranceWorld, seeds: Iterable[int], *, customers: int) -> Iterator[Outcome]:
    """Outcomes of shops of a world, drawn by two processes, in the order of the seeds."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(outcome, world, customers), seeds)


def outcome(world: FragranceWorld, customers: int, seed: int) -> Outcome:
    """Rules of a shop, from canonical tables: no file is written or read."""
    shop = simulate_fragrance(world, customers=customers, seed=seed)
    config = fragrance_config(f"cross_sell.within_days={world.rule_within_days}")
    found = {_name(rule.mode, rule.antecedent[0], rule.consequent): rule for rule in _rules(shop, config)}
    planted = {_name(rule.mode, rule.antecedent, rule.consequent): rule for rule in world.rules}
    return Outcome(
        planted=tuple(
            Planted(
                rule,
                enough=shop.expected[rule] >= ENOUGH,
                valid=name in found and found[name].valid,
                interval=_interval(found.get(name)),
            )
            for name, rule in planted.items()
        ),
        valid=frozenset(name for name, rule in found.items() if rule.valid),
        plain=frozenset(_plain_rules(shop, within=world.rule_within_days, min_customers=_min_customers(config))),
        true=frozenset(planted),
    )


def rates(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Shares of rules, of intervals and of shops; those of nothing are left out."""
    shops = list(outcomes)
    planted = [rule for shop in shops for rule in shop.planted]
    intervals = [rule for rule in planted if rule.interval is not None]
    shares = {
        "planted rules that are valid": [rule.valid for rule in planted if rule.enough],
        "intervals that cover the planted lift": [rule.covered for rule in intervals],
        **{
            f"of them, {mode}": [rule.covered for rule in intervals if rule.rule.mode == mode]
            for mode in ("same_occasion", "next_purchase")
        },
        "shops with a valid rule that is false": [bool(shop.valid - shop.true) for shop in shops],
        "valid rules that are false": [name not in shop.true for shop in shops for name in shop.valid],
        f"pairs of a plain lift above {PLAIN_LIFT} that are false": [
            name not in shop.true for shop in shops for name in shop.plain
        ],
    }
    return {name: float(np.mean(cases)) for name, cases in shares.items() if cases}


def _rules(shop: FragranceShop, config: ExperimentConfig) -> list[CrossSellRule]:
    """Rules of two items."""
    # Intake reads an empty cell as unknown.
    products = {name: np.where(values == "", None, values) for name, values in shop.products.items()}
    tables = {"transactions": shop.transactions, "products": products, "customers": shop.customers}
    with engine_of_tables(tables, {"transactions": TRANSACTIONS}) as engine:
        build_cycles(engine, config, progress=lambda _: None)
        rules, _ = find_rules(engine, config, progress=lambda _: None)
    return [rule for rule in rules if len(rule.antecedent) == 1]


def _plain_rules(shop: FragranceShop, *, within: int, min_customers: int) -> Iterator[Name]:
    """Pairs that enough customers have bought and whose lift over all occasions alike is above ``PLAIN_LIFT``."""
    customer, day, sold = _occasions(shop)
    occasions = Occasions(customer, day, day // 30, within=within, last_day=shop.world.days - 1)
    until = {item: occasions.days_until_first(np.flatnonzero(held)) for item, held in sold.items()}
    for first, second in permutations(sold, 2):
        x, y = sold[first], sold[second]
        new = until[second] > 0
        followed = new & (until[second] <= within)
        cases = {"next_purchase": (new, x, followed)} | (
            {"same_occasion": (np.ones_like(x), x, y)} if first < second else {}
        )
        for mode, (among, antecedent, consequent) in cases.items():
            both = among & antecedent & consequent
            counts = RuleCounts(
                int(among.sum()), int((among & antecedent).sum()), int((among & consequent).sum()), int(both.sum())
            )
            if np.unique(customer[both]).size >= min_customers and counts.lift > PLAIN_LIFT:
                yield _name(mode, first, second)


def _occasions(shop: FragranceShop) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Customer and day of each occasion, by both, and which of them hold each category."""
    lines = shop.transactions
    category = dict(zip(shop.products["product_id"], shop.products["category"], strict=True))
    day = lines["ordered_at"].astype("datetime64[D]").astype(np.int64) - np.datetime64(shop.world.start).astype(
        np.int64
    )
    keys, row = np.unique(
        np.stack([np.unique(lines["customer_id"], return_inverse=True)[1], day]), axis=1, return_inverse=True
    )
    items = np.array([category[product] for product in lines["product_id"]])
    sold = {str(item): np.bincount(row[items == item], minlength=keys.shape[1]) > 0 for item in np.unique(items)}
    return keys[0], keys[1], sold


def _min_customers(config: ExperimentConfig) -> int:
    assert config.cross_sell is not None
    return config.cross_sell.min_customers


def _name(mode: str, first: str, second: str) -> Name:
    return (mode, *(sorted((first, second)) if mode == "same_occasion" else (first, second)))


def _interval(rule: CrossSellRule | None) -> tuple[float, float] | None:
    if rule is None or rule.lift.ci_low is None or rule.lift.ci_high is None:
        return None
    return rule.lift.ci_low, rule.lift.ci_high


def main() -> None:
    """Prints the rates."""
    parser = argparse.ArgumentParser(description="What cross-sell finds in fragrance shops whose rules are known.")
    parser.add_argument("--shops", type=int, default=100)
    parser.add_argument(
        "--first-seed", type=int, default=1, help="seed of the first shop, to go on where a run stopped"
    )
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--null", action="store_true", help="no rule is planted")
    arguments = parser.parse_args()
    world = FragranceWorld().null() if arguments.null else FragranceWorld()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.shops)
    shops: list[Outcome] = []
    for seed, one in zip(seeds, outcomes(world, seeds, customers=arguments.customers), strict=True):
        shops.append(one)
        enough = [rule.valid for rule in one.planted if rule.enough]
        false = len(one.valid - one.true)
        print(f"seed {seed}: {sum(enough)} of {len(enough)} planted rules are valid, {false} are false", flush=True)
    for name, rate in rates(shops).items():
        print(f"{name:55s} {rate:7.3f}")


if __name__ == "__main__":
    main()
