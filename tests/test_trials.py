"""Trials: what the engine sums is what the pure statistics say of the same gaps, and each obstacle has its verdict."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import numpy as np
import pytest
from shops import CONFIG, Line, day, engine_with, read_config

from segmentor.cycles import build_cycles
from segmentor.errors import ExpressionError
from segmentor.result import Trial
from segmentor.splits import declared_splits, make_label_sources
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.multiplicity import holm
from segmentor.statistics.score_tests import test_scores as score_tests
from segmentor.statistics.survival import (
    LifeTable,
    customer_sums,
    day_by_which,
    gehan_values,
    logrank_values,
    mean_cycle,
    mean_cycle_influence,
    survival,
    survival_influence,
)
from segmentor.trials import Tried, run_trials

UNTIL = 400
"""Last day of the shops here, counted from 2024-01-01."""


def shop(customers: int, *, ratio: float = 1.0, groups: tuple[str, ...] = ("p", "q"), seed: int = 1) -> list[Line]:
    """Customers of unequal rates whose first product is drawn from ``groups``; gaps of all but the first are ``ratio`` times as long."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for number in range(customers):
        product = groups[generator.integers(len(groups))]
        rate = np.exp(0.6 * generator.standard_normal()) / (ratio if product != groups[0] else 1.0)
        at = int(generator.integers(0, 200))
        while at <= UNTIL:
            lines.append((f"c{number:05d}", f"o{len(lines)}", day(at), product, 1, 10))
            at += max(1, round(generator.gamma(2, 20 / rate)))
            product = groups[generator.integers(len(groups))]
            if generator.random() < 0.15:
                break
    return lines


def tried_whole(folder: Path, lines: list[Line], splits: str, *, more: str = "") -> Tried:
    """What was tried of the declared splits, given as YAML."""
    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL)
    text = (
        CONFIG.replace("experiment: shop", "experiment: shop\n" + more)
        + f"cycle: {{observed_until: {last}}}\nsplits:\n  declared:\n{splits}"
    )
    config = read_config(folder, text)
    with engine_with(lines) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        declared = declared_splits(config, columns)
        make_label_sources(engine, config, columns, declared)
        return run_trials(
            engine, config, columns, declared, observed_until=summary.observed_until, progress=lambda _: None
        )


def tried(folder: Path, lines: list[Line], splits: str, *, more: str = "") -> tuple[Trial, ...]:
    """Its trials."""
    return tried_whole(folder, lines, splits, more=more).trials


FIRST_PRODUCT = (
    "    - {name: first, known: first_purchase, groups: {p: \"product_id = 'p'\", q: \"product_id = 'q'\"}}\n"
)


def obvious_gaps(lines: list[Line]) -> dict[str, list[tuple[int, bool]]]:
    """Duration and end of each customer's gaps, in order."""
    days: dict[str, list[int]] = {}
    for customer, _, at, *_ in lines:
        days.setdefault(customer, []).append((at - day(0)).days)
    gaps = {}
    for customer, several in days.items():
        ordered = sorted(set(several))
        own = [(after - before, True) for before, after in itertools.pairwise(ordered)]
        if ordered[-1] < UNTIL:
            own.append((UNTIL - ordered[-1], False))
        if own:
            gaps[customer] = own
    return gaps


