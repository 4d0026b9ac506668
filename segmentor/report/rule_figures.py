"""Cross-sell rules as SVG for a page: a matrix of what goes with what, arrows from item to item, and how soon the next is bought.

Drawn as the return curves of ``figures``: geometry and text only, names put in afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, log, pi, sin
from typing import TYPE_CHECKING

from segmentor.report.figures import TURNED, canvas, day_axes, plain_svg, spread
from segmentor.report.names import called, cut, room
from segmentor.report.numbers import DAYS, NO_BREAK, PERCENT, TIMES, quantity, span
from segmentor.result import CrossSellRule, NextCurve
from segmentor.wording import gettext, pgettext

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST = 2
"""Valid rules that make a matrix or arrows worth a look."""

MOST_ITEMS = 20
"""Rows of a matrix, and columns."""

MOST_ARROWS = 15
MOST_CURVES = 6

STEP = 1.25
"""The lift at the end of a step of colour or width over that at its begin."""

STEPS = 6

_CELL_WIDTH, _CELL_HEIGHT = 40.0, 28.0
_LETTER = 6.4
"""Width of a narrow letter, amply, for it is not known which font a page has."""

_LARGE_LETTER = 8.6
"""The same where a page shows the arrows small and their names therefore large."""

_LONGEST = 24
"""Narrow letters of a name beside a matrix."""

_SHORTER = 20
"""The same beside arrows."""

_MOST_TOLD = 20
"""Rules that a text alternative tells; more are in the table."""

_TOPS = (0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares whose half is a whole number of percent."""

Point = tuple[float, float]
Side = tuple[str, ...]
"""The items of an antecedent, or the one of a consequent."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rules of one mode as a matrix.

    Attributes:
        mode: ``same_occasion`` or ``next_purchase``.
        svg: The drawing.
        columns: How many it has.
        strongest: The valid rule with the highest lift in it.
        left_out: Rules of the mode for which there was no room.
    """

    mode: str
    svg: str
    columns: int
    strongest: CrossSellRule
    left_out: int


