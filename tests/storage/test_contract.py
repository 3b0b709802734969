"""One suite for every store: what holds for S3 behind a socket holds for the store in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import override_settings

from imagesync.core.verdicts import Evidence, Verdict
from imagesync.exceptions import ListingBroken
from imagesync.storage.listing import listed
from imagesync.storage.memory import MemoryStore
from imagesync.storage.preflight import preflight
from imagesync.storage.probe import confirm, look
from imagesync.storage.store import ClientOptions, S3Store, is_s3
from imagesync.storage.versions import MAX_VERSIONS
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, REGION, storages_at

KEYS = [
    "media/a.jpg",
    "media/b c+d%20.jpg",
    "media/caf\u00e9.jpg",
    "media/cafe\u0301.jpg",
    "media/\U0001f600.png",
]
OPTIONS = ClientOptions(connect_timeout=2, read_timeout=5, max_attempts=2)


class Stocked:
    """A store with the keys of the suite in it, and one key beside its prefix."""

    def __init__(self, store: Any, put: Any, delete: Any) -> None:
        self.store, self.put, self.delete = store, put, delete
        for key in [*KEYS, "other/z.jpg"]:
            put(key)


def in_memory(versioning: str = "off") -> Iterator[Stocked]:
    store = MemoryStore("test-bucket", prefix="media/", versioning=versioning)
    yield Stocked(store, store.put, store.delete)


def on_s3(server: EmbeddedS3) -> Iterator[Stocked]:
    with override_settings(STORAGES=storages_at(server.url, location="media")):
        store = S3Store.from_storage(storages["default"], alias="default", options=OPTIONS)
        yield Stocked(
            store, lambda key: server.put(BUCKET, key, b"x"), lambda key: server.delete(BUCKET, key)
        )


@pytest.fixture(params=["memory", "s3"])
def stocked(request: pytest.FixtureRequest) -> Iterator[Stocked]:
    yield from in_memory() if request.param == "memory" else on_s3(request.getfixturevalue("s3"))


def test_store__is_fit_and_asks_little_to_know_it(stocked: Stocked) -> None:
    fit = preflight(stocked.store)

    assert fit.fit, fit.reasons
    assert fit.versioning == "off"
    assert sum(stocked.store.requests.values()) == 4


def test_store__lists_its_prefix_in_byte_order_over_many_pages(stocked: Stocked) -> None:
    keys = [one.key for one in listed(stocked.store, prefix="media/", page_size=2)]

    assert keys == sorted(KEYS, key=str.encode)


def test_store__lists_between_two_keys(stocked: Stocked) -> None:
    ordered = sorted(KEYS)

    keys = [
        one.key
        for one in listed(
            stocked.store, prefix="media/", start_after=ordered[0], until=ordered[3], page_size=1
        )
    ]

    assert keys == ordered[1:3]


def test_store__lists_sizes(stocked: Stocked) -> None:
    assert {one.size_bytes for one in listed(stocked.store, prefix="media/")} == {1}


@pytest.mark.parametrize("key", KEYS)
def test_store__present_by_head_and_by_get(stocked: Stocked, key: str) -> None:
    assert look(stocked.store, key, versioning="off").verdict is Verdict.PRESENT
    seen = confirm(stocked.store, key, versioning="off")
    assert seen.verdict is Verdict.PRESENT
    assert seen.evidence.size_bytes == 1
    assert seen.evidence.store == stocked.store.identity.fingerprint
    assert seen.evidence.at is not None


@pytest.mark.parametrize("key", KEYS)
def test_store__a_deleted_key_is_missing_and_its_neighbours_are_not(stocked: Stocked, key: str) -> None:
    stocked.delete(key)

    seen = look(stocked.store, key, versioning="off")

    assert seen.verdict is Verdict.MISSING
    assert (seen.evidence.operation, seen.evidence.status, seen.evidence.code) == (
        "GetObject",
        404,
        "NoSuchKey",
    )
    assert all(
        look(stocked.store, other, versioning="off").verdict is Verdict.PRESENT
        for other in KEYS
        if other != key
    )


@pytest.mark.parametrize("key", ["", "x" * 1025, "\udc80", "\u00e9" * 513])
def test_store__a_key_that_cannot_be_sent_is_unknown_without_a_request(stocked: Stocked, key: str) -> None:
    seen = confirm(stocked.store, key, versioning="off")

    assert (seen.verdict, seen.reason) == (Verdict.UNKNOWN, "unsendable_key")
    assert sum(stocked.store.requests.values()) == 0


def test_store__versions_are_asked_where_versioning_is_not_off(stocked: Stocked) -> None:
    absent = "media/never.jpg"

    seen = confirm(stocked.store, absent, versioning="unknown")

    assert seen.verdict is Verdict.MISSING
    assert seen.evidence.versions == "none"
    assert stocked.store.requests["VERSIONS"] == 1


@pytest.fixture(params=["memory", "s3"])
def versioned(request: pytest.FixtureRequest) -> Iterator[Stocked]:
    """The same keys where every version of them is kept."""
    if request.param == "memory":
        yield from in_memory("enabled")
    else:
        server = request.getfixturevalue("s3")
        server.client(REGION).put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )
        yield from on_s3(server)


@pytest.mark.parametrize("key", KEYS)
def test_store__lists_the_versions_of_one_key_newest_first(versioned: Stocked, key: str) -> None:
    versioned.put(f"{key}.bak")
    versioned.delete(key)

    listed = versioned.store.list_versions(key)

    assert (listed.told, listed.more, listed.evidence.status) == ("found", False, 200)
    assert [(one.is_delete_marker, one.is_latest, one.size_bytes) for one in listed.entries] == [
        (True, True, None),
        (False, False, 1),
    ]
    assert all(one.id and one.last_modified for one in listed.entries)
    assert listed.entries[0].id != listed.entries[1].id


def test_store__lists_no_version_of_a_key_that_never_was(versioned: Stocked) -> None:
    listed = versioned.store.list_versions("media/a.jp")

    assert (listed.told, listed.entries, listed.more) == ("none", (), False)


def test_store__without_versioning_an_object_is_its_own_only_version(stocked: Stocked) -> None:
    listed = stocked.store.list_versions(KEYS[0])

    assert [(one.id, one.is_latest) for one in listed.entries] == [("null", True)]
    stocked.delete(KEYS[0])
    assert stocked.store.list_versions(KEYS[0]).told == "none"


def test_store__says_when_a_key_has_more_versions_than_one_request_tells(versioned: Stocked) -> None:
    for _ in range(MAX_VERSIONS):
        versioned.put(KEYS[0])

    listed = versioned.store.list_versions(KEYS[0])

    assert (len(listed.entries), listed.more) == (MAX_VERSIONS, True)


def test_memory__versions_that_are_refused_are_told_so() -> None:
    store = MemoryStore("b", versioning="enabled")
    store.fail("ListObjectVersions", 403, "AccessDenied")

    listed = store.list_versions("a")

    assert (listed.told, listed.evidence.status, listed.entries) == ("denied", 403, ())


def test_store__names_and_keys(stocked: Stocked) -> None:
    assert stocked.store.key_for("a.jpg") == "media/a.jpg"
    assert stocked.store.key_for("a//b.jpg") is None
    assert stocked.store.name_for("media/a.jpg") == "a.jpg"
    assert stocked.store.name_for("other/a.jpg") is None


def test_s3store__making_one_sends_nothing(s3: EmbeddedS3) -> None:
    s3.requests.clear()

    store = S3Store.from_storage(storages["default"], alias="default", options=OPTIONS)

    assert store.identity.region == "eu-north-1"
    assert not s3.requests


def test_s3store__keeps_the_storages_own_settings(s3: EmbeddedS3) -> None:
    with override_settings(STORAGES=storages_at(s3.url, signature_version="s3v4", addressing_style="path")):
        client = S3Store.from_storage(storages["default"], alias="default", options=OPTIONS)._client

    config = client.meta.config
    assert (config.s3["addressing_style"], config.signature_version) == ("path", "s3v4")
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries["total_max_attempts"] == 2


def test_s3store__a_client_factory_hands_in_its_own_client(s3: EmbeddedS3) -> None:
    made: list[Any] = []

    def factory(storage: Any, config: Any) -> Any:
        made.append(config)
        return s3.client("eu-north-1")

    options = ClientOptions(client_factory=factory)
    store = S3Store.from_storage(storages["default"], alias="default", options=options)

    assert made[0].connect_timeout == options.connect_timeout
    assert preflight(store).fit


def test_is_s3__knows_its_own() -> None:
    assert is_s3(storages["default"])
    assert not is_s3(storages["disk"])


def test_store__a_failing_page_ends_the_listing_with_a_reason(stocked: Stocked) -> None:
    store = MemoryStore("b")
    store.fail("ListObjectsV2", 503, "SlowDown")

    with pytest.raises(ListingBroken, match="503 SlowDown") as caught:
        list(listed(store, prefix=""))

    assert caught.value.reason == "throttled"


def test_memory__scripted_answers_come_instead() -> None:
    store = MemoryStore("b", versioning="enabled")
    store.put("a")
    store.answer("GetObject", "a", Evidence(operation="GetObject", status=403, code="AccessDenied"))

    assert confirm(store, "a", versioning="enabled").verdict is Verdict.DENIED
    store.answer("GetObject", "a", None)
    store.delete("a")
    assert confirm(store, "a", versioning="enabled").verdict is Verdict.RECOVERABLE
