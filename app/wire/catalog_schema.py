"""The shape of the YAML catalog as a JSON Schema (draft 2020-12), for editors that complete and check as one types.

    # yaml-language-server: $schema=catalog.schema.json
    tenants:
      acme: {name: Acme, currency: EUR, time_zone: Europe/Paris}

It says of each object which fields there are, which are needed, and of what form each is. Rules between objects (is
there such a meter?) and between numbers (is the minimum above the maximum?) are not in it: `quotepart apply --dry-run`
knows them. What the parsers beside this module accept, the schema accepts; what they refuse for its form, it refuses
too. tests/docs/test_catalog_schema.py holds the two together.

Null is the same as absent, here as there. A plain YAML number may stand where a text or a decimal number is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.domain.alerts import BASES, MAX_THRESHOLDS, MEASURES
from app.domain.allowances import MAX_ROLLOVER_PERIODS
from app.domain.charge_models.models import DAY_NAMES
from app.domain.coupons import MAX_COUPON_PERIODS
from app.domain.expressions import MAX_LENGTH
from app.domain.meters import AGGREGATIONS, FILTER_OPERATORS, MAX_DIMENSION_LENGTH, WITHIN_INTERVALS, Aggregation
from app.domain.money import CURRENCY_DECIMALS
from app.domain.numbering import NUMBERED_TYPES, PATTERN
from app.domain.parties import REFERENCE_NAMES, VAT_REGIMES
from app.domain.plan_totals import MAX_TERM_PERIODS
from app.domain.plans import MAX_INTERVAL_COUNT, MAX_TRIAL_DAYS
from app.domain.tax import CATEGORIES, SUPPLIES
from app.domain.tenants import INVOICE_COLLECTIONS, LANGUAGES, RESOURCE_KINDS
from app.wire.aggregations import MAX_MARKER_LENGTH, NEEDED, OPTIONAL, PER, SPECIAL_FIELDS
from app.wire.charge_models import MAX_CELLS, MAX_HOLIDAYS, MAX_RATES, MAX_TIERS
from app.wire.coupons import MAX_COUPON_CHARGES
from app.wire.mail import MAX_ADDRESSES
from app.wire.meters import MAX_DIMENSIONS, MAX_FILTERS
from app.wire.parsing import MAX_ITEMS, MAX_KEY_LENGTH
from app.wire.parties import (
    BASE64,
    COLOUR,
    DIGEST,
    LOGO_TYPES,
    MAX_CONTACTS,
    MAX_PURCHASE_ORDERS,
    MAX_TERM_DAYS,
    MAX_TERM_TEXT,
    SCHEME,
)  # fmt: skip
from app.wire.plans import INTERVALS, MAX_ALLOWANCES, MAX_CHARGES
from app.wire.subscriptions import LATE_POLICIES, MAX_CHANGES, MAX_HORIZON_DAYS
from app.wire.tax_rates import MAX_RATE_CHANGES, VATEX
from app.wire.tenants import MAX_GRACE_HOURS

Schema = dict[str, Any]

_KEY = r"^(?!\.\.?$)[^\s/]([^/]*[^\s/])?$"
_DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_CLOCK}"
_DATE_OR_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([Tt]{_CLOCK})?$"
_PATH = r"^\$(\.[A-Za-z_][A-Za-z0-9_-]*|\['[^'\x00-\x1f]+'\]|\[[0-9]{1,4}\])+$"


def catalog_schema_text() -> str:
    """The schema in the form in which it is checked in."""
    return json.dumps(catalog_schema(), indent=2, ensure_ascii=False) + "\n"


def catalog_schema() -> Schema:
    sections = {
        "tenants": _section("Companies: they are billed, own resources, and one of them sells.", "tenant"),
        "resources": _section("Shared things that use is measured on.", "resource"),
        "meters": _section("Rules that turn events into quantities.", "meter"),
        "tax_rates": _section("VAT rates that charges and tenants name.", "tax_rate"),
        "exchange_rates": _section("What currencies were worth on single days.", "exchange_rate"),
        "coupons": _section("Coupons, which are applied over HTTP.", "coupon"),
        "plans": _section("Plans: what is charged for, at which price.", "plan"),
        "subscriptions": _section("Which tenant is on which plan, and since when.", "subscription"),
        "alerts": _section("Thresholds that are noticed when a tenant crosses them.", "alert"),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Quotepart catalog",
        "description": "What `quotepart apply` reads. What the file does not name stays as it is.",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": sections,
        "$defs": {
            "currency": {"description": "ISO 4217 code of a currency.", "enum": sorted(CURRENCY_DECIMALS)},
            "tenant": _tenant(), "legal": _legal(), "contact": _contact(), "address": _address(),
            "purchase_order": _purchase_order(), "draft_rules": _draft_rules(), "resource": _resource(),
            "meter": _meter(), "filter": _filter(), "rounding": _rounding(),
            "conversion": _conversion(), "window": _window(), "tax_rate": _tax_rate(),
            "exchange_rate": _exchange_rate(),
            "plan": _plan(), "publication": _publication(), "charge": _charge(), "model": _model(), "tier": _tier(),
            "discount": _discount(), "coupon": _coupon(), "rollover": _rollover(), "allowance": _allowance(),
            "commitment": _commitment(),
            "subscription": _subscription(), "overrides": _overrides(), "change": _change(), "trial": _trial(),
            "late_usage": _late_usage(), "alert": _alert(),
        },
    }  # fmt: skip


# --- pieces ----------------------------------------------------------------------------------------------------------


def _section(description: str, of: str) -> Schema:
    """Objects by their keys. A key is a part of an address, so it has no slash."""
    return {
        "description": description,
        "type": ["object", "null"],
        "propertyNames": {"pattern": _KEY, "maxLength": MAX_KEY_LENGTH},
        "additionalProperties": {"$ref": f"#/$defs/{of}"},
    }


def _object(
    description: str, *, required: dict[str, Schema], optional: dict[str, Schema] | None = None, **further: Any
) -> Schema:
    """An object with these fields and no others; an optional one may be null."""
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": required | {name: _or_null(schema) for name, schema in (optional or {}).items()},
        **further,
    }


_NOTHING: Schema = {"type": "null"}


def _or_null(schema: Schema) -> Schema:
    if schema is _NOTHING:
        return schema
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return schema | {"type": [*kinds, "null"]}
    said = {name: value for name, value in schema.items() if name == "description"}
    return said | {"anyOf": [{name: schema[name] for name in schema if name not in said}, _NOTHING]}


def _text(description: str, *, longest: int = 255, **further: Any) -> Schema:
    return {
        "description": description, "type": ["string", "number"], "minLength": 1, "maxLength": longest,
        "pattern": r"\S", **further,
    }  # fmt: skip


def _key(description: str) -> Schema:
    return _text(description, longest=MAX_KEY_LENGTH) | {"pattern": _KEY}


def _written(description: str, pattern: str, *examples: str) -> Schema:
    return {"description": description, "type": "string", "pattern": pattern, "examples": list(examples)}


def _decimal(description: str, *examples: str) -> Schema:
    """A number without exponent. Quoted in the examples, as no program on the way can then make a float of it."""
    return {
        "description": description, "type": ["string", "number"], "pattern": _DECIMAL, "maxLength": 60,
        "examples": list(examples),
    }  # fmt: skip


def _path(description: str) -> Schema:
    return _written(description, _PATH, "$.kwh", "$.usage.kwh", "$['odd name']") | {"maxLength": 500}


def _choice(description: str, options: Sequence[str], **further: Any) -> Schema:
    return {"description": description, "enum": list(options), **further}


def _list(description: str, items: Schema, **further: Any) -> Schema:
    return {"description": description, "type": "array", "items": items, **further}


def _ref(name: str, description: str = "") -> Schema:
    reference = {"$ref": f"#/$defs/{name}"}
    return {"description": description} | reference if description else reference


_OWN_KEY = _text("The key under which it stands, as answers show it. Leave it out.", readOnly=True)


def _shown(*names: str) -> dict[str, Schema]:
    """Facts that answers show and that nobody can set: they may be sent back, and say nothing."""
    shown: Schema = {"description": "Shown by the service; says nothing here. Leave it out.", "readOnly": True}
    return dict.fromkeys(names, shown)


# --- tenants and resources -------------------------------------------------------------------------------------------


def _tenant() -> Schema:
    subject = _object(
        "A subject that is the tenant's from an instant on only.",
        required={"subject": _text("As events name it.")},
        optional={
            "from": _written("From when; absent: from now, or from 1970 where nobody had it before.", _INSTANT,
                             "2026-05-01T00:00:00Z"),
        },
    )  # fmt: skip
    return _object(
        "A company.",
        required={
            "name": _text("The name to show."),
            "currency": _ref("currency", "What it is billed in (ISO 4217). Fixed from its first subscription."),
            "time_zone": _written("The name of its time zone (IANA). Days and months are local ones.", r"^[A-Za-z]",
                                  "Europe/Paris", "UTC"),
        },
        optional={
            "language": _choice("The language of its documents.", LANGUAGES, default="en"),
            "operator": {"description": "True for the one tenant that sells.", "type": "boolean", "default": False},
            "legal": _ref("legal", "What the law wants on a document."),
            "subjects": _list("Other event subjects whose use it pays for; its own key is always one.",
                              {"anyOf": [_text("As events name it."), subject]},
                              maxItems=MAX_ITEMS, uniqueItems=True),
            "tax": _key("The tax rate of charges that name none, where this tenant sells."),
            "billing_address": _ref("address", "Where documents go, if not to its legal address."),
            "delivery_address": _ref("address", "Where it is served, if not at its legal address."),
            "bill_to": _key("The tenant that pays for it."),
            "parent": _key("The tenant that it belongs to."),
            "purchase_orders": _list("Its orders; each document names one that covers it.", _ref("purchase_order"),
                                     maxItems=MAX_PURCHASE_ORDERS),
            "purchase_order_required": {"description": "True where nothing may be issued without an order.",
                                        "type": "boolean", "default": False},
            "invoice_email": _list("The e-mail addresses that its documents are sent to.", _text("An e-mail address."),
                                   maxItems=MAX_ADDRESSES),
            "invoice_collection": _choice(
                "What shares an invoice: what one subscription owes at a billing instant, or what all of the tenant "
                "do.", INVOICE_COLLECTIONS, default="subscription"),
            **_references(),
            "numbering": _object(
                "Patterns of the numbers of documents, where it sells; a type that is named has a series of its own.",
                required={},
                optional={name: _written("Ends with the sequence.", PATTERN, "{year}-{seq:06}")
                          for name in ("pattern", *NUMBERED_TYPES)}),
            "vat_check": _object(
                "What a register said of the VAT number.",
                required={"date": _written("On which day.", _DATE, "2026-11-02"),
                          "valid": {"description": "Whether there is such a number.", "type": "boolean"}},
                optional={"vat_number": _text("The number; absent: that of `legal`.", longest=50),
                          "source": _text("The register.", examples=["VIES"]),
                          "consultation_number": _text("Its proof of the question.")}),
            "drafts": _ref("draft_rules", "How drafts become documents, of all that it sells and buys."),
            "key": _OWN_KEY,
            **_shown("missing", "invalid"),
        },
    )  # fmt: skip


def _legal() -> Schema:
    return _object(
        "What the law wants on a document.",
        required={"name": _text("The registered name.")},
        optional={
            "registration": _text("The registration number, such as a French SIREN.", longest=100),
            "siret": _text("The number of the establishment.", longest=50, examples=["73282932000074"]),
            "vat_number": _text("The VAT number.", longest=50, examples=["FR44732829320"]),
            "address": _ref("address", "The registered address."),
            "legal_form": _text("The legal form.", examples=["SAS"]),
            "share_capital": _object("The share capital.", required={
                "amount": _decimal("The amount.", "10000"), "currency": _ref("currency", "Its currency.")}),
            "register": _text("The company register.", examples=["RCS"]),
            "register_town": _text("The town whose register it is.", examples=["Grenoble"]),
            "vat_regime": _choice("How it owes VAT where it sells.", VAT_REGIMES),
            "electronic_address": _object("Where e-invoices go.", required={
                "scheme": _written("A code of the list of electronic address schemes (EAS).", SCHEME, "0225")
                | {"type": ["string", "number"], "minimum": 10, "maximum": 9999, "multipleOf": 1},
                "id": _text("The address in that scheme.", examples=["732829320"])}),
            "iban": _text("The account that is paid to.", longest=50),
            "bic": _text("The bank of that account.", longest=20),
            "payment_terms": _object(
                "When what it sells, or is sold, is due.",
                required={"days": _whole("So many days after issue.", 0, MAX_TERM_DAYS)},
                optional={"end_of_month": {"description": "And then at the end of that month.", "type": "boolean",
                                           "default": False}}),
            "penalty_terms": _text("What is owed for paying late.", longest=MAX_TERM_TEXT),
            "discount_terms": _text("What is taken off for paying early, or that nothing is.", longest=MAX_TERM_TEXT),
            "recovery_terms": _text("The flat fee for recovery.", longest=MAX_TERM_TEXT),
            "contacts": _list("Whom to ask.", _ref("contact"), maxItems=MAX_CONTACTS),
            "logo": _object(
                "The picture on documents.", required={"media_type": _choice("Its type.", LOGO_TYPES)},
                optional={"data": _written("The bytes, as base64.", BASE64),
                          "digest": _written("SHA-256 of the bytes of one that is kept.", DIGEST)}),
            "colour": _written("The colour of documents.", COLOUR, "#1a4d8f"),
        },
    )  # fmt: skip


def _contact() -> Schema:
    return _object(
        "Whom to ask: a name, an e-mail address or a telephone number at least.", required={},
        optional={"name": _text("The name."), "email": _text("The e-mail address."), "phone": _text("The number.")},
    )  # fmt: skip


def _purchase_order() -> Schema:
    return _object(
        "An order of the tenant.",
        required={"number": _text("Its number.", longest=100)},
        optional={
            "valid_from": _written("The first day on which a document may name it.", _DATE, "2026-01-01"),
            "valid_to": _written("The last such day.", _DATE, "2026-12-31"),
            "cap": _decimal("The net of all documents that may name it.", "5000.00"),
        },
    )


def _draft_rules() -> Schema:
    return _object(
        "How drafts become documents.", required={},
        optional={
            "approval": {"description": "A draft is issued only once what it says is approved.", "type": "boolean",
                         "default": False},
            "grace_hours": _whole("A draft is issued by itself so many hours after it was first made.", 0,
                                  MAX_GRACE_HOURS),
        },
    )  # fmt: skip


def _references() -> dict[str, Schema]:
    said = {
        "purchase_order": "The purchase order that documents name, whatever the orders are.",
        "buyer_reference": "What the buyer routes documents by.",
        "contract_reference": "The contract.",
        "project_reference": "The project.",
        "cost_centre": "The cost centre, or account, of the buyer.",
    }
    return {name: _text(said[name], longest=100) for name in REFERENCE_NAMES}


def _address() -> Schema:
    return _object(
        "A complete address.",
        required={
            "line1": _text("Street and number."),
            "postcode": _text("The postcode; quoted, so that 01000 keeps its zero.", longest=40),
            "city": _text("The city."),
            "country": _written("ISO 3166 code of the country.", "^[A-Z]{2}$", "FR"),
        },
        optional={"line2": _text("A second line.")},
    )


def _resource() -> Schema:
    return _object(
        "A shared thing that use is measured on.",
        required={
            "name": _text("The name to show."),
            "kind": _choice("What it is.", RESOURCE_KINDS),
            "owner": _key("The tenant that owns it."),
        },
        optional={
            "place": _written("ISO 3166 code of the country where it stands.", "^[A-Z]{2}$", "FR"),
            "key": _OWN_KEY,
        },
    )


# --- meters ----------------------------------------------------------------------------------------------------------


def _meter() -> Schema:
    dimensions: Schema = {
        "description": "Properties by which use is split: a name, and where in the event's data it stands.",
        "type": "object",
        "maxProperties": MAX_DIMENSIONS,
        "propertyNames": {"pattern": r"\S", "maxLength": 100},
        "additionalProperties": _path("Where it stands in the event's data."),
    }
    return _object(
        "A rule that turns events of one type into a quantity.",
        required={
            "event_type": _text("The type of the events that it measures."),
            "aggregation": _choice("How events become one quantity.", AGGREGATIONS),
            "unit": _text("The unit of the quantity, as documents print it.", examples=["kWh", "h"]),
        },
        optional={
            "property": _path("Where in the event's data the measured value stands. Not needed for `count`."),
            "expression": _text("A number made of the event's data, in place of `property`.", longest=MAX_LENGTH,
                                examples=["$.input_tokens + 4 * $.output_tokens", "max($.minutes - 30, 0)"]),
            "window": _ref("window", "What is aggregated first, in each interval apart."),
            "percentile": _decimal("Of the values of the intervals, by nearest rank.", "95"),
            "interval": _intervals("The intervals whose values a percentile is of."),
            "interval_aggregation": _choice("How the value of an interval is made; absent: `sum`.", WITHIN_INTERVALS),
            "operation": _path("Where an event says `add` or `remove`; absent: `add`."),
            "per": _choice("The unit of time of a level or a duration; absent: `hour`.", PER),
            "session": _path("What start and end of a session have in common."),
            "start_value": _marker("What `property` says at the start of a session."),
            "end_value": _marker("What `property` says at its end."),
            "longest": _written("How long a session without an end is taken to last; absent: 90d.",
                                "^[1-9][0-9]{0,6}[smhd]$", "24h", "90d"),
            "name": _text("The name to show."),
            "unit_code": _text("Code of the unit (UN/ECE Recommendation 20).", longest=3, examples=["KWH", "HUR"]),
            "dimensions": dimensions,
            "filter": _list("Conditions that must all hold for an event to be measured.", _ref("filter"),
                            maxItems=MAX_FILTERS),
            "convert": _ref("conversion", "In which unit the quantity is billed."),
            "rounding": _ref("rounding", "How the quantity is rounded, once, before it is priced."),
            "key": _OWN_KEY,
            **_shown("revision", "state"),
        },
        allOf=[_of_aggregation(name) for name in AGGREGATIONS],
    )  # fmt: skip


def _of_aggregation(name: Aggregation) -> Schema:
    """What a meter of this aggregation has: no field of another one, and one of the ways to say what is measured."""
    own = (*NEEDED.get(name, ()), *OPTIONAL.get(name, ()))
    others: Schema = {"properties": {field: _NOTHING for field in SPECIAL_FIELDS if field not in own}}
    needed = [{"required": [field], "properties": {field: {"not": _NOTHING}}} for field in NEEDED.get(name, ())]
    no_value: Schema = {"properties": {"expression": _NOTHING}}
    by_property = _needed("property", expression=_NOTHING)
    one_value: Schema = {"oneOf": [by_property, _needed("expression", property=_NOTHING)]}
    value: Schema = one_value
    if name in ("count", "duration"):
        value = no_value if name == "count" else by_property
    elif "window" in own or "interval_aggregation" in own:
        within: Schema = {
            "properties": {"aggregation": {"const": "count"}},
            "required": ["aggregation"],
            "type": "object",
        }
        field, counts = ("window", within) if "window" in own else ("interval_aggregation", {"const": "count"})
        value = {"if": {"properties": {field: counts}, "required": [field]}, "then": no_value, "else": one_value}
    return _when("aggregation", [name], {"allOf": [others, *needed, value]})


def _filter() -> Schema:
    scalar: Schema = {"type": ["string", "number", "boolean"], "maxLength": 1000}
    number: Schema = {"type": ["string", "number"], "pattern": _NUMBER, "maxLength": 100}
    listed: Schema = {"type": "array", "items": scalar, "minItems": 1}
    return _object(
        "A condition on a property of the event's data.",
        required={
            "property": _path("Where it stands in the event's data."),
            "operator": _choice("How it is compared.", FILTER_OPERATORS),
            "value": {"description": "What it is compared with: a list for `in` and `not_in`, a number for `gt`, "
                                     "`gte`, `lt` and `lte`."},
        },
        allOf=[
            _when("operator", ["in", "not_in"], {"properties": {"value": listed}}),
            _when("operator", ["eq", "ne"], {"properties": {"value": scalar}}),
            _when("operator", ["gt", "gte", "lt", "lte"], {"properties": {"value": number}}),
        ],
    )  # fmt: skip


def _when(field: str, options: Sequence[str], then: Schema) -> Schema:
    """The further demand where the field is there and has one of the values."""
    return {"if": {"properties": {field: {"enum": list(options)}}, "required": [field]}, "then": then}


def _needed(field: str, **further: Schema) -> Schema:
    """The demand that an optional field is there and not null."""
    return {"required": [field], "properties": {field: {"type": ["string", "number"]}, **further}}


def _window() -> Schema:
    return _object(
        "An aggregation of each interval.",
        required={
            "aggregation": _choice("How the events of an interval become its value.", WITHIN_INTERVALS),
            "per": _intervals("The intervals."),
        },
    )


def _intervals(description: str) -> Schema:
    form = "^(minute|hour|day|week|month|[1-9][0-9]{0,6}[smhd])$"
    return _written(f"{description} A length divides a day.", form, "5m", "hour", "day")


def _marker(description: str) -> Schema:
    kinds = ["string", "number", "boolean"]
    return {"description": description, "type": kinds, "minLength": 1, "maxLength": MAX_MARKER_LENGTH}


def _conversion() -> Schema:
    factor = _decimal("The factor, above 0.", "1073741824")
    return _object(
        "From the unit of the meter to the one that is billed, before anything is rounded or free.",
        required={"unit": _text("The unit that documents print.", examples=["GiB"])},
        optional={"divide_by": factor, "multiply_by": factor},
        allOf=[{"oneOf": [_needed("divide_by"), _needed("multiply_by")]}],
    )


def _rounding() -> Schema:
    return _object(
        "A rounding of a quantity.",
        required={
            "mode": _choice("`up` is away from zero, `down` towards it, `half_up` to the nearest.",
                            ("up", "down", "half_up")),
            "scale": {"description": "Decimals that remain.", "type": "integer", "minimum": 0, "maximum": 12},
        },
    )  # fmt: skip


# --- tax rates -------------------------------------------------------------------------------------------------------


def _tax_rate() -> Schema:
    return _object(
        "A VAT rate of one country, in force from a date.",
        required={
            "category": _choice("VAT category of EN 16931: `S` standard, `Z` zero, `E` exempt, `AE` reverse charge, "
                                "`K` within the EU, `G` export, `O` out of scope.", CATEGORIES),
            "country": _written("ISO 3166 code of the country.", "^[A-Z]{2}$", "FR"),
            "start": _written("The first day on which it is in force.", _DATE, "2014-01-01"),
        },
        optional={
            "rate": _decimal("In percent; only category `S` has one above 0.", "20", "5.5"),
            "changes": _list("Other rates, each from a day on, in order of time.", _object(
                "A rate from a day on.",
                required={"start": _written("The first day.", _DATE, "2030-01-01"),
                          "rate": _decimal("In percent.", "21")}), maxItems=MAX_RATE_CHANGES),
            "exemption": _object(
                "Why there is no VAT.", required={"reason": _text("As documents print it.", longest=1000)},
                optional={"code": _written("A code of the VATEX list.", VATEX, "VATEX-EU-132")}),
            "key": _OWN_KEY,
        },
        allOf=[_when("category", ["S"], _needed("rate"))],
    )  # fmt: skip


def _exchange_rate() -> Schema:
    return _object(
        "What one unit of a currency was worth in another on a day.",
        required={
            "from": _ref("currency", "The currency that documents are in."),
            "to": _ref("currency", "The currency in which the seller declares its VAT."),
            "date": _written("The day.", _DATE, "2026-11-02"),
            "rate": _decimal("So many units of `to` for one of `from`.", "0.9213"),
            "source": _text("Who says so.", examples=["ECB"]),
        },
        optional={"key": _OWN_KEY},
    )


# --- plans -----------------------------------------------------------------------------------------------------------


def _plan() -> Schema:
    return _object(
        "What is charged for, in one currency.",
        required={
            "name": _text("The name to show."),
            "currency": _ref("currency", "The currency of its prices: that of the tenants on the plan (ISO 4217)."),
            "interval": _choice("How long a billing period is.", INTERVALS),
            "charges": _list("What is charged for.", _ref("charge"), minItems=1, maxItems=MAX_CHARGES),
        },
        optional={
            "interval_count": _interval_count(),
            "allowances": _list("Free units that several charges use up together.", _ref("allowance"),
                                maxItems=MAX_ALLOWANCES),
            "minimum": _decimal("The least that all charges of a period come to.", "100.00"),
            "maximum": _decimal("The most that all charges of a period come to.", "5000.00"),
            "commitment": _ref("commitment", "What the tenant is to spend."),
            "anchor": _choice("Periods begin on the calendar's Monday or first of month, quarter or year, or on the "
                              "day on which the subscription began.", ("calendar", "anniversary"), default="calendar"),
            "proration": _choice("How a part of a period is counted.", ("day", "second"), default="day"),
            "trial": _ref("trial", "For how long nothing is charged from a subscription's start; use is shown."),
            "publish": _ref("publication", "Publishes these terms as the plan's next version."),
            "key": _OWN_KEY,
            **_shown("version", "versions", "draft"),
        },
    )  # fmt: skip


def _trial() -> Schema:
    days = {"description": "Local days, that of the start among them; 0 is no trial.", "type": "integer",
            "minimum": 0, "maximum": MAX_TRIAL_DAYS}  # fmt: skip
    return _object("A stretch from the start in which nothing is charged.", required={"days": days})


def _interval_count() -> Schema:
    limits = ", ".join(f"{name} {most}" for name, most in MAX_INTERVAL_COUNT.items())
    return {
        "description": f"How many intervals a billing period has; absent: 1. At most: {limits}.",
        "type": "integer", "minimum": 1, "maximum": max(MAX_INTERVAL_COUNT.values()),
    }  # fmt: skip


def _publication() -> Schema:
    when = "From when the version is in force; a date is midnight UTC."
    return _object(
        "When the plan's version begins.",
        required={"effective_at": _written(when, _DATE_OR_INSTANT, "2026-01-01T00:00:00Z", "2026-01-01")},
    )


def _overridable() -> dict[str, Schema]:
    """The fields of a charge that a subscription may have otherwise."""
    return {
        "allowance": _decimal("A quantity that is free in each period, in the meter's unit.", "10"),
        "minimum": _decimal("The least amount of a period, due also without use.", "5.00"),
        "maximum": _decimal("The highest amount of a period.", "500.00"),
        "limit": _decimal("The quantity of a period at which producers are told to serve no more.", "1000"),
        "discount": _ref("discount", "What comes off the priced amount."),
        "rollover": _ref("rollover", "What the allowance leaves unused is for later periods."),
        "tax": _key("The tax rate; absent: the seller's."),
        "supply": _choice("What VAT sees in it; absent: a service.", SUPPLIES),
        "place": _written("ISO 3166 code of the country where it stands.", "^[A-Z]{2}$", "FR"),
        "description": _text("What the line on the invoice is called.", longest=1000),
    }


def _coupon() -> Schema:
    return _object(
        "What is taken off invoices: one of a percentage, an amount and a number of free units.",
        required={"name": _text("The name on the invoice.")},
        optional={
            "percent": _decimal("In percent.", "10"), "amount": _decimal("An amount, with its currency.", "5.00"),
            "currency": _ref("currency", "The currency of the amount (ISO 4217)."),
            "quantity": _decimal("Units that are free in each period.", "100"),
            "charges": _list("The keys of the charges that it is for; absent: all.", _key("A charge."),
                             maxItems=MAX_COUPON_CHARGES),
            "periods": _whole("For how many invoices it is; absent: for ever.", 1, MAX_COUPON_PERIODS),
            "redeem_by": _written("Until before when it may be applied; a date is midnight UTC.", _DATE_OR_INSTANT,
                                  "2027-01-01"),
            "key": _OWN_KEY,
        },
    )  # fmt: skip


def _rollover() -> Schema:
    return _object(
        "Units that are carried into later periods.",
        required={"periods": _whole("For how many further periods they may be used.", 1, MAX_ROLLOVER_PERIODS)},
        optional={"cap": _decimal("How many at most are carried into any one period.", "30")},
    )


def _allowance() -> Schema:
    return _object(
        "Free units that charges use up together, the first named first.",
        required={
            "key": _key("What the allowance is called."),
            "quantity": _decimal("How many are free in each period.", "100"),
            "charges": _list("The keys of the charges.", _key("A charge."), minItems=1),
        },
        optional={"rollover": _ref("rollover", "What is left unused is for later periods.")},
    )


def _commitment() -> Schema:
    return _object(
        "What the tenant is to spend, in every period or over a term.",
        required={"amount": _decimal("The amount.", "1000.00")},
        optional={
            "periods": _whole("How many periods a term has; absent: the amount is for each period.", 2,
                              MAX_TERM_PERIODS),
            "overage_factor": _decimal("What exceeds the amount costs so many times its price.", "1.5"),
        },
    )  # fmt: skip


def _whole(description: str, least: int, most: int) -> Schema:
    return {"description": description, "type": "integer", "minimum": least, "maximum": most}


def _charge() -> Schema:
    is_flat: Schema = {
        "properties": {"model": {"type": "object", "properties": {"type": {"const": "flat"}}, "required": ["type"]}}
    }
    return _object(
        "A price inside a plan.",
        required={"key": _key("What the charge is called in answers."), "model": _ref("model", "How it is priced.")},
        optional={
            "meter": _key("What is priced. Needed, but for `flat`."),
            "timing": _choice("Due at the end of a period, or, only for `flat`, at its start.", ("arrears", "advance"),
                              default="arrears"),
            **_overridable(),
        },
        allOf=[
            {
                "if": is_flat,
                "then": {"properties": {"meter": _NOTHING, "allowance": _NOTHING, "limit": _NOTHING,
                                        "rollover": _NOTHING}},
                "else": _needed("meter", timing={"enum": ["arrears", None]}),
            }
        ],
    )  # fmt: skip


def _model() -> Schema:
    """One of the charge models; `type` says which."""
    price = _decimal("The price of one unit, with at most 12 decimals.", "0.30")
    tiers = _list("The tiers, in order.", _ref("tier"), minItems=1, maxItems=MAX_TIERS)
    return {
        "description": "A formula from quantity to amount.",
        "oneOf": [
            _one_model("flat", "An amount for each period, whatever was used; a part of a period owes its share.",
                       amount=_decimal("The amount of a whole period.", "19.00")),
            _one_model("per_unit", "The quantity times the price.", unit_price=price),
            _one_model("graduated", "Each tier prices its own slice of the quantity.", tiers=tiers),
            _one_model("volume", "The tier that the quantity reaches prices all of it.", tiers=tiers),
            _one_model("package", "Packages of so many units at a price each.",
                       {"round": _choice("Whether a package that is begun counts.", ("up", "down"), default="up")},
                       size=_decimal("Units in a package.", "1000"), price=_decimal("Of one package.", "5.00")),
            *_further_models(price),
        ],
    }  # fmt: skip


def _further_models(price: Schema) -> list[Schema]:
    rate = _decimal("In percent, with at most 10 decimals.", "1.5")
    up_to = {"up_to": _or_null(_decimal("The last unit of the tier, inclusive; null for the last tier.", "100"))}
    flat = _decimal("Due once, when the tier is entered.", "2.00")
    percentage_tier = _object(
        "A stretch of the amounts with a rate of its own.", required=up_to | {"rate": rate}, optional={"flat": flat}
    )
    capacity_tier = _object(
        "A level and its price, stated as `flat` or as `unit_price`.",
        required=up_to,
        optional={
            "flat": _decimal("The price of the tier.", "50.00"),
            "unit_price": _decimal("The price of the tier, where it states no `flat`.", "50.00"),
        },
        allOf=[{"anyOf": [_needed("flat"), _needed("unit_price")]}],
    )
    each = "For each event."
    return [
        _one_model("percentage", "A percentage of the measured amounts, with a fee and bounds for each event.",
                   {"fixed": _decimal("Due for each event, too.", "0.25"),
                    "free_events": {"description": "So many events, the first by time, owe nothing.", "type": "integer",
                                    "minimum": 0, "maximum": 10**12},
                    "free_units": _decimal("Amounts up to so much in all owe nothing, the first by time.", "100"),
                    "event_minimum": _decimal(each, "0.50"), "event_maximum": _decimal(each, "10.00")},
                   rate=rate),
        _one_model("graduated_percentage", "Each tier has a rate for its own slice of the amounts.",
                   tiers=_list("The tiers, in order.", percentage_tier, minItems=1, maxItems=MAX_TIERS)),
        _one_model("matrix", "A price by dimensions; the fitting cell that names most of them prices the use.",
                   {"default_unit_price": _decimal("What no cell fits; absent: it is reported, at no price.", "0.40")},
                   cells=_list("The cells.", _cell(price), minItems=1, maxItems=MAX_CELLS)),
        _one_model("time_of_use", "A price by the tenant's local time of use; the first rate that holds prices it.",
                   {"holidays": _list("Days that count as `holiday` and as Sundays.",
                                      _written("A day.", _DATE, "2026-12-25"), maxItems=MAX_HOLIDAYS)},
                   rates=_list("The rates.", _time_rate(price), minItems=1, maxItems=MAX_RATES),
                   default_unit_price=_decimal("While no rate holds.", "0.20")),
        _one_model("capacity", "The price of the tier that a peak or a percentile reaches, whatever was used.",
                   tiers=_list("The tiers, in order.", capacity_tier, minItems=1, maxItems=MAX_TIERS)),
        _one_model("dynamic", "Measured amounts of money, passed on.",
                   {"multiplier": _decimal("What they are multiplied by; absent: 1.", "1.2")}),
        _one_model("reservation", "So many units reserved, used or not, and a price for each one beyond.",
                   reserved=_decimal("How many units a period.", "100"),
                   unit_price=_decimal("Of one reserved unit.", "2.00"),
                   overage_unit_price=_decimal("Of one unit beyond.", "3.00")),
    ]  # fmt: skip


def _cell(price: Schema) -> Schema:
    when: Schema = {
        "description": "Dimensions of the meter and their values.", "type": "object", "minProperties": 1,
        "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": MAX_DIMENSION_LENGTH},
    }  # fmt: skip
    return _object("The price of use that has all these values.", required={"when": when, "unit_price": price})


def _time_rate(price: Schema) -> Schema:
    clock = _written("A time of day.", "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "08:00")
    months: Schema = {"type": "integer", "minimum": 1, "maximum": 12}
    days: Schema = {"enum": [*DAY_NAMES, *range(1, 8)]}
    return _object(
        "A price at these hours, on these days, in these months.",
        required={
            "hours": _list("From and until; an end that is not later lies on the other side of midnight.", clock,
                           minItems=2, maxItems=2),
            "unit_price": price,
        },
        optional={
            "weekdays": _list("Names, or numbers from 1 for Monday; absent: every day.", days, minItems=1),
            "months": _list("From 1 to 12; absent: every month.", months, minItems=1),
        },
    )  # fmt: skip


def _one_model(name: str, description: str, optional: dict[str, Schema] | None = None, /, **required: Schema) -> Schema:
    return _object(description, required={"type": {"const": name}} | required, optional=optional, title=name)


def _tier() -> Schema:
    return _object(
        "A stretch of the quantity with a price of its own.",
        required={
            "up_to": _or_null(_decimal("The last unit of the tier, inclusive; null for the last tier.", "100")),
            "unit_price": _decimal("The price of one unit, with at most 12 decimals.", "0.30"),
        },
        optional={"flat": _decimal("Due once, when the tier is entered.", "2.00")},
    )


def _discount() -> Schema:
    return {
        "description": "Either a percentage or an amount.",
        "oneOf": [
            _object("A percentage of what was priced.", required={"percent": _decimal("From 0 to 100.", "10")},
                    optional={"amount": _NOTHING}),
            _object("An amount, never more than what was priced.", required={"amount": _decimal("0 or more.", "5.00")},
                    optional={"percent": _NOTHING}),
        ],
    }  # fmt: skip


# --- subscriptions ---------------------------------------------------------------------------------------------------


def _subscription() -> Schema:
    date_or_instant = ("2026-01-01", "2026-01-01T08:00:00Z")
    return _object(
        "A tenant on a plan.",
        required={
            "tenant": _key("The tenant that is billed."),
            "plan": _key("The plan."),
            "start": _written("From when; a date is the tenant's local midnight.", _DATE_OR_INSTANT, *date_or_instant),
        },
        optional={
            "end": _written("Until when, itself not counted.", _DATE_OR_INSTANT, *date_or_instant),
            **_pinned_terms(),
            "changes": _list("Other plans, each from its instant to the next one's.", _ref("change"),
                             maxItems=MAX_CHANGES),
            "trial": _ref("trial", "Its trial, in place of the plan's."),
            "late_usage": _ref("late_usage", "What becomes of use that comes late for a billed period."),
            **_references(),
            **_shown("trial_end"),
            "key": _OWN_KEY,
        },
    )  # fmt: skip


def _pinned_terms() -> dict[str, Schema]:
    return {
        "version": {"description": "Pins a version of the plan; absent: it follows the plan's versions.",
                    "type": "integer", "minimum": 1, "maximum": 1_000_000},
        "overrides": _ref("overrides", "What this subscription has otherwise than its plan."),
    }  # fmt: skip


def _late_usage() -> Schema:
    days = {"description": "How many days back late use is billed; absent: without limit.", "type": "integer",
            "minimum": 0, "maximum": MAX_HORIZON_DAYS}  # fmt: skip
    return _object(
        "What becomes of late use.", required={},
        optional={"policy": _choice("Billed, or only reported.", LATE_POLICIES, default="bill"), "horizon_days": days},
    )  # fmt: skip


def _change() -> Schema:
    return _object(
        "Another plan from an instant on.",
        required={
            "plan": _key("The plan."),
            "at": _written("From when; a date is the tenant's local midnight.", _DATE_OR_INSTANT, "2026-05-15",
                           "2026-05-15T10:17:00Z"),
        },
        optional=_pinned_terms(),
    )  # fmt: skip


def _overrides() -> Schema:
    charge = _object(
        "The fields that are otherwise. Each is replaced whole; null takes one away.",
        required={},
        optional=_overridable(),
    )
    charge["properties"]["model"] = _ref("model", "Another price.")
    by_key = {
        "description": "By the key of a charge.",
        "type": "object",
        "additionalProperties": charge,
    }
    return _object("Differences from the plan.", required={}, optional={"charges": by_key})


# --- alerts ----------------------------------------------------------------------------------------------------------


def _alert() -> Schema:
    threshold = _decimal("Reached, it is crossed; of what is left, from above.", "80", "100")
    return _object(
        "What is watched, of one tenant or of every tenant of a plan.",
        required={
            "measure": _choice("`quantity`: what is used of the meter in the billing period; `amount`: what the period "
                               "comes to so far, before tax; `balance`: what is left.", MEASURES),
            "thresholds": _list("Each is noticed once.", threshold, minItems=1, maxItems=MAX_THRESHOLDS),
        },
        optional={
            "tenant": _key("The tenant; it or the plan is needed."),
            "plan": _key("The plan whose tenants are watched, each by itself."),
            "meter": _key("What is used, or is left. Of an amount: only what is charged for this meter."),
            "charge": _key("Of an amount: only this charge."),
            "percent_of": _choice("The thresholds are percentages of the tenant's allowance, limit or commitment.",
                                  BASES),
            "recurring": {"description": "Noticed once in each billing period; false: once for ever.",
                          "type": "boolean", "default": True},
            "enabled": {"description": "False: it is kept, and nothing is noticed.", "type": "boolean",
                        "default": True},
            "key": _OWN_KEY,
        },
    )  # fmt: skip
