"""A store in memory, with the same contract: for tests, ours and yours."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from imagesync.core.verdicts import Evidence
from imagesync.storage.contract import KeyVersions, ListingAnswer, StoreIdentity, Version, fingerprint
from imagesync.storage.names import exact_key, exact_keys
from imagesync.storage.versions import MAX_VERSIONS, versions_refused

ENDPOINT = "memory://"


@dataclass(frozen=True, slots=True)
class _Object:
    size_bytes: int
    etag: str
    storage_class: str


class MemoryStore:
    """Put, delete, and script what S3's bad days look like.

    ``answer("GetObject", key, evidence)`` makes one key answer something else; ``answer("ListObjectsV2",
    None, evidence)`` every call of that operation.
    """

    def __init__(
        self,
        bucket: str = "memory",
        *,
        prefix: str = "",
        region: str = "us-east-1",
        alias: str = "memory",
        versioning: str = "off",
    ) -> None:
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self.identity = StoreIdentity(
            alias=alias,
            bucket=bucket,
            region=region,
            endpoint=ENDPOINT,
            prefix=prefix,
            fingerprint=fingerprint(f"http://{alias}.memory", bucket, prefix),
        )
        self._versioning = versioning
        self._objects: dict[str, _Object] = {}
        self._keys: list[str] = []
        self._hidden: set[str] = set()
        self._versions: dict[str, list[Version]] = {}
        self._versions_made = 0
        self._scripted: dict[tuple[str, str | None], Evidence] = {}
        self._requests: Counter[str] = Counter()
        self._lock = threading.Lock()

    def put(self, key: str, *, size_bytes: int = 1, etag: str = "", storage_class: str = "STANDARD") -> None:
        with self._lock:
            if key not in self._objects:
                bisect.insort(self._keys, key)
            self._objects[key] = _Object(size_bytes, etag, storage_class)
            self._hidden.discard(key)
            self._add_version(key, size_bytes)

    def delete(self, key: str) -> None:
        """Remove an object; unless versioning is off, a delete marker then stands for the key."""
        with self._lock:
            if self._objects.pop(key, None) is not None:
                self._keys.remove(key)
            if self._versioning in ("enabled", "suspended"):
                self._hidden.add(key)
                self._add_version(key, None)
            else:
                self._versions.pop(key, None)

    def _add_version(self, key: str, size_bytes: int | None) -> None:
        """Put a version (or, without a size, a delete marker) on top of a key's others.

        Unless versioning is enabled its id is ``null``, and it takes the place of the one that had that id.
        """
        under = self._versions.get(key, [])
        self._versions_made += 1
        id = f"version-{self._versions_made}" if self._versioning == "enabled" else "null"
        newest = Version(
            id=id,
            is_delete_marker=size_bytes is None,
            is_latest=True,
            last_modified=datetime.now(UTC),
            size_bytes=size_bytes,
        )
        kept = [replace(one, is_latest=False) for one in under if one.id != id]
        self._versions[key] = [newest, *kept]

    def answer(self, operation: str, key: str | None, evidence: Evidence | None) -> None:
        """Script an answer; None takes it back."""
        if evidence is None:
            self._scripted.pop((operation, key), None)
        else:
            self._scripted[operation, key] = evidence

    def fail(self, operation: str, status: int | None, code: str = "", key: str | None = None) -> None:
        self.answer(operation, key, Evidence(operation=operation, status=status, code=code))

    @property
    def requests(self) -> Counter[str]:
        with self._lock:
            return Counter(self._requests)

    def key_for(self, name: str) -> str | None:
        return exact_key(self.identity.prefix, name)

    def keys_for(self, names: Sequence[str]) -> list[str | None]:
        return exact_keys(self.identity.prefix, names)

    def name_for(self, key: str) -> str | None:
        prefix = self.identity.prefix
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    def head(self, key: str) -> Evidence:
        scripted = self._count("HEAD", "HeadObject", key)
        if scripted is not None:
            return scripted
        stored = self._objects.get(key)
        if stored is None:
            return Evidence(operation="HeadObject", status=404, code="404", headers=self._marker(key))
        return _there("HeadObject", 200, stored)

    def get(self, key: str) -> Evidence:
        scripted = self._count("GET", "GetObject", key)
        if scripted is not None:
            return scripted
        stored = self._objects.get(key)
        if stored is None:
            return Evidence(operation="GetObject", status=404, code="NoSuchKey", headers=self._marker(key))
        if stored.size_bytes == 0:
            return Evidence(operation="GetObject", status=416, code="InvalidRange")
        if stored.storage_class in ("GLACIER", "DEEP_ARCHIVE"):
            return Evidence(operation="GetObject", status=403, code="InvalidObjectState")
        return _there("GetObject", 206, stored)

    def versions_of(self, key: str) -> str:
        scripted = self._count("VERSIONS", "ListObjectVersions", key)
        if scripted is not None:
            return versions_refused(scripted)
        return "found" if self._versions.get(key) else "none"

    def list_versions(self, key: str) -> KeyVersions:
        scripted = self._count("VERSIONS", "ListObjectVersions", key)
        if scripted is not None:
            return KeyVersions(told=versions_refused(scripted), evidence=scripted)
        with self._lock:
            kept = tuple(self._versions.get(key, ()))
        return KeyVersions(
            told="found" if kept else "none",
            evidence=Evidence(operation="ListObjectVersions", status=200),
            entries=kept[:MAX_VERSIONS],
            more=len(kept) > MAX_VERSIONS,
        )

    def head_bucket(self) -> Evidence:
        headers = {"x-amz-bucket-region": self.identity.region}
        return self._count("HEAD_BUCKET", "HeadBucket", None) or Evidence(
            operation="HeadBucket", status=200, headers=headers
        )

    def versioning(self) -> str:
        return "unknown" if self._count("VERSIONING", "GetBucketVersioning", None) else self._versioning

    def list_page(
        self, *, prefix: str, start_after: str = "", token: str = "", max_keys: int = 1000
    ) -> ListingAnswer:
        scripted = self._count("LIST", "ListObjectsV2", None)
        if scripted is not None:
            return ListingAnswer(evidence=scripted, page=None)
        after = token or start_after
        with self._lock:
            begin = max(bisect.bisect_left(self._keys, prefix), bisect.bisect_right(self._keys, after))
            one_more = self._keys[begin : begin + max_keys + 1]
            keys = [key for key in one_more if key.startswith(prefix)]
            chosen = keys[:max_keys]
            contents = [self._entry(key) for key in chosen]
        truncated = len(keys) > max_keys
        page: dict[str, Any] = {
            "Name": self.identity.bucket,
            "Prefix": prefix,
            "KeyCount": len(chosen),
            "IsTruncated": truncated,
            "Contents": contents,
        }
        if truncated:
            page["NextContinuationToken"] = chosen[-1]
        return ListingAnswer(evidence=Evidence(operation="ListObjectsV2", status=200), page=page)

    def _entry(self, key: str) -> dict[str, Any]:
        stored = self._objects[key]
        return {
            "Key": key,
            "Size": stored.size_bytes,
            "ETag": f'"{stored.etag}"',
            "StorageClass": stored.storage_class,
        }

    def _marker(self, key: str) -> dict[str, str]:
        return {"x-amz-delete-marker": "true"} if key in self._hidden else {}

    def _count(self, kind: str, operation: str, key: str | None) -> Evidence | None:
        with self._lock:
            self._requests[kind] += 1
        return self._scripted.get((operation, key)) or self._scripted.get((operation, None))


def _there(operation: str, status: int, stored: _Object) -> Evidence:
    return Evidence(
        operation=operation,
        status=status,
        size_bytes=stored.size_bytes,
        etag=stored.etag,
        storage_class="" if stored.storage_class == "STANDARD" else stored.storage_class,
    )
