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
from typing import Literal
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.credit_notes import credited_line, left_of, taken_back
from app.domain.drafts import Withheld, edited
from app.domain.errors import EarlierPeriodOpen
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import ZERO
from app.domain.tax import summed_groups
from app.operations.billing_books import Books, Desk
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
from app.storage import billing_store, credit_store, draft_store, invoice_store
from app.storage.catalog_snapshot import hold_version
from app.storage.draft_store import UNTOUCHED, DraftWork
from app.storage.invoice_store import Place, StoredInvoice


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing made: the documents, issued or drafted; none where nothing was due. `withheld` says of each that
    should have been issued and was not, by its id, why."""

    documents: tuple[StoredInvoice, ...]
    withheld: Mapping[UUID, Withheld] = field(default_factory=dict)


def open_desk(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> Desk:
    """The books of subscriptions, one or more, with all rows locked that closing them locks but for the seller's
    series: whoever closes some of them waits before it has anything that another waits for."""
    # The first lock, as in a change of the catalog: a meter's next revision takes away the buckets of this one.
    hold_version(connection)
    tenant_ids = billing_store.lock_subscriptions(connection, keys)
    # The last but the series: of two closes of one tenant one sees what the other leaves of its credit.
    credit_store.lock_accounts(connection, tenant_ids)
    return Desk(connection, keys)


def close_period(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, at: datetime, *, issue: bool, now: datetime,
    terms_days: int, desk: Desk | None = None,
) -> Closed:  # fmt: skip
    """Closes the instant, unless it is closed already. Raises EarlierPeriodOpen: a subscription's instants go in
    order; NotFound, or CannotBill where there is no operator."""
    books = _books(connection, tenant_id, subscription_id, desk)
    known, new = instants_through(connection, books, at)
    rows = [*known, *new]
    row = next((item for item in rows if item.at == at), None)
    if row is None or row.status != "open":
        return Closed(())
    earlier = due_before(books, rows, at)
    settled: dict[datetime, Literal["billed", "passed"]] = {}
    if issue:
        if earlier:
            raise EarlierPeriodOpen("An earlier period of this subscription is not issued yet.")
        if rows[0].at < at and rows[0].status == "open":
            # Nothing was due at the start itself.
            settled[rows[0].at] = "passed"
    lines, period = lines_due(connection, books, rows, row)
    due = due_at(connection, books, lines, rows=rows, at=at)
    drafts = _discard_drafts(connection, books, lambda place: not place.slot and place.billing_at == at)
    place = place_of(books, at, known=drafts)
    work = _work_on(connection, place, drafts)
    lines = with_edits(connection, books, due.all_lines, work.edits, period)
    made = _Made(connection, books, issue=issue, now=now, terms_days=terms_days)
    if lines and period is not None:
        made.save(books, invoice_of(connection, books, lines, period, place), place, work)
    is_issued = issue and not made.withheld
    if not earlier:
        _credit(made, due.changes, at)
    if is_issued:
        settled[at] = "billed" if lines else "passed"
    fresh = {item.at for item in new}
    changed = [replace(item, status=settled.get(item.at, item.status)) for item in rows]
    changed = [item for item in changed if item.at in settled or item.at in fresh]
    billing_store.save_instants(connection, tenant_id, subscription_id, changed)
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
        drafts = _discard_drafts(connection, books, lambda place: place.credits_id is None)
        place = place_of(books, books.subscription.end or through, slot=_slot(found), known=drafts)
        work = _work_on(connection, place, drafts)
        period = due.all_lines[0].period if due.all_lines else None
        lines = with_edits(connection, books, due.all_lines, work.edits, period)
        if lines and period is not None:
            made.save(books, invoice_of(connection, books, lines, period, place), place, work)
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

    def save(self, sides: Books, draft: Invoice, place: Place, work: DraftWork) -> None:
        draft = edited(draft, work.edits)
        why = why_withheld(self.books, draft, work)
        if not self._issue:
            note_grace(self.connection, self.books, place, self._now)
        elif why is not None:
            self.withheld[place.invoice_id] = why
        self._documents.append(
            save_document(
                self.connection, sides, draft, place, issue=self._issue and why is None, now=self._now,
                terms_days=self._terms_days,
            )
        )  # fmt: skip


def _books(connection: Connection, tenant_id: UUID, subscription_id: UUID, desk: Desk | None) -> Books:
    own = open_desk(connection, [(tenant_id, subscription_id)]) if desk is None else desk
    return own.books(tenant_id, subscription_id)


def _work_on(connection: Connection, place: Place, drafts: Mapping[UUID | None, UUID]) -> DraftWork:
    """What people did to the draft that the document takes the place of."""
    if place.invoice_id not in drafts.values():
        return UNTOUCHED
    return draft_store.find(connection, place.tenant_id, place.invoice_id)


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


def _credit(made: _Made, found: Sequence[Correction], at: datetime) -> None:
    """One credit note for each document that gives something back."""
    connection, books = made.connection, made.books
    drafts = _discard_drafts(connection, books, lambda place: place.credits_id is not None)
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
        own = replace(books, seller=sides.seller)
        place = place_of(own, at, slot=slot, credits_id=invoice_id, known=drafts)
        earlier = invoice_store.notes_on(connection, original.place.tenant_id, invoice_id)
        note_lines = _with_gifts_taken_back(original, earlier, note_lines)
        note = document_of(
            sides, "credit_note", note_lines, original.invoice.period, place, original=original,
            allowances=promotional_returns(original, earlier, note_lines),
            credited=summed_groups(group for stored in earlier for group in stored.invoice.tax),
        )  # fmt: skip
        made.save(own, note, place, _work_on(connection, place, drafts))


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
    assert books.ahead is not None, "who closes has a desk"
    ids: dict[UUID | None, UUID] = {}
    for place in books.ahead.drafts:
        if is_wanted(place):
            invoice_store.delete_draft(connection, place.tenant_id, place.invoice_id)
            ids[place.credits_id] = place.invoice_id
    return ids
