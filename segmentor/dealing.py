"""What a label shows when products mean nothing: the check on labels made of many purchases."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from segmentor.evidence import Evidence, gather
from segmentor.result import DealtLabels, PairEffect

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.populations import Population
    from segmentor.splits import Split

DEALS = 10


def deal_labels(
    engine: Engine,
    config: ExperimentConfig,
    split: Split,
    population: Population,
    *,
    observed: PairEffect | None,
    carried_by: str | None,
    progress: Callable[[str], None],
) -> DealtLabels | None:
    """Deals baskets at random among the orders that make the label, and tests what comes of it like the split itself.

    Each customer keeps the number and the days of their orders; what was in them is that of any customer's. Whatever still
    separates does so because a label such as "ever bought" tells how often somebody bought, and not what.

    Args:
        engine: Holds the split's source and the population's tables.
        config: The experiment.
        split: A split that is known until a date or over the whole history, labelled by lines alone.
        population: Whom the label is tested on.
        observed: The split's own pair that carries its verdict; ``None`` where it was not tested, which takes the first pair.
        carried_by: Which of its comparisons carries it: ``ratio`` or ``share back``.
        progress: Told what is being done.

    Returns:
        ``None`` where no deal could be tested.
    """
    dealt: list[Evidence] = []
    engine.execute(
        "create or replace temp table _orders as select _customer, _day, max(_known_since) as _known_since,\n"
        f"  row_number() over (order by _customer, _day) as place from {split.source} group by _customer, _day"
    )
    for number in range(1, DEALS + 1):
        progress(f"{split.name} with baskets dealt at random, {number} of {DEALS}")
        engine.execute(f"create or replace view _dealt as {_dealt(split.source, f'{config.seed}:{number}')}")
        evidence = gather(engine, config, split, population, halves=False, source="_dealt", detail="direction")
        if evidence.test is not None:
            dealt.append(evidence)
    engine.execute("drop view _dealt")
    engine.execute("drop table _orders")
    if not dealt:
        return None
    effects = [each.effects for each in dealt if each.effects is not None]
    pairs = [
        one
        for each in effects
        for one in each.pairs
        if (one.first, one.second) == ((observed or each.pairs[0]).first, (observed or each.pairs[0]).second)
    ]
    as_strong = None
    if observed is not None:
        own = _strength(observed, carried_by)
        as_strong = sum(_strength(one, carried_by) * np.sign(own) >= abs(own) for one in pairs)
    return DealtLabels(
        deals=len(dealt),
        significant=sum(each.p_value is not None and each.p_value <= config.trial.level for each in dealt),
        ratio=_median([one.ratio.estimate for one in pairs]),
        share_difference=_median([one.share_difference.estimate for one in pairs]),
        as_strong=None if as_strong is None else int(as_strong),
    )


def _strength(pair: PairEffect, carried_by: str | None) -> float:
    """The comparison that carries a verdict, 0 where nothing differs."""
    if carried_by == "share back":
        return pair.share_difference.estimate or 0.0
    return float(np.log(pair.ratio.estimate or 1.0))


def _dealt(source: str, salt: str) -> str:
    """The lines of ``source``, each of ``_orders`` under the customer and the day of another of them."""
    return (
        "with deals as (\n"
        f"  select place, row_number() over (order by md5('{salt}:' || _customer || ':' || _day), _customer, _day) as dealt\n"
        "  from _orders)\n"
        "select w.* replace (o._customer as _customer, o._day as _day, o._known_since as _known_since)\n"
        f"from {source} w join _orders b on b._customer = w._customer and b._day = w._day\n"
        "join deals d on d.place = b.place join _orders o on o.place = d.dealt"
    )


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
