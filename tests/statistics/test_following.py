"""What is bought after what: by hand, at the edges of the days, in worlds without a rule, and where the lift is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import kstest

from segmentor.statistics.association import relative_rates, size_classes
from segmentor.statistics.following import NEVER, Following, Occasions, following, screen_pairs

LAST = 719
WITHIN = 60


@dataclass(frozen=True)
class Shop:
    """Occasions by customer and day, and which of them hold the antecedent, the consequent and how many other items."""

    customer: np.ndarray
    day: np.ndarray
    antecedent: np.ndarray
    consequent: np.ndarray
    others: np.ndarray

    @property
    def occasions(self) -> Occasions:
        """In months of 30 days."""
        return Occasions(self.customer, self.day, self.day // 30, within=WITHIN, last_day=LAST)

    def follow(self) -> Following:
        """The rule of the shop."""
        return following(
            self.occasions,
            appetite=size_classes(self.others),
            antecedent=np.flatnonzero(self.antecedent),
            consequent=np.flatnonzero(self.consequent),
        )


def season_of(day: np.ndarray) -> np.ndarray:
    """All sells twice as well in a quarter of the year."""
    return np.where(day % 360 < 90, 2.0, 1.0)


def habitual(
    rng: np.random.Generator,
    customers: int,
    *,
    hastens: float = 1.0,
    attached: float = 1.0,
    afterwards: float = 1.0,
    at_first: float = 1.0,
) -> Shop:
    """No rule: heavy buyers, customers of different pace, tastes and leaving, in seasons.

    Args:
        rng: Source of chance.
        customers: Number of customers.
        hastens: The gap after an antecedent is this many times as long.
        attached: How many times as often the consequent comes with the antecedent on one occasion.
        afterwards: Share of antecedents that remain once the customer has the consequent.
        at_first: How many times as often the antecedent is on a customer's first occasion.
    """
    appetite, pace = rng.lognormal(sigma=0.6, size=customers), rng.lognormal(sigma=0.5, size=customers)
    taste = 0.12 * appetite * rng.lognormal(sigma=0.4, size=customers)
    who, day, factor = np.arange(customers), rng.integers(0, 400, customers), at_first
    rounds = []
    while who.size:
        antecedent = rng.random(who.size) < np.minimum(factor * taste[who] * season_of(day), 0.6)
        rounds.append((who, day, antecedent))
        mean_gap = 30.0 / pace[who] * np.where(antecedent, hastens, 1.0)
        day = day + 1 + rng.gamma(2.0, mean_gap / 2).astype(np.int64)
        stays = (day <= LAST) & (rng.random(who.size) > 0.05)
        who, day, factor = who[stays], day[stays], 1.0
    who, day, antecedent = (np.concatenate(column) for column in zip(*rounds, strict=True))
    order = np.lexsort((day, who))
    who, day, antecedent = who[order], day[order], antecedent[order]
    share = 0.06 * appetite[who] * season_of(day) * np.where(antecedent, attached, 1.0)
    consequent = rng.random(who.size) < np.minimum(share, 0.6)
    shop = Shop(who, day, antecedent, consequent, rng.poisson(appetite[who]))
    until = shop.occasions.days_until_first(np.flatnonzero(consequent))
    return replace(shop, antecedent=antecedent & ((until >= 0) | (rng.random(who.size) < afterwards)))


def planted(rng: np.random.Generator, customers: int, lift: float) -> tuple[Shop, float]:
    """A rule of a known lift among heavy buyers in seasons, and the number of its occasions that chance would give.

    The consequent is drawn first, and the antecedent by Bayes' rule given whether the consequent follows, so that its share
    stays as it is.
    """
    shop = habitual(rng, customers)
    level = rng.lognormal(sigma=0.4, size=customers)[shop.customer] * season_of(shop.day)
    x, y = np.minimum(0.12 * level, 0.3), np.minimum(0.03 * level, 0.3)
    consequent = rng.random(x.size) < y
    until, keys = shop.occasions.days_until_first(np.flatnonzero(consequent)), shop.occasions.keys()
    none = np.concatenate([[0.0], np.cumsum(np.log1p(-y))])
    end = np.searchsorted(keys, keys + WITHIN, side="right")
    chance = np.where(until > 0, -np.expm1(none[end] - none[1:]), 0.0)
    possible = np.minimum(lift, 1 / np.maximum(chance, 1e-9))
    followed = (until > 0) & (until <= WITHIN)
    factor = np.where(followed, possible, (1 - possible * chance) / (1 - chance))
    antecedent = rng.random(x.size) < x * factor
    return replace(shop, antecedent=antecedent, consequent=consequent, others=rng.poisson(level)), float(x @ chance)


def by_hand(*customers: dict[int, str]) -> Shop:
    """Customers as days with what was bought on them, letters x, y or neither."""
    rows = [(who, day, held) for who, days in enumerate(customers) for day, held in days.items()]
    return Shop(
        customer=np.array([who for who, _, _ in rows]),
        day=np.array([day for _, day, _ in rows]),
        antecedent=np.array(["x" in held for _, _, held in rows]),
        consequent=np.array(["y" in held for _, _, held in rows]),
        others=np.zeros(len(rows), dtype=np.int64),
    )


def test_counts_and_days_of_five_customers_are_those_counted_by_hand() -> None:
    """Three of five occasions with x, of two customers, are followed by a first y; who had y before, or had it at once, says nothing."""
    found = by_hand(
        {0: "x", 20: "y", 30: "x", 50: "y"},
        {0: "x", 10: "x", 50: "xy", 60: "x"},
        {0: "", 100: "x"},
        {0: "xy", 10: "x", 20: "y"},
        {0: "x", 700: ""},
    ).follow()
    assert found.lift.observed == 3
    assert found.customers == 2
    assert found.confidence == 3 / 5
    assert found.confidence_se == pytest.approx(math.sqrt(0.4**2 + 0.8**2 + 0.6**2 + 0.6**2) / 5)
    assert found.support == 3 / 14  # of 15 occasions one has less than 60 days left
    # After the first x, y comes after 20 days, after 50, and twice not at all.
    assert found.share[[0, 19, 20, 49, 50, 60]] == pytest.approx([0.0, 0.0, 0.25, 0.25, 0.5, 0.5])
    assert (found.days_by(0.5), found.days_by(0.8)) == (20, 50)


def test_what_only_its_place_tells_from_other_occasions_is_not_learned() -> None:
    """Where all customers buy the consequent on the sixth occasion, the fifth is like no other: no test and no interval."""
    customer, day = np.repeat(np.arange(400), 6), np.tile(np.arange(6) * 50, 400)
    held = np.random.default_rng(1).random(2400) < 0.5
    found = Shop(customer, day, held, day == 250, np.zeros(2400, dtype=np.int64)).follow()
    assert found.lift.p_value == 1.0
    assert all(map(math.isnan, found.lift.interval()))
    assert found.lift.lift == pytest.approx(1.0, abs=0.02)
    assert found.usual[-1] == pytest.approx(found.share[-1], rel=0.02)


@pytest.mark.parametrize(("gap", "followed"), [(1, True), (60, True), (61, False)])
def test_the_last_of_the_days_counts(gap: int, *, followed: bool) -> None:
    """A consequent on the 60th day after is within 60 days, one on the 61st is not."""
    found = by_hand({0: "x", gap: "y"}, {0: "x"}).follow()
    assert found.lift.observed == followed
    assert found.share[-1] == 0.5 * followed


@pytest.mark.parametrize(("day", "counts"), [(LAST - 60, True), (LAST - 59, False)])
def test_only_days_that_were_all_observed_count_for_the_confidence(day: int, *, counts: bool) -> None:
    """An occasion 60 days before the end of observation counts, one 59 days before it does not."""
    found = by_hand({0: "x", 30: "y"}, {day: "x"}).follow()
    assert found.confidence == (0.5 if counts else 1.0)
    assert found.support == (1 / 3 if counts else 1 / 2)


def test_customers_who_are_not_followed_to_the_end_are_censored() -> None:
    """Of two customers one leaves observation on day 10, the other buys on day 20: the share is 0, then all."""
    found = by_hand({LAST - 10: "x"}, {0: "x", 20: "y"}).follow()
    assert found.share[19] == 0.0
    assert (found.share[20:] == 1.0).all()


def test_days_until_the_first_purchase() -> None:
    """Days fall to 0 on the first purchase of an item and go on below; without one there is no day."""
    shop = by_hand({0: "", 5: "y", 9: "y"}, {3: "x"})
    assert shop.occasions.days_until_first(np.flatnonzero(shop.consequent)).tolist() == [5, 0, -4, NEVER]


@pytest.mark.parametrize(
    "shop",
    [
        pytest.param(by_hand({0: "xy"}, {5: "x"}, {7: "y"}), id="one occasion each"),
        pytest.param(by_hand({0: "x", 10: "y"}, {0: "x", 20: "y"}), id="nothing before the days"),
        pytest.param(by_hand({0: "", 10: "y"}, {0: "", 100: ""}), id="no antecedent"),
        pytest.param(by_hand({0: "x", 10: "x"}, {0: "x", 100: ""}), id="no consequent"),
        pytest.param(by_hand({0: "y", 10: "x"}, {0: "xy", 100: "x"}), id="never new"),
    ],
)
def test_what_says_nothing_proves_nothing(shop: Shop) -> None:
    """Where no customer has occasions to compare, p is 1 and there is no interval."""
    lift = shop.follow().lift
    assert lift.p_value == 1.0
    assert all(map(math.isnan, lift.interval()))


def test_customers_with_one_occasion_say_nothing() -> None:
    """A thousand customers more who came once leave test and lift as they are, and take nothing but confidence down."""
    shop, _ = planted(np.random.default_rng(2), 600, 2.0)
    once = np.arange(1000)
    more = Shop(
        np.concatenate([shop.customer, shop.customer.max() + 1 + once]),
        np.concatenate([shop.day, once % 600]),
        np.concatenate([shop.antecedent, once % 2 == 0]),
        np.concatenate([shop.consequent, once % 3 == 0]),
        np.concatenate([shop.others, once % 4]),
    )
    alone, together = shop.follow(), more.follow()
    assert together.lift.z == pytest.approx(alone.lift.z, rel=0.02)
    assert together.lift.lift == pytest.approx(alone.lift.lift, rel=0.01)
    assert together.confidence < alone.confidence


def test_numbering_of_customers_means_nothing() -> None:
    """Customers in another order give the same numbers."""
    shop, _ = planted(np.random.default_rng(3), 400, 2.0)
    number = np.random.default_rng(4).permutation(400)[shop.customer]
    order = np.lexsort((shop.day, number))
    other = Shop(
        number[order], *(column[order] for column in (shop.day, shop.antecedent, shop.consequent, shop.others))
    )
    one, two = shop.follow(), other.follow()
    assert two.lift.z == pytest.approx(one.lift.z, rel=1e-6)
    assert two.lift.interval() == pytest.approx(one.lift.interval(), rel=1e-6)
    assert two.usual == pytest.approx(one.usual, rel=1e-6)


def p_values(shops: int, seed: int, **habits: float) -> np.ndarray:
    """P-values of worlds without a rule."""
    rng = np.random.default_rng(seed)
    return np.array([habitual(rng, 500, **habits).follow().lift.p_value for _ in range(shops)])


def test_p_values_are_uniform_without_a_rule() -> None:
    """Among heavy buyers of different pace and taste in seasons, 2 to 9 of 100 shops reject at 5 %, and p is uniform."""
    p = p_values(200, seed=5)
    assert 0.02 <= (p < 0.05).mean() <= 0.09
    assert kstest(p, "uniform").pvalue > 0.005


@pytest.mark.parametrize(
    "habits",
    [
        pytest.param({"hastens": 0.5}, id="the antecedent brings customers back in half the time"),
        pytest.param({"attached": 3.0}, id="both are bought together"),
        pytest.param({"attached": 0.1}, id="one is bought instead of the other"),
        pytest.param({"afterwards": 0.1}, id="the consequent does away with the antecedent"),
        pytest.param({"at_first": 2.0}, id="the antecedent is bought at first"),
    ],
)
def test_what_is_no_rule_makes_none(habits: dict[str, float]) -> None:
    """What brings people back, goes along, replaces, ends or begins makes no rule in more than 10 of 100 shops."""
    assert (p_values(100, seed=6, **habits) < 0.05).mean() <= 0.10


def test_occasions_after_the_consequent_would_make_rules() -> None:
    """Where the consequent does away with the antecedent, half the shops show the antecedent more often before than after."""
    rng, more = np.random.default_rng(7), 0
    for _ in range(20):
        shop = habitual(rng, 500, afterwards=0.1)
        until = shop.occasions.days_until_first(np.flatnonzero(shop.consequent))
        ahead, after = (until > 0) & (until <= WITHIN), until < 0
        more += shop.antecedent[ahead].mean() > 2 * shop.antecedent[after].mean()
    assert more >= 18


@pytest.mark.parametrize("lift", [1.5, 2.0])
def test_intervals_cover_a_planted_lift(lift: float) -> None:
    """In 60 shops intervals of 95 % cover a planted lift in all but 8, the lifts average it within 4 %, and most are significant."""
    rng = np.random.default_rng(8)
    found = [planted(rng, 1200, lift)[0].follow().lift for _ in range(60)]
    covered = [one.interval()[0] <= lift <= one.interval()[1] for one in found]
    assert np.mean([math.log(one.lift) for one in found]) == pytest.approx(math.log(lift), abs=0.04)
    assert sum(covered) >= 52
    assert np.mean([one.p_value < 0.05 for one in found]) > 0.8


def test_a_rule_shows_in_its_curves() -> None:
    """Twice as many come as would without the rule, on every day about twice; the observed number is the expected one times the lift."""
    shop, expected = planted(np.random.default_rng(9), 6000, 2.0)
    found = shop.follow()
    assert found.lift.expected == pytest.approx(expected, rel=0.12)
    assert found.share[60] / found.usual[60] == pytest.approx(found.lift.lift)
    assert found.share[30] / found.usual[30] == pytest.approx(2.0, rel=0.25)
    assert (np.diff(found.usual) >= 0).all()


def test_standard_error_equals_a_bootstrap_of_customers() -> None:
    """The standard error of log(lift) is the spread over resampled customers, within 20 %."""
    shop, _ = planted(np.random.default_rng(10), 800, 2.0)
    rng, logs = np.random.default_rng(11), []
    of_customer = np.split(np.arange(shop.day.size), np.flatnonzero(np.diff(shop.customer)) + 1)
    for _ in range(100):
        drawn = [of_customer[one] for one in rng.integers(0, 800, 800)]
        row, again = np.concatenate(drawn), np.repeat(np.arange(800), [rows.size for rows in drawn])
        columns = (shop.day, shop.antecedent, shop.consequent, shop.others)
        logs.append(math.log(Shop(again, *(column[row] for column in columns)).follow().lift.lift))
    assert shop.follow().lift.log_se == pytest.approx(np.std(logs), rel=0.2)


@pytest.mark.parametrize("least", [1, 12])
def test_screening_of_pairs_equals_a_recount(least: int) -> None:
    """Every ordered pair that enough customers followed has the p-value of sums over the occasions before the first purchase."""
    shop = habitual(np.random.default_rng(12), 60)
    rng = np.random.default_rng(13)
    sold = [np.flatnonzero(rng.random(shop.day.size) < share) for share in (0.3, 0.2, 0.1, 0.0)]
    appetite = [rng.integers(0, 3, shop.day.size) for _ in sold]
    expected = []
    for first, second in np.ndindex(4, 4):
        scores, customers = [], 0
        margins = shop.occasions.margins(appetite[first])
        fitted = relative_rates(shop.customer, sold[first], margins=margins)
        rate = np.prod([rates[levels] for rates, levels in zip(fitted, margins, strict=True)], axis=0)
        until = shop.occasions.days_until_first(sold[second])
        for one in np.unique(shop.customer) if first != second else ():
            ahead = np.flatnonzero((shop.customer == one) & (until > 0) & (until < NEVER))
            near, held = until[ahead] <= WITHIN, np.isin(ahead, sold[first])
            if held.any():
                scores.append((held & near).sum() - held.sum() * rate[ahead][near].sum() / rate[ahead].sum())
                customers += (held & near).any()
        if customers >= least:
            z = np.sum(scores) / math.sqrt(np.square(scores).sum())
            expected.append((first, second, customers, pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))))
    found = screen_pairs(shop.occasions, sold=sold, appetite=appetite, least=least)
    assert len(expected) == {1: 6, 12: 2}[least]
    assert [
        (*pair, customers, p)
        for pair, customers, p in zip(
            found.items.tolist(), found.customers.tolist(), found.p_values.tolist(), strict=True
        )
    ] == expected


def test_screening_of_what_does_not_vary_proves_nothing() -> None:
    """Where every occasion before the purchase is within the days, the pair is listed with its customers and a p-value of 1."""
    shop = by_hand({0: "x", 10: "y"}, {0: "x", 20: "y"})
    sold = [np.flatnonzero(shop.antecedent), np.flatnonzero(shop.consequent)]
    found = screen_pairs(shop.occasions, sold=sold, appetite=[shop.others, shop.others], least=2)
    assert found.items.tolist() == [[0, 1]]
    assert found.customers.tolist() == [2]
    assert found.p_values.tolist() == [1.0]


def test_no_items_and_no_occasions_are_no_error() -> None:
    """An empty half has no pairs."""
    none = np.array([], dtype=np.int64)
    empty = Occasions(none, none, none, within=WITHIN, last_day=LAST)
    assert screen_pairs(empty, sold=[], appetite=[], least=1).items.shape == (0, 2)
    assert screen_pairs(empty, sold=[none, none], appetite=[none, none], least=1).items.shape == (0, 2)
    assert math.isnan(following(empty, appetite=none, antecedent=none, consequent=none).lift.lift)
