"""The demo project as real processes: a server as it was configured in the incident, one as it should be, clusters."""

from __future__ import annotations

import os
import sys

from project.demo import ALONE
from project.embedded_s3 import EmbeddedS3
from project.incident import BUCKET, REGION, WRONG_REGION
from tests.live.servers import Server, free_ports
from tests.processes import ROOT


class Site(Server):
    """``with Site(s3, database_url) as site:`` serves the admin at ``site.url``."""

    name = "site"

    def __init__(self, s3: EmbeddedS3, database_url: str, now: str = "") -> None:
        super().__init__()
        self.s3 = s3
        self.database_url = database_url
        self.now = now
        """When it is for these processes; empty for the real time."""
        self._misconfigured = ""

    def start(self) -> None:
        self.port = self._serve("web", REGION)

    @property
    def misconfigured_url(self) -> str:
        """The same site with the wrong region in its settings; started when it is first asked for."""
        if not self._misconfigured:
            self._misconfigured = f"http://127.0.0.1:{self._serve('misconfigured', WRONG_REGION)}"
        return self._misconfigured

    def start_clusters(self) -> None:
        """A django-q2 cluster for each of the two configurations."""
        for region in (REGION, WRONG_REGION):
            self._manage(f"cluster of {region}", region, "qcluster")

    def stop_clusters(self) -> None:
        for name in [name for name in self.daemons if name.startswith("cluster")]:
            self.end(name)

    def command(self, *arguments: str, **variables: str) -> str:
        """Run a command of the site to its end; what it printed."""
        return self.tool(*self._command(*arguments), environment={**self._environment(REGION), **variables})

    def _serve(self, name: str, region: str) -> int:
        (port,) = free_ports(1)
        self._manage(name, region, "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}")
        self.wait_for_answer(f"http://127.0.0.1:{port}/admin/login/")
        return port

    def _manage(self, name: str, region: str, *arguments: str) -> None:
        self.daemon(name, *self._command(*arguments), environment=self._environment(region))

    def _command(self, *arguments: str) -> list[str]:
        # by the folder in its command line the janitor knows whose process it is
        return [sys.executable, str(ROOT / "manage.py"), *arguments, "--pythonpath", str(self.folder)]

    def _environment(self, region: str) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **ALONE,
            "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
            "BROWSER_LANE_FOLDER": str(self.folder),
            "BROWSER_LANE_NOW": self.now,
            "DATABASE_URL": self.database_url,
            "SECRET_KEY": "only for tests",
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_S3_REGION_NAME": region,
            "AWS_S3_ENDPOINT_URL": self.s3.url,
            "AWS_S3_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_S3_SECRET_ACCESS_KEY": self.s3.secret_key,
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
        }
