"""What the tests of notices share: channels of the site's own, the settings that tell, and what was heard."""

from __future__ import annotations

from typing import Any

from django.conf import settings as project_settings
from django.test import override_settings

from imagesync.models import Notice
from imagesync.notices import Message, decide, deliver, due_notices
from tests.hook import Hook

heard: list[Message] = []


def listener(message: Message) -> None:
    """A channel of the site's own."""
    heard.append(message)


def broken_channel(message: Message) -> None:
    raise RuntimeError("https://user:hunter2@chat.example/secret")


OWN = f"{__name__}.listener"
BROKEN = f"{__name__}.broken_channel"
HOSTILE = "img/`<!channel>`\x1b[2J\u202e\n<mailto:evil@example.com|here>&\"'*_~ @channel/x.jpg"


def notify(*channels: str, FRESHNESS: str | None = None, **options: Any) -> Any:  # noqa: N803
    """Settings that tell."""
    more = {} if FRESHNESS is None else {"FRESHNESS": FRESHNESS}
    return override_settings(
        IMAGESYNC={**project_settings.IMAGESYNC, "NOTIFY": {"CHANNELS": channels, **options}, **more},
        ADMINS=[("Operator", "operator@example.com")],
    )


def tell(*, now: Any = None) -> list[Notice]:
    """What a sweep does where nobody works in the background."""
    decided = decide(now=now)
    for notice in due_notices(now=now):
        deliver(notice.pk, now=now)
    return decided


def kinds() -> list[str]:
    return [one["kind"] for message in heard for one in message.document["news"]]


def webhook(hook: Hook, **options: Any) -> Any:
    return notify("webhook", WEBHOOK_SECRET_URL=hook.url, **options)
