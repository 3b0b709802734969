"""Records that a thread of its own reads: over the caller's connection, so that it sees what the caller sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from imagesync.audit import carry_out, open_audit
from imagesync.audit.reading import ReadingAtOnce, ReadingBeside, reading_of
from imagesync.models import Audit, Image
from imagesync.records import Chunk, RecordChunks, Scope, Source
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images

SECONDS = 20
on_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite is read by the thread that asks"
)


@pytest.mark.django_db
def test_reading_of__each_database_is_the_one_that_suits_it(memory_source: MakeSource) -> None:
    _store, source = memory_source()

    with reading_of(source) as reading:
        kind = type(reading)

    assert kind is (ReadingBeside if connection.vendor == "postgresql" else ReadingAtOnce)
    assert not connection.allow_thread_sharing


@pytest.mark.django_db
def test_reading__gives_the_chunks_that_there_are(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images(*(f"{number:02}.jpg" for number in range(25)))
    chunks = RecordChunks(source, Scope(), size=10)

    with reading_of(source) as reading:
        iterator = chunks.between()
        read = []
        while (chunk := result_of(reading.next_of(iterator))) is not None:
            read += chunk.keys
        again = result_of(reading.next_of(iterator))

    assert read == [key for chunk in chunks.between() for key in chunk.keys]
    assert len(read) == 25
    assert again is None


@pytest.mark.django_db
def test_audit__in_an_open_transaction_sees_what_is_in_it(memory_source: MakeSource) -> None:
    store, source = memory_source()
    with transaction.atomic():
        make_images("here.jpg", "gone.jpg")
        store.put("here.jpg")

        audit = audited(source)

    assert (audit.counts["present"], audit.counts["missing"]) == (1, 1)


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_audit__sees_the_tables_that_its_connection_sees(memory_source: MakeSource) -> None:
    """As where each tenant has a schema of its own, which the connection alone knows."""
    store, source = memory_source()
    make_images("of-another-tenant.jpg")
    store.put("ours.jpg")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE imagesync_image (LIKE imagesync_image INCLUDING ALL)")
    try:
        make_images("ours.jpg")

        audit = audited(source)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE pg_temp.imagesync_image")

    assert audit.trust == "trustworthy"
    assert (audit.counts["records"], audit.counts["present"]) == (1, 1)
    assert [one.file.name for one in Image.objects.all()] == ["of-another-tenant.jpg"]


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_audit__whose_connection_breaks_while_it_reads_can_be_resumed(
    memory_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = memory_source()
    make_images(*(f"{number:02}.jpg" for number in range(40)))
    store.put("07.jpg")
    monkeypatch.setattr("imagesync.records.keyset._run", once_broken())
    audit = open_audit(source, Scope())

    with pytest.raises(OperationalError):
        carry_out(audit, source)
    connection.close()
    audit = Audit.objects.get(pk=audit.pk)
    Audit.objects.filter(pk=audit.pk).update(state="interrupted", lease_owner="")
    resumed = audited(source)

    assert not audit.complete
    assert (resumed.counts["present"], resumed.counts["missing"]) == (1, 39)
    assert reading_threads() == []


@on_postgres
@pytest.mark.django_db
def test_reading_beside__waits_for_who_writes_and_is_idle_when_all_is_read(memory_source: MakeSource) -> None:
    _store, source = memory_source()
    make_images("a.jpg")

    with reading_of(source) as reading:
        assert reading.is_idle
        with reading.alone():
            answer = reading.next_of(RecordChunks(source, Scope()).between())
            assert not answer.is_here
            assert not reading.is_idle
        chunk = result_of(answer)

    assert chunk is not None
    assert chunk.keys == ["a.jpg"]


@on_postgres
@pytest.mark.django_db
def test_reading_beside__leaves_nothing_behind_when_it_is_broken_off(memory_source: MakeSource) -> None:
    _store, source = memory_source()

    with pytest.raises(KeyboardInterrupt):
        break_off(source)

    assert reading_threads() == []
    assert not connection.allow_thread_sharing


def break_off(source: Source) -> None:
    with reading_of(source) as reading, reading.alone():
        reading.next_of(RecordChunks(source, Scope()).between())
        assert len(reading_threads()) == 1
        raise KeyboardInterrupt


def reading_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("imagesync-read")]


def once_broken() -> Callable[..., Any]:
    """As if the server had ended the session in the middle."""
    from imagesync.records.keyset import _run

    broken: list[bool] = []

    def run(using: str, *statement: Any) -> Any:
        if not broken:
            broken.append(True)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(end_session, connection.connection.info.backend_pid).result()
        return _run(using, *statement)

    return run


def end_session(pid: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        connection.close()


def result_of(answer: Any) -> Chunk | None:
    is_here = threading.Event()
    answer.when_here(is_here.set)
    assert is_here.wait(SECONDS)
    found: Chunk | None = answer.result()
    return found
