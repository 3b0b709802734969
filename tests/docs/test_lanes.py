"""`make test` leaves nothing out: what one lane leaves to another is run there."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from tests.everything import LEFT_TO_POSTGRES, LEFT_TO_SQLITE, PROCESSES, ROOT, sqlite_lanes

NAMES = sorted(file.stem.removeprefix("test_") for file in (ROOT / "tests" / "django").glob("test_*.py"))


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@pytest.mark.parametrize("name", NAMES)
def test_lanes__run_each_file_on_one_database_at_least(name: str) -> None:
    lanes = (
        is_one_of(name, PROCESSES),
        not is_one_of(name, (*LEFT_TO_SQLITE, *PROCESSES)),
        not is_one_of(name, (*LEFT_TO_POSTGRES, *PROCESSES)),
    )

    assert any(lanes)


@pytest.mark.parametrize("pattern", [*LEFT_TO_POSTGRES, *LEFT_TO_SQLITE, *PROCESSES])
def test_lanes__name_what_there_is(pattern: str) -> None:
    assert any(fnmatch(name, pattern) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_lanes__of_sqlite_are_two_halves(name: str) -> None:
    file = f"tests/django/test_{name}.py"
    runs = [
        not any(fnmatch(f"--ignore-glob={file}", argument) for argument in lane.command)
        for lane in sqlite_lanes()
    ]

    assert sum(runs) == (0 if is_one_of(name, (*PROCESSES, *LEFT_TO_POSTGRES)) else 1)
