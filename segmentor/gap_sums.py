"""Gaps of labelled customers and what they weigh, summed where they lie: in the engine, or in memory for many splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import csr_array

from segmentor.cycles import OTHER_SEEDS, WEIGHT_UNIT
from segmentor.populations import Population
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.survival import DayValues

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.splits import Codes

MAX_GAPS_IN_MEMORY = 20_000_000
"""Gaps of a population that are fetched at most: 20 bytes each."""

_AT_ONCE = 4_000_000
"""Sums of customers that are held at once."""


class GroupedGaps(Protocol):
    """Weighted gaps of labelled customers, which can be summed by group and cohort."""

    def life(self, *, half: int | None = None) -> IntArray:
        """Weights of gaps in fixed point, ``WEIGHT_UNIT`` is 1, shape (half, group, cohort, day, ended with a return).

        Args:
            half: Number of the seed of the halves; without one all customers are in the first.
        """

    def customers_at_risk(self) -> IntArray:
        """Customers with a gap that reaches a day, shape (group, cohort, day)."""

    def sums_of_squares(self, values: Mapping[int, Sequence[DayValues]]) -> dict[int, FloatArray]:
        """Sums over customers of the square of their weighted sum of day values.

        Args:
            values: By group the day values of its customers; the gaps of other groups are left out.

        Returns:
            By group, shape (n_values, n_cohorts).
        """


@dataclass(frozen=True, slots=True)
class WeightedGaps:
    """A table of gaps, cut at a day, with the weight that each of them has.

    Attributes:
        engine: Holds the tables.
        table: Name of a table with ``customer_no``, ``duration``, ``event_observed``.
        labels: Name of a table of labelled customers: ``customer_no``, ``cycles`` and ``weight`` of these gaps, and columns by which
            sums are asked for.
        typical_gap: Every gap weighs 1; else every customer does (Wang and Chang 1999).
        last_day: Gaps that are longer count as not ended on this day.
    """

    engine: Engine
    table: str
    labels: str
    typical_gap: bool
    last_day: int

    def weights(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """Weights of gaps in fixed point, ``WEIGHT_UNIT`` is 1, by columns of the labels, ``day`` and ``returned``."""
        weight = str(WEIGHT_UNIT) if self.typical_gap else "l.weight"
        return self.engine.arrays(
            f"select {_listed(keys)}, {self._day} as day, {self._returned} as returned,\n"
            f"  cast(sum({weight}) as bigint) as weight\n{self._joined} group by all"
        )

    def longest(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """Number of ``customers`` by columns of the labels and the day to which their ``longest`` gap lasts."""
        return self.engine.arrays(
            f"select * exclude (customer_no), count(*) as customers from (\n"
            f"  select l.customer_no, {_listed(keys)}, max({self._day}) as longest\n  {self._joined} group by all)\n"
            "group by all"
        )

    def sums_of_squares(
        self, values: Mapping[int, Sequence[DayValues]], *, group: str, by: str
    ) -> dict[tuple[int, int], FloatArray]:
        """Sums over customers of the square of their weighted sum of day values.

        Args:
            values: By group the day values of its customers; the gaps of other groups are left out.
            group: Column of the labels that tells the group.
            by: Column of the labels by which customers are summed as well.

        Returns:
            By number of ``by`` and of the group: shape (n_values,).
        """
        length = self.last_day + 1
        stacked = np.array([[side_by_side(value, length) for value in own] for own in values.values()])
        fixed, units = in_fixed_point(stacked)
        # One integer finds the values of a gap: this join is most of what a trial takes.
        place = np.arange(2 * length, dtype=np.int32)
        places = np.concatenate([2 * length * np.int32(number) + place for number in values])
        columns = [f"v{k}" for k in range(fixed.shape[1])]
        self.engine.put("influence", {"place": places} | {v: fixed[:, k].ravel() for k, v in enumerate(columns)})
        rows = self.engine.rows(
            f"with placed as (select g.customer_no, {self._place(group)} as place {self._joined}),\n"
            f"{self._summed('placed', columns)}\n"
            f"select l.{by}, l.{group}, {self._squares(columns)} group by all"
        )
        unit_of = dict(zip(values, units, strict=True))
        return {(key, number): np.array(sums, dtype=np.float64) / unit_of[number] ** 2 for key, number, *sums in rows}

    def place(self, by: str) -> dict[str, np.ndarray]:
        """Makes the table ``placed`` of the gaps that count: ``customer_no``, ``place``.

        A gap's place is the number of ``by`` (a column of the labels) times ``2 * (last_day + 1)``, plus the day on which it ends,
        plus ``last_day + 1`` where it ends in a return.

        Returns:
            ``place``, how many ``gaps`` are there, and their ``weight`` in fixed point.
        """
        weight = str(WEIGHT_UNIT) if self.typical_gap else "l.weight"
        self.engine.execute(
            "create or replace temp table placed as\n"
            f"select g.customer_no, {self._place(by)} as place, {weight} as weight\n{self._joined}"
        )
        return self.engine.arrays(
            "select place, count(*) as gaps, cast(sum(weight) as bigint) as weight from placed group by place"
        )

    def squares_of_placed(self, places: IntArray, values: FloatArray, *, by: str) -> tuple[IntArray, FloatArray]:
        """Sums over customers of the square of their weighted sum of what each place is worth.

        Args:
            places: Of ``place``, which was called before with the same ``by``, shape (n_places,).
            values: What a gap there adds, several of them, shape (n_values, n_places).
            by: Column of the labels by which customers are summed.

        Returns:
            Numbers of ``by``, shape (n,), and sums, shape (n_values, n).
        """
        fixed, units = in_fixed_point(values)
        columns = [f"v{k}" for k in range(len(values))]
        self.engine.put("influence", {"place": places} | dict(zip(columns, fixed, strict=True)))
        rows = self.engine.rows(
            f"with {self._summed('placed', columns)}\nselect l.{by}, {self._squares(columns)} group by all"
        )
        table = np.array(rows, dtype=np.float64).T
        return table[0].astype(np.int64), table[1:] / units[:, None] ** 2

    def in_order(self) -> str:
        """SELECT of ``customer_no`` and ``place`` of the gaps that count, customer by customer; see ``GapsInMemory``."""
        length = self.last_day + 1
        place = f"{self._day} + case when {self._returned} then {length} else 0 end"
        return f"select g.customer_no, cast({place} as integer) as place {self._joined} order by g.customer_no"

    def count(self) -> int:
        """How many of the gaps count."""
        return int(self.engine.scalar(f"select count(*) {self._joined}"))

    def _place(self, number: str) -> str:
        length = self.last_day + 1
        return f"{2 * length} * l.{number} + {self._day} + case when {self._returned} then {length} else 0 end"

    def _summed(self, placed: str, columns: Sequence[str]) -> str:
        sums = ", ".join(f"cast(sum(i.{v}) as bigint) as {v}" for v in columns)
        return f"summed as (select p.customer_no, {sums} from {placed} p join influence i using (place) group by 1)"

    def _squares(self, columns: Sequence[str]) -> str:
        """Each sum divided by what the customer's weight divides by, squared and summed, from ``summed``."""
        divisor = "1" if self.typical_gap else "greatest(l.cycles, 1)"
        shares = [f"cast(s.{v} // {divisor} as hugeint)" for v in columns]
        squares = ", ".join(f"sum({share} * {share})" for share in shares)
        return f"{squares}\nfrom summed s join {self.labels} l using (customer_no)"

    @property
    def _day(self) -> str:
        return f"least(g.duration, {self.last_day})"

    @property
    def _returned(self) -> str:
        return f"(g.event_observed and g.duration <= {self.last_day})"

    @property
    def _joined(self) -> str:
        kept = "true" if self.typical_gap else "(g.event_observed or l.cycles = 0)"
        return f"from {self.table} g join {self.labels} l using (customer_no) where {kept}"


