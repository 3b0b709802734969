"""Telling people: what is said, to whom, once, through real sockets; and what goes wrong on the way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as project_settings
from django.core import mail
from django.db import connection, transaction
from django.test import Client, override_settings
from django.utils import timezone
from django_q.models import OrmQ

from imagesync import tasks
from imagesync.audit import open_audit
from imagesync.checks import check_notify
from imagesync.conf import app_settings, problems
from imagesync.core.verdicts import Evidence
from imagesync.models import Audit, Notice, ToldStore
from imagesync.notices import Message, decide, deliver, due_notices, send_due
from imagesync.notices import channels as the_channels
from imagesync.notices.outbox import GIVEN_UP_AFTER, SENDING, WAITS
from imagesync.records import Scope, Source
from imagesync.reports.notices import notice_slack
from imagesync.storage.memory import MemoryStore
from tests.django.helpers import audited, make_images, run
from tests.hook import Hook

MakeSource = Callable[..., tuple[MemoryStore, Source]]

pytestmark = pytest.mark.django_db
COMMITS = pytest.mark.django_db(transaction=True)

heard: list[Message] = []


def listener(message: Message) -> None:
    """A channel of the site's own."""
    heard.append(message)


def broken_channel(message: Message) -> None:
    raise RuntimeError("https://user:hunter2@chat.example/secret")


OWN = f"{__name__}.listener"


@pytest.fixture(scope="module")
def the_hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def hook(the_hook: Hook) -> Hook:
    the_hook.reset()
    return the_hook


