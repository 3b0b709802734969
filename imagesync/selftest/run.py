"""Play the table against a store's own settings, and tell how each answer is judged.

Nothing is written anywhere, and nothing but the lab's server is asked: the client is made of the project's storage
as always, with the lab's address and credentials that are worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imagesync.core.verdicts import Look, Verdict
from imagesync.exceptions import ListingBroken
from imagesync.selftest.bucket import REGION, Bucket
from imagesync.selftest.row import FIT, Row
from imagesync.selftest.table import TABLE
from imagesync.selftest.wire import Answer, Asked, Lab, Script
from imagesync.storage.client import ClientOptions, client_for_lab
from imagesync.storage.listing import listed
from imagesync.storage.preflight import Preflight, preflight
from imagesync.storage.probe import confirm, look
from imagesync.storage.store import S3Store

ATTEMPTS = 2
SECONDS = 0.5
"""How long an answer is waited for. The lab answers at once, or never."""
PAGE = 2

ROWS_PER_CLIENT = 8
"""botocore stops to try again when a client has seen many failures (its retry quota), so each client sees few."""


@dataclass(frozen=True)
class Judged:
    """What was made of one answer."""

    row: Row
    judged: str
    reason: str
    deletable: bool
    """Whether a purge would have deleted the record whose object was asked for."""

    @property
    def as_documented(self) -> bool:
        return (self.judged, self.reason) == (self.row.judged, self.row.reason)

    @property
    def is_safe(self) -> bool:
        return self.row.may_delete or not self.deletable


def self_test(
    storage: Any, rows: Sequence[Row] = TABLE, *, on_row: Callable[[int], None] = lambda done: None
) -> Iterator[Judged]:
    """Play every row to a field's storage. Raises ImproperlyConfigured when no client can be made of it."""
    options = ClientOptions(connect_timeout=SECONDS, read_timeout=SECONDS, max_attempts=ATTEMPTS, workers=1)
    with Lab(lambda asked: Answer(500)) as lab:
        for done, row in enumerate(rows):
            if done % ROWS_PER_CLIENT == 0:
                client = client_for_lab(storage, lab.url, region=REGION, options=options)
            # a bucket of its own for each row: botocore remembers redirects by bucket
            store = S3Store(
                client,
                alias="self-test",
                bucket=f"imagesync-self-test-{done}",
                location=storage.location,
                parameters=storage.get_object_parameters,
            )
            yield _Trial(row, store).judge(lab)
            on_row(done + 1)


class _Trial:
    """One row, played to a store whose bucket is honest otherwise."""

    def __init__(self, row: Row, store: S3Store) -> None:
        self.row = row
        self.store = store
        prefix = store.identity.prefix
        self.bucket = Bucket({f"{prefix}{name}.jpg": 3 for name in ("a", "b", "there", "z")})
        self.key = f"{prefix}{'gone' if row.is_of_absent else 'there'}.jpg"

    def judge(self, lab: Lab) -> Judged:
        lab.play(self._script())
        before = preflight(self.store)
        seen = self._look(before)
        judged, reason = self._judged(before, seen)
        fit = before.fit and preflight(self.store).fit
        if self.row.operation == "LIST":
            fit = fit and judged == FIT  # an audit by a listing that breaks feeds no purge
        deletable = fit and seen.verdict is Verdict.MISSING
        return Judged(self.row, judged, reason, deletable)

    def _script(self) -> Script:
        about_one_key = self.row.operation in ("GET", "HEAD")

        def script(asked: Asked) -> Answer:
            if asked.operation == self.row.operation and (not about_one_key or asked.key == self.key):
                return self.row.play(asked, self.bucket)
            return self.bucket.answer(asked)

        return script

    def _look(self, before: Preflight) -> Look:
        if self.row.operation == "HEAD":
            return look(self.store, self.key, versioning="off")
        versioning = "enabled" if self.row.operation == "VERSIONS" else before.versioning
        return confirm(self.store, self.key, versioning=versioning)

    def _judged(self, before: Preflight, seen: Look) -> tuple[str, str]:
        if self.row.operation in ("GET", "HEAD", "VERSIONS"):
            return seen.verdict.value, str(seen.reason)
        if not before.fit:
            return before.reasons[0].id, ""
        if self.row.operation == "VERSIONING":
            return before.versioning, ""
        return self._listing(), ""

    def _listing(self) -> str:
        """A first page may be good and the whole still not be a listing."""
        try:
            for _one in listed(self.store, prefix=self.store.identity.prefix, page_size=PAGE):
                pass
        except ListingBroken:
            return "listing_broken"
        return FIT
