"""`make demo`: the incident replayed, then cleaned up as it should have been. Ends by itself.

Every command is a real `manage.py` process against an S3 that checks signatures and regions as S3 does.
Each exit code and figure is checked; at the first surprise the demo stops with exit 1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from project.embedded_s3 import EmbeddedS3
from project.incident import BUCKET, GONE, IDS, REGION, WRONG_REGION, fill_bucket

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "demo"


class Surprise(Exception):
    """The demo did not go as it must."""


class Demo:
    def __init__(self, s3: EmbeddedS3) -> None:
        self.s3 = s3
        self.step = 0

    def run(self) -> None:
        self.manage("migrate", "--verbosity", "0", show=False)
        self.python("from project.incident import fill_database; fill_database()")

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
        self.tell("And if somebody purges all the same, unattended", "It refuses; nothing is touched:")
        self.manage("purge_orphans", "--no-input", region=WRONG_REGION, exit_code=4)
        self.expect(self.records() == 12, "all twelve records are still there")
        self.comment("12 records before, 12 records after.")

        self.tell("With the region corrected", "Six are present, six are missing, each with its evidence:")
        self.manage("check_s3_images", exit_code=3)
        self.expect(self.counts() == {"present": 6, "missing": 6}, "six are present and six are missing")
        self.expect(self.missing() == GONE, "the missing ones are those whose object is gone")
        self.tell("What would a purge do?", "A dry run is the plan, not executed:")
        self.manage("purge_orphans", "--dry-run")
        self.expect(self.records() == 12, "a dry run deletes nothing")
        self.tell("The purge", "Each object is asked for once more; each record leaves a tombstone:")
        self.manage("purge_orphans", "--no-input")
        self.expect(self.records() == 6, "six records are left")
        self.tell("The audit after it", "Clean:")
        self.manage("check_s3_images")
        self.expect(self.counts() == {"present": 6}, "six records are left and all are present")
        self.tell("Second thoughts", "A purge can be undone, with primary keys and relations:")
        self.manage("restore_purged", "--no-input")
        self.expect(self.records() == 12, "all twelve records are back")
        self.comment(
            "12 records before, 6 after the purge, 12 after the restore. The six objects were never touched."
        )
        self.expect(len(self.s3.keys_in(BUCKET)) == 6, "the six objects are still there")

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
            text=True,
            timeout=120,
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
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": f"sqlite://{FOLDER / 'db.sqlite3'}",
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_S3_REGION_NAME": region,
            "AWS_S3_ENDPOINT_URL": self.s3.url,
            "AWS_S3_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_S3_SECRET_ACCESS_KEY": self.s3.secret_key,
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
        }

    def records(self) -> int:
        return int(self.python("from imagesync.models import Image; print(Image.objects.count())"))

    def counts(self) -> dict[str, int]:
        """By verdict, of the last audit."""
        found = json.loads(
            self.python(
                "import json; from imagesync.models import Audit; print(json.dumps(Audit.objects.first().counts))"
            )
        )
        return {verdict: number for verdict, number in found.items() if number and verdict != "records"}

    def missing(self) -> frozenset[str]:
        code = "from imagesync.models import Image; print(*Image.objects.filter(verdict='missing').values_list('title', flat=True))"
        return frozenset(self.python(code).split())


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with EmbeddedS3() as s3:
        fill_bucket(s3)
        try:
            Demo(s3).run()
        except Surprise as surprise:
            print(f"\nThe demo did not go as it must. {surprise}", file=sys.stderr)
            return 1
    print(f"\nThat was the whole story, in {time.monotonic() - began:.0f} s. To look further:")
    print("  make serve        the same data in a gallery and in the admin, on 127.0.0.1:8000")
    print("  README.md         set it up in your own project")
    return 0


if __name__ == "__main__":
    sys.exit(main())
