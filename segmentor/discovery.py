"""What the discovery half of the customers suggests: candidates that are worth a test, where to cut a number, which groups to take together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from segmentor.cycles import told_of
from segmentor.effects import Effects
from segmentor.evidence import PopulationInMemory, gather
from segmentor.labelling import MembersInMemory, group_sums, label_customers
from segmentor.populations import SCORE_UNIT, Population
from segmentor.result import Chosen, Cutpoint
from segmentor.splits import NOT_KNOWN, Attribute, Codes, Split, against_the_rest, codes_of, partition
from segmentor.statistics.candidates import Candidate as Screened
from segmentor.statistics.candidates import Category, chosen_again, screen_candidates
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.multiplicity import benjamini_yekutieli
from segmentor.statistics.thresholds import cutpoint_stability

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.statistics.arrays import FloatArray, IntArray

SCREENING_RESAMPLES = 2_000

OTHER_RESAMPLES = 500
"""For the other seeds of the halves, of which only the verdict is looked at."""

STABILITY_RESAMPLES = 200

CHOICE_RESAMPLES = 50


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A split with what the screening of a population said of it.

    Attributes:
        attribute: What it is made of.
        split: The split, cut at the best threshold where it is one of a number.
        codes: Number of the customer's group by ``customer_no`` of ``everyone``, ``NOT_KNOWN`` where none applies.
        p_value: Of its screening, the search for a threshold taken into account.
        log_p: Its natural logarithm, which does not underflow.
        p_adjusted: Adjusted over all that was screened at the same place.
        tried: Thresholds that were tried; 1 for groups.
        statistic: Largest standardised sum of a threshold; ``None`` for groups.
    """

    attribute: Attribute
    split: Split
    codes: Codes
    p_value: float
    log_p: float
    p_adjusted: float
    tried: int = 1
    statistic: float | None = None

    @property
    def strength(self) -> tuple[float, float, str]:
        """Sorts candidates, the strongest first."""
        return self.p_adjusted, self.log_p, self.split.name


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A split that discovery customers chose, to be confirmed by the others.

    Attributes:
        split: The split, with groups.
        p_value: Of its screening, the search for it taken into account.
        p_adjusted: Adjusted over all that was screened.
        promoted: Whether it goes to confirmation.
        cutpoint: Where a number is cut; ``None`` for other groups.
        effects: In discovery, to see whether confirmation points the same way; ``None`` where they cannot be measured.
    """

    split: Split
    p_value: float
    p_adjusted: float
    promoted: bool
    cutpoint: Cutpoint | None
    effects: Effects | None


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """What was screened together at one place.

    Attributes:
        candidates: Those that could be screened, in the order of the attributes and their splits.
        matrices: What they were screened from, by population.
    """

    candidates: tuple[Candidate, ...]
    matrices: Mapping[Population, Matrix]


def screen(
    engine: Engine,
    config: ExperimentConfig,
    families: Sequence[tuple[Population, Sequence[Attribute]]],
    *,
    resamples: int = SCREENING_RESAMPLES,
) -> Screening:
    """Screens the splits that attributes suggest, all at once.

    Args:
        engine: Holds the populations' tables.
        config: The experiment.
        families: Attributes by the discovery half of the population in which they are known; p-values are adjusted within a family and
            over their number.
        resamples: Relabellings.
    """
    matrices = {
        population: Matrix.screened(engine, config, population, attributes, resamples=resamples)
        for population, attributes in families
        if population.tau_days and attributes
    }
    found = [candidate for matrix in matrices.values() for candidate in matrix.candidates()]
    if config.trial.advanced.screening == "min_p":
        adjusted = np.minimum(1.0, np.array([one.p_adjusted for one in found]) * len(families))
    else:
        adjusted = benjamini_yekutieli(np.array([one.p_value for one in found]))
    candidates = tuple(replace(one, p_adjusted=p) for one, p in zip(found, adjusted.tolist(), strict=True))
    return Screening(candidates, matrices)


def suggest(candidate: Candidate, population: PopulationInMemory, *, promoted: bool, describe: bool) -> Suggestion:
    """A candidate with its effects in discovery and, for a cut number, how stable its threshold is.

    Args:
        candidate: What was screened.
        population: The discovery half of its population.
        promoted: Whether it goes to confirmation.
        describe: Look at the stability of the threshold too.
    """
    cutpoint = _cutpoint(candidate, population) if describe and candidate.statistic is not None else None
    return Suggestion(
        split=candidate.split,
        p_value=candidate.p_value,
        p_adjusted=candidate.p_adjusted,
        promoted=promoted,
        cutpoint=cutpoint,
        effects=population.measure(candidate.split, candidate.codes, detail="direction").effects,
    )


def suggest_merged(engine: Engine, config: ExperimentConfig, split: Split, population: Population) -> Suggestion | None:
    """A significant split of three groups or more with those that cannot be told apart taken together; ``None`` where none or all are."""
    parts = merge_groups(engine, config, split, population)
    if parts is None:
        return None
    names = [group.name for group in label_customers(engine, config, split, population).groups]
    merged = split.merged([[names[number] for number in part] for part in parts])
    evidence = gather(engine, config, merged, population, halves=False, detail="intervals")
    if evidence.test is None:
        return None
    p = evidence.test.p_value
    return Suggestion(merged, p, p, promoted=p <= config.trial.level, cutpoint=None, effects=evidence.effects)


def smallest_group(config: ExperimentConfig) -> int:
    """Customers of the discovery half in the smallest group that is tried."""
    return max(1, round(config.trial.min_group * (1 - config.trial.confirm_share)))


def group_sizes(codes: Codes, inside: np.ndarray) -> IntArray:
    """Customers by group among those inside, shape (n_groups,)."""
    chosen = codes[inside]
    return np.bincount(chosen[chosen != NOT_KNOWN], minlength=int(codes.max(initial=0)) + 1)


def merged_codes(codes: Codes, parts: Sequence[Sequence[int]]) -> Codes:
    """Codes of groups taken together: the number of the part that holds a group."""
    place = np.full(max(group for part in parts for group in part) + 2, NOT_KNOWN, dtype=codes.dtype)
    for number, part in enumerate(parts):
        place[list(part)] = number
    merged: Codes = place[codes]
    return merged


def merge_groups(
    engine: Engine, config: ExperimentConfig, split: Split, population: Population, *, smallest: Sequence[int] = ()
) -> tuple[tuple[int, ...], ...] | None:
    """Groups of a split that cannot be told apart in a population, taken together; groups of whom it has nobody stay as they are.

    Args:
        engine: Holds the split's source and the population's tables.
        config: The experiment.
        split: A split of three groups or more.
        population: The discovery half of its population.
        smallest: Numbers of groups too small to stand alone, which go to the closest one.

    Returns:
        The numbers of the groups that are one, in order; ``None`` where none or all are.
    """
    labelled = label_customers(engine, config, split, population)
    if labelled.obstacle is not None:
        return None
    sums = group_sums(engine, population, len(labelled.groups))
    parts = closest_groups(sums, level=config.trial.level, small=smallest)
    if len(parts) < 2 or all(len(part) == 1 for part in parts):
        return None
    empty = [(number,) for number, group in enumerate(labelled.groups) if not group.customers]
    return (*parts, *empty)


def closest_groups(sums: GroupSums, *, level: float, small: Sequence[int] = ()) -> tuple[tuple[int, ...], ...]:
    """Groups that cannot be told apart, taken together: the closest pair is merged until every pair differs.

    Two groups differ where the largest standardised difference of their mean scores, over all scores, is significant at the level,
    Bonferroni-adjusted over all pairs of the groups and over the scores. Groups that share no cohort were never compared and are not merged.

    Args:
        sums: Of the split, with customers in all groups.
        level: Of the tests.
        small: Groups that may not stand alone: what is closest to them takes them, however they differ.

    Returns:
        The numbers of the groups that are one, in order.
    """
    linear = linear_statistic(sums)
    customers = sums.customers.sum(axis=1).astype(np.float64)
    parts: list[tuple[int, ...]] = [(number,) for number in np.flatnonzero(customers).tolist()]
    tests = len(parts) * (len(parts) - 1) / 2 * len(linear.deviation)

    def distance(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> float:
        one, other = (sums.customers[list(part)].sum(axis=0) for part in pair)
        if not (np.minimum(one, other) > 0).any():
            return np.inf
        contrast = np.zeros(len(customers))
        for part, sign in zip(pair, (1, -1), strict=True):
            contrast[list(part)] = sign / customers[list(part)].sum()
        variance = np.einsum("g,kkgh,h->k", contrast, linear.covariance, contrast)
        z = np.divide(
            np.abs(linear.deviation @ contrast), np.sqrt(variance), out=np.zeros(len(variance)), where=variance > 0
        )
        return float(z.max())

    def merged(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> list[tuple[int, ...]]:
        return sorted([part for part in parts if part not in pair] + [tuple(sorted(pair[0] + pair[1]))])

    while len(parts) > 1:
        nearest = min(combinations(parts, 2), key=distance)
        if 2 * ndtr(-distance(nearest)) * tests <= level:
            break
        parts = merged(nearest)
    while len(parts) > 2 and (alone := [part for part in parts if set(part) <= set(small)]):
        nearest = min((pair for pair in combinations(parts, 2) if alone[0] in pair), key=distance)
        if not np.isfinite(distance(nearest)):
            break
        parts = merged(nearest)
    return tuple(parts)


def declared_numbers(engine: Engine, config: ExperimentConfig, split: Split) -> Attribute:
    """The numbers of a declared split that is to be cut.

    Raises:
        ExpressionError: A value is no number.
    """
    with told_of(config, f"{split.by!r} of the split {split.name!r}"):
        table = engine.arrays(
            f"select cast(l.segment_group as double) as x from everyone e left join ({split.labels}) l using (customer)\n"
            "order by e.customer_no"
        )
    numbers = np.ma.filled(table["x"].astype(np.float64), np.nan)
    return Attribute(split.name, "declared", split.time_zero, codes=None, numbers=numbers, whole=split)


def declared_codes(engine: Engine, config: ExperimentConfig, split: Split, groups: Sequence[str]) -> Attribute:
    """The groups of a declared split, in the order given."""
    with told_of(config, f"the groups of {split.name!r}"):
        codes = codes_of(engine, split, groups)
    named = replace(split, groups=tuple(groups))
    return Attribute(split.name, "declared", split.time_zero, codes=codes, numbers=None, whole=named)


def without_aliases(
    known: Sequence[Attribute], attributes: Sequence[Attribute]
) -> tuple[list[Attribute], dict[str, tuple[str, ...]]]:
    """Attributes without the splits that make the same groups as one that was declared, which are not tried again.

    Args:
        known: Groups of declared splits.
        attributes: What else splits may be made of.

    Returns:
        What is left of the attributes, and by name of a declared split those of its equals.
    """
    names = {partition(one.codes): one.name for one in known if one.codes is not None}
    aliases: dict[str, list[str]] = {}

    def new(split: Split | None, codes: Codes) -> Split | None:
        equal = names.get(partition(codes)) if split is not None else None
        if split is None or equal is None:
            return split
        aliases.setdefault(equal, []).append(split.name)
        return None

    left: list[Attribute] = []
    for one in attributes:
        kept = one
        if one.codes is not None:
            by_value = tuple(
                split and new(split, against_the_rest(one.codes, value)) for value, split in enumerate(one.by_value)
            )
            kept = replace(one, whole=new(one.whole, one.codes), by_value=by_value)
        if kept.splits:
            left.append(kept)
    return left, {name: tuple(several) for name, several in aliases.items()}


def tenths(numbers: FloatArray) -> Codes:
    """Ten groups of like size by rank, ``NOT_KNOWN`` where a number is."""
    known = np.isfinite(numbers)
    codes = np.full(len(numbers), NOT_KNOWN, dtype=np.int16)
    ordered = np.sort(numbers[known])
    codes[known] = 10 * np.searchsorted(ordered, numbers[known]) // max(1, len(ordered))
    return codes


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Attributes of the customers of a population, as the statistics take them, and what these said of their splits.

    Attributes:
        members: The customers.
        groups: Attributes with groups, and below the columns in the same order.
        numbers: Attributes with numbers, likewise.
        tests: The splits that could be screened.
    """

    members: MembersInMemory
    groups: tuple[Attribute, ...]
    categories: tuple[Category, ...]
    numbers: tuple[Attribute, ...]
    columns: tuple[FloatArray, ...]
    tests: tuple[Screened, ...] = ()

    @classmethod
    def screened(
        cls,
        engine: Engine,
        config: ExperimentConfig,
        population: Population,
        attributes: Sequence[Attribute],
        *,
        resamples: int,
    ) -> Matrix:
        """Screens the splits that attributes suggest among the customers of one population; see ``screen``."""
        members = MembersInMemory.fetch(engine, population)
        groups = tuple(one for one in attributes if one.codes is not None)
        numbers = tuple(one for one in attributes if one.numbers is not None)
        matrix = cls(
            members,
            groups,
            tuple(_category(one, members) for one in groups),
            numbers,
            tuple(one.numbers[members.customer_no] for one in numbers if one.numbers is not None),
        )
        tests = screen_candidates(
            *matrix._data,
            min_group=smallest_group(config),
            resamples=resamples,
            seed=config.seed,
            correction=config.trial.advanced.screening,
        )
        return replace(matrix, tests=tests)

    def candidates(self) -> Iterator[Candidate]:
        """The splits that could be screened; numbers are cut at their best thresholds."""
        for test in self.tests:
            attribute, split = self._attribute_of(test), self._split_of(test)
            if test.threshold is not None:
                split = split.cut_at(test.threshold)
            yield Candidate(
                attribute=attribute,
                split=split,
                codes=_codes(attribute, test),
                p_value=test.p_value,
                log_p=test.log_p,
                p_adjusted=test.p_adjusted,
                tried=test.tried,
                statistic=None if test.threshold is None else test.length,
            )

    def chosen_again(self, config: ExperimentConfig) -> tuple[Chosen, ...]:
        """How often each split is the strongest when customers are drawn anew.

        Returns:
            Splits that are chosen at all, the most frequent first.
        """
        shares = chosen_again(
            *self._data, self.tests, min_group=smallest_group(config), resamples=CHOICE_RESAMPLES, seed=config.seed
        )
        chosen = {
            self._split_of(test).name: share for test, share in zip(self.tests, shares.tolist(), strict=True) if share
        }
        order = sorted(chosen.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Chosen(name, round(share, 6)) for name, share in order)

    def _split_of(self, test: Screened) -> Split:
        """The split that was tested; a number is not cut yet."""
        attribute = self._attribute_of(test)
        split = attribute.whole if test.value is None else attribute.by_value[test.value]
        assert split is not None
        return split

    def _attribute_of(self, test: Screened) -> Attribute:
        return (self.numbers if test.kind == "threshold" else self.groups)[test.column]

    @property
    def _data(self) -> tuple[FloatArray, Sequence[Category], Sequence[FloatArray], IntArray]:
        """Scores, categories, numbers and cohorts."""
        return self.members.scores / SCORE_UNIT, self.categories, self.columns, self.members.cohort


