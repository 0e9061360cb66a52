"""The shapes of the HTTP contract as JSON Schema, for the published OpenAPI document.

What is sent is closed: the service refuses a field that it does not know, so the schema does too. What is answered is
open: a later version may add a field. `app/wire/` reads and writes these shapes; the limits come from there and from
the rules, and tests/contract holds the two against each other with requests that nobody thought of.
"""

from __future__ import annotations

from typing import Any

from app.domain.accounting import JOURNALS, ROLES
from app.domain.alerts import BASES, MAX_THRESHOLDS, MEASURES
from app.domain.allowances import MAX_ROLLOVER_PERIODS
from app.domain.callers import SCOPES
from app.domain.charge_models.models import DAY_NAMES
from app.domain.coupons import MAX_COUPON_PERIODS
from app.domain.credit import CREDIT_KINDS
from app.domain.entitlement import REFUSALS
from app.domain.events import MAX_TEXT_LENGTH, QUARANTINE_REASONS
from app.domain.expressions import MAX_LENGTH
from app.domain.legal_checks import DOCUMENT_KINDS
from app.domain.meters import AGGREGATIONS, FILTER_OPERATORS, MAX_DIMENSION_LENGTH, WITHIN_INTERVALS, Aggregation
from app.domain.money import CURRENCY_DECIMALS, MAX_PRICE_DECIMALS
from app.domain.numbering import NUMBERED_TYPES, PATTERN
from app.domain.parties import REFERENCE_NAMES, VAT_REGIMES
from app.domain.plan_totals import MAX_TERM_PERIODS
from app.domain.plans import MAX_INTERVAL_COUNT, MAX_TRIAL_DAYS
from app.domain.platform_statuses import NAMES as STATUS_NAMES
from app.domain.receivables import BUCKETS
from app.domain.tax import CATEGORIES, SUPPLIES
from app.domain.tenants import INVOICE_COLLECTIONS, LANGUAGES, RESOURCE_KINDS
from app.wire.accounting import ACCOUNT as ACCOUNT_PATTERN
from app.wire.accounting import AUXILIARY, JOURNAL_CODE, MAX_NAMES, MAX_OVERRIDES
from app.wire.accounting import MAX_RATES as MAX_CHART_RATES
from app.wire.accounting import RATE as RATE_PATTERN
from app.wire.aggregations import MAX_MARKER_LENGTH, NEEDED, OPTIONAL, PER, SPECIAL_FIELDS
from app.wire.charge_models import MAX_CELLS, MAX_HOLIDAYS, MAX_RATES, MAX_TIERS
from app.wire.coupons import MAX_COUPON_CHARGES
from app.wire.credit import MAX_PRIORITY
from app.wire.credit_notes import MAX_CREDIT_LINES, MAX_REASON
from app.wire.drafts import MAX_NOTE, MAX_WRITTEN_LINES
from app.wire.exchange_rates import MAX_RATE_DIGITS
from app.wire.mail import MAIL_ADDRESS, MAX_ADDRESS_LENGTH, MAX_ADDRESSES
from app.wire.meters import MAX_DIMENSIONS, MAX_FILTERS
from app.wire.openmeter import AGGREGATIONS as OPENMETER_AGGREGATIONS
from app.wire.openmeter import WINDOW_SIZES
from app.wire.parsing import MAX_ITEMS, MAX_KEY_LENGTH
from app.wire.parties import (
    BASE64,
    COLOUR,
    DIGEST,
    LOGO_TYPES,
    MAX_CONTACTS,
    MAX_LOGO_BYTES,
    MAX_PURCHASE_ORDERS,
    MAX_TERM_DAYS,
    MAX_TERM_TEXT,
    SCHEME,
)  # fmt: skip
from app.wire.plans import INTERVALS, MAX_ALLOWANCES, MAX_CHARGES
from app.wire.platform_statuses import MAX_REASON as MAX_STATUS_REASON
from app.wire.subscriptions import LATE_POLICIES, MAX_CHANGES, MAX_HORIZON_DAYS
from app.wire.tax_rates import MAX_RATE_CHANGES, VATEX
from app.wire.tenants import MAX_GRACE_HOURS

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """The same, or null, which is the same as leaving the field out."""
    kind = schema.get("type")
    if kind is None:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = kind if isinstance(kind, list) else [kind]
    if "null" in kinds:
        return schema
    made = schema | {"type": [*kinds, "null"]}
    return made | {"enum": [*schema["enum"], None]} if "enum" in schema else made


