"""(operation, status, code, headers) -> verdict: the evidence rules, one table's worth of decisions.

Sources: "Error responses" and the GetObject, HeadObject and ListObjectVersions pages of the Amazon S3 API
reference; what servers really send is in docs/how-it-decides.md. Anything that no rule knows is
``unknown``: the default is ignorance.
"""

from __future__ import annotations

from collections.abc import Collection

from imagesync.core.verdicts import Evidence, Expected, Reason, Verdict

Judged = tuple[Verdict, str]

ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})

_REASON_BY_CODE = {
    "AccessDenied": Reason.ACCESS_DENIED,
    "AllAccessDisabled": Reason.ACCESS_DENIED,
    "AuthorizationHeaderMalformed": Reason.WRONG_REGION,
    "IllegalLocationConstraintException": Reason.WRONG_REGION,
    "PermanentRedirect": Reason.WRONG_REGION,
    "TemporaryRedirect": Reason.REDIRECTED,
    "NoSuchBucket": Reason.NO_BUCKET,
    "NoSuchAccessPoint": Reason.NO_BUCKET,
    "InvalidBucketName": Reason.NO_BUCKET,
    "InvalidAccessKeyId": Reason.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": Reason.BAD_CREDENTIALS,
    "UserSuspended": Reason.BAD_CREDENTIALS,
    "AccountProblem": Reason.BAD_CREDENTIALS,
    "ExpiredToken": Reason.EXPIRED_CREDENTIALS,
    "InvalidToken": Reason.EXPIRED_CREDENTIALS,
    "TokenRefreshRequired": Reason.EXPIRED_CREDENTIALS,
    "RequestTimeTooSkewed": Reason.CLOCK_SKEW,
    "RequestTimeout": Reason.TIMED_OUT,
    "SlowDown": Reason.THROTTLED,
    "Throttling": Reason.THROTTLED,
    "ThrottlingException": Reason.THROTTLED,
    "TooManyRequests": Reason.THROTTLED,
    "RequestLimitExceeded": Reason.THROTTLED,
    "KeyTooLongError": Reason.UNSENDABLE_KEY,
    "InvalidObjectName": Reason.UNSENDABLE_KEY,
    "InvalidURI": Reason.UNSENDABLE_KEY,
    # exceptions of the client, by class name: there was no HTTP answer
    "NoCredentialsError": Reason.NO_CREDENTIALS,
    "PartialCredentialsError": Reason.NO_CREDENTIALS,
    "CredentialRetrievalError": Reason.NO_CREDENTIALS,
    "ProfileNotFound": Reason.NO_CREDENTIALS,
    "UnknownSignatureVersionError": Reason.CLIENT_SETTINGS,
    "UnsupportedSignatureVersionError": Reason.CLIENT_SETTINGS,
    "UnsupportedS3ConfigurationError": Reason.CLIENT_SETTINGS,
    "UnsupportedS3AccesspointConfigurationError": Reason.CLIENT_SETTINGS,
    "InvalidProxiesConfigError": Reason.CLIENT_SETTINGS,
    "MissingDependencyException": Reason.CLIENT_SETTINGS,  # awscrt, for Signature Version 4A
    "NoRegionError": Reason.CLIENT_SETTINGS,
    "EndpointProviderError": Reason.CLIENT_SETTINGS,
    "EndpointVariantError": Reason.CLIENT_SETTINGS,
    "TokenRetrievalError": Reason.EXPIRED_CREDENTIALS,
    "ConnectTimeoutError": Reason.TIMED_OUT,
    "ReadTimeoutError": Reason.TIMED_OUT,
    "EndpointConnectionError": Reason.UNREACHABLE,
    "ConnectionClosedError": Reason.UNREACHABLE,
    "ConnectionError": Reason.UNREACHABLE,
    "HTTPClientError": Reason.UNREACHABLE,
    "ProxyConnectionError": Reason.UNREACHABLE,
    "SSLError": Reason.UNREACHABLE,
    "ResponseStreamingError": Reason.UNREACHABLE,
    "IncompleteReadError": Reason.UNREACHABLE,
    "InvalidRegionError": Reason.REDIRECTED,  # a redirect to something that is no region
    "RecursionError": Reason.REDIRECTED,  # botocore follows a redirect without a region for ever
    "ParamValidationError": Reason.UNSENDABLE_KEY,
    "UnicodeEncodeError": Reason.UNSENDABLE_KEY,
}


