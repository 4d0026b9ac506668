"""Purchase lines -> what was bought, how many pieces and for how much money, and why; what cannot be said is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segmentor.engine.duckdb import quote
from segmentor.starting.columns import Column, values_of
from segmentor.starting.grouped import Choice, Grouped, Lines

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
                self._choose(role, self.asked[role], "as asked for by --column")
            else:
                decide()

    def _choose(self, role: str, column: str, reason: str) -> None:
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
            self.lines.notes.setdefault("product", "no column names products")
            return
        why = f"{best.different:,} products"
        if self._is_joined(best):
            why += f"; {self.partners[best.name]:.0%} of them are in the table of products"
        elif best.kind not in ("product", "title"):
            why = f"by its content alone, look at it; {why}"
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
            self.lines.notes.setdefault("product", f"{column.name} is empty on {empty:.0%} of the lines")
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
                self.lines.notes["quantity"] = f"{column.name} holds no plain numbers"
            elif abs(column.middle or 0) > 1000:
                self.lines.notes["quantity"] = (
                    f"{column.name} is {column.middle:,.0f} on half of the lines: no number of pieces"
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
            self.lines.notes.setdefault("quantity", "no column counts pieces; a line is one")
            return
        self.lines.notes.pop("quantity", None)
        said = "" if best.kind == "quantity" else "by its content alone, look at it; "
        back = f"; {best.negative:,} below 0 are returns" if best.negative else ""
        self._choose("quantity", best.name, f"{said}mostly {best.middle:,.0f}{back}")

    def _counts_pieces(self, column: Column) -> bool:
        """Whether values look like numbers of pieces: small whole numbers, mostly 1."""
        if column.whole < column.known or not column.known or not 2 <= (column.largest or 0) <= 1000:
            return False
        first = values_of(self.grouped.engine, self.lines.looked, column.sql, most=1)
        return first[0][0] in ("1", "1.0") and column.different >= 2

    def _amount(self) -> None:
        taken = {*self.lines.roles.values(), *self.times}
        refused: list[str] = []
        found: list[Column] = []
        for column in self.lines.columns:
            if column.name in taken or column.kind not in ("line amount", "order amount"):
                continue
            reason = self._amount_refused(column)
            if reason is None:
                found.append(column)
            else:
                refused.append(f"{column.name} {reason}")
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
            back = f"; {best.negative:,} below 0 are returns" if best.negative else ""
            self._choose("amount", best.name, f"half of the lines are up to {best.middle:,.2f}{back}")
            return
        why = f" ({'; '.join(sorted(refused)[:3])})" if refused else ""
        if prices:
            self._price(max(prices, key=lambda one: (one.meaning.score, one.name)), why)
            return
        if not refused and self.order is not None:
            measured = [
                one
                for one in self.lines.columns
                if not one.kind and one.is_measured and self._amount_refused(one) is None
            ]
            if len(measured) == 1:
                self._choose("amount", measured[0].name, "by its content alone, look at it")
                return
        self.lines.notes["amount"] = f"no column holds the money of a line{why}"

    def _prices(self) -> list[Column]:
        return [
            one
            for one in self.lines.columns
            if one.kind == "price" and one.is_number(self.lines.decimal) and one.known > 0.9 * self.lines.looked.rows
        ]

    def _price(self, price: Column, why: str) -> None:
        """The money of a line from the price of a piece."""
        if "quantity" not in self.lines.roles:
            self._choose("amount", price.name, f"the price; nothing counts pieces{why}")
            return
        name = "line_amount"
        while name in {one.name.lower() for one in self.lines.columns}:
            name += "_"
        text = quote(price.name) if self.lines.decimal == "." else f"replace({quote(price.name)}, ',', '.')"
        pieces = f"try_cast({quote(self.lines.roles['quantity'])} as double)"
        reason = f"{price.name} is the price of one piece{why}"
        self.lines.derive[name] = (f"try_cast({text} as double) * {pieces}", reason)
        self._choose("amount", name, "computed below, in derive")

    def _amount_refused(self, column: Column) -> str | None:
        if not column.is_number(self.lines.decimal):
            if not column.known:
                return "is empty"
            return (
                "holds more than plain numbers, such as signs of a currency or between thousands"
                if column.money
                else "holds no numbers"
            )
        return self._of_the_order(column)

    def _of_the_order(self, column: Column) -> str | None:
        """In words that money belongs to an order and not to a line; ``None`` where it may be a line's."""
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
            return "is that of the order, on one of its lines"
        if some and repeated > 0.95 * some:
            return "is that of the order, repeated on its lines"
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
                    self.lines.notes["discount"] = f"{one.name} {reason}; it only tells that something was taken off"
            found = [one for one in found if self._of_the_order(one) is None]
        best = max(found, key=lambda one: (one.meaning.score, one.name), default=None)
        if best is not None:
            none = ", 0 means none" if role == "discount" else ""
            self._choose(role, best.name, f"{best.different:,} values{none}")
