"""The project's settings, telling a webhook and then a file of mails: for processes that are killed, and for a cluster."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as ALL_APPS

HAS_QUEUE = "NOTIFY_QUEUE" in os.environ
INSTALLED_APPS = [one for one in ALL_APPS if one != "django_q" or HAS_QUEUE]
if HAS_QUEUE:
    INSTALLED_APPS.append("tests.hasty.HastyConfig")
ADMINS = [("Operator", "operator@example.com")]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ["NOTIFY_MAILS"]
IMAGESYNC = {"NOTIFY": {"CHANNELS": ["webhook", "email"], "WEBHOOK_SECRET_URL": os.environ["NOTIFY_WEBHOOK"]}}
