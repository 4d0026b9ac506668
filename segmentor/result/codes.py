"""Words of our own that stand in results as codes, the same in every language, and what reasons say within a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping

from segmentor.wording import Message, marked

REASONS = (
    marked("significant and larger than the minimum effect"),
    marked("every difference lies within the margins"),
    marked("not significant"),
    marked("not promoted"),
    marked("significant, and not shown to exceed the minimum effect"),
    marked("the two halves of customers point in different directions"),
    marked("labels dealt at random separate as much"),
    marked("echo of past frequency"),
    marked("circular"),
    marked("no variance"),
    marked("too few customers"),
    marked("too few events"),
    marked("too many groups"),
    marked("nobody observed"),
    marked("reserved name"),
    marked("one group"),
    marked("not comparable"),
    marked("no threshold"),
)
"""All of them, but for that of a group that is too small."""


SUBSETS: Mapping[str, tuple[str, ...]] = {
    "cohort": (),
    "season": ("winter", "spring", "summer", "autumn"),
    "region": (),
    "half of customers": ("discovery", "confirmation"),
    "half of period": ("earlier", "later"),
    "largest customers": ("without the 10 largest", "without any one of the 10 largest"),
}
"""Kinds of parts in which an effect is looked at again, with the names of those that are not told by months, quarters or values."""

HABITS = ("order value", "items per order", "products per order", "discount share", "weekend share")
"""Names of habits, but for shares of a ``category``, a ``region`` or a ``channel``."""


def too_small(group: str, *, least: int) -> str:
    """The reason code of a group of fewer customers than ``trial.min_group``."""
    return f"group below {least} customers: {group}"


def reason_in_words(code: str) -> Message:
    """A reason as it stands within a sentence."""
    if found := _TOO_SMALL.fullmatch(code):
        return Message(
            "group below {least} customers: {group}", {"least": int(found["least"]), "group": found["group"]}
        )
    return Message(code)


_TOO_SMALL = re.compile(r"group below (?P<least>\d+) customers: (?P<group>.*)", re.DOTALL)
