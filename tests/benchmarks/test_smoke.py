"""The harness at a tiny size: all sides find the same keys missing, and one that does not ends the run.

Nothing here looks at a time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import harness, report
from benchmarks.harness import Bench
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


def test_sides__find_the_same_keys_missing(here: Place) -> None:
    bench = Bench(here, repetitions=1, patience=60)

    here.lay(WORLD)
    bench.compare(WORLD)

    measured = {one.side for one in bench.figures}
    assert measured == {OURS, FLOOR, *(side for side in PEERS if not available(side))}
    assert all(len(one.values) == 1 and one.peak_bytes for one in bench.figures)
    made = report.text("small", "a machine", bench.figures, bench.left_out)
    assert "| boto3 paginator, set | " in made
    assert "</svg>" in plot(bench.figures)
    if bench.left_out:
        pytest.skip(f"the others agree; left out: {bench.left_out}")


def test_asking_and_purging__find_what_is_gone(here: Place) -> None:
    bench = Bench(here, repetitions=1, patience=60)
    here.lay(world := World(records=400, objects=350, missing=100))

    bench.ask(world, hows=["get"], threads=[8])
    bench.purge(world)

    assert [one.side for one in bench.figures] == [f"{OURS}, get", "boto3, get", OURS]
    assert all(one.best > 0 for one in bench.figures)


def test_strategies__are_told_apart_by_the_requests_that_the_server_counted(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "startup", lambda: 0.5)  # measured once is enough here
    bench = Bench(here, repetitions=1, patience=60)
    here.lay(world := World(records=100, objects=20_000, missing=1))

    bench.strategies(world)

    requests = {one.side: one.requests for one in bench.figures if one.experiment == "strategy"}
    assert requests["list"]["LIST"] >= 20
    assert requests["head"]["HEAD"] >= 100


def test_latencies__each_number_of_workers_has_its_row(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "startup", lambda: 0.5)  # measured once is enough here
    bench = Bench(here, repetitions=1, patience=60)
    here.lay(WORLD)

    bench.latencies(WORLD, (3,), [FLOOR])

    made = report.text("small", "a machine", bench.figures, {})
    assert [(one.side, one.workers) for one in bench.figures] == [(OURS, 1), (OURS, 16), (FLOOR, 0)]
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


@pytest.mark.parametrize("agreeing", [True, False])
def test_main__writes_tables_only_when_the_sides_agree_and_keeps_the_figures(
    here: Place, agreeing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(bench: Bench) -> None:
        bench.figures += [figure("sides", side, WORLD, values=[1.5]) for side in (OURS, FLOOR)]
        if not agreeing:
            agree("some side", [], {"a"})

    (tmp_path / "README.md").write_text(readme := report.README.read_text())
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(harness, "VAR", tmp_path)
    monkeypatch.setattr(harness, "place", lambda: nullcontext(here))
    monkeypatch.setattr(harness, "PLANS", {"small": (plan, 1, 60.0)})
    handler = signal.getsignal(signal.SIGTERM)
    try:
        code = harness.main(["small"])
    finally:
        signal.signal(signal.SIGTERM, handler)

    assert code == (0 if agreeing else 1)
    kept = json.loads((tmp_path / "bench-small.json").read_text())
    assert [one["side"] for one in kept["figures"]] == [OURS, FLOOR]
    assert ((tmp_path / "README.md").read_text() != readme) == agreeing
    assert (tmp_path / "small.svg").exists() == agreeing
