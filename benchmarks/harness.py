"""`make bench` and `make bench-full`: imagesync and its peers on the same work, in one run.

    python -m benchmarks.harness small|full
    python -m benchmarks.harness small|full --kept

Every side's answer is held against what is gone; a run whose sides disagree ends with exit 1 and without tables. Each
figure goes to var/bench-NAME.json as soon as it is measured; at the end their tables and plot go to benchmarks/README.md.
``--kept`` writes those of a run that was broken off.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.place import VAR, Place, place
from benchmarks.sides import (
    FLOOR,
    OURS,
    PEERS,
    TITLES,
    Disagreement,
    Figure,
    Measure,
    asking,
    available,
    figure,
    ours,
    peer,
    purging,
    told_error,
)
from benchmarks.world import World

ALL = (*PEERS, FLOOR)
NO_LOOPS = ("paginator", "s5cmd", "rclone", FLOOR)
COMPILED = ("s5cmd", "rclone", FLOOR)


def dense(records: int, shape: str = "dated") -> World:
    """Every object has a record, and one record in ten thousand has no object."""
    missing = max(records // 10_000, 10)
    return World(records, records - missing, missing, shape)


def sparse(objects: int, one_in: int) -> World:
    records = objects // one_in
    return World(records, objects, max(records // 100, 1))


@dataclass
class Kept:
    """What a run found so far, in a file that outlives it."""

    name: str
    machine: str
    figures: list[Figure] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    unfinished: str = "broken off"
    """Why figures are lacking; empty when none is."""
    disagreement: str = ""

    @staticmethod
    def path(name: str) -> Path:
        return VAR / f"bench-{name}.json"

    def add(self, one: Figure) -> None:
        if not any(one is known for known in self.figures):
            self.figures.append(one)
        self.save()

    def save(self) -> None:
        path = self.path(self.name)
        beside = path.with_suffix(".new")  # an interruption leaves one or the other
        beside.write_text(json.dumps(asdict(self), indent=1))
        beside.replace(path)

    @classmethod
    def load(cls, name: str) -> Kept:
        found = json.loads(cls.path(name).read_text())
        found["figures"] = [Figure(**one) for one in found["figures"]]
        return cls(**found)


@dataclass
class Bench:
    place: Place
    kept: Kept
    repetitions: int
    patience: float
    """A side whose repetitions have taken so many seconds together is not repeated any more."""

    def lay(self, world: World) -> None:
        """A world in steady state: one audit has marked the records present. That first audit is a figure too."""
        say(f"\n{world.name}")
        self.place.lay(world)
        self.measure([(figure("first", OURS, world), ours(self.place))], repetitions=1)
        self.place.tidy()

    def lay_marked(self, world: World) -> None:
        """The same when there are so many records that SQL marks them; the audit that settles the rest is no figure."""
        say(f"\n{world.name}")
        self.place.lay(world, seen_in=self.place.fingerprint())
        with self.place.serving() as server:
            ours(self.place)(server)
        self.place.tidy()

    def measure(
        self, sides: Sequence[tuple[Figure, Measure]], *, latency_ms: float = 0, repetitions: int = 0
    ) -> None:
        spent = [0.0] * len(sides)
        with self.place.serving(latency_ms=latency_ms) as server:
            for repetition in range(repetitions or self.repetitions):
                for number, (one, measure) in enumerate(sides):
                    if spent[number] * (repetition + 1) / max(repetition, 1) > self.patience:
                        continue
                    measured = measure(server)
                    spent[number] += measured.took
                    one.add(measured)
                    self.kept.add(one)
                    memory = one.peak_bytes / 1e6
                    say(
                        f"  {one.experiment:10} {one.side:10} {one.results[-1]:12,.2f} {one.unit}  {memory:6.0f} MB"
                    )

    def compare(self, world: World, sides: Sequence[str] = ALL, *, repetitions: int = 0) -> None:
        """Everybody, in turns."""
        found = [(figure("sides", OURS, world), ours(self.place))]
        for side in sides:
            if why := available(side):
                self.kept.left_out[TITLES[side]] = why
            else:
                found.append((figure("sides", side, world), peer(self.place, side)))
        self.measure(found, repetitions=repetitions)

    def latencies(self, world: World, latencies: Sequence[float], sides: Sequence[str] = ()) -> None:
        for latency in latencies:
            found = [
                (
                    figure("latency", OURS, world, latency_ms=latency, workers=workers),
                    ours(self.place, "--workers", str(workers)),
                )
                for workers in (1, 16)
            ]
            found += [
                (figure("latency", side, world, latency_ms=latency), peer(self.place, side))
                for side in sides
                if not available(side)
            ]
            self.measure(found, latency_ms=latency)

    def strategies(self, world: World) -> None:
        """What they cost, which no repetition changes."""
        found = [
            (figure("strategy", name, world), ours(self.place, "--strategy", name))
            for name in ("auto", "list", "head")
        ]
        self.measure(found, repetitions=1)

    def ask(
        self, world: World, hows: Sequence[str] = ("get", "head"), threads: Sequence[int] = (1, 8)
    ) -> None:
        """Objects one by one."""
        self.measure(
            [
                (
                    figure("asking", f"{who}, {how}", world, workers=number, unit="/s"),
                    asking(self.place, who, how, str(number)),
                )
                for how in hows
                for who in (OURS, "boto3")
                for number in threads
            ],
            repetitions=2,
        )

    def purge(self, world: World) -> None:
        """What is missing; its records are laid anew each time."""
        purged = figure("purge", OURS, world, unit="/s")
        for _repetition in range(self.repetitions):
            self.place.lay(world)
            self.place.tidy()
            self.measure([(purged, purging(self.place))], repetitions=1)


def small(bench: Bench) -> None:
    bench.lay(world := dense(100_000))
    bench.compare(world)
    bench.lay(world := dense(20_000))
    bench.strategies(world)
    bench.lay(world := sparse(1_000_000, 10_000))
    bench.strategies(world)
    bench.lay(world := World(25_000, 20_000, 5_000))
    bench.ask(world)
    bench.purge(world)
    for shape in ("flat", "hashed", "skewed"):
        bench.lay_marked(world := dense(100_000, shape))
        bench.compare(world, COMPILED, repetitions=1)
    bench.latencies(world, (20, 80))


def full(bench: Bench) -> None:
    bench.lay(world := dense(100_000))
    bench.compare(world, repetitions=2)
    bench.lay(world := dense(20_000))
    bench.strategies(world)
    for one_in in (10_000, 1_000, 100, 30):
        bench.lay(world := sparse(1_000_000, one_in))
        bench.strategies(world)
    bench.lay(world := World(25_000, 20_000, 5_000))
    bench.ask(world)
    bench.purge(world)
    bench.lay_marked(world := dense(1_000_000))
    bench.compare(world)
    bench.latencies(world, (0, 20, 80))
    for shape in ("flat", "hashed", "skewed"):
        bench.lay_marked(world := dense(1_000_000, shape))
        bench.compare(world, COMPILED, repetitions=1)
    bench.lay_marked(world := dense(10_000_000))
    bench.compare(world, (FLOOR,), repetitions=2)


PLANS: dict[str, tuple[Callable[[Bench], None], int, float]] = {
    "small": (small, 3, 60.0),
    "full": (full, 3, 60.0),
}


def say(text: str) -> None:
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure imagesync and its peers on the same work.")
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("--kept", action="store_true", help="measure nothing; write what was measured before")
    options = parser.parse_args(arguments)
    kept = Kept.load(options.plan) if options.kept else measured(options.plan)
    if kept.disagreement or (kept.unfinished and not options.kept):
        say(kept.disagreement or f"The run was {kept.unfinished}. --kept writes what was measured.")
        return 1
    report.write(kept.name, kept.machine, kept.figures, {**kept.left_out, **_lacking(kept)})
    return 0


def measured(name: str) -> Kept:
    # ended from outside, it drops its database and stops its server all the same
    signal.signal(signal.SIGTERM, _interrupt)
    measures, repetitions, patience = PLANS[name]
    with place() as here:
        kept = Kept(name, report.machine(here.database_url))
        try:
            measures(Bench(here, kept, repetitions, patience))
            kept.unfinished = ""
        except Disagreement as error:
            kept.disagreement = str(error)
        except subprocess.SubprocessError as error:
            say(told_error(error))
            kept.unfinished = "ended by a process that failed"
        finally:
            kept.save()
    return kept


def _lacking(kept: Kept) -> dict[str, str]:
    return {"what is not in the tables": f"the run was {kept.unfinished}"} if kept.unfinished else {}


def _interrupt(*_signal: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
