"""Splits in words of the config -> SQL that gives each customer its group, and what keeps a split from being tried."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from segmentor.config.values import MIXED
from segmentor.config.yaml_text import write_yaml
from segmentor.cycles import (
    Columns,
    Query,
    TimeZero,
    checked_condition,
    common_table_expressions,
    customer_queries,
    line_queries,
    purchase_queries,
    window_queries,
)
from segmentor.engine.conditions import columns_of
from segmentor.engine.duckdb import literal, quote
from segmentor.errors import ConfigError, DataError
from segmentor.features import Found, feature_names, feature_queries, find_feature
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import DeclaredSplit, ExperimentConfig
    from segmentor.engine.duckdb import Engine

MAX_GROUPS = 50
"""A ``by`` with more values is no split but a key."""

MERGED = ", merged"
"""What follows the name of a split in that of the split whose groups are some of its groups taken together."""

Obstacle = tuple[str, Message]
"""Reason code for which a split cannot be tested, and how to restate it."""

CIRCULAR: Obstacle = (
    "circular",
    Message(
        "a label over the whole history is made of the gaps that would test it; say it of the first purchase "
        "(known: first_purchase), of the first few (known: {several}), or of what was bought before a date "
        "(known: {before}), which leaves the time after it for the test",
        {"several": "{first_purchases: 2}", "before": "{until: DATE}"},
    ),
)


@dataclass(frozen=True, slots=True)
class Split:
    """A named partition of customers, with when it is known.

    Attributes:
        name: Of the config.
        known: As written in results: ``entry``, ``first_purchase``, ``first_purchases: 2``, ...
        time_zero: When the label is known.
        definition: Name and condition, in words of the config, of each group as far as they are declared.
        groups: Names of the declared groups, in order; empty where each value of a column is a group.
        label: SQL aggregate over a customer's rows of ``source`` that gives its group, NULL where none applies; of a split whose
            threshold is to be found, the number that is cut.
        source: The table that the labels read: ``_window_<suffix>``, ``_attributes`` or ``_history``.
        features: Common table expressions that join the features which the label names to the rows of ``_label_lines``, as
            ``_label_rows``; empty where it names none.
        of_many_lines: Whether the label is made of the lines of many orders, and of nothing else: before a date, or of all.
        by: The column whose values are the groups, or the column or feature that is cut; ``None`` for groups with conditions.
        to_cut: Whether the data are to choose a threshold.
        threshold: Where the number is cut, once it is.
        merged_from: Name of the split whose groups were merged.
        parts: Names of that split's groups by group of this one.
        untestable: Reason code for which it is described at most, with how to restate it; ``None`` where it can be tried.
        restated: The split as YAML, restated so that it can be tried, where it cannot as it stands.
        declared: The split in words of the config.
    """

    name: str
    known: str
    time_zero: TimeZero
    definition: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    label: str
    source: str
    features: str = ""
    of_many_lines: bool = False
    by: str | None = None
    to_cut: bool = False
    threshold: float | None = None
    merged_from: str | None = None
    parts: tuple[tuple[str, ...], ...] = ()
    untestable: Obstacle | None = None
    restated: str | None = None
    declared: DeclaredSplit | None = field(default=None, compare=False, repr=False)

    @property
    def since(self) -> str | None:
        """The date until which the label is known, ISO; ``None`` where it is known by purchases."""
        return None if self.time_zero.until is None else self.known.removeprefix("until: ")

    @property
    def is_of_a_snapshot(self) -> bool:
        """Whether the label reads columns of the customers' table, of which nobody but their owner knows when they were written."""
        return self.source == "_attributes" or (self.time_zero.until is not None and not self.of_many_lines)

    @property
    def labels(self) -> str:
        """SELECT of ``customer``, ``segment_group``, ``known_since``, a row a customer of ``source``."""
        return self.labels_of(self.source)

    def labels_of(self, source: str) -> str:
        """The same over another table of the columns of ``source``."""
        lines = f"with _label_lines as (select * from {source}),\n{self.features}\n" if self.features else ""
        return (
            f"{lines}select _customer as customer, {self.label} as segment_group, max(_known_since) as known_since\n"
            f"  from {'_label_rows' if self.features else source}\n  group by _customer"
        )

    def cut_at(self, threshold: float) -> Split:
        """The split of a number at a threshold: up to it, and above. Names of groups are rounded, conditions exact."""
        short = _decimal(threshold)
        exact = short if float(short) == threshold else repr(threshold)
        signs = ("<=", ">")
        low, high = (f"{sign} {short}" for sign in signs)
        label = f"case when {self.label} <= {threshold!r} then {literal(low)} when {self.label} > {threshold!r} then {literal(high)} end"
        definition = tuple((name, f"{self.by} {sign} {exact}") for name, sign in zip((low, high), signs, strict=True))
        return replace(self, definition=definition, groups=(low, high), label=label, to_cut=False, threshold=threshold)

    def merged(self, groups: Sequence[Sequence[str]]) -> Split:
        """The split with some of its groups taken together.

        Args:
            groups: Names of this split's groups that make one, at least one each.
        """
        names = _joined(groups)
        branches = "".join(
            f" when {literal(one)} then {literal(name)}"
            for name, several in zip(names, groups, strict=True)
            for one in several
        )
        conditions = dict(self.definition)
        definition = tuple(
            (name, " or ".join(conditions.get(one, f"{self.by} = {one}") for one in several))
            for name, several in zip(names, groups, strict=True)
        )
        return replace(
            self,
            name=f"{self.name}{MERGED}",
            definition=definition,
            groups=tuple(names),
            label=f"case ({self.label}){branches} end",
            merged_from=self.name,
            parts=tuple(tuple(several) for several in groups),
        )


