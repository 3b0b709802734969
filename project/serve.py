"""`make serve`: the incident's data in the gallery and the admin, on 127.0.0.1:8000, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys

from project.demo import ROOT, Demo
from project.embedded_s3 import EmbeddedS3
from project.incident import REGION, fill_bucket

FOLDER = ROOT / "var" / "serve"


class Serve(Demo):
    def environment(self, region: str) -> dict[str, str]:
        return {**super().environment(region), "DATABASE_URL": f"sqlite://{FOLDER / 'db.sqlite3'}"}


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    port = os.environ.get("PORT", "8000")
    password = secrets.token_urlsafe(9)
    with EmbeddedS3() as s3:
        fill_bucket(s3)
        serve = Serve(s3)
        serve.manage("migrate", "--verbosity", "0", show=False)
        serve.python("from project.incident import fill_database; fill_database()")
        serve.python(
            "from django.contrib.auth.models import User; "
            f"User.objects.create_superuser('admin', password={password!r})"
        )
        serve.manage("check_s3_images", exit_code=3, show=False)
        print(f"gallery  http://127.0.0.1:{port}/")
        print(f"admin    http://127.0.0.1:{port}/admin/   user admin, password {password}")
        print("Ctrl-C stops everything.", flush=True)
        environment = {**serve.environment(REGION), "DEBUG": "1"}
        server = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env=environment,
        )
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait(10)
            return 0


if __name__ == "__main__":
    sys.exit(main())
