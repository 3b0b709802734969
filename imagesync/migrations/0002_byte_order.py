from __future__ import annotations

from django.db import migrations

from imagesync.models.indexes import AddByteOrderIndex


class Migration(migrations.Migration):
    # PostgreSQL builds an index without locking only outside of a transaction
    atomic = False

    dependencies = [("imagesync", "0001_initial")]

    operations = [
        AddByteOrderIndex("image", "file", "imagesync_image_key_order"),
        AddByteOrderIndex(
            "finding", "key", "imagesync_finding_key_order", before=("fingerprint",), where="closed_at IS NULL"
        ),
    ]
