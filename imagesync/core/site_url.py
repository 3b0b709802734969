"""What may be told of the URL that the site hands out for an image, and of what a browser gets from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteUrl:
    """What may be told of such a URL, and what a plain request for it brought."""

    host: str = ""
    scheme: str = ""
    signature: str = ""
    """``v4``, ``v2``, ``cloudfront`` or ``none``."""
    region: str = ""
    """Of a version 4 signature's scope."""
    status: int | None = None
    code: str = ""
    redirected_to: str = ""
    """A host."""
    content_type: str = ""
    error: str = ""
    """Why there is no URL to ask for: the class name of what the storage raised."""

    @property
    def loads(self) -> bool:
        return self.status in (200, 206)

    def to_dict(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "scheme": self.scheme,
            "signature": self.signature,
            "region": self.region,
            "status": self.status,
            "code": self.code,
            "redirected_to": self.redirected_to,
            "content_type": self.content_type,
            "loads": self.loads,
            "error": self.error,
        }
