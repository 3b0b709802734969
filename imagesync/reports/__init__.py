"""Audits, plans, single images and examinations as text, JSON, NDJSON, CSV and Markdown, figures as Prometheus reads
them. Pure: documents in, characters out."""

from __future__ import annotations

from imagesync.reports.audits import AUDIT_FORMATS, audit_pieces, write_audits
from imagesync.reports.escaping import printable
from imagesync.reports.examinations import EXAMINATION_FORMATS, write_examination
from imagesync.reports.freshness import FRESHNESS_FORMATS, freshness_lines, write_freshness
from imagesync.reports.images import IMAGE_FORMATS, write_images
from imagesync.reports.prometheus import CONTENT_TYPE as PROMETHEUS_CONTENT_TYPE
from imagesync.reports.prometheus import Gauge, exposition
from imagesync.reports.prunes import PRUNE_FORMATS, write_prune
from imagesync.reports.purges import PURGE_FORMATS, write_purge, write_restore
from imagesync.reports.selftests import write_self_tests

__all__ = [
    "AUDIT_FORMATS",
    "EXAMINATION_FORMATS",
    "FRESHNESS_FORMATS",
    "IMAGE_FORMATS",
    "PROMETHEUS_CONTENT_TYPE",
    "PRUNE_FORMATS",
    "PURGE_FORMATS",
    "Gauge",
    "audit_pieces",
    "exposition",
    "freshness_lines",
    "printable",
    "write_audits",
    "write_examination",
    "write_freshness",
    "write_images",
    "write_prune",
    "write_purge",
    "write_restore",
    "write_self_tests",
]
