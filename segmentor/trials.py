"""Splits and cycles -> trials: declared splits once on all customers, found ones in the half that did not suggest them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.beside import Beside, Surroundings
from segmentor.cycles import OTHER_SEEDS, Columns, TimeZero, day_number, seeds
from segmentor.discovery import Suggestion, check_numbers, suggest
from segmentor.evidence import Evidence, gather
from segmentor.habits import adjust_habits
from segmentor.labelling import Labelled, label_customers
from segmentor.populations import Population, half_of, prepare_population
from segmentor.result import EVERYBODY, GroupEffect, LedgerEntry, SeedVerdict, Trial
from segmentor.splits import Split
from segmentor.statistics.multiplicity import holm
from segmentor.verdicts import judge_declared, judge_found

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


Test = tuple[str, float | None, float | None]
"""Name of a split, p of its test, and the adjusted p."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried.

    Attributes:
        trials: In the order of the config, merged groups after the split that they are of.
        splits: What each trial was about, in the same order, as it was tried.
        ledger: Every test with its place in the correction for many.
    """

    trials: tuple[Trial, ...]
    splits: tuple[Split, ...]
    ledger: tuple[LedgerEntry, ...]


def run_trials(
    engine: Engine,
    config: ExperimentConfig,
    columns: Columns,
    splits: Sequence[Split],
    *,
    observed_until: str,
    progress: Callable[[str], None],
) -> Tried:
    """Tries every split: declared ones Holm-adjusted over those that can be tested, found ones screened and confirmed.

    Found are the thresholds that the data choose, and the groups of a significant split of three or more that cannot be told
    apart, taken together.

    Args:
        engine: Holds the tables of ``cycles`` and of the splits' label sources.
        config: The experiment.
        columns: Columns of the shop's tables.
        splits: What to try.
        observed_until: Last day of observation, ISO.
        progress: Told what is being done.
    """
    populations = _Populations(engine, config, day_number(datetime.date.fromisoformat(observed_until)))
    around = Surroundings.of(engine, config, columns, observed_until=populations.observed_until, progress=progress)
    trials: dict[str, Trial] = {}
    declared: list[tuple[Split, Evidence]] = []
    beside: dict[str, Beside] = {}
    for split in splits:
        if not split.to_cut:
            progress(f"trial of {split.name}")
            population = populations.whole(split.time_zero)
            evidence = gather(engine, config, split, population)
            declared.append((split, evidence))
            beside[split.name] = around.look(evidence, population)
    adjusted = _holm([evidence.p_value for _, evidence in declared])
    for (split, evidence), p in zip(declared, adjusted, strict=True):
        trials[split.name] = beside[split.name].added_to(judge_declared(evidence, config, p_adjusted=p))

    significant = {
        split.name
        for (split, _), p in zip(declared, adjusted, strict=True)
        if p is not None and p <= config.trial.level
    }
    several = [split for split, evidence in declared if split.name in significant and len(evidence.groups) > 2]
    cuts: list[Split] = []
    for split in splits:
        if split.to_cut:
            obstacle = split.untestable or check_numbers(engine, config, split, populations.whole(split.time_zero))
            if obstacle is None:
                cuts.append(split)
            else:
                trials[split.name] = judge_declared(Evidence(split, obstacle=obstacle), config, p_adjusted=None)
    found = _try_found(populations, around, [*cuts, *several])
    tried = dict(zip([split.name for split in splits], splits, strict=True))
    for one in found:
        trials[one.split.name] = one.trial
        tried[one.split.name] = one.split
    order = [
        name
        for split in splits
        for name in (split.name, *(one.split.name for one in found if one.split.merged_from == split.name))
    ]
    return Tried(
        trials=adjust_habits([trials[name] for name in order]),
        splits=tuple(tried[name] for name in order),
        ledger=(*_declared_entries(declared, adjusted, config), *_found_entries(found, config)),
    )


def gather_sizes(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[Split],
    *,
    observed_until: str,
    progress: Callable[[str], None],
) -> Iterator[tuple[Split, tuple[GroupEffect, ...], tuple[str, str] | None]]:
    """The splits' groups with their sizes, and what stands in the way of a test before any is made."""
    populations = _Populations(engine, config, day_number(datetime.date.fromisoformat(observed_until)))
    for split in splits:
        progress(f"groups of {split.name}")
        if split.to_cut:
            obstacle = check_numbers(engine, config, split, populations.whole(split.time_zero))
            yield split, (), split.untestable or obstacle
        else:
            labelled = label_customers(engine, config, split, populations.whole(split.time_zero))
            yield split, labelled.groups, split.untestable or labelled.obstacle


