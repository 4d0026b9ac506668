"""Which columns say where a customer lives, by which channel one came, what a line is and whether it was discounted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from segmentor.cycles import checked_condition
from segmentor.engine.duckdb import quote

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns
    from segmentor.engine.duckdb import Engine

CustomerKind = Literal["region", "channel"]
"""What may be fixed for a customer."""

LineKind = Literal["region", "channel", "category", "discount"]
"""What may be said of a line."""

MAX_VALUES = 12
"""Values of an attribute that are told apart at most; where there are more, the last of them is ``OTHER``."""

OTHER = "other"
"""Value of the customers whose own is not among the largest."""

HEADINGS = {
    "region": (
        *("region", "state", "province", "prefecture", "county", "district", "country", "city", "town"),
        *("大区", "地区", "区域", "省份", "省", "州", "国家", "城市", "市"),
    ),
    "channel": (
        *("channel", "source", "medium", "utm_source", "utm_medium", "acquisition", "acquisition_channel"),
        *("acquisition_source", "marketing_channel", "sales_channel", "traffic_source", "referrer"),
        *("渠道", "获客渠道", "注册渠道", "来源渠道", "渠道来源", "销售渠道", "来源"),
    ),
    "category": (
        *("category", "product_category", "item_category", "category_name", "product_type", "department"),
        *("品类", "类目", "类别", "商品类别", "商品分类", "产品类别", "一级类目", "分类"),
    ),
    "discount": (
        *("discount", "discount_amount", "discounts", "total_discount", "discount_rate", "discount_percent"),
        *("coupon", "coupon_code", "coupon_discount", "promotion", "promo", "promo_code", "voucher", "voucher_code"),
        *("retail_disc", "折扣", "折扣金额", "折扣率", "优惠", "优惠金额", "优惠券", "促销"),
    ),
    "list_price": (
        *("list_price", "regular_price", "original_price", "full_price", "compare_at_price", "rrp", "msrp"),
        *("原价", "标价", "吊牌价", "市场价"),
    ),
}
"""What the columns of a kind are called in English and Chinese, the ones that we would rather take first."""

OWNERS = re.compile(
    r"^(?:(?:customer|client|user|buyer|member|shopper|billing|bill|shipping|ship|delivery|home)_(?:to_)?"
    r"|(?:客户|顾客|会员|用户|买家|收货|所在)(?:_|所在)?)"
)
"""What may stand before such a heading: whose it is."""

NO_DISCOUNT = ("no", "n", "none", "false", "f", "null", "nan", "na", "n/a", "否", "无", "没有")
"""Texts of a discount column that mean that there was none."""


ROUNDING = 0.015
"""Money by which a list price must be above the price paid."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that is fixed for a customer.

    Attributes:
        table: Table of ``customer_no`` and ``value``, text: a row for each customer of whom it is known.
        column: The shop's column that it comes from.
    """

    table: str
    column: str


def customer_attribute(
    engine: Engine, config: ExperimentConfig, columns: Columns, kind: CustomerKind
) -> Attribute | None:
    """Makes ``attribute_<kind>``, from the first fitting column that has two values or more.

    Columns of the customers' table come first, then those of transactions that have one value for each customer; each by
    its role first and by its heading second. The ``MAX_VALUES`` largest values stand, or one less and ``OTHER``.

    Args:
        engine: Holds the tables of ``cycles``.
        config: The experiment.
        columns: Columns of its tables.
        kind: What is asked.

    Returns:
        The attribute; ``None`` where no column fits.
    """
    table = f"attribute_{kind}"
    for column, values in _candidates(engine, config, columns, kind):
        engine.execute(f"create or replace temp table _values as {values}")
        if engine.scalar("select count(distinct value) from _values") >= 2:
            engine.execute(
                f"create or replace table {table} as with sizes as (\n"
                "  select value, row_number() over (order by count(*) desc, value) as place, count(*) over () as different\n"
                "  from _values where value is not null group by value)\n"
                "select v.customer_no,\n"
                f"  case when s.place < {MAX_VALUES} or s.different <= {MAX_VALUES} then v.value else '{OTHER}' end as value\n"
                "from _values v join sizes s using (value)"
            )
            return Attribute(table, column)
    return None


def line_column(config: ExperimentConfig, columns: Columns, kind: LineKind) -> str | None:
    """The column of lines, or of their products, that says of what kind they are."""
    return next(_found(kind, _line_roles(config), columns.lines), None)


def discount_condition(config: ExperimentConfig, columns: Columns) -> str | None:
    """SQL, true for a line that was bought at a discount: by a column that says so, else by a list price above the price paid."""
    roles = config.data.transactions.columns
    if (column := next(_found("discount", _line_roles(config), columns.lines), None)) is not None:
        return _says_something(f"cast({quote(column)} as text)")
    column = next(_found("list_price", _line_roles(config), columns.lines), None)
    if column is None or "amount" not in roles:
        return None
    pieces = f"abs(coalesce({quote(roles['quantity'])}, 1))" if "quantity" in roles else "1"
    return f"coalesce(try_cast({quote(column)} as double) * {pieces} > {quote(roles['amount'])} + {ROUNDING}, false)"


def text_of(value: str) -> str:
    """SQL of a value as text without blanks around it, NULL where nothing is left."""
    return f"nullif(trim(cast({value} as text)), '')"


def _says_something(text: str) -> str:
    """SQL: a number other than zero, or a word that does not mean none."""
    words = ", ".join(f"'{word}'" for word in NO_DISCOUNT)
    number = f"coalesce(try_cast({text} as double) <> 0, regexp_matches({text}, '[1-9]|\\p{{L}}'))"
    return f"coalesce(lower(trim({text})) not in ({words}) and {number}, false)"


def _candidates(engine: Engine, config: ExperimentConfig, columns: Columns, kind: str) -> Iterator[tuple[str, str]]:
    """Columns that say it of a customer, each with the SELECT of ``customer_no`` and ``value``."""
    customers = config.data.customers
    if customers is not None:
        roles = columns.roles["customers"]
        own = [name for name in columns.customers if name not in customers.derive]
        key = f"cast({quote(customers.columns['customer'])} as text)"
        for column in _found(kind, customers.columns, columns.customers):
            value = quote(column)
            if column in customers.derive:
                text = customers.derive[column]
                value = f"({checked_condition(text, own, roles, key=f'data.customers.derive.{column}')})"
            read = f"(select {key} as customer, {text_of(value)} as value from customers)"
            yield column, f"select e.customer_no, c.value from everyone e join {read} c using (customer)"
    for column in _found(kind, config.data.transactions.columns, columns.transactions):
        value = text_of(quote(column))
        engine.execute(
            f"create or replace temp table _stated as select _customer, min({value}) as value, max({value}) as other\n"
            "from _purchases group by _customer"
        )
        if not engine.scalar("select count(*) from _stated where value <> other"):
            yield column, "select e.customer_no, s.value from _stated s join everyone e on e.customer = s._customer"


def _line_roles(config: ExperimentConfig) -> Mapping[str, str]:
    products = {} if config.data.products is None else config.data.products.columns
    return {**products, **config.data.transactions.columns}


def _found(kind: str, roles: Mapping[str, str], columns: Sequence[str]) -> Iterator[str]:
    """Columns of that kind, the best first: a role's before one of that heading."""
    named = {_heading(column): column for column in reversed(columns)}
    named.update((role.lower(), column) for role, column in roles.items())
    yield from (named[heading] for heading in HEADINGS[kind] if heading in named)


def _heading(column: str) -> str:
    """A column's name as ``HEADINGS`` writes it: small, words joined by underscores, without whose it is."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
    return OWNERS.sub("", re.sub(r"[\W_]+", "_", apart.lower()).strip("_"))
