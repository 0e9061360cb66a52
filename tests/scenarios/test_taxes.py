"""Tax by what is sold, where, to whom and when: from the catalog to the document."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import ACME, OPERATOR, PER_UNIT, Api, event, set_up

PARIS = {"line1": "1 rue de la Paix", "postcode": "75002", "city": "Paris", "country": "FR"}
BERLIN = {"line1": "Unter den Linden 1", "postcode": "10117", "city": "Berlin", "country": "DE"}
SELLER = OPERATOR | {"legal": {"name": "Garage SAS", "vat_number": "FR44732829320", "address": PARIS}}
STANDARD = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
CHECK = {"date": "2026-09-01", "valid": True, "source": "VIES", "consultation_number": "WAPIAAAA"}
GERMAN = ACME | {"legal": {"name": "Acme GmbH", "vat_number": "DE136695976", "address": BERLIN}}


def billed(
    api: Api, buyer: dict[str, Any] = ACME, *charges: dict[str, Any], seller: dict[str, Any] = SELLER, **used: Any
) -> Any:
    """The one invoice of September 2026, in which 7.25 kWh were used: 2.18."""
    api.put("/v1/tax-rates/standard", STANDARD)
    set_up(api, list(charges) or [PER_UNIT])
    api.put("/v1/tenants/garage", seller)
    api.put("/v1/tenants/acme", buyer)
    api.post("/v1/events", [event("s-1", time="2026-09-05T10:00:00Z", **used)])
    run = api.bill("2026-10-01T00:00:00Z")
    assert run["failures"] == []
    return api.invoices()[0]


def why(api: Api, invoice: Any) -> str:
    found = api.get(f"/v1/invoices/{invoice['id']}/lines/{invoice['lines'][0]['id']}/explanation")
    return str(found["tax"]["statement"]["text"])


def test_a_business_abroad_whose_number_was_checked_owes_the_vat_itself(api: Api) -> None:
    found = billed(api, GERMAN | {"vat_check": CHECK})
    exemption = {"code": "VATEX-EU-AE", "reason": "Autoliquidation"}
    assert found["tax"] == [
        {"category": "AE", "rate": "0", "exemption": exemption, "base": "2.18", "amount": "0.00"}
    ]  # fmt: skip
    assert found["lines"][0]["tax"] == {"category": "AE", "rate": "0", "exemption": exemption}
    assert "DE136695976 vérifié le 2026-09-01" in why(api, found)
    assert api.get("/v1/tenants/acme")["vat_check"] == CHECK | {"vat_number": "DE136695976"}


@pytest.mark.parametrize(
    "check",
    [{}, {"vat_check": CHECK | {"valid": False}}, {"vat_check": CHECK | {"vat_number": "DE811907980"}}],
    ids=["none", "invalid", "of another number"],
)
def test_without_a_valid_check_of_its_number_it_is_charged_like_anybody(api: Api, check: dict[str, Any]) -> None:
    found = billed(api, GERMAN | check)
    assert found["tax"] == [{"category": "S", "rate": "20", "base": "2.18", "amount": "0.44"}]
    assert "aucune vérification" in why(api, found)


def test_a_small_business_charges_no_vat_and_says_by_which_law(api: Api) -> None:
    seller = OPERATOR | {"legal": {"name": "Garage", "vat_regime": "franchise", "address": PARIS}}
    found = billed(api, seller=seller)
    exemption = {"code": "VATEX-FR-FRANCHISE", "reason": "TVA non applicable, art. 293 B du CGI"}
    assert found["lines"][0]["tax"] == {"category": "E", "rate": "0", "exemption": exemption}
    assert found["total"] == "2.18"


def test_a_charge_that_names_its_tax_keeps_it(api: Api) -> None:
    found = billed(api, GERMAN | {"vat_check": CHECK}, PER_UNIT | {"tax": "standard"})
    assert found["total"] == "2.62"


def test_goods_to_a_business_in_another_member_state_and_out_of_the_union(api: Api) -> None:
    goods = PER_UNIT | {"supply": "goods"}
    found = billed(api, GERMAN | {"vat_check": CHECK}, goods)
    assert (found["lines"][0]["tax"]["category"], found["lines"][0]["supply"]) == ("K", "goods")
    swiss = BERLIN | {"city": "Bern", "country": "CH"}
    api.put("/v1/tenants/acme", GERMAN | {"delivery_address": swiss})
    api.post("/v1/events", [event("s-2", time="2026-10-05T10:00:00Z")])
    api.bill("2026-11-01T00:00:00Z")
    later = api.invoices()[1]
    assert later["tax"][0]["exemption"]["code"] == "VATEX-EU-G"
    assert later["delivery_address"]["country"] == "CH"


def test_current_is_taxed_where_the_charger_stands_that_was_used(api: Api) -> None:
    """The charger stands in Germany: 19 % of 2.18, whoever is charged, until two chargers stand in two countries."""
    charge = PER_UNIT | {"supply": "electricity"}
    set_up(api)
    api.put("/v1/resources/charger-de", {"name": "DE", "kind": "equipment", "owner": "garage", "place": "DE"})
    api.put("/v1/resources/charger-fr", {"name": "FR", "kind": "equipment", "owner": "garage", "place": "FR"})
    api.put("/v1/tax-rates/german", STANDARD | {"country": "DE", "rate": "19"})
    found = billed(api, ACME, charge, resource="charger-de")
    assert found["tax"] == [{"category": "S", "rate": "19", "base": "2.18", "amount": "0.41"}]
    assert "DE" in why(api, found)

    api.post("/v1/events", [
        event("s-2", time="2026-10-05T10:00:00Z", resource="charger-de"),
        event("s-3", time="2026-10-06T10:00:00Z", resource="charger-fr"),
    ])  # fmt: skip
    failures = api.bill("2026-11-01T00:00:00Z")["failures"]
    assert "those that were used stand in DE, FR" in failures[0]["detail"]


def test_a_room_is_taxed_at_the_place_that_its_charge_names(api: Api) -> None:
    desk = {"key": "desk", "model": {"type": "flat", "amount": "100"}, "supply": "immovable", "place": "FR"}
    found = billed(api, GERMAN | {"vat_check": CHECK}, desk)
    assert found["tax"][0]["category"] == "S", "a desk in Paris is taxed in France, whoever sits there"
    assert api.get("/v1/plans/standard")["charges"][0]["place"] == "FR"


def test_the_rate_is_the_one_in_force_at_the_end_of_what_is_billed(api: Api) -> None:
    """21 % from 16 September on: the whole of September has it; what is paid in advance has that of its first day."""
    access = {"key": "access", "model": {"type": "flat", "amount": "10"}, "timing": "advance"}
    set_up(api, [PER_UNIT, access], start="2026-09-01")
    changes = [{"start": "2026-09-16", "rate": "21"}]
    shown = api.put("/v1/tax-rates/standard", STANDARD | {"changes": changes})
    assert shown["changes"] == changes
    api.put("/v1/tenants/garage", SELLER)
    api.post("/v1/events", [event("s-1", time="2026-09-05T10:00:00Z")])
    api.bill("2026-10-01T00:00:00Z")
    rates = [[(line["charge"], line["tax"]["rate"]) for line in one["lines"]] for one in api.invoices()]
    assert rates == [[("access", "20")], [("energy", "21"), ("access", "21")]]


def test_what_is_out_of_scope_is_not_billed_with_the_rest_by_a_seller_with_a_vat_number(api: Api) -> None:
    set_up(api)
    api.put("/v1/tax-rates/outside", {"category": "O", "country": "FR", "start": "2014-01-01"})
    set_up(api, [PER_UNIT, {"key": "deposit", "model": {"type": "flat", "amount": "5"}, "tax": "outside"}])
    api.put("/v1/tax-rates/standard", STANDARD)
    api.put("/v1/tenants/garage", SELLER)
    failures = api.bill("2026-10-01T00:00:00Z")["failures"]
    assert "not to be billed on one document with the rest: deposit" in failures[0]["detail"]
    api.put("/v1/tenants/garage", OPERATOR | {"tax": "standard"})
    assert api.bill("2026-10-01T00:00:00Z")["failures"] == []


# --- other currencies -------------------------------------------------------------------------------------------------


def dollars(api: Api, *, rates: dict[str, dict[str, Any]]) -> Any:
    """1 000 kWh at 0.30 dollars: 300.00, and 60.00 of VAT."""
    api.put("/v1/tenants/garage", SELLER)
    api.put("/v1/tax-rates/standard", STANDARD)
    for key, rate in rates.items():
        api.put(f"/v1/exchange-rates/{key}", rate)
    api.put("/v1/tenants/usa", ACME | {"currency": "USD", "subjects": [], "language": "en"})
    energy = {"event_type": "charging.session.ended", "aggregation": "sum", "property": "$.kwh", "unit": "kWh"}
    api.put("/v1/meters/energy", energy)
    api.put("/v1/plans/dollars", {"name": "D", "currency": "USD", "interval": "month", "charges": [PER_UNIT]})
    api.post("/v1/plans/dollars/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/usa-1", {"tenant": "usa", "plan": "dollars", "start": "2026-09-01"})
    api.post("/v1/events", [event("s-1", time="2026-09-05T10:00:00Z", subject="usa", data={"kwh": "1000"})])
    assert api.bill("2026-10-01T00:00:00Z")["failures"] == []
    return api.invoices()[0]


USD = {"from": "USD", "to": "EUR", "date": "2026-11-20", "rate": "0.9213", "source": "ECB"}


def test_vat_in_another_currency_is_declared_by_the_newest_stored_rate(api: Api) -> None:
    """60.00 dollars at 0.9213 are 55.278: 55.28 EUR. It is issued on 23 November; the rate of the 24th is too late."""
    rates = {"a": USD | {"date": "2026-11-01", "rate": "0.9"}, "b": USD, "c": USD | {"date": "2026-11-24", "rate": "1"}}
    found = dollars(api, rates=rates)
    assert found["accounting_tax"] == {
        "currency": "EUR", "amount": "55.28", "rate": "0.9213", "source": "ECB", "date": "2026-11-20",
    }  # fmt: skip
    api.post("/v1/events/cancellations", {"tenant": "usa", "source": "/chargers/12", "id": "s-1", "reason": "x"})
    api.put("/v1/exchange-rates/d", USD | {"date": "2026-11-22", "rate": "0.5"})
    api.bill("2026-11-01T00:00:00Z")
    note = next(one for one in api.invoices() if one["type"] == "credit_note")
    assert note["accounting_tax"] == found["accounting_tax"], "what was declared is taken back, at the rate of then"


def test_a_rate_the_other_way_round_is_turned_and_none_is_no_obstacle(api: Api) -> None:
    """1 EUR is 1.25 dollars: 60.00 dollars are 48.00 EUR."""
    found = dollars(api, rates={"eur": USD | {"from": "EUR", "to": "USD", "rate": "1.25"}})
    assert (found["accounting_tax"]["amount"], found["accounting_tax"]["rate"]) == ("48.00", "0.8")


def test_without_a_rate_a_plain_document_goes_out(api: Api) -> None:
    assert "accounting_tax" not in dollars(api, rates={})


def test_two_rates_of_one_day_are_refused(api: Api) -> None:
    api.put("/v1/exchange-rates/a", USD)
    for body, pointer in (
        (USD, "#/date"), (USD | {"to": "USD"}, "#/to"), (USD | {"rate": "0"}, "#/rate"), ({}, "#/from"),
    ):  # fmt: skip
        answer = api.call("PUT", "/v1/exchange-rates/b", body)
        assert answer.status_code == 422
        assert pointer in [item["pointer"] for item in answer.json()["errors"]]
    assert api.get("/v1/exchange-rates/a") == USD | {"key": "a"}
    assert [row["key"] for row in api.get("/v1/exchange-rates")["data"]] == ["a"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"changes": [{"start": "2010-01-01", "rate": "21"}]}, "#/changes/0/start"),
        ({"changes": [{"start": "2030-01-01", "rate": "0"}]}, "#/changes/0/rate"),
        ({"exemption": {"reason": "x"}}, "#/exemption"),
        ({"category": "E", "rate": "0", "changes": [{"start": "2030-01-01", "rate": "1"}]}, "#/changes"),
        ({"category": "E", "rate": "0", "exemption": {"code": "E", "reason": "x"}}, "#/exemption/code"),
    ],
)
def test_a_rate_that_contradicts_itself_is_refused(api: Api, body: dict[str, Any], pointer: str) -> None:
    answer = api.call("PUT", "/v1/tax-rates/x", STANDARD | body)
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]
