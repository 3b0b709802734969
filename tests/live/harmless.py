"""What a refusal must leave as it is, and what the doctor and a browser must say of it."""

from __future__ import annotations

import re
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.live.site import Site, expect

JOURNAL = {f"imagesync_{table}" for table in ("audit", "auditrange", "finding", "purge", "tombstone")}
"""Tables in which imagesync keeps what it did. Every other table must come out of a refusal as it went in."""


def nobody_is_harmed(database: Path, site: Site, *named: str) -> None:
    """Audit and purge end with exit 4, name these words, and leave every row of every table as it is."""
    before = sqlite_tables(database)
    audit = site.report("check_s3_images", exit_code=4)
    figures = (audit["trust"], audit["counts"].get("missing", 0), audit["findings"])
    expect(figures, ("untrustworthy", 0, []), "trust, missing and findings of the audit")
    purge = site.report("purge_orphans", "--no-input", "--grace", "0s", exit_code=4)
    expect((purge["executed"], purge["delete"]), (False, []), "what the purge did")
    for what, reasons in (("the audit's reasons", audit["reasons"]), ("the refusal", [purge["refused"]])):
        text = " ".join(f"{one['fact']} {one['hint']}" for one in reasons)
        expect([word for word in named if word not in text], [], f"what {what} do not name ({text})")
    unchanged(before, sqlite_tables(database))
    site.tell(f"exit 4 twice, {' and '.join(named)} named; every row is what it was")


def unchanged(before: dict[str, Any], after: dict[str, Any]) -> None:
    expect(list(after), list(before), "the tables")
    expect(bool(before["imagesync_image"]), True, "that there are records to lose")
    for table, rows in before.items():
        expect(after[table], rows, f"the rows of {table}")


def diagnosed(site: Site, id: str, *named: str) -> set[str]:
    """The ids of what the doctor says with exit 3; ``id`` is one and names these words."""
    report = site.report("imagesync_doctor", exit_code=3)
    expect(report["schema"], "imagesync.doctor/1", "the doctor's schema")
    by_id = {diagnosis["id"]: diagnosis for diagnosis in report["diagnoses"]}
    expect(id in by_id, True, f"that the doctor says {id} ({sorted(by_id)})")
    expect(by_id[id]["level"], "failed", f"the level of {id}")
    text = f"{by_id[id]['fact']} {by_id[id]['hint']}"
    expect([word for word in named if word not in text], [], f"what {id} does not name ({text})")
    site.tell(f"doctor: {id}: {by_id[id]['fact']}")
    return set(by_id)


def browsed(url: str) -> tuple[int, str]:
    """What a browser gets: HTTP status, and S3's error code when it is told. A plain request, unlike imagesync's."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            code = re.search(r"<Code>(.*?)</Code>", error.read().decode(errors="replace"))
        return error.code, code[1] if code else ""


def sqlite_tables(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but the journal."""
    with closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return {
            name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall()
            for (name,) in names.fetchall()
            if name not in JOURNAL and not name.startswith("sqlite_")
        }
