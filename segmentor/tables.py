"""A run's result as CSV tables for spreadsheets and programs: trials, habits, the ledger, cross-sell rules and bundles.

A name that a spreadsheet could run is led by an apostrophe, also where several stand in one cell with ``|`` between: so a name reads
the same wherever it stands.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from segmentor.result import (
    Bundle,
    ClusterRule,
    CrossSellRule,
    Habit,
    Interval,
    LedgerEntry,
    PairEffect,
    RunResult,
    Trial,
)

Cell = str | int | float | bool | None
Cells = Cell | tuple[Cell, ...]
"""One value, or several with ``|`` between."""

TRIAL_COLUMNS = (
    "segment",
    "split",
    "source",
    "known",
    "groups",
    "customers",
    "customers_by_group",
    "verdict",
    "reason",
    "verdict_groups",
    "ratio",
    "ratio_ci_low",
    "ratio_ci_high",
    "difference_days",
    "mean_cycle_days_by_group",
    "share_back_by_group",
    "share_difference",
    "share_difference_ci_low",
    "share_difference_ci_high",
    "horizon_days",
    "p_value",
    "p_discovery_adjusted",
    "p_confirmation_adjusted",
    "customers_needed",
    "attribute",
    "aliases",
    "explained_by",
    "rule_stability",
    "rule_coverage",
    "rule_precision",
    "echo_p_value",
)

HABIT_COLUMNS = (
    "segment",
    "split",
    "groups",
    "habit",
    "unit",
    "customers",
    "mean_by_group",
    "first",
    "second",
    "difference",
    "difference_ci_low",
    "difference_ci_high",
    "standardised",
    "standardised_ci_low",
    "standardised_ci_high",
    "p_value",
    "p_adjusted",
)

LEDGER_COLUMNS = ("segment", "split", "stage", "correction", "p_value", "place", "of", "p_adjusted", "outcome")

CROSS_SELL_COLUMNS = (
    "antecedent",
    "consequent",
    "kind",
    "mode",
    "segment",
    "customers",
    "support",
    "confidence",
    "lift",
    "lift_ci_low",
    "lift_ci_high",
    "p_confirmation_adjusted",
    "valid",
    "median_days",
    "expected_extra_orders",
    "expected_extra_amount",
)

BUNDLE_COLUMNS = (
    "items",
    "customers",
    "lift",
    "lift_ci_low",
    "lift_ci_high",
    "p_confirmation_adjusted",
    "valid",
    "orders_a_year",
    "price",
    "usual_discount",
    "bundle_price",
    "margin_an_order",
    "break_even",
)


def trials_csv(result: RunResult) -> str:
    """One row per trial, in the order of the config; effects are those of the pair that carries the verdict."""
    return _csv(TRIAL_COLUMNS, (_trial_row(trial) for trial in result.trials))


def habits_csv(result: RunResult) -> str:
    """One row per split and habit, the surest of each split first; only the header where none was looked at."""
    return _csv(HABIT_COLUMNS, (_habit_row(trial, habit) for trial in result.trials for habit in trial.habits))


def ledger_csv(result: RunResult) -> str:
    """One row per test of the run with its place in the correction, by stage and then by p."""
    return _csv(LEDGER_COLUMNS, (_ledger_row(entry) for entry in result.ledger))


def cross_sell_csv(result: RunResult) -> str:
    """One row per promoted rule; only the header where cross-sell is off or nothing was promoted."""
    return _csv(CROSS_SELL_COLUMNS, (_rule_row(rule) for rule in result.rules or ()))


def bundles_csv(result: RunResult) -> str:
    """One row per set that was tried as a bundle; only the header where cross-sell is off or there is none."""
    return _csv(BUNDLE_COLUMNS, (_bundle_row(bundle) for bundle in result.bundles or ()))


def assigned_csv(rows: Iterable[Sequence[Cell]]) -> str:
    """``assign``'s file: one row per customer, in the order given: customer, segment, and the day since when it is known.

    Ids and names stand exactly as they are, to be joined with: a program reads this file, so that nothing is put before what a
    spreadsheet would take for a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("customer", "segment", "known_since"))
    writer.writerows(rows)
    return text.getvalue()


