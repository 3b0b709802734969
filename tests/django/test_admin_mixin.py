"""``ImageSyncAdminMixin``: verdicts in other people's lists, in one query for each page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.models import Finding
from imagesync.records.named import owner_of
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import run
from tests.settings import STORAGES
from tests.testapp.models import Album, Child, Document, MaybeFile, Picture, Product, Scan, TwoFiles

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.django.shop_admin")]

SHOP = "/shop/testapp/"


def found(record: Model, field: str, verdict: str, **values: Any) -> Finding:
    """An open finding about what the record names now, unless ``values`` say otherwise."""
    owner = owner_of(type(record), field)
    about = {
        "content_type": owner.content_type,
        "object_pk": str(owner.pk_of(record)),
        "field": field,
        "key": owner.key_of(str(getattr(record, field))),
        "fingerprint": owner.fingerprint,
        "opened_at": timezone.now(),
        "settled": True,
    }
    return Finding.objects.create(**{**about, "verdict": verdict, **values})


def column(client: Client, model: str, **asked: str) -> dict[str, str]:
    """What the column says, by the text of the row's link."""
    response = client.get(f"{SHOP}{model}/", asked)
    assert response.status_code == 200
    said = {}
    for row in re.findall(r"<tr>.*?</tr>", response.content.decode(), re.DOTALL):
        cell = re.search(r'class="field-imagesync_verdict[^"]*">(.*?)</t[dh]>', row, re.DOTALL)
        name = re.search(r'<th class="field-[^>]*><a [^>]*>(.*?)</a>', row)
        if cell and name:
            said[name[1]] = re.sub(r"<[^>]*>", "", cell[1])
    return said


def filtered(client: Client, model: str, verdict: str) -> set[Any]:
    response = client.get(f"{SHOP}{model}/", {"object": verdict})
    assert response.status_code == 200
    return {record.pk for record in response.context["cl"].result_list}


def test_column__tells_open_findings_about_the_present_file(admin_client: Client) -> None:
    names = ("gone", "fine", "none", "renamed", "elsewhere", "healed", "denied after")
    products = {
        name: Product.objects.create(name=name, photo="" if name == "none" else f"{name}.jpg")
        for name in names
    }
    found(products["gone"], "photo", "missing")
    found(products["renamed"], "photo", "missing", key="old.jpg")
    found(products["elsewhere"], "photo", "missing", fingerprint="ab")
    found(products["healed"], "photo", "missing", closed_at=timezone.now())
    found(products["denied after"], "photo", "missing")
    found(products["denied after"], "photo", "denied", reason="access_denied")

    said = column(admin_client, "product")

    nothing = "no finding"
    assert said == {
        "gone": "missing", "fine": nothing, "none": "no file", "renamed": nothing, "elsewhere": nothing,
        "healed": nothing, "denied after": "missing",
    }  # fmt: skip
    assert filtered(admin_client, "product", "missing") == {products["gone"].pk, products["denied after"].pk}
    assert filtered(admin_client, "product", "denied") == {products["denied after"].pk}
    assert filtered(admin_client, "product", "none") == {
        products[name].pk for name in ("fine", "renamed", "elsewhere", "healed")
    }


def test_column__of_records_that_remember_is_their_own_word(admin_client: Client) -> None:
    seen = Picture.objects.create(file="a.jpg", title="seen", verdict="present")
    Picture.objects.create(file="b.jpg", title="new")
    child = Child.objects.create(file="c.jpg", title="child", verdict="missing")

    assert column(admin_client, "picture") == {"seen": "present", "new": "unchecked", "child": "missing"}
    assert column(admin_client, "child") == {"child": "missing"}
    assert filtered(admin_client, "picture", "present") == {seen.pk}
    assert filtered(admin_client, "child", "missing") == {child.pk}


def test_filter__knows_every_kind_of_primary_key(admin_client: Client) -> None:
    gone, fine = Document.objects.create(document="a.pdf"), Document.objects.create(document="b.pdf")
    scan = Scan.objects.create(page="p.jpg")
    child = Child.objects.create(file="c.jpg", scan="s.jpg")
    found(gone, "document", "missing")
    found(scan, "page", "recoverable")
    found(child, "file", "archived")

    assert filtered(admin_client, "document", "missing") == {gone.pk}
    assert filtered(admin_client, "document", "none") == {fine.pk}
    assert filtered(admin_client, "scan", "recoverable") == {scan.pk}
    assert filtered(admin_client, "scan", "none") == set()


