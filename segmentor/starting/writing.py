"""Decisions -> the text of a config in which every one stands beside its reason, in the language that is spoken."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segmentor.errors import printable
from segmentor.starting.conditions import Condition
from segmentor.starting.grouped import Choice, Lines
from segmentor.starting.partners import Partner
from segmentor.starting.proposals import MIN_GROUP, Proposal, Proposed
from segmentor.starting.reading import Looked
from segmentor.wording import Message, gettext, pgettext

_COLUMN = 36
_WIDTH = 122
_PLAIN = re.compile(r"(?:\.\.?/)*[A-Za-z\u00c0-\u024f\u4e00-\u9fff][\w ./-]*")
_PIECES = re.compile(r"\s*[（“]*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff（“，。：；、？！）”]+)?[，。：；、？！）”]*")
"""A word or a Chinese sign with the marks that no line may part from it."""

_LISTED = 12
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class Decided:
    """All that the config says.

    Attributes:
        experiment: Name of the experiment.
        file: File name of the config.
        language: Of the report.
        zone: Time zone of the shop, with the reason.
        lines: The purchase lines.
        products: The products' table; ``None`` where there is none.
        customers: The customers' table; ``None`` where there is none.
        proposal: What goes beyond roles.
        paths: Table to path, relative to the config.
    """

    experiment: str
    file: str
    language: str
    zone: tuple[str, Message]
    lines: Lines
    products: Partner | None
    customers: Partner | None
    proposal: Proposal
    paths: Mapping[str, str]


def config_text(decided: Decided) -> str:
    """The config as YAML with comments."""
    return "\n".join(line.rstrip() for line in _config(decided)) + "\n"


def scalar(text: str) -> str:
    """Text as a YAML scalar, in quotes where it would be read as anything else."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS and text == text.strip()
    return text if plain else json.dumps(text, ensure_ascii=False)


def _config(decided: Decided) -> Iterator[str]:
    looked, level = decided.lines.looked, decided.proposal.items
    written = (
        gettext(
            "Purchase cycles of the customers in {file}. Written by segmentor init, which looked at {lines:,} lines and asked nothing: each "
            "line that was guessed has its reason beside it. Correct what is wrong, then:"
        )
        if looked.whole
        else gettext(
            "Purchase cycles of the customers in {file}. Written by segmentor init, which looked at {lines:,} of the lines and asked "
            "nothing: each line that was guessed has its reason beside it. Correct what is wrong, then:"
        )
    )
    yield from _remark(written.format(file=looked.label, lines=looked.rows))
    yield f"#   segmentor check {decided.file}"
    yield f"#   segmentor run {decided.file}"
    yield from _remark(
        gettext("Keys that are left out have their defaults; `segmentor schema` lists all keys for your editor.")
    )
    yield ""
    folder = gettext("names the folder {folder}").format(folder=f"reports/{decided.experiment}/")
    yield from _line(0, f"experiment: {scalar(decided.experiment)}", folder)
    title = gettext("{experiment}: which customers come back sooner?").format(experiment=decided.experiment)
    yield f"title: {json.dumps(title, ensure_ascii=False)}"
    why = (
        gettext("the headings are Chinese; en: in English")
        if decided.language == "zh"
        else gettext("of the report; zh: in Chinese")
    )
    yield from _line(0, f"language: {decided.language}", why)
    yield from _line(0, "seed: 1", gettext("draws the customers into two halves; never hunt for a lucky one"))
    yield ""
    yield "data:"
    yield from _line(2, f"timezone: {decided.zone[0]}", decided.zone[1])
    yield from _transactions(decided)
    for table, partner in (("products", decided.products), ("customers", decided.customers)):
        if partner is not None:
            yield from _partner(table, partner, decided.paths[table])
    yield ""
    yield "cycle:"
    every = gettext("every line counts: a cycle runs from one shopping day to the next; or a condition on lines")
    yield from _line(2, "purchase: null", every)
    yield ""
    yield from _splits(decided)
    if level is not None:
        yield ""
        yield "cross_sell:"
        rules = gettext("rules between its values: what is bought with what, and what next")
        yield from _line(2, f"level: {scalar(level)}", rules)


