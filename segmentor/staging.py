"""A folder of results that appears whole or not at all: written beside its target, then put in its place in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segmentor.errors import InputError, SegmentorError


@contextmanager
def staged_folder(target: Path, *, marker: str = "manifest.json") -> Iterator[Path]:
    """Give a folder to write in, which replaces the target when the block ends well and vanishes when it does not.

    The folder lies in a private one (mode 0700) beside the target, which is removed in any case and so is the place for
    scratch files too: `folder.parent`. What a killed run left there is swept by the next run with the same target. While
    one run writes, another one with the same target is refused.

    Args:
        target: The folder to make, or to replace if it holds the marker.
        marker: A file that every folder of this kind holds, by which one is told from a folder of the user's own.

    Yields:
        An empty folder on the file system of the target.

    Raises:
        InputError: The target cannot be made or replaced.
        SegmentorError: Another run is writing it, or the results could not be written, such as on a full disk.
    """
    path = Path(os.path.realpath(target))
    _refuse_unsuitable(path, target, marker)
    with _cannot_write(target, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, target):
        private = path.with_name(f".{path.name}.staging")
        _sweep(private, path, target)
        try:
            with _cannot_write(target, InputError):
                private.mkdir(mode=0o700)
                folder = private / "new"
                folder.mkdir()
            with _cannot_write(target, SegmentorError):
                yield folder
                _flush(folder)
                _swap(folder, path)
        finally:
            shutil.rmtree(private, ignore_errors=True)


def _refuse_unsuitable(path: Path, target: Path, marker: str) -> None:
    with _cannot_write(target, InputError):
        if not path.name or path.is_symlink() or (path.exists() and not path.is_dir()):
            raise InputError(f"{target}: not a folder; choose another name for the results")
        if path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
            raise InputError(
                f"{target}: holds files but no {marker}, so it is no folder of results and is left alone; "
                "empty it or choose another name for the results"
            )


@contextmanager
def _cannot_write(target: Path, kind: type[SegmentorError]) -> Iterator[None]:
    """Name the target, and the file if there is one, in what the operating system refuses."""
    try:
        yield
    except OSError as error:
        mend = "; free some space or choose another place for the results" if error.errno in _FULL else ""
        where = f" ({error.filename})" if error.filename else ""
        raise kind(f"{target}: cannot write the results: {error.strerror or error}{where}{mend}") from error


_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def _locked(path: Path, target: Path) -> Iterator[None]:
    """Hold the lock file beside the path; the operating system lets go of it when the process dies.

    The file is removed only by who holds it, and who gets the lock looks whether the file is still the one of that name.
    """
    lock = path.with_name(f".{path.name}.lock")
    with _cannot_write(target, InputError):
        descriptor = _acquire(lock, target)
    try:
        owner = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
        os.truncate(descriptor, 0)
        os.write(descriptor, owner.encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _acquire(lock: Path, target: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), lock.stat()):
                    return descriptor
        except BlockingIOError:
            owner = os.read(descriptor, 1000).decode(errors="replace")
            os.close(descriptor)
            raise SegmentorError(
                f"{target}: locked: another run is writing it ({owner}); wait for it or choose another place for the results"
            ) from None
        os.close(descriptor)


def _sweep(private: Path, path: Path, target: Path) -> None:
    """Remove what a killed run left; put back the old results if it died just while it replaced them."""
    with _cannot_write(target, InputError):
        if (private / "old").is_dir() and not path.exists():
            (private / "old").rename(path)
        if private.is_symlink():
            private.unlink()
        elif private.exists():
            shutil.rmtree(private)


def _flush(folder: Path) -> None:
    """Ask the disk to hold all files before they get their final name."""
    for parent, _, files in os.walk(folder):
        for name in (*files, "."):
            _fsync(Path(parent) / name)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(folder: Path, path: Path) -> None:
    """Give the folder its final name; what had that name before ends in the private folder."""
    if not path.exists():
        folder.rename(path)
    elif not _exchange(folder, path):
        path.rename(folder.with_name("old"))
        folder.rename(path)
    _fsync(path.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step where the system can (Linux, most file systems), so that both always exist."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    current_folder, exchange = -100, 2
    done: int = renameat2(current_folder, os.fsencode(first), current_folder, os.fsencode(second), exchange)
    return done == 0
