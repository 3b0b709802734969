"""Millions of images with a history of audits, purges and jobs, made by SQL: what `benchmarks.admin` asks pages of.

Ids follow the time of creation, as a site's do, and so do the dates in keys. What is missing: one week (a bad deploy),
and a few everywhere. All of a week's rows went missing in the same instant, that of an audit.
"""

from __future__ import annotations

from typing import Any

STORE, OTHER_STORE = "5a" * 16, "0b" * 16
AUDITS, PURGES, FAILED_READS = 500, 200, 20_000
EVIDENCE = '{"operation": "GetObject", "status": 404, "code": "NoSuchKey", "request_id": "BENCH"}'

IMAGES = """
INSERT INTO imagesync_image
    (file, title, owner_id, created_at, updated_at, store, verdict, verdict_at, missing_since, size_bytes, etag, width, height)
SELECT
    CASE WHEN n %% 100 = 7 THEN 'legacy/' || md5(n::text) || '.jpg'
         ELSE 'images/' || to_char(at, 'YYYY/MM/DD') || '/photo-' || lpad(n::text, 8, '0') || '.jpg' END,
    'Photo ' || n, (SELECT min(id) FROM auth_user) + n %% 1000, at, at,
    CASE WHEN n <= %(records)s * 0.0025 THEN %(other)s WHEN n > %(records)s * 0.9975 THEN '' ELSE %(store)s END,
    verdict, at, CASE WHEN verdict = 'missing' THEN
        CASE WHEN n %% 25 = 11 THEN now() - (n %% 90) * interval '1 day' ELSE now() - interval '2 days' END END,
    10000 + n %% 1000000, '9bb58f26192e4ba00f01e2e7b136bbd8', 1600, 1200
FROM (
    SELECT n, now() - (%(records)s - n) * interval '8 years' / %(records)s AS at,
        CASE WHEN n > %(records)s * 0.9975 THEN 'unchecked' WHEN n %% 25 = 11 THEN 'missing'
             WHEN n BETWEEN %(records)s * 0.9 AND %(records)s * 0.906 THEN 'missing'
             WHEN n %% 100 = 7 THEN 'denied' WHEN n %% 4000 = 13 THEN 'recoverable' WHEN n %% 1000 = 17 THEN 'archived'
             WHEN n %% 7000 = 19 THEN 'mismatched' WHEN n %% 2000 = 23 THEN 'unknown'
             WHEN n %% 40000 = 29 THEN 'ambiguous' ELSE 'present' END AS verdict
    FROM generate_series(1, %(records)s) AS n
) AS made
"""
FINDINGS = """
INSERT INTO imagesync_finding (fingerprint, content_type_id, object_pk, field, key, verdict, reason, first_evidence,
    last_evidence, opened_by_id, opened_at, settled)
SELECT %(store)s, %(content_type)s, id::text, 'file', file, verdict, '', %(evidence)s::jsonb, %(evidence)s::jsonb,
    %(audit)s, coalesce(missing_since, created_at), true
FROM imagesync_image WHERE verdict NOT IN ('present', 'unchecked')
"""
PLAN = """
UPDATE imagesync_purge SET plan = (
    SELECT jsonb_build_object('receivers', '[]'::jsonb,
        'delete', jsonb_agg(entry) FILTER (WHERE id %% 7 <> 1),
        'keep', jsonb_agg(entry || '{"why": "younger than the grace period"}') FILTER (WHERE id %% 7 = 1))
    FROM (SELECT id, jsonb_build_object('record', 'imagesync.Image:' || id, 'field', 'file', 'key', file,
        'action', 'delete', 'cascades', '{"shop.ProductImage": 1}'::jsonb) AS entry
        FROM imagesync_image WHERE verdict = 'missing') AS entries)
WHERE id = %(purge)s
"""
TOMBSTONES = """
INSERT INTO imagesync_tombstone (purge_id, content_type_id, object_pk, field, key, action, rows, evidence, purged_at,
    restored_by)
SELECT %(purge)s, %(content_type)s, (1000000000 + n)::text, 'file', 'gone/' || md5(n::text) || '.jpg', 'delete', '[]',
    %(evidence)s::jsonb, now(), ''
FROM generate_series(1, %(records)s / 20) AS n
"""
FAILED = """
INSERT INTO imagesync_failedread (content_type_id, object_pk, field, key, first_at, last_at, times, code)
SELECT %(content_type)s, id::text, 'file', file, now(), now() - id * interval '1 second', 3, 'NoSuchKey'
FROM imagesync_image WHERE verdict = 'missing' ORDER BY id LIMIT %(failed_reads)s
"""


