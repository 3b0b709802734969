"""The harness at a tiny size: all sides find the same keys missing, and one that does not ends the run.

Nothing here looks at a time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import harness, report
from benchmarks.harness import Bench, Kept
from benchmarks.measured import run
from benchmarks.place import Place, place
from benchmarks.plot import plot
from benchmarks.sides import FLOOR, OURS, PEERS, Disagreement, agree, available, figure, ours, peer
from benchmarks.world import World

WORLD = World(records=1_100, objects=1_070, missing=30)


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    with place() as found:
        yield found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Instead of the var/ of the project."""
    monkeypatch.setattr(harness, "VAR", tmp_path)
    return tmp_path


def bench_at(here: Place) -> Bench:
    return Bench(here, Kept("small", "a machine"), repetitions=1, patience=60)


def test_sides__find_the_same_keys_missing(here: Place) -> None:
    bench = bench_at(here)

    here.lay(WORLD)
    bench.compare(WORLD)

    measured = {one.side for one in bench.kept.figures}
    assert measured == {OURS, FLOOR, *(side for side in PEERS if not available(side))}
    assert all(len(one.values) == 1 and one.peak_bytes for one in bench.kept.figures)
    made = report.text("small", "a machine", bench.kept.figures, bench.kept.left_out)
    assert "| boto3 paginator, set | " in made
    assert "</svg>" in plot(bench.kept.figures)
    if bench.kept.left_out:
        pytest.skip(f"the others agree; left out: {bench.kept.left_out}")


def test_asking_and_purging__find_what_is_gone(here: Place) -> None:
    bench = bench_at(here)
    here.lay(world := World(records=400, objects=350, missing=100))

    bench.ask(world, hows=["get"], threads=[8])
    bench.purge(world)

    assert [one.side for one in bench.kept.figures] == [f"{OURS}, get", "boto3, get", OURS]
    assert all(one.best > 0 for one in bench.kept.figures)


def test_strategies__are_told_apart_by_the_requests_that_the_server_counted(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "startup", lambda: 0.5)  # measured once is enough here
    bench = bench_at(here)
    here.lay(world := World(records=100, objects=20_000, missing=1))

    bench.strategies(world)

    requests = {one.side: one.requests for one in bench.kept.figures if one.experiment == "strategy"}
    assert requests["list"]["LIST"] >= 20
    assert requests["head"]["HEAD"] >= 100


def test_latencies__each_number_of_workers_has_its_row(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "startup", lambda: 0.5)  # measured once is enough here
    bench = bench_at(here)
    here.lay(WORLD)

    bench.latencies(WORLD, (3,), [FLOOR])

    made = report.text("small", "a machine", bench.kept.figures, {})
    assert [(one.side, one.workers) for one in bench.kept.figures] == [(OURS, 1), (OURS, 16), (FLOOR, 0)]
    assert made.count("| 3 ms |") == 3


@pytest.mark.parametrize("found", [[], ["a"], ["a", "b", "c"], ["a", "b", "b"], ["a", "c"]])
def test_agree__a_side_that_finds_something_else_ends_the_run(found: list[str]) -> None:
    with pytest.raises(Disagreement, match="some side"):
        agree("some side", found, {"a", "b"})


def test_sides__a_record_that_nobody_expects_to_be_gone_ends_the_run(here: Place) -> None:
    here.lay(WORLD)
    here.gone = set(list(here.gone)[1:])
    another = "head-1" if available("s5cmd") else "s5cmd"

    with here.serving() as server:
        for measure in (ours(here), peer(here, another)):
            with pytest.raises(Disagreement):
                measure(server)


def test_run__tells_the_memory_of_all_that_a_process_started() -> None:
    hold = "b'x' * 60_000_000; import time; time.sleep(0.3)"
    child = [sys.executable, "-c", f"held = {hold}"]

    alone = run(child, os.environ, deadline=30)
    both = run(
        [sys.executable, "-c", f"import subprocess; held = b'x' * 60_000_000; subprocess.run({child!r})"],
        os.environ,
        deadline=30,
    )

    assert 60e6 < alone.peak_bytes < 90e6
    assert 120e6 < both.peak_bytes < 180e6


def test_run__counts_no_process_that_still_shares_its_parents_memory() -> None:
    script = "import os, time; held = b'x' * 60_000_000; os.fork(); time.sleep(0.3)"

    assert run([sys.executable, "-c", script], os.environ, deadline=30).peak_bytes < 90e6


def test_run__a_process_beyond_its_deadline_is_ended_with_what_it_started(tmp_path: Path) -> None:
    sign = tmp_path / "alive"
    script = f"(sleep 1; touch {sign}) & sleep 60"

    with pytest.raises(subprocess.TimeoutExpired):
        run(["bash", "-c", script], os.environ, deadline=0.2)

    with pytest.raises(subprocess.TimeoutExpired):
        run(["sleep", "60"], os.environ, deadline=1.2)
    assert not sign.exists()


