"""What a ListObjectVersions answer says about one key: is there a version, or a delete marker, of it, and which?

It is the last word before ``missing``, so an answer that is not certainly the one that was asked for is
``failed``: botocore takes an empty body or a foreign page of HTTP 200 for a page without entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from imagesync.core.verdicts import Evidence
from imagesync.storage.contract import KeyVersions, Version
from imagesync.storage.listing import answers_for, is_of_prefix

MAX_VERSIONS = 100
# "Unicode, UTF-8 encoded, URL-ready, opaque strings" (Version IDs, S3 User Guide); people copy them to a shell
_VERSION_ID = re.compile(r"[A-Za-z0-9._~+/=-]{1,1024}")


def key_versions(answer: Evidence, page: Mapping[str, Any] | None, *, bucket: str, key: str) -> KeyVersions:
    """The versions of exactly ``key``, from the first page of those with prefix ``key``, or why not."""
    if page is None:
        return KeyVersions(told=versions_refused(answer), evidence=answer)
    told = versions_on(page, bucket=bucket, key=key)
    if told != "found":
        return KeyVersions(told=told, evidence=answer)
    entries = sorted(_entries(page, key), key=_newest_first)
    ends_here = len(entries) < len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))
    more = page["IsTruncated"] is True and not ends_here
    return KeyVersions(told=told, evidence=answer, entries=tuple(entries), more=more)


def _entries(page: Mapping[str, Any], key: str) -> Iterator[Version]:
    # markers first: of two that were made in the same second, the one that hides is taken for the newer
    for kind in ("DeleteMarkers", "Versions"):
        for entry in page.get(kind, ()):
            if entry.get("Key") == key:
                yield _version(entry, is_delete_marker=kind == "DeleteMarkers")


def _version(entry: Mapping[str, Any], *, is_delete_marker: bool) -> Version:
    told_id, modified, size = entry.get("VersionId"), entry.get("LastModified"), entry.get("Size")
    return Version(
        id=told_id if isinstance(told_id, str) and _VERSION_ID.fullmatch(told_id) else "",
        is_delete_marker=is_delete_marker,
        is_latest=entry.get("IsLatest") is True,
        last_modified=modified if isinstance(modified, datetime) else None,
        size_bytes=size if isinstance(size, int) and not is_delete_marker else None,
    )


def _newest_first(version: Version) -> tuple[bool, float]:
    """botocore hands versions and markers over as two lists, so their common order is made again."""
    return not version.is_latest, -(version.last_modified.timestamp() if version.last_modified else 0.0)


def versions_on(page: Mapping[str, Any], *, bucket: str, key: str) -> str:
    """``found``, ``none`` or ``failed``, from the first page of the versions with prefix ``key``.

    Versions come in key order ("ListObjectVersions", Amazon S3 API reference) and ``key`` is the least key
    that starts with ``key``: if it has any version, the first page begins with it.
    """
    truncated = page.get("IsTruncated")
    if not isinstance(truncated, bool) or not answers_for(page, bucket=bucket) or not is_of_prefix(page, key):
        return "failed"
    found = [entry.get("Key") for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))]
    if key in found:
        return "found"
    if not all(isinstance(one, str) and one.startswith(key) for one in found) or (truncated and not found):
        return "failed"
    return "none"


def versions_refused(answer: Evidence) -> str:
    """``denied``, ``not_offered`` or ``failed``, from an answer that was no success."""
    if answer.status in (405, 501) or answer.code in ("NotImplemented", "MethodNotAllowed"):
        return "not_offered"
    if answer.status == 403 and answer.code in ("AccessDenied", "AllAccessDisabled", "403", ""):
        return "denied"
    return "failed"
