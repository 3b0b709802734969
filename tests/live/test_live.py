"""The stories of `make live`, as tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live.ceph import CEPH
from tests.live.janitor import ROOT
from tests.live.servers import DebianPackages
from tests.live.swift import SWIFT


@pytest.mark.live
@pytest.mark.parametrize(
    ("story", "packages"),
    [("story", CEPH), ("damage", CEPH), ("regions", SWIFT)],
    ids=["the whole job", "damage", "regions"],
)
def test_story__on_a_real_object_store(story: str, packages: DebianPackages) -> None:
    available, why_not = packages.available()
    if not available:
        pytest.skip(f"live lane left out: {why_not}")
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.live.{story}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout
