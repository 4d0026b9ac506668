"""The effects of all splits side by side: which are drawn, in which order, where, and that nothing of small groups is."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import pytest

from segmentor.report import ledger
from segmentor.report.forest import MOST_DRAWN, Forest, forest
from segmentor.report.lines import counts_of
from segmentor.result import Interval, RunResult, Trial, Verdict

ORDER = ["separates", "equivalent", "inconclusive", "untestable"]


def text(markup: str) -> str:
    """What a reader sees of a piece of a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", markup)).replace("\N{NO-BREAK SPACE}", " "))


def drawn(result: RunResult) -> Forest:
    """The figure of a result."""
    found = forest(result, counts_of(result))
    assert found is not None
    return found


def names(found: Forest) -> list[str]:
    """Splits in the order in which they are drawn."""
    return [text(row.split) for _, rows in found.rows for row in rows]


def saved(found: Forest) -> list[dict[str, str]]:
    """The figure's data, read as a spreadsheet would."""
    return list(csv.DictReader(io.StringIO(found.csv.removeprefix("\N{BYTE ORDER MARK}"))))


def with_effect(trial: Trial, split: str, ratio: float, *, verdict: Verdict = "separates", half: float = 0.02) -> Trial:
    """The trial under another name, with another ratio."""
    pair = replace(trial.pairs[0], ratio=Interval(ratio, ratio - half, ratio + half))
    return replace(trial, split=split, verdict=verdict, pairs=(pair,), verdict_pair=0)


def shapes(mark: str) -> dict[str, str]:
    """Paths of a mark by what they are."""
    return {path.attrib["class"]: path.attrib["d"] for path in ElementTree.fromstring(mark)}  # noqa: S314 - drawn by us


def at(path: str) -> float:
    """Where a path begins."""
    return float(path.split()[1])


@pytest.fixture
def several(laundry: RunResult) -> RunResult:
    """Splits with effects of many sizes, in an order that is not that of the figure."""
    size = next(trial for trial in laundry.trials if trial.split == "package size")
    trials = (
        with_effect(size, "open", 3.0, verdict="inconclusive"),
        with_effect(size, "near", 1.2),
        with_effect(size, "half", 0.5),
        with_effect(size, "alike", 1.02, verdict="equivalent"),
        with_effect(size, "far", 1.6),
        replace(with_effect(size, "twice", 2.0), segment="small", source="enumerated"),
    )
    return replace(laundry, trials=trials)


def test_splits_stand_by_verdict_and_then_by_how_far_they_are_from_no_difference(several: RunResult) -> None:
    """Declared and found ones stand together, with where they were tried; half is as far as twice."""
    found = drawn(several)
    assert [verdict for verdict, _ in found.rows] == ["separates", "equivalent", "inconclusive"]
    assert set(names(found)[:2]) == {"Half", "Twice within small"}
    assert names(found)[2:] == ["Far", "Near", "Alike", "Open"]
    assert names(drawn(replace(several, trials=several.trials[::-1]))) == names(found)
    assert text(found.rows[0][1][0].against) == "large against small"


def test_groups_of_products_bought_together_are_not_named_twice(several: RunResult) -> None:
    """Beside the name of such a split its groups are with and without; its data have them in full."""
    names_ = ("with socks", "without socks")
    pair = replace(several.trials[0].pairs[0], first=names_[0], second=names_[1])
    groups = tuple(replace(group, name=name) for group, name in zip(several.trials[0].groups, names_, strict=True))
    bought = replace(several.trials[0], split="with socks", groups=groups, pairs=(pair,))
    found = drawn(replace(several, trials=(*several.trials, bought)))
    (row,) = [row for _, rows in found.rows for row in rows if text(row.split) == "With socks"]
    assert text(row.against) == "without against with"
    assert next(row["group"] for row in saved(found) if row["split"] == "with socks") == "without socks"


def test_a_mark_is_where_its_ratio_is(several: RunResult) -> None:
    """Half and twice are equally far from no difference, points lie in their order, and the zone ends where the minimum effect is."""
    rows = {text(row.split): row for _, rows in drawn(several).rows for row in rows}
    half, near, twice = (shapes(rows[name].ratio_mark) for name in ("Half", "Near", "Twice within small"))
    none = at(half["none"])
    assert none - at(half["point"]) == pytest.approx(at(twice["point"]) - none, abs=0.2)
    assert none < at(near["point"]) < at(twice["point"])
    low, high = (float(number) for number in re.findall(r"[MH] ([\d.]+)", half["zone"])[:2])
    assert none - low == pytest.approx(high - none, abs=0.2)
    at_margin = with_effect(several.trials[0], "at margin", 1.1)
    among = drawn(replace(several, trials=(*several.trials, at_margin)))
    (row,) = [row for _, rows in among.rows for row in rows if text(row.split) == "At margin"]
    assert at(shapes(row.ratio_mark)["point"]) == pytest.approx(high, abs=0.2)


def test_a_verdict_can_be_told_without_colour(several: RunResult) -> None:
    """What decides nothing is a ring; the rows of a verdict stand under its badge."""
    rings = {verdict: {"hole" in shapes(row.ratio_mark) for row in rows} for verdict, rows in drawn(several).rows}
    assert rings == {"separates": {False}, "equivalent": {False}, "inconclusive": {True}}


