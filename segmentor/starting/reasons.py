"""Several reasons -> one, to be worded when it is written."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from segmentor.wording import Message, Value

Values = dict[str, Value]
"""What stands in a message for the names of its values."""


def together(reasons: Iterable[Message]) -> Message:
    """Reasons, at least one, as one."""
    return reduce(lambda first, other: Message("{reason}; {other}", {"reason": first, "other": other}), reasons)
