"""What billing a subscription needs of the catalog, and how its charges become lines: shared by closing and preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.billing import BillingPeriod, Versions, extend_instants, period_between
from app.domain.errors import CannotBill, NotFound
from app.domain.invoices import InvoiceLine
from app.domain.meters import Meter
from app.domain.parties import REFERENCE_NAMES, BuyerReferences, Party, buyer_party, seller_party
from app.domain.periods import Period, local_date
from app.domain.plans import PlanCharge
from app.domain.subscriptions import Subscription, terms_in_force
from app.domain.tax import OUT_OF_SCOPE, TaxRate
from app.domain.tenants import NamedTaxRate, Tenant
from app.observability import metrics
from app.operations.billed_facts import Facts, facts_of
from app.operations.rate_period import Billable, RatedCharge, meters_by_key, rate_billable
from app.storage import billing_store, catalog_store, subscription_store, tenant_store

_NO_SELLER = "No tenant is the operator, so there is no seller: set `operator` on one tenant."


@dataclass(frozen=True, slots=True)
class Books:
    """What billing a subscription needs of the catalog, read inside the transaction that bills it. A period that has
    not ended is rated up to `until`. `facts` are of what was billed, where they are known already."""

    subscription: Subscription
    buyer: Tenant
    seller: Tenant
    versions: Versions
    meters: dict[str, Meter]
    tax_rates: Mapping[str, NamedTaxRate]
    until: datetime | None = None
    facts: Facts | None = None

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
    """The books of several subscriptions: what they have in common is read once. It is good for the transaction that
    made it, in which their rows are locked."""

    def __init__(self, connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> None:
        found = subscription_store.of_tenants(connection, sorted({tenant_id for tenant_id, _ in keys}))
        self._subscriptions = {(item.tenant_id, item.subscription_id): item for item in found}
        buyers = tenant_store.find_many(connection, {tenant_id for tenant_id, _ in keys})
        self._buyers = {item.tenant_id: item for item in buyers}
        self._seller = tenant_store.operator(connection)
        plans = {plan for key in keys if key in self._subscriptions for plan in self._subscriptions[key].plans}
        self._versions = catalog_store.versions_by_plan(connection, sorted(plans))
        self._meters = meters_by_key(connection)
        self._tax_rates = catalog_store.tax_rates(connection)
        asked = [self._subscriptions[key] for key in dict.fromkeys(keys) if key in self._subscriptions]
        self._facts = facts_of(connection, asked, self._meters)

    def books(self, tenant_id: UUID, subscription_id: UUID) -> Books:
        """Raises NotFound, or CannotBill where there is no operator."""
        subscription = self._subscriptions.get((tenant_id, subscription_id))
        if subscription is None:
            raise NotFound("There is no such subscription.")
        if self._seller is None:
            raise CannotBill(_NO_SELLER)
        return Books(
            subscription, self._buyers[tenant_id], self._seller, self._versions, self._meters, self._tax_rates,
            facts=self._facts[subscription_id],
        )  # fmt: skip


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
    with metrics.RATING_SECONDS.time():
        return [
            charge_line(
                books,
                item,
                rate_billable(
                    connection, item, tenant_id=books.buyer.tenant_id, meters=books.meters, until=books.until
                ),
                tax_of(books, item.charge, item.stretch),
            )
            for item in items
        ]  # fmt: skip


def tax_of(books: Books, charge: PlanCharge, stretch: Period) -> TaxRate:
    """The charge's tax rate, else the seller's default, else none for a seller without VAT number."""
    seller = books.seller
    has_vat = seller.legal is not None and bool(seller.legal.vat_number)
    rates = books.tax_rates
    key = charge.tax or seller.default_tax
    if not key and not has_vat:
        return OUT_OF_SCOPE
    if not key:
        country = seller.legal.address.country if seller.legal and seller.legal.address else ""
        standard = [name for name, rate in rates.items() if rate.category == "S" and rate.country == country]
        key = standard[0] if len(standard) == 1 else "standard" if "standard" in standard else ""
    rate = rates.get(key)
    if rate is None:
        raise CannotBill(
            f"Charge {charge.key} names no tax rate and the seller {seller.key} has a VAT number but no default rate: "
            "set `tax` on the charge or on the seller."
        )
    if rate.start > local_date(stretch.start, books.zone):
        raise CannotBill(f"The tax rate {key} is in force from {rate.start} only.")
    return TaxRate(rate.category, rate.rate)


def charge_line(books: Books, item: Billable, rated: RatedCharge, tax: TaxRate) -> InvoiceLine:
    line = rated.rated
    return InvoiceLine(
        id="", charge=item.charge.key, description=item.charge.description or item.charge.key, period=item.stretch,
        quantity=line.quantity, unit=rated.unit, amount=line.amount, tax=tax, components=line.components,
        allowances=line.allowances, kind="charge", subscription=books.subscription.key, trace=rated.trace,
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
