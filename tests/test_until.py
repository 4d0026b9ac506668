"""Labels known until a date: who is at risk from there on, what is looked at, and what a label may not know."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shops import CONFIG, Line, day, engine_with, read_config
from test_trials import UNTIL, obvious_gaps, shop, tried

from segmentor.config import load_config
from segmentor.cycles import TimeZero, build_cycles, build_population, day_number
from segmentor.errors import ConfigError
from segmentor.result import DealtLabels, Trial
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.score_tests import test_scores as score_tests
from segmentor.statistics.survival import (
    LifeTable,
    customer_sums,
    day_by_which,
    gehan_values,
    logrank_values,
    mean_cycle,
    survival,
)
from segmentor.verdicts import weighed_against_deals
from segmentor.wording import Message

DATE = datetime.date(2024, 7, 15)
SINCE = (DATE - datetime.date(2024, 1, 1)).days

ONLY_P = (
    "    - {name: only p, known: {until: 2024-07-15}, groups: {only p: {all: \"product_id = 'p'\"}, other: 'true'}}\n"
)
LIFETIME = ONLY_P.replace("{until: 2024-07-15}", "lifetime").replace("only p, known", "ever, known")


def test_a_gap_enters_late_and_an_occasion_on_the_date_begins_the_next(tmp_path: Path) -> None:
    """The gap that spans the date is at risk from its age on; one that ends on the date never is; nobody who came later takes part."""
    lines: list[Line] = [("a", "1", day(0), "p", 1, 5), ("a", "2", day(30), "p", 1, 5), ("a", "3", day(45), "p", 1, 5)]
    lines += [("b", "4", day(5), "p", 1, 5), ("b", "5", day(20), "p", 1, 5), ("b", "6", day(60), "p", 1, 5)]
    lines += [("c", "7", day(8), "p", 1, 5), ("late", "8", day(25), "p", 1, 5)]
    last = datetime.date(2024, 4, 9)
    since = day_number(datetime.date(2024, 1, 21))
    config = read_config(tmp_path, CONFIG + f"cycle: {{observed_until: {last}}}\n")
    with engine_with(lines) as engine:
        build_cycles(engine, config, progress=lambda _: None)
        build_population(engine, config, TimeZero(until=since), observed_until=day_number(last))
        suffix = TimeZero(until=since).suffix
        customer = "join everyone using (customer_no) order by all"
        assert engine.rows(f"select customer, duration, entry_age, event_observed from gaps_{suffix} {customer}") == [
            ("a", 15, 0, True),
            ("a", 30, 20, True),
            ("a", 54, 0, False),
            ("b", 39, 0, False),
            ("b", 40, 0, True),
            ("c", 91, 12, False),
        ]
        assert engine.rows(f"select customer, duration, event_observed from waits_{suffix} {customer}") == [
            ("a", 10, True),
            ("b", 0, True),
            ("c", 79, False),
        ]
        assert engine.rows(f"select customer, cycles, follow_up from members_{suffix} {customer}") == [
            ("a", 2, 79),
            ("b", 1, 79),
            ("c", 0, 79),
        ]
        assert engine.rows(f"select customer, cycles from begun_members_{suffix} {customer}") == [("a", 1), ("b", 1)]


def test_scores_and_effects_equal_the_pure_computation(tmp_path: Path) -> None:
    """Both scores with late entry, the share back of the waiting time and the ratio of the gaps begun since, from single gaps."""
    lines = shop(600, ratio=1.4)
    (trial,) = tried(tmp_path, lines, ONLY_P)
    before = {line[0] for line in lines if line[2] < day(SINCE, 0)}
    products: dict[str, set[str]] = {name: set() for name in before}
    starts: dict[str, list[int]] = {name: [] for name in before}
    for customer, _, at, product, *_ in lines:
        if customer in before:
            starts[customer].append((at - day(0)).days)
            if (at - day(0)).days < SINCE:
                products[customer].add(product)
    names = sorted(before)
    groups = np.array([int(products[name] != {"p"}) for name in names])
    gaps = obvious_gaps([line for line in lines if line[0] in before])
    rows = []
    waits = []
    for number, name in enumerate(names):
        begins = sorted(set(starts[name]))
        for at, (duration, event) in zip(begins, gaps.get(name, []), strict=False):
            age = max(0, SINCE - at)
            if duration > age:
                rows.append((number, duration, age, event))
        later = [at for at in begins if at >= SINCE]
        waits.append((later[0] - SINCE, True) if later else (UNTIL - SINCE, False))
    customers, durations, ages, events = (np.array(column) for column in zip(*rows, strict=True))
    tau = day_by_which(np.bincount(durations[events]), 0.9)
    assert trial.tau_days == tau
    weights = np.ones(len(durations))
    table = LifeTable.from_gaps(durations, events, weights=weights, entry_ages=ages).cut(tau)
    scores = np.stack(
        [
            customer_sums(
                make(table), customers=customers, durations=durations, events=events, weights=weights, entry_ages=ages
            )
            for make in (logrank_values, gehan_values)
        ]
    )
    expected = score_tests(GroupSums.from_scores(scores, groups, np.zeros(len(names), dtype=int)))
    assert trial.test is not None
    assert [score.score for score in trial.test.scores] == ["typical_gap log-rank", "typical_gap Gehan"]
    np.testing.assert_allclose([score.statistic for score in trial.test.scores], expected.statistics, rtol=1e-8)
    assert trial.test.p_value == pytest.approx(expected.p_value, rel=1e-6)

    horizon = trial.horizon_days
    assert horizon is not None
    waited, returned = (np.array(column) for column in zip(*waits, strict=True))
    for number, group in enumerate(trial.groups):
        own = groups == number
        curve = survival(LifeTable.from_gaps(waited[own], returned[own], weights=np.ones(own.sum())))
        assert group.share_back is not None
        assert group.share_back.estimate == pytest.approx(1 - curve[horizon], rel=1e-9)
        begun = own[customers] & (ages == 0)
        cycles = np.bincount(customers[begun], events[begun], len(names))
        kept = begun & (events | (cycles[customers] == 0))
        curve = survival(
            LifeTable.from_gaps(durations[kept], events[kept], weights=1 / np.maximum(cycles[customers[kept]], 1))
        )
        assert group.mean_cycle_days is not None
        assert group.mean_cycle_days.estimate == pytest.approx(mean_cycle(curve, horizon), rel=1e-9)


def test_nothing_after_the_date_changes_the_groups(tmp_path: Path) -> None:
    """What is bought later belongs to the test and not to the label."""
    lines = shop(300)
    changed = [(*line[:3], "r", *line[4:]) if line[2] >= day(SINCE, 0) else line for line in lines]
    (one,), (other,) = tried(tmp_path, lines, ONLY_P), tried(tmp_path, changed, ONLY_P)
    assert [(group.name, group.customers) for group in one.groups] == [(g.name, g.customers) for g in other.groups]
    assert one.test == other.test


def with_customers(
    folder: Path, lines: list[Line], splits: str, column: str, values: dict[str, str | None]
) -> tuple[Trial, ...]:
    """The trials of a shop with a customers' table of one column."""
    from segmentor.candidates import find_candidates  # noqa: PLC0415
    from segmentor.splits import declared_splits, make_label_sources  # noqa: PLC0415
    from segmentor.trials import run_trials  # noqa: PLC0415

    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL)
    section = "  customers: {path: customers.csv, columns: {customer: id}}\n"
    text = CONFIG + section + f"cycle: {{observed_until: {last}}}\nsplits:\n  declared:\n{splits}"
    config = read_config(folder, text)
    tables = {"customers": (("id", column), list(values.items()))}
    with engine_with(lines, tables) as engine:
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        declared = declared_splits(config, columns)
        found = find_candidates(engine, config, columns, progress=lambda _: None)
        make_label_sources(engine, config, columns, (*declared, *found.splits))
        return run_trials(
            engine,
            config,
            columns,
            declared,
            attributes=found.attributes,
            observed_until=summary.observed_until,
            progress=lambda _: None,
        ).trials


