"""The definition of a segment in plain words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from segmentor.engine.conditions import parse_condition
from segmentor.segments.tree import declaration
from segmentor.splits import MIXED, Split

if TYPE_CHECKING:
    from segmentor.config.values import GroupCondition, Known
    from segmentor.segments.tree import Leaf


def in_words(leaf: Leaf) -> str:
    """All conditions of a leaf, each after when it is known: ``first purchase: all lines with size sample; channel: store``."""
    parts: list[str] = []
    before = None
    for step in leaf.steps:
        when = _when(declaration(step.fork.split).known)
        said = _group(step.fork.split, step.group)
        parts.append(said if when == before else f"{when}: {said}")
        before = when
    return "; ".join(parts)


def _when(known: Known) -> str:
    if known.date is not None:
        return f"before {known.date.isoformat()}"
    if known.purchases is not None and known.purchases > 1:
        return f"first {known.purchases} purchases"
    return {"entry": "at entry", "lifetime": "ever"}.get(known.kind, "first purchase")


def _group(split: Split, group: str) -> str:
    """The condition of a group; of several taken together, one after the other."""
    parts = dict(zip(split.groups, split.parts, strict=True)).get(group) if split.parts else None
    said = [_single(split, part) for part in parts or (group,)]
    return " or ".join(f"({one})" if len(said) > 1 and re.search(" and | or |, ", one) else one for one in said)


def _single(split: Split, group: str) -> str:
    if split.threshold is not None:
        return f"{split.by} {'at most' if group.startswith('<') else 'above'} {split.threshold:.10g}"
    groups = declaration(split).groups
    if groups is None:
        return f"{split.by}: {'several values' if group == MIXED else group}"
    own = groups[group]
    earlier = list(groups)[: list(groups).index(group)]
    # Of the groups the first that holds decides, so that a later one bars those before it.
    *others, last = ["", *(name for name in earlier if not _exclude(split, own, groups[name]))]
    barred = f"neither {', '.join(others[1:])} nor {last}" if others[1:] else f"not {last}" if last else ""
    return ", but ".join(filter(None, [_condition(split, own), barred])) or "anything"


def _exclude(split: Split, one: GroupCondition, other: GroupCondition) -> bool:
    """Whether no customer can meet both conditions, so that one need not be told to bar the other."""
    values = [_one_value(split, condition) for condition in (one, other)]
    return None not in values and values[0] != values[1] and len({column for column, _ in filter(None, values)}) == 1


def _one_value(split: Split, condition: GroupCondition) -> tuple[str, str] | None:
    """The column of which a customer has one value only, and the value: ``channel = 'store'``, ``"size: full" = 1``."""
    tree = parse_condition(condition.condition).unnest()
    if not (isinstance(tree, exp.EQ) and isinstance(tree.left, exp.Column) and isinstance(tree.right, exp.Literal)):
        return None
    if (share := _share_of(split, tree.left)) is not None:
        return share if tree.right.this == "1" else None
    if split.source.startswith("_window") and not split.features and condition.quantifier != "all":
        return None
    return tree.left.name, str(tree.right.this)


def _share_of(split: Split, tree: exp.Expr) -> tuple[str, str] | None:
    """The column and the value of which a feature is the share; ``None`` for anything else."""
    if not isinstance(tree, exp.Column) or not split.features or ": " not in tree.name:
        return None
    column, _, value = tree.name.partition(": ")
    return column, value


def _condition(split: Split, condition: GroupCondition) -> str | None:
    """The condition alone, and of how many lines it is; ``None`` where it is always true."""
    tree = parse_condition(condition.condition).unnest()
    if isinstance(tree, exp.Boolean) and tree.this:
        return None
    lines = ""
    if split.source.startswith("_window"):
        every = condition.quantifier == "all"
        lines = "all lines with " if every else "" if split.is_of_a_snapshot or split.features else "a line with "
    return lines + _said(tree, split)


_COMPARISONS = {
    exp.EQ: "",
    exp.NEQ: "other than ",
    exp.LT: "below ",
    exp.LTE: "at most ",
    exp.GT: "above ",
    exp.GTE: "at least ",
}


def _said(tree: exp.Expr, split: Split) -> str:
    """A condition with words for its signs; what has none stays SQL."""
    match tree:
        case exp.Paren():
            said = _said(tree.this, split)
            return f"({said})" if isinstance(tree.this, exp.And | exp.Or) else said
        case exp.And() | exp.Or():
            joint = "and" if isinstance(tree, exp.And) else "or"
            return f"{_said(tree.left, split)} {joint} {_said(tree.right, split)}"
        case exp.Not(this=exp.Is(expression=exp.Null()) as test):
            return f"{_value(test.this)} known"
        case exp.Not():
            return f"not {_said(tree.this, split)}"
        case exp.Is(expression=exp.Null()):
            return f"{_value(tree.this)} missing"
        case exp.In() if tree.expressions:
            values = [_value(one) for one in tree.expressions]
            return f"{_value(tree.this)} {' or '.join([', '.join(values[:-1]), values[-1]] if values[1:] else values)}"
        case exp.Between():
            return f"{_value(tree.this)} from {_value(tree.args['low'])} to {_value(tree.args['high'])}"
        case exp.Binary() if type(tree) in _COMPARISONS:
            share = _share_of(split, tree.left)
            if share is not None and isinstance(tree.right, exp.Literal) and not tree.right.is_string:
                return _share_said(tree, *share, float(tree.right.this))
            return f"{_value(tree.left)} {_COMPARISONS[type(tree)]}{_value(tree.right)}"
    return _value(tree)


def _share_said(tree: exp.Binary, column: str, value: str, bound: float) -> str:
    """A condition on the share of the lines, or for weekday and hour of the purchases, with a value."""
    of = "purchases" if column in ("weekday", "hour") else "lines"
    match tree, bound:
        case (exp.EQ(), 1.0) | (exp.GTE(), 1.0):
            return f"all {of} with {column} {value}"
        case (exp.GT(), 0.0):
            return f"some {of} with {column} {value}"
        case (exp.EQ(), 0.0) | (exp.LTE(), 0.0):
            return f"no {of} with {column} {value}"
    return f"{_COMPARISONS[type(tree)]}{100 * bound:g} % of {of} with {column} {value}"


def _value(tree: exp.Expr) -> str:
    """A column by its name and a text without its quotes; anything else as SQL."""
    if isinstance(tree, exp.Column):
        return tree.name
    if isinstance(tree, exp.Literal) and tree.this.strip():
        return str(tree.this)
    return tree.sql(dialect="duckdb")
