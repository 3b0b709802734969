"""What was seen -> what to tell people: an id, a fact, and the exact thing to change.

Ids are stable: tests, documentation (docs/diagnoses.md) and scripts use them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from imagesync.core.classify import failure_reason
from imagesync.core.verdicts import Evidence, Reason

DEFAULT_REGION = "us-east-1"
_OTHER_NAMES = {"": DEFAULT_REGION, "aws-global": DEFAULT_REGION, "EU": "eu-west-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    id: str
    fact: str
    """One sentence with the names and numbers in it."""
    hint: str
    """What to change, as it would be typed."""

    def to_dict(self) -> dict[str, str]:
        return {"id": self.id, "fact": self.fact, "hint": self.hint}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The store as a diagnosis names it."""

    alias: str
    bucket: str
    region: str
    endpoint: str
    prefix: str


ABSENT_KEY = "a key that cannot exist"


def is_same_region(one: str, other: str) -> bool:
    """Whether two names mean one region: S3 still tells some by their oldest name ("GetBucketLocation")."""
    return _OTHER_NAMES.get(one, one) == _OTHER_NAMES.get(other, other)


DIAGNOSES: dict[str, str] = {
    "wrong_region": "The bucket is in another region than the application is configured for.",
    "no_bucket": "The bucket does not exist under this endpoint.",
    "list_denied": "s3:ListBucket is lacking, so an absent object cannot be told from a forbidden one.",
    "access_denied": "S3 refuses the application.",
    "bad_credentials": "The access key is unknown or disabled, or its secret is wrong.",
    "no_credentials": "The client found no credentials.",
    "client_settings": "The client can send nothing with the settings that it has.",
    "expired_credentials": "The session token has expired or is invalid.",
    "clock_skew": "This machine's clock and S3's differ by more than 15 minutes.",
    "unreachable": "No connection to the endpoint.",
    "timed_out": "The endpoint did not answer in time.",
    "throttled": "S3 asks to slow down.",
    "server_error": "S3 or something before it fails.",
    "redirected": "The endpoint redirects elsewhere without naming a region.",
    "listing_broken": "A listing page contradicts what was asked, or itself.",
    "listing_failed": "The listing ended with an error before its end.",
    "absent_key_answered": "A key that cannot exist is answered as if it did.",
    "bad_request": "S3 does not understand the request.",
    "unexpected_answer": "An answer that S3's documentation does not know.",
    "collapse": "Every record last seen present is gone.",
    "canary_failed": "A record last seen present could not be looked at.",
    "unfit_afterwards": "The store was fit before the audit and not after it.",
    "store_changed": "The storage names another store than at its last audit.",
    "written_elsewhere": "Records were last seen in another store than this one.",
    "some_unknown": "Some records could not be judged.",
    # the doctor's, of the store
    "read_denied": "S3 refuses to hand out an object that is there.",
    "versions_denied": "s3:ListBucketVersions is lacking in a bucket that keeps versions.",
    "versioning_suspended": "Versioning is suspended.",
    "lifecycle_deletes": "A lifecycle rule deletes images.",
    "lifecycle_archives": "A lifecycle rule moves images to an archive that no browser can read.",
    "public_objects": "Everybody can read an object whose URL the site signs.",
    "public_listing": "Everybody can list the bucket.",
    "public_bucket": "The bucket's policy or access list opens it to the public.",
    "clock_drift": "This machine's clock and S3's differ by more than 5 minutes.",
    # of the URL that the site hands to a browser
    "url_not_built": "The storage makes no URL that a browser could ask for.",
    "url_signature_v2": "The site's URLs are signed with Signature Version 2.",
    "url_refused": "A browser is refused at the site's URL of an image that is there.",
    "url_redirected": "The site's signed URL is redirected to another host.",
    "url_unreachable": "No answer at the site's URL.",
    "url_failed": "The server of the site's URL fails.",
    "url_foreign_answer": "The site's URL answers with something that is no image.",
    "global_host": "The site's URLs name AWS's global host, and the bucket is in another region.",
    "path_style": "The site's URLs address AWS by path.",
    "plain_http": "Credentials or signed URLs travel without encryption.",
    # of the project, without asking anybody
    "region_unset": "No region is configured.",
    "client_config_ignored": "client_config silences settings beside it.",
    "location_rewritten": "django-storages rewrites the location.",
    "shared_keys": "Several records name one object.",
    "cleanup_installed": "django-cleanup deletes an object along with its record.",
    "deletion_receivers": "Signal receivers run when a record with a file is deleted.",
    "cluster_redelivers": "django-q2 hands out a task again while it still runs.",
    "cluster_no_timeout": "django-q2 ends no task that hangs.",
    "cluster_retries_forever": "django-q2 repeats a failing task for ever.",
    "cluster_catch_up": "django-q2 makes up for every missed slot of a schedule.",
    # of the queue that S3's events arrive in
    "no_queue": "The queue of S3's events does not exist under this URL.",
    "queue_denied": "SQS refuses the application at the queue of S3's events.",
    "queue_away": "The queue of S3's events gives no answer for now.",
    "queue_failed": "The queue of S3's events gives an answer that SQS's documentation does not know.",
}
"""Every diagnosis, with its sentence; docs/diagnoses.md has a section for each."""


