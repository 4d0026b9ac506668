"""Offers: who gets what and why, never what one has, and the same from the command line."""

from __future__ import annotations

import csv
import datetime
import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from rules import TOGETHER
from test_assignment import write_definitions

from segmentor.assignment import assign
from segmentor.cli import main
from segmentor.config import load_config
from segmentor.cross_sell.offers import Offered
from segmentor.result import CrossSellRule, CycleSummary, Interval, Quality, RuleInSegment, RunResult, to_json

LAST = datetime.date(2024, 6, 30)

CONFIG = """
experiment: shop
data:
  timezone: UTC
  transactions:
    path: t.csv
    columns: {customer: customer, time: at, product: sku}
  products:
    path: p.csv
    columns: {product: sku, category: shelf}
splits:
  declared:
    - {name: channel, known: first_purchase, groups: {web: "channel = 'web'", store: 'true'}}
cross_sell: {level: product, within_days: 60}
"""

TEA = replace(
    TOGETHER,
    antecedent=("tea",),
    consequent="cup",
    mode="next_purchase",
    confidence=0.2,
    lift=Interval(2.0, 1.5, 3.0),
    repeat_days=None,
)
"""After tea, a cup: 0.1 orders."""

MILK = replace(TEA, antecedent=("milk",), mode="same_occasion", confidence=0.5)
"""With milk, a cup: 0.25 orders."""

Line = tuple[str, int, str]
"""Customer, days before the last day, and what was bought."""


