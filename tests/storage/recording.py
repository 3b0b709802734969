"""The fault lab, listening to every word of a request; it may speak TLS, and play a proxy. And clients of all kinds."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from imagesync.selftest.bucket import Bucket
from imagesync.selftest.wire import Answer, Asked, Lab
from imagesync.storage.store import ClientOptions, S3Store

NAME = "lab-bucket"
ACCESS, SECRET = "AKIDTEST", "test-secret"
OF_ONE_REQUEST = {"amz-sdk-invocation-id", "amz-sdk-request"}
"""What botocore adds to count its attempts; it signs neither."""
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/s3/aws4_request, SignedHeaders=([a-z0-9;-]+), "
    r"Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Heard:
    """A request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def is_direct(self) -> bool:
        return not OF_ONE_REQUEST & set(self.headers)

    @property
    def is_listing(self) -> bool:
        return "list-type=2" in self.target

    @property
    def place(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return sorted(parse_qsl(self.target.partition("?")[2], keep_blank_values=True, strict_parsing=False))

    def told(self) -> dict[str, str]:
        """The headers that both ways must have alike."""
        return {name: value for name, value in self.headers.items() if name not in OF_ONE_REQUEST}

    @property
    def signed_by(self) -> str:
        """The access key; empty when the request carries no signature."""
        found = _AUTHORIZATION.fullmatch(self.headers.get("authorization", ""))
        return found[1] if found else ""

    def is_signed_with(self, secret: str, *, scheme: str = "http") -> bool:
        """Whether the signature is right, as a server finds out: by making it once more from what came."""
        found = _AUTHORIZATION.fullmatch(self.headers.get("authorization", ""))
        if found is None:
            return False
        access, _day, region, names, signature = found.groups()
        url = self.target if "://" in self.target else f"{scheme}://{self.headers['host']}{self.target}"
        request = AWSRequest(self.method, url, {name: self.headers[name] for name in names.split(";")})
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials(access, secret), "s3", region)
        to_sign = signer.string_to_sign(request, signer.canonical_request(request))
        return bool(signer.signature(to_sign, request) == signature)


class Recorder(Lab):
    """Bucket addresses are by path, by host name or through a proxy; the script is told the same."""

    def __init__(self, script: Callable[[Asked], Answer], *, root: str = "") -> None:
        super().__init__(script)
        self.heard: list[Heard] = []
        self.root = root

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        self.heard.append(Heard(method, target, headers))
        parts = urlsplit(target)
        local = f"{parts.path}?{parts.query}" if "://" in target else target
        local = local.removeprefix(self.root)
        if headers["host"].startswith(f"{NAME}."):
            local = f"/{NAME}{local}"
        return super().answer(method, local, headers)

    def speak_tls(self, context: ssl.SSLContext) -> None:
        assert self._server is not None
        plain = self._server.socket
        self._server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    def direct(self) -> list[Heard]:
        return [one for one in self.heard if one.is_direct]


BUCKET = Bucket({f"a/{number}.jpg": number + 1 for number in range(5)})


@contextmanager
def recorder(**options: Any) -> Iterator[Recorder]:
    with Recorder(BUCKET.answer, **options) as lab:
        yield lab


def store_by(
    url: str | None,
    *,
    client: ClientOptions | None = None,
    parameters: Callable[[str], Mapping[str, Any]] | None = None,
    **options: Any,
) -> S3Store:
    """A store of one bucket; ``options`` are those of django-storages."""
    from storages.backends.s3 import S3Storage

    given: dict[str, Any] = {
        "bucket_name": NAME,
        "region_name": "us-east-1",
        "endpoint_url": url,
        "access_key": ACCESS,
        "secret_key": SECRET,
        **options,
    }
    if "client_config" not in given:
        given = {"addressing_style": "path", "signature_version": "s3v4", **given}
    store = S3Store.from_storage(
        S3Storage(**given),
        alias="default",
        options=client or ClientOptions(connect_timeout=1, read_timeout=1, max_attempts=1),
    )
    if parameters is not None:
        store._parameters = parameters
    return store


class _NeverLearns(dict[str, Any]):
    def __setitem__(self, operation: str, pattern: Any) -> None:
        pass


def cold(store: S3Store) -> S3Store:
    """Leaves everything to botocore."""
    store._direct._patterns = _NeverLearns()
    return store


def warm(store: S3Store) -> S3Store:
    """Has learnt the three requests, if they can be learnt; of keys that no test asks for."""
    store.list_page(prefix="warm/", start_after="warm/0", max_keys=7)
    store.get("warm/key")
    store.head("warm/key")
    return store


def learnt(store: S3Store) -> set[str]:
    return set(store._direct._patterns)


@contextmanager
def names_leading_to(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every host name leads to a server, whatever the port, as a hosts file would have it."""
    here = urlsplit(url)
    honest = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        return honest(here.hostname, here.port, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", getaddrinfo)
        yield
