"""The browser of this lane: Debian's Chromium, without a window, a profile or anything that calls home."""

from __future__ import annotations

import sys
from typing import Any

from tests.live.servers import DebianPackages, install_from_command_line

CHROMIUM = DebianPackages(
    name="Chromium", programs=("chromium",), packages=("chromium",), module="tests.browser.chromium"
)


def launch_arguments() -> dict[str, Any]:
    """What playwright's ``launch`` takes. Its profile is a new and empty folder each time."""
    return {
        "executable_path": CHROMIUM.path("chromium"),
        "chromium_sandbox": False,  # as root there is none
        "args": [
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


if __name__ == "__main__":
    sys.exit(install_from_command_line(CHROMIUM, __doc__ or ""))