def wrong_region(place: Place, real: str) -> Diagnosis:
    return Diagnosis(
        id="wrong_region",
        fact=f'The bucket "{place.bucket}" is in {real}; the application is configured for '
        f"{place.region or DEFAULT_REGION + ' (the default)'}.",
        hint=f'Set AWS_S3_REGION_NAME = "{real}" (or "region_name" in STORAGES["{place.alias}"]["OPTIONS"]).',
    )


def list_denied(place: Place, what: str) -> Diagnosis:
    """``s3:ListBucket`` is lacking: S3 then answers 403 for absent keys too (GetObject, Permissions).

    The statement is for the whole bucket. A condition on ``s3:prefix`` would allow the listing alone: GetObject has no
    such value, so absent keys are still answered with 403 (measured on Ceph RGW).
    """
    arn = bucket_arn(place)
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn}
    reading = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/{place.prefix}*"}
    hint = f"Add to the application's IAM policy: {json.dumps(listing)}"
    if what == ABSENT_KEY:  # the listing was allowed, or nobody would have come so far
        hint = (
            "One of these two is lacking, or has a condition (imagesync_doctor tells which). Add to the application's IAM "
            f"policy: {json.dumps([listing, reading])}"
        )
    return Diagnosis(
        id="list_denied",
        fact=f'S3 refused {what} in bucket "{place.bucket}" (403), so an absent object cannot be told from a '
        "forbidden one.",
        hint=hint,
    )


def bucket_arn(place: Place) -> str:
    if place.bucket.startswith("arn:"):
        return place.bucket
    partition = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    name = next((name for start, name in partition.items() if place.region.startswith(start)), "aws")
    return f"arn:{name}:s3:::{place.bucket}"


def absent_key_answered(place: Place, status: int | None) -> Diagnosis:
    return Diagnosis(
        id="absent_key_answered",
        fact=f'A key that cannot exist was answered with HTTP {status} by bucket "{place.bucket}".',
        hint="Something between answers for S3 (a proxy, a gateway, an Object Lambda). Point endpoint_url at S3 itself.",
    )


def listing_broken(place: Place, message: str) -> Diagnosis:
    return Diagnosis(
        id="listing_broken",
        fact=f'The listing of bucket "{place.bucket}" cannot be believed. {message}',
        hint="Look for a proxy or gateway between the application and S3; check endpoint_url.",
    )


def failed_call(place: Place, evidence: Evidence) -> Diagnosis:
    """What a call that should have worked says about the store."""
    reason = failure_reason(evidence)
    told = evidence.headers.get("x-amz-bucket-region", "")
    if reason is Reason.WRONG_REGION and told:
        if told != place.region:
            return wrong_region(place, told)
        reason = Reason.BAD_REQUEST  # the region is right, so something else about the request is not
    if reason is Reason.ACCESS_DENIED and evidence.operation in ("ListObjectsV2", "GetObject"):
        return list_denied(place, "the listing" if evidence.operation == "ListObjectsV2" else ABSENT_KEY)
    id, fact, hint = _FAILURES.get(reason, _FAILURES[Reason.UNEXPECTED_ANSWER])
    names = {
        "bucket": place.bucket,
        "endpoint": place.endpoint,
        "alias": place.alias,
        "region": place.region or DEFAULT_REGION,
        "answer": f"HTTP {evidence.status} {evidence.code}".strip() if evidence.status else evidence.code,
        "operation": evidence.operation,
    }
    return Diagnosis(id=id, fact=fact.format(**names), hint=hint.format(**names))


