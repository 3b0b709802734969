"""`make live`: everything that can happen to objects and to the way to them, done to a real Ceph; then the verdict of
each key is compared with what was done to it. Prints the table; ends with exit 1 at any difference.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

from botocore.exceptions import ClientError

from project.database_url import sqlite_url
from tests.live.awkward import image_bytes
from tests.live.ceph import CEPH, CephRGW
from tests.live.harmless import diagnosed, nobody_is_harmed
from tests.live.place import Place, Table
from tests.live.site import (
    Difference,
    Site,
    expect,
    s3_client,
    told,
    variables,
)

LOCATION = "media/"
READER, READER_KEY, READER_SECRET = "reader", "AKIALIVEEXAMPLE00002", "live-secret-for-tests-only-0000004"
# of many objects each such one is deleted; so many requests at once; so many others read meanwhile
MANY, EACH, AT_ONCE = 240, 24, 40
OTHERS = 1


class Damage:
    def __init__(self, ceph: CephRGW) -> None:
        self.ceph = ceph
        self.table = Table()
        self.template = ceph.folder / "template.sqlite3"
        Site(sqlite_url(self.template), variables(ceph, "none")).manage("migrate", "--verbosity", "0")

    def place(self, bucket: str, **store: str) -> Place:
        return Place(self.ceph, bucket, self.template, **store)

    # the bytes and the index

    def index(self) -> None:
        """What is there and not listed, what is listed and gone; each looked at by listing and key by key."""
        place = self.place("damaged-index")
        place.put("nothing", "present", *names("whole", 8), "_begins with underscore.png")
        place.delete(*place.put("deleted", "missing", *names("deleted", 3)))
        for key in place.put("emptied", "mismatched", *names("emptied", 2)):
            place.s3.put_object(Bucket=place.bucket, Key=key, Body=b"")
        unlisted = place.put("taken out of the index", "present", *names("unlisted", 3))
        lost = place.put("its bytes taken away", "present", *names("lost", 2), "_lost.png")
        both = place.put("index entry and bytes taken away", "missing", *names("both", 2))
        place.name("never uploaded", "missing", *names("never", 1))
        place.insert()
        for key in (*lost, *both):
            self.ceph.remove_data_object(place.bucket, key)
        self.ceph.remove_index_entries(place.bucket, {*unlisted, *both})
        self._index_is_damaged(place, unlisted, lost)

        report = place.audit("--strategy", "list")
        self.table.add("listing", place.done, place.verdicts(report))
        # a listing cannot see it; asked for, each is gone
        place.done |= dict.fromkeys(lost, ("its bytes taken away", "missing"))
        report = place.audit("--strategy", "head")
        found = place.verdicts(report)
        self.table.add("one by one", place.done, found)
        place.purge_takes_only(place.keys_that("missing"), exactly=True)

    def _index_is_damaged(self, place: Place, unlisted: list[str], lost: list[str]) -> None:
        pages = place.s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket)
        listed = {entry["Key"] for page in pages for entry in page["Contents"]}
        expect((listed & set(unlisted), set(lost) - listed), (set(), set()), "the damage to the index")
        for key in unlisted:
            place.s3.head_object(Bucket=place.bucket, Key=key)
        for key in lost:
            expect(place.answer_to(key), (404, "NoSuchKey"), f"the answer for {key!a}")

    # versions

    def versions(self) -> None:
        """Deleted objects whose versions are kept. Ceph sends no header with the 404 of a delete marker."""
        place = self.place("kept-versions")
        self._versioning(place, "Enabled")
        place.put("nothing", "present", *names("whole", 6))
        kept = place.put("deleted, versions kept", "recoverable", *names("kept", 3))
        marker_alone = place.put("deleted, only the marker kept", "recoverable", *names("marker", 1))
        erased = place.put("deleted with every version", "missing", *names("erased", 3))
        undone = place.put("deleted, then undone", "present", *names("undone", 1))
        again = place.put("deleted, then uploaded again", "present", *names("again", 1))
        place.name("never uploaded", "missing", *names("never", 1))
        place.delete(*kept, *marker_alone, *erased, *undone, *again)
        for key in again:
            place.s3.put_object(Bucket=place.bucket, Key=key, Body=image_bytes(1))
        self._erase(place, erased, markers=True, versions=True)
        self._erase(place, marker_alone, markers=False, versions=True)
        self._erase(place, undone, markers=True, versions=False)
        for key in kept:
            expect(place.answer_to(key), (404, "NoSuchKey"), f"the answer for {key!a}")
        place.insert()
        self.table.add("versioning enabled", place.done, place.verdicts(place.audit()))

        self._versioning(place, "Suspended")
        later = dict.fromkeys(names("whole", 2), ("deleted while suspended", "recoverable"))
        place.delete(*later)
        place.done |= later
        self.table.add("versioning suspended", place.done, place.verdicts(place.audit()))
        place.purge_takes_only(place.keys_that("missing"), exactly=True)

    def _versioning(self, place: Place, status: str) -> None:
        place.s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": status})

    def _erase(self, place: Place, keys: list[str], *, markers: bool, versions: bool) -> None:
        for key in keys:
            page = place.s3.list_object_versions(Bucket=place.bucket, Prefix=key)
            entries = [
                *(page["DeleteMarkers"] if markers else ()),
                *(page["Versions"] if versions else ()),
            ]
            for entry in entries:
                place.s3.delete_object(Bucket=place.bucket, Key=key, VersionId=entry["VersionId"])

    # permissions

    def permissions(self) -> None:
        """A user who may read and list, then may less and less; then one who is suspended."""
        self.ceph.add_user(READER, READER_KEY, READER_SECRET)
        reader = {"AWS_S3_ACCESS_KEY_ID": READER_KEY, "AWS_S3_SECRET_ACCESS_KEY": READER_SECRET}
        place = self.place("somebody-elses", AWS_LOCATION=LOCATION, **reader)
        place.put("nothing", "present", *names("whole", 6))
        place.delete(*place.put("deleted", "missing", *names("deleted", 6)))
        place.insert()
        bucket = f"arn:aws:s3:::{place.bucket}"
        read = statement("s3:GetObject", f"{bucket}/*")
        list_bucket = statement("s3:ListBucket", bucket)
        under_location = {**list_bucket, "Condition": {"StringLike": {"s3:prefix": f"{LOCATION}*"}}}

        self._allow(place, read)  # nobody has looked yet
        self._nothing_is_missing(place, "without s3:ListBucket", '"s3:ListBucket"', bucket)
        place.audit("--strategy", "head", exit_code=4)
        diagnosed(place.site, "list_denied", '"s3:ListBucket"', bucket)
        self._allow(place, read, under_location)  # of which a GET of an absent key knows nothing
        self._nothing_is_missing(place, "s3:ListBucket by prefix", '"s3:ListBucket"', bucket)
        self._allow(place, read, list_bucket)
        self.table.add("with s3:ListBucket", place.done, place.verdicts(place.audit()))
        # six are marked missing now; from here on nobody can look
        self._allow(place, read)
        self._nothing_is_missing(place, "s3:ListBucket taken away", '"s3:ListBucket"', bucket)
        self._allow(place, list_bucket)
        self._nothing_is_missing(place, "s3:GetObject taken away", "403")
        diagnosed(place.site, "read_denied", "403")
        place.s3.delete_bucket_policy(Bucket=place.bucket)
        self._nothing_is_missing(place, "everything taken away", "403")
        self._allow(place, read, list_bucket)
        with self._suspended():
            self._nothing_is_missing(place, "user suspended", "UserSuspended")
            diagnosed(place.site, "bad_credentials", "UserSuspended")
        place.purge_takes_only(place.keys_that("missing"), exactly=True)

    def _allow(self, place: Place, *statements: dict[str, Any]) -> None:
        policy = {"Version": "2012-10-17", "Statement": statements}
        place.s3.put_bucket_policy(Bucket=place.bucket, Policy=json.dumps(policy))

    @contextmanager
    def _suspended(self) -> Iterator[None]:
        self.ceph.suspend_user(READER)
        yield
        self.ceph.enable_user(READER)

    def _nothing_is_missing(self, place: Place, where: str, *named: str) -> None:
        """By audit and by purge; and no mark on any record is another than before."""
        known = place.marks()
        nobody_is_harmed(place.database, place.site, *named)
        done = {key: (what, f"as before: {known[key]}") for key, (what, _must_be) in place.done.items()}
        self.table.add(where, done, {key: f"as before: {mark}" for key, mark in place.marks().items()})

    # throttling

    def throttling(self) -> None:
        """A gateway that serves one request at a time and answers all others 503 SlowDown."""
        url = self.ceph.start_throttled()
        place = self.place("throttled", AWS_S3_ENDPOINT_URL=url)
        whole = place.put("nothing", "present or unknown", *names("whole", MANY))
        gone = whole[::EACH]
        place.delete(*gone)
        place.done |= dict.fromkeys(gone, ("deleted", "missing or unknown"))
        place.insert()
        workers = ("--workers", str(AT_ONCE))
        for where, arguments in (
            ("throttled, one by one", ("--strategy", "head", *workers)),
            ("throttled, listing", ("--strategy", "list", *workers)),
        ):
            before = self.ceph.throttled_requests()
            report = place.audit(*arguments, exit_code=(0, 3, 4))
            self._throttled(place, where, report, before)
        with self._load(url, place):
            before = self.ceph.throttled_requests()
            report = place.audit(*workers, exit_code=(0, 3, 4))
            self._throttled(place, "throttled, others busy", report, before)
            place.purge_takes_only(set(gone), exactly=False)
        expect(self.ceph.throttled_requests() > 0, True, "that the gateway turned requests away")

    def _throttled(self, place: Place, where: str, report: dict[str, Any], before: int) -> None:
        turned_away = self.ceph.throttled_requests() - before
        place.site.tell(f"{where}: {turned_away} requests turned away, {report['trust']}, {report['counts']}")
        self.table.add(where, place.done, place.verdicts(report))

    @contextmanager
    def _load(self, url: str, place: Place) -> Iterator[None]:
        """Other clients that read all the time."""
        client = s3_client(self.ceph, endpoint_url=url)
        over = Event()

        def read() -> None:
            while not over.is_set():
                try:
                    client.head_bucket(Bucket=place.bucket)
                except ClientError:
                    continue  # turned away, as it is meant

        with ThreadPoolExecutor(OTHERS) as pool:
            readers = [pool.submit(read) for _ in range(OTHERS)]
            try:
                yield
            finally:
                over.set()
            for reader in readers:
                reader.result()


def names(what: str, number: int) -> list[str]:
    """Names with a space, a plus and letters beyond ASCII among them."""
    return [f"{what}/{serial} of + \u00e5ngstr\u00f6m.png" for serial in range(number)]


def statement(action: str, resource: str) -> dict[str, Any]:
    who = {"AWS": [f"arn:aws:iam:::user/{READER}"]}
    return {"Effect": "Allow", "Principal": who, "Action": [action], "Resource": [resource]}


def story() -> None:
    with CephRGW() as ceph:
        print(f"Ceph RGW answered after {ceph.ready_after_s:.1f} s", flush=True)
        damage = Damage(ceph)
        try:
            for part in (damage.index, damage.versions, damage.permissions, damage.throttling):
                print(f"\n{(part.__doc__ or '').splitlines()[0]}", flush=True)
                part()
        finally:  # what was seen so far is worth most when something is not as it must be
            print("\nThe verdict of each key, and what was done to it:\n")
            damage.table.print()
    keys = sum(row[2] for row in damage.table.rows)
    print(f"\n{len(damage.table.rows)} kinds of damage, {keys:,} verdicts compared", flush=True)
    if damage.table.differences:
        raise Difference(f"{damage.table.differences} lines of this table")


if __name__ == "__main__":
    sys.exit(told([CEPH.available()], story))
