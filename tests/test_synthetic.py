"""The fragrance world: its published figures are recovered from its shops, and its truth is what its shops show."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from segmentor.errors import InputError
from segmentor.synthetic import FragranceWorld, fragrance_truth, simulate_fragrance, write_fragrance
from segmentor.synthetic.baskets import Baskets, category_shares, draw_baskets
from segmentor.synthetic.contacts import Contacts, draw_contacts
from segmentor.synthetic.histories import Histories, People, code_of, draw_histories, draw_people
from segmentor.synthetic.truth import TRUTH_DAYS, typical_gaps

WORLD = FragranceWorld()
FILES = ("transactions.csv", "products.csv", "customers.csv", "contacts.csv")


@pytest.fixture(scope="module")
def shop():
    """A shop of 5,000 customers."""
    return simulate_fragrance(WORLD, customers=5_000, seed=1)


@pytest.fixture(scope="module")
def crowd() -> tuple[People, Histories]:
    """The occasions of 60,000 customers."""
    return _crowd(WORLD, customers=60_000)


@pytest.fixture(scope="module")
def baskets(crowd) -> Baskets:
    """What the crowd bought."""
    return draw_baskets(WORLD, crowd[0], histories=crowd[1], rng=np.random.default_rng(2))


@pytest.fixture(scope="module")
def contacts(crowd) -> Contacts:
    """Whom of the crowd the shop wrote to."""
    return draw_contacts(WORLD, crowd[0], histories=crowd[1], rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def truth() -> dict:
    """The truth of the default world, the same on every call, as read back from JSON."""
    return json.loads(json.dumps(fragrance_truth(WORLD)))


def _crowd(world: FragranceWorld, *, customers: int) -> tuple[People, Histories]:
    rng = np.random.default_rng(1)
    people = draw_people(world, customers, rng=rng)
    return people, draw_histories(world, people, rng=rng)


def _near(observed: float, expected: float, trials: float) -> bool:
    """A share of so many independent trials lies within 4.5 standard errors of what is expected."""
    return abs(observed - expected) < 4.5 * np.sqrt(expected * (1 - expected) / trials)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    """Files are a function of world, customers and seed."""
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_fragrance(simulate_fragrance(WORLD, customers=200, seed=seed), tmp_path / folder, truth=False)
    for name in (*FILES, "fragrance.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for name in ("transactions.csv", "contacts.csv", "customers.csv"):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_files_have_the_declared_columns_and_text_ids(tmp_path: Path) -> None:
    """Headers are as documented, ids keep leading zeros, money has cents, times are naive and local."""
    write_fragrance(simulate_fragrance(WORLD, customers=50, seed=1), tmp_path, truth=False)
    lines = {name: (tmp_path / name).read_text(encoding="utf-8").splitlines() for name in FILES}
    assert lines["transactions.csv"][0] == "order_id,customer_id,ordered_at,product_id,quantity,amount,discount"
    assert lines["products.csv"][0] == "product_id,category,brand,gender,size,price_tier"
    assert lines["customers.csv"][0] == "customer_id,region,channel"
    assert lines["contacts.csv"][0] == "customer_id,campaign,time,channel,arm,cost,opened,clicked"
    order, customer, time, product, quantity, amount, discount = lines["transactions.csv"][1].split(",")
    assert (order, customer[:4], product[:3]) == ("O0000001", "C000", "P00")
    assert len(time) == len("2024-01-01 00:00:00")
    assert time[10] == " "
    assert int(quantity) >= 1
    assert amount[-3] == discount[-3] == "."
    assert len(lines["customers.csv"]) == 51
    assert not (tmp_path / "truth.json").exists()


def test_every_order_is_one_customer_on_one_day_with_one_fragrance(shop) -> None:
    """An order has one customer and time, no customer has two on a day, and each holds one fragrance."""
    lines = shop.transactions
    days = lines["ordered_at"].astype("datetime64[D]")
    orders = set(zip(lines["order_id"], lines["customer_id"], days, strict=True))
    assert len(orders) == len(set(lines["order_id"])) == len({(customer, day) for _, customer, day in orders})
    category = dict(zip(shop.products["product_id"], shop.products["category"], strict=True))
    rows = zip(lines["order_id"], lines["product_id"], strict=True)
    fragrances = [order for order, item in rows if category[item] == "fragrance"]
    assert sorted(fragrances) == sorted(set(lines["order_id"]))
    assert set(lines["customer_id"]) == set(shop.customers["customer_id"])


def test_only_fragrances_have_gender_and_size(shop) -> None:
    """Labels of other products are empty, brands, tiers and categories as many as published."""
    products = shop.products
    fragrance = products["category"] == "fragrance"
    assert (products["gender"][~fragrance] == "").all()
    assert (products["size"][~fragrance] == "").all()
    assert set(products["gender"][fragrance]) == {"men", "women", "unisex"}
    assert set(products["size"][fragrance]) == {"full", "sample", "travel"}
    assert [len(set(products[name])) for name in ("category", "brand", "price_tier")] == [12, 12, 3]
    assert len(set(products["product_id"])) == len(fragrance)


def test_dates_lie_in_the_period_and_entries_in_its_first_days(shop) -> None:
    """Nothing is bought before the start or after 730 days, and nobody enters after 540."""
    days = shop.transactions["ordered_at"].astype("datetime64[D]")
    assert days.min() >= np.datetime64("2024-01-01")
    assert days.max() == np.datetime64("2024-01-01") + np.timedelta64(729, "D")
    first = shop.histories.day[shop.histories.number == 0]
    assert (first.min(), first.max()) == (0, 539)
    assert abs(first.mean() - 269.5) < 4.5 * 540 / np.sqrt(12 * len(first))


def test_first_labels_have_their_shares_and_are_independent(crowd) -> None:
    """Gender, size and channel occur as published, each within every level of another too."""
    people, _ = crowd
    codes = {"genders": people.gender, "sizes": people.size, "channels": people.channel}
    for name, values in codes.items():
        for code, (_, share) in enumerate(getattr(WORLD, name)):
            assert _near(np.mean(values == code), share, len(values))
            for other in codes:
                if other != name:
                    within = values[codes[other] == 1]
                    assert _near(np.mean(within == code), share, len(within))


def test_later_purchases_keep_gender_and_size_as_published(crowd, baskets) -> None:
    """A later label is the first one's with the keeping probability, else drawn from the shares."""
    people, histories = crowd
    later = histories.number > 0
    for shares, first, label, keep in (
        (WORLD.genders, people.gender, baskets.gender, WORLD.keep_gender),
        (WORLD.sizes, people.size, baskets.size, WORLD.keep_size),
    ):
        first_label = first[histories.customer]
        assert (label[~later] == first_label[~later]).all()
        for code, (_, share) in enumerate(shares):
            rows = later & (first_label == code)
            assert _near(np.mean(label[rows] == code), keep + (1 - keep) * share, rows.sum())


