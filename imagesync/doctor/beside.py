"""What lies beside a key under the same directory: one page of its listing, two when it is far behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagesync.core.ranges import just_before
from imagesync.exceptions import ListingBroken
from imagesync.storage.contents import ListedObject
from imagesync.storage.contract import Store
from imagesync.storage.listing import Asked, page_of, validate_page

PAGE_SIZE = 1000
SHOWN_EACH_SIDE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    directory: str
    """The key up to its last slash."""
    seen: tuple[ListedObject, ...] = ()
    """Everything that was listed, in key order."""
    complete: bool = False
    """Whether that is all of the directory."""
    reaches_key: bool = False
    """Whether the key would be in ``seen`` if it were listed."""
    failure: str = ""
    """Why the listing says nothing, or not all."""

    def around(self, key: str) -> tuple[ListedObject, ...]:
        """The nearest on both sides of ``key``, and ``key`` itself when it is listed."""
        before = [one for one in self.seen if one.key < key][-SHOWN_EACH_SIDE:]
        itself = [one for one in self.seen if one.key == key]
        behind = [one for one in self.seen if one.key > key][:SHOWN_EACH_SIDE]
        return (*before, *itself, *behind)

    def lists(self, key: str) -> bool | None:
        """Whether the listing names ``key``; None when it does not reach so far."""
        return any(one.key == key for one in self.seen) if self.reaches_key else None


def look_beside(store: Store, key: str) -> Beside:
    """List the directory of ``key`` from its beginning, and from ``key`` on when that lies beyond one page."""
    directory = key[: key.rfind("/") + 1]
    try:
        first, more = _page(store, directory, after="")
    except ListingBroken as broken:
        return Beside(directory=directory, failure=str(broken))
    if not more or (first and first[-1].key >= key):
        return Beside(directory=directory, seen=tuple(first), complete=not more, reaches_key=True)
    try:
        second, more = _page(store, directory, after=just_before(key))
    except ListingBroken as broken:
        return Beside(directory=directory, seen=tuple(first), failure=str(broken))
    beyond = [one for one in second if one.key > first[-1].key] if first else second
    reaches = not more or (bool(second) and second[-1].key >= key)
    return Beside(directory=directory, seen=(*first, *beyond), reaches_key=reaches)


def _page(store: Store, directory: str, *, after: str) -> tuple[Sequence[ListedObject], bool]:
    answer = store.list_page(prefix=directory, start_after=after, max_keys=PAGE_SIZE)
    asked = Asked(bucket=store.identity.bucket, prefix=directory, after=after)
    objects, token = validate_page(page_of(answer), asked)
    return objects, bool(token)
