"""Real processes that tell: several at once, and one that is killed while it sends."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from django.utils import timezone

from imagesync.models import Notice, ToldStore
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, MakeSource
from tests.django.helpers import audited, make_images
from tests.hook import Hook
from tests.processes import kill, start

pytestmark = pytest.mark.django_db(transaction=True)

Teller = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def teller(embedded_server: EmbeddedS3, hook: Hook, tmp_path: Path) -> Teller:
    """Starts a process that decides and sends: the webhook first, then the mail."""
    more = {
        "DJANGO_SETTINGS_MODULE": "tests.settings_that_notify",
        "NOTIFY_WEBHOOK": hook.url,
        "NOTIFY_MAILS": str(tmp_path),
    }
    return lambda: start(embedded_server, BUCKET, "imagesync_notify", **more)


@pytest.fixture(autouse=True)
def broken(memory_source: MakeSource) -> None:
    """An audit found three images missing, and nobody has decided anything about it."""
    _store, source = memory_source(bucket=BUCKET, alias="default")
    make_images("img/x.jpg", "img/y.jpg", "img/z.jpg")
    audited(source)


def run_at_once(teller: Teller, number: int) -> None:
    for process in [teller() for _one in range(number)]:
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


def mails(folder: Path) -> list[str]:
    parts = [part for file in folder.iterdir() for part in file.read_bytes().split(b"-" * 79) if part.strip()]
    return [str(message_from_bytes(part.strip())["Message-ID"]) for part in parts]


def test_three_processes_at_once__tell_once(teller: Teller, hook: Hook, tmp_path: Path) -> None:
    run_at_once(teller, 3)

    assert len(hook.ids) == 1
    assert mails(tmp_path) == [f"<{hook.ids[0]}@imagesync.invalid>"]
    assert ToldStore.objects.get().version == 1
    assert list(Notice.objects.values_list("state", flat=True)) == ["sent", "sent"]


def test_killed_while_sending__only_that_one_is_repeated_with_its_id(
    teller: Teller, hook: Hook, tmp_path: Path
) -> None:
    hook.held.clear()
    process = teller()
    assert hook.arrived.acquire(timeout=60)
    kill(process)
    hook.held.set()
    assert Counter(Notice.objects.values_list("channel", "state")) == {
        ("webhook", "running"): 1,
        ("email", "waiting"): 1,
    }

    run_at_once(teller, 1)
    assert (len(hook.posts), len(mails(tmp_path))) == (1, 1), "under its lease nobody repeats it"
    Notice.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))
    run_at_once(teller, 2)

    assert len(hook.ids) == 2
    assert len(set(hook.ids)) == 1
    assert len(mails(tmp_path)) == 1
    assert list(Notice.objects.values_list("state", flat=True)) == ["sent", "sent"]
