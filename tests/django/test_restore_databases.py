"""Records of a database other than the tombstones': a preview changes nothing there either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT


def test_preview__is_taken_back_in_another_database_too(tmp_path: Path) -> None:
    settings = {"TWO_DATABASES": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.two_databases"}

    done = subprocess.run(
        [sys.executable, "-m", "tests.two_databases"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.stdout.splitlines() == ["previewed 1, products 0", "restored 1, products 1"], done.stderr
