"""Rate what is due at one billing instant, save the draft, and issue it where that is asked: one transaction.

The subscription's row is locked first, so that of any number of processes one closes the instant and the others find
it closed. Corrections of earlier periods go along: what is owed more joins the invoice, what is owed back becomes
credit notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.billing import BillingPeriod, extend_instants, period_between
from app.domain.credit import CreditUse
from app.domain.errors import EarlierPeriodOpen, NotFound
from app.domain.events import instant_text
from app.domain.ids import new_id, public_id
from app.domain.invoices import Invoice, InvoiceLine, InvoiceType, Reference, numbered_lines, totals
from app.domain.periods import Period, gaps
from app.domain.rating.results import Result
from app.domain.tax import TaxGroup, summed_groups
from app.operations.billing_books import Books, billables, books_of, charge_lines, party
from app.operations.correct_period import Correction, corrections
from app.operations.find_due import charges_at_start
from app.operations.issue_invoice import issue_draft
from app.operations.rate_period import Billable
from app.operations.use_credit import promotional_returns, promotional_uses
from app.storage import billing_store, credit_store, invoice_store, subscription_store, tenant_store
from app.storage.billing_store import InstantRow
from app.storage.catalog_snapshot import hold_version
from app.storage.invoice_store import BilledStretch, Place, StoredInvoice


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing made: ids of the documents, issued or drafted; none where nothing was due."""

    documents: tuple[StoredInvoice, ...]


