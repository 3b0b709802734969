from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError

from imagesync.audit import (
    audit_document,
    carry_out,
    finding_rows,
    interrupted_audit,
    open_audit,
    resume_audit,
    source_of,
)
from imagesync.core.strategy import STRATEGIES
from imagesync.core.verdicts import Verdict
from imagesync.exceptions import InvalidRequest, NothingMatches
from imagesync.freshness import Outcome, freshness_of, keep_fresh
from imagesync.management.arguments import (
    add_field,
    add_id,
    add_output,
    add_prefix,
    add_storage,
    parse_fail_on,
    parse_sample,
    parse_workers,
)
from imagesync.management.base import FINDINGS, STORE, by_command, output
from imagesync.management.sharing import SharingCommand, audit_of
from imagesync.metrics import lasting_gauges
from imagesync.models import Audit
from imagesync.records import Scope, Source, count_records, find_sources, parse_scope
from imagesync.reports import AUDIT_FORMATS, FRESHNESS_FORMATS, exposition, write_audits, write_freshness

TEXT_LIMIT = 20
PROMETHEUS = "prometheus"
OF_A_NEW_AUDIT = ("field", "prefix", "key", "id", "sample", "adopt", "no_mark")
"""Options that say what a new audit looks at, and what it writes down."""


