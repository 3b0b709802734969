"""What an audit found of records that are other ones by now: asked when it is settled, with their rows locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from imagesync.core.classify import classify_there
from imagesync.core.verdicts import Evidence, Expected, Reason, Verdict
from imagesync.models import Finding
from imagesync.records import Target

Row = tuple[Target, Any]
"""A field, and the primary key of a record."""

_DIFFERS = (Reason.SIZE_DIFFERS, Reason.ETAG_DIFFERS)


def rows_of(findings: Iterable[Finding], targets: Mapping[tuple[int, str], Target]) -> dict[int, Row]:
    """By finding; without those of a field that is not audited any more."""
    found: dict[int, Row] = {}
    for finding in findings:
        target = targets.get((finding.content_type_id or 0, finding.field))
        if target is not None:
            found[finding.pk] = target, target.model._meta.pk.to_python(finding.object_pk)
    return found


def outdated(
    findings: Iterable[Finding], rows: Mapping[int, Row], names: Mapping[Row, str], *, prefix: str
) -> set[int]:
    """Those whose record is gone, names another file, or remembers by now what was found there.

    ``names`` are what ``rows_held`` told.
    """
    over: set[int] = set()
    differing: dict[Target, dict[Any, Finding]] = defaultdict(dict)
    for finding in findings:
        row = rows.get(finding.pk)
        if row is None:
            continue
        if row not in names or prefix + names[row] != finding.key:
            over.add(finding.pk)
        elif finding.reason in _DIFFERS and row[0].remembers:
            differing[row[0]][row[1]] = finding
    for target, by_pk in differing.items():
        over |= _stored_anew(target, by_pk)
    return over


def _stored_anew(target: Target, differing: Mapping[Any, Finding]) -> set[int]:
    """Their rows were read before an upload, and their objects looked at behind it."""
    remembered = target.model._base_manager.filter(pk__in=list(differing))
    return {
        differing[pk].pk
        for pk, size_bytes, etag in remembered.values_list("pk", "size_bytes", "etag")
        if _is_as_remembered(differing[pk].last_evidence, Expected(size_bytes=size_bytes, etag=etag))
    }


def _is_as_remembered(evidence: Mapping[str, Any], expected: Expected) -> bool:
    there = Evidence(operation="", size_bytes=evidence.get("size_bytes"), etag=evidence.get("etag", ""))
    return classify_there(there, expected)[0] is Verdict.PRESENT
