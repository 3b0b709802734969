"""The demo project as most sites have it: nothing says how URLs are signed. botocore then signs API calls with
Signature Version 4, and URLs for its oldest regions with Version 2.
"""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import STORAGES

del STORAGES["default"]["OPTIONS"]["signature_version"]
