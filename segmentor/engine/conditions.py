"""A condition or expression of the config, in DuckDB's dialect, checked against an allow-list and rewritten for our tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

NAMES: tuple[type[exp.Expr], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Tuple,
    exp.DataType,
    exp.DataTypeParam,
)
"""Names and values."""

TEXT: tuple[type[exp.Expr], ...] = (
    exp.Lower,
    exp.Upper,
    exp.Trim,
    exp.Length,
    exp.Substring,
    exp.Left,
    exp.Right,
    exp.Concat,
    exp.DPipe,
    exp.Replace,
)
"""What is done with text in every system."""

ALLOWED: tuple[type[exp.Expr], ...] = (
    *NAMES,
    *(exp.Interval, exp.Var),
    # logic and comparison
    *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between),
    *(exp.Like, exp.ILike, exp.Escape, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Coalesce, exp.Nullif),
    # arithmetic
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Abs, exp.Round, exp.Floor, exp.Ceil),
    *(exp.Greatest, exp.Least, exp.Ln, exp.Sqrt),
    *TEXT,
    *(exp.StrPosition, exp.StartsWith, exp.EndsWith, exp.Contains, exp.SplitPart),
    *(exp.RegexpExtract, exp.RegexpLike, exp.RegexpFullMatch, exp.RegexpReplace),
    # types and dates
    *(exp.Cast, exp.TryCast, exp.Extract, exp.Year, exp.Quarter, exp.Month, exp.Day, exp.DayOfWeek, exp.DayOfWeekIso),
    *(exp.Hour, exp.TsOrDsToDate, exp.Date),
)
"""What an expression may be made of: no sub-query, no table, no aggregate, no window, no function that reads or writes."""

MAX_LENGTH = 10_000


@cache
def parse_condition(text: str) -> exp.Expr:
    """The one SQL expression in ``text``.

    Raises:
        ValueError: It is no single expression, or holds something that is not on the allow-list; the message says what.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression of {len(text)} characters; at most {MAX_LENGTH} are read")
    try:
        statements = sqlglot.parse(text, read="duckdb")
    except (SqlglotError, RecursionError) as error:
        first = str(error).splitlines()[0].removesuffix(".")
        raise ValueError(f"{text!r} is not a SQL expression: {first}") from None
    if len(statements) != 1 or statements[0] is None:
        raise ValueError(f"{text!r} is not one SQL expression")
    tree = statements[0]
    for node in tree.walk():
        _check_node(node, text)
    return tree


def columns_of(text: str) -> tuple[str, ...]:
    """Names of the columns that an expression reads, sorted, as written."""
    return tuple(sorted({column.name for column in parse_condition(text).find_all(exp.Column)}))


def rewritten(text: str, names: Mapping[str, str]) -> str:
    """The expression as SQL with every column quoted.

    Args:
        text: The expression.
        names: Name as written, else in lower case, to the column that it stands for; others stand for themselves.
    """

    def renamed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            column = names.get(node.name, names.get(node.name.lower(), node.name))
            return exp.column(exp.to_identifier(column, quoted=True))
        return node

    return parse_condition(text).copy().transform(renamed).sql(dialect="duckdb")


def _check_node(node: exp.Expr, text: str) -> None:
    written = node.sql(dialect="duckdb")
    if isinstance(node, exp.Column) and node.table:
        raise ValueError(f"{written!r} in {text!r}: write the column's name alone")
    if isinstance(node, exp.In) and (node.args.get("query") or node.args.get("unnest")):
        raise ValueError(f"a sub-query in {text!r}: list the values instead")
    allowed = isinstance(node, ALLOWED)
    if not allowed:
        raise ValueError(f"{written!r} in {text!r} is not allowed: no functions beyond text, numbers and dates")
