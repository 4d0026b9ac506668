"""Several reasons -> one, to be worded when it is written."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from segmentor.wording import Message, marked

Values = dict[str, Message | str | int | float]
"""What stands in a message for the names of its values."""

AND = marked("{first}; {next}")
"""Between reasons."""

COMMA = marked("{first}, {next}")
"""Between the parts of a reason."""


def together(parts: Iterable[Message], joint: str) -> Message:
    """Messages, at least one, as one.

    Args:
        parts: The messages.
        joint: ``AND`` or ``COMMA``.
    """
    return reduce(lambda first, following: Message(joint, {"first": first, "next": following}), parts)
