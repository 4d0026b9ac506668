"""The effect of a split again in parts of the customers and of the time: does it hold everywhere, and without the largest customers?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import WEIGHT_UNIT, period_name
from segmentor.effects import MIN_AT_RISK, Effects, cohort_weights
from segmentor.errors import StatisticsError
from segmentor.gap_sums import WeightedGaps, side_by_side, weighted_gaps, with_counts
from segmentor.labelling import PowerSums, power_sums
from segmentor.populations import SCORE_UNIT, Population
from segmentor.result import GroupEffect, Interval, Subset
from segmentor.result.codes import SUBSETS
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.effects import PairIntervals, pair_intervals
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.score_tests import NullLaw, null_law, smallest_p_value
from segmentor.statistics.survival import (
    LifeTable,
    mean_cycle,
    mean_cycle_influence,
    survival,
    survival_influence,
)

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

MIN_LASTING = 10
"""Gaps that reach the horizon in each group of the pair, below which a part is not read there."""

MIN_TESTED = 30
"""Customers in a group, below which closed forms are too rough for its p."""

DRAWS = 2_000
"""For the joint law of the scores in a part: p within 2 % is near enough for a table."""

LARGEST = 10
"""Customers who are left out for being the largest."""

MAX_PERIODS = 12
MIN_IN_MONTH = 200
"""Labelled customers in every month, below which quarters are looked at."""

MIN_DAYS_FOR_SEASONS = 365

SEASONS = SUBSETS["season"]
"""From December on, three months each."""

KEYS = ("group_no", "cohort", "month", "half", "region", "largest")
"""What makes a cell: ``month`` of time zero (12 * year + month - 1), ``region`` or -1, and 0 or the place among the largest customers."""

INFLUENCES = {"share": survival_influence, "cycle": mean_cycle_influence}
"""Of the survival at the horizon and of the mean cycle of those back by then."""

Measured = dict[str, tuple[FloatArray, FloatArray]]
"""By ``share`` and ``cycle``: estimates (share back, log mean cycle) and standard errors of the pair's groups, shapes (2,)."""


