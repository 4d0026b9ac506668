"""What else differs between the groups of a split: what they spend, buy and when, where they live and how they came."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from segmentor.attributes import customer_attribute, discount_condition, line_column, text_of
from segmentor.engine.duckdb import literal, quote
from segmentor.errors import StatisticsError
from segmentor.result import Habit, Interval
from segmentor.result.trial import Unit
from segmentor.statistics.arrays import IntArray
from segmentor.statistics.cohort_means import CohortMeans, cohort_means
from segmentor.statistics.linear import GroupSums, linear_statistic
from segmentor.statistics.multiplicity import benjamini_yekutieli
from segmentor.statistics.score_tests import needs_permutation, test_scores, type_iii_p
from segmentor.statistics.two_sample import Sample, hedges_g, welch_difference

if TYPE_CHECKING:
    from segmentor.attributes import Attribute, CustomerKind, LineKind
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns, TimeZero
    from segmentor.engine.duckdb import Engine
    from segmentor.result import GroupEffect, Trial
    from segmentor.splits import Split

MIN_KNOWN = 30
"""Customers of a group whose habit is known, below whom the group takes no part in its test."""

MAX_CATEGORIES = 8
"""Categories whose shares are habits: the largest by lines."""

UNIT = 2**20
"""Fixed-point scale of a customer's habit: cubes stay within 64 bits."""

MONEY = 10_000
"""Units of a sum of money or pieces: the tables hold four decimals."""

CUSTOMER_KINDS: tuple[CustomerKind, ...] = ("region", "channel")

LINE_KINDS: tuple[LineKind, ...] = ("category", "region", "channel")


OCCASIONS = "habit_occasions"
"""Table of a row an occasion, with what was bought on it in whole numbers."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A habit that each customer has as a number: the mean of a number of each occasion, or a share.

    Attributes:
        name: Of the habit.
        unit: ``money``, ``items`` or ``share``.
        parts: SQL over the rows of ``OCCASIONS``: what is summed.
        whole: SQL aggregate over them: what the sum is divided by.
        bounded: Whether what an occasion counts has a bound.
        worth: What a score of 1 means in the unit; of what has a bound, what 1 in ``parts`` means.
    """

    name: str
    unit: Unit
    parts: str = ""
    whole: str = ""
    bounded: bool = False
    worth: float = 1.0


@dataclass(frozen=True, slots=True)
class HabitSources:
    """What habits can be made of.

    Attributes:
        measures: What is summed over the occasions of ``OCCASIONS``.
        attributes: What is fixed for customers, by kind.
    """

    measures: tuple[Measure, ...]
    attributes: tuple[tuple[str, Attribute], ...]


@dataclass(frozen=True, slots=True)
class HabitScores:
    """The habits of customers from one time zero on, before any label is seen.

    Attributes:
        table: Holds ``customer_no`` and ``h0``, ``h1``, ..., fixed point (``UNIT`` is 1), a row a customer who came back; NULL
            where it is not known.
        measures: What the columns are.
        attributes: What is fixed for customers, by kind.
    """

    table: str
    measures: tuple[Measure, ...]
    attributes: tuple[tuple[str, Attribute], ...]


def prepare_habits(engine: Engine, config: ExperimentConfig, columns: Columns) -> HabitSources:
    """Makes ``OCCASIONS`` and the tables of attributes, once for all time zeros.

    Where a channel or a region is not fixed for customers and stands on the lines, its shares of the lines are habits, like
    those of the largest categories.

    Args:
        engine: Holds the tables of ``cycles``.
        config: The experiment.
        columns: Columns of its tables.
    """
    attributes, line_kinds = [], [*LINE_KINDS]
    for kind in CUSTOMER_KINDS:
        if (attribute := customer_attribute(engine, config, columns, kind)) is not None:
            attributes.append((kind, attribute))
            line_kinds.remove(kind)
    mixes = [mix for kind in line_kinds if (mix := _mix(engine, config, columns, kind)) is not None]
    discounted = discount_condition(config, columns)
    _sum_occasions(engine, config, mixes, discounted or "false")
    roles = config.data.transactions.columns
    possible = (
        ("amount" in roles, Measure("order value", "money", "amount", "count(amount)", bounded=True, worth=1 / MONEY)),
        (True, Measure("items per order", "items", "pieces", "count(*)", bounded=True, worth=1 / MONEY)),
        ("product" in roles, Measure("products per order", "items", "products", "count(*)", bounded=True)),
        (discounted is not None, Measure("discount share", "share", "discounted", "sum(lines)")),
        (True, Measure("weekend share", "share", "cast(weekend as integer)", "count(*)")),
    )
    shares = (
        Measure(f"{mix.kind}: {value}", "share", f"{mix.kind}_{place}", f"sum({mix.kind}_known)")
        for mix in mixes
        for place, value in enumerate(mix.values)
    )
    return HabitSources((*(measure for told, measure in possible if told), *shares), tuple(attributes))


