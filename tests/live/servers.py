"""What the real servers of this lane share: how one is installed, started in a folder of its own on the
loopback, waited for, and ended with everything that it left, whatever ends this process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.live.janitor import PREFIX, Janitor

READY_SECONDS = 60.0
COMMAND_SECONDS = 300.0
"""A purge of five thousand is one, and takes a minute where others use the machine too."""
ATTEMPTS = 3  # a free port can be taken by somebody else before the daemon has it
POLITE_SECONDS = 2.0

_failures: dict[str, str] = {}  # of installing, by name, so that the reason is told and not only the fact


class ServerFailed(Exception):
    """A server did not start, or refused a command. Holds the tails of its daemons' logs."""


@dataclass(frozen=True)
class DebianPackages:
    """A server that Debian packages."""

    name: str
    programs: tuple[str, ...]
    packages: tuple[str, ...]
    module: str
    """Whose ``--install`` installs them."""

    def available(self) -> tuple[bool, str]:
        """Whether it can be started here, and if not why, in one line."""
        missing = [program for program in self.programs if shutil.which(program) is None]
        if not missing:
            return True, ""
        lacking = f"{self.name} is not installed ({', '.join(missing)} lacking)"
        if self.name in _failures:
            return False, f"{lacking}; {_failures[self.name]}"
        if shutil.which("apt-get") is None:
            return False, f"{lacking}, and there is no apt-get to install it with"
        return False, f"{lacking}; as root: python -m {self.module} --install"

    def path(self, program: str) -> str:
        """Where one of its programs is. Raises ServerFailed when it is not there."""
        found = shutil.which(program)
        if found is None:
            raise ServerFailed(self.available()[1])
        return found

    def install(self) -> bool:
        """Install the packages; only root can. False when they cannot be had; ``available`` says why."""
        if self.available()[0]:
            return True
        if not may_install():
            return False
        failure = self._apt_get("install")
        if failure:  # no lists yet, or lists that name packages which are no longer there
            failure = self._apt_get("update") or self._apt_get("install")
        if failure:
            _failures[self.name] = failure
        return self.available()[0]

    def _apt_get(self, action: str) -> str:
        """What went wrong, in one line; empty when nothing did."""
        command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", action]
        if action == "install":
            command += ["-y", "--no-install-recommends", *self.packages]
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


def may_install() -> bool:
    """Whether packages can be installed here at all; where they can, the live lanes are not optional in CI."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


class Server:
    """``with Kind() as server:`` gives its ``url``, ``access_key`` and ``secret_key``.

    A kind of server says in ``start`` how it is set up in ``folder``, and in ``ended_by`` in which order its
    daemons end and by which signal.
    """

    name = "server"
    access_key = ""
    secret_key = ""
    ended_by: tuple[tuple[str, signal.Signals], ...] = ()

    def __init__(self) -> None:
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.ready_after_s = 0.0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        for attempt in range(1, ATTEMPTS + 1):
            began_at = time.monotonic()
            self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{self.name}-"))
            (self.folder / "log").mkdir()
            self.janitor = Janitor(self.folder)
            try:
                self.start()
            except BaseException as error:
                port_taken = "in use" in str(error)
                self.stop()
                if not isinstance(error, ServerFailed) or not port_taken or attempt == ATTEMPTS:
                    raise
            else:
                self.ready_after_s = time.monotonic() - began_at
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        for name, number in self.ended_by:
            self.end(name, number)
        for name in list(self.daemons):
            self.end(name, signal.SIGTERM)
        self.janitor.tidy()

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(number)
        try:
            daemon.wait(POLITE_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def daemon(self, name: str, *command: str, environment: dict[str, str] | None = None) -> None:
        with (self.folder / "log" / f"{name}.out").open("wb") as output:
            self.daemons[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end them in order
            )

    def tool(self, *command: str, environment: dict[str, str] | None = None) -> str:
        """Run a command to its end; what it printed."""
        what = " ".join(word for word in command if not word.startswith("--secret-key"))
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerFailed(
                f"no answer within {COMMAND_SECONDS:.0f} s: {what}\n{self.log_tails()}"
            ) from error
        if done.returncode:
            raise ServerFailed(f"exit {done.returncode}: {what}\n{done.stderr[-800:]}\n{self.log_tails()}")
        return done.stdout

    def wait_for_answer(self, url: str) -> None:
        """Until there is any HTTP answer at ``url``. Raises ServerFailed as soon as a daemon ends."""
        deadline = time.monotonic() + READY_SECONDS
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    raise ServerFailed(f"{name} ended with {daemon.returncode}\n{self.log_tails()}")
            try:
                direct.open(url, timeout=2).close()
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise ServerFailed(f"{self.name} did not answer within {READY_SECONDS:.0f} s\n{self.log_tails()}")

    def log_tails(self) -> str:
        tails = []
        for log in sorted((self.folder / "log").glob("*")):
            lines = [line[:200] for line in log.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                tails.append("\n".join([f"--- {log.name}", *lines[-6:]]))
        return "\n".join(tails)

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of each daemon."""
        memory = {}
        for name, daemon in self.daemons.items():
            for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    memory[name] = int(line.split()[1]) / 1024
        return memory


def free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def try_out(packages: DebianPackages, kind: type[Server], about: str) -> int:
    """``python -m tests.live.<server>``: install it, or start it once and tell how long that took."""
    wanted = _parser(about).parse_args()
    if wanted.install:
        return _install(packages)
    ok, why = packages.available()
    if not ok:
        print(why)
        return 1
    with kind() as server:
        memory = {name: round(megabytes) for name, megabytes in server.memory_mb().items()}
        told = {"url": server.url, "ready_after_s": round(server.ready_after_s, 1), "memory_mb": memory}
        print(json.dumps(told))
    return 0


def install_from_command_line(packages: DebianPackages, about: str) -> int:
    """``python -m tests.<...> --install`` of what is no server; without ``--install`` whether it is there."""
    if _parser(about).parse_args().install:
        return _install(packages)
    ok, why = packages.available()
    print(f"{packages.name} is installed" if ok else why)
    return 0 if ok else 1


def _parser(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install Debian's packages (root)")
    return parser


def _install(packages: DebianPackages) -> int:
    print(f"{packages.name} is installed" if packages.install() else packages.available()[1])
    return 0 if packages.available()[0] else 1