def test_scores_and_effects_equal_the_pure_computation(tmp_path: Path) -> None:
    """Statistics, p-value, curves and intervals from SQL sums agree to 1e-8 with float computations on single gaps."""
    lines = shop(500, ratio=1.5)
    (trial,) = tried(tmp_path, lines, FIRST_PRODUCT)
    gaps = obvious_gaps(lines)
    names = sorted(gaps)
    first = {line[0]: (line[2], line[3]) for line in reversed(lines)}
    groups = np.array([int(first[name][1] == "q") for name in names])
    cohorts = np.unique([first[name][0].month + 12 * first[name][0].year for name in names], return_inverse=True)[1]
    customers = np.repeat(np.arange(len(names)), [len(gaps[name]) for name in names])
    durations, events = (np.array([gap[part] for name in names for gap in gaps[name]]) for part in (0, 1))
    cycles = np.bincount(customers, events).astype(int)
    kept = events | (cycles[customers] == 0)
    typical = np.where(kept, 1 / np.maximum(cycles[customers], 1), 0.0)
    tau = day_by_which(np.bincount(durations[events]), 0.9)
    assert trial.tau_days == tau

    scores = []
    for weights in (np.ones(len(durations)), typical):
        table = LifeTable.from_gaps(durations, events, weights=weights).cut(tau)
        scores += [
            customer_sums(values, customers=customers, durations=durations, events=events, weights=weights)
            for values in (logrank_values(table), gehan_values(table))
        ]
    expected = score_tests(GroupSums.from_scores(np.stack(scores), groups, cohorts))
    assert trial.test is not None
    np.testing.assert_allclose([score.statistic for score in trial.test.scores], expected.statistics, rtol=1e-8)
    assert trial.test.p_value == pytest.approx(expected.p_value, rel=1e-6)

    in_cell = np.zeros((2, cohorts.max() + 1))
    np.add.at(in_cell, (groups, cohorts), 1)
    shared = (in_cell > 0).all(axis=0)
    share_of_all = in_cell[:, shared].sum(axis=0) / in_cell[:, shared].sum()
    horizon = trial.horizon_days
    assert horizon is not None
    for number, group in enumerate(trial.groups):
        weight = np.zeros(cohorts.max() + 1)
        weight[shared] = share_of_all / (in_cell[number, shared] / in_cell[number, shared].sum())
        own = groups[customers] == number
        standard = (typical * weight[cohorts[customers]])[own]
        table = LifeTable.from_gaps(durations[own], events[own], weights=standard)
        curve = survival(table)
        error = np.sqrt(
            np.square(
                customer_sums(
                    mean_cycle_influence(table, horizon),
                    customers=customers[own],
                    durations=durations[own],
                    events=events[own],
                    weights=standard,
                )
            ).sum()
        )
        mean = mean_cycle(curve, horizon)
        assert group.mean_cycle_days is not None
        assert group.share_back is not None
        assert group.mean_cycle_days.estimate == pytest.approx(mean, rel=1e-9)
        assert group.mean_cycle_days.ci_high == pytest.approx(mean * np.exp(1.959963984540054 * error / mean), rel=1e-6)
        assert group.share_back.estimate == pytest.approx(1 - curve[horizon], rel=1e-9)
        influence = customer_sums(
            survival_influence(table, horizon),
            customers=customers[own],
            durations=durations[own],
            events=events[own],
            weights=standard,
        )
        spread = (
            1.959963984540054 * np.sqrt(np.square(influence).sum()) / (curve[horizon] * abs(np.log(curve[horizon])))
        )
        assert group.share_back.ci_high == pytest.approx(1 - curve[horizon] ** np.exp(spread), rel=1e-6)
        assert group.curve is not None
        assert group.curve.at_risk[0] == (groups == number).sum()


def test_a_strong_split_separates_and_says_so(tmp_path: Path) -> None:
    """Cycles twice as long are found, with the ratio in the sentence and the same direction in both halves."""
    (trial,) = tried(tmp_path, shop(800, ratio=2.0), FIRST_PRODUCT)
    assert trial.verdict == "separates"
    assert trial.same_direction is True
    assert len(trial.other_seeds) == 5
    assert trial.verdict_pair is not None
    ratio = trial.pairs[trial.verdict_pair].ratio
    assert ratio.estimate is not None
    assert ratio.ci_low is not None
    assert ratio.ci_low > 1.1
    assert f"{ratio.estimate:.2f}" in str(trial.sentence)


def test_alike_groups_are_shown_equivalent_with_enough_customers(tmp_path: Path) -> None:
    """Labels at random over many customers are shown not to matter; over few they are not decided."""
    (many,) = tried(tmp_path, shop(6000), FIRST_PRODUCT)
    (few,) = tried(tmp_path, shop(300), FIRST_PRODUCT)
    assert (many.verdict, few.verdict) == ("equivalent", "inconclusive")
    assert few.customers_needed is not None
    assert 300 < few.customers_needed < 20_000


