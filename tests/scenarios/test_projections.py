"""A preview at the period's end, if use goes on as it has so far; and what it never changes."""

from __future__ import annotations

from typing import Any

from tests.service import Api, event, set_up

TIERS = [{"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.20"}]
ENERGY = {"key": "energy", "meter": "energy", "allowance": "10", "model": {"type": "graduated", "tiers": TIERS}}
BASE = {"key": "base", "model": {"type": "flat", "amount": "31.00"}}
PEAK = {
    "event_type": "charging.session.ended", "aggregation": "max", "property": "$.kwh", "unit": "kW",
    "dimensions": {"station": "$.station"},
}  # fmt: skip
BY_PEAK = {"key": "peak", "meter": "peak", "model": {"type": "per_unit", "unit_price": "1"}}


def use(api: Api, id: str, kwh: str, time: str) -> None:
    assert api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])["accepted"] == 1


def amounts(preview: Any) -> dict[str, tuple[str, str]]:
    return {line["charge"]: (line["quantity"], line["amount"]) for line in preview["lines"]}


def test_use_goes_on_in_line_and_is_rated_at_the_periods_end(api: Api) -> None:
    """70 kWh in 10 of 30 days are 210: less 10, 100 x 0.30 + 100 x 0.20 = 50.00. The fixed amount and the peak stay."""
    api.clock.set("2026-11-11T00:00:00+01:00")
    set_up(api, [ENERGY, BASE])
    api.put("/v1/meters/peak", PEAK)
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar"}
    api.put("/v1/plans/standard", body | {"charges": [ENERGY, BASE, BY_PEAK]})
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-10-31T23:00:00Z"})
    use(api, "1", "40", "2026-11-02T10:00:00Z")
    use(api, "2", "30", "2026-11-08T10:00:00Z")
    before = api.get("/v1/tenants/acme/preview")
    assert amounts(before) == {"energy": ("70", "18.00"), "base": ("1", "31.00"), "peak": ("40", "40.00")}
    assert "projection" not in before
    projected = api.get("/v1/tenants/acme/preview", projection="linear")
    assert amounts(projected) == {"energy": ("210", "50.00"), "base": ("1", "31.00"), "peak": ("40", "40.00")}
    assert (projected["net"], projected["status"], projected["id"]) == ("121.00", "preview", None)
    bases = {line["line"]: line for line in projected["projection"]["lines"]}
    by_charge = {line["charge"]: bases[line["id"]] for line in projected["lines"]}
    assert by_charge["energy"] == {
        "line": "ln_1", "basis": "extrapolated", "measured": "70", "projected": "210", "elapsed": "0.333333",
    }  # fmt: skip
    assert (by_charge["base"]["basis"], by_charge["peak"]["basis"]) == ("fixed", "as_measured")
    assert projected["projection"]["as_of"] == "2026-11-10T23:00:00Z"


def test_each_stretch_of_a_period_is_projected_by_itself(api: Api) -> None:
    """The price changes on the 6th: 5 days are over, 5 of the other 25 have passed."""
    api.clock.set("2026-11-11T00:00:00+01:00")
    charge = {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "1"}}
    set_up(api, [charge])
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar"}
    api.put("/v1/plans/standard", body | {"charges": [charge | {"model": {"type": "per_unit", "unit_price": "2"}}]})
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-11-05T23:00:00Z"})
    use(api, "1", "8", "2026-11-02T10:00:00Z")
    use(api, "2", "10", "2026-11-08T10:00:00Z")
    projected = api.get("/v1/tenants/acme/preview", projection="linear")
    assert [(line["quantity"], line["amount"]) for line in projected["lines"]] == [("8", "8.00"), ("50", "100.00")]
    assert [line["basis"] for line in projected["projection"]["lines"]] == ["ended", "extrapolated"]


def test_without_the_parameter_a_preview_is_the_later_invoice(api: Api) -> None:
    """And a projection changes nothing of it: neither what is stored nor what is billed."""
    api.clock.set("2026-11-11T00:00:00+01:00")
    set_up(api, [ENERGY, BASE])
    api.bill("2026-11-01T00:00:00Z")
    use(api, "1", "70.123", "2026-11-02T10:00:00Z")
    api.get("/v1/tenants/acme/preview", projection="linear")
    preview = api.get("/v1/tenants/acme/preview")
    api.clock.set("2026-12-01T00:00:00+01:00")
    api.bill("2026-11-30T23:00:00Z")
    invoice = api.invoices(period_start="2026-10-31T23:00:00Z")[0]
    for name in ("lines", "net", "tax", "total", "period", "currency"):
        assert preview[name] == invoice[name]


def test_another_projection_is_refused(api: Api) -> None:
    set_up(api, [ENERGY])
    for query in ({"projection": "seasonal"}, {"projektion": "linear"}):
        assert api.call("GET", "/v1/tenants/acme/preview", params=query).status_code == 422