@dataclass(frozen=True, slots=True, eq=False)
class GapsInEngine:
    """Weighted gaps that stay in the engine.

    Attributes:
        gaps: Where they lie and what they weigh; their labels have ``group_no`` and ``cohort``.
        n_groups: Number of groups.
        cohorts: Codes of the labelled customers' cohorts, ascending, shape (n_cohorts,).
    """

    gaps: WeightedGaps
    n_groups: int
    cohorts: IntArray

    def life(self, *, half: int | None = None) -> IntArray:
        """Weights of gaps; see ``GroupedGaps``."""
        column = [] if half is None else [f"half_{half}"]
        rows = self.gaps.weights([*column, "group_no", "cohort"])
        shape = (1 + len(column), self.n_groups, len(self.cohorts), self.gaps.last_day + 1, 2)
        weights = np.zeros(shape, dtype=np.int64)
        halves = rows[column[0]] if column else np.zeros(len(rows["day"]), dtype=np.int64)
        cohort, ended = np.searchsorted(self.cohorts, rows["cohort"]), rows["returned"].astype(int)
        weights[halves, rows["group_no"], cohort, rows["day"], ended] = rows["weight"]
        return weights

    def customers_at_risk(self) -> IntArray:
        """Customers with a gap that reaches a day; see ``GroupedGaps``."""
        rows = self.gaps.longest(["group_no", "cohort"])
        ends = np.zeros((self.n_groups, len(self.cohorts), self.gaps.last_day + 1), dtype=np.int64)
        ends[rows["group_no"], np.searchsorted(self.cohorts, rows["cohort"]), rows["longest"]] = rows["customers"]
        return from_day_on(ends)

    def sums_of_squares(self, values: Mapping[int, Sequence[DayValues]]) -> dict[int, FloatArray]:
        """Sums of squares over customers; see ``GroupedGaps``."""
        squares = {group: np.zeros((len(own), len(self.cohorts))) for group, own in values.items()}
        for (cohort, group), sums in self.gaps.sums_of_squares(values, group="group_no", by="cohort").items():
            squares[group][:, np.searchsorted(self.cohorts, cohort)] = sums
        return squares


