"""A store made from a FileField's own storage, by public API: region, bucket, endpoint, credentials and
addressing are django-storages' settings and nothing else's."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage

from imagesync.core.verdicts import Evidence
from imagesync.storage.answers import evidence_of, evidence_of_direct, evidence_of_error
from imagesync.storage.client import ClientOptions, client_of, identity_of, making, verification_of
from imagesync.storage.contents import plain_page
from imagesync.storage.contract import (
    KeyVersions,
    ListingAnswer,
    Store,
    StoreIdentity,
    fingerprint,
)
from imagesync.storage.direct import Direct, DirectCalls
from imagesync.storage.names import exact_key, exact_keys, location_prefix
from imagesync.storage.unsaid import SignedRegion, note_empty_answers
from imagesync.storage.versions import MAX_VERSIONS, key_versions, versions_on, versions_refused

__all__ = ["ClientOptions", "ListingAnswer", "S3Store", "Store", "StoreIdentity", "fingerprint", "is_s3"]

# What django-storages itself passes on reads (storages/backends/s3.py, _filter_download_params), as far as
# HEAD and GET of one object take it.
_OBJECT = (
    "RequestPayer",
    "ExpectedBucketOwner",
    "SSECustomerAlgorithm",
    "SSECustomerKey",
    "SSECustomerKeyMD5",
)
_LISTING = ("RequestPayer", "ExpectedBucketOwner")
_BUCKET = ("ExpectedBucketOwner",)


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    operation: str
    takes: tuple[str, ...]
    """Of the storage's object parameters."""


_CALLS = {
    "HEAD": _Call("head_object", "HeadObject", _OBJECT),
    "GET": _Call("get_object", "GetObject", _OBJECT),
    "LIST": _Call("list_objects_v2", "ListObjectsV2", _LISTING),
    "HEAD_BUCKET": _Call("head_bucket", "HeadBucket", _BUCKET),
    "VERSIONS": _Call("list_object_versions", "ListObjectVersions", _LISTING),
    "VERSIONING": _Call("get_bucket_versioning", "GetBucketVersioning", _BUCKET),
    # the doctor's own (storage/questions.py)
    "LOCATION": _Call("get_bucket_location", "GetBucketLocation", _BUCKET),
    "LIFECYCLE": _Call("get_bucket_lifecycle_configuration", "GetBucketLifecycleConfiguration", _BUCKET),
    "POLICY_STATUS": _Call("get_bucket_policy_status", "GetBucketPolicyStatus", _BUCKET),
    "ACCESS_BLOCK": _Call("get_public_access_block", "GetPublicAccessBlock", _BUCKET),
    "ACL": _Call("get_bucket_acl", "GetBucketAcl", _BUCKET),
}


def is_s3(storage: Any) -> bool:
    """Whether a field's storage is django-storages' S3, lazy or not. Imports it only when it could be.

    Raises ImproperlyConfigured when the default storage, which is made here, cannot be.
    """
    with making("default"):
        kind = storage.__class__  # through Django's lazy default_storage too
    if issubclass(kind, FileSystemStorage):
        return False
    if not any(base.__module__.startswith("storages.") for base in kind.__mro__):
        return False
    from storages.backends.s3 import S3Storage

    return issubclass(kind, S3Storage)


