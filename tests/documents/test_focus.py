"""Documents in the form of FOCUS 1.2: the rows add up to what a document asks for, and keep the form's rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.documents.focus import COLUMNS, SERVICE_CATEGORIES, FocusNames, focus_rows
from app.documents.tables import Number
from app.domain.charge_models import Component
from app.domain.charge_models.components import Kind, component
from app.domain.credit import CreditUse
from app.domain.exports import payable
from app.domain.invoices import Invoice, InvoiceLine, totals
from app.domain.rating.lines import Allowance
from app.domain.tax import TaxRate
from app.domain.tenants import Resource
from tests.documents.conftest import invoice_of, line_of

NAMES = FocusNames({"standard": "Standard"}, {"gpu-7": Resource("gpu-7", "GPU 7", "cloud", "operator")}, "Compute")
ENERGY = {"plan": "standard", "version": 3, "meter": {"key": "energy", "unit": "kWh"}}
FLAT = {"plan": "standard", "version": 3, "meter": None}

# Of the specification's model of version 1.2: the columns without condition.
NEVER_NULL = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart",
    "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName", "ChargeFrequency", "InvoiceId", "ServiceSubcategory",
)  # fmt: skip
ALWAYS_THERE = (*NEVER_NULL, "ChargeClass", "PricingQuantity", "PricingUnit")
ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"), "ChargeClass": ("", "Correction"),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"), "ServiceCategory": SERVICE_CATEGORIES,
    "PricingCategory": ("", "Standard", "Dynamic", "Committed", "Other"),
}  # fmt: skip
DECIMALS = (
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost",
    "ListUnitPrice", "PricingQuantity",
)  # fmt: skip
INSTANTS = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def rows_of(invoice: Invoice) -> list[dict[str, str]]:
    return [
        {name: _text(cell) for name, cell in zip(COLUMNS, row, strict=True)} for row in focus_rows(invoice, NAMES)
    ]  # fmt: skip


def _text(cell: Any) -> str:
    return "" if cell is None else cell.text if isinstance(cell, Number) else str(cell)


def broken_rules(row: dict[str, str]) -> list[str]:
    """What of the specification's rules the row breaks."""
    broken = [f"{name} is null" for name in NEVER_NULL if not row[name]]
    broken += [f"{name} is {row[name]}" for name, known in ENUMERATIONS.items() if row[name] not in known]
    for name in DECIMALS:
        if row[name] and not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", row[name]):
            broken.append(f"{name} is no number: {row[name]}")
    broken += [f"{name} is no instant of UTC" for name in INSTANTS if not SECOND.fullmatch(row[name])]
    is_priced, is_correction = row["ChargeCategory"] in ("Usage", "Purchase"), row["ChargeClass"] == "Correction"
    if is_priced and not (row["PricingQuantity"] and row["PricingUnit"] and row["SkuId"] and row["SkuPriceId"]):
        broken.append("what is priced says neither how much nor of what")
    if not is_priced and (row["ListUnitPrice"] or row["ContractedUnitPrice"] or row["PricingCategory"]):
        broken.append("what is not priced has a price")
    if (row["ChargeCategory"] == "Usage") != bool(row["ConsumedQuantity"]):
        broken.append("use, and use only, has a consumed quantity")
    if bool(row["ConsumedQuantity"]) != bool(row["ConsumedUnit"]):
        broken.append("a consumed quantity has a unit")
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if row[price] and Decimal(row[price]) * Decimal(row["PricingQuantity"]) != Decimal(row[cost]):
            broken.append(f"{cost} is not quantity x {price}")
        if row[price] and Decimal(row[price]) < 0:
            broken.append(f"{price} is negative")
    if row["PricingQuantity"] and Decimal(row["PricingQuantity"]) < 0 and not is_correction:
        broken.append("only a correction has a negative quantity")
    if bool(row["ResourceId"]) != bool(row["ResourceType"]) or bool(row["SubAccountId"]) != bool(row["SubAccountType"]):
        broken.append("a thing without type, or the other way round")
    return broken


def test_every_column_without_condition_is_there() -> None:
    assert set(ALWAYS_THERE) - set(COLUMNS) == set()