def sent(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object that is sent. A field that is not required may be null; one that is unknown is refused."""
    properties = required | {name: nullable(schema) for name, schema in (optional or {}).items()}
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    } | more


def shown(always: dict[str, Schema], sometimes: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object that is answered: fields that are always there, and those that are there where they say something."""
    return {"type": "object", "properties": always | (sometimes or {}), "required": list(always)} | more


def partial(schema: Schema) -> Schema:
    """What a merge patch of such an object may hold: any of its fields, and so on inwards; a list is replaced whole.

    Null takes a field away, so it is for optional fields only, which are nullable already.
    """
    inner = {name: partial(item) for name, item in schema.get("properties", {}).items()}
    made = {name: item for name, item in schema.items() if name not in ("required", "anyOf", "oneOf")}
    if inner:
        made["properties"] = inner
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = nullable(partial(schema["additionalProperties"]))
    if "object" in schema.get("type", ()) or not ("anyOf" in schema or "oneOf" in schema):
        return made
    # Alternatives of objects are told apart by what they require, which a patch need not hold.
    alternatives = schema.get("anyOf") or schema["oneOf"]
    return {"type": ["object", "null"]} if any("$ref" in item for item in alternatives) else schema


# --- texts, numbers, times -------------------------------------------------------------------------------------------

# Printable, as far as patterns can say that every reader of the document understands: what Unicode has beyond (other
# separators, formats, private use, not assigned) the service refuses too.
_UNPRINTABLE = r"\u0000-\u001F\u007F-\u00A0\u2028\u2029"


def text(max_length: int = 255) -> Schema:
    """Printable text that is not blank."""
    pattern = rf"^ *[^ {_UNPRINTABLE}][^{_UNPRINTABLE}]*$"
    return {"type": "string", "minLength": 1, "maxLength": max_length, "pattern": pattern}


_IN_KEY = rf"/\uFFFD{_UNPRINTABLE}"
KEY: Schema = {
    "type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "not": {"enum": [".", ".."]},
    "pattern": rf"^[^ {_IN_KEY}](?:[^{_IN_KEY}]*[^ {_IN_KEY}])?$",
}  # fmt: skip
OWN_KEY: Schema = {
    "type": "string",
    "readOnly": True,
    "description": "The key in the address; the same where it is sent.",
}

FILTER_TEXT: Schema = {"type": "string", "pattern": r"^[^\u0000]*$"}
"""What a list is filtered by: nothing else is known of it."""
INSTANT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
DAY_OR_INSTANT: Schema = {"anyOf": [DAY, INSTANT]}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DECIMAL: Schema = {"type": "string", "pattern": r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"}
"""A number that is answered: text without an exponent."""


def number(digits: int, decimals: int, *, least: int = 0, **more: Any) -> Schema:
    """A number that is sent: text without an exponent, or a JSON number, which is read digit by digit."""
    pattern = rf"^(?:0|[1-9][0-9]{{0,{digits - 1}}})(?:\.[0-9]{{1,{decimals}}}0*)?$"
    made: Schema = {"type": ["string", "number"], "pattern": pattern, "maxLength": 60}
    return made | {"minimum": least, "exclusiveMaximum": 10**digits} | more


PRICE = number(15, MAX_PRICE_DECIMALS)
AMOUNT = number(15, max(CURRENCY_DECIMALS.values()), description="With no more decimals than the currency has.")
_CREDITED = AMOUNT | {"exclusiveMinimum": 0, "not": {"type": "string", "pattern": r"^0(?:\.0+)?$"}}
QUANTITY = number(20, 18)
_ZERO_TEXT: Schema = {"type": "string", "pattern": r"^0(?:\.0+)?$"}
SIZE = number(20, 18) | {"exclusiveMinimum": 0, "not": _ZERO_TEXT}
PERCENT: Schema = {
    "type": ["string", "number"], "pattern": r"^(?:100(?:\.0+)?|[1-9]?[0-9](?:\.[0-9]{1,12}0*)?)$", "maxLength": 60,
    "minimum": 0, "maximum": 100,
}  # fmt: skip
CURRENCY: Schema = {"type": "string", "enum": sorted(CURRENCY_DECIMALS), "description": "ISO 4217"}
COUNTRY: Schema = {"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166"}
PLACE: Schema = COUNTRY | {"description": "The country where it stands (ISO 3166)."}
SUPPLY: Schema = {"type": "string", "enum": list(SUPPLIES), "description": "What VAT sees in it; absent: a service."}
ZONE: Schema = {"type": "string", "description": "The name of a time zone (IANA), such as Europe/Paris."}
PERIOD = shown({"start": INSTANT, "end": INSTANT}, description="Half-open: `end` is the first instant outside.")


def one_of(values: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(values)}


def page_of(item: Schema) -> Schema:
    cursor = {"type": ["string", "null"], "description": "The `cursor` of the next page; null on the last."}
    return shown({"data": {"type": "array", "items": item}, "next_cursor": cursor})


# --- problems --------------------------------------------------------------------------------------------------------

FAULT = shown({"pointer": {"type": "string"}, "detail": {"type": "string"}})
PROBLEM_MEMBERS = {"type": {"type": "string", "pattern": "^/problems/[a-z-]+$"}, "title": {"type": "string"},
                   "detail": {"type": "string"}}  # fmt: skip
PROBLEM = shown(
    PROBLEM_MEMBERS | {"status": {"type": "integer", "minimum": 400, "maximum": 599}, "instance": {"type": "string"}},
    {"errors": {"type": "array", "items": FAULT, "minItems": 1}},
    description="RFC 9457. `type` is stable; `errors` says which field or parameter breaks a rule; further members are "
    "facts.",
    additionalProperties=True,
)  # fmt: skip

# --- tenants, resources, tax rates -----------------------------------------------------------------------------------

ADDRESS = sent(
    {"line1": text(), "postcode": text(40), "city": text(), "country": COUNTRY}, {"line2": text()}
)  # fmt: skip
CAPITAL = sent({"amount": number(15, 15), "currency": CURRENCY})
ELECTRONIC_ADDRESS = sent(
    {"scheme": {"type": "string", "pattern": SCHEME}, "id": text()},
    description="Where e-invoices go: `scheme` is a code of the list of electronic addresses (EAS), such as 0225.",
)
PAYMENT_TERMS = sent(
    {"days": {"type": "integer", "minimum": 0, "maximum": MAX_TERM_DAYS}}, {"end_of_month": BOOLEAN},
    description="Due so many days after issue, and then at the end of that month where `end_of_month` says so.",
)  # fmt: skip
_EMAIL: Schema = text() | {"pattern": r"^[^@\s]+@[^@\s]+$"}
_CONTACT: dict[str, Schema] = {"name": text(), "email": _EMAIL, "phone": text()}
CONTACT: Schema = {
    "anyOf": [
        sent({needed: schema}, {name: other for name, other in _CONTACT.items() if name != needed})
        for needed, schema in _CONTACT.items()
    ]
}
_MEDIA_TYPE = one_of(LOGO_TYPES)
LOGO: Schema = {
    "anyOf": [
        sent({"media_type": _MEDIA_TYPE, "data": {"type": "string", "pattern": BASE64, "maxLength": 90_000}},
             {"digest": text(64)}),
        sent({"media_type": _MEDIA_TYPE, "digest": {"type": "string", "pattern": DIGEST}}),
    ],
    "description": f"A PNG or an SVG as base64, at most {MAX_LOGO_BYTES // 1024} KiB; or, as answers show it, the "
    "`digest` of one that is kept.",
}  # fmt: skip
_TERM = text(MAX_TERM_TEXT)
LEGAL = sent(
    {"name": text()},
    {
        "registration": text(100), "siret": text(50), "vat_number": text(50), "address": ADDRESS, "legal_form": text(),
        "share_capital": CAPITAL, "register": text(), "register_town": text(), "vat_regime": one_of(VAT_REGIMES),
        "electronic_address": ELECTRONIC_ADDRESS, "iban": text(50), "bic": text(20), "payment_terms": PAYMENT_TERMS,
        "penalty_terms": _TERM, "discount_terms": _TERM, "recovery_terms": _TERM,
        "contacts": {"type": "array", "items": CONTACT, "maxItems": MAX_CONTACTS}, "logo": LOGO,
        "colour": {"type": "string", "pattern": COLOUR},
    },
)  # fmt: skip
REFERENCES: dict[str, Schema] = {name: text(100) for name in REFERENCE_NAMES}
PURCHASE_ORDER = sent(
    {"number": text(100)}, {"valid_from": DAY, "valid_to": DAY, "cap": AMOUNT},
    description="An order of the tenant: good for what is issued from `valid_from` to `valid_to`, both days included, "
    "and for a net of `cap` in all.",
)  # fmt: skip
MAIL_ADDRESSES: Schema = {
    "type": "array", "items": {"type": "string", "pattern": MAIL_ADDRESS, "maxLength": MAX_ADDRESS_LENGTH},
    "maxItems": MAX_ADDRESSES, "description": "The e-mail addresses that its documents are sent to.",
}  # fmt: skip
SUBJECT = {"anyOf": [text(), sent({"subject": text()}, {"from": INSTANT})]}
_PATTERN_TEXT: Schema = {
    "type": "string",
    "maxLength": 100,
    "pattern": PATTERN,
    "description": "Ends with {seq} or {seq:06}, after letters, digits, + - _ /, {year} and {month}.",
}
NUMBERING = sent(
    {}, {"pattern": _PATTERN_TEXT, **{name: _PATTERN_TEXT for name in NUMBERED_TYPES}},  # noqa: C420
    description="Patterns of the numbers of documents; a type that is named has a series of its own.",
)  # fmt: skip
VAT_CHECK = sent(
    {"date": DAY, "valid": BOOLEAN}, {"vat_number": text(50), "source": text(), "consultation_number": text()},
    description="What a register (VIES) said of the VAT number; without `vat_number` of the one in `legal`. Only with "
    "a valid check is a buyer abroad taken for a business.",
)  # fmt: skip
_DRAFT_RULES: Schema = {
    "type": "object", "additionalProperties": False, "properties": {
        "approval": nullable({"type": "boolean",
                              "description": "A draft is issued only once what it says is approved."}),
        "grace_hours": nullable({"type": "integer", "minimum": 0, "maximum": MAX_GRACE_HOURS,
                                 "description": "A draft is issued by itself that long after it was first made."})},
    "description": "How drafts become documents, of all that the tenant sells and of all that it buys.",
}  # fmt: skip
INVOICE_COLLECTION: Schema = one_of(INVOICE_COLLECTIONS) | {
    "description": "What shares an invoice: what one `subscription` owes at a billing instant, or what all of the "
    "`tenant` do. Answers have it where it is `tenant`."}  # fmt: skip
TENANT_SENT = sent(
    {"name": text(), "currency": CURRENCY, "time_zone": ZONE},
    {
        "key": OWN_KEY, "language": one_of(LANGUAGES), "operator": BOOLEAN, "tax": KEY, "legal": LEGAL,
        "drafts": _DRAFT_RULES,
        "subjects": {"type": "array", "items": SUBJECT, "maxItems": MAX_ITEMS},
        "billing_address": ADDRESS, "delivery_address": ADDRESS, "bill_to": KEY, "parent": KEY,
        "purchase_orders": {"type": "array", "items": PURCHASE_ORDER, "maxItems": MAX_PURCHASE_ORDERS},
        "invoice_email": MAIL_ADDRESSES, "invoice_collection": INVOICE_COLLECTION,
        "purchase_order_required": BOOLEAN, **REFERENCES, "vat_check": VAT_CHECK,
        "numbering": NUMBERING, "missing": {"readOnly": True},
        "invalid": {"readOnly": True},
    },
    examples=[{"name": "Acme SAS", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr",
               "legal": {"name": "Acme SAS", "registration": "552100554", "address": {
                   "line1": "1 rue de la Paix", "postcode": "75002", "city": "Paris", "country": "FR"}},
               "subjects": ["user-17", "station-9"]}],
)  # fmt: skip
_ADDRESS_SHOWN = shown({"line1": text(), "postcode": text(), "city": text(), "country": COUNTRY}, {"line2": text()})
_REFERENCES_SHOWN: dict[str, Schema] = {name: {"type": "string"} for name in REFERENCE_NAMES}
_PARTY_SHOWN: dict[str, Schema] = {
    **{name: {"type": "string"} for name in (
        "registration", "siret", "vat_number", "legal_form", "register", "register_town", "iban", "bic",
        "penalty_terms", "discount_terms", "recovery_terms", "colour")},
    "address": _ADDRESS_SHOWN, "share_capital": shown({"amount": DECIMAL, "currency": CURRENCY}),
    "vat_regime": one_of(VAT_REGIMES), "electronic_address": shown({"scheme": text(), "id": text()}),
    "contacts": {"type": "array", "items": shown({}, {name: {"type": "string"} for name in _CONTACT})},
    "logo": shown({"media_type": _MEDIA_TYPE, "digest": {"type": "string", "pattern": DIGEST}}),
}  # fmt: skip
_LEGAL_SHOWN = _PARTY_SHOWN | {
    "payment_terms": shown({"days": {"type": "integer"}, "end_of_month": BOOLEAN}),
}
TENANT = shown(
    {
        "key": KEY, "name": {"type": "string"}, "currency": CURRENCY, "time_zone": ZONE,
        "language": one_of(LANGUAGES), "operator": BOOLEAN, "tax": nullable(KEY), "drafts": nullable(_DRAFT_RULES),
        "legal": nullable(shown({"name": text()}, _LEGAL_SHOWN)),
        "subjects": {"type": "array", "items": {"anyOf": [
            {"type": "string"}, shown({"subject": {"type": "string"}, "from": INSTANT})]}},
        "missing": shown({}, {kind: {"type": "array", "items": {"type": "string"}} for kind in DOCUMENT_KINDS},
                         description="The fields that each kind of document needs and that are not set."),
        "invalid": {"type": "array", "items": shown({"field": {"type": "string"}, "detail": {"type": "string"}}),
                    "description": "What is surely wrong, and would make an e-invoice be refused."},
    },
    {
        "billing_address": _ADDRESS_SHOWN, "delivery_address": _ADDRESS_SHOWN, "bill_to": KEY, "parent": KEY,
        "purchase_orders": {"type": "array", "items": shown(
            {"number": text()}, {"valid_from": DAY, "valid_to": DAY, "cap": DECIMAL})},
        "invoice_email": {"type": "array", "items": {"type": "string"}}, "invoice_collection": INVOICE_COLLECTION,
        "purchase_order_required": BOOLEAN, **_REFERENCES_SHOWN,
        "numbering": shown({"pattern": {"type": "string"}}, {name: {"type": "string"} for name in NUMBERED_TYPES}),
        "vat_check": shown({"vat_number": {"type": "string"}, "date": DAY, "valid": BOOLEAN},
                           {"source": {"type": "string"}, "consultation_number": {"type": "string"}}),
    },
)  # fmt: skip

RESOURCE_SENT = sent(
    {"name": text(), "kind": one_of(RESOURCE_KINDS), "owner": KEY}, {"key": OWN_KEY, "place": PLACE},
    examples=[{"name": "Charger 12", "kind": "equipment", "owner": "garage"}],
)  # fmt: skip
RESOURCE = shown(
    {"key": KEY, "name": {"type": "string"}, "kind": one_of(RESOURCE_KINDS), "owner": KEY}, {"place": COUNTRY}
)  # fmt: skip

_EXEMPT_CATEGORIES = tuple(category for category in CATEGORIES if category not in ("S", "Z"))
_RATE: Schema = {
    "type": ["string", "number"], "pattern": r"^(?:100(?:\.0+)?|[1-9]?[0-9](?:\.[0-9]{1,4}0*)?)$", "maxLength": 60,
    "minimum": 0, "maximum": 100,
}  # fmt: skip
_RATE_OF_S = _RATE | {"not": _ZERO_TEXT, "exclusiveMinimum": 0}
_ZERO: Schema = {"type": ["string", "number"], "pattern": r"^0(?:\.0+)?$", "maxLength": 60, "minimum": 0, "maximum": 0}
_NO_CHANGES: Schema = {"type": "array", "maxItems": 0}
_RATE_CHANGES: Schema = {
    "type": "array", "maxItems": MAX_RATE_CHANGES, "items": sent({"start": DAY, "rate": _RATE_OF_S}),
    "description": "Other rates, each from a day on, in order of time.",
}  # fmt: skip
_EXEMPTION_SENT = sent(
    {"reason": text(1000)}, {"code": {"type": "string", "pattern": VATEX}},
    description="Why there is no VAT; `code` is of the VATEX list. Categories AE, K and G have the usual reason.",
)  # fmt: skip
TAX_RATE_SENT: Schema = {
    "anyOf": [
        sent({"category": one_of(("S",)), "rate": _RATE_OF_S, "country": COUNTRY, "start": DAY},
             {"key": OWN_KEY, "changes": _RATE_CHANGES}),
        sent({"category": one_of(("Z",)), "country": COUNTRY, "start": DAY},
             {"key": OWN_KEY, "rate": _ZERO, "changes": _NO_CHANGES}),
        sent({"category": one_of(_EXEMPT_CATEGORIES), "country": COUNTRY, "start": DAY},
             {"key": OWN_KEY, "rate": _ZERO, "changes": _NO_CHANGES, "exemption": _EXEMPTION_SENT}),
    ],
    "description": "Only category S (EN 16931) has a rate above 0. `start` lies after 1970-01-01.",
    "examples": [{"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}],
}  # fmt: skip
TAX_RATE_PATCH: Schema = {
    "type": "object", "additionalProperties": False,
    "properties": {"key": nullable(OWN_KEY), "category": one_of(CATEGORIES),
                   "rate": nullable(_RATE), "country": COUNTRY, "start": DAY, "changes": nullable(_RATE_CHANGES),
                   "exemption": nullable(partial(_EXEMPTION_SENT))},
}  # fmt: skip
EXEMPTION: dict[str, Schema] = {
    "exemption": shown({"reason": {"type": "string"}}, {"code": {"type": "string"}},
                       description="Why there is no VAT; `code` is of the VATEX list.")
}  # fmt: skip
TAX_RATE = shown(
    {"key": KEY, "category": one_of(CATEGORIES), "rate": DECIMAL, "country": COUNTRY, "start": DAY},
    {"changes": {"type": "array", "items": shown({"start": DAY, "rate": DECIMAL})}, **EXEMPTION},
)  # fmt: skip
EXCHANGE_RATE_SENT = sent(
    {"from": CURRENCY, "to": CURRENCY, "date": DAY, "source": text(),
     "rate": number(MAX_RATE_DIGITS, 12) | {"exclusiveMinimum": 0, "not": _ZERO_TEXT}},
    {"key": OWN_KEY},
    description="One unit of `from` was worth `rate` units of `to` on the date.",
    examples=[{"from": "USD", "to": "EUR", "date": "2026-11-02", "rate": "0.9213", "source": "ECB"}],
)  # fmt: skip
EXCHANGE_RATE = shown(
    {"key": KEY, "from": CURRENCY, "to": CURRENCY, "date": DAY, "rate": DECIMAL, "source": {"type": "string"}}
)  # fmt: skip

# --- meters ----------------------------------------------------------------------------------------------------------

_QUOTED = rf"\['[^'{_UNPRINTABLE}]+'\]"
PATH: Schema = {
    "type": "string", "minLength": 1, "maxLength": 500,
    "pattern": rf"^\$(?:\.[A-Za-z_][A-Za-z0-9_-]*|{_QUOTED}|\[[0-9]{{1,4}}\])+$",
    "description": "A path into the event's data, such as `$.usage.kwh` or `$['odd name'][0]`.",
}  # fmt: skip
_BOUND: Schema = {"type": "number", "exclusiveMinimum": -(10**20), "exclusiveMaximum": 10**20}
_SCALAR: Schema = {
    "anyOf": [_BOUND, BOOLEAN, {"type": "string", "maxLength": 1000, "pattern": r"^[^\x00]*$"}],
}  # fmt: skip
_NUMBER_TEXT: Schema = {
    "type": "string", "maxLength": 100,
    "pattern": r"^-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,4})?$",
}  # fmt: skip
_FILTER_VALUES: tuple[tuple[tuple[str, ...], Schema], ...] = (
    (("eq", "ne"), _SCALAR),
    (("in", "not_in"), {"type": "array", "items": _SCALAR, "minItems": 1}),
    (("gt", "gte", "lt", "lte"), {"anyOf": [_BOUND, _NUMBER_TEXT]}),
)
assert {operator for operators, _ in _FILTER_VALUES for operator in operators} == set(FILTER_OPERATORS)
FILTER: Schema = {
    "anyOf": [
        sent({"property": PATH, "operator": one_of(operators), "value": value}) for operators, value in _FILTER_VALUES
    ]
}
ROUNDING = sent(
    {"mode": one_of(("up", "down", "half_up")), "scale": {"type": "integer", "minimum": 0, "maximum": 12}}
)  # fmt: skip
EXPRESSION: Schema = text(MAX_LENGTH) | {
    "description": "A number made of the event's data, in place of `property`: decimals, paths, `+ - * /`, "
                   "parentheses, `min`, `max`, `ceil`, `floor`, `round`.",
    "examples": ["$.input_tokens + 4 * $.output_tokens", "max($.minutes - 30, 0)"],
}  # fmt: skip
CONVERSION: Schema = {
    "anyOf": [sent({name: SIZE, "unit": text()}, description="From the unit of the meter to the `unit` that is billed.")
              for name in ("divide_by", "multiply_by")],
}  # fmt: skip
_INTERVALS: Schema = {
    "type": "string", "pattern": "^(?:minute|hour|day|week|month|[1-9][0-9]{0,6}[smhd])$",
    "description": "`minute`, `hour`, or a length that divides a day, such as `5m`: of UTC. `day`, `week`, `month`: "
                   "of the tenant's calendar.",
}  # fmt: skip
_WITHIN = one_of(WITHIN_INTERVALS)
_MARKER: Schema = {"anyOf": [
    _BOUND, BOOLEAN, {"type": "string", "minLength": 1, "maxLength": MAX_MARKER_LENGTH, "pattern": r"^[^\x00]*$"},
]}  # fmt: skip
_MARKER_SHOWN: Schema = {"type": ["string", "number", "boolean"]}
_SPECIAL: dict[str, Schema] = {
    "window": sent({"aggregation": _WITHIN, "per": _INTERVALS}, description="What is aggregated first, in each "
                   "interval apart: the greatest of each hour, for example, and then their sum."),
    "percentile": PERCENT | {"exclusiveMinimum": 0, "not": _ZERO_TEXT, "description": "By nearest rank."},
    "interval": _INTERVALS, "interval_aggregation": _WITHIN,
    "operation": PATH | {"description": "Where an event says `add` or `remove`; absent: `add`."},
    "per": one_of(PER), "session": PATH, "start_value": _MARKER, "end_value": _MARKER,
    "longest": {"type": "string", "pattern": "^[1-9][0-9]{0,6}[smhd]$",
                "description": "How long a session without an end is taken to last; absent: `90d`."},
}  # fmt: skip
assert set(_SPECIAL) == set(SPECIAL_FIELDS)


def _of_aggregation(name: Aggregation) -> list[Schema]:
    """What a meter of this aggregation has: no field of another one, and one of the ways to say what is measured."""
    own = (*NEEDED.get(name, ()), *OPTIONAL.get(name, ()))
    nothing: Schema = {"type": "null"}
    there = {"not": nothing}
    fixed: dict[str, Schema] = {field: nothing for field in SPECIAL_FIELDS if field not in own}
    fixed |= {"aggregation": {"enum": [name]}, **{field: there for field in NEEDED.get(name, ())}}  # noqa: C420
    needed = list(NEEDED.get(name, ()))
    made = {"properties": fixed, "required": needed}
    if name == "count":
        return [made | {"properties": fixed | {"expression": nothing}}]
    by_property = made | {"properties": fixed | {"property": there, "expression": nothing},
                          "required": [*needed, "property"]}  # fmt: skip
    if name == "duration":
        return [by_property]
    by_expression = made | {"properties": fixed | {"expression": there, "property": nothing},
                            "required": [*needed, "expression"]}  # fmt: skip
    counting: list[Schema] = []
    if "window" in own:
        inner = {"properties": {"aggregation": {"enum": ["count"]}}, "required": ["aggregation"]}
        counting = [made | {"properties": fixed | {"expression": nothing, "window": inner | {"type": "object"}},
                            "required": [*needed, "window"]}]  # fmt: skip
    elif "interval_aggregation" in own:
        counting = [made | {"properties": fixed | {"expression": nothing, "interval_aggregation": {"enum": ["count"]}},
                            "required": [*needed, "interval_aggregation"]}]  # fmt: skip
    return [by_property, by_expression, *counting]


METER_SENT = sent(
    {"event_type": text(), "aggregation": one_of(AGGREGATIONS), "unit": text()},
    {
        "key": OWN_KEY, "name": text(), "property": PATH, "unit_code": text(3),
        "dimensions": {
            "type": "object", "propertyNames": text(100), "additionalProperties": PATH, "maxProperties": MAX_DIMENSIONS,
        },
        "filter": {"type": "array", "items": FILTER, "maxItems": MAX_FILTERS}, "rounding": ROUNDING,
        "expression": EXPRESSION, "convert": CONVERSION, **_SPECIAL,
        "revision": {"type": "integer", "readOnly": True}, "state": {"type": "string", "readOnly": True},
    },
    anyOf=[alternative for name in AGGREGATIONS for alternative in _of_aggregation(name)],
    examples=[{"event_type": "charging.session.ended", "aggregation": "sum", "property": "$.kwh", "unit": "kWh",
               "unit_code": "KWH", "dimensions": {"station": "$.station"},
               "filter": [{"property": "$.status", "operator": "eq", "value": "ok"}]}],
)  # fmt: skip
METER = shown(
    {
        "key": KEY, "event_type": {"type": "string"}, "aggregation": one_of(AGGREGATIONS), "unit": {"type": "string"},
        "dimensions": {"type": "object", "additionalProperties": PATH},
        "filter": {"type": "array", "items": shown({
            "property": PATH, "operator": one_of(FILTER_OPERATORS),
            "value": {"type": ["string", "number", "boolean", "array"]}})},
        "rounding": nullable(shown({"mode": {"type": "string"}, "scale": {"type": "integer"}})),
        "revision": {"type": "integer", "minimum": 1}, "state": one_of(("building", "active")),
    },
    {"name": {"type": "string"}, "property": PATH, "unit_code": {"type": "string"},
     "expression": {"type": "string"}, "window": shown({"aggregation": _WITHIN, "per": {"type": "string"}}),
     "percentile": DECIMAL, "interval": {"type": "string"}, "interval_aggregation": _WITHIN, "operation": PATH,
     "per": one_of(PER), "session": PATH, "longest": {"type": "string"},
     "start_value": _MARKER_SHOWN, "end_value": _MARKER_SHOWN,
     "convert": shown({"unit": {"type": "string"}}, {"divide_by": DECIMAL, "multiply_by": DECIMAL})},
)  # fmt: skip

# --- plans -----------------------------------------------------------------------------------------------------------

_NOTHING: Schema = {"type": "null"}
_NO_PRICE: Schema = {"type": ["string", "number", "null"], "pattern": r"^0(?:\.0+)?$", "minimum": 0, "maximum": 0}
RATE = number(15, MAX_PRICE_DECIMALS - 2, description="In percent.")


def _some(items: Schema, most: int, description: str = "") -> Schema:
    made: Schema = {"type": "array", "items": items, "minItems": 1, "maxItems": most}
    return made | {"description": description} if description else made


def _tiers(*alternatives: Schema) -> Schema:
    of_items = alternatives[0] if len(alternatives) == 1 else {"anyOf": list(alternatives)}
    return _some(
        of_items, MAX_TIERS, "Bounds are inclusive and go upwards; the last tier has none: its `up_to` is null."
    )


_BOUNDED = {"up_to": nullable(SIZE)}
_TIERS = _tiers(sent(_BOUNDED | {"unit_price": PRICE}, {"flat": PRICE}))
_CAPACITY_TIERS = _tiers(
    sent(_BOUNDED | {"flat": PRICE}, {"unit_price": _NO_PRICE}),
    sent(_BOUNDED | {"unit_price": PRICE}, {"flat": _NOTHING}),
)
CELL = sent({"when": {"type": "object", "minProperties": 1, "additionalProperties": {
    "anyOf": [_BOUND, BOOLEAN, {"type": "string", "maxLength": MAX_DIMENSION_LENGTH, "pattern": r"^[^\x00]*$"}]}},
    "unit_price": PRICE})  # fmt: skip
CLOCK: Schema = {"type": "string", "pattern": "^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
TIME_RATE = sent(
    {"hours": {"type": "array", "items": CLOCK, "minItems": 2, "maxItems": 2,
               "description": "From and until; an end that is not later lies on the other side of midnight."},
     "unit_price": PRICE},
    {"weekdays": {"type": "array", "minItems": 1, "items": {"enum": [*DAY_NAMES, *range(1, 8)]}},
     "months": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 12}}},
    description="Without `weekdays` or `months`: on every day, in every month. A holiday is a `holiday` and a `sun`.",
)  # fmt: skip


def _model(kind: str, required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return sent({"type": one_of((kind,))} | required, optional)


FLAT_MODEL = _model("flat", {"amount": PRICE})
USAGE_MODELS = [
    _model("per_unit", {"unit_price": PRICE}), _model("graduated", {"tiers": _TIERS}),
    _model("volume", {"tiers": _TIERS}),
    _model("package", {"size": SIZE, "price": PRICE}, {"round": one_of(("up", "down"))}),
    _model("percentage", {"rate": RATE},
           {"fixed": PRICE, "free_events": {"type": "integer", "minimum": 0, "maximum": 10**12}, "free_units": QUANTITY,
            "event_minimum": PRICE, "event_maximum": PRICE}),
    _model("graduated_percentage", {"tiers": _tiers(sent(_BOUNDED | {"rate": RATE}, {"flat": PRICE}))}),
    _model("matrix", {"cells": _some(CELL, MAX_CELLS, "The fitting cell that names most dimensions prices the use.")},
           {"default_unit_price": PRICE}),
    _model("time_of_use", {"rates": _some(TIME_RATE, MAX_RATES, "The first that holds prices the use."),
                           "default_unit_price": PRICE},
           {"holidays": {"type": "array", "items": DAY, "maxItems": MAX_HOLIDAYS}}),
    _model("capacity", {"tiers": _CAPACITY_TIERS}), _model("dynamic", {}, {"multiplier": PRICE}),
    _model("reservation", {"reserved": SIZE, "unit_price": PRICE, "overage_unit_price": PRICE}),
]  # fmt: skip
DISCOUNT: Schema = {
    "anyOf": [sent({"percent": PERCENT}, {"amount": {"type": "null"}}),
              sent({"amount": AMOUNT}, {"percent": {"type": "null"}})],
}  # fmt: skip
ROLLOVER = sent({"periods": {"type": "integer", "minimum": 1, "maximum": MAX_ROLLOVER_PERIODS}}, {"cap": QUANTITY},
                description="What a period leaves unused is for so many further periods; at most `cap` of it is "
                "carried into any one.")  # fmt: skip
_ANY_CHARGE = {
    "minimum": AMOUNT, "maximum": AMOUNT, "discount": DISCOUNT, "tax": KEY, "description": text(1000),
    "supply": SUPPLY, "place": PLACE,
}  # fmt: skip
CHARGE: Schema = {
    "anyOf": [
        sent({"key": KEY, "model": FLAT_MODEL},
             _ANY_CHARGE | {"timing": one_of(("arrears", "advance")), "meter": _NOTHING, "allowance": _NOTHING,
                           "limit": _NOTHING, "rollover": _NOTHING}),
        sent({"key": KEY, "meter": KEY, "model": {"anyOf": USAGE_MODELS}},
             _ANY_CHARGE | {"timing": one_of(("arrears",)), "allowance": QUANTITY, "limit": QUANTITY,
                            "rollover": ROLLOVER}),
    ],
}  # fmt: skip
_EXAMPLE_CHARGES = [
    {"key": "access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"},
    {"key": "energy", "meter": "energy", "allowance": "10", "minimum": "5.00", "model": {"type": "graduated", "tiers": [
        {"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.25"}]}, "tax": "standard"},
]  # fmt: skip
INTERVAL_COUNT: Schema = {
    "type": "integer", "minimum": 1, "maximum": max(MAX_INTERVAL_COUNT.values()),
    "description": "How many intervals a billing period has; absent: 1. "
    + ", ".join(f"{name}: at most {most}" for name, most in MAX_INTERVAL_COUNT.items()) + ".",
}  # fmt: skip
TRIAL = sent(
    {"days": {"type": "integer", "minimum": 0, "maximum": MAX_TRIAL_DAYS}}, {},
    description="Local days from the start for which nothing is charged; use is metered and shown.",
)  # fmt: skip
TRIAL_SHOWN = shown({"days": {"type": "integer", "minimum": 0}})
ALLOWANCES: Schema = {
    "type": "array", "maxItems": MAX_ALLOWANCES, "items": sent(
        {"key": KEY, "quantity": QUANTITY, "charges": {"type": "array", "items": KEY, "minItems": 1}},
        {"rollover": ROLLOVER}),
    "description": "Free units that several charges use up together, the first named first.",
}  # fmt: skip
COMMITMENT = sent(
    {"amount": AMOUNT},
    {"periods": {"type": "integer", "minimum": 2, "maximum": MAX_TERM_PERIODS},
     "overage_factor": number(3, 6, least=1) | {"maximum": 100, "not": {"type": "string", "pattern": r"^0"}}},
    description="What is to be spent in every period, or over each term of `periods` periods; what exceeds it costs "
    "`overage_factor` times its price.",
)  # fmt: skip
PLAN_SENT = sent(
    {
        "name": text(), "currency": CURRENCY, "interval": one_of(INTERVALS),
        "charges": {"type": "array", "items": ref("ChargeSent"), "minItems": 1, "maxItems": MAX_CHARGES},
    },
    {
        "key": OWN_KEY, "anchor": one_of(("calendar", "anniversary")), "proration": one_of(("day", "second")),
        "interval_count": INTERVAL_COUNT, "trial": TRIAL, "allowances": ALLOWANCES, "minimum": AMOUNT,
        "maximum": AMOUNT, "commitment": COMMITMENT,
        "version": {"type": "integer", "readOnly": True}, "versions": {"type": "array", "readOnly": True},
        "draft": {"type": "boolean", "readOnly": True},
    },
    examples=[{"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar",
               "charges": _EXAMPLE_CHARGES, "proration": "day"}],
)  # fmt: skip
PUBLICATION = sent({"effective_at": DAY_OR_INSTANT}, examples=[{"effective_at": "2024-01-01T00:00:00Z"}])

_TIER_SHOWN = shown({"up_to": nullable(DECIMAL), "unit_price": DECIMAL}, {"flat": DECIMAL})
_PERCENTAGE_TIER_SHOWN = shown({"up_to": nullable(DECIMAL), "rate": DECIMAL}, {"flat": DECIMAL})
_MODEL_SHOWN: Schema = {
    "anyOf": [
        shown({"type": one_of(("flat",)), "amount": DECIMAL}),
        shown({"type": one_of(("per_unit",)), "unit_price": DECIMAL}),
        shown({"type": one_of(("graduated", "volume", "capacity")),
               "tiers": {"type": "array", "minItems": 1, "items": _TIER_SHOWN}}),
        shown({"type": one_of(("package",)), "size": DECIMAL, "price": DECIMAL, "round": one_of(("up", "down"))}),
        shown({"type": one_of(("percentage",)), "rate": DECIMAL},
              {"fixed": DECIMAL, "free_events": COUNT, "free_units": DECIMAL, "event_minimum": DECIMAL,
               "event_maximum": DECIMAL}),
        shown({"type": one_of(("graduated_percentage",)),
               "tiers": {"type": "array", "minItems": 1, "items": _PERCENTAGE_TIER_SHOWN}}),
        shown({"type": one_of(("matrix",)), "cells": {"type": "array", "minItems": 1, "items": shown(
                   {"when": {"type": "object", "additionalProperties": {"type": "string"}}, "unit_price": DECIMAL})}},
              {"default_unit_price": DECIMAL}),
        shown({"type": one_of(("time_of_use",)), "rates": {"type": "array", "minItems": 1, "items": shown(
                   {"hours": {"type": "array", "items": CLOCK}, "unit_price": DECIMAL},
                   {"weekdays": {"type": "array", "items": one_of(DAY_NAMES)},
                    "months": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 12}}})},
               "default_unit_price": DECIMAL},
              {"holidays": {"type": "array", "items": DAY}}),
        shown({"type": one_of(("dynamic",)), "multiplier": DECIMAL}),
        shown({"type": one_of(("reservation",)), "reserved": DECIMAL, "unit_price": DECIMAL,
               "overage_unit_price": DECIMAL}),
    ]
}  # fmt: skip
_DISCOUNT_SHOWN: Schema = {"anyOf": [shown({"percent": DECIMAL}), shown({"amount": DECIMAL})]}
_OVERRIDABLE_SHOWN: dict[str, Schema] = {
    "model": _MODEL_SHOWN, "allowance": DECIMAL, "minimum": DECIMAL, "maximum": DECIMAL, "limit": DECIMAL,
    "discount": _DISCOUNT_SHOWN, "tax": KEY, "description": {"type": "string"}, "supply": SUPPLY, "place": PLACE,
    "rollover": shown({"periods": {"type": "integer"}}, {"cap": DECIMAL}),
}  # fmt: skip
CHARGE_SHOWN = shown(
    {"key": KEY, "model": _MODEL_SHOWN, "timing": one_of(("arrears", "advance"))}, _OVERRIDABLE_SHOWN | {"meter": KEY}
)  # fmt: skip
_TERMS: dict[str, Schema] = {
    "currency": CURRENCY, "interval": one_of(INTERVALS), "anchor": one_of(("calendar", "anniversary")),
    "charges": {"type": "array", "items": ref("Charge"), "minItems": 1}, "proration": one_of(("day", "second")),
}  # fmt: skip
_SOME_TERMS: dict[str, Schema] = {
    "interval_count": INTERVAL_COUNT, "trial": TRIAL_SHOWN, "minimum": DECIMAL, "maximum": DECIMAL,
    "allowances": {"type": "array", "items": shown(
        {"key": KEY, "quantity": DECIMAL, "charges": {"type": "array", "items": KEY}},
        {"rollover": shown({"periods": {"type": "integer"}}, {"cap": DECIMAL})})},
    "commitment": shown({"amount": DECIMAL}, {"periods": {"type": "integer"}, "overage_factor": DECIMAL}),
}  # fmt: skip
VERSION: Schema = {"type": "integer", "minimum": 1}
PLAN = shown(
    {
        "key": KEY, "name": {"type": "string"}, **_TERMS,
        "draft": BOOLEAN | {"description": "True where the terms shown are not published yet."},
        "version": nullable(VERSION),
        "versions": {"type": "array", "items": shown({"version": VERSION, "effective_at": INSTANT})},
    },
    _SOME_TERMS,
)  # fmt: skip
PLAN_VERSION = shown({"plan": KEY, "version": VERSION, "effective_at": INSTANT, **_TERMS}, _SOME_TERMS)

# --- subscriptions ---------------------------------------------------------------------------------------------------

OVERRIDE = sent({}, {
    "model": {"anyOf": [FLAT_MODEL, *USAGE_MODELS]}, "allowance": QUANTITY, "minimum": AMOUNT, "maximum": AMOUNT,
    "limit": QUANTITY, "discount": DISCOUNT, "tax": KEY, "description": text(1000), "rollover": ROLLOVER,
    "supply": SUPPLY, "place": PLACE,
})  # fmt: skip
OVERRIDE["properties"]["model"] = {"anyOf": [FLAT_MODEL, *USAGE_MODELS]}  # every charge has one: null takes none away
OVERRIDES = sent({}, {"charges": {"type": "object", "propertyNames": KEY, "additionalProperties": OVERRIDE}})
PINNED_VERSION: Schema = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
CHANGE_SENT = sent(
    {"plan": KEY}, {"at": DAY_OR_INSTANT, "version": PINNED_VERSION, "overrides": OVERRIDES},
    examples=[{"plan": "pro", "at": "2026-11-15"}],
)  # fmt: skip
LATE_USAGE = sent(
    {},
    {"policy": one_of(LATE_POLICIES),
     "horizon_days": {"type": "integer", "minimum": 0, "maximum": MAX_HORIZON_DAYS}},
    description="What becomes of use that comes late for a billed period: it is billed, up to so many days back (null: "
    "without limit), or only reported.",
)  # fmt: skip
SUBSCRIPTION_SENT = sent(
    {"tenant": KEY, "plan": KEY, "start": DAY_OR_INSTANT},
    {
        "key": OWN_KEY, "end": DAY_OR_INSTANT, "overrides": OVERRIDES, "version": PINNED_VERSION,
        "changes": {"type": "array", "maxItems": MAX_CHANGES, "items": sent(
            {"plan": KEY, "at": DAY_OR_INSTANT}, {"version": PINNED_VERSION, "overrides": OVERRIDES})},
        "trial": TRIAL, "trial_end": {"readOnly": True}, "late_usage": LATE_USAGE, **REFERENCES,
    },
    examples=[{"tenant": "acme", "plan": "standard", "start": "2026-01-01", "end": None, "version": None,
               "overrides": {"charges": {"energy": {"allowance": "20", "discount": {"percent": "10"}}}}}],
)  # fmt: skip
_OVERRIDES_SHOWN = shown({}, {"charges": {"type": "object", "additionalProperties": shown(
    {}, {name: nullable(schema) for name, schema in _OVERRIDABLE_SHOWN.items()})}})  # fmt: skip
SUBSCRIPTION = shown(
    {
        "key": KEY, "tenant": KEY, "plan": KEY, "start": DAY_OR_INSTANT, "end": nullable(DAY_OR_INSTANT),
        "version": nullable(VERSION), "overrides": _OVERRIDES_SHOWN,
        "changes": {"type": "array", "items": shown({
            "at": DAY_OR_INSTANT, "plan": KEY, "version": nullable(VERSION), "overrides": _OVERRIDES_SHOWN})},
        "trial": nullable(TRIAL_SHOWN), "trial_end": nullable(DAY_OR_INSTANT),
        "late_usage": shown({"policy": one_of(LATE_POLICIES), "horizon_days": nullable({"type": "integer"})}),
    },
    _REFERENCES_SHOWN,
)  # fmt: skip

# --- alerts ----------------------------------------------------------------------------------------------------------

_THRESHOLDS: Schema = {"type": "array", "items": QUANTITY, "minItems": 1, "maxItems": MAX_THRESHOLDS}


def _alert(required: dict[str, Schema], optional: dict[str, Schema], of: str) -> Schema:
    other = "plan" if of == "tenant" else "tenant"
    return sent(
        {of: KEY, "thresholds": _THRESHOLDS} | required,
        {"key": OWN_KEY, "recurring": BOOLEAN, "enabled": BOOLEAN, other: _NOTHING} | optional,
    )


_PREPAID_ALERT: dict[str, Schema] = {"charge": _NOTHING, "meter": _NOTHING, "percent_of": _NOTHING}
_METERED_ALERTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("quantity", ("allowance", "limit")),
    ("balance", ("allowance",)),
)
ALERT_SENT: Schema = {
    "anyOf": [
        alert
        for of in ("tenant", "plan")
        for alert in (
            *(_alert({"measure": one_of((measure,)), "meter": KEY},
                     {"charge": _NOTHING, "percent_of": one_of(bases)}, of) for measure, bases in _METERED_ALERTS),
            _alert({"measure": one_of(("balance",))}, _PREPAID_ALERT, of),
            _alert({"measure": one_of(("amount",))}, _PREPAID_ALERT | {"percent_of": one_of(("commitment",))}, of),
            _alert({"measure": one_of(("amount",))}, {"charge": KEY, "meter": _NOTHING, "percent_of": _NOTHING}, of),
            _alert({"measure": one_of(("amount",))}, {"charge": _NOTHING, "meter": KEY, "percent_of": _NOTHING}, of),
        )
    ],
    "description": "Watches one tenant, or every tenant of a plan. `quantity` is what is used of the meter in the "
    "billing period, `amount` what the period comes to so far before tax (of a charge, of a meter, or in all), "
    "`balance` what is left of the allowance and of prepaid units of the meter, or, without a meter, of prepaid money. "
    "`percent_of`: the thresholds are percentages of the tenant's allowance or limit, or of its commitment for a "
    "period. A `recurring` alert (the default) notices each threshold once in each billing period, another once for "
    "ever.",
    "examples": [{"tenant": "acme", "measure": "quantity", "meter": "energy", "thresholds": ["80", "100"]}],
}  # fmt: skip
ALERT_PATCH: Schema = {
    "type": "object", "additionalProperties": False,
    "properties": {
        "key": nullable(OWN_KEY), "tenant": nullable(KEY), "plan": nullable(KEY), "measure": one_of(MEASURES),
        "meter": nullable(KEY), "charge": nullable(KEY), "thresholds": _THRESHOLDS,
        "percent_of": nullable(one_of(BASES)), "recurring": nullable(BOOLEAN), "enabled": nullable(BOOLEAN),
    },
}  # fmt: skip
_ALERT_FACTS: dict[str, Schema] = {
    "measure": one_of(MEASURES), "meter": nullable(KEY), "charge": nullable(KEY), "percent_of": nullable(one_of(BASES)),
}  # fmt: skip
ALERT = shown({
    "key": KEY, "tenant": nullable(KEY), "plan": nullable(KEY), **_ALERT_FACTS,
    "thresholds": {"type": "array", "items": DECIMAL, "minItems": 1}, "recurring": BOOLEAN, "enabled": BOOLEAN,
})  # fmt: skip
ALERT_EVENT = shown(
    {
        "id": {"type": "string", "pattern": "^ae_[0-9a-v]{52}$"}, "alert": KEY, "tenant": KEY,
        "subscription": nullable(KEY), **_ALERT_FACTS, "threshold": DECIMAL, "value": DECIMAL,
        "base": nullable(DECIMAL), "unit": {"type": "string"}, "period": PERIOD, "noticed_at": INSTANT,
        "receded_at": nullable(INSTANT),
    },
    description="`value` is what it was when it was noticed; `base` is what a percentage is taken of. `receded_at` is "
    "since when the value is no longer beyond the threshold, as after a cancelled event: it stays noticed.",
)  # fmt: skip

# --- events ----------------------------------------------------------------------------------------------------------


def _attribute(name: str) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_LENGTH[name], "pattern": r"^[^\x00]*$"}


