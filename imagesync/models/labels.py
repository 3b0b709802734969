"""How commands and JSON name the record that a row is about."""

from __future__ import annotations

from typing import Any


class AboutRecord:
    """A row with the ``content_type`` and the ``object_pk`` of a record."""

    content_type: Any
    object_pk: Any

    @property
    def record_label(self) -> str:
        """``app.Model:pk``."""
        model = self.content_type.model_class() if self.content_type else None
        return f"{model._meta.label}:{self.object_pk}" if model else f"?:{self.object_pk}"
