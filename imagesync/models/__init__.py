"""Image, Audit, AuditRange, Finding, FailedRead, Purge, Tombstone, Job, JobRecord, ToldStore, Notice."""

from __future__ import annotations

from imagesync.models.audits import Audit, AuditRange, Finding
from imagesync.models.failed_reads import FailedRead
from imagesync.models.images import AbstractImage, Image, Utf8Length
from imagesync.models.jobs import Job, JobRecord
from imagesync.models.notices import Notice, ToldStore
from imagesync.models.purges import Purge, Tombstone

__all__ = [
    "AbstractImage",
    "Audit",
    "AuditRange",
    "FailedRead",
    "Finding",
    "Image",
    "Job",
    "JobRecord",
    "Notice",
    "Purge",
    "ToldStore",
    "Tombstone",
    "Utf8Length",
]
