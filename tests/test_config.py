"""The config: what a file says is what the run gets, and every mistake is told once, with its line and its mend."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from segmentor.config import ExperimentConfig, json_schema, load_config
from segmentor.config import values as config_values
from segmentor.config.yaml_text import YamlSyntaxError, read_scalar, read_yaml
from segmentor.errors import ConfigError

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))

START = """\
experiment: demo
data:
  transactions:
    path: lines.csv
    columns: {customer: who, time: at}
"""
"""The least that a config says; what a test adds begins on line 6."""

SPLIT = "splits:\n  declared:\n    - name: size\n      known: first_purchase\n"
"""The beginning of a declared split, lines 6 to 9 after ``START``; its groups begin on line 10."""

FULL = """\
experiment: ketchup-size
title: Ketchup, small and large bottles
language: zh
seed: 7
data:
  engine: duckdb
  timezone: America/New_York
  source_timezone: UTC
  transactions:
    path: [data/a.csv, "data/b-*.csv"]
    encoding: gb18030
    delimiter: ";"
    decimal: ","
    date_format: "%d/%m/%Y %H:%M"
    columns: {customer: household_id, order: basket_id, time: at, product: product_id, quantity: q, amount: sales}
    where: "store_id <> 3"
  products:
    path: data/products.parquet
    columns: {product: product_id, category: product_category, brand: brand, aisle: place}
    derive: {size_oz: "try_cast(regexp_extract(package_size, '([0-9.]+) *OZ', 1) as double)"}
  customers: {path: data/people.tsv, columns: {customer: household_id}}
  contacts: {path: data/contacts.csv, columns: {customer: household_id, time: sent, arm: arm}}
  max_quarantined: 0.02
cycle:
  purchase: "category = 'CATSUP'"
  observed_from: 2017-01-01
  observed_until: 2017-12-31
  merge_within_days: 3
  horizon_days: 120
  advanced: {cohort: quarter, score: typical_gap, effect: typical_gap}
splits:
  declared:
    - name: bottle size
      known: first_purchase
      groups:
        small: "size_oz <= 24"
        large: {all: "size_oz >= 32"}
    - {name: brand, known: {first_purchases: 2}, by: brand}
    - {name: basket, known: {until: 2017-06-30}, by: order_amount, thresholds: auto}
    - {name: age, known: entry, by: age}
    - {name: ever, known: lifetime, by: brand}
  enumerated: {known: first_purchase, columns: auto, max_groups: 5, thresholds: false, pairs: true}
  clustered: {known: {until: 2017-06-30}, methods: [gmm], features: [composition, recency], max_clusters: 4}
trial: {minimum_effect: 0.2, minimum_share: 0.1, level: 0.01, confirm_share: 0.4, min_group: 50, return_days: [10, 20],
        advanced: {screening: benjamini_yekutieli}}
segments: {max_depth: 2}
cross_sell: {level: [category, brand], min_customers: 5, within_days: 9, max_items: 2, bundle_discount: 0, margin: 1}
privacy: {min_cell: 5, assigned: false}
"""
"""A config that sets every key."""

Load = Callable[..., ExperimentConfig]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a config from its text."""

    def loaded(text: str | bytes, *overrides: str) -> ExperimentConfig:
        path = tmp_path / "demo.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_config(path, overrides)

    return loaded


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """What is wrong with a config, the path of the file cut to its name."""

    def found(text: str | bytes, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            load(text, *overrides)
        assert raised.value.exit_code == 2
        return [problem.replace(f"{tmp_path}{os.sep}", "") for problem in raised.value.problems]

    return found


# What a config says


def test_left_out_keys_have_their_defaults(load: Load) -> None:
    """A config of five lines is complete: what it leaves out is off or has the published default."""
    config = load(START)
    transactions = config.data.transactions
    assert (config.title, config.language, config.seed) == ("demo", "en", 1)
    assert (config.data.engine, config.data.timezone, config.data.source_timezone) == ("duckdb", "UTC", None)
    assert (transactions.path, transactions.encoding, transactions.decimal) == (("lines.csv",), "utf-8", ".")
    assert config.data.products is config.data.customers is config.data.contacts is config.cross_sell is None
    assert config.splits.declared == ()
    assert config.splits.enumerated is config.splits.clustered is None
    assert (config.cycle.merge_within_days, config.cycle.horizon_days, config.cycle.advanced.cohort) == (
        1,
        None,
        "month",
    )
    assert (config.trial.minimum_effect, config.trial.level, config.trial.min_group) == (0.10, 0.05, 100)
    assert (config.trial.return_days, config.segments.max_depth) == ((30, 60, 90), 3)
    assert (config.privacy.min_cell, config.privacy.assigned) == (10, True)


def test_every_key_says_what_it_says(load: Load) -> None:
    """A config that sets every key arrives with those values."""
    config = load(FULL)
    assert config.data.transactions.path == ("data/a.csv", "data/b-*.csv")
    assert config.data.transactions.where == "store_id <> 3"
    assert config.data.products is not None
    assert config.data.products.columns["aisle"] == "place"
    assert list(config.data.products.derive) == ["size_oz"]
    assert (config.cycle.observed_from, config.cycle.observed_until) == (date(2017, 1, 1), date(2017, 12, 31))
    assert config.splits.declared[0].groups is not None
    small, large = config.splits.declared[0].groups.values()
    assert (small.condition, small.quantifier, large.quantifier) == ("size_oz <= 24", "any", "all")
    assert [str(split.known) for split in config.splits.declared] == [
        "first_purchase",
        "first_purchases: 2",
        "until: 2017-06-30",
        "entry",
        "lifetime",
    ]
    assert config.splits.declared[1].known.purchases == 2
    assert config.splits.declared[2].known.date == date(2017, 6, 30)
    assert config.cross_sell is not None
    assert config.cross_sell.level == ("category", "brand")


@pytest.mark.parametrize("section", ["cycle", "splits", "trial", "segments", "privacy", "cross_sell"])
def test_section_with_nothing_in_it_is_left_out(load: Load, section: str) -> None:
    """A key with nothing after it is the same as no key."""
    assert load(f"{START}{section}:\n").resolved() == load(START).resolved()


def test_config_cannot_be_changed(load: Load) -> None:
    """What was loaded stays as it is."""
    config = load(START)
    with pytest.raises(ValidationError):
        config.seed = 2  # type: ignore[misc]


def test_byte_order_mark_is_no_part_of_the_config(load: Load) -> None:
    """A file saved by a Windows editor, with its mark and its line ends, says the same."""
    marked = b"\xef\xbb\xbf" + START.replace("\n", "\r\n").encode()
    assert load(marked).resolved() == load(START).resolved()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("0123", "0123"),
        ("00", "00"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("2017-12-31", "2017-12-31"),
        ("1e5", 100000.0),
        ("1.50", 1.5),
        ("-3", -3),
        ("0", 0),
        ("true", True),
        ("~", None),
        ("", None),
    ],
)
def test_scalar_means_what_it_says(written: str, value: object) -> None:
    """No text is taken for a truth value, an octal number, a time in base 60 or a date."""
    read = read_yaml(f"key: {written}").value["key"]
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("written", ["'5'", '"5"', "|\n  5", ">-\n  5"])
def test_quoted_scalar_is_text(written: str) -> None:
    """Quotes and blocks make text of anything."""
    assert read_yaml(f"key: {written}").value["key"].strip() == "5"


