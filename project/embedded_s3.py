"""An S3 for the demo and the tests: moto's server behind a layer that refuses what real S3 refuses.

moto accepts any signature for any region, and answers 404 to those who may not list. With that, the incident
that this project comes from cannot be seen. The layer answers, as S3 does: a signature for the wrong region,
Signature Version 2, an unknown key id, a wrong signature, an expired URL, an absent key without
``s3:ListBucket``, a key over 1,024 bytes. A HEAD never has a body, so its errors are bare.
"""

from __future__ import annotations

import argparse
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from project.signatures import Signed, read_signature, signature_is_right

ACCESS_KEY = "AKIAEMBEDDEDEXAMPLE1"
SECRET_KEY = "embedded-secret-for-the-demo-only"
LOG_LENGTH = 10_000

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class Asked:
    """One request as the layer looks at it."""

    method: str
    raw_path: str
    raw_query: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Refusal:
    status: str
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()
    tells_region: bool = True


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

    def __enter__(self) -> EmbeddedS3:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> EmbeddedS3:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, *args: Any, **kwargs: Any) -> None:
                """Keys and signatures have no business in a log."""

        moto = DomainDispatcherApplication(create_backend_app)
        layer = _Layer(self, moto)
        self._server = make_server("127.0.0.1", self._port, layer, threaded=True, request_handler=Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True, name="embedded-s3").start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def client(self, region: str = "us-east-1", **options: Any) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", **options),
        )

    def create_bucket(self, name: str, region: str = "us-east-1") -> None:
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client(region).create_bucket(Bucket=name, **where)

    def put(self, bucket: str, key: str, body: bytes = b"x", content_type: str = "image/jpeg") -> None:
        client = self.client(region_of(bucket) or "us-east-1")
        client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def delete(self, bucket: str, key: str) -> None:
        self.client(region_of(bucket) or "us-east-1").delete_object(Bucket=bucket, Key=key)

    def keys_in(self, bucket: str) -> list[str]:
        found = _moto_bucket(bucket)
        return sorted(found.keys) if found else []

    def reset(self) -> None:
        """Forget every bucket."""
        from moto.s3.models import s3_backends

        s3_backends.reset()
        s3_backends.bucket_accounts.clear()
        self.requests.clear()


def region_of(bucket: str) -> str | None:
    """Where a bucket was created; None when there is none."""
    found = _moto_bucket(bucket)
    return found.region_name if found else None


def _moto_bucket(name: str) -> Any:
    from moto.s3.models import s3_backends

    where = s3_backends.bucket_accounts.get(name)
    return s3_backends[where[1]][where[0]].buckets.get(name) if where else None


