from __future__ import annotations

from django.db import migrations

from imagesync.models.indexes import AddByteOrderIndex, DropByteOrderIndex


class Migration(migrations.Migration):
    # PostgreSQL builds an index without locking only outside of a transaction
    atomic = False

    dependencies = [("imagesync", "0014_distributed_audits")]

    operations = [
        # with the date in it, what lies in a folder and is of another time is passed over without a look at its row
        AddByteOrderIndex("image", "file", "imagesync_image_key_made", then=("id", "created_at")),
        DropByteOrderIndex("image", "file", "imagesync_image_key_order"),
    ]
