"""The suite's settings in a project whose admin is django-unfold's."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as WITHOUT

INSTALLED_APPS = ["unfold", *WITHOUT]
ROOT_URLCONF = "tests.unfold.urls"
