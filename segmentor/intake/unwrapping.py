"""Text as written for a spreadsheet -> the value that is meant: ``="00123"``, ``'00123`` and tabs keep it from becoming a number."""

from __future__ import annotations

import re

from segmentor.engine.duckdb import literal

_BLANKS = " \t\N{NO-BREAK SPACE}"
_WRAPPED = r"""^(?:="(.*)"|'([0-9+].*))$"""
WRAPPED = r"""^[\t ]*(?:="|'[0-9+])|\t$"""
"""What is found in a value that is written so."""


def unwrapped(text: str) -> str:
    """The value that a text stands for."""
    found = re.search(_WRAPPED, text.strip(_BLANKS), re.DOTALL)
    return (found[1] or found[2] or "").strip(_BLANKS) if found else text.strip(_BLANKS)


def unwrapped_sql(text: str) -> str:
    """SQL of the same."""
    blanks = literal(_BLANKS)
    inner = f"regexp_replace(trim({text}, {blanks}), {literal('(?s)' + _WRAPPED)}, '\\1\\2')"
    return f"trim({inner}, {blanks})"