class _Layer:
    """The WSGI layer: refuse what S3 would refuse, else hand on to moto."""

    def __init__(self, s3: EmbeddedS3, moto: Any) -> None:
        self.s3 = s3
        self.moto = moto

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked = _read(environ)
        refusal = self._refusal(asked)
        region = region_of(asked.bucket)
        request_id = uuid.uuid4().hex[:16].upper()
        more = [("x-amz-request-id", request_id)]
        if region and (asked.method != "HEAD" or not asked.key) and (refusal is None or refusal.tells_region):
            more.append(("x-amz-bucket-region", region))
        if refusal is not None:
            self._log(asked, int(refusal.status.split()[0]))
            return _answer(refusal, asked, more, request_id, environ, start_response)

        def with_more(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            self._log(asked, int(status.split()[0]))
            ours = {name for name, _value in more}
            return start_response(
                status, [one for one in headers if one[0].lower() not in ours] + more, exc_info
            )

        result: Iterable[bytes] = self.moto(environ, with_more)
        return result

    def _log(self, asked: Asked, status: int) -> None:
        self.s3.requests.append((asked.method, asked.raw_path, asked.raw_query, status))

    def _refusal(self, asked: Asked) -> Refusal | None:
        if len(asked.key.encode()) > 1024:
            return Refusal("400 BAD REQUEST", "KeyTooLongError", "Your key is too long")
        signed = read_signature(asked.headers, asked.query)
        refusal = _signature_v2(asked) if signed is None else self._signature(asked, signed)
        return refusal or self._permission(asked, signed)

    def _signature(self, asked: Asked, signed: Signed) -> Refusal | None:
        secret = self.s3.keys.get(signed.access_key)
        if secret is None:
            return Refusal(
                "403 FORBIDDEN",
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        region = region_of(asked.bucket)
        if region is not None and signed.region != region:
            return _wrong_region(signed, region)
        if signed.presigned and _is_expired(signed):
            return Refusal("403 FORBIDDEN", "AccessDenied", "Request has expired")
        if not signature_is_right(
            signed,
            secret,
            method=asked.method,
            raw_path=asked.raw_path,
            raw_query=asked.raw_query,
            headers=asked.headers,
        ):
            return Refusal(
                "403 FORBIDDEN",
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
        return None

    def _permission(self, asked: Asked, signed: Signed | None) -> Refusal | None:
        lacks = self.s3.denied.get(signed.access_key, set()) if signed else set()
        needs = _action(asked)
        absent = asked.key and asked.method in ("GET", "HEAD") and not _exists(asked)
        if needs in lacks or (absent and needs == "s3:GetObject" and "s3:ListBucket" in lacks):
            return Refusal("403 FORBIDDEN", "AccessDenied", "Access Denied")
        return None


def _action(asked: Asked) -> str:
    if asked.method not in ("GET", "HEAD"):
        return f"s3:{asked.method}"
    if asked.key:
        return "s3:GetObject"
    if "versions" in asked.query:
        return "s3:ListBucketVersions"
    if "versioning" in asked.query:
        return "s3:GetBucketVersioning"
    return "s3:ListBucket"


def _exists(asked: Asked) -> bool:
    bucket = _moto_bucket(asked.bucket)
    return bucket is None or asked.key in bucket.keys


def _wrong_region(signed: Signed, region: str) -> Refusal:
    message = f"the region '{signed.region}' is wrong; expecting '{region}'"
    if signed.presigned:
        text = f"Error parsing the X-Amz-Credential parameter; {message}"
        return Refusal("400 BAD REQUEST", "AuthorizationQueryParametersError", text, (("Region", region),))
    text = f"The authorization header is malformed; {message}"
    return Refusal("400 BAD REQUEST", "AuthorizationHeaderMalformed", text, (("Region", region),))


def _signature_v2(asked: Asked) -> Refusal:
    if asked.headers.get("authorization", "").startswith("AWS ") or "AWSAccessKeyId" in asked.query:
        return Refusal(
            "400 BAD REQUEST",
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        )
    return Refusal("403 FORBIDDEN", "AccessDenied", "Access Denied")


def _is_expired(signed: Signed) -> bool:
    try:
        made_at = datetime.strptime(signed.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return True
    return datetime.now(UTC) > made_at + timedelta(seconds=signed.expires_s)


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


def _answer(
    refusal: Refusal,
    asked: Asked,
    headers: list[tuple[str, str]],
    request_id: str,
    environ: Environ,
    start_response: StartResponse,
) -> Iterable[bytes]:
    stream = environ.get("wsgi.input")
    if stream is not None and asked.headers.get("content-length"):
        stream.read(int(asked.headers["content-length"]))  # leave the connection in step
    details = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in refusal.details)
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>{details}"
        f"<RequestId>{request_id}</RequestId></Error>"
    ).encode()
    if asked.method == "HEAD":
        body = b""
    start_response(
        refusal.status,
        [*headers, ("Content-Type", "application/xml"), ("Content-Length", str(len(body)))],
    )
    return [body]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the embedded S3 on 127.0.0.1 until Ctrl-C.")
    parser.add_argument("--port", type=int, default=5005)
    with EmbeddedS3(parser.parse_args().port) as s3:
        print(f"S3 at {s3.url}, access key {s3.access_key}, secret key {s3.secret_key}")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