def measure_robustness(
    engine: Engine,
    config: ExperimentConfig,
    population: Population,
    groups: Sequence[GroupEffect],
    effects: Effects,
    *,
    carrying: tuple[int, int],
    observed_until: int,
    regions: str | None,
) -> tuple[Subset, ...]:
    """The effect of one pair, and the test of the split, in each part of the customers and of the time.

    Intervals are of the pair alone, standardised over the cohorts of the part. Of a kind with one part only, which is the whole,
    nothing is said.

    Args:
        engine: Holds ``labels`` and the population's tables.
        config: The experiment.
        population: The labelled customers' population.
        groups: The groups in their order.
        effects: Their effects.
        carrying: Index of the pair that carries the verdict, and 0 where its ratio does or 1 where its share back does.
        observed_until: Day number of the last day of observation.
        regions: Table of ``customer_no`` and ``value``; ``None`` where no region is known.

    Returns:
        By kind: ``cohort``, ``season``, ``region``, ``half of customers``, ``half of period``, ``largest customers``.
    """
    names = [group.name for group in groups]
    pair = effects.pairs[carrying[0]]
    cells = _cells(engine, population, observed_until=observed_until, regions=regions)
    kinds = [parts for parts in _kinds(cells) if len(parts) > 1]
    kinds.append([_Part("largest customers", f"without the {LARGEST} largest", cells.key("largest") == 0)])
    compared = _Compared.of(engine, cells, first=names.index(pair.first), second=names.index(pair.second))

    found = {part: Measured() for parts in kinds for part in parts}
    returns, cycles = weighted_gaps(engine, config, population, labels=compared.labels)
    sources = {returns: ["share", "cycle"]} if returns == cycles else {returns: ["share"], cycles: ["cycle"]}
    for gaps, measures in sources.items():
        for part, measured in compared.measure(gaps, effects.horizon_days, kinds, measures).items():
            found[part].update(measured)
    whole = (effects.log_ratios.difference[carrying[0]], effects.shares.difference[carrying[0]])[carrying[1]]

    def subset(part: _Part, measured: Measured, *, customers: int, p_value: float | None) -> Subset:
        ratio, share = (_intervals(measured, measure) for measure in ("cycle", "share"))
        carries = (ratio, share)[carrying[1]]
        return Subset(
            kind=part.kind,
            name=part.name,
            customers=customers,
            ratio=None if ratio is None else Interval(*np.exp(_bounds(ratio)).tolist()),
            share_difference=None if share is None else Interval(*_bounds(share)),
            p_value=p_value,
            agrees=None if carries is None else bool(carries.difference[0] * whole > 0),
        )

    of_customers = [
        subset(part, measured, customers=cells.size(part.cells), p_value=_joint_p(cells.smallest_p(part.cells)))
        for part, measured in found.items()
    ]
    of_period = [
        subset(part, measured, customers=customers, p_value=None)
        for part, measured, customers in _halves_of_period(
            engine, compared, cycles, population, effects.horizon_days, measures=sources[cycles]
        )
    ]
    return (*of_customers[:-1], *of_period, of_customers[-1], _leave_one_out(cells))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some of the cells.

    Attributes:
        kind: What distinguishes the parts of its kind.
        name: Which it is.
        cells: Whether a cell belongs to it, shape (n_cells,).
    """

    kind: str
    name: str
    cells: np.ndarray


@dataclass(frozen=True, slots=True)
class _Cells:
    """Labelled customers who are alike in all that parts are made of. All arrays have a row a cell.

    Attributes:
        keys: What they are alike in, in the order of ``KEYS``.
        cohort: Number of the cohort, 0 first.
        scores: Sums of their scores.
        regions: Names of the regions.
        longest: Longest follow-up of all, in days.
    """

    keys: IntArray
    cohort: IntArray
    scores: PowerSums
    regions: tuple[str, ...]
    longest: int

    def key(self, name: str) -> IntArray:
        """One of the keys, shape (n_cells,)."""
        return self.keys[:, KEYS.index(name)]

    @property
    def group(self) -> IntArray:
        """Number of the group."""
        return self.key("group_no")

    @property
    def customers(self) -> IntArray:
        """How many."""
        return self.scores.customers

    def size(self, chosen: np.ndarray) -> int:
        """Customers in the chosen cells."""
        return int(self.customers[chosen].sum())

    def smallest_p(self, chosen: np.ndarray) -> tuple[float, NullLaw] | None:
        """Smallest p of the scores among the customers of the chosen cells, groups of fewer than ``MIN_TESTED`` left out.

        ``None`` where two groups do not remain, or their customers are all alike.
        """
        in_group = np.bincount(self.group[chosen], self.customers[chosen], int(self.group.max()) + 1)
        chosen = chosen & (in_group >= MIN_TESTED)[self.group]
        if (in_group >= MIN_TESTED).sum() < 2:
            return None
        own = np.flatnonzero(chosen)
        parts = self.scores.of_groups(own, self.group[own], self.cohort[own], n_groups=len(in_group))
        linear = linear_statistic(GroupSums.from_power_sums(*parts, scale=SCORE_UNIT))
        try:
            law = null_law(linear)
        except StatisticsError:
            return None
        return float(np.nanmin(law.p_values(law.lengths(linear.deviation)))), law


def _cells(engine: Engine, population: Population, *, observed_until: int, regions: str | None) -> _Cells:
    """Makes the table ``placed_customers`` and sums scores by its cells."""
    count = len(population.scores)
    scores = f"labels l join scores_{population.suffix} s using (customer_no)"
    ((longest, *squares),) = engine.rows(
        f"select max(follow_up), {', '.join(f'sum(cast(s{i} as hugeint) * s{i})' for i in range(count))} from {scores}"
    )
    sizes = [f"abs(s{i}) / {float(total) ** 0.5!r}" for i, total in enumerate(squares) if total]
    known = (
        [] if regions is None else [name for (name,) in engine.rows(f"select distinct value from {regions} order by 1")]
    )
    engine.put("region_names", {"value": np.array(known, dtype=object), "region": np.arange(len(known))})
    engine.execute(
        "create or replace temp table largest_customers as\n"
        "select customer_no, row_number() over (order by size desc, customer_no) as largest from (\n"
        f"  select customer_no, greatest({', '.join([*sizes, '0.0'])}) as size from {scores}\n"
        f"  order by size desc, customer_no limit {LARGEST})"
    )
    zero = f"date '1970-01-01' + cast({observed_until} - l.follow_up as integer)"
    region = "-1" if regions is None else "coalesce(r.region, -1)"
    joined = (
        ""
        if regions is None
        else f"left join (select customer_no, region from {regions} join region_names using (value)) r using (customer_no)"
    )
    engine.execute(
        "create or replace temp table placed_customers as\n"
        "select l.customer_no, l.cycles, l.weight, l.group_no, l.cohort, year(l.zero) * 12 + month(l.zero) - 1 as month,\n"
        f"  l.half_0 as half, {region} as region, coalesce(b.largest, 0) as largest\n"
        f"from (select l.*, {zero} as zero from labels l) l left join largest_customers b using (customer_no)\n{joined}"
    )
    keys, sums = power_sums(engine, population, KEYS, customers="placed_customers")
    return _Cells(
        keys=keys,
        cohort=np.unique(keys[:, KEYS.index("cohort")], return_inverse=True)[1],
        scores=sums.in_floats(),
        regions=tuple(known),
        longest=longest,
    )


def _kinds(cells: _Cells) -> Iterator[list[_Part]]:
    """Parts of all customers, kind by kind; those of one kind have no customer in common."""
    yield _periods(cells)
    if cells.longest >= MIN_DAYS_FOR_SEASONS:
        yield _parts("season", (cells.key("month") % 12 + 1) % 12 // 3, dict(enumerate(SEASONS)))
    yield _parts("region", cells.key("region"), dict(enumerate(cells.regions)))
    yield _parts("half of customers", cells.key("half"), dict(enumerate(SUBSETS["half of customers"])))


def _periods(cells: _Cells) -> list[_Part]:
    """Months of time zero where each has customers enough and they are few, else quarters, else years."""
    month = cells.key("month")
    customers = np.bincount(month - month.min(), cells.customers)
    in_month = customers[customers > 0]
    if len(in_month) <= MAX_PERIODS and in_month.min() >= MIN_IN_MONTH:
        length = 1
    else:
        length = 3 if len(np.unique(month // 3)) <= MAX_PERIODS else 12
    numbers = month // length
    return _parts("cohort", numbers, {number: period_name(number, length) for number in set(numbers.tolist())})


def _parts(kind: str, numbers: IntArray, names: Mapping[int, str]) -> list[_Part]:
    parts = [_Part(kind, names[number], numbers == number) for number in sorted(names)]
    return [part for part in parts if part.cells.any()]


@dataclass(frozen=True, slots=True)
class _Compared:
    """The customers of the pair's groups.

    Attributes:
        labels: Name of their table: ``customer_no``, ``cycles``, ``weight``, ``cell``.
        cells: All cells.
        which: By cell: 0 in the first group of the pair, 1 in the second, -1 in none.
    """

    labels: str
    cells: _Cells
    which: IntArray

    @classmethod
    def of(cls, engine: Engine, cells: _Cells, *, first: int, second: int) -> _Compared:
        """Makes the table."""
        which = np.select([cells.group == first, cells.group == second], [0, 1], -1)
        numbers = np.flatnonzero(which >= 0)
        keys = {name: cells.keys[numbers, at] for at, name in enumerate(KEYS)}
        engine.put("compared_cells", {"cell": numbers.astype(np.int32)} | keys)
        engine.execute(
            "create or replace temp table compared as\n"
            f"select l.customer_no, l.cycles, l.weight, c.cell from placed_customers l join compared_cells c using ({', '.join(KEYS)})"
        )
        return cls("compared", cells, which)

    def measure(
        self, gaps: WeightedGaps, horizon: int, kinds: Sequence[Sequence[_Part]], measures: Sequence[str]
    ) -> dict[_Part, Measured]:
        """Estimates of both groups at the horizon in the parts that hold enough of their customers.

        Args:
            gaps: Of the compared customers.
            horizon: Day at which they are read.
            kinds: The parts, kind by kind.
            measures: ``share``, ``cycle`` or both.
        """
        placed = _Placed.of(replace(gaps, last_day=horizon), len(self.which))
        standards: dict[_Part, tuple[FloatArray, list[LifeTable]]] = {}
        values = np.zeros((len(kinds), len(measures), len(placed.cell)))
        for kind, part in ((kind, part) for kind, parts in enumerate(kinds) for part in parts):
            if (standard := self._standardised(part, placed)) is None:
                continue
            standards[part] = standard
            for group, table in enumerate(standard[1]):
                own = (part.cells & (self.which == group))[placed.cell]
                for at, measure in enumerate(measures):
                    influence = side_by_side(INFLUENCES[measure](table, horizon), horizon + 1)
                    values[kind, at, own] = influence[placed.within[own]]
        if not standards:
            return {}
        squares = placed.sums_of_squares(values)
        found = {}
        for kind, part in ((kind, part) for kind, parts in enumerate(kinds) for part in parts if part in standards):
            weights, tables = standards[part]
            of_cells = squares[kind] * weights**2
            errors = np.sqrt([of_cells[:, self.which == group].sum(axis=1) for group in (0, 1)])
            found[part] = _estimates(tables, errors, horizon, measures)
        return found

    def _standardised(self, part: _Part, placed: _Placed) -> tuple[FloatArray, list[LifeTable]] | None:
        """Weight of a customer by cell, 0 outside of the part, and both groups' tables; ``None`` where there are too few customers."""
        own = np.flatnonzero(part.cells & (self.which >= 0))
        which, cohort = self.which[own], self.cells.cohort[own]
        customers, lasting = np.zeros((2, 2, int(self.cells.cohort.max()) + 1), dtype=np.int64)
        np.add.at(customers, (which, cohort), placed.customers[own])
        np.add.at(lasting, (which, cohort), placed.lasting[own])
        shared = (customers > 0).all(axis=0)
        if customers[:, shared].sum(axis=1).min() < MIN_AT_RISK or lasting[:, shared].sum(axis=1).min() < MIN_LASTING:
            return None
        weights = np.zeros(len(self.which))
        weights[own] = cohort_weights(np.where(shared, customers, 0))[which, cohort]
        tables = []
        for group in (0, 1):
            censored, events = np.split(np.where(self.which == group, weights, 0.0) @ placed.life, 2)
            tables.append(LifeTable(events=events, censored=censored, entered=np.zeros(len(events))))
        return (weights, tables) if all(table.events.any() for table in tables) else None


