"""Results appear whole or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segmentor import staging
from segmentor.errors import InputError, SegmentorError
from segmentor.staging import staged_folder

WRITER = """
import sys, time
from pathlib import Path
from segmentor.staging import staged_folder
for generation in range(int(sys.argv[2]), 10**9):
    with staged_folder(Path(sys.argv[1])) as folder:
        for number in range(20):
            (folder / f"part{number}").write_text(str(generation))
        (folder / "manifest.json").write_text(str(generation))
    print(generation, flush=True)
"""


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _write(target: Path, text: str) -> None:
    with staged_folder(target) as folder:
        (folder / "manifest.json").write_text(text)


def test_results_appear_only_when_the_block_ends(tmp_path: Path) -> None:
    """The target does not exist while the block runs, and nothing else is left after it."""
    target = tmp_path / "reports" / "run"
    with staged_folder(target) as folder:
        (folder / "manifest.json").write_text("new")
        assert not target.exists()
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert (target / "manifest.json").read_text() == "new"
    assert _names(target.parent) == {"run"}


def test_earlier_results_are_replaced_whole(tmp_path: Path) -> None:
    """A file of the earlier run that the new one does not write is gone."""
    with staged_folder(tmp_path / "run") as folder:
        (folder / "manifest.json").touch()
        (folder / "stale.csv").touch()
    _write(tmp_path / "run", "new")
    assert _names(tmp_path / "run") == {"manifest.json"}


def test_earlier_results_are_replaced_where_names_cannot_be_swapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without a swap in one step gets the same end by two renames."""
    _write(tmp_path / "run", "old")
    monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    _write(tmp_path / "run", "new")
    assert (tmp_path / "run" / "manifest.json").read_text() == "new"
    assert _names(tmp_path) == {"run"}


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(143)])
def test_failure_leaves_earlier_results_alone(tmp_path: Path, error: BaseException) -> None:
    """Whatever ends the block early, the old folder stays as it was and no other file is left."""
    _write(tmp_path / "run", "old")
    with pytest.raises(type(error)), staged_folder(tmp_path / "run") as folder:
        (folder / "manifest.json").write_text("new")
        raise error
    assert (tmp_path / "run" / "manifest.json").read_text() == "old"
    assert _names(tmp_path) == {"run"}


def test_full_disk_is_an_error_that_names_the_target(tmp_path: Path) -> None:
    """No space left becomes one message with the place and the mend, and exit code 3."""
    full = pytest.raises(SegmentorError, match=r"run: cannot write.*report\.html.*free some space")
    with full as caught, staged_folder(tmp_path / "run") as folder:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "report.html"))
    assert caught.value.exit_code == 3
    assert _names(tmp_path) == set()


def test_folder_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds files but no manifest is refused before anything is computed."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"no manifest\.json"), staged_folder(tmp_path):
        pytest.fail("the block must not run")
    assert _names(tmp_path) == {"thesis.tex"}


def test_empty_folder_may_be_filled(tmp_path: Path) -> None:
    """A folder that the user made for the results is no obstacle."""
    (tmp_path / "run").mkdir()
    _write(tmp_path / "run", "new")
    assert (tmp_path / "run" / "manifest.json").read_text() == "new"


@pytest.mark.parametrize("below", ["", "/below"])
def test_file_in_the_way_is_refused(tmp_path: Path, below: str) -> None:
    """A target that is a file, or lies below one, is the user's mistake: exit code 2."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"), staged_folder(Path(f"{tmp_path}/file{below}")):
        pytest.fail("the block must not run")


def test_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    """A link to itself is no place for results: exit code 2."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop"), staged_folder(tmp_path / "loop"):
        pytest.fail("the block must not run")


def test_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent without the right to write is told before anything is computed: exit code 2."""

    def refuse(path: Path, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(staging.os, "open", refuse)
    with pytest.raises(InputError, match=r"run: cannot write.*Permission denied"), staged_folder(tmp_path / "run"):
        pytest.fail("the block must not run")


def test_second_run_into_one_folder_is_refused_at_once(tmp_path: Path) -> None:
    """While one run writes, another one learns which process holds the folder, and the first is not disturbed."""
    with staged_folder(tmp_path / "run") as folder:
        with pytest.raises(SegmentorError, match=f"locked.*process {os.getpid()}"), staged_folder(tmp_path / "run"):
            pytest.fail("the block must not run")
        (folder / "manifest.json").touch()
    assert _names(tmp_path) == {"run"}


def test_runs_into_different_folders_do_not_wait(tmp_path: Path) -> None:
    """The lock is of one target, not of the folder around it."""
    with staged_folder(tmp_path / "first") as first, staged_folder(tmp_path / "second") as second:
        (first / "manifest.json").touch()
        (second / "manifest.json").touch()
    assert _names(tmp_path) == {"first", "second"}


def test_target_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    """A link to a folder of results stays a link."""
    _write(tmp_path / "run", "old")
    (tmp_path / "latest").symlink_to("run")
    _write(tmp_path / "latest", "new")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "run" / "manifest.json").read_text() == "new"


def test_results_set_aside_by_a_killed_run_are_put_back(tmp_path: Path) -> None:
    """A run that died between two renames has lost nothing: the next one, even a failing one, finds the old results."""
    (tmp_path / ".run.staging" / "old").mkdir(parents=True)
    (tmp_path / ".run.staging" / "old" / "manifest.json").write_text("old")
    with pytest.raises(ValueError, match="wrong"), staged_folder(tmp_path / "run"):
        raise ValueError("wrong")
    assert (tmp_path / "run" / "manifest.json").read_text() == "old"
    assert _names(tmp_path) == {"run"}


def test_kill_at_any_moment_leaves_whole_results(tmp_path: Path) -> None:
    """After SIGKILL at 25 random moments the folder holds one generation only, and the next run sweeps what is left."""
    moments = random.Random(1)
    target = tmp_path / "run"
    finished = 0
    for _ in range(25):
        command = [sys.executable, "-c", WRITER, str(target), str(finished + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(moments.uniform(0, 0.02))
            writer.send_signal(signal.SIGKILL)
        generations = {path.read_text() for path in target.iterdir()}
        assert len(generations) == 1
        assert len(list(target.iterdir())) == 21
        finished = int(generations.pop())
    _write(target, "last")
    assert _names(tmp_path) == {"run"}
