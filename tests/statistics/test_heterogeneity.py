"""One parameter in several parts: rarely denied where it is one, seen where it is not, also where nothing was observed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, chi2

from segmentor.statistics.heterogeneity import Scores, differ

Parts = list[tuple[np.ndarray, np.ndarray]]


def of_ratios(parts: Parts) -> Callable[[float], list[Scores]]:
    """Scores of the log of a ratio, from each customer's observed and expected number."""
    return lambda log: [Scores(seen - np.exp(log) * due, float(np.exp(log) * due.sum())) for seen, due in parts]


def drawn(rng: np.random.Generator, *, due: tuple[float, ...], ratios: tuple[float, ...]) -> Parts:
    """Numbers of customers who differ in how much is expected of them and in how often it comes."""
    parts = []
    for total, ratio in zip(due, ratios, strict=True):
        expected = rng.gamma(0.5, 0.5, int(4 * total))
        parts.append((rng.poisson(ratio * expected * rng.gamma(1.0, 1.0, expected.size)).astype(float), expected))
    return parts


def test_one_ratio_is_rarely_denied() -> None:
    """With one ratio in four parts of very different size, 5 % of 600 tests are significant at 5 %."""
    rng = np.random.default_rng(1)
    due, ratios = (20.0, 60.0, 200.0, 400.0), (2.0,) * 4
    p_values = np.array([differ(of_ratios(drawn(rng, due=due, ratios=ratios))) for _ in range(600)])
    assert binom.ppf(0.001, 600, 0.05) <= (p_values < 0.05).sum() <= binom.ppf(0.999, 600, 0.05)


def test_two_ratios_are_told_apart() -> None:
    """A part with half the ratio of the others is seen."""
    parts = drawn(np.random.default_rng(2), due=(200.0, 200.0, 400.0), ratios=(1.0, 2.0, 2.0))
    assert differ(of_ratios(parts)) < 0.001


def test_nothing_where_much_was_expected_is_seen() -> None:
    """A part in which nothing was observed takes part in the test."""
    some = drawn(np.random.default_rng(3), due=(200.0,), ratios=(2.0,))
    assert differ(of_ratios([*some, (np.zeros(100), np.full(100, 0.3))])) < 1e-4


def test_of_many_customers_it_is_the_test_of_weighted_squares() -> None:
    """With much in each part the p-value is that of the squared distances of the log ratios from their mean, over their variances."""
    parts = [
        (np.tile([0.0, 2.0, 1.0, 1.0], int(size)) * ratio, np.ones(4 * int(size)))
        for size, ratio in ((900, 1.01), (2000, 1.0), (4000, 1.015))
    ]
    logs = np.array([np.log(seen.sum() / due.sum()) for seen, due in parts])
    variance = np.array([np.square(seen / seen.sum() - due / due.sum()).sum() for seen, due in parts])
    mean = (logs / variance).sum() / (1 / variance).sum()
    expected = chi2.sf((np.square(logs - mean) / variance).sum(), 2)
    assert differ(of_ratios(parts)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("parts", [[], [(np.ones(9), np.ones(9))], [(np.ones(9), np.ones(9))] * 2])
def test_without_parts_or_variance_nothing_differs(parts: Parts) -> None:
    """One part, or customers who are all exactly as expected, give a p-value of 1."""
    assert differ(of_ratios(parts)) == 1.0
