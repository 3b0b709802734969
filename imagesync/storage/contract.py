"""What the rest of imagesync asks of a store. ``S3Store`` and ``MemoryStore`` keep this contract.

Nothing here raises for anything on the S3 side: every answer, and the lack of one, is an Evidence.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from imagesync.core.diagnosis import Place
from imagesync.core.verdicts import Evidence

REGION_HEADER = "x-amz-bucket-region"
DELETE_MARKER = "x-amz-delete-marker"
KEPT_HEADERS = frozenset(
    {
        REGION_HEADER,
        DELETE_MARKER,
        "x-amz-version-id",
        "x-amz-storage-class",
        "x-amz-restore",
        "x-amz-archive-status",
        "date",
    }
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_REGION = re.compile(r"[A-Za-z0-9-]{1,40}")
# bucket.s3.REGION, s3-REGION, s3.dualstack.REGION, s3-accelerate, bucket.vpce-ID.s3.REGION.vpce … ("Amazon S3
# endpoints and quotas", AWS General Reference). Not every host of amazonaws.com: a server of one's own on EC2
# or behind a load balancer has such a name too (compute.amazonaws.com, elb.amazonaws.com).
_AWS_HOST = re.compile(
    r"(?:.+\.)?s3(?:-[a-z0-9-]+|express-[a-z0-9-]+)?(?:\.dualstack)?(?:\.(?P<region>[a-z]+(?:-[a-z]+)+-\d))?"
    r"(?:\.vpce)?\.amazonaws\.com(?P<china>\.cn)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIdentity:
    alias: str
    """In STORAGES; the field's label when its storage has no alias."""
    bucket: str
    region: str
    endpoint: str
    """Without user information: never a secret."""
    prefix: str
    """The storage's location; empty, or ending in a slash."""
    fingerprint: str

    @property
    def place(self) -> Place:
        """As diagnoses name it."""
        return Place(
            alias=self.alias,
            bucket=self.bucket,
            region=self.region,
            endpoint=self.endpoint,
            prefix=self.prefix,
        )

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingAnswer:
    evidence: Evidence
    page: Mapping[str, Any] | None
    """The parsed page of a 200, keys decoded; None for any other answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a key, or a delete marker that stands for one."""

    id: str
    """``null`` for what was stored while versioning was off or suspended; empty when the server told none."""
    is_delete_marker: bool
    is_latest: bool
    last_modified: datetime | None
    size_bytes: int | None
    """None for a delete marker."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "is_delete_marker": self.is_delete_marker,
            "is_latest": self.is_latest,
            "last_modified": self.last_modified.isoformat() if self.last_modified else None,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersions:
    """What one ListObjectVersions answer says about one key."""

    told: str
    """``found``, ``none``, ``denied``, ``not_offered`` or ``failed``."""
    evidence: Evidence
    entries: tuple[Version, ...] = ()
    """Newest first; at most ``MAX_VERSIONS`` (storage/versions.py)."""
    more: bool = False
    """Whether the key has more versions than were asked for."""


class Store(Protocol):
    """One bucket as Django sees it through one storage."""

    @property
    def identity(self) -> StoreIdentity: ...

    @property
    def requests(self) -> Counter[str]:
        """Calls made so far, by kind: HEAD, GET, LIST, HEAD_BUCKET, VERSIONS, VERSIONING."""
        ...

    def key_for(self, name: str) -> str | None:
        """The exact key of a stored name; None when django-storages would rewrite the name.

        A storage of a class of its own may make another one of it (``Target.key_of``).
        """
        ...

    def keys_for(self, names: Sequence[str]) -> list[str | None]:
        """``key_for`` of each."""
        ...

    def name_for(self, key: str) -> str | None:
        """The stored name of a key; None when the key is not under this store's prefix."""
        ...

    def head(self, key: str) -> Evidence: ...

    def get(self, key: str) -> Evidence:
        """A ranged GET of the first byte: the only answer that can prove absence."""
        ...

    def versions_of(self, key: str) -> str:
        """``none``, ``found``, ``denied``, ``not_offered`` or ``failed``: is there any version of this key?"""
        ...

    def list_versions(self, key: str) -> KeyVersions:
        """The versions and delete markers of exactly this key, newest first, as far as one request tells."""
        ...

    def head_bucket(self) -> Evidence: ...

    def versioning(self) -> str:
        """``off``, ``enabled``, ``suspended`` or ``unknown``."""
        ...

    def list_page(
        self, *, prefix: str, start_after: str = "", token: str = "", max_keys: int = 1000
    ) -> ListingAnswer: ...


def fingerprint(endpoint: str, bucket: str, prefix: str) -> str:
    """A hash of where a store is: the same for the same bucket however it is addressed.

    All of S3's own hosts (regional, global, dual-stack, accelerated, VPC) count as one, so that correcting
    the region leaves the store the same. Bucket names are unique within a partition ("Bucket naming rules"),
    so China and GovCloud are places of their own. Raises ValueError for an endpoint that is no URL.
    """
    identity = "\n".join((_place(endpoint), bucket, prefix))
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _place(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").lower()
    if not host:
        return "aws"
    aws = _AWS_HOST.fullmatch(host)
    if aws is not None:
        return "aws-cn" if aws["china"] else _partition(host)
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return host + port + parts.path.rstrip("/")


def on_aws(endpoint: str) -> bool:
    return _AWS_HOST.fullmatch((urlsplit(endpoint).hostname or "").lower()) is not None


def _partition(host: str) -> str:
    return "aws-us-gov" if re.search(r"[.-]us-gov-[a-z]+-\d\.", host) else "aws"


def clean_code(code: object) -> str:
    """An error code as it may be kept: servers are strangers."""
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", code) else ""


def clean_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """The headers worth keeping, lower-case, short, in printable ASCII."""
    kept = {}
    for name, value in headers.items():
        lowered = str(name).lower()
        if lowered in KEPT_HEADERS and (lowered != REGION_HEADER or clean_region(value)):
            kept[lowered] = _printable(value)[:200]
    return kept


def clean_region(region: object) -> str:
    """A region's name as a server told it: it ends up in a line that people copy into their settings."""
    return region if isinstance(region, str) and _REGION.fullmatch(region) else ""


def clean_etag(etag: object) -> str:
    """Without quotes and without the weakness that compressing proxies add."""
    return _printable(etag or "").removeprefix("W/").strip('"')[:128]


def _printable(value: object) -> str:
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(one for one in text if " " <= one <= "~")
