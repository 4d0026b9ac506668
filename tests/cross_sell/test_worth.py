"""What a rule is worth: whom it reaches, how many orders and how much money, how soon, and when its consequent is due again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from baskets import ITEMS, held_items, put, rules_of

from segmentor.cross_sell.attach import Attachment
from segmentor.cross_sell.following import NextPurchase
from segmentor.cross_sell.items import Assortment, Baskets, load_items
from segmentor.cross_sell.kinds import ItemFacts
from segmentor.cross_sell.mining import Rule
from segmentor.cross_sell.worth import money_an_occasion, repeat_days, worth
from segmentor.engine.duckdb import Engine, open_engine
from segmentor.result import Interval
from segmentor.statistics.association import Lift, RuleCounts
from segmentor.statistics.following import Following

LAST = 1000
WITHIN = 60
LIFT = Lift(observed=10.0, expected=5.0, z=3.0, log_se=0.1)
UNKNOWN = ItemFacts(None, None, None, None)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine without tables."""
    with open_engine(scratch=tmp_path, inputs=[], threads=1) as engine:
        yield engine


def half(customers: list[dict[int, str]]) -> Baskets:
    """Customers as days with what was bought on them: of the items x, y and z."""
    rows = [(who, day, held) for who, days in enumerate(customers) for day, held in sorted(days.items())]
    return Baskets(
        np.array([who for who, _, _ in rows], dtype=np.int64),
        day=np.array([day for _, day, _ in rows], dtype=np.int64),
        month=np.zeros(len(rows), dtype=np.int64),
        size=np.array([len(held) for _, _, held in rows], dtype=np.int64),
        sold=tuple(
            np.array([row for row, (_, _, held) in enumerate(rows) if item in held], dtype=np.int64) for item in "xyz"
        ),
    )


def shop(*customers: dict[int, str]) -> Assortment:
    """Customers, in turn of the one half and of the other."""
    halves = half(list(customers[::2])), half(list(customers[1::2]))
    return Assortment(tuple("xyz"), (UNKNOWN,) * 3, frozenset(), *halves, last_day=LAST)


def later(*antecedent: int, consequent: int = 1) -> NextPurchase:
    """A next purchase with confidence 0.4 and lift 2."""
    nothing = np.zeros(1)
    found = Following(LIFT, 5, 0.1, 0.4, 0.04, share=nothing, usual=nothing)
    return NextPurchase(Rule(antecedent, consequent), 10, found)


def beside(*antecedent: int, consequent: int = 1) -> Attachment:
    """A rule of the same occasion with confidence 0.5 and lift 2."""
    return Attachment(Rule(antecedent, consequent), 10, RuleCounts(100, 20, 30, 10), 0.05, LIFT, 0.01)


REACHED: Mapping[str, tuple[dict[int, str], bool]] = {
    "the antecedent today": ({LAST: "x"}, True),
    "on the first of the days": ({LAST - WITHIN + 1: "x"}, True),
    "a day too long ago": ({LAST - WITHIN: "x"}, False),
    "long ago and lately": ({LAST - 300: "x", LAST - 30: "xz"}, True),
    "the consequent before": ({LAST - 300: "y", LAST - 30: "x"}, False),
    "the consequent after": ({LAST - 30: "x", LAST - 20: "y"}, False),
    "the consequent with it": ({LAST - 30: "xy"}, False),
    "something else": ({LAST - 30: "z"}, False),
    "days after the last one": ({LAST + 1: "x"}, False),
    "the consequent after the last day": ({LAST - 30: "x", LAST + 1: "y"}, True),
}


@pytest.mark.parametrize(("days", "reached"), REACHED.values(), ids=REACHED)
def test_reached_is_who_has_the_antecedent_lately_and_never_the_consequent(
    days: dict[int, str], *, reached: bool
) -> None:
    """Of one customer it is known whether an offer can reach it, whatever half it is in."""
    for customers in ([days, {}], [{}, days]):
        told = worth(shop(*customers), later(0), within=WITHIN, money=None)
        assert told is not None
        assert told.reachable == int(reached)


def test_a_longer_antecedent_must_be_bought_on_one_occasion() -> None:
    """Two items on two occasions reach nobody, and on one they do."""
    items = shop({LAST - 9: "x", LAST - 8: "z"}, {LAST - 9: "xz"}, {LAST - 5: "xz"})
    told = worth(items, beside(0, 2), within=WITHIN, money=None)
    assert told is None
    told = worth(items, later(0, 2), within=WITHIN, money=None)
    assert told is not None
    assert told.reachable == 2


