"""What a person does with a draft: edit it, approve it, issue it, or discard it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.drafts import EditsPatch, Withheld, WrittenLine, content_of, patched
from app.domain.errors import (
    ApprovalRequired,
    Conflict,
    DraftHeld,
    FieldProblem,
    InvalidInput,
    InvoiceAlreadyIssued,
    NotFound,
)
from app.domain.ids import NOBODY, SEVERAL
from app.domain.periods import local_date
from app.domain.terms import latest_due
from app.operations.close_period import Closed, close_period, close_together, correct_only
from app.operations.lock_billing import lock_document
from app.operations.make_drafts import save_document, sides_of, written_draft
from app.storage import catalog_store, draft_store, invoice_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import Place, StoredInvoice

Check = Callable[[StoredInvoice], None]
"""Raises where the document is not the one that the caller has seen."""


def edit_draft(
    database: Database, stored: StoredInvoice, patch: EditsPatch, *, check: Check, now: datetime, terms_days: int
) -> StoredInvoice:
    """The draft with the edits, computed once more. Raises InvoiceAlreadyIssued, InvalidInput, Conflict, NotFound or
    what `check` raises."""
    place = stored.place

    def work(connection: Connection) -> StoredInvoice:
        draft = _open(connection, stored)
        check(draft)
        if place.credits_id is not None and patch.concerns_lines:
            raise Conflict("A credit note's lines come from what it credits: only what is written beside them changes.")
        edits = patched(draft_store.find(connection, place.tenant_id, place.invoice_id).edits, patch, draft.invoice)
        check_rates(connection, edits.lines)
        if edits.due_date is not None:
            check_due_date(connection, place, edits.due_date, now=now)
        draft_store.save_edits(connection, place.tenant_id, place.invoice_id, edits)
        _computed(connection, draft, issue=False, now=now, terms_days=terms_days)
        again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
        if again is None:
            raise NotFound("Nothing is left of this draft: it has become void.", invoice_id=stored.invoice.id)
        return again

    return database.write(work)


def check_rates(connection: Connection, lines: tuple[WrittenLine, ...]) -> None:
    """Raises InvalidInput where a line names a tax rate that there is not."""
    problems = tuple(
        FieldProblem(f"#/lines/{index}/tax", f"there is no tax rate {line.tax!r}")
        for index, line in enumerate(lines)
        if line.tax and catalog_store.find_tax_rate(connection, line.tax) is None
    )
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=problems)


def check_due_date(connection: Connection, place: Place, due_date: date, *, now: datetime) -> None:
    """Raises InvalidInput for a day that has passed, or later than the law of the seller's country allows."""
    seller = tenant_store.find_by_id(connection, place.seller_id)
    assert seller is not None, "a tenant stays"
    today = local_date(now, ZoneInfo(seller.time_zone))
    country = "" if seller.legal is None else seller.legal.country
    latest = latest_due(today, country=country, is_periodic=place.subscription_id != NOBODY)
    if due_date < today:
        raise InvalidInput.at("#/due_date", "the day has passed")
    if latest is not None and due_date > latest:
        raise InvalidInput.at("#/due_date", f"the law of {country} allows {latest.isoformat()} at the latest")


def approve_draft(
    database: Database, stored: StoredInvoice, *, content: str | None, check: Check, now: datetime
) -> StoredInvoice:
    """The draft with what it says now approved: `content`, where that is named. Raises InvoiceAlreadyIssued, Conflict,
    or what `check` raises."""
    place = stored.place

    def work(connection: Connection) -> StoredInvoice:
        draft = _open(connection, stored)
        check(draft)
        found = content_of(draft.invoice)
        if content is not None and content != found:
            raise Conflict("The draft says something else by now: read it again.", digest=found)
        draft_store.save_approval(connection, place.tenant_id, place.invoice_id, found, now)
        again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
        assert again is not None, "its row is locked"
        return again

    return database.write(work)


