"""One S3 for all tests, what an undisturbed audit finds in it, and the table of faults at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from benchmarks.place import free_port, serving
from benchmarks.server import write_bucket
from imagesync.audit import carry_out, claim, open_audit
from imagesync.models import Audit, Image
from imagesync.records import Scope, find_sources
from tests.cluster.place import (
    EVERY,
    LATENCY_MS,
    LEAST_RECORDS,
    RECORDS,
    SMALL,
    Found,
    found_by,
    fresh_world,
    locks,
    objects,
    storages,
)
from tests.conftest import forget_default_storage

ROWS: list[tuple[str, str, str, float]] = []
UNDISTURBED: list[Found] = []

Row = Callable[..., None]


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("bucket")
    write_bucket(folder, objects())
    with serving(folder, port=free_port(), latency_ms=LATENCY_MS) as server:
        yield server.port


@pytest.fixture
def world(transactional_db: None, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    """What an undisturbed audit in one process finds; the records are as before it."""
    if connection.vendor != "postgresql":
        pytest.skip("clusters are shown on PostgreSQL: TEST_DATABASE=postgres")
    monkeypatch.setattr(claim, "LEAST_RECORDS", LEAST_RECORDS)
    with override_settings(STORAGES=storages(port), IMAGESYNC=SMALL):
        forget_default_storage()
        if not UNDISTURBED:
            fresh_world()
            with override_settings(IMAGESYNC={}):
                [source] = find_sources()
                UNDISTURBED.append(found_by(carry_out(open_audit(source, Scope()), source)))
        fresh_world()
        yield UNDISTURBED[0]
    forget_default_storage()


@pytest.fixture
def row(world: Found) -> Row:
    """Add a fault to the table, once what was found is what it should be."""
    began = [time.monotonic()]

    def add(fault: str, done: str, audit: Audit) -> None:
        audit.refresh_from_db()
        assert (audit.state, audit.trust) == (
            "finished",
            "degraded" if audit.counts["unknown"] else "trustworthy",
        )
        assert found_by(audit) == world
        assert audit.counts["records"] == RECORDS + 2
        assert audit.counts["missing"] == RECORDS // EVERY
        assert Image.objects.filter(verdict="missing").count() == RECORDS // EVERY
        assert Image.objects.filter(verdict="present").count() == RECORDS - RECORDS // EVERY
        assert not audit.ranges.exclude(state="done").exists()
        assert locks() == 0
        ROWS.append((fault, done, f"{len(world)} findings, the same", time.monotonic() - began[0]))
        began[0] = time.monotonic()

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if ROWS:
        terminalreporter.section("faults of workers")
        terminalreporter.write_line(f"{'fault':<48}{'what was done':<58}{'found':<30}seconds")
        for fault, done, found, seconds in ROWS:
            terminalreporter.write_line(f"{fault:<48}{done:<58}{found:<30}{seconds:6.1f}")
