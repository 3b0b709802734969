"""The admin: what is broken and why; look again, mark, and purge with a plan, through the same use cases
as the command line. Rendering a page never calls S3.
"""

from __future__ import annotations

from imagesync.admin.history import AuditAdmin, FindingAdmin, PurgeAdmin, TombstoneAdmin
from imagesync.admin.images import ImageAdmin
from imagesync.admin.mixin import ImageSyncAdminMixin

__all__ = [
    "AuditAdmin",
    "FindingAdmin",
    "ImageAdmin",
    "ImageSyncAdminMixin",
    "PurgeAdmin",
    "TombstoneAdmin",
]
