"""Every test of a run, ready to be read: what was tried at each stage, what each p was adjusted for, and where on the page it stands."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from segmentor.report.names import listed, name
from segmentor.report.numbers import count
from segmentor.report.saying import say, say_many
from segmentor.report.vocabulary import STAGES, VERDICTS
from segmentor.report.words import heading, in_order, of_tree, outcome, was_asked
from segmentor.result import EVERYBODY, LedgerEntry, RunResult, Trial
from segmentor.wording import gettext

MOST_CARDS = 60
"""Splits that have a card of their own; more only where more were declared or are in the tree."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The tests of one stage that were adjusted together.

    Attributes:
        title: What is done at the stage.
        summary: How many tests, how they were adjusted, what came of them.
        entries: The tests, smallest p first.
    """

    title: Markup
    summary: Markup
    entries: list[LedgerEntry]


@dataclass(frozen=True, slots=True)
class Sieve:
    """What became of candidates.

    Attributes:
        tried: Screened in one half of the customers.
        promoted: Those that stood out there and had their one test in the other half.
        confirmed: Those that separate in it.
    """

    tried: int
    promoted: int
    confirmed: int


def sieves(result: RunResult) -> tuple[Sieve, Sieve]:
    """What became of candidates among all customers, and of those within segments."""
    within: dict[str, int] = {}
    for entry in result.ledger:
        if entry.stage == "discovery" and entry.segment != EVERYBODY:
            within[entry.segment] = max(within.get(entry.segment, 0), entry.of)
    tested = [trial for trial in result.trials if trial.source != "declared" and trial.p_adjusted is not None]

    def sieve(tried: int, *, of_all: bool) -> Sieve:
        verdicts = [trial.verdict for trial in tested if (trial.segment == EVERYBODY) == of_all]
        return Sieve(tried, len(verdicts), verdicts.count("separates"))

    tried = 0 if result.search is None else result.search.tried
    return sieve(tried, of_all=True), sieve(sum(within.values()), of_all=False)


def stages(result: RunResult) -> list[Stage]:
    """The tests by stage and correction, in the order of the run; a screening adjusts for the candidates of its segment."""
    together: dict[tuple[str, str, str], list[LedgerEntry]] = {}
    for entry in result.ledger:
        segment = entry.segment if entry.stage == "discovery" else EVERYBODY
        together.setdefault((entry.stage, entry.correction, segment), []).append(entry)
    order = list(STAGES)
    return [
        _stage(*key, together[key])
        for key in sorted(together, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    ]


def carded(result: RunResult) -> list[Trial]:
    """Splits that have a card of their own, as they are shown: the declared, those of the tree, and those tested in confirmation.

    Those that differ only because they repeat a split of the tree have none. Of many that were tested, those that separate come
    first, then the surest.
    """
    tried_in_tree = {(node.segment, node.split) for node in result.tree}
    order = list(VERDICTS)
    kept, found = [], []
    for place, trial in enumerate(result.trials):
        if trial.source == "declared" or (trial.segment, trial.split) in tried_in_tree:
            kept.append(place)
        elif (was_asked(trial) or trial.verdict == "separates") and trial.explained_by is None:
            sure = 1.0 if trial.p_adjusted is None else trial.p_adjusted
            found.append((order.index(trial.verdict), sure, trial.split, place))
    kept += [place for *_, place in sorted(found)[: max(MOST_CARDS - len(kept), 0)]]
    held = of_tree(result)
    tree_first = sorted(
        kept, key=lambda place: ((result.trials[place].segment, result.trials[place].split) not in held, place)
    )
    return in_order(result.trials[place] for place in tree_first)


def places(result: RunResult) -> dict[tuple[str, str], str]:
    """Where on the page each split with a card stands, by its segment and name."""
    return {(trial.segment, trial.split): f"split-{number}" for number, trial in enumerate(carded(result), start=1)}


def entry_title(entry: LedgerEntry, card: str | None) -> Markup:
    """The split of a test, with where it was tried below the root.

    Args:
        entry: The test.
        card: Where on the page the split stands; ``None`` for one without a card.
    """
    split = heading(entry.split)
    if card is not None:
        split = Markup('<a href="#{}">{}</a>').format(card, split)
    if entry.segment == EVERYBODY:
        return split
    return say('{split} <span class="quiet">in {segment}</span>', split=split, segment=name(entry.segment))


def _stage(stage: str, correction: str, segment: str, entries: list[LedgerEntry]) -> Stage:
    title = escape(gettext(STAGES[stage])) if stage in STAGES else name(stage)
    if segment != EVERYBODY:
        title = say("{stage}: within {segment}", stage=title, segment=name(segment))
    outcomes = [entry.outcome for entry in entries]
    came = listed(
        [
            say("{number:,} {outcome}", number=outcomes.count(each), outcome=outcome(each))
            for each in dict.fromkeys(outcomes)
        ]
    )
    tests = sum(entry.p_value is not None for entry in entries)
    return Stage(title, _summary(tests, max(entry.of for entry in entries), correction, came), entries)


def _summary(tests: int, adjusted_for: int, correction: str, came: Markup) -> Markup:
    """How many tests a stage has, how they were adjusted, and what came of them."""
    if correction == "none":
        return say_many(
            "{number:,}\N{NO-BREAK SPACE}test, not adjusted, since it follows a significant test of the groups that were merged: {came}.",
            "{number:,}\N{NO-BREAK SPACE}tests, not adjusted, since each follows a significant test of the groups that were merged: {came}.",
            tests,
            came=came,
        )
    if tests == adjusted_for:
        return say_many(
            "{number:,}\N{NO-BREAK SPACE}test, with no other to adjust for: {came}.",
            "{number:,}\N{NO-BREAK SPACE}tests, adjusted for one another by {correction}: {came}.",
            tests,
            correction=name(correction),
            came=came,
        )
    return say(
        "{tests}, adjusted for {all} by {correction}: {came}.",
        tests=count(tests, "test", "tests"),
        all=count(adjusted_for, "test", "tests"),
        correction=name(correction),
        came=came,
    )
