"""Credentials that run out while a store is being looked at: fetched anew, or nothing is concluded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials

from imagesync.core.verdicts import Verdict
from imagesync.exceptions import ListingBroken
from imagesync.storage.listing import list_page
from imagesync.storage.probe import confirm, look
from imagesync.storage.store import ClientOptions, S3Store
from tests.storage.scripted import Answer, Request, Server, error, scripted, storage_of
from tests.storage.scripted_bucket import BUCKET, REGION, ScriptedBucket

KEYS = ("a.jpg", "b.jpg")


class Passing:
    """Credentials of an hour, and a clock that a test turns on."""

    def __init__(self, *, can_be_renewed: bool) -> None:
        self.now = datetime(2025, 10, 27, 12, tzinfo=UTC)
        self.can_be_renewed = can_be_renewed
        self.number = 1

    def credentials(self) -> RefreshableCredentials:
        told = self.told()
        return RefreshableCredentials(
            told["access_key"],
            told["secret_key"],
            told["token"],
            datetime.fromisoformat(told["expiry_time"]),
            refresh_using=self.renew,
            method="test",
            time_fetcher=lambda: self.now,
        )

    def told(self) -> dict[str, str]:
        return {
            "access_key": f"AKID{self.number}",
            "secret_key": "secret",
            "token": f"token-{self.number}",
            "expiry_time": (self.now + timedelta(hours=1)).isoformat(),
        }

    def renew(self) -> dict[str, str]:
        if not self.can_be_renewed:
            raise OSError("the service of credentials is away")
        self.number += 1
        return self.told()

    def client(self, storage: Any, config: Any) -> Any:
        session = botocore.session.get_session()
        session._credentials = self.credentials()
        return boto3.Session(botocore_session=session, region_name=REGION).client(
            "s3", endpoint_url=storage.endpoint_url, config=config
        )


class Strict(ScriptedBucket):
    """Refuses every access key but the one that is told to be good."""

    good = "AKID1"

    def __call__(self, request: Request) -> Answer:
        if f"Credential={self.good}/" not in request.authorization:
            return error(400, "ExpiredToken")
        return super().__call__(request)


def store_of(server: Server, passing: Passing) -> S3Store:
    options = ClientOptions(connect_timeout=1, read_timeout=2, max_attempts=1, client_factory=passing.client)
    return S3Store.from_storage(
        storage_of(server.url, region=REGION, bucket=BUCKET), alias="default", options=options
    )


def seen(store: S3Store) -> dict[str, Verdict]:
    """Each key by GET, and once more by HEAD first."""
    keys = (*KEYS, "gone.jpg")
    by_get = {key: confirm(store, key, versioning="off").verdict for key in keys}
    by_head = {key: look(store, key, versioning="off").verdict for key in keys}
    assert by_get == by_head
    return by_get


FINE = {"a.jpg": Verdict.PRESENT, "b.jpg": Verdict.PRESENT, "gone.jpg": Verdict.MISSING}


def test_store__goes_on_with_credentials_that_were_renewed() -> None:
    bucket, passing = Strict(keys=KEYS), Passing(can_be_renewed=True)
    with scripted(bucket) as server:
        store = store_of(server, passing)
        for _page in range(3):  # the first is asked through botocore, the others are its like
            assert list_page(store, prefix="").keys == list(KEYS)
        assert seen(store) == FINE

        passing.now += timedelta(hours=2)
        bucket.good = "AKID2"
        before = len(server.requests)

        assert list_page(store, prefix="").keys == list(KEYS)
        assert seen(store) == FINE
        assert all("Credential=AKID2/" in one.authorization for one in server.requests[before:])


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused by the server", "cannot be renewed"])
def test_store__whose_credentials_end_concludes_nothing(is_refused: bool) -> None:
    bucket, passing = Strict(keys=KEYS), Passing(can_be_renewed=False)
    with scripted(bucket) as server:
        store = store_of(server, passing)
        for _page in range(3):
            assert list_page(store, prefix="").keys == list(KEYS)
        assert seen(store) == FINE

        if is_refused:
            bucket.good = "AKID2"
        else:
            passing.now += timedelta(hours=2)

        assert set(seen(store).values()) == {Verdict.UNKNOWN}
        with pytest.raises(ListingBroken, match="page failed"):
            list_page(store, prefix="")
