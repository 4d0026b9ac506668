"""Effects of many splits at once: from gaps in memory comes what the engine says of each split alone."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from shops import engine_of_tables, read_config

from segmentor import gap_sums
from segmentor.config import ExperimentConfig
from segmentor.cycles import TimeZero, build_cycles, day_number
from segmentor.engine.duckdb import Engine
from segmentor.evidence import NO_VARIANCE, Evidence, PopulationInMemory, gather
from segmentor.example import config_folder
from segmentor.gap_sums import fetch_gaps, gaps_in_engine
from segmentor.labelling import MembersInMemory, label_by_codes, label_customers
from segmentor.populations import Population, half_of, prepare_population
from segmentor.result import Interval
from segmentor.splits import Codes, Split, declared_splits, make_label_sources
from segmentor.statistics.survival import DayValues
from segmentor.synthetic import FragranceWorld, simulate_fragrance

TRANSACTIONS = {"ordered_at": "timestamp", "quantity": "decimal(18,4)", "amount": "decimal(18,4)"}
DATE = "2025-02-01"
MORE = f"""
    - {{name: size again, known: {{first_purchases: 2}}, groups: {{sample: "size = 'sample'", other: 'true'}}}}
    - {{name: tier, known: first_purchase, by: price_tier}}
    - {{name: brand, known: first_purchase, by: brand}}
    - {{name: sampler, known: {{until: {DATE}}}, groups: {{sampler: "size = 'sample'", other: 'true'}}}}
    - name: sizes
      known: {{until: {DATE}}}
      groups: {{"men's": "size = 'sample' and gender = 'men'", sample: "size = 'sample'", other: 'true'}}
    - {{name: status, known: entry, by: status}}
    - {{name: month, known: entry, by: month}}
    - {{name: key, known: entry, by: customer_id}}
    - {{name: one, known: first_purchase, groups: {{some: 'true', others: 'false'}}}}
    - {{name: rare, known: entry, groups: {{few: "customer_id < 'C000030'", many: 'true'}}}}

