from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from imagesync.audit import carry_out, open_audit
from imagesync.core.values import parse_duration, parse_ratio
from imagesync.exceptions import InvalidRequest, NothingMatches
from imagesync.management.arguments import add_field, add_id, add_output, add_prefix, add_storage
from imagesync.management.base import STORE, ImageSyncCommand, by_command, output
from imagesync.models import Audit, Purge
from imagesync.purge.basis import Basis, basis_of
from imagesync.purge.document import purge_document
from imagesync.purge.execute import execute_plan
from imagesync.purge.plan import limits_from_settings, make_plan
from imagesync.records import Scope, Source, find_sources, parse_scope
from imagesync.reports import PURGE_FORMATS, write_purge


class Command(ImageSyncCommand):
    help = "Delete the records whose object is proven missing: plan, show, ask, look again, keep tombstones, delete."
    examples = """\
  manage.py purge_orphans --dry-run
  manage.py purge_orphans
  manage.py purge_orphans --no-input --max-delete 50 --format json
  manage.py restore_purged            undoes the last one
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Show the plan and stop.")
        parser.add_argument(
            "--no-input", "--noinput", action="store_true", help="Do not ask. Every safety rail still holds."
        )
        parser.add_argument(
            "--audit", metavar="ID", type=int, default=None, help="Purge what this audit found."
        )
        add_storage(parser)
        add_field(parser)
        add_prefix(parser)
        add_id(parser)
        parser.add_argument(
            "--max-delete", metavar="N", type=int, default=None, help="Refuse to delete more than N."
        )
        parser.add_argument(
            "--max-ratio",
            metavar="R",
            default=None,
            help="Refuse when more than this part of the audited records would go (0.1 or 10%%).",
        )
        parser.add_argument(
            "--grace",
            metavar="DURATION",
            default=None,
            help='Keep records younger than this ("90s", "1h", "7d").',
        )
        parser.add_argument(
            "--all-missing",
            metavar="BUCKET",
            default="",
            help="The bucket's name, typed: purge although nothing is present in it any more.",
        )
        parser.add_argument("--format", choices=PURGE_FORMATS, default="text", help="Default: text.")
        add_output(parser)

    def run(self, *, dry_run: bool, no_input: bool, format: str, **options: Any) -> None:
        scope = parse_scope(fields=options["field"], prefix=options["prefix"], ids=options["id"])
        limits = limits_from_settings(
            max_ratio=_ratio(options["max_ratio"]),
            max_delete=_max_delete(options["max_delete"]),
            grace_period=_grace(options["grace"]),
            all_missing=options["all_missing"],
        )
        source = self._source(options, scope)
        basis = self._basis(options["audit"], source, may_be_union=not limits.all_missing)
        purge = make_plan(
            source,
            basis.audit,
            union=basis.union,
            limits=limits,
            scope=scope,
            named_by_hand=options["audit"] is not None,
            planned_by=by_command(),
        )
        planned = purge.counts["planned"]
        if not (dry_run or purge.refused) and planned and not no_input:
            with output("", self.stderr, "") as shown:
                write_purge(shown, "text", purge_document(purge, dry_run=False))
            self.confirm_number(
                planned,
                f"{planned:,} records would be purged from bucket {basis.audit.bucket!r}.",
                f"Nothing was deleted. The plan is kept as purge {purge.pk}, which nobody executes; purge_orphans makes "
                "a new one and asks again.",
            )
        try:
            if not (dry_run or purge.refused):
                self._execute(purge, source)
        finally:
            # whatever happened, what was done is told; the error that stopped it follows
            purge.refresh_from_db()
            document = purge_document(purge, dry_run=dry_run)
            if format == "csv" and document["undo"]:  # a table has no place for it
                self.say(f"undo: {document['undo']}")
            with output(options["output"], self.stdout, f"Purge {purge.pk} is kept in the database.") as out:
                write_purge(out, format, document)
        if purge.refused:
            raise CommandError(f"{purge.refused['fact']} {purge.refused['hint']}", returncode=STORE)

    def _source(self, options: dict[str, Any], scope: Scope) -> Source:
        sources = find_sources(alias=options["storage"], fields=scope.fields)
        if options["audit"] is not None:
            audit = _named(options["audit"])
            sources = [
                one for one in sources if one.store.identity.fingerprint == audit.fingerprint
            ] or sources[:1]
        sources = _holding(sources, scope)
        deletable = [one for one in sources if any(target.policy != "report" for target in one.targets)]
        if len(deletable or sources) > 1:
            aliases = ", ".join(one.store.identity.alias for one in deletable or sources)
            raise InvalidRequest(f"Several stores could be purged ({aliases}); name one with --storage.")
        # with the fields narrowed, the other fields of the store still count when a row names two objects
        chosen = (deletable or sources)[0]
        whole = find_sources(alias=chosen.store.identity.alias)
        return next(
            one for one in whole if one.store.identity.fingerprint == chosen.store.identity.fingerprint
        )

    def _basis(self, number: int | None, source: Source, *, may_be_union: bool) -> Basis:
        """What lifts rails lifts them for one audit of everything, and not for slices of different days."""
        if number is not None:
            return Basis(_named(number))
        basis = basis_of(source)
        if basis is not None and basis.is_fresh and (may_be_union or basis.union is None):
            return basis
        self.say("There is no fresh audit of this store, so one runs first.")
        audit = open_audit(source, Scope(), started_by=by_command())
        kept = f"Nothing was purged. Go on with: check_s3_images --resume {audit.pk}"
        with self.progress(kept) as progress:
            return Basis(carry_out(audit, source, progress))

    def _execute(self, purge: Purge, source: Source) -> None:
        kept = (
            f"Every deleted record has its tombstone (undo: restore_purged {purge.pk}); "
            "purge_orphans again takes the rest."
        )
        with self.progress(kept) as progress:
            execute_plan(purge, source, progress)


def _holding(sources: list[Source], scope: Scope) -> list[Source]:
    """The stores of the models that ``--id`` names; all of them when it names none that is on S3."""
    models = {model for model, _pk in scope.ids}
    held = [one for one in sources if any(target.model._meta.label in models for target in one.targets)]
    return held or sources


def _named(number: int) -> Audit:
    audit = Audit.objects.filter(pk=number).first()
    if audit is None:
        raise NothingMatches(f"There is no audit {number}.")
    return audit


def _ratio(text: str | float | None) -> float | None:
    try:
        return None if text is None else parse_ratio(text)
    except ValueError as error:
        raise InvalidRequest(f"--max-ratio: {error}.") from error


def _max_delete(number: int | None) -> int | None:
    if number is not None and number < 0:
        raise InvalidRequest(f"--max-delete {number}: write 0 or more.")
    return number


def _grace(text: str | timedelta | None) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"--grace: {error}.") from error
