"""From findings to candidates: each missing record as it is now, with what speaks against its deletion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from imagesync.core.plans import Candidate
from imagesync.core.union import OwnSlice, Union
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding, Tombstone
from imagesync.purge.objections import Case, not_proven_missing, open_cases
from imagesync.purge.rows import NamedFile
from imagesync.records import Scope, Source, Target, record_label
from imagesync.records.findings import findings_now, findings_of, in_scope
from imagesync.records.stream import base_rows
from imagesync.records.targets import content_type_of

CHUNK = 500


class Candidates:
    """The records of a scope that findings call missing: those of one audit, or what is open now for a union of slices.

    ``objection`` says why somebody may not purge a record, or nothing. Read once, a chunk at a time.
    """

    def __init__(
        self,
        source: Source,
        scope: Scope,
        audit: Audit,
        union: Union | None,
        *,
        objection: Callable[[Case], str] | None = None,
        heartbeat: Callable[[], None] | None = None,
    ) -> None:
        self.receivers: set[str] = set()
        """Dotted paths of what listens to these deletions, as far as they were read."""
        self._source = source
        self._scope = scope
        self._audit = audit
        self._union = union
        self._objection = objection
        self._heartbeat = heartbeat

    def __iter__(self) -> Iterator[Candidate]:
        targets = self._targets
        chunk: list[Finding] = []
        for finding in self._missing.iterator(chunk_size=CHUNK):
            if (finding.content_type_id, finding.field) in targets:
                chunk.append(finding)
            if len(chunk) == CHUNK:
                yield from self._of_chunk(chunk)
                chunk = []
                if self._heartbeat is not None:
                    self._heartbeat()
        yield from self._of_chunk(chunk)

    @cached_property
    def _targets(self) -> dict[tuple[int, str], Target]:
        return {(target.content_type.pk, target.field.name): target for target in self._source.targets}

    @cached_property
    def _missing(self) -> QuerySet[Finding]:
        found = findings_of(self._audit) if self._union is None else findings_now(self._audit.fingerprint)
        return in_scope(found, self._scope).filter(verdict=Verdict.MISSING, closed_at=None)

    def _of_chunk(self, findings: list[Finding]) -> Iterator[Candidate]:
        rows = self._rows_of(findings)
        restored = _restored_before(findings)
        cases = self._cases(findings, rows)
        for finding in findings:
            case = cases.get(finding.pk)
            if case is None:  # deleted by somebody since
                continue
            if case.effects is not None:
                self.receivers.update(case.effects.receivers())
            own_slice = None if self._union is None else self._union.own_slice(finding.key)
            yield Candidate(
                record=record_label(case.target.model, case.row.pk),
                field=case.target.field.name,
                key=finding.key,
                action=case.target.policy,
                born_at=_born_at(case.target, case.row),
                missing_since=finding.opened_at,
                seen_again_at=self._audit.finished_at if own_slice is None else own_slice.looked_at,
                seen_again_from=self._audit.started_at if own_slice is None else own_slice.looked_at,
                found_by=finding.opened_by_id,
                own_slice=own_slice,
                restored_before=(finding.content_type_id, finding.object_pk) in restored,
                objection=self._why_not(case, own_slice),
                cascades=case.effects.cascades() if case.effects is not None else {},
            )

    def _why_not(self, case: Case, own_slice: OwnSlice | None) -> str:
        if case.objection:
            return case.objection
        if self._union is not None and own_slice is None:
            return "no slice holds its key"
        why = not_proven_missing(case, self._source.store, self._proven)
        return why or (self._objection(case) if self._objection else "")

    def _proven(self, one: NamedFile) -> bool:
        """Whether another file of a row was found missing too. (Asked of S3 again before the delete.)"""
        content_type = content_type_of(one.model)
        return self._missing.filter(
            content_type=content_type, object_pk=str(one.pk), field=one.field.name
        ).exists()

    def _rows_of(self, findings: list[Finding]) -> dict[tuple[str, str], Model]:
        wanted: dict[Target, list[str]] = {}
        for finding in findings:
            wanted.setdefault(self._target_of(finding), []).append(finding.object_pk)
        return {
            (target.label, str(row.pk)): row
            for target, pks in wanted.items()
            for row in base_rows(target.model).filter(
                pk__in=[target.model._meta.pk.to_python(pk) for pk in pks]
            )
        }

    def _cases(self, findings: list[Finding], rows: dict[tuple[str, str], Model]) -> dict[int, Case]:
        """By finding; without those whose record is gone."""
        found: dict[int, Case] = {}
        by_target: dict[Target, list[tuple[Finding, Model]]] = {}
        for finding in findings:
            target = self._target_of(finding)
            row = rows.get((target.label, finding.object_pk))
            if row is not None:
                by_target.setdefault(target, []).append((finding, row))
        for target, pairs in by_target.items():
            cases = open_cases(target, [(row, finding.key) for finding, row in pairs], self._source.store)
            found.update((finding.pk, case) for (finding, _row), case in zip(pairs, cases, strict=True))
        return found

    def _target_of(self, finding: Finding) -> Target:
        return self._targets[finding.content_type_id or 0, finding.field]


def _restored_before(findings: list[Finding]) -> set[tuple[int, str]]:
    restored = Tombstone.objects.exclude(restored_at=None)
    pks = [finding.object_pk for finding in findings]
    return set(restored.filter(object_pk__in=pks).values_list("content_type_id", "object_pk"))


def _born_at(target: Target, row: Model) -> datetime | None:
    value = getattr(row, target.age_field, None) if target.age_field else None
    if value is None:
        return None
    if not isinstance(value, datetime):  # a DateField: its record is as young as that day's end
        value = datetime.combine(value, datetime.max.time())  # not the next day, which date.max does not have
    # as this site's datetimes are, which it is compared with: aware, or without USE_TZ none of them
    return timezone.make_aware(value) if settings.USE_TZ and timezone.is_naive(value) else value
