"""An admin site of a shop, with rules about single objects, for ``pytest.mark.urls``."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import path

from imagesync.admin.actions import SyncActions
from imagesync.admin.images import ImageAdmin
from imagesync.models import Image
from tests.testapp.models import Cover, Document, Product, ProductImage

site = admin.AdminSite(name="shop")


@admin.register(Image, site=site)
class OwnedImageAdmin(ImageAdmin):
    """Nobody deletes what is titled "locked"."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.title != "locked")


@admin.register(ProductImage, site=site)
class ProductImageAdmin(admin.ModelAdmin):
    """Nobody deletes what is at position 99, also along with something else."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.position != 99)


@admin.register(Product, site=site)
class ProductAdmin(SyncActions, admin.ModelAdmin):
    """Somebody else's model, with actions of its own."""

    list_filter = ("price",)


@admin.register(Document, site=site)
class DocumentAdmin(SyncActions, admin.ModelAdmin):
    """Nobody deletes what is called locked, also along with another document."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or "locked" not in obj.document.name)


site.register(Cover)

urlpatterns = [path("shop/", site.urls)]
