"""Which counts of customers on a page add up: the lines by which ``small_cells`` decides how each is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from segmentor.report.beside import compared, crossover_table, was_found
from segmentor.report.small_cells import Counts
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, RunResult, TreeNode, Trial
from segmentor.result.standing import standing, without_group


def counts_of(result: RunResult) -> Counts:
    """How customers of groups, nodes and segments are shown on a result's page."""
    among = {EVERYBODY: result.quality.cycle.customers} | {node.segment: node.customers for node in standing(result)}
    lines = [
        *_of_tree(result),
        *(line for trial in result.trials for line in _of_groups(trial, among.get(trial.segment, 0), result.min_cell)),
    ]
    return Counts.of(lines, result.min_cell)


def counts_in(trial: Trial, counts: Counts) -> Counts:
    """How the tables of one split are shown, which part its groups further, on a page that shows groups so."""
    lines = [*_of_cohorts(trial), *_of_parts(trial), *_of_crossover(trial)]
    groups = [group.customers for group in trial.groups]
    # All labelled together must not tell of the one group that is said roughly.
    rough = counts.rough if all(map(counts.exact, groups)) else {*counts.rough, sum(groups)}
    return Counts.of(lines, counts.min_cell, rough=rough)


def group_at(node: TreeNode) -> str:
    """The group that a node is: a stroke that stands alone in its name is doubled in that of the segment."""
    above = "" if node.parent in (None, EVERYBODY) else f"{node.parent} / "
    return _DOUBLED.sub(r"\1", node.segment.removeprefix(above))


_DOUBLED = re.compile(r"(?<![^ ])/(/+)(?![^ ])")


def _of_groups(trial: Trial, among: int, min_cell: int) -> Iterator[Sequence[int]]:
    """The groups and those in none make up the customers among whom it was tried, but for those of whom it is too early to tell."""
    groups = [*(group.customers for group in trial.groups), trial.not_known, trial.no_follow_up]
    yield groups
    too_early = among - sum(groups)
    if 0 < too_early < min_cell:
        yield [*groups, too_early]


def _of_cohorts(trial: Trial) -> Iterator[Sequence[int]]:
    """Cohorts, whose sizes may be known, and the cohorts of each group."""
    if trial.comparability is not None and trial.comparability.cohorts:
        cohorts = [cohort.customers for cohort in trial.comparability.cohorts]
        yield from cohorts
        if was_found(trial):
            # Of the half that tested it, of which no group is told.
            yield [compared(trial), *(number for cohort in cohorts for number in cohort)]
            return
        for group, column in zip(trial.groups, zip(*cohorts, strict=True), strict=False):
            yield [group.customers, *column]


def _of_parts(trial: Trial) -> Iterator[Sequence[int]]:
    """The parts of each kind with those in none make up the customers whose groups were compared."""
    labelled = compared(trial)
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
    """Each node with those below it; all customers with those who never bought; the segments; and counts of nearly the same."""
    nodes = standing(result)
    trials = {(trial.segment, trial.split): trial for trial in result.trials}
    groups = {(*at, group.name): group.customers for at, trial in trials.items() for group in trial.groups}
    rest = without_group(nodes)
    segments = {segment.name: segment.customers for segment in result.segments}
    unknown, never = segments.get(NOT_YET_KNOWN, 0), result.never_bought
    # How many bought is known anyway, from occasions and cycles.
    yield [result.customers, never]
    yield [never, *segments.values()]
    yield list(segments.values())
    yield [unknown, never, *rest.values(), abs(unknown - never - sum(rest.values()))]
    for node in nodes:
        if node.segment in rest:
            below = [each for each in nodes if each.parent == node.segment]
            sizes = [each.customers for each in below]
            yield [*([] if node.parent is None else [node.customers]), *sizes, rest[node.segment]]
            if (trial := trials.get((node.segment, node.split or ""))) is not None:
                too_early = abs(rest[node.segment] - trial.not_known)
                if 0 < too_early < result.min_cell:
                    yield [rest[node.segment], trial.not_known, too_early]
                followed = {group.name: group.customers for group in trial.groups}
                late = (abs(each.customers - followed.get(group_at(each), each.customers)) for each in below)
                yield [trial.no_follow_up, *late]
        same = [segments.get(node.segment, node.customers)]
        above = next((each for each in nodes if each.segment == node.parent), None)
        if above is not None and above.split is not None:
            same.append(groups.get((above.segment, above.split, group_at(node)), node.customers))
        yield from ([node.customers, each, abs(node.customers - each)] for each in same if each != node.customers)
