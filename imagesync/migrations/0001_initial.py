

import django.db.models.deletion
import django.db.models.lookups
import django.utils.timezone
import imagesync.models.images
import imagesync.uploads
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Audit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_owner', models.CharField(blank=True, editable=False, max_length=64)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('state', models.CharField(choices=[('running', 'running'), ('interrupted', 'interrupted'), ('finished', 'finished')], default='running', max_length=16)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('started_by', models.CharField(blank=True, help_text='command, admin or schedule', max_length=64)),
                ('alias', models.CharField(blank=True, max_length=255)),
                ('bucket', models.CharField(max_length=255)),
                ('region', models.CharField(blank=True, max_length=64)),
                ('endpoint', models.CharField(blank=True, max_length=1024)),
                ('prefix', models.CharField(blank=True, max_length=1024)),
                ('fingerprint', models.CharField(max_length=64)),
                ('scope', models.JSONField(default=dict)),
                ('scope_key', models.CharField(help_text='Hash of the scope.', max_length=64)),
                ('full_scope', models.BooleanField(default=True)),
                ('marks', models.BooleanField(default=True, help_text='Whether verdicts are written on the records.')),
                ('strategy', models.CharField(blank=True, max_length=16)),
                ('strategy_reason', models.TextField(blank=True)),
                ('counts', models.JSONField(default=dict, help_text='Records, and records by verdict.')),
                ('requests', models.JSONField(default=dict, help_text='Requests by kind.')),
                ('trust', models.CharField(blank=True, choices=[('trustworthy', 'trustworthy'), ('degraded', 'degraded'), ('untrustworthy', 'untrustworthy')], max_length=16)),
                ('reasons', models.JSONField(default=list)),
                ('versioning', models.CharField(blank=True, max_length=16)),
                ('saw_all_objects', models.BooleanField(default=False, help_text='Whether the object side was seen whole.')),
                ('unreferenced', models.PositiveBigIntegerField(blank=True, help_text='Objects that no audited record names.', null=True)),
                ('canaries', models.JSONField(default=list, help_text='Records seen present, looked at first by the next audit.')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'audit',
                'verbose_name_plural': 'audits',
                'ordering': ['-id'],
                'get_latest_by': 'id',
            },
        ),
        migrations.CreateModel(
            name='AuditRange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_owner', models.CharField(blank=True, editable=False, max_length=64)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('number', models.PositiveIntegerField(default=0)),
                ('first_key', models.TextField(blank=True, help_text='Inclusive; empty for the beginning.')),
                ('end_key', models.TextField(blank=True, help_text='Exclusive; null for the end.', null=True)),
                ('cursor', models.JSONField(blank=True, help_text='Key, field and pk of the last record judged.', null=True)),
                ('state', models.CharField(choices=[('pending', 'pending'), ('done', 'done')], default='pending', max_length=16)),
                ('counts', models.JSONField(default=dict)),
                ('unreferenced', models.PositiveBigIntegerField(default=0)),
                ('audit', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ranges', to='imagesync.audit')),
            ],
            options={
                'verbose_name': 'audit range',
                'verbose_name_plural': 'audit ranges',
                'ordering': ['audit_id', 'number'],
            },
        ),
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(max_length=64)),
                ('object_pk', models.CharField(blank=True, max_length=255)),
                ('field', models.CharField(blank=True, max_length=255)),
                ('key', models.TextField()),
                ('verdict', models.CharField(choices=[('unchecked', 'unchecked'), ('present', 'present'), ('mismatched', 'mismatched'), ('archived', 'archived'), ('recoverable', 'recoverable'), ('missing', 'missing'), ('ambiguous', 'ambiguous'), ('denied', 'denied'), ('unknown', 'unknown')], max_length=16)),
                ('reason', models.CharField(blank=True, max_length=64)),
                ('first_evidence', models.JSONField(default=dict)),
                ('last_evidence', models.JSONField(default=dict)),
                ('opened_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('settled', models.BooleanField(default=False, help_text='False until the store has passed its check after the audit.')),
                ('closed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='closed', to='imagesync.audit')),
                ('content_type', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contenttypes.contenttype')),
                ('opened_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='opened', to='imagesync.audit')),
            ],
            options={
                'verbose_name': 'finding',
                'verbose_name_plural': 'findings',
            },
        ),
        migrations.CreateModel(
            name='Image',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('file', imagesync.uploads.RememberingImageField(max_length=1024, upload_to='images/', validators=[imagesync.models.images.validate_key_bytes], verbose_name='file')),
                ('title', models.CharField(blank=True, max_length=255, verbose_name='title')),
                ('size_bytes', models.PositiveBigIntegerField(blank=True, editable=False, null=True, verbose_name='size in bytes')),
                ('etag', models.CharField(blank=True, editable=False, max_length=128, verbose_name='ETag')),
                ('width', models.PositiveIntegerField(blank=True, editable=False, null=True, verbose_name='width')),
                ('height', models.PositiveIntegerField(blank=True, editable=False, null=True, verbose_name='height')),
                ('store', models.CharField(blank=True, editable=False, help_text='Fingerprint of the store it was last seen in.', max_length=64, verbose_name='store')),
                ('verdict', models.CharField(choices=[('unchecked', 'unchecked'), ('present', 'present'), ('mismatched', 'mismatched'), ('archived', 'archived'), ('recoverable', 'recoverable'), ('missing', 'missing'), ('ambiguous', 'ambiguous'), ('denied', 'denied'), ('unknown', 'unknown')], default='unchecked', editable=False, max_length=16, verbose_name='verdict')),
                ('verdict_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='verdict since')),
                ('missing_since', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='missing since')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
            ],
            options={
                'verbose_name': 'image',
                'verbose_name_plural': 'images',
                'permissions': [('check_image', 'Can look an image up in S3'), ('mark_image', 'Can mark an image as missing'), ('purge_image', 'Can purge images whose object is missing'), ('restore_image', 'Can restore purged images')],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Purge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_owner', models.CharField(blank=True, editable=False, max_length=64)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('state', models.CharField(choices=[('planned', 'planned'), ('refused', 'refused'), ('running', 'running'), ('interrupted', 'interrupted'), ('done', 'done')], default='planned', max_length=16)),
                ('fingerprint', models.CharField(max_length=64)),
                ('planned_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('planned_by', models.CharField(blank=True, help_text='command, admin or schedule', max_length=64)),
                ('limits', models.JSONField(default=dict)),
                ('plan', models.JSONField(default=dict, help_text='What would be deleted and kept, and why.')),
                ('refused', models.JSONField(blank=True, null=True)),
                ('counts', models.JSONField(default=dict)),
                ('audit', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='purges', to='imagesync.audit')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'purge',
                'verbose_name_plural': 'purges',
                'ordering': ['-id'],
                'get_latest_by': 'id',
            },
        ),
        migrations.CreateModel(
            name='Tombstone',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('object_pk', models.CharField(max_length=255)),
                ('field', models.CharField(max_length=255)),
                ('key', models.TextField()),
                ('action', models.CharField(choices=[('delete', 'deleted'), ('clear', 'cleared')], max_length=8)),
                ('rows', models.TextField(help_text='JSON: every row that went or changed, without loss.')),
                ('evidence', models.JSONField(default=dict)),
                ('purged_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('restored_at', models.DateTimeField(blank=True, null=True)),
                ('restored_by', models.CharField(blank=True, max_length=64)),
                ('content_type', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='contenttypes.contenttype')),
                ('purge', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tombstones', to='imagesync.purge')),
            ],
            options={
                'verbose_name': 'tombstone',
                'verbose_name_plural': 'tombstones',
                'ordering': ['id'],
            },
        ),
        migrations.AddIndex(
            model_name='audit',
            index=models.Index(fields=['fingerprint', 'state', '-id'], name='imagesync_audit_latest'),
        ),
        migrations.AddConstraint(
            model_name='audit',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('fingerprint', 'scope_key'), name='imagesync_audit_one_running'),
        ),
        migrations.AddConstraint(
            model_name='auditrange',
            constraint=models.UniqueConstraint(fields=('audit', 'number'), name='imagesync_range_number'),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(fields=['content_type', 'object_pk'], name='imagesync_finding_record'),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(fields=['opened_by', 'settled'], name='imagesync_finding_opened'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None), ('settled', True)), fields=('fingerprint', 'content_type', 'object_pk', 'field', 'verdict'), name='imagesync_finding_one_open'),
        ),
        migrations.AddIndex(
            model_name='image',
            index=models.Index(condition=models.Q(('verdict', 'present'), _negated=True), fields=['verdict', 'id'], name='imagesync_image_notok'),
        ),
        migrations.AddConstraint(
            model_name='image',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.LessThanOrEqual(imagesync.models.images.Utf8Length('file'), 1024), name='imagesync_image_key_bytes'),
        ),
        migrations.AddConstraint(
            model_name='purge',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('fingerprint',), name='imagesync_purge_one_running'),
        ),
        migrations.AddIndex(
            model_name='tombstone',
            index=models.Index(fields=['content_type', 'object_pk'], name='imagesync_tombstone_record'),
        ),
    ]
