"""The definition of a segment in plain words."""

from __future__ import annotations

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
    if parts is not None and len(parts) > 1:
        return " or ".join(f"({_single(split, part)})" for part in parts)
    return _single(split, group)


def _single(split: Split, group: str) -> str:
    if split.threshold is not None:
        return f"{split.by} {'at most' if group.startswith('<') else 'above'} {split.threshold:.10g}"
    groups = declaration(split).groups
    if groups is None:
        return f"{split.by}: {'several values' if group == MIXED else group}"
    earlier = [f"not {name}" for name in list(groups)[: list(groups).index(group)]]
    return ", ".join([*_condition(split, groups[group]), *earlier]) or "anything"


def _condition(split: Split, condition: GroupCondition) -> list[str]:
    """The condition alone, and of how many lines it is; none where it is always true."""
    tree = parse_condition(condition.condition).unnest()
    if isinstance(tree, exp.Boolean) and tree.this:
        return []
    lines = ""
    if split.source.startswith("_window"):
        every = condition.quantifier == "all"
        lines = "all lines with " if every else "" if split.is_of_a_snapshot or split.features else "a line with "
    return [lines + _said(tree)]


_COMPARISONS = {
    exp.EQ: "",
    exp.NEQ: "other than ",
    exp.LT: "below ",
    exp.LTE: "at most ",
    exp.GT: "above ",
    exp.GTE: "at least ",
}


def _said(tree: exp.Expr) -> str:
    """A condition with words for its signs; what has none stays SQL."""
    match tree:
        case exp.Paren():
            return f"({_said(tree.this)})" if isinstance(tree.this, exp.And | exp.Or) else _said(tree.this)
        case exp.And() | exp.Or():
            joint = "and" if isinstance(tree, exp.And) else "or"
            return f"{_said(tree.left)} {joint} {_said(tree.right)}"
        case exp.Not(this=exp.Is(expression=exp.Null()) as test):
            return f"{_value(test.this)} known"
        case exp.Not():
            return f"not {_said(tree.this)}"
        case exp.Is(expression=exp.Null()):
            return f"{_value(tree.this)} missing"
        case exp.In() if tree.expressions:
            values = [_value(one) for one in tree.expressions]
            return f"{_value(tree.this)} {' or '.join([', '.join(values[:-1]), values[-1]] if values[1:] else values)}"
        case exp.Between():
            return f"{_value(tree.this)} from {_value(tree.args['low'])} to {_value(tree.args['high'])}"
        case exp.Binary() if type(tree) in _COMPARISONS:
            return f"{_value(tree.left)} {_COMPARISONS[type(tree)]}{_value(tree.right)}"
    return _value(tree)


def _value(tree: exp.Expr) -> str:
    """A column by its name and a text without its quotes; anything else as SQL."""
    if isinstance(tree, exp.Column):
        return tree.name
    if isinstance(tree, exp.Literal) and tree.this.strip():
        return str(tree.this)
    return tree.sql(dialect="duckdb")