class S3Store:
    """Asks S3 with one low-level client, which threads may share. Making one sends no request."""

    def __init__(
        self,
        client: Any,
        *,
        alias: str,
        bucket: str,
        location: str,
        parameters: Callable[[str], Mapping[str, Any]] = lambda key: {},
        verify: bool | str = True,
    ) -> None:
        prefix = location_prefix(location)
        if prefix is None:
            raise ImproperlyConfigured(
                f"The location {location!r} of storage {alias!r} is rewritten by django-storages, so no key can be "
                'told exactly. Write it without leading slash, "." and "..".'
            )
        self._client = client
        self._location = location
        self._parameters = parameters
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._identity = identity_of(client, alias, bucket, prefix)
        self._direct = DirectCalls(client, bucket=bucket, verify=verify)
        self._signed_region = SignedRegion(client, self._identity)
        note_empty_answers(client)

    @classmethod
    def from_storage(cls, storage: Any, *, alias: str, options: ClientOptions | None = None) -> S3Store:
        """The store of a field's storage. Raises ImproperlyConfigured when no client can be made of it."""
        if not storage.bucket_name:
            raise ImproperlyConfigured(f"Storage {alias!r} names no bucket: set AWS_STORAGE_BUCKET_NAME.")
        return cls(
            client_of(storage, alias, options or ClientOptions()),
            alias=alias,
            bucket=storage.bucket_name,
            location=storage.location,
            parameters=storage.get_object_parameters,
            verify=verification_of(storage),
        )

    @property
    def identity(self) -> StoreIdentity:
        return self._identity

    @property
    def requests(self) -> Counter[str]:
        with self._lock:
            return Counter(self._requests)

    def key_for(self, name: str) -> str | None:
        return exact_key(self._location, name)

    def keys_for(self, names: Sequence[str]) -> list[str | None]:
        return exact_keys(self._location, names)

    def name_for(self, key: str) -> str | None:
        prefix = self._identity.prefix
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    def head(self, key: str) -> Evidence:
        given = self._given_for_direct("HEAD", key)
        direct = self._direct.head(given, key)
        if direct is not None:
            return self._told("HEAD", direct)
        evidence, _answer = self._ask("HEAD", Key=key)
        if evidence.status in (200, 404):
            self._direct.learn("HeadObject", given, key=key)
        return evidence

    def get(self, key: str) -> Evidence:
        given = self._given_for_direct("GET", key)
        direct = self._direct.first_byte(given, key)
        if direct is not None:
            return self._told("GET", direct)
        evidence, answer = self._ask("GET", Key=key, Range="bytes=0-0")
        if answer is not None or evidence.code == "NoSuchKey":
            self._direct.learn("GetObject", given, key=key)
        return evidence

    def versions_of(self, key: str) -> str:
        evidence, page = self._ask("VERSIONS", Prefix=key, MaxKeys=2)
        if page is None:
            return versions_refused(evidence)
        return versions_on(page, bucket=self._identity.bucket, key=key)

    def list_versions(self, key: str) -> KeyVersions:
        evidence, page = self._ask("VERSIONS", Prefix=key, MaxKeys=MAX_VERSIONS)
        return key_versions(evidence, page, bucket=self._identity.bucket, key=key)

    def head_bucket(self) -> Evidence:
        evidence, _answer = self._ask("HEAD_BUCKET")
        return evidence

    def versioning(self) -> str:
        _evidence, answer = self._ask("VERSIONING")
        if answer is None or not answer.get("IsVersioningAnswer"):
            return "unknown"
        told = {"Enabled": "enabled", "Suspended": "suspended", None: "off"}
        return told.get(answer.get("Status"), "unknown")

    def list_page(
        self, *, prefix: str, start_after: str = "", token: str = "", max_keys: int = 1000
    ) -> ListingAnswer:
        given = self._given_for_direct("LIST", self._identity.prefix)
        direct = self._direct.page(
            given, prefix=prefix, start_after=start_after, token=token, max_keys=max_keys
        )
        if direct is not None:
            evidence = self._told("LIST", direct)
            page = plain_page(direct.body) if direct.status == 200 else None
            self._direct.taken("ListObjectsV2", page is not None)
            if page is not None:
                return ListingAnswer(evidence=evidence, page=page)
        optional = {"StartAfter": start_after, "ContinuationToken": token}
        asked = {name: value for name, value in optional.items() if value}
        evidence, page = self._ask("LIST", Prefix=prefix, MaxKeys=max_keys, **asked)
        if evidence.status != 200:
            return ListingAnswer(evidence=evidence, page=None)
        self._direct.learn("ListObjectsV2", given)
        return ListingAnswer(evidence=evidence, page=page)

    def about_bucket(self, kind: str) -> tuple[Evidence, Mapping[str, Any]]:
        """One question about the bucket as a whole, and the parsed answer (empty when it was no success)."""
        evidence, answer = self._ask(kind)
        return evidence, answer or {}

    def unsigned_url(self, query: str, key: str = "") -> str:
        """A URL of the bucket, or of one key, that carries no signature: what everybody may ask."""
        method, named = ("get_object", {"Key": key}) if key else ("list_objects_v2", {})
        signed = self._client.generate_presigned_url(
            method, Params={"Bucket": self._identity.bucket, **named}
        )
        bare = str(signed).partition("?")[0]
        return f"{bare}?{query}" if query else bare

    def _ask(self, kind: str, **parameters: Any) -> tuple[Evidence, Any]:
        """One call, as evidence, and its parsed answer when it was a success."""
        call = _CALLS[kind]
        self._signed_region.note("")
        with self._lock:
            self._requests[kind] += 1
        try:
            given = self._given(kind, str(parameters.get("Key", self._identity.prefix)))
            answer = getattr(self._client, call.method)(Bucket=self._identity.bucket, **given, **parameters)
            _read_body(answer)
            return self._signed_region.tell(evidence_of(call.operation, answer)), answer
        except Exception as error:  # noqa: BLE001 - whatever S3's side does is an outcome, classified by its name
            return self._signed_region.tell(evidence_of_error(call.operation, error)), None

    def _given(self, kind: str, key: str) -> dict[str, Any]:
        """The storage's own parameters for a key, as far as the call takes them."""
        given = self._parameters(key)
        return {name: given[name] for name in _CALLS[kind].takes if name in given}

    def _given_for_direct(self, kind: str, key: str) -> dict[str, Any] | None:
        try:
            return self._given(kind, key)
        except Exception:  # noqa: BLE001 - the project's own code; the ordinary call meets it again and tells
            return None

    def _told(self, kind: str, direct: Direct) -> Evidence:
        with self._lock:
            self._requests[kind] += 1
        self._signed_region.note(direct.region)
        return self._signed_region.tell(evidence_of_direct(_CALLS[kind].operation, direct))


def _read_body(answer: Mapping[str, Any]) -> None:
    """Read the one byte that was asked for, so that the connection can be used again, and no more: a server
    that ignores Range would send the whole object."""
    body = answer.get("Body")
    if body is not None:
        with body:
            body.read(1)
