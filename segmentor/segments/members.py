"""The leaf of each customer, as a table for stages that look at each segment by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segmentor.cycles import common_table_expressions
from segmentor.segments.tree import Fork, leaves_of, placed, told_of_from

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.engine.duckdb import Engine


def make_members(engine: Engine, config: ExperimentConfig, forks: Sequence[Fork]) -> tuple[str, ...]:
    """Makes ``_segment_members``: one row per customer in a leaf; key _customer_no; the leaf's number and from which day on it counts.

    From that day on, ``_first_day``, no purchase is one that the customer's label was made of: within a segment of first baskets
    the first basket is what it is by definition.

    Args:
        engine: Holds ``everyone``, the purchases, and the splits' label sources.
        config: The experiment.
        forks: The tree.

    Returns:
        Names of the leaves, in the order of their numbers; none where there is no fork, and then no table.
    """
    leaves = tuple(leaf.name for leaf in leaves_of(forks))
    if not leaves:
        return ()
    engine.put("_segment_names", {"segment": np.array(leaves, dtype=object), "segment_no": np.arange(len(leaves))})
    queries, segment, customers = placed(forks)
    since = told_of_from(forks, merge_within_days=config.cycle.merge_within_days)
    queries.append(("_leaf_of", f"select e.customer, {segment} as segment, {since} as _first_day\nfrom {customers}"))
    engine.execute(
        f"create or replace temp table _segment_members as {common_table_expressions(queries)}\n"
        "select customer_no as _customer_no, segment_no, _first_day\n"
        "from _leaf_of join _segment_names using (segment) join everyone using (customer)"
    )
    return leaves