def score_habits(engine: Engine, sources: HabitSources, zero: TimeZero) -> HabitScores:
    """Makes ``habits_<suffix>``: what customers do on the occasions after time zero.

    A label that is made of the first purchases is thereby not tested on itself; and a habit is one of those who came back.
    Money and pieces of an occasion above their 99th percentile, or five times their median where that is more, count as
    that much: one wholesale order must not make a mean.

    Args:
        engine: Holds the tables that ``prepare_habits`` made.
        sources: What it said.
        zero: When labels are known.
    """
    after = f"number > {zero.purchases}" if zero.until is None else f"start >= {zero.until}"
    measures, scores = [], []
    for number, measure in enumerate(sources.measures):
        bound = _bound(engine, measure.parts, after) if measure.bounded else 1
        parts = f"least({measure.parts}, {bound})" if measure.bounded else measure.parts
        measures.append(replace(measure, worth=measure.worth * bound))
        scores.append(f"{_mean(parts, measure.whole, bound)} as h{number}")
    table, listed = f"habits_{zero.suffix}", ",\n  ".join(scores)
    engine.execute(
        f"create or replace table {table} as select e.customer_no,\n  {listed}\n"
        f"from {OCCASIONS} o join everyone e using (customer) where {after} group by e.customer_no"
    )
    return HabitScores(table, tuple(measures), sources.attributes)


def measure_habits(
    engine: Engine, scores: HabitScores, split: Split, groups: Sequence[GroupEffect]
) -> tuple[Habit, ...]:
    """Tests each habit among the labelled customers of whom it is known, within cohorts, and measures the pair furthest apart.

    Habits in which customers of one cohort do not vary are left out, and so is an attribute of which the split is made. Groups
    with fewer than ``MIN_KNOWN`` such customers take no part and have no mean. Means are adjusted for cohorts, as the test is; intervals hold for
    all pairs of groups at once.

    Args:
        engine: Holds the table ``labels`` (``customer_no``, ``group_no``, ``cohort``) of the split.
        scores: Habits from the split's time zero on.
        split: The split.
        groups: Its groups, in the order of their numbers.

    Returns:
        The habits, the surest first; not adjusted yet (``p_adjusted`` is ``p_value``).

    References:
        Sidak (1967), J. Amer. Statist. Assoc. 62, 626-633 (intervals for all pairs).
    """
    habits = []
    for sums in (*_measured(engine, scores, len(groups)), *_attributed(engine, scores, split, len(groups))):
        habit = _habit(sums, [group.name for group in groups])
        if habit is not None:
            habits.append(habit)
    return tuple(sorted(habits, key=_surest))


