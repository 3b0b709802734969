"""What the tests of scans share: three pages of records, and pages of a listing that are changed on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imagesync.models import Image
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import make_images

Page = dict[str, Any]

NAMES = [f"{number:05}.jpg" for number in range(2_500)]
OF_AUDIT = 1000
"""The preflight asks for two keys."""


def filled(memory_source: MakeSource, *, gone: int = 5) -> tuple[MemoryStore, Source]:
    """Three pages of records, the first and the last of which are gone."""
    store, source = memory_source()
    make_images(*NAMES)
    for name in NAMES[gone : len(NAMES) - gone]:
        store.put(name)
    return store, source


def each_page(store: MemoryStore, change: Callable[[dict[str, Any], Page, int], None]) -> None:
    """Have ``change(asked, page, number)`` spoil the pages of audits; the preflight's stay as they are."""
    honest = store.list_page
    number = 0

    def spoilt(**asked: Any) -> Any:
        nonlocal number
        answer = honest(**asked)
        if asked.get("max_keys", OF_AUDIT) >= OF_AUDIT:
            change(asked, answer.page, number)  # type: ignore[arg-type]
            number += 1
        return answer

    store.list_page = spoilt  # type: ignore[method-assign]


def missing() -> set[str]:
    return set(Image.objects.filter(verdict="missing").values_list("file", flat=True))
