"""How fast single objects are asked for, by imagesync and by boto3.

    python -m benchmarks.asking imagesync|boto3 head|get THREADS MISSING

``get`` is the ranged GET that alone proves absence. Writes the missing keys to the file MISSING and prints a JSON object
with ``seconds`` and the keys ``asked``.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.peers import client, names, write
from benchmarks.server import BUCKET

ASKED = 5_000


def by_boto3(keys: list[str], how: str, threads: int) -> tuple[float, list[str]]:
    s3 = client(threads)

    def is_gone(key: str) -> bool:
        try:
            if how == "head":
                s3.head_object(Bucket=BUCKET, Key=key)
            else:
                s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=0-0")["Body"].read()
        except ClientError as error:
            return error.response["Error"]["Code"] in ("404", "NoSuchKey")
        return False

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        gone = [key for key, found in zip(keys, pool.map(is_gone, keys), strict=True) if found]
        return time.perf_counter() - began, gone


def by_imagesync(keys: list[str], how: str, threads: int) -> tuple[float, list[str]]:
    import django

    django.setup()
    from imagesync.core.verdicts import Verdict
    from imagesync.records import find_sources
    from imagesync.storage.probe import confirm, look, look_all

    source = find_sources(workers=threads)[0]
    wanted: Any = ((key, key, None) for key in keys)
    began = time.perf_counter()
    looks = look_all(
        source.store, wanted, how=look if how == "head" else confirm, versioning="off", workers=threads
    )
    gone = [key for key, seen in looks if seen.verdict is Verdict.MISSING]
    return time.perf_counter() - began, gone


def main(side: str, how: str, threads: str, missing: str) -> None:
    keys = names()[:ASKED]
    asked = by_boto3 if side == "boto3" else by_imagesync
    seconds, gone = asked(keys, how, int(threads))
    write(Path(missing), gone)
    sys.stdout.write(json.dumps({"seconds": seconds, "asked": keys}))


if __name__ == "__main__":
    main(*sys.argv[1:])