@dataclass(frozen=True, slots=True)
class _Placed:
    """Gaps by cell and the day on which they end.

    Attributes:
        gaps: Where they lie.
        place: Places with a gap, see ``WeightedGaps.place``, shape (n_places,).
        cell: Cell of the place, same shape.
        within: Place within the cell, same shape.
        life: Weights of gaps by cell and place within it, shape (n_cells, 2 * (last_day + 1)).
        customers: By cell, those with a gap, shape (n_cells,).
        lasting: Their gaps that reach the last day, same shape.
    """

    gaps: WeightedGaps
    place: IntArray
    cell: IntArray
    within: IntArray
    life: FloatArray
    customers: IntArray
    lasting: IntArray

    @classmethod
    def of(cls, gaps: WeightedGaps, n_cells: int) -> _Placed:
        """Places the gaps of the compared customers."""
        rows = gaps.place("cell")
        length = gaps.last_day + 1
        cell, within = np.divmod(rows["place"], 2 * length)
        life = np.zeros((n_cells, 2 * length))
        life[cell, within] = rows["weight"] / WEIGHT_UNIT
        customers, lasting = np.zeros((2, n_cells), dtype=np.int64)
        for number, several in gaps.engine.rows(f"select cell, count(*) from {gaps.labels} group by cell"):
            customers[number] = several
        ends = within % length == gaps.last_day
        np.add.at(lasting, cell[ends], rows["gaps"][ends])
        return cls(gaps, rows["place"], cell, within, life, customers, lasting)

    def sums_of_squares(self, values: FloatArray) -> FloatArray:
        """By kind, measure and cell, of values by kind, measure and place."""
        kinds, measures, places = values.shape
        numbers, sums = self.gaps.squares_of_placed(self.place, values.reshape(-1, places), by="cell")
        squares = np.zeros((kinds, measures, len(self.customers)))
        squares[:, :, numbers] = sums.reshape(kinds, measures, -1)
        return squares


