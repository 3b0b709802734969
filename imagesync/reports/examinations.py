"""What the doctor found. ``document`` is ``imagesync.doctor/1``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from imagesync.reports.escaping import printable

Document = Mapping[str, Any]

EXAMINATION_FORMATS = ("text", "json")
_HINT = " " * 26 + "-> "


def write_examination(out: TextIO, format: str, document: Document) -> None:
    if format == "json":
        out.write(json.dumps(document) + "\n")
    else:
        out.writelines(line + "\n" for line in _text(document))


def _text(document: Document) -> Iterator[str]:
    for one in document["storages"]:
        store = one["store"]
        yield printable(
            f"Storage {store['alias']}: s3://{store['bucket']}/{store['prefix']} ({store['region']}) at {store['endpoint']}"
        )
        yield from _table(one["checks"])
    yield "Project"
    yield from _table(document["site"])
    levels = Counter(diagnosis["level"] for diagnosis in document["diagnoses"])
    warnings = "1 warning" if levels["warning"] == 1 else f"{levels['warning']} warnings"
    yield f"{levels['failed']} failed, {warnings}."


def _table(checks: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for check in checks:
        named = f"{check['diagnosis']}: " if "diagnosis" in check else ""
        yield f"  {check['status']:<9}  {check['id']:<11}  {named}{printable(check['fact'])}"
        if check["hint"]:
            yield _HINT + printable(check["hint"])
