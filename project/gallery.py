"""A page of images: each as its object, or as a placeholder that says why there is none.

Which of the two is read from the record. Rendering asks S3 nothing; signing a URL is arithmetic.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError
from django.core.exceptions import SuspiciousOperation
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from imagesync.core.verdicts import Verdict
from imagesync.models import Image

PAGE = 60
LOADABLE = {Verdict.PRESENT.value, Verdict.UNCHECKED.value}
WHY = {
    Verdict.MISSING.value: "The file is gone from the store.",
    Verdict.RECOVERABLE.value: "The file was deleted and can be brought back.",
    Verdict.ARCHIVED.value: "The file is in the archive.",
    Verdict.MISMATCHED.value: "The file is empty or not the one that was stored.",
    Verdict.AMBIGUOUS.value: "The file's name cannot be told exactly.",
    Verdict.DENIED.value: "The store refused to say whether the file is there.",
    Verdict.UNKNOWN.value: "Nobody could look whether the file is there.",
}
NO_ADDRESS = "The record names no file that has an address."


def gallery(request: HttpRequest) -> HttpResponse:
    page = Paginator(Image.objects.order_by("-created_at", "-pk"), PAGE).get_page(request.GET.get("page"))
    for image in page:
        image.shown_url = _url(image) if image.verdict in LOADABLE else ""
        image.why = WHY.get(image.verdict, NO_ADDRESS)
        image.name = image.title or image.file.name or f"image {image.pk}"
    response = render(request, "gallery.html", {"page": page})
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self' {_image_origin()}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return response


def _url(image: Image) -> str:
    """Its address; empty for a name that has none, so that one odd record does not cost the page."""
    try:
        return image.file.url
    except (ValueError, SuspiciousOperation, BotoCoreError):
        return ""


def _image_origin() -> str:
    parts = urlsplit(default_storage.url("x"))
    return f"{parts.scheme}://{parts.netloc}"
