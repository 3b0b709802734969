"""The admin of django-unfold, with a model of somebody's own in it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from unfold.admin import ModelAdmin

from imagesync.admin import ImageSyncAdminMixin
from tests.testapp.models import Product


@admin.register(Product)
class ProductAdmin(ImageSyncAdminMixin, ModelAdmin):
    list_display = ["name", "price"]


urlpatterns = [path("admin/", admin.site.urls), path("imagesync/", include("imagesync.urls"))]
