"""Every attribute of the shop -> candidate splits: its values, each value against the rest, and numbers to cut.

Rows stay in the engine: of a column at most ``max_groups`` + 1 values are fetched, and of a customer the number of the group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from segmentor.config import Known
from segmentor.config.values import mend_choice
from segmentor.cycles import RESERVED, Columns, TimeZero, common_table_expressions
from segmentor.engine.duckdb import quote
from segmentor.errors import ConfigError
from segmentor.features import feature_names, feature_queries, find_feature
from segmentor.result import LeftOut
from segmentor.splits.attribute import NOT_KNOWN, Attribute
from segmentor.splits.candidates import REST, Writer, without_twins
from segmentor.splits.categories import OTHER, Category, Groups, groups_of, number_of_group, unlike
from segmentor.splits.itemsets import itemset_attributes
from segmentor.splits.split import Split, make_label_sources
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.config.sections import Enumerated
    from segmentor.engine.duckdb import Engine

MIN_COVERED = 0.2
"""Share of the customers whose value must be one that stands for itself."""

MAX_CALENDAR = 0.98
"""Correlation of a number with the day above which it is a date in other words, such as the number of a week."""

MAX_PAIRED = 6
"""Groups of an attribute that is paired with others."""

MAX_PAIRS = 100

MAX_VALUE = 100
"""Characters of a value that can be a group of its own."""

KEYS = re.compile(
    r"(?:^|_)(?:id|ids|key|code|nr|no|number|sku|upc|ean|gtin|zip|zipcode|postcode|postal_code|plz)$|编号|编码|邮编"
)
"""Headings of numbers that count nothing."""

FIRST_BASKET = ("order_amount", "basket_size", "basket_products")
"""Features of amounts that echo nothing where the label is made of counted purchases."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A table of which columns are gone through.

    Attributes:
        known: When what it says is known.
        zero: The same as time zero.
        table: Its name: of lines, or of customers.
        columns: Columns that are gone through.
        constant: Those of them that have one value for a customer.
    """

    known: Known
    zero: TimeZero
    table: str
    columns: tuple[str, ...]
    constant: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Profile:
    """What the values of a column are like.

    Attributes:
        kind: ``text``, ``boolean``, ``number`` or ``time``, by its type.
        rows: Rows of the table.
        known: Rows with a value.
        different: Different values.
        numbers: Rows whose value is a number.
        whole: Rows whose value is a whole number.
        times: Rows whose value is a date or time.
        calendar: Correlation of its numbers with the day; ``None`` where there is none.
    """

    kind: str
    rows: int
    known: int
    different: int
    numbers: int
    whole: int
    times: int
    calendar: float | None

    def is_number(self, name: str) -> bool:
        """Whether the column of that name counts or measures something: all its values are numbers, more than two, and no key."""
        return (
            self.known == self.numbers > 0
            and self.different > 2
            and self.kind != "boolean"
            and not KEYS.search(name.lower())
        )


def enumerate_attributes(
    engine: Engine, config: ExperimentConfig, columns: Columns
) -> tuple[tuple[Attribute, ...], tuple[LeftOut, ...]]:
    """Goes through everything that is known of customers, as ``splits.enumerated`` says.

    Makes the tables that the labels of all these splits read. Customers are counted in both halves: what is large enough to be tried
    depends on labels alone and on no gap, so that it says nothing of what is tested.

    Args:
        engine: Holds the tables of ``cycles``.
        config: The experiment, with ``splits.enumerated``.
        columns: Columns of its tables.

    Returns:
        The attributes with at least one split to try, and what made none, with the reason; each in an order that depends on neither the
        order of rows nor that of columns' values.

    Raises:
        ConfigError: ``columns`` names what is neither a column nor a feature, or ``known`` is ``lifetime``.
    """
    asked = config.splits.enumerated
    assert asked is not None
    if asked.known.kind == "lifetime":
        raise ConfigError(
            [
                f"{config.source}: splits.enumerated.known: a label over the lifetime is never validated; write first_purchase"
            ]
        )
    return _Search(engine, config, columns, asked).attributes()


class _Search:
    """One pass over the shop's attributes."""

    def __init__(self, engine: Engine, config: ExperimentConfig, columns: Columns, asked: Enumerated) -> None:
        self._engine, self._config, self._columns, self._asked = engine, config, columns, asked
        self._customers = int(engine.scalar("select count(*) from everyone"))
        self._listed = None if asked.columns == ("auto",) else asked.columns
        self._writer = Writer(config, columns)
        self._left_out: list[LeftOut] = []

    def attributes(self) -> tuple[tuple[Attribute, ...], tuple[LeftOut, ...]]:
        """All of them, twins tried once."""
        found: list[Attribute] = []
        sources = self._sources()
        self._check_names(sources)
        for source in sources:
            make_label_sources(self._engine, self._config, self._columns, self._probes(source))
            profiles = self._profiles(source)
            numbers = [name for name, one in profiles.items() if one.is_number(name)]
            categories = [
                category
                for name, profile in profiles.items()
                if not profile.is_number(name) and (category := self._category(source, name, profile)) is not None
            ]
            grouped = list(self._grouped(source, categories))
            found += [attribute for attribute, _ in grouped]
            if self._asked.pairs:
                found += self._pairs(source, grouped)
            if self._asked.thresholds:
                found += self._numbers(source, [name for name in numbers if self._counts(name, profiles[name])])
            if source.table != "_attributes" and source.zero.until is None and self._listed is None:
                found += itemset_attributes(
                    self._engine,
                    self._config,
                    self._columns,
                    self._writer,
                    known=source.known,
                    customers=self._customers,
                )
        attributes, alike = without_twins(found)
        made = tuple(split for attribute in attributes for split in attribute.splits)
        make_label_sources(self._engine, self._config, self._columns, made)
        return attributes, tuple(self._left_out + alike)

    def _sources(self) -> list[_Source]:
        """What is fixed at entry, and the lines of the label."""
        known, columns = self._asked.known, self._columns
        keys = {column.lower() for column in self._keys()} | RESERVED
        lines = [name for name in columns.lines if name.lower() not in keys]
        customers = [name for name in columns.customers if name.lower() not in keys]
        if self._listed is not None:
            wanted = {self._resolved(name) for name in self._listed}
            lines, customers = ([name for name in names if name.lower() in wanted] for names in (lines, customers))
        if known.date is not None:
            zero = TimeZero.of(known)
            own = {name.lower() for name in columns.lines}
            more = [name for name in customers if name.lower() not in own]
            return [_Source(known, zero, f"_window_{zero.suffix}", (*lines, *more), frozenset(more))]
        own = {name.lower() for name in columns.customers}
        steady = self._steady([name for name in lines if name in columns.transactions and name.lower() not in own])
        fixed = (*customers, *steady)
        entry = _Source(Known("entry"), TimeZero(), "_attributes", fixed, frozenset(fixed))
        if known.kind == "entry":
            return [entry]
        zero = TimeZero.of(known)
        varying = tuple(name for name in lines if name not in steady)
        return [entry, _Source(known, zero, f"_window_{zero.suffix}", varying, frozenset())]

    def _keys(self) -> Iterator[str]:
        """Columns that stand for a customer, an order, a time, a product, a quantity or an amount."""
        data = self._config.data
        roles = ("customer", "order", "time", "product", "quantity", "amount")
        for table in (data.transactions, data.products, data.customers):
            if table is not None:
                yield from (table.columns[role] for role in roles if role in table.columns)

    def _resolved(self, name: str) -> str:
        """The column, in lower case, that a listed name or role stands for."""
        roles = self._columns.roles
        several = {**roles.get("customers", {}), **roles.get("products", {}), **roles["transactions"]}
        return several.get(name.lower(), name).lower()

    def _steady(self, names: Sequence[str]) -> list[str]:
        """Columns of transactions that have one value at most for each customer, over all their lines."""
        if not names:
            return []
        varies = ", ".join(f"count(distinct {quote(name)}) > 1 as v{at}" for at, name in enumerate(names))
        totals = ", ".join(f"count(*) filter (v{at})" for at in range(len(names)))
        (row,) = self._engine.rows(f"select {totals} from (select {varies} from _lines group by _customer)")
        return [name for name, several in zip(names, row, strict=True) if not several]

    def _check_names(self, sources: Sequence[_Source]) -> None:
        """Each listed name is a column that may be gone through, or a feature."""
        kind = self._asked.known.kind
        columns = {name.lower() for source in sources for name in source.columns}
        keys = {column.lower() for column in self._keys()}
        names = [name for name in self._columns.histories if name.lower() not in keys]
        names += feature_names(self._config, self._columns, kind)
        problems = [
            f"{self._config.source}: splits.enumerated.columns: {name!r} is no column to go through and no feature; "
            f"{mend_choice(name, sorted(names))}"
            for name in self._listed or ()
            if self._resolved(name) not in columns
            and find_feature(self._config, self._columns, name, kind=kind) is None
        ]
        if problems:
            raise ConfigError(problems)

    def _probes(self, source: _Source) -> tuple[Split, ...]:
        """Splits that read the source's columns, so that its table has them all."""
        splits = []
        for name in source.columns:
            try:
                splits.append(self._writer.compiled({"name": "probe", "known": source.known.plain(), "by": name}))
            except ConfigError:
                told = Message("stands in two tables; derive it under another name")
                self._left_out.append(LeftOut(name, "column", told))
        nobody = {"nobody": "false", "everybody": "true"}
        return (*splits, self._writer.groups("probe", source.known, nobody))

    def _profiles(self, source: _Source) -> dict[str, _Profile]:
        """What the values of the source's columns are like."""
        left_out = {one.name for one in self._left_out}
        names = [name for name in source.columns if name not in left_out]
        if not names:
            return {}
        types = dict(
            self._engine.rows(
                "select column_name, data_type from duckdb_columns() where table_name = $1", [source.table]
            )
        )
        parts, day = [], "_known_since" if source.table == "_attributes" else "_day"
        for name in names:
            text = f"cast({quote(name)} as text)"
            number = f"try_cast({text} as double)"
            # A cast that fails is slow: words and numbers are no times, and most columns hold nothing else.
            time = f"try_cast(case when {number} is null and {text} < ':' then {text} end as timestamp)"
            parts += [f"count({text})", f"count(distinct {text})", f"count({number})"]
            parts += [
                f"count(case when {number} = floor({number}) then 1 end)",
                f"count({time})",
            ]
            parts += [f"corr(case when isfinite({number}) then {number} end, {day})"]
        (row,) = self._engine.rows(f"select count(*), {', '.join(parts)} from {source.table}")
        return {
            name: _Profile(_kind(types[name]), row[0], *row[1 + 6 * at : 7 + 6 * at]) for at, name in enumerate(names)
        }

    def _counts(self, name: str, profile: _Profile) -> bool:
        """Whether a number can be cut, and is no key."""
        if profile.different == profile.whole == profile.known and profile.known > MAX_PAIRS:
            told = Message("is a key: {values} different whole numbers", {"values": profile.different})
            self._left_out.append(LeftOut(name, "column", told))
            return False
        if profile.calendar is not None and abs(profile.calendar) > MAX_CALENDAR:
            told = Message("follows the calendar: it says when somebody bought, which customers are compared within")
            self._left_out.append(LeftOut(name, "column", told))
            return False
        return True

    def _category(self, source: _Source, name: str, profile: _Profile) -> Category | None:
        """The column's groups; ``None`` where it makes none."""
        reason, values = self._refused(profile), []
        if reason is None:
            text = f"cast({quote(name)} as text)"
            rows = self._engine.rows(
                "select value, count(*), sum(count(*)) over () from (\n"
                f"  select min({text}) as value from {source.table} group by _customer having min({text}) = max({text}))\n"
                f"group by value order by 2 desc, 1 limit {self._asked.max_groups + 1}"
            )
            most = self._asked.max_groups - (profile.different > self._asked.max_groups)
            enough = [(value, count) for value, count, _ in rows[:most] if count >= self._config.trial.min_group]
            values = [value for value, _ in enough if _can_stand(value)]
            covered = sum(count for _, count in enough) / rows[0][2] if rows else 0.0
            if not values:
                reason = Message("no value is that of {least} customers", {"least": self._config.trial.min_group})
            elif covered < MIN_COVERED:
                reason = Message(
                    "its {largest} largest of {values} values are those of {percent:.0f} % of the customers",
                    {"largest": len(enough), "values": profile.different, "percent": 100 * covered},
                )
        if reason is not None:
            self._left_out.append(LeftOut(name, "column", reason))
            return None
        return Category(name, profile.kind, tuple(values), profile.known < profile.rows, name in source.constant)

    def _refused(self, profile: _Profile) -> Message | None:
        """Why a column cannot make groups, as far as its values tell."""
        if profile.kind == "time" or (
            profile.known and profile.times == profile.known and profile.numbers < profile.known
        ):
            return Message("is a date or time")
        if profile.known == 0:
            return Message("has no values")
        if profile.different < 2 and profile.known == profile.rows:
            return Message("has one value")
        if profile.different > self._customers / 2:
            return Message(
                "is a key: {values} values for {customers} customers",
                {"values": profile.different, "customers": self._customers},
            )
        return None

    def _grouped(self, source: _Source, categories: Sequence[Category]) -> Iterator[tuple[Attribute, Groups]]:
        """The attributes of columns with groups, all labels from one query."""
        if not categories:
            return
        labels = ", ".join(f"{number_of_group(one)} as c{at}" for at, one in enumerate(categories))
        fetched = self._engine.arrays(
            f"select e.customer_no, g.* exclude (_customer) from (\n  select _customer, {labels} from {source.table} group by _customer) g\n"
            "join everyone e on e.customer = g._customer"
        )
        for at, category in enumerate(categories):
            raw = np.full(self._customers, NOT_KNOWN, dtype=np.int16)
            raw[fetched["customer_no"]] = fetched[f"c{at}"]
            codes, groups = groups_of(category, raw, least=self._config.trial.min_group)
            sizes = np.bincount(codes[codes >= 0], minlength=len(groups.names))
            large = [int(size) >= self._config.trial.min_group for size in sizes]
            if sum(large) < 2:
                told = Message("fewer than two groups have {least} customers", {"least": self._config.trial.min_group})
                self._left_out.append(LeftOut(category.column, "column", told))
                continue
            name = self._writer.named(category.column)
            whole = self._writer.groups(name, source.known, dict(zip(groups.names, groups.conditions, strict=True)))
            by_value: tuple[Split | None, ...] = ()
            if len(groups.names) > 2:
                by_value = tuple(
                    self._writer.value(self._writer.named(f"{name}: {group}"), source.known, group, condition)
                    if stands and enough and int(sizes.sum() - size) >= self._config.trial.min_group
                    else None
                    for group, condition, stands, enough, size in zip(
                        groups.names, groups.conditions, groups.stands, large, sizes, strict=True
                    )
                )
            yield (
                Attribute(name, "enumerated", source.zero, codes=codes, numbers=None, whole=whole, by_value=by_value),
                groups,
            )

    def _pairs(self, source: _Source, grouped: Sequence[tuple[Attribute, Groups]]) -> Iterator[Attribute]:
        """Groups of two attributes at once, those of too few customers taken together."""
        few = [(attribute, groups) for attribute, groups in grouped if len(groups.names) <= MAX_PAIRED]
        for (one, first), (other, second) in list(combinations(few, 2))[:MAX_PAIRS]:
            assert one.codes is not None
            assert other.codes is not None
            codes = np.full(self._customers, NOT_KNOWN, dtype=np.int16)
            known = (one.codes >= 0) & (other.codes >= 0)
            cells = one.codes[known].astype(np.int64) * len(second.names) + other.codes[known]
            sizes = np.bincount(cells, minlength=len(first.names) * len(second.names))
            pairs = [(a, b) for a in range(len(first.joint)) for b in range(len(second.joint))]
            kept = [
                pair for pair in pairs if sizes[pair[0] * len(second.names) + pair[1]] >= self._config.trial.min_group
            ]
            if len(kept) < 2:
                continue
            code_of = np.full(len(sizes), len(kept), dtype=np.int16)
            for code, (a, b) in enumerate(kept):
                code_of[a * len(second.names) + b] = code
            codes[known] = code_of[cells]
            names = [f"{first.names[a]} & {second.names[b]}" for a, b in kept]
            conditions = [f"{first.joint[a]} and {second.joint[b]}" for a, b in kept]
            if (codes == len(kept)).any():
                names.append(unlike(OTHER, names))
                conditions.append(REST)
            name = self._writer.named(f"{one.name} & {other.name}")
            whole = self._writer.groups(name, source.known, dict(zip(names, conditions, strict=True)))
            yield Attribute(name, "enumerated", source.zero, codes=codes, numbers=None, whole=whole)

    def _numbers(self, source: _Source, names: Sequence[str]) -> Iterator[Attribute]:
        """The numbers of columns, each customer's mean, and features, all from one query each."""
        features = self._features(source)
        splits = [self._writer.number(self._writer.named(name), source.known, name) for name in (*names, *features)]
        if not splits:
            return
        own = splits[: len(names)]
        labels = "".join(f", {split.label} as n{at}" for at, split in enumerate(own))
        select = f"select _customer{labels} from {source.table} group by _customer"
        joined = ""
        if features:
            queries = list(feature_queries(self._config, self._columns, source.zero, features, kind=source.known.kind))
            found = [find_feature(self._config, self._columns, name, kind=source.known.kind) for name in features]
            values = ", ".join(
                f"{quote(one.column)} as n{at}" for at, one in enumerate(found, start=len(own)) if one is not None
            )
            joined = f"\njoin ({common_table_expressions(queries)}\nselect _customer, {values} from {queries[-1][0]}) f using (_customer)"
        fetched = self._engine.arrays(
            f"select e.customer_no, * exclude (customer_no, customer, _customer) from ({select}) g{joined}\n"
            "join (select customer_no, customer from everyone) e on e.customer = _customer"
        )
        for at, split in enumerate(splits):
            numbers = np.full(self._customers, np.nan)
            numbers[fetched["customer_no"]] = np.ma.filled(fetched[f"n{at}"].astype(np.float64), np.nan)
            different = np.unique(numbers[~np.isnan(numbers)])
            if len(different) < 2:
                self._left_out.append(LeftOut(str(split.by), "column", Message("has one value")))
                continue
            feature = None if at < len(own) else found[at - len(own)]
            timing = feature is not None and feature.feature.timing and source.zero.until is not None
            attribute = Attribute(
                split.name, "enumerated", source.zero, codes=None, numbers=numbers, whole=split, timing=timing
            )
            yield attribute if len(different) > 2 else _in_two(attribute, low=float(different[0]))

    def _features(self, source: _Source) -> list[str]:
        """Features to cut: those listed, or all that exist and echo nothing."""
        if source.table == "_attributes":
            return []
        kind = source.known.kind
        if self._listed is not None:
            columns = {name.lower() for name in source.columns}
            return [
                name
                for name in self._listed
                if self._resolved(name) not in columns
                and find_feature(self._config, self._columns, name, kind=kind) is not None
            ]
        named = [
            (name, find_feature(self._config, self._columns, name, kind=kind))
            for name in feature_names(self._config, self._columns, kind)
        ]
        return [
            name
            for name, one in named
            if one is not None
            and (not one.feature.timing or (source.zero.until is None and name in FIRST_BASKET))
            and name.lower() not in {column.lower() for column in self._columns.histories}
        ]


def _in_two(attribute: Attribute, *, low: float) -> Attribute:
    """A number of two values, ``low`` the smaller one, as its two groups: there is no threshold to search for."""
    assert attribute.numbers is not None
    assert attribute.whole is not None
    codes = np.where(np.isnan(attribute.numbers), NOT_KNOWN, attribute.numbers > low).astype(np.int16)
    return replace(attribute, codes=codes, numbers=None, whole=attribute.whole.cut_at(low))


def _kind(data_type: str) -> str:
    if data_type == "BOOLEAN":
        return "boolean"
    if data_type.startswith(("DATE", "TIME", "INTERVAL")):
        return "time"
    number = (
        data_type.startswith(("DECIMAL", "DOUBLE", "FLOAT", "REAL"))
        or data_type.endswith("INT")
        or data_type == "INTEGER"
    )
    return "number" if number or data_type == "UINTEGER" else "text"


def _can_stand(value: str) -> bool:
    """Whether a value can be written in a condition and name a group."""
    return 0 < len(value) <= MAX_VALUE and value.isprintable()
