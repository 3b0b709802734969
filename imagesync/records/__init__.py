"""Which fields name objects, in which store; their records in key order; what pages know and report of them."""

from __future__ import annotations

from imagesync.records.chunks import Chunk, RecordChunks
from imagesync.records.failed_reads import report_failed_read
from imagesync.records.pages import prefetch_verdicts
from imagesync.records.scope import Scope, checked_key, parse_scope
from imagesync.records.sources import find_sources
from imagesync.records.stream import Cursor, Record, count_records, ordered_records
from imagesync.records.targets import Source, Target, find_targets, record_label, store_options

__all__ = [
    "Chunk",
    "Cursor",
    "Record",
    "RecordChunks",
    "Scope",
    "Source",
    "Target",
    "checked_key",
    "count_records",
    "find_sources",
    "find_targets",
    "ordered_records",
    "parse_scope",
    "prefetch_verdicts",
    "record_label",
    "report_failed_read",
    "store_options",
]