def test_three_groups_have_all_pairs_and_one_p_value(tmp_path: Path) -> None:
    """A split of three groups is tested once, names the pair that carries its verdict, and its two like groups are merged."""
    splits = "    - {name: first, known: first_purchase, by: product_id}\n"
    trial, merged = tried(tmp_path, shop(1500, ratio=1.6, groups=("p", "q", "r")), splits)
    assert [group.name for group in trial.groups] == ["p", "q", "r"]
    assert [(pair.first, pair.second) for pair in trial.pairs] == [("p", "q"), ("p", "r"), ("q", "r")]
    assert trial.verdict == "separates"
    assert trial.verdict_pair is not None
    assert trial.pairs[trial.verdict_pair].first == "p"
    assert trial.test is not None
    assert {score.degrees_of_freedom for score in trial.test.scores} == {2}
    assert (merged.split, merged.merged_from, merged.verdict) == ("first, merged", "first", "separates")
    assert [group.name for group in merged.groups] == ["p", "q + r"]
    assert [group.customers for group in merged.groups] == [
        trial.groups[0].customers,
        trial.groups[1].customers + trial.groups[2].customers,
    ]
    assert merged.p_discovery_adjusted is not None
    assert merged.p_discovery_adjusted < 0.05


def test_declared_splits_are_holm_adjusted_and_do_not_touch_one_another(tmp_path: Path) -> None:
    """Adding splits changes no statistic of another; the adjustment is over those that were tested."""
    second = "    - {name: early, known: {first_purchases: 2}, groups: {p: {all: \"product_id = 'p'\"}, other: \"product_id = 'q'\"}}\n"
    lifetime = (
        "    - {name: ever, known: lifetime, groups: {p: {all: \"product_id = 'p'\"}, other: \"product_id = 'q'\"}}\n"
    )
    lines = shop(500, ratio=1.2)
    (alone,) = tried(tmp_path, lines, FIRST_PRODUCT)
    several = tried(tmp_path, lines, FIRST_PRODUCT + second + lifetime)
    assert several[0].test == alone.test
    assert several[0].pairs == alone.pairs
    tests = [trial.test for trial in several if trial.test is not None]
    assert len(tests) == 2
    adjusted = holm(np.array([test.p_value for test in tests]))
    assert [trial.p_adjusted for trial in several] == [*adjusted, None]


@pytest.mark.parametrize(
    ("split", "reason"),
    [
        ("{name: a, known: lifetime, by: product_id}", "circular"),
        ("{name: a, known: {until: 2024-01-01}, by: product_id}", "nobody observed"),
        ("{name: a, known: first_purchase, by: amount, thresholds: auto}", "no threshold"),
        (
            "{name: a, known: first_purchase, groups: {p: \"product_id in ('p', 'q')\", none: \"product_id = 'z'\"}}",
            "one group",
        ),
        ("{name: a, known: first_purchase, by: order_id}", "too many groups"),
    ],
)
def test_an_untestable_split_says_why_and_how_to_restate_it(tmp_path: Path, split: str, reason: str) -> None:
    """What cannot be tried is named untestable with its reason and its mend, and enters no correction."""
    trials = tried(tmp_path, shop(120), FIRST_PRODUCT + f"    - {split}\n")
    assert trials[1].verdict == "untestable"
    assert trials[1].reasons == (reason,)
    assert trials[1].restate
    assert trials[1].p_adjusted is None
    assert trials[0].test is not None
    assert trials[0].p_adjusted == trials[0].test.p_value


def test_the_values_of_a_key_are_not_laid_out_by_cohort(tmp_path: Path) -> None:
    """A column with a value for each order makes no table of cohorts by orders, in results or in memory."""
    (trial,) = tried(tmp_path, shop(120), "    - {name: a, known: first_purchase, by: order_id}\n")
    assert len(trial.groups) == 120
    assert trial.comparability is None


def test_a_value_with_the_name_of_a_segment_is_refused(tmp_path: Path) -> None:
    """A column's value that results use for everybody or nobody makes no group."""
    lines = [(*line[:3], "all" if line[3] == "p" else line[3], *line[4:]) for line in shop(120)]
    (trial,) = tried(tmp_path, lines, "    - {name: a, known: first_purchase, by: product_id}\n")
    assert (trial.verdict, trial.reasons) == ("untestable", ("reserved name",))


