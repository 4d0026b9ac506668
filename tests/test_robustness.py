"""Robustness: the effect and the test of a split in parts of the customers and of the time are those of the parts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from shops import CONFIG, engine_of_tables, read_config

from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.effects import measure_effects
from segmentor.engine.duckdb import Engine
from segmentor.populations import SCORE_UNIT, Population
from segmentor.result import GroupEffect, Interval, Subset
from segmentor.result.codes import SUBSETS
from segmentor.robustness import measure_robustness
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.score_tests import test_scores as score_tests
from segmentor.statistics.survival import (
    LifeTable,
    customer_sums,
    mean_cycle,
    mean_cycle_influence,
    survival,
    survival_influence,
)

FIRST, LAST = 19_723, 19_723 + 520
"""2024-01-01, and the last day of observation."""

TAU = 60
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Shop:
    """Customers with group, day of time zero, region, half and scores, and their gaps: whose, when they begin, how long, whether ended."""

    groups: IntArray
    zero: IntArray
    regions: np.ndarray
    halves: IntArray
    scores: IntArray
    customers: IntArray
    begins: IntArray
    durations: IntArray
    events: IntArray

    @property
    def months(self) -> IntArray:
        """Month of time zero, counted from January 2024."""
        return self.zero.astype("datetime64[D]").astype("datetime64[M]").astype(int) - (2024 - 1970) * 12


def shop(customers: int = 1500, *, south: float = 1.5, seed: int = 3, groups: int = 2) -> Shop:
    """Customers of unequal rates who enter over 16 months; in the south the second group's cycles are ``south`` times as long, elsewhere 1.5."""
    generator = np.random.default_rng(seed)
    group = generator.integers(0, groups, customers)
    zero = FIRST + np.sort(generator.integers(0, 480, customers))
    region = generator.choice(np.array(["north", "south", None], dtype=object), customers, p=[0.45, 0.45, 0.1])
    rows = []
    for number in range(customers):
        longer = south if region[number] == "south" else 1.5
        scale = 10 * np.exp(0.5 * generator.standard_normal()) * (longer if group[number] == 1 else 1.0)
        at = int(zero[number])
        while at < LAST:
            after = at + max(1, round(generator.gamma(2, scale)))
            leaves = generator.random() < 0.15
            ended = after <= LAST and not leaves
            rows.append((number, at, (after if ended else LAST) - at, int(ended)))
            at = after if ended else LAST
    scores = generator.standard_normal((2, customers)) ** 3 - 0.2 * group
    halves = generator.integers(0, 2, customers)
    return Shop(group, zero, region, halves, np.rint(scores * SCORE_UNIT).astype(np.int64), *np.array(rows).T)


