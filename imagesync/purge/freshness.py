"""Whether a stored plan still speaks of the records as they are. Asked before somebody's word to execute it counts."""

from __future__ import annotations

from django.utils import timezone

from imagesync.conf import app_settings
from imagesync.core.rails import plan_is_stale
from imagesync.models import Purge
from imagesync.purge.objections import changed_since
from imagesync.records import Source, record_label
from imagesync.records.stream import base_rows

CHUNK = 500


def aged(purge: Purge) -> str:
    """Why the plan is too old, in a sentence; or nothing."""
    stale = plan_is_stale(purge.pk, timezone.now() - purge.planned_at, app_settings().audit_max_age)
    return stale.fact if stale else ""


def changed_records(purge: Purge, source: Source) -> int:
    """How many of the plan's records are gone, or name another file than when it was made."""
    unchanged = 0
    entries = purge.plan.get("delete", [])
    keys = {(entry["record"], entry["field"]): entry["key"] for entry in entries}
    for target in source.targets:
        prefix = f"{target.model._meta.label}:"
        as_pk = target.model._meta.pk.to_python
        pks = [
            as_pk(record.removeprefix(prefix))
            for record, field in keys
            if field == target.field.name and record.startswith(prefix)
        ]
        for start in range(0, len(pks), CHUNK):
            for row in base_rows(target.model).filter(pk__in=pks[start : start + CHUNK]):
                key = keys[record_label(target.model, row.pk), target.field.name]
                unchanged += not changed_since(target, row, key, source.store)
    return len(entries) - unchanged
