"""What is counted in one shop: rejections, covered truths, verdicts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from segmentor.errors import StatisticsError
from segmentor.evidence import RESAMPLES
from segmentor.result import Interval
from segmentor.selftest.cells import LEVELS, LIFETIME, QUESTION, UNTIL
from segmentor.selftest.shops import opened
from segmentor.statistics.cox import GroupedGaps, clustered_logrank
from segmentor.statistics.linear import GroupSums, centre, linear_statistic
from segmentor.statistics.naive import greenwood_errors, naive_logrank_p
from segmentor.statistics.permutation import drawn_p, permutation_p
from segmentor.statistics.score_tests import NEAR_LEVELS, needs_permutation, null_law, test_scores
from segmentor.statistics.survival import LifeTable, survival, survival_band
from segmentor.synthetic.renewal import draw_shop, true_curves

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.result import Trial
    from segmentor.selftest.cells import Cell, Kind, Labels
    from segmentor.selftest.counts import Outcome
    from segmentor.selftest.shops import Gaps, ScoredCustomers
    from segmentor.statistics.arrays import FloatArray, IntArray
    from segmentor.synthetic.renewal import RenewalWorld, TrueCurve

DRAWS = 250
"""Label draws in each shop of a null cell, where labels do not depend on the day of entry."""

CROWDED_DRAWS = 200
"""Label draws where they do, which take a test each."""

USUAL_DRAWS = 10
"""Of these, draws on which the usual ways are tried."""

TRUTH_DAYS = 365

VERDICTS = ("separates", "equivalent", "inconclusive", "untestable")


def measure(engine: Engine, config: ExperimentConfig, cell: Cell, rng: np.random.Generator) -> Outcome:
    """Draws one shop of a cell and counts in it.

    Args:
        engine: Made by ``shops.laboratory``.
        config: Of the cell.
        cell: What to draw and to count.
        rng: Of this shop.
    """
    return _MEASURES[cell.kind](engine, config, cell, rng)


def _rejections(engine: Engine, config: ExperimentConfig, cell: Cell, rng: np.random.Generator) -> Outcome:
    """How often labels that say nothing are taken for real, by the product's test and by the usual ways."""
    shop = draw_shop(cell.world, cell.customers, rng=rng)
    with opened(engine, config, shop) as opened_shop:
        scored = opened_shop.scored()
    first_day = shop.day[np.searchsorted(shop.customer, scored.position)]
    outcome: Outcome = {}
    for labels in cell.labels:
        p_values, drawn = _tried(labels, scored, first_day / cell.world.entry_days, rng)
        for name, level in LEVELS.items():
            outcome[labels.name, name] = (p_values.rejected(level), len(p_values.smallest))
        for name, usual_p in USUAL.items():
            usual = [usual_p(scored.gaps, groups) <= LEVELS["5 %"] for groups in drawn[:USUAL_DRAWS]]
            outcome[labels.name, name] = (sum(usual), len(usual))
    return outcome


@dataclass(frozen=True, slots=True)
class _DrawnTests:
    """Tests of label draws, each made only where the answer hangs on it.

    Attributes:
        smallest: Smallest single p of each draw, ascending.
        tightest: The p of a draw lies between its smallest single p and this many times that; ``None`` where it may not, since one by
            permutation may be smaller than closed forms say.
        p_of: p-value of a draw by its place in that order; where two draws have the same group sizes in each cohort it does not
            fall from one to the next.
        seed: Of the relabellings: shops that shared theirs would share the error of these.
    """

    smallest: FloatArray
    tightest: int | None
    p_of: Callable[[int], float]
    seed: int

    def rejected(self, level: float) -> int:
        """Draws with a p-value at or below a level."""
        sure, possible = 0, len(self.smallest)
        if self.tightest is not None:
            sure, possible = np.searchsorted(self.smallest, [level / self.tightest, level], side="right").tolist()
        return bisect_right(range(possible), level, lo=sure, key=self.p_of)


