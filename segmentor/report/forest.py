"""All effects of a run side by side: a row for each split, with its ratio and its share back as marks on two common scales."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log
from xml.etree import ElementTree

from markupsafe import Markup

from segmentor.report.candidates import judged_by, read_within, usual_days, visible_pairs
from segmentor.report.ledger import carded, places
from segmentor.report.names import called, cut, name
from segmentor.report.numbers import MINUS, PERCENT, POINTS, RATIO, SIGNED_POINTS, count, estimate, quantity
from segmentor.report.saying import say, say_many
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import VERDICTS
from segmentor.report.words import setting, short_group, titled, verdict_pair
from segmentor.result import EVERYBODY, Interval, PairEffect, RunResult, Trial, Verdict
from segmentor.tables import Cell, as_csv
from segmentor.wording import pgettext

MOST_DRAWN = 25
"""Rows of the figure: on a phone, where each is as high as three lines, more would be a dozen screens."""

DECIMALS = 3
"""Digits of the figure's data."""

_WIDTH = 200.0
"""Of a mark, in units of its own that the page scales."""

_HOLLOW = ("inconclusive", "untestable")
"""Verdicts whose point is a ring, so that it takes no colour to tell that they decide nothing."""

_RATIOS = (0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2, 3, 4, 5)
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.25, 0.5)


@dataclass(frozen=True, slots=True)
class Row:
    """A split with its effect.

    Attributes:
        split: Its name, and where it was tried.
        card: Where on the page its card stands; empty where it has none.
        against: Which group is compared with which.
        notes: By when the effect is read where not as most are; what the split repeats.
        ratio: Of the mean cycles, with its interval.
        ratio_mark: The same as a drawing.
        share_difference: Of the share back, with its interval.
        share_mark: The same as a drawing.
    """

    split: Markup
    card: str
    against: Markup
    notes: tuple[Markup, ...]
    ratio: Markup
    ratio_mark: str
    share_difference: Markup
    share_mark: str


