"""Image, Audit, AuditRange, Finding, FailedRead, Freshness, Slice, Purge, Tombstone, Job, JobRecord, ToldStore, Notice,
SetAsideMessage."""

from __future__ import annotations

from imagesync.models.audits import Audit, AuditRange, Finding
from imagesync.models.failed_reads import FailedRead
from imagesync.models.freshness import Freshness, Slice
from imagesync.models.images import AbstractImage, Image, Utf8Length
from imagesync.models.jobs import Job, JobRecord
from imagesync.models.notices import Notice, ToldStore
from imagesync.models.purges import Purge, Tombstone
from imagesync.models.set_aside import SetAsideMessage

__all__ = [
    "AbstractImage",
    "Audit",
    "AuditRange",
    "FailedRead",
    "Finding",
    "Freshness",
    "Image",
    "Job",
    "JobRecord",
    "Notice",
    "Purge",
    "SetAsideMessage",
    "Slice",
    "ToldStore",
    "Tombstone",
    "Utf8Length",
]
