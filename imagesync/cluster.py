"""Is anybody there to take work over? Asked of where django-q2's clusters report, never of S3."""

from __future__ import annotations

from datetime import timedelta

from django.apps import apps
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from imagesync.conf import app_settings

JUST = timedelta(minutes=2)
"""Who has worked within that time is taken to be there still."""
SEARCHED = 10_000
"""Of how many tasks that ended django-q2 may keep a record, for them to be looked through."""
OF_ONE_PROCESS = ("LocMemCache", "DummyCache")
"""Caches in which a process sees nothing of what another one wrote."""


def cluster_is_running() -> bool:
    """Whether a django-q2 cluster of this project reported within the last seconds.

    Clusters report to their broker: to Redis itself, with the database as broker to Django's cache. Where that is of one
    process, a cluster is seen by its work: a task that it took from the table, or ended, within the last minutes. What is
    behind ``IMAGESYNC["ENQUEUE"]`` cannot be asked, and is taken to be there.
    """
    if app_settings().enqueue:
        return True
    if not apps.is_installed("django_q"):
        return False
    from django_q.conf import Conf
    from django_q.status import Stat

    try:
        reported = Stat.get_all()
    except Exception:  # noqa: BLE001 - a broker's client may raise anything; a page is rendered all the same
        return False
    if any(one.status not in (Conf.STOPPING, Conf.STOPPED) for one in reported):
        return True
    return _reports_are_hidden() and _has_just_worked()


def _reports_are_hidden() -> bool:
    """Whether a cluster reports to a cache that other processes see nothing of."""
    from django_q.conf import Conf

    return bool(Conf.ORM) and _cache_of_reports() in OF_ONE_PROCESS


def _cache_of_reports() -> str:
    from django_q.conf import Conf

    backend: str = settings.CACHES.get(Conf.CACHE, {}).get("BACKEND", "")
    return backend.rpartition(".")[2]


def _has_just_worked() -> bool:
    from django_q.conf import Conf
    from django_q.models import OrmQ, Task

    since = timezone.now() - JUST
    # whoever takes a task locks it from then on for "retry" seconds (django_q/brokers/orm.py)
    taken = OrmQ.objects.using(Conf.ORM).filter(lock__gt=since + timedelta(seconds=Conf.RETRY))
    if taken.exists():
        return True
    # no index has it: a table that is kept for ever is not searched while a page is rendered
    return 0 < Conf.SAVE_LIMIT <= SEARCHED and bool(Task.objects.filter(stopped__gt=since).exists())


def why_no_cluster() -> str:
    """One or two sentences for who wanted something done in the background: what is in the way, what helps."""
    if not apps.is_installed("django_q"):
        return _("django-q2 is not installed, so nothing can be done in the background here.")
    if _reports_are_hidden():
        return _(
            "No running django-q2 cluster can be seen: with the database as its broker it reports through Django's "
            "cache, and %(backend)s is not shared between processes; and none has taken or ended a task within the "
            "last %(minutes)d minutes. Set CACHES to one that is shared."
        ) % {"backend": _cache_of_reports(), "minutes": JUST.seconds // 60}
    return _("No django-q2 cluster is running. manage.py qcluster starts one.")
