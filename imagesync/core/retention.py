"""How long history is kept, and which audits stay however old they are, because something still rests on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagesync.core.trust import BELIEVED, Trust

COMPARED = 2
"""So many believed audits of everything stay: the last one, and the one that tells what changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long each kind of history is kept after it is over; None is for ever."""

    audits: timedelta | None = timedelta(days=90)
    """An audit, unless something rests on it."""
    findings: timedelta | None = timedelta(days=365)
    """A finding that is closed. An open one is never removed."""
    tombstones: timedelta | None = timedelta(days=365)
    """What a purge can be undone from."""
    purges: timedelta | None = timedelta(days=365)
    """A purge of which nothing can be restored any more, and a plan that nobody executed."""
    jobs: timedelta | None = timedelta(days=90)
    """A job of the admin that is over."""
    selections: timedelta | None = timedelta(days=7)
    """Which records a job that is over was asked for."""
    notices: timedelta | None = timedelta(days=90)
    """A message that was sent, or given up."""
    set_aside: timedelta | None = timedelta(days=365)
    """A message of the queue of events that nobody could read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What is asked of an audit before it is removed."""

    pk: int
    fingerprint: str
    alias: str
    fields: tuple[str, ...] = ()
    """That it covered, as far as that is known."""
    scope_key: str
    full_scope: bool
    is_repeated: bool
    """Whether its scope is one that is audited again and again, unlike single records that somebody named."""
    state: str
    trust: str
    began_at: datetime
    ended_at: datetime
    """When it finished, or began if it did not."""
    has_canaries: bool
    saw_all_objects: bool
    store_changed: bool
    """Whether it said that the storage names another store than before."""

    @property
    def can_go_on(self) -> bool:
        """Whether it is under way, or somebody may resume it."""
        return self.state not in ("finished", "cancelled")


def audits_that_stay(audits: Iterable[AuditNote]) -> dict[int, str]:
    """Audit -> what rests on it, for those that later audits and purges look at, whatever their age."""
    newest_first = sorted(audits, key=lambda audit: audit.pk, reverse=True)
    stay: dict[int, str] = {}
    for pk, why in (
        *_under_way(newest_first),
        *_in_front_of_unfinished(newest_first),
        *_newest(newest_first),
        *_compared(newest_first),
        *_looked_back_at(newest_first),
    ):
        stay.setdefault(pk, why)
    return stay


def _under_way(audits: Sequence[AuditNote]) -> Iterator[tuple[int, str]]:
    finished_later: set[tuple[str, str]] = set()
    for audit in audits:
        same = (audit.fingerprint, audit.scope_key)
        if audit.state == "finished":
            finished_later.add(same)
        elif audit.state == "running":
            yield audit.pk, "it is under way"
        elif audit.can_go_on and (audit.full_scope or audit.is_repeated) and same not in finished_later:
            yield audit.pk, "it can be resumed"


def _in_front_of_unfinished(audits: Sequence[AuditNote]) -> Iterator[tuple[int, str]]:
    """Without the newest of a scope, one before it that was given up would be taken for the newest and resumed."""
    newest: dict[tuple[str, str], int] = {}
    for audit in audits:
        first = newest.setdefault((audit.fingerprint, audit.scope_key), audit.pk)
        if audit.can_go_on:
            yield first, "one of its scope before it was not finished"


def _newest(audits: Sequence[AuditNote]) -> Iterator[tuple[int, str]]:
    """Of each store the last audit of any kind, and of each scope what is asked for by name."""
    seen: set[tuple[str, ...]] = set()

    def is_first(*what: str) -> bool:
        new = what not in seen
        seen.add(what)
        return new

    for audit in audits:
        store, scope = audit.fingerprint, audit.scope_key
        if is_first("store", store):
            yield audit.pk, "it is the last of its store"
        if audit.full_scope and is_first("begun", store):
            yield audit.pk, "it is the last of everything that was begun"
        if audit.state != "finished" or not (audit.full_scope or audit.is_repeated):
            continue
        if audit.full_scope and is_first("whole", store):
            yield audit.pk, "purges rest on it: it is the last of everything"
        if audit.trust == Trust.TRUSTWORTHY and is_first("trustworthy", store, scope):
            yield audit.pk, "it is the last trustworthy one of its store and scope"
        if audit.saw_all_objects and is_first("objects", store, scope):
            yield audit.pk, "it tells how many objects there are"


def _compared(audits: Sequence[AuditNote]) -> Iterator[tuple[int, str]]:
    numbers: dict[str, int] = {}
    for audit in audits:
        number = numbers.get(audit.fingerprint, 0)
        if audit.full_scope and _is_believed(audit) and number < COMPARED:
            numbers[audit.fingerprint] = number + 1
            yield audit.pk, "the next one is compared with it"


def _looked_back_at(audits: Sequence[AuditNote]) -> Iterator[tuple[int, str]]:
    """Canaries, of a field in the same store or elsewhere, or else of the same store or storage; and in which store a field
    was before, or which one a storage named."""
    seen: set[tuple[str, ...]] = set()
    for audit in audits:
        if not _is_believed(audit):
            continue
        names: list[tuple[str, ...]] = []
        if audit.has_canaries:
            names += [("canaries of store", audit.fingerprint), ("canaries of storage", audit.alias)]
            names += [("canaries of field", field) for field in audit.fields]
            names += [("canaries of field", field, audit.fingerprint) for field in audit.fields]
        if not audit.store_changed:
            names.append(("store named by storage", audit.alias))
            names += [("store of field", field) for field in audit.fields]
        if not seen.issuperset(names):
            yield audit.pk, "its canaries, or its store, are what the next one looks at first"
        seen.update(names)


def _is_believed(audit: AuditNote) -> bool:
    return audit.state == "finished" and audit.trust in BELIEVED