@dataclass(frozen=True, slots=True)
class _Populations:
    """The populations of all time zeros, each prepared once."""

    engine: Engine
    config: ExperimentConfig
    observed_until: int
    made: dict[tuple[TimeZero, int | None, int], Population] = field(default_factory=dict)

    def whole(self, zero: TimeZero) -> Population:
        """All customers of a time zero."""
        key = (zero, None, 0)
        if key not in self.made:
            self.made[key] = prepare_population(self.engine, self.config, zero, observed_until=self.observed_until)
        return self.made[key]

    def half(self, zero: TimeZero, seed_no: int, half: int) -> Population:
        """One half of them under a seed of the halves."""
        key = (zero, seed_no, half)
        if key not in self.made:
            self.made[key] = half_of(self.engine, self.config, self.whole(zero), seed_no=seed_no, half=half)
        return self.made[key]


@dataclass(frozen=True, slots=True)
class _Found:
    """A split that was found, as it went through discovery and confirmation.

    Attributes:
        split: With the groups that discovery chose; as declared where it chose none.
        trial: Its trial.
        suggestion: What discovery said; ``None`` where it had nothing to suggest.
        evidence: Of the confirmation half.
        p_adjusted: Of the confirmation, Holm-adjusted over what was promoted; ``None`` where it was not.
    """

    split: Split
    trial: Trial
    suggestion: Suggestion | None
    evidence: Evidence
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """A suggestion with its groups in both halves, the evidence of the confirmation half, and what stands beside."""

    suggestion: Suggestion
    sizes: Labelled
    evidence: Evidence
    beside: Beside


def _try_found(populations: _Populations, around: Surroundings, splits: Sequence[Split]) -> list[_Found]:
    """Found splits under the config's seed of the halves, with what stands beside them and their verdicts under other seeds."""
    if not splits:
        return []
    progress = around.progress
    progress(f"search for {len(splits)} split{'s' * (len(splits) > 1)} in the discovery half")
    found = _search_and_confirm(populations, splits, seed_no=0, around=around)
    # A lucky draw of the halves is what the others are to show.
    again_for = [
        split
        for split in splits
        if any(
            one.trial.verdict == "separates" and split.name in (one.split.name, one.split.merged_from) for one in found
        )
    ]
    if not again_for:
        return found
    others: list[dict[str, Trial]] = []
    for seed_no in range(1, OTHER_SEEDS + 1):
        progress(f"the same under other halves, {seed_no} of {OTHER_SEEDS}")
        again = _search_and_confirm(populations, again_for, seed_no=seed_no)
        others.append({one.split.name: one.trial for one in again})
    other_seeds = seeds(populations.config)[1:]
    return [
        replace(
            one,
            trial=replace(
                one.trial,
                other_seeds=tuple(
                    SeedVerdict(seed, trials[one.split.name].verdict if one.split.name in trials else "inconclusive")
                    for seed, trials in zip(other_seeds, others, strict=True)
                ),
            ),
        )
        if one.trial.verdict == "separates"
        else one
        for one in found
    ]


