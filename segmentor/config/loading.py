"""A YAML file and overrides come in; one complete config goes out, or one error with everything that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from segmentor.config.sections import FILE, TRANSACTION_ROLES, ExperimentConfig, Section
from segmentor.config.values import MAX_NAME, BadValueError, iso_date, mend_choice, nearest, shown
from segmentor.config.yaml_text import Document, Finding, KeyPath, Place, YamlSyntaxError, read_scalar, read_yaml
from segmentor.errors import ConfigError, printable

MAX_BYTES = 1_000_000


def load_config(path: Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment's config; nothing but this file is opened.

    Args:
        path: The YAML file.
        overrides: ``key.path=value`` each, as given to ``--set``; items of lists are counted from 0.

    Raises:
        ConfigError: With every mistake of the file and the overrides, in the order of lines.
    """
    try:
        document = read_yaml(_read_text(path))
    except YamlSyntaxError as error:
        raise ConfigError([f"{path}:{error.line}:{error.column}: {error}"]) from None
    if not isinstance(document.value, dict):
        found = "is empty" if document.value is None else f"{shown(document.value)} is no config"
        raise ConfigError([f"{path}:1: {found}; begin with experiment: NAME"])
    findings = [finding for override in overrides for finding in _override(document, override)]
    config, invalid = _validate(document, path)
    findings += [*document.findings, *invalid, *_contradictions(document)]
    if findings or config is None:
        raise ConfigError(_messages(path, findings))
    return config


def json_schema() -> dict[str, Any]:
    """JSON Schema of the config, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ExperimentConfig.model_json_schema()}


def _read_text(path: Path) -> str:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is no regular file"
        raise ConfigError([f"{path}: {found}; give the path of a YAML file"])
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); change its permissions"]) from None
    if len(content) > MAX_BYTES:
        raise ConfigError([f"{path}: is larger than {MAX_BYTES:,} bytes; a config is a few kilobytes, is this one?"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise ConfigError([f"{path}:{line}: byte {byte:#04x} is not UTF-8; save the file as UTF-8"]) from None


def _override(document: Document, override: str) -> list[Finding]:
    """Put the value of one ``key.path=value`` into the document; what is wrong with it comes back."""
    key, equals, text = (part.strip() for part in override.partition("="))
    place = Place(override=key)
    if not equals or not key:
        return [Finding(Place(override=override), (), "is no setting; write key.path=value")]
    try:
        given = _override_value(text)
        path = _put(document, key.split("."), given.value, place)
    except YamlSyntaxError as error:
        return [Finding(place, (), f"column {error.column} of the value: {error}")]
    except ValueError as error:
        return [Finding(place, (), str(error))]
    for inner in [old for old in document.places if old[: len(path)] == path]:
        del document.places[inner]
    document.places |= {(*path, *inner): replace(place, plain=old.plain) for inner, old in given.places.items()}
    return [Finding(place, (*path, *found.path), found.text) for found in given.findings]


def _override_value(text: str) -> Document:
    """A value in brackets, braces or quotes is YAML; any other is one scalar, whatever characters it holds."""
    if text.startswith(("[", "{", '"', "'")):
        return read_yaml(text)
    return Document(read_scalar(text), {(): Place(plain=text)})


def _put(document: Document, keys: Sequence[str], value: object, place: Place) -> KeyPath:
    """Set the value at a path of keys, making the sections above it; its path in the document comes back.

    Raises:
        ValueError: The path leads through something that has no such key.
    """
    node: Any = document.value
    path: KeyPath = ()
    for number, key in enumerate(keys, start=1):
        step = _step(node, key, path)
        path = (*path, step)
        if number == len(keys):
            node[step] = value
        elif isinstance(node, dict) and node.get(step) is None:
            node[step] = {}
            document.places[path] = place
        node = node[step]
    return path


def _step(node: object, key: str, path: KeyPath) -> str | int:
    match node:
        case dict():
            return key
        case list() if key.isdecimal() and int(key) < len(node):
            return int(key)
        case list():
            raise ValueError(f"{_dotted(path)} is a list of {len(node)}; write the number of an item, from 0")
        case _:
            raise ValueError(f"{_dotted(path)} is {shown(node)} and has no keys; name a key that has a value")


def _validate(document: Document, path: Path) -> tuple[ExperimentConfig | None, list[Finding]]:
    """The config, or what is wrong with its values one by one."""
    try:
        return ExperimentConfig.model_validate(document.value, context={FILE: path}), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    unknown = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], nearest(str(path[-1]), _keys(path))) for path in unknown}
    return None, [
        Finding(document.place(path), path, text)
        for error in errors
        if error["type"] != "missing" or error["loc"] not in misspelt
        for path, text in _explain(error, document)
    ]


def _explain(error: ErrorDetails, document: Document) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong, in words of an analyst; one error may hold several things."""
    path = error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, BadValueError):
        yield from (((*path, *inner), text) for inner, text in cause.found)
    elif error["type"] == "missing":
        yield path, f"is missing; write {path[-1]}: {_example(path)}"
    elif error["type"] == "extra_forbidden":
        yield path, f"is no key of this section; {mend_choice(path[-1], _keys(path))}"
    elif cause is not None:
        yield path, str(cause)
    elif error["input"] is None:
        yield path, "nothing is written here; write a value or leave the key out"
    else:
        yield path, _explain_type(error, document.place(path).plain)


