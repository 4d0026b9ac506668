"""The tree of segments as one SQL statement over the shop's own tables, for DuckDB and SQLite, and for other systems as far as they can say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from segmentor.cycles import Columns, common_table_expressions
from segmentor.engine.conditions import NAMES, TEXT
from segmentor.segments.tree import Fork, of_the_tree, placed
from segmentor.splits import Split, replay_queries

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig

SYSTEMS = {"spark": "Apache Spark", "postgres": "PostgreSQL", "bigquery": "BigQuery", "snowflake": "Snowflake"}
"""Dialects that the statement is rewritten in, by their name in file names and in sqlglot."""


def segments_sql(config: ExperimentConfig, columns: Columns, forks: Sequence[Fork]) -> str:
    """One statement over ``transactions``, ``products`` and ``customers`` that returns ``customer`` and ``segment``."""
    config, columns = _without_idle(of_the_tree(config, forks), columns, forks)
    queries = replay_queries(config, columns, _distinct(forks))
    labels, segment, customers = placed(forks)
    body = f"select e.customer as customer, {segment} as segment\nfrom {customers}\norder by customer"
    return f"{_ABOUT}{_RUNS}{common_table_expressions([*queries, *labels])}\n{body};\n"


def _without_idle(
    config: ExperimentConfig, columns: Columns, forks: Sequence[Fork]
) -> tuple[ExperimentConfig, Columns]:
    """Both without the derived columns that no label of the tree, no role and no purchase reads: a system may have no words for one."""
    texts = [split.labels for split in _distinct(forks)]
    if config.cycle.purchase is not None:
        texts.append(columns.line_condition(config.cycle.purchase, key="cycle.purchase"))
    trees = [sqlglot.parse_one(text, read="duckdb") for text in texts]
    read = {column.name.lower() for tree in trees for column in tree.find_all(exp.Column)}
    read |= {config.data.transactions.columns.get(role, "").lower() for role in ("quantity", "amount")}
    tables, kept = {}, {}
    for name in ("transactions", "products", "customers"):
        table = getattr(config.data, name)
        derived = {} if table is None else table.derive
        idle = {column for column in derived if column.lower() not in read}
        kept[name] = tuple(column for column in getattr(columns, name) if column not in idle)
        if idle:
            needed = {column: text for column, text in derived.items() if column not in idle}
            tables[name] = table.model_copy(update={"derive": needed})
    data = config.data.model_copy(update=tables)
    trimmed = Columns(kept["transactions"], kept["products"], kept["customers"], columns.roles)
    return config.model_copy(update={"data": data}), trimmed


_ABOUT = (
    "-- Segment of each customer. Tables transactions, products and customers hold the columns of the shop's own files,\n"
    "-- times in the shop's zone as timestamps or ISO text, numbers with a decimal point.\n"
)
_RUNS = "-- Runs in DuckDB and SQLite, as far as the config's own conditions do.\n"


def translations(statement: str) -> dict[str, str]:
    """What ``segments_sql`` wrote, for other systems: ``segments.<dialect>.sql`` to its text.

    Where a system cannot say something as DuckDB does, the text says that and holds no statement.
    """
    return {f"segments.{dialect}.sql": _translated(statement, dialect) for dialect in SYSTEMS}


def _translated(statement: str, dialect: str) -> str:
    tree = sqlglot.parse_one(statement, read="duckdb")
    tree.comments = None
    system = SYSTEMS[dialect]
    if unsaid := list(dict.fromkeys(_unsaid(tree, dialect))):
        lines = "".join(f"--   {' '.join(one.split())}\n" for one in unsaid)
        return (
            f"-- Segments cannot be told in {system}: these expressions of the config have no equal there, or another meaning.\n"
            f"{lines}-- segments.sql holds the statement for DuckDB and SQLite; `segmentor assign` labels customers of any day.\n"
        )
    notes = f"-- For {system}: rewritten from segments.sql, and not run there. Names in quotes are written as in the files.\n"
    if dialect == "spark" and any(clause.recursive for clause in tree.find_all(exp.With)):
        notes += "-- Merging purchases of nearby days needs WITH RECURSIVE, which Spark has from 4.1 on (spark.sql.cteRecursionLevelLimit: occasions of a customer).\n"
    return f"{_ABOUT}{notes}{_mended(tree, dialect).sql(dialect=dialect, pretty=True, comments=False)};\n"


_STATEMENT: tuple[type[exp.Expr], ...] = (
    *(exp.Select, exp.With, exp.CTE, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered),
    *(exp.Table, exp.TableAlias, exp.Alias, exp.Star, exp.Subquery, exp.Distinct, exp.Union, exp.Exists),
    *(exp.Window, exp.WindowSpec, exp.RowNumber, exp.Lag, exp.Min, exp.Max, exp.Sum, exp.Count),
)
"""What our own queries are made of."""

_EVERYWHERE: tuple[type[exp.Expr], ...] = (
    *NAMES,
    *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between),
    *(exp.Like, exp.ILike, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Coalesce, exp.Nullif),
    *(
        exp.Add,
        exp.Sub,
        exp.Mul,
        exp.Div,
        exp.IntDiv,
        exp.Mod,
        exp.Neg,
        exp.Abs,
        exp.Round,
        exp.Floor,
        exp.Ceil,
        exp.Ln,
        exp.Sqrt,
    ),
    *TEXT,
    *(exp.StrPosition, exp.Cast, exp.Year, exp.Month, exp.Day, exp.Extract, exp.Var, exp.Interval),
)
"""What means the same in every system, as far as ``_means_another`` says nothing."""

_ALSO: dict[str, tuple[type[exp.Expr], ...]] = {
    "spark": (
        *(exp.TryCast, exp.Greatest, exp.Least, exp.Escape, exp.StartsWith, exp.EndsWith, exp.Contains, exp.SplitPart),
        *(exp.Quarter, exp.Hour, exp.RegexpLike, exp.RegexpExtract),
    ),
    "postgres": (exp.Greatest, exp.Least, exp.Escape, exp.StartsWith, exp.SplitPart, exp.RegexpLike),
    "bigquery": (exp.TryCast, exp.StartsWith, exp.EndsWith, exp.Quarter, exp.Hour, exp.RegexpLike, exp.RegexpExtract),
    "snowflake": (
        *(exp.TryCast, exp.Greatest, exp.Least, exp.Escape, exp.StartsWith, exp.EndsWith, exp.Contains, exp.SplitPart),
        *(exp.Quarter, exp.Hour, exp.RegexpExtract),
    ),
}
"""What more means the same in a system; DuckDB's reading of regular expressions (RE2) is close to each of theirs for plain patterns."""

