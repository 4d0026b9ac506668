"""The numbers of a figure as CSV, to be saved from the page: what the figure shows, and no more than it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from segmentor.report.names import called, cut
from segmentor.report.small_cells import Counts
from segmentor.result import NOT_YET_KNOWN, CrossSellRule, GroupEffect, RunResult
from segmentor.result.standing import standing, without_group
from segmentor.tables import Cell, as_csv
from segmentor.wording import gettext, pgettext

DECIMALS = 3
"""Digits of a share: tenths of a percent, as fine as a figure can show it."""


def file_name(result: RunResult, figure: str) -> str:
    """A name for a saved file that is one everywhere: ``laundry-split-1.csv``."""
    return f"{_UNSAFE.sub('_', result.experiment)[:40]}-{figure}.csv"


def curves(groups: Sequence[GroupEffect]) -> str:
    """Return curves by day: share back of each group with its band.

    Customers at risk are left out: from one day to the next they would tell of single ones.

    Args:
        groups: Groups that have a curve.
    """
    drawn = [group.curve for group in groups if group.curve is not None]
    columns = [
        heading.format(group=cut(called(group.name), 80))
        for group in groups
        for heading in (gettext("share_back: {group}"), gettext("ci_low: {group}"), gettext("ci_high: {group}"))
    ]
    by_day = [
        dict(zip(curve.days, zip(curve.share_back, curve.ci_low, curve.ci_high, strict=True), strict=True))
        for curve in drawn
    ]
    days = sorted({day for curve in drawn for day in curve.days})
    nothing = (None, None, None)
    return as_csv(
        (pgettext("column", "day"), *columns),
        [[day, *(_rounded(value) for found in by_day for value in found.get(day, nothing))] for day in days],
    )


def tree(result: RunResult, counts: Counts) -> str:
    """The tree of segments: each node with the one above it, its customers as the page may show them, and what its leaves do."""
    columns = (
        pgettext("column", "node"),
        pgettext("column", "above"),
        pgettext("column", "split_by"),
        pgettext("column", "customers"),
        pgettext("column", "share_back"),
        pgettext("column", "horizon_days"),
        pgettext("column", "mean_cycle_days"),
    )
    return as_csv(columns, _nodes(result, counts))


def rules(found: Sequence[CrossSellRule], counts: Counts) -> str:
    """Cross-sell rules as they are drawn, those that held and those that did not."""
    columns = (
        pgettext("column", "bought"),
        pgettext("column", "offered"),
        pgettext("column", "mode"),
        pgettext("column", "confidence"),
        pgettext("column", "lift"),
        pgettext("column", "ci_low"),
        pgettext("column", "ci_high"),
        pgettext("column", "customers"),
        pgettext("column", "valid"),
    )
    modes = {
        "same_occasion": pgettext("column", "same_occasion"),
        "next_purchase": pgettext("column", "next_purchase"),
    }
    return as_csv(
        columns,
        [
            [
                " + ".join(cut(called(item), 80) for item in rule.antecedent),
                cut(called(rule.consequent), 80),
                modes.get(rule.mode, rule.mode),
                _rounded(rule.confidence),
                *map(_rounded, (rule.lift.estimate, rule.lift.ci_low, rule.lift.ci_high)),
                _count(rule.customers, counts),
                rule.valid,
            ]
            for rule in found
        ],
    )


def speeds(found: Sequence[CrossSellRule]) -> str:
    """How soon the next is bought, by rule and day: the share who have bought it, and by habit.

    Args:
        found: Rules that have a curve.
    """
    columns = (
        pgettext("column", "bought"),
        pgettext("column", "then"),
        pgettext("column", "day"),
        pgettext("column", "share"),
        pgettext("column", "by_habit"),
    )
    return as_csv(
        columns,
        [
            [
                " + ".join(cut(called(item), 80) for item in rule.antecedent),
                cut(called(rule.consequent), 80),
                day,
                _rounded(share),
                _rounded(usual),
            ]
            for rule in found
            if rule.curve is not None
            for day, (share, usual) in enumerate(zip(rule.curve.share, rule.curve.usual, strict=True))
        ],
    )


def _nodes(result: RunResult, counts: Counts) -> Iterator[list[Cell]]:
    nodes = standing(result)
    rest = without_group(nodes)
    segments = {segment.name: segment for segment in result.segments}
    for node in nodes:
        leaf = None if node.held else segments.get(node.segment)
        told = leaf if leaf is not None and leaf.customers >= counts.min_cell else None
        yield [
            cut(called(node.segment), 200),
            None if node.parent is None else cut(called(node.parent), 200),
            cut(called(node.split), 200) if node.held and node.split is not None else None,
            _count(node.customers, counts),
            None if told is None else _rounded(told.share_back),
            None if told is None else told.horizon_days,
            None if told is None or told.mean_cycle_days is None else round(told.mean_cycle_days, 1),
        ]
        if rest.get(node.segment):
            yield [
                called(NOT_YET_KNOWN),
                cut(called(node.segment), 200),
                None,
                _count(rest[node.segment], counts),
                None,
                None,
                None,
            ]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, DECIMALS)


def _count(number: int, counts: Counts) -> Cell:
    return number if counts.exact(number) else counts(number)


_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
