"""The words that the whole project speaks: verdicts, evidence, judgements.

A verdict says what one look at one object established, and its docstring says what it does *not*
promise. Everything starts as ``unchecked``: knowledge is earned (docs/how-it-decides.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    UNCHECKED = "unchecked"
    """Nobody has looked yet. Promises nothing."""

    PRESENT = "present"
    """The object answered, or a validated listing named it. Not that a browser can load it, or that
    the bytes are right."""

    MISMATCHED = "mismatched"
    """It is there, but empty, or its size or ETag differs from what the record remembers. Not which
    side is right."""

    ARCHIVED = "archived"
    """It is there, in a storage class that must be restored before it can be read. Not when."""

    RECOVERABLE = "recoverable"
    """Absent, but a delete marker hides a version that can be brought back."""

    MISSING = "missing"
    """Proven absent: a healthy store answered a GET with 404 NoSuchKey, and there is no delete marker.
    Not who deleted it."""

    AMBIGUOUS = "ambiguous"
    """The stored name does not map to one exact key, so absence cannot be proven."""

    DENIED = "denied"
    """S3 refused to say. Without s3:ListBucket that is also the answer for an absent key."""

    UNKNOWN = "unknown"
    """We could not look; a reason code says why. Concludes nothing."""

    @property
    def is_known(self) -> bool:
        """True when the look established something about the object.

        ``unknown`` and ``denied`` are what one look brought, not what is true, and ``unchecked`` is no
        look at all: none of them may overwrite a known verdict.
        """
        return self not in NOT_KNOWN

    @property
    def needs_attention(self) -> bool:
        """True when the verdict is kept as a finding: everything but ``present`` and ``unchecked``."""
        return self not in (Verdict.PRESENT, Verdict.UNCHECKED)


NOT_KNOWN = frozenset({Verdict.UNCHECKED, Verdict.DENIED, Verdict.UNKNOWN})


class Reason(StrEnum):
    """Why a look ended as ``unknown``, ``denied``, ``ambiguous`` or ``mismatched``."""

    WRONG_REGION = "wrong_region"
    """The request was signed for, or sent to, another region than the bucket's."""
    NO_BUCKET = "no_bucket"
    """The bucket does not exist, or not under this endpoint."""
    BARE_404 = "bare_404"
    """A 404 without ``NoSuchKey``: a proxy, a bucket, anything. Proves nothing."""
    ACCESS_DENIED = "access_denied"
    """403 without a more exact code."""
    BAD_CREDENTIALS = "bad_credentials"
    """The access key is unknown, disabled, or its signature was rejected."""
    NO_CREDENTIALS = "no_credentials"
    """The client found no credentials to sign with."""
    CLIENT_SETTINGS = "client_settings"
    """The client could send nothing with the settings that it has."""
    EXPIRED_CREDENTIALS = "expired_credentials"
    """The session token has expired or is invalid."""
    CLOCK_SKEW = "clock_skew"
    """The server's clock and ours differ by more than S3 tolerates (15 minutes)."""
    THROTTLED = "throttled"
    """SlowDown or another request to wait, after all attempts."""
    SERVER_ERROR = "server_error"
    """5xx after all attempts."""
    TIMED_OUT = "timed_out"
    """No answer in time, after all attempts."""
    UNREACHABLE = "unreachable"
    """No connection, or one that broke."""
    REDIRECTED = "redirected"
    """A redirect that led nowhere."""
    BAD_REQUEST = "bad_request"
    """S3 could not understand or will not serve the request (4xx other than the above)."""
    UNSENDABLE_KEY = "unsendable_key"
    """The key cannot be sent at all: empty, over 1,024 bytes, or not valid Unicode."""
    UNEXPECTED_ANSWER = "unexpected_answer"
    """An answer that the documentation of S3 does not know."""
    LISTING_BROKEN = "listing_broken"
    """A listing page failed validation, so nothing follows from a key's absence in it."""
    WRITTEN_ELSEWHERE = "written_elsewhere"
    """The record was last seen in another store, and this one does not have it."""
    STORE_UNFIT_AFTERWARDS = "store_unfit_afterwards"
    """The store failed its check after the run, so what looked absent is not believed."""
    NAME_REWRITTEN = "name_rewritten"
    """The storage would rewrite the stored name on its way to a key."""
    EMPTY_OBJECT = "empty_object"
    """The object has no bytes."""
    SIZE_DIFFERS = "size_differs"
    """The object's size is not the one that the record remembers."""
    ETAG_DIFFERS = "etag_differs"
    """The object's ETag is not the one that the record remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One answer of the store (or the lack of one), reduced to what may be kept and shown.

    Never holds a presigned URL, a signature, a token, a secret or a server's free text.
    """

    operation: str
    """The API operation that *answered*, e.g. ``GetObject``; S3 Express may answer from another one
    (``CreateSession``) than was called."""
    status: int | None = None
    """HTTP status; None when no HTTP answer arrived."""
    code: str = ""
    """S3's error code, or the class name of the client's exception when there was no answer."""
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers that mattered, lower-case (``KEPT_HEADERS`` in storage/contract.py)."""
    size_bytes: int | None = None
    etag: str = ""
    """Without quotes."""
    storage_class: str = ""
    versions: str = ""
    """What ListObjectVersions added to a GET's NoSuchKey: ``none``, ``found``, ``denied``,
    ``not_offered``, or empty when versioning is known to be off and nobody asked."""
    store: str = ""
    """Fingerprint of the store that answered."""
    at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form (design: findings[].evidence); empty parts are left out."""
        document: dict[str, Any] = {"operation": self.operation, "status": self.status, "code": self.code}
        if self.headers:
            document["headers"] = dict(self.headers)
        for name in ("request_id", "size_bytes", "etag", "storage_class", "versions", "store"):
            value = getattr(self, name)
            if value not in ("", None):
                document[name] = value
        if self.at is not None:
            document["at"] = self.at.isoformat()
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at one key established."""

    key: str
    verdict: Verdict
    reason: str = ""
    """A ``Reason``, or empty when the verdict needs none."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a record remembers of its object; None or empty means that it remembers nothing."""

    size_bytes: int | None = None
    etag: str = ""
