"""Kinds of values in a config: each turns what the YAML says into a checked value, or says what is wrong with it.

A validator raises ``ValueError`` with what was found and what to write instead, and ``BadValueError`` where there is more
than one thing to say or the place is further down.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from encodings.aliases import aliases
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from segmentor.config.yaml_text import KeyPath
from segmentor.result import NOT_YET_KNOWN

MAX_NAME = 200
MAX_TEXT = 10_000
MAX_COUNT = 1_000_000_000
MAX_DAYS = 36_500

MIXED = "mixed"
"""Group of the customers whose label's lines hold several values of a column."""

RESERVED_GROUPS = frozenset({"all", MIXED, "not known", NOT_YET_KNOWN})
"""Names that the results give to no group of a config, in lower case."""


class BadValueError(ValueError):
    """What is wrong within a value: paths from the value down, each with what was found and how to mend it."""

    def __init__(self, found: Iterable[tuple[KeyPath, str]]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(text for _, text in self.found))


def shown(value: object) -> str:
    """A value as an error message shows it: short, and text in quotes."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value if len(value) <= 60 else value[:57] + '...'}'"
        case dict():
            return "a section of keys"
        case list() | tuple():
            return "a list"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, upper and lower case alike."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def mend_choice(word: object, known: Collection[str]) -> str:
    """What to write instead of a word that is none of the known."""
    if isinstance(word, str) and (guess := nearest(word, known)):
        return f"did you mean {guess}?"
    return "write " + " or ".join(known) if len(known) <= 2 else "write one of " + ", ".join(known)


def or_empty(value: object) -> object:
    """A section of which nothing is written has its defaults."""
    return {} if value is None else value


def text(value: str) -> str:
    """Refuse text that is blank, too long to be meant, or holds what cannot be seen."""
    if not value.strip():
        raise ValueError("is empty text; write something or leave the key out")
    if hidden := re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", value):
        raise ValueError(f"holds the control character {hidden[0]!a}; take it out")
    if len(value) > MAX_TEXT:
        raise ValueError(f"is {len(value):,} characters long; keep it within {MAX_TEXT:,}")
    return value


def name(value: str) -> str:
    """Refuse what cannot name a thing in a table: more than one line, or too long."""
    if "\n" in text(value) or "\t" in value:
        raise ValueError("runs over a line end or a tab; write it on one line")
    if len(value) > MAX_NAME:
        raise ValueError(f"is {len(value):,} characters long; keep it within {MAX_NAME}")
    return value


def expression(value: str) -> str:
    """Refuse what is not one SQL expression of the allowed kind."""
    # Imported when used: a parser of SQL takes its time.
    from segmentor.engine.conditions import parse_condition  # noqa: PLC0415

    parse_condition(text(value))
    return value


def group_name(value: str) -> str:
    """Refuse names that the outputs use for themselves, or could not tell apart."""
    if name(value).lower() in RESERVED_GROUPS:
        raise ValueError(f"{shown(value)} is a name that the results use themselves; choose another")
    if "|" in value or " / " in value:
        raise ValueError("'|' and ' / ' separate names in the results; choose a name without them")
    return value


def experiment_name(value: str) -> str:
    """Refuse what cannot name a folder on every system."""
    if re.fullmatch(r"\w([\w.-]{0,78}\w)?", value) and value.lower() not in _DEVICES:
        return value
    folder = re.sub(r"[^\w.]+", "-", value).strip("-._")[:80].lower()
    mend = f"did you mean {folder}?" if folder and folder not in _DEVICES else "write letters, digits, - and _"
    raise ValueError(f"{shown(value)} cannot name a folder; {mend}")


def probability(value: float) -> float:
    """Refuse what does not lie strictly between 0 and 1."""
    if 0 < value < 1:
        return value
    raise ValueError(f"{shown(value)} is not a probability; {_as_percent(value, 'write a number between 0 and 1')}")


def share(value: float) -> float:
    """Refuse what does not lie in 0..1."""
    if 0 <= value <= 1:
        return value
    raise ValueError(f"{shown(value)} is not a share; {_as_percent(value, 'write a number from 0 to 1')}")


def iso_date(value: object) -> dt.date:
    """Date from text such as 2017-12-31."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value} is not in the calendar; write a day that is") from None
        if 1900 <= day.year <= 2200:
            return day
        raise ValueError(f"{value} is out of range; write a year of the common calendar, 1900 to 2200")
    raise ValueError(f"{shown(value)} is not a date; write year-month-day, such as 2017-12-31")


