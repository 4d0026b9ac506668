"""JSON Schema of ``results.json``, in which every field has the meaning that its record's docstring gives it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from segmentor.result.run import FORMAT, RunResult


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file that ``to_json`` writes.

    Raises:
        KeyError: A docstring does not tell of a field.
    """
    schema = TypeAdapter(RunResult).json_schema(mode="serialization")
    schema["properties"]["format"] = {"const": FORMAT}
    for record in (schema, *schema["$defs"].values()):
        record["description"], meanings = _read(record["description"])
        record["properties"] = {
            name: _plain(content) | {"description": meanings[name]} for name, content in record["properties"].items()
        }
        record["required"] = list(record["properties"])
        record["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """A field without its name said twice, and without what it would be were it not there: it always is."""
    return {key: value for key, value in content.items() if key not in ("title", "default")}


def _read(docstring: str) -> tuple[str, dict[str, str]]:
    """What a record is, and what each of its fields is."""
    about, _, rest = docstring.partition("\n\nAttributes:\n")
    fields = rest.partition("\n\n")[0]
    meanings = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", fields, re.MULTILINE)
    return _told(about), {name: _told(meaning) for name, meaning in meanings}


def _told(text: str) -> str:
    """A text of a docstring, on one line and in words of JSON."""
    told = " ".join(text.split())
    for python, json in (("``None``", "``null``"), ("``True``", "``true``"), ("``False``", "``false``")):
        told = told.replace(python, json)
    return told.replace("``", "`")
