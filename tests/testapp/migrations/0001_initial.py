"""Makes the tables of the models as they are now, so that nobody has to keep a migration of test models.

Without any migration these tables would be made *before* those of imagesync that they point to, which
PostgreSQL refuses.
"""

from __future__ import annotations

import pkgutil

from django.apps import apps
from django.db import migrations
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from imagesync import migrations as imagesync_migrations


def latest(package: object) -> str:
    return max(module.name for module in pkgutil.iter_modules(package.__path__))  # type: ignore[attr-defined]


def operations() -> list[Operation]:
    now, before = ProjectState.from_apps(apps), ProjectState.from_apps(apps)
    for app_label, name in list(before.models):
        if app_label == "testapp":
            del before.models[app_label, name]
    changes = MigrationAutodetector(before, now)._detect_changes()
    return [operation for migration in changes["testapp"] for operation in migration.operations]


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("auth", "__first__"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("imagesync", latest(imagesync_migrations)),
    ]
    operations = operations()
