"""How the tree of segments came about, and what the search for splits went through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segmentor.wording import Message, marked

Ended = Literal["nothing passed", "too few customers", "max_depth", "not confirmed", "above was not confirmed"]
Kind = Literal["column", "itemset", "cluster"]

SAME_GROUPS = marked("makes the same groups as {split}")
"""Why something made no candidate that another one stands for."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """How often a split is chosen at a node over resamples of the discovery customers.

    Attributes:
        split: Its name.
        share: Share of the resamples.
    """

    split: str
    share: float


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A node of the tree that discovery customers grew and confirmation customers pruned.

    Attributes:
        segment: Where it is: ``all`` at the root, else the names of the groups above it, `` / `` between.
        parent: Segment of the node above; ``None`` at the root.
        customers: Customers in it who ever made the purchase that cycles are of, of both halves.
        tried: Candidate splits that were tried here.
        split: The split that discovery chose; ``None`` where nothing passed.
        groups: Names of its groups; the segments below are named for them.
        p_discovery_adjusted: Of that split's screening, adjusted over all that was tried here; ``None`` for a declared split at the root.
        p_adjusted: Of its confirmation, Holm-adjusted over all nodes that were tested there; ``None`` where it was not tested.
        held: Whether it separates in confirmation too, and its parent does: its groups are segments.
        ended: Why nothing was tried or kept below: ``nothing passed``, ``too few customers``, ``max_depth``, ``not confirmed``, ``above was not
            confirmed``; ``None`` where its groups are segments.
        chosen_again: Splits that resamples of the discovery customers choose here, the most frequent first.
    """

    segment: str
    parent: str | None
    customers: int
    tried: int
    split: str | None = None
    groups: tuple[str, ...] = ()
    p_discovery_adjusted: float | None = None
    p_adjusted: float | None = None
    held: bool = False
    ended: Ended | None = None
    chosen_again: tuple[Chosen, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that made no candidate, and why.

    Attributes:
        name: Its name.
        kind: ``column`` (two columns at once and features too), ``itemset`` or ``cluster``.
        reason: Why.
    """

    name: str
    kind: Kind
    reason: Message


@dataclass(frozen=True, slots=True)
class Clustering:
    """A way of clustering the discovery customers; its indices are shown and decide nothing.

    Attributes:
        method: ``kmeans``, ``gmm`` or ``hdbscan``.
        features: What customers were clustered by.
        customers: Customers whom it was fitted on.
        clusters: How many it found; 0 where none was stable.
        noise_share: Share of the customers who are in none.
        stability: Mean Jaccard similarity of its clusters to those of resamples (Hennig 2007).
        silhouette: Mean silhouette of customers; ``None`` for fewer than two clusters.
    """

    method: str
    features: tuple[str, ...]
    customers: int
    clusters: int
    noise_share: float
    stability: float | None
    silhouette: float | None


@dataclass(frozen=True, slots=True)
class Search:
    """What was gone through to find splits.

    Attributes:
        tried: Candidates screened at the root.
        left_out: What made no candidate.
        clusterings: Clusterings whose rules were candidates.
    """

    tried: int
    left_out: tuple[LeftOut, ...] = ()
    clusterings: tuple[Clustering, ...] = ()
