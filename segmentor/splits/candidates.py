"""Candidate splits that nobody wrote: their words, their names, and twins among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentor.config import DeclaredSplit, Known
from segmentor.config.values import MAX_NAME, RESERVED_GROUPS
from segmentor.engine.conditions import columns_of
from segmentor.engine.duckdb import quote
from segmentor.result import SAME_GROUPS, LeftOut
from segmentor.splits.attribute import Attribute, against_the_rest, partition
from segmentor.splits.split import Split, compiled
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns

LONGEST = MAX_NAME - 20
"""Characters of a name, which leaves some for what follows it."""

REST = "true"
"""Condition of the customers who are in none of the groups before."""


class Writer:
    """Writes splits in words of the config, each under a name of its own, and compiles them."""

    def __init__(self, config: ExperimentConfig, columns: Columns) -> None:
        self._config, self._columns = config, columns
        self._taken = {declared.name.lower() for declared in config.splits.declared}

    def named(self, wanted: str) -> str:
        """A name that no other split has: the one wanted where it is free; of a long one both ends, since many begin alike."""
        plain = clean(wanted)
        if len(plain) > LONGEST:
            plain = f"{plain[: LONGEST // 2]} … {plain[-(LONGEST // 2) :]}"
        name, number = plain, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{plain} ({number})"
        self._taken.add(name.lower())
        return name

    def groups(self, name: str, known: Known, groups: Mapping[str, Any]) -> Split:
        """The split into groups by their conditions; the first that holds decides."""
        return self.compiled({"name": name, "known": known.plain(), "groups": dict(groups)})

    def value(self, name: str, known: Known, group: str, condition: Any) -> Split:
        """The split of one group against the rest."""
        return self.groups(name, known, {group: condition, rest_of(group): REST})

    def number(self, name: str, known: Known, by: str) -> Split:
        """The split of a column or feature that is to be cut."""
        return self.compiled({"name": name, "known": known.plain(), "by": by, "thresholds": "auto"})

    def compiled(self, content: Mapping[str, Any]) -> Split:
        """A split of which the words are given."""
        declared = DeclaredSplit.found(content)
        return compiled(self._config, self._columns, declared, key=f"splits.enumerated: {declared.name}")


def clean(text: str) -> str:
    """A text that can name a split or a group: without what separates names in results, on one line."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).replace("|", "/")
    plain = re.sub(r" +/ +", "/", plain).strip()
    return plain or "blank"


def group_names(values: Sequence[str], own: Sequence[str]) -> list[str]:
    """A name of a group for each value, unlike each other's, those of ``own`` and those that results use."""
    taken = {*RESERVED_GROUPS, *own}
    names = []
    for value in values:
        plain = clean(value)
        name = plain
        while name.lower() in taken:
            name = f"{name} (value)"
        taken.add(name.lower())
        names.append(name)
    return names


def rest_of(group: str) -> str:
    """A name for all who are not in a group."""
    name = f"not {group}"
    return f"other than {group}" if name.lower() in RESERVED_GROUPS else name


def written(name: str) -> str:
    """A column as a condition names it, quoted only where it must be."""
    try:
        plain = bool(re.fullmatch(r"[A-Za-z_]\w*", name)) and columns_of(name) == (name,)
    except ValueError:
        plain = False
    return name if plain else quote(name)


def without_twins(attributes: Iterable[Attribute]) -> tuple[tuple[Attribute, ...], list[LeftOut]]:
    """The attributes with each partition of the same customers in one of their splits alone: the one with the simplest words.

    Returns:
        Those with a split left, with the names of the others in ``aliases``, and those without.
    """
    attributes = list(attributes)
    makers: dict[object, list[tuple[int, str, int, int]]] = {}
    for place, attribute in enumerate(attributes):
        for at, split in enumerate((attribute.whole, *attribute.by_value)):
            if split is not None:
                words = sum(len(condition) for _, condition in split.definition)
                makers.setdefault(_partition(attribute, at), []).append((words, split.name, place, at))
    kept: dict[int, set[int]] = {}
    aliases: dict[int, dict[str, tuple[str, ...]]] = {}
    twin_of: dict[int, str] = {}
    for twins in makers.values():
        (_, name, place, at), *others = sorted(twins)
        kept.setdefault(place, set()).add(at)
        for _, _, other, _ in others:
            twin_of.setdefault(other, name)
        if others:
            aliases.setdefault(place, {})[name] = tuple(other for _, other, _, _ in others)
    found, left_out = [], []
    for place, attribute in enumerate(attributes):
        splits = [
            split if at in kept.get(place, ()) else None
            for at, split in enumerate((attribute.whole, *attribute.by_value))
        ]
        if any(split is not None for split in splits):
            found.append(
                replace(attribute, whole=splits[0], by_value=tuple(splits[1:]), aliases=aliases.get(place, {}))
            )
        else:
            left_out.append(LeftOut(attribute.name, attribute.kind, Message(SAME_GROUPS, {"split": twin_of[place]})))
    return tuple(found), left_out


def _partition(attribute: Attribute, at: int) -> object:
    """What is the same for splits of the same customers into the same groups, whatever their names; ``at`` 0 is the whole."""
    zero = attribute.time_zero
    if attribute.numbers is not None:
        known = ~np.isnan(attribute.numbers)
        ranks = np.unique(attribute.numbers[known], return_inverse=True)[1].astype(np.int64)
        return zero, "number", known.tobytes(), ranks.tobytes()
    assert attribute.codes is not None
    return zero, partition(against_the_rest(attribute.codes, at - 1) if at else attribute.codes)
