"""Trials -> the ledger: every test of a run with its place in the correction for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segmentor.result import EVERYBODY, LedgerEntry
from segmentor.result.trial import Correction, Outcome, Stage


@dataclass(frozen=True, slots=True)
class Tested:
    """One test: name of the split, where it was tried, p and adjusted p; ``None`` where it was not tested."""

    split: str
    p_value: float | None
    p_adjusted: float | None
    segment: str = EVERYBODY


OUTCOMES: dict[Stage, tuple[Outcome, Outcome]] = {
    "declared": ("significant", "not significant"),
    "discovery": ("promoted", "not promoted"),
    "confirmation": ("significant", "not significant"),
}
"""Of a test at or below the level, and above it, by stage."""


def ledger_entries(tests: Sequence[Tested], stage: Stage, correction: Correction, *, level: float) -> list[LedgerEntry]:
    """The tests that one stage adjusts for together, the smallest p first, then what could not be tested.

    Args:
        tests: The tests.
        stage: ``declared``, ``discovery`` or ``confirmation``.
        correction: ``Holm``, ``min-P``, ``Benjamini-Yekutieli`` or ``none``.
        level: At or below which an adjusted p is significant.
    """
    tested = sorted(
        ((one.p_value, one.segment, one.split, one.p_adjusted) for one in tests if one.p_value is not None),
        key=lambda entry: entry[:3],
    )
    entries = [
        LedgerEntry(
            segment,
            split,
            stage,
            correction,
            p,
            place,
            len(tested),
            adjusted,
            OUTCOMES[stage][(adjusted or 0.0) > level],
        )
        for place, (p, segment, split, adjusted) in enumerate(tested, start=1)
    ]
    return entries + [
        LedgerEntry(one.segment, one.split, stage, correction, None, None, len(tested), None, "not tested")
        for one in tests
        if one.p_value is None
    ]
