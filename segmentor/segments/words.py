"""The definition of a segment in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from segmentor.engine.conditions import parse_condition
from segmentor.segments.tree import declaration
from segmentor.splits import MIXED, Split
from segmentor.wording import Message, either_of, marked

if TYPE_CHECKING:
    from segmentor.config.values import GroupCondition, Known
    from segmentor.segments.tree import Leaf


def in_words(leaf: Leaf) -> Message:
    """All conditions of a leaf, each after when it is known: ``first purchase: all lines with size sample; channel: store``."""
    parts: list[Message] = []
    before = None
    for step in leaf.steps:
        when = _when(declaration(step.fork.split).known)
        said = _group(step.fork.split, step.group)
        parts.append(said if when == before else Message("{when}: {condition}", {"when": when, "condition": said}))
        before = when
    said, *others = parts
    for other in others:
        said = Message("{before}; {after}", {"before": said, "after": other})
    return said


def _when(known: Known) -> Message:
    if known.date is not None:
        return Message("before {date}", {"date": known.date.isoformat()})
    if known.purchases is not None and known.purchases > 1:
        return Message("first {purchases} purchases", {"purchases": known.purchases})
    words = {"entry": Message("at entry"), "lifetime": Message("ever")}
    return words.get(known.kind, Message("first purchase"))


def _group(split: Split, group: str) -> Message:
    """The condition of a group; of several taken together, one after the other."""
    parts = dict(zip(split.groups, split.parts, strict=True)).get(group) if split.parts else None
    first, *others = [_single(split, part) for part in parts or (group,)]
    if not others:
        return first
    said = _bracketed(first)
    for other in others:
        said = Message(_JOINTS[exp.Or], {"left": said, "right": _bracketed(other)})
    return said


def _bracketed(said: Message) -> Message:
    """A condition as it stands beside another one: what has several parts is in brackets."""
    return Message("({condition})", {"condition": said}) if _has_parts(said) else said


def _has_parts(said: object) -> bool:
    match said:
        case str():
            return re.search(" and | or |, ", said) is not None
        case Message():
            return _has_parts(said.text) or any(map(_has_parts, said.values.values()))
        case tuple():
            return len(said) > 1 or any(map(_has_parts, said))
    return False


def _single(split: Split, group: str) -> Message:
    if split.threshold is not None:
        values: dict[str, str | float] = {"column": str(split.by), "number": split.threshold}
        if group.startswith("<"):
            return Message("{column} at most {number:.10g}", values)
        return Message("{column} above {number:.10g}", values)
    groups = declaration(split).groups
    if groups is None:
        if group == MIXED:
            return Message("{column}: several values", {"column": str(split.by)})
        return Message("{column}: {value}", {"column": str(split.by), "value": group})
    own = groups[group]
    condition = _condition(split, own)
    earlier = list(groups)[: list(groups).index(group)]
    # Of the groups the first that holds decides, so that a later one bars those before it.
    barred = _barred([name for name in earlier if not _exclude(split, own, groups[name])])
    if condition is not None and barred is not None:
        return Message("{condition}, but {barred}", {"condition": condition, "barred": barred})
    return condition or barred or Message("anything")


def _barred(groups: Sequence[str]) -> Message | None:
    """That a customer is in none of some groups."""
    if not groups:
        return None
    *others, last = groups
    if not others:
        return Message("not {group}", {"group": last})
    return Message("neither {others} nor {last}", {"others": tuple(others), "last": last})


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


def _condition(split: Split, condition: GroupCondition) -> Message | None:
    """The condition alone, and of how many lines it is; ``None`` where it is always true."""
    tree = parse_condition(condition.condition).unnest()
    if isinstance(tree, exp.Boolean) and tree.this:
        return None
    said = _said(tree, split)
    if split.source.startswith("_window"):
        if condition.quantifier == "all":
            return Message("all lines with {condition}", {"condition": said})
        if not split.is_of_a_snapshot and not split.features:
            return Message("a line with {condition}", {"condition": said})
    return said if isinstance(said, Message) else Message("{condition}", {"condition": said})


_JOINTS = {exp.And: marked("{left} and {right}"), exp.Or: marked("{left} or {right}")}

_COMPARISONS = {
    exp.EQ: marked("{column} {value}"),
    exp.NEQ: marked("{column} other than {value}"),
    exp.LT: marked("{column} below {value}"),
    exp.LTE: marked("{column} at most {value}"),
    exp.GT: marked("{column} above {value}"),
    exp.GTE: marked("{column} at least {value}"),
}

_OF_LINES = {
    exp.EQ: marked("{percent:g} % of lines with {column} {value}"),
    exp.NEQ: marked("other than {percent:g} % of lines with {column} {value}"),
    exp.LT: marked("below {percent:g} % of lines with {column} {value}"),
    exp.LTE: marked("at most {percent:g} % of lines with {column} {value}"),
    exp.GT: marked("above {percent:g} % of lines with {column} {value}"),
    exp.GTE: marked("at least {percent:g} % of lines with {column} {value}"),
}

_OF_PURCHASES = {
    exp.EQ: marked("{percent:g} % of purchases with {column} {value}"),
    exp.NEQ: marked("other than {percent:g} % of purchases with {column} {value}"),
    exp.LT: marked("below {percent:g} % of purchases with {column} {value}"),
    exp.LTE: marked("at most {percent:g} % of purchases with {column} {value}"),
    exp.GT: marked("above {percent:g} % of purchases with {column} {value}"),
    exp.GTE: marked("at least {percent:g} % of purchases with {column} {value}"),
}


def _said(tree: exp.Expr, split: Split) -> Message | str:
    """A condition with words for its signs; what has none stays SQL."""
    match tree:
        case exp.Paren():
            said = _said(tree.this, split)
            return Message("({condition})", {"condition": said}) if isinstance(tree.this, exp.And | exp.Or) else said
        case exp.And() | exp.Or():
            return Message(_JOINTS[type(tree)], {"left": _said(tree.left, split), "right": _said(tree.right, split)})
        case exp.Not(this=exp.Is(expression=exp.Null()) as test):
            return Message("{column} known", {"column": _value(test.this)})
        case exp.Not():
            return Message("not {condition}", {"condition": _said(tree.this, split)})
        case exp.Is(expression=exp.Null()):
            return Message("{column} missing", {"column": _value(tree.this)})
        case exp.In() if tree.expressions:
            values = either_of([_value(one) for one in tree.expressions])
            return Message("{column} {value}", {"column": _value(tree.this), "value": values})
        case exp.Between():
            low, high = (_value(tree.args[bound]) for bound in ("low", "high"))
            return Message("{column} from {low} to {high}", {"column": _value(tree.this), "low": low, "high": high})
        case exp.Binary() if type(tree) in _COMPARISONS:
            share = _share_of(split, tree.left)
            if share is not None and isinstance(tree.right, exp.Literal) and not tree.right.is_string:
                return _share_said(tree, *share, float(tree.right.this))
            return Message(_COMPARISONS[type(tree)], {"column": _value(tree.left), "value": _value(tree.right)})
    return _value(tree)


def _share_said(tree: exp.Binary, column: str, value: str, bound: float) -> Message:
    """A condition on the share of the lines, or for weekday and hour of the purchases, with a value."""
    of_purchases = column in ("weekday", "hour")
    what = {"column": column, "value": value}
    match tree, bound:
        case (exp.EQ(), 1.0) | (exp.GTE(), 1.0):
            if of_purchases:
                return Message("all purchases with {column} {value}", what)
            return Message("all lines with {column} {value}", what)
        case (exp.GT(), 0.0):
            if of_purchases:
                return Message("some purchases with {column} {value}", what)
            return Message("some lines with {column} {value}", what)
        case (exp.EQ(), 0.0) | (exp.LTE(), 0.0):
            if of_purchases:
                return Message("no purchases with {column} {value}", what)
            return Message("no lines with {column} {value}", what)
    told = _OF_PURCHASES if of_purchases else _OF_LINES
    return Message(told[type(tree)], {**what, "percent": 100 * bound})


def _value(tree: exp.Expr) -> str:
    """A column by its name and a text without its quotes; anything else as SQL."""
    if isinstance(tree, exp.Column):
        return tree.name
    if isinstance(tree, exp.Literal) and tree.this.strip():
        return str(tree.this)
    return tree.sql(dialect="duckdb")
