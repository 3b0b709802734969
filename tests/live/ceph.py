"""A real object store: Ceph RGW from Debian's packages, in a temporary folder, on the loopback.

One monitor, one OSD in memory, one gateway; no container, no service manager, any user. The daemons and
their folder end with this process, whatever ends it: see ``Janitor``.
"""

from __future__ import annotations

import argparse
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

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw-admin")
READY_SECONDS = 60.0
ATTEMPTS = 3  # a free port can be taken by somebody else before the daemon has it
POLITE_SECONDS = 2.0
PREFIX = "imagesync-"  # of every folder that a janitor may remove

_failures: list[str] = []  # of installing, so that the reason is told and not only the fact


class CephFailed(Exception):
    """Ceph did not start, or refused a command. Holds the tails of the daemons' logs."""


def available() -> tuple[bool, str]:
    """Whether Ceph can be started here, and if not why, in one line."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return True, ""
    lacking = f"Ceph is not installed ({', '.join(missing)} lacking)"
    if _failures:
        return False, f"{lacking}; {_failures[-1]}"
    if shutil.which("apt-get") is None:
        return False, f"{lacking}, and there is no apt-get to install it with"
    return False, f"{lacking}; as root: python -m tests.live.ceph --install"


def install() -> bool:
    """Install Debian's packages; only root can. False when they cannot be had; ``available`` says why."""
    if available()[0]:
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    failure = _apt_get("install")
    if failure:  # no lists yet, or lists that name packages which are no longer there
        failure = _apt_get("update") or _apt_get("install")
    if failure:
        _failures.append(failure)
    return available()[0]


def _apt_get(action: str) -> str:
    """What went wrong, in one line; empty when nothing did."""
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", action]
    if action == "install":
        command += ["-y", "--no-install-recommends", *PACKAGES]
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode == 0:
        return ""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return f"apt-get {action} failed: {lines[-1] if lines else f'exit {done.returncode}'}"


