"""The schema of the catalog and the parsers of the catalog say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from app.wire.catalog_file import InvalidCatalogFile, _Document, parse_catalog_file
from app.wire.catalog_schema import catalog_schema, catalog_schema_text
from app.wire.parsing import Fields, NumberText

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/**/catalog*.yaml"))
HEREDOC = re.compile(r"^cat > (\S*catalog\S*\.yaml) <<'END'\n(.*?)^END$", re.MULTILINE | re.DOTALL)
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if HEREDOC.search(path.read_text())
)
SCHEMA = catalog_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

FULL: dict[str, Any] = {
    "tenants": {
        "garage": {
            "key": "garage", "name": "Garage", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr",
            "operator": True, "tax": "standard",
            "legal": {
                "name": "Garage SAS", "registration": "552100554", "vat_number": "FR61552100554",
                "address": {"line1": "2 rue", "line2": "B", "postcode": "35000", "city": "Rennes", "country": "FR"},
                "siret": "55210055400013", "legal_form": "SAS", "register": "RCS", "register_town": "Rennes",
                "share_capital": {"amount": "10000", "currency": "EUR"}, "vat_regime": "on_debits",
                "electronic_address": {"scheme": "0225", "id": "552100554"}, "bic": "BNPAFRPP",
                "iban": "FR7630006000011234567890189", "payment_terms": {"days": 30, "end_of_month": True},
                "penalty_terms": "3 x", "discount_terms": "none", "recovery_terms": "40 EUR", "colour": "#1a4d8f",
                "contacts": [{"name": "A", "email": "a@garage.example", "phone": "+33 1"}],
                "logo": {"media_type": "image/svg+xml", "digest": "0" * 64, "data": None},
            },
            "billing_address": {"line1": "3 rue", "postcode": "35000", "city": "Rennes", "country": "FR"},
            "delivery_address": {"line1": "4 rue", "postcode": "35000", "city": "Rennes", "country": "FR"},
            "bill_to": "group", "parent": "group", "purchase_order_required": True, "missing": {}, "invalid": [],
            "purchase_orders": [
                {"number": "4711", "valid_from": "2026-01-01", "valid_to": "2026-12-31", "cap": "5000.00"},
            ],
            "purchase_order": "4711", "buyer_reference": "R", "contract_reference": "C", "project_reference": "P",
            "cost_centre": "CC",
            "numbering": {"pattern": "F{year}/{seq:06}", "credit_note": "A{year}{month}-{seq}", "invoice": None,
                          "statement": None},
            "vat_check": {"date": "2026-11-02", "valid": True, "vat_number": "FR1", "source": "VIES",
                          "consultation_number": "WAPI"},
            "subjects": ["badge-1", {"subject": "badge-2", "from": "2026-05-01T00:00:00Z"}],
        },
    },
    "resources": {"charger-1": {"key": "charger-1", "name": "Charger", "kind": "equipment", "owner": "garage",
                               "place": "FR"}},
    "meters": {
        "energy": {
            "key": "energy", "name": "Energy", "event_type": "session", "aggregation": "sum", "property": "$.kwh",
            "unit": "kWh", "unit_code": "KWH", "dimensions": {"station": "$.station"}, "revision": 3, "state": "active",
            "filter": [
                {"property": "$.a", "operator": "eq", "value": "ok"},
                {"property": "$.b", "operator": "in", "value": ["ok", 1, True]},
                {"property": "$.c", "operator": "gte", "value": 5},
            ],
            "rounding": {"mode": "up", "scale": 2},
        },
        "tokens": {
            "event_type": "call", "aggregation": "avg", "expression": "$.in + 4 * $.out", "property": None, "unit": "B",
            "convert": {"divide_by": "1073741824", "unit": "GiB"},
        },
        "peaks": {
            "event_type": "load", "aggregation": "sum", "property": "$.kw", "unit": "kW",
            "window": {"aggregation": "max", "per": "hour"},
        },
        "bandwidth": {
            "event_type": "load", "aggregation": "percentile", "property": "$.b", "unit": "B", "percentile": "95",
            "interval": "5m", "interval_aggregation": "avg",
        },
        "members": {
            "event_type": "door", "aggregation": "unique", "property": "$.who", "operation": "$.what", "unit": "member",
        },
        "seats": {
            "event_type": "plan", "aggregation": "time_weighted", "expression": "$.a + $.b", "unit": "h", "per": "day",
        },
        "washing": {
            "event_type": "wash", "aggregation": "duration", "property": "$.what", "unit": "h", "per": "hour",
            "session": "$.slot", "start_value": "start", "end_value": True, "longest": "24h",
        },
        "total": {"event_type": "reading", "aggregation": "counter", "property": "$.total", "unit": "kWh"},
        "sessions": {"event_type": "session", "aggregation": "count", "property": None, "unit": "session"},
    },
    "tax_rates": {
        "standard": {"key": "standard", "category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"},
        "export": {"category": "G", "rate": None, "country": "FR", "start": "2014-01-01",
                   "exemption": {"code": "VATEX-EU-G", "reason": "Export"}},
        "rising": {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01",
                   "changes": [{"start": "2030-01-01", "rate": "21"}]},
    },
    "exchange_rates": {
        "usd-1": {"key": "usd-1", "from": "USD", "to": "EUR", "date": "2026-11-02", "rate": "0.92", "source": "ECB"},
    },
    "coupons": {
        "tenth": {
            "key": "tenth", "name": "A tenth", "percent": "10", "amount": None, "currency": None, "quantity": None,
            "charges": ["energy"], "periods": 3, "redeem_by": "2027-01-01",
        },
    },
    "plans": {
        "basic": {
            "key": "basic", "name": "Basic", "currency": "EUR", "interval": "month", "anchor": "anniversary",
            "proration": "second", "version": 1, "versions": [], "draft": False,
            "publish": {"effective_at": "2026-01-01"}, "minimum": "10", "maximum": "900",
            "allowances": [
                {"key": "pot", "quantity": "5", "charges": ["energy"], "rollover": {"periods": 1, "cap": "3"}},
            ],
            "commitment": {"amount": "100", "periods": 12, "overage_factor": "1.5"},
            "charges": [
                {"key": "access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"},
                {
                    "key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.30"},
                    "allowance": "10", "minimum": "5", "maximum": "500", "limit": "900", "discount": {"percent": "10"},
                    "tax": "standard", "timing": "arrears", "description": "Energy", "supply": "goods", "place": "FR",
                    "rollover": {"periods": 2, "cap": "5"},
                },
                {
                    "key": "tiers", "meter": "energy", "discount": {"amount": "1"},
                    "model": {"type": "graduated", "tiers": [
                        {"up_to": "100", "unit_price": "0.30", "flat": "1"}, {"up_to": None, "unit_price": "0.2"},
                    ]},
                },
                {
                    "key": "all", "meter": "energy",
                    "model": {"type": "volume", "tiers": [{"up_to": None, "unit_price": "0.2", "flat": "1"}]},
                },
                {
                    "key": "package", "meter": "sessions",
                    "model": {"type": "package", "size": 10, "price": 5, "round": "down"},
                },
                {
                    "key": "share", "meter": "energy",
                    "model": {
                        "type": "percentage", "rate": "1.5", "fixed": "0.25", "free_events": 3, "free_units": "100",
                        "event_minimum": "0.5", "event_maximum": "10",
                    },
                },
                {
                    "key": "shares", "meter": "energy",
                    "model": {"type": "graduated_percentage", "tiers": [
                        {"up_to": "100", "rate": "2", "flat": "1"}, {"up_to": None, "rate": "1"},
                    ]},
                },
                {
                    "key": "cells", "meter": "energy",
                    "model": {"type": "matrix", "default_unit_price": "0.4", "cells": [
                        {"when": {"station": "12"}, "unit_price": "0.3"}, {"when": {"station": 7}, "unit_price": 0.2},
                    ]},
                },
                {
                    "key": "times", "meter": "energy",
                    "model": {"type": "time_of_use", "default_unit_price": "0.2", "holidays": ["2026-12-25"], "rates": [
                        {"weekdays": ["mon", 2, "holiday"], "hours": ["08:00", "20:00"], "months": [6, 7],
                         "unit_price": "0.5"},
                    ]},
                },
                {
                    "key": "level", "meter": "energy",
                    "model": {"type": "capacity", "tiers": [
                        {"up_to": "100", "flat": "10"}, {"up_to": None, "unit_price": "20"},
                    ]},
                },
                {"key": "passed-on", "meter": "energy", "model": {"type": "dynamic", "multiplier": "1.2"}},
                {
                    "key": "reserved", "meter": "energy",
                    "model": {
                        "type": "reservation", "reserved": "100", "unit_price": "2", "overage_unit_price": "3",
                    },
                },
            ],
        },
    },
    "subscriptions": {
        "garage-1": {
            "key": "garage-1", "tenant": "garage", "plan": "basic", "start": "2026-01-01",
            "end": "2027-01-01T00:00:00Z", "version": 1, "cost_centre": "CC",
            "overrides": {"charges": {
                "energy": {
                    "model": {"type": "per_unit", "unit_price": "0.25"}, "allowance": "20", "minimum": None,
                    "maximum": "9", "limit": "5", "discount": {"percent": "5"}, "tax": "standard",
                    "description": "Ours", "rollover": {"periods": 1}, "supply": "goods", "place": "FR",
                },
            }},
        },
    },
    "alerts": {
        "near": {
            "key": "near", "tenant": "garage", "measure": "quantity", "meter": "energy", "thresholds": ["80", 100],
            "percent_of": "allowance", "recurring": False, "enabled": True,
        },
        "dear": {"plan": "basic", "measure": "amount", "charge": "energy", "thresholds": ["50.00"]},
    },
}  # fmt: skip
"""A catalog with every field there is."""


def plain(value: Any) -> Any:
    """The document as an editor sees it: a number is a number."""
    if isinstance(value, NumberText):
        return Decimal(value) if "." in value else int(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def faults(text: str) -> list[str]:
    """What the parsers find wrong; JSON is YAML."""
    try:
        parse_catalog_file(text, "catalog.yaml")
    except InvalidCatalogFile as error:
        return [fault.detail for fault in error.faults]
    return []


# --- the schema itself -----------------------------------------------------------------------------------------------


def test_the_schema_is_one_and_is_checked_in_as_the_code_makes_it():
    Draft202012Validator.check_schema(SCHEMA)
    assert (ROOT / "openapi" / "catalog.schema.json").read_text() == catalog_schema_text()


@pytest.mark.parametrize("file", EXAMPLES)
def test_every_example_is_valid(file):
    VALIDATOR.validate(plain(_Document(file).read((ROOT / file).read_text())))


@pytest.mark.parametrize("page", PAGES)
def test_every_catalog_that_a_page_writes_is_valid(page):
    for name, text in HEREDOC.findall((ROOT / page).read_text()):
        VALIDATOR.validate(plain(_Document(name).read(text)))


def test_the_readme_and_the_tutorial_write_a_catalog():
    assert {"README.md", "docs/tutorial.md"} <= set(PAGES)


# --- and the parsers -------------------------------------------------------------------------------------------------


def test_the_schema_has_the_fields_that_the_parsers_read(monkeypatch):
    """A field that a parser comes to read is missing in the schema until somebody writes down what it means."""
    read: dict[str, set[str]] = {}
    for method in (Fields.raw, Fields.ignore):
        monkeypatch.setattr(Fields, method.__name__, _recording(method, read))

    assert faults(json.dumps(FULL)) == []

    declared = {place: names for place in read if (names := _properties(place))}
    assert {place: names for place, names in read.items() if place in declared} == declared
    assert {"#/tenants/garage/legal/address", "#/plans/basic/charges/2/model/tiers/0"} <= set(read)


def _recording(method: Any, read: dict[str, set[str]]) -> Any:
    def recorded(self: Fields, *names: str) -> Any:
        read.setdefault(self.pointer, set()).update(names)
        return method(self, *names)

    return recorded


def _properties(place: str) -> set[str] | None:
    """The fields of the object at the place; None for a map whose names are anybody's choice."""
    document: Any = FULL
    schema: Any = SCHEMA
    for part in place.split("/")[1:]:
        document = document[int(part)] if isinstance(document, list) else document[part]
        schema = _below(_chosen(schema, document), part, document)
    schema = _chosen(schema, document)
    names = set(schema.get("properties", {}))
    if place.startswith("#/plans/") and place.count("/") == 2:
        names -= {"publish"}  # the file's own word, taken out before the plan is read
    return names or None


