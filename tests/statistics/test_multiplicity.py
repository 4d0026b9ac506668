"""Adjusted p-values against R's p.adjust."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segmentor.statistics.multiplicity import benjamini_yekutieli, holm

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


def test_nothing_to_adjust_is_no_error():
    """No p-values give no p-values."""
    assert holm(np.array([])).size == 0