def classify_get(answer: Evidence, expected: Expected | None = None) -> Judged:
    """Judge a ranged GET of one key (``Range: bytes=0-0``), with what ListObjectVersions added to it.

    The only place where ``missing`` is born.
    """
    if answer.operation != "GetObject":
        # S3 Express answers from CreateSession, and its 404 is about the bucket
        return Verdict.UNKNOWN, failure_reason(answer)
    if answer.status in (200, 206):
        return classify_there(answer, expected)
    if answer.status == 416:
        return Verdict.MISMATCHED, Reason.EMPTY_OBJECT
    if answer.status == 404 and answer.code == "NoSuchKey":
        return _classify_absent(answer)
    if answer.status == 403 and answer.code == "InvalidObjectState":
        return Verdict.ARCHIVED, ""
    if answer.status == 403:
        return Verdict.DENIED, failure_reason(answer)
    return Verdict.UNKNOWN, failure_reason(answer)


def classify_head(answer: Evidence, expected: Expected | None = None) -> Judged | None:
    """Judge a HEAD of one key; None when only a GET can tell (every answer but 200 lacks a body)."""
    if answer.operation == "HeadObject" and answer.status == 200:
        return classify_there(answer, expected)
    return None


def classify_there(answer: Evidence, expected: Expected | None = None) -> Judged:
    """Judge an object that is certainly there: compare it with what the record remembers."""
    if _is_archived(answer) and not _is_restored(answer):
        return Verdict.ARCHIVED, ""
    if answer.size_bytes == 0:
        return Verdict.MISMATCHED, Reason.EMPTY_OBJECT
    if expected is not None:
        if None not in (expected.size_bytes, answer.size_bytes) and expected.size_bytes != answer.size_bytes:
            return Verdict.MISMATCHED, Reason.SIZE_DIFFERS
        if expected.etag and answer.etag and expected.etag != answer.etag:
            return Verdict.MISMATCHED, Reason.ETAG_DIFFERS
    return Verdict.PRESENT, ""


def is_elsewhere(verdict: Verdict, *, last_seen_in: str, here: Collection[str]) -> bool:
    """Whether an absence says nothing about a record, since it was last seen in another store.

    Stores by fingerprint; ``last_seen_in`` is empty when the record does not remember.
    """
    return (
        bool(last_seen_in) and last_seen_in not in here and verdict in (Verdict.MISSING, Verdict.RECOVERABLE)
    )


def hides_versions(answer: Evidence) -> bool:
    """Whether an absence is a delete marker's. S3 leaves the header out otherwise ("GetObject", response)."""
    return answer.headers.get("x-amz-delete-marker", "false").lower() != "false"


def _classify_absent(answer: Evidence) -> Judged:
    if hides_versions(answer) or answer.versions == "found":
        return Verdict.RECOVERABLE, ""
    if answer.versions == "failed":
        # versioning is not known to be off and we could not look for versions
        return Verdict.UNKNOWN, Reason.UNEXPECTED_ANSWER
    return Verdict.MISSING, ""


def _is_archived(answer: Evidence) -> bool:
    """By class, or as Intelligent-Tiering tells it ("HeadObject", x-amz-archive-status)."""
    return answer.storage_class in ARCHIVE_CLASSES or bool(answer.headers.get("x-amz-archive-status"))


def _is_restored(answer: Evidence) -> bool:
    return answer.operation == "GetObject" or 'ongoing-request="false"' in answer.headers.get(
        "x-amz-restore", ""
    )


def failure_reason(answer: Evidence) -> Reason:
    """The reason code of an answer that established nothing."""
    status = answer.status
    if status == 404 and answer.code == "NoSuchKey" and answer.operation not in ("GetObject", "HeadObject"):
        return Reason.NO_BUCKET
    if answer.code in _REASON_BY_CODE:
        return _REASON_BY_CODE[answer.code]
    if status is None:
        return Reason.UNREACHABLE
    if status == 404:
        return Reason.BARE_404
    if status in (400, 301) and "x-amz-bucket-region" in answer.headers:
        return Reason.WRONG_REGION
    if status == 403:
        return Reason.ACCESS_DENIED
    if status in (301, 302, 307, 308):
        return Reason.REDIRECTED
    if status == 429:
        return Reason.THROTTLED
    if 500 <= status <= 599:
        return Reason.SERVER_ERROR
    if 400 <= status <= 499:
        return Reason.BAD_REQUEST
    return Reason.UNEXPECTED_ANSWER
