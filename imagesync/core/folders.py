"""Folders of keys: where most of what is wrong lies. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def worst_prefixes(keys: Iterable[str], *, begin: int = 0, most: int = 8, depth: int = 4) -> dict[str, int]:
    """The folders with most of the keys: as deep as ``most`` of them still hold half of what there is.

    ``begin`` is the length of the store's own prefix, which tells nothing.
    """
    folders = [_folders(key, begin, depth) for key in keys]
    worst: dict[str, int] = {}
    for level in range(depth):
        numbers = Counter(one[min(level, len(one) - 1)] for one in folders)
        found = dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0]))[:most])
        if worst and sum(found.values()) < len(folders) / 2:
            break
        worst = found
    return worst


def _folders(key: str, begin: int, depth: int) -> list[str]:
    """The folders around a key, the outermost first; its store's own when it lies in none."""
    found: list[str] = []
    at = begin
    while len(found) < depth and (slash := key.find("/", at)) >= 0:
        at = slash + 1
        found.append(key[:at])
    return found or [key[:begin]]
