"""Valid rules of an earlier run and a shop's data of any day -> the next best offers of each customer, and the rule behind each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segmentor.config import CrossSell
from segmentor.cross_sell.items import last_day, level_columns, make_items_bought
from segmentor.errors import ConfigError, InputError
from segmentor.result import CrossSellRule, from_json
from segmentor.tables import inert

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

MOST_OFFERS = 3
"""Offers of a customer at most."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A valid rule as an offer to those who have its antecedent.

    Attributes:
        item: The consequent, to be offered.
        because: Antecedent and mode in words.
        gain: Orders with the item that the rule brings a customer beyond habit: confidence x (1 - 1 / lift).
        antecedent: Items that must have been bought on one occasion.
        repeat_days: Days after a purchase of the item when it is due again; ``None`` where whoever has it needs none.
        segments: Whose customers it is for; ``None``: everybody's.
    """

    item: str
    because: str
    gain: float
    antecedent: tuple[str, ...]
    repeat_days: float | None
    segments: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RunOffers:
    """What a run lets offer.

    Attributes:
        path: Its results.
        levels: What an item is.
        within: Days since the antecedent in which an offer may be made.
        offers: Best first: by gain, then by the name of the item.
    """

    path: Path
    levels: tuple[str, ...]
    within: int
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """What customers were offered.

    Attributes:
        customers: How many have an offer.
        by_offer: Each offer of the run with how many have it, best first.
    """

    customers: int
    by_offer: tuple[tuple[Offer, int], ...]


def read_offers(run_dir: Path) -> RunOffers:
    """The valid rules of a run as offers.

    A rule whose lift differs between segments, at the run's own level, is offered only where it holds.

    Raises:
        InputError: The folder holds no results of this version, or the run did not look for rules.
    """
    path = run_dir / "results.json"
    if not path.is_file():
        raise InputError(
            f"{run_dir}: holds no rules to make offers by; give the folder that segmentor run wrote, with its results.json"
        )
    result = from_json(path.read_text(encoding="utf-8"))
    if result.rules is None:
        raise InputError(
            f"{path}: the run looked for no rules to make offers by; write cross_sell: in its config and run it again"
        )
    settings, trial = CrossSell.model_validate(result.config["cross_sell"]), result.config["trial"]
    assert isinstance(trial, dict)
    valid = (rule for rule in result.rules if rule.valid)
    offers = (_offer(rule, within=settings.within_days, level=trial["level"]) for rule in valid)
    return RunOffers(path, settings.level, settings.within_days, tuple(sorted(offers, key=_rank)))


def _offer(rule: CrossSellRule, *, within: int, level: float) -> Offer:
    first = " and ".join(rule.antecedent)
    differs = rule.p_segments_adjusted is not None and rule.p_segments_adjusted <= level
    return Offer(
        item=rule.consequent,
        because=f"with {first}" if rule.mode == "same_occasion" else f"after {first}, within {within} days",
        gain=rule.confidence * (1.0 - 1.0 / (rule.lift.estimate or 1.0)),
        antecedent=rule.antecedent,
        repeat_days=rule.repeat_days,
        segments=tuple(one.segment for one in rule.segments if one.holds) if differs else None,
    )


def _rank(offer: Offer) -> tuple[float, str, str]:
    return -offer.gain, offer.item, offer.because


def make_offers(engine: Engine, config: ExperimentConfig, run: RunOffers, *, as_of: int | None) -> Offered:
    """Makes the tables of offers, of the customers who bought a rule's antecedent on one occasion in the last days.

    ``_offers``: a row an offer that the run allows; key ``place`` (0 the best); ``item``, ``shown`` (that no spreadsheet takes for a
    formula), ``because``, ``gain``, ``repeat_days``. ``_offered``: a row a customer and offer, key (``customer``, ``number`` from 1,
    at most three); its ``place``, and ``again``: the customer has the item, and it is due. Of an item only the best offer is made.

    Args:
        engine: Holds ``_basket_lines``, ``everyone``, and ``assigned`` with ``customer`` and ``segment``.
        config: Of the data, for the roles of columns.
        run: What may be offered.
        as_of: Number of the last day that is looked at; by default the last day of observation.

    Raises:
        InputError: The data lack a column by which the run told items.
    """
    try:
        make_items_bought(engine, level_columns(engine, config, run.levels))
    except ConfigError as error:
        raise InputError(f"{run.path}: its rules do not fit the data of {config.source}: {error}") from None
    _put(engine, run.offers)
    today = last_day(engine, config) if as_of is None else as_of
    engine.execute(
        "create or replace temp table _offered as with whole as (\n"
        "  select b._customer_no, b._day_no, a.place from _items_bought b join _offer_antecedents a using (item)\n"
        f"  where b._day_no between {today - run.within + 1} and {today}\n"
        "  group by b._customer_no, b._day_no, a.place having count(*) = any_value(a.items)),\n"
        "lately as (select distinct _customer_no, place from whole),\n"
        "had as (select _customer_no, item, max(_day_no) as day from _items_bought\n"
        f"  where item in (select item from _offers) and _day_no <= {today} group by _customer_no, item),\n"
        "possible as (select e.customer, o.item, h.day is not null as again, min(o.place) as place\n"
        "  from lately l join _offers o using (place) join everyone e on e.customer_no = l._customer_no\n"
        "  left join had h on h._customer_no = l._customer_no and h.item = o.item\n"
        "  join assigned g on g.customer = e.customer\n"
        "  left join _offer_segments s on s.place = o.place and s.segment = g.segment\n"
        f"  where (h.day is null or {today} - h.day >= o.repeat_days) and (o.for_all or s.segment is not null)\n"
        "  group by e.customer, o.item, again)\n"
        "select customer, place, again, row_number() over (partition by customer order by place) as number from possible\n"
        f"qualify number <= {MOST_OFFERS}"
    )
    counts = dict(engine.rows("select place, count(*) from _offered group by place"))
    customers = engine.scalar("select count(distinct customer) from _offered")
    return Offered(customers, tuple((offer, counts.get(place, 0)) for place, offer in enumerate(run.offers)))


def _put(engine: Engine, offers: Sequence[Offer]) -> None:
    """Makes ``_offers``, ``_offer_antecedents`` (a row an item of an antecedent) and ``_offer_segments`` (a row a segment of an offer)."""
    engine.put(
        "_offers",
        {
            "place": np.arange(len(offers)),
            "item": _texts([offer.item for offer in offers]),
            "shown": _texts([inert(offer.item) for offer in offers]),
            "because": _texts([offer.because for offer in offers]),
            "gain": np.array([offer.gain for offer in offers], dtype=np.float64),
            "repeat_days": np.array([offer.repeat_days for offer in offers], dtype=np.float64),
            "for_all": np.array([offer.segments is None for offer in offers], dtype=np.bool_),
        },
    )
    items = [(place, item, len(offer.antecedent)) for place, offer in enumerate(offers) for item in offer.antecedent]
    engine.put(
        "_offer_antecedents",
        {
            "place": np.array([place for place, _, _ in items], dtype=np.int64),
            "item": _texts([item for _, item, _ in items]),
            "items": np.array([several for _, _, several in items], dtype=np.int64),
        },
    )
    segments = [(place, segment) for place, offer in enumerate(offers) for segment in offer.segments or ()]
    engine.put(
        "_offer_segments",
        {
            "place": np.array([place for place, _ in segments], dtype=np.int64),
            "segment": _texts([segment for _, segment in segments]),
        },
    )


def _texts(values: Sequence[str]) -> np.ndarray:
    return np.array(values, dtype=object)


def offer_columns(*, exact: bool) -> str:
    """SELECT of a customer's offers side by side: ``customer``, and ``offer_1``, ``offer_1_because``, ``offer_1_gain`` up to the third.

    Args:
        exact: Whether items stand as they are, and not so that no spreadsheet takes one for a formula.
    """
    due = "'; bought before and due again, as half buy it again within ' || format('{:g}', o.repeat_days) || ' days'"
    texts = {
        "": "o.item" if exact else "o.shown",
        "_because": f"o.because || case when c.again then {due} else '' end",
        "_gain": "o.gain",
    }
    columns = ",\n  ".join(
        f"max({text}) filter (c.number = {number}) as offer_{number}{name}"
        for number in range(1, MOST_OFFERS + 1)
        for name, text in texts.items()
    )
    return f"select c.customer,\n  {columns}\nfrom _offered c join _offers o using (place) group by c.customer"
