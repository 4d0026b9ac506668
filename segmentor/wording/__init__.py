"""Every word that a reader of a report sees, in the report's language.

English stands in the code, where it is used; ``zh.po`` has the Chinese of each message, and ``zh.mo`` the same compiled (GNU gettext's
formats). A message without a translation is shown in English, and a test says that there is none. A sentence that a run keeps is a
``Message``: what it says and of what, so that an old run can be told again in another language.
"""

from __future__ import annotations

import gettext as gnu
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import TypeAlias

LANGUAGES = ("en", "zh")
"""Languages of reports; English is that of the code."""

_spoken: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Messages are in one of ``LANGUAGES`` until the block ends."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def language() -> str:
    """The language that messages are in."""
    return _spoken.get()


def gettext(text: str) -> str:
    """A message in the language of the report."""
    # Nothing is said as nothing; under the empty text a catalog keeps its header.
    return _catalog(_spoken.get()).gettext(text) if text else ""


def ngettext(one: str, many: str, number: float) -> str:
    """A message about a number of things, in the form that the language has for that number."""
    return _catalog(_spoken.get()).ngettext(one, many, number)  # type: ignore[arg-type] # a rule of plurals takes any number


def pgettext(context: str, text: str) -> str:
    """A message that means several things in English, with what it means here."""
    return _catalog(_spoken.get()).pgettext(context, text)


def marked(text: str) -> str:
    """A message that is kept in English, and said in the report's language by ``gettext`` where it is used."""
    return text


def marked_many(one: str, many: str) -> tuple[str, str]:
    """The same of a message about a number of things, said by ``ngettext``."""
    return one, many


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence of which it is kept what it says, so that it is worded when it is read: ``str`` says it in the report's language.

    Attributes:
        text: English, as in the code, with names of values in braces, and behind a colon how a number is written:
            ``{rows:,} rows have no price.``
        values: What the names stand for: text from the data, numbers, messages within this one, or several of these in a row.
        many: The same for several, where that differs; the value ``number`` decides.

    Raises:
        ValueError: A text names what has no value.
    """

    text: str
    values: Mapping[str, Value] = field(default_factory=dict, hash=False)
    many: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be told."""
        for text in filter(None, (self.text, self.many)):
            named = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
            if lost := sorted(named - self.values.keys()):
                raise ValueError(f"{text!r} names {lost[0]!r}, which has no value")

    def __str__(self) -> str:
        """The sentence in the report's language."""
        number = self.values.get("number")
        if self.many is None or not isinstance(number, int | float):
            said = gettext(self.text)
        else:
            said = ngettext(self.text, self.many, number)
        return said.format_map({name: _told(value) for name, value in self.values.items()})

    def renamed(self, called: Callable[[str], str]) -> Message:
        """The same with every text among the values, also of messages within, as it is called by a function."""
        return replace(self, values={name: _renamed(value, called) for name, value in self.values.items()})


Value: TypeAlias = Message | str | int | float | tuple[Message | str, ...]
"""What stands in a message for one of its names."""


def in_sequence(first: Message, *others: Message) -> Message:
    """Sentences one after the other."""
    for other in others:
        first = Message("{before} {after}", {"before": first, "after": other})
    return first


def either_of(parts: Sequence[Message | str]) -> Message | str:
    """Parts of which one is meant: ``a, b or c``."""
    *others, last = parts
    return Message("{others} or {last}", {"others": tuple(others), "last": last}) if others else last


def _told(value: Value) -> str | int | float:
    """A value as a format takes it: numbers as they are."""
    if isinstance(value, tuple):
        return pgettext("between names", ", ").join(map(str, value))
    return str(value) if isinstance(value, Message) else value


def _renamed(value: Value, called: Callable[[str], str]) -> Value:
    match value:
        case Message():
            return value.renamed(called)
        case str():
            return called(value)
        case tuple():
            return tuple(one.renamed(called) if isinstance(one, Message) else called(one) for one in value)
    return value


@cache
def _catalog(spoken: str) -> gnu.NullTranslations:
    """The messages of a language."""
    if spoken == "en":
        return gnu.NullTranslations()
    with files(__name__).joinpath(f"{spoken}.mo").open("rb") as compiled:
        return gnu.GNUTranslations(compiled)
