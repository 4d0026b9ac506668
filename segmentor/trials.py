"""Splits and attributes -> trials and a tree: declared splits once on all customers, found ones in the half that did not suggest them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from segmentor.beside import Surroundings
from segmentor.confirmation import Confirmed, Suggested, confirm, holm_of, judge_rest
from segmentor.cycles import Columns, day_number
from segmentor.discovery import (
    Candidate,
    declared_codes,
    declared_numbers,
    smallest_group,
    suggest,
    suggest_merged,
    tenths,
    without_aliases,
)
from segmentor.evidence import Evidence, PopulationInMemory, gather
from segmentor.habits import adjust_habits
from segmentor.labelling import label_customers
from segmentor.ledger import Tested, ledger_entries
from segmentor.other_halves import under_other_halves
from segmentor.pruning import explain, prune
from segmentor.result import GroupEffect, LedgerEntry, LeftOut, TreeNode, Trial
from segmentor.result.trial import Correction
from segmentor.segments import Branch
from segmentor.splits import Attribute, Obstacle, Split
from segmentor.tree import ROOT, Grown, Populations, grow
from segmentor.verdicts import judge_declared
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

NO_THRESHOLD: Obstacle = (
    "no threshold",
    Message("no value leaves a tenth of the customers on both sides; name the groups with conditions"),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried.

    Attributes:
        trials: Declared splits in the order of the config, merged groups after the split that they are of, then found ones, then those
            below the root.
        branches: The nodes of the tree whose splits hold.
        nodes: All nodes that discovery grew.
        ledger: Every test with its place in the correction for many.
        untried: Attributes of which no split could be tried, and why.
    """

    trials: tuple[Trial, ...]
    branches: tuple[Branch, ...]
    nodes: tuple[TreeNode, ...]
    ledger: tuple[LedgerEntry, ...]
    untried: tuple[LeftOut, ...] = ()


def run_trials(
    engine: Engine,
    config: ExperimentConfig,
    columns: Columns,
    splits: Sequence[Split],
    *,
    attributes: Sequence[Attribute] = (),
    observed_until: str,
    progress: Callable[[str], None],
) -> Tried:
    """Tries every split: declared ones Holm-adjusted over those that can be tested, found ones screened and confirmed.

    Found are what the attributes suggest, the thresholds that the data choose, the groups of a significant split of three or more that
    cannot be told apart, taken together, and every split below the root of the tree.

    Args:
        engine: Holds the tables of ``cycles`` and of the splits' label sources.
        config: The experiment.
        columns: Columns of the shop's tables.
        splits: The declared splits.
        attributes: What else splits may be made of.
        observed_until: Last day of observation, ISO.
        progress: Told what is being done.
    """
    populations = Populations(engine, config, day_number(datetime.date.fromisoformat(observed_until)))
    around = Surroundings.of(engine, config, columns, observed_until=populations.observed_until, progress=progress)
    declared = _try_declared(populations, around, [split for split in splits if not split.to_cut])
    cuts, uncut = _numbers_to_cut(populations, [split for split in splits if split.to_cut])
    known = _known_groups(populations, declared)
    attributes, circular = _not_circular(populations, attributes)
    found, aliases = without_aliases(known, attributes)
    declared = [replace(one, trial=replace(one.trial, aliases=aliases.get(one.split.name, ()))) for one in declared]
    separating = {one.split.name for one in declared if one.trial.verdict == "separates"}
    searched = [*cuts, *found]
    grown = grow(
        populations,
        [*known, *searched],
        at_root=[*(one for one in known if one.name in separating), *searched],
        sure=separating,
        progress=progress,
    )
    several = [one.split for one in declared if one.is_significant(config) and len(one.evidence.groups) > 2]
    suggested = _suggested(populations, grown, several, cuts)
    confirmed = confirm(populations, suggested, around=around)
    confirmed = under_other_halves(populations, confirmed, searched, several, progress=progress)
    screened = [one for one in grown[ROOT].screened if one.attribute.source != "declared" or one.attribute in cuts]
    told = {one.suggested.suggestion.split.name for one in confirmed if one.suggested.node.number == ROOT}
    rest = [one for one in screened if one.split.name not in told]
    judged = judge_rest(populations, rest, grown[ROOT].node, progress=progress)
    uncut |= _without_threshold(config, cuts, told)
    pruned = prune(populations, grown, {one.split.name: one.trial for one in declared}, confirmed, progress=progress)
    trials = adjust_habits([*_in_order(splits, declared, confirmed, judged, uncut), *circular])
    return Tried(
        trials=tuple(explain(trials, grown, pruned.branches, level=config.trial.level)),
        branches=pruned.branches,
        nodes=pruned.nodes,
        untried=_untried(config, found, screened),
        ledger=tuple(_ledger(config, declared, grown, screened, confirmed, uncut=uncut)),
    )