def _estimates(tables: Sequence[LifeTable], errors: FloatArray, horizon: int, measures: Sequence[str]) -> Measured:
    """Share back and log mean cycle of two groups; ``errors`` of the share and of the mean have shape (2, n_measures)."""
    curves = [survival(table) for table in tables]
    found = Measured()
    for at, measure in enumerate(measures):
        if measure == "share":
            found[measure] = np.array([1 - curve[horizon] for curve in curves]), errors[:, at]
        else:
            means = np.array([mean_cycle(curve, horizon) for curve in curves])
            found[measure] = np.log(means), errors[:, at] / means
    return found


def _halves_of_period(
    engine: Engine,
    compared: _Compared,
    gaps: WeightedGaps,
    population: Population,
    horizon: int,
    *,
    measures: Sequence[str],
) -> list[tuple[_Part, Measured, int]]:
    """The two halves of the time in which gaps begin, with the number of customers who have one.

    The earlier half is as seen on the middle day, so that its gaps weigh as those of any observation that ends.
    """
    source = gaps.table
    first, last = engine.rows(f"select min(begins), max(begins + duration) from {source}")[0]
    middle = (first + last) // 2
    halves = {
        "earlier": f"least(duration, {middle} - begins) as duration, event_observed and begins + duration <= {middle} as event_observed\n"
        f"from {source} where begins < {middle}",
        "later": f"duration, event_observed from {source} where begins >= {middle}",
    }
    found = []
    for name, selected in halves.items():
        table = f"{name}_{population.suffix}"
        engine.execute(f"create table if not exists {table} as select customer_no, {selected}")
        engine.execute(
            f"create table if not exists {name}_members_{population.suffix} as\n"
            "select customer_no, count(*) filter (event_observed) as cycles,\n"
            f"  {WEIGHT_UNIT} // greatest(count(*) filter (event_observed), 1) as weight from {table} group by customer_no"
        )
        members = f"{name}_members_{population.suffix}"
        labels = with_counts(engine, compared.labels, members, name=f"{compared.labels}_{name}")
        part = _Part("half of period", name, np.ones(len(compared.which), dtype=bool))
        measured = compared.measure(replace(gaps, table=table, labels=labels), horizon, [[part]], measures).get(
            part, Measured()
        )
        ((customers,),) = engine.rows(f"select count(*) from labels join {members} using (customer_no)")
        found.append((part, measured, customers))
    return found


