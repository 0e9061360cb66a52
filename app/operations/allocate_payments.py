"""What payments do for an invoice: money is allocated to it, and comes back on account where it needs it no more.
Shared by recording payments, by bank statements and by issuing.

Every function here is called with the payer's account locked, so that what is due and what is left stay as they are
read. Each allocation carries its split by VAT rate, worked out from all that is paid of the invoice by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.money import ZERO
from app.domain.payments import (
    PaidTax,
    Payment,
    latest_first,
    less,
    oldest_first,
    split_paid,
    standing,
    summed_tax,
)
from app.domain.receivables import Claim
from app.operations.announce import announce
from app.storage import claim_store, payment_store, tenant_store
from app.storage.payment_store import PaymentMove
from app.wire.announcements import paid_facts, payment_facts


def allocate(
    connection: Connection, payment: Payment, wanted: Sequence[tuple[Claim, Decimal]], *, on: date, now: datetime
) -> Decimal:
    """Takes of the payment what each claim is to get of it, from the day on or, where that is later, from its issue;
    how much that is in all. No amount is above what is due, and all together not above what is left."""
    for claim, amount in wanted:
        assert amount <= claim.due and claim.seller_id == payment.seller_id and claim.currency == payment.currency
        booked_on = max(on, payment.paid_on, claim.issued_on)
        move = PaymentMove(payment.payment_id, "allocation", amount, booked_on, claim.invoice_id)
        _book_for(connection, claim, [move], now)
        if amount and amount == claim.due:
            announce_paid(connection, claim.tenant_id, claim.invoice_id, now=now)
    return sum((amount for _, amount in wanted), ZERO)


def open_claims(connection: Connection, payment: Payment) -> list[Claim]:
    """The payer's invoices of the seller, in the payment's currency, of which something is due."""
    found = claim_store.of_payers(connection, [payment.tenant_id], seller_id=payment.seller_id)
    return [claim for claim in found if claim.currency == payment.currency and claim.due > 0]


def pay_oldest(
    connection: Connection, payment: Payment, claims: Iterable[Claim], *, on: date, now: datetime
) -> Decimal:
    """What is left of the payment pays these claims, the one due first first; how much that is."""
    known = {claim.invoice_id: claim for claim in claims}
    plan = oldest_first((claim.open_amount for claim in known.values()), payment.left)
    return allocate(connection, payment, [(known[id], amount) for id, amount in plan], on=on, now=now)


def release(
    connection: Connection, payment: Payment, parts: Sequence[tuple[UUID, Decimal]], *, on: date, now: datetime,
    cause_id: UUID | None = None, reason: str = "",
) -> None:  # fmt: skip
    """Gives back to the payment these parts of what it pays (invoice, amount)."""
    for invoice_id, amount in parts:
        claim = claim_store.find(connection, payment.tenant_id, invoice_id)
        assert claim is not None, "only issued invoices are paid"
        move = PaymentMove(
            payment.payment_id, "release", -amount, max(on, payment.paid_on), invoice_id, cause_id=cause_id,
            reason=reason,
        )  # fmt: skip
        _book_for(connection, claim, [move], now)


def take_back(
    connection: Connection, payment: Payment, amount: Decimal, kind: Literal["reversal", "refund"], *, cause_id: UUID,
    on: date, reason: str, note: str, now: datetime,
) -> None:  # fmt: skip
    """Takes money of the payment away: first what is on account, then what pays invoices, the last of them first. It
    is not more than both together; what is refunded is on account."""
    entries = payment_store.entries(connection, payment.tenant_id, payment_id=payment.payment_id)
    parts = latest_first(standing(payment, entries).allocations, max(amount - payment.left, ZERO))
    release(connection, payment, parts, on=on, now=now, cause_id=cause_id, reason=reason)
    move = PaymentMove(payment.payment_id, kind, amount, on, cause_id=cause_id, reason=reason, note=note)
    payment_store.book(connection, payment.tenant_id, [move], now)
    tell_payment(connection, "payment.reversed" if kind == "reversal" else "payment.refunded", payment, now=now)


def tell_payment(connection: Connection, type: str, payment: Payment, *, now: datetime) -> Payment:
    """The payment as it stands now, announced."""
    again = payment_store.find(connection, payment.tenant_id, payment.payment_id)
    assert again is not None, "a payment is never taken away"
    entries = payment_store.entries(connection, again.tenant_id, payment_id=again.payment_id)
    keys = tenant_store.keys_of(connection, {again.tenant_id, again.seller_id})
    facts = payment_facts(again, standing(again, entries), keys)
    announce(connection, type, again.tenant_id, facts, now=now, seller_id=again.seller_id)
    return again


def announce_paid(connection: Connection, tenant_id: UUID, invoice_id: UUID, *, now: datetime) -> None:
    """Says that nothing is due of the invoice any more."""
    claim = claim_store.find(connection, tenant_id, invoice_id)
    assert claim is not None and not claim.due, "only an issued invoice is paid"
    keys = tenant_store.keys_of(connection, {tenant_id, claim.seller_id})
    announce(connection, "invoice.paid", tenant_id, paid_facts(claim, keys), now=now, seller_id=claim.seller_id)


# --- at issue ---------------------------------------------------------------------------------------------------------


def pay_from_account(connection: Connection, tenant_id: UUID, invoice_id: UUID, *, now: datetime) -> Decimal:
    """What the payer's money on account paid of the invoice that was issued just now: the oldest money first."""
    if not payment_store.has_open(connection, tenant_id):
        return ZERO
    claim = claim_store.find(connection, tenant_id, invoice_id)
    assert claim is not None, "it is issued"
    paid = ZERO
    for payment in payment_store.open_payments(
        connection, tenant_id, seller_id=claim.seller_id, currency=claim.currency
    ):
        part = min(payment.left, claim.due)
        if part > 0:
            paid += allocate(connection, payment, [(claim, part)], on=claim.issued_on, now=now)
            claim = replace(claim, from_payments=claim.from_payments + part)
    return paid


