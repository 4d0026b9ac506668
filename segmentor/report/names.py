"""Text from the data made harmless: escaped, isolated so that it turns nothing around it, cut to length.

Names that the run itself gives (``without category: socks``, ``missing``, ``region, merged``) are identities in its results, in English;
``called`` says them in the language of the report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, zip_longest
from unicodedata import east_asian_width

from markupsafe import Markup

from segmentor.report.numbers import plain
from segmentor.wording import Message, gettext, language, pgettext


def name(text: str, *, length: int = 80) -> Markup:
    """A name of the data or of ours: escaped, kept from turning the text around it, cut to length and whole where one points at it."""
    whole = cut(_rounded(called(text)), 1000)
    shown = cut(whole, length)
    if shown == whole:
        return Markup("<bdi>{}</bdi>").format(shown)
    return Markup('<bdi title="{}">{}</bdi>').format(whole, shown)


def names(texts: Sequence[str]) -> Markup:
    """Names of things that go together: ``a, b and c``."""
    return _row([name(text) for text in texts], Markup(gettext("{others} and {last}")))


def listed(parts: Sequence[Markup]) -> Markup:
    """Parts in a row: ``a, b and c``."""
    return _row(parts, Markup(pgettext("parts", "{others} and {last}")))


def either(parts: Sequence[Markup]) -> Markup:
    """Parts of which one is meant: ``a, b or c``."""
    return _row(parts, Markup(pgettext("parts", "{others} or {last}")))


def _row(parts: Sequence[Markup], joint: Markup) -> Markup:
    if len(parts) < 2:
        return Markup("").join(parts)
    return joint.format(others=Markup(pgettext("between names", ", ")).join(parts[:-1]), last=parts[-1])


def called(text: str) -> str:
    """A name in the language of the report where it is one that we give, as far as it is; one from the data stays as it is."""
    ours = _ours(language())
    if text in ours.names:
        return ours.names[text]
    said = told(text, ours.forms)
    if said is not None:
        return said
    for between in _BETWEEN:
        if between in text:
            return between.join(map(called, text.split(between)))
    return text


def told(text: str, forms: Mapping[str, str]) -> str | None:
    """A text of one of these forms in words: what stands in the braces of the form is put into them, by what it is called.

    Args:
        text: ``group below 100 customers: other``
        forms: Words by form: ``group below {number} customers: {group}``, the first that fits counts.

    Returns:
        ``None`` where no form fits.
    """
    for form, words in forms.items():
        found = _pattern(form).fullmatch(text)
        if found is not None:
            return words.format(
                **{hole: _items(own) if hole == "items" else called(own) for hole, own in found.groupdict().items()}
            )
    return None


def prose(text: Message | str) -> Markup:
    """A sentence of the run, which may hold names from the data."""
    return Markup('<bdi dir="ltr">{}</bdi>').format(cut(worded(text), 1000))


def worded(text: Message | str) -> str:
    """A sentence of the run with names in it as they are called."""
    return str(text.renamed(called) if isinstance(text, Message) else text)


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


@dataclass(frozen=True, slots=True)
class _Ours:
    """What the names that a run gives are called.

    Attributes:
        names: Whole names.
        forms: Names that hold another one.
    """

    names: Mapping[str, str]
    forms: Mapping[str, str]


@cache
def _ours(spoken: str) -> _Ours:
    """In one language, which must be that of the report."""
    assert spoken == language()
    return _Ours(
        {
            "all": pgettext("name", "all"),
            "not yet known": pgettext("name", "not yet known"),
            "mixed": pgettext("name", "mixed"),
            "missing": pgettext("name", "missing"),
            "other": pgettext("name", "other"),
            "mixed values": pgettext("name", "mixed values"),
            "missing values": pgettext("name", "missing values"),
            "other values": pgettext("name", "other values"),
            "blank": pgettext("name", "blank"),
            "discount": pgettext("name", "discount"),
            "recency": pgettext("name", "recency"),
            "frequency": pgettext("name", "frequency"),
            "tenure": pgettext("name", "tenure"),
            "regularity": pgettext("name", "regularity"),
            "money": pgettext("name", "money"),
            "order_amount": pgettext("name", "order_amount"),
            "basket_size": pgettext("name", "basket_size"),
            "basket_products": pgettext("name", "basket_products"),
            "discount_share": pgettext("name", "discount_share"),
            "returns_share": pgettext("name", "returns_share"),
            "weekend_share": pgettext("name", "weekend_share"),
            "order value": pgettext("name", "order value"),
            "items per order": pgettext("name", "items per order"),
            "products per order": pgettext("name", "products per order"),
            "discount share": pgettext("name", "discount share"),
            "weekend share": pgettext("name", "weekend share"),
            "weekday: Monday": pgettext("name", "weekday: Monday"),
            "weekday: Tuesday": pgettext("name", "weekday: Tuesday"),
            "weekday: Wednesday": pgettext("name", "weekday: Wednesday"),
            "weekday: Thursday": pgettext("name", "weekday: Thursday"),
            "weekday: Friday": pgettext("name", "weekday: Friday"),
            "weekday: Saturday": pgettext("name", "weekday: Saturday"),
            "weekday: Sunday": pgettext("name", "weekday: Sunday"),
            "hour: night": pgettext("name", "hour: night"),
            "hour: morning": pgettext("name", "hour: morning"),
            "hour: afternoon": pgettext("name", "hour: afternoon"),
            "hour: evening": pgettext("name", "hour: evening"),
            "winter": pgettext("name", "winter"),
            "spring": pgettext("name", "spring"),
            "summer": pgettext("name", "summer"),
            "autumn": pgettext("name", "autumn"),
            "discovery": pgettext("name", "discovery"),
            "confirmation": pgettext("name", "confirmation"),
            "earlier": pgettext("name", "earlier"),
            "later": pgettext("name", "later"),
        },
        {
            "without the {number} largest": pgettext("name", "without the {number} largest"),
            "without any one of the {number} largest": pgettext("name", "without any one of the {number} largest"),
            "not {method} cluster {number} of {clusters}": pgettext(
                "name", "not {method} cluster {number} of {clusters}"
            ),
            "{method} cluster {number} of {clusters}": pgettext("name", "{method} cluster {number} of {clusters}"),
            "{method} cluster {number} of {clusters}: {rule}": pgettext(
                "name", "{method} cluster {number} of {clusters}: {rule}"
            ),
            "{split}, merged": pgettext("name", "{split}, merged"),
            "with {items}": pgettext("name", "with {items}"),
            "without {items}": pgettext("name", "without {items}"),
            "not {group}": pgettext("name", "not {group}"),
            "other than {group}": pgettext("name", "other than {group}"),
            "{group} (value)": pgettext("name", "{group} (value)"),
            "{column}_entropy": pgettext("name", "{column}_entropy"),
        },
    )


@cache
def _pattern(form: str) -> re.Pattern[str]:
    """What fits a form: a number or a method in one word, anything else of any length."""
    parts = re.split(r"\{(\w+)\}", form)
    holes = [rf"(?P<{hole}>{_HOLES.get(hole, '.+')})" for hole in parts[1::2]]
    return re.compile("".join(map("".join, zip_longest(map(re.escape, parts[::2]), holes, fillvalue=""))), re.DOTALL)


_HOLES = {"number": r"[\d,]+", "clusters": r"\d+", "method": r"\w+"}

_BETWEEN = (" / ", " & ", " + ")
"""What stands between names in that of a segment, of a pair of columns, and of groups taken together."""


def _items(text: str) -> str:
    """Products bought together, each a column with its value, in a row."""
    first, *others = [called(item) for item in _ITEMS.split(text)]
    for other in others:
        first = pgettext("name", "{others} and {last}").format(others=first, last=other)
    return first


_ITEMS = re.compile(r" and (?=discount(?: and |$)|[^:]+: )")

_BOUND = re.compile(r"(?<![^ ])((?:<=|>) )(-?\d{1,15}\.\d+)(?![^ ])")
"""A number with a point behind the sign of a group that a cut makes."""

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, those that turn the direction of text, halves of characters, and no characters."""
