"""`make live`: the incident on real servers. A bucket in eu-north-1 on OpenStack Swift, which checks the region of
every signature, and the site configured for us-east-1; then URLs signed by Signature Version 2 on rclone, which
refuses them. Ends with exit 1 and one sentence at the first difference from what must be.
"""

from __future__ import annotations

import sys
from typing import Any

from project.database_url import sqlite_url
from tests.live import rclone
from tests.live.awkward import image_bytes
from tests.live.harmless import browsed, diagnosed, nobody_is_harmed, sqlite_tables, unchanged
from tests.live.servers import Server
from tests.live.site import Site, expect, s3_client, told, variables
from tests.live.swift import REGION, SWIFT, Swift

BUCKET = "realtor-image-generator"
WRONG_REGION = "us-east-1"
NAMES = [f"listings/2026/house {number} + garden.png" for number in range(12)]
THERE = NAMES[::2]
LINE_TO_CHANGE = f'AWS_S3_REGION_NAME = "{REGION}"'


class Incident:
    """Twelve records and six objects on one server."""

    def __init__(self, server: Server, region: str) -> None:
        self.database = server.folder / "db.sqlite3"
        self.s3 = s3_client(server, region)
        self.site = Site(sqlite_url(self.database), variables(server, BUCKET, region))

    def prepare(self, **bucket: Any) -> None:
        self.s3.create_bucket(Bucket=BUCKET, **bucket)
        for number, name in enumerate(THERE):
            body = image_bytes(number)
            kind = "image/png" if number % 3 else "image/jpeg"
            self.s3.put_object(Bucket=BUCKET, Key=name, Body=body, ContentType=kind)
        self.site.manage("migrate", "--verbosity", "0")
        self.site.insert([{"file": name} for name in NAMES])
        self.site.tell(f"{len(NAMES)} records and {len(THERE)} objects")

    def half_is_missing(self, site: Site) -> None:
        audit = site.report("check_s3_images", exit_code=3)
        expect(audit["trust"], "trustworthy", f"trust of the audit ({audit['reasons']})")
        found = {finding["key"]: finding["verdict"] for finding in audit["findings"]}
        expect(found, {name: "missing" for name in NAMES if name not in THERE}, "the findings")
        expect(audit["counts"]["present"], len(THERE), "how many are present")
        site.tell(f"present {len(THERE)}, missing {len(found)}, each by a GET")

    def image_loads(self, site: Site) -> None:
        expect(browsed(site.url_of(THERE[0])), (200, ""), "what a browser gets")
        report = site.report("imagesync_doctor")
        expect(report["diagnoses"], [], "the diagnoses")
        (fact,) = (check["fact"] for check in report["storages"][0]["checks"] if check["id"] == "url")
        expect("answers HTTP 20" in fact, True, f"that the URL probe says it loads ({fact})")
        site.tell(f"doctor: {fact}")


def on_swift(swift: Swift) -> None:
    incident = Incident(swift, REGION)
    incident.site.tell(f"Swift in {REGION} answered after {swift.ready_after_s:.1f} s")
    incident.prepare(CreateBucketConfiguration={"LocationConstraint": REGION})
    right = incident.site
    wrong = right.with_store(AWS_S3_REGION_NAME=WRONG_REGION)

    refused = (400, "AuthorizationQueryParametersError")
    expect(browsed(wrong.url_of(THERE[0])), refused, "what a browser gets in the wrong region")
    nobody_is_harmed(incident.database, wrong, REGION, WRONG_REGION, LINE_TO_CHANGE)
    diagnosed(wrong, "wrong_region", REGION, WRONG_REGION, LINE_TO_CHANGE)
    diagnosed(wrong, "url_refused", "HTTP 400 AuthorizationQueryParametersError", REGION, LINE_TO_CHANGE)

    incident.half_is_missing(right)
    incident.image_loads(right)
    # six are known to be missing, by a fresh audit of this very store: the purge looks for itself
    before = sqlite_tables(incident.database)
    wrong.manage("purge_orphans", "--no-input", "--grace", "0s", exit_code=4)
    unchanged(before, sqlite_tables(incident.database))
    nobody_is_harmed(incident.database, wrong, REGION, WRONG_REGION)
    right.tell("after a good audit, too, the wrong region purges nothing")
    purged = right.report("purge_orphans", "--no-input", "--grace", "0s")
    expect(purged["counts"]["deleted"], len(NAMES) - len(THERE), "the records purged in the right region")


def on_rclone(server: rclone.Rclone) -> None:
    incident = Incident(server, WRONG_REGION)
    incident.site.tell(f"rclone answered after {server.ready_after_s:.1f} s")
    incident.prepare()
    unset = incident.site.with_store(DJANGO_SETTINGS_MODULE="tests.live.settings_without_signature_version")
    refused = (400, "UnsupportedAlgorithm")
    expect(browsed(unset.url_of(THERE[0])), refused, "what a browser gets from Signature Version 2")
    incident.half_is_missing(unset)
    named = ("HTTP 400 UnsupportedAlgorithm", 'AWS_S3_SIGNATURE_VERSION = "s3v4"')
    expect(diagnosed(unset, "url_signature_v2", *named), {"url_signature_v2"}, "the diagnoses")

    forced = incident.site.with_store(AWS_S3_SIGNATURE_VERSION="s3")  # for API calls, too
    expect(browsed(forced.url_of(THERE[0])), refused, "what a browser gets from Signature Version 2")
    nobody_is_harmed(incident.database, forced, "UnsupportedAlgorithm")
    diagnosed(forced, "url_signature_v2", 'AWS_S3_SIGNATURE_VERSION = "s3v4"')
    incident.image_loads(incident.site)


def story() -> None:
    with Swift() as swift:
        on_swift(swift)
    with rclone.Rclone() as server:
        on_rclone(server)


if __name__ == "__main__":
    sys.exit(told([SWIFT.available(), rclone.available()], story))
