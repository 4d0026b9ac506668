"""The whole pipeline on fragrance shops whose truth is known: its error rate, the coverage of its intervals, its verdicts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fragrance import null_rates, null_trials, true_trials

from segmentor.result import Interval, Trial
from segmentor.synthetic import FragranceWorld, fragrance_truth


def shown(rates: dict[str, float]) -> None:
    """The table, for whoever runs the tests with -s."""
    for name, rate in rates.items():
        print(f"{name:45s} {rate:7.3f}")


def test_few_null_shops_have_a_split_that_separates() -> None:
    """Of 12 shops in which nothing is true at most 3 have a split declared real: more has a chance of 0.2 % at the level."""
    rates = null_rates(null_trials(12, customers=1000))
    shown(rates)
    assert rates["separates"] <= 3 / 12
    assert max(rate for name, rate in rates.items() if name.endswith(": naive log-rank below 0.05")) > 3 / 12


@pytest.mark.slow
def test_null_shops_are_declared_real_at_the_level_and_no_more() -> None:
    """Of 200 null shops of 2,000 customers at most 8 % have a split that separates, and the p-values are uniform."""
    rates = null_rates(null_trials(200, customers=2000))
    shown(rates)
    assert rates["separates"] <= 0.08
    assert rates["any adjusted p below 0.05"] <= 0.09
    for name, rate in rates.items():
        if name.endswith(": p of uniformity"):
            assert rate > 0.005, name
        if name.endswith(": p below 0.05"):
            assert 0.01 <= rate <= 0.10, name


def covered(interval: Interval, truth: float) -> bool:
    """Whether an interval holds the truth."""
    assert interval.ci_low is not None
    assert interval.ci_high is not None
    return interval.ci_low <= truth <= interval.ci_high


def coverages(trials: list[dict[str, Trial]], truth: dict[str, Any]) -> list[bool]:
    """For each shop and pair whether ratio and share difference cover the truth at the run's horizon, and each group's share and cycle."""
    found = []
    for shop in trials:
        for pair in truth["pairs"]:
            trial = shop[pair["split"]]
            assert trial.horizon_days is not None
            at = trial.horizon_days - 1
            effect = trial.pairs[0]
            assert (effect.first, effect.second) == (pair["first"], pair["second"])
            found += [
                covered(effect.ratio, pair["ratio"][at]),
                covered(effect.share_difference, pair["share_difference"][at]),
            ]
            for group in trial.groups:
                curve = truth["groups"][pair["split"]][group.name]
                assert group.share_back is not None
                assert group.mean_cycle_days is not None
                found += [
                    covered(group.share_back, curve["share_back"][at]),
                    covered(group.mean_cycle_days, curve["mean_cycle_days"][at]),
                ]
    return found


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    """What is true in the published world."""
    return fragrance_truth(FragranceWorld())


def check_published_world(trials: list[dict[str, Trial]], truth: dict[str, Any], least: float) -> None:
    """Verdicts and coverage on shops of the published world."""
    assert [shop["gender"].verdict for shop in trials] == ["equivalent"] * len(trials)
    assert [shop["size"].verdict for shop in trials] == ["separates"] * len(trials)
    rate = float(np.mean(coverages(trials, truth)))
    shown({"coverage of 95 % intervals": rate})
    assert rate >= least


def test_the_published_world_is_read_right(truth: dict[str, Any]) -> None:
    """Men and women are shown equivalent, sample and full size separate, and 80 % or more of twelve intervals of a shop hold the truth."""
    check_published_world(true_trials([1], customers=20_000), truth, 0.8)


@pytest.mark.slow
def test_the_published_world_is_read_right_over_seeds(truth: dict[str, Any]) -> None:
    """The same over 20 published seeds, with 92 to 98.5 % of 240 dependent intervals covering."""
    check_published_world(true_trials(range(1, 21), customers=20_000), truth, 0.92)
