"""Is this the store that the audit looked at? Asked before the first record goes.

The look of each record again is no help where the same address leads to another, empty store: on another machine, with
another DNS. What the audit saw present is not there then.
"""

from __future__ import annotations

from collections.abc import Callable

from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis
from imagesync.core.rails import audit_gone, not_seen_again
from imagesync.exceptions import PurgeRefused
from imagesync.models import Audit, Purge
from imagesync.records import Source
from imagesync.storage.client import and_a_few_more
from imagesync.storage.probe import look, look_all


def refuse_elsewhere(purge: Purge, source: Source, *, versioning: str, heartbeat: Callable[[], None]) -> None:
    """Raises PurgeRefused unless one of the records that the audit saw present is seen again. Not asked of somebody who
    typed the bucket's name (``--all-missing``), nor where there are no canaries on purpose (``IMAGESYNC["CANARIES"]``).
    """
    audit: Audit | None = purge.audit
    if audit is None:
        raise _refused(audit_gone(purge.pk))
    if purge.limits.get("all_missing") or not (audit.canaries or app_settings().canaries):
        return
    keys = sorted({key for _label, _pk, key in audit.canaries})
    looked = look_all(
        source.store,
        ((key, key, None) for key in keys),
        how=look,
        versioning=versioning,
        workers=and_a_few_more(source.workers),
        heartbeat=heartbeat,
    )
    refusal = not_seen_again(audit.pk, [seen.verdict for _key, seen in looked], source.store.identity.bucket)
    if refusal is not None:
        raise _refused(refusal)


def _refused(why: Diagnosis) -> PurgeRefused:
    return PurgeRefused(why.id, f"{why.fact} Nothing was deleted.", why.hint)
