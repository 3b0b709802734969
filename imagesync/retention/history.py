"""What may go, as querysets: each says what is over, for how long, and that nothing which stays rests on it.

The same querysets are counted for the plan and asked again in the transaction that removes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Case, Exists, F, ManyToOneRel, Model, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from imagesync.conf import app_settings
from imagesync.core.retention import AuditNote, audits_that_stay
from imagesync.core.trust import STORE_CHANGED
from imagesync.models import (
    Audit,
    AuditRange,
    Finding,
    Job,
    JobRecord,
    Notice,
    Purge,
    SetAsideMessage,
    Tombstone,
)
from imagesync.records import Scope

OVER = (Job.State.DONE, Job.State.FAILED)


@dataclass(frozen=True)
class History:
    """What is over at ``now``, by the settings. One query, for the audits; the rest is asked when it is needed."""

    now: datetime
    notes: tuple[AuditNote, ...] = field(repr=False)

    @classmethod
    def read(cls, now: datetime) -> History:
        return cls(now, tuple(_notes()))

    @cached_property
    def staying(self) -> dict[int, str]:
        """Audits that stay whatever their age -> why."""
        return audits_that_stay(self.notes)

    @cached_property
    def old_audits(self) -> list[int]:
        """Past their time, and not among those that stay. Whether findings or purges still name them is not asked yet."""
        before = self._before("audits")
        if before is None:
            return []
        return [note.pk for note in self.notes if note.ended_at < before and note.pk not in self.staying]

    def tombstones(self) -> QuerySet[Tombstone]:
        """Those that can be restored, of purges that ended long enough ago: they go together."""
        rows = Tombstone.objects.filter(restored_at=None)
        before = self._before("tombstones")
        return rows.none() if before is None else rows.filter(purge__in=self._ended_purges(before))

    def restored_copies(self) -> QuerySet[Tombstone]:
        """Of records that were put back long ago. Only the copy goes: no schedule may purge such a record again."""
        before = self._before("tombstones")
        rows = Tombstone.objects.exclude(rows="")
        return rows.none() if before is None else rows.filter(restored_at__lt=before)

    def selections(self) -> QuerySet[JobRecord]:
        before = self._before("selections")
        rows = JobRecord.objects.all()
        return rows.none() if before is None else rows.filter(job__in=self._over_jobs(before))

    def jobs(self) -> QuerySet[Job]:
        before = self._before("jobs")
        return Job.objects.none() if before is None else self._over_jobs(before)

    def notices(self) -> QuerySet[Notice]:
        before = self._before("notices")
        rows = Notice.objects.filter(state__in=(Notice.State.SENT, Notice.State.GIVEN_UP))
        return rows.none() if before is None else rows.filter(created_at__lt=before)

    def set_aside(self) -> QuerySet[SetAsideMessage]:
        before = self._before("set_aside")
        rows = SetAsideMessage.objects.all()
        return rows.none() if before is None else rows.filter(set_aside_at__lt=before)

    def purges(self) -> QuerySet[Purge]:
        """Those of which nothing is left to restore, or to remember as restored, and that no job names."""
        before = self._before("purges")
        if before is None:
            return Purge.objects.none()
        buried = Tombstone.objects.filter(purge=OuterRef("pk"))
        bury_for = self._before("tombstones")
        empty = ~Exists(buried) if bury_for is None else ~Exists(buried) | Q(ended__lt=bury_for)
        return self._ended_purges(before).filter(
            empty, ~Exists(buried.exclude(restored_at=None)), ~_named_by(Job, "purge", but=self.jobs())
        )

    def findings(self) -> QuerySet[Finding]:
        """Closed ones, but none of since the last audit of everything began: a purge may yet rest on it."""
        past = self._past_findings()
        return Finding.objects.none() if past is None else Finding.objects.filter(past)

    def audits(self) -> QuerySet[Audit]:
        """The old ones that no finding, purge or job which stays names."""
        if not self.old_audits:
            return Audit.objects.none()
        rows = Audit.objects.filter(pk__in=self.old_audits).exclude(state=Audit.State.RUNNING)
        for relation in Audit._meta.get_fields(include_hidden=True):
            if isinstance(relation, ManyToOneRel) and relation.related_model is not AuditRange:
                rows = rows.filter(~self._staying_that_name(relation.related_model, relation.field.name))
        return rows

    def _staying_that_name(self, model: Any, field: str) -> Exists:
        if model is Finding:
            # what an audit that was given up had written down counts for nothing
            staying = Finding.objects.filter(settled=True)
            past = self._past_findings()
            staying = staying if past is None else staying.filter(~past)
            return Exists(staying.filter(**{field: OuterRef("pk")}))
        goes_too: Mapping[Any, QuerySet[Any]] = {Purge: self.purges(), Job: self.jobs()}
        return _named_by(model, field, but=goes_too.get(model))

    def _past_findings(self) -> Q | None:
        before = self._before("findings")
        if before is None:
            return None
        past = Q(settled=True, closed_at__lt=before)
        for fingerprint, since in self._last_began().items():
            if since < before:
                past &= ~Q(fingerprint=fingerprint, closed_at__gte=since)
        return past

    def _before(self, kind: str) -> datetime | None:
        """Older than this is past its time; None when it is kept for ever.

        What a purge may rest on today is never past its time, whatever the setting says.
        """
        settings = app_settings()
        kept = getattr(settings.retention, kind)
        rested_on = settings.audit_max_age + settings.ripen + (settings.freshness or timedelta(0))
        return None if kept is None else self.now - max(kept, rested_on)

    def _ended_purges(self, before: datetime) -> QuerySet[Purge]:
        ended = Coalesce("finished_at", "started_at", "planned_at")
        alive = Q(state=Purge.State.RUNNING, lease_until__gte=self.now)
        return Purge.objects.alias(ended=ended).filter(~alive, ended__lt=before).order_by()

    def _over_jobs(self, before: datetime) -> QuerySet[Job]:
        ended = Coalesce("finished_at", "created_at")
        return Job.objects.alias(ended=ended).filter(state__in=OVER, ended__lt=before).order_by()

    def _last_began(self) -> dict[str, datetime]:
        whole = [note for note in self.notes if note.full_scope and note.state == Audit.State.FINISHED]
        return {note.fingerprint: note.began_at for note in sorted(whole, key=lambda note: note.pk)}


def _named_by(model: type[Model], field: str, *, but: QuerySet[Any] | None) -> Exists:
    """Whether a row names this one, apart from those that go too."""
    rows: QuerySet[Any] = model._base_manager.filter(**{field: OuterRef("pk")})
    return Exists(rows if but is None else rows.exclude(pk__in=but.values("pk")))


def _notes() -> list[AuditNote]:
    has_canaries = Case(When(canaries=[], then=Value(False)), default=Value(True))
    rows: Any = Audit.objects.order_by().values(
        "pk",
        "fingerprint",
        "alias",
        "fields",
        "scope_key",
        "full_scope",
        "state",
        "trust",
        "reasons",
        "saw_all_objects",
        "scope__fields",
        "scope__prefix",
        "scope__adopt",
        began_at=F("started_at"),
        ended_at=Coalesce("finished_at", "started_at"),
        has_canaries=has_canaries,
    )
    return [_note(row) for row in rows.iterator(chunk_size=2000)]


def _note(row: dict[str, Any]) -> AuditNote:
    reasons: Collection[Mapping[str, str]] = row.pop("reasons")
    fields, prefix, adopt = row.pop("scope__fields"), row.pop("scope__prefix"), row.pop("scope__adopt")
    stretch = Scope(fields=tuple(fields or ()), prefix=prefix or "", adopt=tuple(adopt or ()))
    return AuditNote(
        **row | {"fields": tuple(row["fields"])},
        is_repeated=row["scope_key"] == stretch.hash,
        store_changed=any(reason["id"] == STORE_CHANGED for reason in reasons),
    )
