"""The URL that the site hands out for an image, asked for as a browser asks. The URL itself is never kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagesync.conf import app_settings
from imagesync.core.diagnosis import Diagnosis, Place
from imagesync.core.site_url import SiteUrl
from imagesync.core.url_advice import url_failure, url_not_built
from imagesync.records import Record, Source
from imagesync.storage.browser import Browsed, browse
from imagesync.storage.contract import clean_code


@dataclass(frozen=True, slots=True)
class HandedOut:
    url: SiteUrl
    problem: Diagnosis | None
    """Why a browser would not get an object that is there; None when it would."""


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
        return HandedOut(SiteUrl(error=raised), url_not_built(place, f"it raised {raised}"))
    try:
        browsed = browse(url, timeout=settings.connect_timeout + settings.read_timeout)
    except ValueError as error:
        return HandedOut(SiteUrl(error="InvalidURL"), url_not_built(place, str(error)))
    return HandedOut(_site_url(browsed), url_failure(place, browsed, bucket_region))


def _site_url(browsed: Browsed) -> SiteUrl:
    return SiteUrl(
        host=browsed.address.host,
        scheme=browsed.address.scheme,
        signature=browsed.address.signature,
        region=browsed.address.region,
        status=browsed.status,
        code=browsed.code,
        redirected_to=browsed.redirected_to,
        content_type=browsed.content_type,
    )
