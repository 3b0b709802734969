from __future__ import annotations

from django.db import migrations, models

from imagesync.models.indexes import AddByteOrderIndex, AddIndexUnlocked


class Migration(migrations.Migration):
    """The admin's lists of history by key and by verdict, however long they have become."""

    # PostgreSQL builds an index without locking only outside of a transaction
    atomic = False

    dependencies = [("imagesync", "0005_admin_lists")]

    operations = [
        AddByteOrderIndex("finding", "key", "imagesync_finding_key"),
        AddByteOrderIndex("tombstone", "key", "imagesync_tombstone_key"),
        AddIndexUnlocked(
            model_name="finding",
            index=models.Index(fields=["verdict", "id"], name="imagesync_finding_verdict"),
        ),
        AddIndexUnlocked(
            model_name="finding",
            index=models.Index(
                fields=["id"],
                condition=models.Q(closed_at=None, settled=True),
                name="imagesync_finding_open",
            ),
        ),
        AddIndexUnlocked(
            model_name="tombstone",
            index=models.Index(
                fields=["purge", "id"], condition=models.Q(restored_at=None), name="imagesync_tombstone_left"
            ),
        ),
    ]
