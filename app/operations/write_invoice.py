"""Write an invoice of no subscription: one-off work, goods, whatever no meter counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from sqlalchemy.engine import Connection

from app.domain.errors import CannotBill, Conflict, FieldProblem, InvalidInput
from app.domain.ids import NOBODY, new_id
from app.domain.invoices import Invoice
from app.domain.money import ZERO
from app.domain.periods import Period, local_date, start_of_day
from app.domain.tenants import Tenant
from app.operations.make_drafts import document_of, note_grace, save_document, sides_of, written_draft
from app.operations.settle_draft import check_due_date, check_rates, refusal
from app.storage import credit_store, draft_store, invoice_store, tenant_store
from app.storage.catalog_snapshot import hold_version
from app.storage.database import Database
from app.storage.invoice_store import Place, StoredInvoice
from app.wire.drafts import InvoiceWish, edits_of, period_of


@dataclass(frozen=True, slots=True)
class Written:
    document: StoredInvoice
    is_new: bool


def write_invoice(
    database: Database, wish: InvoiceWish, *, idempotency_key: str | None, now: datetime, terms_days: int
) -> Written:
    """The draft, or the issued document where that is wished for. With an idempotency key a repeat answers with the
    first one; Conflict where it says something else. Raises InvalidInput, CannotBill, DraftHeld or ApprovalRequired."""

    def work(connection: Connection) -> Written:
        hold_version(connection)
        seller, buyer = _parties(connection, wish)
        # All that are written to one buyer wait for each other here: one key makes one document.
        tenant_store.lock(connection, buyer.key)
        place = _place(buyer, seller, wish, idempotency_key, now)
        known = _made_before(connection, place, idempotency_key)
        if known is not None:
            return Written(known, False)
        credit_store.lock_account(connection, buyer.tenant_id)
        document = _make(connection, place, wish, buyer, now=now, terms_days=terms_days)
        return Written(document, True)

    return database.write(work)


def _parties(connection: Connection, wish: InvoiceWish) -> tuple[Tenant, Tenant]:
    problems: list[FieldProblem] = []
    seller = tenant_store.operator(connection) if wish.seller is None else tenant_store.find(connection, wish.seller)
    buyer = tenant_store.find(connection, wish.buyer)
    if wish.seller is not None and seller is None:
        problems.append(FieldProblem("#/seller", f"there is no tenant {wish.seller!r}"))
    if buyer is None:
        problems.append(FieldProblem("#/buyer", f"there is no tenant {wish.buyer!r}"))
    elif seller is not None and seller.tenant_id == buyer.tenant_id:
        problems.append(FieldProblem("#/buyer", "nobody is billed by itself"))
    if buyer is not None and wish.currency not in (None, buyer.currency):
        problems.append(FieldProblem("#/currency", f"the tenant is billed in {buyer.currency}"))
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
    if seller is None:
        raise CannotBill("No tenant is the operator, so there is no seller: name one, or set `operator` on one tenant.")
    assert buyer is not None
    return seller, buyer


def _place(buyer: Tenant, seller: Tenant, wish: InvoiceWish, key: str | None, now: datetime) -> Place:
    invoice_id = new_id()
    names = (invoice_id.hex, "0") if key is None else (_digest(key), _digest(repr(wish)))
    return Place(buyer.tenant_id, invoice_id, seller.tenant_id, NOBODY, now, "written-" + "-".join(names))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16, person=b"written invoice").hexdigest()


def _made_before(connection: Connection, place: Place, key: str | None) -> StoredInvoice | None:
    if key is None:
        return None
    for found in invoice_store.with_slot(connection, place.tenant_id, place.slot.rpartition("-")[0] + "-"):
        if found.place.slot != place.slot:
            raise Conflict("This Idempotency-Key was sent before, with another invoice.")
        return found
    return None


def _make(
    connection: Connection, place: Place, wish: InvoiceWish, buyer: Tenant, *, now: datetime, terms_days: int
) -> StoredInvoice:
    sides = sides_of(connection, place)
    today = local_date(now, sides.zone)
    period = period_of(wish.period, sides.zone) or Period(
        start_of_day(today, sides.zone), start_of_day(today + timedelta(days=1), sides.zone)
    )
    edits = edits_of(wish, sides.zone)
    check_rates(connection, edits.lines)
    if edits.due_date is not None:
        check_due_date(connection, place, edits.due_date, now=now)
    if sum((line.quantity * line.unit_price for line in edits.lines), ZERO) < 0:
        raise InvalidInput.at("#/lines", "an invoice is not negative: credit the one that billed too much")
    draft_store.save_edits(connection, place.tenant_id, place.invoice_id, edits)
    empty = StoredInvoice(_empty(connection, place, period), place, None)
    draft, why = written_draft(connection, sides, empty)
    if wish.issue and why is not None:
        raise refusal(StoredInvoice(draft, place, None), why)
    saved = save_document(connection, sides, draft, place, issue=wish.issue, now=now, terms_days=terms_days)
    if wish.issue:
        return saved
    note_grace(connection, sides, place, now)
    again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
    assert again is not None
    return again


def _empty(connection: Connection, place: Place, period: Period) -> Invoice:
    return document_of(sides_of(connection, place), "invoice", (), period, place)
