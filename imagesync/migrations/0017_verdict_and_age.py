from __future__ import annotations

from django.db import migrations, models

from imagesync.models.indexes import AddByteOrderIndex, AddIndexUnlocked, DropByteOrderIndex


class Migration(migrations.Migration):
    # PostgreSQL builds an index without locking only outside of a transaction
    atomic = False

    dependencies = [("imagesync", "0016_closed_and_restored")]

    operations = [
        AddIndexUnlocked(
            "image",
            models.Index(
                fields=["verdict", "created_at", "id"],
                condition=~models.Q(verdict="present"),
                name="imagesync_image_notok_made",
            ),
        ),
        # with the verdict in it, findings of a folder that have another one are passed over without a look at their rows
        AddByteOrderIndex(
            "finding",
            "key",
            "imagesync_finding_key_found",
            before=("fingerprint",),
            then=("id", "verdict"),
            where="closed_at IS NULL",
        ),
        DropByteOrderIndex(
            "finding", "key", "imagesync_finding_key_order", before=("fingerprint",), where="closed_at IS NULL"
        ),
    ]