_OWN_ATTRIBUTES = {
    "specversion": {"type": "string", "enum": ["1.0"]}, "id": _attribute("id"), "source": _attribute("source"),
    "type": _attribute("type"),
}  # fmt: skip
EVENT_SENT = sent(
    _OWN_ATTRIBUTES,
    {
        "subject": _attribute("subject"), "time": INSTANT, "resource": _attribute("resource"),
        "data": {"type": "object"},
    },
    patternProperties={
        # Extension attributes, which are kept; binary data is refused.
        "^(?!(?:specversion|id|source|type|subject|time|resource|data)$)[a-z0-9]{1,100}$": {
            "type": ["string", "number", "boolean", "null"], "pattern": r"^[^\x00]*$"}
    },
    description="A CloudEvent 1.0. Without `time` it happened when it was first received; `subject` is the tenant's "
    "key or another of its subjects, and only an API key that is bound to a tenant may leave it out.",
    examples=[{"specversion": "1.0", "id": "s-1", "source": "/chargers/12", "type": "charging.session.ended",
               "subject": "acme", "time": "2026-11-01T08:00:00Z", "resource": "charger-12",
               "data": {"kwh": "7.25", "station": "12"}}],
)  # fmt: skip
EVENT_SENT["not"] = {"required": ["data_base64"]}
EVENTS_SENT: Schema = {
    "type": "array", "items": ref("EventSent"),
    "description": "One bad event never spoils its neighbours: each is answered for.",
}  # fmt: skip
EVENT_LINES: Schema = {
    "type": "string", "contentMediaType": "application/x-ndjson", "description": "One event a line.",
    "examples": ['{"specversion": "1.0", "id": "s-8", "source": "/chargers/12", "type": "charging.session.ended", '
                 '"subject": "acme", "time": "2026-11-01T08:00:00Z", "data": {"kwh": "1.5"}}\n'],
}  # fmt: skip
_OUTCOMES = ("accepted", "duplicates", "conflicts", "quarantined", "rejected")
INGESTED = shown(
    {
        **dict.fromkeys(_OUTCOMES, COUNT),
        "exceptions": {"type": "array", "items": shown(
            {"index": COUNT, "id": {"type": ["string", "null"]},
             "status": one_of(("duplicate", "conflict", "quarantined", "rejected"))},
            {"reason": one_of(QUARANTINE_REASONS), "detail": {"type": "string"},
             "problem": shown(PROBLEM_MEMBERS | {"errors": {"type": "array", "items": FAULT, "minItems": 1}})},
        )},
    },
    description="The five counts are disjoint and add up to what was sent; `exceptions` names all but the accepted.",
)  # fmt: skip
_EVENT_SHOWN = {
    **_OWN_ATTRIBUTES, "data": {"type": "object"}, "received_at": INSTANT,
}  # fmt: skip
_MAYBE_SHOWN = {"subject": {"type": "string"}, "time": INSTANT, "resource": {"type": "string"}}
INGESTED_IN_BULK = INGESTED | {
    "properties": INGESTED["properties"] | {"not_listed": COUNT}, "required": [*INGESTED["required"], "not_listed"],
    "description": "Duplicates are counted and not listed; of the exceptions the first 1,000 are, and `not_listed` is "
    "the number of the others. `index` counts the lines that are not empty, from 0.",
}  # fmt: skip
EVENT = shown(_EVENT_SHOWN | {"tenant": KEY}, _MAYBE_SHOWN | {"cancelled_at": INSTANT}, additionalProperties=True)
QUARANTINED = shown(
    _EVENT_SHOWN | {"reason": one_of(QUARANTINE_REASONS), "detail": {"type": "string"}}, _MAYBE_SHOWN,
    additionalProperties=True,
)  # fmt: skip
CANCELLATION = sent(
    {"tenant": KEY, "source": text(MAX_TEXT_LENGTH["source"]), "id": text(MAX_TEXT_LENGTH["id"])},
    {"reason": text(2048), "replacement": ref("EventSent")},
    description="`replacement` is counted in place of the event, with an id of its own: that of the event stays taken.",
    examples=[{"tenant": "acme", "source": "/chargers/12", "id": "s-1", "reason": "The meter was broken.",
               "replacement": {"specversion": "1.0", "id": "s-1-corrected", "source": "/chargers/12",
                               "type": "charging.session.ended", "subject": "acme", "time": "2026-11-01T08:00:00Z",
                               "data": {"kwh": "6.5", "station": "12"}}}],
)  # fmt: skip
CANCELLED = shown(
    _EVENT_SHOWN | {"tenant": KEY, "cancelled_at": INSTANT, "reason": {"type": "string"}},
    _MAYBE_SHOWN | {"replacement": shown(_EVENT_SHOWN, _MAYBE_SHOWN, additionalProperties=True)},
    additionalProperties=True,
)  # fmt: skip
RELEASE = sent({}, {"reason": one_of(QUARANTINE_REASONS)}, examples=[{"reason": "unknown_tenant"}])
JOB = shown(
    {"id": {"type": "string", "format": "uuid"}, "kind": {"type": "string"},
     "status": one_of(("running", "done", "failed")), "created_at": INSTANT},
    dict.fromkeys(("released", "duplicates", "conflicts", "remaining", "events"), COUNT),
    additionalProperties=True,
)  # fmt: skip

