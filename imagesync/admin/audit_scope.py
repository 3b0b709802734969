"""What an audit was asked to look at: as the command that asks for it again, and in words."""

from __future__ import annotations

import shlex

from django.conf import settings
from django.utils.translation import gettext as _

from imagesync.models import Audit
from imagesync.records import Scope
from imagesync.reports import printable

NAMED_ON_A_LINE = 20
"""More keys or ids than these make no command that somebody would paste."""
CHECK = "python manage.py check_s3_images"


def command_of(audit: Audit) -> str:
    """The command that audits the same records; empty when no line that can be pasted says it."""
    scope = Scope.from_dict(audit.scope)
    options: list[tuple[str, str]] = [("--field", label) for label in scope.fields]
    if scope.sample:
        options.append(("--sample", str(scope.sample)))
    else:
        options += [("--id", ":".join(one)) for one in scope.ids]
    options += [("--key", key) for key in scope.keys]
    options += [("--adopt", fingerprint) for fingerprint in scope.adopt]
    options += [("--prefix", scope.prefix)] if scope.prefix else []
    if len(options) > NAMED_ON_A_LINE or not all(_can_be_pasted(value) for _option, value in options):
        return ""
    words = [f"{option}={shlex.quote(value)}" for option, value in options]
    return " ".join([with_storage(CHECK, audit.alias), *words, *([] if audit.marks else ["--no-mark"])])


def _can_be_pasted(value: str) -> bool:
    return printable(value) == value.replace("\\", "\\\\")


def with_storage(command: str, alias: str) -> str:
    return f"{command} --storage={shlex.quote(alias)}" if alias in settings.STORAGES else command


def scope_lines(audit: Audit) -> list[str]:
    """What the audit was asked to look at, in words."""
    scope = Scope.from_dict(audit.scope)
    lines = [_("the field %(field)s") % {"field": label} for label in scope.fields]
    if scope.prefix:
        lines.append(_("keys that begin with %(prefix)s") % {"prefix": printable(scope.prefix)})
    if scope.sample:
        lines.append(
            _("%(drawn)s records drawn at random of %(all)s")
            % {"drawn": f"{len(scope.ids):,}", "all": f"{scope.population:,}"}
        )
    elif scope.ids or scope.keys:
        lines.append(_("%(number)s single records") % {"number": f"{len(scope.ids) + len(scope.keys):,}"})
    return lines or [_("all records of this store")]
