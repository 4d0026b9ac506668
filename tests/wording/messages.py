"""The messages in the code against those in the catalog; run as a program, it brings the catalog up to date.

    python tests/wording/messages.py            # writes new messages into zh.po, to be translated, takes out those that are gone, compiles zh.mo
    python tests/wording/messages.py beside     # prints the messages of files with this in their path that have no translation

A message is a text that stands in the code as the argument of one of ``CALLS``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

PACKAGE = Path(__file__).parents[2] / "segmentor"
CATALOG = PACKAGE / "wording" / "zh.po"
COMPILED = CATALOG.with_suffix(".mo")

HEADER = b"""\
msgid ""
msgstr ""
"Project-Id-Version: segmentor\\n"
"Language: zh_Hans_CN\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""

CALLS = {
    "gettext": ("text",),
    "marked": ("text",),
    "marked_many": ("text", "many"),
    "say": ("text",),
    "ngettext": ("text", "many"),
    "say_many": ("text", "many"),
    "count": (None, "text", "many"),
    "pgettext": ("context", "text"),
    "Message": ("text", None, "many"),
}
"""What the arguments of a call are, by position; ``text`` and ``many`` also by name."""


class Said(NamedTuple):
    """A message of the code: its English, that for several, and what it means where that is not clear."""

    text: str
    many: str | None = None
    context: str | None = None

    @property
    def id(self) -> str | tuple[str, str]:
        """As catalogs have it."""
        return self.text if self.many is None else (self.text, self.many)


def in_code(within: str = "") -> dict[Said, str]:
    """Messages of all files that have this in their path, with the first file of each."""
    found: dict[Said, str] = {}
    for path in sorted(PACKAGE.rglob("*")):
        place = path.relative_to(PACKAGE).as_posix()
        # The terminal speaks English; what it calls `say` prints.
        if within in place and path.suffix in (".py", ".j2") and place != "console.py":
            source = path.read_text(encoding="utf-8")
            calls = _python_calls(source) if path.suffix == ".py" else _template_calls(source)
            for name, arguments in calls:
                said = _said(name, arguments)
                if said is not None:
                    found.setdefault(said, place)
    return found


def in_catalog() -> Catalog:
    """The Chinese catalog."""
    with CATALOG.open("rb") as source:
        return read_po(source, locale="zh")


def compiled() -> bytes:
    """The catalog as programs read it; its header has no time of its own, so that the same messages are the same bytes."""
    content, catalog = BytesIO(), in_catalog()
    catalog.creation_date = catalog.revision_date = datetime(2000, 1, 1, tzinfo=UTC)
    write_mo(content, catalog)
    return content.getvalue()


def _python_calls(source: str) -> Iterator[tuple[str, dict[int | str, str]]]:
    """Names of functions that are called, with the texts among their arguments."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given: list[tuple[int | str | None, ast.expr]] = [
                *enumerate(call.args),
                *((keyword.arg, keyword.value) for keyword in call.keywords),
            ]
            yield (
                name,
                {
                    place: value.value
                    for place, value in given
                    if place is not None and isinstance(value, ast.Constant) and isinstance(value.value, str)
                },
            )


def _template_calls(source: str) -> Iterator[tuple[str, dict[int | str, str]]]:
    """The same of a template."""
    for call in Environment(autoescape=True).parse(source).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name):
            given: list[tuple[int | str, nodes.Expr]] = [
                *enumerate(call.args),
                *((keyword.key, keyword.value) for keyword in call.kwargs),
            ]
            yield (
                call.node.name,
                {
                    place: value.value
                    for place, value in given
                    if isinstance(value, nodes.Const) and isinstance(value.value, str)
                },
            )


def _said(name: str, arguments: dict[int | str, str]) -> Said | None:
    """The message that a call names; ``None`` for any other call."""
    meant = {
        what: arguments[place]
        for place, what in enumerate(CALLS.get(name, ()))
        if what is not None and place in arguments
    }
    meant |= {what: arguments[what] for what in ("many",) if name in CALLS and what in arguments}
    return Said(**meant) if meant.get("text") else None


def _update() -> None:
    """Writes the catalog anew: the messages of the code in order of their files, with the translations there are."""
    old, new = in_catalog(), Catalog(locale="zh_Hans_CN", project="segmentor", version="", fuzzy=False)
    for said in in_code():
        known = old.get(said.text, said.context)
        new.add(said.id, known.string if known is not None else None, context=said.context)
    with CATALOG.open("wb") as target:
        target.write(HEADER)
        write_po(target, new, width=0, omit_header=True)
    COMPILED.write_bytes(compiled())


def main() -> None:
    """Brings the catalog up to date, or prints what has no translation."""
    if len(sys.argv) == 1:
        _update()
        return
    have = in_catalog()
    for said, place in in_code(sys.argv[1]).items():
        known = have.get(said.text, said.context)
        if known is None or not known.string:
            print(f"{place}: {said}")  # noqa: T201


if __name__ == "__main__":
    main()
