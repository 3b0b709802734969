"""What the tests of uploads share: pictures, storages, counted requests, and a proxy that spoils uploads."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from boto3.s3.transfer import TransferConfig
from PIL import Image as Picture

from imagesync.storage.verified import VerifiedS3Storage
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION

MIB = 1024 * 1024
SMALL_PARTS = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)


def png(width: int = 3, height: int = 2) -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


def storage_at(url: str, kind: type[Any] = VerifiedS3Storage, **options: Any) -> Any:
    given = {
        "bucket_name": BUCKET,
        "region_name": REGION,
        "endpoint_url": url,
        "access_key": EmbeddedS3.access_key,
        "secret_key": EmbeddedS3.secret_key,
        "addressing_style": "path",
        "signature_version": "s3v4",
        "file_overwrite": True,
        **options,
    }
    return kind(**given)


def methods(s3: EmbeddedS3) -> list[str]:
    """The methods of the requests since the last call, in order."""
    found = [method for method, _path, _query, _status in s3.requests]
    s3.requests.clear()
    return found


class Stream(io.RawIOBase):
    """A file that can be read once."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


@dataclass
class Passing:
    """One request through the proxy, and what may be changed about it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


@dataclass
class Proxy:
    url: str
    before: Callable[[Passing], None] = lambda passing: None
    """Changes a request on its way to the store."""
    after: Callable[[Passing], None] = lambda passing: None
    """Changes an answer on its way back."""
    seen: list[str] = field(default_factory=list)


@contextmanager
def proxy_of(port: int) -> Iterator[Proxy]:
    """A proxy on 127.0.0.1 in front of another port, that can be told to spoil what passes.

    The Host header passes as it came, so signatures stay right.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            body = self.rfile.read(length)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            passing = Passing(self.command, self.path, headers, body)
            proxy.seen.append(self.command)
            proxy.before(passing)
            passing.headers["Content-Length"] = str(len(passing.body))
            there = HTTPConnection("127.0.0.1", port, timeout=10)
            there.putrequest(passing.method, passing.path, skip_host=True, skip_accept_encoding=True)
            for name, value in passing.headers.items():
                there.putheader(name, value)
            there.endheaders(passing.body)
            answer = there.getresponse()
            passing.status, passing.content = answer.status, answer.read()
            passing.answer = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("connection", "transfer-encoding")
            }
            there.close()
            proxy.after(passing)
            self.send_response(passing.status)
            for name, value in passing.answer.items():
                if name.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(passing.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(passing.content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - the base class's names

        def handle_expect_100(self) -> bool:
            return True

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
