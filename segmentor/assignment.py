"""The definitions of a run and a shop's data of any day -> the segment of each customer."""

from __future__ import annotations

import datetime
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentor.config import DeclaredSplit
from segmentor.cross_sell.offers import make_offers, offer_columns, read_offers
from segmentor.cycles import Columns, build_cycles, common_table_expressions, day_number
from segmentor.engine.duckdb import literal, open_engine, quote, refuse_unbuilt
from segmentor.errors import ConfigError, DataError, InputError
from segmentor.intake import input_files, load_tables
from segmentor.result import FORMAT
from segmentor.segments import Branch, Fork, known_since, leaves_of, not_yet_known, placed
from segmentor.splits import declared_splits, make_label_sources
from segmentor.statistics.stability import Stability, population_stability
from segmentor.tables import assigned_csv

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cross_sell.offers import Offered
    from segmentor.engine.duckdb import Engine
    from segmentor.splits import Split


@dataclass(frozen=True, slots=True)
class AssignedSegment:
    """A segment of the run among the customers of the data.

    Attributes:
        name: Of ``segments.json``.
        customers: How many of them are in it.
        in_the_run: How many were in the run.
    """

    name: str
    customers: int
    in_the_run: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """What ``assign`` found.

    Attributes:
        segments: In the order of ``segments.json``.
        not_known: Why customers are in none, with how many, the most frequent first.
        drift: Whether the sizes moved since the run.
        offered: What customers are offered; ``None`` where that was not asked.
    """

    segments: tuple[AssignedSegment, ...]
    not_known: tuple[tuple[str, int], ...]
    drift: Stability
    offered: Offered | None = None


def assign(
    source: Path,
    config: ExperimentConfig,
    *,
    as_of: datetime.date | None,
    out: Path,
    offers: bool = False,
    progress: Callable[[str], None],
) -> Assignment:
    """Writes the segment of each customer of the config's data by the definitions of an earlier run, and what to offer.

    Args:
        source: Folder of a run, or its ``segments.json``.
        config: Says where the data are; the definitions come from ``source``.
        as_of: Only lines up to this day are looked at.
        out: CSV or Parquet file: ``customer``, ``segment``, ``known_since`` (ISO day).
        offers: Whether the file also has the next best offers of each customer, by the valid rules of the run: ``offer_1``,
            ``offer_1_because``, ``offer_1_gain``, and so on to the third; ``source`` must be the folder of the run then.
        progress: Told what is being done.

    Raises:
        InputError: ``source`` holds no definitions, or no rules where offers are asked; or ``out`` is neither CSV nor Parquet.
    """
    refuse_unbuilt(config)
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{out}: write to a .csv or a .parquet file")
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}; make it first")
    definitions = _read_definitions(source)
    run_offers = read_offers(source) if offers else None
    config = definitions.put_in(config)
    with (
        tempfile.TemporaryDirectory(prefix="segmentor-") as scratch,
        open_engine(scratch=Path(scratch), inputs=input_files(config)) as engine,
    ):
        load_tables(engine, config, quarantine=Path(scratch) / "quarantine", progress=progress)
        if as_of is not None:
            time = quote(config.data.transactions.columns["time"])
            engine.execute(f"delete from transactions where cast({time} as date) > $1", [as_of])
            if not engine.scalar("select count(*) from transactions"):
                raise DataError(
                    f"{config.source}: data.transactions: none up to {as_of.isoformat()}; give a later day with --as-of"
                )
        columns, _ = build_cycles(engine, config, progress=progress)
        forks = definitions.forks(config, columns)
        make_label_sources(engine, config, columns, tuple(fork.split for fork in forks))
        progress("segments")
        _make_assigned(engine, forks, as_of=as_of)
        offered = None
        if run_offers is not None:
            progress("offers")
            day = None if as_of is None else day_number(as_of)
            offered = make_offers(engine, config, run_offers, as_of=day)
        _write_assigned(engine, out, Path(scratch), offers=offers)
        sizes = dict(engine.rows("select segment, count(*) from assigned group by 1"))
        reasons = engine.rows(
            "select reason, count(*) from assigned where reason is not null group by 1 order by 2 desc, 1"
        )
    segments = tuple(
        AssignedSegment(name, sizes.get(name, 0), customers) for name, customers in definitions.customers.items()
    )
    drift = population_stability(
        np.array([one.in_the_run for one in segments]), np.array([one.customers for one in segments])
    )
    return Assignment(segments, tuple(reasons), drift, offered)


def assign_all(engine: Engine, branches: Sequence[Branch]) -> str:
    """The file that ``assign`` would write of the run's own data, as CSV text.

    Args:
        engine: Holds ``everyone``, the purchases, and the splits' label sources.
        branches: The nodes of the tree whose splits hold.
    """
    _make_assigned(engine, [branch.fork for branch in branches], as_of=None)
    return assigned_csv(engine.rows(_ROWS))


_ROWS = "select customer, segment, strftime(known_since, '%Y-%m-%d') as known_since from assigned order by customer"


