"""An S3 for the demo and the tests: moto's server behind a layer that refuses what real S3 refuses.

moto accepts any signature for any region, and answers 404 to those who may not list. With that, the incident
that this project comes from cannot be seen. ``project/refusals.py`` says what the layer refuses; signatures
are really checked. Every answer has a request id, and tells the bucket's region as S3 does: always, but not
to a HEAD of an object. Path-style addresses only.

moto keeps its buckets per process: two of these servers in one process show the same buckets.

The same server is an SQS: a bucket's notifications arrive in its queues. What may be done there is decided by ``denied``
alone (``sqs:ReceiveMessage``, ...).
"""

from __future__ import annotations

import argparse
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from project.buckets import forget_all, keys_of, region_of
from project.refusals import FORBIDDEN, Asked, Refusal, queue_action, refusal_of

ACCESS_KEY = "AKIAEMBEDDEDEXAMPLE1"
SECRET_KEY = "embedded-secret-for-the-demo-only"
PORT = 5005
"""Where project/settings.py looks for it when no variable says otherwise."""
LOG_LENGTH = 10_000

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class EmbeddedS3:
    """Listens on 127.0.0.1 from ``start`` to ``stop``; ends with its process.

    ``denied`` maps an access key to actions that it lacks (``s3:ListBucket``, ``s3:GetObject``,
    ``s3:ListBucketVersions``). The key of ``access_key`` has all rights unless named there.
    """

    access_key = ACCESS_KEY
    secret_key = SECRET_KEY

    def __init__(
        self,
        port: int = 0,
        *,
        keys: Mapping[str, str] | None = None,
        denied: Mapping[str, set[str]] | None = None,
    ) -> None:
        self.keys = {self.access_key: self.secret_key, **(keys or {})}
        self.denied = dict(denied or {})
        self.requests: deque[tuple[str, str, str, int]] = deque(maxlen=LOG_LENGTH)
        self._port = port
        self._server: Any = None
        self._clients: dict[str, Any] = {}
        """Its own, by region: making one takes longer than what it is asked for."""

    def __enter__(self) -> EmbeddedS3:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> EmbeddedS3:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, *args: Any, **kwargs: Any) -> None:
                """Keys and signatures have no business in a log."""

        _moto("s3")  # it takes a second to import, which nobody's first request should wait for
        self._server = make_server(
            "127.0.0.1", self._port, _Layer(self), threaded=True, request_handler=Quiet
        )
        self._port = self._server.server_port  # started again, it has the same address
        threading.Thread(target=self._server.serve_forever, daemon=True, name="embedded-s3").start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("The embedded S3 has no address before start() and after stop().")
        return f"http://127.0.0.1:{self._server.server_port}"

    def client(self, region: str = "us-east-1", **options: Any) -> Any:
        import boto3
        from botocore.config import Config

        # no proxies: those of the environment would be asked for 127.0.0.1 too
        config = {"s3": {"addressing_style": "path"}, "signature_version": "s3v4", "proxies": {}, **options}
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(**config),
        )

    def queue_client(self, region: str = "us-east-1") -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "sqs",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(proxies={}),
        )

    def create_bucket(self, name: str, region: str = "us-east-1") -> None:
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self._own_client(region).create_bucket(Bucket=name, **where)

    def put(self, bucket: str, key: str, body: bytes = b"x", content_type: str = "image/jpeg") -> None:
        self._client_for(bucket).put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def delete(self, bucket: str, key: str) -> None:
        self._client_for(bucket).delete_object(Bucket=bucket, Key=key)

    def keys_in(self, bucket: str) -> list[str]:
        return keys_of(bucket)

    def reset(self) -> None:
        """Forget every bucket, and what was asked."""
        forget_all()
        self.requests.clear()

    def _client_for(self, bucket: str) -> Any:
        return self._own_client(region_of(bucket) or "us-east-1")

    def _own_client(self, region: str) -> Any:
        if region not in self._clients:
            self._clients[region] = self.client(region)
        return self._clients[region]


class _Layer:
    """The WSGI layer: refuse what S3 would refuse, else hand on to moto."""

    def __init__(self, s3: EmbeddedS3) -> None:
        self.s3 = s3

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked = _read(environ)
        action = queue_action(asked)
        if action:
            self._log(asked, "200 OK")
            if action in self.s3.denied.get(self.s3.access_key, ()):
                return _refuse_queue(environ, start_response)
            asks_queue: Iterable[bytes] = _moto("sqs")(environ, start_response)
            return asks_queue
        refusal = refusal_of(asked, self.s3.keys, self.s3.denied)
        if refusal is not None:
            return self._refuse(asked, refusal, environ, start_response)

        def with_more(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            self._log(asked, status)
            theirs = {name.lower(): value for name, value in headers}
            # moto has an id of its own, which its error documents name
            more = _always(asked, theirs.get("x-amzn-requestid") or _request_id())
            kept = [one for one in headers if one[0].lower() not in more]
            return start_response(status, [*kept, *more.items()], exc_info)

        result: Iterable[bytes] = _moto("s3")(environ, with_more)
        return result

    def _refuse(
        self, asked: Asked, refusal: Refusal, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        self._log(asked, refusal.status)
        length = asked.headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            environ["wsgi.input"].read(int(length))  # a client that is still sending must see the answer
        request_id = _request_id()
        body = refusal.document(asked, request_id)
        more = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
        start_response(refusal.status, [*_always(asked, request_id).items(), *more.items()])
        return [body]

    def _log(self, asked: Asked, status: str) -> None:
        self.s3.requests.append((asked.method, asked.raw_path, asked.raw_query, int(status.split()[0])))


@cache
def _moto(service: Literal["s3", "sqs"]) -> Any:
    """moto's application for a service. Its own dispatcher, which knows two hundred, looks through their folders for each
    request: half of what an answer took."""
    from moto.moto_server.werkzeug_app import create_backend_app

    return create_backend_app(service)


def _refuse_queue(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """SQS's own form of a refusal: JSON."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = b'{"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not authorized"}'
    headers = {"Content-Type": "application/x-amz-json-1.0", "Content-Length": str(len(body))}
    start_response(FORBIDDEN, list(headers.items()))
    return [body]


def _always(asked: Asked, request_id: str) -> dict[str, str]:
    """The headers of every answer: its id, and the bucket's region but for a HEAD of an object."""
    headers = {"x-amz-request-id": request_id}
    region = region_of(asked.bucket)
    if region and not (asked.method == "HEAD" and asked.key):
        headers["x-amz-bucket-region"] = region
    return headers


def _request_id() -> str:
    return uuid.uuid4().hex[:16].upper()


def _read(environ: Environ) -> Asked:
    raw_path, _mark, raw_query = str(environ.get("RAW_URI") or environ["REQUEST_URI"]).partition("?")
    bucket, _slash, key = raw_path.lstrip("/").partition("/")
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    return Asked(
        environ["REQUEST_METHOD"], raw_path, raw_query, unquote(bucket), unquote(key), query, headers
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the embedded S3 on 127.0.0.1 until Ctrl-C.")
    parser.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one (default {PORT})")
    port = parser.parse_args().port
    if not 0 <= port <= 65535:
        parser.error(f"--port {port} is no port: give one from 0 to 65535.")
    with EmbeddedS3(port) as s3:
        print(f"S3 at {s3.url}, access key {s3.access_key}, secret key {s3.secret_key}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
