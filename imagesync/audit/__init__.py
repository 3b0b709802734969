"""Use case: records + store -> Audit and Findings. Reads objects, marks records, never deletes anything."""

from __future__ import annotations

from imagesync.audit.claim import interrupted_audit, open_audit, resume_audit
from imagesync.audit.document import audit_document, finding_rows
from imagesync.audit.marks import clear_marks
from imagesync.audit.run import carry_out

__all__ = [
    "audit_document",
    "carry_out",
    "clear_marks",
    "finding_rows",
    "interrupted_audit",
    "open_audit",
    "resume_audit",
]
