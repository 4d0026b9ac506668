"""A group of customers, said as a short rule about their features."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from segmentor.engine.conditions import columns_of
from segmentor.statistics.arrays import FloatArray

BoolArray = NDArray[np.bool_]

DEPTH = 3
"""Most questions in a row."""

ALTERNATIVES = 3
"""Most alternatives of a rule."""

_SHORTER = 0.02
"""Similarity to the group that a rule with fewer questions may cost."""

_SIMPLER = 0.005
"""Similarity to the group that leaving out parts of a rule may cost."""

_MOVED = 0.005
"""Share of the customers of a question who may change sides for a number with fewer digits."""


@dataclass(frozen=True, slots=True)
class Range:
    """Which values of a feature are meant: above one number, up to another, and whether not known ones too.

    Attributes:
        low: Values above it; ``None`` for no bound.
        high: Values up to it; ``None`` for no bound.
        known: Whether any known value is meant at all.
        missing: Whether a value that is not known is meant.
    """

    low: Decimal | None = None
    high: Decimal | None = None
    known: bool = True
    missing: bool = True

    @property
    def everything(self) -> bool:
        """Whether every value is meant, known or not."""
        return self.known and self.missing and self.low is None and self.high is None

    def holds(self, values: FloatArray) -> BoolArray:
        """Whether each value is meant; nan is a value that is not known."""
        missing = np.isnan(values)
        if not self.known:
            return missing if self.missing else np.zeros(len(values), dtype=bool)
        kept = ~missing
        if self.low is not None:
            kept &= values > float(self.low)
        if self.high is not None:
            kept &= values <= float(self.high)
        return kept | missing if self.missing else kept

    def text(self, name: str) -> str:
        """The range as a condition on the column of a name, as it is written."""
        if not self.known:
            return f"{name} is null"
        bounds = [
            f"{name} {sign} {value:f}" for sign, value in ((">", self.low), ("<=", self.high)) if value is not None
        ]
        if self.missing:
            return f"({' and '.join(bounds)} or {name} is null)"
        return " and ".join(bounds) or f"{name} is not null"


Alternative = Mapping[int, Range]
"""Range by number of the feature; all of them must hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Customers for whom one of the alternatives holds."""

    alternatives: tuple[Alternative, ...]

    def holds(self, features: FloatArray) -> BoolArray:
        """Whether it holds for each customer, shape (n_customers,); one of whom it cannot be told is out."""
        kept = np.zeros(len(features), dtype=bool)
        for alternative in self.alternatives:
            own = np.ones(len(features), dtype=bool)
            for feature, meant in alternative.items():
                own &= meant.holds(features[:, feature])
            kept |= own
        return kept

    def text(self, names: Sequence[str]) -> str:
        """The rule as a condition of the config on columns that are named for the features."""
        parts = [
            [meant.text(column_name(names[feature])) for feature, meant in sorted(alternative.items())]
            for alternative in self.alternatives
        ]
        if len(parts) == 1:
            return " and ".join(parts[0])
        return " or ".join(f"({' and '.join(part)})" if len(part) > 1 else part[0] for part in parts)


def column_name(name: str) -> str:
    """A name as a condition writes it: as it is where that reads as one column, else in double quotes."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        try:
            if columns_of(f"{name} > 0 and {name} is null") == (name,):
                return name
        except ValueError:
            pass
    return '"' + name.replace('"', '""') + '"'


def similarity(members: BoolArray, group: BoolArray) -> float:
    """Customers in both over customers in either."""
    return float((members & group).sum() / max(int((members | group).sum()), 1))


