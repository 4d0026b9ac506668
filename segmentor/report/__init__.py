"""A run's result as one self-contained HTML page; needs no engine, no network and no data.

``render_report`` goes through these stages:

1. ``clusters`` calls each cluster by its rule. ``saying`` makes sentences in the report's language, ``numbers`` rounds, ``small_cells``
   hides counts that would tell of single customers by what ``lines`` says adds up, ``names`` makes text from the data harmless, and says
   in the report's language the names that a run itself gives. ``vocabulary`` holds the fixed wording. ``words`` makes sentences of
   them, ``answer`` the three at the top; ``beside`` makes sentences and tables of what stands beside a verdict: comparability, habits,
   crossover, robustness, and how a split was found. ``ledger`` lists the tests of the run and tells which splits have a card,
   ``candidates`` makes rows of the others and of the search, ``tree`` lays out the tree of segments, ``forest`` sets the
   effects of all splits side by side, ``cross_sell`` makes offers of rules, and ``glossary`` tells what the words on the page mean.
2. ``figures`` draws return curves and intervals as SVG without colours, ``curves`` says what to see in them, ``rule_figures`` cross-sell rules; ``figure_data`` gives the
   numbers of a figure as CSV.
3. ``template.html.j2`` lays out the page; each file in ``sections`` is one section of it, each in ``sections/trial`` one part of a
   split's card, and knows nothing of the others. ``navigation`` reads the contents off the sections that are there, and
   ``sections/parts.html.j2`` has what several use: tables that can be sorted, buttons that save.
4. ``style.css`` gives colours, lines and sizes for light, dark, phone, screen and paper; ``page.js`` sorts and searches tables, sets
   the theme, marks the section that is read, and saves figures' numbers. Without script the page is whole.

The page is a pure function of the result: the same bytes wherever and whenever it is rendered. Its content-security policy lets it
load nothing, and style itself and run by the one sheet and the one script whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from segmentor.report import (
    answer,
    beside,
    candidates,
    cross_sell,
    curves,
    figure_data,
    figures,
    forest,
    glossary,
    ledger,
    names,
    navigation,
    numbers,
    rule_figures,
    tree,
    vocabulary,
    words,
)
from segmentor.report.clusters import called_by_rule
from segmentor.report.lines import counts_in, counts_of
from segmentor.report.numbers import count
from segmentor.report.saying import say, say_many
from segmentor.result import RunResult
from segmentor.wording import speaking


def render_report(result: RunResult) -> str:
    """The page ``report.html`` for a result, in its language."""
    with speaking(result.language):
        return _render(result)


def _render(result: RunResult) -> str:
    pages = _pages()
    style, style_hash = _inline(pages, "style.css")
    script, script_hash = _inline(pages, "page.js")
    told = called_by_rule(result)
    return pages.get_template("template.html.j2").render(
        result=told,
        counts=counts_of(told),
        counts_in=counts_in,
        names=names,
        numbers=numbers,
        vocabulary=vocabulary,
        words=words,
        answer=answer,
        beside=beside,
        ledger=ledger,
        candidates=candidates,
        tree=tree,
        cross_sell=cross_sell,
        curves=curves,
        figures=figures,
        glossary=glossary,
        figure_data=figure_data,
        forest=forest,
        rule_figures=rule_figures,
        navigation=navigation,
        style=style,
        style_hash=style_hash,
        script=script,
        script_hash=script_hash,
    )


@cache
def _pages() -> Environment:
    """The templates, which are compiled when they are first used."""
    pages = Environment(
        loader=PackageLoader(__name__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # What a template says is written as in the code: say("...", x=...), count(n, "...", "...").
    pages.globals.update(say=say, say_many=say_many, count=count)
    return pages


def _inline(pages: Environment, file: str) -> tuple[str, str]:
    """A file that stands in the page as it is, and the hash by which the page's policy allows it."""
    source, _, _ = PackageLoader(__name__, "").get_source(pages, file)
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return source, f"sha256-{digest}"
