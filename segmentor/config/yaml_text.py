"""Strict YAML: text comes in, plain values with the place of each in the text go out.

The scalars are those of YAML 1.2 less its surprises: ``NO``, ``0123``, ``12:30:45`` and dates are text. Anchors,
aliases, tags, merge keys, directives, duplicate keys, further documents and nesting too deep to be meant are refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml.error import YAMLError

MAX_DEPTH = 20
MAX_DIGITS = 18

KeyPath = tuple[str | int, ...]
"""Keys of mappings and indexes of lists, from the top of the document down."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands.

    Attributes:
        line: Line of its key or list item, from 1.
        override: The key path given to ``--set``, for a value that comes from there and has no line.
        plain: The scalar as written, where it is written without quotes.
    """

    line: int = 1
    override: str | None = None
    plain: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a place: what was found and how to mend it."""

    place: Place
    path: KeyPath
    text: str


@dataclass(slots=True)
class Document:
    """Values of a YAML text, the place of each, and what is wrong but does not stop the reading.

    Attributes:
        value: Mappings are ``dict``, lists ``list``, scalars ``str``, ``int``, ``float``, ``bool`` or ``None``.
        places: Place of every value by its path; the path of the whole is ``()``.
        findings: What is wrong with the text itself.
    """

    value: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Place of the value at ``path``, or of the nearest section around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place())


class YamlSyntaxError(ValueError):
    """The text cannot be read any further.

    Attributes:
        line: Line of the mistake, from 1.
        column: Column of the mistake, from 1.
    """

    def __init__(self, line: int, column: int, text: str) -> None:
        self.line = line
        self.column = column
        super().__init__(text)


def read_yaml(text: str) -> Document:
    """Read one YAML document; the value of an empty one is ``None``.

    Raises:
        YamlSyntaxError: The text is no YAML, or nested more than 20 deep.
    """
    # Imported when used, since it takes as long as all the rest of the config.
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return _Reader(YAML(typ="safe", pure=True).parse(text)).read()
    except YAMLError as error:
        raise _syntax_error(error, text) from None


def write_yaml(value: object) -> str:
    """Plain lists, dicts and scalars as YAML that a config may hold."""
    from ruamel.yaml import YAML  # noqa: PLC0415

    writer: Any = YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.sort_base_mapping_type_on_output, writer.width = False, False, 1000
    text = io.StringIO()
    writer.dump(value, text)
    return text.getvalue()


def read_scalar(text: str) -> Scalar:
    """Value of a scalar written without quotes; a number that no setting can mean is infinite."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= MAX_DIGITS else float("inf")
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_CONSTANTS: dict[str, Scalar] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
    | {f"{sign}.{word}": float("inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")}
    | dict.fromkeys((".nan", ".NaN", ".NAN"), float("inf"))
)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_MENDS = (
    (r"'\\t'", "a tab stands where only spaces may; indent with spaces"),
    (
        r"mapping values are not allowed",
        "a colon stands inside a value, or the line is indented too far; put the value in quotes or align the key",
    ),
    (r"end of stream", "a quote is opened and never closed; close it"),
    (r"expected ',' or '[\]}]'", "a bracket is opened and never closed, or a comma is missing; close it"),
    (r"cannot start any token", "a value may not begin with this character; put it in quotes"),
    (r"special characters are not allowed", "an invisible control character; take it out"),
    (r"could not find expected ':'", "a key without a colon; write key: value"),
    (r"unknown escape character", "a backslash in double quotes; use single quotes"),
)


def _syntax_error(error: YAMLError, text: str) -> YamlSyntaxError:
    """The reader's own error in words of an analyst."""
    said = str(error)
    words = next((words for pattern, words in _MENDS if re.search(pattern, said)), None)
    words = words or "this is no YAML; check the indentation, quotes and brackets above it"
    mark = getattr(error, "problem_mark", None)
    if "end of stream" in said:
        mark = getattr(error, "context_mark", None) or mark
    if mark is not None:
        return YamlSyntaxError(mark.line + 1, mark.column + 1, words)
    before = text[: getattr(error, "position", 0)]
    return YamlSyntaxError(before.count("\n") + 1, len(before) - before.rfind("\n"), words)


class _Reader:
    """Builds a document from the parser's events, one value at a time."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._document = Document()

    def read(self) -> Document:
        for event in self._events:
            if _is(event, "DocumentStart"):
                if self._document.places:
                    self._find((), event, "a second document begins; keep one experiment in a file")
                    break
                if event.version or event.tags:
                    self._find((), event, "a directive (%) stands above; leave it out")
                self._document.value = self._value(next(self._events), ())
        return self._document

    def _value(self, event: Any, path: KeyPath, line: int | None = None) -> Any:
        """Value that begins with an event; ``line`` is that of its key."""
        plain = event.value if _is(event, "Scalar") and event.implicit[0] else None
        self._document.places[path] = Place(line or event.start_mark.line + 1, plain=plain)
        if len(path) > MAX_DEPTH:
            mark, problem = event.start_mark, f"nested more than {MAX_DEPTH} deep; write it flatter"
            raise YamlSyntaxError(mark.line + 1, mark.column + 1, problem)
        self._refuse_references(event, path)
        if _is(event, "Alias"):
            return None
        if _is(event, "Scalar"):
            return read_scalar(event.value) if plain is not None else event.value
        return self._mapping(path) if _is(event, "MappingStart") else self._list(path)

    def _refuse_references(self, event: Any, path: KeyPath) -> None:
        if _is(event, "Alias"):
            self._find(path, event, f"*{event.anchor} refers to another place; write the value out")
        elif event.anchor:
            self._find(path, event, f"&{event.anchor} is an anchor; leave it out")
        elif event.tag:
            self._find(path, event, "a tag (!) stands before the value; leave it out")

    def _list(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not _is(event := next(self._events), "SequenceEnd"):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not _is(key := next(self._events), "MappingEnd"):
            if not _is(key, "Scalar"):
                self._find(path, key, "a key is no plain text; write key: value")
                self._skip(key)
                self._skip(next(self._events))
            elif key.value == "<<" and key.implicit[0]:
                self._find(path, key, "<< merges keys from elsewhere; write the keys out")
                self._skip(next(self._events))
            elif key.value in items:
                first = self._document.places[*path, key.value].line
                self._find((*path, key.value), key, f"stands here again, after line {first}; keep one of the two")
                self._skip(next(self._events))
            else:
                self._refuse_references(key, (*path, key.value))
                items[key.value] = None
                items[key.value] = self._value(next(self._events), (*path, key.value), key.start_mark.line + 1)
        return items

    def _skip(self, event: Any) -> None:
        """Pass over a value that is not wanted."""
        depth = 0
        while True:
            depth += _is(event, "MappingStart", "SequenceStart") - _is(event, "MappingEnd", "SequenceEnd")
            if not depth:
                return
            event = next(self._events)

    def _find(self, path: KeyPath, event: Any, text: str) -> None:
        self._document.findings.append(Finding(Place(event.start_mark.line + 1), path, text))


def _is(event: Any, *names: str) -> bool:
    """Whether a parser event is one of the named kinds."""
    return type(event).__name__.removesuffix("Event") in names