@dataclass(frozen=True, slots=True)
class Speed:
    """A rule and the drawing of how soon its consequent comes."""

    rule: CrossSellRule
    svg: str


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the cells of a matrix stand, in units of the drawing."""

    rows: list[Side]
    columns: list[Side]

    @property
    def left(self) -> float:
        return 10 + max(_length(row) for row in self.rows)

    @property
    def over(self) -> float:
        return 14 + 0.72 * max(_length(column) for column in self.columns)

    @property
    def width(self) -> float:
        return self.left + _CELL_WIDTH * len(self.columns) + self.over

    @property
    def height(self) -> float:
        return self.over + _CELL_HEIGHT * len(self.rows) + 2

    def corner(self, row: int, column: int) -> Point:
        return self.left + _CELL_WIDTH * column, self.over + _CELL_HEIGHT * row


def matrices(rules: Sequence[CrossSellRule]) -> list[Matrix]:
    """A matrix for each mode that has a valid rule; none where there are fewer than ``FEWEST`` valid rules.

    Rows are what was bought, columns what is offered, at most ``MOST_ITEMS`` of either: those with the most and the
    strongest valid rules.
    """
    if sum(rule.valid for rule in rules) < FEWEST:
        return []
    surest = sorted(rules, key=lambda rule: (-(rule.lift.ci_low or 0.0), *_names(rule)))
    modes = [mode for mode in ("same_occasion", "next_purchase") if mode in {rule.mode for rule in rules if rule.valid}]
    return [_matrix(mode, [rule for rule in surest if rule.mode == mode]) for mode in modes]


def arrows(rules: Sequence[CrossSellRule]) -> str:
    """An arrow for each of the first ``MOST_ARROWS`` rules, from what was bought to what is offered; empty where there are too few.

    Args:
        rules: Valid rules, the most useful first.
    """
    if len(rules) < FEWEST:
        return ""
    drawn = rules[:MOST_ARROWS]
    nodes = _neighbours(drawn)
    radius = 90.0 + 5 * len(nodes)
    beside = 16 + _LARGE_LETTER * max(min(room(_named(node)), _SHORTER) for node in nodes)
    width, height = 2 * (radius + beside), 2 * radius + 40
    turns = {node: 2 * pi * (place + 0.5) / len(nodes) for place, node in enumerate(nodes)}
    at = {node: (width / 2 + radius * sin(turn), height / 2 - radius * cos(turn)) for node, turn in turns.items()}
    labels, titles = {}, {}
    with canvas(width=width, height=height, plot=(0, 0, 1, 1)) as (axes, svg):
        _to_scale(axes, width, height)
        for number, rule in enumerate(drawn):
            later = "" if rule.mode == "same_occasion" else " later"
            line, head = f"arrow s{step_of(rule)}{later}#{number}", f"head#{number}"
            points, tip = _arrow(at[rule.antecedent], at[rule.consequent,], (width / 2, height / 2), step_of(rule))
            axes.plot(*zip(*points, strict=True), gid=f"={line}")
            axes.fill(*zip(*tip, strict=True), gid=f"={head}")
            titles[line] = titles[head] = told(rule)
        for aside in (-1, 1):
            there = [node for node, (x, _) in at.items() if (x > width / 2) == (aside > 0)]
            for node, height_of_label in zip(there, spread([at[node][1] for node in there], 14), strict=True):
                x, y = at[node]
                _dot(axes, x, y)
                name = f"item#{nodes.index(node)}"
                anchor = "left" if aside > 0 else "right"
                axes.text(x + 11 * aside, height_of_label, "x", ha=anchor, va="center", gid=f"={name}")
                labels[name], titles[name] = _shown(node, _SHORTER), cut(_named(node), 200)
    return plain_svg(svg, labels, _in_words(drawn), titles=titles)


def speeds(rules: Iterable[CrossSellRule]) -> list[Speed]:
    """How soon the consequent comes, of the first ``MOST_CURVES`` rules that have a curve, all to one scale."""
    drawn = [(rule, rule.curve) for rule in rules if rule.curve is not None and len(_known(rule.curve.share)) > 1]
    drawn = drawn[:MOST_CURVES]
    highest = max((max(*_known(curve.share), *_known(curve.usual)) for _, curve in drawn), default=0.0)
    top = next((top for top in _TOPS if top >= highest), 1.0)
    days = max((len(curve.share) - 1 for _, curve in drawn), default=0)
    return [Speed(rule, _speed(rule, curve, days=days, top=top)) for rule, curve in drawn]


def steps() -> list[tuple[int, str]]:
    """The steps of colour and width with the lifts that they stand for."""
    bounds = [f"{STEP**number:.1f}" for number in range(STEPS)]
    lifts = [gettext("{low} to {high}").format(low=low, high=high) for low, high in pairwise(bounds)]
    lifts.append(gettext("{number} and more").format(number=bounds[-1]))
    return list(enumerate((each.replace(" ", NO_BREAK) for each in lifts), start=1))


def step_of(rule: CrossSellRule) -> int:
    """Step of colour and width of a rule: 1 from no lift on, ``STEPS`` the strongest."""
    return min(1 + int(log(max(rule.lift.estimate or 1.0, 1.0)) / log(STEP)), STEPS)


def told(rule: CrossSellRule) -> str:
    """A rule with its interval in plain text, where no markup can stand."""
    paired = gettext("{bought} with {offered}") if rule.mode == "same_occasion" else gettext("{bought} then {offered}")
    said = paired.format(bought=cut(_named(rule.antecedent), 80), offered=cut(called(rule.consequent), 80))
    times, bounds = quantity(rule.lift.estimate, TIMES), span(rule.lift, TIMES)
    if bounds:
        said = gettext("{rule}: {times} as often as by habit ({bounds})").format(rule=said, times=times, bounds=bounds)
    else:
        said = gettext("{rule}: {times} as often as by habit").format(rule=said, times=times)
    return said if rule.valid else gettext("{rule}; did not hold").format(rule=said)


def _matrix(mode: str, rules: Sequence[CrossSellRule]) -> Matrix:
    cells = _chosen(rules)
    rows, columns = (list(dict.fromkeys(sides)) for sides in zip(*cells, strict=True))
    grid = _Grid(rows, columns)
    labels: dict[str, str] = {}
    titles: dict[str, str] = {}
    with canvas(width=grid.width, height=grid.height, plot=(0, 0, 1, 1)) as (axes, svg):
        _to_scale(axes, grid.width, grid.height)
        for number in range(len(grid.rows)):
            x, y = grid.corner(number, 0)
            axes.text(x - 8, y + _CELL_HEIGHT / 2, "x", ha="right", va="center", gid=f"=item#row {number}")
        for number in range(len(grid.columns)):
            x, y = grid.corner(0, number)
            axes.text(x + _CELL_WIDTH / 2, y - 7, "x", ha="left", va="baseline", gid=f"=item {TURNED}#{number}")
        for number in range(len(grid.rows)):
            (x, y), (right, _) = grid.corner(number, 0), grid.corner(number, len(grid.columns))
            axes.fill(*_box(x, y, right - 2, y + _CELL_HEIGHT - 2), gid="=no-rule")
        for number in range(1, len(grid.columns)):
            (x, y), (_, low) = grid.corner(0, number), grid.corner(len(grid.rows), number)
            axes.plot([x - 1, x - 1], [y, low - 2], gid="=gap")
        for (row, column), rule in cells.items():
            i, j = grid.rows.index(row), grid.columns.index(column)
            titles[_cell(axes, grid.corner(i, j), rule, f"{i} {j}")] = told(rule)
    for sides, form in ((grid.rows, "item#row {}"), (grid.columns, f"item {TURNED}#{{}}")):
        for number, side in enumerate(sides):
            labels[form.format(number)] = _shown(side, _LONGEST)
            titles[form.format(number)] = cut(_named(side), 200)
    drawing = plain_svg(svg, labels, _in_words([*cells.values()]), titles=titles)
    strongest = max(
        (rule for rule in cells.values() if rule.valid), key=lambda rule: (rule.lift.estimate or 0.0, *_names(rule))
    )
    return Matrix(mode, drawing, len(grid.columns), strongest, left_out=len(rules) - len(cells))


def _chosen(rules: Sequence[CrossSellRule]) -> dict[tuple[Side, Side], CrossSellRule]:
    """The rules that there is room for, by row and column, in the order in which these stand: those of most and strongest rules first."""
    valid = [rule for rule in rules if rule.valid]
    columns = _foremost(((rule.consequent,), rule) for rule in valid)
    rows = _foremost((rule.antecedent, rule) for rule in valid if (rule.consequent,) in columns)
    cells: dict[tuple[Side, Side], CrossSellRule] = {}
    for rule in sorted(rules, key=lambda rule: not rule.valid):
        cells.setdefault(_names(rule), rule)
    return {(row, column): cells[row, column] for row in rows for column in columns if (row, column) in cells}


def _foremost(sides: Iterable[tuple[Side, CrossSellRule]]) -> list[Side]:
    """The sides whose rules go furthest beyond habit together, on the scale of the colours."""
    strength: dict[Side, float] = {}
    for side, rule in sides:
        strength[side] = strength.get(side, 0.0) + log(max(rule.lift.ci_low or 1.0, 1.0))
    return sorted(strength, key=lambda side: (-strength[side], side))[:MOST_ITEMS]


def _cell(axes: Axes, corner: Point, rule: CrossSellRule, place: str) -> str:
    """Draws the cell of a rule; returns the name it is drawn with."""
    x, y = corner
    name = f"cell {f's{step_of(rule)}' if rule.valid else 'not-held'}#{place}"
    right, low = x + _CELL_WIDTH - 2, y + _CELL_HEIGHT - 2
    axes.fill(*_box(x, y, right, low), gid=f"={name}")
    if not rule.valid:
        for start in (x, x + 13, x + 26):
            axes.plot([start, start + 12], [low, y], gid="=hatch")
    number = "" if rule.lift.estimate is None else f"{rule.lift.estimate:.1f}"
    gid = "=lift" if rule.valid else "=lift not-held"
    axes.text((x + right) / 2, (y + low) / 2, number, ha="center", va="center", gid=gid)
    return name


def _box(left: float, top: float, right: float, low: float) -> tuple[list[float], list[float]]:
    return [left, right, right, left], [top, top, low, low]


def _speed(rule: CrossSellRule, curve: NextCurve, *, days: int, top: float) -> str:
    share, usual = _known(curve.share), _known(curve.usual)
    with canvas(width=240, height=150, plot=(0.17, 0.15, 0.79, 0.79)) as (axes, svg):
        labels = day_axes(axes, days=max(days, 1), top=top, fewer=True)
        axes.plot(range(len(usual)), usual, gid="=usual", clip_on=False)
        axes.plot(range(len(share)), share, gid="=line g1", clip_on=False)
        if rule.median_days is not None and rule.median_days <= len(share) - 1:
            day = rule.median_days
            axes.plot([day, day], [0, top], gid="=median", clip_on=False)
            left = day < 0.55 * days
            axes.text(
                day + (0.02 if left else -0.02) * days,
                0.93 * top,
                "x",
                ha="left" if left else "right",
                va="center",
                gid="=label median",
            )
            labels["label median"] = gettext("half by day\N{NO-BREAK SPACE}{day}").format(day=f"{day:.0f}")
    return plain_svg(svg, labels, _speed_in_words(rule, share, usual))


def _speed_in_words(rule: CrossSellRule, share: Sequence[float], usual: Sequence[float]) -> str:
    """How soon the consequent comes, in sentences."""
    said, half, last = gettext("{rule}.").format(rule=told(rule)), rule.median_days, min(len(share), len(usual)) - 1
    if last < 0 and half is None:
        return said
    if last < 0:
        more = gettext("Half of those who come have come by {half}.")
    elif half is None:
        more = gettext("By day {day}: {share} have bought it, {usual} by habit.")
    else:
        more = gettext(
            "By day {day}: {share} have bought it, {usual} by habit; half of those who come have come by {half}."
        )
    bought, by_habit = (quantity(shares[last] if shares else None, PERCENT) for shares in (share, usual))
    return f"{said} {more.format(day=last, share=bought, usual=by_habit, half=quantity(half, DAYS))}"


def _arrow(start: Point, end: Point, centre: Point, step: int) -> tuple[list[Point], list[Point]]:
    """Points of a bent line between two nodes and of its head; that of the way back bends to the other side."""
    (x0, y0), (x2, y2) = start, end
    x1, y1 = ((x0 + x2) / 2 + 0.15 * (y2 - y0), (y0 + y2) / 2 - 0.15 * (x2 - x0))
    x1, y1 = x1 + 0.35 * (centre[0] - x1), y1 + 0.35 * (centre[1] - y1)
    far = hypot(x2 - x1, y2 - y1) or 1.0
    along, across = (x2 - x1) / far, (y2 - y1) / far
    tip, long, half = (x2 - 8 * along, y2 - 8 * across), 9 + step, 3.5 + 0.7 * step
    foot = tip[0] - long * along, tip[1] - long * across
    head = [tip, (foot[0] - half * across, foot[1] + half * along), (foot[0] + half * across, foot[1] - half * along)]
    line = [
        (
            (1 - t) ** 2 * x0 + 2 * t * (1 - t) * x1 + t**2 * foot[0],
            (1 - t) ** 2 * y0 + 2 * t * (1 - t) * y1 + t**2 * foot[1],
        )
        for t in (part / 16 for part in range(17))
    ]
    return line, head


def _dot(axes: Axes, x: float, y: float) -> None:
    turns = [2 * pi * part / 12 for part in range(12)]
    axes.fill([x + 5 * cos(turn) for turn in turns], [y + 5 * sin(turn) for turn in turns], gid="=node")


def _neighbours(rules: Sequence[CrossSellRule]) -> list[Side]:
    """Both sides of all rules, each once, what a rule connects side by side as far as can be."""
    beside: dict[Side, list[Side]] = {}
    for rule in rules:
        row, column = _names(rule)
        beside.setdefault(row, []).append(column)
        beside.setdefault(column, []).append(row)
    order: dict[Side, None] = {}
    for first in beside:
        waiting = [first]
        while waiting:
            node = waiting.pop()
            if node not in order:
                order[node] = None
                waiting += reversed(beside[node])
    return list(order)


def _to_scale(axes: Axes, width: float, height: float) -> None:
    """Axes whose units are those of the drawing, from its upper left corner."""
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")


def _names(rule: CrossSellRule) -> tuple[Side, Side]:
    return rule.antecedent, (rule.consequent,)


def _named(side: Side) -> str:
    return " + ".join(map(called, side))


def _shown(side: Side, longest: int) -> str:
    """The same in so many narrow letters; of items that are too long together each is cut, so that none is lost between two."""
    whole = _named(side)
    if room(whole) <= longest:
        return cut(whole, longest, wide=True)
    share = (longest - len(" + ") * (len(side) - 1)) // len(side)
    return " + ".join(cut(called(item), share, wide=True) for item in side)


def _length(side: Side) -> float:
    """Room that a name takes beside a matrix."""
    shown = _shown(side, _LONGEST)
    return _LETTER * (room(shown) + 0.3 * sum(map(str.isupper, shown)))


def _known(shares: Sequence[float | None]) -> list[float]:
    """Shares up to the first day on which nothing is known."""
    known = []
    for share in shares:
        if share is None:
            break
        known.append(share)
    return known


def _in_words(rules: Sequence[CrossSellRule]) -> str:
    more = len(rules) - _MOST_TOLD
    said = pgettext("between rules", "; ").join(map(told, rules[:_MOST_TOLD]))
    if more > 0:
        return gettext("{rules}; {more} more in the table below.").format(rules=said, more=more)
    return gettext("{rules}.").format(rules=said)
