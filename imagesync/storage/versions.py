"""What a ListObjectVersions answer says about one key: is there a version, or a delete marker, of it?

It is the last word before ``missing``, so an answer that is not certainly the one that was asked for is
``failed``: botocore takes an empty body or a foreign page of HTTP 200 for a page without entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagesync.core.verdicts import Evidence
from imagesync.storage.listing import answers_for, is_of_prefix


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
