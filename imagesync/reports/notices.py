"""A notice (``imagesync.notice/1``) as a subject, as text, and as the JSON that Slack and Mattermost understand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagesync.reports.escaping import printable
from imagesync.reports.lines import Document, where_line

MOST_OF_A_NAME = 120
MOST_OF_A_BLOCK = 2900
"""Characters; Slack refuses a text block of more than 3,000."""

_TROUBLES = {
    "untrustworthy": "the last audit could not believe the store",
    "failed": "an audit stopped before its end, and nobody went on with it",
    "overdue": "no audit has ended for too long",
}
_OVER = {
    "breakage": "fewer images are broken",
    "untrustworthy": "audits can believe the store again",
    "failed": "audits run to their end again",
    "overdue": "audits end in time again",
}


def notice_subject(document: Document) -> str:
    """One line: the bucket, and the worst of the news."""
    first = document["news"][0]
    more = f" (and {len(document['news']) - 1} more)" if len(document["news"]) > 1 else ""
    return printable(f"Images in {document['store']['bucket']}: {_headline(first)}{more}")


def notice_text(document: Document) -> str:
    """The whole message as plain text, with every foreign name escaped."""
    return "\n".join(_lines(document)) + "\n"


def notice_slack(document: Document) -> dict[str, Any]:
    """``{"text": ..., "blocks": [...]}``: Slack shows the blocks, Mattermost and others the text, with the same in it.

    Foreign names stand in code, where no mention or link is looked for.
    """
    subject = _slack(notice_subject(document))
    body = f"```\n{_slack(notice_text(document))[:MOST_OF_A_BLOCK]}\n```"
    link = document["link"] if document["link"].startswith("http") else ""
    sections = [f"*{subject}*", body, *([f"<{link}|Look at it>"] if link else [])]
    return {
        "text": "\n".join([subject, body, *([link] if link else [])]),
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": one}} for one in sections],
    }


def _headline(news: Document) -> str:
    if news["kind"] == "test":
        return "this is a test, nothing happened"
    if news["kind"] == "breakage":
        return f"{news['rise']:,} more broken"
    if news["kind"] == "recovery":
        return _OVER[news["of"]]
    return _TROUBLES[news["kind"]]


def _lines(document: Document) -> Iterator[str]:
    yield where_line(document["store"])
    for news in document["news"]:
        yield ""
        yield f"{_headline(news)[:1].upper()}{_headline(news)[1:]}."
        yield from _count_lines(news)
        yield from _reason_lines(news["reasons"])
    if document["likely_causes"]:
        yield ""
        yield "Likely cause"
        yield from _reason_lines(document["likely_causes"])
    if document["worst_prefixes"]:
        yield ""
        yield "Where most of what is missing lies"
        for place in document["worst_prefixes"]:
            yield f"  {place['percent']:>3} %  {_short(place['prefix'])}"
    yield ""
    if document["audit"]:
        ended = document["ended_at"]
        when = f" of {ended[:16].replace('T', ' ')} UTC" if ended else ""
        yield f"Audit {document['audit']}{when}: {document['trust']}."
    if document["link"]:
        yield document["link"]
    yield "Nothing was deleted: an audit only looks. manage.py check_s3_images lists the records."


def _count_lines(news: Document) -> Iterator[str]:
    for verdict in sorted({*news["before"], *news["now"]}):
        now, before = news["now"].get(verdict, 0), news["before"].get(verdict, 0)
        yield f"  {verdict:<12}{now:>9,}   ({now - before:+,} since it was told last)"


def _reason_lines(reasons: list[Document]) -> Iterator[str]:
    for reason in reasons:
        yield f"  {reason['id']}: {printable(reason['fact'])}"
        yield f"    -> {printable(reason['hint'])}"


def _short(name: str) -> str:
    return name if len(name) <= MOST_OF_A_NAME else f"{name[:MOST_OF_A_NAME]}..."


def _slack(text: str) -> str:
    """Slack's three escapes ("Formatting text for app surfaces"), and no fence within a fence."""
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("`", "'")):
        text = text.replace(character, escaped)
    return text
