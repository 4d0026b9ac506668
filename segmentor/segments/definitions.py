"""A tree of splits that hold -> segments: who is in them, how they come back, and what ``assign`` needs to find them again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from segmentor.cycles import TimeZero, common_table_expressions
from segmentor.result import EVERYBODY, FORMAT, NOT_YET_KNOWN, GroupEffect, Rule, Segment, Trial
from segmentor.segments.tree import Fork, Leaf, declaration, leaves_of, placed
from segmentor.segments.words import in_words
from segmentor.splits import Split
from segmentor.wording import Message, speaking

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of the tree whose split holds.

    Attributes:
        segment: The segment that it divides: ``all``, or a name of ``below``, such as ``full + travel / store``.
        split: As applied: its threshold set, its groups merged.
        trial: The evidence that it holds, with the estimates of its groups.
        time_zero: When all labels on the way and its own are known.
    """

    segment: str
    split: Split
    trial: Trial
    time_zero: TimeZero

    @property
    def fork(self) -> Fork:
        """The same without the evidence."""
        return Fork(self.segment, self.split, tuple(group.name for group in self.trial.groups))


def find_segments(engine: Engine, branches: Sequence[Branch]) -> tuple[Segment, ...]:
    """The leaves of the tree, and last the customers of whom it is not yet known; one segment, everybody, where there is no branch.

    Each customer with a line falls in exactly one. A leaf has the estimates of the group that it is in the trial of its own split.

    Args:
        engine: Holds ``everyone``, the purchases, and the splits' label sources.
        branches: The nodes whose splits hold.

    Raises:
        ValueError: The branches are no tree.
    """
    everyone = int(engine.scalar("select count(*) from everyone"))
    if not branches:
        whole = Segment(
            id=EVERYBODY,
            name=EVERYBODY,
            parent=None,
            rule=(),
            customers=everyone,
            evidence=Message("No split was shown to separate purchase cycles."),
            words=Message("every customer"),
        )
        return (whole,)
    forks = [branch.fork for branch in branches]
    queries, segment, customers = placed(forks)
    sizes = dict(
        engine.rows(
            f"{common_table_expressions(queries)}\nselect {segment} as segment, count(*)\nfrom {customers}\ngroup by 1"
        )
    )
    trials = {branch.segment: branch.trial for branch in branches}
    leaves = [_segment(leaf, trials[leaf.parent], sizes.get(leaf.name, 0)) for leaf in leaves_of(forks)]
    names = tuple(dict.fromkeys(branch.split.name for branch in branches))
    unknown = Segment(
        id=_slug(NOT_YET_KNOWN),
        name=NOT_YET_KNOWN,
        parent=EVERYBODY,
        rule=(),
        customers=everyone - sum(leaf.customers for leaf in leaves),
        evidence=Message(
            "Customers to whom no group of {splits} applies, or who have not bought yet.", {"splits": names}
        ),
        words=Message(
            "customers of whom {splits} is not known (yet)",
            {"number": len(names), "splits": names},
            many="customers of whom {splits} are not known (yet)",
        ),
    )
    return (*leaves, unknown)


def segments_json(segments: Sequence[Segment], config: ExperimentConfig, branches: Sequence[Branch]) -> str:
    """The segments as JSON, with what ``assign`` needs to label customers: splits, tree and cycle in words of the config.

    What a segment is and why it stands is told in the language of the report.
    """
    with speaking(config.language):
        told = [asdict(one) | _in_language(one) for one in segments]
    content = {
        "format": FORMAT,
        "cycle": config.cycle.model_dump(mode="json", include={"purchase", "observed_from", "merge_within_days"}),
        "splits": [
            {
                "segment": branch.segment,
                "split": branch.split.name,
                "groups": list(branch.fork.groups),
                "declared": declaration(branch.split).model_dump(mode="json"),
                "threshold": branch.split.threshold,
                "merged": [list(part) for part in branch.split.parts] or None,
            }
            for branch in branches
        ],
        "segments": told,
    }
    # Keys keep their order: of a split's groups the first that holds decides.
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _in_language(segment: Segment) -> dict[str, str | None]:
    return {
        name: None if told is None else str(told)
        for name, told in (("evidence", segment.evidence), ("words", segment.words))
    }


def _segment(leaf: Leaf, trial: Trial, customers: int) -> Segment:
    (group,) = (group for group in trial.groups if group.name == leaf.steps[-1].group)
    return Segment(
        id=_slug(leaf.name),
        name=leaf.name,
        parent=leaf.parent,
        rule=tuple(
            Rule(
                split=step.fork.split.name,
                group=step.group,
                known=step.fork.split.known,
                condition=dict(step.fork.split.definition).get(step.group, f"{step.fork.split.by} = {step.group}"),
            )
            for step in leaf.steps
        ),
        customers=customers,
        share_back=None if group.share_back is None else group.share_back.estimate,
        mean_cycle_days=None if group.mean_cycle_days is None else group.mean_cycle_days.estimate,
        horizon_days=trial.horizon_days,
        contact_days=_contact_days(group),
        evidence=trial.sentence,
        words=in_words(leaf),
    )


def _contact_days(group: GroupEffect) -> tuple[int, int] | None:
    """Days between which the middle half of the returns within the horizon falls."""
    curve = group.curve
    if curve is None or not curve.share_back[-1]:
        return None
    first, last = (
        next(
            day for day, share in zip(curve.days, curve.share_back, strict=True) if share >= part * curve.share_back[-1]
        )
        for part in (0.25, 0.75)
    )
    return first, last


def _slug(name: str) -> str:
    """A name for files and joins, ``[a-z0-9-]`` up to 80: the name itself where it is that, else what is left of it and a short hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:70]
    if plain and plain == name.replace(" ", "-"):
        return plain
    return f"{plain or 'segment'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