def _decimal(number: float) -> str:
    """A number as people write it, to the millionth, of which numbers are sums: ``32``, ``0.166667``."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _joined(groups: Sequence[Sequence[str]]) -> list[str]:
    """A name for several groups taken together that no other group has: a column may hold ``a``, ``b`` and ``a + b``."""
    taken = {several[0] for several in groups if len(several) == 1}
    names = []
    for several in groups:
        name = " + ".join(several)
        while len(several) > 1 and name in taken:
            name = f"({name})"
        taken.add(name)
        names.append(name)
    return names


def declared_splits(config: ExperimentConfig, columns: Columns) -> tuple[Split, ...]:
    """The config's declared splits.

    Raises:
        ConfigError: A condition cannot be read or names a column that is not there; all such problems at once.
    """
    splits: list[Split] = []
    problems: list[str] = []
    names = {declared.name for declared in config.splits.declared}
    for number, declared in enumerate(config.splits.declared):
        if declared.name.endswith(MERGED) and declared.name.removesuffix(MERGED) in names:
            problems.append(
                f"splits.declared.{number}.name: {declared.name!r} is what we call merged groups of "
                f"{declared.name.removesuffix(MERGED)!r}; choose another name"
            )
        try:
            splits.append(compiled(config, columns, declared, key=f"splits.declared.{number}"))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError([f"{config.source}: {problem}" for problem in problems])
    return tuple(splits)


def label_sources(
    config: ExperimentConfig, columns: Columns, splits: tuple[Split, ...], *, raw: bool = False
) -> Iterator[Query]:
    """The tables that the splits' labels read, each once, from ``_purchases``, ``_lines`` and the customers' table.

    Args:
        config: The experiment.
        columns: Columns of the tables.
        splits: The splits.
        raw: Read the shop's own customers' table; else our canonical one.
    """
    windows = {split.source: split.time_zero for split in splits if split.source.startswith("_window")}
    if any(split.source == "_attributes" or split.time_zero.until is not None for split in splits):
        yield from customer_queries(config, columns, raw=raw)
    for source in sorted(windows):
        readers = [split for split in splits if split.source == source]
        yield from window_queries(config, columns, windows[source], _customer_columns(columns, readers))
    if any(split.source == "_attributes" for split in splits):
        yield from _attribute_queries(config, columns, splits)
    if any(split.source == "_history" for split in splits):
        yield "_history", "select p.*, p._day as _known_since\n  from _purchases p"


def make_label_sources(engine: Engine, config: ExperimentConfig, columns: Columns, splits: tuple[Split, ...]) -> None:
    """Makes the tables that the splits' labels read, as far as they are not there with all the columns that these splits read.

    Raises:
        DataError: A column of transactions is used with ``known: entry`` and is not constant for a customer.
    """
    if any(split.source == "_attributes" for split in splits):
        _check_constant(engine, config, columns, splits)
    for name, select in label_sources(config, columns, splits):
        needed = {column for column, *_ in engine.rows(f"describe {select}")}
        if not needed <= set(engine.columns(name)):
            engine.execute(f"create or replace table {name} as {select}")


def replay_queries(config: ExperimentConfig, columns: Columns, splits: tuple[Split, ...]) -> list[Query]:
    """Everything from the shop's raw tables to what the splits' labels read."""
    return [
        *line_queries(config, columns, raw=True),
        *purchase_queries(config, columns),
        *label_sources(config, columns, splits, raw=True),
    ]


def compiled(config: ExperimentConfig, columns: Columns, declared: DeclaredSplit, *, key: str) -> Split:
    """A split in words of the config as SQL.

    Args:
        config: The experiment.
        columns: Columns of its tables.
        declared: The split.
        key: Where it stands, for messages.

    Raises:
        ConfigError: A condition cannot be read or names what is not there.
    """
    known = declared.known
    zero = TimeZero.of(known)
    source = {"entry": "_attributes", "lifetime": "_history"}.get(known.kind, f"_window_{zero.suffix}")
    language = _Language(config, columns, declared)
    if declared.groups is not None:
        definition = tuple(
            (name, condition_text(group.condition, group.quantifier)) for name, group in declared.groups.items()
        )
        label = _case_of_groups(language, declared, key=key)
    else:
        definition = (("by", str(declared.by)),)
        of = _label_of_values if declared.thresholds is None else _label_of_number
        label = of(language, str(declared.by), key=f"{key}.by")
    circular = known.kind == "lifetime"
    return Split(
        name=declared.name,
        known=str(known),
        time_zero=zero,
        definition=definition,
        groups=tuple(declared.groups or ()),
        label=label,
        source=source,
        features=language.joined(zero),
        of_many_lines=known.kind in ("until", "lifetime") and language.is_of_lines(_texts(declared)),
        by=declared.by,
        to_cut=declared.thresholds is not None,
        untestable=CIRCULAR if circular else None,
        restated=_restated(declared) if circular else None,
        declared=declared,
    )


def condition_text(condition: str, quantifier: str) -> str:
    """A group's condition in words of the config."""
    return condition if quantifier == "any" else f"all: {condition}"