def gather_sizes(
    engine: Engine,
    config: ExperimentConfig,
    splits: Sequence[Split],
    *,
    observed_until: str,
    progress: Callable[[str], None],
) -> Iterator[tuple[Split, tuple[GroupEffect, ...], Obstacle | None]]:
    """The splits' groups with their sizes, and what stands in the way of a test before any is made."""
    populations = Populations(engine, config, day_number(datetime.date.fromisoformat(observed_until)))
    for split in splits:
        progress(f"groups of {split.name}")
        if split.to_cut:
            obstacle = _made_of_purchases(populations, declared_numbers(engine, config, split))
            yield split, (), split.untestable or obstacle
        else:
            labelled = label_customers(engine, config, split, populations.whole(split.time_zero))
            yield split, labelled.groups, split.untestable or labelled.obstacle


@dataclass(frozen=True, slots=True)
class _Declared:
    """A declared split that was tested on all customers."""

    split: Split
    evidence: Evidence
    trial: Trial

    def is_significant(self, config: ExperimentConfig) -> bool:
        p = self.trial.p_adjusted
        return p is not None and p <= config.trial.level


def _try_declared(populations: Populations, around: Surroundings, splits: Sequence[Split]) -> list[_Declared]:
    engine, config = populations.engine, populations.config
    gathered = []
    for split in splits:
        around.progress(f"trial of {split.name}")
        population = populations.whole(split.time_zero)
        evidence = gather(engine, config, split, population)
        gathered.append((split, evidence, around.look(evidence, population)))
    adjusted = holm_of([evidence.p_value for _, evidence, _ in gathered])
    return [
        _Declared(split, evidence, beside.added_to(judge_declared(evidence, config, p_adjusted=p)))
        for (split, evidence, beside), p in zip(gathered, adjusted, strict=True)
    ]


def _numbers_to_cut(populations: Populations, splits: Sequence[Split]) -> tuple[list[Attribute], dict[str, Trial]]:
    """Declared splits whose threshold is to be found, and the trials of those that cannot be cut."""
    engine, config = populations.engine, populations.config
    numbers: list[Attribute] = []
    uncut: dict[str, Trial] = {}
    for split in splits:
        own = declared_numbers(engine, config, split)
        obstacle = split.untestable or _made_of_purchases(populations, own)
        if obstacle is None:
            numbers.append(own)
        else:
            uncut[split.name] = judge_declared(Evidence(split, obstacle=obstacle), config, p_adjusted=None)
    return numbers, uncut


def _without_threshold(config: ExperimentConfig, cuts: Sequence[Attribute], told: Collection[str]) -> dict[str, Trial]:
    """The trials of numbers of which no threshold could be tried."""
    return {
        one.name: judge_declared(Evidence(one.splits[0], obstacle=NO_THRESHOLD), config, p_adjusted=None)
        for one in cuts
        if one.name not in told
    }


def _untried(
    config: ExperimentConfig, attributes: Sequence[Attribute], screened: Sequence[Candidate]
) -> tuple[LeftOut, ...]:
    """Attributes of which nothing was screened at the root."""
    seen = {one.attribute.name for one in screened}
    reason = Message(
        "no split of it leaves two groups of {least} customers in the half that is searched",
        {"least": smallest_group(config)},
    )
    return tuple(LeftOut(one.name, one.kind, reason) for one in attributes if one.name not in seen)


def _not_circular(populations: Populations, attributes: Sequence[Attribute]) -> tuple[list[Attribute], list[Trial]]:
    """The attributes without those that are made of the purchases after time zero, of which a trial says so."""
    config = populations.config
    kept: list[Attribute] = []
    circular: list[Trial] = []
    for one in attributes:
        obstacle = _made_of_purchases(populations, one)
        if obstacle is None:
            kept.append(one)
            continue
        evidence = Evidence(one.splits[0], obstacle=obstacle)
        if one.codes is not None and one.whole is not None:
            population, members = populations.whole(one.time_zero), populations.members(one.time_zero)
            evidence = replace(evidence, groups=members.label(config, one.whole, population, one.codes).groups)
        trial = judge_declared(evidence, config, p_adjusted=None)
        circular.append(replace(trial, source=one.source, attribute=one.name))
    return kept, circular


def _made_of_purchases(populations: Populations, attribute: Attribute) -> Obstacle | None:
    """Reason code for an attribute of the customers' table that is made of the purchases after time zero, and what to do."""
    split = attribute.splits[0]
    if not split.is_of_a_snapshot:
        return None
    codes = tenths(attribute.numbers) if attribute.numbers is not None else attribute.codes
    assert codes is not None
    return populations.members(attribute.time_zero).made_of_purchases(split, codes)


