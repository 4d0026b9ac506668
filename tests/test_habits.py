"""Habits: planted differences are found, nothing is found where there is none, and the sums are those of an obvious loop."""

from __future__ import annotations

import dataclasses
import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shops import TRANSACTIONS, day, engine_of_tables, read_config

from segmentor.cycles import build_cycles, day_number
from segmentor.habits import adjust_habits, measure_habits, prepare_habits, score_habits
from segmentor.labelling import label_customers
from segmentor.populations import prepare_population
from segmentor.result import Habit, Interval, Trial
from segmentor.result.codes import HABITS
from segmentor.splits import declared_splits, make_label_sources
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.multiplicity import benjamini_yekutieli
from segmentor.statistics.score_tests import test_scores as score_tests
from segmentor.wording import Message

UNTIL = 400

FIRST = "    - {name: first, known: first_purchase, groups: {p: \"product_id = 'p'\", q: \"product_id = 'q'\"}}\n"

Shop = dict[str, list[object]]


def shop(
    customers: int, *, seed: int = 1, dearer: float = 1.0, groups: str = "pq", weekend: float = 0.0, once: bool = False
) -> Shop:
    """Customers whose first product is their group, and who then buy what, when and for how much comes, whatever it was.

    Args:
        customers: Number of customers.
        seed: Of the draws.
        dearer: How many times as much group q spends later.
        groups: First products.
        weekend: Share of the later orders of group q that move to the next Saturday.
        once: Whether nobody comes back.
    """
    generator = np.random.default_rng(seed)
    table: Shop = {name: [] for name in (*TRANSACTIONS, "discount", "category")}
    for number in range(customers):
        group = groups[generator.integers(len(groups))]
        taste, purse = generator.dirichlet((2, 2, 1)), 30 * np.exp(0.4 * generator.standard_normal())
        at, orders = int(generator.integers(0, 200)), int(generator.geometric(0.3))
        for order in range(1 if once else orders):
            if order and group == "q" and generator.random() < weekend:
                at += (5 - (at % 7)) % 7
            if at > UNTIL:
                break
            factor = dearer if group == "q" and order else 1.0
            for line in range(1 + generator.integers(2)):
                amount = round(purse * factor * float(np.exp(0.5 * generator.standard_normal())), 2)
                row: Mapping[str, object] = {
                    "customer_id": f"c{number:04d}",
                    "order_id": f"o{number}-{order}",
                    "ordered_at": day(at),
                    "product_id": group if order == 0 and line == 0 else f"x{generator.integers(9)}",
                    "quantity": 1 + int(generator.random() < 0.2),
                    "amount": amount,
                    "discount": "1.5" if generator.random() < 0.2 else "0",
                    "category": "abc"[generator.choice(3, p=taste)],
                }
                for name, value in row.items():
                    table[name].append(value)
            at += 1 + int(generator.gamma(2, 15))
    return table


def measured(
    folder: Path,
    table: Shop,
    splits: str = FIRST,
    *,
    customers: Mapping[str, Sequence[object]] | None = None,
    roles: str = "order: order_id, product: product_id, quantity: quantity, amount: amount",
    cycle: str = "",
) -> list[dict[str, Habit]]:
    """Habits by name of every declared split, the surest first."""
    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL)
    text = (
        "experiment: shop\ndata:\n  transactions:\n    path: t.csv\n"
        f"    columns: {{customer: customer_id, time: ordered_at, {roles}}}\n"
        + ("  customers: {path: c.csv, columns: {customer: id}}\n" if customers else "")
        + f"cycle: {{observed_until: {last}{cycle}}}\nsplits:\n  declared:\n{splits}"
    )
    config = read_config(folder, text)
    arrays = {
        name: {
            column: np.array([None if value is None else str(value) for value in values], dtype=object)
            for column, values in columns.items()
        }
        for name, columns in {"transactions": table, **({"customers": customers} if customers else {})}.items()
    }
    with engine_of_tables(arrays, {"transactions": TRANSACTIONS}) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        declared = declared_splits(config, columns)
        make_label_sources(engine, config, columns, declared)
        until = day_number(datetime.date.fromisoformat(summary.observed_until))
        zeros = {split.time_zero for split in declared}
        populations = {zero: prepare_population(engine, config, zero, observed_until=until) for zero in zeros}
        sources = prepare_habits(engine, config, columns)
        scores = {zero: score_habits(engine, sources, zero) for zero in zeros}
        found = []
        for split in declared:
            groups = label_customers(engine, config, split, populations[split.time_zero]).groups
            habits = measure_habits(engine, scores[split.time_zero], split, groups)
            found.append({habit.name: habit for habit in habits})
    return found


