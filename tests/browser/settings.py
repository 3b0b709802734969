"""The demo project under a strict policy, for the servers and clusters of this lane."""

from __future__ import annotations

import os
from pathlib import Path

from project.settings import *  # noqa: F403
from project.settings import DATABASES, MIDDLEWARE, Q_CLUSTER, S3_ENDPOINT

FOLDER = Path(os.environ["BROWSER_LANE_FOLDER"])

MIDDLEWARE = ["tests.browser.policy.StrictPolicy", *MIDDLEWARE]
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' {S3_ENDPOINT}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# a session that ends with the browser has no date, so that a frozen clock does not end it
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_AGE = None

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] |= {
        "init_command": "PRAGMA synchronous=OFF",
        "transaction_mode": "IMMEDIATE",
    }

# with the database as its broker, a cluster is seen through a cache that processes share
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(FOLDER / "cache"),
    }
}
Q_CLUSTER = {
    **Q_CLUSTER,
    "orm": "default",
    # one for each configuration: a cluster does not take over the tasks of the other
    "name": f"browser-{os.environ['AWS_S3_REGION_NAME']}",
    "workers": 1,
    "poll": 0.2,
}
IMAGESYNC: dict[str, object] = {}
if os.environ.get("BROWSER_LANE_MAX_PURGE_RATIO"):
    IMAGESYNC["MAX_PURGE_RATIO"] = float(os.environ["BROWSER_LANE_MAX_PURGE_RATIO"])

if os.environ.get("BROWSER_LANE_NOW"):
    import time_machine

    time_machine.travel(os.environ["BROWSER_LANE_NOW"], tick=True).start()
