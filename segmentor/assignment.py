"""The definitions of a run and a shop's data of any day -> the segment of each customer."""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segmentor.config import DeclaredSplit
from segmentor.cycles import build_cycles, day_number
from segmentor.engine.duckdb import literal, open_engine, quote
from segmentor.errors import DataError, InputError
from segmentor.intake import input_files, load_tables
from segmentor.result import EVERYBODY, FORMAT, NOT_YET_KNOWN
from segmentor.splits import Split, declared_splits, make_label_sources
from segmentor.tables import assigned_csv

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


def assign(
    source: Path, config: ExperimentConfig, *, as_of: datetime.date | None, out: Path, progress: Callable[[str], None]
) -> dict[str, int]:
    """Writes the segment of each customer of the config's data by the definitions of an earlier run.

    Args:
        source: Folder of a run, or its ``segments.json``.
        config: Says where the data are; the definitions come from ``source``.
        as_of: Only lines up to this day are looked at.
        out: CSV or Parquet file: ``customer``, ``segment``, ``known_since`` (ISO day).
        progress: Told what is being done.

    Returns:
        Customers by segment, in the order of ``segments.json``.

    Raises:
        InputError: ``source`` holds no definitions, or ``out`` is neither CSV nor Parquet.
    """
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{out}: write to a .csv or a .parquet file")
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}; make it first")
    definitions = _read_definitions(source)
    config = _with_definitions(config, definitions)
    with (
        tempfile.TemporaryDirectory(prefix="segmentor-") as scratch,
        open_engine(scratch=Path(scratch), inputs=input_files(config)) as engine,
    ):
        load_tables(engine, config, quarantine=Path(scratch) / "quarantine", progress=progress)
        if as_of is not None:
            time = quote(config.data.transactions.columns["time"])
            engine.execute(f"delete from transactions where cast({time} as date) > $1", [as_of])
            if not engine.scalar("select count(*) from transactions"):
                raise DataError(f"no transaction up to {as_of.isoformat()}")
        columns, _ = build_cycles(engine, config, progress=progress)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        progress("segments")
        if splits:
            names = ", ".join(literal(one["name"]) for one in definitions["segments"])
            known = "(select max(_day) from _sold)" if as_of is None else str(day_number(as_of))
            labels = (
                f"select * from ({_as_found(splits[0], definitions).labels})\n"
                f"where segment_group in ({names}) and known_since <= {known}"
            )
        else:
            labels = f"select customer, {literal(EVERYBODY)} as segment_group, cast(null as bigint) as known_since from everyone"
        engine.execute(
            f"create table assigned as select e.customer, coalesce(l.segment_group, {literal(NOT_YET_KNOWN)}) as segment, "
            "case when l.segment_group is not null then date '1970-01-01' + cast(l.known_since as integer) end as known_since "
            f"from everyone e left join ({labels}) l using (customer)"
        )
        _write_assigned(engine, out, Path(scratch))
        counts = dict(engine.rows("select segment, count(*) from assigned group by 1"))
    return {name: counts.get(name, 0) for name in (one["name"] for one in definitions["segments"])}


def _as_found(split: Split, definitions: dict[str, Any]) -> Split:
    """The declared split with the threshold or the merged groups that the run found."""
    if definitions["threshold"] is not None:
        return split.cut_at(float(definitions["threshold"]))
    if definitions["merged"] is not None:
        return split.merged(definitions["merged"])
    return split


def _write_assigned(engine: Engine, out: Path, scratch: Path) -> None:
    """The table ``assigned``, in the order of customers, under its final name at once or not at all."""
    select = (
        "select customer, segment, strftime(known_since, '%Y-%m-%d') as known_since from assigned order by customer"
    )
    staged = out.with_name(f".{out.name}.part")
    written = scratch / f"assigned{out.suffix.lower()}"
    try:
        if out.suffix.lower() == ".parquet":
            engine.execute(f"copy ({select}) to {literal(str(written))} (format parquet)")
        else:
            written.write_text(assigned_csv(engine.rows(select)), encoding="utf-8")
        shutil.copyfile(written, staged)
        staged.replace(out)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None


def _read_definitions(source: Path) -> dict[str, Any]:
    path = source / "segments.json" if source.is_dir() else source
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the folder of a run or its segments.json") from None
    except ValueError:
        raise InputError(f"{path}: is no JSON; give the folder of a run or its segments.json") from None
    try:
        split = content["split"] and DeclaredSplit.model_validate(content["split"])
        usable = content["format"] == FORMAT and all(isinstance(one["name"], str) for one in content["segments"])
        usable = usable and isinstance(content["threshold"], float | int | None)
        usable = usable and all(isinstance(name, str) for part in content["merged"] or () for name in part)
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise InputError(
            f"{path}: is no segments.json of this version (format {FORMAT}); give the one that segmentor run wrote"
        )
    return {**content, "split": split}


def _with_definitions(config: ExperimentConfig, definitions: dict[str, Any]) -> ExperimentConfig:
    split, cycle = definitions["split"], definitions["cycle"]
    declared = () if split is None else (split,)
    return config.model_copy(
        update={
            "splits": config.splits.model_copy(update={"declared": declared}),
            "cycle": type(config.cycle).model_validate({**config.cycle.model_dump(mode="json"), **cycle}),
        }
    )
