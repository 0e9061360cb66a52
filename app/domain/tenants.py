"""Whose use is it? Tenants, the event subjects that they pay for, and the resources that they own.

A subject belongs to one tenant at a time. `badge-7` of Acme from 1970 and of Borealis from 1 May is the history
((1970, Acme), (1 May, Borealis)); an event of April stays Acme's however late it comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from app.domain.events import EARLIEST
from app.domain.ids import NOBODY
from app.domain.numbering import PLAIN_NUMBERING, Numbering
from app.domain.parties import NO_REFERENCES, Address, BuyerReferences, Legal, PurchaseOrder, VatCheck
from app.domain.tax import Exemption, TaxRate, exemption_of

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = ("en", "fr")

InvoiceCollection = Literal["subscription", "tenant"]
INVOICE_COLLECTIONS: tuple[InvoiceCollection, ...] = ("subscription", "tenant")

ResourceKind = Literal["saas", "cloud", "equipment", "space", "staff"]
RESOURCE_KINDS: tuple[ResourceKind, ...] = ("saas", "cloud", "equipment", "space", "staff")


@dataclass(frozen=True, slots=True)
class Buying:
    """How a tenant wants to be billed.

    `billing_address` is where documents go, `delivery_address` where it is served, None where that is its legal one.
    `bill_to` is the key of the tenant that pays for it, `parent` of the one that it belongs to; '' for none. Nothing
    may be issued without a purchase order where one is required. `invoice_email` are the addresses that its documents
    are sent to. `invoice_collection` says what shares an invoice at one billing instant: what one subscription owes, or
    what all subscriptions of the tenant do.
    """

    billing_address: Address | None = None
    delivery_address: Address | None = None
    bill_to: str = ""
    parent: str = ""
    references: BuyerReferences = NO_REFERENCES
    purchase_orders: tuple[PurchaseOrder, ...] = ()
    purchase_order_required: bool = False
    invoice_email: tuple[str, ...] = ()
    invoice_collection: InvoiceCollection = "subscription"


PLAIN_BUYING = Buying()


@dataclass(frozen=True, slots=True)
class DraftRules:
    """How drafts become documents, of all that a tenant sells and of all that it buys.

    With `approval` a draft is issued only once what it says is approved. With `grace_hours` it is issued by itself that
    long after it was first made; None: when somebody says so.
    """

    approval: bool = False
    grace_hours: int | None = None


NO_DRAFT_RULES = DraftRules()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company: it may be billed, may own resources, and one of them is the operator, who sells.

    `default_tax` names the tax rate of charges that name none where this tenant sells; '' where it has none.
    """

    tenant_id: UUID
    key: str
    name: str
    currency: str
    time_zone: str
    language: str
    operator: bool = False
    default_tax: str = ""
    legal: Legal | None = None
    buying: Buying = PLAIN_BUYING
    vat_check: VatCheck | None = None
    drafts: DraftRules = NO_DRAFT_RULES
    numbering: Numbering = PLAIN_NUMBERING

    @property
    def checked_vat_number(self) -> str:
        """Its VAT number where the last check of that number found it valid; else ''."""
        number = "" if self.legal is None else self.legal.vat_number
        check = self.vat_check
        return number if check is not None and check.valid and check.vat_number == number else ""

    @property
    def collects(self) -> bool:
        """True where what its subscriptions owe at one billing instant comes onto one document."""
        return self.buying.invoice_collection == "tenant"


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose the subject is from the instant until the next claim on it; NOBODY's where `tenant_id` says so."""

    subject: str
    from_at: datetime
    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class SubjectWish:
    """A subject that a tenant says it pays for; without `from_at` from now, or from ever where nobody had it before."""

    subject: str
    from_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A shared thing that use is measured on; `owner` is the key of the tenant that owns it, `place` the country where
    it stands ('' where that is not said)."""

    key: str
    name: str
    kind: ResourceKind
    owner: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class RateChange:
    """Another rate in percent, from a day on."""

    start: date
    rate: Decimal


@dataclass(frozen=True, slots=True)
class NamedTaxRate:
    """A tax rate of the catalog, in percent, in force from `start` until the first of its `changes`, which are in order
    of time. `exemption` says why there is none, where that is not said by the category."""

    key: str
    category: str
    rate: Decimal
    country: str
    start: date
    changes: tuple[RateChange, ...] = ()
    exemption: Exemption | None = None

    def on(self, day: date, *, language: str) -> TaxRate | None:
        """The rate in force on the day; None before the first."""
        if day < self.start:
            return None
        found = self.rate
        for change in self.changes:
            if change.start <= day:
                found = change.rate
        exemption = self.exemption or (exemption_of(self.category, language) if self.category != "O" else None)
        return TaxRate(self.category, found, exemption)


# --- the history of one subject --------------------------------------------------------------------------------------

History = tuple[Claim, ...]
"""The claims on one subject, by instant; no two neighbours are of one tenant."""


def claimed(history: History, wish: SubjectWish, tenant_id: UUID, *, now: datetime) -> History:
    """The history once the tenant has the subject, for good, from the wished instant.

    A subject that nobody ever had is the tenant's from 1970, so that its kept events are too. One that the tenant has
    already stays as it is unless another instant is named.
    """
    if wish.from_at is None and history and history[-1].tenant_id == tenant_id:
        return history
    from_at = wish.from_at or (now if history else EARLIEST)
    if history and history[-1].tenant_id == tenant_id and history[-1].from_at < from_at:
        # Named later than it was: until then the subject is whose it was before, or nobody's.
        before = history[:-1] or (Claim(wish.subject, EARLIEST, NOBODY),)
        return _joined((*before, Claim(wish.subject, from_at, tenant_id)))
    kept = tuple(claim for claim in history if claim.from_at < from_at)
    return _joined((*kept, Claim(wish.subject, from_at, tenant_id)))


def given_up(history: History, *, now: datetime) -> History:
    """The history once the subject is nobody's from now on; a claim that has not begun was never made."""
    if history[-1].from_at > now:
        return history[:-1]
    kept = tuple(claim for claim in history if claim.from_at < now)
    return _joined((*kept, Claim(history[-1].subject, now, NOBODY)))


def _joined(claims: Sequence[Claim]) -> History:
    joined: list[Claim] = []
    for claim in claims:
        if not joined or joined[-1].tenant_id != claim.tenant_id:
            joined.append(claim)
    return tuple(joined)


def taken_away(before: History, after: History) -> Iterator[tuple[UUID, datetime, datetime | None]]:
    """The stretches (tenant, start, end) in which a tenant had the subject before and has it no more."""
    cuts = sorted({claim.from_at for claim in (*before, *after)})
    for start, end in zip(cuts, [*cuts[1:], None], strict=True):
        owner = _owner(before, start)
        if owner not in (NOBODY, _owner(after, start)):
            yield owner, start, end


def _owner(history: History, at: datetime) -> UUID:
    owner = NOBODY
    for claim in history:
        if claim.from_at <= at:
            owner = claim.tenant_id
    return owner
