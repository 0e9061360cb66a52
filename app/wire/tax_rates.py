"""Tax rates: {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"} <-> domain values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain.kept_models import number_text
from app.domain.money import ZERO
from app.domain.tax import CATEGORIES
from app.domain.tenants import NamedTaxRate
from app.wire.parsing import Fields


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
    found = NamedTaxRate(fields.own_key(key), category, Decimal(rate), fields.country("country"), fields.day("start"))
    fields.finish()
    return found


def tax_rate_to_wire(rate: NamedTaxRate) -> dict[str, Any]:
    return {
        "key": rate.key, "category": rate.category, "rate": number_text(rate.rate), "country": rate.country,
        "start": rate.start.isoformat(),
    }  # fmt: skip
