"""Is anybody there to take work over? Asked of where django-q2's clusters report, never of S3."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.utils.translation import gettext as _

from imagesync.conf import app_settings

OF_ONE_PROCESS = ("LocMemCache", "DummyCache")
"""Caches in which a process sees nothing of what another one wrote."""


def cluster_is_running() -> bool:
    """Whether a django-q2 cluster of this project reported within the last seconds.

    Clusters report to their broker: to Redis itself, with the database as broker to Django's cache. What is behind
    ``IMAGESYNC["ENQUEUE"]`` cannot be asked, and is taken to be there.
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
    return any(one.status not in (Conf.STOPPING, Conf.STOPPED) for one in reported)


def why_no_cluster() -> str:
    """One or two sentences for who wanted something done in the background: what is in the way, what helps."""
    if not apps.is_installed("django_q"):
        return _("django-q2 is not installed, so nothing can be done in the background here.")
    from django_q.conf import Conf

    backend = settings.CACHES.get(Conf.CACHE, {}).get("BACKEND", "").rpartition(".")[2]
    if Conf.ORM and backend in OF_ONE_PROCESS:
        return _(
            "No running django-q2 cluster can be seen: with the database as its broker it reports through "
            "Django's cache, and %(backend)s is not shared between processes. Set CACHES to one that is."
        ) % {"backend": backend}
    return _("No django-q2 cluster is running. manage.py qcluster starts one.")
