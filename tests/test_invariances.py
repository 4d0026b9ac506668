"""What must not matter does not: the order of rows, names of customers, units of money and time, files, and other splits."""

from __future__ import annotations

import csv
import datetime
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shops import CONFIG, TRANSACTIONS, Line, day, engine_with, read_config
from test_trials import FIRST_PRODUCT, UNTIL, shop

from segmentor import run
from segmentor.config import load_config
from segmentor.cycles import build_cycles
from segmentor.result import EVERYBODY, Interval, Trial
from segmentor.splits import declared_splits, make_label_sources
from segmentor.trials import run_trials
from segmentor.wording import Message

SEVERAL = FIRST_PRODUCT + (
    "    - {name: seen, known: {until: 2024-08-01}, by: product_id}\n"
    "    - {name: two, known: {first_purchases: 2}, groups: {p: {all: \"product_id = 'p'\"}, other: 'true'}}\n"
)

few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
seeds = st.integers(0, 1000)


def trials(lines: Sequence[Line], splits: str = SEVERAL, *, stretch: int = 1, more: str = "") -> dict[str, Trial]:
    """The trials by name."""
    last = datetime.date(2024, 1, 1) + datetime.timedelta(days=UNTIL * stretch)
    text = CONFIG + f"cycle: {{observed_until: {last}{more}}}\nsplits:\n  declared:\n{splits}"
    with tempfile.TemporaryDirectory() as folder, engine_with(lines) as engine:
        config = read_config(Path(folder), text)
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        declared = declared_splits(config, columns)
        make_label_sources(engine, config, columns, declared)
        tried = run_trials(
            engine, config, columns, declared, observed_until=summary.observed_until, progress=lambda _: None
        )
    return {trial.split: trial for trial in tried.trials if trial.segment == EVERYBODY}


def without_halves(trial: Trial) -> Trial:
    """The trial without what a draw of halves or of deals, which go by the customers' names, has a part in."""
    return replace(
        trial,
        verdict="untestable",
        reasons=(),
        sentence=Message(""),
        same_direction=None,
        other_seeds=(),
        robustness=(),
        dealt=None,
        customers_needed=None,
        months_needed=None,
    )


@few
@given(seed=seeds, random=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(seed: int, random: object) -> None:
    """Lines in any order give the same trials to the last bit."""
    lines = shop(160, seed=seed)
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert trials(shuffled) == trials(lines)


@few
@given(seed=seeds)
def test_the_names_of_customers_do_not_matter(seed: int) -> None:
    """Customers under other names give the same tests, effects, habits and crossovers to the last bit; only halves go by names."""
    lines = shop(160, seed=seed)
    names = sorted({line[0] for line in lines})
    others = dict(
        zip(names, np.random.default_rng(seed).permutation([f"客 {n}" for n in range(len(names))]), strict=True)
    )
    renamed = trials([(str(others[line[0]]), *line[1:]) for line in lines])
    for name, trial in trials(lines).items():
        assert without_halves(renamed[name]) == without_halves(trial)


@few
@given(seed=seeds, factor=st.sampled_from([0.01, 100, 10_000]))
def test_the_unit_of_money_does_not_matter(seed: int, factor: float) -> None:
    """Amounts in another currency leave cycles as they are, and order values differ by the same number of standard deviations."""
    generator = np.random.default_rng(seed)
    lines = [(*line[:5], float(generator.integers(500, 5000)) * 100) for line in shop(160, seed=seed)]
    other = [(*line[:5], line[5] * factor) for line in lines]
    before, after = trials(lines, FIRST_PRODUCT)["first"], trials(other, FIRST_PRODUCT)["first"]
    assert replace(before, habits=()) == replace(after, habits=())
    assert [habit.name for habit in before.habits] == [habit.name for habit in after.habits]
    for one, two in zip(before.habits, after.habits, strict=True):
        assert two.p_value == pytest.approx(one.p_value, rel=1e-6)
        assert two.standardised.estimate == pytest.approx(one.standardised.estimate, rel=1e-6, abs=1e-9)
        if one.unit == "money":
            assert two.difference.estimate == pytest.approx((one.difference.estimate or 0.0) * factor, rel=1e-6)


@few
@given(seed=seeds, stretch=st.sampled_from([2, 3]))
def test_the_unit_of_time_does_not_matter(seed: int, stretch: int) -> None:
    """Cycles all k times as long have the same test, the same ratio and shares back, and differences k times as long."""
    lines = shop(200, ratio=1.3, seed=seed)
    longer = [(*line[:2], day(stretch * (line[2] - day(0)).days), *line[3:]) for line in lines]
    alone = ", advanced: {cohort: none}"
    before = trials(lines, FIRST_PRODUCT, more=f"{alone}, horizon_days: 60")["first"]
    after = trials(longer, FIRST_PRODUCT, stretch=stretch, more=f"{alone}, horizon_days: {60 * stretch}")["first"]
    assert before.test is not None
    assert after.test is not None
    assert after.test.p_value == pytest.approx(before.test.p_value, rel=1e-6)
    assert before.horizon_days is not None
    if after.horizon_days == before.horizon_days * stretch:
        close(after.pairs[0].ratio, before.pairs[0].ratio)
        close(after.pairs[0].share_difference, before.pairs[0].share_difference)
        close(after.pairs[0].difference_days, before.pairs[0].difference_days, factor=stretch)


def close(one: Interval, other: Interval, *, factor: float = 1.0) -> None:
    """Two intervals agree but for rounding, up to a factor."""
    for bound in ("estimate", "ci_low", "ci_high"):
        assert getattr(one, bound) == pytest.approx(factor * getattr(other, bound), rel=1e-5, abs=1e-7)


@few
@given(seed=seeds)
def test_other_splits_do_not_matter(seed: int) -> None:
    """A split's test, effects and habits are the same whatever else is asked; only its adjustment for many is not."""
    lines = shop(160, seed=seed)
    together = trials(lines)
    for split in SEVERAL.splitlines(keepends=True):
        ((name, alone),) = trials(lines, split).items()
        other = together[name]
        assert (alone.test, alone.pairs, alone.groups) == (other.test, other.pairs, other.groups)
        assert [(h.name, h.p_value, h.difference) for h in alone.habits] == [
            (h.name, h.p_value, h.difference) for h in other.habits
        ]


@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(seed=seeds, parts=st.integers(2, 4))
def test_one_file_or_several_does_not_matter(seed: int, parts: int) -> None:
    """Lines cut at random into several files give the same trials, rules and fingerprint."""
    lines = shop(120, seed=seed)
    where = np.random.default_rng(seed).integers(parts, size=len(lines))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(parts):
            own = [line for line, place in zip(lines, where, strict=True) if place == number]
            write(folder / f"part{number}.csv", own)
        write(folder / "whole.csv", lines)
        text = CONFIG + f"splits:\n  declared:\n{FIRST_PRODUCT}"
        (folder / "shop.yaml").write_text(text, encoding="utf-8")
        results = [
            run(load_config(folder / "shop.yaml", [f"data.transactions.path={path}"]), out=folder / f"out{number}")
            for number, path in enumerate((f"{folder}/whole.csv", f"{folder}/part*.csv"))
        ]
    assert results[0].trials == results[1].trials
    assert results[0].quality == results[1].quality


def write(path: Path, lines: Sequence[Line]) -> None:
    """Lines as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(TRANSACTIONS)
        writer.writerows([line[0], line[1], line[2].isoformat(sep=" "), *line[3:]] for line in lines)
