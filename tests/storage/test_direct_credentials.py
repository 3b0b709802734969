"""Requests sent without botocore carry its credentials of the moment, and hold a server's certificate against the same."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials, RefreshableCredentials
from botocore.session import get_session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from imagesync.storage.connections import Answer, Connections, NotPlain
from imagesync.storage.store import ClientOptions, S3Store
from tests.storage.recording import SECRET, Recorder, cold, learnt, names_leading_to, recorder, store_by, warm

HOUR = timedelta(hours=1)


class Source:
    """Where keys come from that are made anew: ``AKID1``/``secret-1``, then ``AKID2`` …"""

    def __init__(self, *, live: timedelta = HOUR) -> None:
        self.made = 0
        self.live = live

    def __call__(self) -> dict[str, str]:
        self.made += 1
        return {
            "access_key": f"AKID{self.made}",
            "secret_key": f"secret-{self.made}",
            "token": f"token-{self.made}",
            "expiry_time": (datetime.now(UTC) + self.live).isoformat(),
        }


def store_with(credentials: Any, url: str) -> S3Store:
    def factory(storage: Any, config: Config) -> Any:
        session = get_session()
        session._credentials = credentials
        made = boto3.Session(botocore_session=session, region_name="us-east-1")
        return made.client("s3", endpoint_url=url, config=config)

    return store_by(url, client=ClientOptions(max_attempts=1, client_factory=factory))


@pytest.fixture
def lab() -> Iterator[Recorder]:
    with recorder() as lab:
        yield lab


def directly(lab: Recorder, store: S3Store) -> tuple[Any, Any]:
    """What is heard of a direct page and a direct object."""
    lab.heard.clear()
    assert store.list_page(prefix="a/").page
    assert store.get("a/1.jpg").status == 206
    page, thing = lab.heard
    assert (page.is_direct, thing.is_direct) == (True, True)
    return page, thing


def test_token__is_sent_and_signed(lab: Recorder) -> None:
    store = warm(store_by(lab.url, security_token="token-of-a-session"))

    for heard in directly(lab, store):
        assert heard.headers["x-amz-security-token"] == "token-of-a-session"
        assert "x-amz-security-token" in heard.headers["authorization"]
        assert heard.is_signed_with(SECRET)


def test_keys__that_were_made_anew_sign_the_next_request(lab: Recorder) -> None:
    source = Source()
    credentials = RefreshableCredentials.create_from_metadata(source(), source, "test")
    store = warm(store_with(credentials, lab.url))
    for heard in directly(lab, store):
        assert heard.signed_by == "AKID1"
        assert heard.is_signed_with("secret-1")

    credentials._expiry_time = datetime.now(UTC)  # an hour later
    for heard in directly(lab, store):
        assert heard.signed_by == "AKID2"
        assert heard.headers["x-amz-security-token"] == "token-2"
        assert heard.is_signed_with("secret-2")
    assert source.made == 2


def test_keys__that_live_for_a_moment_are_made_anew_for_each_request(lab: Recorder) -> None:
    source = Source(live=timedelta(seconds=-1))
    source.live = HOUR
    credentials = DeferredRefreshableCredentials(source, "test")
    store = warm(store_with(credentials, lab.url))
    for number in range(2, 5):
        credentials._expiry_time = datetime.now(UTC) - HOUR
        lab.heard.clear()
        store.get("a/1.jpg")
        (heard,) = lab.heard
        assert heard.is_direct
        assert heard.signed_by == f"AKID{number}"
        assert heard.is_signed_with(f"secret-{number}")


def test_keys__that_cannot_be_made_anew_are_botocores_outcome(lab: Recorder) -> None:
    source = Source()

    def refused() -> dict[str, str]:
        raise PermissionError("the role is gone")

    outcomes = []
    for prepare in (warm, cold):
        credentials = RefreshableCredentials.create_from_metadata(source(), refused, "test")
        store = prepare(store_with(credentials, lab.url))
        credentials._expiry_time = datetime.now(UTC) - HOUR
        lab.heard.clear()
        outcomes.append((store.get("a/1.jpg"), store.list_page(prefix="a/").evidence))

    assert not lab.heard
    assert outcomes[0] == outcomes[1]
    assert {one.status for one in outcomes[0]} == {None}


def test_keys__there_are_none(lab: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for prepare in (warm, cold):
        source = Source()
        store = store_with(RefreshableCredentials.create_from_metadata(source(), source, "test"), lab.url)
        prepare(store)
        store._client._request_signer._credentials = None
        outcomes.append((store.get("a/1.jpg"), store.list_page(prefix="a/").evidence))

    assert outcomes[0] == outcomes[1]
    assert {one.code for one in outcomes[0]} == {"NoCredentialsError"}


@pytest.mark.parametrize("region", ["us-east-1", "eu-north-1", "aws-global"])
def test_unsigned__carries_no_signature_and_tells_no_region(
    region: str, lab: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What botocore would sign ``aws-global`` for is another region, which no request has told."""
    options: dict[str, Any] = {
        "client_config": Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}),
        "region_name": region,
        "use_ssl": False,
    }
    with names_leading_to(lab.url, monkeypatch):
        fast, slow = warm(store_by(None, **options)), cold(store_by(None, **options))

        for heard in directly(lab, fast):
            assert not {"authorization", "x-amz-date", "x-amz-security-token"} & set(heard.headers)
        assert fast.get("a/1.jpg") == slow.get("a/1.jpg")
        assert fast.list_page(prefix="a/").evidence == slow.list_page(prefix="a/").evidence


