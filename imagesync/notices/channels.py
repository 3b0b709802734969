"""The ways to tell: email to ADMINS, a webhook, any callable. What one raises is a failure that is tried again."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string

from imagesync.conf import app_settings
from imagesync.exceptions import NothingMatches
from imagesync.notices.message import Message
from imagesync.reports.notices import notice_slack

EMAIL, WEBHOOK = "email", "webhook"
WEBHOOK_TIMEOUT = 10.0
"""Seconds, for the connection and for each read."""
LOCAL = ("localhost", "127.0.0.1", "::1")


def channel(name: str) -> Callable[[Message], object]:
    """``email``, ``webhook``, or the callable of a dotted path. Raises ImportError."""
    own: Callable[[Message], object] | None = {EMAIL: send_email, WEBHOOK: post}.get(name)
    return own or import_string(name)


def send_email(message: Message) -> None:
    """To ADMINS, as Django's own reports of errors. The Message-ID is the same at each attempt."""
    to = [one if isinstance(one, str) else one[1] for one in settings.ADMINS]  # pairs until Django 6
    if not to:
        raise NothingMatches("ADMINS is empty, so there is nobody to send to")
    EmailMessage(
        subject=f"{settings.EMAIL_SUBJECT_PREFIX}{message.subject}",
        body=message.text,
        from_email=settings.SERVER_EMAIL,
        to=to,
        headers={"Message-ID": f"<{message.id}@imagesync.invalid>"},
    ).send()


def post(message: Message) -> None:
    """To the URL of the settings and nowhere else: a redirect is an answer like any other that is not 2xx."""
    address = app_settings().notify.webhook_secret_url
    request = urllib.request.Request(  # noqa: S310 - the settings take https and this machine only
        address,
        data=json.dumps(notice_slack(message.document)).encode(),
        headers={
            "Content-Type": "application/json",
            "User-Agent": "django-imagesync",
            "Idempotency-Key": message.id,
        },
        method="POST",
    )
    with _opener(address).open(request, timeout=WEBHOOK_TIMEOUT):
        pass  # the body is of no interest, and whatever is not 2xx was raised


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Without what urllib would add by itself: redirects, files, FTP, and cookies."""
    opener = urllib.request.OpenerDirector()
    proxies: dict[str, str] | None = {} if urlsplit(address).hostname in LOCAL else None
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
