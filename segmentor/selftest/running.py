"""Cells on several processes: each shop has a seed of its own, so that neither their number nor their order matters."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segmentor.errors import InputError
from segmentor.selftest.counts import CellResult, Outcome, tally
from segmentor.selftest.measures import measure
from segmentor.selftest.shops import config_of, laboratory
from segmentor.selftest.table import Size, Table, write_table

if TYPE_CHECKING:
    from segmentor.selftest.cells import Cell

_BLOCK = 20_000
"""Customers whose shops make one task: enough that opening an engine does not count."""


@dataclass(frozen=True, slots=True)
class _Task:
    """Some shops of a cell, by their numbers."""

    cell: Cell
    shops: range


def run_cells(
    cells: Sequence[Cell], size: Size, *, seed: int, processes: int, progress: Callable[[str], None]
) -> Iterator[CellResult]:
    """Tries the cells one after the other.

    Args:
        cells: What to try.
        size: How many shops of each.
        seed: Of all that is drawn.
        processes: That share the work.
        progress: Told each cell as it begins.

    Yields:
        The result of each cell, in their order.
    """
    tasks = [task for cell in cells for task in _tasks(cell, _shops(cell, size))]
    with _worked(tasks, seed=seed, processes=processes) as outcomes:
        for number, cell in enumerate(cells, start=1):
            progress(f"{number}/{len(cells)}  {cell.name}, {_shops(cell, size):,} shops")
            own = [outcome for _ in _tasks(cell, _shops(cell, size)) for outcome in next(outcomes)]
            yield tally(cell, own, strict=size == "full")


def calibrate(
    cells: Sequence[Cell],
    size: Size,
    *,
    seed: int,
    processes: int,
    out: Path | None,
    progress: Callable[[str], None],
) -> Table:
    """Tries the cells and keeps the table in a file, from which an interrupted run goes on.

    Args:
        cells: What to try.
        size: How many shops of each.
        seed: Of all that is drawn.
        processes: That share the work.
        out: File of the table, JSON, written after each cell; one that lacks cells of the same size and seed is completed.
        progress: Told each cell as it begins.

    Raises:
        InputError: The file holds something else.
    """
    earlier = _earlier(out, size, seed)
    done = {cell.name: earlier[cell.name] for cell in cells if cell.name in earlier}
    left = [cell for cell in cells if cell.name not in done]
    for result in run_cells(left, size, seed=seed, processes=processes, progress=progress):
        done[result.name] = result
        if out is not None:
            write_table(_table(cells, done, size, seed), out)
    return _table(cells, done, size, seed)


def _earlier(out: Path | None, size: Size, seed: int) -> dict[str, CellResult]:
    """Results of an interrupted run with the same settings; a table that is complete begins anew."""
    if out is None or not out.exists():
        return {}
    try:
        table = Table.from_json(out.read_text(encoding="utf-8"))
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{out}: {error}; give another file, or remove this one") from error
    if table.complete or (table.size, table.seed) != (size, seed):
        return {}
    return {cell.name: cell for cell in table.cells}


def _table(cells: Sequence[Cell], done: dict[str, CellResult], size: Size, seed: int) -> Table:
    results = tuple(done[cell.name] for cell in cells if cell.name in done)
    return Table(seed=seed, size=size, complete=len(results) == len(cells), cells=results)


def shop_generator(seed: int, cell: Cell, shop: int) -> np.random.Generator:
    """The generator of one shop: a cell's name, not its place, decides."""
    return np.random.default_rng([seed, zlib.crc32(cell.name.encode()), shop])


def _shops(cell: Cell, size: Size) -> int:
    return cell.runs if size == "full" else cell.quick


def _tasks(cell: Cell, runs: int) -> Iterator[_Task]:
    size = max(1, _BLOCK // cell.customers)
    for start in range(0, runs, size):
        yield _Task(cell, range(start, min(start + size, runs)))


def _work(task: _Task, *, seed: int) -> list[Outcome]:
    config = config_of(task.cell)
    with laboratory() as engine:
        return [measure(engine, config, task.cell, shop_generator(seed, task.cell, shop)) for shop in task.shops]


@contextmanager
def _worked(tasks: Iterable[_Task], *, seed: int, processes: int) -> Iterator[Iterator[list[Outcome]]]:
    """Outcomes of the tasks in their order; what has not begun when the block is left never does."""
    work = partial(_work, seed=seed)
    if processes == 1:
        yield map(work, tasks)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            yield pool.map(work, tasks)
        finally:
            pool.shutdown(cancel_futures=True)