def release_credited(
    connection: Connection, tenant_id: UUID, invoice_id: UUID, *, note_id: UUID, on: date, now: datetime
) -> None:
    """What payments paid too much, now that a note has lowered the invoice, goes back on account: the payment that
    came last gets back first. What they keep on paying is split anew by what is left of each VAT group."""
    entries = payment_store.entries(connection, tenant_id, invoice_id=invoice_id)
    if not entries:
        return
    claim = claim_store.find(connection, tenant_id, invoice_id)
    assert claim is not None, "only issued invoices are paid"
    allocated: dict[UUID, Decimal] = {}
    for entry in entries:
        allocated[entry.payment_id] = allocated.pop(entry.payment_id, ZERO) + entry.amount
    excess = min(max(-claim.due, ZERO), claim.from_payments)
    moves: list[PaymentMove] = []
    for payment_id, amount in reversed(allocated.items()):
        back = min(amount, excess)
        if back > 0:
            moves.append(PaymentMove(payment_id, "release", -back, on, invoice_id, note_id))
            excess -= back
    if not moves:
        moves.append(PaymentMove(entries[-1].payment_id, "adjustment", ZERO, on, invoice_id, note_id))
    _book_for(connection, claim, moves, now)


def _book_for(connection: Connection, claim: Claim, moves: Sequence[PaymentMove], now: datetime) -> None:
    """Books moves about one invoice, each with its part of the split. An adjustment of nothing is left out."""
    known = payment_store.entries(connection, claim.tenant_id, invoice_id=claim.invoice_id)
    held = summed_tax(part for entry in known for part in entry.tax)
    target = _target(claim, held)
    paid, booked = claim.from_payments, []
    for move in moves:
        paid += move.amount
        wanted = target(paid)
        tax, held = less(wanted, held), wanted
        if move.amount or tax:
            booked.append(replace(move, tax=tax))
    payment_store.book(connection, claim.tenant_id, booked, now)


def _target(claim: Claim, held: Sequence[PaidTax]) -> Callable[[Decimal], tuple[PaidTax, ...]]:
    """The split of all payments of the invoice together, by what they pay of it; what prepaid balance pays comes
    before. Where notes have left nothing to be paid, what comes back comes from what is `held`, in proportion."""
    owed, currency, balance = claim.owed_tax, claim.currency, claim.from_balance
    if not sum((part.base + part.amount for part in owed), ZERO):
        return lambda paid: split_paid(held, paid, currency)
    by_balance = split_paid(owed, balance, currency)
    return lambda paid: less(split_paid(owed, balance + paid, currency), by_balance)