@given(st.text(alphabet="+-.0123456789eEinfaNIF_xo:~ultrueys", max_size=12))
def test_scalar_is_a_finite_number_or_itself(text: str) -> None:
    """Text without quotes is one of the constants, a number that Python reads the same, one that is not finite, or untouched."""
    value = read_scalar(text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        assert not math.isfinite(value) or value == float(text)
    else:
        assert value is None or isinstance(value, bool) or value == text


def test_text_of_countries_and_codes_stays_text(load: Load) -> None:
    """Group names and columns such as NO, 0123 and 12:30:45 arrive as they are written."""
    config = load(START + SPLIT + "      groups: {NO: \"land = 'NO'\", 0123: a, 12:30:45: b}\n")
    assert list(config.splits.declared[0].groups or ()) == ["NO", "0123", "12:30:45"]
    assert load(START, "data.transactions.columns.customer=0123").data.transactions.columns["customer"] == "0123"


# What the outputs hold of it


def test_resolved_config_loads_again_as_itself(load: Load) -> None:
    """The config of a manifest is a config, and is the same experiment."""
    resolved = load(FULL).resolved()
    assert load(json.dumps(resolved)).resolved() == resolved
    assert resolved["splits"]["declared"][0]["groups"] == {"small": "size_oz <= 24", "large": {"all": "size_oz >= 32"}}


def test_resolved_config_names_no_place_on_this_machine(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Paths are shown as declared: no environment, no absolute folder; the config's folder is kept for reading only."""
    monkeypatch.setenv("CANARY", "secret-folder")
    config = load(START, f"data.transactions.path=['${{CANARY}}/a.csv', '{tmp_path}/b.csv']")
    assert config.data.transactions.path == ("secret-folder/a.csv", f"{tmp_path}/b.csv")
    assert config.resolved()["data"]["transactions"]["path"] == ["${CANARY}/a.csv", "b.csv"]
    assert config.folder == tmp_path
    assert config.source == "demo.yaml"
    assert str(tmp_path) not in json.dumps(config.resolved())
    assert "secret" not in json.dumps(config.resolved())


@pytest.mark.parametrize("path", [r"C:\data\a.csv", r"\data\a.csv", "C:a.csv"])
def test_absolute_path_of_windows_is_shown_by_its_name(load: Load, path: str) -> None:
    """A drive and its folders stay out of the outputs."""
    assert load(START, f"data.transactions.path={path}").resolved()["data"]["transactions"]["path"] == ["a.csv"]


# What is wrong


@pytest.mark.parametrize(
    ("added", "told"),
    [
        # unknown and repeated keys
        ("trial: {levle: 0.1}", "6: trial.levle: is no key of this section; did you mean level?"),
        ("Seed: 3", "6: Seed: is no key of this section; did you mean seed?"),
        ("privacy: {zzz: 1}", "6: privacy.zzz: is no key of this section; write min_cell or assigned"),
        ("seed: 1\nlanguage: en\nseed: 2", "8: seed: stands here again, after line 6; keep one of the two"),
        ("experiment: x", "6: experiment: stands here again, after line 1; keep one of the two"),
        # types
        ('seed: "5"', "6: seed: '5' is not a whole number; write 5"),
        ("seed: 0123", "6: seed: '0123' is not a whole number; write 123"),
        ("seed: 1.0", "6: seed: 1.0 is not a whole number; write 1"),
        ("seed: 1e5", "6: seed: 1e5 is not a whole number; write 100000"),
        ("seed: 2.5", "6: seed: 2.5 is not a whole number; write digits only, such as 5"),
        ('seed: ""', "6: seed: '' is not a whole number; write digits only, such as 5"),
        ("seed: true", "6: seed: true is not a whole number; write digits only, such as 5"),
        ("seed: 12:30:45", "6: seed: '12:30:45' is not a whole number; write digits only, such as 5"),
        ("seed: []", "6: seed: a list is not a whole number; write digits only, such as 5"),
        ("seed:", "6: seed: nothing is written here; write a value or leave the key out"),
        ('trial: {level: "0.05"}', "6: trial.level: '0.05' is not a number; write 0.05"),
        ("trial: {level: true}", "6: trial.level: true is not a number; write a number such as 0.05"),
        ("title: 5", '6: title: 5 is not text; put it in quotes: "5"'),
        ("title: True", '6: title: True is not text; put it in quotes: "True"'),
        ("title: {a: b}", "6: title: a section of keys is not text; write text"),
        ("language: NO", "6: language: 'NO' is not known here; write en or zh"),
        ("cycle: {purchase: 0.50}", '6: cycle.purchase: 0.50 is not text; put it in quotes: "0.50"'),
        ("trial: 5", "6: trial: 5 is not a section; write its keys below it, each as key: value"),
        ("privacy: [1]", "6: privacy: a list is not a section; write its keys below it, each as key: value"),
        (
            "trial: {return_days: 30}",
            "6: trial.return_days: 30 is not a list; write [a, b], or each item on a line of its own after a dash",
        ),
        (
            "splits: {enumerated: {pairs: yes}}",
            "6: splits.enumerated.pairs: 'yes' is neither true nor false; write true or false, without quotes",
        ),
        # impossible values
        ("trial: {level: 5}", "6: trial.level: 5 is not a probability; did you mean 0.05?"),
        ("trial:\n\n  level: 0", "8: trial.level: 0 is not a probability; write a number between 0 and 1"),
        (
            "trial: {confirm_share: -1}",
            "6: trial.confirm_share: -1 is not a probability; write a number between 0 and 1",
        ),
        ("trial: {minimum_effect: 10}", "6: trial.minimum_effect: 10 is not a share; did you mean 0.1?"),
        (
            "trial: {minimum_share: .inf}",
            "6: trial.minimum_share: .inf is no number that a setting can have; write a smaller one, or put text in quotes",
        ),
        (
            "trial: {level: .NaN}",
            "6: trial.level: .NaN is no number that a setting can have; write a smaller one, or put text in quotes",
        ),
        (
            "trial: {level: -1e400}",
            "6: trial.level: -1e400 is no number that a setting can have; write a smaller one, or put text in quotes",
        ),
        ("cycle: {merge_within_days: 0}", "6: cycle.merge_within_days: 0 is too small; write 1 or more"),
        ("cycle: {horizon_days: -30}", "6: cycle.horizon_days: -30 is too small; write 1 or more"),
        ("cycle: {horizon_days: 99999}", "6: cycle.horizon_days: 99999 is too large; write 36500 or less"),
        ("trial: {min_group: 1}", "6: trial.min_group: 1 is too small; write 2 or more"),
        ("trial: {return_days: [30, 0]}", "6: trial.return_days.1: 0 is too small; write 1 or more"),
        ("trial: {return_days: [30, 30]}", "6: trial.return_days: 30 stands more than once; keep one"),
        (
            "trial: {return_days: []}",
            "6: trial.return_days: is an empty list; name one at least, or leave the key out",
        ),
        (
            "cycle:\n  observed_from: 2017-12-31\n  observed_until: 2017-01-01",
            "8: cycle.observed_until: 2017-01-01 lies before observed_from, 2017-12-31; exchange the two or correct one",
        ),
        (
            "cycle: {observed_until: 2017-02-30}",
            "6: cycle.observed_until: 2017-02-30 is not in the calendar; write a day that is",
        ),
        (
            "cycle: {observed_until: 31/12/2017}",
            "6: cycle.observed_until: '31/12/2017' is not a date; write year-month-day, such as 2017-12-31",
        ),
        (
            "cycle: {observed_until: 20171231}",
            "6: cycle.observed_until: 20171231 is not a date; write year-month-day, such as 2017-12-31",
        ),
        (
            "cycle: {observed_until: 2567-01-01}",
            "6: cycle.observed_until: 2567-01-01 is out of range; write a year of the common calendar, 1900 to 2200",
        ),
        (
            "cycle: {advanced: {cohort: none, score: typical_gap}}",
            "6: cycle.advanced.score: typical_gap is only valid within cohorts; write typical_customer, or cohort: month",
        ),
        (
            "cycle: {advanced: {cohort: months}}",
            "6: cycle.advanced.cohort: 'months' is not known here; did you mean month?",
        ),
        ('cycle: {purchase: " "}', "6: cycle.purchase: is empty text; write something or leave the key out"),
        ('title: "a\\0b"', "6: title: holds the control character '\\x00'; take it out"),
        (f"title: {'x' * 300}", "6: title: is 300 characters long; keep it within 200"),
        ("cross_sell: {margin: 40}", "6: cross_sell.margin: 40 is not a share; did you mean 0.4?"),
        (
            "cross_sell: {margin: 0.05}",
            "6: cross_sell.margin: 0.05 is no more than bundle_discount, 0.05, which would leave nothing of a bundle; correct one of the two",
        ),
        (
            "cross_sell: {bundle_discount: 0.5}",
            "6: cross_sell.margin: 0.4 is no more than bundle_discount, 0.5, which would leave nothing of a bundle; correct one of the two",
        ),
        ("cross_sell: {level: [a, b, a]}", "6: cross_sell.level: 'a' stands more than once; keep one"),
        (
            "cross_sell: {level: 5}",
            "6: cross_sell.level: 5 is neither text nor a list; put text in quotes, or write [a, b]",
        ),
        # splits
        (
            SPLIT.removesuffix("\n"),
            (
                "8: splits.declared.0.by: the split has neither groups nor by; "
                "write groups: {name: condition, ...} or by: COLUMN"
            ),
        ),
        (
            SPLIT + "      by: a\n      groups: {x: a, y: b}",
            "10: splits.declared.0.by: stands beside groups; keep one of the two",
        ),
        (
            SPLIT + "      groups: {x: a, y: b}\n      thresholds: auto",
            "11: splits.declared.0.thresholds: goes with by: COLUMN and not with groups; leave it out",
        ),
        (
            SPLIT + "      by: a\n      thresholds: 5",
            "11: splits.declared.0.thresholds: 5 is not known here; write auto",
        ),
        (SPLIT + "      by: NO\n      By: a", "11: splits.declared.0.By: is no key of this section; did you mean by?"),
        (
            SPLIT + "      groups: {x: a}",
            "10: splits.declared.0.groups: 1 group is nothing to compare; write two groups or more",
        ),
        (
            SPLIT + "      groups: [a, b]",
            "10: splits.declared.0.groups: a list is not a section; write its keys below it, each as key: value",
        ),
        (
            SPLIT + "      groups:\n        x: a\n        x: b\n        y: c",
            "12: splits.declared.0.groups.x: stands here again, after line 11; keep one of the two",
        ),
        (
            SPLIT + "      groups: {x: a, y: {al: b}}",
            (
                "10: splits.declared.0.groups.y: a section of keys is not a condition; "
                "write a condition in quotes, or {all: condition}"
            ),
        ),
        (
            SPLIT + "      groups: {x: a, y: 5}",
            "10: splits.declared.0.groups.y: 5 is not a condition; write a condition in quotes, or {all: condition}",
        ),
        (
            SPLIT + '      groups: {x: a, y: ""}',
            "10: splits.declared.0.groups.y: is empty text; write something or leave the key out",
        ),
        *(
            (
                SPLIT + f"      groups: {{x: a, {name}: b}}",
                f"10: splits.declared.0.groups.{name}: '{name}' is a name that the results use themselves; choose another",
            )
            for name in ("mixed", "Not yet known", "all")
        ),
        *(
            (
                SPLIT + f"      groups: {{x: a, '{name}': b}}",
                (
                    f"10: splits.declared.0.groups.{name}: '|' and ' / ' separate names in the results; "
                    "choose a name without them"
                ),
            )
            for name in ("a|b", "a / b")
        ),
        (
            SPLIT + "      by: a\n    - name: size\n      known: entry\n      by: b",
            "11: splits.declared.1.name: 'size' names an earlier split too; choose another name",
        ),
        (
            "splits:\n  declared: [{name: a, known: frist_purchase, by: b}]",
            "7: splits.declared.0.known: 'frist_purchase' does not say when the split is known; did you mean first_purchase?",
        ),
        (
            "splits:\n  declared: [{name: a, known: {first_purchase: 2}, by: b}]",
            "7: splits.declared.0.known: {first_purchase: ...} does not say when the split is known; did you mean {first_purchases: 2}?",
        ),
        (
            "splits:\n  declared: [{name: a, known: {first_purchases: 0}, by: b}]",
            "7: splits.declared.0.known.first_purchases: 0 is not a number of purchases; write 1 or more",
        ),
        (
            "splits:\n  declared: [{name: a, known: {until: June}, by: b}]",
            "7: splits.declared.0.known.until: 'June' is not a date; write year-month-day, such as 2017-12-31",
        ),
        (
            "splits:\n  declared: [{name: a, known: {until: 2017-06-30, first_purchases: 2}, by: b}]",
            "7: splits.declared.0.known: a section of keys does not say when the split is known; write {first_purchases: 2} or {until: 2017-06-30}",
        ),
        (
            "splits:\n  declared: [{name: a, by: b}]",
            "7: splits.declared.0.known: is missing; write known: first_purchase",
        ),
        (
            "cycle: {observed_until: 2017-12-31}\nsplits:\n  declared: [{name: a, known: {until: 2018-01-01}, by: b}]",
            "8: splits.declared.0.known.until: nothing is observed from 2018-01-01 on; write a day until 2017-12-31",
        ),
        (
            "cycle: {observed_from: 2017-01-01}\nsplits:\n  clustered: {known: {until: 2017-01-01}}",
            "8: splits.clustered.known.until: nothing is observed before 2017-01-01; write a day after 2017-01-01",
        ),
        ("splits: {clustered: {}}", "6: splits.clustered.known: is missing; write known: {until: 2017-06-30}"),
        (
            "splits: {clustered: {known: entry, methods: [kmean]}}",
            "6: splits.clustered.methods.0: 'kmean' is not known here; did you mean kmeans?",
        ),
        (
            "splits: {clustered: {known: entry, features: [recensy]}}",
            "6: splits.clustered.features: 'recensy' is no feature; did you mean recency?",
        ),
        # what YAML offers and a config does not take
        ("privacy: &p {min_cell: 5}", "6: privacy: &p is an anchor; leave it out"),
        ("privacy: *p", "6: privacy: *p refers to another place; write the value out"),
        ("seed: !!int 5", "6: seed: a tag (!) stands before the value; leave it out"),
        ("seed: !!python/object:os.system 5", "6: seed: a tag (!) stands before the value; leave it out"),
        ("privacy: {<<: {min_cell: 5}}", "6: privacy: << merges keys from elsewhere; write the keys out"),
        ("privacy: {[a]: 5}", "6: privacy: a key is no plain text; write key: value"),
        ("---\nexperiment: b", "6: a second document begins; keep one experiment in a file"),
    ],
)
def test_mistake_is_told_once_with_line_key_and_mend(problems: Problems, added: str, told: str) -> None:
    """One mistake is one line: where it is, what was found, and what to write instead."""
    assert problems(f"{START}{added}\n") == [f"demo.yaml:{told}"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            "path: a.csv",
            "3: data.transactions.columns: is missing; write columns: {customer: customer_id, time: ordered_at}",
        ),
        (
            "columns: {customer: a, time: b}",
            "3: data.transactions.path: is missing; write path: data/transactions.parquet",
        ),
        (
            "path: a.csv\n    columns: {customer: a}",
            "5: data.transactions.columns.time: is missing; write time: COLUMN, the column of the time of purchase",
        ),
        (
            "path: a.csv\n    columns: {custmer: a, time: b}",
            "5: data.transactions.columns.custmer: is not a role; did you mean customer?",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b, aisle: c}",
            (
                "5: data.transactions.columns.aisle: is not a role; roles are customer, time, order, product, quantity, amount, "
                "discount, channel; conditions read other columns by their own names"
            ),
        ),
        (
            "path: a.csv\n    columns: {customer: 5, time: b}",
            "5: data.transactions.columns.customer: 5 is not the name of a column; put the name in quotes",
        ),
        (
            "path: a.csv\n    columns: [a]",
            "5: data.transactions.columns: a list names no columns; write {role: column}",
        ),
        (
            "path: 5\n    columns: {customer: a, time: b}",
            "4: data.transactions.path: 5 is neither text nor a list; put text in quotes, or write [a, b]",
        ),
        (
            "path: []\n    columns: {customer: a, time: b}",
            "4: data.transactions.path: is an empty list; name one at least, or leave the key out",
        ),
        (
            "path:\n      - a.csv\n      - 5\n    columns: {customer: a, time: b}",
            "6: data.transactions.path.1: 5 is not a path; put it in quotes",
        ),
        (
            "path: [a.csv, a.csv]\n    columns: {customer: a, time: b}",
            "4: data.transactions.path: 'a.csv' stands more than once; keep one",
        ),
        (
            'path: "a\\nb.csv"\n    columns: {customer: a, time: b}',
            "4: data.transactions.path: runs over a line end or a tab; write it on one line",
        ),
        *(
            (
                f"path: '{path}'\n    columns: {{customer: a, time: b}}",
                (
                    "4: data.transactions.path: is an address and not a file of this machine; "
                    "copy the file here and write its path"
                ),
            )
            for path in (
                "http://user:password@example.com/a.csv",
                "s3://example/a.parquet",
                "file:///a.csv",
                "\\\\example\\share\\a.csv",
                "//example/a.csv",
                "${PWD_OF_TEST}a.csv",
            )
        ),
        (
            "path: ${NOT_SET_ANYWHERE}/a.csv\n    columns: {customer: a, time: b}",
            (
                "4: data.transactions.path: the environment variable NOT_SET_ANYWHERE is not set; "
                "set it before the run or write the path out"
            ),
        ),
        (
            "path: ${NOT/a.csv\n    columns: {customer: a, time: b}",
            "4: data.transactions.path: holds '${' that no '}' closes; write ${NAME}",
        ),
        (
            "path: ${}/a.csv\n    columns: {customer: a, time: b}",
            "4: data.transactions.path: '${}' names no environment variable; write ${NAME}",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    encoding: utf-88",
            "6: data.transactions.encoding: 'utf-88' is not a text encoding; did you mean utf-8?",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    encoding: hex",
            "6: data.transactions.encoding: 'hex' is not a text encoding; write utf-8, gb18030, big5 or utf-16",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    date_format: dd/mm/yyyy",
            "6: data.transactions.date_format: 'dd/mm/yyyy' does not give year, month and day; write such as %d/%m/%Y",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    date_format: '%d/%m/%Q'",
            "6: data.transactions.date_format: '%Q' is not known in a date format; write such as %d/%m/%Y %H:%M:%S",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    delimiter: ';;'",
            '6: data.transactions.delimiter: \';;\' is not one character; write such as ";" or "\\t"',
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    delimiter: ','\n    decimal: ','",
            "7: data.transactions.decimal: is the delimiter too; choose another delimiter",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n    derive: {new: 1 + 1, Time: c}",
            "6: data.transactions.derive.Time: is also a role or another new column; choose another name",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n  products: {path: b.csv, columns: {product: c}}",
            "5: data.transactions.columns.product: is missing, and data.products is joined by it; write product: COLUMN",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b, product: c}\n  products: {path: b.csv, columns: {brand: c}}",
            "6: data.products.columns.product: is missing; write product: COLUMN, the column of the product's id",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n  timezone: Europe/Pari",
            "6: data.timezone: 'Europe/Pari' is not a time zone; did you mean Europe/Paris?",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n  timezone: ../etc/passwd",
            "6: data.timezone: '../etc/passwd' is not a time zone; write a name such as Europe/Paris",
        ),
        (
            "path: a.csv\n    columns: {customer: a, time: b}\n  max_quarantined: 5",
            "6: data.max_quarantined: 5 is not a share; did you mean 0.05?",
        ),
    ],
)
def test_mistake_in_the_data_section_is_told(
    problems: Problems, monkeypatch: pytest.MonkeyPatch, data: str, told: str
) -> None:
    """Tables are checked as far as a config can be without opening them, and secrets of a path are not repeated."""
    monkeypatch.setenv("PWD_OF_TEST", "https://user:password@example.com/")
    found = problems(f"experiment: demo\ndata:\n  transactions:\n    {data}\n")
    assert found == [f"demo.yaml:{told}"]
    assert "password" not in "".join(found)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("size <", "is not a SQL expression"),
        ("(select 1)", "is not allowed"),
        ("read_text('x') = ''", "is not allowed"),
        ("a; drop table b", "is not one SQL expression"),
    ],
)
@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("cycle:\n  purchase: CONDITION", "7: cycle.purchase"),
        (SPLIT + "      groups:\n        x: a\n        y: CONDITION", "12: splits.declared.0.groups.y"),
        (SPLIT + "      groups:\n        x: a\n        y: {all: CONDITION}", "12: splits.declared.0.groups.y"),
    ],
)
def test_condition_is_checked_where_it_stands(
    problems: Problems, key: str, place: str, condition: str, told: str
) -> None:
    """What is no condition, or would reach beyond its table, is told with its line before anything opens."""
    (found,) = problems(START + key.replace("CONDITION", f'"{condition}"') + "\n")
    assert found.startswith(f"demo.yaml:{place}: ")
    assert told in found


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("My Shop", "did you mean my-shop?"),
        ("../x", "did you mean x?"),
        ("-rf", "did you mean rf?"),
        ("a/b", "did you mean a-b?"),
        ("CON", "write letters, digits, - and _"),
        ("..", "write letters, digits, - and _"),
    ],
)
def test_name_of_the_experiment_can_name_a_folder(problems: Problems, name: str, mend: str) -> None:
    """A name that would leave its folder, or could not be made everywhere, is refused."""
    told = f"demo.yaml:1: experiment: '{name}' cannot name a folder; {mend}"
    assert problems(START.replace("demo", f"'{name}'", 1)) == [told]


