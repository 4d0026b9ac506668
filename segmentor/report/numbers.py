"""Numbers as people read them: rounded, with their unit, which a line break never parts from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from markupsafe import Markup, escape

from segmentor.result import Interval
from segmentor.wording import gettext, marked, marked_many, ngettext

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
"""Stands where a number is undefined or not shown."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How one kind of number is written.

    Attributes:
        one: The number 1 with its unit; for a ratio the number alone.
        many: The same for any other number.
        scale: What the number is multiplied by.
        decimals: Digits after the point; ``None`` for one below ten and none above.
        signed: Whether a plus sign is written.
    """

    one: str = "{digits}"
    many: str = "{digits}"
    scale: float = 1.0
    decimals: int | None = None
    signed: bool = False


_DAYS = marked_many("{digits}\N{NO-BREAK SPACE}day", "{digits}\N{NO-BREAK SPACE}days")
_POINTS = marked_many("{digits}\N{NO-BREAK SPACE}point", "{digits}\N{NO-BREAK SPACE}points")
_ITEMS = marked_many("{digits}\N{NO-BREAK SPACE}item", "{digits}\N{NO-BREAK SPACE}items")
_PERCENT = marked("{digits}\N{NO-BREAK SPACE}%")
_TIMES = marked("{digits}\N{NO-BREAK SPACE}times")

PERCENT = Unit(_PERCENT, _PERCENT, scale=100.0)
POINTS = Unit(*_POINTS, scale=100.0)
SIGNED_POINTS = Unit(*_POINTS, scale=100.0, signed=True)
ITEMS = Unit(*_ITEMS, decimals=1)
SIGNED_ITEMS = Unit(*_ITEMS, decimals=1, signed=True)
MONEY = Unit(decimals=2)
SIGNED_MONEY = Unit(decimals=2, signed=True)
DEVIATIONS = Unit(decimals=2, signed=True)
DAYS = Unit(*_DAYS)
SIGNED_DAYS = Unit(*_DAYS, signed=True)
RATIO = Unit(decimals=2)
TIMES = Unit(_TIMES, _TIMES, decimals=2)


def quantity(value: float | None, unit: Unit) -> str:
    """A number with its unit: ``46 days``, ``64 %``, ``1.18``."""
    if value is None:
        return NOTHING
    digits = _digits(value, unit, _decimals(value, unit))
    return _with_unit(digits if unit.decimals else digits.removesuffix(".0"), unit)


def estimate(interval: Interval | None, unit: Unit) -> Markup:
    """An estimate and its interval, to be styled apart: ``46 days`` and ``43 to 50 days``."""
    if interval is None or interval.estimate is None:
        return escape(NOTHING)
    number = Markup('<span class="estimate">{}</span>').format(quantity(interval.estimate, unit))
    bounds = span(interval, unit)
    return number + Markup(' <span class="interval">{}</span>').format(bounds) if bounds else number


def span(interval: Interval, unit: Unit) -> str:
    """The bounds of an interval, to the digits of its estimate: ``43 to 50 days``; empty where there are none."""
    if interval.estimate is None or interval.ci_low is None or interval.ci_high is None:
        return ""
    decimals = _decimals(interval.estimate, unit)
    low, high = (_digits(bound, unit, decimals) for bound in (interval.ci_low, interval.ci_high))
    return _with_unit(gettext("{low} to {high}").format(low=low, high=high), unit)


def plain(value: float) -> str:
    """A number of an unknown unit, as short as it is exact to four decimals: ``1,250``, ``40.5``."""
    return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 or value == 0 else f"{value:.3g}"


def count(number: int, one: str = "", many: str = "") -> str:
    """A count with thousands parted, and its noun in the right number: ``1,248 customers``."""
    return f"{number:,}{NO_BREAK}{ngettext(one, many, number)}" if one else f"{number:,}"


def probability(p_value: float | None, symbol: str = "") -> str:
    """A p-value to two digits: ``0.0012``, ``p = 0.0012``, or ``p < 0.0001``."""
    if p_value is None:
        return NOTHING
    below = p_value < 0.0001
    digits = "0.0001" if below else f"{p_value:.{_places(p_value)}f}"
    sign = "<" if below else "=" if symbol else ""
    return NO_BREAK.join(part for part in (symbol, sign, digits) if part)


def day(iso: str) -> str:
    """An ISO date in words: ``31 December 2017``."""
    found = date.fromisoformat(iso)
    months = (
        gettext("January"),
        gettext("February"),
        gettext("March"),
        gettext("April"),
        gettext("May"),
        gettext("June"),
        gettext("July"),
        gettext("August"),
        gettext("September"),
        gettext("October"),
        gettext("November"),
        gettext("December"),
    )
    written = gettext("{day}\N{NO-BREAK SPACE}{month}\N{NO-BREAK SPACE}{year}")
    return written.format(day=found.day, month=months[found.month - 1], year=found.year)


def _decimals(value: float, unit: Unit) -> int:
    if unit.decimals is not None:
        return unit.decimals
    return 1 if 0 < abs(round(value * unit.scale, 1)) < 10 else 0


def _digits(value: float, unit: Unit, decimals: int) -> str:
    text = f"{abs(value * unit.scale):,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        return text
    if value < 0:
        return MINUS + text
    return f"+{text}" if unit.signed else text


def _with_unit(digits: str, unit: Unit) -> str:
    if unit.one == unit.many:
        return gettext(unit.many).format(digits=digits)
    number = 1 if digits.lstrip("+" + MINUS) in ("1", "1.0") else 2
    return ngettext(unit.one, unit.many, number).format(digits=digits)


def _places(p_value: float) -> int:
    """Decimals that show two significant digits of a number in 0.0001..1."""
    return next(places for places in (2, 3, 4, 5) if p_value >= 10.0 ** (1 - places))