def open_books(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> Books:
    """The books with the subscription's row locked. Raises NotFound, or CannotBill where there is no operator."""
    # The first lock, as in a change of the catalog: a meter's next revision takes away the buckets of this one.
    hold_version(connection)
    if not billing_store.lock_subscription(connection, tenant_id, subscription_id):
        raise NotFound("There is no such subscription.")
    # The second: of two closes of one tenant one sees what the other leaves of its credit.
    credit_store.lock_account(connection, tenant_id)
    subscription = subscription_store.find_by_id(connection, tenant_id, subscription_id)
    assert subscription is not None
    return books_of(connection, subscription)


def close_period(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, at: datetime, *, issue: bool, now: datetime,
    terms_days: int,
) -> Closed:  # fmt: skip
    """Closes the instant, unless it is closed already. Raises EarlierPeriodOpen: a subscription's instants go in
    order."""
    books = open_books(connection, tenant_id, subscription_id)
    rows = _rows_through(connection, books, at)
    row = next((item for item in rows if item.at == at), None)
    if row is None or row.status != "open":
        return Closed(())
    earlier = [item for item in rows if item.at < at and item.status == "open"]
    if issue and earlier:
        if earlier != rows[:1] or charges_at_start(books.subscription, books.versions):
            raise EarlierPeriodOpen("An earlier period of this subscription is not issued yet.")
        # Nothing was due at the start itself.
        billing_store.settle_instant(connection, tenant_id, subscription_id, earlier[0].at, "passed")
    lines, period = _lines_due(connection, books, rows, row)
    found = corrections(connection, books.subscription, books.meters)
    lines += [_difference_line(books, item) for item in found if item.change.amount > 0]
    documents: list[StoredInvoice] = []
    known = _discard_drafts(connection, books, at, type="invoice")
    if lines and period is not None:
        place = _place(books, at, known=known)
        draft = _invoice(connection, books, lines, period, place)
        documents.append(_save(connection, draft, place, issue=issue, now=now, terms_days=terms_days))
    documents += _credit(connection, books, found, at, issue=issue, now=now, terms_days=terms_days)
    if issue:
        status = "billed" if lines else "passed"
        billing_store.settle_instant(connection, tenant_id, subscription_id, at, status)  # type: ignore[arg-type]
    return Closed(tuple(documents))


def correct_only(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, *, through: datetime, issue: bool, now: datetime,
    terms_days: int,
) -> Closed:  # fmt: skip
    """Credits what earlier periods owe back; bills what they owe more where no next invoice will come to carry it."""
    books = open_books(connection, tenant_id, subscription_id)
    found = corrections(connection, books.subscription, books.meters)
    documents = _credit(connection, books, found, through, issue=issue, now=now, terms_days=terms_days)
    more = [item for item in found if item.change.amount > 0]
    rows = billing_store.instants(connection, tenant_id, subscription_id)
    ended = books.subscription.end is not None and bool(rows) and rows[-1].at == books.subscription.end
    if ended and all(item.status != "open" for item in rows):
        known = _discard_drafts(connection, books, None, type="invoice")
        place = _place(books, books.subscription.end or through, slot=_slot(found), known=known)
        if more:
            lines = [_difference_line(books, item) for item in more]
            draft_invoice = _invoice(connection, books, lines, lines[0].period, place)
            documents.append(_save(connection, draft_invoice, place, issue=issue, now=now, terms_days=terms_days))
    return Closed(tuple(documents))


def _slot(found: Sequence[Correction]) -> str:
    """A name for this correction: the lines that it starts from, so that the next correction has another."""
    digest = blake2b(digest_size=12)
    for item in found:
        digest.update(item.billed.documents[-1].invoice.id.encode() + item.billed.last.id.encode())
        digest.update(item.billed.last.charge.encode() + str(item.billed.last.trace["usage"]).encode())
    return f"correction-{digest.hexdigest()}"


def _rows_through(connection: Connection, books: Books, at: datetime) -> list[InstantRow]:
    """The subscription's instants as rows, written up to the one after `at`."""
    key = (books.subscription.tenant_id, books.subscription.subscription_id)
    known = billing_store.instants(connection, *key)
    instants = extend_instants(
        [item.instant for item in known], books.subscription, books.versions, zone=books.zone, until=at
    )
    new = [InstantRow(item.at, item.local_date, "open") for item in instants[len(known) :]]
    billing_store.save_instants(connection, *key, new)
    return [*known, *new]


def _lines_due(
    connection: Connection, books: Books, rows: Sequence[InstantRow], row: InstantRow
) -> tuple[list[InvoiceLine], Period | None]:
    """The lines of arrears and advance charges at this instant, and the period that the document is about."""
    position = [item.at for item in rows].index(row.at)
    lines: list[InvoiceLine] = []
    period: Period | None = None
    if position > 0:
        before = _period(books, rows[position - 1], row)
        period = before.period
        lines += charge_lines(connection, books, _not_billed_yet(connection, books, rows, position, before))
    is_end = books.subscription.end is not None and row.at >= books.subscription.end
    if not is_end and position + 1 < len(rows):
        following = _period(books, row, rows[position + 1])
        period = period or following.period
        lines += charge_lines(connection, books, billables(books, following, "advance"))
    return lines, period


def _not_billed_yet(
    connection: Connection, books: Books, rows: Sequence[InstantRow], position: int, before: BillingPeriod
) -> list[Billable]:
    """What the period that ends here owes and no issued line covers.

    That is its use, and of its fixed charges mostly what is due in arrears. But one due in advance may have begun after
    the invoice of the period's start: with a version of the plan, or when an end that was known then was taken back.
    """
    previous = rows[position - 1]
    is_start_without_invoice = position == 1 and not charges_at_start(books.subscription, books.versions)
    # The invoice of an instant that is still open will carry what is due in advance from there on.
    timing = None if previous.status != "open" or is_start_without_invoice else "arrears"
    subscription = books.subscription
    billed = invoice_store.billed_stretches(
        connection, subscription.tenant_id, subscription.subscription_id, after=previous.at
    )
    found: list[Billable] = []
    for item in billables(books, before, timing):
        covered = [] if item.charge.meter is not None else [one.stretch for one in billed if _covers(one, item)]
        found += [replace(item, stretch=gap) for gap in gaps(item.stretch, covered)]
    return found


def _covers(billed: BilledStretch, item: Billable) -> bool:
    """True where the line billed the fixed charge, in the same phase of the subscription."""
    same_phase = billed.trace.get("since", instant_text(item.phase.start)) == instant_text(item.phase.start)
    return billed.charge == item.charge.key and billed.trace["meter"] is None and same_phase


def _period(books: Books, first: InstantRow, second: InstantRow) -> BillingPeriod:
    return period_between(first.instant, second.instant, books.subscription, books.versions)


def _difference_line(books: Books, item: Correction) -> InvoiceLine:
    return _corrected_line(books, item, item.change, kind="difference")


def _corrected_line(books: Books, item: Correction, result: Result, *, kind: str) -> InvoiceLine:
    first = item.billed.first
    return InvoiceLine(
        id="", charge=first.charge, description=first.description, period=first.period, quantity=result.quantity,
        unit=first.unit, amount=result.amount, tax=first.tax, components=result.components,
        allowances=result.allowances, kind=kind,  # type: ignore[arg-type]
        reopens_usage=kind == "credit", subscription=books.subscription.key, trace=item.rated.trace,
    )  # fmt: skip


def _credit(
    connection: Connection, books: Books, found: Sequence[Correction], at: datetime, *, issue: bool, now: datetime,
    terms_days: int,
) -> list[StoredInvoice]:  # fmt: skip
    """One credit note for each document that gives something back."""
    known = _discard_drafts(connection, books, None, type="credit_note")
    lines: dict[UUID, list[InvoiceLine]] = {}
    originals: dict[UUID, StoredInvoice] = {}
    for item in found:
        if item.change.amount < 0:
            for original, part in item.credits():
                originals[original.place.invoice_id] = original
                lines.setdefault(original.place.invoice_id, []).append(
                    _corrected_line(books, item, part, kind="credit")
                )
    notes = []
    for invoice_id, note_lines in lines.items():
        original = originals[invoice_id]
        slot = f"{_slot(found)}-{invoice_id.hex}"
        # Who issued the invoice credits it, also when another tenant is the operator by now.
        seller = tenant_store.find_by_id(connection, original.place.seller_id)
        assert seller is not None
        of_seller = replace(books, seller=seller)
        place = _place(of_seller, at, slot=slot, credits_id=invoice_id, known=known)
        earlier = _earlier_notes(connection, original)
        note = _document(
            of_seller, "credit_note", note_lines, original.invoice.period, place, original=original,
            allowances=promotional_returns(original, earlier, note_lines),
            credited=summed_groups(group for stored in earlier for group in stored.invoice.tax),
        )  # fmt: skip
        notes.append(_save(connection, note, place, issue=issue, now=now, terms_days=terms_days))
    return notes


def _earlier_notes(connection: Connection, original: StoredInvoice) -> list[StoredInvoice]:
    """The credit notes on the document that are issued."""
    return [
        stored
        for stored in invoice_store.issued_of_subscription(
            connection, original.place.tenant_id, original.place.subscription_id
        )
        if stored.place.credits_id == original.place.invoice_id
    ]


def _place(
    books: Books, at: datetime, *, slot: str = "", credits_id: UUID | None = None,
    known: Mapping[UUID | None, UUID] | None = None,
) -> Place:  # fmt: skip
    """Where the document belongs; it takes on the id of the draft in whose place it comes."""
    subscription = books.subscription
    invoice_id = (known or {}).get(credits_id) or new_id()
    return Place(
        subscription.tenant_id, invoice_id, books.seller.tenant_id, subscription.subscription_id, at, slot, credits_id
    )


def _invoice(
    connection: Connection, books: Books, lines: Sequence[InvoiceLine], period: Period, place: Place
) -> Invoice:
    """The draft of an invoice, less the promotional credit that it takes."""
    uses = promotional_uses(
        connection, place.tenant_id, lines, currency=books.currency, at=place.billing_at
    )  # fmt: skip
    return _document(books, "invoice", lines, period, place, allowances=uses)


def _document(
    books: Books, type: InvoiceType, lines: Sequence[InvoiceLine], period: Period, place: Place, *,
    original: StoredInvoice | None = None, allowances: tuple[CreditUse, ...] = (), credited: tuple[TaxGroup, ...] = (),
) -> Invoice:  # fmt: skip
    numbered = numbered_lines(lines)
    currency = books.currency
    net, groups, total = totals(numbered, currency, allowances=allowances, credited=credited)
    references: tuple[Reference, ...] = ()
    if original is not None:
        invoice = original.invoice
        assert invoice.issued_at is not None
        references = (Reference(invoice.id, invoice.number, invoice.issued_at),)
    return Invoice(
        id=public_id("inv", place.tenant_id, place.invoice_id), type=type, status="draft", seller=party(books.seller),
        buyer=party(books.buyer), currency=currency, language=books.buyer.language, time_zone=books.buyer.time_zone,
        period=period, lines=numbered, net=net, tax=groups, total=total, references=references,
        allowances=allowances,
    )  # fmt: skip


def _discard_drafts(
    connection: Connection, books: Books, at: datetime | None, *, type: InvoiceType
) -> dict[UUID | None, UUID]:
    """Deletes the drafts that are computed anew; their ids, by the document that each credits."""
    tenant_id, subscription_id = books.subscription.tenant_id, books.subscription.subscription_id
    ids: dict[UUID | None, UUID] = {}
    for stored in invoice_store.find_draft_at(connection, tenant_id, subscription_id, type=type):
        if at is None or stored.place.billing_at == at:
            invoice_store.delete_draft(connection, tenant_id, stored.place.invoice_id)
            ids[stored.place.credits_id] = stored.place.invoice_id
    return ids


def _save(
    connection: Connection, draft: Invoice, place: Place, *, issue: bool, now: datetime, terms_days: int
) -> StoredInvoice:
    invoice_store.save_draft(connection, draft, place, now)
    stored = StoredInvoice(draft, place, None)
    return issue_draft(connection, stored, now=now, terms_days=terms_days) if issue else stored
