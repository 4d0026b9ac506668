"""Which counts of customers on a page add up: the lines by which ``small_cells`` decides how each is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from segmentor.report.beside import crossover_table
from segmentor.report.ledger import carded
from segmentor.report.small_cells import Counts
from segmentor.report.tree import group_at, without_group
from segmentor.result import NOT_YET_KNOWN, RunResult, Trial
from segmentor.result.standing import standing


def counts_of(result: RunResult) -> Counts:
    """How the counts of a result's page are shown."""
    lines = [*_of_tree(result)]
    for trial in result.trials:
        lines += _of_groups(trial)
    for trial in carded(result):
        lines += [*_of_cohorts(trial), *_of_parts(trial), *_of_crossover(trial)]
    return Counts.of(lines, result.min_cell)


def _of_groups(trial: Trial) -> Iterator[Sequence[int]]:
    """The groups with those in none make up where it was tried, and so do all groups together with those in none."""
    groups = [group.customers for group in trial.groups]
    yield [*groups, trial.not_known, trial.no_follow_up]
    yield [sum(groups), trial.not_known, trial.no_follow_up]
    yield [sum(groups), *groups]


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
        yield from ([group.customers, *row] for group, row in zip(trial.groups, rows, strict=True))
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
