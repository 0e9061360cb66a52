"""Exchange rates <-> domain values.

    {"from": "USD", "to": "EUR", "date": "2026-11-02", "rate": "0.9213", "source": "ECB"}

One unit of `from` was worth `rate` units of `to` on the date.
"""

from __future__ import annotations

from typing import Any

from app.domain.kept_models import number_text
from app.domain.tax import ExchangeRate
from app.wire.parsing import Fields

MAX_RATE_DIGITS = 10


def exchange_rate_from_wire(key: str, body: Any, path: str = "#") -> ExchangeRate:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    found = ExchangeRate(
        fields.own_key(key), fields.currency("from"), fields.currency("to"), fields.day("date"), fields.decimal("rate"),
        fields.text("source"),
    )  # fmt: skip
    if fields.faultless:
        if not 0 < found.rate < 10**MAX_RATE_DIGITS:
            fields.problem("rate", f"a rate is above 0 and under 10^{MAX_RATE_DIGITS}")
        elif found.rate != round(found.rate, 12):
            fields.problem("rate", "a rate has at most 12 decimals")
        if found.from_currency == found.to_currency:
            fields.problem("to", "is the currency that it is changed from")
    fields.finish()
    return found


def exchange_rate_to_wire(rate: ExchangeRate) -> dict[str, Any]:
    return {
        "key": rate.key, "from": rate.from_currency, "to": rate.to_currency, "date": rate.date.isoformat(),
        "rate": number_text(rate.rate), "source": rate.source,
    }  # fmt: skip
