from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ImageSyncConfig(AppConfig):
    """Registers the system checks. Never imports boto3: every ``manage.py`` call would pay for it."""

    name = "imagesync"
    verbose_name = _("Images and S3")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from imagesync import checks, logs, sentry, signals  # noqa: F401 - the checks register themselves

        signals.audit_finished.connect(_after_audit, dispatch_uid="imagesync.notices")
        logs.connect()
        sentry.connect()


def _after_audit(audit: Any, **kwargs: Any) -> None:
    from imagesync.notices import after_audit

    after_audit(audit)
