"""What the admin's tests share: a page as text, an action on the list, what was said, the token of a form, somebody with
permissions."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

LIST = "/admin/imagesync/image/"
SELECTION = f"{LIST}selection/"


def page_of(client: Client, address: str, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response
    return str(response.content.decode())


def act(client: Client, action: str, images: Any, *, path: str = LIST, follow: bool = True) -> Any:
    """Single records, ticked."""
    return client.post(
        path,
        {"action": action, "_selected_action": [image.pk for image in images], "index": 0},
        follow=follow,
    )


def act_on_all(client: Client, action: str, query: str = "", *, path: str = LIST) -> Any:
    """Everything that a filter of the list finds, as the link "select all" does it."""
    form = {"action": action, "_selected_action": ["1"], "index": 0, "select_across": "1"}
    return client.post(f"{path}?{query}" if query else path, form, follow=True)


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def token_of(response: Any) -> str:
    found = re.search(r'name="token" value="([^"]+)"', response.content.decode())
    assert found, "the page has no token"
    return found[1]


def confirm(client: Client, page: Any) -> Any:
    """The selection that a page asks about."""
    return client.post(SELECTION, {"token": token_of(page)}, follow=True)


def staff(client: Client, *permissions: str) -> User:
    """Logged in, with these permissions and no others."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user
