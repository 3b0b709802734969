"""Use case: records + store -> Audit and Findings. Reads objects, marks records, never deletes anything."""

from __future__ import annotations

from imagesync.audit.claim import (
    interrupted_audit,
    newest_audit,
    open_audit,
    resume_audit,
    source_now,
    source_of,
)
from imagesync.audit.control import cancel_audit, pause_audit
from imagesync.audit.distributed import spread, sweep, work_on
from imagesync.audit.document import audit_document, finding_rows
from imagesync.audit.marks import clear_marks
from imagesync.audit.progress import progress_of
from imagesync.audit.run import carry_out
from imagesync.audit.waiting import wait_for

__all__ = [
    "audit_document",
    "cancel_audit",
    "carry_out",
    "clear_marks",
    "finding_rows",
    "interrupted_audit",
    "newest_audit",
    "open_audit",
    "pause_audit",
    "progress_of",
    "resume_audit",
    "source_now",
    "source_of",
    "spread",
    "sweep",
    "wait_for",
    "work_on",
]
