"""Clustered candidates: the rule of each cluster labels customers as it was found, in the run and from the shop's own tables."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from shops import CONFIG, Line, day, engine_with, read_config, replayed

from segmentor.config import DeclaredSplit
from segmentor.cycles import build_cycles, common_table_expressions
from segmentor.splits import cluster_attributes, clustering_features, compiled, replay_queries

SHOP = f"""{CONFIG}  products: {{path: products.csv, columns: {{product: product_id, category: kind}}}}
trial: {{min_group: 20}}
splits: {{clustered: {{known: {{until: 2024-03-01}}, methods: [kmeans], features: [category, weekday], max_clusters: 4}}}}
"""


def shop(seed: int, customers: int = 400) -> tuple[list[Line], dict[str, Any]]:
    """Customers who mostly buy one of three kinds, around a leap day, with products of which nothing is known."""
    generator = np.random.default_rng(seed)
    lines: list[Line] = []
    for customer in range(customers):
        for order in range(int(generator.integers(3, 9))):
            kind = customer % 3 if generator.random() < 0.85 else generator.integers(4)
            at = day(int(generator.integers(20, 75)), int(generator.integers(24)))
            lines.append((f"c{customer:03d}", f"{customer}-{order}", at, f"p{kind}", 1, 5.0))
    kinds = [("p0", "tea"), ("p1", 'it\'s "odd"'), ("p2", "香水"), ("p3", None)]
    return lines, {"products": (("product_id", "kind"), kinds)}


def test_the_rule_of_a_cluster_replays_to_the_same_label_for_every_customer(tmp_path: Path) -> None:
    """Codes, run, DuckDB and SQLite agree on everybody, also once the rule was written as JSON and read again."""
    lines, tables = shop(1)
    config = read_config(tmp_path, SHOP)
    with engine_with(lines, tables) as engine:
        columns, _ = build_cycles(engine, config, progress=lambda _: None)
        attributes, (clustering,), _ = cluster_attributes(engine, config, columns, progress=lambda _: None)
        assert clustering.features == clustering_features(engine, config, columns)
        customers = [name for (name,) in engine.rows("select customer from everyone order by customer_no")]
    assert len(attributes) >= 2
    for attribute in attributes:
        (split,) = attribute.splits
        assert attribute.codes is not None
        assert split.declared is not None
        expected = {customers[n]: split.groups[attribute.codes[n]] for n in np.flatnonzero(attribute.codes >= 0)}
        again = DeclaredSplit.found(json.loads(json.dumps(split.declared.model_dump(mode="json"))))
        same = compiled(config, columns, again, key="again")
        queries = [*replay_queries(config, columns, (same,)), ("_labelled", same.labels)]
        sql = f"{common_table_expressions(queries)}\nselect customer, segment_group from _labelled"
        assert dict(replayed(duckdb, sql, lines, tables)) == expected
        assert dict(replayed(sqlite3, sql, lines, tables)) == expected
