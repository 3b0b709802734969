"""``{% load imagesync %}``: a picture, or a placeholder that says why there is none. Nothing asks S3."""

from __future__ import annotations

from typing import Any

from django import template
from django.db.models.fields.files import FieldFile

from imagesync.models import AbstractImage
from imagesync.placeholders import NOTHING, Picture, picture_of

register = template.Library()

_ONLY_ON_PICTURES = ("decoding", "fetchpriority", "loading", "sizes", "referrerpolicy", "crossorigin")


@register.simple_tag
def image_url(image: Any, verdict: str | None = None) -> str:
    """The URL of ``image``, or of a static placeholder.

    ``image`` is a record made from ``AbstractImage``, or any model's file field::

        <img src="{% image_url image %}" alt="{{ image.placeholder_text|default:image.title }}">
    """
    return _picture(image, verdict=verdict).url_or_placeholder


@register.simple_tag
def image_text(image: Any, verdict: str | None = None) -> str:
    """What happened to the file, as alternative text; what the picture is called when nothing did."""
    picture = _picture(image, verdict=verdict)
    return picture.placeholder_text or picture.name


@register.inclusion_tag("imagesync/image.html")
def image_tag(
    image: Any, alt: str | None = None, verdict: str | None = None, **attributes: Any
) -> dict[str, Any]:
    """An ``<img>``, or an inline ``<svg>`` that fits any box: no script, no style, no request.

    ``alt`` is the alternative text (default: what the picture is called); all other arguments become
    attributes (``data_id`` becomes ``data-id``). ``width`` and ``height`` are those that the record remembers,
    ``loading`` is ``lazy``, unless given::

        {% image_tag image class="picture" %}
        {% image_tag product.photo alt=product.name width=320 height=240 %}
    """
    picture = _picture(image, verdict=verdict, name=alt or "")
    given = {"width": picture.width, "height": picture.height, "loading": "lazy", **attributes}
    unwanted = () if picture.placeholder is None else _ONLY_ON_PICTURES
    kept = {
        # as text: a number would be written with the separators of the page's language
        name.replace("_", "-"): str(value)
        for name, value in given.items()
        if value not in (None, "") and name not in unwanted
    }
    return {"picture": picture, "alt": picture.name if alt is None else alt, "attributes": kept}


def _picture(image: Any, *, verdict: str | None, name: str = "") -> Picture:
    if image is None or isinstance(image, str):  # a relation that is empty, a variable that is not there
        return NOTHING
    file = image.file if isinstance(image, AbstractImage) else image
    if not isinstance(file, FieldFile):
        raise TypeError(f"An image or a file field is expected, not a {type(image).__name__}.")
    return picture_of(file, verdict=verdict, name=name)


@register.filter
def thousands(number: Any) -> str:
    """A whole number as people read it: ``1,200,000``."""
    return f"{int(number or 0):,}"