def test_uncensored_customers_buy_once_leave_and_wait_as_published() -> None:
    """Followed to their end, 24 % never return, returners buy 20 times, and samples wait 1.35 times as long."""
    world = dataclasses.replace(WORLD, days=60_000, rate_sd=0.3, season_factor=1.0)
    people, histories = _crowd(world, customers=10_000)
    occasions = np.bincount(histories.customer)
    never_back = 1 - (1 - world.buys_once) * (1 - world.leaves)
    assert _near(np.mean(occasions == 1), never_back, len(occasions))
    assert occasions[occasions > 1].mean() == pytest.approx(1 + 1 / world.leaves, rel=0.03)
    gap = np.diff(histories.day)
    gap, customer = gap[histories.number[1:] > 0], histories.customer[1:][histories.number[1:] > 0]
    standard = gap * people.rate[customer] / world.mean_gap_days
    mean = {factor: standard[people.factor[customer] == factor].mean() for factor in (1.0, 1.35, 1.4)}
    assert mean == pytest.approx({1.0: 1.0, 1.35: 1.35, 1.4: 1.4}, rel=0.02)
    spread = standard[people.factor[customer] == 1.0].std()
    assert spread == pytest.approx(1 / np.sqrt(world.gamma_shape), rel=0.02)


def test_the_effect_follows_size_and_channel_of_the_first_purchase(crowd) -> None:
    """Samples have factor 1.35, full sizes from the store 1.4, everybody else 1."""
    people, _ = crowd
    sample = people.size == code_of(WORLD.sizes, "sample")
    full_store = (people.size == code_of(WORLD.sizes, "full")) & (people.channel == code_of(WORLD.channels, "store"))
    assert set(people.factor[sample]) == {1.35}
    assert set(people.factor[full_store]) == {1.4}
    assert set(people.factor[~sample & ~full_store]) == {1.0}


