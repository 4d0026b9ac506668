"""Splits sorted for reading: which have a card, what the rows say, what could have been seen."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from scipy.stats import norm

from segmentor.report import candidates, ledger
from segmentor.report.lines import counts_of
from segmentor.result import SAME_GROUPS, ClusterRule, GroupEffect, Interval, LeftOut, RunResult, Trial
from segmentor.wording import Message


def text(markup: str) -> str:
    """What a reader sees of a piece of a page."""
    parsed = ElementTree.fromstring(f"<x>{markup}</x>")  # noqa: S314 - our own page
    return " ".join("".join(parsed.itertext()).split())


def test_cards_are_for_splits_that_somebody_waits_for(searched: RunResult) -> None:
    """Declared splits, those of the tree and those that were tested have a card; the other 501 have a row."""
    cards = {trial.split for trial in ledger.carded(searched)}
    assert cards == {"form", "brand", "package size", "channel: store", "first basket: DRYER SHEETS", "often before"}
    assert len(candidates.rows(searched, counts_of(searched))) == 501


def test_of_many_tested_splits_the_surest_have_a_card(searched: RunResult) -> None:
    """No more splits than there is room for have a card: those that separate first, then those with the smallest p."""
    tested = [
        replace(trial, p_adjusted=0.9 - number / 1000, verdict="inconclusive")
        for number, trial in enumerate(searched.trials[-200:])
    ]
    tested[0] = replace(tested[0], verdict="separates", p_adjusted=0.04)
    cards = ledger.carded(replace(searched, trials=tuple(tested), tree=()))
    assert len(cards) == ledger.MOST_CARDS
    assert cards[0] == tested[0]
    assert {trial.split for trial in cards[1:]} == {trial.split for trial in tested[-ledger.MOST_CARDS + 1 :]}


def test_links_lead_to_the_card_of_the_right_segment(grown: RunResult) -> None:
    """A split that was tried in two segments has two places."""
    twice = replace(grown, trials=(*grown.trials, replace(grown.trials[2], segment="large")))
    places = ledger.places(twice)
    assert places["all", "package size"] != places["large", "package size"]
    assert len(set(places.values())) == len(places)


def test_a_row_shows_groups_effects_and_other_names(searched: RunResult) -> None:
    """A row has the customers of its groups, ratio and share difference with intervals, and why it was not just screened out."""
    row = next(row for row in candidates.rows(searched, counts_of(searched)) if text(row.split) == "Mostly powder")
    assert [(text(group), customers) for group, customers in row.groups] == [("has 1", "61"), ("has it not", "1,349")]
    assert text(row.aliases) == "form: POWDER"
    assert text(row.ratio) == "0.98 0.89 to 1.07"
    assert row.why == ""


def test_a_small_group_shows_no_effect(searched: RunResult) -> None:
    """Of a value that 7 customers have, the row gives neither the count nor an effect."""
    value, rest = searched.trials[-1].groups
    small = replace(searched.trials[-1], groups=(replace(value, customers=7), rest))
    (row,) = candidates.rows(replace(searched, trials=(small,)), counts_of(replace(searched, trials=(small,))))
    assert [customers for _, customers in row.groups] == ["fewer than 10", "about 860"]
    assert (text(row.ratio), text(row.share_difference)) == ("–", "–")


def test_many_groups_are_counted(grown: RunResult) -> None:
    """Of eight groups, one of them small, the row gives their number and a rough total."""
    brand = replace(grown.trials[1], source="enumerated", p_adjusted=None, reasons=("not promoted",))
    (row,) = candidates.rows(
        replace(grown, trials=(brand,), tree=()), counts_of(replace(grown, trials=(brand,), tree=()))
    )
    ((groups, customers),) = row.groups
    assert text(groups) == "8 groups"
    assert customers == "about 1,600"
    assert text(row.against) == "CHEER against TIDE"


def test_alike_splits_give_the_interval_that_holds_all_pairs(grown: RunResult) -> None:
    """Of three pairs the widest bounds are told; declared splits come first."""
    form = grown.trials[0]
    wider = replace(form.pairs[0], ratio=Interval(1.0, 0.91, 1.08), share_difference=Interval(0.0, -0.049, 0.01))
    found = replace(form, split="found", source="enumerated", pairs=(*form.pairs, wider), aliases=("another",))
    rows = candidates.alike(replace(grown, trials=(found, form)), counts_of(replace(grown, trials=(found, form))))
    assert [text(row.split) for row in rows] == ["Form", "Found"]
    assert text(rows[1].ratio) == "0.91 to 1.08"
    assert text(rows[1].share_difference) == "−4.9 to +2.6 points"
    assert text(rows[1].aliases) == "another"


def test_rules_of_small_clusters_show_no_fidelity(grown: RunResult) -> None:
    """A share that would tell of few customers is told roughly, one of a small cluster not at all."""

    def shown(rule: ClusterRule) -> tuple[str, str, str]:
        trial = replace(grown.trials[0], cluster=rule)
        (row,) = candidates.rules(replace(grown, trials=(trial,)), counts_of(replace(grown, trials=(trial,))))
        return row.customers, text(row.coverage), text(row.precision)

    assert shown(ClusterRule("gmm", 1, 2, 200, 0.8, 0.84, 0.79)) == ("200", "84 %", "79 %")
    assert shown(ClusterRule("gmm", 1, 2, 200, 0.8, 0.98, 0.79)) == ("200", "about 100 %", "about 80 %")
    assert shown(ClusterRule("gmm", 1, 2, 8, 0.8, 0.875, 0.79)) == ("fewer than 10", "–", "–")


@pytest.mark.parametrize(
    ("p_value", "said"),
    [(0.003, "it is still there (p = 0.0030)"), (0.3, "it is no longer sure (p = 0.30)"), (None, "")],
)
def test_a_rule_of_timing_says_what_is_left_within_past_frequency(
    p_value: float | None, said: str, grown: RunResult
) -> None:
    """The test within strata of past frequency and recency is told in words, and only where it was made."""
    rule = ClusterRule("kmeans", 1, 2, 200, 0.8, 0.84, 0.79, p_value)
    assert said in text(candidates.echo(replace(grown.trials[0], cluster=rule), grown))


def test_what_could_have_been_seen_follows_from_the_intervals(undivided: RunResult) -> None:
    """The difference found in 80 % of the cases is (z of the level over the tests + z of 80 %) standard errors."""

    def candidate(number: int) -> Trial:
        trial = undivided.trials[-1]
        pair = replace(trial.pairs[0], ratio=Interval(1.0, 0.9, 1 / 0.9), share_difference=Interval(0.0, -0.04, 0.04))
        return replace(trial, split=f"candidate {number}", pairs=(pair,))

    (said,) = candidates.could_have_been_seen(replace(undivided, trials=tuple(map(candidate, range(5)))))
    errors = norm.isf(0.025 / 40) + norm.ppf(0.8)
    ratio = (1 / 0.9) ** (errors / norm.ppf(0.975))
    share = 100 * 0.04 * errors / norm.ppf(0.975)
    assert f"a factor of {ratio:.2f}, or the shares back by {share:.1f}" in said.replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith("Among 40 candidates")


def test_nothing_is_claimed_where_nothing_was_estimated(untestable: RunResult) -> None:
    """Without an interval there is no difference that could have been seen."""
    assert candidates.could_have_been_seen(untestable) == []


def test_what_was_tried_is_told_by_where_it_comes_from(searched: RunResult) -> None:
    """Declared splits, candidates made of columns and rules of clusters are counted apart, at the root."""
    assert text(candidates.tried(searched)) == (
        "3 declared splits, 2 rules that say a cluster and 500 candidates made of the columns"
    )


def test_a_group_without_an_effect_makes_no_error(searched: RunResult) -> None:
    """A candidate of which only sizes are known still has a row."""
    bare = replace(
        searched.trials[-1], pairs=(), verdict_pair=None, groups=(GroupEffect("a", 50, 60), GroupEffect("b", 70, 80))
    )
    (row,) = candidates.rows(replace(searched, trials=(bare,)), counts_of(replace(searched, trials=(bare,))))
    assert text(row.ratio) == "–"


def repeating(searched: RunResult) -> RunResult:
    """The shop with three candidates that separate, of which two only repeat the package size."""
    found = searched.trials[-3:]
    trials = tuple(
        replace(trial, verdict="separates", explained_by=repeated, p_discovery_adjusted=p_value, p_adjusted=0.01)
        for trial, repeated, p_value in zip(
            found, ("package size", None, "package size"), (0.02, 0.01, 0.004), strict=True
        )
    )
    return replace(searched, trials=(*searched.trials[:-3], *trials))


def test_what_only_repeats_the_tree_has_no_card_and_no_row_but_a_table_of_its_own(searched: RunResult) -> None:
    """Of three that separate, the one that says something new has a card; the others stand together, the surest first."""
    result = repeating(searched)
    cards = {trial.split for trial in ledger.carded(result)}
    assert {"category 498", "package size"} <= cards
    ((repeated, rows),) = candidates.repeating(result, counts_of(result))
    assert text(repeated) == "package size"
    assert [text(row.split) for row in rows] == ["Category 499", "Category 497"]
    others = {text(row.split) for row in candidates.rows(result, counts_of(result))}
    assert not others & {"Category 497", "Category 498", "Category 499"}


def test_a_declared_split_keeps_its_card_though_it_repeats_the_tree(searched: RunResult) -> None:
    """Somebody waits for the answer to a declared split, whatever explains it."""
    form = replace(searched.trials[0], verdict="separates", explained_by="package size")
    result = replace(searched, trials=(form, *searched.trials[1:]))
    assert "form" in {trial.split for trial in ledger.carded(result)}


def test_rows_stand_by_verdict_and_then_by_the_p_of_the_screening(searched: RunResult) -> None:
    """Among candidates of one verdict the smallest adjusted p of the screening comes first, whatever the order of the config."""
    p_values = (0.9, 0.2, None, 0.5)
    trials = tuple(
        replace(trial, verdict="inconclusive", p_discovery_adjusted=p_value)
        for trial, p_value in zip(searched.trials[-4:], p_values, strict=True)
    )
    result = replace(searched, trials=trials, tree=())
    rows = candidates.rows(result, counts_of(result))
    assert [text(row.split)[-3:] for row in rows] == ["497", "499", "496", "498"]


def test_a_row_says_what_would_decide_it_and_when_it_is_read(searched: RunResult) -> None:
    """Customers needed stand in the row of an open candidate, and the day of its effects where it is not that of most."""
    *others, last = searched.trials
    odd = replace(last, verdict="inconclusive", horizon_days=12, customers_needed=5_400)
    result = replace(searched, trials=(*others, odd))
    rows = {text(row.split): row for row in candidates.rows(result, counts_of(result))}
    row = rows["Category 499"]
    assert row.horizon == "within 12\N{NO-BREAK SPACE}days"
    assert text(row.why).replace("\N{NO-BREAK SPACE}", " ") == "About 5,400 customers in all would decide it."
    assert rows["Category 498"].horizon == ""
    assert "at day 120" in candidates.usual_horizon(result)


def test_no_value_of_a_column_that_separates_is_one_not_to_segment_on(grown: RunResult) -> None:
    """A value that does not matter is not listed where the tree uses its column; its row tells where."""
    form = grown.trials[0]
    value = replace(form, split="channel: search", source="enumerated", attribute="channel", p_adjusted=None)
    other = replace(value, split="region: north", attribute="region")
    result = replace(grown, trials=(*grown.trials, value, other))
    counts = counts_of(result)
    assert [text(row.split) for row in candidates.alike(result, counts)] == ["Form", "Region: north"]
    rows = {text(row.split): text(row.why) for row in candidates.rows(result, counts)}
    assert rows["Channel: search"].endswith("But see channel: store within large.")
    assert "But" not in rows["Region: north"]


def test_what_was_left_out_is_told_by_reason(grown: RunResult) -> None:
    """Columns and clusters stand by reason with what they are the same as; sets of products, whatever they are called, are counted."""
    assert grown.search is not None
    left_out = (
        LeftOut("coupon", "column", Message("has one value")),
        LeftOut("with a and b", "itemset", Message(SAME_GROUPS, {"split": "with b"})),
        LeftOut("with tax", "column", Message("has one value")),
        LeftOut("with c", "itemset", Message(SAME_GROUPS, {"split": "size: x"})),
        LeftOut("place", "column", Message(SAME_GROUPS, {"split": "region"})),
        LeftOut("kmeans cluster 2 of 4", "cluster", Message("no short rule says it")),
    )
    result = replace(grown, search=replace(grown.search, left_out=left_out))
    told = [(text(those).replace("\N{NO-BREAK SPACE}", " "), text(why)) for those, why in candidates.left_out(result)]
    assert told == [
        ("coupon and with tax", "Has one value."),
        ("place (as region)", "Makes the same groups as another candidate."),
        ("kmeans cluster 2 of 4", "No short rule says it."),
        ("2 sets of products", "Makes the same groups as another candidate."),
    ]
    told = text(candidates.how_many_left_out(result)).replace("\N{NO-BREAK SPACE}", " ")
    assert told == "3 columns, 2 sets of products and 1 cluster"
    assert not candidates.are_named(result)
    assert candidates.are_named(grown)


def test_groups_of_products_bought_together_are_named_shortly(searched: RunResult) -> None:
    """Beside its name the groups of such a split are with and without."""
    last = searched.trials[-1]
    groups = (GroupEffect("with a and b", 50, 60), GroupEffect("without a and b", 70, 80))
    result = replace(
        searched, trials=(replace(last, split="with a and b", groups=groups, pairs=(), verdict_pair=None),)
    )
    (row,) = candidates.rows(result, counts_of(result))
    assert [text(group) for group, _ in row.groups] == ["with", "without"]
