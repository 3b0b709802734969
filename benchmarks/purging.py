"""How fast a plan is executed: tombstones written, records deleted.

    python -m benchmarks.purging BURIED

audits, plans and executes; writes the keys of the tombstones to the file BURIED, and prints a JSON object with the
``seconds`` of execute_plan, those of them that it spent ``confirming`` (asking the store), and the names that are ``left``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from benchmarks.peers import names, write


def main(buried: str) -> None:
    django.setup()
    from imagesync.audit import carry_out, open_audit
    from imagesync.models import Tombstone
    from imagesync.purge import canaries, execute
    from imagesync.purge.plan import limits_from_settings, make_plan
    from imagesync.records import Scope, find_sources

    source = find_sources()[0]
    audit = carry_out(open_audit(source, Scope()), source)
    purge = make_plan(source, audit, limits=limits_from_settings(max_ratio=0.5), planned_by="benchmark")

    confirming = 0.0

    def timed(asks: Any) -> Any:
        def asking(*arguments: Any, **named: Any) -> Any:
            nonlocal confirming
            began = time.perf_counter()
            try:
                answer = asks(*arguments, **named)
                return list(answer) if isinstance(answer, Iterator) else answer
            finally:
                confirming += time.perf_counter() - began

        return asking

    execute.look_all = timed(execute.look_all)
    canaries.look_all = timed(canaries.look_all)
    execute.preflight = timed(execute.preflight)
    began = time.perf_counter()
    execute.execute_plan(purge, source)
    seconds = time.perf_counter() - began

    write(Path(buried), list(Tombstone.objects.order_by("pk").values_list("key", flat=True)))
    sys.stdout.write(json.dumps({"seconds": seconds, "confirming": confirming, "left": names()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