def as_csv(columns: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    """Any table, written as the others are; its columns may have names from the data."""
    return "".join(",".join(map(_cell, line)) + "\n" for line in (columns, *rows))


def _trial_row(trial: Trial) -> dict[str, Cells]:
    groups = trial.groups
    return {
        "segment": trial.segment,
        "split": trial.split,
        "source": trial.source,
        "known": trial.known,
        "groups": tuple(group.name for group in groups),
        "customers": sum(group.customers for group in groups),
        "customers_by_group": tuple(group.customers for group in groups),
        "verdict": trial.verdict,
        "reason": "; ".join(trial.reasons),
        **_effect_cells(None if trial.verdict_pair is None else trial.pairs[trial.verdict_pair]),
        "mean_cycle_days_by_group": _estimates([group.mean_cycle_days for group in groups]),
        "share_back_by_group": _estimates([group.share_back for group in groups]),
        "horizon_days": trial.horizon_days,
        "p_value": None if trial.test is None else trial.test.p_value,
        "p_discovery_adjusted": trial.p_discovery_adjusted,
        "p_confirmation_adjusted": trial.p_adjusted,
        "customers_needed": trial.customers_needed,
        "attribute": trial.attribute,
        "aliases": trial.aliases or None,
        "explained_by": trial.explained_by,
        **_rule_cells(trial.cluster),
    }


def _rule_cells(rule: ClusterRule | None) -> dict[str, Cells]:
    if rule is None:
        return {}
    return {
        "rule_stability": rule.stability,
        "rule_coverage": rule.coverage,
        "rule_precision": rule.precision,
        "echo_p_value": rule.echo_p_value,
    }


def _effect_cells(pair: PairEffect | None) -> dict[str, Cells]:
    if pair is None:
        return {}
    return {
        "verdict_groups": (pair.first, pair.second),
        **_interval_cells("ratio", pair.ratio),
        "difference_days": pair.difference_days.estimate,
        **_interval_cells("share_difference", pair.share_difference),
    }


def _habit_row(trial: Trial, habit: Habit) -> dict[str, Cells]:
    return {
        "segment": trial.segment,
        "split": trial.split,
        "groups": tuple(group.name for group in trial.groups),
        "habit": habit.name,
        "unit": habit.unit,
        "customers": habit.customers,
        "mean_by_group": habit.means,
        "first": habit.first,
        "second": habit.second,
        **_interval_cells("difference", habit.difference),
        **_interval_cells("standardised", habit.standardised),
        "p_value": habit.p_value,
        "p_adjusted": habit.p_adjusted,
    }


def _ledger_row(entry: LedgerEntry) -> dict[str, Cells]:
    return {column: getattr(entry, column) for column in LEDGER_COLUMNS}


def _rule_row(rule: CrossSellRule) -> dict[str, Cells]:
    return {
        "antecedent": rule.antecedent,
        "consequent": rule.consequent,
        "kind": rule.kind,
        "mode": rule.mode,
        "segment": rule.segment,
        "customers": rule.customers,
        "support": rule.support,
        "confidence": rule.confidence,
        **_interval_cells("lift", rule.lift),
        "p_confirmation_adjusted": rule.p_confirmation_adjusted,
        "valid": rule.valid,
        "median_days": rule.median_days,
        "expected_extra_orders": None if rule.worth is None else rule.worth.orders.estimate,
        "expected_extra_amount": None
        if rule.worth is None or rule.worth.amount is None
        else rule.worth.amount.estimate,
    }


def _bundle_row(bundle: Bundle) -> dict[str, Cells]:
    cells: dict[str, Cells] = {column: getattr(bundle, column) for column in BUNDLE_COLUMNS if "lift" not in column}
    return {**cells, **_interval_cells("lift", bundle.lift)}


def _interval_cells(name: str, interval: Interval) -> dict[str, Cells]:
    return {name: interval.estimate, f"{name}_ci_low": interval.ci_low, f"{name}_ci_high": interval.ci_high}


def _estimates(intervals: Sequence[Interval | None]) -> tuple[Cell, ...] | None:
    if all(interval is None for interval in intervals):
        return None
    return tuple(None if interval is None else interval.estimate for interval in intervals)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Cells]]) -> str:
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(column)) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Cells) -> str:
    values = value if isinstance(value, tuple) else (value,)
    text = "|".join(inert(each) if isinstance(each, str) else _plain(each) for each in values)
    if not any(isinstance(each, str) for each in values):
        return text
    return text if _NEEDS_NO_QUOTES.fullmatch(text) else '"' + text.replace('"', '""') + '"'


def inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _plain(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return float.__repr__(value) if isinstance(value, float) else str(value)


_FORMULA = re.compile(r"""[\t\r\n]|[\s"']*[=+\-@＝＋－＠]""")
"""What a spreadsheet may run: a formula sign first, also after space or quotes, also at full width (OWASP)."""

_NEEDS_NO_QUOTES = re.compile(r"[\w .|:()/%<>-]*")
"""Text that no spreadsheet takes apart, whatever its separator."""
