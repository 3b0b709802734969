"""The demo project's settings with the queue that a test made."""

from __future__ import annotations

import json
import os

from project.settings import *  # noqa: F403

IMAGESYNC = {"EVENTS": json.loads(os.environ["IMAGESYNC_EVENTS"])}
