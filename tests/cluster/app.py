"""Makes a process of the project fit for these tests: small ranges, a clock that is off, a version that is older."""

from __future__ import annotations

import os

from django.apps import AppConfig


class Faulty(AppConfig):
    name = "tests.cluster"
    label = "faulty"

    def ready(self) -> None:
        from imagesync import tasks
        from imagesync.audit import claim, waiting

        claim.LEAST_RECORDS = int(os.environ["TEST_LEAST_RECORDS"])
        waiting.EVERY_SECONDS = 0.2
        if os.environ.get("TEST_OLDER_VERSION"):
            del tasks.work_on_audit