def issue_one(
    database: Database, stored: StoredInvoice, *, check: Check, now: datetime, terms_days: int
) -> StoredInvoice:
    """The draft, computed once more and issued. Raises InvoiceAlreadyIssued, EarlierPeriodOpen, DraftHeld,
    ApprovalRequired, or what `check` raises."""
    if stored.invoice.status == "issued":
        raise InvoiceAlreadyIssued("This document is issued already.", invoice_id=stored.invoice.id)

    def work(connection: Connection) -> StoredInvoice | None:
        place = stored.place
        lock_document(connection, place)
        again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
        if again is None or again.invoice.status == "issued":
            return again
        check(again)
        made = _computed(connection, again, issue=True, now=now, terms_days=terms_days)
        wanted = (bool(place.slot), place.credits_id)
        same = [item for item in made.documents if (bool(item.place.slot), item.place.credits_id) == wanted]
        if same and same[0].place.invoice_id in made.withheld:
            raise refusal(same[0], made.withheld[same[0].place.invoice_id])
        return same[0] if same else None

    issued = database.write(work)
    if issued is None:
        raise NotFound("Nothing is left to be issued: the draft has become void.", invoice_id=stored.invoice.id)
    return issued


def refusal(draft: StoredInvoice, why: Withheld) -> Conflict:
    """The error that says why the draft is not issued."""
    if why == "held":
        return DraftHeld("This draft is on hold: release it first.", invoice_id=draft.invoice.id)
    return ApprovalRequired(
        "What this draft says now has not been approved.", invoice_id=draft.invoice.id,
        digest=content_of(draft.invoice),
    )  # fmt: skip


def discard_draft(database: Database, stored: StoredInvoice, *, check: Check) -> None:
    """Deletes a draft and what was done to it; its billing instant stays open. Raises InvoiceAlreadyIssued, or what
    `check` raises."""
    place = stored.place

    def work(connection: Connection) -> None:
        lock_document(connection, place)
        again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
        if again is None:
            return
        if again.invoice.status == "issued":
            raise InvoiceAlreadyIssued("This document is issued: it can only be credited.", invoice_id=again.invoice.id)
        check(again)
        invoice_store.delete_draft(connection, place.tenant_id, place.invoice_id)
        draft_store.forget(connection, place.tenant_id, place.invoice_id)

    database.write(work)


def _open(connection: Connection, stored: StoredInvoice) -> StoredInvoice:
    """The draft, locked. Raises InvoiceAlreadyIssued, or NotFound where it is gone."""
    lock_document(connection, stored.place)
    again = invoice_store.find(connection, stored.place.tenant_id, stored.place.invoice_id)
    if again is None:
        raise NotFound("There is no such invoice.", invoice_id=stored.invoice.id)
    if again.invoice.status == "issued":
        raise InvoiceAlreadyIssued("This document is issued: it can only be credited.", invoice_id=again.invoice.id)
    return again


def _computed(connection: Connection, draft: StoredInvoice, *, issue: bool, now: datetime, terms_days: int) -> Closed:
    """The draft made anew, with what goes with it."""
    place = draft.place
    key = (place.tenant_id, place.subscription_id)
    if place.subscription_id == NOBODY:
        sides = sides_of(connection, place)
        made, why = written_draft(connection, sides, draft)
        withheld = issue and why is not None
        invoice_store.delete_draft(connection, place.tenant_id, place.invoice_id)
        saved = save_document(
            connection, sides, made, place, issue=issue and not withheld, now=now, terms_days=terms_days
        )
        return Closed((saved,), {place.invoice_id: why} if withheld and why is not None else {})
    if place.slot:
        return correct_only(connection, *key, through=place.billing_at, issue=issue, now=now, terms_days=terms_days)
    if place.subscription_id == SEVERAL:
        return close_together(
            connection, place.tenant_id, place.billing_at, issue=issue, now=now, terms_days=terms_days
        )  # fmt: skip
    return close_period(connection, *key, place.billing_at, issue=issue, now=now, terms_days=terms_days)