def time_zone(value: str) -> str:
    """Refuse a time zone that the system's own list lacks; where there is no list, leave it to the engine."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        if known := available_timezones():
            guess = nearest(value, known)
            mend = f"did you mean {guess}?" if guess else "write a name such as Europe/Paris"
            raise ValueError(f"{shown(value)} is not a time zone; {mend}") from None
    return value


def encoding(value: str) -> str:
    """Refuse what Python cannot decode text from."""
    try:
        "a".encode(value)
    except (LookupError, UnicodeError):
        guess = nearest(value, [alias.replace("_", "-") for alias in (*aliases, *aliases.values()) if alias != value])
        mend = f"did you mean {guess}?" if guess else "write utf-8, gb18030, big5 or utf-16"
        raise ValueError(f"{shown(value)} is not a text encoding; {mend}") from None
    return value


def date_format(value: str) -> str:
    """Refuse a format that is not strftime's or does not fix a day."""
    found = re.findall(r"%(.?)", value, re.DOTALL)
    unknown = next((letter for letter in found if letter not in _FORMAT_LETTERS), None)
    if unknown is not None:
        raise ValueError(f"'%{unknown}' is not known in a date format; write such as %d/%m/%Y %H:%M:%S")
    if not (set("yY") & set(found) and ("j" in found or (set("mbB") & set(found) and "d" in found))):
        raise ValueError(f"{shown(value)} does not give year, month and day; write such as %d/%m/%Y")
    return value


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse an empty list, and one that names a thing twice."""
    if not values:
        raise ValueError("is an empty list; name one at least, or leave the key out")
    if repeated := [value for value, times in Counter(values).items() if times > 1]:
        raise ValueError(f"{shown(repeated[0])} stands more than once; keep one")
    return values


def listed(value: object) -> list[object]:
    """One text is a list of one."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [value]
    raise ValueError(f"{shown(value)} is neither text nor a list; put text in quotes, or write [a, b]")


class DataPath(str):
    """A path with its environment variables filled in.

    Attributes:
        declared: The path as the config writes it, which is all that may be shown.
    """

    __slots__ = ("declared",)
    declared: str

    @classmethod
    def read(cls, declared: object) -> DataPath:
        """Fill in ``${NAME}`` from the environment.

        Raises:
            ValueError: It is no text, a variable is not set, or the path leaves this machine.
        """
        if not isinstance(declared, str):
            raise BadValueError([((), f"{shown(declared)} is not a path; put it in quotes")])
        path = cls(_ENVIRONMENT.sub(_environment_value, name(declared)))
        path.declared = declared
        if "${" in _ENVIRONMENT.sub("", declared):
            raise ValueError("holds '${' that no '}' closes; write ${NAME}")
        if re.match(r"[A-Za-z][\w+.-]+:|[\\/]{2}", path):
            raise ValueError("is an address and not a file of this machine; copy the file here and write its path")
        return path

    @property
    def portable(self) -> str:
        """The declared path, or the bare file name where the path is absolute."""
        windows = PureWindowsPath(self.declared)
        if PurePosixPath(self.declared).is_absolute() or windows.drive or windows.root:
            return windows.name
        return self.declared


def read_paths(value: object) -> tuple[DataPath, ...]:
    """Read one path or a list of them.

    Raises:
        BadValueError: What is wrong with each.
    """
    alone = not isinstance(value, list)
    paths: list[DataPath] = []
    problems: list[tuple[KeyPath, str]] = []
    for index, item in enumerate(listed(value)):
        try:
            paths.append(DataPath.read(item))
        except ValueError as error:
            problems.append((() if alone else (index,), str(error)))
    if problems:
        raise BadValueError(problems)
    return distinct(tuple(paths))


@dataclass(frozen=True, slots=True)
class Known:
    """When the label of a split is known.

    Attributes:
        kind: The way it is known.
        purchases: Number of first purchases, for ``first_purchases``.
        date: First day after which gaps count, for ``until``.
    """

    kind: Literal["entry", "first_purchase", "first_purchases", "until", "lifetime"]
    purchases: int | None = None
    date: dt.date | None = None

    def __str__(self) -> str:
        detail = self.purchases if self.date is None else self.date.isoformat()
        return self.kind if detail is None else f"{self.kind}: {detail}"

    @classmethod
    def read(cls, value: object) -> Known:
        """Read a word, ``{first_purchases: n}`` or ``{until: DATE}``.

        Raises:
            BadValueError: It is none of these.
        """
        match value:
            case "entry" | "first_purchase" | "lifetime":
                return cls(value)
            case {"first_purchases": number, **rest} if not rest:
                if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_COUNT:
                    problem = f"{shown(number)} is not a number of purchases; write 1 or more"
                    raise BadValueError([(("first_purchases",), problem)])
                return cls("first_purchases", purchases=number)
            case {"until": day, **rest} if not rest:
                try:
                    return cls("until", date=iso_date(day))
                except ValueError as error:
                    raise BadValueError([(("until",), str(error))]) from None
        raise ValueError(_unknown_known(value))

    def plain(self) -> str | dict[str, int | str]:
        """As the config writes it."""
        if self.date is not None:
            return {self.kind: self.date.isoformat()}
        return self.kind if self.purchases is None else {self.kind: self.purchases}

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """What ``read`` takes, as JSON Schema."""
        purchases = {"type": "integer", "minimum": 1, "description": "Known after this many first purchases."}
        day = {"type": "string", "format": "date", "description": "Known from all purchases before this date."}
        words = {"enum": ["entry", "first_purchase", "lifetime"]}
        return {"oneOf": [words, _only("first_purchases", purchases), _only("until", day)]}


