"""Calibration counts what it says: its worlds are what they claim, draws are tested as the product tests them, tables go on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import gamma

from segmentor.cli import main
from segmentor.errors import InputError
from segmentor.selftest import Cell, Table, calibrate, catalogue, chosen_cells, sections
from segmentor.selftest.cells import BOTH_HORIZON, SHARE_HORIZON, SHARE_MARGIN, Labels
from segmentor.selftest.counts import Outcome, rate_band, tally
from segmentor.selftest.measures import _dealt, _DrawnTests, _p_value, _shuffled, _tried
from segmentor.selftest.shops import Gaps, ScoredCustomers, config_of, laboratory, opened
from segmentor.selftest.table import markdown, write_table
from segmentor.synthetic.renewal import RenewalWorld, draw_shop, true_curves

CELLS = {cell.name: cell for cell in catalogue()}
SMALL = replace(CELLS["power: gaps x 1.35, 600 customers"], quick=3)


def shop_seed(number: int) -> np.random.Generator:
    """A generator."""
    return np.random.default_rng(number)


def quietly(_: str) -> None:
    """Tells nobody."""


def test_wilson_bands_are_the_published_ones() -> None:
    """81 of 263, 15 of 148 and 0 of 20 have the bands of Newcombe (1998, Stat. Med. 17, table I, method 3)."""
    for hits, tries, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        singles = [1] * hits + [0] * (tries - hits)
        assert rate_band(singles, [1] * tries) == pytest.approx((low, high), abs=5e-5)


def test_hits_that_come_together_widen_the_band() -> None:
    """Where all hits of 50 tries fall on a few of 20 shops, the band is that of fewer tries; where they are spread, it is not."""
    spread, together = [5] * 20, [50, 50] + [0] * 18
    plain = rate_band([1] * 100 + [0] * 900, [1] * 1000)
    assert rate_band(spread, [50] * 20) == pytest.approx(plain, rel=1e-3)
    low, high = rate_band(together, [50] * 20)
    assert high - low > 3 * (plain[1] - plain[0])


def test_few_shops_are_judged_by_chance_and_many_by_the_rate() -> None:
    """9 of 10 hits are outside of 92 to 97 % as they stand, and not too far from it to be chance; 2 of 10 are."""
    cell = replace(SMALL, targets=(("held", (0.92, 0.97)),))

    def status(hits: int, *, strict: bool) -> str:
        outcomes: list[Outcome] = [{("", "held"): (int(number < hits), 1)} for number in range(10)]
        return tally(cell, outcomes, strict=strict).rows[0].status

    assert [status(9, strict=True), status(9, strict=False), status(2, strict=False)] == ["outside", "ok", "outside"]


def test_customers_never_buy_twice_on_a_day_and_stay_in_the_period() -> None:
    """Purchases are ordered by customer and day, all customers have one, and no day is twice or past the end."""
    shop = draw_shop(RenewalWorld(rate_sd=1.5, season=0.5, leaves=0.05), 2_000, rng=shop_seed(1))
    assert set(shop.customer.tolist()) == set(range(2_000))
    same = shop.customer[1:] == shop.customer[:-1]
    assert (np.diff(shop.day)[same] > 0).all()
    assert (np.diff(shop.customer) >= 0).all()
    assert 0 <= shop.day.min() <= shop.day.max() < 365


def test_true_curves_are_the_laws_of_the_gaps() -> None:
    """With one rate the share back by day is the gamma law averaged over the time of day, times those who return and stay."""
    world = RenewalWorld(rate_sd=0.0, buys_once=0.1, leaves=0.2, factor=1.5, buys_once_more=0.1)
    days, hour = np.arange(1, 121), (np.arange(200) + 0.5) / 200
    for curve, mean, returns in zip(true_curves(world, days=120), (45.0, 67.5), (0.9, 0.8), strict=True):
        law = gamma.cdf(days[:, None] + hour, 2, scale=mean / 2).mean(axis=1)
        assert curve.share_back[1:] == pytest.approx(0.8 * returns * law, abs=0.002)
        assert curve.share_back[0] == 0


def test_mean_cycles_of_a_curve_are_those_of_its_law() -> None:
    """If 30 % are back after 10 days and 20 % after 20, those back took 14 days, and to the horizon of 30 it is 22 on average."""
    curve = true_curves(RenewalWorld(), days=30, customers=10)[0]
    curve = replace(curve, share_back=np.where(np.arange(31) < 10, 0.0, np.where(np.arange(31) < 20, 0.3, 0.5)))
    assert curve.mean_cycle(30) == pytest.approx(14.0)
    assert curve.restricted_mean(30) == pytest.approx(22.0)


def test_a_season_moves_purchases_to_its_half_of_the_year() -> None:
    """With a wave of 0.5 the first half of the year has 2.4 times the purchases of the second, as its mean pace is; without, as many."""
    world = RenewalWorld(entry_days=1, rate_sd=0.0)
    for season, low, high in ((0.0, 0.9, 1.1), (0.5, 2.3, 2.6)):
        day = draw_shop(replace(world, season=season), 5_000, rng=shop_seed(2)).day
        early, late = ((day > start) & (day < start + 120) for start in (30, 213))
        assert low < early.sum() / late.sum() < high


@pytest.mark.parametrize("rate_sd", SHARE_MARGIN)
def test_margins_are_where_they_are_said_to_be(rate_sd: float) -> None:
    """The planted figures make the largest of four share differences 5 points, and in the second world the ratio 1.10 too."""
    cells = [CELLS[f"verdict: {what} at the margin, sd {rate_sd:g}"] for what in ("share back", "share back and ratio")]
    for cell, horizon, ratio in zip(cells, (SHARE_HORIZON, BOTH_HORIZON), (1.07, 1.10), strict=True):
        assert config_of(cell).cycle.horizon_days == horizon
        first, second = true_curves(cell.world, days=horizon)
        assert max(abs(first.share_back - second.share_back)[[30, 60, 90, horizon]]) == pytest.approx(0.05, abs=1e-3)
        assert second.mean_cycle(horizon) / first.mean_cycle(horizon) == pytest.approx(
            ratio, abs=2e-3 if ratio == 1.1 else 0.01
        )


@pytest.mark.parametrize("rate_sd", SHARE_MARGIN)
def test_effects_at_the_margin_are_read_at_its_horizon(rate_sd: float) -> None:
    """With 20,000 customers the horizon of the margin is never cut: 50 of each group are still at risk then."""
    for cell in CELLS.values():
        if "at the margin" in cell.name and cell.world.rate_sd == rate_sd:
            shop, config = draw_shop(cell.world, cell.customers, rng=shop_seed(9)), config_of(cell)
            with laboratory() as engine, opened(engine, config, shop) as opened_shop:
                effects = opened_shop.evidence().effects
            assert effects is not None
            assert effects.horizon_days == config.cycle.horizon_days


def test_the_catalogue_has_what_calibration_asks_for() -> None:
    """48 null cells of a world and a group size of 200 shops each, intervals in 2,000 runs, no two names alike, one truth at 1."""
    worlds = [cell for cell in CELLS.values() if cell.kind == "null" and "equal" in cell.name]
    assert sum(len(cell.labels) for cell in worlds) == 48
    assert all(cell.runs >= 200 for cell in CELLS.values() if cell.kind == "null")
    assert all(cell.runs >= 2_000 for cell in CELLS.values() if cell.kind == "coverage")
    assert len(CELLS) == len(catalogue())
    assert {cell.world.factor for cell in CELLS.values() if cell.kind == "power"} == {1.1, 1.2, 1.35, 1.5}


def some_scores(customers: int = 300) -> ScoredCustomers:
    """Customers with two dependent, skewed scores in three cohorts."""
    rng = shop_seed(3)
    common = rng.gamma(1.0, size=customers)
    nothing = np.zeros(0, dtype=np.int64)
    return ScoredCustomers(
        position=np.arange(customers),
        cohort=rng.integers(0, 3, customers),
        scores=np.stack([common, common + rng.standard_normal(customers)]),
        gaps=Gaps(nothing, nothing, nothing, nothing),
    )


@pytest.mark.parametrize("labels", [Labels("half"), Labels("newer", crowded=True)], ids=lambda labels: labels.name)
def test_draws_are_rejected_as_the_product_rejects_them(labels: Labels) -> None:
    """Counting rejections by bisection gives what testing each draw by the product's test gives."""
    scored = some_scores()
    tests, drawn = _tried(labels, scored, scored.position / len(scored.position), shop_seed(4))
    p_values = np.array([_p_value(scored, groups, seed=tests.seed) for groups in drawn])
    assert 0 < (p_values <= 0.05).sum() < len(drawn) / 5
    for level in (0.05, 0.01, 0.001):
        assert tests.rejected(level) == (p_values <= level).sum()


