"""What can go wrong, by stage; every message names what was found, where, and what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class SegmentorError(Exception):
    """A run that could not finish (exit code 3), unless a subclass says otherwise."""

    exit_code = 3


class InputError(SegmentorError):
    """What the user gave is wrong: a path, the config or the data."""

    exit_code = 2


class ConfigError(InputError):
    """The config is wrong; holds every problem found, not only the first.

    Attributes:
        problems: One line a problem, ``file:line: key: what was found; what to write instead``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class DataError(InputError):
    """The data cannot be used as declared: unreadable file, missing column, too many rejected rows."""


class ExpressionError(InputError):
    """A condition or derived column of the config cannot be computed on the data, such as text compared with a number."""


class EngineError(SegmentorError):
    """The database could not do what it was asked; the message holds the failing SQL."""


class ResourceError(EngineError):
    """Memory or disk did not suffice; the message names the setting to change."""


class StatisticsError(SegmentorError):
    """A statistic is undefined for these data, such as a test without variance."""


def printable(text: str) -> str:
    """Control characters, marks of direction and broken code points as escapes: no data drives a terminal through a message."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNSAFE_CATEGORIES
        else character
        for character in text
    )


_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