def test_an_interval_that_goes_on_ends_in_an_arrow(several: RunResult) -> None:
    """Very long intervals do not press the others together: they are cut, and say so."""
    pair = replace(several.trials[0].pairs[0], ratio=Interval(1.5, 0.001, 900.0))
    endless = replace(several.trials[0], split="endless", pairs=(pair,))
    rows = {
        text(row.split): row
        for _, rows in drawn(replace(several, trials=(*several.trials, endless))).rows
        for row in rows
    }
    assert rows["Endless"].ratio_mark.count('class="end"') == 2
    assert rows["Near"].ratio_mark.count('class="end"') == 0
    assert at(shapes(rows["Near"].ratio_mark)["point"]) - at(shapes(rows["Near"].ratio_mark)["none"]) > 5


def test_a_split_without_an_estimate_of_one_kind_shows_the_other(several: RunResult) -> None:
    """Where there is a share back and no ratio, the ratio's room has no point and its cell a dash."""
    pair = replace(several.trials[0].pairs[0], ratio=Interval(None, None, None))
    odd = replace(several.trials[0], split="odd", pairs=(pair,))
    rows = {
        text(row.split): row for _, rows in drawn(replace(several, trials=(*several.trials, odd))).rows for row in rows
    }
    assert "point" not in shapes(rows["Odd"].ratio_mark)
    assert text(rows["Odd"].ratio) == "–"
    assert "point" in shapes(rows["Odd"].share_mark)


def test_groups_of_few_customers_have_no_effect_here(several: RunResult) -> None:
    """A split with a small group has no row and no data; it is counted among those that are not drawn."""
    small = with_effect(several.trials[1], "secret", 4.0)
    small = replace(small, groups=(replace(small.groups[0], customers=several.min_cell - 1), small.groups[1]))
    found = drawn(replace(several, trials=(*several.trials, small)))
    assert names(found) == names(drawn(several))
    assert "secret" not in found.csv
    assert "1 split more has no effect that can be told" in text(found.summary)
    assert "no effect" not in text(drawn(several).summary)


def test_the_data_are_those_of_the_rows(several: RunResult) -> None:
    """Each row of the figure is one of the saved table, in its order, with its numbers and who is compared."""
    found = drawn(several)
    data = saved(found)
    assert [row["split"].capitalize() for row in data] == [name.removesuffix(" within small") for name in names(found)]
    twice = next(row for row in data if row["split"] == "twice")
    assert (twice["tried_in"], twice["group"], twice["against"], twice["verdict"]) == (
        "small",
        "large",
        "small",
        "separates",
    )
    assert [float(twice[column]) for column in ("ratio", "ratio_ci_low", "ratio_ci_high")] == [2.0, 1.98, 2.02]


def test_the_caption_says_what_to_see(several: RunResult) -> None:
    """The zone is said with its size and what it has to do with verdicts, and nothing of it where the config does not tell."""
    caption = text(drawn(several).caption)
    assert "up to 10 % of the cycle, or 5 points of the share back" in caption
    assert "the point lies beyond the zone and the line clear of no difference on one of the two scales" in caption
    assert "the 90 % interval lies within the zone on both" in caption
    unknown = drawn(replace(several, config={}))
    assert "zone" not in text(unknown.caption)
    assert "zone" not in unknown.rows[0][1][0].ratio_mark


def test_one_effect_is_no_figure(laundry: RunResult, untestable: RunResult) -> None:
    """A figure that compares nothing is left out."""
    alone = replace(laundry, trials=laundry.trials[:1])
    assert forest(alone, counts_of(alone)) is None
    assert forest(untestable, counts_of(untestable)) is None


def test_many_candidates_make_a_short_figure(crowded: RunResult, crowded_page: str) -> None:
    """Of 10,000 trials as many as can be looked at are drawn, each once, all that have a card among them; where the rest is, is said."""
    found = drawn(crowded)
    at_all = Counter((row["tried_in"], row["split"]) for row in saved(found))
    assert len(at_all) == MOST_DRAWN
    assert set(at_all.values()) == {1}
    cards = [trial for trial in ledger.carded(crowded) if trial.pairs]
    assert len(cards) < MOST_DRAWN
    assert {("" if trial.segment == "all" else trial.segment, trial.split) for trial in cards} <= set(at_all)
    assert f"{MOST_DRAWN} of the 10,507 splits" in text(found.summary)
    assert "trials.csv" in found.summary
    verdicts = [verdict for verdict, _ in found.rows]
    assert verdicts == sorted(verdicts, key=ORDER.index)
    (section,) = re.findall(r'(?s)<section id="forest".*?</section>', crowded_page)
    assert section.count('<th scope="row">') == MOST_DRAWN
    assert len(section.encode()) < 80_000


def test_names_lead_to_cards_that_are_there(pages: dict[str, str]) -> None:
    """The figure stands between the cards and the search, and links to the card of the split that it names."""
    page = pages["grown"]
    assert page.index('id="splits"') < page.index('id="forest"') < page.index('id="search"')
    (section,) = re.findall(r'(?s)<section id="forest".*?</section>', page)
    links = re.findall(r'(?s)<th scope="row"><a href="#(split-\d+)">(.*?)</a>', section)
    assert links
    for target, name in links:
        (title,) = re.findall(rf'(?s)<h3 id="{target}-title">(.*?)</h3>', page)
        assert text(name).startswith(text(title))


def test_effects_of_a_pair_that_is_hidden_are_not_shown_by_another(several: RunResult) -> None:
    """Of three groups the pair that carries the verdict is drawn or none: it is not replaced by one that may be shown."""
    trial = several.trials[0]
    third = replace(trial.groups[0], name="tiny", customers=several.min_cell - 1)
    carrying = replace(trial.pairs[0], first="tiny", ratio=Interval(9.0, 8.0, 10.0))
    three = replace(
        trial, split="three", groups=(*trial.groups, third), pairs=(trial.pairs[0], carrying), verdict_pair=1
    )
    assert "Three" not in names(drawn(replace(several, trials=(*several.trials, three))))
