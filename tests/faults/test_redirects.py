"""A redirect to another host is never followed: whoever answers there would be handed a signed request."""

from __future__ import annotations

import pytest

from imagesync.selftest.bucket import failure
from imagesync.selftest.wire import Answer, Asked, Lab
from imagesync.storage.preflight import preflight
from imagesync.storage.probe import look
from tests.storage.scripted import store_at


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400])
@pytest.mark.parametrize("region", ["", "eu-west-1", "elsewhere.invalid", "@127.0.0.1:9/"])
def test_redirect__to_another_host_is_not_followed(status: int, region: str) -> None:
    asked_elsewhere: list[Asked] = []

    def elsewhere(asked: Asked) -> Answer:
        asked_elsewhere.append(asked)
        return Answer(200, b"x")

    with Lab(elsewhere) as other:
        host = other.url.removeprefix("http://")
        headers = {"Location": f"{other.url}/b/k", **({"x-amz-bucket-region": region} if region else {})}
        body = failure(
            status, "PermanentRedirect", f"<Endpoint>{host}</Endpoint><Region>{region}</Region>"
        ).body
        with Lab(lambda asked: Answer(status, body, headers)) as lab:
            store = store_at(lab.url)
            seen = look(store, "k", versioning="enabled")
            fit = preflight(store)
            store.versions_of("k")
            store.versioning()

    assert not asked_elsewhere
    assert not seen.verdict.is_known
    assert not fit.fit
