"""Does the ledger of credit agree with its grants and with the documents that it names?

Of each grant: granted = used + left + expired + voided, so what its row says is left must be its amount less every
entry. Of each document: what it says it took is what is booked for it, and balance and payments pay no more of it than
it owes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.credit import Entry, Grant
from app.domain.ids import public_id
from app.domain.invoices import units_drawn
from app.domain.money import ZERO, plain
from app.storage import credit_store, invoice_store
from app.storage.invoice_store import StoredInvoice


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not what it should be. `table` and `row` name it; `expected` and `found` are texts."""

    table: str
    row: dict[str, str]
    what: str
    expected: str
    found: str


def credit_differences(connection: Connection, keys: dict[UUID, str]) -> list[Difference]:
    """Every difference in the credit of every tenant."""
    found: list[Difference] = []
    for tenant_id, count in credit_store.all_accounts(connection):
        row = {"tenant": keys.get(tenant_id, str(tenant_id))}
        entries = credit_store.entries(connection, tenant_id)
        grants = {grant.grant_id: grant for grant in credit_store.grants_of(connection, tenant_id)}
        if not (count or entries or grants):
            continue
        documents = {one.place.invoice_id: one for one in invoice_store.issued_to(connection, tenant_id)}
        numbers = [entry.sequence for entry in entries]
        if numbers != list(range(1, count + 1)):
            found.append(Difference("credit_entries", row, "sequence", f"1 to {count}", str(numbers[-5:])))
        for grant in grants.values():
            found += _grant_differences(row, grant, [one for one in entries if one.grant_id == grant.grant_id])
        found += _entry_differences(row, entries, documents)
        for document in documents.values():
            found += _document_differences(row, document, entries, grants)
    return found


def _grant_differences(row: dict[str, str], grant: Grant, entries: list[Entry]) -> Iterator[Difference]:
    where = row | {"grant": public_id("cg", grant.tenant_id, grant.grant_id)}
    left = grant.amount - sum((entry.amount for entry in entries), ZERO)
    if left != grant.left:
        yield Difference("credit_grants", where, "left", plain(left), plain(grant.left))
    if not ZERO <= left <= grant.amount:
        yield Difference("credit_grants", where, "left", f"from 0 to {plain(grant.amount)}", plain(left))
    if grant.voided_at is not None and left:
        yield Difference("credit_grants", where, "left of a voided grant", "0", plain(left))


def _entry_differences(
    row: dict[str, str], entries: list[Entry], documents: dict[UUID, StoredInvoice]
) -> Iterator[Difference]:
    """Every use and return names a document that is issued."""
    for entry in entries:
        if entry.kind != "void" and entry.document_id not in documents:
            where = row | {"sequence": str(entry.sequence)}
            yield Difference("credit_entries", where, "document", "an issued document", str(entry.document_id))


def _document_differences(
    row: dict[str, str], document: StoredInvoice, entries: list[Entry], grants: dict[UUID, Grant]
) -> Iterator[Difference]:
    invoice, place = document.invoice, document.place
    where = row | {"number": invoice.number, "id": invoice.id}
    sign = -1 if invoice.type == "credit_note" else 1
    said: dict[UUID, Decimal] = {}
    for use in invoice.allowances:
        said[use.grant_id] = said.get(use.grant_id, ZERO) + sign * use.amount
    for grant_id, amount in units_drawn(invoice.lines).items():
        said[grant_id] = said.get(grant_id, ZERO) + amount
    booked: dict[UUID, Decimal] = {}
    for entry in entries:
        kind = grants[entry.grant_id].kind if entry.grant_id in grants else ""
        if entry.document_id == place.invoice_id and kind in ("promotional", "units"):
            booked[entry.grant_id] = booked.get(entry.grant_id, ZERO) + entry.amount
    if said != booked:
        yield Difference("credit_entries", where, "credit used", _text(said), _text(booked))
    if not ZERO <= invoice.paid <= max(invoice.total - invoice.credited, ZERO):
        owed = max(invoice.total - invoice.credited, ZERO)
        yield Difference("invoices", where, "paid", f"0 to {plain(owed)}", plain(invoice.paid))


def _text(amounts: dict[UUID, Decimal]) -> str:
    return ", ".join(f"{grant_id.hex} {plain(amount)}" for grant_id, amount in sorted(amounts.items())) or "none"
