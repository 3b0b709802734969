"""Tombstones written many at a time are those that Django writes one by one."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType

from imagesync.models import Image, Purge, Tombstone
from imagesync.purge.tombs import write_tombstones

pytestmark = pytest.mark.django_db

TEXTS = ["", "a", "\\N", "\\.", "tab\tline\nreturn\r", "\\\\ \" ' {}", "\U0001f5ff", "\x01\x7f"]


def test_write_tombstones__are_as_django_writes_them() -> None:
    purge = Purge.objects.create(fingerprint="f")
    about = {"purge_id": purge.pk, "content_type_id": ContentType.objects.get_for_model(Image).pk}
    stones: list[dict[str, Any]] = [
        {
            **about,
            "object_pk": text,
            "field": text,
            "key": text,
            "action": "delete",
            "rows": text,
            "evidence": {"status": 404, "at": None, text: [text, True, 1.5]},
        }
        for text in TEXTS
    ]
    for stone in stones:
        Tombstone(**stone).save()
    one_by_one = list(Tombstone.objects.order_by("pk"))

    write_tombstones(stones)
    write_tombstones([])

    together = list(Tombstone.objects.order_by("pk"))[len(TEXTS) :]
    assert [told(one) for one in together] == [told(one) for one in one_by_one]
    assert all(one.purged_at >= one_by_one[-1].purged_at for one in together)


def told(stone: Tombstone) -> dict[str, Any]:
    names = [field.attname for field in Tombstone._meta.concrete_fields]
    return {name: getattr(stone, name) for name in names if name not in ("id", "purged_at")}
