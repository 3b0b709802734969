"""Runs imagesync and its peers at a place, and holds what each finds against what is gone there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measured import Run, run
from benchmarks.place import Place, Server
from benchmarks.world import World

OURS = "imagesync"
FLOOR = "floor"
PEERS = {
    "head-1": "boto3, one HEAD per record",
    "head-32": "boto3, one HEAD per record, 32 threads",
    "paginator": "boto3 paginator, set",
    "s5cmd": "s5cmd, sort, comm",
    "rclone": "rclone, sort, comm",
}
PROGRAMS = ("s5cmd", "rclone")
TITLES = {OURS: OURS, **PEERS, FLOOR: "floor: pages and rows, thrown away"}
DEADLINE = 4 * 3600.0
"""Of any one process, in seconds: what takes so long hangs."""


class Disagreement(Exception):
    """A side found other keys missing than are: its time says nothing."""


@dataclass
class Figure:
    """What one side did at one place; ``values`` are seconds or a rate, one per repetition."""

    experiment: str
    side: str
    records: int
    objects: int
    shape: str
    latency_ms: float = 0
    workers: int = 0
    unit: str = "s"
    values: list[float] = field(default_factory=list)
    startups: list[float] = field(default_factory=list)
    """What only starting took, beside each repetition; the best of them is taken off."""
    peak_bytes: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    """Of the last repetition, as the server counted them."""

    @property
    def work(self) -> str:
        return World(self.records, self.objects, 0, self.shape).name

    @property
    def results(self) -> list[float]:
        startup = min(self.startups, default=0.0)
        # tiny work drowns in the noise of starting
        return [max(value - startup, 0.001) for value in self.values]

    @property
    def best(self) -> float:
        return min(self.results) if self.unit == "s" else max(self.results)

    def add(self, one: Measured) -> None:
        self.values.append(one.value)
        if one.startup:
            self.startups.append(one.startup)
        self.peak_bytes = max(self.peak_bytes, one.peak_bytes)
        self.requests = one.requests


@dataclass(frozen=True)
class Measured:
    value: float
    peak_bytes: int
    requests: dict[str, int]
    took: float
    """Seconds on the wall."""
    startup: float = 0.0


Measure = Callable[[Server], Measured]


def figure(experiment: str, side: str, world: World, **more: Any) -> Figure:
    return Figure(experiment, side, world.records, world.objects, world.shape, **more)


def ours(place: Place, *options: str) -> Measure:
    """The command that a site runs, less the time that it takes to print its help: Django's start-up."""

    def measure(server: Server) -> Measured:
        startup = place.startup()
        before = server.requests()
        found = run(
            [
                sys.executable,
                "manage.py",
                "check_s3_images",
                "--format",
                "json",
                "--fail-on",
                "none",
                *options,
            ],
            place.environment,
            deadline=DEADLINE,
        )
        report = json.loads(found.output)
        missing = [one["key"] for one in report["findings"] if one["verdict"] == "missing"]
        agree(OURS, missing, place.gone)
        others = {one["verdict"] for one in report["findings"]} - {"missing"}
        if report["trust"] != "trustworthy" or others:
            raise Disagreement(f"{OURS}: {report['trust']}, {report['reasons']}, {others}")
        return _measured(found.seconds, found, before, server, startup)

    return measure


def peer(place: Place, side: str) -> Measure:
    def measure(server: Server) -> Measured:
        before = server.requests()
        told, missing, found = _told("benchmarks.peers", [side], place)
        if side == FLOOR:
            pages = -(-place.world.objects // 1000)
            agree(FLOOR, [(told["rows"], told["pages"])], {(place.world.records, pages)})
        else:
            asked = told.get("asked")
            agree(side, missing, place.gone if asked is None else place.gone & set(asked))
        return _measured(told["seconds"], found, before, server)

    return measure


def asking(place: Place, *how: str) -> Measure:
    """How many records a second are asked for one by one (benchmarks/asking.py)."""

    def measure(server: Server) -> Measured:
        before = server.requests()
        told, missing, found = _told("benchmarks.asking", how, place)
        agree(" ".join(how), missing, place.gone & set(told["asked"]))
        return _measured(len(told["asked"]) / told["seconds"], found, before, server)

    return measure


def purging(place: Place) -> Measure:
    """How many records a second are deleted, each with its tombstone (benchmarks/purging.py)."""

    def measure(server: Server) -> Measured:
        before = server.requests()
        told, buried, found = _told("benchmarks.purging", [], place)
        agree("tombstones", buried, place.gone)
        agree("purge", told["left"], set(place.world.names()) - place.gone)
        return _measured(len(buried) / (told["seconds"] - told["confirming"]), found, before, server)

    return measure


def available(side: str) -> str:
    """Empty, or why a side cannot run here."""
    if side not in PROGRAMS or program(side):
        return ""
    return f"{side} is not installed (benchmarks/requirements.txt)"


def program(name: str) -> str:
    """Its path: beside this Python, or on the path; empty when there is none."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name) or ""


def agree(side: str, found: Sequence[Any], expected: set[Any]) -> None:
    if len(found) != len(expected) or set(found) != expected:
        lacking, surplus = expected - set(found), set(found) - expected
        raise Disagreement(
            f"{side}: {len(found):,} found, {len(expected):,} expected; lacking {_some(lacking)}; too many {_some(surplus)}"
        )


def _some(keys: set[Any]) -> str:
    return ", ".join(ascii(key) for key in sorted(keys)[:3]) or "none"


def _told(module: str, arguments: Sequence[str], place: Place) -> tuple[dict[str, Any], list[str], Run]:
    with tempfile.TemporaryDirectory(prefix="imagesync-bench-") as folder:
        missing = Path(folder) / "missing"
        command = [sys.executable, "-m", module, *arguments, str(missing)]
        found = run(command, place.environment, deadline=DEADLINE)
        return json.loads(found.output), missing.read_text().splitlines(), found


def _measured(value: float, found: Run, before: Any, server: Server, startup: float = 0.0) -> Measured:
    requests = dict(server.requests() - before)
    return Measured(value, found.peak_bytes, requests, found.seconds, startup)


def told_error(error: Exception) -> str:
    """What a process that failed printed."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error}\n{error.stderr}"
    return str(error)