@pytest.mark.parametrize("name", ["ketchup-size", "Ketchup_2", "v1.2", "香水"])
def test_name_of_the_experiment_may_be_of_any_script(load: Load, name: str) -> None:
    """Letters of any script, digits, points, hyphens and underscores are fine."""
    assert load(START.replace("demo", name, 1)).experiment == name


def test_missing_sections_are_told_where_they_belong(problems: Problems) -> None:
    """What must be there and is not is told with an example."""
    assert problems("seed: 1\n") == [
        "demo.yaml:1: experiment: is missing; write experiment: ketchup-size",
        "demo.yaml:1: data: is missing; write data: {transactions: {path: ..., columns: ...}}",
    ]


def test_misspelt_key_is_not_missing_too(problems: Problems) -> None:
    """A required key with a typing error is one mistake and not two."""
    assert problems(START.replace("experiment:", "experimnt:")) == [
        "demo.yaml:1: experimnt: is no key of this section; did you mean experiment?"
    ]


def test_all_mistakes_come_at_once_in_the_order_of_lines(problems: Problems) -> None:
    """Keys, types, values, contradictions and conditions are told together."""
    found = problems("""\
experiment: My Shop
seed: "5"
data:
  timezone: Mars/Olympus
  transactions:
    path: s3://example/x.csv
    columns: {customer: who, tiem: at}
  products: {path: p.csv, columns: {product: p}}
cycle: {observed_from: 2018-01-01, observed_until: 2017-01-01}
splits:
  declared:
    - name: a
      known: {first_purchases: 0}
      groups: {x: "1 +", mixed: b}
    - name: a
      known: {until: 2016-01-01}
trial: {level: 5, levl: 1}
trial: {level: 0.05}
""")
    assert [re.sub(r"(demo.yaml:\d+: [\w.]+).*", r"\1", line) for line in found] == [
        "demo.yaml:1: experiment",
        "demo.yaml:2: seed",
        "demo.yaml:4: data.timezone",
        "demo.yaml:6: data.transactions.path",
        "demo.yaml:7: data.transactions.columns.tiem",
        "demo.yaml:7: data.transactions.columns.product",
        "demo.yaml:9: cycle.observed_until",
        "demo.yaml:13: splits.declared.0.known.first_purchases",
        "demo.yaml:14: splits.declared.0.groups.x",
        "demo.yaml:14: splits.declared.0.groups.mixed",
        "demo.yaml:15: splits.declared.1.by",
        "demo.yaml:15: splits.declared.1.name",
        "demo.yaml:16: splits.declared.1.known.until",
        "demo.yaml:17: trial.level",
        "demo.yaml:17: trial.levl",
        "demo.yaml:18: trial",
    ]


