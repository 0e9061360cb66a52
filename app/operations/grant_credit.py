"""Grant credit to a tenant, void what is left of a grant, pay issued invoices from prepaid balance, read grants.

A grant never changes: what is used, given back or voided is an entry of its tenant's ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.credit import Entry, Grant, amount_problem
from app.domain.errors import Conflict, FieldProblem, InvalidInput, NotFound
from app.domain.ids import new_id, parse_public_id
from app.domain.money import ZERO
from app.domain.periods import start_of_day
from app.domain.tenants import Tenant
from app.operations.use_credit import pay_from_balance
from app.storage import catalog_store, credit_store, invoice_store, tenant_store
from app.storage.credit_store import Move
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice
from app.wire.credit import GrantWish, entry_to_wire, grant_to_wire

Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Granted:
    grant: Shown
    is_new: bool


def grant_credit(database: Database, wish: GrantWish, *, idempotency_key: str | None, now: datetime) -> Granted:
    """The grant. With an idempotency key a repeat answers with the first one; Conflict where it says something else."""

    def work(connection: Connection) -> Granted:
        tenant = tenant_store.find(connection, wish.tenant)
        if tenant is None:
            raise InvalidInput.at("#/tenant", f"there is no tenant {wish.tenant!r}")
        grant = _grant(connection, wish, tenant, idempotency_key, now)
        is_new = credit_store.add_grant(connection, grant)
        kept = credit_store.find(connection, tenant.tenant_id, grant.grant_id)
        assert kept is not None
        if not is_new and _said(kept) != _said(grant):
            raise Conflict("This Idempotency-Key was sent before, with another grant.")
        return Granted(_shown(connection, [kept], now)[0], is_new)

    return database.write(work)


def _said(grant: Grant) -> tuple[Any, ...]:
    """What the maker of a grant said, and not what became of it."""
    return (
        grant.kind, grant.amount, grant.currency, grant.meter, grant.charge, grant.priority, grant.effective_at,
        grant.expires_at, grant.description,
    )  # fmt: skip


def _grant(
    connection: Connection, wish: GrantWish, tenant: Tenant, idempotency_key: str | None, now: datetime
) -> Grant:
    problems: list[FieldProblem] = []
    currency = "" if wish.kind == "units" else wish.currency or tenant.currency
    if wish.meter and wish.meter not in catalog_store.known_meters(connection, [wish.meter]):
        problems.append(FieldProblem("#/meter", f"there is no meter {wish.meter!r}"))
    if currency:
        if currency != tenant.currency:
            problems.append(FieldProblem("#/currency", f"the tenant is billed in {tenant.currency}"))
        detail = amount_problem(wish.kind, wish.amount, currency)
        if detail is not None:
            problems.append(FieldProblem("#/amount", detail))
    zone = ZoneInfo(tenant.time_zone)
    effective_at, expires_at = _instant(wish.effective_at, zone), _instant(wish.expires_at, zone)
    if expires_at is not None and expires_at <= (effective_at or now):
        problems.append(FieldProblem("#/expires_at", "it would have expired before it is in force"))
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
    return Grant(
        tenant.tenant_id, _grant_id(idempotency_key), wish.kind, wish.amount, wish.amount, now, currency, wish.meter,
        wish.charge, wish.priority, effective_at, expires_at, wish.description,
    )  # fmt: skip


def _grant_id(idempotency_key: str | None) -> UUID:
    """A new id; for an idempotency key always the same one, so that the database itself refuses the second."""
    if idempotency_key is None:
        return new_id()
    return UUID(bytes=blake2b(idempotency_key.encode(), digest_size=16, person=b"credit grant").digest())


def _instant(moment: date | datetime | None, zone: ZoneInfo) -> datetime | None:
    return moment if moment is None or isinstance(moment, datetime) else start_of_day(moment, zone)


def void_credit(database: Database, public: str, *, reason: str, now: datetime) -> Shown:
    """The grant with what was left of it voided; voiding it again changes nothing."""

    def work(connection: Connection) -> Shown:
        found = _find(connection, public)
        credit_store.lock_account(connection, found.tenant_id)
        grant = credit_store.find(connection, found.tenant_id, found.grant_id)
        assert grant is not None
        if grant.voided_at is None:
            credit_store.mark_voided(connection, grant, reason=reason, now=now)
            moves = [Move(grant.grant_id, "void", grant.left)] if grant.left else []
            credit_store.book(connection, grant.tenant_id, moves, now)
            grant = _find(connection, public)
        return _shown(connection, [grant], now)[0]

    return database.write(work)


def apply_balance(database: Database, public: str, *, invoice: StoredInvoice | None, now: datetime) -> Shown:
    """The prepaid grant after it has paid what is due of the invoice, or of all the tenant's issued invoices, the one
    due first paid first."""

    def work(connection: Connection) -> Shown:
        grant = _find(connection, public)
        credit_store.lock_account(connection, grant.tenant_id)
        if grant.kind != "prepaid":
            raise Conflict("Only prepaid balance pays issued invoices; other credit lowers what is billed next.")
        if grant.status(now) in ("voided", "expired"):
            raise Conflict(f"This grant is {grant.status(now)}.", status=grant.status(now))
        if invoice is not None and invoice.place.tenant_id != grant.tenant_id:
            raise InvalidInput.at("#/invoice", "it is the invoice of another tenant")
        for stored in _open_invoices(connection, grant, invoice):
            owed = stored.invoice.total - stored.invoice.paid - stored.invoice.credited
            pay_from_balance(connection, stored, owed, now=now, only=grant.grant_id)
        return _shown(connection, [_find(connection, public)], now)[0]

    return database.write(work)


def _open_invoices(connection: Connection, grant: Grant, wanted: StoredInvoice | None) -> list[StoredInvoice]:
    """Read with the account locked: what is due of them stays so."""
    if wanted is not None:
        again = invoice_store.find(connection, grant.tenant_id, wanted.place.invoice_id)
        found = [] if again is None else [again]
    else:
        found = invoice_store.issued_to(connection, grant.tenant_id)
    payable = [one for one in found if one.invoice.type == "invoice" and one.invoice.status == "issued"]
    if wanted is not None and not payable:
        raise Conflict("Only an issued invoice can be paid.", invoice_id=wanted.invoice.id)
    return sorted(payable, key=lambda one: (one.invoice.due_date or date.max, one.sequence or 0))


# --- reading ----------------------------------------------------------------------------------------------------------


def find_grant(connection: Connection, public: str, caller: Caller) -> Grant:
    """Raises NotFound, for another tenant's grant too."""
    grant = _find(connection, public)
    if caller.tenant_key is not None and caller.tenant_id != grant.tenant_id:
        raise NotFound("There is no such credit grant.", credit_grant_id=public)
    return grant


