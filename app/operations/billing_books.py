"""What billing a subscription needs of the catalog, and how its charges become lines: shared by closing and preview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.billing import BillingPeriod, Versions, extend_instants, period_between
from app.domain.errors import CannotBill, NotFound
from app.domain.invoices import InvoiceLine
from app.domain.kept_parties import keep_vat_check
from app.domain.meters import Meter
from app.domain.parties import REFERENCE_NAMES, BuyerReferences, Party, buyer_party, seller_party
from app.domain.periods import Period, hour_floor, local_date
from app.domain.plans import PlanCharge
from app.domain.subscriptions import Subscription, terms_in_force
from app.domain.tax import OUT_OF_SCOPE, TaxDecision, TaxFacts, TaxRate, decide_tax
from app.domain.tenants import NamedTaxRate, Tenant
from app.observability import metrics
from app.operations.billed_facts import Facts, facts_of
from app.operations.issuing import Issuing, issuing_for
from app.operations.rate_period import Billable, RatedCharge, hours_for, meters_by_key, rate_billable
from app.storage import (
    billing_store,
    catalog_store,
    invoice_store,
    subscription_store,
    tenant_store,
    usage_store,
)
from app.storage.billing_store import InstantRow
from app.storage.invoice_store import Place

_NO_SELLER = "No tenant is the operator, so there is no seller: set `operator` on one tenant."


@dataclass(frozen=True, slots=True)
class Ahead:
    """What closing reads of a subscription before it changes anything: facts of what was billed, billing instants, and
    where its drafts belong."""

    facts: Facts
    instants: Sequence[InstantRow]
    drafts: Sequence[Place]


@dataclass(frozen=True, slots=True)
class Books:
    """What billing a subscription needs of the catalog, read inside the transaction that bills it. A period that has
    not ended is rated up to `until`. `ahead` is what was read ahead of the subscription itself; `beside` are the lines
    that other subscriptions have on the same document: what those take of what all share is taken."""

    subscription: Subscription
    buyer: Tenant
    seller: Tenant
    versions: Versions
    meters: dict[str, Meter]
    tax_rates: Mapping[str, NamedTaxRate]
    until: datetime | None = None
    ahead: Ahead | None = None
    issuing: Issuing = field(default_factory=Issuing)
    beside: tuple[InvoiceLine, ...] = ()

    @property
    def references(self) -> BuyerReferences:
        """What the buyer wants to read on documents of the subscription."""
        return self.subscription.references

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.buyer.time_zone)

    @property
    def currency(self) -> str:
        """That of the buyer and of all its plans."""
        return self.buyer.currency


def books_of(connection: Connection, subscription: Subscription) -> Books:
    buyer = tenant_store.find_by_id(connection, subscription.tenant_id)
    seller = tenant_store.operator(connection)
    assert buyer is not None
    if seller is None:
        raise CannotBill(_NO_SELLER)
    versions = catalog_store.versions_by_plan(connection, sorted(subscription.plans))
    return Books(subscription, buyer, seller, versions, meters_by_key(connection), catalog_store.tax_rates(connection))


class Desk:
    """The books of several subscriptions, one or more: what they have in common is read once. It is good for the
    transaction that made it, in which their rows and their tenants' accounts are locked. `buyers` are those tenants."""

    READ_AHEAD = 16
    """Of so many together is read what is each one's own. Of all it would be for nothing where their transaction ends
    early."""

    def __init__(
        self, connection: Connection, keys: Sequence[tuple[UUID, UUID]], buyers: Iterable[Tenant]
    ) -> None:  # fmt: skip
        self._connection = connection
        found = subscription_store.of_tenants(connection, sorted({tenant_id for tenant_id, _ in keys}))
        self._subscriptions = {(item.tenant_id, item.subscription_id): item for item in found}
        self._buyers = {item.tenant_id: item for item in buyers}
        self._seller = tenant_store.operator(connection)
        plans = {plan for key in keys if key in self._subscriptions for plan in self._subscriptions[key].plans}
        self._versions = catalog_store.versions_by_plan(connection, sorted(plans))
        self._meters = meters_by_key(connection)
        self._tax_rates = catalog_store.tax_rates(connection)
        self._keys = [key for key in dict.fromkeys(keys) if key in self._subscriptions]
        self._waiting = list(self._keys)
        self._ahead: dict[tuple[UUID, UUID], Ahead] = {}
        self.issuing = issuing_for(connection, set(self._buyers))

    def books(self, tenant_id: UUID, subscription_id: UUID) -> Books:
        """Raises NotFound, or CannotBill where there is no operator."""
        subscription = self._subscriptions.get((tenant_id, subscription_id))
        if subscription is None:
            raise NotFound("There is no such subscription.")
        if self._seller is None:
            raise CannotBill(_NO_SELLER)
        return Books(
            subscription, self._buyers[tenant_id], self._seller, self._versions, self._meters, self._tax_rates,
            ahead=self._taken(tenant_id, subscription_id), issuing=self.issuing,
        )  # fmt: skip

    def all_books(self, tenant_id: UUID) -> list[Books]:
        """Those of the tenant's subscriptions, by key."""
        own = [key for key in self._keys if key[0] == tenant_id]
        return [self.books(*key) for key in sorted(own, key=lambda key: self._subscriptions[key].key)]

    def _taken(self, tenant_id: UUID, subscription_id: UUID) -> Ahead:
        """It is read ahead for one closing: the next of the same subscription needs what this one leaves."""
        key = (tenant_id, subscription_id)
        if key not in self._ahead:
            place = self._waiting.index(key) if key in self._waiting else None
            chosen = [key] if place is None else self._waiting[place : place + self.READ_AHEAD]
            self._waiting = [one for one in self._waiting if one not in chosen]
            self._ahead |= _read_ahead(self._connection, [self._subscriptions[one] for one in chosen], self._meters)
        return self._ahead.pop(key)


