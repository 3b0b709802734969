"""What a command does with audits that the workers of a cluster share: hand over, wait, pause, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from imagesync.audit import cancel_audit, pause_audit, spread, wait_for
from imagesync.cluster import cluster_is_running, why_no_cluster
from imagesync.exceptions import InvalidRequest, NothingMatches
from imagesync.management.base import INTERRUPTED, OUR_SIDE, ImageSyncCommand
from imagesync.models import Audit
from imagesync.records import Source


class SharingCommand(ImageSyncCommand):
    def hand_over(self, audit: Audit, source: Source) -> bool:
        """Whether the cluster has it now; else it is still ours to carry out."""
        if not spread(audit, source):
            self.say(
                "A large field has no index in byte order (imagesync.W007), so this process does it alone."
            )
            return False
        self.say(f"Audit {audit.pk} is handed to the cluster.")
        if not cluster_is_running():
            self.say(f"{why_no_cluster()} The audit waits for it.")
        return True

    def wait(self, audit: Audit) -> Audit:
        how_to_go_on = (
            f"The cluster goes on with audit {audit.pk}. --resume {audit.pk} waits for it again, "
            f"--pause {audit.pk} or --cancel {audit.pk} stops it."
        )
        with self.progress(how_to_go_on) as progress:
            wait_for(audit, progress)
        if audit.state == Audit.State.CANCELLED:
            raise CommandError(f"Audit {audit.pk} was cancelled.", returncode=OUR_SIDE)
        if not audit.complete:
            raise CommandError(
                f"Audit {audit.pk} is {audit.get_state_display()}; go on with: check_s3_images --resume {audit.pk}",
                returncode=INTERRUPTED,
            )
        return audit

    def stop(self, options: Mapping[str, Any]) -> None:
        """``--pause`` or ``--cancel``, and nothing else. Raises InvalidRequest, and NothingMatches for no such audit."""
        pause, cancel = options["pause"], options["cancel"]
        asked = [f"--{name}" for name in ("pause", "cancel", "resume") if options[name] is not None]
        asked += [f"--{name}" for name in ("stale", "distributed") if options[name]]
        if len(asked) > 1:
            raise InvalidRequest(f"{asked[0]} and {asked[1]} exclude each other.")
        if pause is not None:
            pause_audit(audit_of(pause))
            self.say(f"Audit {pause} is paused; go on with: check_s3_images --resume {pause}")
        elif cancel is not None:
            cancel_audit(audit_of(cancel))
            self.say(f"Audit {cancel} is cancelled. Nothing that it found counts.")


def audit_of(number: int) -> Audit:
    audit = Audit.objects.filter(pk=number).first()
    if audit is None:
        raise NothingMatches(
            f"There is no audit {number}. The admin's list of audits, and each report, has their numbers."
        )
    return audit
