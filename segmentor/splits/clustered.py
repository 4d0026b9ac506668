"""What customers were like until a date -> clusters -> the short rules that say them, as candidate splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from segmentor.clustering import Found, FoundRule, Unsaid, find_clusters
from segmentor.config.values import Known
from segmentor.cycles import Columns, TimeZero, common_table_expressions
from segmentor.engine.conditions import columns_of
from segmentor.engine.duckdb import quote
from segmentor.errors import ConfigError
from segmentor.features import WEEKDAYS, column_of_lines, feature_queries, find_feature
from segmentor.result import Clustering, LeftOut
from segmentor.splits.attribute import Attribute, codes_of
from segmentor.splits.candidates import Writer
from segmentor.splits.split import Split, make_label_sources
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine
    from segmentor.statistics.arrays import FloatArray

COMPOSITION = ("category", "brand", "size", "price_tier", "discount", "channel", "weekday")
"""Families that say what a customer is like."""

MAX_VALUES = 12
"""Values of a column whose shares are features: the ones that most customers bought."""

MIN_SHARE = 0.02
"""Share of the customers who must have bought a value for its share to be one."""


def cluster_attributes(
    engine: Engine, config: ExperimentConfig, columns: Columns, *, progress: Callable[[str], None]
) -> tuple[tuple[Attribute, ...], tuple[Clustering, ...], tuple[LeftOut, ...]]:
    """Clusters the discovery customers by their features, as ``splits.clustered`` says, and applies the rules to all.

    Makes the tables that the labels of these splits read.

    Args:
        engine: Holds the tables of ``cycles``.
        config: The experiment, with ``splits.clustered``.
        columns: Columns of its tables.
        progress: Told each stage.

    Returns:
        An attribute of two groups for each rule; the clusterings; clusters that made no candidate, with the reason.

    Raises:
        ConfigError: As ``clustering_features`` does.
    """
    asked = config.splits.clustered
    assert asked is not None
    zero = TimeZero.of(asked.known)
    writer = Writer(config, columns)
    names = clustering_features(engine, config, columns)
    matrix = _features(engine, config, columns, asked.known, names)
    attributes: list[Attribute] = []
    clusterings: list[Clustering] = []
    left_out: list[LeftOut] = []
    rules: list[tuple[FoundRule, Split]] = []
    for method in asked.methods:
        progress(f"clusters by {method}")
        found = find_clusters(
            matrix,
            names,
            method=method,
            max_clusters=asked.max_clusters,
            min_group=max(1, round(config.trial.min_group * (1 - config.trial.confirm_share))),
            seed=config.seed,
            tell=_told(progress, method),
        )
        clusterings.append(found.clustering)
        left_out.extend(_unsaid(method, found))
        for rule in found.rules:
            name = writer.named(f"{method} cluster {rule.summary.cluster} of {rule.summary.clusters}")
            split = writer.groups(name, asked.known, {name: rule.rule, f"not {name}": "true"})
            rules.append((rule, split))
    make_label_sources(engine, config, columns, tuple(split for _, split in rules))
    for rule, split in rules:
        attributes.append(
            Attribute(
                name=split.name,
                source="clustered",
                time_zero=zero,
                codes=codes_of(engine, split, split.groups),
                numbers=None,
                whole=split,
                timing=_is_of_timing(config, columns, asked.known, rule.rule),
                kind="cluster",
                cluster=rule.summary,
            )
        )
    return tuple(attributes), tuple(clusterings), tuple(left_out)


def _told(progress: Callable[[str], None], method: str) -> Callable[[str], None]:
    return lambda stage: progress(f"clusters by {method}: {stage}")


def clustering_features(engine: Engine, config: ExperimentConfig, columns: Columns) -> tuple[str, ...]:
    """Names of the features that the words of ``splits.clustered`` stand for, as far as the shop has them.

    Makes the table of the lines that they are made of.

    Raises:
        ConfigError: ``known`` is no date and no number of purchases, or the shop has none of the features.
    """
    asked = config.splits.clustered
    assert asked is not None
    if asked.known.kind in ("entry", "lifetime"):
        raise ConfigError(
            [
                f"{config.source}: splits.clustered.known: {asked.known} has no purchases to cluster by; write {{until: DATE}}"
            ]
        )
    probe = Writer(config, columns).groups("probe", asked.known, {"anybody": "true", "nobody": "false"})
    make_label_sources(engine, config, columns, (probe,))
    known, words, zero = asked.known, asked.features, TimeZero.of(asked.known)
    families = [family for word in words for family in (COMPOSITION if word == "composition" else (word,))]
    names: list[str] = []
    for family in dict.fromkeys(families):
        if family == "discount":
            several = ["discount_share"]
        elif family == "weekday":
            several = [f"weekday: {day}" for day in WEEKDAYS]
        elif family in COMPOSITION:
            several = [f"{family}: {value}" for value in _values(engine, columns, zero, family)]
        else:
            several = [family]
        names += [name for name in several if find_feature(config, columns, name, kind=known.kind) is not None]
    if not names:
        raise ConfigError(
            [f"{config.source}: splits.clustered.features: the data have none of {', '.join(words)}; name others"]
        )
    return tuple(names)


def _values(engine: Engine, columns: Columns, zero: TimeZero, family: str) -> list[str]:
    """Values of a column or role that discovery customers bought most, in the order of their names."""
    column = column_of_lines(columns, family)
    if column is None:
        return []
    value = f"cast(w.{column} as text)"
    rows = engine.rows(
        f"select {value}, count(distinct w._customer), (select count(distinct _customer) from _window_{zero.suffix})\n"
        f"from _window_{zero.suffix} w join everyone e on e.customer = w._customer and e.half_0 = 0\n"
        f"where length({value}) between 1 and 60 group by 1 order by 2 desc, 1 limit {MAX_VALUES}"
    )
    return sorted(value for value, own, everyone in rows if own >= MIN_SHARE * everyone / 2 and value.isprintable())


def _features(
    engine: Engine,
    config: ExperimentConfig,
    columns: Columns,
    known: Known,
    names: Sequence[str],
) -> FloatArray:
    """Features of the discovery customers who have a past, in the order of their numbers, shape (n, n_features), nan where unknown."""
    queries = list(
        feature_queries(config, columns, TimeZero.of(known), names, kind=known.kind, table="_cluster_features")
    )
    found = [find_feature(config, columns, name, kind=known.kind) for name in names]
    values = ", ".join(
        f"cast(f.{quote(one.column)} as double) as x{at}" for at, one in enumerate(found) if one is not None
    )
    table = engine.arrays(
        f"{common_table_expressions(queries)}\nselect {values} from _cluster_features f\n"
        "join everyone e on e.customer = f._customer and e.half_0 = 0 order by e.customer_no"
    )
    matrix = [np.ma.filled(table[f"x{at}"].astype(np.float64), np.nan) for at in range(len(names))]
    return np.stack(matrix, axis=1)


def _is_of_timing(config: ExperimentConfig, columns: Columns, known: Known, rule: str) -> bool:
    found = [find_feature(config, columns, name, kind=known.kind) for name in columns_of(rule)]
    return any(one is not None and one.feature.timing for one in found)


def _unsaid(method: str, found: Found) -> list[LeftOut]:
    """Clusters that no short rule says well enough."""
    return [
        LeftOut(f"{method} cluster {one.summary.cluster} of {one.summary.clusters}", "cluster", _why_unsaid(one))
        for one in found.unsaid
    ]


def _why_unsaid(one: Unsaid) -> Message:
    if one.rule is None:
        return one.reason
    return Message(
        "{reason}: {rule} takes {coverage:.0f} % of it, {precision:.0f} % of whom are in it",
        {
            "reason": one.reason,
            "rule": one.rule,
            "coverage": 100 * one.summary.coverage,
            "precision": 100 * one.summary.precision,
        },
    )
