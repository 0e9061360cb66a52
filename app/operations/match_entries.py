"""Which invoice, or which earlier payment, does an entry of a bank statement mean? Shared by what imports a statement
and what assigns an entry by hand.

Everything here that books is called with the entry's row held; the payer's account is locked before anything of it is
read that counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.bank import (
    BankEntry,
    MatchedBy,
    compact_number,
    creditor_references,
    is_same_name,
    name_words,
    names_reference,
    number_candidates,
)
from app.domain.ids import new_id
from app.domain.money import ZERO
from app.domain.payments import Payment, standing
from app.domain.periods import local_date
from app.domain.receivables import Claim
from app.domain.references import reference_body
from app.domain.tenants import Tenant
from app.operations.allocate_payments import open_claims, pay_oldest, take_back, tell_payment
from app.storage import bank_store, claim_store, credit_store, payment_store
from app.storage.bank_store import KeptEntry
from app.storage.claim_store import Key

METHOD = "transfer"


# --- what the seller has issued, and to whom --------------------------------------------------------------------------


@dataclass
class Index:
    """What the entries of a file may name: invoices by what of their numbers a bank leaves, payers by their words."""

    by_number: dict[str, list[Key]] = field(default_factory=dict)
    by_body: dict[str, list[tuple[str, Key]]] = field(default_factory=dict)
    by_word: dict[str, list[Tenant]] = field(default_factory=dict)

    def referred(self, entry: BankEntry) -> list[Key]:
        found = [
            key
            for reference in creditor_references(entry)
            for number, key in self.by_body.get(reference[4:], ())
            if names_reference(reference, number)
        ]
        return list(dict.fromkeys(found))

    def numbered(self, entry: BankEntry) -> list[Key]:
        found = [key for candidate in number_candidates(entry) for key in self.by_number.get(candidate, ())]
        return list(dict.fromkeys(found))

    def payers(self, entry: BankEntry) -> list[UUID]:
        """The tenants whose name, or legal name, is the one that the bank tells."""
        likely = {tenant.tenant_id: tenant for word in name_words(entry.name) for tenant in self.by_word.get(word, ())}
        return sorted(id for id, tenant in likely.items() if is_same_name(entry.name, names_of(tenant)))


def names_of(tenant: Tenant) -> tuple[str, ...]:
    return (tenant.name, *((tenant.legal.name,) if tenant.legal is not None and tenant.legal.name else ()))


def index_of(
    connection: Connection, seller_id: UUID, entries: Iterable[BankEntry], tenants: Iterable[Tenant]
) -> Index:  # fmt: skip
    """All that these entries may name."""
    candidates: set[str] = set()
    bodies: set[str] = set()
    for entry in entries:
        candidates.update(number_candidates(entry))
        bodies.update(reference[4:] for reference in creditor_references(entry))
    index = Index()
    for number, key in claim_store.numbers_to(
        connection, seller_id, lambda number: compact_number(number) in candidates or reference_body(number) in bodies
    ):
        index.by_number.setdefault(compact_number(number), []).append(key)
        index.by_body.setdefault(reference_body(number), []).append((number, key))
    for tenant in tenants:
        for word in {word for name in names_of(tenant) for word in name_words(name)}:
            index.by_word.setdefault(word, []).append(tenant)
    return index


# --- what comes in ----------------------------------------------------------------------------------------------------


def match_credit(
    connection: Connection, kept: KeptEntry, index: Index, seller: Tenant, now: datetime
) -> Payment | None:
    """The payment that the entry is, recorded or found to be recorded already; None where it stays unmatched."""
    entry = kept.entry
    ways: tuple[tuple[MatchedBy, list[Key]], ...] = (
        ("reference", index.referred(entry)), ("number", index.numbered(entry)),
    )  # fmt: skip
    for way, keys in ways:
        if keys:
            # What names invoices of several payers is for a person to read.
            payers = {tenant_id for tenant_id, _ in keys}
            return _pay_named(connection, kept, keys, way, seller, now) if len(payers) == 1 else None
    return _pay_by_amount(connection, kept, index.payers(entry), seller, now)


def _pay_named(
    connection: Connection, kept: KeptEntry, keys: Sequence[Key], way: MatchedBy, seller: Tenant, now: datetime
) -> Payment | None:
    payer_id = keys[0][0]
    credit_store.lock_account(connection, payer_id)
    found = [claim_store.find(connection, *key) for key in keys]
    claims = [claim for claim in found if claim is not None and claim.currency == kept.entry.currency]
    if not claims:
        return None
    known = _told_before(connection, kept, claims)
    if known is not None:
        link(connection, kept, known, way, now)
        return known
    return pay(connection, kept, payer_id, seller, way, now, claims=claims)


def _told_before(connection: Connection, kept: KeptEntry, claims: Sequence[Claim]) -> Payment | None:
    """A payment of these invoices, over the same amount, that somebody recorded before the bank told of it: where to
    pay them again would be too much. Each is told of by one movement only."""
    if sum((claim.due for claim in claims), ZERO) >= kept.entry.amount:
        return None
    entries = [
        entry
        for claim in claims
        for entry in payment_store.entries(connection, claim.tenant_id, invoice_id=claim.invoice_id)
        if entry.kind == "allocation"
    ]
    for payment_id in dict.fromkeys(entry.payment_id for entry in entries):
        payment = payment_store.find(connection, claims[0].tenant_id, payment_id)
        assert payment is not None, "an entry is about a payment of its tenant"
        same = (payment.source, payment.amount, payment.currency) == ("api", kept.entry.amount, kept.entry.currency)
        if same and not bank_store.linked(connection, kept.seller_id, [payment_id]):
            return payment
    return None


def _pay_by_amount(
    connection: Connection, kept: KeptEntry, payers: Sequence[UUID], seller: Tenant, now: datetime
) -> Payment | None:
    """Pays the one invoice of payers of this name of which just this amount is due."""
    if not payers:
        return None
    credit_store.lock_accounts(connection, payers)
    fitting = [
        claim
        for claim in claim_store.of_payers(connection, payers, seller_id=kept.seller_id)
        if (claim.due, claim.currency) == (kept.entry.amount, kept.entry.currency)
    ]
    if len(fitting) != 1:
        return None
    return pay(connection, kept, fitting[0].tenant_id, seller, "amount_and_name", now, claims=fitting)


def pay(
    connection: Connection, kept: KeptEntry, payer_id: UUID, seller: Tenant, way: MatchedBy, now: datetime, *,
    claims: Sequence[Claim] | None,
) -> Payment:  # fmt: skip
    """Records the payment that the entry is: of these invoices, or of all that is open, the one due first first; what
    is over stays on account. The account is locked."""
    entry = kept.entry
    today = local_date(now, ZoneInfo(seller.time_zone))
    payment = Payment(
        payer_id, _payment_id(kept), kept.seller_id, entry.amount, entry.amount, entry.currency,
        min(entry.paid_on, today), now, METHOD, (entry.references or (entry.end_to_end_id,))[0][:255],
        note=entry.text[:1000], source="bank",
    )  # fmt: skip
    payment_store.add(connection, payment)
    wanted = open_claims(connection, payment) if claims is None else claims
    pay_oldest(connection, payment, wanted, on=payment.paid_on, now=now)
    tell_payment(connection, "payment.recorded", payment, now=now)
    link(connection, kept, payment, way, now)
    return payment


def _payment_id(kept: KeptEntry) -> UUID:
    """The same for the same entry of the same seller: of two sellers who were told of one movement each has its own."""
    named = kept.seller_id.bytes + kept.entry_id.bytes
    return UUID(bytes=blake2b(named, digest_size=16, person=b"bank payment").digest())


def link(connection: Connection, kept: KeptEntry, payment: Payment, way: MatchedBy, now: datetime) -> None:
    bank_store.settle(
        connection, kept, "matched", now, matched_by=way, payer_id=payment.tenant_id, payment_id=payment.payment_id
    )


# --- what goes out again ----------------------------------------------------------------------------------------------

Returned = Literal["reversed", "unpaid"]


def match_debit(
    connection: Connection, kept: KeptEntry, index: Index, seller: Tenant, now: datetime
) -> Returned | None:
    """`reversed` where the entry takes back a payment, `unpaid` where it takes back a credit that was no payment yet;
    None where it is not clear what it takes back."""
    earlier = [one for one in bank_store.same_movement(connection, kept) if one.entry.amount == kept.entry.amount]
    if len(earlier) == 1:
        other = bank_store.find(connection, earlier[0].seller_id, earlier[0].entry_id, lock=True)
        assert other is not None
        if other.status == "unmatched":
            for one in (other, kept):
                bank_store.settle(connection, one, "ignored", now, reason="it came in and was returned")
            return "unpaid"
        payment = _payment_of(connection, other)
        return _reverse_whole(connection, kept, payment, seller, now) if payment is not None else None
    if earlier:
        return None
    return _reverse_told(connection, kept, index, seller, now)


def _payment_of(connection: Connection, other: KeptEntry) -> Payment | None:
    if other.payer_id is None or other.payment_id is None:
        return None
    return payment_store.find(connection, other.payer_id, other.payment_id)


def _reverse_told(
    connection: Connection, kept: KeptEntry, index: Index, seller: Tenant, now: datetime
) -> Returned | None:
    """Takes back a payment that was recorded under this reference; or, of what the bank calls a return, the one payment
    of the invoice that it names which is over just this amount."""
    entry = kept.entry
    names = [name for name in (entry.end_to_end_id, entry.transaction_reference, entry.entry_reference) if name]
    found = payment_store.named(connection, kept.seller_id, names) if names else []
    if not found and entry.is_returned:
        keys = index.referred(entry) or index.numbered(entry)
        found = [
            payment
            for tenant_id, invoice_id in keys
            for payment_id in {
                one.payment_id for one in payment_store.entries(connection, tenant_id, invoice_id=invoice_id)
            }
            if (payment := payment_store.find(connection, tenant_id, payment_id)) is not None
        ]
    same = {
        one.payment_id: one for one in found if (one.amount, one.currency) == (entry.amount, entry.currency)
    }  # fmt: skip
    return _reverse_whole(connection, kept, next(iter(same.values())), seller, now) if len(same) == 1 else None


def _reverse_whole(
    connection: Connection, kept: KeptEntry, payment: Payment, seller: Tenant, now: datetime
) -> Returned | None:
    credit_store.lock_account(connection, payment.tenant_id)
    return "reversed" if reverse(connection, kept, payment, seller, "returned", now) else None


def reverse(
    connection: Connection, kept: KeptEntry, payment: Payment, seller: Tenant, way: MatchedBy, now: datetime
) -> bool:
    """Takes the entry's amount back of the payment; False where the payment does not stand for as much. The account is
    locked."""
    again = payment_store.find(connection, payment.tenant_id, payment.payment_id)
    assert again is not None, "a payment is never taken away"
    entries = payment_store.entries(connection, payment.tenant_id, payment_id=payment.payment_id)
    if again.left + standing(again, entries).allocated < kept.entry.amount:
        return False
    cause_id = new_id()
    on = max(again.paid_on, min(kept.entry.booked_on, local_date(now, ZoneInfo(seller.time_zone))))
    take_back(
        connection, again, kept.entry.amount, "reversal", cause_id=cause_id, on=on, reason="returned",
        note=kept.entry.return_reason, now=now,
    )  # fmt: skip
    bank_store.settle(
        connection, kept, "matched", now, matched_by=way, payer_id=payment.tenant_id, payment_id=payment.payment_id,
        cause_id=cause_id,
    )  # fmt: skip
    return True
