"""Answers to the question for one object: GET with ``Range: bytes=0-0``, which can prove absence, and HEAD, which
cannot. Sources: "GetObject", "HeadObject" and "Error responses" in the Amazon S3 API reference; the others were
seen of Ceph RGW, OpenStack Swift, rclone, proxies and captive portals.
"""

from __future__ import annotations

from dataclasses import replace

from imagesync.selftest.bucket import ELSEWHERE, REGION, failure
from imagesync.selftest.row import Row, always, at_first, honest, manner, until_signed_for
from imagesync.selftest.wire import Answer, Manner

HTML = b"<html><body>Please log in</body></html>"
BROKEN_HTML = b"<html><body><p>Not Found<br></body>"
JSON = b'{"error": "not found"}'
REGION_NODE = f"<Region>{REGION}</Region>"

_THERE = {"ETag": '"e"', "Content-Range": "bytes 0-0/3"}


def _get(id: str, answer: Answer, judged: str, reason: str = "", *, proves_absence: bool = False) -> Row:
    return Row(f"GET {id}", "GET", always(answer), judged, reason, proves_absence)


def _error(status: int, code: str, judged: str, reason: str, more: str = "", **headers: str) -> Row:
    return _get(f"{status} {code}{_told(headers)}", failure(status, code, more, **headers), judged, reason)


def _told(headers: dict[str, str]) -> str:
    return "".join(f", {name.replace('_', '-')}" for name in headers)


def _bare(status: int, judged: str, reason: str, body: bytes = b"", **headers: str) -> Row:
    kinds = {b"": "without body", HTML: "HTML", BROKEN_HTML: "broken HTML", JSON: "JSON"}
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    id = f"{status} {kinds[body]}{_told(headers)}"
    return _get(id, Answer(status, body, dashed), judged, reason)


GONE = failure(404, "NoSuchKey")
BUSY = failure(503, "SlowDown")

_FOUND = [
    _get("206", Answer(206, b"x", _THERE), "present"),
    _get("206 without a size", Answer(206, b"x", {"Content-Range": "bytes 0-0/*"}), "present"),
    _get("200, the range ignored", Answer(200, b"xxx", {"ETag": '"e"'}), "present"),
    _get("200 without a byte", Answer(200), "mismatched", "empty_object"),
    _get("200 with an error document", Answer(200, failure(404, "NoSuchKey").body), "present"),
    _get("200 HTML", Answer(200, HTML), "present"),
    _error(416, "InvalidRange", "mismatched", "empty_object"),
    _error(403, "InvalidObjectState", "archived", ""),
    Row("GET 503, then 206", "GET", at_first(BUSY, then=Answer(206, b"x", _THERE)), "present"),
]

_ABSENT = [
    _get("404 NoSuchKey", GONE, "missing", proves_absence=True),
    _get("404 NoSuchKey, the key named", failure(404, "NoSuchKey", "<Key>k</Key>"), "missing", proves_absence=True),
    _get("404 NoSuchKey, another key named", failure(404, "NoSuchKey", "<Key>Ã©</Key>"), "missing", proves_absence=True),
    _get("404 NoSuchKey, delete marker denied", failure(404, "NoSuchKey", x_amz_delete_marker="false"), "missing", proves_absence=True),
    _get("404 NoSuchKey in an ErrorResponse", Answer(404, b"<ErrorResponse><Error><Code>NoSuchKey</Code></Error></ErrorResponse>"), "missing", proves_absence=True),
    Row("GET 503, then 404 NoSuchKey", "GET", at_first(BUSY, then=GONE), "missing", proves_absence=True),
    _get("404 NoSuchKey, slowly", replace(GONE, manner=Manner.SLOW), "missing", proves_absence=True),
    _error(404, "NoSuchKey", "recoverable", "", x_amz_delete_marker="true"),
    _error(404, "NoSuchBucket", "unknown", "no_bucket"),
    _error(404, "NoSuchAccessPoint", "unknown", "no_bucket"),
    _error(404, "NoSuchVersion", "unknown", "bare_404"),
    _error(404, "NoSuchUpload", "unknown", "bare_404"),
    _error(404, "NotFound", "unknown", "bare_404"),
    _error(404, "nosuchkey", "unknown", "bare_404"),
    _error(404, "NoSuchKeys", "unknown", "bare_404"),
    _error(404, " NoSuchKey", "unknown", "bare_404"),
    _error(404, "AccessDenied", "unknown", "access_denied"),
    _bare(404, "unknown", "bare_404"),
    _bare(404, "unknown", "bare_404", HTML),
    _bare(404, "unknown", "bare_404", BROKEN_HTML),
    _bare(404, "unknown", "bare_404", JSON),
    _get("404 NoSuchKey, cut short", Answer(404, b"<Error><Code>NoSuchKey</Co"), "unknown", "bare_404"),
    _get("404 NoSuchKey in HTML", Answer(404, b"<html><Code>NoSuchKey</Code></html>"), "unknown", "bare_404"),
    _get("410 NoSuchKey", failure(410, "NoSuchKey"), "unknown", "bad_request"),
    _get("200 NoSuchKey, cut off", Answer(200, GONE.body, manner=Manner.CUT), "present"),
    _get("500 NoSuchKey", failure(500, "NoSuchKey"), "unknown", "server_error"),
    _get("403 NoSuchKey", failure(403, "NoSuchKey"), "denied", "access_denied"),
    _bare(410, "unknown", "bad_request"),
    _error(405, "MethodNotAllowed", "unknown", "bad_request", x_amz_delete_marker="true"),
]  # fmt: skip

