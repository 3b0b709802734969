"""Signals: after the commit, in batches, and no receiver breaks what it is told of. A veto is a rail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from imagesync import signals
from imagesync.audit import carry_out, clear_marks, open_audit
from imagesync.core.verdicts import Evidence
from imagesync.models import Audit, Finding, Image, Tombstone
from imagesync.purge import taking
from imagesync.purge.execute import execute_plan
from imagesync.purge.restore import execute_restore, preview_restore, restorable
from imagesync.records import Scope
from imagesync.signals import PurgedRecord, VerdictChange, Veto
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, plan, run, verdicts
from tests.testapp.models import Document

Listen = Callable[..., list[dict[str, Any]]]

pytestmark = pytest.mark.django_db
COMMITS = pytest.mark.django_db(transaction=True)


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Connect a receiver that notes what it is told, then answers, or raises what it is given."""
    connected: list[tuple[Any, Any]] = []

    def connect(
        signal: Any, answer: Any = None, *, raises: Exception | None = None, sender: Any = None
    ) -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []

        def listener(signal: Any, **told: Any) -> Any:
            heard.append(told)
            if raises is not None:
                raise raises
            return answer

        signal.connect(listener, weak=False, sender=sender)
        connected.append((signal, listener))
        return heard

    yield connect
    for signal, listener in connected:
        for sender in (None, Image, Document):
            signal.disconnect(listener, sender=sender)


def label(name: str) -> str:
    return f"imagesync.Image:{Image.objects.get(file=name).pk}"


def changes(heard: list[dict[str, Any]]) -> set[VerdictChange]:
    return {change for told in heard for change in told["changes"]}


@COMMITS
def test_audit_finished__is_told_once_of_each_audit(four_of_seven: Any, listen: Listen) -> None:
    store, source = four_of_seven
    heard = listen(signals.audit_finished)

    audit = audited(source)
    assert [told["audit"].pk for told in heard] == [audit.pk]
    assert heard[0]["sender"] is Audit

    store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=404, code="404"))
    assert audited(source).trust == "untrustworthy"
    assert len(heard) == 2


@COMMITS
def test_verdicts_changed__names_each_record_with_its_old_and_new_verdict(
    four_of_seven: Any, listen: Listen
) -> None:
    store, source = four_of_seven
    heard = listen(signals.verdicts_changed)

    audit = audited(source)

    expected = {
        VerdictChange(label(name), "unchecked", "present") for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    }
    expected |= {VerdictChange(label(name), "unchecked", "missing") for name in ("x.jpg", "y.jpg", "z.jpg")}
    assert changes(heard) == expected
    assert len(heard) == 2, "one batch for what is present, one for what was settled as missing"
    assert {(told["sender"], told["audit"].pk) for told in heard} == {(Image, audit.pk)}
    heard.clear()

    store.put("x.jpg")
    audited(source)
    assert changes(heard) == {VerdictChange(label("x.jpg"), "missing", "present")}


def test_verdicts_changed__unchanged_rows_cost_no_query(four_of_seven: Any, listen: Listen) -> None:
    _store, source = four_of_seven
    audited(source)
    with CaptureQueriesContext(connection) as unheard:
        audited(source)

    heard = listen(signals.verdicts_changed)
    with CaptureQueriesContext(connection) as listened:
        audited(source)

    assert heard == []
    assert len(listened) == len(unheard)


@COMMITS
def test_verdicts_changed__many_records_come_in_few_batches(
    memory_source: MakeSource, listen: Listen
) -> None:
    _store, source = memory_source()
    make_images(*(f"{number:05}.jpg" for number in range(1200)))
    heard = listen(signals.verdicts_changed)

    audited(source)

    assert sum(len(told["changes"]) for told in heard) == len(changes(heard)) == 1200
    assert len(heard) == 3


@COMMITS
def test_verdicts_changed__a_mark_that_is_cleared_is_told_too(four_of_seven: Any, listen: Listen) -> None:
    _store, source = four_of_seven
    audited(source)
    heard = listen(signals.verdicts_changed, sender=Image)

    list(clear_marks(source, Scope()))

    assert changes(heard) == {
        VerdictChange(label(name), "missing", "unchecked") for name in ("x.jpg", "y.jpg", "z.jpg")
    }
    assert heard[0]["audit"] is None


def test_verdicts_changed__a_receiver_of_another_model_hears_nothing(
    four_of_seven: Any, listen: Listen
) -> None:
    _store, source = four_of_seven
    heard = listen(signals.verdicts_changed, sender=Document)

    audited(source)

    assert heard == []


def test_nothing_is_told_of_what_is_rolled_back(four_of_seven: Any, listen: Listen) -> None:
    _store, source = four_of_seven
    finished, changed = listen(signals.audit_finished), listen(signals.verdicts_changed)

    with transaction.atomic():
        audited(source)
        assert (finished, changed) == ([], [])
        transaction.set_rollback(True)

    assert (finished, changed) == ([], [])
    assert not Audit.objects.exists()


