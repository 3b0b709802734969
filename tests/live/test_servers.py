"""That no server of the live lane outlives the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live import rclone
from tests.live.janitor import ROOT

START_AND_WAIT = """
import time
from tests.live.rclone import Rclone
with Rclone() as server:
    print(server.folder, server.daemons["rclone"].pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.live
@pytest.mark.skipif(not rclone.available()[0], reason=f"left out: {rclone.available()[1]}")
def test_server__ends_with_everything_it_left_when_its_process_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder, pid = process.stdout.readline().split()
        assert Path(folder).is_dir()
        process.send_signal(signal.SIGKILL)

    until = time.monotonic() + 20
    while time.monotonic() < until and (Path(folder).exists() or is_running(int(pid))):
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert not is_running(int(pid))


def is_running(pid: int) -> bool:
    """Whether it still does anything; one that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