class _Language:
    """The expressions of one split as SQL over the rows of its source, with the features that they name."""

    def __init__(self, config: ExperimentConfig, columns: Columns, declared: DeclaredSplit) -> None:
        self._config, self._columns = config, columns
        self._kind = declared.known.kind
        self._features: dict[str, Found] = {}

    def sql(self, text: str, *, key: str) -> str:
        """SQL of an expression: over customers at entry, over lines, over both before a date; or over features and customers.

        Raises:
            ConfigError: It cannot be read, names what is not there, or names features beside columns of lines.
        """
        try:
            return self._read(text, key=key, hints=())
        except ConfigError:
            hints = feature_names(self._config, self._columns, self._kind)
            return self._read(text, key=key, hints=hints)

    def _read(self, text: str, *, key: str, hints: Sequence[str]) -> str:
        columns, found = self._columns, self._features_of(text)
        if not found:
            match self._kind:
                case "entry":
                    return columns.customer_condition(text, key=key)
                case "until":
                    return columns.history_condition(text, key=key, hints=hints)
            return columns.line_condition(text, key=key, hints=hints)
        self._features |= found
        own, names = (columns.customers, columns.roles.get("customers", {})) if self._kind == "until" else ((), {})
        for name in columns_of(text):
            if name not in found and names.get(name.lower(), name).lower() not in {one.lower() for one in own}:
                beside = "features and columns of the customers' table" if self._kind == "until" else "features"
                feature = next(iter(found))
                raise ConfigError(
                    [
                        f"{key}: {feature!r} is a feature of customers; a condition that names one may name {beside}, not {name!r}"
                    ]
                )
        physical = {name: one.column for name, one in found.items()}
        return checked_condition(text, (*own, *physical.values()), {**names, **physical}, key=key, hints=hints)

    def is_feature(self, name: str) -> bool:
        """Whether a name stands for a feature."""
        return bool(self._features_of(quote(name)))

    def is_of_lines(self, texts: Sequence[str]) -> bool:
        """Whether expressions read lines alone, and no column of the customers' table."""
        columns = self._columns
        known = {name.lower() for name in columns.lines} | set(columns.roles["transactions"])
        known |= set(columns.roles.get("products", {}))
        return all(name.lower() in known or name in self._features for text in texts for name in columns_of(text))

    def joined(self, zero: TimeZero) -> str:
        """Common table expressions that join the features named so far to ``_label_lines``, as ``_label_rows``."""
        if not self._features:
            return ""
        queries = feature_queries(
            self._config,
            self._columns,
            zero,
            tuple(self._features),
            kind=self._kind,
            lines="_label_lines",
            table="_label_features",
        )
        names = dict.fromkeys(f"f.{quote(one.column)}" for one in self._features.values())
        rows = (
            f"select l.*, {', '.join(names)}\n  from _label_lines l join _label_features f on f._customer = l._customer"
        )
        return common_table_expressions([*queries, ("_label_rows", rows)]).removeprefix("with ")

    def _features_of(self, text: str) -> dict[str, Found]:
        """Features that an expression names; a column of that name would win."""
        columns = self._columns
        taken = {name.lower() for name in (columns.histories if self._kind == "until" else columns.lines)}
        taken |= {*columns.roles["transactions"], *columns.roles.get("products", {})}
        taken |= {*columns.roles.get("customers", {})} if self._kind == "until" else set()
        try:
            names = [name for name in columns_of(text) if name.lower() not in taken]
        except ValueError:
            return {}
        found = {name: find_feature(self._config, columns, name, kind=self._kind) for name in names}
        return {name: one for name, one in found.items() if one is not None}