def _transactions(decided: Decided) -> Iterator[str]:
    lines, proposal = decided.lines, decided.proposal
    yield "  transactions:"
    yield from _file(lines.looked, decided.paths["transactions"], lines.decimal)
    if lines.time.date_format is not None:
        yield from _line(4, f"date_format: {json.dumps(lines.time.date_format, ensure_ascii=False)}", lines.time.reason)
    yield from _line(4, "columns:", gettext("role: column of the file; only customer and time are required"))
    yield from _roles(lines.choices)
    for role, note in lines.notes.items():
        yield from _remark(gettext("{key}: left out: {reason}.").format(key=role, reason=note), 6)
    if lines.derive:
        yield "    derive:"
        for name, (expression, reason) in lines.derive.items():
            yield from _remark(gettext("{reason}.").format(reason=reason), 6)
            yield from _expression(6, name, expression)
    if proposal.fill:
        filled = gettext("Only one line of an order fills in these columns; its other lines take the value.")
        yield from _remark(filled, 4)
        yield from _list(4, "fill_from_order", proposal.fill)
    yield from _where(proposal.conditions)


def _where(conditions: Sequence[Condition]) -> Iterator[str]:
    if not conditions:
        return
    for condition in conditions:
        yield from _remark(gettext("Left out: {reason}.").format(reason=condition.reason), 4)
    yield from _expression(4, "where", " and ".join(condition.text for condition in conditions))


def _partner(table: str, partner: Partner, path: str) -> Iterator[str]:
    if partner.refused is not None:
        refused = gettext("{key}: {path} is left out: {reason}.")
        yield from _remark(refused.format(key=table, path=path, reason=partner.refused), 2)
        return
    yield f"  {table}:"
    yield from _file(partner.looked, path, ".")
    yield "    columns:"
    yield from _roles(partner.choices)
    if partner.key is not None and partner.missing > 0.005:
        without = gettext("Left out: {share:.0%} of the rows have no {column}.")
        yield from _remark(without.format(share=partner.missing, column=partner.key.name), 4)
        quoted = partner.key.name.replace('"', '""')
        yield from _expression(4, "where", f'"{quoted}" is not null')


def _file(looked: Looked, path: str, decimal: str) -> Iterator[str]:
    yield from _line(4, f"path: {scalar(path)}", gettext("relative to this file"))
    if looked.encoding.value != "utf-8" or looked.encoding.reason is not None:
        yield from _line(4, f"encoding: {looked.encoding.value}", looked.encoding.reason)
    if looked.delimiter.reason is not None:
        yield from _line(4, f"delimiter: {json.dumps(looked.delimiter.value)}", looked.delimiter.reason)
    if looked.unwrap is not None:
        yield from _line(4, "unwrap: true", looked.unwrap)
    if decimal == ",":
        yield from _line(4, 'decimal: ","', gettext("numbers are written as 1234,50"))


def _roles(choices: Sequence[Choice]) -> Iterator[str]:
    for choice in choices:
        yield from _line(6, f"{choice.role}: {scalar(choice.column)}", choice.reason)


