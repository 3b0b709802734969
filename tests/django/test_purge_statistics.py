"""A large purge does not depend on what the database's planner happens to know of the findings."""

from __future__ import annotations

import pytest
from django.db import connection

from imagesync.models import Finding
from imagesync.purge import execute as execution
from imagesync.purge.execute import execute_plan
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.django.helpers import audited, plan

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL keeps statistics"),
]


@pytest.mark.parametrize(("batch", "known"), [(2, 3), (3, -1)])
def test_purge__of_more_than_one_batch_lets_the_planner_know_its_findings(
    four_of_seven: tuple[MemoryStore, Source], monkeypatch: pytest.MonkeyPatch, batch: int, known: int
) -> None:
    _store, source = four_of_seven
    audited(source)
    monkeypatch.setattr(execution, "BATCH", batch)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class SET reltuples = -1 WHERE oid = %s::regclass", [Finding._meta.db_table]
        )

    purge = execute_plan(plan(source), source)

    assert purge.counts["deleted"] == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [Finding._meta.db_table])
        assert cursor.fetchone() == (known,)
