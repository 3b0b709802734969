"""A real object store: Ceph RGW from Debian's packages, in a temporary folder, on the loopback.

One monitor, one OSD in memory, one gateway; no container, no service manager. The daemons end with this
process, whatever ends it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from types import TracebackType

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw-admin")
READY_SECONDS = 90.0
_PR_SET_PDEATHSIG = 1


def available() -> tuple[bool, str]:
    """Whether Ceph can be started here, and if not why, in one line."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return (
            False,
            f"Ceph is not installed ({', '.join(missing)} lacking); as root: python -m tests.live.ceph --install",
        )
    return True, ""


def install() -> bool:
    """Install Debian's packages; only root can. False when they cannot be had."""
    if available()[0]:
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{' '.join(command[:2])} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
            return False
    return available()[0]


class CephRGW:
    """``with CephRGW() as ceph:`` gives ``url``, ``access_key`` and ``secret_key``."""

    access_key = "AKIALIVEEXAMPLE00001"
    secret_key = "live-secret-for-tests-only-0000001"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="imagesync-ceph-"))
        self.port = _free_port()
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.began_at = 0.0
        self.ready_after_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> CephRGW:
        self.began_at = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        self.ready_after_s = time.monotonic() - self.began_at
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._configure()
        self._daemon("ceph-mon", "-f", "-i", "a", "--public-addr", f"127.0.0.1:{self.mon_port}")
        osd_uuid = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd_uuid, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_uuid)
        self._daemon("ceph-osd", "-f", "-i", "0")
        self._daemon("radosgw", "-f", "--id", "rgw.a")
        self._wait_until_it_answers()
        self._run(
            "radosgw-admin", "--id", "rgw.a", "user", "create", "--uid=tester", "--display-name=tester",
            f"--access-key={self.access_key}", f"--secret-key={self.secret_key}",
        )  # fmt: skip

    def suspend_user(self) -> None:
        self._run("radosgw-admin", "--id", "rgw.a", "user", "suspend", "--uid=tester")

    def enable_user(self) -> None:
        self._run("radosgw-admin", "--id", "rgw.a", "user", "enable", "--uid=tester")

    def _configure(self) -> None:
        fsid, self.mon_port = str(uuid.uuid4()), _free_port()
        for name in ("mon", "osd", "log", "run"):
            (self.folder / name).mkdir()
        keyring = self.folder / "keyring"
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
mon osd full ratio = 0.99
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
        self._tool(
            "ceph-authtool", "--create-keyring", str(keyring), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *",
        )  # fmt: skip
        for name in ("client.admin", "client.rgw.a", "osd.0", "mgr.a"):
            self._tool(
                "ceph-authtool", str(keyring), "--gen-key", "-n", name, "--cap", "mon", "allow *",
                "--cap", "osd", "allow *", "--cap", "mgr", "allow *",
            )  # fmt: skip
        monmap = str(self.folder / "monmap")
        self._tool(
            "monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{self.mon_port}]", "--fsid", fsid, monmap
        )
        (self.folder / "osd" / "0").mkdir()
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", str(keyring))

    def _daemon(self, program: str, *arguments: str) -> None:
        log = (self.folder / "log" / f"{program}.out").open("wb")
        self.daemons.append(
            subprocess.Popen(
                [program, "--conf", str(self.folder / "ceph.conf"), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,
            )
        )

    def _run(self, program: str, *arguments: str) -> str:
        command = [program, "--conf", str(self.folder / "ceph.conf"), *arguments]
        return self._tool(*command)

    def _tool(self, *command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}\n{self._logs()}"
            )
        return done.stdout

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(f"{daemon.args} ended with {daemon.returncode}\n{self._logs()}")
            try:
                urllib.request.urlopen(self.url, timeout=2).read()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the gateway did not answer within {READY_SECONDS:.0f} s\n{self._logs()}")

    def _logs(self) -> str:
        tails = []
        for log in sorted((self.folder / "log").glob("*")):
            lines = log.read_text(errors="replace").splitlines()[-8:]
            tails.append(f"--- {log.name}\n" + "\n".join(lines))
        return "\n".join(tails)

    def memory_mb(self) -> float:
        """Resident memory of the daemons together."""
        total = 0
        for daemon in self.daemons:
            for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        for daemon in reversed(self.daemons):
            # the OSD waits for a monitor that is gone, so it is not asked
            daemon.send_signal(signal.SIGKILL if "ceph-osd" in str(daemon.args) else signal.SIGTERM)
        for daemon in self.daemons:
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(5)
        self.daemons = []
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install Debian's packages (root)")
    if parser.parse_args().install:
        print("Ceph is installed" if install() else available()[1])
        return 0 if available()[0] else 1
    with CephRGW() as ceph:
        told = {
            "url": ceph.url,
            "ready_after_s": round(ceph.ready_after_s, 1),
            "memory_mb": round(ceph.memory_mb()),
        }
        print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
