"""Which stores the file fields of a selection are in."""

from __future__ import annotations

from collections.abc import Sequence

from imagesync.exceptions import InvalidRequest, NothingMatches
from imagesync.records import Source, find_sources
from imagesync.records.targets import policies_of


def sources_of(fields: Sequence[str]) -> list[Source]:
    """Every store of these fields, with these fields alone."""
    return find_sources(fields=tuple(fields))


def source_to_purge(fields: Sequence[str]) -> Source:
    """The one store that orphans of these fields may be purged from, with every field that names its objects.

    Raises NothingMatches when no field of them may be purged, InvalidRequest when they are in several stores.
    """
    policies = policies_of(fields)
    purgeable = [label for label in fields if policies.get(label, "report") != "report"]
    if not purgeable:
        raise NothingMatches(
            f"IMAGESYNC['FIELDS'] lets nothing be purged of {', '.join(fields)}; its policy is \"report\"."
        )
    sources = find_sources(fields=purgeable)
    if len(sources) > 1:
        aliases = ", ".join(source.store.identity.alias for source in sources)
        raise InvalidRequest(
            f"The file fields are in several stores ({aliases}); use purge_orphans --storage for one of them."
        )
    identity = sources[0].store.identity
    # the other fields of the store still count when a row names two objects
    whole = find_sources(alias=identity.alias)
    return next(one for one in whole if one.store.identity.fingerprint == identity.fingerprint)
