"""Effects: what the engine sums is what the pure functions say of single gaps, with one table of gaps and with the two of a date."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from shops import CONFIG, engine_of_tables, read_config

from segmentor.config import ExperimentConfig
from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.effects import Effects, measure_effects, naive_p_value
from segmentor.engine.duckdb import Engine
from segmentor.populations import Population
from segmentor.result import GroupEffect
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.naive import naive_logrank_p
from segmentor.statistics.survival import (
    DayValues,
    LifeTable,
    customer_sums,
    mean_cycle,
    mean_cycle_influence,
    median_day,
    restricted_mean,
    restricted_mean_influence,
    survival,
    survival_influence,
)

DATE, LAST = 200, 420
TAU = 60
Z = 1.959963984540054


@dataclass(frozen=True)
class Gaps:
    """Single gaps: whose, how long, whether they ended in a return; ``entry`` is the age at the date."""

    customers: IntArray
    durations: IntArray
    events: IntArray
    entry: IntArray

    def of(self, chosen: IntArray) -> Gaps:
        """Those of the chosen customers."""
        kept = np.isin(self.customers, chosen)
        return Gaps(*(getattr(self, field.name)[kept] for field in dataclasses.fields(self)))

    def cycles(self, n_customers: int) -> IntArray:
        """Complete gaps of each customer."""
        return np.bincount(self.customers, self.events, n_customers).astype(np.int64)

    def weights(self, n_customers: int, *, typical_gap: bool) -> FloatArray:
        """1 a gap, or as Wang and Chang weigh."""
        if typical_gap:
            return np.ones(len(self.durations))
        cycles = self.cycles(n_customers)[self.customers]
        return np.where((self.events == 1) | (cycles == 0), 1 / np.maximum(cycles, 1), 0.0)


@dataclass(frozen=True)
class Shop:
    """Customers at a date: group, cohort, waits from the date, gaps that begin after it, and those that span it with them."""

    groups: IntArray
    cohorts: IntArray
    halves: IntArray
    waits: Gaps
    begun: Gaps
    spanning: Gaps


def shop(customers: int = 700, *, ratio: float = 1.4, seed: int = 5) -> Shop:
    """Customers of unequal rates with a purchase before the date; the second group's cycles are ``ratio`` times as long."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 2, customers)
    cohorts = generator.choice(3, customers, p=[0.5, 0.3, 0.2])
    cohorts = np.where((groups == 1) & (generator.random(customers) < 0.3), 2, cohorts)
    waits: list[tuple[int, int, int, int]] = []
    begun: list[tuple[int, int, int, int]] = []
    spanning: list[tuple[int, int, int, int]] = []
    for number in range(customers):
        scale = 12 * np.exp(0.5 * generator.standard_normal()) * (ratio if groups[number] else 1.0)
        at, leaves = int(generator.integers(100, DATE)), False
        days = [at]
        while not leaves and at <= LAST:
            at += max(1, round(generator.gamma(2, scale)))
            days += [at] if at <= LAST else []
            leaves = generator.random() < 0.1
        before, after = [day for day in days if day < DATE][-1], [day for day in days if day >= DATE]
        waits.append((number, after[0] - DATE, 1, 0) if after else (number, LAST - DATE, 0, 0))
        spanning.append((number, (after[0] if after else LAST) - before, int(bool(after)), DATE - before))
        ends = [*after[1:], LAST]
        own = [
            (number, end - start, int(end in after[1:]), 0)
            for start, end in zip(after, ends, strict=False)
            if end > start
        ]
        begun += own
        spanning += own
    gaps = (Gaps(*np.array(rows, dtype=np.int64).T) for rows in (waits, begun, spanning))
    return Shop(groups, cohorts, generator.integers(0, 2, customers), *gaps)


def members(gaps: Gaps, n_customers: int) -> dict[str, np.ndarray]:
    """The table of the customers with a gap: their complete gaps and the weight of each."""
    cycles = gaps.cycles(n_customers)
    numbers = np.unique(gaps.customers)
    return {
        "customer_no": numbers,
        "cycles": cycles[numbers],
        "weight": WEIGHT_UNIT // np.maximum(cycles[numbers], 1),
    }


def rows_of(gaps: Gaps) -> dict[str, np.ndarray]:
    """The table of the gaps."""
    return {
        "customer_no": gaps.customers,
        "duration": gaps.durations,
        "entry_age": gaps.entry,
        "event_observed": gaps.events == 1,
    }


