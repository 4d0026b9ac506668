"""Text from the data made harmless: escaped, isolated so that it turns nothing around it, cut to length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from unicodedata import east_asian_width

from markupsafe import Markup


def name(text: str, *, length: int = 60) -> Markup:
    """A name from the data: escaped, kept from turning the text around it, cut to length."""
    return Markup("<bdi>{}</bdi>").format(cut(text, length))


def names(texts: Sequence[str]) -> Markup:
    """Names in a row: ``a, b and c``."""
    return listed([name(text) for text in texts])


def listed(parts: Sequence[Markup], joint: str = "and") -> Markup:
    """Parts in a row: ``a, b and c``."""
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{} {} {}").format(Markup(", ").join(parts[:-1]), joint, parts[-1])


def prose(text: str) -> Markup:
    """A sentence of the run, which may hold names from the data."""
    return Markup('<bdi dir="ltr">{}</bdi>').format(cut(text, 1000))


def code(text: str) -> Markup:
    """A condition as the config has it."""
    return Markup('<code dir="ltr">{}</code>').format(cut(text, 400))


def cut(text: str, length: int, *, wide: bool = False) -> str:
    """Text of at most so many characters, without those that are invisible or turn the direction of text.

    Args:
        text: Any text.
        length: The most characters that are kept.
        wide: Count characters that are as wide as two (Chinese, emoji) twice.
    """
    harmless = _UNWANTED.sub("\N{REPLACEMENT CHARACTER}", text[: length + 1])
    widths = [2 if wide and east_asian_width(character) in "WF" else 1 for character in harmless]
    if sum(widths) <= length:
        return harmless
    kept = sum(end < length for end in accumulate(widths))
    return harmless[:kept] + "…"


_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, those that turn the direction of text, halves of characters, and no characters."""