def orders(table: Shop, *, after: int = 1) -> dict[str, list[list[dict[str, object]]]]:
    """Each customer's orders after the first ones, as lists of lines."""
    days: dict[str, dict[object, list[dict[str, object]]]] = defaultdict(lambda: defaultdict(list))
    for values in zip(*table.values(), strict=True):
        line = dict(zip(table, values, strict=True))
        days[str(line["customer_id"])][line["ordered_at"]].append(line)
    return {customer: [own[at] for at in sorted(own)][after:] for customer, own in days.items()}  # type: ignore[type-var]


def holds(interval: Interval, truth: float) -> bool:
    """Whether the truth lies within."""
    assert interval.ci_low is not None
    assert interval.ci_high is not None
    return interval.ci_low < truth < interval.ci_high


def test_scores_means_and_tests_equal_an_obvious_computation(tmp_path: Path) -> None:
    """Every habit's test and means are those of single customers' means over their later orders, to the fixed point's grain."""
    table = shop(500, dearer=1.1)
    (habits,) = measured(tmp_path, table)
    later = {customer: own for customer, own in orders(table).items() if own}
    first: dict[object, tuple[bool, Any]] = {}
    for customer, product, at in zip(table["customer_id"], table["product_id"], table["ordered_at"], strict=True):
        first.setdefault(customer, (str(product) == "q", at))
    for customer, product in zip(table["customer_id"], table["product_id"], strict=True):
        if product in ("p", "q"):
            first[customer] = (product == "q", first[customer][1])
    values = {
        "order value": [sum(float(str(line["amount"])) for line in order) for own in later.values() for order in own],
        "items per order": [
            sum(int(str(line["quantity"])) for line in order) for own in later.values() for order in own
        ],
        "products per order": [len({line["product_id"] for line in order}) for own in later.values() for order in own],
        "weekend share": [order[0]["ordered_at"].weekday() >= 5 for own in later.values() for order in own],  # type: ignore[attr-defined]
    }
    owner = np.repeat(np.arange(len(later)), [len(own) for own in later.values()])
    scores = {}
    for name, several in values.items():
        each = np.array(several, dtype=float)
        if name != "weekend share":
            each = np.minimum(
                each,
                max(np.quantile(each, 0.99, method="inverted_cdf"), 5 * np.quantile(each, 0.5, method="inverted_cdf")),
            )
        scores[name] = np.bincount(owner, each) / np.bincount(owner)
    for name, column, wanted in [
        ("discount share", "discount", "1.5"),
        *((f"category: {kind}", "category", kind) for kind in "abc"),
    ]:
        scores[name] = np.array(
            [np.mean([line[column] == wanted for order in own for line in order]) for own in later.values()]
        )
    assert set(habits) == set(scores)
    groups = np.array([int(first[customer][0]) for customer in later])
    months = [(first[customer][1].year, first[customer][1].month) for customer in later]
    cohorts = np.unique([12 * year + month for year, month in months], return_inverse=True)[1]
    dummies = np.hstack([np.eye(cohorts.max() + 1)[cohorts], groups[:, None]])
    for name, score in scores.items():
        habit = habits[name]
        expected = score_tests(GroupSums.from_scores(score[None], groups, cohorts))
        assert habit.p_value == pytest.approx(expected.p_value, rel=1e-3), name
        assert habit.customers == len(later)
        assert habit.difference.estimate == pytest.approx(
            np.linalg.lstsq(dummies, score, rcond=None)[0][-1], abs=1e-5 * score.max()
        )
        assert habit.means[0] is not None
        assert habit.means[1] is not None
        assert habit.means[1] - habit.means[0] == pytest.approx(habit.difference.estimate)
        assert (habit.first, habit.second) == ("p", "q")