def members(customers: IntArray, events: IntArray) -> dict[str, np.ndarray]:
    """The table of customers with a gap: complete gaps and the weight of each."""
    cycles = np.bincount(customers, events).astype(np.int64)
    numbers = np.unique(customers)
    return {"customer_no": numbers, "cycles": cycles[numbers], "weight": WEIGHT_UNIT // np.maximum(cycles[numbers], 1)}


@contextmanager
def engine_with(one: Shop, labelled: np.ndarray | None = None) -> Iterator[Engine]:
    """An engine with the population's tables, and the labels of all or of some customers."""
    chosen = np.flatnonzero(
        np.isin(np.arange(len(one.groups)), one.customers) & (True if labelled is None else labelled)
    )
    own = members(one.customers, one.events)
    place = np.searchsorted(own["customer_no"], chosen)
    known = np.array([region is not None for region in one.regions])
    gaps = {
        "customer_no": one.customers,
        "begins": one.begins,
        "duration": one.durations,
        "entry_age": np.zeros_like(one.customers),
        "event_observed": one.events == 1,
    }
    with engine_of_tables({}, {}) as engine:
        engine.put("gaps_x", gaps)
        engine.put("begun_x", gaps)
        engine.put("begun_members_x", own)
        first = np.unique(one.customers, return_index=True)[1]
        engine.put(
            "waits_x",
            {
                "customer_no": one.customers[first],
                "duration": one.durations[first],
                "event_observed": one.events[first] == 1,
            },
        )
        engine.put("scores_x", {"customer_no": np.arange(len(one.groups)), "s0": one.scores[0], "s1": one.scores[1]})
        engine.put("regions", {"customer_no": np.flatnonzero(known), "value": one.regions[known]})
        engine.put(
            "labels",
            {
                "customer_no": chosen,
                "group_no": one.groups[chosen],
                "cohort": one.months[chosen] + 24_288,
                "cycles": own["cycles"][place],
                "weight": own["weight"][place],
                "follow_up": LAST - one.zero[chosen],
                **{f"half_{seed}": one.halves[chosen] for seed in range(OTHER_SEEDS + 1)},
            },
        )
        yield engine


def measured(
    folder: Path,
    one: Shop,
    labelled: np.ndarray | None = None,
    *,
    until: int | None = None,
    regions: str | None = "regions",
    carrying: tuple[int, int] = (0, 0),
    scores: int = 2,
) -> tuple[dict[tuple[str, str], Subset], int]:
    """The parts by kind and name, and the horizon."""
    config = read_config(folder, CONFIG)
    population = Population(
        suffix="x", until=until, tau_days=TAU, last_day=90, scores=("a", "b")[:scores], members=len(one.groups)
    )
    counts = np.bincount(one.groups)
    groups = tuple(GroupEffect(f"g{number}", int(count), 1) for number, count in enumerate(counts))
    with engine_with(one, labelled) as engine:
        effects = measure_effects(engine, config, population, groups, significant=False)
        assert effects is not None
        subsets = measure_robustness(
            engine, config, population, groups, effects, carrying=carrying, observed_until=LAST, regions=regions
        )
    return {(subset.kind, subset.name): subset for subset in subsets}, effects.horizon_days


@dataclass(frozen=True)
class Alone:
    """Gaps of one part, computed one by one: difference of log mean cycles and of shares back, each with its standard error."""

    log_ratio: float
    ratio_error: float
    share_difference: float
    share_error: float


def alone(one: Shop, horizon: int, customers: IntArray, durations: IntArray, events: IntArray) -> Alone:
    """Of the given gaps, standardised over the months of the customers who have any."""
    cycles = np.bincount(customers, events, len(one.groups))[customers]
    kept = (events == 1) | (cycles == 0)
    customers, durations, events, cycles = (part[kept] for part in (customers, durations, events, cycles))
    having = np.unique(customers)
    cells = np.zeros((2, 20))
    compared = having[one.groups[having] < 2]
    np.add.at(cells, (one.groups[compared], one.months[compared]), 1)
    cells *= (cells > 0).all(axis=0)
    means, mean_errors, shares, share_errors = [], [], [], []
    for group in (0, 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            standard = np.nan_to_num(cells.sum(axis=0) / cells.sum() / (cells[group] / cells[group].sum()))
        own = one.groups[customers] == group
        gaps = {"durations": durations[own], "events": events[own]}
        gaps["weights"] = standard[one.months[customers[own]]] / np.maximum(cycles[own], 1)
        table = LifeTable.from_gaps(**gaps)
        errors = [
            float(np.sqrt(np.square(customer_sums(influence(table, horizon), customers=customers[own], **gaps)).sum()))
            for influence in (mean_cycle_influence, survival_influence)
        ]
        mean = mean_cycle(survival(table), horizon)
        means.append(np.log(mean))
        mean_errors.append(errors[0] / mean)
        shares.append(1 - survival(table)[horizon])
        share_errors.append(errors[1])
    return Alone(
        means[1] - means[0], float(np.hypot(*mean_errors)), shares[1] - shares[0], float(np.hypot(*share_errors))
    )


def assert_equal(subset: Subset, expected: Alone) -> None:
    """Estimates to 1e-9, bounds to 1e-6."""
    ratio, share = subset.ratio, subset.share_difference
    assert ratio is not None
    assert share is not None
    assert ratio.estimate == pytest.approx(np.exp(expected.log_ratio), rel=1e-9)
    assert ratio.ci_low == pytest.approx(np.exp(expected.log_ratio - Z * expected.ratio_error), rel=1e-6)
    assert ratio.ci_high == pytest.approx(np.exp(expected.log_ratio + Z * expected.ratio_error), rel=1e-6)
    assert share.estimate == pytest.approx(expected.share_difference, abs=1e-9)
    assert share.ci_low == pytest.approx(expected.share_difference - Z * expected.share_error, abs=1e-6)


def p_value(one: Shop, chosen: np.ndarray, *, scores: int = 1) -> float:
    """Of the split's test among some customers."""
    values: FloatArray = one.scores[:scores, chosen] / SCORE_UNIT
    cohorts = np.unique(one.months[chosen], return_inverse=True)[1]
    return score_tests(GroupSums.from_scores(values, one.groups[chosen], cohorts)).p_value


def largest(one: Shop, labelled: np.ndarray, *, scores: int = 1) -> IntArray:
    """The ten customers with the largest score, in standard units."""
    sizes = np.abs(
        one.scores[:scores] / np.sqrt(np.square(one.scores[:scores, labelled] / SCORE_UNIT).sum(axis=1, keepdims=True))
    ).max(axis=0)
    return np.argsort(np.where(labelled, -sizes, 1.0), kind="stable")[:10]


def test_each_part_of_the_customers_is_measured_and_tested_alone(tmp_path: Path) -> None:
    """Effect, intervals and p in each quarter, season, region and half, and without the ten largest, are those of its customers alone."""
    one = shop()
    found, horizon = measured(tmp_path, one, scores=1)
    labelled = np.isin(np.arange(len(one.groups)), one.customers)
    without = labelled.copy()
    without[largest(one, labelled)] = False
    expected: Mapping[tuple[str, str], np.ndarray] = {
        **{("cohort", f"{2024 + q // 4}-Q{q % 4 + 1}"): one.months // 3 == q for q in range(5)},
        **{
            ("season", name): np.isin(one.months % 12, within)
            for name, within in {
                "winter": (11, 0, 1),
                "spring": (2, 3, 4),
                "summer": (5, 6, 7),
                "autumn": (8, 9, 10),
            }.items()
        },
        **{("region", name): one.regions == name for name in ("north", "south")},
        **{("half of customers", name): one.halves == half for half, name in enumerate(("discovery", "confirmation"))},
        ("largest customers", "without the 10 largest"): without,
    }
    for key, several in expected.items():
        chosen = several & labelled
        subset = found[key]
        assert subset.customers == chosen.sum()
        assert subset.p_value == pytest.approx(p_value(one, chosen), rel=1e-6)
        own = chosen[one.customers]
        assert_equal(subset, alone(one, horizon, one.customers[own], one.durations[own], one.events[own]))
    assert {kind for kind, _ in found} == SUBSETS.keys()
    assert {(kind, name) for kind, names in SUBSETS.items() for name in names} <= found.keys()


def test_halves_of_the_period_have_gaps_and_weights_of_their_own(tmp_path: Path) -> None:
    """The earlier half is what was seen on the middle day, the later one the gaps that began from then on; neither has a p."""
    one = shop()
    found, horizon = measured(tmp_path, one)
    middle = (int(one.begins.min()) + LAST) // 2
    early = one.begins < middle
    seen = np.minimum(one.durations, middle - one.begins)[early]
    ended = (one.events == 1)[early] & (one.begins + one.durations <= middle)[early]
    earlier, later = (found["half of period", name] for name in ("earlier", "later"))
    assert_equal(earlier, alone(one, horizon, one.customers[early], seen, ended.astype(int)))
    assert_equal(later, alone(one, horizon, one.customers[~early], one.durations[~early], one.events[~early]))
    assert earlier.customers == len(np.unique(one.customers[early]))
    assert earlier.p_value is None


def test_leaving_out_one_large_customer_keeps_the_largest_p(tmp_path: Path) -> None:
    """The p without any one of the ten largest customers is the worst of ten tests, each without one of them."""
    one = shop()
    found, _ = measured(tmp_path, one, scores=1)
    labelled = np.isin(np.arange(len(one.groups)), one.customers)
    every = [p_value(one, labelled & (np.arange(len(labelled)) != number)) for number in largest(one, labelled)]
    subset = found["largest customers", "without any one of the 10 largest"]
    assert subset.p_value == pytest.approx(max(every), rel=1e-6)
    assert (subset.ratio, subset.agrees) == (None, None)


def test_the_largest_by_any_score_are_left_out_of_the_largest_statistic(tmp_path: Path) -> None:
    """With two scores the p without the ten largest is that of the larger statistic (to the half percent of its joint law)."""
    one = shop()
    found, _ = measured(tmp_path, one)
    chosen = np.isin(np.arange(len(one.groups)), one.customers)
    chosen[largest(one, chosen, scores=2)] = False
    assert found["largest customers", "without the 10 largest"].p_value == pytest.approx(
        p_value(one, chosen, scores=2), rel=0.01
    )


def test_a_part_that_points_the_other_way_is_told(tmp_path: Path) -> None:
    """Where the south has the opposite effect of the rest, the regions say so."""
    found, _ = measured(tmp_path, shop(3000, south=0.75))
    assert found["region", "north"].agrees is True
    assert found["region", "south"].agrees is False


def test_agreement_is_of_what_carries_the_verdict(tmp_path: Path) -> None:
    """Where the share back carries the verdict, its sign is compared and not the ratio's."""
    found, _ = measured(tmp_path, shop(2500, south=0.6), carrying=(0, 1))
    signs = {
        key: subset.share_difference.estimate < 0
        for key, subset in found.items()
        if subset.share_difference is not None and subset.share_difference.estimate is not None
    }
    assert {key: found[key].agrees for key in signs} == signs
    assert False in signs.values()


def test_until_a_date_waits_tell_the_share_and_gaps_begun_the_cycle(tmp_path: Path) -> None:
    """The parts' shares are of the waits, one a customer, their ratios of the gaps; halves of the period have no share of their own."""
    one = shop()
    found, horizon = measured(tmp_path, one, until=FIRST)
    first = np.unique(one.customers, return_index=True)[1]
    north = one.regions[one.customers] == "north"
    waiting = np.intersect1d(first, np.flatnonzero(north))
    of_waits = alone(one, horizon, one.customers[waiting], one.durations[waiting], one.events[waiting])
    of_gaps = alone(one, horizon, one.customers[north], one.durations[north], one.events[north])
    subset = found["region", "north"]
    expected = Alone(of_gaps.log_ratio, of_gaps.ratio_error, of_waits.share_difference, of_waits.share_error)
    assert_equal(subset, expected)
    assert found["half of period", "later"].share_difference is None
    assert found["half of period", "later"].ratio is not None


def test_too_few_customers_have_no_interval(tmp_path: Path) -> None:
    """A region with fewer than 50 customers in one group is counted and not measured."""
    one = shop()
    few = np.flatnonzero((one.regions == "south") & (one.groups == 1))[45:]
    regions = one.regions.copy()
    regions[few] = "north"
    found, _ = measured(tmp_path, Shop(**{**{name: getattr(one, name) for name in Shop.__slots__}, "regions": regions}))
    south = found["region", "south"]
    assert south.customers > 100
    assert (south.ratio, south.share_difference, south.agrees) == (None, None, None)
    assert south.p_value is not None
    assert found["region", "north"].ratio is not None


def test_a_kind_of_one_part_says_nothing(tmp_path: Path) -> None:
    """Labels of one half of the customers, and no region, leave those kinds out."""
    one = shop()
    found, _ = measured(tmp_path, one, one.halves == 1, regions=None)
    assert {kind for kind, _ in found} == {"cohort", "season", "half of period", "largest customers"}


def test_months_stand_where_they_are_few_and_large(tmp_path: Path) -> None:
    """Customers who entered within four months, 200 or more in each, are looked at by month, and there are no seasons."""
    one = shop(1800)
    zero = LAST - 300 + np.arange(len(one.groups)) % 110
    moved = one.begins - one.zero[one.customers] + zero[one.customers]
    ended = (one.events == 1) & (moved + one.durations <= LAST)
    fields = {name: getattr(one, name) for name in Shop.__slots__}
    inside = moved < LAST
    recent = Shop(
        **{
            **fields,
            "zero": zero,
            "customers": one.customers[inside],
            "begins": moved[inside],
            "durations": np.where(ended, one.durations, LAST - moved)[inside],
            "events": ended[inside].astype(int),
        }
    )
    found, _ = measured(tmp_path, recent)
    assert [name for kind, name in found if kind == "cohort"] == ["2024-08", "2024-09", "2024-10", "2024-11"]
    assert "season" not in {kind for kind, _ in found}


def test_a_pair_of_several_groups_is_measured_and_the_split_is_tested(tmp_path: Path) -> None:
    """With three groups the intervals are of the pair that carries the verdict, and p is of all three."""
    one = shop(2400, groups=3)
    found, horizon = measured(tmp_path, one)
    labelled = np.isin(np.arange(len(one.groups)), one.customers)
    north = labelled & (one.regions == "north")
    own = (north & (one.groups < 2))[one.customers]
    subset = found["region", "north"]
    assert_equal(subset, alone(one, horizon, one.customers[own], one.durations[own], one.events[own]))
    assert subset.p_value == pytest.approx(p_value(one, north, scores=2), rel=0.01)
    assert isinstance(subset.ratio, Interval)
