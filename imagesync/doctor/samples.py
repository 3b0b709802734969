"""Objects to ask about: what records name first, then what the listing names; and names that records share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from django.db.models import Count

from imagesync.core.examination import Check, fine, not_asked, warned
from imagesync.core.site_advice import shared_keys
from imagesync.core.verdicts import Evidence
from imagesync.records import Source, Target
from imagesync.records.stream import base_rows
from imagesync.records.unreadable import readable
from imagesync.storage.contents import ListedObject
from imagesync.storage.store import Store

NEWEST_RECORDS = 10
"""Of each field; ``ALL_RECORDS`` of all fields together: each may cost a request."""
ALL_RECORDS = 20
LISTED_OBJECTS = 10
SHARED_NAMES = 1000
LISTING = "the listing"


@dataclass(frozen=True, slots=True)
class Sample:
    """An object, by its stored name and its key."""

    name: str
    key: str
    of: str
    """Who names it: a record's field, or the listing."""


def samples(source: Source, listed: Iterable[ListedObject]) -> Iterator[Sample]:
    """The newest records of each field, then listed objects; only names that map to one exact key."""
    yield from islice(_of_records(source), ALL_RECORDS)
    found = (_of_listing(source, one) for one in listed if one.size_bytes and not one.key.endswith("/"))
    yield from [sample for sample in found if sample is not None][:LISTED_OBJECTS]


def _of_records(source: Source) -> Iterator[Sample]:
    for target in source.targets:
        for name in _newest_names(target):
            key = target.key_of(name, source.store)
            if key is not None:
                yield Sample(name, key, target.label)


def first_readable(
    store: Store, candidates: Iterable[Sample]
) -> tuple[Sample | None, list[tuple[Sample, Evidence]]]:
    """The first object that GET hands out, and those before it with their answers."""
    refusals: list[tuple[Sample, Evidence]] = []
    for sample in candidates:
        evidence = store.get(sample.key)
        if evidence.status in (200, 206):
            return sample, refusals
        refusals.append((sample, evidence))
    return None, refusals


def _newest_names(target: Target) -> list[str]:
    column = target.field.attname
    rows = base_rows(target.model).exclude(**{column: ""}).exclude(**{column: None})
    return list(readable(rows, column).order_by("-pk").values_list(column, flat=True)[:NEWEST_RECORDS])


def _of_listing(source: Source, listed: ListedObject) -> Sample | None:
    name = source.name_of(listed.key)
    return Sample(name, listed.key, LISTING) if name else None


def sharing_checks(source: Source) -> list[Check]:
    """Whether records share an object, where uploads may make them; a question to the database alone."""
    overwriting = [one for one in source.targets if getattr(one.field.storage, "file_overwrite", False)]
    if not overwriting:
        return [not_asked("shared_keys", "The storage never overwrites (file_overwrite is off).")]
    found = [check for target in overwriting if (check := _shared(source, target)) is not None]
    return found or [
        fine(
            "shared_keys",
            "Uploads overwrite (file_overwrite is on), and no two records of a field share a name.",
        )
    ]


def _shared(source: Source, target: Target) -> Check | None:
    column = target.field.attname
    names = (
        base_rows(target.model).exclude(**{column: ""}).exclude(**{column: None}).order_by().values(column)
    )
    counts = names.annotate(records=Count("pk")).filter(records__gt=1).values_list("records", flat=True)
    found = list(counts[:SHARED_NAMES])
    if not found:
        return None
    alias = source.store.identity.alias
    many = len(found) == SHARED_NAMES
    return warned("shared_keys", shared_keys(alias, target.label, len(found), sum(found), many))
