"""A server on a real socket that answers what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from imagesync.storage.store import ClientOptions, S3Store

XML = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    authorization: str
    host: str = ""

    @property
    def kind(self) -> str:
        """The API operation, as far as these tests tell them apart."""
        if self.method == "HEAD":
            return "HeadObject" if self.path.strip("/").count("/") else "HeadBucket"
        if "versioning" in self.query:
            return "GetBucketVersioning"
        if "versions" in self.query:
            return "ListObjectVersions"
        for name, kind in _OF_THE_BUCKET.items():
            if name in self.query:
                return kind
        return "ListObjectsV2" if "list-type" in self.query else "GetObject"


_OF_THE_BUCKET = {
    "location": "GetBucketLocation",
    "lifecycle": "GetBucketLifecycleConfiguration",
    "policyStatus": "GetBucketPolicyStatus",
    "publicAccessBlock": "GetPublicAccessBlock",
    "acl": "GetBucketAcl",
}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def error(status: int, code: str, more: str = "", **headers: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message>{more}</Error>".encode()
    return Answer(status, body, headers)


Script = Callable[[Request], Answer]


@dataclass
class Server:
    url: str
    requests: list[Request]

    def kinds(self) -> list[str]:
        return [request.kind for request in self.requests]


@contextmanager
def scripted(script: Script) -> Iterator[Server]:
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            authorization = self.headers.get("Authorization", "")
            asked = Request(self.command, parts.path, query, authorization, self.headers.get("Host", ""))
            requests.append(asked)
            told = script(asked)
            if "Date" in told.headers:
                self.send_response_only(told.status)
            else:
                self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        do_GET = do_HEAD = answer  # noqa: N815 - the base class looks for these names

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def storage_of(url: str, *, region: str = "us-east-1", bucket: str = "b", **options: Any) -> Any:
    from storages.backends.s3 import S3Storage

    return S3Storage(
        bucket_name=bucket,
        region_name=region,
        endpoint_url=url,
        access_key="AKIDTEST",
        secret_key="test-secret",
        addressing_style="path",
        signature_version="s3v4",
        **options,
    )


def store_at(url: str, **options: Any) -> S3Store:
    client = ClientOptions(connect_timeout=1, read_timeout=2, max_attempts=1)
    return S3Store.from_storage(storage_of(url, **options), alias="default", options=client)