_TYPES = {
    *(
        exp.DType.TEXT,
        exp.DType.VARCHAR,
        exp.DType.DOUBLE,
        exp.DType.FLOAT,
        exp.DType.SMALLINT,
        exp.DType.INT,
        exp.DType.BIGINT,
    ),
    *(exp.DType.DECIMAL, exp.DType.BOOLEAN, exp.DType.DATE, exp.DType.TIMESTAMP),
}
"""Types that every system has."""

_PARTS_OF_DATES = {"year", "quarter", "month", "day", "hour"}


def _unsaid(tree: exp.Expr, dialect: str) -> Iterator[str]:
    """Expressions that the system cannot say, in DuckDB's words."""
    known = (*_STATEMENT, *_EVERYWHERE, *_ALSO[dialect])
    for node in tree.walk():
        if type(node) not in known or _means_another(node, dialect):
            yield node.sql(dialect="duckdb", comments=False)


def _means_another(node: exp.Expr, dialect: str) -> bool:
    """Whether a kind of expression that all have is one that they read differently."""
    match node:
        case exp.DataType():
            return node.this not in _TYPES
        case exp.Like() | exp.ILike():
            # A backslash escapes in some systems and not in DuckDB.
            return not isinstance(node.expression, exp.Literal) or "\\" in node.expression.this
        case exp.Extract():
            return node.name.lower() not in _PARTS_OF_DATES
        case exp.Round():
            return dialect == "postgres" and node.args.get("decimals") is not None
        case exp.RegexpExtract():
            group, pattern = node.args.get("group"), node.expression
            one = isinstance(group, exp.Literal) and group.this == "1" and isinstance(pattern, exp.Literal)
            return not one or pattern.this.count("(") != 1 or node.args.get("parameters") is not None
        case exp.RegexpLike():
            return node.args.get("flag") is not None
    return False


def _mended(tree: exp.Expr, dialect: str) -> exp.Expr:
    """The statement with the words in which a system says what DuckDB means, where sqlglot does not find them."""

    def mend(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.TryCast) and dialect == "snowflake":
            # Snowflake tries casts of text alone.
            text = exp.cast(node.this, "text", dialect="duckdb", copy=False)
            return exp.TryCast(this=text, to=node.args["to"], requires_string=True)
        if isinstance(node, exp.RegexpExtract) and dialect in ("bigquery", "snowflake"):
            # Without a match DuckDB gives an empty text, and these nothing.
            return exp.Coalesce(
                this=node, expressions=[exp.Left(this=node.this.copy(), expression=exp.Literal.number(0))]
            )
        return node

    # A node that was put in its own place would be met again.
    for node in list(tree.find_all(exp.TryCast, exp.RegexpExtract)):
        if (better := mend(node.copy())) != node:
            node.replace(better)
    return tree


def _distinct(forks: Sequence[Fork]) -> tuple[Split, ...]:
    """The splits of the tree, each once."""
    return tuple({fork.split.labels: fork.split for fork in forks}.values())
