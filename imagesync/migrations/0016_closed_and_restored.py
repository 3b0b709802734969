from __future__ import annotations

from django.db import migrations, models

from imagesync.models.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    # PostgreSQL builds an index without locking only outside of a transaction
    atomic = False

    dependencies = [("imagesync", "0015_key_and_age")]

    operations = [
        AddIndexUnlocked(
            "finding",
            models.Index(
                fields=["id"],
                condition=models.Q(closed_at__isnull=False, settled=True),
                name="imagesync_finding_closed",
            ),
        ),
        AddIndexUnlocked(
            "tombstone",
            models.Index(
                fields=["id"],
                condition=models.Q(restored_at__isnull=False),
                name="imagesync_tombstone_back",
            ),
        ),
    ]
