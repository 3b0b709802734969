"""Key ranges -> validated listing pages. A page that contradicts what was asked ends the listing: it is
then incomplete, never short.

Why not botocore's paginator: it takes an empty body, a foreign page or a truncated page without a token
for the end of the listing (measured; docs/how-it-decides.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from imagesync.core.classify import ARCHIVE_CLASSES, failure_reason
from imagesync.core.compare import StrictlyAscending, is_strictly_ascending, strictly_ascending
from imagesync.exceptions import ListingBroken, NotInByteOrder
from imagesync.storage.contents import ListedObject, is_ordinary, keys_of, objects_of
from imagesync.storage.contract import ListingAnswer, Store

PAGE_SIZE = 1000
HEARTBEAT_SECONDS = 5.0
MAX_EMPTY_PAGES = 100
"""S3 may truncate a page without a key on it (many delete markers); a server that does so for ever is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a page was asked for, to hold the answer against."""

    bucket: str
    prefix: str
    after: str
    """Every key must be greater: ``StartAfter``, or the last key of the page before."""
    token: str = ""


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A validated page."""

    keys: StrictlyAscending
    next_token: str
    """Empty on the last page."""
    ordinary: bool
    """Whether every object can be read as it is: none is empty, none must be restored from an archive first."""
    objects: Callable[[], Sequence[ListedObject]]
    """The objects with size, ETag and storage class; read when asked for."""