def _leave_one_out(cells: _Cells) -> Subset:
    """The largest p where one of the largest customers is left out, each in turn: scores are taken off, the hazard stays."""
    largest = cells.key("largest")
    left_out = [cells.smallest_p(largest != place) for place in np.unique(largest[largest > 0])]
    known = [one for one in left_out if one is not None]
    return Subset(
        kind="largest customers",
        name=f"without any one of the {LARGEST} largest",
        customers=int(cells.customers.sum()) - 1,
        ratio=None,
        share_difference=None,
        p_value=_joint_p(max(known, key=lambda one: one[0], default=None)) if len(known) == len(left_out) else None,
        agrees=None,
    )


def _joint_p(smallest: tuple[float, NullLaw] | None) -> float | None:
    """Of the split's test."""
    return None if smallest is None else smallest_p_value(*smallest, draws=DRAWS)


def _intervals(measured: Measured, measure: str) -> PairIntervals | None:
    """Of the pair's difference; ``None`` where it is not known or has no variance."""
    if measure not in measured:
        return None
    intervals = pair_intervals(*measured[measure])
    return intervals if np.isfinite([intervals.difference[0], intervals.low[0]]).all() else None


def _bounds(intervals: PairIntervals) -> tuple[float, float, float]:
    return float(intervals.difference[0]), float(intervals.low[0]), float(intervals.high[0])
