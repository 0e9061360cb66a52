"""What does an issued document look like in FOCUS 1.2, the common form of cloud and SaaS bills?

One row for each component of a line, for each VAT group and for each credit that lowers the net. `BilledCost` of a
document's rows adds up to what it asks for, to the cent: 44.40 for a component of 19.00, one of 18.00 and 7.40 of VAT;
a credit note's rows are negative. A discount is taken off the components that it is for, in proportion, and has no row
of its own.

`ListCost` and `ContractedCost` are quantity x unit price as they are, `BilledCost` is what was rounded and billed.
Source: FOCUS 1.2 (focus.finops.org), the columns without condition, and those that metered use can fill.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.documents.tables import Cell, Number, Row
from app.domain.charge_models import Component, Matrix
from app.domain.charge_models.components import IN_THE_UNIT
from app.domain.charge_models.matrix import label_of
from app.domain.events import instant_text
from app.domain.exports import payable
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.kept_terms import read_terms
from app.domain.money import ZERO, plain, split_pro_rata
from app.domain.periods import Period
from app.domain.tenants import Resource

SERVICE_CATEGORIES = (
    "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
    "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration",
    "Mobile", "Networking", "Security", "Storage", "Web", "Other",
)  # fmt: skip
"""The values of ServiceCategory, in the order of the specification."""

Category = Literal["Usage", "Purchase", "Tax", "Credit", "Adjustment"]

COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
    "x_DocumentId", "x_DocumentType", "x_LineId", "x_TaxCategory", "x_TaxRate",
)  # fmt: skip

# What is paid for without regard to how much was used. A ceiling takes back what use came to.
_PURCHASED = frozenset({
    "flat", "tier_flat", "reserved", "reserved_share", "minimum", "commitment", "commitment_overage", "plan_minimum",
})  # fmt: skip
_ADJUSTED = frozenset({"maximum"})
_UNITS = {"package": "Packages", "per_event": "Events", "event_minimum": "Events", "event_maximum": "Events"}


@dataclass(frozen=True, slots=True)
class FocusNames:
    """What the documents name by key only: plans, and the resources that some use is told apart by."""

    plans: Mapping[str, str]
    resources: Mapping[str, Resource]
    service_category: str = "Other"


@dataclass(frozen=True, slots=True)
class _Charge:
    """What differs between the rows of one document."""

    category: Category
    description: str
    period: Period
    billed: Decimal
    pricing: tuple[Decimal, Decimal] | None = None  # quantity and unit price
    pricing_unit: str = ""
    consumed: Decimal | None = None
    line: InvoiceLine | None = None
    kind: str = ""
    dimensions: Mapping[str, str] | None = None
    sku: str = ""
    tax: tuple[str, Decimal] | None = None

    @property
    def priced(self) -> Decimal:
        """Quantity x unit price, not rounded; what was billed where nothing was priced."""
        return self.billed if self.pricing is None else self.pricing[0] * self.pricing[1]


def focus_rows(invoice: Invoice, names: FocusNames) -> Iterator[Row]:
    """The rows of an issued document; their billed costs add up to what it asks for."""
    is_credit_note = invoice.type == "credit_note"
    billed = ZERO
    for charge in _charges(invoice):
        turned = _turned(charge) if is_credit_note else charge
        billed += turned.billed
        yield _row(invoice, turned, names)
    left = payable(invoice) - billed
    if left:
        yield _row(invoice, _Charge("Adjustment", "Rounding", invoice.period, left), names)


def resources_of(invoice: Invoice) -> Iterator[str]:
    """What the document's use is told apart by that may be the key of a resource."""
    for line in invoice.lines:
        for component in line.components:
            if resource := _dimensions(line, component).get("resource"):
                yield resource


def plans_of(invoice: Invoice) -> Iterator[str]:
    """The keys of the plans that the document's lines are of."""
    return (line.trace["plan"] for line in invoice.lines if "plan" in line.trace)


