"""`make demo`: the incident replayed, then cleaned up as it should have been. Ends by itself.

Every command is a real `manage.py` process against an S3 that checks signatures and regions as S3 does.
Each exit code and figure is checked; at the first surprise the demo stops with exit 1.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from project.database_url import sqlite_url
from project.embedded_s3 import EmbeddedS3
from project.incident import BUCKET, GONE, IDS, REGION, WRONG_REGION, fill_bucket

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 120

# No proxy, profile or configuration of whoever runs this may come between the demo and its own S3.
ALONE = {
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Surprise(Exception):
    """The demo did not go as it must."""


class Demo:
    def __init__(self, s3: EmbeddedS3, folder: Path) -> None:
        self.s3 = s3
        self.database = folder / "db.sqlite3"
        self.step = 0

    def run(self) -> None:
        self.prepare()
        before = self.records()
        self.expect(len(before) == 12, "there are twelve records to begin with")

        self.tell(
            "What happened",
            f"The bucket {BUCKET} is in {REGION}. The application was configured for {WRONG_REGION}. There are "
            f"{len(IDS)} image records and {len(IDS) - len(GONE)} objects. This script sent one HEAD per record and "
            'took every failure for "gone":',
        )
        out = self.command(
            [sys.executable, "-m", "project.naive_script"], "python naive_script.py", region=WRONG_REGION
        )
        self.expect("12 of 12 images are gone" in out, "the naive script takes all twelve for gone")
        self.comment(
            "Six of those objects are there. Every answer was 400: S3 refused to look, in the wrong region."
        )

        self.tell(
            "What imagesync says in the same configuration",
            "No verdict, the real region, the line to change:",
        )
        out = self.manage("check_s3_images", region=WRONG_REGION, exit_code=4)
        self.expect(
            REGION in out and "AWS_S3_REGION_NAME" in out, "the real region and the line to change are named"
        )
        self.tell(
            "Why visitors see broken images meanwhile",
            "The doctor asks for an image's URL as a browser does, without credentials:",
        )
        out = self.manage("imagesync_doctor", region=WRONG_REGION, exit_code=3)
        self.expect(
            "wrong_region" in out and "AuthorizationQueryParametersError" in out,
            "the doctor names the region and the answer that a browser gets",
        )
        self.tell("And if somebody purges all the same, unattended", "It refuses; nothing is touched:")
        self.manage("purge_orphans", "--no-input", region=WRONG_REGION, exit_code=4)
        self.expect(self.records() == before, "all twelve records are still there")
        self.comment("12 records before, 12 records after.")

        self.tell("With the region corrected, the doctor", "Everything that must be right is:")
        self.manage("imagesync_doctor")
        self.tell("The audit", "Six are present, six are missing, each with its evidence:")
        self.manage("check_s3_images", exit_code=3)
        self.expect(self.counts() == {"present": 6, "missing": 6}, "six are present and six are missing")
        self.expect(self.missing() == GONE, "the missing ones are those whose object is gone")
        self.tell("What would a purge do?", "A dry run is the plan, not executed:")
        self.manage("purge_orphans", "--dry-run")
        self.expect(self.records() == before, "a dry run deletes nothing")
        self.tell("The purge", "Each object is asked for once more; each record leaves a tombstone:")
        self.manage("purge_orphans", "--no-input")
        kept = [record for record in before if record["title"] not in GONE]
        self.expect(self.records() == kept, "the six records whose object is there are left, and no other")
        self.tell("The audit after it", "Clean:")
        self.manage("check_s3_images")
        self.expect(self.counts() == {"present": 6}, "six records are left and all are present")
        self.tell("Second thoughts", "A purge can be undone, with primary keys and relations:")
        self.manage("restore_purged", "--no-input")
        self.expect(self.records() == before, "all twelve records are back as they were")
        self.expect(len(self.s3.keys_in(BUCKET)) == 6, "the six objects are still there")
        self.summary()

    def prepare(self) -> None:
        self.manage("migrate", "--verbosity", "0", show=False)
        self.python("from project.incident import fill_database; fill_database()")

    def summary(self) -> None:
        self.tell("Before and after", "Records in the database, and objects in the bucket:")
        rows = (
            ("before", 12, 6, ""),
            ("after the incident's script", 0, 6, "six of the records lost for nothing"),
            ("after purge_orphans", 6, 6, "the six whose object is proven gone, each with a tombstone"),
            ("after restore_purged", 12, 6, "as before"),
        )
        for state, records, objects, remark in rows:
            print(f"    {state:<28} {records:>2} records  {objects} objects  {remark}".rstrip())

    def tell(self, heading: str, sentence: str) -> None:
        self.step += 1
        print(f"\n{self.step}. {heading}\n{'=' * (len(heading) + 3)}")
        print(textwrap.fill(sentence, 100), flush=True)

    def comment(self, sentence: str) -> None:
        print(textwrap.fill(f"=> {sentence}", 100, subsequent_indent="   "), flush=True)

    def expect(self, happened: bool, what: str) -> None:
        if not happened:
            raise Surprise(f"It was expected that {what}.")

    def manage(self, *arguments: str, region: str = REGION, exit_code: int = 0, show: bool = True) -> str:
        shown = f"manage.py {' '.join(arguments)}" if show else ""
        return self.command(
            [sys.executable, "manage.py", *arguments], shown, region=region, exit_code=exit_code
        )

    def python(self, code: str, region: str = REGION) -> str:
        setup = "import django; django.setup(); "
        return self.command([sys.executable, "-c", setup + code], "", region=region)

    def command(self, command: list[str], shown: str, *, region: str, exit_code: int = 0) -> str:
        """Run a process to its end; what it says on both streams, in the order in which it says it."""
        if shown:
            print(f"\n    $ AWS_S3_REGION_NAME={region} {shown}", flush=True)
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment(region),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        if shown:
            print(textwrap.indent(ended.stdout.rstrip(), "    "))
            print(f"    (exit {ended.returncode})\n", flush=True)
        if ended.returncode != exit_code:
            raise Surprise(
                f"{' '.join(command[1:])} ended with {ended.returncode}, not {exit_code}:\n{ended.stdout}"
            )
        return ended.stdout

    def environment(self, region: str) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **ALONE,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": sqlite_url(self.database),
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_S3_REGION_NAME": region,
            "AWS_S3_ENDPOINT_URL": self.s3.url,
            "AWS_S3_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_S3_SECRET_ACCESS_KEY": self.s3.secret_key,
            "PYTHONUTF8": "1",
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
        }

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Read beside Django, so that what is checked is what is stored."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    def records(self) -> list[dict[str, Any]]:
        return self.rows("SELECT id, title, file, owner_id, created_at FROM imagesync_image ORDER BY id")

    def counts(self) -> dict[str, int]:
        """By verdict, of the last audit."""
        found = json.loads(
            self.rows("SELECT counts FROM imagesync_audit ORDER BY id DESC LIMIT 1")[0]["counts"]
        )
        return {verdict: number for verdict, number in found.items() if number and verdict != "records"}

    def missing(self) -> frozenset[str]:
        found = self.rows("SELECT title FROM imagesync_image WHERE verdict = 'missing'")
        return frozenset(row["title"] for row in found)


def main() -> int:
    began = time.monotonic()
    os.environ.update(ALONE)
    try:
        with tempfile.TemporaryDirectory(prefix="imagesync-demo-") as folder, EmbeddedS3() as s3:
            fill_bucket(s3)
            Demo(s3, Path(folder)).run()
    except Surprise as surprise:
        print(f"\nThe demo did not go as it must. {surprise}", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired:
        print(f"\nThe demo stops: a command took more than {TIMEOUT_S} s.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted. What it made is removed.", file=sys.stderr)
        return 130
    print(f"\nThat was the whole story, in {time.monotonic() - began:.0f} s. To look further:")
    print("  make serve        the same data in a gallery and in the admin, on 127.0.0.1:8000")
    print("  README.md         set it up in your own project")
    return 0


if __name__ == "__main__":
    sys.exit(main())
