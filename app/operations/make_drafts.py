"""How lines become the draft of a document: shared by closing, crediting and whatever else a person makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.charge_models import Flat
from app.domain.credit import CreditUse
from app.domain.drafts import Edits, Withheld, edited, waived, withheld_by, written
from app.domain.errors import ScopesMixed
from app.domain.ids import new_id, public_id
from app.domain.invoices import Invoice, InvoiceLine, InvoiceType, Reference, numbered_lines, totals, turned
from app.domain.meters import Meter
from app.domain.money import ZERO
from app.domain.parties import NO_REFERENCES, BuyerReferences, in_common
from app.domain.periods import Period
from app.domain.plans import PlanCharge
from app.domain.tax import TaxGroup, mixes_scopes
from app.domain.tenants import NamedTaxRate, Tenant
from app.operations.billing_books import Books, buyer_of, said_to_buyer, seller_of, tax_of
from app.operations.issue_invoice import issue_draft
from app.operations.issuing import Issuing
from app.operations.use_credit import promotional_uses
from app.storage import catalog_store, draft_store, invoice_store, tenant_store
from app.storage.draft_store import DraftWork
from app.storage.invoice_store import Place, StoredInvoice


def place_of(
    books: Books, at: datetime, *, slot: str = "", credits_id: UUID | None = None,
    known: Mapping[UUID | None, UUID] | None = None,
) -> Place:  # fmt: skip
    """Where the document belongs; it takes on the id of the draft in whose place it comes."""
    subscription = books.subscription
    invoice_id = (known or {}).get(credits_id) or new_id()
    return Place(
        subscription.tenant_id, invoice_id, books.seller.tenant_id, subscription.subscription_id, at, slot, credits_id
    )


@dataclass(frozen=True, slots=True)
class Sides:
    """Who sells and who buys, as tenants stand now, at which rates, and what the buyer wants to read on this document
    beside what it wants on all."""

    seller: Tenant
    buyer: Tenant
    tax_rates: Mapping[str, NamedTaxRate]
    issuing: Issuing = field(default_factory=Issuing)
    references: BuyerReferences = NO_REFERENCES

    @property
    def currency(self) -> str:
        return self.buyer.currency

    @property
    def meters(self) -> Mapping[str, Meter]:
        """None: nothing of it is measured."""
        return {}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.buyer.time_zone)


def sides_of(connection: Connection, place: Place) -> Sides:
    """Those of a document: who issued an invoice credits it, also when another tenant is the operator by now."""
    seller, buyer = (tenant_store.find_by_id(connection, one) for one in (place.seller_id, place.tenant_id))
    assert seller is not None and buyer is not None, "a tenant stays"
    return Sides(seller, buyer, catalog_store.tax_rates(connection))


def shared_sides(books: Sequence[Books]) -> Sides:
    """Those of one document of these subscriptions of one tenant: it has the references that all of them have."""
    first, references = books[0], in_common([one.references for one in books])
    return Sides(first.seller, first.buyer, first.tax_rates, first.issuing, references)


def with_edits(
    connection: Connection, sides: Books | Sides, lines: Sequence[InvoiceLine], edits: Edits, period: Period | None
) -> list[InvoiceLine]:
    """The lines of a draft about the period, those waived that are, and then what people wrote."""
    made = waived(lines, edits.waivers)
    if period is None:
        return made
    own = sides.subscription.key if isinstance(sides, Books) else ""
    for item in edits.lines:
        charge = PlanCharge("one-off", Flat(ZERO), tax=item.tax or None)
        taxed = tax_of(connection, sides, charge, item.period or period)
        line = written(item, tax=taxed.tax, currency=sides.currency, period=period, subscription=own)
        made.append(replace(line, trace={"tax": taxed.trace}))
    return made


def invoice_of(
    connection: Connection, sides: Books | Sides, lines: Sequence[InvoiceLine], period: Period, place: Place, *,
    original: StoredInvoice | None = None,
) -> Invoice:  # fmt: skip
    """The draft of an invoice, less the promotional credit that it takes; a credit note where all in all something is
    owed to the buyer, for an invoice is never negative."""
    if sum((line.amount for line in lines), ZERO) < 0:
        return document_of(sides, "credit_note", [turned(line) for line in lines], period, place, original=original)
    uses = () if sides.issuing.is_idle(place.tenant_id) else promotional_uses(
        connection, place.tenant_id, lines, currency=sides.currency, at=place.billing_at
    )  # fmt: skip
    return document_of(sides, "invoice", lines, period, place, original=original, allowances=uses)


def document_of(
    sides: Books | Sides, type: InvoiceType, lines: Sequence[InvoiceLine], period: Period, place: Place, *,
    original: StoredInvoice | None = None, allowances: tuple[CreditUse, ...] = (), credited: tuple[TaxGroup, ...] = (),
) -> Invoice:  # fmt: skip
    """The draft of a document with these lines. It cites the `original`, where it concerns one; `credited` is what
    earlier notes on that took back."""
    _check_scopes(sides.seller, lines)
    numbered = numbered_lines(lines)
    currency, buyer = sides.currency, sides.buyer
    net, groups, total = totals(numbered, currency, allowances=allowances, credited=credited)
    return Invoice(
        id=public_id("inv", place.tenant_id, place.invoice_id), type=type, status="draft",
        seller=seller_of(sides.seller), buyer=buyer_of(buyer), currency=currency,
        language=buyer.language, time_zone=buyer.time_zone,
        period=period, lines=numbered, net=net, tax=groups, total=total,
        references=() if original is None else (reference_to(original.invoice),), allowances=allowances,
        **said_to_buyer(buyer, sides.references),
    )  # fmt: skip


def scopes_clash(seller: Tenant, lines: Iterable[InvoiceLine]) -> bool:
    """True where the lines are not to be on one document: some of them are out of the scope of VAT."""
    is_registered = seller.legal is not None and bool(seller.legal.vat_number)
    return is_registered and mixes_scopes(line.tax for line in lines)


def _check_scopes(seller: Tenant, lines: Sequence[InvoiceLine]) -> None:
    """Raises ScopesMixed."""
    if scopes_clash(seller, lines):
        names = ", ".join(sorted({line.charge or line.description for line in lines if line.tax.category == "O"}))
        raise ScopesMixed(
            f"Out of the scope of VAT, and so not to be billed on one document with the rest: {names}. Put it on a "
            "plan of its own."
        )


def reference_to(invoice: Invoice) -> Reference:
    """An issued invoice, as another document cites it."""
    assert invoice.issued_at is not None
    return Reference(invoice.id, invoice.number, invoice.issued_at)


def save_document(
    connection: Connection, sides: Books | Sides, draft: Invoice, place: Place, *, issue: bool, now: datetime,
    terms_days: int,
) -> StoredInvoice:  # fmt: skip
    """The draft as it was saved, or issued where that is asked; none of its id is kept."""
    stored = StoredInvoice(draft, place, None)
    if issue:
        return issue_draft(
            connection, stored, sides.issuing, seller=sides.seller, buyer=sides.buyer, now=now, terms_days=terms_days
        )
    invoice_store.save_draft(connection, draft, place, now)
    return stored


def note_grace(connection: Connection, sides: Books | Sides, place: Place, now: datetime) -> None:
    """Where the draft is issued by itself after a grace, that is counted from its first making."""
    if any(one.drafts.grace_hours is not None for one in (sides.seller, sides.buyer)):
        draft_store.note_made(connection, place.tenant_id, place.invoice_id, now)


def written_draft(
    connection: Connection, sides: Sides, stored: StoredInvoice
) -> tuple[Invoice, Withheld | None]:  # fmt: skip
    """A document of no subscription as its edits say, and why it may not be issued."""
    place, period = stored.place, stored.invoice.period
    work = draft_store.find(connection, place.tenant_id, place.invoice_id)
    lines = with_edits(connection, sides, (), work.edits, period)
    draft = edited(invoice_of(connection, sides, lines, period, place), work.edits)
    return draft, why_withheld(sides, draft, work)


def why_withheld(sides: Books | Sides, draft: Invoice, work: DraftWork) -> Withheld | None:
    """Why the draft may not be issued; None where it may."""
    needs_approval = sides.seller.drafts.approval or sides.buyer.drafts.approval
    return withheld_by(draft, work.edits, approved=work.approved, needs_approval=needs_approval)
