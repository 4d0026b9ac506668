"""Something by which customers can be split, with what each of them has of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from segmentor.cycles import TimeZero
from segmentor.splits.split import Split

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine
    from segmentor.result import ClusterRule
    from segmentor.statistics.arrays import FloatArray

Codes = NDArray[np.int16]

NOT_KNOWN = -1
"""Code of the customers to whom no group applies."""


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """An attribute of customers and the splits that it suggests. Arrays are by ``customer_no`` of ``everyone``, shape (n_customers,).

    It has ``codes`` or ``numbers``, never both.

    Attributes:
        name: Unique among the attributes of a run.
        source: Where it comes from: ``declared``, ``enumerated`` or ``clustered``.
        time_zero: When it is known.
        codes: Number of the customer's group, ``NOT_KNOWN`` where none applies; ``None`` for a number.
        numbers: The number to cut, ``nan`` where unknown; ``None`` for groups.
        whole: The split into all groups, in the order of their codes; for a number the split that is to be cut; ``None`` where only
            single values are tried.
        by_value: By code, the value against the rest (groups: the value first, the rest second); ``None`` where that is tried under
            another name or not at all. Empty for a number and where there are two groups.
        kind: What it is: ``column`` (features too), ``itemset`` or ``cluster``.
        timing: Whether it is made of timing or amounts, so that it may echo past frequency.
        cluster: Of a rule, the cluster that it stands for; ``None`` for any other.
        aliases: Name of one of its splits to names of others that make the same groups and are not tried.
    """

    name: str
    source: Literal["declared", "enumerated", "clustered"]
    time_zero: TimeZero
    codes: Codes | None
    numbers: FloatArray | None
    whole: Split | None
    by_value: tuple[Split | None, ...] = ()
    kind: Literal["column", "itemset", "cluster"] = "column"
    timing: bool = False
    cluster: ClusterRule | None = None
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[Split, ...]:
        """All splits that it suggests: into all groups first."""
        return tuple(split for split in (self.whole, *self.by_value) if split is not None)


def codes_of(engine: Engine, split: Split, groups: Sequence[str]) -> Codes:
    """Number of each customer's group in the order given, by ``customer_no``, ``NOT_KNOWN`` where none of them applies; makes ``group_names``."""
    names = {"segment_group": np.array(groups, dtype=object), "group_no": np.arange(len(groups), dtype=np.int32)}
    engine.put("group_names", names)
    table = engine.arrays(
        f"select cast(coalesce(n.group_no, {NOT_KNOWN}) as smallint) as code from everyone e\n"
        f"left join ({split.labels}) l on l.customer = e.customer left join group_names n using (segment_group) order by e.customer_no"
    )
    codes: Codes = table["code"].astype(np.int16)
    return codes


def against_the_rest(codes: Codes, value: int) -> Codes:
    """0 for those with a value and 1 for the others, ``NOT_KNOWN`` as before."""
    return np.where(codes == NOT_KNOWN, NOT_KNOWN, codes != value).astype(np.int16)


def partition(codes: Codes) -> bytes:
    """The same for codes that make the same groups of the same customers, whatever the numbers of the groups."""
    known = codes != NOT_KNOWN
    values, first, inverse = np.unique(codes[known], return_index=True, return_inverse=True)
    order = np.empty(len(values), dtype=np.int16)
    order[np.argsort(first)] = np.arange(len(values), dtype=np.int16)
    named = np.full(len(codes), NOT_KNOWN, dtype=np.int16)
    named[known] = order[inverse]
    return hashlib.sha256(named.tobytes()).digest()
