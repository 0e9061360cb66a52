"""Tax rates <-> domain values.

{"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01",
 "changes": [{"start": "2030-01-01", "rate": "21"}]}
{"category": "E", "country": "FR", "start": "2014-01-01",
 "exemption": {"code": "VATEX-EU-132", "reason": "Exonération, art. 261 du CGI"}}
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from app.domain.kept_models import number_text
from app.domain.kept_parties import keep_set
from app.domain.money import ZERO
from app.domain.tax import CATEGORIES, Exemption
from app.domain.tenants import NamedTaxRate, RateChange
from app.wire.parsing import Fields

MAX_RATE_CHANGES = 100
VATEX = r"^VATEX-[A-Z]{2}-[A-Z0-9-]{1,30}$"


def tax_rate_from_wire(key: str, body: Any, path: str = "#") -> NamedTaxRate:
    """Raises InvalidInput with every fault. Only category S has a rate above 0 (EN 16931, BR-S-5 and its siblings)."""
    fields = Fields(body, path)
    category = fields.choice("category", CATEGORIES)
    rate = fields.decimal("rate", default=None if category == "S" else ZERO)
    if fields.faultless:
        if not 0 <= rate <= 100:
            fields.problem("rate", "a rate lies between 0 and 100 percent")
        elif rate != round(rate, 4):
            fields.problem("rate", "a rate has at most 4 decimals")
        elif category == "S" and not rate:
            fields.problem("rate", "the rate of category S is above 0; a zero rate has category Z")
        elif category != "S" and rate:
            fields.problem("rate", f"the rate of category {category} is 0; only S has one above")
    found = NamedTaxRate(
        fields.own_key(key), category, Decimal(rate), fields.country("country"), fields.day("start"),
        _changes(fields), _exemption(fields),
    )  # fmt: skip
    if fields.faultless:
        _check_more(fields, found)
    fields.finish()
    return found


def _changes(fields: Fields) -> tuple[RateChange, ...]:
    found = fields.objects("changes")
    if len(found) > MAX_RATE_CHANGES:
        fields.problem("changes", f"there are at most {MAX_RATE_CHANGES} changes")
    return tuple(RateChange(item.day("start"), item.decimal("rate")) for item in found[:MAX_RATE_CHANGES])


def _exemption(fields: Fields) -> Exemption | None:
    inner = fields.object("exemption")
    if inner is None:
        return None
    code = inner.text("code", default="", max_length=40)
    if code and not re.fullmatch(VATEX, code, re.ASCII):
        inner.problem("code", "must be a code of the VATEX list, such as VATEX-EU-132")
    return Exemption(code, inner.text("reason", max_length=1000))


def _check_more(fields: Fields, rate: NamedTaxRate) -> None:
    if rate.category != "S" and rate.changes:
        fields.problem("changes", f"the rate of category {rate.category} is 0, and stays so")
    elif rate.category in ("S", "Z") and rate.exemption is not None:
        fields.problem("exemption", f"what has category {rate.category} is not exempt")
    before = rate.start
    for index, change in enumerate(rate.changes):
        if change.start <= before:
            fields.problem(f"changes/{index}/start", "changes go forward in time, each after the one before it")
        if not 0 < change.rate <= 100 or change.rate != round(change.rate, 4):
            fields.problem(f"changes/{index}/rate", "a rate of category S is above 0, at most 100, with 4 decimals")
        before = change.start


def tax_rate_to_wire(rate: NamedTaxRate) -> dict[str, Any]:
    return {
        "key": rate.key, "category": rate.category, "rate": number_text(rate.rate), "country": rate.country,
        "start": rate.start.isoformat(),
    } | tax_rate_details(rate)  # fmt: skip


def tax_rate_details(rate: NamedTaxRate) -> dict[str, Any]:
    """What few rates have, where it is set."""
    changes = [{"start": item.start.isoformat(), "rate": number_text(item.rate)} for item in rate.changes]
    exemption = {} if rate.exemption is None else {"exemption": keep_set(rate.exemption)}
    return ({"changes": changes} if changes else {}) | exemption
