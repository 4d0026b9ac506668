"""The tree that discovery grew and what confirmation said of it -> the tree that stands, and what it explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from segmentor.confirmation import Confirmed
from segmentor.result import EVERYBODY, Chosen, TreeNode, Trial
from segmentor.result.tree import Ended
from segmentor.segments import Branch
from segmentor.tree import ROOT, Grown, Populations


@dataclass(frozen=True, slots=True)
class Pruned:
    """The tree that stands.

    Attributes:
        branches: The nodes whose splits hold.
        nodes: All nodes, those that were cut off with why.
    """

    branches: tuple[Branch, ...]
    nodes: tuple[TreeNode, ...]


def prune(
    populations: Populations,
    grown: Sequence[Grown],
    declared: Mapping[str, Trial],
    confirmed: Sequence[Confirmed],
    *,
    progress: Callable[[str], None],
) -> Pruned:
    """Cuts off what failed in confirmation, and all below it.

    Args:
        populations: Of all time zeros.
        grown: The nodes, each before those below it.
        declared: Trials of the declared splits, by name.
        confirmed: What went to confirmation.
        progress: Told of each node that was confirmed, or would have been.
    """
    tested = {(one.suggested.node.number, one.trial.split): one.trial for one in confirmed}
    branches: dict[int, Branch] = {}
    nodes: list[TreeNode] = []
    intact: set[int] = set()
    for one in grown:
        node = one.node
        above = node.parent is None or node.parent in intact
        if one.suggestion is None:
            if above:
                nodes.append(_node(grown, one, ended=one.ended))
            continue
        split = one.suggestion.split
        trial = tested.get((node.number, split.name)) or declared[split.name]
        stands = above and trial.verdict == "separates"
        if stands:
            intact.add(node.number)
        elif node.number == ROOT and split.merged_from is not None and split.merged_from in declared:
            # The groups as they were declared separate; only taken together they do not. They stand, and nothing below them.
            trial, stands = declared[split.merged_from], True
            assert one.choice is not None
            split = one.choice.split
        if stands:
            filled = tuple(group for group in trial.groups if group.customers)
            zero = populations.zero_at(node, split.time_zero)
            branches[node.number] = Branch(node.segment, split, replace(trial, groups=filled), zero)
        if above and one.matrix is not None:
            progress(f"choice in {node.segment} from resamples")
            again = one.matrix.chosen_again(populations.config)
        else:
            again = ()
        ended: Ended | None = None if stands else "not confirmed" if above else "above was not confirmed"
        nodes.append(_node(grown, one, trial, again=again, ended=ended))
    return Pruned(tuple(branches.values()), tuple(nodes))


def explain(
    trials: Sequence[Trial], grown: Sequence[Grown], branches: Sequence[Branch], *, level: float
) -> list[Trial]:
    """The trials, each with the tree's split of all customers where that one explains it.

    Groups that are made of different shares of the tree's groups differ as these do, and say nothing else. Such a split is significant
    among all customers, whether the difference is shown to matter or not, and was promoted in no node directly below the root; of an
    attribute, neither was one of its values. Where a node has too few customers to try it, or all of them in one group, nothing of it is
    left there.

    Args:
        trials: Of all splits.
        grown: The nodes, the root first.
        branches: The nodes whose splits hold.
        level: Of the tests.
    """
    root = next((one.split for one in branches if one.segment == EVERYBODY), None)
    below = [one.screened for one in grown if one.node.parent == ROOT and one.screened]
    if root is None or not below:
        return list(trials)
    promoted = [one for screened in below for one in screened if one.p_adjusted <= level]
    left = {name for one in promoted for name in (one.split.name, one.attribute.name)}

    def is_explained(trial: Trial) -> bool:
        origin = trial.merged_from or trial.split
        itself = {trial.split, origin} & {root.name, root.merged_from}
        significant = trial.p_adjusted is not None and trial.p_adjusted <= level and trial.verdict != "equivalent"
        return trial.segment == EVERYBODY and significant and not itself and origin not in left

    return [replace(trial, explained_by=root.name) if is_explained(trial) else trial for trial in trials]


def _node(
    grown: Sequence[Grown],
    one: Grown,
    trial: Trial | None = None,
    *,
    again: tuple[Chosen, ...] = (),
    ended: Ended | None,
) -> TreeNode:
    node = one.node
    plain = TreeNode(
        segment=node.segment,
        parent=None if node.parent is None else grown[node.parent].node.segment,
        customers=int(node.inside.sum()),
        tried=len(one.screened),
        ended=ended,
        chosen_again=again,
    )
    if trial is None:
        return plain
    return replace(
        plain,
        split=trial.split,
        groups=tuple(group.name for group in trial.groups if group.customers),
        p_discovery_adjusted=trial.p_discovery_adjusted,
        p_adjusted=trial.p_adjusted,
        held=ended is None,
    )
