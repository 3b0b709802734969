"""Whether a django-q2 cluster is there: what it reports, where that can be seen, and what is said when it cannot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Task
from django_q.signing import SignedPackage
from django_q.status import Stat, Status

from imagesync.cluster import cluster_is_running, why_no_cluster

pytestmark = pytest.mark.django_db  # the broker of the tests is the database


@pytest.fixture(autouse=True)
def nothing_reported() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def report(status: Any) -> None:
    """As a cluster's sentinel does, every half second."""
    one = Status(pid=1, cluster_id="test")
    one.status = status
    get_broker().set_stat(Stat.get_key("test"), SignedPackage.dumps(one, True), 3)


@pytest.mark.parametrize(
    ("status", "runs"),
    [
        (Conf.STARTING, True),
        (Conf.IDLE, True),
        (Conf.WORKING, True),
        (Conf.STOPPING, False),
        (Conf.STOPPED, False),
    ],
)
def test_cluster__runs_while_it_reports_that_it_does(status: Any, runs: bool) -> None:
    assert not cluster_is_running()

    report(status)

    assert cluster_is_running() is runs


SHARED = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/x"}}


@pytest.mark.parametrize(("seconds", "is_seen"), [(10, True), (600, False)])
def test_cluster__whose_reports_nobody_sees_is_seen_by_a_task_that_it_took(
    seconds: int, is_seen: bool
) -> None:
    """django-q2's own broker takes it, so that this holds as long as it locks what it takes as it does now."""
    get_broker().enqueue("a task")
    assert not cluster_is_running(), "queued is not taken"
    time.sleep(0.01)  # what was queued this very instant is not handed out yet

    assert get_broker().dequeue()

    OrmQ.objects.update(lock=F("lock") - timedelta(seconds=seconds))
    assert cluster_is_running() is is_seen
    with override_settings(CACHES=SHARED):
        assert not cluster_is_running(), "there it would report"


@pytest.mark.parametrize(("seconds", "is_seen"), [(10, True), (600, False)])
def test_cluster__whose_reports_nobody_sees_is_seen_by_a_task_that_it_ended(
    seconds: int, is_seen: bool
) -> None:
    ended = timezone.now() - timedelta(seconds=seconds)
    Task.objects.create(id="a", name="a", func="f", started=ended, stopped=ended, success=True)

    assert cluster_is_running() is is_seen


def test_cluster__a_broker_that_cannot_be_asked_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> list[Status]:
        raise ConnectionError("redis is gone")

    report(Conf.IDLE)
    monkeypatch.setattr(Stat, "get_all", staticmethod(fails))

    assert not cluster_is_running()


def test_cluster__without_django_q_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    report(Conf.IDLE)
    installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "django_q" and installed(name))

    assert not cluster_is_running()
    assert "not installed" in why_no_cluster()


def test_why__names_the_cache_that_nobody_else_sees() -> None:
    assert "LocMemCache is not shared between processes" in why_no_cluster()

    with override_settings(CACHES=SHARED):
        assert "manage.py qcluster starts one" in why_no_cluster()