# --- usage -----------------------------------------------------------------------------------------------------------

USAGE = shown(
    {
        "meter": KEY, "unit": {"type": "string"},
        "data": {"type": "array", "items": shown({
            "start": INSTANT, "end": INSTANT, "quantity": DECIMAL,
            "group": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}},
            {"sessions": shown({"open": COUNT, "cut": COUNT}, description="Of `duration`: sessions still open at "
                               "the window's end, and those that reached `longest` in it without an end.")})},
    }
)  # fmt: skip

_STANDING: dict[str, Schema] = {
    "allowance": DECIMAL, "allowance_left": DECIMAL, "limit": nullable(DECIMAL), "limit_left": nullable(DECIMAL),
}  # fmt: skip
BALANCE = shown(
    {
        "tenant": KEY, "meter": KEY, "unit": {"type": "string"}, "has_access": BOOLEAN,
        "reason": nullable(one_of(REFUSALS)), "used": DECIMAL, **_STANDING, "period": PERIOD, "resets_at": INSTANT,
        "prepaid_left": shown({"units": DECIMAL, "amount": DECIMAL, "currency": CURRENCY}),
        "charges": {"type": "array", "items": shown({
            "subscription": KEY, "charge": KEY, "stretch": PERIOD, "used": DECIMAL, **_STANDING})},
    },
    description="Every event acknowledged before the request is in it. `used` is that of the billing period, which "
    "ends at `resets_at`. Where several charges price the meter, the smallest allowance and the smallest limit stand "
    "here, and each charge's own in `charges`; a charge's allowance is that of the `stretch` of the period in which "
    "its present terms are in force. `reason` says why there is no access. Of `prepaid_left`, `units` are those of the "
    "meter, less what the period has used beyond its allowance; `amount` is what no issued invoice has taken.",
)  # fmt: skip

