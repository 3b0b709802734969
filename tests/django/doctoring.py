"""What the tests of the doctor share: one examination of a scripted bucket, by the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from tests.conftest import forget_default_storage, storages_at
from tests.django.helpers import run


class Examined:
    """The command's JSON, its exit code and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.told = out + err
        self.document = json.loads(out)

    @property
    def diagnoses(self) -> dict[str, str]:
        """Diagnosis id -> level."""
        return {one["id"]: one["level"] for one in self.document["diagnoses"]}

    def diagnosis(self, id: str) -> dict[str, str]:
        return next(one for one in self.document["diagnoses"] if one["id"] == id)

    def check(self, id: str) -> dict[str, str]:
        rows = [row for one in self.document["storages"] for row in one["checks"]] + self.document["site"]
        return next(row for row in rows if row["id"] == id)


@contextmanager
def site_at(url: str, **options: Any) -> Iterator[None]:
    """The project's storage is at ``url``, with these options; its Q_CLUSTER has nothing against it."""
    healthy = {"name": "x", "orm": "default", "workers": 1, "timeout": 50, "retry": 200, "max_attempts": 1, "catch_up": False}  # fmt: skip
    with override_settings(STORAGES=storages_at(url, **options), Q_CLUSTER=healthy):
        forget_default_storage()
        yield
    forget_default_storage()


def examined(*arguments: str) -> Examined:
    return Examined(*run("imagesync_doctor", "--format", "json", *arguments))


def examined_at(url: str, **options: Any) -> Examined:
    with site_at(url, **options):
        return examined()
