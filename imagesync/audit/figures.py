"""The figures of an audit of everything: counted once, when it ends, and kept with it.

The admin's dashboard shows them. Counting a hundred thousand findings takes longer than a page may take, and
what was counted then is what the audit's other figures are about.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Count, ExpressionWrapper, QuerySet, Window
from django.db.models.functions import Mod, RowNumber
from django.utils import timezone

from imagesync.core.folders import worst_prefixes
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding
from imagesync.records import Source, Target
from imagesync.records.splitting import counted_or_known
from imagesync.records.stream import IN_CHUNK, base_rows

SAMPLE = 10_000
"""Of more missing records than these, dates and folders are taken from a random sample."""
TURN, GOLDEN = 2**32, 2_654_435_761
OLDEST = timedelta(days=365 * 50)
"""An upload date before that is no date of an upload."""

Place = tuple[int, str]
"""(content type, field)"""
Sampled = tuple[int, str, str, str]
"""(content type, pk as text, field, key)"""


def figures_of(audit: Audit, source: Source) -> dict[str, Any]:
    """What is open in the store when ``audit`` ends, as its ``figures`` keep it.

    ``{"fields": {label: {"records": 12, "missing": 6, …}}, "opened": 4, "closed": 1, "sampled": 6, "undated": 0,
    "days": {"2026-03-04": 6}, "folders": {"uploads/": 6}}``; ``sampled`` is how many of the missing records the
    days and folders are of.
    """
    standing = Finding.objects.open().filter(fingerprint=audit.fingerprint)
    targets = {(target.content_type.pk, target.field.name): target for target in source.targets}
    fields = _by_field(standing, targets)
    missing = sum(verdicts.get(Verdict.MISSING.value, 0) for verdicts in fields.values())
    sample = _sample_of(standing.filter(verdict=Verdict.MISSING), missing)
    days, undated = _upload_days(sample, targets)
    folders = worst_prefixes((key for *_record, key in sample), begin=len(audit.prefix))
    return {
        "fields": fields,
        "opened": Finding.objects.filter(opened_by=audit, settled=True).count(),
        "closed": Finding.objects.filter(closed_by=audit, settled=True).count(),
        "sampled": len(sample),
        "undated": undated,
        "days": {day.isoformat(): number for day, number in sorted(days.items())},
        "folders": folders,
    }


def _by_field(standing: QuerySet[Finding], targets: Mapping[Place, Target]) -> dict[str, dict[str, int]]:
    """Label of a field -> its records, and its open findings by verdict; fields without any too."""
    rows = standing.order_by().values_list("content_type_id", "field", "verdict")
    found: dict[str, dict[str, int]] = {
        target.label: {"records": counted_or_known(base_rows(target.model))} for target in targets.values()
    }
    for content_type, name, verdict, number in rows.annotate(number=Count("pk")):
        target = targets.get((content_type or 0, name))
        label = target.label if target else _label(content_type, name)
        found.setdefault(label, {"records": 0})[verdict] = number
    return found


def _label(content_type: int | None, name: str) -> str:
    """Of a field that is no longer a file field on S3, or of a model that is gone."""
    model = ContentType.objects.get_for_id(content_type).model_class() if content_type else None
    return f"{model._meta.label}.{name}" if model else f"?.{name}"


def _sample_of(rows: QuerySet[Any], number: int) -> list[Sampled]:
    """All of the records, or about ``SAMPLE`` of them from all over: the rows' numbers, turned by the golden ratio.

    Every so manieth row would fall into step with keys and pks that are regular themselves.
    """
    if number > SAMPLE:
        turned = ExpressionWrapper(Window(RowNumber()) * GOLDEN, BigIntegerField())
        rows = rows.annotate(drawn=Mod(turned, TURN, output_field=BigIntegerField()))
        rows = rows.filter(drawn__lt=TURN * SAMPLE // number)
    columns = rows.order_by().values_list("content_type_id", "object_pk", "field", "key")
    return list(columns[: 2 * SAMPLE])


def _upload_days(sample: Sequence[Sampled], targets: Mapping[Place, Target]) -> tuple[Counter[date], int]:
    """Upload day -> records, and how many do not say when they were uploaded."""
    pks: dict[Place, list[str]] = defaultdict(list)
    for content_type, pk, name, _key in sample:
        pks[content_type, name].append(pk)
    days: Counter[date] = Counter()
    for place, texts in pks.items():
        target = targets.get(place)
        if target is not None and target.age_field:
            days.update(_days(target, texts))
    return days, len(sample) - days.total()


def _days(target: Target, texts: Sequence[str]) -> Iterator[date]:
    newest = timezone.now().date() + timedelta(days=1)
    for start in range(0, len(texts), IN_CHUNK):
        rows = base_rows(target.model).filter(pk__in=_as_pks(target, texts[start : start + IN_CHUNK]))
        for value in rows.values_list(target.age_field, flat=True):
            day = _day(value)
            if day is not None and newest - OLDEST <= day <= newest:
                yield day


def _as_pks(target: Target, texts: Sequence[str]) -> list[Any]:
    found = []
    for text in texts:
        with contextlib.suppress(ValidationError):  # stored under an older schema
            found.append(target.model._meta.pk.to_python(text))
    return found


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        with contextlib.suppress(OverflowError):  # datetime.max, say, somewhere east of it
            return (timezone.localtime(value) if timezone.is_aware(value) else value).date()
        return None
    return value if isinstance(value, date) else None
