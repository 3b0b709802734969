"""The doctor's diagnoses of a bucket: permissions, clock, lifecycle rules, what the public may do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from imagesync.core.diagnosis import Diagnosis, Place, bucket_arn
from imagesync.core.verdicts import Evidence

SKEW_REFUSED = timedelta(minutes=15)
"""S3 refuses a request whose time is further from its own (RequestTimeTooSkewed, "Error responses")."""
SKEW_NOTABLE = timedelta(minutes=5)


def answer_of(evidence: Evidence) -> str:
    """``HTTP 403 AccessDenied``, or the exception's name when there was no answer."""
    return f"HTTP {evidence.status} {evidence.code}".strip() if evidence.status else evidence.code


def read_denied(place: Place, evidence: Evidence) -> Diagnosis:
    """``s3:GetObject`` is lacking for an object that the listing named, or a key of KMS may not be used."""
    statement = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": f"{bucket_arn(place)}/{place.prefix}*",
    }
    hint = f"Add to the application's IAM policy: {json.dumps(statement)}"
    if evidence.code.startswith("KMS"):
        hint = "Allow kms:Decrypt with the key that the object is encrypted with, in the key's policy and in the application's."
    return Diagnosis(
        id="read_denied",
        fact=f'S3 refused to hand out an object of bucket "{place.bucket}" that is there ({answer_of(evidence)}).',
        hint=hint,
    )


def versions_denied(place: Place, versioning: str) -> Diagnosis:
    return Diagnosis(
        id="versions_denied",
        fact=f'Versioning of bucket "{place.bucket}" is {versioning} and S3 refuses to list versions, so an older version '
        "that could be brought back may go unseen.",
        hint=versions_hint(place),
    )


def versions_hint(place: Place) -> str:
    statement = {"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": bucket_arn(place)}
    return f"Add to the application's IAM policy: {json.dumps(statement)}"


def versioning_suspended(place: Place) -> Diagnosis:
    return Diagnosis(
        id="versioning_suspended",
        fact=f'Versioning of bucket "{place.bucket}" is suspended: what is overwritten from now on is gone, and what is '
        "deleted leaves a delete marker.",
        hint=f"aws s3api put-bucket-versioning --bucket {place.bucket} --versioning-configuration Status=Enabled",
    )


def clock_differs(by: timedelta) -> Diagnosis | None:
    """``by`` is our clock minus the server's; None when the two agree well enough."""
    if abs(by) <= SKEW_NOTABLE:
        return None
    way = "ahead of" if by > timedelta(0) else "behind"
    fact = f"This machine's clock is {_spoken(abs(by))} {way} the server's."
    if abs(by) > SKEW_REFUSED:
        return Diagnosis(
            id="clock_skew",
            fact=f"{fact} S3 refuses requests that are off by more than 15 minutes.",
            hint="Set the clock (NTP).",
        )
    return Diagnosis(
        id="clock_drift",
        fact=f"{fact} From 15 minutes on S3 refuses every request.",
        hint="Set the clock (NTP).",
    )


def _spoken(by: timedelta) -> str:
    minutes = round(by.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{round(minutes / 60)} hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """An enabled rule of the bucket's lifecycle, as far as it concerns current objects."""

    name: str
    prefix: str
    filtered: bool
    """Whether tags or sizes narrow it further."""
    expires: str
    """When it deletes, in words; empty when it does not."""
    archives: str
    """When it moves objects to a class that must be restored before it can be read; empty when it does not."""

    def concerns(self, prefix: str) -> bool:
        return self.prefix.startswith(prefix) or prefix.startswith(self.prefix)

    def concerns_all(self, prefix: str) -> bool:
        return not self.filtered and prefix.startswith(self.prefix)

    @property
    def reach(self) -> str:
        keys = f"keys that start with {self.prefix!a}" if self.prefix else "every key"
        return f"{keys} (narrowed by tags or sizes)" if self.filtered else keys


def lifecycle_deletes(place: Place, rule: LifecycleRule) -> Diagnosis:
    return Diagnosis(
        id="lifecycle_deletes",
        fact=f'The lifecycle rule {rule.name!a} of bucket "{place.bucket}" deletes {rule.reach} {rule.expires}; the '
        "records stay behind.",
        hint="Disable the rule, or narrow it to a prefix that no image is under: aws s3api "
        f"get-bucket-lifecycle-configuration --bucket {place.bucket}",
    )


def lifecycle_archives(place: Place, rule: LifecycleRule) -> Diagnosis:
    return Diagnosis(
        id="lifecycle_archives",
        fact=f'The lifecycle rule {rule.name!a} of bucket "{place.bucket}" moves {rule.reach} to an archive '
        f"{rule.archives}; they must then be restored before anybody can see them.",
        hint="Have the rule use STANDARD_IA, GLACIER_IR or INTELLIGENT_TIERING (without archive tiers) instead.",
    )


def public_objects(place: Place) -> Diagnosis:
    return Diagnosis(
        id="public_objects",
        fact=f'An object of bucket "{place.bucket}" can be read by everybody, without any signature, '
        "although the site signs its URLs.",
        hint="If that is meant, set AWS_QUERYSTRING_AUTH = False and save the signing. If not, block public access: "
        f"{_block(place)}",
    )


def public_listing(place: Place) -> Diagnosis:
    return Diagnosis(
        id="public_listing",
        fact=f'Bucket "{place.bucket}" can be listed by everybody, so nobody needs to know a name to find an image.',
        hint="Take s3:ListBucket away from the public, in the bucket's policy and access list; or block public access: "
        f"{_block(place)}",
    )


def public_bucket(place: Place, how: Sequence[str]) -> Diagnosis:
    return Diagnosis(
        id="public_bucket",
        fact=f'Bucket "{place.bucket}" is open to the public: {"; ".join(how)}.',
        hint=f"Unless that is meant, block public access: {_block(place)}",
    )


def _block(place: Place) -> str:
    every = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
    return f"aws s3api put-public-access-block --bucket {place.bucket} --public-access-block-configuration {every}"