def fill(records: int) -> str:
    """Fill an empty, migrated database; say what is in it."""
    from django.contrib.auth.models import User
    from django.db import connection

    from imagesync.models import Image
    from imagesync.records.targets import content_type_of

    User.objects.bulk_create(User(username=f"user{number}") for number in range(1, 1001))
    content_type = content_type_of(Image).pk
    values: dict[str, Any] = {
        "records": records,
        "store": STORE,
        "other": OTHER_STORE,
        "evidence": EVIDENCE,
        "content_type": content_type,
        "failed_reads": FAILED_READS,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(IMAGES, values)
        values["audit"] = _audits(records)
        cursor.execute(FINDINGS, values)
        findings = cursor.rowcount
        done, planned = _purges(values["audit"]), _plan(values["audit"])
        for purge in (done, planned):
            cursor.execute(PLAN, {"purge": purge})
        cursor.execute(TOMBSTONES, {**values, "purge": done})
        cursor.execute(FAILED, values)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_size_pretty(pg_total_relation_size('imagesync_image'))")
        (size,) = cursor.fetchone()
    _summaries()
    return f"{records:,} images ({size} with indexes), {findings:,} open findings"


def _audits(records: int) -> int:
    """Sixty audits and more; the newest has the figures."""
    from django.utils import timezone

    from imagesync.models import Audit

    counts = {"records": records, "present": records * 9 // 10, "missing": records // 20}
    made = Audit.objects.bulk_create(
        Audit(
            bucket="photos",
            fingerprint=STORE,
            state="finished",
            trust="trustworthy",
            strategy="list",
            counts=counts,
            requests={"LIST": 2000, "GET": 90_000},
            started_at=timezone.now(),
            finished_at=timezone.now(),
        )
        for _ in range(AUDITS)
    )
    return int(made[-1].pk)


def _purges(audit: int) -> int:
    """Purges that are done; the last of them took very many records."""
    from imagesync.models import Purge

    made = Purge.objects.bulk_create(
        Purge(
            audit_id=audit,
            fingerprint=STORE,
            state="done",
            counts={"planned": 10, "deleted": 10, "cleared": 0, "kept": 1},
        )
        for _ in range(PURGES)
    )
    return int(made[-1].pk)


def _plan(audit: int) -> int:
    """A plan of very many records, made for the superuser who asks for the pages."""
    from django.contrib.auth.models import User

    from imagesync.models import Purge

    user, _made = User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)
    return int(Purge.objects.create(audit_id=audit, fingerprint=STORE, user=user).pk)


def _summaries() -> None:
    """What the use cases keep with an audit and a plan, by their own code."""
    from imagesync.audit.figures import figures_of
    from imagesync.models import Audit, Purge
    from imagesync.purge.summary import summary_of
    from imagesync.records import find_sources

    audit = Audit.objects.latest()
    audit.figures = figures_of(audit, find_sources()[0])
    audit.save(update_fields=["figures"])
    for purge in Purge.objects.exclude(plan={}):
        purge.summary = summary_of(purge.plan)
        purge.counts = {"planned": purge.summary["delete"], "deleted": 0, "cleared": 0, "kept": 0}
        purge.save(update_fields=["summary", "counts"])