# --- billing ---------------------------------------------------------------------------------------------------------

_KEYS: Schema = {"type": "array", "items": KEY, "maxItems": MAX_ITEMS}
RUN_SENT = sent(
    {"through": DAY_OR_INSTANT},
    {"issue": BOOLEAN, "dry_run": BOOLEAN, "tenants": _KEYS, "sellers": _KEYS, "plans": _KEYS},
    description="`through` may not lie in the future; a date is its midnight in UTC.",
    examples=[{"through": "2026-11-01T00:00:00Z", "issue": True}],
)  # fmt: skip
LATE_STANDINGS = ("pending", "report_only", "beyond_horizon")
LATE_DIFFERENCE = shown({
    "tenant": KEY, "subscription": KEY, "charge": KEY, "plan": KEY, "period": PERIOD, "unit": {"type": "string"},
    "quantity_billed": DECIMAL, "quantity": DECIMAL, "currency": {"type": "string"}, "amount_billed": DECIMAL,
    "amount": DECIMAL, "difference": DECIMAL, "status": one_of(LATE_STANDINGS),
})  # fmt: skip
RUN = shown(
    {
        "id": {"type": "string", "format": "uuid"}, "status": one_of(("running", "done", "failed")), "through": INSTANT,
        "issue": BOOLEAN, "dry_run": BOOLEAN, "periods_due": COUNT, "closed": COUNT, "failed": COUNT,
        "failures": {"type": "array", "items": {"type": "object"}},
        "unpriced": {"type": "array", "items": shown({
            "tenant": KEY, "meter": KEY, "quantity": DECIMAL, "unit": {"type": "string"}, "events": COUNT,
            "start": INSTANT, "end": INSTANT},
            {"group": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}})},
        "unbilled": {"type": "array", "items": LATE_DIFFERENCE},
        "withheld": {"type": "array", "items": shown(
            {"tenant": KEY, "subscription": KEY, "invoice": {"type": "string"},
             "reason": one_of(("held", "not_approved"))}, {"billing_at": INSTANT}),
            "description": "Drafts that were to be issued, and that somebody holds or has to approve first."},
    }
)  # fmt: skip

