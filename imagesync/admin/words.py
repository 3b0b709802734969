"""Verdicts and reasons in sentences, for people who never read docs/how-it-decides.md."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from imagesync.core.verdicts import Reason, Verdict

VERDICT_SENTENCES: dict[Verdict, Any] = {
    Verdict.UNCHECKED: _("Nobody has looked at this object yet."),
    Verdict.PRESENT: _("The object is there."),
    Verdict.MISMATCHED: _("The object is there, but it is not the one that the record remembers."),
    Verdict.ARCHIVED: _(
        "The object is there, in a storage class that must be restored before anybody can read it."
    ),
    Verdict.RECOVERABLE: _("The object was deleted; a version of it is kept and can be brought back."),
    Verdict.MISSING: _("The object is gone: a healthy store answered so, without a delete marker."),
    Verdict.AMBIGUOUS: _("The stored name does not lead to one exact key, so absence cannot be proven."),
    Verdict.DENIED: _("S3 refused to say whether the object is there."),
    Verdict.UNKNOWN: _("The last look established nothing."),
}

REASON_SENTENCES: dict[Reason, Any] = {
    Reason.WRONG_REGION: _("The request was signed for another region than the bucket's."),
    Reason.NO_BUCKET: _("The bucket is not there."),
    Reason.BARE_404: _("The answer was a 404 that does not come from S3 itself, so it proves nothing."),
    Reason.ACCESS_DENIED: _("Access was denied."),
    Reason.BAD_CREDENTIALS: _("S3 does not accept the access key."),
    Reason.NO_CREDENTIALS: _("There are no credentials to sign with."),
    Reason.CLIENT_SETTINGS: _("The client can send nothing with its settings."),
    Reason.EXPIRED_CREDENTIALS: _("The credentials have expired."),
    Reason.CLOCK_SKEW: _("This machine's clock and the server's differ too much."),
    Reason.THROTTLED: _("S3 asked to wait, again and again."),
    Reason.SERVER_ERROR: _("The server failed."),
    Reason.TIMED_OUT: _("No answer came in time."),
    Reason.UNREACHABLE: _("There was no connection, or it broke."),
    Reason.REDIRECTED: _("A redirect led nowhere."),
    Reason.BAD_REQUEST: _("S3 did not accept the request."),
    Reason.UNSENDABLE_KEY: _("S3 cannot hold such a key."),
    Reason.UNEXPECTED_ANSWER: _("The answer was one that S3 does not give."),
    Reason.LISTING_BROKEN: _("The listing was not valid, so nothing follows from it."),
    Reason.WRITTEN_ELSEWHERE: _("The record was last seen in another store, and this one does not have it."),
    Reason.STORE_UNFIT_AFTERWARDS: _("The store failed its check after the look, so it is not believed."),
    Reason.NAME_REWRITTEN: _("The storage would rewrite the stored name on its way to a key."),
    Reason.EMPTY_OBJECT: _("The object has no bytes."),
    Reason.SIZE_DIFFERS: _("Its size is not the one that the record remembers."),
    Reason.ETAG_DIFFERS: _("Its ETag is not the one that the record remembers."),
}


def sentence(verdict: str, reason: str = "") -> str:
    """What a verdict says, and why when there is a reason; an unknown word says nothing."""
    told = [str(VERDICT_SENTENCES[Verdict(verdict)])] if verdict in set(Verdict) else []
    if reason in set(Reason):
        told.append(str(REASON_SENTENCES[Reason(reason)]))
    return " ".join(told)
