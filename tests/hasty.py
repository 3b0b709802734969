"""An app that makes a django-q2 cluster look at its schedules when it starts, and not half a minute later.

For projects of tests that start a real ``qcluster``.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class HastyConfig(AppConfig):
    name = "tests.hasty"
    label = "hasty"

    def ready(self) -> None:
        from django_q import cluster

        guard = cluster.Sentinel.guard

        def guard_at_once(sentinel: Any) -> None:
            cluster.scheduler(broker=sentinel.broker)
            guard(sentinel)

        cluster.Sentinel.guard = guard_at_once
