"""A split in a population -> what its verdict rests on: the test of its groups and their effects, or what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.effects import MIN_AT_RISK, Detail, Effects, effects_of, measure_effects, naive_p_value
from segmentor.errors import StatisticsError
from segmentor.gap_sums import GapsInMemory, GroupedGaps, fetch_gaps, gaps_in_engine
from segmentor.labelling import (
    Labelled,
    MembersInMemory,
    group_sums,
    known_in_time,
    label_by_codes,
    label_customers,
    labelled_scores,
)
from segmentor.result import Comparability, GroupEffect, ScoreTest, SplitTest
from segmentor.splits import NOT_KNOWN, Obstacle
from segmentor.statistics.permutation import permutation_p
from segmentor.statistics.score_tests import needs_permutation, test_scores
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import TimeZero
    from segmentor.engine.duckdb import Engine
    from segmentor.populations import Population
    from segmentor.splits import Codes, Split
    from segmentor.statistics.linear import GroupSums

RESAMPLES = 10_000

NO_VARIANCE: Obstacle = (
    "no variance",
    Message("customers of one cohort all behave alike; use a longer period or more customers"),
)

TOO_FEW: Obstacle = (
    "too few customers",
    Message(
        "fewer than two groups hold {least} customers, and as many who came back, in the months of first purchase that the "
        "groups share; use fewer and larger groups, cycle.advanced.cohort: quarter, or more data",
        {"least": MIN_AT_RISK},
    ),
)
"""Obstacles that only scores and effects show."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict on a split rests on.

    Attributes:
        split: The split.
        tau_days: Day at which scores are cut.
        groups: Groups with their sizes.
        not_known: Customers to whom no group applies, observed after time zero or not.
        no_follow_up: Labelled customers not observed after time zero.
        comparability: Whether the groups share cohorts and follow-up; ``None`` where there are no groups, or far too many.
        test: Its test; ``None`` where there is an obstacle, and of a split whose effects alone were asked for.
        effects: Its effects; ``None`` where there is an obstacle.
        obstacle: Reason code for which it is untestable, and how to restate it.
    """

    split: Split
    tau_days: int | None = None
    groups: tuple[GroupEffect, ...] = ()
    not_known: int = 0
    no_follow_up: int = 0
    comparability: Comparability | None = None
    test: SplitTest | None = None
    effects: Effects | None = None
    obstacle: Obstacle | None = None

    @property
    def p_value(self) -> float | None:
        """Of the test, before any adjustment."""
        return None if self.test is None else self.test.p_value


def gather(
    engine: Engine,
    config: ExperimentConfig,
    split: Split,
    population: Population,
    *,
    halves: bool = True,
    source: str | None = None,
    detail: Detail = "curves",
) -> Evidence:
    """Labels the customers of a population, tests the split and measures its effects; leaves the table ``labels``.

    Args:
        engine: Holds the split's source and the population's tables.
        config: The experiment.
        split: A split whose groups are conditions or values.
        population: Whom to look at.
        halves: Measure a significant effect in each half of the customers too.
        source: Another table of the columns of the split's source.
        detail: How much of the effects is measured; without curves there is no naive p either.
    """
    labelled = label_customers(engine, config, split, population, source=source)
    evidence = _describe(split, population, labelled)
    if evidence.obstacle is not None:
        return evidence
    try:
        test = test_split(engine, config, population, group_sums(engine, population, len(labelled.groups)))
    except StatisticsError:
        return replace(evidence, obstacle=NO_VARIANCE)
    significant = halves and test.p_value <= config.trial.level
    effects = measure_effects(engine, config, population, labelled.groups, significant=significant, detail=detail)
    if effects is None:
        return replace(evidence, obstacle=TOO_FEW)
    if detail == "curves":
        test = replace(test, naive_p_value=naive_p_value(engine, population, len(labelled.groups)))
    return replace(evidence, test=test, effects=effects)


@dataclass(frozen=True, slots=True, eq=False)
class PopulationInMemory:
    """A population whose customers and gaps are fetched once, for many splits whose groups are known by customer number.

    A population of too many gaps (``MAX_GAPS_IN_MEMORY``) is summed in the engine, split by split.

    Attributes:
        engine: Holds the population's tables.
        config: The experiment.
        population: Whom to look at.
        members: Its customers.
        gaps: Their gaps; empty where they are too many.
        in_time: Whether a label is known in time, by customer number, of what was asked for before; ``None`` where it always is.
    """

    engine: Engine
    config: ExperimentConfig
    population: Population
    members: MembersInMemory
    gaps: tuple[GapsInMemory, ...]
    in_time: dict[tuple[TimeZero, str], np.ndarray | None] = field(default_factory=dict)

    @classmethod
    def fetch(cls, engine: Engine, config: ExperimentConfig, population: Population) -> PopulationInMemory:
        """Fetches a population."""
        members = MembersInMemory.fetch(engine, population)
        return cls(engine, config, population, members, fetch_gaps(engine, config, population))

    def measure(self, split: Split, codes: Codes, *, detail: Detail = "intervals") -> Evidence:
        """The effects of a split; it is not tested.

        Args:
            split: A split with names for its groups.
            codes: Number of the group by customer number, -1 where it is not known, or for customers of whom the population is no part.
            detail: How much of the effects is measured.
        """
        evidence, codes = self._described(split, codes)
        return evidence if evidence.obstacle is not None else self._measured(evidence, codes, detail)

    def gather(self, split: Split, codes: Codes) -> Evidence:
        """Tests a split and measures its effects with intervals, as ``gather`` does; leaves the table ``labels`` of what a test needs.

        Args:
            split: As of ``measure``.
            codes: As of ``measure``.
        """
        evidence, codes = self._described(split, codes)
        if evidence.obstacle is not None:
            return evidence
        self.members.put_labels(self.engine, codes)
        sums = group_sums(self.engine, self.population, len(evidence.groups))
        test = test_split(self.engine, self.config, self.population, sums)
        evidence = self._measured(evidence, codes, "intervals")
        return evidence if evidence.obstacle is not None else replace(evidence, test=test)

    def _described(self, split: Split, codes: Codes) -> tuple[Evidence, Codes]:
        """What stands in the way of a split, if anything; and its codes, of those of whom it is known in time."""
        key = (split.time_zero, split.source)
        if key not in self.in_time:
            self.in_time[key] = known_in_time(self.engine, self.config, split, self.population)
        in_time = self.in_time[key]
        if in_time is not None:
            codes = np.where(in_time, codes, np.int16(NOT_KNOWN))
        labelled = self.members.label(self.config, split, self.population, codes)
        evidence = _describe(split, self.population, labelled)
        if evidence.obstacle is None and not self.members.differ(codes):
            evidence = replace(evidence, obstacle=NO_VARIANCE)
        return evidence, codes

    def _measured(self, evidence: Evidence, codes: Codes, detail: Detail) -> Evidence:
        groups = evidence.groups
        gaps: tuple[GroupedGaps, ...] = tuple(one.grouped(codes, n_groups=len(groups)) for one in self.gaps)
        if not gaps:
            label_by_codes(self.engine, self.population, codes)
            gaps = gaps_in_engine(self.engine, self.config, self.population, n_groups=len(groups))
        effects = effects_of(gaps, self.config, self.population, groups, significant=False, detail=detail)
        return replace(evidence, obstacle=TOO_FEW) if effects is None else replace(evidence, effects=effects)


def test_split(engine: Engine, config: ExperimentConfig, population: Population, sums: GroupSums) -> SplitTest:
    """The largest of the scores' statistics; by relabelling where the closed forms are not good enough.

    Raises:
        StatisticsError: No score has variance within cohorts that hold two groups.
    """
    closed = test_scores(sums)
    scores = tuple(
        ScoreTest(name, float(statistic), int(df), float(p))
        for name, statistic, df, p in zip(
            population.scores, closed.statistics, closed.degrees_of_freedom, closed.p_values, strict=True
        )
    )
    if not needs_permutation(sums, closed):
        return SplitTest(scores=scores, p_value=closed.p_value, tail=closed.tail)
    values, groups, cohorts = labelled_scores(engine, population)
    p, tail = permutation_p(values, groups, cohorts, resamples=RESAMPLES, seed=config.seed)
    return SplitTest(scores=scores, p_value=p, tail=tail)


def _describe(split: Split, population: Population, labelled: Labelled) -> Evidence:
    """The evidence before any test is made."""
    return Evidence(
        split=split,
        tau_days=population.tau_days or None,
        groups=labelled.groups,
        not_known=labelled.not_known,
        no_follow_up=labelled.no_follow_up,
        comparability=labelled.comparability,
        obstacle=split.untestable or labelled.obstacle,
    )