@contextmanager
def engine_with(one: Shop, labelled: IntArray | None = None) -> Iterator[Engine]:
    """An engine with the tables of labels known until the date, the labels of some customers only where they are given."""
    chosen = np.arange(len(one.groups)) if labelled is None else labelled
    own = members(one.spanning, len(one.groups))
    with engine_of_tables({}, {}) as engine:
        engine.put("gaps_date", rows_of(one.spanning))
        engine.put("waits_date", rows_of(one.waits))
        engine.put("begun_date", rows_of(one.begun))
        engine.put("begun_members_date", members(one.begun, len(one.groups)))
        engine.put("gaps_plain", rows_of(one.begun))
        engine.put(
            "labels",
            {
                "customer_no": chosen,
                "group_no": one.groups[chosen],
                "cohort": one.cohorts[chosen] + 24_288,
                "cycles": own["cycles"][chosen],
                "weight": own["weight"][chosen],
                **{f"half_{seed}": one.halves[chosen] for seed in range(OTHER_SEEDS + 1)},
            },
        )
        yield engine


def population(*, until: int | None = DATE) -> Population:
    """Customers at the date, or from their own time zero on."""
    suffix = "plain" if until is None else "date"
    return Population(suffix=suffix, tau_days=TAU, last_day=90, scores=(), members=700, until=until)


def configured(folder: Path, *, typical_gap: bool = False, more: str = "") -> ExperimentConfig:
    """A config whose effects are of customers or of gaps."""
    effect = "typical_gap" if typical_gap else "typical_customer"
    return read_config(folder, f"{CONFIG}cycle: {{advanced: {{effect: {effect}}}}}\ntrial: {{min_group: 60{more}}}\n")


def groups_of(one: Shop) -> tuple[GroupEffect, ...]:
    """Both groups with their sizes."""
    return tuple(GroupEffect(name, int((one.groups == at).sum()), 1) for at, name in enumerate("pq"))


def measured(folder: Path, one: Shop, *, typical_gap: bool = False, significant: bool = False) -> Effects:
    """The effects of labels known until the date."""
    config = configured(folder, typical_gap=typical_gap)
    with engine_with(one) as engine:
        effects = measure_effects(engine, config, population(), groups_of(one), significant=significant)
    assert effects is not None
    return effects


@dataclass(frozen=True)
class Curve:
    """Gaps of one group, each with its weight, standardised over the cohorts of those who have any."""

    table: LifeTable
    gaps: Gaps
    weights: FloatArray

    def error(self, values: DayValues) -> float:
        """Standard error from the sums of single customers."""
        gaps = self.gaps
        sums = customer_sums(
            values, customers=gaps.customers, durations=gaps.durations, events=gaps.events, weights=self.weights
        )
        return float(np.sqrt(np.square(sums).sum()))


def standardised(one: Shop, gaps: Gaps, *, typical_gap: bool) -> list[Curve]:
    """The groups' curves."""
    weights = gaps.weights(len(one.groups), typical_gap=typical_gap)
    having = np.unique(gaps.customers)
    cells = np.zeros((2, 3))
    np.add.at(cells, (one.groups[having], one.cohorts[having]), 1)
    curves = []
    for group in (0, 1):
        of_cohort = cells.sum(axis=0) / cells.sum() / (cells[group] / cells[group].sum())
        own = one.groups[gaps.customers] == group
        chosen = Gaps(*(getattr(gaps, field.name)[own] for field in dataclasses.fields(gaps)))
        standard = weights[own] * of_cohort[one.cohorts[chosen.customers]]
        curves.append(Curve(LifeTable.from_gaps(chosen.durations, chosen.events, weights=standard), chosen, standard))
    return curves


