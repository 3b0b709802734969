"""How far an audit as a whole may be believed, and why not further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from imagesync.core.diagnosis import Diagnosis
from imagesync.core.verdicts import Look, Reason, Verdict


class Trust(StrEnum):
    TRUSTWORTHY = "trustworthy"
    """The store was fit before and after, and every record was judged."""

    DEGRADED = "degraded"
    """Some records could not be judged, or everything that was there is gone."""

    UNTRUSTWORTHY = "untrustworthy"
    """The store could not be reached, looked at or believed. Nothing follows from this audit."""


BELIEVED = (Trust.TRUSTWORTHY.value, Trust.DEGRADED.value)
"""The counts of an audit with one of these are facts."""

COLLAPSE = "collapse"
STORE_CHANGED = "store_changed"

# Reasons of failed looks that are about the whole store: one sentence says what to change.
_EXPLANATIONS: dict[str, tuple[str, str]] = {
    Reason.WRITTEN_ELSEWHERE: (
        "were last seen in another store and are not in this one",
        "If the bucket moved here, say so: check_s3_images --adopt FINGERPRINT (the records' store). If this is "
        "a copy of another site's database, point the storage at that site's bucket.",
    ),
    Reason.ACCESS_DENIED: (
        "were refused by S3 (403)",
        "Allow s3:GetObject (and kms:Decrypt for encrypted objects) on these keys, then audit again.",
    ),
    Reason.THROTTLED: (
        "were throttled by S3 after all attempts",
        'Audit again later, or lower IMAGESYNC["WORKERS"].',
    ),
    Reason.TIMED_OUT: (
        "timed out after all attempts",
        'Audit again, or raise IMAGESYNC["READ_TIMEOUT"].',
    ),
}


_OF_THIS_STORE = (Verdict.PRESENT, Verdict.MISMATCHED, Verdict.ARCHIVED, Verdict.RECOVERABLE)


def seen_again(canaries: Sequence[Verdict]) -> bool:
    """Whether one of the records looked at first tells that this is the store that it was seen in: by being there, or by
    a version that it left. One that is missing tells nothing of the kind, nor does one that could not be looked at.
    """
    return any(verdict in _OF_THIS_STORE for verdict in canaries)


def collapse(canaries: Sequence[Verdict], bucket: str) -> Diagnosis | None:
    """Said when all of the records looked at first, one or more, are missing; of any other verdict it is not."""
    if not canaries or any(verdict is not Verdict.MISSING for verdict in canaries):
        return None
    return Diagnosis(
        id=COLLAPSE,
        fact=f"All {len(canaries)} records looked at first, last seen present, are gone from bucket {bucket!a}.",
        hint="The bucket was emptied, or it is the wrong one. Compare its name, region and location with the "
        f"site's. Only purge_orphans --all-missing {bucket} acts on this audit.",
    )


def store_changed(alias: str, *, now: str, before: str, last: int, fingerprint: str) -> Diagnosis:
    """The settings name another store than at the last audit of the same fields: what is absent may only be elsewhere."""
    return Diagnosis(
        id=STORE_CHANGED,
        fact=f'The storage "{alias}" names another store than at the last audit of its file fields: {now}; audit {last} looked at {before}.',
        hint="If nobody moved the files, correct the bucket, endpoint or location. If they were moved on purpose: "
        f"check_s3_images --adopt {fingerprint}",
    )


def doubts_that_ended(before: Sequence[Diagnosis], now: Sequence[Diagnosis]) -> list[Diagnosis]:
    """What an audit that is taken up again was opened with, about the whole store, and nobody would say now.

    Then the store is another one than that which was doubted, and what was compared with that is not believed.
    """
    still = {reason.id for reason in now}
    return [
        replace(
            reason,
            fact=f"{reason.fact} That was so at an earlier beginning of this audit, and is not any more.",
            hint="What it compared meanwhile may have been another store. Run check_s3_images again.",
        )
        for reason in before
        if reason.id in (COLLAPSE, STORE_CHANGED) and reason.id not in still
    ]


def written_elsewhere(records: int, fingerprint: str, place: str) -> Diagnosis:
    """Records that remember another store; their absence here says nothing."""
    where = place or "a store that no audit has looked at"
    return Diagnosis(
        id="written_elsewhere",
        fact=f"{records:,} records were last seen in another store: {where} (fingerprint {fingerprint}).",
        hint="Those that are not here are unknown, not missing. If that bucket moved here on purpose: "
        f"check_s3_images --adopt {fingerprint}",
    )


def canary_failure(failed: int, canaries: int, first: Look) -> Diagnosis:
    return Diagnosis(
        id="canary_failed",
        fact=f"{failed} of {canaries} records looked at first, last seen present, could not be looked at "
        f"({first.reason}; HTTP {first.evidence.status or 'no answer'} {first.evidence.code}).",
        hint="Nothing was concluded. Run imagesync_doctor, or look at one of them with check_s3_images --id.",
    )


def listing_failed(message: str, reason: str) -> Diagnosis:
    """The listing ended before its end; records behind that point were not judged."""
    broken = reason == Reason.LISTING_BROKEN
    return Diagnosis(
        id="listing_broken" if broken else "listing_failed",
        fact=message if message.endswith(".") else f"{message}.",
        hint="The server's listing contradicts itself; look for a proxy or gateway between, then audit again."
        if broken
        else "Records behind that point are unknown. Audit again; --strategy head needs no listing.",
    )


def trust_of(
    *,
    counts: Mapping[str, int],
    reasons: Sequence[Diagnosis],
    fit_afterwards: bool,
    reasons_afterwards: Sequence[Diagnosis],
    why_unknown: Sequence[str],
) -> tuple[Trust, list[Diagnosis]]:
    """The trust of an audit that ran to its end, with every reason that lowers it.

    ``why_unknown`` are the reason codes of the looks that failed, most frequent first.
    """
    found = list(reasons)
    if not fit_afterwards:
        return Trust.UNTRUSTWORTHY, [_not_fit_afterwards(counts), *reasons_afterwards, *found]
    records = counts.get("records", 0)
    failed = sum(counts.get(verdict, 0) for verdict in (Verdict.UNKNOWN, Verdict.DENIED))
    if failed:
        found.append(_failed_looks(failed, records, why_unknown))
    if any(reason.id == "listing_broken" for reason in found) or (records and failed == records):
        return Trust.UNTRUSTWORTHY, found
    return (Trust.DEGRADED if found else Trust.TRUSTWORTHY), found


def _not_fit_afterwards(counts: Mapping[str, int]) -> Diagnosis:
    return Diagnosis(
        id="unfit_afterwards",
        fact="The store was fit when the audit began and is not any more, so nothing that looked absent is believed.",
        hint=f"{counts.get('unknown', 0):,} records are unknown because of it. Mend what follows, then audit again.",
    )


def _failed_looks(failed: int, records: int, why: Sequence[str]) -> Diagnosis:
    main = why[0] if why else "unexpected_answer"
    clause, hint = _EXPLANATIONS.get(
        main,  # as it was stored; an older version may have had another word
        (f"could not be looked at ({', '.join(why[:3])})", "The findings name each with its evidence."),
    )
    return Diagnosis(id="some_unknown", fact=f"{failed:,} of {records:,} records {clause}.", hint=hint)
