"""Gaps of labelled customers and what they weigh: they stay in the engine, and sums over them come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import WEIGHT_UNIT
from segmentor.populations import Population
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
        self, lookups: Mapping[str, Mapping[int, Sequence[DayValues]]], *, by: str
    ) -> dict[tuple[int, ...], list[np.ndarray]]:
        """Sums over customers of the square of their sum of day values, weighted.

        Values are summed in fixed point, each with a power of two of its own as unit.

        Args:
            lookups: Columns of the labels, and for each number that stands in them the day values of its customers; the gaps of any
                other number are left out.
            by: Column of the labels by which customers are summed.

        Returns:
            By number of ``by`` and then of each of the columns: one array a column, shape (n_values,).
        """
        length = self.last_day + 1
        units, joins, sums = {}, [], []
        for at, (column, values) in enumerate(lookups.items()):
            stacked = np.array(
                [[np.concatenate([v.censored[:length], v.event[:length]]) for v in own] for own in values.values()]
            )
            largest = np.abs(stacked).max(axis=2)
            unit = 2.0 ** (30 - np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
            fixed = np.rint(stacked * unit[:, :, None]).astype(np.int32)
            # One integer finds the values of a gap: this join is most of what a trial takes.
            place = np.arange(2 * length, dtype=np.int32)
            places = np.concatenate([2 * length * np.int32(number) + place for number in values])
            name = f"influence_{at}"
            self.engine.put(name, {"place": places} | {f"v{k}": fixed[:, k].ravel() for k in range(fixed.shape[1])})
            joins.append(f"join {name} i{at} on i{at}.place = p.place + {2 * length} * p.{column}")
            sums += [f"cast(sum(i{at}.v{k}) as bigint) as x{at}_{k}" for k in range(fixed.shape[1])]
            units[column] = dict(zip(values, unit, strict=True))
        names = [text.rpartition(" ")[2] for text in sums]
        columns = _listed([by, *lookups])
        divisor = "1" if self.typical_gap else "greatest(l.cycles, 1)"
        rows = self.engine.rows(
            f"with placed as (\n  select g.customer_no, {_listed(list(lookups))},\n"
            f"    {self._day} + case when {self._returned} then {length} else 0 end as place\n  {self._joined}),\n"
            f"summed as (select p.customer_no, {', '.join(sums)}\n"
            f"  from placed p {' '.join(joins)} group by p.customer_no),\n"
            f"customers as (select {columns}, {', '.join(f'{x} // {divisor} as {x}' for x in names)}\n"
            f"  from summed join {self.labels} l using (customer_no))\n"
            f"select {columns.replace('l.', '')}, {', '.join(f'sum(cast({x} as hugeint) * {x})' for x in names)}\n"
            "from customers group by all"
        )
        found = {}
        for row in rows:
            key, squares = row[: 1 + len(lookups)], iter(row[1 + len(lookups) :])
            found[key] = [
                np.array([float(next(squares)) for _ in unit[number]]) / unit[number] ** 2
                for unit, number in zip(units.values(), key[1:], strict=True)
            ]
        return found

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
