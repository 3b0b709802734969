"""Each line about an audit or a purge has its number, in the text and beside it; and none a key or a secret."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from imagesync import logs, tasks
from imagesync.audit import carry_out, open_audit, resume_audit
from imagesync.audit.control import cancel_audit, pause_audit
from imagesync.core.progress import Progress
from imagesync.models import Audit, Image, Job
from imagesync.purge.execute import execute_plan
from imagesync.purge.restore import execute_restore, restorable
from imagesync.records import Scope
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, plan

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in PLAIN}


def test_events__a_whole_story_with_its_numbers_and_no_key(
    memory_source: MakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="imagesync")
    store, source = memory_source()
    make_images("secret-key/a.jpg", "secret-key/b.jpg", "secret-key/c.jpg")
    store.put("secret-key/a.jpg")
    store.put("secret-key/b.jpg")
    audit = audited(source)
    refused = plan(source, max_delete=0)
    purge = execute_plan(plan(source), source)
    execute_restore(purge, restorable(purge), restored_by="test")

    ours = [record for record in caplog.records if record.name.startswith("imagesync")]
    assert [extra(record)["event"] for record in ours] == [
        "audit_started",
        "audit_finished",
        "purge_refused",
        "purge_planned",
        "purge_started",
        "purge_batch",
        "purge_finished",
        "records_restored",
    ]
    for record in ours:
        facts = extra(record)
        assert facts["event"] in logs.EVENTS
        assert facts["audit"] == audit.pk
        assert facts["store"] == audit.fingerprint
        number = facts["audit"] if facts["event"].startswith("audit") else facts["purge"]
        assert (
            f"{facts['event'].split('_')[0].replace('records', 'purge')} {number} of store"
            in record.getMessage()
        )
        assert "secret-key" not in f"{record.getMessage()} {facts}"
        assert record.levelno == logging.INFO
    finished = extra(ours[1])
    assert (finished["trust"], finished["reasons"], finished["counts"]["missing"]) == ("trustworthy", [], 1)
    assert extra(ours[2])["refused"] == refused.refused["id"] == "max_delete"
    assert (extra(ours[5])["records"], extra(ours[6])["counts"]["deleted"]) == (1, 1)


class CtrlC(Progress):
    def begin(self, what: str, total: int | None = None) -> None:
        raise KeyboardInterrupt


def test_events__of_an_audit_that_is_interrupted_resumed_and_cancelled(
    memory_source: MakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="imagesync.audit")
    _store, source = memory_source()
    audit = open_audit(source, Scope())
    with pytest.raises(KeyboardInterrupt):
        carry_out(audit, source, CtrlC())
    audit.refresh_from_db()
    resume_audit(audit, source)
    pause_audit(audit)
    cancel_audit(audit)

    assert [(extra(one)["event"], extra(one)["audit"]) for one in caplog.records] == [
        ("audit_started", audit.pk),
        ("audit_interrupted", audit.pk),
        ("audit_resumed", audit.pk),
        ("audit_paused", audit.pk),
        ("audit_cancelled", audit.pk),
    ]


def test_events__of_scheduled_work_that_did_nothing(
    memory_source: MakeSource, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, logger="imagesync.tasks")
    _store, source = memory_source()
    monkeypatch.setattr(tasks, "find_sources", lambda **_options: [source])
    open_audit(source, Scope())

    tasks.check_images()
    tasks.purge_orphans()

    assert [(extra(one)["event"], extra(one)["store"], one.levelname) for one in caplog.records] == [
        ("audit_skipped", source.store.identity.fingerprint, "INFO"),
        ("purge_skipped", source.store.identity.fingerprint, "WARNING"),
    ]
    assert extra(caplog.records[1])["refused"] == "no_audit"
    assert Audit.objects.count() == 1


def test_history_and_jobs__are_told_with_their_figures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="imagesync")
    long_ago = timezone.now() - timedelta(days=1000)
    images = ContentType.objects.get_for_model(Image)
    Job.objects.create(
        kind="clear",
        state="done",
        content_type=images,
        nonce="over",
        created_at=long_ago,
        finished_at=long_ago,
    )
    waiting = Job.objects.create(kind="clear", content_type=images, nonce="waiting")

    tasks.prune_history()
    tasks.work_off(waiting.pk)

    removed, ended = [extra(record) for record in caplog.records]
    assert (removed["event"], removed["by"], removed["removed"]["jobs"]) == ("history_removed", "schedule", 1)
    assert (ended["event"], ended["job"], ended["kind"]) == ("job_ended", waiting.pk, "clear")