def test_a_planted_difference_is_found_and_nothing_else(tmp_path: Path) -> None:
    """Where group q spends 20 % more later, the order value says so, by as much, and no other habit does."""
    (habits,) = measured(tmp_path, shop(1500, dearer=1.2))
    value = habits["order value"]
    assert next(iter(habits)) == "order value"
    assert value.p_value < 1e-4
    assert value.means[0] is not None
    assert holds(value.difference, 0.2 * value.means[0])
    assert value.standardised.ci_low is not None
    assert value.standardised.ci_low > 0
    assert value.unit == "money"
    assert min(habit.p_value for name, habit in habits.items() if name != "order value") > 0.01
    assert {name for name in habits if ": " not in name} <= set(HABITS)


def test_the_first_purchase_is_no_habit(tmp_path: Path) -> None:
    """What makes the label does not test it: a first order ten times as dear moves nothing."""
    table = shop(600)
    seen = set()
    dear = dict(table)
    dear["amount"] = []
    group = {c: p for c, p in zip(table["customer_id"], table["product_id"], strict=True) if p in ("p", "q")}
    for customer, order, amount in zip(table["customer_id"], table["order_id"], table["amount"], strict=True):
        seen.add(customer)
        first = str(order).endswith("-0") and group[customer] == "q"
        dear["amount"].append(10 * float(str(amount)) if first else amount)
    assert measured(tmp_path, dear) == measured(tmp_path, table)


def test_a_habit_of_the_weekend_is_found(tmp_path: Path) -> None:
    """A group whose later orders move to Saturday differs in its share of weekends."""
    (habits,) = measured(tmp_path, shop(800, weekend=0.4))
    assert next(iter(habits)) == "weekend share"
    difference = habits["weekend share"].difference.estimate
    assert difference is not None
    assert 0.15 < difference < 0.5


def test_an_attribute_is_a_share_and_the_one_that_makes_the_split_is_left_out(tmp_path: Path) -> None:
    """Regions that go with a group differ in its shares, hostile names and all; a split by region has no region as a habit."""
    table = shop(900)
    names = sorted({str(name) for name in table["customer_id"]})
    group = {c: p for c, p in zip(table["customer_id"], table["product_id"], strict=True) if p in ("p", "q")}
    generator = np.random.default_rng(4)
    hostile = 'l\'été "x" %; --'
    regions = [hostile if generator.random() < (0.5 if group[name] == "q" else 0.3) else "south" for name in names]
    channels = ["web" if generator.random() < 0.5 else None for _ in names]
    customers = {"id": names, "Region": regions, "channel": [channel or "shop" for channel in channels]}
    by_region = "    - {name: place, known: entry, by: Region}\n"
    first, place = measured(tmp_path, table, FIRST + by_region, customers=customers)
    habit = first[f"region: {hostile}"]
    assert habit.p_value < 1e-5
    assert habit.unit == "share"
    assert holds(habit.difference, 0.2)
    assert habit.customers > first["order value"].customers
    assert first["channel: web"].p_value > 0.01
    assert not any(name.startswith("region") for name in place)
    assert "channel: web" in place


def test_a_channel_of_the_orders_is_a_share_of_the_later_ones(tmp_path: Path) -> None:
    """Where a channel moves with the order it is a mix of the later lines, like a category."""
    table = shop(500)
    generator = np.random.default_rng(2)
    table["channel"] = ["web" if generator.random() < 0.7 else "store" for _ in table["amount"]]
    (habits,) = measured(tmp_path, table)
    assert habits["channel: web"].means[0] == pytest.approx(0.7, abs=0.05)
    assert habits["channel: store"].p_value == pytest.approx(habits["channel: web"].p_value, rel=1e-6)


def test_one_wholesale_order_makes_no_mean(tmp_path: Path) -> None:
    """An order of a thousand million, and one of a million pieces, hardly move a mean."""
    table = shop(600)
    (plain,) = measured(tmp_path, table)
    place = max(place for place, order in enumerate(table["order_id"]) if str(order).endswith("-2"))
    table["amount"][place], table["quantity"][place] = 1e9, 1_000_000
    (struck,) = measured(tmp_path, table)
    for name in ("order value", "items per order"):
        for before, after in zip(plain[name].means, struck[name].means, strict=True):
            assert after == pytest.approx(before, rel=0.02)