def test_the_rows_of_an_invoice_add_up_to_its_total(make_invoice: Callable[..., Invoice]) -> None:
    """30.00 and 5.00 for two tiers, and 7.00 of VAT: 42.00."""
    rows = rows_of(make_invoice(line_of(trace=ENERGY)))
    shown = ("ChargeCategory", "BilledCost", "ConsumedQuantity", "ListUnitPrice")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("Usage", "30", "100", "0.3"), ("Usage", "5", "20", "0.25"), ("Tax", "7", "", ""),
    ]  # fmt: skip
    assert sum(Decimal(row["BilledCost"]) for row in rows) == 42
    assert {row["InvoiceId"] for row in rows} == {"2026-000042"}
    assert (rows[0]["SkuId"], rows[0]["SkuMeter"], rows[1]["SkuPriceId"]) == (
        "standard/energy", "energy", "standard/energy/3/tier-2",
    )  # fmt: skip
    assert rows[0]["ChargePeriodEnd"] == "2026-11-30T23:00:00Z"
    assert (rows[0]["ServiceName"], rows[0]["ServiceCategory"]) == ("Standard", "Compute")


def test_a_discount_is_taken_off_what_it_is_for() -> None:
    """10 % of 35.00: 3.00 of the first tier, 0.50 of the second, and no row of its own."""
    line = line_of(trace=ENERGY, amount=Decimal("31.50"), allowances=(Allowance("discount 10 %", Decimal("3.50")),))
    rows = rows_of(invoice_of(line))
    assert [row["BilledCost"] for row in rows] == ["27", "4.5", "6.3"]
    assert [row["ListCost"] for row in rows] == ["30", "5", "6.3"]


def test_a_fixed_charge_is_a_purchase_and_a_ceiling_an_adjustment() -> None:
    fixed = line_of(
        trace=FLAT, quantity=Decimal(1), unit="", amount=Decimal(19),
        components=(component("flat", Decimal(1), Decimal(19), "EUR"),),
    )  # fmt: skip
    capped = line_of(
        trace=ENERGY, amount=Decimal(20),
        components=(*line_of().components, component("maximum", Decimal(-1), Decimal(15), "EUR")),
    )  # fmt: skip
    rows = rows_of(invoice_of(fixed, capped))
    assert [(row["ChargeCategory"], row["BilledCost"], row["PricingQuantity"]) for row in rows] == [
        ("Purchase", "19", "1"), ("Usage", "30", "100"), ("Usage", "5", "20"), ("Adjustment", "-15", ""),
        ("Tax", "7.8", ""),
    ]  # fmt: skip
    assert rows[0]["ChargeFrequency"] == "Recurring"


def test_a_credit_note_is_negative_and_a_correction() -> None:
    rows = rows_of(invoice_of(line_of(trace=ENERGY, kind="credit"), type="credit_note"))
    assert [(row["BilledCost"], row["PricingQuantity"], row["ChargeClass"]) for row in rows] == [
        ("-30", "-100", "Correction"), ("-5", "-20", "Correction"), ("-7", "", "Correction"),
    ]  # fmt: skip
    assert [rule for row in rows for rule in broken_rules(row)] == []


def test_use_told_apart_by_resource_names_it() -> None:
    """A cell of a matrix over `resource` and `size` is the resource of that key; what it is told apart by is a tag."""
    model = {"type": "matrix", "cells": [{"when": {"resource": "gpu-7", "size": "xl"}, "unit_price": "2"}]}
    terms = {"currency": "EUR", "interval": "month", "anchor": "calendar", "proration": "day",
             "charges": [{"key": "gpu", "meter": "gpu", "model": model}]}  # fmt: skip
    cell = Component("cell", Decimal(3), Decimal(2), Decimal(6), 1, "resource gpu-7, size xl")
    row = rows_of(invoice_of(line_of(trace=ENERGY | {"terms": terms}, amount=Decimal(6), components=(cell,))))[0]
    assert (row["ResourceId"], row["ResourceName"], row["ResourceType"]) == ("gpu-7", "GPU 7", "cloud")
    assert row["Tags"] == '{"resource": "gpu-7", "size": "xl"}'


# --- for every document -----------------------------------------------------------------------------------------------

