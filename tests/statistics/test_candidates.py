"""Splits of all kinds side by side: against one at a time, against coin, and by simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentor.statistics.candidates import Category, chosen_again, screen_candidates
from segmentor.statistics.linear import GroupSums
from segmentor.statistics.multiplicity import benjamini_yekutieli
from segmentor.statistics.permutation import permutation_p
from segmentor.statistics.score_tests import test_scores as run_test
from segmentor.statistics.screening import screen_values
from segmentor.statistics.thresholds import threshold_scan

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
MAX_T = json.loads((REFERENCE / "multiplicity.json").read_text())["max_t"]
SCORES = {
    (case["dataset"], case["weighting"]): case["scores"]
    for case in json.loads((REFERENCE / "permutation.json").read_text())["cases"]
}


def _all_of(codes):
    """A column of which every split is tried."""
    return Category(codes, whole=True, by_value=np.ones(int(codes.max()) + 1, dtype=bool))


def _binary(codes):
    """A column of two values."""
    return Category(codes, whole=True, by_value=np.zeros(2, dtype=bool))


def _by_value(codes):
    """A column of which each value is tried against the others."""
    return Category(codes, whole=False, by_value=np.ones(int(codes.max()) + 1, dtype=bool))


def _scores(customers, generator, count=4):
    """Skewed scores that depend on each other and on the cohort, and cohorts."""
    cohorts = np.minimum(generator.poisson(2, customers), 5)
    habit = generator.gamma(0.5, 1, customers) * (1 + cohorts / 3)
    return habit + 0.4 * generator.gamma(1, 1, (count, customers)) + cohorts, cohorts


def _world(customers, seed, *, columns=6, unknown=0.0):
    """Scores, categories of 12 values (many of them rare), pairs of dependent binary columns, numbers, cohorts: all null."""
    generator = np.random.default_rng(seed)
    scores, cohorts = _scores(customers, generator)
    categories = []
    for _ in range(columns):
        codes = generator.choice(12, customers, p=generator.dirichlet(np.full(12, 0.6)))
        categories.append(_all_of(codes))
        categories.append(_binary((codes % 3 == 0).astype(int)))
        categories.append(_binary((generator.random(customers) < 0.05 + 0.1 * cohorts / 5).astype(int)))
    numbers = [generator.gamma(1, 30, customers).round(column % 3) for column in range(columns)]
    numbers[1] = numbers[0] + generator.gamma(1, 5, customers)
    if unknown:
        lost = generator.random(customers) < unknown * (scores[0] > np.median(scores[0]))
        categories[0] = _all_of(np.where(lost, -1, categories[0].codes))
        numbers[0] = np.where(lost, np.nan, numbers[0])
    return scores, categories, numbers, cohorts


def _screen(world, *, resamples=99, seed=1, correction="min_p", min_group=10):
    return screen_candidates(*world, min_group=min_group, resamples=resamples, seed=seed, correction=correction)


def _adjusted(candidates):
    return np.array([candidate.p_adjusted for candidate in candidates])


def _log_p(candidates):
    return np.array([candidate.log_p for candidate in candidates])


def test_value_splits_are_those_of_screen_values():
    """Sizes, lengths and p of each value against the rest, unknown customers left out, are those of `screen_values`."""
    scores, categories, _, cohorts = _world(500, 1, unknown=0.5)
    columns = [categories[0].codes, categories[3].codes]
    expected = screen_values(scores, columns, cohorts)
    found = {
        (one.column, one.value): one
        for one in _screen((scores, [_by_value(codes) for codes in columns], [], cohorts), min_group=1)
    }
    assert len(found) == len(expected.columns)
    for place, key in enumerate(zip(expected.columns.tolist(), expected.values.tolist(), strict=True)):
        assert found[key].customers == tuple(expected.customers[place])
        assert found[key].length == pytest.approx(np.abs(expected.z[:, place]).max(), rel=1e-9)
        assert found[key].p_value == pytest.approx(expected.p_value[place], rel=1e-6)


@pytest.mark.parametrize("unknown", [0.0, 0.5])
def test_the_split_into_all_values_is_near_its_permutation_p(unknown):
    """With 12 values, some of a handful of customers, p is within a quarter or a hundredth of that by relabelling."""
    scores, categories, _, cohorts = _world(400, 3, unknown=unknown)
    codes = categories[0].codes
    known = codes >= 0
    (found,) = screen_candidates(
        scores,
        [Category(codes, whole=True, by_value=np.zeros(12, dtype=bool))],
        [],
        cohorts,
        min_group=10,
        seed=1,
        correction="min_p",
    )
    groups = np.unique(codes[known], return_inverse=True)[1]
    expected, _ = permutation_p(scores[:, known], groups, cohorts[known], resamples=4_000, enough=4_000, seed=2)
    assert found.kind == "whole"
    assert found.customers == tuple(np.bincount(codes[known], minlength=12))
    assert found.p_value == pytest.approx(expected, rel=0.25, abs=0.01)
    assert found.p_adjusted == pytest.approx(expected, abs=0.04)


def test_lengths_of_all_values_are_those_of_the_single_test():
    """The largest root of the quadratic forms is that of `test_scores`."""
    scores, categories, _, cohorts = _world(300, 4)
    (found,) = _screen((scores, [categories[0]], [], cohorts))[:1]
    groups = np.unique(categories[0].codes, return_inverse=True)[1]
    expected = run_test(GroupSums.from_scores(scores, groups, cohorts))
    assert found.length == pytest.approx(np.sqrt(expected.statistics.max()), rel=1e-9)


@pytest.mark.parametrize("distinct", [5, 40])
def test_the_best_threshold_is_that_of_the_scan(distinct):
    """Threshold, length, number tried and sizes are those of `threshold_scan`; p is near that by relabelling."""
    generator = np.random.default_rng(5)
    scores, cohorts = _scores(600, generator, count=2)
    x = generator.integers(0, distinct, 600).astype(float)
    scores = scores + 0.2 * (x <= distinct // 2)
    (found,) = _screen((scores, [], [x], cohorts), resamples=2_000)
    scan = threshold_scan(scores, x, cohorts)
    assert found.threshold == scan.thresholds[scan.best]
    assert found.length == pytest.approx(np.abs(scan.standardised[:, scan.best]).max(), rel=1e-9)
    assert found.tried == len(scan.thresholds)
    assert found.customers == ((x <= found.threshold).sum(), (x > found.threshold).sum())
    assert found.p_value == pytest.approx(found.p_adjusted, rel=0.25, abs=0.01)


def test_a_number_of_many_values_is_cut_near_its_best_threshold():
    """Of thousands of thresholds 100 are looked at, and the planted one is met within 1 % of the customers."""
    generator = np.random.default_rng(6)
    scores, cohorts = _scores(5000, generator)
    x = generator.random(5000)
    (found,) = _screen((scores + 2 * (x <= 0.37), [], [x], cohorts))
    assert found.tried == 100
    assert found.threshold == pytest.approx(0.37, abs=0.01)


def test_p_values_are_comparable_far_into_the_tail():
    """Nothing underflows: stronger effects have smaller logarithms of p in every kind, down to 1e-1000 and below."""
    generator = np.random.default_rng(7)
    scores, cohorts = _scores(8000, generator)
    codes, x = generator.integers(0, 3, 8000), generator.integers(0, 50, 8000)
    before = np.zeros(4)
    for size in (1, 3, 10, 100):
        world = scores + size * (codes == 1), [_all_of(codes)], [np.where(codes == 1, x, x + 25.0)], cohorts
        found = _screen(world, correction="benjamini_yekutieli")
        log_p = _log_p(found)[[0, 2, 4]]
        assert (log_p < before[:3]).all()
        before[:3] = log_p
        assert np.isfinite(_log_p(found)).all()
    assert (before[:2] < -1000 * np.log(10)).all()


def _relabelled_p(scores, x, cohorts, *, resamples):
    """Share of relabellings within cohorts, the labels seen among them, with as large a statistic at any threshold."""
    generator = np.random.default_rng(2)
    order = np.argsort(cohorts, kind="stable")
    scores, x, cohorts = scores[:, order], x[order], cohorts[order]
    places = [np.arange(len(x)), *(np.lexsort((generator.random(len(x)), cohorts)) for _ in range(resamples))]
    largest = [np.abs(threshold_scan(scores[:, own], x, cohorts).standardised).max() for own in places]
    return (np.array(largest) >= largest[0] - 1e-9).mean()


@pytest.mark.parametrize("kind", ["binary", "threshold"])
def test_one_candidate_has_its_permutation_p(kind):
    """Alone, a split's adjusted p-value is its p-value by relabelling, within the error of both."""
    generator = np.random.default_rng(8)
    scores, cohorts = _scores(200, generator, count=1)
    x = generator.integers(0, 6, 200)
    if kind == "binary":
        codes = (x > 3).astype(int)
        found = _screen((scores, [_binary(codes)], [], cohorts), resamples=4_000)
        expected = permutation_p(scores, codes, cohorts, resamples=20_000, enough=20_000, seed=1)[0]
    else:
        found = _screen((scores, [], [x.astype(float)], cohorts), resamples=4_000)
        expected = _relabelled_p(scores, x.astype(float), cohorts, resamples=4_000)
    assert found[0].p_adjusted == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 4_000 + 0.25 / 4_000))


