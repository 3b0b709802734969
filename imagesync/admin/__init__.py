"""The admin: what is broken and why; look again, mark, and purge with a plan, through the same use cases
as the command line. Rendering a page never calls S3.
"""

from __future__ import annotations

from imagesync.admin.audits import AuditAdmin
from imagesync.admin.findings import FailedReadAdmin, FindingAdmin
from imagesync.admin.images import ImageAdmin
from imagesync.admin.mixin import ImageSyncAdminMixin
from imagesync.admin.notices import NoticeAdmin
from imagesync.admin.purges import PurgeAdmin, TombstoneAdmin
from imagesync.admin.set_aside import SetAsideMessageAdmin

__all__ = [
    "AuditAdmin",
    "FailedReadAdmin",
    "FindingAdmin",
    "ImageAdmin",
    "ImageSyncAdminMixin",
    "NoticeAdmin",
    "PurgeAdmin",
    "SetAsideMessageAdmin",
    "TombstoneAdmin",
]