KINDS: list[Kind] = ["unit", "tier", "tier_flat", "package", "flat", "per_event", "overage", "reserved", "dynamic"]
TAXES = [TaxRate("S", Decimal(20)), TaxRate("S", Decimal("5.5")), TaxRate("Z", Decimal(0))]


@st.composite
def lines(draw: st.DrawFn) -> InvoiceLine:
    kind = draw(st.sampled_from(("charge", "difference")))
    sign = draw(st.sampled_from((1, -1))) if kind == "difference" else 1
    components = tuple(
        component(
            draw(st.sampled_from(KINDS)), sign * draw(st.decimals("0", "5000", places=4)),
            draw(st.decimals("0", "20", places=6)), "EUR",
        )
        for _ in range(draw(st.integers(0, 4)))
    )  # fmt: skip
    if draw(st.booleans()) and components:
        components += (component("maximum", Decimal(-1), draw(st.decimals("0", "50", places=2)), "EUR"),)
    priced = sum((item.amount for item in components), Decimal(0))
    off = draw(st.decimals("0", "1", places=2)) * priced
    off = off.quantize(Decimal("0.01"))
    allowances = (Allowance("discount", off),) if off else ()
    amount = priced - off if components else draw(st.decimals("0", "100", places=2))
    return line_of(
        kind=kind, components=components, allowances=allowances, amount=amount, tax=draw(st.sampled_from(TAXES)),
        trace=draw(st.sampled_from((ENERGY, FLAT, {}))),
    )  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> Invoice:
    found = tuple(draw(st.lists(lines(), max_size=5)))
    uses = tuple(
        CreditUse(UUID(int=1), "welcome", draw(st.decimals("0.01", "9", places=2)), tax)
        for tax in draw(st.lists(st.sampled_from(TAXES), max_size=2, unique=True))
    )
    net, groups, total = totals(found, "EUR", allowances=uses)
    is_off = draw(st.booleans())
    if groups and is_off:
        # The VAT of a later credit note may differ by a cent from base x rate: the sum of all notes is exact.
        moved = replace(groups[0], amount=groups[0].amount + Decimal("0.01"))
        groups, total = (moved, *groups[1:]), total + Decimal("0.01")
    return invoice_of(
        *found, type=draw(st.sampled_from(("invoice", "credit_note", "statement"))), net=net, tax=groups, total=total,
        allowances=uses,
    )  # fmt: skip


@given(documents())
def test_whatever_is_billed_the_billed_costs_add_up_to_what_the_document_asks_for(invoice: Invoice) -> None:
    rows = rows_of(invoice)
    assert sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0)) == payable(invoice)
    assert [rule for row in rows for rule in broken_rules(row)] == []
    assert "Adjustment" not in {row["ChargeCategory"] for row in rows if row["ChargeDescription"] == "Rounding"}


@given(documents(), st.decimals("-1", "1", places=2))
def test_what_the_parts_of_a_document_do_not_say_is_an_adjustment(invoice: Invoice, cents: Decimal) -> None:
    """A total that is rounded to five cents in cash is still what the rows add up to."""
    rounded = replace(invoice, total=invoice.total + cents)
    rows = rows_of(rounded)
    assert sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0)) == payable(rounded)
    assert len([row for row in rows if row["ChargeDescription"] == "Rounding"]) == (1 if cents else 0)


def test_consumed_quantities_say_a_lines_use_once() -> None:
    """Tiers of 100 and 20 kWh are 120 kWh; twelve packages for 120 kWh are 120 kWh too."""
    package = line_of(trace=ENERGY, amount=Decimal(12), components=(
        component("package", Decimal(12), Decimal(1), "EUR"), component("per_event", Decimal(3), Decimal(0), "EUR"),
    ))  # fmt: skip
    for line in (line_of(trace=ENERGY), package):
        consumed = [row["ConsumedQuantity"] for row in rows_of(invoice_of(line))]
        assert sum(Decimal(quantity) for quantity in consumed if quantity) == 120


@pytest.mark.parametrize("column", ["BilledCost", "ListCost"])
def test_a_rule_that_is_broken_is_found(column: str) -> None:
    row = rows_of(invoice_of(line_of(trace=ENERGY)))[0]
    assert broken_rules(row) == []
    assert broken_rules(row | {column: ""} | {"ListUnitPrice": "", "ContractedUnitPrice": ""})