def _turned(charge: _Charge) -> _Charge:
    pricing, consumed = charge.pricing, charge.consumed
    return replace(
        charge, billed=-charge.billed, pricing=pricing and (-pricing[0], pricing[1]),
        consumed=None if consumed is None else -consumed,
    )  # fmt: skip


# --- from a document to its charges -----------------------------------------------------------------------------------


def _charges(invoice: Invoice) -> Iterator[_Charge]:
    for line in invoice.lines:
        yield from _of_line(line, invoice.currency)
    for use in invoice.allowances:
        tax = (use.tax.category, use.tax.rate)
        yield _Charge("Credit", use.description, invoice.period, -use.amount, tax=tax)
    for group in invoice.tax:
        if group.amount:
            named = f"VAT {plain(group.rate)} % on {plain(group.base)} {invoice.currency}"
            yield _Charge("Tax", named, invoice.period, group.amount, tax=(group.category, group.rate))


def _of_line(line: InvoiceLine, currency: str) -> Iterator[_Charge]:
    tax = (line.tax.category, line.tax.rate)
    if not line.components:
        category: Category = "Usage" if _is_metered(line) else "Purchase"
        pricing = (Decimal(-1), -line.amount) if line.amount < 0 else (Decimal(1), line.amount)
        yield _Charge(
            category, line.description, line.period, line.amount, pricing, "Units",
            line.quantity if category == "Usage" else None, line, "line", sku=_sku(line), tax=tax,
        )  # fmt: skip
        return
    billed = _less_allowances(line, currency)
    consumed_by = _consumed(line)
    for position, component in enumerate(line.components):
        category = _category(line, component)
        named = line.description if len(line.components) == 1 else f"{line.description}: {component.description}"
        unit = line.unit if component.kind in IN_THE_UNIT else _UNITS.get(component.kind, "Units")
        yield _Charge(
            category, named, line.period, billed[position], (component.quantity, component.unit_price), unit or "Units",
            consumed_by.get(position, ZERO) if category == "Usage" else None, line, _price_kind(component),
            _dimensions(line, component), _sku(line), tax,
        )  # fmt: skip


def _price_kind(component: Component) -> str:
    return component.kind if component.tier is None else f"{component.kind}-{component.tier}"


def _is_metered(line: InvoiceLine) -> bool:
    return line.trace.get("meter") is not None


def _category(line: InvoiceLine, component: Component) -> Category:
    if component.kind in _ADJUSTED:
        return "Adjustment"
    return "Usage" if _is_metered(line) and component.kind not in _PURCHASED else "Purchase"


def _consumed(line: InvoiceLine) -> dict[int, Decimal]:
    """What was consumed, by the position of the component that says it: the sum is the line's use, once."""
    measured = {
        position: component.quantity
        for position, component in enumerate(line.components)
        if component.kind in IN_THE_UNIT and _category(line, component) == "Usage"
    }
    return measured or {
        position: line.quantity
        for position, component in list(enumerate(line.components))[:1]
        if _category(line, component) == "Usage"
    }


def _less_allowances(line: InvoiceLine, currency: str) -> list[Decimal]:
    """What is billed for each component: its amount less its part of the line's discounts."""
    amounts = [component.amount for component in line.components]
    off = sum((item.amount for item in line.allowances), ZERO)
    if not off:
        return amounts
    is_negative = off < 0
    weights = [-amount if is_negative else amount for amount in amounts]
    if min(weights) < 0 or not sum(weights, ZERO):
        # Where components of both signs meet, a proportion says nothing: the largest one bears it.
        largest = max(range(len(amounts)), key=lambda position: abs(amounts[position]))
        amounts[largest] -= off
        return amounts
    parts = split_pro_rata(abs(off), weights, currency)
    return [amount + part if is_negative else amount - part for amount, part in zip(amounts, parts, strict=True)]


def _dimensions(line: InvoiceLine, component: Component) -> dict[str, str]:
    """The dimensions of the cell that priced the component; none where no cell did."""
    if component.kind != "cell" or "terms" not in line.trace:
        return {}
    model = read_terms(line.trace["terms"]).charges[0].model
    if not isinstance(model, Matrix):
        return {}
    return next((dict(cell.when) for cell in model.cells if label_of(cell) == component.label), {})


