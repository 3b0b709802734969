"""The project's settings with the tests' models, records kept fresh, and audits that write down often how far they are."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as PROJECT_APPS

INSTALLED_APPS = [*PROJECT_APPS, "tests.testapp"]
IMAGESYNC = {"BATCH_SIZE": 40, "WORKERS": 3, "FRESHNESS": "7d"}
