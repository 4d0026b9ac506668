"""Return curves: drawn to scale, told apart, named."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from segmentor.report import curves
from segmentor.report.figures import MOST_TOGETHER, interval_mark, return_curves
from segmentor.result import Curve, GroupEffect, Interval, RunResult


def group(name: str, *, share: float = 0.5, days: int = 60) -> GroupEffect:
    """A group that comes back at a steady rate."""
    at = tuple(range(days + 1))
    shares = tuple(share * day / days for day in at)
    return GroupEffect(
        name, 500, 900, curve=Curve(at, shares, shares, tuple(min(1.0, each + 0.05) for each in shares), at)
    )


def path(svg: str, name: str) -> list[tuple[float, float]]:
    """Points of the path with a class."""
    found = re.search(f'<path class="{name}" d="([^"]*)"', svg)
    assert found
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", found[1])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_few_groups_share_a_panel_and_many_have_their_own() -> None:
    """Up to four groups stand in one panel; of more, each has a panel with the others behind it."""
    few = return_curves([group(f"g{i}") for i in range(MOST_TOGETHER)], since=None)
    many = return_curves([group(f"g{i}") for i in range(MOST_TOGETHER + 1)], since=None)
    assert [panel.group for panel in few] == [None]
    assert [panel.group for panel in many] == [f"g{i}" for i in range(MOST_TOGETHER + 1)]
    assert all(panel.svg.count('class="other"') == MOST_TOGETHER for panel in many)


def test_a_curve_is_drawn_to_scale() -> None:
    """Half of the customers back is half as high as all, at the right edge of the panel."""
    svg = return_curves([group("all", share=0.9), group("half", share=0.45)], since=None)[0].svg
    base = path(svg, "line g1")[0][1]
    full, half = path(svg, "line g1")[-1], path(svg, "line g2")[-1]
    assert full[0] == half[0]
    assert base - half[1] == pytest.approx((base - full[1]) / 2, abs=0.2)


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    """A curve of years stays small and ends where it ends."""
    svg = return_curves([group("a", days=2_000), group("b", days=2_000)], since=None)[0].svg
    short = return_curves([group("a"), group("b")], since=None)[0].svg
    assert len(svg) < 60_000
    assert path(svg, "line g1")[-1] == path(short, "line g1")[-1]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("$\\frac{1}$", "$\\frac{1}$"), ("<b>&", "&lt;b&gt;&amp;"), ("香水", "香水"), ("a" * 5_000, "aaaaaaaa…aaaaaaa")],
)
def test_a_name_is_text_whatever_it_holds(name: str, shown: str) -> None:
    """Names are no formulas, no markup and need no font; long ones are cut."""
    assert f">50\N{NO-BREAK SPACE}% {shown}</text>" in return_curves([group(name), group("other")], since=None)[0].svg


def test_labels_of_equal_curves_do_not_cover_each_other() -> None:
    """Labels of groups that end alike stand apart by a line."""
    svg = return_curves([group(name) for name in "abcd"], since=None)[0].svg
    heights = sorted(float(y) for y in re.findall(r'class="label g\d" x="[\d.]+" y="([\d.]+)"', svg))
    assert all(b - a > 12 for a, b in pairwise(heights))


def test_the_text_alternative_tells_the_curve() -> None:
    """Who cannot see the figure hears the share back at its end, for each group."""
    assert (
        'aria-label="small: 50\N{NO-BREAK SPACE}% by day 60 are back. large'
        in return_curves([group("small"), group("large")], since=None)[0].svg
    )


def test_a_curve_of_no_return_can_be_drawn() -> None:
    """A curve that stays at zero has an axis of its own."""
    flat = group("none", share=0.0)
    assert flat.curve is not None
    flat = replace(flat, curve=replace(flat.curve, ci_high=flat.curve.share_back))
    assert "10\N{NO-BREAK SPACE}%" in return_curves([flat, flat], since=None)[0].svg


def test_a_curve_of_one_day_can_be_drawn() -> None:
    """A horizon of one day is a figure still."""
    assert "<svg" in return_curves([group("a", days=1), group("b", days=1)], since=None)[0].svg


def test_days_are_counted_from_what_is_said() -> None:
    """The axis names the day that the days are counted from."""
    assert "days since 30 June 2017" in return_curves([group("all")], since="30 June 2017")[0].svg


def test_an_interval_is_drawn_to_scale() -> None:
    """Ratios of two and of a half are as far from no difference, and what lies beyond the room is cut."""

    def numbers(svg: str, name: str) -> list[float]:
        found = re.search(f'class="{name}" d="([^"]*)"', svg)
        assert found
        return [float(number) for number in re.findall(r"-?[\d.]+", found[1])]

    extent = (0.5, 2.0)
    half, twice = (interval_mark(Interval(ratio, 0.01, 90.0), extent=extent, ratio=True) for ratio in (0.5, 2.0))
    none = numbers(half, "none")[0]
    at = [numbers(svg, "point")[0] + 3 for svg in (half, twice)]
    assert none - at[0] == pytest.approx(at[1] - none)
    assert at[0] < none < at[1]
    assert numbers(half, "whisker")[::2] == [0.0, 120.0]


@pytest.mark.parametrize("interval", [None, Interval(None, 0.1, 0.2)])
def test_nothing_is_drawn_where_nothing_is_known(interval: Interval | None) -> None:
    """Without an estimate there is no drawing."""
    assert interval_mark(interval, extent=(0.5, 2.0), ratio=True) == ""


def test_customers_at_risk_are_told_so_that_no_two_days_tell_of_one(laundry: RunResult) -> None:
    """Evenly spread days, the last among them; numbers to the nearest ten, and none below it; the fewer, the later."""
    (size,) = (trial for trial in laundry.trials if trial.split == "package size")
    days = curves.days_at_risk(size.groups)
    assert days[-1] == 120
    assert len(days) == 4
    small = size.groups[0]
    told = [int(curves.at_risk(small, day, step=10).replace(",", "")) for day in days]
    assert told == sorted(told, reverse=True)
    assert all(number % 10 == 0 for number in told)
    few = replace(small, curve=replace(small.curve, at_risk=tuple(9 for _ in small.curve.at_risk)))
    assert curves.at_risk(few, days[0], step=10) == "fewer than 10"
