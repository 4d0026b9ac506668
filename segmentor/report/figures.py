"""Return curves and intervals as SVG for a page: geometry and text only, all colours, lines and fonts come from the page's style.

matplotlib draws; what it draws is then reduced to shapes with class names. No word and no name passes through
matplotlib, so that none is taken for a formula or needs a font, and nothing is placed by how wide matplotlib thinks it is:
room is left by the count of characters, of which a wide one counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from math import log
from types import MappingProxyType
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from segmentor.report.curves import in_words
from segmentor.report.names import called, cut, room
from segmentor.report.numbers import DAYS, quantity
from segmentor.result import Curve, GroupEffect, Interval
from segmentor.wording import gettext

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TOGETHER = 4
"""Groups whose curves can be told apart in one panel."""

MOST_OF_NAME = 16
"""Room for the name of a group beside its curve, in narrow characters."""

_CHARACTER = 6.6 / 400
"""Width of a narrow character, as a share of a drawing's."""

TURNED = "turned"
"""Class of a text that runs upwards to the right."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A drawing and the group that it shows; ``None`` where it shows all."""

    group: str | None
    svg: str


def return_curves(groups: Sequence[GroupEffect], *, since: str | None) -> list[Panel]:
    """Return curves with their bands: all in one panel, or a panel for each group where there are many.

    Args:
        groups: Groups that have a curve, at least one.
        since: The date that the days are counted from; ``None`` where they are counted from the last purchase.
    """
    curves = [group.curve for group in groups if group.curve is not None]
    top = _top(curves)
    if len(groups) <= MOST_TOGETHER:
        return [Panel(None, _together(groups, curves, top, since))]
    return [Panel(group.name, _apart(group, curves, shown, top)) for shown, group in enumerate(groups)]


def interval_mark(interval: Interval | None, *, extent: tuple[float, float], ratio: bool) -> str:
    """An estimate and its interval as a small drawing beside its numbers; empty where there is no estimate.

    Args:
        interval: What is drawn; what lies beyond the room is cut.
        extent: Smallest and largest value that there is room for; no difference lies within.
        ratio: Whether the values are ratios, drawn so that twice and half are as far from no difference.
    """
    if interval is None or interval.estimate is None or (ratio and min(interval.estimate, *extent) <= 0):
        return ""
    scale = log if ratio else float
    low, high = scale(extent[0]), scale(extent[1])
    room = max(high - low, 1e-9)
    low, room = low - room / 10, room * 1.2

    def place(value: float) -> float:
        reached = (scale(value) - low) / room if value > 0 or not ratio else 0.0
        return round(120 * min(max(reached, 0.0), 1.0), 1)

    at, none = place(interval.estimate), place(1.0 if ratio else 0.0)
    shapes = [("none", f"M {none:g} 0 V 16")]
    if interval.ci_low is not None and interval.ci_high is not None:
        shapes.append(("whisker", f"M {place(interval.ci_low):g} 8 H {place(interval.ci_high):g}"))
    shapes.append(("point", f"M {at - 3:g} 5 H {at + 3:g} V 11 H {at - 3:g} Z"))
    drawing = ElementTree.Element("svg", {"class": "mark", "viewBox": "0 0 120 16", "aria-hidden": "true"})
    for name, path in shapes:
        ElementTree.SubElement(drawing, "path", {"class": name, "d": path})
    return ElementTree.tostring(drawing, encoding="unicode")


def share_bar(share: float) -> str:
    """A share as a small bar beside its number."""
    drawing = ElementTree.Element("svg", {"class": "bar", "viewBox": "0 0 100 2", "aria-hidden": "true"})
    for kind, length in (("room", 100.0), ("filled", 100 * min(max(share, 0.0), 1.0))):
        ElementTree.SubElement(drawing, "path", {"class": kind, "d": f"M 0 0 H {round(length, 1):g} V 2 H 0 Z"})
    return ElementTree.tostring(drawing, encoding="unicode")


