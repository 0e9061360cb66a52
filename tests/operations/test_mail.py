"""Issued documents by e-mail, from the issue to the mail server."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.domain.deliveries import Outcome
from app.domain.ids import parse_public_id
from app.main import create_app
from app.operations.deliver_outbox import deliver_outbox, take_due
from app.outbound.destinations import Destinations
from app.outbound.mail import Letter, MailServer
from app.outbound.webhooks import Poster
from app.settings import InvalidSetting, Settings
from app.storage.database import Database
from tests.postbox import Postbox, postbox
from tests.service import ACME, ADMIN_KEY, OPERATOR, PER_UNIT, Api, Clock, event, set_up

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEASES = {"email": timedelta(minutes=10)}


@pytest.fixture
def box() -> Iterator[Postbox]:
    with postbox() as found:
        yield found


@contextmanager
def service(database_url: str, **settings: Any) -> Iterator[Api]:
    clock = Clock("2026-11-23T12:00:00+00:00")
    chosen = Settings(database_url=database_url, bootstrap_key=ADMIN_KEY, **settings)
    with TestClient(create_app(chosen, clock=clock), raise_server_exceptions=False) as client:
        yield Api(client, clock)


def sends_by(box: Postbox) -> dict[str, Any]:
    return {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_tls": "none", "smtp_from": "bills@garage.example"}


def bill_acme(api: Api, *addresses: str, **tenant: Any) -> Any:
    """The invoice of October, 7.25 kWh at 0.30: sent to these addresses."""
    contacts = [{"name": "A. Martin"}, {"email": "hello@garage.example"}]
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.put("/v1/tenants/garage", OPERATOR | {"legal": {"name": "Garage SAS", "contacts": contacts}})
    api.put("/v1/tenants/acme", ACME | {"invoice_email": list(addresses)} | tenant)
    api.post("/v1/events", event("s-1"))
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices(status="issued")
    return invoice


def wait_for(api: Api, number: int, **query: str) -> list[Any]:
    """Deliveries that are no longer pending, once there are so many."""
    deadline = time.monotonic() + 20
    while True:
        found = [each for each in api.get("/v1/email-deliveries", **query)["data"] if each["status"] != "pending"]
        if len(found) >= number:
            return found
        assert time.monotonic() < deadline, api.get("/v1/email-deliveries")
        time.sleep(0.02)


def test_an_issued_invoice_is_sent_with_its_pdf_in_its_language(database_url: str, box: Postbox) -> None:
    """Acme is French and has two addresses: each has one mail, with the bytes that the service hands out as PDF."""
    with service(database_url, **sends_by(box)) as api:
        invoice = bill_acme(api, "compta@acme.example", "chef@acme.example")
        deliveries = wait_for(api, 2)
        pdf = api.call("GET", f"/v1/invoices/{invoice['id']}.pdf").content

    assert sorted(mail.recipients for mail in box.got) == [["chef@acme.example"], ["compta@acme.example"]]
    for mail in box.got:
        assert mail.pdf == (f"{invoice['number']}.pdf", pdf)
        assert mail.sender == "bills@garage.example"
        assert mail.message["From"] == "Garage SAS <bills@garage.example>"
        assert mail.message["To"] == mail.recipients[0]
        assert mail.message["Reply-To"] == "hello@garage.example"
        assert mail.message["Subject"] == f"Facture {invoice['number']} de Garage SAS"
        assert mail.message["Content-Language"] == "fr"
        assert f"facture {invoice['number']} du 23 novembre 2026, d’un montant de 2,18" in mail.text
        assert "Date d’échéance : 23 décembre 2026." in mail.text
    sent = {(each["invoice"], each["number"], each["recipient"], each["status"]) for each in deliveries}
    assert sent == {(invoice["id"], invoice["number"], mail.recipients[0], "delivered") for mail in box.got}
    keys = [parse_public_id("dlv", each["id"]) for each in deliveries]
    ids = {f"<{key[1].hex}@garage.example>" for key in keys if key is not None}
    assert {mail.message["Message-ID"] for mail in box.got} == ids and len(ids) == 2


def test_a_credit_note_says_what_it_credits_in_english(database_url: str, box: Postbox) -> None:
    with service(database_url, **sends_by(box)) as api:
        invoice = bill_acme(api, "bills@acme.example", language="en")
        api.post(
            "/v1/events/cancellations",
            {"tenant": "acme", "source": "/chargers/12", "id": "s-1", "reason": "by mistake"},
        )
        api.bill("2026-11-01T00:00:00Z")
        wait_for(api, 2)
        (note,) = api.invoices(type="credit_note")

    mail = next(each for each in box.got if "credit" in each.message["Subject"].lower())
    assert mail.message["Subject"] == f"Credit note {note['number']} of Garage SAS"
    assert f"It credits: {invoice['number']}." in mail.text and "due by" not in mail.text


def test_a_document_is_sent_once_more_to_whoever_is_named(database_url: str, box: Postbox) -> None:
    with service(database_url, **sends_by(box)) as api:
        invoice = bill_acme(api)
        assert api.get("/v1/email-deliveries")["data"] == []
        path = f"/v1/invoices/{invoice['id']}/email"
        refused = api.call("POST", path, {})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/to")
        for bad in ("nobody", "a b@acme.example", "a@b\r\nBcc: c@d", "a@b,c@d", 7):
            assert api.call("POST", path, {"to": [bad]}).status_code == 422, bad
        queued = api.post(path, {"to": ["audit@acme.example"]})["data"]
        assert [(each["recipient"], each["status"]) for each in queued] == [("audit@acme.example", "pending")]
        wait_for(api, 1, invoice=invoice["id"])
        draft = api.bill("2026-11-20T00:00:00Z", issue=False) and api.invoices(status="draft")
        assert draft == [] or api.call("POST", f"/v1/invoices/{draft[0]['id']}/email", {}).status_code == 409

    assert [mail.recipients for mail in box.got] == [["audit@acme.example"]]


# --- what may go wrong ------------------------------------------------------------------------------------------------


class World:
    """One invoice that waits to be sent, and a clock."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        with service(database_url) as api:
            self.invoice = bill_acme(api, "bills@acme.example")
        self.database = Database.open(database_url)
        self.now = NOW

    def send(self, box: Postbox, **rest: Any) -> list[Outcome]:
        """What came of each mail that is due."""
        wanted = {"tls": "none", "sender": "bills@garage.example"} | rest
        taken = take_due(self.database, holder="test", now=self.now, leases=LEASES, free=9, busy={})  # type: ignore[arg-type]
        server = MailServer("127.0.0.1", box.port, **wanted)
        poster = Poster(Destinations(), seconds=1)
        return [
            deliver_outbox(self.database, item, poster, clock=lambda: self.now, mail_server=server) for item in taken
        ]

    def status(self) -> tuple[str, int, str | None]:
        with service(self.url) as api:
            (found,) = api.get("/v1/email-deliveries")["data"]
        return found["status"], found["attempts"], found["last_error"]


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.database.close()