def test_a_name_that_lines_and_customers_have_is_asked_back(tmp_path: Path) -> None:
    """Before a date a column of transactions and of customers is refused, and these two tables are named."""
    split = "    - {name: spent, known: {until: 2024-04-01}, by: amount}\n"
    with pytest.raises(ConfigError, match=r"'amount' is a column of transactions and of customers; derive one"):
        with_customers(tmp_path, shop(20), split, "amount", {"c0": "1"})


def test_a_column_made_of_purchases_is_not_fixed_at_entry(tmp_path: Path) -> None:
    """A tier by number of purchases is refused as circular at entry and taken until a date; a region passes both ways."""
    lines = shop(600)
    counts = {name: sum(line[0] == name for line in lines) for name in {line[0] for line in lines}}
    tiers = {name: "gold" if count > 5 else "silver" if count > 2 else "bronze" for name, count in counts.items()}
    split = "    - {name: own, known: entry, by: tier}\n    - {name: dated, known: {until: 2024-07-15}, by: tier}\n"
    at_entry, _ = with_customers(tmp_path, lines, split, "tier", tiers)
    assert (at_entry.verdict, at_entry.reasons) == ("untestable", ("circular",))
    assert at_entry.restate is not None
    assert "until" in str(at_entry.restate)
    before = {name: sum(line[0] == name and line[2] < day(SINCE, 0) for line in lines) for name in counts}
    of_the_date = {name: "gold" if count > 3 else "silver" if count > 1 else "bronze" for name, count in before.items()}
    _, dated = with_customers(tmp_path, lines, split, "tier", of_the_date)
    assert dated.test is not None
    assert dated.dealt is None
    regions = {name: ["north", "south"][int(name[1:]) % 2] for name in counts}
    for trial in with_customers(tmp_path, lines, split, "tier", regions):
        assert trial.test is not None