def test_groups_that_share_no_cohort_are_not_comparable(tmp_path: Path) -> None:
    """Where one group entered early and the other late, season and tenure cannot be told from the split."""
    lines: list[Line] = []
    for number in range(400):
        product, start = ("p", 0) if number % 2 else ("q", 150)
        at = start + number % 20
        while at <= UNTIL:
            lines.append((f"c{number}", f"o{len(lines)}", day(at), product, 1, 10))
            at += 20 + number % 17
    (trial,) = tried(tmp_path, lines, FIRST_PRODUCT)
    assert (trial.verdict, trial.reasons) == ("untestable", ("not comparable",))
    assert trial.comparability is not None
    assert trial.comparability.share == 0


def test_nobody_comes_back(tmp_path: Path) -> None:
    """A shop where every customer buys once ends in a verdict, not in a division by zero."""
    lines: list[Line] = [
        (f"c{number}", f"o{number}", day(number % 90), "pq"[number % 2], 1, 10) for number in range(300)
    ]
    (trial,) = tried(tmp_path, lines, FIRST_PRODUCT)
    assert (trial.verdict, trial.reasons) == ("untestable", ("too few events",))


def test_an_empty_group_and_the_mixed_one_do_not_stand_in_the_way(tmp_path: Path) -> None:
    """A group that nobody is in, and the few with several values, keep a strong split neither from separating nor from its effect."""
    lines = shop(800, ratio=2.0)
    both: list[Line] = [("both", f"b{product}", day(3), product, 1, 10) for product in "pq"]
    empty = FIRST_PRODUCT.replace("}}", ", none: \"product_id = 'z'\"}}").replace("name: first", "name: empty")
    mixed = "    - {name: mixed, known: first_purchase, by: product_id}\n"
    trials = tried(tmp_path, lines + both, empty + mixed)
    assert [trial.verdict for trial in trials] == ["separates", "separates"]
    assert [group.customers for group in trials[0].groups][2] == 0
    assert (trials[1].groups[0].name, trials[1].groups[0].customers) == ("mixed", 1)


def test_a_horizon_beyond_the_data_ends_with_the_longest_gap(tmp_path: Path) -> None:
    """A horizon longer than any gap is read at the last day that holds enough customers."""
    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL)
    text = CONFIG + f"cycle: {{observed_until: {last}, horizon_days: 5000}}\nsplits:\n  declared:\n{FIRST_PRODUCT}"
    config = read_config(tmp_path, text)
    with engine_with(shop(400)) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        (trial,) = run_trials(
            engine, config, columns, splits, observed_until=summary.observed_until, progress=lambda _: None
        ).trials
    assert trial.horizon_days is not None
    assert 60 < trial.horizon_days <= UNTIL


def test_text_compared_with_a_number_is_the_users_to_mend(tmp_path: Path) -> None:
    """A condition that the data cannot answer names the split, what is wrong and the cast that mends it."""
    split = "    - {name: cheap, known: first_purchase, groups: {low: product_id < 5, high: product_id >= 5}}\n"
    with pytest.raises(ExpressionError, match=r"shop\.yaml: the groups of 'cheap': .*try_cast\(column as double\)"):
        tried(tmp_path, shop(60), split)


def test_customers_needed_are_two_digits_rounded_up(tmp_path: Path) -> None:
    """A sample size claims no more than its order of magnitude."""
    (few,) = tried(tmp_path, shop(300), FIRST_PRODUCT)
    assert few.customers_needed is not None
    assert set(str(few.customers_needed)[2:]) <= {"0"}
    assert f"{few.customers_needed:,} customers" in str(few.sentence)


def test_a_small_group_never_separates(tmp_path: Path) -> None:
    """However strong the effect, a group below ``min_group`` keeps the verdict open and is named."""
    lines = shop(700, ratio=3.0)
    first = {line[0]: line[3] for line in reversed(lines)}
    lines = [line for line in lines if first[line[0]] == "p" or line[0] < "c00250"]
    (trial,) = tried(tmp_path, lines, FIRST_PRODUCT, more="trial: {min_group: 150}")
    assert trial.verdict == "inconclusive"
    assert trial.reasons == ("group below 150 customers: q",)