def _read_ahead(
    connection: Connection, subscriptions: Sequence[Subscription], meters: Mapping[str, Meter]
) -> dict[tuple[UUID, UUID], Ahead]:
    keys = [(one.tenant_id, one.subscription_id) for one in subscriptions]
    facts = facts_of(connection, subscriptions, meters)
    instants = billing_store.instants_by_subscription(connection, keys)
    drafts = invoice_store.draft_places(connection, keys)
    return {key: Ahead(facts[key[1]], instants.get(key, []), drafts[key]) for key in keys}


def period_at(
    connection: Connection, subscription: Subscription, versions: Versions, *, zone: ZoneInfo, at: datetime
) -> BillingPeriod:
    """The billing period that holds the instant, at which the subscription is running."""
    known = billing_store.instants(connection, subscription.tenant_id, subscription.subscription_id)
    instants = extend_instants([row.instant for row in known], subscription, versions, zone=zone, until=at)
    for first, second in pairwise(instants):
        if first.at <= at < second.at:
            return period_between(first, second, subscription, versions)
    raise AssertionError("a running subscription has an open period")


def billables(books: Books, period: BillingPeriod, timing: str | None = None) -> list[Billable]:
    """Every charge over every stretch of the period, by stretch; of one timing, or of both. In a trial use is rated, to
    be shown, and no fixed charge is due."""
    phase = period.phase
    stretches = terms_in_force(period.period, books.versions[phase.plan], phase.pinned_version, phase.overrides)
    return [
        Billable(stretch, version.plan, version.version, terms, charge, period.full, period.known, books.zone, phase)
        for stretch, version, terms in stretches
        for charge in terms.charges
        if (timing is None or charge.timing == timing) and not (phase.in_trial and charge.meter is None)
    ]


def charge_lines(connection: Connection, books: Books, items: Sequence[Billable]) -> list[InvoiceLine]:
    """A line for each, over what was used up to now."""
    hours = hours_for(connection, items, tenant_id=books.buyer.tenant_id, meters=books.meters)
    with metrics.RATING_SECONDS.time():
        return [
            charge_line(
                books,
                item,
                rate_billable(
                    connection, item, tenant_id=books.buyer.tenant_id, meters=books.meters, until=books.until,
                    hours=hours,
                ),
                tax_of(connection, books, item.charge, item.stretch),
            )
            for item in items
        ]  # fmt: skip


class Sale(Protocol):
    """What the tax of a charge follows from: who sells to whom, where the buyer is, and which rates there are."""

    @property
    def seller(self) -> Tenant: ...

    @property
    def buyer(self) -> Tenant: ...

    @property
    def meters(self) -> Mapping[str, Meter]: ...

    @property
    def tax_rates(self) -> Mapping[str, NamedTaxRate]: ...

    @property
    def zone(self) -> ZoneInfo: ...


@dataclass(frozen=True, slots=True)
class Taxed:
    """The tax of a line, and why it has it, JSON-ready."""

    tax: TaxRate
    trace: dict[str, Any]


NOT_TAXED = Taxed(OUT_OF_SCOPE, {})
"""Of lines that no document will have."""


def tax_of(connection: Connection, books: Sale, charge: PlanCharge, stretch: Period) -> Taxed:
    """The charge's own rate, else what follows from what is sold, where, and to whom (`decide_tax`)."""
    place = charge.place or _place_of(connection, books, charge, stretch)
    decision = decide_tax(_facts(books, charge, place))
    trace: dict[str, Any] = {"why": decision.why} | ({"place": place} if place else {})
    if decision.tax is not None and books.buyer.checked_vat_number and books.buyer.vat_check is not None:
        trace["vat_check"] = keep_vat_check(books.buyer.vat_check)
    if decision.tax is not None:
        return Taxed(decision.tax, trace)
    key = _rate_key(books, charge, decision)
    day = _tax_day(books, charge, stretch)
    named = books.tax_rates[key]
    rate = named.on(day, language=books.buyer.language)
    if rate is None:
        raise CannotBill(f"The tax rate {key} is in force from {named.start} only.")
    return Taxed(rate, trace | {"rate": key, "day": day.isoformat()})


