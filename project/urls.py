from __future__ import annotations

from django.contrib import admin
from django.urls import path

from project.gallery import gallery

urlpatterns = [path("", gallery, name="gallery"), path("admin/", admin.site.urls)]
