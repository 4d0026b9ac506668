"""A split and a population -> the customers of each group, whether they can be compared, and what stands in the way of a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import cohort_name, told_of
from segmentor.effects import MIN_AT_RISK
from segmentor.populations import SCORE_UNIT, Population
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, CohortCount, Comparability, GroupEffect
from segmentor.splits import MAX_GROUPS, Codes, Obstacle, Split
from segmentor.statistics.arrays import sums_by
from segmentor.statistics.linear import GroupSums
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.statistics.arrays import FloatArray, IntArray

MIN_CYCLES = 20
"""Returns among labelled customers below which no test is tried."""

MIN_COMPARABLE = 0.2
"""Share of labelled customers who must be in cohorts that hold two groups."""

MAX_EXPLAINED = 0.5
"""Share of the variance in customers' numbers of purchases above which a column is taken to be made of them."""

RESERVED_NAMES = {NOT_YET_KNOWN, EVERYBODY}
"""Names of segments that no value of a column may take."""

_NAMED = 6
"""Cohorts that a sentence names."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Customers of a population by group.

    Attributes:
        groups: In the order of the config, by value where there is none.
        not_known: Customers of the population to whom no group applies, with a gap or without.
        no_follow_up: Labelled customers without a gap in the population.
        comparability: Whether the groups share cohorts and follow-up; ``None`` for more than ``MAX_GROUPS``.
        obstacle: Reason code for which the split cannot be tested, and how to restate it; ``None`` where it can.
    """

    groups: tuple[GroupEffect, ...]
    not_known: int
    no_follow_up: int
    comparability: Comparability | None
    obstacle: Obstacle | None


def label_customers(
    engine: Engine,
    config: ExperimentConfig,
    split: Split,
    population: Population,
    *,
    source: str | None = None,
) -> Labelled:
    """Makes ``labels``: a row a labelled customer with a gap, with ``group_no`` and what the sums need.

    Of a population that begins on a date, a label that is known by purchases counts where these lie before the date.

    Args:
        engine: Holds the split's source and the population's tables.
        config: The experiment.
        split: A split whose groups are conditions or values.
        population: Who is labelled.
        source: Another table of the columns of the split's source.

    Raises:
        ExpressionError: A condition cannot be computed over the data.
    """
    known = _known_in_time(config, split, population, since="known_since")
    with told_of(config, f"the groups of {split.name!r}"):
        engine.execute(
            f"create or replace table labelled as select * from ({split.labels_of(source or split.source)}) where {known}"
        )
    counts = [
        name
        for (name,) in engine.rows(
            "select distinct segment_group from labelled where segment_group is not null order by 1"
        )
    ]
    names = list(split.groups or counts)
    engine.put(
        "group_names",
        {"segment_group": np.array(names, dtype=object), "group_no": np.arange(len(names), dtype=np.int32)},
    )
    engine.execute(
        "create or replace table labels as\n"
        "select m.customer_no, n.group_no, m.cohort, m.cycles, m.weight, m.follow_up, e.* exclude (customer_no, customer)\n"
        "from labelled l join group_names n using (segment_group) join everyone e using (customer)\n"
        f"join members_{population.suffix} m using (customer_no)"
    )
    ((reached, with_label),) = engine.rows(
        f"select count(*), count(segment_group) from reached_{population.suffix} join everyone using (customer_no)\n"
        "left join labelled using (customer)"
    )
    sizes = {
        number: (customers, cycles)
        for number, customers, cycles in engine.rows(
            "select group_no, count(*), cast(sum(cycles) as bigint) from labels group by 1"
        )
    }
    return _labelled(
        split,
        population,
        tuple(GroupEffect(name, *sizes.get(number, (0, 0))) for number, name in enumerate(names)),
        reached=reached,
        with_label=with_label,
        comparability=lambda: _comparability(engine, config, len(names)),
        circular=lambda: made_of_purchases(engine, split),
    )


