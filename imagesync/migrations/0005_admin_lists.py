from __future__ import annotations

from django.db import migrations, models

from imagesync.models.indexes import AddByteOrderIndex, AddIndexUnlocked


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
                condition=models.Q(verdict="missing"),
                name="imagesync_image_gone_since",
            ),
        ),
        AddByteOrderIndex(
            "image", "file", "imagesync_image_notok_key", before=("verdict",), where="NOT verdict = 'present'"
        ),
    ]
