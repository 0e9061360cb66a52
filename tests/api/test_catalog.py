"""The catalog over HTTP: what may be put, what is refused and why, and that nothing is half done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.operations.authenticate import create_key
from app.storage.database import Database
from tests.service import ACME, ENERGY, OPERATOR, PER_UNIT, Api, event, set_up

TAX = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
PLAN = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": [PER_UNIT]}
ADDRESS = {"line1": "1 rue de la Paix", "postcode": "75002", "city": "Paris", "country": "FR"}


def problem(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return found


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [item["pointer"] for item in problem(answer)["errors"]]


def slug(answer: Any) -> str:
    return str(problem(answer)["type"]).rpartition("/")[2]


def priced(**model: Any) -> dict[str, Any]:
    """A plan with one charge of this model for the meter energy."""
    return PLAN | {"charges": [{"key": "energy", "meter": "energy", "model": model}]}


def tiers(*bounds: str | None) -> list[dict[str, Any]]:
    return [{"up_to": bound, "unit_price": "1"} for bound in bounds]


def publish(api: Api, effective_at: str = "2020-01-01T00:00:00Z", plan: str = "standard") -> Any:
    return api.call("POST", f"/v1/plans/{plan}/publish", {"effective_at": effective_at})


@pytest.fixture
def shop(api: Api) -> Api:
    """An operator, the tenant acme, the meters energy and sessions; no plan yet."""
    set_up(api)
    return api


@pytest.fixture
def subscribed(api: Api) -> Api:
    """The same, with acme on the plan `standard` since 1 September 2026."""
    set_up(api, [PER_UNIT])
    return api


def bound_key(database: Database, tenant: str, scope: Any = "admin") -> str:
    from datetime import UTC, datetime

    return create_key(database, scopes=[scope], tenant=tenant, now=datetime(2026, 1, 1, tzinfo=UTC))


# --- putting and reading ---------------------------------------------------------------------------------------------


def test_what_is_put_is_shown_in_the_shape_it_came_in(shop: Api) -> None:
    shop.put("/v1/tax-rates/standard", TAX)
    bodies: dict[str, dict[str, Any]] = {
        "/v1/tenants/beta": {
            "name": "Beta", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr", "operator": False,
            "subjects": ["station-9", "user-18"], "tax": "standard",
            "legal": {"name": "Beta SAS", "registration": "552100554", "vat_number": "FR1", "address": ADDRESS},
        },
        "/v1/resources/charger-12": {"name": "Charger 12", "kind": "equipment", "owner": "beta"},
        "/v1/meters/power": {
            "event_type": "t", "aggregation": "sum", "property": "$.kw", "unit": "kW", "unit_code": "KWT",
            "dimensions": {"station": "$.station"}, "rounding": {"mode": "up", "scale": 2},
            "filter": [{"property": "$.ok", "operator": "eq", "value": True},
                       {"property": "$.n", "operator": "in", "value": [1, "1"]}],
        },
        "/v1/tax-rates/reduced": TAX | {"rate": "5.5"},
        "/v1/plans/full": PLAN | {
            "proration": "day",
            "charges": [
                {"key": "energy", "meter": "energy", "allowance": "10", "minimum": "5.00", "maximum": "99.00",
                 "discount": {"percent": "10"}, "tax": "standard", "timing": "arrears", "description": "Energy",
                 "model": {"type": "graduated", "tiers": [{"up_to": "100", "unit_price": "0.30", "flat": "1.00"},
                                                          {"up_to": None, "unit_price": "0.250000000001"}]}},
                {"key": "access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"},
                {"key": "packs", "meter": "sessions", "timing": "arrears",
                 "model": {"type": "package", "size": "10", "price": "2.50", "round": "down"}},
            ],
        },
    }  # fmt: skip
    for path, body in bodies.items():
        made = shop.call("PUT", path, body)
        again = shop.call("PUT", path, body)
        shown = shop.get(path)

        assert (made.status_code, again.status_code) == (201, 200)
        assert made.json() == again.json() == shown
        assert {name: shown[name] for name in body} == body
        assert shown["key"] == path.rpartition("/")[2]


def test_what_was_read_can_be_sent_back(subscribed: Api) -> None:
    paths = ("tenants/acme", "meters/energy", "plans/standard", "subscriptions/acme-1")
    for path in paths:
        shown = subscribed.get(f"/v1/{path}")
        assert subscribed.put(f"/v1/{path}", shown) == shown


def test_a_key_may_hold_any_printable_character_but_a_slash(shop: Api) -> None:
    body = {"name": "x", "kind": "saas", "owner": "acme"}
    shop.put("/v1/resources/caf%C3%A9%20%E2%98%95%3F%25", body)
    assert shop.get("/v1/resources/caf%C3%A9%20%E2%98%95%3F%25")["key"] == "café ☕?%"
    assert [row["key"] for row in shop.get("/v1/resources")["data"]] == ["café ☕?%"]


def test_other_keys_are_refused(shop: Api) -> None:
    for key in ("%20a", "a%20", "a%00b", "a%07", "a" * 256, "%FF"):
        answer = shop.call("PUT", f"/v1/resources/{key}", {"name": "x", "kind": "saas", "owner": "acme"})
        assert pointers(answer) == ["#/key"]
        assert shop.call("GET", f"/v1/resources/{key}").status_code == 404


def test_a_patch_changes_single_fields_and_null_takes_one_away(shop: Api) -> None:
    shop.put("/v1/tenants/acme", ACME | {"legal": {"name": "Acme", "registration": "1", "address": ADDRESS}})
    patched = shop.call("PATCH", "/v1/tenants/acme", {"name": "Acme 2", "legal": {"registration": None}}).json()
    assert (patched["name"], patched["legal"]) == ("Acme 2", {"name": "Acme", "address": ADDRESS})
    assert patched["subjects"] == ["user-17"]
    assert pointers(shop.call("PATCH", "/v1/tenants/acme", {"currency": "EURO", "nmae": 1})) == ["#/currency", "#/nmae"]
    assert shop.call("PATCH", "/v1/tenants/nobody", {"name": "x"}).status_code == 404
    assert shop.call("PATCH", "/v1/tenants/acme", ["name"]).status_code == 422


def test_a_list_goes_on_where_its_cursor_says(shop: Api) -> None:
    for number in range(5):
        shop.put(f"/v1/tax-rates/r{number}", TAX)
    seen, cursor = [], None
    while True:
        page = shop.get("/v1/tax-rates", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["key"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["r0", "r1", "r2", "r3", "r4"]


def test_every_list_checks_its_parameters(shop: Api) -> None:
    for noun in ("tenants", "resources", "meters", "tax-rates", "plans", "subscriptions"):
        assert shop.get(f"/v1/{noun}", limit=1000)["data"] is not None
        for limit in ("0", "1001", "x", "-1", "1.0"):
            assert shop.call("GET", f"/v1/{noun}", params={"limit": limit}).status_code == 422
        for cursor in ("%", "AA", "not-one!", "AAAA"):
            assert slug(shop.call("GET", f"/v1/{noun}", params={"cursor": cursor})) == "invalid-cursor"
        assert shop.call("GET", f"/v1/{noun}", params={"colour": "red"}).status_code == 422
        assert shop.call("GET", f"/v1/{noun}/nothing").status_code == 404


def test_if_match_guards_a_change(shop: Api) -> None:
    tag = shop.call("GET", "/v1/tenants/acme").headers["etag"]
    changed = shop.call("PUT", "/v1/tenants/acme", ACME | {"name": "New"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    for method, path, body in (
        ("PUT", "tenants/acme", ACME), ("PATCH", "tenants/acme", {"name": "x"}), ("PUT", "tenants/other", ACME),
    ):  # fmt: skip
        assert shop.call(method, f"/v1/{path}", body, headers={"If-Match": tag}).status_code in (404, 412)
    assert shop.get("/v1/tenants/acme")["name"] == "New"
    anything = shop.call("PATCH", "/v1/tenants/acme", {"name": "Newer"}, headers={"If-Match": "*"})
    assert anything.status_code == 200


def test_a_bound_key_sees_its_own_and_changes_nothing(subscribed: Api, database_url: str) -> None:
    database = Database.open(database_url)
    key = bound_key(database, "acme")
    database.close()
    subscribed.put("/v1/resources/r1", {"name": "x", "kind": "saas", "owner": "garage"})
    subscribed.put("/v1/resources/r2", {"name": "x", "kind": "saas", "owner": "acme"})
    subscribed.put("/v1/plans/secret", PLAN)

    def read(path: str) -> Any:
        return subscribed.call("GET", f"/v1/{path}", key=key)

    assert [row["key"] for row in read("tenants").json()["data"]] == ["acme"]
    assert [row["key"] for row in read("resources").json()["data"]] == ["r2"]
    assert [row["key"] for row in read("plans").json()["data"]] == ["standard"]
    assert [row["key"] for row in read("subscriptions").json()["data"]] == ["acme-1"]
    others = ("tenants/garage", "resources/r1", "plans/secret", "plans/secret/versions", "subscriptions?tenant=garage")
    for path in others:
        assert read(path).status_code == 404
    for path in ("tenants/acme", "meters/energy", "plans/standard", "subscriptions/acme-1"):
        assert read(path).status_code == 200
    assert subscribed.call("PUT", "/v1/tenants/acme", ACME, key=key).status_code == 403
    assert subscribed.call("POST", "/v1/plans/secret/publish", {}, key=key).status_code == 403


def test_reading_needs_the_read_scope_and_writing_the_admin_scope(shop: Api, database_url: str) -> None:
    database = Database.open(database_url)
    reader, poster = bound_key(database, "", "read"), bound_key(database, "", "ingest")
    database.close()
    assert shop.call("GET", "/v1/tenants", key=reader).status_code == 200
    assert shop.call("PUT", "/v1/tenants/acme", ACME, key=reader).status_code == 403
    assert shop.call("GET", "/v1/tenants", key=poster).status_code == 403
    assert shop.call("GET", "/v1/tenants", key="nonsense").status_code == 401


# --- bad input -------------------------------------------------------------------------------------------------------


def test_what_is_not_json_is_malformed(shop: Api) -> None:
    for body in [b"{", b"\xff", b'{"name": NaN}', b'{"name": "\\ud800"}', b"[" * 100_000, b""]:
        answer = shop.call("PUT", "/v1/tenants/acme", content=body)
        assert (answer.status_code, slug(answer)) == (400, "malformed")


def test_a_body_that_is_too_large_or_too_deep_is_refused(shop: Api) -> None:
    assert shop.call("PUT", "/v1/tenants/acme", ACME | {"name": "x" * 2**21}).status_code == 413
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    assert pointers(shop.call("PUT", "/v1/tenants/acme", ACME | {"legal": deep})) == ["#"]


def test_every_fault_is_told_at_once_with_its_place(shop: Api) -> None:
    """Nothing of a body with faults is kept."""
    body = {
        "currency": "XYZ", "time_zone": "Europe/Atlantis", "language": 5, "operator": "yes", "colour": "red",
        "subjects": ["a", 7, {"subject": "b", "from": "soon"}, "a"],
        "legal": {"name": "", "address": {"line1": "x", "country": "France"}, "vat": "1"},
    }  # fmt: skip
    answer = shop.call("PUT", "/v1/tenants/new", body)
    assert sorted(pointers(answer)) == sorted([
        "#/name", "#/currency", "#/time_zone", "#/language", "#/operator", "#/colour", "#/subjects/1",
        "#/subjects/2/from", "#/subjects/3", "#/legal/name", "#/legal/vat", "#/legal/address/postcode",
        "#/legal/address/city", "#/legal/address/country",
    ])  # fmt: skip
    assert shop.call("GET", "/v1/tenants/new").status_code == 404


TENANT_FAULTS: list[Any] = [
    ({"name": None}, "#/name"),
    ({"name": "a\nb"}, "#/name"),
    ({"name": "a\x00b"}, "#/name"),
    ({"name": "x" * 256}, "#/name"),
    ({"name": ["x"]}, "#/name"),
    ({"currency": "eur"}, "#/currency"),
    ({"currency": "XAU"}, "#/currency"),
    ({"time_zone": "../etc/passwd"}, "#/time_zone"),
    ({"time_zone": ""}, "#/time_zone"),
    ({"time_zone": "+02:00"}, "#/time_zone"),
    ({"language": "klingon"}, "#/language"),
    ({"tax": "missing"}, "#/tax"),
    ({"key": "other"}, "#/key"),
    ({"subjects": "user-17"}, "#/subjects"),
    ({"subjects": ["x" * 256]}, "#/subjects/0"),
    ({"subjects": [{"subject": "a", "from": "1969-12-31T23:59:59Z"}]}, "#/subjects/0/from"),
    ({"legal": []}, "#/legal"),
]


def test_a_tenant_with_a_fault_is_refused(shop: Api) -> None:
    for fields, pointer in TENANT_FAULTS:
        assert pointers(shop.call("PUT", "/v1/tenants/acme", ACME | fields)) == [pointer]


RESOURCE_FAULTS: list[Any] = [
    ({"kind": "car"}, "#/kind"),
    ({"owner": "nobody"}, "#/owner"),
    ({"owner": 1}, "#/owner"),
    ({"x": 1}, "#/x"),
]  # fmt: skip


def test_a_resource_with_a_fault_is_refused(shop: Api) -> None:
    for fields, pointer in RESOURCE_FAULTS:
        body = {"name": "x", "kind": "saas", "owner": "acme"} | fields
        assert pointers(shop.call("PUT", "/v1/resources/r", body)) == [pointer]


WASHING = {"aggregation": "duration", "session": "$.slot", "start_value": "start", "end_value": "end"}
METER_FAULTS: list[Any] = [
    ({"aggregation": "median"}, "#/aggregation"),
    ({"aggregation": "count", "property": "kwh"}, "#/property"),
    ({"expression": "$.kwh * 2"}, "#/expression"),
    ({"property": None, "expression": "$.kwh *"}, "#/expression"),
    ({"property": None, "expression": "2 * 3"}, "#/expression"),
    ({"property": None, "expression": "open($.kwh)"}, "#/expression"),
    ({"aggregation": "count", "property": None, "expression": "$.kwh"}, "#/expression"),
    ({"convert": {"unit": "MWh"}}, "#/convert"),
    ({"convert": {"divide_by": "1000", "multiply_by": "2", "unit": "MWh"}}, "#/convert"),
    ({"convert": {"divide_by": "0", "unit": "MWh"}}, "#/convert/divide_by"),
    ({"convert": {"multiply_by": "-1", "unit": "MWh"}}, "#/convert/multiply_by"),
    ({"convert": {"divide_by": "1000"}}, "#/convert/unit"),
    ({"property": None}, "#/property"),
    ({"property": "kwh"}, "#/property"),
    ({"property": "$..kwh"}, "#/property"),
    ({"property": None, "expression": "a + b"}, "#/expression"),
    ({"dimensions": {"station": "x"}}, "#/dimensions/station"),
    ({"dimensions": {"a/b~c": 1}}, "#/dimensions/a~1b~0c"),
    ({"dimensions": {f"d{n}": "$.x" for n in range(21)}}, "#/dimensions"),
    ({"filter": [{"property": "$.a", "operator": "like", "value": "x"}]}, "#/filter/0/operator"),
    ({"filter": [{"property": "$.a", "operator": "eq"}]}, "#/filter/0/value"),
    ({"filter": [{"property": "$.a", "operator": "in", "value": "x"}]}, "#/filter/0/value"),
    ({"filter": [{"property": "$.a", "operator": "gt", "value": "x"}]}, "#/filter/0/value"),
    ({"filter": [{"property": "$.a", "operator": "eq", "value": {"a": 1}}]}, "#/filter/0/value"),
    ({"rounding": {"mode": "even", "scale": 0}}, "#/rounding/mode"),
    ({"rounding": {"mode": "up", "scale": -1}}, "#/rounding/scale"),
    ({"rounding": {"mode": "up", "scale": True}}, "#/rounding/scale"),
    ({"rounding": {"mode": "up"}}, "#/rounding/scale"),
    ({"unit_code": "KILOWATT"}, "#/unit_code"),
    ({"percentile": "95"}, "#/percentile"),
    ({"aggregation": "percentile", "interval": "5m"}, "#/percentile"),
    ({"aggregation": "percentile", "percentile": "0", "interval": "5m"}, "#/percentile"),
    ({"aggregation": "percentile", "percentile": "101", "interval": "5m"}, "#/percentile"),
    ({"aggregation": "percentile", "percentile": "95"}, "#/interval"),
    ({"aggregation": "percentile", "percentile": "95", "interval": "7m"}, "#/interval"),
    ({"aggregation": "percentile", "percentile": "95", "interval": "5 minutes"}, "#/interval"),
    ({"aggregation": "percentile", "percentile": "95", "interval": "5m", "interval_aggregation": "p"},
     "#/interval_aggregation"),
    ({"window": {"aggregation": "max"}}, "#/window/per"),
    ({"window": {"aggregation": "counter", "per": "hour"}}, "#/window/aggregation"),
    ({"window": {"aggregation": "max", "per": "year"}}, "#/window/per"),
    ({"aggregation": "last", "window": {"aggregation": "max", "per": "hour"}}, "#/window"),
    ({"operation": "$.op"}, "#/operation"),
    ({"aggregation": "unique", "operation": "op"}, "#/operation"),
    ({"per": "hour"}, "#/per"),
    ({"aggregation": "time_weighted", "per": "month"}, "#/per"),
    (WASHING | {"session": None}, "#/session"),
    (WASHING | {"start_value": None}, "#/start_value"),
    (WASHING | {"end_value": {"a": 1}}, "#/end_value"),
    (WASHING | {"end_value": "start"}, "#/end_value"),
    (WASHING | {"longest": "forever"}, "#/longest"),
    (WASHING | {"longest": "9999d"}, "#/longest"),
    (WASHING | {"expression": "$.a"}, "#/expression"),
]  # fmt: skip


def test_a_meter_with_a_fault_is_refused(shop: Api) -> None:
    for fields, pointer in METER_FAULTS:
        assert pointers(shop.call("PUT", "/v1/meters/m", ENERGY | fields)) == [pointer]


TAX_RATE_FAULTS: list[Any] = [
    ({"category": "X"}, "#/category"),
    ({"rate": "0"}, "#/rate"),
    ({"rate": "-1"}, "#/rate"),
    ({"rate": "101"}, "#/rate"),
    ({"rate": "1e1"}, "#/rate"),
    ({"rate": "NaN"}, "#/rate"),
    ({"category": "Z"}, "#/rate"),
    ({"start": "2014-02-30"}, "#/start"),
    ({"start": "2014-02-01T00:00:00Z"}, "#/start"),
    ({"country": "FRA"}, "#/country"),
]  # fmt: skip


def test_a_tax_rate_with_a_fault_is_refused(shop: Api) -> None:
    for fields, pointer in TAX_RATE_FAULTS:
        assert pointers(shop.call("PUT", "/v1/tax-rates/t", TAX | fields)) == [pointer]


def test_a_price_is_a_plain_number(shop: Api) -> None:
    for number in ["NaN", "Infinity", "1e5", "1E400", "+1", " 1", "1.", ".5", "0x10", "", True, [], "1" * 99]:
        answer = shop.call("PUT", "/v1/plans/p", priced(type="per_unit", unit_price=number))
        assert pointers(answer) == ["#/charges/0/model/unit_price"]


def test_a_price_as_a_json_number_is_read_digit_by_digit(shop: Api) -> None:
    for number in ["1e5", "1E400", "1e99999999999999999999", "-0.1", "0.1234567890123", "1" * 5000]:
        body = json.dumps(priced(type="per_unit", unit_price="?")).replace('"?"', number).encode()
        assert pointers(shop.call("PUT", "/v1/plans/p", content=body)) == ["#/charges/0/model/unit_price"]
    fine = json.dumps(priced(type="per_unit", unit_price="?")).replace('"?"', "0.123456789012").encode()
    made = shop.call("PUT", "/v1/plans/p", content=fine).json()
    assert made["charges"][0]["model"]["unit_price"] == "0.123456789012"


CHARGE_MODEL_FAULTS: list[Any] = [
    ({"type": "surge", "rate": "1"}, "type"),
    ({"type": "matrix"}, "cells"),
    ({"type": "gratis"}, "type"),
    ({}, "type"),
    ({"type": "per_unit"}, "unit_price"),
    ({"type": "per_unit", "unit_price": "1", "tiers": []}, "tiers"),
    ({"type": "package", "size": "0", "price": "1"}, "size"),
    ({"type": "package", "size": "1", "price": "1", "round": "half"}, "round"),
    ({"type": "graduated"}, "tiers"),
    ({"type": "graduated", "tiers": []}, "tiers"),
    ({"type": "graduated", "tiers": ["x"]}, "tiers/0"),
    ({"type": "graduated", "tiers": tiers("10")}, "tiers/0/up_to"),
    ({"type": "volume", "tiers": tiers("10", "10", None)}, "tiers/1/up_to"),
    ({"type": "volume", "tiers": tiers("10", "5", None)}, "tiers/1/up_to"),
    ({"type": "graduated", "tiers": tiers(None, None)}, "tiers/0/up_to"),
    ({"type": "graduated", "tiers": tiers("0", None)}, "tiers/0/up_to"),
    ({"type": "graduated", "tiers": tiers("-1", None)}, "tiers/0/up_to"),
    ({"type": "graduated", "tiers": [{"unit_price": "1"}]}, "tiers/0/up_to"),
    ({"type": "graduated", "tiers": [{"up_to": None, "unit_price": "1", "flat": "-1"}]}, "tiers/0/flat"),
]  # fmt: skip


def test_a_charge_model_with_a_fault_is_refused(shop: Api) -> None:
    for model, pointer in CHARGE_MODEL_FAULTS:
        assert pointers(shop.call("PUT", "/v1/plans/p", priced(**model))) == [f"#/charges/0/model/{pointer}"]


CHARGE_FAULTS: list[Any] = [
    ({"meter": None}, "meter"),
    ({"meter": "missing"}, "meter"),
    ({"tax": "missing"}, "tax"),
    ({"timing": "advance"}, "timing"),
    ({"timing": "later"}, "timing"),
    ({"minimum": "10", "maximum": "9.99"}, "minimum"),
    ({"minimum": "0.001"}, "minimum"),
    ({"maximum": "-1"}, "maximum"),
    ({"allowance": "-1"}, "allowance"),
    ({"discount": {}}, "discount"),
    ({"discount": {"percent": "10", "amount": "1"}}, "discount"),
    ({"discount": {"percent": "101"}}, "discount/percent"),
    ({"model": {"type": "flat", "amount": "1"}}, "meter"),
    ({"model": {"type": "flat", "amount": "1"}, "meter": None, "allowance": "1"}, "allowance"),
    ({"model": None}, "model"),
    ({"key": "a/b"}, "key"),
    ({"price": "1"}, "price"),
]  # fmt: skip


def test_a_charge_with_a_fault_is_refused(shop: Api) -> None:
    for charge, pointer in CHARGE_FAULTS:
        answer = shop.call("PUT", "/v1/plans/p", PLAN | {"charges": [PER_UNIT | charge]})
        assert pointers(answer) == [f"#/charges/0/{pointer}"]


PLAN_FAULTS: list[Any] = [
    ({"interval_count": 0}, "#/interval_count"),
    ({"interval_count": 61}, "#/interval_count"),
    ({"interval": "year", "interval_count": 6}, "#/interval_count"),
    ({"interval": "fortnight"}, "#/interval"),
    ({"anchor": "moon"}, "#/anchor"),
    ({"proration": "week"}, "#/proration"),
    ({"currency": "EUROS"}, "#/currency"),
    ({"charges": []}, "#/charges"),
    ({"charges": None}, "#/charges"),
    ({"charges": [PER_UNIT, PER_UNIT]}, "#/charges/1/key"),
    ({"trial": 1}, "#/trial"),
]  # fmt: skip


def test_a_plan_with_a_fault_is_refused(shop: Api) -> None:
    for fields, pointer in PLAN_FAULTS:
        assert pointers(shop.call("PUT", "/v1/plans/p", PLAN | fields)) == [pointer]


# --- tenants ---------------------------------------------------------------------------------------------------------


def test_there_is_one_operator(shop: Api) -> None:
    refused = shop.call("PUT", "/v1/tenants/acme", ACME | {"operator": True})
    assert (refused.status_code, problem(refused)["operator"]) == (409, "garage")
    shop.put("/v1/tenants/garage", OPERATOR | {"operator": False})
    shop.put("/v1/tenants/acme", ACME | {"operator": True})


def test_the_currency_is_fixed_by_the_first_subscription(subscribed: Api) -> None:
    subscribed.put("/v1/tenants/free", ACME | {"subjects": []})
    subscribed.put("/v1/tenants/free", ACME | {"subjects": [], "currency": "USD"})
    assert subscribed.call("PUT", "/v1/tenants/acme", ACME | {"currency": "USD"}).status_code == 409
    subscribed.put("/v1/tenants/acme", ACME | {"time_zone": "America/New_York"})


def test_a_subject_that_nobody_had_is_the_tenants_from_ever(shop: Api) -> None:
    """An event of January, kept aside for want of its tenant, counts once the subject is claimed in November."""
    sent = event("s-1", subject="badge-7", time="2026-01-05T10:00:00Z")
    assert shop.post("/v1/events", [sent])["quarantined"] == 1
    shop.put("/v1/tenants/acme", ACME | {"subjects": ["user-17", "badge-7"]})
    assert shop.usage("energy", tenant="acme") == {"": "7.25"}


def test_a_subject_moves_from_now_on(shop: Api) -> None:
    """An event of October is acme's and one of December beta's, however late it is sent."""
    shop.put("/v1/tenants/beta", ACME | {"name": "Beta", "subjects": ["user-17"]})
    assert shop.get("/v1/tenants/acme")["subjects"] == []
    assert shop.get("/v1/tenants/beta")["subjects"] == [{"subject": "user-17", "from": "2026-11-23T12:00:00Z"}]
    shop.clock.set("2026-12-24T12:00:00+00:00")
    later = event("b", subject="user-17", time="2026-12-01T00:00:00Z")
    shop.post("/v1/events", [event("a", subject="user-17"), later])
    assert shop.usage("energy", tenant="acme") == {"": "7.25"}
    assert shop.usage("energy", tenant="beta") == {"": "7.25"}


def test_a_move_that_would_re_assign_kept_events_is_refused(shop: Api) -> None:
    shop.post("/v1/events", [event("a", subject="user-17", time="2026-10-05T10:00:00Z")])
    moved = ACME | {"name": "Beta", "subjects": [{"subject": "user-17", "from": "2026-10-05T10:00:00Z"}]}
    refused = shop.call("PUT", "/v1/tenants/beta", moved)
    assert (refused.status_code, slug(refused)) == (409, "subject-taken")
    assert shop.call("GET", "/v1/tenants/beta").status_code == 404
    later = ACME | {"name": "Beta", "subjects": [{"subject": "user-17", "from": "2026-10-05T10:00:01Z"}]}
    shop.put("/v1/tenants/beta", later)
    assert shop.put("/v1/tenants/beta", later)["subjects"] == later["subjects"]


def test_a_subject_given_up_is_nobodys_from_then_on(shop: Api) -> None:
    shop.put("/v1/tenants/acme", ACME | {"subjects": []})
    answer = shop.post("/v1/events", [
        event("a", subject="user-17"), event("b", subject="user-17", time="2026-11-24T00:00:00Z"),
    ])  # fmt: skip
    assert (answer["accepted"], answer["quarantined"]) == (1, 1)
    wished = [{"subject": "user-17", "from": "2026-01-01T00:00:00Z"}]
    refused = shop.call("PUT", "/v1/tenants/beta", ACME | {"subjects": wished})
    assert slug(refused) == "subject-taken"


def test_a_key_is_no_other_tenants_subject(shop: Api) -> None:
    assert slug(shop.call("PUT", "/v1/tenants/user-17", ACME | {"subjects": []})) == "subject-taken"
    assert slug(shop.call("PUT", "/v1/tenants/beta", ACME | {"subjects": ["acme"]})) == "subject-taken"


# --- meters ----------------------------------------------------------------------------------------------------------


def test_what_a_meter_measures_is_a_revision_and_its_name_is_not(shop: Api) -> None:
    shop.post("/v1/events", [event("a")])
    named = shop.put("/v1/meters/energy", ENERGY | {"name": "Energy", "unit": "kilowatt hour"})
    assert (named["revision"], named["state"]) == (1, "active")
    changed = shop.put("/v1/meters/energy", ENERGY | {"aggregation": "count", "property": None})
    assert (changed["revision"], changed["state"]) == (2, "active")
    assert shop.usage("energy", tenant="acme") == {"": "1"}
    back = shop.put("/v1/meters/energy", ENERGY)
    assert back["revision"] == 3
    assert shop.usage("energy", tenant="acme") == {"": "7.25"}


def test_a_filter_keeps_the_kind_of_its_value(shop: Api) -> None:
    """Of 1, "1", true and 0.5 a filter on the number 0.5 lets the last through only, after a restart too."""
    for number, value in enumerate(['"1"', "1", "true", "0.5"], 1):
        body = json.dumps(ENERGY | {"filter": [{"property": "$.flag", "operator": "eq", "value": "?"}]})
        shown = shop.call("PUT", "/v1/meters/flagged", content=body.replace('"?"', value).encode()).json()
        assert shown["revision"] == number
        assert json.dumps(shown["filter"][0]["value"]) == value
    flags: list[Any] = ["1", 1, True, 0.5]
    shop.post("/v1/events", [event(f"e{n}", data={"kwh": "1", "flag": flag}) for n, flag in enumerate(flags)])
    assert shop.usage("flagged", tenant="acme") == {"": "1"}


def test_a_new_meter_counts_the_events_that_were_set_aside(shop: Api) -> None:
    assert shop.post("/v1/events", [event("a", type="new.type")])["quarantined"] == 1
    assert shop.put("/v1/meters/new", ENERGY | {"event_type": "new.type"})["state"] == "active"
    assert shop.usage("new", tenant="acme") == {"": "7.25"}


MATRIX = {"type": "matrix", "cells": [{"when": {"station": "1"}, "unit_price": "0.30"}], "default_unit_price": "0.20"}


def test_a_meter_keeps_the_dimension_by_which_a_plan_prices_it(shop: Api) -> None:
    """The plan in force prices by station. Once a later version has taken its place, the meter may do without."""
    priced = PLAN | {"charges": [PER_UNIT | {"model": MATRIX}]}
    shop.put("/v1/plans/standard", priced)
    assert publish(shop).status_code == 200

    refused = shop.call("PUT", "/v1/meters/energy", ENERGY | {"dimensions": {}})

    assert (refused.status_code, slug(refused)) == (409, "conflict")
    assert "'energy' of plan 'standard'" in refused.json()["detail"]
    assert shop.get("/v1/meters/energy")["dimensions"] == ENERGY["dimensions"]
    shop.put("/v1/plans/standard", PLAN)
    assert publish(shop, effective_at="2026-11-01").status_code == 200
    assert shop.put("/v1/meters/energy", ENERGY | {"dimensions": {}})["dimensions"] == {}


def test_a_draft_that_its_meter_has_left_behind_is_not_published(shop: Api) -> None:
    shop.put("/v1/plans/standard", PLAN | {"charges": [PER_UNIT | {"model": MATRIX}]})
    shop.put("/v1/meters/energy", ENERGY | {"dimensions": {}})

    refused = publish(shop)

    assert (refused.status_code, slug(refused)) == (409, "conflict")
    assert "has no dimension 'station'" in refused.json()["detail"]


# --- plans -----------------------------------------------------------------------------------------------------------


def test_a_published_version_never_changes(shop: Api) -> None:
    assert shop.put("/v1/plans/standard", PLAN)["draft"] is True
    published = publish(shop).json()
    assert (published["version"], published["draft"]) == (1, False)
    shop.put("/v1/plans/standard", priced(type="per_unit", unit_price="0.99"))
    versions = shop.get("/v1/plans/standard/versions")["data"]
    assert [item["charges"][0]["model"]["unit_price"] for item in versions] == ["0.30"]
    assert shop.put("/v1/plans/standard", PLAN)["draft"] is False, "the terms of the version are no draft"


def test_publishing_again_publishes_nothing_more(shop: Api) -> None:
    shop.put("/v1/plans/standard", PLAN)
    first, again = publish(shop), publish(shop)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert shop.put("/v1/plans/standard", PLAN)["draft"] is False
    assert publish(shop, "2021-01-01T00:00:00Z").status_code == 409
    assert publish(shop, plan="none").status_code == 404


def test_a_version_begins_after_the_one_before_it(shop: Api) -> None:
    shop.put("/v1/plans/standard", PLAN)
    publish(shop)
    shop.put("/v1/plans/standard", priced(type="per_unit", unit_price="1"))
    assert pointers(publish(shop)) == ["#/effective_at"]
    assert pointers(publish(shop, "2019-01-01T00:00:00Z")) == ["#/effective_at"]
    assert publish(shop, "2021-01-01").json()["version"] == 2
    assert publish(shop, "2021-01-01T00:00:00Z").status_code == 200


def test_currency_interval_and_anchor_are_fixed_by_publishing(shop: Api) -> None:
    shop.put("/v1/plans/standard", PLAN)
    shop.put("/v1/plans/standard", PLAN | {"interval": "year"})
    shop.put("/v1/plans/standard", PLAN)
    publish(shop)
    for fields in ({"currency": "USD"}, {"interval": "year"}, {"interval_count": 2}, {"anchor": "anniversary"}):
        assert shop.call("PUT", "/v1/plans/standard", PLAN | fields).status_code == 409
    shop.put("/v1/plans/standard", PLAN | {"proration": "second"})


def test_a_version_may_not_begin_before_the_end_of_an_issued_period(subscribed: Api) -> None:
    """October is issued until 31 October 23:00 UTC, the beginning of November in Paris."""
    subscribed.bill("2026-11-01T00:00:00Z")
    subscribed.put("/v1/plans/standard", priced(type="per_unit", unit_price="1"))
    refused = publish(subscribed, "2026-10-15T00:00:00Z")
    assert (refused.status_code, slug(refused)) == (409, "period-already-issued")
    assert problem(refused)["issued_until"] == "2026-10-31T23:00:00Z"
    assert publish(subscribed, "2026-10-31T23:00:00Z").status_code == 200


# --- subscriptions ---------------------------------------------------------------------------------------------------

SUBSCRIPTION = {"tenant": "acme", "plan": "standard", "start": "2026-09-01"}


def test_a_date_is_the_local_midnight(subscribed: Api) -> None:
    body = SUBSCRIPTION | {"start": "2026-08-31T22:00:00Z", "end": "2026-12-31T23:00:00Z"}
    shown = subscribed.put("/v1/subscriptions/acme-1", body)
    assert (shown["start"], shown["end"]) == ("2026-09-01", "2027-01-01")
    odd = subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"start": "2026-09-01T10:17:00Z"})
    assert odd["start"] == "2026-09-01T10:17:00Z"


SUBSCRIPTION_FAULTS: list[Any] = [
    ({"tenant": "nobody", "plan": "none"}, ["#/tenant", "#/plan"]),
    ({"plan": "drafted"}, ["#/plan"]),
    ({"start": "2026-13-01"}, ["#/start"]),
    ({"start": "20260101"}, ["#/start"]),
    ({"start": None}, ["#/start"]),
    ({"start": "2019-12-31"}, ["#/start"]),
    ({"start": "2026-09-01T10:00:00"}, ["#/start"]),
    ({"start": "9999-09-01"}, ["#/start"]),
    ({"end": "2026-09-01"}, ["#/end"]),
    ({"end": "2026-08-01"}, ["#/end"]),
    ({"end": "never"}, ["#/end"]),
    ({"version": 2}, ["#/version"]),
    ({"version": 0}, ["#/version"]),
    ({"version": "1"}, ["#/version"]),
    ({"overrides": {"charges": {"none": {"allowance": "1"}}}}, ["#/overrides/charges/none"]),
    ({"overrides": {"charges": {"energy": {"allowance": "-1"}}}}, ["#/overrides/charges/energy/allowance"]),
    ({"overrides": {"charges": {"energy": {"meter": "x"}}}}, ["#/overrides/charges/energy/meter"]),
    ({"overrides": {"charges": {"energy": {"tax": "none"}}}}, ["#/overrides/charges/energy/tax"]),
    ({"overrides": {"charges": {"energy": {"model": {"type": "flat", "amount": "1"}}}}},
     ["#/overrides/charges/energy/meter"]),
    ({"overrides": {"energy": {}}}, ["#/overrides/energy"]),
    ({"seats": 5}, ["#/seats"]),
]  # fmt: skip


def test_a_subscription_with_a_fault_is_refused(subscribed: Api) -> None:
    subscribed.put("/v1/plans/drafted", PLAN)
    for fields, found in SUBSCRIPTION_FAULTS:
        answer = subscribed.call("PUT", "/v1/subscriptions/acme-1", SUBSCRIPTION | fields)
        assert pointers(answer) == found
        assert subscribed.get("/v1/subscriptions/acme-1")["start"] == "2026-09-01"


def test_plan_and_tenant_have_one_currency(subscribed: Api) -> None:
    subscribed.put("/v1/tenants/us", ACME | {"currency": "USD", "subjects": []})
    refused = subscribed.call("PUT", "/v1/subscriptions/us-1", SUBSCRIPTION | {"tenant": "us"})
    assert (refused.status_code, slug(refused)) == (422, "currency-mismatch")


def test_two_subscriptions_of_a_tenant_may_not_price_one_meter_at_one_time(subscribed: Api) -> None:
    refused = subscribed.call("PUT", "/v1/subscriptions/acme-2", SUBSCRIPTION | {"start": "2026-12-01"})
    assert (refused.status_code, slug(refused)) == (422, "subscriptions-overlap")
    subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"end": "2026-12-01"})
    subscribed.put("/v1/subscriptions/acme-2", SUBSCRIPTION | {"start": "2026-12-01"})
    again = subscribed.call("PUT", "/v1/subscriptions/acme-1", SUBSCRIPTION | {"end": "2026-12-02"})
    assert slug(again) == "subscriptions-overlap"


def test_a_version_that_would_price_a_meter_twice_is_not_published(subscribed: Api) -> None:
    """acme's other plan prices sessions only, until its second version would price energy too."""
    sessions = {"key": "sessions", "meter": "sessions", "model": {"type": "per_unit", "unit_price": "1"}}
    subscribed.put("/v1/plans/extra", PLAN | {"charges": [sessions]})
    publish(subscribed, plan="extra")
    subscribed.put("/v1/subscriptions/acme-2", SUBSCRIPTION | {"plan": "extra"})
    subscribed.put("/v1/plans/extra", PLAN | {"charges": [sessions, PER_UNIT]})
    assert slug(publish(subscribed, "2027-01-01T00:00:00Z", "extra")) == "subscriptions-overlap"
    subscribed.put("/v1/subscriptions/acme-2", SUBSCRIPTION | {"plan": "extra", "version": 1})
    assert publish(subscribed, "2027-01-01T00:00:00Z", "extra").status_code == 200


