"""The committed calibration table: it holds what it should, its rates are within their limits, and it comes out again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from segmentor.selftest import Cell, Table, calibrate, catalogue
from segmentor.selftest.cells import LEVELS
from segmentor.selftest.counts import SAMPLE
from segmentor.selftest.table import markdown

PATH = Path(__file__).parent / "table.json"
CELLS = {cell.name: cell for cell in catalogue()}
PROCESSES = min(2, os.cpu_count() or 1)


@pytest.fixture(scope="module")
def table() -> Table:
    """The committed table."""
    return Table.from_json(PATH.read_text(encoding="utf-8"))


def tried(cells: list[Cell]) -> Table:
    """A quick table of cells, with the committed seed."""
    return calibrate(cells, "quick", seed=1, processes=PROCESSES, out=None, progress=lambda _: None)


def test_the_table_is_whole(table: Table) -> None:
    """Every cell of the catalogue is in it with all its shops and its limits, in 10,000 label draws or more a null cell."""
    assert (table.seed, table.size, table.complete) == (1, "full", True)
    assert [(cell.name, cell.runs) for cell in table.cells] == [(cell.name, cell.runs) for cell in CELLS.values()]
    for cell in table.cells:
        targets = dict(CELLS[cell.name].targets)
        assert {row.measure: row.target for row in cell.rows if row.target} == targets
        assert all(row.tries >= 10_000 for row in cell.rows if row.measure in LEVELS)


def test_every_rate_is_within_its_limits(table: Table) -> None:
    """Type I errors, coverage, `equivalent` where nothing differs and at the margin, refusals: all are as the method promises."""
    outside = [
        (cell.name, row.case, row.measure, row.rate)
        for cell in table.cells
        for row in cell.rows
        if row.target is not None and not row.target[0] <= row.rate <= row.target[1]
    ]
    assert not outside
    assert not table.outside()


def test_the_usual_ways_are_not(table: Table) -> None:
    """The log-rank test on all gaps rejects twice as often as it says, or more, wherever customers' rates differ, and Greenwood's intervals miss the truth."""
    rates = {(cell.name, row.case, row.measure): row.rate for cell in table.cells for row in cell.rows}
    naive = [
        rate for (name, _, measure), rate in rates.items() if measure == "log-rank, 5 %" and "sd 0," not in f"{name},"
    ]
    assert min(naive) > 0.1
    assert max(rate for (_, _, measure), rate in rates.items() if measure.endswith(", usual")) < 0.8


def test_the_page_is_the_table(table: Table) -> None:
    """What one reads is what is tested."""
    assert PATH.with_suffix(".md").read_text(encoding="utf-8") == markdown(table)


def samples(table: Table, names: list[str]) -> None:
    """Fails where the first shops of a cell do not give the same counts again."""
    again = tried([replace(CELLS[name], quick=SAMPLE) for name in names])
    assert {cell.name: cell.sample for cell in again.cells} == {
        cell.name: cell.sample for cell in table.cells if cell.name in names
    }


def test_the_first_shops_come_out_again(table: Table) -> None:
    """The first shops of a null, a coverage and a verdict cell give the committed counts."""
    samples(table, ["null: gamma, unequal, sd 1", "coverage: nothing planted", "verdict: nothing differs, sd 0.5"])


@pytest.mark.slow
def test_the_first_shops_of_every_cell_come_out_again(table: Table) -> None:
    """The same of all cells."""
    samples(table, list(CELLS))


def test_a_few_shops_of_every_kind_are_within_their_limits() -> None:
    """One shop of six null worlds, a dozen of a coverage world, one at 20,000 customers, one with a label over the whole history."""
    shops = {
        "null: gamma, unequal, sd 0": 1,
        "null: gamma, equal, sd 1.5": 1,
        "null: log-normal, unequal, sd 0.5": 1,
        "null: zero-inflated, unequal, sd 1": 1,
        "null: leaving for good": 1,
        "null: until, sd 1": 1,
        "coverage: gaps x 1.35, some leave": 12,
        "verdict: nothing differs, sd 1": 1,
        "verdict: half once, others' gaps x 1.35": 1,
        "lifetime: gamma, unequal, sd 0.5": 1,
    }
    found = tried([replace(CELLS[name], quick=quick) for name, quick in shops.items()])
    assert len(found.cells) == len(shops)
    assert not found.outside()


@pytest.mark.slow
def test_the_quick_table_is_within_its_limits() -> None:
    """A few shops of every cell: no rate is out of its limits by more than chance, and over all null cells 5 % of the draws reject."""
    found = tried(list(CELLS.values()))
    assert not found.outside()
    rows = [row for cell in found.cells for row in cell.rows if row.measure == "5 %"]
    assert 0.045 <= sum(row.hits for row in rows) / sum(row.tries for row in rows) <= 0.055
