"""Number a draft, chain it to the document before it, freeze it, book the credit that it uses, announce it: in the
transaction that also settles its instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.documents.make_e_invoice import refuse_disagreements
from app.domain.ids import NOBODY
from app.domain.invoices import sealed
from app.domain.numbering import number_text, stem_of
from app.domain.parties import PaymentTerms
from app.domain.periods import local_date
from app.domain.tenants import Tenant
from app.domain.terms import due_on
from app.operations.announce import announce
from app.operations.choose_order import with_purchase_order
from app.operations.declare_tax import with_accounting_tax
from app.operations.issuing import Issuing
from app.operations.mail_document import mail_issued
from app.operations.use_credit import book_coupons, book_issued
from app.storage import invoice_store
from app.storage.invoice_store import SeriesState, StoredInvoice
from app.wire.announcements import document_facts


def issue_draft(
    connection: Connection, draft: StoredInvoice, issuing: Issuing, *, seller: Tenant, buyer: Tenant, now: datetime,
    terms_days: int,
) -> StoredInvoice:  # fmt: skip
    """The issued document, of a draft that is not kept. The seller's series are locked until the caller commits: no
    gap, no double, in order. The buyer's account is locked.

    `issued_at` is never before that of the document before it; year and month of the number are the seller's local
    ones. Raises AmountsDisagree.
    """
    place = draft.place
    assert (seller.tenant_id, buyer.tenant_id) == (place.seller_id, place.tenant_id)
    name, pattern = seller.numbering.series_of(draft.invoice.type)
    series = issuing.end_of(connection, place.seller_id, name)
    issued_at = max(now, series.last_issued_at or now)
    day = local_date(issued_at, ZoneInfo(seller.time_zone))
    # A clock that steps back over New Year must not reopen last year's numbers.
    numbered_on = day if day.year >= series.year else date(series.year, 1, 1)
    stem = stem_of(pattern, numbered_on)
    sequence = issuing.given(connection, place.seller_id, stem) + 1
    due_date = draft.invoice.due_date
    if due_date is None or due_date < day:
        due_date = _due_date(draft, buyer, seller, day=day, terms_days=terms_days)
    invoice = with_accounting_tax(
        connection, with_purchase_order(connection, draft, buyer, day=day), place, seller, day
    )  # fmt: skip
    numbered = replace(
        invoice, status="issued", number=number_text(pattern, numbered_on, sequence), issued_at=issued_at,
        due_date=due_date if draft.invoice.type == "invoice" else None, previous_hash=series.last_hash,
    )  # fmt: skip
    issued, digests = sealed(numbered)
    refuse_disagreements(issued)
    moved = SeriesState(numbered_on.year, sequence, series.total + 1, issued.hash, issued_at)
    ordinal = issuing.next_ordinal(connection, place.tenant_id)
    invoice_store.save_issued(connection, issued, place, moved, series=name, digests=digests, ordinal=ordinal, now=now)
    issuing.moved(place.seller_id, name, stem, moved)
    stored = StoredInvoice(issued, place, moved.total, ordinal)
    book_coupons(connection, stored, now=issued_at)
    if place.credits_id is not None:
        issuing.disturb(place.tenant_id)
    paid = book_issued(connection, stored, is_idle=issuing.is_idle(place.tenant_id), now=issued_at)
    listeners = issuing.listeners(connection)
    if listeners:
        announce(
            connection, f"{issued.type}.issued", place.tenant_id, document_facts(issued), now=issued_at,
            seller_id=place.seller_id, listeners=listeners,
        )  # fmt: skip
    done = replace(stored, invoice=replace(issued, paid=paid))
    mail_issued(connection, done, buyer, now=issued_at)
    return done


def _due_date(draft: StoredInvoice, buyer: Tenant, seller: Tenant, *, day: date, terms_days: int) -> date:
    """By the buyer's own terms, else by those of all that the seller sells, else after `terms_days`."""
    stated = [one.legal.payment_terms for one in (buyer, seller) if one.legal is not None]
    terms = next((one for one in stated if one is not None), PaymentTerms(terms_days))
    country = "" if seller.legal is None else seller.legal.country
    return due_on(day, terms, country=country, is_periodic=draft.place.subscription_id != NOBODY)
