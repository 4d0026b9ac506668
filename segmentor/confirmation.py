"""Suggestions of the discovery half -> trials: each is tested once on the customers who had no part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from segmentor.beside import Beside, Surroundings
from segmentor.discovery import Candidate, Suggestion
from segmentor.echo import echo_p_value
from segmentor.effects import Detail
from segmentor.evidence import Evidence, PopulationInMemory, gather
from segmentor.labelling import Labelled, label_customers
from segmentor.populations import Population
from segmentor.result import Trial
from segmentor.splits import NOT_KNOWN, Attribute, Codes
from segmentor.statistics.multiplicity import holm
from segmentor.tree import Node, Populations
from segmentor.verdicts import called_an_echo, judge_found, judge_screened

TOLD_EVERY = 100
"""Splits after which the progress of many is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Suggested:
    """A suggestion on its way to confirmation.

    Attributes:
        suggestion: The split with what discovery said of it.
        attribute: What it is made of; ``None`` for merged groups of a declared split.
        node: Where it is tried.
        codes: Numbers of its groups by ``customer_no``; ``None`` for merged groups of a declared split.
        closely: Look beside the verdict too, and draw curves.
    """

    suggestion: Suggestion
    attribute: Attribute | None
    node: Node
    codes: Codes | None
    closely: bool


@dataclass(frozen=True, slots=True, eq=False)
class Confirmed:
    """A suggestion with its trial.

    Attributes:
        suggested: The suggestion.
        trial: Its trial.
        p_value: Of its one test in confirmation; ``None`` where there is none.
        p_adjusted: Holm-adjusted over all that was promoted; ``None`` where it was not.
    """

    suggested: Suggested
    trial: Trial
    p_value: float | None
    p_adjusted: float | None


def confirm(
    populations: Populations,
    suggested: Sequence[Suggested],
    *,
    around: Surroundings | None,
    seed_no: int = 0,
    of: int = 0,
) -> list[Confirmed]:
    """Tests once, in confirmation, what discovery promoted; what it did not promote is described.

    Args:
        populations: Of all time zeros and nodes.
        suggested: What to test, of the root under another seed of the halves.
        around: Looks beside the verdicts of what is to be looked at closely; ``None`` for nothing.
        seed_no: Number of the seed of the halves.
        of: How many were promoted, where these are some of them: their p-values are multiplied by it.
    """
    engine, config = populations.engine, populations.config
    gathered: list[tuple[Suggested, Labelled, Evidence, Beside, float | None]] = []
    in_memory = cache(partial(PopulationInMemory.fetch, engine, config))
    for one in suggested:
        split = one.suggestion.split
        population = _confirming(populations, one, seed_no)
        closely = one.closely and around is not None
        if around is not None:
            around.progress(f"confirmation of {split.name} in {one.node.segment}")
        if closely or one.codes is None:
            detail: Detail = "curves" if closely else "intervals"
            evidence = gather(engine, config, split, population, halves=False, detail=detail)
        else:
            evidence = in_memory(population).gather(split, one.codes)
        timing = one.attribute is not None and one.attribute.timing and evidence.test is not None
        zero = populations.zero_at(one.node, split.time_zero)
        echo = echo_p_value(engine, population, zero, seed=config.seed) if timing else None
        beside = around.look(evidence, population) if closely and around is not None else Beside()
        gathered.append((one, _sizes(populations, one), evidence, beside, echo))
    tested = [
        None if evidence.p_value is None or not one.suggestion.promoted else evidence.p_value
        for one, _, evidence, _, _ in gathered
    ]
    adjusted = [p and min(1.0, p * of) for p in tested] if of else holm_of(tested)
    confirmed = []
    for (one, sizes, evidence, beside, echo), p in zip(gathered, adjusted, strict=True):
        trial = judge_found(evidence, config, suggestion=one.suggestion, sizes=sizes, p_adjusted=p)
        trial = _named(trial, one.attribute, one.node)
        if echo is not None:
            trial = called_an_echo(trial, echo, level=config.trial.level)
        trial = beside.added_to(trial)
        confirmed.append(Confirmed(one, trial, evidence.p_value if p is not None else None, p))
    return confirmed


def judge_rest(
    populations: Populations, candidates: Sequence[Candidate], node: Node, *, progress: Callable[[str], None]
) -> list[Trial]:
    """The trials of candidates that were not promoted: may their intervals in confirmation show that they do not matter?"""
    engine, config = populations.engine, populations.config
    families: dict[Population, list[int]] = {}
    for number, one in enumerate(candidates):
        families.setdefault(populations.at(node, one.attribute.time_zero, 1), []).append(number)
    trials: dict[int, Trial] = {}
    for population, numbers in families.items():
        own = [candidates[number] for number in numbers]
        members = populations.members(own[0].attribute.time_zero)
        in_memory = PopulationInMemory.fetch(engine, config, population)
        for place, (number, one) in enumerate(zip(numbers, own, strict=True)):
            if place % TOLD_EVERY == 0:
                progress(f"effects of split {place + 1:,} of {len(own):,}")
            evidence = in_memory.measure(one.split, one.codes)
            sizes = members.label(config, one.split, populations.whole(one.attribute.time_zero), one.codes)
            trial = judge_screened(evidence, config, sizes=sizes, p_value=one.p_value, p_adjusted=one.p_adjusted)
            trials[number] = _named(trial, one.attribute, node)
    return [trials[number] for number in range(len(candidates))]


def holm_of(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm-adjusted over those that were tested."""
    tested = [number for number, p in enumerate(p_values) if p is not None]
    adjusted = holm(np.array([p_values[number] for number in tested], dtype=np.float64)).tolist()
    over = dict(zip(tested, adjusted, strict=True))
    return [over.get(number) for number in range(len(p_values))]


def _confirming(populations: Populations, one: Suggested, seed_no: int) -> Population:
    """The customers who had no part in a suggestion."""
    zero = one.suggestion.split.time_zero
    return populations.half(zero, seed_no, 1) if seed_no else populations.at(one.node, zero, 1)


def _sizes(populations: Populations, one: Suggested) -> Labelled:
    """The groups in both halves."""
    engine, config, split = populations.engine, populations.config, one.suggestion.split
    zero = populations.zero_at(one.node, split.time_zero)
    whole = populations.whole(zero)
    if one.codes is None:
        return label_customers(engine, config, split, whole)
    members = populations.members(zero)
    codes = np.where(one.node.inside, one.codes, NOT_KNOWN).astype(np.int16)
    labelled = members.label(config, split, whole, codes)
    outside = len(members.reached) - int(one.node.inside[members.reached].sum())
    return replace(labelled, not_known=labelled.not_known - outside)


def _named(trial: Trial, attribute: Attribute | None, node: Node) -> Trial:
    """The trial with where it was tried and what its split is made of."""
    if attribute is None:
        return replace(trial, segment=node.segment)
    return replace(
        trial,
        segment=node.segment,
        source=attribute.source,
        attribute=None if attribute.source == "declared" else attribute.name,
        aliases=attribute.aliases.get(trial.merged_from or trial.split, ()),
        cluster=attribute.cluster,
    )
