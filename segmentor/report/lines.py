"""Which counts of customers on a page add up: the lines by which ``small_cells`` decides how each is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from segmentor.report.beside import crossover_table
from segmentor.report.small_cells import Counts
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, RunResult, TreeNode, Trial
from segmentor.result.standing import standing


def counts_of(result: RunResult) -> Counts:
    """How customers of groups, nodes and segments are shown on a result's page."""
    lines = [*_of_tree(result), *(line for trial in result.trials for line in _of_groups(trial))]
    return Counts.of(lines, result.min_cell)


def counts_in(trial: Trial, counts: Counts) -> Counts:
    """How the tables of one split are shown, which part its groups further, on a page that shows groups so."""
    lines = [*_of_cohorts(trial), *_of_parts(trial), *_of_crossover(trial)]
    groups = [group.customers for group in trial.groups]
    # All labelled together must not tell of the one group that is said roughly.
    rough = counts.rough if all(map(counts.exact, groups)) else {*counts.rough, sum(groups)}
    return Counts.of(lines, counts.min_cell, rough=rough)


def without_group(nodes: Sequence[TreeNode]) -> dict[str, int]:
    """Customers in none of the groups below, of each node that stands above others."""
    below: dict[str, int] = {}
    for node in nodes:
        if node.parent is not None:
            below[node.parent] = below.get(node.parent, 0) + node.customers
    return {node.segment: max(node.customers - below[node.segment], 0) for node in nodes if node.segment in below}


def group_at(node: TreeNode) -> str:
    """The group that a node is: a stroke that stands alone in its name is doubled in that of the segment."""
    above = "" if node.parent in (None, EVERYBODY) else f"{node.parent} / "
    return _DOUBLED.sub(r"\1", node.segment.removeprefix(above))


_DOUBLED = re.compile(r"(?<![^ ])/(/+)(?![^ ])")


def _of_groups(trial: Trial) -> Iterator[Sequence[int]]:
    """The groups and those in none make up the customers among whom it was tried."""
    yield [*(group.customers for group in trial.groups), trial.not_known, trial.no_follow_up]


def _of_cohorts(trial: Trial) -> Iterator[Sequence[int]]:
    """Cohorts, whose sizes may be known, and the cohorts of each group."""
    if trial.comparability is not None and trial.comparability.cohorts:
        cohorts = [cohort.customers for cohort in trial.comparability.cohorts]
        yield from cohorts
        for group, column in zip(trial.groups, zip(*cohorts, strict=True), strict=False):
            yield [group.customers, *column]


def _of_parts(trial: Trial) -> Iterator[Sequence[int]]:
    """The parts of each kind with those in none make up the customers of all groups."""
    labelled = sum(group.customers for group in trial.groups)
    for kind in dict.fromkeys(subset.kind for subset in trial.robustness):
        sizes = [subset.customers for subset in trial.robustness if subset.kind == kind]
        yield [labelled, *sizes, max(labelled - sum(sizes), 0)]


def _of_crossover(trial: Trial) -> Iterator[Sequence[int]]:
    """Next labels of each group, first labels of each next one, and those whose label stays."""
    if trial.crossover is not None:
        rows = crossover_table(trial)
        # Those without a next label are not shown: only where there are none do the others make up the group.
        yield from (row if row[-1] else [group.customers, *row] for group, row in zip(trial.groups, rows, strict=True))
        yield from zip(*rows, strict=True)
        yield [rows[place][place] for place in range(len(rows))]
        yield [trial.crossover.customers, *(number for row in rows for number in row[:-1])]


def _of_tree(result: RunResult) -> Iterator[Sequence[int]]:
    """Each node with those below it; all customers with those who have not bought; the segments; and counts of nearly the same."""
    nodes = standing(result)
    groups = {
        (trial.segment, trial.split, group.name): group.customers for trial in result.trials for group in trial.groups
    }
    rest = without_group(nodes)
    segments = {segment.name: segment.customers for segment in result.segments}
    yield list(segments.values())
    yield [segments.get(NOT_YET_KNOWN, 0), *rest.values()]
    if nodes:
        never = max(nodes[0].customers - result.quality.cycle.customers, 0)
        yield [nodes[0].customers, never]
    for node in nodes:
        if node.segment in rest:
            below = [each.customers for each in nodes if each.parent == node.segment]
            # How many there are in all is known anyway, so that the root is no count to say roughly.
            yield [*([] if node.parent is None else [node.customers]), *below, rest[node.segment]]
            if node.parent is None:
                yield [never, *below, rest[node.segment]]
        same = [segments.get(node.segment, node.customers)]
        above = next((each for each in nodes if each.segment == node.parent), None)
        if above is not None and above.split is not None:
            same.append(groups.get((above.segment, above.split, group_at(node)), node.customers))
        yield from ([node.customers, each, abs(node.customers - each)] for each in same if each != node.customers)
