"""The page of one purge: its records, and putting them back after a look at what is in the way."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from imagesync.admin.background import log_restored, queue, restore_records
from imagesync.admin.read_only import PAGED, ReadOnlyAdmin, capped, in_order, short_key, who, with_key
from imagesync.cluster import cluster_is_running, why_no_cluster
from imagesync.models import Purge, Tombstone
from imagesync.purge.restore import Restored, execute_restore, left_of, preview_restore
from imagesync.purge.summary import told_summary
from imagesync.reports import printable

AT_ONCE = 200
"""More than these are not put back, or tried, while a browser waits."""
PAGE = 50


class TombstoneFilter(forms.Form):
    """Which of a purge's records are shown."""

    restored = forms.ChoiceField(
        label=gettext_lazy("Restored"),
        required=False,
        choices=[
            ("", gettext_lazy("any")),
            ("no", gettext_lazy("not yet")),
            ("yes", gettext_lazy("restored")),
        ],
    )
    key = forms.CharField(label=gettext_lazy("Key (* at the end: begins so)"), required=False, strip=False)

    def narrow(self, tombstones: QuerySet[Tombstone]) -> QuerySet[Tombstone]:
        restored, key = self.cleaned_data["restored"], self.cleaned_data["key"]
        if restored:
            tombstones = tombstones.filter(restored_at__isnull=restored == "no")
        return with_key(tombstones, key) if key else tombstones

    @property
    def chosen(self) -> dict[str, str]:
        return {name: value for name, value in self.cleaned_data.items() if value}


