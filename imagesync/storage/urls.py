"""The URL that a page hands to a browser. Signing one is arithmetic: S3 is not asked."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import SuspiciousOperation

logger = logging.getLogger("imagesync.storage")


def url_of(file: Any) -> str:
    """The URL of a ``FieldFile`` as its storage makes it; empty when it has none.

    It has none without a name, with one that its storage refuses (``../../etc/passwd``), in a storage without
    URLs, or without credentials to sign with, which the log then tells.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(file.url)
    except (ValueError, SuspiciousOperation, NotImplementedError):
        return ""
    except (BotoCoreError, ClientError) as error:  # ClientError: a role that could not be assumed again
        logger.warning("no URL can be made for %s: %s", file.field, type(error).__name__)
        return ""