def test_orders_are_reached_customers_times_what_the_rule_adds() -> None:
    """Three customers, confidence 0.4 and lift 2 make 0.6 orders; bounds are those of confidence and lift together; money is in proportion."""
    items = shop({LAST: "x"}, {LAST: "x"}, {LAST: "x"}, {LAST: "y"})
    told = worth(items, later(0), within=WITHIN, money=12.5)
    assert told is not None
    assert told.orders.estimate == pytest.approx(3 * 0.4 * (1 - 1 / 2))
    odds, lift = math.exp(1.959964 * 0.04 / (0.4 * 0.6)), math.exp(1.959964 * 0.1)
    for bound, factor, times in ((told.orders.ci_low, 1 / odds, 1 / lift), (told.orders.ci_high, odds, lift)):
        share = 0.4 / 0.6 * factor / (1 + 0.4 / 0.6 * factor)
        assert bound == pytest.approx(3 * share * (1 - 1 / (2 * times)), rel=1e-6)
    assert told.amount is not None
    assert told.amount.ci_low == pytest.approx(12.5 * (told.orders.ci_low or 0))
    without = worth(items, later(0), within=WITHIN, money=None)
    assert without is not None
    assert without.amount is None
    assert without.orders == told.orders


def test_occasions_to_come_are_those_of_customers_reached_earlier() -> None:
    """Three who could have been reached 60 days ago made 0, 1 and 2 occasions with the antecedent since: one each is expected of the two of today."""
    items = shop(
        {LAST - 2 * WITHIN + 1: "x"},
        {LAST - WITHIN: "x", LAST - 30: "x"},
        {LAST - WITHIN - 5: "x", LAST - WITHIN + 1: "xy", LAST: "xy"},
        {LAST - WITHIN - 5: "y", LAST - WITHIN: "x", LAST - 20: "x", LAST - 19: "x"},
        {LAST - 3: "x"},
    )
    told = worth(items, beside(0), within=WITHIN, money=2.0)
    assert told is not None
    assert told.reachable == 2
    assert told.orders.estimate == pytest.approx(2 * 1.0 * 0.5 * (1 - 1 / 2))
    assert told.amount == Interval(*(2 * bound for bound in vars_of(told.orders)))
    # The mean of 0, 1 and 2 has the standard error root(2) / 3; its part and the rule's add as squares of logarithms.
    spread = 1.959964 * math.sqrt(2) / 3
    gain = beside(0).gain
    for bound, own in ((told.orders.ci_low, gain.low), (told.orders.ci_high, gain.high)):
        assert abs(math.log(bound / 0.5)) == pytest.approx(math.hypot(spread, math.log(own / gain.value)), rel=1e-6)


def vars_of(interval: Interval) -> tuple[float, float, float]:
    """Estimate and bounds, none of them unknown."""
    found = interval.estimate, interval.ci_low, interval.ci_high
    assert None not in found
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(("first", "known"), [(LAST - 2 * WITHIN + 1, True), (LAST - 2 * WITHIN + 2, False)])
def test_a_short_history_tells_no_occasions_to_come(first: int, *, known: bool) -> None:
    """A rule of the same occasion has a worth from twice the days of history on; a next purchase has one in any case."""
    items = shop({first: "z", LAST - 70: "x"}, {LAST - 70: "x", LAST - 10: "x"})
    assert (worth(items, beside(0), within=WITHIN, money=None) is not None) == known
    assert worth(items, later(0), within=WITHIN, money=None) is not None


def test_nobody_reached_earlier_tells_no_occasions_to_come() -> None:
    """Without a customer who could have been reached in the days before, the worth is not known."""
    items = shop({LAST - 400: "x", LAST - 5: "x"}, {LAST - 70: "xy", LAST - 5: "x"})
    assert worth(items, beside(0), within=WITHIN, money=None) is None


def test_an_antecedent_not_bought_again_is_worth_nothing() -> None:
    """Where those reached earlier bought the antecedent no more, no order is expected, without an interval."""
    told = worth(shop({LAST - 400: "z", LAST - 70: "x"}, {LAST: "x"}), beside(0), within=WITHIN, money=3.0)
    assert told is not None
    assert told.orders == Interval(0.0, None, None)


@pytest.mark.parametrize(
    ("customers", "days"),
    [
        # At risk on day 10 four gaps, of which one ends; on day 20 two, of which one ends: 3/4 x 1/2 is below a half.
        ([{LAST - 50: "y", LAST - 40: "y"}, {LAST - 35: "y", LAST - 15: "y"}], 20.0),
        # One of three gaps ends: two thirds have not come back at the end of the curve.
        ([{LAST - 50: "y", LAST - 40: "y"}, {LAST - 15: "y"}], None),
        # Gaps of 7, 7 and 10 days: exactly half are back from day 7 to day 10.
        ([{LAST - 50: "y", LAST - 44: "xz", LAST - 43: "y", LAST - 36: "y", LAST - 26: "y"}], 8.5),
        ([{LAST - 50: "x"}, {LAST: "z"}], None),
        ([{LAST: "y"}], None),
        ([{}], None),
        # A purchase after the last day is not looked at.
        ([{LAST - 10: "y", LAST + 1: "y"}], None),
    ],
)
def test_repeat_days_are_the_median_of_gaps_of_which_open_ones_are_censored(
    customers: list[dict[int, str]], days: float | None
) -> None:
    """By hand, whatever the halves; `None` where the median is not reached."""
    assert repeat_days(shop(*customers, {}), 1) == days
    assert repeat_days(shop({}, *customers), 1) == days