def _together(groups: Sequence[GroupEffect], curves: Sequence[Curve], top: float, since: str | None) -> str:
    names = [cut(called(group.name), MOST_OF_NAME, wide=True) for group in groups]
    # A name of so many characters stands behind its share, which takes six.
    width = 0.89 - _CHARACTER * (6 + max(map(room, names)))
    with canvas(width=400, height=240, plot=(0.1, 0.15, width, 0.82)) as (axes, svg):
        day_axes(axes, days=max(curve.days[-1] for curve in curves), top=top)
        for number, curve in enumerate(curves, start=1):
            _draw(axes, curve, f"g{number}")
        ends = [curve.share_back[-1] for curve in curves]
        labels = {
            "unit": gettext("days since {date}").format(date=since)
            if since
            else gettext("days since the last purchase")
        }
        for number, height in enumerate(spread(ends, 0.08 * top), start=1):
            axes.text(1.015, height / top, "x", transform=axes.transAxes, va="center", gid=f"=label g{number}")
            labels[f"label g{number}"] = f"{_percent(ends[number - 1])} {names[number - 1]}"
    return plain_svg(svg, labels, " ".join(in_words(group) for group in groups))


def _apart(group: GroupEffect, curves: Sequence[Curve], shown: int, top: float) -> str:
    with canvas(width=200, height=130, plot=(0.19, 0.17, 0.77, 0.77)) as (axes, svg):
        labels = day_axes(axes, days=max(curve.days[-1] for curve in curves), top=top, fewer=True)
        for number, curve in enumerate(curves):
            if number != shown:
                axes.plot(*_thinned(curve.days, curve.share_back), gid="=other", clip_on=False)
        _draw(axes, curves[shown], "g1")
    return plain_svg(svg, labels, in_words(group))


def _draw(axes: Axes, curve: Curve, name: str) -> None:
    days, low = _thinned(curve.days, curve.ci_low)
    _, high = _thinned(curve.days, curve.ci_high)
    axes.fill(days + days[::-1], low + high[::-1], gid=f"=band {name}", clip_on=False)
    axes.plot(*_thinned(curve.days, curve.share_back), gid=f"=line {name}", clip_on=False)


def _percent(share: float) -> str:
    """A share in whole percent."""
    return gettext("{digits}\N{NO-BREAK SPACE}%").format(digits=f"{100 * share:.0f}")


