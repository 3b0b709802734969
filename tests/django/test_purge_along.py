"""What goes along with a record is held against the plan that somebody confirmed, and against the store too."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import ModelAdmin
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import User
from django.test import RequestFactory

from imagesync.jobs.rights import Rights
from imagesync.models import Image, Purge, Tombstone
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Source
from imagesync.storage.memory import MemoryStore
from tests.conftest import MakeSource
from tests.django.helpers import audited, make_images, plan
from tests.testapp.models import Album, Child, Cover, Picture, Product, ProductImage

pytestmark = pytest.mark.django_db(transaction=True)

World = tuple[MemoryStore, Source]


@pytest.fixture
def half(four_of_seven: World) -> World:
    """Four present, three missing (x.jpg, y.jpg, z.jpg), audited."""
    audited(four_of_seven[1])
    return four_of_seven


def why_kept(purge: Purge) -> dict[str, str]:
    return {entry["key"]: entry["why"] for entry in purge.plan["keep"]}


def test_purge__keeps_a_record_to_which_more_was_attached_since_the_plan(half: World) -> None:
    _store, source = half
    purge = plan(source)
    ProductImage.objects.bulk_create(
        ProductImage(image=Image.objects.get(file="x.jpg"), position=number) for number in range(50)
    )

    execute_plan(purge, source)

    assert purge.counts == {"planned": 3, "deleted": 2, "cleared": 0, "kept": 1}
    assert why_kept(purge) == {
        "x.jpg": "more would go along than was planned (testapp.ProductImage: 50 instead of 0); the next purge takes it"
    }
    assert ProductImage.objects.count() == 50


def test_purge__keeps_a_record_on_which_more_depends_than_was_planned(half: World) -> None:
    """What would only be changed counts as well, and each kind for itself."""
    _store, source = half
    image = Image.objects.get(file="x.jpg")
    uses = [ProductImage.objects.create(image=image, position=number) for number in range(3)]
    purge = plan(source, max_ratio=2.0)
    for use in uses:
        use.delete()
    cover = Cover.objects.create(image=image, title="cover")

    execute_plan(purge, source)

    assert "testapp.Cover: 1 instead of 0" in why_kept(purge)["x.jpg"]
    cover.refresh_from_db()
    assert cover.image_id == image.pk


def test_purge__takes_a_record_of_which_no_more_depends_than_was_planned(half: World) -> None:
    _store, source = half
    image = Image.objects.get(file="x.jpg")
    album = Album.objects.create(title="album")
    album.images.add(image, Image.objects.get(file="y.jpg"))
    uses = [ProductImage.objects.create(image=image, position=number) for number in range(3)]
    purge = plan(source, max_ratio=2.0)
    for use in uses[:2]:
        use.delete()

    execute_plan(purge, source)

    assert purge.counts["deleted"] == 3
    assert not ProductImage.objects.exists()


def test_purge__keeps_what_somebody_may_not_delete_that_was_attached_since_the_plan(
    half: World, admin_user: User
) -> None:
    class NobodyDeletes(ModelAdmin):  # type: ignore[type-arg]
        def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
            return False

    _store, source = half
    site = AdminSite("shop")
    site.register(Image, ModelAdmin)
    site.register(ProductImage, NobodyDeletes)
    request = RequestFactory().get("/")
    request.user = admin_user
    rights = Rights(request, site, Image)
    purge = make_plan(
        source,
        audited(source),
        limits=limits_from_settings(),
        user=admin_user,
        objection=rights.objection,
    )
    use = ProductImage.objects.create(
        image=Image.objects.get(file="x.jpg"), product=Product.objects.create(name="house")
    )
    assert rights.denied(purge, source) == ""

    execute_plan(purge, source)

    assert ProductImage.objects.filter(pk=use.pk).exists()
    assert purge.counts["deleted"] == 2


@pytest.fixture
def a_child(memory_source: MakeSource, settings: Any) -> tuple[Source, Child]:
    """Both of its files are missing; a purge of its own field takes its parent's along."""
    settings.IMAGESYNC = {
        **settings.IMAGESYNC,
        "GRACE_PERIOD": "0s",
        "FIELDS": {
            "testapp.Child.scan": "delete",
            "testapp.Picture.file": "report",
            "testapp.Child.file": "report",
        },
    }
    store, source = memory_source()
    make_images(*(f"{number}.jpg" for number in range(9)))
    for number in range(9):
        store.put(f"{number}.jpg")
    child = Child.objects.create(file="gone.jpg", scan="scans/gone.jpg", caption="a child")
    audited(source)
    return source, child


def test_plan__keeps_what_would_take_a_file_along_that_was_last_seen_elsewhere(
    a_child: tuple[Source, Child],
) -> None:
    source, child = a_child
    assert plan(source).counts["planned"] == 1
    Picture.objects.filter(pk=child.pk).update(store="0" * 16)

    assert why_kept(plan(source))["scans/gone.jpg"] == (
        "another file field, testapp.Picture.file, names an object that was last seen in another store"
    )


def test_purge__keeps_what_would_take_a_file_along_that_was_last_seen_elsewhere(
    a_child: tuple[Source, Child],
) -> None:
    source, child = a_child
    purge = plan(source)
    Picture.objects.filter(pk=child.pk).update(store="0" * 16)

    execute_plan(purge, source)

    assert why_kept(purge)["scans/gone.jpg"].endswith("that was last seen in another store")
    assert Child.objects.filter(pk=child.pk).exists()
    assert not Tombstone.objects.exists()


def test_purge__takes_a_file_along_that_was_last_seen_here(a_child: tuple[Source, Child]) -> None:
    source, child = a_child
    Picture.objects.filter(pk=child.pk).update(store=source.store.identity.fingerprint)

    execute_plan(plan(source), source)

    assert not Picture.objects.filter(pk=child.pk).exists()
