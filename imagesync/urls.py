"""``path("imagesync/", include("imagesync.urls"))`` gives the site ``imagesync/metrics``."""

from __future__ import annotations

from django.urls import path

from imagesync.metrics import metrics_view

app_name = "imagesync"
urlpatterns = [path("metrics", metrics_view, name="metrics")]