_REFUSED = [
    _error(403, "AccessDenied", "denied", "access_denied"),
    _error(403, "AllAccessDisabled", "denied", "access_denied"),
    _error(403, "AccountProblem", "denied", "bad_credentials"),
    _error(403, "UserSuspended", "denied", "bad_credentials"),
    _error(403, "InvalidAccessKeyId", "denied", "bad_credentials"),
    _error(403, "SignatureDoesNotMatch", "denied", "bad_credentials"),
    _error(403, "RequestTimeTooSkewed", "denied", "clock_skew"),
    _error(403, "RequestExpired", "denied", "access_denied"),
    _error(403, "KMS.AccessDeniedException", "denied", "access_denied"),
    _bare(403, "denied", "access_denied"),
    _bare(403, "denied", "access_denied", HTML),
    _error(401, "Unauthorized", "unknown", "bad_request"),
    _error(400, "ExpiredToken", "unknown", "expired_credentials"),
    _error(400, "InvalidToken", "unknown", "expired_credentials"),
    _error(400, "TokenRefreshRequired", "unknown", "expired_credentials"),
    _error(400, "AuthorizationHeaderMalformed", "unknown", "wrong_region", REGION_NODE),
    _error(400, "AuthorizationHeaderMalformed", "unknown", "wrong_region", x_amz_bucket_region=REGION),
    _error(400, "AuthorizationQueryParametersError", "unknown", "bad_request"),
    _error(400, "IllegalLocationConstraintException", "unknown", "wrong_region"),
    _error(400, "InvalidRequest", "unknown", "bad_request"),
    _error(400, "InvalidArgument", "unknown", "bad_request"),
    _error(400, "InvalidBucketName", "unknown", "no_bucket"),
    _error(400, "KeyTooLongError", "unknown", "unsendable_key"),
    _error(400, "InvalidURI", "unknown", "unsendable_key"),
    _error(400, "KMS.DisabledException", "unknown", "bad_request"),
    _error(400, "RequestTimeout", "unknown", "timed_out"),
    _bare(400, "unknown", "bad_request"),
    _bare(400, "unknown", "wrong_region", x_amz_bucket_region=REGION),
    _error(409, "OperationAborted", "unknown", "bad_request"),
    _error(411, "MissingContentLength", "unknown", "bad_request"),
    _error(412, "PreconditionFailed", "unknown", "bad_request"),
    _bare(407, "unknown", "bad_request", HTML),
    _bare(451, "unknown", "bad_request"),
]

_LED_ASTRAY = [
    _error(301, "PermanentRedirect", "unknown", "wrong_region", x_amz_bucket_region=REGION),
    _error(301, "PermanentRedirect", "unknown", "wrong_region"),
    _bare(301, "unknown", "redirected", HTML, Location="https://elsewhere.invalid/"),
    _bare(302, "unknown", "redirected", HTML, Location="https://login.invalid/"),
    _bare(303, "unknown", "unreachable", Location="https://login.invalid/"),  # botocore stumbles over it
    _error(307, "TemporaryRedirect", "unknown", "redirected", Location="https://b.s3.invalid/"),
    _bare(308, "unknown", "redirected", Location="https://elsewhere.invalid/"),
    _bare(301, "unknown", "redirected", x_amz_bucket_region="-not-a-region-.invalid"),
    _bare(304, "unknown", "unexpected_answer"),
    _bare(204, "unknown", "unexpected_answer"),
    Row("GET 400 until it is signed for another region, then 206", "GET", until_signed_for(
        ELSEWHERE, failure(400, "AuthorizationHeaderMalformed", f"<Region>{ELSEWHERE}</Region>"),
        Answer(206, b"x", _THERE)), "present"),
]  # fmt: skip