def test_figure__names_its_work() -> None:
    assert figure("sides", OURS, World(1_000_000, 999_900, 100)).work == World(1_000_000, 999_900, 0).name


@pytest.mark.parametrize("plan", harness.PLANS)
def test_readme__takes_a_plans_tables_and_keeps_the_rest(plan: str) -> None:
    readme = report.README.read_text()

    once = report.with_tables(readme, plan, "| a table |")

    assert once.count("| a table |") == 1
    assert report.with_tables(once, plan, "| another |") == once.replace("| a table |", "| another |")
    hand_written = readme.split("<!--")[0]
    assert "make bench-full" in hand_written
    assert once.startswith(hand_written)
    assert [line for line in once.splitlines() if line.startswith("<!--")] == [
        line for line in readme.splitlines() if line.startswith("<!--")
    ]


@pytest.fixture
def readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy to write into."""
    copy = folder / "README.md"
    copy.write_text(report.README.read_text())
    monkeypatch.setattr(report, "README", copy)
    monkeypatch.setattr(report, "HERE", folder)
    handler = signal.getsignal(signal.SIGTERM)
    yield copy
    signal.signal(signal.SIGTERM, handler)


FOUND = [figure("sides", side, WORLD, values=[1.5]) for side in (OURS, "head-1", FLOOR)]


def play(plan: Callable[[Bench], None], here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "place", lambda: nullcontext(here))
    monkeypatch.setattr(harness, "PLANS", {"small": (plan, 1, 60.0)})


@pytest.mark.parametrize("agreeing", [True, False])
def test_main__writes_tables_only_when_the_sides_agree_and_keeps_the_figures(
    here: Place, agreeing: bool, readme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(bench: Bench) -> None:
        for one in FOUND:
            bench.kept.add(one)
        if not agreeing:
            agree("some side", [], {"a"})

    before = readme.read_text()
    play(plan, here, monkeypatch)

    for arguments in (["small"], ["small", "--kept"]):
        assert harness.main(arguments) == (0 if agreeing else 1)
        assert (readme.read_text() != before) == agreeing
    assert Kept.load("small").figures == FOUND
    assert (readme.parent / "small.svg").exists() == agreeing


def test_main__that_is_broken_off_keeps_what_was_measured(
    here: Place, readme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(bench: Bench) -> None:
        bench.kept.add(FOUND[0])
        bench.kept.add(FOUND[1])
        bench.kept.add(FOUND[0])
        os.kill(os.getpid(), signal.SIGTERM)

    before = readme.read_text()
    play(plan, here, monkeypatch)

    with pytest.raises(KeyboardInterrupt):
        harness.main(["small"])
    assert readme.read_text() == before

    assert harness.main(["small", "--kept"]) == 0
    assert "the run was broken off" in readme.read_text()
    assert Kept.load("small").figures == FOUND[:2]


def test_main__of_a_side_that_fails_keeps_what_was_measured(
    here: Place, readme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(bench: Bench) -> None:
        bench.kept.add(FOUND[0])
        run(["false"], os.environ, deadline=30)

    before = readme.read_text()
    play(plan, here, monkeypatch)

    assert harness.main(["small"]) == 1
    assert readme.read_text() == before
    assert harness.main(["small", "--kept"]) == 0
    assert "ended by a process that failed" in readme.read_text()


def test_targets__are_told_for_every_line_of_the_issue() -> None:
    million, ten_million = (World(size, size, 100) for size in (1_000_000, 10_000_000))
    figures = [
        *(figure("sides", side, million, values=[5.0], peak_bytes=110_000_000) for side in (OURS, *PEERS, FLOOR)),
        figure("sides", OURS, ten_million, values=[50.0], peak_bytes=115_000_000),
        *(figure("latency", OURS, million, latency_ms=80, workers=workers, values=[9.0]) for workers in (1, 16)),
        *(figure("strategy", name, million, requests={"LIST": 1000}) for name in ("auto", "list", "head")),
        figure("purge", OURS, million, unit="/s", values=[3_500.0]),
        *(figure("asking", f"{who}, get", million, unit="/s", workers=1, values=[900.0]) for who in (OURS, "boto3")),
    ]  # fmt: skip

    told = {one.what: (one.measured, one.target, one.told) for one in report.targets(figures)}

    assert told == {
        **{report.TITLES[side]: ("1.0x", f"≥ {least:g}x", "**no**") for side, least in report.RATIOS.items()},
        "imagesync against the floor": ("1.00x", "≤ 2x", "yes"),
        "peak memory": ("115 MB", "≤ 120 MB", "yes"),
        "peak memory, growth": ("+4.5%", "< 10 %", "yes"),
        "80 ms: 16 workers against 1": ("1.0x", "≥ 12x", "**no**"),
        "request cost, auto against the better of list and head": ("1.00x", "≤ 1.3x", "yes"),
        "records purged": ("3,500/s", "≥ 3,000/s", "yes"),
        "ranged GETs a second, against boto3": ("1.0x", "≥ 4x", "**no**"),
    }
