"""``DATABASE_URL`` -> Django's DATABASES entry. Three forms, no library."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
FORMS = "sqlite:///PATH, postgres://USER[:PW]@HOST[:PORT]/NAME or postgres://USER@/NAME?host=/SOCKET/FOLDER"


def default_database_url() -> str:
    """A file in ``var/``, which is made here: only who needs it must be able to write there."""
    folder = ROOT / "var"
    folder.mkdir(exist_ok=True)
    return sqlite_url(folder / "db.sqlite3")


def sqlite_url(file: Path) -> str:
    """The URL of an absolute path, whatever characters its folders have."""
    return f"sqlite:///{quote(str(file))}"


def parse_database_url(url: str) -> dict[str, Any]:
    """Raises ImproperlyConfigured for anything but the three forms; the password is never shown.

    What is not understood is refused, not dropped: who writes ``?sslmode=require`` relies on it.
    """
    try:
        parts = urlsplit(url)
        port = str(parts.port or "")
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise _refused("has no valid host or port") from error
    if unknown := sorted(set(query) - {"host"}):
        raise _refused(f"has a parameter that is not understood ({unknown[0]!a})")
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1 and not query:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _sqlite_file(unquote(parts.path)[1:]),
            "OPTIONS": {"timeout": 20},
        }
    if parts.scheme in ("postgres", "postgresql") and parts.path.strip("/"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.strip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": _host(parts, query),
            "PORT": port,
        }
    raise _refused(f"has the scheme {parts.scheme!r} or lacks a name")


def _refused(why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"DATABASE_URL {why}. Its forms: {FORMS}.")


def _host(parts: SplitResult, query: dict[str, list[str]]) -> str:
    return query["host"][0] if "host" in query else unquote(parts.hostname or "")


def _sqlite_file(path: str) -> str:
    """``sqlite:////folder/file`` is absolute; with three slashes so is a path whose folder exists from the
    root, as many write it, and any other is taken from the project's folder."""
    if path.startswith("/"):
        return path
    from_root = Path("/") / path
    if "/" in path and from_root.parent.is_dir():
        return str(from_root)
    return str(ROOT / path)
