"""Adjusted p-values against R's p.adjust."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control

from segmentor.statistics.multiplicity import benjamini_yekutieli, holm, max_step_down, min_p_step_down

ADJUSTED = json.loads((Path(__file__).parents[1] / "data" / "reference" / "multiplicity.json").read_text())["adjusted"]


@pytest.mark.parametrize("name", ADJUSTED)
def test_holm_equals_r_to_the_last_bit(name):
    """multiplicity.json `adjusted.*.holm` is reproduced exactly."""
    np.testing.assert_array_equal(holm(np.array(ADJUSTED[name]["p"])), ADJUSTED[name]["holm"])


@pytest.mark.parametrize("name", ADJUSTED)
def test_benjamini_yekutieli_equals_r_to_the_last_bits(name):
    """multiplicity.json `adjusted.*.by` is reproduced to the last bits."""
    np.testing.assert_array_max_ulp(
        benjamini_yekutieli(np.array(ADJUSTED[name]["p"])), np.array(ADJUSTED[name]["by"]), 2
    )


@pytest.mark.parametrize("name", ADJUSTED)
def test_corrections_that_the_package_does_without(name):
    """multiplicity.json `adjusted.*`: `bonferroni`, `hochberg` and `bh` follow from their definitions and from scipy."""
    p, expected = np.array(ADJUSTED[name]["p"]), ADJUSTED[name]
    n, order = len(p), np.argsort(p, kind="stable")
    np.testing.assert_allclose(np.minimum(1, n * p), expected["bonferroni"], rtol=1e-15)
    hochberg = np.empty(n)
    hochberg[order] = np.minimum.accumulate(np.arange(1, n + 1) * p[order[::-1]])[::-1]
    np.testing.assert_allclose(np.minimum(1, hochberg), expected["hochberg"], rtol=1e-15)
    np.testing.assert_allclose(false_discovery_control(p, method="bh"), expected["bh"], rtol=1e-14)


def _by_definition(seen, drawn, *, by_rank):
    """Step-down p-values by loops over Westfall and Young's steps."""
    pool = np.concatenate([seen[None], drawn])
    if by_rank:
        pool = -np.stack([[(column >= own).mean() for own in column] for column in pool.T], axis=1)
    order = sorted(range(len(seen)), key=lambda place: -pool[0, place])
    adjusted, before = np.empty(len(seen)), 0.0
    for step, place in enumerate(order):
        before = max(before, np.mean([row[order[step:]].max() >= pool[0, place] for row in pool]))
        adjusted[place] = before
    return adjusted


@given(arrays(np.float64, (12, 4), elements=st.integers(0, 30).map(float)))
def test_step_down_is_that_of_the_definition(statistics):
    """Both step-down corrections equal Westfall and Young's steps in plain loops, ties included."""
    seen, drawn = statistics[0], statistics[1:]
    single, adjusted = min_p_step_down(seen, drawn)
    np.testing.assert_allclose(single, (statistics >= seen).mean(axis=0))
    np.testing.assert_allclose(adjusted, _by_definition(seen, drawn, by_rank=True))
    alone, single_step, step_down = max_step_down(seen, [drawn[:5], drawn[5:]])
    np.testing.assert_allclose(alone, single)
    np.testing.assert_allclose(single_step, [(statistics.max(axis=1) >= own).mean() for own in seen])
    np.testing.assert_allclose(step_down, _by_definition(seen, drawn, by_rank=False))
    assert (alone <= step_down).all()
    assert (step_down <= single_step).all()


@given(st.integers(0, 99))
def test_ranks_make_laws_comparable(seed):
    """A statistic on another scale has the same min-P."""
    statistics = np.random.default_rng(seed).gamma(1, 1, (30, 3))
    scaled = np.stack([statistics[:, 0] ** 3, statistics[:, 1] * 1000, np.log(statistics[:, 2])], axis=1)
    np.testing.assert_array_equal(
        min_p_step_down(scaled[0], scaled[1:]), min_p_step_down(statistics[0], statistics[1:])
    )


def test_nothing_to_adjust_is_no_error():
    """No p-values give no p-values."""
    assert holm(np.array([])).size == 0
