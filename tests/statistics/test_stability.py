"""The population stability index: its value, its null law, and when a move is told."""

from __future__ import annotations

import numpy as np
import pytest

from segmentor.statistics.stability import population_stability


def test_the_index_is_the_sum_over_parts() -> None:
    """Shares of 0.5 and 0.5 against 0.25 and 0.75: 0.25 log 2 + 0.25 log 1.5 = 0.2747, as computed by hand."""
    found = population_stability(np.array([500_000, 500_000]), np.array([250_000, 750_000]))
    assert found.index == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5), abs=1e-5)
    assert found.moved


def test_chance_alone_passes_its_bound_in_five_percent() -> None:
    """Of 2,000 pairs of samples of one population, 3.5 to 6.5 % lie above the bound by chance, and a small move is none."""
    generator = np.random.default_rng(1)
    shares = [0.5, 0.3, 0.15, 0.05]
    found = [
        population_stability(generator.multinomial(800, shares), generator.multinomial(500, shares))
        for _ in range(2000)
    ]
    assert 0.035 < np.mean([one.index > one.by_chance for one in found]) < 0.065
    assert not any(one.moved for one in found)


def test_few_customers_do_not_move_by_chance() -> None:
    """Ten customers in other segments than ten before are within chance, and empty parts have an index."""
    found = population_stability(np.array([6, 4, 0]), np.array([4, 5, 1]))
    assert np.isfinite(found.index)
    assert not found.moved


def test_one_part_cannot_move() -> None:
    """Everybody in one segment is at rest."""
    assert not population_stability(np.array([10]), np.array([1000])).moved
