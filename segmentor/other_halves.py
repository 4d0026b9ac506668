"""Found splits that separate -> their verdicts had the halves of the customers been drawn otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

from segmentor.confirmation import Confirmed, Suggested, confirm
from segmentor.cycles import OTHER_SEEDS, seeds
from segmentor.discovery import OTHER_RESAMPLES, screen, suggest, suggest_merged
from segmentor.evidence import PopulationInMemory
from segmentor.populations import Population
from segmentor.result import SeedVerdict, Verdict
from segmentor.splits import Attribute, Split
from segmentor.tree import ROOT, Node, Populations


def under_other_halves(
    populations: Populations,
    confirmed: Sequence[Confirmed],
    attributes: Sequence[Attribute],
    several: Sequence[Split],
    *,
    progress: Callable[[str], None],
) -> list[Confirmed]:
    """What separates at the root and was looked at closely, with its verdicts under other draws of the halves: a lucky draw is seen.

    Under each draw it is screened among all attributes again; its p is multiplied by the number of all that is promoted there.

    Args:
        populations: Of all time zeros.
        confirmed: What was tested under the config's own draw.
        attributes: What was searched.
        several: Declared splits whose groups may be taken together.
        progress: Told what is being done.
    """
    wanted = {
        one.trial.split: one.trial.merged_from or one.trial.split
        for one in confirmed
        if one.trial.verdict == "separates" and one.suggested.closely and one.suggested.node.number == ROOT
    }
    if not wanted:
        return list(confirmed)
    verdicts: dict[str, list[Verdict]] = {name: [] for name in wanted}
    for seed_no in range(1, OTHER_SEEDS + 1):
        progress(f"the same under other halves, {seed_no} of {OTHER_SEEDS}")
        again = _search_again(populations, wanted, attributes, several, confirmed[0].suggested.node, seed_no=seed_no)
        for name, several_verdicts in verdicts.items():
            several_verdicts.append(again.get(name, "inconclusive"))
    other_seeds = seeds(populations.config)[1:]
    return [
        replace(
            one,
            trial=replace(
                one.trial,
                other_seeds=tuple(map(SeedVerdict, other_seeds, verdicts[one.trial.split])),
            ),
        )
        if one.suggested.node.number == ROOT and one.trial.split in wanted
        else one
        for one in confirmed
    ]


def _search_again(
    populations: Populations,
    wanted: Mapping[str, str],
    attributes: Sequence[Attribute],
    several: Sequence[Split],
    root: Node,
    *,
    seed_no: int,
) -> dict[str, Verdict]:
    """Verdicts of some splits under another draw of the halves; those that are not promoted there are left out.

    Args:
        populations: Of all time zeros.
        wanted: Name of a split to that of the split whose groups were taken together, or to its own.
        attributes: What is searched.
        several: Declared splits whose groups may be taken together.
        root: The root of the tree.
        seed_no: Number of the seed of the halves.
    """
    engine, config = populations.engine, populations.config
    families: dict[Population, list[Attribute]] = {}
    declared = {split.name: split for split in several}
    if set(wanted.values()) - set(declared):
        for one in attributes:
            families.setdefault(populations.half(one.time_zero, seed_no, 0), []).append(one)
    screened = screen(engine, config, list(families.items()), resamples=OTHER_RESAMPLES).candidates
    promoted = {one.split.name: one for one in screened if one.p_adjusted <= config.trial.level}
    in_memory = cache(partial(PopulationInMemory.fetch, engine, config))
    suggested: list[Suggested] = []
    for name, origin in wanted.items():
        attribute = promoted[origin].attribute if origin in promoted else None
        split = promoted[origin].split if origin in promoted else declared.get(origin)
        if split is None:
            continue
        population = populations.half(split.time_zero, seed_no, 0)
        if name != origin:
            suggestion = suggest_merged(engine, config, split, population)
        elif origin in promoted:
            suggestion = suggest(promoted[origin], in_memory(population), promoted=True, describe=False)
        else:
            continue
        if suggestion is not None and suggestion.promoted:
            codes = promoted[origin].codes if name == origin else None
            suggested.append(Suggested(suggestion, attribute, root, codes, closely=False))
    confirmed = confirm(populations, suggested, around=None, seed_no=seed_no, of=len(promoted) + len(declared))
    return {one.trial.split: one.trial.verdict for one in confirmed}