INVOICE_ID: Schema = {"type": "string", "pattern": "^inv_[0-9a-v]{52}$"}
APPLIED_COUPON_ID: Schema = {"type": "string", "pattern": "^ac_[0-9a-v]{52}$"}
CREDIT_GRANT_ID: Schema = {"type": "string", "pattern": "^cg_[0-9a-v]{52}$"}
DOCUMENT_TYPES = ("invoice", "credit_note", "statement")
_TAX = {"category": one_of(CATEGORIES), "rate": DECIMAL}
_PARTY = shown({"key": KEY, "name": {"type": "string"}}, _PARTY_SHOWN | {"billing_address": _ADDRESS_SHOWN})
_DISCOUNTED = shown({"description": {"type": "string"}, "amount": DECIMAL})
LINE = shown(
    {
        "id": {"type": "string"}, "kind": {"type": "string"}, "subscription": {"type": "string"},
        "charge": {"type": "string"}, "description": {"type": "string"}, "period": PERIOD, "quantity": DECIMAL,
        "unit": {"type": "string"}, "amount": DECIMAL, "tax": shown(_TAX, EXEMPTION),
        "components": {"type": "array", "items": shown({
            "description": {"type": "string"}, "kind": {"type": "string"}, "quantity": DECIMAL, "unit_price": DECIMAL,
            "amount": DECIMAL})},
        "allowances": {"type": "array", "items": _DISCOUNTED}, "reopens_usage": BOOLEAN,
        "credits": {"type": ["string", "null"]}, "waived": {"type": ["string", "null"]},
    },
    {"supply": one_of(SUPPLIES), **_REFERENCES_SHOWN},
    description="`amount` is the sum of the components less the allowances. `credits` is the line of the invoice that "
    "a credit note by hand takes back, `waived` the reason why a person took the line off.",
)  # fmt: skip
_DOCUMENT: dict[str, Schema] = {
    "type": one_of(DOCUMENT_TYPES), "number": {"type": ["string", "null"]}, "seller": KEY, "buyer": KEY,
    "parties": shown({"seller": _PARTY, "buyer": _PARTY}), "currency": CURRENCY, "language": one_of(LANGUAGES),
    "time_zone": ZONE, "period": PERIOD, "issued_at": nullable(INSTANT), "due_date": nullable(DAY),
    "lines": {"type": "array", "items": ref("InvoiceLine")},
    "allowances": {"type": "array", "items": shown(
        {"description": {"type": "string"}, "amount": DECIMAL, "tax": shown(_TAX), "credit_grant": CREDIT_GRANT_ID}),
        "description": "Promotional credit, which lowers the net before tax; on a credit note what goes back to it."},
    "net": DECIMAL,
    "tax": {"type": "array", "items": shown(_TAX | {"base": DECIMAL, "amount": DECIMAL}, EXEMPTION)},
    "total": DECIMAL,
    "paid": DECIMAL, "credited": DECIMAL, "due": DECIMAL, "overdue": BOOLEAN, "hash": {"type": ["string", "null"]},
    "previous_hash": {"type": ["string", "null"]},
    "references": {"type": "array", "items": shown(
        {"id": INVOICE_ID, "number": {"type": "string"}, "issued_at": INSTANT})},
    **{name: {"type": ["string", "null"]} for name in ("reason", "reference", "note", "purchase_order")},
    "hold": BOOLEAN, "hold_reason": {"type": ["string", "null"]}, "approved": BOOLEAN,
    "digest": {"type": ["string", "null"]},
}  # fmt: skip
_DETAILS: dict[str, Schema] = {
    **{name: {"type": "string"} for name in REFERENCE_NAMES[1:]}, "delivery_address": _ADDRESS_SHOWN,
    "accounting_tax": shown(
        {"currency": CURRENCY, "amount": DECIMAL, "rate": DECIMAL, "source": {"type": "string"}, "date": DAY},
        description="The VAT in the currency in which the seller declares it, where that is another one."),
    "groups": {"type": "array", "items": shown({
        "subscription": nullable(KEY), "tenant": KEY, "lines": {"type": "array", "items": {"type": "string"}},
        "net": DECIMAL}),
        "description": "The lines by subscription, where they are of several: their ids, and their sum before the "
        "allowances of the whole document."},
}  # fmt: skip
INVOICE = shown(
    {"id": INVOICE_ID, "status": one_of(("draft", "issued"))} | _DOCUMENT,
    _DETAILS,
    description="In a draft `number`, `issued_at` and the hashes are null, and `due_date` where nobody set it. "
    "`digest` names what a draft says: an approval is for that. A line of kind `one_off` names no charge.",
)
_PERIOD_SENT = sent({"start": DAY_OR_INSTANT, "end": DAY_OR_INSTANT})
_SIGNED: Schema = {"type": ["string", "number"], "pattern": r"^-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,18}0*)?$",
                   "maxLength": 60, "not": {"enum": [0]}}  # fmt: skip
_WRITTEN_LINES: Schema = {"type": "array", "maxItems": MAX_WRITTEN_LINES, "items": sent(
    {"description": text(MAX_NOTE), "unit_price": PRICE},
    {"quantity": _SIGNED, "unit": text(50), "tax": KEY, "period": _PERIOD_SENT})}  # fmt: skip