class Janitor:
    """Ends every process whose command line names ``folder``, and removes it, when this process is gone.

    It is a process of its own, in its own session, that waits for the end of its standard input; so it
    works after ``kill -9`` too, and whichever thread started what it looks after.
    """

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.ceph", "--tidy", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tidy(self) -> None:
        """Do it now."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def _tidy(folder: Path) -> None:
    polite_until = time.monotonic() + POLITE_SECONDS
    for pid in _processes_of(folder):
        _signal(pid, signal.SIGTERM)
    # twice nothing: a process that is just being started has not named the folder yet
    quiet = 0
    while quiet < 2:
        left = _processes_of(folder)
        quiet = 0 if left else quiet + 1
        if time.monotonic() > polite_until:
            for pid in left:
                _signal(pid, signal.SIGKILL)
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def _processes_of(folder: Path) -> list[int]:
    needle, found = os.fsencode(folder), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if needle in arguments and b"--tidy" not in arguments:
                found.append(int(entry.name))
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it ended meanwhile


class CephRGW:
    """``with CephRGW() as ceph:`` gives ``url``, ``access_key`` and ``secret_key``."""

    access_key = "AKIALIVEEXAMPLE00001"
    secret_key = "live-secret-for-tests-only-0000001"
    user = "tester"

    def __init__(self) -> None:
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.ready_after_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> CephRGW:
        for attempt in range(1, ATTEMPTS + 1):
            began_at = time.monotonic()
            self.deadline = began_at + READY_SECONDS
            self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}ceph-"))
            self.janitor = Janitor(self.folder)
            try:
                self._start()
            except BaseException as error:
                port_taken = "in use" in str(error)
                self.stop()
                if not isinstance(error, CephFailed) or not port_taken or attempt == ATTEMPTS:
                    raise
            else:
                self.ready_after_s = time.monotonic() - began_at
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def suspend_user(self) -> None:
        """Every request of the user is answered 403 from now on, whatever the key."""
        self._run("radosgw-admin", "--id", "rgw.a", "user", "suspend", f"--uid={self.user}")

    def enable_user(self) -> None:
        self._run("radosgw-admin", "--id", "rgw.a", "user", "enable", f"--uid={self.user}")

    def remove_data_object(self, bucket: str, key: str) -> None:
        """Lose the bytes of an object but not its entry in the bucket: it is listed, and GET answers 404."""
        told = self._run("radosgw-admin", "--id", "rgw.a", "bucket", "stats", f"--bucket={bucket}")
        marker = json.loads(told)["marker"]
        name, locator = f"{marker}_{key}", []
        if key.startswith("_"):  # stored with one underscore more, where the plain name would lie
            name, locator = f"{marker}__{key}", ["--object-locator", name]
        self._run("rados", "--pool", "default.rgw.buckets.data", *locator, "rm", name)

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of each daemon."""
        memory = {}
        for program, daemon in self.daemons.items():
            for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    memory[program] = int(line.split()[1]) / 1024
        return memory

    def stop(self) -> None:
        """The gateway first: it waits for an OSD that is gone. The OSD waits for the monitor, so it is killed."""
        for program, number in (
            ("radosgw", signal.SIGTERM),
            ("ceph-osd", signal.SIGKILL),
            ("ceph-mon", signal.SIGTERM),
        ):
            daemon = self.daemons.pop(program, None)
            if daemon is None:
                continue
            daemon.send_signal(number)
            try:
                daemon.wait(POLITE_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.janitor.tidy()

    def _start(self) -> None:
        self._configure()
        self._daemon("ceph-mon", "-f", "-i", "a", "--public-addr", f"127.0.0.1:{self.mon_port}")
        osd_uuid = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "30", "osd", "new", osd_uuid, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_uuid)
        self._daemon("ceph-osd", "-f", "-i", "0")
        self._daemon("radosgw", "-f", "--id", "rgw.a")
        self._wait_until_it_answers()
        self._run(
            "radosgw-admin", "--id", "rgw.a", "user", "create", f"--uid={self.user}", "--display-name=tester",
            f"--access-key={self.access_key}", f"--secret-key={self.secret_key}",
        )  # fmt: skip

    def _configure(self) -> None:
        fsid, self.mon_port, self.port = str(uuid.uuid4()), *_free_ports(2)
        for name in ("mon", "osd/0", "log", "run"):
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
        self._tool(
            "ceph-authtool", "--create-keyring", str(keyring), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *",
        )  # fmt: skip
        for name in ("client.admin", "client.rgw.a", "osd.0"):
            self._tool(
                "ceph-authtool", str(keyring), "--gen-key", "-n", name, "--cap", "mon", "allow *",
                "--cap", "osd", "allow *", "--cap", "mgr", "allow *",
            )  # fmt: skip
        address = f"[v1:127.0.0.1:{self.mon_port}]"
        self._tool("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(monmap))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap), "--keyring", str(keyring))

    def _daemon(self, program: str, *arguments: str) -> None:
        with (self.folder / "log" / f"{program}.out").open("wb") as output:
            self.daemons[program] = subprocess.Popen(
                [program, "--conf", str(self.folder / "ceph.conf"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end them in order
            )

    def _run(self, program: str, *arguments: str) -> str:
        return self._tool(program, "--conf", str(self.folder / "ceph.conf"), *arguments)

    def _tool(self, *command: str) -> str:
        what = " ".join(word for word in command if not word.startswith("--secret-key"))
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=READY_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CephFailed(
                f"no answer within {READY_SECONDS:.0f} s: {what}\n{self._log_tails()}"
            ) from error
        if done.returncode:
            raise CephFailed(f"exit {done.returncode}: {what}\n{done.stderr[-800:]}\n{self._log_tails()}")
        return done.stdout

    def _wait_until_it_answers(self) -> None:
        while time.monotonic() < self.deadline:
            for program, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    raise CephFailed(f"{program} ended with {daemon.returncode}\n{self._log_tails()}")
            try:
                urllib.request.urlopen(self.url, timeout=2).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise CephFailed(f"the gateway did not answer within {READY_SECONDS:.0f} s\n{self._log_tails()}")

    def _log_tails(self) -> str:
        tails = []
        for log in sorted((self.folder / "log").glob("*")):
            lines = [line[:200] for line in log.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                tails.append("\n".join([f"--- {log.name}", *lines[-6:]]))
        return "\n".join(tails)


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install Debian's packages (root)")
    parser.add_argument("--tidy", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.tidy:
        if not options.tidy.name.startswith(PREFIX):
            parser.error("not a folder of ours")
        sys.stdin.buffer.read()
        _tidy(options.tidy)
        return 0
    if options.install:
        print("Ceph is installed" if install() else available()[1])
        return 0 if available()[0] else 1
    ok, why = available()
    if not ok:
        print(why)
        return 1
    with CephRGW() as ceph:
        memory = {program: round(megabytes) for program, megabytes in ceph.memory_mb().items()}
        print(
            json.dumps({"url": ceph.url, "ready_after_s": round(ceph.ready_after_s, 1), "memory_mb": memory})
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
