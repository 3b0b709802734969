"""Which findings are about the records of one batch: what its looks may end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import gt, le
from typing import Any

from django.db.models import F, QuerySet

from imagesync.audit.batch import Batch
from imagesync.audit.standing import Standing
from imagesync.models import AuditRange, Finding
from imagesync.records import Scope, Target
from imagesync.records.findings import in_scope, of_fields, of_records
from imagesync.records.stream import IN_CHUNK, byte_ordered


@dataclass(frozen=True, slots=True)
class Covered:
    """The records of a batch, as a stretch of keys; of an audit that names its records, these."""

    scope: Scope
    targets: Mapping[tuple[int, str], Target]
    part: AuditRange
    batch: Batch

    def among(self, findings: QuerySet[Finding]) -> Iterator[QuerySet[Any]]:
        """Those of ``findings`` about these records; at the two edges also about others (``holds``)."""
        part, batch = self.part, self.batch
        if self.scope.is_explicit:
            named = [judgement.record.identity for judgement in batch.judgements]
            for start in range(0, len(named), IN_CHUNK):
                yield findings.filter(of_records(named[start : start + IN_CHUNK]))
            return
        window = self._in_scope(findings)
        first = batch.behind[0] if batch.behind else part.first_key
        window = window.filter(byte_key__gte=first) if first else window
        if batch.ends:
            yield window if part.end_key is None else window.filter(byte_key__lt=part.end_key)
        elif batch.upto is not None:
            yield window.filter(byte_key__lte=batch.upto[0])

    def holds(self, one: Standing | Finding) -> bool:
        """At the two edges, a key's other records belong to the neighbouring batches."""
        if self.scope.is_explicit:
            return True
        target = self.targets[one.content_type_id or 0, one.field]
        as_pk = target.model._meta.pk.to_python
        for edge, is_inside in ((self.batch.behind, gt), (None if self.batch.ends else self.batch.upto, le)):
            if edge is None or edge[0] != one.key:
                continue
            if (
                target.label != edge[1]
            ):  # then the edge's primary key is of another model, perhaps of another type
                is_within = is_inside(target.label, edge[1])
            else:
                is_within = is_inside(as_pk(one.object_pk), as_pk(edge[2]))
            if not is_within:
                return False
        return True

    def _in_scope(self, findings: QuerySet[Any]) -> QuerySet[Any]:
        """Outside of the scope's prefix and selection nobody looked, so nothing there is over."""
        ours = findings.filter(of_fields(self.targets.values()))
        keyed = ours.annotate(byte_key=byte_ordered(F("key"), ours.db))
        return in_scope(keyed, Scope(prefix=self.scope.prefix, job=self.scope.job))
