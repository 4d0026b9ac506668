"""Cross-sell on the page: offers in words, what is told of few customers, pictures of the rules, bundles."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from rules import TOGETHER

from segmentor.report import cross_sell, render_report, rule_figures
from segmentor.report.small_cells import Counts
from segmentor.result import Bundle, CrossSellRule, Interval, NextCurve, RuleInSegment, RunResult, Worth
from segmentor.wording import speaking

COUNTS = Counts(10, frozenset())
LATER = replace(
    TOGETHER,
    antecedent=("sun care",),
    consequent="face mask",
    mode="next_purchase",
    lift=Interval(1.9, 1.74, 2.09),
    median_days=19.0,
    most_days=43.0,
    curve=NextCurve((0.0, 0.03, 0.05, 0.08), (0.0, 0.02, 0.03, 0.04)),
    worth=Worth(412, Interval(53.0, 43.0, 62.0), Interval(534.0, 441.0, 634.0)),
    repeat_days=None,
)
PAIR = Bundle(
    items=("lipstick", "mascara"),
    customers=3_544,
    lift=Interval(3.02, 2.9, 3.14),
    p_confirmation_adjusted=0.0001,
    valid=True,
    orders_a_year=3_120.4,
    price=48.5,
    usual_discount=0.034,
    bundle_price=46.08,
    margin_an_order=16.13,
    break_even=8 / 7,
)
RARE = replace(PAIR, items=("candle", "soap", "towel"), customers=8, orders_a_year=3.0, usual_discount=0.12)
REFUTED = replace(
    PAIR,
    items=("brush", "candle", "soap"),
    valid=False,
    orders_a_year=31.0,
    price=None,
    usual_discount=None,
    bundle_price=None,
    margin_an_order=None,
)


def said(rule: CrossSellRule, result: RunResult, *, kind: bool = True) -> str:
    """The line of words of a rule, without tags and with plain spaces."""
    return " ".join(re.sub("<[^>]+>", "", cross_sell.offer(rule, result, COUNTS, kind=kind)).split())


def shop(result: RunResult, *rules: CrossSellRule, bundles: tuple[Bundle, ...] | None = None) -> RunResult:
    """A shop with these rules and nothing else."""
    return replace(result, trials=(), ledger=(), rules=rules, bundles=bundles)


def section(result: RunResult) -> str:
    """The part of the page about cross-sell."""
    found = re.search(r'<section id="cross-sell".*?</section>', render_report(result), re.DOTALL)
    assert found
    return found[0]


def text(html: str) -> str:
    """What a reader sees, every space alike; drawings left out."""
    return " ".join(re.sub("<[^>]+>", " ", re.sub("<svg.*?</svg>", "", html, flags=re.DOTALL)).split())


def test_an_offer_beside_tells_what_whom_when_and_worth(laundry: RunResult) -> None:
    """A rule of one occasion is offered with what is bought, and its worth has interval, money, days and lift."""
    assert said(TOGETHER, laundry) == (
        "Offer lipstick with mascara, on the same occasion, to customers who have never bought it (344 of them bought mascara in the "
        "last 60 days). It could bring 21 more orders (16 to 27), about 1,380 in money, in the next 60 days; they are bought together "
        "3.02 (2.90 to 3.14) times as often as by habit."
    )


def test_a_next_offer_tells_what_whom_when_and_worth(laundry: RunResult) -> None:
    """A rule of the next purchase is offered to who bought the first, within the days in which half and most come."""
    assert said(LATER, laundry) == (
        "Offer face mask to customers who bought sun care in the last 60 days and never face mask (412 reachable): half of those who "
        "come for it do so within 19 days, most (80 %) within 43 days. It could bring 53 more orders (43 to 62), about 534 in money, in "
        "the next 60 days; customers come for it 1.90 (1.74 to 2.09) times as often as by habit."
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("attach", ""),
        ("upsell", ", a dearer one of the same category,"),
        ("lateral", ", another brand of the same category at a like price,"),
        ("cross_category", ", from another category,"),
        ("<b>", ""),
    ],
)
@pytest.mark.parametrize("rule", [TOGETHER, LATER], ids=["beside", "next"])
def test_each_kind_has_its_words_in_each_mode(rule: CrossSellRule, kind: str, words: str, laundry: RunResult) -> None:
    """What the offer is to what was bought stands behind its name; of an attachment nothing needs to be said."""
    start = f"Offer {rule.consequent}{words} {'with' if rule is TOGETHER else 'to'} "
    assert said(replace(rule, kind=kind), laundry).startswith(start)
    assert said(replace(rule, kind=kind), laundry, kind=False).startswith(f"Offer {rule.consequent} ")


def test_the_kind_is_not_told_where_all_go_from_one_category_to_another(laundry: RunResult) -> None:
    """Between categories every rule is of the same kind, which says nothing."""
    cross = replace(TOGETHER, kind="cross_category")
    assert "from another category" not in text(section(shop(laundry, cross)))
    assert "from another category" in text(section(shop(laundry, cross, LATER)))


def test_a_longer_rule_names_all_that_was_bought(laundry: RunResult) -> None:
    """Of a set of items all are named, and that they were bought on one occasion."""
    several = replace(LATER, antecedent=("sun care", "towel"))
    assert "to customers who bought sun care and towel on one occasion in the last 60 days" in said(several, laundry)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"worth": None}, "never face mask: half"),
        ({"worth": None}, "What it could bring is not known; customers come for it 1.90"),
        ({"worth": Worth(412, Interval(53.0, 43.0, 62.0), None)}, "53 more orders (43 to 62) in the next 60 days; customers"),
        ({"worth": Worth(412, Interval(53.0, None, None), None)}, "53 more orders in the next 60 days; customers"),
        ({"worth": Worth(412, Interval(None, None, None), None)}, "What it could bring is not known"),
        ({"worth": Worth(0, Interval(0.0, 0.0, 0.0), None)}, "Nobody can be reached at present"),
        ({"median_days": None}, "never face mask (412 reachable). It could bring"),
        ({"most_days": None}, "within 19 days. It could bring"),
        ({"lift": Interval(None, None, None)}, "in the next 60 days."),
    ],
)  # fmt: skip
def test_what_is_missing_is_left_out_or_said(change: dict[str, object], words: str, laundry: RunResult) -> None:
    """Without amounts, bounds, days or worth the line is a sentence still, and no number is made up."""
    line = said(replace(LATER, **change), laundry)  # type: ignore[arg-type]
    assert words in line
    assert "None" not in line
    assert "\N{EN DASH}" not in line


def test_few_customers_are_not_told(laundry: RunResult) -> None:
    """Where an offer reaches few, neither their number nor what it could bring is on the page, and it comes last."""
    few = replace(LATER, worth=Worth(8, Interval(7.7, 7.1, 7.9), Interval(90_909.0, 80_808.0, 99_999.0)))
    line = said(few, laundry)
    assert "(fewer than 10 reachable)" in line
    assert "They are too few to tell what it could bring" in line
    page = text(section(shop(laundry, few, TOGETHER)))
    assert not [number for number in ("7.7", "7.1", "90,9", "80,8") if number in page]
    assert cross_sell.ranked([few, TOGETHER], min_cell=10) == [TOGETHER, few]


def test_a_curve_of_few_customers_is_not_drawn(laundry: RunResult) -> None:
    """Steps of a curve of few customers would tell of single ones."""
    assert "How soon the next is bought" in section(shop(laundry, LATER))
    assert "How soon the next is bought" not in section(shop(laundry, replace(LATER, customers=9)))


@pytest.mark.parametrize(
    ("held", "lifts", "words"),
    [
        ((True, False), (2.4, 1.0), "It holds in large (2.40 times); it was not shown in small (1.00 times)."),
        ((True, True), (1.4, 2.4), "It is stronger in small (2.40 times) than in large (1.40 times)."),
        ((False, False), (1.1, 0.9), "It differs between segments, and was shown in none of them alone."),
    ],
)
def test_segments_are_told_where_the_lift_differs(
    held: tuple[bool, bool], lifts: tuple[float, float], words: str, laundry: RunResult
) -> None:
    """For whom a rule holds and for whom not is said where that was shown, and nowhere else."""
    parts = tuple(
        RuleInSegment(name, 80, Interval(lift, lift - 0.2, lift + 0.2), holds)
        for name, lift, holds in zip(("large", "small"), lifts, held, strict=True)
    )
    differs = replace(LATER, segments=parts, p_segments_adjusted=0.003)
    assert said(differs, laundry).endswith(f" {words}")
    assert said(replace(differs, p_segments_adjusted=0.3), laundry) == said(LATER, laundry)


def test_a_segment_of_few_customers_is_not_told(laundry: RunResult) -> None:
    """Of a segment where few did both, neither count nor lift is shown, in words or in the table."""
    parts = (
        RuleInSegment("large", 80, Interval(2.4, 2.0, 2.9), holds=True),
        RuleInSegment("small", 9, Interval(7.77, 5.0, 9.0), holds=True),
        RuleInSegment("not yet known", 60, Interval(0.8, 0.5, 1.2), holds=False),
    )
    rule = replace(LATER, segments=parts, p_segments_adjusted=0.003)
    page = text(section(shop(laundry, rule)))
    assert "7.77" not in page
    assert "not yet known (" not in said(rule, laundry)
    assert "small fewer than 10 customers did both – too few to tell" in page
    assert "not yet known 60 customers did both 0.80 times 0.50 to 1.20 times not shown" in page


def test_offers_are_ranked_by_money_then_orders_then_lift() -> None:
    """What could bring the most money comes first; without amounts the most orders; without either the surest lift."""
    poor = replace(LATER, worth=Worth(500, Interval(90.0, 80.0, 99.0), Interval(10.0, 9.0, 11.0)))
    assert cross_sell.ranked([poor, TOGETHER, LATER, replace(LATER, valid=False)], min_cell=10) == [
        TOGETHER,
        LATER,
        poor,
    ]
    orders = [
        replace(rule, worth=replace(rule.worth, amount=None))
        for rule in (TOGETHER, LATER, poor)
        if rule.worth is not None
    ]
    assert [rule.worth and rule.worth.orders.estimate for rule in cross_sell.ranked(orders, min_cell=10)] == [
        90.0,
        53.0,
        21.4,
    ]
    without = [replace(rule, worth=None) for rule in (LATER, TOGETHER)]
    assert [rule.consequent for rule in cross_sell.ranked(without, min_cell=10)] == ["lipstick", "face mask"]
    assert [cross_sell.ranking(rules) for rules in ([TOGETHER], orders, without)] == [
        "First comes what could bring the most money.",
        "First comes what could bring the most orders.",
        "First comes what goes furthest beyond habit.",
    ]


def test_no_rule_is_said_and_drawn_as_none(laundry: RunResult) -> None:
    """Without rules the section says so, and holds neither figures nor tables."""
    html = section(shop(laundry, bundles=()))
    assert "No rule held among customers that it was not found in" in text(html)
    assert "No set sells together beyond its pairs" in text(html)
    assert not re.findall("<(?:svg|table|li)", html)


def test_one_rule_has_no_matrix_and_no_arrows(laundry: RunResult) -> None:
    """A matrix of one cell shows nothing that its line does not say."""
    assert 'class="matrix' not in section(shop(laundry, LATER, replace(TOGETHER, valid=False)))
    assert rule_figures.arrows([LATER]) == ""
    assert 'class="matrix' in section(shop(laundry, LATER, TOGETHER))


def test_200_rules_are_folded_and_the_page_stays_small(laundry: RunResult) -> None:
    """Of many rules the first are seen, the rest is folded, pictures are limited and say what is left out."""
    many = [
        replace(rule, antecedent=(f"item {number}",), consequent=f"item {number + 1}", worth=None)
        for number in range(150)
        for rule in (TOGETHER, LATER)
    ]
    html = section(shop(laundry, *many))
    first, rest = html.split("more offer", 1)
    assert first.count("<li>Offer") == cross_sell.MOST_OFFERS
    assert html.count("<li>Offer") == 200
    assert "290\N{NO-BREAK SPACE}more offers" in html
    assert "The first 200 are shown; all are in <code>cross_sell.csv</code>." in rest
    assert "rules of other items are not drawn" in text(html)
    assert "The first 15 of 300" in text(html)
    assert rest.count('class="line g1"') == rule_figures.MOST_CURVES
    assert len(html.encode()) < 700_000


def test_what_worth_means_is_said_once(laundry: RunResult) -> None:
    """The page says that only customers held out from an offer tell what it adds."""
    page = text(section(shop(laundry, LATER, TOGETHER)))
    assert page.count("what an offer adds can be told only by customers who are held out from it") == 1


def test_figures_tell_their_content_and_point_out_intervals(laundry: RunResult) -> None:
    """Each figure has a text alternative with the rules, and each cell and arrow the interval where one points at it."""
    html = section(shop(laundry, LATER, TOGETHER))
    words = "mascara with lipstick: 3.02 times as often as by habit (2.90 to 3.14 times)"
    labels = [label.replace("\N{NO-BREAK SPACE}", " ") for label in re.findall('aria-label="([^"]*)"', html)]
    assert sum(words in label for label in labels) == 2
    assert any(
        "By day 3: 8 % have bought it, 4 % by habit; half of those who come have come by 19 days" in label
        for label in labels
    )
    assert html.replace("\N{NO-BREAK SPACE}", " ").count(f"<title>{words}</title>") == 3
    assert html.count("<figure") == html.count("<figcaption") == 3


def drawing(svg: str) -> list[ElementTree.Element]:
    """Shapes of a drawing."""
    return list(ElementTree.fromstring(svg))  # noqa: S314 - our own drawing


def box(shape: ElementTree.Element) -> tuple[float, ...]:
    """Left, right, top and bottom of a path."""
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", shape.attrib["d"])]
    return min(numbers[::2]), max(numbers[::2]), min(numbers[1::2]), max(numbers[1::2])


def test_the_matrix_has_its_cells_where_row_and_column_meet() -> None:
    """Each rule is a cell beside its row and below its column, coloured by its lift; what did not hold is hatched and has no colour."""
    rules = [
        TOGETHER,
        replace(TOGETHER, antecedent=("soap",), lift=Interval(1.1, 1.05, 1.2)),
        replace(TOGETHER, antecedent=("soap",), consequent="candle", lift=Interval(1.3, 0.9, 1.5), valid=False),
        replace(TOGETHER, antecedent=("mascara",), consequent="candle", lift=Interval(2.2, 2.1, 2.3)),
    ]
    (matrix,) = rule_figures.matrices(rules)
    assert (matrix.columns, matrix.left_out) == (2, 0)
    shapes = drawing(matrix.svg)
    names = {shape.text: shape for shape in shapes if shape.attrib["class"].startswith("item")}
    cells = {found[0].text: shape for shape in shapes if (found := shape.findall("title")) and shape.tag == "path"}
    kinds = {(title or "")[: (title or "").index(":")]: shape.attrib["class"] for title, shape in cells.items()}
    assert kinds == {
        "mascara with lipstick": "cell s5",
        "mascara with candle": "cell s4",
        "soap with lipstick": "cell s1",
        "soap with candle": "cell not-held",
    }
    for title, cell in cells.items():
        row, _, column = (title or "")[: (title or "").index(":")].split(" ")
        left, right, top, bottom = box(cell)
        assert top < float(names[row].attrib["y"]) < bottom
        assert left < float(names[column].attrib["x"]) < right
    assert sum(shape.attrib["class"] == "hatch" for shape in shapes) == 3


def test_colours_are_a_log_scale_from_no_lift() -> None:
    """Each step is as many times the lift of the step before, from 1 on."""
    steps = [
        rule_figures.step_of(replace(TOGETHER, lift=Interval(rule_figures.STEP**n * 1.01, None, None)))
        for n in range(9)
    ]
    assert steps == [1, 2, 3, 4, 5, 6, 6, 6, 6]
    assert rule_figures.step_of(replace(TOGETHER, lift=Interval(0.4, None, None))) == 1
    assert len(rule_figures.steps()) == rule_figures.STEPS


def test_a_large_matrix_keeps_the_items_of_most_and_strongest_rules() -> None:
    """Of many items 20 rows and 20 columns are drawn, those whose rules together go furthest beyond habit, and the rest is counted."""
    single = [replace(TOGETHER, antecedent=(f"row {n}",), consequent=f"column {n}") for n in range(40)]
    hub = [
        replace(TOGETHER, antecedent=("hub",), consequent=f"column {n}", lift=Interval(1.2, 1.1, 1.3))
        for n in range(40)
    ]
    rare = replace(TOGETHER, antecedent=("rare",), consequent="rarer", lift=Interval(9.0, 8.0, 10.0))
    (matrix,) = rule_figures.matrices([*single, *hub, rare])
    assert matrix.columns == rule_figures.MOST_ITEMS
    assert matrix.svg.count('class="lift"') + matrix.left_out == 81
    assert ">hub<" in matrix.svg
    assert ">rarer<" in matrix.svg
    assert matrix.strongest == rare


def test_what_stands_out_is_drawn() -> None:
    """The caption names the strongest rule of those that are in a matrix, and how many there was no room for."""
    strong = [
        replace(TOGETHER, antecedent=(f"row {n}",), consequent=f"column {k}", lift=Interval(2.0, 1.9, 2.1))
        for n in range(20)
        for k in range(20)
    ]
    lone = replace(TOGETHER, antecedent=("rare",), consequent="rarer", lift=Interval(9.0, 1.1, 70.0))
    caption = cross_sell.matrix_caption(rule_figures.matrices([*strong, lone]))
    assert "rarer" not in caption
    assert "1\N{NO-BREAK SPACE}rule of other items is not drawn." in caption


def test_arrows_lead_from_what_is_bought_to_what_is_offered() -> None:
    """Each rule is an arrow between its two names, wider with its lift, dashed where it is for later; both ways are apart."""
    back = replace(LATER, antecedent=("lipstick",), consequent="mascara")
    shapes = drawing(rule_figures.arrows([TOGETHER, back]))
    lines = [shape for shape in shapes if shape.attrib["class"].startswith("arrow")]
    assert [shape.attrib["class"] for shape in lines] == ["arrow s5", "arrow s3 later"]
    assert lines[0].attrib["d"] != lines[1].attrib["d"]
    names = [(shape.text, float(shape.attrib["x"])) for shape in shapes if shape.attrib["class"] == "item"]
    start = float(re.findall(r"[\d.]+", lines[0].attrib["d"])[0])
    (left, x), (right, _) = sorted(names, key=lambda each: each[1])
    assert {left, right} == {"mascara", "lipstick"}
    assert (abs(start - x) < 20) == (left == "mascara")


def test_names_of_many_arrows_do_not_cover_each_other() -> None:
    """On either side names stand apart by a line."""
    rules = [replace(TOGETHER, antecedent=(f"a{n}",), consequent=f"b{n}") for n in range(30)]
    shapes = drawing(rule_figures.arrows(rules))
    assert sum(shape.attrib["class"].startswith("arrow") for shape in shapes) == rule_figures.MOST_ARROWS
    for side in ("start", "end"):
        heights = sorted(
            float(shape.attrib["y"])
            for shape in shapes
            if shape.attrib["class"] == "item" and shape.attrib["text-anchor"] == side
        )
        assert len(heights) == rule_figures.MOST_ARROWS
        assert all(b - a > 12 for a, b in pairwise(heights))


def test_curves_share_a_scale_and_mark_the_median() -> None:
    """The same share is as high in every panel, the median stands at its day, and unknown days are not drawn."""
    curve = NextCurve((0.0, 0.1, 0.2, 0.3, 0.4), (0.0, 0.1, 0.1, 0.1, None))
    low = NextCurve((0.0, 0.05, 0.1, 0.15, 0.2), (0.0, 0.0, 0.0, 0.0, 0.0))
    speeds = rule_figures.speeds(
        [replace(LATER, curve=curve, median_days=2.0), replace(LATER, curve=low, median_days=None)]
    )
    (first, second) = ({shape.attrib["class"]: shape for shape in drawing(speed.svg)} for speed in speeds)
    left, right, high, base = box(first["line g1"])
    assert box(second["line g1"])[2] == pytest.approx((high + base) / 2, abs=0.2)
    assert box(first["median"])[0] == pytest.approx((left + right) / 2, abs=0.2)
    assert box(first["usual"])[1] == pytest.approx(left + 0.75 * (right - left), abs=0.2)
    assert "median" not in second
    assert rule_figures.speeds([TOGETHER, replace(LATER, curve=NextCurve((None,), (None,)))]) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [("$\\frac{1}$", "$\\frac{1}$"), ("</title><script>", "&lt;/title&gt;&lt;script&gt;"), ("香水", "香水"), ("\x1b\u202ex", "\ufffd\ufffdx")],
)  # fmt: skip
def test_a_name_in_a_figure_is_text_whatever_it_holds(name: str, shown: str) -> None:
    """Names are no formulas, no markup and need no font of ours; they turn nothing."""
    rules = [replace(TOGETHER, antecedent=(name,)), replace(LATER, consequent=name)]
    drawn = [*(matrix.svg for matrix in rule_figures.matrices(rules)), rule_figures.arrows(rules)]
    assert all(f">{shown}<" in svg for svg in drawn)
    assert all(f"<title>{shown}</title>" in svg for svg in drawn)
    assert not [svg for svg in drawn if "<script" in svg or "\u202e" in svg]


def test_bundles_tell_price_margin_and_what_the_discount_needs(laundry: RunResult) -> None:
    """A set that holds has its row; of one that few bought, what they did is not told; others are folded away."""
    page = text(section(shop(laundry, TOGETHER, bundles=(PAIR, RARE, REFUTED))))
    assert "Price at 5 % off" in page
    assert "lipstick and mascara 3,120 48.50 3.4 % 46.08 16.13 14 % more 3.02 times 2.90 to 3.14 times" in page
    assert "candle , soap and towel – 48.50 – 46.08 16.13 14 % more" in page
    assert page.index("1 set did not hold") < page.index("brush , candle and soap 31 – – – – 14 % more")


def test_the_table_says_how_soon_something_is_bought_again() -> None:
    """The days of a repeat stand beside the rule; what is not bought again is said to be so."""
    again = [row.again.replace("\N{NO-BREAK SPACE}", " ") for row in cross_sell.rows([TOGETHER, LATER], COUNTS)]
    assert again == ["half within 379 days", "seldom"]


def test_the_caption_says_which_comes_soonest() -> None:
    """Of several curves the one whose median is first is named; where all are alike, that is said."""
    slow = replace(LATER, consequent="serum", median_days=30.0)
    assert "sun care</bdi>, then <bdi>face mask</bdi> comes soonest" in cross_sell.speed_caption([slow, LATER])
    assert "In each, that is within 19" in cross_sell.speed_caption([LATER, replace(LATER, antecedent=("soap",))])
    assert cross_sell.speed_caption([replace(LATER, median_days=None)]).endswith("have come.")


def chinese_shop(result: RunResult) -> RunResult:
    """A shop whose names are Chinese, with an offer for each of the sentences, in Chinese."""
    parts = tuple(
        RuleInSegment(name, customers, Interval(lift, lift - 0.2, lift + 0.2), holds)
        for name, customers, lift, holds in (
            ("大客户", 80, 2.4, True),
            ("小客户", 60, 1.0, False),
            ("新客户", 7, 3.0, True),
        )
    )
    together = replace(TOGETHER, antecedent=("睫毛膏",), consequent="口红")
    later = replace(LATER, antecedent=("防晒霜", "毛巾"), consequent="面膜", segments=parts, p_segments_adjusted=0.003)
    few = Worth(3, Interval(2.5, 2.0, 2.9), None)
    rules = [
        replace(rule, consequent=f"{rule.consequent}{number}", **change)
        for number, (rule, change) in enumerate(
            (rule, change)
            for rule in (together, later)
            for change in (
                {},
                {"kind": "upsell", "segment": "大客户"},
                {"kind": "lateral", "worth": None},
                {"kind": "cross_category", "worth": few},
                {"median_days": None, "worth": Worth(0, Interval(0.0, 0.0, 0.0), None)},
                {"most_days": None, "worth": Worth(412, Interval(53.0, None, None), None)},
                {"lift": Interval(None, None, None)},
                {"valid": False},
            )
        )
    ]
    sets = tuple(replace(each, items=("口红", "睫毛膏", "毛巾")) for each in (PAIR, RARE, REFUTED))
    return replace(shop(result, *rules, bundles=sets), language="zh")


def test_the_section_speaks_chinese(laundry: RunResult, recwarn: pytest.WarningsRecorder) -> None:
    """Nothing that is read or heard of the section is English: neither sentences nor headings, labels of figures nor heads of saved files."""
    html = re.sub("<code>.*?</code>", "", section(chinese_shop(laundry)))
    heard = " ".join(re.findall(r'(?:aria-label|data-label|title)="([^"]*)"', html))
    saved = " ".join(re.findall("<template>(.*?)</template>", html, re.DOTALL))
    words = re.findall(r"[A-Za-z]+", f"{re.sub('<[^>]+>', ' ', html)} {heard} {saved}")
    assert set(words) <= {"CSV", "p", "true", "false"}
    assert not recwarn.list


@pytest.mark.parametrize("within_days", [60, None])
def test_each_chinese_offer_is_a_whole_sentence(within_days: int | None, laundry: RunResult) -> None:
    """Every offer ends with a full stop, names what it offers, and holds no space beside Chinese marks but behind a sentence."""
    result = chinese_shop(laundry)
    result = replace(result, config={"cross_sell": {"within_days": within_days}})
    with speaking("zh"):
        for rule in result.rules or ():
            line = said(rule, result)
            assert line.endswith("。")
            assert rule.consequent in line
            assert not re.findall("[A-Za-z{}]| [，。：；（）]|[，：；（] ", line)
