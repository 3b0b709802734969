"""What signal receivers see of a deletion and of a return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models.signals import post_delete, post_save, pre_delete

from imagesync.models import Image
from imagesync.purge.restore_rows import put_back
from imagesync.purge.rows import consequences
from tests.django.helpers import preview
from tests.django.test_rows import image, purge
from tests.testapp import models as shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str, str]]]:
    events: list[tuple[str, str, str]] = []

    def deleted(sender: Any, instance: Any, signal: Any, **kwargs: Any) -> None:
        kind = "pre" if signal is pre_delete else "post"
        events.append((kind, sender.__name__, instance.file.name))

    for signal in (pre_delete, post_delete):
        signal.connect(deleted, sender=Image)
    yield events
    for signal in (pre_delete, post_delete):
        signal.disconnect(deleted, sender=Image)


def test_receivers_run_once_and_see_no_file(heard: list[Any]) -> None:
    record = image()
    found = consequences(record, using="default")
    assert found.receivers() == [f"{__name__}.heard.<locals>.deleted"]
    found.execute()
    assert heard == [("pre", "Image", ""), ("post", "Image", "")]


def test_receivers_of_a_return_hear_raw_and_a_preview_is_silent() -> None:
    copy = purge(image())
    events: list[bool] = []

    def saved(sender: Any, raw: bool, **kwargs: Any) -> None:
        events.append(raw)

    post_save.connect(saved, sender=Image)
    try:
        assert preview(copy, using="default") == []
        assert events == []
        assert put_back(copy, using="default") == []
        assert events == [True]
    finally:
        post_save.disconnect(saved, sender=Image)


class RemovesFiles:
    """What django-cleanup does, as a callable object: every file field of a deleted row loses its object."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def __call__(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        for field in instance._meta.fields:
            if hasattr(field, "storage") and getattr(instance, field.name).name:
                self.removed.append(getattr(instance, field.name).name)


@pytest.mark.parametrize("root", [shop.Child, shop.Picture])
def test_no_receiver_finds_a_file_in_either_half_of_a_row(root: Any) -> None:
    child = shop.Child.objects.create(file="images/c.jpg", scan="scans/c.pdf")
    removes = RemovesFiles()
    post_delete.connect(removes)
    try:
        found = consequences(root.objects.get(pk=child.pk), using="default")
        assert found.receivers() == [f"{__name__}.RemovesFiles"]
        found.execute()
    finally:
        post_delete.disconnect(removes)
    assert removes.removed == []
    assert not shop.Picture.objects.exists()