def _labelled(
    split: Split,
    population: Population,
    groups: tuple[GroupEffect, ...],
    *,
    reached: int,
    with_label: int,
    comparability: Callable[[], Comparability],
    circular: Callable[[], Obstacle | None],
) -> Labelled:
    """Groups with what stands in the way of a test; ``reached`` and ``with_label`` count those without a gap too."""
    labelled = sum(group.customers for group in groups)
    obstacle, compared = _obstacle(split, groups, population), None
    if len(groups) <= MAX_GROUPS:
        compared = comparability()
        obstacle = obstacle or _not_comparable(compared)
        if obstacle is None and split.is_of_a_snapshot:
            obstacle = circular()
    return Labelled(
        groups=groups,
        not_known=reached - with_label,
        no_follow_up=with_label - labelled,
        comparability=compared,
        obstacle=obstacle,
    )


def _known_in_time(config: ExperimentConfig, split: Split, population: Population, *, since: str) -> str:
    """SQL condition on the day since when a label is known: before the date on which the population begins, if it begins on one.

    Lines of an occasion may follow on the day on which it began, as far as occasions are merged.
    """
    if population.until is None:
        return "true"
    if split.time_zero.until is not None:
        return f"{since} <= {population.until}"
    merged = 0 if split.source == "_attributes" else config.cycle.merge_within_days - 1
    return f"{since} + {merged} < {population.until}"


