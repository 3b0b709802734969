"""imagesync: find image records whose S3 object is gone, say why, clean up safely, undo it."""

from __future__ import annotations

__version__ = "0.1.0"
