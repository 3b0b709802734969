"""A healthy bucket: the honest answer to each request, which the rows of the table then distort."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote
from xml.sax.saxutils import escape

from imagesync.selftest.wire import Answer, Asked

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
REGION = "eu-north-1"
"""Where the lab's bucket is, and what its client is configured for."""
ELSEWHERE = "us-west-2"
_XML = {"Content-Type": "application/xml", "x-amz-request-id": "LAB"}


def failure(status: int, code: str, more: str = "", **headers: str) -> Answer:
    """S3's error document ("Error responses", Amazon S3 API reference). Underscores in header names are dashes."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>m</Message>{more}</Error>'
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body.encode(), {**_XML, **dashed})


@dataclass(frozen=True)
class Page:
    """One page of ListObjectsV2, before it is written as XML."""

    name: str
    prefix: str
    keys: tuple[tuple[str, int], ...]
    """(key, size in bytes)"""
    truncated: bool | None
    """None leaves the element out."""
    token: str
    key_count: int | None
    storage_class: str = "STANDARD"

    def answer(self) -> Answer:
        frame = [
            _element("Name", self.name),
            f"<Prefix>{escape(_quoted(self.prefix))}</Prefix>",
            "<EncodingType>url</EncodingType><MaxKeys>1000</MaxKeys>",
        ]
        if self.key_count is not None:
            frame.append(_element("KeyCount", str(self.key_count)))
        if self.truncated is not None:
            frame.append(_element("IsTruncated", str(self.truncated).lower()))
        if self.token:
            frame.append(_element("NextContinuationToken", self.token))
        return Answer(200, _document("ListBucketResult", "".join(frame) + self._contents()), _XML)

    def _contents(self) -> str:
        return "".join(
            f"<Contents><Key>{escape(_quoted(key))}</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;e&quot;</ETag><Size>{size}</Size><StorageClass>{self.storage_class}</StorageClass></Contents>"
            for key, size in self.keys
        )


@dataclass
class Bucket:
    """``objects`` maps a key to its size; ``hidden`` are keys whose latest version is a delete marker.

    It has any name: that which is asked for.
    """

    objects: Mapping[str, int]
    region: str = REGION
    versioning: str = ""
    """``Enabled``, ``Suspended`` or empty: never enabled."""
    hidden: Collection[str] = field(default_factory=frozenset)
    page_size: int = 1000

    def answer(self, asked: Asked) -> Answer:
        """What S3 would say to this request."""
        if asked.operation in ("GET", "HEAD"):
            return self._object(asked)
        if asked.operation == "LIST":
            return self.page(asked).answer()
        if asked.operation == "VERSIONS":
            return self._versions(asked)
        if asked.operation == "VERSIONING":
            status = _element("Status", self.versioning) if self.versioning else ""
            return Answer(200, _document("VersioningConfiguration", status), _XML)
        return Answer(200, b"", {"x-amz-bucket-region": self.region, "x-amz-request-id": "LAB"})

    def page(self, asked: Asked) -> Page:
        """The honest page of a listing."""
        prefix = asked.query.get("prefix", "")
        token = asked.query.get("continuation-token", "")
        after = bytes.fromhex(token).decode() if token else asked.query.get("start-after", "")
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        most = min(self.page_size, int(asked.query.get("max-keys", "1000")))
        chosen = tuple((key, self.objects[key]) for key in keys[:most])
        truncated = len(keys) > most
        return Page(
            name=asked.bucket,
            prefix=prefix,
            keys=chosen,
            truncated=truncated,
            token=chosen[-1][0].encode().hex() if truncated else "",
            key_count=len(chosen),
        )

    def _object(self, asked: Asked) -> Answer:
        size = self.objects.get(asked.key)
        if size is None:
            marker = {"x-amz-delete-marker": "true"} if asked.key in self.hidden else {}
            if asked.method == "HEAD":
                return Answer(404, b"", marker)
            return failure(404, "NoSuchKey", f"<Key>{escape(asked.key)}</Key>", **marker)
        if asked.method == "HEAD":
            return Answer(200, b"x" * size, {"ETag": '"e"'})  # a HEAD's answer is sent without the body
        if size == 0:
            return failure(416, "InvalidRange")
        return Answer(206, b"x", {"ETag": '"e"', "Content-Range": f"bytes 0-0/{size}"})

    def _versions(self, asked: Asked) -> Answer:
        prefix = asked.query.get("prefix", "")
        named = [key for key in (*self.objects, *self.hidden) if key.startswith(prefix)]
        entries = "".join(
            f"<{_kind(key, self.hidden)}><Key>{escape(_quoted(key))}</Key><VersionId>v</VersionId>"
            f"<IsLatest>true</IsLatest></{_kind(key, self.hidden)}>"
            for key in sorted(named)[:2]
        )
        return versions_page(asked.bucket, prefix, entries, truncated=len(named) > 2)


def versions_page(bucket: str, prefix: str, entries: str, *, truncated: bool | None = False) -> Answer:
    frame = f"{_element('Name', bucket)}<EncodingType>url</EncodingType><Prefix>{escape(_quoted(prefix))}</Prefix>"
    end = "" if truncated is None else _element("IsTruncated", str(truncated).lower())
    return Answer(200, _document("ListVersionsResult", frame + end + entries), _XML)


def _kind(key: str, hidden: Collection[str]) -> str:
    return "DeleteMarker" if key in hidden else "Version"


def _document(root: str, inside: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inside}</{root}>'.encode()


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _quoted(key: str) -> str:
    """As ``encoding-type=url`` asks for."""
    return quote(key, safe="/")
