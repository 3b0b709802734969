"""The URL that the site hands out for an image, asked for as a browser asks. The URL itself is never kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis, Place
from imagesync.core.url_advice import url_failure, url_not_built
from imagesync.records import Record, Source
from imagesync.storage.browser import Browsed, browse
from imagesync.storage.contract import clean_code


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    browsed: Browsed | None
    """None when there is no URL that could be asked for."""
    error: str = ""
    """Why there is none: the class name of what the storage raised."""
    problem: Diagnosis | None
    """Why a browser would not get an object that is there; None when it would."""

    def to_dict(self) -> dict[str, Any]:
        """What may be told of the URL, and what a plain request for it brought."""
        seen = self.browsed
        return {
            **(
                seen.address.to_dict()
                if seen
                else dict.fromkeys(("host", "scheme", "signature", "region"), "")
            ),
            "status": seen.status if seen else None,
            "code": seen.code if seen else "",
            "redirected_to": seen.redirected_to if seen else "",
            "content_type": seen.content_type if seen else "",
            "loads": seen is not None and seen.loads,
            "error": self.error,
        }


def browse_site_url(
    source: Source, key: str, records: Sequence[Record], *, place: Place, bucket_region: str
) -> HandedOut | None:
    """What a browser gets from ``storage.url(name)`` of the first record's field, or else of the store's first field.

    None when the storage has no name for the key. Anything that goes wrong is an outcome.
    """
    if records and not records[0].readable:
        return None
    name = records[0].name if records else source.store.name_for(key)
    if name is None:
        return None
    target = records[0].target if records else source.targets[0]
    return _handed_out(target.field.storage, name, place, bucket_region)


def _handed_out(storage: Any, name: str, place: Place, bucket_region: str) -> HandedOut:
    settings = app_settings()
    try:
        url = storage.url(name)
    except Exception as error:  # noqa: BLE001 - whatever a storage raises here, a page of the site raises too
        raised = clean_code(type(error).__name__)
        return HandedOut(browsed=None, error=raised, problem=url_not_built(place, f"it raised {raised}"))
    try:
        browsed = browse(url, timeout=settings.connect_timeout + settings.read_timeout)
    except ValueError as error:
        return HandedOut(browsed=None, error="InvalidURL", problem=url_not_built(place, str(error)))
    return HandedOut(browsed=browsed, problem=url_failure(place, browsed, bucket_region))