_FAILED = [
    _error(503, "SlowDown", "unknown", "throttled"),
    _error(503, "ServiceUnavailable", "unknown", "server_error"),
    _error(429, "TooManyRequests", "unknown", "throttled"),
    _bare(429, "unknown", "throttled"),
    _error(500, "InternalError", "unknown", "server_error"),
    _error(501, "NotImplemented", "unknown", "server_error"),
    _bare(502, "unknown", "server_error", HTML),
    _bare(503, "unknown", "server_error", HTML),
    _bare(504, "unknown", "server_error"),
    _error(509, "BandwidthLimitExceeded", "unknown", "server_error"),
    _bare(520, "unknown", "server_error", HTML),
    _bare(999, "unknown", "unexpected_answer"),
    Row("GET closed without an answer", "GET", manner(Manner.CLOSE), "unknown", "unreachable"),
    Row("GET reset", "GET", manner(Manner.RESET), "unknown", "unreachable"),
    Row("GET garbage", "GET", manner(Manner.RAW, b"\x16\x03\x01garbage\r\n\r\n"), "unknown", "unreachable"),
    Row("GET a status line alone", "GET", manner(Manner.RAW, b"HTTP/1.1 404 Not Found\r\n"), "unknown", "bare_404"),
    Row("GET silence", "GET", manner(Manner.SILENT), "unknown", "timed_out"),
    _get("404 NoSuchKey, its body cut off", Answer(404, GONE.body, GONE.headers, Manner.CUT), "unknown", "bare_404"),
]  # fmt: skip


def _head(id: str, answer: Answer, judged: str, reason: str = "", *, of_absent: bool = False) -> Row:
    return Row(f"HEAD {id}", "HEAD", always(answer), judged, reason, of_absent=of_absent)


def _head_of(answer: Answer) -> Answer:
    return Answer(200, b"xxx", {"ETag": '"e"', **answer.headers})


_HEADS = [
    _head("200", Answer(200, b"xxx"), "present"),
    _head("200 without a byte", Answer(200), "mismatched", "empty_object"),
    _head("200 GLACIER", _head_of(Answer(200, headers={"x-amz-storage-class": "GLACIER"})), "archived"),
    _head("200 DEEP_ARCHIVE", _head_of(Answer(200, headers={"x-amz-storage-class": "DEEP_ARCHIVE"})), "archived"),
    _head("200 GLACIER_IR", _head_of(Answer(200, headers={"x-amz-storage-class": "GLACIER_IR"})), "present"),
    _head("200 GLACIER, being restored", _head_of(Answer(200, headers={
        "x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="true"'})), "archived"),
    _head("200 GLACIER, restored", _head_of(Answer(200, headers={
        "x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="false"'})), "present"),
    _head("200 archived by Intelligent-Tiering", _head_of(Answer(200, headers={
        "x-amz-storage-class": "INTELLIGENT_TIERING", "x-amz-archive-status": "ARCHIVE_ACCESS"})), "archived"),
    # every other answer lacks a body: the GET that follows decides
    *(
        _head(f"{status}, the object {'gone' if gone else 'there'}", Answer(status), "missing" if gone else "present", of_absent=gone)
        for status in (204, 301, 302, 307, 400, 401, 403, 404, 405, 410, 412, 429, 500, 501, 503, 504)
        for gone in (False, True)
    ),
    _head("404 with a delete marker, the object gone", Answer(404, headers={"x-amz-delete-marker": "true"}), "recoverable", of_absent=True),
    _head("400 with a region, the object there", Answer(400, headers={"x-amz-bucket-region": REGION}), "present"),
    Row("HEAD closed, the object there", "HEAD", manner(Manner.CLOSE), "present"),
    Row("HEAD reset, the object gone", "HEAD", manner(Manner.RESET), "missing", of_absent=True),
    Row("HEAD garbage, the object there", "HEAD", manner(Manner.RAW, b"garbage\r\n\r\n"), "present"),
    Row("HEAD silence, the object there", "HEAD", manner(Manner.SILENT), "present"),
    Row("HEAD honest, the object gone", "HEAD", honest, "missing", of_absent=True),
]  # fmt: skip

GETS = [*_FOUND, *_ABSENT, *_REFUSED, *_LED_ASTRAY, *_FAILED]
HEADS = _HEADS