def _search_and_confirm(
    populations: _Populations, splits: Sequence[Split], *, seed_no: int, around: Surroundings | None = None
) -> list[_Found]:
    """Discovery suggests, confirmation tests once what was promoted; merged groups that were not suggested are left out.

    Args:
        populations: Of all time zeros.
        splits: To cut or to merge.
        seed_no: Number of the seed of the halves.
        around: Looks beside the verdicts too, where given.
    """
    engine, config = populations.engine, populations.config
    discovery = [(split, populations.half(split.time_zero, seed_no, 0)) for split in splits]
    confirmed: list[_Confirmed] = []
    for suggestion in suggest(engine, config, discovery, describe=seed_no == 0):
        if suggestion is not None:
            chosen = suggestion.split
            sizes = label_customers(engine, config, chosen, populations.whole(chosen.time_zero))
            confirmation = populations.half(chosen.time_zero, seed_no, 1)
            evidence = gather(engine, config, chosen, confirmation, halves=False)
            beside = Beside() if around is None else around.look(evidence, confirmation)
            confirmed.append(_Confirmed(suggestion, sizes, evidence, beside))
    adjusted = _holm([one.evidence.p_value if one.suggestion.promoted else None for one in confirmed])
    found = {
        one.suggestion.split.merged_from or one.suggestion.split.name: _Found(
            split=one.suggestion.split,
            trial=one.beside.added_to(
                judge_found(one.evidence, config, suggestion=one.suggestion, sizes=one.sizes, p_adjusted=p)
            ),
            suggestion=one.suggestion,
            evidence=one.evidence,
            p_adjusted=p,
        )
        for one, p in zip(confirmed, adjusted, strict=True)
    }
    return [
        found[split.name] if split.name in found else _without_threshold(split, config)
        for split in splits
        if split.name in found or split.to_cut
    ]


def _without_threshold(split: Split, config: ExperimentConfig) -> _Found:
    """A number that cannot be cut."""
    mend = "no value leaves a tenth of the customers on both sides; name the groups with conditions"
    evidence = Evidence(split, obstacle=("no threshold", mend))
    trial = judge_declared(evidence, config, p_adjusted=None)
    return _Found(split=split, trial=trial, suggestion=None, evidence=evidence, p_adjusted=None)


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm-adjusted over those that were tested."""
    tested = [number for number, p in enumerate(p_values) if p is not None]
    adjusted = holm(np.array([p_values[number] for number in tested], dtype=np.float64)).tolist()
    over = dict(zip(tested, adjusted, strict=True))
    return [over.get(number) for number in range(len(p_values))]


def _declared_entries(
    declared: Sequence[tuple[Split, Evidence]], adjusted: Sequence[float | None], config: ExperimentConfig
) -> list[LedgerEntry]:
    tests = [(split.name, evidence.p_value, p) for (split, evidence), p in zip(declared, adjusted, strict=True)]
    return _entries(tests, "declared", "Holm", outcomes=("significant", "not significant"), level=config.trial.level)


def _found_entries(found: Sequence[_Found], config: ExperimentConfig) -> list[LedgerEntry]:
    screening = {"min_p": "min-P", "benjamini_yekutieli": "Benjamini-Yekutieli"}[config.trial.advanced.screening]
    level = config.trial.level
    screened: list[Test] = []
    merged: list[Test] = []
    confirmed: list[Test] = []
    for one in found:
        if one.suggestion is None:
            screened.append((one.split.name, None, None))
            continue
        tests = screened if one.split.merged_from is None else merged
        tests.append((one.split.name, one.suggestion.p_value, one.suggestion.p_adjusted))
        if one.suggestion.promoted:
            confirmed.append((one.split.name, one.evidence.p_value, one.p_adjusted))
    ahead = ("promoted", "not promoted")
    return [
        *_entries(screened, "discovery", screening, outcomes=ahead, level=level),
        *(entry for test in merged for entry in _entries([test], "discovery", "none", outcomes=ahead, level=level)),
        *_entries(confirmed, "confirmation", "Holm", outcomes=("significant", "not significant"), level=level),
    ]


def _entries(
    tests: Sequence[Test], stage: str, correction: str, *, outcomes: tuple[str, str], level: float
) -> list[LedgerEntry]:
    """The tests of one stage, the smallest p first, then what could not be tested."""
    tested = sorted(((p, name, adjusted) for name, p, adjusted in tests if p is not None and adjusted is not None))
    entries = [
        LedgerEntry(EVERYBODY, name, stage, correction, p, place, len(tested), adjusted, outcomes[adjusted > level])
        for place, (p, name, adjusted) in enumerate(tested, start=1)
    ]
    untested = [name for name, p, adjusted in tests if p is None or adjusted is None]
    return entries + [
        LedgerEntry(EVERYBODY, name, stage, correction, None, None, len(tested), None, "not tested")
        for name in untested
    ]
