from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("imagesync", "0017_verdict_and_age")]

    operations = [
        # audits from before this have none: no purge may rest on them
        migrations.AddField(
            "audit",
            "fields",
            models.JSONField(
                blank=True,
                default=list,
                help_text="app.Model.field of each field that it covers; empty for audits from before this was kept.",
            ),
        ),
    ]
