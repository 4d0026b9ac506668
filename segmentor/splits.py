"""Declared splits -> SQL that gives each customer its group, and what keeps a split from being tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.cycles import Columns, Query, checked_condition, line_queries, purchase_queries, window_queries
from segmentor.engine.conditions import columns_of
from segmentor.engine.duckdb import literal, quote
from segmentor.errors import ConfigError, DataError

if TYPE_CHECKING:
    from segmentor.config import DeclaredSplit, ExperimentConfig
    from segmentor.engine.duckdb import Engine

MIXED = "mixed"
"""Group of the customers whose label's lines hold several values of a ``by`` column."""

MAX_GROUPS = 50
"""A ``by`` with more values is no split but a key."""


@dataclass(frozen=True, slots=True)
class Split:
    """A named partition of customers, with when it is known.

    Attributes:
        name: Of the config.
        known: As written in results: ``entry``, ``first_purchase``, ``first_purchases: 2``, ...
        purchases: Purchases after which the label is known: its time zero is the last of them.
        definition: Name and condition, in words of the config, of each group as far as they are declared.
        groups: Names of the declared groups, in order; empty where each value of a column is a group.
        labels: SELECT of ``customer``, ``segment_group``, ``known_since`` over ``source``, a row a customer in it; the group is NULL
            where none applies. ``None`` where the split cannot be said in this version.
        source: The table that the labels read: ``_window_n``, ``_attributes`` or ``_history``.
        untestable: Reason code for which it is described at most, with how to restate it; ``None`` where it can be tried.
    """

    name: str
    known: str
    purchases: int
    definition: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    labels: str | None
    source: str
    untestable: tuple[str, str] | None = None


def declared_splits(config: ExperimentConfig, columns: Columns) -> tuple[Split, ...]:
    """The config's declared splits.

    Raises:
        ConfigError: A condition cannot be read or names a column that is not there; all such problems at once.
    """
    splits: list[Split] = []
    problems: list[str] = []
    for number, declared in enumerate(config.splits.declared):
        try:
            splits.append(_split(columns, declared, key=f"splits.declared.{number}"))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError([f"{config.source}: {problem}" for problem in problems])
    return tuple(splits)


def label_sources(config: ExperimentConfig, columns: Columns, splits: tuple[Split, ...]) -> Iterator[Query]:
    """The tables that the splits' labels read, each once, from ``_purchases``, ``_lines`` and the customers' table."""
    for purchases in sorted(
        {split.purchases for split in splits if split.source.startswith("_window") and split.labels}
    ):
        yield from window_queries(config, purchases)
    if any(split.source == "_attributes" for split in splits):
        yield from _attribute_queries(config, columns)
    if any(split.source == "_history" for split in splits):
        yield "_history", "select p.*, p._day as _known_since\n  from _purchases p"


def make_label_sources(engine: Engine, config: ExperimentConfig, columns: Columns, splits: tuple[Split, ...]) -> None:
    """Makes the tables that the splits' labels read.

    Raises:
        DataError: A column of transactions is used with ``known: entry`` and is not constant for a customer.
    """
    if any(split.source == "_attributes" for split in splits):
        _check_constant(engine, config, columns)
    for name, select in label_sources(config, columns, splits):
        engine.execute(f"create table {name} as {select}")


def replay_queries(config: ExperimentConfig, columns: Columns, splits: tuple[Split, ...]) -> list[Query]:
    """Everything from the shop's raw tables to what the splits' labels read."""
    return [
        *line_queries(config, columns, raw=True),
        *purchase_queries(config, columns),
        *label_sources(config, columns, splits),
    ]


def _split(columns: Columns, declared: DeclaredSplit, *, key: str) -> Split:
    known = declared.known
    purchases = known.purchases or 1
    source = {"entry": "_attributes", "lifetime": "_history"}.get(known.kind, f"_window_{purchases}")
    untestable = _untestable(declared)
    if declared.groups is not None:
        definition = tuple(
            (name, condition_text(group.condition, group.quantifier)) for name, group in declared.groups.items()
        )
        label = _case_of_groups(columns, declared, key=key)
    else:
        definition = (("by", str(declared.by)),)
        label = "" if untestable is not None and declared.thresholds else _label_of_values(columns, declared, key=key)
    labels = (
        f"select _customer as customer, {label} as segment_group, max(_known_since) as known_since\n"
        f"  from {source}\n  group by _customer"
    )
    return Split(
        name=declared.name,
        known=str(known),
        purchases=purchases,
        definition=definition,
        groups=tuple(declared.groups or ()),
        labels=None if untestable is not None and untestable[0] == "not supported" else labels,
        source=source,
        untestable=untestable,
    )


