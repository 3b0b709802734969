"""A real object store: Ceph RGW from Debian's packages, in a temporary folder, on the loopback.

One monitor, one OSD in memory, one gateway; no container, no service manager, any user.
"""

from __future__ import annotations

import json
import signal
import sys
import uuid
from typing import Any

from tests.live.servers import DebianPackages, Server, ServerFailed, free_ports, try_out

CEPH = DebianPackages(
    name="Ceph",
    programs=(
        "radosgw",
        "ceph-mon",
        "ceph-osd",
        "ceph",
        "ceph-authtool",
        "monmaptool",
        "radosgw-admin",
        "rados",
    ),
    packages=("radosgw", "ceph-mon", "ceph-osd"),
    module="tests.live.ceph",
)
DATA, INDEX = "default.rgw.buckets.data", "default.rgw.buckets.index"


class CephRGW(Server):
    """``with CephRGW() as ceph:`` gives ``url``, ``access_key`` and ``secret_key``."""

    name = "ceph"
    access_key = "AKIALIVEEXAMPLE00001"
    secret_key = "live-secret-for-tests-only-0000001"
    user = "tester"
    # the gateway first: it waits for an OSD that is gone. The OSD waits for the monitor, so it is killed.
    ended_by = (
        ("throttled", signal.SIGTERM),
        ("radosgw", signal.SIGTERM),
        ("ceph-osd", signal.SIGKILL),
        ("ceph-mon", signal.SIGTERM),
    )

    # what can be done to it

    def add_user(self, user: str, access_key: str, secret_key: str) -> None:
        self._admin(
            "user", "create", f"--uid={user}", f"--display-name={user}",
            f"--access-key={access_key}", f"--secret-key={secret_key}",
        )  # fmt: skip

    def suspend_user(self, user: str = user) -> None:
        """Every request of the user is answered 403 from now on, whatever the key."""
        self._admin("user", "suspend", f"--uid={user}")

    def enable_user(self, user: str = user) -> None:
        self._admin("user", "enable", f"--uid={user}")

    def remove_data_object(self, bucket: str, key: str) -> None:
        """Lose the bytes of an object but not its entry in the bucket: it is listed, and GET answers 404."""
        marker = self._stats(bucket)["marker"]
        name, locator = f"{marker}_{key}", []
        if key.startswith("_"):  # stored with one underscore more, where the plain name would lie
            name, locator = f"{marker}__{key}", ["--object-locator", name]
        self._run("rados", "--pool", DATA, *locator, "rm", name)

    def remove_index_entries(self, bucket: str, keys: set[str]) -> None:
        """Lose the entries of objects but not their bytes: they are not listed, and GET answers."""
        left = set(keys)
        for shard in self._run("rados", "--pool", INDEX, "ls").split():
            if not shard.startswith(f".dir.{self._stats(bucket)['id']}."):
                continue
            for key in left & set(self._run("rados", "--pool", INDEX, "listomapkeys", shard).splitlines()):
                self._run("rados", "--pool", INDEX, "rmomapkey", shard, key)
                left.discard(key)
        if left:
            raise ServerFailed(f"no index entry of {sorted(left)!a}")

    def start_throttled(self) -> str:
        """A second gateway to the same objects, which serves one request at a time and answers all others
        503 SlowDown; its URL."""
        (port,) = free_ports(1)
        self._gateway(
            "throttled",
            f"--rgw-frontends=beast endpoint=127.0.0.1:{port}",
            "--rgw-scheduler-type=throttler",
            "--rgw-max-concurrent-requests=1",
            f"--log-file={self.folder}/log/throttled.log",
        )
        url = f"http://127.0.0.1:{port}"
        self.wait_for_answer(url)
        return url

    def throttled_requests(self) -> int:
        """How many requests the second gateway has turned away."""
        log = self.folder / "log" / "throttled.log"
        return log.read_text(errors="replace").count("http_status=503")

    def start(self) -> None:
        self._configure()
        self._daemon("ceph-mon", "-f", "-i", "a", "--public-addr", f"127.0.0.1:{self.mon_port}")
        osd_uuid = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "30", "osd", "new", osd_uuid, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_uuid)
        self._daemon("ceph-osd", "-f", "-i", "0")
        self._gateway("radosgw")
        self.wait_for_answer(self.url)
        self.add_user(self.user, self.access_key, self.secret_key)

    def _configure(self) -> None:
        fsid, self.mon_port, self.port = str(uuid.uuid4()), *free_ports(2)
        for name in ("mon", "osd/0", "run"):
            (self.folder / name).mkdir(parents=True)
        keyring, monmap = self.folder / "keyring", self.folder / "monmap"
        (self.folder / "ceph.conf").write_text(
            f"""
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{self.mon_port}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
keyring = {keyring}
log file = {self.folder}/log/$name.log
admin socket = {self.folder}/run/$name.$pid.asok
pid file = {self.folder}/run/$name.pid
run dir = {self.folder}/run
crash dir = {self.folder}/run
mon data = {self.folder}/mon/a
osd data = {self.folder}/osd/0
osd objectstore = memstore
memstore device bytes = 2147483648
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.02
osd max object name len = 2048
osd max object namespace len = 256
auth allow insecure global id reclaim = true

[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{self.port}
rgw data = {self.folder}/run
rgw dns name = 127.0.0.1
rgw enable usage log = false
"""
        )
        self.tool(
            "ceph-authtool", "--create-keyring", str(keyring), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *",
        )  # fmt: skip
        for name in ("client.admin", "client.rgw.a", "osd.0"):
            self.tool(
                "ceph-authtool", str(keyring), "--gen-key", "-n", name, "--cap", "mon", "allow *",
                "--cap", "osd", "allow *", "--cap", "mgr", "allow *",
            )  # fmt: skip
        address = f"[v1:127.0.0.1:{self.mon_port}]"
        self.tool("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(monmap))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap), "--keyring", str(keyring))

    def _stats(self, bucket: str) -> dict[str, Any]:
        stats: dict[str, Any] = json.loads(self._admin("bucket", "stats", f"--bucket={bucket}"))
        return stats

    def _admin(self, *arguments: str) -> str:
        return self._run("radosgw-admin", "--id", "rgw.a", *arguments)

    def _gateway(self, name: str, *arguments: str) -> None:
        conf = str(self.folder / "ceph.conf")
        self.daemon(name, "radosgw", "--conf", conf, "-f", "--id", "rgw.a", *arguments)

    def _daemon(self, program: str, *arguments: str) -> None:
        self.daemon(program, program, "--conf", str(self.folder / "ceph.conf"), *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        return self.tool(program, "--conf", str(self.folder / "ceph.conf"), *arguments)


if __name__ == "__main__":
    sys.exit(try_out(CEPH, CephRGW, __doc__ or ""))
