"""Rate what is due at one billing instant, save the draft, and issue it where that is asked: one transaction.

The subscription's row is locked first, so that of any number of processes one closes the instant and the others find
it closed. Corrections of earlier periods go along: what is owed more joins the invoice, what is owed back becomes
credit notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.credit_notes import credited_line, left_of, taken_back
from app.domain.drafts import NO_EDITS, Withheld, edited
from app.domain.errors import EarlierPeriodOpen, NotFound
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import ZERO
from app.domain.tax import summed_groups
from app.operations.billing_books import Books, Desk, books_of
from app.operations.correct_period import Correction, credit_line, due_at
from app.operations.due_lines import due_before, instants_through, lines_due
from app.operations.make_drafts import (
    document_of,
    invoice_of,
    note_grace,
    place_of,
    save_document,
    sides_of,
    why_withheld,
    with_edits,
)
from app.operations.use_credit import promotional_returns
from app.storage import billing_store, credit_store, draft_store, invoice_store, subscription_store
from app.storage.billing_store import InstantRow
from app.storage.catalog_snapshot import hold_version
from app.storage.invoice_store import Place, StoredInvoice


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing made: the documents, issued or drafted; none where nothing was due. `withheld` says of each that
    should have been issued and was not, by its id, why."""

    documents: tuple[StoredInvoice, ...]
    withheld: Mapping[UUID, Withheld] = field(default_factory=dict)


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