def _find(connection: Connection, public: str) -> Grant:
    key = parse_public_id("cg", public)
    grant = None if key is None else credit_store.find(connection, *key)
    if grant is None:
        raise NotFound("There is no such credit grant.", credit_grant_id=public)
    return grant


def show_grant(database: Database, public: str, caller: Caller, *, now: datetime, uses: int) -> Shown:
    """The grant with its last entries, the newest first."""

    def work(connection: Connection) -> Shown:
        grant = find_grant(connection, public, caller)
        last = credit_store.entries(
            connection, grant.tenant_id, grant_id=grant.grant_id, limit=uses, newest_first=True
        )  # fmt: skip
        return _shown(connection, [grant], now)[0] | {"uses": _entries(connection, grant, last)}

    return database.read(work)


def list_uses(database: Database, public: str, caller: Caller, *, after: int, limit: int) -> list[Shown]:
    """Entries of the grant past the sequence number, oldest first."""

    def work(connection: Connection) -> list[Shown]:
        grant = find_grant(connection, public, caller)
        found = credit_store.entries(
            connection, grant.tenant_id, grant_id=grant.grant_id, after=after, limit=limit
        )  # fmt: skip
        return _entries(connection, grant, found)

    return database.read(work)


def list_grants(
    database: Database, *, tenant_id: UUID | None, kind: str | None, after: tuple[UUID, UUID] | None, limit: int,
    now: datetime,
) -> list[Shown]:  # fmt: skip
    def work(connection: Connection) -> list[Shown]:
        found = credit_store.listing(connection, tenant_id=tenant_id, kind=kind, after=after, limit=limit)
        return _shown(connection, found, now)

    return database.read(work)


def _entries(connection: Connection, grant: Grant, found: Sequence[Entry]) -> list[Shown]:
    ids = {own_id for entry in found for own_id in (entry.document_id, entry.invoice_id) if own_id is not None}
    numbers = invoice_store.numbers_of(connection, grant.tenant_id, ids)
    return [entry_to_wire(entry, grant, numbers) for entry in found]


def _shown(connection: Connection, grants: Sequence[Grant], now: datetime) -> list[Shown]:
    voided = credit_store.voided_totals(connection, [(one.tenant_id, one.grant_id) for one in grants])
    tenants = tenant_store.find_many(connection, sorted({one.tenant_id for one in grants}))
    keys = {tenant.tenant_id: tenant.key for tenant in tenants}
    return [
        grant_to_wire(
            one, tenant=keys[one.tenant_id], voided=voided.get((one.tenant_id, one.grant_id), ZERO), now=now
        )
        for one in grants
    ]  # fmt: skip
