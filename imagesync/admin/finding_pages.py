"""An audit's findings, one page at a time in key order, however many there are.

``findings_of`` says what they are; it reads all of them to sort them. A page asks for the same in two pieces,
the open ones and those that a later audit closed, each of which an index has in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import merge
from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from imagesync.models import Audit, Finding
from imagesync.models.images import VERDICT_CHOICES
from imagesync.records import Scope, find_targets
from imagesync.records.findings import FAILED_LOOKS, findings_of, in_scope, of_records
from imagesync.records.stream import RecordKey, byte_ordered

PAGE = 50
ANY = ("", _("any"))


class FindingFilter(forms.Form):
    """Which of an audit's findings are meant, by its query string."""

    verdict = forms.ChoiceField(label=_("Verdict"), required=False)
    field = forms.ChoiceField(label=_("Field"), required=False)
    begins = forms.CharField(label=_("Key begins with"), required=False, strip=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = sorted(target.label for target in find_targets())
        self.fields["verdict"].choices = [ANY, *VERDICT_CHOICES]  # type: ignore[attr-defined]
        self.fields["field"].choices = [ANY, *((label, label) for label in labels)]  # type: ignore[attr-defined]

    def narrow(self, findings: QuerySet[Any]) -> QuerySet[Any]:
        """The part of findings that carry their ``byte_key``. Only once this is valid."""
        verdict, field, begins = (self.cleaned_data[name] for name in ("verdict", "field", "begins"))
        if verdict:
            findings = findings.filter(verdict=verdict)
        return in_scope(findings, Scope(fields=(field,) if field else (), prefix=begins))

    @property
    def chosen(self) -> dict[str, str]:
        return {name: value for name, value in self.cleaned_data.items() if value}


@dataclass(frozen=True, slots=True)
class FindingPage:
    rows: list[Finding]
    after: int | None
    """The pk that the next page begins behind; None at the end."""


def findings_page(audit: Audit, wanted: FindingFilter, after: int | None = None) -> FindingPage:
    """Up to ``PAGE`` findings behind the one with the pk ``after``."""
    if audit.trust == Audit.Trust.UNTRUSTWORTHY and not audit.counts.get("records"):
        return FindingPage([], None)
    behind = Finding.objects.filter(pk=after).values_list("key", "pk").first() if after else None
    pieces = [_piece(audit, piece, wanted, behind) for piece in _pieces(audit)]
    found = list(merge(*pieces, key=lambda finding: (finding.key.encode(), finding.pk)))[: PAGE + 1]
    more = len(found) > PAGE
    found = found[:PAGE]
    overshadowed = _not_looked_at(audit, found)
    rows = [
        finding
        for finding in found
        if finding.verdict in FAILED_LOOKS or _record(finding) not in overshadowed
    ]
    return FindingPage(rows, found[-1].pk if more else None)


def filtered_findings(audit: Audit, wanted: FindingFilter) -> QuerySet[Finding]:
    """All of them, for an export."""
    return wanted.narrow(findings_of(audit))


def _pieces(audit: Audit) -> Iterable[QuerySet[Finding]]:
    seen = Finding.objects.filter(fingerprint=audit.fingerprint, settled=True, opened_by_id__lte=audit.pk)
    yield seen.filter(closed_at=None)
    if audit.finished_at is not None:
        # the date alone says it, and no index has it
        side_by_side = Audit.objects.filter(
            Q(finished_at=None) | Q(finished_at__gt=audit.finished_at), pk__lt=audit.pk
        )
        later = Q(closed_by_id__gt=audit.pk) | Q(
            closed_by_id__in=list(side_by_side.values_list("pk", flat=True))
        )
        yield seen.filter(later, closed_at__gt=audit.finished_at)


def _piece(
    audit: Audit, findings: QuerySet[Any], wanted: FindingFilter, behind: tuple[str, int] | None
) -> list[Finding]:
    findings = findings.annotate(byte_key=byte_ordered(F("key"), findings.db))
    findings = wanted.narrow(in_scope(findings, Scope.from_dict(audit.scope)))
    if behind is not None:
        key, pk = behind
        findings = findings.filter(Q(byte_key__gt=key) | Q(pk__gt=pk), byte_key__gte=key)
    return list(findings.select_related("content_type").order_by("byte_key", "pk")[: PAGE + 1])


def _not_looked_at(audit: Audit, findings: Iterable[Finding]) -> set[RecordKey]:
    """Those of the records that the audit could not look at: what was known of them before is not its word."""
    records = [_record(finding) for finding in findings if finding.verdict not in FAILED_LOOKS]
    if not records:
        return set()
    until = Q(closed_at=None)
    if audit.finished_at is not None:
        until |= Q(closed_at__gt=audit.finished_at)
    failed = Finding.objects.filter(
        until,
        of_records(records),
        fingerprint=audit.fingerprint,
        settled=True,
        opened_by_id__lte=audit.pk,
        verdict__in=FAILED_LOOKS,
    )
    return set(failed.values_list("content_type_id", "object_pk", "field"))


def _record(finding: Finding) -> RecordKey:
    return finding.content_type_id or 0, finding.object_pk, finding.field