def adjust_habits(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials with the p-values of their habits adjusted over all habits of all trials, the surest first."""
    p_values = np.array([habit.p_value for trial in trials for habit in trial.habits])
    adjusted = iter(benjamini_yekutieli(p_values).tolist())
    return tuple(
        replace(
            trial,
            habits=tuple(sorted((replace(habit, p_adjusted=next(adjusted)) for habit in trial.habits), key=_surest)),
        )
        for trial in trials
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Power sums of the fixed-point scores of one habit.

    Attributes:
        measure: The habit.
        customers: By group and cohort, integers.
        sums: By group and cohort, Python integers.
        squares: By group and cohort, Python integers.
        cubes: By group and cohort, Python integers.
        scale: Units in a score of 1.
    """

    measure: Measure
    customers: IntArray
    sums: np.ndarray
    squares: np.ndarray
    cubes: np.ndarray
    scale: int

    def of_groups(self, numbers: IntArray) -> _Sums:
        """Only those groups."""
        return replace(
            self,
            customers=self.customers[numbers],
            sums=self.sums[numbers],
            squares=self.squares[numbers],
            cubes=self.cubes[numbers],
        )

    @property
    def for_test(self) -> GroupSums:
        """What the test needs."""
        return GroupSums.from_power_sums(
            self.customers,
            self.sums[None],
            self.squares.sum(axis=0)[None, None],
            self.cubes.sum(axis=0)[None],
            scale=self.scale,
        )

    @property
    def means(self) -> CohortMeans:
        """Adjusted means in the habit's unit."""
        worth = self.measure.worth / self.scale
        numbers = np.maximum(self.customers, 1).astype(object)
        squares = (self.squares * numbers - self.sums * self.sums) / numbers
        return cohort_means(
            self.customers, self.sums.astype(np.float64) * worth, squares.astype(np.float64).sum(axis=1) * worth**2
        )


def _habit(sums: _Sums, names: Sequence[str]) -> Habit | None:
    """The habit with its test and its effect; ``None`` where there is nothing to test."""
    taking_part = np.flatnonzero(sums.customers.sum(axis=1) >= MIN_KNOWN)
    part = sums.of_groups(taking_part)
    if len(taking_part) < 2 or (p_value := _p_value(part.for_test)) is None:
        return None
    found = part.means
    apart = np.where(found.comparable, np.abs(found.means[:, None] - found.means), -1.0)
    first, second = sorted(divmod(int(apart.argmax()), len(taking_part)))
    samples = [
        Sample(max(2, int(found.effective[one, other])), float(found.means[one]), float(found.variances[one]))
        for one, other in ((first, second), (second, first))
    ]
    # The pair was chosen for its distance: Sidak's level holds for all pairs at once.
    level = 0.95 ** (1 / math.comb(len(taking_part), 2))
    means: list[float | None] = [None] * len(names)
    for number, mean in zip(taking_part.tolist(), found.means.tolist(), strict=True):
        means[number] = mean
    return Habit(
        name=sums.measure.name,
        unit=sums.measure.unit,
        customers=int(part.customers.sum()),
        means=tuple(means),
        first=names[taking_part[first]],
        second=names[taking_part[second]],
        difference=Interval.of(*welch_difference(*samples, level=level).difference),
        standardised=Interval.of(*hedges_g(*samples, level=level)),
        p_value=p_value,
        p_adjusted=p_value,
    )


def _p_value(sums: GroupSums) -> float | None:
    """Of the linear statistic; ``None`` where customers of one cohort do not vary.

    With several groups, one of them small, the chi-square tail of skewed scores is too short: the surest group against the
    rest by its type III tail, Bonferroni-adjusted, must be as sure.
    """
    try:
        tests = test_scores(sums)
    except StatisticsError:
        return None
    if not needs_permutation(sums, tests):
        return tests.p_value
    linear = linear_statistic(sums)
    variance = np.diag(linear.covariance[0, 0])
    varies = variance > 0
    spread = np.sqrt(variance[varies])
    single = type_iii_p(linear.deviation[0, varies] / spread, linear.third[0, varies] / spread**3)
    return max(tests.p_value, min(1.0, float(single.min()) * len(single)))


def _surest(habit: Habit) -> tuple[float, float, str]:
    return habit.p_value, -abs(habit.standardised.estimate or 0.0), habit.name


def _measured(engine: Engine, scores: HabitScores, n_groups: int) -> Iterator[_Sums]:
    """Power sums of every measure, in one pass over the customers."""
    powers = ("h{0}", "h{0} * h{0}", "h{0} * h{0} * h{0}")
    sums = ", ".join(
        ", ".join([f"count(h{number})", *(f"sum({power.format(number)})" for power in powers)])
        for number in range(len(scores.measures))
    )
    rows = engine.rows(
        f"select l.cohort, l.group_no, {sums} from labels l join {scores.table} using (customer_no) group by 1, 2"
    )
    cohorts = sorted({row[0] for row in rows})
    cells = np.zeros((4, len(scores.measures), n_groups, len(cohorts)), dtype=object)
    for cohort, group, *values in rows:
        place = cohorts.index(cohort)
        cells[:, :, group, place] = np.array([value or 0 for value in values], dtype=object).reshape(-1, 4).T
    for measure, (customers, totals, squares, cubes) in zip(scores.measures, cells.transpose(1, 0, 2, 3), strict=True):
        yield _Sums(measure, customers.astype(np.int64), totals, squares, cubes, scale=UNIT)


def _attributed(engine: Engine, scores: HabitScores, split: Split, n_groups: int) -> Iterator[_Sums]:
    """Counts of every value of what is fixed for customers, unless the split is made of it."""
    for kind, attribute in scores.attributes:
        if quote(attribute.column).lower() in split.label.lower():
            continue
        rows = engine.rows(
            "select l.cohort, l.group_no, a.value, count(*)\n"
            f"from labels l join {attribute.table} a using (customer_no) group by 1, 2, 3"
        )
        cohorts, values = (sorted({row[part] for row in rows}) for part in (0, 2))
        counts = np.zeros((len(values), n_groups, len(cohorts)), dtype=object)
        for cohort, group, value, count in rows:
            counts[values.index(value), group, cohorts.index(cohort)] = count
        known = counts.sum(axis=0).astype(np.int64)
        for value, own in zip(values, counts, strict=True):
            yield _Sums(Measure(f"{kind}: {value}", "share"), known, own, own, own, scale=1)


@dataclass(frozen=True, slots=True)
class _Mix:
    """A column of lines whose largest values are habits.

    Attributes:
        kind: What it says.
        value: SQL of its value, NULL where that is not known.
        values: The largest.
    """

    kind: str
    value: str
    values: tuple[str, ...]


def _mix(engine: Engine, config: ExperimentConfig, columns: Columns, kind: LineKind) -> _Mix | None:
    column = line_column(config, columns, kind)
    if column is None:
        return None
    value = text_of(quote(column))
    largest = engine.rows(
        f"select {value}, count(*) from _purchases where {value} is not null\n"
        f"group by 1 order by 2 desc, 1 limit {MAX_CATEGORIES}"
    )
    return _Mix(kind, value, tuple(name for name, _ in largest))


def _sum_occasions(engine: Engine, config: ExperimentConfig, mixes: Sequence[_Mix], discounted: str) -> None:
    """Makes ``OCCASIONS``: key (``customer``, ``number``), with ``start`` and sums over its lines.

    ``amount`` and ``pieces`` are in fixed point (``MONEY`` is 1); a line of an unknown quantity has one piece. For every mix the
    lines of each value, and those of which it is known.
    """
    roles = config.data.transactions.columns
    amount, pieces = (
        f"cast(round(cast({quote(roles[role])} as double) * {MONEY}) as bigint)" if role in roles else "null"
        for role in ("amount", "quantity")
    )
    flags = {
        name: condition
        for mix in mixes
        for name, condition in (
            (f"{mix.kind}_known", f"{mix.value} is not null"),
            *((f"{mix.kind}_{place}", f"{mix.value} = {literal(value)}") for place, value in enumerate(mix.values)),
        )
    }
    told = "".join(f",\n    {condition} as {name}" for name, condition in flags.items())
    counted = "".join(f", count(*) filter (s.{name}) as {name}" for name in flags)
    summed = "".join(f", cast(sum({name}) as bigint) as {name}" for name in flags)
    # Where the day itself is the occasion, as in most shops, it joins faster than the last one begun.
    begun, join = (">=", "asof join") if config.cycle.merge_within_days > 1 else ("=", "join")
    engine.execute(
        f"create or replace table {OCCASIONS} as with sold as (\n"
        f"  select _customer, _day, _product, {amount} as amount, {pieces} as pieces, {discounted} as discounted{told}\n"
        "  from _purchases),\n"
        "bought as (\n"
        "  select o._customer as customer, o._number as number, o._start as start, s._product as product, count(*) as lines,\n"
        f"    sum(s.amount) as amount, sum(greatest(coalesce(s.pieces, {MONEY}), 0)) as pieces,\n"
        f"    count(*) filter (s.discounted) as discounted{counted}\n"
        f"  from sold s {join} _occasions o on o._customer = s._customer and s._day {begun} o._start\n"
        "  group by o._customer, o._number, o._start, s._product)\n"
        "select customer, number, start, (start + 4) % 7 in (0, 6) as weekend, count(*) filter (product <> '') as products,\n"
        "  cast(sum(lines) as bigint) as lines, cast(sum(amount) as hugeint) as amount, cast(sum(pieces) as hugeint) as pieces,\n"
        f"  cast(sum(discounted) as bigint) as discounted{summed}\n"
        "from bought group by customer, number, start"
    )


def _bound(engine: Engine, parts: str, after: str) -> int:
    """What an occasion counts at most."""
    quantiles = f"quantile_disc({parts}, 0.99), 5 * quantile_disc({parts}, 0.5)"
    return max(1, *(int(value or 0) for value in engine.rows(f"select {quantiles} from {OCCASIONS} where {after}")[0]))


def _mean(parts: str, whole: str, bound: int) -> str:
    """SQL of a sum over its number, as a share of the bound in fixed point, rounded; NULL where there is none."""
    numerator, denominator = f"cast(sum({parts}) as hugeint) * {UNIT}", f"(cast({whole} as hugeint) * {bound})"
    return f"cast((2 * {numerator} + {denominator}) // nullif(2 * {denominator}, 0) as bigint)"
