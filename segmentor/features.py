"""Numbers that say what a customer's purchases were like until a label is known: their names, their meanings and their SQL.

A feature reads the lines of the label and nothing later. Its SQL is portable: it gives the same numbers in DuckDB and SQLite, whatever
the order of rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.attributes import NO_DISCOUNT, line_column
from segmentor.cycles import Columns, Query, TimeZero, day_number
from segmentor.engine.duckdb import literal, quote
from segmentor.errors import ConfigError

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

HOURS = {"night": ("00", "05"), "morning": ("06", "11"), "afternoon": ("12", "17"), "evening": ("18", "23")}
"""Parts of a day with their first and last hour."""

PURCHASES = ("first_purchase", "first_purchases", "until", "lifetime")
SEVERAL = ("first_purchases", "until", "lifetime")


@dataclass(frozen=True, slots=True)
class Feature:
    """A number of a customer.

    Attributes:
        name: As a config writes it; in the table of all features with ``<column>`` and ``<value>`` for what stands there.
        meaning: One line.
        family: The word of ``splits.clustered.features`` that it belongs to.
        unit: ``share``, ``days``, ``occasions``, ``money``, ``pieces``, ``products``, ``nats`` or ``ratio``.
        known: Kinds of ``known`` for which it exists.
        timing: Whether it is made of timing or amounts, which may echo past frequency.
    """

    name: str
    meaning: str
    family: str
    unit: str
    known: tuple[str, ...] = PURCHASES
    timing: bool = False


FEATURES = (
    Feature("recency", "days from the last occasion to the date", "recency", "days", ("until",), timing=True),
    Feature("frequency", "occasions", "frequency", "occasions", SEVERAL, timing=True),
    Feature("tenure", "days from the first occasion until the label is known", "tenure", "days", SEVERAL, timing=True),
    Feature(
        "regularity",
        "standard deviation of the days between occasions over their mean; of three occasions or more",
        "regularity",
        "ratio",
        SEVERAL,
        timing=True,
    ),
    Feature("money", "amount of all lines", "money", "money", timing=True),
    Feature("order_amount", "amount an occasion", "order_amount", "money", timing=True),
    Feature(
        "basket_size", "pieces an occasion, lines where there is no quantity", "basket_size", "pieces", timing=True
    ),
    Feature("basket_products", "different products an occasion", "basket_size", "products", timing=True),
    Feature("discount_share", "share of lines bought at a discount, by the discount column", "discount", "share"),
    Feature(
        "returns_share", "share of all the customer's lines that took something back", "returns", "share", ("until",)
    ),
    Feature("weekend_share", "share of occasions on a Saturday or Sunday", "weekday", "share"),
    Feature("weekday: <value>", "share of occasions on that day, Monday to Sunday", "weekday", "share"),
    Feature(
        "hour: <value>",
        "share of orders at night (0-6), in the morning, afternoon or evening (18-24)",
        "weekday",
        "share",
    ),
    Feature("<column>: <value>", "share of lines with that value, of those of which it is known", "<column>", "share"),
    Feature("<column>_entropy", "how mixed the column's values are: 0 for a single one", "<column>", "nats"),
)
"""All features, as the documentation lists them."""

_FIXED = {feature.name: feature for feature in FEATURES if "<" not in feature.name}


def meaning_of(name: str) -> str:
    """What a feature means, in one line; the name itself where it is none."""
    if name in _FIXED:
        return _FIXED[name].meaning
    first, colon, value = name.partition(": ")
    if not colon:
        column = name.removesuffix("_entropy")
        return name if column == name else f"how mixed the values of {column} are: 0 for a single one"
    if first == "weekday" and value in WEEKDAYS:
        return f"share of occasions on a {value}"
    if first == "hour" and value in HOURS:
        return f"share of orders {'at' if value == 'night' else 'in the'} {value}"
    return f"share of lines whose {first} is {value}, of those of which it is known"


@dataclass(frozen=True, slots=True)
class Found:
    """A feature that the shop's tables have.

    Attributes:
        feature: What it is, under the name as asked for.
        column: Its column in the tables that ``feature_queries`` makes.
        value: SQL aggregate over a customer's rows.
        needs: Further tables that it reads: ``steps``, ``returns``, or ``mix`` and a column.
    """

    feature: Feature
    column: str
    value: str
    needs: tuple[str, ...] = ()


def feature_names(config: ExperimentConfig, columns: Columns, kind: str) -> tuple[str, ...]:
    """Names of the features without a column or value in them that exist for a kind of ``known``."""
    return tuple(name for name in _FIXED if find_feature(config, columns, name, kind=kind) is not None)


def find_feature(config: ExperimentConfig, columns: Columns, name: str, *, kind: str) -> Found | None:
    """The feature of that name.

    Args:
        config: The experiment.
        columns: Columns of its tables.
        name: As a config writes it; a fixed name in any case, a value exactly.
        kind: Of ``known``.

    Returns:
        ``None`` where there is none: unknown, not of that kind, or of a column that the shop lacks.
    """
    if kind not in PURCHASES:
        return None
    if (feature := _FIXED.get(name.lower())) is not None:
        found = _fixed(config, columns).get(feature.name) if kind in feature.known else None
        return None if found is None else Found(feature, _column(feature.name), *found)
    for end in _ends_of_columns(name):
        column, value = column_of_lines(columns, name[:end]), name[end + 2 :]
        if column is not None:
            text = f"cast(b.{column} as text)"
            sql = (
                f"cast(sum(case when {text} = {literal(value)} then 1 else 0 end) as double) / nullif(count({text}), 0)"
            )
            return _named(name, name[:end], "share", sql)
    first, colon, value = name.partition(": ")
    if colon:
        share = _of_time(config, first, value)
        return None if share is None else _named(name, "weekday", "share", share)
    stem = name[: -len("_entropy")] if name.lower().endswith("_entropy") else ""
    column = column_of_lines(columns, stem) if stem else None
    if column is None:
        return None
    mix = f"mix {column}"
    several, lines = (f"max({_joined(mix)}.{part})" for part in ("_several", "_lines"))
    entropy = f"ln(cast({lines} as double)) - cast({several} as double) / 1000000 / {lines}"
    sql = f"abs(round(({entropy}) * 1000000)) / 1000000"
    return _named(name, stem, "nats", sql, (mix,))


def feature_queries(
    config: ExperimentConfig,
    columns: Columns,
    zero: TimeZero,
    names: Sequence[str],
    *,
    kind: str | None = None,
    lines: str | None = None,
    table: str | None = None,
) -> Iterator[Query]:
    """The tables that end in ``_features_<suffix>``: a row a customer of ``_window_<suffix>``.

    It has ``_customer``, ``_known_since``, and of each feature its column (``Found.column``), NULL where it is not known.

    Args:
        config: The experiment.
        columns: Columns of its tables.
        zero: When the features are known.
        names: Names of features.
        kind: Of ``known``, where ``zero`` does not tell.
        lines: Another table of the columns of ``_window_<suffix>``.
        table: Another name for the last table.

    Raises:
        ConfigError: One of the names is no feature.
    """
    kind = kind or (
        "until" if zero.until is not None else "first_purchases" if zero.purchases > 1 else "first_purchase"
    )
    lines, table = lines or f"_window_{zero.suffix}", table or f"_features_{zero.suffix}"
    found = {name: find_feature(config, columns, name, kind=kind) for name in names}
    if missing := [name for name, one in found.items() if one is None]:
        raise ConfigError([f"there is no feature {missing[0]!r}"])
    asked = {one.column: one for one in found.values() if one is not None}
    visit = "l._day"
    if config.cycle.merge_within_days > 1:
        visit = "(select max(o._start) from _occasions o where o._customer = l._customer and o._start <= l._day)"
    yield f"{table}_lines", f"select l.*, {visit} as _visit\n  from {lines} l"
    joins = ""
    for need in dict.fromkeys(need for one in asked.values() for need in one.needs):
        alias = _joined(need)
        name = f"{table}_{alias}"
        yield from _further(config, zero, need, lines=f"{table}_lines", name=name)
        joins += f"\n  left join {name} {alias} on {alias}._customer = b._customer"
    values = "".join(f",\n    {one.value} as {quote(one.column)}" for one in asked.values())
    yield (
        table,
        (
            f"select b._customer, max(b._known_since) as _known_since{values}\n"
            f"  from {table}_lines b{joins}\n  group by b._customer"
        ),
    )


def _further(config: ExperimentConfig, zero: TimeZero, need: str, *, lines: str, name: str) -> Iterator[Query]:
    """What features read beside the lines themselves, a row a customer."""
    if need == "steps":
        yield f"{name}_visits", f"select distinct _customer, _visit from {lines}"
        yield (
            f"{name}_days",
            (
                "select _customer, _visit - lag(_visit) over (partition by _customer order by _visit) as _step\n"
                f"  from {name}_visits"
            ),
        )
        yield (
            name,
            (
                "select _customer, count(*) as _steps, sum(_step) as _sum, sum(_step * _step) as _squares\n"
                f"  from {name}_days where _step is not null group by _customer"
            ),
        )
    elif need == "returns":
        since = "" if config.cycle.observed_from is None else f" and _day >= {day_number(config.cycle.observed_from)}"
        yield (
            name,
            (
                "select _customer, sum(case when _return then 1 else 0 end) as _returned, count(*) as _lines\n"
                f"  from _sold where _day < {zero.until}{since} group by _customer"
            ),
        )
    else:
        value = f"cast({need.removeprefix('mix ')} as text)"
        yield (
            f"{name}_values",
            f"select _customer, count(*) as _count from {lines} where {value} is not null group by _customer, {value}",
        )
        yield (
            name,
            (
                "select _customer, sum(_count) as _lines,\n"
                "    sum(cast(round(_count * ln(cast(_count as double)) * 1000000) as bigint)) as _several\n"
                f"  from {name}_values group by _customer"
            ),
        )


VISITS = "count(distinct b._visit)"


def _fixed(config: ExperimentConfig, columns: Columns) -> dict[str, tuple[str, tuple[str, ...]]]:
    """SQL of the features without a column in their names that the shop has, with what they need."""
    roles = config.data.transactions.columns
    steps, days, squares = (f"max(steps.{part})" for part in ("_steps", "_sum", "_squares"))
    spread = f"cast({steps} * ({steps} * {squares} - {days} * {days}) as double) / ({steps} - 1)"
    pieces = "cast(count(*) as double)"
    if "quantity" in roles:
        pieces = _summed(f"coalesce(b.{quote(roles['quantity'])}, 1)")
    found: dict[str, tuple[str, tuple[str, ...]]] = {
        "recency": ("max(b._known_since) - max(b._visit)", ()),
        "frequency": (VISITS, ()),
        "tenure": ("max(b._known_since) - min(b._visit)", ()),
        "regularity": (f"case when {steps} >= 2 then sqrt({spread}) / {days} end", ("steps",)),
        "basket_size": (f"{pieces} / {VISITS}", ()),
        "weekend_share": (_share_of_visits("in (0, 6)"), ()),
    }
    if amount := column_of_lines(columns, roles.get("amount", "amount")):
        found["money"] = (_summed(f"b.{amount}"), ())
        found["order_amount"] = (f"({_summed(f'b.{amount}')} / {VISITS})", ())
    if "product" in roles:
        product = "case when b._product <> '' then cast(b._visit as text) || ' ' || b._product end"
        found["basket_products"] = (f"cast(nullif(count(distinct {product}), 0) as double) / {VISITS}", ())
    if condition := discounted(config, columns, "b."):
        found["discount_share"] = (f"cast(sum(case when {condition} then 1 else 0 end) as double) / count(*)", ())
    if roles.keys() & {"quantity", "amount"}:
        found["returns_share"] = ("cast(max(returns._returned) as double) / max(returns._lines)", ("returns",))
    return found


def discounted(config: ExperimentConfig, columns: Columns, alias: str = "") -> str | None:
    """Portable SQL, true for a line of which the discount column says that something was taken off; ``None`` where there is none."""
    column = line_column(config, columns, "discount")
    if column is None:
        return None
    text = f"cast({alias}{quote(column)} as text)"
    words = ", ".join(literal(word) for word in ("", *NO_DISCOUNT))
    digits = " or ".join(f"{text} like '%{digit}%'" for digit in range(1, 10))
    return f"(lower(trim({text})) not in ({words}) and ({digits} or trim({text}, '0123456789.,+-% ') <> ''))"


def _of_time(config: ExperimentConfig, first: str, value: str) -> str | None:
    """SQL of a share of occasions by weekday or of orders by hour."""
    if first.lower() == "weekday" and value in WEEKDAYS:
        return _share_of_visits(f"= {WEEKDAYS.index(value)}")
    if first.lower() == "hour" and value in HOURS:
        hour = hour_of(config, "b.")
        low, high = HOURS[value]
        within = f"count(distinct case when {hour} between '{low}' and '{high}' then b._order end)"
        return f"cast({within} as double) / nullif(count(distinct case when {hour} <> '' then b._order end), 0)"
    return None


def hour_of(config: ExperimentConfig, alias: str = "") -> str:
    """Portable SQL of the hour of a line, two digits; empty text where there is a day alone."""
    return f"substr(cast({alias}{quote(config.data.transactions.columns['time'])} as text), 12, 2)"


def weekday_of(day: str) -> str:
    """Portable SQL of the place of a day number's weekday in ``WEEKDAYS``."""
    return f"(({day} % 7 + 11) % 7)"


