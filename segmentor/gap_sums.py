"""Gaps of labelled customers and what they weigh: they stay in the engine, and sums over them come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import WEIGHT_UNIT
from segmentor.populations import Population
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.survival import DayValues

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


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


def with_counts(engine: Engine, labels: str, members: str, *, name: str) -> str:
    """Makes the table ``name`` of the labelled customers who are in ``members``, with its ``cycles`` and ``weight``; returns the name."""
    engine.execute(
        f"create or replace temp table {name} as select l.* replace (m.cycles as cycles, m.weight as weight)\n"
        f"from {labels} l join {members} m using (customer_no)"
    )
    return name


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f"l.{column}" for column in columns)