def test_what_the_server_cannot_take_now_is_tried_again_as_the_same_message(world: World, box: Postbox) -> None:
    """Greylisted, then out of space, then taken: three tries of one Message-ID, of which one arrives."""
    box.on_recipient = lambda _: "450 try later"
    (first,) = world.send(box)
    assert (first.status, first.is_final) == (450, False)
    assert world.send(box) == []
    world.now += timedelta(hours=1)
    box.on_recipient, box.on_data = lambda _: "250 OK", lambda: "452 no space"
    (second,) = world.send(box)
    assert second.status == 452
    world.now += timedelta(hours=1)
    box.on_data = lambda: "250 OK"
    assert [outcome.is_taken for outcome in world.send(box)] == [True]

    assert world.status() == ("delivered", 3, None)
    assert len(box.got) == 1 and box.got[0].message["Date"].startswith("Mon, 23 Nov 2026 12:00:00")


def test_an_address_that_there_is_not_is_not_tried_again(world: World, box: Postbox) -> None:
    box.on_recipient = lambda _: "550 no such user"
    (outcome,) = world.send(box)

    assert outcome.is_final
    assert world.status() == ("failed", 1, "the mail server answered 550: no such user")


def test_a_server_that_is_away_is_waited_for(world: World, box: Postbox) -> None:
    with postbox() as gone:
        pass
    (outcome,) = world.send(gone)
    assert outcome.error.startswith("the mail server cannot be used")
    world.now += timedelta(hours=1)
    assert [each.is_taken for each in world.send(box)] == [True]