@COMMITS
def test_receivers_that_raise_break_no_audit_no_purge_and_no_restore(
    four_of_seven: Any, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    _store, source = four_of_seven
    names = ("audit_finished", "verdicts_changed", "purged", "restored")
    for name in names:
        listen(signals.SIGNALS[name], raises=DatabaseError(f"{name} is broken"))
    heard = listen(signals.audit_finished)

    audited(source)
    purge = execute_plan(plan(source), source)
    outcome = execute_restore(purge, restorable(purge), restored_by="test")

    assert (purge.state, purge.counts["deleted"], len(outcome.records)) == ("done", 3, 3)
    assert set(verdicts().values()) == {"present", "unchecked"}
    assert len(heard) == 1, "the others are told all the same"
    for name in names:
        assert f"{name} is broken" in caplog.text


@COMMITS
def test_purged_and_restored__name_what_went_and_what_came_back(four_of_seven: Any, listen: Listen) -> None:
    _store, source = four_of_seven
    audited(source)
    gone = {PurgedRecord(label(f"{one}.jpg"), "file", f"{one}.jpg", "delete") for one in "xyz"}
    went, back = listen(signals.purged), listen(signals.restored)

    purge = execute_plan(plan(source), source)
    assert [set(told["records"]) for told in went] == [gone]
    assert went[0]["purge"].pk == purge.pk
    preview_restore(purge, restorable(purge))
    assert back == []
    execute_restore(purge, restorable(purge), restored_by="test")

    assert [set(told["records"]) for told in back] == [gone]
    assert len(went) == 1


@COMMITS
def test_purged__is_not_told_of_a_batch_that_the_database_refused(
    four_of_seven: Any, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = four_of_seven
    audited(source)
    heard = listen(signals.purged)
    write = taking.write_tombstones

    def refuse(stones: list[dict[str, Any]]) -> None:
        write(stones)
        if "y.jpg" in {stone["key"] for stone in stones}:
            raise IntegrityError("a deferred constraint")

    monkeypatch.setattr(taking, "write_tombstones", refuse)
    purge = execute_plan(plan(source), source)

    told = {record.key for one in heard for record in one["records"]}
    assert told == {"x.jpg", "z.jpg"} == set(Tombstone.objects.values_list("key", flat=True))
    assert purge.counts["deleted"] == 2


VETO = Veto("the bucket is being migrated.", "Wait for the end of it.")


@pytest.mark.parametrize("said", [{"answer": VETO}, {"raises": VETO}], ids=["returned", "raised"])
def test_purge_planned__a_veto_refuses_the_plan(
    four_of_seven: Any, listen: Listen, said: dict[str, Any]
) -> None:
    _store, source = four_of_seven
    audited(source)
    listen(signals.purge_planned, raises=RuntimeError("password=hunter2"))
    heard = listen(signals.purge_planned, **said)

    purge = plan(source)

    [told] = heard
    assert {one.key for one in told["plan"].go} == {"x.jpg", "y.jpg", "z.jpg"}
    assert (told["unattended"], told["audit"].pk) == (False, purge.audit_id)
    assert (purge.state, purge.refused["id"]) == ("refused", "vetoed")
    assert "the bucket is being migrated." in purge.refused["fact"]
    assert "test_signals" in purge.refused["fact"]
    assert purge.refused["hint"] == "Wait for the end of it."
    assert Image.objects.count() == 7


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"raises": RuntimeError("password=hunter2")}, "raised RuntimeError"),
        ({"answer": False}, "answered with bool"),
        ({"answer": "hunter2"}, "answered with str"),
    ],
)
def test_purge_planned__whatever_is_no_clear_yes_refuses(
    four_of_seven: Any, listen: Listen, said: dict[str, Any], told: str
) -> None:
    _store, source = four_of_seven
    audited(source)
    listen(signals.purge_planned, **said)

    purge = plan(source)

    assert (purge.state, purge.refused["id"]) == ("refused", "receiver_failed")
    assert told in purge.refused["fact"]
    assert "hunter2" not in str(purge.refused)


def test_purge_planned__none_agrees_and_the_command_obeys_a_veto(
    four_of_seven: Any, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = four_of_seven
    audited(source)
    heard = listen(signals.purge_planned)
    assert plan(source).state == "planned"
    assert len(heard) == 1
    monkeypatch.setattr("imagesync.management.commands.purge_orphans.find_sources", lambda **_: [source])
    listen(signals.purge_planned, VETO)

    code, _out, err = run("purge_orphans", "--no-input")

    assert code == 4
    assert "vetoes this purge: the bucket is being migrated." in err
    assert Image.objects.count() == 7


def test_purge_planned__is_not_asked_of_an_empty_plan_nor_of_one_that_a_rail_refuses(
    four_of_seven: Any, listen: Listen
) -> None:
    store, source = four_of_seven
    audited(source)
    heard = listen(signals.purge_planned, VETO)

    assert plan(source, max_delete=1).refused["id"] == "max_delete"
    for key in ("x.jpg", "y.jpg", "z.jpg"):
        store.put(key)
    carry_out(open_audit(source, Scope()), source)
    assert plan(source).state == "planned"

    assert heard == []
    assert not Finding.objects.open().exists()
