"""What stands of the tree of segments, and who is in none of them."""

from __future__ import annotations

from collections.abc import Sequence

from segmentor.result.run import NOT_YET_KNOWN, RunResult, Segment
from segmentor.result.tree import TreeNode


def standing(result: RunResult) -> tuple[TreeNode, ...]:
    """The root and the groups of the splits that held, a node before those below it; nothing that was cut off with a split above it.

    A group at which nothing was tried, since discovery had taken it together with another, stands as a leaf.
    """
    nodes: dict[str, TreeNode] = {}
    for node in result.tree:
        if node.parent is None or (node.parent in nodes and nodes[node.parent].held and not _cut_off(node)):
            nodes[node.segment] = node
    leaves = {
        leaf.name: TreeNode(leaf.name, leaf.parent, leaf.customers, 0)
        for leaf in result.segments
        if leaf.rule and leaf.name not in nodes and leaf.parent in nodes and nodes[leaf.parent].held
    }
    return *nodes.values(), *leaves.values()


def without_group(nodes: Sequence[TreeNode]) -> dict[str, int]:
    """Customers in none of the groups below, of each node that stands above others."""
    below: dict[str, int] = {}
    for node in nodes:
        if node.parent is not None:
            below[node.parent] = below.get(node.parent, 0) + node.customers
    return {node.segment: max(node.customers - below[node.segment], 0) for node in nodes if node.segment in below}


def defined(result: RunResult) -> list[Segment]:
    """The segments that a definition makes: all but the customers of whom it is not yet known."""
    return [segment for segment in result.segments if segment.name != NOT_YET_KNOWN]


def _cut_off(node: TreeNode) -> bool:
    return node.ended == "above was not confirmed"
