"""Is this the store that the audit looked at? Asked before the first record goes.

The look of each record again is no help where the same address leads to another, empty store: on another machine, with
another DNS. What the audit saw present is not there then.
"""

from __future__ import annotations

from collections.abc import Callable

from imagesync.core.trust import Trust, collapse
from imagesync.exceptions import PurgeRefused
from imagesync.models import Audit, Purge
from imagesync.records import Source
from imagesync.storage.client import and_a_few_more
from imagesync.storage.probe import look, look_all


def refuse_elsewhere(purge: Purge, source: Source, *, versioning: str, heartbeat: Callable[[], None]) -> None:
    """Raises PurgeRefused when none of the records that the audit saw present is there, unless somebody typed the
    bucket's name (``--all-missing``)."""
    audit: Audit | None = purge.audit
    if audit is None or audit.trust == Trust.UNTRUSTWORTHY or purge.limits.get("all_missing"):
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
    gone = collapse([seen.verdict for _key, seen in looked], source.store.identity.bucket)
    if gone is not None:
        raise PurgeRefused(gone.id, f"{gone.fact} Nothing was deleted.", gone.hint)
