"""Does the ledger of payments agree with the payments and with the invoices that it names?

Of each payment: amount = allocated + unallocated + refunded + reversed, so what its row says is left must be its amount
less every entry. Of each entry: its payment is there, what it pays is an issued invoice of the same seller and
currency, and its split sums to it. Of each invoice: no payment gives less than nothing to it, no more is paid than it
owes, and where payments alone pay all of it, they hold its VAT. Of each entry of a bank statement that is matched: its
payment is there, and so is the reversal of one that takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.ids import public_id
from app.domain.money import ZERO, plain
from app.domain.payments import PaidTax, Payment, PaymentEntry, summed_tax
from app.domain.receivables import Claim
from app.operations.audit_credit import Difference
from app.storage import bank_store, claim_store, payment_store


def payment_differences(connection: Connection, keys: dict[UUID, str]) -> list[Difference]:
    """Every difference in the payments of every tenant."""
    found: list[Difference] = []
    for tenant_id, count in payment_store.all_accounts(connection):
        row = {"tenant": keys.get(tenant_id, str(tenant_id))}
        entries = payment_store.entries(connection, tenant_id)
        payments = {one.payment_id: one for one in payment_store.of_tenants(connection, [tenant_id])}
        if not (count or entries or payments):
            continue
        numbers = [entry.sequence for entry in entries]
        if numbers != list(range(1, count + 1)):
            found.append(Difference("payment_entries", row, "sequence", f"1 to {count}", str(numbers[-5:])))
        claims = {claim.invoice_id: claim for claim in claim_store.of_payers(connection, [tenant_id])}
        for payment in payments.values():
            found += _payment_differences(
                row, payment, [one for one in entries if one.payment_id == payment.payment_id]
            )
        for entry in entries:
            found += _entry_differences(row, entry, payments.get(entry.payment_id), claims)
        for claim in claims.values():
            found += _claim_differences(row, claim, [one for one in entries if one.invoice_id == claim.invoice_id])
    return found


def _payment_differences(
    row: dict[str, str], payment: Payment, entries: Sequence[PaymentEntry]
) -> Iterator[Difference]:
    where = row | {"payment": public_id("pay", payment.tenant_id, payment.payment_id)}
    left = payment.amount - sum((entry.amount for entry in entries), ZERO)
    if left != payment.left:
        yield Difference("payments", where, "left", plain(left), plain(payment.left))
    if not ZERO <= left <= payment.amount:
        yield Difference("payments", where, "left", f"from 0 to {plain(payment.amount)}", plain(left))
    for invoice_id in {entry.invoice_id for entry in entries if entry.invoice_id is not None}:
        paid = sum((entry.amount for entry in entries if entry.invoice_id == invoice_id), ZERO)
        if paid < 0:
            invoice = public_id("inv", payment.tenant_id, invoice_id)
            yield Difference("payment_entries", where | {"invoice": invoice}, "paid", "0 or more", plain(paid))


def _entry_differences(
    row: dict[str, str], entry: PaymentEntry, payment: Payment | None, claims: dict[UUID, Claim]
) -> Iterator[Difference]:
    where = row | {"sequence": str(entry.sequence)}
    if payment is None:
        yield Difference("payment_entries", where, "payment", "a payment of the tenant", str(entry.payment_id))
        return
    if entry.kind in ("reversal", "refund"):
        if entry.cause_id is None or entry.invoice_id is not None or entry.amount <= 0:
            yield Difference("payment_entries", where, entry.kind, "an amount with an id of its own", str(entry))
        return
    claim = None if entry.invoice_id is None else claims.get(entry.invoice_id)
    expected = f"an invoice in {payment.currency} of the seller that was paid"
    if claim is None or (claim.seller_id, claim.currency) != (payment.seller_id, payment.currency):
        yield Difference("payment_entries", where, "invoice", expected, str(entry.invoice_id))
    split = sum((part.base + part.amount for part in entry.tax), ZERO)
    if split != entry.amount:
        yield Difference("payment_entries", where, "sum of its split", plain(entry.amount), plain(split))


def _claim_differences(row: dict[str, str], claim: Claim, entries: Sequence[PaymentEntry]) -> Iterator[Difference]:
    """No more is paid of an invoice than it owes, and what pays all of it holds all of its VAT."""
    if not entries:
        return
    where = row | {"number": claim.number, "id": claim.id}
    owed = claim.total - claim.credited
    if not ZERO <= claim.paid <= owed:
        yield Difference("payment_entries", where, "paid", f"0 to {plain(owed)}", plain(claim.paid))
    found = summed_tax(part for entry in entries for part in entry.tax)
    if not claim.due and not claim.from_balance and found != claim.owed_tax:
        yield Difference("payment_entries", where, "VAT of what is paid", _text(claim.owed_tax), _text(found))


def _text(parts: Sequence[PaidTax]) -> str:
    return ", ".join(f"{one.category} {plain(one.rate)} %: {plain(one.base)} + {plain(one.amount)}" for one in parts)


def _bank_differences(connection: Connection, keys: dict[UUID, str]) -> Iterator[Difference]:
    for kept in bank_store.matched(connection):
        where = {
            "seller": keys.get(kept.seller_id, str(kept.seller_id)),
            "entry": public_id("ben", kept.seller_id, kept.entry_id),
        }
        payment = None
        if kept.payer_id is not None and kept.payment_id is not None:
            payment = payment_store.find(connection, kept.payer_id, kept.payment_id)
        if payment is None:
            yield Difference("bank_entries", where, "payment", "a payment", str(kept.payment_id))
            continue
        if kept.cause_id is None:
            found = payment.amount
        else:
            made = payment_store.entries(connection, payment.tenant_id, cause_id=kept.cause_id)
            found = sum((entry.amount for entry in made if entry.kind == "reversal"), ZERO)
        if found != kept.entry.amount:
            yield Difference("bank_entries", where, "amount", plain(kept.entry.amount), plain(found))
