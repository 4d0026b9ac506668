"""Sentences of the page in its language: what stands in the catalog is markup, and what is put into it is escaped."""

from __future__ import annotations

from markupsafe import Markup

from segmentor.wording import gettext, ngettext


def say(sentence: str, **values: object) -> Markup:
    """A sentence: ``say("By day {day}, {share} are back", day=60, share=...)``."""
    return Markup(gettext(sentence)).format(**values)


def say_many(one: str, many: str, number: int, **values: object) -> Markup:
    """A sentence about a number of things, which it may name as ``{number}``."""
    return Markup(ngettext(one, many, number)).format(number=number, **values)