def money_of(engine: Engine, lines: list[tuple[int, int, str, float | None]], *levels: str, role: str = "money") -> Any:
    """Mean amounts by item, of lines of customer, day, sku and amount; customers are in turn of the halves."""
    who, day, sku, amount = zip(*lines, strict=True)
    columns = {"_customer_no": np.array(who), "_day_no": np.array(day), "sku": np.array(sku, dtype=object)}
    put(engine, columns | {"shelf": np.full(len(lines), "shelf"), "money": np.array(amount, dtype=np.float64)})
    config: Any = SimpleNamespace(
        cycle=SimpleNamespace(observed_until=None),
        data=SimpleNamespace(
            products=None, transactions=SimpleNamespace(columns={"customer": "who", "product": "sku", "amount": role})
        ),
    )
    items = load_items(engine, config, levels=levels, min_customers=1)
    return dict(zip(items.names, money_an_occasion(engine, config, items, levels=levels), strict=True))


LINES: list[tuple[int, int, str, float | None]] = [
    (0, 1, "a", 3.0),
    (0, 1, "a", 0.1),
    (0, 1, "b", 5.0),
    (1, 1, "a", 0.2),
    (1, 4, "b", None),
    (0, 9, "c", None),
]


def test_money_is_the_mean_over_occasions_of_both_halves(engine: Engine) -> None:
    """Lines of one occasion add up; an unknown amount adds nothing, and an item without any has no mean."""
    expected = {"a": 3.3 / 2, "b": 5.0 / 2, "c": None}
    assert money_of(engine, LINES, "product") == expected
    assert money_of(engine, LINES[::-1], "product") == expected


def test_money_is_known_at_every_level(engine: Engine) -> None:
    """With two levels each item has its own: the shelf's occasions are those of all its products."""
    assert money_of(engine, LINES, "product", "shelf") == {
        "product=a": 3.3 / 2,
        "product=b": 5.0 / 2,
        "product=c": None,
        "shelf=shelf": 8.3 / 4,
    }


def test_without_the_role_no_money_is_known(engine: Engine) -> None:
    """A shop whose lines have no amount gives none."""
    assert set(money_of(engine, LINES, "product", role="elsewhere").values()) == {None}


def test_rules_of_a_shop_have_worth_and_days(engine: Engine) -> None:
    """Valid rules have a worth and, after one another, a curve; others neither; the records are the same whatever the order of rows."""
    rng = np.random.default_rng(3)
    customer, day, held = held_items(rng, 900, planted={(0, 3): 3.0})
    key = customer * 100_000 + day
    order = np.argsort(key)
    bought = np.sort(key[held[:, 1]])
    lately = np.searchsorted(bought, key) > np.searchsorted(bought, key - 60)
    held[:, 2] |= lately & (rng.random(day.size) < 0.3)
    occasion, item = np.nonzero(held[order])
    lines = {"_customer_no": customer[order][occasion], "_day_no": day[order][occasion], "sort": ITEMS[item]}
    lines["money"] = np.round(rng.lognormal(size=item.size), 2)
    put(engine, lines)
    rules = rules_of(engine)
    valid = [rule for rule in rules if rule.valid]
    assert {rule.mode for rule in valid} == {"same_occasion", "next_purchase"}
    for rule in valid:
        assert rule.worth is not None
        assert rule.worth.amount is not None
        for interval in (rule.worth.orders, rule.worth.amount):
            low, high = interval.ci_low, interval.ci_high
            assert 0.0 < low < interval.estimate < high  # type: ignore[operator]
    for rule in rules:
        assert rule.repeat_days is not None
        assert (rule.curve is not None) == (rule.valid and rule.mode == "next_purchase")
        if rule.mode == "same_occasion":
            assert rule.most_days is None
        else:
            assert rule.median_days <= rule.most_days <= 60  # type: ignore[operator]
        if rule.curve is not None:
            share, usual = rule.curve.share[-1], rule.curve.usual[-1]
            assert len(rule.curve.share) == len(rule.curve.usual) == 61
            assert share / usual == pytest.approx(rule.lift.estimate)  # type: ignore[operator]
    assert all(rule.worth is None for rule in rules if not rule.valid)
    shuffled = rng.permutation(item.size)
    put(engine, {name: column[shuffled] for name, column in lines.items()})
    assert rules_of(engine) == rules