@dataclass(frozen=True, slots=True)
class GroupCondition:
    """The condition on which a customer belongs to a group.

    Attributes:
        condition: SQL boolean expression over lines or customers.
        quantifier: Whether ``any`` line of the window must fulfil it, or ``all``.
    """

    condition: str
    quantifier: Literal["any", "all"] = "any"

    @classmethod
    def read(cls, value: object) -> GroupCondition:
        """Read a condition, ``{any: condition}`` or ``{all: condition}``.

        Raises:
            ValueError: It is none of these.
        """
        match value:
            case str():
                return cls(expression(value))
            case {"any": str(condition), **rest} if not rest:
                return cls(expression(condition))
            case {"all": str(condition), **rest} if not rest:
                return cls(expression(condition), "all")
        raise ValueError(f"{shown(value)} is not a condition; write a condition in quotes, or {{all: condition}}")

    def plain(self) -> str | dict[str, str]:
        """As the config writes it."""
        return self.condition if self.quantifier == "any" else {self.quantifier: self.condition}

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """What ``read`` takes, as JSON Schema."""
        condition = {"type": "string", "minLength": 1}
        some = {**condition, "description": "Holds if any of the purchase lines fulfils it."}
        every = {**condition, "description": "Holds if all of the purchase lines fulfil it."}
        return {"oneOf": [condition, _only("any", some), _only("all", every)]}


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table may stand for.

    Attributes:
        required: Roles without which the table is of no use, each with its description.
        optional: Further roles, each with its description.
        others: Whether a column may be given any other name.
    """

    required: Mapping[str, str]
    optional: Mapping[str, str]
    others: bool = False

    def read(self, value: object) -> dict[str, str]:
        """Read the mapping of roles to column names.

        Raises:
            BadValueError: A role is missing or unknown, or a column has no name.
        """
        if not isinstance(value, dict):
            raise BadValueError([((), f"{shown(value)} names no columns; write {{role: column}}")])
        problems = dict(self._unknown(value))
        meant = {nearest(role, self.required) for (role,) in problems}
        for role, column in value.items():
            if (role,) not in problems and (problem := _name_problem(role) or _column_problem(column)):
                problems[role,] = problem
        for role in self.required:
            if role not in value and role not in meant:
                problems[role,] = f"is missing; write {role}: COLUMN, the column of {self.required[role]}"
        if problems:
            raise BadValueError(problems.items())
        return value

    def _unknown(self, value: dict[str, object]) -> Iterable[tuple[tuple[str], str]]:
        known = [*self.required, *self.optional]
        for role in value:
            guess = nearest(role, [word for word in known if word not in value])
            if role in known or (self.others and guess not in self.required):
                continue
            roles = f"roles are {', '.join(known)}; conditions read other columns by their own names"
            yield (role,), f"is not a role; {f'did you mean {guess}?' if guess else roles}"

    def json_schema(self) -> dict[str, Any]:
        """The mapping as JSON Schema."""
        roles = [*self.required.items(), *self.optional.items()]
        return {
            "type": "object",
            "properties": {role: {"type": "string", "description": f"Column of {what}."} for role, what in roles},
            "required": list(self.required),
            "additionalProperties": {"type": "string"} if self.others else False,
        }


def _as_percent(value: float, otherwise: str) -> str:
    return f"did you mean {value / 100:g}?" if 1 < value < 100 else otherwise


def _environment_value(found: re.Match[str]) -> str:
    variable = found[1]
    if not re.fullmatch(r"[A-Za-z_]\w*", variable):
        raise ValueError(f"{shown(found[0])} names no environment variable; write ${{NAME}}")
    if variable not in os.environ:
        raise ValueError(f"the environment variable {variable} is not set; set it before the run or write the path out")
    return os.environ[variable]


def _unknown_known(value: object) -> str:
    forms = {key: form for key, form in _KNOWN_FORMS.items() if not isinstance(value, dict) or form.startswith("{")}
    written = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else value
    found = f"{{{written}: ...}}" if isinstance(value, dict) and written is not value else shown(value)
    guess = nearest(written, forms) if isinstance(written, str) else None
    mend = f"did you mean {forms[guess]}?" if guess else "write " + " or ".join(forms.values())
    return f"{found} does not say when the split is known; {mend}"


def _only(key: str, value: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a mapping with this one key."""
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}


def _column_problem(column: object) -> str | None:
    if not isinstance(column, str):
        return f"{shown(column)} is not the name of a column; put the name in quotes"
    return _name_problem(column)


def _name_problem(word: str) -> str | None:
    try:
        name(word)
    except ValueError as error:
        return str(error)
    return None


_DEVICES = frozenset(["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))])
_ENVIRONMENT = re.compile(r"\$\{([^}]*)\}")
_FORMAT_LETTERS = frozenset("aAbBdHIjmMpSfyYzZ%")
_KNOWN_FORMS = {
    "entry": "entry",
    "first_purchase": "first_purchase",
    "first_purchases": "{first_purchases: 2}",
    "until": "{until: 2017-06-30}",
    "lifetime": "lifetime",
}
