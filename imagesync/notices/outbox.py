"""Send what was decided: each notice by one process at a time, again after a failure, later each time."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.enqueue import enqueue, has_queue
from imagesync.exceptions import ImageSyncError
from imagesync.models import Notice
from imagesync.models.leases import new_owner
from imagesync.notices.channels import channel
from imagesync.notices.message import Message, trial_document
from imagesync.records import find_sources

logger = logging.getLogger("imagesync.notices")

SENDING = timedelta(minutes=5)
"""A process that has not noted an end by then is taken for dead, and the notice is sent again."""
WAITS = (1, 5, 15, 60, 240)
"""Minutes after the first failure, the second, ...; the last one holds for all that follow."""
GIVEN_UP_AFTER = timedelta(days=3)


def due_notices(*, now: datetime | None = None) -> QuerySet[Notice]:
    """What is to be sent now, the oldest first."""
    return Notice.objects.filter(_due(now)).order_by("pk")


def deliver(notice: int, *, now: datetime | None = None) -> str:
    """Send one notice, unless somebody else sends it or did. Returns its state; empty when it was not ours."""
    owner = new_owner()
    ours = Notice.objects.filter(_due(now), pk=notice).update(
        state=Notice.State.RUNNING, lease_owner=owner, lease_until=Now() + SENDING, attempts=F("attempts") + 1
    )
    if not ours:
        return ""
    claimed = Notice.objects.get(pk=notice)
    failure = _send(claimed.channel, Message(claimed.document))
    values = _outcome(claimed, failure, now)
    Notice.objects.filter(pk=notice, lease_owner=owner).update(
        failure=failure, lease_owner="", lease_until=None, **values
    )
    _log(claimed, values["state"], failure)
    return str(values["state"])


def send_due() -> int:
    """Have everything sent that is due, by whoever works in the background, else here. Returns how many there were."""
    due = list(due_notices().values_list("pk", flat=True))
    for notice in due:  # each by itself: a channel that hangs holds up no other
        if has_queue():
            enqueue("imagesync.tasks.tell", notice=notice)
        else:
            deliver(notice)
    return len(due)


def send_test() -> dict[str, str]:
    """Send a test message through each channel, at once. Channel -> why it could not; empty when it could."""
    store = find_sources()[0].store.identity.to_dict()
    message = Message(trial_document(store, at=timezone.now()))
    return {name: _send(name, message) for name in app_settings().notify.channels}


def _due(now: datetime | None) -> Q:
    """By the database's clock: those of two machines may be an hour apart."""
    waiting = Q(state=Notice.State.WAITING, due_at__lte=now or Now())
    return waiting | Q(state=Notice.State.RUNNING, lease_until__lt=Now())


def _send(name: str, message: Message) -> str:
    """Why it could not be sent; empty when it was. Of an exception that is not ours never the text: it may hold a secret."""
    if name not in app_settings().notify.channels:
        return "the settings do not name this channel any more"
    try:
        channel(name)(message)
    except HTTPError as error:
        return f"HTTP {error.code}"
    except ImageSyncError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a channel may be anything, and raise anything
        frames = traceback.extract_tb(error.__traceback__)
        return f"{type(error).__name__} in {Path(frames[-1].filename).name}, line {frames[-1].lineno}"[:255]
    return ""


def _outcome(notice: Notice, failure: str, now: datetime | None) -> dict[str, object]:
    if not failure:
        return {"state": Notice.State.SENT, "sent_at": timezone.now()}
    is_set = notice.channel in app_settings().notify.channels
    if not is_set or (now or timezone.now()) - notice.created_at > GIVEN_UP_AFTER:
        return {"state": Notice.State.GIVEN_UP}
    wait = timedelta(minutes=WAITS[min(notice.attempts, len(WAITS)) - 1])
    return {"state": Notice.State.WAITING, "due_at": (now or Now()) + wait}


def _log(notice: Notice, state: object, failure: str) -> None:
    facts = {"notice": notice.pk, "audit": notice.document["audit"]}
    if state == Notice.State.SENT:
        logger.info(
            "notice %s by %s: sent", notice.pk, notice.channel, extra=facts | {"event": "notice_sent"}
        )
        return
    logger.warning(
        "notice %s by %s: %s, %s",
        notice.pk,
        notice.channel,
        state,
        failure,
        extra=facts | {"event": "notice_failed"},
    )