@dataclass(frozen=True, slots=True, eq=False)
class GapsInMemory:
    """All gaps of a population that count, customer by customer, fetched once for many splits.

    A gap's place is the day on which it ends, plus ``last_day + 1`` where it ends in a return.

    Attributes:
        customer_no: Customers, ascending, shape (n_customers,).
        cohort: Number of the cohort of each, 0 first, same shape.
        halves: Half of each by number of the seed of the halves, shape (n_seeds, n_customers).
        weight: What each of a customer's gaps weighs in fixed point, shape (n_customers,).
        divisor: By what a customer's sum of day values is divided, same shape.
        longest: Day to which the longest gap lasts, same shape.
        gaps: How many a customer has, same shape.
        place: Places of the gaps, shape (n_gaps,).
        last_day: Gaps that are longer count as not ended on this day.
    """

    customer_no: IntArray
    cohort: IntArray
    halves: IntArray
    weight: IntArray
    divisor: FloatArray
    longest: IntArray
    gaps: IntArray
    place: IntArray
    last_day: int

    @classmethod
    def fetch(cls, gaps: WeightedGaps) -> GapsInMemory:
        """Fetches gaps whose labels are a population's members, with ``cohort``."""
        halves = [f"half_{number}" for number in range(OTHER_SEEDS + 1)]
        customers = gaps.engine.arrays(
            f"select l.customer_no, l.cohort, l.cycles, l.weight, {', '.join(halves)}\n"
            f"from {gaps.labels} l join everyone using (customer_no) order by l.customer_no"
        )
        rows = gaps.engine.arrays(gaps.in_order())
        number, place = rows["customer_no"], rows["place"]
        many = np.bincount(np.searchsorted(customers["customer_no"], number), minlength=len(customers["customer_no"]))
        having = many > 0
        chosen = {name: column[having] for name, column in customers.items()}
        longest = np.zeros(0, dtype=np.int64)
        if len(place):
            begins = np.flatnonzero(np.diff(number, prepend=-1))
            longest = np.maximum.reduceat(place % (gaps.last_day + 1), begins).astype(np.int64)
        alike = np.ones(len(longest))
        return cls(
            customer_no=chosen["customer_no"].astype(np.int64),
            cohort=np.unique(chosen["cohort"], return_inverse=True)[1],
            halves=np.stack([chosen[name] for name in halves]).astype(np.int8),
            weight=(alike * WEIGHT_UNIT).astype(np.int64) if gaps.typical_gap else chosen["weight"].astype(np.int64),
            divisor=alike if gaps.typical_gap else np.maximum(chosen["cycles"], 1).astype(np.float64),
            longest=longest,
            gaps=many[having],
            place=place,
            last_day=gaps.last_day,
        )

    def grouped(self, codes: Codes, *, n_groups: int) -> GroupedInMemory:
        """The gaps of labelled customers.

        Args:
            codes: Number of the group by customer number, -1 for customers who are left out.
            n_groups: Number of groups.
        """
        own = codes[self.customer_no]
        held = np.bincount(self.cohort[own >= 0], minlength=int(self.cohort.max(initial=-1)) + 1) > 0
        # Those who are left out are one more group, in any cohort.
        cohort = np.maximum(np.cumsum(held) - 1, 0)[self.cohort]
        return GroupedInMemory(
            self, np.where(own < 0, n_groups, own).astype(np.int64), cohort, n_groups, int(held.sum())
        )


