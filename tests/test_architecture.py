"""The shape of the package: layers, sizes, names, and what its code may not do. Read from the source, without running it."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import segmentor
from segmentor.cli import commands

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "segmentor"

LAYERS = (
    {"errors", "wording"},
    {"result", "statistics"},
    {"engine.conditions"},
    {"config"},
    {"engine", "staging"},
    {"intake", "clustering", "cycles", "ledger", "tables", "report", "cross_sell", "example", "synthetic"},
    {"populations", "attributes", "starting"},
    {"features"},
    {"splits"},
    {"candidates", "gap_sums", "segments", "assignment", "comparison"},
    {"effects"},
    {"labelling"},
    {"evidence", "echo"},
    {"discovery"},
    {"tree", "verdicts"},
    {"habits", "crossover", "robustness", "dealing"},
    {"beside"},
    {"confirmation"},
    {"other_halves", "pruning"},
    {"trials"},
    {"experiment", "selftest"},
    {"console"},
    {"cli"},
    {"__main__"},
)
"""The modules of the package, lowest first: each may import from its own layer and from those before it."""

HEAVY = {
    "duckdb",
    "hdbscan",
    "matplotlib",
    "mlxtend",
    "numba",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "sklearn",
    "sqlglot",
    "umap",
}


def _modules() -> dict[str, ast.Module]:
    """Name without the package's own, such as `engine.duckdb`, to parsed source; the map `__init__` is left out."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = _modules()


def _imports(tree: ast.Module) -> Iterator[str]:
    """Every dotted name that a module imports: at its top, in functions, and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_imports(tree: ast.Module) -> set[str]:
    """Modules of the package that a module imports."""
    found = set()
    for name in _imports(tree):
        package, _, inner = name.partition(".")
        if package == "segmentor":
            parts = inner.split(".")
            prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
            found.update([next((prefix for prefix in prefixes if prefix in MODULES), "")])
    return found - {""}


def _layer(module: str) -> int:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        for number, layer in enumerate(LAYERS):
            if ".".join(parts[:length]) in layer:
                return number
    pytest.fail(f"{module} is in no layer: name it in LAYERS")


def _tracked_texts() -> Iterator[tuple[Path, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if path.is_file():
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_from_its_own_layer_and_below(module: str) -> None:
    """No import points up, not even one for types only."""
    above = {other for other in _own_imports(MODULES[module]) if _layer(other) > _layer(module)}
    assert not above


def test_imports_have_no_cycle() -> None:
    """The modules can be put in an order in which each one imports earlier ones only."""
    graph = {name: _own_imports(tree) - {name} for name, tree in MODULES.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] == "statistics"])
def test_statistics_are_pure(module: str) -> None:
    """Statistics know numpy, scipy and the package's errors, and nothing of data, engines or configs."""
    allowed = {"numpy", "scipy", "segmentor", *sys.stdlib_module_names}
    assert {name.split(".")[0] for name in _imports(MODULES[module])} <= allowed
    assert {name.split(".")[0] for name in _own_imports(MODULES[module])} <= {"errors", "statistics"}


@pytest.mark.parametrize("module", MODULES)
def test_module_is_named_for_what_it_holds(module: str) -> None:
    """No module is a drawer for anything."""
    assert not {"utils", "util", "helpers", "common", "misc", "base", "core"} & set(module.split("."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_is_short(path: Path) -> None:
    """A module of more than 600 lines is a folder."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 600


@pytest.mark.parametrize("module", MODULES)
def test_module_opens_with_what_it_is_for(module: str) -> None:
    """Every module has a docstring."""
    assert ast.get_docstring(MODULES[module])


def test_package_docstring_is_the_map() -> None:
    """Each module or folder at the top of the package stands in the package's docstring, and nothing else does."""
    named = {
        name
        for line in re.findall(r"^- (.*?):", segmentor.__doc__ or "", re.MULTILINE)
        for name in re.findall(r"`(\w+)`", line)
    }
    assert named == {name.split(".")[0] for name in MODULES} - {"__main__", "errors"}


@pytest.mark.parametrize("command", ["import segmentor", "from segmentor.cli import main; main(['--help'])"])
def test_nothing_heavy_is_loaded_for_nothing(command: str) -> None:
    """Neither the import of the package nor `--help` loads a library that only a run needs."""
    code = f"import sys; {command}; sys.stderr.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("module", MODULES)
def test_module_keeps_to_safe_ways(module: str) -> None:
    """No pickle, no code from text, no query language of data frames, and no handler that hides every error."""
    assert not {name.split(".")[0] for name in _imports(MODULES[module])} & {
        "pickle",
        "cloudpickle",
        "dill",
        "marshal",
        "shelve",
        "joblib",
    }
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}, f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"query", "eval", "read_pickle", "to_pickle"}, f"line {node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            caught = (
                {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"everything"}
            )
            assert not caught & {"Exception", "BaseException", "everything"}, f"line {node.lineno}"


@pytest.mark.parametrize("name", list(commands.commands))
def test_command_explains_itself(name: str) -> None:
    """The help of every command has a sentence, a line an option, and an example that begins with the command."""
    command = commands.commands[name]
    with click.Context(command, info_name=f"segmentor {name}") as context:
        text = command.get_help(context)
        options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
    assert command.help
    assert all(option.help for option in options)
    assert f"Example:\n    segmentor {name}" in text


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.name)
def test_every_test_states_its_claim(path: Path) -> None:
    """Every test has a docstring of its own."""
    functions = (
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    )
    silent = [node.name for node in functions if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert not silent


def test_no_file_names_a_machine() -> None:
    """No path of somebody's machine and no address of a host is in any file of the repository."""
    paths = re.compile(r"(?<![\w.])/(?:home|root|Users|work|opt)/\w|\b[A-Z]:\\\\")
    hosts = re.compile(
        r"\b(?:https?|ftp|s3)://(?!www\.w3\.org/|json-schema\.org/|doi\.org/|[\w.@:-]*\bexample\b|localhost\b)[\w.@:-]+"
    )
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in _tracked_texts()
        if path != Path(__file__)
        for match in (*paths.finditer(text), *hosts.finditer(text))
    ]
    assert not found
