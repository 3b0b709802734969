"""The doctor's questions to one store, from the bucket as a whole down to one object.

All are asked, whatever the first ones say, because a browser may fail while every call of the application works, and
the other way round. Only a store that answers nothing at all, or that knows nobody, is not asked further.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from imagesync.core.advice import (
    answer_of,
    clock_differs,
    lifecycle_archives,
    lifecycle_deletes,
    read_denied,
    versioning_suspended,
    versions_denied,
    versions_hint,
)
from imagesync.core.diagnosis import (
    Diagnosis,
    Place,
    absent_key_answered,
    failed_call,
    listing_broken,
    wrong_region,
)
from imagesync.core.examination import Check, Standing, failed, fine, not_asked, warned
from imagesync.core.verdicts import Evidence
from imagesync.doctor.samples import LISTING, Sample, first_readable, samples
from imagesync.exceptions import ListingBroken
from imagesync.records import Source
from imagesync.storage.contents import ListedObject
from imagesync.storage.contract import REGION_HEADER, Store, on_aws
from imagesync.storage.listing import Asked, validate_page
from imagesync.storage.preflight import absent_key, same_region
from imagesync.storage.questions import bucket_location, clock_ahead_by, lifecycle_rules

LISTED_PAGES = 2
PAGE_SIZE = 100
_OF_A_BUCKET = ("list_denied", "access_denied", "wrong_region")
"""Failures of the listing that only a bucket has which is there (S3 answers 404 for others, whoever asks)."""
_ABOUT_ONE_CALL = (
    "list_denied",
    "access_denied",
    "listing_broken",
    "wrong_region",
    "server_error",
    "throttled",
)
"""Failures of the listing after which other questions may still be answered."""


@dataclass
class Examined:
    """What the questions brought, for those that come after them."""

    checks: list[Check] = field(default_factory=list)
    answered: bool = False
    """Whether the store gave any HTTP answer at all."""
    speaks: bool = False
    """Whether it is worth asking for objects: the application is let in."""
    bucket_region: str = ""
    """As the server told it."""
    sample: Sample | None = None
    """An object that is certainly there and can be read."""
    versioning: str = "unknown"


def examine_store(source: Source, now: Callable[[], datetime]) -> Examined:
    """Ask the store. Raises nothing for anything on its side."""
    store = source.store
    found = Examined()
    first = store.head_bucket()
    answered_at = now()
    if first.status is None:
        found.checks.append(failed("bucket", failed_call(store.identity.place, first)))
        return found
    found.answered = True
    listed = _listing(store, found, first)
    _region(store, found)
    _clock(found, first, answered_at)
    if found.speaks:
        _read(source, found, listed)
        _absence(store, found)
        _versioning(store, found)
        _versions(store, found)
        _lifecycle(store, found)
    return found


def _listing(store: Store, found: Examined, first: Evidence) -> list[ListedObject]:
    """The bucket and its listing are one question: a HEAD has no body, so the listing's answer says why."""
    place = store.identity.place
    listed, evidence, diagnosis = _pages(store)
    told = [region for one in (first, evidence) if (region := one.headers.get(REGION_HEADER, ""))]
    # the two may contradict each other: the one that speaks against the settings counts
    found.bucket_region = next((one for one in told if not same_region(one, place)), told[0] if told else "")
    found.speaks = diagnosis is None or diagnosis.id in _ABOUT_ONE_CALL
    if diagnosis is None:
        found.checks += [
            fine("bucket", _there(place)),
            fine("listing", f"It may be listed; {_pages_told(listed)} valid and in byte order."),
        ]
    elif diagnosis.id == "no_bucket":
        found.checks += [failed("bucket", diagnosis), not_asked("listing", "See the bucket.")]
    else:
        is_there = first.status in (200, 403) and diagnosis.id in _OF_A_BUCKET
        bucket = fine("bucket", _there(place)) if is_there else not_asked("bucket", "See the listing.")
        found.checks += [bucket, failed("listing", diagnosis)]
    return listed


def _there(place: Place) -> str:
    return f'The bucket "{place.bucket}" is there.'


def _pages(store: Store) -> tuple[list[ListedObject], Evidence, Diagnosis | None]:
    """Two pages, so that going on is tried too; the last answer; what is wrong with it."""
    place = store.identity.place
    listed: list[ListedObject] = []
    token = ""
    for _page in range(LISTED_PAGES):
        answer = store.list_page(prefix=place.prefix, token=token, max_keys=PAGE_SIZE)
        if answer.page is None:
            return listed, answer.evidence, failed_call(place, answer.evidence)
        asked = Asked(
            bucket=place.bucket, prefix=place.prefix, after=listed[-1].key if listed else "", token=token
        )
        try:
            objects, token = validate_page(answer.page, asked)
        except ListingBroken as broken:
            return listed, answer.evidence, listing_broken(place, str(broken))
        listed += objects
        if not token:
            break
    return listed, answer.evidence, None


def _pages_told(listed: list[ListedObject]) -> str:
    if not listed:
        return "there is nothing in it; the page is"
    return f"the first {len(listed)} keys are" if len(listed) > 1 else "the page with its one key is"


