"""Use case: tell people what changed, once. Decided from the tables, written down with the decision, then sent."""

from __future__ import annotations

from imagesync.conf import app_settings
from imagesync.models import Audit
from imagesync.notices.decision import decide
from imagesync.notices.message import Message
from imagesync.notices.outbox import deliver, due_notices, send_due, send_test
from imagesync.records import Scope

__all__ = ["Message", "after_audit", "decide", "deliver", "due_notices", "send_due", "send_test"]


def after_audit(audit: Audit) -> None:
    """Tell at once what an audit of everything brought, or a slice that keeps it fresh.

    Whatever goes wrong here, ``tasks.watch_over`` makes good.
    """
    looks_at_all = audit.full_scope or Scope.from_dict(audit.scope).is_stretch
    if looks_at_all and app_settings().notify.channels and decide():
        send_due()
