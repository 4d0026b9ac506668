"""Sentences of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from segmentor.report import curves, words
from segmentor.report.answer import answers
from segmentor.result import Interval, Rule, RunResult, Segment


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("entry", "A customer's group is known when a customer arrives."),
        ("first_purchase", "A customer's group is known from the first purchase on."),
        ("first_purchases: 2", "A customer's group is known from the first 2 purchases on."),
        ("until: 2017-06-30", "A customer's group is known from the purchases before 2017-06-30."),
        ("lifetime", "A customer's group is made from the customer's whole history."),
    ],
)
def test_when_a_group_is_known_is_said_in_words(known: str, said: str) -> None:
    """Each way of knowing a group has its words."""
    assert words.known(known).striptags().replace("&#39;", "'") == said


def test_a_reason_without_words_is_said_as_it_is() -> None:
    """A reason that the page has no words for is still shown."""
    assert words.reason("group below 100 customers: <x>") == (
        '<bdi dir="ltr">Group below 100 customers: &lt;x&gt;.</bdi>'
    )


def test_the_question_of_many_splits_stays_short(laundry: RunResult) -> None:
    """Of many splits the first five are named, and how many more there are."""
    trials = tuple(replace(laundry.trials[0], split=f"s{place:02}") for place in range(30))
    asked = words.question(replace(laundry, trials=trials)).striptags()
    assert asked == "Which of these tell who comes back, and how soon: s00, s01, s02, s03, s04 or 25 more?"


def test_the_answer_says_that_all_verdicts_are_open(laundry: RunResult) -> None:
    """Where splits were tested and none separates or was shown alike, the answer does not claim more."""
    brand = next(trial for trial in laundry.trials if trial.verdict == "inconclusive")
    said = [(verdict, sentence.striptags()) for verdict, sentence in answers(replace(laundry, trials=(brand,)))]
    assert [verdict for verdict, _ in said] == [None, None, "inconclusive"]
    assert said[0][1].startswith("Nothing separates")
    assert said[1][1] == "No split was shown not to matter."


@pytest.mark.parametrize(
    ("ratio", "share", "told"),
    [
        (Interval(1.2, 1.1, 1.3), Interval(0.0, -0.1, 0.1), "tells how soon customers come back"),
        (Interval(1.0, 0.9, 1.1), Interval(0.2, 0.1, 0.3), "tells how many customers come back"),
        (Interval(1.2, 1.1, 1.3), Interval(0.2, 0.1, 0.3), "tells who comes back, and how soon"),
    ],
)
def test_the_answer_says_which_effect_a_split_has(
    laundry: RunResult, ratio: Interval, share: Interval, told: str
) -> None:
    """A split that changes only how soon, or only how many, is not said to do both."""
    size = next(trial for trial in laundry.trials if trial.verdict == "separates")
    size = replace(size, pairs=(replace(size.pairs[0], ratio=ratio, share_difference=share),))
    assert told in answers(replace(laundry, trials=(size,)))[0][1]


def test_a_caption_points_to_the_curve_that_rises_sooner(laundry: RunResult) -> None:
    """Where as many come back in both groups, the caption says whose curve rises sooner."""
    size = next(trial for trial in laundry.trials if trial.verdict == "separates")
    size = replace(size, pairs=(replace(size.pairs[0], share_difference=Interval(0.0, -0.1, 0.1)),))
    assert curves.caption(size, size.groups).startswith("The curve of <bdi>small</bdi> rises sooner: by day 120")


def test_a_naive_test_misleads_where_it_alone_finds_a_difference(laundry: RunResult) -> None:
    """The trap is marked where the naive p is below the level and the right one is not."""
    assert [words.misleads(trial, laundry) for trial in words.in_order(laundry.trials)] == [False, True, True, False]


def test_customers_without_a_group_have_words_of_their_own() -> None:
    """The leaf of customers without a label is told from the root."""
    leaf = Segment("not-yet-known", "not yet known", "all", (), 300)
    assert words.rule(leaf) == "Customers to whom no group applies (yet)."
    assert words.rule(replace(leaf, parent=None)) == "Every customer."


def test_the_answer_does_not_count_what_repeats_as_found(laundry: RunResult) -> None:
    """Splits that differ only because they repeat another are told apart, the declared among them by name; they are no open question."""
    size = next(trial for trial in laundry.trials if trial.verdict == "separates")
    again = [
        replace(size, split=f"with sample {number}", source="enumerated", explained_by="package size")
        for number in range(11)
    ]
    declared = replace(size, split="travel size", explained_by="package size")
    unsure = replace(again[0], split="with a voucher", verdict="inconclusive")
    (verdict, said), _, (_, still_open) = answers(replace(laundry, trials=(size, *again, declared, unsure)))
    assert verdict == "separates"
    assert "voucher" not in still_open
    assert said.striptags().startswith("Package size tells who comes back")
    assert said.striptags().endswith("13 more (among them travel size) differ only because they repeat package size.")


def test_no_question_is_open_only_where_all_were_decided(laundry: RunResult) -> None:
    """Candidates that did not stand out are counted as not told, where nobody waits for them too."""
    form = next(trial for trial in laundry.trials if trial.verdict == "equivalent")
    unsure = replace(form, split="x", source="enumerated", verdict="inconclusive", p_adjusted=None)
    assert answers(replace(laundry, trials=(form,)))[2] == (None, "No question was left open.")
    verdict, said = answers(replace(laundry, trials=(form, unsure)))[2]
    assert verdict == "inconclusive"
    assert said.replace("\N{NO-BREAK SPACE}", " ") == "1 candidate did not stand out, and may matter all the same."


def test_a_declared_split_of_a_column_that_separates_is_not_advised_against(laundry: RunResult) -> None:
    """What does not matter among all is told with where it does."""
    form = next(trial for trial in laundry.trials if trial.verdict == "equivalent")
    within = replace(form, segment="small", attribute="form", source="enumerated", verdict="separates")
    _, said = answers(replace(laundry, trials=(form, within)))[1]
    assert said.striptags() == "Form does not matter, but see form within small."


def test_a_sentence_of_three_groups_says_that_it_is_about_two(discovered: RunResult) -> None:
    """The evidence of a segment whose split has three groups names its pair as one of several; that of two groups does not."""
    region = next(trial for trial in discovered.trials if trial.split == "region")
    rule = (Rule("region", "north", "entry", "region = 'north'"),)
    leaf = Segment("north", "north", "all", rule, 402, evidence=region.sentence)
    assert words.evidence(leaf, discovered).striptags() == (
        "Customers of the islands come back less often and later. That is one pair of its 3 groups, the one that carries the verdict."
    )
    two = replace(region, groups=region.groups[:2], verdict_pair=0)
    assert words.evidence(leaf, replace(discovered, trials=(two,))).striptags() == str(region.sentence)
