"""Credit an issued invoice by hand: whole, by line, by quantity or by an amount; and bill the whole of it again.

A credit is a gift, which leaves what counts as billed as it is, or it opens use again: then what counts as billed is
lowered with it, and the next closing bills what that use is rated to now, as far as it is not billed any more. A
cancellation with re-issue does both in one transaction: a credit note on all that is left, and an invoice of the same
period from what is measured now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b

from sqlalchemy.engine import Connection

from app.domain.credit_notes import CreditWish, charge_key, credit_lines
from app.domain.errors import Conflict, NotCreditable
from app.domain.ids import new_id, public_id
from app.domain.invoices import BY_HAND, Invoice, InvoiceLine, Remarks, numbered_lines, totals
from app.domain.money import ZERO
from app.domain.rating.results import NOTHING, Result, negated, together
from app.domain.subscriptions import Subscription
from app.domain.tax import summed_groups
from app.operations.billed_charges import billed_charges
from app.operations.billing_books import books_of, buyer_of, seller_of
from app.operations.correct_period import Correction, DueAt, difference_line, due_at
from app.operations.lock_billing import lock_document
from app.operations.make_drafts import Sides, invoice_of, reference_to, save_document, sides_of
from app.operations.rate_period import result_of, result_to_trace
from app.operations.use_credit import promotional_returns
from app.storage import billing_store, invoice_store, subscription_store
from app.storage.database import Database
from app.storage.invoice_store import REISSUE, Place, StoredInvoice


@dataclass(frozen=True, slots=True)
class Credited:
    """The credit note, and the invoice that took the place of the credited one, where there is one."""

    note: StoredInvoice
    reissued: StoredInvoice | None
    is_new: bool


def credit_invoice(
    database: Database, stored: StoredInvoice, wish: CreditWish, *, idempotency_key: str | None, now: datetime,
    terms_days: int,
) -> Credited:  # fmt: skip
    """The issued credit note. With an idempotency key a repeat answers with the first one; Conflict where it says
    something else. Raises NotCreditable, NothingLeftToCredit, CreditExceedsLeft or InvalidInput."""
    _check_creditable(stored)
    return database.write(
        lambda connection: _credit(connection, stored.place, wish, idempotency_key, now=now, terms_days=terms_days)
    )


def _check_creditable(stored: StoredInvoice) -> None:
    invoice = stored.invoice
    if invoice.type != "invoice" or invoice.status != "issued":
        what = "A draft is edited or discarded" if invoice.status == "draft" else "This is no invoice"
        detail = f"{what}: only an issued invoice can be credited."
        raise NotCreditable(detail, invoice_id=invoice.id, document_type=invoice.type, document_status=invoice.status)


def _credit(
    connection: Connection, place: Place, wish: CreditWish, key: str | None, *, now: datetime, terms_days: int
) -> Credited:
    lock_document(connection, place)
    original = invoice_store.find(connection, place.tenant_id, place.invoice_id)
    assert original is not None, "an issued document stays"
    notes = invoice_store.notes_on(connection, place.tenant_id, place.invoice_id)
    note_place = _place(place, wish, key)
    for note in notes:
        if key is not None and note.place.slot.startswith(note_place.slot.rpartition("-")[0] + "-"):
            if note.place.slot != note_place.slot:
                raise Conflict("This Idempotency-Key was sent before, with another credit note.")
            return Credited(note, _reissued(connection, note), False)
    sides = sides_of(connection, note_place)
    draft = _draft(connection, sides, original, notes, wish, note_place)
    issued = save_document(connection, sides, draft, note_place, issue=True, now=now, terms_days=terms_days)
    if not wish.reissue:
        return Credited(issued, None, True)
    again = _reissue(connection, original, issued, now=now, terms_days=terms_days)
    return Credited(issued, again, True)


def _place(place: Place, wish: CreditWish, key: str | None) -> Place:
    invoice_id = new_id()
    # What the key is and what was sent with it: a repeat is told from another request.
    names = (invoice_id.hex, "0") if key is None else (_digest(key), _digest(repr(wish)))
    slot = "note-" + "-".join(names)
    return replace(place, invoice_id=invoice_id, slot=slot, credits_id=place.invoice_id)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16, person=b"credit note").hexdigest()


def _draft(
    connection: Connection, sides: Sides, original: StoredInvoice, notes: Sequence[StoredInvoice], wish: CreditWish,
    place: Place,
) -> Invoice:  # fmt: skip
    """The credit note, with the parties as they are now."""
    invoice = original.invoice
    lines = credit_lines(invoice, [note.invoice for note in notes], wish)
    if wish.reopens_usage:
        lines = _opened_again(connection, original, lines)
    allowances = promotional_returns(original, notes, lines)
    numbered = numbered_lines(lines)
    net, groups, total = totals(
        numbered, invoice.currency, allowances=allowances,
        credited=summed_groups(group for note in notes for group in note.invoice.tax),
    )  # fmt: skip
    return replace(
        invoice, id=public_id("inv", place.tenant_id, place.invoice_id), type="credit_note", status="draft",
        seller=seller_of(sides.seller), buyer=buyer_of(sides.buyer), lines=numbered, net=net, tax=groups, total=total,
        number="", issued_at=None, due_date=None, hash="", previous_hash="", references=(reference_to(invoice),),
        allowances=allowances, remarks=replace(invoice.remarks, reason=wish.reason, reference=wish.reference, note=""),
        paid=ZERO, credited=ZERO,
    )  # fmt: skip


def _opened_again(
    connection: Connection, original: StoredInvoice, lines: Sequence[InvoiceLine]
) -> tuple[InvoiceLine, ...]:
    """The lines with what stands billed of their charges once they are credited: billing goes on from there."""
    one_of_each = {line.subscription: line for line in lines if line.reopens_usage}
    billed = {
        charge_key(item.first): item
        for key, line in one_of_each.items()
        for item in billed_charges(invoice_store.issued_beside(connection, original.place, line), key)
    }
    return tuple(
        _with_standing(line, billed[charge_key(line)].last) if line.reopens_usage else line for line in lines
    )  # fmt: skip


def _with_standing(line: InvoiceLine, last: InvoiceLine) -> InvoiceLine:
    credited = Result(line.quantity, line.components, line.allowances, line.amount)
    left = together(result_of(last.trace), negated(credited))
    if not left.amount and not left.quantity:
        left = NOTHING
    kept = {name: value for name, value in last.trace.items() if name not in ("drawn", *BY_HAND)}
    return replace(
        line, trace=kept | {"credits": line.trace["credits"], "standing": result_to_trace(left)}
    )  # fmt: skip


# --- the same period again --------------------------------------------------------------------------------------------


def _reissue(
    connection: Connection, original: StoredInvoice, note: StoredInvoice, *, now: datetime, terms_days: int
) -> StoredInvoice | None:
    """The invoice of the same period from what is measured now; None where nothing is left to be billed."""
    place = original.place
    lines = _lines_again(connection, original)
    if not lines:
        return None
    own = replace(place, invoice_id=new_id(), slot=f"{REISSUE}{note.place.invoice_id.hex}")
    sides = sides_of(connection, place)
    draft = invoice_of(connection, sides, lines, original.invoice.period, own, original=original)
    remarks, order = Remarks(note=original.invoice.remarks.note), original.invoice.purchase_order
    again = replace(draft, remarks=remarks, purchase_order=order)
    return save_document(connection, sides, again, own, issue=True, now=now, terms_days=terms_days)


def _lines_again(connection: Connection, original: StoredInvoice) -> list[InvoiceLine]:
    """What the charges of the cancelled invoice are rated to now and stands billed no more; what a person wrote on it
    stands as it was."""
    rated = [line for line in original.invoice.lines if line.is_rated]
    own = {charge_key(line) for line in rated}
    lines: list[InvoiceLine] = []
    for key in dict.fromkeys(line.subscription for line in rated):
        subscription = subscription_store.find(connection, key)
        assert subscription is not None, "what was billed once stays"
        due = _due_again(connection, original, subscription, beside=tuple(lines))
        lines += [_line_again(item) for item in due.changes if charge_key(item.billed.first) in own]
    return lines + [replace(line, id="") for line in original.invoice.lines if not line.is_rated]


def _due_again(
    connection: Connection, original: StoredInvoice, subscription: Subscription, *, beside: tuple[InvoiceLine, ...]
) -> DueAt:
    place = original.place
    seller = sides_of(connection, place).seller
    books = replace(books_of(connection, subscription), seller=seller, beside=beside)
    rows = billing_store.instants(connection, subscription.tenant_id, subscription.subscription_id)
    rows = [row for row in rows if row.status != "open"]
    return due_at(connection, books, [], rows=rows, at=place.billing_at)


def _line_again(item: Correction) -> InvoiceLine:
    """What was cancelled whole is billed as if for the first time."""
    line = difference_line(item)
    return replace(line, kind="charge") if result_of(item.billed.last.trace) == NOTHING else line


def _reissued(connection: Connection, note: StoredInvoice) -> StoredInvoice | None:
    found = invoice_store.with_slot(connection, note.place.tenant_id, f"{REISSUE}{note.place.invoice_id.hex}")
    return found[0] if found else None
