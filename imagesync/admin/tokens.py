"""What a confirmation carries from one click to the next: signed, bound to its user, and good for an hour."""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.http import HttpRequest
from django.utils.translation import gettext as _

MAX_AGE_SECONDS = 3600


class BadToken(Exception):
    """A confirmation that does not count; the message says so to whoever sent it."""


def signed(request: HttpRequest, purpose: str, values: dict[str, Any]) -> str:
    return signing.dumps({**values, "user": str(request.user.pk)}, salt=_salt(purpose), compress=True)


def read(request: HttpRequest, purpose: str, token: str) -> dict[str, Any]:
    """What was signed for this user. Raises BadToken."""
    try:
        values: dict[str, Any] = signing.loads(token, salt=_salt(purpose), max_age=MAX_AGE_SECONDS)
    except signing.SignatureExpired as error:
        raise BadToken(
            _(
                "This confirmation is more than an hour old, so nothing was done. Please look again and confirm."
            )
        ) from error
    except (signing.BadSignature, ValueError) as error:
        raise BadToken(
            _("This confirmation is not one of ours or was changed, so nothing was done. Please start again.")
        ) from error
    if values.get("user") != str(request.user.pk):
        raise BadToken(_("This confirmation was made for somebody else, so nothing was done."))
    return values


def _salt(purpose: str) -> str:
    return f"imagesync.admin.{purpose}"
