"""Conditions of the config: what is let through, what is refused, and how names are rewritten."""

from __future__ import annotations

import pytest

from segmentor.engine.conditions import MAX_LENGTH, columns_of, parse_condition, rewritten


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("size_oz <= 24", '"size_oz" <= 24'),
        ("category = 'CATSUP'", "\"product_category\" = 'CATSUP'"),
        (
            "CATEGORY in ('a', 'b') and not brand is null",
            "\"product_category\" IN ('a', 'b') AND NOT \"brand\" IS NULL",
        ),
        (
            "try_cast(regexp_extract(size, '([0-9.]+) *OZ', 1) as double)",
            "TRY_CAST(REGEXP_EXTRACT(\"size\", '([0-9.]+) *OZ', 1) AS DOUBLE)",
        ),
        ("\"a b\" like '%x%'", "\"a b\" LIKE '%x%'"),
        ("ordered_at >= '2024-10-07'", "\"ordered_at\" >= '2024-10-07'"),
        ("name = 'O''Brien'", "\"name\" = 'O''Brien'"),
        ("case when price > 5 then 1 else 0 end = 1", 'CASE WHEN "price" > 5 THEN 1 ELSE 0 END = 1'),
    ],
)
def test_expressions_are_rewritten_with_quoted_columns(text: str, sql: str) -> None:
    """A role becomes its column, every column is quoted, and literals stay as they are."""
    assert rewritten(text, {"category": "product_category"}) == sql


@pytest.mark.parametrize(
    "text",
    [
        "(select 1)",
        "a in (select b from c)",
        "exists (select 1)",
        "read_csv('/etc/passwd')",
        "read_text('x') = 'y'",
        "getenv('HOME') = 'x'",
        "a; drop table transactions",
        "sum(a) > 1",
        "row_number() over () = 1",
        "now() > ordered_at",
        "current_date",
        "*",
        "other.column = 1",
        "a >",
        "",
        "-- only a comment",
        "nextval('s') = 1",
        "a = (from range(3))",
        "pg_sleep(10) is null",
        "x -> x + 1",
        "$1 = 2",
        "a::json->>'b' = 'c'",
    ],
)
def test_anything_beyond_an_expression_over_columns_is_refused(text: str) -> None:
    """Sub-queries, table functions, aggregates, clocks and unknown functions never reach the database."""
    with pytest.raises(ValueError, match=r"."):
        parse_condition(text)


def test_an_endless_expression_is_refused() -> None:
    """A text beyond the length that any condition needs is refused before it is parsed."""
    with pytest.raises(ValueError, match=r"characters"):
        parse_condition("a = 1 or " * MAX_LENGTH)


def test_deep_nesting_is_refused_and_does_not_crash() -> None:
    """Thousands of parentheses end in an error of ours, not in a crash of the parser."""
    with pytest.raises(ValueError, match=r"not a SQL expression|not allowed"):
        parse_condition("(" * 4000 + "a" + ")" * 4000)


def test_columns_are_named_once_and_sorted() -> None:
    """The columns that an expression reads come without repetition."""
    assert columns_of("b > 1 and a < b or lower(c) = 'x'") == ("a", "b", "c")
