"""An examination as a document: the JSON contract ``imagesync.doctor/1``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagesync.core.examination import Check, Standing
from imagesync.doctor.examination import Examination

SCHEMA = "imagesync.doctor/1"


def examination_document(examination: Examination) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "storages": [
            {"store": one.store.to_dict(), "checks": [check.to_dict() for check in one.checks]}
            for one in examination.storages
        ],
        "site": [check.to_dict() for check in examination.site],
        "diagnoses": list(_diagnoses(examination)),
    }


def _diagnoses(examination: Examination) -> Iterator[dict[str, str]]:
    """What needs attention, and of which storage; ``storage`` is empty for the project as a whole."""
    for one in examination.storages:
        yield from (_diagnosis(check, one.store.alias) for check in one.checks if check.diagnosis)
    yield from (_diagnosis(check, "") for check in examination.site if check.diagnosis)


def _diagnosis(check: Check, storage: str) -> dict[str, str]:
    level = "failed" if check.status is Standing.FAILED else "warning"
    return {
        "id": check.diagnosis,
        "level": level,
        "fact": check.fact,
        "hint": check.hint,
        "storage": storage,
    }
