"""One seam to whatever carries work out in the background: django-q2, Celery, ``django.tasks``, or a function of yours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router, transaction
from django.utils.module_loading import import_string

from imagesync.conf import app_settings
from imagesync.exceptions import InvalidRequest, NoQueue

GROUP = "imagesync"


def enqueue(function: str, /, **kwargs: Any) -> None:
    """Have ``function``, a dotted path of imagesync, called with ``kwargs`` by another process.

    It is sent when the transaction under way commits, and never when it is rolled back: with a broker that is not
    the database a worker could else look for rows that are not there yet. ``kwargs`` are what JSON can hold, and
    nothing secret: brokers store them. Deliveries may come twice or never; what is enqueued must be fit for that.

    ``IMAGESYNC["ENQUEUE"]`` is called as ``(function, **kwargs)`` when set, else django-q2 has it. Raises NoQueue at
    once when there is neither, and when the broker cannot be reached.
    """
    send = _sender()
    transaction.on_commit(lambda: _hand_over(send, function, kwargs))


def perform(function: str, kwargs: dict[str, Any]) -> Any:
    """What a task of your own queue does: call what ``enqueue`` was given. Nothing outside of imagesync is called.

    Raises InvalidRequest for another function, ImportError for one that this version does not have.
    """
    if not function.startswith("imagesync."):
        raise InvalidRequest(f"{function!r} is no function of imagesync, so it is not called.")
    return import_string(function)(**kwargs)


def keep_calling(name: str, function: str) -> None:
    """Have django-q2 call a function each minute. Another queue has a clock of its own (docs/distributed.md)."""
    if app_settings().enqueue or not apps.is_installed("django_q"):
        return
    from django_q.models import Schedule

    with transaction.atomic(using=router.db_for_write(Schedule)):
        # locked: whoever stops it meanwhile waits for what is written down together with this, and sees it
        ours = Schedule.objects.filter(name=name).select_for_update()
        if not ours.values_list("pk", flat=True).order_by("pk").first():
            Schedule.objects.create(
                name=name, func=function, schedule_type=Schedule.MINUTES, minutes=1, repeats=-1
            )


def stop_calling(name: str) -> None:
    if apps.is_installed("django_q"):
        from django_q.models import Schedule

        schedules = Schedule.objects.filter(name=name)
        if schedules.exists():
            schedules.delete()


def has_queue() -> bool:
    """Whether ``enqueue`` has anything to send to."""
    return bool(app_settings().enqueue) or apps.is_installed("django_q")


def _sender() -> Callable[..., Any]:
    own = app_settings().enqueue
    if own:
        try:
            found: Callable[..., Any] = import_string(own)
        except ImportError as error:
            raise ImproperlyConfigured(f"IMAGESYNC['ENQUEUE'] is {own!r}: {error}.") from error
        return found
    if apps.is_installed("django_q"):
        return _to_django_q
    raise NoQueue(
        "Nothing carries out work in the background here: install django-q2, or name a function of yours in "
        "IMAGESYNC['ENQUEUE'] (docs/schedule.md)."
    )


def _hand_over(send: Callable[..., Any], function: str, kwargs: dict[str, Any]) -> None:
    try:
        send(function, **kwargs)
    except DatabaseError:
        raise  # the broker is our own database, and whoever uses that knows what to do without it
    except Exception as error:
        why = str(error) or type(error).__name__
        broker = "IMAGESYNC['ENQUEUE']" if app_settings().enqueue else "Q_CLUSTER"
        raise NoQueue(f"{function} could not be enqueued: {why}. Check the broker of {broker}.") from error


def _to_django_q(function: str, /, **kwargs: Any) -> None:
    from django_q.tasks import async_task

    async_task(function, group=GROUP, **kwargs)
