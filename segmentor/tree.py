"""Attributes -> a tree of splits: grown whole on discovery customers, each node with scores of its own, to be confirmed by the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import TimeZero
from segmentor.discovery import (
    Candidate,
    Matrix,
    Suggestion,
    group_sizes,
    merge_groups,
    merged_codes,
    screen,
    smallest_group,
    suggest,
)
from segmentor.echo import echo_p_value
from segmentor.evidence import PopulationInMemory
from segmentor.labelling import MembersInMemory, known_in_time, label_customers
from segmentor.populations import Population, half_of, later, node_of, prepare_population
from segmentor.result import EVERYBODY
from segmentor.result.tree import Ended
from segmentor.segments import below
from segmentor.splits import NOT_KNOWN, Attribute, Codes

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

ROOT = 0
"""Number of the root among the nodes."""


@dataclass(frozen=True, slots=True)
class Populations:
    """The populations of all time zeros and nodes, each prepared once."""

    engine: Engine
    config: ExperimentConfig
    observed_until: int
    made: dict[tuple[object, ...], Population] = field(default_factory=dict)
    fetched: dict[TimeZero, MembersInMemory] = field(default_factory=dict)

    def whole(self, zero: TimeZero) -> Population:
        """All customers of a time zero."""
        key = (zero,)
        if key not in self.made:
            self.made[key] = prepare_population(self.engine, self.config, zero, observed_until=self.observed_until)
        return self.made[key]

    def members(self, zero: TimeZero) -> MembersInMemory:
        """All customers of a time zero, fetched."""
        if zero not in self.fetched:
            self.fetched[zero] = MembersInMemory.fetch(self.engine, self.whole(zero))
        return self.fetched[zero]

    def half(self, zero: TimeZero, seed_no: int, half: int) -> Population:
        """One half of them under a seed of the halves."""
        key = (zero, seed_no, half)
        if key not in self.made:
            self.made[key] = half_of(self.engine, self.config, self.whole(zero), seed_no=seed_no, half=half)
        return self.made[key]

    def zero_at(self, node: Node, zero: TimeZero) -> TimeZero:
        """When the conditions of a node and a label of a time zero are known."""
        return zero if node.known is None else later(node.known, zero)

    def at(self, node: Node, zero: TimeZero, half: int) -> Population:
        """One half of the customers of a node, once its conditions and a label of a time zero are known."""
        zero = self.zero_at(node, zero)
        if node.number == ROOT:
            return self.half(zero, 0, half)
        key = (zero, "node", node.number, half)
        if key not in self.made:
            self.made[key] = node_of(
                self.engine, self.config, self.whole(zero), number=node.number, members=node.inside, half=half
            )
        return self.made[key]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A place in the tree: customers who share the groups above it.

    Attributes:
        number: 0 for the root; parents have smaller ones.
        segment: Its name, see ``TreeNode``.
        parent: Number of the node above; ``None`` at the root.
        depth: Splits above it.
        known: When all labels above it are known; ``None`` at the root.
        inside: Who is in it by ``customer_no``, of both halves, bool; nobody who never made the purchase that cycles are of.
    """

    number: int
    segment: str
    parent: int | None
    depth: int
    known: TimeZero | None
    inside: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """A node with what discovery did there.

    Attributes:
        node: The node.
        screened: The candidates that were tried in it.
        choice: The candidate that was applied; ``None`` where none was.
        suggestion: It as confirmation takes it, its groups merged where they could not be told apart.
        codes: Numbers of its groups by ``customer_no``.
        matrix: What it was chosen from, so that it can be chosen again from resamples of the discovery customers.
        ended: Why nothing was applied.
    """

    node: Node
    screened: tuple[Candidate, ...] = ()
    choice: Candidate | None = None
    suggestion: Suggestion | None = None
    codes: Codes | None = None
    matrix: Matrix | None = None
    ended: Ended | None = None


def grow(
    populations: Populations,
    attributes: Sequence[Attribute],
    *,
    at_root: Sequence[Attribute],
    sure: Collection[str],
    progress: Callable[[str], None],
) -> tuple[Grown, ...]:
    """Grows the tree on discovery customers.

    At each node the strongest candidate is applied, of an attribute rather all groups than one against the rest, those that cannot be told
    apart taken together; scores are computed anew for each node. It ends where nothing passes, where a node cannot hold two groups of
    ``min_group`` customers, and at ``max_depth``.

    Args:
        populations: Of all time zeros.
        attributes: What is tried below the root.
        at_root: What is tried at the root.
        sure: Declared splits that separate among all customers: at the root they need not pass in discovery.
        progress: Told each node.

    Returns:
        The nodes, each before those below it.
    """
    everyone = populations.engine.arrays(
        "select half_0, customer in (select _customer from _occasions) as bought from everyone order by customer_no"
    )
    discovery = everyone["half_0"] == 0
    waiting = [Node(ROOT, EVERYBODY, None, 0, None, everyone["bought"].astype(bool))]
    grown: list[Grown] = []
    while waiting:
        node = waiting.pop(0)
        tried = at_root if node.number == ROOT else attributes
        passed = sure if node.number == ROOT else ()
        one = _grow_one(populations, node, tried, sure=passed, discovery=node.inside & discovery, progress=progress)
        grown.append(one)
        if one.suggestion is None or one.codes is None or one.choice is None:
            continue
        known = populations.zero_at(node, one.choice.attribute.time_zero)
        for group, name in enumerate(one.suggestion.split.groups):
            inside = node.inside & (one.codes == group)
            if inside.any():
                number = len(grown) + len(waiting)
                waiting.append(Node(number, below(node.segment, name), node.number, node.depth + 1, known, inside))
    return tuple(grown)


