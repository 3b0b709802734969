"""The demo project with a cluster of as many workers as its environment says."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import Q_CLUSTER

Q_CLUSTER = {
    **Q_CLUSTER,
    "workers": int(os.environ.get("BENCH_WORKERS", "1")),
    "queue_limit": int(os.environ.get("BENCH_WORKERS", "1")),
    "timeout": 100,
    "retry": 600,
}
