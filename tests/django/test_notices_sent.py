"""How news are sent: by whom, through real sockets, once, and again when that failed; and what never stands in them."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core import mail
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from django_q.models import OrmQ

from imagesync import tasks
from imagesync.models import Notice, ToldStore
from imagesync.notices import Message, decide, deliver, due_notices, send_due
from imagesync.notices import channels as the_channels
from imagesync.notices.outbox import GIVEN_UP_AFTER, SENDING, WAITS
from imagesync.records import Scope
from imagesync.reports.notices import notice_slack
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images
from tests.django.noticing import BROKEN, HOSTILE, OWN, heard, kinds, notify, tell, webhook
from tests.hook import Hook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_queue")]
COMMITS = pytest.mark.django_db(transaction=True)


@COMMITS
def test_an_audit_of_everything_tells_by_itself(three_of_six: Any) -> None:
    _store, source = three_of_six
    with notify(OWN):
        audited(source, Scope(prefix="img/"))
        assert heard == []
        audited(source)

    assert kinds() == ["breakage"]
    assert Notice.objects.get().state == "sent"


@COMMITS
def test_rolled_back__nothing_is_told(three_of_six: Any) -> None:
    _store, source = three_of_six
    with notify(OWN), transaction.atomic():
        audited(source)
        transaction.set_rollback(True)

    assert (heard, Notice.objects.count(), ToldStore.objects.count()) == ([], 0, 0)


@COMMITS
def test_channels_that_fail__break_no_audit(three_of_six: Any) -> None:
    _store, source = three_of_six
    with notify(BROKEN, "no.such.channel", OWN):
        assert audited(source).trust == "trustworthy"

    assert kinds() == ["breakage"]
    assert {one.channel: one.state for one in Notice.objects.all()} == {
        BROKEN: "waiting",
        "no.such.channel": "waiting",
        OWN: "sent",
    }


@COMMITS
def test_with_a_queue__sending_is_the_queues(
    three_of_six: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagesync.notices.outbox.has_queue", lambda: True)
    _store, source = three_of_six
    settings.IMAGESYNC = {**settings.IMAGESYNC, "NOTIFY": {"CHANNELS": [OWN, "email"]}}
    settings.ADMINS = ["operator@example.com"]
    audited(source)

    assert heard == []
    assert [(one.task["func"], one.task["kwargs"]) for one in OrmQ.objects.order_by("pk")] == [
        ("imagesync.tasks.tell", {"notice": pk})
        for pk in Notice.objects.order_by("pk").values_list("pk", flat=True)
    ]
    for one in OrmQ.objects.all():
        assert tasks.tell(**one.task["kwargs"]) == "sent"
        assert tasks.tell(**one.task["kwargs"]) == "", "a second delivery does nothing"
    assert len(heard) == 1


def test_email__goes_to_the_admins_with_one_message_id_for_all_attempts(three_of_six: Any) -> None:
    _store, source = three_of_six
    audited(source)
    with notify("email"):
        [notice] = tell()

    [sent] = mail.outbox
    assert (sent.to, sent.from_email) == (["operator@example.com"], "root@localhost")
    assert sent.subject == "[Django] Images in test-bucket: 3 more broken"
    assert sent.extra_headers["Message-ID"] == f"<{notice.document['id']}@imagesync.invalid>"
    assert "img/" in sent.body


def test_email__smtp_down_and_no_admins_are_failures_that_are_tried_again(three_of_six: Any) -> None:
    _store, source = three_of_six
    audited(source)
    now = timezone.now()
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    with notify("email"):
        with override_settings(EMAIL_BACKEND=smtp, EMAIL_HOST="127.0.0.1", EMAIL_PORT=9):
            tell(now=now)
        notice = Notice.objects.get()
        assert (notice.state, notice.attempts) == ("waiting", 1)
        assert notice.failure.startswith("ConnectionRefusedError")

        with override_settings(ADMINS=[]):
            deliver(notice.pk, now=now + timedelta(minutes=2))
        assert Notice.objects.get().failure == "ADMINS is empty, so there is nobody to send to"

        with override_settings(ADMINS=["operator@example.com"]):
            assert deliver(notice.pk, now=now + timedelta(minutes=30)) == "sent"

    assert len(mail.outbox) == 1


def test_webhook__posts_what_slack_reads(three_of_six: Any, hook: Hook) -> None:
    _store, source = three_of_six
    audited(source)
    with webhook(hook, BASE_URL="https://www.example.com"):
        [notice] = tell()

    [post] = hook.posts
    assert (post["path"], post["type"]) == ("/services/T000/hook-secret", "application/json")
    assert post["id"] == notice.document["id"]
    lines = post["body"]["text"].splitlines()
    assert lines[:2] == ["Images in test-bucket: 3 more broken", "```"]
    assert lines[-1] == notice.document["link"]
    assert [block["type"] for block in post["body"]["blocks"]] == ["section"] * 3
    assert "one_folder" in post["body"]["blocks"][1]["text"]["text"]
    assert "|Look at it>" in post["body"]["blocks"][2]["text"]["text"]
    assert Notice.objects.get().state == "sent"


def test_webhook__is_tried_again_later_each_time_with_the_same_id_and_told_once(
    three_of_six: Any, hook: Hook
) -> None:
    _store, source = three_of_six
    audited(source)
    now = timezone.now()
    hook.answers = [500, 503, 429, 404, 500, 500]
    with webhook(hook):
        tell(now=now)
        for minutes in (*WAITS, WAITS[-1]):
            notice = Notice.objects.get()
            assert (notice.state, notice.failure[:5]) == ("waiting", "HTTP ")
            assert deliver(notice.pk, now=now + timedelta(minutes=minutes) - timedelta(seconds=1)) == ""
            now += timedelta(minutes=minutes)
            deliver(notice.pk, now=now)
        assert Notice.objects.get().state == "sent"
        tell(now=now + timedelta(hours=2))

    assert len(hook.posts) == 7
    assert len(set(hook.ids)) == 1


def test_webhook__is_given_up_after_days_and_that_is_logged(
    three_of_six: Any, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    _store, source = three_of_six
    audited(source)
    now = timezone.now()
    hook.answers = [500] * 3
    with webhook(hook, OVERDUE_AFTER="365d"):
        tell(now=now)
        assert deliver(Notice.objects.get().pk, now=now + GIVEN_UP_AFTER + timedelta(hours=1)) == "given_up"
        tell(now=now + timedelta(days=30))

    assert "given_up" in caplog.text
    assert len(hook.posts) == 2


def test_webhook__follows_no_redirect(three_of_six: Any, hook: Hook) -> None:
    _store, source = three_of_six
    audited(source)
    hook.answers = [307, 200]
    hook.location = hook.url + "/elsewhere"
    with webhook(hook):
        tell()

    assert [post["path"] for post in hook.posts] == ["/services/T000/hook-secret"]
    assert Notice.objects.get().failure == "HTTP 307"


def test_webhook__that_does_not_answer_in_time_is_a_failure(
    three_of_six: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = three_of_six
    audited(source)
    monkeypatch.setattr(the_channels, "WEBHOOK_TIMEOUT", 0.2)
    hook.held.clear()
    with webhook(hook):
        tell()

    assert Notice.objects.get().failure.startswith("TimeoutError")
    assert Notice.objects.get().state == "waiting"


def test_a_channel_that_is_no_longer_set__is_given_up(three_of_six: Any) -> None:
    _store, source = three_of_six
    audited(source)
    with notify(OWN, "email"):
        decide()
    with notify(OWN):
        for one in due_notices():
            deliver(one.pk)

    assert dict(Notice.objects.values_list("channel", "state")) == {OWN: "sent", "email": "given_up"}
    assert mail.outbox == []


def test_a_sender_that_died__is_taken_over_when_its_lease_is_over_by_the_databases_clock(
    three_of_six: Any,
) -> None:
    _store, source = three_of_six
    audited(source)
    answers: list[str] = []

    def another_worker(message: Message) -> None:
        """One whose clock is an hour ahead comes while we send."""
        heard.append(message)
        answers.append(deliver(Notice.objects.get().pk, now=timezone.now() + timedelta(hours=1)))

    channel = f"{__name__}.another_worker"
    with notify(channel), mock.patch(f"{__name__}.another_worker", another_worker, create=True):
        tell()
        assert (answers, len(heard)) == ([""], 1)

        Notice.objects.update(state="running", lease_owner="dead", lease_until=timezone.now() - SENDING)
        tell()

    assert len(heard) == 2
    assert Notice.objects.get().state == "sent"


def test_hostile_keys_and_secrets__reach_no_message_log_or_table(
    memory_source: MakeSource,
    hook: Hook,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_S3_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "env-secret")
    settings.EMAIL_HOST_PASSWORD = "smtp-secret"
    _store, source = memory_source(bucket="test-bucket", alias="default")
    make_images(HOSTILE, HOSTILE.replace("x.jpg", "y.jpg"))
    audited(source)
    hook.answers = [500]
    failing = BROKEN
    with (
        caplog.at_level(logging.DEBUG),
        notify("webhook", "email", OWN, failing, WEBHOOK_SECRET_URL=hook.url),
    ):
        tell()
        now = timezone.now() + timedelta(minutes=2)
        for notice in due_notices(now=now):
            deliver(notice.pk, now=now)

    posted = json.dumps(hook.posts[0]["body"])
    shown = [heard[0].subject, heard[0].text, mail.outbox[0].subject, mail.outbox[0].body, posted]
    for secret in ("env-secret", "smtp-secret", "hunter2", "hook-secret", "test-secret", "X-Amz-"):
        assert not [text for text in [*shown, caplog.text, *_tables()] if secret in text], secret
    for raw in ("\x1b", "\u202e", "\\u001b", "\\u202e\\u", "<!channel>", "<mailto:"):
        assert raw not in posted
        assert raw not in caplog.text
    for text in shown[:4]:
        assert "\x1b" not in text
        assert "\u202e" not in text
    body = hook.posts[0]["body"]["blocks"][1]["text"]["text"]
    assert "&lt;!channel&gt;" in body
    assert body.count("`") == hook.posts[0]["body"]["text"].count("`") == 6, "the fence, and none within"
    assert (
        len(
            notice_slack({**heard[0].document, "worst_prefixes": heard[0].document["worst_prefixes"] * 99})[
                "blocks"
            ][1]["text"]["text"]
        )
        < 3000
    )


def _tables() -> list[str]:
    texts = []
    with connection.cursor() as cursor:
        for table in ("imagesync_notice", "imagesync_toldstore"):
            cursor.execute(f"SELECT * FROM {table}")
            texts.append(str(cursor.fetchall()))
    return texts


def test_send_due__counts(three_of_six: Any) -> None:
    _store, source = three_of_six
    audited(source)
    with notify(OWN, "email"):
        decide()

        assert send_due() == 2
        assert send_due() == 0
