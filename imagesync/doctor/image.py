"""Everything about one image: what S3 says of its key, what a browser gets, which records name it, what was known of
it, and what follows. Reads only, and marks nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imagesync.core.classify import classify_get, is_elsewhere
from imagesync.core.conclusion import Conclusion, conclude
from imagesync.core.image_facts import Facts, Found, Hidden
from imagesync.core.shell import shell_word
from imagesync.core.verdicts import Look, Reason, Verdict
from imagesync.doctor.handed_out import HandedOut, browse_site_url
from imagesync.doctor.questions import THERE, Near, Seen, Subject, ask
from imagesync.exceptions import NothingMatches
from imagesync.models import FailedRead, Finding, Tombstone
from imagesync.records import Record, Scope, Source, ordered_records
from imagesync.records.history import failed_reads_of, history_of, purge_of, purged_with
from imagesync.storage.contract import REGION_HEADER, KeyVersions, Store

MAX_HISTORY = 50


@dataclass(frozen=True, slots=True)
class Naming:
    """A record that names the key, with a verdict of its own: it may remember a size, or another store."""

    record: Record
    verdict: Verdict
    reason: str

    @property
    def is_outdated(self) -> bool:
        """Whether the record's own mark says something else than what was seen now."""
        known = {verdict.value for verdict in Verdict if verdict.is_known}
        return self.verdict.is_known and self.record.verdict in known - {self.verdict.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    source: Source
    key: str
    asked_as: str
    """``app.Model:pk`` when a record was asked for; empty when a key was."""
    seen: Seen
    url: HandedOut | None
    """None when the storage has no name for the key."""
    naming: tuple[Naming, ...]
    history: tuple[Finding, ...]
    """The latest first."""
    failed_reads: tuple[FailedRead, ...]
    purged: tuple[Tombstone, ...]
    verdict: Verdict
    reason: str
    conclusion: Conclusion

    @property
    def is_concerned(self) -> bool:
        """False when this store only says that it has nothing to do with the key."""
        return bool(self.naming or self.purged) or self.seen.look.verdict is not Verdict.MISSING


def debug_key(key: str, sources: list[Source]) -> list[ImageReport]:
    """Look a full key up in every store whose prefix fits; in all of them when none does."""
    fitting = [source for source in sources if source.store.name_for(key) is not None]
    reports = [_report_of_key(key, source) for source in fitting or sources]
    return [report for report in reports if report.is_concerned] or reports


def debug_record(scope: Scope, sources: list[Source]) -> list[ImageReport]:
    """Look up what each file field of one record names; ``scope.ids`` is that record. Raises NothingMatches."""
    reports = [
        _report_of_record(record, source)
        for source in sources
        for record in list(ordered_records(source, scope))
    ]
    if not reports:
        raise NothingMatches(" ".join(_nothing_named(model, pk) for model, pk in scope.ids))
    return reports


def _nothing_named(model: str, pk: str) -> str:
    purge, record = purge_of(model, pk), shell_word(f"{model}:{pk}", "RECORD")
    if purge is None:
        return f"There is no record {record} with a file on S3: there is nothing to look at."
    return f"The record {record} was purged: manage.py restore_purged {purge} --id {record} puts it back."


def _report_of_key(key: str, source: Source) -> ImageReport:
    seen = ask(Subject(key=key), source)
    naming = _judged(_naming(key, source), seen.look, source.store)
    verdict, reason = _verdict_of_key(seen.look, naming)
    return _report(source, key, seen, naming, verdict, reason)


def _report_of_record(record: Record, source: Source) -> ImageReport:
    subject = Subject(key=record.key, exact=record.exact, readable=record.readable)
    seen = ask(subject, source)
    sharing = _naming(record.key, source) if record.exact else []
    others = [one for one in sharing if (one.target.label, one.pk) != (record.target.label, record.pk)]
    naming = _judged([record, *others], seen.look, source.store)
    return _report(
        source, record.key, seen, naming, naming[0].verdict, naming[0].reason, asked_as=record.label
    )


def _naming(key: str, source: Source) -> list[Record]:
    return list(ordered_records(source, Scope(keys=(key,))))


def _judged(records: Iterable[Record], look: Look, store: Store) -> tuple[Naming, ...]:
    return tuple(Naming(record, *_judge(record, look, store)) for record in records)


def _judge(record: Record, look: Look, store: Store) -> tuple[Verdict, str]:
    if not record.readable:
        return Verdict.UNKNOWN, Reason.UNSENDABLE_KEY
    if not record.exact:
        return Verdict.AMBIGUOUS, Reason.NAME_REWRITTEN
    if look.verdict in THERE:
        return classify_get(look.evidence, record.expected)
    if is_elsewhere(look.verdict, last_seen_in=record.store, here=(store.identity.fingerprint,)):
        return Verdict.UNKNOWN, Reason.WRITTEN_ELSEWHERE
    return look.verdict, look.reason


def _verdict_of_key(look: Look, naming: tuple[Naming, ...]) -> tuple[Verdict, str]:
    """The object's, unless a record finds fault with what is there, or every record is about something else."""
    others = [one for one in naming if one.verdict is not look.verdict]
    if others and (look.verdict is Verdict.PRESENT or len(others) == len(naming)):
        return others[0].verdict, others[0].reason
    return look.verdict, look.reason


def _report(
    source: Source,
    key: str,
    seen: Seen,
    naming: tuple[Naming, ...],
    verdict: Verdict,
    reason: str,
    *,
    asked_as: str = "",
) -> ImageReport:
    records, fingerprint = [one.record for one in naming], source.store.identity.fingerprint
    place = source.store.identity.place
    bucket_region = seen.fit.bucket_region or seen.look.evidence.headers.get(REGION_HEADER, "")
    handed_out = browse_site_url(source, key, records, place=place, bucket_region=bucket_region)
    purged = tuple(purged_with(key, fingerprint=fingerprint))
    facts = Facts(
        place=place,
        key=key,
        verdict=verdict,
        reason=str(reason),
        answer=f"{seen.look.evidence.status or ''} {seen.look.evidence.code}".strip(),
        unfit=seen.fit.reasons[0] if seen.fit.reasons else None,
        records=tuple(record.label for record in records),
        outdated=tuple(one.record.label for one in naming if one.is_outdated),
        purged=tuple((tombstone.purge_id, tombstone.record_label) for tombstone in purged),
        found=_found(seen.near, source),
        hidden=_hidden(seen.versions),
        browsed=handed_out is not None,
        url_problem=handed_out.problem if handed_out else None,
    )
    return ImageReport(
        source=source,
        key=key,
        asked_as=asked_as,
        seen=seen,
        url=handed_out,
        naming=naming,
        history=tuple(history_of(key, records, fingerprint=fingerprint)[:MAX_HISTORY]),
        failed_reads=tuple(failed_reads_of(records)[:MAX_HISTORY]),
        purged=purged,
        verdict=verdict,
        reason=str(reason),
        conclusion=conclude(facts),
    )


def _found(near: tuple[Near, ...], source: Source) -> tuple[Found, ...]:
    """The near misses that are there; those that no record names first, for they may be this one's."""
    there = [one for one in near if one.look.verdict in THERE]
    return tuple(
        Found(key=one.miss.key, slip=one.miss.slip, name=source.name_of(one.miss.key), records=one.records)
        for one in sorted(there, key=lambda one: bool(one.records))
    )


def _hidden(versions: KeyVersions | None) -> Hidden:
    if versions is None:
        return Hidden()
    markers: list[str] = []
    for number, one in enumerate(versions.entries, 1):
        if not one.is_delete_marker:
            below = versions.entries[number:]
            return Hidden(
                told=versions.told,
                markers=tuple(markers),
                version=one.id or "?",
                more=versions.more,
                older=any(not other.is_delete_marker for other in below),
            )
        markers.append(one.id)
    return Hidden(told=versions.told, markers=tuple(markers), more=versions.more)
