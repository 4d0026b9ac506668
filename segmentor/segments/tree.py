"""Splits, one below the other -> the one segment of each customer, as SQL that DuckDB and SQLite run alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.cycles import Query
from segmentor.engine.duckdb import literal
from segmentor.result import EVERYBODY, NOT_YET_KNOWN
from segmentor.splits import Split

if TYPE_CHECKING:
    from segmentor.config import DeclaredSplit, ExperimentConfig

BETWEEN = " / "
"""Stands between the names of groups in that of a segment."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a split is applied.

    Attributes:
        segment: The segment that it divides: ``all`` at the root.
        split: The split as applied: its threshold set, its groups merged.
        groups: Names of the groups that customers fall in; of other values it is not yet known where they belong.
    """

    segment: str
    split: Split
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One condition on the way to a leaf: a group of a fork.

    Attributes:
        fork: The fork.
        group: Name of the group.
        until: Day number of the latest date of the conditions so far, by which all of them must be known; ``None`` without a date.
    """

    fork: Fork
    group: str
    until: int | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A segment without one below.

    Attributes:
        name: Names of the groups on the way to it, see ``below``.
        parent: Name of the segment above.
        steps: Conditions, all of which hold, from the root on.
    """

    name: str
    parent: str
    steps: tuple[Step, ...]


def below(segment: str, group: str) -> str:
    """Name of the segment that is a group of another one; no two paths of groups have the same.

    A stroke that stands as a word of its own in the name of a group is doubled there: alone it divides groups.
    """
    name = _STROKES.sub(r"/\1", group)
    return name if segment == EVERYBODY else f"{segment}{BETWEEN}{name}"


_STROKES = re.compile(r"(?<![^ ])(/+)(?![^ ])")


def leaves_of(forks: Sequence[Fork]) -> tuple[Leaf, ...]:
    """The leaves of the tree, depth first, in the order of the groups; none where there is no fork.

    Raises:
        ValueError: A fork divides a segment that there is not, or that another one divides.
    """
    by_segment = {fork.segment: fork for fork in forks}
    if len(by_segment) < len(forks):
        raise ValueError("two splits divide the same segment")
    reached: set[str] = set()

    def descend(segment: str, steps: tuple[Step, ...]) -> Iterator[Leaf]:
        fork = by_segment[segment]
        reached.add(segment)
        dates = [fork.split.time_zero.until, *(step.until for step in steps[-1:])]
        until = max((date for date in dates if date is not None), default=None)
        for group in fork.groups:
            name, path = below(segment, group), (*steps, Step(fork, group, until))
            if name in by_segment:
                yield from descend(name, path)
            else:
                yield Leaf(name, segment, path)

    leaves = tuple(descend(EVERYBODY, ())) if EVERYBODY in by_segment else ()
    if lost := sorted(set(by_segment) - reached):
        raise ValueError(f"no group is the segment {lost[0]!r}, which a split divides")
    return leaves


def declaration(split: Split) -> DeclaredSplit:
    """The split in words of the config.

    Raises:
        ValueError: It has none, so that nobody could label customers by it again.
    """
    if split.declared is None:
        raise ValueError(f"the split {split.name!r} is in no words of the config")
    return split.declared


def of_the_tree(config: ExperimentConfig, forks: Sequence[Fork]) -> ExperimentConfig:
    """The config with the splits of the tree in place of those that it declares, one a fork."""
    declared = tuple(declaration(fork.split) for fork in forks)
    return config.model_copy(update={"splits": config.splits.model_copy(update={"declared": declared})})


def placed(forks: Sequence[Fork], *, last_day: str = "(select max(_day) from _sold)") -> tuple[list[Query], str, str]:
    """SQL of the segment of each customer of ``_sold``.

    A label that is known by purchases counts below or above a split known at a date only where it was known by that date, and that
    split not before its date has come.

    Args:
        forks: The tree; empty where everybody is in one segment.
        last_day: SQL of the number of the last day that is looked at.

    Returns:
        Queries to be put in a ``WITH`` clause; the expression of the segment; the ``FROM`` clause, whose ``e`` has the ``customer``.
    """
    everyone = "(select distinct _customer as customer from _sold) e"
    if not forks:
        return [], literal(EVERYBODY), everyone
    names = _label_names(forks)
    queries = [(name, labels) for labels, name in names.items()]
    if any(fork.split.time_zero.until is not None for fork in forks):
        everyone += f"\n  cross join (select {last_day} as _last_day) d"
    joins = "".join(f"\n  left join {name} on {name}.customer = e.customer" for name in names.values())
    branches = "".join(
        f"\n    when {conditions(leaf.steps, names)} then {literal(leaf.name)}" for leaf in leaves_of(forks)
    )
    return queries, f"case{branches}\n    else {literal(NOT_YET_KNOWN)} end", everyone + joins


def known_since(forks: Sequence[Fork]) -> str:
    """SQL of the day since when the segment of ``placed`` is known: the latest of its conditions; NULL where it is not."""
    names = _label_names(forks)
    branches = ""
    for leaf in leaves_of(forks):
        days = ", ".join(dict.fromkeys(f"{names[step.fork.split.labels]}.known_since" for step in leaf.steps))
        branches += f"\n    when {conditions(leaf.steps, names)} then greatest({days})"
    return f"case{branches} end" if branches else "cast(null as bigint)"


def told_of_from(forks: Sequence[Fork], *, merge_within_days: int) -> str:
    """SQL of the first day that the label of ``placed`` was not made of; NULL where it is not known.

    A first purchase ends with the days that are merged into it, a date begins the day after the lines before it, and what is known
    at entry is made of no purchase.

    Args:
        forks: The tree.
        merge_within_days: As of the cycle.
    """
    names = _label_names(forks)
    branches = ""
    for leaf in leaves_of(forks):
        days = {
            f"{names[fork.split.labels]}.known_since + {0 if fork.split.time_zero.until is not None else merge_within_days}": None
            for fork in (step.fork for step in leaf.steps)
            if fork.split.known != "entry"
        }
        first = f"greatest({', '.join(days)})" if days else str(_BEFORE_ALL)
        branches += f"\n    when {conditions(leaf.steps, names)} then {first}"
    return f"case{branches} end" if branches else "cast(null as bigint)"


_BEFORE_ALL = -(10**6)
"""A day number before any that can be read."""


def not_yet_known(forks: Sequence[Fork]) -> str:
    """SQL of why the segment of ``placed`` is not known, in words; NULL where it is. The table ``o`` has ``purchases`` and ``first_day`` of those who bought."""
    names = _label_names(forks)
    leaves = leaves_of(forks)
    branches = "".join(f"\n    when {conditions(leaf.steps, names)} then null" for leaf in leaves)
    # A customer who is in no leaf ended at the deepest fork whose segment it reached.
    ways = {step.fork.segment: leaf.steps[:at] for leaf in leaves for at, step in enumerate(leaf.steps)}
    for fork in sorted(forks, key=lambda fork: -len(ways[fork.segment])):
        way = ways[fork.segment]
        reached = conditions(way, names)
        for condition, reason in _obstacles(fork, names[fork.split.labels], way):
            branches += f"\n    when {reached} and {condition} then {literal(reason)}"
    return f"case{branches} end" if branches else "cast(null as text)"


def _obstacles(fork: Fork, label: str, way: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """What may keep a customer who went that way from every group of the split there, in SQL and in words; the first that holds."""
    split = fork.split
    yield "o.purchases is null", "has not bought yet"
    if split.time_zero.until is not None:
        yield f"{split.time_zero.until} > d._last_day", f"{split.name} is known only from {split.since} on"
        yield (
            f"o.first_day >= {split.time_zero.until}",
            f"has not bought before {split.since}, the date of {split.name}",
        )
    elif split.time_zero.purchases > 1:
        yield f"o.purchases < {split.time_zero.purchases}", f"too few purchases for {split.name} ({split.known})"
    dates = [step.fork.split.since for step in way] + [split.since]
    if latest := max((date for date in dates if date is not None), default=None):
        groups = ", ".join(literal(group) for group in fork.groups)
        yield f"{label}.segment_group in ({groups})", f"known only after {latest}, the date of a split"
    yield "true", f"no group of {split.name} applies"


def conditions(steps: Sequence[Step], names: dict[str, str]) -> str:
    """SQL of all conditions of some steps, over the labels' tables by name."""
    terms: dict[str, None] = {}
    for at, step in enumerate(steps):
        terms[f"{names[step.fork.split.labels]}.segment_group = {literal(step.group)}"] = None
        if step.fork.split.time_zero.until is not None:
            terms[f"{step.fork.split.time_zero.until} <= d._last_day"] = None
        for other in steps[: at + 1] if step.until is not None else ():
            if other.fork.split.time_zero.until is None:
                terms[f"{names[other.fork.split.labels]}.known_since <= {step.until}"] = None
    return " and ".join(terms) or "true"


def _label_names(forks: Sequence[Fork]) -> dict[str, str]:
    """SELECT of the labels to the name of its table, each once."""
    names: dict[str, str] = {}
    for fork in forks:
        names.setdefault(fork.split.labels, f"_label_{len(names) + 1}")
    return names