def _sku(line: InvoiceLine) -> str:
    plan = line.trace.get("plan", "")
    return f"{plan}/{line.charge}" if plan and line.charge else line.charge or plan or "one-off"


# --- from a charge to its row -----------------------------------------------------------------------------------------


def _row(invoice: Invoice, charge: _Charge, names: FocusNames) -> Row:
    line, trace = charge.line, {} if charge.line is None else charge.line.trace
    plan = trace.get("plan", "")
    is_priced = charge.category in ("Usage", "Purchase")
    is_correction = invoice.type == "credit_note" or (line is not None and line.kind != "charge")
    price = _number(charge.pricing[1]) if is_priced and charge.pricing else None
    billed, priced = _number(charge.billed), _number(charge.priced if is_priced else charge.billed)
    resource = names.resources.get((charge.dimensions or {}).get("resource", ""))
    version = trace.get("version")
    cells: dict[str, Cell] = {
        "BilledCost": billed,
        "BillingAccountId": invoice.buyer.key,
        "BillingAccountName": invoice.buyer.name,
        "BillingAccountType": "Tenant",
        "BillingCurrency": invoice.currency,
        "BillingPeriodEnd": _instant(invoice.period.end),
        "BillingPeriodStart": _instant(invoice.period.start),
        "ChargeCategory": charge.category,
        "ChargeClass": "Correction" if is_correction else None,
        "ChargeDescription": charge.description or "Charge",
        "ChargeFrequency": _frequency(charge.category, bool(plan)),
        "ChargePeriodEnd": _instant(charge.period.end),
        "ChargePeriodStart": _instant(charge.period.start),
        "ConsumedQuantity": None if charge.consumed is None else _number(charge.consumed),
        "ConsumedUnit": None if charge.consumed is None or line is None else line.unit or "Units",
        "ContractedCost": priced,
        "ContractedUnitPrice": price,
        "EffectiveCost": billed,
        "InvoiceId": invoice.number,
        "InvoiceIssuerName": invoice.seller.name,
        "ListCost": priced,
        "ListUnitPrice": price,
        "PricingCategory": ("Dynamic" if charge.kind == "dynamic" else "Standard") if is_priced else None,
        "PricingQuantity": _number(charge.pricing[0]) if is_priced and charge.pricing else None,
        "PricingUnit": charge.pricing_unit if is_priced else None,
        "ProviderName": invoice.seller.name,
        "PublisherName": invoice.seller.name,
        "ResourceId": None if resource is None else resource.key,
        "ResourceName": None if resource is None else resource.name,
        "ResourceType": None if resource is None else resource.kind,
        "ServiceCategory": names.service_category,
        "ServiceName": names.plans.get(plan) or plan or charge.description or "Charge",
        "ServiceSubcategory": f"Other ({names.service_category})",
        "SkuId": charge.sku if is_priced else None,
        "SkuMeter": trace["meter"]["key"] if is_priced and trace.get("meter") else None,
        "SkuPriceId": f"{charge.sku}/{version or 1}/{charge.kind}" if is_priced else None,
        "SubAccountId": (line.subscription or None) if line else None,
        "SubAccountName": (line.subscription or None) if line else None,
        "SubAccountType": "Subscription" if line and line.subscription else None,
        "Tags": json.dumps(charge.dimensions, ensure_ascii=False) if charge.dimensions else None,
        "x_DocumentId": invoice.id,
        "x_DocumentType": invoice.type,
        "x_LineId": None if line is None else line.id,
        "x_TaxCategory": None if charge.tax is None else charge.tax[0],
        "x_TaxRate": None if charge.tax is None else _number(charge.tax[1]),
    }
    return [cells[name] for name in COLUMNS]


def _frequency(category: Category, recurs: bool) -> str:
    if category == "Usage":
        return "Usage-Based"
    return "Recurring" if category == "Purchase" and recurs else "One-Time"


def _number(number: Decimal) -> Number:
    return Number(plain(number))


def _instant(instant: datetime) -> str:
    return instant_text(instant)
