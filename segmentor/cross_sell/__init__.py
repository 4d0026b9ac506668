"""Baskets -> association rules: found among the customers of one half, tested once among those of the other.

The map: `items` makes items and occasions of the purchased lines; `mining` finds what is bought together often enough; `attach`
tests what goes with what on the same occasion, `following` what is bought next; `kinds` says what a rule is to a shop, `worth`
what acting on it could bring, `segments` for whom it holds; `bundles` are what sells as a set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cross_sell.attach import Attachment, attach_rules
from segmentor.cross_sell.bundles import find_bundles
from segmentor.cross_sell.following import NextPurchase, next_purchases
from segmentor.cross_sell.items import Assortment, load_items
from segmentor.cross_sell.kinds import kind_of_rule
from segmentor.cross_sell.segments import within_segments
from segmentor.cross_sell.worth import value_rules
from segmentor.result import EVERYBODY, Bundle, CrossSellRule, Interval
from segmentor.statistics.multiplicity import holm

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


def find_rules(
    engine: Engine, config: ExperimentConfig, *, segments: Sequence[str] = (), progress: Callable[[str], None]
) -> tuple[tuple[CrossSellRule, ...], tuple[Bundle, ...]]:
    """What goes with what on the same occasion, and what is bought next, beyond season and how much is bought anyway.

    A rule's lift is against what the customer's own habits lead to expect, with the month and the appetite of the occasion, the
    number of other items on it: neither heavy buyers, nor big trips, nor a season make a rule. Every set of items that at least
    ``min_customers`` discovery customers have bought on one occasion is tried once, in its direction of highest confidence, and
    every pair in the order of time in which as many have first bought the second within ``within_days`` of the first. What is
    promoted is tested once in confirmation, Holm's adjustment over all of it.

    Args:
        engine: Holds ``_basket_lines``, one row per purchased line with ``_customer_no``, ``_day_no`` (the day in the shop) and the
            columns of transactions and products, and ``_halves`` with ``_customer_no`` and ``half`` (0 discovery, 1 confirmation);
            with segments also ``_segment_members``, see ``within_segments``.
        config: The experiment; its ``cross_sell`` section says what an item is.
        segments: Names of the segments in which valid rules are looked at again.
        progress: Told what is being done.

    Returns:
        The promoted rules, valid ones first, by falling lift; and what was tried as a bundle. Empty where there is none or the
        section is off.

    Raises:
        ConfigError: ``cross_sell.level`` names no column of the baskets.

    References:
        Webb (2007), Machine Learning 68, 1-33 (hold-out evaluation of rules, and against their shorter rules).
    """
    settings, level = config.cross_sell, config.trial.level
    if settings is None:
        return (), ()
    progress("items and occasions")
    items = load_items(engine, config, levels=settings.level, min_customers=settings.min_customers)
    progress(f"rules of {len(items)} items")
    attached = attach_rules(
        items, min_customers=settings.min_customers, max_items=settings.max_items, level=level, progress=progress
    )
    next_bought = next_purchases(
        items, within=settings.within_days, min_customers=settings.min_customers, level=level, progress=progress
    )
    found: list[Attachment | NextPurchase] = [*attached, *next_bought]
    adjusted = holm(np.array([one.p_value for one in found])).tolist()
    rules = (_record(items, one, p=p, level=level) for one, p in zip(found, adjusted, strict=True))
    valued = value_rules(engine, config, items, found, rules)
    told = within_segments(engine, items, found, valued, segments=segments, within=settings.within_days)
    bundles = find_bundles(engine, config, items, attached, adjusted[: len(attached)], progress=progress)
    return tuple(sorted(told, key=_rank)), bundles


def _record(items: Assortment, found: Attachment | NextPurchase, *, p: float, level: float) -> CrossSellRule:
    rule, (low, high) = found.rule, found.lift.interval()
    record = partial(
        CrossSellRule,
        antecedent=tuple(items.names[item] for item in rule.antecedent),
        consequent=items.names[rule.consequent],
        kind=kind_of_rule([items.facts[item] for item in rule.antecedent], items.facts[rule.consequent]),
        segment=EVERYBODY,
        customers=found.customers,
        lift=Interval.of(found.lift.lift, low, high),
        p_confirmation_adjusted=p,
        valid=p <= level and low > 1.0,
    )
    if isinstance(found, Attachment):
        counts = found.counts
        return record(
            mode="same_occasion",
            support=counts.support,
            confidence=counts.confidence,
            leverage=counts.leverage,
            conviction=counts.conviction if math.isfinite(counts.conviction) else None,
        )
    return record(
        mode="next_purchase",
        support=found.found.support,
        confidence=found.found.confidence,
        median_days=found.found.days_by(0.5),
    )


def _rank(rule: CrossSellRule) -> tuple[bool, float, tuple[str, ...], str, str]:
    return not rule.valid, -(rule.lift.estimate or 0.0), rule.antecedent, rule.consequent, rule.mode