def listed(
    store: Store,
    *,
    prefix: str,
    start_after: str = "",
    until: str | None = None,
    page_size: int = PAGE_SIZE,
    on_page: Callable[[int], None] = lambda objects: None,
    heartbeat: Callable[[], None] = lambda: None,
) -> Iterator[ListedObject]:
    """The objects with keys behind ``start_after`` and before ``until`` (exclusive), in key order.

    One page is fetched ahead while the consumer works. ``on_page`` is told how many objects each good page
    has; ``heartbeat`` is called every few seconds while a page is waited for (all attempts of one page may
    take longer than a lease lives). Raises ListingBroken for a page that failed or contradicts itself; what
    was yielded before is good.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="imagesync-list") as ahead:

        def ask(token: str) -> Future[ListingAnswer]:
            after = "" if token else start_after
            return ahead.submit(
                _page_or_a_shorter_one, store, page_size, prefix=prefix, start_after=after, token=token
            )

        bucket, after, token, empty_pages = store.identity.bucket, start_after, "", 0
        answer: Future[ListingAnswer] | None = ask(token)
        while answer is not None:
            page = page_of(_awaited(answer, heartbeat))
            objects, next_token = validate_page(
                page, Asked(bucket=bucket, prefix=prefix, after=after, token=token)
            )
            on_page(len(objects))
            empty_pages = 0 if objects else empty_pages + 1
            if next_token and empty_pages > MAX_EMPTY_PAGES:
                raise ListingBroken(f"The listing gave {empty_pages} pages without a key and does not end.")
            beyond = until is not None and bool(objects) and objects[-1].key >= until
            token = next_token
            answer = ask(token) if token and not beyond else None
            after = objects[-1].key if objects else after
            for one in objects:
                if until is not None and one.key >= until:
                    return
                yield one


def _page_or_a_shorter_one(store: Store, max_keys: int, **asked: str) -> ListingAnswer:
    """A page; and if the server spoils it, the same stretch once more with another end.

    Ceph RGW accepts keys that XML cannot hold; one that is the last of a page spoils the page's token, and
    botocore reports the page as a 500.
    """
    answer = store.list_page(max_keys=max_keys, **asked)
    if answer.page is None and answer.evidence.status == 500:
        answer = store.list_page(max_keys=max(1, max_keys * 2 // 3), **asked)
    return answer


def _awaited(answer: Future[ListingAnswer], heartbeat: Callable[[], None]) -> ListingAnswer:
    while True:
        try:
            return answer.result(timeout=HEARTBEAT_SECONDS)
        except FutureTimeout:
            if answer.done():  # the store itself raised it
                raise
            heartbeat()


def page_of(answer: ListingAnswer) -> Mapping[str, Any]:
    """The page of a listing answer. Raises ListingBroken when there is none."""
    if answer.page is None or answer.evidence.status != 200:
        evidence = answer.evidence
        status = f"HTTP {evidence.status}" if evidence.status else "no answer"
        raise ListingBroken(
            f"A listing page failed: {status} {evidence.code}".rstrip(), reason=failure_reason(evidence)
        )
    return answer.page


def list_page(
    store: Store,
    *,
    prefix: str,
    start_after: str = "",
    token: str = "",
    after: str = "",
    max_keys: int = PAGE_SIZE,
) -> ListedPage:
    """One page: behind ``start_after``, or what ``token`` leads to. Every key on it must be greater than ``after``.

    Raises NotInByteOrder when only the order is wrong, ListingBroken for anything else that is.
    """
    answer = _page_or_a_shorter_one(store, max_keys, prefix=prefix, start_after=start_after, token=token)
    asked = Asked(bucket=store.identity.bucket, prefix=prefix, after=after, token=token)
    page = page_of(answer)
    keys = keys_of(page)
    _check_frame(page, asked, len(keys))
    if not _are_as_asked(keys, asked):
        validate_page(page, asked)  # says which and why
    ordered = StrictlyAscending(keys)  # as either has found
    return ListedPage(ordered, _next_token(page), is_ordinary(page), lambda: objects_of(page))


def page_with(objects: Sequence[ListedObject], *, next_token: str) -> ListedPage:
    """A page of objects that were validated before."""
    ordinary = all(one.size_bytes != 0 and one.storage_class not in ARCHIVE_CLASSES for one in objects)
    return ListedPage(strictly_ascending([one.key for one in objects]), next_token, ordinary, lambda: objects)


def _are_as_asked(keys: Sequence[str], asked: Asked) -> bool:
    """The checks of ``validate_page`` on a whole column. What lies between two keys of a prefix has the prefix."""
    if not keys:
        return True
    ascending = keys[0] > asked.after and is_strictly_ascending(keys)
    return ascending and keys[0].startswith(asked.prefix) and keys[-1].startswith(asked.prefix)


def _next_token(page: Mapping[str, Any]) -> str:
    return page.get("NextContinuationToken", "") if page["IsTruncated"] else ""


def listed_in_any_order(
    store: Store, *, prefix: str, heartbeat: Callable[[], None] = lambda: None
) -> Iterator[Sequence[ListedObject]]:
    """All objects, page by page, of a store whose order or whose StartAfter cannot be relied on.

    Nothing but tokens leads on, and none may come back. Raises ListingBroken.
    """
    token, seen, empty_pages = "", set(), 0
    while True:
        answer = _page_or_a_shorter_one(store, PAGE_SIZE, prefix=prefix, start_after="", token=token)
        asked = Asked(bucket=store.identity.bucket, prefix=prefix, after="", token=token)
        objects, token = validate_but_order(page_of(answer), asked)
        yield objects
        heartbeat()
        empty_pages = 0 if objects else empty_pages + 1
        if not token:
            return
        if hash(token) in seen or empty_pages > MAX_EMPTY_PAGES:
            raise ListingBroken(
                "The listing comes back to a page that it has given already, and does not end."
            )
        seen.add(hash(token))


def validate_page(page: Mapping[str, Any], asked: Asked) -> tuple[Sequence[ListedObject], str]:
    """The objects of a page and the token of the next one (empty at the end).

    Raises NotInByteOrder when only the order of the keys is wrong, ListingBroken for anything else.
    """
    objects, token = validate_but_order(page, asked)
    after = asked.after
    for one in objects:
        if one.key <= after:
            raise NotInByteOrder(f"The listing is not in byte order: {one.key!a} came after {after!a}.")
        after = one.key
    return objects, token


def validate_but_order(page: Mapping[str, Any], asked: Asked) -> tuple[Sequence[ListedObject], str]:
    """``validate_page`` for a page whose keys may come in any order. Raises ListingBroken."""
    objects = objects_of(page)
    _check_frame(page, asked, len(objects))
    for one in objects:
        if not one.key:
            raise ListingBroken("A listing entry has no key.")
        if not one.key.startswith(asked.prefix):
            raise ListingBroken(f"The listing of prefix {asked.prefix!a} holds {one.key!a}.")
    return objects, _next_token(page)


def _check_frame(page: Mapping[str, Any], asked: Asked, number: int) -> None:
    truncated, token = page.get("IsTruncated"), page.get("NextContinuationToken", "")
    if not isinstance(truncated, bool):
        raise ListingBroken(
            "A listing page does not say whether it is truncated (an empty or foreign answer)."
        )
    if not answers_for(page, bucket=asked.bucket):
        raise ListingBroken(f"A listing page names bucket {_told(page, 'Name')}; {asked.bucket!a} was asked.")
    if not is_of_prefix(page, asked.prefix):
        raise ListingBroken(
            f"A listing page is of prefix {_told(page, 'Prefix')}; {asked.prefix!a} was asked."
        )
    if not isinstance(token, str):
        raise ListingBroken("A listing page has several tokens for the next one.")
    if truncated and not token:
        raise ListingBroken("A listing page is truncated but has no token for the next one.")
    if token and not truncated:
        raise ListingBroken("A listing page has a token for the next one but is not truncated.")
    if token and token == asked.token:
        raise ListingBroken("A listing page repeats its own token.")
    count = page.get("KeyCount")
    if count is not None and count != number + len(page.get("CommonPrefixes", ())):
        raise ListingBroken(f"A listing page announces {count} keys and holds {number}.")


def _told(page: Mapping[str, Any], name: str) -> str:
    """For a message. Of an element that comes twice botocore makes a list of what is no text."""
    told = page.get(name, "")
    return ascii(told) if isinstance(told, str) else "(several)"


def answers_for(page: Mapping[str, Any], *, bucket: str) -> bool:
    """Whether a page names the bucket. Access points answer with another name than they were asked by."""
    is_alias = bucket.startswith("arn:") or bucket.endswith(("-s3alias", "--ol-s3"))
    return is_alias or page.get("Name") == bucket


def is_of_prefix(page: Mapping[str, Any], prefix: str) -> bool:
    """Whether a page echoes the prefix that it was asked for.

    botocore asks for URL-encoded answers and decodes the echo (handlers.py, decode_list_object); a server
    that encodes its keys but not its echo has it decoded once too often.
    """
    return page.get("Prefix", "") in (prefix, unquote_plus(prefix))