def test_few_tests_are_made() -> None:
    """Of 1,000 draws whose p is twice their smallest single p, a dozen tests find how many are below a level."""
    made: Counter[int] = Counter()
    smallest = (np.arange(1000) + 1) / 1001

    def p_of(place: int) -> float:
        made[place] += 1
        return 2 * float(smallest[place])

    assert _DrawnTests(smallest, 4, p_of, seed=1).rejected(0.05) == 25
    assert made.total() < 12


def test_shuffled_labels_keep_their_numbers_in_each_cohort() -> None:
    """Every draw has as many of each group in each cohort as were dealt, and the draws differ."""
    cohorts = shop_seed(5).integers(0, 4, 200)
    dealt = _dealt(Labels("three", (0.5, 0.3, 0.2)), 200, shop_seed(6))
    drawn = _shuffled(dealt, cohorts, shop_seed(7))
    cells = np.bincount(dealt * 4 + cohorts, minlength=12)
    assert all((np.bincount(groups * 4 + cohorts, minlength=12) == cells).all() for groups in drawn)
    assert len(np.unique(drawn, axis=0)) == len(drawn)


def test_tiny_groups_have_the_size_that_is_asked() -> None:
    """A group of 20 has 20 customers."""
    assert _dealt(Labels("tiny", count=20), 500, shop_seed(8)).sum() == 20


