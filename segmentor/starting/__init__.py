"""Files of which nothing is known -> one config with comments that runs as it is, guessed from headings and content.

``reading`` finds out how the files are written, ``headings`` what columns are called, ``columns`` what their values are like,
``times`` in which format their days are, ``lines`` which column of the purchases has which role, ``partners`` how products and
customers join, ``proposals`` what to leave out and which splits to try, ``writing`` makes the text, in the language of the headings.
``wanting`` says what data allow beyond what a config asks.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segmentor.config import load_config
from segmentor.config.sections import TRANSACTION_ROLES
from segmentor.config.values import experiment_name, mend_choice, nearest, shown
from segmentor.config.values import name as checked_name
from segmentor.engine.duckdb import open_engine
from segmentor.errors import DataError, InputError
from segmentor.example import placed_files
from segmentor.starting.columns import Column, profile
from segmentor.starting.conditions import status_columns
from segmentor.starting.grouped import Choice, Lines
from segmentor.starting.lines import decide
from segmentor.starting.partners import Partner, best_shares, decide_partner, shares
from segmentor.starting.proposals import propose
from segmentor.starting.reading import Looked, found_files, look, look_through
from segmentor.starting.times import zone_of
from segmentor.starting.wanting import wanting
from segmentor.starting.writing import Decided, config_text
from segmentor.wording import Message, speaking

if TYPE_CHECKING:
    from segmentor.engine.duckdb import Engine
    from segmentor.intake.files import InputFile

__all__ = ["Started", "start", "wanting"]

TABLES = ("transactions", "products", "customers")


@dataclass(frozen=True, slots=True)
class Started:
    """A config that was written.

    Attributes:
        config: The file.
        choices: Roles of the purchase lines with their columns and reasons.
        remarks: What else was decided, in sentences.
    """

    config: Path
    choices: tuple[Choice, ...]
    remarks: tuple[str, ...]


def start(
    folder: Path,
    files: Mapping[str, str],
    *,
    columns: Sequence[str] = (),
    encoding: str | None = None,
    progress: Callable[[str], None],
) -> Started:
    """Look at the files of a shop and write a config for them.

    Args:
        folder: Where to write it; made if need be. The config is named for it.
        files: ``transactions``, and ``products`` and ``customers`` where there are such, to a path or a glob.
        columns: ``role=column`` for a column of the purchase lines, where the guess is wrong.
        encoding: Of all text files, where the guess is wrong.
        progress: Told what is being done.

    Raises:
        InputError: There is a config already, a file cannot be read, or nothing in it can be the customer or the time.
    """
    experiment = _experiment(folder)
    config = folder / f"{experiment}.yaml"
    if os.path.lexists(config):
        raise InputError(f"{config}: is there already and is not overwritten; move it away, or name another folder")
    found = {table: found_files(path, option=f"--{table}") for table, path in files.items()}
    with tempfile.TemporaryDirectory(prefix="segmentor-") as scratch:
        parquet = [file.path for several in found.values() for file in several if file.kind == "parquet"]
        with open_engine(scratch=Path(scratch), inputs=parquet) as engine:
            progress("looking at the files")
            tables = _look_at(engine, files, found, encoding=encoding)
            progress("guessing roles, statuses and splits")
            lines, partners = _roles(engine, tables, columns)
            products, customers = partners.get("products"), partners.get("customers")
            proposal = propose(engine, lines, _through(engine, lines), products=products, customers=customers)
            decided = Decided(
                experiment=experiment,
                file=config.name,
                language="zh" if _is_chinese(lines.columns) else "en",
                zone=_zone(engine, lines),
                lines=lines,
                products=products,
                customers=customers,
                proposal=proposal,
                paths={table: _relative(path, folder) for table, path in files.items()},
            )
    progress("writing the config")
    with placed_files(folder) as stage:
        draft = stage / config.name
        with speaking(decided.language):
            draft.write_text(config_text(decided), encoding="utf-8")
        load_config(draft)
    return Started(config, tuple(decided.lines.choices), tuple(_remarks(decided)))


def _look_at(
    engine: Engine, files: Mapping[str, str], found: Mapping[str, Sequence[InputFile]], *, encoding: str | None
) -> dict[str, tuple[Looked, tuple[Column, ...]]]:
    """Every table with what its columns are like."""
    tables = {}
    for table in (one for one in TABLES if one in files):
        looked = look(engine, files[table], found[table], table=f"looked_{table}", encoding=encoding)
        tables[table] = looked, tuple(one for one in profile(engine, looked) if _can_be_named(one.name))
    return tables


def _roles(
    engine: Engine, tables: Mapping[str, tuple[Looked, tuple[Column, ...]]], asked: Sequence[str]
) -> tuple[Lines, dict[str, Partner]]:
    """The purchase lines with their roles, and the tables that join them."""
    looked, columns = tables["transactions"]
    roles = _asked(asked, [one.name for one in columns], looked.label)
    others = {role: table for role, table in (("product", "products"), ("customer", "customers")) if table in tables}
    shared = {role: shares(engine, *tables[table], looked, columns) for role, table in others.items()}
    joins = {role: best_shares(one) for role, one in shared.items()}
    lines = decide(engine, looked, columns, asked=roles, partners=joins)
    partners = {
        table: decide_partner(engine, *tables[table], shared[role], role=role, of_lines=lines.roles.get(role))
        for role, table in others.items()
    }
    return lines, partners


def _through(engine: Engine, lines: Lines) -> Looked:
    """The columns that say who, when and what became of it, of many more lines."""
    wanted = [lines.column("customer"), lines.column("order"), lines.time.column, *status_columns(engine, lines)]
    fields = list(dict.fromkeys(one.field for one in wanted if one is not None))
    return look_through(engine, lines.looked, fields, table="looked_through")


def _experiment(folder: Path) -> str:
    """Name of the experiment after its folder."""
    plain = re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-._")[:60]
    try:
        return experiment_name(plain)
    except ValueError:
        return "shop"


def _asked(columns: Sequence[str], names: Sequence[str], label: str) -> dict[str, str]:
    """``role=column`` as said on the command line.

    Raises:
        InputError: It names no role, or no column.
    """
    known = [*TRANSACTION_ROLES.required, *TRANSACTION_ROLES.optional]
    asked: dict[str, str] = {}
    for text in columns:
        role, equals, column = (part.strip() for part in text.partition("="))
        if not equals or not column:
            raise InputError(f"--column {text}: write ROLE=NAME, such as customer=Email")
        if role not in known:
            raise InputError(f"--column {text}: {shown(role)} is not a role; {mend_choice(role, known)}")
        if column not in names:
            guess = nearest(column, names)
            mend = f"did you mean {shown(guess)}?" if guess else f"the columns are {', '.join(names)}"
            raise DataError(f"--column {text}: {label} has no column {shown(column)}; {mend}")
        asked[role] = column
    return asked


def _can_be_named(name: str) -> bool:
    """Whether a config can hold the name."""
    try:
        checked_name(name)
    except ValueError:
        return False
    return not name.startswith("_")


def _is_chinese(columns: Sequence[Column]) -> bool:
    return sum(bool(re.search(r"[\u4e00-\u9fff]", one.name)) for one in columns) > len(columns) / 2


def _zone(engine: Engine, lines: Lines) -> tuple[str, Message]:
    if lines.time.with_offset:
        return zone_of(engine, lines.looked, lines.time)
    said = {"column": lines.time.column.name}
    if _is_chinese(lines.columns):
        return "Asia/Shanghai", Message("{column} has no zone: its days are taken as written", said)
    return "UTC", Message("{column} has no zone: its days are taken as written, whatever stands here", said)


def _relative(path: str, folder: Path) -> str:
    relative = Path(os.path.relpath(path, folder)).as_posix()
    return relative if not re.match(r"[A-Za-z][\w+.-]+:", relative) else f"./{relative}"


def _remarks(decided: Decided) -> list[str]:
    """What a user should know who does not open the config."""
    lines, proposal = decided.lines, decided.proposal
    remarks = [f"{role} left out: {note}" for role, note in lines.notes.items()]
    remarks += [f"{name} = {expression}: {reason}" for name, (expression, reason) in lines.derive.items()]
    looked = lines.looked
    remarks += [f"read as {looked.encoding.value}: {looked.encoding.reason}"] if looked.encoding.reason else []
    remarks += [f"unwrapped: {looked.unwrap}"] if looked.unwrap else []
    remarks += [f"dates: {lines.time.reason}"] if lines.time.reason else []
    if proposal.fill:
        remarks.append(f"filled in on all lines of an order: {', '.join(proposal.fill)}")
    remarks += [f"left out: {condition.reason}" for condition in proposal.conditions]
    for table, partner in (("products", decided.products), ("customers", decided.customers)):
        if partner is not None and partner.refused:
            remarks.append(f"{table} left out: {partner.refused}")
        elif partner is not None and partner.key is not None:
            remarks.append(f"{table} joined by {partner.key.name}: {partner.joined:.0%} of {partner.partner} are there")
    declared = ", ".join(split.name for split in proposal.declared)
    remarks.append(f"splits declared: {declared or 'none'}; searched: {', '.join(proposal.tried)}")
    return remarks