def _label_of_values(language: _Language, by: str, *, key: str) -> str:
    """A group for each value; several values among the label's lines are a group of their own, no value is none."""
    if language.is_feature(by):
        raise ConfigError([f"{key}: {by!r} is a number; write thresholds: auto, or groups with conditions on it"])
    value = f"cast({language.sql(quote(by), key=key)} as text)"
    return f"case when min({value}) = max({value}) then min({value}) when count({value}) > 0 then '{MIXED}' end"


def _label_of_number(language: _Language, by: str, *, key: str) -> str:
    """The number that is cut: a feature, or the mean of a column over the label's lines.

    Numbers are summed as millionths, so that the order of rows does not matter.
    """
    value = language.sql(quote(by), key=key)
    if language.is_feature(by):
        return f"max({value})"
    millionths = f"sum(cast(round(cast({value} as double) * 1000000) as bigint))"
    return f"(cast({millionths} as double) / 1000000 / count({value}))"


def _case_of_groups(language: _Language, declared: DeclaredSplit, *, key: str) -> str:
    """First match wins; an unknown condition is no match, so that every customer falls in one group or in none."""
    branches = []
    assert declared.groups is not None
    for name, group in declared.groups.items():
        condition = language.sql(group.condition, key=f"{key}.groups.{name}")
        holds = "max" if group.quantifier == "any" else "min"
        branches.append(f"    when {holds}(case when {condition} then 1 else 0 end) = 1 then {literal(name)}")
    return "case\n" + "\n".join(branches) + "\n  end"


def _texts(declared: DeclaredSplit) -> list[str]:
    """The expressions of a split."""
    return [quote(declared.by)] if declared.by else [group.condition for group in (declared.groups or {}).values()]


def _restated(declared: DeclaredSplit) -> str:
    """A split over the whole history as it can be asked: of the first purchase, indented to stand under ``declared``."""
    text = write_yaml([{**declared.model_dump(mode="json", exclude_none=True), "known": "first_purchase"}])
    return textwrap.indent(text, 4 * " ")


def _attribute_queries(config: ExperimentConfig, columns: Columns, splits: Sequence[Split]) -> Iterator[Query]:
    """``_attributes``: a row a customer who bought, with what is fixed at entry."""
    customers = config.data.customers
    entry = _entry_columns(columns, splits)
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
    key = f"cast(c.{quote(customers.columns['customer'])} as text)"
    shadowed = {name.lower() for name in entry}
    names = ", ".join(f"c.{quote(name)}" for name in columns.customers if name.lower() not in shadowed)
    yield "_attributes", f"select e.*, {names}\n  from _entered e left join _customers c on {key} = e._customer"


def _entry_columns(columns: Columns, splits: Sequence[Split]) -> tuple[str, ...]:
    """Columns of transactions that entry splits read, where the customers' table has none of that name."""
    own = {name.lower() for name in columns.customers} | set(columns.roles.get("customers", {}))
    lines = {name.lower(): name for name in columns.transactions}
    declared = [split.declared for split in splits if split.source == "_attributes" and split.declared is not None]
    names = {name.lower() for one in declared for text in _texts(one) for name in columns_of(text)}
    resolved = {columns.roles["transactions"].get(name, name).lower() for name in names - own}
    return tuple(sorted(lines[name] for name in resolved if name in lines))


def _customer_columns(columns: Columns, splits: Sequence[Split]) -> list[str]:
    """Columns of the customers' table that splits name."""
    roles = columns.roles.get("customers", {})
    texts = [text for split in splits if split.declared is not None for text in _texts(split.declared)]
    names = {name.lower() for text in texts for name in columns_of(text)}
    named = {roles.get(name, name).lower() for name in names}
    return [column for column in columns.customers if column.lower() in named]


def _check_constant(engine: Engine, config: ExperimentConfig, columns: Columns, splits: Sequence[Split]) -> None:
    for name in _entry_columns(columns, splits):
        several = engine.scalar(
            f"select count(*) from (select _customer from _lines group by 1 having count(distinct {quote(name)}) > 1)"
        )
        if several:
            raise DataError(
                f"{config.source}: transactions.{name} is used with known: entry and has several values for {several} customers; "
                "use known: first_purchase, or a column of the customers' table"
            )