def _below(schema: Any, part: str, document: Any) -> Any:
    if part.isdigit():
        return _chosen(schema["items"], document)
    named = schema.get("properties", {})
    return _chosen(named[part] if part in named else schema["additionalProperties"], document)


def _chosen(schema: Any, document: Any) -> Any:
    """The schema with its reference followed, and of alternatives the one that the document obeys."""
    while True:
        options = schema.get("anyOf") or schema.get("oneOf")
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
        elif options:
            schema = next(each for each in options if _obeys(document, each))
        else:
            return schema


def _obeys(document: Any, schema: Any) -> bool:
    valid: bool = VALIDATOR.evolve(schema=schema | {"$defs": SCHEMA["$defs"]}).is_valid(document)
    return valid


OF_MEANING = re.compile(
    r"must lie between|there is no day|is not the key in the address|stands here twice|is tenant '|lies between 0|"
    r"has at most \d+ decimals|category .* is|minimum is above|is 0 or more|is above 0|at most \d+ decimals|"
    r"another charge has the key|another cell has|tier|"
    r"must be the name of a time zone|not a time that exists|that prices use|named twice|there is no allowance|"
    r"a coupon has one|an amount has a currency|only an amount has|a percentage is above|is committed|"
    r"a factor lies|key 'true-up'|"
    r"an alert watches|whose (quantity|balance) is watched|only an amount is|an amount (is a|has no)|what is left is|"
    r"a commitment is about|"
    r"cannot be printed|is no expression|is the same as start_value|does not divide a day|is longer than|"
    r"must be a number within bounds|"
    r"a (logo|contact) has|is no (IBAN|BIC|PNG|SVG)|must be (base64|an e-mail address)|is before `|"
    r"is the tenant itself|a rate (is above|has at most)|is the currency that|and stays so|is not exempt|"
    r"changes go forward|there is none in `legal`|right before|"
    r"gives numbers of|begins as"
)
"""Faults of what is said, not of its form: these the schema may miss."""