_WRITTEN: dict[str, Schema] = {
    "due_date": DAY, "note": text(MAX_NOTE), "purchase_order": text(), "reference": text(),
}  # fmt: skip
INVOICE_SENT = sent(
    {"buyer": KEY, "lines": _WRITTEN_LINES | {"minItems": 1}},
    {"seller": KEY, "currency": CURRENCY, "period": _PERIOD_SENT, "issue": BOOLEAN, **_WRITTEN},
    description="An invoice of no subscription. Without `seller` the operator sells, without `tax` the seller's "
    "default rate holds, without `period` it is about the day on which it is written. A draft, unless `issue` says "
    "otherwise.",
    examples=[{"buyer": "acme", "lines": [{"description": "Installation", "quantity": "2", "unit_price": "80.00"}]}],
)  # fmt: skip
DRAFT_PATCH = sent(
    {},
    {"lines": _WRITTEN_LINES, "hold": BOOLEAN, "hold_reason": text(MAX_NOTE), **_WRITTEN,
     "waive": {"type": "array", "maxItems": MAX_ITEMS, "items": sent({"line": text(), "reason": text(MAX_NOTE)})}},
    description="What is named is changed, each list as a whole; null takes away what was there. `lines` are the lines "
    "that people wrote; a draft on hold is not issued.",
    examples=[{"note": "Thank you for your patience."}],
)  # fmt: skip
SEALED_DOCUMENT = shown(
    {
        "format": {"type": "string"}, "sequence": COUNT, "hash": {"type": "string"}, "content": {"type": "object"},
        "traces": {"type": "object"}, "digests": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    description="`hash` is SHA-256 of `content` in its canonical form (keys in order, no spaces, UTF-8); `traces` are "
    "what each line's amount is computed from, `digests` SHA-256 of each part of the content.",
)  # fmt: skip
CREDIT_NOTE_SENT = sent(
    {"reason": text(MAX_REASON)},
    {
        "reference": text(), "reopens_usage": BOOLEAN, "amount": _CREDITED, "reissue": BOOLEAN,
        "lines": {"type": "array", "minItems": 1, "maxItems": MAX_CREDIT_LINES, "items": sent(
            {"line": text()}, {"quantity": SIZE, "amount": _CREDITED})},
    },
    description="Without `lines` and `amount` all that is left is credited. Amounts are before tax; one over the whole "
    "document is spread over its VAT rates and lines in proportion. A line is credited by quantity or by amount, or "
    "all of it that is left. `reopens_usage` lowers what counts as billed, so that the next run bills the use again; "
    "without it the credit is a gift. `reissue` credits the whole and bills its period again, in one step.",
    examples=[{"reason": "wrong station", "lines": [{"line": "ln_1"}]}],
)  # fmt: skip
CREDIT_NOTE_MADE = INVOICE | {"properties": INVOICE["properties"] | {"reissued": ref("Invoice")}}
_PROJECTION = shown(
    {
        "method": one_of(("linear",)), "as_of": INSTANT,
        "lines": {"type": "array", "items": shown({
            "line": {"type": "string"},
            "basis": one_of(("extrapolated", "as_measured", "ended", "not_begun", "fixed", "correction")),
            "measured": DECIMAL, "projected": DECIMAL, "elapsed": nullable(DECIMAL)})},
    },
    description="How each line was taken: its use until now, extrapolated to the end of its stretch; as measured, "
    "where the meter does not add up over time; a stretch that has ended or not begun; a fixed amount; a correction.",
)  # fmt: skip
PREVIEW = shown(
    {"id": {"type": "null"}, "status": one_of(("preview",))} | _DOCUMENT, _DETAILS | {"projection": _PROJECTION}
)
_STATEMENT = shown(
    {"title": {"type": "string"}, "formula": {"type": "string"}, "text": {"type": "string"}},
    description="What was done, the same in numbers, and both together.",
)  # fmt: skip
_STATEMENTS: Schema = {"type": "array", "items": _STATEMENT}
_STATE = shown({"quantity": DECIMAL, "events": COUNT, "amount": DECIMAL})
_CHANGE_OF_EVENT = one_of(("added", "removed"))
EXPLANATION = shown(
    {
        "invoice": INVOICE_ID, "line": {"type": "string"}, "kind": {"type": "string"}, "language": one_of(LANGUAGES),
        "description": {"type": "string"}, "plan": KEY, "plan_version": VERSION, "charge": ref("Charge"),
        "price": {"type": "string"}, "stretch": PERIOD,
        "share_of_period": {"type": "string", "pattern": "^[0-9]+/[0-9]+$"}, "proration": one_of(("day", "second")),
        "meter": nullable(shown({"key": KEY}, additionalProperties=True)),
        "usage": shown({"quantity": DECIMAL, "unit": {"type": "string"}, "events": COUNT}, {
            "carried": shown({"events": COUNT, "first": {"type": "array", "items": shown(
                {"source": {"type": "string"}, "id": {"type": "string"}, "time": INSTANT})}},
                description="Events from before the stretch that have a part in it: levels, open sessions, readings."),
            "sessions": shown({"open": COUNT, "cut": COUNT})}),
        "steps": {"type": "array", "items": shown({
            "stage": {"type": "string"}, "quantity": DECIMAL, "amount": {"type": ["string", "null"]},
            "statements": _STATEMENTS}),
            "description": "Each stage with the quantity still to be priced and the amount after it; it has statements "
            "where it changed something."},
        "components": LINE["properties"]["components"], "allowances": LINE["properties"]["allowances"],
        "tax": shown(_TAX | {"statement": _STATEMENT}), "rated": DECIMAL, "amount": DECIMAL,
        "holds": BOOLEAN | {"description": "True where rating the recorded facts again gives the recorded amount."},
        "use": shown({
            "window": one_of(("day", "hour")), "verified": BOOLEAN,
            "data": {"type": "array", "items": shown({
                "start": INSTANT, "end": INSTANT, "quantity": DECIMAL, "events": COUNT})}},
            description="What the line counted, by local day or hour. `quantity` is the window's own: it adds up where "
            "the meter's aggregation does. `verified` is true where these are the events that were frozen."),
        "correction": nullable(shown(
            {
                "invoice": INVOICE_ID, "number": {"type": "string"}, "line": {"type": "string"}, "before": _STATE,
                "now": _STATE, "difference": DECIMAL, "subscription_ended": BOOLEAN,
                "events": {"type": "array", "items": shown({
                    "change": _CHANGE_OF_EVENT, "source": {"type": "string"}, "id": {"type": "string"},
                    "time": INSTANT, "quantity": nullable(DECIMAL)})},
                "has_more_events": BOOLEAN, "statements": _STATEMENTS,
            },
            description="Of a difference or a credit: what was billed before and by which document, what is measured "
            "now, and the first of the events that changed it.")),
        "text": {"type": "array", "items": {"type": "string"}},
    }
)  # fmt: skip
LINE_EVENT = EVENT | {"properties": EVENT["properties"] | {"change": _CHANGE_OF_EVENT}}
LINE_EVENTS = page_of(LINE_EVENT)
LINE_EVENTS["properties"] |= {
    "verified": BOOLEAN | {"description": "True where the events of the hours that the page covers are those frozen "
                           "with the line, by count and by the sum of their identities."},
    "frozen": shown({"events": COUNT, "identity_sum": {"type": "string", "pattern": "^[0-9]+$"}},
                    description="Of all events of the line: how many, and the sum of the last 32 bits of their "
                    "identities."),
}  # fmt: skip
LINE_EVENTS["required"] += ["verified", "frozen"]

# --- credit ----------------------------------------------------------------------------------------------------------

_PRIORITY = {"type": "integer", "minimum": 0, "maximum": MAX_PRIORITY,
             "description": "The lowest number is used first; 50 where none is given."}  # fmt: skip
_ANY_GRANT = {"priority": _PRIORITY, "effective_at": DAY_OR_INSTANT, "expires_at": DAY_OR_INSTANT,
              "description": text(1000)}  # fmt: skip
INVOICE_STATUS_SENT = sent(
    {"code": one_of(tuple(STATUS_NAMES))},
    {
        "at": INSTANT,
        "platform": text(),
        "reason": text(MAX_STATUS_REASON),
        "reason_code": text(),
        "external_id": text(),
    },
    examples=[{"code": "205", "at": "2026-12-03T09:00:00Z", "platform": "PA Exemple", "external_id": "flow-77"}],
)
INVOICE_STATUS = shown(
    {
        "sequence": {"type": "integer"}, "code": one_of(tuple(STATUS_NAMES)),
        "name": one_of(tuple(STATUS_NAMES.values())), "at": INSTANT, "received_at": INSTANT,
        "platform": {"type": ["string", "null"]}, "reason": {"type": ["string", "null"]},
        "reason_code": {"type": ["string", "null"]}, "external_id": {"type": ["string", "null"]},
    },
    description="What a platform said of a document: a code of the French life cycle (200 to 213), since when by its "
    "word, and when it was told here.",
)  # fmt: skip

CREDIT_GRANT_SENT: Schema = {
    "anyOf": [
        sent({"tenant": KEY, "kind": one_of(("promotional", "prepaid")), "amount": AMOUNT | {"not": _ZERO_TEXT}},
             _ANY_GRANT | {"currency": CURRENCY, "meter": {"type": "null"}, "charge": {"type": "null"}}),
        sent({"tenant": KEY, "kind": one_of(("units",)), "amount": SIZE, "meter": KEY},
             _ANY_GRANT | {"charge": KEY, "currency": {"type": "null"}}),
    ],
    "description": "`promotional` lowers the net of invoices, `prepaid` pays their total, `units` lower the quantity "
    "of a meter before it is priced. It is in force from `effective_at` (where that is absent, for whatever is billed "
    "after it was made) until before `expires_at`.",
    "examples": [{"tenant": "acme", "kind": "prepaid", "amount": "100.00", "currency": "EUR",
                  "description": "Voucher 17"}],
}  # fmt: skip
CREDIT_GRANT = shown(
    {
        "id": CREDIT_GRANT_ID, "tenant": KEY, "kind": one_of(CREDIT_KINDS), "amount": DECIMAL,
        "currency": nullable(CURRENCY), "meter": nullable(KEY), "charge": nullable(KEY),
        "priority": {"type": "integer"}, "status": one_of(("open", "spent", "expired", "voided")), "used": DECIMAL,
        "left": DECIMAL, "expired": DECIMAL, "voided": DECIMAL, "effective_at": nullable(INSTANT),
        "expires_at": nullable(INSTANT), "description": {"type": "string"}, "created_at": INSTANT,
        "voided_at": nullable(INSTANT), "void_reason": {"type": ["string", "null"]},
    },
    description="`amount` is the sum of `used`, `left`, `expired` and `voided`.",
)  # fmt: skip
_NUMBERED = nullable(shown({"id": INVOICE_ID, "number": {"type": "string"}}))
CREDIT_USE = shown(
    {
        "sequence": {"type": "integer", "minimum": 1}, "kind": one_of(("use", "return", "void")), "amount": DECIMAL,
        "document": _NUMBERED, "invoice": _NUMBERED, "line": {"type": ["string", "null"]}, "created_at": INSTANT,
    },
    description="One entry of the ledger. `document` is what it came with, `invoice` what it lowered or paid; what "
    "goes back to the grant is negative.",
)  # fmt: skip
_ANY_COUPON = {
    "key": OWN_KEY, "charges": {"type": "array", "items": KEY, "maxItems": MAX_COUPON_CHARGES},
    "periods": {"type": "integer", "minimum": 1, "maximum": MAX_COUPON_PERIODS,
                "description": "For how many invoices it is (1: once); absent: for ever."},
    "redeem_by": DAY_OR_INSTANT,
}  # fmt: skip
_ABOVE_ZERO = {"exclusiveMinimum": 0, "not": _ZERO_TEXT}
COUPON_SENT: Schema = {
    "anyOf": [
        sent({"name": text(), "percent": PERCENT | _ABOVE_ZERO},
             _ANY_COUPON | dict.fromkeys(("amount", "currency", "quantity"), _NOTHING)),
        sent({"name": text(), "amount": AMOUNT | _ABOVE_ZERO, "currency": CURRENCY},
             _ANY_COUPON | dict.fromkeys(("percent", "quantity"), _NOTHING)),
        sent({"name": text(), "quantity": SIZE},
             _ANY_COUPON | dict.fromkeys(("percent", "amount", "currency"), _NOTHING)),
    ],
    "description": "A percentage, an amount or a number of free units; without `charges` it is for all of them.",
    "examples": [{"name": "Welcome", "percent": "10", "periods": 3}],
}  # fmt: skip
COUPON = shown(
    {"key": KEY, "name": {"type": "string"}},
    {"percent": DECIMAL, "amount": DECIMAL, "currency": CURRENCY, "quantity": DECIMAL,
     "charges": {"type": "array", "items": KEY}, "periods": {"type": "integer"}, "redeem_by": INSTANT},
)  # fmt: skip
APPLIED_COUPON_SENT: Schema = {
    "anyOf": [sent({"coupon": KEY, "subscription": KEY}, {"tenant": _NOTHING}),
              sent({"coupon": KEY, "tenant": KEY}, {"subscription": _NOTHING})],
    "examples": [{"coupon": "welcome", "tenant": "acme"}],
}  # fmt: skip
APPLIED_COUPON = shown(
    {
        "id": APPLIED_COUPON_ID, "coupon": ref("Coupon"), "tenant": KEY, "subscription": nullable(KEY),
        "status": one_of(("open", "used_up", "ended")), "used": COUNT,
        "invoices": {"type": "array", "items": shown({"id": INVOICE_ID, "number": {"type": "string"}})},
        "created_at": INSTANT, "ended_at": nullable(INSTANT),
    },
    description="`coupon` is as it was when it was applied; `invoices` are those that it has lowered.",
)  # fmt: skip
CREDIT_GRANT_WITH_USES = shown(
    CREDIT_GRANT["properties"] | {"uses": {"type": "array", "items": ref("CreditUse")}},
    description="With its last 100 uses, the newest first.",
)

# --- simulations -----------------------------------------------------------------------------------------------------

_SIMULATED_PLAN = PLAN_SENT | {
    "properties": PLAN_SENT["properties"] | {"key": nullable(KEY), "name": nullable(text())},
    "required": [name for name in PLAN_SENT["required"] if name != "name"],
}
_SIMULATED_PLAN.pop("examples")
SIMULATION_SENT = sent(
    {"plan": {"anyOf": [_SIMULATED_PLAN, KEY]}, "start": DAY_OR_INSTANT, "end": DAY_OR_INSTANT},
    {"tenants": _KEYS, "against": {"anyOf": [_SIMULATED_PLAN, KEY]}, "replaces": _KEYS},
    description="`plan` is written out, or the key of one in the catalog: its draft, or its latest version. It takes "
    "the place of all subscriptions of a tenant, or of those to the plans that `replaces` names, over [start, end); a "
    "date is midnight in each tenant's zone. Without `against` it is compared with what is in force; without `tenants` "
    "it is all tenants that have such a subscription then.",
    examples=[{"plan": {"currency": "EUR", "interval": "month", "charges": _EXAMPLE_CHARGES[:1]}, "tenants": None,
               "start": "2026-10-01", "end": "2026-11-01"}],
)  # fmt: skip
_NO_DECIMAL = nullable(DECIMAL)
_CHARGE_CHANGE = shown({
    "charge": KEY, "description": {"type": "string"}, "unit": {"type": "string"}, "old": _NO_DECIMAL,
    "old_quantity": _NO_DECIMAL, "new": _NO_DECIMAL, "new_quantity": _NO_DECIMAL, "difference": DECIMAL})  # fmt: skip
_CHARGE_CHANGES: Schema = {"type": "array", "items": _CHARGE_CHANGE}
_SIDES = {"old": DECIMAL, "new": DECIMAL, "difference": DECIMAL}
_SIMULATED_PLAN_SHOWN = shown({"key": nullable(KEY), "name": {"type": ["string", "null"]}} | _TERMS, _SOME_TERMS)
SIMULATION = shown(
    {
        "id": {"type": "string", "format": "uuid"}, "status": one_of(("running", "done", "failed")),
        "created_at": INSTANT, "plan": _SIMULATED_PLAN_SHOWN, "against": nullable(_SIMULATED_PLAN_SHOWN),
        "start": DAY_OR_INSTANT, "end": DAY_OR_INSTANT, "tenants": nullable({"type": "array", "items": KEY}),
        "replaces": {"type": "array", "items": KEY}, "currency": CURRENCY, "tenants_due": COUNT, "tenants_done": COUNT,
        "totals": shown({"tenants": COUNT} | _SIDES | {"charges": _CHARGE_CHANGES}),
        "largest_changes": {"type": "array", "maxItems": 10, "items": shown({"tenant": KEY} | _SIDES)},
        "skipped": {"type": "array", "items": shown({"tenant": KEY, "detail": {"type": "string"}})},
        **page_of(shown({"tenant": KEY} | _SIDES | {"charges": _CHARGE_CHANGES}))["properties"],
    },
    description="Amounts are net of tax. `old` is what is in force, or `against`; of a charge that one of the plans "
    "does not have, that side is null.",
)  # fmt: skip

# --- other meters' clients -------------------------------------------------------------------------------------------

_NAMED_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_ANY_TEXTS: Schema = {"type": "array", "items": FILTER_TEXT, "maxItems": MAX_ITEMS}
_WINDOW_SIZE = one_of(tuple(WINDOW_SIZES))
OPENMETER_METER = shown(
    {"id": KEY, "slug": KEY, "name": {"type": "string"},
     "aggregation": one_of(tuple(dict.fromkeys(OPENMETER_AGGREGATIONS.values()))), "eventType": {"type": "string"},
     "createdAt": INSTANT, "updatedAt": INSTANT},
    {"valueProperty": PATH, "groupBy": {"type": "object", "additionalProperties": PATH}},
)  # fmt: skip
OPENMETER_EVENT = shown(
    {"event": shown({name: item for name, item in _EVENT_SHOWN.items() if name != "received_at"}, _MAYBE_SHOWN,
                    additionalProperties=True),
     "ingestedAt": INSTANT, "storedAt": INSTANT},
    {"customerId": KEY, "validationError": {"type": "string"}},
)  # fmt: skip
OPENMETER_QUESTION = sent({}, {
    "clientId": text(), "from": INSTANT, "to": INSTANT, "windowSize": _WINDOW_SIZE, "windowTimeZone": text(),
    "subject": _ANY_TEXTS, "filterCustomerId": _ANY_TEXTS, "groupBy": _ANY_TEXTS,
    "filterGroupBy": {"type": "object", "additionalProperties": _ANY_TEXTS},
}, examples=[{"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z", "windowSize": "DAY",
              "windowTimeZone": "Europe/Paris", "groupBy": ["station"]}])  # fmt: skip
OPENMETER_RESULT = shown(
    {"data": {"type": "array", "items": shown(
        {"value": {"type": "number", "description": "Every digit that there is."}, "windowStart": INSTANT,
         "windowEnd": INSTANT, "subject": {"type": ["string", "null"]}, "groupBy": _NAMED_TEXTS},
        {"customerId": KEY})}},
    {"from": INSTANT, "to": INSTANT, "windowSize": _WINDOW_SIZE},
)  # fmt: skip

_LAGO_TEXT = _attribute("id")
_LAGO_EVENT = sent(
    {"transaction_id": _LAGO_TEXT, "external_subscription_id": _LAGO_TEXT, "code": _LAGO_TEXT},
    {"timestamp": {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 253_370_764_800},
                             {"type": "string", "pattern": r"^(?:0|[1-9][0-9]{0,10})(?:\.[0-9]{1,18})?$"}]},
     "properties": {"type": "object"},
     "precise_total_amount_cents": {"anyOf": [_BOUND, _NUMBER_TEXT]}},
    description="`timestamp` is in seconds, with as many decimals as there are; without it the event happened when it "
    "was first received. The source of the event is `lago/` and the subscription.",
)  # fmt: skip
_LAGO_EXAMPLE = {"transaction_id": "t-1", "external_subscription_id": "acme-1", "code": "charging.session.ended",
                 "timestamp": 1_760_000_000, "properties": {"kwh": "7.25", "station": "12"}}  # fmt: skip
