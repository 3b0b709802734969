"""A TCP server on 127.0.0.1 that answers what a script tells it to, well-formed or not.

Everything of botocore is then in the loop: its pool, retries, redirects and parsers, which stubs leave out.
"""

from __future__ import annotations

import select
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, unquote

SILENCE_SECONDS = 10.0
"""At most; a client that gives up ends it sooner."""
PAUSE_SECONDS = 0.1


class Manner(Enum):
    """How an answer is brought."""

    WHOLE = "whole"
    CUT = "cut"
    """The head announces all of the body, and half of it comes."""
    CLOSE = "close"
    """The connection is closed before a word is said."""
    RESET = "reset"
    """The same, by RST."""
    SLOW = "slow"
    """It comes in two pieces, with a pause between that is shorter than anybody's patience."""
    SILENT = "silent"
    """The request is read and nothing follows."""
    RAW = "raw"
    """The body is all that is sent: no status line, no headers."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = Manner.WHOLE


@dataclass(frozen=True)
class Asked:
    """One request, as far as S3 tells requests apart."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    signed_region: str
    nth: int
    """1 for the first time that this is asked, 2 for its first retry …"""

    @property
    def operation(self) -> str:
        """``HEAD``, ``GET``, ``HEAD_BUCKET``, ``LIST``, ``VERSIONS``, ``VERSIONING`` or ``SESSION``."""
        if self.key:
            return self.method
        if self.method == "HEAD":
            return "HEAD_BUCKET"
        for name in ("versions", "versioning", "session"):
            if name in self.query:
                return name.upper()
        return "LIST"


Script = Callable[[Asked], Answer]


class Lab:
    """Listens from ``with`` to its end. ``script`` may be replaced at any time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._server: _Server | None = None
        self._times: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Lab:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("The lab listens only inside of its with block.")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def play(self, script: Script) -> None:
        """Answer by ``script`` from now on, and count from one again."""
        with self._lock:
            self._times.clear()
            self.script = script

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        with self._lock:
            self._times[method, target] += 1
            nth, script = self._times[method, target], self.script
        return script(_read(method, target, headers, nth))


def _read(method: str, target: str, headers: Mapping[str, str], nth: int) -> Asked:
    path, _mark, query = target.partition("?")
    bucket, _slash, key = path.lstrip("/").partition("/")
    credential = headers.get("authorization", "").partition("Credential=")[2].split("/")
    return Asked(
        method=method,
        bucket=unquote(bucket),
        key=unquote(key),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        signed_region=credential[2] if len(credential) > 2 else "",
        nth=nth,
    )


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        super().__init__(("127.0.0.1", 0), _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what this server is for."""


class _Connection(socketserver.StreamRequestHandler):
    server: _Server
    connection: socket.socket
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while (request := self._request()) is not None:
            method, target, headers = request
            if not self._send(self.server.lab.answer(method, target, headers), method):
                return

    def _request(self) -> tuple[str, str, dict[str, str]] | None:
        line = self.rfile.readline(65536).decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (header := self.rfile.readline(65536).decode("latin-1").strip()) != "":
            name, _colon, value = header.partition(":")
            headers[name.lower()] = value.strip()
        self.rfile.read(int(headers.get("content-length", "0")))
        return line[0], line[1], headers

    def _send(self, answer: Answer, method: str) -> bool:
        """Bring an answer; False when the connection is then over."""
        if answer.manner is Manner.WHOLE:
            self.wfile.write(_head(answer) + (b"" if method == "HEAD" else answer.body))
            return answer.headers.get("Connection") != "close"
        if answer.manner is Manner.SLOW:
            whole = _head(answer) + answer.body
            self.wfile.write(whole[: len(whole) // 2])
            time.sleep(PAUSE_SECONDS)
            self.wfile.write(whole[len(whole) // 2 :])
        elif answer.manner is Manner.CUT:
            self.wfile.write(_head(answer) + answer.body[: len(answer.body) // 2])
        elif answer.manner is Manner.RAW:
            self.wfile.write(answer.body)
        elif answer.manner is Manner.SILENT:
            select.select([self.connection], [], [], SILENCE_SECONDS)
        elif answer.manner is Manner.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        return False


def _head(answer: Answer) -> bytes:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    if answer.status in (204, 304):
        del headers["Content-Length"]
    lines = [f"HTTP/1.1 {answer.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
