"""What is sent: a document that is made when the news are decided, so that every attempt says the same."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.urls import NoReverseMatch, reverse

from imagesync.core.causes import likely_causes
from imagesync.core.folders import worst_prefixes
from imagesync.core.news import Kind, News
from imagesync.core.verdicts import Verdict
from imagesync.models import Audit, Finding
from imagesync.notices.standing import AuditedStore
from imagesync.reports import printable
from imagesync.reports.notices import notice_subject, notice_text

SCHEMA = "imagesync.notice/1"
STORE = ("alias", "bucket", "region", "prefix")
PREFIXES = 5
SAMPLE = 1000


@dataclass(frozen=True)
class Message:
    """What a channel is given. Nothing in it is secret, and every foreign name is escaped."""

    document: dict[str, Any]

    @property
    def id(self) -> str:
        """The same at each attempt, so that a receiver can tell a repetition."""
        return str(self.document["id"])

    @cached_property
    def subject(self) -> str:
        return notice_subject(self.document)

    @cached_property
    def text(self) -> str:
        return notice_text(self.document)


def notice_document(
    store: AuditedStore, news: Sequence[News], *, at: datetime, base_url: str
) -> dict[str, Any]:
    rises = [one for one in news if one.kind is Kind.BREAKAGE]
    about = _audit_about(store, news)
    figures = about.figures or _places_of_newest(about, rises)
    causes = [*about.reasons, *_causes(rises[0], figures)] if rises else []
    return {
        "schema": SCHEMA,
        "id": uuid.uuid4().hex,
        "at": at.isoformat(),
        "store": {name: printable(getattr(about, name)) for name in STORE},
        "audit": about.pk,
        "trust": about.trust or about.state,
        "ended_at": about.finished_at.astimezone(UTC).isoformat() if about.finished_at else "",
        "link": _link(about, base_url),
        "news": [_news_document(one, about) for one in news],
        "likely_causes": [_printable_reason(one) for one in causes],
        "worst_prefixes": _places(figures) if rises else [],
    }


def trial_document(store: dict[str, str], *, at: datetime) -> dict[str, Any]:
    """A message that says that it is a test, for who wants to see whether messages arrive."""
    return {
        "schema": SCHEMA,
        "id": uuid.uuid4().hex,
        "at": at.isoformat(),
        "store": {name: printable(store[name]) for name in STORE},
        "audit": None,
        "trust": "",
        "ended_at": "",
        "link": "",
        "news": [{"kind": "test", "of": "test", "before": {}, "now": {}, "rise": 0, "reasons": []}],
        "likely_causes": [],
        "worst_prefixes": [],
    }


def _news_document(news: News, about: Audit) -> dict[str, Any]:
    reasons = about.reasons if news.kind is Kind.UNTRUSTWORTHY else []
    return {
        "kind": news.kind.value,
        "of": news.of.value,
        "before": dict(news.before),
        "now": dict(news.now),
        "rise": sum(news.rises.values()),
        "reasons": [_printable_reason(one) for one in reasons],
    }


def _causes(news: News, figures: dict[str, Any]) -> list[dict[str, str]]:
    found = likely_causes(
        news.rises,
        folders=figures.get("folders", {}),
        days=figures.get("days", {}),
        sampled=figures.get("sampled", 0),
    )
    return [one.to_dict() for one in found]


def _printable_reason(reason: dict[str, Any]) -> dict[str, str]:
    return {name: printable(reason[name]) for name in ("id", "fact", "hint")}


def _places(figures: dict[str, Any]) -> list[dict[str, Any]]:
    sampled = figures.get("sampled", 0)
    worst = list(figures.get("folders", {}).items())[:PREFIXES] if sampled else []
    return [
        {"prefix": printable(folder or "/"), "percent": round(100 * number / sampled)}
        for folder, number in worst
    ]


def _audit_about(store: AuditedStore, news: Sequence[News]) -> Audit:
    """The audit that brought the news."""
    kinds = {one.kind for one in news}
    ended = store.ended or store.newest
    if Kind.FAILED in kinds:
        return store.newest
    if kinds == {Kind.BREAKAGE} and store.look > ended.pk:  # a look of events, or somebody's
        return Audit.objects.get(pk=store.look)
    return ended


def _places_of_newest(audit: Audit, rises: Sequence[News]) -> dict[str, Any]:
    """Where what is new lies, when no audit of everything has counted it."""
    number = sum(one.rises.get(Verdict.MISSING, 0) for one in rises)
    found = Finding.objects.missing_from(audit.fingerprint)
    keys = list(found.order_by("-pk").values_list("key", flat=True)[: min(number, SAMPLE)])
    return {"folders": worst_prefixes(keys, begin=len(audit.prefix)), "sampled": len(keys)} if keys else {}


def _link(audit: Audit, base_url: str) -> str:
    try:
        path = reverse("admin:imagesync_audit_change", args=[audit.pk])
    except NoReverseMatch:  # a project without the admin, or with one of another name
        return ""
    return f"{base_url.rstrip('/')}{path}"