def test_season_and_tenure_make_no_habit(tmp_path: Path) -> None:
    """A group that entered later, when everybody spends more, does not differ from those who entered with it."""
    generator = np.random.default_rng(8)
    table: Shop = {name: [] for name in (*TRANSACTIONS, "discount", "category")}
    for number in range(1500):
        at = int(generator.integers(0, 300))
        group = "q" if generator.random() < (0.8 if at > 150 else 0.2) else "p"
        for order in range(3):
            amount = round((50 if at > 150 else 25) + 10 * float(generator.random()), 2)
            row = (
                f"c{number}",
                f"o{number}-{order}",
                day(at + 20 * order),
                group if order == 0 else "x",
                1,
                amount,
                "0",
                "a",
            )
            for values, value in zip(table.values(), row, strict=True):
                values.append(value)
    (habits,) = measured(tmp_path, table)
    value = habits["order value"]
    assert value.p_value > 0.01
    assert value.difference.estimate == pytest.approx(0, abs=1)


def test_small_groups_take_no_part(tmp_path: Path) -> None:
    """Of three groups the one with fewer than 30 known customers has no mean, and the others are compared."""
    table = shop(400, dearer=1.5)
    rare = {f"c{number:04d}" for number in range(20)}
    table["product_id"] = [
        "r" if customer in rare and str(order).endswith("-0") and product in ("p", "q") else product
        for customer, order, product in zip(table["customer_id"], table["order_id"], table["product_id"], strict=True)
    ]
    three = FIRST.replace("}}", ", r: \"product_id = 'r'\"}}")
    (habits,) = measured(tmp_path, table, three)
    value = habits["order value"]
    assert value.means[2] is None
    assert {value.first, value.second} == {"p", "q"}
    assert value.p_value < 1e-4


def test_three_groups_name_the_pair_furthest_apart(tmp_path: Path) -> None:
    """Of three groups the one that spends more is one of the pair, and there is one p-value."""
    (habits,) = measured(
        tmp_path, shop(1500, dearer=1.4, groups="pqr"), FIRST.replace("}}", ", r: \"product_id = 'r'\"}}")
    )
    value = habits["order value"]
    assert None not in value.means
    assert "q" in (value.first, value.second)
    assert value.p_value < 1e-6
    pair = value.means["pqr".index(value.second)], value.means["pqr".index(value.first)]
    assert pair[0] is not None
    assert pair[1] is not None
    assert value.difference.estimate == pytest.approx(pair[0] - pair[1])


def test_a_label_known_at_a_date_is_tested_on_what_follows(tmp_path: Path) -> None:
    """With ``until`` only occasions on the date or later count, the date's own included."""
    split = FIRST.replace("first_purchase", "{until: 2024-05-01}")
    table = shop(700)
    cut = datetime.datetime(2024, 5, 1)
    early = [isinstance(at, datetime.datetime) and at < cut for at in table["ordered_at"]]
    changed = dict(table)
    changed["amount"] = [1 if before else amount for before, amount in zip(early, table["amount"], strict=True)]
    (before,) = measured(tmp_path, table, split)
    assert before["order value"].p_value > 0.001
    assert measured(tmp_path, changed, split)[0] == before
    changed["amount"] = [1 if not before else amount for before, amount in zip(early, table["amount"], strict=True)]
    (flat,) = measured(tmp_path, changed, split)
    assert flat["order value"].means != before["order value"].means


def test_nobody_came_back(tmp_path: Path) -> None:
    """Where all buy once there is nothing to compare but what is fixed for a customer."""
    table = shop(300, once=True)
    names = sorted({str(name) for name in table["customer_id"]})
    customers = {"id": names, "city": ["a" if number % 3 else "b" for number in range(len(names))]}
    assert measured(tmp_path, table) == [{}]
    (habits,) = measured(tmp_path, table, customers=customers)
    assert set(habits) == {"region: a", "region: b"}


def test_a_shop_with_only_customers_and_times_has_few_habits(tmp_path: Path) -> None:
    """Without money, products and categories the weekend is left."""
    table = shop(400)
    lines: Shop = {
        "customer_id": table["customer_id"],
        "ordered_at": table["ordered_at"],
        "source_group": table["product_id"],
    }
    splits = "    - {name: a, known: first_purchase, groups: {p: \"source_group = 'p'\", q: \"source_group = 'q'\"}}\n"
    (habits,) = measured(tmp_path, lines, splits, roles="")
    assert set(habits) <= {"items per order", "weekend share"}
    assert "weekend share" in habits


