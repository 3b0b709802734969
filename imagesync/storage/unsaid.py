"""What botocore knows and does not tell, taken from the events of its client: the region that a request was signed
for in the end, and whether an answer without content is S3's."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import Any

from imagesync.core.verdicts import Evidence
from imagesync.storage.contract import REGION_HEADER, StoreIdentity

_SIGNED_FOR = re.compile(r"Credential=[^/,]+/[0-9]{8}/([A-Za-z0-9-]+)/s3/")
# the root element: S3's VersioningConfiguration; others (moto's GetBucketVersioningOutput) call theirs alike
_VERSIONING = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<[A-Za-z0-9:]*Versioning[A-Za-z0-9]*[\s/>]")


class SignedRegion:
    """The region that each thread's last request was signed for; empty before there was one."""

    def __init__(self, client: Any, identity: StoreIdentity) -> None:
        self._identity = identity
        self._this_thread = threading.local()
        client.meta.events.register("before-send.s3", self._note_request)

    def note(self, region: str) -> None:
        self._this_thread.region = region

    def tell(self, evidence: Evidence) -> Evidence:
        """The evidence with the region that botocore followed a redirect to, where the answer itself does not tell it.

        It follows silently (botocore/utils.py, S3RegionRedirectorv2), and some servers (Swift) name the
        bucket's region only in the error that it swallows. An ARN names its own region.
        """
        went = getattr(self._this_thread, "region", "")
        if not went or went == self._identity.region or self._identity.bucket.startswith("arn:"):
            return evidence
        return replace(evidence, headers={REGION_HEADER: went, **evidence.headers})

    def _note_request(self, request: Any, **_event: Any) -> None:
        authorization = request.headers.get("Authorization", b"")
        text = authorization.decode("latin-1") if isinstance(authorization, bytes) else str(authorization)
        signed = _SIGNED_FOR.search(text)
        self.note(signed[1] if signed else "")


def note_empty_answers(client: Any) -> None:
    """Have answers say ``IsVersioningAnswer`` and ``IsLocationAnswer``.

    Never enabled, and us-east-1, are an empty element, and botocore takes an empty body or a foreign page for the same.
    """
    client.meta.events.register("after-call.s3.GetBucketVersioning", _note_versioning)
    client.meta.events.register("after-call.s3.GetBucketLocation", _note_location)


def _note_versioning(http_response: Any, parsed: dict[str, Any], **_event: Any) -> None:
    parsed["IsVersioningAnswer"] = _VERSIONING.match(http_response.content) is not None


def _note_location(http_response: Any, parsed: dict[str, Any], **_event: Any) -> None:
    parsed["IsLocationAnswer"] = b"LocationConstraint" in http_response.content