# Files that cannot be read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "3:2: a bracket is opened and never closed, or a comma is missing; close it"),
        ("a:\n\tb: 1\n", "2:1: a tab stands where only spaces may; indent with spaces"),
        (
            "a: b: c\n",
            (
                "1:5: a colon stands inside a value, or the line is indented too far; "
                "put the value in quotes or align the key"
            ),
        ),
        ('a: 1\nb: "x\n', "2:4: a quote is opened and never closed; close it"),
        ("a: @x\n", "1:4: a value may not begin with this character; put it in quotes"),
        ("a: 1\nb: \x07\n", "2:4: an invisible control character; take it out"),
        ('a: "x" y\n', "1:8: this is no YAML; check the indentation, quotes and brackets above it"),
        ('a: "\\d"\n', "1:6: a backslash in double quotes; use single quotes"),
        ("a: {b}}\n", "1:7: this is no YAML; check the indentation, quotes and brackets above it"),
        ("a: " + "[" * 20_000, "1:24: nested more than 20 deep; write it flatter"),
        ("".join(f"{' ' * level}k:\n" for level in range(30)), "22:22: nested more than 20 deep; write it flatter"),
        ("", "1: is empty; begin with experiment: NAME"),
        ("# only a comment\n", "1: is empty; begin with experiment: NAME"),
        ("- a\n", "1: a list is no config; begin with experiment: NAME"),
        (b"a: 1\nb: \xff\n", "2: byte 0xff is not UTF-8; save the file as UTF-8"),
    ],
)
def test_text_that_is_no_config_is_told_by_line_and_column(problems: Problems, text: str | bytes, told: str) -> None:
    """Where the reading stops, line and column say where."""
    assert problems(text) == [f"demo.yaml:{told}"]


