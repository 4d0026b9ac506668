"""A page speaks one language: what is not data is all of it English, or all of it Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from html.parser import HTMLParser

import pytest

from segmentor.report import figure_data, render_report
from segmentor.report.figures import return_curves
from segmentor.report.lines import counts_of
from segmentor.report.names import called, cut
from segmentor.report.words import reason, why_rejected
from segmentor.result import GroupEffect, RunResult, Segment
from segmentor.wording import Message, gettext, speaking

OWN_NAMES = frozenset(
    {
        *(
            "p",
            "SQL",
            "CSV",
            "YAML",
            "Gehan",
            "Holm",
            "min-P",
            "Benjamini-Yekutieli",
            "Jaccard",
            "Cohen",
            "kappa",
            "Pearson",
        ),
        *("III", "k-means", "HDBSCAN", "UMAP"),
    }
)
"""Latin words of Chinese text: what has no other name."""

CODES = frozenset(
    {
        *(
            "config",
            "language",
            "source",
            "verdict",
            "reasons",
            "carried_by",
            "tail",
            "score",
            "kind",
            "mode",
            "method",
        ),
        *("stage", "correction", "outcome", "ended"),
    }
)
"""Fields of a result whose words are ours, and are said in the language of the page."""

CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
LATIN = re.compile(r"[A-Za-z][A-Za-z\-]*")


@dataclass
class Words(HTMLParser):
    """What a page says, by section: its text and what it says in attributes, without code.

    Attributes:
        said: Texts by section.
        section: The section that is read.
        inside: Tags that are open.
    """

    said: dict[str, list[str]] = field(default_factory=dict)
    section: str = "top"
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - see HTMLParser
        given = dict(attrs)
        if tag == "section":
            self.section = given["id"] or ""
        spoken = ("aria-label", "title", "alt", "data-label", "data-choice", "placeholder")
        tools = ("data-shown", "data-found", "data-whole", "data-fewer", "data-system", "data-light", "data-dark")
        self._hear(*(given[name] or "" for name in (*spoken, *tools) if name in given))
        if tag not in ("meta", "input"):
            self.inside.append("data" if tag == "template" and "id" not in given else tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - see HTMLParser
        pass

    def handle_endtag(self, tag: str) -> None:  # noqa: D102 - see HTMLParser
        if tag == "section":
            self.section = "top"
        self.inside.pop()

    def handle_data(self, data: str) -> None:  # noqa: D102 - see HTMLParser
        # The list of contents repeats the headings.
        listed = "nav" in self.inside and "li" in self.inside
        if not listed and not {"code", "pre", "style", "script", "data"} & set(self.inside):
            self._hear(data)

    def _hear(self, *texts: str) -> None:
        self.said.setdefault(self.section, []).extend(re.sub(r"\{\w+\}", "", text) for text in texts)


def texts_in(record: object) -> Iterator[str]:
    """Every text of a record and of those within it; of a message what it is about, and the message itself where nobody translated it."""
    match record:
        case Message():
            yield from texts_in(tuple(record.values.values()))
            if gettext(record.text) == record.text:
                yield str(record)
        case str():
            yield record
        case Mapping():
            yield from texts_in((*record.keys(), *record.values()))
        case tuple() | list():
            for each in record:
                yield from texts_in(each)
        case _ if is_dataclass(record):
            for one in fields(record):
                if one.name not in CODES:
                    yield from texts_in(getattr(record, one.name))


def said_in(page: str, result: RunResult) -> dict[str, str]:
    """What a page says in Latin letters by section, without the data of its result."""
    words = Words()
    words.feed(page)
    # A name stands on the page whole, cut, with a capital, beside that of its split or of what it is bought with; our own are no data.
    with speaking(result.language):
        data = {text for text in texts_in(result) if text and called(text) == text and gettext(text) == text}
    data |= {" + ".join(rule.antecedent) for rule in result.rules or ()}
    data |= {
        form
        for text in data
        for length in (*range(8, 25), 40, 60, 80, 120)
        for form in (cut(text, length), text.capitalize())
    }
    data |= {text[:1].upper() + text[1:] for text in data}
    drop = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in sorted(data, key=len, reverse=True)))
    return {
        section: "\n".join(drop.sub(" ", text) for text in texts if LATIN.search(text) and text.strip() not in data)
        for section, texts in words.said.items()
    }


@pytest.mark.parametrize(
    "shop", ["laundry", "discovered", "nothing_separates", "untestable", "grown", "searched", "undivided"]
)
def test_a_chinese_page_holds_no_english(shop: str, request: pytest.FixtureRequest) -> None:
    """Beside names from the data, code, and words that have no Chinese name, the page has no Latin word."""
    result = replace(request.getfixturevalue(shop), language="zh")
    left = {
        section: sorted({word for word in LATIN.findall(said) if word not in OWN_NAMES})
        for section, said in said_in(render_report(result), result).items()
    }
    assert {section: words for section, words in left.items() if words} == {}


@pytest.mark.parametrize(
    "shop", ["laundry", "discovered", "nothing separates", "untestable", "grown", "searched", "undivided"]
)
def test_an_english_page_holds_no_chinese(shop: str, pages: dict[str, str]) -> None:
    """No sign of Chinese writing stands anywhere in an English page of data without any."""
    assert CHINESE.findall(pages[shop]) == []


def test_the_page_says_its_language(laundry: RunResult) -> None:
    """Browsers and readers aloud are told which language a page is in."""
    assert '<html lang="en">' in render_report(laundry)
    assert '<html lang="zh-Hans">' in render_report(replace(laundry, language="zh"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("all", "全部顾客"),
        ("not yet known", "尚不可知"),
        ("mixed", "混合"),
        ("region, merged", "region（合并）"),
        ("with brand: A and B and discount", "含 brand: A and B 和 折扣"),
        ("without category: socks", "不含 category: socks"),
        ("not kmeans cluster 2 of 3", "非 kmeans 第 2 簇（共 3 簇）"),
        ("north / missing", "north / 缺失"),
        ("region & channel", "region & channel"),
        ("other + north", "其他 + north"),
        ("without the 10 largest", "去掉影响最大的 10 名"),
        ("frequency", "购买次数"),
        ("{group} 100%", "{group} 100%"),
    ],
)
def test_names_that_a_run_gives_are_said_in_chinese(name: str, said: str) -> None:
    """What we call groups and splits is translated, what the data call them is not, and in English nothing changes."""
    assert called(name) == name
    with speaking("zh"):
        assert called(name) == said


def test_a_reason_says_of_which_group_it_speaks() -> None:
    """A code with a group and a number in it becomes a sentence of both; a message of the run is worded as any other."""
    with speaking("zh"):
        assert reason("group below 100 customers: other").striptags() == "有一组不足 100 名顾客：其他。"
        assert reason("circular").startswith("分组与周期出自同样的购买")
        assert reason(Message("Customers")).striptags() == "顾客."


def test_why_rows_were_rejected_is_said_with_the_code_of_their_file(laundry: RunResult) -> None:
    """A reason is told in words, with the code by which the file of rejected rows can be searched; a code without words stands alone."""
    rows = replace(laundry.quality.inputs["transactions"], reasons={"unreadable_date": 1_200, "of_the_future": 3})
    told = '<bdi>of_the_future</bdi>: 3; date cannot be read <code dir="ltr">unreadable_date</code>: 1,200'
    assert why_rejected(rows) == told
    with speaking("zh"):
        assert why_rejected(rows).striptags() == "of_the_future：3；日期无法读取 unreadable_date：1,200"


def test_a_figure_has_chinese_as_text(laundry: RunResult, recwarn: pytest.WarningsRecorder) -> None:
    """Chinese words and names stand in the drawing as text for the page's fonts, with room for their width, and no glyph is looked for."""
    groups = [
        replace(group, name=name)
        for group, name in zip(laundry.trials[0].groups, ("小包装很小很小", "other"), strict=False)
    ]
    with speaking("zh"):
        (panel,) = return_curves(groups, since=None)
    assert ">58% 小包装很小很小</text>" in panel.svg
    assert ">58% 其他</text>" in panel.svg
    assert "距上次购买的天数</text>" in panel.svg
    assert not recwarn.list