"""
CUSTOMERS = 2_500


@dataclasses.dataclass(frozen=True)
class World:
    """A fragrance shop in the engine, with the populations that are asked for."""

    engine: Engine
    config: ExperimentConfig
    declared: tuple[Split, ...]
    observed_until: int
    made: dict[TimeZero, Population]

    def whole(self, zero: TimeZero) -> Population:
        """All customers of a time zero."""
        if zero not in self.made:
            self.made[zero] = prepare_population(self.engine, self.config, zero, observed_until=self.observed_until)
        return self.made[zero]

    def confirmation(self, zero: TimeZero) -> Population:
        """The half that confirms."""
        return half_of(self.engine, self.config, self.whole(zero), seed_no=0, half=1)

    def split(self, name: str) -> Split:
        """A split, with the names of its groups."""
        return self.coded(name)[0]

    def coded(self, name: str) -> tuple[Split, Codes]:
        """A split and the group of each customer."""
        (split,) = (one for one in self.declared if one.name == name)
        groups = dict(
            self.engine.rows(
                f"select customer_no, segment_group from ({split.labels}) join everyone using (customer)\n"
                "where segment_group is not null"
            )
        )
        names = split.groups or tuple(sorted(set(groups.values())))
        codes = np.full(CUSTOMERS, -1, dtype=np.int16)
        codes[list(groups)] = [names.index(group) for group in groups.values()]
        return dataclasses.replace(split, groups=names), codes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A shop whose customers' table also has a status made of the number of their orders, and the month in which they came."""
    shop = simulate_fragrance(FragranceWorld(), customers=CUSTOMERS, seed=4)
    customers, transactions = dict(shop.customers), shop.transactions
    number = np.array([int(name[1:]) - 1 for name in transactions["customer_id"]])
    orders = np.zeros(CUSTOMERS, dtype=int)
    np.add.at(orders, number[np.unique(transactions["order_id"], return_index=True)[1]], 1)
    entered = np.full(CUSTOMERS, "9999-99", dtype=object)
    for at, time in zip(number, transactions["ordered_at"], strict=True):
        entered[at] = min(entered[at], str(time)[:7])
    places = [int(name[1:]) - 1 for name in customers["customer_id"]]
    customers["status"] = np.array(
        [("bronze", "silver", "gold")[min(2, orders[at] // 3)] for at in places], dtype=object
    )
    customers["month"] = entered[places]
    text = (config_folder() / "fragrance.yaml").read_text(encoding="utf-8").replace("cross_sell:", f"{MORE}cross_sell:")
    config = read_config(tmp_path_factory.mktemp("shop"), text)
    tables = {"transactions": transactions, "products": shop.products, "customers": customers}
    with engine_of_tables(tables, {"transactions": TRANSACTIONS}) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        last = day_number(datetime.date.fromisoformat(summary.observed_until))
        yield World(engine, config, splits, last, {})


def many(
    world: World, population: Population, splits: list[tuple[Split, Codes]], *, detail: Any = "intervals"
) -> list[Evidence]:
    """The evidence of the splits, gathered at once."""
    in_memory = PopulationInMemory.fetch(world.engine, world.config, population)
    return [in_memory.measure(split, codes, detail=detail) for split, codes in splits]


def leaves(record: object) -> Iterator[object]:
    """All numbers and texts of a record, in order."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        for field in dataclasses.fields(record):
            yield from leaves(getattr(record, field.name))
    elif isinstance(record, (tuple, list, np.ndarray)):
        for one in record:
            yield from leaves(one)
    else:
        yield record


def assert_alike(one: object, other: object) -> None:
    """Two records say the same, numbers to 1e-9."""
    for first, second in zip(leaves(one), leaves(other), strict=True):
        if isinstance(first, float) and isinstance(second, float) and math.isfinite(first):
            assert first == pytest.approx(second, rel=1e-9, abs=1e-12)
        elif not (isinstance(first, float) and math.isnan(first)):
            assert first == second


TESTABLE = ("gender", "size", "region", "channel", "tier", "brand", "size again", "sampler", "sizes")


@pytest.mark.parametrize("name", TESTABLE)
def test_evidence_of_many_is_that_of_each_alone(world: World, name: str) -> None:
    """Sizes, comparability, curves and all intervals equal what the engine's sums give, for two groups and more, before a date too."""
    split, codes = world.coded(name)
    population = world.confirmation(split.time_zero)
    alone = gather(world.engine, world.config, split, population, halves=False)
    (found,) = many(world, population, [(split, codes)], detail="curves")
    assert alone.effects is not None
    assert found.test is None
    assert_alike(found, dataclasses.replace(alone, test=None))


@pytest.mark.parametrize("name", TESTABLE)
def test_the_test_is_that_of_the_split_labelled_by_its_conditions(world: World, name: str) -> None:
    """Groups that are known by number have the same test and the same intervals as those that the engine reads off the lines."""
    split, codes = world.coded(name)
    population = world.confirmation(split.time_zero)
    alone = gather(world.engine, world.config, split, population, halves=False, detail="intervals")
    found = PopulationInMemory.fetch(world.engine, world.config, population).gather(split, codes)
    assert alone.test is not None
    assert found.test == alone.test
    assert_alike(found, alone)


@pytest.mark.parametrize("name", ["status", "month", "key", "one", "rare"])
def test_obstacles_are_those_of_each_alone(world: World, name: str) -> None:
    """A status made of later purchases, months that share no cohort, keys, a lonely and a small group are refused with the same words."""
    split, codes = world.coded(name)
    population = world.whole(split.time_zero)
    alone = gather(world.engine, world.config, split, population, halves=False)
    (found,) = many(world, population, [(split, codes)])
    assert alone.obstacle is not None
    assert found == alone


def test_the_obstacles_differ(world: World) -> None:
    """Each of these splits is refused for a reason of its own."""
    found = [
        many(world, world.whole(TimeZero()), [world.coded(name)])[0].obstacle
        for name in ("status", "month", "key", "one", "rare")
    ]
    assert [obstacle and obstacle[0] for obstacle in found] == [
        "circular",
        "not comparable",
        "too many groups",
        "one group",
        "too few customers",
    ]


def test_customers_who_are_all_alike_cannot_be_tested(world: World) -> None:
    """Labels of customers with one score, or of cohorts that hold one group each, leave no variance."""
    population = world.whole(TimeZero())
    members = MembersInMemory.fetch(world.engine, population)
    codes = np.full(CUSTOMERS, -1, dtype=np.int16)
    _, alike, sizes = np.unique(
        np.vstack([members.scores, members.cohort]), axis=1, return_inverse=True, return_counts=True
    )
    own = members.customer_no[alike == sizes.argmax()]
    codes[own] = np.arange(len(own)) % 2
    assert len(own) > 2
    assert not members.differ(codes)
    other = np.flatnonzero(members.cohort == members.cohort[alike == sizes.argmax()][0])
    codes[members.customer_no[other]] = other % 2
    assert members.differ(codes)
    codes[members.customer_no] = members.cohort % 2
    assert not members.differ(codes)
    assert NO_VARIANCE[0] == "no variance"


@pytest.mark.parametrize("effect", ["typical_customer", "typical_gap"])
@pytest.mark.parametrize("name", ["region", "sizes"])
def test_sums_in_memory_are_those_of_the_engine(world: World, name: str, effect: str) -> None:
    """Weights and customers at risk are equal to the last unit, in halves too, and sums of squares to 1e-12."""
    cycle = world.config.cycle
    advanced = cycle.advanced.model_copy(update={"effect": effect})
    config = world.config.model_copy(update={"cycle": cycle.model_copy(update={"advanced": advanced})})
    split, codes = world.coded(name)
    codes[::7] = -1
    population = world.whole(split.time_zero)
    label_by_codes(world.engine, population, codes)
    n_groups = len(split.groups)
    there = gaps_in_engine(world.engine, config, population, n_groups=n_groups)
    here = [gaps.grouped(codes, n_groups=n_groups) for gaps in fetch_gaps(world.engine, config, population)]
    generator = np.random.default_rng(3)
    length = population.last_day + 1
    assert len(there) == len(here) == (1 if population.until is None else 2)
    for one, other in zip(there, here, strict=True):
        for half in (None, 0, 3):
            np.testing.assert_array_equal(one.life(half=half), other.life(half=half))
        np.testing.assert_array_equal(one.customers_at_risk(), other.customers_at_risk())
        values = {
            group: [DayValues(*generator.standard_normal((2, length))) for _ in range(3)] for group in (0, n_groups - 1)
        }
        first, second = one.sums_of_squares(values), other.sums_of_squares(values)
        for group in values:
            np.testing.assert_allclose(second[group], first[group], rtol=1e-12)


def test_too_many_gaps_are_summed_in_the_engine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound nothing is fetched, and the evidence is the same."""
    splits = [world.coded(name) for name in ("region", "size")]
    population = world.confirmation(TimeZero())
    fetched = many(world, population, splits)
    monkeypatch.setattr(gap_sums, "MAX_GAPS_IN_MEMORY", 1_000)
    assert fetch_gaps(world.engine, world.config, population) == ()
    for one, other in zip(many(world, population, splits), fetched, strict=True):
        assert_alike(one, other)


def test_less_detail_leaves_the_rest_as_it_is(world: World) -> None:
    """Intervals alone are those that stand beside curves; a direction has their estimates and no bounds; neither has a naive p."""
    split = world.split("region")
    population = world.confirmation(split.time_zero)
    curves, intervals, direction = (
        gather(world.engine, world.config, split, population, halves=False, detail=detail)
        for detail in ("curves", "intervals", "direction")
    )
    assert curves.effects is not None
    assert intervals.effects is not None
    assert direction.effects is not None
    assert intervals.effects.pairs == curves.effects.pairs
    assert intervals.effects.groups == tuple(dataclasses.replace(group, curve=None) for group in curves.effects.groups)
    assert direction.effects.groups == direction.groups
    for one, other in zip(direction.effects.pairs, curves.effects.pairs, strict=True):
        assert (one.first, one.second) == (other.first, other.second)
        assert one.ratio == Interval(other.ratio.estimate, None, None)
        assert one.share_difference == Interval(other.share_difference.estimate, None, None)
    np.testing.assert_array_equal(direction.effects.log_ratios.difference, curves.effects.log_ratios.difference)
    assert curves.test is not None
    assert curves.test.naive_p_value is not None
    assert intervals.test == direction.test == dataclasses.replace(curves.test, naive_p_value=None)


@pytest.mark.parametrize("name", ["size again", "size", "channel"])
def test_a_label_counts_from_a_date_on_if_it_was_known_before(world: World, name: str) -> None:
    """Customers who made the purchases of the label on the date or later are not known there; what is fixed at entry always is."""
    split, codes = world.coded(name)
    zero = world.split("sampler").time_zero
    population = world.whole(zero)
    labelled = label_customers(world.engine, world.config, split, population)
    own = {number for (number,) in world.engine.rows("select customer_no from labels")}
    known = world.engine.rows(
        f"select customer_no from members_{population.suffix} join everyone using (customer_no)\n"
        f"join _occasions on _customer = customer where _number = {split.time_zero.purchases} and _start < {zero.until}"
    )
    assert own == {number for (number,) in known if codes[number] >= 0}
    assert labelled.not_known == population.members - len(own)
    assert labelled.no_follow_up == 0
    alone = gather(world.engine, world.config, split, population, halves=False, detail="intervals")
    (found,) = many(world, population, [(split, codes)])
    assert_alike(found, dataclasses.replace(alone, test=None))


def test_a_node_of_a_tree_is_a_population(world: World) -> None:
    """Among the customers of one group another split has the evidence of these alone; nobody outside of them lacks follow-up."""
    engine, whole = world.engine, world.whole(TimeZero())
    _, sizes = world.coded("size")
    inside = np.flatnonzero(sizes == 0)
    engine.put("node", {"customer_no": inside.astype(np.int32)})
    for table in ("gaps", "members", "reached", "scores"):
        engine.execute(
            f"create or replace view {table}_node as select * from {table}_{whole.suffix} join node using (customer_no)"
        )
    members = int(engine.scalar("select count(*) from members_node"))
    population = dataclasses.replace(whole, suffix="node", members=members)
    split, codes = world.coded("channel")
    alone = gather(engine, world.config, split, population, halves=False, detail="intervals")
    outside = np.ones(CUSTOMERS, dtype=bool)
    outside[inside] = False
    (found,) = many(world, population, [(split, np.where(outside, np.int16(-1), codes))])
    assert alone.effects is not None
    assert_alike(found, dataclasses.replace(alone, test=None))
    assert alone.no_follow_up == len(inside) - members
    assert sum(group.customers for group in alone.groups) == members


def test_the_order_of_gaps_and_splits_does_not_matter(world: World) -> None:
    """The same splits in another order, of gaps that lie in another order, have the same evidence to the last bit."""
    splits = [world.coded(name) for name in ("region", "size", "channel")]
    population = world.confirmation(TimeZero())
    first = many(world, population, splits)
    world.engine.execute(
        f"create or replace table turned as select * from gaps_{population.suffix} order by duration, customer_no desc"
    )
    world.engine.execute(f"create or replace view gaps_{population.suffix} as select * from turned")
    for one, other in zip(many(world, population, splits[::-1])[::-1], first, strict=True):
        assert list(leaves(one)) == list(leaves(other))
