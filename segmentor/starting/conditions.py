"""Statuses, guests and half-filled lines of an export -> fields to fill in from the order, and conditions on the lines that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.engine.duckdb import literal, quote
from segmentor.starting.columns import Column, values_of
from segmentor.starting.grouped import FEW, Lines, is_nobody
from segmentor.starting.reading import Looked
from segmentor.starting.reasons import Values
from segmentor.wording import Message

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine

MANY_OF_NOBODY = 0.005
"""Share of lines without a customer or a time that are worth a condition; a run allows for twice as many."""

MOST_STATUSES = 50

LEFT_OUT = frozenset(
    (
        *("cancelled", "canceled", "cancelled by customer", "cancel", "void", "voided", "refunded", "fully refunded"),
        *(
            "failed",
            "declined",
            "expired",
            "rejected",
            "trash",
            "checkout-draft",
            "draft",
            "pending payment",
            "abandoned",
        ),
        *("unpaid", "fraud", "returned", "storniert", "abgebrochen", "fehlgeschlagen", "erstattet", "annulliert"),
        *("annulee", "annulée", "annulé", "remboursee", "remboursée", "remboursé", "echouee", "échouée"),
        *("cancelado", "cancelada", "anulado", "anulada", "reembolsado", "reembolsada", "fallido", "annullato"),
        *(
            "rimborsato",
            "交易关闭",
            "已关闭",
            "订单关闭",
            "关闭",
            "已取消",
            "交易取消",
            "订单取消",
            "取消",
            "退款成功",
            "已退款",
        ),
        *("全额退款", "等待买家付款", "等待付款", "待付款", "未付款", "未支付", "付款以后用户退款成功，交易自动关闭"),
    )
)
"""What says of an order that it came to nothing, in lower case, without WooCommerce's wc-."""

_IN_A_STATUS = frozenset(("closed", "pending", "returned to seller"))
"""What says so only in a column whose heading says status; pending is an order not yet paid."""

