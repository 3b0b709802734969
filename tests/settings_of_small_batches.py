"""The project's settings with an audit that writes down often how far it is: for processes that are killed."""

from __future__ import annotations

from project.settings import *  # noqa: F403

IMAGESYNC = {"BATCH_SIZE": 40, "WORKERS": 3}
