"""The numbers of a figure as CSV, to be saved from the page: what the figure shows, and no more than it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from segmentor.report.names import cut
from segmentor.report.small_cells import Counts
from segmentor.result import NOT_YET_KNOWN, CrossSellRule, GroupEffect, RunResult
from segmentor.result.standing import standing, without_group
from segmentor.tables import Cell, as_csv

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
    columns = [f"{bound}: {cut(group.name, 80)}" for group in groups for bound in ("share_back", "ci_low", "ci_high")]
    by_day = [
        dict(zip(curve.days, zip(curve.share_back, curve.ci_low, curve.ci_high, strict=True), strict=True))
        for curve in drawn
    ]
    days = sorted({day for curve in drawn for day in curve.days})
    nothing = (None, None, None)
    return as_csv(
        ("day", *columns),
        [[day, *(_rounded(value) for found in by_day for value in found.get(day, nothing))] for day in days],
    )


def tree(result: RunResult, counts: Counts) -> str:
    """The tree of segments: each node with the one above it, its customers as the page may show them, and what its leaves do."""
    columns = ("node", "above", "split_by", "customers", "share_back", "horizon_days", "mean_cycle_days")
    return as_csv(columns, _nodes(result, counts))


def rules(found: Sequence[CrossSellRule], counts: Counts) -> str:
    """Cross-sell rules as they are drawn, those that held and those that did not."""
    columns = ("bought", "offered", "mode", "confidence", "lift", "ci_low", "ci_high", "customers", "valid")
    return as_csv(
        columns,
        [
            [
                " + ".join(cut(item, 80) for item in rule.antecedent),
                cut(rule.consequent, 80),
                rule.mode,
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
    columns = ("bought", "then", "day", "share", "by_habit")
    return as_csv(
        columns,
        [
            [
                " + ".join(cut(item, 80) for item in rule.antecedent),
                cut(rule.consequent, 80),
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
            cut(node.segment, 200),
            None if node.parent is None else cut(node.parent, 200),
            cut(node.split, 200) if node.held and node.split is not None else None,
            _count(node.customers, counts),
            None if told is None else _rounded(told.share_back),
            None if told is None else told.horizon_days,
            None if told is None or told.mean_cycle_days is None else round(told.mean_cycle_days, 1),
        ]
        if rest.get(node.segment):
            yield [NOT_YET_KNOWN, cut(node.segment, 200), None, _count(rest[node.segment], counts), None, None, None]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, DECIMALS)


def _count(number: int, counts: Counts) -> Cell:
    return number if counts.exact(number) else counts(number)


_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
