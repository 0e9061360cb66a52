"""One message on its way: signed as the specification's own library signs, over TLS that is checked."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from app.domain.deliveries import Outcome
from app.outbound.destinations import Destinations
from app.outbound.webhooks import Post, Poster, signatures
from app.settings import Settings
from tests.receiver import Receiver, receiving

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
HERE = Destinations(True, Settings(webhook_networks="127.0.0.0/8").networks())
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.timedeltas(timedelta(0), timedelta(days=9)))
def test_each_signature_is_that_of_the_reference_library(payload: str, later: timedelta) -> None:
    """One for each secret in force, in order; whatever the payload holds, and to the whole second."""
    at = NOW + later
    wanted = " ".join(Webhook(secret).sign("msg_1", at, payload) for secret in SECRETS)

    assert signatures(Post("https://erp.example", "msg_1", payload, SECRETS), at=at) == wanted


def test_the_signature_of_the_specification() -> None:
    """The example that the specification's libraries are tested with."""
    post = Post("", "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', SECRETS[:1])

    at = datetime.fromtimestamp(1614265330, UTC)
    assert signatures(post, at=at) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for hooks.example, and a server's context with it."""
    key, file = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=here", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return file, context


@pytest.fixture
def secured(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[Receiver]:
    with receiving(tls=certificate[1]) as found:
        yield found


def posted(url: str) -> Outcome:
    return Poster(HERE, seconds=5).post(Post(url, "msg_1", "{}", SECRETS[:1]), at=NOW)


@needs_openssl
def test_a_message_goes_over_tls_to_whom_the_certificate_names(
    secured: Receiver, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is to an address; the name that is checked is that of the URL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    by_name = secured.url.replace("127.0.0.1", "localhost")

    assert posted(by_name) == Outcome(204)
    assert secured.got[0].headers["host"] == by_name.split("/")[2]
    assert "certificate is not valid" in posted(secured.url).error
    assert len(secured.got) == 1


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_is_sent_nothing(secured: Receiver) -> None:
    outcome = posted(secured.url.replace("127.0.0.1", "localhost"))

    assert outcome.error.startswith("the certificate is not valid: self") and secured.got == []


def test_where_nobody_listens_the_error_says_so() -> None:
    with receiving() as gone:
        pass

    assert posted(gone.url) == Outcome(error="the connection was refused")
