"""Splits of customers.

`split` compiles what a config declares to SQL, `attribute` holds what candidates are made of, `enumerated` goes through the shop's
attributes for candidates.
"""

from segmentor.splits.attribute import NOT_KNOWN, Attribute, Codes
from segmentor.splits.split import (
    MAX_GROUPS,
    MERGED,
    MIXED,
    Split,
    compiled,
    condition_text,
    declared_splits,
    label_sources,
    make_label_sources,
    replay_queries,
)

__all__ = [
    "MAX_GROUPS",
    "MERGED",
    "MIXED",
    "NOT_KNOWN",
    "Attribute",
    "Codes",
    "Split",
    "compiled",
    "condition_text",
    "declared_splits",
    "label_sources",
    "make_label_sources",
    "replay_queries",
]
