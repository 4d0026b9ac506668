"""Gaps after a time zero -> the customers' scores: what every trial of that time zero shares, computed before any label is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import WEIGHT_UNIT, TimeZero, build_population
from segmentor.statistics.survival import DayValues, LifeTable, day_by_which, gehan_values, logrank_values

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

SCORE_UNIT = 2**30
"""Fixed-point scale of scores: sums agree with floats to 1e-9, and sums of cubes stay within 128 bits."""

KEPT = "(g.event_observed or m.cycles = 0)"
"""Gaps that Wang and Chang (1999) keep: the complete ones, and the censored one of a customer who has no other."""

SCORES = {"log-rank": logrank_values, "Gehan": gehan_values}


@dataclass(frozen=True, slots=True)
class Population:
    """Customers from one time zero on, all of them or one half.

    Attributes:
        suffix: Of its tables: ``gaps_``, ``members_``, ``reached_`` (see ``cycles.build_population``) and ``scores_`` (``customer_no``, ``s0``, ``s1``, ...,
            fixed point, ``SCORE_UNIT`` is 1).
        until: Day number of the date that is its time zero; ``None`` where that is a purchase.
        tau_days: Day by which 90 % of the observed returns happened, or the config's: where scores are cut; 0 if nobody came back.
        last_day: Last day at which an effect may be read.
        scores: Names of the scores, in the order of the columns.
        members: Customers with a gap.
    """

    suffix: str
    until: int | None
    tau_days: int
    last_day: int
    scores: tuple[str, ...]
    members: int


def prepare_population(engine: Engine, config: ExperimentConfig, zero: TimeZero, *, observed_until: int) -> Population:
    """Builds the gaps that follow each customer's time zero and scores their customers."""
    build_population(engine, config, zero, observed_until=observed_until)
    return _scored(engine, config, zero.suffix, zero.until)


def half_of(engine: Engine, config: ExperimentConfig, whole: Population, *, seed_no: int, half: int) -> Population:
    """The same for one half of the customers, whose scores nobody outside of it has touched.

    Args:
        engine: Holds the tables of the whole.
        config: The experiment.
        whole: The population of all customers.
        seed_no: Number of the seed of the halves, 0 for the config's.
        half: 0 discovery, 1 confirmation.
    """
    suffix = f"{whole.suffix}_{seed_no}_{'dc'[half]}"
    return _part_of(engine, config, whole, suffix, f"e.half_{seed_no} = {half}")


def node_of(
    engine: Engine, config: ExperimentConfig, whole: Population, *, number: int, members: np.ndarray, half: int
) -> Population:
    """The same for the customers of a node of the tree who are in one half under the config's seed.

    Args:
        engine: Holds the tables of the whole.
        config: The experiment.
        whole: The population of all customers.
        number: Of the node.
        members: Who is in it by ``customer_no``, of both halves, bool.
        half: 0 discovery, 1 confirmation.
    """
    engine.put(f"node_{number}", {"customer_no": np.flatnonzero(members).astype(np.int32)})
    suffix = f"{whole.suffix}_n{number}_{'dc'[half]}"
    inside = f"e.half_0 = {half} and e.customer_no in (select customer_no from node_{number})"
    return _part_of(engine, config, whole, suffix, inside)


def later(one: TimeZero, other: TimeZero) -> TimeZero:
    """When both of two labels are known."""
    if one.until is None and other.until is None:
        return TimeZero(purchases=max(one.purchases, other.purchases))
    return TimeZero(until=max(zero.until for zero in (one, other) if zero.until is not None))


def _part_of(engine: Engine, config: ExperimentConfig, whole: Population, suffix: str, inside: str) -> Population:
    """Some of the customers of a population, by a condition on ``everyone`` as ``e``."""
    dated = ("waits", "begun", "begun_members") if whole.until is not None else ()
    for table in ("gaps", "members", "reached", *dated):
        engine.execute(
            f"create or replace view {table}_{suffix} as select t.* from {table}_{whole.suffix} t\n"
            f"join everyone e using (customer_no) where {inside}"
        )
    return _scored(engine, config, suffix, whole.until)


