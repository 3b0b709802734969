"""What botocore hands back, or raises -> Evidence. Servers are strangers: every word of theirs is cleaned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imagesync.core.verdicts import Evidence
from imagesync.storage.contract import REGION_HEADER, clean_code, clean_etag, clean_headers, clean_region
from imagesync.storage.direct import Direct


def evidence_of(operation: str, answer: Mapping[str, Any]) -> Evidence:
    metadata = answer.get("ResponseMetadata", {})
    return Evidence(
        operation=operation,
        status=metadata.get("HTTPStatusCode"),
        request_id=clean_code(metadata.get("RequestId")),
        headers=clean_headers(metadata.get("HTTPHeaders", {})),
        size_bytes=_size(answer),
        etag=clean_etag(answer.get("ETag")),
        storage_class=clean_code(answer.get("StorageClass", "")),
    )


def evidence_of_direct(operation: str, direct: Direct) -> Evidence:
    """The same of an answer that botocore did not parse: there, a NoSuchKey, or a HEAD's 404, which has no code."""
    headers = direct.headers
    request_id = headers.get("x-amz-request-id", "")
    if direct.status != 404 or direct.body:  # where there is no document botocore knows this one only
        request_id = headers.get("x-amzn-requestid", request_id)
    answer: dict[str, Any] = {
        "ResponseMetadata": {
            "HTTPStatusCode": direct.status,
            "RequestId": request_id,
            "HTTPHeaders": headers,
        }
    }
    if direct.status == 404:
        return replace(evidence_of(operation, answer), code="NoSuchKey" if direct.body else "404")
    if operation in ("GetObject", "HeadObject"):
        answer |= {
            "ContentRange": headers.get("content-range"),
            "ContentLength": int(headers["content-length"]),
            "ETag": headers.get("etag"),
            "StorageClass": headers.get("x-amz-storage-class", ""),
        }
    return evidence_of(operation, answer)


def _size(answer: Mapping[str, Any]) -> int | None:
    """The object's whole size: of a ranged answer it stands behind the slash of Content-Range.

    ``bytes 0-0/*`` says that the server does not know it (RFC 9110, 14.4); the length of the range is not it.
    """
    content_range = answer.get("ContentRange")
    if content_range is not None:
        total = re.fullmatch(r".*/([0-9]{1,18})", str(content_range))
        return int(total[1]) if total else None
    length = answer.get("ContentLength")
    return length if isinstance(length, int) else None


def evidence_of_error(operation: str, error: Exception) -> Evidence:
    """``operation`` is what was called; S3 Express may have answered from another one (CreateSession)."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):  # others have no answer to speak of
        return Evidence(operation=operation, code=clean_code(type(error).__name__))
    metadata = error.response.get("ResponseMetadata", {})
    details: Mapping[str, Any] = error.response.get("Error", {})
    headers = clean_headers(metadata.get("HTTPHeaders", {}))
    region = clean_region(details.get("Region"))
    if region:  # some servers name it in the body only
        headers.setdefault(REGION_HEADER, region)
    return Evidence(
        operation=clean_code(error.operation_name) or operation,
        status=metadata.get("HTTPStatusCode"),
        code=clean_code(details.get("Code")),
        request_id=clean_code(metadata.get("RequestId")),
        headers=headers,
    )
