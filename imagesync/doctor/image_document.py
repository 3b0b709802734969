"""One image as a document: the JSON contract ``imagesync.image/1``, and what the text shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from imagesync.core.nearmiss import SENTENCES
from imagesync.doctor.beside import Beside
from imagesync.doctor.image import ImageReport, Naming
from imagesync.doctor.questions import Near
from imagesync.models import FailedRead, Finding, Tombstone
from imagesync.storage.contents import ListedObject
from imagesync.storage.contract import KeyVersions
from imagesync.storage.preflight import Preflight

SCHEMA = "imagesync.image/1"


def image_document(report: ImageReport) -> dict[str, Any]:
    seen, look = report.seen, report.seen.look
    return {
        "schema": SCHEMA,
        "key": report.key,
        "record": report.asked_as or None,
        "store": report.source.store.identity.to_dict(),
        "verdict": report.verdict.value,
        "reason": report.reason,
        "conclusion": report.conclusion.to_dict(),
        "preflight": _preflight(seen.fit),
        "head": seen.head.to_dict() if seen.head else None,
        "get": look.evidence.to_dict() if look.evidence.operation else None,
        "versions": _versions(seen.versions) if seen.versions else None,
        "beside": _beside(seen.beside, report.key) if seen.beside else None,
        "near_misses": [_near(one) for one in seen.near],
        "url": report.url.to_dict() if report.url else None,
        "records": [_naming(one) for one in report.naming],
        "history": [_finding(one) for one in report.history],
        "failed_reads": [_failed_read(one) for one in report.failed_reads],
        "purged": [_tombstone(one) for one in report.purged],
        "requests": {"HEAD": 0, "GET": 0, "LIST": 0, **seen.requests},
    }


def _preflight(fit: Preflight) -> dict[str, Any]:
    return {
        "fit": fit.fit,
        "reasons": [reason.to_dict() for reason in fit.reasons],
        "versioning": fit.versioning,
        "bucket_region": fit.bucket_region,
    }


def _versions(versions: KeyVersions) -> dict[str, Any]:
    return {
        "told": versions.told,
        "entries": [one.to_dict() for one in versions.entries],
        "more": versions.more,
        "evidence": versions.evidence.to_dict(),
    }


def _beside(beside: Beside, key: str) -> dict[str, Any]:
    return {
        "directory": beside.directory,
        "objects": [_listed(one) for one in beside.around(key)],
        "listed": beside.lists(key),
        "complete": beside.complete,
        "failure": beside.failure,
    }


def _listed(one: ListedObject) -> dict[str, Any]:
    return {
        "key": one.key,
        "size_bytes": one.size_bytes,
        "etag": one.etag,
        "storage_class": one.storage_class,
    }


def _near(near: Near) -> dict[str, Any]:
    return {
        "key": near.miss.key,
        "slip": near.miss.slip.value,
        "what": SENTENCES[near.miss.slip],
        "verdict": near.look.verdict.value,
        "reason": str(near.look.reason),
        "evidence": near.look.evidence.to_dict(),
        "records": list(near.records),
    }


def _naming(naming: Naming) -> dict[str, Any]:
    record = naming.record
    return {
        "record": record.label,
        "field": record.target.field.name,
        "name": record.name,
        "exact": record.exact,
        "verdict": naming.verdict.value,
        "reason": str(naming.reason),
        "remembers": {
            "verdict": record.verdict,
            "store": record.store,
            "size_bytes": record.expected.size_bytes if record.expected else None,
            "etag": record.expected.etag if record.expected else "",
        },
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "record": finding.record_label,
        "field": finding.field,
        "key": finding.key,
        "store": finding.fingerprint,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "opened_at": _instant(finding.opened_at),
        "opened_by": finding.opened_by_id,
        "closed_at": _instant(finding.closed_at),
        "closed_by": finding.closed_by_id,
        "evidence": finding.last_evidence,
    }


def _failed_read(failed: FailedRead) -> dict[str, Any]:
    return {
        "record": failed.record_label,
        "field": failed.field,
        "key": failed.key,
        "code": failed.code,
        "times": failed.times,
        "first_at": _instant(failed.first_at),
        "last_at": _instant(failed.last_at),
    }


def _tombstone(tombstone: Tombstone) -> dict[str, Any]:
    return {
        "record": tombstone.record_label,
        "field": tombstone.field,
        "purge": tombstone.purge_id,
        "action": tombstone.action,
        "purged_at": _instant(tombstone.purged_at),
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
