"""What the pages say is so: commands, configs and keys that they name exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segmentor.cli import commands
from segmentor.config import json_schema, load_config
from segmentor.segments.replay import SYSTEMS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?:^|`)segmentor ((?:[a-z]+)(?: [^`#\n]+)?)", PAGES, re.MULTILINE)


def test_make_targets_exist() -> None:
    """Every make target that a page names is one of the Makefile; demo and test are named."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)`?(?= *(?:#|\n|`|\|))", PAGES))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    """Every command line that a page names is one that the program understands."""
    name, *words = shlex.split(line)
    assert name in commands.commands
    commands.commands[name].make_context(name, words, resilient_parsing=not words)


def test_pages_show_the_three_steps() -> None:
    """The README leads from data to a report as the program's help does."""
    assert [line.split()[0] for line in COMMANDS][:3] == ["example", "check", "run"]


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
def test_configs_load(block: str, tmp_path: Path) -> None:
    """Every config that the README shows is valid as it stands."""
    path = tmp_path / "shown.yaml"
    path.write_text(block, encoding="utf-8")
    splits = load_config(path).splits
    assert splits.declared or splits.enumerated or splits.clustered


def test_settings_named_in_the_readme_exist() -> None:
    """A dotted key in the README, such as `trial.minimum_effect`, is a key of the config."""
    keys = set(_keys(json_schema(), json_schema()))
    sections = {key.split(".")[0] for key in keys}
    dotted = re.findall(r"`([a-z_]+(?:\.(?!csv|json|sql|html)[a-z_]+)+)`", README)
    named = {name for name in dotted if name.split(".")[0] in sections}
    assert named
    assert named <= keys


def test_every_key_is_explained() -> None:
    """The schema that editors show describes each key of the config."""
    schema = json_schema()
    places = [schema, *schema["$defs"].values()]
    silent = [name for place in places for name, key in place.get("properties", {}).items() if "description" not in key]
    assert not silent


def _keys(schema: dict[str, Any], node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all keys below a node of the schema."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    for choice in node.get("anyOf", []):
        yield from _keys(schema, choice, prefix)
    for name, key in node.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from _keys(schema, key, f"{prefix}{name}.")


def test_pages_name_files_that_exist() -> None:
    """A path of the repository in a page is there."""
    named = set(re.findall(r"`?\b((?:configs|tests|segmentor|reports)/[\w./-]*\w\.(?:py|yaml|md))`?", PAGES))
    assert [name for name in named if not (ROOT / name).is_file() and "<" not in name] == []


def test_the_number_of_configs_is_as_told() -> None:
    """The README counts the experiments of `configs/` as they are."""
    numbers = ("five", "six", "seven", "eight", "nine", "ten")
    (told,) = re.findall(r"`configs/` holds (\w+) experiments", README)
    assert numbers.index(told) + 5 == len(list((ROOT / "configs").glob("*.yaml")))


def test_the_readme_shows_a_search_and_clusters(tmp_path: Path) -> None:
    """One config of the README lets the data suggest splits in both ways."""
    path, searching = tmp_path / "shown.yaml", []
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        path.write_text(block, encoding="utf-8")
        splits = load_config(path).splits
        searching.append(splits.enumerated is not None and splits.clustered is not None)
    assert any(searching)


def test_files_of_a_run_are_named() -> None:
    """The README names every system that segments are written for, and the table of customers."""
    writes = README.split("## What a run writes")[1].split("\n## ")[0]
    assert {"segments.json", "segments.sql", "segments.spark.sql", "assigned.csv", "trials.csv"} <= set(
        re.findall(r"`([\w.]+)`", writes)
    )
    assert all(system.split()[-1] in writes for system in SYSTEMS.values())
