"""A process, timed and with its peak memory; it ends by itself or is ended at its deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
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
    return Run(seconds, memory.peak_bytes, output)


class _Memory:
    """Watches a process and its descendants.

    VmHWM is a process's own peak, so what happens between two samples counts; ``ru_maxrss`` would begin with the
    memory of whoever started it.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN_SAMPLES):
            self.peak_bytes = max(self.peak_bytes, sum(_peak(pid) for pid in _family(self._pid)))


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            waiting += [int(child) for child in _read(children).split()]
    return found


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