def _known_groups(populations: Populations, declared: Sequence[_Declared]) -> list[Attribute]:
    """Groups of the declared splits that could be tested, which compete in the tree."""
    engine, config = populations.engine, populations.config
    return [
        declared_codes(engine, config, one.split, [group.name for group in one.evidence.groups])
        for one in declared
        if one.evidence.test is not None
    ]


def _suggested(
    populations: Populations, grown: Sequence[Grown], several: Sequence[Split], cuts: Sequence[Attribute]
) -> list[Suggested]:
    """What goes to confirmation: what passed at the root, groups taken together, what the tree applied below; and what was to be cut."""
    engine, config = populations.engine, populations.config
    root, chosen = grown[ROOT], grown[ROOT].suggestion
    found: list[Suggested] = []
    in_memory = cache(partial(PopulationInMemory.fetch, engine, config))
    for one in root.screened:
        asked, promoted = one.attribute in cuts, one.p_adjusted <= config.trial.level
        if (asked or one.attribute.source != "declared") and (asked or promoted):
            if one is root.choice and chosen is not None and chosen.split.merged_from is None:
                suggestion = chosen
            else:
                half = in_memory(populations.half(one.attribute.time_zero, 0, 0))
                suggestion = suggest(one, half, promoted=promoted, describe=asked or one is root.choice)
            found.append(Suggested(suggestion, one.attribute, root.node, one.codes, asked or one is root.choice))
    if chosen is not None and root.choice is not None and chosen.split.merged_from is not None:
        found.append(Suggested(chosen, root.choice.attribute, root.node, root.codes, closely=True))
    told = {one.suggestion.split.name for one in found}
    for split in several:
        merged = suggest_merged(engine, config, split, populations.half(split.time_zero, 0, 0))
        if merged is not None and merged.split.name not in told:
            found.append(Suggested(merged, None, root.node, None, closely=True))
    found.extend(
        Suggested(one.suggestion, one.choice.attribute, one.node, one.codes, closely=True)
        for one in grown[ROOT + 1 :]
        if one.suggestion is not None and one.choice is not None
    )
    return found


def _in_order(
    splits: Sequence[Split],
    declared: Sequence[_Declared],
    confirmed: Sequence[Confirmed],
    rest: Sequence[Trial],
    uncut: Mapping[str, Trial],
) -> list[Trial]:
    """Declared splits in the order of the config, groups taken together after the split that they are of, then found ones, then those below."""
    at_root = [one.trial for one in confirmed if one.suggested.node.number == ROOT]
    tested = {trial.split: trial for trial in (*(one.trial for one in declared), *uncut.values(), *rest, *at_root)}
    merged: dict[str, list[Trial]] = {}
    for trial in at_root:
        if trial.merged_from is not None:
            merged.setdefault(trial.merged_from, []).append(trial)
    names = [split.name for split in splits]
    names += [trial.split for trial in (*at_root, *rest) if trial.merged_from is None and trial.split not in names]
    ordered = [trial for name in names for trial in (tested[name], *merged.get(name, ()))]
    return [*ordered, *(one.trial for one in confirmed if one.suggested.node.number != ROOT)]


def _ledger(
    config: ExperimentConfig,
    declared: Sequence[_Declared],
    grown: Sequence[Grown],
    screened: Sequence[Candidate],
    confirmed: Sequence[Confirmed],
    *,
    uncut: Collection[str],
) -> Iterator[LedgerEntry]:
    """Every test, by stage.

    Args:
        config: The experiment.
        declared: Tested on all customers.
        grown: The nodes of the tree.
        screened: What was screened at the root, without the declared splits that compete there.
        confirmed: What went to confirmation.
        uncut: Names of declared numbers that could not be cut.
    """
    level = config.trial.level
    by_resampling = config.trial.advanced.screening == "min_p"
    screening: Correction = "min-P" if by_resampling else "Benjamini-Yekutieli"
    tests = [Tested(one.split.name, one.evidence.p_value, one.trial.p_adjusted) for one in declared]
    yield from ledger_entries(tests, "declared", "Holm", level=level)
    for one in grown:
        own = screened if one.node.number == ROOT else one.screened
        tests = [Tested(each.split.name, each.p_value, each.p_adjusted, one.node.segment) for each in own]
        if one.node.number == ROOT:
            tests += [Tested(name, None, None) for name in uncut]
        yield from ledger_entries(tests, "discovery", screening, level=level)
    for each in confirmed:
        suggestion = each.suggested.suggestion
        if suggestion.split.merged_from is not None:
            merged = Tested(suggestion.split.name, suggestion.p_value, suggestion.p_adjusted, each.trial.segment)
            yield from ledger_entries([merged], "discovery", "none", level=level)
    tests = [
        Tested(each.trial.split, each.p_value, each.p_adjusted, each.trial.segment)
        for each in confirmed
        if each.suggested.suggestion.promoted
    ]
    yield from ledger_entries(tests, "confirmation", "Holm", level=level)