def _splits(decided: Decided) -> Iterator[str]:
    proposal = decided.proposal
    yield "splits:"
    if proposal.declared:
        chosen = gettext(
            "What might tell who comes back sooner. Each is tested once on all customers, so keep those that you believe in and write "
            "down your own; they were chosen by their headings and sizes alone, without a look at who came back."
        )
        yield from _remark(chosen, 2)
        yield "  declared:"
        for split in proposal.declared:
            yield from _split(split)
    else:
        none = gettext("no column has two values or more that are the first of {least} customers each")
        yield from _line(2, "declared: []", none.format(least=MIN_GROUP))
    if proposal.moving:
        unused = gettext(
            "Not used: {columns}. Is one of them fixed before the first purchase, write {{name: ..., known: entry, by: ...}}. A level, a "
            "total or a last date of today is made of the purchases that would test it."
        )
        yield from _remark(unused.format(columns=_row(proposal.moving)), 4)
    yield "  enumerated:"
    first = gettext("what is read off the first purchase, or fixed before it")
    yield from _line(4, "known: first_purchase", first)
    halves = gettext(
        "One half of the customers suggests, the other half confirms; `columns: auto` goes through everything."
    )
    yield from _remark(halves, 4)
    yield from _list(4, "columns", proposal.tried)
    for reason, names in proposal.not_tried.items():
        left_out = gettext("Not gone through, {reason}: {columns}.")
        if len(names) > _LISTED:
            left_out = gettext("Not gone through, {reason}: {columns} and {more} more.")
        why, columns = gettext(reason).format(least=MIN_GROUP), _row(names[:_LISTED])
        yield from _remark(left_out.format(reason=why, columns=columns, more=len(names) - _LISTED), 4)


def _split(split: Proposed) -> Iterator[str]:
    yield from _line(4, f"- name: {scalar(split.name)}", split.reason)
    if split.known == "entry":
        before = gettext("it must be what it was before the first purchase, not what it is today")
        yield from _line(6, "known: entry", before)
    else:
        after = gettext("the group is read off the first purchase; every cycle after it counts")
        yield from _line(6, f"known: {split.known}", after)
    if split.by is not None:
        yield from _line(6, f"by: {scalar(split.by)}", gettext("a group for each value"))
        return
    yield "      groups:"
    for name, condition in split.groups:
        text = json.dumps(condition, ensure_ascii=False)
        yield f"        {scalar(name)}: {text if split.known == 'entry' else f'{{all: {text}}}'}"


def _row(names: Sequence[str]) -> str:
    return pgettext("between names", ", ").join(names)


def _line(indent: int, text: str, comment: Message | str | None) -> Iterator[str]:
    """A line with its comment behind it, or above it where that is long."""
    whole = f"{' ' * indent}{text}"
    said = "" if comment is None else printable(str(comment))
    if not said:
        yield whole
    elif max(_cells(whole), _COLUMN - 1) + 3 + _cells(said) <= _WIDTH:
        yield f"{whole}{' ' * (_COLUMN - 1 - _cells(whole))} # {said}"
    else:
        yield from _remark(said, indent)
        yield whole


def _cells(text: str) -> int:
    """Width of a text where Chinese signs take two places."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _remark(text: str, indent: int = 0) -> Iterator[str]:
    """A comment on lines of its own, broken between words or Chinese signs."""
    line = ""
    for piece in _PIECES.findall(printable(text)):
        if line and indent + 2 + _cells(line + piece) > _WIDTH:
            yield f"{' ' * indent}# {line}"
            line = ""
        line += piece if line else piece.lstrip()
    yield f"{' ' * indent}# {line}"


def _expression(indent: int, key: str, text: str) -> Iterator[str]:
    """An expression as a block, so that its own quotes need no marks."""
    yield f"{' ' * indent}{key}: >-"
    yield f"{' ' * (indent + 2)}{text}"


def _list(indent: int, key: str, names: Sequence[str]) -> Iterator[str]:
    flow = f"{' ' * indent}{key}: [{', '.join(_in_flow(name) for name in names)}]"
    if len(flow) <= _WIDTH:
        yield flow
        return
    yield f"{' ' * indent}{key}:"
    for name in names:
        yield f"{' ' * (indent + 2)}- {scalar(name)}"


def _in_flow(name: str) -> str:
    return scalar(name) if re.fullmatch(r"[\w ./-]+", name) else json.dumps(name, ensure_ascii=False)