def test_the_order_of_rows_and_the_number_of_threads_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shuffled lines and another number of threads give the same records, to the last bit."""
    table = shop(300)
    order = np.random.default_rng(5).permutation(len(table["amount"]))
    shuffled = {name: [values[place] for place in order] for name, values in table.items()}
    monkeypatch.setenv("SEGMENTOR_THREADS", "1")
    alone = measured(tmp_path, table, cycle=", merge_within_days: 3")
    monkeypatch.setenv("SEGMENTOR_THREADS", "4")
    assert measured(tmp_path, shuffled, cycle=", merge_within_days: 3") == alone


def test_columns_with_the_names_of_ours_are_read(tmp_path: Path) -> None:
    """A shop whose columns are called like what we compute gets the same numbers."""
    table = shop(300)
    (plain,) = measured(tmp_path, table)
    names = {"amount": "lines", "quantity": "amount", "discount": "discount", "category": "m0", "order_id": "customer"}
    other: Shop = {names.get(name, name): values for name, values in table.items()}
    other.update(
        products=["1"] * len(order_ids) if (order_ids := table["order_id"]) else [], half_0=["x"] * len(order_ids)
    )
    roles = "order: customer, product: product_id, quantity: amount, amount: pieces"
    other["pieces"] = other.pop("lines")
    other["category"] = other.pop("m0")
    (found,) = measured(tmp_path, other, roles=roles)
    for name, habit in plain.items():
        assert found[name].p_value == pytest.approx(habit.p_value, rel=1e-6), name


@pytest.mark.parametrize("groups", [(0.5, 0.5), (0.7, 0.15, 0.15)])
def test_labels_that_mean_nothing_are_left_in_peace(tmp_path: Path, groups: tuple[float, ...]) -> None:
    """Over 4 shops with 12 labels each, all drawn at random, 5 % of p-values are below 0.05 and of intervals without 0."""
    raw, apart, false = [], [], 0
    for seed in range(4):
        table = shop(400, seed=100 + seed)
        names = sorted({str(name) for name in table["customer_id"]})
        generator = np.random.default_rng(200 + seed)
        drawn = {
            f"x{number}": generator.choice(list("pqr")[: len(groups)], len(names), p=groups) for number in range(12)
        }
        splits = "".join(f"    - {{name: {name}, known: entry, by: {name}}}\n" for name in drawn)
        customers = {"id": names, **{name: values.tolist() for name, values in drawn.items()}}
        for habits in measured(tmp_path, table, splits, customers=customers):
            p_values = np.array([habit.p_value for habit in habits.values()])
            assert len(p_values) == 8
            raw += p_values.tolist()
            apart += [not holds(habit.difference, 0) for habit in habits.values()]
            false += bool((benjamini_yekutieli(p_values) < 0.05).any())
    assert 0.03 < np.mean(np.array(raw) < 0.05) < 0.08
    assert 0.02 < np.mean(apart) < 0.08
    assert false <= 4


def trial(name: str, habits: Sequence[Habit]) -> Trial:
    """A trial with those habits and nothing else."""
    return Trial(
        segment="all",
        split=name,
        source="declared",
        known="entry",
        definition=(),
        groups=(),
        not_known=0,
        verdict="inconclusive",
        reasons=(),
        sentence=Message(""),
        habits=tuple(habits),
    )


def test_habits_are_adjusted_over_the_whole_run(tmp_path: Path) -> None:
    """P-values are adjusted over the habits of all trials together, and each trial's stand with the surest first."""
    (habits,) = measured(tmp_path, shop(300))
    several = list(habits.values())
    trials = adjust_habits([trial("a", several[::-1]), trial("none", ()), trial("b", several[:3])])
    expected = benjamini_yekutieli(np.array([habit.p_value for habit in (*several[::-1], *several[:3])]))
    assert [habit.name for habit in trials[0].habits] == list(habits)
    assert [habit.p_adjusted for habit in trials[0].habits] == list(expected[len(several) - 1 :: -1])
    assert [habit.p_adjusted for habit in trials[2].habits] == list(expected[len(several) :])
    assert trials[1].habits == ()
    assert dataclasses.replace(trials[0].habits[0], p_adjusted=several[0].p_value) == several[0]
    assert adjust_habits([]) == ()