def rule_of(features: FloatArray, group: BoolArray) -> Rule | None:
    """The shortest rule that says a group nearly as well as any of three questions in a row.

    A decision tree parts the group from the rest; the leaves in which the group has the majority are the alternatives, at
    most three. Fewer questions are taken where that costs little, parts that matter little are left out, and each number is
    the one with fewest digits that moves hardly anybody to the other side. All of it depends on nobody's place.

    Args:
        features: Shape (n_customers, n_features), nan where not known.
        group: Who is in the group, shape (n_customers,).

    Returns:
        `None` where the group has the majority nowhere or everywhere.
    """
    least = max(5, int(group.sum()) // 50)
    model = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=least, random_state=0).fit(features, group)
    walk = _Walk(model.tree_, features, group)
    rules = [rule for depth in range(1, DEPTH + 1) if (rule := walk.rule(depth)) is not None]
    if not rules:
        return None
    similarities = [similarity(rule.holds(features), group) for rule in rules]
    enough = max(similarities) - _SHORTER
    chosen = next(rule for rule, value in zip(rules, similarities, strict=True) if value >= enough)
    return _simplified(chosen, features, group)


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """A fitted tree with the customers that it was fitted on."""

    tree: Any
    features: FloatArray
    group: BoolArray

    def rule(self, depth: int) -> Rule | None:
        """The leaves in which the group has the majority when no more than `depth` questions are asked in a row."""
        found, _ = self._below(0, np.arange(len(self.features)), {}, depth)
        found.sort(key=lambda leaf: -leaf[1])
        kept = tuple(alternative for alternative, _ in found[:ALTERNATIVES])
        return Rule(kept) if kept and all(kept) else None

    def _below(
        self, node: int, places: NDArray[np.intp], asked: Alternative, depth: int
    ) -> tuple[list[tuple[Alternative, int]], bool]:
        """Alternatives below a node, each with its customers of the group, and whether they are all that is below."""
        inside = int(self.group[places].sum())
        left, right = int(self.tree.children_left[node]), int(self.tree.children_right[node])
        if depth == 0 or left == right:
            return ([(asked, inside)], True) if 2 * inside > len(places) else ([], False)
        feature, threshold = int(self.tree.feature[node]), float(self.tree.threshold[node])
        values = self.features[places, feature]
        missing = np.isnan(values)
        missing_left = bool(self.tree.missing_go_to_left[node])
        # The tree knows numbers of single precision only.
        to_left = np.where(missing, missing_left, values.astype(np.float32) <= threshold)
        lower, upper = self._halves(asked.get(feature, Range()), values, threshold, missing_left=missing_left)
        first, first_whole = self._below(left, places[to_left], {**asked, feature: lower}, depth - 1)
        second, second_whole = self._below(right, places[~to_left], {**asked, feature: upper}, depth - 1)
        if first_whole and second_whole:
            return [(asked, inside)], True
        return first + second, False

    @staticmethod
    def _halves(before: Range, values: FloatArray, threshold: float, *, missing_left: bool) -> tuple[Range, Range]:
        """Ranges on either side of a threshold; missing values are in neither where a question was asked without any."""
        missing = np.isnan(values)
        if np.isinf(threshold):
            return replace(before, missing=False), Range(known=False)
        cut = readable(values[~missing], threshold)
        some = bool(missing.any())
        return (
            replace(before, high=cut, missing=some and missing_left),
            replace(before, low=cut, missing=some and not missing_left),
        )


def _simplified(rule: Rule, features: FloatArray, group: BoolArray) -> Rule:
    """The rule without what hardly changes how well it says the group."""
    enough = similarity(rule.holds(features), group) - _SIMPLER
    while True:
        simpler = [(similarity(other.holds(features), group), other) for other in _with_less(rule)]
        if not simpler:
            return rule
        best, other = max(simpler, key=lambda pair: pair[0])
        if best < enough:
            return rule
        rule = other


def _with_less(rule: Rule) -> Iterator[Rule]:
    """Every rule that lacks one alternative, one feature of an alternative, or one part of a range."""
    for place, alternative in enumerate(rule.alternatives):
        before, after = rule.alternatives[:place], rule.alternatives[place + 1 :]
        if before or after:
            yield Rule(before + after)
        for feature, meant in alternative.items():
            others = {number: value for number, value in alternative.items() if number != feature}
            if others:
                yield Rule((*before, others, *after))
            narrower = [replace(meant, low=None)] * (meant.low is not None) + [replace(meant, high=None)] * (
                meant.high is not None
            )
            if meant.known and meant.missing:
                narrower.append(replace(meant, missing=False))
            for shorter in narrower:
                if not shorter.everything:
                    yield Rule((*before, {**alternative, feature: shorter}, *after))


def readable(values: FloatArray, threshold: float) -> Decimal:
    """A number with few digits that parts the values as a threshold does, but for at most one in two hundred.

    Args:
        values: Some at or below the threshold and some above, all known.
        threshold: A number of single precision.
    """
    ordered = np.sort(values)
    at = int(np.searchsorted(ordered.astype(np.float32), threshold, side="right"))
    spare = int(_MOVED * len(ordered))
    low, high = float(ordered[max(at - 1 - spare, 0)]), float(ordered[min(at + spare, len(ordered) - 1)])
    middle = (Decimal(float(ordered[at - 1])) + Decimal(float(ordered[at]))) / 2
    for digits in range(-12, 16):
        step = Decimal(1).scaleb(-digits)
        for rounding in (None, ROUND_FLOOR, ROUND_CEILING):
            number = (middle / step).to_integral_value(rounding) * step + 0
            whole = number == number.to_integral_value()
            if low < float(number) < high or (float(number) == low and whole):
                return number.quantize(Decimal(1) if whole else step)
    return Decimal(repr(low))
