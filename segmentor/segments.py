"""The strongest separating split -> segments: what they are, and one SQL statement that replays them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from segmentor.cycles import Columns, common_table_expressions
from segmentor.engine.duckdb import literal
from segmentor.result import EVERYBODY, FORMAT, NOT_YET_KNOWN, GroupEffect, Rule, Segment, Trial
from segmentor.splits import Split, replay_queries

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


def find_segments(
    engine: Engine, splits: Sequence[Split], trials: Sequence[Trial]
) -> tuple[tuple[Segment, ...], Split | None]:
    """The groups of the separating split with the smallest adjusted p (ties by p, then by name), and the customers not yet in any.

    Where groups that cannot be told apart were merged and the merged ones separate, these are taken and not the finer ones. Each customer with a line falls in exactly one. Where nothing separates there is one segment, everybody.

    Args:
        engine: Holds ``everyone`` and the splits' label sources.
        splits: The splits.
        trials: Their trials, in the same order.

    Returns:
        The segments, and the split that makes them or ``None``.
    """
    everyone = int(engine.scalar("select count(*) from everyone"))
    separating = [(trial, split) for trial, split in zip(trials, splits, strict=True) if trial.verdict == "separates"]
    merged = {split.merged_from for _, split in separating}
    separating = [(trial, split) for trial, split in separating if split.name not in merged]
    if not separating:
        whole = Segment(
            id=EVERYBODY,
            name=EVERYBODY,
            parent=None,
            rule=(),
            customers=everyone,
            evidence="No split was shown to separate purchase cycles.",
        )
        return (whole,), None

    def strength(candidate: tuple[Trial, Split]) -> tuple[float, float, str]:
        trial, _ = candidate
        assert trial.p_adjusted is not None
        assert trial.test is not None
        return trial.p_adjusted, trial.test.p_value, trial.split

    trial, split = min(separating, key=strength)
    sizes = dict(
        engine.rows(f"select segment_group, count(*) from ({split.labels}) where segment_group is not null group by 1")
    )
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
    name = split and (split.merged_from or split.name)
    declared = [one.model_dump(mode="json") for one in config.splits.declared if one.name == name]
    cycle = config.cycle.model_dump(mode="json", include={"purchase", "observed_from", "merge_within_days"})
    content = {
        "format": FORMAT,
        "cycle": cycle,
        "split": declared[0] if declared else None,
        "threshold": split and split.threshold,
        "merged": [list(part) for part in split.parts] if split and split.parts else None,
        "segments": [asdict(one) for one in segments],
    }
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def segments_sql(config: ExperimentConfig, columns: Columns, split: Split | None) -> str:
    """One statement over ``transactions``, ``products`` and ``customers`` that returns ``customer`` and ``segment``."""
    about = (
        "-- Segment of each customer. Tables transactions, products and customers hold the columns of the shop's own files,\n"
        "-- times in the shop's zone as timestamps or ISO text, numbers with a decimal point. Runs in DuckDB and SQLite, as far as the\n"
        "-- config's own conditions do.\n"
    )
    queries = replay_queries(config, columns, () if split is None else (split,))
    if split is None:
        body = f"select distinct _customer as customer, {literal(EVERYBODY)} as segment\nfrom _sold\norder by customer"
        return f"{about}{common_table_expressions(queries)}\n{body};\n"
    body = (
        f"select e._customer as customer, coalesce(l.segment_group, {literal(NOT_YET_KNOWN)}) as segment\n"
        "from (select distinct _customer from _sold) e left join _labelled l on l.customer = e._customer\norder by customer"
    )
    return f"{about}{common_table_expressions([*queries, ('_labelled', split.labels)])}\n{body};\n"


def _leaf(trial: Trial, split: Split, group: GroupEffect, customers: int) -> Segment:
    conditions = dict(split.definition)
    condition = conditions.get(group.name, f"{split.by} = {group.name}")
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
        next(
            day for day, share in zip(curve.days, curve.share_back, strict=True) if share >= part * curve.share_back[-1]
        )
        for part in (0.25, 0.75)
    )
    return first, last


def _slug(name: str) -> str:
    """A name for files and joins, ``[a-z0-9-]`` up to 80: the name itself where it is that, else what is left of it and a short hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:70]
    if plain and plain == name.replace(" ", "-"):
        return plain
    return f"{plain or 'segment'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
