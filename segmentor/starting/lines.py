"""Purchase lines that were looked at -> who bought, in which order and when, and why; content has the last word, not the heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segmentor.errors import DataError
from segmentor.starting.columns import Column, decimal_of, values_of
from segmentor.starting.goods import Goods
from segmentor.starting.grouped import FEW, Choice, Grouped, Lines, is_nobody
from segmentor.starting.reading import Looked
from segmentor.starting.reasons import Values
from segmentor.starting.times import TimeColumn, time_column
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine


_UNSUITED = frozenset(
    (
        *(
            "status",
            "region",
            "category",
            "brand",
            "size",
            "currency",
            "payment",
            "shipping",
            "channel",
            "gender",
            "coupon",
        ),
        *("quantity", "price", "line amount", "order amount", "other amount", "discount", "late", "moving", "age"),
        *("late time", "cancelled time", "time", "order line", "price tier"),
    )
)
"""Kinds of headings that are no ids of customers or orders, whatever their values look like."""

_NO_ORDERS = _UNSUITED | {"email", "phone", "person", "product", "title"}


def decide(
    engine: Engine,
    looked: Looked,
    columns: tuple[Column, ...],
    *,
    asked: Mapping[str, str],
    partners: Mapping[str, Mapping[str, float]],
) -> Lines:
    """Decide the roles of the columns of purchase lines.

    Args:
        engine: Holds the table.
        looked: The table.
        columns: Its columns.
        asked: Roles that were said, with their columns.
        partners: ``customer`` and ``product`` to shares of a column's values that are keys of the customers' or products' table.

    Raises:
        DataError: No column can be the customer, or the time, with the reason for each that looked like one.
    """
    return _Decision(engine, looked, columns, asked, partners).made()


class _Decision:
    """One pass over the columns, the roles that others depend on first."""

    def __init__(
        self,
        engine: Engine,
        looked: Looked,
        columns: tuple[Column, ...],
        asked: Mapping[str, str],
        partners: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._engine, self._looked, self._columns = engine, looked, columns
        self._asked, self._partners = asked, partners
        self._refused: dict[str, dict[str, str]] = {"customer": {}, "time": {}, "order": {}}

    def made(self) -> Lines:
        """All roles."""
        times = self._times()
        time = self._time(times)
        self._all_times = frozenset(one.column.name for one in times)
        self._grouped = Grouped(self._engine, self._looked, time)
        lines = Lines(self._looked, self._columns, decimal_of(self._columns), time)
        order = self._order_by_heading()
        customer, why = self._customer(order)
        if order is None:
            order = self._order_by_content(customer)
        lines.choices.append(Choice("customer", customer.name, why))
        if order is not None:
            lines.choices.append(Choice("order", order.name, self._why_order(order)))
        else:
            lines.notes["order"] = Message(
                "no column tells which lines are one order; what a customer buys on a day counts as one"
            )
        lines.choices.append(Choice("time", time.column.name, self._why_time(time)))
        Goods(lines, self._grouped, order, self._all_times, self._asked, self._partners.get("product", {})).decide()
        return lines

    # time

    def _times(self) -> list[TimeColumn]:
        """Every column of times."""
        found = []
        wanted = self._asked.get("time")
        month_first = any(one.kind == "currency" and self._values(one) == ["USD"] for one in self._columns)
        for column in sorted(self._columns, key=lambda one: one.name):
            named = column.kind in ("time", "late time", "cancelled time") or column.name == wanted
            looks_dated = column.dated >= 0.5 * column.known > 0 and not (column.whole == column.known and not named)
            if not (named or looks_dated):
                continue
            one = time_column(self._engine, self._looked, column, month_first=month_first)
            if isinstance(one, str):
                self._refused["time"][column.name] = one
            else:
                found.append(one)
        return found

    def _time(self, times: Sequence[TimeColumn]) -> TimeColumn:
        wanted = self._asked.get("time")
        if wanted is not None:
            chosen = next((one for one in times if one.column.name == wanted), None)
            if chosen is None:
                raise DataError(
                    f"--column time={wanted}: {self._looked.label}: the column {self._refused['time'].get(wanted, 'holds no times')}"
                )
            return chosen
        if not times:
            raise DataError(self._nobody("time", "purchase", "when it was", "--column time=NAME"))
        most = max(one.readable for one in times)

        def rank(one: TimeColumn) -> tuple[object, ...]:
            kind = one.column.kind
            late = kind in ("late time", "cancelled time")
            return (
                not late,
                one.readable >= 0.98 * most,
                one.column.meaning.score if kind == "time" else 0.0,
                one.readable,
                one.days,
                one.column.name,
            )

        return max(times, key=rank)

    def _why_time(self, time: TimeColumn) -> Message:
        others = sorted(self._all_times - {time.column.name})[:3]
        said: Values = {
            "first": f"{time.first}",
            "last": f"{time.last}",
            "days": time.days,
            "others": tuple(others),
        }
        why = Message("{first} to {last}, {days:,} days", said)
        if others:
            why = Message("{first} to {last}, {days:,} days; not {others}", said)
        return why if time.column.kind == "time" else Message("by its content alone; {why}", {"why": why})

    # customers and orders

    def _may_be_id(self, column: Column) -> str | None:
        """Why a column cannot be an id of a customer or an order, as far as it can be seen without others."""
        if column.known == 0:
            return "is empty"
        if column.name in self._all_times:
            return "holds times"
        if column.different < 2:
            return "has one value only"
        if column.is_measured:
            return "holds numbers with fractions"
        if column.length > 60:
            return "holds long texts"
        return None

    def _order_refused(self, column: Column) -> str | None:
        reason = self._may_be_id(column)
        if reason is not None:
            return reason
        groups = self._grouped.by(column)
        if column.known < (1 - FEW) * self._looked.rows:
            return f"is empty on {1 - column.known / self._looked.rows:.0%} of the lines"
        if groups.several_times > FEW * groups.values:
            return f"{groups.several_times:,} of its values stand at several times"
        return None

    def _order_by_heading(self) -> Column | None:
        wanted = self._asked.get("order")
        if wanted is not None:
            return self._named(wanted, "order")
        found = []
        for column in self._columns:
            if column.kind in ("order", "name", "id"):
                reason = self._order_refused(column)
                if reason is None and column.kind != "order" and not self._numbered(column):
                    reason = "does not look like numbers of orders"
                if reason is None:
                    found.append(column)
                elif column.kind == "order":
                    self._refused["order"][column.name] = reason
        best = {"order": 2, "name": 1, "id": 0}
        return max(found, key=lambda one: (best[one.kind], one.meaning.score, -one.different, one.name), default=None)

    def _numbered(self, column: Column) -> bool:
        """Whether a column's values are numbers, with signs before them, as #1001 is."""
        known, numbered = self._engine.rows(
            f"SELECT count(*), count(*) FILTER (regexp_full_match({column.sql}, '[^\\s@]{{0,12}}\\d+[^\\s@]{{0,4}}')) FROM {self._looked.table} "
            f"WHERE {column.sql} IS NOT NULL"
        )[0]
        return bool(numbered > 0.9 * known)

    def _order_by_content(self, customer: Column) -> Column | None:
        """The column with fewest values of those that determine customer and time and gather lines."""
        found = []
        for column in self._columns:
            if column.name == customer.name or column.kind in _NO_ORDERS or self._order_refused(column) is not None:
                continue
            if self._grouped.by(column).several_lines and self._grouped.mixed(column, customer) <= FEW:
                found.append(column)
        return min(found, key=lambda one: (one.different, one.name), default=None)

    def _why_order(self, order: Column) -> Message:
        groups = self._grouped.by(order)
        said = {"orders": groups.values, "several": groups.several_lines}
        if groups.several_times:
            why = Message("{orders:,} orders", said)
        elif groups.several_lines:
            why = Message("{orders:,} orders, {several:,} of several lines, none at two times", said)
        else:
            why = Message("{orders:,} orders, a line each, none at two times", said)
        return why if order.kind == "order" else Message("by its content; {why}", {"why": why})

    def _customer(self, order: Column | None) -> tuple[Column, Message]:
        wanted = self._asked.get("customer")
        if wanted is not None:
            return self._named(wanted, "customer"), Message("as asked for by --column")
        found = []
        for column in self._columns:
            reason = self._customer_refused(column, order)
            if reason is None:
                found.append(column)
            else:
                self._refused["customer"][column.name] = reason
        if not found:
            raise DataError(self._nobody("customer", "line", "who bought", "--column customer=NAME"))
        partners = self._partners.get("customer", {})
        missing = {one.name: self._nobodys(one, order) for one in found}
        least = min((missing[one.name] for one in found if self._says_who(one) >= 3), default=1.0)

        def rank(one: Column) -> tuple[object, ...]:
            joined = partners.get(one.name, 0.0)
            complete = missing[one.name] <= least + FEW
            return (
                joined >= 0.5,
                self._says_who(one) > 0,
                self._says_who(one) >= 3 and complete,
                self._says_who(one),
                one.meaning.score if one.kind == "customer" else 0.0,
                self._grouped.by(one).values,
                one.name,
            )

        best = max(found, key=rank)
        return best, self._why_customer(best, found, missing)

    def _says_who(self, column: Column) -> int:
        """How well a heading, or addresses as values, say that a column names customers."""
        if column.kind == "customer":
            return 4
        if column.kind == "email" or column.is_email:
            return 3
        if column.kind == "phone":
            return 2
        return 1 if column.kind == "person" and "name" in column.name.lower() + " 姓名" * ("姓名" in column.name) else 0

    def _customer_refused(self, column: Column, order: Column | None) -> str | None:
        reason = self._may_be_id(column)
        if reason is not None:
            return reason
        if order is not None and column.name == order.name:
            return "names orders"
        if column.kind in _UNSUITED | {"order", "product", "title"}:
            return f"its heading says {column.kind}"
        groups = self._grouped.by(column)
        if not groups.returning:
            return "no value of it stands on two days, as customers who come back would"
        if order is not None and (mixed := self._grouped.mixed(order, column)) > FEW:
            return f"{mixed:.0%} of the orders have several values of it"
        if not self._says_who(column) and (groups.values < 20 or column.length > 40):
            return f"it has only {groups.values} values" if groups.values < 20 else "it holds texts"
        return None

    def _nobodys(self, column: Column, order: Column | None) -> float:
        """Share of the lines, or of the orders, without a customer or with a word for none."""
        value = f"CASE WHEN NOT ({is_nobody(column)}) THEN {column.sql} END"
        if order is None:
            source = f"SELECT {value} AS v FROM {self._looked.table}"
        else:
            source = (
                f"SELECT max({value}) AS v FROM {self._looked.table} WHERE {order.sql} IS NOT NULL GROUP BY {order.sql}"
            )
        total, known = self._engine.rows(f"SELECT count(*), count(v) FROM ({source})")[0]
        return 1 - known / total if total else 1.0

    def _why_customer(self, best: Column, found: Sequence[Column], missing: Mapping[str, float]) -> Message:
        groups, sure = self._grouped.by(best), self._says_who(best)
        others = [
            one
            for one in found
            if one is not best and self._says_who(one) > sure and missing[one.name] > missing[best.name]
        ]
        said: Values = {"customers": groups.values, "several": groups.returning}
        why = Message("{customers:,} customers, {several:,} of them on several days", said)
        if others:
            said |= {"other": others[0].name, "share": missing[others[0].name]}
            why = Message(
                "{customers:,} customers, {several:,} of them on several days; not {other}, which is missing for {share:.0%}",
                said,
            )
        if not sure:
            return Message("by its content alone, look at it; {why}", {"why": why})
        return why if sure > 1 else Message("a name, which two people may share; {why}", {"why": why})

    def _named(self, name: str, role: str) -> Column:
        column = next((one for one in self._columns if one.name == name), None)
        assert column is not None, role
        return column

    def _nobody(self, role: str, what: str, tells: str, option: str) -> str:
        """What every column was refused for."""
        refused = self._refused[role]
        reasons = [f"  {name}: {reason}" for name, reason in sorted(refused.items())]
        others = sorted(one.name for one in self._columns if one.name not in refused)
        if others:
            reasons.append(f"  {', '.join(others[:20])}: hold nothing like it")
        return "\n".join(
            [
                f"{self._looked.label}: no column tells of a {what} {tells} ({role}):",
                *reasons[:30],
                f"If one does: {option}",
            ]
        )

    def _values(self, column: Column) -> list[str]:
        return [value for value, _ in values_of(self._engine, self._looked, column.sql, most=3)]
