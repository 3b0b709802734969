"""Audits and plans as text, JSON, NDJSON, CSV and Markdown. Pure: documents in, characters out."""

from __future__ import annotations

from imagesync.reports.audits import AUDIT_FORMATS, write_audits
from imagesync.reports.escaping import printable
from imagesync.reports.purges import PURGE_FORMATS, write_purge, write_restore
from imagesync.reports.selftests import write_self_test

__all__ = [
    "AUDIT_FORMATS",
    "PURGE_FORMATS",
    "printable",
    "write_audits",
    "write_purge",
    "write_restore",
    "write_self_test",
]
