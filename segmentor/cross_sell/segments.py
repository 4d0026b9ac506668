"""For whom a rule holds: its lift among the customers of each segment, and whether it differs between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentor.cross_sell.attach import Attachment, each_beyond_habit
from segmentor.cross_sell.following import NextPurchase
from segmentor.cross_sell.items import Assortment, Baskets
from segmentor.cross_sell.mining import Rule
from segmentor.result import CrossSellRule, Interval, RuleInSegment
from segmentor.statistics.arrays import IntArray
from segmentor.statistics.association import Lift, clustered_lift
from segmentor.statistics.following import Occasions, lift_of_following, pull_scores
from segmentor.statistics.heterogeneity import Scores, differ
from segmentor.statistics.multiplicity import holm

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

ENOUGH = 20.0
"""Fewest occasions that habit must lead to expect in a segment for a lift to be told there."""


@dataclass(frozen=True, slots=True, eq=False)
class InSegments:
    """A rule in each segment.

    Attributes:
        lifts: Of each, with the customers who have done both.
        p_value: Whether they differ, not yet adjusted; ``None`` where fewer than two segments can tell.
    """

    lifts: tuple[tuple[Lift, int], ...]
    p_value: float | None


def within_segments(
    engine: Engine,
    items: Assortment,
    found: Sequence[Attachment | NextPurchase],
    rules: Iterable[CrossSellRule],
    *,
    segments: Sequence[str],
    within: int,
) -> list[CrossSellRule]:
    """The rules, valid ones with their lift in each segment and whether it differs, adjusted by Holm over the valid ones.

    Args:
        engine: Holds ``_item_occasions``, see ``load_items``, and ``_segment_members``: ``_customer_no``, ``segment_no``, and
            ``_first_day``, the first day that the customer's segment was not made of.
        items: The items and their occasions.
        found: What was found, by rule.
        rules: Its records, in the same order.
        segments: Names of the segments, by number; fewer than two have nothing to differ in.
        within: Days in which a next purchase counts.
    """
    rules = list(rules)
    if len(segments) < 2 or not any(rule.valid for rule in rules):
        return rules
    occasions = _occasions_of(engine, segments)
    tested = {
        place: rule_in_segments(items, found[place], occasions, within=within)
        for place, rule in enumerate(rules)
        if rule.valid
    }
    told = [place for place, one in tested.items() if one.p_value is not None]
    adjusted = dict(zip(told, holm(np.array([tested[place].p_value for place in told])).tolist(), strict=True))
    for place, one in tested.items():
        parts = tuple(
            _record(name, lift, customers) for name, (lift, customers) in zip(segments, one.lifts, strict=True)
        )
        rules[place] = replace(rules[place], segments=parts, p_segments_adjusted=adjusted.get(place))
    return rules


def rule_in_segments(
    items: Assortment, found: Attachment | NextPurchase, occasions: Sequence[IntArray], *, within: int
) -> InSegments:
    """A rule in each segment, rates of months and trips being the segment's own.

    Segments of which fewer than ``ENOUGH`` are expected take no part in the test.

    Args:
        items: The items and their occasions.
        found: The rule.
        occasions: Those of confirmation that count, by segment; ascending, all of a customer's after a day.
        within: Days in which a next purchase counts.
    """
    if isinstance(found, Attachment):
        return _attached(items.confirmation, found.rule, occasions)
    return _followed(items, found.rule, occasions, within=within)


def _attached(baskets: Baskets, rule: Rule, occasions: Sequence[IntArray]) -> InSegments:
    own = [baskets.only(rows) for rows in occasions]
    counts = [each_beyond_habit(one, rule) for one in own]
    lifts = [clustered_lift(*each) for each in counts]
    telling = [each for each, lift in zip(counts, lifts, strict=True) if lift.expected >= ENOUGH]

    def scores(log_lift: float) -> list[Scores]:
        lift = float(np.exp(log_lift))
        return [Scores(observed - lift * expected, lift * float(expected.sum())) for observed, expected in telling]

    customers = [one.customers(rule.items) for one in own]
    return InSegments(tuple(zip(lifts, customers, strict=True)), differ(scores) if len(telling) > 1 else None)


def _followed(items: Assortment, rule: Rule, occasions: Sequence[IntArray], *, within: int) -> InSegments:
    own = [items.confirmation.only(_new_to(items.confirmation, rule.consequent, rows)) for rows in occasions]
    lifts = [lift_of_following(**_asked(one, rule, within=within, last_day=items.last_day)) for one in own]
    telling = [one for one, (lift, _) in zip(own, lifts, strict=True) if lift.expected >= ENOUGH]

    def scores(log_odds: float) -> list[Scores]:
        asked = (_asked(one, rule, within=within, last_day=items.last_day) for one in telling)
        return [pull_scores(**each, log_odds=log_odds) for each in asked]

    return InSegments(tuple(lifts), differ(scores) if len(telling) > 1 else None)


def _new_to(baskets: Baskets, item: int, occasions: IntArray) -> IntArray:
    """Those of the occasions whose customer has bought the item on no other occasion, before them."""
    before = np.setdiff1d(baskets.sold[item], occasions)
    return occasions[~np.isin(baskets.customer[occasions], baskets.customer[before])]


def _asked(baskets: Baskets, rule: Rule, *, within: int, last_day: int) -> dict[str, Any]:
    """What the statistics of following are asked of a rule."""
    return {
        "occasions": Occasions(baskets.customer, baskets.day, baskets.month, within=within, last_day=last_day),
        "appetite": baskets.appetite(rule.items),
        "antecedent": baskets.holding(rule.antecedent),
        "consequent": baskets.sold[rule.consequent],
    }


def _occasions_of(engine: Engine, segments: Sequence[str]) -> list[IntArray]:
    """Occasions of confirmation that count, by segment."""
    rows = engine.arrays(
        "select segment_no, occasion_no from _item_occasions join _segment_members using (_customer_no)\n"
        "where half = 1 and _day_no >= _first_day order by segment_no, occasion_no"
    )
    starts = np.searchsorted(rows["segment_no"], np.arange(len(segments)))
    return np.split(rows["occasion_no"], starts)[1:]


def _record(segment: str, lift: Lift, customers: int) -> RuleInSegment:
    low, high = lift.interval()
    if not lift.expected >= ENOUGH:
        return RuleInSegment(segment, customers, Interval(None, None, None), holds=False)
    known = not np.isnan(lift.log_se)
    interval = Interval(lift.lift, low if known else None, high if known else None)
    return RuleInSegment(segment, customers, interval, holds=known and low > 1.0)