@pytest.fixture(autouse=True)
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works in the background, unless a test says so."""
    heard.clear()
    monkeypatch.setattr("imagesync.notices.outbox.has_queue", lambda: False)


def notify(*channels: str, FRESHNESS: str | None = None, **options: Any) -> Any:  # noqa: N803
    """Settings that tell."""
    more = {} if FRESHNESS is None else {"FRESHNESS": FRESHNESS}
    return override_settings(
        IMAGESYNC={**project_settings.IMAGESYNC, "NOTIFY": {"CHANNELS": channels, **options}, **more},
        ADMINS=[("Operator", "operator@example.com")],
    )


@pytest.fixture
def half(memory_source: MakeSource) -> tuple[MemoryStore, Source]:
    """Three present, three missing, in the store that the default storage names."""
    store, source = memory_source(bucket="test-bucket", alias="default")
    make_images("a.jpg", "b.jpg", "c.jpg", "img/x.jpg", "img/y.jpg", "img/z.jpg")
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        store.put(key)
    return store, source


def tell(*, now: Any = None) -> list[Notice]:
    """What a sweep does where nobody works in the background."""
    decided = decide(now=now)
    for notice in due_notices(now=now):
        deliver(notice.pk, now=now)
    return decided


def kinds() -> list[str]:
    return [one["kind"] for message in heard for one in message.document["news"]]


def test_breakage__is_told_with_counts_cause_places_and_the_link(half: Any) -> None:
    _store, source = half
    audit = audited(source)

    with notify(OWN, BASE_URL="https://www.example.com"):
        tell()

    [message] = heard
    assert message.subject == "Images in test-bucket: 3 more broken"
    assert message.document["link"] == f"https://www.example.com/admin/imagesync/audit/{audit.pk}/change/"
    assert message.text.splitlines() == [
        "s3://test-bucket/ (us-east-1)",
        "",
        "3 more broken.",
        "  missing             3   (+3 since it was told last)",
        "",
        "Likely cause",
        "  one_folder: 100 % of what is missing lies in one folder, 'img/'.",
        "    -> Look for what deletes there: a lifecycle rule with this prefix, a clean-up job, a folder that was moved.",
        "  one_day: 100 % of what is missing was uploaded on 2025-10-27.",
        "    -> Look at what was deployed, imported or restored that day.",
        "",
        "Where most of what is missing lies",
        "  100 %  img/",
        "",
        f"Audit {audit.pk} of {audit.finished_at:%Y-%m-%d %H:%M} UTC: trustworthy.",
        f"https://www.example.com/admin/imagesync/audit/{audit.pk}/change/",
        "Nothing was deleted: an audit only looks. manage.py check_s3_images lists the records.",
    ]


def test_without_a_base_url__the_path_is_told(half: Any) -> None:
    _store, source = half
    audit = audited(source)

    with notify(OWN):
        tell()

    assert heard[0].document["link"] == f"/admin/imagesync/audit/{audit.pk}/change/"


def test_the_same_again__says_nothing_and_a_recovery_is_told_when_it_lasts(half: Any) -> None:
    store, source = half
    with notify(OWN):
        audited(source)
        tell()
        for _time in range(2):
            audited(source)
            assert tell() == []
        for name in "xyz":
            store.put(f"img/{name}.jpg")
        audited(source)
        tell()
        assert kinds() == ["breakage"]
        audited(source)
        tell()
        audited(source)
        tell()

    assert kinds() == ["breakage", "recovery"]
    assert heard[1].subject == "Images in test-bucket: fewer images are broken"
    assert "missing             0   (-3 since it was told last)" in heard[1].text


def test_flapping__is_told_once(half: Any) -> None:
    store, source = half
    with notify(OWN):
        for number in range(6):
            store.put("img/x.jpg") if number % 2 else store.delete("img/x.jpg")
            audited(source)
            tell()

    assert kinds() == ["breakage"]


def test_below_the_threshold__nothing_is_told(half: Any) -> None:
    _store, source = half
    audited(source)

    with notify(OWN, THRESHOLD=4):
        tell()
    assert heard == []
    with notify(OWN, THRESHOLD=3):
        tell()
    assert kinds() == ["breakage"]


def test_untrustworthy__is_told_once_until_it_changes_and_no_count_with_it(half: Any) -> None:
    store, source = half
    with notify(OWN):
        audited(source)
        tell()
        store.answer("HeadBucket", None, Evidence(operation="HeadBucket", status=404, code="404"))
        store.answer(
            "ListObjectsV2", None, Evidence(operation="ListObjectsV2", status=404, code="NoSuchBucket")
        )
        for _time in range(3):
            assert audited(source).trust == "untrustworthy"
            tell()

    assert kinds() == ["breakage", "untrustworthy"]
    assert "no_bucket: There is no bucket" in heard[1].text
    assert "missing" not in heard[1].text.replace("check_s3_images lists", "")


def test_failed_and_overdue__are_told_by_the_sweep_alone(half: Any) -> None:
    _store, source = half
    audit = audited(source)
    now = timezone.now()
    with notify(OWN, OVERDUE_AFTER="26h"):
        tell(now=now)
        heard.clear()
        tell(now=now + timedelta(hours=25))
        assert heard == []
        tell(now=now + timedelta(hours=27))
        assert kinds() == ["overdue"]
        assert heard[0].document["audit"] == audit.pk
        stopped = Audit.objects.create(
            **source.store.identity.to_dict(),
            scope=Scope().to_dict(),
            scope_key=Scope().hash,
            state="interrupted",
            started_at=now,
        )
        tell(now=now + timedelta(hours=1))
        tell(now=now + timedelta(hours=2))
        tell(now=now + timedelta(hours=3))

    assert kinds() == ["overdue", "failed"]
    assert heard[1].document["audit"] == stopped.pk
    assert "An audit stopped before its end" in heard[1].text


def test_an_audit_that_is_under_way__is_neither_failed_nor_overdue(half: Any) -> None:
    _store, source = half
    open_audit(source, Scope())
    Audit.objects.update(started_at=timezone.now() - timedelta(days=3))

    with notify(OWN):
        assert tell() == []


def test_a_store_that_its_storage_names_no_more__is_history(half: Any, memory_source: MakeSource) -> None:
    _store, source = half
    audited(source)
    moved, there = memory_source(bucket="new-bucket", alias="default")
    for name in ("a.jpg", "b.jpg", "c.jpg", "img/x.jpg", "img/y.jpg", "img/z.jpg"):
        moved.put(name)
    audited(there)

    with notify(OWN):
        tell(now=timezone.now() + timedelta(days=9))

    assert [(one.document["store"]["bucket"], kinds()) for one in heard] == [("new-bucket", ["overdue"])]


def test_freshness__slices_are_told_of_and_nothing_is_counted_twice(
    half: Any, django_assert_num_queries: Any
) -> None:
    _store, source = half
    left, right = Scope(end_key="img/y.jpg"), Scope(first_key="img/y.jpg")
    with notify(OWN, FRESHNESS="7d"):
        audited(source, left)
        tell()
        audited(source, right)
        tell()
        with django_assert_num_queries(3):
            tasks.watch_over()
        audited(source, left)
        tell()
        tell(now=timezone.now() + timedelta(days=6))
        assert kinds() == ["breakage", "breakage"]
        tell(now=timezone.now() + timedelta(days=8))

    assert [one.document["news"][0]["now"] for one in heard[:2]] == [{"missing": 1}, {"missing": 3}]
    assert heard[1].document["worst_prefixes"] == [{"prefix": "img/", "percent": 100}]
    assert kinds()[2:] == ["overdue"]


def test_a_look_at_a_part__as_of_an_event_is_told_by_the_next_sweep(
    half: Any, django_assert_num_queries: Any
) -> None:
    store, source = half
    with notify(OWN):
        audited(source)
        tell()
        store.delete("a.jpg")
        look = audited(source, Scope(keys=("a.jpg",)))
        tell()
        with django_assert_num_queries(3):
            tasks.watch_over()
        store.put("a.jpg")
        audited(source, Scope(keys=("a.jpg",)))
        audited(source, Scope(keys=("b.jpg",)))
        tell()
        assert kinds() == ["breakage", "breakage"]
        audited(source)
        tell()

    assert kinds() == ["breakage", "breakage", "recovery"]
    assert [one.document["news"][0]["now"] for one in heard] == [
        {"missing": 3},
        {"missing": 4},
        {"missing": 3},
    ]
    assert heard[1].document["audit"] == look.pk
    assert heard[1].document["worst_prefixes"] == [{"prefix": "/", "percent": 100}]


def test_without_freshness__an_audit_of_a_stretch_is_one_of_a_part(half: Any) -> None:
    _store, source = half
    audited(source, Scope(first_key="img/"))

    with notify(OWN):
        assert tell() == []


def test_nothing_to_do__costs_three_queries(half: Any, django_assert_num_queries: Any) -> None:
    _store, source = half
    audited(source)
    with notify(OWN):
        tasks.watch_over()

        with django_assert_num_queries(3):
            assert tasks.watch_over() == {"decided": 0, "sent": 0}


def test_nobody_to_tell__nothing_is_decided(half: Any, django_assert_num_queries: Any) -> None:
    _store, source = half
    audited(source)

    assert decide() == []
    assert not ToldStore.objects.exists()


@COMMITS
def test_an_audit_of_everything_tells_by_itself(half: Any) -> None:
    _store, source = half
    with notify(OWN):
        audited(source, Scope(prefix="img/"))
        assert heard == []
        audited(source)

    assert kinds() == ["breakage"]
    assert Notice.objects.get().state == "sent"


@COMMITS
def test_rolled_back__nothing_is_told(half: Any) -> None:
    _store, source = half
    with notify(OWN), transaction.atomic():
        audited(source)
        transaction.set_rollback(True)

    assert (heard, Notice.objects.count(), ToldStore.objects.count()) == ([], 0, 0)


@COMMITS
def test_channels_that_fail__break_no_audit(half: Any) -> None:
    _store, source = half
    with notify(f"{__name__}.broken_channel", "no.such.channel", OWN):
        assert audited(source).trust == "trustworthy"

    assert kinds() == ["breakage"]
    assert {one.channel: one.state for one in Notice.objects.all()} == {
        f"{__name__}.broken_channel": "waiting",
        "no.such.channel": "waiting",
        OWN: "sent",
    }


@COMMITS
def test_with_a_queue__sending_is_the_queues(
    half: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagesync.notices.outbox.has_queue", lambda: True)
    _store, source = half
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


def test_email__goes_to_the_admins_with_one_message_id_for_all_attempts(half: Any) -> None:
    _store, source = half
    audited(source)
    with notify("email"):
        [notice] = tell()

    [sent] = mail.outbox
    assert (sent.to, sent.from_email) == (["operator@example.com"], "root@localhost")
    assert sent.subject == "[Django] Images in test-bucket: 3 more broken"
    assert sent.extra_headers["Message-ID"] == f"<{notice.document['id']}@imagesync.invalid>"
    assert "img/" in sent.body


def test_email__smtp_down_and_no_admins_are_failures_that_are_tried_again(half: Any) -> None:
    _store, source = half
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


def webhook(hook: Hook, **options: Any) -> Any:
    return notify("webhook", WEBHOOK_SECRET_URL=hook.url, **options)


def test_webhook__posts_what_slack_reads(half: Any, hook: Hook) -> None:
    _store, source = half
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
    half: Any, hook: Hook
) -> None:
    _store, source = half
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
    half: Any, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    _store, source = half
    audited(source)
    now = timezone.now()
    hook.answers = [500] * 3
    with webhook(hook, OVERDUE_AFTER="365d"):
        tell(now=now)
        assert deliver(Notice.objects.get().pk, now=now + GIVEN_UP_AFTER + timedelta(hours=1)) == "given_up"
        tell(now=now + timedelta(days=30))

    assert "given_up" in caplog.text
    assert len(hook.posts) == 2


def test_webhook__follows_no_redirect(half: Any, hook: Hook) -> None:
    _store, source = half
    audited(source)
    hook.answers = [307, 200]
    hook.location = hook.url + "/elsewhere"
    with webhook(hook):
        tell()

    assert [post["path"] for post in hook.posts] == ["/services/T000/hook-secret"]
    assert Notice.objects.get().failure == "HTTP 307"


def test_webhook__that_does_not_answer_in_time_is_a_failure(
    half: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store, source = half
    audited(source)
    monkeypatch.setattr(the_channels, "WEBHOOK_TIMEOUT", 0.2)
    hook.held.clear()
    with webhook(hook):
        tell()

    assert Notice.objects.get().failure.startswith("TimeoutError")
    assert Notice.objects.get().state == "waiting"


def test_a_channel_that_is_no_longer_set__is_given_up(half: Any) -> None:
    _store, source = half
    audited(source)
    with notify(OWN, "email"):
        decide()
    with notify(OWN):
        for one in due_notices():
            deliver(one.pk)

    assert dict(Notice.objects.values_list("channel", "state")) == {OWN: "sent", "email": "given_up"}
    assert mail.outbox == []


def test_a_sender_that_died__is_taken_over_when_its_lease_is_over_by_the_databases_clock(half: Any) -> None:
    _store, source = half
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


HOSTILE = "img/`<!channel>`\x1b[2J\u202e\n<mailto:evil@example.com|here>&\"'*_~ @channel/x.jpg"


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
    failing = f"{__name__}.broken_channel"
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


@pytest.mark.parametrize(
    "value",
    [
        {"CHANNEL": []},
        {"CHANNELS": "email"},
        {"CHANNELS": [""]},
        {"CHANNELS": ["webhook"]},
        {"THRESHOLD": 0},
        {"THRESHOLD": True},
        {"OVERDUE_AFTER": "soon"},
        {"BASE_URL": "www.example.com"},
        {"WEBHOOK_SECRET_URL": "http://chat.example/hook-secret"},
        {"WEBHOOK_SECRET_URL": "file:///etc/hook-secret"},
        {"WEBHOOK_SECRET_URL": 7},
        "email",
    ],
)
def test_settings__bad_values_are_named_and_no_url_is_repeated(value: Any) -> None:
    with override_settings(IMAGESYNC={"NOTIFY": value}):
        [(fact, _hint)] = problems()

    assert fact.startswith("IMAGESYNC['NOTIFY']: ")
    assert "hook-secret" not in fact


def test_settings__their_repr_hides_the_webhook(hook: Hook) -> None:
    with webhook(hook):
        assert "hook-secret" not in repr(app_settings())


def test_command__tells_and_tests(half: Any, hook: Hook) -> None:
    _store, source = half
    audited(source)
    assert run("imagesync_notify")[0] == 1
    with notify("webhook", OWN, WEBHOOK_SECRET_URL=hook.url):
        code, out, _err = run("imagesync_notify", "--test")
        assert (code, out) == (0, f"webhook: sent\n{OWN}: sent\n")
        assert heard[0].subject == "Images in test-bucket: this is a test, nothing happened"
        assert not Notice.objects.exists()
        hook.answers = [403]
        code, out, err = run("imagesync_notify", "--test")
        assert (code, out.splitlines()[0]) == (1, "webhook: HTTP 403")
        assert "hook-secret" not in err

        assert run("imagesync_notify")[:2] == (0, f"webhook: sent\n{OWN}: sent\n")
        assert run("imagesync_notify")[:2] == (0, "")
        assert kinds()[-1] == "breakage"


def test_send_due__counts(half: Any) -> None:
    _store, source = half
    audited(source)
    with notify(OWN, "email"):
        decide()

        assert send_due() == 2
        assert send_due() == 0


def test_check__mails_to_nobody_are_warned_of() -> None:
    with notify("email"):
        assert check_notify() == []
        with override_settings(ADMINS=[]):
            assert [one.id for one in check_notify()] == ["imagesync.W011"]


def test_admin__lists_notices_with_their_text_and_changes_none(
    memory_source: MakeSource, admin_client: Client
) -> None:
    _store, source = memory_source(bucket="test-bucket", alias="default")
    make_images(HOSTILE, HOSTILE.replace("x.jpg", "y.jpg"))
    audited(source)
    with notify(f"{__name__}.broken_channel"):
        [notice] = tell()

    listed = admin_client.get("/admin/imagesync/notice/").content.decode()
    shown = admin_client.get(f"/admin/imagesync/notice/{notice.pk}/change/").content.decode()

    assert "Images in test-bucket: 2 more broken" in listed
    assert "RuntimeError in test_notices.py" in listed
    assert "&lt;!channel&gt;" in shown
    assert "\x1b" not in shown
    assert "hunter2" not in listed + shown
    assert (
        admin_client.post(f"/admin/imagesync/notice/{notice.pk}/delete/", {"post": "yes"}).status_code == 403
    )
