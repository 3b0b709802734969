"""Keys sorted on disk come out as ``sorted`` would have them, and leave nothing behind."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagesync.exceptions import AlreadyRunning, NotSorted
from imagesync.storage import spool as spool_module
from imagesync.storage.spool import SortedSpool

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.tuples(st.one_of(KEYS, st.sampled_from(["a", "b", "a/b", "\0", "é"])), st.integers(-9, 9)))


def by_bytes(key: str) -> bytes:
    return key.encode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@settings(max_examples=150, deadline=None)
@given(pages=st.lists(ROWS, max_size=4))
@example(pages=[[("\U0001f600", 1), ("\uffff", 2), ("", 3), ("a\0b", 4), ("a", 5)]])
def test_ordered__is_sorted_by_the_keys_bytes_then_by_the_next_column(
    pages: list[list[tuple[str, int]]],
) -> None:
    rows = [row for page in pages for row in page]
    with SortedSpool(columns=1) as spool:
        for page in pages:
            spool.add(page)
        spool.sort()

        ordered = sorted(rows, key=lambda row: (by_bytes(row[0]), row[1]))
        assert list(spool.ordered()) == ordered
        for first, end in ((name, other) for name, _number in ordered for other, _number in ordered):
            inside = [row for row in ordered if by_bytes(first) <= by_bytes(row[0]) < by_bytes(end)]
            assert list(spool.ordered(first, end)) == inside


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, behind=KEYS, number=st.integers(1, 5))
def test_behind__walks_every_key_once(rows: list[tuple[str, int]], behind: str, number: int) -> None:
    expected = [
        key for key in sorted({row[0] for row in rows}, key=by_bytes) if by_bytes(key) > by_bytes(behind)
    ]
    with SortedSpool(columns=1) as spool:
        spool.add(rows)
        spool.sort()
        walked: list[tuple[str, int]] = []
        while page := spool.behind(walked[-1][0] if walked else behind, number):
            assert len(page) <= number
            walked += page

    assert [key for key, _value in walked] == expected
    assert set(walked) <= set(rows)  # each with a value that it had


def test_columns__come_back_as_they_were() -> None:
    rows: list[tuple[Any, ...]] = [("a", None, "", "GLACIER"), ("b", 10**17, "é", "\0"), ("", -1, "e", "")]
    with SortedSpool(columns=3) as spool:
        spool.add(rows)
        spool.sort()

        assert list(spool.ordered()) == sorted(rows)


@pytest.mark.parametrize("key", ["\ud800", "a\udfff"])
def test_add__a_lone_surrogate_has_no_bytes(key: str, folder: Path) -> None:
    with pytest.raises(UnicodeEncodeError), SortedSpool() as spool:
        spool.add([("a",), (key,)])

    assert not list(folder.iterdir())


def test_folder__is_there_while_it_is_needed(folder: Path) -> None:
    with SortedSpool() as spool:
        assert [one.name.startswith("imagesync-") for one in folder.iterdir()] == [True]
        spool.add([("a",)])
        assert [(row,) for row in spool.behind("", 1)] == [(("a",),)]

    assert not list(folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, GeneratorExit])
def test_folder__is_gone_after_an_exception_in_the_middle(error: type[BaseException], folder: Path) -> None:
    def interrupted() -> None:
        with SortedSpool(columns=1) as spool:
            spool.add((str(number), number) for number in range(1000))
            spool.sort()
            next(spool.ordered())
            raise error

    with pytest.raises(error):
        interrupted()

    assert not list(folder.iterdir())


def test_sort__beats_meanwhile_and_ends_with_what_the_beat_raises(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "STEPS_BETWEEN_BEATS", 1000)
    beats: list[int] = []

    def lost() -> None:
        beats.append(1)
        if len(beats) == 3:
            raise AlreadyRunning("another process took over")

    with SortedSpool() as spool:
        spool.add((f"{number}",) for number in range(10_000))
        with pytest.raises(AlreadyRunning):
            spool.sort(lost)

    assert len(beats) == 3
    assert not list(folder.iterdir())


# --- a disk that is full ------------------------------------------------------------------------------------


def small(spool: SortedSpool, pages: int = 40) -> SortedSpool:
    """As on a disk with room for so many pages of 4 KiB: SQLite says the same of both."""
    spool._database.execute(f"PRAGMA max_page_count = {pages}")
    return spool


def rows(number: int) -> Iterator[tuple[str]]:
    return ((f"{one:0100}",) for one in range(number))


def test_disk__full_while_rows_come(folder: Path) -> None:
    with (
        pytest.raises(NotSorted, match=r"database or disk is full.*TMPDIR") as caught,
        SortedSpool() as spool,
    ):
        small(spool).add(rows(10_000))

    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert not list(folder.iterdir())


def test_disk__full_while_it_sorts(folder: Path) -> None:
    with SortedSpool() as spool:
        spool.add(rows(1000))
        (pages,) = spool._database.execute("PRAGMA page_count").fetchone()
        with pytest.raises(NotSorted, match="full"):
            small(spool, pages + 2).sort()

    assert not list(folder.iterdir())


def test_disk__without_room_for_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any, **_options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)

    with pytest.raises(NotSorted, match="No space left on device"), SortedSpool():
        pass


def test_disk__without_room_for_a_file_leaves_no_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_options: Any) -> Any:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", full)

    with pytest.raises(NotSorted, match="unable to open database file"), SortedSpool():
        pass

    assert not list(folder.iterdir())