@pytest.mark.parametrize(
    "expected", MAX_T, ids=lambda c: f"{c['dataset']}-{'within' if c['within_cohorts'] else 'plain'}"
)
def test_adjusted_p_values_agree_with_coin(expected, shop):
    """multiplicity.json `max_t.p_step_down_monte_carlo` is met within its error and a tenth: our scale is type III."""
    name = expected["dataset"], expected["weighting"]
    cohorts = np.unique(shop(*name).attributes["cohort"], return_inverse=True)[1] * expected["within_cohorts"]
    columns = [np.unique(labels, return_inverse=True)[1] for labels in expected["splits"].values()]
    world = np.array([SCORES[name]]), [_binary(codes) for codes in columns], [], cohorts
    found = _adjusted(_screen(world, resamples=5_000, min_group=1))
    wanted = np.array(expected["p_step_down_monte_carlo"])
    noise = 4 * np.sqrt(wanted * (1 - wanted) * (1 / 5_000 + 1 / expected["resamples"])) + 1e-3
    assert (np.abs(found - wanted) <= noise + 0.1 * wanted).all()


def test_what_is_tried():
    """Values and sides below `min_group` are not tried, two values give one split, confounded columns none."""
    generator = np.random.default_rng(9)
    scores, cohorts = _scores(200, generator)
    sizes = np.repeat([0, 1, 2], [120, 75, 5])
    halves = np.repeat([0, 1], 100)
    found = _screen(
        (scores, [_all_of(sizes), _all_of(halves), _by_value(halves), _binary((cohorts > 1).astype(int))], [], cohorts)
    )
    assert [(one.column, one.kind, one.value) for one in found] == [
        (0, "whole", None),
        (0, "value", 0),
        (0, "value", 1),
        (1, "whole", None),
        (2, "value", 0),
    ]
    assert found[0].customers == (120, 75, 5)
    assert found[2].customers == (75, 125)
    few = np.repeat([0, 1, 2], [193, 4, 3])
    assert _screen((scores, [_all_of(few)], [np.ones(200), few.astype(float)], cohorts)) == ()
    (low,) = _screen((scores, [], [np.arange(200.0)], cohorts), min_group=60)
    assert 60 <= low.customers[0] <= 140


