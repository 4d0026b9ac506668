"""Numbers for people: rounded, with units."""

from __future__ import annotations

import pytest

from segmentor.report.numbers import (
    DAYS,
    PERCENT,
    POINTS,
    RATIO,
    SIGNED_DAYS,
    SIGNED_POINTS,
    Unit,
    count,
    day,
    estimate,
    probability,
    quantity,
    span,
)
from segmentor.result import Interval


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (46.2, DAYS, "46 days"),
        (4.62, DAYS, "4.6 days"),
        (1.0, DAYS, "1 day"),
        (9.97, DAYS, "10 days"),
        (1234.5, DAYS, "1,234 days"),
        (0.6432, PERCENT, "64 %"),
        (0.032, PERCENT, "3.2 %"),
        (0.0, PERCENT, "0 %"),
        (0.05, POINTS, "5 points"),
        (0.01, POINTS, "1 point"),
        (-0.131, SIGNED_POINTS, "−13 points"),
        (8.2, SIGNED_DAYS, "+8.2 days"),
        (-0.0001, SIGNED_POINTS, "0 points"),
        (1.1777, RATIO, "1.18"),
        (1.0, RATIO, "1.00"),
        (None, DAYS, "–"),
    ],
)
def test_a_quantity_is_rounded_and_has_its_unit(value: float | None, unit: Unit, written: str) -> None:
    """Two digits or so, the unit in the right number, and a dash for what is undefined."""
    assert quantity(value, unit).replace("\N{NO-BREAK SPACE}", " ") == written


def test_an_interval_has_the_digits_of_its_estimate() -> None:
    """Bounds are rounded as the estimate is, and the unit is said once."""
    assert span(Interval(46.2, 9.64, 50.3), DAYS) == "10 to 50\N{NO-BREAK SPACE}days"
    assert span(Interval(8.2, -2.04, 14.0), SIGNED_DAYS) == "−2.0 to +14.0\N{NO-BREAK SPACE}days"


def test_an_estimate_without_variance_has_no_interval() -> None:
    """Only the number is shown where there are no bounds, and a dash where there is no number."""
    assert "interval" not in estimate(Interval(0.5, None, None), PERCENT)
    assert estimate(Interval(None, None, None), PERCENT) == "–"
    assert estimate(None, PERCENT) == "–"


@pytest.mark.parametrize(
    ("p_value", "written"),
    [
        (0.9999, "1.00"),
        (0.43, "0.43"),
        (0.0499, "0.050"),
        (0.00123, "0.0012"),
        (0.000312, "0.00031"),
        (3e-9, "<0.0001"),
    ],
)
def test_a_probability_has_two_digits(p_value: float, written: str) -> None:
    """Two digits, and a bound below one in ten thousand."""
    assert probability(p_value).replace("\N{NO-BREAK SPACE}", "") == written


def test_counts_and_days_are_written_out() -> None:
    """Thousands are parted, nouns agree, months have names."""
    assert count(1_248, "customer", "customers") == "1,248\N{NO-BREAK SPACE}customers"
    assert count(1, "customer", "customers") == "1\N{NO-BREAK SPACE}customer"
    assert day("2017-12-31").replace("\N{NO-BREAK SPACE}", " ") == "31 December 2017"