class Command(SharingCommand):
    help = (
        "Audit the image records against S3: find every record whose object is gone, and say why on evidence."
    )
    examples = """\
  manage.py check_s3_images
  manage.py check_s3_images --prefix media/2026/ --format csv --output missing.csv
  manage.py check_s3_images --id imagesync.Image:42 --format json
  manage.py check_s3_images --format prometheus --output /var/lib/node_exporter/imagesync.prom
  manage.py check_s3_images --resume
  manage.py check_s3_images --stale
  manage.py check_s3_images --distributed
  manage.py check_s3_images --pause 7
"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_storage(parser)
        add_field(parser)
        add_prefix(parser)
        parser.add_argument("--key", action="append", default=[], help="Only this full key (repeat).")
        add_id(parser)
        parser.add_argument(
            "--sample", metavar="N", type=int, default=None, help="Only N records drawn at random."
        )
        parser.add_argument(
            "--strategy", choices=STRATEGIES, default="auto", help="How to look (default: auto)."
        )
        parser.add_argument("--no-mark", action="store_true", help="Write no verdict on the records.")
        parser.add_argument(
            "--adopt",
            metavar="FINGERPRINT",
            action="append",
            default=[],
            help="The store of this fingerprint moved here: its records count as this store's (repeat).",
        )
        parser.add_argument(
            "--resume",
            metavar="AUDIT",
            nargs="?",
            const=0,
            type=int,
            default=None,
            help="Go on with an interrupted audit (default: the last one); a finished one is reported again.",
        )
        parser.add_argument(
            "--stale",
            action="store_true",
            help='Only what is due for IMAGESYNC["FRESHNESS"]: failed reads, new images, the stalest keys. For cron, '
            "every few minutes.",
        )
        parser.add_argument(
            "--workers", metavar="N", type=int, default=None, help="Requests under way at once."
        )
        parser.add_argument(
            "--distributed",
            action="store_true",
            help="Have the workers of the django-q2 cluster share the audit, and wait for them.",
        )
        parser.add_argument(
            "--pause", metavar="AUDIT", type=int, default=None, help="Stop a running audit until --resume."
        )
        parser.add_argument(
            "--cancel",
            metavar="AUDIT",
            type=int,
            default=None,
            help="End an audit for good; nothing that it found counts.",
        )
        parser.add_argument(
            "--format",
            choices=(*AUDIT_FORMATS, PROMETHEUS),
            default="text",
            help="Default: text. prometheus: figures for the textfile collector.",
        )
        add_output(parser)
        parser.add_argument(
            "--fail-on",
            metavar="VERDICT,...",
            default="missing",
            help='Exit 3 when a record has one of these verdicts, or "none" (default: missing).',
        )
        parser.add_argument(
            "--limit",
            metavar="N",
            type=int,
            default=TEXT_LIMIT,
            help=f"Findings to show as text (default: {TEXT_LIMIT}).",
        )

    def run(self, *, fail_on: str, format: str, limit: int, **options: Any) -> None:
        fatal = parse_fail_on(fail_on)
        if limit < 0:
            raise InvalidRequest(f"--limit {limit}: write 0 or more.")
        if options["pause"] is not None or options["cancel"] is not None:
            self.stop(options)
            return
        if options["resume"] is not None and not options["stale"]:
            _refuse_with("--resume", ("storage", *OF_A_NEW_AUDIT), options)
        if options["stale"]:
            self._keep_fresh(fatal, format, limit, options)
            return
        audits = self._resumed(options) if options["resume"] is not None else self._audited(options)
        kept = f"Audit {audits[-1].pk} is kept: --resume {audits[-1].pk} reports it again."
        with output(options["output"], self.stdout, kept) as out, _reports(audits) as reports:
            if format == PROMETHEUS:
                out.writelines(exposition(lasting_gauges()))
            else:
                write_audits(out, format, reports, limit=limit)
        self._exit(audits, fatal)

    def _audited(self, options: dict[str, Any]) -> list[Audit]:
        sources, scope = self._asked(options)
        audits = [self._begin(self._open(source, scope, options), source, options) for source in sources]
        return [self.wait(audit) if audit.distributed else audit for audit in audits]

    def _begin(self, audit: Audit, source: Source, options: dict[str, Any]) -> Audit:
        """Hand it to the cluster, or carry it out here."""
        if options["distributed"] and self.hand_over(audit, source):
            return audit
        return self._carry_out(audit, source)

    def _keep_fresh(
        self, fatal: frozenset[Verdict], format: str, limit: int, options: dict[str, Any]
    ) -> None:
        _refuse_with_stale(format, options)
        sources = find_sources(alias=options["storage"], workers=parse_workers(options["workers"]))
        outcomes = []
        for source in sources:
            with self.progress() as progress:
                outcomes.append(keep_fresh(source, started_by=by_command(), progress=progress))
        audits = [audit for outcome in outcomes for audit in outcome.audits]
        kept = "What was found is kept in the database."
        with output(options["output"], self.stdout, kept) as out, _reports(audits) as reports:
            write_freshness(out, format, [_freshness(one) for one in outcomes], reports, limit=limit)
        self._exit(audits, fatal)

    def _open(self, source: Source, scope: Scope, options: dict[str, Any]) -> Audit:
        earlier = interrupted_audit(source, scope)
        if earlier is not None:
            self.say(
                f"Audit {earlier.pk} of the same records was interrupted; --resume {earlier.pk} would go on with it."
            )
        audit = open_audit(
            source,
            scope,
            strategy=options["strategy"],
            marks=not options["no_mark"],
            started_by=by_command(),
        )
        self.say(f"strategy {audit.strategy}: {audit.strategy_reason}")
        return audit

    def _asked(self, options: dict[str, Any]) -> tuple[list[Source], Scope]:
        scope = parse_scope(
            fields=options["field"],
            prefix=options["prefix"],
            keys=options["key"],
            ids=options["id"],
            sample=parse_sample(options["sample"]),
            adopt=options["adopt"],
        )
        sources = find_sources(
            alias=options["storage"], fields=scope.fields, workers=parse_workers(options["workers"])
        )
        if scope.keys or scope.ids or scope.prefix:
            sources = [source for source in sources if _matches(source, scope)]
            if not sources:
                raise NothingMatches("No record matches: there is nothing to look at.")
        return sources, scope

    def _resumed(self, options: dict[str, Any]) -> list[Audit]:
        audit = _audit_to_resume(options["resume"])
        if audit.complete:
            return [audit]
        if audit.distributed and audit.state == Audit.State.RUNNING and not audit.is_dead:
            return [self.wait(audit)]
        source = source_of(audit, workers=parse_workers(options["workers"]))
        resumed = self._begin(resume_audit(audit, source), source, options)
        return [self.wait(resumed) if resumed.distributed else resumed]

    def _carry_out(self, audit: Audit, source: Source) -> Audit:
        kept = f"Audit {audit.pk} keeps what it has; go on with: check_s3_images --resume {audit.pk}"
        with self.progress(kept) as progress:
            return carry_out(audit, source, progress)

    def _exit(self, audits: list[Audit], fatal: frozenset[Verdict]) -> None:
        for audit in audits:
            if audit.trust == Audit.Trust.UNTRUSTWORTHY:
                first = audit.reasons[0] if audit.reasons else {"fact": "", "hint": ""}
                raise CommandError(
                    f"Audit {audit.pk} is untrustworthy, nothing was concluded. {first['fact']} {first['hint']}".strip(),
                    returncode=STORE,
                )
        found = {verdict: sum(audit.counts.get(verdict, 0) for audit in audits) for verdict in fatal}
        told = ", ".join(f"{number:,} {verdict}" for verdict, number in sorted(found.items()) if number)
        if told:
            raise CommandError(f"Found: {told}.", returncode=FINDINGS)


def _refuse_with_stale(format: str, options: dict[str, Any]) -> None:
    """Raises InvalidRequest for what ``--stale`` decides by itself."""
    if format not in FRESHNESS_FORMATS:
        raise InvalidRequest(f"--stale writes {' or '.join(FRESHNESS_FORMATS)}, not {format}.")
    _refuse_with("--stale", (*OF_A_NEW_AUDIT, "distributed"), options)
    if options["resume"] is not None:
        raise InvalidRequest("--stale and --resume exclude each other: it resumes by itself.")


def _refuse_with(chosen: str, names: tuple[str, ...], options: dict[str, Any]) -> None:
    """Raises InvalidRequest for what ``chosen`` would pass over in silence."""
    given = [name for name in names if options[name]]
    if options["strategy"] != "auto":
        given.append("strategy")
    if given:
        raise InvalidRequest(f"{chosen} and --{given[0].replace('_', '-')} exclude each other.")


@contextlib.contextmanager
def _reports(audits: list[Audit]) -> Iterator[list[tuple[dict[str, Any], Iterator[dict[str, Any]]]]]:
    """Each audit's document with its findings, which are read while they are written. Whatever ends the writing, their
    cursors are closed before the database is: SQLite complains of those that come after it."""
    with contextlib.ExitStack() as read:
        yield [
            (audit_document(audit), read.enter_context(contextlib.closing(finding_rows(audit))))
            for audit in audits
        ]


def _freshness(outcome: Outcome) -> dict[str, Any]:
    identity = outcome.source.store.identity
    document = freshness_of(identity.fingerprint) or {"store": identity.fingerprint}
    return {"alias": identity.alias, "bucket": identity.bucket, "skipped": outcome.skipped, **document}


def _matches(source: Source, scope: Scope) -> bool:
    try:
        return count_records(source, scope) > 0
    except NothingMatches:
        return False


def _audit_to_resume(number: int) -> Audit:
    if number:
        return audit_of(number)
    unfinished = Audit.objects.exclude(state__in=(Audit.State.FINISHED, Audit.State.CANCELLED)).first()
    if unfinished is None:
        raise NothingMatches("No audit was interrupted; there is nothing to resume.")
    return unfinished
