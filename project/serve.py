"""`make serve`: the incident's data in the gallery and the admin, on 127.0.0.1:8000, until Ctrl-C.

The objects live in this process, so the database in ``var/serve/PORT/`` starts anew with it each time.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from project.database_url import sqlite_url
from project.demo import ALONE, ROOT, Demo, Surprise
from project.embedded_s3 import PORT as S3_PORT
from project.embedded_s3 import EmbeddedS3
from project.incident import REGION, fill_bucket

FOLDER = ROOT / "var" / "serve"
GRACE_S = 10


def main() -> int:
    port = os.environ.get("PORT", "8000")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        print(f"PORT is {port!a}, which is no port: give a number from 1 to 65535.", file=sys.stderr)
        return 1
    if not is_free(int(port)):
        print(
            f"Port {port} of 127.0.0.1 is in use. Take another one: PORT={int(port) + 1} make serve",
            file=sys.stderr,
        )
        return 1
    os.environ.update(ALONE)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with EmbeddedS3(S3_PORT if is_free(S3_PORT) else 0) as s3:
            return serve(s3, port)
    except KeyboardInterrupt:
        print("\nstopped")
        return 0
    except (Surprise, OSError, subprocess.TimeoutExpired) as error:
        print(f"It could not be served. {error}", file=sys.stderr)
        return 1


def serve(s3: EmbeddedS3, port: str) -> int:
    folder = FOLDER / port
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print("preparing the data of the incident ...", flush=True)
    fill_bucket(s3)
    demo = Demo(s3, folder)
    demo.prepare()
    password = secrets.token_urlsafe(9)
    demo.python(
        "from django.contrib.auth.models import User; "
        f"User.objects.create_superuser('admin', password={password!r})"
    )
    demo.manage("check_s3_images", exit_code=3, show=False)
    tell(s3, port, password, demo.database)
    return run_until_interrupted(
        # --insecure: static files without DEBUG, on the loopback
        [sys.executable, "manage.py", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"],
        demo.environment(REGION),
    )


def tell(s3: EmbeddedS3, port: str, password: str, database: Path) -> None:
    print(f"gallery  http://127.0.0.1:{port}/")
    print(f"admin    http://127.0.0.1:{port}/admin/   user admin, password {password}")
    endpoint = "" if s3.url.endswith(f":{S3_PORT}") else f" AWS_S3_ENDPOINT_URL={s3.url}"
    print("Commands on the same data, in another terminal (any other command likewise):")
    print(f"  DATABASE_URL={sqlite_url(database)}{endpoint} .venv/bin/python manage.py check_s3_images")
    print("Ctrl-C stops everything.", flush=True)


def run_until_interrupted(command: list[str], environment: dict[str, str]) -> int:
    """The server is stopped by its own pid, whichever way this ends."""
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        return server.wait()
    finally:
        # the server may have had the same Ctrl-C, and a second one must not leave it behind
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