def _codes(attribute: Attribute, test: Screened) -> Codes:
    if attribute.numbers is not None and test.threshold is not None:
        known = np.isfinite(attribute.numbers)
        with np.errstate(invalid="ignore"):
            above = attribute.numbers > test.threshold
        return np.where(known, above, NOT_KNOWN).astype(np.int16)
    assert attribute.codes is not None
    if test.value is None:
        return attribute.codes
    return against_the_rest(attribute.codes, test.value)


def _category(attribute: Attribute, members: MembersInMemory) -> Category:
    assert attribute.codes is not None
    codes = attribute.codes[members.customer_no]
    tried = np.array([split is not None for split in attribute.by_value], dtype=bool)
    by_value = np.zeros(max(len(tried), int(codes.max(initial=0)) + 1), dtype=bool)
    by_value[: len(tried)] = tried
    return Category(codes.astype(np.int64), attribute.whole is not None, by_value)


def _cutpoint(candidate: Candidate, population: PopulationInMemory) -> Cutpoint:
    """Where a number is cut, and where resamples of the discovery customers would."""
    assert candidate.attribute.numbers is not None
    assert candidate.split.threshold is not None
    assert candidate.statistic is not None
    members = population.members
    numbers = candidate.attribute.numbers[members.customer_no]
    known = np.isfinite(numbers)
    chosen = cutpoint_stability(
        members.scores[:, known] / SCORE_UNIT,
        numbers[known],
        members.cohort[known],
        resamples=STABILITY_RESAMPLES,
        seed=population.config.seed,
    )
    low, high = np.quantile(chosen, [0.1, 0.9], method="inverted_cdf").tolist()
    return Cutpoint(
        column=str(candidate.split.by),
        threshold=candidate.split.threshold,
        tried=candidate.tried,
        statistic=candidate.statistic,
        low=low,
        high=high,
        chosen_again=float((chosen == candidate.split.threshold).mean()),
    )
