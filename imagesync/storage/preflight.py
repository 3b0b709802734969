"""Is this store fit to be believed? Asked before and after every audit, and around every purge."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, TypeVar

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

T = TypeVar("T")


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
    """Four small questions, all under the store's own prefix; of several wrong answers the first counts.

    The bucket is there, its region is the client's, a listing page is valid, and a key that cannot exist
    is answered by a clean 404 NoSuchKey (else s3:ListBucket is lacking, and every absence would be a 403).
    The fourth tells the versioning of a store that is fit.

    They are asked side by side, however few workers there are, and judged in this order when all are answered: a
    far store is waited for once. So all four are asked, also of a store whose first answer is wrong already.
    """
    place = store.identity.place
    answers = [_asked(partial(question, store, place)) for question in (_bucket, _listing, _absence)]
    versioning = _asked(store.versioning)
    under_way: list[Future[Any]] = [*answers, versioning]
    wait(under_way)  # for all: requests are counted around a check, and none is sent behind it
    told = ""
    for answer in answers:
        evidence, diagnosis = answer.result()
        region = evidence.headers.get(REGION_HEADER, "")
        if region and not same_region(region, place):  # each answer's own: they may contradict each other
            return Preflight(fit=False, reasons=(wrong_region(place, region),), bucket_region=region)
        told = told or region
        if diagnosis is not None:
            return Preflight(fit=False, reasons=(diagnosis,), bucket_region=told)
    return Preflight(fit=True, versioning=versioning.result(), bucket_region=told)


def _asked(question: Callable[[], T]) -> Future[T]:
    """Its answer, or what it raises. The thread ends with the process: who interrupts it need not wait for a store
    that never answers, as a pool would have him."""
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is wanted
            answer.set_exception(error)

    Thread(target=ask, name="imagesync-preflight", daemon=True).start()
    return answer


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
