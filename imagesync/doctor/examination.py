"""All of the doctor's questions to all stores of a project, and about the project itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagesync.core.examination import Check, Standing, in_order, not_asked
from imagesync.doctor.address import public_checks, signature_check, url_checks
from imagesync.doctor.events import event_checks
from imagesync.doctor.samples import sharing_checks
from imagesync.doctor.site import project_checks, settings_of, storage_checks
from imagesync.doctor.store import Examined, examine_store
from imagesync.records import Source, Target
from imagesync.storage.contract import StoreIdentity
from imagesync.storage.probe import utc_now

OF_THE_STORE = (
    *("region", "listing", "read", "absence", "clock", "url"),
    *("address", "versioning", "versions", "lifecycle", "public"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    store: StoreIdentity
    checks: list[Check]
    answered: bool
    """False when the store gave no answer to anything, so that nothing about it could be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    storages: list[StoreResult]
    site: list[Check]

    @property
    def checks(self) -> Iterator[Check]:
        for one in self.storages:
            yield from one.checks
        yield from self.site

    @property
    def has_failed(self) -> bool:
        return any(check.status is Standing.FAILED for check in self.checks)

    @property
    def could_ask(self) -> bool:
        return all(one.answered for one in self.storages)


def examine(
    sources: Sequence[Source],
    *,
    timeout: float = 10.0,
    now: Callable[[], datetime] = utc_now,
    on_store: Callable[[StoreIdentity], None] = lambda identity: None,
) -> Examination:
    """Ask every store, and look at the project. ``timeout`` (seconds) bounds each request made as a browser.

    ``on_store`` is told before each store's questions. Writes nothing, anywhere.
    """
    storages = []
    for source in sources:
        on_store(source.store.identity)
        storages.append(_store_result(source, timeout, now))
    fields = [target.field for source in sources for target in source.targets]
    return Examination(storages=storages, site=in_order([*project_checks(fields), *event_checks(sources)]))


def _store_result(source: Source, timeout: float, now: Callable[[], datetime]) -> StoreResult:
    found = examine_store(source, now)
    checks = [*found.checks, *_settings(source), *sharing_checks(source)]
    if found.speaks:
        checks += _visitors(source, found, timeout)
    elif "bad_request" in {check.diagnosis for check in found.checks}:
        checks += _signatures(source)
    asked = {check.id for check in checks}
    checks += [not_asked(id, "Not before what failed is mended.") for id in OF_THE_STORE if id not in asked]
    return StoreResult(store=source.store.identity, checks=in_order(checks), answered=found.answered)


def _settings(source: Source) -> list[Check]:
    alias = source.store.identity.alias
    rows = [check for target in _by_storage(source) for check in storage_checks(target.field.storage, alias)]
    return list(dict.fromkeys(rows))


def _visitors(source: Source, found: Examined, timeout: float) -> list[Check]:
    place = source.store.identity.place
    rows: list[Check] = []
    signs_urls = True
    for target in _by_storage(source):
        storage = target.field.storage
        signs_urls = signs_urls and settings_of(storage, place.alias).signs_urls
        rows += url_checks(storage, found.sample, place, found.bucket_region, timeout=timeout)
    return [*dict.fromkeys(rows), *public_checks(source.store, found.sample, signs_urls, timeout=timeout)]


def _signatures(source: Source) -> list[Check]:
    """Of a store that does not take the application's requests: how are they, and so the URLs, signed?"""
    place = source.store.identity.place
    storages = [target.field.storage for target in _by_storage(source)]
    found = [check for storage in storages if (check := signature_check(storage, place)) is not None]
    return list(dict.fromkeys(found))


def _by_storage(source: Source) -> list[Target]:
    """One field of each storage that is set up differently: they may make different URLs for one bucket."""
    constructions: list[Any] = []
    targets: list[Target] = []
    for target in source.targets:
        storage: Any = target.field.storage
        construction = storage.deconstruct()
        if construction not in constructions:
            constructions.append(construction)
            targets.append(target)
    return targets
