"""Stored name -> key, exactly as django-storages maps it, or not at all.

django-storages joins ``location`` and ``clean_name(name)`` and normalises the result (storages/utils.py).
A name that comes out changed has no exact key: its object, if there is one, cannot be told from another
name's. tests/storage/test_names.py holds this against the storage itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Any


def location_prefix(location: str) -> str | None:
    """``location`` as a key prefix: empty, or ending in one slash; None when no name maps exactly under it."""
    trimmed = location.rstrip("/")
    if not trimmed:
        return ""
    if (
        location.startswith("/")
        or posixpath.normpath(trimmed) != trimmed
        or trimmed in (".", "..")
        or trimmed.startswith("../")
    ):
        return None
    return f"{trimmed}/"


def exact_key(location: str, name: str) -> str | None:
    """The key of ``name``, or None when the storage would rewrite the name on its way there."""
    prefix = location_prefix(location)
    if prefix is None or not name or "\\" in name or name.startswith("/"):
        return None
    bare = name[:-1] if name.endswith("/") else name
    if posixpath.normpath(bare) != bare or bare in (".", "..") or bare.startswith("../"):
        return None
    return prefix + name


def exact_keys(location: str, names: Sequence[str]) -> list[str | None]:
    """``exact_key`` of each; at the speed of a few searches when all of them are plain, as nearly all are."""
    prefix = location_prefix(location)
    if prefix is None or not _all_plain("/".join(names)):
        return [exact_key(location, name) for name in names]
    return [prefix + name for name in names] if prefix else list(names)


def _all_plain(joined: str) -> bool:
    """Whether no name, of those joined by slashes, has anything that ``exact_key`` could refuse."""
    around = f"/{joined}/"
    # backwards: the way on from a slash that is none of these is several times shorter
    return not any(around.rfind(odd) >= 0 for odd in _ODD)


# an empty name or segment, or a slash at an edge; a segment that begins like "." and ".."; what normpath may stop at
_ODD = ("//", "/.", "\\", "\0")


def own_mapping(storage: Any) -> Callable[[str], str] | None:
    """How a subclass of django-storages' S3Storage makes keys of names, when that is not the base's way.

    Subclasses that shard or move names override ``_normalize_name``; ``exact_key`` knows the base's alone.
    """
    from storages.backends.s3 import S3Storage

    kind = storage.__class__  # through Django's lazy default_storage too
    if getattr(kind, "_normalize_name", None) in (None, S3Storage._normalize_name):
        return None
    mapping: Callable[[str], str] = storage._normalize_name
    return mapping
