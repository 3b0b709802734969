"""Signature Version 4 as S3 checks it ("Authenticating Requests (AWS Signature Version 4)", S3 API reference)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote


@dataclass(frozen=True)
class Signed:
    """What a request says about its own signature."""

    access_key: str
    date: str
    region: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    presigned: bool
    expires: str = ""
    """As it was sent: it may be no number."""


def read_signature(headers: Mapping[str, str], query: Mapping[str, str]) -> Signed | None:
    """The SigV4 parts of a request; None when it carries none."""
    if "X-Amz-Signature" in query:
        access_key, date, region = _scope(query.get("X-Amz-Credential", ""))
        return Signed(
            access_key,
            date,
            region,
            tuple(query.get("X-Amz-SignedHeaders", "").split(";")),
            query["X-Amz-Signature"],
            query.get("X-Amz-Date", ""),
            presigned=True,
            expires=query.get("X-Amz-Expires", ""),
        )
    scheme, _space, rest = headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        return None
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    access_key, date, region = _scope(parts.get("Credential", ""))
    signed_headers = tuple(parts.get("SignedHeaders", "").split(";"))
    timestamp = headers.get("x-amz-date", "")
    return Signed(
        access_key, date, region, signed_headers, parts.get("Signature", ""), timestamp, presigned=False
    )


def signature_is_right(
    signed: Signed, secret_key: str, *, method: str, raw_path: str, raw_query: str, headers: Mapping[str, str]
) -> bool:
    pairs = sorted(
        pair.partition("=")[::2]
        for pair in raw_query.split("&")
        if pair and not pair.startswith("X-Amz-Signature=")
    )
    payload = "UNSIGNED-PAYLOAD" if signed.presigned else headers.get("x-amz-content-sha256", "")
    canonical = "\n".join(
        (
            method,
            raw_path,
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed.signed_headers),
            ";".join(signed.signed_headers),
            payload,
        )
    )
    scope = f"{signed.date}/{signed.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(("AWS4-HMAC-SHA256", signed.timestamp, scope, digest))
    key = _signing_key(secret_key, signed.date, signed.region)
    right = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return hmac.compare_digest(right.encode(), signed.signature.encode())


@lru_cache(maxsize=100)
def _signing_key(secret_key: str, date: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _scope(credential: str) -> tuple[str, str, str]:
    access_key, date, region, *_rest = (*unquote(credential).split("/"), "", "", "")
    return access_key, date, region