@pytest.mark.parametrize("seed", range(3))
def test_a_lifetime_label_is_refused_and_its_restatement_answered(tmp_path: Path, seed: int) -> None:
    """A label over the whole history is never tested; the YAML that comes with the refusal is, in the same shop."""
    lines = shop(700, ratio=1.8, seed=seed)
    (refused,) = tried(tmp_path, lines, LIFETIME)
    assert (refused.verdict, refused.reasons) == ("untestable", ("circular",))
    assert refused.p_adjusted is None
    assert refused.restated is not None
    restated = "".join(f"    {line}\n" for line in refused.restated.splitlines())
    (answered,) = tried(tmp_path, lines, restated)
    assert answered.known == "first_purchase"
    assert answered.verdict == "separates"


def test_a_restatement_keeps_what_was_declared(tmp_path: Path) -> None:
    """Groups with names and conditions that YAML would misread come back as they were."""
    groups = '{"yes": {all: "product_id = \'p\'"}, "a: b # c": "product_id in (\'q\', \'\\n\')", "null": "true"}'
    split = f"    - {{name: odd, known: lifetime, groups: {groups}}}\n"
    (refused,) = tried(tmp_path, shop(120), split)
    assert refused.restated is not None
    path = tmp_path / "again.yaml"
    again = "".join(f"    {line}\n" for line in refused.restated.splitlines())
    path.write_text(CONFIG + f"splits:\n  declared:\n{again}", encoding="utf-8")
    (declared,) = load_config(path).splits.declared
    assert declared.groups is not None
    assert list(declared.groups) == ["yes", "a: b # c", "null"]
    assert str(declared.known) == "first_purchase"


def test_a_label_of_many_purchases_separates_even_with_products_dealt_at_random(tmp_path: Path) -> None:
    """Where products mean nothing, "only p so far" still tells who bought little: the lifetime label is significant in most deals."""
    dated, lifetime = tried(tmp_path, shop(900), ONLY_P + LIFETIME)
    assert dated.dealt is not None
    assert lifetime.dealt is not None
    assert lifetime.dealt.deals == dated.dealt.deals == 10
    assert lifetime.dealt.significant >= 9
    assert dated.dealt.significant < lifetime.dealt.significant


def test_a_total_of_today_is_no_number_of_the_past(tmp_path: Path) -> None:
    """A lifetime total that is to be cut is refused at entry, and a tier of today's export is refused as of a date; both are told of."""
    lines = shop(900)
    counts = {name: sum(line[0] == name for line in lines) for name in {line[0] for line in lines}}
    cut = "    - {name: spend, known: entry, by: total, thresholds: auto}\n"
    (spend,) = with_customers(tmp_path, lines, cut, "total", {name: str(10 * count) for name, count in counts.items()})
    assert (spend.verdict, spend.reasons) == ("untestable", ("circular",))
    after = {name: sum(line[0] == name and line[2] > day(SINCE) for line in lines) for name in counts}
    tiers = {name: "gold" if count > 3 else "silver" if count > 0 else "none" for name, count in after.items()}
    dated = "    - {name: dated, known: {until: 2024-07-15}, by: tier}\n"
    (tier,) = with_customers(tmp_path, lines, dated, "tier", tiers)
    assert (tier.verdict, tier.reasons) == ("untestable", ("circular",))
    assert tier.restate is not None
    assert "after 2024-07-15" in str(tier.restate)


@pytest.mark.parametrize("known", ["entry", "{until: 2024-07-15}"])
def test_a_total_of_today_that_nobody_declared_is_refused_too(tmp_path: Path, known: str) -> None:
    """A column of the customers' table that follows later purchases is found as a number and is circular; one that does not is tried."""
    lines = shop(600)
    counts = {name: sum(line[0] == name for line in lines) for name in {line[0] for line in lines}}
    found = f"    []\n  enumerated: {{known: {known}, columns: [total]}}\n"
    (total,) = with_customers(
        tmp_path, lines, found, "total", {name: str(10 * count) for name, count in counts.items()}
    )
    assert (total.verdict, total.reasons, total.attribute) == ("untestable", ("circular",), "total")
    (other,) = with_customers(tmp_path, lines, found, "total", {name: name[-1] for name in counts})
    assert other.test is not None or other.p_discovery_adjusted is not None


def test_a_label_that_separates_no_more_than_a_dealt_one_is_not_decided() -> None:
    """Where most deals are significant and some as strong, the verdict is open and says so; a stronger label keeps it."""
    trial = Trial(
        *("all", "so far", "declared", "until: 2024-07-15", (), (), 0, "separates", ("significant",)),
        Message("These customers really differ: {facts}.", {"facts": "facts"}),
        dealt=DealtLabels(deals=10, significant=9, ratio=0.9, share_difference=0.2, as_strong=3),
    )
    open_ = weighed_against_deals(trial)
    assert open_.verdict == "inconclusive"
    assert open_.reasons == ("labels dealt at random separate as much", "significant")
    assert str(open_.sentence) == "Not decided (labels dealt at random separate as much): facts."
    for dealt in (DealtLabels(10, 9, 0.9, 0.2, as_strong=0), DealtLabels(10, 2, 0.9, 0.2, as_strong=1), None):
        stronger = replace(trial, dealt=dealt)
        assert weighed_against_deals(stronger) is stronger
