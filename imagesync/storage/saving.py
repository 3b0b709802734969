"""Save through a storage, then look: once, whoever asked for it, and only when it is wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from imagesync.conf import CONTENT, app_settings
from imagesync.core.uploaded import Outcome
from imagesync.storage.sending import watching
from imagesync.storage.store import is_s3
from imagesync.storage.uploaded import Receipt, verify

logger = logging.getLogger("imagesync.uploads")

_unverified: ContextVar[bool] = ContextVar("imagesync_unverified", default=False)
_receipts: ContextVar[list[Receipt] | None] = ContextVar("imagesync_receipts", default=None)


@contextmanager
def unverified() -> Iterator[None]:
    """Uploads inside are not looked at: for bulk imports, which an audit checks afterwards for less.

    Of this thread or task alone, and of what it awaits.
    """
    token = _unverified.set(True)
    try:
        yield
    finally:
        _unverified.reset(token)


@contextmanager
def receipts() -> Iterator[list[Receipt]]:
    """The receipts of what is saved and verified inside, in order."""
    found: list[Receipt] = []
    token = _receipts.set(found)
    try:
        yield found
    finally:
        _receipts.reset(token)


def verified_save(
    storage: Any, save: Callable[..., str], name: str | None, content: Any, max_length: int | None
) -> str:
    """``save(name, content, max_length=...)`` and a look at what it stored; the name that it returned.

    Storages of another kind than S3 are left alone. A save inside of another one of the same file (a field
    with verification, over a storage with it) is looked at once, by the inner one. Raises UploadNotVerified.
    """
    how = False if _unverified.get() or not is_s3(storage) else app_settings().verify_uploads
    if how is False:
        return save(name, content, max_length=max_length)
    with watching(storage, hashing=how == CONTENT) as watch, receipts() as inner:
        stored = save(name, content, max_length=max_length)
    outer = _receipts.get()
    receipt = next((one for one in inner if (one.bucket, one.name) == (storage.bucket_name, stored)), None)
    if receipt is None:
        receipt = verify(storage, stored, content, watch)
        _tell(receipt, how)
    if outer is not None:
        outer.append(receipt)
    return stored


_WHY = {
    Outcome.SAME_SIZE: "S3 told no checksum and no MD5 of it that could be compared",
    Outcome.THERE: "its sizes could not be compared, since the storage did not send it by its own client or S3 told none",
}


def _tell(receipt: Receipt, how: str) -> None:
    """Say so when less was compared than wanted."""
    if receipt.outcome != how and receipt.outcome in _WHY:
        logger.info(
            "The upload of %a was verified by %s only: %s.",
            receipt.key,
            receipt.outcome.value,
            _WHY[receipt.outcome],
        )
