"""The ledger of a run's tests, ready to be read: what was tried at each stage, and what each p was adjusted for."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from segmentor.report.names import listed, name
from segmentor.report.numbers import count
from segmentor.report.vocabulary import STAGES
from segmentor.report.words import in_order
from segmentor.result import LedgerEntry, RunResult


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


def stages(result: RunResult) -> list[Stage]:
    """The tests by stage and correction, in the order of the run."""
    keys = dict.fromkeys((entry.stage, entry.correction) for entry in result.ledger)
    order = list(STAGES)
    return [
        _stage(
            stage,
            correction,
            [entry for entry in result.ledger if (entry.stage, entry.correction) == (stage, correction)],
        )
        for stage, correction in sorted(keys, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    ]


def places(result: RunResult) -> dict[tuple[str, str], str]:
    """Where on the page each trial stands, by its segment and split."""
    return {
        (trial.segment, trial.split): f"split-{number}" for number, trial in enumerate(in_order(result.trials), start=1)
    }


def _stage(stage: str, correction: str, entries: list[LedgerEntry]) -> Stage:
    outcomes = [entry.outcome for entry in entries]
    came = listed([Markup("{} {}").format(count(outcomes.count(each)), name(each)) for each in dict.fromkeys(outcomes)])
    tests = count(sum(entry.p_value is not None for entry in entries), "test")
    adjusted = count(max(entry.of for entry in entries), "test")
    return Stage(
        escape(STAGES[stage]) if stage in STAGES else name(stage),
        Markup("{}, not adjusted, since it follows a significant test of the groups that were merged: {}.").format(
            tests, came
        )
        if correction == "none"
        else Markup("{}, adjusted for {} by {}: {}.").format(tests, adjusted, name(correction), came),
        entries,
    )
