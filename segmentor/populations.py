"""Gaps after a time zero -> the customers' scores: what every trial of that time zero shares, computed before any label is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import WEIGHT_UNIT, build_population
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
    """Customers from one time zero on.

    Attributes:
        suffix: Of its tables: ``gaps_``, ``members_`` (see ``cycles.build_population``) and ``scores_`` (``customer_no``, ``s0``, ``s1``, ...,
            fixed point, ``SCORE_UNIT`` is 1).
        tau_days: Day by which 90 % of the observed returns happened, or the config's: where scores are cut; 0 if nobody came back.
        last_day: Last day at which an effect may be read.
        scores: Names of the scores, in the order of the columns.
        members: Customers with a gap.
    """

    suffix: str
    tau_days: int
    last_day: int
    scores: tuple[str, ...]
    members: int


def prepare_population(engine: Engine, config: ExperimentConfig, purchases: int, *, observed_until: int) -> Population:
    """Builds the gaps that follow each customer's n-th purchase and scores their customers."""
    suffix = build_population(engine, config, purchases, observed_until=observed_until)
    counts = engine.arrays(
        "select g.duration as day, g.event_observed, count(*) as gaps,\n"
        f"  cast(sum(case when {KEPT} then m.weight else 0 end) as bigint) as weight\n"
        f"from gaps_{suffix} g join members_{suffix} m using (customer_no) group by all"
    )
    tables = {
        "typical_gap": LifeTable.from_gaps(
            counts["day"], counts["event_observed"], weights=counts["gaps"].astype(np.float64)
        ),
        "typical_customer": LifeTable.from_gaps(
            counts["day"], counts["event_observed"], weights=counts["weight"] / WEIGHT_UNIT
        ),
    }
    returns = tables["typical_gap"].events
    tau = min(config.cycle.horizon_days or day_by_which(returns, 0.9), len(returns) - 1) if returns.any() else 0
    weightings = [name for name in tables if _is_asked(config, name)]
    if tau:
        values = {name: [make(tables[name].cut(tau)) for make in SCORES.values()] for name in weightings}
        _score_customers(engine, suffix, tau, values)
    return Population(
        suffix=suffix,
        tau_days=tau,
        last_day=max(tau, *config.trial.return_days, 1),
        scores=tuple(f"{weighting} {score}" for weighting in weightings for score in SCORES),
        members=int(engine.scalar(f"select count(*) from members_{suffix}")),
    )


def _is_asked(config: ExperimentConfig, weighting: str) -> bool:
    """Weight 1 a gap is valid only where labels are exchanged within cohorts."""
    advanced = config.cycle.advanced
    return advanced.score in ("both", weighting) and not (weighting == "typical_gap" and advanced.cohort == "none")


def _score_customers(engine: Engine, suffix: str, tau: int, values: dict[str, list[DayValues]]) -> None:
    """Makes ``scores_<suffix>``: each customer's sums of the scores of its gaps, by lookup of their day and end."""
    columns = [(weighting, value) for weighting, several in values.items() for value in several]
    lookup: dict[str, np.ndarray] = {
        "day": np.tile(np.arange(tau + 1, dtype=np.int32), 2),
        "returned": np.repeat(np.array([True, False]), tau + 1),
    }
    for number, (_, value) in enumerate(columns):
        both = np.concatenate([value.event[: tau + 1], value.censored[: tau + 1]])
        lookup[f"v{number}"] = np.rint(both * SCORE_UNIT).astype(np.int64)
    engine.put("score_values", lookup)
    sums = [
        f"cast(sum(v.v{number}) as bigint) as s{number}"
        if weighting == "typical_gap"
        else f"cast(sum(case when {KEPT} then v.v{number} else 0 end) as bigint) // greatest(m.cycles, 1) as s{number}"
        for number, (weighting, _) in enumerate(columns)
    ]
    engine.execute(
        f"create table scores_{suffix} as select g.customer_no, {', '.join(sums)}\n"
        f"from gaps_{suffix} g join members_{suffix} m using (customer_no)\n"
        f"join score_values v on v.day = least(g.duration, {tau}) and v.returned = (g.event_observed and g.duration <= {tau})\n"
        "group by g.customer_no, m.cycles"
    )
