"""What stands of the tree of segments."""

from __future__ import annotations

from segmentor.result.run import RunResult
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


def _cut_off(node: TreeNode) -> bool:
    return node.ended == "above was not confirmed"