@dataclass(frozen=True, slots=True, eq=False)
class GroupedInMemory:
    """Weighted gaps in memory.

    Attributes:
        gaps: The gaps.
        group: Number of the group of each customer, ``n_groups`` for one who is left out, shape (n_customers,).
        cohort: Number of the cohort of each, of those that labelled customers have, same shape.
        n_groups: Number of groups.
        n_cohorts: Number of cohorts.
    """

    gaps: GapsInMemory
    group: IntArray
    cohort: IntArray
    n_groups: int
    n_cohorts: int

    def life(self, *, half: int | None = None) -> IntArray:
        """Weights of gaps; see ``GroupedGaps``."""
        gaps, places = self.gaps, 2 * (self.gaps.last_day + 1)
        halves = np.zeros(len(self.group), dtype=np.int64) if half is None else gaps.halves[half].astype(np.int64)
        cells = self._cells * (1 if half is None else 2) + halves
        weights = np.zeros(self._n_cells * (1 if half is None else 2) * places, dtype=np.int64)
        np.add.at(weights, np.repeat(cells * places, gaps.gaps) + gaps.place, np.repeat(gaps.weight, gaps.gaps))
        shape = (self.n_groups + 1, self.n_cohorts, 1 if half is None else 2, 2, gaps.last_day + 1)
        return weights.reshape(shape)[:-1].transpose(2, 0, 1, 4, 3)

    def customers_at_risk(self) -> IntArray:
        """Customers with a gap that reaches a day; see ``GroupedGaps``."""
        length = self.gaps.last_day + 1
        ends = np.bincount(self._cells * length + self.gaps.longest, minlength=self._n_cells * length)
        return from_day_on(ends.reshape(self.n_groups + 1, self.n_cohorts, length)[:-1])

    def sums_of_squares(self, values: Mapping[int, Sequence[DayValues]]) -> dict[int, FloatArray]:
        """Sums of squares over customers; see ``GroupedGaps``.

        Values are in the same fixed point as in the engine, and their sums are exact.
        """
        length = self.gaps.last_day + 1
        stacked = np.array([[side_by_side(value, length) for value in own] for own in values.values()])
        fixed, units = in_fixed_point(stacked)
        of_groups = np.zeros((self.n_groups + 1, 2 * length, stacked.shape[1]))
        of_groups[list(values)] = fixed.transpose(0, 2, 1)
        lookup = of_groups.reshape(-1, stacked.shape[1])
        own = np.repeat((self.group * (2 * length)).astype(np.int32), self.gaps.gaps) + self.gaps.place
        begins = np.concatenate([[0], np.cumsum(self.gaps.gaps)])
        ends = csr_array((np.ones(len(own)), own, begins), shape=(len(self.group), len(lookup)))
        cells = (np.ones(len(self.group)), self._cells, np.arange(len(self.group) + 1))
        customers = csr_array(cells, shape=(len(self.group), self._n_cells)).T
        parts = []
        step = max(1, _AT_ONCE // max(1, len(self.group)))
        for first in range(0, stacked.shape[1], step):
            sums = np.trunc((ends @ lookup[:, first : first + step]) / self.gaps.divisor[:, None])
            parts.append(customers @ np.square(sums, out=sums))
        squares = np.concatenate(parts, axis=1).reshape(self.n_groups + 1, self.n_cohorts, -1)
        return {group: squares[group].T / own[:, None] ** 2 for group, own in zip(values, units, strict=True)}

    @property
    def _cells(self) -> IntArray:
        """Number of the group and cohort of each customer."""
        return self.group * self.n_cohorts + self.cohort

    @property
    def _n_cells(self) -> int:
        return (self.n_groups + 1) * self.n_cohorts


def from_day_on(numbers: FloatArray | IntArray) -> np.ndarray:
    """Sums of numbers by day, along the last axis, over that day and all later ones."""
    return np.flip(np.cumsum(np.flip(numbers, axis=-1), axis=-1), axis=-1)


def side_by_side(values: DayValues, length: int) -> FloatArray:
    """Values of gaps that do not end in a return on each of the first days, then of those that do, shape (2 * length,)."""
    return np.concatenate([values.censored[:length], values.event[:length]])


def in_fixed_point(values: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Values as 32-bit integers, each row along the last axis with a power of two of its own as unit; the units."""
    largest = np.abs(values).max(axis=-1)
    units = 2.0 ** (30 - np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
    return np.rint(values * units[..., None]).astype(np.int32), units


def weighted_gaps(
    engine: Engine, config: ExperimentConfig, population: Population, *, labels: str = "labels"
) -> tuple[WeightedGaps, WeightedGaps]:
    """What tells the share back and what tells the cycle of those back: twice the same gaps, but for labels known until a date.

    There the waits from the date, one a customer, tell the share, and the gaps that begin from then on tell the cycle: a curve of all
    gaps, those that span the date entering late, would mix customers oddly.

    Args:
        engine: Holds the population's tables; gets ``<labels>_begun`` for labels known until a date.
        config: The experiment.
        population: The labelled customers' population.
        labels: Name of the table of labelled customers, with the population's ``cycles`` and ``weight``.
    """
    typical_gap = config.cycle.advanced.effect == "typical_gap"
    suffix, last = population.suffix, population.last_day
    if population.until is None:
        gaps = WeightedGaps(engine, f"gaps_{suffix}", labels, typical_gap, last)
        return gaps, gaps
    begun = with_counts(engine, labels, f"begun_members_{suffix}", name=f"{labels}_begun")
    return (
        WeightedGaps(engine, f"waits_{suffix}", labels, typical_gap=True, last_day=last),
        WeightedGaps(engine, f"begun_{suffix}", begun, typical_gap, last),
    )


def gaps_in_engine(
    engine: Engine, config: ExperimentConfig, population: Population, *, n_groups: int
) -> tuple[GroupedGaps, ...]:
    """Gaps of the customers in the table ``labels``: what tells the share back and what tells the cycle; one where they are the same."""
    cohorts = engine.arrays("select distinct cohort from labels order by cohort")["cohort"]
    several = dict.fromkeys(weighted_gaps(engine, config, population))
    return tuple(GapsInEngine(gaps, n_groups, cohorts) for gaps in several)


def fetch_gaps(engine: Engine, config: ExperimentConfig, population: Population) -> tuple[GapsInMemory, ...]:
    """The same of all customers of a population, in memory; nothing where it has more than ``MAX_GAPS_IN_MEMORY``."""
    several = dict.fromkeys(weighted_gaps(engine, config, population, labels=f"members_{population.suffix}"))
    if sum(gaps.count() for gaps in several) > MAX_GAPS_IN_MEMORY:
        return ()
    return tuple(GapsInMemory.fetch(gaps) for gaps in several)


def with_counts(engine: Engine, labels: str, members: str, *, name: str) -> str:
    """Makes the table ``name`` of the labelled customers who are in ``members``, with its ``cycles`` and ``weight``; returns the name."""
    engine.execute(
        f"create or replace temp table {name} as select l.* replace (m.cycles as cycles, m.weight as weight)\n"
        f"from {labels} l join {members} m using (customer_no)"
    )
    return name


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f"l.{column}" for column in columns)