def _scored(engine: Engine, config: ExperimentConfig, suffix: str, until: int | None) -> Population:
    """Scores the customers of ``gaps_<suffix>`` by the hazard of all of them together."""
    counts = engine.arrays(
        "select g.duration as day, g.entry_age, g.event_observed, count(*) as gaps,\n"
        f"  cast(sum(case when {KEPT} then m.weight else 0 end) as bigint) as weight\n"
        f"from gaps_{suffix} g join members_{suffix} m using (customer_no) group by all"
    )
    weights = {"typical_gap": counts["gaps"].astype(np.float64), "typical_customer": counts["weight"] / WEIGHT_UNIT}
    tables = {
        name: LifeTable.from_gaps(
            counts["day"], counts["event_observed"], weights=weight, entry_ages=counts["entry_age"]
        )
        for name, weight in weights.items()
    }
    returns = tables["typical_gap"].events
    tau = min(config.cycle.horizon_days or day_by_which(returns, 0.9), len(returns) - 1) if returns.any() else 0
    weightings = [name for name in tables if _is_asked(config, name, until)]
    if tau:
        values = {name: [make(tables[name].cut(tau)) for make in SCORES.values()] for name in weightings}
        _score_customers(engine, suffix, tau, values, late=until is not None)
    return Population(
        suffix=suffix,
        until=until,
        tau_days=tau,
        last_day=max(tau, *config.trial.return_days, 1),
        scores=tuple(f"{weighting} {score}" for weighting in weightings for score in SCORES),
        members=int(engine.scalar(f"select count(*) from members_{suffix}")),
    )


def _is_asked(config: ExperimentConfig, weighting: str, until: int | None) -> bool:
    """Weight 1 a gap is valid only where follow-up is alike: within cohorts, or from a date on, where nothing else is valid."""
    if until is not None:
        return weighting == "typical_gap"
    advanced = config.cycle.advanced
    return advanced.score in ("both", weighting) and not (weighting == "typical_gap" and advanced.cohort == "none")


def _score_customers(engine: Engine, suffix: str, tau: int, values: dict[str, list[DayValues]], *, late: bool) -> None:
    """Makes ``scores_<suffix>``: each customer's sums of the scores of its gaps, by lookup of their day and end.

    What a gap that entered late had to expect before it did is taken off: the value of a gap censored at that age.
    """
    columns = [(weighting, value) for weighting, several in values.items() for value in several]
    lookup: dict[str, np.ndarray] = {
        "day": np.tile(np.arange(tau + 1, dtype=np.int32), 2),
        "returned": np.repeat(np.array([True, False]), tau + 1),
    }
    for number, (_, value) in enumerate(columns):
        both = np.concatenate([value.event[: tau + 1], value.censored[: tau + 1]])
        lookup[f"v{number}"] = np.rint(both * SCORE_UNIT).astype(np.int64)
    engine.put("score_values", lookup)
    before = [f" - a.v{number}" if late else "" for number in range(len(columns))]
    sums = [
        f"cast(sum(v.v{number}{before[number]}) as bigint) as s{number}"
        if weighting == "typical_gap"
        else f"cast(sum(case when {KEPT} then v.v{number} else 0 end) as bigint) // greatest(m.cycles, 1) as s{number}"
        for number, (weighting, _) in enumerate(columns)
    ]
    entered = f"join score_values a on a.day = least(g.entry_age, {tau}) and not a.returned\n" if late else ""
    engine.execute(
        f"create or replace table scores_{suffix} as select g.customer_no, {', '.join(sums)}\n"
        f"from gaps_{suffix} g join members_{suffix} m using (customer_no)\n"
        f"join score_values v on v.day = least(g.duration, {tau}) and v.returned = (g.event_observed and g.duration <= {tau})\n"
        f"{entered}group by g.customer_no, m.cycles"
    )
