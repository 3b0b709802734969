"""``DATABASE_URL`` -> Django's DATABASES entry. Three forms, no library."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

FORMS = "sqlite:///PATH, postgres://USER[:PW]@HOST[:PORT]/NAME or postgres://USER@/NAME?host=/SOCKET/FOLDER"


def parse_database_url(url: str) -> dict[str, Any]:
    """Raises ImproperlyConfigured for anything but the three forms; the password is never shown."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path),
            "OPTIONS": {"timeout": 20},
        }
    if parts.scheme in ("postgres", "postgresql") and parts.path.strip("/"):
        host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.strip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(host),
            "PORT": _port(parts),
        }
    raise ImproperlyConfigured(
        f"DATABASE_URL has the scheme {parts.scheme!r} or lacks a name. Its forms: {FORMS}."
    )


def _port(parts: Any) -> str:
    try:
        return str(parts.port or "")
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL has no valid port. Its forms: {FORMS}.") from error
