"""Canonical tables -> purchases, occasions and the gaps between them, in SQL that reads top to bottom.

The same text builds the tables of a run and, over the raw tables, the statement that replays a segment anywhere.
Columns that we add to the shop's own begin with an underscore.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.config.values import nearest
from segmentor.engine.conditions import columns_of, parse_condition, rewritten
from segmentor.engine.duckdb import quote
from segmentor.errors import ConfigError, DataError, ExpressionError
from segmentor.result import EVERYBODY, CycleSummary

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.config.values import Known
    from segmentor.engine.duckdb import Engine

OTHER_SEEDS = 5
"""How many other seeds of the halves a verdict is looked at under."""

WEIGHT_UNIT = 5_354_228_880 * 64
"""A customer's weight of 1 in fixed point: a multiple of 1..24, so that 1/m is exact up to 24 gaps."""


@dataclass(frozen=True, slots=True)
class TimeZero:
    """When a label is known and gaps begin to count: a customer's n-th purchase, or one day for all.

    Attributes:
        purchases: Number of the purchase.
        until: Day number of the date before which the label's lines lie; ``None`` where purchases are counted.
    """

    purchases: int = 1
    until: int | None = None

    @classmethod
    def of(cls, known: Known) -> TimeZero:
        """When a label is known that the config declares so; of one known at entry or never validated, the first purchase."""
        return cls(purchases=known.purchases or 1, until=None if known.date is None else day_number(known.date))

    @property
    def suffix(self) -> str:
        """Of the names of its tables."""
        return str(self.purchases) if self.until is None else f"until_{self.until}".replace("-", "before_")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a condition may name, by table, with the roles that stand for them.

    Attributes:
        transactions: Columns of transactions, derived ones last.
        products: Columns of products, without its key, derived ones last.
        customers: Columns of customers, derived ones last.
        roles: By table, role in lower case to the column that it stands for, where no column has that name itself.
    """

    transactions: tuple[str, ...]
    products: tuple[str, ...]
    customers: tuple[str, ...]
    roles: Mapping[str, Mapping[str, str]]

    @property
    def lines(self) -> tuple[str, ...]:
        """Columns of a line joined with its product; where both tables have a name, the line's."""
        own = {name.lower() for name in self.transactions}
        return (*self.transactions, *(name for name in self.products if name.lower() not in own))

    def line_condition(self, text: str, *, key: str, hints: Sequence[str] = ()) -> str:
        """SQL of a condition on lines.

        Raises:
            ConfigError: It cannot be read, or names a column that lines do not have or that two tables have.
        """
        names = {**self.roles.get("products", {}), **self.roles["transactions"]}
        both = _in_several({"transactions": self.transactions, "products": self.products})
        return checked_condition(text, self.lines, names, key=key, ambiguous=both, hints=hints)

    @property
    def histories(self) -> tuple[str, ...]:
        """Columns of a line joined with its product and its customer; where two have a name, the line's."""
        own = {name.lower() for name in self.lines}
        return (*self.lines, *(name for name in self.customers if name.lower() not in own))

    def history_condition(self, text: str, *, key: str, hints: Sequence[str] = ()) -> str:
        """SQL of a condition on lines that may name columns of the customers' table too.

        Raises:
            ConfigError: It cannot be read, or names a column that there is not, or that two tables have.
        """
        names = {**self.roles.get("customers", {}), **self.roles.get("products", {}), **self.roles["transactions"]}
        tables = {"transactions": self.transactions, "products": self.products, "customers": self.customers}
        keys = {column.lower() for role, column in self.roles.get("customers", {}).items() if role == "customer"}
        several = {name: homes for name, homes in _in_several(tables).items() if name not in keys}
        return checked_condition(text, self.histories, names, key=key, ambiguous=several, hints=hints)

    def customer_condition(self, text: str, *, key: str, hints: Sequence[str] = ()) -> str:
        """SQL of a condition on customers: columns of the customers' table, then those of transactions."""
        names = {**self.roles["transactions"], **self.roles.get("customers", {})}
        return checked_condition(text, (*self.customers, *self.transactions), names, key=key, hints=hints)


