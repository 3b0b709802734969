"""The body of a queue's message -> which objects S3 says something about, or why it cannot be read.

An event is only a hint where to look. What it says (created, removed, in which order) decides nothing, so duplicates and
events out of order do no harm, and of a key that can be read in two ways both are looked at.

Read are S3's own notifications ("Event message structure", S3 User Guide), also those of servers that speak its language
(MinIO, Ceph), EventBridge's ("EventBridge event message structure") and either of them in SNS's envelope ("Amazon SNS
message and JSON formats"); with raw message delivery there is no envelope.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from imagesync.core.ranges import key_is_sendable

TEST_EVENT = "s3:TestEvent"
_ENVELOPES = 2
"""An SNS envelope, and one around it where a topic is subscribed to another by way of a function."""

# what may change whether an object can be read; tags, access lists and replication do not
_TELLING_NAMES = (
    "ObjectCreated:",
    "ObjectRemoved:",
    "LifecycleExpiration:",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "LifecycleTransition",
    "IntelligentTiering",
    "ReducedRedundancyLostObject",
)
_TELLING_TYPES = frozenset(
    {
        "Object Created",
        "Object Deleted",
        "Object Restore Completed",
        "Object Restore Expired",
        "Object Storage Class Changed",
        "Object Access Tier Changed",
    }
)


class Unreadable(StrEnum):
    """Why a message, or a part of it, is no event of an object."""

    NOT_JSON = "not_json"
    """It is no JSON object."""
    NOT_OF_S3 = "not_of_s3"
    """It is one, but neither an event of S3 nor an envelope around one."""
    NO_OBJECT = "no_object"
    """An event of S3 that names no bucket or no key."""
    KEY_NOT_TEXT = "key_not_text"
    """Its key is not UTF-8 once it is decoded."""
    SUBSCRIPTION = "subscription"
    """A topic asks for a subscription to be confirmed, or tells that one has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """What one event says: look at this object."""

    name: str
    """``ObjectRemoved:Delete``; of EventBridge, ``Object Deleted``."""
    bucket: str
    keys: tuple[str, ...]
    """Each way to read the key that S3 and a database could hold; empty when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a message holds. Both parts may be there: of several events, one may be unreadable."""

    events: tuple[ObjectEvent, ...] = ()
    unreadable: Unreadable | None = None
    """Of the first part that could not be read."""
    passed_over: int = 0
    """Events that are none of ours: test events, tags, access lists, replication."""


def parse_message(body: str) -> Message:
    """Never raises, whatever the body is."""
    return _parsed(body, envelopes=_ENVELOPES)


def _parsed(body: str, *, envelopes: int) -> Message:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: nested deeper than Python goes
        return Message(unreadable=Unreadable.NOT_JSON)
    if not isinstance(document, dict):
        return Message(unreadable=Unreadable.NOT_JSON)
    kind = document.get("Type")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return Message(unreadable=Unreadable.SUBSCRIPTION)
    if kind == "Notification" and isinstance(document.get("Message"), str) and envelopes:
        return _parsed(document["Message"], envelopes=envelopes - 1)
    if document.get("Event") == TEST_EVENT:
        return Message(passed_over=1)
    if isinstance(document.get("Records"), list) and document["Records"]:
        return _together(map(_notification, document["Records"]))
    if document.get("source") == "aws.s3":
        return _together(iter([_event_of_bridge(document)]))
    return Message(unreadable=Unreadable.NOT_OF_S3)


_Part = ObjectEvent | Unreadable | None


def _together(parts: Iterator[_Part]) -> Message:
    found = list(parts)
    problems = [one for one in found if isinstance(one, Unreadable)]
    return Message(
        events=tuple(one for one in found if isinstance(one, ObjectEvent)),
        unreadable=problems[0] if problems else None,
        passed_over=found.count(None),
    )


def _notification(record: object) -> _Part:
    """One of ``Records``. Its key is quoted as in a form: ``+`` is a space, ``%2B`` a plus sign."""
    if not isinstance(record, dict) or not str(record.get("eventSource")).endswith(":s3"):
        return Unreadable.NOT_OF_S3
    name = str(record.get("eventName")).removeprefix("s3:")
    if not name.startswith(_TELLING_NAMES):
        return None
    bucket, key = _names(record.get("s3"))
    if not bucket or not key:
        return Unreadable.NO_OBJECT
    try:
        decoded = unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        return Unreadable.KEY_NOT_TEXT
    # some servers send it as it is; a look at one more record costs little and does no harm
    return _event(name, bucket, decoded, key)


def _event_of_bridge(document: Mapping[str, Any]) -> _Part:
    """EventBridge does not quote keys."""
    kind = str(document.get("detail-type"))
    if kind not in _TELLING_TYPES:
        return None
    bucket, key = _names(document.get("detail"))
    return _event(kind, bucket, key) if bucket and key else Unreadable.NO_OBJECT


def _event(name: str, bucket: str, *keys: str) -> _Part:
    if not all(_is_text(one) for one in (bucket, *keys)):
        return Unreadable.KEY_NOT_TEXT
    # no database holds a NUL in a text, so no record names such a key
    nameable = (key for key in keys if key_is_sendable(key) and "\0" not in key)
    return ObjectEvent(name=name, bucket=bucket, keys=tuple(dict.fromkeys(nameable)))


def _names(where: object) -> tuple[str, str]:
    """Bucket and key, empty when they are not there."""
    parts = where if isinstance(where, dict) else {}
    names = []
    for part, name in (("bucket", "name"), ("object", "key")):
        holder = parts.get(part)
        value = holder.get(name) if isinstance(holder, dict) else None
        names.append(value if isinstance(value, str) else "")
    return names[0], names[1]


def _is_text(value: str) -> bool:
    """Without half of a surrogate pair, which JSON can spell and UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
