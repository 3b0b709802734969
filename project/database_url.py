"""``DATABASE_URL`` -> Django's DATABASES entry. Three forms, no library."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
FORMS = "sqlite:///PATH, postgres://USER[:PW]@HOST[:PORT]/NAME or postgres://USER@/NAME?host=/SOCKET/FOLDER"


def parse_database_url(url: str) -> dict[str, Any]:
    """Raises ImproperlyConfigured for anything but the three forms; the password is never shown."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _sqlite_file(unquote(parts.path)[1:]),
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


def _sqlite_file(path: str) -> str:
    """``sqlite:////folder/file`` is absolute; with three slashes so is a path whose folder exists from the
    root, as many write it, and any other is taken from the project's folder."""
    if path.startswith("/"):
        return path
    from_root = Path("/") / path
    if "/" in path and from_root.parent.is_dir():
        return str(from_root)
    return str(ROOT / path)


def _port(parts: Any) -> str:
    try:
        return str(parts.port or "")
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL has no valid port. Its forms: {FORMS}.") from error
