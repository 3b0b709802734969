"""What a page shows for a file: decided from stored words, harmless whatever a title or a key holds."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.contrib.staticfiles import finders
from django.core.files.storage import storages
from django.template import Context, Template
from django.utils import timezone

from imagesync.core.verdicts import Reason, Verdict
from imagesync.models import Finding, Image
from imagesync.placeholders import Placeholder, harmless, picture_of, placeholder_text, url_or_placeholder
from imagesync.records import find_sources, prefetch_verdicts
from imagesync.records.named import owner_of
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET, forget_default_storage, storages_at
from tests.django.helpers import audited, make_images
from tests.testapp.models import Child, Document, Picture, PictureProxy, Product

pytestmark = pytest.mark.django_db

HIDDEN = {Verdict.MISSING, Verdict.RECOVERABLE, Verdict.ARCHIVED}
HOSTILE = (
    '"><script>alert(1)</script>',
    "' onerror='alert(1)",
    "{{ settings.SECRET_KEY }}",
    "=cmd|' /C calc'!A0",
    "\x1b[31mred",
    "a\nb",
    "\u202egpj.exe",
    "&amp;",
    "n" * 255,
)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def rendered(source: str, **context: Any) -> str:
    return Template("{% load imagesync %}" + source).render(Context(context))


def product_finding(product: Product, verdict: str = "missing", **values: Any) -> Finding:
    owner = owner_of(Product, "photo")
    found = {
        "fingerprint": owner.fingerprint,
        "content_type": owner.content_type,
        "object_pk": str(product.pk),
        "field": "photo",
        "key": product.photo.name,
        "verdict": verdict,
        "opened_at": timezone.now(),
        "settled": True,
        **values,
    }
    return Finding.objects.create(**found)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_image__is_hidden_only_by_a_verdict_that_no_browser_could_load(verdict: Verdict) -> None:
    image = Image(file="kitchen.jpg", title="Kitchen", verdict=verdict.value)

    if verdict in HIDDEN:
        assert image.url_or_placeholder == f"/static/imagesync/placeholder-{verdict}.svg"
        assert '"Kitchen"' in image.placeholder_text
    else:
        assert "/kitchen.jpg?" in image.url_or_placeholder
        assert image.placeholder_text == ""


def test_image__says_what_happened() -> None:
    assert Image(file="k.jpg", title="Kitchen", verdict="missing").placeholder_text == (
        'The file of "Kitchen" is gone.'
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", 'There is no file for "#7".'),
        ("../../etc/passwd", 'There is no file for "passwd".'),
    ],
)
def test_image__without_an_address_is_a_placeholder(name: str, text: str, settings: Any) -> None:
    settings.STORAGES = storages_at("http://127.0.0.1:9", location="media")
    forget_default_storage()
    image = Image(pk=7, file=name)

    assert image.url_or_placeholder == "/static/imagesync/placeholder-no-address.svg"
    assert image.placeholder_text == text


def test_image__that_nobody_can_sign_for_is_a_placeholder_and_the_log_says_why(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    settings.STORAGES = storages_at("http://127.0.0.1:9", access_key=None, secret_key=None)
    forget_default_storage()

    shown = Image(file="there.jpg", verdict="present").url_or_placeholder
    forget_default_storage()

    assert shown == "/static/imagesync/placeholder-no-address.svg"
    assert "NoCredentialsError" in caplog.text


@pytest.mark.parametrize("placeholder", list(Placeholder))
def test_static_svg__is_served_and_needs_nothing_that_a_strict_policy_forbids(
    placeholder: Placeholder,
) -> None:
    path = finders.find(placeholder.url.removeprefix("/static/"))
    assert path is not None
    text = Path(path).read_text()
    root = ElementTree.fromstring(text)

    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "rect", "path"}
    assert not {"style", "href", "onload"} & {name for element in root.iter() for name in element.attrib}
    assert f'd="{placeholder.glyph}"' in text
    # no viewBox outside: it has no shape of its own, so it fills any box; the glyph keeps its shape
    assert "viewBox" not in root.attrib
    assert root.find("{*}svg").get("preserveAspectRatio") == "xMidYMid meet"  # type: ignore[union-attr]


def test_image_tag__a_placeholder_is_an_inline_svg_that_says_what_happened() -> None:
    image = Image(file="k.jpg", title="Kitchen", verdict="missing", width=4000, height=3000)

    page = rendered('{% image_tag image class="picture" sizes="50vw" data_id=1234 %}', image=image)

    svg = ElementTree.fromstring(page)
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert (svg.get("role"), svg.get("aria-label")) == ("img", 'The file of "Kitchen" is gone.')
    assert svg.findtext("{*}title") == 'The file of "Kitchen" is gone.'
    assert (svg.get("class"), svg.get("data-id"), svg.get("sizes")) == ("picture", "1234", None)
    assert (svg.get("width"), svg.get("height")) == ("4000", "3000")
    for word in ("style", "script", "href", "data:", "onerror"):
        assert word not in page
    assert 'stroke="currentColor"' in page


def test_image_tag__a_picture_is_an_img_with_alt_and_the_size_that_is_remembered(settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    image = Image(file="k.jpg", title="Kitchen", verdict="present", width=4000, height=3000)

    (attributes,) = Elements(rendered("{% image_tag image %}", image=image)).of("img")

    assert attributes.pop("src") == image.url_or_placeholder
    assert attributes == {"alt": "Kitchen", "width": "4000", "height": "3000", "loading": "lazy"}


def test_image_tag__what_is_given_wins_over_what_is_remembered() -> None:
    image = Image(file="k.jpg", title="Kitchen", verdict="present", width=4000, height=3000)
    tag = '{% image_tag image alt="" width=320 height=None loading="eager" %}'

    (attributes,) = Elements(rendered(tag, image=image)).of("img")

    del attributes["src"]
    assert attributes == {"alt": "", "width": "320", "loading": "eager"}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("verdict", ["missing", "present"])
def test_tags__a_hostile_title_or_key_stays_text(hostile: str, verdict: str) -> None:
    titled = Image(file="k.jpg", title=hostile, verdict=verdict)
    named = Image(file=hostile, title="", verdict=verdict)
    page = rendered(
        '{% for image in images %}{% image_tag image %}<img src="{% image_url image %}" '
        'alt="{% image_text image %}">{{ image.placeholder_text }}{% endfor %}',
        images=[titled, named],
    )

    elements = Elements(page)
    assert {tag for tag, _ in elements.found} <= {"img", "svg", "title", "rect", "path", "text"}
    for attributes in elements.of("img"):
        assert set(attributes) <= {"src", "alt", "loading"}
    assert not {"\x1b", "\u202e"} & set(page)
    if verdict == "missing":
        assert elements.of("svg")[0]["aria-label"] == f'The file of "{harmless(hostile)}" is gone.'


def test_harmless__leaves_real_names_as_they_are() -> None:
    for name in ("Küche №1", "می‌خواهم", "👩‍🍳 in the kitchen", "שלום", "a\\b"):
        assert harmless(name) == name


@pytest.mark.parametrize("nothing", [None, "", "not a record"])
def test_tags__where_there_is_no_record_the_page_still_renders(nothing: Any) -> None:
    page = rendered("{% image_tag image %}{% image_url image %}", image=nothing)

    assert 'aria-label="There is no file."' in page
    assert page.endswith("placeholder-no-address.svg")


def test_tags__refuse_what_has_no_file() -> None:
    with pytest.raises(TypeError, match="not a Product"):
        rendered("{% image_url product %}", product=Product(name="chair"))


def test_other_models__are_shown_unless_a_verdict_is_given() -> None:
    product = Product(pk=1, name="chair", photo="products/chair.jpg")

    assert "/products/chair.jpg?" in url_or_placeholder(product.photo)
    assert url_or_placeholder(product.photo, verdict="missing").endswith("/placeholder-missing.svg")
    assert placeholder_text(product.photo, verdict="archived", name=product.name) == (
        'The file of "chair" is archived and cannot be shown now.'
    )
    with pytest.raises(ValueError, match="gone"):
        url_or_placeholder(product.photo, verdict="gone")
    page = rendered('{% image_tag product.photo alt=product.name verdict="missing" %}', product=product)
    assert "The file of &quot;chair&quot; is gone." in page


def test_prefetch__takes_the_verdict_of_the_open_finding() -> None:
    gone, there = (
        Product.objects.create(name=name, photo=f"products/{name}.jpg") for name in ("gone", "there")
    )
    product_finding(gone)

    page = prefetch_verdicts(Product.objects.order_by("pk"), "photo")

    assert page == [gone, there]
    assert [picture_of(one.photo).placeholder for one in page] == [Placeholder.MISSING, None]
    assert 'alt="gone.jpg"' not in rendered("{% image_tag one.photo %}", one=page[0])


@pytest.mark.parametrize(
    "changed",
    [
        {"closed_at": timezone.now()},
        {"settled": False},
        {"key": "products/before-it-was-replaced.jpg"},
        {"fingerprint": "0123456789abcdef"},
        {"object_pk": "0"},
        {"field": "other"},
        {"verdict": "unknown"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_prefetch__a_finding_that_is_not_about_this_file_hides_nothing(changed: dict[str, Any]) -> None:
    product = Product.objects.create(name="chair", photo="products/chair.jpg")
    product_finding(product, **changed)

    (found,) = prefetch_verdicts([product], "photo")

    assert picture_of(found.photo).placeholder is None


def test_prefetch__what_is_known_counts_beside_a_look_that_failed() -> None:
    product = Product.objects.create(name="chair", photo="products/chair.jpg")
    product_finding(product, "unknown", reason=Reason.TIMED_OUT)
    product_finding(product, "missing")
    product_finding(product, "denied")

    (found,) = prefetch_verdicts([product], "photo")

    assert picture_of(found.photo).placeholder is Placeholder.MISSING


def test_prefetch__a_second_time_forgets_what_is_over() -> None:
    product = Product.objects.create(name="chair", photo="products/chair.jpg")
    product_finding(product)
    prefetch_verdicts([product], "photo")
    Finding.objects.all().delete()

    prefetch_verdicts([product], "photo")

    assert picture_of(product.photo).placeholder is None


def test_prefetch__finds_the_owner_of_a_field_through_proxies_and_children() -> None:
    child = Child.objects.create(file="c.jpg", title="Child", scan="scans/c.jpg")
    owner, scans = owner_of(Picture, "file"), owner_of(Child, "scan")
    for one, field, key in ((owner, "file", "c.jpg"), (scans, "scan", "scans/c.jpg")):
        product_finding(Product(pk=child.pk, photo=key), content_type=one.content_type, field=field)
    Picture.objects.update(verdict="missing")

    (proxied,) = prefetch_verdicts(PictureProxy.objects.all(), "file")
    (found,) = prefetch_verdicts(prefetch_verdicts(Child.objects.all(), "file"), "scan")

    assert picture_of(proxied.file).placeholder is Placeholder.MISSING
    assert picture_of(found.file).placeholder is Placeholder.MISSING
    assert picture_of(found.scan).placeholder is Placeholder.MISSING


def test_prefetch__an_image_that_was_replaced_is_shown_although_its_finding_is_open(s3: EmbeddedS3) -> None:
    (image,) = make_images("k.jpg")
    s3.put(BUCKET, "other.jpg")
    audited(find_sources()[0])
    assert Image.objects.get().url_or_placeholder.endswith("placeholder-missing.svg")
    Image.objects.filter(pk=image.pk).update(verdict="unchecked")  # as an upload under the same name does

    (found,) = prefetch_verdicts(Image.objects.all(), "file")

    assert "/k.jpg?" in found.url_or_placeholder


def test_prefetch__works_for_files_elsewhere_and_refuses_what_is_no_file_field() -> None:
    field = Product._meta.get_field("photo")
    on_s3 = field.storage
    field.storage = storages["disk"]
    try:
        product = Product(pk=1, photo="chair.jpg")
        assert prefetch_verdicts([product], "photo") == [product]
        assert picture_of(product.photo).placeholder is None
    finally:
        field.storage = on_s3
    with pytest.raises(ValueError, match="not a file field"):
        prefetch_verdicts([Product(pk=1)], "name")
    with pytest.raises(ValueError, match="no field 'nope'"):
        prefetch_verdicts([Product(pk=1)], "nope")


def test_page_of_sixty__costs_no_query_per_image_and_no_request(
    s3: EmbeddedS3, django_assert_num_queries: Any
) -> None:
    s3.put(BUCKET, "there.jpg")
    make_images("there.jpg", *(f"{number}.jpg" for number in range(59)))
    Product.objects.bulk_create(Product(name=f"p{number}", photo=f"p/{number}.jpg") for number in range(60))
    Document.objects.bulk_create(Document(document=f"d/{number}.pdf") for number in range(60))
    audited(find_sources()[0])
    template = Template(
        "{% load imagesync %}{% for image in images %}{% image_tag image %}{% image_url image %}{% endfor %}"
        "{% for one in products %}{% image_tag one.photo alt=one.name %}{% image_url one.photo %}{% endfor %}"
        "{% for one in documents %}{% image_text one.document %}{% endfor %}"
    )
    s3.requests.clear()

    with django_assert_num_queries(1 + 2 + 2):
        images = Image.objects.order_by("pk")
        products = prefetch_verdicts(Product.objects.all(), "photo")
        documents = prefetch_verdicts(Document.objects.all(), "document")
        page = template.render(Context({"images": images, "products": products, "documents": documents}))

    assert not s3.requests
    assert (page.count("<img "), page.count("<svg xmlns")) == (1, 59 + 60)
    assert page.count("is gone.") == 2 * (59 + 60) + 60


@pytest.mark.parametrize(
    "tag", ["{% image_url image verdict=nothing.there %}", "{% image_tag image verdict='' %}"]
)
def test_image__an_empty_verdict_is_none_given(tag: str) -> None:
    image = Image(file="a.jpg", verdict="missing")

    shown = Template("{% load imagesync %}" + tag).render(Context({"image": image}))

    assert "placeholder-missing" in shown or "<svg" in shown


def test_image__whose_signers_role_cannot_be_assumed_is_a_placeholder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_args: Any, **_options: Any) -> str:
        raise ClientError({"Error": {"Code": "ExpiredToken"}}, "AssumeRole")

    monkeypatch.setattr("storages.backends.s3.S3Storage.url", refused)

    assert picture_of(Image(file="a.jpg").file).placeholder is Placeholder.NO_ADDRESS