JUDGED_WITH_THE_PLAN = ("overrides",)
"""What a subscription has otherwise is put into its plan and judged there; the schema judges it at once."""

WRONG: tuple[Any, ...] = (
    None, True, 5, -1, 0.5, "", " ", "x", "a/b", "1e3", "5", "2026-01-01", "2026-01-01T00:00:00Z", "$.x", "EUR", "FR",
    [], ["x"], [None], {}, {"x": 1}, [{"x": 1}],
)  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*place, name)
        yield from _places(item, (*place, name))


def _alone(catalog: Any, place: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Of a plan's many charges only the one that the place lies in, and the place in that catalog: what one charge says
    is judged without the others."""
    if place[0] != "plans" or place[2:3] != ("charges",) or place[-1] == "charges":
        return catalog, place
    _, key, _, index, *below = place
    plan = catalog["plans"][key]
    return {"plans": {key: plan | {"charges": [plan["charges"][index]]}}}, ("plans", key, "charges", 0, *below)


def _changed(catalog: Any, place: tuple[Any, ...]) -> Iterator[Any]:
    """The catalog with one thing other than it was: other values, nothing, or a misspelt name."""
    for wrong in (*WRONG, "left out", "misspelt"):
        document = deepcopy(catalog)
        above: Any = document
        for part in place[:-1]:
            above = above[part]
        if wrong == "left out":
            del above[place[-1]]
        elif wrong != "misspelt":
            above[place[-1]] = wrong
        elif isinstance(above, dict):
            above[f"{place[-1]}x"] = above.pop(place[-1])
        yield document


@pytest.mark.parametrize("section", FULL)
def test_the_schema_refuses_what_the_parsers_refuse_for_its_form_and_nothing_else(section):
    """One thing changed at a time, everywhere: it accepts what they do, and what it accepts has no fault of form."""
    judged = set()
    catalog = {section: FULL[section]}
    for place in _places(catalog):
        for document in _changed(*_alone(catalog, place)):
            text = json.dumps(document)
            found = faults(text)
            accepted = VALIDATOR.is_valid(json.loads(text, parse_float=Decimal))
            of_form = [detail for detail in found if not OF_MEANING.search(detail)]
            assert accepted or found or place[2:3] == JUDGED_WITH_THE_PLAN, (place, document)
            assert not (accepted and of_form), (place, of_form)
            judged.add((accepted, bool(found)))

    assert {(True, False), (False, True)} <= judged
