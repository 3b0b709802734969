"""Whom to tell of what: the settings of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from imagesync.core.values import parse_duration, parse_names


@dataclass(frozen=True, kw_only=True)
class NotifySettings:
    """``IMAGESYNC["NOTIFY"]``: whom to tell of what (docs/notifications.md)."""

    channels: tuple[str, ...] = ()
    """``"email"`` (to ADMINS), ``"webhook"``, or dotted paths of callables that take a message."""

    webhook_secret_url: str = field(default="", repr=False)
    """Where the webhook listens. Who knows it can post there: Django's debug pages hide names with SECRET."""

    threshold: int = 1
    """By how many records something must have got worse, or better, since it was told last."""

    overdue_after: timedelta = timedelta(hours=26)
    """How long after the end of one audit another one must have ended."""

    base_url: str = ""
    """The site's address, for links into the admin: ``"https://www.example.com"``. Without it the path is told."""


def parse_notify_settings(value: Any) -> NotifySettings:
    """The value of ``IMAGESYNC["NOTIFY"]``. Raises ValueError, whose message repeats no address."""
    given = parse_names(value, NotifySettings)
    channels = given.get("channels", ())
    if isinstance(channels, str) or not all(isinstance(one, str) and one for one in channels):
        raise ValueError('CHANNELS is a list of "email", "webhook" and dotted paths')
    threshold = given.get("threshold", 1)
    if not isinstance(threshold, int) or isinstance(threshold, bool) or threshold < 1:
        raise ValueError(f"THRESHOLD is {threshold!r}; a number of records from 1 on is expected")
    if "overdue_after" in given:
        given["overdue_after"] = parse_duration(given["overdue_after"])
    _refuse_address("BASE_URL", given.get("base_url", ""))
    _refuse_address("WEBHOOK_SECRET_URL", given.get("webhook_secret_url", ""))
    if "webhook" in channels and not given.get("webhook_secret_url"):
        raise ValueError('the channel "webhook" needs WEBHOOK_SECRET_URL')
    return NotifySettings(**{**given, "channels": tuple(dict.fromkeys(channels))})


def _refuse_address(name: str, address: Any) -> None:
    """The message does not repeat the address: it may be a secret."""
    parts = urlsplit(address) if isinstance(address, str) else None
    is_local = parts is not None and parts.hostname in ("localhost", "127.0.0.1", "::1")
    scheme = parts.scheme if parts is not None and parts.hostname else ""
    if address != "" and scheme != "https" and not (scheme == "http" and (is_local or name == "BASE_URL")):
        raise ValueError(f"{name} must begin with https:// (http:// for this machine)")
