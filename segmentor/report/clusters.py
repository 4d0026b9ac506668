"""A cluster has a number and no meaning; its rule has one: whoever is named for a cluster is shown with its rule."""

from __future__ import annotations

import re
from dataclasses import replace

from segmentor.result import RunResult
from segmentor.wording import gettext


def called_by_rule(result: RunResult) -> RunResult:
    """The same result with the rule of each cluster in the name of its split: ``kmeans cluster 2 of 3: frequency > 5``.

    Its groups keep their names, since the split stands beside them.
    """
    rules = {trial.split: _in_short(trial.definition[0][1]) for trial in result.trials if trial.cluster}
    if not rules:
        return result

    def full(split: str) -> str:
        return f"{split}: {rules[split]}" if split in rules else split

    return replace(
        result,
        trials=tuple(
            replace(
                trial,
                split=full(trial.split),
                aliases=tuple(map(full, trial.aliases)),
                merged_from=None if trial.merged_from is None else full(trial.merged_from),
                explained_by=None if trial.explained_by is None else full(trial.explained_by),
            )
            for trial in result.trials
        ),
        tree=tuple(
            replace(
                node,
                split=None if node.split is None else full(node.split),
                chosen_again=tuple(replace(chosen, split=full(chosen.split)) for chosen in node.chosen_again),
            )
            for node in result.tree
        ),
        ledger=tuple(replace(entry, split=full(entry.split)) for entry in result.ledger),
        segments=tuple(
            replace(segment, rule=tuple(replace(rule, split=full(rule.split)) for rule in segment.rule))
            for segment in result.segments
        ),
    )


def _in_short(condition: str) -> str:
    """A condition without the signs that only SQL needs; a share of the lines with a value is called one."""
    shares = re.sub(r'"([^":]+: [^"]+)"', lambda found: gettext("share of {value}").format(value=found[1]), condition)
    return re.sub(r'"([^"]+)"', r"\1", shares)
