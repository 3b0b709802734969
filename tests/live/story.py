"""`make live`: ten thousand objects with awkward keys in a real Ceph, as many records on PostgreSQL; damage
some, audit, purge, audit, restore. Ends with exit 1 and one sentence at the first difference from what must
be.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from botocore.exceptions import ClientError
from psycopg import sql

from tests.live.awkward import awkward_keys, image_bytes, kinds_of_keys
from tests.live.ceph import CEPH, CephRGW
from tests.live.harmless import JOURNAL
from tests.live.postgres import postgres
from tests.live.site import UPLOADS_AT_ONCE, Difference, Site, expect, s3_client, told, variables

BUCKET = "live-images"
NUMBER = 10_000
GONE, EMPTIED, EXTRA = 37, 3, 5

IMAGES = "imagesync_image"
AUDIT_MARKS = frozenset({"verdict", "verdict_at", "missing_since", "store"})
STARTS_AGAIN = frozenset({"verdict", "verdict_at", "missing_since"})

Row = dict[str, Any]
Dump = dict[str, list[str]]
"""Every row of every table as PostgreSQL's own text."""


def damaged_keys() -> tuple[set[str], set[str]]:
    """The keys to delete and the keys to empty: of every awkward kind, at different places, and ordinary ones."""
    kinds = kinds_of_keys()
    gone = {
        keys[number * 7 % len(keys) if number % 2 else -1 - number]
        for number, keys in enumerate(kinds.values())
    }
    gone |= {kinds["1,024 bytes"][number] for number in (1, 3)} | {kinds["not in XML"][0]}
    gone.add("awkward/cafe\u0301.jpg")  # while the same word in NFC stays
    ordinary = [key for key in awkward_keys(NUMBER) if "/img_" in key]
    gone |= set(ordinary[:: len(ordinary) // (GONE - len(gone))][: GONE - len(gone)])
    emptied = {kinds["spaces"][1], kinds["composed"][0], ordinary[1]}
    expect((len(gone), len(emptied), gone & emptied), (GONE, EMPTIED, set()), "the story's own damage")
    return gone, emptied


class Story:
    def __init__(self, ceph: CephRGW, database_url: str) -> None:
        self.ceph = ceph
        self.database_url = database_url
        self.keys = awkward_keys(NUMBER)
        self.gone, self.emptied = damaged_keys()
        self.extra = {f"uploads/2026/06/15/nobody names this {number}.jpg" for number in range(EXTRA)}
        self.site = Site(database_url, variables(ceph, BUCKET))
        self.s3 = s3_client(ceph)

    def run(self) -> None:
        self.fill_bucket()
        self.fill_database()
        original = self.dump()
        self.damage()
        objects = self.objects()

        audited = self.audit(original)
        purged = self.purge(audited)
        self.audit_again(purged)
        self.restore(audited)
        expect(self.objects(), objects, "the objects after all this, with size and ETag")
        self.site.tell(f"the bucket holds the same {len(objects):,} objects, size and ETag too")

    # what there is before

    def fill_bucket(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        bodies = [image_bytes(number) for number in range(NUMBER)]
        expect(len(set(bodies)), NUMBER, "distinct images")

        def put(key: str, body: bytes) -> None:
            kind = "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=kind)

        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            list(pool.map(put, self.keys, bodies))
        awkward = sum(len(keys) for keys in kinds_of_keys().values())
        self.site.tell(f"{NUMBER:,} objects with real image bytes, {awkward:,} of them with awkward keys")
        self.uploaded = self.objects()
        expect(set(self.uploaded), set(self.keys), "the keys that the store lists")
        self.site.tell(f"all {NUMBER:,} keys are listed as they were put")

    def fill_database(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        records = [
            {"file": key, "size_bytes": self.uploaded[key][0], "etag": self.uploaded[key][1]}
            for key in self.keys
        ]
        self.site.insert(records)
        self.site.tell(f"{NUMBER:,} records on PostgreSQL ({self.collation()})")

    def damage(self) -> None:
        for key in self.gone:
            self.s3.delete_object(Bucket=BUCKET, Key=key)
        for key in self.emptied:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
        for key in self.extra:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        for key in self.gone:
            try:
                self.s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=0-0")
            except ClientError as error:
                expect(error.response["Error"]["Code"], "NoSuchKey", f"the answer for {key!a}")
            else:
                raise Difference(f"{key!a} was deleted and still answers")
        self.site.tell(
            f"damage: {GONE} objects of {len(kinds_of_keys())} awkward kinds and ordinary ones deleted, "
            f"{EMPTIED} emptied, {EXTRA} added that no record names"
        )

    # what the commands do

    def audit(self, original: Dump) -> Dump:
        report = json.loads(self.manage("check_s3_images", "--format", "json", exit_code=3))
        expect(report["schema"], "imagesync.audit/1", "the audit's schema")
        trust = (report["trust"], report["complete"])
        expect(trust, ("trustworthy", True), f"the audit ({report['reasons']})")
        verdicts: dict[str, set[str]] = {}
        for finding in report["findings"]:
            verdicts.setdefault(finding["verdict"], set()).add(finding["key"])
        expect(verdicts.get("missing", set()), self.gone, "the missing keys")
        expect(verdicts.get("mismatched", set()), self.emptied, "the mismatched keys")
        expect(set(verdicts), {"missing", "mismatched"}, "the verdicts of the findings")
        counts = {verdict: count for verdict, count in report["counts"].items() if count}
        present = NUMBER - GONE - EMPTIED
        expect(
            counts,
            {"records": NUMBER, "present": present, "missing": GONE, "mismatched": EMPTIED},
            "the counts",
        )
        evidence = {
            (finding["evidence"]["operation"], finding["evidence"]["status"], finding["evidence"]["code"])
            for finding in report["findings"]
            if finding["verdict"] == "missing"
        }
        expect(evidence, {("GetObject", 404, "NoSuchKey")}, "the evidence of the missing")
        self.site.tell(
            f"audit: exactly the {GONE} deleted are missing and the {EMPTIED} emptied mismatched; {report['requests']}"
        )

        audited = self.dump()
        self.same(audited, original, "after the audit", but=AUDIT_MARKS)
        for row in self.images(audited):
            known = {"verdict": "present", "missing_since": None}
            if row["file"] in self.gone:
                known = {"verdict": "missing", "missing_since": row["verdict_at"]}
            elif row["file"] in self.emptied:
                known["verdict"] = "mismatched"
            expect({name: row[name] for name in known}, known, f"the marks of {row['file']!a}")
        return audited

    def purge(self, audited: Dump) -> Dump:
        report = json.loads(self.manage("purge_orphans", "--no-input", "--format", "json", "--grace", "0s"))
        expect((report["schema"], report["refused"]), ("imagesync.purge/1", None), "the purge")
        figures = (report["counts"]["planned"], report["counts"]["deleted"])
        expect(figures, (GONE, GONE), "planned and deleted")
        expect({entry["key"] for entry in report["delete"]}, self.gone, "the deleted keys")
        purged = self.dump()
        self.same(purged, self.without_gone(audited), "after the purge")
        self.site.tell(
            f"purge: exactly the {GONE} records are gone, every other row of every table is untouched"
        )
        return purged

    def audit_again(self, purged: Dump) -> None:
        report = json.loads(self.manage("check_s3_images", "--format", "json"))
        expect(report["trust"], "trustworthy", f"the second audit's trust ({report['reasons']})")
        figures = (report["counts"]["records"], report["counts"]["missing"])
        expect(figures, (NUMBER - GONE, 0), "the second audit's records and missing")
        self.same(self.dump(), purged, "after the second audit, which has nothing new to mark")
        self.site.tell("audit after it: nothing is missing, no row was written")

    def restore(self, audited: Dump) -> None:
        self.manage("restore_purged", "--no-input")
        restored = self.dump()
        self.same(self.without_gone(restored), self.without_gone(audited), "after the restore")
        self.same(restored, audited, "after the restore", but=STARTS_AGAIN)
        again = {"verdict": "unchecked", "verdict_at": None, "missing_since": None}
        for row in self.images(restored):
            if row["file"] in self.gone:
                expect({name: row[name] for name in again}, again, f"the restored record of {row['file']!a}")
        self.site.tell(f"restore: {len(restored)} tables are row for row what they were, compared by SQL")

    def manage(self, *arguments: str, exit_code: int = 0) -> str:
        return self.site.manage(*arguments, exit_code=exit_code).stdout

    # what there is

    def objects(self) -> dict[str, tuple[int, str]]:
        """Size and ETag of every object, by key."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {
            entry["Key"]: (entry["Size"], entry["ETag"].strip('"'))
            for page in pages
            for entry in page["Contents"]
        }

    def dump(self) -> Dump:
        dump: Dump = {}
        with psycopg.connect(self.database_url) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
            )
            for (table,) in tables.fetchall():
                if table not in JOURNAL:
                    rows = sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(table))
                    dump[table] = sorted(row for (row,) in connection.execute(rows))
        return dump

    def images(self, dump: Dump) -> list[Row]:
        return [json.loads(text) for text in dump[IMAGES]]

    def without_gone(self, dump: Dump) -> Dump:
        kept = [text for text in dump[IMAGES] if json.loads(text)["file"] not in self.gone]
        return {**dump, IMAGES: kept}

    def same(self, found: Dump, expected: Dump, when: str, *, but: frozenset[str] = frozenset()) -> None:
        """Text for text, except for these columns of the image table."""
        expect(list(found), list(expected), f"the tables {when}")
        for table, texts in expected.items():
            these = but if table == IMAGES else frozenset()
            expect(_without(found[table], these), _without(texts, these), f"{table} {when}")

    def collation(self) -> str:
        with psycopg.connect(self.database_url) as connection:
            found = connection.execute(
                "SELECT version(), (SELECT to_jsonb(d) FROM pg_database d WHERE datname = current_database())"
            ).fetchone()
        assert found is not None
        version, database = found
        names = (database.get(name) for name in ("datlocale", "daticulocale", "datcollate"))
        return f"{' '.join(version.split()[:2])}, collation {next(name for name in names if name)}"


def _without(texts: list[str], columns: frozenset[str]) -> set[str]:
    rows = texts
    if columns:
        loaded = (json.loads(text) for text in texts)
        rows = [
            json.dumps({name: value for name, value in row.items() if name not in columns}) for row in loaded
        ]
    unique = set(rows)
    expect(len(unique), len(rows), "distinct rows")
    return unique


def story() -> None:
    with CephRGW() as ceph, postgres() as database_url:
        story = Story(ceph, database_url)
        memory = sum(ceph.memory_mb().values())
        story.site.tell(
            f"Ceph RGW answered after {ceph.ready_after_s:.1f} s; {memory:.0f} MB in three daemons"
        )
        story.run()
        story.site.tell(f"Ceph ends with {sum(ceph.memory_mb().values()):.0f} MB")


if __name__ == "__main__":
    sys.exit(told([CEPH.available()], story))
