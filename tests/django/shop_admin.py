"""Somebody's own admin site, with other people's models in it; to be used as ROOT_URLCONF."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import path

from imagesync.admin import ImageAdmin, ImageSyncAdminMixin
from imagesync.models import Image
from tests.testapp.models import Album, Child, Cover, Document, MaybeFile, Picture, Product, Scan, TwoFiles

site = admin.AdminSite(name="shop")
site.register(Image, ImageAdmin)
site.register([Cover])


@admin.register(Product, site=site)
class ProductAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    list_display = ["name", "price"]
    list_editable = ["price"]
    list_filter = ["created_at"]
    list_per_page = 50


@admin.action(description="Greet", permissions=["view"])
def greet(_admin: Any, _request: HttpRequest, _rows: Any) -> None:
    """Does nothing."""


@admin.register(Picture, Child, Scan, Document, MaybeFile, site=site)
class PlainAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    imagesync_actions = (greet,)


@admin.register(TwoFiles, site=site)
class TwoFilesAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    list_display = ["id", "imagesync_verdict", "uploaded_at"]
    imagesync_field = "thumbnail"


@admin.register(Album, site=site)
class AlbumAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    """Of a model without any file."""


urlpatterns = [path("admin/", admin.site.urls), path("shop/", site.urls)]
