"""The story of `make live`, as a test."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live.ceph import CEPH
from tests.live.janitor import ROOT

AVAILABLE, WHY_NOT = CEPH.available()


@pytest.mark.live
@pytest.mark.skipif(not AVAILABLE, reason=f"live lane left out: {WHY_NOT}")
def test_whole_story_on_a_real_object_store_and_postgres():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.live.story"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout
