"""A process, timed and with its peak memory; it ends by itself or is ended at its deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS_BETWEEN_SAMPLES = 0.03


@dataclass(frozen=True)
class Run:
    seconds: float
    peak_bytes: int
    """Of the process and all that it started, the peaks of those that lived at one time added up."""
    output: str


def run(command: Sequence[str], environment: Mapping[str, str], *, deadline: float) -> Run:
    """Raises CalledProcessError when it fails, TimeoutExpired when it takes longer than ``deadline`` seconds."""
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        memory = _Memory(process.pid)
        try:
            output, errors = process.communicate(timeout=deadline)
            seconds = time.perf_counter() - began
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # a session of its own: what it started, and nothing else
            raise
        finally:
            memory.stop()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output, errors)
    return Run(seconds, memory.peak_bytes(), output)


class _Memory:
    """Watches a process and its descendants.

    VmHWM is a process's own peak, so what happens between two samples counts; ``ru_maxrss`` would begin with the
    memory of whoever started it. Until a process runs a program of its own it has the memory of its parent, and is not
    counted.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._watching = self._pool.submit(self._watch)

    def stop(self) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def peak_bytes(self) -> int:
        """Raises what watching raised."""
        return self._watching.result()

    def _watch(self) -> int:
        peak = 0
        while not self._stopped.wait(SECONDS_BETWEEN_SAMPLES):
            peak = max(peak, sum(_peak(pid) for pid in _family(self._pid)))
        return peak


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        program = _program(one)
        for thread in _threads(one):
            children = _read(Path(f"/proc/{one}/task/{thread}/children")).split()
            waiting += [int(child) for child in children if _program(int(child)) != program]
    return found


def _program(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/cmdline"))


def _threads(pid: int) -> list[str]:
    """None of a process that has ended meanwhile."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _peak(pid: int) -> int:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: Path) -> str:
    """Empty for a process that has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
