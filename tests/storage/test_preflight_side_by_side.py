"""The questions of the check are asked side by side and judged as if they had been asked in turn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest

from imagesync.core.verdicts import Evidence
from imagesync.storage.contract import ListingAnswer, Store
from imagesync.storage.memory import MemoryStore
from imagesync.storage.preflight import (
    REGION_HEADER,
    Preflight,
    _absence,
    _bucket,
    _listing,
    preflight,
    same_region,
    wrong_region,
)
from tests.storage.scripted import Answer, Request, error, scripted, store_at

SECONDS = 60.0
HERE, ELSEWHERE = ({REGION_HEADER: region} for region in ("us-east-1", "eu-north-1"))
PAGE = {"Name": "b", "Prefix": "", "KeyCount": 0, "IsTruncated": False}


def told(operation: str, status: int | None, code: str = "", headers: Mapping[str, str] = {}) -> Evidence:
    return Evidence(operation=operation, status=status, code=code, headers=headers)


def listing(evidence: Evidence, page: Mapping[str, Any] | None = None) -> ListingAnswer:
    return ListingAnswer(evidence=evidence, page=page)


RAISES = "raises"
BUCKET = [
    told("HeadBucket", 200),
    told("HeadBucket", 200, headers=HERE),
    told("HeadBucket", 200, headers=ELSEWHERE),
    told("HeadBucket", 403, "403"),
    told("HeadBucket", 400, "400"),
    told("HeadBucket", 400, "400", ELSEWHERE),
    told("HeadBucket", 404, "404"),
    told("HeadBucket", 404, "404", HERE),
    told("HeadBucket", None, "ConnectTimeoutError"),
    RAISES,
]
LISTING = [
    listing(told("ListObjectsV2", 200), PAGE),
    listing(told("ListObjectsV2", 200, headers=ELSEWHERE), PAGE),
    listing(told("ListObjectsV2", 200, headers=HERE), {**PAGE, "Name": "another"}),
    listing(told("ListObjectsV2", 403, "AccessDenied")),
    listing(told("ListObjectsV2", 400, "AuthorizationHeaderMalformed", ELSEWHERE)),
    RAISES,
]
ABSENCE = [
    told("GetObject", 404, "NoSuchKey"),
    told("GetObject", 404, "NoSuchKey", ELSEWHERE),
    told("GetObject", 404),
    told("GetObject", 206),
    told("GetObject", 403, "AccessDenied", HERE),
    told("CreateSession", 404, "NoSuchKey"),
    RAISES,
]
VERSIONING = ["off", "unknown", RAISES]


class Answering(MemoryStore):
    """Answers each question once. ``backwards``: none before the one behind it was answered."""

    def __init__(self, *answers: Any, backwards: bool) -> None:
        super().__init__("b")
        self.answers = answers
        self.backwards = backwards
        self.answered = [threading.Event() for _answer in answers]

    def head_bucket(self) -> Evidence:
        return self._answer(0)  # type: ignore[no-any-return]

    def list_page(self, **_asked: Any) -> ListingAnswer:
        return self._answer(1)  # type: ignore[no-any-return]

    def get(self, key: str) -> Evidence:
        return self._answer(2)  # type: ignore[no-any-return]

    def versioning(self) -> str:
        return self._answer(3)  # type: ignore[no-any-return]

    def _answer(self, nth: int) -> Any:
        if self.backwards:
            for later in self.answered[nth + 1 :]:
                assert later.wait(SECONDS), "they are not asked side by side"
        assert not self.answered[nth].is_set(), "it is asked twice"
        self.answered[nth].set()
        if self.answers[nth] is RAISES:
            raise LookupError(nth)
        return self.answers[nth]


def asked_in_turn(store: Store) -> Preflight:
    """What a preflight means: no question is asked before all answers before it were right."""
    place, region_told = store.identity.place, ""
    for question in (_bucket, _listing, _absence):
        evidence, diagnosis = question(store, place)
        region = evidence.headers.get(REGION_HEADER, "")
        if region and not same_region(region, place):
            return Preflight(fit=False, reasons=(wrong_region(place, region),), bucket_region=region)
        region_told = region_told or region
        if diagnosis is not None:
            return Preflight(fit=False, reasons=(diagnosis,), bucket_region=region_told)
    return Preflight(fit=True, versioning=store.versioning(), bucket_region=region_told)


def outcome(check: Callable[[Store], Preflight], store: Store) -> Preflight | str:
    try:
        return check(store)
    except LookupError as raised:
        return f"raised by question {raised}"


def test_they_come_to_what_they_come_to_when_asked_in_turn() -> None:
    found = []
    for answers in product(BUCKET, LISTING, ABSENCE, VERSIONING):
        found.append(outcome(preflight, Answering(*answers, backwards=True)))
        assert found[-1] == outcome(asked_in_turn, Answering(*answers, backwards=False)), answers

    fit = [one for one in found if isinstance(one, Preflight) and one.fit]
    assert {one.versioning for one in fit} == {"off", "unknown"}
    assert {f"raised by question {nth}" for nth in range(4)} <= set(map(str, found))


def test_each_is_counted_once_and_before_the_verdict_whichever_is_wrong() -> None:
    def script(asked: Request) -> Answer:
        return error(404, "NoSuchBucket")

    with scripted(script) as server:
        store = store_at(server.url)
        for times in range(1, 21):
            assert [one.id for one in preflight(store).reasons] == ["no_bucket"]
            assert store.requests == dict.fromkeys(("HEAD_BUCKET", "LIST", "GET", "VERSIONING"), times)
            assert len(server.requests) == 4 * times


def test_who_interrupts_it_does_not_wait_for_a_store_that_never_answers() -> None:
    asking: list[threading.Thread] = []
    over = threading.Event()

    class Silent(MemoryStore):
        def head_bucket(self) -> Evidence:
            asking.append(threading.current_thread())
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            over.wait(SECONDS)
            return super().head_bucket()

    with pytest.raises(KeyboardInterrupt):
        preflight(Silent())

    (thread,) = asking
    assert thread.is_alive()
    assert thread.daemon, "the process would wait for it at its end"
    over.set()
    thread.join(SECONDS)