def test_returns_follow_weekdays_and_season() -> None:
    """Where nobody leaves, returns are as frequent on a weekday or in the season as its pace says."""
    world = dataclasses.replace(WORLD, buys_once=0.0, leaves=0.0, days=4 * 365 + 1, entry_days=1)
    _, histories = _crowd(world, customers=20_000)
    day = histories.day[histories.day >= 365]
    weekday = np.bincount((world.start.weekday() + day) % 7, minlength=7) / len(day)
    assert weekday == pytest.approx(np.array(world.weekdays) / 7, rel=0.02)
    month = (np.datetime64(world.start) + day).astype("datetime64[M]").astype(int) % 12 + 1
    assert np.mean(np.isin(month, (11, 12))) == pytest.approx(61 * 1.2 / (365 + 61 * 0.2), rel=0.02)


def _lifts(people: People, histories: Histories, baskets: Baskets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lift of each pair of categories within strata of month and appetite, its standard error, and the plain lift."""
    share, bought = category_shares(WORLD, people, histories=histories), baskets.others.astype(float)
    together, expected, single = bought.T @ bought, share.T @ share, bought.mean(axis=0)
    return together / expected, np.sqrt(together) / expected, together / len(bought) / np.outer(single, single)


def test_attach_rules_have_their_lift_and_no_other_pair_has_one(crowd, baskets) -> None:
    """Within month and appetite the three planted pairs have lifts 1.5, 2 and 3, and the other 52 have 1."""
    lift, error, _ = _lifts(*crowd, baskets)
    column = {category.name: number for number, category in enumerate(WORLD.categories)}
    planted = np.ones_like(lift)
    rules = [rule for rule in WORLD.rules if rule.mode == "same_occasion"]
    for rule in rules:
        planted[column[rule.antecedent], column[rule.consequent]] = rule.lift
    pairs = np.triu_indices(len(column), k=1)
    assert [rule.lift for rule in rules] == [1.5, 2.0, 3.0]
    assert (np.abs(lift - planted) < 4.5 * error)[pairs].all()


def test_heavy_buyers_and_season_make_false_rules(crowd, baskets) -> None:
    """A plain lift passes 1.2 for many pairs and 1.05 for nearly all, though five rules are true."""
    *_, plain = _lifts(*crowd, baskets)
    pairs = plain[np.triu_indices(len(plain), k=1)]
    assert np.sum(pairs > 1.2) >= 15
    assert np.sum(pairs > 1.05) >= 50


def test_next_purchase_rules_have_their_lift() -> None:
    """A new consequent within 60 days is as much likelier after the antecedent as planted, counted one by one."""
    people, histories = _crowd(WORLD, customers=10_000)
    baskets = draw_baskets(WORLD, people, histories=histories, rng=np.random.default_rng(2))
    share = category_shares(WORLD, people, histories=histories)
    column = {category.name: number for number, category in enumerate(WORLD.categories)}
    for rule in (rule for rule in WORLD.rules if rule.mode == "next_purchase"):
        x, y = column[rule.antecedent], column[rule.consequent]
        follows, chance = _naive_new_within(WORLD.rule_within_days, histories, baskets.others[:, y], share[:, y])
        expected = float(share[:, x] @ chance)
        assert baskets.expected[rule] == pytest.approx(expected)
        lift = np.sum(baskets.others[:, x] & follows) / expected
        assert lift == pytest.approx(rule.lift, rel=4.5 / np.sqrt(rule.lift * expected / 2))


def _naive_new_within(
    days: int, histories: Histories, bought: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fact and chance, occasion by occasion, of a later purchase within so many days by a customer new to it."""
    customer, day, has, chance_of = (column.tolist() for column in (histories.customer, histories.day, bought, share))
    follows, chance = np.zeros(len(bought), bool), np.zeros(len(bought))
    knows = False
    for row in range(len(customer)):
        knows = has[row] or (knows and customer[row - 1] == customer[row])
        later = row + 1
        none = 1.0
        while (
            not knows and later < len(customer) and customer[later] == customer[row] and day[later] <= day[row] + days
        ):
            follows[row] |= has[later]
            none *= 1 - chance_of[later]
            later += 1
        chance[row] = 1 - none
    return follows, chance


def test_rules_leave_every_share_as_it_is(crowd, baskets) -> None:
    """Planted rules do not change how often a category is bought, so that they cannot be found by its share."""
    expected = category_shares(WORLD, crowd[0], histories=crowd[1]).mean(axis=0)
    assert baskets.others.mean(axis=0) == pytest.approx(expected, rel=0.03)


def test_each_rule_is_expected_a_hundred_times_at_the_default_size() -> None:
    """With 20,000 customers chance alone would give every planted rule 100 occasions or more."""
    shop = simulate_fragrance(WORLD, customers=20_000, seed=1)
    assert set(shop.expected) == set(WORLD.rules)
    assert min(shop.expected.values()) > 100


def _uplifts(people: People, histories: Histories, contacts: Contacts) -> dict[tuple[bool, bool], tuple[float, float]]:
    """By (first size sample, contacted 30 days before): what treatment adds to the share back, and its error."""
    order = np.lexsort((contacts.day, contacts.customer))
    customer, day, treated = contacts.customer[order], contacts.day[order], contacts.treated[order]
    key = histories.customer * 10_000 + histories.day
    now = customer * 10_000 + day
    back = np.searchsorted(key, now + WORLD.contact_return_days) > np.searchsorted(key, now)
    again = np.zeros(len(day), bool)
    again[1:] = (np.diff(customer) == 0) & (np.diff(day) <= WORLD.contact_return_days) & treated[:-1]
    sample = people.size[customer] == code_of(WORLD.sizes, "sample")
    found = {}
    for is_sample in (True, False):
        for is_again in (True, False):
            rows = (sample == is_sample) & (again == is_again)
            arms = [back[rows & (treated == arm)] for arm in (True, False)]
            error = np.sqrt(sum(arm.var() / len(arm) for arm in arms))
            found[is_sample, is_again] = (arms[0].mean() - arms[1].mean(), error)
    return found


def test_contacts_bring_back_as_many_as_published(crowd, contacts) -> None:
    """A contact adds 4 points for sample buyers and 1 for others, 0.7 of it within 30 days of another one."""
    for (sample, again), (uplift, error) in _uplifts(*crowd, contacts).items():
        points = (0.04 if sample else 0.01) * (0.7 if again else 1.0)
        assert abs(uplift - points) < 4 * error
        assert error < 0.004


def test_contacts_are_randomised(crowd, contacts) -> None:
    """Half are treated, and the arms do not differ in rate, tenure or purchases until the contact."""
    people, histories = crowd
    key = histories.customer * 10_000 + histories.day
    now = contacts.customer * 10_000 + contacts.day
    bought = np.searchsorted(key, now) - np.searchsorted(key, contacts.customer * 10_000)
    assert bought.min() >= 1
    assert _near(contacts.treated.mean(), 0.5, len(now))
    for value in (np.log(people.rate[contacts.customer]), contacts.day - people.entry[contacts.customer], bought):
        arms = [value[contacts.treated == arm] for arm in (True, False)]
        error = np.sqrt(sum(arm.var() / len(arm) for arm in arms))
        assert abs(arms[0].mean() - arms[1].mean()) < 4 * error


def test_contacts_go_out_monthly_to_customers_so_far(shop) -> None:
    """Every customer so far has one contact a month with its cost; only treated ones may open and click."""
    contacts = shop.contacts
    assert len(set(contacts["campaign"])) == len(set(contacts["time"])) == 22
    assert len(set(zip(contacts["customer_id"], contacts["campaign"], strict=True))) == len(contacts["arm"])
    control = contacts["arm"] == "control"
    assert set(contacts["opened"][control]) == set(contacts["clicked"][control]) == {""}
    assert set(contacts["opened"][~control]) == {"true", "false"}
    assert not np.any((contacts["clicked"] == "true") & (contacts["opened"] != "true"))
    assert set(contacts["cost"][control]) == {0.0}
    assert contacts["cost"][~control].min() > 0


def test_the_null_world_has_no_effect_and_no_rule() -> None:
    """Without effects gaps do not depend on labels, categories on each other, nor returns on contacts."""
    null = WORLD.null()
    people, histories = _crowd(null, customers=40_000)
    baskets = draw_baskets(null, people, histories=histories, rng=np.random.default_rng(2))
    contacts = draw_contacts(null, people, histories=histories, rng=np.random.default_rng(3))
    lift, error, _ = _lifts(people, histories, baskets)
    pairs = np.triu_indices(len(lift), k=1)
    assert set(people.factor) == {1.0}
    assert (np.abs(lift - 1) < 4.5 * error)[pairs].all()
    assert all(abs(uplift) < 4 * error for uplift, error in _uplifts(people, histories, contacts).values())
    assert not baskets.expected


def test_the_null_world_has_one_truth_for_all_groups() -> None:
    """In the null world every group has the same curve, and every ratio is 1."""
    truth = fragrance_truth(WORLD.null(), simulated=2_000)
    curves = [curve["share_back"] for groups in truth["groups"].values() for curve in groups.values()]
    assert all(curve == pytest.approx(curves[0], abs=2e-6) for curve in curves)
    assert all(pair["ratio"][90:] == pytest.approx([1.0] * 275) for pair in truth["pairs"])


def test_truth_curves_rise_to_those_ever_back(truth) -> None:
    """Shares back and mean cycles never fall with the day, and end where customers who never return begin."""
    groups = [curve for members in truth["groups"].values() for curve in members.values()]
    assert len(groups) == 13
    for curve in groups:
        assert len(curve["share_back"]) == len(curve["mean_cycle_days"]) == TRUTH_DAYS
        assert (np.diff(curve["share_back"]) >= 0).all()
        assert (np.diff(curve["mean_cycle_days"]) >= -1e-6).all()
        assert 0.72 < curve["share_back"][-1] < 0.76


def test_truth_of_the_planted_pairs(truth) -> None:
    """Men and women are equal; samples take longer than full sizes, by a ratio that nears 1.35 over the mean factor."""
    gender, size = truth["pairs"]
    assert set(gender["ratio"]) == {1.0}
    assert set(gender["share_difference"]) == {0.0}
    assert (size["first"], size["second"]) == ("full", "sample")
    assert size["ratio"][59] < size["ratio"][119] < size["ratio"][-1] < 1.35 / (0.75 + 0.25 * 1.4)
    store = truth["groups"]["channel within size full"]["store"]["mean_cycle_days"][-1]
    search = truth["groups"]["channel within size full"]["search"]["mean_cycle_days"][-1]
    assert 1.3 < store / search < 1.4


def test_typical_gaps_are_what_a_plain_count_gives() -> None:
    """Wang and Chang's weights, written as loops over customers and their gaps, give the same distribution."""
    people, histories = _crowd(dataclasses.replace(WORLD, days=5_000), customers=300)
    gaps = defaultdict(list)
    for row in range(1, len(histories.day)):
        if histories.customer[row] == histories.customer[row - 1]:
            gaps[histories.customer[row]].append(int(histories.day[row] - histories.day[row - 1]))
    expected = np.zeros(TRUTH_DAYS)
    for own in gaps.values():
        for gap in own:
            if gap <= TRUTH_DAYS:
                expected[gap - 1] += 1 / len(own)
    assert typical_gaps(histories) == pytest.approx(expected)
    assert 0.7 < expected.sum() / len(people.entry) < 0.8


def test_a_shop_shows_the_truth_through_its_censoring(crowd, truth) -> None:
    """Wang and Chang's estimator on the observed two years agrees with the truth of every size."""
    people, histories = crowd
    for code, (name, _) in enumerate(WORLD.sizes):
        share, mean, customers = _wang_chang(histories, people.size == code, WORLD.days)
        expected = truth["groups"]["size"][name]
        for day in (30, 60, 90, 180):
            assert abs(share[day] - expected["share_back"][day - 1]) < 4 * 0.6 / np.sqrt(customers)
            assert mean[day] == pytest.approx(expected["mean_cycle_days"][day - 1], rel=4 / np.sqrt(customers))


def _wang_chang(histories: Histories, chosen: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Share back and mean cycle of those back by day 0, 1, ... of the chosen customers, and their number."""
    back = np.append(np.diff(histories.customer) == 0, False)
    duration = np.where(back, np.append(np.diff(histories.day), 0), days - 1 - histories.day)
    complete = np.bincount(histories.customer, back).astype(int)[histories.customer]
    weight = np.where(back, 1 / np.maximum(complete, 1), complete == 0)
    rows = chosen[histories.customer] & (weight > 0) & (duration > 0)
    events = np.bincount(duration[rows], weight[rows] * back[rows], minlength=days)
    at_risk = np.bincount(duration[rows], weight[rows], minlength=days)[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events[:500] / at_risk[:500])
    density = -np.diff(survival, prepend=1.0)
    return 1 - survival, np.cumsum(density * np.arange(500)) / np.maximum(1 - survival, 1e-12), int(chosen.sum())


def test_truth_file_records_every_parameter(tmp_path: Path, shop) -> None:
    """truth.json holds seed, customers, each figure of the world and each rule with what chance would give, in 1 MB."""
    write_fragrance(shop, tmp_path)
    text = (tmp_path / "truth.json").read_text(encoding="utf-8")
    truth = json.loads(text)
    assert (truth["seed"], truth["customers"]) == (1, 5_000)
    assert set(truth["parameters"]) == {field.name for field in dataclasses.fields(FragranceWorld)}
    assert truth["parameters"]["genders"] == {"men": 0.4, "women": 0.45, "unisex": 0.15}
    assert truth["parameters"]["start"] == "2024-01-01"
    assert [rule["lift"] for rule in truth["rules"]] == [1.5, 2.0, 3.0, 1.5, 2.0]
    assert all(rule["expected_by_chance"] > 0 for rule in truth["rules"])
    assert len(text) < 1_000_000


def test_every_figure_can_be_changed() -> None:
    """Options change figures of their own kind and leave the others."""
    world = WORLD.with_options(["rate_sd=1.0", "days=365", "entry_days = 200", "genders.men=0.5", "genders.women=0.35"])
    assert (world.rate_sd, world.days, world.entry_days) == (1.0, 365, 200)
    assert world.genders == (("men", 0.5), ("women", 0.35), ("unisex", 0.15))
    assert dataclasses.replace(world, rate_sd=0.6, days=730, entry_days=540, genders=WORLD.genders) == WORLD
    assert WORLD.with_options([f"{name}={value}" for name, value in WORLD.figures().items()]) == WORLD


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("rate_sdd=1", "did you mean rate_sd?"),
        ("rate_sd=much", "'much' is not a number; write rate_sd=0.6"),
        ("days=1.5", "'1.5' is not a whole number; write days=730"),
        ("buys_once=20", "buys_once: must be a probability from 0 to 1, not 20"),
        ("genders.men=0.5", "genders: shares must sum to 1"),
        ("genders.men=1.5", "genders.men: must be a probability from 0 to 1, not 1.5"),
        ("rate_sd=9", "rate_sd: must be from 0 to 3, not 9"),
        ("entry_days=800", "entry_days: must not exceed the 730 days, not be 800"),
        ("mean_gap_days=nan", "mean_gap_days: must be greater than 0, not nan"),
        ("max_category_share=0.5", "rules: a lift must not exceed 1 / max_category_share"),
    ],
)
def test_impossible_worlds_are_refused(option: str, message: str) -> None:
    """A wrong figure is an input error that names it and says what to write."""
    with pytest.raises(InputError, match=message.replace("?", r"\?").replace("(", r"\(")):
        WORLD.with_options([option])


@pytest.mark.parametrize(("customers", "seed", "name"), [(0, 1, "customers"), (10, -1, "seed")])
def test_impossible_shops_are_refused(customers: int, seed: int, name: str) -> None:
    """No customers or a negative seed is an input error."""
    with pytest.raises(InputError, match=f"{name}: {customers if name == 'customers' else seed} "):
        simulate_fragrance(WORLD, customers=customers, seed=seed)


def test_a_shop_of_one_customer_can_be_drawn() -> None:
    """The smallest shop has its customer and at least one line."""
    shop = simulate_fragrance(WORLD, customers=1, seed=1)
    assert shop.customers["customer_id"].tolist() == ["C000001"]
    assert len(shop.transactions["order_id"]) >= 1
