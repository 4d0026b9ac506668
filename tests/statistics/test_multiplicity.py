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

from segmentor.statistics.multiplicity import benjamini_yekutieli, holm, max_step_down

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


def _by_definition(seen, drawn):
    """Step-down p-values by loops over Westfall and Young's steps."""
    pool = np.concatenate([seen[None], drawn])
    order = sorted(range(len(seen)), key=lambda place: -seen[place])
    adjusted, before = np.empty(len(seen)), 0.0
    for step, place in enumerate(order):
        before = max(before, np.mean([row[order[step:]].max() >= seen[place] for row in pool]))
        adjusted[place] = before
    return adjusted


@given(arrays(np.float64, (12, 4), elements=st.integers(0, 30).map(float)))
def test_step_down_is_that_of_the_definition(statistics):
    """Single p-values are shares of the relabellings, and step-down ones Westfall and Young's steps in plain loops, ties included."""
    seen, drawn = statistics[0], statistics[1:]
    single, single_step, step_down = max_step_down(seen, [drawn[:5], drawn[5:]])
    np.testing.assert_allclose(single, (statistics >= seen).mean(axis=0))
    np.testing.assert_allclose(single_step, [(statistics.max(axis=1) >= own).mean() for own in seen])
    np.testing.assert_allclose(step_down, _by_definition(seen, drawn))
    assert (single <= step_down).all()
    assert (step_down <= single_step).all()


def test_nothing_to_adjust_is_no_error():
    """No p-values give no p-values."""
    assert holm(np.array([])).size == 0
