from __future__ import annotations

from django.db import migrations, models

from imagesync.models.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    # PostgreSQL builds an index without locking only outside of a transaction
    atomic = False

    dependencies = [("imagesync", "0004_range_outcome")]

    operations = [
        AddIndexUnlocked("image", models.Index(fields=["created_at", "id"], name="imagesync_image_created")),
        AddIndexUnlocked("image", models.Index(fields=["store", "id"], name="imagesync_image_store")),
        AddIndexUnlocked(
            "image",
            models.Index(
                fields=["missing_since", "id"],
                condition=models.Q(missing_since__isnull=False),
                name="imagesync_image_gone_since",
            ),
        ),
    ]
