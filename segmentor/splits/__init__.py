"""Splits of customers.

`split` compiles what a config declares to SQL, `attribute` holds what candidates are made of, `enumerated` goes through the shop's
attributes for candidates, `itemsets` through first baskets, `clustered` through clusters of customers, and `candidates` gives them words and names.
"""

from segmentor.config.values import MIXED
from segmentor.splits.attribute import NOT_KNOWN, Attribute, Codes, against_the_rest, codes_of, partition
from segmentor.splits.candidates import without_twins
from segmentor.splits.categories import MISSING, OTHER
from segmentor.splits.clustered import cluster_attributes, clustering_features
from segmentor.splits.enumerated import enumerate_attributes
from segmentor.splits.split import (
    MAX_GROUPS,
    MERGED,
    Obstacle,
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
    "MISSING",
    "MIXED",
    "NOT_KNOWN",
    "OTHER",
    "Attribute",
    "Codes",
    "Obstacle",
    "Split",
    "against_the_rest",
    "cluster_attributes",
    "clustering_features",
    "codes_of",
    "compiled",
    "condition_text",
    "declared_splits",
    "enumerate_attributes",
    "label_sources",
    "make_label_sources",
    "partition",
    "replay_queries",
    "without_twins",
]
