"""One run of the command in a process of its own, with what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    """What a run took.

    Attributes:
        wall: Seconds.
        cpu: Seconds of user and system.
        memory: Largest resident set in MiB; a run starts no other process.
    """

    wall: float
    cpu: float
    memory: float


def made_elsewhere(make: Callable[[], Path]) -> Path:
    """What ``make`` returns, called in another process: a child's largest resident set begins with that of its parent."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(make).result()


def timed_run(config: Path, out: Path) -> Taken:
    """Runs the config with two threads of the engine; all modules are compiled before, as an installation leaves them."""
    command = [sys.executable, "-m", "segmentor", "run", str(config), "--out", str(out), "--quiet"]
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "SEGMENTOR_THREADS": "2", "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run(
            [sys.executable, "-c", "import segmentor.cli, segmentor.experiment"], check=True, env=environment
        )
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    if status:
        sys.exit(f"the run ended with {os.waitstatus_to_exitcode(status)}")
    return Taken(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
