"""The strongest separating split -> segments: what they are, one SQL statement that replays them, and each customer's own."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from segmentor.cycles import Columns, build_cycles, common_table_expressions
from segmentor.engine.duckdb import literal, open_engine
from segmentor.errors import DataError, InputError
from segmentor.intake import input_files, load_tables
from segmentor.result import FORMAT, NOT_YET_KNOWN, GroupEffect, Rule, Segment, Trial
from segmentor.splits import Split, declared_splits, make_label_sources, replay_queries
from segmentor.tables import assigned_csv

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine

EVERYBODY = "all"


def find_segments(engine: Engine, splits: Sequence[Split], trials: Sequence[Trial]) -> tuple[tuple[Segment, ...], Split | None]:
    """The groups of the separating split with the smallest adjusted p (ties by p, then by name), and the customers not yet in any.

    Each customer with a line falls in exactly one. Where nothing separates there is one segment, everybody.

    Args:
        engine: Holds ``everyone`` and the splits' label sources.
        splits: The splits.
        trials: Their trials, in the same order.

    Returns:
        The segments, and the split that makes them or ``None``.
    """
    everyone = int(engine.scalar("select count(*) from everyone"))
    separating = [(trial, split) for trial, split in zip(trials, splits, strict=True) if trial.verdict == "separates"]
    if not separating:
        whole = Segment(id=EVERYBODY, name=EVERYBODY, parent=None, rule=(), customers=everyone, evidence="No split was shown to separate purchase cycles.")
        return (whole,), None

    def strength(candidate: tuple[Trial, Split]) -> tuple[float, float, str]:
        trial, _ = candidate
        assert trial.p_adjusted is not None
        assert trial.test is not None
        return trial.p_adjusted, trial.test.p_value, trial.split

    trial, split = min(separating, key=strength)
    sizes = dict(engine.rows(f"select segment_group, count(*) from ({split.labels}) where segment_group is not null group by 1"))
    leaves = [_leaf(trial, split, group, sizes.get(group.name, 0)) for group in trial.groups]
    rest = everyone - sum(leaf.customers for leaf in leaves)
    unknown = Segment(
        id=_slug(NOT_YET_KNOWN),
        name=NOT_YET_KNOWN,
        parent=EVERYBODY,
        rule=(),
        customers=rest,
        evidence=f"Customers to whom no group of {split.name} applies, or who have not bought yet.",
    )
    return (*leaves, unknown), split


def segments_json(segments: Sequence[Segment], config: ExperimentConfig, split: Split | None) -> str:
    """The segments as JSON, with what ``assign`` needs to label customers: the split and the cycle in words of the config."""
    declared = [one.model_dump(mode="json") for one in config.splits.declared if split is not None and one.name == split.name]
    cycle = config.cycle.model_dump(mode="json", include={"purchase", "observed_from", "merge_within_days"})
    content = {"format": FORMAT, "cycle": cycle, "split": declared[0] if declared else None, "segments": [asdict(one) for one in segments]}
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def segments_sql(config: ExperimentConfig, columns: Columns, split: Split | None) -> str:
    """One statement over ``transactions``, ``products`` and ``customers`` that returns ``customer`` and ``segment``."""
    about = (
        "-- Segment of each customer. Tables transactions, products and customers hold the columns of the shop's own files,\n"
        "-- times in the shop's zone. Runs in DuckDB and SQLite, as far as the config's own conditions do.\n"
    )
    queries = replay_queries(config, columns, () if split is None else (split,))
    if split is None:
        body = f"select distinct _customer as customer, {literal(EVERYBODY)} as segment\nfrom _sold\norder by customer"
        return f"{about}{common_table_expressions(queries)}\n{body};\n"
    body = (
        f"select e._customer as customer, coalesce(l.segment_group, {literal(NOT_YET_KNOWN)}) as segment\n"
        "from (select distinct _customer from _sold) e left join _labelled l on l.customer = e._customer\norder by customer"
    )
    return f"{about}{common_table_expressions([*queries, ('_labelled', split.labels or '')])}\n{body};\n"


def assign(source: Path, config: ExperimentConfig, *, as_of: datetime.date | None, out: Path, progress: Callable[[str], None]) -> dict[str, int]:
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
    with tempfile.TemporaryDirectory(prefix="segmentor-") as scratch, open_engine(scratch=Path(scratch), inputs=input_files(config)) as engine:
        load_tables(engine, config, quarantine=Path(scratch) / "quarantine", progress=progress)
        if as_of is not None:
            time = config.data.transactions.columns["time"].replace('"', '""')
            engine.execute(f'delete from transactions where cast("{time}" as date) > $1', [as_of])
            if not engine.scalar("select count(*) from transactions"):
                raise DataError(f"no transaction up to {as_of.isoformat()}")
        columns, _ = build_cycles(engine, config, progress=progress)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        progress("segments")
        if splits:
            labels = f"select * from ({splits[0].labels}) where segment_group is not null"
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


def _write_assigned(engine: Engine, out: Path, scratch: Path) -> None:
    """The table ``assigned``, in the order of customers, under its final name at once or not at all."""
    select = "select customer, segment, strftime(known_since, '%Y-%m-%d') as known_since from assigned order by customer"
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


def _leaf(trial: Trial, split: Split, group: GroupEffect, customers: int) -> Segment:
    conditions = dict(split.definition)
    condition = conditions.get(group.name, f"{conditions.get('by', '')} = {group.name}")
    return Segment(
        id=_slug(group.name),
        name=group.name,
        parent=EVERYBODY,
        rule=(Rule(split=split.name, group=group.name, known=split.known, condition=condition),),
        customers=customers,
        share_back=None if group.share_back is None else group.share_back.estimate,
        mean_cycle_days=None if group.mean_cycle_days is None else group.mean_cycle_days.estimate,
        horizon_days=trial.horizon_days,
        contact_days=_contact_days(group),
        evidence=trial.sentence,
    )


def _contact_days(group: GroupEffect) -> tuple[int, int] | None:
    """Days between which the middle half of the returns within the horizon falls."""
    curve = group.curve
    if curve is None or not curve.share_back[-1]:
        return None
    first, last = (
        next(day for day, share in zip(curve.days, curve.share_back, strict=True) if share >= part * curve.share_back[-1]) for part in (0.25, 0.75)
    )
    return first, last


def _slug(name: str) -> str:
    """A name for files and joins: what is left of the name in ``[a-z0-9_-]``, and a short hash where something was lost."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:70]
    if plain == name.lower().replace(" ", "-"):
        return plain
    return f"{plain or 'segment'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read_definitions(source: Path) -> dict[str, object]:
    path = source / "segments.json" if source.is_dir() else source
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the folder of a run or its segments.json") from None
    except ValueError:
        raise InputError(f"{path}: is no JSON; give the folder of a run or its segments.json") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or "segments" not in content:
        raise InputError(f"{path}: is no segments.json of this version (format {FORMAT}); run the experiment again")
    return content


def _with_definitions(config: ExperimentConfig, definitions: dict[str, object]) -> ExperimentConfig:
    from segmentor.config import DeclaredSplit

    split, cycle = definitions["split"], definitions["cycle"]
    declared = () if split is None else (DeclaredSplit.model_validate(split),)
    return config.model_copy(
        update={
            "splits": config.splits.model_copy(update={"declared": declared}),
            "cycle": type(config.cycle).model_validate({**config.cycle.model_dump(mode="json"), **cycle}),
        }
    )
