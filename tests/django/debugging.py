"""What the tests of ``debug_s3_image`` share: the command, and what it tells."""

from __future__ import annotations

import json
from typing import Any

from tests.django.helpers import run


def debug(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON document; the conclusion is one line whatever was found."""
    code, out, _err = run("debug_s3_image", "--format", "json", *arguments)
    document = json.loads(out)
    for one in document.get("images", [document]):
        assert one["conclusion"]["sentence"].isprintable()
        assert one["conclusion"]["sentence"].endswith(".")
    return code, document