def _top(curves: Sequence[Curve]) -> float:
    """The highest share on the axis, in tenths."""
    highest = max(max(curve.ci_high) for curve in curves)
    return min(max(-(-highest * 10 // 1) / 10, 0.1), 1.0)


def _thinned(days: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Points of a line; of a long one every n-th, which no eye can tell, and the last."""
    keep = [*range(0, len(days) - 1, -(-len(days) // 150)), len(days) - 1]
    return [float(days[place]) for place in keep], [values[place] for place in keep]


def spread(heights: Sequence[float], least: float) -> list[float]:
    """Heights of labels moved apart so that none covers another, in the same order."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + least)
    shift = sum(moved[i] - heights[i] for i in order) / len(order)
    return [max(height - shift, least / 2) for height in moved]


def day_axes(axes: Axes, *, days: int, top: float, fewer: bool = False) -> dict[str, str]:
    """Axes for shares by day, with their grid.

    Args:
        axes: What is drawn on.
        days: The last day.
        top: The highest share.
        fewer: Whether there is room for few numbers and no name of the days, as in a small panel: the last number says its unit.

    Returns:
        Texts to be put in by the names that they were drawn with.
    """
    step = next((step for step in (7, 10, 15, 30, 60, 90, 180, 365) if days / step <= (2 if fewer else 7)), 730)
    axes.set_xlim(0, days)
    axes.set_xticks(range(0, days + 1, step))
    axes.set_ylim(0, top)
    heights = [top * part / 2 for part in range(3)] if fewer else [0.1 * part for part in range(round(10 * top) + 1)]
    if len(heights) > 7:
        heights = heights[::2]
    axes.set_yticks(heights, [_percent(height) for height in heights])
    axes.grid(axis="y", gid="=grid", clip_on=False)
    axes.tick_params(axis="y", length=0)
    # a page may show the numbers larger than they were placed for: upwards they shall not reach the axis
    axes.tick_params(axis="x", length=0, pad=8 if fewer else 6)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_gid("=axis")
    if not fewer:
        axes.text(1, -0.125, "x", transform=axes.transAxes, ha="right", va="top", gid="=unit")
        return {}
    last = axes.get_xticklabels()[-1]
    last.set_gid("=tick#last")
    if days % step == 0:
        last.set_horizontalalignment("right")
    return {"tick#last": quantity(days // step * step, DAYS)}


@contextmanager
def canvas(*, width: float, height: float, plot: tuple[float, float, float, float]) -> Iterator[tuple[Axes, StringIO]]:
    """Axes to draw on; the drawing is in the buffer when the block ends.

    Args:
        width: Of the drawing, in the units of its own that a page scales.
        height: The same.
        plot: Left, bottom, width and height of the axes, as shares of the drawing.
    """
    # loaded here, for matplotlib takes a second to load, and only a report needs it
    import matplotlib  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    svg = StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "segmentor", "path.simplify": False})
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        axes = figure.add_axes(plot)
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        yield axes, svg
        figure.savefig(svg, format="svg", metadata={"Date": None})


def plain_svg(
    drawn: StringIO, labels: Mapping[str, str], alternative: str, *, titles: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The shapes and texts of matplotlib's SVG, each with the name that it was drawn with as its class.

    What stands in a name behind a ``#`` tells shapes of one class apart, and is no part of the class.

    Args:
        drawn: What ``canvas`` left.
        labels: Texts by the names they were drawn with; others stay as they are.
        alternative: The drawing in words.
        titles: What is shown where one points at a shape, by its name.
    """
    root = ElementTree.fromstring(drawn.getvalue())  # noqa: S314 - drawn above, nothing of the data in it
    view = root.attrib["viewBox"]
    _, _, width, height = view.split()
    plain = ElementTree.Element(
        "svg", {"viewBox": view, "width": width, "height": height, "role": "img", "aria-label": alternative}
    )
    for name, shape in _shapes(root, "tick"):
        kind = name.partition("#")[0]
        if shape.tag.endswith("}path"):
            path = _LONG_NUMBER.sub(_short, shape.attrib["d"])
            element = ElementTree.SubElement(plain, "path", {"class": kind, "d": path})
        else:
            anchor = re.search(r"text-anchor: (\w+)", shape.attrib["style"])
            place = {key: _LONG_NUMBER.sub(_short, shape.attrib[key]) for key in ("x", "y")}
            element = ElementTree.SubElement(plain, "text", {"class": kind, **place})
            element.set("text-anchor", anchor[1] if anchor else "start")
            if TURNED in kind.split():
                element.set("transform", "rotate(-45 {x} {y})".format(**place))
            element.text = labels.get(name, shape.text)
        if name in titles:
            ElementTree.SubElement(element, "title").text = titles[name]
    return ElementTree.tostring(plain, encoding="unicode")


def _shapes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, ElementTree.Element]]:
    """Paths and texts under an element, with the name given to them or to what holds them."""
    given = element.attrib.get("id", "")
    name = given[1:] if given.startswith("=") else name
    if element.tag.endswith(("}path", "}text")):
        yield name, element
    for child in element:
        if not child.tag.endswith("}defs"):
            yield from _shapes(child, name)


def _short(number: re.Match[str]) -> str:
    return f"{round(float(number[0]), 1):g}"


_LONG_NUMBER = re.compile(r"-?\d+\.\d+")
