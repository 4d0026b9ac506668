"""The page: what it says, that it is one safe file, and that it is the same wherever it is made."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from segmentor.report import figure_data, render_report
from segmentor.report.lines import counts_of
from segmentor.result import RunResult, to_json

_REACHES_OUT = (
    r"url\(|@import|import[ (]|fetch|XMLHttp|innerHTML|outerHTML|insertAdjacent|document\.write|\beval|Function\("
)
"""What a script or sheet could load, or make markup or code of text with."""

SHOPS = ["laundry", "discovered", "nothing separates", "untestable", "grown", "searched", "undivided", "hostile"]


@dataclass
class Page(HTMLParser):
    """What a browser makes of a page.

    Attributes:
        tags: Its tags with their attributes.
        texts: The texts that a reader sees, with the tag that each stands in.
        inside: Tags that are open.
    """

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - see HTMLParser
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - see HTMLParser
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:  # noqa: D102 - see HTMLParser
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:  # noqa: D102 - see HTMLParser
        if not {"style", "script", "template"} & set(self.inside):
            self.texts.append((self.inside[-1] if self.inside else "", data))

    @property
    def text(self) -> str:
        """The text in one line, every space alike."""
        return " ".join(" ".join(text for _, text in self.texts).split())


def read(html: str) -> Page:
    """The page as a browser sees it."""
    page = Page()
    page.feed(html)
    page.close()
    assert not page.inside
    return page


@pytest.fixture(params=SHOPS)
def any_page(request: pytest.FixtureRequest, pages: dict[str, str]) -> str:
    """The page of each shop in turn."""
    shop: str = request.param
    return pages[shop]


def test_every_section_is_present_in_order(pages: dict[str, str]) -> None:
    """The answer comes before verdicts, tree and splits, these before all effects, search, segments, rules, data and method, the glossary last."""
    asked, found = (
        [attributes["id"] for tag, attributes in read(pages[shop]).tags if tag == "section"]
        for shop in ("laundry", "grown")
    )
    end = ["segments", "cross-sell", "quality", "method", "ledger", "glossary"]
    assert asked == ["answer", "verdicts", "avoid", "splits", "forest", *end]
    assert found == ["answer", "verdicts", "tree", "avoid", "splits", "forest", "search", *end]


def test_a_run_without_cross_sell_has_no_such_section(pages: dict[str, str]) -> None:
    """Where cross-sell is off, the page does not speak of it."""
    assert "cross-sell" not in [attributes.get("id") for _, attributes in read(pages["untestable"]).tags]


def test_the_answer_names_what_separates_what_does_not_and_what_is_open(pages: dict[str, str]) -> None:
    """The three sentences name the split, the shares back, the cycles and the customers needed."""
    text = read(pages["laundry"]).text
    assert "Package size tells who comes back, and how soon: within 120 days, 64 % of small are back" in text
    assert "after 46 days on average, and 51 % of large , after 54 days on average." in text
    assert "Form does not matter: customers of its groups come back alike, to within 10 % of the cycle" in text
    assert "whether brand (about 5,400 customers in all, or about 14 months more, would decide it) matters." in text


def test_splits_stand_in_order_of_verdict(pages: dict[str, str]) -> None:
    """Separating splits come first, untestable ones last, whatever the order of the config."""
    cards = [attributes["class"] for tag, attributes in read(pages["laundry"]).tags if tag == "article"][:4]
    assert cards == ["card separates", "card equivalent", "card inconclusive", "card untestable"]


def test_a_card_shows_effects_with_intervals_units_and_the_p_values(pages: dict[str, str]) -> None:
    """Groups, differences, ratio, adjusted p and the naive p stand in the card of a split."""
    text = read(pages["laundry"]).text
    for said in (
        "small 612 customers 64 % 59 to 69 % 46 days 43 to 50 days",
        "large against small −13 points −20 to −6 points +8.2 days +5.1 to +11.3 days ratio 1.18 1.10 to 1.26",
        "with p = 0.00031, adjusted for 3 tests in this run p = 0.00093",
        "A log-rank test that takes all cycles as independent would say p < 0.0001",
        "A trap. A log-rank test that takes all cycles as independent would say p = 0.012",
    ):
        assert said in text


def test_the_verdicts_over_other_seeds_are_shown(pages: dict[str, str]) -> None:
    """The verdict over each of five other seeds of the halves is on the page."""
    text = read(pages["laundry"]).text
    assert "seed 2 ≠ Separates seed 3 ≠ Separates seed 4 ≠ Separates seed 5 ? Cannot tell yet seed 6" in text


def test_nothing_separates_reads_as_a_result(pages: dict[str, str]) -> None:
    """A run in which nothing separates says so first, and makes one segment of all customers."""
    text = read(pages["nothing separates"]).text
    assert "The answer – Nothing separates: no split showed a difference" in text
    assert "One segment, all customers" in text
    assert "Do not segment on Customers of the groups of this split were shown to come back alike" in text
    assert "Share back Grade liquid 905 , powder about 500 0.96 to 1.02 −3.4 to +2.6 points" in text
    assert "No rule held among customers that it was not found in" in text


def test_a_single_untestable_split_reads_as_a_result(pages: dict[str, str]) -> None:
    """A run whose only split cannot be tested says why, and how to ask again."""
    text = read(pages["untestable"]).text
    assert "Nothing is known to separate, for nothing could be tested." in text
    assert "they would differ whatever customers do." in text
    assert "What to do: Ask with" in text


def test_the_account_of_rows_adds_up_on_the_page(pages: dict[str, str]) -> None:
    """Rows read, kept, filtered out and rejected stand side by side with the reasons."""
    text = read(pages["laundry"]).text
    assert (
        "transactions 1,469,307 1,468,120 0 1,187 no customer missing_customer : 1,100; date cannot be read unreadable_date : 87"
        in text
    )


def test_small_groups_show_no_count_no_estimate_and_no_curve(pages: dict[str, str]) -> None:
    """Of a group of 7 customers the page says only that it is small; no total gives it away."""
    page = read(pages["laundry"])
    assert "ERA fewer than 10 customers – –" in page.text
    assert "ERA against" not in page.text
    assert "against ERA" not in page.text
    assert not [
        label
        for tag, attributes in page.tags
        if tag == "svg" and "ERA" in (label := attributes.get("aria-label") or "")
    ]
    assert "liquid 905 customers" in page.text
    assert "powder about 500 customers" in page.text
    assert "No group applies to fewer than 10 customers." in page.text


def test_rules_that_did_not_hold_are_apart(pages: dict[str, str]) -> None:
    """Valid rules come first, the surest of them on top; rejected ones are folded away with their count."""
    text = read(pages["laundry"]).text
    assert text.index("FABRIC SOFTENER") < text.index("RAZORS") < text.index("1 rule did not hold") < text.index("MILK")


def test_the_page_is_one_file_that_loads_nothing(any_page: str) -> None:
    """No tag loads anything, one script runs, links stay on the page, and the policy forbids the rest."""
    html = any_page
    tags = read(html).tags
    assert not {"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"} & {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset", "xlink:href")
        ]
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(
        attributes["content"] for _, attributes in tags if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    hashes = []
    for tag in ("script", "style"):
        (source,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert [found for found, _ in tags].count(tag) == 1
        assert not re.search(_REACHES_OUT, source)
        hashes.append(f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'")
    assert policy == f"default-src 'none'; {'; '.join(hashes)}; base-uri 'none'; form-action 'none'"


def test_dark_is_the_same_by_the_system_and_by_choice(pages: dict[str, str]) -> None:
    """Both sets of dark colours are one, and none of them reaches paper."""
    (style,) = re.findall("<style>(.*?)</style>", pages["laundry"], re.DOTALL)
    sets = re.findall(r"--page: #14171a.*?\}", style, re.DOTALL)
    assert len(sets) == 2
    assert sets[0] == sets[1]
    assert style.index("@media screen") < style.index(sets[0])


@pytest.mark.parametrize("shop", [shop for shop in SHOPS if shop != "hostile"])
def test_no_address_is_on_the_page(shop: str, pages: dict[str, str]) -> None:
    """The page holds no URL at all; hashes of its style and script may hold any sign."""
    assert not re.findall("https?:|//", re.sub("'sha256-[^']+'", "", pages[shop]))


def test_hostile_names_are_shown_as_text(pages: dict[str, str]) -> None:
    """Markup, templates and formulas in names are seen as they are, and make no tag of their own."""
    page = read(pages["hostile"])
    for said in (
        "<script>alert(1)</script>",
        "</style><style>*{color:red}",
        "{{7*7}}",
        "=cmd|'/c calc'!A1",
        "<!--<script>",
    ):
        assert said in page.text
    assert "49" not in re.findall(r"\w+", next(text for _, text in page.texts if "{{7*7}}" in text))
    assert [tag for tag, _ in page.tags].count("style") == 1


def test_characters_that_hide_or_turn_text_are_replaced(pages: dict[str, str]) -> None:
    """No control character and no change of direction reaches the page."""
    html = pages["hostile"]
    assert not re.findall("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", html)
    assert "\N{REPLACEMENT CHARACTER}gnp.exe" in html


def test_names_stand_in_isolation(pages: dict[str, str]) -> None:
    """Every name from the data is in an element of its own direction; texts of figures are by the style."""
    texts = read(pages["hostile"]).texts
    assert {tag for tag, text in texts if "alert(1)" in text} == {"bdi", "code", "pre", "title", "text"}
    assert re.search(r"figure text \{[^}]*unicode-bidi: isolate", pages["hostile"])


def test_figures_are_well_formed_and_tell_their_content(any_page: str) -> None:
    """Each figure is XML of its own, has a text alternative, and no colour, style or id."""
    for figure in re.findall(r"<svg.*?</svg>", any_page, re.DOTALL):
        root = ElementTree.fromstring(figure)  # noqa: S314 - our own drawing
        assert root.get("aria-hidden") == "true" or root.get("aria-label")
        assert {key for element in root.iter() for key in element.attrib} <= {
            "aria-hidden", "aria-label", "class", "d", "height", "preserveAspectRatio", "role", "text-anchor", "transform", "viewBox",
            "width", "x", "y",
        }  # fmt: skip


def test_ids_are_unique_and_every_link_has_a_target(any_page: str) -> None:
    """No id occurs twice, and every link and label points to one."""
    tags = read(any_page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {attributes["href"] for _, attributes in tags if "href" in attributes}
    wanted |= {f"#{attributes['aria-labelledby']}" for _, attributes in tags if "aria-labelledby" in attributes}
    assert wanted <= {f"#{each}" for each in ids}


def test_the_page_has_the_same_bytes_everywhere(laundry: RunResult, tmp_path: Path) -> None:
    """Hash seed, time zone, folder, home and locale do not change a byte."""
    program = (
        "import sys; from segmentor.result import from_json; from segmentor.report import render_report\n"
        "sys.stdout.buffer.write(render_report(from_json(sys.stdin.buffer.read().decode())).encode())"
    )
    root = str(Path(__file__).parents[2])
    surroundings = {
        "PYTHONPATH": root,
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Shanghai",
        "LC_ALL": "C.UTF-8",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=to_json(laundry).encode(),
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, **surroundings},
    )
    assert done.stdout == render_report(laundry).encode()


def test_settings_of_matplotlib_do_not_reach_the_page(laundry: RunResult) -> None:
    """What a user has set for matplotlib changes no byte, and is as it was afterwards."""
    plain = render_report(laundry)
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "lines.linewidth": 9}):
        assert render_report(laundry) == plain
        assert mpl.rcParams["font.size"] == 30


def test_a_result_without_trials_reads_as_a_result(laundry: RunResult) -> None:
    """A run that was asked nothing says so."""
    text = read(render_report(replace(laundry, trials=(), segments=laundry.segments[:1]))).text
    assert "No split of customers was asked about." in text


def test_a_found_split_says_that_it_was_found(pages: dict[str, str]) -> None:
    """Cards of thresholds and merged groups open with how they came about; that of a declared split does not."""
    cards = re.split(r"<article", pages["discovered"])[1:6]
    assert ["Found, not declared." in card for card in cards] == [True, False, True, False, False]
    assert "every way of dealing the groups out" in cards[0]
    assert "a chi-square law" in cards[1]


def test_a_label_until_a_date_says_what_is_counted_from_when(pages: dict[str, str]) -> None:
    """Its curve is the wait from the date, its ratio of the cycles begun after it: table, caption and answer say so."""
    text = read(pages["discovered"]).text
    for said in (
        "Back within 120 days of 30 June 2017",
        "Mean cycle begun since 30 June 2017",
        "The curves are the wait from 30 June 2017 to the next purchase, one a customer",
        "mean cycle and ratio are of the cycles begun from that day on",
        "days since 30 June 2017",
        "A check of the label. With baskets dealt at random",
    ):
        assert said in text
    assert "since the last purchase" in text
    assert "30 June" not in read(pages["laundry"]).text


def test_what_stands_beside_a_verdict_is_on_demand(pages: dict[str, str]) -> None:
    """Crossover, habits, parts and comparability are folded away under a line that already answers."""
    page = read(pages["laundry"])
    summaries = re.findall(r"<details>\s*<summary>(.*?)</summary>", pages["laundry"], re.DOTALL)
    told = [re.sub("<[^>]*>", "", summary).replace("\N{NO-BREAK SPACE}", " ") for summary in summaries]
    assert told[:4] == [
        "Who comes back for what? The label sticks in part",
        "Other habits: 4 of 6 habits differ: order value, items per order and 2 more",
        "Does it hold everywhere? The effect points the same way in 9 of 10 parts; in 2 more it cannot be told",
        "Can the groups be compared? 98 % of the customers began when customers of another group began too, in 11 of 12 months",
    ]
    assert "2017-11 about 20 fewer than 10 yes" in page.text
    assert "Followed, median 241 days 236 days" in page.text


def test_groups_that_are_not_comparable_show_their_cohorts_at_once(pages: dict[str, str]) -> None:
    """Where comparability is the obstacle its table stands open, with where a comparison could be made."""
    assert re.search(r"<details open>\s*<summary>Can the groups be compared\? 11", pages["discovered"])
    assert "Customers of two groups began in 2017-04 and 2017-05 only" in read(pages["discovered"]).text


def test_a_restated_split_can_be_copied_as_it_is(pages: dict[str, str], laundry: RunResult) -> None:
    """The YAML of a restated split stands whole in one block."""
    restated = next(trial.restated for trial in laundry.trials if trial.restated)
    blocks = [text for tag, text in read(pages["laundry"]).texts if tag == "pre"]
    assert restated in blocks


def test_the_ledger_holds_every_test_and_leads_to_its_split(pages: dict[str, str]) -> None:
    """Every test has a row under its stage, with its place; splits with a card are links."""
    text = read(pages["discovered"]).text
    assert "Region, merged 0.0011 2 of 213 0.030 promoted" in text
    assert "Threshold 213 0.54 213 of 213 0.90 not promoted" in text
    assert '<a href="#split-1"><bdi>First basket</bdi></a>' in pages["discovered"]
    assert "ledger" not in [attributes.get("id") for _, attributes in read(pages["untestable"]).tags]


def test_a_found_split_is_adjusted_for_what_was_confirmed(pages: dict[str, str]) -> None:
    """Beside the p of a confirmed split stands the number of tests of its own stage, not of all."""
    assert "with p = 0.0060, adjusted for 2 tests in this run p = 0.012" in read(pages["discovered"]).text


def test_the_ledger_tells_the_screening_of_each_segment_apart(pages: dict[str, str]) -> None:
    """A screening within a segment is a stage of its own, adjusted for the candidates that were tried there."""
    text = read(pages["grown"]).text
    assert "Found splits, screened in one half of the customers 2 tests, adjusted for 212 tests by min-P" in text
    assert (
        "Found splits, screened in one half of the customers: within large 1 test, adjusted for 96 tests by min-P"
        in text
    )


def test_500_candidates_make_one_small_page(pages: dict[str, str], searched: RunResult) -> None:
    """Only splits that matter have a card and a figure; the rest is one folded table, and the page stays small."""
    page = read(pages["searched"])
    cards = [attributes for tag, attributes in page.tags if tag == "article" and "card" in (attributes["class"] or "")]
    assert len(cards) == len([tag for tag, _ in read(pages["grown"]).tags if tag == "article"]) - len(searched.segments)
    assert "501 more candidates , in one table" in page.text.replace("candidates,", "candidates ,")
    assert "Category 499 made of the columns has 499 559 , has it not 851 0.98 0.89 to 1.07 +1 point" in page.text
    assert len(pages["searched"].encode()) < 1_000_000


def test_10_000_candidates_and_200_segments_stay_below_the_limit(crowded_page: str) -> None:
    """Long tables are cut, and say where the rest is."""
    assert len(crowded_page.encode()) < 5_000_000
    assert "10,501\N{NO-BREAK SPACE}more candidates" in crowded_page
    assert "The first 1,000 are shown; all are in <code>trials.csv</code>" in crowded_page
    assert "The 250 with the smallest <i>p</i> are shown; all are in <code>ledger.csv</code>" in crowded_page


def test_contents_are_the_sections_that_are_there(any_page: str) -> None:
    """Every section has its title in the contents, in the same order, and nothing else has."""
    tags = read(any_page).tags
    (menu,) = re.findall(r"<nav.*?<ul>(.*?)</ul>", any_page, re.DOTALL)
    sections = [attributes["id"] for tag, attributes in tags if tag == "section"]
    assert re.findall('<a href="#(.*?)">', menu) == sections
    titles = {attributes["aria-labelledby"] for tag, attributes in tags if tag == "section"}
    assert titles == {attributes["id"] for tag, attributes in tags if tag == "h2"}


def test_every_table_says_what_it_holds(any_page: str) -> None:
    """No table is without a caption, and each of its rows and columns has a heading."""
    for table in re.findall(r"<table.*?</table>", any_page, re.DOTALL):
        assert re.match(r"<table[^>]*>\s*<caption>.+?</caption>", table)
        head, _, body = table.partition("<tbody")
        assert head.count("<th ") >= 1
        assert all("<th scope=" in row for row in body.split("<tr")[1:])


def test_every_curve_can_be_saved_as_numbers(pages: dict[str, str]) -> None:
    """Beside each figure stand the numbers that it shows; of a small group there are none."""
    saved = [unescape(text) for text in re.findall("<template>(.*?)</template>", pages["laundry"], re.DOTALL)]
    size = next(text for text in saved if "small" in text)
    header, *rows = size.splitlines()
    assert header == (
        "day,share_back: small,ci_low: small,ci_high: small,share_back: large,ci_low: large,ci_high: large"
    )
    assert rows[0] == "0,0.0,0.0,0.0,0.0,0.0,0.0"
    assert rows[-1] == "120,0.643,0.583,0.703,0.512,0.452,0.572"
    assert len(rows) == 121
    assert not [text for text in saved if "ERA" in text]


def test_the_saved_tree_hides_what_the_page_hides(grown: RunResult) -> None:
    """A node of few customers, and one that would give it away, are told in words, and of leaves of few nothing is told."""
    few = replace(
        grown,
        tree=tuple(replace(node, customers=7) if node.segment == "large / store" else node for node in grown.tree),
        segments=tuple(
            replace(segment, customers=7) if segment.name == "large / store" else segment for segment in grown.segments
        ),
    )
    rows = {row.split(",")[0]: row for row in figure_data.tree(few, counts_of(few)).splitlines()}
    assert rows["large / store"] == "large / store,large,,fewer than 10,,,"
    assert rows["not yet known"].startswith("not yet known,large,,about ")
    assert rows["all"].startswith("all,,package size,1410,")


def test_a_saved_name_is_no_formula_and_ends_nothing(pages: dict[str, str]) -> None:
    """Names in saved tables are escaped in the page, and led by an apostrophe where a spreadsheet would run them."""
    saved = re.findall("<template>(.*?)</template>", pages["hostile"], re.DOTALL)
    assert saved
    assert not [text for text in saved if "<" in text]
    tree = next(text for text in map(unescape, saved) if text.startswith("node,"))
    assert "\n\"'=cmd|'/c calc'!A1\"" in tree


def test_the_answer_speaks_of_candidates_as_a_whole(pages: dict[str, str]) -> None:
    """Candidates are counted, those within segments apart from the others, and not listed; a split within a segment says within which; an echo is named."""
    grown, undivided = read(pages["searched"]).text, read(pages["undivided"]).text
    assert "Package size and channel: store within large tell who comes back" in grown
    assert (
        "Of 512 candidates that the data suggested, 1 had a confirming test, and none separates there; of 96 tried within segments, 2 had a "
        "confirming test, and 1 separates there." in grown
    )
    assert (
        "Often before: category = '0' repeats how often and how recently customers had bought before, and nothing more."
        in grown
    )
    assert "whether category" not in grown
    assert "None of 40 candidates that the data suggested stood out enough for a confirming test." in undivided


def test_cards_of_found_splits_tell_their_rule_aliases_and_echo(pages: dict[str, str]) -> None:
    """Of a clustered split the card tells cluster, coverage, precision, stability and the echo; of any split its other names."""
    text = read(pages["grown"]).text
    for said in (
        "The same groups go by other names, and were tried once: first basket: STORE BRAND and region: south .",
        (
            "The rule says cluster 1 of 2 of HDBSCAN on a UMAP embedding in words: 310 customers of one half; the rule takes 92 % of them, "
            "and 88 % of those whom it takes are in the cluster."
        ),
        "An echo of past frequency: nothing is left of it among customers who had bought as often and as recently (p = 0.61).",
    ):
        assert said in text
