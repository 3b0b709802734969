"""The self-test's report: every answer, how it was judged, and whether a record could have gone by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from imagesync.reports.escaping import printable

Document = Mapping[str, Any]


def write_self_tests(out: TextIO, format: str, documents: Sequence[Document]) -> None:
    """``format`` is ``text`` or ``json``; each document, one per storage, is ``imagesync.selftest/1``."""
    if format == "json":
        several = {"schema": "imagesync.selftests/1", "storages": documents}
        out.write(json.dumps(documents[0] if len(documents) == 1 else several) + "\n")
        return
    for document in documents:
        out.writelines(f"{line}\n" for line in _lines(document))


def _lines(document: Document) -> Iterator[str]:
    answers, counts = document["answers"], document["counts"]
    width = max((len(printable(one["id"])) for one in answers), default=0)
    yield f"Self-test with the settings of storage {printable(document['storage'])}: {counts['played']} answers played"
    for one in answers:
        told = f"{one['judged']} ({one['reason']})" if one["reason"] else one["judged"]
        yield f"  {printable(one['id']):<{width}}  {told}{_mark(one)}".rstrip()
    yield f"{counts['deletable']} of {counts['played']} answers leave a record deletable: a clean 404 NoSuchKey in a healthy store."
    if counts["unsafe"]:
        yield f"UNSAFE: {counts['unsafe']} other answers would have made a record deletable."
    else:
        yield "None of the others makes a record deletable."
    if counts["differing"]:
        yield f"{counts['differing']} are judged otherwise than documented (marked above)."


def _mark(one: Document) -> str:
    if not one["safe"]:
        return "   <- UNSAFE: a record would be deletable"
    if not one["as_documented"]:
        return "   <- not as documented"
    return "   deletable" if one["deletable"] else ""