class Shop:
    """A shop in a folder, with a run of the given rules that parts customers by channel."""

    def __init__(self, folder: Path, definitions: str, *, level: object = ("product",)) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.run.mkdir()
        (self.run / "segments.json").write_text(definitions, encoding="utf-8")
        self.config = folder / "shop.yaml"
        self.config.write_text(CONFIG.replace("level: product", f"level: {json.dumps(level)}"), encoding="utf-8")

    def write(self, lines: Sequence[Line]) -> None:
        """The shop's files: customers whose name begins with `web` come by the web, others to the store."""
        with (self.folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
            rows = [
                (who, LAST - datetime.timedelta(days=ago), sku, "web" if who.startswith("web") else "store")
                for who, ago, sku in lines
            ]
            csv.writer(file).writerows([("customer", "at", "sku", "channel"), *rows])
        with (self.folder / "p.csv").open("w", encoding="utf-8", newline="") as file:
            skus = sorted({sku for _, _, sku in lines})
            csv.writer(file).writerows([("sku", "shelf"), *((sku, f"shelf of {sku}") for sku in skus)])

    def keep(self, *rules: CrossSellRule, searched: bool = True) -> None:
        """A run that found these rules."""
        config = load_config(self.config)
        quality = Quality({}, CycleSummary(2, 2, 0, 2, 0, "2024-01-01", "2024-06-30", 2))
        found = rules if searched else None
        result = RunResult("shop", "Shop", "en", 1, config.resolved(), quality, (), (), (), found, 10)
        (self.run / "results.json").write_text(to_json(result), encoding="utf-8")

    def offers(
        self, lines: Sequence[Line], *rules: CrossSellRule, as_of: datetime.date | None = LAST
    ) -> dict[str, list[str]]:
        """What each customer is offered and why, item and reason in turn."""
        self.assigned(lines, *rules, as_of=as_of)
        return {
            row["customer"]: [
                row[f"offer_{number}{name}"]
                for number in (1, 2, 3)
                for name in ("", "_because")
                if row[f"offer_{number}"]
            ]
            for row in self.rows()
        }

    def rows(self, name: str = "out.csv") -> list[dict[str, str]]:
        """Rows of a file that `assign` wrote."""
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def assigned(
        self, lines: Sequence[Line], *rules: CrossSellRule, as_of: datetime.date | None = LAST, out: str = "out.csv"
    ) -> Offered:
        """What is told of the offers by these rules."""
        self.write(lines)
        self.keep(*rules)
        found = assign(
            self.run,
            load_config(self.config),
            as_of=as_of,
            out=self.folder / out,
            offers=True,
            progress=lambda _: None,
        )
        assert found.offered is not None
        return found.offered


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The segments web and store."""
    shop = Shop(tmp_path_factory.mktemp("run"), "")
    shop.write([("anybody", 0, "bread")])
    write_definitions(load_config(shop.config), shop.run / "segments.json", [("all", "channel")])
    return (shop.run / "segments.json").read_text(encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path, definitions: str) -> Shop:
    """A shop whose items are products."""
    return Shop(tmp_path, definitions)


CUP_AFTER_TEA = ["cup", "after tea, within 60 days"]


def test_who_has_the_antecedent_lately_is_offered_the_consequent(shop: Shop) -> None:
    """Tea within the last 60 days, this one included, brings the offer of a cup; tea before, and other things, do not."""
    lines = [("today", 0, "tea"), ("first day", 59, "tea"), ("too long ago", 60, "tea"), ("other", 1, "bread")]
    assert shop.offers(lines, TEA) == {
        "today": CUP_AFTER_TEA,
        "first day": CUP_AFTER_TEA,
        "too long ago": [],
        "other": [],
    }


def test_nobody_is_offered_what_it_has(shop: Shop) -> None:
    """Who ever bought a cup, before the tea, with it or after it, is not offered one."""
    lines = [
        *[("before", 300, "cup"), ("before", 5, "tea")],
        *[("with", 5, "cup"), ("with", 5, "tea")],
        *[("after", 1, "cup"), ("after", 5, "tea")],
    ]
    assert shop.offers(lines, TEA) == {"before": [], "with": [], "after": []}


def test_what_is_used_up_is_offered_again_once_it_is_due(shop: Shop) -> None:
    """30.5 days after its last purchase an item of such a repeat is due: on day 31, not on day 30; and the reason says so."""
    lines = [
        *[("due", 200, "cup"), ("due", 31, "cup"), ("due", 5, "tea")],
        *[("not yet", 200, "cup"), ("not yet", 30, "cup"), ("not yet", 5, "tea")],
        ("never had it", 5, "tea"),
    ]
    again = "after tea, within 60 days; bought before and due again, as half buy it again within 30.5 days"
    assert shop.offers(lines, replace(TEA, repeat_days=30.5)) == {
        "due": ["cup", again],
        "not yet": [],
        "never had it": CUP_AFTER_TEA,
    }


def test_a_longer_antecedent_is_bought_on_one_occasion(shop: Shop) -> None:
    """A rule of two items needs both on one day, each as often as you like."""
    rule = replace(TEA, antecedent=("milk", "tea"), mode="same_occasion")
    lines = [
        *[("together", 9, "tea"), ("together", 9, "tea"), ("together", 9, "milk")],
        *[("apart", 9, "tea"), ("apart", 8, "milk")],
        *[("half", 9, "tea"), ("half", 9, "tea")],
    ]
    assert shop.offers(lines, rule) == {"together": ["cup", "with milk and tea"], "apart": [], "half": []}


def test_the_best_rule_of_each_item_counts_and_the_best_three_items(shop: Shop) -> None:
    """Offers stand by gain, then by name; an item is offered once, by its best rule; a fourth is left out."""
    more = [
        replace(TEA, consequent=name, confidence=share) for name, share in (("urn", 0.3), ("jug", 0.3), ("pot", 0.1))
    ]
    lines = [("both", 5, "tea"), ("both", 4, "milk"), ("tea alone", 5, "tea")]
    found = shop.offers(lines, TEA, MILK, *more)
    assert found["both"][::2] == ["cup", "jug", "urn"]
    assert found["both"][1] == "with milk"
    assert found["tea alone"][::2] == ["jug", "urn", "cup"]
    assert found["tea alone"][5] == "after tea, within 60 days"


def test_the_gain_is_in_orders_and_in_full(shop: Shop) -> None:
    """Confidence x (1 - 1 / lift) stands in the file as it is."""
    shop.offers([("a", 0, "tea")], replace(TEA, confidence=0.1, lift=Interval(3.0, 2.0, 4.0)))
    (row,) = shop.rows()
    assert float(row["offer_1_gain"]) == 0.1 * (1 - 1 / 3)


def test_rules_that_are_not_valid_offer_nothing(shop: Shop) -> None:
    """A rule that did not hold in the other half is not acted on."""
    told = shop.assigned([("a", 0, "tea"), ("a", 0, "milk")], replace(TEA, valid=False), MILK)
    assert [(offer.because, customers) for offer, customers in told.by_offer] == [("with milk", 1)]


SEGMENTS = (
    RuleInSegment("web", 30, Interval(2.0, 1.5, 3.0), holds=True),
    RuleInSegment("store", 30, Interval(1.0, 0.8, 1.2), holds=False),
)


@pytest.mark.parametrize(("p_value", "store"), [(0.01, []), (0.05, []), (0.051, CUP_AFTER_TEA), (None, CUP_AFTER_TEA)])
def test_a_rule_that_differs_is_offered_where_it_holds(shop: Shop, p_value: float | None, store: list[str]) -> None:
    """Up to the level of the run the segments decide; above it, and where nothing was tested, everybody has the offer."""
    rule = replace(TEA, segments=SEGMENTS, p_segments_adjusted=p_value)
    lines = [("web buyer", 3, "tea"), ("store buyer", 3, "tea")]
    assert shop.offers(lines, rule) == {"web buyer": CUP_AFTER_TEA, "store buyer": store}


def test_the_next_best_offer_stands_where_the_best_does_not_hold(shop: Shop) -> None:
    """Where the best rule of an item does not hold, another one of the same item does."""
    best = replace(MILK, segments=SEGMENTS, p_segments_adjusted=0.01)
    lines = [(who, 3, sku) for who in ("web buyer", "store buyer") for sku in ("tea", "milk")]
    assert shop.offers(lines, best, TEA) == {"web buyer": ["cup", "with milk"], "store buyer": CUP_AFTER_TEA}


def test_a_day_is_looked_at_as_it_was(shop: Shop) -> None:
    """As of a day neither the tea nor the cup of later days is known, and the days count from there; by default from the last purchase."""
    lines = [("a", 70, "tea"), ("a", 5, "cup"), ("b", 5, "tea"), ("c", 0, "bread")]
    then = LAST - datetime.timedelta(days=20)
    assert shop.offers(lines, TEA, as_of=then) == {"a": CUP_AFTER_TEA}
    assert shop.offers(lines, TEA, as_of=None) == {"a": [], "b": CUP_AFTER_TEA, "c": []}
    after = LAST + datetime.timedelta(days=55)
    assert shop.offers(lines, TEA, as_of=after) == {"a": [], "b": [], "c": []}


NAMES = ["=1+1", "a, b | c", 'say "x"', "two\nlines", "tab\tbed", "return\rcarriage", "-5", "  @x", "it's", "纸"]


def test_any_name_survives(shop: Shop) -> None:
    """Names of items come back from the CSV file as they are, one that a spreadsheet could run behind an apostrophe, and from Parquet exactly."""
    rules = [replace(TEA, antecedent=(f"with {name}",), consequent=name) for name in NAMES]
    lines = [(f"={number}", 3, f"with {name}") for number, name in enumerate(NAMES)]
    reasons = [f"after with {name}, within 60 days" for name in NAMES]
    led = [f"'{name}" if name in ("=1+1", "-5", "  @x") else name for name in NAMES]
    found = shop.offers(lines, *rules)
    assert found == {f"={number}": [*told] for number, told in enumerate(zip(led, reasons, strict=True))}
    shop.assigned(lines, *rules, out="out.parquet")
    query = f"select customer, offer_1, offer_1_because, offer_2 from '{shop.folder / 'out.parquet'}' order by customer"
    expected = [(f"={number}", *told, None) for number, told in enumerate(zip(NAMES, reasons, strict=True))]
    assert duckdb.sql(query).fetchall() == expected


def test_items_are_told_at_the_level_of_the_run(tmp_path: Path, definitions: str) -> None:
    """Items of several levels carry the level's name, whatever the config of the data says of cross-sell."""
    shop = Shop(tmp_path, definitions, level=["product", "category"])
    rule = replace(TEA, antecedent=("category=shelf of tea",), consequent="product=cup")
    shop.write([("a", 3, "tea"), ("b", 3, "tea"), ("b", 9, "cup")])
    shop.keep(rule)
    shop.config.write_text(CONFIG.replace("cross_sell: {level: product, within_days: 60}", ""), encoding="utf-8")
    out = tmp_path / "out.csv"
    assign(shop.run, load_config(shop.config), as_of=None, out=out, offers=True, progress=lambda _: None)
    assert [line.split(",")[3] for line in out.read_text(encoding="utf-8").splitlines()] == [
        "offer_1",
        "product=cup",
        "",
    ]


def test_order_of_rows_and_of_rules_means_nothing(shop: Shop) -> None:
    """Shuffled lines and rules give the same bytes, and the columns before the offers are those without them."""
    draw = random.Random(1)
    items = ("tea", "milk", "cup", "urn", "jug", "pot", "bread")
    lines = [
        (f"{draw.choice(('web', 'store'))} {draw.randrange(60)}", draw.randrange(90), draw.choice(items))
        for _ in range(400)
    ]
    rules = [
        replace(TEA, antecedent=(first,), consequent=second, repeat_days=20.0)
        for first in items[:3]
        for second in items[2:]
        if first != second
    ]
    told = shop.assigned(lines, *rules)
    before = (shop.folder / "out.csv").read_bytes()
    assert shop.assigned(draw.sample(lines, len(lines)), *rules[::-1]) == told
    assert (shop.folder / "out.csv").read_bytes() == before
    assign(shop.run, load_config(shop.config), as_of=LAST, out=shop.folder / "plain.csv", progress=lambda _: None)
    rows = shop.rows()
    assert [{name: row[name] for name in ("customer", "segment", "known_since")} for row in rows] == shop.rows(
        "plain.csv"
    )
    assert told.customers == sum(bool(row["offer_1"]) for row in rows) > 20
    made = sum(bool(row[f"offer_{number}"]) for row in rows for number in (1, 2, 3))
    assert made == sum(customers for _, customers in told.by_offer)


@pytest.fixture
def words(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command for a shop of three customers and two rules."""
    monkeypatch.chdir(shop.folder)
    shop.write([("a", 3, "tea"), ("b", 3, "tea"), ("b", 3, "milk"), ("c", 3, "bread")])
    shop.keep(TEA, MILK, replace(TEA, antecedent=("rum",)))
    return ["assign", "run", "--config", "shop.yaml", "--offers", "--out", "out.csv"]


Printed = pytest.CaptureFixture[str]


def test_the_command_tells_how_many_have_an_offer_by_which_rule(words: list[str], capsys: Printed) -> None:
    """Offers are printed with their reason, customers and gain, the best first, and how many customers have any."""
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    table = [re.split(" {2,}", line.strip()) for line in printed if line.startswith("cup")]
    assert table == [
        ["cup", "with milk", "1", "0.25"],
        ["cup", "after tea, within 60 days", "1", "0.1"],
    ]
    assert "customers with an offer: 2, up to three each, by 2 of 3 valid rules" in printed
    assert printed[-1] == "written: out.csv"


def test_without_the_word_there_are_no_offers(words: list[str], shop: Shop, capsys: Printed) -> None:
    """`assign` without --offers writes the three columns, as before, and needs no rules."""
    (shop.run / "results.json").unlink()
    assert main([word for word in words if word != "--offers"]) == 0
    assert (shop.folder / "out.csv").read_text(encoding="utf-8").startswith("customer,segment,known_since\na,store,")
    assert "offer" not in capsys.readouterr().out


def test_no_valid_rule_is_a_result(words: list[str], shop: Shop, capsys: Printed) -> None:
    """Where no rule held, the columns are there and empty, and the terminal says why."""
    shop.keep(replace(TEA, valid=False))
    assert main(words) == 0
    assert "no offers: no rule of the run is valid" in capsys.readouterr().out
    rows = shop.rows()
    assert len(rows) == 3
    assert {row["offer_1"] + row["offer_3_gain"] for row in rows} == {""}


def test_definitions_alone_make_no_offers(words: list[str], shop: Shop, capsys: Printed) -> None:
    """With segments.json in place of a run, with a run without rules, or with data of another kind, one message says what to give."""
    words[1] = "run/segments.json"
    assert main(words) == 2
    assert "holds no rules to make offers by; give the folder that segmentor run wrote" in capsys.readouterr().err
    words[1] = "run"
    shop.keep(searched=False)
    assert main(words) == 2
    assert "the run looked for no rules to make offers by" in capsys.readouterr().err
    shop.keep(TEA)
    text = (shop.run / "results.json").read_text(encoding="utf-8")
    (shop.run / "results.json").write_text(text.replace('"product"\n', '"parcel"\n'), encoding="utf-8")
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert "its rules do not fit the data of shop.yaml: cross_sell.level: there is no column 'parcel'" in printed
    assert not (shop.folder / "out.csv").exists()
