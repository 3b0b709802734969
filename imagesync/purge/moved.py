"""Whether a stored plan still speaks of the records as they are. Asked before somebody's word to execute it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imagesync.conf import app_settings
from imagesync.core.rails import plan_is_stale
from imagesync.exceptions import NothingMatches
from imagesync.models import Purge
from imagesync.models.leases import database_clock
from imagesync.purge.basis import Basis, fresh_basis
from imagesync.purge.objections import Case, changed_since
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source, record_label
from imagesync.records.stream import base_rows

CHUNK = 500


def aged(purge: Purge) -> str:
    """Why the plan is too old, in a sentence; or nothing."""
    stale = plan_is_stale(purge.pk, database_clock(Purge)() - purge.planned_at, app_settings().audit_max_age)
    return stale.fact if stale else ""


def changed_records(purge: Purge, source: Source, *, heartbeat: Callable[[], None] = lambda: None) -> int:
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
            heartbeat()
    return len(entries) - unchanged


def planned_anew(
    purge: Purge,
    source: Source,
    why: str,
    *,
    planned_by: str,
    user: Any,
    objection: Callable[[Case], str],
    heartbeat: Callable[[], None] | None = None,
) -> Purge:
    """Refuse a plan that moved, because of ``why``, and make the same one as of now. Raises NothingMatches."""
    basis = basis_anew(source, why)
    refuse_moved(purge, why)
    return make_plan(
        source,
        basis.audit,
        union=basis.union,
        limits=limits_from_settings(),
        scope=Scope.from_dict(purge.limits["scope"]),
        planned_by=planned_by,
        user=user,
        objection=objection,
        chosen=purge.limits.get("chosen"),
        heartbeat=heartbeat,
    )


def basis_anew(source: Source, why: str) -> Basis:
    """What a new plan can rest on. Raises NothingMatches."""
    basis = fresh_basis(source)
    if basis is None:
        raise NothingMatches(
            f"{why} Nothing was deleted. There is no fresh audit for a new plan either; run check_s3_images, then "
            "select again."
        )
    return basis


def refuse_moved(purge: Purge, why: str) -> None:
    Purge.objects.filter(pk=purge.pk, state=Purge.State.PLANNED).update(
        state=Purge.State.REFUSED, refused={"id": "plan_stale", "fact": why, "hint": "Plan it anew."}
    )