def open_desk(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> Desk:
    """The books of several subscriptions, all rows locked that closing them locks, in the order in which it does: so
    that whoever closes some of them waits before it has anything that another waits for."""
    hold_version(connection)
    billing_store.lock_subscriptions(connection, keys)
    credit_store.lock_accounts(connection, {tenant_id for tenant_id, _ in keys})
    return Desk(connection, keys)


def close_period(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, at: datetime, *, issue: bool, now: datetime,
    terms_days: int, desk: Desk | None = None,
) -> Closed:  # fmt: skip
    """Closes the instant, unless it is closed already. Raises EarlierPeriodOpen: a subscription's instants go in
    order."""
    books = _books(connection, tenant_id, subscription_id, desk)
    rows = _rows_through(connection, books, at)
    row = next((item for item in rows if item.at == at), None)
    if row is None or row.status != "open":
        return Closed(())
    earlier = due_before(books, rows, at)
    if issue:
        if earlier:
            raise EarlierPeriodOpen("An earlier period of this subscription is not issued yet.")
        if rows[0].at < at and rows[0].status == "open":
            # Nothing was due at the start itself.
            billing_store.settle_instant(connection, tenant_id, subscription_id, rows[0].at, "passed")
    lines, period = lines_due(connection, books, rows, row)
    due = due_at(connection, books, lines, rows=rows, at=at)
    known = _discard_drafts(connection, books, lambda place: not place.slot and place.billing_at == at)
    place = place_of(books, at, known=known)
    edits = draft_store.find(connection, tenant_id, place.invoice_id).edits if known else NO_EDITS
    lines = with_edits(connection, books, due.all_lines, edits, period)
    made = _Made(connection, books, issue=issue, now=now, terms_days=terms_days)
    if lines and period is not None:
        made.save(invoice_of(connection, books, lines, period, place), place)
    is_issued = issue and not made.withheld
    if not earlier:
        _credit(made, due.changes, at)
    if is_issued:
        status = "billed" if lines else "passed"
        billing_store.settle_instant(connection, tenant_id, subscription_id, at, status)  # type: ignore[arg-type]
    return made.closed


def correct_only(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, *, through: datetime, issue: bool, now: datetime,
    terms_days: int, desk: Desk | None = None,
) -> Closed:  # fmt: skip
    """Credits what earlier periods owe back; bills what they owe more where no next invoice will come to carry it."""
    books = _books(connection, tenant_id, subscription_id, desk)
    rows = billing_store.instants(connection, tenant_id, subscription_id)
    # Open instants have documents of their own to come.
    due = due_at(connection, books, [], rows=[row for row in rows if row.status != "open"], at=through)
    found = due.changes
    made = _Made(connection, books, issue=issue, now=now, terms_days=terms_days)
    _credit(made, found, through)
    ended = books.subscription.end is not None and bool(rows) and rows[-1].at == books.subscription.end
    if ended and all(item.status != "open" for item in rows):
        known = _discard_drafts(connection, books, lambda place: place.credits_id is None)
        place = place_of(books, books.subscription.end or through, slot=_slot(found), known=known)
        edits = draft_store.find(connection, tenant_id, place.invoice_id).edits if known else NO_EDITS
        period = due.all_lines[0].period if due.all_lines else None
        lines = with_edits(connection, books, due.all_lines, edits, period)
        if lines and period is not None:
            made.save(invoice_of(connection, books, lines, period, place), place)
    return made.closed


class _Made:
    """The documents of one closing: each saved with what people wrote on it, and issued unless one withholds it."""

    def __init__(
        self, connection: Connection, books: Books, *, issue: bool, now: datetime, terms_days: int
    ) -> None:  # fmt: skip
        self.connection, self.books = connection, books
        self._issue, self._now, self._terms_days = issue, now, terms_days
        self._documents: list[StoredInvoice] = []
        self.withheld: dict[UUID, Withheld] = {}

    @property
    def closed(self) -> Closed:
        return Closed(tuple(self._documents), self.withheld)

    def save(self, draft: Invoice, place: Place) -> None:
        work = draft_store.find(self.connection, place.tenant_id, place.invoice_id)
        draft = edited(draft, work.edits)
        why = why_withheld(self.books, draft, work)
        if not self._issue:
            note_grace(self.connection, self.books, place, self._now)
        elif why is not None:
            self.withheld[place.invoice_id] = why
        self._documents.append(
            save_document(
                self.connection, draft, place, issue=self._issue and why is None, now=self._now,
                terms_days=self._terms_days,
            )
        )  # fmt: skip


def _books(connection: Connection, tenant_id: UUID, subscription_id: UUID, desk: Desk | None) -> Books:
    return (
        open_books(connection, tenant_id, subscription_id) if desk is None else desk.books(tenant_id, subscription_id)
    )


def _slot(found: Sequence[Correction]) -> str:
    """A name for this correction: the lines that it starts from, so that the next correction has another."""
    digest = blake2b(digest_size=12)
    for item in found:
        digest.update(item.billed.documents[-1].invoice.id.encode() + item.billed.last.id.encode())
        digest.update(item.billed.last.charge.encode() + str(item.billed.last.trace["usage"]).encode())
        # What charges share may change a line again that has the same use as before.
        digest.update(str(item.billed.last.trace["rated"]).encode())
        # So may a credit by hand.
        digest.update(str(item.billed.last.trace.get("standing", "")).encode())
    return f"correction-{digest.hexdigest()}"


def _rows_through(connection: Connection, books: Books, at: datetime) -> list[InstantRow]:
    """The subscription's instants as rows, written up to the one after `at`."""
    known, new = instants_through(connection, books, at)
    billing_store.save_instants(connection, books.subscription.tenant_id, books.subscription.subscription_id, new)
    return [*known, *new]


def _credit(made: _Made, found: Sequence[Correction], at: datetime) -> None:
    """One credit note for each document that gives something back."""
    connection, books = made.connection, made.books
    known = _discard_drafts(connection, books, lambda place: place.credits_id is not None)
    lines: dict[UUID, list[InvoiceLine]] = {}
    originals: dict[UUID, StoredInvoice] = {}
    for item in found:
        if not item.is_for_next:
            for index, (original, part) in enumerate(item.credits()):
                originals[original.place.invoice_id] = original
                line = credit_line(item, part, is_first=not index)
                lines.setdefault(original.place.invoice_id, []).append(line)
    for invoice_id, note_lines in lines.items():
        original = originals[invoice_id]
        slot = f"{_slot(found)}-{invoice_id.hex}"
        sides = sides_of(connection, original.place)
        place = place_of(replace(books, seller=sides.seller), at, slot=slot, credits_id=invoice_id, known=known)
        earlier = invoice_store.notes_on(connection, original.place.tenant_id, invoice_id)
        note_lines = _with_gifts_taken_back(original, earlier, note_lines)
        note = document_of(
            sides, "credit_note", note_lines, original.invoice.period, place, original=original,
            allowances=promotional_returns(original, earlier, note_lines),
            credited=summed_groups(group for stored in earlier for group in stored.invoice.tax),
        )  # fmt: skip
        made.save(note, place)


def _with_gifts_taken_back(
    original: StoredInvoice, earlier: Sequence[StoredInvoice], lines: Sequence[InvoiceLine]
) -> list[InvoiceLine]:
    """The lines of a correction, and what they have to take back of what was given as a gift before: of 100.00 with
    80.00 given, use that falls to nothing is credited with 100.00 less 80.00."""
    left = left_of(original.invoice, [note.invoice for note in earlier])
    made: list[InvoiceLine] = []
    for line in lines:
        made.append(line)
        item = left.get(credited_line(original.invoice, line) or "")
        if item is not None:
            beyond = min(line.amount - max(item.amount, ZERO), item.given)
            if beyond > 0:
                made.append(taken_back(item, beyond))
    return made


def _discard_drafts(
    connection: Connection, books: Books, is_wanted: Callable[[Place], bool]
) -> dict[UUID | None, UUID]:
    """Deletes the drafts that are computed anew; their ids, by the document that each credits."""
    tenant_id, subscription_id = books.subscription.tenant_id, books.subscription.subscription_id
    ids: dict[UUID | None, UUID] = {}
    for stored in invoice_store.drafts_of_subscription(connection, tenant_id, subscription_id):
        if is_wanted(stored.place):
            invoice_store.delete_draft(connection, tenant_id, stored.place.invoice_id)
            ids[stored.place.credits_id] = stored.place.invoice_id
    return ids
