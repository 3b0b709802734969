"""What a message's body says: every envelope, every way to write a key, and nothing that raises."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagesync.core.events import Message, ObjectEvent, Unreadable, parse_message
from imagesync.core.ranges import MAX_KEY_BYTES, key_is_sendable

KEYS = st.text(min_size=1, max_size=60).filter(lambda key: key_is_sendable(key) and "\0" not in key)


def record(key: str, name: str = "ObjectRemoved:Delete", bucket: str = "b", **more: Any) -> dict[str, Any]:
    where = {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0055AED6DCD90281E5"}}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": where, **more}


def notification(*records: Any) -> str:
    return json.dumps({"Records": list(records)})


def bridged(key: str, kind: str = "Object Deleted", **more: Any) -> str:
    detail = {"version": "0", "bucket": {"name": "b"}, "object": {"key": key}, "reason": "DeleteObject"}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail, **more})


def by_topic(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-north-1:1:t", "Message": body})


def keys_of(body: str) -> list[tuple[str, ...]]:
    parsed = parse_message(body)
    assert parsed.unreadable is None
    return [event.keys for event in parsed.events]


@given(key=KEYS)
@example(key="a+b %2B.jpg")
@example(key="a%20b.jpg")
@example(key="bücher/käse €.jpg")
@example(key="u\u0308.jpg")
def test_key__is_found_in_every_encoding_and_envelope(key: str) -> None:
    encodings = [quote_plus(key), quote_plus(key, safe="/"), quote(key), quote(key, safe="")]
    bodies = [notification(record(encoded)) for encoded in encodings]

    for body in [*bodies, bridged(key)]:
        for wrapped in (body, by_topic(body), by_topic(by_topic(body))):
            (keys,) = keys_of(wrapped)
            assert keys[0] == key


@given(key=KEYS)
def test_key__of_eventbridge_is_read_as_it_stands(key: str) -> None:
    assert keys_of(bridged(key)) == [(key,)]


def test_key__that_a_server_did_not_encode_is_looked_at_in_both_readings() -> None:
    assert keys_of(notification(record("a+b.jpg"))) == [("a b.jpg", "a+b.jpg")]


@given(body=st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
@example(body="[" * 100_000)
@example(body="1" * 5000)
def test_message__that_is_anything_at_all_is_read_or_has_a_reason(body: str) -> None:
    parsed = parse_message(body)

    assert parsed.events or parsed.unreadable or parsed.passed_over


WORDS = [
    "Records",
    "s3",
    "bucket",
    "object",
    "key",
    "name",
    "source",
    "detail",
    "detail-type",
    "Type",
    "Message",
    "Event",
]
VALUES = ["aws:s3", "aws.s3", "Object Deleted", "ObjectRemoved:Delete", "Notification", "s3:TestEvent"]
NAMES = st.sampled_from([*WORDS, "eventSource", "eventName"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner | st.sampled_from(VALUES), max_size=6)
    ),
    max_leaves=20,
)


@given(document=JSON)
def test_message__of_any_shape_never_raises_and_names_only_what_a_database_can_hold(document: Any) -> None:
    parsed = parse_message(json.dumps(document))

    for event in parsed.events:
        assert event.bucket
        for key in event.keys:
            assert 0 < len(key.encode()) <= MAX_KEY_BYTES
            assert "\0" not in key


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("ObjectCreated:Put", True),
        ("ObjectCreated:CompleteMultipartUpload", True),
        ("ObjectRemoved:Delete", True),
        ("ObjectRemoved:DeleteMarkerCreated", True),
        ("LifecycleExpiration:Delete", True),
        ("LifecycleExpiration:DeleteMarkerCreated", True),
        ("ObjectRestore:Completed", True),
        ("ObjectRestore:Delete", True),
        ("LifecycleTransition", True),
        ("IntelligentTiering", True),
        ("ReducedRedundancyLostObject", True),
        ("s3:ObjectRemoved:Delete", True),  # MinIO, Ceph
        ("ObjectRestore:Post", False),
        ("ObjectTagging:Put", False),
        ("ObjectAcl:Put", False),
        ("Replication:OperationFailedReplication", False),
    ],
)
def test_event__is_passed_over_unless_it_may_change_what_can_be_read(name: str, tells: bool) -> None:
    parsed = parse_message(notification(record("k", name)))

    assert (len(parsed.events), parsed.passed_over, parsed.unreadable) == (int(tells), int(not tells), None)


@pytest.mark.parametrize(
    ("kind", "tells"),
    [("Object Created", True), ("Object Restore Completed", True), ("Object Tags Added", False)],
)
def test_event__of_eventbridge_too(kind: str, tells: bool) -> None:
    parsed = parse_message(bridged("k", kind))

    assert (len(parsed.events), parsed.passed_over) == (int(tells), int(not tells))


@pytest.mark.parametrize("source", ["minio:s3", "ceph:s3", "aws:s3"])
def test_event__of_other_servers_is_read(source: str) -> None:
    assert keys_of(notification(record("k", eventSource=source))) == [("k",)]


def test_test_event__says_nothing() -> None:
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "HostId": "x"})

    assert parse_message(body) == parse_message(by_topic(body)) == Message(passed_over=1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", Unreadable.NOT_JSON),
        ("hello", Unreadable.NOT_JSON),
        ("[]", Unreadable.NOT_JSON),
        ("{}", Unreadable.NOT_OF_S3),
        (json.dumps({"Records": [{"eventSource": "aws:dynamodb"}]}), Unreadable.NOT_OF_S3),
        (json.dumps({"Records": [None]}), Unreadable.NOT_OF_S3),
        (json.dumps({"source": "aws.ec2", "detail-type": "Object Deleted"}), Unreadable.NOT_OF_S3),
        (by_topic("{}"), Unreadable.NOT_OF_S3),
        (by_topic(by_topic(by_topic(notification(record("k"))))), Unreadable.NOT_OF_S3),
        (notification(record("")), Unreadable.NO_OBJECT),
        (notification(record("k", bucket="")), Unreadable.NO_OBJECT),
        (notification(record("k", s3=[])), Unreadable.NO_OBJECT),
        (bridged(""), Unreadable.NO_OBJECT),
        (notification(record("%FF.jpg")), Unreadable.KEY_NOT_TEXT),
        (notification(record("%ED%A0%80.jpg")), Unreadable.KEY_NOT_TEXT),
        (notification(record("\ud800.jpg")), Unreadable.KEY_NOT_TEXT),
        (json.dumps({"Records": []}), Unreadable.NOT_OF_S3),
        (bridged("\ud800.jpg"), Unreadable.KEY_NOT_TEXT),
        (json.dumps({"Type": "SubscriptionConfirmation", "Token": "t"}), Unreadable.SUBSCRIPTION),
    ],
)  # fmt: skip
def test_message__that_cannot_be_read_has_its_reason(body: str, why: Unreadable) -> None:
    parsed = parse_message(body)

    assert (parsed.events, parsed.unreadable) == ((), why)


def test_message__with_one_bad_record_keeps_the_others() -> None:
    parsed = parse_message(notification(record("a"), record("%FF"), record("b")))

    assert [event.keys for event in parsed.events] == [("a",), ("b",)]
    assert parsed.unreadable is Unreadable.KEY_NOT_TEXT


@pytest.mark.parametrize("key", ["\0.jpg", "k" * (MAX_KEY_BYTES + 1)])
def test_event__whose_key_no_record_could_name_has_none(key: str) -> None:
    (event,) = parse_message(notification(record(key))).events

    assert event == ObjectEvent(name="ObjectRemoved:Delete", bucket="b", keys=())
