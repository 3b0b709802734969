"""What real S3 refuses and moto does not: one request in, a refusal or None out.

The order is S3's: who asks, for which region, with which signature, and only then whether he may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from project.buckets import bucket_of, has_object, region_of
from project.signatures import Signed, read_signature, signature_is_right

MAX_KEY_BYTES = 1024
WEEK_S = 604_800

BAD_REQUEST = "400 Bad Request"
FORBIDDEN = "403 Forbidden"


@dataclass(frozen=True)
class Asked:
    """One request as the layer looks at it."""

    method: str
    raw_path: str
    raw_query: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Refusal:
    status: str
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()

    def document(self, asked: Asked, request_id: str) -> bytes:
        """S3's XML. A HEAD never has a body, so there the status is all that is said."""
        if asked.method == "HEAD":
            return b""
        fields = (
            ("Code", self.code),
            ("Message", self.message),
            *self.details,
            ("Resource", asked.raw_path),
            ("RequestId", request_id),
        )
        inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}</Error>'.encode()


DENIED = Refusal(FORBIDDEN, "AccessDenied", "Access Denied")


def refusal_of(asked: Asked, keys: Mapping[str, str], denied: Mapping[str, set[str]]) -> Refusal | None:
    """``keys`` maps an access key to its secret, ``denied`` one to the actions that it lacks."""
    if len(asked.key.encode()) > MAX_KEY_BYTES:
        return Refusal(BAD_REQUEST, "KeyTooLongError", "Your key is too long")
    signed = read_signature(asked.headers, asked.query)
    if signed is None:
        return _signature_v2(asked) or DENIED
    return _signature(asked, signed, keys) or _permission(asked, denied.get(signed.access_key, set()))


def queue_action(asked: Asked) -> str:
    """``sqs:ReceiveMessage`` and so on for what is asked of SQS, empty for what is asked of S3."""
    service, _dot, operation = asked.headers.get("x-amz-target", "").partition(".")
    return f"sqs:{operation.removesuffix('Batch')}" if service == "AmazonSQS" else ""


def _signature_v2(asked: Asked) -> Refusal | None:
    if asked.headers.get("authorization", "").startswith("AWS ") or "AWSAccessKeyId" in asked.query:
        return Refusal(
            BAD_REQUEST,
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        )
    return None


def _signature(asked: Asked, signed: Signed, keys: Mapping[str, str]) -> Refusal | None:
    who = ("AWSAccessKeyId", signed.access_key)
    secret = keys.get(signed.access_key)
    if secret is None:
        text = "The AWS Access Key Id you provided does not exist in our records."
        return Refusal(FORBIDDEN, "InvalidAccessKeyId", text, (who,))
    region = region_of(asked.bucket)
    if region is not None and signed.region != region:
        return _wrong_region(signed, region)
    if signed.presigned and (refusal := _lifetime(signed)):
        return refusal
    right = signature_is_right(
        signed,
        secret,
        method=asked.method,
        raw_path=asked.raw_path,
        raw_query=asked.raw_query,
        headers=asked.headers,
    )
    if not right:
        text = "The request signature we calculated does not match the signature you provided."
        return Refusal(FORBIDDEN, "SignatureDoesNotMatch", text, (who,))
    return None


def _wrong_region(signed: Signed, region: str) -> Refusal:
    message = f"the region '{signed.region}' is wrong; expecting '{region}'"
    if signed.presigned:
        text = f"Error parsing the X-Amz-Credential parameter; {message}"
        return Refusal(BAD_REQUEST, "AuthorizationQueryParametersError", text, (("Region", region),))
    text = f"The authorization header is malformed; {message}"
    return Refusal(BAD_REQUEST, "AuthorizationHeaderMalformed", text, (("Region", region),))


def _lifetime(signed: Signed) -> Refusal | None:
    """A presigned URL's own limits: a number of seconds, at most a week, not yet over."""
    if not (signed.expires.isascii() and signed.expires.isdigit()):
        text = "X-Amz-Expires should be a number"
        return Refusal(BAD_REQUEST, "AuthorizationQueryParametersError", text)
    if int(signed.expires[:10]) > WEEK_S:
        text = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
        return Refusal(BAD_REQUEST, "AuthorizationQueryParametersError", text)
    try:
        made_at = datetime.strptime(signed.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        text = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        return Refusal(BAD_REQUEST, "AuthorizationQueryParametersError", text)
    if datetime.now(UTC) > made_at + timedelta(seconds=int(signed.expires)):
        return Refusal(FORBIDDEN, "AccessDenied", "Request has expired")
    return None


def _permission(asked: Asked, lacks: set[str]) -> Refusal | None:
    """Without ``s3:ListBucket`` S3 does not tell an absent key from a forbidden one."""
    needs = _action(asked)
    if needs in lacks:
        return DENIED
    if needs == "s3:GetObject" and "s3:ListBucket" in lacks and bucket_of(asked.bucket) is not None:
        return None if has_object(asked.bucket, asked.key) else DENIED
    return None


def _action(asked: Asked) -> str:
    if asked.method not in ("GET", "HEAD"):
        return f"s3:{asked.method}"
    if asked.key:
        return "s3:GetObject"
    for name, action in (
        ("versions", "s3:ListBucketVersions"),
        ("versioning", "s3:GetBucketVersioning"),
        ("location", "s3:GetBucketLocation"),
    ):
        if name in asked.query:
            return action
    return "s3:ListBucket"