def _make_assigned(engine: Engine, forks: Sequence[Fork], *, as_of: datetime.date | None) -> None:
    """Makes ``assigned``: ``customer``, ``segment``, ``known_since`` (date) and ``reason`` (why it is not known)."""
    last_day = "(select max(_day) from _sold)" if as_of is None else str(day_number(as_of))
    queries, segment, customers = placed(forks, last_day=last_day)
    queries.append(
        (
            "_bought_by",
            "select _customer, count(*) as purchases, min(_start) as first_day\n  from _occasions\n  group by _customer",
        )
    )
    engine.execute(
        f"create or replace table assigned as {common_table_expressions(queries)}\n"
        f"select e.customer, {segment} as segment,\n"
        f"  date '1970-01-01' + cast({known_since(forks)} as integer) as known_since,\n"
        f"  {not_yet_known(forks)} as reason\n"
        f"from {customers}\n  left join _bought_by o on o._customer = e.customer"
    )


def _write_assigned(engine: Engine, out: Path, scratch: Path, *, offers: bool) -> None:
    """The table ``assigned``, in the order of customers, with offers where asked, under its final name at once or not at all."""
    parquet = out.suffix.lower() == ".parquet"
    rows = _ROWS
    if offers:
        side_by_side = offer_columns(exact=parquet)
        rows = f"select * from ({_ROWS}) left join ({side_by_side}) using (customer) order by customer"
    staged = out.with_name(f".{out.name}.part")
    written = scratch / f"assigned{out.suffix.lower()}"
    try:
        if parquet or offers:
            form = "format parquet" if parquet else "format csv, header"
            engine.execute(f"copy ({rows}) to {literal(str(written))} ({form})")
        else:
            written.write_text(assigned_csv(engine.rows(_ROWS)), encoding="utf-8", newline="\n")
        shutil.copyfile(written, staged)
        staged.replace(out)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None


@dataclass(frozen=True, slots=True)
class _AppliedSplit:
    """A split of ``segments.json`` as it stands on the tree."""

    segment: str
    groups: tuple[str, ...]
    declared: DeclaredSplit
    threshold: float | None
    merged: tuple[tuple[str, ...], ...] | None

    @classmethod
    def read(cls, row: dict[str, Any]) -> _AppliedSplit:
        """From a row of ``splits``.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        threshold = None if row["threshold"] is None else float(row["threshold"])
        if threshold is not None and not math.isfinite(threshold):
            raise ValueError("a threshold that is no number")
        merged = None if row["merged"] is None else tuple(_texts(part) for part in row["merged"])
        declared = DeclaredSplit.found(row["declared"])
        (segment,) = _texts([row["segment"]])
        return cls(segment, _texts(row["groups"]), declared, threshold, merged)

    def as_found(self, split: Split) -> Fork:
        """The declared split with the threshold or the merged groups that the run found."""
        if self.threshold is not None:
            split = split.cut_at(self.threshold)
        elif self.merged is not None:
            split = split.merged(self.merged)
        return Fork(self.segment, split, self.groups)


@dataclass(frozen=True, slots=True)
class _Definitions:
    """What ``segments.json`` says.

    Attributes:
        path: The file.
        applied: The splits of the tree.
        cycle: What a purchase and an occasion were.
        customers: Customers of the run by segment.
    """

    path: Path
    applied: tuple[_AppliedSplit, ...]
    cycle: dict[str, Any]
    customers: dict[str, int]

    def put_in(self, config: ExperimentConfig) -> ExperimentConfig:
        """The config with the splits and the cycle of the run."""
        declared = tuple(one.declared for one in self.applied)
        return config.model_copy(
            update={
                "splits": config.splits.model_copy(
                    update={"declared": declared, "enumerated": None, "clustered": None}
                ),
                "cycle": type(config.cycle).model_validate({**config.cycle.model_dump(mode="json"), **self.cycle}),
            }
        )

    def forks(self, config: ExperimentConfig, columns: Columns) -> tuple[Fork, ...]:
        """The tree over the tables of a config that has these definitions.

        Raises:
            InputError: The data lack a column that the definitions name, or the splits make no tree.
        """
        try:
            splits = declared_splits(config, columns)
            forks = tuple(one.as_found(split) for one, split in zip(self.applied, splits, strict=True))
            leaves_of(forks)
        except ConfigError as error:
            problems = "; ".join(error.problems)
            raise InputError(f"{self.path}: its splits do not fit the data of {config.source}: {problems}") from None
        except ValueError as error:
            raise InputError(f"{self.path}: {error}; give the one that segmentor run wrote") from None
        return forks


def _read_definitions(source: Path) -> _Definitions:
    path = source / "segments.json" if source.is_dir() else source
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the folder of a run or its segments.json") from None
    except ValueError:
        raise InputError(f"{path}: is no JSON; give the folder of a run or its segments.json") from None
    try:
        names = _texts([one["name"] for one in content["segments"]])
        customers = dict(zip(names, (int(one["customers"]) for one in content["segments"]), strict=True))
        applied = tuple(_AppliedSplit.read(row) for row in content["splits"])
        definitions = _Definitions(path, applied, dict(content["cycle"]), customers)
        usable = content["format"] == FORMAT
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise InputError(
            f"{path}: is no segments.json of this version (format {FORMAT}); give the one that segmentor run wrote"
        )
    return definitions


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("no list of texts")
    return tuple(values)