def test_directive_is_refused(problems: Problems) -> None:
    """No line of the file changes how the rest of it is read."""
    assert problems(f"%YAML 1.1\n---\n{START}") == ["demo.yaml:2: a directive (%) stands above; leave it out"]


def test_alias_bomb_is_refused_at_once(problems: Problems) -> None:
    """Nine levels of nine aliases each are refused in well under a second, without being unfolded."""
    levels = [
        f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    began = time.perf_counter()
    found = problems(START + "a: &a [1]\n" + "\n".join(levels))
    assert time.perf_counter() - began < 5
    assert any("*h refers to another place" in problem for problem in found)


def test_config_larger_than_a_megabyte_is_refused(problems: Problems) -> None:
    """A file that cannot be a config is not read to its end."""
    assert problems(START + "#" * 1_000_000) == [
        "demo.yaml: is larger than 1,000,000 bytes; a config is a few kilobytes, is this one?"
    ]


def test_path_that_is_no_file_is_told(tmp_path: Path) -> None:
    """A folder, a pipe and nothing at all are told apart, and none is waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path, found in (
        (tmp_path, "is a folder"),
        (tmp_path / "a", "does not exist"),
        (tmp_path / "pipe", "is no regular file"),
    ):
        with pytest.raises(ConfigError, match=re.escape(f"{path}: {found}; give the path of a YAML file")):
            load_config(path)


def test_message_cannot_act_on_a_terminal(problems: Problems) -> None:
    """Escape sequences and marks of direction in a key are shown as text."""
    (found,) = problems(START + '"\\e[31mred\\u202e": 1\n')
    assert "\\x1b[31mred\\u202e" in found
    assert found.isprintable()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@,? \n\t01.~<", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail in another way than by its own error."""
    try:
        document = read_yaml(text)
    except YamlSyntaxError as error:
        where = [(error.line, error.column)]
    else:
        where = [(place.line, 1) for place in document.places.values()]
        json.dumps(document.value)
    last = text.count("\n") + 1
    assert all(1 <= line <= last and column >= 1 for line, column in where)


# Overrides


def test_override_changes_one_value(load: Load) -> None:
    """--set reaches sections, items of lists and sections that are not there yet, and reads values as the file does."""
    config = load(
        FULL,
        "trial.level=0.1",
        "splits.declared.1.name=label",
        "splits.declared.1.known={first_purchases: 3}",
        "cycle.purchase=category = 'MUSTARD'",
        "cycle.observed_from=2017-02-01",
        'title="5"',
        "cross_sell=null",
        "data.products=",
    )
    assert (config.trial.level, config.trial.min_group) == (0.1, 50)
    assert (config.splits.declared[1].name, str(config.splits.declared[1].known)) == ("label", "first_purchases: 3")
    assert (config.cycle.purchase, config.cycle.observed_from) == ("category = 'MUSTARD'", date(2017, 2, 1))
    assert config.title == "5"
    assert config.cross_sell is config.data.products is None
    assert load(START, "cycle.advanced.cohort=none", "trial.return_days=[7]").trial.return_days == (7,)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("trial.level=5", "trial.level: 5 is not a probability; did you mean 0.05?"),
        ("trial.levle=0.1", "trial.levle: is no key of this section; did you mean level?"),
        ("seed=0123", "seed: '0123' is not a whole number; write 123"),
        ("trial", "trial: is no setting; write key.path=value"),
        ("=5", "=5: is no setting; write key.path=value"),
        ("seed.x=5", "seed.x: seed is 1 and has no keys; name a key that has a value"),
        ("splits.declared.3.name=a", "splits.declared.3.name: splits.declared is a list of 1; write the number of an item, from 0"),
        ("splits.declared.0.known={until: x}", ("splits.declared.0.known: splits.declared.0.known.until: 'x' is not a date; "
         "write year-month-day, such as 2017-12-31")),
        ("trial={level: 0.1, level: 0.2}", "trial: trial.level: stands here again, after line 1; keep one of the two"),
        ("title=[a", "title: column 3 of the value: a bracket is opened and never closed, or a comma is missing; close it"),
        ("data.transactions=", "data.transactions: nothing is written here; write a value or leave the key out"),
    ],
)  # fmt: skip
def test_wrong_override_is_told_by_its_key(problems: Problems, override: str, told: str) -> None:
    """A mistake of --set is told by its key path and not by a line of the file."""
    assert problems(f"{START}seed: 1\n{SPLIT}      by: a\n", override) == [f"--set {told}"]


