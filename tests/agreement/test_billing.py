"""Invoices against their own arithmetic and against an independent sum, on generated use; late use in any portions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.operations.audit_books import audit_books
from app.storage.database import Database
from tests.service import ENERGY, OPERATOR, Api, event, service

SETTINGS = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
CENT = Decimal("0.01")

prices = st.decimals("0", "3", places=4).map(lambda price: format(price, "f"))
tiers = st.lists(st.tuples(st.integers(1, 200), prices), min_size=0, max_size=3, unique_by=lambda tier: tier[0]).map(
    lambda bounds: [
        *({"up_to": str(bound), "unit_price": price} for bound, price in sorted(bounds)),
        {"up_to": None, "unit_price": "0.11"},
    ]
)
amounts = st.decimals("0", "9", places=2).map(lambda amount: format(amount, "f"))
bounds = st.tuples(amounts, amounts).map(lambda pair: sorted(pair, key=Decimal))
days = st.lists(st.sampled_from(["mon", "tue", "sat", "sun", "holiday"]), min_size=1, max_size=3, unique=True)
clocks = st.lists(st.sampled_from(["00:00", "06:10", "08:00", "12:45", "20:00"]), min_size=2, max_size=2, unique=True)
rates = st.lists(
    st.fixed_dictionaries({"hours": clocks, "unit_price": prices}, optional={"weekdays": days, "months": st.just([9])}),
    min_size=1, max_size=3,
)  # fmt: skip
percentages = st.fixed_dictionaries(
    {"type": st.just("percentage"), "rate": prices},
    optional={
        "fixed": amounts, "free_events": st.integers(0, 4), "free_units": st.integers(0, 90).map(str),
        "event_minimum": amounts,
    },
)  # fmt: skip
by_model = (
    st.builds(lambda price: {"type": "per_unit", "unit_price": price}, prices),
    st.builds(lambda steps: {"type": "graduated", "tiers": steps}, tiers),
    st.builds(lambda steps: {"type": "volume", "tiers": steps}, tiers),
    st.builds(lambda size, price: {"type": "package", "size": str(size), "price": price}, st.integers(1, 50), prices),
    percentages,
    st.builds(
        lambda price, pair: {"type": "percentage", "rate": price, "event_minimum": pair[0], "event_maximum": pair[1]},
        prices, bounds,
    ),
    st.builds(
        lambda steps: {"type": "graduated_percentage", "tiers": [
            {"up_to": step["up_to"], "rate": step["unit_price"], "flat": "0.50"} for step in steps]},
        tiers,
    ),
    st.builds(
        lambda price, other: {"type": "matrix", "cells": [{"when": {"station": "12"}, "unit_price": price}]} | other,
        prices, st.sampled_from([{}, {"default_unit_price": "0.40"}]),
    ),
    st.builds(
        lambda some, price: {
            "type": "time_of_use", "rates": some, "default_unit_price": price, "holidays": ["2026-09-09"]},
        rates, prices,
    ),
    st.builds(lambda steps: {"type": "capacity", "tiers": steps}, tiers),
    st.builds(lambda price: {"type": "dynamic", "multiplier": price}, prices),
    st.builds(
        lambda units, price: {
            "type": "reservation", "reserved": str(units), "unit_price": price, "overage_unit_price": "1.05"},
        st.integers(1, 90), prices,
    ),
)  # fmt: skip
extras = st.fixed_dictionaries(
    {},
    optional={
        "allowance": st.integers(0, 40).map(str),
        "minimum": st.integers(0, 30).map(str),
        "maximum": st.integers(30, 90).map(str),
        "discount": st.sampled_from([{"percent": "12.5"}, {"amount": "3.10"}]),
    },
)
# A plan with a charge of every model, each on a meter that rounds or one that does not.
charges = st.tuples(*(st.tuples(model, extras, st.sampled_from(["energy", "rounded"])) for model in by_model)).map(
    lambda made: [
        {"key": f"c{n}", "meter": meter, "model": model, "tax": "low" if n else "high"} | extra
        for n, (model, extra, meter) in enumerate(made)
    ]
)
uses = st.lists(
    st.tuples(
        st.integers(0, 30 * 24 * 3600), st.decimals("-20", "120", places=3).map(lambda kwh: format(kwh, "f")),
        st.sampled_from(["12", "13", None]),
    ),
    min_size=0, max_size=12,
)  # fmt: skip


@pytest.fixture
def shop(database_url: str) -> Any:
    """A service with an operator, a meter and two tax rates; every example makes its own tenant and plan."""
    with service(database_url) as api:
        api.put("/v1/tenants/garage", OPERATOR)
        api.put("/v1/meters/energy", ENERGY)
        api.put("/v1/meters/rounded", ENERGY | {"rounding": {"mode": "half_up", "scale": 1}})
        for key, rate in (("high", "20"), ("low", "5.5")):
            api.put(f"/v1/tax-rates/{key}", {"category": "S", "rate": rate, "country": "FR", "start": "2014-01-01"})
        yield api


_numbers = iter(range(10**6))


def subscribe(api: Api, made: list[Any], zone: str) -> str:
    """A tenant of its own on a plan of its own, since 1 September."""
    key = f"t{next(_numbers)}"
    api.put(f"/v1/tenants/{key}", {"name": key, "currency": "EUR", "time_zone": zone, "language": "en"})
    plan = {"name": key, "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": made}
    api.put(f"/v1/plans/{key}", plan)
    api.post(f"/v1/plans/{key}/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put(f"/v1/subscriptions/{key}", {"tenant": key, "plan": key, "start": "2026-09-01"})
    return key


def post(api: Api, key: str, made: list[Any], offset: int = 0) -> None:
    start = datetime(2026, 9, 1, 12, tzinfo=UTC)
    events = [
        event(f"{offset + n}", subject=key, source=f"/{key}", time=(start + timedelta(seconds=after)).isoformat(),
              data={"kwh": kwh, "station": station})
        for n, (after, kwh, station) in enumerate(made)
    ]  # fmt: skip
    if events:
        assert api.post("/v1/events", events)["accepted"] == len(events)


def check_arithmetic(invoice: Any) -> None:
    """Components make lines, lines the net, groups the VAT, and that the total, each to the cent."""
    groups: dict[str, Decimal] = {}
    for line in invoice["lines"]:
        for part in line["components"]:
            exact = Decimal(part["quantity"]) * Decimal(part["unit_price"])
            assert Decimal(part["amount"]) == exact.quantize(CENT, ROUND_HALF_UP)
        parts = sum((Decimal(part["amount"]) for part in line["components"]), Decimal(0))
        parts -= sum((Decimal(part["amount"]) for part in line["allowances"]), Decimal(0))
        assert Decimal(line["amount"]) == parts
        rate = line["tax"]["rate"]
        groups[rate] = groups.get(rate, Decimal(0)) + parts
    assert Decimal(invoice["net"]) == sum(groups.values(), Decimal(0))
    assert {group["rate"]: Decimal(group["base"]) for group in invoice["tax"]} == groups
    vat = sum((Decimal(group["amount"]) for group in invoice["tax"]), Decimal(0))
    assert Decimal(invoice["total"]) == Decimal(invoice["net"]) + vat
    if invoice["type"] == "invoice":
        for group in invoice["tax"]:
            exact = Decimal(group["base"]) * Decimal(group["rate"]) / 100
            assert Decimal(group["amount"]) == exact.quantize(CENT, ROUND_HALF_UP)


@SETTINGS
@given(made=charges, used=uses, zone=st.sampled_from(["Europe/Paris", "Asia/Kathmandu", "America/St_Johns"]))
def test_the_preview_is_the_later_invoice_and_both_add_up(shop: Api, made: Any, used: Any, zone: str) -> None:
    key = subscribe(shop, made, zone)
    used = [use for use in used if use[0] < 28 * 24 * 3600]
    post(shop, key, used)
    shop.clock.set("2026-09-30T12:00:00+00:00")
    preview = shop.get(f"/v1/tenants/{key}/preview")
    shop.clock.set("2026-11-23T12:00:00+00:00")
    shop.bill("2026-10-01T12:00:00Z", tenants=[key])
    (invoice,) = shop.invoices(buyer=key)
    for document in (preview, invoice):
        check_arithmetic(document)
    keep = ("charge", "quantity", "amount", "components", "allowances")
    assert [[line[name] for name in keep] for line in preview["lines"]] == [
        [line[name] for name in keep] for line in invoice["lines"]
    ]


@SETTINGS
@given(made=charges, portions=st.lists(uses, min_size=1, max_size=3), cancel=st.booleans())
def test_billing_in_portions_comes_to_what_billing_at_once_comes_to(
    shop: Api, made: Any, portions: Any, cancel: bool
) -> None:
    """September is billed, then gets late use again and again, and loses an event: in all it has cost what it costs."""
    late, once = subscribe(shop, made, "Europe/Paris"), subscribe(shop, made, "Europe/Paris")
    september = [[use for use in portion if use[0] < 28 * 24 * 3600] for portion in portions]
    offset = 0
    for number, portion in enumerate(september):
        post(shop, late, portion, offset)
        offset += len(portion)
        shop.bill(f"2026-{10 + min(number, 1)}-02T00:00:00Z", tenants=[late])
    everything = [use for portion in september for use in portion]
    post(shop, once, everything)
    if cancel and everything:
        for key in (late, once):
            shop.post("/v1/events/cancellations", {"tenant": key, "source": f"/{key}", "id": "0"})
    for key in (late, once):
        shop.bill("2026-11-02T00:00:00Z", tenants=[key])
    # The last portion's difference waits for November's end: the subscription ends there.
    for key in (late, once):
        shop.put(f"/v1/subscriptions/{key}", {"tenant": key, "plan": key, "start": "2026-09-01", "end": "2026-11-20"})
        shop.bill("2026-11-23T00:00:00Z", tenants=[key])
    totals = [net_by_charge(shop.invoices(buyer=key)) for key in (late, once)]
    assert totals[0] == totals[1]
    database: Database = shop.client.app.state.database  # type: ignore[attr-defined]
    assert audit_books(database, now=shop.clock()).differences == []


def net_by_charge(documents: list[Any]) -> dict[tuple[str, str], Decimal]:
    """What was billed less what was credited, by charge and start of the stretch."""
    sums: dict[tuple[str, str], Decimal] = {}
    for document in documents:
        check_arithmetic(document)
        sign = -1 if document["type"] == "credit_note" else 1
        for line in document["lines"]:
            key = (line["charge"], line["period"]["start"])
            sums[key] = sums.get(key, Decimal(0)) + sign * Decimal(line["amount"])
    return sums
