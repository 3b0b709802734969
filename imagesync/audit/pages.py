"""Where the pages of an audit come from: from the store as it lists them, or put in order on disk first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from imagesync.audit.requests import Answer, Requests
from imagesync.exceptions import ListingBroken
from imagesync.storage.contents import ListedObject
from imagesync.storage.listing import PAGE_SIZE, ListedPage, listed_in_any_order, page_with
from imagesync.storage.spool import SortedSpool
from imagesync.storage.store import Store


class Pages(Protocol):
    """Where a scan's listing pages come from."""

    def ask(self, *, start_after: str, token: str, after: str) -> Answer[ListedPage]: ...


class StorePages:
    """The store's own pages, asked for side by side."""

    def __init__(self, requests: Requests, prefix: str) -> None:
        self._requests = requests
        self._prefix = prefix

    def ask(self, *, start_after: str, token: str, after: str) -> Answer[ListedPage]:
        return self._requests.page(prefix=self._prefix, start_after=start_after, token=token, after=after)


class _SpooledPages:
    """Pages out of a sorted spool; they are here at once."""

    def __init__(self, spool: SortedSpool) -> None:
        self._spool = spool

    def ask(self, *, start_after: str, token: str, after: str) -> Answer[ListedPage]:
        rows = self._spool.behind(token or start_after, PAGE_SIZE)
        objects = [ListedObject(*row) for row in rows]
        next_token = objects[-1].key if len(rows) == PAGE_SIZE else ""
        return Answer.known(page_with(objects, next_token=next_token))


class _NoPages:
    """Of a listing that broke off before it could be put in order."""

    def __init__(self, failure: ListingBroken) -> None:
        self._failure = failure

    def ask(self, *, start_after: str, token: str, after: str) -> Answer[ListedPage]:
        return Answer.failed(self._failure)


@contextmanager
def sorted_pages(store: Store, prefix: str, heartbeat: Callable[[], None]) -> Iterator[Pages]:
    """The whole listing, put in order on disk: for a store that lists in another order, or ignores StartAfter.

    When it breaks off, nothing is known of any key: every page is then the failure. Raises NotSorted when the disk is
    full.
    """
    with SortedSpool(columns=3) as spool:
        try:
            for page in listed_in_any_order(store, prefix=prefix, heartbeat=heartbeat):
                spool.add(page)
        except ListingBroken as failure:
            pages: Pages = _NoPages(failure)
        else:
            spool.sort(heartbeat)
            pages = _SpooledPages(spool)
        yield pages
