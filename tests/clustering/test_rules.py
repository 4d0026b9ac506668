"""A rule is its text: a database that evaluates it finds the same customers."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentor.clustering.rules import BoolArray, column_name, readable, rule_of
from segmentor.engine.conditions import rewritten
from segmentor.statistics.arrays import FloatArray

NAMES = ('category: "big" socks', "recency", "select", "weekday: Saturday")


def in_database(rule: str, features: FloatArray) -> BoolArray:
    """For whom a database says that the rule holds, nan being NULL."""
    columns = {
        name: pd.Series(column).astype("Float64").mask(np.isnan(column))
        for name, column in zip(NAMES, features.T, strict=True)
    }
    with duckdb.connect() as connection:
        connection.register("customers", pd.DataFrame(columns))
        condition = rewritten(rule, {})
        held = connection.execute(f"SELECT coalesce({condition}, false) FROM customers").fetchnumpy()
    return np.asarray(next(iter(held.values())), dtype=bool)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.1, 0.6]))
def test_text_of_a_rule_holds_for_its_members(seed: int, missing: float) -> None:
    """Text and members agree on counts, shares, skewed numbers, and values that are not known."""
    generator = np.random.default_rng(seed)
    n = 300
    features = np.column_stack(
        [
            generator.integers(0, 4, n) / generator.integers(1, 7, n),
            generator.lognormal(4, 1.5, n),
            generator.integers(1, 6, n).astype(float),
            generator.normal(size=n) * 10.0 ** generator.integers(-5, 6),
        ]
    )
    features[generator.random(features.shape) < missing] = np.nan
    group = np.nan_to_num(features[:, generator.integers(4)], nan=generator.normal() * 3) > generator.normal()
    group |= np.isnan(features[:, 0]) & (features[:, 2] > 2)
    group ^= generator.random(n) < 0.05
    rule = rule_of(features, group)
    if rule is None:
        return
    assert (in_database(rule.text(NAMES), features) == rule.holds(features)).all()


def test_missing_values_are_said() -> None:
    """A group of those of whom something is not known is said so, and one of those of whom it is."""
    generator = np.random.default_rng(1)
    features = generator.normal(size=(400, 4))
    features[:150, 1] = np.nan
    unknown = np.isnan(features[:, 1])
    for group, text in ((unknown, "recency is null"), (~unknown, "recency is not null")):
        rule = rule_of(features, group)
        assert rule is not None
        assert rule.text(NAMES) == text
        assert (rule.holds(features) == group).all()
    either = unknown | (features[:, 1] > 0.5)
    rule = rule_of(features, either)
    assert rule is not None
    assert (rule.holds(features) == either).mean() > 0.98
    assert "recency is null" in rule.text(NAMES)


def test_rule_is_no_longer_than_its_group_needs() -> None:
    """One feature makes one condition; two that are both needed make two; noise makes none."""
    generator = np.random.default_rng(2)
    features = generator.uniform(size=(1_000, 4))
    one = rule_of(features, features[:, 3] > 0.352)
    both = rule_of(features, (features[:, 3] > 0.352) & (features[:, 1] <= 0.5))
    assert one is not None
    assert both is not None
    assert one.text(NAMES) == '"weekday: Saturday" > 0.35'
    assert both.text(NAMES) == 'recency <= 0.5 and "weekday: Saturday" > 0.35'
    assert rule_of(features, np.ones(1_000, dtype=bool)) is None


@pytest.mark.parametrize(
    ("values", "threshold", "number"),
    [
        ([1, 2, 3, 4], 2.5, "2"),
        ([0, 0, 0.31, 0.36], 0.335, "0.33"),
        ([0, 0, 0.31, 0.42], 0.365, "0.4"),
        ([0, 0, 0.31, 0.36], 0.15, "0"),
        ([1190, 1320], 1255.0, "1300"),
        ([-3, -2], -2.5, "-3"),
        ([0.30001, 0.30002], 0.300015, "0.300015"),
    ],
)
def test_threshold_is_a_readable_number(values: list[float], threshold: float, number: str) -> None:
    """The number has the fewest digits that part the values as the threshold does."""
    assert readable(np.array(values, dtype=float), threshold) == Decimal(number)


def test_names_are_quoted_where_they_must_be() -> None:
    """A plain name stays plain, a word of SQL and anything odd is quoted."""
    assert [column_name(name) for name in NAMES] == [
        '"category: ""big"" socks"',
        "recency",
        '"select"',
        '"weekday: Saturday"',
    ]
