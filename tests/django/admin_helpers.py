"""What the tests of the admin's history share: a page as text, what was said on it, somebody with permissions."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client


def page_of(client: Client, address: str, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response
    return str(response.content.decode())


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def staff(client: Client, *permissions: str) -> User:
    """Logged in, with these permissions and no others."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user