@dataclass(frozen=True, slots=True, eq=False)
class MembersInMemory:
    """The customers of a population, fetched once for many splits, in the order of their numbers.

    Attributes:
        customer_no: Numbers, shape (n_members,).
        cohorts: Codes of the cohorts, ascending, shape (n_cohorts,).
        cohort: Which of them is the customer's, shape (n_members,).
        cycles: Gaps that ended in a return, same shape.
        follow_up: Days observed after time zero, same shape.
        scores: In fixed point, shape (n_scores, n_members); of no customers where nobody came back.
        by_follow_up: Customers by their follow-up, the shortest first, shape (n_members,).
        reached: Numbers of the members and of those without a gap, shape (n_reached,).
    """

    customer_no: IntArray
    cohorts: IntArray
    cohort: IntArray
    cycles: IntArray
    follow_up: IntArray
    scores: IntArray
    by_follow_up: IntArray
    reached: IntArray

    @classmethod
    def fetch(cls, engine: Engine, population: Population) -> MembersInMemory:
        """Fetches the members with their scores."""
        suffix = population.suffix
        names = [f"s{number}" for number in range(len(population.scores))] if population.tau_days else []
        scored = f" join scores_{suffix} using (customer_no)" if names else ""
        table = engine.arrays(
            f"select {', '.join(['customer_no', 'cohort', 'cycles', 'follow_up', *names])}\n"
            f"from members_{suffix}{scored} order by customer_no"
        )
        cohorts, cohort = np.unique(table["cohort"].astype(np.int64), return_inverse=True)
        return cls(
            customer_no=table["customer_no"].astype(np.int64),
            cohorts=cohorts,
            cohort=cohort,
            cycles=table["cycles"].astype(np.int64),
            follow_up=table["follow_up"].astype(np.int64),
            scores=np.array([table[name] for name in names], dtype=np.int64).reshape(len(names), -1),
            by_follow_up=np.argsort(table["follow_up"], kind="stable"),
            reached=engine.arrays(f"select customer_no from reached_{suffix} order by customer_no")["customer_no"],
        )

    def label(self, config: ExperimentConfig, split: Split, population: Population, codes: Codes) -> Labelled:
        """The members of each group; see ``label_customers``.

        Args:
            config: The experiment.
            split: A split with names for its groups.
            population: Whose members these are.
            codes: Number of the group by customer number, -1 where it is not known, or for customers of whom the population is no part.
        """
        own, n_groups = codes[self.customer_no], len(split.groups)
        counts = self._by_cohort(own, n_groups)
        sizes = counts.sum(axis=0)
        cycles = np.bincount(own + 1, self.cycles, n_groups + 1).astype(np.int64)[1:]
        return _labelled(
            split,
            population,
            tuple(map(GroupEffect, split.groups, sizes.tolist(), cycles.tolist())),
            reached=len(self.reached),
            with_label=int((codes[self.reached] >= 0).sum()),
            comparability=lambda: self._comparability(config, own, counts),
            circular=lambda: self.made_of_purchases(split, codes),
        )

    def made_of_purchases(self, split: Split, codes: Codes) -> Obstacle | None:
        """Whether a column of the customers' table follows the number of purchases after time zero; see the function of that name.

        Args:
            split: What the column makes, for words.
            codes: As of ``label``; of a number, of ranges of it.
        """
        own = codes[self.customer_no]
        chosen = np.flatnonzero(own >= 0)
        if not chosen.size:
            return None
        group = own[chosen].astype(np.int64)
        return _circular(split, *self._places(chosen, group, int(group.max()) + 1))

    def differ(self, codes: Codes) -> bool:
        """Whether labelled customers of a cohort that holds two groups differ in a score: without that there is nothing to test."""
        own = codes[self.customer_no]
        two = (self._by_cohort(own, int(own.max(initial=0)) + 1) > 0).sum(axis=1) >= 2
        chosen = np.flatnonzero((own >= 0) & two[self.cohort])
        cohort = self.cohort[chosen]
        for scores in self.scores:
            one_of_them = np.zeros(len(self.cohorts), dtype=np.int64)
            one_of_them[cohort] = scores[chosen]
            if (scores[chosen] != one_of_them[cohort]).any():
                return True
        return False

    def put_labels(self, engine: Engine, codes: Codes) -> None:
        """Makes ``labels`` of what a test needs: ``customer_no``, ``group_no``, ``cohort``.

        Args:
            engine: Gets the table.
            codes: As of ``label``.
        """
        own = codes[self.customer_no]
        chosen = np.flatnonzero(own >= 0)
        columns: dict[str, np.ndarray] = {
            "customer_no": self.customer_no,
            "group_no": own,
            "cohort": self.cohorts[self.cohort],
        }
        engine.put("coded_customers", {name: column[chosen].astype(np.int32) for name, column in columns.items()})
        engine.execute("create or replace table labels as select * from coded_customers")

    def _by_cohort(self, own: Codes, n_groups: int) -> IntArray:
        """Customers by cohort and group, of those in one."""
        cells = self.cohort * (n_groups + 1) + (own + 1)
        return np.bincount(cells, minlength=len(self.cohorts) * (n_groups + 1)).reshape(-1, n_groups + 1)[:, 1:]

    def _comparability(self, config: ExperimentConfig, own: Codes, counts: IntArray) -> Comparability:
        sorted_by_group = np.argsort(own[self.by_follow_up], kind="stable")
        follow_up = self.follow_up[self.by_follow_up[sorted_by_group]]
        sizes = counts.sum(axis=0)
        begins = len(own) - int(sizes.sum()) + np.cumsum(sizes) - sizes
        medians = [
            int(follow_up[first + (size - 1) // 2]) if size else None
            for first, size in zip(begins.tolist(), sizes.tolist(), strict=True)
        ]
        held = counts.any(axis=1)
        return _compared(config, dict(zip(self.cohorts[held].tolist(), counts[held].tolist(), strict=True)), medians)

    def _places(self, chosen: IntArray, group: IntArray, n_groups: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Customers by group, and the sums of their places and of its squares; see ``made_of_purchases``."""
        cohort, n_cycles = self.cohort[chosen], int(self.cycles[chosen].max(initial=0)) + 1
        alike = cohort * n_cycles + self.cycles[chosen]
        ties = np.bincount(alike, minlength=len(self.cohorts) * n_cycles).reshape(-1, n_cycles)
        of = ties.sum(axis=1, keepdims=True)
        place = 2 * (np.cumsum(ties, axis=1) - ties + 1) + ties - 1 - of
        share = np.trunc(1_000_000 * place / np.maximum(of, 1)).ravel()[alike]
        sizes = np.bincount(group, minlength=n_groups)
        sums, squares = (sums_by(group, values, n_groups)[sizes > 0] for values in (share, np.square(share)))
        return sizes[sizes > 0].astype(np.float64), sums, squares


def label_by_codes(engine: Engine, population: Population, codes: Codes) -> None:
    """Makes ``labels`` of the numbers of groups by customer number, as ``label_customers`` does of a split's conditions."""
    known = np.flatnonzero(codes >= 0)
    engine.put("coded_customers", {"customer_no": known.astype(np.int32), "group_no": codes[known].astype(np.int32)})
    engine.execute(
        "create or replace table labels as\n"
        "select m.customer_no, c.group_no, m.cohort, m.cycles, m.weight, m.follow_up, e.* exclude (customer_no, customer)\n"
        f"from coded_customers c join everyone e using (customer_no) join members_{population.suffix} m using (customer_no)"
    )


def known_in_time(engine: Engine, config: ExperimentConfig, split: Split, population: Population) -> np.ndarray | None:
    """Whether a split is known before the date on which the population begins, by customer number; ``None`` where it always is."""
    if population.until is None or split.time_zero.until is not None:
        return None
    known = _known_in_time(config, split, population, since="o._start")
    (customers,) = engine.rows("select count(*) from everyone")[0]
    found = np.zeros(customers, dtype=bool)
    found[
        engine.arrays(
            "select e.customer_no from everyone e join _occasions o on o._customer = e.customer\n"
            f"where o._number = {split.time_zero.purchases} and {known}"
        )["customer_no"]
    ] = True
    return found


@dataclass(frozen=True, slots=True, eq=False)
class PowerSums:
    """Power sums of customers' fixed-point scores (``SCORE_UNIT`` is 1) by cell. All arrays have a row a cell.

    Attributes:
        customers: How many, shape (n_cells,).
        sums: Of scores, shape (n_cells, n_scores).
        products: Of products of two, shape (n_cells, n_scores, n_scores).
        cubes: Of cubes, shape (n_cells, n_scores).
    """

    customers: IntArray
    sums: np.ndarray
    products: np.ndarray
    cubes: np.ndarray

    def in_floats(self) -> PowerSums:
        """Rounded, for sums of many of them."""
        return PowerSums(self.customers, *(part.astype(np.float64) for part in (self.sums, self.products, self.cubes)))

    def of_groups(
        self, cells: IntArray, groups: IntArray, cohorts: IntArray, *, n_groups: int
    ) -> tuple[IntArray, np.ndarray, np.ndarray, np.ndarray]:
        """Some of the cells as ``GroupSums.from_power_sums`` takes them.

        Args:
            cells: Which of them, in any order, shape (n,).
            groups: Number of the group of each of these, 0 first, same shape.
            cohorts: Number of the cohort of each, 0 first, same shape.
            n_groups: How many groups there are.
        """
        n_cohorts, kind = int(cohorts.max()) + 1, self.sums.dtype
        customers = np.zeros((n_groups, n_cohorts), dtype=np.int64)
        sums = np.zeros((n_groups, n_cohorts, *self.sums.shape[1:]), dtype=kind)
        products = np.zeros((n_cohorts, *self.products.shape[1:]), dtype=kind)
        cubes = np.zeros((n_cohorts, *self.cubes.shape[1:]), dtype=kind)
        np.add.at(customers, (groups, cohorts), self.customers[cells])
        np.add.at(sums, (groups, cohorts), self.sums[cells])
        np.add.at(products, cohorts, self.products[cells])
        np.add.at(cubes, cohorts, self.cubes[cells])
        return customers, np.moveaxis(sums, -1, 0), np.moveaxis(products, 0, -1), cubes.T


def power_sums(
    engine: Engine, population: Population, keys: Sequence[str], *, customers: str = "labels"
) -> tuple[IntArray, PowerSums]:
    """Power sums of the scores of labelled customers who are alike.

    Args:
        engine: Holds the population's tables.
        population: The customers' population.
        keys: Columns in which the customers of a cell are alike, integers.
        customers: Table of ``customer_no`` and the keys.

    Returns:
        The keys of each cell, ascending, shape (n_cells, n_keys), and its sums in Python integers.
    """
    count = len(population.scores)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    sums = [
        *(f"sum(s{i})" for i in range(count)),
        *(f"sum(cast(s{i} as hugeint) * s{j})" for i, j in pairs),
        *(f"sum(cast(s{i} as hugeint) * s{i} * s{i})" for i in range(count)),
    ]
    alike = ", ".join(keys)
    rows = engine.rows(
        f"select {alike}, count(*), {', '.join(sums)}\n"
        f"from {customers} join scores_{population.suffix} using (customer_no) group by {alike} order by {alike}"
    )
    cells = np.array([row[: len(keys) + 1] for row in rows], dtype=np.int64)
    totals = np.array([row[len(keys) + 1 :] for row in rows], dtype=object)
    products = np.empty((len(rows), count, count), dtype=object)
    for at, (i, j) in enumerate(pairs, start=count):
        products[:, i, j] = products[:, j, i] = totals[:, at]
    return cells[:, :-1], PowerSums(cells[:, -1], totals[:, :count], products, totals[:, count + len(pairs) :])


def group_sums(engine: Engine, population: Population, n_groups: int) -> GroupSums:
    """Sums of the labelled customers' scores by group and cohort."""
    keys, sums = power_sums(engine, population, ("cohort", "group_no"))
    cohorts = np.unique(keys[:, 0], return_inverse=True)[1]
    parts = sums.of_groups(np.arange(len(keys)), keys[:, 1], cohorts, n_groups=n_groups)
    # Their order in memory decides the last digit of every sum over cohorts.
    return GroupSums.from_power_sums(*(np.ascontiguousarray(part) for part in parts), scale=SCORE_UNIT)


def labelled_scores(engine: Engine, population: Population) -> tuple[FloatArray, IntArray, IntArray]:
    """Scores, group and cohort of each labelled customer: shapes (n_scores, n), (n,), (n,), in the order of customers."""
    columns = ", ".join(f"s{i}" for i in range(len(population.scores)))
    table = engine.arrays(
        f"select l.group_no, l.cohort, {columns} from labels l join scores_{population.suffix} s using (customer_no) order by customer_no"
    )
    scores = np.stack([table[f"s{i}"] / SCORE_UNIT for i in range(len(population.scores))])
    return scores, table["group_no"], np.unique(table["cohort"], return_inverse=True)[1]


def _comparability(engine: Engine, config: ExperimentConfig, n_groups: int) -> Comparability:
    follow_up = dict(engine.rows("select group_no, quantile_disc(follow_up, 0.5) from labels group by 1"))
    counts: dict[int, list[int]] = {}
    for cohort, group, customers in engine.rows("select cohort, group_no, count(*) from labels group by all"):
        counts.setdefault(cohort, [0] * n_groups)[group] = customers
    return _compared(config, counts, [follow_up.get(number) for number in range(n_groups)])


def _compared(
    config: ExperimentConfig, counts: Mapping[int, Sequence[int]], follow_up: Sequence[int | None]
) -> Comparability:
    """From customers by code of the cohort and group, and median follow-up by group."""
    shared = sum(sum(row) for row in counts.values() if _holds_two(row))
    return Comparability(
        share=shared / max(1, sum(map(sum, counts.values()))),
        cohorts=tuple(CohortCount(cohort_name(config, code), tuple(counts[code])) for code in sorted(counts)),
        follow_up_days=tuple(follow_up),
    )


def _holds_two(customers: Sequence[int]) -> bool:
    return sum(number > 0 for number in customers) >= 2


def _obstacle(split: Split, groups: Sequence[GroupEffect], population: Population) -> Obstacle | None:
    if len(groups) > MAX_GROUPS:
        return "too many groups", Message(
            "{values} values make no split; name a few groups with conditions", {"values": len(groups)}
        )
    if not any(group.customers for group in groups):
        if split.since is None:
            return "nobody observed", Message(
                "no customer of any group was observed after the purchase; use a longer period"
            )
        return "nobody observed", Message(
            "no customer of any group was observed before and after {date}; choose a date well inside of the period",
            {"date": split.since},
        )
    if reserved := [group.name for group in groups if group.name in RESERVED_NAMES or "|" in group.name]:
        return "reserved name", Message(
            "the value {value} has a meaning of its own in results; name the groups with conditions",
            {"value": repr(reserved[0])},
        )
    if sum(group.customers > 0 for group in groups) < 2:
        return "one group", Message("all labelled customers are in one group; look at the conditions of the others")
    if sum(group.customers >= MIN_AT_RISK for group in groups) < 2:
        return "too few customers", Message(
            "fewer than two groups hold {least} customers; use larger groups or more data", {"least": MIN_AT_RISK}
        )
    if population.tau_days == 0 or sum(group.cycles for group in groups) < MIN_CYCLES:
        return "too few events", Message(
            "fewer than {least} returns were seen; use a longer period or more customers", {"least": MIN_CYCLES}
        )
    return None


def _not_comparable(comparability: Comparability) -> Obstacle | None:
    if comparability.share >= MIN_COMPARABLE:
        return None
    shared = tuple(cohort.name for cohort in comparability.cohorts if _holds_two(cohort.customers))
    if not shared:
        return "not comparable", Message(
            "the groups hardly share a month of first purchase, so that season or tenure cannot be told from the split; no cohort "
            "holds two of them: look at a period in which there were customers of both"
        )
    named: Message | tuple[str, ...] = shared
    if len(shared) > _NAMED:
        named = Message("{several} and {more} more", {"several": shared[:_NAMED], "more": len(shared) - _NAMED})
    return "not comparable", Message(
        "the groups hardly share a month of first purchase, so that season or tenure cannot be told from the split; they can be "
        "compared only among customers of {cohorts}: look at a period in which there are more of both",
        {"cohorts": named},
    )


def made_of_purchases(engine: Engine, split: Split) -> Obstacle | None:
    """Whether a column of the customers' table follows the number of purchases after time zero, as a tier or a total of later days does.

    Looks at the share of the variance of that number's ranks within cohorts that the groups explain, less what as many groups drawn
    at random would explain.
    """
    rows = engine.rows(
        "with ranked as (\n"
        "  select group_no, 2 * rank() over (partition by cohort order by cycles) + count(*) over (partition by cohort, cycles) - 1\n"
        "    - count(*) over (partition by cohort) as place, count(*) over (partition by cohort) as of from labels)\n"
        "select group_no, count(*), sum(cast(1000000 * place // of as bigint)),\n"
        "  sum(cast(1000000 * place // of as hugeint) * (1000000 * place // of)) from ranked group by 1 order by 1"
    )
    return _circular(split, *(np.array([float(row[part]) for row in rows]) for part in (1, 2, 3)))


def _circular(split: Split, sizes: FloatArray, sums: FloatArray, squares: FloatArray) -> Obstacle | None:
    """The same from customers by group, and the sums of their places within cohorts and of its squares."""
    n, mean = sizes.sum(), sums.sum() / sizes.sum()
    total = squares.sum() - n * mean**2
    if total <= 0 or n <= len(sizes):
        return None
    within = (squares - sums**2 / sizes).sum()
    explained = 1 - within / (n - len(sizes)) / (total / (n - 1))
    if explained < MAX_EXPLAINED:
        return None
    values = {"label": split.by or Message("this label"), "percent": float(100 * explained)}
    if split.since is None:
        return "circular", Message(
            "{label} follows the number of purchases (it explains {percent:.0f} % of it), as a tier, a total or a segment of another "
            "system does, and is not fixed at entry; give its values as they were on a date and declare known: {before}",
            {**values, "before": "{until: DATE}"},
        )
    return "circular", Message(
        "{label} follows the number of purchases after {date} (it explains {percent:.0f} % of it), as a tier, a total or a segment of "
        "another system does: its values are of a later day; give those of that date",
        {**values, "date": split.since},
    )
