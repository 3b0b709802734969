"""The demo project with short leases, a cluster that delivers too often, and a clock that may be hours off."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import time_machine

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

if os.environ.get("TEST_CLOCK_HOURS"):
    off = timedelta(hours=float(os.environ["TEST_CLOCK_HOURS"]))
    time_machine.travel(datetime.now(UTC) + off, tick=True).start()

INSTALLED_APPS = [*INSTALLED_APPS, "tests.cluster.app.Faulty"]
IMAGESYNC = json.loads(os.environ["TEST_IMAGESYNC"])
Q_CLUSTER = json.loads(os.environ["TEST_Q_CLUSTER"])
