"""Decided roles -> what else the config needs: fields to fill in, lines to leave out, splits to try, items of cross-sell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segmentor.attributes import HEADINGS
from segmentor.config.values import RESERVED_GROUPS
from segmentor.engine.duckdb import literal, quote
from segmentor.starting.columns import Column
from segmentor.starting.conditions import Condition, conditions, of_orders, status_columns
from segmentor.starting.goods import SURE
from segmentor.starting.grouped import Lines
from segmentor.starting.headings import normal
from segmentor.starting.partners import Partner
from segmentor.starting.reading import Looked
from segmentor.wording import Message, marked

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

MIN_GROUP = 100
"""Customers of a group about which a run claims anything by default."""

MOST_DECLARED = 3
MOST_GROUPS = 6
"""Groups of a declared split."""

MOST_VALUES = 50
"""Values of a column that is tried."""

MOST_LENGTH = 40
"""Mean length of values that are names and no texts."""

_DECLARED = ("category", "brand", "size", "gender", "channel", "region", "price tier", "title", "product")
"""Kinds of which a split is declared, the best first."""

_TRIED = frozenset((*_DECLARED, "payment", "shipping", "age", ""))
"""Kinds that a search may go through; of people, later states and money it never does."""

_OF_PERSONS = frozenset(("person", "email", "phone", "customer", "name"))
_LATER = frozenset(("late", "late time", "cancelled time", "moving", "status"))
_MONEY = frozenset(
    ("line amount", "order amount", "other amount", "price", "discount", "quantity", "currency", "coupon")
)

_AT_ENTRY = frozenset(("gender", "region", "channel", "age"))
"""Kinds of columns of the customers' table that are fixed before the first purchase, more likely than not."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A split that the config declares.

    Attributes:
        name: Its name.
        known: When it is known.
        by: Column whose values are the groups; ``None`` where ``groups`` says them.
        groups: Names and conditions.
        reason: Why it.
    """

    name: str
    known: str
    by: str | None
    groups: tuple[tuple[str, str], ...]
    reason: Message


@dataclass(slots=True)
class Proposal:
    """What the config holds beyond roles.

    Attributes:
        fill: Columns that the order's other lines fill in.
        conditions: On lines.
        declared: Splits.
        tried: Columns and features that the search goes through.
        not_tried: Columns that it leaves out, by reason, in which ``{least}`` stands for ``MIN_GROUP``.
        items: Level of cross-sell; ``None`` where nothing names products.
        moving: Columns of the customers' table that are left to the user.
    """

    fill: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    declared: list[Proposed] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    not_tried: dict[str, list[str]] = field(default_factory=dict)
    items: str | None = None
    moving: list[str] = field(default_factory=list)


def propose(
    engine: Engine, lines: Lines, through: Looked, *, products: Partner | None, customers: Partner | None
) -> Proposal:
    """What the config needs beyond roles.

    Args:
        engine: Holds the tables.
        lines: The lines with their roles.
        through: Customer, order, time and statuses of more lines.
        products: The products' table.
        customers: The customers' table.
    """
    first_lines = of_orders(engine, lines)
    proposal = Proposal(conditions=conditions(engine, lines, through, first_lines))
    later = {one.name for one in status_columns(engine, lines)}
    _Splits(engine, lines, _usable(products), _usable(customers), proposal).add(later)
    used = {
        *lines.roles.values(),
        *later,
        *discounts(lines),
        *proposal.tried,
        *(split.by for split in proposal.declared),
    }
    own = {lines.roles.get("amount"), lines.roles.get("order")}
    proposal.fill = [
        one.name
        for one in lines.columns
        if one.name in (first_lines & used) - own
        and one.kind not in ("line amount", "order amount", "other amount", "price")
    ]
    proposal.items = _items(lines, _usable(products))
    return proposal


def discounts(lines: Lines) -> list[str]:
    """Columns that say by their headings, without a role, that something was taken off; features look for them."""
    headings = HEADINGS["discount"]
    return [one.name for one in lines.columns if normal(one.name).replace(" ", "_") in headings and one.different >= 2]


def _usable(partner: Partner | None) -> Partner | None:
    return None if partner is None or partner.refused else partner


@dataclass(frozen=True, slots=True)
class _Offered:
    """A column by which customers might be split.

    Attributes:
        column: The column.
        partner: The table that it is of; ``None`` for the lines.
        known: When it is known.
    """

    column: Column
    partner: Partner | None
    known: str

    @property
    def rank(self) -> tuple[object, ...]:
        """Order in which splits are declared: by kind, then by how sure the heading is."""
        place = _DECLARED.index(self.column.kind) if self.column.kind in _DECLARED else len(_DECLARED)
        return place, -self.column.meaning.score, self.column.name


@dataclass(frozen=True, slots=True)
class _Splits:
    """Adds splits to a proposal."""

    engine: Engine
    lines: Lines
    products: Partner | None
    customers: Partner | None
    proposal: Proposal

    def add(self, later: set[str]) -> None:
        """Declare the splits that matter most in shops, and let the search go through the rest; ``later`` is known only later."""
        self._make_first_lines()
        offered = [*self._of_lines(later), *self._of_products(), *self._of_customers()]
        for one in sorted(offered, key=lambda one: one.rank):
            self._add(one)
        self.proposal.tried += _features(self.lines)

    def _of_lines(self, later: set[str]) -> Iterator[_Offered]:
        for column in self.lines.columns:
            if reason := _not_tried(column, self.lines, later):
                self._refuse(column, reason)
            else:
                yield _Offered(column, None, "first_purchase")

    def _of_products(self) -> Iterator[_Offered]:
        for column in self._others(self.products):
            if reason := _not_tried(column, None, set()):
                self._refuse(column, reason)
            else:
                yield _Offered(column, self.products, "first_purchase")

    def _of_customers(self) -> Iterator[_Offered]:
        for column in self._others(self.customers):
            if column.kind in _AT_ENTRY and not _not_tried(column, None, set()):
                yield _Offered(column, self.customers, "entry")
            elif _may_group(column):
                self.proposal.moving.append(column.name)

    def _others(self, partner: Partner | None) -> Iterator[Column]:
        """The columns of a partner that are not its key and whose names are not those of columns of the lines."""
        own = {one.name.lower() for one in self.lines.columns}
        if partner is not None:
            yield from (one for one in partner.columns if one is not partner.key and one.name.lower() not in own)

    def _refuse(self, column: Column, reason: str) -> None:
        self.proposal.not_tried.setdefault(reason, []).append(column.name)

    def _add(self, offered: _Offered) -> None:
        column = offered.column
        sizes = self._sizes(offered)
        large = [(value, count) for value, count in sizes if count >= MIN_GROUP and _can_name(value)]
        # The search goes through no column that names products, but a split may be declared by one.
        names_products = column.name in self.lines.taken and column.kind in ("product", "title")
        if large and not names_products:
            self.proposal.tried.append(column.name)
        elif not large:
            self._refuse(column, marked("no value that is the first of {least} customers"))
        sure = column.kind in _DECLARED and (column.meaning.score >= SURE or names_products)
        if sure and len(large) >= 2 and len(self.proposal.declared) < MOST_DECLARED:
            self.proposal.declared.append(_declared(column, offered.known, sizes, large))

    def _make_first_lines(self) -> None:
        """The lines of each customer's first day, of orders that have a customer, as ``first_lines``."""
        customer, order = self.lines.column("customer"), self.lines.column("order")
        assert customer is not None
        table, day = self.lines.looked.table, self.lines.time.day_sql
        source = f"SELECT *, {customer.sql} AS _who, {day} AS _when FROM {table}"
        if order is not None:
            over = f"over (partition by coalesce({order.sql}, CAST(rowid AS VARCHAR)))"
            source = f"SELECT *, max({customer.sql}) {over} AS _who, max({day}) {over} AS _when FROM {table}"
        self.engine.execute(
            f"CREATE OR REPLACE TABLE first_lines AS SELECT * FROM ({source}) WHERE _who IS NOT NULL "
            "QUALIFY _when = min(_when) over (partition by _who)"
        )

    def _sizes(self, offered: _Offered) -> list[tuple[str, int]]:
        """Values that are the only one of a customer's first lines, with their customers, most first."""
        value, source, partner = f"l.{offered.column.sql}", "first_lines l", offered.partner
        if partner is not None and partner.key is not None:
            ours = next(one.sql for one in self.lines.columns if one.name == partner.partner)
            key = "l._who" if partner is self.customers else f"l.{ours}"
            value = f"p.{offered.column.sql}"
            source = f"first_lines l JOIN {partner.looked.table} p ON p.{partner.key.sql} = {key}"
        return self.engine.rows(
            f"SELECT v, count(*) FROM (SELECT l._who, min({value}) AS v, max({value}) AS w FROM {source} GROUP BY l._who) "
            "WHERE v = w GROUP BY v ORDER BY 2 DESC, 1"
        )


def _may_group(column: Column) -> bool:
    return 2 <= column.different <= MOST_VALUES and column.length <= MOST_LENGTH and not column.is_measured


def _not_tried(column: Column, lines: Lines | None, taken: set[str]) -> str:
    """Why a search leaves a column out; empty where it does not."""
    sure = column.meaning.score >= SURE or column.kind in ("person", "late", "moving", "other amount")
    kind = column.kind if sure else ""
    several = column.different >= 2
    refusals = (
        (
            marked("have a role"),
            lines is not None and column.name in lines.taken and kind not in ("channel", "product", "title"),
        ),
        (
            marked("of persons"),
            kind in _OF_PERSONS or column.is_email or (not kind and column.phones > 0.5 * column.known > 0),
        ),
        (marked("known only later"), column.name in taken or kind in _LATER),
        (marked("money"), kind in _MONEY),
        (marked("keys and times"), kind not in _TRIED or column.dated > 0.5 * column.known > 0),
        (marked("empty, or one value"), not several),
        (marked("too many values, or texts"), not _may_group(column)),
    )
    return next((reason for reason, holds in refusals if holds), "")


def _features(lines: Lines) -> list[str]:
    """Features of the first purchase that the roles make possible."""
    roles = lines.roles
    features = [("order_amount", "amount" in roles), ("basket_size", True), ("basket_products", "product" in roles)]
    features += [("discount_share", "discount" in roles or bool(discounts(lines))), ("weekend_share", True)]
    return [name for name, possible in features if possible]


def _can_name(value: str) -> bool:
    """Whether a value can be a group's name."""
    return (
        len(value) <= 80
        and value.isprintable()
        and value.lower() not in RESERVED_GROUPS
        and "|" not in value
        and " / " not in value
    )


def _declared(
    column: Column, known: str, sizes: Sequence[tuple[str, int]], large: Sequence[tuple[str, int]]
) -> Proposed:
    told = tuple(Message("{value} {size:,}", {"value": value, "size": count}) for value, count in large[:MOST_GROUPS])
    said = {"groups": told}
    reason = Message("customers by their first purchase: {groups}", said)
    if known == "entry":
        reason = Message("customers by it: {groups}", said)
    if len(large) == len(sizes) <= MOST_GROUPS:
        return Proposed(column.name, known, column.name, (), reason)
    groups = tuple((value, f"{quote(column.name)} = {literal(value)}") for value, _ in large[:MOST_GROUPS])
    reason = Message(
        "{reason}; {number:,} smaller value is in no group",
        {"reason": reason, "number": len(sizes) - len(groups)},
        "{reason}; {number:,} smaller values are in no group",
    )
    return Proposed(column.name, known, None, groups, reason)


def _items(lines: Lines, products: Partner | None) -> str | None:
    """What rules of cross-sell are about: categories where there are, else products by their names."""
    own = {one.name.lower() for one in lines.columns}
    if products is not None:
        category = next((one.column for one in products.choices if one.role == "category"), None)
        if category is not None and category.lower() not in own:
            return category
    kinds = ("category", "title", "product")
    found = [
        one
        for one in lines.columns
        if (one.kind in kinds and one.meaning.score >= SURE and 2 <= one.different <= 5_000)
        or one.name == lines.roles.get("product")
    ]
    best = min(
        found,
        key=lambda one: (kinds.index(one.kind) if one.kind in kinds else 3, -one.meaning.score, one.name),
        default=None,
    )
    return None if best is None else best.name
