"""Text from the data made harmless: escaped, isolated so that it turns nothing around it, cut to length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from unicodedata import east_asian_width

from markupsafe import Markup

from segmentor.report.numbers import plain
from segmentor.wording import Message, gettext, pgettext


def name(text: str, *, length: int = 80) -> Markup:
    """A name from the data: escaped, kept from turning the text around it, cut to length and whole where one points at it."""
    whole = cut(_rounded(text), 1000)
    shown = cut(whole, length)
    if shown == whole:
        return Markup("<bdi>{}</bdi>").format(shown)
    return Markup('<bdi title="{}">{}</bdi>').format(whole, shown)


def names(texts: Sequence[str]) -> Markup:
    """Names in a row: ``a, b and c``."""
    return listed([name(text) for text in texts])


def listed(parts: Sequence[Markup]) -> Markup:
    """Parts in a row: ``a, b and c``."""
    return _row(parts, Markup(gettext("{others} and {last}")))


def either(parts: Sequence[Markup]) -> Markup:
    """Parts of which one is meant: ``a, b or c``."""
    return _row(parts, Markup(gettext("{others} or {last}")))


def _row(parts: Sequence[Markup], joint: Markup) -> Markup:
    if len(parts) < 2:
        return Markup("").join(parts)
    return joint.format(others=Markup(pgettext("between names", ", ")).join(parts[:-1]), last=parts[-1])


def prose(text: Message | str) -> Markup:
    """A sentence of the run, which may hold names from the data."""
    return Markup('<bdi dir="ltr">{}</bdi>').format(cut(str(text), 1000))


def code(text: str) -> Markup:
    """A condition as the config has it."""
    return Markup('<code dir="ltr">{}</code>').format(cut(text, 400))


def cut(text: str, length: int, *, wide: bool = False) -> str:
    """Text of at most so many characters, without those that are invisible or turn the direction of text.

    What is too long loses its middle, since names that are alike mostly begin alike.

    Args:
        text: Any text.
        length: The most characters that are kept.
        wide: Count characters that are as wide as two (Chinese, emoji) twice.
    """
    if len(text) <= length and _widths(text, wide=wide)[-1:] <= [length]:
        return _harmless(text)
    head, tail = text[:length], text[-length:][::-1]
    end = sum(width <= length // 2 for width in _widths(head, wide=wide))
    room = length - 1 - sum(_widths(head[:end], wide=wide)[-1:])
    start = sum(width <= room for width in _widths(tail, wide=wide))
    return _harmless(head[:end]) + "…" + _harmless(tail[:start][::-1])


def room(text: str) -> int:
    """Room that a text takes, in narrow characters: those that are as wide as two (Chinese, emoji) count twice."""
    return sum(_widths(text, wide=True)[-1:])


def _widths(text: str, *, wide: bool) -> list[int]:
    """Room that the text takes up to each of its characters."""
    return list(accumulate(2 if wide and east_asian_width(character) in "WF" else 1 for character in text))


def _harmless(text: str) -> str:
    return _UNWANTED.sub("\N{REPLACEMENT CHARACTER}", text)


def _rounded(text: str) -> str:
    """A name with the bounds in it as people write them: ``<= 32.0`` is ``<= 32``."""
    return _BOUND.sub(lambda found: found[1] + plain(float(found[2])), text)


_BOUND = re.compile(r"(?<![^ ])((?:<=|>) )(-?\d{1,15}\.\d+)(?![^ ])")
"""A number with a point behind the sign of a group that a cut makes."""

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, those that turn the direction of text, halves of characters, and no characters."""
