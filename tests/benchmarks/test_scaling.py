"""The table of workers: what it says, and that it finds its place. Nothing here looks at a time."""

from __future__ import annotations

from benchmarks import report
from benchmarks.scaling import Timed, tables


def test_tables__tell_the_ratio_and_whether_it_is_enough() -> None:
    made = tables(
        "a machine",
        80.0,
        [
            Timed("ORM", 1, 1, 20.0, 1000),
            Timed("ORM", 2, 1, 10.0, 1000),
            Timed("Redis", 1, 1, 20.0, 1000),
            Timed("Redis", 2, 1, 16.0, 1000),
        ],
    )

    assert "| ORM | 2 | 2 | 10.00 | 100 | 2.00x |" in made
    assert "ORM, 80 ms, 1,000 records: 2.00x (target: at least 1.8x, met)" in made
    assert "Redis, 80 ms, 1,000 records: 1.25x (target: at least 1.8x, **not met**)" in made
    readme = report.with_tables(report.README.read_text(), "scaling", made)
    assert made in readme
    assert report.with_tables(readme, "scaling", made) == readme