def test_a_mail_that_nobody_could_send_for_days_is_not_sent_late(world: World, box: Postbox) -> None:
    world.now += timedelta(days=6)
    (outcome,) = world.send(box)

    assert (outcome.is_final, box.got) == (True, [])
    assert world.status()[0] == "failed"


def test_a_wrong_password_is_tried_again_and_never_logged(world: World, caplog: Any) -> None:
    """The operator mends the setting, and the mail goes out."""
    caplog.set_level(logging.DEBUG)
    made = Postbox()
    with postbox(auth_require_tls=False, auth_required=True, authenticator=made.authenticate) as box:
        (outcome,) = world.send(box, user="garage", password="wrong-secret")
        assert (outcome.status, outcome.is_final) == (535, False)
        world.now += timedelta(hours=1)
        assert [each.is_taken for each in world.send(box, user="garage", password="right")] == [True]

    assert set(made.logins) == {("garage", "wrong-secret"), ("garage", "right")}
    assert "wrong-secret" not in "\n".join(str(vars(record)) for record in caplog.records) + str(world.status())
    assert "secret" not in repr(MailServer("h", 25, "none", "a@b", "u", "secret"))


def test_without_a_mail_server_mail_waits(database_url: str) -> None:
    with service(database_url) as api:
        bill_acme(api, "bills@acme.example")
        time.sleep(1)
        (waiting,) = api.get("/v1/email-deliveries")["data"]
        metrics = api.client.get("/metrics").text

    assert (waiting["status"], waiting["attempts"]) == ("pending", 0)
    assert 'quotepart_outbox_pending{channel="email"} 1.0' in metrics


def test_a_mail_server_needs_an_address_to_send_from() -> None:
    with pytest.raises(InvalidSetting, match="QUOTEPART_SMTP_FROM"):
        Settings.from_environment({"QUOTEPART_SMTP_HOST": "mail.example"})


# --- encryption -------------------------------------------------------------------------------------------------------

LETTER = Letter("dlv_1", "Garage", "", "bills@acme.example", NOW, "Invoice 1", "Hello", "en", b"%PDF-", "1.pdf")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that this process trusts."""
    key, file = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return context


@needs_openssl
def test_mail_is_encrypted_after_the_greeting(certificate: ssl.SSLContext) -> None:
    with postbox(certificate, require_starttls=True) as box:
        server = MailServer("127.0.0.1", box.port, "starttls", "bills@garage.example")
        assert server.send(LETTER) == Outcome(250)
    assert len(box.got) == 1


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with postbox(certificate) as box:
        outcome = MailServer("127.0.0.1", box.port, "starttls", "bills@garage.example").send(LETTER)
    assert outcome.error.startswith("the certificate of the mail server is not valid") and box.got == []


def test_a_server_that_does_not_encrypt_gets_no_mail(box: Postbox) -> None:
    outcome = MailServer("127.0.0.1", box.port, "starttls", "bills@garage.example").send(LETTER)

    assert not outcome.is_taken and not outcome.is_final and box.got == []