def _explain_type(error: ErrorDetails, plain: str | None) -> str:
    """What is wrong with a value that has not the type of its key, or lies out of range."""
    value, context = error["input"], error.get("ctx", {})
    written = shown(value) if plain is None or isinstance(value, str) else shown(plain)[1:-1]
    if isinstance(value, float) and math.isinf(value):
        return f"{written} is no number that a setting can have; write a smaller one, or put text in quotes"
    match error["type"]:
        case "string_type":
            mend = "write text" if plain is None else f'put it in quotes: "{plain}"'
            return f"{written} is not text; {mend}"
        case "int_type":
            return f"{written} is not a whole number; {_mend_number(value, whole=True)}"
        case "float_type":
            return f"{written} is not a number; {_mend_number(value, whole=False)}"
        case "bool_type":
            return f"{written} is neither true nor false; write true or false, without quotes"
        case "greater_than_equal":
            return f"{written} is too small; write {context['ge']} or more"
        case "less_than_equal":
            return f"{written} is too large; write {context['le']} or less"
        case "literal_error":
            known = re.findall("'(.*?)'", context["expected"])
            return f"{written} is not known here; {mend_choice(value, known)}"
        case "tuple_type":
            return f"{written} is not a list; write [a, b], or each item on a line of its own after a dash"
        case _:
            return f"{written} is not a section; write its keys below it, each as key: value"


def _mend_number(value: object, *, whole: bool) -> str:
    """The number that was probably meant: the text without quotes and leading zeros, the fraction without its point."""
    number = read_scalar(re.sub(r"^0+(?=\d)", "", value.strip())) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, int if whole else int | float) and not isinstance(number, bool) and math.isfinite(number):
        return f"write {number}"
    return "write digits only, such as 5" if whole else "write a number such as 0.05"


def _contradictions(document: Document) -> Iterator[Finding]:
    """What is wrong between sections, looked for in the raw values, since some may be wrong in themselves."""
    for check in (_repeated_names, _nameless_products, _dates_outside):
        yield from (Finding(document.place(path), path, text) for path, text in check(document.value))


def _repeated_names(config: object) -> Iterator[tuple[KeyPath, str]]:
    names: set[object] = set()
    for number, split in enumerate(_declared(config)):
        name = _at(split, "name")
        if isinstance(name, str) and name in names:
            path = ("splits", "declared", number, "name")
            yield path, f"{shown(name)} names an earlier split too; choose another name"
        names.add(str(name))


def _nameless_products(config: object) -> Iterator[tuple[KeyPath, str]]:
    columns = _at(config, "data", "transactions", "columns")
    if not isinstance(columns, dict) or _at(config, "data", "products") is None:
        return
    if "product" not in columns and not nearest("product", columns.keys() - TRANSACTION_ROLES.optional.keys()):
        path = ("data", "transactions", "columns", "product")
        yield path, "is missing, and data.products is joined by it; write product: COLUMN"


def _dates_outside(config: object) -> Iterator[tuple[KeyPath, str]]:
    first, last = (_day(_at(config, "cycle", key)) for key in ("observed_from", "observed_until"))
    found = ("enumerated", "clustered")
    splits: dict[KeyPath, object] = {("splits", kind): _at(config, "splits", kind) for kind in found}
    splits |= {("splits", "declared", number): split for number, split in enumerate(_declared(config))}
    for path, split in splits.items():
        until = _day(_at(split, "known", "until"))
        if until and first and until <= first:
            yield (*path, "known", "until"), f"nothing is observed before {until}; write a day after {first}"
        if until and last and until > last:
            yield (*path, "known", "until"), f"nothing is observed from {until} on; write a day until {last}"


def _declared(config: object) -> list[object]:
    declared = _at(config, "splits", "declared")
    return declared if isinstance(declared, list) else []


def _at(value: object, *keys: str) -> object:
    """Value below some keys, ``None`` where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _day(value: object) -> date | None:
    try:
        return iso_date(value)
    except ValueError:
        return None


def _section(path: KeyPath) -> type[Section]:
    """The section that holds the key at the end of a path."""
    section: type[Section] = ExperimentConfig
    for key in path[:-1]:
        if isinstance(key, str):
            section = _section_in(section.model_fields[key].annotation) or section
    return section


def _section_in(annotation: object) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


def _keys(path: KeyPath) -> list[str]:
    return list(_section(path).model_fields)


def _example(path: KeyPath) -> str:
    examples = _section(path).model_fields[str(path[-1])].examples
    return str(examples[0]) if examples else "VALUE"


def _messages(path: Path, findings: Sequence[Finding]) -> list[str]:
    """One line a finding, in the order of the file and then of the overrides; of a place the first is told."""
    told: dict[tuple[Place, KeyPath], str] = {}
    for finding in findings:
        told.setdefault((replace(finding.place, plain=None), finding.path), finding.text)
    in_order = sorted(told.items(), key=lambda item: (item[0][0].override is not None, item[0][0].line))
    return [printable(f"{_where(path, place, keys)}: {text}") for (place, keys), text in in_order]


def _where(path: Path, place: Place, keys: KeyPath) -> str:
    if place.override is None:
        return f"{path}:{place.line}" + (f": {_dotted(keys)}" if keys else "")
    return f"--set {place.override}" + (f": {_dotted(keys)}" if keys and _dotted(keys) != place.override else "")


def _dotted(path: KeyPath) -> str:
    return ".".join(str(key)[:MAX_NAME] for key in path)
