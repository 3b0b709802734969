"""What people do not know yet becomes notices: in one commit with what they know then, so that it is decided once."""

from __future__ import annotations

from datetime import datetime

from django.db import router, transaction
from django.db.models.functions import Now
from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.core.news import Told, news_of
from imagesync.core.notifying import NotifySettings
from imagesync.models import Notice, ToldStore
from imagesync.notices.message import notice_document
from imagesync.notices.standing import AuditedStore, audited_stores
from imagesync.records.targets import fields_by_alias


def decide(*, now: datetime | None = None) -> list[Notice]:
    """Write down what is to be told of each store, a notice for each channel. With nothing to tell: two queries."""
    notify = app_settings().notify
    if not notify.channels:
        return []
    known = {one.fingerprint: one for one in ToldStore.objects.all()}
    found: list[Notice] = []
    for store in audited_stores(fields_by_alias()):
        told = known.get(store.newest.fingerprint) or ToldStore(fingerprint=store.newest.fingerprint)
        found += _decide(store, told, notify, now)
    return found


def _decide(
    store: AuditedStore, told: ToldStore, notify: NotifySettings, at: datetime | None
) -> list[Notice]:
    now = at or timezone.now()
    before = Told.from_dict(told.state)
    # a store that is kept fresh by slices has one of them looked at within that time, at the latest
    overdue_after = max(notify.overdue_after, app_settings().freshness or notify.overdue_after)
    standing = store.standing(now, overdue_after=overdue_after, counted=before.look)
    news, after = news_of(before, standing, threshold=notify.threshold)
    if after == before:
        return []
    if told.pk is None:
        told.pk = ToldStore.objects.get_or_create(fingerprint=told.fingerprint)[0].pk
    with transaction.atomic(using=router.db_for_write(Notice)):
        if not _take(told, after):
            return []  # another process decides about this very store; what is left, it or the next one tells
        if not news:
            return []
        document = notice_document(store, news, at=now, base_url=notify.base_url)
        notices = [
            Notice(
                store=told,
                change=told.version,
                channel=channel,
                document=document,
                due_at=at or Now(),
                created_at=now,
            )
            for channel in notify.channels
        ]
        return Notice.objects.bulk_create(notices)


def _take(told: ToldStore, after: Told) -> bool:
    """Compare and set: of any number of processes that decide at once, one goes on."""
    mine = ToldStore.objects.filter(pk=told.pk, version=told.version)
    return bool(mine.update(version=told.version + 1, state=after.to_dict()))