def test_filter__refuses_what_it_does_not_know(admin_client: Client) -> None:
    response = admin_client.get(f"{SHOP}product/", {"object": "present"})

    assert (response.status_code, response["Location"]) == (302, f"{SHOP}product/?e=1")


def test_column__stands_where_the_admin_puts_it_and_is_of_the_named_field(admin_client: Client) -> None:
    two = TwoFiles.objects.create(file="a.jpg", thumbnail="t.jpg")
    found(two, "file", "missing")
    found(two, "thumbnail", "archived")

    response = admin_client.get(f"{SHOP}twofiles/")

    assert response.context["cl"].list_display.count("imagesync_verdict") == 1
    assert ">archived</span>" in response.content.decode()
    assert filtered(admin_client, "twofiles", "archived") == {two.pk}
    assert filtered(admin_client, "twofiles", "missing") == set()


@pytest.mark.parametrize("model", ["product", "picture"])
def test_queries__are_one_for_the_findings_of_a_page(admin_client: Client, model: str) -> None:
    def fill(number: int) -> None:
        for _ in range(number):
            found(Product.objects.create(name="x", photo="x.jpg"), "photo", "missing")
            found(Picture.objects.create(file="x.jpg", verdict="missing"), "file", "missing")

    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(f"{SHOP}{model}/").status_code == 200
        return [query["sql"] for query in context.captured_queries]

    fill(2)
    queries()
    few = queries()
    fill(30)
    many = queries()

    assert len(many) == len(few)
    assert sum("imagesync_finding" in sql for sql in many) == 1


def test_column__does_not_disturb_editing_in_the_list(admin_client: Client) -> None:
    product = Product.objects.create(name="chair", photo="a.jpg")
    found(product, "photo", "missing")

    form = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": product.pk,
        "form-0-price": "7.50",
        "_save": "Save",
    }
    response = admin_client.post(f"{SHOP}product/", form)

    assert response.status_code == 302
    product.refresh_from_db()
    assert str(product.price) == "7.50"
    assert column(admin_client, "product") == {"chair": "missing"}


def test_actions__are_offered_for_files_to_those_who_may(admin_client: Client, client: Client) -> None:
    MaybeFile.objects.create(file="a.jpg")

    Album.objects.create(title="no file")

    assert 'value="recheck"' in admin_client.get(f"{SHOP}maybefile/").content.decode()
    assert 'value="recheck"' not in admin_client.get(f"{SHOP}album/").content.decode()
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get(f"{SHOP}maybefile/").status_code == 403


@pytest.mark.parametrize("model", ["album", "product"])
def test_models_without_files_on_s3__are_left_as_they_are(admin_client: Client, model: str) -> None:
    on_disk = {**STORAGES, "default": STORAGES["disk"]} if model == "product" else STORAGES
    with override_settings(STORAGES=on_disk):
        forget_default_storage()
        response = admin_client.get(f"{SHOP}{model}/")
        assert response.status_code == 200
        assert "imagesync_verdict" not in response.context["cl"].list_display
        assert "object" not in {
            getattr(one, "parameter_name", "") for one in response.context["cl"].list_filter
        }
    forget_default_storage()


def test_field__that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, admin_client: Client) -> None:
    from tests.django.shop_admin import TwoFilesAdmin

    monkeypatch.setattr(TwoFilesAdmin, "imagesync_field", "uploaded_at")

    with pytest.raises(ValueError, match="uploaded_at is not a file field"):
        admin_client.get(f"{SHOP}twofiles/")


def test_column__of_an_image_list_that_is_paged_by_keys(admin_client: Client) -> None:
    """The mixin and the list of images go together: neither undoes the other's list."""
    from imagesync.admin import ImageAdmin, ImageSyncAdminMixin
    from imagesync.admin.paging import KeysetChangeList
    from imagesync.models import Image

    class Both(ImageSyncAdminMixin, ImageAdmin):
        pass

    both = Both(Image, admin.AdminSite())

    assert issubclass(both.get_changelist(None), KeysetChangeList)  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_column__after_an_audit(s3: EmbeddedS3, admin_client: Client) -> None:
    Product.objects.create(name="here", photo="here.jpg")
    Product.objects.create(name="gone", photo="gone.jpg")
    s3.put(BUCKET, "media/here.jpg")
    with override_settings(STORAGES=storages_at(s3.url, location="media")):
        forget_default_storage()
        run("check_s3_images")
        said = column(admin_client, "product")
        found_by_filter = filtered(admin_client, "product", "missing")
    forget_default_storage()

    assert said == {"here": "no finding", "gone": "missing"}
    assert found_by_filter == {Product.objects.get(name="gone").pk}
