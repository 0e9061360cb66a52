"""What credit does for a document: promotional credit lowers its net, prepaid balance and money on account pay its
total, and a credit note gives back what its invoice no longer needs. Shared by closing, issuing and preview.

While a draft is computed nothing is booked; at issue every use is, in the transaction that issues. The order of money
and its reasons: docs/order-of-money.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.credit import CreditUse, Draw, Entry, draw, give_back, give_back_promotional, use_promotional
from app.domain.ids import parse_public_id
from app.domain.invoices import InvoiceLine
from app.domain.money import ZERO
from app.domain.periods import local_date
from app.domain.tax import TaxRate, group_tax
from app.operations.allocate_payments import announce_paid, pay_from_account, release_credited
from app.storage import coupon_store, credit_store, invoice_store
from app.storage.credit_store import Move
from app.storage.invoice_store import REISSUE, Place, StoredInvoice


def promotional_uses(
    connection: Connection, tenant_id: UUID, lines: Sequence[InvoiceLine], *, currency: str, at: datetime
) -> tuple[CreditUse, ...]:
    """The promotional credit that an invoice of these lines takes, of what is in force at its billing instant."""
    grants = [
        grant
        for grant in credit_store.open_grants(connection, tenant_id, "promotional")
        if grant.currency == currency and grant.covers(at)
    ]
    return use_promotional(grants, _nets(lines, currency), currency) if grants else ()


def promotional_returns(
    original: StoredInvoice, notes: Sequence[StoredInvoice], lines: Sequence[InvoiceLine]
) -> tuple[CreditUse, ...]:
    """The promotional credit that a credit note of these lines gives back; `notes` are the earlier ones."""
    invoice = original.invoice
    if not invoice.allowances:
        return ()
    before = [line for note in notes for line in note.invoice.lines]
    return give_back_promotional(
        _nets(invoice.lines, invoice.currency), invoice.allowances, _nets([*before, *lines], invoice.currency),
        [use for note in notes for use in note.invoice.allowances],
    )  # fmt: skip


def _nets(lines: Sequence[InvoiceLine], currency: str) -> list[tuple[TaxRate, Decimal]]:
    groups = group_tax(((line.tax, line.amount) for line in lines), currency)
    return [(TaxRate(group.category, group.rate), group.base) for group in groups]


def book_issued(connection: Connection, issued: StoredInvoice, *, is_idle: bool, now: datetime) -> Decimal:
    """Books every use of credit by a document that was issued in this transaction; what prepaid balance and money on
    account paid of it. The account is locked; nothing is open on it where it `is_idle`."""
    place = issued.place
    moves = [_move(place, use) for use in issued.invoice.allowances] + _unit_moves(issued)
    credit_store.book(connection, place.tenant_id, moves, now)
    if place.credits_id is not None:
        _return_paid(connection, issued, now)
    if issued.invoice.type != "invoice" or is_idle:
        return ZERO
    paid = pay_from_balance(connection, issued, issued.invoice.total, now=now)
    return paid + pay_from_account(connection, place.tenant_id, place.invoice_id, now=now)


def _unit_moves(issued: StoredInvoice) -> list[Move]:
    """What the document's lines draw from grants of prepaid units, and give back to them."""
    place = issued.place
    invoice_id = place.credits_id or place.invoice_id
    moves: list[Move] = []
    for line in issued.invoice.lines:
        for name, text in line.trace.get("drawn", ()):
            key, amount = parse_public_id("cg", name), Decimal(text)
            assert key is not None, "a trace names grants by their public ids"
            moves.append(Move(key[1], "use" if amount > 0 else "return", amount, place.invoice_id, invoice_id, line.id))
    return moves


def book_coupons(connection: Connection, issued: StoredInvoice, *, now: datetime) -> None:
    """Notes which applied coupons the invoice has used: each may have been for so many invoices only. One that takes
    the place of a cancelled invoice uses them no second time."""
    place = issued.place
    if place.slot.startswith(REISSUE):
        return
    used = {
        UUID(hex=name)
        for line in issued.invoice.lines
        if line.kind == "charge"
        for name in line.trace.get("coupons", ())
    }
    if used and place.credits_id is None:
        coupon_store.book_uses(connection, place.tenant_id, used, invoice_id=place.invoice_id, now=now)


def _move(place: Place, use: CreditUse) -> Move:
    if place.credits_id is not None:
        return Move(use.grant_id, "return", -use.amount, place.invoice_id, place.credits_id)
    return Move(use.grant_id, "use", use.amount, place.invoice_id, place.invoice_id)


def pay_from_balance(
    connection: Connection, issued: StoredInvoice, owed: Decimal, *, now: datetime, only: UUID | None = None
) -> Decimal:
    """What prepaid balance paid of `owed`: all that is in force now, or was at the billing instant. The account is
    locked. `only` this grant is used where one is named."""
    place = issued.place
    grants = [
        grant
        for grant in credit_store.open_grants(connection, place.tenant_id, "prepaid")
        if grant.currency == issued.invoice.currency
        and (grant.covers(place.billing_at) or grant.covers(now))
        and only in (None, grant.grant_id)
    ]
    draws = draw(grants, max(owed, ZERO))
    moves = [Move(one.grant_id, "use", one.amount, place.invoice_id, place.invoice_id) for one in draws]
    credit_store.book(connection, place.tenant_id, moves, now)
    paid = sum((one.amount for one in draws), ZERO)
    if paid and paid == owed:
        announce_paid(connection, place.tenant_id, place.invoice_id, now=now)
    return paid


def _return_paid(connection: Connection, note: StoredInvoice, now: datetime) -> None:
    """What was paid too much, now that the note has lowered its invoice, goes back: what payments paid on account,
    then what prepaid balance paid to it."""
    tenant_id, original_id = note.place.tenant_id, note.place.credits_id
    assert original_id is not None
    issued_on = local_date(now, ZoneInfo(note.invoice.time_zone))
    release_credited(connection, tenant_id, original_id, note_id=note.place.invoice_id, on=issued_on, now=now)
    entries = credit_store.of_invoice(connection, tenant_id, original_id, kind="prepaid")
    if not entries:
        return
    original = invoice_store.find(connection, tenant_id, original_id)
    assert original is not None
    excess = original.invoice.paid - (original.invoice.total - original.invoice.credited)
    moves = [
        Move(one.grant_id, "return", -one.amount, note.place.invoice_id, original_id)
        for one in give_back(net_draws(entries), max(excess, ZERO))
    ]
    credit_store.book(connection, tenant_id, moves, now)


def net_draws(entries: Sequence[Entry]) -> list[Draw]:
    """What each grant still stands for, in the order in which the grants were first used."""
    sums: dict[UUID, Decimal] = {}
    for entry in entries:
        if entry.kind != "void":
            sums[entry.grant_id] = sums.get(entry.grant_id, ZERO) + entry.amount
    return [Draw(grant_id, amount) for grant_id, amount in sums.items()]
