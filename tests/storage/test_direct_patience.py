"""How long a store is asked directly, and what never is: big bodies are not read, and nobody is asked twice for ever."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from imagesync.core.verdicts import Evidence
from imagesync.exceptions import ListingBroken
from imagesync.selftest.bucket import ELSEWHERE, Bucket, failure
from imagesync.selftest.wire import Answer, Asked, Manner
from imagesync.storage.client import ClientOptions
from imagesync.storage.direct import PATIENCE, PAUSE
from imagesync.storage.listing import list_page
from imagesync.storage.store import S3Store
from tests.storage.recording import Recorder, cold, learnt, recorder, store_by, warm

BUCKET = Bucket({"a.jpg": 3, "b.jpg": 4})
OPTIONS = ClientOptions(connect_timeout=0.5, read_timeout=0.5, max_attempts=2)
BIG = 100_000_000


@pytest.fixture
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        lab.play(BUCKET.answer)
        yield lab


def get(store: S3Store) -> Evidence:
    return store.get("a.jpg")


def keys_of(store: S3Store) -> list[str]:
    try:
        return list_page(store, prefix="").keys
    except ListingBroken:
        return []


class _Pours(socketserver.StreamRequestHandler):
    """Answers each request with all of a big object, however little of it was asked for, until nobody listens."""

    def handle(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG
        while self.rfile.readline(65536):
            while self.rfile.readline(65536) not in (b"\r\n", b""):
                pass
            self.wfile.write(head)
            for _piece in range(BIG // 100_000):
                self.wfile.write(bytes(100_000))
                self.server.poured += 100_000  # type: ignore[attr-defined]


class _Pouring(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    poured = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """That the client goes away is what is tested."""


@contextmanager
def pouring() -> Iterator[_Pouring]:
    with _Pouring(("127.0.0.1", 0), _Pours) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize("prepare", [lambda store: store, cold], ids=["directly", "by botocore"])
def test_body__of_a_server_that_ignores_the_range_is_not_read(prepare: Callable[[S3Store], S3Store]) -> None:
    with pouring() as server:
        store = prepare(store_by(f"http://127.0.0.1:{server.server_address[1]}", client=OPTIONS))
        first = store.get("warm/key")
        seen = [store.get(f"{number}.jpg") for number in range(4)]

    assert ("GetObject" in learnt(store)) is (prepare is not cold)
    assert {(one.status, one.size_bytes) for one in (first, *seen)} == {(200, BIG)}
    assert server.poured < BIG / 2  # of five times as much: what the sockets took before they were closed


def test_connection__that_the_server_closed_between_requests_is_no_outcome(lab: Recorder) -> None:
    """It says nothing of closing it, and a pooled connection is found dead."""

    def script(asked: Asked) -> Answer:
        body = b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/3\r\n\r\nx"
        return Answer(206, body, manner=Manner.RAW)

    store = warm(store_by(lab.url, client=OPTIONS))
    lab.play(script)

    assert [get(store).status for _time in range(6)] == [206] * 6


# --- patience -----------------------------------------------------------------------------------------------


def counted(lab: Recorder, ask: Callable[[], Any], times: int) -> int:
    lab.heard.clear()
    for _time in range(times):
        ask()
    return len(lab.direct())


@pytest.mark.parametrize("what", ["get", "page"])
def test_patience__ends_and_comes_back(what: str, lab: Recorder) -> None:
    store = warm(store_by(lab.url, client=replace(OPTIONS, max_attempts=1)))
    ask: Callable[[], Any] = (lambda: get(store)) if what == "get" else (lambda: keys_of(store))
    lab.play(lambda asked: Answer(200, manner=Manner.CLOSE))
    assert counted(lab, ask, PATIENCE + 5) == PATIENCE

    lab.play(BUCKET.answer)
    assert counted(lab, ask, 1) == 0  # botocore's good answer teaches anew
    left = store._direct._to_skip["GetObject" if what == "get" else "ListObjectsV2"]
    assert PAUSE - 10 < left <= PAUSE
    assert counted(lab, ask, left) == 0
    assert counted(lab, ask, 5) == 5


def test_patience__is_not_for_what_is_taken_now_and_then(lab: Recorder) -> None:
    store = warm(store_by(lab.url, client=OPTIONS))
    denied = failure(403, "AccessDenied")
    lab.play(lambda asked: BUCKET.answer(asked) if asked.key == "a.jpg" else denied)
    lab.heard.clear()
    for _time in range(10):
        for key in ["x"] * (PATIENCE - 1) + ["a.jpg"]:
            store.get(key)

    assert len(lab.direct()) == 10 * PATIENCE


def test_pattern__that_aged_is_learnt_anew(lab: Recorder) -> None:
    """The bucket is served from another region from now on."""
    store = warm(store_by(lab.url, client=OPTIONS))
    moved = failure(400, "AuthorizationHeaderMalformed", f"<Region>{ELSEWHERE}</Region>")
    lab.play(lambda asked: BUCKET.answer(asked) if asked.signed_region == ELSEWHERE else moved)
    assert all(get(store).status == 206 for _time in range(PATIENCE + PAUSE + 1))
    lab.heard.clear()

    assert get(store).headers["x-amz-bucket-region"] == ELSEWHERE
    assert [one.is_direct for one in lab.heard] == [True]


# --- a project's own handlers -------------------------------------------------------------------------------


@pytest.mark.parametrize("sends_to", ["another key", "another bucket"])
def test_handler__that_sends_each_key_elsewhere_keeps_botocore(sends_to: str, lab: Recorder) -> None:
    """Were its first request a pattern, every other key would be asked for in a wrong place, and be absent there."""

    def elsewhere(params: dict[str, Any], **_event: Any) -> None:
        if sends_to == "another key":
            params["Key"] = f"{sum(params['Key'].encode()) % 10}/{params['Key']}"
        else:
            params["Bucket"] = f"shard-{sum(params['Key'].encode()) % 10}"

    store = store_by(lab.url, client=OPTIONS)
    store._client.meta.events.register("before-parameter-build.s3.GetObject", elsewhere)
    warm(store)
    lab.heard.clear()
    store.get("a.jpg")

    assert [one.is_direct for one in lab.heard] == [False]