@pytest.mark.parametrize("correction", ["min_p", "benjamini_yekutieli"])
def test_orders_and_codes_do_not_matter(correction):
    """Customers, columns and codes in another order, and numbers on another scale, give the same p-values."""
    scores, categories, numbers, cohorts = _world(200, 10, unknown=0.5, columns=3)
    scores = np.round(scores)  # many customers alike
    found = _screen((scores, categories, numbers, cohorts), correction=correction)
    order = np.random.default_rng(1).permutation(200)
    moved = (
        scores[:, order],
        [Category(one.codes[order], one.whole, one.by_value) for one in categories],
        [x[order] for x in numbers],
        cohorts[order],
    )
    assert _screen(moved, correction=correction) == found
    turned = [
        Category(np.where(one.codes < 0, -1, one.codes.max() - one.codes), one.whole, one.by_value)
        for one in categories
    ]
    again = _screen((scores, turned[::-1], [np.log1p(x) for x in numbers], cohorts), correction=correction)
    key = sorted(zip(_adjusted(found), _log_p(found), strict=True))
    other = sorted(zip(_adjusted(again), _log_p(again), strict=True))
    np.testing.assert_allclose(key, other, rtol=1e-9)
    if correction == "min_p":
        np.testing.assert_array_equal(np.sort(_adjusted(found)), np.sort(_adjusted(again)))