def test_scores_come_from_the_engine_and_nothing_stays_in_it() -> None:
    """Customers with gaps have a score each, gaps find their customer, a second shop sees nothing of the first."""
    cell = CELLS["null: gamma, unequal, sd 0.5"]
    config = config_of(cell)
    with laboratory() as engine:
        for seed, customers in ((1, 300), (2, 200)):
            shop = draw_shop(cell.world, customers, rng=shop_seed(seed))
            with opened(engine, config, shop) as opened_shop:
                scored = opened_shop.scored()
            assert engine.rows("select table_name from duckdb_tables()") == []
            last = shop.day.max()
            assert set(scored.position.tolist()) == set(shop.customer[shop.day < last].tolist())
            assert scored.scores.shape == (4, len(scored.position))
            returns = np.bincount(scored.gaps.customer, scored.gaps.returned)
            bought = np.bincount(shop.customer)[scored.position]
            assert (returns == bought - 1).all()


def test_the_numbers_do_not_depend_on_the_number_of_processes() -> None:
    """One process and two give the same table, byte for byte, and another seed another one."""
    cells = [replace(CELLS["null: gamma, unequal, sd 0.5"], quick=1, customers=400), SMALL]
    one, two, other = (
        calibrate(cells, "quick", seed=seed, processes=processes, out=None, progress=quietly)
        for seed, processes in ((1, 1), (1, 2), (2, 1))
    )
    assert one.to_json() == two.to_json()
    assert one.to_json() != other.to_json()


