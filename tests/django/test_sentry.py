"""Scheduled audits check in with Sentry's cron monitor: the real SDK, with a transport that keeps what it is given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from django.test import override_settings
from sentry_sdk.transport import Transport

from imagesync import tasks
from imagesync.core.verdicts import Evidence
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import make_images

pytestmark = pytest.mark.django_db(transaction=True)

SLUG = "imagesync-check-images"


class Kept(Transport):
    check_ins: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        for item in envelope.items:
            if item.type == "check_in":
                Kept.check_ins.append(item.payload.json)


@pytest.fixture
def sentry() -> Iterator[list[dict[str, Any]]]:
    Kept.check_ins.clear()
    sentry_sdk.init(
        dsn="http://public@127.0.0.1:9/1",
        transport=Kept,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    yield Kept.check_ins
    sentry_sdk.get_global_scope().set_client(None)


@pytest.fixture
def store(memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store, source = memory_source()
    make_images("a.jpg")
    store.put("a.jpg")
    monkeypatch.setattr(tasks, "find_sources", lambda **_options: [source])
    return store


def told(check_ins: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["monitor_slug"], one["status"]) for one in check_ins]


def test_check_in__of_an_audit_that_is_believed(store: MemoryStore, sentry: list[dict[str, Any]]) -> None:
    [answer] = tasks.check_images()

    assert answer["trust"] == "trustworthy"
    assert told(sentry) == [(SLUG, "in_progress"), (SLUG, "ok")]
    assert sentry[0]["check_in_id"] == sentry[1]["check_in_id"]
    assert sentry[1]["duration"] >= 0


def test_check_in__of_an_audit_that_is_not_believed(store: MemoryStore, sentry: list[dict[str, Any]]) -> None:
    store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=404, code="404"))

    tasks.check_images()

    assert told(sentry) == [(SLUG, "in_progress"), (SLUG, "error")]


def test_check_in__of_one_that_workers_share_is_ended_by_whoever_closes_it(
    store: MemoryStore, sentry: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    [source] = tasks.find_sources()
    monkeypatch.setattr("imagesync.audit.distributed.source_of", lambda _audit: source)
    monkeypatch.setattr("imagesync.audit.distributed.enqueue", lambda *_arguments, **_options: None)

    [answer] = tasks.check_images(distributed=True)
    assert told(sentry) == [(SLUG, "in_progress")]
    for _part in range(3):
        tasks.work_on_audit(answer["audit"])

    assert told(sentry) == [(SLUG, "in_progress"), (SLUG, "ok")]
    assert sentry[0]["check_in_id"] == sentry[1]["check_in_id"]


@pytest.mark.parametrize("where", ["find_sources", "open_audit", "carry_out"])
@pytest.mark.parametrize("ending", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_check_in__of_one_that_raises(
    store: MemoryStore,
    sentry: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    ending: type[BaseException],
    where: str,
) -> None:
    def broken(*_arguments: Any, **_options: Any) -> Any:
        raise ending("a lost database")

    monkeypatch.setattr(tasks, where, broken)

    with pytest.raises(ending):
        tasks.check_images()

    begun = [(SLUG, "in_progress")] if where == "carry_out" else []
    assert told(sentry) == [*begun, (SLUG, "error")]
    assert len({one["check_in_id"] for one in sentry}) == 1


def test_check_in__the_slug_is_a_setting(store: MemoryStore, sentry: list[dict[str, Any]]) -> None:
    with override_settings(IMAGESYNC={"SENTRY_MONITOR": "nightly-images"}):
        tasks.check_images()
    with override_settings(IMAGESYNC={"SENTRY_MONITOR": ""}):
        tasks.check_images()

    assert told(sentry) == [("nightly-images", "in_progress"), ("nightly-images", "ok")]


def test_check_in__sentry_that_was_not_started_is_told_nothing(store: MemoryStore) -> None:
    Kept.check_ins.clear()

    assert tasks.check_images()[0]["trust"] == "trustworthy"

    assert Kept.check_ins == []


def test_check_in__without_sentry_nothing_is_imported() -> None:
    """In a process of its own, where importing Sentry would fail."""
    program = """
import sys
sys.modules["sentry_sdk.crons"] = None  # an import of it raises ImportError
import django
django.setup()
import imagesync.tasks
from imagesync.models import Audit
from imagesync.sentry import checked_in, errors_told
with errors_told(), checked_in(Audit(pk=1)):
    pass
assert "sentry_sdk" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