# --- certificates -------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority of one's own, and a server's certificate by it."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority of our own")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - HOUR)
            .not_valid_after(now + HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        folder.mkdir()
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret = folder / "key.pem"
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(self.certificate, secret)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture
def tls(ours: Authority) -> Iterator[Recorder]:
    with recorder() as lab:
        lab.speak_tls(ours.context)
        yield lab


def https(lab: Recorder) -> str:
    return lab.url.replace("http://", "https://")


def test_certificate__of_an_authority_of_ones_own(tls: Recorder, ours: Authority) -> None:
    store = warm(store_by(https(tls), verify=str(ours.certificate)))

    for heard in directly(tls, store):
        assert heard.is_signed_with(SECRET, scheme="https")


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_certificate__of_an_authority_that_the_environment_names(
    variable: str, tls: Recorder, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(ours.certificate))

    directly(tls, warm(store_by(https(tls))))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_certificate__is_not_looked_at_when_the_settings_say_so(tls: Recorder) -> None:
    directly(tls, warm(store_by(https(tls), verify=False)))


def test_certificate__of_another_authority_is_never_sent_a_request(tls: Recorder, tmp_path: Path) -> None:
    """Neither way; nor directly, when only a client of one's own knows better."""
    another = Authority(tmp_path / "another")
    store = store_by(https(tls), verify=str(another.certificate))

    assert store.get("a/1.jpg").code == "SSLError"
    assert not tls.heard
    assert not learnt(store)


def test_certificate__that_only_the_client_of_a_factory_knows(tls: Recorder, ours: Authority) -> None:
    """Directly it is refused; botocore is asked, and after a few times nothing else is tried."""

    def factory(storage: Any, config: Config) -> Any:
        keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        return boto3.client(
            "s3", endpoint_url=https(tls), config=config, verify=str(ours.certificate), **keys
        )

    store = warm(
        store_by(https(tls), client=ClientOptions(connect_timeout=1, read_timeout=1, client_factory=factory))
    )
    tls.heard.clear()

    assert [store.get("a/1.jpg").status for _time in range(8)] == [206] * 8
    assert all(store.list_page(prefix="a/").page for _time in range(8))
    assert not tls.direct()
    assert store._direct._to_skip["GetObject"] > 0
    assert store._direct._to_skip["ListObjectsV2"] > 0


def test_answer__with_more_in_its_tls_record_is_refused(ours: Authority) -> None:
    """The socket does not tell of what TLS has read of it already, and the next answer would begin with that."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(ours.certificate)
    here, there = socket.socketpair()
    with ThreadPoolExecutor(1) as other_side:
        serving = other_side.submit(ours.context.wrap_socket, there, server_side=True)
        connection = trusting.wrap_socket(here, server_hostname="127.0.0.1")
        server = serving.result()
    origin = Connections("127.0.0.1", 9, context=None, connect_timeout=1, read_timeout=1, most_kept=1)

    with server, connection:
        server.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\n")
        server.sendall(b"abc" + b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(NotPlain, match="more than was announced"):
            Answer(origin, connection, "GET").whole()
        assert connection.fileno() == -1
