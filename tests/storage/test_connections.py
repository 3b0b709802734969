"""What our own reading of an answer takes, http.client reads alike; everything else is refused and its socket closed."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagesync.storage.connections import Answer, Connections, NotPlain

ORIGIN = Connections("127.0.0.1", 9, context=None, connect_timeout=1, read_timeout=1, most_kept=10)
Read = tuple[int, dict[str, str], bytes]


def answering(come: bytes) -> socket.socket:
    """A connection on which these bytes came, and then the end."""
    here, there = socket.socketpair()
    there.sendall(come)
    there.close()
    return here


def ours(come: bytes, method: str) -> Read | None:
    """None when it is refused; its connection is then closed."""
    connection = answering(come)
    try:
        answer = Answer(ORIGIN, connection, method)
        found = answer.status, answer.headers, answer.whole()
    except NotPlain:
        found = None
        connection.close()
    kept = list(ORIGIN._kept)
    ORIGIN._kept.clear()
    assert (connection.fileno() == -1) is (connection not in kept)
    connection.close()
    return found


def by_http_client(come: bytes, method: str) -> Read:
    with answering(come) as connection:
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        headers: dict[str, str] = {}
        for name, value in answer.msg.items():
            known = headers.get(name.lower())
            headers[name.lower()] = value if known is None else f"{known}, {value}"
        return answer.status, headers, answer.read()


NAMES = st.sampled_from(
    ["Content-Length", "ETag", "x-amz-request-id", "Connection", "Transfer-Encoding", "Date", "A b", "é", ""]
)
VALUES = st.sampled_from(["3", "0", " 3", "3 ", "\t3", "close", "keep-alive", "Keep-Alive", "chunked", "gzip", "\xe9", "a:b", "", "-1", "03", "3, 3", "a\x0bb",
                          "a\x85b", "a\rb", "a\x00b", "x" * 300])  # fmt: skip
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", " \r\n", ""])
STARTS = st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 206", "HTTP/1.1 204 No", "HTTP/1.0 200 OK", "HTTP/1.1 100 Continue",
                          "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "garbage", "", "HTTP/1.1 200 \xe9", "http/1.1 200 OK", "HTTP/1.1 200\tOK"])  # fmt: skip
BODIES = st.sampled_from([b"", b"abc", b"abcd", b"ab", b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n", b"3;x=y\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n",
                          b"3\r\nabc\r\n0\r\nTrailer: a\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
                          b"3\nabc\n0\n\n", b"0\r\n\r\n", b"abcHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    head = draw(STARTS) + draw(ENDS)
    for _each in range(draw(st.integers(0, 4))):
        head += f"{draw(NAMES)}{draw(st.sampled_from([': ', ':', ' : ', '']))}{draw(VALUES)}{draw(ENDS)}"
    return head.encode("latin-1") + draw(st.sampled_from([b"\r\n", b"\n", b""])) + draw(BODIES)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: a\r\nETag:b\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


@settings(max_examples=1500, deadline=None)
@given(come=answers(), method=st.sampled_from(["GET", "GET", "HEAD"]))
@example(come=PLAIN, method="GET")
@example(come=CHUNKED, method="GET")
@example(come=CHUNKED[:-2], method="GET")
@example(come=PLAIN[:-3], method="HEAD")
def test_answer__that_is_taken_is_read_as_http_client_reads_it(come: bytes, method: str) -> None:
    found = ours(come, method)

    if found is not None:
        assert found == by_http_client(come, method)


@pytest.mark.parametrize(
    ("come", "method", "read"),
    [
        (PLAIN, "GET", (200, {"content-length": "3", "etag": "a, b"}, b"abc")),
        (PLAIN[:-3], "HEAD", (200, {"content-length": "3", "etag": "a, b"}, b"")),
        (CHUNKED, "GET", (404, {"transfer-encoding": "chunked"}, b"abc")),
        (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", "GET", (404, {"content-length": "0"}, b"")),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HEAD", (404, {}, b"")),
        (PLAIN + b"x", "GET", None),
        (PLAIN[:-1], "GET", None),
        (PLAIN, "HEAD", None),
        (CHUNKED[:-2], "GET", None),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", "GET", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "GET", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "GET", None),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"Content-Length: 0\r\n\r\n", "GET", None),
        (b"HTTP/1.1 200 OK\r\nETag: " + b"a" * 140_000 + b"\r\nContent-Length: 0\r\n\r\n", "GET", None),
    ],
)  # fmt: skip
def test_answer__is_taken_when_it_is_plain(come: bytes, method: str, read: Read | None) -> None:
    """Else the test above would show nothing."""
    assert ours(come, method) == read


def test_body__that_is_longer_than_it_may_be_is_refused() -> None:
    for come in (PLAIN, CHUNKED):
        connection = answering(come)
        with pytest.raises(NotPlain, match="long"):
            Answer(ORIGIN, connection, "GET").whole(2)
        assert connection.fileno() == -1


@pytest.mark.parametrize("length", [0, 1, 3])
def test_first_byte__keeps_the_connection_only_when_no_other_follows(length: int) -> None:
    connection = answering(b"HTTP/1.1 206 P\r\nContent-Length: %d\r\n\r\n%b" % (length, b"abc"[:length]))

    assert Answer(ORIGIN, connection, "GET").first_byte() == b"a"[:length]

    assert list(ORIGIN._kept) == ([connection] if length < 2 else [])
    ORIGIN._kept.clear()
    connection.close()


def test_header__of_several_lines_is_never_sent() -> None:
    for value in ("a\r\nX: y", "a\nX: y", "a\rX: y"):
        with pytest.raises(NotPlain):
            ORIGIN.ask("GET", "/", [("Name", value)])


@pytest.fixture
def server() -> Iterator[tuple[socket.socket, Connections]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        port = listening.getsockname()[1]
        yield (
            listening,
            Connections("127.0.0.1", port, context=None, connect_timeout=5, read_timeout=0.2, most_kept=2),
        )


@pytest.mark.parametrize("behind", ["nothing", "another answer", "the end"])
def test_connection__is_used_again_only_when_nothing_came_behind(
    behind: str, server: tuple[socket.socket, Connections]
) -> None:
    listening, connections = server
    first = connections._connected()
    there, _address = listening.accept()
    there.sendall(PLAIN)
    assert Answer(connections, first, "GET").whole() == b"abc"

    if behind == "another answer":
        there.sendall(PLAIN)
    elif behind == "the end":
        there.close()
    second = connections._connected()

    assert (second is first) is (behind == "nothing")
    assert (first.fileno() == -1) is (behind != "nothing")
    for one in (first, second, there):
        one.close()


def test_answer__that_never_comes_ends_in_time(server: tuple[socket.socket, Connections]) -> None:
    _listening, connections = server

    with pytest.raises(TimeoutError):
        connections.ask("GET", "/", [("Host", "a")])
    assert not connections._kept


def test_connections__are_closed_with_their_owner_and_beyond_the_most() -> None:
    owner = Connections("127.0.0.1", 9, context=None, connect_timeout=1, read_timeout=1, most_kept=2)
    sockets = [socket.socket() for _each in range(3)]
    for one in sockets:
        owner.keep(one)
    assert [one.fileno() == -1 for one in sockets] == [False, False, True]

    del owner

    assert {one.fileno() for one in sockets} == {-1}
