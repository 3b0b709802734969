"""What findings say of the records of one page, in one query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.db.models import Model

from imagesync.core.verdicts import Verdict
from imagesync.models import Finding
from imagesync.placeholders import NOTED
from imagesync.records.named import FileOwner, owner_of

Instance = TypeVar("Instance", bound=Model)


def prefetch_verdicts(records: Iterable[Instance], field: str = "file") -> list[Instance]:
    """Note on each of ``records`` what the open findings say of its ``field``; return them as a list.

    One query for all, so hand in a page, not a table. ``{% image_url record.field %}`` and
    ``imagesync.placeholders`` use what is noted. A finding about another key, or of another store than the
    field's present one, says nothing. Raises ValueError when ``field`` is no file field.
    """
    page = list(records)
    by_model: dict[type[Model], list[Instance]] = {}
    for record in page:
        by_model.setdefault(owner_of(type(record), field).model, []).append(record)
    for model, instances in by_model.items():
        owner = owner_of(model, field)
        if owner.is_audited:
            _note(owner, instances)
    return page


def _note(owner: FileOwner, instances: list[Instance]) -> None:
    name = owner.field.name
    pks = {str(owner.pk_of(instance)) for instance in instances}
    findings = Finding.objects.open().filter(
        fingerprint=owner.fingerprint, content_type=owner.content_type, object_pk__in=pks, field=name
    )
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for pk, key, verdict, reason in findings.values_list("object_pk", "key", "verdict", "reason"):
        if Verdict(verdict).is_known or (pk, key) not in found:
            found[pk, key] = (verdict, reason)
    for instance in instances:
        named = (str(owner.pk_of(instance)), owner.key_of(str(getattr(instance, owner.field.attname))))
        noted = instance.__dict__.setdefault(NOTED, {})
        noted.pop(name, None)
        if named in found:
            noted[name] = found[named]
