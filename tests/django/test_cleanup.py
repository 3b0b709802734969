"""With django-cleanup at work, a purge deletes no object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagesync.models import Image
from imagesync.purge import execute as execution
from imagesync.purge.execute import execute_plan
from imagesync.records import find_sources
from imagesync.records.receivers import deletion_receivers
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.doctoring import examined_at
from tests.django.helpers import audited, make_images, plan

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def django_cleanup() -> Iterator[None]:
    """What its AppConfig does when it is installed."""
    from django.db.models.signals import post_delete, post_init, post_save, pre_save
    from django_cleanup import cache, handlers

    cache.prepare(select_mode=False)
    handlers.connect()
    yield
    for signal in (post_init, pre_save, post_save, post_delete):
        signal.receivers = [one for one in signal.receivers if "_django_cleanup_" not in str(one[0][0])]
        signal.sender_receivers_cache.clear()
    cache.FIELDS.clear()


def test_cleanup__is_at_work_here(s3: EmbeddedS3, django_cleanup: None) -> None:
    make_images("a.jpg")
    s3.put(BUCKET, "a.jpg")

    Image.objects.get(file="a.jpg").delete()

    assert s3.keys_in(BUCKET) == []


def test_purge__deletes_no_object_even_one_put_back_in_the_last_moment(
    s3: EmbeddedS3, django_cleanup: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images("a.jpg", "b.jpg", "gone.jpg")
    for key in ("a.jpg", "b.jpg"):
        s3.put(BUCKET, key)
    [source, *_others] = find_sources()
    audited(source)
    purge = plan(source)
    honest = execution.look_all

    def put_back_after_the_last_look(*args, **kwargs):
        yield from honest(*args, **kwargs)
        s3.put(BUCKET, "gone.jpg")

    monkeypatch.setattr(execution, "look_all", put_back_after_the_last_look)

    execute_plan(purge, source)

    assert not Image.objects.filter(file="gone.jpg").exists()
    assert s3.keys_in(BUCKET) == ["a.jpg", "b.jpg", "gone.jpg"]


def test_doctor__tells_of_django_cleanup_and_of_what_makes_it_dangerous(
    s3: EmbeddedS3, django_cleanup: None
) -> None:
    calm, dangerous = examined_at(s3.url), examined_at(s3.url, file_overwrite=True)

    assert calm.diagnoses == dangerous.diagnoses == {"cleanup_installed": "warning"}
    assert "imagesync.Image" in calm.diagnosis("cleanup_installed")["fact"]
    assert "others still need" not in calm.told
    assert "others still need" in dangerous.diagnosis("cleanup_installed")["fact"]


def test_cleanup__is_not_at_work_elsewhere() -> None:
    """What the fixture connects, it disconnects: other tests delete records, too."""
    assert [path for path in deletion_receivers(Image) if path.startswith("django_cleanup")] == []
