"""Somebody's own admin site, with other people's models in it; to be used as ROOT_URLCONF."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from imagesync.admin import ImageAdmin, ImageSyncAdminMixin
from imagesync.models import Image
from tests.testapp.models import Album, Child, Cover, Document, MaybeFile, Picture, Product, Scan, TwoFiles

site = admin.AdminSite(name="corner-shop")
site.register(Image, ImageAdmin)
site.register([Cover])


@admin.register(Product, site=site)
class ProductAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    list_display = ["name", "price"]
    list_editable = ["price"]
    list_filter = ["created_at"]
    list_per_page = 50


@admin.register(Picture, Child, Scan, Document, MaybeFile, site=site)
class PlainAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    """As it comes."""


@admin.register(TwoFiles, site=site)
class TwoFilesAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    list_display = ["id", "imagesync_verdict", "uploaded_at"]
    imagesync_field = "thumbnail"


@admin.register(Album, site=site)
class AlbumAdmin(ImageSyncAdminMixin, admin.ModelAdmin):
    """Of a model without any file."""


urlpatterns = [path("admin/", admin.site.urls), path("shop/", site.urls)]
