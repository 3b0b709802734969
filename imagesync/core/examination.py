"""What the doctor asks, and how each question ended: ``Check`` is one row of its table.

A question that could not be asked, or that a server does not offer, is ``not asked``: it says nothing about the
store, neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from imagesync.core.diagnosis import Diagnosis


class Standing(StrEnum):
    """How one question ended."""

    OK = "ok"
    """Asked, and the answer is as it should be."""
    WARNING = "warning"
    """Asked; it works, and somebody should know."""
    FAILED = "failed"
    """Asked, and something does not work, or loses images."""
    NOT_ASKED = "not asked"
    """Not asked, refused or not offered. Concludes nothing."""


QUESTIONS: dict[str, str] = {
    "settings": "do the storage's settings say what they seem to say?",
    "bucket": "is the bucket there?",
    "region": "is it where the application is configured for?",
    "listing": "may it be listed, are the pages valid and in byte order?",
    "read": "can a real object be read?",
    "absence": "is a key that cannot exist a clean 404 NoSuchKey?",
    "clock": "does this machine's clock agree with the server's?",
    "url": "does a browser get the image from the URL that the site hands out?",
    "address": "is that URL's host the one that it should be?",
    "versioning": "can what was deleted or overwritten be brought back?",
    "versions": "may the versions of an object be listed?",
    "lifecycle": "does a lifecycle rule delete or archive images?",
    "public": "can everybody read, list or write what should be private?",
    "shared_keys": "do several records name one object?",
    "receivers": "does deleting a record delete its object?",
    "cluster": "does django-q2 run a task twice?",
    "events": "can the queue of S3's events be asked?",
}
"""Every question by its id, in the order in which they are told; docs/commands.md has a row for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    id: str
    """Of ``QUESTIONS``."""
    status: Standing
    fact: str
    hint: str = ""
    diagnosis: str = ""
    """The id of the diagnosis (docs/diagnoses.md) when it is a warning or failed; empty otherwise."""

    def to_dict(self) -> dict[str, str]:
        document = {"id": self.id, "status": str(self.status), "fact": self.fact, "hint": self.hint}
        return {**document, "diagnosis": self.diagnosis} if self.diagnosis else document


def fine(id: str, fact: str) -> Check:
    return Check(id=id, status=Standing.OK, fact=fact)


def not_asked(id: str, fact: str, hint: str = "") -> Check:
    return Check(id=id, status=Standing.NOT_ASKED, fact=fact, hint=hint)


def warned(id: str, diagnosis: Diagnosis) -> Check:
    return _diagnosed(id, Standing.WARNING, diagnosis)


def failed(id: str, diagnosis: Diagnosis) -> Check:
    return _diagnosed(id, Standing.FAILED, diagnosis)


def _diagnosed(id: str, status: Standing, diagnosis: Diagnosis) -> Check:
    return Check(id=id, status=status, fact=diagnosis.fact, hint=diagnosis.hint, diagnosis=diagnosis.id)


def in_order(checks: Iterable[Check]) -> list[Check]:
    """As they are told, whatever the order they were asked in."""
    order = list(QUESTIONS)
    return sorted(checks, key=lambda check: order.index(check.id))