def _starts_of_labels(groups: list[GroupEffect]) -> float:
    found = re.search(r'<text class="label g1" x="([\d.]+)"', return_curves(groups, since=None)[0].svg)
    assert found
    return float(found[1])


def test_longer_names_take_room_from_the_curves_up_to_a_limit(laundry: RunResult) -> None:
    """The labels of long names begin further left, a wide character counts twice, and curves keep half of the width."""
    groups = list(laundry.trials[0].groups)
    starts = [
        _starts_of_labels([replace(each, name=name) for each in groups]) for name in ("a", "a" * 10, "包" * 5, "a" * 90)
    ]
    assert starts[0] > starts[1] == starts[2] > starts[3] > 200


def test_the_numbers_of_a_figure_have_chinese_headings(laundry: RunResult) -> None:
    """CSV saved from a Chinese page is headed in Chinese."""
    with speaking("zh"):
        head = figure_data.tree(laundry, counts_of(laundry)).splitlines()[0]
        curves = figure_data.curves(laundry.trials[0].groups).splitlines()[0]
    assert not LATIN.findall(head)
    assert curves.startswith('天,"回购率：')


def test_nobody_has_no_tile(grown: RunResult) -> None:
    """Where everybody is known, the page does not show a segment of nobody; and the only segment is called all customers."""
    known = tuple(replace(each, customers=0) if each.name == "not yet known" else each for each in grown.segments)
    page = render_report(replace(grown, segments=known))
    assert "<h3><bdi>Not yet known</bdi></h3>" not in page
    alone = render_report(replace(grown, tree=(), segments=(Segment("all", "all", None, (), 900),)))
    assert "<h3>All customers</h3>" in alone


def test_words_of_the_glossary_stand_on_the_page(laundry: RunResult, untestable: RunResult) -> None:
    """Lift is told where there are rules and nowhere else, and every link to a word finds it."""
    assert 'id="term-lift"' in render_report(laundry)
    without = render_report(replace(untestable, rules=None, bundles=None))
    assert 'id="term-lift"' not in without
    for page in (render_report(laundry), without):
        assert set(re.findall(r'href="#(term-[\w-]+)"', page)) <= set(re.findall(r'id="(term-[\w-]+)"', page))
