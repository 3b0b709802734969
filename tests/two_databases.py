"""Settings of a process whose products are in another database than everything else; run as a program, it tells
what a restore's preview and a restore leave behind there (tests/django/test_restore_databases.py)."""

from __future__ import annotations

import os
from typing import Any

from tests.settings import *  # noqa: F403

DATABASES = {
    alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{os.environ['TWO_DATABASES']}/{alias}.sqlite3"}
    for alias in ("default", "other")
}
DATABASE_ROUTERS = ["tests.two_databases.ProductsElsewhere"]


class ProductsElsewhere:
    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "other" if model._meta.label == "testapp.Product" else None

    db_for_write = db_for_read


def main() -> None:
    import django

    django.setup()

    from django.core.management import call_command

    from imagesync.models import Purge, Tombstone
    from imagesync.purge.restore import execute_restore, preview_restore
    from imagesync.purge.rows import consequences
    from imagesync.records.targets import content_type_of
    from tests.testapp.models import Product

    for alias in DATABASES:
        call_command("migrate", database=alias, verbosity=0)
    product = Product.objects.create(name="a product", photo="p.jpg")
    found = consequences(product, using="other")
    copy = found.copy()
    found.execute()
    purge = Purge.objects.create(fingerprint="f")
    Tombstone.objects.create(
        purge=purge,
        content_type=content_type_of(Product),
        object_pk=str(product.pk or 1),
        field="photo",
        key="p.jpg",
        action="delete",
        rows=copy,
    )
    previewed = preview_restore(purge, list(purge.tombstones.all()))
    print(f"previewed {len(previewed.records)}, products {Product.objects.count()}")
    restored = execute_restore(purge, list(purge.tombstones.all()), restored_by="x")
    print(f"restored {len(restored.records)}, products {Product.objects.count()}")


if __name__ == "__main__":
    main()