def _tried(
    labels: Labels, scored: ScoredCustomers, entry: FloatArray, rng: np.random.Generator
) -> tuple[_DrawnTests, IntArray]:
    """Label draws with their tests.

    Labels are dealt once, then shuffled within cohorts: the law of the draws is that of dealing anew each time, and they share
    their null law. Labels that depend on the day of entry are dealt anew.
    """
    if labels.crowded:
        drawn = (rng.random((CROWDED_DRAWS, len(entry))) < 0.1 + 0.8 * entry).astype(np.int64)
        return _tested_one_by_one(scored, drawn, seed=int(rng.integers(2**31))), drawn
    drawn = _shuffled(_dealt(labels, len(entry), rng), scored.cohort, rng)
    sums = GroupSums.from_scores(scored.scores, drawn[0], scored.cohort)
    law = null_law(linear_statistic(sums))
    centred = centre(scored.scores, scored.cohort)
    deviations = np.stack([(drawn == group) @ centred.T for group in range(len(sums.customers))], axis=-1)
    smallest = np.nanmin(law.p_values(law.lengths(deviations)), axis=-1)
    order = np.argsort(smallest, kind="stable")
    smaller = sums.customers.sum(axis=1).min()
    seed = int(rng.integers(2**31))
    closed = law.skewness is not None and smaller >= 30
    possible = int(np.searchsorted(smallest[order], NEAR_LEVELS[1], side="right")) if closed else len(drawn)

    @cache
    def relabelled() -> list[float]:
        """p-values by permutation of the draws that may count, from one set of relabellings: all have the same group sizes."""
        several = list(drawn[order[:possible]])
        return drawn_p(scored.scores, several, scored.cohort, resamples=RESAMPLES, seed=seed)

    @cache
    def p_of(place: int) -> float:
        sums = GroupSums.from_scores(scored.scores, drawn[order[place]], scored.cohort)
        test = test_scores(sums)
        return relabelled()[place] if needs_permutation(sums, test) else test.p_value

    tightest = len(scored.scores) if law.skewness is not None and smaller >= 300 else None
    return _DrawnTests(smallest[order], tightest, p_of, seed), drawn


def _tested_one_by_one(scored: ScoredCustomers, drawn: IntArray, *, seed: int) -> _DrawnTests:
    """Draws that share no null law: each is tested whose smallest single p leaves its test open."""
    smallest = np.array([_smallest_p(scored, groups) for groups in drawn])
    few = smallest <= NEAR_LEVELS[1]
    p_values = smallest.copy()
    p_values[few] = [_p_value(scored, groups, seed=seed) for groups in drawn[few]]
    p_values.sort()
    return _DrawnTests(p_values, 1, lambda place: float(p_values[place]), seed)


def _dealt(labels: Labels, customers: int, rng: np.random.Generator) -> IntArray:
    if labels.count is not None:
        return (rng.permutation(customers) < labels.count).astype(np.int64)
    return rng.choice(len(labels.shares), size=customers, p=labels.shares)


def _shuffled(groups: IntArray, cohorts: IntArray, rng: np.random.Generator) -> IntArray:
    """Labels exchanged at random within cohorts, shape (DRAWS, n_customers)."""
    drawn = np.empty((DRAWS, len(groups)), dtype=np.int64)
    for cohort in range(int(cohorts.max()) + 1):
        own = np.flatnonzero(cohorts == cohort)
        drawn[:, own] = rng.permuted(np.tile(groups[own], (DRAWS, 1)), axis=1)
    return drawn


def _smallest_p(scored: ScoredCustomers, groups: IntArray) -> float:
    linear = linear_statistic(GroupSums.from_scores(scored.scores, groups, scored.cohort))
    law = null_law(linear)
    return float(np.nanmin(law.p_values(law.lengths(linear.deviation))))


def _p_value(scored: ScoredCustomers, groups: IntArray, *, seed: int) -> float:
    """p-value of the product's test, by permutation where the product would."""
    sums = GroupSums.from_scores(scored.scores, groups, scored.cohort)
    closed = test_scores(sums)
    if not needs_permutation(sums, closed):
        return closed.p_value
    return permutation_p(scored.scores, groups, scored.cohort, resamples=RESAMPLES, seed=seed)[0]


def _naive_p(gaps: Gaps, groups: IntArray) -> float:
    """The log-rank test on all gaps as if they were independent; 1 where it is undefined."""
    counts = _grouped(gaps, groups).counts()
    try:
        return naive_logrank_p(counts.events[:, 0], counts.at_risk[:, 0])
    except StatisticsError:
        return 1.0


def _clustered_p(gaps: Gaps, groups: IntArray) -> float:
    """The score test of Cox regression with customers as clusters; 1 where it is undefined."""
    try:
        return clustered_logrank(_grouped(gaps, groups)).p_value
    except StatisticsError:
        return 1.0


USUAL = {"log-rank, 5 %": _naive_p, "Cox, 5 %": _clustered_p}
"""The usual ways, on all gaps, by the name of their measure."""


def _grouped(gaps: Gaps, groups: IntArray) -> GroupedGaps:
    return GroupedGaps.from_gaps(
        gaps.duration,
        gaps.returned,
        weights=np.ones(len(gaps.duration)),
        customers=gaps.customer,
        groups=groups,
        entry_ages=gaps.entry_age,
    )