LAGO_EVENT_SENT = sent({"event": _LAGO_EVENT}, examples=[{"event": _LAGO_EXAMPLE}])
LAGO_EVENTS_SENT = sent({"events": {"type": "array", "items": _LAGO_EVENT}}, examples=[{"events": [_LAGO_EXAMPLE]}])
LAGO_EVENT = shown({
    "lago_id": {"type": "string", "format": "uuid"}, "transaction_id": {"type": "string"},
    "lago_customer_id": {"type": "null"}, "lago_subscription_id": {"type": "null"},
    "external_subscription_id": {"type": "string"}, "code": {"type": "string"}, "timestamp": INSTANT,
    "properties": {"type": "object", "additionalProperties": True},
    "precise_total_amount_cents": {"type": ["string", "null"]}, "created_at": nullable(INSTANT),
})  # fmt: skip

# --- the books --------------------------------------------------------------------------------------------------------

ACCOUNT: Schema = {"type": "string", "pattern": f"^{ACCOUNT_PATTERN}$", "description": "An account of the books."}
_ACCOUNTS: dict[str, Schema] = dict.fromkeys(ROLES, ACCOUNT)
_JOURNAL = {"code": {"type": "string", "pattern": f"^{JOURNAL_CODE}$"}, "name": text()}
_CHART_SENT: dict[str, Schema] = {
    **_ACCOUNTS,
    "supplies": sent({}, dict.fromkeys(SUPPLIES, ACCOUNT), description="Sales accounts by what is sold."),
    "vat": {"type": "object", "propertyNames": {"pattern": f"^{RATE_PATTERN}$"}, "additionalProperties": ACCOUNT,
            "maxProperties": MAX_CHART_RATES, "description": "Accounts of VAT by its rate in percent."},
    "names": {"type": "object", "propertyNames": {"pattern": f"^{ACCOUNT_PATTERN}$"}, "additionalProperties": text(),
              "maxProperties": MAX_NAMES, "description": "What accounts are called."},
    "journals": sent({}, {journal: sent(_JOURNAL) for journal in JOURNALS}),
    "overrides": {
        "type": "array", "maxItems": MAX_OVERRIDES,
        "items": sent(
            {},
            {
                **_ACCOUNTS, "tenant": KEY, "plan": KEY, "charge": KEY, "tax_category": one_of(CATEGORIES),
                "tax_rate": number(3, 4, description="In percent."),
                "auxiliary": {"type": "string", "pattern": f"^{AUXILIARY}$"},
            },
        ),
        "description": "Accounts that hold where all conditions do: `tenant`, `plan`, `charge`, `tax_category`, "
                       "`tax_rate`. `auxiliary` is the buyer's number in the books.",
    },
}  # fmt: skip
CHART_SENT = sent({}, _CHART_SENT, examples=[{
    "receivable": "411000", "sales": "706000", "vat": {"20": "445711"},
    "overrides": [{"charge": "energy", "sales": "707100"}, {"tenant": "acme", "auxiliary": "C0042"}],
}])  # fmt: skip
CHART = shown(_CHART_SENT)

_ACCRUED = {
    "tenant": KEY, "subscription": {"type": ["string", "null"]}, "charge": {"type": "string"},
    "description": {"type": "string"}, "period": nullable(PERIOD), "tax": shown(_TAX), "currency": CURRENCY,
    "amount": DECIMAL, "account": ACCOUNT,
}  # fmt: skip
MONTH_END = shown({
    "as_of": DAY, "seller": KEY, "accrued": {"type": "array", "items": shown(_ACCRUED)},
    "deferred": {"type": "array", "items": shown(_ACCRUED | {"document": {"type": "string"}})},
    "vat": {"type": "array", "items": shown({
        "currency": CURRENCY, "category": one_of(CATEGORIES), "rate": DECIMAL, "base": DECIMAL, "invoiced": DECIMAL,
        "due": DECIMAL, "awaiting_payment": DECIMAL,
    })},
    "aged": {"type": "array", "items": shown(
        {"tenant": KEY, "currency": CURRENCY, **dict.fromkeys(BUCKETS, DECIMAL), "total": DECIMAL}
    )},
    "totals": {"type": "array", "items": shown({
        "currency": CURRENCY, "accrued": DECIMAL, "deferred": DECIMAL, "vat_due": DECIMAL,
        "vat_awaiting_payment": DECIMAL, "receivable": DECIMAL,
    })},
})  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "ChartOfAccountsSent": CHART_SENT, "ChartOfAccounts": CHART, "MonthEnd": MONTH_END,
    "Problem": PROBLEM,
    "TenantSent": TENANT_SENT, "TenantPatch": partial(TENANT_SENT), "Tenant": TENANT, "Tenants": page_of(ref("Tenant")),
    "ResourceSent": RESOURCE_SENT, "ResourcePatch": partial(RESOURCE_SENT), "Resource": RESOURCE,
    "Resources": page_of(ref("Resource")),
    "MeterSent": METER_SENT, "MeterPatch": partial(METER_SENT), "Meter": METER, "Meters": page_of(ref("Meter")),
    "ExchangeRateSent": EXCHANGE_RATE_SENT, "ExchangeRatePatch": partial(EXCHANGE_RATE_SENT),
    "ExchangeRate": EXCHANGE_RATE, "ExchangeRates": page_of(ref("ExchangeRate")),
    "TaxRateSent": TAX_RATE_SENT, "TaxRatePatch": TAX_RATE_PATCH, "TaxRate": TAX_RATE,
    "TaxRates": page_of(ref("TaxRate")),
    "ChargeSent": CHARGE, "PlanSent": PLAN_SENT, "PlanPatch": partial(PLAN_SENT), "Publication": PUBLICATION,
    "Charge": CHARGE_SHOWN, "Plan": PLAN, "Plans": page_of(ref("Plan")), "PlanVersions": page_of(PLAN_VERSION),
    "LateUsages": page_of(LATE_DIFFERENCE),
    "ChangeSent": CHANGE_SENT, "SubscriptionSent": SUBSCRIPTION_SENT, "SubscriptionPatch": partial(SUBSCRIPTION_SENT),
    "Subscription": SUBSCRIPTION, "Subscriptions": page_of(ref("Subscription")),
    "AlertSent": ALERT_SENT, "AlertPatch": ALERT_PATCH, "Alert": ALERT, "Alerts": page_of(ref("Alert")),
    "AlertEvents": page_of(ALERT_EVENT),
    "EventSent": EVENT_SENT, "EventsSent": EVENTS_SENT, "EventLines": EVENT_LINES, "Ingested": INGESTED,
    "IngestedInBulk": INGESTED_IN_BULK,
    "Event": EVENT,
    "Events": page_of(ref("Event")), "Quarantined": page_of(QUARANTINED), "Cancellation": CANCELLATION,
    "CancelledEvent": CANCELLED, "Release": RELEASE, "Job": JOB, "Usage": USAGE,
    "Balance": BALANCE,
    "BillingRunSent": RUN_SENT, "BillingRun": RUN, "SealedDocument": SEALED_DOCUMENT,
    "InvoiceLine": LINE, "Invoice": INVOICE,
    "InvoiceSent": INVOICE_SENT, "DraftPatch": DRAFT_PATCH,
    "CreditNoteSent": CREDIT_NOTE_SENT, "CreditNoteMade": CREDIT_NOTE_MADE,
    "Invoices": page_of(ref("Invoice")), "Preview": PREVIEW, "Explanation": EXPLANATION, "LineEvents": LINE_EVENTS,
    "SimulationSent": SIMULATION_SENT, "Simulation": SIMULATION,
    "InvoiceStatusSent": INVOICE_STATUS_SENT, "InvoiceStatus": INVOICE_STATUS,
    "InvoiceStatuses": page_of(ref("InvoiceStatus")),
    "CreditGrantSent": CREDIT_GRANT_SENT, "CreditGrant": CREDIT_GRANT, "CreditGrants": page_of(ref("CreditGrant")),
    "CreditGrantWithUses": CREDIT_GRANT_WITH_USES, "CreditUse": CREDIT_USE, "CreditUses": page_of(ref("CreditUse")),
    "CouponSent": COUPON_SENT,
    "CouponPatch": {"type": "object", "additionalProperties": False, "properties": {
        name: nullable(schema)
        for item in COUPON_SENT["anyOf"] for name, schema in item["properties"].items() if schema != _NOTHING}},
    "Coupon": COUPON, "Coupons": page_of(ref("Coupon")), "AppliedCouponSent": APPLIED_COUPON_SENT,
    "AppliedCoupon": APPLIED_COUPON, "AppliedCoupons": page_of(ref("AppliedCoupon")),
    "CreditVoid": sent({}, {"reason": text(1000)}, examples=[{"reason": "granted by mistake"}]),
    "CreditApplication": sent({}, {"invoice": text()}, examples=[{}]),
    "OpenMeterMeter": OPENMETER_METER, "OpenMeterMeters": {"type": "array", "items": ref("OpenMeterMeter")},
    "OpenMeterEvents": {"type": "array", "items": OPENMETER_EVENT}, "OpenMeterQuestion": OPENMETER_QUESTION,
    "OpenMeterResult": OPENMETER_RESULT, "LagoEventSent": LAGO_EVENT_SENT, "LagoEventsSent": LAGO_EVENTS_SENT,
    "LagoEventKept": shown({"event": LAGO_EVENT}),
    "LagoEventsKept": shown({"events": {"type": "array", "items": LAGO_EVENT}}),
}  # fmt: skip

SECURITY_SCHEMES: dict[str, Schema] = {
    "apiKey": {
        "type": "http", "scheme": "bearer",
        "description": f"An API key with one or more of the scopes {', '.join(SCOPES)}; admin includes all others. "
        "A key may be bound to one tenant, and then sees that tenant only. `quotepart keys create` prints one, once.",
    }
}  # fmt: skip