def _facts(books: Sale, charge: PlanCharge, place: str) -> TaxFacts:
    seller, buyer = books.seller.legal, books.buyer.legal
    delivery = books.buyer.buying.delivery_address
    return TaxFacts(
        supply=charge.supply or "service", place=place, seller_country="" if seller is None else seller.country,
        seller_regime=None if seller is None else seller.vat_regime,
        seller_registered=seller is not None and bool(seller.vat_number),
        buyer_country="" if buyer is None else buyer.country, delivered_to="" if delivery is None else delivery.country,
        vat_number_of=_country_of_number(books.buyer), names_rate=charge.tax is not None,
        has_default=bool(books.seller.default_tax), language=books.buyer.language,
    )  # fmt: skip


def _country_of_number(buyer: Tenant) -> str:
    """The country of the buyer's checked VAT number: its prefix, or the buyer's own where it has none."""
    number = buyer.checked_vat_number
    if not number:
        return ""
    prefix = number[:2].upper()
    return prefix if prefix.isalpha() else "" if buyer.legal is None else buyer.legal.country


def _place_of(connection: Connection, books: Sale, charge: PlanCharge, stretch: Period) -> str:
    """The country where the resources stand that were used; '' where that says nothing about the tax, or none says."""
    if charge.supply in (None, "service", "goods") or charge.meter is None or charge.tax is not None:
        return ""
    meter = books.meters.get(charge.meter)
    if meter is None:
        return ""
    used = usage_store.resources_used(
        connection, tenant_id=books.buyer.tenant_id, meter_id=meter.meter_id, start=hour_floor(stretch.start),
        end=stretch.end,
    )  # fmt: skip
    places = tenant_store.places_of(connection, used - {""}) | ({""} if "" in used else set())
    if len(places) > 1:
        named = ", ".join(sorted(place or "a place that is not said" for place in places))
        raise CannotBill(
            f"Charge {charge.key} is taxed where its resources stand, and those that were used stand in {named}: make "
            "a charge for each, or name its `tax` or its `place`."
        )  # fmt: skip
    return next(iter(places), "")


def _rate_key(books: Sale, charge: PlanCharge, decision: TaxDecision) -> str:
    """The key of the rate that the charge or its seller names, else of the only standard rate of the country."""
    seller, rates = books.seller, books.tax_rates
    if not decision.country:
        key = charge.tax or seller.default_tax
        if key in rates:
            return key
    country = decision.country or (seller.legal.country if seller.legal else "")
    standard = [name for name, rate in rates.items() if rate.category == "S" and rate.country == country]
    if len(standard) == 1:
        return standard[0]
    if decision.country:
        raise CannotBill(
            f"Charge {charge.key} is taxed in {country}, and there is not one standard rate of that country: name its "
            "`tax`."
        )  # fmt: skip
    if "standard" in standard:
        return "standard"
    raise CannotBill(
        f"Charge {charge.key} names no tax rate and the seller {seller.key} has a VAT number but no default rate: "
        "set `tax` on the charge or on the seller."
    )


def _tax_day(books: Sale, charge: PlanCharge, stretch: Period) -> date:
    """The day whose rate holds: the last of the stretch, or its first where it is paid for in advance."""
    at = stretch.start if charge.timing == "advance" else max(stretch.start, stretch.end - timedelta(microseconds=1))
    return local_date(at, books.zone)


def charge_line(books: Books, item: Billable, rated: RatedCharge, taxed: Taxed) -> InvoiceLine:
    line = rated.rated
    return InvoiceLine(
        id="", charge=item.charge.key, description=item.charge.description or item.charge.key, period=item.stretch,
        quantity=line.quantity, unit=rated.unit, amount=line.amount, tax=taxed.tax, components=line.components,
        allowances=line.allowances, kind="charge", subscription=books.subscription.key,
        trace=rated.trace | {"tax": taxed.trace}, supply=item.charge.supply or "",
    )  # fmt: skip


def seller_of(tenant: Tenant) -> Party:
    """The tenant as its documents name it."""
    return seller_party(tenant.key, tenant.name, tenant.legal)


def buyer_of(tenant: Tenant) -> Party:
    """The tenant as documents to it name it."""
    return buyer_party(tenant.key, tenant.name, tenant.legal, billing_address=tenant.buying.billing_address)


def said_to_buyer(buyer: Tenant, references: BuyerReferences) -> dict[str, Any]:
    """Where the buyer is served and what it wants to read, as fields of `Invoice`; `references` go before those that it
    wants on all documents."""
    found = references.over(buyer.buying.references)
    fields: dict[str, Any] = {name: getattr(found, name) for name in REFERENCE_NAMES}
    return fields | {"delivery_address": buyer.buying.delivery_address}
