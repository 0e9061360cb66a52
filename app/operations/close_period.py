"""Rate what is due at one billing instant, save the draft, and issue it where that is asked: one transaction.

The subscription's row is locked first, so that of any number of processes one closes the instant and the others find
it closed. Corrections of earlier periods go along: what is owed more joins the invoice, what is owed back becomes
credit notes. Where a tenant collects its invoices, what all of its subscriptions owe at one instant is on one document:
it is of SEVERAL, and its lines say whose they are.
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
from app.domain.errors import CannotBill, EarlierPeriodOpen
from app.domain.ids import SEVERAL
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import ZERO
from app.domain.periods import Period
from app.domain.tax import summed_groups
from app.operations.billing_books import Books, Desk
from app.operations.correct_period import Correction, credit_line, difference_line, due_at
from app.operations.due_lines import due_before, instants_through, lines_due
from app.operations.find_due import charges_at_start
from app.operations.lock_billing import lock_subscriptions
from app.operations.make_drafts import (
    Sides,
    document_of,
    invoice_of,
    note_grace,
    place_of,
    save_document,
    scopes_clash,
    shared_sides,
    sides_of,
    why_withheld,
    with_edits,
)
from app.operations.use_credit import promotional_returns
from app.storage import billing_store, draft_store, invoice_store
from app.storage.billing_store import InstantRow
from app.storage.draft_store import UNTOUCHED, DraftWork
from app.storage.invoice_store import Place, StoredInvoice


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing made: the documents, issued or drafted; none where nothing was due. `withheld` says of each that
    should have been issued and was not, by its id, why."""

    documents: tuple[StoredInvoice, ...]
    withheld: Mapping[UUID, Withheld] = field(default_factory=dict)


