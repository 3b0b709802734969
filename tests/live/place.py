"""A bucket to damage with a site of its own, and the table in which each verdict is compared with the damage."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from project.database_url import sqlite_url
from tests.live.awkward import image_bytes
from tests.live.servers import Server
from tests.live.site import UPLOADS_AT_ONCE, Difference, Site, expect, s3_client, variables

Verdicts = dict[str, str]


class Table:
    """What was done to how many keys, what they must be, and what they were found to be."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, int, str, str, bool]] = []

    def add(self, where: str, done: dict[str, tuple[str, str]], found: Verdicts) -> None:
        """``done``: key -> what was done to it, and its verdicts, with "or" between."""
        for what in dict.fromkeys(done.values()):
            keys = [key for key, one in done.items() if one == what]
            verdicts = Counter(found[key] for key in keys)
            right = set(verdicts) <= set(what[1].split(" or "))
            listed = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
            self.rows.append((where, what[0], len(keys), what[1], listed, right))

    def print(self) -> None:
        heads = ("how it was looked at", "what was done", "keys", "must be", "found")
        texts = [heads, *(tuple(map(str, row[:-1])) for row in self.rows)]
        widths = [max(len(text[column]) for text in texts) for column in range(len(heads))]
        for number, text in enumerate(texts):
            line = "  ".join(word.ljust(width) for word, width in zip(text, widths, strict=True)).rstrip()
            print(line if number == 0 or self.rows[number - 1][-1] else f"{line}  DIFFERENT")

    @property
    def differences(self) -> int:
        return sum(not row[-1] for row in self.rows)


class Place:
    """A bucket, and a site of its own whose records name the keys in ``done``."""

    def __init__(self, server: Server, bucket: str, template: Path, **store: str) -> None:
        self.bucket = bucket
        self.database = server.folder / f"{bucket}.sqlite3"
        shutil.copy(template, self.database)
        self.site = Site(sqlite_url(self.database), variables(server, bucket)).with_store(**store)
        self.prefix = store.get("AWS_LOCATION", "")
        self.s3 = s3_client(server)
        self.s3.create_bucket(Bucket=bucket)
        self.done: dict[str, tuple[str, str]] = {}

    def put(self, what: str, must_be: str, *names: str) -> list[str]:
        """Upload images under these names; the keys."""
        keys = self.name(what, must_be, *names)
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            list(pool.map(self._upload, keys, range(len(keys))))
        return keys

    def name(self, what: str, must_be: str, *names: str) -> list[str]:
        """Only let records name them."""
        keys = [self.prefix + name for name in names]
        self.done.update(dict.fromkeys(keys, (what, must_be)))
        return keys

    def insert(self) -> None:
        self.site.insert([{"file": key.removeprefix(self.prefix)} for key in self.done])

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def audit(self, *arguments: str, exit_code: int | tuple[int, ...] = 3) -> dict[str, Any]:
        return self.site.report("check_s3_images", *arguments, exit_code=exit_code)

    def verdicts(self, report: dict[str, Any]) -> Verdicts:
        """The verdict of each key: a finding's, else ``present``. The marks on the records must say the same."""
        if not report["counts"]["records"]:
            return dict.fromkeys(self.done, "unknown")  # nothing was looked at
        found = dict.fromkeys(self.done, "present")
        found.update({finding["key"]: finding["verdict"] for finding in report["findings"]})
        for key, mark in self.marks().items():
            looked = found[key] not in ("unknown", "denied")  # which never overwrite what is known
            if looked and mark != found[key]:
                raise Difference(f"{key!a} is reported {found[key]} and marked {mark}")
        return found

    def marks(self) -> Verdicts:
        with closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute("SELECT file, verdict FROM imagesync_image").fetchall()
        return {self.prefix + name: verdict for name, verdict in rows}

    def purge_takes_only(self, allowed: set[str], *, exactly: bool) -> None:
        """A purge of what is missing now takes no record but these, and no object."""
        before, objects = set(self.marks()), self.objects()
        report = self.site.report("purge_orphans", "--no-input", "--grace", "0s", exit_code=(0, 4))
        taken = before - set(self.marks())
        expect(taken - allowed, set(), "records that a purge took and should not have")
        if exactly:
            expect((report["refused"], taken), (None, allowed), "the records that a purge took")
        expect(self.objects(), objects, "the objects after the purge")
        self.site.tell(f"the purge took {len(taken)} of {len(before)} records, and no object")

    def objects(self) -> list[tuple[str, str]]:
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return [(entry["Key"], entry["VersionId"]) for page in pages for entry in page.get("Versions", ())]

    def answer_to(self, key: str) -> tuple[int, str]:
        """Status and code of a GET of our own."""
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        answer["Body"].close()
        return answer["ResponseMetadata"]["HTTPStatusCode"], ""

    def keys_that(self, must_be: str) -> set[str]:
        return {key for key, (_what, verdict) in self.done.items() if verdict == must_be}

    def _upload(self, key: str, number: int) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=image_bytes(number), ContentType="image/png")
