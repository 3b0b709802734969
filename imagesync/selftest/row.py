"""One row of the table: an answer that a server may give to one kind of request, and how it must be judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from imagesync.selftest.bucket import Bucket, Page
from imagesync.selftest.wire import Answer, Asked, Manner

Play = Callable[[Asked, Bucket], Answer]

FIT = "fit"
"""What a store's row is judged as when the store may be believed."""


@dataclass(frozen=True)
class Row:
    id: str
    operation: str
    """The kind of request that it answers, as ``Asked.operation`` tells them apart."""
    play: Play
    judged: str
    """For GET, HEAD and VERSIONS the verdict; for HEAD_BUCKET and LIST ``fit`` or the id of the diagnosis; for
    VERSIONING what it says."""
    reason: str = ""
    """Of a verdict."""
    proves_absence: bool = False
    """Whether this answer to a GET, in a healthy store, is proof that the object is gone. By hand, from S3's
    documentation: the promise is tested against this and not against what the code makes of it."""
    of_absent: bool = False
    """Whether the object that is asked for is absent behind the answer (for HEAD, where the GET decides)."""

    @property
    def is_of_absent(self) -> bool:
        """Whether the object that is asked for is gone behind the answer."""
        return self.of_absent or self.operation not in ("GET", "HEAD")

    @property
    def may_delete(self) -> bool:
        """Whether the record of an object that is gone may be deleted in spite of this answer, or by it."""
        if self.operation == "GET":
            return self.proves_absence
        if self.operation in ("HEAD_BUCKET", "LIST"):
            return self.judged == FIT
        if self.operation == "VERSIONING":
            return True  # the question for versions follows
        return self.judged == "missing"


def always(answer: Answer) -> Play:
    return lambda asked, bucket: answer


def at_first(answer: Answer, *, times: int = 1, then: Answer | None = None) -> Play:
    """``answer`` for the first ``times`` attempts, then the honest one, or ``then``."""

    def play(asked: Asked, bucket: Bucket) -> Answer:
        if asked.nth <= times:
            return answer
        return bucket.answer(asked) if then is None else then

    return play


def honest(asked: Asked, bucket: Bucket) -> Answer:
    return bucket.answer(asked)


def until_signed_for(region: str, answer: Answer, then: Answer | None = None) -> Play:
    """``answer`` as long as the request is signed for another region, as S3 does it; then the honest one, or ``then``."""

    def play(asked: Asked, bucket: Bucket) -> Answer:
        if asked.signed_region != region:
            return answer
        return bucket.answer(asked) if then is None else then

    return play


def page(change: Callable[[Page], Page]) -> Play:
    """An honest listing page with something changed."""
    return lambda asked, bucket: change(bucket.page(asked)).answer()


def page_bytes(change: Callable[[bytes], bytes]) -> Play:
    """The bytes of an honest answer, changed."""

    def play(asked: Asked, bucket: Bucket) -> Answer:
        told = bucket.answer(asked)
        return replace(told, body=change(told.body))

    return play


def manner(how: Manner, body: bytes = b"x" * 64) -> Play:
    return always(Answer(200, body, manner=how))
