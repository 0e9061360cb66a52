"""Record what somebody paid, say what it pays, take it back, send back what is over. Nothing of it changes a document.

Every function locks the payer's account first: of two payments of one invoice at once the second sees what the first
has paid, and what is over stays on account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.errors import CannotBill, Conflict, CurrencyMismatch, FieldProblem, InvalidInput, NotFound
from app.domain.ids import new_id, parse_public_id, public_id
from app.domain.money import ZERO, amount_text, plain
from app.domain.payments import Payment, amount_problem, standing
from app.domain.periods import local_date
from app.domain.receivables import Claim
from app.domain.tenants import Tenant
from app.operations.allocate_payments import allocate, open_claims, pay_oldest, release, take_back, tell_payment
from app.storage import claim_store, credit_store, invoice_store, payment_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice
from app.wire.payments import AccountPaymentWish, AllocationWish, PaymentWish, ReversalWish


@dataclass(frozen=True, slots=True)
class Recorded:
    """A payment as it stands, and whether this request made it, or its reversal or refund."""

    payment: Payment
    is_new: bool


# --- recording --------------------------------------------------------------------------------------------------------


def record_invoice_payment(
    database: Database, invoice: StoredInvoice, wish: PaymentWish, *, idempotency_key: str | None, now: datetime
) -> Recorded:
    """A payment of this invoice; what is over stays on account. A repeat, by idempotency key or external id, answers
    with the first one. Raises Conflict for what is no issued invoice, and where the repeat says something else."""
    place = invoice.place

    def work(connection: Connection) -> Recorded:
        credit_store.lock_account(connection, place.tenant_id)
        digest = _digest(invoice.invoice.id, wish)
        known = _known(connection, place.tenant_id, wish, idempotency_key, digest)
        if known is not None:
            return Recorded(known, False)
        claim = _payable(connection, place.tenant_id, place.invoice_id)
        seller = _tenant(connection, claim.seller_id)
        payment = _payment(
            wish, place.tenant_id, seller, currency=claim.currency, allowed={claim.currency}, digest=digest,
            idempotency_key=idempotency_key, now=now,
        )  # fmt: skip
        payment_store.add(connection, payment)
        part = min(payment.amount, claim.due)
        if part > 0:
            allocate(connection, payment, [(claim, part)], on=payment.paid_on, now=now)
        return Recorded(tell_payment(connection, "payment.recorded", payment, now=now), True)

    return database.write(work)


def record_account_payment(
    database: Database, wish: AccountPaymentWish, *, idempotency_key: str | None, now: datetime
) -> Recorded:
    """A payment of a tenant: it pays the invoices that are named, or what is open, the one due first first, or nothing
    yet. What is over stays on account."""

    def work(connection: Connection) -> Recorded:
        tenant = tenant_store.find(connection, wish.tenant)
        if tenant is None:
            raise InvalidInput.at("#/tenant", f"there is no tenant {wish.tenant!r}")
        credit_store.lock_account(connection, tenant.tenant_id)
        digest = _digest(wish.tenant, wish)
        known = _known(connection, tenant.tenant_id, wish.payment, idempotency_key, digest)
        if known is not None:
            return Recorded(known, False)
        claims = {claim.id: claim for claim in claim_store.of_payers(connection, [tenant.tenant_id])}
        named = _named(connection, tenant.tenant_id, claims, wish.allocations or ())
        seller = _seller(connection, wish.seller, named)
        payment = _payment(
            wish.payment, tenant.tenant_id, seller, currency=named[0].currency if named else tenant.currency,
            allowed={tenant.currency, *(claim.currency for claim in claims.values())}, digest=digest,
            idempotency_key=idempotency_key, now=now,
        )  # fmt: skip
        plan = _plan(payment, named, wish.allocations or ())
        payment_store.add(connection, payment)
        if wish.allocations is not None:
            allocate(connection, payment, plan, on=payment.paid_on, now=now)
        elif wish.allocate == "oldest_first":
            pay_oldest(connection, payment, open_claims(connection, payment), on=payment.paid_on, now=now)
        return Recorded(tell_payment(connection, "payment.recorded", payment, now=now), True)

    return database.write(work)


def _payment(
    wish: PaymentWish, payer_id: UUID, seller: Tenant, *, currency: str, allowed: set[str], digest: bytes,
    idempotency_key: str | None, now: datetime,
) -> Payment:  # fmt: skip
    """Raises InvalidInput where the wish breaks a rule, with every fault."""
    today = _today(seller, now)
    chosen, paid_on = wish.currency or currency, wish.paid_on or today
    if chosen not in allowed:
        raise CurrencyMismatch.at("#/currency", f"what is paid is in {', '.join(sorted(allowed))}, not in {chosen}")
    problems: list[FieldProblem] = []
    detail = amount_problem(wish.amount, chosen)
    if detail is not None:
        problems.append(FieldProblem("#/amount", detail))
    if paid_on > today:
        problems.append(FieldProblem("#/paid_on", f"lies in the future: today is {today}"))
    _raise(problems)
    return Payment(
        payer_id, _own_id("payment", idempotency_key), seller.tenant_id, wish.amount, wish.amount, chosen, paid_on,
        now, wish.method, wish.reference, wish.external_id, wish.note, digest=digest,
    )  # fmt: skip


def _known(
    connection: Connection, tenant_id: UUID, wish: PaymentWish, idempotency_key: str | None, digest: bytes
) -> Payment | None:
    """The payment that this request, or one with its external id, made before. Raises Conflict where it was another."""
    known = None
    if idempotency_key is not None:
        known = payment_store.find(connection, tenant_id, _own_id("payment", idempotency_key))
        if known is not None and known.digest != digest:
            raise Conflict("This Idempotency-Key was sent before, with another payment.")
    if known is None and wish.external_id:
        known = payment_store.find_external(connection, tenant_id, wish.external_id)
        if known is not None and known.digest != digest:
            raise Conflict(
                "There is another payment of this tenant with this external_id.", payment_id=_public(known)
            )  # fmt: skip
    return known


def _digest(of: str, wish: PaymentWish | AccountPaymentWish) -> bytes:
    """What tells one request from another: 1.50 and 1.5 are one amount."""

    def text(value: Any) -> str:
        return plain(value) if isinstance(value, Decimal) else str(value)

    said = json.dumps([of, asdict(wish)], default=text, sort_keys=True, ensure_ascii=False)
    return blake2b(said.encode(), digest_size=16).digest()


def _own_id(kind: str, idempotency_key: str | None) -> UUID:
    """A new id; for an idempotency key always the same one."""
    if idempotency_key is None:
        return new_id()
    return UUID(bytes=blake2b(idempotency_key.encode(), digest_size=16, person=kind.encode()).digest())


def _public(payment: Payment) -> str:
    return public_id("pay", payment.tenant_id, payment.payment_id)


# --- which invoices ---------------------------------------------------------------------------------------------------


def _payable(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> Claim:
    claim = claim_store.find(connection, tenant_id, invoice_id)
    if claim is None:
        stored = invoice_store.find(connection, tenant_id, invoice_id)
        what = "a draft" if stored is None or stored.invoice.status == "draft" else f"a {stored.invoice.type}"
        raise Conflict(
            f"Only an issued invoice can be paid; this is {what.replace('_', ' ')}.",
            invoice_id=public_id("inv", tenant_id, invoice_id),
        )
    return claim


def _named(
    connection: Connection, tenant_id: UUID, claims: dict[str, Claim], wanted: Sequence[AllocationWish]
) -> list[Claim]:
    """The claims that the wishes name. Raises InvalidInput, or Conflict for what is no issued invoice."""
    found: list[Claim] = []
    problems: list[FieldProblem] = []
    for index, item in enumerate(wanted):
        key = parse_public_id("inv", item.invoice)
        pointer = f"#/allocations/{index}/invoice"
        if item.invoice in claims:
            claim = claims[item.invoice]
            if claim in found:
                problems.append(FieldProblem(pointer, "stands here twice"))
            found.append(claim)
        elif key is not None and key[0] == tenant_id and invoice_store.find(connection, *key) is not None:
            found.append(_payable(connection, *key))
        else:
            problems.append(FieldProblem(pointer, "this tenant has no such invoice"))
    _raise(problems)
    return found


def _seller(connection: Connection, wanted: str | None, named: Sequence[Claim]) -> Tenant:
    """Who was paid: who is named, who issued the invoices that are named, or the operator."""
    if wanted is not None:
        seller = tenant_store.find(connection, wanted)
        if seller is None:
            raise InvalidInput.at("#/seller", f"there is no tenant {wanted!r}")
        return seller
    if named:
        return _tenant(connection, named[0].seller_id)
    operator = tenant_store.operator(connection)
    if operator is None:
        raise CannotBill("There is no operator yet: name the seller that was paid.")
    return operator


def _plan(
    payment: Payment, named: Sequence[Claim], wanted: Sequence[AllocationWish]
) -> list[tuple[Claim, Decimal]]:  # fmt: skip
    """How much of what is left of the payment each of the named invoices gets. Raises InvalidInput with every fault."""
    plan: list[tuple[Claim, Decimal]] = []
    problems: list[FieldProblem] = []
    left = payment.left
    for index, (claim, wish) in enumerate(zip(named, wanted, strict=True)):
        at = f"#/allocations/{index}"
        if claim.seller_id != payment.seller_id:
            problems.append(FieldProblem(f"{at}/invoice", "it is the invoice of another seller"))
        if claim.currency != payment.currency:
            problems.append(FieldProblem(f"{at}/invoice", f"the invoice is in {claim.currency}"))
        amount = max(min(claim.due, left), ZERO) if wish.amount is None else wish.amount
        detail = None if wish.amount is None else amount_problem(wish.amount, payment.currency)
        if detail is None and amount > claim.due:
            detail = f"more than the {amount_text(claim.due, claim.currency)} that are due of it"
        elif detail is None and amount > left:
            detail = f"more than the {amount_text(left, payment.currency)} that are left of the payment"
        if detail is not None:
            problems.append(FieldProblem(f"{at}/amount", detail))
        left -= amount
        if amount:
            plan.append((claim, amount))
    _raise(problems)
    return plan


def _raise(problems: Sequence[FieldProblem]) -> None:
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))


# --- what is done with a payment --------------------------------------------------------------------------------------


def allocate_payment(
    database: Database, public: str, wanted: tuple[AllocationWish, ...] | None, *, now: datetime
) -> Recorded:
    """The payment after what is left of it has paid the invoices that are named, or what is open, oldest first."""

    def work(connection: Connection, payment: Payment) -> bool:
        on = _today(_tenant(connection, payment.seller_id), now)
        if wanted is None:
            return bool(pay_oldest(connection, payment, open_claims(connection, payment), on=on, now=now))
        if not payment.left:
            raise Conflict("Nothing is left of this payment.", payment_id=public)
        claims = {claim.id: claim for claim in claim_store.of_payers(connection, [payment.tenant_id])}
        named = _named(connection, payment.tenant_id, claims, wanted)
        return bool(allocate(connection, payment, _plan(payment, named, wanted), on=on, now=now))

    return _changed(database, public, work)


def release_payment(database: Database, public: str, wanted: AllocationWish, *, now: datetime) -> Recorded:
    """The payment after it pays the invoice no more, or less of it by the amount: that is on account again."""

    def work(connection: Connection, payment: Payment) -> bool:
        entries = payment_store.entries(connection, payment.tenant_id, payment_id=payment.payment_id)
        key = parse_public_id("inv", wanted.invoice)
        paid = {one.invoice_id: one.amount for one in standing(payment, entries).allocations}
        if key is None or key[0] != payment.tenant_id or key[1] not in paid:
            raise Conflict("This payment does not pay this invoice.", payment_id=public)
        amount = paid[key[1]] if wanted.amount is None else wanted.amount
        detail = amount_problem(amount, payment.currency)
        if detail is None and amount > paid[key[1]]:
            detail = f"more than the {amount_text(paid[key[1]], payment.currency)} that it pays"
        if detail is not None:
            raise InvalidInput.at("#/amount", detail)
        on = _today(_tenant(connection, payment.seller_id), now)
        release(connection, payment, [(key[1], amount)], on=on, now=now)
        return True

    return _changed(database, public, work)


def reverse_payment(
    database: Database, public: str, wish: ReversalWish, *, idempotency_key: str | None, now: datetime
) -> Recorded:
    """The payment after money of it was taken away again, all of it where no amount is named: first what is on
    account, then what pays invoices, the last of them first. They are due again."""
    return _taken_back(database, public, wish, "reversal", idempotency_key=idempotency_key, now=now)


def refund_payment(
    database: Database, public: str, wish: ReversalWish, *, idempotency_key: str | None, now: datetime
) -> Recorded:
    """The payment after money of it that is on account was sent back, all of it where no amount is named."""
    return _taken_back(database, public, wish, "refund", idempotency_key=idempotency_key, now=now)


def _taken_back(
    database: Database, public: str, wish: ReversalWish, kind: Literal["reversal", "refund"], *,
    idempotency_key: str | None, now: datetime,
) -> Recorded:  # fmt: skip
    cause_id = _own_id(kind, idempotency_key)

    def work(connection: Connection, payment: Payment) -> bool:
        before = payment_store.entries(connection, payment.tenant_id, cause_id=cause_id)
        if before:
            same = (before[-1].payment_id, before[-1].reason) == (payment.payment_id, wish.reason)
            if not same or wish.amount not in (None, before[-1].amount):
                raise Conflict(f"This Idempotency-Key was sent before, with another {kind}.")
            return False
        entries = payment_store.entries(connection, payment.tenant_id, payment_id=payment.payment_id)
        limit = payment.left + (standing(payment, entries).allocated if kind == "reversal" else ZERO)
        amount = _amount_taken(payment, wish.amount, limit, kind)
        on = _day_taken(payment, wish.on, kind, _today(_tenant(connection, payment.seller_id), now))
        take_back(
            connection, payment, amount, kind, cause_id=cause_id, on=on, reason=wish.reason, note=wish.note, now=now
        )  # fmt: skip
        return True

    return _changed(database, public, work)


def _amount_taken(payment: Payment, wanted: Decimal | None, limit: Decimal, kind: str) -> Decimal:
    facts = {"payment_id": _public(payment), "limit": amount_text(limit, payment.currency)}
    verb = {"reversal": "reversed", "refund": "refunded"}[kind]
    if not limit:
        raise Conflict(f"Nothing of this payment is left to be {verb}.", **facts)
    amount = limit if wanted is None else wanted
    detail = amount_problem(amount, payment.currency)
    if detail is not None:
        raise InvalidInput.at("#/amount", detail)
    if amount > limit:
        raise Conflict(f"At most {facts['limit']} of this payment can be {verb}.", **facts)
    return amount


def _day_taken(payment: Payment, wanted: date | None, kind: str, today: date) -> date:
    on = wanted or max(today, payment.paid_on)
    if wanted is not None and not payment.paid_on <= on <= today:
        name = {"reversal": "reversed_on", "refund": "refunded_on"}[kind]
        raise InvalidInput.at(f"#/{name}", f"lies from {payment.paid_on}, when it was paid, to {today}, today")
    return on


def _changed(
    database: Database, public: str, change: Callable[[Connection, Payment], bool]
) -> Recorded:  # fmt: skip
    """The payment after the change, which says whether it made something, and is made with the account locked."""

    def work(connection: Connection) -> Recorded:
        key = parse_public_id("pay", public)
        found = None if key is None else payment_store.find(connection, *key)
        if found is None:
            raise NotFound("There is no such payment.", payment_id=public)
        credit_store.lock_account(connection, found.tenant_id)
        is_new = change(connection, _again(connection, found))
        return Recorded(_again(connection, found), is_new)

    return database.write(work)


def _again(connection: Connection, payment: Payment) -> Payment:
    found = payment_store.find(connection, payment.tenant_id, payment.payment_id)
    assert found is not None, "a payment is never taken away"
    return found


def _tenant(connection: Connection, tenant_id: UUID) -> Tenant:
    found = tenant_store.find_by_id(connection, tenant_id)
    assert found is not None, "a tenant is never taken away"
    return found


def _today(seller: Tenant, now: datetime) -> date:
    return local_date(now, ZoneInfo(seller.time_zone))
