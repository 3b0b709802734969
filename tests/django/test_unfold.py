"""django-unfold replaces the admin's site and templates for a whole process, so its tests have one of their own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.processes import ROOT


def test_pages__do_not_break_under_unfold() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--ds=tests.unfold.settings", "tests/unfold/pages.py"]

    ended = subprocess.run(
        [*command, "-p", "no:playwright", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.unfold.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr
