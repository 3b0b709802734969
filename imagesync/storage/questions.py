"""The doctor's questions to a store beyond those of the contract: where the bucket is, what its lifecycle deletes,
what the public may do. Each may be denied, or not offered by another server than AWS's: that is no answer, and never
a bad one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from imagesync.core.advice import LifecycleRule
from imagesync.core.classify import ARCHIVE_CLASSES
from imagesync.core.verdicts import Evidence
from imagesync.storage.browser import Browsed, browse
from imagesync.storage.contract import Store, clean_region
from imagesync.storage.store import S3Store

EVERYBODY = ("http://acs.amazonaws.com/groups/global/AllUsers",)
ANYBODY_WITH_AN_ACCOUNT = ("http://acs.amazonaws.com/groups/global/AuthenticatedUsers",)
_NO_SUCH_OPERATION = Evidence(operation="", code="NotImplemented")


def bucket_location(store: Store) -> str:
    """The bucket's region by GetBucketLocation; empty when it is not told."""
    if not isinstance(store, S3Store):
        return ""
    evidence, answer = store.about_bucket("LOCATION")
    if evidence.status != 200 or not answer.get("IsLocationAnswer"):
        return ""
    # us-east-1 is told as nothing at all ("GetBucketLocation", response elements)
    return clean_region(answer.get("LocationConstraint") or "us-east-1")


def clock_ahead_by(evidence: Evidence, now: datetime) -> timedelta | None:
    """Our clock minus the server's, from the Date header of an answer that came just ``now``."""
    try:
        told = parsedate_to_datetime(evidence.headers["date"])
    except (KeyError, ValueError):
        return None
    return now - (told if told.tzinfo else told.replace(tzinfo=UTC))


def lifecycle_rules(store: Store) -> tuple[Evidence, tuple[LifecycleRule, ...] | None]:
    """The enabled rules for current objects; None when they are not told."""
    if not isinstance(store, S3Store):
        return _NO_SUCH_OPERATION, None
    evidence, answer = store.about_bucket("LIFECYCLE")
    if evidence.status == 404 and evidence.code == "NoSuchLifecycleConfiguration":
        return evidence, ()
    # a configuration has at least one rule; without one, the answer is not S3's
    if evidence.status != 200 or not answer.get("Rules"):
        return evidence, None
    return evidence, tuple(_rule(rule) for rule in answer["Rules"] if rule.get("Status") == "Enabled")


def _rule(rule: Mapping[str, Any]) -> LifecycleRule:
    given: Mapping[str, Any] = rule.get("Filter") or {}
    both: Mapping[str, Any] = given.get("And") or {}
    narrowing = {"Tag", "Tags", "ObjectSizeGreaterThan", "ObjectSizeLessThan"}
    return LifecycleRule(
        name=str(rule.get("ID") or "without a name")[:255],
        prefix=str(rule.get("Prefix") or given.get("Prefix") or both.get("Prefix") or ""),
        filtered=bool(narrowing & {*given, *both}),
        expires=_when(rule.get("Expiration") or {}),
        archives=next(
            (
                _when(one)
                for one in rule.get("Transitions") or ()
                if one.get("StorageClass") in ARCHIVE_CLASSES
            ),
            "",
        ),
    )


def _when(action: Mapping[str, Any]) -> str:
    """``ExpiredObjectDeleteMarker`` alone touches no object, so it is none of this."""
    if isinstance(action.get("Days"), int):
        return f"after {action['Days']} days"
    date = action.get("Date")
    return f"from {date:%Y-%m-%d} on" if isinstance(date, datetime) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAccess:
    """What the bucket's own settings allow the public; None where S3 did not tell."""

    by_policy: bool | None
    by_acl: tuple[str, ...] | None
    """``READ``, ``WRITE`` ... granted to everybody, or to anybody with an AWS account."""
    blocked: bool | None
    """Whether public access is blocked altogether, whatever policy and access list say."""

    @property
    def is_told(self) -> bool:
        return self.by_policy is not None or self.by_acl is not None or bool(self.blocked)


def public_access(store: Store) -> PublicAccess:
    if not isinstance(store, S3Store):
        return PublicAccess(by_policy=None, by_acl=None, blocked=None)
    return PublicAccess(by_policy=_by_policy(store), by_acl=_by_acl(store), blocked=_blocked(store))


def _by_policy(store: S3Store) -> bool | None:
    evidence, answer = store.about_bucket("POLICY_STATUS")
    if evidence.status == 404 and evidence.code == "NoSuchBucketPolicy":
        return False
    told = answer.get("PolicyStatus", {}).get("IsPublic")
    return told if isinstance(told, bool) else None


def _by_acl(store: S3Store) -> tuple[str, ...] | None:
    _evidence, answer = store.about_bucket("ACL")
    if not answer.get("Owner") and not answer.get("Grants"):
        return None
    public = {*EVERYBODY, *ANYBODY_WITH_AN_ACCOUNT}
    granted = {
        str(grant.get("Permission"))
        for grant in answer.get("Grants") or ()
        if (grant.get("Grantee") or {}).get("URI") in public
    }
    return tuple(sorted(granted))


def _blocked(store: S3Store) -> bool | None:
    evidence, answer = store.about_bucket("ACCESS_BLOCK")
    if evidence.status == 404 and evidence.code == "NoSuchPublicAccessBlockConfiguration":
        return False
    told = answer.get("PublicAccessBlockConfiguration")
    if not told:
        return None
    return bool(told.get("IgnorePublicAcls")) and bool(told.get("RestrictPublicBuckets"))


def everybody_reads(store: Store, key: str, *, timeout: float) -> bool | None:
    """Whether an unsigned GET of one key hands the object out; None when nobody said."""
    if not isinstance(store, S3Store):
        return None
    browsed = browse(store.unsigned_url("", key), timeout=timeout)
    return _allowed(browsed, browsed.loads)


def everybody_lists(store: Store, *, timeout: float) -> bool | None:
    """Whether an unsigned listing of one key is answered as a listing; None when nobody said."""
    if not isinstance(store, S3Store):
        return None
    browsed = browse(store.unsigned_url("list-type=2&max-keys=1"), timeout=timeout)
    return _allowed(
        browsed, browsed.status == 200 and browsed.content_type in ("application/xml", "text/xml")
    )


def _allowed(browsed: Browsed, handed_out: bool) -> bool | None:
    """A refusal is one of S3's own; a redirect, a failure or silence is no answer."""
    if handed_out:
        return True
    return False if browsed.status is not None and 400 <= browsed.status < 500 else None
