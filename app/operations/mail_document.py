"""Send issued documents by e-mail: put one into the outbox, and hand it to the mail server later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.documents.covering_mail import covering_mail
from app.domain.callers import Caller
from app.domain.deliveries import PATIENCE, Outcome, Status
from app.domain.errors import Conflict, InvalidInput
from app.domain.ids import new_id, parse_public_id
from app.domain.invoices import Invoice
from app.domain.tenants import Tenant
from app.operations.announce import payload_text
from app.operations.read_invoices import find_invoice
from app.operations.render_document import render_document
from app.outbound.mail import Letter, MailServer
from app.storage import invoice_store, outbox_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import Place, StoredInvoice
from app.storage.outbox_store import Delivery, DeliveryFilter, Message, Receiver
from app.wire.announcements import document_facts
from app.wire.mail import mail_to_wire

MAIL_TYPE = "document.mailed"
"""The type of a message that no webhook hears: it sends a document by e-mail."""


def mail_issued(connection: Connection, stored: StoredInvoice, buyer: Tenant, *, now: datetime) -> None:
    """Sends a document that is being issued to the addresses that its buyer has named, once that commits."""
    if buyer.buying.invoice_email:
        _queue(connection, stored.invoice, stored.place, buyer.buying.invoice_email, now)


def mail_again(
    database: Database, stored: StoredInvoice, recipients: Sequence[str], *, now: datetime
) -> list[dict[str, Any]]:
    """The deliveries of a document to these addresses, or to those that its buyer has named. Raises Conflict for a
    draft, and InvalidInput where there is no address."""
    if stored.invoice.status != "issued":
        raise Conflict("A draft is not sent: it may still change.", invoice_id=stored.invoice.id)

    def work(connection: Connection) -> list[dict[str, Any]]:
        buyer = tenant_store.find_by_id(connection, stored.place.tenant_id)
        assert buyer is not None
        wanted = tuple(recipients) or buyer.buying.invoice_email
        if not wanted:
            raise InvalidInput.at("#/to", "there is no address: name one here, or as `invoice_email` of the buyer")
        message = _queue(connection, stored.invoice, stored.place, wanted, now)
        of_message = DeliveryFilter("email", message=(message.tenant_id, message.message_id))
        found = outbox_store.listing(connection, of_message, before=None, limit=len(wanted))
        return [mail_to_wire(item) for item in found]

    return database.write(work)


def _queue(connection: Connection, invoice: Invoice, place: Place, recipients: Sequence[str], now: datetime) -> Message:
    payload = payload_text(MAIL_TYPE, document_facts(invoice), now)
    message = Message(place.tenant_id, new_id(), MAIL_TYPE, payload, now, place.seller_id, place.invoice_id)
    outbox_store.add_message(connection, message)
    receivers = [Receiver("email", recipient=address) for address in recipients]
    outbox_store.add_deliveries(connection, message, receivers, now)
    return message


def list_mail(
    database: Database, caller: Caller, *, invoice: str | None, status: Status | None,
    before: tuple[UUID, UUID] | None, limit: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Documents that were sent, are to be, and could not be: the newest first. Raises NotFound for an invoice that the
    caller may not see."""
    wanted = DeliveryFilter("email", status=status, tenant_id=caller.tenant_id)
    if invoice is not None:
        place = find_invoice(database, invoice, caller).place
        wanted = DeliveryFilter("email", status=status, document=(place.tenant_id, place.invoice_id))
    found = database.read(lambda connection: outbox_store.listing(connection, wanted, before=before, limit=limit))
    return [mail_to_wire(item) for item in found]


# --- sending ----------------------------------------------------------------------------------------------------------


def hand_to_server(database: Database, delivery: Delivery, server: MailServer, *, now: datetime) -> Outcome:
    """What came of one try. One that nobody could send for days, because there was no mail server, is not sent any
    more: its document is old."""
    if delivery.attempts == 1 and now - delivery.since_at > PATIENCE:
        return Outcome(error=f"not sent: it waited for more than {PATIENCE.days} days", is_final=True)
    stored = _document(database, delivery)
    if stored is None:
        return Outcome(error="not sent: there is no such document", is_final=True)
    return server.send(_letter(delivery, stored.invoice, render_document(database, stored, "pdf")))


def _document(database: Database, delivery: Delivery) -> StoredInvoice | None:
    key = parse_public_id("inv", json.loads(delivery.message.payload)["data"]["id"])
    return None if key is None else database.read(lambda connection: invoice_store.find(connection, *key))


def _letter(delivery: Delivery, invoice: Invoice, pdf: bytes) -> Letter:
    mail = covering_mail(invoice)
    reply_to = next((contact.email for contact in invoice.seller.contacts if contact.email), "")
    return Letter(
        message_id=delivery.delivery_id.hex, sender_name=invoice.seller.name,
        reply_to=reply_to, recipient=delivery.receiver.recipient, written_at=delivery.created_at,
        subject=mail.subject, body=mail.body, language=mail.language, attachment=pdf,
        file_name=f"{invoice.number.replace('/', '-')}.pdf",
    )  # fmt: skip
