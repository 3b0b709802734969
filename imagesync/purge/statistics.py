"""What the database's planner should know of the findings before a large purge closes them."""

from __future__ import annotations

from django.db import connections, router

from imagesync.models import Finding


def refresh_statistics() -> None:
    """Have PostgreSQL count the findings anew. Any other database is left alone.

    Directly after an audit that opened many it knows of none, holds the index of the open ones for the best way to
    each, and reads all of them for every batch. Autovacuum would tell it a minute later. A table that somebody else
    works on is left out, and so is one that this user may not analyze: the purge is slower then, and no other.
    """
    connection = connections[router.db_for_write(Finding)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(Finding._meta.db_table)
            cursor.execute(f"ANALYZE (SKIP_LOCKED) {table}")