@given(seed=st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_benjamini_yekutieli_is_that_of_the_p_values(seed):
    """Without relabelling the adjusted p-values are those of the single ones."""
    found = _screen(_world(150, seed, columns=2), correction="benjamini_yekutieli")
    expected = benjamini_yekutieli(np.array([one.p_value for one in found]))
    np.testing.assert_allclose(_adjusted(found), expected, rtol=1e-12)


def test_blocks_do_not_matter(monkeypatch):
    """Relabelling a few at a time changes nothing."""
    world = _world(200, 11, unknown=0.5, columns=2)
    whole = _screen(world)
    monkeypatch.setattr("segmentor.statistics.candidates._NUMBERS", 20_000)
    assert _screen(world) == whole


@pytest.mark.parametrize(("cells", "rows"), [(1, 4_000), (10_000, 4_000), (128, 1)])
def test_tables_of_columns_do_not_matter(monkeypatch, cells, rows):
    """Columns summed one by one, in tables of any size, and tables side by side or not, give the same p-values."""
    world = _world(200, 12, unknown=0.5, columns=3)
    expected = _screen(world)
    monkeypatch.setattr("segmentor.statistics.candidates._CELLS", cells)
    monkeypatch.setattr("segmentor.statistics.candidates._ROWS", rows)
    assert _screen(world) == expected


def test_screening_keeps_its_level_quickly():
    """Over 60 null shops with mixed candidates the smallest adjusted p is below 20 % in 20 %."""
    smallest = [_adjusted(_screen(_world(150, seed, columns=2, unknown=0.5), resamples=49)).min() for seed in range(60)]
    assert (np.array(smallest) <= 0.2).mean() == pytest.approx(0.2, abs=0.16)


@pytest.mark.slow
def test_screening_keeps_its_level():
    """Over 400 null shops with some 200 mixed candidates any is declared at 5 % in 5 %, within the error of the count."""
    declared = 0
    for seed in range(400):
        found = _screen(_world(200, seed, columns=12, unknown=0.5), resamples=99, seed=seed, min_group=5)
        declared += _adjusted(found).min() <= 0.05
    assert declared / 400 == pytest.approx(0.05, abs=0.028)


def _planted(kind, world, size):
    """The world with an effect, and whether a candidate is the planted one."""
    scores, categories, numbers, cohorts = world
    generator = np.random.default_rng(int(1e6 * scores[0, 0]) % 2**32)
    customers = scores.shape[1]
    if kind == "binary":
        codes = (generator.random(customers) < 0.3).astype(int)
        return (scores + size * codes, [*categories, _binary(codes)], numbers, cohorts), "whole"
    if kind == "threshold":
        x = generator.random(customers)
        return (scores + size * (x < 0.4), categories, [*numbers, x], cohorts), "threshold"
    codes = generator.integers(0, 4, customers)
    effect = size * np.array([0, 0.4, 0.8, 1.2])[codes]
    return (scores + effect, [*categories, _all_of(codes)], numbers, cohorts), "whole"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "threshold", "several"])
def test_a_planted_effect_is_found_among_many(kind):
    """An effect of any kind is declared at least as often as its p-value alone would be after Bonferroni's correction."""
    found = by_bonferroni = 0
    for seed in range(40):
        world, split = _planted(kind, _world(300, seed, columns=8), 0.75)
        candidates = _screen(world, resamples=199, seed=seed)
        place = len(world[2 if kind == "threshold" else 1]) - 1
        (planted,) = (one for one in candidates if one.column == place and one.kind == split)
        found += planted.p_adjusted <= 0.05
        by_bonferroni += planted.p_value * len(candidates) <= 0.05
    assert 5 <= by_bonferroni <= 38
    assert found >= by_bonferroni - 1


def test_a_planted_effect_is_found():
    """A strong effect of any kind has the smallest adjusted p-value that there can be, and the smallest p; others have not."""
    for kind in ("binary", "threshold", "several"):
        world, split = _planted(kind, _world(300, 1, columns=3), 1.5)
        first = min(_screen(world), key=lambda one: (one.p_adjusted, one.log_p))
        assert first.kind == split
        assert first.column == len(world[2 if kind == "threshold" else 1]) - 1
        assert first.p_adjusted == 0.01


def test_the_planted_split_is_chosen_again():
    """Resampled customers choose a strong split always, and one of many where there is none; their order does not matter."""
    world, _ = _planted("binary", _world(300, 2, columns=3), 1.5)
    candidates = _screen(world)
    shares = chosen_again(*world, candidates, min_group=10, resamples=20, seed=1)
    place = [one.column for one in candidates].index(len(world[1]) - 1)
    assert shares[place] == pytest.approx(1)
    null = _world(300, 2, columns=3)
    candidates = _screen(null)
    shares = chosen_again(*null, candidates, min_group=10, resamples=30, seed=1)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).sum() >= 5
    order = np.random.default_rng(1).permutation(300)
    moved = (
        null[0][:, order],
        [Category(one.codes[order], one.whole, one.by_value) for one in null[1]],
        [x[order] for x in null[2]],
        null[3][order],
    )
    np.testing.assert_array_equal(chosen_again(*moved, candidates, min_group=10, resamples=30, seed=1), shares)


def test_nothing_to_screen_is_no_error():
    """No columns give no candidates, and nothing is chosen."""
    scores, cohorts = _scores(50, np.random.default_rng(1))
    assert screen_candidates(scores, [], [], cohorts, min_group=5, seed=1, correction="min_p") == ()
    assert chosen_again(scores, [], [], cohorts, (), min_group=5, seed=1).size == 0