_FAILURES: dict[Reason, tuple[str, str, str]] = {
    Reason.UNSENDABLE_KEY: (
        "no_bucket",
        'The client refuses to send a request for bucket "{bucket}" ({operation}: {answer}): it cannot be a bucket name, '
        "or the storage's location is too long.",
        'Check AWS_STORAGE_BUCKET_NAME and AWS_LOCATION (or "bucket_name" and "location" in '
        'STORAGES["{alias}"]["OPTIONS"]).',
    ),
    Reason.WRONG_REGION: (
        "wrong_region",
        'The bucket "{bucket}" is not in {region}, which the application is configured for ({answer}); S3 did not say '
        "where it is.",
        'Find it with "aws s3api get-bucket-location --bucket {bucket}" and set AWS_S3_REGION_NAME to it.',
    ),
    Reason.NO_BUCKET: (
        "no_bucket",
        'There is no bucket "{bucket}" at {endpoint} ({answer}).',
        'Check AWS_STORAGE_BUCKET_NAME (or "bucket_name" in STORAGES["{alias}"]["OPTIONS"]) and endpoint_url.',
    ),
    Reason.BARE_404: (
        "no_bucket",
        'There is no bucket "{bucket}" at {endpoint} ({operation}: {answer}).',
        'Check AWS_STORAGE_BUCKET_NAME (or "bucket_name" in STORAGES["{alias}"]["OPTIONS"]) and endpoint_url.',
    ),
    Reason.ACCESS_DENIED: (
        "access_denied",
        'S3 refuses the application at bucket "{bucket}" ({operation}: {answer}).',
        "Allow it s3:ListBucket on the bucket and s3:GetObject on its objects; check that the bucket is this account's.",
    ),
    Reason.BAD_CREDENTIALS: (
        "bad_credentials",
        "S3 does not accept the application's credentials ({answer}).",
        "Check AWS_S3_ACCESS_KEY_ID and AWS_S3_SECRET_ACCESS_KEY, and that the key is active.",
    ),
    Reason.NO_CREDENTIALS: (
        "no_credentials",
        "No credentials were found to sign requests with ({answer}).",
        "Set AWS_S3_ACCESS_KEY_ID and AWS_S3_SECRET_ACCESS_KEY, or give the machine a role.",
    ),
    Reason.CLIENT_SETTINGS: (
        "client_settings",
        "The client cannot send {operation} with the settings that it has ({answer}); nothing was asked of {endpoint}.",
        "Check AWS_S3_SIGNATURE_VERSION, AWS_S3_ADDRESSING_STYLE, AWS_S3_PROXIES and AWS_S3_CLIENT_CONFIG (or their like in "
        'STORAGES["{alias}"]["OPTIONS"]).',
    ),
    Reason.EXPIRED_CREDENTIALS: (
        "expired_credentials",
        "The application's session token has expired or is invalid ({answer}).",
        "Renew the credentials; use a role that botocore can refresh for long audits.",
    ),
    Reason.CLOCK_SKEW: (
        "clock_skew",
        "This machine's clock and S3's differ by more than 15 minutes ({answer}).",
        "Set the clock (NTP), then audit again.",
    ),
    Reason.UNREACHABLE: (
        "unreachable",
        "No connection to {endpoint} ({answer}).",
        "Check endpoint_url, the region's spelling ({region}), DNS, firewall and proxies.",
    ),
    Reason.TIMED_OUT: (
        "timed_out",
        "{endpoint} did not answer in time ({answer}).",
        'Try again; check the network, or raise IMAGESYNC["READ_TIMEOUT"].',
    ),
    Reason.THROTTLED: (
        "throttled",
        "{endpoint} asks to slow down ({answer}).",
        'Try again later, or lower IMAGESYNC["WORKERS"].',
    ),
    Reason.SERVER_ERROR: (
        "server_error",
        "{endpoint} fails ({operation}: {answer}).",
        "Try again later; nothing was concluded.",
    ),
    Reason.REDIRECTED: (
        "redirected",
        "{endpoint} redirects elsewhere and names no region ({answer}).",
        "Point endpoint_url at S3 itself (https, no proxy), or leave it unset for AWS.",
    ),
    Reason.BAD_REQUEST: (
        "bad_request",
        '{endpoint} does not take the request for bucket "{bucket}" ({operation}: {answer}).',
        "On AWS a bare 400 usually means the wrong region: check AWS_S3_REGION_NAME and AWS_S3_SIGNATURE_VERSION (s3v4).",
    ),
    Reason.UNEXPECTED_ANSWER: (
        "unexpected_answer",
        '{operation} on bucket "{bucket}" got an answer that S3 does not give ({answer}).',
        "Something between answers for S3. Point endpoint_url at S3 itself.",
    ),
}
