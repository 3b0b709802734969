"""HTTP for plain answers: a request goes out, and a status, headers and a body of a known length come back.

Of what one small request costs the interpreter, most is urllib3's and http.client's work for answers of every kind.
Answers that are taken directly are of one kind, so they are read here, from sockets that are kept. Whatever is not
plain (another version, a folded header, a length that is none, a byte too many or too few, a connection that ends)
raises ``NotPlain`` or what the socket raises; the connection is closed then, and the caller asks botocore.
"""

from __future__ import annotations

import re
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Iterable
from typing import TypeVar

MOST_HEAD_BYTES = 65_536
MOST_HEADERS = 100
"""As http.client has it."""
MOST_BODY_BYTES = 2**25
"""Ten times a page of a thousand keys of 1,024 bytes, each written as %XX."""
_PIECE = 65_536
Body = bytes | bytearray
Received = TypeVar("Received", bytes, int)
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-9][0-9]{2})(?: [\t -~\x80-\xff]*)?((?:\r\n[!-9;-~]+:[\t -~\x80-\xff]*)*)"  # RFC 9112, 4 and 5
)
_LENGTH = re.compile("[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class NotPlain(Exception):
    """An answer that is left to botocore."""


class Connections:
    """To one origin; threads may share it. ``context`` is None for http. Timeouts in seconds."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None,
        connect_timeout: float,
        read_timeout: float,
        most_kept: int,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._most_kept = most_kept
        self._kept: deque[socket.socket] = deque()
        weakref.finalize(self, _close_all, self._kept)

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, str]]) -> Answer:
        """The answer's head; its body is to be read, or the answer closed."""
        lines = [f"{method} {target} HTTP/1.1", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers]
        sent = "\r\n".join((*lines, "\r\n")).encode("latin-1")
        if not sent.count(b"\r") == sent.count(b"\n") == len(lines) + 1:
            raise NotPlain("a header of several lines")
        connection = self._connected()
        try:
            connection.sendall(sent)
            return Answer(self, connection, method)
        except BaseException:
            connection.close()
            raise

    def keep(self, connection: socket.socket) -> None:
        """For the next request: its answer was read to the end."""
        if len(self._kept) < self._most_kept:
            self._kept.append(connection)
        else:
            connection.close()

    def _connected(self) -> socket.socket:
        from urllib3.util import wait_for_read  # which boto3 brings; importing it takes a while

        while self._kept:
            try:
                connection = self._kept.pop()
            except IndexError:  # another thread was faster
                break
            if not wait_for_read(connection, timeout=0):
                return connection
            connection.close()  # it was closed by the server, or says what nobody asked
        made = socket.create_connection((self._host, self._port), timeout=self._connect_timeout)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                made = self._context.wrap_socket(made, server_hostname=self._host)
            made.settimeout(self._read_timeout)
        except BaseException:
            made.close()
            raise
        return made


def _close_all(connections: deque[socket.socket]) -> None:
    while connections:
        connections.pop().close()


class Answer:
    """``headers`` have names in lower case; those of one name are joined."""

    def __init__(self, origin: Connections, connection: socket.socket, method: str) -> None:
        self._origin = origin
        self._connection = connection
        self._come = b""
        """What was received and not read yet."""
        head = _HEAD.fullmatch(self._upto(b"\r\n\r\n"))
        if head is None:
            raise NotPlain("a head of another kind")
        self.status = int(head[1])
        self.headers: dict[str, str] = {}
        lines = head[2].decode("latin-1").split("\r\n")[1:]
        if len(lines) > MOST_HEADERS:
            raise NotPlain("many headers")
        for line in lines:
            name, _colon, value = line.partition(":")
            lowered, value = name.lower(), value.lstrip(" \t")
            told = self.headers.get(lowered)
            self.headers[lowered] = value if told is None else f"{told}, {value}"
        self._has_body = method != "HEAD" and self.status not in (204, 304)

    def close(self) -> None:
        self._connection.close()

    def whole(self, most: int = MOST_BODY_BYTES) -> Body:
        """All of the body. Raises NotPlain when it is longer than ``most`` bytes."""
        try:
            body: Body = self._body(most) if self._has_body else b""
            if self._come or self._has_decrypted_more():
                raise NotPlain("more than was announced")
        except BaseException:
            self.close()
            raise
        if self.headers.get("connection", "keep-alive").lower() == "keep-alive":
            self._origin.keep(self._connection)
        else:
            self.close()
        return body

    def first_byte(self) -> bytes:
        """The first byte of the body, whose others are not read; nothing of an empty one."""
        if self._length() <= 1:
            return bytes(self.whole())
        try:
            return bytes(self._exactly(1))
        finally:
            self.close()

    def _body(self, most: int) -> Body:
        if "transfer-encoding" in self.headers:
            return self._chunks(most)
        length = self._length()
        if length > most:
            raise NotPlain("a long body")
        return self._exactly(length)

    def _length(self) -> int:
        told = self.headers.get("content-length", "")
        if _LENGTH.fullmatch(told) is None or "transfer-encoding" in self.headers:
            self.close()
            raise NotPlain("a body without a length")
        return int(told)

    def _chunks(self, most: int) -> bytes:
        """RFC 9112, 7.1, without extensions and trailers."""
        if self.headers["transfer-encoding"].lower() != "chunked" or "content-length" in self.headers:
            raise NotPlain("another transfer encoding")
        chunks, length = [], 0
        while size := self._chunk_size():
            length += size
            if length > most:
                raise NotPlain("a long body")
            chunks.append(self._exactly(size))
            self._ends_line()
        self._ends_line()
        return b"".join(chunks)

    def _chunk_size(self) -> int:
        told = self._upto(b"\r\n")
        if _CHUNK_SIZE.fullmatch(told) is None:
            raise NotPlain("a chunk without a size")
        return int(told, 16)

    def _ends_line(self) -> None:
        if self._exactly(2) != b"\r\n":
            raise NotPlain("a chunk of another size")

    # --- bytes -----------------------------------------------------------------------------------------

    def _upto(self, mark: bytes) -> bytes:
        while (end := self._come.find(mark)) < 0:
            if len(self._come) > MOST_HEAD_BYTES:
                raise NotPlain("a long head")
            self._come += self._received(self._connection.recv(_PIECE))
        found, self._come = self._come[:end], self._come[end + len(mark) :]
        return found

    def _exactly(self, length: int) -> Body:
        """Read into one piece of memory: what is put together of several needs twice as much, and every thread keeps it."""
        if len(self._come) >= length:
            found, self._come = self._come[:length], self._come[length:]
            return found
        whole, begun = bytearray(length), len(self._come)
        whole[:begun], self._come = self._come, b""
        lacking = memoryview(whole)[begun:]
        while lacking:
            lacking = lacking[self._received(self._connection.recv_into(lacking)) :]
        return whole

    def _has_decrypted_more(self) -> bool:
        """What TLS holds back the socket does not tell of, so the next answer would begin with it."""
        return isinstance(self._connection, ssl.SSLSocket) and self._connection.pending() > 0

    @staticmethod
    def _received(what: Received) -> Received:
        """What ``recv`` or ``recv_into`` gave, unless that was nothing."""
        if not what:
            raise NotPlain("the connection ended")
        return what