_CANCELLED_PARTS = ("交易关闭", "已取消", "已关闭")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on rows that are kept.

    Attributes:
        text: SQL of the config.
        reason: What it leaves out, and why.
    """

    text: str
    reason: Message


def conditions(engine: Engine, lines: Lines, through: Looked, first_lines: set[str]) -> list[Condition]:
    """Conditions that leave out what was no purchase, and what is nobody's.

    Args:
        engine: Holds the tables.
        lines: The lines with their roles.
        through: Customer, order, time and statuses of more lines.
        first_lines: Columns that only one line of an order fills in.
    """
    found: list[Condition] = []
    for one in status_columns(engine, lines):
        if one.kind != "cancelled time":
            found += _of_status(engine, through, one)
        elif 0 < one.known < 0.5 * lines.looked.rows:
            said: Values = {"lines": one.known, "column": one.name}
            reason = Message("{lines:,} lines have a time in {column}: these orders were cancelled", said)
            found.append(Condition(f"{quote(one.name)} is null", reason))
    return found + _of_nobody(engine, lines, through, first_lines)


def of_orders(engine: Engine, lines: Lines) -> set[str]:
    """Columns that only the first line of an order fills in.

    Where some column has exactly one value in each order of several lines, and leaves the other lines empty, the line with the value
    is the order's first one; and a column that hardly ever has a value on another line is the order's, too.
    """
    order = lines.column("order")
    if order is None:
        return set()
    table = lines.looked.table
    candidates = [one for one in lines.columns if one.name != order.name and 0 < one.known < lines.looked.rows]
    if not candidates:
        return set()
    counts = ", ".join(f"count({one.sql}) AS k{at}" for at, one in enumerate(candidates))
    single = ", ".join(f"count(*) FILTER (k{at} = 1)" for at in range(len(candidates)))
    several, *once = engine.rows(
        f"SELECT count(*), {single} FROM (SELECT count(*) AS lines, {counts} FROM {table} WHERE {order.sql} IS NOT NULL "
        f"GROUP BY {order.sql}) WHERE lines > 1"
    )[0]
    if not several:
        return set()
    heads = [(count, one) for count, one in zip(once, candidates, strict=True) if count >= (1 - FEW) * several]
    if not heads:
        return set()
    _, head = max(heads, key=lambda pair: (pair[0], pair[1].known, pair[1].name))
    elsewhere = ", ".join(
        f"count({one.sql}), count({one.sql}) FILTER ({head.sql} IS NULL)" for at, one in enumerate(candidates)
    )
    row = engine.rows(
        f"SELECT {elsewhere} FROM {table} WHERE {order.sql} IN (SELECT {order.sql} FROM {table} GROUP BY 1 HAVING count(*) > 1)"
    )[0]
    return {one.name for at, one in enumerate(candidates) if row[2 * at] and row[2 * at + 1] <= FEW * row[2 * at]}


def status_columns(engine: Engine, lines: Lines) -> list[Column]:
    """Columns that say what became of an order, by a status or by the time of its end."""
    return [one for one in lines.columns if _is_status(engine, lines, one) or one.kind == "cancelled time"]


def _is_status(engine: Engine, lines: Lines, column: Column) -> bool:
    """Whether a column says what became of an order: few values, by its heading, or because some of them say so."""
    if column.name in lines.taken or not 1 <= column.different <= MOST_STATUSES or column.length > 40:
        return False
    if column.kind == "status":
        return True
    if column.kind not in ("", "region"):
        return False
    values = {_plain(value) for value, _ in values_of(engine, lines.looked, column.sql, most=MOST_STATUSES)}
    return bool(values & LEFT_OUT) and len(values) > 1


def _plain(value: str) -> str:
    return value.strip().lower().removeprefix("wc-").replace("_", " ")


def _of_status(engine: Engine, through: Looked, column: Column) -> list[Condition]:
    """The condition that leaves out the orders that came to nothing."""
    values = values_of(engine, through, column.sql, most=MOST_STATUSES)
    nothing = [(value, count) for value, count in values if _came_to_nothing(value, status=column.kind == "status")]
    kept = [value for value, _ in values if value not in {one for one, _ in nothing}]
    if not nothing or not kept:
        return []
    listed = ", ".join(literal(value) for value, _ in nothing)
    told = tuple(
        Message("{value} ({number:,} line)", {"value": value, "number": count}, "{value} ({number:,} lines)")
        for value, count in nothing
    )
    said: Values = {"column": column.name, "nothing": told, "kept": tuple(kept[:8])}
    reason = Message("no purchase by {column}: {nothing}; kept: {kept}", said)
    return [Condition(f"coalesce({quote(column.name)}, '') not in ({listed})", reason)]


def _came_to_nothing(value: str, *, status: bool) -> bool:
    plain = _plain(value)
    return (
        plain in LEFT_OUT
        or (status and plain in _IN_A_STATUS)
        or any(plain.startswith(part) for part in _CANCELLED_PARTS)
    )


def _of_nobody(engine: Engine, lines: Lines, through: Looked, first_lines: set[str]) -> list[Condition]:
    """Conditions that leave out lines without a customer or a time, of which more would be quarantined than a run allows."""
    found: list[Condition] = []
    customer, time, order = lines.column("customer"), lines.time.column, lines.column("order")
    assert customer is not None
    words = engine.rows(
        f"SELECT {customer.sql}, count(*) FROM {through.table} WHERE {is_nobody(customer)} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    # A few lines may be those of a customer whose number is 0.
    if sum(count for _, count in words) > MANY_OF_NOBODY * through.rows:
        listed = ", ".join(literal(word) for word, _ in words)
        said: Values = {"lines": sum(count for _, count in words), "words": tuple(word for word, _ in words)}
        reason = Message("{lines:,} lines have {words} for a customer: guests, whom nobody can follow", said)
        found.append(Condition(f"{quote(customer.name)} not in ({listed})", reason))
    for column in (customer, time):
        empty = _empty(engine, through, column, order if column.name in first_lines else None)
        if empty > MANY_OF_NOBODY * through.rows:
            said = {"empty": empty, "lines": through.rows}
            reason = Message("{empty:,} of {lines:,} lines have no time", said)
            if column is customer:
                reason = Message("{empty:,} of {lines:,} lines have no customer", said)
            found.append(Condition(f"{quote(column.name)} is not null", reason))
    return found


def _empty(engine: Engine, through: Looked, column: Column, order: Column | None) -> int:
    """Lines without a value, once the order's lines have filled each other in."""
    if order is None:
        return int(engine.scalar(f"SELECT count(*) FROM {through.table} WHERE {column.sql} IS NULL"))
    return int(
        engine.scalar(
            f"SELECT coalesce(sum(lines), 0) FROM (SELECT count(*) AS lines FROM {through.table} GROUP BY {order.sql} "
            f"HAVING count({column.sql}) = 0)"
        )
    )
