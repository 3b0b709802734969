"""A bucket on a scripted server that is well, but for the answers that a test replaces; also behind the names of AWS."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.storage.scripted import XML, Answer, Request, Script, Server, error, scripted

BUCKET = "test-bucket"
REGION = "eu-north-1"


@dataclass
class ScriptedBucket:
    """``answers`` by operation; ``Browse`` is a GET that carries its signature in the URL, ``AnonymousGet`` and
    ``AnonymousList`` carry none."""

    answers: Mapping[str, Answer | Script] = field(default_factory=dict)
    keys: tuple[str, ...] = ("a.jpg",)
    region: str = REGION
    tells_region: bool = True

    def __call__(self, request: Request) -> Answer:
        request = _by_path(request)
        kind = _kind(request)
        told = self.answers.get(kind) or getattr(self, kind)(request)
        answer = told(request) if callable(told) else told
        if self.tells_region and not kind.startswith(("Anonymous", "Browse")):
            return replace(answer, headers={"x-amz-bucket-region": self.region, **answer.headers})
        return answer

    def HeadBucket(self, request: Request) -> Answer:  # noqa: N802 - by S3's own names
        return Answer(200)

    def ListObjectsV2(self, request: Request) -> Answer:  # noqa: N802
        prefix = request.query.get("prefix", [""])[0]
        keys = [key for key in sorted(self.keys) if key.startswith(prefix)]
        entries = "".join(f"<Contents><Key>{key}</Key><Size>9</Size></Contents>" for key in keys)
        return document(
            "ListBucketResult",
            f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><KeyCount>{len(keys)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{entries}",
        )

    def GetObject(self, request: Request) -> Answer:  # noqa: N802
        if request.path.removeprefix(f"/{BUCKET}/") in self.keys:
            return Answer(206, b"x", {"Content_Type": "image/jpeg", "Content_Range": "bytes 0-0/9"})
        return error(404, "NoSuchKey")

    Browse = GetObject

    def AnonymousGet(self, request: Request) -> Answer:  # noqa: N802
        return error(403, "AccessDenied")

    AnonymousList = AnonymousGet

    def GetBucketVersioning(self, request: Request) -> Answer:  # noqa: N802
        return document("VersioningConfiguration", "")

    def ListObjectVersions(self, request: Request) -> Answer:  # noqa: N802
        prefix = request.query.get("prefix", [""])[0]
        return document(
            "ListVersionsResult",
            f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>",
        )

    def GetBucketLocation(self, request: Request) -> Answer:  # noqa: N802
        return document("LocationConstraint", self.region)

    def GetBucketLifecycleConfiguration(self, request: Request) -> Answer:  # noqa: N802
        return error(404, "NoSuchLifecycleConfiguration")

    def GetBucketPolicyStatus(self, request: Request) -> Answer:  # noqa: N802
        return error(404, "NoSuchBucketPolicy")

    def GetPublicAccessBlock(self, request: Request) -> Answer:  # noqa: N802
        return error(404, "NoSuchPublicAccessBlockConfiguration")

    def GetBucketAcl(self, request: Request) -> Answer:  # noqa: N802
        return document("AccessControlPolicy", "<Owner><ID>me</ID></Owner>")


def document(root: str, inside: str) -> Answer:
    body = f'<?xml version="1.0"?><{root} xmlns="{XML}">{inside}</{root}>'.encode()
    return Answer(200, body, {"Content_Type": "application/xml"})


def _by_path(request: Request) -> Request:
    """As if every bucket were addressed by path."""
    if request.host.startswith(f"{BUCKET}."):
        return replace(request, path=f"/{BUCKET}{request.path}")
    return request


def _kind(request: Request) -> str:
    if request.authorization or request.method == "HEAD":
        return request.kind
    if {"X-Amz-Signature", "Signature"} & set(request.query):
        return "Browse"
    return "AnonymousList" if "list-type" in request.query else "AnonymousGet"


@contextmanager
def behind_aws_names(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that every host of amazonaws.com leads to, as a hosts file would have it, whatever the port."""
    honest = socket.getaddrinfo
    with scripted(script) as server:
        here = urlsplit(server.url)

        def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else str(host)
            if name.endswith(".amazonaws.com"):
                return honest(here.hostname, here.port, *more, **options)
            return honest(host, port, *more, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield server