def condition_text(condition: str, quantifier: str) -> str:
    """A group's condition in words of the config."""
    return condition if quantifier == "any" else f"all: {condition}"


def _label_of_values(columns: Columns, declared: DeclaredSplit, *, key: str) -> str:
    """A group for each value; several values among the label's lines are a group of their own, no value is none."""
    value = f"cast({_read(columns, declared, quote(str(declared.by)), key=f'{key}.by')} as text)"
    return f"case when min({value}) = max({value}) then min({value}) when count({value}) > 0 then '{MIXED}' end"


def _case_of_groups(columns: Columns, declared: DeclaredSplit, *, key: str) -> str:
    """First match wins; an unknown condition is no match, so that every customer falls in one group or in none."""
    branches = []
    assert declared.groups is not None
    for name, group in declared.groups.items():
        condition = _read(columns, declared, group.condition, key=f"{key}.groups.{name}")
        holds = "max" if group.quantifier == "any" else "min"
        branches.append(f"    when {holds}(case when {condition} then 1 else 0 end) = 1 then {literal(name)}")
    return "case\n" + "\n".join(branches) + "\n  end"


def _read(columns: Columns, declared: DeclaredSplit, text: str, *, key: str) -> str:
    """SQL of an expression of the split: over customers where it is known at entry, else over lines."""
    condition = columns.customer_condition if declared.known.kind == "entry" else columns.line_condition
    return condition(text, key=key)


def _untestable(declared: DeclaredSplit) -> tuple[str, str] | None:
    """Why a split is not tried, and how to restate it."""
    kind = declared.known.kind
    if kind == "lifetime":
        return (
            "circular",
            (
                "a label over the whole history is made of the gaps that would test it; say it of the first purchase "
                "(known: first_purchase) or of the first few (known: {first_purchases: 2})"
            ),
        )
    if kind == "until":
        return (
            "not supported",
            "labels known at a date are not tried by this version; say it of the first purchases (known: {first_purchases: 2})",
        )
    if declared.thresholds is not None:
        return (
            "not supported",
            "cutpoints chosen by the data are not tried by this version; name the groups with conditions",
        )
    return None


def _attribute_queries(config: ExperimentConfig, columns: Columns) -> Iterator[Query]:
    """``_attributes``: a row a customer who bought, with what is fixed at entry."""
    customers = config.data.customers
    entry = _entry_columns(config, columns)
    constant = "".join(f", max(l.{quote(name)}) as {quote(name)}" for name in entry)
    yield (
        "_entered",
        (
            f"select l._customer, min(o._start) as _known_since{constant}\n  from _lines l join _occasions o on o._customer = l._customer\n"
            "  group by l._customer"
        ),
    )
    if customers is None:
        yield "_attributes", "select * from _entered"
        return
    raw = columns.roles["customers"]
    own = [name for name in columns.customers if name not in customers.derive]
    derived = "".join(
        f", {checked_condition(text, own, raw, key=f'data.customers.derive.{name}')} as {quote(name)}"
        for name, text in customers.derive.items()
    )
    key = f"cast(c.{quote(customers.columns['customer'])} as text)"
    shadowed = {name.lower() for name in entry}
    names = ", ".join(f"c.{quote(name)}" for name in columns.customers if name.lower() not in shadowed)
    yield "_customers", f"select c.*{derived}\n  from customers c"
    yield "_attributes", f"select e.*, {names}\n  from _entered e left join _customers c on {key} = e._customer"


def _entry_columns(config: ExperimentConfig, columns: Columns) -> tuple[str, ...]:
    """Columns of transactions that entry splits read, where the customers' table has none of that name."""
    own = {name.lower() for name in columns.customers} | set(columns.roles.get("customers", {}))
    lines = {name.lower(): name for name in columns.transactions}
    names: set[str] = set()
    for declared in config.splits.declared:
        if declared.known.kind == "entry":
            texts = (
                [quote(declared.by)] if declared.by else [group.condition for group in (declared.groups or {}).values()]
            )
            names.update(name.lower() for text in texts for name in columns_of(text))
    resolved = {columns.roles["transactions"].get(name, name).lower() for name in names - own}
    return tuple(sorted(lines[name] for name in resolved if name in lines))


def _check_constant(engine: Engine, config: ExperimentConfig, columns: Columns) -> None:
    for name in _entry_columns(config, columns):
        several = engine.scalar(
            f"select count(*) from (select _customer from _lines group by 1 having count(distinct {quote(name)}) > 1)"
        )
        if several:
            raise DataError(
                f"{config.source}: transactions.{name} is used with known: entry and has several values for {several} customers; "
                "use known: first_purchase, or a column of the customers' table"
            )