def _region(store: Store, found: Examined) -> None:
    place = store.identity.place
    located = bucket_location(store) if found.speaks and not found.bucket_region else ""
    if located and (on_aws(place.endpoint) or same_region(located, place)):
        found.bucket_region = located
    told = found.bucket_region
    if told and same_region(told, place):
        found.checks.append(fine("region", f"The bucket is in {told}, as configured."))
    elif told:
        found.checks.append(failed("region", wrong_region(place, told)))
        found.checks = [_see_the_region(one) for one in found.checks]
    elif located:  # Ceph tells its zone group ("default"), which nobody signs for
        fact = (
            f"The server calls the bucket's location {located!a}, which need not be a region outside of AWS."
        )
        found.checks.append(not_asked("region", fact))
    else:
        found.checks.append(not_asked("region", "The server does not tell where the bucket is."))


def _see_the_region(check: Check) -> Check:
    """One fault is told once."""
    if check.id != "region" and check.diagnosis == "wrong_region":
        return not_asked(check.id, "See the region.")
    return check


def _clock(found: Examined, evidence: Evidence, answered_at: datetime) -> None:
    ahead = clock_ahead_by(evidence, answered_at)
    if ahead is None:
        found.checks.append(not_asked("clock", "The server does not tell its time."))
        return
    diagnosis = clock_differs(ahead)
    if diagnosis is None:
        found.checks.append(fine("clock", "This machine's clock and the server's agree."))
    elif diagnosis.id == "clock_skew":
        found.checks.append(failed("clock", diagnosis))
    else:
        found.checks.append(warned("clock", diagnosis))


def _read(source: Source, found: Examined, listed: list[ListedObject]) -> None:
    found.sample, refusals = first_readable(source.store, samples(source, listed))
    if found.sample is not None:
        whose = "A listed object" if found.sample.of == LISTING else f"An object of {found.sample.of}"
        found.checks.append(fine("read", f"{whose} answers GetObject."))
        return
    there = {one.key for one in listed}
    denied = [answer for sample, answer in refusals if answer.status == 403 and sample.key in there]
    denied = [answer for answer in denied if answer.code != "InvalidObjectState"]
    if denied:  # of a key that is not listed, a 403 may as well mean that it is absent
        found.checks.append(failed("read", read_denied(source.store.identity.place, denied[0])))
        return
    answers = ", ".join(sorted({answer_of(answer) for _sample, answer in refusals}))
    fact = f"No object was found that can be read ({answers})." if answers else "There is nothing to read."
    found.checks.append(not_asked("read", fact))


def _absence(store: Store, found: Examined) -> None:
    place = store.identity.place
    evidence = store.get(absent_key(place))
    if evidence.operation == "GetObject" and evidence.status == 404 and evidence.code == "NoSuchKey":
        found.checks.append(fine("absence", "A key that cannot exist is answered with 404 NoSuchKey."))
        return
    if evidence.status in (200, 206, 416):
        diagnosis = absent_key_answered(place, evidence.status)
    else:
        diagnosis = failed_call(place, evidence)
    known = {one.diagnosis for one in found.checks if one.status is Standing.FAILED}
    if diagnosis.id in known or (diagnosis.id == "list_denied" and "read_denied" in known):
        found.checks.append(not_asked("absence", f"{answer_of(evidence)}: see what failed above."))
    elif diagnosis.id != "wrong_region":
        found.checks.append(failed("absence", diagnosis))


def _versioning(store: Store, found: Examined) -> None:
    found.versioning = store.versioning()
    if found.versioning == "suspended":
        found.checks.append(warned("versioning", versioning_suspended(store.identity.place)))
        return
    told = {
        "enabled": fine(
            "versioning", "Versioning is enabled: what is deleted or overwritten can be brought back."
        ),
        "off": fine("versioning", "Versioning is off: what is deleted or overwritten is gone."),
    }
    unknown = not_asked("versioning", "S3 refuses GetBucketVersioning, or does not offer it.")
    found.checks.append(told.get(found.versioning, unknown))


def _versions(store: Store, found: Examined) -> None:
    place = store.identity.place
    answer = store.versions_of(absent_key(place))
    if answer == "none":
        found.checks.append(fine("versions", "The versions of a key may be listed."))
    elif answer == "denied" and found.versioning in ("enabled", "suspended"):
        found.checks.append(warned("versions", versions_denied(place, found.versioning)))
    elif answer == "denied":
        found.checks.append(
            not_asked("versions", "S3 refuses ListObjectVersions; only a bucket with versioning needs it.", versions_hint(place))
        )  # fmt: skip
    else:
        found.checks.append(not_asked("versions", f"ListObjectVersions: {answer.replace('_', ' ')}."))


def _lifecycle(store: Store, found: Examined) -> None:
    place = store.identity.place
    evidence, rules = lifecycle_rules(store)
    if rules is None:
        found.checks.append(
            not_asked(
                "lifecycle",
                f"The bucket's lifecycle rules are not told ({answer_of(evidence) or 'no answer'}).",
            )
        )
        return
    rows: list[Check] = []
    for rule in rules:
        if not rule.concerns(place.prefix):
            continue
        if rule.expires:
            weigh = failed if rule.concerns_all(place.prefix) else warned
            rows.append(weigh("lifecycle", lifecycle_deletes(place, rule)))
        if rule.archives:
            rows.append(warned("lifecycle", lifecycle_archives(place, rule)))
    found.checks += rows or [fine("lifecycle", "No lifecycle rule deletes or archives current objects.")]
