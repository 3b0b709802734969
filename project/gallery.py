"""A page of images: each as its object, or as a placeholder that says why there is none.

Which of the two is read from the records and their findings. Rendering asks S3 nothing; signing a URL is
arithmetic.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from imagesync.models import Image
from imagesync.records import prefetch_verdicts

PAGE = 60


def gallery(request: HttpRequest) -> HttpResponse:
    page = Paginator(Image.objects.order_by("-created_at", "-pk"), PAGE).get_page(request.GET.get("page"))
    page.object_list = prefetch_verdicts(page.object_list, "file")
    response = render(request, "gallery.html", {"page": page})
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self' {_image_origin()}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return response


def _image_origin() -> str:
    parts = urlsplit(default_storage.url("x"))
    return f"{parts.scheme}://{parts.netloc}"