def test_overrides_hold_for_one_subscription(subscribed: Api) -> None:
    """10 kWh at 0.10 instead of 0.30: 1.00."""
    overrides = {"charges": {"energy": {"model": {"type": "per_unit", "unit_price": "0.10"}, "discount": None}}}
    shown = subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"overrides": overrides})
    assert shown["overrides"] == overrides
    subscribed.post("/v1/events", [event("a", data={"kwh": "10"})])
    subscribed.bill("2026-11-01T00:00:00Z")
    assert {invoice["net"] for invoice in subscribed.invoices(buyer="acme")} == {"0.00", "1.00"}


def test_overrides_that_a_new_version_would_break_stop_it(subscribed: Api) -> None:
    overrides = {"charges": {"energy": {"minimum": "10.00"}}}
    subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"overrides": overrides})
    subscribed.put("/v1/plans/standard", PLAN | {"charges": [PER_UNIT | {"maximum": "5.00"}]})
    refused = publish(subscribed, "2027-01-01T00:00:00Z")
    assert (refused.status_code, problem(refused)["subscription"]) == (409, "acme-1")


def test_what_is_billed_fixes_tenant_plan_and_start(subscribed: Api) -> None:
    subscribed.put("/v1/plans/other", PLAN)
    publish(subscribed, plan="other")
    subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"start": "2026-09-15"})
    subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION)
    subscribed.bill("2026-11-01T00:00:00Z")
    for fields in ({"start": "2026-09-02"}, {"plan": "other"}, {"tenant": "garage"}):
        assert subscribed.call("PUT", "/v1/subscriptions/acme-1", SUBSCRIPTION | fields).status_code == 409
    refused = subscribed.call("PUT", "/v1/subscriptions/acme-1", SUBSCRIPTION | {"end": "2026-10-20"})
    assert (refused.status_code, slug(refused)) == (409, "period-already-issued")
    subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"end": "2026-11-01"})
    subscribed.put("/v1/subscriptions/acme-2", SUBSCRIPTION | {"start": "2026-11-01"})


def test_a_subscription_moves_to_another_tenant_while_nothing_is_billed(subscribed: Api) -> None:
    subscribed.put("/v1/subscriptions/acme-1", SUBSCRIPTION | {"tenant": "garage"})
    assert subscribed.get("/v1/subscriptions/acme-1")["tenant"] == "garage"
    assert subscribed.get("/v1/subscriptions", tenant="acme")["data"] == []
    assert [row["key"] for row in subscribed.get("/v1/subscriptions", plan="standard")["data"]] == ["acme-1"]


def test_a_tenant_in_another_zone_leaves_what_is_billed_alone(subscribed: Api) -> None:
    """The same document sent again, after Paris became New York, changes nothing."""
    body = SUBSCRIPTION | {"end": "2026-11-01"}
    subscribed.put("/v1/subscriptions/acme-1", body)
    subscribed.bill("2026-11-01T00:00:00Z")
    subscribed.put("/v1/tenants/acme", ACME | {"time_zone": "America/New_York"})
    before = subscribed.get("/v1/subscriptions/acme-1")
    assert (before["start"], before["end"]) == ("2026-08-31T22:00:00Z", "2026-10-31T23:00:00Z")
    assert subscribed.put("/v1/subscriptions/acme-1", body) == before