def checked_condition(
    text: str,
    columns: Sequence[str],
    names: Mapping[str, str],
    *,
    key: str,
    ambiguous: Mapping[str, str] | None = None,
    hints: Sequence[str] = (),
) -> str:
    """SQL of a config's expression over known columns.

    Args:
        text: The expression.
        columns: What it may name.
        names: Role in lower case to the column that it stands for.
        key: Of the config, for messages.
        ambiguous: Columns in lower case that stand in several tables, with these.
        hints: What else a wrong name may have meant.

    Raises:
        ConfigError: It cannot be read, or names a column that there is not, or one that stands in two tables.
    """
    known = {name.lower() for name in columns}
    try:
        parse_condition(text)
    except ValueError as error:
        raise ConfigError([f"{key}: {error}"]) from None
    for name in columns_of(text):
        target = names.get(name, names.get(name.lower(), name)).lower()
        if target not in known:
            guess = nearest(name, (*columns, *hints))
            mend = f"; did you mean {guess}?" if guess else ""
            raise ConfigError([f"{key}: there is no column {name!r}; there are {', '.join(columns)}{mend}"])
        if ambiguous and target in ambiguous:
            raise ConfigError([f"{key}: {name!r} is a column of {ambiguous[target]}; derive one under another name"])
    return rewritten(text, names)