def _grow_one(
    populations: Populations,
    node: Node,
    attributes: Sequence[Attribute],
    *,
    sure: Collection[str],
    discovery: np.ndarray,
    progress: Callable[[str], None],
) -> Grown:
    """Discovery at one node; ``discovery`` says which customers, by number, are in it and in that half."""
    engine, config = populations.engine, populations.config
    if node.depth >= config.segments.max_depth:
        return Grown(node, ended="max_depth")
    if discovery.sum() < 2 * smallest_group(config):
        return Grown(node, ended="too few customers")
    progress(f"search in {node.segment}")
    families = families_of(populations, node, attributes)
    screening = screen(engine, config, families)
    screened = screening.candidates
    passed = (one for one in screened if one.p_adjusted <= config.trial.level or one.split.name in sure)
    promoted = sorted(passed, key=lambda one: one.strength)
    if not promoted:
        return Grown(node, screened, ended="nothing passed")
    for candidate in _attributes_first(promoted):
        population = populations.at(node, candidate.attribute.time_zero, 0)
        if candidate.attribute.timing and _is_an_echo(populations, candidate, population, node):
            continue
        applied = _applied(engine, config, candidate, population, discovery)
        if applied is not None:
            suggestion, codes = applied
            return Grown(node, screened, candidate, suggestion, codes, screening.matrices[population])
    return Grown(node, screened, ended="too few customers")


def families_of(
    populations: Populations, node: Node, attributes: Sequence[Attribute]
) -> list[tuple[Population, list[Attribute]]]:
    """Attributes by the discovery population in which they are known together with what is above the node."""
    engine, config = populations.engine, populations.config
    families: dict[Population, list[Attribute]] = {}
    in_time: dict[tuple[Population, TimeZero, str], np.ndarray | None] = {}
    for attribute in attributes:
        population, split = populations.at(node, attribute.time_zero, 0), attribute.splits[0]
        key = (population, split.time_zero, split.source)
        if key not in in_time:
            in_time[key] = known_in_time(engine, config, split, population)
        families.setdefault(population, []).append(_known_of(attribute, in_time[key]))
    return list(families.items())


def _is_an_echo(populations: Populations, candidate: Candidate, population: Population, node: Node) -> bool:
    """Whether a split of timing or amount says no more than how often somebody bought before: such a one stays out of the tree."""
    engine, config = populations.engine, populations.config
    if label_customers(engine, config, candidate.split, population).obstacle is not None:
        return True
    p_value = echo_p_value(
        engine, population, populations.zero_at(node, candidate.attribute.time_zero), seed=config.seed
    )
    return p_value is not None and p_value > config.trial.level


def _known_of(attribute: Attribute, customers: np.ndarray | None) -> Attribute:
    """The attribute of some of the customers, as a mask by number; of all for ``None``."""
    if customers is None:
        return attribute
    if attribute.codes is not None:
        return replace(attribute, codes=np.where(customers, attribute.codes, NOT_KNOWN).astype(attribute.codes.dtype))
    assert attribute.numbers is not None
    return replace(attribute, numbers=np.where(customers, attribute.numbers, np.nan))


def _attributes_first(promoted: Sequence[Candidate]) -> list[Candidate]:
    """The candidates in their order, all groups of an attribute before one of them against the rest."""
    whole = {one.attribute.name: one for one in promoted if one.split is one.attribute.whole}
    order: dict[str, Candidate] = {}
    for one in promoted:
        for each in (whole.get(one.attribute.name, one), one):
            order.setdefault(each.split.name, each)
    return list(order.values())


def _applied(
    engine: Engine, config: ExperimentConfig, candidate: Candidate, population: Population, discovery: np.ndarray
) -> tuple[Suggestion, Codes] | None:
    """The candidate with groups large enough that differ; ``None`` where there are no two such."""
    in_memory = PopulationInMemory.fetch(engine, config, population)
    suggestion = suggest(candidate, in_memory, promoted=True, describe=True)
    codes, split = candidate.codes, candidate.split
    sizes = group_sizes(codes, discovery)
    least = smallest_group(config)
    small = np.flatnonzero((sizes > 0) & (sizes < least)).tolist()
    if len(split.groups) > 2:
        parts = merge_groups(engine, config, split, population, smallest=small)
        if parts is not None:
            split = split.merged([[split.groups[number] for number in part] for part in parts])
            codes = merged_codes(codes, parts)
            effects = in_memory.measure(split, codes, detail="direction").effects
            suggestion = replace(suggestion, split=split, effects=effects)
            sizes = group_sizes(codes, discovery)
    large_enough = sizes[sizes > 0] >= least
    return (suggestion, codes) if len(large_enough) > 1 and large_enough.all() else None