class PurgePages(ReadOnlyAdmin):
    """What PurgeAdmin has beside its list."""

    def get_urls(self) -> list[Any]:
        restore = self.admin_site.admin_view(require_POST(self.restore))
        return [path("<int:pk>/restore/", restore, name="imagesync_purge_restore"), *super().get_urls()]

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imagesync.restore_image")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        purge = self._purge(request, int(object_id))
        context = {
            **self._context(request, purge, str(purge)),
            **purge_context(purge, request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "imagesync/purge_page.html", context)

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what would come back and what is in the way; when that is confirmed, put it back."""
        purge = self._purge(request, pk)
        if not self.has_restore_permission(request):
            raise PermissionDenied
        everything = "all" in request.POST
        chosen = left_of(purge)
        if not everything:
            pks = _pks(request.POST.getlist("record"))
            if len(pks) > AT_ONCE:
                text = _("Choose up to %(most)d records, or all of them. Nothing was restored.")
                self.message_user(request, text % {"most": AT_ONCE}, messages.WARNING)
                return self._back_to(purge)
            chosen = chosen.filter(pk__in=pks)
        number = capped(chosen)
        if not number:
            text = _("None of these records is left to restore: none was chosen, or somebody restored them.")
            self.message_user(request, text, messages.WARNING)
            return self._back_to(purge)
        if request.POST.get("confirmed") == str(number):
            return self._restore(request, purge, chosen, number)
        if "confirmed" in request.POST:
            text = _("The records that can be restored have changed since. Nothing was done; look again.")
            self.message_user(request, text, messages.WARNING)
        return self._preview(request, purge, chosen, number, everything=everything)

    def _preview(
        self,
        request: HttpRequest,
        purge: Purge,
        chosen: QuerySet[Tombstone],
        number: int,
        *,
        everything: bool,
    ) -> HttpResponse:
        tried = list(chosen[:AT_ONCE])
        outcome = preview_restore(purge, tried)
        is_large = number > AT_ONCE
        context = {
            **self._context(request, purge, _("Restore records of %(purge)s") % {"purge": purge}),
            "number": number,
            "number_told": f"{number:,}"
            if number < PAGED
            else _("%(number)s or more") % {"number": f"{number:,}"},
            "tried": len(tried),
            "is_large": is_large,
            "everything": everything,
            "records": [] if everything else [str(one.pk) for one in tried],
            "can": len(outcome.records),
            "conflicts": conflict_rows(outcome),
            "notes": [
                {"record": note.record, "why": printable(note.why)}
                for note in outcome.notes
                if not note.fatal
            ],
            "has_cluster": is_large and cluster_is_running(),
            "why_no_cluster": why_no_cluster() if is_large else "",
        }
        return TemplateResponse(request, "imagesync/purge_restore.html", context)

    def _restore(
        self, request: HttpRequest, purge: Purge, chosen: QuerySet[Tombstone], number: int
    ) -> HttpResponse:
        if number > AT_ONCE:
            self._hand_over(request, purge)
            return self._back_to(purge)
        by = f"admin ({request.user.get_username()})"[:64]
        outcome = execute_restore(purge, list(chosen[:AT_ONCE]), restored_by=by)
        log_restored(str(request.user.pk), outcome)
        restored, conflicts = len(outcome.records), len(outcome.conflicts)
        text = ngettext("%d record is restored.", "%d records are restored.", restored) % restored
        self.message_user(request, text, messages.SUCCESS if restored else messages.WARNING)
        for tombstone, found in outcome.conflicts[:5]:
            why = "; ".join(conflict.why for conflict in found if conflict.fatal)
            text = _("%(record)s was left alone: %(why)s.")
            told = {"record": tombstone.record_label, "why": printable(why)}
            self.message_user(request, text % told, messages.WARNING)
        if conflicts > 5:
            self.message_user(
                request, _("%(number)d more were left alone.") % {"number": conflicts - 5}, messages.WARNING
            )
        return self._back_to(purge)

    def _hand_over(self, request: HttpRequest, purge: Purge) -> None:
        if cluster_is_running():
            queue(restore_records, purge.pk, str(request.user.pk), request.user.get_username())
            text = _("Restoring is queued. This page shows how far it is; reload it.")
            self.message_user(request, text, messages.SUCCESS)
            return
        text = _("Nothing was restored. %(why)s Or on the command line: %(command)s")
        told = {"why": why_no_cluster(), "command": command_of(purge)}
        self.message_user(request, text % told, messages.WARNING)

    def _context(self, request: HttpRequest, purge: Purge, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.model._meta,
            "media": self.media,
            "purge": purge,
            "may_restore": self.has_restore_permission(request),
            "at_once": AT_ONCE,
            "command": command_of(purge),
        }

    def _purge(self, request: HttpRequest, pk: int) -> Purge:
        if not self.has_view_permission(request):
            raise PermissionDenied
        purge: Purge | None = self.get_queryset(request).select_related("user", "audit").filter(pk=pk).first()
        if purge is None:
            raise Http404
        return purge

    def _back_to(self, purge: Purge) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:imagesync_purge_change", args=[purge.pk]))


def purge_context(purge: Purge, request: HttpRequest) -> dict[str, Any]:
    """Everything that the page shows of a purge."""
    wanted = TombstoneFilter(request.GET)
    after = request.GET.get("after", "")
    rows: list[Tombstone] = []
    if wanted.is_valid():
        tombstones = wanted.narrow(purge.tombstones.all()).select_related("content_type").defer("rows")
        if after.isdecimal():
            tombstones = tombstones.filter(pk__gt=int(after))
        rows = list(tombstones.order_by("pk")[: PAGE + 1])
    more = len(rows) > PAGE
    chosen = wanted.chosen if wanted.is_valid() else {}
    gone = purge.counts.get("deleted", 0) + purge.counts.get("cleared", 0)
    left = capped(left_of(purge))
    return {
        "who": who(purge),
        "refused": {name: printable(value) for name, value in (purge.refused or {}).items()},
        "counts": in_order(purge.counts),
        "kept": [(printable(why), number) for why, number in told_summary(purge)["why"]],
        "limits": [(name, printable(value)) for name, value in sorted(purge.limits.items())],
        "gone": gone,
        "left": left,
        "left_told": f"{left:,}" if left < PAGED else _("%(number)s or more") % {"number": f"{left:,}"},
        "form": wanted,
        "rows": [
            {
                "tombstone": one,
                "value": str(one.pk),
                "record": one.record_label,
                "key": short_key(one.key),
                "restored_by": printable(one.restored_by),
            }
            for one in rows[:PAGE]
        ],
        "query": urlencode(chosen),
        "next": urlencode({**chosen, "after": str(rows[PAGE - 1].pk)}) if more else "",
        "is_first": not after,
    }


def conflict_rows(outcome: Restored) -> list[dict[str, Any]]:
    return [
        {
            "record": tombstone.record_label,
            "key": short_key(tombstone.key),
            "why": printable("; ".join(conflict.why for conflict in conflicts if conflict.fatal)),
        }
        for tombstone, conflicts in outcome.conflicts
    ]


def command_of(purge: Purge) -> str:
    return f"python manage.py restore_purged {purge.pk}"


def _pks(texts: list[str]) -> list[int]:
    return [int(text) for text in texts if text.isdecimal() and len(text) < 19]