def _in_several(tables: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Columns, in lower case, that stand in more than one of the tables, with these in words."""
    homes: dict[str, list[str]] = {}
    for table, columns in tables.items():
        for column in columns:
            homes.setdefault(column.lower(), []).append(table)
    return {column: " and of ".join(several) for column, several in homes.items() if len(several) > 1}


def table_columns(engine: Engine, config: ExperimentConfig) -> Columns:
    """The columns of the loaded tables and of the config's ``derive``."""
    data = config.data
    tables = {"transactions": data.transactions, "products": data.products, "customers": data.customers}
    columns: dict[str, tuple[str, ...]] = dict.fromkeys(tables, ())
    roles: dict[str, dict[str, str]] = {}
    for name, table in tables.items():
        if table is None:
            continue
        raw = engine.columns(name)
        if clashes := sorted(RESERVED & {column.lower() for column in (*raw, *table.derive)}):
            raise DataError(
                f"data.{name}: the column {clashes[0]!r} has a name that we give to columns of our own; rename it"
            )
        columns[name] = (*raw, *table.derive)
        taken = {column.lower() for column in columns[name]}
        roles[name] = {role.lower(): column for role, column in table.columns.items() if role.lower() not in taken}
    if data.products is not None:
        key = data.products.columns["product"].lower()
        columns["products"] = tuple(column for column in columns["products"] if column.lower() != key)
    return Columns(columns["transactions"], columns["products"], columns["customers"], roles)


Query = tuple[str, str]
"""Name of a table and the SELECT that makes it."""


def line_queries(config: ExperimentConfig, columns: Columns, *, raw: bool) -> Iterator[Query]:
    """Transactions and products -> ``_lines``: a row a line, with its product's columns and what we add.

    Adds ``_customer``, ``_order``, ``_product`` (text), ``_day`` (days since 1970-01-01), ``_units`` (signed, for netting),
    ``_return`` (a line that takes something back) and ``_bought`` (a line that is a purchase by itself). ``_sold`` is the same
    without the products. Times are in the shop's zone.

    Args:
        config: The experiment.
        columns: Columns of the tables.
        raw: Read the shop's own tables, as text where need be, in SQL that SQLite runs too; else our canonical ones.
    """
    transactions, products = config.data.transactions, config.data.products
    time = f"t.{quote(transactions.columns['time'])}"
    derived = _derived(config, columns, "transactions")
    if raw:
        where, source = _raw_where(config, columns, "transactions"), "transactions"
        if transactions.fill_from_order is not None:
            yield "_filled", _filled(config, columns, transactions.fill_from_order)
            source = "_filled"
        yield (
            "_read",
            f"select t.*{derived}, substr(cast({time} as text), 1, 10) as _date\n  from {source} t{where}",
        )
        yield (
            "_split",
            (
                "select r.*, cast(substr(_date, 1, 4) as integer) - case when cast(substr(_date, 6, 2) as integer) < 3 then 1 else 0 end as _year,\n"
                "    (cast(substr(_date, 6, 2) as integer) + 9) % 12 as _month, cast(substr(_date, 9, 2) as integer) as _monthday\n"
                "  from _read r"
            ),
        )
        yield "_dated", f"select s.*, {DAY_NUMBER} as _day\n  from _split s"
    else:
        yield "_dated", f"select t.*{derived}, cast({time} as date) - date '1970-01-01' as _day\n  from transactions t"

    customer, order, product = (_role_text(transactions.columns, role) for role in ("customer", "order", "product"))
    units, bought = _units(transactions.columns)
    own = ", ".join(f"t.{quote(name)}" for name in columns.transactions)
    yield (
        "_sold",
        (
            f"select {customer} as _customer, coalesce({order}, 'day ' || cast(t._day as text)) as _order, coalesce({product}, '') as _product,\n"
            f"    t._day, {units} as _units, {units} < 0 as _return, {bought} as _bought, {own}\n"
            f"  from _dated t\n  where {customer} <> '' and t._day is not null"
        ),
    )
    if products is None:
        yield "_lines", "select * from _sold"
        return
    taken = {name.lower() for name in columns.transactions}
    joined = "".join(f", p.{quote(name)}" for name in columns.products if name.lower() not in taken)
    yield (
        "_products",
        (
            f"select distinct {_role_text(products.columns, 'product', 'p')} as _key, p.*{_derived(config, columns, 'products')}\n  from products p{_raw_where(config, columns, 'products') if raw else ''}"
        ),
    )
    yield "_lines", f"select s.*{joined}\n  from _sold s\n  left join _products p on p._key = s._product"


def purchase_queries(config: ExperimentConfig, columns: Columns) -> Iterator[Query]:
    """``_lines`` -> ``_baskets`` (what was bought and kept), ``_purchases`` (what counts), ``_occasions``.

    An order that takes back as much of a product as it bought is no purchase of it; a day of returns only is none at all.
    ``_baskets``: a row a line bought, with ``_counts`` (the config's ``cycle.purchase`` holds). ``_occasions``: a row an
    occasion, key (``_customer``, ``_number`` from 1), with ``_start``, the day of its first purchase.
    """
    cycle = config.cycle
    counts = "true" if cycle.purchase is None else columns.line_condition(cycle.purchase, key="cycle.purchase")
    since = "" if cycle.observed_from is None else f" and _day >= {day_number(cycle.observed_from)}"
    yield (
        "_taken_back",
        (
            "select _customer, _order, _product\n  from _sold\n  group by _customer, _order, _product\n"
            "  having sum(case when _return then 1 else 0 end) > 0 and sum(_units) <= 0"
        ),
    )
    yield (
        "_baskets",
        (
            f"select l.*, coalesce({counts}, false) as _counts\n  from _lines l\n"
            "  where _bought and not exists (\n"
            "    select 1 from _taken_back b where b._customer = l._customer and b._order = l._order and b._product = l._product)"
        ),
    )
    yield "_purchases", f"select *\n  from _baskets\n  where _counts{since}"
    yield "_days", "select distinct _customer, _day\n  from _purchases"
    start = "_days"
    if cycle.merge_within_days > 1:
        start = "_starts"
        yield (
            "_next_starts",
            (
                "select _customer, _day, min(_day) over (\n"
                f"    partition by _customer order by _day range between {cycle.merge_within_days} following and unbounded following) as _next\n"
                "  from _days"
            ),
        )
        yield (
            "_starts",
            (
                "select _customer, min(_day) as _day from _days group by _customer\n  union all\n"
                "  select n._customer, n._next from _starts s join _next_starts n on n._customer = s._customer and n._day = s._day\n"
                "  where n._next is not null"
            ),
        )
    yield (
        "_occasions",
        f"select _customer, row_number() over (partition by _customer order by _day) as _number, _day as _start\n  from {start}",
    )


def window_queries(config: ExperimentConfig, columns: Columns, zero: TimeZero, named: Sequence[str]) -> Iterator[Query]:
    """``_window_<suffix>``: the purchase lines of each customer's first n occasions, of customers who have n, or those before a date.

    Adds ``_known_since``, the day on which the n-th occasion began, or the date; before a date also those ``named`` of the
    columns of the customers' table that lines do not have.
    """
    name = f"_window_{zero.suffix}"
    if zero.until is None:
        yield name, lines_of_occasions(config, 1, zero.purchases)
        return
    more, join = "", ""
    own = {column.lower() for column in columns.lines}
    if config.data.customers is not None and (added := [column for column in named if column.lower() not in own]):
        more = "".join(f", c.{quote(column)}" for column in added)
        key = f"cast(c.{quote(config.data.customers.columns['customer'])} as text)"
        join = f"\n  left join _customers c on {key} = p._customer"
    yield (
        name,
        f"select p.*{more}, {zero.until} as _known_since\n  from _purchases p{join}\n  where p._day < {zero.until}",
    )


def lines_of_occasions(config: ExperimentConfig, first: int, last: int) -> str:
    """SELECT of the purchase lines of each customer's occasions first to last, of customers who have so many.

    Adds ``_known_since``, the day on which the last of them began.
    """
    reach = config.cycle.merge_within_days - 1
    begun, since = "", ""
    if first > 1:
        begun = f"  join _occasions b on b._customer = p._customer and b._number = {first}\n"
        since = "p._day >= b._start and "
    return (
        "select p.*, k._start as _known_since\n  from _purchases p\n"
        f"{begun}  join _occasions k on k._customer = p._customer and k._number = {last}\n"
        f"  where {since}p._day <= k._start + {reach}"
    )


def customer_queries(config: ExperimentConfig, columns: Columns, *, raw: bool) -> Iterator[Query]:
    """``_customers``: the customers' table with its derived columns, where there is one."""
    if config.data.customers is not None:
        where = _raw_where(config, columns, "customers") if raw else ""
        yield "_customers", f"select c.*{_derived(config, columns, 'customers')}\n  from customers c{where}"


def build_cycles(
    engine: Engine, config: ExperimentConfig, *, progress: Callable[[str], None]
) -> tuple[Columns, CycleSummary]:
    """Makes the tables of purchases, occasions and customers from the canonical ones.

    ``everyone``: a row a customer with a line, key ``customer_no`` (from 0, in the order of ids), with ``customer`` and the
    halves ``half_0`` (the config's seed) to ``half_5``, 0 discovery and 1 confirmation. ``_basket_lines`` and ``_halves`` give
    cross-sell the lines bought, whatever ``cycle.purchase``, and the config's halves, by ``_customer_no``.

    Raises:
        ConfigError: A condition cannot be read or names an unknown column.
        DataError: No line counts as a purchase.
    """
    columns = table_columns(engine, config)
    progress("purchases and occasions")
    for name, select in (*line_queries(config, columns, raw=False), *purchase_queries(config, columns)):
        kind = "view" if name in READ_ONCE else "table"
        text = f"with recursive {name} as ({select}) from {name}" if name == "_starts" else select
        with told_of(config, EXPRESSIONS.get(name, "cycle.purchase")):
            engine.execute(f"create {kind} {name} as {text}")
    if not engine.scalar("select count(*) from _occasions"):
        raise DataError(
            f"{config.source}: cycle.purchase: no line counts as a purchase ({config.cycle.purchase!r}), or every one was returned; "
            "correct the condition, or leave it out"
        )
    halves = ", ".join(f"{_half(config, seed)} as half_{number}" for number, seed in enumerate(seeds(config)))
    engine.execute(
        "create table everyone as select cast(row_number() over (order by _customer) - 1 as integer) as customer_no, "
        f"_customer as customer, {halves} from (select distinct _customer from _sold)"
    )
    engine.execute(
        "create view _basket_lines as select e.customer_no as _customer_no, b._day as _day_no, b.* "
        "from _baskets b join everyone e on e.customer = b._customer"
    )
    engine.execute("create view _halves as select customer_no as _customer_no, half_0 as half from everyone")
    return columns, _summary(engine, config)


def build_population(engine: Engine, config: ExperimentConfig, zero: TimeZero, *, observed_until: int) -> None:
    """Makes ``gaps_<suffix>``, ``members_<suffix>`` and ``reached_<suffix>``: the gaps that count once a label is known.

    ``gaps_``: a row a gap, ``customer_no``, ``begins`` (day number), ``duration`` (days, 1 or more), ``entry_age`` (age at which it
    enters the risk set: 0, or that of the gap that spans the date) and ``event_observed``. ``members_``: a row a customer with a
    gap, ``customer_no``, ``cohort`` (code of the month or quarter of time zero), ``follow_up`` (days observed after it), ``cycles``
    (gaps that ended in a return) and ``weight``, what each of the gaps it keeps weighs under Wang-Chang (fixed point,
    ``WEIGHT_UNIT`` is 1). ``reached_``: a row a customer of whom the label may be known, ``customer_no``: one who made the purchases
    of the time zero, or bought before its date, and was observed from there on or not.

    For a date also ``waits_``: the days from the date to the next occasion, a row a member (0 for an occasion on that day), and
    ``begun_`` with ``begun_members_``: the gaps that begin on the date or later, with cycles and weights of their own.
    """
    suffix, since = zero.suffix, zero.until
    first = f"_number >= {zero.purchases}" if since is None else "true"
    # A gap that spans the date is at risk from there on; one that ends on it never is.
    begins = "f._start" if since is None else f"greatest(f._start, {since})"
    engine.execute(
        f"create table gaps_{suffix} as with following as (\n"
        "  select _customer, _start, lead(_start) over (partition by _customer order by _number) as _next,\n"
        f"    min(_start) over (partition by _customer) as _first from _occasions where {first})\n"
        "select e.customer_no, cast(f._start as integer) as begins, cast(coalesce(f._next, $1) - f._start as integer) as duration,\n"
        f"  cast({begins} - f._start as integer) as entry_age, f._next is not null as event_observed\n"
        "from following f join everyone e on e.customer = f._customer\n"
        f"where coalesce(f._next, $1) > {begins}{'' if since is None else f' and f._first < {since}'}",
        [observed_until],
    )
    start = "o._start" if since is None else str(since)
    number = zero.purchases if since is None else 1
    engine.execute(
        f"create table members_{suffix} as with counted as ({_counted(f'gaps_{suffix}')})\n"
        f"select c.*, {_cohort(config, start)} as cohort, cast($1 - {start} as integer) as follow_up\n"
        "from counted c join everyone e using (customer_no)\n"
        f"join _occasions o on o._customer = e.customer and o._number = {number}",
        [observed_until],
    )
    reached = f"_number = {zero.purchases}" if since is None else f"_number = 1 and _start < {since}"
    engine.execute(
        f"create table reached_{suffix} as\n"
        f"select e.customer_no from _occasions o join everyone e on e.customer = o._customer where {reached}"
    )
    if since is None:
        return
    engine.execute(
        f"create table waits_{suffix} as\n"
        f"select m.customer_no, cast(coalesce(min(o._start), $1) - {since} as integer) as duration, min(o._start) is not null as event_observed\n"
        f"from members_{suffix} m join everyone e using (customer_no)\n"
        f"left join _occasions o on o._customer = e.customer and o._start >= {since}\n"
        "group by m.customer_no",
        [observed_until],
    )
    engine.execute(
        f"create table begun_{suffix} as\n"
        f"select customer_no, begins, duration, event_observed from gaps_{suffix} where entry_age = 0"
    )
    engine.execute(f"create table begun_members_{suffix} as {_counted(f'begun_{suffix}')}")


def cohort_name(config: ExperimentConfig, code: int) -> str:
    """The month (``2024-03``) or quarter (``2024-Q1``) of a cohort's code; ``all`` without cohorts."""
    months = MONTHS_OF_COHORT[config.cycle.advanced.cohort]
    return period_name(code, months) if months else EVERYBODY


def period_name(number: int, months: int) -> str:
    """The month (``2024-03``), quarter (``2024-Q1``) or year of a number of periods of so many months since the year 0."""
    year, place = divmod(number, 12 // months)
    return {1: f"{year}-{place + 1:02d}", 3: f"{year}-Q{place + 1}", 12: str(year)}[months]


@contextmanager
def told_of(config: ExperimentConfig, key: str) -> Iterator[None]:
    """Names the config's key in the error of an expression that cannot be computed."""
    try:
        yield
    except ExpressionError as error:
        raise ExpressionError(f"{config.source}: {key}: {error}") from None


def seeds(config: ExperimentConfig) -> tuple[int, ...]:
    """The config's seed of the halves, then the others under which verdicts are looked at."""
    others = [seed for seed in range(1, OTHER_SEEDS + 2) if seed != config.seed]
    return (config.seed, *others[:OTHER_SEEDS])


def day_number(day: datetime.date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - 719_163


def common_table_expressions(queries: Sequence[Query]) -> str:
    """The queries as one ``WITH`` clause."""
    recursive = "recursive " if any(name == "_starts" for name, _ in queries) else ""
    return f"with {recursive}" + ",\n".join(f"{name} as (\n  {select}\n)" for name, select in queries)


RESERVED = {
    *("_customer", "_order", "_product", "_day", "_units", "_return", "_bought", "_counts", "_known_since", "_key"),
    *("_date", "_year", "_month", "_monthday", "_customer_no", "_day_no", "_visit"),
}
"""Columns that our queries add to the shop's."""

MONTHS_OF_COHORT = {"month": 1, "quarter": 3, "none": 0}
"""Months of time zero that are one cohort, by ``cycle.advanced.cohort``; 0 where all customers are one."""

EXPRESSIONS = {"_dated": "data.transactions.derive", "_products": "data.products.derive"}
"""Queries that compute other expressions of the config than ``cycle.purchase``."""

READ_ONCE = {"_dated", "_sold", "_lines", "_baskets"}
"""Queries that a run keeps as views: their rows are read a few times, and would be many."""

DAY_NUMBER = (
    "cast("
    "365 * _year + (_year - _year % 4) / 4 - (_year - _year % 100) / 100 + (_year - _year % 400) / 400\n"
    "    + (153 * _month + 2 - (153 * _month + 2) % 5) / 5 + _monthday - 719469 as integer)"
)
"""Days since 1970-01-01 from a year that begins in March, its month from 0 and the day of the month; for any SQL."""


def _units(roles: Mapping[str, str]) -> tuple[str, str]:
    """What a line adds to its order, negative for a return, and whether it is a purchase by itself.

    Units are the quantity, with the sign of the amount where that is negative; without a quantity, the amount in ten-thousandths,
    so that sums are exact. A free sample is a purchase; a line of nothing for nothing is none.
    """
    amount = f"cast(t.{quote(roles['amount'])} as double)" if "amount" in roles else None
    quantity = f"cast(t.{quote(roles['quantity'])} as double)" if "quantity" in roles else None
    if quantity is None and amount is None:
        return "1", "true"
    if quantity is None:
        return f"coalesce(round({amount} * 10000), 1)", f"coalesce({amount}, 1) >= 0"
    if amount is None:
        return f"coalesce({quantity}, 1)", f"coalesce({quantity}, 1) > 0"
    signed = f"case when {amount} < 0 then -abs(coalesce({quantity}, 1)) else coalesce({quantity}, 1) end"
    return f"({signed})", f"(({signed}) > 0 or (({signed}) = 0 and {amount} > 0))"


def _derived(config: ExperimentConfig, columns: Columns, table: str) -> str:
    declared = getattr(config.data, table)
    known = [name for name in getattr(columns, table) if name not in declared.derive]
    if table == "products":
        known.append(declared.columns["product"])
    return "".join(
        f", {checked_condition(text, known, columns.roles[table], key=f'data.{table}.derive.{name}')} as {quote(name)}"
        for name, text in declared.derive.items()
    )


def _filled(config: ExperimentConfig, columns: Columns, names: Sequence[str]) -> str:
    """The shop's own transactions as intake fills them in: an empty field takes the only value that its order has."""
    transactions = config.data.transactions
    order = f"cast(t.{quote(transactions.columns['order'])} as text)"

    def field(name: str) -> str:
        if name not in names:
            return f"t.{quote(name)}"
        value = f"case when cast(t.{quote(name)} as text) <> '' then t.{quote(name)} end"
        first, last = (f"{pick}({value}) over (partition by {order})" for pick in ("min", "max"))
        return f"coalesce({value}, case when {order} <> '' and {first} = {last} then {first} end) as {quote(name)}"

    own = [name for name in columns.transactions if name not in transactions.derive]
    return f"select {', '.join(map(field, own))}\n  from transactions t"


def _raw_where(config: ExperimentConfig, columns: Columns, table: str) -> str:
    """What intake leaves out of a table, for the statement that reads the shop's own."""
    declared = getattr(config.data, table)
    if declared.where is None:
        return ""
    known = [name for name in getattr(columns, table) if name not in declared.derive]
    known += [*declared.columns.values()] if table == "products" else []
    return f"\n  where {checked_condition(declared.where, known, columns.roles[table], key=f'data.{table}.where')}"


def _role_text(roles: Mapping[str, str], role: str, alias: str = "t") -> str:
    return f"cast({alias}.{quote(roles[role])} as text)" if role in roles else "null"


def _half(config: ExperimentConfig, seed: int) -> str:
    threshold = min(int(config.trial.confirm_share * 2**128), 2**128 - 1)
    return f"case when md5('{seed}:' || _customer) < '{threshold:032x}' then 1 else 0 end"


def _counted(gaps: str) -> str:
    """SQL of the customers of a table of gaps, with their cycles and what a gap weighs."""
    return (
        f"select customer_no, count(*) filter (event_observed) as cycles,\n"
        f"  {WEIGHT_UNIT} // greatest(count(*) filter (event_observed), 1) as weight\n"
        f"from {gaps} group by customer_no"
    )


def _cohort(config: ExperimentConfig, start: str) -> str:
    months = MONTHS_OF_COHORT[config.cycle.advanced.cohort]
    day = f"date '1970-01-01' + cast({start} as integer)"
    return f"cast((year({day}) * 12 + month({day}) - 1) // {months} as integer)" if months else "0"


def _summary(engine: Engine, config: ExperimentConfig) -> CycleSummary:
    first, last = engine.rows("select min(_day), max(_day) from _sold")[0]
    declared_from, declared_until = config.cycle.observed_from, config.cycle.observed_until
    since = declared_from or datetime.date.fromordinal(first + 719_163)
    until = declared_until or datetime.date.fromordinal(last + 719_163)
    occasions, customers = engine.rows("select count(*), count(distinct _customer) from _occasions")[0]
    once = engine.scalar("select count(*) from (select _customer from _occasions group by 1 having count(*) = 1)")
    returns = engine.scalar("select count(*) from _sold where _return")
    return CycleSummary(
        customers=customers,
        occasions=occasions,
        cycles=occasions - customers,
        censored=customers,
        returns=returns,
        observed_from=since.isoformat(),
        observed_until=until.isoformat(),
        customers_once=once,
    )