def _share_of_visits(condition: str) -> str:
    within = f"count(distinct case when {weekday_of('b._visit')} {condition} then b._visit end)"
    return f"cast({within} as double) / {VISITS}"


def _summed(value: str) -> str:
    """SQL of a sum that does not depend on the order of rows."""
    return f"cast(sum(cast(round(cast({value} as double) * 1000000) as bigint)) as double) / 1000000"


def _named(name: str, family: str, unit: str, value: str, needs: tuple[str, ...] = ()) -> Found:
    return Found(Feature(name, meaning_of(name), family.lower(), unit), _column(name), value, needs)


def _joined(need: str) -> str:
    """Alias of a further table."""
    return need if need in ("steps", "returns") else f"mix_{_hash(need)}"


def _ends_of_columns(name: str) -> list[int]:
    """Where a column's name may end before a value, the longest first."""
    return [found.start() for found in re.finditer(": ", name)][::-1]


def column_of_lines(columns: Columns, name: str | None) -> str | None:
    """The quoted column of lines that a name or a role stands for; ``None`` where there is none, or one in two tables."""
    if not name:
        return None
    roles = {**columns.roles.get("products", {}), **columns.roles["transactions"]}
    meant = roles.get(name.lower(), name).lower()
    found = [
        column for table in (columns.transactions, columns.products) for column in table if column.lower() == meant
    ]
    return quote(found[0]) if len(found) == 1 else None


def _column(name: str) -> str:
    """A column for a feature that no other has: databases do not tell ``A`` from ``a``."""
    return name if re.fullmatch(r"[a-z0-9_: ]+", name) else f"{name} #{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
