"""Is this store fit to be believed? Asked before and after every audit, and around every purge."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from imagesync.core.diagnosis import (
    Diagnosis,
    Place,
    absent_key_answered,
    failed_call,
    is_same_region,
    listing_broken,
    wrong_region,
)
from imagesync.core.verdicts import Evidence
from imagesync.exceptions import ListingBroken
from imagesync.storage.contract import REGION_HEADER, Store, on_aws
from imagesync.storage.listing import Asked, validate_but_order

ABSENT_KEY = ".imagesync/absent-{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    fit: bool
    reasons: tuple[Diagnosis, ...] = ()
    """Why not; empty when fit."""
    versioning: str = "unknown"
    """``off``, ``enabled``, ``suspended`` or ``unknown``."""
    bucket_region: str = ""
    """As the server told it; empty when it did not."""


def preflight(store: Store) -> Preflight:
    """Four small questions, all under the store's own prefix; the first wrong answer ends them.

    The bucket is there, its region is the client's, a listing page is valid, and a key that cannot exist
    is answered by a clean 404 NoSuchKey (else s3:ListBucket is lacking, and every absence would be a 403).
    """
    place = store.identity.place
    told = ""
    for question in (_bucket, _listing, _absence):
        evidence, diagnosis = question(store, place)
        region = evidence.headers.get(REGION_HEADER, "")
        if region and not same_region(region, place):  # each answer's own: they may contradict each other
            return Preflight(fit=False, reasons=(wrong_region(place, region),), bucket_region=region)
        told = told or region
        if diagnosis is not None:
            return Preflight(fit=False, reasons=(diagnosis,), bucket_region=told)
    return Preflight(fit=True, versioning=store.versioning(), bucket_region=told)


def absent_key(place: Place) -> str:
    """A key that cannot exist."""
    return place.prefix + ABSENT_KEY.format(uuid.uuid4().hex)


def _bucket(store: Store, place: Place) -> tuple[Evidence, Diagnosis | None]:
    evidence = store.head_bucket()
    # 403 is tolerable when the rest passes: policies that allow a prefix only deny the bucket
    if evidence.status in (200, 403):
        return evidence, None
    if evidence.status == 400:
        return evidence, None  # bare, like every HEAD: the listing's answer has a body that says why
    return evidence, failed_call(place, evidence)


def _listing(store: Store, place: Place) -> tuple[Evidence, Diagnosis | None]:
    answer = store.list_page(prefix=place.prefix, max_keys=2)
    if answer.page is None:
        return answer.evidence, failed_call(place, answer.evidence)
    try:  # their order is the audit's business: it can do without
        validate_but_order(answer.page, Asked(bucket=place.bucket, prefix=place.prefix, after=""))
    except ListingBroken as broken:
        return answer.evidence, listing_broken(place, str(broken))
    return answer.evidence, None


def _absence(store: Store, place: Place) -> tuple[Evidence, Diagnosis | None]:
    evidence = store.get(absent_key(place))
    if evidence.operation == "GetObject" and evidence.status == 404 and evidence.code == "NoSuchKey":
        return evidence, None
    if evidence.status in (200, 206, 416):
        return evidence, absent_key_answered(place, evidence.status)
    return evidence, failed_call(place, evidence)


def same_region(told: str, place: Place) -> bool:
    """Whether the region that the server told is the one that the client is configured for."""
    configured = place.region
    if configured == "auto" and not on_aws(place.endpoint):  # the server chooses
        return True
    return is_same_region(told, configured)
