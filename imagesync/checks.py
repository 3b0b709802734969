"""System checks. Static: none of them ever touches the network (that is the doctor's job)."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from imagesync import conf


@register("imagesync")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """imagesync.E001: ``IMAGESYNC`` holds a name or value that nobody understands."""
    return [Error(fact, hint=hint or None, id="imagesync.E001") for fact, hint in conf.problems()]