@pytest.mark.parametrize("typical_gap", [False, True])
def test_a_date_has_its_share_from_waits_and_its_cycle_from_gaps_begun(tmp_path: Path, *, typical_gap: bool) -> None:
    """Estimates, intervals and the pair's ratio equal the pure functions on single waits and gaps to 1e-9 (errors to 1e-7)."""
    one = shop()
    effects = measured(tmp_path, one, typical_gap=typical_gap)
    horizon = effects.horizon_days
    assert horizon == TAU
    returns = standardised(one, one.waits, typical_gap=True)
    cycles = standardised(one, one.begun, typical_gap=typical_gap)
    for group, waiting, cycle in zip(effects.groups, returns, cycles, strict=True):
        share, curve = survival(waiting.table), survival(cycle.table)
        assert group.share_back is not None
        assert group.share_back.estimate == pytest.approx(1 - share[horizon], rel=1e-9)
        reach = np.exp(
            Z * waiting.error(survival_influence(waiting.table, horizon)) / (share[horizon] * -np.log(share[horizon]))
        )
        assert group.share_back.ci_high == pytest.approx(1 - share[horizon] ** reach, rel=1e-7)
        assert [(back.day, back.share.estimate) for back in group.shares_back] == [
            (day, pytest.approx(1 - share[day], rel=1e-9)) for day in (30, 60, 90)
        ]
        mean, error = mean_cycle(curve, horizon), cycle.error(mean_cycle_influence(cycle.table, horizon))
        assert group.mean_cycle_days is not None
        assert group.mean_cycle_days.estimate == pytest.approx(mean, rel=1e-9)
        assert group.mean_cycle_days.ci_high == pytest.approx(mean * np.exp(Z * error / mean), rel=1e-7)
        restricted = restricted_mean(curve, horizon)
        assert group.restricted_mean_days is not None
        assert group.restricted_mean_days.estimate == pytest.approx(restricted, rel=1e-9)
        assert group.restricted_mean_days.ci_low == pytest.approx(
            restricted - Z * cycle.error(restricted_mean_influence(cycle.table, horizon)), rel=1e-7
        )
        assert group.median_days == median_day(curve[:91])
        assert group.curve is not None
        assert group.curve.share_back[0] == pytest.approx(1 - share[0], rel=1e-9)
        assert group.curve.at_risk[0] == group.customers
    means = [mean_cycle(survival(cycle.table), horizon) for cycle in cycles]
    assert effects.pairs[0].ratio.estimate == pytest.approx(means[1] / means[0], rel=1e-9)
    assert effects.pairs[0].difference_days.estimate == pytest.approx(means[1] - means[0], rel=1e-9)
    shares = [1 - survival(waiting.table)[horizon] for waiting in returns]
    assert effects.pairs[0].share_difference.estimate == pytest.approx(shares[1] - shares[0], rel=1e-9)


@pytest.mark.parametrize("typical_gap", [False, True])
def test_one_table_of_gaps_has_both(tmp_path: Path, *, typical_gap: bool) -> None:
    """From a customer's own time zero on, share and cycle are of the same gaps, for customers and for gaps alike."""
    one = shop()
    config = configured(tmp_path, typical_gap=typical_gap)
    chosen = np.unique(one.begun.customers)
    own = members(one.begun, len(one.groups))
    with engine_with(one, chosen) as engine:
        engine.put("members", own)
        engine.execute(
            "create or replace temp table labels as select l.* replace (m.cycles as cycles, m.weight as weight)\n"
            "from labels l join members m using (customer_no)"
        )
        effects = measure_effects(engine, config, population(until=None), groups_of(one), significant=False)
    assert effects is not None
    for group, curve in zip(effects.groups, standardised(one, one.begun, typical_gap=typical_gap), strict=True):
        known = survival(curve.table)
        assert group.share_back is not None
        assert group.mean_cycle_days is not None
        assert group.share_back.estimate == pytest.approx(1 - known[effects.horizon_days], rel=1e-9)
        mean = mean_cycle(known, effects.horizon_days)
        error = curve.error(mean_cycle_influence(curve.table, effects.horizon_days))
        assert group.mean_cycle_days.ci_low == pytest.approx(mean * np.exp(-Z * error / mean), rel=1e-7)


def test_standard_errors_are_those_of_a_bootstrap_of_customers(tmp_path: Path) -> None:
    """With labels known until a date, customers drawn again with their waits and gaps spread both differences as the errors say."""
    one = shop(900)
    effects = measured(tmp_path, one)
    horizon = effects.horizon_days
    generator = np.random.default_rng(11)
    log_means, shares = np.empty((2, 1000)), np.empty((2, 1000))
    for group in (0, 1):
        own = np.flatnonzero(one.groups == group)
        draws = generator.multinomial(len(own), np.full(len(own), 1 / len(own)), size=1000)
        for gaps, typical_gap in ((one.waits, True), (one.begun, False)):
            curve = standardised(one, gaps, typical_gap=typical_gap)[group]
            by_customer = np.zeros((len(one.groups), 2, LAST))
            np.add.at(by_customer, (curve.gaps.customers, curve.gaps.events, curve.gaps.durations), curve.weights)
            drawn = np.tensordot(draws, by_customer[own], axes=1)
            for at, (censored, events) in enumerate(drawn):
                known = survival(LifeTable(events, censored, np.zeros(LAST)))
                if typical_gap:
                    shares[group, at] = 1 - known[horizon]
                else:
                    log_means[group, at] = np.log(mean_cycle(known, horizon))
    assert effects.log_ratios.standard_error[0] == pytest.approx(np.std(log_means[1] - log_means[0]), rel=0.07)
    assert effects.shares.standard_error[0] == pytest.approx(np.std(shares[1] - shares[0]), rel=0.07)


