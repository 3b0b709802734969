"""What Django calls after each test that commits: empty every table.

Its own way, TRUNCATE, takes PostgreSQL half a second for the empty tables of this project, and content types and
permissions are made anew each time. Here rows are deleted, and those two are kept: nothing else makes any.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import DatabaseError, connections, transaction

KEPT = {"django_content_type", "auth_permission"}


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        statements = [f"DELETE FROM {connection.ops.quote_name(name)}" for name in names if name not in KEPT]
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                if connection.vendor == "postgresql":
                    cursor.execute("; ".join(statements))
                else:
                    for statement in statements:
                        cursor.execute(statement)
        except DatabaseError:  # a test left a trigger, or a reference that cannot wait for the end
            super().handle(**options)
