"""Purchase lines -> what was bought, how many pieces and for how much money, and why; what cannot be said is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segmentor.engine.duckdb import quote
from segmentor.starting.columns import Column, values_of
from segmentor.starting.grouped import Choice, Grouped, Lines
from segmentor.starting.reasons import Values, together
from segmentor.wording import Message

SURE = 60.0
"""Score of a heading that is one of the known words."""

JOINED = 0.5
"""Share of the values on the lines that a key of another table must have."""

MOST_EMPTY = 0.1
"""Share of the lines on which a product may be missing."""

MOST_CHANNELS = 50


@dataclass(frozen=True, slots=True)
class Goods:
    """One pass over the columns for what was bought.

    Attributes:
        lines: The lines, with their customer, order and time; gets the roles.
        grouped: Counts of the lines.
        order: Column of the order; ``None`` where there is none.
        times: Columns of times.
        asked: Roles that were said, with their columns.
        partners: By column the share of its values that are keys of the products' table.
    """

    lines: Lines
    grouped: Grouped
    order: Column | None
    times: frozenset[str]
    asked: Mapping[str, str]
    partners: Mapping[str, float]

    def decide(self) -> None:
        """Add roles, notes on those left out, and what has to be computed."""
        for role, decide in (
            ("product", self._product),
            ("quantity", self._quantity),
            ("amount", self._amount),
            ("discount", lambda: self._other("discount")),
            ("channel", lambda: self._other("channel")),
        ):
            if role in self.asked:
                self._choose(role, self.asked[role], Message("as asked for by --column"))
            else:
                decide()

    def _choose(self, role: str, column: str, reason: Message) -> None:
        self.lines.choices.append(Choice(role, column, reason))

    def _product(self) -> None:
        taken = {*self.lines.roles.values(), *self.times}
        found = [one for one in self.lines.columns if one.name not in taken and self._may_be_product(one)]
        best = max(
            found,
            key=lambda one: (self._is_joined(one), one.kind == "product", one.meaning.score, one.name),
            default=None,
        )
        if best is None and self.order is not None:
            best = self._product_by_content(self.order, taken)
        if best is None:
            self.lines.notes.setdefault("product", Message("no column names products"))
            return
        said: Values = {"products": best.different}
        why = Message("{products:,} products", said)
        if self._is_joined(best):
            said |= {"share": self.partners[best.name]}
            why = Message("{products:,} products; {share:.0%} of them are in the table of products", said)
        elif best.kind not in ("product", "title"):
            why = Message("by its content alone, look at it; {why}", {"why": why})
        self.lines.notes.pop("product", None)
        self._choose("product", best.name, why)

    def _is_joined(self, column: Column) -> bool:
        """Whether the values are keys of the products' table; numbers of pieces often are such by accident."""
        if column.kind not in ("product", "title", "id", "name", "order line", "") or self._counts_pieces(column):
            return False
        return self.partners.get(column.name, 0.0) >= JOINED

    def _may_be_product(self, column: Column) -> bool:
        """Whether a column names products: by heading or table, with values that are sold on several days."""
        joined = self._is_joined(column)
        if column.different < 2 or column.is_measured or not (joined or column.kind in ("product", "title")):
            return False
        empty = 1 - column.known / self.lines.looked.rows
        if empty > MOST_EMPTY and not joined:
            said: Values = {"column": column.name, "share": empty}
            self.lines.notes.setdefault("product", Message("{column} is empty on {share:.0%} of the lines", said))
            return False
        return bool(self.grouped.by(column).returning)

    def _product_by_content(self, order: Column, taken: set[str]) -> Column | None:
        """The only column of texts or keys, without a known heading, that differs within orders."""
        several = self.grouped.by(order).several_lines
        found = [
            one
            for one in self.lines.columns
            if one.name not in taken | self.times
            and not one.kind
            and one.different >= 5
            and not one.is_measured
            and one.length <= 60
            and not (one.whole == one.known and (one.largest or 0) < 1000)
            and self.grouped.by(one).returning
            and several
            and self.grouped.mixed(order, one) * self.grouped.by(order).values > 0.3 * several
        ]
        return max(found, key=lambda one: (one.different, one.name), default=None)

    def _quantity(self) -> None:
        taken = {*self.lines.roles.values(), *self.times}
        named = [one for one in self.lines.columns if one.kind == "quantity" and one.name not in taken]
        found = []
        for column in named:
            if not column.is_number(self.lines.decimal):
                self.lines.notes["quantity"] = Message("{column} holds no plain numbers", {"column": column.name})
            elif abs(column.middle or 0) > 1000:
                self.lines.notes["quantity"] = Message(
                    "{column} is {middle:,.0f} on half of the lines: no number of pieces",
                    {"column": column.name, "middle": column.middle or 0},
                )
            else:
                found.append(column)
        best = max(found, key=lambda one: (one.known, one.meaning.score, one.name), default=None)
        if best is None and not named:
            plain = [
                one for one in self.lines.columns if one.name not in taken and not one.kind and self._counts_pieces(one)
            ]
            best = plain[0] if len(plain) == 1 else None
        if best is None:
            self.lines.notes.setdefault("quantity", Message("no column counts pieces; a line is one"))
            return
        self.lines.notes.pop("quantity", None)
        said = {"middle": best.middle or 0, "returns": best.negative}
        why = Message("mostly {middle:,.0f}", said)
        if best.negative:
            why = Message("mostly {middle:,.0f}; {returns:,} below 0 are returns", said)
        if best.kind != "quantity":
            why = Message("by its content alone, look at it; {why}", {"why": why})
        self._choose("quantity", best.name, why)

    def _counts_pieces(self, column: Column) -> bool:
        """Whether values look like numbers of pieces: small whole numbers, mostly 1."""
        if column.whole < column.known or not column.known or not 2 <= (column.largest or 0) <= 1000:
            return False
        first = values_of(self.grouped.engine, self.lines.looked, column.sql, most=1)
        return first[0][0] in ("1", "1.0") and column.different >= 2

    def _amount(self) -> None:
        taken = {*self.lines.roles.values(), *self.times}
        refused: dict[str, Message] = {}
        found: list[Column] = []
        for column in self.lines.columns:
            if column.name in taken or column.kind not in ("line amount", "order amount"):
                continue
            reason = self._amount_refused(column)
            if reason is None:
                found.append(column)
            else:
                refused[column.name] = reason
        best = max(
            found,
            key=lambda one: (
                one.known >= 0.99 * self.lines.looked.rows,
                one.kind == "line amount",
                one.meaning.score,
                one.name,
            ),
            default=None,
        )
        prices = self._prices()
        if best is not None and (best.meaning.score >= SURE or not prices):
            said = {"middle": best.middle or 0, "returns": best.negative}
            why = Message("half of the lines are up to {middle:,.2f}", said)
            if best.negative:
                why = Message("half of the lines are up to {middle:,.2f}; {returns:,} below 0 are returns", said)
            self._choose("amount", best.name, why)
            return
        because = together(refused[name] for name in sorted(refused)[:3]) if refused else None
        if prices:
            self._price(max(prices, key=lambda one: (one.meaning.score, one.name)), because)
            return
        if not refused and self.order is not None:
            measured = [
                one
                for one in self.lines.columns
                if not one.kind and one.is_measured and self._amount_refused(one) is None
            ]
            if len(measured) == 1:
                self._choose("amount", measured[0].name, Message("by its content alone, look at it"))
                return
        none = Message("no column holds the money of a line")
        if because is not None:
            none = Message("no column holds the money of a line ({because})", {"because": because})
        self.lines.notes["amount"] = none

    def _prices(self) -> list[Column]:
        return [
            one
            for one in self.lines.columns
            if one.kind == "price" and one.is_number(self.lines.decimal) and one.known > 0.9 * self.lines.looked.rows
        ]

    def _price(self, price: Column, because: Message | None) -> None:
        """The money of a line from the price of a piece, since every amount was refused ``because``."""
        if "quantity" not in self.lines.roles:
            alone = Message("the price; nothing counts pieces")
            if because is not None:
                alone = Message("the price; nothing counts pieces ({because})", {"because": because})
            self._choose("amount", price.name, alone)
            return
        name = "line_amount"
        while name in {one.name.lower() for one in self.lines.columns}:
            name += "_"
        text = quote(price.name) if self.lines.decimal == "." else f"replace({quote(price.name)}, ',', '.')"
        pieces = f"try_cast({quote(self.lines.roles['quantity'])} as double)"
        reason = Message("{column} is the price of one piece", {"column": price.name})
        if because is not None:
            said: Values = {"column": price.name, "because": because}
            reason = Message("{column} is the price of one piece ({because})", said)
        self.lines.derive[name] = (f"try_cast({text} as double) * {pieces}", reason)
        self._choose("amount", name, Message("computed below, in derive"))

    def _amount_refused(self, column: Column) -> Message | None:
        if column.is_number(self.lines.decimal):
            return self._of_the_order(column)
        said = {"column": column.name}
        if not column.known:
            return Message("{column} is empty", said)
        if column.money:
            return Message(
                "{column} holds more than plain numbers, such as signs of a currency or between thousands", said
            )
        return Message("{column} holds no numbers", said)

    def _of_the_order(self, column: Column) -> Message | None:
        """Why money belongs to an order and not to a line; ``None`` where it may be a line's."""
        if self.order is None or not self.grouped.by(self.order).several_lines:
            return None
        value, number = column.sql, f"try_cast(replace({column.sql}, ',', '.') AS DOUBLE)"
        several, once, some, repeated = self.grouped.engine.rows(
            "SELECT count(*) FILTER (known > 0), count(*) FILTER (known = 1), count(*) FILTER (most <> 0),\n"
            "  count(*) FILTER (most <> 0 AND known > 1 AND different = 1) FROM (\n"
            f"  SELECT count({value}) AS known, count(DISTINCT {value}) AS different, max(abs({number})) AS most "
            f"FROM {self.lines.looked.table} WHERE {self.order.sql} IS NOT NULL GROUP BY {self.order.sql} HAVING count(*) > 1)"
        )[0]
        if several and once > 0.95 * several:
            return Message("{column} is that of the order, on one of its lines", {"column": column.name})
        if some and repeated > 0.95 * some:
            return Message("{column} is that of the order, repeated on its lines", {"column": column.name})
        return None

    def _other(self, role: str) -> None:
        """Discount and channel, which are what their headings say or nothing."""
        taken = set(self.lines.roles.values())
        found = [
            one
            for one in self.lines.columns
            if one.kind == role
            and one.name not in taken
            and one.meaning.score >= SURE
            and one.different >= 2
            and (one.is_number(self.lines.decimal) if role == "discount" else one.different <= MOST_CHANNELS)
        ]
        if role == "discount":
            for one in found:
                if reason := self._of_the_order(one):
                    only = Message("{reason}; it only tells that something was taken off", {"reason": reason})
                    self.lines.notes["discount"] = only
            found = [one for one in found if self._of_the_order(one) is None]
        best = max(found, key=lambda one: (one.meaning.score, one.name), default=None)
        if best is not None:
            why = Message("{values:,} values", {"values": best.different})
            if role == "discount":
                why = Message("{values:,} values, 0 means none", {"values": best.different})
            self._choose(role, best.name, why)
