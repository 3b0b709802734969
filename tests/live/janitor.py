"""Whatever a live test started and left in its folder goes when its process is gone."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
POLITE_SECONDS = 2.0
PREFIX = "imagesync-"  # of every folder that a janitor may remove


class Janitor:
    """Ends every process whose command line names ``folder``, and removes it, when this process is gone.

    It is a process of its own, in its own session, that waits for the end of its standard input; so it
    works after ``kill -9`` too, and whichever thread started what it looks after.
    """

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.janitor", "--tidy", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tidy(self) -> None:
        """Do it now."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def _tidy(folder: Path) -> None:
    polite_until = time.monotonic() + POLITE_SECONDS
    for pid in _processes_of(folder):
        _signal(pid, signal.SIGTERM)
    # twice nothing: a process that is just being started has not named the folder yet
    quiet = 0
    while quiet < 2:
        left = _processes_of(folder)
        quiet = 0 if left else quiet + 1
        if time.monotonic() > polite_until:
            for pid in left:
                _signal(pid, signal.SIGKILL)
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def _processes_of(folder: Path) -> list[int]:
    needle, found = os.fsencode(folder), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if needle in arguments and b"--tidy" not in arguments:
                found.append(int(entry.name))
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it ended meanwhile


def main() -> int:
    parser = argparse.ArgumentParser(description="Tidy a server's folder when standard input ends.")
    parser.add_argument("--tidy", type=Path, required=True)
    folder: Path = parser.parse_args().tidy
    if not folder.name.startswith(PREFIX):
        parser.error("not a folder of ours")
    sys.stdin.buffer.read()
    _tidy(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
