"""The demo project's settings, with a cluster that looks at its schedules when it starts."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.hasty.HastyConfig"]
