"""The URL of the site as a browser gets it: over a real socket, and without a word of it being told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from imagesync.storage.browser import Browsed, address_of, browse
from tests.storage.scripted import Answer, Request, error, scripted

SIGNED = (
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDTEST%2F20261123%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Signature=5eac1e5&X-Amz-Security-Token=t0ken"
)


def test_address__tells_the_signature_and_its_region_and_nothing_else() -> None:
    address = address_of(f"https://user:pw@b.s3.amazonaws.com/a.jpg{SIGNED}")

    assert address.to_dict() == {
        "host": "b.s3.amazonaws.com",
        "scheme": "https",
        "signature": "v4",
        "region": "us-east-1",
    }
    assert not {"5eac1e5", "t0ken", "AKIDTEST", "pw"} & set(str(address).replace("'", " ").split())


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("", "none"),
        ("?AWSAccessKeyId=A&Signature=s&Expires=1", "v2"),
        ("?Expires=1&Signature=s&Key-Pair-Id=K", "cloudfront"),
        ("?X-Amz-Signature=s&X-Amz-Credential=<script>", "v4"),
    ],
)
def test_address__knows_the_kinds_of_signature(query: str, signature: str) -> None:
    address = address_of(f"https://h/k{query}")

    assert (address.signature, address.region) == (signature, "")


@pytest.mark.parametrize("url", ["", "/media/a.jpg", "file:///etc/passwd", "https:///a", "//h/a"])
def test_address__of_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        address_of(url)


def test_browse__asks_for_one_byte_without_credentials() -> None:
    with scripted(lambda asked: Answer(206, b"x", {"Content_Type": "image/jpeg"})) as server:
        browsed = browse(f"{server.url}/b/a.jpg{SIGNED}")

    assert browsed.loads
    assert browsed.content_type == "image/jpeg"
    assert [(one.method, one.authorization) for one in server.requests] == [("GET", "")]


def test_browse__tells_s3s_code() -> None:
    with scripted(lambda asked: error(400, "AuthorizationQueryParametersError")) as server:
        browsed = browse(f"{server.url}/b/a.jpg{SIGNED}")

    assert not browsed.loads
    assert (browsed.status, browsed.code) == (400, "AuthorizationQueryParametersError")


def test_browse__does_not_follow_a_redirect() -> None:
    headers = {"Location": "https://user:pw@b.s3.eu-north-1.amazonaws.com/a.jpg?X-Amz-Signature=5"}
    with scripted(lambda asked: Answer(307, b"", headers)) as server:
        browsed = browse(f"{server.url}/a.jpg")

    assert (browsed.status, browsed.redirected_to) == (307, "b.s3.eu-north-1.amazonaws.com")
    assert len(server.requests) == 1


def test_browse__resolves_dots_as_a_browser_does() -> None:
    asked: list[Request] = []

    def script(request: Request) -> Answer:
        asked.append(request)
        return Answer(200, b"x")

    with scripted(script) as server:
        browse(f"{server.url}/b/x/../a.jpg")

    assert [request.path for request in asked] == ["/b/a.jpg"]


@contextmanager
def talking(bytes_sent: bytes, *, then_wait: float = 0.0) -> Iterator[str]:
    """A server that sends ``bytes_sent`` to whoever connects, whatever is asked."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            peer, _address = listener.accept()
        except OSError:
            return
        with peer:
            peer.recv(4096)
            peer.sendall(bytes_sent)
            stop.wait(then_wait)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
    finally:
        stop.set()
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("sent", "code"), [(b"garbage\r\n\r\n", "BadStatusLine"), (b"", "RemoteDisconnected")]
)
def test_browse__no_http_answer_is_an_outcome(sent: bytes, code: str) -> None:
    with talking(sent) as url:
        browsed = browse(url, timeout=2)

    assert (browsed.status, browsed.code) == (None, code)


def test_browse__a_silent_server_does_not_hold_it() -> None:
    with talking(b"", then_wait=20) as url:
        browsed = browse(url, timeout=0.3)

    assert (browsed.status, browsed.code) == (None, "TimeoutError")


def test_browse__a_dribbling_error_body_does_not_hold_it() -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n<Error><Code>AccessDenied</Code>"
    with talking(head, then_wait=20) as url:
        browsed: Browsed = browse(url, timeout=0.3)

    assert (browsed.status, browsed.code) == (403, "AccessDenied")


@pytest.mark.parametrize("host", ["cdn..example.com", "a" * 70 + ".com"])
def test_browse__a_host_that_dns_cannot_name_is_no_answer(host: str) -> None:
    browsed = browse(f"http://{host}/a.jpg", timeout=2)

    assert browsed.status is None
    assert browsed.code in ("UnicodeError", "UnicodeEncodeError")  # the latter from Python 3.13 on


def test_browse__a_dribbling_head_does_not_hold_it() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def dribble() -> None:
        peer, _address = listener.accept()
        with peer, contextlib.suppress(OSError):
            peer.recv(4096)
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200:
                peer.sendall(bytes([byte]))
                if stop.wait(0.1):
                    return

    thread = threading.Thread(target=dribble, daemon=True)
    thread.start()
    began = time.monotonic()
    browsed = browse(f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg", timeout=0.5)
    took = time.monotonic() - began
    stop.set()
    listener.close()
    thread.join(5)

    assert (browsed.status, browsed.code) == (None, "TimeoutError")
    assert took < 10  # of the 22 s that the server would take
