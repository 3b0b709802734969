"""Every page of the admin, by name and address: lists under each filter, order and search, single things, large plans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from benchmarks.admin_world import OTHER_STORE, STORE

ADMIN = "/admin/imagesync/"
LIST = f"{ADMIN}image/"


def pages(client: Any) -> Iterator[tuple[str, str]]:
    from imagesync.models import Image

    last = Image.objects.latest("pk").pk
    middle = Image.objects.filter(pk__gt=last // 2, file__startswith="images/").order_by("pk")[0]
    for name, asked in _lists(str(middle.file)):
        yield f"images: {name}", f"{LIST}?{urlencode(asked)}"
    for name, asked in (
        ("no filter", {}),
        ("sorted by key", {"o": "3"}),
        ("verdict missing", {"verdict__exact": "missing"}),
    ):
        place = _deep(client, asked, last // 2)
        yield f"images: {name}, a deep page", f"{LIST}?{urlencode({**asked, 'after': place})}"
    for verdict in ("present", "missing"):
        pk = Image.objects.filter(verdict=verdict).order_by("-pk").values_list("pk", flat=True)[0]
        yield f"an image, {verdict}", f"{LIST}{pk}/change/"
    yield from _history(str(middle.file))


def _lists(key: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Names of lists of images and what they ask for; ``key`` is that of a record in the middle."""
    day = key.rpartition("/")[0] + "/"
    yield "no filter", {}
    yield "sorted by key", {"o": "3"}
    yield "sorted by creation, oldest first", {"o": "8"}
    for verdict in ("present", "missing", "denied", "recoverable", "ambiguous", "unchecked"):
        yield f"verdict {verdict}", {"verdict__exact": verdict}
    yield "missing, latest first", {"verdict__exact": "missing", "o": "-5"}
    for span in ("1d", "7d", "older"):
        yield f"missing since {span}", {"missing": span}
    for span in ("1d", "30d", "365d", "older"):
        yield f"created {span}", {"created": span}
    yield "the store of nearly all", {"seen_in": STORE}
    yield "a store of few", {"seen_in": OTHER_STORE}
    yield "no store yet", {"seen_in": "none"}
    yield "a folder of nearly all", {"folder": "images/"}
    yield "a folder of one day", {"folder": day}
    yield "search: exact key", {"q": f'"{key}"'}
    yield "search: begins with, nearly all", {"q": "images/20"}
    yield "search: begins with, few", {"q": key[:-6]}
    yield "search: nothing", {"q": "nothing/like/this"}
    yield "search: record", {"q": "#1234"}
    yield "missing in a folder of nearly all", {"verdict__exact": "missing", "folder": "images/"}
    yield "recoverable in a folder of nearly all", {"verdict__exact": "recoverable", "folder": "images/"}
    yield "denied in a folder where nothing is", {"verdict__exact": "denied", "folder": "images/"}
    yield "missing, created long ago", {"verdict__exact": "missing", "created": "older"}
    yield "present, created long ago", {"verdict__exact": "present", "created": "older"}
    yield "missing, created today", {"verdict__exact": "missing", "created": "1d"}
    yield "present, of a store of few", {"verdict__exact": "present", "seen_in": OTHER_STORE}
    yield "a store of few, created today", {"seen_in": OTHER_STORE, "created": "1d"}
    yield "a folder of an old year, created this year", {"folder": "images/2019/", "created": "365d"}
    yield "a folder of an old year, missing since a day", {"folder": "images/2019/", "missing": "1d"}
    yield "search in the store of few", {"q": "images/20", "seen_in": OTHER_STORE}


def _history(key: str) -> Iterator[tuple[str, str]]:
    from imagesync.models import Audit, Purge

    audit, planned = Audit.objects.latest().pk, Purge.objects.latest().pk
    done = Purge.objects.filter(state="done").latest().pk
    folder = key.rpartition("/")[0]
    yield "audits, with the dashboard", f"{ADMIN}audit/"
    yield "audits: untrustworthy ones", f"{ADMIN}audit/?trust__exact=untrustworthy"
    for name, asked in (
        ("its findings", {}),
        ("missing ones", {"verdict": "missing"}),
        ("mismatched ones", {"verdict": "mismatched"}),
        ("those of a day", {"begins": folder}),
        ("denied ones of a folder where none is", {"verdict": "denied", "begins": "images/"}),
    ):
        yield f"an audit, {name}", f"{ADMIN}audit/{audit}/change/?{urlencode(asked)}"
    for name, asked in (
        ("no filter", {}),
        ("missing", {"verdict__exact": "missing"}),
        ("ambiguous", {"verdict__exact": "ambiguous"}),
        ("still open", {"closed_at__isempty": "1"}),
        ("closed", {"closed_at__isempty": "0"}),
        ("search: exact key", {"q": key}),
        ("search: begins with, nearly all", {"q": "images/20*"}),
    ):
        yield f"findings: {name}", f"{ADMIN}finding/?{urlencode(asked)}"
    yield "purges", f"{ADMIN}purge/"
    yield "a purge of very many", f"{ADMIN}purge/{done}/change/"
    yield "a purge of very many, restored ones", f"{ADMIN}purge/{done}/change/?restored=yes"
    yield "tombstones", f"{ADMIN}tombstone/"
    yield "tombstones: search, begins with", f"{ADMIN}tombstone/?q=gone/a*"
    yield "tombstones: restored ones", f"{ADMIN}tombstone/?restored_at__isempty=0"
    yield "failed reads", f"{ADMIN}failedread/"
    yield "notices", f"{ADMIN}notice/"
    yield "messages set aside", f"{ADMIN}setasidemessage/"
    yield "the plan of a purge of very many", f"{LIST}purge/{planned}/"


def changelist(client: Any, address: str) -> Any:
    """What a list's page was made of: only looked at, since looking takes time itself."""
    from django.test.utils import setup_test_environment, teardown_test_environment

    setup_test_environment()
    try:
        context = client.get(address).context
        return context.get("cl") if context is not None else None
    finally:
        teardown_test_environment()


def _deep(client: Any, asked: dict[str, str], middle: int) -> str:
    """A place in the middle of a list."""
    found = changelist(client, f"{LIST}?{urlencode(asked)}")
    rows = found.queryset
    value = {"pk": middle, "byte_file": "images/2022/"}[found.order.field]
    sign = "lt" if found.order.descending else "gt"
    place: str = found.order.place_of(rows.filter(**{f"{found.order.field}__{sign}": value})[0])
    return place