def _covered(engine: Engine, config: ExperimentConfig, cell: Cell, rng: np.random.Generator) -> Outcome:
    """Which 95 % intervals hold the truth."""
    with opened(engine, config, draw_shop(cell.world, cell.customers, rng=rng)) as shop:
        effects = shop.evidence().effects
        usual = None if cell.known == UNTIL else shop.labelled_gaps()
    if effects is None:
        return {}
    at, pair = effects.horizon_days, effects.pairs[0]
    if usual is None:
        # Who buys until a date, and after it, is no longer everybody; but alike groups stay alike.
        found = {"ratio": _holds(pair.ratio, 1.0), "share difference": _holds(pair.share_difference, 0.0)}
        return {("", name): (int(holds), 1) for name, holds in found.items()}
    truth = _truth(cell.world)
    first, second = truth
    found = {
        "ratio": _holds(pair.ratio, second.mean_cycle(at) / first.mean_cycle(at)),
        "share difference": _holds(pair.share_difference, float(second.share_back[at] - first.share_back[at])),
    }
    for number, (group, curve) in enumerate(zip(effects.groups, truth, strict=True)):
        share = float(curve.share_back[at])
        found[f"share back, {group.name}"] = _holds(group.share_back, share)
        found[f"mean cycle, {group.name}"] = _holds(group.mean_cycle_days, curve.mean_cycle(at))
        found[f"restricted mean, {group.name}"] = _holds(group.restricted_mean_days, curve.restricted_mean(at))
        found[f"share back, {group.name}, usual"] = _holds(_usual_share(usual, number, at), share)
    return {("", name): (int(holds), 1) for name, holds in found.items()}


def _usual_share(gaps: dict[str, np.ndarray], group: int, day: int) -> Interval:
    """Share back by a day from all gaps of a group as if they were independent: Kaplan-Meier with Greenwood's error."""
    own = gaps["group_no"] == group
    weights = gaps["gaps"][own].astype(np.float64)
    table = LifeTable.from_gaps(gaps["duration"][own], gaps["event_observed"][own], weights=weights)
    curve, errors = survival(table), greenwood_errors(table)
    low, high = survival_band(curve[[day]], errors[[day]])
    return Interval(float(1 - curve[day]), float(1 - high[0]), float(1 - low[0]))


@cache
def _truth(world: RenewalWorld) -> tuple[TrueCurve, TrueCurve]:
    return true_curves(world, days=TRUTH_DAYS)


def _holds(interval: Interval | None, truth: float) -> bool:
    """Whether there is an interval and it holds the truth."""
    if interval is None or interval.ci_low is None or interval.ci_high is None:
        return False
    return interval.ci_low <= truth <= interval.ci_high


def _found(engine: Engine, config: ExperimentConfig, cell: Cell, rng: np.random.Generator) -> Outcome:
    """Whether a planted difference is significant, and its verdict."""
    with opened(engine, config, draw_shop(cell.world, cell.customers, rng=rng)) as shop:
        trial = shop.trial()
    significant = trial.p_adjusted is not None and trial.p_adjusted <= config.trial.level
    return {("", "significant"): (int(significant), 1), **_verdicts(trial)}


def _judged(engine: Engine, config: ExperimentConfig, cell: Cell, rng: np.random.Generator) -> Outcome:
    """The verdict."""
    with opened(engine, config, draw_shop(cell.world, cell.customers, rng=rng)) as shop:
        return _verdicts(shop.trial())


def _verdicts(trial: Trial) -> Outcome:
    return {("", verdict): (int(trial.verdict == verdict), 1) for verdict in VERDICTS}


def _refused(engine: Engine, config: ExperimentConfig, cell: Cell, rng: np.random.Generator) -> Outcome:
    """Whether a label over the whole history is refused, and the same question at the first purchase is answered.

    Every purchase is of either product, whoever buys it: nothing separates, and still those who never bought anything but one of
    them bought rarely.
    """
    shop = draw_shop(cell.world, cell.customers, rng=rng)
    later = (rng.random(len(shop.day)) < cell.world.group_share).astype(np.int64)
    first = np.append(True, shop.customer[1:] != shop.customer[:-1])
    bought = np.where(first, shop.group[shop.customer], later)
    with opened(engine, config, shop, later=bought) as opened_shop:
        scored = opened_shop.scored()
    with opened(engine, config, shop, later=bought) as opened_shop:
        trials = opened_shop.trials()
    only = np.bincount(shop.customer, bought == 0) == 0
    usual = _naive_p(scored.gaps, only[scored.position].astype(np.int64)) <= LEVELS["5 %"]
    lifetime, restated = trials[LIFETIME], trials[QUESTION]
    refused = lifetime.verdict == "untestable" and lifetime.reasons == ("circular",) and lifetime.restate is not None
    return {
        ("", "refused"): (int(refused), 1),
        ("", "restated: answered"): (int(restated.verdict != "untestable"), 1),
        ("", "restated: separates"): (int(restated.verdict == "separates"), 1),
        ("", "log-rank on all gaps, 5 %"): (int(usual), 1),
    }


_Measure = Callable[["Engine", "ExperimentConfig", "Cell", np.random.Generator], "Outcome"]

_MEASURES: dict[Kind, _Measure] = {
    "null": _rejections,
    "coverage": _covered,
    "power": _found,
    "verdict": _judged,
    "lifetime": _refused,
}
