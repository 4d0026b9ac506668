"""What stands beside a verdict: other habits, crossover, robustness, and what a dealt label shows, which may leave it open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segmentor.crossover import measure_crossover
from segmentor.dealing import deal_labels
from segmentor.habits import HabitScores, HabitSources, measure_habits, prepare_habits, score_habits
from segmentor.robustness import measure_robustness
from segmentor.verdicts import COMPARISONS, carrying_pair, weighed_against_deals

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns, TimeZero
    from segmentor.engine.duckdb import Engine
    from segmentor.evidence import Evidence
    from segmentor.populations import Population
    from segmentor.result import Crossover, DealtLabels, Habit, Subset, Trial


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside a verdict; see the fields of these names in ``Trial``."""

    habits: tuple[Habit, ...] = ()
    crossover: Crossover | None = None
    robustness: tuple[Subset, ...] = ()
    dealt: DealtLabels | None = None

    def added_to(self, trial: Trial) -> Trial:
        """The trial with all of it, and with what dealt labels say of its verdict."""
        return weighed_against_deals(
            replace(trial, habits=self.habits, crossover=self.crossover, robustness=self.robustness, dealt=self.dealt)
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What looking beside a verdict needs, whatever the split.

    Attributes:
        engine: Holds the tables of a run.
        config: The experiment.
        sources: What habits are made of.
        habits: Habits by time zero, each scored once.
        observed_until: Day number of the last day of observation.
        progress: Told what is being done.
    """

    engine: Engine
    config: ExperimentConfig
    sources: HabitSources
    habits: dict[TimeZero, HabitScores]
    observed_until: int
    progress: Callable[[str], None]

    @classmethod
    def of(
        cls,
        engine: Engine,
        config: ExperimentConfig,
        columns: Columns,
        *,
        observed_until: int,
        progress: Callable[[str], None],
    ) -> Surroundings:
        """What is made once for all splits."""
        progress("habits")
        return cls(engine, config, prepare_habits(engine, config, columns), {}, observed_until, progress)

    def look(self, evidence: Evidence, population: Population) -> Beside:
        """Looks beside a split whose customers stand in the table ``labels``, which is another one afterwards."""
        engine, config, split = self.engine, self.config, evidence.split
        if evidence.test is None or evidence.effects is None:
            if split.untestable is None or not split.of_many_lines:
                return Beside()
            # A label over the whole history is described, and dealt to show why.
            asked = replace(split, untestable=None)
            dealt = deal_labels(
                engine, config, asked, population, observed=None, carried_by=None, progress=self.progress
            )
            return Beside(dealt=dealt)
        zero = split.time_zero
        if zero not in self.habits:
            self.habits[zero] = score_habits(engine, self.sources, zero)
        carrying = carrying_pair(evidence.effects, config)
        pair = evidence.effects.pairs[carrying[0]]
        regions = dict(self.sources.attributes).get("region")
        beside = Beside(
            habits=measure_habits(engine, self.habits[zero], split, evidence.groups),
            crossover=measure_crossover(engine, config, split, evidence.groups),
            robustness=measure_robustness(
                engine,
                config,
                population,
                evidence.groups,
                evidence.effects,
                carrying=carrying,
                observed_until=self.observed_until,
                regions=None if regions is None else regions.table,
            ),
        )
        if not split.of_many_lines:
            return beside
        dealt = deal_labels(
            engine,
            config,
            split,
            population,
            observed=pair,
            carried_by=COMPARISONS[carrying[1]],
            progress=self.progress,
        )
        return replace(beside, dealt=dealt)
