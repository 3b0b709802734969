"""A real object store that checks the region of a signature: OpenStack Swift with its S3 API, from Debian's
packages, in a temporary folder, on the loopback.

One proxy and one server each for accounts, containers and objects, on one device; no container, no service
manager, any user. Swift reads its storage policy from ``/etc/swift/swift.conf``, as Debian installs it for all to
read; everything else is in the folder. Buckets are addressed by path.
"""

from __future__ import annotations

import os
import pwd
import sys

from tests.live.servers import DebianPackages, Server, free_ports, try_out

KINDS = ("account", "container", "object")
SWIFT = DebianPackages(
    name="Swift",
    programs=("swift-proxy-server", *(f"swift-{kind}-server" for kind in KINDS)),
    packages=("swift-proxy", *(f"swift-{kind}" for kind in KINDS)),
    module="tests.live.swift",
)
REGION = "eu-north-1"
PIPELINE = "catch_errors cache listing_formats bulk s3api tempauth copy dlo slo symlink versioned_writes proxy-server"
SET_UP = ("proxy-server", "cache", "s3api", "tempauth")

SWIFTS_PYTHON = "/usr/bin/python3"  # Debian's, which has Swift's modules; ours has not
# what swift-ring-builder does, without nine starts of it: one device, one copy, sixteen partitions
MAKE_RINGS = f"""
import sys
from swift.common.ring import RingBuilder
for kind, port in zip({KINDS!r}, sys.argv[1:]):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1.0))
    builder.rebalance()
    builder.get_ring().save(kind + ".ring.gz")
"""


class Swift(Server):
    """``with Swift() as swift:`` gives ``url``, ``access_key`` and ``secret_key``; it is in ``REGION``."""

    name = "swift"
    access_key = "test:tester"
    secret_key = "live-secret-for-tests-only-0000002"

    def start(self) -> None:
        self.port, *ports = free_ports(1 + len(KINDS))
        (self.folder / "devices" / "d1").mkdir(parents=True)
        self.tool(SWIFTS_PYTHON, "-c", MAKE_RINGS, *map(str, ports))
        for kind, port in zip(KINDS, ports, strict=True):
            self._configure(f"{kind}-server", port, kind, f"[app:{kind}-server]\nuse = egg:swift#{kind}\n")
        self._configure("proxy-server", self.port, PIPELINE, self._filters())
        for program in ("proxy-server", *(f"{kind}-server" for kind in KINDS)):
            self.daemon(program, f"swift-{program}", str(self.folder / f"{program}.conf"), "--verbose")
        for answering in (*ports, self.port):
            self.wait_for_answer(f"http://127.0.0.1:{answering}")

    def _configure(self, program: str, port: int, pipeline: str, sections: str) -> None:
        steps = f"{pipeline}-server" if pipeline in KINDS else pipeline
        (self.folder / f"{program}.conf").write_text(
            f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {pwd.getpwuid(os.geteuid()).pw_name}
swift_dir = {self.folder}
devices = {self.folder}/devices
mount_check = false
disable_fallocate = true
recon_cache_path = {self.folder}
log_level = WARNING

[pipeline:main]
pipeline = {steps}

{sections}"""
        )

    def _filters(self) -> str:
        as_they_are = [step for step in PIPELINE.split() if step not in SET_UP]
        return "\n".join(
            [
                "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n",
                "[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers =\n",
                f"[filter:s3api]\nuse = egg:swift#s3api\nlocation = {REGION}\n",
                f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {self.secret_key} .admin\n",
                *(f"[filter:{step}]\nuse = egg:swift#{step}\n" for step in as_they_are),
            ]
        )


if __name__ == "__main__":
    sys.exit(try_out(SWIFT, Swift, __doc__ or ""))
