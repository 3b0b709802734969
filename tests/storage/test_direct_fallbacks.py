"""What is not a plain good answer goes back to botocore, and what comes of it is what botocore makes of it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagesync.core.verdicts import Evidence
from imagesync.exceptions import ListingBroken
from imagesync.selftest import wire
from imagesync.selftest.bucket import ELSEWHERE, NAMESPACE, Bucket, failure
from imagesync.selftest.wire import Answer, Asked, Manner
from imagesync.storage.client import ClientOptions
from imagesync.storage.listing import list_page
from imagesync.storage.store import S3Store
from tests.storage.recording import Recorder, cold, recorder, store_by, warm

BUCKET = Bucket({"a.jpg": 3, "b.jpg": 4})
OPTIONS = ClientOptions(connect_timeout=0.5, read_timeout=0.5, max_attempts=2)
PORTAL = b"<html><body>Please log in</body></html>"


@pytest.fixture
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        lab.play(BUCKET.answer)
        yield lab


def page_of(store: S3Store) -> Any:
    """What an audit gets: the keys and the token, or why it gets none."""
    try:
        page = list_page(store, prefix="")
    except ListingBroken as broken:
        return str(broken), broken.reason
    return page.keys, page.next_token, page.ordinary, list(page.objects())


Script = Callable[[Asked], Answer]


def played(lab: Recorder, script: Script, ask: Callable[[S3Store], Any]) -> tuple[Any, list[bool]]:
    """What is made of a script, which is the same both ways; and which requests were sent directly at first."""
    outcomes = []
    for prepare in (warm, cold):
        lab.play(BUCKET.answer)
        store = prepare(store_by(lab.url, client=OPTIONS))
        lab.play(script)
        lab.heard.clear()
        outcomes.append(ask(store))
        if prepare is warm:
            directly = [one.is_direct for one in lab.heard]
    assert outcomes[0] == outcomes[1]
    return outcomes[0], directly


def get(store: S3Store) -> Evidence:
    return store.get("a.jpg")


def always(answer: Answer) -> Script:
    return lambda asked: BUCKET.answer(asked) if asked.operation == "HEAD_BUCKET" else answer


def until_signed_for(region: str, answer: Answer) -> Script:
    return lambda asked: BUCKET.answer(asked) if asked.signed_region == region else answer


def cut_off(whole: bytes) -> Answer:
    """Half of what is announced."""
    return Answer(404, whole * 2, manner=Manner.CUT)


GONE = failure(404, "NoSuchKey").body

GETS: dict[str, tuple[Script, int | None, str]] = {
    "301 to another region": (until_signed_for(ELSEWHERE, failure(301, "PermanentRedirect", x_amz_bucket_region=ELSEWHERE)), 206, ""),
    "400 for another region": (until_signed_for(ELSEWHERE, failure(400, "AuthorizationHeaderMalformed", f"<Region>{ELSEWHERE}</Region>")), 206, ""),
    "307": (always(failure(307, "TemporaryRedirect", Location="https://elsewhere.invalid/")), 307, "TemporaryRedirect"),
    "400 ExpiredToken": (always(failure(400, "ExpiredToken")), 400, "ExpiredToken"),
    "403": (always(failure(403, "AccessDenied")), 403, "AccessDenied"),
    "404 of a bucket": (always(failure(404, "NoSuchBucket")), 404, "NoSuchBucket"),
    "404 of a portal": (always(Answer(404, PORTAL)), 404, ""),
    "404 without body": (always(Answer(404)), 404, "404"),
    "404 within a page": (always(Answer(404, b"<html>" + GONE + b"</html>")), 404, "404"),
    "404 of a long document": (always(Answer(404, GONE + b" " * 20_000)), 404, "NoSuchKey"),
    "404 of a long document with something behind": (always(Answer(404, GONE + b" " * 20_000 + b"<html>")), 404, "404"),
    "404, gzipped": (always(Answer(404, gzip.compress(GONE), {"Content-Encoding": "gzip"})), 404, "404"),
    "404, gzipped in name only": (always(Answer(404, GONE, {"Content-Encoding": "gzip"})), 404, "NoSuchKey"),
    "404, more announced than comes": (always(cut_off(GONE)), 404, "NoSuchKey"),
    "404, cut in the middle": (always(Answer(404, GONE, manner=Manner.CUT)), 404, "404"),
    "429": (always(Answer(429)), 429, "429"),
    "500": (always(failure(500, "InternalError")), 500, "InternalError"),
    "206 of which nothing comes": (always(Answer(206, b"x", manner=Manner.CUT)), None, "IncompleteReadError"),
    "200 of which nothing comes": (always(Answer(200, b"", {"Content-Length": "5", "Connection": "close"})), None, "IncompleteReadError"),
    "closed": (always(Answer(200, manner=Manner.CLOSE)), None, "ConnectionClosedError"),
    "reset": (always(Answer(200, manner=Manner.RESET)), None, "ConnectionClosedError"),
    "garbage": (always(Answer(200, b"garbage\r\n\r\n", manner=Manner.RAW)), None, "ConnectionClosedError"),
}  # fmt: skip


@pytest.mark.parametrize("case", GETS)
def test_get__ends_as_botocore_ends_it(case: str, lab: Recorder) -> None:
    script, status, code = GETS[case]

    evidence, directly = played(lab, script, get)

    assert directly[0]
    if code != "NoSuchKey" or "long" in case:
        assert not all(directly)
    assert evidence.status == status
    assert evidence.code == code


@pytest.mark.parametrize("status", [500, 503, 429])
def test_get__good_at_the_second_attempt_is_good(status: int, lab: Recorder) -> None:
    def script(asked: Asked) -> Answer:
        return BUCKET.answer(asked) if asked.nth > 1 else failure(status, "SlowDown")

    evidence, directly = played(lab, script, get)

    assert evidence.status == 206
    assert directly == [True, False]


def test_get__an_expired_token_is_told_and_the_next_one_taken(lab: Recorder) -> None:
    store = warm(store_by(lab.url, client=OPTIONS, security_token="t"))
    lab.play(always(failure(400, "ExpiredToken")))
    assert get(store).code == "ExpiredToken"
    lab.play(BUCKET.answer)
    lab.heard.clear()

    assert get(store).status == 206
    assert [one.is_direct for one in lab.heard] == [True]


PAGE = BUCKET.answer(Asked("GET", "lab-bucket", "", {"list-type": "2"}, "", 1)).body
READ = ["a.jpg", "b.jpg"]

PAGES: dict[str, tuple[Script, str]] = {
    "301 to another region": (until_signed_for(ELSEWHERE, failure(301, "PermanentRedirect", x_amz_bucket_region=ELSEWHERE)), ""),
    "400 ExpiredToken": (always(failure(400, "ExpiredToken")), "expired_credentials"),
    "403": (always(failure(403, "AccessDenied")), "access_denied"),
    "404": (always(failure(404, "NoSuchKey")), "no_bucket"),
    "503": (always(failure(503, "SlowDown")), "throttled"),
    "200 of nothing": (always(Answer(200)), "listing_broken"),
    "200 of a portal": (always(Answer(200, PORTAL)), "listing_broken"),
    "200 of an error": (always(Answer(200, GONE)), "server_error"),
    "200, cut in a tag": (always(Answer(200, PAGE[:-30])), "server_error"),
    "200, cut between entries": (always(Answer(200, PAGE[: PAGE.index(b"</Contents>") + 11])), "server_error"),
    "200, cut off": (always(Answer(200, PAGE, manner=Manner.CUT)), "server_error"),
    "200, gzipped": (always(Answer(200, gzip.compress(PAGE), {"Content-Encoding": "gzip"})), "server_error"),
    "200, gzipped in name only": (always(Answer(200, PAGE, {"Content-Encoding": "gzip"})), ""),
    "200, more announced than comes": (always(Answer(200, PAGE, {"Content-Length": "99999", "Connection": "close"})), ""),
    "200, chunked": (always(Answer(200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE), manner=Manner.RAW)), ""),
    "200, a chunk cut off": (always(Answer(200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (len(PAGE) + 9, PAGE), manner=Manner.RAW)), "unreachable"),
    "another bucket's page": (always(Answer(200, PAGE.replace(b"lab-bucket", b"another"))), "listing_broken"),
    "another prefix's page": (always(Answer(200, PAGE.replace(b"<Prefix></Prefix>", b"<Prefix>a</Prefix>"))), "listing_broken"),
    "a page of another document": (always(Answer(200, PAGE.replace(b"ListBucketResult", b"ListVersionsResult"))), ""),
    "a key out of order": (always(Answer(200, PAGE.replace(b"a.jpg", b"z.jpg"))), "listing_broken"),
    "closed": (always(Answer(200, manner=Manner.CLOSE)), "unreachable"),
    "reset": (always(Answer(200, manner=Manner.RESET)), "unreachable"),
}  # fmt: skip


@pytest.mark.parametrize("case", PAGES)
def test_page__ends_as_botocore_ends_it(case: str, lab: Recorder) -> None:
    script, reason = PAGES[case]

    outcome, directly = played(lab, script, page_of)

    assert directly[0]
    assert outcome[0] == READ if not reason else outcome[1] == reason


def test_page__of_another_start_is_refused(lab: Recorder) -> None:
    """A cached page, whatever it was asked for: its keys are not behind what was asked."""
    outcomes = []
    for prepare in (warm, cold):
        lab.play(BUCKET.answer)
        store = prepare(store_by(lab.url, client=OPTIONS))
        lab.play(always(Answer(200, PAGE)))
        with pytest.raises(ListingBroken, match="not in byte order") as caught:
            list_page(store, prefix="", start_after="a.jpg", after="a.jpg")
        outcomes.append(str(caught.value))

    assert outcomes[0] == outcomes[1]


def test_key__that_differs_by_normalisation_is_another_key(lab: Recorder) -> None:
    composed, decomposed = "u\u0308.jpg", "\u00fc.jpg"
    lab.play(Bucket({composed: 3, "warm/key": 1}).answer)
    store = warm(store_by(lab.url, client=OPTIONS))

    assert list_page(store, prefix="").keys == [composed, "warm/key"]
    assert store.get(composed).status == 206
    assert store.get(decomposed).code == "NoSuchKey"


def test_body__slower_than_the_patience_for_it_is_botocores_outcome(
    lab: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PAUSE_SECONDS", 1.2)
    slow = replace(failure(404, "NoSuchKey", "<Key>" + "k" * 300 + "</Key>"), manner=Manner.SLOW)

    evidence, directly = played(lab, always(slow), get)

    assert (evidence.status, evidence.code) == (None, "ReadTimeoutError")
    assert directly[0]
    assert not any(directly[1:])


def test_namespace__of_another_document_is_none_of_ours(lab: Recorder) -> None:
    script = always(Answer(200, PAGE.replace(NAMESPACE.encode(), b"http://elsewhere.invalid/")))

    outcome, _directly = played(lab, script, page_of)

    assert outcome[0] == READ
