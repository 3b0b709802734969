"""Figures -> tables and a plot, printed and written into benchmarks/README.md."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg

from benchmarks.plot import plot
from benchmarks.sides import FLOOR, OURS, PROGRAMS, TITLES, Figure, program
from imagesync.core.cost import Prices

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
COMMANDS = {"small": "bench", "full": "bench-full", "admin": "bench-admin", "scaling": "bench-scaling"}
LARGE = 1_000_000
RATIOS = {"head-1": 500.0, "head-32": 500.0, "paginator": 40.0, "s5cmd": 12.0, "rclone": 8.0}
"""How many times as long a peer takes, at least."""


@dataclass(frozen=True)
class Target:
    what: str
    where: str
    measured: str
    target: str
    met: bool
    is_of_its_size: bool = True
    """Whether the work is as large as the target is for: of less, starting is the larger part."""

    @property
    def told(self) -> str:
        if self.met:
            return "yes"
        return "**no**" if self.is_of_its_size else "it is for a million records"


def targets(figures: Sequence[Figure]) -> list[Target]:
    """Those that these figures say something about."""
    return [*_ratios(figures), *_memory(figures), *_latency(figures), *_costs(figures), *_rates(figures)]


def _ratios(figures: Sequence[Figure]) -> Iterator[Target]:
    for work in _works(figures, "sides"):
        own = _of(work, OURS)
        is_large = own.records >= LARGE
        for one in work:
            if one.side in RATIOS:
                ratio, least = one.best / own.best, RATIOS[one.side]
                yield Target(
                    TITLES[one.side], one.work, f"{ratio:,.1f}x", f"≥ {least:g}x", ratio >= least, is_large
                )
            elif one.side == FLOOR:
                ratio = own.best / one.best
                yield Target(
                    "imagesync against the floor", one.work, f"{ratio:.2f}x", "≤ 2x", ratio <= 2, is_large
                )


def _memory(figures: Sequence[Figure]) -> Iterator[Target]:
    own = [one for one in figures if one.experiment == "sides" and one.side == OURS]
    for one in own:
        peak = one.peak_bytes / 1e6
        yield Target("peak memory", one.work, f"{peak:.0f} MB", "≤ 120 MB", peak <= 120)
    by_size = {one.records: one.peak_bytes for one in own if one.shape == "dated"}
    if LARGE in by_size and 10 * LARGE in by_size:
        growth = by_size[10 * LARGE] / by_size[LARGE] - 1
        yield Target("peak memory, growth", "1 M → 10 M", f"{growth:+.1%}", "< 10 %", growth < 0.1)


def _latency(figures: Sequence[Figure]) -> Iterator[Target]:
    own = {
        (one.records, one.workers): one
        for one in figures
        if one.experiment == "latency" and one.side == OURS and one.latency_ms == 80
    }
    for (records, workers), one in own.items():
        if workers == 16:
            ratio = own[records, 1].best / one.best
            yield Target(
                "80 ms: 16 workers against 1",
                one.work,
                f"{ratio:.1f}x",
                "≥ 12x",
                ratio >= 12,
                one.records >= LARGE,
            )


def _costs(figures: Sequence[Figure]) -> Iterator[Target]:
    prices = Prices()
    for work in _works(figures, "strategy"):
        cost = {one.side: prices.of(one.requests) for one in work}
        if len(cost) < 3:  # a run that was broken off
            continue
        ratio = cost["auto"] / min(cost["list"], cost["head"])
        yield Target(
            "request cost, auto against the better of list and head",
            work[0].work,
            f"{ratio:.2f}x",
            "≤ 1.3x",
            ratio <= 1.3,
        )


def _rates(figures: Sequence[Figure]) -> Iterator[Target]:
    for one in figures:
        if one.experiment == "purge":
            rate = one.best
            yield Target("records purged", one.work, f"{rate:,.0f}/s", "≥ 3,000/s", rate >= 3000)
    own = [one for one in figures if one.side == f"{OURS}, get"]
    theirs = [one for one in figures if one.side == "boto3, get"]
    if own and theirs:
        ratio = max(one.best for one in own) / max(one.best for one in theirs)
        yield Target("ranged GETs a second, against boto3", own[0].work, f"{ratio:.1f}x", "≥ 4x", ratio >= 4)


# --- tables -----------------------------------------------------------------------------------------------


def text(name: str, machine: str, figures: Sequence[Figure], left_out: dict[str, str]) -> str:
    parts = [machine, *(f"Left out: {side}: {why}." for side, why in left_out.items())]
    met = [(one.what, one.where, one.target, one.measured, one.told) for one in targets(figures)]
    parts += _section("Targets", "what | work | target | measured | met", met)
    parts.append(f"![Seconds by number of records]({name}.svg)")
    parts += _section(
        "Everybody on the same work",
        "work | side | best | against imagesync | all | peak memory",
        _sides(figures),
    )
    parts += _section("With latency", "work | side | latency | workers | best | all", _latencies(figures))
    parts += _section(
        "Requests, and what they cost",
        "work | strategy | requests | cost in USD | seconds",
        _strategies(figures),
    )
    parts += _section("Single records", "what | threads | best | all", _singles(figures))
    return "\n\n".join(parts)


def _sides(figures: Sequence[Figure]) -> Iterator[Sequence[str]]:
    for work in _works(figures, "sides"):
        own = _of(work, OURS).best
        for one in work:
            ratio = "" if one.side == OURS else f"{one.best / own:,.2f}x"
            yield one.work, TITLES[one.side], f"{one.best:,.2f} s", ratio, _all(one), _megabytes(one)
        for one in figures:
            if one.experiment == "first" and one.work == work[0].work:
                yield (
                    one.work,
                    "imagesync, first audit (marks every record)",
                    f"{one.best:,.2f} s",
                    "",
                    _all(one),
                    _megabytes(one),
                )


def _latencies(figures: Sequence[Figure]) -> Iterator[Sequence[str]]:
    for one in figures:
        if one.experiment == "latency":
            workers = str(one.workers or "")
            yield (
                one.work,
                TITLES[one.side],
                f"{one.latency_ms:g} ms",
                workers,
                f"{one.best:,.2f} s",
                _all(one),
            )


def _strategies(figures: Sequence[Figure]) -> Iterator[Sequence[str]]:
    for one in figures:
        if one.experiment == "strategy":
            requests = ", ".join(f"{number:,} {kind}" for kind, number in sorted(one.requests.items()))
            yield one.work, one.side, requests, f"{Prices().of(one.requests):.6f}", f"{one.best:,.2f}"


def _singles(figures: Sequence[Figure]) -> Iterator[Sequence[str]]:
    for one in figures:
        if one.experiment in ("asking", "purge"):
            what = one.side if one.experiment == "asking" else "purged, confirming excluded"
            yield what, str(one.workers or 1), f"{one.best:,.0f}/s", _all(one)


def _section(title: str, head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """A title and its table; nothing when there is nothing to tell."""
    told = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|" + " --- |" * (head.count("|") + 1)
    return [f"{title}:", "\n".join([f"| {head} |", rule, *told])] if told else []


def _works(figures: Sequence[Figure], experiment: str) -> list[list[Figure]]:
    works: dict[str, list[Figure]] = {}
    for one in figures:
        if one.experiment == experiment:
            works.setdefault(one.work, []).append(one)
    return list(works.values())


def _of(work: Sequence[Figure], side: str) -> Figure:
    return next(one for one in work if one.side == side)


def _all(one: Figure) -> str:
    return " ".join(f"{value:,.2f}" if one.unit == "s" else f"{value:,.0f}" for value in one.results)


def _megabytes(one: Figure) -> str:
    return f"{one.peak_bytes / 1e6:,.0f} MB"


# --- where it was measured --------------------------------------------------------------------------------


def machine(database_url: str) -> str:
    cpu = next(
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    with psycopg.connect(database_url) as connection:
        postgres = (connection.info.parameter_status("server_version") or "").split()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in ("Django", "boto3", "psycopg"))
    programs = "".join(f", {name} {_told_version(name)}" for name in PROGRAMS if program(name))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}; "
        f"Python {platform.python_version()}, {packages}, PostgreSQL {postgres}{programs}."
    )


def _told_version(name: str) -> str:
    """``v2.3.0-991c9fb``, ``rclone v1.75.2 ...``: what begins with a v."""
    told = subprocess.run([program(name), "version"], capture_output=True, text=True, check=True, timeout=60)
    return next(word for word in told.stdout.split() if word.startswith("v")).removeprefix("v")


def write(name: str, machine: str, figures: Sequence[Figure], left_out: dict[str, str]) -> None:
    """Print the tables, and put them into the README with their plot."""
    made = text(name, machine, figures, left_out)
    print(f"\n{made}")
    README.write_text(with_tables(README.read_text(), name, made))
    (HERE / f"{name}.svg").write_text(plot(figures))


def with_tables(readme: str, name: str, made: str) -> str:
    """The README with these tables between the plan's own markers. Raises ValueError when it has none."""
    begin, end = (f"<!-- made by `make {COMMANDS[name]}`: {where} -->" for where in ("begin", "end"))
    start = readme.index(begin) + len(begin)
    return f"{readme[:start]}\n\n{made}\n\n{readme[readme.index(end, start) :]}"