def test_override_mends_the_file(load: Load) -> None:
    """A wrong value of the file that is overridden is no mistake."""
    assert load(f"{START}trial: {{level: 5}}\n", "trial.level=0.05").trial.level == 0.05


def test_mistakes_of_file_and_overrides_come_together(problems: Problems) -> None:
    """The file's come first, then those of --set."""
    assert problems(f"{START}seed: -1\n", "language=de") == [
        "demo.yaml:6: seed: -1 is too small; write 0 or more",
        "--set language: 'de' is not known here; write en or zh",
    ]


# The machine


def test_time_zones_are_taken_on_trust_where_the_system_has_no_list(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a time zone database nothing is refused here; the engine has its own."""

    def unknown(_: str) -> object:
        raise KeyError

    monkeypatch.setattr(config_values, "ZoneInfo", unknown)
    monkeypatch.setattr(config_values, "available_timezones", set)
    assert load(START, "data.timezone=Europe/Paris").data.timezone == "Europe/Paris"


def test_import_loads_no_engine() -> None:
    """The config knows neither a database nor a data frame, and its import does not read YAML or SQL yet."""
    code = "import sys, segmentor.config; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"duckdb", "pandas", "numpy", "ruamel.yaml", "sqlglot"} & set(loaded)


# The schema and the configs that come with the package


def _described(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of a JSON Schema, with what is said of it."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}.{name}", value
        for name, value in schema.items():
            yield from _described(value, f"{path}.{name}")
    elif isinstance(schema, list):
        for value in schema:
            yield from _described(value, path)


def test_every_key_is_described() -> None:
    """An editor can say what each key means."""
    keys = dict(_described(json_schema()))
    assert len(keys) > 80
    assert not [key for key, value in keys.items() if not str(value.get("description", "")).endswith(".")]


def test_every_key_of_the_model_is_in_the_schema_and_back(load: Load) -> None:
    """The schema and the complete config have the same keys at the top and in each section."""
    schema, resolved = json_schema(), load(FULL).resolved()
    assert list(schema["properties"]) == list(resolved)
    for section, definition in (
        ("trial", "TrialSettings"),
        ("cycle", "Cycle"),
        ("cross_sell", "CrossSell"),
        ("data", "Data"),
    ):
        assert list(schema["$defs"][definition]["properties"]) == list(resolved[section])


def _mismatches(value: object, schema: dict[str, Any], root: dict[str, Any], path: str = "") -> list[str]:
    """Where a value departs from a JSON Schema; knows the words that ours uses."""
    if "$ref" in schema:
        return _mismatches(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, path)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return [] if any(not _mismatches(value, one, root, path) for one in schema[word]) else [path]
    if "enum" in schema or "const" in schema:
        return [] if value in schema.get("enum", [schema.get("const")]) else [path]
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    kind = schema["type"]
    if kind == "null":
        return [] if value is None else [path]
    if not isinstance(value, types[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [path]
    found: list[str] = []
    if isinstance(value, dict):
        found += [f"{path}.{key}" for key in schema.get("required", []) if key not in value]
        other = schema.get("additionalProperties", True)
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, other)
            found += [f"{path}.{key}"] if inner is False else []
            found += _mismatches(item, inner, root, f"{path}.{key}") if isinstance(inner, dict) else []
    if isinstance(value, list):
        found += [
            where
            for number, item in enumerate(value)
            for where in _mismatches(item, schema["items"], root, f"{path}.{number}")
        ]
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_of_the_package_loads_and_fits_the_schema(path: Path) -> None:
    """Every config that comes with the package is valid for the loader and for an editor."""
    config = load_config(path)
    assert config.experiment == path.stem
    assert config.seed == 1
    discovers = path.stem.endswith("discovery")
    assert bool(config.splits.declared) is not discovers
    assert (config.splits.enumerated is not None) is discovers
    schema = json_schema()
    assert _mismatches(read_yaml(path.read_text(encoding="utf-8")).value, schema, schema) == []


def test_schema_refuses_what_the_loader_refuses() -> None:
    """An editor marks an unknown key, a wrong type and a wrong word."""
    schema = json_schema()
    value = read_yaml(START + 'trial: {levle: 1}\nseed: "5"\nlanguage: de\n').value
    assert _mismatches(value, schema, schema) == [".trial", ".seed", ".language"]


def test_full_config_fits_the_schema() -> None:
    """The schema knows every form of every key."""
    schema = json_schema()
    assert _mismatches(read_yaml(FULL).value, schema, schema) == []


def test_package_has_the_published_configs() -> None:
    """The eight experiments of the documentation are there."""
    declared, discovering = (
        ["eggs", "fragrance", "fragrance-zh", "household", "ketchup", "laundry"],
        ["discovery", "laundry-discovery"],
    )
    assert sorted(path.stem for path in CONFIGS) == sorted(declared + discovering)


def test_the_chinese_config_asks_what_the_english_one_asks() -> None:
    """The fragrance shop's config in Chinese has its data, its groups' conditions and its report's language."""
    english, chinese = (load_config(CONFIGS[0].parent / f"{stem}.yaml") for stem in ("fragrance", "fragrance-zh"))
    asked, again = (
        [(one.known, one.by, list((one.groups or {}).values())) for one in config.splits.declared]
        for config in (english, chinese)
    )
    assert asked == again
    assert (english.data, english.cycle, english.cross_sell) == (chinese.data, chinese.cycle, chinese.cross_sell)
    assert (english.language, chinese.language) == ("en", "zh")


@pytest.mark.parametrize(("name", "declared"), [("discovery", "fragrance"), ("laundry-discovery", "laundry")])
def test_discovery_is_of_the_same_cycle(name: str, declared: str) -> None:
    """A config that lets the data suggest splits reads the same files and the same cycle as the one that declares them."""
    discovering, declaring = (load_config(CONFIGS[0].parent / f"{stem}.yaml") for stem in (name, declared))
    assert discovering.data == declaring.data
    assert discovering.cycle == declaring.cycle
    assert not discovering.splits.declared


def test_a_config_error_passes_between_processes() -> None:
    """Its problems and its text are the same after a journey through pickle."""
    error = ConfigError(["a.yaml:1: one; mend it", "a.yaml:2: two; mend it"])
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.problems, str(again)) == (error.problems, str(error))
