"""What is installed: dependencies, lock, wheel, and the commands that a newcomer types."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import segmentor

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DIRECT = [Requirement(line) for line in PROJECT["dependencies"]]
DECLARED = [*DIRECT, *(Requirement(line) for extra in PROJECT["optional-dependencies"].values() for line in extra)]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked() -> list[tuple[str, str]]:
    """Names and versions of the lock; a name with several versions has them for different Pythons."""
    return re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCK, re.MULTILINE)


def test_direct_dependencies_are_few() -> None:
    """At most 15 packages are depended on directly, each with the oldest version that works."""
    assert len(DIRECT) <= 15
    assert all(requirement.specifier for requirement in DECLARED)


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_lock_holds_what_is_declared(requirement: Requirement) -> None:
    """The lock has a version of every declared package that its declaration allows."""
    versions = [version for name, version in _locked() if name == _canonical(requirement.name)]
    assert versions
    assert all(version in requirement.specifier for version in versions)


def test_every_locked_package_has_hashes() -> None:
    """No package of the lock can be swapped for another file."""
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(_locked())
    assert all("--hash=sha256:" in entry for entry in entries)


def test_lock_names_no_host() -> None:
    """The lock works with any index: it holds no address and no option that sets one."""
    assert not re.search(r"://|^--?\w", LOCK, re.MULTILINE)


def test_every_import_is_a_declared_dependency() -> None:
    """The package imports nothing that is there only because another package needs it, or that only tests ask for."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "segmentor").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    homes = packages_distributions()
    documented_parts = {"markupsafe", "pydantic_core", "threadpoolctl"}  # of jinja2, pydantic and scikit-learn
    foreign = {name.split(".")[0] for name in names} - {"segmentor", *sys.stdlib_module_names, *documented_parts}
    extras = (
        Requirement(line) for name, own in PROJECT["optional-dependencies"].items() if name != "dev" for line in own
    )
    declared = {_canonical(requirement.name) for requirement in (*DIRECT, *extras)}
    assert {name for name in foreign if not declared & {_canonical(home) for home in homes[name]}} == set()


def test_wheel_holds_package_and_configs_only(tmp_path: Path) -> None:
    """The built wheel has the package with its type marker and the example configs, no tests and no data."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.startswith(f"segmentor-{segmentor.__version__}-")
    names = zipfile.ZipFile(wheel).namelist()
    configs = {f"segmentor/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    assert configs | {"segmentor/cli.py", "segmentor/py.typed"} <= set(names)
    assert all(name.startswith(("segmentor/", f"segmentor-{segmentor.__version__}.dist-info/")) for name in names)
    assert not [name for name in names if "/data/" in name or name.endswith((".parquet", ".csv", ".pyc"))]


def test_module_and_command_are_the_same() -> None:
    """`python -m segmentor` answers as the installed command does."""
    module = [sys.executable, "-m", "segmentor", "--version"]
    command = [str(Path(sys.executable).parent / "segmentor"), "--version"]
    answers = {subprocess.run(words, capture_output=True, text=True, check=True).stdout for words in (module, command)}
    assert answers == {f"segmentor {segmentor.__version__}\n"}


@pytest.mark.parametrize("name", ["RunResult", "load_config", "run"])
def test_public_names_are_loaded_when_used(name: str) -> None:
    """What the package promises is there."""
    assert callable(getattr(segmentor, name))


def test_unknown_public_name_is_an_attribute_error() -> None:
    """A wrong name fails as in any module."""
    with pytest.raises(AttributeError, match="nonsense"):
        segmentor.nonsense  # noqa: B018 - the access is the test


def test_ci_runs_what_a_newcomer_types() -> None:
    """The script that guards every change is executable and runs tests, main job and linters."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert {"make test", "make demo", "make lint"} <= set(lines)
