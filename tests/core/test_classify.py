"""One row per answer that S3, its gateways or the network give (docs/how-it-decides.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesync.core.classify import classify_get, classify_head, classify_there
from imagesync.core.verdicts import Evidence, Expected, Reason, Verdict

MARKER = {"x-amz-delete-marker": "true"}
REGION = {"x-amz-bucket-region": "eu-north-1"}

GET_ANSWERS = [
    (200, "", {}, "present", ""),
    (206, "", {}, "present", ""),
    (416, "InvalidRange", {}, "mismatched", "empty_object"),
    (404, "NoSuchKey", {}, "missing", ""),
    (404, "NoSuchKey", MARKER, "recoverable", ""),
    (404, "NoSuchBucket", {}, "unknown", "no_bucket"),
    (404, "NoSuchAccessPoint", {}, "unknown", "no_bucket"),
    (404, "404", {}, "unknown", "bare_404"),
    (404, "", {}, "unknown", "bare_404"),
    (405, "MethodNotAllowed", MARKER, "unknown", "bad_request"),
    (403, "InvalidObjectState", {}, "archived", ""),
    (403, "AccessDenied", {}, "denied", "access_denied"),
    (403, "403", {}, "denied", "access_denied"),
    (403, "InvalidAccessKeyId", {}, "denied", "bad_credentials"),
    (403, "SignatureDoesNotMatch", {}, "denied", "bad_credentials"),
    (403, "UserSuspended", {}, "denied", "bad_credentials"),
    (403, "RequestTimeTooSkewed", {}, "denied", "clock_skew"),
    (400, "AuthorizationHeaderMalformed", {}, "unknown", "wrong_region"),
    (400, "IllegalLocationConstraintException", {}, "unknown", "wrong_region"),
    (400, "400", REGION, "unknown", "wrong_region"),
    (400, "400", {}, "unknown", "bad_request"),
    (400, "InvalidRequest", {}, "unknown", "bad_request"),
    (400, "ExpiredToken", {}, "unknown", "expired_credentials"),
    (400, "InvalidToken", {}, "unknown", "expired_credentials"),
    (400, "KeyTooLongError", {}, "unknown", "unsendable_key"),
    (301, "PermanentRedirect", {}, "unknown", "wrong_region"),
    (307, "TemporaryRedirect", {}, "unknown", "redirected"),
    (302, "", {}, "unknown", "redirected"),
    (429, "TooManyRequests", {}, "unknown", "throttled"),
    (503, "SlowDown", {}, "unknown", "throttled"),
    (503, "503", {}, "unknown", "server_error"),
    (500, "InternalError", {}, "unknown", "server_error"),
    (410, "Gone", {}, "unknown", "bad_request"),
    (204, "", {}, "unknown", "unexpected_answer"),
    (None, "ReadTimeoutError", {}, "unknown", "timed_out"),
    (None, "ConnectTimeoutError", {}, "unknown", "timed_out"),
    (None, "EndpointConnectionError", {}, "unknown", "unreachable"),
    (None, "ConnectionClosedError", {}, "unknown", "unreachable"),
    (None, "NoCredentialsError", {}, "unknown", "no_credentials"),
    (None, "UnknownSignatureVersionError", {}, "unknown", "client_settings"),
    (None, "EndpointProviderError", {}, "unknown", "client_settings"),
    (None, "RecursionError", {}, "unknown", "redirected"),
    (None, "UnicodeEncodeError", {}, "unknown", "unsendable_key"),
    (None, "SomethingNobodyKnows", {}, "unknown", "unreachable"),
]


@pytest.mark.parametrize(("status", "code", "headers", "verdict", "reason"), GET_ANSWERS)
def test_classify_get__table(
    status: int | None, code: str, headers: dict[str, str], verdict: str, reason: str
) -> None:
    answer = Evidence(operation="GetObject", status=status, code=code, headers=headers)

    assert classify_get(answer) == (verdict, reason)


@pytest.mark.parametrize(("status", "code", "headers", "_verdict", "_reason"), GET_ANSWERS)
def test_classify_get__only_get_object_itself_proves_absence(
    status: int | None, code: str, headers: dict[str, str], _verdict: str, _reason: str
) -> None:
    answer = Evidence(operation="CreateSession", status=status, code=code, headers=headers)

    assert classify_get(answer)[0] is Verdict.UNKNOWN


@given(
    operation=st.sampled_from(["GetObject", "HeadObject", "CreateSession", "ListObjectsV2"]),
    status=st.none() | st.integers(100, 599),
    code=st.sampled_from(["NoSuchKey", "404", "", "NoSuchBucket", "AccessDenied", "SlowDown"]),
    marker=st.booleans(),
    versions=st.sampled_from(["", "none", "found", "denied", "not_offered", "failed"]),
)
def test_classify_get__missing_has_one_way_in(
    operation: str, status: int | None, code: str, marker: bool, versions: str
) -> None:
    answer = Evidence(
        operation=operation, status=status, code=code, headers=MARKER if marker else {}, versions=versions
    )

    verdict, _reason = classify_get(answer)

    proven = (operation, status, code) == ("GetObject", 404, "NoSuchKey") and not marker
    assert (verdict is Verdict.MISSING) == (proven and versions not in ("found", "failed"))


@pytest.mark.parametrize(
    ("versions", "verdict"),
    [
        ("found", "recoverable"),
        ("none", "missing"),
        ("denied", "missing"),
        ("not_offered", "missing"),
        ("failed", "unknown"),
    ],
)
def test_classify_get__looks_at_versions(versions: str, verdict: str) -> None:
    answer = Evidence(operation="GetObject", status=404, code="NoSuchKey", versions=versions)

    assert classify_get(answer)[0] == verdict


@pytest.mark.parametrize("status", [301, 400, 403, 404, 405, 500, 503, None])
def test_classify_head__nothing_but_200_tells_anything(status: int | None) -> None:
    assert classify_head(Evidence(operation="HeadObject", status=status, code="404")) is None


def test_classify_there__compares_with_what_the_record_remembers() -> None:
    there = Evidence(operation="HeadObject", status=200, size_bytes=10, etag="abc")

    assert classify_there(there, Expected(size_bytes=10, etag="abc")) == (Verdict.PRESENT, "")
    assert classify_there(there, Expected()) == (Verdict.PRESENT, "")
    assert classify_there(there, Expected(size_bytes=11)) == (Verdict.MISMATCHED, Reason.SIZE_DIFFERS)
    assert classify_there(there, Expected(etag="xyz")) == (Verdict.MISMATCHED, Reason.ETAG_DIFFERS)


def test_classify_there__an_archived_object_that_was_restored_is_present() -> None:
    cold = Evidence(operation="HeadObject", status=200, size_bytes=1, storage_class="GLACIER")
    restored = Evidence(
        operation="HeadObject",
        status=200,
        size_bytes=1,
        storage_class="GLACIER",
        headers={"x-amz-restore": 'ongoing-request="false", expiry-date="..."'},
    )

    assert classify_there(cold)[0] is Verdict.ARCHIVED
    assert classify_there(restored)[0] is Verdict.PRESENT


@pytest.mark.parametrize(
    ("value", "verdict"), [("True", "recoverable"), ("1", "recoverable"), ("false", "missing")]
)
def test_classify_get__any_delete_marker_header_but_false_hides_versions(value: str, verdict: str) -> None:
    marker = {"x-amz-delete-marker": value}
    answer = Evidence(operation="GetObject", status=404, code="NoSuchKey", headers=marker)

    assert classify_get(answer)[0] == verdict


def test_classify_head__an_archive_tier_of_intelligent_tiering_is_archived() -> None:
    tier = {"x-amz-archive-status": "ARCHIVE_ACCESS"}
    restored = {**tier, "x-amz-restore": 'ongoing-request="false"'}

    cold = Evidence(operation="HeadObject", status=200, size_bytes=1, headers=tier)
    assert classify_head(cold) == (Verdict.ARCHIVED, "")
    warm = Evidence(operation="HeadObject", status=200, size_bytes=1, headers=restored)
    assert classify_head(warm) == (Verdict.PRESENT, "")
