"""What a person does with an entry of a bank statement: say what it pays or takes back, or that it concerns nobody."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.errors import Conflict, InvalidInput, NotFound
from app.domain.ids import parse_public_id
from app.domain.receivables import Claim
from app.domain.tenants import Tenant
from app.operations.match_entries import link, pay, reverse
from app.storage import bank_store, claim_store, credit_store, invoice_store, payment_store, tenant_store
from app.storage.bank_store import KeptEntry
from app.storage.database import Database
from app.wire.bank import AssignWish


def assign_entry(database: Database, public: str, wish: AssignWish, *, now: datetime) -> KeptEntry:
    """The entry once it is a payment of the invoices or of the tenant that are named, or is the payment that is named:
    a debit takes that back. Raises Conflict where it is matched already."""

    def work(connection: Connection) -> KeptEntry:
        kept, seller = _held(connection, public)
        if wish.payment is not None:
            _use_payment(connection, kept, wish.payment, seller, now)
        elif kept.entry.direction == "debit":
            raise Conflict("Money that went out pays nothing: name the payment that it takes back.")
        else:
            _pay(connection, kept, wish, seller, now)
        return _again(connection, kept)

    return database.write(work)


def ignore_entry(database: Database, public: str, *, reason: str, now: datetime) -> KeptEntry:
    """The entry as one that concerns nobody; it may still be assigned. Raises Conflict where it is matched already."""

    def work(connection: Connection) -> KeptEntry:
        kept, _ = _held(connection, public)
        bank_store.settle(connection, kept, "ignored", now, reason=reason)
        return _again(connection, kept)

    return database.write(work)


def _held(connection: Connection, public: str) -> tuple[KeptEntry, Tenant]:
    key = parse_public_id("ben", public)
    kept = None if key is None else bank_store.find(connection, *key, lock=True)
    if kept is None:
        raise NotFound("There is no such bank entry.", bank_entry_id=public)
    if kept.status == "matched":
        raise Conflict("This entry is matched already.", bank_entry_id=public, status=kept.status)
    seller = tenant_store.find_by_id(connection, kept.seller_id)
    assert seller is not None, "a tenant is never taken away"
    return kept, seller


def _again(connection: Connection, kept: KeptEntry) -> KeptEntry:
    found = bank_store.find(connection, kept.seller_id, kept.entry_id)
    assert found is not None, "an entry is never taken away"
    return found


def _pay(connection: Connection, kept: KeptEntry, wish: AssignWish, seller: Tenant, now: datetime) -> None:
    if wish.invoices:
        claims = [_claim(connection, kept, name, index) for index, name in enumerate(wish.invoices)]
        payers = {claim.tenant_id for claim in claims}
        if len(payers) > 1:
            raise InvalidInput.at("#/invoices", "these are invoices of several tenants")
        credit_store.lock_account(connection, claims[0].tenant_id)
        # Read again, now that nobody else pays them.
        held = [claim_store.find(connection, claim.tenant_id, claim.invoice_id) for claim in claims]
        pay(
            connection, kept, claims[0].tenant_id, seller, "hand", now,
            claims=[claim for claim in held if claim is not None],
        )  # fmt: skip
        return
    tenant = tenant_store.find(connection, wish.tenant or "")
    if tenant is None:
        raise InvalidInput.at("#/tenant", f"there is no tenant {wish.tenant!r}")
    credit_store.lock_account(connection, tenant.tenant_id)
    pay(connection, kept, tenant.tenant_id, seller, "hand", now, claims=None)


def _claim(connection: Connection, kept: KeptEntry, name: str, index: int) -> Claim:
    key = parse_public_id("inv", name)
    claim = None if key is None else claim_store.find(connection, *key)
    pointer = f"#/invoices/{index}"
    if claim is None:
        if key is not None and invoice_store.find(connection, *key) is not None:
            raise Conflict("Only an issued invoice can be paid.", invoice_id=name)
        raise InvalidInput.at(pointer, "there is no such invoice")
    if claim.seller_id != kept.seller_id:
        raise InvalidInput.at(pointer, "it is the invoice of another seller")
    if claim.currency != kept.entry.currency:
        raise InvalidInput.at(pointer, f"the invoice is in {claim.currency}, the entry in {kept.entry.currency}")
    return claim


def _use_payment(connection: Connection, kept: KeptEntry, name: str, seller: Tenant, now: datetime) -> None:
    key = parse_public_id("pay", name)
    payment = None if key is None else payment_store.find(connection, *key)
    if payment is None or payment.seller_id != kept.seller_id:
        raise InvalidInput.at("#/payment", "there is no such payment to this seller")
    if payment.currency != kept.entry.currency:
        raise InvalidInput.at("#/payment", f"the payment is in {payment.currency}, the entry in {kept.entry.currency}")
    credit_store.lock_account(connection, payment.tenant_id)
    if kept.entry.direction == "debit":
        if not reverse(connection, kept, payment, seller, "hand", now):
            raise Conflict("More was returned than is left of this payment.", payment_id=name)
        return
    if payment.amount != kept.entry.amount:
        raise InvalidInput.at("#/payment", "the payment is over another amount than the entry")
    if bank_store.linked(connection, kept.seller_id, [payment.payment_id]):
        raise Conflict("Another entry of the bank is this payment already.", payment_id=name)
    link(connection, kept, payment, "hand", now)
