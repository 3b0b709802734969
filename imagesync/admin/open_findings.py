"""What the dashboard asks of a store's open findings: how many there are of which field, and a sample of where and
of when. Every query is bounded.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import BigIntegerField, ExpressionWrapper, QuerySet, Window
from django.db.models.functions import Mod, RowNumber
from django.utils import timezone

from imagesync.admin.charts import Bar, stacked
from imagesync.core.verdicts import Verdict
from imagesync.models import Finding
from imagesync.records import Target
from imagesync.records.splitting import counted_or_known
from imagesync.records.stream import RecordKey, base_rows

COUNTED = 200_000
"""Open findings beyond these are not counted while somebody waits."""
SAMPLE = 1_000
TURN, GOLDEN = 2**32, 2_654_435_761
OLDEST = timedelta(days=365 * 50)
"""An upload date before that is no date of an upload."""
REST = "no-finding"


@dataclass(frozen=True, slots=True)
class FieldBar:
    label: str
    total: int
    bars: list[Bar]

    @property
    def told(self) -> str:
        return ", ".join(f"{bar.told} {bar.label}" for bar in self.bars)


def numbers_of(standing: QuerySet[Finding]) -> dict[tuple[int | None, str, str], int]:
    """(content type, field, verdict) -> how many of the first ``COUNTED`` findings; an index has all of it."""
    rows = standing.order_by().values("content_type_id", "field", "verdict")[:COUNTED]
    sql, parameters = rows.query.sql_with_params()
    with connections[rows.db].cursor() as cursor:
        cursor.execute(
            f"SELECT content_type_id, field, verdict, COUNT(*) FROM ({sql}) AS counted "  # noqa: S608 - the ORM's own
            "GROUP BY content_type_id, field, verdict",
            parameters,
        )
        return {(row[0], row[1], row[2]): row[3] for row in cursor.fetchall()}


def field_bars(
    numbers: Mapping[tuple[int | None, str, str], int],
    targets: Mapping[tuple[int, str], Target],
    *,
    alone: bool,
) -> list[FieldBar]:
    """A bar for each field with findings; with all fields in one store, for those without any too."""
    by_field: dict[tuple[int | None, str], Counter[str]] = defaultdict(Counter)
    for (content_type, name, verdict), number in numbers.items():
        by_field[content_type, name][verdict] += number
    wanted = dict.fromkeys([*by_field, *(targets if alone else ())])
    bars = []
    for content_type, name in wanted:
        verdicts = by_field.get((content_type, name), Counter())
        target = targets.get((content_type or 0, name))
        total = counted_or_known(base_rows(target.model)) if target else 0
        rest = max(0, total - sum(verdicts.values()))
        if not total and not verdicts:
            continue
        parts = [(REST, rest), *((one.value, verdicts[one.value]) for one in Verdict if verdicts[one.value])]
        label = target.label if target else _label(content_type, name)
        bars.append(FieldBar(label, total, stacked(parts)))
    return sorted(bars, key=lambda one: one.label)


def _label(content_type: int | None, name: str) -> str:
    """Of a field that is no longer a file field on S3, or of a model that is gone."""
    model = ContentType.objects.get_for_id(content_type).model_class() if content_type else None
    return f"{model._meta.label}.{name}" if model else f"?.{name}"


def sample_of(rows: QuerySet[Finding], number: int) -> list[RecordKey]:
    """About ``SAMPLE`` of the records, from all over: the rows' numbers, turned by the golden ratio.

    Every so manieth row would fall into step with keys and pks that are regular themselves.
    """
    if number > SAMPLE:
        turned = ExpressionWrapper(Window(RowNumber()) * GOLDEN, BigIntegerField())
        rows = rows.annotate(drawn=Mod(turned, TURN, output_field=BigIntegerField()))
        rows = rows.filter(drawn__lt=TURN * SAMPLE // number)
    return list(rows.order_by().values_list("content_type_id", "object_pk", "field")[: 2 * SAMPLE])


def upload_days(
    sample: Sequence[RecordKey], targets: Mapping[tuple[int, str], Target]
) -> tuple[dict[date, int], int]:
    """Upload day -> records, and how many do not say when they were uploaded."""
    pks: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for content_type, pk, name in sample:
        pks[content_type, name].append(pk)
    days: Counter[date] = Counter()
    undated = 0
    newest = timezone.now().date() + timedelta(days=1)
    for place, texts in pks.items():
        target = targets.get(place)
        if target is None or not target.age_field:
            undated += len(texts)
            continue
        rows = base_rows(target.model).filter(pk__in=_as_pks(target, texts))
        for value in rows.values_list(target.age_field, flat=True):
            day = _day(value)
            if day is not None and newest - OLDEST <= day <= newest:
                days[day] += 1
            else:
                undated += 1
    return dict(days), undated


def _as_pks(target: Target, texts: Sequence[str]) -> list[Any]:
    found = []
    for text in texts:
        with contextlib.suppress(ValidationError):  # stored under an older schema
            found.append(target.model._meta.pk.to_python(text))
    return found


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return (timezone.localtime(value) if timezone.is_aware(value) else value).date()
    return value if isinstance(value, date) else None