def test_an_interrupted_table_goes_on(tmp_path: Path) -> None:
    """Cells that the file already has are not tried again; a table that is complete, or of another seed, begins anew."""
    out = tmp_path / "table.json"
    told: list[str] = []
    cells = [SMALL, CELLS["power: gaps x 1.5, 600 customers"]]
    cells[1] = replace(cells[1], quick=1)

    def tried(seed: int) -> int:
        told.clear()
        calibrate(cells, "quick", seed=seed, processes=1, out=out, progress=told.append)
        return len(told)

    whole = calibrate(cells, "quick", seed=1, processes=1, out=None, progress=quietly)
    write_table(replace(whole, complete=False, cells=whole.cells[:1]), out)
    assert tried(1) == 1
    assert Table.from_json(out.read_text(encoding="utf-8")) == whole
    assert out.with_suffix(".md").read_text(encoding="utf-8") == markdown(whole)
    assert tried(1) == 2
    write_table(replace(whole, complete=False, cells=whole.cells[:1]), out)
    assert tried(2) == 2
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="no table of segmentor selftest"):
        tried(1)


def a_table(status: str) -> Table:
    """A table of two cells that was never run."""
    cells: list[Cell] = [replace(SMALL, kind="null"), CELLS["coverage: nothing planted"]]
    outcomes: list[list[Outcome]] = [
        [{("a tenth", "5 %"): (6, 100), ("a tenth", "log-rank, 5 %"): (3, 10)}] * 4,
        [{("", "ratio"): (int(status == "ok" or number % 3 == 0), 1)} for number in range(19)]
        + [{("", "ratio"): (0, 1)}],
    ]
    results = tuple(tally(cell, own, strict=False) for cell, own in zip(cells, outcomes, strict=True))
    return Table(seed=1, size="quick", complete=False, cells=results)


def test_tables_survive_a_file() -> None:
    """A table read back from its JSON is the same one, and its JSON says each rate."""
    table = a_table("outside")
    assert Table.from_json(table.to_json()) == table
    assert json.loads(table.to_json())["cells"][0]["rows"][0]["rate"] == 0.06


def test_tables_read_well() -> None:
    """Rates over the level, shares in percent, each with its band, limits once, and the word on it; coverage has worlds as columns."""
    null, coverage = sections(a_table("outside"))
    assert null.header == ("", "5 %", "log-rank, 5 %", "")
    assert null.rows == (
        ("power: gaps x 1.35, 600 customers, a tenth", "1.20 (0.81 to 1.75)", "30.0 % (18.1 to 45.4)", ""),
    )
    assert coverage.header == ("", "", "nothing planted", "")
    assert coverage.rows == (("ratio", "[92.5 to 97.2 %]", "35.0 % (18.1 to 56.7)", "outside: ratio"),)
    assert "| ratio | [92.5 to 97.2 %] | 35.0 % (18.1 to 56.7) | outside: ratio |" in markdown(a_table("outside"))


def test_an_unknown_cell_is_told_with_the_nearest() -> None:
    """A misspelt part of a name is an error that names a cell."""
    assert len(chosen_cells(["coverage", "verdict: half"])) == 5
    with pytest.raises(InputError, match="did you mean 'coverage: "):
        chosen_cells(["coverrage: until"])


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """`selftest --cell` tries that cell and ends with 0; with --json it prints nothing but JSON."""
    words = ["selftest", "--cell", "power: gaps x 1.5, 600 customers", "--processes", "1"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "gaps x 1.5, 600 customers  100.0 % (72.2 to 100.0)" in printed
    assert main([*words, "--json"]) == 0
    assert Table.from_json(capsys.readouterr().out).cells[0].runs == 10


def test_a_rate_outside_of_its_limits_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says which rate it is, after the table, and ends with 3; where all are within, with 0."""
    out = tmp_path / "table.json"
    words = ["selftest", "--cell", "coverage: nothing planted", "--out", str(out)]
    for status, code in (("outside", 3), ("ok", 0)):
        table = a_table(status)
        write_table(replace(table, cells=table.cells[1:]), out)
        assert main(words) == code
        printed = capsys.readouterr()
        assert "35.0 %" in printed.out or status == "ok"
        assert ("nothing planted, ratio" in printed.err) == (status == "outside")
