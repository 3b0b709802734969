"""Every question about one key that S3 is asked: is the store fit, HEAD, GET, versions, what lies beside it, and
each near miss. Reads only; whatever goes wrong is part of the answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from imagesync.core.classify import hides_versions
from imagesync.core.nearmiss import NearMiss, Slip, alike, near_misses
from imagesync.core.verdicts import Evidence, Look, Reason, Verdict
from imagesync.doctor.beside import Beside, look_beside
from imagesync.records import Scope, Source, ordered_records
from imagesync.storage.contract import KeyVersions, Store
from imagesync.storage.preflight import Preflight, preflight
from imagesync.storage.probe import confirm, look_all, utc_now

MAX_ALIKE = 5
THERE = (Verdict.PRESENT, Verdict.MISMATCHED, Verdict.ARCHIVED)
NO_ANSWER = frozenset({"unreachable", "timed_out", "no_credentials", "client_settings"})
"""Diagnoses of a store of which each further question would only be waited for in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked for."""

    key: str
    exact: bool = True
    """False for a stored name that the storage would rewrite: then no one key is its object's."""
    readable: bool = True
    """False for a stored name that is no text."""


@dataclass(frozen=True, slots=True)
class Near:
    """A near miss that was asked for."""

    miss: NearMiss
    look: Look
    records: tuple[str, ...]
    """Labels of the records that name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    fit: Preflight
    look: Look
    """By a ranged GET, ``unknown`` when the store cannot be believed; no operation: nothing was asked."""
    head: Evidence | None = None
    versions: KeyVersions | None = None
    beside: Beside | None = None
    near: tuple[Near, ...] = ()
    requests: Mapping[str, int]


def ask(subject: Subject, source: Source) -> Seen:
    """Ask what can be asked. Of an unfit store only HEAD and GET, for what their answers show of the fault."""
    store, before = source.store, source.store.requests
    fit = preflight(store)
    look = _look(subject, store, fit)
    head = None
    if look.evidence.operation:
        head = replace(store.head(subject.key), store=store.identity.fingerprint, at=utc_now())
        if look.verdict is Verdict.MISSING and hides_versions(head):  # GET may keep the marker to itself
            look = replace(look, verdict=Verdict.RECOVERABLE)
    if not fit.fit or look.reason == Reason.UNSENDABLE_KEY:
        return Seen(fit=fit, look=look, head=head, requests=store.requests - before)
    versions = store.list_versions(subject.key)
    beside = look_beside(store, subject.key)
    near = tuple(_near(subject, source, beside, versioning=fit.versioning))
    if look.verdict in (Verdict.MISSING, Verdict.RECOVERABLE) and not preflight(store).fit:
        look = replace(look, verdict=Verdict.UNKNOWN, reason=Reason.STORE_UNFIT_AFTERWARDS)
    return Seen(
        fit=fit,
        look=look,
        head=head,
        versions=versions,
        beside=beside,
        near=near,
        requests=store.requests - before,
    )


def _look(subject: Subject, store: Store, fit: Preflight) -> Look:
    if not subject.readable:
        return _not_asked(subject, Verdict.UNKNOWN, Reason.UNSENDABLE_KEY)
    if not subject.exact:
        return _not_asked(subject, Verdict.AMBIGUOUS, Reason.NAME_REWRITTEN)
    if not fit.fit and fit.reasons[0].id in NO_ANSWER:
        return _not_asked(subject, Verdict.UNKNOWN, fit.reasons[0].id)
    look = confirm(store, subject.key, versioning=fit.versioning)
    return look if fit.fit else replace(look, verdict=Verdict.UNKNOWN, reason=fit.reasons[0].id)


def _not_asked(subject: Subject, verdict: Verdict, reason: str) -> Look:
    return Look(key=subject.key, verdict=verdict, reason=reason, evidence=Evidence(operation=""))


def _near(subject: Subject, source: Source, beside: Beside, *, versioning: str) -> Iterator[Near]:
    misses = _misses(subject, source.store.identity.prefix, beside)
    named: dict[str, list[str]] = defaultdict(list)
    for record in ordered_records(source, Scope(keys=tuple(misses))):
        named[record.key].append(record.label)
    wanted = ((miss, key, None) for key, miss in misses.items())
    looks = look_all(source.store, wanted, how=confirm, versioning=versioning, workers=source.workers)
    for miss, look in looks:
        yield Near(miss, look, tuple(named[miss.key]))


def _misses(subject: Subject, prefix: str, beside: Beside) -> dict[str, NearMiss]:
    found = {miss.key: miss for miss in near_misses(subject.key, prefix)}
    for miss in list(alike(subject.key, (one.key for one in beside.seen)))[:MAX_ALIKE]:
        found.setdefault(miss.key, miss)
    if not subject.exact:  # the name as it is stored: another client may have put the object there
        found.setdefault(subject.key, NearMiss(subject.key, Slip.SLASHES))
    return found