@dataclass(frozen=True, slots=True)
class Forest:
    """The figure.

    Attributes:
        rows: By verdict, the furthest from no difference first.
        ratio_axis: Numbers of the ratios' scale.
        share_axis: The same of the shares'.
        summary: How many splits are drawn, and where the others are.
        caption: What to see.
        csv: The rows' numbers.
    """

    rows: list[tuple[Verdict, list[Row]]]
    ratio_axis: str
    share_axis: str
    summary: Markup
    caption: Markup
    csv: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where a value lies in a drawing.

    Attributes:
        low: Smallest value that there is room for, as it is drawn.
        high: The largest.
        ratio: Whether values are ratios, drawn by their logarithms.
        margin: Where a difference is as large as what counts, as it is drawn; 0 where that is not known.
    """

    low: float
    high: float
    ratio: bool
    margin: float

    @classmethod
    def over(cls, intervals: Sequence[Interval], margin: float, *, ratio: bool) -> _Scale:
        """Room for every estimate and the zone, and for intervals as far as they are not far longer than these."""
        least, most = (max(1.7 * margin, 0.1), log(5)) if ratio else (max(1.7 * margin, 0.05), 1.0)
        reach = []
        for side in (-1, 1):
            estimates = [
                side * drawn for each in intervals if (drawn := _drawn(each.estimate, ratio=ratio)) is not None
            ]
            bounds = [
                side * drawn
                for each in intervals
                for bound in (each.ci_low, each.ci_high)
                if (drawn := _drawn(bound, ratio=ratio)) is not None
            ]
            furthest = max([least, *(1.15 * each for each in estimates)])
            reach.append(min(max(furthest, min(1.05 * max([0.0, *bounds]), 2 * furthest)), most))
        return cls(-reach[0], reach[1], ratio, margin)

    def at(self, drawn: float) -> float:
        """Where in the drawing something lies; beyond its edges for what there is no room for."""
        return round(_WIDTH * (drawn - self.low) / (self.high - self.low), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Numbers of the scale and where they are, as many as can be read."""
        zero = self.at(0.0)
        if not self.ratio:
            room = _WIDTH / (self.high - self.low)
            step = next((step for step in _SHARES if step * room >= 36), _SHARES[-1])
            shares = [step * number for number in range(-int(-self.low // step), int(self.high // step) + 1)]
            return [(self.at(share), f"{100 * share:+.0f}".replace("-", MINUS) if share else "0") for share in shares]
        found = [(zero, "1")]
        for ratios in (reversed([each for each in _RATIOS if each < 1]), [each for each in _RATIOS if each > 1]):
            last = zero
            for each in ratios:
                place = self.at(log(each))
                if 0 <= place <= _WIDTH and abs(place - last) >= 28:
                    found.append((place, f"{each:g}"))
                    last = place
        return sorted(found)


def forest(result: RunResult, counts: Counts) -> Forest | None:
    """The figure of a run; ``None`` where fewer than two splits have an effect that may be shown."""
    told = [
        (trial, pair)
        for trial in result.trials
        if (pair := verdict_pair(trial)) is not None
        and pair in visible_pairs(trial, counts)
        and (pair.ratio.estimate is not None or pair.share_difference.estimate is not None)
    ]
    if len(told) < 2:
        return None
    with_card = {id(trial) for trial in carded(result)}
    first = sorted(told, key=lambda each: (id(each[0]) not in with_card, *_place(each)[1:]))[:MOST_DRAWN]
    drawn = sorted(first, key=_place)
    effect, share = (_margin(result, key) for key in ("minimum_effect", "minimum_share"))
    scales = (
        _Scale.over([pair.ratio for _, pair in drawn], log(1 + effect), ratio=True),
        _Scale.over([pair.share_difference for _, pair in drawn], share, ratio=False),
    )
    cards, usual = places(result), usual_days(result)
    return Forest(
        [
            (verdict, [_row(trial, pair, scales, cards=cards, usual=usual) for trial, pair in rows])
            for verdict, rows in groupby(drawn, key=lambda each: each[0].verdict)
        ],
        _axis(scales[0]),
        _axis(scales[1]),
        _summary(len(drawn), len(told), len(result.trials) - len(told), usual),
        _caption(result, effect, share),
        _csv(drawn),
    )


def _place(told: tuple[Trial, PairEffect]) -> tuple[float | str, ...]:
    """By verdict, then the furthest from no difference first."""
    trial, pair = told
    ratio, share = _drawn(pair.ratio.estimate, ratio=True), pair.share_difference.estimate
    return list(VERDICTS).index(trial.verdict), -abs(ratio or 0.0), -abs(share or 0.0), trial.split, trial.segment


def _margin(result: RunResult, key: str) -> float:
    """The smallest difference that counts; 0 where that is not known."""
    stated = setting(result, "trial", key)
    return float(stated) if isinstance(stated, int | float) else 0.0


def _row(
    trial: Trial,
    pair: PairEffect,
    scales: tuple[_Scale, _Scale],
    *,
    cards: dict[tuple[str, str], str],
    usual: int | None,
) -> Row:
    first, second = (name(short_group(trial.split, group)) for group in (pair.first, pair.second))
    notes = [Markup("{}").format(within)] if (within := read_within(trial, usual)) else []
    if trial.explained_by is not None:
        notes.append(say("repeats {split}", split=name(trial.explained_by)))
    return Row(
        titled(trial, length=100),
        cards.get((trial.segment, trial.split), ""),
        say("{second} against {first}", second=second, first=first),
        tuple(notes),
        estimate(pair.ratio, RATIO),
        _mark(pair.ratio, scales[0], trial.verdict),
        estimate(pair.share_difference, SIGNED_POINTS),
        _mark(pair.share_difference, scales[1], trial.verdict),
    )


def _summary(drawn: int, told: int, without: int, usual: int | None) -> Markup:
    said = [
        say(
            "The {number} splits of which an effect can be told, by verdict, the furthest from no difference first.",
            number=count(told),
        )
        if drawn == told
        else say(
            "{drawn} of the {number} splits of which an effect can be told: those that have a card, then those furthest from no "
            "difference. They stand by verdict; all others are in <code>trials.csv</code>.",
            drawn=count(drawn),
            number=count(told),
        )
    ]
    if usual is not None:
        said.append(say("Effects are read at day {day}, where no other is told.", day=usual))
    if without:
        said.append(
            say_many(
                "{splits} more has no effect that can be told: it cannot be tested, or a group is too small to be shown.",
                "{splits} more have no effect that can be told: they cannot be tested, or a group is too small to be shown.",
                without,
                splits=count(without, "split", "splits"),
            )
        )
    return Markup(" ").join(said)


def _caption(result: RunResult, effect: float, share: float) -> Markup:
    said = [
        say(
            "A point is how many times as long the mean cycle of the group named first is as that of the other, and how many points more "
            "of it are back; its line is the 95&nbsp;% interval, and an arrow says that it goes on. The upright line is no difference. "
            "Of several groups, the two that carry the verdict are compared."
        )
    ]
    if effect and share:
        said.append(
            say(
                "In the shaded zone a difference is too small to act on: up to {effect} of the cycle, or {points} of the share back. Where "
                "groups separate, the point lies beyond the zone and the line clear of no difference on one of the two scales, and the "
                "adjusted test is significant too; where they were shown to be alike, the {level} interval lies within the zone on both.",
                effect=quantity(effect, PERCENT),
                points=quantity(share, POINTS),
                level=judged_by(result),
            )
        )
    return Markup(" ").join(said)


def _drawn(value: float | None, *, ratio: bool) -> float | None:
    """A value as it is drawn: of a ratio its logarithm, so that twice and half are as far from no difference."""
    if value is None or not ratio:
        return value
    return log(value) if value > 0 else None


def _mark(interval: Interval, scale: _Scale, verdict: Verdict) -> str:
    """An estimate and its interval above the zone and the line of no difference; the page stretches it to its room."""
    shapes = [("none", f"M {scale.at(0.0):g} 0 V 20")]
    if scale.margin:
        low, high = scale.at(-scale.margin), scale.at(scale.margin)
        shapes.insert(0, ("zone", f"M {low:g} 0 H {high:g} V 20 H {low:g} Z"))
    at, low_end, high_end = (
        None if drawn is None else scale.at(drawn)
        for drawn in (
            _drawn(each, ratio=scale.ratio) for each in (interval.estimate, interval.ci_low, interval.ci_high)
        )
    )
    if at is not None:
        if low_end is not None and high_end is not None:
            shapes.append(("whisker", f"M {_within(low_end):g} 10 H {_within(high_end):g}"))
        ends = [at, *(end for end in (low_end, high_end) if end is not None)]
        if min(ends) < 0:
            shapes.append(("end", "M 5 6 L 0 10 L 5 14"))
        if max(ends) > _WIDTH:
            shapes.append(("end", f"M {_WIDTH - 5:g} 6 L {_WIDTH:g} 10 L {_WIDTH - 5:g} 14"))
        if 0 <= at <= _WIDTH:
            shapes.append(("point", f"M {at:g} 10 h 0"))
            if verdict in _HOLLOW:
                shapes.append(("hole", f"M {at:g} 10 h 0"))
    drawing = _drawing("lane", 20, stretched=True)
    for kind, path in shapes:
        ElementTree.SubElement(drawing, "path", {"class": kind, "d": path})
    return ElementTree.tostring(drawing, encoding="unicode")


def _within(place: float) -> float:
    return min(max(place, 0.0), _WIDTH)


def _axis(scale: _Scale) -> str:
    """The numbers of a scale, to stand above the marks."""
    drawing = _drawing("ticks", 22)
    for place, label in scale.ticks():
        ElementTree.SubElement(drawing, "path", {"class": "axis", "d": f"M {place:g} 17 V 22"})
        ElementTree.SubElement(drawing, "text", {"x": f"{place:g}", "y": "12", "text-anchor": "middle"}).text = label
    return ElementTree.tostring(drawing, encoding="unicode")


def _drawing(kind: str, height: int, *, stretched: bool = False) -> ElementTree.Element:
    room = {"class": kind, "viewBox": f"0 0 {_WIDTH:g} {height}", "aria-hidden": "true"}
    return ElementTree.Element("svg", room | ({"preserveAspectRatio": "none"} if stretched else {}))


def _csv(drawn: Iterable[tuple[Trial, PairEffect]]) -> str:
    """The rows of the figure as they are drawn."""
    columns = (
        pgettext("column", "split"),
        pgettext("column", "tried_in"),
        pgettext("column", "group"),
        pgettext("column", "against"),
        pgettext("column", "verdict"),
        pgettext("column", "ratio"),
        pgettext("column", "ratio_ci_low"),
        pgettext("column", "ratio_ci_high"),
        pgettext("column", "share_difference"),
        pgettext("column", "share_difference_ci_low"),
        pgettext("column", "share_difference_ci_high"),
        pgettext("column", "horizon_days"),
    )
    return as_csv(columns, [[*_cells(trial, pair)] for trial, pair in drawn])


def _cells(trial: Trial, pair: PairEffect) -> Iterator[Cell]:
    yield cut(called(trial.split), 200)
    yield None if trial.segment == EVERYBODY else cut(called(trial.segment), 200)
    yield cut(called(pair.second), 80)
    yield cut(called(pair.first), 80)
    yield trial.verdict
    for interval in (pair.ratio, pair.share_difference):
        for value in (interval.estimate, interval.ci_low, interval.ci_high):
            yield None if value is None else round(value, DECIMALS)
    yield trial.horizon_days
