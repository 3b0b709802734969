"""What people touch of notices: the settings and their check, the command, the list in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from imagesync.checks import check_notify
from imagesync.conf import app_settings, problems
from imagesync.models import Notice
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, run
from tests.django.noticing import BROKEN, HOSTILE, OWN, heard, kinds, notify, tell, webhook
from tests.hook import Hook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_queue")]


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


def test_command__tells_and_tests(three_of_six: Any, hook: Hook) -> None:
    _store, source = three_of_six
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
    with notify(BROKEN):
        [notice] = tell()

    listed = admin_client.get("/admin/imagesync/notice/").content.decode()
    shown = admin_client.get(f"/admin/imagesync/notice/{notice.pk}/change/").content.decode()

    assert "Images in test-bucket: 2 more broken" in listed
    assert "RuntimeError in noticing.py" in listed
    assert "&lt;!channel&gt;" in shown
    assert "\x1b" not in shown
    assert "hunter2" not in listed + shown
    assert (
        admin_client.post(f"/admin/imagesync/notice/{notice.pk}/delete/", {"post": "yes"}).status_code == 403
    )
