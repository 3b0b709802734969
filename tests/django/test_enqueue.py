"""The seam to the background: sent after commit, to django-q2 or to a function of the site's."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import override_settings
from django_q.models import OrmQ

from imagesync.cluster import cluster_is_running
from imagesync.enqueue import enqueue, perform
from imagesync.exceptions import InvalidRequest, NoQueue

pytestmark = pytest.mark.django_db(transaction=True)

SENT: list[tuple[str, dict[str, Any]]] = []
OWN = {"ENQUEUE": f"{__name__}.queue_of_the_site"}


def queue_of_the_site(function: str, /, **kwargs: Any) -> None:
    SENT.append((function, kwargs))


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    SENT.clear()


def without_django_q(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "django_q" and installed(name))


def test_enqueue__goes_to_django_q_with_every_argument_its_own() -> None:
    enqueue("imagesync.tasks.work_off", job=7, function="also a name")

    [queued] = OrmQ.objects.all()
    assert queued.task["func"] == "imagesync.tasks.work_off"
    assert queued.task["kwargs"] == {"job": 7, "function": "also a name"}
    assert queued.task["group"] == "imagesync"


def test_enqueue__sends_at_commit_and_never_after_a_rollback() -> None:
    with override_settings(IMAGESYNC=OWN):
        with transaction.atomic():
            enqueue("imagesync.tasks.work_off", job=1)
            assert SENT == []
        with transaction.atomic():
            enqueue("imagesync.tasks.work_off", job=2)
            transaction.set_rollback(True)

    assert SENT == [("imagesync.tasks.work_off", {"job": 1})]
    assert not OrmQ.objects.exists()


def test_enqueue__a_queue_of_the_site_needs_no_django_q(monkeypatch: pytest.MonkeyPatch) -> None:
    without_django_q(monkeypatch)
    with override_settings(IMAGESYNC=OWN):
        enqueue("imagesync.tasks.check_images")

        assert cluster_is_running()  # whether anybody works behind it cannot be asked
    assert SENT == [("imagesync.tasks.check_images", {})]


def test_enqueue__without_a_queue_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    without_django_q(monkeypatch)

    with pytest.raises(NoQueue, match="install django-q2, or name a function of yours"):
        enqueue("imagesync.tasks.check_images")


def test_enqueue__a_setting_that_names_nothing_is_told() -> None:
    wrong = override_settings(IMAGESYNC={"ENQUEUE": "site.no_such_module.enqueue"})
    with wrong, pytest.raises(ImproperlyConfigured, match=r"IMAGESYNC\['ENQUEUE'\] is 'site.no_such_module"):
        enqueue("imagesync.tasks.check_images")


def test_perform__calls_imagesync_and_nothing_else() -> None:
    assert perform("imagesync.core.values.parse_ratio", {"value": "10%"}) == 0.1

    with pytest.raises(InvalidRequest):
        perform("os.system", {"command": "true"})
    with pytest.raises(ImportError):
        perform("imagesync.tasks.of_a_later_version", {})