def test_halves_of_a_date_have_both_curves(tmp_path: Path) -> None:
    """Each half's ratio is of its gaps begun and its share difference of its waits, standardised as the whole."""
    one = shop(1600, ratio=2.0)
    effects = measured(tmp_path, one, significant=True)
    assert len(effects.halves) == OTHER_SEEDS + 1
    for half in (0, 1):
        chosen = np.flatnonzero(one.halves == half)
        means, shares = [], []
        for group in (0, 1):
            tables = []
            for gaps, typical_gap in ((one.waits, True), (one.begun, False)):
                curve = standardised(one, gaps, typical_gap=typical_gap)[group]
                own = np.isin(curve.gaps.customers, chosen)
                tables.append(
                    LifeTable.from_gaps(curve.gaps.durations[own], curve.gaps.events[own], weights=curve.weights[own])
                )
            shares.append(1 - survival(tables[0])[effects.horizon_days])
            means.append(mean_cycle(survival(tables[1]), effects.horizon_days))
        assert effects.halves[0].log_ratios[half, 0] == pytest.approx(np.log(means[1] / means[0]), rel=1e-8)
        assert effects.halves[0].share_differences[half, 0] == pytest.approx(shares[1] - shares[0], rel=1e-8)


def test_effects_are_of_the_labelled_customers_alone(tmp_path: Path) -> None:
    """Gaps of customers outside of ``labels`` change nothing: the confirmation half is measured by labelling it alone."""
    one = shop()
    chosen = np.flatnonzero(one.halves == 1)
    config = configured(tmp_path)
    with engine_with(one, chosen) as engine:
        of_labels = measure_effects(engine, config, population(), groups_of(one), significant=False)
    alone = dataclasses.replace(one, waits=one.waits.of(chosen), begun=one.begun.of(chosen), spanning=one.spanning)
    with engine_with(alone, chosen) as engine:
        of_tables = measure_effects(engine, config, population(), groups_of(one), significant=False)
    assert of_labels is not None
    assert of_tables is not None
    assert of_labels.pairs == of_tables.pairs
    assert of_labels.groups == of_tables.groups


def test_a_group_that_hardly_comes_back_has_no_effects(tmp_path: Path) -> None:
    """Fewer than 50 customers with a gap begun in one of two groups tell no cycle, however many wait."""
    one = shop()
    gone = np.flatnonzero(one.groups == 1)[40:]
    few = dataclasses.replace(one, begun=one.begun.of(np.setdiff1d(np.arange(len(one.groups)), gone)))
    with engine_with(few) as engine:
        assert measure_effects(engine, configured(tmp_path), population(), groups_of(one), significant=False) is None


def test_the_naive_test_lets_gaps_that_span_the_date_enter_late() -> None:
    """The usual log-rank test has a gap at risk from its age at the date on, as a life table has."""
    one = shop()
    with engine_with(one) as engine:
        found = naive_p_value(engine, population(), 2)
    tables = []
    for group in (0, 1):
        own = one.spanning.of(np.flatnonzero(one.groups == group))
        weights = np.ones(len(own.durations))
        tables.append(
            LifeTable.from_gaps(own.durations, own.events, weights=weights, entry_ages=own.entry)
            + LifeTable(np.zeros(LAST), np.zeros(LAST), np.zeros(LAST))
        )
    expected = naive_logrank_p(np.stack([t.events for t in tables]), np.stack([t.at_risk for t in tables]))
    assert found == pytest.approx(expected, rel=1e-9)
    assert not np.isclose(expected, naive_logrank_p(*_without_entry(tables)))


def _without_entry(tables: list[LifeTable]) -> tuple[FloatArray, FloatArray]:
    late = [dataclasses.replace(table, entered=np.zeros_like(table.entered)) for table in tables]
    return np.stack([t.events for t in late]), np.stack([t.at_risk for t in late])
