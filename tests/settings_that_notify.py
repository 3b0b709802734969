"""The project's settings without a queue, telling a file of mails and then a webhook: for processes that are killed."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as ALL_APPS

INSTALLED_APPS = [one for one in ALL_APPS if one != "django_q"]
ADMINS = [("Operator", "operator@example.com")]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ["NOTIFY_MAILS"]
IMAGESYNC = {"NOTIFY": {"CHANNELS": ["webhook", "email"], "WEBHOOK_SECRET_URL": os.environ["NOTIFY_WEBHOOK"]}}
