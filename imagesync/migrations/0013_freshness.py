
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imagesync', '0012_job_selection'),
    ]

    operations = [
        migrations.AddField(
            model_name='audit',
            name='in_order',
            field=models.BooleanField(default=True, help_text='Whether the store listed in byte order; else its listing was sorted on disk.'),
        ),
        migrations.CreateModel(
            name='Freshness',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(max_length=64, unique=True)),
                ('fields', models.JSONField(default=list, help_text='app.Model.field; with another set, all is looked at anew.')),
                ('began_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now, help_text='When the next slice is to be looked at.')),
                ('not_before', models.DateTimeField(blank=True, help_text='The last look failed; nobody tries again earlier.', null=True)),
                ('failures', models.PositiveIntegerField(default=0, help_text='Failed looks in a row.')),
                ('turn', models.PositiveBigIntegerField(default=0, help_text='Who raises it has the next step; of several at once, one does.')),
                ('in_order', models.BooleanField(default=True, help_text='Whether the store lists in byte order, so that a slice can be listed alone.')),
                ('reads_upto', models.DateTimeField(help_text='Failed reads reported until then have had their look.')),
                ('uploads_upto', models.DateTimeField(help_text='Images created until then have had their look.')),
                ('under_way', models.JSONField(blank=True, help_text='What reads_upto and uploads_upto become after the audit.', null=True)),
                ('audit', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='imagesync.audit')),
                ('whole_audit', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='imagesync.audit')),
            ],
            options={
                'verbose_name': 'freshness',
                'verbose_name_plural': 'freshness',
            },
        ),
        migrations.CreateModel(
            name='Slice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_key', models.TextField(blank=True, help_text='Inclusive; empty for the beginning.')),
                ('end_key', models.TextField(blank=True, help_text='Exclusive; null for the end.', null=True)),
                ('looked_at', models.DateTimeField(blank=True, help_text='When the last look that counts began; null for never.', null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('sound', models.BooleanField(default=False, help_text='Whether a purge may rest on that look.')),
                ('records', models.PositiveBigIntegerField(default=0)),
                ('present', models.PositiveBigIntegerField(default=0)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
                ('audit', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='imagesync.audit')),
                ('freshness', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='slices', to='imagesync.freshness')),
            ],
            options={
                'verbose_name': 'slice',
                'verbose_name_plural': 'slices',
            },
        ),
    ]