def open_desk(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> Desk:
    """The books of subscriptions, one or more, and of those that share documents with them, with all rows locked that
    closing them locks but for the seller's series."""
    locked, buyers = lock_subscriptions(connection, keys)
    return Desk(connection, locked, buyers)


def close_period(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, at: datetime, *, issue: bool, now: datetime,
    terms_days: int, desk: Desk | None = None,
) -> Closed:  # fmt: skip
    """Closes the instant on a document of the subscription's own, unless it is closed already. Raises
    EarlierPeriodOpen: a subscription's instants go in order; NotFound, or CannotBill where there is no operator."""
    books = (desk or open_desk(connection, [(tenant_id, subscription_id)])).books(tenant_id, subscription_id)
    part = _part(connection, books, at, issue=issue)
    made = _Made(connection, issue=issue, now=now, terms_days=terms_days)
    if part is not None:
        _close(made, [part], at, owner=subscription_id)
    return made.closed


def close_together(
    connection: Connection, tenant_id: UUID, at: datetime, *, issue: bool, now: datetime, terms_days: int,
    desk: Desk | None = None,
) -> Closed:  # fmt: skip
    """Closes the instant for all subscriptions of the tenant that are due at it: on one document, where the tenant
    collects them. What becomes due after that was issued, and what is out of the scope of VAT where the rest is not,
    has a document of its own. Raises EarlierPeriodOpen and CannotBill, as for one."""
    desk = desk or open_desk(connection, [(tenant_id, SEVERAL)])
    parts: list[_Part] = []
    for books in desk.all_books(tenant_id):
        beside = tuple(line for part in parts for line in part.all_lines)
        part = _part_of_several(connection, replace(books, beside=beside), at, issue=issue)
        parts += [] if part is None else [part]
    together = _on_one_document(connection, parts, at)
    made = _Made(connection, issue=issue, now=now, terms_days=terms_days)
    if together:
        _close(made, together, at, owner=SEVERAL)
    for part in parts:
        if part not in together:
            key = part.books.subscription.subscription_id
            alone = _part(connection, desk.books(tenant_id, key), at, issue=issue) if part.books.beside else part
            assert alone is not None, "it is due"
            _close(made, [alone], at, owner=key)
    return made.closed


def correct_only(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, *, through: datetime, issue: bool, now: datetime,
    terms_days: int, desk: Desk | None = None,
) -> Closed:  # fmt: skip
    """Credits what earlier periods owe back; bills what they owe more where no next invoice will come to carry it."""
    books = (desk or open_desk(connection, [(tenant_id, subscription_id)])).books(tenant_id, subscription_id)
    rows = billing_store.instants(connection, tenant_id, subscription_id)
    # Open instants have documents of their own to come.
    due = due_at(connection, books, [], rows=[row for row in rows if row.status != "open"], at=through)
    found = due.changes
    made = _Made(connection, issue=issue, now=now, terms_days=terms_days)
    _credit(made, books, found, through)
    ended = books.subscription.end is not None and bool(rows) and rows[-1].at == books.subscription.end
    if ended and all(item.status != "open" for item in rows):
        drafts = _discard_drafts(connection, _drafts_of(books), lambda place: place.credits_id is None)
        place = place_of(books, books.subscription.end or through, slot=_slot(found), known=drafts)
        work = _work_on(connection, place, drafts)
        period = due.all_lines[0].period if due.all_lines else None
        lines = with_edits(connection, books, due.all_lines, work.edits, period)
        if lines and period is not None:
            made.save(books, invoice_of(connection, books, lines, period, place), place, work)
    return made.closed


# --- what is due of each subscription, and the document that it is on -------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """What one subscription has on the document of an instant: its lines there, the period that they are about, and the
    changes of billed charges, those to be credited among them. `rows` are its instants, of which `new` are not kept
    yet; `is_next` is False where one before this is open."""

    books: Books
    rows: list[InstantRow]
    new: list[InstantRow]
    lines: list[InvoiceLine]
    period: Period | None
    changes: list[Correction]
    is_next: bool

    @property
    def all_lines(self) -> list[InvoiceLine]:
        """Its lines, and those that credit notes have."""
        return self.lines + [difference_line(item) for item in self.changes if not item.is_for_next]


def _part(connection: Connection, books: Books, at: datetime, *, issue: bool) -> _Part | None:
    """None where the instant is not the subscription's, or closed."""
    known, new = instants_through(connection, books, at)
    rows = [*known, *new]
    row = next((item for item in rows if item.at == at), None)
    if row is None or row.status != "open":
        return None
    earlier = due_before(books, rows, at)
    if issue and earlier:
        raise EarlierPeriodOpen("An earlier period of this subscription is not issued yet.")
    lines, period = lines_due(connection, books, rows, row)
    due = due_at(connection, books, lines, rows=rows, at=at)
    return _Part(books, rows, new, due.all_lines, period, due.changes, not earlier)


def _part_of_several(connection: Connection, books: Books, at: datetime, *, issue: bool) -> _Part | None:
    """The same for one of those that are closed together, with its name in what is raised."""
    subscription = books.subscription
    if at == subscription.start and not charges_at_start(subscription, books.versions):
        return None
    try:
        return _part(connection, books, at, issue=issue)
    except (CannotBill, EarlierPeriodOpen) as error:
        raise type(error)(f"Subscription {subscription.key!r}: {error.detail}") from error


def _on_one_document(connection: Connection, parts: list[_Part], at: datetime) -> list[_Part]:
    """Those of the parts that are collected into one document."""
    if not parts or not parts[0].books.buyer.collects:
        return []
    books = parts[0].books
    if invoice_store.is_collected(connection, books.buyer.tenant_id, at):
        return []
    if scopes_clash(books.seller, (line for part in parts for line in part.lines)):
        return [part for part in parts if not any(line.tax.category == "O" for line in part.lines)]
    return parts


def _close(made: _Made, parts: Sequence[_Part], at: datetime, *, owner: UUID) -> None:
    """Makes the invoice of the parts, which is the owner's: of one subscription, or of SEVERAL; credits what they owe
    back; and settles the instant, where that is issued."""
    connection, books = made.connection, [part.books for part in parts]
    sides = books[0] if owner != SEVERAL else shared_sides(books)
    drafts = _discard_drafts(
        connection, _drafts_for(connection, books, owner), lambda place: not place.slot and place.billing_at == at
    )
    place = replace(place_of(books[0], at, known=drafts), subscription_id=owner)
    work = _work_on(connection, place, drafts)
    period = _period_of(parts)
    lines = with_edits(connection, sides, _lines_of(parts, sides), work.edits, period)
    is_withheld = False
    if lines and period is not None:
        made.save(sides, invoice_of(connection, sides, lines, period, place), place, work)
        is_withheld = place.invoice_id in made.withheld
    for part in parts:
        if part.is_next:
            _credit(made, part.books, part.changes, at)
    billed = {line.subscription for line in lines}
    for part in parts:
        settled: dict[datetime, Literal["billed", "passed"]] = {}
        if made.issue and part.rows[0].at < at and part.rows[0].status == "open":
            # Nothing was due at the start itself.
            settled[part.rows[0].at] = "passed"
        if made.issue and not is_withheld:
            settled[at] = "billed" if part.books.subscription.key in billed else "passed"
        _save_instants(connection, part, settled)


def _save_instants(
    connection: Connection, part: _Part, settled: Mapping[datetime, Literal["billed", "passed"]]
) -> None:  # fmt: skip
    subscription, fresh = part.books.subscription, {item.at for item in part.new}
    changed = [replace(item, status=settled.get(item.at, item.status)) for item in part.rows]
    changed = [item for item in changed if item.at in settled or item.at in fresh]
    billing_store.save_instants(connection, subscription.tenant_id, subscription.subscription_id, changed)


def _period_of(parts: Sequence[_Part]) -> Period | None:
    """From the first start to the last end of what is billed."""
    found = [part.period for part in parts if part.period is not None and part.lines]
    found = found or [part.period for part in parts if part.period is not None]
    return Period(min(one.start for one in found), max(one.end for one in found)) if found else None


def _lines_of(parts: Sequence[_Part], sides: Books | Sides) -> list[InvoiceLine]:
    """The lines of all parts; each has the references that the document does not have."""
    return [
        replace(line, references=line.references.over(part.books.references.beyond(sides.references)))
        for part in parts
        for line in part.lines
    ]


class _Made:
    """The documents of one closing: each saved with what people wrote on it, and issued unless one withholds it."""

    def __init__(self, connection: Connection, *, issue: bool, now: datetime, terms_days: int) -> None:
        self.connection, self.issue = connection, issue
        self._now, self._terms_days = now, terms_days
        self._documents: list[StoredInvoice] = []
        self.withheld: dict[UUID, Withheld] = {}

    @property
    def closed(self) -> Closed:
        return Closed(tuple(self._documents), self.withheld)

    def save(self, sides: Books | Sides, draft: Invoice, place: Place, work: DraftWork) -> None:
        draft = edited(draft, work.edits)
        why = why_withheld(sides, draft, work)
        if not self.issue:
            note_grace(self.connection, sides, place, self._now)
        elif why is not None:
            self.withheld[place.invoice_id] = why
        self._documents.append(
            save_document(
                self.connection, sides, draft, place, issue=self.issue and why is None, now=self._now,
                terms_days=self._terms_days,
            )
        )  # fmt: skip


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


def _credit(made: _Made, books: Books, found: Sequence[Correction], at: datetime) -> None:
    """One credit note for each document that gives something back."""
    connection = made.connection
    drafts = _discard_drafts(connection, _drafts_of(books), lambda place: place.credits_id is not None)
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


def _drafts_of(books: Books) -> Sequence[Place]:
    assert books.ahead is not None, "who closes has a desk"
    return books.ahead.drafts


def _drafts_for(connection: Connection, books: Sequence[Books], owner: UUID) -> list[Place]:
    """The drafts that the owner's document takes the place of; last, whose id it takes on, its own."""
    found = [place for one in books for place in _drafts_of(one)]
    if owner == SEVERAL:
        key = (books[0].buyer.tenant_id, SEVERAL)
        found += invoice_store.draft_places(connection, [key])[key]
    return found


def _discard_drafts(
    connection: Connection, places: Sequence[Place], is_wanted: Callable[[Place], bool]
) -> dict[UUID | None, UUID]:
    """Deletes the drafts that are computed anew; their ids, by the document that each credits."""
    ids: dict[UUID | None, UUID] = {}
    for place in places:
        if is_wanted(place):
            invoice_store.delete_draft(connection, place.tenant_id, place.invoice_id)
            ids[place.credits_id] = place.invoice_id
    return ids
